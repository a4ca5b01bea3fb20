/* Public keys of SSH beside what ssh-keygen makes of them: text, blob, fingerprint, and each departure from the form that is not taken. */
#include "admin/ssh_key.h"
#include "base/wr.h"
#include "ssh_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* clang-format off */
static const struct {
	const char *options;
	uint32_t type;
} made[] = {
	{ "ed25519", SSH_KEY_ED25519 },
	{ "ecdsa -b 256", SSH_KEY_ECDSA_P256 },
	{ "ecdsa -b 384", SSH_KEY_ECDSA_P384 },
	{ "ecdsa -b 521", SSH_KEY_ECDSA_P521 },
	{ "rsa -b 3072", SSH_KEY_RSA },
};
/* clang-format on */

static char public_text[COUNT_OF(made)][2048];

static struct ssh_key parsed(const char *text)
{
	struct ssh_key key;

	assert_int_equal(ssh_key_parse(&key, text, strlen(text), NULL, NULL, NULL), RC_OK);
	return key;
}

static void as_ssh_keygen(void **state)
{
	char printed[256], fingerprint[SSH_FINGERPRINT_SIZE], text[SSH_KEY_TEXT_MAX], with_comment[2048];
	const char *comment;
	struct ssh_key key, again;
	size_t comment_n;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		const char *public = public_text[i];
		assert_int_equal(
			ssh_key_parse(&key, public, strlen(public), &comment, &comment_n, NULL), RC_OK);
		assert_int_equal(key.type, made[i].type);
		assert_memory_equal(public, ssh_key_type_name(key.type), strlen(ssh_key_type_name(key.type)));
		assert_int_equal(comment_n, strlen("alice@laptop 1"));
		assert_memory_equal(comment, "alice@laptop 1", comment_n);
		assert_int_equal(
			ssh_run(printed, sizeof printed, "ssh-keygen -l -E sha256 -f key%zu.pub", i), 0);
		ssh_key_fingerprint(fingerprint, &key);
		assert_non_null(strstr(printed, fingerprint));
		assert_int_equal(strstr(printed, fingerprint)[strlen(fingerprint)], ' ');
		snprintf(with_comment, sizeof with_comment, "%s alice@laptop 1", ssh_key_text(text, &key));
		assert_string_equal(with_comment, public);
		assert_int_equal(ssh_key_from_blob(&again, key.blob, key.n, NULL), RC_OK);
		assert_true(ssh_key_equal(&key, &again));
		/* Without a comment it is the same key. */
		again = parsed(text);
		assert_true(ssh_key_equal(&key, &again));
		for (size_t k = 0; k < i; k++) {
			again = parsed(public_text[k]);
			assert_false(ssh_key_equal(&key, &again));
		}
	}
}

static void shorter_and_longer(void **state)
{
	char text[SSH_KEY_TEXT_MAX];
	uint8_t blob[SSH_KEY_BLOB_MAX + 1];
	struct ssh_key key, other;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		key = parsed(public_text[i]);
		ssh_key_text(text, &key);
		for (size_t n = 0; n < strlen(text); n++) {
			assert_int_not_equal(ssh_key_parse(&other, text, n, NULL, NULL, NULL), RC_OK);
			assert_int_equal(other.type, SSH_KEY_NONE);
		}
		for (size_t n = 0; n < key.n; n++)
			assert_int_not_equal(ssh_key_from_blob(&other, key.blob, n, NULL), RC_OK);
		memcpy(blob, key.blob, key.n);
		blob[key.n] = 0;
		assert_int_not_equal(ssh_key_from_blob(&other, blob, key.n + 1, NULL), RC_OK);
	}
}

/* An octet of anything but the key itself; in that, a point that is not on its curve. */
static void changed(void **state)
{
	struct ssh_key key, other;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		key = parsed(public_text[i]);
		bool curve = key.type >= SSH_KEY_ECDSA_P256 && key.type <= SSH_KEY_ECDSA_P521;
		size_t head = key.type == SSH_KEY_ED25519 ? 19 : key.type == SSH_KEY_RSA ? 15 : 40;
		for (size_t at = 0; at < (curve ? key.n : head); at++) {
			key.blob[at] ^= 0x41;
			assert_int_not_equal(ssh_key_from_blob(&other, key.blob, key.n, NULL), RC_OK);
			key.blob[at] ^= 0x41;
		}
	}
}

static void string_write(struct wr *w, const void *bytes, size_t n)
{
	wr_u32(w, (uint32_t)n);
	wr_bytes(w, bytes, n);
}

/* RSA of so many octets of modulus with a first octet and a last one, and an exponent. */
static enum rc rsa_of(size_t n, uint8_t first, uint8_t last, const char *exponent, size_t exponent_n)
{
	uint8_t blob[2048], modulus[1200] = { 0 };
	struct wr w = wr_over(blob, sizeof blob);
	struct ssh_key key;

	memset(modulus, 0x5a, n);
	modulus[0] = first;
	if (first == 0)
		modulus[1] = 0xff;
	modulus[n - 1] = last;
	string_write(&w, "ssh-rsa", 7);
	string_write(&w, exponent, exponent_n);
	string_write(&w, modulus, n);
	return ssh_key_from_blob(&key, blob, wr_len(&w), NULL);
}

static void rsa_numbers(void **state)
{
	assert_int_equal(rsa_of(385, 0, 1, "\1\0\1", 3), RC_OK);	     /* 3072 bits */
	assert_int_equal(rsa_of(1025, 0, 1, "\1\0\1", 3), RC_OK);	     /* 8192 */
	assert_int_equal(rsa_of(384, 0x7f, 1, "\1\0\1", 3), RC_UNSUPPORTED); /* 3071 */
	assert_int_equal(rsa_of(257, 0, 1, "\1\0\1", 3), RC_UNSUPPORTED);
	assert_int_not_equal(rsa_of(1026, 1, 1, "\1\0\1", 3), RC_OK);
	assert_int_equal(rsa_of(385, 0, 2, "\1\0\1", 3), RC_UNSUPPORTED); /* even */
	assert_int_equal(rsa_of(385, 0, 1, "\3", 1), RC_UNSUPPORTED);
	assert_int_equal(rsa_of(385, 0, 1, "\1\0\2", 3), RC_UNSUPPORTED);
	assert_int_equal(rsa_of(385, 0, 1, "\0\1\0\1", 4), RC_MALFORMED); /* not the shortest */
	assert_int_equal(rsa_of(385, 0, 1, "\x81\0\1", 3), RC_MALFORMED); /* negative */
	assert_int_equal(rsa_of(385, 0x80, 1, "\1\0\1", 3), RC_MALFORMED);
	assert_int_equal(rsa_of(385, 0, 1, "", 0), RC_MALFORMED);
}

/* PROTOCOL.u2f's keys: a public key and the application. */
static void security_keys(void **state)
{
	struct ssh_key plain = parsed(public_text[0]), key;
	char application[SSH_APPLICATION_MAX + 1];
	uint8_t blob[512];

	memset(application, 'a', sizeof application);
	for (size_t n = 0; n <= sizeof application; n++) {
		struct wr w = wr_over(blob, sizeof blob);
		string_write(&w, "sk-ssh-ed25519@openssh.com", 26);
		wr_bytes(&w, plain.blob + 15, 36);
		string_write(&w, application, n);
		assert_int_equal(ssh_key_from_blob(&key, blob, wr_len(&w), NULL),
			n == 0 || n > SSH_APPLICATION_MAX ? RC_MALFORMED : RC_OK);
	}
	/* Without one it is no key. */
	struct wr w = wr_over(blob, sizeof blob);
	string_write(&w, "sk-ssh-ed25519@openssh.com", 26);
	wr_bytes(&w, plain.blob + 15, 36);
	assert_int_equal(ssh_key_from_blob(&key, blob, wr_len(&w), NULL), RC_MALFORMED);
}

static void refused_texts(void **state)
{
	char line[4096], rest[2048];
	struct ssh_key key;
	struct err e;

	snprintf(rest, sizeof rest, "%s", strchr(public_text[0], ' ') + 1);
	*strchr(rest, ' ') = '\0';
	/* clang-format off */
	const struct { const char *before, *after; enum rc rc; } rows[] = {
		{ "ssh-ed25519 ", "", RC_OK },
		{ "ssh-ed25519 ", " ", RC_OK },
		{ "ssh-ed25519 ", " \xc3\xbc", RC_OK },
		{ "ssh-ed25519  ", "", RC_MALFORMED },
		{ " ssh-ed25519 ", "", RC_UNSUPPORTED },
		{ "ssh-ed25519\t", "", RC_UNSUPPORTED },
		{ "", "", RC_UNSUPPORTED },
		{ "ssh-ed25519", "", RC_UNSUPPORTED },
		{ "ssh-rsa ", "", RC_MALFORMED },
		{ "SSH-ED25519 ", "", RC_UNSUPPORTED },
		{ "ssh-dss ", "", RC_UNSUPPORTED },
		{ "ssh-ed25519-cert-v01@openssh.com ", "", RC_UNSUPPORTED },
		{ "no-pty ssh-ed25519 ", "", RC_UNSUPPORTED },
		{ "ssh-ed25519 ", "=", RC_MALFORMED },
		{ "ssh-ed25519 ", "AAAA", RC_MALFORMED },
		{ "ssh-ed25519 ", " a\nb", RC_MALFORMED },
		{ "ssh-ed25519 ", " \x1b[2J", RC_MALFORMED },
		{ "ssh-ed25519 ", " \xc2\x9b", RC_MALFORMED },
		{ "ssh-ed25519 ", " \xff", RC_MALFORMED },
	};
	/* clang-format on */
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int n = snprintf(line, sizeof line, "%s%s%s", rows[i].before, rest, rows[i].after);
		err_clear(&e);
		assert_int_equal(ssh_key_parse(&key, line, (size_t)n, NULL, NULL, &e), rows[i].rc);
		assert_true(rows[i].rc == RC_OK ||
			    (strstr(e.text, "expected") || strstr(e.text, "the text says")));
	}
	/* A comment may be as long as the limit, and no longer. */
	memset(rest, 'c', sizeof rest);
	for (int over = 0; over <= 1; over++) {
		char text[SSH_KEY_TEXT_MAX];
		key = parsed(public_text[0]);
		int n = snprintf(line, sizeof line, "%s %.*s", ssh_key_text(text, &key),
			SSH_KEY_COMMENT_MAX + over, rest);
		assert_int_equal(
			ssh_key_parse(&key, line, (size_t)n, NULL, NULL, NULL), over ? RC_MALFORMED : RC_OK);
	}
	/* What a key of 2048 bits lacks is said. */
	ssh_key_make("short", "rsa -b 2048", line, sizeof line);
	err_clear(&e);
	assert_int_equal(ssh_key_parse(&key, line, strlen(line), NULL, NULL, &e), RC_UNSUPPORTED);
	assert_non_null(strstr(e.text, "2048 bits"));
	assert_non_null(strstr(e.text, "3072 to 8192"));
}

static int keys_make(void **state)
{
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		char name[16];
		snprintf(name, sizeof name, "key%zu", i);
		ssh_key_make(name, made[i].options, public_text[i], sizeof public_text[i]);
	}
	return 0;
}

static int keys_done(void **state)
{
	ssh_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_ssh_keygen),
		cmocka_unit_test(shorter_and_longer),
		cmocka_unit_test(changed),
		cmocka_unit_test(rsa_numbers),
		cmocka_unit_test(security_keys),
		cmocka_unit_test(refused_texts),
	};
	return cmocka_run_group_tests(tests, keys_make, keys_done);
}
