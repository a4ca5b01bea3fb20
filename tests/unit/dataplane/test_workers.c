/*
 * Several workers do what one does: the same packets, arriving at any of them, get the same verdicts, come out
 * the same and leave the same sessions. Once worker after worker in one thread, packet by packet, and once in
 * threads of their own, with pauses, which ThreadSanitizer can watch (-Db_sanitize=thread).
 */
#include "firewall/internal.h"
#include "proc/dataplane/pause.h"
#include "capture.h"
#include "nat_cases.h"
#include "talks.h"
#include "wire/flow.h"
#include "wire/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS	     40
#define ROUNDS	     300
#define SESSIONS     512
#define MOST	     (SEEDS * ROUNDS / 3)
#define INPUTS	     6000 /* of one run in threads */
#define THREAD_SEEDS 6
#define WAITING_MAX  100 /* trains on the way, so that no queue is full */

static struct gate single, team[WORKERS_MAX];
static struct gate_queue queues[WORKERS_MAX];
static uint32_t workers, on_the_way;
static struct packet rooms[2];

static const struct nat_case *present = &nat_cases[0];
static const char *team_text = gate_text;
static uint32_t team_sessions = SESSIONS;

/* The queue for those that are not known is each worker's own. */
static void is_there(struct gate *g, const char *text)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 3 }, .state = ROUTE_NEIGHBOUR_VALID
	};

	assert_int_equal(addr_parse(&n.addr, text), RC_OK);
	assert_int_equal(route_neighbour_set(g->routes, &n), RC_OK);
}

static void team_begin(uint64_t seed, uint32_t n, const char *more)
{
	talks_begin(seed);
	workers = n;
	on_the_way = 0;
	gate_flow_key[0] = (uint8_t)seed;
	gate_init(&single, team_text, more, team_sessions);
	gate_sa(&single, false);
	gate_init_team(team, n, team_text, more, team_sessions);
	gate_link_team(team, n, queues, &on_the_way);
	gate_sa(&team[0], false);
	is_there(&single, "10.1.0.3");
	is_there(&single, "2001:db8:1::3");
	is_there(&team[0], "10.1.0.3");
	is_there(&team[0], "2001:db8:1::3");
	for (uint32_t i = 0; i < n; i++)
		pipeline_changed(&team[i].p);
}

static void team_end(void)
{
	for (uint32_t i = workers; i-- > 0;) {
		gate_queue_run(&team[i], false);
		gate_done(&team[i]);
		pthread_mutex_destroy(&queues[i].lock);
	}
	gate_done(&single);
}

static void team_clear(void)
{
	gate_clear(&single);
	for (uint32_t i = 0; i < workers; i++)
		gate_clear(&team[i]);
}

static void everything_runs(void)
{
	gate_run_team(team, workers);
}

/* ---- what came of it ---- */

static void same_drops(const char *what)
{
	for (int r = 1; r < DROP_COUNT; r++) {
		uint64_t n = 0;
		for (uint32_t i = 0; i < workers; i++)
			n += team[i].p.drops[r];
		if (n != single.p.drops[r])
			fail_msg("%s: %lu dropped for %s, not %lu", what, (unsigned long)n,
				drop_name((enum drop_reason)r), (unsigned long)single.p.drops[r]);
	}
}

struct traffic {
	uint64_t in, out, sent, errors, errors_sent;
};

static struct traffic traffic_add(struct traffic t, const struct gate *g)
{
	t.in += g->p.packets_in;
	t.out += g->p.packets_out;
	t.sent += g->sent_link + g->sent_tunnel + g->sent_host;
	t.errors_sent += g->p.error_replies_sent;
	t.errors += g->p.error_replies_sent + g->p.error_replies_suppressed;
	return t;
}

/* Each worker has rates of its own for errors: all of them together may send more than one alone. */
static void same_traffic(const char *what)
{
	struct traffic one = traffic_add((struct traffic){ 0 }, &single), all = { 0 };

	for (uint32_t i = 0; i < workers; i++)
		all = traffic_add(all, &team[i]);
	if (all.in != one.in || all.out - all.errors_sent != one.out - one.errors_sent ||
		all.sent - all.errors_sent != one.sent - one.errors_sent || all.errors != one.errors ||
		all.errors_sent < one.errors_sent)
		fail_msg("%s: not as many packets: %lu and %lu in, %lu and %lu out, %lu and %lu errors", what,
			(unsigned long)all.in, (unsigned long)one.in, (unsigned long)all.out,
			(unsigned long)one.out, (unsigned long)all.errors, (unsigned long)one.errors);
}

/* The session of that key; its home is where its packets are. */
static const struct fw_session *team_session(const struct fw_key *key, uint32_t *ret_found)
{
	const struct fw_session *s, *found = NULL;

	*ret_found = 0;
	for (uint32_t i = 0; i < workers; i++)
		for (uint32_t cursor = 0; (s = fw_session_next(team[i].fw, &cursor));)
			if (memcmp(&s->key[0], key, sizeof *key) == 0) {
				found = s;
				++*ret_found;
			}
	return found;
}

/* Up to the port that source NAT chose. */
static bool same_reply_key(const struct fw_session *a, const struct fw_session *b)
{
	struct fw_key k = b->key[1];

	if (present->ports) {
		k.dst_port = a->key[1].dst_port;
		k.src_port = k.proto == IP_ICMP || k.proto == IP_ICMPV6 ? a->key[1].src_port : k.src_port;
	}
	return memcmp(&k, &a->key[1], sizeof k) == 0;
}

/* Persistent NAT: an inside address and port is the same outside, whatever it talks to and whoever has the session. */
static void one_mapping(const char *what)
{
	const struct fw_session *list[SESSIONS], *s;
	uint32_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		for (uint32_t cursor = 0; (s = fw_session_next(team[i].fw, &cursor));)
			if (s->flags & FW_SESSION_TRANSLATED && s->key[0].proto != IP_ICMP &&
				s->key[0].proto != IP_ICMPV6)
				list[n++] = s;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++) {
			const struct fw_key *a = list[i]->key, *b = list[k]->key;
			bool inside = memcmp(a[0].src, b[0].src, 16) == 0 && a[0].src_port == b[0].src_port &&
				      a[0].proto == b[0].proto,
			     outside = memcmp(a[1].dst, b[1].dst, 16) == 0 &&
				       a[1].dst_port == b[1].dst_port && a[0].proto == b[0].proto;
			if (inside != outside)
				fail_msg("%s: two mappings of one endpoint, or one of two", what);
		}
}

static void same_sessions(const char *what)
{
	const struct fw_session *s;
	uint64_t n = 0, bindings = 0, expected = 0;
	uint32_t cursor = 0, found;

	while ((s = fw_session_next(single.fw, &cursor))) {
		const struct fw_session *m = team_session(&s->key[0], &found);
		if (s->expires <= single.now)
			continue; /* after a takeover the wheel turns at other seconds */
		expected++;
		if (found != 1 || m->state != s->state || m->flags != s->flags || m->rule != s->rule ||
			m->expires != s->expires || memcmp(m->packets, s->packets, sizeof s->packets) != 0 ||
			memcmp(m->bytes, s->bytes, sizeof s->bytes) != 0 ||
			memcmp(m->tcp, s->tcp, sizeof s->tcp) != 0 || !same_reply_key(s, m))
			fail_msg("%s: session %u of state %s is there %u times, or another", what, s->id,
				fw_protocol_state_name(s->state), found);
	}
	for (uint32_t i = 0; i < workers; i++) {
		for (cursor = 0; (s = fw_session_next(team[i].fw, &cursor));)
			n += s->expires > single.now;
		bindings += fw_counters(team[i].fw)->bindings_now;
	}
	assert_int_equal(n, expected);
	assert_int_equal(bindings, fw_counters(single.fw)->bindings_now);
	if (bindings > 0)
		one_mapping(what);
}

/* Whole packets but for ports, identifiers and checksums; of errors what they quote is not looked at. */
static bool same_but_ports(const struct gate_out *a, const struct gate_out *b)
{
	bool v4 = a->bytes[0] >> 4 == 4;
	uint32_t l4 = v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE;
	uint8_t proto = a->bytes[v4 ? 9 : 6];
	bool icmp = proto == IP_ICMP || proto == IP_ICMPV6;
	uint32_t head = v4 ? IP4_CSUM : l4, from = l4 + (icmp ? ICMP_HEADER_SIZE : 4), to = a->n;

	/* IPv4: the identification, which NAT64 gives */
	if (memcmp(a->bytes, b->bytes, 4) != 0 || (!v4 && memcmp(a->bytes + 4, b->bytes + 4, 2) != 0) ||
		memcmp(a->bytes + 6, b->bytes + 6, head - 6) != 0 ||
		(v4 && memcmp(a->bytes + IP4_SRC, b->bytes + IP4_SRC, 8) != 0))
		return false;
	if (icmp)
		return memcmp(a->bytes + l4, b->bytes + l4, 2) == 0;
	uint32_t csum = l4 + (proto == IP_TCP ? TCP_CSUM : UDP_CSUM);
	return memcmp(a->bytes + from, b->bytes + from, csum - from) == 0 &&
	       memcmp(a->bytes + csum + 2, b->bytes + csum + 2, to - csum - 2) == 0;
}

static bool same_output(const struct gate_out *a, const struct gate_out *b)
{
	if (a->kind != b->kind || a->interface != b->interface || a->n != b->n ||
		memcmp(a->mac, b->mac, sizeof a->mac) != 0 ||
		memcmp(&a->offload, &b->offload, sizeof a->offload) != 0)
		return false;
	return present->ports && a->kind == GATE_OUT_LINK ? same_but_ports(a, b)
							  : memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* Each packet that left the one left one of the others, octet by octet. */
static void same_outputs(const char *what)
{
	for (uint32_t k = 0; k < single.out_n; k++) {
		bool found = false;
		for (uint32_t i = 0; i < workers && !found; i++)
			for (uint32_t j = 0; j < team[i].out_n && !found; j++)
				found = same_output(&single.out[k], &team[i].out[j]);
		if (!found)
			fail_msg("%s: a packet is missing", what);
	}
}

/* ---- one thread ---- */

static void time_passes(void)
{
	mono_ns pause = pick(20) ? pick(1000) * NS_PER_MS : pick(300) * NS_PER_S;

	single.now += pause;
	fw_expire(single.fw, single.now, 1000);
	for (uint32_t i = 0; i < workers; i++) {
		team[i].now += pause;
		fw_expire(team[i].fw, team[i].now, 1000);
		pipeline_notes(&team[i].p);
	}
	everything_runs();
}

/* A piece by each worker of what a former process left; false: all is adopted. */
static bool adopts(uint32_t budget)
{
	bool more = false;

	for (uint32_t i = 0; i < workers; i++) {
		more |= !fw_sweep(team[i].fw, team[i].now, budget);
		pipeline_notes(&team[i].p);
	}
	everything_runs();
	return more;
}

/* No session and no redirect is left when all is over. */
static void all_ends(const char *what)
{
	for (uint32_t k = 0; k < 20; k++) {
		for (uint32_t i = 0; i < workers; i++) {
			team[i].now += 3600 * NS_PER_S;
			while (fw_expire(team[i].fw, team[i].now, 100) <= team[i].now)
				pipeline_notes(&team[i].p);
		}
		adopts(1000);
	}
	for (uint32_t i = 0; i < workers; i++)
		if (fw_counters(team[i].fw)->sessions_now + fw_counters(team[i].fw)->redirects_now > 0)
			fail_msg("%s: worker %u keeps %lu sessions and %lu redirects", what, i,
				(unsigned long)fw_counters(team[i].fw)->sessions_now,
				(unsigned long)fw_counters(team[i].fw)->redirects_now);
}

static uint64_t redirects_now(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += fw_counters(team[i].fw)->redirects_now;
	return n;
}

/* The next packet, at any worker. */
static void same_input(const char *what)
{
	bool adopting = adopts(2);
	uint32_t at = pick(workers);
	struct talk_input in = talk_next(single.fw);
	struct train a = talk_train(&rooms[0], &in);

	in = talk_again(team, workers);
	struct train b = talk_train(&rooms[1], &in);
	talk_arrives(&single, in.from, &a);
	talk_arrives(&team[at], in.from, &b);
	pipeline_burst(&single.p, &a, 1, single.now);
	pipeline_burst(&team[at].p, &b, 1, team[at].now);
	everything_runs();
	same_drops(what);
	same_traffic(what);
	same_outputs(what);
	if (!adopting)
		same_sessions(what);
	team_clear();
	if (!adopting)
		time_passes();
}

static void in_turn(uint32_t n, const struct nat_case *c)
{
	uint64_t handed_over = 0, redirects = 0;
	char what[64];

	present = c;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		team_begin(seed, n, c->text);
		for (int round = 0; round < ROUNDS; round++) {
			snprintf(what, sizeof what, "%s NAT, %u workers, seed %lu, round %d", c->name, n,
				(unsigned long)seed, round);
			same_input(what);
			redirects += redirects_now();
		}
		all_ends(what);
		for (uint32_t i = 0; i < n; i++)
			handed_over += team[i].p.trains_handed_over;
		team_end();
	}
	assert_true(n == 1 ? handed_over == 0 : handed_over > SEEDS * ROUNDS / 3);
	if (n == 1 || c->away == AWAY_NONE)
		assert_int_equal(redirects, 0);
	else if (c->away == AWAY_MOST)
		assert_true(redirects > SEEDS * ROUNDS / 3);
	else if (n > 2) /* of two workers each nearly always has some of a few ports */
		assert_true(redirects > 0);
}

static void test_in_turn(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(nat_cases); i++) {
		in_turn(1, &nat_cases[i]);
		in_turn(2, &nat_cases[i]);
		in_turn(4, &nat_cases[i]);
	}
	present = &nat_cases[0];
}

/* ---- fragments ---- */

/* One datagram, each of its fragments at another worker. */
static void fragments_arrive(const struct packet_spec *s, uint32_t mtu)
{
	struct packet datagram;
	struct train whole = packet_make(&datagram, s);
	uint32_t n;

	assert_int_equal(train_parse(&whole), DROP_NONE);
	for (uint32_t i = 0;; i++) {
		struct train t[2];
		uint32_t at = pick(workers);
		for (int k = 0; k < 2; k++) {
			t[k] = (struct train){ .ip = rooms[k].room + TRAIN_HEAD_ROOM };
			t[k].len = n = (uint32_t)fragment_cut(t[k].ip, &whole, mtu, i, s->number);
			talk_arrives(k ? &team[at] : &single, GATE_LAN, &t[k]);
		}
		if (n == 0)
			return;
		pipeline_burst(&single.p, &t[0], 1, single.now);
		pipeline_burst(&team[at].p, &t[1], 1, team[at].now);
		everything_runs();
	}
}

static bool fragment_ids_differ(void)
{
	for (uint32_t i = 0; i < workers; i++)
		for (uint32_t k = 0; k < i; k++)
			if (team[i].p.fragment_id % WORKERS_MAX == team[k].p.fragment_id % WORKERS_MAX)
				return false;
	return true;
}

/* Put together by the worker where their addresses are at home, then to the flow's own. */
static void test_fragments(void **state)
{
	(void)state;
	present = &nat_cases[0];
	for (uint32_t n = 1; n <= 4; n++) {
		team_begin(n, n, "");
		for (uint16_t i = 1; i <= 200; i++) {
			bool v6 = i % 2;
			struct packet_spec s = { .src = v6 ? "2001:db8:1::2" : "10.1.0.2",
				.dst = v6 ? "2001:db8:99::9" : "192.0.2.80",
				.proto = IP_UDP,
				.src_port = (uint16_t)(1000 + i % 50),
				.dst_port = i % 7 ? 9 : 4, /* denied */
				.number = i,
				.payload_n = 100 + pick(4000) };
			fragments_arrive(&s, 600);
			same_drops("fragments");
			same_traffic("fragments");
			same_sessions("fragments");
			if (!v6) /* IPv6 gives them identifications of the gateway's */
				same_outputs("fragments");
			team_clear();
		}
		assert_true(fragment_ids_differ());
		assert_true(single.sent_link > 400);
		team_end();
	}
}

/* ---- sessions at another worker than their replies ---- */

static struct packet_spec gre(const char *src, const char *dst)
{
	return (struct packet_spec){ .src = src, .dst = dst, .proto = IP_GRE, .payload_n = 20 };
}

static void arrives(uint32_t at, uint32_t link, const struct packet_spec *s)
{
	struct train t = packet_make(&rooms[0], s);

	talk_arrives(&team[at], link, &t);
	pipeline_burst(&team[at].p, &t, 1, team[at].now);
	everything_runs();
}

static uint64_t sessions_now(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += fw_counters(team[i].fw)->sessions_now;
	return n;
}

/* Nothing in the replies tells two inside hosts apart: the second one's session does not last, wherever the three keys are
 * at home, and the replies are the first one's. */
static void test_collision(void **state)
{
	const struct packet_spec one = gre("10.1.0.2", "192.0.2.80"), two = gre("10.1.0.3", "192.0.2.80"),
				 reply = gre("192.0.2.80", "198.51.100.2");

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		team_begin(seed, 4, nat_cases[1].text);
		for (uint32_t round = 0; round < 3; round++) {
			arrives(pick(4), GATE_LAN, &one);
			arrives(pick(4), GATE_LAN, &two);
			assert_int_equal(sessions_now(), 1);
		}
		team_clear();
		arrives(pick(4), GATE_WAN, &reply);
		uint32_t out = 0;
		for (uint32_t i = 0; i < workers; i++)
			for (uint32_t k = 0; k < team[i].out_n; k++, out++)
				assert_memory_equal(team[i].out[k].bytes + IP4_DST, "\x0a\x01\x00\x02", 4);
		assert_int_equal(out, 1);
		all_ends("collision");
		team_end();
	}
}

/* They end by themselves where nobody takes them back, and there are no more of them than sessions. */
static void test_redirects(void **state)
{
	struct fw_note note = { .kind = FW_NOTE_REDIRECT, .owner = 1 }, answer;
	struct firewall *fw;
	uint32_t refused = 0, to;

	(void)state;
	team_begin(1, 2, "");
	fw = team[0].fw;
	note.until_s = (uint32_t)(team[0].now / NS_PER_S) + 100;
	for (uint32_t i = 0; i < 2 * SESSIONS; i++) {
		note.key = (struct fw_key){ .src_port = (uint16_t)i, .family = ADDR_V4, .proto = IP_UDP };
		fw_note(fw, &note, team[0].now);
		while (fw_take_note(fw, &to, &answer)) {
			assert_int_equal(answer.kind, FW_NOTE_REFUSED);
			assert_int_equal(to, 1);
			assert_int_equal(answer.key.src_port, i);
			refused++;
		}
	}
	assert_int_equal(refused, SESSIONS);
	assert_int_equal(fw_counters(fw)->redirects_now, SESSIONS);
	for (uint32_t s = 0; s < 99; s++)
		fw_expire(fw, team[0].now += NS_PER_S, 100);
	assert_int_equal(fw_counters(fw)->redirects_now, SESSIONS);
	for (uint32_t s = 0; s < 30; s++)
		fw_expire(fw, team[0].now += NS_PER_S, 100);
	assert_int_equal(fw_counters(fw)->redirects_now, 0);
	team_end();
}

/* A note that got lost is written again with the next packet. */
static bool lose_note(void *context, uint32_t worker, const struct fw_note *note)
{
	(void)context;
	(void)worker;
	(void)note;
	return false;
}

static void test_lost(void **state)
{
	const struct packet_spec out = gre("10.1.0.2", "192.0.2.80");
	bool (*keep)(void *, uint32_t, const struct fw_note *);

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		team_begin(seed, 4, nat_cases[1].text);
		keep = team[0].p.io.note;
		for (uint32_t i = 0; i < workers; i++)
			team[i].p.io.note = lose_note;
		arrives(0, GATE_LAN, &out);
		uint64_t lost = 0;
		for (uint32_t i = 0; i < workers; i++) {
			lost += team[i].p.notes_lost;
			team[i].p.io.note = keep;
		}
		assert_int_equal(redirects_now(), 0);
		arrives(0, GATE_LAN, &out);
		assert_int_equal(redirects_now(), lost);
		assert_true(lost <= 1);
		team_end();
	}
}

/* Many that end at once are all taken back. */
static void test_many_end(void **state)
{
	char dst[ADDR_TEXT_MAX];
	uint64_t away = 0;

	(void)state;
	team_begin(1, 2, nat_cases[5].text);
	for (uint32_t i = 0; i < 400; i++) {
		snprintf(dst, sizeof dst, "192.0.2.%u", i % 200 + 1);
		const struct packet_spec out = gre(i < 200 ? "10.1.0.2" : "10.1.0.3", dst);
		arrives(i % 2, GATE_LAN, &out);
		team_clear();
	}
	assert_int_equal(sessions_now(), 400);
	away = redirects_now();
	assert_in_range(away, 130, 400);
	for (uint32_t s = 0; sessions_now() > 0; s++) {
		assert_true(s < 4000);
		for (uint32_t i = 0; i < workers; i++)
			fw_expire(team[i].fw, team[i].now += NS_PER_S, 512);
		adopts(1);
		assert_int_equal(redirects_now(), sessions_now() > 0 ? away : 0);
	}
	team_end();
}

/* The same memory for a new process. */
static void team_restarts(void)
{
	for (uint32_t i = 0; i < workers; i++) {
		struct gate *g = &team[i];
		struct fw_limits limits = team[i].fw->limits;
		fw_detach(g->fw);
		g->p.fw = g->fw = fw_attach(g->memory, g->memory_n, false, &limits, g->now, NULL);
		assert_non_null(g->fw);
		assert_int_equal(fw_load(g->fw, g->snapshot, g->now, NULL), RC_OK);
		pipeline_changed(&g->p);
	}
	gate_join_team(team, workers);
}

/* single does not restart. */
static void test_restart(void **state)
{
	char what[64];

	(void)state;
	for (uint32_t k = 0; k < COUNT_OF(nat_cases); k++)
		for (uint64_t seed = 1; seed <= 10; seed++) {
			present = &nat_cases[k];
			team_begin(seed, 4, present->text);
			for (uint32_t round = 0; round < ROUNDS; round++) {
				snprintf(what, sizeof what, "%s NAT, seed %lu, round %u", present->name,
					(unsigned long)seed, round);
				same_input(what);
				if (round % 40 == 20)
					team_restarts();
			}
			all_ends(what);
			team_end();
		}
	present = &nat_cases[0];
}

/* ---- captures ---- */

/* Who speaks first stands inside: routes are laid as the capture shows them. */
static void route_inside(struct gate *g, const struct ip_addr *a)
{
	struct route_entry e = {
		.dst = { *a, a->family == ADDR_V4 ? 32 : 128 }, .link = GATE_LAN, .kind = ROUTE_UNICAST
	};

	assert_int_equal(addr_parse(&e.gateway, a->family == ADDR_V4 ? "10.1.0.2" : "2001:db8:1::2"), RC_OK);
	assert_int_equal(route_set(g->routes, &e, ROUTE_REPLACE), RC_OK);
}

static bool is_inside(const struct ip_addr *a)
{
	struct route_answer r;

	route_lookup(single.routes, 0, a, &r);
	return r.link == GATE_LAN;
}

static void captured(const uint8_t *ip, size_t n)
{
	struct train t[2];
	uint32_t at = pick(workers), from;

	for (int i = 0; i < 2; i++) {
		t[i] = (struct train){ .ip = rooms[i].room + TRAIN_HEAD_ROOM, .len = (uint32_t)n };
		memcpy(t[i].ip, ip, n);
	}
	struct train parsed = t[0];
	if (train_parse(&parsed) == DROP_NONE && !is_inside(&parsed.src) && !is_inside(&parsed.dst)) {
		route_inside(&single, &parsed.src);
		route_inside(&team[0], &parsed.src);
	}
	from = parsed.src.family && is_inside(&parsed.src) ? GATE_LAN : GATE_WAN;
	talk_arrives(&single, from, &t[0]);
	talk_arrives(&team[at], from, &t[1]);
	pipeline_burst(&single.p, &t[0], 1, single.now);
	pipeline_burst(&team[at].p, &t[1], 1, team[at].now);
	everything_runs();
}

static char open_text[8192]; /* all may go out */
static uint64_t played;

static void play(const char *path, uint32_t n, const struct nat_case *c)
{
	struct capture capture;
	const uint8_t *ip;
	uint32_t k = 0;
	size_t octets;

	if (!capture_open(&capture, path))
		return;
	present = c;
	team_begin(played, n, c->text);
	while (k < 5000 && capture_next(&capture, &ip, &octets)) {
		if (!ip || octets == 0 || octets > TRAIN_BYTES_MAX)
			continue;
		captured(ip, octets);
		if (k++ % 16 == 0) {
			same_drops(path);
			same_traffic(path);
			same_outputs(path);
			team_clear();
		}
	}
	same_drops(path);
	same_traffic(path);
	same_sessions(path);
	played += k;
	capture_close(&capture);
	team_end();
}

static int play_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)where;
	for (uint32_t n = 1; kind == FTW_F && n <= 4; n *= 2) {
		play(path, n, &nat_cases[0]);
		play(path, n, &nat_cases[1]);
	}
	return 0;
}

static void test_captures(void **state)
{
	const char *folder = captures_folder(), *at = strstr(gate_text, "policy {");

	(void)state;
	if (!folder)
		skip();
	snprintf(open_text, sizeof open_text,
		"%.*spolicy { from trust to untrust { rule all { match { source any; destination any; "
		"application any; } then { permit; } } } }\n%%s\n",
		(int)(at - gate_text), gate_text);
	team_text = open_text;
	team_sessions = 4096;
	assert_int_equal(nftw(folder, play_file, 16, FTW_PHYS), 0);
	assert_true(played > 3000);
	team_text = gate_text;
	team_sessions = SESSIONS;
	present = &nat_cases[0];
}

/* ---- a full queue ---- */

static void test_full(void **state)
{
	struct packet_spec s = {
		.src = "10.1.0.2", .dst = "192.0.2.80", .proto = IP_UDP, .dst_port = 9, .payload_n = 1000
	};
	uint64_t dropped;

	(void)state;
	team_begin(1, 2, "");
	for (uint16_t port = 1; port <= 4000; port++) {
		s.src_port = port;
		assert_int_not_equal(
			gate_from_link(&team[0], GATE_LAN, packet_make(&rooms[0], &s)), DROP_NO_ZONE);
	}
	dropped = team[0].p.drops[DROP_WORKER_QUEUE_FULL];
	assert_in_range(dropped, 1000, 3000);
	assert_int_equal(on_the_way + dropped + team[0].sent_link, 4000);
	assert_int_equal(gate_queue_run(&team[1], false), GATE_QUEUE_MAX);
	for (uint16_t port = 1; port <= 4000; port++) {
		s.src_port = port;
		gate_from_link(&team[0], GATE_LAN, packet_make(&rooms[0], &s));
		gate_queue_run(&team[1], true);
	}
	assert_int_equal(team[0].p.drops[DROP_WORKER_QUEUE_FULL], dropped);
	assert_true(team[1].sent_link > 1000);
	team_end();
}

/* ---- in threads ---- */

struct arrival {
	struct packet packet;
	struct train train;
	uint32_t worker;
};

static struct arrival *arrivals;
static struct pause together;
static uint32_t arrived; /* atomic */

/* Where the packets of a flow arrive: at one worker, so that they keep their order, which need not be its home. */
static uint32_t arrives_at(struct train t)
{
	static const uint8_t secret[16] = "not the workers'";
	const struct flow_key k = flow_key_make(secret);

	return train_parse(&t) == DROP_NONE ? flow_home(flow_hash_train(&k, &t), workers) : 0;
}

static void arrivals_make(void)
{
	for (uint32_t i = 0; i < INPUTS; i++) {
		struct talk_input in = talk_next(NULL);
		struct arrival *a = &arrivals[i];
		struct train t = talk_train(&rooms[0], &in);
		a->train = talk_train(&a->packet, &in);
		talk_arrives(&team[0], in.from, &a->train);
		a->worker = arrives_at(a->train);
		talk_arrives(&single, in.from, &t);
		pipeline_burst(&single.p, &t, 1, single.now);
	}
}

/* Its next packets, at most a burst of them; from: how far it is. */
static bool arrivals_take(uint32_t worker, uint32_t *from)
{
	struct train burst[16];
	uint32_t n = 0, looked = 0;

	for (; *from < INPUTS && n < COUNT_OF(burst); ++*from, looked++)
		if (arrivals[*from].worker == worker)
			burst[n++] = arrivals[*from].train;
	if (n > 0)
		pipeline_burst(&team[worker].p, burst, n, team[worker].now);
	if (looked > 0 && *from == INPUTS)
		__atomic_fetch_add(&arrived, 1, __ATOMIC_RELEASE);
	return looked > 0;
}

static bool all_done(void)
{
	return __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) == workers &&
	       __atomic_load_n(&on_the_way, __ATOMIC_ACQUIRE) == 0;
}

static void *worker_run(void *context)
{
	uint32_t self = (uint32_t)((struct gate *)context - team), from = 0;

	if (self > 0)
		pause_join(&together);
	for (uint32_t round = 0; !all_done(); round++) {
		if (self > 0 && pause_wanted(&together))
			pause_park(&together);
		if (self == 0 && round % 16 == 0) { /* what the others read changes */
			pause_begin(&together);
			for (uint32_t i = 0; i < workers; i++)
				pipeline_changed(&team[i].p);
			pause_end(&together);
		}
		if (__atomic_load_n(&on_the_way, __ATOMIC_RELAXED) < WAITING_MAX)
			arrivals_take(self, &from);
		gate_queue_run(&team[self], true);
	}
	if (self > 0)
		pause_leave(&together);
	return NULL;
}

static void in_threads(uint64_t seed, uint32_t n)
{
	pthread_t threads[WORKERS_MAX];
	char what[64];

	team_begin(seed, n, "");
	arrivals_make();
	arrived = 0;
	pause_init(&together, NULL, NULL);
	for (uint32_t i = 1; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &team[i]), 0);
	worker_run(&team[0]);
	for (uint32_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	pause_done(&together);
	snprintf(what, sizeof what, "%u threads, seed %lu", n, (unsigned long)seed);
	same_drops(what);
	same_traffic(what);
	same_sessions(what);
	team_end();
}

static void test_in_threads(void **state)
{
	(void)state;
	arrivals = calloc(INPUTS, sizeof *arrivals);
	assert_non_null(arrivals);
	for (uint64_t seed = 1; seed <= THREAD_SEEDS; seed++) {
		in_threads(seed, 1);
		in_threads(seed, 2);
		in_threads(seed, 4);
	}
	free(arrivals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_collision),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_many_end),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
