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
		{ "2001:db8:99::9", "2001:db8:99::a", "2001:db8:2::9" } };

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

/* Where the inside host is seen from outside. */
static const char *seen_at(const struct firewall *fw, const struct conversation *c, uint16_t *ret_port)
{
	static char text[ADDR_TEXT_MAX];
	const struct fw_session *s;
	uint32_t cursor = 0;

	*ret_port = c->inside_port;
	while (fw && (s = fw_session_next(fw, &cursor)))
		if (key_is(&s->key[0], c)) {
			struct ip_addr a = fw_key_dst(&s->key[1]);
			*ret_port = s->key[1].dst_port;
			return addr_text(text, &a);
		}
	return c->inside;
}

static const struct {
	uint8_t flags;
	size_t n;
} segments[] = { { TCP_SYN, 0 }, { TCP_SYN, 0 }, { TCP_SYN | TCP_ACK, 0 }, { TCP_ACK, 0 }, { TCP_ACK, 0 },
	{ TCP_ACK | TCP_PSH, 700 }, { TCP_ACK, 1300 }, { TCP_ACK | TCP_FIN, 0 }, { TCP_ACK | TCP_FIN, 0 },
	{ TCP_RST, 0 }, { TCP_RST | TCP_ACK, 0 } };

/* The next packet of one side; most are what an honest end would send next. */
static struct packet_spec packet_of(const struct firewall *fw, struct conversation *c, bool from_inside)
{
	bool tcp = c->proto == IP_TCP, icmp = c->proto == IP_ICMP || c->proto == IP_ICMPV6;
	uint16_t port;
	const char *seen = from_inside ? NULL : seen_at(fw, c, &port);
	uint32_t *own = &c->next[!from_inside], *other = &c->next[from_inside],
		 kind = pick(COUNT_OF(segments));
	struct packet_spec s = { .src = from_inside ? c->inside : c->outside,
		.dst = from_inside ? c->outside : seen,
		.proto = c->proto,
		.src_port = from_inside ? c->inside_port : c->outside_port,
		.dst_port = from_inside ? c->outside_port : port,
		.payload_n = tcp ? segments[kind].n : pick(300),
		.hops = pick(20) ? 64 : 1 };

	if (icmp) {
		s.src_port = from_inside ? c->inside_port : port;
		s.icmp_type = c->proto == IP_ICMP ? (from_inside ? ICMP4_ECHO : ICMP4_ECHO_REPLY)
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

struct talk_input talk_next(const struct firewall *fw)
{
	static struct packet quoted;
	static char seen[ADDR_TEXT_MAX];
	struct conversation *c = &talks[pick(TALKS)];
	bool from_inside = pick(5) < 3;
	struct talk_input i = { .from = from_inside    ? GATE_LAN
					: c->tunnelled ? TALK_TUNNEL
						       : GATE_WAN,
		.wrong_sum = pick(30) == 0 };

	if (pick(8)) {
		i.spec = packet_of(fw, c, from_inside);
		return i;
	}
	struct packet_spec about = packet_of(fw, c, !from_inside);
	bool v6 = strchr(c->inside, ':');
	if (!from_inside) { /* as it is seen outside */
		uint16_t port;
		snprintf(seen, sizeof seen, "%s", seen_at(fw, c, &port));
		about.src = seen;
		about.src_port = port;
	} else {
		about.dst = c->inside;
		about.dst_port = about.proto == IP_TCP || about.proto == IP_UDP ? c->inside_port : 0;
		if (!about.dst_port)
			about.src_port = c->inside_port;
	}
	i.spec = error_about(about, v6 ? "2001:db8:77::1" : "203.0.113.9", &quoted);
	if (pick(10) == 0)
		i.from = GATE_WAN;
	return i;
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
