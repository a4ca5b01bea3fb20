/* What a log makes of a witness's answers, those of older and of lying witnesses among them. */
#include "witness_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1000000u

static struct fixture f;
static char note[2048], text[1024];
static size_t note_n, text_n;

/* The checkpoint of `size` entries that was sent. */
static void send_size(uint64_t size)
{
	struct merkle_hash root = fixture_root(&f, 0, size);
	struct note n;

	note_n = fixture_note(&f, note, sizeof note, 0, NULL, size, &root);
	assert_int_equal(note_parse(&n, note, note_n, NULL), RC_OK);
	memcpy(text, n.text, n.text_n);
	text_n = n.text_n;
}

static struct witness_reply read_reply(uint64_t old, int status, const char *answer)
{
	struct witness_reply r;
	struct err e = { 0 };

	witness_reply_read(&r, &f.witness.key, note, note_n, old, status, answer, strlen(answer), &e);
	/* A reason for everything but success, and a line for nothing but success. */
	assert_int_equal(r.outcome == WITNESS_OUTCOME_GOOD, e.text[0] == '\0');
	assert_int_equal(r.outcome == WITNESS_OUTCOME_GOOD, r.line[0] != '\0');
	return r;
}

static void statuses(void **state)
{
	static const struct {
		const char *name;
		uint64_t old;
		int status;
		const char *body;
		enum witness_outcome want;
		uint64_t size;
	}
	/* clang-format off */
	rows[] = { /* what was sent has 9 entries */
		{ "behind", 5, 409, "3\n", WITNESS_OUTCOME_RETRY, 3 },
		{ "behind, never seen", 5, 409, "0\n", WITNESS_OUTCOME_RETRY, 0 },
		{ "further than was thought", 5, 409, "9\n", WITNESS_OUTCOME_RETRY, 9 },
		{ "asked with 0", 0, 409, "7\n", WITNESS_OUTCOME_RETRY, 7 },
		{ "ahead", 5, 409, "10\n", WITNESS_OUTCOME_AHEAD, 10 },
		{ "ahead of a heartbeat", 9, 409, "4000000000000\n", WITNESS_OUTCOME_AHEAD, 4000000000000 },
		{ "409 for another root", 9, 409, "9\n", WITNESS_OUTCOME_DISAGREES, 9 },
		{ "409 for another root, as a sentence", 9, 409, "roots differ\n", WITNESS_OUTCOME_DISAGREES, 0 },
		{ "409 for another root, empty", 9, 409, "", WITNESS_OUTCOME_DISAGREES, 0 },
		{ "409 with what was asked for", 5, 409, "5\n", WITNESS_OUTCOME_BROKEN, 5 },
		{ "409 without a size", 5, 409, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "409 without line feed", 5, 409, "3", WITNESS_OUTCOME_BROKEN, 0 },
		{ "409 with a leading zero", 5, 409, "03\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "409 with a sentence", 5, 409, "three\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "409 with more", 5, 409, "3\n4\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "409 beyond 64 bits", 5, 409, "99999999999999999999\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "bad proof", 5, 422, "no\n", WITNESS_OUTCOME_DISAGREES, 0 },
		{ "unknown log", 5, 404, "", WITNESS_OUTCOME_UNKNOWN, 0 },
		{ "wrong key, or an older witness's unknown log", 5, 403, "", WITNESS_OUTCOME_REFUSED, 0 },
		{ "too many", 5, 429, "", WITNESS_OUTCOME_BUSY, 0 },
		{ "failed", 5, 500, "", WITNESS_OUTCOME_BUSY, 0 },
		{ "away", 5, 503, "", WITNESS_OUTCOME_BUSY, 0 },
		{ "malformed", 5, 400, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "moved", 5, 301, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "no content", 5, 204, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "nothing", 5, 0, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "200 without a line", 5, 200, "", WITNESS_OUTCOME_BROKEN, 0 },
		{ "200 with a sentence", 5, 200, "good\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "200 by a stranger", 5, 200, "\xe2\x80\x94 stranger AAAAAAE=\n", WITNESS_OUTCOME_BROKEN, 0 },
		{ "200 with a wrong line", 5, 200, "\xe2\x80\x94 witness.example AAAAAAE=\n", WITNESS_OUTCOME_BROKEN, 0 },
	};
	/* clang-format on */

	fixture_init(&f);
	send_size(9);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct witness_reply r = read_reply(rows[i].old, rows[i].status, rows[i].body);
		if (r.outcome != rows[i].want || r.size != rows[i].size)
			fail_msg("%s: outcome %d, %llu", rows[i].name, (int)r.outcome,
				(unsigned long long)r.size);
	}
}

static void cosignatures(void **state)
{
	char line[COSIGN_LINE_MAX], later[COSIGN_LINE_MAX], foreign[COSIGN_LINE_MAX], body[4096], whole[4096];
	struct witness_reply r;
	struct note n;

	fixture_init(&f);
	send_size(9);
	size_t line_n = cosign_line(line, sizeof line, text, text_n, &f.witness.key, f.witness.seed, NOW);
	cosign_line(later, sizeof later, text, text_n, &f.witness.key, f.witness.seed, NOW + 5);
	r = read_reply(5, 200, line);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(r.time_s, NOW);
	assert_int_equal(r.size, 9);
	assert_string_equal(r.line, line);
	/* It stands in the note as it is. */
	snprintf(whole, sizeof whole, "%.*s%s", (int)note_n, note, r.line);
	assert_int_equal(note_parse(&n, whole, strlen(whole), NULL), RC_OK);
	assert_int_equal(cosign_verify(&n, &f.witness.key, NULL, NULL), RC_OK);

	/* Lines of other witnesses around it; two of its own: the later. */
	snprintf(body, sizeof body, "\xe2\x80\x94 other AAAAAAE=\n%s\xe2\x80\x94 another AAAAAAE=\n", line);
	r = read_reply(5, 200, body);
	assert_string_equal(r.line, line);
	snprintf(body, sizeof body, "%s%s", later, line);
	r = read_reply(5, 200, body);
	assert_int_equal(r.time_s, NOW + 5);
	assert_string_equal(r.line, later);

	/* A cosignature of another tree of the same log, or one that comes with a text of its own. */
	char other[1024];
	memcpy(other, text, text_n);
	other[strlen(FIXTURE_ORIGIN) + 1] = '8';
	cosign_line(foreign, sizeof foreign, other, text_n, &f.witness.key, f.witness.seed, NOW);
	assert_int_equal(read_reply(5, 200, foreign).outcome, WITNESS_OUTCOME_BROKEN);
	snprintf(body, sizeof body, "%s%s", line, foreign);
	assert_int_equal(read_reply(5, 200, body).outcome, WITNESS_OUTCOME_BROKEN);
	snprintf(body, sizeof body, "%.*s\n%s", (int)text_n, other, foreign);
	assert_int_equal(read_reply(5, 200, body).outcome, WITNESS_OUTCOME_BROKEN);
	/* Rightly signed, but over a longer text: the witness would put words into the log's mouth. */
	char longer[1024];
	int longer_n = snprintf(longer, sizeof longer, "%.*s\nmore\n", (int)text_n, text);
	cosign_line(foreign, sizeof foreign, longer, (size_t)longer_n, &f.witness.key, f.witness.seed, NOW);
	snprintf(body, sizeof body, "more\n\n%s", foreign);
	assert_int_equal(read_reply(5, 200, body).outcome, WITNESS_OUTCOME_BROKEN);
	snprintf(body, sizeof body, "\n%s", line);
	assert_int_equal(read_reply(5, 200, body).outcome, WITNESS_OUTCOME_BROKEN);

	/* Every shorter answer, every flipped bit. */
	for (size_t cut = 0; cut < line_n; cut++) {
		memcpy(body, line, cut);
		body[cut] = '\0';
		assert_int_equal(read_reply(5, 200, body).outcome, WITNESS_OUTCOME_BROKEN);
	}
	for (size_t at = 0; at < line_n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(body, line, line_n + 1);
			body[at] = (char)(body[at] ^ 1 << bit);
			witness_reply_read(&r, &f.witness.key, note, note_n, 5, 200, body, line_n, NULL);
			assert_int_equal(r.outcome, WITNESS_OUTCOME_BROKEN);
		}
	/* An answer that is longer than any note. */
	char *large = test_malloc(2 * NOTE_BYTES_MAX);
	memset(large, 'x', 2 * NOTE_BYTES_MAX);
	witness_reply_read(&r, &f.witness.key, note, note_n, 5, 200, large, 2 * NOTE_BYTES_MAX, NULL);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_BROKEN);
	test_free(large);
	/* What was sent is no checkpoint. */
	witness_reply_read(&r, &f.witness.key, "x", 1, 5, 200, line, line_n, NULL);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_BROKEN);
}

/* A log that knows nothing of the witness's state gets through with what the answers tell it. */
static void conversation(void **state)
{
	char body[4096];
	uint64_t old = 0;
	unsigned requests = 0;
	struct witness_answer a;
	struct witness_reply r;

	fixture_init(&f);
	witness_add_checkpoint(&f.witness, body, fixture_request(&f, body, sizeof body, 0, 0, 7), NOW, &a);
	assert_int_equal(a.status, WITNESS_COSIGNED);
	send_size(20);
	do {
		size_t n = fixture_request(&f, body, sizeof body, 0, old, 20);
		witness_add_checkpoint(&f.witness, body, n, NOW + 1, &a);
		r = read_reply(old, (int)a.status, a.body);
		old = r.size;
		requests++;
	} while (r.outcome == WITNESS_OUTCOME_RETRY && requests < 5);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(requests, 2);

	/* A log that was set back to 7 entries is told so, and the witness's note proves that it had 20. */
	send_size(7);
	size_t n = fixture_request(&f, body, sizeof body, 0, 7, 7);
	witness_add_checkpoint(&f.witness, body, n, NOW + 2, &a);
	assert_int_equal(read_reply(7, (int)a.status, a.body).outcome, WITNESS_OUTCOME_AHEAD);
	const struct kept *k = fixture_kept(&f, FIXTURE_ORIGIN);
	struct checkpoint c;
	uint64_t time_s;
	assert_int_equal(
		witness_seen_parse(&c, &time_s, &f.log[0], &f.witness.key, k->note, k->note_n, NULL), RC_OK);
	assert_int_equal(c.size, 20);
	assert_int_equal(time_s, NOW + 1);
	/* Another log's key, another witness's key, a changed note, a shorter one. */
	assert_int_equal(witness_seen_parse(&c, NULL, &f.log[1], &f.witness.key, k->note, k->note_n, NULL),
		RC_NOT_FOUND);
	assert_int_equal(
		witness_seen_parse(&c, NULL, &f.log[2], &f.witness.key, k->note, k->note_n, NULL), RC_AUTH);
	assert_int_equal(
		witness_seen_parse(&c, NULL, &f.log[0], &f.log[0], k->note, k->note_n, NULL), RC_AUTH);
	for (size_t cut = 0; cut < k->note_n; cut++)
		assert_int_not_equal(
			witness_seen_parse(&c, NULL, &f.log[0], &f.witness.key, k->note, cut, NULL), RC_OK);
	memcpy(body, k->note, k->note_n);
	for (size_t at = 0; at < k->note_n; at++) {
		body[at] ^= 1;
		assert_int_not_equal(
			witness_seen_parse(&c, NULL, &f.log[0], &f.witness.key, body, k->note_n, NULL),
			RC_OK);
		body[at] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(cosignatures),
		cmocka_unit_test(conversation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
