/*
 * IKE SAs through complete exchanges of two cores: every group, function and cipher, both roles, rekey, and
 * the values that a peer must not get away with.
 */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint16_t groups[] = { DH_CURVE25519, DH_ECP_256, DH_ECP_384, DH_MODP_2048 };
static const struct {
	uint16_t encr, bits;
} ciphers[] = { { 20, 128 }, { 20, 256 }, { 28, 256 } };

/* Both sides hold the same SK_ei and SK_er, and they differ from each other. */
static void assert_same_sk_e(const struct pair *p)
{
	const struct keeper_exchange_finished *a = &p->side[0].finished, *b = &p->side[1].finished;

	assert_int_equal(a->sk_e.n, p->bits / 8 + 4);
	assert_int_equal(b->sk_e.n, a->sk_e.n);
	assert_memory_equal(a->sk_e.ei, b->sk_e.ei, a->sk_e.n);
	assert_memory_equal(a->sk_e.er, b->sk_e.er, a->sk_e.n);
	assert_memory_not_equal(a->sk_e.ei, a->sk_e.er, a->sk_e.n);
}

/* What one side's data plane seals, the other's opens; both directions. */
static void assert_child_works(const struct pair *p)
{
	const struct keys_action *a[2] = { 0 };

	for (int i = 0; i < 2; i++)
		assert_true(side_count(&p->side[i], 0, KEYS_SA_INSTALL, &a[i]) > 0);
	for (int i = 0; i < 2; i++) {
		const struct sa_install *from = &a[i]->u.install, *to = &a[!i]->u.install;
		uint8_t iv[8] = { 0 }, aad[8] = { 1 }, sealed[32], opened[16];
		struct aead_key out, in;

		assert_int_equal(from->spi_out, to->spi_in);
		assert_int_equal(
			aead_key_init(&out, from->encr, from->encr_bits, from->key_out, from->key_n), RC_OK);
		assert_int_equal(aead_key_init(&in, to->encr, to->encr_bits, to->key_in, to->key_n), RC_OK);
		assert_int_equal(aead_seal(&out, iv, aad, 8, "sixteen octets!!", 16, sealed), RC_OK);
		assert_int_equal(aead_open(&in, iv, aad, 8, sealed, 32, opened), RC_OK);
		assert_memory_equal(opened, "sixteen octets!!", 16);
		assert_memory_not_equal(from->key_in, from->key_out, from->key_n);
	}
}

static void every_combination(void **state)
{
	static struct pair p;

	for (size_t g = 0; g < COUNT_OF(groups); g++) {
		for (size_t c = 0; c < 3; c++) {
			for (uint16_t prf = 5; prf <= 6; prf++) {
				pair_init(&p);
				p.initiator = (int)(g + c + prf) % 2;
				p.group = groups[g];
				p.prf = prf;
				p.encr = ciphers[c].encr;
				p.bits = ciphers[c].bits;
				assert_int_equal(pair_ike(&p), RC_OK);
				assert_same_sk_e(&p);
				assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
				assert_child_works(&p);
				assert_int_equal(pair_child(&p, groups[g], CHILD_ESN),
					RC_OK); /* CREATE_CHILD_SA with PFS */
				assert_child_works(&p);
				p.initiator = !p.initiator; /* the other side rekeys */
				assert_int_equal(pair_child(&p, DH_NONE, CHILD_ENCAP), RC_OK);
				assert_child_works(&p);
				assert_int_equal(pair_rekey(&p), RC_OK);
				assert_same_sk_e(&p);
				assert_int_equal(pair_child(&p, groups[g], 0), RC_OK);
				assert_child_works(&p);
				pair_done(&p);
			}
		}
	}
}

/* Another prf and cipher in the rekeyed SA: the old prf makes SKEYSEED, the new one the rest (2.18). */
static void rekey_changes_algorithms(void **state)
{
	static struct pair p;
	uint8_t before[KEYMAT_MAX];

	pair_init(&p);
	assert_int_equal(pair_ike(&p), RC_OK);
	memcpy(before, p.side[0].finished.sk_e.ei, sizeof before);
	p.group = DH_ECP_384;
	p.prf = PRF_HMAC_SHA2_384;
	p.encr = 28;
	assert_int_equal(pair_rekey(&p), RC_OK);
	assert_same_sk_e(&p);
	assert_memory_not_equal(before, p.side[0].finished.sk_e.ei, sizeof before);
	assert_non_null(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_REKEYED));
	assert_string_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_REKEYED)->peer, "branch");
	assert_string_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_DOWN)->reason, "rekeyed");
	p.group = DH_CURVE25519;
	p.prf = PRF_HMAC_SHA2_256;
	assert_int_equal(pair_rekey(&p), RC_OK);
	assert_same_sk_e(&p);
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_OK);
	assert_child_works(&p);
	pair_done(&p);
}

static struct keeper_request finish_of(struct pair *p, int at)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_FINISH };
	struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;
	const struct keeper_exchange_begun *theirs = &p->side[!at].begun;

	f->handle = p->side[at].ike;
	f->prf = p->prf;
	f->encr = p->encr;
	f->encr_bits = p->bits;
	f->peer_nonce_n = theirs->nonce_n;
	f->peer_ke_n = theirs->ke_n;
	memcpy(f->spi_i, p->spi_i, 8);
	memcpy(f->spi_r, p->spi_r, 8);
	memcpy(f->peer_nonce, theirs->nonce, theirs->nonce_n);
	memcpy(f->peer_ke, theirs->ke, theirs->ke_n);
	return q;
}

/* A refused answer of the peer leaves the exchange as it was: the true one may still come. */
#define REFUSED(change, want)                                                                                \
	do {                                                                                                 \
		struct keeper_request q = finish_of(&p, 0);                                                  \
		struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;                                     \
		change;                                                                                      \
		assert_int_equal(side_ask(&p.side[0], &q), want);                                            \
		assert_true(p.side[0].reply.u.EXCHANGE_FINISH.text[0] != 0);                                 \
		assert_int_equal(p.side[0].reply.u.EXCHANGE_FINISH.sk_e.n, 0);                               \
	} while (0)

static void finish_refusals(void **state)
{
	static struct pair p;

	for (size_t g = 0; g < 3; g++) {
		pair_init(&p);
		p.group = groups[g];
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		REFUSED(f->handle += 1, RC_NOT_FOUND);
		REFUSED(f->handle += 1u << 14, RC_NOT_FOUND);
		REFUSED(f->handle = 0, RC_NOT_FOUND);
		REFUSED(f->prf = 2, RC_UNSUPPORTED);
		REFUSED(f->encr = 12, RC_UNSUPPORTED);
		REFUSED(f->encr_bits = 192, RC_UNSUPPORTED);
		REFUSED(f->peer_nonce_n = 15, RC_RANGE);
		REFUSED(f->peer_nonce_n = 257, RC_RANGE);
		REFUSED((f->prf = PRF_HMAC_SHA2_384, f->peer_nonce_n = 23), RC_RANGE);
		REFUSED(f->peer_ke_n -= 1, RC_RANGE);
		REFUSED(f->peer_ke_n += 1, RC_RANGE);
		REFUSED(f->peer_ke_n = 0, RC_RANGE);
		REFUSED(f->peer_ke_n = 0xffff, RC_RANGE);
		REFUSED(memset(f->spi_i, 0, 8), RC_RANGE);
		REFUSED(memset(f->spi_r, 0, 8), RC_RANGE);
		REFUSED(memset(f->peer_ke, 0, sizeof f->peer_ke), RC_MALFORMED);
		REFUSED(memcpy(f->peer_nonce, p.side[0].begun.nonce, 32), RC_DENIED);
		assert_int_equal(pair_finish(&p), RC_OK);
		assert_same_sk_e(&p);
		REFUSED((void)f, RC_DENIED); /* once only */
		pair_done(&p);
	}
}

/* A refused answer leaves nothing: no exchange, no secret; its values are reported as unused, once. */
#define NOT_ANSWERED(change, want)                                                                           \
	do {                                                                                                 \
		struct side *s = &p.side[1];                                                                 \
		struct keeper_request q = pair_answer_request(&p, 0);                                        \
		struct keeper_exchange_answer *a = &q.u.EXCHANGE_ANSWER;                                     \
		const struct keys_action *last = NULL;                                                       \
		s->actions_n = s->answered = 0;                                                              \
		change;                                                                                      \
		assert_int_equal(side_ask(s, &q), want);                                                     \
		assert_true(s->reply.u.EXCHANGE_ANSWER.text[0] != 0);                                        \
		assert_int_equal(s->reply.u.EXCHANGE_ANSWER.handle, 0);                                      \
		assert_int_equal(s->reply.u.EXCHANGE_ANSWER.sk_e.n, 0);                                      \
		assert_int_equal(s->reply.u.EXCHANGE_ANSWER.ke_n, 0);                                        \
		assert_int_equal(side_count(s, 0, KEYS_UNUSED, &last), 1);                                   \
		assert_int_equal(last->u.unused.count, s->drawn);                                            \
		assert_int_equal(keys_count(s->keys).exchanges, 0);                                          \
	} while (0)

static void answer_refusals(void **state)
{
	static struct pair p;

	for (size_t g = 0; g < 3; g++) {
		pair_init(&p);
		p.group = groups[g];
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		struct keeper_request drop = { .op = KEEPER_DROP, .u.DROP.handle = p.side[1].ike };
		assert_int_equal(side_ask(&p.side[1], &drop), RC_OK);
		NOT_ANSWERED(a->parent = 77, RC_NOT_FOUND);
		NOT_ANSWERED(a->dh_group = 2, RC_UNSUPPORTED);
		NOT_ANSWERED(a->dh_group = DH_NONE, RC_UNSUPPORTED);
		NOT_ANSWERED(a->prf = 2, RC_UNSUPPORTED);
		NOT_ANSWERED(a->encr = 12, RC_UNSUPPORTED);
		NOT_ANSWERED(a->encr_bits = 192, RC_UNSUPPORTED);
		NOT_ANSWERED(a->peer_nonce_n = 15, RC_RANGE);
		NOT_ANSWERED(a->peer_nonce_n = 257, RC_RANGE);
		NOT_ANSWERED((a->prf = PRF_HMAC_SHA2_384, a->peer_nonce_n = 23), RC_RANGE);
		NOT_ANSWERED(a->peer_ke_n -= 1, RC_RANGE);
		NOT_ANSWERED(a->peer_ke_n += 1, RC_RANGE);
		NOT_ANSWERED(a->peer_ke_n = 0, RC_RANGE);
		NOT_ANSWERED(a->peer_ke_n = 0xffff, RC_RANGE);
		NOT_ANSWERED(memset(a->spi_i, 0, 8), RC_RANGE);
		NOT_ANSWERED(memset(a->peer_ke, 0, sizeof a->peer_ke), RC_MALFORMED);
		pair_done(&p);
	}
}

/* An initiator's value that comes back as a request would join two exchanges of ours. */
static void answer_to_ourselves(void **state)
{
	static struct pair p;

	pair_init(&p);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	struct keeper_request q = pair_answer_request(&p, 0);
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
	assert_int_equal(keys_count(p.side[0].keys).exchanges, 1);
	pair_done(&p);
}

/* The rekey that a peer asks for stays inside its proposals as well; the old IKE SA goes on. */
static void answer_to_a_rekey(void **state)
{
	static struct pair p;
	uint32_t old[2];

	pair_init(&p);
	assert_int_equal(pair_ike(&p), RC_OK);
	old[0] = p.side[0].ike;
	old[1] = p.side[1].ike;
	p.side[1].config.peers[0].proposals.count = 1;
	assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_DENIED);
	assert_non_null(side_entry(&p.side[1], KEYS_ENTRY_REFUSED));
	assert_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_REKEYED));
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 1);
	p.side[1].config.peers[0].proposals.count = PAIR_IKE_PROPOSALS;
	assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_OK);
	assert_non_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_REKEYED));
	assert_same_sk_e(&p);
	/* Of an IKE SA that is not authenticated there is none (CVE-2014-2338). */
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	assert_int_equal(pair_exchange(&p, old[0], p.side[1].ike), RC_DENIED);
	pair_done(&p);
}

static enum rc begin(struct side *s, uint32_t role, uint16_t group, uint32_t parent)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };

	q.u.EXCHANGE_BEGIN.role = role;
	q.u.EXCHANGE_BEGIN.dh_group = group;
	q.u.EXCHANGE_BEGIN.parent = parent;
	return side_ask(s, &q);
}

static void begin_refusals(void **state)
{
	static struct pair p;

	pair_init(&p);
	assert_int_equal(begin(&p.side[0], 0, DH_CURVE25519, 0), RC_MALFORMED);
	assert_int_equal(begin(&p.side[0], 3, DH_CURVE25519, 0), RC_MALFORMED);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, 2, 0), RC_UNSUPPORTED);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_NONE, 0), RC_UNSUPPORTED);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, 77), RC_NOT_FOUND);
	/* CVE-2014-2338: the rekey of an IKE SA that is not authenticated. */
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, p.side[0].ike), RC_DENIED);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, p.side[0].ike), RC_DENIED);
	pair_done(&p);
}

/* Half-open ones have a limit of their own; above it a rekey still has room. */
static void half_open_limit(void **state)
{
	static struct pair p;
	uint32_t ike, last = 0;

	pair_init(&p);
	assert_int_equal(pair_ike(&p), RC_OK);
	ike = p.side[0].ike;
	for (size_t i = 0; i < KEYS_HALF_OPEN_MAX; i++) {
		assert_int_equal(begin(&p.side[0], KEEPER_RESPONDER, DH_CURVE25519, 0), RC_OK);
		last = p.side[0].reply.u.EXCHANGE_BEGIN.handle;
	}
	assert_int_equal(begin(&p.side[0], KEEPER_RESPONDER, DH_CURVE25519, 0), RC_LIMIT);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, ike), RC_OK);
	struct keeper_request q = { .op = KEEPER_DROP };
	q.u.DROP.handle = last;
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	assert_int_equal(begin(&p.side[0], KEEPER_RESPONDER, DH_CURVE25519, 0), RC_OK);
	/* The place is the same, the handle is not: what is left of the old tenant finds nothing. */
	assert_int_not_equal(p.side[0].reply.u.EXCHANGE_BEGIN.handle, last);
	assert_int_equal(side_ask(&p.side[0], &q), RC_NOT_FOUND);
	pair_done(&p);
}

/* A rekey must stay inside the peer's proposals, and needs the old SA to the end. */
static void rekey_refusals(void **state)
{
	static struct pair p;
	struct keeper_request drop = { .op = KEEPER_DROP };
	uint32_t old;

	pair_init(&p);
	assert_int_equal(pair_ike(&p), RC_OK);
	old = p.side[0].ike;
	p.side[0].config.peers[0].proposals.count = 1; /* 20/128, prf 5, P-256 */
	assert_int_equal(pair_begin(&p, old, p.side[1].ike), RC_OK);
	REFUSED((void)f, RC_DENIED);
	assert_non_null(side_entry(&p.side[0], KEYS_ENTRY_REFUSED));
	p.side[0].config.peers[0].proposals.count = PAIR_IKE_PROPOSALS;
	drop.u.DROP.handle = old;
	assert_int_equal(side_ask(&p.side[0], &drop), RC_OK);
	REFUSED((void)f, RC_NOT_FOUND);
	pair_done(&p);
}

/* Nothing of a dropped SA can be used: no key is left to sign, to derive or to rekey with. */
static void drop_forgets(void **state)
{
	static struct pair p;
	struct keeper_request q = { .op = KEEPER_DROP };
	struct keeper_auth_signed auth;

	pair_init(&p);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	q.u.DROP.handle = p.side[0].ike;
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	assert_null(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_DOWN)); /* it never was up */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_NOT_FOUND);
	assert_int_equal(side_ask(&p.side[0], &q), RC_NOT_FOUND);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_NOT_FOUND);
	assert_int_equal(keys_count(p.side[0].keys).exchanges, 0);
	pair_done(&p);
}

/* Private values and public values of one request share nothing; neither do those of two requests. */
static void values_are_fresh(void **state)
{
	static struct pair p;
	struct keeper_exchange_begun first;

	pair_init(&p);
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, 0), RC_OK);
	first = p.side[0].reply.u.EXCHANGE_BEGIN;
	assert_int_equal(begin(&p.side[0], KEEPER_INITIATOR, DH_CURVE25519, 0), RC_OK);
	assert_memory_not_equal(first.nonce, p.side[0].reply.u.EXCHANGE_BEGIN.nonce, 32);
	assert_memory_not_equal(first.ke, p.side[0].reply.u.EXCHANGE_BEGIN.ke, 32);
	assert_memory_not_equal(first.ike_spi, p.side[0].reply.u.EXCHANGE_BEGIN.ike_spi, 8);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination),
		cmocka_unit_test(rekey_changes_algorithms),
		cmocka_unit_test(finish_refusals),
		cmocka_unit_test(answer_refusals),
		cmocka_unit_test(answer_to_ourselves),
		cmocka_unit_test(answer_to_a_rekey),
		cmocka_unit_test(begin_refusals),
		cmocka_unit_test(half_open_limit),
		cmocka_unit_test(rekey_refusals),
		cmocka_unit_test(drop_forgets),
		cmocka_unit_test(values_are_fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
