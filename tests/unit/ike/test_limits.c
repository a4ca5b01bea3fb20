/*
 * Every row of IKE_LIMITS filled completely and beyond, by whoever may fill it; then the others are served:
 * an established peer is answered and rekeys its child SA, a new one comes up, and `show ike` is short.
 */
#include "puppet.h"

#include "ike/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum row {
#define E(name, number, who, costs, why) ROW_##name,
	IKE_LIMITS(E) ROWS
#undef E
};

/* Of the places that all peers share, fewer than in service: filling those takes a minute. */
enum { LIVE_MAX = 1024, CHILDREN_MAX = 4096 };
enum { BEGUN = IKE_BEGUN_MAX + 50, PEERS = 165, TUNNELS = 550, FLOODER = 0, HONEST, NEWCOMER, OTHERS };

static struct puppet p;

static struct {
	struct snapshot head;
	struct snap_ike_proposal ike[2];
	struct snap_esp_proposal esp[2];
	struct snap_peer peers[BEGUN];
	struct selector selectors[2 * TUNNELS];
	struct snap_tunnel tunnels[BEGUN + TUNNELS];
} big;

static struct {
	uint8_t spi_i[8], spi_r[8];
	uint64_t iv;
	uint32_t id, spi;
} honest; /* the honest peer's IKE SA */

static uint32_t spis, handshakes;

static struct span span_of(const void *at, uint32_t n)
{
	return (struct span){ (uint32_t)((const uint8_t *)at - (const uint8_t *)&big), n };
}

static struct selector net(uint8_t side, uint32_t i)
{
	struct selector s = { .port_last = 65535 };

	s.addrs.first = addr_v4((const uint8_t[]){ (uint8_t)(side + (i >> 8)), (uint8_t)i, 0, 0 });
	s.addrs.last = addr_v4((const uint8_t[]){ (uint8_t)(side + (i >> 8)), (uint8_t)i, 0, 255 });
	return s;
}

/* Tunnel i of a peer is between network i here and network i there. */
static void tunnel_add(uint32_t peer, uint32_t i)
{
	struct snap_tunnel *t = &big.tunnels[big.head.tunnels.count++];

	snprintf(t->name, sizeof t->name, "t%u-%u", peer, i);
	t->peer = peer;
	t->proposals.count = 1;
	t->local = (struct span){ 2 * i, 1 };
	t->remote = (struct span){ 2 * i + 1, 1 };
}

static void config(uint32_t peers, uint32_t tunnels_of_flooder)
{
	memset(&big, 0, sizeof big);
	big.head = p.config.head;
	big.head.bytes = sizeof big;
	memcpy(big.ike, p.config.ike, sizeof big.ike);
	memcpy(big.esp, p.config.esp, sizeof big.esp);
	big.head.ike_proposals = span_of(big.ike, 2);
	big.head.esp_proposals = span_of(big.esp, 2);
	big.head.peers = span_of(big.peers, peers);
	big.head.selectors = span_of(big.selectors, COUNT_OF(big.selectors));
	big.head.tunnels = span_of(big.tunnels, 0);
	for (uint32_t i = 0; i < TUNNELS; i++) {
		big.selectors[2 * i] = net(10, i);
		big.selectors[2 * i + 1] = net(20, i);
	}
	for (uint32_t i = 0; i < peers; i++) {
		big.peers[i] = p.config.peers[0];
		snprintf(big.peers[i].name, sizeof big.peers[i].name, "peer%u", i);
		big.peers[i].remote = addr_v4((const uint8_t[]){ 203, 0, (uint8_t)(i >> 8), (uint8_t)i });
		for (uint32_t k = 0; k < (i == FLOODER ? tunnels_of_flooder : 1); k++)
			tunnel_add(i, k);
	}
	p.config.selectors[0] = big.selectors[0]; /* for puppet_selectors() */
	p.config.selectors[1] = big.selectors[1];
}

/* The core's answer in that exchange; it may have said more. */
static bool answered(uint8_t exchange)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			(p.header.flags & IKE_FLAG_RESPONSE))
			return true;
	return false;
}

/* An IKE SA with a child in the peer's first tunnel. */
static bool comes_up(uint32_t peer)
{
	p.at.addr = big.peers[peer].remote;
	p.iv = 0;
	if (!puppet_init_as_initiator(&p, true))
		return false;
	handshakes++;
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, ++spis);
	puppet_forget(&p);
	puppet_send(&p);
	return answered(EX_IKE_AUTH) && (p.payloads.present & IKE_HAS(AUTH));
}

/* Whether it got one; rekeys: the peer's SPI of the child that is to be replaced, 0: none. */
static bool for_a_worker; /* what asks_child() asks for */

static bool asks_child(uint32_t tunnel, uint32_t rekeys)
{
	uint8_t old[4];

	store_be32(old, rekeys);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	if (rekeys)
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	if (for_a_worker)
		ike_out_notify(&p.out, NTF_SA_RESOURCE_INFO, NULL, 0);
	puppet_offer_esp(&p, ++spis, DH_NONE);
	puppet_nonce(&p, (uint8_t)spis);
	ike_out_selectors(&p.out, PL_TSI, &big.selectors[2 * tunnel + 1], 1);
	ike_out_selectors(&p.out, PL_TSR, &big.selectors[2 * tunnel], 1);
	puppet_forget(&p);
	puppet_send(&p);
	return answered(EX_CREATE_CHILD_SA) && (p.payloads.present & IKE_HAS(SA));
}

static void deletes_child(uint32_t spi)
{
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_forget(&p);
	puppet_send(&p);
}

static void begin(uint32_t peers, uint32_t tunnels_of_flooder)
{
	puppet_init(&p);
	spis = 0x100000;
	handshakes = 0;
	config(peers, tunnels_of_flooder);
	p.setup.live_max = LIVE_MAX;
	p.setup.children_max = CHILDREN_MAX;
	p.core = ike_core_new(&p.setup);
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	assert_true(comes_up(HONEST));
	memcpy(honest.spi_i, p.spi_i, 8);
	memcpy(honest.spi_r, p.spi_r, 8);
	honest.iv = p.iv;
	honest.id = p.own_id;
	honest.spi = spis;
}

static uint32_t shown(const char *text)
{
	static char row[4096];
	uint32_t cursor = 0, n = 0;

	while (ike_show(p.core, p.now, &cursor, row, sizeof row) > 0)
		n += strstr(row, text) != NULL;
	return n;
}

static uint32_t shown_up(uint32_t peer)
{
	char name[80];

	snprintf(name, sizeof name, "\"peer\":\"peer%u\"", peer);
	return shown(name);
}

static void others_go_on(void)
{
	memset(p.fail, 0, sizeof p.fail);
	assert_null(ike_view_wrong(p.core));
	/* the established peer: liveness, and a rekey */
	p.initiator = true;
	p.at.addr = big.peers[HONEST].remote;
	memcpy(p.spi_i, honest.spi_i, 8);
	memcpy(p.spi_r, honest.spi_r, 8);
	p.iv = honest.iv;
	p.own_id = honest.id;
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(answered(EX_INFORMATIONAL));
	assert_true(asks_child(0, honest.spi));
	/* who never was here */
	assert_true(comes_up(NEWCOMER));
	assert_true(p.payloads.present & IKE_HAS(SA));
	assert_true(shown("\"") <= IKE_SAS_MAX);
	assert_null(ike_view_wrong(p.core));
}

/* ---- IKE SAs ---- */

static void half_open(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		p.now += NS_PER_MS;
		p.at.port = (uint16_t)(1000 + i);
		handshakes++;
		assert_true(puppet_init_as_initiator(&p, true));
	}
	p.at.port = 500;
}

static void refused(uint32_t n)
{
	p.fail[KEEPER_AUTH_VERIFY] = RC_AUTH;
	for (uint32_t i = 0; i < n; i++) {
		p.now += NS_PER_MS;
		comes_up(FLOODER);
	}
	p.fail[KEEPER_AUTH_VERIFY] = RC_OK;
}

static void fill_half_open(void)
{
	begin(OTHERS, 1);
	half_open(IKE_HALF_OPEN_MAX + 500);
	assert_int_equal(shown("waiting for IKE_AUTH"), IKE_HALF_OPEN_MAX);
	others_go_on();
}

static void fill_failed(void)
{
	begin(OTHERS, 1);
	refused(IKE_FAILED_MAX + 100);
	assert_int_equal(shown("\"ended\""), IKE_FAILED_MAX);
	others_go_on();
}

/* Many tunnels are to be begun at once, and nobody answers: so many at a time, and in the end as many as may be. */
static void fill_begun(void)
{
	uint32_t before = 0;

	begin(OTHERS, 1);
	config(BEGUN, 1);
	for (uint32_t i = OTHERS; i < BEGUN; i++)
		big.peers[i].start = PEER_START_ALWAYS;
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	for (uint32_t n = shown("IKE_SA_INIT sent"); n < IKE_BEGUN_MAX; n = shown("IKE_SA_INIT sent")) {
		assert_in_range(n, before + 1, before + 2 * IKE_BEGINNING_MAX); /* 1.5 seconds each */
		before = n;
		puppet_run(&p, 2000); /* they are repeated, and are known to be unanswered */
		puppet_forget(&p);
	}
	assert_int_equal(shown("IKE_SA_INIT sent"), IKE_BEGUN_MAX);
	others_go_on();
}

/* All of them at once. */
static void fill_sas(void)
{
	begin(OTHERS, 1);
	for (uint32_t i = 0; i < 3 * IKE_SAS_PER_PEER_MAX; i++)
		comes_up(FLOODER);
	refused(IKE_FAILED_MAX + 100);
	half_open(IKE_HALF_OPEN_MAX + 100);
	assert_true(shown("spi_i") < IKE_SAS_MAX);
	others_go_on();
}

/* One peer comes up again and again; what it had first is closed, and ends whether it answers or not. */
static void fill_one_peer(void)
{
	begin(OTHERS, 1);
	for (uint32_t i = 0; i < 4200; i++) {
		p.now += NS_PER_MS; /* and no timer runs meanwhile */
		assert_true(comes_up(FLOODER));
		assert_true(p.payloads.present & IKE_HAS(SA));
	}
	assert_int_equal(shown("established"), 1 + IKE_SAS_UP_PER_PEER_MAX);
	assert_true(shown_up(FLOODER) <= IKE_SAS_PER_PEER_MAX);
	others_go_on();
}

/* It rekeys its IKE SA without end, and never deletes the old one. */
static void fill_by_rekeys(void)
{
	uint8_t spi[8] = { 0 };

	begin(OTHERS, 1);
	assert_true(comes_up(FLOODER));
	for (uint32_t i = 1; i < 200; i++) {
		store_be64(spi, 0xabc000 + i);
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, (uint8_t)i);
		puppet_ke(&p, DH_CURVE25519);
		puppet_forget(&p);
		puppet_send(&p);
		assert_true(answered(EX_CREATE_CHILD_SA));
		assert_true(p.payloads.present & IKE_HAS(SA));
		memcpy(p.spi_i, spi, 8);
		memcpy(p.spi_r, p.payloads.sa.proposals[0].spi, 8);
		p.iv = 0;
		p.own_id = 0;
		assert_true(shown_up(FLOODER) <= IKE_SAS_PER_PEER_MAX);
	}
	others_go_on();
}

/* So many peers that each takes all it can: each has the places of its own, also the last ones. */
static void fill_live(void)
{
	uint32_t up = 0;

	begin(PEERS, 1);
	for (uint32_t i = OTHERS; i < PEERS; i++)
		for (uint32_t k = 0; k < IKE_SAS_UP_PER_PEER_MAX; k++)
			assert_true(comes_up(i));
	up = shown("established");
	assert_in_range(up, LIVE_MAX - IKE_SAS_SURE * 10, LIVE_MAX);
	assert_in_range(shown_up(PEERS - 1), 1, IKE_SAS_SURE);
	assert_int_equal(shown_up(OTHERS), IKE_SAS_UP_PER_PEER_MAX);
	others_go_on();
}

/* ---- child SAs ---- */

static void fill_one_tunnel(void)
{
	uint32_t first, n = 1;

	begin(OTHERS, 2);
	assert_true(comes_up(FLOODER));
	first = spis;
	while (n < 100 && asks_child(0, 0))
		n++;
	assert_int_equal(n, IKE_CHILDREN_PER_TUNNEL_MAX);
	assert_true(puppet_says(&p, NTF_NO_ADDITIONAL_SAS));
	assert_true(asks_child(1, 0)); /* its other tunnel has places of its own */
	/* A rekey is possible, but not any number of them without deletes. */
	for (n = 0; n < 100 && asks_child(0, first); n++)
		first = spis;
	assert_int_equal(n, IKE_CHILDREN_PER_TUNNEL_MAX);
	assert_true(puppet_says(&p, NTF_NO_ADDITIONAL_SAS));
	others_go_on();
}

/* RFC 9611: and then as many others as without them. */
static void fill_resources(void)
{
	uint32_t n = 0;

	begin(OTHERS, 2);
	big.tunnels[0].flags |= TUNNEL_PER_WORKER;
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	assert_true(comes_up(FLOODER));
	for_a_worker = true;
	while (n < 100 && asks_child(0, 0))
		n++;
	for_a_worker = false;
	assert_int_equal(n, IKE_RESOURCES_MAX);
	assert_true(puppet_says(&p, NTF_TS_MAX_QUEUE));
	for (n = 1; n < 100 && asks_child(0, 0);)
		n++;
	assert_int_equal(n, IKE_CHILDREN_PER_TUNNEL_MAX);
	others_go_on();
}

/* More tunnels than any IKE SA had children: each comes up, and is rekeyed. */
static void fill_children(void)
{
	uint32_t n = 1, first = 0;

	begin(OTHERS, TUNNELS);
	assert_true(comes_up(FLOODER));
	for (uint32_t i = 1; i < TUNNELS; i++)
		assert_true(asks_child(i, 0));
	for (uint32_t i = 0; i < TUNNELS; i++) {
		for (n = 1; n < 100 && asks_child(i, 0); n++)
			first = spis;
		assert_in_range(n, IKE_CHILDREN_SURE, IKE_CHILDREN_PER_TUNNEL_MAX);
	}
	assert_int_equal(n, IKE_CHILDREN_SURE); /* nothing is left for the last one but its own */
	assert_in_range(puppet_children(&p), CHILDREN_MAX - IKE_CHILDREN_PER_TUNNEL_MAX, CHILDREN_MAX);
	assert_true(first != 0);
	others_go_on();
}

/* Made and deleted without end: what waits for packets on their way does not grow. */
static void fill_lingering(void)
{
	uint32_t stays, removed;

	begin(OTHERS, 1);
	assert_true(comes_up(FLOODER));
	stays = p.count[KEEPER_CHILD_REMOVE];
	for (uint32_t i = 0; i < 200; i++) {
		assert_true(asks_child(0, 0));
		deletes_child(spis);
		puppet_run(&p, 1);
	}
	removed = p.count[KEEPER_CHILD_REMOVE] - stays;
	assert_in_range(removed, 200 - IKE_LINGER_PER_TUNNEL_MAX - 1, 200 - IKE_LINGER_PER_TUNNEL_MAX);
	others_go_on();
}

/* ---- the rest ---- */

static void fill_dead_spis(void)
{
	static uint32_t others[2000];

	begin(OTHERS, 1);
	for (uint32_t i = 0; i < COUNT_OF(others); i++)
		others[i] = 0x900000 + i;
	assert_true(comes_up(FLOODER));
	puppet_usage(&p, p.spis, 100);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0-0", NULL), RC_OK);
	puppet_settle(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, others, COUNT_OF(others));
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(answered(EX_INFORMATIONAL));
	assert_int_equal(puppet_deletes(&p), 0);
	others_go_on();
}

/* A shell that takes nothing: what goes beyond is lost, as by the network, and nothing else. */
static void fill_actions(void)
{
	const struct ike_action *a;
	uint32_t n = 0;
	size_t size;

	begin(OTHERS, 1);
	p.initiator = true;
	p.at.addr = big.peers[FLOODER].remote;
	memset(p.spi_r, 0, 8);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0); /* without payloads: INVALID_SYNTAX to each */
	size = puppet_end(&p);
	for (uint32_t i = 0; i < IKE_ACTIONS_MAX + 1000; i++)
		ike_input_datagram(p.core, p.now, &p.core_at, &p.at, p.buffer, size);
	while ((a = ike_action_next(p.core)) != NULL)
		n++;
	assert_int_equal(n, IKE_ACTIONS_MAX);
	others_go_on();
}

static void fill_refusals(void)
{
	begin(OTHERS, 1);
	p.refusals = 0;
	refused(100);
	assert_int_equal(p.refusals, IKE_REFUSALS_BURST);
	p.now += IKE_REFUSAL_EVERY_S * NS_PER_S;
	refused(1);
	assert_int_equal(p.refusals, IKE_REFUSALS_BURST + 1);
	assert_int_equal(p.refusal.left_out, 100 - IKE_REFUSALS_BURST);
	others_go_on();
}

static void fill_refusals_kept(void)
{
	begin(OTHERS + IKE_REFUSALS_KEPT + 10, 1);
	p.fail[KEEPER_AUTH_VERIFY] = RC_AUTH;
	for (uint32_t round = 0; round < 2; round++) /* each keeps one place */
		for (uint32_t i = OTHERS; i < OTHERS + IKE_REFUSALS_KEPT; i++) {
			p.now += IKE_REFUSAL_EVERY_S * NS_PER_S;
			comes_up(i);
		}
	assert_int_equal(shown("\"refused\":"), IKE_REFUSALS_KEPT);
	for (uint32_t i = 0; i < 10; i++) {
		p.now += IKE_REFUSAL_EVERY_S * NS_PER_S;
		comes_up(OTHERS + IKE_REFUSALS_KEPT + i);
	}
	assert_int_equal(shown("\"refused\":"), IKE_REFUSALS_KEPT);
	assert_null(ike_refusal_of(p.core, "peer12"));
	assert_non_null(ike_refusal_of(p.core, "peer13"));
	assert_int_equal(shown("\"refused_s\":0"), 1);
	others_go_on();
}

static void fill_words(void)
{
	static uint8_t message[IKE_PEER_MESSAGE_MAX + 1];

	begin(OTHERS, 1);
	p.vendor = "plaingate ledger messages 1";
	assert_true(comes_up(FLOODER));
	for (size_t n = IKE_PEER_MESSAGE_MAX + 1; n >= IKE_PEER_MESSAGE_MAX; n--) {
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, message, n);
		puppet_forget(&p);
		puppet_send(&p);
		assert_int_equal(p.messages, n <= IKE_PEER_MESSAGE_MAX);
	}
	others_go_on();
}

/* Whoever answers each IKE_SA_INIT with another cookie. */
static void fill_restarts(void)
{
	uint32_t sent = 0;

	begin(OTHERS, 1);
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0-0", NULL);
	puppet_settle(&p);
	p.at.addr = big.peers[FLOODER].remote;
	p.initiator = false;
	for (uint32_t i = 0; i < 100; i++) {
		if (!puppet_read_last(&p) || p.header.exchange != EX_IKE_SA_INIT)
			break;
		sent++;
		memcpy(p.spi_i, p.header.spi_i, 8);
		memset(p.spi_r, 0, 8);
		puppet_forget(&p);
		puppet_response(&p);
		ike_out_notify(&p.out, NTF_COOKIE, &i, sizeof i);
		puppet_send(&p);
	}
	assert_int_equal(sent, 1 + IKE_RESTARTS_MAX);
	others_go_on();
}

/* Peers that came with another one's proposal: of too many the oldest is not known when it comes again. */
static void fill_expected(void)
{
	static const uint8_t other[] = "else.example";

	begin(OTHERS, 1);
	big.peers[FLOODER].flags = big.peers[NEWCOMER].flags = PEER_REMOTE_ANY;
	big.peers[FLOODER].proposals = (struct span){ 0, 1 };
	big.peers[NEWCOMER].proposals = (struct span){ 1, 1 };
	memcpy(big.peers[FLOODER].remote_id.data, other, sizeof other - 1);
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	for (uint32_t i = 0; i < 3 * IKE_EXPECTED_MAX; i++) {
		big.peers[NEWCOMER].remote.b[3] = (uint8_t)(100 + i);
		assert_false(comes_up(NEWCOMER));
		assert_true(puppet_says(&p, NTF_AUTHENTICATION_FAILED));
	}
	config(OTHERS, 1);
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	others_go_on();
}

static void (*const fills[ROWS])(void) = {
	[ROW_SAS_MAX] = fill_sas,
	[ROW_HALF_OPEN_MAX] = fill_half_open,
	[ROW_BEGINNING_MAX] = fill_begun,
	[ROW_BEGUN_MAX] = fill_begun,
	[ROW_FAILED_MAX] = fill_failed,
	[ROW_LIVE_MAX] = fill_live,
	[ROW_SAS_SURE] = fill_live,
	[ROW_SAS_PER_PEER_MAX] = fill_by_rekeys,
	[ROW_SAS_UP_PER_PEER_MAX] = fill_one_peer,
	[ROW_CHILDREN_MAX] = fill_children,
	[ROW_CHILDREN_SURE] = fill_children,
	[ROW_CHILDREN_PER_TUNNEL_MAX] = fill_one_tunnel,
	[ROW_RESOURCES_MAX] = fill_resources,
	[ROW_LINGER_PER_TUNNEL_MAX] = fill_lingering,
	[ROW_DEAD_SPIS_MAX] = fill_dead_spis,
	[ROW_ACTIONS_MAX] = fill_actions,
	[ROW_REFUSALS_BURST] = fill_refusals,
	[ROW_REFUSALS_KEPT] = fill_refusals_kept,
	[ROW_PEER_MESSAGE_MAX] = fill_words,
	[ROW_EXPECTED_MAX] = fill_expected,
	[ROW_RESTARTS_MAX] = fill_restarts,
};

static void every_limit_is_filled_and_the_others_go_on(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		assert_non_null(fills[i]); /* a row without a test */
		if (i > 0 && fills[i] == fills[i - 1])
			continue; /* two sides of one limit */
		fills[i]();
		puppet_done(&p);
	}
}

/* ---- a child that does not live ---- */

static bool core_asks_child(void)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == EX_CREATE_CHILD_SA &&
			!(p.header.flags & IKE_FLAG_RESPONSE))
			return true;
	return false;
}

static void up_by_us(uint16_t start)
{
	puppet_init(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = start;
	puppet_start(&p);
	if (start == PEER_START_ON_TRAFFIC)
		ike_input_acquire(p.core, p.now, 0, NULL, NULL);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, spis = 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
}

/* The peer takes each child and deletes it at once: the pause doubles, up to a minute. */
static void taken_and_deleted(void **state)
{
	uint32_t made = 0;

	up_by_us(PEER_START_ALWAYS);
	for (mono_ns end = p.now + 600 * NS_PER_S; p.now < end;) {
		deletes_child(spis);
		assert_false(core_asks_child());
		while (p.now < end && !core_asks_child()) {
			puppet_forget(&p);
			puppet_run(&p, 100);
			if (puppet_read_last(&p) && p.header.exchange == EX_INFORMATIONAL) {
				puppet_response(&p);
				puppet_send(&p);
			}
		}
		if (p.now >= end)
			break;
		made++;
		puppet_response(&p);
		puppet_offer_esp(&p, ++spis, DH_NONE);
		puppet_nonce(&p, (uint8_t)made);
		puppet_selectors_back(&p, 0);
		puppet_send(&p);
	}
	assert_in_range(made, 10, 25);
	puppet_done(&p);
}

/* One that lived longer is replaced at once. */
static void deleted_after_a_while(void **state)
{
	up_by_us(PEER_START_ALWAYS);
	puppet_run(&p, IKE_SHORT_LIVED_S * 1000);
	deletes_child(spis);
	assert_true(core_asks_child());
	puppet_done(&p);
}

/* On traffic: not before there is some. */
static void deleted_and_made_on_traffic(void **state)
{
	up_by_us(PEER_START_ON_TRAFFIC);
	puppet_run(&p, IKE_SHORT_LIVED_S * 1000);
	deletes_child(spis);
	puppet_forget(&p);
	puppet_run(&p, 20000);
	assert_false(core_asks_child());
	puppet_forget(&p);
	ike_input_acquire(p.core, p.now, 0, NULL, NULL);
	puppet_settle(&p);
	assert_true(core_asks_child());
	puppet_done(&p);
}

/* ---- the link to the keeper ---- */

/* Its queue is full for a second: what is asked meanwhile is asked again, and nothing of it is lost. */
static void keeper_queue_is_full(void **state)
{
	up_by_us(PEER_START_ALWAYS);
	puppet_forget(&p);
	p.untaken = RC_LIMIT;
	p.untaken_n = 5;
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_false(core_asks_child());
	puppet_run(&p, 6 * IKE_KEEPER_AGAIN_MS);
	assert_int_equal(p.untaken_n, 0);
	assert_true(core_asks_child());
	/* what takes away waits as well */
	p.untaken_n = 5;
	deletes_child(spis);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	puppet_run(&p, 6 * IKE_KEEPER_AGAIN_MS);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_null(ike_view_wrong(p.core));
	puppet_done(&p);
}

/*
 * The keeper dies again and again, and there is none for a while: what is asked meanwhile is asked again, and nothing of it counts as a
 * failure of the peer. Whatever waited for an answer that never comes would stay for ever.
 */
static void keeper_is_away(void **state)
{
	up_by_us(PEER_START_ALWAYS);
	ike_input_keeper_lost(p.core, p.now);
	puppet_forget(&p);
	memset(p.count, 0, sizeof p.count);
	p.untaken = RC_IO;
	p.untaken_n = UINT32_MAX;
	puppet_settle(&p);
	puppet_run(&p, 1000);
	assert_int_equal(p.count[KEEPER_EXCHANGE_BEGIN], 0);
	for (int i = 0; i < 6; i++) { /* those that end before they are ready */
		ike_input_keeper_lost(p.core, p.now);
		puppet_settle(&p);
		puppet_run(&p, 1000);
	}
	p.untaken_n = 0;
	puppet_run(&p, IKE_LOST_MS_MAX + IKE_KEEPER_AGAIN_MS + 100);
	assert_int_equal(p.count[KEEPER_EXCHANGE_BEGIN], 1);
	assert_null(ike_view_wrong(p.core));
	puppet_done(&p);
}

/* A request that the link will never take is answered by the core itself as failed. */
static void keeper_link_refuses(void **state)
{
	up_by_us(PEER_START_ALWAYS);
	puppet_usage(&p, p.spis, 100);
	puppet_forget(&p);
	p.untaken = RC_DENIED;
	p.untaken_n = 1;
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_false(core_asks_child());
	assert_int_equal(ike_view_busy(p.core), 0);
	for (uint32_t s = 0; s < 3 * IKE_REKEY_RETRY_S && !core_asks_child(); s++) {
		puppet_usage(&p, p.spis, 0); /* else it asks whether the peer lives */
		puppet_run(&p, 1000);
	}
	assert_true(core_asks_child());
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_limit_is_filled_and_the_others_go_on),
		cmocka_unit_test(taken_and_deleted),
		cmocka_unit_test(deleted_after_a_while),
		cmocka_unit_test(deleted_and_made_on_traffic),
		cmocka_unit_test(keeper_queue_is_full),
		cmocka_unit_test(keeper_is_away),
		cmocka_unit_test(keeper_link_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
