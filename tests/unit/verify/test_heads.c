/*
 * Heads beside the ledger's own signature: cosignatures of witnesses and the policy that asks for them, a
 * head that was kept elsewhere, the head that was cosigned last; and that what is explained is what was
 * checked.
 */
#include "verify_fixture.h"

#include "base/bytes.h"
#include "merkle/cosign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WITNESSES 3

static uint8_t seed[WITNESSES][ED25519_SEED_SIZE];
static struct note_key witness[WITNESSES];
static struct policy policy;
static struct verify_report report;
static struct err why;

static int make(void **state)
{
	for (int i = 0; i < WITNESSES; i++) {
		uint8_t public_key[ED25519_PUBLIC_SIZE];
		char name[32];
		memset(seed[i], 0x20 + i, sizeof seed[i]);
		ed25519_public(public_key, seed[i]);
		snprintf(name, sizeof name, "witness.example/%d", i);
		if (note_key_make(&witness[i], name, NOTE_COSIGNATURE_ED25519, public_key) != RC_OK)
			return -1;
	}
	return ledger_make(state);
}

/* "w0", "w1", "w2", a group of all with threshold k; with_log: the ledger is named as well. */
static void policy_make(const char *k, const struct note_key *log)
{
	char text[4096], vkey[NOTE_VKEY_MAX];
	size_t n = 0;

	if (log)
		n += (size_t)snprintf(text + n, sizeof text - n, "log %s\n", note_key_text(vkey, log));
	for (int i = 0; i < WITNESSES; i++)
		n += (size_t)snprintf(
			text + n, sizeof text - n, "witness w%d %s\n", i, note_key_text(vkey, &witness[i]));
	n += (size_t)snprintf(
		text + n, sizeof text - n, "group all-of-them %s w0 w1 w2\nquorum all-of-them\n", k);
	if (policy_parse(&policy, text, n, &why) != RC_OK)
		fail_msg("%s", why.text);
}

/* The note of `from` with lines of the witnesses whose bits are set, at path in m. */
static void cosign(
	struct memory *m, const char *path, const struct memory *from, unsigned mask, uint64_t time_s)
{
	char bytes[NOTE_BYTES_MAX], line[COSIGN_LINE_MAX];
	size_t n;
	const uint8_t *head = memory_get(from, LEDGER_PATH_CHECKPOINT, &n);
	struct note note;

	assert_int_equal(note_parse(&note, head, n, NULL), RC_OK);
	memcpy(bytes, head, n);
	for (int i = 0; i < WITNESSES; i++) {
		if (!(mask >> i & 1))
			continue;
		size_t line_n = cosign_line(line, sizeof line, note.text, note.text_n, &witness[i], seed[i],
			time_s + (unsigned)i);
		assert_true(line_n > 0);
		memcpy(bytes + n, line, line_n);
		n += line_n;
	}
	memory_put(m, path, bytes, n);
}

static enum rc verify_with(
	struct memory *m, const struct policy *p, const char *vkey, const struct memory *kept)
{
	struct verify_source source = memory_source(m);
	struct verify_options o = { .vkey = vkey, .policy = p };

	if (kept)
		o.kept = memory_get(kept, LEDGER_PATH_CHECKPOINT, &o.kept_n);
	why = (struct err){ 0 };
	enum rc rc = verify_ledger(&source, &o, &report, &why);
	assert_true((rc == RC_OK) == report.good);
	if (rc == RC_AUTH)
		assert_string_equal(why.text, report.finding);
	return rc;
}

#define T 1450375300u

static void a_quorum_is_met_or_not(void **state)
{
	static const struct {
		const char *k;
		unsigned mask;
		bool met;
		uint64_t time_s;
	} rows[] = {
		{ "any", 0, false, 0 },
		{ "any", 1, true, T },
		{ "any", 4, true, T + 2 },
		{ "2", 1, false, 0 },
		{ "2", 5, true, T },
		{ "2", 7, true, T + 1 },
		{ "all", 3, false, 0 },
		{ "all", 7, true, T },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct memory m;
		memory_copy(&m, &good);
		cosign(&m, LEDGER_PATH_CHECKPOINT, &good, rows[i].mask, T);
		policy_make(rows[i].k, NULL);
		enum rc rc = verify_with(&m, &policy, NULL, NULL);
		assert_int_equal(rc, rows[i].met ? RC_OK : RC_AUTH);
		assert_int_equal(report.found, rows[i].met ? VERIFY_NONE : VERIFY_COSIGNATURE);
		assert_int_equal(report.quorum, rows[i].met);
		assert_int_equal(report.cosigned, rows[i].met ? PUBLISHED : 0);
		assert_int_equal(report.cosigned_time_s, rows[i].time_s);
		assert_int_equal(report.made[VERIFY_CHECK_COSIGNATURES], __builtin_popcount(rows[i].mask));
		assert_int_equal(report.witnesses_n, WITNESSES);
		for (unsigned w = 0; w < WITNESSES; w++)
			assert_int_equal(report.witness[w].cosigned, rows[i].mask >> w & 1);
		/* Who does not ask is not told. */
		assert_int_equal(verify_with(&m, NULL, NULL, NULL), RC_OK);
		assert_false(report.policy_given);
		assert_int_equal(report.made[VERIFY_CHECK_COSIGNATURES], 0);
		memory_done(&m);
	}
}

static void a_wrong_cosignature_is_found(void **state)
{
	struct memory m;
	size_t n, own;

	memory_get(&good, LEDGER_PATH_CHECKPOINT, &own);
	policy_make("any", NULL);
	for (unsigned bit = 0; bit < 8; bit++) {
		memory_copy(&m, &good);
		cosign(&m, LEDGER_PATH_CHECKPOINT, &good, 3, T);
		const uint8_t *there = memory_get(&m, LEDGER_PATH_CHECKPOINT, &n);
		uint8_t bytes[NOTE_BYTES_MAX];
		memcpy(bytes, there, n);
		/* a letter of base64 in the first witness's signature */
		size_t at = own + strlen("\xe2\x80\x94 witness.example/0 ") + 30 + bit;
		bytes[at] = bytes[at] == 'A' ? 'B' : 'A';
		memory_put(&m, LEDGER_PATH_CHECKPOINT, bytes, n);
		assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_AUTH);
		assert_int_equal(report.found, VERIFY_COSIGNATURE);
		assert_non_null(strstr(report.finding, "w0"));
		memory_done(&m);
	}
	/* A cosignature of an older head does not count for this one. */
	memory_copy(&m, &good);
	cosign(&m, "older", &before, 1, T);
	const char *older = (const char *)memory_get(&m, "older", &n);
	const char *line = memmem(older, n, "\xe2\x80\x94 witness", 11);
	uint8_t bytes[NOTE_BYTES_MAX];
	const uint8_t *head = memory_get(&good, LEDGER_PATH_CHECKPOINT, &own);
	memcpy(bytes, head, own);
	memcpy(bytes + own, line, (size_t)(older + n - line));
	memory_put(&m, LEDGER_PATH_CHECKPOINT, bytes, own + (size_t)(older + n - line));
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_COSIGNATURE);
	memory_done(&m);
}

/* The newest head is not cosigned yet; the last one that was lies beside it. */
static void the_last_cosigned_head_counts(void **state)
{
	struct memory m;

	policy_make("2", NULL);
	memory_copy(&m, &good);
	cosign(&m, LEDGER_PATH_CHECKPOINT, &good, 1, T + 100);
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_AUTH);
	cosign(&m, VERIFY_PATH_COSIGNED, &before, 6, T);
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_OK);
	assert_int_equal(report.cosigned, 500);
	assert_int_equal(report.cosigned_time_s, T + 1);
	assert_int_equal(report.witness[0].size, PUBLISHED);
	assert_int_equal(report.witness[1].size, 500);
	memory_done(&m);
	/* It was cosigned, and the ledger does not reach so far: it was truncated. */
	memory_copy(&m, &before);
	cosign(&m, VERIFY_PATH_COSIGNED, &good, 6, T);
	assert_int_equal(verify_with(&m, NULL, NULL, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_HEAD);
	memory_done(&m);
}

static void a_policy_names_the_log(void **state)
{
	struct memory m;
	struct note_key other;
	uint8_t public_key[ED25519_PUBLIC_SIZE], other_seed[ED25519_SEED_SIZE] = { 8 };
	char vkey[NOTE_VKEY_MAX];

	memory_copy(&m, &good);
	cosign(&m, LEDGER_PATH_CHECKPOINT, &good, 1, T);
	policy_make("any", &key);
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_OK);
	assert_true(report.vkey_given && report.vkey_by_policy);
	assert_int_equal(report.made[VERIFY_CHECK_KEY], 1);
	assert_int_equal(verify_with(&m, &policy, note_key_text(vkey, &key), NULL), RC_OK);
	assert_true(report.vkey_given && !report.vkey_by_policy);
	ed25519_public(public_key, other_seed);
	assert_int_equal(note_key_make(&other, key.name, NOTE_ED25519, public_key), RC_OK);
	policy_make("any", &other);
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_KEY);
	assert_null(strstr(report.finding, "recovery"));
	/* The same key under another name: behind a recovery, perhaps, and then it is not this policy's
	 * either. */
	assert_int_equal(note_key_make(&other, "the.log.before", NOTE_ED25519, key.public_key), RC_OK);
	policy_make("any", &other);
	assert_int_equal(verify_with(&m, &policy, NULL, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_KEY);
	assert_non_null(strstr(report.finding, "'the.log.before' under the name that follows a recovery"));
	/* The key is given, and the policy does not know it. */
	assert_int_equal(verify_with(&m, &policy, vkey, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_COSIGNATURE);
	memory_done(&m);
}

static void a_kept_head_finds_what_was_cut_back(void **state)
{
	struct verify_options o = { .kept = "no head\n", .kept_n = 8 };
	struct verify_source source = memory_source(&good);

	assert_int_equal(verify_with(&good, NULL, NULL, &before), RC_OK);
	assert_int_equal(report.kept_size, 500);
	assert_int_equal(report.made[VERIFY_CHECK_KEPT], 1);
	assert_int_equal(verify_with(&good, NULL, NULL, &good), RC_OK);
	assert_int_equal(verify_with(&before, NULL, NULL, &good), RC_AUTH);
	assert_int_equal(report.found, VERIFY_HEAD);
	assert_non_null(strstr(report.finding, "truncated"));
	assert_int_equal(verify_ledger(&source, &o, &report, NULL), RC_MALFORMED);
}

/* It is no finding, and says where the head belongs. */
static void a_kept_head_of_the_log_that_ended(void **state)
{
	char name[NOTE_NAME_MAX + 32], vkey[NOTE_VKEY_MAX + 1];
	struct verify_options o = { .kept = NULL };
	struct note_key began;
	struct memory m;
	struct err e = { 0 };

	snprintf(name, sizeof name, "%s/20151217T180000Z", key.name);
	assert_int_equal(note_key_make(&began, name, NOTE_ED25519, key.public_key), RC_OK);
	memory_copy(&m, &good);
	size_t n = strlen(note_key_text(vkey, &began));
	vkey[n++] = '\n';
	memory_put(&m, LEDGER_PATH_VKEY, vkey, n);
	o.kept = memory_get(&good, LEDGER_PATH_CHECKPOINT, &o.kept_n);
	struct verify_source source = memory_source(&m);
	assert_int_equal(verify_ledger(&source, &o, &report, &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "ended when this one began in a recovery"));
	memory_done(&m);
}

/* The ledger's key signs another history of the same length, without seals: only the kept head tells. */
static void a_kept_head_finds_another_history(void **state)
{
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (uint64_t i = 0; i < PUBLISHED; i++)
		assert_int_equal(ledger_add(l, text, fixture_entry(text, i, 3), &index), RC_OK);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	assert_int_equal(verify_with(&d.files, NULL, NULL, NULL), RC_OK);
	assert_int_equal(verify_with(&d.files, NULL, NULL, &before), RC_AUTH);
	assert_int_equal(report.found, VERIFY_HEAD);
	assert_non_null(strstr(report.finding, "rewritten"));
	memory_done(&d.files);
}

/* ---- what is explained ---- */

static const char *const proves[VERIFY_CHECK_COUNT] = {
#define E(id, name, unit, proves, missing) [VERIFY_CHECK_##id] = proves,
	VERIFY_CHECKS(E)
#undef E
};
static const char *const missing[VERIFY_CHECK_COUNT] = {
#define E(id, name, unit, proves, missing_) [VERIFY_CHECK_##id] = missing_,
	VERIFY_CHECKS(E)
#undef E
};

/* A sentence stands there exactly when its check was made, in the text and in the JSON. */
static void explained_is_what_was_checked(
	struct memory *m, const struct policy *p, const char *vkey, const struct memory *kept, uint32_t made)
{
	static char text[VERIFY_TEXT_MAX], json[VERIFY_TEXT_MAX];

	assert_int_equal(verify_with(m, p, vkey, kept), RC_OK);
	assert_true(verify_explain_text(&report, text, sizeof text) > 0);
	assert_true(verify_ledger_json(&report, json, sizeof json) > 0);
	char *behind = strstr(text, "What is not proved");
	assert_non_null(behind);
	*behind++ = '\0';
	for (unsigned c = 0; c < VERIFY_CHECK_COUNT; c++) {
		bool is = made >> c & 1;
		if ((report.made[c] > 0) != is)
			fail_msg("check %u was%s made", c, is ? " not" : "");
		assert_int_equal(strstr(text, proves[c]) != NULL, is);
		assert_int_equal(strstr(json, proves[c]) != NULL, is);
		if (!missing[c])
			continue;
		assert_int_equal(strstr(behind, missing[c]) != NULL, !is);
		assert_int_equal(strstr(json, missing[c]) != NULL, !is);
	}
}

#define MADE(id) (1u << VERIFY_CHECK_##id)
#define ALWAYS                                                                                               \
	(MADE(SIGNATURES) | MADE(ENTRIES) | MADE(TILES) | MADE(FORM) | MADE(COUNTERS) | MADE(TIME) |         \
		MADE(JOURNAL) | MADE(SEALS) | MADE(COPIES) | MADE(LISTED))

static void nothing_is_claimed_that_was_not_checked(void **state)
{
	char vkey[NOTE_VKEY_MAX], text[VERIFY_TEXT_MAX];
	struct memory m, bare;
	size_t n;

	memory_copy(&m, &good);
	cosign(&m, LEDGER_PATH_CHECKPOINT, &good, 7, T);
	policy_make("2", NULL);
	note_key_text(vkey, &key);
	explained_is_what_was_checked(&good, NULL, NULL, NULL, ALWAYS);
	explained_is_what_was_checked(&good, NULL, vkey, NULL, ALWAYS | MADE(KEY));
	explained_is_what_was_checked(&good, NULL, NULL, &before, ALWAYS | MADE(KEPT));
	explained_is_what_was_checked(&m, &policy, NULL, NULL, ALWAYS | MADE(COSIGNATURES));
	explained_is_what_was_checked(
		&m, &policy, vkey, &before, ALWAYS | MADE(COSIGNATURES) | MADE(KEY) | MADE(KEPT));
	/* Without the partial tiles and with an empty journal. */
	memory_copy(&bare, &good);
	for (size_t f = bare.n; f-- > 0;)
		if (strstr(bare.file[f].path, ".p/") && !memory_get(&before, bare.file[f].path, &n))
			continue;
		else if (strstr(bare.file[f].path, ".p/"))
			memory_remove(&bare, bare.file[f].path);
	memory_put(&bare, LEDGER_PATH_JOURNAL, "", 0);
	assert_int_equal(verify_with(&bare, NULL, NULL, NULL), RC_OK);
	explained_is_what_was_checked(&bare, NULL, NULL, NULL,
		(ALWAYS & ~MADE(JOURNAL) & ~MADE(COPIES)) | (report.old_partial_tiles ? MADE(COPIES) : 0));
	memory_done(&bare);
	/* Of what is not good nothing is claimed. */
	memory_put(&m, LEDGER_PATH_JOURNAL, "x", 1);
	assert_int_equal(verify_with(&m, &policy, vkey, NULL), RC_AUTH);
	assert_true(verify_explain_text(&report, text, sizeof text) > 0);
	for (unsigned c = 0; c < VERIFY_CHECK_COUNT; c++)
		assert_null(strstr(text, proves[c]));
	assert_true(verify_ledger_json(&report, text, sizeof text) > 0);
	assert_non_null(strstr(text, "\"checks\":[]"));
	memory_done(&m);
}

/* Line for line, also what only this report leaves open. */
static void the_json_leaves_as_much_open_as_the_text(void **state)
{
	static char text[VERIFY_TEXT_MAX], json[VERIFY_TEXT_MAX];
	unsigned lines = 0, there = 0;
	char *at;

	assert_int_equal(verify_with(&good, NULL, NULL, NULL), RC_OK);
	report.entries_unseen = 300;
	report.holes_n = 2;
	report.hole[0].end = 256;
	report.hole[1].first = 512;
	report.hole[1].end = 556;
	report.seals_unseen = report.ended_logs = report.recoveries = 3;
	assert_true(verify_explain_text(&report, text, sizeof text) > 0);
	assert_true(verify_ledger_json(&report, json, sizeof json) > 0);
	assert_non_null(at = strstr(json, "\"not_proved\":["));
	for (char *name = at; (name = strstr(name, "{\"name\":\"")) && name < strchr(at, ']'); name++)
		there++;
	for (char *line = strstr(text, "What is not proved"); (line = strstr(line, "\n  - ")); lines++) {
		char *end = strchr(line += 5, '\n');
		*end = '\0';
		if (!strstr(at, line))
			fail_msg("not in the JSON: %s", line);
		*end = '\n';
	}
	assert_true(lines >= 3 + 4);
	assert_int_equal(there, lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quorum_is_met_or_not),
		cmocka_unit_test(a_wrong_cosignature_is_found),
		cmocka_unit_test(the_last_cosigned_head_counts),
		cmocka_unit_test(a_policy_names_the_log),
		cmocka_unit_test(a_kept_head_finds_what_was_cut_back),
		cmocka_unit_test(a_kept_head_of_the_log_that_ended),
		cmocka_unit_test(a_kept_head_finds_another_history),
		cmocka_unit_test(nothing_is_claimed_that_was_not_checked),
		cmocka_unit_test(the_json_leaves_as_much_open_as_the_text),
	};

	return cmocka_run_group_tests(tests, make, ledger_unmake);
}
