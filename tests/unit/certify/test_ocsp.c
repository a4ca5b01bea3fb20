/*
 * OCSP answers, made by libcrypto, before both engines: who may sign one, which certificate it has to be about, and what is none at all; the
 * table that keeps them; and what becomes of a chain by it.
 */
#include "certify/ocsp.h"
#include "make.h"

#include "must.h"

#include <gnutls/gnutls.h>
#include <openssl/ocsp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAMES "DNS:gw.example.com"

static struct made root, other, end, second, responder, lapsed, plain, strange, below;
static struct ocsp_table table;
static const char *authority = "ca";
static struct certify_ocsp lists[2];
static struct certify_verdict libcrypto, gnutls;

struct answer {
	const struct made *signer; /* NULL: the root */
	const struct made *about;  /* NULL: the end entity */
	int state;		   /* V_OCSP_CERTSTATUS_ */
	int64_t this_s, next_s;	   /* 0: MADE_NOW, and an hour later; next_s -1: absent */
	int status;		   /* of the response */
	const EVP_MD *digest;
	bool by_key, without_certificate, twice, critical;
};

static ASN1_TIME *time_of(int64_t s)
{
	return ASN1_TIME_set(NULL, (time_t)s);
}

static struct certify_der answer_make(struct answer a)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	const struct made *signer = a.signer ? a.signer : &root;
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), (a.about ? a.about : &end)->c, root.c);
	ASN1_TIME *from = time_of(a.this_s ? a.this_s : MADE_NOW),
		  *until = a.next_s < 0 ? NULL : time_of(a.next_s ? a.next_s : MADE_NOW + 3600),
		  *since = a.state == V_OCSP_CERTSTATUS_REVOKED ? time_of(MADE_NOW - 60) : NULL;
	unsigned long flags = (a.by_key ? OCSP_RESPID_KEY : 0) | (a.without_certificate ? OCSP_NOCERTS : 0);
	uint8_t *der = NULL;

	for (int i = 0; i < 1 + a.twice; i++)
		MUST(OCSP_basic_add1_status(
			basic, id, i ? V_OCSP_CERTSTATUS_GOOD : a.state, 0, since, from, until));
	if (a.critical) {
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		MUST(ASN1_STRING_set(text, "nobody knows it", -1) == 1 &&
			OCSP_BASICRESP_add1_ext_i2d(basic, NID_netscape_comment, text, 1, 0) == 1);
		ASN1_IA5STRING_free(text);
	}
	MUST(OCSP_basic_sign(
		     basic, signer->c, signer->key, a.digest ? a.digest : EVP_sha256(), NULL, flags) == 1);
	OCSP_RESPONSE *r = OCSP_response_create(a.status, a.status ? NULL : basic);
	int n = i2d_OCSP_RESPONSE(r, &der);
	MUST(n > 0 && n <= OCSP_ANSWER_MAX);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(since);
	return (struct certify_der){ der, (size_t)n };
}

static void der_free(struct certify_der der)
{
	OPENSSL_free((void *)(uintptr_t)der.b);
}

/* The chain of the end entity before both engines, which say which answers they would have. */
static void judge(uint32_t revocation, uint32_t wanted, const char *what)
{
	const struct certify_der bag[] = { end.der };
	struct certify_question q = { .anchors = &root.der,
		.anchors_n = 1,
		.bag = bag,
		.bag_n = 1,
		.now_s = MADE_NOW,
		.revocation = revocation,
		.id_kind = CERTIFY_ID_DNS,
		.id = { (const uint8_t *)"gw.example.com", 14 } };

	for (int i = 0; i < 2; i++) {
		lists[i] = (struct certify_ocsp){ .table = &table, .authority = &authority };
		q.ocsp = &lists[i];
		(i ? certify_gnutls : certify_libcrypto)(i ? &gnutls : &libcrypto, &q);
	}
	if (libcrypto.reason != wanted || gnutls.reason != wanted)
		fail_msg("%s: expected '%s', libcrypto '%s', gnutls '%s'", what, certify_reason_text(wanted),
			certify_reason_text(libcrypto.reason), certify_reason_text(gnutls.reason));
}

static int setup(void **state)
{
	const char *ocsp = "OCSPSigning", *usage = "critical,digitalSignature";

	root = make_authority("root", NULL);
	other = make_authority("root", NULL); /* the same name, another key */
	end = make_certificate(
		(struct make){ .subject = "end", .from = &root, .usage = usage, .names = NAMES });
	second = make_certificate(
		(struct make){ .subject = "end", .from = &root, .usage = usage, .names = NAMES });
	responder = make_certificate((struct make){
		.subject = "ocsp", .from = &root, .usage = usage, .purposes = ocsp, .key = "RSA2048" });
	lapsed = make_certificate((struct make){
		.subject = "ocsp", .from = &root, .usage = usage, .purposes = ocsp, .to_s = MADE_NOW - 60 });
	plain = make_certificate(
		(struct make){ .subject = "ocsp", .from = &root, .usage = usage, .purposes = "serverAuth" });
	strange = make_certificate(
		(struct make){ .subject = "ocsp", .from = &other, .usage = usage, .purposes = ocsp });
	struct made middle = make_authority("middle", &root);
	below = make_certificate(
		(struct make){ .subject = "ocsp", .from = &middle, .usage = usage, .purposes = ocsp });
	made_free(&middle);
	return 0;
}

static int teardown(void **state)
{
	struct made *all[] = { &root, &other, &end, &second, &responder, &lapsed, &plain, &strange, &below };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		made_free(all[i]);
	return 0;
}

static int forget(void **state)
{
	memset(&table, 0, sizeof table);
	return 0;
}

static void both_ask_the_same(void **state)
{
	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "soft, nothing is known");
	assert_int_equal(lists[0].n, 1);
	assert_int_equal(lists[1].n, 1);
	const struct certify_want *a = &lists[0].want[0], *b = &lists[1].want[0];
	assert_false(a->known);
	assert_int_equal(a->request_n, b->request_n);
	assert_memory_equal(a->request, b->request, a->request_n);
	assert_int_equal(a->issuer_n, root.der.n);
	assert_int_equal(b->issuer_n, root.der.n);
	assert_memory_equal(a->issuer, root.der.b, root.der.n);
	assert_memory_equal(b->issuer, root.der.b, root.der.n);
	assert_int_equal(a->serial_n, b->serial_n);
	judge(CERTIFY_CRL_HARD, CERTIFY_NO_OCSP, "hard, nothing is known");
}

/* What each engine says of the answer. */
static void said(struct certify_der answer, uint32_t by_libcrypto, uint32_t by_gnutls, enum ocsp_state state,
	const char *what)
{
	struct certify_ocsp_said a, b;

	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "the request");
	const struct certify_want *w = &lists[0].want[0];
	const struct certify_der request = { w->request, w->request_n };
	uint32_t x = certify_libcrypto_ocsp(&a, answer, request, root.der, MADE_NOW),
		 y = certify_gnutls_ocsp(&b, answer, request, root.der, MADE_NOW);
	if (x != by_libcrypto || y != by_gnutls || a.state != (x ? OCSP_NONE : state) ||
		b.state != (y ? OCSP_NONE : state))
		fail_msg("%s: libcrypto '%s' (%d), gnutls '%s' (%d)", what, certify_ocsp_fault_text(x),
			a.state, certify_ocsp_fault_text(y), b.state);
	assert_true(x != y || (a.this_s == b.this_s && a.next_s == b.next_s));
}

static void answers_are_judged(void **state)
{
	const struct {
		const char *what;
		struct answer a;
		uint32_t libcrypto, gnutls;
		enum ocsp_state state;
	} cases[] = {
		{ "good, by the issuer", { 0 }, 0, 0, OCSP_GOOD },
		{ "without nextUpdate", { .next_s = -1 }, 0, 0, OCSP_GOOD },
		{ "by key identifier, without certificates", { .by_key = true, .without_certificate = true },
			0, 0, OCSP_GOOD },
		{ "revoked", { .state = V_OCSP_CERTSTATUS_REVOKED }, 0, 0, OCSP_REVOKED },
		{ "unknown", { .state = V_OCSP_CERTSTATUS_UNKNOWN }, 0, 0, OCSP_UNKNOWN },
		{ "a delegated responder", { .signer = &responder }, 0, 0, OCSP_GOOD },
		{ "a delegated one by key", { .signer = &responder, .by_key = true }, 0, 0, OCSP_GOOD },
		{ "a delegated one whose certificate is not there",
			{ .signer = &responder, .without_certificate = true }, CERTIFY_OCSP_SIGNER,
			CERTIFY_OCSP_SIGNER, 0 },
		{ "its certificate has expired", { .signer = &lapsed }, CERTIFY_OCSP_SIGNER,
			CERTIFY_OCSP_SIGNER, 0 },
		{ "it has no id-kp-OCSPSigning", { .signer = &plain }, CERTIFY_OCSP_SIGNER,
			CERTIFY_OCSP_SIGNER, 0 },
		{ "of another authority of that name", { .signer = &strange }, CERTIFY_OCSP_SIGNER,
			CERTIFY_OCSP_SIGNER, 0 },
		{ "of an authority below", { .signer = &below }, CERTIFY_OCSP_SIGNER, CERTIFY_OCSP_SIGNER,
			0 },
		{ "by the end entity itself", { .signer = &end }, CERTIFY_OCSP_SIGNER, CERTIFY_OCSP_SIGNER,
			0 },
		{ "by another key of the issuer's name", { .signer = &other }, CERTIFY_OCSP_SIGNER,
			CERTIFY_OCSP_SIGNER, 0 },
		{ "about another certificate", { .about = &second }, CERTIFY_OCSP_OTHER, CERTIFY_OCSP_OTHER,
			0 },
		{ "revoked and good", { .state = V_OCSP_CERTSTATUS_REVOKED, .twice = true },
			CERTIFY_OCSP_OTHER, CERTIFY_OCSP_OTHER, 0 },
		{ "tryLater", { .status = OCSP_RESPONSE_STATUS_TRYLATER }, CERTIFY_OCSP_STATUS,
			CERTIFY_OCSP_STATUS, 0 },
		{ "SHA-1", { .digest = EVP_sha1() }, CERTIFY_OCSP_WEAK, CERTIFY_OCSP_WEAK, 0 },
		{ "a critical extension", { .critical = true }, CERTIFY_OCSP_CRITICAL, CERTIFY_OCSP_CRITICAL,
			0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct certify_der der = answer_make(cases[i].a);
		said(der, cases[i].libcrypto, cases[i].gnutls, cases[i].state, cases[i].what);
		der_free(der);
	}
}

static void octets_that_are_none(void **state)
{
	static const char html[] = "<html><body>Sign in to this network</body></html>";
	struct certify_der good = answer_make((struct answer){ .signer = &responder });
	uint8_t longer[OCSP_ANSWER_MAX] = { 0 };
	struct certify_ocsp_said a;

	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "the request");
	const struct certify_der request = { lists[0].want[0].request, lists[0].want[0].request_n };
	said((struct certify_der){ (const uint8_t *)html, sizeof html - 1 }, CERTIFY_OCSP_MALFORMED,
		CERTIFY_OCSP_MALFORMED, 0, "HTML");
	said((struct certify_der){ longer, sizeof longer }, CERTIFY_OCSP_MALFORMED, CERTIFY_OCSP_MALFORMED, 0,
		"zeros");
	memcpy(longer, good.b, good.n);
	said((struct certify_der){ longer, good.n + 1 }, CERTIFY_OCSP_MALFORMED, CERTIFY_OCSP_MALFORMED, 0,
		"an octet more");
	for (size_t n = 0; n < good.n; n++) {
		const struct certify_der cut = { good.b, n };
		assert_int_not_equal(
			certify_libcrypto_ocsp(&a, cut, request, root.der, MADE_NOW), CERTIFY_OCSP_OK);
		assert_int_not_equal(
			certify_gnutls_ocsp(&a, cut, request, root.der, MADE_NOW), CERTIFY_OCSP_OK);
	}
	/* Any octet that is changed is found by both, or by neither, and then it says the same: not everything is signed. */
	for (size_t i = 0; i < good.n; i++) {
		struct certify_ocsp_said b;
		longer[i] ^= 0x01;
		const struct certify_der changed = { longer, good.n };
		if (certify_libcrypto_ocsp(&a, changed, request, root.der, MADE_NOW) == CERTIFY_OCSP_OK)
			assert_int_equal(a.state, OCSP_GOOD);
		if (certify_gnutls_ocsp(&b, changed, request, root.der, MADE_NOW) == CERTIFY_OCSP_OK)
			assert_int_equal(b.state, OCSP_GOOD);
		longer[i] ^= 0x01;
	}
	der_free(good);
}

static struct ocsp_entry *known(enum ocsp_state state, int64_t this_s, int64_t next_s)
{
	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "the request");
	struct ocsp_entry *e = ocsp_enter(&table, &lists[0].want[0]);
	assert_int_equal(
		ocsp_take(e, &(struct certify_ocsp_said){ state, this_s, next_s }, this_s), CERTIFY_OCSP_OK);
	return e;
}

static void chains_by_what_is_known(void **state)
{
	known(OCSP_GOOD, MADE_NOW - 10, MADE_NOW + 3600);
	judge(CERTIFY_CRL_HARD, CERTIFY_OK, "hard, good");
	assert_true(lists[0].want[0].known && lists[1].want[0].known);
	authority = "another";
	judge(CERTIFY_CRL_HARD, CERTIFY_NO_OCSP, "what another authority's responder has said");
	authority = "ca";
	forget(NULL);
	known(OCSP_GOOD, MADE_NOW - 7200, MADE_NOW - 3600);
	judge(CERTIFY_CRL_HARD, CERTIFY_NO_OCSP, "hard, good some time ago");
	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "soft, good some time ago");
	assert_false(lists[0].want[0].known);
	forget(NULL);
	known(OCSP_UNKNOWN, MADE_NOW, MADE_NOW + 3600);
	judge(CERTIFY_CRL_HARD, CERTIFY_NO_OCSP, "hard, unknown");
	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "soft, unknown");
	forget(NULL);
	known(OCSP_REVOKED, MADE_NOW - 7200, MADE_NOW - 3600);
	judge(CERTIFY_CRL_SOFT, CERTIFY_REVOKED, "revoked some time ago");
}

/* An intermediate, so many certificates of it that differ in nothing but the serial number, and an end entity below. */
#define COPIES 8

static struct made middle, copies[COPIES], last;

static struct made copy_of(const struct made *m, long serial, const struct made *from)
{
	struct made copy = { .c = X509_dup(m->c) };
	uint8_t *der = NULL;

	MUST(copy.c && ASN1_INTEGER_set(X509_get_serialNumber(copy.c), serial) == 1 &&
		X509_set_issuer_name(copy.c, X509_get_subject_name(from->c)) == 1 &&
		X509_sign(copy.c, from->key, EVP_sha256()) > 0);
	copy.der.n = (size_t)i2d_X509(copy.c, &der);
	copy.der.b = der;
	return copy;
}

static void copies_make(const struct made *from)
{
	middle = make_certificate((struct make){ .subject = "middle",
		.from = &root,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.no_key_ids = true });
	last = make_certificate((struct make){ .subject = "end",
		.from = &middle,
		.usage = "critical,digitalSignature",
		.names = NAMES,
		.no_key_ids = true });
	for (int i = 0; i < COPIES; i++)
		copies[i] = copy_of(&middle, 1000 + i, i ? from : &root);
}

static void copies_free(void)
{
	for (int i = 0; i < COPIES; i++)
		made_free(&copies[i]);
	made_free(&middle);
	made_free(&last);
}

static struct certify_question copies_question(struct certify_der *bag)
{
	bag[0] = last.der;
	for (int i = 0; i < COPIES; i++)
		bag[1 + i] = copies[i].der;
	lists[0] = lists[1] = (struct certify_ocsp){ .table = &table, .authority = &authority };
	return (struct certify_question){ .anchors = &root.der,
		.anchors_n = 1,
		.bag = bag,
		.bag_n = 1 + COPIES,
		.now_s = MADE_NOW,
		.id_kind = CERTIFY_ID_DNS,
		.id = { (const uint8_t *)"gw.example.com", 14 } };
}

static void copies_lead_past_nothing(void **state)
{
	struct certify_der bag[1 + COPIES];

	copies_make(&root);
	struct certify_question q = copies_question(bag);
	q.ocsp = &lists[0];
	assert_int_equal(certify_libcrypto(&libcrypto, &q), CERTIFY_OK);
	assert_int_equal(lists[0].n, 2);
	struct ocsp_entry *e = ocsp_enter(&table, &lists[0].want[0]);
	const struct certify_ocsp_said said = { OCSP_REVOKED, MADE_NOW, MADE_NOW + 100 };
	assert_int_equal(ocsp_take(e, &said, MADE_NOW), CERTIFY_OCSP_OK);
	assert_int_equal(certify_libcrypto(&libcrypto, &q), CERTIFY_REVOKED);
	q.ocsp = &lists[1];
	assert_int_equal(certify_gnutls(&gnutls, &q), CERTIFY_REVOKED);
	/* hard, and of the end entity it is known that it is good: the intermediate is asked about, in the first of all paths */
	forget(NULL);
	q = copies_question(bag);
	q.revocation = CERTIFY_CRL_HARD;
	q.ocsp = &lists[1];
	assert_int_equal(certify_gnutls(&gnutls, &q), CERTIFY_NO_OCSP);
	assert_int_equal(lists[1].kept_n, 2);
	assert_int_equal(lists[1].n, 4);
	for (int i = 0; i < 2; i++) {
		const struct certify_ocsp_said good = { OCSP_GOOD, MADE_NOW, MADE_NOW + 100 };
		e = ocsp_enter(&table, &lists[1].want[i]);
		assert_int_equal(ocsp_take(e, &good, MADE_NOW), CERTIFY_OCSP_OK);
	}
	lists[1] = (struct certify_ocsp){ .table = &table, .authority = &authority };
	assert_int_equal(certify_gnutls(&gnutls, &q), CERTIFY_OK);
	assert_int_equal(lists[1].n, 2);
	copies_free();
}

/* To an authority with a responder leads one path, and others to one without: what an answer can mend is waited for. */
static void another_path_hides_no_question(void **state)
{
	const char *of[] = { "ca", NULL };
	struct made without = make_authority("without", NULL);
	struct certify_der bag[1 + COPIES];

	copies_make(&without);
	const struct certify_der anchors[] = { root.der, without.der };
	struct certify_question q = copies_question(bag);
	q.anchors = anchors;
	q.anchors_n = 2;
	q.revocation = CERTIFY_CRL_HARD;
	q.ocsp = &lists[1];
	lists[1].authority = of;
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(certify_gnutls(&gnutls, &q), CERTIFY_NO_OCSP);
		assert_true(lists[1].n >= 2);
		assert_int_equal(lists[1].want[0].issuer_n, copies[0].der.n);
		assert_memory_equal(lists[1].want[0].issuer, copies[0].der.b, copies[0].der.n);
		bag[1] = copies[COPIES - 1].der; /* and when it is the last one */
		bag[COPIES] = copies[0].der;
		lists[1] = (struct certify_ocsp){ .table = &table, .authority = of };
	}
	copies_free();
	made_free(&without);
}

static void the_table(void **state)
{
	struct ocsp_entry *e = known(OCSP_REVOKED, MADE_NOW, MADE_NOW + 100);
	struct certify_ocsp_said s = { OCSP_GOOD, MADE_NOW - 1, MADE_NOW + 9000 };
	const int64_t now = MADE_NOW;

	assert_int_equal(ocsp_take(e, &s, now), CERTIFY_OCSP_OLDER);
	s.this_s = now + OCSP_SKEW_S + 1;
	assert_int_equal(ocsp_take(e, &s, now), CERTIFY_OCSP_EARLY);
	s = (struct certify_ocsp_said){ OCSP_GOOD, now - 7200, now - OCSP_SKEW_S };
	assert_int_equal(ocsp_take(e, &s, now), CERTIFY_OCSP_LATE);
	s = (struct certify_ocsp_said){ OCSP_GOOD, now - OCSP_NO_NEXT_S - OCSP_SKEW_S, 0 };
	assert_int_equal(ocsp_take(e, &s, now), CERTIFY_OCSP_LATE);
	assert_int_equal(e->said.state, OCSP_REVOKED);
	/* not asked before its time is over */
	assert_false(ocsp_is_due(e, now + 100));
	assert_true(ocsp_is_due(e, now + 100 + OCSP_SKEW_S));
	for (int i = 0; i < 10; i++)
		ocsp_fail(e, "no answer", now + 1000);
	assert_false(ocsp_is_due(e, now + 1000 + OCSP_AGAIN_MAX_S - 1));
	assert_true(ocsp_is_due(e, now + 1000 + OCSP_AGAIN_MAX_S));
	assert_int_equal(e->said.state, OCSP_REVOKED);
	/* bounded: what is asked about, and what revokes, stays */
	struct certify_want w = lists[0].want[0];
	e->asked = true;
	for (uint32_t i = 0; i < OCSP_ENTRIES_MAX + 10; i++) {
		memcpy(w.request, &i, sizeof i);
		assert_non_null(ocsp_enter(&table, &w));
	}
	assert_int_equal(table.n, OCSP_ENTRIES_MAX);
	assert_int_equal(table.evicted, 11);
	assert_ptr_equal(ocsp_find(&table, &lists[0].want[0]), e);
	e->asked = false;
	for (uint32_t i = 0; i < 20; i++) {
		memcpy(w.request + 4, &(uint32_t){ i + 1 }, sizeof i);
		assert_non_null(ocsp_enter(&table, &w));
	}
	assert_ptr_equal(ocsp_find(&table, &lists[0].want[0]), e);
	/* issuers, too: the one that was used longest ago goes with its entries, and not the one that has revoked */
	w = lists[0].want[0];
	for (uint32_t i = 0; i < OCSP_ISSUERS_MAX + 10; i++) {
		memcpy(w.issuer + 8, &i, sizeof i);
		memcpy(w.request + 8, &(uint32_t){ i + 1 }, sizeof i);
		assert_non_null(ocsp_enter(&table, &w));
		assert_non_null(ocsp_find(&table, &w));
	}
	assert_ptr_equal(ocsp_find(&table, &lists[0].want[0]), e);
	for (uint32_t i = 0; i < OCSP_ISSUERS_MAX + 10; i++) {
		memcpy(w.request + 8, &(uint32_t){ i + 1 }, sizeof i);
		assert_int_equal(ocsp_find(&table, &w) != NULL, i > 10);
	}
	/* nor one that an accepted chain has, as long as there are others; and then it is counted */
	assert_int_equal(table.unkept, 0);
	for (uint32_t i = 0; i < OCSP_ENTRIES_MAX; i++)
		table.at[i].kept = true;
	memcpy(w.issuer, "another", 7);
	memcpy(w.request + 8, "another", 7);
	assert_non_null(ocsp_enter(&table, &w));
	assert_int_equal(table.unkept, 1);
	/* none of them asked for, and no room */
	for (uint32_t i = 0; i < OCSP_ENTRIES_MAX; i++)
		table.at[i].asked = true;
	memcpy(w.request + 12, "none", 4);
	memcpy(w.issuer, lists[0].want[0].issuer, w.issuer_n);
	assert_null(ocsp_enter(&table, &w));
}

/* For the fuzzers of fuzz/certify, which say how it is written. */
static void seed_write(const char *directory, const char *name, struct answer a)
{
	struct certify_der der = answer_make(a);
	uint8_t head[8];
	char path[256];

	judge(CERTIFY_CRL_SOFT, CERTIFY_OK, "the request");
	const struct certify_want *w = &lists[0].want[0];
	store_be32(head, MADE_NOW);
	store_be16(head + 4, (uint16_t)root.der.n);
	store_be16(head + 6, (uint16_t)w->request_n);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *f = fopen(path, "wb");
	MUST(f && fwrite(head, 6, 1, f) == 1 && fwrite(root.der.b, root.der.n, 1, f) == 1 &&
		fwrite(head + 6, 2, 1, f) == 1 && fwrite(w->request, w->request_n, 1, f) == 1 &&
		fwrite(der.b, der.n, 1, f) == 1 && fclose(f) == 0);
	der_free(der);
}

static void seeds_write(const char *directory)
{
	setup(NULL);
	seed_write(directory, "good", (struct answer){ 0 });
	seed_write(
		directory, "revoked", (struct answer){ .state = V_OCSP_CERTSTATUS_REVOKED, .by_key = true });
	seed_write(directory, "delegate", (struct answer){ .signer = &responder, .next_s = -1 });
	seed_write(directory, "stranger", (struct answer){ .signer = &strange });
	seed_write(directory, "try_later", (struct answer){ .status = OCSP_RESPONSE_STATUS_TRYLATER });
	teardown(NULL);
}

/* With a directory: writes seeds into it. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_ask_the_same, forget),
		cmocka_unit_test_setup(answers_are_judged, forget),
		cmocka_unit_test_setup(octets_that_are_none, forget),
		cmocka_unit_test_setup(chains_by_what_is_known, forget),
		cmocka_unit_test_setup(copies_lead_past_nothing, forget),
		cmocka_unit_test_setup(another_path_hides_no_question, forget),
		cmocka_unit_test_setup(the_table, forget),
	};

	gnutls_global_init();
	if (argc > 1) {
		seeds_write(argv[1]);
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
