#include "make.h"

#include "must.h"

#include <string.h>

static EVP_PKEY *key_new(const char *kind)
{
	if (!kind)
		kind = "P-256";
	if (strncmp(kind, "RSA", 3) == 0)
		return EVP_RSA_gen((unsigned)atoi(kind + 3));
	return kind[0] == 'E' ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : EVP_EC_gen(kind);
}

static void extension_add(X509 *c, X509 *issuer, int nid, const char *text)
{
	X509V3_CTX ctx;
	X509_EXTENSION *x;

	if (!text)
		return;
	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	MUST((x = X509V3_EXT_conf_nid(NULL, &ctx, nid, text)) && X509_add_ext(c, x, -1) == 1);
	X509_EXTENSION_free(x);
}

static void name_set(X509_NAME *name, const char *cn)
{
	static const char *const before[2][2] = { { "C", "CH" }, { "O", "Example" } };

	for (int i = 0; i < 2; i++)
		MUST(X509_NAME_add_entry_by_txt(name, before[i][0], MBSTRING_UTF8,
			     (const uint8_t *)before[i][1], -1, -1, 0) == 1);
	MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) == 1);
}

struct made make_certificate(struct make m)
{
	static long serial = 1000;
	struct made r = { .c = X509_new(), .key = key_new(m.key) };
	uint8_t *der = NULL;
	X509 *issuer = m.from ? m.from->c : r.c;
	EVP_PKEY *signer = m.from ? m.from->key : r.key;
	bool plain = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ||
		     EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED448;

	MUST(r.c && r.key && X509_set_version(r.c, X509_VERSION_3) == 1 && X509_set_pubkey(r.c, r.key) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(r.c), ++serial);
	ASN1_TIME_set(X509_getm_notBefore(r.c), (time_t)(m.from_s ? m.from_s : MADE_NOW - 3600));
	ASN1_TIME_set(X509_getm_notAfter(r.c), (time_t)(m.to_s ? m.to_s : MADE_NOW + 3600));
	name_set(X509_get_subject_name(r.c), m.subject);
	MUST(X509_set_issuer_name(r.c, X509_get_subject_name(issuer)) == 1);
	extension_add(r.c, issuer, NID_basic_constraints, m.constraints);
	extension_add(r.c, issuer, NID_key_usage, m.usage);
	extension_add(r.c, issuer, NID_ext_key_usage, m.purposes);
	extension_add(r.c, issuer, NID_subject_alt_name, m.names);
	extension_add(r.c, issuer, NID_name_constraints, m.limits);
	extension_add(r.c, issuer, NID_subject_key_identifier, "hash");
	if (m.from)
		extension_add(r.c, issuer, NID_authority_key_identifier, "keyid");
	if (m.unknown_critical)
		extension_add(r.c, issuer, NID_netscape_comment, "critical,nobody knows it");
	MUST(X509_sign(r.c, signer, plain ? NULL : m.digest ? m.digest : EVP_sha256()) > 0);
	int n = i2d_X509(r.c, &der);
	MUST(n > 0);
	r.der = (struct certify_der){ der, (size_t)n };
	return r;
}

struct made make_authority(const char *subject, const struct made *from)
{
	return make_certificate((struct make){ .subject = subject,
		.from = from,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign" });
}

struct certify_der make_crl(
	const struct made *from, const struct made *revoked, int64_t this_s, int64_t next_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)this_s);
	uint8_t *der = NULL;

	MUST(crl && t && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(from->c)) == 1);
	MUST(X509_CRL_set1_lastUpdate(crl, t) == 1);
	if (revoked) {
		X509_REVOKED *r = X509_REVOKED_new();
		MUST(r && X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->c)) == 1 &&
			X509_REVOKED_set_revocationDate(r, t) == 1 && X509_CRL_add0_revoked(crl, r) == 1);
	}
	ASN1_TIME_set(t, (time_t)next_s);
	MUST(X509_CRL_set1_nextUpdate(crl, t) == 1 && X509_CRL_sign(crl, from->key, EVP_sha256()) > 0);
	int n = i2d_X509_CRL(crl, &der);
	MUST(n > 0);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return (struct certify_der){ der, (size_t)n };
}

void made_free(struct made *m)
{
	X509_free(m->c);
	EVP_PKEY_free(m->key);
	OPENSSL_free((void *)(uintptr_t)m->der.b);
	*m = (struct made){ 0 };
}
