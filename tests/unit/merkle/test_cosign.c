/* Cosignatures v1: the known answer, the time in them, and each departure that is not accepted. */
#include "merkle/cosign.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DASH	"\xe2\x80\x94"
#define TEXT	"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define WITNESS "example.com/witness"
#define TIME_S	1679315147u
#define SEED	"31ffc2116ecbe003acaa800ab70757bd7d53206e3febef6a6d0796d95530b34f"
#define VKEY	"example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q"
/* Ed25519 has one answer; this one was computed with python3-cryptography from the text of the specification.
 */
#define SIGNATURE                                                                                            \
	"EKHAGQAAAABkGFDLTNoErpaFYoIjxSg1oJ6wS+ZgVHSd9KzgUVie5EgN4+xyT4Krxt1jLqJ0MhEs9ruPoxFVPPKvVikwV7Gp4/" \
	"vDAA=="

static struct note_key witness_key(uint8_t ret_seed[32])
{
	uint8_t public_key[32];
	struct note_key k;

	assert_true(hex_to_bytes(ret_seed, 32, SEED));
	ed25519_public(public_key, ret_seed);
	assert_int_equal(note_key_make(&k, WITNESS, NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	return k;
}

static void known_answer(void **state)
{
	uint8_t seed[32];
	struct note_key key = witness_key(seed);
	char line[COSIGN_LINE_MAX], bytes[1024], text[NOTE_VKEY_MAX];
	struct note note;
	uint64_t time_s;

	assert_string_equal(note_key_text(text, &key), VKEY);
	size_t n = cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, TIME_S);
	assert_string_equal(line, DASH " " WITNESS " " SIGNATURE "\n");
	assert_int_equal(n, strlen(line));
	snprintf(bytes, sizeof bytes, "%s\n%s", TEXT, line);
	assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_OK);
	assert_int_equal(time_s, TIME_S);
	/* It is no signature of the note itself. */
	assert_int_equal(note_verify(&note, &key, NULL), RC_AUTH);

	/* The example that the specification prints, by a witness whose key it does not: its time. */
	static const char example[] =
		TEXT "\n" DASH " witness.example.com/w1 "
		     "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/"
		     "zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
	assert_int_equal(note_parse(&note, example, strlen(example), NULL), RC_OK);
	assert_int_equal(note.signature[0].bytes_n, 72);
	assert_int_equal(load_be64(note.signature[0].bytes), TIME_S);
	assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_NOT_FOUND);
	assert_int_equal(time_s, 0);
}

static void every_bit_and_length(void **state)
{
	uint8_t seed[32];
	struct note_key key = witness_key(seed);
	char line[COSIGN_LINE_MAX], bytes[1024];
	struct note note;
	uint64_t time_s;

	cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, TIME_S);
	size_t n = (size_t)snprintf(bytes, sizeof bytes, "%s\n%s", TEXT, line);
	for (size_t at = 0; at < n; at++) {
		assert_false(note_parse(&note, bytes, at, NULL) == RC_OK &&
			     cosign_verify(&note, &key, NULL, NULL) == RC_OK);
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[at] = (char)(bytes[at] ^ 1 << bit);
			if (note_parse(&note, bytes, n, NULL) == RC_OK) {
				assert_int_not_equal(cosign_verify(&note, &key, &time_s, NULL), RC_OK);
				assert_int_equal(time_s, 0);
			}
			bytes[at] = (char)(bytes[at] ^ 1 << bit);
		}
	}
}

static void times(void **state)
{
	static const uint64_t good[] = { 0, 1, TIME_S, UINT32_MAX, 1ull << 32, COSIGN_TIME_MAX };
	uint8_t seed[32], blob[76];
	struct note_key key = witness_key(seed);
	char line[COSIGN_LINE_MAX], bytes[2048];
	struct note note;
	uint64_t time_s;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, good[i]) > 0);
		snprintf(bytes, sizeof bytes, "%s\n%s", TEXT, line);
		assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
		assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_OK);
		assert_int_equal(time_s, good[i]);
	}
	assert_int_equal(
		cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, COSIGN_TIME_MAX + 1ull), 0);
	/* Rightly signed by somebody who does not keep the limit: refused all the same. */
	char message[256], b64[BASE64_SIZE(sizeof blob)];
	snprintf(message, sizeof message, "cosignature/v1\ntime 9223372036854775808\n%s", TEXT);
	memcpy(blob, key.id, 4);
	store_be64(blob + 4, COSIGN_TIME_MAX + 1ull);
	ed25519_sign(blob + 12, seed, message, strlen(message));
	base64_from_bytes(b64, blob, sizeof blob);
	snprintf(bytes, sizeof bytes, "%s\n" DASH " " WITNESS " %s\n", TEXT, b64);
	assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_AUTH);

	/* Two of the same witness: the later time counts; one wrong spoils the note. */
	char early[COSIGN_LINE_MAX], late[COSIGN_LINE_MAX], other[COSIGN_LINE_MAX];
	cosign_line(early, sizeof early, TEXT, strlen(TEXT), &key, seed, 5);
	cosign_line(late, sizeof late, TEXT, strlen(TEXT), &key, seed, 9);
	cosign_line(other, sizeof other, "other\n0\n\n", 9, &key, seed, 7);
	snprintf(bytes, sizeof bytes, "%s\n%s%s", TEXT, late, early);
	assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_OK);
	assert_int_equal(time_s, 9);
	snprintf(bytes, sizeof bytes, "%s\n%s%s", TEXT, late, other);
	assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &key, &time_s, NULL), RC_AUTH);
	assert_int_equal(time_s, 0);
}

/* A log's key makes no cosignature, and a line of the wrong size under a witness's id is a wrong one. */
static void types_are_apart(void **state)
{
	uint8_t seed[32];
	struct note_key key = witness_key(seed), log_key = key;
	char line[COSIGN_LINE_MAX], bytes[1024];
	struct note note;

	log_key.type = NOTE_ED25519;
	assert_int_equal(cosign_line(line, sizeof line, TEXT, strlen(TEXT), &log_key, seed, 1), 0);
	size_t n = note_sign(bytes, sizeof bytes, TEXT, strlen(TEXT), &key, seed);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &key, NULL, NULL), RC_AUTH);
	cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, 1);
	snprintf(bytes, sizeof bytes, "%s\n%s", TEXT, line);
	assert_int_equal(note_parse(&note, bytes, strlen(bytes), NULL), RC_OK);
	assert_int_equal(cosign_verify(&note, &log_key, NULL, NULL), RC_AUTH);
	assert_int_equal(cosign_line(line, 40, TEXT, strlen(TEXT), &key, seed, 1), 0);
	assert_int_equal(cosign_line(line, sizeof line, TEXT, NOTE_BYTES_MAX + 1, &key, seed, 1), 0);
}

static void longest_name(void **state)
{
	uint8_t seed[32], public_key[32];
	char name[NOTE_NAME_MAX], line[COSIGN_LINE_MAX], secret[COSIGN_SECRET_SIZE];
	struct note_key key, again;

	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	memset(seed, 7, sizeof seed);
	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&key, name, NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	assert_true(cosign_line(line, sizeof line, TEXT, strlen(TEXT), &key, seed, COSIGN_TIME_MAX) > 0);
	assert_int_equal(cosign_secret_text(secret, name, seed), RC_OK);
	assert_int_equal(cosign_secret_parse(&again, seed, secret, strlen(secret), NULL), RC_OK);
	assert_memory_equal(&again, &key, sizeof key);
}

static void secrets(void **state)
{
	static const char *wrong[] = {
		"",
		"PRIVATE+KEY+",
		"PRIVATE+KEY+a+00000000+",
		VKEY,
		/* the id of another key; type 01; upper-case digits; white space behind */
		"PRIVATE+KEY+example.com/witness+10a1c018+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP",
		"PRIVATE+KEY+example.com/witness+10a1c019+ATH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP",
		"PRIVATE+KEY+example.com/witness+10A1C019+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP",
		"PRIVATE+KEY+example.com/witness+10a1c019+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP\n\n",
		"PRIVATE+KEY+example.com/witness+10a1c019+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP ",
	};
	static const char good[] =
		"PRIVATE+KEY+example.com/witness+10a1c019+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP";
	uint8_t seed[32], want[32];
	char text[COSIGN_SECRET_SIZE], vkey[NOTE_VKEY_MAX];
	struct note_key key;

	assert_true(hex_to_bytes(want, sizeof want, SEED));
	assert_int_equal(cosign_secret_text(text, WITNESS, want), RC_OK);
	assert_string_equal(text, good);
	assert_int_equal(cosign_secret_parse(&key, seed, good, strlen(good), NULL), RC_OK);
	assert_memory_equal(seed, want, sizeof seed);
	assert_string_equal(note_key_text(vkey, &key), VKEY);
	assert_int_equal(cosign_secret_parse(&key, seed, strcat(text, "\n"), strlen(good) + 1, NULL), RC_OK);
	for (size_t cut = 0; cut < strlen(good); cut++)
		assert_int_equal(cosign_secret_parse(&key, seed, good, cut, NULL), RC_MALFORMED);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (cosign_secret_parse(&key, seed, wrong[i], strlen(wrong[i]), NULL) != RC_MALFORMED)
			fail_msg("accepted: %s", wrong[i]);
	/* A terminator in the name would hide what stands behind it: the id belongs to "example.com/witness".
	 */
	static const char hidden[] =
		"PRIVATE+KEY+example.com/witness\0x+10a1c019+BDH/whFuy+ADrKqACrcHV719UyBuP+vvam0HltlVMLNP";
	assert_int_equal(cosign_secret_parse(&key, seed, hidden, sizeof hidden - 1, NULL), RC_MALFORMED);
	assert_int_equal(cosign_secret_text(text, "two words", want), RC_MALFORMED);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answer),
		cmocka_unit_test(every_bit_and_length),
		cmocka_unit_test(times),
		cmocka_unit_test(types_are_apart),
		cmocka_unit_test(longest_name),
		cmocka_unit_test(secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
