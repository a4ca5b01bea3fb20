/* Certificates beside what ssh-keygen makes of them: the key in it, and the authority. */
#include "admin/ssh_certificate.h"
#include "ssh_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOB_MAX 8192

static const char *const kinds[] = { "ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521",
	"rsa -b 3072" };

static struct ssh_key parsed(const char *text)
{
	struct ssh_key key;

	assert_int_equal(ssh_key_parse(&key, text, strlen(text), NULL, NULL, NULL), RC_OK);
	return key;
}

static size_t certificate_blob(uint8_t blob[BLOB_MAX], const char *name)
{
	char text[2 * BLOB_MAX], *base64;
	size_t n;

	ssh_file_read(name, text, sizeof text - 1);
	base64 = strchr(text, ' ');
	assert_non_null(base64);
	base64++;
	assert_true(base64_to_bytes(blob, BLOB_MAX, &n, base64, strcspn(base64, " \n")));
	return n;
}

static void as_ssh_keygen(void **state)
{
	char authority_text[2048], key_text[2048], name[32];
	static uint8_t blob[BLOB_MAX];
	struct ssh_certificate c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		snprintf(name, sizeof name, "authority%zu", i);
		ssh_key_make(name, kinds[COUNT_OF(kinds) - 1 - i], authority_text, sizeof authority_text);
		snprintf(name, sizeof name, "key%zu", i);
		ssh_key_make(name, kinds[i], key_text, sizeof key_text);
		assert_int_equal(
			ssh_run(NULL, 0,
				"ssh-keygen -q -s authority%zu -I 'one (certificate of x)' -n alice,bob -V +1h -O source-address=192.0.2.0/24 key%zu.pub",
				i, i),
			0);
		snprintf(name, sizeof name, "key%zu-cert.pub", i);
		size_t n = certificate_blob(blob, name);
		assert_int_equal(ssh_certificate_read(&c, blob, n, NULL), RC_OK);
		struct ssh_key key = parsed(key_text), authority = parsed(authority_text);
		assert_true(ssh_key_equal(&c.key, &key));
		assert_true(ssh_key_equal(&c.authority, &authority));
		for (size_t less = 0; less < n; less++)
			assert_int_not_equal(ssh_certificate_read(&c, blob, less, NULL), RC_OK);
		blob[n] = 0;
		assert_int_equal(ssh_certificate_read(&c, blob, n + 1, NULL), RC_MALFORMED);
		assert_int_not_equal(ssh_key_from_blob(&key, blob, n, NULL), RC_OK);
		assert_int_equal(ssh_certificate_read(&c, authority.blob, authority.n, NULL), RC_UNSUPPORTED);
	}
}

static int end(void **state)
{
	(void)state;
	ssh_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_ssh_keygen) };

	return cmocka_run_group_tests_name("admin/ssh_certificate", tests, NULL, end);
}
