/* Files of CRLs: which there are in them. What they say is not looked at here. */
#include "certify/crl_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BEGIN "-----BEGIN X509 CRL-----\n"
#define END   "-----END X509 CRL-----\n"

static uint8_t octets[4096];
static struct certify_der crl[3];
static size_t n;
static struct err e;

static enum rc text(const char *file)
{
	e = (struct err){ 0 };
	return crls_read((const uint8_t *)file, strlen(file), octets, crl, COUNT_OF(crl), &n, &e);
}

static void der(void **state)
{
	assert_int_equal(crls_read((const uint8_t *)"\x30\x01\x00", 3, octets, crl, 3, &n, NULL), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(crl[0].n, 3);
	assert_memory_equal(crl[0].b, "\x30\x01\x00", 3);
	assert_int_equal(crls_read((const uint8_t *)"", 0, octets, crl, 3, &n, NULL), RC_MALFORMED);
}

static void pem(void **state)
{
	static const char two[] = "Certificate Revocation List (CRL):\r\n  Version 2\r\n" BEGIN "MAEA\n" END
				  "\n" BEGIN "MAMC\r\nAQA=  \r\n" END;
	uint8_t whole[sizeof two];

	assert_int_equal(text(two), RC_OK);
	assert_int_equal(n, 2);
	assert_memory_equal(crl[0].b, "\x30\x01\x00", 3);
	assert_memory_equal(crl[1].b, "\x30\x03\x02\x01\x00", 5);
	/* each prefix is the first one alone, or none */
	memcpy(whole, two, sizeof two);
	for (size_t k = 0; k < sizeof two - 2; k++) {
		enum rc rc = crls_read(whole, k, octets, crl, COUNT_OF(crl), &n, NULL);
		assert_true(rc == RC_MALFORMED || (rc == RC_OK && n == 1));
	}
}

static void what_is_none(void **state)
{
	static const struct {
		const char *file, *says;
		enum rc rc;
	} rows[] = {
		{ "", "no CRL", RC_MALFORMED },
		{ "nothing", "no CRL", RC_MALFORMED },
		{ BEGIN END, "not base64", RC_MALFORMED },
		{ BEGIN "MA*A\n" END, "not base64", RC_MALFORMED },
		{ BEGIN "MAEA\n", "cut off", RC_MALFORMED },
		{ BEGIN "MAEA\n" BEGIN "MAEA\n" END, "cut off", RC_MALFORMED },
		{ "-----BEGIN CERTIFICATE-----\nMAEA\n-----END CERTIFICATE-----\n", "expected CRLs alone",
			RC_MALFORMED },
		{ BEGIN "MAEA\n" END BEGIN "MAEA\n" END BEGIN "MAEA\n" END BEGIN "MAEA\n" END, "more than 3",
			RC_LIMIT },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(text(rows[i].file), rows[i].rc);
		if (!strstr(e.text, rows[i].says))
			fail_msg("%zu: '%s'", i, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(der), cmocka_unit_test(pem),
		cmocka_unit_test(what_is_none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
