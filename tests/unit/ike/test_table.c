/*
 * The transition table against a grid that was written down on its own: in each state each kind of message is
 * either one certain step or none. Then the same grid is played to a live core that was brought into the
 * state: what has no step must change nothing (or end the IKE SA with INVALID_SYNTAX where RFC 7296 2.21.3
 * says so), and the core must be usable after it.
 */
#include "ike/internal.h"
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define P(x) IKE_HAS(x)

/* Kinds of messages: what a peer can mean. */
static const struct kind {
	const char *name;
	uint8_t exchange;
	bool response;
	uint32_t payloads;
} kinds[] = {
	{ "init", EX_IKE_SA_INIT, false, P(SA) | P(KE) | P(NONCE) },
	{ "init answered", EX_IKE_SA_INIT, true, P(SA) | P(KE) | P(NONCE) },
	{ "init refused", EX_IKE_SA_INIT, true, P(NOTIFY) },
	{ "init without KE", EX_IKE_SA_INIT, false, P(SA) | P(NONCE) },
	{ "intermediate", EX_IKE_INTERMEDIATE, false, P(KE) },
	{ "intermediate answered", EX_IKE_INTERMEDIATE, true, P(KE) },
	{ "intermediate refused", EX_IKE_INTERMEDIATE, true, P(NOTIFY) },
	{ "auth", EX_IKE_AUTH, false, P(IDI) | P(AUTH) | P(SA) | P(TSI) | P(TSR) },
	{ "auth by EAP", EX_IKE_AUTH, false, P(IDI) | P(SA) | P(TSI) | P(TSR) },
	{ "auth without a child", EX_IKE_AUTH, false, P(IDI) | P(AUTH) },
	{ "auth answered", EX_IKE_AUTH, true, P(IDR) | P(AUTH) | P(SA) | P(TSI) | P(TSR) },
	{ "auth answered, child not", EX_IKE_AUTH, true, P(IDR) | P(AUTH) | P(NOTIFY) },
	{ "auth refused", EX_IKE_AUTH, true, P(NOTIFY) },
	{ "EAP offered", EX_IKE_AUTH, true, P(IDR) | P(EAP) },
	{ "child", EX_CREATE_CHILD_SA, false, P(SA) | P(NONCE) | P(TSI) | P(TSR) },
	{ "rekey child", EX_CREATE_CHILD_SA, false, P(SA) | P(NONCE) | P(KE) | P(TSI) | P(TSR) | P(NOTIFY) },
	{ "rekey child with CP", EX_CREATE_CHILD_SA, false, P(SA) | P(NONCE) | P(TSI) | P(TSR) | P(CP) },
	{ "rekey ike", EX_CREATE_CHILD_SA, false, P(SA) | P(NONCE) | P(KE) },
	{ "rekey ike without KE", EX_CREATE_CHILD_SA, false, P(SA) | P(NONCE) },
	{ "child answered", EX_CREATE_CHILD_SA, true, P(SA) | P(NONCE) | P(TSI) | P(TSR) },
	{ "rekey ike answered", EX_CREATE_CHILD_SA, true, P(SA) | P(NONCE) | P(KE) },
	{ "create refused", EX_CREATE_CHILD_SA, true, P(NOTIFY) },
	{ "create answered by nothing", EX_CREATE_CHILD_SA, true, 0 },
	{ "followup", EX_IKE_FOLLOWUP_KE, false, P(KE) | P(NOTIFY) },
	{ "followup without its link", EX_IKE_FOLLOWUP_KE, false, P(KE) },
	{ "followup answered", EX_IKE_FOLLOWUP_KE, true, P(KE) | P(NOTIFY) },
	{ "followup refused", EX_IKE_FOLLOWUP_KE, true, P(NOTIFY) },
	{ "alive?", EX_INFORMATIONAL, false, 0 },
	{ "delete", EX_INFORMATIONAL, false, P(DELETE) },
	{ "informational with SA", EX_INFORMATIONAL, false, P(SA) },
	{ "alive", EX_INFORMATIONAL, true, 0 },
	{ "deleted", EX_INFORMATIONAL, true, P(DELETE) },
	{ "exchange 38", 38, false, 0 },
	{ "exchange 43", 43, true, P(NONCE) },
};

/*
 * A column per state in the order of IKE_STATES: none, preparing, INIT sent, INTERMEDIATE sent, AUTH sent, answering, waiting
 * for AUTH, larval, up, replaced, closing, refused, gone. '.': no step. Else the step's handler:
 *   i init request (no IKE SA yet)   a init answered   r init refused
 *   n intermediate   N answered   M refused
 *   A auth   E EAP   B auth answered   R auth refused
 *   c child   k rekey of the IKE SA   t temporary failure
 *   C child answered   K rekey answered   F create refused   u followup   U followup answered   q informational   s its answer
 */
static const char *const grid[COUNT_OF(kinds)] = {
	"i............", /* init */
	"..a..........", /* init answered */
	"..r..........", /* init refused */
	".............", /* init without KE */
	"......n......", /* intermediate */
	"...N.........", /* intermediate answered */
	"...M.........", /* intermediate refused */
	"......A......", /* auth */
	"......E......", /* auth by EAP */
	"......A......", /* auth without a child: RFC 6023 */
	"....B........", /* auth answered */
	"....B........", /* auth answered, child not */
	"....R........", /* auth refused */
	"....R........", /* EAP offered */
	"........ctt..", /* child */
	"........ctt..", /* rekey child */
	"........ctt..", /* rekey child with CP */
	"........ktt..", /* rekey ike */
	".........tt..", /* rekey ike without KE */
	"........C....", /* child answered */
	"........KK...", /* rekey ike answered */
	"........FFF..", /* create refused */
	".............", /* create answered by nothing */
	"........uuu..", /* followup */
	".............", /* followup without its link */
	"........UU...", /* followup answered */
	"........FF...", /* followup refused */
	"........qqq..", /* alive? */
	"........qqq..", /* delete */
	".............", /* informational with SA */
	"........sss..", /* alive */
	"........sss..", /* deleted */
	".............", /* exchange 38 */
	".............", /* exchange 43 */
};

static ike_handler *handler_of(char c)
{
	switch (c) {
	case 'a':
		return on_init_response;
	case 'r':
		return on_init_refused;
	case 'n':
		return on_intermediate_request;
	case 'N':
		return on_intermediate_response;
	case 'M':
		return on_intermediate_refused;
	case 'A':
		return on_auth_request;
	case 'E':
		return on_auth_eap;
	case 'B':
		return on_auth_response;
	case 'R':
		return on_auth_refused;
	case 'c':
		return on_child_request;
	case 'k':
		return on_rekey_request;
	case 't':
		return on_temporary_failure;
	case 'C':
		return on_child_response;
	case 'K':
		return on_rekey_response;
	case 'F':
		return on_create_refused;
	case 'u':
		return on_followup_request;
	case 'U':
		return on_followup_response;
	case 'q':
		return on_info_request;
	case 's':
		return on_info_response;
	default:
		return NULL;
	}
}

static void table_is_the_grid(void **state)
{
	bool used[64] = { false };

	assert_true(ike_rows_n <= COUNT_OF(used));
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		assert_int_equal(strlen(grid[k]), ST_COUNT);
		for (unsigned s = 0; s < ST_COUNT; s++) {
			const struct ike_row *row =
				ike_row_find(s, kinds[k].exchange, kinds[k].response, kinds[k].payloads);

			if ((grid[k][s] == '.') != !row || (row && row->handler != handler_of(grid[k][s])))
				fail_msg("'%s' in state '%s': the table says '%s', the grid '%c'",
					kinds[k].name, ike_state_text(s), row ? row->text : "nothing",
					grid[k][s]);
			if (row)
				used[row - ike_rows] = true;
		}
	}
	for (size_t i = 0; i < ike_rows_n; i++)
		if (!used[i])
			fail_msg("no kind of message takes the row '%s'", ike_rows[i].text);
}

/* A required payload that is missing, and one that has no place, take away the step. */
static void rows_take_what_they_say(void **state)
{
	for (size_t i = 0; i < ike_rows_n; i++) {
		const struct ike_row *row = &ike_rows[i];
		enum ike_state s = 0;

		while (!(row->states >> s & 1))
			s++;
		assert_non_null(row->text);
		assert_true(row->handler || row->states == 1u << ST_NONE);
		assert_true(row->next <= ST_COUNT);
		assert_ptr_equal(ike_row_find(s, row->exchange, row->response, row->required), row);
		for (unsigned b = 0; b <= PL_EAP - PL_SA; b++) {
			uint32_t bit = 1u << b;

			if (row->required & bit)
				assert_ptr_not_equal(
					ike_row_find(s, row->exchange, row->response, row->required & ~bit),
					row);
			else if (!(row->optional & bit))
				assert_ptr_not_equal(
					ike_row_find(s, row->exchange, row->response, row->required | bit),
					row);
		}
		assert_false((row->required | row->optional) & P(SK));
	}
}

/* ---- the same, to a live core ---- */

static void say(struct puppet *p, const struct kind *k)
{
	static const uint8_t some[40] = { 1 }, eap[5] = { 1, 1, 0, 5, 1 }, cp[4] = { 1 };
	static const uint32_t spi = 0x9999;
	struct ike_out *o = &p->out;
	bool ike = k->exchange == EX_IKE_SA_INIT || !(k->payloads & P(TSI));
	uint8_t new_spi[8] = { 9, 9 };

	if (k->payloads & P(NOTIFY))
		ike_out_notify(o, NTF_NO_ADDITIONAL_SAS, NULL, 0);
	if (k->payloads & P(IDI))
		puppet_id(p, PL_IDI, PUPPET_ID);
	if (k->payloads & P(IDR))
		puppet_id(p, PL_IDR, PUPPET_ID);
	if (k->payloads & P(AUTH))
		ike_out_auth(o, AUTH_SHARED_KEY, some, 32);
	if ((k->payloads & P(SA)) && ike)
		puppet_offer_ike(p, k->exchange == EX_CREATE_CHILD_SA ? new_spi : NULL);
	else if (k->payloads & P(SA))
		puppet_offer_esp(p, 0x3000, DH_NONE);
	if (k->payloads & P(NONCE))
		puppet_nonce(p, 0x60);
	if (k->payloads & P(KE))
		puppet_ke(p, DH_CURVE25519);
	if (k->payloads & P(TSI))
		puppet_selectors(p, 0);
	if (k->payloads & P(DELETE))
		ike_out_delete_esp(o, &spi, 1);
	if (k->payloads & P(EAP))
		ike_out_payload(o, PL_EAP, eap, sizeof eap);
	if (k->payloads & P(CP))
		ike_out_payload(o, PL_CP, cp, sizeof cp);
}

/* Each state that a stranger or a peer can meet. */
static bool bring_to(struct puppet *p, enum ike_state s)
{
	switch (s) {
	case ST_NONE:
		p->initiator = true;
		store_be64(p->spi_i, 7);
		return true;
	case ST_KEYS_OWN:
	case ST_INIT_SENT:
		p->hold = s == ST_KEYS_OWN;
		ike_input_order(p->core, p->now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(p);
		if (s == ST_INIT_SENT && !puppet_read_last(p))
			return false;
		memcpy(p->spi_i, p->header.spi_i, 8);
		return true;
	case ST_ADDITIONAL_SENT:
		p->additional = MLKEM_768;
		ike_input_order(p->core, p->now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(p);
		puppet_init_as_responder(p);
		p->additional = 0;
		return p->header.exchange == EX_IKE_INTERMEDIATE;
	case ST_AUTH_SENT:
		ike_input_order(p->core, p->now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(p);
		return puppet_init_as_responder(p);
	case ST_KEYS_PEER:
		p->hold = true;
		puppet_init_as_initiator(p, false);
		return true;
	case ST_AUTH_WAIT:
		return puppet_init_as_initiator(p, false);
	case ST_UP:
		return puppet_up(p, true);
	case ST_REPLACED:
		if (!puppet_up(p, true))
			return false;
		say((puppet_request(p, EX_CREATE_CHILD_SA), p), &kinds[17]);
		puppet_send(p);
		return true;
	case ST_CLOSING:
		if (!puppet_up(p, true))
			return false;
		ike_input_order(p->core, p->now, IKE_ORDER_TERMINATE, "puppet", NULL);
		puppet_settle(p);
		return true;
	case ST_FAILED:
		p->fail[KEEPER_AUTH_VERIFY] = RC_AUTH;
		if (!puppet_init_as_initiator(p, false))
			return false;
		puppet_request(p, EX_IKE_AUTH);
		puppet_auth_payloads(p, 0x2000);
		puppet_send(p);
		p->fail[KEEPER_AUTH_VERIFY] = RC_OK;
		return true;
	case ST_LARVAL:
		if (!puppet_up(p, true))
			return false;
		p->hold = true;
		say((puppet_request(p, EX_CREATE_CHILD_SA), p), &kinds[17]);
		puppet_send(p);
		return true;
	default:
		return false;
	}
}

/* There is an IKE SA in that state. */
static bool exists(const struct puppet *p, enum ike_state s)
{
	for (uint32_t i = 0; i < 4; i++)
		if (strcmp(puppet_state(p, i), ike_state_text(s)) == 0)
			return true;
	return false;
}

/* The puppet's next id, also for responses without a request. */
static uint32_t id_for(const struct puppet *p, const struct kind *k)
{
	return k->exchange == EX_IKE_SA_INIT ? 0 : k->response ? p->header.message_id : p->own_id;
}

static void play(enum ike_state s, const struct kind *k, char expected)
{
	static struct puppet p;
	bool answered, live = s == ST_UP || s == ST_REPLACED || s == ST_CLOSING;

	puppet_init(&p);
	p.setup.mlkem = true;
	p.config.ike[1] = p.config.ike[0];
	p.config.ike[1].additional[0] = MLKEM_768;
	puppet_start(&p);
	if (!bring_to(&p, s))
		fail_msg("the puppet could not bring the core into state '%s'", ike_state_text(s));
	if (s != ST_NONE && !exists(&p, s))
		fail_msg("state '%s' was to be reached, there is '%s' and '%s'", ike_state_text(s),
			puppet_state(&p, 0), puppet_state(&p, 1));
	puppet_forget(&p);
	puppet_begin(&p, k->exchange, k->response, id_for(&p, k));
	say(&p, k);
	puppet_send(&p);
	answered = puppet_read_last(&p);
	if (expected == '.' && s != ST_NONE) {
		/* 2.21.3: what is authentic and malformed is answered, and fatal for both. */
		if ((live && !k->response && k->exchange != EX_IKE_SA_INIT) ||
			(s == ST_ADDITIONAL_SENT && k->exchange == EX_IKE_INTERMEDIATE && !k->response) ||
			(s == ST_AUTH_SENT && k->exchange == EX_IKE_AUTH && !k->response))
			assert_true(answered && puppet_says(&p, NTF_INVALID_SYNTAX) && !exists(&p, s));
		else if (s == ST_AUTH_WAIT && k->exchange == EX_IKE_AUTH && !k->response)
			assert_true(answered && puppet_says(&p, NTF_INVALID_SYNTAX) && exists(&p, ST_FAILED));
		else if ((s == ST_AUTH_SENT && k->exchange == EX_IKE_AUTH && k->response) ||
			 (s == ST_ADDITIONAL_SENT && k->exchange == EX_IKE_INTERMEDIATE && k->response))
			assert_true(!exists(&p, s));
		else if (k->exchange != EX_IKE_SA_INIT && !exists(&p, s))
			fail_msg("'%s' in state '%s' has no step, but the state is '%s' now", k->name,
				ike_state_text(s), puppet_state(&p, 0));
	}
	/* Whatever it was: held questions are answered, time passes, another IKE SA can be made. */
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	puppet_run(&p, 3000);
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "puppet", NULL);
	puppet_settle(&p);
	puppet_run(&p, 120000);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(ike_view_busy(p.core), 0);
	puppet_forget(&p);
	assert_true(puppet_up(&p, true));
	puppet_done(&p);
}

static void every_state_takes_every_event(void **state)
{
	uint32_t played = 0;

	for (unsigned s = ST_NONE; s < ST_DEAD; s++)
		for (size_t k = 0; k < COUNT_OF(kinds); k++, played++)
			play(s, &kinds[k], grid[k][s]);
	assert_int_equal(played, ST_DEAD * COUNT_OF(kinds));
}

/* RFC 9242 section 3: before IKE_AUTH, one after the other. What comes out of order is not opened, and the right one is answered still. */
static void intermediate_out_of_order(void **state)
{
	static const uint8_t key[1184] = { 1 };
	static struct puppet p;
	static const struct {
		uint8_t exchange;
		uint32_t id;
	} wrong[] = { { EX_IKE_AUTH, 1 }, { EX_IKE_INTERMEDIATE, 0 }, { EX_IKE_INTERMEDIATE, 2 },
		{ EX_INFORMATIONAL, 1 }, { EX_CREATE_CHILD_SA, 1 }, { EX_IKE_FOLLOWUP_KE, 1 } };

	puppet_init(&p);
	p.setup.mlkem = true;
	p.config.ike[0].additional[0] = p.config.ike[1].additional[0] = MLKEM_768;
	puppet_start(&p);
	p.additional = MLKEM_768;
	assert_true(puppet_init_as_initiator(&p, false));
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		puppet_forget(&p);
		puppet_begin(&p, wrong[i].exchange, false, wrong[i].id);
		ike_out_ke(&p.out, MLKEM_768, key, sizeof key);
		puppet_send(&p);
		assert_int_equal(p.sent_n, 0);
		assert_string_equal(puppet_state(&p, 0), "waiting for IKE_AUTH");
	}
	assert_int_equal(p.count[KEEPER_ADDITIONAL_BEGIN], 0);
	puppet_begin(&p, EX_IKE_INTERMEDIATE, false, 1);
	ike_out_ke(&p.out, MLKEM_768, key, sizeof key);
	puppet_send(&p);
	assert_int_equal(p.count[KEEPER_ADDITIONAL_BEGIN], 1);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_IKE_INTERMEDIATE);
	/* One more than the proposal names is none. */
	puppet_forget(&p);
	puppet_begin(&p, EX_IKE_INTERMEDIATE, false, 2);
	ike_out_ke(&p.out, MLKEM_768, key, sizeof key);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(p.count[KEEPER_ADDITIONAL_BEGIN], 1);
	p.own_id = 2;
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_null(ike_view_wrong(p.core));
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_the_grid),
		cmocka_unit_test(rows_take_what_they_say),
		cmocka_unit_test(every_state_takes_every_event),
		cmocka_unit_test(intermediate_out_of_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
