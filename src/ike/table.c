/*
 * The IKE state machine: a row per legal step. A message that fits no row of its IKE SA's state is refused;
 * what fits runs the row's handler, and when all that the handler began is done, step_done() enters the row's
 * next state. Rows are tried in order. Payloads that are known but not used here (CERT, CERTREQ, CP, V) are
 * allowed where RFC 7296 allows them.
 */
#include "ike/internal.h"

#include <assert.h>

_Static_assert(ST_COUNT <= 32, "a row has a bit for each state");

#define IN(s)	    (1u << ST_##s)
#define PL(x)	    IKE_HAS(x)
#define EXTRAS	    (PL(NOTIFY) | PL(VENDOR))
#define IDLE_EXTRAS (EXTRAS | PL(CERT) | PL(CERTREQ) | PL(CP))
#define LIVE	    (IN(UP) | IN(REPLACED) | IN(CLOSING))
#define REQUEST	    false
#define RESPONSE    true

/* clang-format off */
const struct ike_row ike_rows[] = {
	/* IKE_SA_INIT */
	{ IN(NONE), EX_IKE_SA_INIT, REQUEST, PL(SA) | PL(KE) | PL(NONCE), EXTRAS | PL(CERTREQ) | PL(PS),
	  NULL, ST_AUTH_WAIT, IKE_HALF_OPEN_S, "RFC 7296 1.2: answer with our KE" },
	{ IN(INIT_SENT), EX_IKE_SA_INIT, RESPONSE, PL(SA) | PL(KE) | PL(NONCE), EXTRAS | PL(CERTREQ),
	  on_init_response, ST_AUTH_SENT, 0, "RFC 7296 1.2: derive the keys, send IKE_AUTH" },
	{ IN(INIT_SENT), EX_IKE_SA_INIT, RESPONSE, PL(NOTIFY), EXTRAS,
	  on_init_refused, ST_INIT_SENT, 0, "RFC 7296 2.6, 1.2, RFC 8019: cookie, puzzle, other group, refusal" },
	/* IKE_INTERMEDIATE: while an additional key exchange is due (exchange_fits()) */
	{ IN(AUTH_WAIT), EX_IKE_INTERMEDIATE, REQUEST, PL(KE), EXTRAS,
	  on_intermediate_request, ST_COUNT, IKE_HALF_OPEN_S, "RFC 9370 2.2.2: answer with our KE, derive the keys again" },
	{ IN(ADDITIONAL_SENT), EX_IKE_INTERMEDIATE, RESPONSE, PL(KE), EXTRAS,
	  on_intermediate_response, ST_AUTH_SENT, 0, "RFC 9370 2.2.2: derive the keys again, send the next one or IKE_AUTH" },
	{ IN(ADDITIONAL_SENT), EX_IKE_INTERMEDIATE, RESPONSE, 0, EXTRAS,
	  on_intermediate_refused, ST_DEAD, 0, "RFC 9242 3.2: refused" },
	/* IKE_AUTH */
	{ IN(AUTH_WAIT), EX_IKE_AUTH, REQUEST, PL(IDI) | PL(AUTH) | PL(SA) | PL(TSI) | PL(TSR), IDLE_EXTRAS | PL(IDR),
	  on_auth_request, ST_UP, 0, "RFC 7296 1.2: check AUTH, answer with ours and the first child" },
	{ IN(AUTH_WAIT), EX_IKE_AUTH, REQUEST, PL(IDI) | PL(AUTH), IDLE_EXTRAS | PL(IDR),
	  on_auth_request, ST_UP, 0, "RFC 6023: check AUTH, answer with ours; child SAs follow" },
	{ IN(AUTH_WAIT), EX_IKE_AUTH, REQUEST, PL(IDI) | PL(SA) | PL(TSI) | PL(TSR), IDLE_EXTRAS | PL(IDR),
	  on_auth_eap, ST_FAILED, IKE_FAILED_S, "RFC 7296 2.16: no AUTH means EAP, which is not supported" },
	{ IN(AUTH_SENT), EX_IKE_AUTH, RESPONSE, PL(IDR) | PL(AUTH), IDLE_EXTRAS | PL(SA) | PL(TSI) | PL(TSR),
	  on_auth_response, ST_UP, 0, "RFC 7296 1.2: check AUTH, install the first child" },
	{ IN(AUTH_SENT), EX_IKE_AUTH, RESPONSE, 0, IDLE_EXTRAS | PL(IDR) | PL(DELETE) | PL(EAP),
	  on_auth_refused, ST_DEAD, 0, "RFC 7296 2.21.2: refused" },
	/* CREATE_CHILD_SA */
	{ IN(UP), EX_CREATE_CHILD_SA, REQUEST, PL(SA) | PL(NONCE) | PL(TSI) | PL(TSR), IDLE_EXTRAS | PL(KE),
	  on_child_request, ST_UP, 0, "RFC 7296 1.3.1, 1.3.3: new child, or rekey of one" },
	{ IN(UP), EX_CREATE_CHILD_SA, REQUEST, PL(SA) | PL(NONCE) | PL(KE), EXTRAS,
	  on_rekey_request, ST_UP, 0, "RFC 7296 1.3.2: rekey of the IKE SA" },
	{ IN(REPLACED) | IN(CLOSING), EX_CREATE_CHILD_SA, REQUEST, PL(SA) | PL(NONCE),
	  IDLE_EXTRAS | PL(KE) | PL(TSI) | PL(TSR),
	  on_temporary_failure, ST_COUNT, 0, "RFC 7296 2.25.2: not while it is being closed" },
	{ IN(UP), EX_CREATE_CHILD_SA, RESPONSE, PL(SA) | PL(NONCE) | PL(TSI) | PL(TSR), IDLE_EXTRAS | PL(KE),
	  on_child_response, ST_UP, 0, "RFC 7296 1.3.1, 1.3.3: install it; after a rekey delete the old one" },
	{ IN(UP) | IN(REPLACED), EX_CREATE_CHILD_SA, RESPONSE, PL(SA) | PL(NONCE) | PL(KE), EXTRAS,
	  on_rekey_response, ST_COUNT, 0, "RFC 7296 1.3.2: the new IKE SA gets the children" },
	{ IN(UP) | IN(REPLACED) | IN(CLOSING), EX_CREATE_CHILD_SA, RESPONSE, PL(NOTIFY), IDLE_EXTRAS,
	  on_create_refused, ST_COUNT, 0, "RFC 7296 1.3: refused; 2.25: collisions" },
	/* IKE_FOLLOWUP_KE */
	{ LIVE, EX_IKE_FOLLOWUP_KE, REQUEST, PL(KE) | PL(NOTIFY), EXTRAS,
	  on_followup_request, ST_COUNT, 0, "RFC 9370 2.2.4: answer with our KE; after the last what was begun is made" },
	{ IN(UP) | IN(REPLACED), EX_IKE_FOLLOWUP_KE, RESPONSE, PL(KE), EXTRAS,
	  on_followup_response, ST_COUNT, 0, "RFC 9370 2.2.4: send the next one; after the last what was begun is made" },
	{ IN(UP) | IN(REPLACED), EX_IKE_FOLLOWUP_KE, RESPONSE, 0, EXTRAS,
	  on_create_refused, ST_COUNT, 0, "RFC 9370 2.2.4: refused, or STATE_NOT_FOUND" },
	/* INFORMATIONAL */
	{ LIVE, EX_INFORMATIONAL, REQUEST, 0, EXTRAS | PL(DELETE) | PL(CP),
	  on_info_request, ST_COUNT, 0, "RFC 7296 1.4: delete, liveness" },
	{ LIVE, EX_INFORMATIONAL, RESPONSE, 0, EXTRAS | PL(DELETE) | PL(CP),
	  on_info_response, ST_COUNT, 0, "RFC 7296 1.4" },
};
/* clang-format on */

const size_t ike_rows_n = COUNT_OF(ike_rows);

const struct ike_row *ike_row_find(enum ike_state state, uint8_t exchange, bool response, uint32_t present)
{
	assert(state < ST_COUNT);
	for (size_t i = 0; i < ike_rows_n; i++) {
		const struct ike_row *row = &ike_rows[i];

		if ((row->states >> state & 1) && row->exchange == exchange && row->response == response &&
			(present & row->required) == row->required &&
			(present & ~(row->required | row->optional)) == 0)
			return row;
	}
	return NULL;
}
