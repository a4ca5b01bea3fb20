/*
 * AUTH over both messages of IKE_SA_INIT (draft-ietf-ipsecme-ikev2-downgrade-prevention-08): its octets, computed beside the core; what is
 * changed on the way; what somebody who has one side's key gets with it and without.
 */
#include "pair.h"

#include "crypto/dh.h"
#include "keys/derive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;

static int setup(void **state)
{
	pair_init(&p);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	pair_transcript = false;
	return 0;
}

static void start(void)
{
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
}

/* Where both sides said that they authenticate both messages: 8 zeros | that of the other side | that of the own side | ... */
static void both_messages(void **state)
{
	struct keys_entropy drawn = side_drawn(&p.side[0], 1);
	struct side *of[2] = { &p.side[0], &p.side[1] };
	static uint8_t octets[KEEPER_MESSAGE_MAX + 128];
	uint8_t ke[32], shared[32], seed[32], padded[32], want[32];
	const struct prf_part pad = { "Key Pad for IKEv2", 17 };
	struct octets ni, nr;
	struct keeper_auth_signed a;
	struct dh_secret dh;
	struct ike_keys_all sk;

	start();
	ni = (struct octets){ of[0]->begun.nonce, 32 };
	nr = (struct octets){ of[1]->begun.nonce, 32 };
	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, drawn.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, of[1]->begun.ke, 32, shared, NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ shared, 32 }, seed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ seed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &sk), RC_OK);
	assert_int_equal(prf_run(5, "a secret of the two", 19, &pad, 1, padded), RC_OK);
	pair_transcript = true;
	for (int who = 0; who < 2; who++) {
		struct side *own = of[who], *other = of[!who];
		size_t n = 8;

		memset(octets, 0, 8);
		memcpy(octets + n, other->message, other->message_n);
		n += other->message_n;
		memcpy(octets + n, own->message, own->message_n);
		n += own->message_n;
		memcpy(octets + n, other->begun.nonce, 32);
		n += 32;
		assert_int_equal(prf_run(5, who ? sk.sk.sk_pr : sk.sk.sk_pi, 32,
					 &(struct prf_part){ own->id, own->id_n }, 1, octets + n),
			RC_OK);
		n += 32;
		assert_int_equal(prf_run(5, padded, 32, &(struct prf_part){ octets, n }, 1, want), RC_OK);
		assert_int_equal(pair_sign(&p, who, &a), RC_OK);
		assert_memory_equal(a.auth, want, 32);
		assert_int_equal(pair_verify(&p, !who, &a), RC_OK);
	}
	pair_transcript = false;
}

/* One of the two messages was changed on the way, or only one side has both authenticated: AUTH is wrong. Others than the two are refused. */
static void both_messages_or_none(void **state)
{
	struct keeper_request q = { .op = KEEPER_AUTH_SIGN };
	struct keeper_auth_signed a;

	for (int what = 0; what < 4; what++) {
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		pair_transcript = what != 0;
		assert_int_equal(pair_sign(&p, 0, &a), RC_OK);
		pair_transcript = what != 1;
		if (what >= 2) /* behind SPI, nonce and value, as one of the proposals would be */
			p.side[what - 2].message[p.side[what - 2].message_n - 1] ^= 1;
		assert_int_equal(pair_verify(&p, 1, &a), RC_AUTH);
	}
	pair_transcript = false;
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	q.u.AUTH_SIGN.handle = p.side[0].ike;
	q.u.AUTH_SIGN.message_n = (uint16_t)p.side[0].message_n;
	q.u.AUTH_SIGN.id_n = (uint16_t)p.side[0].id_n;
	memcpy(q.u.AUTH_SIGN.message, p.side[0].message, p.side[0].message_n);
	memcpy(q.u.AUTH_SIGN.id, p.side[0].id, p.side[0].id_n);
	q.u.AUTH_SIGN.other_n = (uint16_t)(KEEPER_MESSAGE_MAX - p.side[0].message_n + 1);
	assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	q.u.AUTH_SIGN.other_n = 0xffff;
	assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	q.u.AUTH_SIGN.other_n = 1;
	assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	q.u.AUTH_SIGN.other_n = (uint16_t)p.side[0].message_n; /* our own again */
	memcpy(q.u.AUTH_SIGN.message + p.side[0].message_n, p.side[0].message, p.side[0].message_n);
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
}

/*
 * Who has the initiator's key and breaks the key exchange changes the request on the way, and makes the initiator's AUTH anew. If each
 * side authenticates its own message alone, the responder's AUTH is good all the same. If both authenticate both, it is not.
 */
static void who_has_the_key_of_one_side(void **state)
{
	for (int both = 0; both < 2; both++) {
		struct keeper_auth_signed a;
		uint8_t *last;

		pair_done(&p);
		pair_init(&p);
		pair_use_signatures(&p, PAIR_ED25519, PAIR_P256);
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		pair_transcript = both;
		last = &p.side[0].message[p.side[0].message_n - 1];
		*last ^= 1; /* of the proposals */
		assert_int_equal(pair_sign(&p, 0, &a), RC_OK);
		assert_int_equal(pair_verify(&p, 1, &a), RC_OK);
		assert_int_equal(pair_sign(&p, 1, &a), RC_OK);
		*last ^= 1; /* what the initiator did send */
		assert_int_equal(pair_verify(&p, 0, &a), both ? RC_AUTH : RC_OK);
		if (!both)
			assert_false(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->transcript);
	}
	pair_transcript = false;
}

/* The second AUTH is over as many messages as the first, else the keeper refuses it; the entry says over how many. */
static void both_sides_authenticate_the_same(void **state)
{
	struct keeper_auth_signed a;

	for (int first = 0; first < 2; first++) {
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		pair_transcript = first;
		assert_int_equal(pair_sign(&p, 0, &a), RC_OK);
		assert_int_equal(pair_verify(&p, 1, &a), RC_OK);
		assert_int_equal(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP)->transcript, first);
		pair_transcript = !first;
		assert_int_equal(pair_sign(&p, 1, &a), RC_DENIED);
		pair_transcript = first;
		assert_int_equal(pair_sign(&p, 1, &a), RC_OK);
		pair_transcript = !first;
		assert_int_equal(pair_verify(&p, 0, &a), RC_DENIED);
		pair_transcript = first;
		assert_int_equal(pair_verify(&p, 0, &a), RC_OK);
		assert_int_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->transcript, first);
	}
	pair_transcript = false;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_messages),
		T(both_messages_or_none),
		T(who_has_the_key_of_one_side),
		T(both_sides_authenticate_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
