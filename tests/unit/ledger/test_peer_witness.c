/* A gateway as a witness of its peers' ledgers: asked over IKE, decided by the witness's core, kept on disk.
 */
#include "../witness/witness_fixture.h"
#include "memory.h"
#include "proc/ledger/peer_witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S	  1800000000u
#define HEARTBEAT (30 * NS_PER_S)

static struct fixture f;
static struct disk disk;
static struct ledger_store files;
static struct note_key ledger;
static const uint8_t ledger_seed[ED25519_SEED_SIZE] = "the seed of the ledger's own key";
static struct peer_witness v;
static char ask[WITNESS_BODY_MAX], answer[WITNESS_BODY_MAX + 8];
static enum peer_witness_news news;
static const struct peer_witness_log *about;

static void begin(void)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];

	ed25519_public(public_key, ledger_seed);
	assert_int_equal(
		note_key_make(&ledger, "plaingate/ledger/0123456789abcdef", NOTE_ED25519, public_key), RC_OK);
	assert_int_equal(peer_witness_begin(&v, &files, &ledger, ledger_seed), RC_OK);
}

static void trust(mono_ns now)
{
	struct peer_witness_log logs[2] = { { .peer = "branch", .key = f.log[0] },
		{ .peer = "other", .key = f.log[2] } };

	assert_int_equal(peer_witness_set(&v, logs, 2, HEARTBEAT, now), RC_OK);
}

static int setup(void **state)
{
	(void)state;
	fixture_init(&f);
	disk = (struct disk){ 0 };
	files = disk_store(&disk);
	begin();
	trust(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_witness_done(&v);
	memory_done(&disk.files);
	return 0;
}

/* The status of the answer; the body stands behind it in `answer`. */
static unsigned asked(const char *peer, const void *text, size_t n, mono_ns now)
{
	size_t length =
		peer_witness_answer(&v, peer, text, n, NOW_S, now, answer, sizeof answer - 1, &news, &about);

	answer[length] = '\0';
	return length ? (unsigned)strtoul(answer, NULL, 10) : 0;
}

static unsigned asked_for(unsigned history, uint64_t old, uint64_t size)
{
	return asked("branch", ask, fixture_request(&f, ask, sizeof ask, history, old, size), 1);
}

static const char *body(void)
{
	return strchr(answer, '\n') + 1;
}

/* The line that came stands for that checkpoint, by our key. */
static void cosigned(unsigned history, uint64_t size)
{
	struct merkle_hash root = fixture_root(&f, history, size);
	struct witness_reply reply;
	char note[NOTE_BYTES_MAX];
	size_t n = fixture_note(&f, note, sizeof note, 0, NULL, size, &root);

	witness_reply_read(&reply, &v.witness.key, note, n, 0, 200, body(), strlen(body()), NULL);
	assert_int_equal(reply.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(reply.size, size);
	assert_int_equal(reply.time_s, NOW_S);
}

static void grows(void **state)
{
	(void)state;
	assert_int_equal(asked_for(0, 0, 5), 200);
	cosigned(0, 5);
	assert_int_equal(asked_for(0, 5, 12), 200);
	cosigned(0, 12);
	assert_int_equal(asked_for(0, 0, 12), 409);
	assert_string_equal(body(), "12\n");
	assert_int_equal(v.logs[0].size, 12);
}

/* What was cosigned is not forgotten by a new start, and the key is the same. */
static void after_a_start(void **state)
{
	struct note_key key = v.witness.key;

	(void)state;
	assert_int_equal(asked_for(0, 0, 12), 200);
	peer_witness_done(&v);
	begin();
	trust(0);
	assert_memory_equal(&key, &v.witness.key, sizeof key);
	assert_true(strncmp(key.name, "plaingate/witness/", 18) == 0 && strlen(key.name) == 18 + 16);
	assert_int_equal(asked_for(1, 0, 20), 409);
	assert_int_equal(asked_for(0, 12, 20), 200);
}

static void another_history(void **state)
{
	char path[PEER_WITNESS_PATH_MAX + 8];
	size_t n;

	(void)state;
	assert_int_equal(asked_for(0, 0, 12), 200);
	assert_int_equal(asked_for(1, 12, 20), 422);
	assert_int_equal(news, PEER_WITNESS_NOTHING); /* not proved: two roots of one size would be */
	assert_int_equal(asked_for(1, 12, 12), 422);
	assert_int_equal(news, PEER_WITNESS_FORKED);
	assert_string_equal(about->peer, "branch");
	peer_witness_path(path, f.log[0].name);
	strcat(path, ".fork");
	assert_non_null(memory_get(&disk.files, path, &n));
	assert_int_equal(asked_for(1, 12, 12), 422); /* told once */
	assert_int_equal(news, PEER_WITNESS_NOTHING);
	assert_int_equal(asked_for(0, 12, 20), 200); /* the first history goes on */
}

static void who_may_ask(void **state)
{
	size_t n = fixture_request(&f, ask, sizeof ask, 0, 0, 5);

	(void)state;
	assert_int_equal(asked("stranger", ask, n, 1), 0);
	assert_int_equal(asked("other", ask, n, 1), 404); /* a peer vouches for nobody else's log */
	assert_int_equal(asked("branch", "old", 3, 1), 400);
	assert_int_equal(asked("branch", ask, n, 1), 200);
}

static void what_was_seen(void **state)
{
	struct checkpoint c;
	uint64_t time_s;

	(void)state;
	assert_int_equal(asked("branch", PEER_WITNESS_ASK_SEEN, 5, 1), 404);
	assert_int_equal(asked_for(0, 0, 12), 200);
	assert_int_equal(asked("branch", PEER_WITNESS_ASK_SEEN, 5, 1), 200);
	assert_int_equal(
		witness_seen_parse(&c, &time_s, &f.log[0], &v.witness.key, body(), strlen(body()), NULL),
		RC_OK);
	assert_int_equal(c.size, 12);
	assert_int_equal(time_s, NOW_S);
}

static void changed_on_the_disk(void **state)
{
	char path[PEER_WITNESS_PATH_MAX];
	const uint8_t *bytes;
	uint8_t changed[4096];
	size_t n;

	(void)state;
	assert_int_equal(asked_for(0, 0, 12), 200);
	bytes = memory_get(&disk.files, peer_witness_path(path, f.log[0].name), &n);
	memcpy(changed, bytes, n);
	for (size_t i = 0; i < n; i += 7) {
		changed[i] ^= 1;
		memory_put(&disk.files, path, changed, n);
		unsigned status = asked_for(1, 0, 20);
		/* Never a cosignature over another history, whatever the disk says. */
		assert_true(status == 500 || status == 409);
		changed[i] ^= 1;
	}
	memory_put(&disk.files, path, changed, n);
	assert_int_equal(asked_for(0, 12, 20), 200);
}

static enum rc full(void *context, struct disk *d, const struct disk_change *c)
{
	(void)context, (void)d, (void)c;
	return RC_IO;
}

static void full_disk(void **state)
{
	(void)state;
	disk.before = full;
	assert_int_equal(asked_for(0, 0, 5), 500);
	disk.before = NULL;
	assert_int_equal(asked_for(1, 0, 5), 200); /* nothing had been cosigned */
}

static void silence(void **state)
{
	const mono_ns late = PEER_WITNESS_SILENT_AFTER * HEARTBEAT;
	size_t n = fixture_request(&f, ask, sizeof ask, 0, 0, 5);

	(void)state;
	assert_null(peer_witness_silence(&v, late - 1));
	assert_int_equal(asked("branch", ask, n, late / 2), 200);
	about = peer_witness_silence(&v, late);
	assert_non_null(about);
	assert_string_equal(about->peer, "other");
	assert_null(peer_witness_silence(&v, late));
	about = peer_witness_silence(&v, late / 2 + late);
	assert_non_null(about);
	assert_string_equal(about->peer, "branch");
	n = fixture_request(&f, ask, sizeof ask, 0, 5, 6);
	assert_int_equal(asked("branch", ask, n, 3 * late), 200);
	assert_int_equal(news, PEER_WITNESS_RETURNED);
	/* The list comes again with each commit: nothing of it is forgotten. */
	trust(4 * late);
	assert_int_equal(v.logs[0].size, 6);
	assert_int_equal(v.logs[0].heard_at, 3 * late);
	assert_true(v.logs[1].silent);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(grows),
		T(after_a_start),
		T(another_history),
		T(who_may_ask),
		T(what_was_seen),
		T(changed_on_the_disk),
		T(full_disk),
		T(silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
