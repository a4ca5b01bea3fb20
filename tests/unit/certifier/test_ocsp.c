/*
 * OCSP in each certifier, in its sandbox, with this test as the resolver: what it asks, that others are judged meanwhile, what an answer
 * or none does to the chain that waits, that lies count as none, and that who was let in is ended when a later answer revokes.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <openssl/ocsp.h>

#include <cmocka.h>

static uint64_t tag; /* of its question */

static bool is_about(
	const struct msg_ocsp_ask *q, const char *name, const struct made *m, const struct made *from)
{
	const uint8_t *at = q->request;
	OCSP_REQUEST *r = d2i_OCSP_REQUEST(NULL, &at, (long)q->n);
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), m->c, from->c);

	assert_non_null(r);
	assert_int_equal(OCSP_request_onereq_count(r), 1);
	assert_int_equal(OCSP_REQUEST_get_ext_count(r), 0);
	bool same = OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, 0)), id) == 0;
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(r);
	return same && strcmp(q->name, name) == 0;
}

/* It asks the responder of that authority about that certificate; what it asks once more about others is passed over. */
static void asks(const char *name, const struct made *m, const struct made *from)
{
	do
		next(&links[PROC_RESOLVER], IPC_OCSP_ASK);
	while (!is_about(&frame.u.OCSP_ASK, name, m, from));
	tag = frame.head.tag;
}

/* Its thisUpdate stands so many seconds behind, and its nextUpdate before. */
static void answer(const struct made *m, const struct made *from, const struct made *signer, int status,
	int64_t behind, int64_t until)
{
	static struct msg_ocsp_answer a;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), m->c, from->c);
	ASN1_TIME *this = ASN1_TIME_set(NULL, time(NULL) - behind),
		  *end = ASN1_TIME_set(NULL, time(NULL) + until);
	uint8_t *at = a.octets;

	OCSP_basic_add1_status(
		basic, id, status, 0, status == V_OCSP_CERTSTATUS_REVOKED ? this : NULL, this, end);
	assert_int_equal(OCSP_basic_sign(basic, signer->c, signer->key, EVP_sha256(), NULL, 0), 1);
	OCSP_RESPONSE *r = OCSP_response_create(0, basic);
	a = (struct msg_ocsp_answer){ 0 };
	a.n = (uint32_t)i2d_OCSP_RESPONSE(r, &at);
	assert_int_equal(ipc_send_OCSP_ANSWER(&links[PROC_RESOLVER], tag, &a), RC_OK);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(this);
	ASN1_TIME_free(end);
}

static void none(const char *why)
{
	struct msg_ocsp_answer a = { 0 };

	snprintf(a.why, sizeof a.why, "%s", why);
	assert_int_equal(ipc_send_OCSP_ANSWER(&links[PROC_RESOLVER], tag, &a), RC_OK);
}

static uint32_t sa = 0x9000, from; /* from: the source of a question */

static void begin(uint32_t peer, const struct made *m)
{
	question(7, ++sa, peer);
	ask.source = from;
	store_be32(ask.bag, (uint32_t)m->der.n);
	memcpy(ask.bag + 4, m->der.b, m->der.n);
	ask.bag_n = (uint16_t)(4 + m->der.n);
	ask_send();
}

static void a_chain_waits(void **state)
{
	if (!executable)
		return;
	pki_make();
	configure(RESPONDERS, 7);
	begin(0, &end_entity);
	asks("a", &end_entity, &authority);
	/* meanwhile: another chain, which is judged at once, as its issuer is nobody's */
	struct certify_ask waiting = ask;
	assert_int_equal(about(0, &below_hard), CERTIFY_NO_PATH);
	ask = waiting;
	answer(&end_entity, &authority, &authority, V_OCSP_CERTSTATUS_GOOD, 60, 3600);
	assert_int_equal(told(), CERTIFY_OK);
	assert_int_equal(about(0, &end_entity), CERTIFY_OK); /* without a question */
	/* hard: good, and then another one that is revoked */
	begin(1, &below_hard);
	asks("h", &below_hard, &hard);
	answer(&below_hard, &hard, &hard, V_OCSP_CERTSTATUS_GOOD, 60, 3600);
	assert_int_equal(told(), CERTIFY_OK);
	struct made other = certificate("other", &hard);
	begin(1, &other);
	asks("h", &other, &hard);
	answer(&other, &hard, &hard, V_OCSP_CERTSTATUS_REVOKED, 60, 3600);
	assert_int_equal(told(), CERTIFY_REVOKED);
	silent(&links[PROC_RESOLVER]);
	made_free(&other);
	pki_free();
}

static void without_an_answer(void **state)
{
	struct made liar;

	if (!executable)
		return;
	pki_make();
	configure(RESPONDERS, 7);
	liar = certificate("Hard", NULL); /* the name, and not the key */
	/* soft and hard, each with a reason, with a lie, and with silence */
	begin(0, &end_entity);
	asks("a", &end_entity, &authority);
	none("the responder answered with status 500, expected 200");
	assert_int_equal(told(), CERTIFY_OK);
	begin(1, &below_hard);
	asks("h", &below_hard, &hard);
	answer(&below_hard, &hard, &liar, V_OCSP_CERTSTATUS_GOOD, 60, 3600);
	assert_int_equal(told(), CERTIFY_NO_OCSP);
	struct made second = certificate("second", &hard), third = certificate("third", &hard),
		    fourth = certificate("fourth", &hard);
	begin(1, &second);
	asks("h", &second, &hard);
	answer(&below_hard, &hard, &hard, V_OCSP_CERTSTATUS_GOOD, 60, 3600);
	assert_int_equal(told(), CERTIFY_NO_OCSP);
	begin(1, &third);
	asks("h", &third, &hard);
	answer(&third, &hard, &hard, V_OCSP_CERTSTATUS_GOOD, 7200, -3600);
	assert_int_equal(told(), CERTIFY_NO_OCSP);
	begin(1, &fourth);
	asks("h", &fourth, &hard);
	assert_int_equal(told(), CERTIFY_NO_OCSP);
	made_free(&second);
	made_free(&third);
	made_free(&fourth);
	/* the resolver is away */
	struct made fifth = certificate("fifth", &hard);
	ipc_link_close(&links[PROC_RESOLVER]);
	begin(1, &fifth);
	assert_int_equal(told(), CERTIFY_NO_OCSP);
	made_free(&fifth);
	made_free(&liar);
	pki_free();
}

/* Its time is over: it is asked about again without a question of ike's, and the keeper hears of what became of it. */
static void revoked_later(void **state)
{
	if (!executable)
		return;
	pki_make();
	configure(RESPONDERS, 7);
	begin(0, &end_entity);
	asks("a", &end_entity, &authority);
	answer(&end_entity, &authority, &authority, V_OCSP_CERTSTATUS_GOOD, 7200, -58);
	assert_int_equal(told(), CERTIFY_OK);
	asks("a", &end_entity, &authority);
	none("nobody is there");
	asks("a", &end_entity, &authority);
	answer(&end_entity, &authority, &authority, V_OCSP_CERTSTATUS_REVOKED, 1, 3600);
	next(&links[PROC_KEEPER], IPC_CERTIFY_REVOKED);
	assert_string_equal(frame.u.CERTIFY_REVOKED.peer, "p1");
	assert_int_equal(about(0, &end_entity), CERTIFY_REVOKED);
	pki_free();
}

/* One source has half of what waits of a peer; who asks from another one waits beside it. */
static void one_source_leaves_room(void **state)
{
	struct made many[OCSP_WAITING_SOURCE_MAX + 2];

	if (!executable)
		return;
	pki_make();
	configure(RESPONDERS, 7);
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = certificate("many", &hard);
	for (size_t i = 0; i < OCSP_WAITING_SOURCE_MAX; i++)
		begin(1, &many[i]);
	begin(1, &many[OCSP_WAITING_SOURCE_MAX]);
	assert_int_equal(told(), CERTIFY_BUSY);
	from = 5;
	begin(1, &many[OCSP_WAITING_SOURCE_MAX + 1]);
	from = 0;
	for (size_t i = 0; i <= OCSP_WAITING_SOURCE_MAX; i++) {
		next(&links[PROC_KEEPER], IPC_CERTIFY_VERDICT);
		assert_int_equal(
			frame.u.CERTIFY_VERDICT.verdict.reason, CERTIFY_NO_OCSP); /* each has waited */
	}
	for (size_t i = 0; i < COUNT_OF(many); i++)
		made_free(&many[i]);
	pki_free();
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup_teardown(a_chain_waits, start, stop),
		cmocka_unit_test_setup_teardown(without_an_answer, start, stop),
		cmocka_unit_test_setup_teardown(revoked_later, start, stop),
		cmocka_unit_test_setup_teardown(one_source_leaves_room, start, stop),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return rig_run(argc, argv, tests);
}
