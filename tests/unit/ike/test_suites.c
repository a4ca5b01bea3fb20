/*
 * Several peers at any address with proposals of their own: which is chosen at IKE_SA_INIT, before it is
 * known who comes. The one that comes is always `second`; it offers what the case says. And the group of a rekey.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

static struct {
	struct snapshot head;
	struct snap_ike_proposal ike[4];
	struct snap_esp_proposal esp[2];
	struct snap_peer peers[2];
	struct selector selectors[4];
	struct snap_tunnel tunnels[2];
} big;

static const struct snap_ike_proposal a25519 = { "a", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256,
	DH_CURVE25519 },
				      a256 = { "b", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256, DH_ECP_256 },
				      b25519 = { "c", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_384,
					      DH_CURVE25519 };

static struct span at(const void *x, uint32_t n)
{
	return (struct span){ (uint32_t)((const uint8_t *)x - (const uint8_t *)&big), n };
}

/* Two proposals of each; NULL: only one. */
static void configure(const struct snap_ike_proposal *first[2], const struct snap_ike_proposal *second[2])
{
	memset(&big, 0, sizeof big);
	puppet_init(&p);
	big.head = p.config.head;
	big.head.bytes = sizeof big;
	memcpy(big.esp, p.config.esp, sizeof big.esp);
	memcpy(big.selectors, p.config.selectors, sizeof big.selectors);
	memcpy(big.tunnels, p.config.tunnels, sizeof big.tunnels);
	big.head.ike_proposals = at(big.ike, 4);
	big.head.esp_proposals = at(big.esp, 2);
	big.head.peers = at(big.peers, 2);
	big.head.selectors = at(big.selectors, 4);
	big.head.tunnels = at(big.tunnels, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct snap_ike_proposal **own = i ? second : first;

		big.ike[2 * i] = *own[0];
		big.ike[2 * i + 1] = own[1] ? *own[1] : *own[0];
		big.peers[i] = p.config.peers[0];
		big.peers[i].flags = PEER_REMOTE_ANY;
		big.peers[i].remote = (struct ip_addr){ 0 };
		big.peers[i].proposals = (struct span){ 2 * i, own[1] ? 2 : 1 };
		big.tunnels[i].peer = i;
		big.tunnels[i].proposals = (struct span){ 0, 1 };
		snprintf(big.peers[i].name, sizeof big.peers[i].name, i ? "second" : "first");
	}
	memcpy(big.peers[0].remote_id.data, "other.exampl", sizeof "other.exampl" - 1);
	p.core = ike_core_new(&p.setup);
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
}

/* A proposal for each of the offer; the KE is of the group wanted. Gives what is demanded instead, or 0. */
static uint16_t says_init(const struct snap_ike_proposal *offer[2], uint16_t group)
{
	struct ike_offer o = { 0 };

	for (int i = 0; i < 2 && offer[i]; i++) {
		ike_offer_add(&o, IKE_PROTO_IKE, NULL, 0);
		ike_offer_add_transform(&o, TT_ENCR, offer[i]->encr, offer[i]->encr_bits);
		ike_offer_add_transform(&o, TT_PRF, offer[i]->prf, 0);
		ike_offer_add_transform(&o, TT_DH, offer[i]->dh, 0);
	}
	p.initiator = true;
	p.own_id = 0;
	store_be64(p.spi_i, 0xabc00u + p.handles);
	memset(p.spi_r, 0, 8);
	puppet_forget(&p);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	ike_out_offer(&p.out, &o);
	puppet_ke(&p, group);
	puppet_nonce(&p, 0x50);
	puppet_send(&p);
	assert_true(puppet_read_last(&p));
	if (puppet_says(&p, NTF_INVALID_KE_PAYLOAD))
		return load_be16(ike_notify_find(&p.payloads, NTF_INVALID_KE_PAYLOAD)->data.at);
	memcpy(p.spi_r, p.header.spi_r, 8);
	p.own_id = 1;
	return 0;
}

static bool comes_up(const struct snap_ike_proposal *offer[2])
{
	uint16_t wanted = says_init(offer, offer[0]->dh);

	if (wanted && says_init(offer, wanted))
		return false;
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_forget(&p);
	puppet_send(&p);
	return puppet_read_last(&p) && !puppet_says(&p, NTF_AUTHENTICATION_FAILED) &&
	       p.payloads.present & IKE_HAS(AUTH);
}

static void the_second_connects(void **state)
{
	static const struct {
		const char *name;
		const struct snap_ike_proposal *first[2], *second[2], *offer[2];
		unsigned tries;
	} cases[] = {
		{ "another group, told by the KE payload", { &a25519 }, { &a256 }, { &a256, &a25519 }, 1 },
		{ "another PRF, told by the order", { &a25519 }, { &b25519 }, { &b25519, &a25519 }, 1 },
		{ "only its own", { &a25519 }, { &a256 }, { &a256 }, 1 },
		{ "what both have", { &a25519, &a256 }, { &a256 }, { &a25519, &a256 }, 1 },
		{ "what both have, against the order", { &b25519, &a256 }, { &a256, &a25519 },
			{ &b25519, &a256 }, 1 },
		{ "nothing tells: known when it comes again", { &a25519 }, { &a256 }, { &a25519, &a256 }, 2 },
		{ "nothing tells, another PRF", { &a25519 }, { &b25519 }, { &a25519, &b25519 }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		unsigned tries = 1;

		configure((const struct snap_ike_proposal **)(uintptr_t)cases[i].first,
			(const struct snap_ike_proposal **)(uintptr_t)cases[i].second);
		while (!comes_up((const struct snap_ike_proposal **)(uintptr_t)cases[i].offer) && tries < 4)
			tries++;
		if (tries != cases[i].tries)
			fail_msg("%s: %u tries", cases[i].name, tries);
		puppet_done(&p);
	}
}

/* It is not let in with another one's proposal, and the entry says why. */
static void held_to_its_own(void **state)
{
	const struct snap_ike_proposal *first[] = { &a25519, NULL }, *second[] = { &a256, NULL },
				       *offer[] = { &a25519, NULL };

	(void)state;
	configure(first, second);
	for (int i = 0; i < 3; i++)
		assert_false(comes_up(offer));
	assert_int_equal(puppet_children(&p), 0);
	assert_non_null(strstr(p.refusal.reason, "second"));
	puppet_done(&p);
}

/* The order of a peer's own proposals is not changed by what the other side would rather have. */
static void our_own_order_stays(void **state)
{
	const struct snap_ike_proposal *own[] = { &a256, &a25519 }, *offer[] = { &a25519, &a256 };

	(void)state;
	configure(own, own);
	assert_int_equal(says_init(offer, DH_CURVE25519), DH_ECP_256);
	puppet_done(&p);
}

static void rekey(enum ike_order what)
{
	assert_int_equal(ike_input_order(p.core, p.now, what, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_CREATE_CHILD_SA);
}

/* A KE payload of the first proposal would be of a group that is not offered here, or that the peer did not take. */
static void the_group_that_was_negotiated(void **state)
{
	(void)state;
	for (int usable = 0; usable < 2; usable++) {
		puppet_init(&p);
		p.config.ike[1] = p.config.ike[0];
		p.config.ike[0].dh = DH_ECP_384;
		p.config.ike[0].additional[0] = usable ? 0 : MLKEM_768;
		p.config.esp[1] = p.config.esp[0];
		p.config.esp[0].encr = ENCR_CHACHA20_POLY1305;
		p.config.esp[0].dh = DH_ECP_256;
		p.config.esp[1].dh = DH_CURVE25519;
		p.config.tunnels[0].proposals = (struct span){ 0, 2 };
		puppet_start(&p);
		assert_true(puppet_up(&p, true));
		puppet_usage(&p, p.child_in, 100);
		rekey(IKE_ORDER_REKEY_CHILD);
		assert_int_equal(p.payloads.ke_group, DH_CURVE25519);
		puppet_response(&p);
		ike_out_notify(&p.out, NTF_TEMPORARY_FAILURE, NULL, 0);
		puppet_send(&p);
		puppet_forget(&p);
		rekey(IKE_ORDER_REKEY_IKE);
		assert_int_equal(p.payloads.ke_group, DH_CURVE25519);
		assert_int_equal(p.payloads.sa.proposals_n, 1 + usable);
		/* Nor does it follow the peer to a group that it did not offer. */
		puppet_response(&p);
		ike_out_notify(&p.out, NTF_INVALID_KE_PAYLOAD, (const uint8_t[]){ 0, DH_ECP_384 }, 2);
		puppet_forget(&p);
		puppet_send(&p);
		assert_int_equal(p.sent_n, usable);
		if (usable) {
			assert_true(puppet_read_last(&p));
			assert_int_equal(p.payloads.ke_group, DH_ECP_384);
		}
		puppet_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_connects),
		cmocka_unit_test(held_to_its_own),
		cmocka_unit_test(our_own_order_stays),
		cmocka_unit_test(the_group_that_was_negotiated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
