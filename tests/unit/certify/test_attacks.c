/*
 * What an attacker, or a careless authority, may try against both engines at once: CRLs that are not what they seem, constraints on
 * names that are not the identity, policies that nobody checks, anchors of one name, and questions with values that no enum has.
 */
#include "certify/match.h"
#include "make.h"

#include "must.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct made root, end;
static struct certify_verdict libcrypto, gnutls, both;

#define NAMES "DNS:gw.example.com, email:ops@example.com, IP:192.0.2.7"

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

static uint32_t ask(const struct certify_question *q)
{
	certify_libcrypto(&libcrypto, q);
	certify_gnutls(&gnutls, q);
	return certify_agree(&both, &libcrypto, &gnutls);
}

/* Each engine by itself: neither leans upon the other. */
static void ask_each(const struct certify_question *q, uint32_t wanted, const char *what)
{
	ask(q);
	if (libcrypto.reason != wanted || gnutls.reason != wanted)
		fail_msg("%s: expected '%s', libcrypto '%s', gnutls '%s'", what, certify_reason_text(wanted),
			certify_reason_text(libcrypto.reason), certify_reason_text(gnutls.reason));
}

static void der_free(struct certify_der der)
{
	OPENSSL_free((void *)(uintptr_t)der.b);
}

static int setup(void **state)
{
	root = make_authority("root", NULL);
	end = make_certificate((struct make){ .subject = "gw", .from = &root, .names = NAMES });
	return 0;
}

static int teardown(void **state)
{
	made_free(&root);
	made_free(&end);
	return 0;
}

/* One CRL of the root beside the chain: what a question without required CRLs says, and one with. */
static void lists(void **state)
{
	/* clang-format off */
	static const struct {
		const char *what, *scope;
		int reason; /* of the entry */
		bool listed, sha1, delta, endless;
		int64_t this_s;
		uint32_t soft, hard;
	} rows[] = {
		{ .what = "lists nothing", .soft = CERTIFY_OK, .hard = CERTIFY_OK },
		{ .what = "lists it", .listed = true, .soft = CERTIFY_REVOKED, .hard = CERTIFY_REVOKED },
		{ .what = "keyCompromise", .listed = true, .reason = 1, .soft = CERTIFY_REVOKED, .hard = CERTIFY_REVOKED },
		{ .what = "certificateHold", .listed = true, .reason = 6, .soft = CERTIFY_REVOKED, .hard = CERTIFY_REVOKED },
		{ .what = "removeFromCRL", .listed = true, .reason = 8, .soft = CERTIFY_REVOKED, .hard = CERTIFY_REVOKED },
		{ .what = "SHA-1", .sha1 = true, .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "SHA-1, lists it", .listed = true, .sha1 = true, .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "delta", .delta = true, .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "for users' certificates", .scope = "onlyuser:TRUE", .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "for authorities', critical", .scope = "critical,onlyCA:TRUE", .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "some reasons", .scope = "onlysomereasons:keyCompromise", .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "indirect", .scope = "indirectCRL:TRUE", .soft = CERTIFY_CRL_FILE, .hard = CERTIFY_CRL_FILE },
		{ .what = "without nextUpdate", .endless = true, .soft = CERTIFY_OK, .hard = CERTIFY_NO_CRL },
		{ .what = "from now on", .this_s = MADE_NOW, .soft = CERTIFY_OK, .hard = CERTIFY_OK },
		{ .what = "from the next second on", .this_s = MADE_NOW + 1, .soft = CERTIFY_OK, .hard = CERTIFY_NO_CRL },
		{ .what = "from the next second on, lists it", .listed = true, .this_s = MADE_NOW + 1, .soft = CERTIFY_REVOKED, .hard = CERTIFY_REVOKED },
	};
	/* clang-format on */
	struct certify_question q = question(&end.der, 1);

	q.crls_n = 1;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct certify_der crl = make_list((struct make_list){ .from = &root,
			.revoked = rows[i].listed ? &end : NULL,
			.reason = rows[i].reason,
			.scope = rows[i].scope,
			.delta = rows[i].delta,
			.digest = rows[i].sha1 ? EVP_sha1() : NULL,
			.this_s = rows[i].this_s ? rows[i].this_s : MADE_NOW - 600,
			.next_s = rows[i].endless ? 0 : MADE_NOW + 600 });
		q.crls = &crl;
		q.revocation = CERTIFY_CRL_SOFT;
		ask_each(&q, rows[i].soft, rows[i].what);
		q.revocation = CERTIFY_CRL_HARD;
		ask_each(&q, rows[i].hard, rows[i].what);
		der_free(crl);
	}
	/* GnuTLS does not show the extensions of an entry. */
	struct certify_der crl = make_list((struct make_list){
		.from = &root, .this_s = MADE_NOW - 600, .next_s = MADE_NOW + 600, .entry_critical = true });
	q.crls = &crl;
	assert_int_equal(ask(&q), CERTIFY_CRL_FILE);
	assert_int_equal(libcrypto.reason, CERTIFY_CRL_FILE);
	der_free(crl);
}

/* An authority that has a new key under its old name goes on with a CRL for each key; one without cRLSign has none. */
static void lists_of_another_key(void **state)
{
	struct made old = make_authority("root", NULL);
	struct made mute = make_certificate((struct make){
		.subject = "mute", .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign" });
	struct made under = make_certificate((struct make){ .subject = "gw", .from = &mute, .names = NAMES });
	struct certify_der lists[] = { make_crl(&old, &end, MADE_NOW - 600, MADE_NOW + 600),
		make_crl(&root, NULL, MADE_NOW - 600, MADE_NOW + 600) };
	struct certify_der listing = make_crl(&root, &end, MADE_NOW - 1200, MADE_NOW - 900);
	struct certify_der torn[] = { lists[1], lists[0] };
	struct certify_der of_mute = make_crl(&mute, NULL, MADE_NOW - 600, MADE_NOW + 600);
	struct certify_question q = question(&end.der, 1);

	q.revocation = CERTIFY_CRL_HARD;
	q.crls = lists;
	q.crls_n = 1;
	ask_each(&q, CERTIFY_NO_CRL, "only the old key's");
	q.revocation = CERTIFY_CRL_SOFT;
	ask_each(&q, CERTIFY_OK, "only the old key's, not required");
	q.revocation = CERTIFY_CRL_HARD;
	q.crls_n = 2;
	ask_each(&q, CERTIFY_OK, "the old key's and the new one's");
	q.crls = torn;
	ask_each(&q, CERTIFY_OK, "the new key's and the old one's");
	struct certify_der successor[] = { listing, lists[1] };
	q.crls = successor; /* out of date, lists it; its successor does not */
	ask_each(&q, CERTIFY_REVOKED, "a listing that the successor does not have");
	q = question(&under.der, 1);
	q.anchors = &mute.der;
	q.crls = &of_mute;
	q.crls_n = 1;
	ask_each(&q, CERTIFY_AUTHORITY, "without cRLSign");
	der_free(lists[0]);
	der_free(lists[1]);
	der_free(listing);
	der_free(of_mute);
	made_free(&old);
	made_free(&mute);
	made_free(&under);
}

/* What no engine processes must not be critical: RFC 5280 6.1.4 (i), (j) and 6.1.5 (g). */
static void policies(void **state)
{
	static const struct {
		const char *constraints, *inhibit_any;
	} rows[] = { { "critical,requireExplicitPolicy:0", NULL },
		{ "critical,inhibitPolicyMapping:0", NULL }, { NULL, "critical,0" } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made ca = make_certificate((struct make){ .subject = "ca",
			.from = &root,
			.constraints = "critical,CA:TRUE",
			.usage = "critical,keyCertSign",
			.policy_constraints = rows[i].constraints,
			.inhibit_any = rows[i].inhibit_any });
		struct made leaf =
			make_certificate((struct make){ .subject = "gw", .from = &ca, .names = NAMES });
		struct certify_der bag[] = { leaf.der, ca.der };
		struct certify_question q = question(bag, 2);
		ask_each(&q, CERTIFY_CRITICAL, "policies");
		made_free(&leaf);
		made_free(&ca);
	}
}

/* A name that is not the identity, of any kind, is constrained all the same; so is the subject. */
static void constrained_names(void **state)
{
	static const struct {
		const char *limits, *names;
		bool good;
	} rows[] = {
		{ "critical,permitted;DNS:example.com", "DNS:gw.example.com,DNS:gw.example.com", true },
		{ "critical,permitted;DNS:example.com", "DNS:gw.example.com,DNS:gw.example.org", false },
		{ "critical,permitted;DNS:example.com", "DNS:gw.example.org,DNS:gw.example.com", false },
		{ "critical,permitted;DNS:example.com", "DNS:gw.example.com,DNS:badexample.com", false },
		{ "critical,permitted;email:example.com", "DNS:gw.example.com,email:a@example.org", false },
		{ "critical,permitted;email:example.com", "DNS:gw.example.com,email:a@b.example.com", false },
		{ "critical,excluded;email:.example.com", "DNS:gw.example.com,email:a@b.example.com", false },
		{ "critical,permitted;IP:192.0.2.0/255.255.255.0", "DNS:gw.example.com,IP:192.0.3.1", false },
		{ "critical,permitted;IP:192.0.2.0/255.255.255.0", "DNS:gw.example.com,IP:192.0.2.1", true },
		{ "critical,excluded;IP:2001:db8::/ffff:ffff::", "DNS:gw.example.com,IP:2001:db8::1", false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made ca = make_certificate((struct make){ .subject = "ca",
			.from = &root,
			.constraints = "critical,CA:TRUE",
			.usage = "critical,keyCertSign",
			.limits = rows[i].limits });
		struct made leaf = make_certificate(
			(struct make){ .subject = "gw", .from = &ca, .names = rows[i].names });
		struct certify_der bag[] = { leaf.der, ca.der };
		struct certify_question q = question(bag, 2);
		ask_each(&q, rows[i].good ? CERTIFY_OK : CERTIFY_CONSTRAINED, rows[i].limits);
		made_free(&leaf);
		made_free(&ca);
	}
}

/* Names that only seem to be the one that is wanted. */
static void names_that_are_none(void **state)
{
	static const uint8_t v4[4] = { 192, 0, 2, 7 }, mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 7 };
	static const uint8_t nul[] = "gw.example.com\0.attacker.example";
	static const struct {
		const char *names;
		enum certify_id_kind kind;
		struct certify_der id;
	} rows[] = {
		{ "IP:::ffff:192.0.2.7", CERTIFY_ID_IP, { v4, 4 } },
		{ "IP:192.0.2.7", CERTIFY_ID_IP, { mapped, 16 } },
		{ "DNS:192.0.2.7", CERTIFY_ID_IP, { v4, 4 } },
		{ "DNS:*.example.com", CERTIFY_ID_DNS, { nul, 14 } },
		{ "DNS:*.example.com", CERTIFY_ID_DNS, { (const uint8_t *)"*.example.com", 13 } },
		{ "DNS:gw.example.com.", CERTIFY_ID_DNS, { nul, 14 } },
		{ "DNS:.gw.example.com", CERTIFY_ID_DNS, { nul, 14 } },
		{ "DNS:gw.example.com", CERTIFY_ID_DNS, { nul, sizeof nul - 1 } },
		{ "DNS:gw.example.com", CERTIFY_ID_DNS, { nul, 15 } },
		{ "URI:gw.example.com", CERTIFY_ID_DNS, { nul, 14 } },
		{ "email:gw.example.com", CERTIFY_ID_DNS, { nul, 14 } },
		{ "otherName:1.2.3;IA5:gw.example.com", CERTIFY_ID_DNS, { nul, 14 } },
		{ "email:a@b@example.com", CERTIFY_ID_RFC822, { (const uint8_t *)"a@b@example.com", 15 } },
	};
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made leaf = make_certificate(
			(struct make){ .subject = "gw", .from = &root, .names = rows[i].names });
		struct certify_question q = question(&leaf.der, 1);
		q.id_kind = rows[i].kind;
		q.id = rows[i].id;
		ask_each(&q, CERTIFY_IDENTITY, rows[i].names);
		made_free(&leaf);
	}
	/* libcrypto's texts have no NUL inside. */
	MUST(names && name && text && ASN1_STRING_set(text, nul, sizeof nul - 1) == 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	MUST(sk_GENERAL_NAME_push(names, name) > 0);
	struct made leaf =
		make_certificate((struct make){ .subject = "gw", .from = &root, .alternatives = names });
	struct certify_question q = question(&leaf.der, 1);
	ask(&q);
	assert_int_not_equal(libcrypto.reason, CERTIFY_OK);
	assert_int_not_equal(gnutls.reason, CERTIFY_OK);
	made_free(&leaf);
	GENERAL_NAMES_free(names);
}

/* The subject as identity under constraints of directory names: GnuTLS passes over what is permitted, and takes all for excluded. */
static void constrained_subjects(void **state)
{
	static const struct {
		const char *kind, *organization;
		bool libcrypto, gnutls;
	} rows[] = { { "permitted", "Example", true, true }, { "permitted", "Other", false, true },
		{ "excluded", "Example", false, false }, { "excluded", "Other", true, false } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made ca = make_certificate((struct make){ .subject = "ca",
			.from = &root,
			.constraints = "critical,CA:TRUE",
			.usage = "critical,keyCertSign",
			.limit_kind = rows[i].kind,
			.limit_dn = rows[i].organization });
		struct made leaf =
			make_certificate((struct make){ .subject = "gw", .from = &ca, .names = NAMES });
		struct certify_der bag[] = { leaf.der, ca.der };
		struct certify_question q = question(bag, 2);
		q.id_kind = CERTIFY_ID_DN_TEXT;
		q.id = text_of("C=CH, O=Example, CN=gw");
		assert_int_equal(ask(&q) == CERTIFY_OK, rows[i].libcrypto && rows[i].gnutls);
		assert_int_equal(libcrypto.reason, rows[i].libcrypto ? CERTIFY_OK : CERTIFY_CONSTRAINED);
		assert_int_equal(gnutls.reason, rows[i].gnutls ? CERTIFY_OK : CERTIFY_CONSTRAINED);
		made_free(&leaf);
		made_free(&ca);
	}
}

/* Two anchors of one name, of which one may not issue: who is answered for is who signed. */
static void anchors_of_one_name(void **state)
{
	struct made weak = make_certificate((struct make){ .subject = "root",
		.key = "RSA1024",
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign" });
	struct made under = make_certificate((struct make){ .subject = "gw", .from = &weak, .names = NAMES });
	struct certify_der anchors[] = { root.der, weak.der }, turned[] = { weak.der, root.der };
	struct certify_question q = question(&under.der, 1);

	q.anchors = anchors;
	q.anchors_n = 2;
	ask(&q);
	assert_int_not_equal(libcrypto.reason, CERTIFY_OK);
	assert_int_not_equal(gnutls.reason, CERTIFY_OK);
	q.anchors = turned;
	ask(&q);
	assert_int_not_equal(libcrypto.reason, CERTIFY_OK);
	assert_int_not_equal(gnutls.reason, CERTIFY_OK);
	q = question(&end.der, 1);
	q.anchors = turned;
	q.anchors_n = 2;
	ask_each(&q, CERTIFY_OK, "the good one of two");
	made_free(&weak);
	made_free(&under);
}

/* As above without key identifiers: the CRL of the one says nothing about what the other has issued. */
static void anchors_of_one_name_and_a_list(void **state)
{
	struct make m = { .subject = "root",
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.no_key_ids = true };
	struct made one = make_certificate(m), two = make_certificate(m);
	struct made under = make_certificate(
		(struct make){ .subject = "gw", .from = &two, .names = NAMES, .no_key_ids = true });
	struct certify_der anchors[] = { one.der, two.der };
	struct certify_der of_one = make_crl(&one, NULL, MADE_NOW - 600, MADE_NOW + 600);
	struct certify_question q = question(&under.der, 1);

	q.anchors = anchors;
	q.anchors_n = 2;
	q.crls = &of_one;
	q.crls_n = 1;
	q.revocation = CERTIFY_CRL_HARD;
	ask(&q);
	assert_int_not_equal(libcrypto.reason, CERTIFY_OK);
	assert_int_not_equal(gnutls.reason, CERTIFY_OK);
	der_free(of_one);
	made_free(&one);
	made_free(&two);
	made_free(&under);
}

/*
 * GnuTLS loses the octets of a constraint of a kind that it does not know (certify/gnutls_leak.h, which this program does not include):
 * of a certificate that anybody can make under an anchor's name, none, for the signature is looked at before.
 */
static void constraint_of_a_stranger(void **state)
{
	struct made stranger = make_certificate((struct make){ .subject = "root",
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign",
		.no_key_ids = true });
	struct made ca = make_certificate((struct make){ .subject = "ca",
		.from = &stranger,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign",
		.limits = "critical,excluded;otherName:1.2.3.4;UTF8:some octets",
		.no_key_ids = true });
	struct made leaf = make_certificate(
		(struct make){ .subject = "gw", .from = &ca, .names = NAMES, .no_key_ids = true });
	struct certify_der bag[] = { leaf.der, ca.der };
	struct certify_question q = question(bag, 2);

	ask(&q);
	assert_int_not_equal(libcrypto.reason, CERTIFY_OK);
	assert_int_equal(gnutls.reason, CERTIFY_SIGNATURE); /* so the library has seen the path */
	made_free(&stranger);
	made_free(&ca);
	made_free(&leaf);
}

/* What comes from another process may have any value: none of them asks for less. */
static void values_of_no_enum(void **state)
{
	struct made client = make_certificate(
		(struct make){ .subject = "gw", .from = &root, .names = NAMES, .purposes = "clientAuth" });
	struct certify_question q = question(&client.der, 1);

	ask_each(&q, CERTIFY_OK, "as it should be");
	q.role = 3;
	ask_each(&q, CERTIFY_LIMIT, "role");
	q = question(&client.der, 1);
	q.revocation = 2;
	ask_each(&q, CERTIFY_LIMIT, "revocation");
	q = question(&client.der, 1);
	q.id_kind = 5;
	ask_each(&q, CERTIFY_IDENTITY, "kind of identity");
	q = question(&client.der, 1);
	q.now_s = -1;
	ask_each(&q, CERTIFY_LIMIT, "time");
	made_free(&client);
}

static void edges_of_time(void **state)
{
	struct made leaf = make_certificate((struct make){ .subject = "gw",
		.from = &root,
		.names = NAMES,
		.from_s = MADE_NOW - 10,
		.to_s = MADE_NOW + 10 });
	struct certify_question q = question(&leaf.der, 1);

	q.now_s = MADE_NOW - 11;
	ask_each(&q, CERTIFY_TIME, "a second before");
	q.now_s = MADE_NOW - 10;
	ask_each(&q, CERTIFY_OK, "first second");
	q.now_s = MADE_NOW + 9;
	ask_each(&q, CERTIFY_OK, "last second");
	q.now_s = MADE_NOW + 11;
	ask_each(&q, CERTIFY_TIME, "a second behind");
	q.now_s = 0;
	ask_each(&q, CERTIFY_TIME, "1970");
	made_free(&leaf);
}

/* A backslash that is itself escaped does not keep the space behind it. */
static void patterns(void **state)
{
	struct dn dn;

	assert_int_equal(dn_pattern_read(&dn, "CN=a\\\\ , O=b", 12, NULL), RC_OK);
	assert_int_equal(dn.n, 2);
	assert_int_equal(dn.rdn[0].n, 2);
	assert_int_equal(dn_pattern_read(&dn, "CN=a\\ , O=b", 11, NULL), RC_OK);
	assert_int_equal(dn.rdn[0].n, 2);
	assert_int_equal(dn.rdn[0].value[1], ' ');
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists), cmocka_unit_test(lists_of_another_key),
		cmocka_unit_test(policies), cmocka_unit_test(constrained_names),
		cmocka_unit_test(names_that_are_none), cmocka_unit_test(constrained_subjects),
		cmocka_unit_test(anchors_of_one_name), cmocka_unit_test(anchors_of_one_name_and_a_list),
		cmocka_unit_test(constraint_of_a_stranger), cmocka_unit_test(values_of_no_enum),
		cmocka_unit_test(edges_of_time), cmocka_unit_test(patterns) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
