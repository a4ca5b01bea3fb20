/* Policy files: what is read, what is refused and where, and which cosignatures are a quorum. */
#include "merkle/policy.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX (POLICY_BYTES_MAX + 4096)

/* Too large for a stack. */
static struct policy policy, again;
static char file[TEXT_MAX], file_again[TEXT_MAX];

/* Key number i of logs ("log.example/i") or witnesses ("w.example/i"). */
static struct note_key key_of(unsigned i, bool witness, uint8_t ret_seed[32])
{
	uint8_t public_key[32];
	char name[32];
	struct note_key k;

	memset(ret_seed, (int)i + 1, 32);
	ret_seed[0] = witness;
	snprintf(name, sizeof name, "%s.example/%u", witness ? "w" : "log", i);
	ed25519_public(public_key, ret_seed);
	assert_int_equal(
		note_key_make(&k, name, witness ? NOTE_COSIGNATURE_ED25519 : NOTE_ED25519, public_key),
		RC_OK);
	return k;
}

/* In the rows, $L3 is the verifier key of log 3, $N3 the same key under another name, $W3 that of witness 3.
 * Returns the length in `file`. */
static size_t expand(const char *pattern)
{
	char vkey[NOTE_VKEY_MAX];
	uint8_t seed[32];
	size_t n = 0;

	for (; *pattern; pattern++) {
		assert_true(n + sizeof vkey < sizeof file);
		if (pattern[0] == '$' && (pattern[1] == 'L' || pattern[1] == 'N' || pattern[1] == 'W')) {
			struct note_key k = key_of((unsigned)(pattern[2] - '0'), pattern[1] == 'W', seed);
			if (pattern[1] == 'N')
				assert_int_equal(
					note_key_make(&k, "another", NOTE_ED25519, k.public_key), RC_OK);
			n += strlen(strcpy(file + n, note_key_text(vkey, &k)));
			pattern += 2;
		} else {
			file[n++] = *pattern;
		}
	}
	file[n] = '\0';
	return n;
}

#define THREE "witness A $W1\nwitness B $W2\nwitness C $W3\n"

static void refused(void **state)
{
	static const struct {
		const char *name, *text;
		enum rc want;
		const char *says; /* part of the text, "" for any */
	}
	/* clang-format off */
	rows[] = {
		{ "empty", "", RC_MALFORMED, "line 1: found the end of the file, expected a quorum line" },
		{ "no quorum", "log $L1\n", RC_MALFORMED, "line 2: found the end of the file" },
		{ "no line feed", "quorum none", RC_MALFORMED, "line 1: found the end of the file, expected a line feed" },
		{ "other word", "\nlogs $L1\n", RC_MALFORMED, "line 2: found 'logs', expected 'log'" },
		{ "case", "LOG $L1\nquorum none\n", RC_MALFORMED, "line 1: found 'LOG'" },
		{ "control octet", "# a\x01\nquorum none\n", RC_MALFORMED, "line 1: found the control character 01" },
		{ "carriage return", "quorum none\r\n", RC_MALFORMED, "line 1: found the control character 0d" },
		{ "delete", "# \x7f\nquorum none\n", RC_MALFORMED, "line 1: found the control character 7f" },
		{ "comment behind a line", "quorum none # all\n", RC_MALFORMED, "found '#', expected the end of the line" },
		{ "log without key", "log\nquorum none\n", RC_MALFORMED, "line 1: found the end of the line, expected a log's" },
		{ "log with a witness's key", "log $W1\nquorum none\n", RC_MALFORMED, "expected a log's verifier key" },
		{ "witness with a log's key", "witness A $L1\nquorum none\n", RC_MALFORMED, "expected a witness's verifier key" },
		{ "broken key", "log x+00000000+AAAA\nquorum none\n", RC_MALFORMED, "line 1: found 'x+00000000+AAAA'" },
		{ "log twice", "log $L1\nlog $L1 https://a/\nquorum none\n", RC_EXISTS, "line 2: the public key is already used by log" },
		{ "another name of a log's key", "log $L1\nlog $N1\nquorum none\n", RC_EXISTS, "put another name of this key" },
		{ "two urls", "log $L1 a b\nquorum none\n", RC_MALFORMED, "found 'b', expected the end" },
		{ "witness without name", "witness\nquorum none\n", RC_MALFORMED, "expected a name" },
		{ "witness called none", "witness none $W1\nquorum none\n", RC_MALFORMED, "found 'none', expected a name other" },
		{ "witness name twice", "witness A $W1\nwitness A $W2\nquorum none\n", RC_EXISTS, "line 2: found 'A'" },
		{ "witness key twice", "witness A $W1\nwitness B $W1\nquorum none\n", RC_EXISTS, "already used by witness 'A'" },
		{ "group called as a witness", "witness A $W1\ngroup A any A\nquorum none\n", RC_EXISTS, "line 2: found 'A'" },
		{ "group called none", THREE "group none any A\nquorum none\n", RC_MALFORMED, "" },
		{ "group without rule", THREE "group G\nquorum none\n", RC_MALFORMED, "line 4: found the end of the line, expected 'all'" },
		{ "group without members", THREE "group G all\nquorum none\n", RC_MALFORMED, "expected at least one member" },
		{ "k is 0", THREE "group G 0 A\nquorum G\n", RC_MALFORMED, "found '0'" },
		{ "k with a leading zero", THREE "group G 01 A\nquorum G\n", RC_MALFORMED, "found '01'" },
		{ "k with a sign", THREE "group G +1 A\nquorum G\n", RC_MALFORMED, "found '+1'" },
		{ "k above n", THREE "group G 3 A B\nquorum G\n", RC_RANGE, "found '3', expected at most the number" },
		{ "k far above", THREE "group G 4294967297 A B\nquorum G\n", RC_MALFORMED, "" },
		{ "unknown member", THREE "group G any A D\nquorum G\n", RC_NOT_FOUND, "line 4: found 'D'" },
		{ "none as a member", THREE "group G any A none\nquorum G\n", RC_NOT_FOUND, "found 'none'" },
		{ "forward reference", "witness A $W1\ngroup G any A B\nwitness B $W2\nquorum G\n", RC_NOT_FOUND, "line 2: found 'B'" },
		{ "a group in itself", THREE "group G any A G\nquorum G\n", RC_NOT_FOUND, "found 'G'" },
		{ "member twice", THREE "group G 2 A A\nquorum G\n", RC_EXISTS, "line 4: found 'A', expected a name that is not in a group" },
		{ "member of two groups", THREE "group G any A B\ngroup H any B C\nquorum H\n", RC_EXISTS, "line 5: found 'B'" },
		{ "group in two groups", THREE "group G any A\ngroup H any G\ngroup I any G B\nquorum I\n", RC_EXISTS, "line 6: found 'G'" },
		{ "quorum without name", "quorum\n", RC_MALFORMED, "line 1: found the end of the line" },
		{ "quorum of two names", THREE "quorum A B\n", RC_MALFORMED, "found 'B'" },
		{ "quorum unknown", THREE "quorum D\n", RC_NOT_FOUND, "line 4: found 'D'" },
		{ "quorum before its name", "quorum A\nwitness A $W1\n", RC_NOT_FOUND, "line 1: found 'A'" },
		{ "two quorums", "quorum none\nquorum none\n", RC_EXISTS, "line 2: found a second quorum" },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = { 0 };
		enum rc rc = policy_parse(&policy, file, expand(rows[i].text), &e);
		if (rc != rows[i].want || !strstr(e.text, rows[i].says))
			fail_msg("%s: %s, '%s'", rows[i].name, rc_text(rc), e.text);
	}
	assert_int_equal(policy_parse(&policy, "quorum n\0ne\n", 12, NULL), RC_MALFORMED);
}

static void limits(void **state)
{
	size_t n = 0;
	struct err e = { 0 };

	memset(file, '#', sizeof file);
	file[POLICY_BYTES_MAX] = '\n';
	assert_int_equal(policy_parse(&policy, file, POLICY_BYTES_MAX + 1, NULL), RC_LIMIT);
	for (unsigned kind = 0; kind < 3;
		kind++) { /* logs, witnesses, groups: as many as there is room for */
		n = 0;
		for (unsigned i = 0; i <= 64; i++) {
			uint8_t seed[32];
			char vkey[NOTE_VKEY_MAX];
			struct note_key k = key_of(i, kind > 0, seed);
			note_key_text(vkey, &k);
			if (i == 64) {
				size_t end = n + (size_t)snprintf(file + n, sizeof file - n, "quorum none\n");
				assert_int_equal(policy_parse(&policy, file, end, &e), RC_OK);
				assert_int_equal(kind == 0   ? policy.logs_n
						 : kind == 1 ? policy.witnesses_n
							     : policy.groups_n,
					64);
			}
			if (kind == 0)
				n += (size_t)snprintf(file + n, sizeof file - n, "log %s\n", vkey);
			else if (kind == 1 || i == 0)
				n += (size_t)snprintf(file + n, sizeof file - n, "witness w%u %s\n", i, vkey);
			if (kind == 2) /* each holds the one before: as deep as it gets */
				n += (size_t)snprintf(file + n, sizeof file - n, "group g%u all %c%u\n", i,
					i ? 'g' : 'w', i ? i - 1 : 0);
		}
		n += (size_t)snprintf(file + n, sizeof file - n, "quorum none\n");
		assert_int_equal(policy_parse(&policy, file, n, &e), RC_LIMIT);
		err_clear(&e);
	}
	memset(file_again, 'n', 300);
	file_again[300] = '\0';
	snprintf(file, sizeof file, "witness %.128s x\nquorum none\n", file_again);
	assert_int_equal(policy_parse(&policy, file, strlen(file), &e), RC_LIMIT);
	n = expand("log $L1 ");
	snprintf(file + n, sizeof file - n, "%.256s\nquorum none\n", file_again);
	assert_int_equal(policy_parse(&policy, file, strlen(file), NULL), RC_LIMIT);
	snprintf(file + n, sizeof file - n, "%.255s\nquorum none\n", file_again);
	assert_int_equal(policy_parse(&policy, file, strlen(file), NULL), RC_OK);
}

/* The example of the specification, with blanks, comments and octets above 0x7f. */
#define EXAMPLE                                                                                              \
	"# K\xe2\x84\xaa \xff\n"                                                                             \
	"log $L1\n\n"                                                                                        \
	"witness X1 $W1\nwitness \tX2  $W2\thttps://x.example/w \n"                                          \
	"  witness X3 $W3\n \t # none\ngroup X-witnesses 2 X1 X2 X3\n"                                       \
	"witness Y1 $W4\nwitness Y2 $W5\nwitness Y\xe2\x84\xaa $W6\n"                                        \
	"group Y-witnesses any Y1 Y2 Y\xe2\x84\xaa\n"                                                        \
	"group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"

static void round_trip(void **state)
{
	static const char *texts[] = { EXAMPLE, "quorum none\n", "witness A $W1\nquorum A\n",
		"log $L1 u\nlog $L2\nquorum none\n",
		THREE "group all all A\ngroup any any B all\ngroup 1 1 any C\nquorum 1\n" };

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct err e = { 0 };
		size_t n = expand(texts[i]);
		if (policy_parse(&policy, file, n, &e) != RC_OK)
			fail_msg("%s", e.text);
		size_t again_n = policy_text(&policy, file_again, sizeof file_again);
		assert_true(again_n > 0);
		assert_int_equal(policy_parse(&again, file_again, again_n, &e), RC_OK);
		assert_memory_equal(&policy, &again, sizeof policy);
		for (size_t max = 0; max <= again_n; max++)
			assert_int_equal(policy_text(&policy, file, max), 0);
		/* No shorter file is a policy: the quorum stands at the end, and its line feed with it. */
		n = expand(texts[i]);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_not_equal(policy_parse(&again, file, cut, NULL), RC_OK);
	}
	expand(EXAMPLE);
	assert_int_equal(policy_parse(&policy, file, strlen(file), NULL), RC_OK);
	assert_int_equal(policy.logs_n, 1);
	assert_int_equal(policy.witnesses_n, 6);
	assert_int_equal(policy.groups_n, 3);
	assert_string_equal(policy.witness[1].url, "https://x.example/w");
	assert_string_equal(policy.witness[5].name, "Y\xe2\x84\xaa");
	assert_int_equal(policy.group[0].threshold, 2);
	assert_int_equal(policy.group[1].threshold, 1);
	assert_int_equal(policy.group[2].threshold, 2);
	assert_int_equal(policy.quorum.kind, POLICY_GROUP);
	assert_int_equal(policy.quorum.index, 2);
}

#define ORIGIN	   "log.example/1"
#define CHECKPOINT ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

/* A note over the checkpoint by log 1, with cosignatures of the witnesses of the mask; witness i at time 100
 * + 10 i. */
static size_t note_make(char *ret, size_t max, const char *text, uint64_t mask)
{
	uint8_t seed[32];
	struct note_key k = key_of(1, false, seed);
	size_t n = note_sign(ret, max, text, strlen(text), &k, seed);

	for (unsigned i = 1; i < 64; i++)
		if (mask >> i & 1) {
			k = key_of(i, true, seed);
			n += cosign_line(ret + n, max - n, text, strlen(text), &k, seed, 100 + 10 * i);
		}
	return n;
}

/* The example's rule, written down a second time, against every set of its witnesses. */
static void quorums(void **state)
{
	char bytes[4096];
	struct note note;
	struct policy_verdict v;
	unsigned reached = 0;

	assert_int_equal(policy_parse(&policy, file, expand(EXAMPLE), NULL), RC_OK);
	for (uint64_t mask = 0; mask < 128; mask += 2) {
		size_t n = note_make(bytes, sizeof bytes, CHECKPOINT, mask);
		assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
		unsigned x = (unsigned)__builtin_popcountll(mask & 0x0e),
			 y = (unsigned)__builtin_popcountll(mask & 0x70);
		bool want = x >= 2 && y >= 1;
		assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), want ? RC_OK : RC_AUTH);
		assert_true(v.log_signed);
		assert_int_equal(v.quorum, want);
		assert_int_equal(v.signed_mask, mask >> 1);
		reached += v.quorum;
		/* The time: the largest T at which those who signed no earlier still are a quorum. */
		uint64_t best = 0;
		for (uint64_t t = 100; want && t < 200; t++) {
			unsigned tx = 0, ty = 0;
			for (unsigned i = 1; i <= 6; i++)
				if (mask >> i & 1 && 100 + 10 * i >= t) {
					tx += i <= 3;
					ty += i > 3;
				}
			if (tx >= 2 && ty >= 1)
				best = t;
		}
		assert_int_equal(v.quorum_time_s, best);
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(v.time_s[i], mask >> (i + 1) & 1 ? 100 + 10 * (i + 1) : 0);
	}
	assert_int_equal(reached, 4 * 7);
}

static void notes_refused(void **state)
{
	char bytes[4096], other[4096];
	struct note note;
	struct policy_verdict v;
	struct err e = { 0 };

	/* quorum none: the log alone; a note of another log; of this log's key over another origin. */
	assert_int_equal(policy_parse(&policy, file, expand("log $L1\nlog $L2\nquorum none\n"), NULL), RC_OK);
	size_t n = note_make(bytes, sizeof bytes, CHECKPOINT, 0);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), RC_OK);
	assert_true(v.log_signed && v.quorum && v.log == 0 && v.quorum_time_s == 0);
	n = note_make(
		bytes, sizeof bytes, "log.example/2\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", 0);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(policy_evaluate(&policy, &note, &v, &e), RC_AUTH);
	assert_false(v.log_signed);
	assert_non_null(strstr(e.text, "not signed by a log of the policy"));
	n = note_make(bytes, sizeof bytes, ORIGIN "/more\n", 0);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), RC_AUTH);
	n = note_make(bytes, sizeof bytes, "log.exampl\n", 0);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), RC_AUTH);

	/* No logs: the caller knows the log. */
	assert_int_equal(policy_parse(&policy, file, expand("witness A $W1\nquorum A\n"), NULL), RC_OK);
	n = note_make(bytes, sizeof bytes, CHECKPOINT, 1 << 1);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), RC_OK);
	assert_true(!v.log_signed && v.quorum && v.quorum_time_s == 110);

	/* A wrong line of a known key spoils a note that would be good without it; one of an unknown key does
	 * not. */
	assert_int_equal(
		policy_parse(&policy, file, expand("log $L1\n" THREE "group G any A B\nquorum G\n"), NULL),
		RC_OK);
	for (unsigned i = 2; i <= 4; i++) {
		n = note_make(bytes, sizeof bytes, CHECKPOINT, 1 << 1);
		const char *line = other + strlen("lies\n\n");
		note_make(other, sizeof other, "lies\n", 1ull << i);
		line = strchr(line, '\n') + 1; /* behind the log's */
		memcpy(bytes + n, line, strlen(line));
		n += strlen(line);
		assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
		assert_int_equal(policy_evaluate(&policy, &note, &v, NULL), i == 4 ? RC_OK : RC_AUTH);
	}
	n = note_make(bytes, sizeof bytes, CHECKPOINT, 1 << 1);
	note_make(other, sizeof other, "lies\n", 0);
	memcpy(bytes + n, other + strlen("lies\n\n"), strlen(other) - strlen("lies\n\n"));
	n += strlen(other) - strlen("lies\n\n");
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	err_clear(&e);
	assert_int_equal(policy_evaluate(&policy, &note, &v, &e), RC_AUTH);
	assert_non_null(strstr(e.text, "signature of log 'log.example/1' does not verify"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(limits),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(quorums),
		cmocka_unit_test(notes_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
