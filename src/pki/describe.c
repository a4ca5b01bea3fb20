/*
 * What is in a file, as a person reads it before trusting it.
 */
#include "pki/internal.h"

#include "base/clock.h"
#include "base/json.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_S 1000000

static void time_put(struct jw *w, const char *key, const ASN1_TIME *t)
{
	char text[64];
	int64_t s;

	if (t && pki_time_get(&s, t) && s >= 0)
		jw_str(w, key, utc_text(text, (utc_us)s * US_PER_S));
}

static void subject_put(struct jw *w, const char *key, const X509_NAME *name)
{
	char text[PKI_SUBJECT_MAX];

	pki_subject_text(text, sizeof text, name);
	jw_str(w, key, text);
}

static void names_put(struct jw *w, GENERAL_NAMES *names)
{
	char text[4096];

	if (names)
		jw_str(w, "names", pki_names_text(text, sizeof text, names) ? text : "too many to be shown");
	GENERAL_NAMES_free(names);
}

static void key_put(struct jw *w, EVP_PKEY *key)
{
	char group[32] = "";

	if (!key)
		return;
	if (EVP_PKEY_is_a(key, "EC"))
		EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
	jw_strf(w, "key", "%s%s%s, %d bits", EVP_PKEY_get0_type_name(key), group[0] ? " on " : "", group,
		EVP_PKEY_get_bits(key));
}

static void spki_put(struct jw *w, X509_PUBKEY *key)
{
	uint8_t *der = NULL, digest[32];
	int n = i2d_X509_PUBKEY(key, &der);

	if (n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1)
		jw_hex(w, "key_sha256", digest, sizeof digest);
	OPENSSL_free(der);
}

static void usage_put(struct jw *w, X509 *c)
{
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(c, NID_ext_key_usage, NULL, NULL);
	char text[512] = "", one[64];

	for (int i = 0; usage && i < sk_ASN1_OBJECT_num(usage); i++) {
		const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(usage, i);
		int nid = OBJ_obj2nid(o);
		if (nid != NID_undef)
			snprintf(one, sizeof one, "%s", OBJ_nid2sn(nid));
		else
			OBJ_obj2txt(one, sizeof one, o, 1);
		size_t at = strlen(text);
		snprintf(text + at, sizeof text - at, "%s%s", at ? ", " : "", one);
	}
	if (text[0])
		jw_str(w, "usage", text);
	sk_ASN1_OBJECT_pop_free(usage, ASN1_OBJECT_free);
}

static void certificate_put(struct jw *w, X509 *c)
{
	char serial[PKI_SERIAL_TEXT];
	uint8_t digest[32];
	unsigned n;

	jw_str(w, "kind", "certificate");
	subject_put(w, "subject", X509_get_subject_name(c));
	names_put(w, X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL));
	subject_put(w, "issuer", X509_get_issuer_name(c));
	pki_serial_text(serial, X509_get0_serialNumber(c));
	jw_str(w, "serial", serial);
	time_put(w, "from", X509_get0_notBefore(c));
	time_put(w, "until", X509_get0_notAfter(c));
	jw_bool(w, "authority", X509_check_ca(c) == 1);
	usage_put(w, c);
	key_put(w, X509_get0_pubkey(c));
	spki_put(w, X509_get_X509_PUBKEY(c));
	if (X509_digest(c, EVP_sha256(), digest, &n) == 1)
		jw_hex(w, "sha256", digest, sizeof digest);
}

static void request_put(struct jw *w, X509_REQ *r)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(r);
	EVP_PKEY *key = X509_REQ_get_pubkey(r);

	jw_str(w, "kind", "request");
	subject_put(w, "subject", X509_REQ_get_subject_name(r));
	names_put(w, X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL));
	key_put(w, key);
	spki_put(w, X509_REQ_get_X509_PUBKEY(r));
	jw_bool(w, "signature_good", key && X509_REQ_verify(r, key) == 1);
	EVP_PKEY_free(key);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

static void list_put(struct jw *w, X509_CRL *c)
{
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(c, NID_crl_number, NULL, NULL);
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(c);
	uint64_t n;

	jw_str(w, "kind", "crl");
	subject_put(w, "issuer", X509_CRL_get_issuer(c));
	if (number && ASN1_INTEGER_get_uint64(&n, number) == 1)
		jw_u64(w, "number", n);
	time_put(w, "from", X509_CRL_get0_lastUpdate(c));
	time_put(w, "until", X509_CRL_get0_nextUpdate(c));
	jw_u64(w, "revoked", revoked ? (uint64_t)sk_X509_REVOKED_num(revoked) : 0);
	ASN1_INTEGER_free(number);
}

/* The first block that is one of the three; blocks of other names are passed over. */
static bool block_put(struct jw *w, BIO *bio)
{
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long n;

	while (PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		const uint8_t *at = der;
		X509 *c = strcmp(name, PEM_STRING_X509) == 0 ? d2i_X509(NULL, &at, n) : NULL;
		X509_REQ *r = strcmp(name, PEM_STRING_X509_REQ) == 0 ? d2i_X509_REQ(NULL, &at, n) : NULL;
		X509_CRL *l = strcmp(name, PEM_STRING_X509_CRL) == 0 ? d2i_X509_CRL(NULL, &at, n) : NULL;
		if (c)
			certificate_put(w, c);
		else if (r)
			request_put(w, r);
		else if (l)
			list_put(w, l);
		bool found = c || r || l;
		X509_free(c);
		X509_REQ_free(r);
		X509_CRL_free(l);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);
		if (found)
			return true;
	}
	return false;
}

enum rc pki_describe(char ret_json[PKI_DESCRIBE_MAX], const struct pki_text *pem, struct err *e)
{
	struct jw w = jw_over(ret_json, PKI_DESCRIBE_MAX, false);
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	bool found;

	jw_object(&w, NULL);
	found = bio && block_put(&w, bio);
	jw_end(&w);
	BIO_free(bio);
	ERR_clear_error();
	if (!found)
		return err_add(e, RC_MALFORMED, "no certificate, request or CRL in PEM was found");
	return jw_done(&w) ? RC_OK : err_add(e, RC_LIMIT, "what is in the file is too long to be shown");
}
