/*
 * The ledger's shell and a witness, over real sockets: this test is the supervisor that opens the
 * connections, control that commits, and the machine on which the witness's core answers. What is checked is
 * the order of things: the witness is asked before anything is entered, an act that is required waits for it,
 * and a log that it has seen further ends.
 */
#include "witnessed.h"

#include <stdlib.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void asked_before_anything_is_entered(void **state)
{
	const struct snap_evidence v = evidence(0);

	mood = WITNESS_MUTE;
	start(&v);
	witness_told();
	exit_send(1);
	commit_send(1);
	assert_false(serve(200));
	assert_true(shell.opening);
	assert_int_equal(ledger_size(shell.log), 0);
	assert_int_equal(connects, 1);
	/* A word through IKE, of a peer without a name, is no answer of a witness that has an address. */
	witnesses_peer_answer(&shell.witnesses, "", "500\n", 4);
	witnesses_refused(&shell.witnesses, PROC_IKE, shell.witnesses.peer[0].exchange.tag, "says ike");
	assert_int_equal(shell.witnesses.peer[0].poll.under_way, WITNESS_POLL_ADD);
	assert_memory_equal(&asked_at, &v.witness[0].at, sizeof asked_at);
	/* It answers after all, to the next question: three seconds were not over, or they were and it goes
	 * on without. */
	mood = WITNESS_WELL;
	assert_true(serve(7000));
	assert_int_equal(receipt.rc, RC_OK);
	wait_seen();
	assert_int_equal(receipt.rc, RC_OK);
	assert_int_equal(receipts, 2); /* both waited, neither is lost */
	/* What went on without the witness is cosigned after that. */
	for (int i = 0; i < 50 && !file_holds("cosigned", "\xe2\x80\x94 w.example "); i++)
		serve(100);
	assert_true(file_holds("checkpoint", "\xe2\x80\x94 w.example ") &&
		    file_holds("cosigned", "\xe2\x80\x94 w.example "));
	stop();
}

static void a_required_act_waits(void **state)
{
	const struct snap_evidence v = evidence(REQUIRED_COMMIT);

	start(&v);
	witness_told();
	assert_false(serve(300));
	mono_ns begun = clock_mono();
	commit_send(1);
	assert_true(serve(6000));
	assert_int_equal(receipt.rc, RC_OK);
	assert_true(seen_size() > receipt.index);
	assert_true(clock_mono() - begun < 3 * NS_PER_S);
	/* without the witness: a refusal that names it; what does not wait for it goes on */
	mood = WITNESS_DEAD;
	begun = clock_mono();
	commit_send(2);
	assert_false(serve(500));
	exit_send(1);
	assert_true(serve(3000));
	assert_int_equal(receipt.rc, RC_OK);
	assert_true(serve(5000));
	assert_true(
		clock_mono() - begun >= PENDING_ACT_WAIT_NS && clock_mono() - begun < LEDGER_GATE_WAIT_NS);
	assert_int_equal(receipt.rc, RC_AGAIN);
	assert_non_null(
		strstr(receipt.text, "0 of 1 cosigned it; missing: one (connect: Connection refused)"));
	/* it was away for three heartbeats meanwhile, and is back */
	assert_true(shell.witnesses.peer[0].poll.missing);
	mood = WITNESS_WELL;
	commit_send(3);
	assert_true(serve(6000));
	assert_int_equal(receipt.rc, RC_OK);
	serve(300);
	assert_true(entered("witness_missing") && entered("witness_returned"));
	stop();
}

/* So many acts wait and no more: the next one hears so at once, and the first ones are not forgotten for it.
 */
static void acts_that_wait_are_bounded(void **state)
{
	const struct snap_evidence v = evidence(REQUIRED_COMMIT);
	unsigned refused = 0, late = 0;

	start(&v);
	witness_told();
	assert_false(serve(300));
	mood = WITNESS_DEAD;
	for (uint64_t n = 1; n <= PENDING_ACTS_MAX + 3; n++)
		commit_send(n);
	receipts = 0;
	while (receipts < PENDING_ACTS_MAX + 3) {
		unsigned before = receipts;
		assert_true(serve(8000));
		if (receipt.rc == RC_LIMIT)
			refused += receipts - before;
		else if (receipt.rc == RC_AGAIN)
			late += receipts - before;
		assert_true(shell.witnesses.pending_n <= PENDING_ACTS_MAX);
	}
	assert_int_equal(refused, 3);
	assert_int_equal(late, PENDING_ACTS_MAX);
	stop();
}

/* Whoever is refused is told of all who did not cosign, those with the same reason together. */
static void who_did_not_is_named(void **state)
{
	static const char *const names[] = { "one", "a-witness-in-another-town", "a-witness-of-the-auditors",
		"four" };
	struct snap_evidence v = evidence(REQUIRED_COMMIT);

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		v.witness[i] = v.witness[0];
		snprintf(v.witness[i].name, sizeof v.witness[i].name, "%s", names[i]);
	}
	v.count = COUNT_OF(names);
	mood = WITNESS_DEAD;
	start(&v);
	exit_send(1);
	assert_true(serve(7000));
	commit_send(1);
	assert_true(serve(7000));
	assert_int_equal(receipt.rc, RC_AGAIN);
	assert_string_equal(receipt.text, "0 of 1 cosigned it; missing: one, a-witness-in-another-town, "
					  "a-witness-of-the-auditors, four (connect: Connection refused)");
	mood = WITNESS_WELL;
	stop();
}

/* Nobody can end a log by a mere claim, nor by an answer that is none. */
static void claims_end_nothing(void **state)
{
	const struct snap_evidence v = evidence(0);
	char name[NOTE_NAME_MAX];

	mood = WITNESS_LIAR;
	start(&v);
	witness_told();
	snprintf(name, sizeof name, "%s", shell.key.name);
	exit_send(1);
	assert_true(serve(7000)); /* it is not waited for longer */
	serve(500);
	assert_string_equal(shell.key.name, name);
	assert_true(strstr(shell.witnesses.peer[0].poll.error, "answered 404") ||
		    strstr(shell.witnesses.peer[0].poll.error, "1000000"));
	mood = WITNESS_GARBLED;
	for (int i = 0; i < 200 && !strstr(shell.witnesses.peer[0].poll.error, "HTTP"); i++)
		serve(20);
	assert_string_equal(shell.key.name, name);
	assert_non_null(strstr(shell.witnesses.peer[0].poll.error, "HTTP"));
	mood = WITNESS_WELL;
	wait_seen();
	stop();
}

/* A note that this log signed, of more than the disk has: as after a restored copy. */
static void what_it_has_seen_ends_the_log(void **state)
{
	const struct snap_evidence v = evidence(0);
	char name[NOTE_NAME_MAX], path[200];
	struct note_key key;

	start(&v);
	witness_told();
	for (uint64_t n = 1; n <= 3; n++) {
		exit_send(n);
		assert_true(serve(5000));
	}
	wait_seen();
	uint64_t seen = seen_size();
	snprintf(name, sizeof name, "%s", shell.key.name);
	assert_true(seen >= 5);
	stop();
	teardown(NULL); /* the disk is a new one, the key is not */
	assert_int_equal(mkdir(dir, 0700), 0);

	start(&v);
	assert_string_equal(shell.key.name, name);
	exit_send(1);
	assert_true(serve(5000));
	assert_int_equal(receipt.rc, RC_OK);
	assert_true(strncmp(shell.key.name, name, strlen(name)) == 0 && shell.key.name[strlen(name)] == '/');
	const struct kept *last = kept_of(name);
	assert_true(last && last->head.size == seen);
	snprintf(path, sizeof path, "%s/seen", shell.recovery.archive);
	assert_true(file_holds(path, name));
	assert_int_equal(shell.recovery.size, 0);
	assert_int_equal(shell.recovery.seen.checkpoint.size, seen);
	/* The witness does not know the new log before it is told. */
	serve(1200);
	assert_int_equal(seen_size(), 0);
	witness_told();
	wait_seen();
	key = shell.key;
	stop();
	/* The name stays. */
	start(&v);
	assert_string_equal(shell.key.name, key.name);
	exit_send(1);
	assert_true(serve(5000));
	assert_string_equal(shell.key.name, key.name);
	stop();
}

/* In the shell, with $D for the directory and $X for the other word. */
static void shell_command(const char *what, const char *word)
{
	char command[400];

	snprintf(command, sizeof command, "D=%s; X=%s; %s", dir, word, what);
	assert_int_equal(system(command), 0);
}

/* As if it had seen nothing of it. */
static void journal_head_forget(void)
{
	struct kept *k = kept_of(shell.key.name);

	assert_non_null(k);
	if (k)
		k->head.size = 0;
}

/* The witness cosigns the last head in the journal: somebody has read it there, and shown it with a proof. */
static void journal_head_shown(void)
{
	static uint8_t journal[1 << 18];
	char path[200], line[COSIGN_LINE_MAX];
	struct kept *k = kept_of(shell.key.name);
	struct journal_record j = { 0 };
	struct note note;

	snprintf(path, sizeof path, "%s/journal", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, journal, sizeof journal);
	close(fd);
	assert_true(n > 0 && k);
	struct rd r = rd_over(journal, (size_t)n);
	while (journal_next(&r, &j) == RC_OK)
		;
	assert_int_equal(note_parse(&note, j.note, j.note_n, NULL), RC_OK);
	struct checkpoint c;
	assert_int_equal(checkpoint_parse(&c, note.text, note.text_n, NULL), RC_OK);
	assert_true(c.size > k->head.size);
	assert_true(cosign_line(line, sizeof line, note.text, note.text_n, &witness.key, witness.seed,
			    clock_utc() / 1000000) > 0);
	k->head.size = c.size;
	k->head.root = c.root;
	memcpy(k->note, j.note, j.note_n);
	memcpy(k->note + j.note_n, line, strlen(line));
	k->note_n = j.note_n + strlen(line);
}

/* A head that is signed, and not published yet, is ours: whoever can read the journal ends no log with it. */
static void a_head_of_the_journal_ends_nothing(void **state)
{
	const struct snap_evidence v = evidence(0);
	char name[NOTE_NAME_MAX];

	start(&v);
	witness_told();
	wait_seen();
	snprintf(name, sizeof name, "%s", shell.key.name);
	exit_send(1);
	assert_true(serve(5000));
	assert_true(ledger_published(shell.log) < ledger_size(shell.log));
	/* while it is at work */
	journal_head_shown();
	shell_command("cp -a $D $D.held", "");
	shell.witnesses.peer[0].poll.settled = false; /* asks now, and not with the next checkpoint */
	witness_poll_urge(&shell.witnesses.peer[0].poll);
	witnesses_wake(&shell.witnesses);
	unsigned before = asked;
	for (int i = 0; i < 50 && asked < before + 2; i++)
		serve(5);
	assert_true(asked >= before + 2);
	serve(50);
	assert_string_equal(shell.key.name, name);
	wait_seen();
	stop();
	/* and at a start after a loss of power */
	shell_command("rm -rf $D && mv $D.held $D", "");
	journal_head_forget();
	journal_head_shown();
	start(&v);
	mono_ns begun = clock_mono();
	exit_send(1);
	assert_true(serve(5000));
	assert_true(clock_mono() - begun < 2 * NS_PER_S); /* nor is a start held up by it */
	assert_string_equal(shell.key.name, name);
	wait_seen();
	assert_false(entered("ledger_recovery"));
	stop();
}

/* The recovery is cut off behind each of its moves, and behind the new log's name: the next start ends in the
 * same way. */
static void a_recovery_that_is_cut_off(void **state)
{
	static const char *const moves[] = { "journal", "cosigned", "checkpoint", "tile", "seal",
		"log.vkey" };
	const struct snap_evidence v = evidence(0);
	char name[NOTE_NAME_MAX], old[NOTE_NAME_MAX];

	start(&v);
	witness_told();
	wait_seen();
	snprintf(old, sizeof old, "%s", shell.key.name);
	stop();
	shell_command("mkdir $D.held && cp -a $D/. $D.held/", "");
	start(&v);
	wait_seen();
	stop();
	for (size_t done = 0; done <= COUNT_OF(moves); done++) {
		shell_command("rm -rf $D && cp -a $D.held $D && mkdir -p $D/before/cut", "");
		for (size_t i = 0; i < done; i++)
			shell_command("mv $D/$X $D/before/cut/", moves[i]);
		start(&v);
		exit_send(1);
		assert_true(serve(6000));
		assert_int_equal(receipt.rc, RC_OK);
		assert_true(
			strncmp(shell.key.name, old, strlen(old)) == 0 && shell.key.name[strlen(old)] == '/');
		snprintf(name, sizeof name, "%s", shell.key.name);
		stop();
		assert_true(entered("ledger_recovery"));
	}
	/* The new name stands, and no entry yet. */
	shell_command("rm -rf $D/tile $D/seal $D/checkpoint $D/cosigned && : > $D/journal", "");
	assert_false(entered("ledger_recovery"));
	start(&v);
	exit_send(1);
	assert_true(serve(6000));
	assert_string_equal(shell.key.name, name);
	assert_string_equal(shell.recovery.origin, old);
	stop();
	assert_true(entered("ledger_recovery"));
	shell_command("rm -r $D.held", "");
}

/* It turns out while the ledger is at work: what waits is refused, and numbers go on in the new log. */
static void found_out_later(void **state)
{
	const struct snap_evidence v = evidence(REQUIRED_COMMIT);
	char name[NOTE_NAME_MAX];

	start(&v);
	witness_told();
	wait_seen();
	snprintf(name, sizeof name, "%s", shell.key.name);
	stop();
	teardown(NULL);
	assert_int_equal(mkdir(dir, 0700), 0);
	mood = WITNESS_DEAD;
	start(&v);
	exit_send(1);
	assert_true(serve(7000));
	assert_string_equal(shell.key.name, name); /* nobody could be asked */
	commit_send(1);
	assert_false(serve(100));
	mood = WITNESS_WELL;
	assert_true(serve(7000));
	assert_int_equal(receipt.rc, RC_AGAIN);
	assert_non_null(strstr(receipt.text, "new one begins"));
	serve(300);
	assert_string_not_equal(shell.key.name, name);
	witness_told();
	commit_send(2);
	assert_true(serve(6000));
	assert_int_equal(receipt.rc, RC_OK);
	exit_send(2);
	assert_true(serve(5000));
	assert_int_equal(receipt.rc, RC_OK);
	stop();
}

/* What was not read whole is not written to: a bundle of this boot is missing. */
static void a_start_that_fails_writes_nothing(void **state)
{
	struct snap_evidence v = { .heartbeat_s = 30 };

	start(&v);
	for (uint64_t n = 1; n <= 300; n++) {
		exit_send(n);
		if (n % 10 == 0) /* as many as the link takes at once */
			assert_true(serve(6000));
	}
	serve(1500);
	stop();
	shell_command("rm $D/tile/entries/000 && cp -a $D $D.before", "");
	starting = false;
	start(&v);
	exit_send(301);
	commit_send(1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_once(&child.loop, NS_PER_MS, NULL), RC_OK);
	starting = true;
	loop_stop(&child.loop);
	assert_int_equal(child_run(&child), 1);
	ipc_link_close(&supervisor);
	ipc_link_close(&control);
	shell_command("diff -r $D $D.before && rm -r $D.before", "");
}

#define ONLY (&shell.witnesses.peer[0].poll)

/* Another entry, or a pause that is over, brings another question; the courier keeps it. */
static void question_wait(unsigned before)
{
	courier_mute = true;
	for (int i = 0; i < 400 && asked == before; i++)
		serve(10);
	assert_int_equal(asked, before + 1);
}

static void reply_send(uint64_t tag, uint32_t status, uint32_t body_n)
{
	reply.status = status;
	reply.body_n = body_n;
	assert_int_equal(ipc_send_WITNESS_ANSWER(&courier, tag, &reply), RC_OK);
	serve(50);
}

static void by_its_url(void **state)
{
	struct snap_evidence v = evidence(0);

	v.witness[0].at = (struct endpoint){ 0 };
	v.heartbeat_s = 30;
	snprintf(v.witness[0].url, sizeof v.witness[0].url, "https://w.example/x");
	start(&v); /* there is no courier before the ledger: it is not waited for */
	witness_told();
	exit_send(1);
	assert_true(serve(2000));
	assert_int_equal(receipt.rc, RC_OK);
	assert_non_null(strstr(ONLY->error, "the courier is not running"));
	/* It comes, and is asked at once. */
	ONLY->next = clock_mono() + 3600 * NS_PER_S;
	courier_join();
	wait_seen();
	/* It goes while a question is under way, and comes again. */
	exit_send(2);
	question_wait(asked);
	ipc_link_close(&courier);
	serve(100);
	assert_non_null(strstr(ONLY->error, "the courier ended"));
	courier_mute = false;
	courier_join();
	wait_seen();
	/* What is no answer to a question of ours is none; what is malformed has failed. */
	exit_send(3);
	question_wait(asked);
	reply_send(question_tag + 1, 404, 0);
	assert_int_equal(ONLY->under_way, WITNESS_POLL_ADD);
	reply_send(question_tag, 200, sizeof reply.body + 1);
	assert_non_null(strstr(ONLY->error, "malformed"));
	question_wait(asked);
	memset(reply.why, 'y', sizeof reply.why); /* not terminated */
	reply_send(question_tag, 0, 0);
	assert_int_equal(strspn(ONLY->error, "y"), sizeof ONLY->error - 1);
	/* It wants to be left alone: for so long, whatever comes meanwhile. */
	question_wait(asked);
	reply.retry_after_s = 3;
	mono_ns begun = clock_mono();
	reply_send(question_tag, 429, 0);
	unsigned before = asked;
	for (uint64_t n = 4; n < 8; n++, serve(600))
		exit_send(n);
	serve(600);
	assert_int_equal(asked, before);
	assert_string_equal(ONLY->error,
		"the witness is busy (status 429); it asked to be left alone for 3 s (Retry-After)");
	courier_mute = false;
	wait_seen();
	assert_true(clock_mono() - begun > 29 * NS_PER_S / 10 && connects == 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_before_anything_is_entered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_head_of_the_journal_ends_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_required_act_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(acts_that_wait_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(who_did_not_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(claims_end_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_has_seen_ends_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(a_recovery_that_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_that_fails_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(found_out_later, setup, teardown),
		cmocka_unit_test_setup_teardown(by_its_url, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
