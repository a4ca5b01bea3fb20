/* What a certifier is asked, and what it says of a configuration (rig.h). */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT "system { host-name hq; }"

static void questions(void **state)
{
	configure(TEXT, 7);
	question(7, 0x4001, 0);
	ask_send();
	assert_int_equal(told(), CERTIFY_NO_PATH); /* there is no such peer */
	question(7, 0x4002, 0);
	ask.id[0] = ID_KEY_ID;
	ask_send();
	assert_int_equal(told(), CERTIFY_IDENTITY);
	question(7, 0x4003, UINT32_MAX); /* no such peer */
	ask.bag_n = CERTIFY_ASK_MAX;
	ask_send();
	assert_int_equal(told(), CERTIFY_MALFORMED);
	question(7, 0x4004, 1);
	ask.bag_n = UINT16_MAX;
	ask.id_n = UINT16_MAX;
	ask_send();
	assert_int_equal(told(), CERTIFY_LIMIT);
}

/* A question comes before its configuration or after it has been replaced. */
static void configurations(void **state)
{
	question(8, 0x4001, 0);
	ask_send();
	silent(&links[PROC_KEEPER]);
	configure(TEXT, 7);
	silent(&links[PROC_KEEPER]);
	configure(TEXT, 8);
	assert_true(told() != CERTIFY_OK);
	question(7, 0x4002, 0);
	ask_send();
	silent(&links[PROC_KEEPER]);
	question(8, 0x4003, 0);
	ask_send();
	assert_true(told() != CERTIFY_OK);
}

/* A configuration that is none changes nothing. */
static void no_configuration(void **state)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	configure(TEXT, 7);
	assert_int_equal(ipc_send_SNAPSHOT(&links[PROC_CONTROL], 8,
				 &(struct msg_snapshot){ .generation = 8, .bytes = 4096 }, fd),
		RC_OK);
	close(fd);
	next(&links[PROC_CONTROL], IPC_SNAPSHOT_TAKEN);
	assert_int_not_equal(frame.u.SNAPSHOT_TAKEN.rc, RC_OK);
	question(7, 0x4002, 0);
	ask_send();
	assert_true(told() != CERTIFY_OK);
}

/* More than there is room for, while ike does not stop: each gets a verdict, and those of another peer are among them. */
static void flood(void **state)
{
	unsigned busy = 0, verified = 0, other = 0;

	configure(TEXT, 7);
	for (uint32_t i = 0; i < 300; i++) {
		question(7, 0x10000 + i, i == 299 ? 6 : 5);
		ask_send();
	}
	for (uint32_t i = 0; i < 300; i++) {
		next(&links[PROC_KEEPER], IPC_CERTIFY_VERDICT);
		ipc_flush(&links[PROC_IKE]);
		busy += frame.u.CERTIFY_VERDICT.verdict.reason == CERTIFY_BUSY;
		verified += frame.u.CERTIFY_VERDICT.verdict.reason != CERTIFY_BUSY;
		other += frame.u.CERTIFY_VERDICT.peer == 6 &&
			 frame.u.CERTIFY_VERDICT.verdict.reason != CERTIFY_BUSY;
	}
	silent(&links[PROC_KEEPER]);
	assert_int_equal(busy + verified, 300);
	assert_int_equal(other, 1);
}

/* It ends in order, with what it was asked answered, and is started anew by the supervisor. */
static void memory_that_grows(void **state)
{
	if (executable)
		return;
	configure(TEXT, 7);
	question(7, 0x4001, 0);
	ask_send();
	told();
	memory += CERTIFIER_GROWTH_MAX;
	question(7, 0x4002, 0);
	ask_send();
	told();
	assert_false(child.loop.stop);
	memory++;
	question(7, 0x4003, 0);
	ask_send();
	told();
	assert_true(child.loop.stop);
	stop_with(1);
	start(state);
}

static void chains(void **state)
{
	const struct certify_verdict *v = &frame.u.CERTIFY_VERDICT.verdict;
	uint8_t *key = NULL, *subject = NULL;

	if (!executable)
		return;
	pki_make();
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	int n = i2d_PUBKEY(end_entity.key, &key);
	assert_int_equal(v->spki_n, n);
	assert_memory_equal(v->spki, key, n);
	assert_int_equal(v->identity_n, 9);
	OPENSSL_free(key);
	assert_int_equal(ask_about(0, &end_entity, ID_FQDN, "c.example", 9), CERTIFY_IDENTITY);
	assert_int_equal(about(0, &below_hard), CERTIFY_NO_PATH); /* another peer's authority */
	assert_int_equal(about(3, &end_entity), CERTIFY_NO_PATH); /* of a pre-shared key */
	assert_int_equal(about(4, &end_entity), CERTIFY_NO_PATH); /* no such peer */
	/* a pattern: the subject in DER, and no other of those that fit */
	n = i2d_X509_NAME(X509_get_subject_name(end_entity.c), &subject);
	assert_int_equal(ask_about(1, &end_entity, ID_DN, subject, (size_t)n), CERTIFY_OK);
	assert_int_equal(v->identity_n, n);
	assert_int_equal(ask_about(1, &end_entity, ID_FQDN, "b.example", 9), CERTIFY_IDENTITY);
	subject[n - 1] ^= 1;
	assert_int_equal(ask_about(1, &end_entity, ID_DN, subject, (size_t)n), CERTIFY_IDENTITY);
	OPENSSL_free(subject);
	pki_free();
}

/* What it says of a configuration with these files, which stays one that is not in force. */
static void checked_text(const char *text, const char *says)
{
	size_t bytes;
	int fd = snapshot_of(text, 9, &bytes);

	assert_int_equal(ipc_send_CERTIFY_CHECK(&links[PROC_CONTROL], 77,
				 &(struct msg_snapshot){ .generation = 9, .bytes = bytes }, fd),
		RC_OK);
	close(fd);
	next(&links[PROC_CONTROL], IPC_CERTIFY_CHECKED);
	assert_int_equal(frame.head.tag, 77);
	if ((frame.u.CERTIFY_CHECKED.rc == RC_OK) != !says ||
		(says && (!strstr(frame.u.CERTIFY_CHECKED.text, says) ||
				 !strstr(frame.u.CERTIFY_CHECKED.text, proc_name(self)))))
		fail_msg("'%s' was expected, not '%s'", says ? says : "", frame.u.CERTIFY_CHECKED.text);
}

static void checked(const char *says)
{
	checked_text(PKI, says);
}

/* Before a commit: authorities and CRLs that the library cannot use, with the file that has them. */
static void before_a_commit(void **state)
{
	static const char none[] = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
	static const char second[] = "certificate 2 of file 'a.crt': it cannot be read";
	size_t n;

	if (!executable)
		return;
	pki_make();
	checked(NULL);
	n = strlen(pem[0]);
	memcpy(pem[0] + n, none, sizeof none);
	checked(second);
	pem[0][n] = '\0';
	struct made weak = make_certificate((struct make){ .subject = "weak",
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.key = "RSA1024" });
	pem_of(1, &weak);
	checked("certificate 1 of file 'h.crt': its key is not accepted");
	pem_of(1, &hard);
	put("h.crl", "\x30\x03\x02\x01\x00", 5);
	checked("CRL file 'h.crl'; ca-profile 'h'");
	put("h.crl", "nothing", 7);
	checked("it holds no CRL");
	put_crl("h.crl", &hard, NULL, true);
	checked(NULL);
	n = strlen(pem[0]);
	memcpy(pem[0] + n, pem[1], strlen(pem[1]) + 1);
	checked(NULL);
	checked_text(FETCHED, "it has a crl-url, and 2 certificates in file 'a.crt'");
	pem[0][n] = '\0';
	checked_text(FETCHED, NULL);
	/* OCSP is not asked about the certificates of an issuer that is too long for a question */
	char names[CERTIFY_ISSUER_MAX + 64] = "DNS:";
	for (size_t i = 4; i < sizeof names - 1; i++)
		names[i] = i % 64 == 63 ? '.' : 'a';
	struct made long_one = make_certificate((struct make){ .subject = "long",
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.names = names });
	pem_of(1, &long_one);
	checked(NULL);
	checked_text(RESPONDERS, "it has an ocsp-url, and certificate 1 of file 'h.crt' has 4");
	made_free(&long_one);
	pem_of(1, &hard);
	checked_text(RESPONDERS, NULL);
	/* the one in force is still that of before */
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	made_free(&weak);
	pki_free();
}

/* What there is, and until when. */
static void inventory(void **state)
{
	static const char *const rows[] = {
		"{\"kind\":\"authority\",\"name\":\"a\",\"file\":\"a.crt\",\"state\":\"expires soon\",\"valid_from\":\"20",
		"\"subject\":\"C=CH,O=Example,CN=Authority\"}",
		"{\"kind\":\"crl\",\"name\":\"a\",\"file\":\"a.crl\",\"state\":\"valid\",\"updated\":\"20",
		"{\"kind\":\"authority\",\"name\":\"h\",\"file\":\"h.crt\"",
		"{\"kind\":\"crl\",\"name\":\"h\",\"file\":\"h.crl\",\"state\":\"missing\"}",
		"{\"kind\":\"certificate\",\"name\":\"gw\",\"file\":\"gw.crt\",\"state\":\"expires soon\"",
	};

	if (!executable || self != PROC_CERTIFIER_OPENSSL)
		return;
	pki_make();
	put_crl("a.crl", &authority, NULL, true);
	shows();
	shown(rows[0]);
	for (size_t i = 1; i < COUNT_OF(rows); i++)
		if (!memmem(frame.u.SHOW_ROW.json, frame.u.SHOW_ROW.n, rows[i], strlen(rows[i])))
			fail_msg("'%s' is not in %.*s", rows[i], (int)frame.u.SHOW_ROW.n,
				frame.u.SHOW_ROW.json);
	next(&links[PROC_CONTROL], IPC_SHOW_END);
	assert_int_equal(frame.u.SHOW_END.count, 5);
	put("a.crl", "0", 1);
	shows();
	shown("\"file\":\"a.crl\",\"state\":\"cannot be used\"}");
	next(&links[PROC_CONTROL], IPC_SHOW_END);
	pki_free();
}

/* In time before a certificate ends; of a CRL when it should have been replaced. */
static void ends_soon(void **state)
{
	int64_t now_s = time(NULL);

	if (executable)
		return;
	assert_int_equal(inventory_warn(&certifier, now_s), 0);
	pki_make();
	about_to_s = now_s + INVENTORY_WARN_S;
	assert_int_equal(inventory_warn(&certifier, now_s), 0);
	put_crl("a.crl", &authority, NULL, false);
	assert_int_equal(inventory_warn(&certifier, now_s + 1), 3); /* two authorities, and our own */
	assert_int_equal(inventory_warn(&certifier, about_to_s), 3);
	assert_int_equal(inventory_warn(&certifier, about_to_s + 1), 4);
	about_to_s = 0; /* a CRL without nextUpdate */
	assert_int_equal(inventory_warn(&certifier, now_s), 0);
	pki_free();
}

/* A chain is there that was accepted, and a list that may be another one. */
static void accepted_one(void)
{
	pki_make();
	configure(PKI, 7);
	engine_says = CERTIFY_OK;
	question(7, 0x4001, 0);
	ask_send();
	assert_int_equal(told(), CERTIFY_OK);
	assert_int_equal(certifier.accepted.n, 1);
}

static void looks(void)
{
	loop_arm(&child.loop, &certifier.look, 0, CERTIFIER_LOOK_NS);
	for (int i = 0; i < 10; i++)
		assert_int_equal(loop_once(&child.loop, 1 * NS_PER_MS, NULL), RC_OK);
}

/* Of which nothing can be said when the list comes: it is judged again when that has passed, though no list has changed since. */
static void judged_again_when_it_passes(void **state)
{
	static const uint32_t passing[] = { CERTIFY_INTERNAL, CERTIFY_CRL_FILE };

	if (executable) /* its engine says what it finds */
		return;
	for (size_t i = 0; i < COUNT_OF(passing); i++) {
		accepted_one();
		engine_says = passing[i];
		certifier.seen = 0;
		looks();
		assert_true(certifier.unsure);
		engine_says = CERTIFY_REVOKED;
		looks();
		assert_int_equal(certifier.accepted.n, 1); /* not at once */
		certifier.unsure_at = 0;
		looks();
		next(&links[PROC_KEEPER], IPC_CERTIFY_REVOKED);
		assert_int_equal(certifier.accepted.n, 0);
		assert_false(certifier.unsure);
		pki_free();
	}
	engine_says = CERTIFY_NO_PATH;
}

/* Strangers who ask without end: it is judged all the same. */
static void judged_again_among_questions(void **state)
{
	enum { ASKED = 2 * CERTIFIER_QUESTIONS_EACH };
	struct certify_ask refused;
	unsigned before = 0;

	if (executable)
		return;
	accepted_one();
	engine_says = CERTIFY_REVOKED;
	for (uint32_t i = 0; i < ASKED; i++) {
		question(7, 0x5000 + i, i % 3 == 2 ? 0 : i % 3); /* of some peers: each has a share */
		assert_true(questions_add(&certifier.questions, &ask, child.loop.now, &refused));
	}
	certifier.again = 1;
	loop_arm(&child.loop, &certifier.work, 0, 0);
	for (come(&links[PROC_KEEPER]); frame.head.id == IPC_CERTIFY_VERDICT; come(&links[PROC_KEEPER]))
		before++;
	assert_int_equal(frame.head.id, IPC_CERTIFY_REVOKED);
	assert_in_range(before, 1, CERTIFIER_QUESTIONS_EACH);
	for (unsigned i = before; i < ASKED; i++)
		next(&links[PROC_KEEPER], IPC_CERTIFY_VERDICT);
	engine_says = CERTIFY_NO_PATH;
	pki_free();
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup_teardown(questions, start, stop),
		cmocka_unit_test_setup_teardown(configurations, start, stop),
		cmocka_unit_test_setup_teardown(no_configuration, start, stop),
		cmocka_unit_test_setup_teardown(flood, start, stop),
		cmocka_unit_test_setup_teardown(memory_that_grows, start, stop),
		cmocka_unit_test_setup_teardown(chains, start, stop),
		cmocka_unit_test_setup_teardown(before_a_commit, start, stop),
		cmocka_unit_test_setup_teardown(inventory, start, stop),
		cmocka_unit_test_setup_teardown(ends_soon, start, stop),
		cmocka_unit_test_setup_teardown(judged_again_when_it_passes, start, stop),
		cmocka_unit_test_setup_teardown(judged_again_among_questions, start, stop),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return rig_run(argc, argv, tests);
}
