/* The witness's decision: the whole table of answers, what is kept, and what can come between. */
#include "witness_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1000000u

static struct fixture f;
static char body[WITNESS_BODY_MAX + 4096], note[NOTE_BYTES_MAX + 4096];

static struct witness_answer ask(size_t n, uint64_t now_s)
{
	struct witness_answer a;

	witness_add_checkpoint(&f.witness, body, n, now_s, &a);
	assert_int_equal(strlen(a.body), a.body_n);
	assert_true(a.body_n > 1 && a.body[a.body_n - 1] == '\n');
	assert_non_null(a.content_type);
	/* Only a cosigned answer holds a signature line, and a 409 a size. */
	assert_int_equal(strncmp(a.body, "\xe2\x80\x94 ", 4) == 0, a.status == WITNESS_COSIGNED);
	assert_int_equal(strcmp(a.content_type, WITNESS_SIZE_TYPE) == 0, a.status == WITNESS_CONFLICT);
	/* A name is repeated only when its log signed. */
	assert_true(a.origin[0] == '\0' || f.witness.logs_n > 0);
	if (a.status == WITNESS_COSIGNED || a.status == WITNESS_CONFLICT || a.status == WITNESS_INCONSISTENT)
		assert_true(f.witness.log_origin || strcmp(a.origin, FIXTURE_ORIGIN) == 0 ||
			    strcmp(a.origin, FIXTURE_OTHER) == 0);
	if (a.status == WITNESS_WRONG_KEY || a.status == WITNESS_UNKNOWN_LOG)
		assert_string_equal(a.origin, "");
	return a;
}

static struct witness_answer ask_honest(unsigned history, uint64_t old, uint64_t size, uint64_t now_s)
{
	return ask(fixture_request(&f, body, sizeof body, history, old, size), now_s);
}

/* The answer is right by the log's side, and what is kept is the same tree, cosigned, as who monitors will
 * read it. */
static void assert_cosigned(const struct witness_answer *a, unsigned history, uint64_t size, uint64_t time_s)
{
	struct merkle_hash root = fixture_root(&f, history, size);
	const struct kept *k = fixture_kept(&f, FIXTURE_ORIGIN);
	struct checkpoint c;
	struct witness_reply r;
	uint64_t seen_s;
	char sent[1024];
	size_t n = fixture_note(&f, sent, sizeof sent, 0, NULL, size, &root);

	assert_int_equal(a->status, WITNESS_COSIGNED);
	witness_reply_read(&r, &f.witness.key, sent, n, size, 200, a->body, a->body_n, NULL);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(r.time_s, time_s);
	assert_int_equal(r.size, size);
	assert_string_equal(r.line, a->body);
	assert_non_null(k);
	assert_int_equal(k->head.size, size);
	assert_int_equal(k->head.time_s, time_s);
	assert_true(merkle_equal(&k->head.root, &root));
	assert_int_equal(
		witness_seen_parse(&c, &seen_s, &f.log[0], &f.witness.key, k->note, k->note_n, NULL), RC_OK);
	assert_int_equal(c.size, size);
	assert_true(merkle_equal(&c.root, &root));
	assert_int_equal(seen_s, time_s);
}

static void grows(void **state)
{
	static const uint64_t sizes[] = { 0, 0, 1, 1, 2, 5, 8, 8, 9, 17, 32, 33, 40, 40 };
	uint64_t old = 0;

	fixture_init(&f);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct witness_answer a = ask_honest(0, old, sizes[i], NOW + i);
		assert_cosigned(&a, 0, sizes[i], NOW + i);
		old = sizes[i];
	}
	assert_int_equal(f.puts, COUNT_OF(sizes));
	/* From every size to every larger one. */
	for (uint64_t from = 0; from <= FIXTURE_LEAVES; from++)
		for (uint64_t to = from; to <= FIXTURE_LEAVES; to++) {
			fixture_init(&f);
			struct witness_answer a = ask_honest(1, 0, from, NOW);
			assert_cosigned(&a, 1, from, NOW);
			a = ask_honest(1, from, to, NOW + 1);
			assert_cosigned(&a, 1, to, NOW + 1);
		}
}

/* A row of the table: the witness has cosigned `has` entries (-1: never anything) of history 0. */
struct status_row {
	const char *name;
	int has;
	unsigned history;
	uint64_t old, size;
	int wrong_root, hashes; /* root of zeros; hashes to send beyond the proof's, or -1: one less */
	enum witness_status want;
};

/* clang-format off */
static const struct status_row status_rows[] = {
	{ "first, empty tree", -1, 0, 0, 0, 0, 0, WITNESS_COSIGNED },
	{ "first, some entries", -1, 0, 0, 7, 0, 0, WITNESS_COSIGNED },
	{ "first, but from another size", -1, 0, 3, 7, 0, 0, WITNESS_CONFLICT },
	{ "old above size", 7, 0, 7, 6, 0, 0, WITNESS_MALFORMED },
	{ "old above size, nothing known", -1, 0, 1, 0, 0, 0, WITNESS_MALFORMED },
	{ "old above size and not the one kept", 3, 0, 9, 5, 0, 0, WITNESS_MALFORMED },
	{ "old below the one kept", 7, 0, 6, 9, 0, 0, WITNESS_CONFLICT },
	{ "old 0 to learn the size", 7, 0, 0, 9, 0, 0, WITNESS_CONFLICT },
	{ "old 0 with a proof, not the one kept", 7, 0, 0, 9, 0, 1, WITNESS_CONFLICT },
	{ "old above the one kept", 7, 0, 8, 9, 0, 0, WITNESS_CONFLICT },
	{ "the size went back", 7, 0, 5, 6, 0, 0, WITNESS_CONFLICT },
	{ "grown again to the same size, another history", 12, 1, 5, 12, 0, 0, WITNESS_CONFLICT },
	{ "old 0 with a proof", -1, 0, 0, 7, 0, 1, WITNESS_INCONSISTENT },
	{ "old 0 and size 0 with a proof", -1, 0, 0, 0, 0, 1, WITNESS_INCONSISTENT },
	{ "size 0 with another root", -1, 0, 0, 0, 1, 0, WITNESS_INCONSISTENT },
	{ "size 0 with another root, again", 0, 0, 0, 0, 1, 0, WITNESS_INCONSISTENT },
	{ "from a cosigned empty tree", 0, 0, 0, 5, 0, 0, WITNESS_COSIGNED },
	{ "same size, same root", 7, 0, 7, 7, 0, 0, WITNESS_COSIGNED },
	{ "same size with a proof", 7, 0, 7, 7, 0, 1, WITNESS_INCONSISTENT },
	{ "same size, other root", 7, 0, 7, 7, 1, 0, WITNESS_INCONSISTENT },
	{ "same size behind the fork", 12, 1, 12, 12, 0, 0, WITNESS_INCONSISTENT },
	{ "grows before the fork", 5, 1, 5, 20, 0, 0, WITNESS_COSIGNED },
	{ "grows up to the fork's size", FIXTURE_FORK, 1, FIXTURE_FORK, 20, 0, 0, WITNESS_COSIGNED },
	{ "grows in another history", FIXTURE_FORK + 1, 1, FIXTURE_FORK + 1, 20, 0, 0, WITNESS_INCONSISTENT },
	{ "grows with another root", 7, 0, 7, 9, 1, 0, WITNESS_INCONSISTENT },
	{ "a hash too few", 7, 0, 7, 9, 0, -1, WITNESS_INCONSISTENT },
	{ "a hash too many", 7, 0, 7, 9, 0, 1, WITNESS_INCONSISTENT },
	{ "no proof at all", 8, 0, 8, 9, 0, -1, WITNESS_INCONSISTENT },
};
/* clang-format on */

static void status_table(void **state)
{
	for (size_t i = 0; i < COUNT_OF(status_rows); i++) {
		fixture_init(&f);
		if (status_rows[i].has >= 0) {
			struct witness_answer first = ask_honest(0, 0, (uint64_t)status_rows[i].has, NOW);
			assert_int_equal(first.status, WITNESS_COSIGNED);
		}
		struct kept before = f.kept[0];
		unsigned puts = f.puts;
		struct merkle_hash root = { 0 };
		if (!status_rows[i].wrong_root)
			root = fixture_root(&f, status_rows[i].history, status_rows[i].size);
		struct merkle_proof p =
			fixture_proof(&f, status_rows[i].history, status_rows[i].old, status_rows[i].size);
		for (int h = 0; h < status_rows[i].hashes; h++)
			p.hash[p.n++] = merkle_leaf("x", 1);
		if (status_rows[i].hashes < 0)
			p.n--;
		size_t note_n = fixture_note(&f, note, sizeof note, 0, NULL, status_rows[i].size, &root);
		struct witness_answer a =
			ask(witness_request_text(body, sizeof body, status_rows[i].old, &p, note, note_n),
				NOW + 1);
		if (a.status != status_rows[i].want)
			fail_msg("%s: %d %s", status_rows[i].name, a.status, a.body);
		assert_int_equal(a.forked, status_rows[i].has >= 0 &&
						   status_rows[i].size == (uint64_t)status_rows[i].has &&
						   !merkle_equal(&root, &before.head.root));
		if (a.status == WITNESS_CONFLICT) {
			char size[24];
			snprintf(size, sizeof size, "%d\n", status_rows[i].has < 0 ? 0 : status_rows[i].has);
			assert_string_equal(a.body, size);
		}
		/* What is not cosigned leaves no trace. */
		if (a.status != WITNESS_COSIGNED) {
			assert_int_equal(f.puts, puts);
			assert_memory_equal(&before, &f.kept[0], sizeof before);
		}
	}
}

static void signatures(void **state)
{
	struct merkle_hash root;
	char other[2048];
	size_t n, other_n;

	fixture_init(&f);
	root = fixture_root(&f, 0, 5);
	/* an origin that nobody trusts */
	n = fixture_note(&f, note, sizeof note, 0, "log.example/three", 5, &root);
	struct witness_answer a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_UNKNOWN_LOG);
	/* signed by the key of another log */
	n = fixture_note(&f, note, sizeof note, 2, FIXTURE_ORIGIN, 5, &root);
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_WRONG_KEY);
	/* a trusted key's line, wrong: alone, and beside a right one of the other trusted key */
	n = fixture_note(&f, note, sizeof note, 0, NULL, 5, &root);
	note[strlen(FIXTURE_ORIGIN) + 1] = '6'; /* the size */
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_WRONG_KEY);
	n = fixture_note(&f, note, sizeof note, 0, NULL, 5, &root);
	struct merkle_hash wrong = { 0 };
	other_n = fixture_note(&f, other, sizeof other, 1, NULL, 5, &wrong);
	const char *line = strstr(other, "\n\n") + 2;
	memcpy(note + n, line, other_n - (size_t)(line - other));
	n += other_n - (size_t)(line - other);
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_WRONG_KEY);
	assert_int_equal(f.puts, 0);

	/* both keys right: both lines are kept, those of strangers are not */
	n = fixture_note(&f, note, sizeof note, 0, NULL, 5, &root);
	other_n = fixture_note(&f, other, sizeof other, 1, NULL, 5, &root);
	line = strstr(other, "\n\n") + 2;
	memcpy(note + n, line, other_n - (size_t)(line - other));
	n += other_n - (size_t)(line - other);
	n += (size_t)snprintf(note + n, sizeof note - n, "\xe2\x80\x94 stranger AAAAAAE=\n");
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_COSIGNED);
	struct note kept;
	const struct kept *k = fixture_kept(&f, FIXTURE_ORIGIN);
	assert_int_equal(note_parse(&kept, k->note, k->note_n, NULL), RC_OK);
	assert_int_equal(kept.signatures_n, 3);
	assert_int_equal(note_verify(&kept, &f.log[0], NULL), RC_OK);
	assert_int_equal(note_verify(&kept, &f.log[1], NULL), RC_OK);
	assert_int_equal(cosign_verify(&kept, &f.witness.key, NULL, NULL), RC_OK);

	/* Logs are apart: the other one begins at nothing. */
	root = fixture_root(&f, 1, 3);
	n = fixture_note(&f, note, sizeof note, 2, NULL, 3, &root);
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_COSIGNED);
	assert_int_equal(fixture_kept(&f, FIXTURE_OTHER)->head.size, 3);
	assert_int_equal(fixture_kept(&f, FIXTURE_ORIGIN)->head.size, 5);
	f.witness.logs_n = 0;
	a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_int_equal(a.status, WITNESS_UNKNOWN_LOG);
}

/* The Go checksum database's checkpoints begin with "go.sum database tree", and its key is called
 * sum.golang.org. */
static void origins_that_are_no_names(void **state)
{
	static const char *const origins[] = { "go.sum database tree", "a+b", " ", "log of M\xc3\xbcnchen" };
	const char *configured[COUNT_OF(f.log)] = { 0 };
	char path[WITNESS_PATH_MAX];
	struct merkle_hash root;
	struct witness_answer a;

	for (size_t i = 0; i < COUNT_OF(origins); i++) {
		fixture_init(&f);
		root = fixture_root(&f, 0, 5);
		size_t n = fixture_note(&f, note, sizeof note, 2, origins[i], 5, &root);
		/* Not of the key's name, and not configured: unknown. */
		a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
		assert_int_equal(a.status, WITNESS_UNKNOWN_LOG);
		configured[2] = origins[i];
		f.witness.log_origin = configured;
		a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
		assert_int_equal(a.status, WITNESS_COSIGNED);
		assert_string_equal(a.origin, origins[i]);
		assert_int_equal(fixture_kept(&f, origins[i])->head.size, 5);
		assert_int_equal(strlen(witness_monitor_path(path, origins[i])), WITNESS_PATH_MAX - 1);
		/* Its key is trusted for this origin and no longer for its own name; others are as they were.
		 */
		n = fixture_note(&f, note, sizeof note, 2, NULL, 5, &root);
		a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
		assert_int_equal(a.status, WITNESS_UNKNOWN_LOG);
		n = fixture_note(&f, note, sizeof note, 0, origins[i], 6, &root);
		a = ask(witness_request_text(body, sizeof body, 5, NULL, note, n), NOW);
		assert_int_equal(a.status, WITNESS_WRONG_KEY);
		f.witness.log_origin = NULL;
	}
}

static void full_notes(void **state)
{
	struct merkle_hash root;
	size_t n;

	/* The log's line sixteen times: all are right, one is kept, and what is kept can be read. */
	fixture_init(&f);
	root = fixture_root(&f, 0, 5);
	n = fixture_note(&f, note, sizeof note, 0, NULL, 5, &root);
	const char *line = strstr(note, "\n\n") + 2;
	size_t line_n = n - (size_t)(line - note);
	for (int i = 1; i < NOTE_SIGNATURES_MAX; i++, n += line_n)
		memcpy(note + n, line, line_n);
	struct witness_answer a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
	assert_cosigned(&a, 0, 5, NOW);
	/* Extension lines are cosigned and kept, up to where the cosignature has no room any more. */
	bool cosigned = false, refused = false;
	for (size_t fill = 15000; fill < NOTE_BYTES_MAX; fill += 100) {
		char text[NOTE_BYTES_MAX], b64[BASE64_SIZE(SHA256_SIZE)];
		fixture_init(&f);
		base64_from_bytes(b64, root.b, sizeof root.b);
		int at = snprintf(text, sizeof text, "%s\n5\n%s\n", FIXTURE_ORIGIN, b64);
		memset(text + at, 'x', fill - (size_t)at);
		text[fill - 1] = '\n';
		n = note_sign(note, sizeof note, text, fill, &f.log[0], f.seed[0]);
		a = ask(witness_request_text(body, sizeof body, 0, NULL, note, n), NOW);
		assert_true(a.status == WITNESS_COSIGNED || a.status == WITNESS_MALFORMED);
		assert_int_equal(f.puts, a.status == WITNESS_COSIGNED);
		cosigned |= a.status == WITNESS_COSIGNED;
		refused |= a.status == WITNESS_MALFORMED;
		if (a.status == WITNESS_COSIGNED) {
			struct note kept;
			assert_int_equal(note_parse(&kept, f.kept[0].note, f.kept[0].note_n, NULL), RC_OK);
			assert_int_equal(kept.text_n, fill);
		}
	}
	assert_true(cosigned && refused);
}

#define GOOD_NOTE                                                                                            \
	FIXTURE_ORIGIN "\n5\n"                                                                               \
		       "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\xe2\x80\x94 a AAAAAAE=\n"
#define HASH "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

static void malformed(void **state)
{
	static const char *rows[] = {
		"",
		"old",
		"old 0",
		"old 0\n",
		"old 0\n\n",
		"old\n\n" GOOD_NOTE,
		"old \n\n" GOOD_NOTE,
		"old 00\n\n" GOOD_NOTE,
		"old 01\n\n" GOOD_NOTE,
		"old -1\n\n" GOOD_NOTE,
		"old 0 \n\n" GOOD_NOTE,
		"old  0\n\n" GOOD_NOTE,
		"Old 0\n\n" GOOD_NOTE,
		"old 0\r\n\r\n" GOOD_NOTE,
		"old 99999999999999999999\n\n" GOOD_NOTE,
		"old 0\nnonsense\n\n" GOOD_NOTE,
		"old 0\nAAAA\n\n" GOOD_NOTE,
		"old 0\n" HASH GOOD_NOTE,
		"old 0\n\n\n" GOOD_NOTE,
		"old 0\n\n" FIXTURE_ORIGIN "\n5\n",
		"old 0\n\n" FIXTURE_ORIGIN "\n5\n\n\xe2\x80\x94 a AAAAAAE=\n",
		"old 0\n\n" FIXTURE_ORIGIN "\n05\n" HASH "\n\xe2\x80\x94 a AAAAAAE=\n",
		"old 0\n\n" FIXTURE_ORIGIN "\n9223372036854775808\n" HASH "\n\xe2\x80\x94 a AAAAAAE=\n",
		"old 0\n\n" FIXTURE_ORIGIN "\n5\n" HASH "\n\n\xe2\x80\x94 a AAAAAAE=\n",
	};
	struct witness_request r;
	size_t n;

	fixture_init(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		memcpy(body, rows[i], strlen(rows[i]));
		struct witness_answer a = ask(strlen(rows[i]), NOW);
		if (a.status != WITNESS_MALFORMED)
			fail_msg("row %zu: %d %s", i, a.status, a.body);
	}
	/* the note that the rows are made of is good by itself: an unsigned one */
	n = (size_t)snprintf(body, sizeof body, "old 0\n\n%s", GOOD_NOTE);
	assert_int_equal(ask(n, NOW).status, WITNESS_WRONG_KEY);

	/* 63 hashes are read, one more is not; a body above the limit is not */
	for (unsigned hashes = 62; hashes <= 64; hashes++) {
		n = (size_t)snprintf(body, sizeof body, "old 0\n");
		for (unsigned i = 0; i < hashes; i++)
			n += (size_t)snprintf(body + n, sizeof body - n, HASH);
		n += (size_t)snprintf(body + n, sizeof body - n, "\n%s", GOOD_NOTE);
		assert_int_equal(witness_request_parse(&r, body, n, NULL), hashes <= 63 ? RC_OK : RC_LIMIT);
		assert_int_equal(ask(n, NOW).status, hashes <= 63 ? WITNESS_WRONG_KEY : WITNESS_MALFORMED);
	}
	assert_int_equal(witness_request_parse(&r, body, WITNESS_BODY_MAX + 1, NULL), RC_LIMIT);

	/* Every shorter body of a good request: refused, nothing kept. Every flipped bit: the same. */
	ask_honest(0, 0, 7, NOW);
	unsigned puts = f.puts;
	n = fixture_request(&f, body, sizeof body, 0, 7, 20);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(ask(cut, NOW).status, WITNESS_COSIGNED);
	for (size_t at = 0; at < n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			body[at] = (char)(body[at] ^ 1 << bit);
			assert_int_not_equal(ask(n, NOW).status, WITNESS_COSIGNED);
			body[at] = (char)(body[at] ^ 1 << bit);
		}
	assert_int_equal(f.puts, puts);
	assert_int_equal(ask(n, NOW).status, WITNESS_COSIGNED);
}

static void round_trip(void **state)
{
	struct witness_request r;

	fixture_init(&f);
	for (uint64_t old = 0; old <= 20; old++) {
		struct merkle_proof p = fixture_proof(&f, 0, old, 20);
		struct merkle_hash root = fixture_root(&f, 0, 20);
		size_t note_n = fixture_note(&f, note, sizeof note, 0, NULL, 20, &root);
		size_t n = witness_request_text(body, sizeof body, old, &p, note, note_n);
		assert_int_equal(witness_request_parse(&r, body, n, NULL), RC_OK);
		assert_int_equal(r.old, old);
		assert_int_equal(r.proof.n, p.n);
		assert_memory_equal(r.proof.hash, p.hash, p.n * sizeof p.hash[0]);
		assert_int_equal(r.note_n, note_n);
		assert_memory_equal(r.note, note, note_n);
		for (size_t max = 0; max < n; max++)
			assert_int_equal(witness_request_text(body, max, old, &p, note, note_n), 0);
	}
	struct merkle_proof large = { .n = 64 };
	assert_int_equal(witness_request_text(body, sizeof body, 1, &large, note, 10), 0);
}

static void times(void **state)
{
	struct witness_answer a;

	fixture_init(&f);
	a = ask_honest(0, 0, 5, NOW);
	assert_cosigned(&a, 0, 5, NOW);
	/* A heartbeat moves the time on; a clock that steps back a little repeats it; far back: nothing is
	 * signed. */
	a = ask_honest(0, 5, 5, NOW + 30);
	assert_cosigned(&a, 0, 5, NOW + 30);
	a = ask_honest(0, 5, 6, NOW + 29);
	assert_cosigned(&a, 0, 6, NOW + 30);
	a = ask_honest(0, 6, 7, NOW + 30 - WITNESS_CLOCK_BACK_S_MAX);
	assert_cosigned(&a, 0, 7, NOW + 30);
	unsigned puts = f.puts;
	a = ask_honest(0, 7, 8, NOW + 29 - WITNESS_CLOCK_BACK_S_MAX);
	assert_int_equal(a.status, WITNESS_CLOCK_BEHIND);
	assert_int_equal(f.puts, puts);
	a = ask_honest(0, 7, 8, NOW + 31);
	assert_cosigned(&a, 0, 8, NOW + 31);
}

/* While this request is decided, another one is answered: the log grows to 12, or only the time moves on. */
static void race_grows(struct fixture *fixture, unsigned number)
{
	struct merkle_hash root = fixture_root(fixture, 0, 12);
	fixture_keep(fixture, FIXTURE_ORIGIN, 12, &root, NOW + 50);
}

static void race_heartbeat(struct fixture *fixture, unsigned number)
{
	struct kept *k = fixture_kept(fixture, FIXTURE_ORIGIN);
	k->head.time_s++;
}

static void race_first(struct fixture *fixture, unsigned number)
{
	struct merkle_hash root = fixture_root(fixture, 1, 3);
	fixture_keep(fixture, FIXTURE_ORIGIN, 3, &root, NOW);
}

static void races(void **state)
{
	struct witness_answer a;

	fixture_init(&f);
	ask_honest(0, 0, 5, NOW);
	f.races = 1;
	f.race = race_grows;
	a = ask_honest(0, 5, 8, NOW + 1);
	assert_int_equal(a.status, WITNESS_CONFLICT);
	assert_string_equal(a.body, "12\n");
	assert_int_equal(f.kept[0].head.size, 12); /* not rolled back */

	f.races = 3;
	f.race = race_heartbeat;
	a = ask_honest(0, 12, 13, NOW + 60);
	assert_cosigned(&a, 0, 13, NOW + 60);
	f.races = 100;
	a = ask_honest(0, 13, 14, NOW + 120);
	assert_int_equal(a.status, WITNESS_STORE_FAILED);
	assert_int_equal(f.kept[0].head.size, 13);

	fixture_init(&f);
	f.races = 1;
	f.race = race_first;
	a = ask_honest(0, 0, 5, NOW);
	assert_int_equal(a.status, WITNESS_CONFLICT);
	assert_string_equal(a.body, "3\n");
}

static void store_fails(void **state)
{
	struct witness_answer a;

	fixture_init(&f);
	f.get_fails = RC_IO;
	a = ask_honest(0, 0, 5, NOW);
	assert_int_equal(a.status, WITNESS_STORE_FAILED);
	f.get_fails = RC_OK;
	f.put_fails = RC_IO;
	a = ask_honest(0, 0, 5, NOW);
	assert_int_equal(a.status, WITNESS_STORE_FAILED);
	assert_int_equal(f.kept_n, 0);
	f.put_fails = RC_OK;
	a = ask_honest(0, 0, 5, NOW);
	assert_cosigned(&a, 0, 5, NOW);
}

static void monitor_path(void **state)
{
	char path[WITNESS_PATH_MAX];

	/* SHA-256("example.com/log"), computed with sha256sum */
	assert_string_equal(witness_monitor_path(path, "example.com/log"),
		"/4d3203c8f35cdf600e475f55fede6081a703d3d322f208865fca2ec4f0e030f8/checkpoint");
	assert_int_equal(strlen(path), WITNESS_PATH_MAX - 1);
}

/* The page for people has each row of the table as it stands in the code. */
static void documented(void **state)
{
	static const struct {
		int status;
		const char *when;
	} rows[] = {
#define E(id, status, when) { status, when },
		WITNESS_STATUSES(E)
#undef E
	};
	char page[16384], line[256];
	FILE *file = fopen("docs/witness.md", "r");

	assert_non_null(file);
	size_t n = fread(page, 1, sizeof page - 1, file);
	fclose(file);
	page[n] = '\0';
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(line, sizeof line, "\n| %d | %s |\n", rows[i].status, rows[i].when);
		if (!strstr(page, line))
			fail_msg("docs/witness.md has no line '%s'", line + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(status_table),
		cmocka_unit_test(signatures),
		cmocka_unit_test(origins_that_are_no_names),
		cmocka_unit_test(full_notes),
		cmocka_unit_test(malformed),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(times),
		cmocka_unit_test(races),
		cmocka_unit_test(store_fails),
		cmocka_unit_test(monitor_path),
		cmocka_unit_test(documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
