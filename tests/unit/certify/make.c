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

/* libcrypto's texts cannot say it without a configuration. */
static void directory_limit_add(X509 *c, const char *kind, const char *organization)
{
	NAME_CONSTRAINTS *limits = NAME_CONSTRAINTS_new();
	GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
	STACK_OF(GENERAL_SUBTREE) *subtrees = sk_GENERAL_SUBTREE_new_null();
	X509_NAME *name = X509_NAME_new();

	MUST(limits && subtree && subtrees && name && sk_GENERAL_SUBTREE_push(subtrees, subtree) > 0);
	MUST(X509_NAME_add_entry_by_txt(name, "C", MBSTRING_UTF8, (const uint8_t *)"CH", -1, -1, 0) == 1 &&
		X509_NAME_add_entry_by_txt(
			name, "O", MBSTRING_UTF8, (const uint8_t *)organization, -1, -1, 0) == 1);
	subtree->base->type = GEN_DIRNAME;
	subtree->base->d.directoryName = name;
	*(kind[0] == 'p' ? &limits->permittedSubtrees : &limits->excludedSubtrees) = subtrees;
	MUST(X509_add1_ext_i2d(c, NID_name_constraints, limits, 1, 0) == 1);
	NAME_CONSTRAINTS_free(limits);
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
	if (m.alternatives)
		MUST(X509_add1_ext_i2d(r.c, NID_subject_alt_name, m.alternatives, 0, 0) == 1);
	if (m.limit_kind)
		directory_limit_add(r.c, m.limit_kind, m.limit_dn);
	extension_add(r.c, issuer, NID_policy_constraints, m.policy_constraints);
	extension_add(r.c, issuer, NID_inhibit_any_policy, m.inhibit_any);
	if (!m.no_key_ids)
		extension_add(r.c, issuer, NID_subject_key_identifier, "hash");
	if (m.from && !m.no_key_ids)
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

static void list_extensions_add(X509_CRL *crl, const struct make_list *m)
{
	if (m->scope) {
		X509V3_CTX ctx;
		X509_EXTENSION *x;
		X509V3_set_ctx(&ctx, m->from->c, NULL, NULL, crl, 0);
		MUST((x = X509V3_EXT_conf_nid(NULL, &ctx, NID_issuing_distribution_point, m->scope)) &&
			X509_CRL_add_ext(crl, x, -1) == 1);
		X509_EXTENSION_free(x);
	}
	if (m->delta) {
		ASN1_INTEGER *base = ASN1_INTEGER_new();
		MUST(base && ASN1_INTEGER_set(base, 7) == 1 &&
			X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base, 0, 0) == 1);
		ASN1_INTEGER_free(base);
	}
}

static void entry_add(X509_CRL *crl, const ASN1_INTEGER *serial, ASN1_TIME *t, int reason, bool critical)
{
	X509_REVOKED *r = X509_REVOKED_new();

	MUST(r && X509_REVOKED_set_serialNumber(r, (ASN1_INTEGER *)(uintptr_t)serial) == 1 &&
		X509_REVOKED_set_revocationDate(r, t) == 1);
	if (reason) {
		ASN1_ENUMERATED *e = ASN1_ENUMERATED_new();
		MUST(e && ASN1_ENUMERATED_set(e, reason) == 1 &&
			X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, e, 0, 0) == 1);
		ASN1_ENUMERATED_free(e);
	}
	if (critical) {
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		MUST(text && ASN1_STRING_set(text, "nobody knows it", -1) == 1 &&
			X509_REVOKED_add1_ext_i2d(r, NID_netscape_comment, text, 1, 0) == 1);
		ASN1_IA5STRING_free(text);
	}
	MUST(X509_CRL_add0_revoked(crl, r) == 1);
}

static void number_add(X509_CRL *crl, const char *hex)
{
	BIGNUM *n = NULL;

	if (!hex)
		return;
	MUST(BN_hex2bn(&n, hex) > 0);
	ASN1_INTEGER *number = BN_to_ASN1_INTEGER(n, NULL);
	MUST(number && X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1);
	ASN1_INTEGER_free(number);
	BN_free(n);
}

struct certify_der make_list(struct make_list m)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)m.this_s);
	uint8_t *der = NULL;
	bool plain = EVP_PKEY_get_base_id(m.from->key) == EVP_PKEY_ED25519;

	MUST(crl && t && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(m.from->c)) == 1);
	MUST(X509_CRL_set1_lastUpdate(crl, t) == 1);
	if (m.revoked)
		entry_add(crl, X509_get0_serialNumber(m.revoked->c), t, m.reason, false);
	if (m.entry_critical) {
		ASN1_INTEGER *serial = ASN1_INTEGER_new();
		MUST(serial && ASN1_INTEGER_set(serial, 1) == 1);
		entry_add(crl, serial, t, 0, true);
		ASN1_INTEGER_free(serial);
	}
	list_extensions_add(crl, &m);
	number_add(crl, m.number);
	if (m.next_s) {
		ASN1_TIME_set(t, (time_t)m.next_s);
		MUST(X509_CRL_set1_nextUpdate(crl, t) == 1);
	}
	MUST(X509_CRL_sign(crl, m.from->key, plain ? NULL : m.digest ? m.digest : EVP_sha256()) > 0);
	int n = i2d_X509_CRL(crl, &der);
	MUST(n > 0);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return (struct certify_der){ der, (size_t)n };
}

struct certify_der make_crl(
	const struct made *from, const struct made *revoked, int64_t this_s, int64_t next_s)
{
	return make_list(
		(struct make_list){ .from = from, .revoked = revoked, .this_s = this_s, .next_s = next_s });
}

void made_free(struct made *m)
{
	X509_free(m->c);
	EVP_PKEY_free(m->key);
	OPENSSL_free((void *)(uintptr_t)m->der.b);
	*m = (struct made){ 0 };
}
