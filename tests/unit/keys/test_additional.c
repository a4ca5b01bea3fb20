/*
 * Additional key exchanges: both sides have the same keys, and others than without; AUTH before the last, with other
 * messages than those that went, or by a proposal that is not configured is refused; what a compromised ike states is held
 * against what was made. SKEYSEED, SK_* and AUTH are computed a second time from the RFCs.
 */
#include "keys/derive.h"
#include "pair.h"

#include "../../toy_mlkem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;

static void configure(uint16_t first, uint16_t second)
{
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < PAIR_IKE_PROPOSALS; k++) {
			p.side[i].config.ike[k].additional[0] = first;
			p.side[i].config.ike[k].additional[1] = second;
		}
		side_configure(&p.side[i]);
	}
	p.additional[0] = first;
	p.additional[1] = second;
}

static int before(void **state)
{
	pair_init(&p);
	configure(MLKEM_768, 0);
	return 0;
}

static int after(void **state)
{
	pair_done(&p);
	toy_mlkem_missing = false;
	return 0;
}

static const struct sa_install *installed(int at)
{
	const struct keys_action *a = NULL;

	assert_true(side_count(&p.side[at], 0, KEYS_SA_INSTALL, &a) > 0);
	return &a->u.install;
}

static void both_sides_agree(void **state)
{
	static const uint16_t lists[][2] = { { 0, 0 }, { MLKEM_768, 0 }, { MLKEM_1024, 0 },
		{ MLKEM_768, MLKEM_1024 }, { MLKEM_1024, MLKEM_768 } };
	uint8_t kept[COUNT_OF(lists)][KEYMAT_MAX];

	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		pair_done(&p);
		pair_init(&p);
		p.initiator = i & 1;
		configure(lists[i][0], lists[i][1]);
		assert_int_equal(pair_ike(&p), RC_OK);
		assert_memory_equal(p.side[0].finished.sk_e.ei, p.side[1].finished.sk_e.ei, 36);
		assert_memory_equal(p.side[0].finished.sk_e.er, p.side[1].finished.sk_e.er, 36);
		assert_memory_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->additional, lists[i], 4);
		assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
		assert_memory_equal(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX);
		memcpy(kept[i], installed(p.initiator)->key_out, KEYMAT_MAX);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(kept[i], kept[k], KEYMAT_MAX);
		/* A rekey with the same ones, and one with none, which stays allowed: its keys are made of those with them. */
		for (int with = 1; with >= 0; with--) {
			if (!with)
				memset(p.additional, 0, sizeof p.additional);
			assert_int_equal(pair_rekey(&p), RC_OK);
			assert_memory_equal(p.side[0].finished.sk_e.ei, p.side[1].finished.sk_e.ei, 36);
			assert_memory_equal(p.side[0].finished.sk_e.er, p.side[1].finished.sk_e.er, 36);
			assert_int_equal(p.side[0].finished.sk_e.n, 36);
			for (int k = 0; k < 2; k++)
				assert_memory_equal(
					side_entry(&p.side[k], KEYS_ENTRY_IKE_SA_REKEYED)->additional,
					lists[i], 4);
			assert_int_equal(pair_child(&p, DH_NONE, 0), RC_OK);
			assert_memory_equal(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX);
		}
	}
}

/* RFC 9370 section 2.2.4: SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | SK(2)); until then there are no keys. */
static void a_rekey_by_the_rfc(void **state)
{
	struct side *i = &p.side[0], *r = &p.side[1];
	uint8_t shared[3][32], key[MLKEM_KEY_MAX], seed[64], skeyseed[48];
	static const uint8_t nothing[36];
	struct ike_keys_all first, next;
	struct mlkem_secret kem;
	struct keys_entropy drawn;
	struct dh_secret dh;
	struct octets ni, nr;
	uint32_t old[2];

	/* SK_d of an IKE SA without them, from its values */
	configure(0, 0);
	assert_int_equal(pair_ike(&p), RC_OK);
	drawn = side_drawn(i, 1);
	ni = (struct octets){ i->begun.nonce, 32 };
	nr = (struct octets){ r->begun.nonce, 32 };
	assert_int_equal(dh_generate(&dh, key, DH_CURVE25519, drawn.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared[0], NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ shared[0], 32 }, skeyseed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ skeyseed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &first),
		RC_OK);
	configure(MLKEM_1024, MLKEM_768);
	old[0] = i->ike;
	old[1] = r->ike;
	drawn = side_drawn(i, i->drawn + 1);
	assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_OK);
	assert_int_equal(dh_generate(&dh, key, DH_CURVE25519, drawn.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared[0], NULL), RC_OK);
	pair_followup = true;
	for (size_t k = 0; k < 2; k++) {
		assert_memory_equal(i->finished.sk_e.ei, nothing, 36);
		assert_memory_equal(r->finished.sk_e.ei, nothing, 36);
		assert_int_equal(pair_additional(&p, k), RC_OK);
		assert_int_equal(leaf_key_pair(drawn.additional, p.additional[k], seed), RC_OK);
		assert_int_equal(mlkem_generate(&kem, key, p.additional[k], seed, NULL), RC_OK);
		assert_memory_equal(pair_intermediate[0].bytes, key, mlkem_key_size(p.additional[k]));
		assert_int_equal(mlkem_decapsulate(&kem, pair_intermediate[1].bytes, pair_intermediate[1].n,
					 shared[1 + k], NULL),
			RC_OK);
	}
	pair_followup = false;
	ni = (struct octets){ i->begun.nonce, 32 };
	nr = (struct octets){ r->begun.nonce, 32 };
	const struct prf_part parts[] = { { shared[0], 32 }, { ni.b, 32 }, { nr.b, 32 }, { shared[1], 32 },
		{ shared[2], 32 } };
	assert_int_equal(prf_run(5, first.sk.sk_d, 32, parts, 5, skeyseed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ skeyseed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &next),
		RC_OK);
	assert_memory_equal(next.sk_ei, i->finished.sk_e.ei, 36);
	assert_memory_equal(next.sk_er, i->finished.sk_e.er, 36);
	assert_memory_equal(next.sk_ei, r->finished.sk_e.ei, 36);
}

/* A rekey is nobody's before its last one; it ends with what it rekeys, and is held against the configuration again. */
static void a_rekey_to_its_end(void **state)
{
	struct keeper_request drop = { .op = KEEPER_DROP };
	struct keeper_auth_signed auth;
	uint32_t old[2];

	for (int what = 0; what < 3; what++) {
		pair_done(&p);
		pair_init(&p);
		configure(MLKEM_768, MLKEM_1024);
		assert_int_equal(pair_ike(&p), RC_OK);
		old[0] = p.side[0].ike;
		old[1] = p.side[1].ike;
		assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_OK);
		pair_followup = true;
		assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
		assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
		assert_int_equal(pair_additional(&p, 1), RC_DENIED); /* not the next one */
		assert_int_equal(pair_additional(&p, 0), RC_OK);
		assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
		assert_int_equal(pair_exchange(&p, p.side[0].ike, p.side[1].ike), RC_DENIED);
		assert_int_equal(keys_count(p.side[0].keys).ike_sas, 1);
		if (what == 0) {
			assert_int_equal(pair_additional(&p, 1), RC_OK);
			assert_int_equal(keys_count(p.side[0].keys).ike_sas, 2);
			assert_int_equal(keys_count(p.side[1].keys).ike_sas, 2);
		} else if (what == 1) {
			drop.u.DROP.handle = old[0];
			assert_int_equal(side_ask(&p.side[0], &drop), RC_OK);
			assert_int_equal(pair_additional(&p, 1), RC_NOT_FOUND);
		} else {
			for (size_t k = 0; k < PAIR_IKE_PROPOSALS; k++)
				p.side[0].config.ike[k].additional[1] = 0;
			side_configure(&p.side[0]);
			assert_int_equal(pair_additional(&p, 1), RC_DENIED);
			assert_int_equal(keys_count(p.side[0].keys).ike_sas, 1);
		}
		pair_followup = false;
	}
}

/* Its peer has proved itself before: on its way it takes no place of strangers, and needs none. */
static void a_rekey_is_not_half_open(void **state)
{
	struct keeper_request stranger = { .op = KEEPER_EXCHANGE_BEGIN };

	stranger.u.EXCHANGE_BEGIN.role = KEEPER_RESPONDER;
	stranger.u.EXCHANGE_BEGIN.dh_group = DH_CURVE25519;
	assert_int_equal(pair_ike(&p), RC_OK);
	for (size_t i = 1; i < KEYS_HALF_OPEN_MAX; i++)
		assert_int_equal(side_ask(&p.side[0], &stranger), RC_OK);
	assert_int_equal(pair_exchange(&p, p.side[0].ike, p.side[1].ike), RC_OK);
	pair_followup = true;
	assert_int_equal(side_ask(&p.side[0], &stranger), RC_OK);
	assert_int_equal(side_ask(&p.side[0], &stranger), RC_LIMIT);
	assert_int_equal(pair_additional(&p, 0), RC_OK);
	pair_followup = false;
	assert_int_equal(keys_count(p.side[0].keys).ike_sas, 2);
	assert_int_equal(side_ask(&p.side[0], &stranger), RC_LIMIT);
}

/* RFC 9370 section 2.2.2, RFC 9242 section 3.3.2, RFC 7296 section 2.15: prf by libcrypto's HMAC through prf_run() alone. */
static void by_the_rfcs(void **state)
{
	struct side *i = &p.side[0], *r = &p.side[1];
	uint8_t seed[64], key[MLKEM_KEY_MAX], shared[2][64], skeyseed[48], octets[8192], want[32], padded[32];
	struct keys_entropy drawn = side_drawn(i, 1);
	struct ike_keys_all first, next;
	struct mlkem_secret kem;
	struct dh_secret dh;
	size_t n;

	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	assert_int_equal(pair_additional(&p, 0), RC_OK);
	struct octets ni = { i->begun.nonce, 32 }, nr = { r->begun.nonce, 32 };
	assert_int_equal(dh_generate(&dh, key, DH_CURVE25519, drawn.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared[0], NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ shared[0], 32 }, skeyseed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ skeyseed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &first),
		RC_OK);
	assert_int_equal(leaf_key_pair(drawn.additional, MLKEM_768, seed), RC_OK);
	assert_int_equal(mlkem_generate(&kem, key, MLKEM_768, seed, NULL), RC_OK);
	assert_memory_equal(pair_intermediate[0].bytes + PAIR_KE_AT, key, 1184);
	assert_int_equal(
		mlkem_decapsulate(&kem, pair_intermediate[1].bytes + PAIR_KE_AT, 1088, shared[1], NULL),
		RC_OK);
	const struct prf_part parts[] = { { shared[1], 32 }, { ni.b, 32 }, { nr.b, 32 } };
	assert_int_equal(prf_run(5, first.sk.sk_d, 32, parts, 3, skeyseed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ skeyseed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &next),
		RC_OK);
	assert_memory_equal(next.sk_ei, i->finished.sk_e.ei, 36);
	assert_memory_equal(next.sk_er, i->finished.sk_e.er, 36);
	/* AUTH of the initiator */
	struct keeper_auth_signed auth;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	memcpy(octets, i->message, i->message_n);
	n = i->message_n;
	memcpy(octets + n, nr.b, 32);
	n += 32;
	assert_int_equal(
		prf_run(5, next.sk.sk_pi, 32, &(struct prf_part){ i->id, i->id_n }, 1, octets + n), RC_OK);
	n += 32;
	for (int k = 0; k < 2; k++, n += 32)
		assert_int_equal(
			prf_run(5, k ? first.sk.sk_pr : first.sk.sk_pi, 32,
				&(struct prf_part){ pair_intermediate[k].bytes, pair_intermediate[k].n }, 1,
				octets + n),
			RC_OK);
	store_be32(octets + n, 2);
	n += 4;
	assert_int_equal(prf_run(5, "a secret of the two", 19, &(struct prf_part){ "Key Pad for IKEv2", 17 },
				 1, padded),
		RC_OK);
	assert_int_equal(prf_run(5, padded, 32, &(struct prf_part){ octets, n }, 1, want), RC_OK);
	assert_memory_equal(auth.auth, want, 32);
}

static struct keeper_request begin_request(int at, uint16_t method)
{
	struct keeper_request q = { .op = KEEPER_ADDITIONAL_BEGIN };

	q.u.ADDITIONAL_BEGIN.handle = p.side[at].ike;
	q.u.ADDITIONAL_BEGIN.method = method;
	if (at == p.initiator)
		return q;
	q.u.ADDITIONAL_BEGIN.message_n = (uint16_t)pair_intermediate[0].n;
	q.u.ADDITIONAL_BEGIN.ke_at = PAIR_KE_AT;
	memcpy(q.u.ADDITIONAL_BEGIN.message, pair_intermediate[0].bytes, pair_intermediate[0].n);
	return q;
}

/* The chain that the proposal names is gone through, in its order and to its end. */
static void no_way_around(void **state)
{
	struct keeper_auth_signed auth;
	struct keeper_request q;

	configure(MLKEM_768, MLKEM_1024);
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	q = begin_request(0, MLKEM_1024); /* another than the next one */
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
		assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED);
		assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
		assert_int_equal(pair_additional(&p, i), RC_OK);
	}
	assert_int_equal(pair_additional(&p, 0), RC_DENIED);
	assert_int_equal(pair_authenticate(&p), RC_OK);
}

/* A proposal without them, or with others, is not that of the peer. */
static void as_configured(void **state)
{
	static const uint16_t others[][2] = { { 0, 0 }, { MLKEM_1024, 0 }, { MLKEM_768, MLKEM_1024 } };
	struct keeper_auth_signed auth;

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		memcpy(p.additional, others[i], sizeof p.additional);
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		for (size_t k = 0; k < 2 && others[i][k] != 0; k++)
			assert_int_equal(pair_additional(&p, k), RC_OK);
		assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
		assert_non_null(strstr(p.side[0].reply.u.AUTH_SIGN.text, "no IKE proposal"));
	}
	static const uint16_t none[][2] = { { 35, 0 }, { 0, MLKEM_768 }, { MLKEM_768, MLKEM_768 },
		{ DH_CURVE25519, 0 } };
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		memcpy(p.additional, none[i], sizeof p.additional);
		assert_int_equal(pair_exchange(&p, 0, 0), RC_UNSUPPORTED);
	}
	/* A rekey has those of a proposal, or none. */
	memset(p.additional, 0, sizeof p.additional);
	configure(MLKEM_768, 0);
	assert_int_equal(pair_ike(&p), RC_OK);
	uint32_t old[2] = { p.side[0].ike, p.side[1].ike };
	p.additional[0] = MLKEM_1024;
	assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_DENIED);
	p.additional[0] = MLKEM_768;
	p.additional[1] = MLKEM_1024;
	assert_int_equal(pair_exchange(&p, old[0], old[1]), RC_DENIED);
}

/* require-post-quantum is met by an additional key exchange as well, also after rekeys. */
static void required(void **state)
{
	struct keeper_auth_signed auth;

	for (int i = 0; i < 2; i++) {
		p.side[i].config.peers[0].flags |= PEER_REQUIRE_PQ;
		for (size_t k = 0; k < PAIR_IKE_PROPOSALS; k++)
			p.side[i].config.ike[k].additional[0] = k % 2 ? MLKEM_768 : 0;
	}
	p.prf = PRF_HMAC_SHA2_384; /* those with an odd number */
	assert_int_equal(pair_ike(&p), RC_OK);
	memset(p.additional, 0, sizeof p.additional);
	assert_int_equal(pair_rekey(&p), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, 0), RC_OK);
	p.prf = PRF_HMAC_SHA2_256;
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_AUTH);
	assert_non_null(strstr(p.side[0].reply.u.AUTH_SIGN.text, "require-post-quantum"));
}

/* What was changed on the way, in either message, fails at AUTH. */
static void changed_on_the_way(void **state)
{
	struct keeper_request q;

	for (int which = 0; which < 2; which++) {
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		q = begin_request(0, MLKEM_768);
		assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
		struct pair_message m = { .n = PAIR_KE_AT + 1184 };
		memcpy(m.bytes, p.spi_i, 8);
		memcpy(m.bytes + 8, p.spi_r, 8);
		memcpy(m.bytes + PAIR_KE_AT, p.side[0].reply.u.ADDITIONAL_BEGIN.ke, 1184);
		pair_intermediate[0] = m;
		m.bytes[which ? 36 : PAIR_KE_AT + 500] ^= 1; /* beside the value, or in it */
		struct pair_message sent = pair_intermediate[0];
		pair_intermediate[0] = m;
		q = begin_request(1, MLKEM_768);
		assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
		struct keeper_request f = { .op = KEEPER_ADDITIONAL_FINISH };
		struct keeper_additional_finish *x = &f.u.ADDITIONAL_FINISH;
		x->handle = p.side[1].ike;
		memcpy(x->response, m.bytes, PAIR_KE_AT);
		memcpy(x->response + PAIR_KE_AT, p.side[1].reply.u.ADDITIONAL_BEGIN.ke, 1088);
		x->response_n = PAIR_KE_AT + 1088;
		x->response_ke_at = PAIR_KE_AT;
		assert_int_equal(side_ask(&p.side[1], &f), RC_OK);
		x->handle = p.side[0].ike;
		x->request_n = (uint16_t)sent.n;
		x->request_ke_at = PAIR_KE_AT;
		memcpy(x->request, sent.bytes, sent.n);
		assert_int_equal(side_ask(&p.side[0], &f), RC_OK);
		assert_int_equal(pair_authenticate(&p), RC_AUTH);
	}
}

#define REFUSED(at, change, want)                                                                            \
	do {                                                                                                 \
		struct keeper_request r_ = q;                                                                \
		change;                                                                                      \
		assert_int_equal(side_ask(&p.side[at], &r_), want);                                          \
	} while (0)
#define B r_.u.ADDITIONAL_BEGIN
#define F r_.u.ADDITIONAL_FINISH

/* What ike states that does not fit is refused, and the exchange can still go on. */
static void stated_wrongly(void **state)
{
	struct keeper_request q;

	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	q = begin_request(0, MLKEM_768);
	REFUSED(0, B.message_n = 1, RC_MALFORMED);
	REFUSED(0, B.method = 0, RC_DENIED);
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	memset(&pair_intermediate[0], 0, sizeof pair_intermediate[0]);
	memcpy(pair_intermediate[0].bytes, p.spi_i, 8);
	memcpy(pair_intermediate[0].bytes + 8, p.spi_r, 8);
	memcpy(pair_intermediate[0].bytes + PAIR_KE_AT, p.side[0].reply.u.ADDITIONAL_BEGIN.ke, 1184);
	pair_intermediate[0].n = PAIR_KE_AT + 1184;
	q = begin_request(1, MLKEM_768);
	REFUSED(1, B.message_n = 0, RC_RANGE);
	REFUSED(1, B.message_n -= 1, RC_RANGE);
	REFUSED(1, B.message_n = 0xffff, RC_RANGE);
	REFUSED(1, B.ke_at += 1, RC_RANGE);
	REFUSED(1, B.ke_at = 0xffff, RC_RANGE);
	REFUSED(1, B.ke_at -= 1, RC_MALFORMED);
	REFUSED(1, B.message[0] ^= 1, RC_DENIED);
	REFUSED(1, B.message[15] ^= 1, RC_DENIED);
	assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
	struct keeper_additional_begun ours = p.side[1].reply.u.ADDITIONAL_BEGIN;
	q = (struct keeper_request){ .op = KEEPER_ADDITIONAL_FINISH };
	struct keeper_additional_finish *f = &q.u.ADDITIONAL_FINISH;
	f->handle = p.side[1].ike;
	memcpy(f->response, p.spi_i, 8);
	memcpy(f->response + 8, p.spi_r, 8);
	memcpy(f->response + PAIR_KE_AT, ours.ke, ours.ke_n);
	f->response_n = (uint16_t)(PAIR_KE_AT + ours.ke_n);
	f->response_ke_at = PAIR_KE_AT;
	REFUSED(1, F.request_n = 40, RC_MALFORMED);
	REFUSED(1, F.response_n -= 1, RC_RANGE);
	REFUSED(1, F.response_n = 0xffff, RC_RANGE);
	REFUSED(1, F.response_ke_at -= 1, RC_DENIED);
	REFUSED(1, F.response[PAIR_KE_AT] ^= 1, RC_DENIED);
	REFUSED(1, F.response[8] ^= 1, RC_DENIED);
	assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
	f->handle = p.side[0].ike;
	REFUSED(0, F.request_n = 0, RC_RANGE);
	f->request_n = (uint16_t)pair_intermediate[0].n;
	f->request_ke_at = PAIR_KE_AT;
	memcpy(f->request, pair_intermediate[0].bytes, pair_intermediate[0].n);
	REFUSED(0, F.request_ke_at -= 1, RC_DENIED);
	REFUSED(0, F.request[PAIR_KE_AT + 7] ^= 1, RC_DENIED);
	REFUSED(0, F.request[0] ^= 1, RC_DENIED);
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	assert_int_equal(pair_authenticate(&p), RC_OK);
}

/* A machine without it: refused as that, at the first value. */
static void without_libcrypto(void **state)
{
	struct keeper_request q;

	toy_mlkem_missing = true;
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	q = begin_request(0, MLKEM_768);
	assert_int_equal(side_ask(&p.side[0], &q), RC_UNSUPPORTED);
	assert_int_equal(pair_authenticate(&p), RC_DENIED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, before, after)
	const struct CMUnitTest tests[] = {
		T(both_sides_agree),
		T(by_the_rfcs),
		T(a_rekey_by_the_rfc),
		T(a_rekey_to_its_end),
		T(a_rekey_is_not_half_open),
		T(no_way_around),
		T(as_configured),
		T(required),
		T(changed_on_the_way),
		T(stated_wrongly),
		T(without_libcrypto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
