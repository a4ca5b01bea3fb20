/*
 * The engine over GnuTLS. That library checks a path in order and does not search for one: the paths from the end entity to an
 * anchor are made here, by names and key identifiers, and each is given with its anchor alone to gnutls_x509_crt_list_verify(),
 * which checks signatures, dates, basicConstraints, path lengths, name constraints and critical extensions. CRLs are looked up
 * here, because the library takes those of anchors only.
 */
#include "certify/match.h"
#include "certify/ocsp.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/ocsp.h>
#include <gnutls/x509.h>

struct engine {
	const struct certify_question *q;
	gnutls_x509_crt_t anchor[CERTIFY_ANCHORS_MAX], bag[CERTIFY_BAG_MAX];
	gnutls_x509_crl_t crl[CERTIFY_CRLS_MAX];
	size_t anchors_n, bag_n, crls_n;
	gnutls_x509_crt_t path[CERTIFY_DEPTH_MAX];
	bool used[CERTIFY_BAG_MAX]; /* on the path */
	uint32_t tried;		    /* paths that reached an anchor */
	uint32_t steps;		    /* certificates that were put on a path */
	uint32_t reason;	    /* of the first path that was refused, or of the first that is revoked */
};

static time_t question_time;

static time_t time_of_question(time_t *ret_time)
{
	if (ret_time)
		*ret_time = question_time;
	return question_time;
}

static gnutls_datum_t datum(struct certify_der der)
{
	return (gnutls_datum_t){ (unsigned char *)(uintptr_t)der.b, (unsigned)der.n }; /* not written to */
}

static uint32_t certificates_read(
	gnutls_x509_crt_t *ret_list, size_t *ret_n, const struct certify_der *der, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		gnutls_datum_t d = datum(der[i]);
		if (gnutls_x509_crt_init(&ret_list[i]) != 0)
			return CERTIFY_INTERNAL;
		*ret_n = i + 1;
		if (gnutls_x509_crt_import(ret_list[i], &d, GNUTLS_X509_FMT_DER) != 0 ||
			gnutls_x509_crt_get_version(ret_list[i]) != 3)
			return CERTIFY_MALFORMED;
	}
	return CERTIFY_OK;
}

/*
 * A CRL that covers only a part, or only what changed, has a critical extension (RFC 5280 5.2.4, 5.2.5); where its issuer forgot
 * that, it is refused all the same. Extensions of entries are not shown by the library: libcrypto's engine alone looks at them.
 */
static bool crl_is_complete(gnutls_x509_crl_t crl)
{
	static const char scope[] = "2.5.29.28", delta[] = "2.5.29.27";
	char oid[128];
	unsigned critical;

	for (unsigned i = 0; i < 64; i++) {
		size_t n = sizeof oid;
		int rc = gnutls_x509_crl_get_extension_info(crl, i, oid, &n, &critical);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return true;
		if (rc != 0 || critical || strcmp(oid, scope) == 0 || strcmp(oid, delta) == 0)
			return false;
	}
	return false;
}

static uint32_t engine_fill(struct engine *g)
{
	uint32_t reason = certificates_read(g->anchor, &g->anchors_n, g->q->anchors, g->q->anchors_n);

	if (reason == CERTIFY_MALFORMED)
		reason = CERTIFY_ANCHOR;
	if (reason == CERTIFY_OK)
		reason = certificates_read(g->bag, &g->bag_n, g->q->bag, g->q->bag_n);
	for (size_t i = 0; reason == CERTIFY_OK && i < g->q->crls_n; i++) {
		gnutls_datum_t d = datum(g->q->crls[i]);
		if (gnutls_x509_crl_init(&g->crl[i]) != 0)
			return CERTIFY_INTERNAL;
		g->crls_n = i + 1;
		if (gnutls_x509_crl_import(g->crl[i], &d, GNUTLS_X509_FMT_DER) != 0 ||
			!crl_is_complete(g->crl[i]))
			return CERTIFY_CRL_FILE;
	}
	return reason;
}

static bool rsa_is_good(gnutls_x509_crt_t c, unsigned bits)
{
	gnutls_datum_t m = { 0 }, e = { 0 };
	size_t zero = 0;
	bool good = false;

	if (gnutls_x509_crt_get_pk_rsa_raw(c, &m, &e) == 0) {
		while (zero < e.size && e.data[zero] == 0)
			zero++;
		size_t n = e.size - zero;
		good = bits >= CERTIFY_RSA_BITS_MIN && bits <= CERTIFY_RSA_BITS_MAX && n >= 3 && n <= 8 &&
		       (e.data[e.size - 1] & 1);
	}
	gnutls_free(m.data);
	gnutls_free(e.data);
	return good;
}

static bool key_is_good(gnutls_x509_crt_t c)
{
	unsigned bits = 0;
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

	switch (gnutls_x509_crt_get_pk_algorithm(c, &bits)) {
	case GNUTLS_PK_RSA:
		return rsa_is_good(c, bits);
	case GNUTLS_PK_EDDSA_ED25519:
		return true;
	case GNUTLS_PK_ECDSA:
		return gnutls_x509_crt_get_pk_ecc_raw(c, &curve, NULL, NULL) == 0 &&
		       (curve == GNUTLS_ECC_CURVE_SECP256R1 || curve == GNUTLS_ECC_CURVE_SECP384R1 ||
			       curve == GNUTLS_ECC_CURVE_SECP521R1);
	}
	return false;
}

static bool signature_is_good(int algorithm)
{
	switch (algorithm) {
	case GNUTLS_SIGN_RSA_SHA256:
	case GNUTLS_SIGN_RSA_SHA384:
	case GNUTLS_SIGN_RSA_SHA512:
	case GNUTLS_SIGN_RSA_PSS_SHA256:
	case GNUTLS_SIGN_RSA_PSS_SHA384:
	case GNUTLS_SIGN_RSA_PSS_SHA512:
	case GNUTLS_SIGN_ECDSA_SHA256:
	case GNUTLS_SIGN_ECDSA_SHA384:
	case GNUTLS_SIGN_ECDSA_SHA512:
	case GNUTLS_SIGN_EDDSA_ED25519:
		return true;
	}
	return false;
}

/* The library says the same of an extension that is absent and of an empty one. */
static bool extended_usage_is_absent(gnutls_x509_crt_t c)
{
	size_t n = 0;

	return gnutls_x509_crt_get_extension_by_oid(c, "2.5.29.37", 0, NULL, &n, NULL) ==
	       GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

static bool extended_usage_is_good(gnutls_x509_crt_t c, enum certify_role role)
{
	char oid[128];

	for (unsigned i = 0; i < 64; i++) {
		size_t n = sizeof oid;
		int rc = gnutls_x509_crt_get_key_purpose_oid(c, i, oid, &n, NULL);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return i == 0 && extended_usage_is_absent(c); /* else none of its purposes is ours */
		if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue;
		if (rc != 0)
			return false;
		if (strcmp(oid, GNUTLS_KP_IPSEC_IKE) == 0 || strcmp(oid, GNUTLS_KP_ANY) == 0 ||
			(strcmp(oid, GNUTLS_KP_TLS_WWW_SERVER) == 0 && role != CERTIFY_ROLE_CLIENT) ||
			(strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0 && role != CERTIFY_ROLE_SERVER))
			return true;
	}
	return false;
}

/* Absent: any usage. */
static bool usage_is_good(gnutls_x509_crt_t c, unsigned wanted)
{
	unsigned usage = 0;
	int rc = gnutls_x509_crt_get_key_usage(c, &usage, NULL);

	return rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE || (rc == 0 && (usage & wanted));
}

/*
 * What this engine enforces: the library passes over inhibitAnyPolicy, for one, as if it did. certificatePolicies binds only where
 * one of the others asks for policies.
 */
static bool criticals_are_known(gnutls_x509_crt_t c)
{
	static const char *const known[] = { "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.30",
		"2.5.29.32" };
	char oid[128];
	unsigned critical;

	for (unsigned i = 0; i < 64; i++) {
		size_t n = sizeof oid, k = 0;
		int rc = gnutls_x509_crt_get_extension_info(c, (int)i, oid, &n, &critical);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return true;
		if (rc != 0)
			return false;
		while (critical && k < COUNT_OF(known) && strcmp(oid, known[k]) != 0)
			k++;
		if (k == COUNT_OF(known))
			return false;
	}
	return false;
}

static uint32_t path_check(const struct engine *g, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		gnutls_x509_crt_t c = g->path[i];
		int authority = gnutls_x509_crt_get_basic_constraints(c, NULL, NULL, NULL);
		if (!key_is_good(c) ||
			(i < n - 1 && !signature_is_good(gnutls_x509_crt_get_signature_algorithm(c))))
			return CERTIFY_WEAK;
		if (!criticals_are_known(c))
			return CERTIFY_CRITICAL;
		if (i > 0 && (authority != 1 || !usage_is_good(c, GNUTLS_KEY_KEY_CERT_SIGN)))
			return CERTIFY_AUTHORITY;
		if (i == 0 &&
			((authority != 0 && authority != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) ||
				!usage_is_good(c, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_NON_REPUDIATION)))
			return CERTIFY_USAGE;
		if (i < n - 1 && !extended_usage_is_good(c, g->q->role))
			return CERTIFY_USAGE;
	}
	return CERTIFY_OK;
}

/* A CRL of the issuer's name by another key (its old one) is none of its own. Age and algorithm are judged by who asks. */
static bool crl_is_signed_by(gnutls_x509_crl_t crl, gnutls_x509_crt_t issuer)
{
	unsigned flags = GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_CA_SIGN |
			 GNUTLS_VERIFY_ALLOW_BROKEN;
	unsigned age = GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
	unsigned status = 0;

	/* The bit that any reason sets stands beside those of the age. */
	return gnutls_x509_crl_check_issuer(crl, issuer) &&
	       gnutls_x509_crl_verify(crl, &issuer, 1, flags, &status) == 0 &&
	       (status == 0 || ((status & age) && !(status & ~(age | GNUTLS_CERT_INVALID))));
}

/* Of issuer about c: CERTIFY_OK, _REVOKED, _NO_CRL (none that is valid now), or what is wrong with the CRL. */
static uint32_t revocation_of(const struct engine *g, gnutls_x509_crt_t c, gnutls_x509_crt_t issuer)
{
	uint32_t reason = CERTIFY_NO_CRL;

	for (size_t i = 0; i < g->crls_n; i++) {
		gnutls_x509_crl_t crl = g->crl[i];
		if (!crl_is_signed_by(crl, issuer))
			continue;
		if (!usage_is_good(issuer, GNUTLS_KEY_CRL_SIGN))
			return CERTIFY_AUTHORITY;
		if (!signature_is_good(gnutls_x509_crl_get_signature_algorithm(crl)))
			return CERTIFY_CRL_FILE;
		int listed = gnutls_x509_crt_check_revocation(c, &crl, 1);
		if (listed != 0)
			return listed == 1 ? CERTIFY_REVOKED : CERTIFY_CRL_FILE;
		time_t next = gnutls_x509_crl_get_next_update(crl);
		time_t from = gnutls_x509_crl_get_this_update(crl);
		if (from != (time_t)-1 && from <= g->q->now_s && next != (time_t)-1 && next > g->q->now_s)
			reason = CERTIFY_OK;
	}
	return reason;
}

/* What asks for c; what does not fit is left empty, and never has an answer. */
static void want_write(struct certify_want *w, gnutls_x509_crt_t c, gnutls_x509_crt_t issuer)
{
	size_t n = sizeof w->issuer;
	gnutls_ocsp_req_t request;
	gnutls_datum_t der = { 0 };

	if (gnutls_x509_crt_export(issuer, GNUTLS_X509_FMT_DER, w->issuer, &n) == 0)
		w->issuer_n = (uint32_t)n;
	n = sizeof w->serial;
	if (gnutls_x509_crt_get_serial(c, w->serial, &n) == 0)
		w->serial_n = (uint32_t)n;
	if (gnutls_ocsp_req_init(&request) != 0)
		return;
	if (gnutls_ocsp_req_add_cert(request, GNUTLS_DIG_SHA1, issuer, c) == 0 &&
		gnutls_ocsp_req_export(request, &der) == 0 && der.size <= sizeof w->request) {
		memcpy(w->request, der.data, der.size);
		w->request_n = der.size;
	}
	gnutls_free(der.data);
	gnutls_ocsp_req_deinit(request);
}

/* Which of the anchors stands at the end of the path. */
static size_t anchor_of(const struct engine *g, size_t n)
{
	size_t i = 0;

	while (i < g->anchors_n && g->anchor[i] != g->path[n - 1])
		i++;
	return i;
}

/* Of the whole path: that one of it is revoked ends what was begun with it, which another fault does not. */
static uint32_t revocation_check(const struct engine *g, size_t n)
{
	uint32_t first = ocsp_path_begin(g->q, n - 1);

	if (first != CERTIFY_OK)
		return first;
	for (size_t i = 0; i + 1 < n; i++) {
		struct certify_want *w = ocsp_want_next(g->q, anchor_of(g, n));
		if (w)
			want_write(w, g->path[i], g->path[i + 1]);
		uint32_t reason = ocsp_judge(g->q, w, revocation_of(g, g->path[i], g->path[i + 1]));
		bool absent = reason == CERTIFY_NO_CRL || reason == CERTIFY_NO_OCSP;
		if (reason == CERTIFY_REVOKED)
			return reason;
		if (first == CERTIFY_OK && reason != CERTIFY_OK &&
			(!absent || g->q->revocation == CERTIFY_CRL_HARD))
			first = reason;
	}
	return first;
}

static uint32_t status_reason(unsigned status)
{
	static const struct {
		unsigned bit;
		uint32_t reason;
	} rows[] = {
		{ GNUTLS_CERT_SIGNATURE_FAILURE, CERTIFY_SIGNATURE },
		{ GNUTLS_CERT_NOT_ACTIVATED, CERTIFY_TIME },
		{ GNUTLS_CERT_EXPIRED, CERTIFY_TIME },
		{ GNUTLS_CERT_INSECURE_ALGORITHM, CERTIFY_WEAK },
		{ GNUTLS_CERT_SIGNER_NOT_CA, CERTIFY_AUTHORITY },
		{ GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS, CERTIFY_CRITICAL },
		{ GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, CERTIFY_CONSTRAINED },
		{ GNUTLS_CERT_SIGNER_NOT_FOUND, CERTIFY_NO_PATH },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (status & rows[i].bit)
			return rows[i].reason;
	return CERTIFY_INVALID;
}

/* A path of n certificates, the last an anchor: the only one that the library is given, as another may have the same name. */
static bool path_is_good(struct engine *g, size_t n)
{
	unsigned status = 0;
	uint32_t reason = path_check(g, n);

	g->tried++;
	if (reason == CERTIFY_OK) {
		unsigned flags = GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM) |
				 GNUTLS_VERIFY_DO_NOT_ALLOW_X509_V1_CA_CRT | GNUTLS_VERIFY_DO_NOT_ALLOW_SAME |
				 GNUTLS_VERIFY_DO_NOT_ALLOW_UNSORTED_CHAIN;
		gnutls_x509_crt_t path[CERTIFY_DEPTH_MAX]; /* the library sorts the array that it is given */
		memcpy(path, g->path, n * sizeof path[0]);
		if (gnutls_x509_crt_list_verify(path, (int)n - 1, &path[n - 1], 1, NULL, 0, flags, &status) <
			0)
			reason = CERTIFY_INVALID;
		else if (status != 0)
			reason = status_reason(status);
	}
	if (reason == CERTIFY_OK) {
		reason = revocation_check(g, n);
		ocsp_path_end(g->q, reason);
	}
	/* Of all paths one reason: the first one, but for what ends an IKE SA, and for what an answer can mend. */
	if (g->reason == CERTIFY_OK || g->reason == CERTIFY_NO_PATH || reason == CERTIFY_REVOKED ||
		(reason == CERTIFY_NO_OCSP && g->reason != CERTIFY_REVOKED))
		g->reason = reason;
	return reason == CERTIFY_OK;
}

/* path[0..n-1] is there: goes on to an anchor, or to a certificate of the bag that is not on the path. */
static bool path_extend(struct engine *g, size_t n)
{
	if (n == CERTIFY_DEPTH_MAX) {
		if (g->reason == CERTIFY_NO_PATH)
			g->reason = CERTIFY_LIMIT;
		return false;
	}
	for (size_t i = 0; i < g->anchors_n && g->tried < CERTIFY_PATHS_MAX; i++) {
		if (!gnutls_x509_crt_check_issuer(g->path[n - 1], g->anchor[i]) ||
			gnutls_x509_crt_equals(g->path[n - 1], g->anchor[i]))
			continue;
		g->path[n] = g->anchor[i];
		if (path_is_good(g, n + 1))
			return true;
	}
	for (size_t i = 1; i < g->bag_n && g->tried < CERTIFY_PATHS_MAX && g->steps < CERTIFY_STEPS_MAX;
		i++) {
		if (g->used[i] || !gnutls_x509_crt_check_issuer(g->path[n - 1], g->bag[i]))
			continue;
		g->used[i] = true;
		g->steps++;
		g->path[n] = g->bag[i];
		if (path_extend(g, n + 1))
			return true;
		g->used[i] = false;
	}
	return false;
}

static bool subject_read(struct dn *ret_dn, gnutls_x509_dn_t name)
{
	gnutls_x509_ava_st ava;
	int i;

	*ret_dn = (struct dn){ 0 };
	for (i = 0; gnutls_x509_dn_get_rdn_ava(name, i, 0, &ava) == 0; i++) {
		struct dn_rdn *r = &ret_dn->rdn[i];
		gnutls_x509_ava_st second;
		/* The number of the type ends with a NUL that counts. */
		size_t length = strnlen((const char *)ava.oid.data, ava.oid.size);
		if (i >= DN_RDNS_MAX - 1 || length >= sizeof r->oid || ava.value.size > DN_VALUE_MAX ||
			(ava.value_tag != 12 && ava.value_tag != 19 && ava.value_tag != 22) ||
			gnutls_x509_dn_get_rdn_ava(name, i, 1, &second) == 0)
			return false;
		memcpy(r->oid, ava.oid.data, length);
		memcpy(r->value, ava.value.data, ava.value.size);
		r->n = ava.value.size;
	}
	ret_dn->n = (uint32_t)i;
	return i > 0;
}

static bool identity_keep(struct certify_verdict *v, const uint8_t *b, size_t n)
{
	if (n == 0 || n > sizeof v->identity)
		return false;
	memcpy(v->identity, b, n);
	v->identity_n = (uint32_t)n;
	return true;
}

static bool subject_matches(struct certify_verdict *v, const struct engine *g)
{
	gnutls_datum_t der = { 0 };
	gnutls_x509_dn_t name;
	struct dn pattern, subject;
	bool good = gnutls_x509_crt_get_subject(g->bag[0], &name) == 0 &&
		    gnutls_x509_crt_get_raw_dn(g->bag[0], &der) == 0 &&
		    der.size > 2; /* not an empty SEQUENCE */

	if (good && g->q->id_kind == CERTIFY_ID_DN)
		good = certify_name_matches(
			CERTIFY_ID_DN, g->q->id, (struct certify_der){ der.data, der.size });
	else if (good)
		good = dn_pattern_read(&pattern, (const char *)g->q->id.b, g->q->id.n, NULL) == RC_OK &&
		       subject_read(&subject, name) && dn_matches(&pattern, &subject);
	good = good && identity_keep(v, der.data, der.size);
	gnutls_free(der.data);
	return good;
}

static bool alternative_matches(struct certify_verdict *v, const struct engine *g)
{
	static const unsigned types[] = { [CERTIFY_ID_DNS] = GNUTLS_SAN_DNSNAME,
		[CERTIFY_ID_RFC822] = GNUTLS_SAN_RFC822NAME,
		[CERTIFY_ID_IP] = GNUTLS_SAN_IPADDRESS };
	uint8_t name[CERTIFY_IDENTITY_MAX + 1]; /* texts with a NUL behind them, which does not count */

	for (unsigned i = 0;; i++) {
		size_t n = sizeof name;
		unsigned type;
		int rc = gnutls_x509_crt_get_subject_alt_name2(g->bag[0], i, name, &n, &type, NULL);
		if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue; /* longer than any that may be wanted */
		if (rc < 0)
			return false;
		if (type == types[g->q->id_kind] &&
			certify_name_matches(g->q->id_kind, g->q->id, (struct certify_der){ name, n }))
			return identity_keep(v, name, n);
	}
}

static uint32_t end_entity_read(struct certify_verdict *v, const struct engine *g)
{
	bool subject = g->q->id_kind == CERTIFY_ID_DN || g->q->id_kind == CERTIFY_ID_DN_TEXT;
	size_t n = sizeof v->spki;
	gnutls_pubkey_t key;

	if (gnutls_pubkey_init(&key) != 0)
		return CERTIFY_INTERNAL;
	int rc = gnutls_pubkey_import_x509(key, g->bag[0], 0);
	if (rc == 0)
		rc = gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, v->spki, &n);
	gnutls_pubkey_deinit(key);
	if (rc != 0)
		return CERTIFY_WEAK;
	v->spki_n = (uint32_t)n;
	return (subject ? subject_matches : alternative_matches)(v, g) ? CERTIFY_OK : CERTIFY_IDENTITY;
}

static void engine_done(struct engine *g)
{
	for (size_t i = 0; i < g->anchors_n; i++)
		gnutls_x509_crt_deinit(g->anchor[i]);
	for (size_t i = 0; i < g->bag_n; i++)
		gnutls_x509_crt_deinit(g->bag[i]);
	for (size_t i = 0; i < g->crls_n; i++)
		gnutls_x509_crl_deinit(g->crl[i]);
}

uint32_t certify_gnutls(struct certify_verdict *ret_verdict, const struct certify_question *q)
{
	struct certify_verdict v = { 0 };
	struct engine g = { .q = q, .reason = CERTIFY_NO_PATH };
	uint32_t reason = certify_bounds(q);

	question_time = (time_t)q->now_s;
	gnutls_global_set_time_function(time_of_question);
	if (reason == CERTIFY_OK)
		reason = engine_fill(&g);
	if (reason == CERTIFY_OK) {
		g.path[0] = g.bag[0];
		reason = path_extend(&g, 1) ? CERTIFY_OK : g.reason;
	}
	if (reason == CERTIFY_OK)
		reason = end_entity_read(&v, &g);
	engine_done(&g);
	if (reason == CERTIFY_OK)
		*ret_verdict = v;
	else
		*ret_verdict = (struct certify_verdict){ .reason = reason };
	return reason;
}

static uint32_t anchor_judge(struct certify_der der)
{
	gnutls_x509_crt_t c = NULL;
	size_t n = 0;
	uint32_t reason = certificates_read(&c, &n, &der, 1);

	if (reason == CERTIFY_MALFORMED)
		reason = CERTIFY_ANCHOR;
	else if (reason == CERTIFY_OK && !key_is_good(c))
		reason = CERTIFY_WEAK;
	else if (reason == CERTIFY_OK && !criticals_are_known(c))
		reason = CERTIFY_CRITICAL;
	if (n > 0)
		gnutls_x509_crt_deinit(c);
	return reason;
}

uint32_t certify_gnutls_input(enum certify_input what, struct certify_der der)
{
	gnutls_datum_t d = datum(der);
	gnutls_x509_crl_t crl;
	uint32_t reason = CERTIFY_OK;

	if (what == CERTIFY_INPUT_ANCHOR)
		return anchor_judge(der);
	if (gnutls_x509_crl_init(&crl) != 0)
		return CERTIFY_INTERNAL;
	if (gnutls_x509_crl_import(crl, &d, GNUTLS_X509_FMT_DER) != 0 || !crl_is_complete(crl) ||
		!signature_is_good(gnutls_x509_crl_get_signature_algorithm(crl)))
		reason = CERTIFY_CRL_FILE;
	gnutls_x509_crl_deinit(crl);
	return reason;
}

static bool age_read(struct certify_crl_age *ret_age, gnutls_x509_crl_t crl)
{
	uint8_t number[CERTIFY_CRL_NUMBER_MAX + 1]; /* a zero may stand before it */
	size_t n = sizeof number;
	time_t from = gnutls_x509_crl_get_this_update(crl);
	int rc = gnutls_x509_crl_get_number(crl, number, &n, NULL);

	ret_age->this_s = (int64_t)from;
	if (from == (time_t)-1)
		return false;
	if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return true;
	return rc == 0 && n > 0 && n <= sizeof number && !(number[0] & 0x80) &&
	       certify_crl_number(ret_age, number, n);
}

uint32_t certify_gnutls_crl(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n)
{
	gnutls_datum_t d = datum(crl);
	gnutls_x509_crl_t list;
	uint32_t reason = CERTIFY_SIGNATURE;

	*ret_age = (struct certify_crl_age){ 0 };
	if (gnutls_x509_crl_init(&list) != 0)
		return CERTIFY_INTERNAL;
	if (gnutls_x509_crl_import(list, &d, GNUTLS_X509_FMT_DER) != 0 || !crl_is_complete(list) ||
		!signature_is_good(gnutls_x509_crl_get_signature_algorithm(list)) || !age_read(ret_age, list))
		reason = CERTIFY_CRL_FILE;
	for (size_t i = 0; reason == CERTIFY_SIGNATURE && i < anchors_n; i++) {
		gnutls_x509_crt_t c = NULL;
		size_t n = 0;
		if (certificates_read(&c, &n, &anchors[i], 1) == CERTIFY_OK && crl_is_signed_by(list, c))
			reason = usage_is_good(c, GNUTLS_KEY_CRL_SIGN) ? CERTIFY_OK : CERTIFY_AUTHORITY;
		if (n > 0)
			gnutls_x509_crt_deinit(c);
	}
	gnutls_x509_crl_deinit(list);
	return reason;
}

/* RFC 6960 4.2.2.2: the library takes the issuer, or a certificate of the answer that the issuer has signed, with id-kp-OCSPSigning. */
static uint32_t answer_signed(gnutls_ocsp_resp_t answer, gnutls_x509_crt_t issuer)
{
	unsigned flags = GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), status = 0;

	if (!signature_is_good(gnutls_ocsp_resp_get_signature_algorithm(answer)) || !key_is_good(issuer))
		return CERTIFY_OCSP_WEAK;
	return gnutls_ocsp_resp_verify_direct(answer, issuer, &status, flags) == 0 && status == 0
		       ? CERTIFY_OCSP_OK
		       : CERTIFY_OCSP_SIGNER;
}

/* Extensions of single answers are not shown by the library: libcrypto's engine alone looks at them. */
static bool answer_has_critical(gnutls_ocsp_resp_t answer)
{
	unsigned critical = 0;

	for (unsigned i = 0; i < 64; i++) {
		gnutls_datum_t oid = { 0 }, data = { 0 };
		int rc = gnutls_ocsp_resp_get_extension(answer, i, &oid, &critical, &data);
		gnutls_free(oid.data);
		gnutls_free(data.data);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return false;
		if (rc != 0 || critical)
			return true;
	}
	return true;
}

/* CertID (RFC 6960 4.1.1). */
struct certificate_id {
	gnutls_digest_algorithm_t digest;
	gnutls_datum_t name, key, serial;
};

static bool datum_is(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static bool id_is(const struct certificate_id *a, const struct certificate_id *b)
{
	return a->digest == b->digest && datum_is(&a->name, &b->name) && datum_is(&a->key, &b->key) &&
	       datum_is(&a->serial, &b->serial);
}

static void id_free(struct certificate_id *i)
{
	gnutls_free(i->name.data);
	gnutls_free(i->key.data);
	gnutls_free(i->serial.data);
}

static enum ocsp_state state_of(unsigned status)
{
	return status == GNUTLS_OCSP_CERT_GOOD	    ? OCSP_GOOD
	       : status == GNUTLS_OCSP_CERT_REVOKED ? OCSP_REVOKED
	       : status == GNUTLS_OCSP_CERT_UNKNOWN ? OCSP_UNKNOWN
						    : OCSP_NONE;
}

static uint32_t answer_read(
	struct certify_ocsp_said *ret_said, gnutls_ocsp_resp_t answer, const struct certificate_id *asked)
{
	uint32_t fault = CERTIFY_OCSP_OTHER;
	int rc = 0;

	for (unsigned i = 0; i < CERTIFY_OCSP_SINGLES_MAX; i++) {
		struct certificate_id id = { 0 };
		unsigned status = 0;
		time_t this = -1, next = -1;
		rc = gnutls_ocsp_resp_get_single(answer, i, &id.digest, &id.name, &id.key, &id.serial,
			&status, &this, &next, NULL, NULL);
		if (rc != 0)
			break;
		bool same = id_is(&id, asked);
		id_free(&id);
		if (!same)
			continue;
		if (fault != CERTIFY_OCSP_OTHER) /* two could say different things */
			return CERTIFY_OCSP_OTHER;
		*ret_said = (struct certify_ocsp_said){ state_of(status), (int64_t)this,
			next == (time_t)-1 ? 0 : (int64_t)next };
		fault = ret_said->state != OCSP_NONE && this != (time_t)-1 && ret_said->next_s >= 0
				? CERTIFY_OCSP_OK
				: CERTIFY_OCSP_MALFORMED;
	}
	return rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? fault : CERTIFY_OCSP_MALFORMED;
}

/* All octets are it: the library passes over what follows. */
static bool answer_import(gnutls_ocsp_resp_t answer, struct certify_der der)
{
	gnutls_datum_t d = datum(der), again = { 0 };
	bool good = gnutls_ocsp_resp_import2(answer, &d, GNUTLS_X509_FMT_DER) == 0 &&
		    gnutls_ocsp_resp_export2(answer, &again, GNUTLS_X509_FMT_DER) == 0 && again.size == der.n;

	gnutls_free(again.data);
	return good;
}

static uint32_t answer_judge(struct certify_ocsp_said *ret_said, gnutls_ocsp_resp_t answer,
	const struct certificate_id *asked, gnutls_x509_crt_t issuer)
{
	uint32_t fault;

	if (gnutls_ocsp_resp_get_status(answer) != GNUTLS_OCSP_RESP_SUCCESSFUL)
		return CERTIFY_OCSP_STATUS;
	if (gnutls_ocsp_resp_get_version(answer) != 1)
		return CERTIFY_OCSP_MALFORMED;
	if ((fault = answer_signed(answer, issuer)) != CERTIFY_OCSP_OK)
		return fault;
	return answer_has_critical(answer) ? CERTIFY_OCSP_CRITICAL : answer_read(ret_said, answer, asked);
}

uint32_t certify_gnutls_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s)
{
	struct certify_ocsp_said said = { 0 };
	gnutls_datum_t d = datum(request);
	gnutls_x509_crt_t c = NULL;
	gnutls_ocsp_resp_t r = NULL;
	gnutls_ocsp_req_t question = NULL;
	struct certificate_id asked = { 0 };
	uint32_t fault = CERTIFY_OCSP_INTERNAL; /* ours */
	size_t n = 0;

	question_time = (time_t)now_s;
	gnutls_global_set_time_function(time_of_question);
	if (certificates_read(&c, &n, &issuer, 1) == CERTIFY_OK && gnutls_ocsp_req_init(&question) == 0 &&
		gnutls_ocsp_req_import(question, &d) == 0 &&
		gnutls_ocsp_req_get_cert_id(
			question, 0, &asked.digest, &asked.name, &asked.key, &asked.serial) == 0 &&
		gnutls_ocsp_resp_init(&r) == 0)
		fault = answer_import(r, answer) ? answer_judge(&said, r, &asked, c) : CERTIFY_OCSP_MALFORMED;
	id_free(&asked);
	gnutls_ocsp_resp_deinit(r);
	gnutls_ocsp_req_deinit(question);
	if (n > 0)
		gnutls_x509_crt_deinit(c);
	*ret_said = fault == CERTIFY_OCSP_OK ? said : (struct certify_ocsp_said){ 0 };
	return fault;
}
