/*
 * SYN cookies and the connections that begin by them, with a client and a server that each count for themselves: random
 * options, first numbers next to their wrap, IPv4, IPv6 and NAT64, with and without NAT, one and several workers, deaths of
 * the process and commits. What each of them receives must be what the other has sent, in its own numbers. And what strangers may try.
 */
#include "gate.h"
#include "syn_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT	"10.1.0.2"
#define SERVER	"192.0.2.80"
#define CLIENT6 "2001:db8:1::2"
#define SERVER6 "2001:db8:80::80"
#define WAN	"198.51.100.2"
#define WAN6	"2001:db8:ff::2"
#define WORKERS 4

static const char *const nats[] = {
	"",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
	"  rule all6 { from trust; to untrust; then { source-nat interface-ipv6; } } } }",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; persistent-nat endpoint-independent; } } } }",
	"address-book { address published { prefix 203.0.113.5/32; } }\n"
	"nat { destination { rule d { from trust; match { destination published; application web; }\n"
	"  then { destination-nat " SERVER "; } } } }",
	"nat { nat64 { rule four { from trust; prefix 2001:db8:64::/96; } }\n"
	"source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
};

static struct gate team[WORKERS];
static struct gate_queue queues[WORKERS];
static uint32_t workers, on_the_way;
static uint64_t seed;
static struct packet packet;

static uint32_t some(uint32_t n)
{
	return next_random(&seed) % n;
}

static const char *text(const char *screen)
{
	static char all[8192];
	static const char zone[] = "zone trust { ";
	const char *at = strstr(gate_text, zone) + strlen(zone);

	snprintf(all, sizeof all, "screens { screen s { %s } }\n%.*s screen s; %s", screen,
		(int)(at - gate_text), gate_text, at);
	return all;
}

#define FLOODED "tcp { syn-flood { attack-threshold 1; } syn-ack-ack-proxy { threshold 200; } }"

static void begin(uint32_t n, const char *screen, const char *nat)
{
	workers = n;
	on_the_way = 0;
	gate_init_team(team, n, text(screen), nat, 256);
	gate_link_team(team, n, queues, &on_the_way);
}

static void end(void)
{
	for (uint32_t i = workers; i-- > 0;)
		gate_done(&team[i]);
}

/* ---- what came out ---- */

struct seen {
	bool is;
	bool to_server;
	struct train t;
	const uint8_t *options;
	size_t options_n;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
};
static struct seen out[16];
static uint32_t out_n;

/* The body of an option, by a walk of its own. */
static const uint8_t *option(const struct seen *s, uint8_t kind, size_t size)
{
	for (size_t i = 0; i < s->options_n && s->options[i] != 0;) {
		if (s->options[i] == 1) {
			i++;
			continue;
		}
		if (s->options[i] == kind && s->options[i + 1] == size)
			return s->options + i + 2;
		i += s->options[i + 1];
	}
	return NULL;
}

static void outputs(void)
{
	out_n = 0;
	for (uint32_t w = 0; w < workers; w++)
		for (uint32_t i = 0; i < team[w].out_n; i++) {
			const struct gate_out *o = &team[w].out[i];
			struct seen *s = &out[out_n++];
			assert_in_range(out_n, 0, COUNT_OF(out));
			*s = (struct seen){ .is = true,
				.to_server = o->interface == gate_interface(&team[w], GATE_WAN),
				.t = { .ip = o->bytes, .len = o->n, .csum = TRAIN_CSUM_UNKNOWN } };
			assert_int_equal(train_parse(&s->t), DROP_NONE);
			assert_true(packet_sound(s->t.ip, s->t.len));
			if (s->t.proto != IP_TCP)
				continue;
			const uint8_t *l4 = s->t.ip + s->t.l4_offset;
			s->seq = load_be32(l4 + 4);
			s->ack = load_be32(l4 + 8);
			s->flags = l4[13];
			s->window = load_be16(l4 + 14);
			s->options = l4 + 20;
			s->options_n = (size_t)(l4[12] >> 4) * 4 - 20;
		}
}

static enum drop_reason arrives(uint32_t link, const struct packet_spec *spec)
{
	uint64_t before[DROP_COUNT] = { 0 };
	enum drop_reason drop = DROP_NONE;

	for (uint32_t i = 0; i < workers; i++) {
		gate_clear(&team[i]);
		for (int r = 1; r < DROP_COUNT; r++)
			before[r] += team[i].p.drops[r];
	}
	gate_from_link(&team[some(workers)], link, packet_make(&packet, spec));
	gate_run_team(team, workers);
	for (int r = 1; r < DROP_COUNT; r++) {
		uint64_t now = 0;
		for (uint32_t i = 0; i < workers; i++)
			now += team[i].p.drops[r];
		drop = now != before[r] ? (enum drop_reason)r : drop;
	}
	outputs();
	return drop;
}

static void time_passes(mono_ns ns)
{
	for (uint32_t i = 0; i < workers; i++) {
		gate_clear(&team[i]);
		team[i].now += ns;
		fw_expire(team[i].fw, team[i].now, 1000);
		pipeline_joins_tick(&team[i].p, team[i].now);
	}
	gate_run_team(team, workers);
	outputs();
}

static uint64_t sessions(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += fw_counters(team[i].fw)->sessions_now - fw_counters(team[i].fw)->bindings_now;
	return n;
}

static uint64_t counted(enum syn_count what)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += team[i].p.syn_counts[what];
	return n;
}

static bool any_to(bool server)
{
	for (uint32_t i = 0; i < out_n; i++)
		if (out[i].to_server == server)
			return true;
	return false;
}

/* The only one. */
static const struct seen *to(bool server)
{
	static const struct seen none;
	const struct seen *found = &none;

	for (uint32_t i = 0; i < out_n; i++)
		if (out[i].to_server == server) {
			assert_false(found->is);
			found = &out[i];
		}
	return found;
}

/* ---- two ends ---- */

static struct end client, server;
static struct packet_spec c_spec, s_spec; /* addresses and ports of each */
static bool v6;

static struct packet_spec from(const struct end *e, uint8_t flags)
{
	struct packet_spec s = e == &client ? c_spec : s_spec;

	s.proto = IP_TCP;
	s.flags = flags;
	s.seq = e->next;
	s.ack = flags & TCP_ACK ? e->given : 0;
	s.window = 1000;
	return s;
}

static uint8_t options[40];

static enum drop_reason syn(void)
{
	struct packet_spec s = from(&client, TCP_SYN);

	s.options = options;
	s.options_n = end_syn_options(options, &client, 0);
	s.window = 64240;
	return arrives(GATE_LAN, &s);
}

/* A SYN of another connection, so that this second has had its first. */
static void flood(void)
{
	struct packet_spec s = c_spec;

	s.src_port = 9;
	s.proto = IP_TCP;
	s.flags = TCP_SYN;
	arrives(GATE_LAN, &s);
}

static uint32_t cookie, cookie_ts, ts_more; /* ts_more: what the client counts more than the server */

/* The gateway's answer: never longer, with no option that was not asked for, and nothing is kept. */
static void answered(size_t syn_n)
{
	const struct seen *a = to(false);
	const uint8_t *o;

	assert_int_equal(out_n, 1);
	assert_true(a->is);
	assert_int_equal(a->flags, TCP_SYN | TCP_ACK);
	assert_int_equal(a->ack, client.next + 1);
	assert_int_equal(a->window, 0);
	assert_true(a->t.len <= syn_n);
	assert_int_equal(!!option(a, 2, 4), client.mss != 0);
	assert_int_equal(!!option(a, 3, 3), client.scales);
	assert_int_equal(!!option(a, 4, 2), client.sack);
	if ((o = option(a, 2, 4)))
		assert_in_range(load_be16(o), 1200, 1460);
	o = option(a, 8, 10);
	assert_int_equal(!!o, client.stamps);
	if (o)
		assert_int_equal(load_be32(o + 4), client.ts);
	cookie = a->seq;
	cookie_ts = o ? load_be32(o) : 0;
}

static void handshake_of_client(void)
{
	uint64_t before = sessions();
	uint8_t space[40];

	assert_int_equal(syn(), DROP_NONE);
	answered((v6 ? 60 : 40) + end_syn_options(space, &client, 0));
	assert_int_equal(sessions(), before);
	client.next++;
	client.given = cookie + 1;
	client.echo = cookie_ts;
	client.ts += some(3);
}

static enum drop_reason returns_cookie(void)
{
	struct packet_spec s = from(&client, TCP_ACK);

	if (client.stamps) {
		s.options = options;
		s.options_n = end_stamps(options, client.ts, client.echo);
	}
	return arrives(GATE_LAN, &s);
}

/* What the server gets is the client's SYN. */
static void syn_is(const struct seen *a)
{
	const uint8_t *o;

	assert_int_equal(out_n, 1);
	assert_true(a->is);
	assert_true(a->to_server);
	assert_int_equal(a->flags, TCP_SYN);
	assert_int_equal(a->seq, client.next - 1);
	assert_int_equal(!!option(a, 4, 2), client.sack);
	o = option(a, 2, 4);
	assert_non_null(o);
	if (client.mss)
		assert_true(load_be16(o) <= client.mss && load_be16(o) * 10 >= MIN_OF(client.mss, 1460) * 7);
	o = option(a, 3, 3);
	assert_int_equal(!!o, client.scales);
	if (o)
		assert_int_equal(*o, client.scale);
	if (client.scales && client.scale >= 6)
		assert_int_equal(a->window, MIN_OF(1000u << client.scale, 65535u));
	o = option(a, 8, 10);
	assert_int_equal(!!o, client.stamps);
	if (o)
		assert_int_equal(load_be32(o), client.ts);
	/* as the server sees the client */
	static char text_of[ADDR_TEXT_MAX];
	s_spec.src = a->t.dst.family == ADDR_V4 ? SERVER : SERVER6;
	s_spec.dst = strcpy(text_of, addr_text((char[ADDR_TEXT_MAX]){ 0 }, &a->t.src));
	s_spec.src_port = a->t.dst_port;
	s_spec.dst_port = a->t.src_port;
	server.given = a->seq + 1;
	server.echo = o ? load_be32(o) : 0;
}

static enum drop_reason server_accepts(void)
{
	struct packet_spec s = from(&server, TCP_SYN | TCP_ACK);

	s.options = options;
	s.options_n = end_syn_options(options, &server, server.echo);
	s.window = 5000;
	return arrives(GATE_WAN, &s);
}

static void both_open(void)
{
	const struct seen *a = to(true), *b = to(false);
	const uint8_t *o;

	assert_int_equal(out_n, 2);
	assert_true(a->is);
	assert_true(b->is);
	ts_more = cookie_ts - server.ts;
	assert_int_equal(a->flags, TCP_ACK);
	assert_int_equal(a->seq, client.next);
	assert_int_equal(a->ack, server.next + 1);
	assert_true(a->window > 0);
	assert_int_equal(!!(o = option(a, 8, 10)), server.stamps);
	if (o) {
		assert_int_equal(load_be32(o), server.echo);
		assert_int_equal(load_be32(o + 4), server.ts);
	}
	assert_int_equal(b->flags, TCP_ACK);
	assert_int_equal(b->seq, cookie + 1);
	assert_int_equal(b->ack, client.next);
	assert_int_equal(
		(uint32_t)b->window << (client.scales ? 7 : 0), client.scales ? 5000 / 128 * 128 : 5000);
	assert_int_equal(!!(o = option(b, 8, 10)), server.stamps);
	if (o) {
		assert_int_equal(load_be32(o), cookie_ts);
		assert_int_equal(load_be32(o + 4), server.echo);
	}
}

static uint32_t difference(uint32_t a, uint32_t b)
{
	return a - b;
}

/* One segment of either end, with or without octets, SACK and timestamps: the other one must understand it. */
static void talks(struct end *e)
{
	bool c = e == &client;
	struct end *other = c ? &server : &client;
	struct packet_spec s = from(e, TCP_ACK | (some(2) ? TCP_PSH : 0));
	size_t n = 0;
	bool sack = e->sack && some(3) == 0, stamps = c ? client.stamps : server.stamps;
	uint32_t edge = e->given + 100 + some(1000);

	s.payload_n = some(2) ? 1 + some(15) : 0;
	s.window = (uint16_t)(2000 + some(60000));
	if (stamps)
		n += end_stamps(options, e->ts += some(3), e->echo);
	if (sack) {
		options[n] = options[n + 1] = 1;
		options[n + 2] = 5;
		options[n + 3] = 10;
		store_be32(options + n + 4, edge);
		store_be32(options + n + 8, edge + 50);
		n += 12;
	}
	s.options = options;
	s.options_n = n;
	enum drop_reason drop = arrives(c ? GATE_LAN : GATE_WAN, &s);
	assert_int_equal(drop, DROP_NONE);
	assert_int_equal(out_n, 1);
	assert_int_equal(out[0].to_server, c);
	assert_int_equal(out[0].seq, other->given);
	assert_int_equal(difference(out[0].ack, other->next), difference(s.ack, e->given));
	const uint8_t *o = option(&out[0], 8, 10);
	assert_int_equal(!!o, stamps);
	if (o) {
		assert_int_equal(load_be32(o), c ? e->ts : e->ts + ts_more);
		if (server.stamps)
			assert_int_equal(load_be32(o + 4), c ? e->echo - ts_more : e->echo);
		other->echo = load_be32(o);
	}
	o = option(&out[0], 5, 10);
	assert_int_equal(!!o, sack && (!c || server.sack));
	if (o)
		assert_int_equal(load_be32(o) - other->next, edge - e->given);
	/* windows in octets, to the next lower multiple of what the receiver's scale says */
	uint32_t mine =
		c ? (client.scales ? client.scale : 0) : (server.scales && client.scales ? server.scale : 0);
	uint32_t theirs = c ? (server.scales && client.scales ? client.scale : 0) : (client.scales ? 7 : 0);
	uint64_t octets = (uint64_t)s.window << mine;
	assert_int_equal(out[0].window, MIN_OF(octets >> theirs, 65535u));
	e->next += (uint32_t)s.payload_n;
	other->given += (uint32_t)s.payload_n;
}

/* ---- whole connections ---- */

struct family {
	const char *name, *client, *server, *more;
	uint32_t nat;
};

static const struct family families[] = {
	{ "IPv4", CLIENT, SERVER, "", 0 },
	{ "IPv4 with source NAT", CLIENT, SERVER, "", 1 },
	{ "IPv4 with persistent NAT", CLIENT, SERVER, "", 2 },
	{ "IPv4 with destination NAT", CLIENT, "203.0.113.5", "", 3 },
	{ "IPv6", CLIENT6, SERVER6, "", 0 },
	{ "IPv6 with source NAT", CLIENT6, SERVER6, "", 1 },
	{ "NAT64", CLIENT6, "2001:db8:64::c000:250", "", 4 },
};

static void ends_begin(const struct family *f)
{
	v6 = strchr(f->client, ':');
	client = end_new(&seed);
	server = end_new(&seed);
	server.scales &= client.scales;
	server.sack &= client.sack;
	server.stamps &= client.stamps;
	c_spec = (struct packet_spec){
		.src = f->client, .dst = f->server, .src_port = (uint16_t)(1024 + some(60000)), .dst_port = 80
	};
	s_spec = (struct packet_spec){ 0 };
}

/* port: the client's, or 0 for any. */
static void opens_from(const struct family *f, uint16_t port)
{
	ends_begin(f);
	c_spec.src_port = port ? port : c_spec.src_port;
	flood();
	handshake_of_client();
	assert_int_equal(returns_cookie(), DROP_NONE);
	syn_is(to(true));
	assert_int_equal(server_accepts(), DROP_NONE);
	both_open();
	server.next++;
	client.echo = cookie_ts;
}

static void opens(const struct family *f)
{
	opens_from(f, 0);
}

/* Two in a row: the first has no such screen, the second is as before. */
static void commits(const char *nat)
{
	for (uint32_t k = 0; k < 2; k++)
		gate_load_team(team, workers, text(k == 0 ? "icmp { large; }" : FLOODED), nat);
}

static void restarts(void)
{
	for (uint32_t i = 0; i < workers; i++) {
		struct gate *g = &team[i];
		struct fw_limits limits = {
			.sessions_max = 256, .reassembly_max = 80, .worker = i, .workers = workers
		};
		memcpy(limits.hash_key, g->p.hash_key, sizeof limits.hash_key);
		memcpy(limits.flow_key, gate_flow_key, sizeof limits.flow_key);
		limits.hash_key[0] ^= 1;
		fw_detach(g->fw);
		g->p.fw = g->fw = fw_attach(g->memory, g->memory_n, false, &limits, g->now, NULL);
		assert_non_null(g->fw);
		assert_int_equal(fw_load(g->fw, g->snapshot, g->now, NULL), RC_OK);
		pipeline_changed(&g->p);
	}
	gate_join_team(team, workers);
}

static void ends(void)
{
	struct end *first = some(2) ? &client : &server, *second = first == &client ? &server : &client;
	struct end *by[] = { first, second };

	for (int i = 0; i < 2; i++) {
		struct packet_spec s = from(by[i], TCP_FIN | TCP_ACK);
		assert_int_equal(arrives(by[i] == &client ? GATE_LAN : GATE_WAN, &s), DROP_NONE);
		assert_int_equal(out_n, 1);
		assert_int_equal(out[0].seq, by[1 - i]->given);
		by[i]->next++;
		by[1 - i]->given++;
	}
	struct packet_spec s = from(first, TCP_ACK);
	assert_int_equal(arrives(first == &client ? GATE_LAN : GATE_WAN, &s), DROP_NONE);
	assert_int_equal(out[0].ack, second->next);
}

static void connections(void **state)
{
	static const uint32_t team_sizes[] = { 1, 1, 2, 4 };

	for (uint32_t k = 0; k < COUNT_OF(families); k++)
		for (uint32_t round = 0; round < 8; round++) {
			seed = k * 1000 + round;
			gate_flow_key[0] = (uint8_t)seed;
			begin(team_sizes[round % COUNT_OF(team_sizes)], FLOODED, nats[families[k].nat]);
			opens(&families[k]);
			for (uint32_t i = 0; i < 60; i++) {
				if (i == 30 && round % 3 == 0)
					restarts();
				if (i == 30 && round % 3 == 1)
					commits(nats[families[k].nat]);
				talks(some(2) ? &client : &server);
			}
			assert_int_equal(counted(SYN_COUNT_OPENED), 1);
			ends();
			end();
		}
}

/* ---- servers that refuse, are silent, or repeat themselves ---- */

static void opening(const char *screen)
{
	begin(1, screen, nats[1]);
	ends_begin(&families[1]);
	client.stamps = client.scales = true;
	flood();
	handshake_of_client();
	assert_int_equal(returns_cookie(), DROP_NONE);
	syn_is(to(true));
}

static void reset_of_client(void)
{
	const struct seen *a = to(false);

	assert_true(a->is);
	assert_true(a->flags & TCP_RST);
	assert_int_equal(a->seq, cookie + 1);
	assert_int_equal(a->ack, client.next);
}

static void refuses(void **state)
{
	seed = 1;
	opening(FLOODED);
	struct packet_spec s = from(&server, TCP_RST | TCP_ACK);
	s.seq = 0;
	assert_int_equal(arrives(GATE_WAN, &s), DROP_NONE);
	reset_of_client();
	end();
}

static void silent(void **state)
{
	uint32_t syns = 0, seconds;

	seed = 2;
	opening(FLOODED);
	for (seconds = 1; seconds < 30 && !any_to(false); seconds++) {
		time_passes(NS_PER_S);
		if (any_to(true)) {
			syn_is(to(true));
			syns++;
		}
	}
	assert_int_equal(syns, 3);
	assert_in_range(seconds, 14, 17);
	reset_of_client();
	assert_int_equal(sessions(), 1); /* that of flood() */
	end();
}

/* The client's probes of its closed window, with the number before its first octet and with one. */
static void probes(void **state)
{
	seed = 3;
	opening(FLOODED);
	for (int k = 0; k < 2; k++) {
		struct packet_spec s = from(&client, TCP_ACK);
		s.seq -= k == 0;
		s.payload_n = (size_t)k;
		s.options = options;
		s.options_n = end_stamps(options, client.ts, client.echo);
		assert_int_equal(arrives(GATE_LAN, &s), DROP_SYN_PROXY_OPENING);
		syn_is(to(true));
		s.ack++;
		assert_int_equal(arrives(GATE_LAN, &s), DROP_SYN_PROXY_OPENING);
		assert_int_equal(out_n, 0);
	}
	/* the acknowledgement was lost: the answer comes again */
	for (int k = 0; k < 3; k++) {
		server.stamps = true;
		assert_int_equal(server_accepts(), DROP_NONE);
		both_open();
	}
	end();
}

/* A server that remembers an older connection challenges, and is told that there is none. */
static void challenge(void **state)
{
	seed = 4;
	opening(FLOODED);
	struct packet_spec s = from(&server, TCP_ACK);
	s.seq = 77;
	s.ack = 99;
	assert_int_equal(arrives(GATE_WAN, &s), DROP_SYN_PROXY_OPENING);
	assert_int_equal(out_n, 1);
	assert_true(out[0].to_server);
	assert_int_equal(out[0].flags, TCP_RST);
	assert_int_equal(out[0].seq, 99);
	time_passes(NS_PER_S);
	syn_is(to(true));
	assert_int_equal(server_accepts(), DROP_NONE);
	both_open();
	end();
}

/* ---- strangers ---- */

/* Of so many guesses none is taken; a cookie is good for its sender, its ports and its time alone. */
static void forged(void **state)
{
	seed = 5;
	begin(1, FLOODED, nats[0]);
	ends_begin(&families[0]);
	flood();
	handshake_of_client();
	uint64_t before = sessions();
	struct end good = client;
	for (uint32_t i = 0; i < 20000; i++) {
		client.given = next_random(&seed);
		assert_int_equal(returns_cookie(), DROP_NO_SESSION);
	}
	client = good;
	client.stamps = !client.stamps;
	assert_int_equal(returns_cookie(), DROP_NO_SESSION);
	client = good;
	client.next += 7;
	assert_int_equal(returns_cookie(), DROP_NO_SESSION);
	client = good;
	c_spec.src_port++;
	assert_int_equal(returns_cookie(), DROP_NO_SESSION);
	c_spec.src_port--;
	c_spec.src = "10.1.0.3";
	assert_int_equal(returns_cookie(), DROP_NO_SESSION);
	c_spec.src = CLIENT;
	assert_int_equal(sessions(), before);
	team[0].now += 31 * NS_PER_S;
	assert_int_equal(returns_cookie(), DROP_NONE);
	end();
}

static void old(void **state)
{
	seed = 6;
	begin(1, FLOODED, nats[0]);
	ends_begin(&families[0]);
	flood();
	handshake_of_client();
	team[0].now += 64 * NS_PER_S;
	for (int i = 0; i < 2; i++) { /* also while new ones are sent */
		assert_int_equal(returns_cookie(), DROP_NO_SESSION);
		c_spec.src_port++;
		flood();
		c_spec.src_port--;
	}
	end();
}

/* What no rule permits, whose source cannot be, or what has no way back is not answered. */
static void not_reflected(void **state)
{
	static const char *const sources[] = { "10.1.255.255", "192.0.2.99", "10.1.0.1", "255.255.255.255",
		"224.0.0.1" };

	seed = 7;
	begin(1, FLOODED, nats[0]);
	ends_begin(&families[0]);
	c_spec.dst_port = 83;
	flood();
	assert_int_equal(syn(), DROP_DEFAULT_DENY);
	assert_int_equal(out_n, 0);
	c_spec.dst_port = 80;
	flood();
	for (uint32_t i = 0; i < COUNT_OF(sources); i++) {
		c_spec.src = sources[i];
		uint64_t sent = counted(SYN_COUNT_COOKIES);
		enum drop_reason drop = syn();
		/* an address of the subnet that no host has: its neighbour is asked for, and does not answer */
		assert_true(drop != DROP_NONE || i == 0);
		assert_int_equal(out_n, 0);
		assert_int_equal(counted(SYN_COUNT_COOKIES), sent + (i == 0));
	}
	end();
}

/* The source has shown that it receives, and is refused all the same: it is told so. */
static void syn_ack_ack(void **state)
{
	seed = 8;
	begin(1, "tcp { syn-flood { attack-threshold 1; } syn-ack-ack-proxy { threshold 3; } }", nats[0]);
	for (uint16_t i = 0; i < 6; i++) {
		ends_begin(&families[0]);
		c_spec.src_port = (uint16_t)(2000 + i);
		flood();
		handshake_of_client();
		bool over = sessions() >= 3;
		assert_int_equal(returns_cookie(), over ? DROP_SCREEN_SYN_ACK_ACK : DROP_NONE);
		if (over)
			reset_of_client();
	}
	assert_int_equal(sessions(), 3);
	end();
}

/* The screen of alarms answers nothing; nor does one below its threshold, nor one that has none. */
static void without(void **state)
{
	static const char *const screens[] = {
		"alarm-without-drop; tcp { syn-flood { attack-threshold 1; } }",
		"tcp { syn-flood { attack-threshold 50; } }", "icmp { large; }"
	};

	for (uint32_t i = 0; i < COUNT_OF(screens); i++) {
		seed = 9;
		begin(1, screens[i], nats[0]);
		ends_begin(&families[0]);
		flood();
		assert_int_equal(syn(), DROP_NONE);
		assert_true(any_to(true));
		assert_int_equal(counted(SYN_COUNT_COOKIES), 0);
		end();
	}
}

/* A flood from everywhere keeps nothing but what it begins below the threshold; the table of those that wait is bounded. */
static void floods(void **state)
{
	char src[32];

	seed = 10;
	begin(1, "tcp { syn-flood { attack-threshold 5; } }", nats[0]);
	ends_begin(&families[0]);
	c_spec.src = src;
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(src, sizeof src, "10.1.%u.%u", 1 + i / 250, 1 + i % 250);
		syn();
	}
	assert_int_equal(sessions(), 5);
	assert_int_equal(counted(SYN_COUNT_COOKIES) + counted(SYN_COUNT_UNSENT), 4995);
	end();
}

/* The client closes and calls again from the same port: its cookie finds the closed session, which gives way. */
static void same_port(void **state)
{
	seed = 11;
	begin(1, FLOODED, nats[0]);
	opens(&families[0]);
	ends();
	opens_from(&families[0], c_spec.src_port);
	end();
}

/* After `clear sessions` nothing of the old connection passes untranslated; a new one has windows and timestamps as before. */
static void cleared(void **state)
{
	for (seed = 20; seed < 40; seed++) {
		begin(1, FLOODED, nats[1]);
		opens(&families[1]);
		while (client.given ==
			cookie + 1) /* until then a segment returns the cookie, and begins again */
			talks(&server);
		for (uint32_t i = 0; i < fw_sessions_used(team[0].fw); i++)
			fw_session_end(team[0].fw, i, team[0].now);
		for (int k = 0; k < 2; k++) {
			struct packet_spec s = from(k ? &server : &client, TCP_ACK | TCP_PSH);
			enum drop_reason drop = arrives(k ? GATE_WAN : GATE_LAN, &s);
			assert_int_equal(
				drop, k ? DROP_NONE : DROP_NO_SESSION); /* k: to the gateway itself */
			assert_int_equal(out_n, 0);
		}
		opens_from(&families[1], c_spec.src_port);
		for (uint32_t i = 0; i < 10; i++)
			talks(some(2) ? &client : &server);
		end();
	}
}

/* An error of a router on the client's side quotes what the client counts, and is checked by what the server has sent. */
static void errors(void **state)
{
	uint8_t quote[28 + 8] = { 0 };

	seed = 12;
	begin(1, FLOODED, nats[0]);
	opens(&families[0]);
	talks(&server);
	struct packet_spec s = from(&server, TCP_ACK);
	struct train t = packet_make(&packet, &s);
	memcpy(quote + 4, t.ip, 28); /* next hop's MTU in front */
	store_be32(quote + 4 + 24, client.given);
	struct packet_spec error = { .src = CLIENT,
		.dst = SERVER,
		.proto = IP_ICMP,
		.icmp_type = 3,
		.icmp_code = 1,
		.payload = quote + 4,
		.payload_n = 28 };
	assert_int_equal(arrives(GATE_LAN, &error), DROP_NONE);
	assert_int_equal(out_n, 1);
	assert_int_equal(load_be32(out[0].t.ip + 20 + 8 + 24), server.next);
	store_be32(quote + 4 + 24, server.next);
	assert_int_equal(arrives(GATE_LAN, &error), DROP_ICMP_UNRELATED);
	end();
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = { T(connections), T(refuses), T(silent), T(probes), T(challenge),
		T(forged), T(old), T(not_reflected), T(syn_ack_ack), T(without), T(floods), T(same_port),
		T(cleared), T(errors) };
	return cmocka_run_group_tests_name("syn proxy", tests, NULL, NULL);
}
