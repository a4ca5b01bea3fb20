/* Attestations: what witnesses signed comes back as their quorum; each other text, order, root, origin and
 * witness is not taken, because a challenge is drawn from it. */
#include "merkle/attest.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WITNESSES 8
#define SIZE	  20852163u

static struct policy policy;
static struct checkpoint of = { .origin = "example.com/behind-the-sofa", .size = SIZE };
static struct note_key key[WITNESSES];
static uint8_t seed[WITNESSES][32];

/* The first `n` of them are in the policy, of which k are a quorum. */
static void policy_make(size_t n, unsigned k)
{
	char text[WITNESSES * (NOTE_VKEY_MAX + 32) + 256], vkey[NOTE_VKEY_MAX];
	struct err e = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(
			text + at, sizeof text - at, "witness w%zu %s\n", i, note_key_text(vkey, &key[i]));
	at += (size_t)snprintf(text + at, sizeof text - at, "group all %u", k);
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, " w%zu", i);
	at += (size_t)snprintf(text + at, sizeof text - at, "\nquorum %s\n", k ? "all" : "none");
	if (k == 0) /* no such group */
		at = (size_t)snprintf(text, sizeof text, "quorum none\n");
	if (policy_parse(&policy, text, at, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static const char *line_of(size_t i, uint64_t time_s)
{
	static char line[COSIGN_LINE_MAX];
	char text[NOTE_NAME_MAX + 128];
	size_t n = checkpoint_text(text, sizeof text, &of);

	assert_true(cosign_line(line, sizeof line, text, n, &key[i], seed[i], time_s) > 0);
	return line;
}

static int begin(void **state)
{
	memset(of.root.b, 7, sizeof of.root.b);
	for (uint8_t i = 0; i < WITNESSES; i++) {
		uint8_t public_key[32];
		char name[32];

		memset(seed[i], i + 1, sizeof seed[i]);
		ed25519_public(public_key, seed[i]);
		snprintf(name, sizeof name, "example.com/witness%u", i);
		if (note_key_make(&key[i], name, NOTE_COSIGNATURE_ED25519, public_key) != RC_OK)
			return -1;
	}
	return 0;
}

static enum rc judge(const char *text, unsigned *ret_witnesses)
{
	struct policy_verdict verdict;
	enum rc rc = attest_judge(text, strlen(text), &of, &policy, &verdict, NULL);

	*ret_witnesses = (unsigned)__builtin_popcountll(verdict.signed_mask);
	return rc;
}

static void quorum(void **state)
{
	char text[ATTEST_TEXT_MAX + 1] = "";
	unsigned witnesses;
	uint64_t size;
	size_t n;

	policy_make(3, 2);
	assert_true(attest_add(text, SIZE, line_of(2, 1000)));
	assert_int_equal(judge(text, &witnesses), RC_NOT_FOUND);
	assert_int_equal(witnesses, 1);
	assert_true(attest_add(text, SIZE, line_of(0, 1003)));
	assert_true(attest_read(text, strlen(text), &size, &n));
	assert_int_equal(size, SIZE);
	assert_int_equal(n, 2);
	assert_int_equal(judge(text, &witnesses), RC_OK);
	assert_int_equal(witnesses, 2);
	/* Nobody is no quorum here. */
	policy_make(0, 0);
	assert_int_equal(judge(text, &witnesses), RC_NOT_FOUND);
}

/* In whatever order they come, there is one text: else its maker could choose among challenges. */
static void one_form(void **state)
{
	char first[ATTEST_TEXT_MAX + 1] = "";

	for (unsigned order = 0; order < 6; order++) {
		static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
			{ 2, 0, 1 }, { 2, 1, 0 } };
		char text[ATTEST_TEXT_MAX + 1] = "";

		for (unsigned i = 0; i < 3; i++)
			assert_true(attest_add(text, SIZE, line_of(orders[order][i], 5)));
		if (order == 0)
			memcpy(first, text, sizeof first);
		assert_string_equal(text, first);
		for (unsigned i = 0; i < 3; i++)
			assert_false(attest_add(text, SIZE, line_of(i, 6))); /* once each */
		assert_false(attest_add(text, SIZE + 1, line_of(3, 5)));
		assert_string_equal(text, first);
	}
}

static void all_that_fit(void **state)
{
	char text[ATTEST_TEXT_MAX + 1] = "";
	unsigned witnesses, n = 0;

	policy_make(WITNESSES, 7);
	while (n < WITNESSES && attest_add(text, SIZE, line_of(n, 5)))
		n++;
	assert_int_equal(n, 7);
	assert_int_equal(judge(text, &witnesses), RC_OK);
	assert_int_equal(witnesses, 7);
}

/* Every bit of it, every length, and each departure of what it is about. */
static void departures(void **state)
{
	char good[ATTEST_TEXT_MAX + 1] = "", text[ATTEST_TEXT_MAX + 1];
	struct checkpoint was = of;
	struct policy_verdict verdict;
	unsigned witnesses;
	size_t n;

	policy_make(2, 2);
	assert_true(attest_add(good, SIZE, line_of(0, 5)) && attest_add(good, SIZE, line_of(1, 5)));
	n = strlen(good);
	for (size_t at = 0; at < n; at++) {
		memcpy(text, good, sizeof text);
		for (unsigned bit = 0; bit < 8; bit++) {
			text[at] = (char)(text[at] ^ 1 << bit);
			assert_int_not_equal(attest_judge(text, n, &of, &policy, &verdict, NULL), RC_OK);
			text[at] = (char)(text[at] ^ 1 << bit);
		}
		assert_int_not_equal(attest_judge(text, at, &of, &policy, &verdict, NULL), RC_OK);
	}
	of.size++;
	assert_int_equal(judge(good, &witnesses), RC_MALFORMED);
	of = was;
	of.root.b[0] ^= 1;
	assert_int_equal(judge(good, &witnesses), RC_AUTH);
	of = was;
	of.origin[0] ^= 1;
	assert_int_equal(judge(good, &witnesses), RC_AUTH);
	of = was;
	assert_int_equal(judge(good, &witnesses), RC_OK);
	/* One more than the policy knows: nobody checks that one, so it could be anything. */
	assert_true(attest_add(good, SIZE, line_of(4, 5)));
	assert_int_equal(judge(good, &witnesses), RC_NOT_FOUND);
}

static void not_of_the_form(void **state)
{
	static const char *const texts[] = { "", " ", "1", "1 ", "01 x", "0 x", "x", "-1 x",
		"1234567890123456789 x" };
	char good[ATTEST_TEXT_MAX + 1] = "", text[ATTEST_TEXT_MAX + 8];
	uint64_t size;
	size_t n;

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_false(attest_read(texts[i], strlen(texts[i]), &size, &n));
	assert_true(attest_add(good, SIZE, line_of(0, 5)));
	snprintf(text, sizeof text, "0%s", good);
	assert_false(attest_read(text, strlen(text), &size, &n));
	snprintf(text, sizeof text, "%s ", good);
	assert_false(attest_read(text, strlen(text), &size, &n));
	assert_false(attest_add(good, SIZE, "no line"));
	assert_false(attest_add(good, SIZE, ""));
	assert_false(attest_add(good, 0, line_of(1, 5)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quorum),
		cmocka_unit_test(one_form),
		cmocka_unit_test(all_that_fit),
		cmocka_unit_test(departures),
		cmocka_unit_test(not_of_the_form),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
