/*
 * The engine over libcrypto. X509_verify_cert() finds the path in the bag and checks signatures, dates, basicConstraints, path
 * lengths, name constraints and critical extensions; what RFC 4945 and our own limits ask beyond that is asked here of each
 * certificate of the path that it found. CRLs are looked up here too: the library takes the one CRL of the issuer's name that it
 * likes best, also where that is signed by another key, and lets certificates pass that are listed with reason removeFromCRL.
 */
#include "certify/match.h"
#include "certify/ocsp.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

struct engine {
	const struct certify_question *q;
	X509 *end;
	X509_STORE *store;
	X509_STORE_CTX *ctx;
	STACK_OF(X509) * bag;
	X509_CRL *crl[CERTIFY_CRLS_MAX];
};

static X509 *certificate_read(struct certify_der der)
{
	const uint8_t *at = der.b;
	X509 *c = d2i_X509(NULL, &at, (long)der.n);

	if (c && (at != der.b + der.n || X509_get_version(c) != X509_VERSION_3 ||
			 X509_check_purpose(c, -1, 0) != 1 ||
			 (X509_get_extension_flags(c) & EXFLAG_INVALID))) {
		X509_free(c);
		return NULL;
	}
	return c;
}

/* Complete, for all certificates of its issuer, and without a critical extension, of an entry neither (RFC 5280 5.2, 5.3). */
static bool list_is_complete(X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);

	if (X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0 ||
		X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0 ||
		X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
		return false;
	for (int i = 0; i < sk_X509_REVOKED_num(entries); i++)
		if (X509_REVOKED_get_ext_by_critical(sk_X509_REVOKED_value(entries, i), 1, -1) >= 0)
			return false;
	return true;
}

static X509_CRL *list_read(struct certify_der der)
{
	const uint8_t *at = der.b;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.n);

	if (crl && (at != der.b + der.n || !list_is_complete(crl))) {
		X509_CRL_free(crl);
		return NULL;
	}
	return crl;
}

static uint32_t store_fill(struct engine *g)
{
	for (size_t i = 0; i < g->q->anchors_n; i++) {
		X509 *c = certificate_read(g->q->anchors[i]);
		int added = c ? X509_STORE_add_cert(g->store, c) : 0;
		X509_free(c);
		if (added != 1)
			return CERTIFY_ANCHOR;
	}
	for (size_t i = 0; i < g->q->crls_n; i++)
		if (!(g->crl[i] = list_read(g->q->crls[i])))
			return CERTIFY_CRL_FILE;
	for (size_t i = 0; i < g->q->bag_n; i++) {
		X509 *c = certificate_read(g->q->bag[i]);
		if (!c)
			return CERTIFY_MALFORMED;
		if (i == 0) {
			g->end = c;
		} else if (sk_X509_push(g->bag, c) <= 0) {
			X509_free(c);
			return CERTIFY_INTERNAL;
		}
	}
	return CERTIFY_OK;
}

static const struct {
	int error;
	uint32_t reason;
} errors[] = {
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, CERTIFY_NO_PATH },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CERTIFY_NO_PATH },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERTIFY_NO_PATH },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CERTIFY_NO_PATH },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, CERTIFY_NO_PATH },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, CERTIFY_LIMIT },
	{ X509_V_ERR_CERT_NOT_YET_VALID, CERTIFY_TIME },
	{ X509_V_ERR_CERT_HAS_EXPIRED, CERTIFY_TIME },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, CERTIFY_SIGNATURE },
	{ X509_V_ERR_INVALID_CA, CERTIFY_AUTHORITY },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, CERTIFY_AUTHORITY },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, CERTIFY_AUTHORITY },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, CERTIFY_CRITICAL },
	{ X509_V_ERR_PERMITTED_VIOLATION, CERTIFY_CONSTRAINED },
	{ X509_V_ERR_EXCLUDED_VIOLATION, CERTIFY_CONSTRAINED },
	{ X509_V_ERR_OUT_OF_MEM, CERTIFY_INTERNAL },
};

static uint32_t path_find(struct engine *g)
{
	X509_VERIFY_PARAM *p;

	if (X509_STORE_CTX_init(g->ctx, g->store, g->end, g->bag) != 1)
		return CERTIFY_INTERNAL;
	p = X509_STORE_CTX_get0_param(g->ctx);
	X509_VERIFY_PARAM_set_time(p, (time_t)g->q->now_s);
	X509_VERIFY_PARAM_set_depth(
		p, CERTIFY_DEPTH_MAX - 2); /* certificates between end entity and anchor */
	X509_VERIFY_PARAM_set_flags(
		p, X509_V_FLAG_PARTIAL_CHAIN); /* an anchor need not be self-signed (RFC 5280 6.1.1) */
	if (X509_verify_cert(g->ctx) == 1)
		return CERTIFY_OK;
	int error = X509_STORE_CTX_get_error(g->ctx);
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		if (errors[i].error == error)
			return errors[i].reason;
	return CERTIFY_INVALID;
}

static bool rsa_is_good(EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	int bits = EVP_PKEY_get_bits(key);
	bool good = bits >= CERTIFY_RSA_BITS_MIN && bits <= CERTIFY_RSA_BITS_MAX &&
		    EVP_PKEY_get_bn_param(key, "e", &e) == 1 && BN_is_odd(e) && BN_num_bits(e) >= 17 &&
		    BN_num_bits(e) <= 64;

	BN_free(e);
	return good;
}

static bool key_is_good(X509 *c)
{
	EVP_PKEY *key = X509_get0_pubkey(c);
	char curve[32];

	if (!key)
		return false;
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return rsa_is_good(key);
	case EVP_PKEY_EC:
		return EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
		       (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0 ||
			       strcmp(curve, "secp521r1") == 0);
	case EVP_PKEY_ED25519:
		return true;
	}
	return false;
}

static bool algorithm_is_good(int digest, int key)
{
	if (key == NID_ED25519)
		return true;
	return (key == NID_rsaEncryption || key == NID_rsassaPss || key == NID_X9_62_id_ecPublicKey) &&
	       (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

static bool signature_is_good(X509 *c)
{
	int digest, key;

	return X509_get_signature_info(c, &digest, &key, NULL, NULL) == 1 && algorithm_is_good(digest, key);
}

/* Of RSASSA-PSS, whose parameters name the digest, the library tells nothing for a CRL: not accepted there. */
static bool list_signature_is_good(const X509_CRL *crl)
{
	int digest, key, algorithm = X509_CRL_get_signature_nid(crl);

	if (algorithm == NID_ED25519)
		return true;
	return OBJ_find_sigid_algs(algorithm, &digest, &key) == 1 && algorithm_is_good(digest, key);
}

static bool extended_usage_is_good(X509 *c, enum certify_role role)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(c, NID_ext_key_usage, NULL, NULL);
	bool good = X509_get_ext_by_NID(c, NID_ext_key_usage, -1) < 0;

	for (int i = 0; usages && i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));
		good |= nid == NID_ipsec_IKE || nid == NID_anyExtendedKeyUsage ||
			(nid == NID_server_auth && role != CERTIFY_ROLE_CLIENT) ||
			(nid == NID_client_auth && role != CERTIFY_ROLE_SERVER);
	}
	EXTENDED_KEY_USAGE_free(usages);
	return good;
}

/*
 * What this engine enforces. The library also passes over critical policy extensions, which it knows and does not process
 * unless it is told to; GnuTLS does not process them at all, so no path that needs them is good.
 */
static bool criticals_are_known(X509 *c)
{
	static const int known[] = { NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
		NID_subject_alt_name, NID_name_constraints, NID_certificate_policies };

	for (int at = -1; (at = X509_get_ext_by_critical(c, 1, at)) >= 0;) {
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(c, at)));
		size_t i = 0;
		while (i < COUNT_OF(known) && known[i] != nid)
			i++;
		if (i == COUNT_OF(known))
			return false;
	}
	return true;
}

static uint32_t path_check(struct engine *g)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(g->ctx);
	int n = sk_X509_num(path);

	if (n < 2)
		return CERTIFY_NO_PATH; /* the end entity's is an anchor itself */
	if (n > CERTIFY_DEPTH_MAX)
		return CERTIFY_LIMIT;
	for (int i = 0; i < n; i++) {
		X509 *c = sk_X509_value(path, i);
		uint32_t flags = X509_get_extension_flags(c), usage = X509_get_key_usage(c);
		bool authority = (flags & EXFLAG_BCONS) && (flags & EXFLAG_CA) && (usage & KU_KEY_CERT_SIGN);
		if (!key_is_good(c) || (i < n - 1 && !signature_is_good(c)))
			return CERTIFY_WEAK;
		if (!criticals_are_known(c))
			return CERTIFY_CRITICAL;
		if (i > 0 && !authority)
			return CERTIFY_AUTHORITY;
		if (i == 0 && ((flags & EXFLAG_CA) || !(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION))))
			return CERTIFY_USAGE;
		if (i < n - 1 && !extended_usage_is_good(c, g->q->role))
			return CERTIFY_USAGE;
	}
	return CERTIFY_OK;
}

/* Not before the issuer's key has signed it: a CRL of the issuer's name by another key (its old one) is none of its own. */
static bool list_is_signed_by(X509_CRL *crl, X509 *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) == 0 &&
	       X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1;
}

static bool list_is_current(const X509_CRL *crl, int64_t now_s)
{
	time_t now = (time_t)now_s;
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	int from = ASN1_TIME_cmp_time_t(X509_CRL_get0_lastUpdate(crl), now); /* -2: not a time */

	return from >= -1 && from <= 0 && next && ASN1_TIME_cmp_time_t(next, now) == 1;
}

/* Of issuer about c: CERTIFY_OK, _REVOKED, _NO_CRL (none that is valid now), or what is wrong with the CRL. */
static uint32_t revocation_of(const struct engine *g, X509 *c, X509 *issuer)
{
	uint32_t reason = CERTIFY_NO_CRL;
	X509_REVOKED *entry;

	for (size_t i = 0; i < g->q->crls_n; i++) {
		if (!list_is_signed_by(g->crl[i], issuer))
			continue;
		if (!(X509_get_key_usage(issuer) & KU_CRL_SIGN))
			return CERTIFY_AUTHORITY;
		if (!list_signature_is_good(g->crl[i]))
			return CERTIFY_CRL_FILE;
		if (X509_CRL_get0_by_serial(g->crl[i], &entry, X509_get_serialNumber(c)) != 0)
			return CERTIFY_REVOKED; /* for any reason, removeFromCRL too: a complete CRL has no such entry */
		if (list_is_current(g->crl[i], g->q->now_s))
			reason = CERTIFY_OK;
	}
	return reason;
}

/* Which of the anchors; anchors_n: none. */
static size_t anchor_of(const struct engine *g, X509 *c)
{
	uint8_t *der = NULL;
	int n = i2d_X509(c, &der);
	size_t i = 0;

	while (i < g->q->anchors_n && (n <= 0 || g->q->anchors[i].n != (size_t)n ||
					      memcmp(g->q->anchors[i].b, der, (size_t)n) != 0))
		i++;
	OPENSSL_free(der);
	return i;
}

/* What asks for c; what does not fit is left empty, and never has an answer. */
static void want_write(struct certify_want *w, X509 *c, X509 *issuer)
{
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), c, issuer);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(c);
	uint8_t *at = w->issuer;
	int n = i2d_X509(issuer, NULL);

	w->serial_n = (uint32_t)MIN_OF((size_t)ASN1_STRING_length(serial), sizeof w->serial);
	memcpy(w->serial, ASN1_STRING_get0_data(serial), w->serial_n);

	if (n > 0 && n <= (int)sizeof w->issuer)
		w->issuer_n = (uint32_t)i2d_X509(issuer, &at);
	if (request && id && OCSP_request_add0_id(request, id)) {
		id = NULL; /* the request's */
		n = i2d_OCSP_REQUEST(request, NULL);
		at = w->request;
		if (n > 0 && n <= (int)sizeof w->request)
			w->request_n = (uint32_t)i2d_OCSP_REQUEST(request, &at);
	}
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
}

/* Of the whole path: that one of it is revoked ends what was begun with it, which another fault does not. */
static uint32_t revocation_check(const struct engine *g)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(g->ctx);
	size_t anchor = g->q->ocsp ? anchor_of(g, sk_X509_value(path, sk_X509_num(path) - 1)) : 0;
	uint32_t first = ocsp_path_begin(g->q, (size_t)sk_X509_num(path) - 1);

	if (first != CERTIFY_OK)
		return first;
	for (int i = 0; i + 1 < sk_X509_num(path); i++) {
		X509 *c = sk_X509_value(path, i), *issuer = sk_X509_value(path, i + 1);
		struct certify_want *w = ocsp_want_next(g->q, anchor);
		if (w)
			want_write(w, c, issuer);
		uint32_t reason = ocsp_judge(g->q, w, revocation_of(g, c, issuer));
		bool absent = reason == CERTIFY_NO_CRL || reason == CERTIFY_NO_OCSP;
		if (reason == CERTIFY_REVOKED)
			return reason;
		if (first == CERTIFY_OK && reason != CERTIFY_OK &&
			(!absent || g->q->revocation == CERTIFY_CRL_HARD))
			first = reason;
	}
	return first;
}

static bool subject_read(struct dn *ret_dn, X509_NAME *name)
{
	int n = X509_NAME_entry_count(name);

	*ret_dn = (struct dn){ 0 };
	if (n > DN_RDNS_MAX)
		return false;
	for (int i = 0; i < n; i++) {
		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		ASN1_STRING *s = X509_NAME_ENTRY_get_data(entry);
		struct dn_rdn *r = &ret_dn->rdn[i];
		int type = ASN1_STRING_type(s);
		if (X509_NAME_ENTRY_set(entry) != i || ASN1_STRING_length(s) > DN_VALUE_MAX ||
			(type != V_ASN1_UTF8STRING && type != V_ASN1_PRINTABLESTRING &&
				type != V_ASN1_IA5STRING))
			return false;
		int length = OBJ_obj2txt(r->oid, sizeof r->oid, X509_NAME_ENTRY_get_object(entry), 1);
		if (length <= 0 || length >= (int)sizeof r->oid)
			return false;
		r->n = (uint32_t)ASN1_STRING_length(s);
		memcpy(r->value, ASN1_STRING_get0_data(s), r->n);
	}
	ret_dn->n = (uint32_t)n;
	return true;
}

static bool identity_keep(struct certify_verdict *v, const uint8_t *b, size_t n)
{
	if (n == 0 || n > sizeof v->identity)
		return false;
	memcpy(v->identity, b, n);
	v->identity_n = (uint32_t)n;
	return true;
}

static bool subject_matches(struct certify_verdict *v, const struct certify_question *q, X509 *end)
{
	X509_NAME *name = X509_get_subject_name(end);
	const uint8_t *der;
	size_t n;
	struct dn pattern, subject;

	if (X509_NAME_entry_count(name) == 0 || X509_NAME_get0_der(name, &der, &n) != 1)
		return false;
	if (q->id_kind == CERTIFY_ID_DN &&
		!certify_name_matches(CERTIFY_ID_DN, q->id, (struct certify_der){ der, n }))
		return false;
	if (q->id_kind == CERTIFY_ID_DN_TEXT &&
		(dn_pattern_read(&pattern, (const char *)q->id.b, q->id.n, NULL) != RC_OK ||
			!subject_read(&subject, name) || !dn_matches(&pattern, &subject)))
		return false;
	return identity_keep(v, der, n);
}

static bool alternative_matches(struct certify_verdict *v, const struct certify_question *q, X509 *end)
{
	static const int types[] = {
		[CERTIFY_ID_DNS] = GEN_DNS, [CERTIFY_ID_RFC822] = GEN_EMAIL, [CERTIFY_ID_IP] = GEN_IPADD
	};
	GENERAL_NAMES *names = X509_get_ext_d2i(end, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++) {
		int type;
		ASN1_STRING *s = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type != types[q->id_kind])
			continue;
		struct certify_der name = { ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
		found = certify_name_matches(q->id_kind, q->id, name) && identity_keep(v, name.b, name.n);
	}
	GENERAL_NAMES_free(names);
	return found;
}

static uint32_t end_entity_read(struct certify_verdict *v, const struct engine *g)
{
	bool subject = g->q->id_kind == CERTIFY_ID_DN || g->q->id_kind == CERTIFY_ID_DN_TEXT;
	uint8_t *at = v->spki;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(g->end), NULL);

	if (n <= 0 || n > (int)sizeof v->spki)
		return CERTIFY_WEAK;
	v->spki_n = (uint32_t)i2d_X509_PUBKEY(X509_get_X509_PUBKEY(g->end), &at);
	return (subject ? subject_matches : alternative_matches)(v, g->q, g->end) ? CERTIFY_OK
										  : CERTIFY_IDENTITY;
}

uint32_t certify_libcrypto(struct certify_verdict *ret_verdict, const struct certify_question *q)
{
	struct certify_verdict v = { 0 };
	struct engine g = { .q = q };
	uint32_t reason = certify_bounds(q);

	if (reason == CERTIFY_OK) {
		g.store = X509_STORE_new();
		g.ctx = X509_STORE_CTX_new();
		g.bag = sk_X509_new_null();
		reason = g.store && g.ctx && g.bag ? store_fill(&g) : CERTIFY_INTERNAL;
	}
	if (reason == CERTIFY_OK)
		reason = path_find(&g);
	if (reason == CERTIFY_OK)
		reason = path_check(&g);
	if (reason == CERTIFY_OK)
		reason = revocation_check(&g);
	if (reason == CERTIFY_OK)
		reason = end_entity_read(&v, &g);
	X509_STORE_CTX_free(g.ctx);
	sk_X509_pop_free(g.bag, X509_free);
	X509_free(g.end);
	X509_STORE_free(g.store);
	for (size_t i = 0; i < CERTIFY_CRLS_MAX; i++)
		X509_CRL_free(g.crl[i]);
	ERR_clear_error();
	if (reason == CERTIFY_OK)
		*ret_verdict = v;
	else
		*ret_verdict = (struct certify_verdict){ .reason = reason };
	return reason;
}

static uint32_t anchor_judge(X509 *c)
{
	return !c			 ? CERTIFY_ANCHOR
	       : !key_is_good(c)	 ? CERTIFY_WEAK
	       : !criticals_are_known(c) ? CERTIFY_CRITICAL
					 : CERTIFY_OK;
}

uint32_t certify_libcrypto_input(enum certify_input what, struct certify_der der)
{
	X509 *c = what == CERTIFY_INPUT_ANCHOR ? certificate_read(der) : NULL;
	X509_CRL *crl = what == CERTIFY_INPUT_CRL ? list_read(der) : NULL;
	uint32_t reason = CERTIFY_OK;

	if (what == CERTIFY_INPUT_ANCHOR)
		reason = anchor_judge(c);
	else if (!crl || !list_signature_is_good(crl))
		reason = CERTIFY_CRL_FILE;
	X509_free(c);
	X509_CRL_free(crl);
	ERR_clear_error();
	return reason;
}

static bool time_read(int64_t *ret_s, const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret_s = (int64_t)timegm(&tm);
	return true;
}

/* RSASSA-PSS is not accepted: as for CRLs, the library does not tell its digest. */
static bool answer_signature_is_good(const OCSP_BASICRESP *basic)
{
	const ASN1_OBJECT *algorithm;
	int digest, key;

	X509_ALGOR_get0(&algorithm, NULL, NULL, OCSP_resp_get0_tbs_sigalg(basic));
	int nid = OBJ_obj2nid(algorithm);
	if (nid == NID_ED25519)
		return true;
	return OBJ_find_sigid_algs(nid, &digest, &key) == 1 && algorithm_is_good(digest, key);
}

/* RFC 6960 4.2.2.2: "issued by the CA that issued the certificate in question", directly, and with id-kp-OCSPSigning. */
static bool responder_is_certified(X509 *responder, X509 *issuer, int64_t now_s)
{
	time_t now = (time_t)now_s;

	return X509_check_purpose(responder, -1, 0) == 1 &&
	       !(X509_get_extension_flags(responder) & EXFLAG_INVALID) &&
	       X509_check_issued(issuer, responder) == X509_V_OK &&
	       X509_verify(responder, X509_get0_pubkey(issuer)) == 1 &&
	       X509_get_extended_key_usage(responder) != UINT32_MAX &&
	       (X509_get_extended_key_usage(responder) & XKU_OCSP_SIGN) &&
	       (X509_get_key_usage(responder) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) &&
	       X509_cmp_time(X509_get0_notBefore(responder), &now) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(responder), &now) > 0;
}

/* Of the certificates that came with it the library would also take others; here the signer is named, and judged before. */
static uint32_t answer_signed(OCSP_BASICRESP *basic, X509 *issuer, int64_t now_s)
{
	STACK_OF(X509) *signers = sk_X509_new_null();
	X509 *signer = NULL;
	uint32_t fault = CERTIFY_OCSP_SIGNER;

	if (!signers || sk_X509_push(signers, issuer) <= 0) {
		sk_X509_free(signers);
		return CERTIFY_OCSP_INTERNAL;
	}
	if (!answer_signature_is_good(basic)) {
		fault = CERTIFY_OCSP_WEAK;
	} else if (OCSP_resp_get0_signer(basic, &signer, signers) == 1 && signer) {
		bool itself = X509_cmp(signer, issuer) == 0;
		sk_X509_set(signers, 0, signer);
		if (!itself && !responder_is_certified(signer, issuer, now_s))
			fault = CERTIFY_OCSP_SIGNER;
		else if (!key_is_good(signer) || (!itself && !signature_is_good(signer)))
			fault = CERTIFY_OCSP_WEAK;
		else if (!itself && !criticals_are_known(signer))
			fault = CERTIFY_OCSP_CRITICAL;
		else if (OCSP_basic_verify(basic, signers, NULL, OCSP_TRUSTOTHER | OCSP_NOVERIFY) == 1)
			fault = CERTIFY_OCSP_OK;
	}
	sk_X509_free(signers);
	return fault;
}

static uint32_t answer_read(struct certify_ocsp_said *ret_said, OCSP_BASICRESP *basic, OCSP_REQUEST *request)
{
	static const enum ocsp_state states[] = { [V_OCSP_CERTSTATUS_GOOD] = OCSP_GOOD,
		[V_OCSP_CERTSTATUS_REVOKED] = OCSP_REVOKED,
		[V_OCSP_CERTSTATUS_UNKNOWN] = OCSP_UNKNOWN };
	OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0));
	int at = OCSP_resp_find(basic, id, -1);
	ASN1_GENERALIZEDTIME *this, *next;

	if (at < 0 || OCSP_resp_find(basic, id, at) >= 0) /* two could say different things */
		return CERTIFY_OCSP_OTHER;
	OCSP_SINGLERESP *single = OCSP_resp_get0(basic, at);
	if (OCSP_BASICRESP_get_ext_by_critical(basic, 1, -1) >= 0 ||
		OCSP_SINGLERESP_get_ext_by_critical(single, 1, -1) >= 0)
		return CERTIFY_OCSP_CRITICAL;
	int state = OCSP_single_get0_status(single, NULL, NULL, &this, &next);
	if (state < 0 || state >= (int)COUNT_OF(states) || !time_read(&ret_said->this_s, this) ||
		(next && (!time_read(&ret_said->next_s, next) || ret_said->next_s <= 0)))
		return CERTIFY_OCSP_MALFORMED;
	ret_said->state = states[state];
	return CERTIFY_OCSP_OK;
}

uint32_t certify_libcrypto_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s)
{
	const uint8_t *at = answer.b, *asked = request.b;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)answer.n);
	OCSP_REQUEST *question = d2i_OCSP_REQUEST(NULL, &asked, (long)request.n);
	X509 *c = certificate_read(issuer);
	OCSP_BASICRESP *basic = NULL;
	struct certify_ocsp_said said = { 0 };
	uint32_t fault = CERTIFY_OCSP_OK;

	if (!question || OCSP_request_onereq_count(question) != 1 || !c)
		fault = CERTIFY_OCSP_INTERNAL; /* ours */
	else if (!response || at != answer.b + answer.n)
		fault = CERTIFY_OCSP_MALFORMED;
	else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		fault = CERTIFY_OCSP_STATUS;
	else if (!(basic = OCSP_response_get1_basic(response)))
		fault = CERTIFY_OCSP_MALFORMED;
	if (fault == CERTIFY_OCSP_OK)
		fault = answer_signed(basic, c, now_s);
	if (fault == CERTIFY_OCSP_OK)
		fault = answer_read(&said, basic, question);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	OCSP_REQUEST_free(question);
	X509_free(c);
	ERR_clear_error();
	*ret_said = fault == CERTIFY_OCSP_OK ? said : (struct certify_ocsp_said){ 0 };
	return fault;
}

static bool age_read(struct certify_crl_age *ret_age, const X509_CRL *crl)
{
	int critical;
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, &critical, NULL);
	bool good = number ? ASN1_STRING_type(number) == V_ASN1_INTEGER &&
				     certify_crl_number(ret_age, ASN1_STRING_get0_data(number),
					     (size_t)ASN1_STRING_length(number))
			   : critical == -1; /* there is none; else it is there twice, or is no number */

	ASN1_INTEGER_free(number);
	return good && time_read(&ret_age->this_s, X509_CRL_get0_lastUpdate(crl));
}

uint32_t certify_libcrypto_crl(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n)
{
	X509_CRL *list = list_read(crl);
	uint32_t reason = CERTIFY_SIGNATURE;

	*ret_age = (struct certify_crl_age){ 0 };
	if (!list || !list_signature_is_good(list) || !age_read(ret_age, list))
		reason = CERTIFY_CRL_FILE;
	for (size_t i = 0; reason == CERTIFY_SIGNATURE && i < anchors_n; i++) {
		X509 *c = certificate_read(anchors[i]);
		if (c && list_is_signed_by(list, c))
			reason = X509_get_key_usage(c) & KU_CRL_SIGN ? CERTIFY_OK : CERTIFY_AUTHORITY;
		X509_free(c);
	}
	X509_CRL_free(list);
	ERR_clear_error();
	return reason;
}

/* As openssl prints it: "C=CH, O=Example, CN=hq"; what is no printable ASCII is escaped. */
static void name_text(char *ret_text, size_t size, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = b && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV) >= 0
			? BIO_read(b, ret_text, (int)size - 1)
			: 0;

	ret_text[MAX_OF(n, 0)] = '\0';
	BIO_free(b);
}

bool certify_libcrypto_about(struct certify_about *ret_about, enum certify_input what, struct certify_der der)
{
	X509 *c = what == CERTIFY_INPUT_ANCHOR ? certificate_read(der) : NULL;
	X509_CRL *crl = what == CERTIFY_INPUT_CRL ? list_read(der) : NULL;
	bool good = false;

	*ret_about = (struct certify_about){ 0 };
	if (c) {
		name_text(ret_about->subject, sizeof ret_about->subject, X509_get_subject_name(c));
		good = time_read(&ret_about->from_s, X509_get0_notBefore(c)) &&
		       time_read(&ret_about->to_s, X509_get0_notAfter(c));
	} else if (crl) {
		name_text(ret_about->subject, sizeof ret_about->subject, X509_CRL_get_issuer(crl));
		good = time_read(&ret_about->from_s, X509_CRL_get0_lastUpdate(crl));
		time_read(&ret_about->to_s, X509_CRL_get0_nextUpdate(crl));
	}
	X509_free(c);
	X509_CRL_free(crl);
	ERR_clear_error();
	return good;
}
