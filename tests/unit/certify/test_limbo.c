/*
 * The cases of x509-limbo through both engines. A case must have the verdict that the file expects, unless a row of `differ` says why a
 * VPN's rules give another one; an engine that accepts what both together refuse has a row too. The folder is
 * ../shared/vectors/x509-limbo of the project's root, or under PLAINGATE_SHARED; without it the test counts as skipped.
 * With --seeds DIR each case is also written there as an input for the fuzzers (fuzz/certify/question.h).
 */
#include "certify/certify.h"
#include "certify/gnutls_leak.h"

#include "must.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW	1796000000 /* for cases without a time: the end of November 2026 */
#define ACCEPTS true
#define REFUSES false

#include "limbo_differences.h"

static struct certify_der from_pem(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	char *name, *header;
	struct certify_der d = { 0 };
	unsigned char *data;
	long n;

	MUST(bio && PEM_read_bio(bio, &name, &header, &data, &n) == 1);
	BIO_free(bio);
	OPENSSL_free(name);
	OPENSSL_free(header);
	d.b = data;
	d.n = (size_t)n;
	return d;
}

static size_t list_read(struct certify_der *ret_list, json_t *texts)
{
	size_t i;
	json_t *text;

	MUST(json_array_size(texts) <= 120);
	json_array_foreach(texts, i, text) ret_list[i] = from_pem(json_string_value(text));
	return json_array_size(texts);
}

static int64_t when(const char *text)
{
	struct tm tm = { 0 };

	MUST(!text || strptime(text, "%Y-%m-%dT%H:%M:%S", &tm));
	return text ? timegm(&tm) : NOW;
}

/* Where the case wants no name: the subject, or the first alternative name, of the certificate itself. */
static void name_of_its_own(struct certify_question *q, uint8_t name[CERTIFY_IDENTITY_MAX])
{
	const uint8_t *at = q->bag[0].b, *der;
	X509 *c = d2i_X509(NULL, &at, (long)q->bag[0].n);
	GENERAL_NAMES *names = c ? X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL) : NULL;

	q->id_kind = CERTIFY_ID_DN;
	q->id = (struct certify_der){ (const uint8_t *)"\x30\x00", 2 };
	if (c && X509_NAME_get0_der(X509_get_subject_name(c), &der, &q->id.n) == 1)
		q->id.b = memcpy(name, der, q->id.n);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type;
		ASN1_STRING *s = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type != GEN_DNS)
			continue;
		q->id_kind = CERTIFY_ID_DNS;
		q->id.n = (size_t)ASN1_STRING_length(s);
		q->id.b = memcpy(name, ASN1_STRING_get0_data(s), q->id.n);
	}
	GENERAL_NAMES_free(names);
	X509_free(c);
}

static void name_read(struct certify_question *q, json_t *wanted, uint8_t name[CERTIFY_IDENTITY_MAX])
{
	const char *kind = json_string_value(json_object_get(wanted, "kind"));
	const char *value = json_string_value(json_object_get(wanted, "value"));

	if (!kind) {
		name_of_its_own(q, name);
	} else if (strcmp(kind, "IP") == 0) {
		q->id_kind = CERTIFY_ID_IP;
		q->id = (struct certify_der){ name, strchr(value, ':') ? 16 : 4 };
		MUST(inet_pton(q->id.n == 4 ? AF_INET : AF_INET6, value, name) == 1);
	} else {
		q->id_kind = CERTIFY_ID_DNS;
		q->id = (struct certify_der){ (const uint8_t *)value, strlen(value) };
	}
}

static bool as_expected(const char *id, bool expected, const struct certify_verdict *l,
	const struct certify_verdict *g, bool both)
{
	bool want_l = expected, want_g = expected;

	for (size_t i = 0; i < COUNT_OF(differ); i++)
		if (strcmp(differ[i].id, id) == 0) {
			want_l = differ[i].libcrypto;
			want_g = differ[i].gnutls;
		}
	if ((l->reason == CERTIFY_OK) == want_l && (g->reason == CERTIFY_OK) == want_g &&
		both == (want_l && want_g))
		return true;
	printf("%-90s expected %d: libcrypto %u (%s), gnutls %u (%s), both %d\n", id, expected, l->reason,
		certify_reason_text(l->reason), g->reason, certify_reason_text(g->reason), both);
	return false;
}

static const char *seeds; /* the folder, or NULL */

static void record_write(FILE *f, struct certify_der d, unsigned mark)
{
	unsigned n = (unsigned)d.n | mark;

	if (d.n >= 0x8000)
		return; /* the length has 15 bits */
	putc((int)(n >> 8), f);
	putc((int)(n & 0xff), f);
	MUST(fwrite(d.b, 1, d.n, f) == d.n);
}

/* What an input has no room for is left out, and the question is another one then. */
static void seed_write(const char *id, const struct certify_question *q)
{
	char path[512];
	size_t anchors_n = q->anchors_n < 4 ? q->anchors_n : 4;
	FILE *f;

	int n = snprintf(path, sizeof path, "%s/", seeds);
	snprintf(path + n, sizeof path - (size_t)n, "%s", id);
	for (char *c = path + n; *c; c++)
		if (*c == '/' || *c == ':')
			*c = '-';
	MUST((f = fopen(path, "w")));
	putc((int)anchors_n, f);
	putc((int)q->id_kind, f);
	putc((int)q->role, f);
	putc((int)q->revocation, f);
	for (int shift = 24; shift >= 0; shift -= 8)
		putc((int)(q->now_s >> shift & 0xff), f);
	record_write(f, q->id, 0);
	for (size_t i = 0; i < anchors_n; i++)
		record_write(f, q->anchors[i], 0);
	for (size_t i = 0; i < q->bag_n && i < CERTIFY_BAG_MAX; i++)
		record_write(f, q->bag[i], 0);
	for (size_t i = 0; i < q->crls_n && i < 4; i++)
		record_write(f, q->crls[i], 0x8000);
	MUST(fclose(f) == 0);
}

static bool one(json_t *c)
{
	static struct certify_der anchors[128], crls[128], bag[128];
	struct certify_verdict l, g, both;
	uint8_t name[CERTIFY_IDENTITY_MAX];
	const char *id = json_string_value(json_object_get(c, "id"));
	bool client = strcmp(json_string_value(json_object_get(c, "validation_kind")), "CLIENT") == 0;
	struct certify_question q = { .anchors = anchors,
		.crls = crls,
		.bag = bag,
		.role = client ? CERTIFY_ROLE_CLIENT : CERTIFY_ROLE_SERVER };

	bag[0] = from_pem(json_string_value(json_object_get(c, "peer_certificate")));
	q.bag_n = 1 + list_read(bag + 1, json_object_get(c, "untrusted_intermediates"));
	q.anchors_n = list_read(anchors, json_object_get(c, "trusted_certs"));
	q.crls_n = list_read(crls, json_object_get(c, "crls"));
	q.revocation = q.crls_n > 0 ? CERTIFY_CRL_HARD : CERTIFY_CRL_SOFT;
	q.now_s = when(json_string_value(json_object_get(c, "validation_time")));
	name_read(&q, json_object_get(c, "expected_peer_name"), name);
	if (seeds)
		seed_write(id, &q);
	certify_libcrypto(&l, &q);
	certify_gnutls(&g, &q);
	bool accepted = certify_agree(&both, &l, &g) == CERTIFY_OK;
	for (size_t i = 0; i < q.bag_n; i++)
		OPENSSL_free((void *)(uintptr_t)bag[i].b);
	for (size_t i = 0; i < q.anchors_n; i++)
		OPENSSL_free((void *)(uintptr_t)anchors[i].b);
	for (size_t i = 0; i < q.crls_n; i++)
		OPENSSL_free((void *)(uintptr_t)crls[i].b);
	return as_expected(id,
		strcmp(json_string_value(json_object_get(c, "expected_result")), "SUCCESS") == 0, &l, &g,
		accepted);
}

static void all_cases(void **state)
{
	const char *shared = getenv("PLAINGATE_SHARED");
	char path[1024];
	size_t i, wrong = 0, seen = 0;
	json_t *c;

	snprintf(path, sizeof path, "%s/vectors/x509-limbo/limbo.json", shared ? shared : "../shared");
	if (access(path, R_OK) != 0) {
		printf("%s is not there\n", path);
		skip();
	}
	json_t *root = json_load_file(path, 0, NULL);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "testcases"), i, c)
	{
		wrong += !one(c);
		seen++;
	}
	json_decref(root);
	printf("%zu cases, %zu rows of differences\n", seen, COUNT_OF(differ));
	assert_true(seen >= 193);
	assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_cases) };

	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		seeds = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
