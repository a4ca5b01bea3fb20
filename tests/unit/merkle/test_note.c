/* Signed notes, verifier keys and checkpoints: what is accepted, and each departure from the form that is
 * not. */
#include "merkle/note.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94"

/* A key made of one repeated octet. */
static struct note_key key_of(uint8_t octet, const char *name, uint8_t ret_seed[32])
{
	uint8_t public_key[32];
	struct note_key k;

	memset(ret_seed, octet, 32);
	ed25519_public(public_key, ret_seed);
	assert_int_equal(note_key_make(&k, name, NOTE_ED25519, public_key), RC_OK);
	return k;
}

static void sign_and_verify(void **state)
{
	static const char *texts[] = { "a\n", "origin\n12\nroot\n", "with an\n\nempty line\n", "\n",
		"\xc3\xbc\xc3\x9f\n" };
	uint8_t seed[32], other_seed[32];
	struct note_key key = key_of(1, "one", seed), other = key_of(2, "one", other_seed);
	char bytes[600];
	struct note note;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		size_t n = note_sign(bytes, sizeof bytes, texts[i], strlen(texts[i]), &key, seed);
		assert_true(n > 0);
		assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
		assert_int_equal(note.text_n, strlen(texts[i]));
		assert_memory_equal(note.text, texts[i], note.text_n);
		assert_int_equal(note.signatures_n, 1);
		assert_int_equal(note_verify(&note, &key, NULL), RC_OK);
		/* The same name with another key is another signer: its line is missing. */
		assert_int_equal(note_verify(&note, &other, NULL), RC_NOT_FOUND);
		for (size_t cut = 0; cut < n; cut++)
			assert_false(note_parse(&note, bytes, cut, NULL) == RC_OK &&
				     note_verify(&note, &key, NULL) == RC_OK);
		for (size_t at = 0; at < n; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				bytes[at] = (char)(bytes[at] ^ 1 << bit);
				assert_false(note_parse(&note, bytes, n, NULL) == RC_OK &&
					     note_verify(&note, &key, NULL) == RC_OK);
				bytes[at] = (char)(bytes[at] ^ 1 << bit);
			}
	}
	assert_int_equal(note_sign(bytes, 40, texts[1], strlen(texts[1]), &key, seed), 0);
}

/* Several lines: unknown ones are ignored, a wrong one of a known key refuses the note even beside a right
 * one. */
static void several_signatures(void **state)
{
	uint8_t seed[32], witness_seed[32];
	struct note_key key = key_of(1, "log", seed), witness = key_of(2, "witness", witness_seed);
	char bytes[4096], second[400];
	struct note note;
	size_t n = note_sign(bytes, sizeof bytes, "text\n", 5, &key, seed);
	size_t second_n = note_sign(second, sizeof second, "text\n", 5, &witness, witness_seed);

	memcpy(bytes + n, second + 6, second_n - 6);
	n += second_n - 6;
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(note.signatures_n, 2);
	assert_int_equal(note_verify(&note, &key, NULL), RC_OK);
	assert_int_equal(note_verify(&note, &witness, NULL), RC_OK);

	/* A second line of the log's own key over another text. */
	second_n = note_sign(second, sizeof second, "lies\n", 5, &key, seed);
	memcpy(bytes + n, second + 6, second_n - 6);
	n += second_n - 6;
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(note_verify(&note, &key, NULL), RC_AUTH);
	assert_int_equal(note_verify(&note, &witness, NULL), RC_OK);

	/* Sixteen are read, one more is not. */
	for (size_t lines = 3; lines <= NOTE_SIGNATURES_MAX; lines++) {
		assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
		assert_int_equal(note.signatures_n, lines);
		n += (size_t)snprintf(bytes + n, sizeof bytes - n, DASH " someone AAAAAAE=\n");
	}
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_LIMIT);
}

static void malformed_notes(void **state)
{
	static const struct {
		const char *name, *bytes;
	} rows[] = {
		{ "no empty line", "text\n" DASH " a AAAAAAE=\n" },
		{ "no signature", "text\n\n" },
		{ "no final line feed", "text\n\n" DASH " a AAAAAAE=" },
		{ "hyphen for the dash", "text\n\n- a AAAAAAE=\n" },
		{ "no space behind the dash", "text\n\n" DASH "a AAAAAAE=\n" },
		{ "no name", "text\n\n" DASH "  AAAAAAE=\n" },
		{ "plus in the name", "text\n\n" DASH " a+b AAAAAAE=\n" },
		{ "no base64", "text\n\n" DASH " a\n" },
		{ "base64 without padding", "text\n\n" DASH " a AAAAAAE\n" },
		{ "base64 with unused bits", "text\n\n" DASH " a AAAAAAF=\n" },
		{ "only a key id", "text\n\n" DASH " a AAAAAA==\n" },
		{ "trailing space", "text\n\n" DASH " a AAAAAAE= \n" },
		{ "tab in the text", "te\txt\n\n" DASH " a AAAAAAE=\n" },
		{ "carriage return", "text\r\n\n" DASH " a AAAAAAE=\n" },
		{ "no UTF-8", "te\xff\n\n" DASH " a AAAAAAE=\n" },
		{ "overlong UTF-8", "te\xc0\x80\n\n" DASH " a AAAAAAE=\n" },
		{ "surrogate", "te\xed\xa0\x80\n\n" DASH " a AAAAAAE=\n" },
		{ "nothing", "" },
	};
	struct note note;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (note_parse(&note, rows[i].bytes, strlen(rows[i].bytes), NULL) == RC_OK)
			fail_msg("%s: accepted", rows[i].name);
	assert_int_equal(note_parse(&note, "text\n\n" DASH " a AAAAAAE=\n", 21, NULL), RC_OK);
	assert_int_equal(note_parse(&note, "te\0xt\n\n" DASH " a AAAAAAE=\n", 22, NULL), RC_MALFORMED);
	char *large = calloc(1, NOTE_BYTES_MAX + 1);
	memset(large, 'a', NOTE_BYTES_MAX + 1);
	assert_int_equal(note_parse(&note, large, NOTE_BYTES_MAX + 1, NULL), RC_LIMIT);
	free(large);
}

static void keys(void **state)
{
	/* The example log's key, and the witness key of the cosignature specification's known answer. */
	static const char *good[] = {
		"example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
		"example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q"
	};
	static const char *wrong[] = {
		"",
		"example.com/witness",
		"example.com/witness+10a1c019",
		"example.com/witness+10a1c018+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q",
		"example.com/witness+10A1C019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q",
		"example.com/witnes+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q",
		"example.com/witness+10a1c019+AWSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q",
		"example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5",
		"example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q\n",
		"+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q",
	};
	char text[NOTE_VKEY_MAX];
	struct note_key k;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(note_key_parse(&k, good[i], strlen(good[i]), NULL), RC_OK);
		assert_string_equal(note_key_text(text, &k), good[i]);
		for (size_t cut = 0; cut < strlen(good[i]); cut++)
			assert_int_equal(note_key_parse(&k, good[i], cut, NULL), RC_MALFORMED);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (note_key_parse(&k, wrong[i], strlen(wrong[i]), NULL) == RC_OK)
			fail_msg("accepted: %s", wrong[i]);
	uint8_t public_key[32] = { 0 };
	assert_int_equal(note_key_make(&k, "two words", NOTE_ED25519, public_key), RC_MALFORMED);
	assert_int_equal(note_key_make(&k, "", NOTE_ED25519, public_key), RC_MALFORMED);
}

/* A key of one type never vouches for a line of the other, whatever the id says. */
static void types_are_apart(void **state)
{
	uint8_t seed[32], public_key[32];
	struct note_key key = key_of(1, "log", seed), co;
	char bytes[400];
	struct note note;
	size_t n = note_sign(bytes, sizeof bytes, "text\n", 5, &key, seed);

	memcpy(public_key, key.public_key, 32);
	assert_int_equal(note_key_make(&co, "log", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	assert_memory_not_equal(co.id, key.id, 4);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(note_verify(&note, &co, NULL), RC_NOT_FOUND);
	/* A cosignature signs more than the text: until it is made, a line under such a key's id is never
	 * right. */
	co.type = NOTE_COSIGNATURE_ED25519;
	memcpy(co.id, key.id, 4);
	assert_int_equal(note_verify(&note, &co, NULL), RC_AUTH);
}

#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void checkpoints(void **state)
{
	static const struct {
		const char *name, *text;
		enum rc want, foreign;
	} rows[] = {
		{ "good", "log\n0\n" ROOT "\n", RC_OK, RC_OK },
		{ "large", "log\n9223372036854775807\n" ROOT "\n", RC_OK, RC_OK },
		{ "no origin", "\n0\n" ROOT "\n", RC_MALFORMED, RC_MALFORMED },
		{ "leading zero", "log\n012\n" ROOT "\n", RC_MALFORMED, RC_MALFORMED },
		{ "sign", "log\n+1\n" ROOT "\n", RC_MALFORMED, RC_MALFORMED },
		{ "no size", "log\n\n" ROOT "\n", RC_MALFORMED, RC_MALFORMED },
		{ "too large", "log\n99999999999999999999\n" ROOT "\n", RC_MALFORMED, RC_MALFORMED },
		{ "short root", "log\n1\nAAAA\n", RC_MALFORMED, RC_MALFORMED },
		{ "root with unused bits", "log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
			RC_MALFORMED, RC_MALFORMED },
		{ "extension line", "log\n1\n" ROOT "\nmore\n", RC_MALFORMED, RC_OK },
		{ "two extension lines", "log\n1\n" ROOT "\nmore\nand more\n", RC_MALFORMED, RC_OK },
		{ "empty extension line", "log\n1\n" ROOT "\n\n", RC_MALFORMED, RC_MALFORMED },
		{ "cut extension line", "log\n1\n" ROOT "\nmore", RC_MALFORMED, RC_MALFORMED },
		{ "no final line feed", "log\n1\n" ROOT, RC_MALFORMED, RC_MALFORMED },
	};
	struct checkpoint c;
	char text[300];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t n = strlen(rows[i].text);
		if (checkpoint_parse(&c, rows[i].text, n, NULL) != rows[i].want)
			fail_msg("%s", rows[i].name);
		/* Other people's logs may have extension lines; nothing else is different. */
		if (checkpoint_parse_foreign(&c, rows[i].text, n, NULL) != rows[i].foreign)
			fail_msg("%s, foreign", rows[i].name);
		if (rows[i].want != RC_OK)
			continue;
		assert_int_equal(checkpoint_text(text, sizeof text, &c), n);
		assert_string_equal(text, rows[i].text);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(checkpoint_parse(&c, rows[i].text, cut, NULL), RC_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sign_and_verify),
		cmocka_unit_test(several_signatures),
		cmocka_unit_test(malformed_notes),
		cmocka_unit_test(keys),
		cmocka_unit_test(types_are_apart),
		cmocka_unit_test(checkpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
