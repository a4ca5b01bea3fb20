/*
 * Probes of uplinks: each kind in both families is a packet that the parser takes, with right checksums; the answer of an
 * honest target is recognised, and neither any truncation of it nor one with a changed octet that counts.
 */
#include "wire/probe.h"
#include "packets.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct probe make(enum probe_by by, bool v6, const char *name)
{
	struct probe p = { .by = by,
		.dst_port = 443,
		.src_port = 40000,
		.sequence = 7,
		.number = 0x0123456789abcdefull,
		.name = name };

	assert_int_equal(addr_parse(&p.src, v6 ? "2001:db8::2" : "198.51.100.2"), RC_OK);
	assert_int_equal(addr_parse(&p.dst, v6 ? "2001:db8:80::80" : "192.0.2.80"), RC_OK);
	return p;
}

static size_t head_of(bool v6)
{
	return v6 ? IP6_HEADER_SIZE : IP4_HEADER_SIZE;
}

/* What the target sends back to what it has got. */
static size_t answer(const struct probe *p, const uint8_t *ip, size_t n, uint8_t *ret_ip)
{
	bool v6 = p->src.family == ADDR_V6;
	size_t head = head_of(v6), addr_n = addr_size(&p->src), at = v6 ? IP6_SRC : IP4_SRC;
	uint8_t *l4 = ret_ip + head;

	memcpy(ret_ip, ip, n);
	memcpy(ret_ip + at, ip + at + addr_n, addr_n);
	memcpy(ret_ip + at + addr_n, ip + at, addr_n);
	if (p->by == PROBE_BY_ECHO) {
		l4[0] = v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
		return n;
	}
	memcpy(l4, ip + head + 2, 2);
	memcpy(l4 + 2, ip + head, 2);
	if (p->by == PROBE_BY_TCP) {
		store_be32(l4 + 8, load_be32(ip + head + 4) + 1);
		store_be32(l4 + 4, 99);
		l4[13] = TCP_SYN | TCP_ACK;
	} else {
		store_be16(l4 + 10, 0x8185);
	}
	return n;
}

static void packets(void **state)
{
	static const char *const names[] = { ".", "example.net", "a.b.c-d.example" };

	for (uint32_t i = 0; i < 2 * 3 * COUNT_OF(names); i++) {
		struct probe p = make((enum probe_by)(i / 2 % 3), i & 1, names[i / 6]);
		uint8_t ip[PROBE_PACKET_MAX], proto = p.by == PROBE_BY_TCP ? IP_TCP : IP_UDP;
		size_t n = probe_make(ip, &p);
		struct train t = { .ip = ip, .len = (uint32_t)n };
		if (p.by == PROBE_BY_ECHO)
			proto = i & 1 ? IP_ICMPV6 : IP_ICMP;
		assert_int_equal(train_parse(&t), DROP_NONE);
		assert_int_equal(train_verify_l4(&t), DROP_NONE);
		assert_int_equal(t.proto, proto);
		assert_true(addr_equal(&t.src, &p.src) && addr_equal(&t.dst, &p.dst));
		if (p.by == PROBE_BY_DNS) { /* one question, whose name ends where the packet does */
			const uint8_t *dns = ip + head_of(i & 1) + UDP_HEADER_SIZE;
			size_t at = 12, dns_n = n - head_of(i & 1) - UDP_HEADER_SIZE;
			assert_int_equal(load_be16(dns + 4), 1);
			while (dns[at] != 0)
				at += dns[at] + 1u;
			assert_int_equal(at + 5, dns_n);
		}
	}
	struct probe p = make(PROBE_BY_TCP, false, "");
	uint8_t ip[PROBE_PACKET_MAX];
	struct train t = { .ip = ip, .len = (uint32_t)probe_reset_make(ip, &p) };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(train_verify_l4(&t), DROP_NONE);
	assert_int_equal(ip[IP4_HEADER_SIZE + 13], TCP_RST);
	assert_int_equal(load_be32(ip + IP4_HEADER_SIZE + 4), (uint32_t)p.number + 1);
}

/* The octets of each answer that nobody can know who has not seen the probe, or that say what it is. */
static bool counts(const struct probe *p, size_t at)
{
	bool v6 = p->src.family == ADDR_V6;
	size_t head = head_of(v6);

	if (at < head)
		return v6 ? at == 6 || at >= IP6_SRC : at == 6 || at == 7 || at == 9 || at >= IP4_SRC;
	at -= head;
	if (p->by == PROBE_BY_ECHO)
		return at < 2 || (at >= 4 && at < 16);
	if (p->by == PROBE_BY_TCP)
		return at < 4 || (at >= 8 && at < 12);
	return at < 4 || (at >= 8 && at < 10);
}

static void answers(void **state)
{
	for (uint32_t i = 0; i < 6; i++) {
		struct probe p = make((enum probe_by)(i / 2), i & 1, "example.net");
		uint8_t ip[PROBE_PACKET_MAX], back[PROBE_PACKET_MAX];
		size_t sent_n = probe_make(ip, &p), n = answer(&p, ip, sent_n, back);
		size_t least = head_of(i & 1) + (p.by == PROBE_BY_ECHO	       ? 16u
							: p.by == PROBE_BY_TCP ? 14u
									       : 20u);
		assert_true(probe_is_answer(&p, back, n));
		assert_false(probe_is_answer(&p, ip, sent_n)); /* the probe itself */
		for (size_t cut = 0; cut < n; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1); /* of exactly this size, for the sanitizer */
			assert_non_null(copy);
			memcpy(copy, back, cut);
			assert_int_equal(probe_is_answer(&p, copy, cut), cut >= least);
			free(copy);
		}
		for (size_t at = 0; at < n; at++)
			for (uint32_t bit = 0; counts(&p, at) && bit < 8; bit++) {
				bool unimportant = !(i & 1) && at == 6 && (bit == 6 || bit == 7); /* DF */
				back[at] ^= (uint8_t)(1u << bit);
				if (!unimportant)
					assert_false(probe_is_answer(&p, back, n));
				back[at] ^= (uint8_t)(1u << bit);
			}
	}
}

static void refusals(void **state)
{
	struct probe p = make(PROBE_BY_TCP, false, "");
	uint8_t ip[PROBE_PACKET_MAX], back[PROBE_PACKET_MAX];
	size_t n = answer(&p, ip, probe_make(ip, &p), back);

	back[IP4_HEADER_SIZE + 13] = TCP_RST | TCP_ACK; /* a closed port */
	assert_false(probe_is_answer(&p, back, n));
	p = make(PROBE_BY_DNS, false, "example.net");
	n = answer(&p, ip, probe_make(ip, &p), back);
	back[IP4_HEADER_SIZE + UDP_HEADER_SIZE + 2] = 1; /* a query */
	assert_false(probe_is_answer(&p, back, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets),
		cmocka_unit_test(answers),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
