/* CRLs: in the directory of certificates, and fetched; who is refused by them, and who was let in before (rig.h). */
#include "rig.h"

#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void revocation(void **state)
{
	if (!executable)
		return;
	pki_make();
	/* soft: without a CRL all is well; with one, what it lists is refused, from the moment when it is there */
	for (int in_pem = 0; in_pem < 2; in_pem++) {
		unlinkat(directory, "a.crl", 0);
		assert_int_equal(about(0, &end_entity), CERTIFY_OK);
		put_crl("a.crl", &authority, NULL, in_pem);
		assert_int_equal(about(0, &end_entity), CERTIFY_OK);
		put_crl("a.crl", &authority, &end_entity, in_pem);
		assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	}
	/* one that cannot be read refuses */
	put("a.crl", "nothing", 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_CRL_FILE);
	put("a.crl", "0", 1); /* 0x30 alone */
	assert_int_equal(about(0, &end_entity), CERTIFY_CRL_FILE);
	unlinkat(directory, "a.crl", 0);
	assert_int_equal(symlinkat("/etc/passwd", directory, "a.crl"), 0);
	assert_int_equal(about(0, &end_entity), CERTIFY_CRL_FILE);
	unlinkat(directory, "a.crl", 0);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	/* hard: only with a CRL of the authority */
	assert_int_equal(about(2, &below_hard), CERTIFY_NO_CRL);
	put_crl("h.crl", &authority, NULL, false);
	assert_int_equal(about(2, &below_hard), CERTIFY_NO_CRL);
	put_crl("h.crl", &hard, NULL, false);
	assert_int_equal(about(2, &below_hard), CERTIFY_OK);
	put_crl("h.crl", &hard, &below_hard, false);
	assert_int_equal(about(2, &below_hard), CERTIFY_REVOKED);
	pki_free();
}

/* ---- CRLs that are fetched ---- */

/* What it says of these octets, which nobody uses yet. NULL: they may be used. */
static void offer(const char *name, const void *b, size_t n, const char *says)
{
	struct msg_crl m = { 0 };
	char file[80];

	snprintf(m.name, sizeof m.name, "%s", name);
	snprintf(file, sizeof file, "%s.crl.new", name);
	put_at(fetched, file, b, n);
	assert_int_equal(ipc_send_CRL_OFFER(&links[PROC_RESOLVER], 99, &m), RC_OK);
	next(&links[PROC_RESOLVER], IPC_CRL_JUDGED);
	assert_int_equal(frame.head.tag, 99);
	if ((frame.u.CRL_JUDGED.rc == RC_OK) != !says ||
		(says && (!strstr(frame.u.CRL_JUDGED.text, says) ||
				 !strstr(frame.u.CRL_JUDGED.text, proc_name(self)))))
		fail_msg("'%s' was expected, not '%s'", says ? says : "", frame.u.CRL_JUDGED.text);
	unlinkat(fetched, file, 0);
}

static struct certify_der list_of(
	const struct made *from, const struct made *revoked, int64_t age_s, const char *number)
{
	static int64_t now; /* the same for all of them */

	now = now ? now : time(NULL);
	return make_list((struct make_list){ .from = from,
		.revoked = revoked,
		.this_s = now - age_s,
		.next_s = now + 3600,
		.number = number });
}

static void offer_list(const char *name, struct certify_der der, const char *says)
{
	offer(name, der.b, der.n, says);
	free((void *)(uintptr_t)der.b);
}

static void put_list(const char *name, struct certify_der der)
{
	put_at(fetched, name, der.b, der.n);
	free((void *)(uintptr_t)der.b);
}

/* With what the resolver says of the last reading, which is a stranger's text. */
static void fetched_shown(void)
{
	static const char *const rows[] = {
		"\"source\":\"http://192.0.2.7/a.crl\",\"reason\":\"the server said ?[1m\"}",
		"\"source\":\"http://192.0.2.7/h.crl\"}",
	};
	struct msg_crl m = { .name = "a", .why = "the server said \x1b[1m" };

	assert_int_equal(ipc_send_CRL_STATE(&links[PROC_RESOLVER], 0, &m), RC_OK);
	offer("nobody", "x", 1, "no ca-profile 'nobody'"); /* both have been read */
	shows();
	shown("\"name\":\"a\",\"file\":\"a.crl\",\"state\":\"valid\"");
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!memmem(frame.u.SHOW_ROW.json, frame.u.SHOW_ROW.n, rows[i], strlen(rows[i])))
			fail_msg("'%s' is not in %.*s", rows[i], (int)frame.u.SHOW_ROW.n,
				frame.u.SHOW_ROW.json);
	next(&links[PROC_CONTROL], IPC_SHOW_END);
	assert_int_equal(frame.u.SHOW_END.count, 5);
}

/* A resolver that offers without end is put off, so that questions are answered. */
static void offers_without_end(void **state)
{
	uint32_t judged = 0;

	if (!executable)
		return;
	pki_make();
	configure(FETCHED, 7);
	do {
		struct msg_crl m = { .name = "a" };
		assert_int_equal(ipc_send_CRL_OFFER(&links[PROC_RESOLVER], 99, &m), RC_OK);
		next(&links[PROC_RESOLVER], IPC_CRL_JUDGED);
	} while (frame.u.CRL_JUDGED.rc != RC_AGAIN && ++judged < 10000);
	assert_true(judged >= CERTIFIER_OFFERS_BURST && judged < 10000);
	assert_non_null(strstr(frame.u.CRL_JUDGED.text, "more CRLs are offered"));
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	pki_free();
}

static void fetched_lists(void **state)
{
	if (!executable)
		return;
	pki_make();
	offer("a", "x", 1, "no ca-profile 'a' with a crl-url");
	configure(FETCHED, 7);
	/* none yet: as without a file */
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	assert_int_equal(about(1, &below_hard), CERTIFY_NO_CRL);
	/* what is none, is of somebody else, or comes from tomorrow */
	offer("x", "x", 1, "no ca-profile 'x'");
	offer("a", "<html>", 6, "it holds no CRL");
	offer("a", "0", 1, "CRL 1 of it cannot be used");
	offer("a", "", 0, "it holds no CRL");
	offer_list("a", list_of(&hard, NULL, 60, "05"), "has not signed it");
	offer_list("a", list_of(&authority, NULL, -600, "05"), "not valid yet");
	offer_list("a", list_of(&authority, NULL, 60, "05"), NULL);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	/* in its place: it counts, and is measured by */
	put_list("a.crl", list_of(&authority, &end_entity, 60, "05"));
	put_list("h.crl", list_of(&hard, NULL, 60, NULL));
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	assert_int_equal(about(1, &below_hard), CERTIFY_OK);
	offer_list("a", list_of(&authority, NULL, 60, "04"), "it is older than the one in use");
	offer_list("a", list_of(&authority, NULL, 61, "06"), "it is older than the one in use");
	offer_list("a", list_of(&authority, &end_entity, 50, "06"), NULL);
	put_list("a.crl", list_of(&authority, &end_entity, 50, "06"));
	offer_list("a", list_of(&authority, &end_entity, 50, "06"),
		"it is the one in use"); /* another signature */
	unlinkat(fetched, "a.crl", 0);
	offer_list("a", list_of(&authority, &end_entity, 50, "06"), NULL); /* to be put there again */
	offer_list("h", list_of(&hard, NULL, 61, NULL), "it is older than the one in use");
	/* whatever the resolver puts there: older ones, garbage, those of others, nothing */
	put_list("a.crl", list_of(&authority, NULL, 60, "04"));
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	put_at(fetched, "a.crl", "nothing", 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	put_list("a.crl", list_of(&hard, NULL, 10, "09"));
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	unlinkat(fetched, "a.crl", 0);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	assert_int_equal(mkfifoat(fetched, "a.crl", 0644), 0);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	unlinkat(fetched, "a.crl", 0);
	/* also by those in the directory of certificates */
	put_crl("h.crl", &hard, &below_hard, false);
	assert_int_equal(about(1, &below_hard), CERTIFY_REVOKED);
	unlinkat(directory, "h.crl", 0);
	put_list("a.crl", list_of(&authority, &end_entity, 30, "07"));
	if (self == PROC_CERTIFIER_OPENSSL)
		fetched_shown();
	pki_free();
}

/* The next process reads what the one before it used, without the resolver. */
static void fetched_over_restarts(void **state)
{
	if (!executable)
		return;
	pki_make();
	struct certify_der der = list_of(&authority, &end_entity, 60, "05");
	put_at(fetched, "a.crl", der.b, der.n);
	configure(FETCHED, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	stop_with(0);
	start(state);
	configure(FETCHED, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	/* one that cannot be read refuses where there is no other */
	stop_with(0);
	start(state);
	put_at(fetched, "a.crl", "0", 1);
	configure(FETCHED, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_CRL_FILE);
	put_at(fetched, "a.crl", der.b, der.n);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	/* without the URL it counts no more; with another certificate in the profile it is none of its own */
	configure(PKI, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	configure(FETCHED, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	pem_of(0, &hard);
	configure(FETCHED, 7);
	assert_int_equal(about(0, &below_hard), CERTIFY_OK);
	offer_list("a", list_of(&hard, NULL, 600, "01"), NULL);
	free((void *)(uintptr_t)der.b);
	pki_free();
}

static void key_of(const struct made *m, uint8_t ret_digest[SHA256_SIZE])
{
	uint8_t *key = NULL;
	int n = i2d_PUBKEY(m->key, &key);

	assert_true(n > 0);
	sha256(ret_digest, key, (size_t)n);
	OPENSSL_free(key);
}

static void revoked_is(const char *peer, const struct made *m)
{
	uint8_t digest[SHA256_SIZE];

	key_of(m, digest);
	next(&links[PROC_KEEPER], IPC_CERTIFY_REVOKED);
	assert_memory_equal(frame.u.CERTIFY_REVOKED.key, digest, sizeof digest);
	assert_string_equal(frame.u.CERTIFY_REVOKED.peer, peer);
}

/* Who was let in before the CRL came: the keeper hears of it, without a question; of others, or again, it does not. */
static void revoked_later(void **state)
{
	if (!executable)
		return;
	pki_make();
	configure(FETCHED, 7);
	put_list("h.crl", list_of(&hard, NULL, 600, NULL));
	put_list("a.crl", list_of(&authority, NULL, 600, "01"));
	struct made other = certificate("other", &authority);
	assert_int_equal(about(0, &other), CERTIFY_OK);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	assert_int_equal(about(1, &below_hard), CERTIFY_OK);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	revoked_n = 0;
	put_list("a.crl", list_of(&authority, &end_entity, 500, "02"));
	put_crl("h.crl", &hard, &below_hard, false); /* in the directory of certificates */
	revoked_is("p1", &end_entity);
	revoked_is("p2", &below_hard);
	/* the third is as good as it was, until it is listed as well; who asks again in between is refused by the question */
	assert_int_equal(about(0, &other), CERTIFY_OK);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	put_list("a.crl", list_of(&authority, &other, 400, "03"));
	revoked_is("p1", &other);
	assert_int_equal(about(0, &other), CERTIFY_REVOKED);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	assert_int_equal(revoked_n, 0);
	made_free(&other);
	pki_free();
}

/*
 * What was offered and is good counts at once: the other certifier, which may have been taken over, cannot keep it from this one, nor can
 * the resolver by not putting it into its place. Who was let in before is judged by it.
 */
static void counts_from_the_offer_on(void **state)
{
	if (!executable)
		return;
	pki_make();
	put_list("a.crl", list_of(&authority, NULL, 60, "05"));
	configure(FETCHED, 7);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK);
	struct certify_der der = list_of(&authority, &end_entity, 50, "06");
	offer("a", der.b, der.n, NULL);
	revoked_is("p1", &end_entity);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	put_list("a.crl", list_of(&authority, NULL, 60, "05"));
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	/* once more, as a resolver does whose reading the other one has refused */
	offer("a", der.b, der.n, NULL);
	put_at(fetched, "a.crl", der.b, der.n);
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	free((void *)(uintptr_t)der.b);
	pki_free();
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup_teardown(revocation, start, stop),
		cmocka_unit_test_setup_teardown(fetched_lists, start, stop),
		cmocka_unit_test_setup_teardown(offers_without_end, start, stop),
		cmocka_unit_test_setup_teardown(fetched_over_restarts, start, stop),
		cmocka_unit_test_setup_teardown(revoked_later, start, stop),
		cmocka_unit_test_setup_teardown(counts_from_the_offer_on, start, stop),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return rig_run(argc, argv, tests);
}
