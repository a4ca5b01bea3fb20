/*
 * Filters of sessions against a naive filter, which knows what the test sent and compares texts; the names that an
 * error lists; and sums over sessions.
 */
#include "base/addr.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define SENT 600

static uint64_t seed = 4711;

/* What the test knows about a session that it made. */
static struct fact {
	uint32_t index;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], nat_src[ADDR_TEXT_MAX], nat_dst[ADDR_TEXT_MAX];
	uint16_t sport, dport;
	uint8_t proto;
	const char *from, *to, *rule, *state, *interface, *reply_interface;
	uint64_t bytes;
	mono_ns begun, seen;
} facts[SENT];
static uint32_t facts_n;

static const char *const zones[] = { "trust", "untrust", "dmz" };

static uint32_t chance(uint32_t n)
{
	return next_random(&seed) % n;
}

static int setup(void **state)
{
	scene_begin(4096);
	p.sessions_max = 4096;
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "rest", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_rule(&p, "rest", TRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	policy_rule(&p, "in", UNTRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "out", TRUST, UNTRUST, "10.0.0.0/9", "any", NAT_INTERFACE, NULL);
	policy_dnat(&p, "server", UNTRUST, "any", "203.0.113.1", "udp/80", "192.168.0.7", 0, 0);
	for (uint32_t i = 0; i < COUNT_OF(zones); i++) {
		p.interfaces[i] = (struct snap_interface){ .zone = (uint16_t)i };
		snprintf(p.interfaces[i].name, sizeof p.interfaces[i].name, "eth%u", i);
	}
	p.interfaces_n = COUNT_OF(zones);
	world_load(&w, &p);
	facts_n = 0;
	return 0;
}

static const char *interface_of(uint32_t zone)
{
	static const char *const names[] = { "eth0", "eth1", "eth2" };

	return names[zone];
}

static enum drop_reason packet(const struct fact *f, bool reply)
{
	const char *client = f->nat_src[0] ? f->nat_src : f->src,
		   *server = f->nat_dst[0] ? f->nat_dst : f->dst;
	const struct fw_session *s = fw_session(w.fw, f->index);
	struct packet_spec spec = { .src = reply ? server : f->src,
		.dst = reply ? client : f->dst,
		.proto = f->proto,
		.src_port = reply ? s->key[1].src_port : f->sport,
		.dst_port = reply ? s->key[1].dst_port : f->dport,
		.flags = TCP_SYN | (reply ? TCP_ACK : 0),
		.seq = reply ? 500 : 100,
		.ack = reply ? 101 : 0,
		.payload_n = f->proto == IP_UDP ? 30 : 0 };

	return world_send(&w, &spec);
}

/* A session of any kind, some answered, at moments that differ. */
static void one_session(uint32_t i)
{
	struct fact *f = &facts[facts_n];
	uint32_t from = chance(3) ? TRUST : UNTRUST, to = from == TRUST && chance(2) ? UNTRUST : DMZ;
	bool server = from == UNTRUST && chance(3) == 0;

	*f = (struct fact){ .sport = (uint16_t)(1024 + i), .proto = chance(3) ? IP_UDP : IP_TCP };
	f->dport = (uint16_t)(chance(2) ? 53 : 50 + chance(40));
	if (server) {
		f->proto = IP_UDP;
		f->dport = 80;
		snprintf(f->nat_dst, sizeof f->nat_dst, "192.168.0.7");
	}
	snprintf(f->src, sizeof f->src, from == TRUST ? "10.%u.0.%u" : "198.51.100.%u",
		from == TRUST ? chance(2) * 128 : 1 + chance(20), 1 + chance(20));
	snprintf(f->dst, sizeof f->dst,
		server	    ? "203.0.113.1"
		: to == DMZ ? "192.168.0.%u"
			    : "198.51.100.%u",
		1 + chance(9));
	if (from == TRUST && to == UNTRUST && strncmp(f->src, "10.0.", 5) == 0)
		snprintf(f->nat_src, sizeof f->nat_src, "203.0.113.1");
	f->from = zones[from];
	f->to = zones[to];
	f->rule = from == UNTRUST					  ? "in"
		  : to == UNTRUST && f->proto == IP_UDP && f->dport == 53 ? "dns"
									  : "rest";
	f->interface = interface_of(from);
	f->reply_interface = "";
	f->state = f->proto == IP_TCP ? "syn-sent" : "unanswered";
	f->begun = f->seen = w.now;
	assert_string_equal(drop_name(packet(f, false)), "none");
	f->index = w.t.session;
	f->bytes = w.t.len;
	facts_n++;
}

static void answered(struct fact *f)
{
	assert_string_equal(drop_name(packet(f, true)), "none");
	f->reply_interface = interface_of(strcmp(f->to, "dmz") == 0 ? DMZ : UNTRUST);
	f->state = f->proto == IP_TCP ? "syn-received" : "answered";
	f->bytes += w.t.len;
	f->seen = w.now;
}

static void many_sessions(void)
{
	for (uint32_t i = 0; i < SENT; i++) {
		w.now += chance(2) * NS_PER_S / 50;
		one_session(i);
		if (chance(3) == 0)
			answered(&facts[facts_n - 1]);
	}
	w.now += NS_PER_S / 3;
}

/* ---- the naive filter: options and values as texts ---- */

static bool in_range(const char *range, const char *addr)
{
	struct ip_prefix prefix;
	struct ip_addr a;

	if (addr[0] == '\0')
		return false;
	assert_int_equal(addr_parse(&a, addr), RC_OK);
	assert_int_equal(prefix_parse(&prefix, range), RC_OK);
	return prefix_holds(&prefix, &a);
}

static bool in_ports(const char *range, uint16_t port)
{
	unsigned first, last;

	if (sscanf(range, "%u-%u", &first, &last) == 1)
		last = first;
	return port >= first && port <= last;
}

static bool naive(const struct fact *f, enum session_filter_id id, const char *value)
{
	uint64_t number = strtoull(value, NULL, 10);

	switch (id) {
	case SESSION_FILTER_SRC:
		return in_range(value, f->src);
	case SESSION_FILTER_DST:
		return in_range(value, f->dst);
	case SESSION_FILTER_PROTO:
		return strcmp(value, f->proto == IP_TCP ? "tcp" : "udp") == 0;
	case SESSION_FILTER_SPORT:
		return in_ports(value, f->sport);
	case SESSION_FILTER_DPORT:
		return in_ports(value, f->dport);
	case SESSION_FILTER_NAT_SRC:
		return in_range(value, f->nat_src);
	case SESSION_FILTER_NAT_PORT:
		return f->nat_src[0] && in_ports(value, fw_session(w.fw, f->index)->key[1].dst_port);
	case SESSION_FILTER_NAT_DST:
		return in_range(value, f->nat_dst);
	case SESSION_FILTER_FROM_ZONE:
		return strcmp(value, f->from) == 0;
	case SESSION_FILTER_TO_ZONE:
		return strcmp(value, f->to) == 0;
	case SESSION_FILTER_RULE:
		return strcmp(value, f->rule) == 0;
	case SESSION_FILTER_INTERFACE:
		return strcmp(value, f->interface) == 0 || strcmp(value, f->reply_interface) == 0;
	case SESSION_FILTER_TUNNEL:
		return false;
	case SESSION_FILTER_STATE:
		return strcmp(value, f->state) == 0;
	case SESSION_FILTER_ID:
		return number == fw_session(w.fw, f->index)->id;
	case SESSION_FILTER_IDLE_MIN:
		return w.now - f->seen >= number * NS_PER_S;
	case SESSION_FILTER_IDLE_MAX:
		return (w.now - f->seen) / NS_PER_S <= number;
	case SESSION_FILTER_AGE_MIN:
		return w.now - f->begun >= number * NS_PER_S;
	case SESSION_FILTER_AGE_MAX:
		return (w.now - f->begun) / NS_PER_S <= number;
	case SESSION_FILTER_BYTES_MIN:
		return f->bytes >= number;
	case SESSION_FILTER_COUNT:
		break;
	}
	fail();
	return false;
}

static const struct {
	enum session_filter_id id;
	const char *values[5];
} options[] = {
	{ SESSION_FILTER_SRC, { "10.0.0.0/9", "10.128.0.0/16", "198.51.100.3", "0.0.0.0/0", "10.0.0.5" } },
	{ SESSION_FILTER_DST, { "192.168.0.0/30", "198.51.100.0/24", "203.0.113.1", "192.168.0.7", "::/0" } },
	{ SESSION_FILTER_PROTO, { "tcp", "udp" } },
	{ SESSION_FILTER_SPORT, { "1024-1200", "1100", "1-65535", "1500-1501" } },
	{ SESSION_FILTER_DPORT, { "53", "80", "50-60", "443" } },
	{ SESSION_FILTER_NAT_SRC, { "203.0.113.1", "0.0.0.0/0", "10.0.0.0/8" } },
	{ SESSION_FILTER_NAT_PORT, { "1-65535", "40960-50000", "1-40000" } },
	{ SESSION_FILTER_NAT_DST, { "192.168.0.7", "192.168.0.0/24", "203.0.113.1" } },
	{ SESSION_FILTER_FROM_ZONE, { "trust", "untrust", "host" } },
	{ SESSION_FILTER_TO_ZONE, { "untrust", "dmz" } },
	{ SESSION_FILTER_RULE, { "dns", "rest", "in" } },
	{ SESSION_FILTER_INTERFACE, { "eth0", "eth1", "eth2" } },
	{ SESSION_FILTER_STATE, { "unanswered", "answered", "syn-sent", "syn-received", "established" } },
	{ SESSION_FILTER_ID, { "1", "77", "600", "601" } },
	{ SESSION_FILTER_IDLE_MIN, { "1", "3", "5" } },
	{ SESSION_FILTER_IDLE_MAX, { "1", "2" } },
	{ SESSION_FILTER_AGE_MIN, { "2", "4" } },
	{ SESSION_FILTER_AGE_MAX, { "1", "3", "5" } },
	{ SESSION_FILTER_BYTES_MIN, { "1", "41", "59", "116", "1000" } },
};

static const char *pick(size_t option)
{
	uint32_t n = 0;

	while (n < COUNT_OF(options[option].values) && options[option].values[n])
		n++;
	return options[option].values[chance(n)];
}

/* Filters of one to four options, each against every session. */
static void against_a_naive_filter(void **state)
{
	uint32_t selected = 0, none = 0;

	many_sessions();
	for (uint32_t round = 0; round < 3000; round++) {
		const char *value[COUNT_OF(options)] = { NULL };
		struct session_filter f = { 0 };
		struct err e = { 0 };
		uint32_t hits = 0;
		for (uint32_t n = 1 + chance(4); n > 0; n--) {
			size_t o = round < COUNT_OF(options) ? round : chance(COUNT_OF(options));
			value[o] = pick(o);
			assert_int_equal(session_filter_set(&f, options[o].id, value[o], &e), RC_OK);
		}
		assert_int_equal(fw_filter_check(w.fw, &f, &e), RC_OK);
		for (uint32_t i = 0; i < facts_n; i++) {
			const struct fw_session *s = fw_session_current(w.fw, facts[i].index, w.now);
			bool wanted = true;
			for (size_t o = 0; o < COUNT_OF(options); o++)
				wanted &= !value[o] || naive(&facts[i], options[o].id, value[o]);
			assert_non_null(s);
			assert_int_equal(fw_session_selected(w.fw, s, &f, w.now), wanted);
			hits += wanted;
		}
		selected += hits > 0;
		none += hits == 0;
	}
	assert_true(selected > 300 && none > 300); /* the filters say something */
}

static void refused(enum session_filter_id id, const char *value, const char *says)
{
	struct session_filter f = { 0 };
	struct err e = { 0 };

	assert_int_equal(session_filter_set(&f, id, value, &e), RC_OK);
	assert_int_equal(fw_filter_check(w.fw, &f, &e), RC_NOT_FOUND);
	assert_string_equal(e.text, says);
}

static void names_that_nothing_has(void **state)
{
	refused(SESSION_FILTER_FROM_ZONE, "turst",
		"--from-zone: there is no zone 'turst', expected one of: trust, untrust, dmz, host; did you mean 'trust'?");
	refused(SESSION_FILTER_TO_ZONE, "x",
		"--to-zone: there is no zone 'x', expected one of: trust, untrust, dmz, host");
	refused(SESSION_FILTER_RULE, "web", "--rule: there is no rule 'web', expected one of: dns, rest, in");
	refused(SESSION_FILTER_INTERFACE, "lo",
		"--interface: there is no interface 'lo', expected one of: eth0, eth1, eth2");
	refused(SESSION_FILTER_TUNNEL, "hq", "--tunnel: there is no tunnel 'hq': the configuration has none");
	refused(SESSION_FILTER_STATE, "none",
		"--state: there is no state 'none', expected one of: unanswered, answered, syn-sent, syn-received, "
		"established, closing, time-wait, closed, cookie-wait, cookie-echoed, shutdown-sent, "
		"shutdown-ack-sent, ...");
}

/* After a commit a session is selected by its names under the new policy; by which interface it comes is known again
 * with its next packet. */
static void over_a_commit(void **state)
{
	struct session_filter f = { 0 };

	many_sessions();
	assert_int_equal(session_filter_set(&f, SESSION_FILTER_RULE, "renamed", NULL), RC_OK);
	snprintf(p.rules[1].name, sizeof p.rules[1].name, "renamed");
	world_commit(&w, &p);
	for (uint32_t i = 0; i < facts_n; i++) {
		const struct fw_session *s = fw_session_current(w.fw, facts[i].index, w.now);
		assert_non_null(s);
		assert_int_equal(fw_session_selected(w.fw, s, &f, w.now),
			strcmp(facts[i].rule, "rest") == 0 && strcmp(facts[i].to, "untrust") == 0);
		assert_string_equal(fw_interface_name(w.fw, s->interface[0]), "");
	}
}

static void sums(void **state)
{
	static struct fw_tally t;
	struct fw_tally_count udp = { 0 }, to_dmz = { 0 };
	uint64_t unanswered = 0;

	many_sessions();
	memset(&t, 0, sizeof t);
	for (uint32_t i = 0; i < facts_n; i++) {
		fw_tally_add(&t, fw_session_current(w.fw, facts[i].index, w.now));
		if (facts[i].proto == IP_UDP) {
			udp.sessions++;
			udp.bytes += facts[i].bytes;
		}
		if (strcmp(facts[i].to, "dmz") == 0) {
			to_dmz.sessions++;
			to_dmz.bytes += facts[i].bytes;
		}
		unanswered += strcmp(facts[i].state, "unanswered") == 0;
	}
	assert_int_equal(t.all.sessions, facts_n);
	assert_int_equal(t.proto[IP_UDP].sessions, udp.sessions);
	assert_int_equal(t.proto[IP_UDP].bytes, udp.bytes);
	assert_int_equal(t.proto[IP_TCP].sessions, facts_n - udp.sessions);
	assert_int_equal(t.state[FW_STATE_UNANSWERED].sessions, unanswered);
	assert_int_equal(t.to_zone[DMZ].sessions, to_dmz.sessions);
	assert_int_equal(t.to_zone[DMZ].bytes, to_dmz.bytes);
	assert_int_equal(t.from_zone[TRUST].sessions + t.from_zone[UNTRUST].sessions, facts_n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(against_a_naive_filter, setup, scene_end),
		cmocka_unit_test_setup_teardown(names_that_nothing_has, setup, scene_end),
		cmocka_unit_test_setup_teardown(over_a_commit, setup, scene_end),
		cmocka_unit_test_setup_teardown(sums, setup, scene_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
