#include "firewall/internal.h"
#include "talks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static uint64_t seed;

uint32_t pick(uint32_t n)
{
	return next_random(&seed) % n;
}

/* ---- conversations ---- */

struct conversation {
	const char *inside, *outside;
	uint8_t proto;
	uint16_t inside_port, outside_port;
	bool tunnelled;
	uint32_t next[2]; /* numbers of TCP: inside, outside */
};

static struct conversation talks[TALKS];

void talks_begin(uint64_t s)
{
	seed = s;
	static const char *const inside[2][2] = { { "10.1.0.2", "10.1.0.3" },
		{ "2001:db8:1::2", "2001:db8:1::3" } };
	static const char *const outside[2][3] = { { "192.0.2.80", "192.0.2.81", "10.2.0.9" },
		{ "2001:db8:99::9", "2001:db8:99::c000:252", "2001:db8:2::9" } };

	for (int i = 0; i < TALKS; i++) {
		uint32_t v6 = pick(2), where = pick(3), kind = pick(4);
		talks[i] = (struct conversation){ .inside = inside[v6][pick(2)],
			.outside = outside[v6][where],
			.proto = kind < 2    ? IP_TCP
				 : kind == 2 ? IP_UDP
				 : v6	     ? IP_ICMPV6
					     : IP_ICMP,
			.inside_port = (uint16_t)(1000 + pick(3)),
			.outside_port = kind < 2    ? 80
					: kind == 2 ? 9
						    : 0,
			.tunnelled = where == 2,
			.next = { pick(UINT32_MAX), pick(UINT32_MAX) } };
	}
}

static bool key_is(const struct fw_key *k, const struct conversation *c)
{
	struct ip_addr in, out, src = fw_key_src(k), dst = fw_key_dst(k);

	assert_int_equal(addr_parse(&in, c->inside), RC_OK);
	assert_int_equal(addr_parse(&out, c->outside), RC_OK);
	return k->proto == c->proto && addr_equal(&src, &in) && addr_equal(&dst, &out) &&
	       k->src_port == c->inside_port;
}

/* The firewalls of one gateway, whose translations the outside answers to. */
struct gateway {
	const struct firewall *fw[WORKERS_MAX];
	uint32_t n;
};

/* Both ends as they are seen from outside. */
struct seen {
	char inside[ADDR_TEXT_MAX], outside[ADDR_TEXT_MAX];
	uint16_t inside_port, outside_port;
	uint8_t proto; /* NAT64 */
};

static struct seen seen_outside(const struct gateway *g, const struct conversation *c)
{
	struct seen seen = {
		.inside_port = c->inside_port, .outside_port = c->outside_port, .proto = c->proto
	};
	const struct fw_session *s;

	snprintf(seen.inside, sizeof seen.inside, "%s", c->inside);
	snprintf(seen.outside, sizeof seen.outside, "%s", c->outside);
	for (uint32_t i = 0; i < g->n; i++)
		for (uint32_t k = 0; k < fw_sessions_used(g->fw[i]); k++) {
			s = &g->fw[i]->sessions[k]; /* adopted or not */
			if (s->live && !fw_is_binding(s) && key_is(&s->key[0], c)) {
				struct ip_addr in = fw_key_dst(&s->key[1]), out = fw_key_src(&s->key[1]);
				addr_text(seen.inside, &in);
				addr_text(seen.outside, &out);
				seen.inside_port = s->key[1].dst_port;
				seen.outside_port = s->key[1].src_port;
				seen.proto = s->key[1].proto;
				return seen;
			}
		}
	return seen;
}

static const struct {
	uint8_t flags;
	size_t n;
} segments[] = { { TCP_SYN, 0 }, { TCP_SYN, 0 }, { TCP_SYN | TCP_ACK, 0 }, { TCP_ACK, 0 }, { TCP_ACK, 0 },
	{ TCP_ACK | TCP_PSH, 700 }, { TCP_ACK, 1300 }, { TCP_ACK | TCP_FIN, 0 }, { TCP_ACK | TCP_FIN, 0 },
	{ TCP_RST, 0 }, { TCP_RST | TCP_ACK, 0 } };

/* The next packet of one side; most are what an honest end would send next. */
static struct packet_spec packet_of(struct conversation *c, bool from_inside, const struct seen *seen)
{
	bool tcp = c->proto == IP_TCP, icmp = c->proto == IP_ICMP || c->proto == IP_ICMPV6;
	uint32_t *own = &c->next[!from_inside], *other = &c->next[from_inside],
		 kind = pick(COUNT_OF(segments));
	struct packet_spec s = { .src = from_inside ? c->inside : seen->outside,
		.dst = from_inside ? c->outside : seen->inside,
		.proto = from_inside ? c->proto : seen->proto,
		.src_port = from_inside ? c->inside_port : seen->outside_port,
		.dst_port = from_inside ? c->outside_port : seen->inside_port,
		.payload_n = tcp ? segments[kind].n : pick(300),
		.hops = pick(20) ? 64 : 1 };

	if (icmp) {
		s.src_port = from_inside ? c->inside_port : seen->inside_port;
		s.icmp_type = s.proto == IP_ICMP ? (from_inside ? ICMP4_ECHO : ICMP4_ECHO_REPLY)
						 : (from_inside ? ICMP6_ECHO : ICMP6_ECHO_REPLY);
	}
	if (!tcp)
		return s;
	s.flags = segments[kind].flags;
	if (s.flags == TCP_SYN && pick(2))
		*own = pick(UINT32_MAX);
	s.seq = pick(12) ? *own : *own + pick(200000) - 100000;
	s.ack = pick(12) ? *other : *other + pick(200000) - 100000;
	*own += (uint32_t)s.payload_n + !!(s.flags & TCP_SYN) + !!(s.flags & TCP_FIN);
	if (pick(3) == 0) /* unanswered, or lost before us */
		*own -= (uint32_t)s.payload_n;
	return s;
}

/* An error of a router about a packet that the other side is to have sent. */
static struct packet_spec error_about(struct packet_spec about, const char *router, struct packet *room)
{
	bool v4 = about.proto == IP_ICMP || !strchr(about.src, ':');
	struct train q = packet_make(room, &about);

	return (struct packet_spec){ .src = router,
		.dst = about.src,
		.proto = v4 ? IP_ICMP : IP_ICMPV6,
		.icmp_type = v4 ? ICMP4_UNREACHABLE : ICMP6_UNREACHABLE,
		.icmp_code = 1,
		.payload = q.ip,
		.payload_n = MIN_OF(q.len, 200u) };
}

static struct talk_input input_make(const struct gateway *g)
{
	static struct packet quoted;
	static struct seen seen;
	struct conversation *c = &talks[pick(TALKS)];
	bool from_inside = pick(5) < 3;
	struct talk_input i = { .from = from_inside    ? GATE_LAN
					: c->tunnelled ? TALK_TUNNEL
						       : GATE_WAN,
		.wrong_sum = pick(30) == 0 };

	seen = seen_outside(g, c);
	if (pick(8)) {
		i.spec = packet_of(c, from_inside, &seen);
		return i;
	}
	struct packet_spec about = packet_of(c, !from_inside, &seen);
	bool v6 = strchr(from_inside ? c->inside : seen.inside, ':');
	if (!from_inside) { /* as it is seen outside */
		about.src = seen.inside;
		about.src_port = seen.inside_port;
		about.dst = seen.outside;
		about.dst_port = seen.outside_port;
		about.proto = seen.proto;
		if (about.proto == IP_ICMP)
			about.icmp_type = ICMP4_ECHO;
	} else {
		about.src = c->outside;
		about.src_port = c->outside_port;
		about.dst = c->inside;
		about.proto = c->proto;
		if (about.proto == IP_ICMPV6)
			about.icmp_type = ICMP6_ECHO_REPLY;
		about.dst_port = about.proto == IP_TCP || about.proto == IP_UDP ? c->inside_port : 0;
		if (!about.dst_port)
			about.src_port = c->inside_port;
	}
	i.spec = error_about(about, v6 ? "2001:db8:77::1" : "203.0.113.9", &quoted);
	if (pick(10) == 0)
		i.from = GATE_WAN;
	return i;
}

static uint64_t seed_before;
static struct conversation talks_before[TALKS];

struct talk_input talk_next(const struct firewall *fw)
{
	const struct gateway g = { .fw = { fw }, .n = fw ? 1 : 0 };

	seed_before = seed;
	memcpy(talks_before, talks, sizeof talks);
	return input_make(&g);
}

struct talk_input talk_again(const struct gate *team, uint32_t n)
{
	struct gateway g = { .n = n };

	for (uint32_t i = 0; i < n; i++)
		g.fw[i] = team[i].fw;
	seed = seed_before;
	memcpy(talks, talks_before, sizeof talks);
	return input_make(&g);
}

void talk_arrives(const struct gate *g, uint32_t from, struct train *t)
{
	uint16_t size = t->segment_size, inner_l4 = t->inner_l4;
	uint8_t csum = t->csum;

	if (from == TALK_TUNNEL)
		pipeline_train_from_tunnel(&g->p, t, 0);
	else
		pipeline_train_from_link(&g->p, t, gate_interface(g, from));
	t->segment_size = size;
	t->inner_l4 = inner_l4;
	t->csum = csum;
}

struct train talk_train(struct packet *room, const struct talk_input *i)
{
	struct train t = packet_make(room, &i->spec);

	if (i->wrong_sum) {
		t.csum = TRAIN_CSUM_UNKNOWN;
		t.ip[t.len - 1] ^= 0x55;
	}
	return t;
}
