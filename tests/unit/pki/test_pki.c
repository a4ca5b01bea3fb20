/* The small authority: what it makes is accepted by both certifiers, what it revokes is refused by them, and what it refuses. */
#include "certify/certify.h"
#include "pki/pki.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW   1796000000
#define DAY   86400
#define NAMES "dns:gw.example.net,ip:192.0.2.1,ip:2001:db8::1,email:admin@example.net"

struct authority {
	struct pki_key *key;
	struct pki_text crt;
};

static struct pki_key *key_of(uint32_t type)
{
	struct pki_text pem = { 0 };
	struct pki_key *key;
	struct err e = { 0 };

	assert_int_equal(RC_OK, pki_key_make(&pem, type, &e));
	assert_int_equal(RC_OK, pki_key_read(&key, &pem, &e));
	pki_text_free(&pem);
	return key;
}

static struct authority authority(uint32_t type, const char *subject)
{
	struct authority a = { 0 };
	struct pki_terms terms = { .subject = subject, .days = 3650, .now_s = NOW, .serial = { 1 } };
	struct err e = { 0 };

	a.key = key_of(type);
	assert_int_equal(RC_OK, pki_authority_make(&a.crt, a.key, &terms, &e));
	return a;
}

static void authority_free(struct authority *a)
{
	pki_key_free(a->key);
	pki_text_free(&a->crt);
}

static struct pki_text request_of(uint32_t type)
{
	struct pki_key *key = key_of(type);
	struct pki_text request = { 0 };
	struct err e = { 0 };

	assert_int_equal(
		RC_OK, pki_request_make(&request, key, "CN=asked, O=Example", "dns:asked.example.net", &e));
	pki_key_free(key);
	return request;
}

static struct pki_terms terms_of(uint32_t use)
{
	return (struct pki_terms){ .subject = "C=CH, O=Example, CN=gw.example.net",
		.names = NAMES,
		.use = use,
		.days = 365,
		.now_s = NOW,
		.serial = { 2, 3 } };
}

/* The DER of a PEM block, whatever its name is. */
static struct certify_der der_of(const struct pki_text *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	char *name, *header;
	uint8_t *der;
	long n;

	assert_int_equal(1, PEM_read_bio(bio, &name, &header, &der, &n));
	OPENSSL_free(name);
	OPENSSL_free(header);
	BIO_free(bio);
	return (struct certify_der){ der, (size_t)n };
}

struct asked {
	const struct pki_text *authority, *certificate, *crl;
	enum certify_id_kind kind;
	const void *id;
	size_t id_n;
	enum certify_role role;
	int64_t now_s;
};

/* Both engines must say the same. */
static uint32_t verdict(const struct asked *a)
{
	struct certify_der anchor = der_of(a->authority), bag = der_of(a->certificate), crl = { 0 };
	struct certify_verdict l, g, both;

	if (a->crl)
		crl = der_of(a->crl);
	struct certify_question q = { .anchors = &anchor,
		.anchors_n = 1,
		.bag = &bag,
		.bag_n = 1,
		.crls = &crl,
		.crls_n = a->crl != NULL,
		.now_s = a->now_s,
		.id_kind = a->kind,
		.role = a->role,
		.revocation = a->crl ? CERTIFY_CRL_HARD : CERTIFY_CRL_SOFT,
		.id = { a->id, a->id_n } };
	certify_libcrypto(&l, &q);
	certify_gnutls(&g, &q);
	assert_string_equal(certify_reason_text(l.reason), certify_reason_text(g.reason));
	OPENSSL_free((void *)(uintptr_t)anchor.b);
	OPENSSL_free((void *)(uintptr_t)bag.b);
	OPENSSL_free((void *)(uintptr_t)crl.b);
	return certify_agree(&both, &l, &g);
}

#define DNS(name) .kind = CERTIFY_ID_DNS, .id = (name), .id_n = sizeof(name) - 1

static void both_certifiers_accept_each_kind_of_key(void **state)
{
	for (uint32_t of = 0; of < PKI_RSA_4096; of++) {
		struct authority a = authority(of, "CN=VPN CA, O=Example");
		for (uint32_t type = 0; type < PKI_RSA_4096; type++) {
			struct pki_text request = request_of(type), certificate = { 0 };
			struct pki_terms terms = terms_of(PKI_GATEWAY);
			struct pki_entry entry;
			struct err e = { 0 };

			assert_int_equal(
				RC_OK, pki_issue(&certificate, &entry, &a.crt, a.key, &request, &terms, &e));
			assert_int_equal(CERTIFY_OK, verdict(&(struct asked){ .authority = &a.crt,
							     .certificate = &certificate,
							     DNS("gw.example.net"),
							     .now_s = NOW }));
			pki_text_free(&request);
			pki_text_free(&certificate);
		}
		authority_free(&a);
	}
}

static void names_and_uses_are_those_of_the_terms(void **state)
{
	struct authority a = authority(PKI_ECDSA_P384, "CN=VPN CA, O=Example");
	struct pki_text request = request_of(PKI_ECDSA_P256), gateway = { 0 }, client = { 0 };
	struct pki_terms terms = terms_of(PKI_GATEWAY);
	struct pki_entry entry;
	struct err e = { 0 };
	static const uint8_t v4[] = { 192, 0, 2, 1 }, other_v4[] = { 192, 0, 2, 2 },
			     v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	static const char pattern[] = "C=CH, O=Example, CN=*";

	assert_int_equal(RC_OK, pki_issue(&gateway, &entry, &a.crt, a.key, &request, &terms, &e));
	terms.use = PKI_CLIENT;
	assert_int_equal(RC_OK, pki_issue(&client, &entry, &a.crt, a.key, &request, &terms, &e));
	struct asked good[] = {
		{ DNS("GW.example.net") },
		{ .kind = CERTIFY_ID_IP, .id = v4, .id_n = 4 },
		{ .kind = CERTIFY_ID_IP, .id = v6, .id_n = 16 },
		{ .kind = CERTIFY_ID_RFC822, .id = "admin@example.net", .id_n = 17 },
		{ .kind = CERTIFY_ID_DN_TEXT, .id = pattern, .id_n = sizeof pattern - 1 },
		{ DNS("gw.example.net"), .role = CERTIFY_ROLE_SERVER },
		{ DNS("gw.example.net"), .role = CERTIFY_ROLE_CLIENT },
	};
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		good[i].authority = &a.crt;
		good[i].certificate = &gateway;
		good[i].now_s = NOW;
		assert_int_equal(CERTIFY_OK, verdict(&good[i]));
	}
	struct asked bad[] = {
		{ DNS("asked.example.net") }, /* the request's own word */
		{ .kind = CERTIFY_ID_IP, .id = other_v4, .id_n = 4 },
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		bad[i].authority = &a.crt;
		bad[i].certificate = &gateway;
		bad[i].now_s = NOW;
		assert_int_equal(CERTIFY_IDENTITY, verdict(&bad[i]));
	}
	struct asked as = {
		.authority = &a.crt, .certificate = &gateway, DNS("gw.example.net"), .now_s = NOW + 366 * DAY
	};
	assert_int_equal(CERTIFY_TIME, verdict(&as));
	as.now_s = NOW - 301;
	assert_int_equal(CERTIFY_TIME, verdict(&as));
	as.now_s = NOW;
	as.certificate = &client;
	as.role = CERTIFY_ROLE_CLIENT;
	assert_int_equal(CERTIFY_OK, verdict(&as));
	pki_text_free(&request);
	pki_text_free(&gateway);
	pki_text_free(&client);
	authority_free(&a);
}

static void what_is_revoked_is_refused(void **state)
{
	struct authority a = authority(PKI_ECDSA_P384, "CN=VPN CA, O=Example");
	struct pki_text request = request_of(PKI_ED25519), certificate[2] = { 0 }, crl = { 0 };
	struct pki_entry entries[2];
	struct err e = { 0 };
	uint64_t number;

	for (uint8_t i = 0; i < 2; i++) {
		struct pki_terms terms = terms_of(PKI_GATEWAY);
		char serial[PKI_SERIAL_TEXT];
		terms.serial[7] = i;
		assert_int_equal(
			RC_OK, pki_issue(&certificate[i], &entries[i], &a.crt, a.key, &request, &terms, &e));
		assert_int_equal(RC_OK, pki_serial_of(serial, &a.crt, &certificate[i], &e));
		assert_string_equal(serial, entries[i].serial);
	}
	entries[1].revoked_s = NOW;
	entries[1].reason = 1;
	assert_int_equal(RC_OK, pki_crl_make(&crl, &a.crt, a.key, entries, 2, 7, 30, NOW, &e));
	assert_int_equal(RC_OK, pki_crl_number(&number, &crl, &e));
	assert_int_equal(7, number);
	struct asked as = { .authority = &a.crt,
		.certificate = &certificate[0],
		.crl = &crl,
		DNS("gw.example.net"),
		.now_s = NOW + 60 };
	assert_int_equal(CERTIFY_OK, verdict(&as));
	as.certificate = &certificate[1];
	assert_int_equal(CERTIFY_REVOKED, verdict(&as));
	as.certificate = &certificate[0];
	as.now_s = NOW + 31 * DAY; /* the list is too old */
	assert_int_equal(CERTIFY_NO_CRL, verdict(&as));
	for (int i = 0; i < 2; i++)
		pki_text_free(&certificate[i]);
	pki_text_free(&request);
	pki_text_free(&crl);
	authority_free(&a);
}

static enum rc issued(struct authority *a, const struct pki_text *request, const struct pki_terms *terms,
	const char *expected)
{
	struct pki_text certificate = { 0 };
	struct pki_entry entry;
	struct err e = { 0 };
	enum rc rc = pki_issue(&certificate, &entry, &a->crt, a->key, request, terms, &e);

	assert_int_equal(rc, e.rc);
	if (!strstr(e.text, expected))
		fail_msg("'%s' is not in '%s'", expected, e.text);
	assert_true((certificate.at != NULL) == (rc == RC_OK));
	pki_text_free(&certificate);
	return rc;
}

/* The request of another key: its public key in the place of that which signed. */
static struct pki_text forged_request(void)
{
	struct pki_text request = request_of(PKI_ECDSA_P256), other = request_of(PKI_ECDSA_P256), forged;
	BIO *in = BIO_new_mem_buf(request.at, (int)request.n),
	    *in_other = BIO_new_mem_buf(other.at, (int)other.n), *out = BIO_new(BIO_s_mem());
	X509_REQ *r = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL),
		 *o = PEM_read_bio_X509_REQ(in_other, NULL, NULL, NULL);
	EVP_PKEY *theirs = X509_REQ_get_pubkey(o);
	char *at;

	assert_int_equal(1, X509_REQ_set_pubkey(r, theirs));
	assert_int_equal(1, PEM_write_bio_X509_REQ(out, r));
	forged.n = (size_t)BIO_get_mem_data(out, &at);
	forged.at = strndup(at, forged.n);
	EVP_PKEY_free(theirs);
	X509_REQ_free(r);
	X509_REQ_free(o);
	BIO_free(in);
	BIO_free(in_other);
	BIO_free(out);
	pki_text_free(&request);
	pki_text_free(&other);
	return forged;
}

/* Signed by itself, with a key that pki_request_make() would refuse. */
static struct pki_text weak_request(void)
{
	EVP_PKEY *key = EVP_RSA_gen(1024);
	X509_REQ *r = X509_REQ_new();
	BIO *out = BIO_new(BIO_s_mem());
	struct pki_text weak;
	char *at;

	assert_int_equal(1, X509_REQ_set_pubkey(r, key));
	assert_true(X509_REQ_sign(r, key, EVP_sha256()) > 0);
	assert_int_equal(1, PEM_write_bio_X509_REQ(out, r));
	weak.n = (size_t)BIO_get_mem_data(out, &at);
	weak.at = strndup(at, weak.n);
	EVP_PKEY_free(key);
	X509_REQ_free(r);
	BIO_free(out);
	return weak;
}

static void what_is_not_issued(void **state)
{
	struct authority a = authority(PKI_ECDSA_P256, "CN=VPN CA"),
			 b = authority(PKI_ECDSA_P256, "CN=VPN CA"), mixed = { .key = b.key, .crt = a.crt };
	struct pki_text request = request_of(PKI_ECDSA_P256), forged = forged_request(),
			weak = weak_request(), none = { .at = (char *)(uintptr_t)"none", .n = 4 };
	struct pki_terms terms = terms_of(PKI_GATEWAY), other = terms;

	assert_int_equal(RC_OK, issued(&a, &request, &terms, ""));
	assert_int_equal(RC_AUTH, issued(&mixed, &request, &terms, "do not belong together"));
	assert_int_equal(RC_AUTH, issued(&a, &forged, &terms, "not signed by its own key"));
	assert_int_equal(
		RC_RANGE, issued(&a, &weak, &terms, "RSA of 1024 bits, expected RSA of at least 2048"));
	assert_int_equal(RC_MALFORMED, issued(&a, &none, &terms, "no certificate request in PEM"));
	other.days = 3651;
	assert_int_equal(RC_RANGE, issued(&a, &request, &other, "which ends in 3649 days"));
	other = terms;
	other.names = "dns:gw.example.net,dns:gw*";
	assert_int_equal(RC_MALFORMED, issued(&a, &request, &other, "'dns:gw*' found, expected dns:NAME"));
	other = terms;
	other.subject = "gw.example.net";
	assert_int_equal(
		RC_MALFORMED, issued(&a, &request, &other, "'gw.example.net' found, expected parts"));
	pki_text_free(&request);
	pki_text_free(&forged);
	pki_text_free(&weak);
	authority_free(&a);
	authority_free(&b);
}

/* As written, read and written again. */
static void names_go_both_ways(void **state)
{
	static const struct {
		const char *subject, *expected; /* NULL: refused */
	} subjects[] = {
		{ "CN=gw", "CN=gw" },
		{ "C=CH,O=Example,  CN=gw", "C=CH, O=Example, CN=gw" },
		{ "O=Smith\\, Sons \\+ Daughters, CN=a\\\\b", "O=Smith\\, Sons \\+ Daughters, CN=a\\\\b" },
		{ "CN=Z\xc3\xbcrich", "CN=Z\xc3\xbcrich" },
		{ "CN=Z\\C3\\BCrich", "CN=Z\xc3\xbcrich" },
		{ "CN=line\\0Afeed", "CN=line\\0Afeed" },
		{ "", NULL },
		{ "CN", NULL },
		{ "CN=", NULL },
		{ "=gw", NULL },
		{ "CN=a+O=b", NULL },
		{ "C=Switzerland", NULL },
		{ "NOSUCH=a", NULL },
		{ "CN=a\\00b", NULL },
		{ "CN=a,,O=b", NULL },
		{ "CN=\xff\xfe", NULL },
	};
	struct pki_key *key = key_of(PKI_ED25519);
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT_OF(subjects); i++) {
		struct pki_text request = { 0 };
		char subject[PKI_SUBJECT_MAX], names[PKI_SUBJECT_MAX];
		e = (struct err){ 0 };
		enum rc rc = pki_request_make(&request, key, subjects[i].subject, NULL, &e);
		if ((rc == RC_OK) != (subjects[i].expected != NULL))
			fail_msg("'%s': %s", subjects[i].subject, e.text);
		if (rc == RC_OK) {
			assert_int_equal(RC_OK, pki_request_says(subject, names, &request, &e));
			assert_string_equal(subjects[i].expected, subject);
			assert_string_equal("", names);
		}
		pki_text_free(&request);
	}
	static const struct {
		const char *names, *expected;
	} others[] = {
		{ NAMES, NAMES },
		{ "DNS:a.b, IP:10.0.0.1", "dns:a.b,ip:10.0.0.1" },
		{ "dns:", NULL },
		{ "dns:a,", NULL },
		{ "dns:a..b", NULL },
		{ "dns:-", "dns:-" },
		{ "ip:any", NULL },
		{ "ip:10.0.0.0/8", NULL },
		{ "email:nobody", NULL },
		{ "uri:http://a", NULL },
		{ "gw.example.net", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		struct pki_text request = { 0 };
		char subject[PKI_SUBJECT_MAX], names[PKI_SUBJECT_MAX];
		e = (struct err){ 0 };
		enum rc rc = pki_request_make(&request, key, "CN=a", others[i].names, &e);
		if ((rc == RC_OK) != (others[i].expected != NULL))
			fail_msg("'%s': %s", others[i].names, e.text);
		if (rc == RC_OK) {
			assert_int_equal(RC_OK, pki_request_says(subject, names, &request, &e));
			assert_string_equal(others[i].expected, names);
		}
		pki_text_free(&request);
	}
	pki_key_free(key);
}

static void an_index_is_read_as_it_was_written(void **state)
{
	static const struct pki_entry entries[] = {
		{ .serial = "4A", .until_s = NOW, .subject = "CN=a" },
		{ .serial = "5B00FF",
			.until_s = 2524608000 /* 2050 */,
			.revoked_s = NOW,
			.subject = "CN=b, O=c" },
		{ .serial = "6C", .until_s = 2524607999, .revoked_s = NOW + 1, .reason = 4, .subject = "" },
	};
	struct pki_text text = { 0 };
	struct pki_entry *read;
	struct err e = { 0 };
	size_t n;

	for (size_t i = 0; i < COUNT_OF(entries); i++)
		assert_int_equal(RC_OK, pki_index_add(&text, &entries[i], &e));
	assert_string_equal("V\t261130005320Z\t\t4A\tunknown\tCN=a\n"
			    "R\t20500101000000Z\t261130005320Z\t5B00FF\tunknown\tCN=b, O=c\n"
			    "R\t491231235959Z\t261130005321Z,superseded\t6C\tunknown\t\n",
		text.at);
	assert_int_equal(RC_OK, pki_index_read(&read, &n, &text, &e));
	assert_int_equal(COUNT_OF(entries), n);
	assert_memory_equal(entries, read, sizeof entries);
	free(read);
	pki_text_free(&text);
	assert_int_equal(RC_OK, pki_index_read(&read, &n, &text, &e)); /* of nothing */
	assert_int_equal(0, n);
	free(read);
	static const char *const wrong[] = {
		"V\t261130011320Z\t\t4A\tunknown\tCN=a", /* no end */
		"X\t261130011320Z\t\t4A\tunknown\tCN=a\n",
		"V\t261130011320Z\t261130011320Z\t4A\tunknown\tCN=a\n",
		"R\t261130011320Z\t\t4A\tunknown\tCN=a\n",
		"R\t261130011320Z\t261130011320Z,because\t4A\tunknown\tCN=a\n",
		"V\t261330011320Z\t\t4A\tunknown\tCN=a\n",
		"V\t261130011320Z\t\t4G\tunknown\tCN=a\n",
		"V\t261130011320Z\t\t\tunknown\tCN=a\n",
		"V\t261130011320Z\t\t4A\tunknown\tCN=a\tb\n",
		"\n",
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct pki_text one = { .at = (char *)(uintptr_t)wrong[i], .n = strlen(wrong[i]) };
		e = (struct err){ 0 };
		if (pki_index_read(&read, &n, &one, &e) != RC_MALFORMED || !strstr(e.text, "line 1 "))
			fail_msg("'%s': %s", wrong[i], e.text);
	}
	static const char behind[] = "V\t261130011320Z\t\t4A\tunknown\tCN=a\0b\n";
	struct pki_text one = { .at = (char *)(uintptr_t)behind, .n = sizeof behind - 1 };
	e = (struct err){ 0 };
	assert_int_equal(RC_MALFORMED, pki_index_read(&read, &n, &one, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_certifiers_accept_each_kind_of_key),
		cmocka_unit_test(names_and_uses_are_those_of_the_terms),
		cmocka_unit_test(what_is_revoked_is_refused),
		cmocka_unit_test(what_is_not_issued),
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(an_index_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
