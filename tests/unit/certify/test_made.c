/*
 * Both engines over chains that are made here: identities, keys, usages, revocation, limits, a bag in any order, cut
 * certificates, and an engine that lies.
 */
#include "certify/match.h"
#include "make.h"

#include "must.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct made root, middle, end;
static struct certify_verdict libcrypto, gnutls, both;

#define NAMES "DNS:gw.example.com, email:Ops@example.com, IP:192.0.2.7, IP:2001:db8::7"

static struct certify_der text_of(const char *text)
{
	return (struct certify_der){ (const uint8_t *)text, strlen(text) };
}

static struct certify_question question(const struct certify_der *bag, size_t n)
{
	return (struct certify_question){ .anchors = &root.der,
		.anchors_n = 1,
		.bag = bag,
		.bag_n = n,
		.now_s = MADE_NOW,
		.id_kind = CERTIFY_ID_DNS,
		.id = text_of("gw.example.com") };
}

/* Both say the same; what they say. */
static uint32_t ask(const struct certify_question *q)
{
	certify_libcrypto(&libcrypto, q);
	certify_gnutls(&gnutls, q);
	if ((libcrypto.reason == CERTIFY_OK) != (gnutls.reason == CERTIFY_OK))
		fail_msg("libcrypto: %s; gnutls: %s", certify_reason_text(libcrypto.reason),
			certify_reason_text(gnutls.reason));
	return certify_agree(&both, &libcrypto, &gnutls);
}

static uint32_t ask_one(struct make m)
{
	struct made leaf = make_certificate(m);
	struct certify_der bag[] = { leaf.der, middle.der };
	struct certify_question q = question(bag, 2);
	uint32_t reason = ask(&q);

	made_free(&leaf);
	return reason;
}

static int setup(void **state)
{
	root = make_authority("root", NULL);
	middle = make_authority("middle", &root);
	end = make_certificate((struct make){ .subject = "gw", .from = &middle, .names = NAMES });
	return 0;
}

static int teardown(void **state)
{
	made_free(&root);
	made_free(&middle);
	made_free(&end);
	return 0;
}

static void identities(void **state)
{
	static const uint8_t v4[] = { 192, 0, 2, 7 }, v4_other[] = { 192, 0, 2, 8 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 };
	static const struct {
		enum certify_id_kind kind;
		const char *text;
		bool good;
	} rows[] = {
		{ CERTIFY_ID_DNS, "gw.example.com", true },
		{ CERTIFY_ID_DNS, "GW.Example.com", true },
		{ CERTIFY_ID_DNS, "example.com", false },
		{ CERTIFY_ID_DNS, "*.example.com", false },
		{ CERTIFY_ID_DNS, "gw", false }, /* the CN alone is no identity */
		{ CERTIFY_ID_DNS, "", false },
		{ CERTIFY_ID_RFC822, "Ops@EXAMPLE.com", true },
		{ CERTIFY_ID_RFC822, "ops@example.com", false },
		{ CERTIFY_ID_RFC822, "gw.example.com", false },
		{ CERTIFY_ID_DN_TEXT, "C=CH, O=Example, CN=gw", true },
		{ CERTIFY_ID_DN_TEXT, "C=CH,O=Example,CN=*", true },
		{ CERTIFY_ID_DN_TEXT, "/c=ch/o=EXAMPLE/2.5.4.3=gw", true },
		{ CERTIFY_ID_DN_TEXT, "C=*, O=*, CN=*", true },
		{ CERTIFY_ID_DN_TEXT, "CN=gw", false },
		{ CERTIFY_ID_DN_TEXT, "C=CH, O=Example, CN=g*", false },
		{ CERTIFY_ID_DN_TEXT, "C=CH, O=Example, CN=\\*", false },
		{ CERTIFY_ID_DN_TEXT, "O=Example, C=CH, CN=gw", false },
		{ CERTIFY_ID_DN_TEXT, "C=CH, O=Example, CN=gw, CN=*", false },
		{ CERTIFY_ID_DN_TEXT, "X=CH", false },
		{ CERTIFY_ID_DN_TEXT, "C=CH, O=Example, CN=", false },
	};
	struct certify_der bag[] = { end.der, middle.der };
	struct certify_question q = question(bag, 2);
	uint8_t *spki = NULL;
	int n = i2d_PUBKEY(end.key, &spki);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		q.id_kind = rows[i].kind;
		q.id = text_of(rows[i].text);
		uint32_t reason = ask(&q);
		if (reason != (rows[i].good ? CERTIFY_OK : CERTIFY_IDENTITY))
			fail_msg("'%s': %s", rows[i].text, certify_reason_text(reason));
		if (rows[i].good)
			assert_true(both.spki_n == (uint32_t)n && memcmp(both.spki, spki, both.spki_n) == 0);
	}
	OPENSSL_free(spki);
	q.id_kind = CERTIFY_ID_IP;
	q.id = (struct certify_der){ v4, 4 };
	assert_int_equal(ask(&q), CERTIFY_OK);
	q.id = (struct certify_der){ v6, 16 };
	assert_int_equal(ask(&q), CERTIFY_OK);
	q.id = (struct certify_der){ v4_other, 4 };
	assert_int_equal(ask(&q), CERTIFY_IDENTITY);
	q.id_kind = CERTIFY_ID_DN;
	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(end.c), &q.id.b, &q.id.n), 1);
	assert_int_equal(ask(&q), CERTIFY_OK);
	assert_true(both.identity_n == q.id.n && memcmp(both.identity, q.id.b, q.id.n) == 0);
	q.id.n--;
	assert_int_equal(ask(&q), CERTIFY_IDENTITY);
}

static void keys_and_signatures(void **state)
{
	static const char *const good[] = { "P-256", "P-384", "P-521", "ED25519", "RSA2048" };
	static const char *const weak[] = { "secp256k1", "RSA1024", "ED448" };

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct made leaf = make_certificate(
			(struct make){ .subject = "gw", .from = &middle, .key = good[i], .names = NAMES });
		struct made ca = make_certificate((struct make){ .subject = "ca",
			.key = good[i],
			.constraints = "critical,CA:TRUE",
			.usage = "keyCertSign" });
		struct made under =
			make_certificate((struct make){ .subject = "gw", .from = &ca, .names = NAMES });
		struct certify_der bag[] = { leaf.der, middle.der };
		struct certify_question q = question(bag, 2), with = question(&under.der, 1);
		with.anchors = &ca.der;
		assert_int_equal(ask(&q), CERTIFY_OK);
		assert_int_equal(ask(&with), CERTIFY_OK);
		made_free(&leaf);
		made_free(&ca);
		made_free(&under);
	}
	for (size_t i = 0; i < COUNT_OF(weak); i++)
		assert_int_not_equal(
			ask_one((struct make){
				.subject = "gw", .from = &middle, .key = weak[i], .names = NAMES }),
			CERTIFY_OK);
	assert_int_equal(ask_one((struct make){
				 .subject = "gw", .from = &middle, .digest = EVP_sha1(), .names = NAMES }),
		CERTIFY_WEAK);
	assert_int_equal(ask_one((struct make){
				 .subject = "gw", .from = &middle, .digest = EVP_sha224(), .names = NAMES }),
		CERTIFY_WEAK);
}

static void usages(void **state)
{
	static const struct {
		const char *usage, *purposes;
		enum certify_role role;
		bool good;
	} rows[] = {
		{ "digitalSignature", NULL, CERTIFY_ROLE_ANY, true },
		{ "nonRepudiation", NULL, CERTIFY_ROLE_ANY, true },
		{ "keyEncipherment", NULL, CERTIFY_ROLE_ANY, false },
		{ NULL, "ipsecIKE", CERTIFY_ROLE_CLIENT, true },
		{ NULL, "anyExtendedKeyUsage", CERTIFY_ROLE_SERVER, true },
		{ NULL, "serverAuth", CERTIFY_ROLE_ANY, true },
		{ NULL, "serverAuth", CERTIFY_ROLE_CLIENT, false },
		{ NULL, "clientAuth", CERTIFY_ROLE_CLIENT, true },
		{ NULL, "clientAuth", CERTIFY_ROLE_SERVER, false },
		{ NULL, "codeSigning", CERTIFY_ROLE_ANY, false },
		{ NULL, "critical,codeSigning,ipsecIKE", CERTIFY_ROLE_SERVER, true },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made leaf = make_certificate((struct make){ .subject = "gw",
			.from = &middle,
			.usage = rows[i].usage,
			.purposes = rows[i].purposes,
			.names = NAMES });
		struct certify_der bag[] = { leaf.der, middle.der };
		struct certify_question q = question(bag, 2);
		q.role = rows[i].role;
		assert_int_equal(ask(&q), rows[i].good ? CERTIFY_OK : CERTIFY_USAGE);
		made_free(&leaf);
	}
	assert_int_equal(
		ask_one((struct make){
			.subject = "gw", .from = &middle, .names = NAMES, .unknown_critical = true }),
		CERTIFY_CRITICAL);
	assert_int_equal(ask_one((struct make){
				 .subject = "gw", .from = &middle, .names = NAMES, .to_s = MADE_NOW - 60 }),
		CERTIFY_TIME);
	assert_int_equal(ask_one((struct make){
				 .subject = "gw", .from = &middle, .names = NAMES, .from_s = MADE_NOW + 60 }),
		CERTIFY_TIME);
	assert_int_not_equal(
		ask_one((struct make){ .subject = "gw", .from = &end, .names = NAMES }), CERTIFY_OK);
}

static void name_constraints(void **state)
{
	static const struct {
		const char *limits;
		bool good;
	} rows[] = { { "critical,permitted;DNS:example.com", true },
		{ "critical,permitted;DNS:example.org", false },
		{ "critical,excluded;DNS:gw.example.com", false },
		{ "critical,excluded;IP:192.0.2.0/255.255.255.0", false } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made ca = make_certificate((struct make){ .subject = "limited",
			.from = &root,
			.constraints = "critical,CA:TRUE",
			.usage = "critical,keyCertSign",
			.limits = rows[i].limits });
		struct made leaf =
			make_certificate((struct make){ .subject = "gw", .from = &ca, .names = NAMES });
		struct certify_der bag[] = { leaf.der, ca.der };
		struct certify_question q = question(bag, 2);
		assert_int_equal(ask(&q), rows[i].good ? CERTIFY_OK : CERTIFY_CONSTRAINED);
		made_free(&leaf);
		made_free(&ca);
	}
}

static void revocation(void **state)
{
	enum { OTHER = 1, LISTED = 2 };
	static const struct {
		int root, middle; /* 0: no CRL; else which one */
		int64_t next_s;
		uint32_t soft, hard;
	} rows[] = {
		{ 0, 0, 60, CERTIFY_OK, CERTIFY_NO_CRL }, { OTHER, 0, 60, CERTIFY_OK, CERTIFY_NO_CRL },
		{ OTHER, OTHER, 60, CERTIFY_OK, CERTIFY_OK },
		{ OTHER, OTHER, -60, CERTIFY_OK, CERTIFY_NO_CRL },
		{ OTHER, LISTED, 60, CERTIFY_REVOKED, CERTIFY_REVOKED },
		{ LISTED, OTHER, 60, CERTIFY_REVOKED, CERTIFY_REVOKED },
		{ 0, LISTED, -60, CERTIFY_REVOKED, CERTIFY_REVOKED }, /* old, and lists it all the same */
		{ LISTED, 0, 60, CERTIFY_REVOKED,
			CERTIFY_REVOKED }, /* that of the lower authority is missing */
	};
	struct certify_der bag[] = { end.der, middle.der };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct certify_der crls[2];
		struct certify_question q = question(bag, 2);
		q.crls = crls;
		if (rows[i].root)
			crls[q.crls_n++] = make_crl(&root, rows[i].root == LISTED ? &middle : &end,
				MADE_NOW - 600, MADE_NOW + rows[i].next_s);
		if (rows[i].middle)
			crls[q.crls_n++] = make_crl(&middle, rows[i].middle == LISTED ? &end : NULL,
				MADE_NOW - 600, MADE_NOW + rows[i].next_s);
		assert_int_equal(ask(&q), rows[i].soft);
		q.revocation = CERTIFY_CRL_HARD;
		assert_int_equal(ask(&q), rows[i].hard);
		assert_int_equal(gnutls.reason, rows[i].hard);
		for (size_t k = 0; k < q.crls_n; k++)
			OPENSSL_free((void *)(uintptr_t)crls[k].b);
	}
}

/* An authority that was renewed, with its old certificate before the new one: that the way by the old one is refused as well hides nothing. */
static void revoked_by_one_way(void **state)
{
	X509 *old = X509_dup(middle.c);
	uint8_t *der = NULL;

	assert_non_null(old);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(old), (time_t)MADE_NOW - 7200));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(old), (time_t)MADE_NOW - 3600));
	assert_true(X509_sign(old, root.key, EVP_sha256()) > 0);
	int n = i2d_X509(old, &der);
	assert_true(n > 0);
	for (int listed = 0; listed < 2; listed++) {
		struct certify_der crl =
			make_crl(&middle, listed ? &end : NULL, MADE_NOW - 600, MADE_NOW + 600);
		struct certify_der bag[] = { end.der, { der, (size_t)n }, middle.der };
		struct certify_question q = question(bag, 3);
		q.crls = &crl;
		q.crls_n = 1;
		certify_gnutls(&gnutls, &q);
		assert_int_equal(gnutls.reason, listed ? CERTIFY_REVOKED : CERTIFY_OK);
		OPENSSL_free((void *)(uintptr_t)crl.b);
	}
	OPENSSL_free(der);
	X509_free(old);
}

static uint32_t crl_ask(
	struct certify_crl_age *ret_age, struct certify_der crl, const struct certify_der *anchors, size_t n)
{
	struct certify_crl_age other;
	uint32_t reason = certify_libcrypto_crl(ret_age, crl, anchors, n);

	assert_int_equal(certify_gnutls_crl(&other, crl, anchors, n), reason);
	if (reason == CERTIFY_OK)
		assert_memory_equal(&other, ret_age, sizeof other);
	return reason;
}

/* Who has issued it, and which of two is the newer one: both engines say the same. */
static void ages_of_lists(void **state)
{
	static const struct {
		const char *number;
		int64_t this_s; /* after the one before it */
		uint32_t reason;
		bool older; /* than number 0100 of MADE_NOW */
	} rows[] = {
		{ "0100", 0, CERTIFY_OK, false },
		{ "0101", 0, CERTIFY_OK, false },
		{ "ff", 60, CERTIFY_OK, true },
		{ "0100", -1, CERTIFY_OK, true },
		{ "0200", -1, CERTIFY_OK, true },
		{ NULL, 1, CERTIFY_OK, false },
		{ NULL, -1, CERTIFY_OK, true },
		{ "ffffffffffffffffffffffffffffffffffffffff", 0, CERTIFY_OK, false }, /* 20 octets */
		{ "01ffffffffffffffffffffffffffffffffffffffff", 0, CERTIFY_CRL_FILE, false },
		{ "-01", 0, CERTIFY_CRL_FILE, false },
	};
	struct made stranger = make_authority("root", NULL);
	struct certify_der anchors[] = { stranger.der, root.der };
	struct certify_crl_age first, age;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct certify_der crl = make_list((struct make_list){ .from = &root,
			.this_s = MADE_NOW + rows[i].this_s,
			.next_s = MADE_NOW + 600,
			.number = rows[i].number });
		if (crl_ask(&age, crl, anchors, 2) != rows[i].reason)
			fail_msg("row %zu", i);
		if (i == 0)
			first = age;
		if (rows[i].reason == CERTIFY_OK) {
			assert_int_equal(age.this_s, MADE_NOW + rows[i].this_s);
			assert_int_equal(certify_crl_is_older(&age, &first), rows[i].older);
			/* Of the same name, and by another key. */
			assert_int_equal(crl_ask(&age, crl, anchors, 1), CERTIFY_SIGNATURE);
			assert_int_equal(crl_ask(&age, crl, anchors, 0), CERTIFY_SIGNATURE);
		}
		for (size_t n = 0; i == 0 && n < crl.n; n += 7)
			assert_int_not_equal(
				crl_ask(&age, (struct certify_der){ crl.b, n }, anchors, 2), CERTIFY_OK);
		OPENSSL_free((void *)(uintptr_t)crl.b);
	}
	made_free(&stranger);
}

static void swap(struct certify_der *a, struct certify_der *b)
{
	struct certify_der kept = *a;

	*a = *b;
	*b = kept;
}

static void limits_and_order(void **state)
{
	struct made chain[CERTIFY_DEPTH_MAX], leaf;
	struct certify_der bag[CERTIFY_BAG_MAX + 1];
	struct certify_question q;
	char name[16];

	/* Seven authorities below the root and their leaf are nine certificates, six are eight; the bag is backwards. */
	for (size_t i = 0; i < 7; i++) {
		snprintf(name, sizeof name, "ca %zu", i);
		chain[i] = make_authority(name, i ? &chain[i - 1] : &root);
		bag[7 - i] = chain[i].der;
	}
	for (size_t depth = 6; depth <= 7; depth++) {
		leaf = make_certificate(
			(struct make){ .subject = "gw", .from = &chain[depth - 1], .names = NAMES });
		bag[0] = leaf.der;
		q = question(bag, 8);
		assert_int_equal(ask(&q) == CERTIFY_OK, depth == 6);
		swap(&bag[1], &bag[5]);
		swap(&bag[2], &bag[6]);
		assert_int_equal(ask(&q) == CERTIFY_OK, depth == 6);
		made_free(&leaf);
	}
	for (size_t i = 0; i < 7; i++)
		made_free(&chain[i]);
	bag[0] = end.der;
	for (size_t i = 1; i < COUNT_OF(bag); i++)
		bag[i] = middle.der;
	q = question(bag, CERTIFY_BAG_MAX);
	assert_int_equal(ask(&q), CERTIFY_OK);
	q.bag_n++;
	assert_int_equal(ask(&q), CERTIFY_LIMIT);
	q.bag_n = 0;
	assert_int_equal(ask(&q), CERTIFY_LIMIT);
	q = question(bag, 1);
	assert_int_equal(ask(&q), CERTIFY_NO_PATH);
	q.anchors = &end.der; /* trusted itself, and no authority */
	assert_int_not_equal(ask(&q), CERTIFY_OK);
	q = question(bag, 2);
	q.anchors = &middle.der; /* an anchor need not be self-signed */
	assert_int_equal(ask(&q), CERTIFY_OK);
	for (bag[1] = middle.der; bag[1].n-- > 1;)
		assert_int_not_equal(ask(&(struct certify_question){ .anchors = &root.der,
					     .anchors_n = 1,
					     .bag = bag,
					     .bag_n = 2,
					     .now_s = MADE_NOW,
					     .id = text_of("gw.example.com") }),
			CERTIFY_OK);
}

/* An engine with a planted error: it believes every certificate that it can read, and whatever name is asked for. */
static void gullible(struct certify_verdict *v, const struct certify_question *q)
{
	const uint8_t *at = q->bag[0].b;
	X509 *c = d2i_X509(NULL, &at, (long)q->bag[0].n);
	uint8_t *spki = v->spki;

	*v = (struct certify_verdict){ .identity_n = (uint32_t)q->id.n };
	v->spki_n = (uint32_t)i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &spki);
	memcpy(v->identity, q->id.b, q->id.n);
	X509_free(c);
}

static void one_engine_alone_admits_nobody(void **state)
{
	struct made stranger = make_certificate((struct make){ .subject = "gw", .names = NAMES });
	struct certify_question q = question(&stranger.der, 1);
	struct certify_der bag[] = { end.der, middle.der };
	struct certify_verdict lie, other;

	gullible(&lie, &q);
	assert_int_equal(ask(&q), CERTIFY_NO_PATH);
	assert_int_equal(certify_agree(&both, &lie, &gnutls), CERTIFY_NO_PATH);
	assert_int_equal(certify_agree(&both, &libcrypto, &lie), CERTIFY_NO_PATH);
	assert_true(both.spki_n == 0 && both.identity_n == 0);
	q = question(bag, 2);
	assert_int_equal(ask(&q), CERTIFY_OK);
	assert_int_equal(certify_agree(&both, &lie, &gnutls),
		CERTIFY_DISAGREE); /* accepted by both, with another's key */
	for (int i = 0; i < 4; i++) {
		other = gnutls;
		*(i == 0	 ? &other.spki[other.spki_n - 1]
			: i == 1 ? &other.identity[0]
				 : (uint8_t *)&(uint8_t){ 0 }) ^= 1;
		other.spki_n -= i == 2;
		other.identity_n -= i == 3;
		assert_int_equal(certify_agree(&both, &libcrypto, &other), CERTIFY_DISAGREE);
		assert_true(both.spki_n == 0 && both.identity_n == 0);
	}
	made_free(&stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(identities),
		cmocka_unit_test(keys_and_signatures), cmocka_unit_test(usages),
		cmocka_unit_test(name_constraints), cmocka_unit_test(revocation),
		cmocka_unit_test(revoked_by_one_way), cmocka_unit_test(ages_of_lists),
		cmocka_unit_test(limits_and_order), cmocka_unit_test(one_engine_alone_admits_nobody) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
