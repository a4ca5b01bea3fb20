/*
 * Signatures of ssh-keygen, by a key of each type (those in a security key by one in software, whose keys ssh-keygen uses as any token's): accepted
 * as they are, refused with any octet changed, for another namespace, over another message. What we write again is what ssh-keygen takes.
 */
#include "admin/sshsig.h"
#include "base/wr.h"
#include "ssh_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NS "plaingate-commit"

/* clang-format off */
static struct {
	const char *options;
	bool token;
	struct ssh_key key;
	uint8_t blob[2][SSHSIG_BLOB_MAX]; /* with sha512 and with sha256 */
	size_t blob_n[2];
} made[] = {
	{ .options = "ed25519" },
	{ .options = "ecdsa -b 256" },
	{ .options = "ecdsa -b 384" },
	{ .options = "ecdsa -b 521" },
	{ .options = "rsa -b 3072" },
	{ .options = "ed25519-sk", .token = true },
	{ .options = "ecdsa-sk", .token = true },
};
/* clang-format on */

static const char message[] = "plaingate-commit v1\nmessage of a test\n";
static const char *hashes[] = { "sha512", "sha256" };

/* The signature of key i in ret_armor. */
static size_t sign(
	size_t i, const char *name_space, const char *hash, const char *before, char *ret_armor, size_t max)
{
	assert_int_equal(
		ssh_run(ret_armor, max, "%s ssh-keygen -q -Y sign -n %s -O hashalg=%s -f key%zu <message",
			before, name_space, hash, i),
		0);
	return strlen(ret_armor);
}

static enum rc verify(const void *blob, size_t n, struct ssh_key *ret_key)
{
	return sshsig_verify(ret_key, blob, n, NS, message, strlen(message), NULL);
}

static void of_ssh_keygen(void **state)
{
	struct ssh_key key;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		for (size_t h = 0; h < 2; h++) {
			const uint8_t *blob = made[i].blob[h];
			size_t n = made[i].blob_n[h];
			assert_int_equal(verify(blob, n, &key), RC_OK);
			assert_true(ssh_key_equal(&key, &made[i].key));
			assert_int_equal(sshsig_key(&key, blob, n, NULL), RC_OK);
			assert_true(ssh_key_equal(&key, &made[i].key));
			/* For another purpose, or over another message, it is no signature. */
			assert_int_equal(sshsig_verify(&key, blob, n, "file", message, strlen(message), NULL),
				RC_AUTH);
			assert_int_equal(key.type, SSH_KEY_NONE);
			assert_int_equal(sshsig_verify(&key, blob, n, NS "x", message, strlen(message), NULL),
				RC_AUTH);
			assert_int_equal(sshsig_verify(&key, blob, n, NS, message, strlen(message) - 1, NULL),
				RC_AUTH);
			assert_int_equal(sshsig_verify(&key, blob, n, NS, "", 0, NULL), RC_AUTH);
		}
	}
}

static void each_octet(void **state)
{
	uint8_t blob[SSHSIG_BLOB_MAX + 1];
	struct ssh_key key;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		for (size_t h = 0; h < 2; h++) {
			size_t n = made[i].blob_n[h];
			memcpy(blob, made[i].blob[h], n);
			/* RSA takes its time: one bit of each octet; else all of them. */
			for (size_t at = 0; at < n; at++) {
				for (unsigned bit = 0; bit < 8;
					bit += made[i].key.type == SSH_KEY_RSA ? 8 : 1) {
					blob[at] ^= (uint8_t)(1u << bit);
					assert_int_not_equal(verify(blob, n, &key), RC_OK);
					assert_int_equal(key.type, SSH_KEY_NONE);
					blob[at] ^= (uint8_t)(1u << bit);
				}
			}
			for (size_t cut = 0; cut < n; cut++)
				assert_int_not_equal(verify(blob, cut, &key), RC_OK);
			blob[n] = 0;
			assert_int_not_equal(verify(blob, n + 1, &key), RC_OK);
		}
	}
}

/* What we keep as a blob and write again is what ssh-keygen made, and what it verifies. */
static void back_to_ssh_keygen(void **state)
{
	char armor[SSHSIG_ARMOR_MAX], again[SSHSIG_ARMOR_MAX], said[4096], line[SSH_KEY_TEXT_MAX],
		signers[SSH_KEY_TEXT_MAX + 64];

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		size_t n = sshsig_armor(armor, made[i].blob[1], made[i].blob_n[1]);
		assert_true(n > 0 && strlen(armor) == n);
		ssh_file_write("signature", armor, n);
		ssh_file_write("signers", signers,
			(size_t)snprintf(
				signers, sizeof signers, "alice %s\n", ssh_key_text(line, &made[i].key)));
		assert_int_equal(ssh_run(said, sizeof said,
					 "ssh-keygen -Y verify -f signers -I alice -n " NS
					 " -s signature <message 2>&1"),
			0);
		assert_non_null(strstr(said, "Good"));
		assert_int_not_equal(
			ssh_run(said, sizeof said,
				"ssh-keygen -Y verify -f signers -I alice -n file -s signature <message 2>&1"),
			0);
		ssh_file_read("armor", again, sizeof again);
		if (i == COUNT_OF(made) - 1)
			assert_string_equal(armor, again); /* the last one that ssh-keygen made */
	}
}

static void without_a_touch(void **state)
{
	char armor[SSHSIG_ARMOR_MAX];
	uint8_t blob[SSHSIG_BLOB_MAX];
	struct ssh_key key;
	struct err e;
	size_t n;

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		if (!made[i].token)
			continue;
		n = sign(i, NS, "sha512", "SECURITY_KEY_UNTOUCHED=1", armor, sizeof armor);
		assert_int_equal(sshsig_from_armor(blob, &n, armor, n, NULL), RC_OK);
		err_clear(&e);
		assert_int_equal(sshsig_verify(&key, blob, n, NS, message, strlen(message), &e), RC_AUTH);
		assert_non_null(strstr(e.text, "touch"));
	}
}

static void armours(void **state)
{
	const uint8_t *blob = made[0].blob[0];
	size_t blob_n = made[0].blob_n[0], n, got;
	char armor[SSHSIG_ARMOR_MAX], text[2 * SSHSIG_ARMOR_MAX];
	uint8_t out[SSHSIG_BLOB_MAX];

	n = sshsig_armor(armor, blob, blob_n);
	for (size_t cut = 0; cut < n - 1; cut++)
		assert_int_equal(sshsig_from_armor(out, &got, armor, cut, NULL), RC_MALFORMED);
	assert_int_equal(sshsig_from_armor(out, &got, armor, n - 1, NULL), RC_OK);
	/* White space around it, and the line ends of another system. */
	size_t at = (size_t)snprintf(text, sizeof text, "\n  ");
	for (size_t i = 0; i < n; i++) {
		if (armor[i] == '\n')
			text[at++] = '\r';
		text[at++] = armor[i];
	}
	text[at++] = '\n';
	assert_int_equal(sshsig_from_armor(out, &got, text, at, NULL), RC_OK);
	assert_int_equal(got, blob_n);
	assert_memory_equal(out, blob, blob_n);
	/* Something behind it, two of them, an empty line in it, a line too long. */
	at = (size_t)snprintf(text, sizeof text, "%sx\n", armor);
	assert_int_equal(sshsig_from_armor(out, &got, text, at, NULL), RC_MALFORMED);
	at = (size_t)snprintf(text, sizeof text, "%s%s", armor, armor);
	assert_int_equal(sshsig_from_armor(out, &got, text, at, NULL), RC_MALFORMED);
	at = (size_t)snprintf(text, sizeof text, "%.*s\n%s", 30, armor, armor + 30);
	assert_int_equal(sshsig_from_armor(out, &got, text, at, NULL), RC_MALFORMED);
	at = (size_t)snprintf(text, sizeof text, "%.*s%.*s%s", 100, armor, 70, armor + 101, armor + 171);
	assert_int_equal(sshsig_from_armor(out, &got, text, at, NULL), RC_MALFORMED);
	assert_int_equal(sshsig_armor(armor, text, SSHSIG_BLOB_MAX + 1), 0);
}

static void string_write(struct wr *w, const void *bytes, size_t n)
{
	wr_u32(w, (uint32_t)n);
	wr_bytes(w, bytes, n);
}

/* Forms that ssh-keygen does not write: each of them with the octets of a good one elsewhere. */
static void other_forms(void **state)
{
	/* clang-format off */
	const struct { uint32_t version; const char *reserved, *hash; enum rc rc; } rows[] = {
		{ 1, "", "sha512", RC_OK },
		{ 0, "", "sha512", RC_UNSUPPORTED },
		{ 2, "", "sha512", RC_UNSUPPORTED },
		{ 1, "x", "sha512", RC_MALFORMED },
		{ 1, "", "sha256", RC_AUTH },
		{ 1, "", "sha1", RC_UNSUPPORTED },
		{ 1, "", "", RC_UNSUPPORTED },
	};
	/* clang-format on */
	uint8_t blob[SSHSIG_BLOB_MAX];
	struct ssh_key key;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct wr w = wr_over(blob, sizeof blob);
		wr_bytes(&w, "SSHSIG", 6);
		wr_u32(&w, rows[i].version);
		string_write(&w, made[0].key.blob, made[0].key.n);
		string_write(&w, NS, strlen(NS));
		string_write(&w, rows[i].reserved, strlen(rows[i].reserved));
		string_write(&w, rows[i].hash, strlen(rows[i].hash));
		string_write(&w, made[0].blob[0] + made[0].blob_n[0] - 83, 83);
		assert_int_equal(verify(blob, wr_len(&w), &key), rows[i].rc);
	}
}

static int all_make(void **state)
{
	const char *provider = getenv("SECURITY_KEY");
	char public[2048], armor[SSHSIG_ARMOR_MAX], name[16], options[1024];
	bool ok = provider != NULL;

	if (ok)
		setenv("SSH_SK_PROVIDER", provider, 1);
	ssh_file_write("message", message, strlen(message));
	for (size_t i = 0; ok && i < COUNT_OF(made); i++) {
		snprintf(name, sizeof name, "key%zu", i);
		snprintf(options, sizeof options, "%s", made[i].options);
		size_t n = ssh_key_make(name, options, public, sizeof public);
		ok = ssh_key_parse(&made[i].key, public, n, NULL, NULL, NULL) == RC_OK;
		for (size_t h = 0; ok && h < 2; h++) {
			n = sign(i, NS, hashes[h], "", armor, sizeof armor);
			ok = sshsig_from_armor(made[i].blob[h], &made[i].blob_n[h], armor, n, NULL) == RC_OK;
			ssh_file_write("armor", armor, n);
		}
	}
	return ok ? 0 : -1;
}

static int all_done(void **state)
{
	ssh_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_ssh_keygen),
		cmocka_unit_test(each_octet),
		cmocka_unit_test(back_to_ssh_keygen),
		cmocka_unit_test(without_a_touch),
		cmocka_unit_test(armours),
		cmocka_unit_test(other_forms),
	};
	return cmocka_run_group_tests(tests, all_make, all_done);
}
