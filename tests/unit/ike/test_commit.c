/*
 * A commit in the middle of an exchange: each exchange is cut at each of its points, and there each kind of
 * configuration comes. What does not change continues undisturbed; what does ends cleanly on our side,
 * whatever was under way: nothing is left over in the keeper or the data plane.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CUTS_MAX 12

static struct puppet p;

enum exchange {
	INIT_BY_PEER,
	INIT_BY_US,
	CHILD_BY_PEER,
	CHILD_BY_US,
	REKEY_CHILD_BY_PEER,
	REKEY_CHILD_BY_US,
	REKEY_IKE_BY_PEER,
	REKEY_IKE_BY_US,
	DELETE_BY_US,
	EXCHANGES
};

enum commit { TIMERS, PEER_CHANGED, TUNNEL_CHANGED, TUNNEL_GONE, TUNNELS_SWAPPED, PEER_BEFORE, COMMITS };

static const char *const exchange_names[] = { "first contact by the peer", "first contact by us",
	"child by the peer", "child by us", "child rekey by the peer", "child rekey by us",
	"IKE rekey by the peer", "IKE rekey by us", "delete by us" };
static const char *const commit_names[] = { "timers", "another peer", "another tunnel", "one tunnel less",
	"tunnels in another order", "one peer more before it" };

static void commit(enum commit what)
{
	struct snap_tunnel t = p.config.tunnels[0];

	p.config.head.generation++;
	switch (what) {
	case TIMERS:
		p.config.peers[0].dpd_s = 77;
		p.config.tunnels[0].rekey_s = 777;
		break;
	case PEER_CHANGED:
		p.config.peers[0].remote_id.data[0] ^= 1;
		break;
	case TUNNEL_CHANGED:
		p.config.selectors[0].port_last = 1024;
		break;
	case TUNNEL_GONE:
		p.config.tunnels[0] = p.config.tunnels[1];
		p.config.head.tunnels.count = 1;
		break;
	case TUNNELS_SWAPPED:
		p.config.tunnels[0] = p.config.tunnels[1];
		p.config.tunnels[1] = t;
		break;
	case PEER_BEFORE:
		p.config.peers[1] = p.config.peers[0];
		snprintf(p.config.peers[0].name, NAME_MAX_BYTES, "another");
		p.config.peers[0].remote.b[3] = 77;
		p.config.head.peers.count = 2;
		p.config.tunnels[0].peer = p.config.tunnels[1].peer = 1;
		break;
	case COMMITS:
		break;
	}
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
}

static void order(enum ike_order what, const char *name)
{
	ike_input_order(p.core, p.now, what, name, NULL);
	puppet_settle(&p);
}

/* Everything up to the exchange, unheld; then its first message, held. */
static void begin(enum exchange what)
{
	static const uint8_t spi[8] = { 0xee, 1 };
	uint8_t old[4];

	puppet_init(&p);
	puppet_start(&p);
	if (what != INIT_BY_PEER && what != INIT_BY_US) {
		assert_true(puppet_up(&p, what % 2 == 0));
		puppet_usage(&p, p.child_in, 100);
	}
	p.hold = true;
	store_be32(old, p.child_out);
	switch (what) {
	case INIT_BY_PEER:
		puppet_init_as_initiator(&p, false);
		break;
	case INIT_BY_US:
		order(IKE_ORDER_INITIATE, "t0");
		break;
	case CHILD_BY_PEER:
	case REKEY_CHILD_BY_PEER:
		puppet_request(&p, EX_CREATE_CHILD_SA);
		if (what == REKEY_CHILD_BY_PEER)
			ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
		puppet_offer_esp(&p, 0x4000, DH_NONE);
		puppet_nonce(&p, 0x60);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		break;
	case CHILD_BY_US:
		order(IKE_ORDER_INITIATE, "t1");
		break;
	case REKEY_CHILD_BY_US:
		order(IKE_ORDER_REKEY_CHILD, "t0");
		break;
	case REKEY_IKE_BY_PEER:
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, 0x60);
		puppet_ke(&p, DH_CURVE25519);
		puppet_send(&p);
		break;
	case REKEY_IKE_BY_US:
		order(IKE_ORDER_REKEY_IKE, "t0");
		break;
	case DELETE_BY_US:
		order(IKE_ORDER_TERMINATE, "t0");
		break;
	case EXCHANGES:
		break;
	}
}

static void answer_request(void)
{
	static uint8_t spi[8] = { 0xaa, 1 };
	bool of_child = p.payloads.present & IKE_HAS(TSI);

	spi[7]++;
	if (p.header.exchange == EX_IKE_SA_INIT) {
		store_be64(p.spi_r, 0xfedcba0000000000u + spi[7]);
		puppet_response(&p);
		puppet_offer_ike(&p, NULL);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 0x50);
		puppet_send(&p);
		return;
	}
	puppet_response(&p);
	if (p.header.exchange == EX_IKE_AUTH) {
		puppet_auth_payloads(&p, 0x2100u + spi[7]);
	} else if (p.header.exchange == EX_CREATE_CHILD_SA && of_child) {
		uint32_t tunnel = p.payloads.tsi.list[0].addrs.first.b[2];
		bool group = p.payloads.present & IKE_HAS(KE);

		puppet_offer_esp(&p, 0x5000u + spi[7], group ? DH_ECP_256 : DH_NONE);
		puppet_nonce(&p, 0x50);
		if (group)
			puppet_ke(&p, DH_ECP_256);
		puppet_selectors_back(&p, tunnel);
	} else if (p.header.exchange == EX_CREATE_CHILD_SA) {
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, 0x50);
		puppet_ke(&p, DH_CURVE25519);
	}
	puppet_send(&p);
}

/* The puppet's next honest move: one question of the core's answered, by keeper or peer. False: nothing is
 * left. */
static bool move(uint32_t *read)
{
	if (p.asked_n > 0) {
		puppet_answer_keeper(&p);
		return true;
	}
	while (*read < p.sent_n) {
		if (!puppet_read(&p, (*read)++))
			continue;
		if (p.header.flags & IKE_FLAG_RESPONSE) {
			if (p.header.exchange != EX_IKE_SA_INIT || !(p.payloads.present & IKE_HAS(KE)))
				continue;
			memcpy(p.spi_r, p.header.spi_r, 8);
			p.own_id = 1;
			puppet_request(&p, EX_IKE_AUTH);
			puppet_auth_payloads(&p, 0x2000);
			puppet_send(&p);
			return true;
		}
		p.initiator = !(p.header.flags & IKE_FLAG_INITIATOR);
		memcpy(p.spi_i, p.header.spi_i, 8);
		memcpy(p.spi_r, p.header.spi_r, 8);
		answer_request();
		return true;
	}
	return false;
}

/* Returns false when the exchange was over before the cut. */
static bool play(enum exchange what, unsigned cut, enum commit config)
{
	uint32_t read = 0;
	unsigned at = 0;
	bool more = true;

	begin(what);
	while (at < cut && (more = move(&read)))
		at++;
	if (!more && at < cut) {
		puppet_done(&p);
		return false;
	}
	commit(config);
	for (int i = 0; i < 100 && move(&read); i++)
		;
	p.hold = false;
	if (config == TIMERS) {
		/* As if nothing had been: one IKE SA, the tunnel's one child, and what was to come about. */
		uint32_t want = what == CHILD_BY_US || what == CHILD_BY_PEER ? 2
				: what == DELETE_BY_US			     ? 0
									     : 1;

		if (what == CHILD_BY_PEER) /* of the same tunnel: redundant, one of the two is deleted */
			want = puppet_children(&p) == 1 ? 1 : 2;
		if (puppet_children(&p) != want || p.refusals != 0)
			fail_msg("%s, cut at %u by %s: %u children", exchange_names[what], cut,
				commit_names[config], puppet_children(&p));
	}
	/* Time passes, with an honest peer; then an administrator ends it. */
	for (int i = 0; i < 40; i++) {
		puppet_run(&p, 250);
		while (read < p.sent_n && move(&read))
			;
		if (p.sent_n > PUPPET_SENT_MAX / 2)
			puppet_forget(&p), read = 0;
	}
	order(IKE_ORDER_TERMINATE, "puppet");
	for (int i = 0; i < 300; i++) {
		p.now += NS_PER_S;
		ike_tick(p.core, p.now);
		puppet_settle(&p);
		while (read < p.sent_n && move(&read))
			;
		if (p.sent_n > PUPPET_SENT_MAX / 2)
			puppet_forget(&p), read = 0;
	}
	if (puppet_ike_sas(&p) != 0 || ike_view_busy(p.core) != 0 ||
		p.count[KEEPER_CHILD_INSTALL] != p.count[KEEPER_CHILD_REMOVE])
		fail_msg("%s, cut at %u by %s: %u IKE SAs, %u busy, %u children installed, %u removed",
			exchange_names[what], cut, commit_names[config], puppet_ike_sas(&p),
			ike_view_busy(p.core), p.count[KEEPER_CHILD_INSTALL], p.count[KEEPER_CHILD_REMOVE]);
	puppet_done(&p);
	return true;
}

static void every_exchange_cut_everywhere(void **state)
{
	unsigned played = 0, longest = 0;

	for (unsigned what = 0; what < EXCHANGES; what++)
		for (unsigned config = 0; config < COMMITS; config++)
			for (unsigned cut = 0; cut < CUTS_MAX && play(what, cut, config); cut++) {
				played++;
				longest = MAX_OF(longest, cut);
			}
	assert_true(played > 150);
	assert_in_range(longest, 5, CUTS_MAX - 1);
}

/* What ends because its peer is another one now is told by the name that the peer had. */
static void named_to_the_end(void **state)
{
	char row[2048];
	uint32_t cursor = 0;

	for (unsigned by_peer = 0; by_peer < 2; by_peer++, cursor = 0) {
		puppet_init(&p);
		puppet_start(&p);
		assert_true(puppet_up(&p, by_peer));
		p.hold = true;
		commit(PEER_CHANGED);
		assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row) > 0);
		assert_non_null(strstr(row, "\"peer\":\"puppet\""));
		assert_non_null(strstr(row, "\"reason\":\"its peer was changed or removed\""));
		puppet_done(&p);
	}
}

/* A peer that begins, which keeps its name and gets another number: it goes on, or is told that it has to begin again. */
static void half_open(void **state)
{
	for (unsigned asked = 0; asked < 3; asked++) {
		uint32_t read = 0;

		begin(INIT_BY_PEER);
		while (p.asked_n > 0)
			puppet_answer_keeper(&p);
		assert_true(puppet_read_last(&p));
		memcpy(p.spi_r, p.header.spi_r, 8);
		if (asked) {
			assert_true(move(&read));
			assert_int_equal(p.asked[0].op, KEEPER_AUTH_VERIFY);
		}
		if (asked == 2) { /* put off: the keeper cannot decide now */
			p.fail[KEEPER_AUTH_VERIFY] = RC_AGAIN;
			puppet_answer_keeper(&p);
			assert_int_equal(p.refusals, 1);
		}
		puppet_forget(&p);
		read = 0;
		commit(PEER_BEFORE);
		if (asked) {
			assert_true(puppet_read_last(&p));
			assert_int_equal(p.header.exchange, EX_IKE_AUTH);
			assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
		} else {
			p.own_id = 1;
			puppet_request(&p, EX_IKE_AUTH);
			puppet_auth_payloads(&p, 0x2000);
			puppet_send(&p);
			assert_int_equal(p.asked_n, 1);
			while (move(&read))
				;
			assert_int_equal(puppet_children(&p), 1);
			assert_int_equal(p.refusals, 0);
		}
		puppet_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_to_the_end),
		cmocka_unit_test(half_open),
		cmocka_unit_test(every_exchange_cut_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
