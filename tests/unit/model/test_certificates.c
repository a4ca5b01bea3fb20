/*
 * Certificates in the configuration: what the compiler makes of authorities and of peers with certificates, and what is made of the
 * files. The octets are no certificates: nothing here reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "compiled.h"
#include "model/certificates.h"
#include "model/dynamic.h"

#define CA(name, file, more) "ca-profile " name " { file " file "; " more " } "
#define PEER(name, remote, more)                                                                             \
	"peer " name " { remote-address " remote "; local-certificate gw; " more " proposals p; } "
#define TEXT(cas, peers)                                                                                     \
	"pki { " cas " } ike { proposal p { encryption aes256gcm16; dh-group ecp256; } " peers " }"
#define TWO                                                                                                  \
	TEXT(CA("a", "a.crt", "") CA("b", "b.crt", "revocation-check hard;"),                                \
		PEER("x", "192.0.2.1", "remote-id \"C=CH, O=Example, CN=*\"; trusted-ca [ b a ];")           \
			PEER("y", "192.0.2.2", "remote-id y.example; trusted-ca a;"))

static void records(void **state)
{
	struct snapshot *s = compiled(TWO);
	const struct snap_peer *p = snap_peers(s);

	assert_int_equal(s->authorities.count, 2);
	assert_string_equal(snap_certificate_files(s)[snap_authorities(s)[1].file].name, "b.crt");
	assert_int_equal(snap_authorities(s)[0].revocation, REVOCATION_SOFT);
	assert_int_equal(snap_authorities(s)[1].revocation, REVOCATION_HARD);
	assert_int_equal(s->certificate_files.count, 3);
	assert_true(p[0].auth == PEER_AUTH_CERTIFICATE && p[0].trusted.count == 2 && p[1].trusted.count == 1);
	assert_string_equal(snap_certificate_files(s)[p[0].certificate - 1].name, "gw.crt");
	assert_string_equal(p[0].key_name, "gw");
	assert_int_equal(p[0].remote_id.type, ID_DN);
	assert_memory_equal(p[0].remote_id.data, "C=CH, O=Example, CN=*", p[0].remote_id.len);
	assert_int_equal(p[1].remote_id.type, ID_FQDN);
	assert_int_equal(s->certificates.count, 0);
	free(s);
}

/* Where CRLs are fetched: over http as well, because they are signed. */
static void fetched_lists(void **state)
{
	struct snapshot *s = compiled(TEXT(
		CA("a", "a.crt", "") CA("b", "b.crt", "crl-url http://crl.example.net/b.crl;")
			CA("c", "c.crt", "crl-url \"https://[2001:db8::1]:8443/c.crl\"; update-interval 60;"),
		""));
	const struct snap_authority *a = snap_authorities(s);
	const struct snap_dynamic *d = snap_dynamics(s);

	assert_int_equal(s->dynamics.count, 2);
	assert_true(a[0].dynamic == 0 && a[1].dynamic == 1 && a[2].dynamic == 2);
	assert_true(d[0].kind == DYNAMIC_CRL && d[0].interval_s == CRL_INTERVAL_S && d[1].interval_s == 60);
	assert_string_equal(d[0].object, "b");
	assert_string_equal(d[0].name, "b");
	assert_string_equal(d[1].url, "https://[2001:db8::1]:8443/c.crl");
	assert_false(dynamic_any(s)); /* the data plane waits for none of them */
	free(s);
}

/* What snapshot_check() refuses of them, each by one change of what is good. */
static void fetched_lists_checked(void **state)
{
	struct snapshot *s =
		compiled(TEXT(CA("a", "a.crt", "crl-url http://192.0.2.7/a;") CA("b", "b.crt", ""), ""));
	struct snap_authority *a = (void *)((uint8_t *)s + s->authorities.first);
	struct snap_dynamic *d = (void *)((uint8_t *)s + s->dynamics.first);
	const struct snap_authority good_a[2] = { a[0], a[1] };
	const struct snap_dynamic good_d = *d;

	for (int i = 0; i < 9; i++) {
		struct err e = { 0 };
		a[0] = good_a[0];
		a[1] = good_a[1];
		*d = good_d;
		switch (i) {
		case 1:
			a[0].dynamic = 2;
			break;
		case 2:
			a[1].dynamic = 1;
			break;
		case 3:
			d->kind = DYNAMIC_FEED;
			break;
		case 4:
			snprintf(d->url, sizeof d->url, "ftp://192.0.2.7/a");
			break;
		case 5:
			d->url[0] = '\0';
			snprintf(d->file, sizeof d->file, "x");
			break;
		case 6:
			d->interval_s = 0;
			break;
		case 7:
			snprintf(d->name, sizeof d->name, "b");
			break;
		case 8:
			a[1].responder = 1; /* a CRL */
			break;
		}
		if ((snapshot_check(s, s->bytes, &e) == RC_OK) != (i == 0))
			fail_msg("case %d: '%s'", i, e.text);
	}
	free(s);
}

/* A wildcard in the subject of peers at any address: each subject is an identity of its own. */
static void subjects_of_a_template(void **state)
{
	static const struct {
		const char *address, *subject;
		bool template;
	} cases[] = {
		{ "any", "C=CH, O=Example, CN=*", true },
		{ "any", "C=CH, O = * , CN=x", true },
		{ "any", "/C=CH/O=*/CN=x", true },
		{ "any", "C=CH, O=Example, CN=gw", false },
		{ "any", "C=CH, O=Example, CN=*x", false },
		{ "any", "C=CH, O=Example, CN=x*", false },
		{ "any", "C=CH, O=Example, CN=a=*", false },
		{ "192.0.2.1", "C=CH, O=Example, CN=*", false },
	};
	char text[512];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof text,
			TEXT(CA("a", "a.crt", ""), PEER("x", "%s", "remote-id \"%s\"; trusted-ca a;")),
			cases[i].address, cases[i].subject);
		struct snapshot *s = compiled(text);
		const struct snap_peer *p = snap_peers(s);
		struct err e = { 0 };

		assert_int_equal(p->remote_id.type, ID_DN);
		if (!(p->flags & PEER_ID_PATTERN) == cases[i].template)
			fail_msg("%s", cases[i].subject);
		assert_int_equal(p->connections_max, cases[i].template ? 64 : 0);
		if (snapshot_check(s, s->bytes, &e) != RC_OK)
			fail_msg("%s: %s", cases[i].subject, e.text);
		free(s);
	}
}

static void refused(const char *text, const char *says)
{
	struct err e = { 0 };
	void *block = NULL;
	size_t n;

	if (compile(text, 7, &block, &n, &e) == RC_OK || !strstr(e.text, says))
		fail_msg("'%s' expected, not '%s'", says, e.text);
	free(block);
}

static void refused_texts(void **state)
{
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "192.0.2.1", "")), "belong together");
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "192.0.2.1", "trusted-ca b;")), "b");
	refused(TEXT(CA("a", "../a", ""), PEER("x", "192.0.2.1", "trusted-ca a;")), "a name is made of");
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "192.0.2.1", "trusted-ca a; remote-id keyid:00;")),
		"an identity that a certificate can have");
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "192.0.2.1", "trusted-ca a; local-id \"CN=a\";")),
		"subjectAltName");
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "192.0.2.1", "trusted-ca a; remote-id \"a b\";")),
		"without spaces");
	refused(TEXT(CA("a", "a.crt", ""), PEER("x", "any", "trusted-ca a; start never;")),
		"needs a remote-id");
	refused(TEXT(CA("a", "a.crt", "crl-url ftp://crl.example.net/a;"), ""), "http://");
	refused(TEXT(CA("a", "a.crt", "crl-url ldap://x/cn=a;"), ""),
		"does not begin with https:// or http://");
	refused(TEXT(CA("a", "a.crt", "crl-url http://u:p@crl.example.net/a;"), ""), "user or a password");
	refused(TEXT(CA("a", "a.crt", "crl-url \"http://crl.example.net/a?b\";"), ""), "query");
	refused(TEXT(CA("a", "a.crt", "crl-url http://crl.example.net:0/a;"), ""), "1 to 65535");
	refused(TEXT(CA("a", "a.crt", "crl-url http:///a;"), ""), "without a host");
	refused(TEXT(CA("a", "a.crt", "update-interval 600;"), ""), "needs crl-url");
	refused(TEXT(CA("a", "a.crt", "crl-url http://crl.example.net/a; update-interval 0;"), ""),
		"1..604800");
}

/* Three files in memory. */
struct files {
	const char *a, *b, *gw;
	char said[ERR_TEXT_MAX];
};

static enum rc read_it(void *context, const char *file, char *ret_text, size_t *ret_n, struct err *e)
{
	struct files *f = context;
	const char *text = file[0] == 'a' ? f->a : file[0] == 'b' ? f->b : f->gw;

	if (!text)
		return err_add(e, RC_NOT_FOUND, "it does not exist");
	*ret_n = strlen(text);
	assert_true(*ret_n <= CERTIFICATE_TEXT_MAX);
	memcpy(ret_text, text, *ret_n);
	return RC_OK;
}

static void say(void *context, const char *text)
{
	snprintf(((struct files *)context)->said, ERR_TEXT_MAX, "%s", text);
}

#define PEM(digits) "-----BEGIN CERTIFICATE-----\n" digits "\n-----END CERTIFICATE-----\n"
#define ONE	    PEM("MAAB")			/* 30 00 01 */
#define LONG	    PEM("MAECAwQF\r\nBgcICQ==") /* 30 01 to 09, over two lines */

static void octets(void **state)
{
	static const uint8_t nine[] = { 0x30, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct files f = { "Certificate:\n  text\n" ONE "between\n" LONG, ONE, LONG, "" };
	struct snapshot *s = compiled(TWO);
	const struct snap_certificate *anchors[CERTIFICATE_ANCHORS];
	size_t n = s->bytes;
	void *block = s;

	assert_int_equal(certificates_add(&block, &n, read_it, &f, NULL, NULL), RC_OK);
	s = block;
	assert_int_equal(snapshot_check(block, n, NULL), RC_OK);
	assert_int_equal(s->certificates.count, 4);
	/* In the order of trusted-ca: b, then a. */
	assert_int_equal(snap_anchors(s, &snap_peers(s)[0], anchors), 3);
	assert_int_equal(anchors[0]->n, 3);
	assert_memory_equal(snap_certificate_der(s, anchors[0]), "\x30\0\1", 3);
	assert_int_equal(anchors[2]->n, sizeof nine);
	assert_memory_equal(snap_certificate_der(s, anchors[2]), nine, sizeof nine);
	assert_int_equal(snap_anchors(s, &snap_peers(s)[1], anchors), 2);
	/* What a receiver demands of the places. */
	struct snap_certificate *c = (void *)((uint8_t *)block + s->certificates.first);
	uint32_t was = c[3].n;
	c[3].n = 65536;
	assert_int_equal(snapshot_check(block, n, NULL), RC_MALFORMED);
	c[3].n = 0;
	assert_int_equal(snapshot_check(block, n, NULL), RC_MALFORMED);
	c[3].n = was;
	assert_int_equal(snapshot_check(block, n, NULL), RC_OK);
	free(block);
}

static void bad_file(const char *text, const char *says)
{
	struct files f = { text, ONE, ONE, "" };
	struct snapshot *s = compiled(TWO);
	size_t n = s->bytes, was = n;
	void *block = s;
	struct err e = { 0 };

	if (certificates_add(&block, &n, read_it, &f, NULL, &e) == RC_OK || !strstr(e.text, says) ||
		!strstr(e.text, "certificate file 'a.crt' of ca-profile 'a'"))
		fail_msg("'%s' expected, not '%s'", says, e.text);
	assert_true(block == s && n == was);
	/* Leniently: all else stands, and this file is empty. */
	assert_int_equal(certificates_add(&block, &n, read_it, &f, say, NULL), RC_OK);
	assert_non_null(strstr(f.said, says));
	s = block;
	assert_int_equal(s->certificates.count, 2);
	for (uint32_t i = 0; i < s->certificate_files.count; i++)
		assert_int_equal(snap_certificate_files(s)[i].certificates.count,
			snap_certificate_files(s)[i].name[0] == 'a' ? 0 : 1);
	free(block);
}

static void bad_files(void **state)
{
	char *many = calloc(1, 65 * sizeof ONE), *big = calloc(1, 140000);

	bad_file(NULL, "does not exist");
	bad_file("", "holds no certificate");
	bad_file("\x30\x82\x01", "looks like DER");
	bad_file(ONE "-----BEGIN EC PRIVATE KEY-----\n", "private key");
	bad_file("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "private key");
	bad_file("-----BEGIN X509 CRL-----\n", "a CRL");
	bad_file("-----BEGIN TRUSTED CERTIFICATE-----\n", "'TRUSTED CERTIFICATE'");
	bad_file("-----BEGIN CERTIFICATE-----\nMAAB\n", "cut off");
	bad_file(PEM("MA*B"), "not base64");
	bad_file(PEM(""), "not base64");
	bad_file(PEM("MQAB"), "not one");
	for (int i = 0; i < 65; i++)
		strcat(many, ONE);
	bad_file(many, "at most 64");
	strcpy(big, "-----BEGIN CERTIFICATE-----\nMAAA");
	memset(big + strlen(big), 'A', 65536 / 3 * 4);
	strcat(big, "\n-----END CERTIFICATE-----\n");
	bad_file(big, "longer than 65536 octets");
	free(many);
	free(big);
}

/* Every prefix of a file is refused or read, and leaves no trace where it is refused. */
static void prefixes(void **state)
{
	static const char whole[] = "Certificate:\n" ONE LONG;

	for (size_t i = 0; i < sizeof whole - 1; i++) {
		char part[sizeof whole];
		snprintf(part, sizeof part, "%.*s", (int)i, whole);
		struct files f = { part, ONE, ONE, "" };
		struct snapshot *s = compiled(TWO);
		size_t n = s->bytes;
		void *block = s;
		bool ok = certificates_add(&block, &n, read_it, &f, NULL, NULL) == RC_OK;
		/* One whole certificate at least, and no half one behind it. */
		s = block;
		assert_true(!ok || s->certificates.count == 3 || i >= sizeof whole - 2);
		free(block);
	}
}

/* A peer without proposals has those of everybody: hybrid first, then the same without; so one may be required of it. */
static void default_proposals(void **state)
{
	struct snapshot *s =
		compiled("ike { proposal k { encryption aes128gcm16; dh-group ecp384; } "
			 "peer p { remote-address 192.0.2.1; pre-shared-key k; } "
			 "peer q { remote-address 192.0.2.2; pre-shared-key k; proposals k; } "
			 "peer r { remote-address 192.0.2.3; pre-shared-key k; require-post-quantum; } }");
	const struct snap_peer *p = snap_peers(s);
	const struct snap_ike_proposal *k = snap_ike_proposals(s);

	assert_int_equal(s->peers.count, 3);
	for (int i = 0; i < 3; i += 2) {
		const struct snap_ike_proposal *of = k + p[i].proposals.first;

		assert_int_equal(p[i].proposals.count, 2);
		for (int n = 0; n < 2; n++) {
			assert_int_equal(of[n].encr, ENCR_AES_GCM_16);
			assert_int_equal(of[n].encr_bits, 256);
			assert_int_equal(of[n].prf, PRF_HMAC_SHA2_384);
			assert_int_equal(of[n].dh, DH_CURVE25519);
			assert_int_equal(of[n].additional[0], n == 0 ? MLKEM_768 : 0);
			assert_int_equal(of[n].additional[1], 0);
		}
	}
	assert_int_equal(p[1].proposals.count, 1);
	assert_int_equal(k[p[1].proposals.first].additional[0], 0);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects_of_a_template),
		cmocka_unit_test(records),
		cmocka_unit_test(fetched_lists),
		cmocka_unit_test(fetched_lists_checked),
		cmocka_unit_test(default_proposals),
		cmocka_unit_test(refused_texts),
		cmocka_unit_test(octets),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests_name("model certificates", tests, NULL, NULL);
}
