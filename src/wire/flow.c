#include "wire/flow.h"

#include "base/icmp.h"
#include "base/siphash.h"
#include "wire/ip.h"
#include "wire/quoted.h"

#include <assert.h>

#define WORD_SHIFT 15
#define PORT_SHIFT 13

struct flow_key flow_key_make(const uint8_t secret[16])
{
	uint64_t word[2], a, b;

	word[0] = 1;
	a = siphash13(secret, word, 8);
	word[0] = 2;
	b = siphash13(secret, word, 8);
	return (struct flow_key){ .start = (uint32_t)a,
		.by_word = (uint32_t)(a >> 32) | 1,
		.by_port = (uint32_t)b | 1,
		.by_sum = (uint32_t)(b >> 32) | 1 };
}

static uint32_t end_hash(const struct flow_key *k, const struct ip_addr *a, uint16_t port)
{
	uint32_t x = k->start;
	size_t words = a->family == ADDR_V4 ? 1 : 4;

	for (size_t i = 0; i < words; i++) {
		x = (x ^ load_be32(a->b + 4 * i)) * k->by_word;
		x ^= x >> WORD_SHIFT;
	}
	x = (x ^ port) * k->by_port;
	return x ^ x >> PORT_SHIFT;
}

uint32_t flow_hash(const struct flow_key *k, const struct ip_addr *a, uint16_t a_port,
	const struct ip_addr *b, uint16_t b_port, uint8_t proto)
{
	return (end_hash(k, a, a_port) + end_hash(k, b, b_port) + proto) * k->by_sum;
}

uint32_t flow_end_hash(const struct flow_key *k, const struct ip_addr *a, uint16_t port)
{
	return end_hash(k, a, port) * k->by_sum;
}

uint32_t flow_hash_train(const struct flow_key *k, const struct train *t)
{
	struct quoted q;

	if (t->flags & TRAIN_FRAGMENT)
		return flow_hash(k, &t->src, 0, &t->dst, 0, 0);
	if (t->flags & TRAIN_ICMP_ERROR && !t->segment_size &&
		quoted_in_error(&q, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset))
		return flow_hash(k, &q.src, q.src_port, &q.dst, q.dst_port, q.proto);
	return flow_hash(k, &t->src, t->src_port, &t->dst, t->dst_port, t->proto);
}

/* ---- the same in classic BPF ---- */

enum { M_PROTO, M_SRC_PORT, M_DST_PORT, M_SRC_END }; /* the program's scratch memory */

#define AT_IP ((uint32_t)SKF_NET_OFF)

struct program {
	struct sock_filter *code;
	uint32_t n;
};

static uint32_t put(struct program *p, uint16_t code, uint32_t k)
{
	assert(p->n < FLOW_PROGRAM_MAX);
	p->code[p->n] = (struct sock_filter){ code, 0, 0, k };
	return p->n++;
}

/* A jump that is completed by jump_to_here(): yes where the condition holds, else no. */
static void jump_to_here(struct program *p, uint32_t jump, bool yes)
{
	uint32_t by = p->n - jump - 1;

	assert(by <= UINT8_MAX);
	*(yes ? &p->code[jump].jt : &p->code[jump].jf) = (uint8_t)by;
}

static void put_load(struct program *p, uint16_t size, uint32_t at)
{
	put(p, (uint16_t)(BPF_LD | size | BPF_ABS), AT_IP + at);
}

static void put_store(struct program *p, uint32_t at)
{
	put(p, BPF_ST, at);
}

/* A = (A ^ A >> shift) */
static void put_fold(struct program *p, uint32_t shift)
{
	put(p, BPF_MISC | BPF_TAX, 0);
	put(p, BPF_ALU | BPF_RSH | BPF_K, shift);
	put(p, BPF_ALU | BPF_XOR | BPF_X, 0);
}

/* end_hash() of the address at `at` and the port in memory. */
static void put_end(struct program *p, const struct flow_key *k, uint32_t at, uint32_t words, uint32_t port)
{
	for (uint32_t i = 0; i < words; i++) {
		if (i > 0)
			put(p, BPF_MISC | BPF_TAX, 0);
		put_load(p, BPF_W, at + 4 * i);
		if (i > 0)
			put(p, BPF_ALU | BPF_XOR | BPF_X, 0);
		else
			put(p, BPF_ALU | BPF_XOR | BPF_K, k->start);
		put(p, BPF_ALU | BPF_MUL | BPF_K, k->by_word);
		put_fold(p, WORD_SHIFT);
	}
	put(p, BPF_LDX | BPF_MEM, port);
	put(p, BPF_ALU | BPF_XOR | BPF_X, 0);
	put(p, BPF_ALU | BPF_MUL | BPF_K, k->by_port);
	put_fold(p, PORT_SHIFT);
}

/* flow_home() of both ends and what is in memory. */
static void put_home(
	struct program *p, const struct flow_key *k, uint32_t src_at, uint32_t words, uint32_t workers)
{
	put_end(p, k, src_at, words, M_SRC_PORT);
	put_store(p, M_SRC_END);
	put_end(p, k, src_at + 4 * words, words, M_DST_PORT);
	put(p, BPF_LDX | BPF_MEM, M_SRC_END);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_LDX | BPF_MEM, M_PROTO);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_ALU | BPF_MUL | BPF_K, k->by_sum);
	put(p, BPF_ALU | BPF_RSH | BPF_K, 16);
	put(p, BPF_ALU | BPF_MUL | BPF_K, workers);
	put(p, BPF_ALU | BPF_RSH | BPF_K, 16);
	put(p, BPF_RET | BPF_A, 0);
}

/* L4 begins at X, or always at l4: a field of it. */
static void put_load_l4(struct program *p, bool by_x, uint16_t size, uint32_t at)
{
	put(p, (uint16_t)(BPF_LD | size | (by_x ? BPF_IND : BPF_ABS)), AT_IP + at);
}

/* The ports of TCP, UDP and SCTP, the identifier of ICMP queries; the protocol is in memory, zeros are in the place of the
 * ports. */
static void put_ports(struct program *p, bool v4)
{
	static const struct {
		bool v4;
		uint8_t types[2], at;
	} queries[] = {
#define Q(is4, query, answer, at, name) { is4, { query, answer }, at },
		ICMP_QUERIES(Q)
#undef Q
	};
	uint32_t l4 = v4 ? 0 : IP6_HEADER_SIZE, query[2 * COUNT_OF(queries)], nonce[2], n = 0, nonces = 0;

	put(p, BPF_LD | BPF_MEM, M_PROTO);
	uint32_t tcp = put(p, BPF_JMP | BPF_JEQ | BPF_K, IP_TCP);
	uint32_t udp = put(p, BPF_JMP | BPF_JEQ | BPF_K, IP_UDP);
	uint32_t sctp = put(p, BPF_JMP | BPF_JEQ | BPF_K, IP_SCTP);
	uint32_t other = put(p, BPF_JMP | BPF_JEQ | BPF_K, v4 ? IP_ICMP : IP_ICMPV6);
	put_load_l4(p, v4, BPF_B, l4);
	for (uint32_t i = 0; i < COUNT_OF(queries); i++)
		for (uint32_t d = 0; d < 2 && queries[i].v4 == v4; d++)
			*(queries[i].at == ICMP_AT_NONCE ? &nonce[nonces++] : &query[n++]) =
				put(p, BPF_JMP | BPF_JEQ | BPF_K, queries[i].types[d]);
	uint32_t no_query = put(p, BPF_JMP | BPF_JA, 0), has_nonce = 0;
	if (nonces > 0) {
		for (uint32_t i = 0; i < nonces; i++)
			jump_to_here(p, nonce[i], true);
		put_load_l4(p, v4, BPF_H, l4 + ICMP_AT_NONCE);
		has_nonce = put(p, BPF_JMP | BPF_JA, 0);
	}
	for (uint32_t i = 0; i < n; i++)
		jump_to_here(p, query[i], true);
	put_load_l4(p, v4, BPF_H, l4 + ICMP_AT_IDENTIFIER);
	if (nonces > 0)
		p->code[has_nonce].k = p->n - has_nonce - 1;
	put_store(p, M_SRC_PORT);
	put_store(p, M_DST_PORT);
	uint32_t ready = put(p, BPF_JMP | BPF_JA, 0);
	jump_to_here(p, tcp, true);
	jump_to_here(p, udp, true);
	jump_to_here(p, sctp, true);
	put_load_l4(p, v4, BPF_H, l4);
	put_store(p, M_SRC_PORT);
	put_load_l4(p, v4, BPF_H, l4 + 2);
	put_store(p, M_DST_PORT);
	jump_to_here(p, other, false);
	p->code[no_query].k = p->n - no_query - 1;
	p->code[ready].k = p->n - ready - 1;
}

static void put_zeros(struct program *p)
{
	put(p, BPF_LD | BPF_IMM, 0);
	put_store(p, M_SRC_PORT);
	put_store(p, M_DST_PORT);
}

/* A = 0 for a fragment, whose protocol and ports do not count. */
static void put_ip4(struct program *p, const struct flow_key *k, uint32_t workers)
{
	put_zeros(p);
	put_store(p, M_PROTO);
	put_load(p, BPF_H, 6);
	uint32_t fragment = put(p, BPF_JMP | BPF_JSET | BPF_K, IP4_MF | IP4_OFFSET_MASK);
	put_load(p, BPF_B, 9);
	put_store(p, M_PROTO);
	put(p, BPF_LDX | BPF_B | BPF_MSH, AT_IP); /* X: octets of the header */
	put_ports(p, true);
	jump_to_here(p, fragment, true);
	put_home(p, k, IP4_SRC, 1, workers);
}

static void put_ip6(struct program *p, const struct flow_key *k, uint32_t workers)
{
	put_zeros(p);
	put_store(p, M_PROTO);
	put_load(p, BPF_B, 6);
	uint32_t fragment = put(p, BPF_JMP | BPF_JEQ | BPF_K, IP6_FRAGMENT);
	put_store(p, M_PROTO);
	put_ports(p, false);
	jump_to_here(p, fragment, true);
	put_home(p, k, IP6_SRC, 4, workers);
}

uint32_t flow_program(
	const struct flow_key *k, uint32_t workers, struct sock_filter ret_program[FLOW_PROGRAM_MAX])
{
	struct program p = { .code = ret_program };

	assert(workers > 0 && workers <= 65536);
	put_load(&p, BPF_B, 0);
	put(&p, BPF_ALU | BPF_RSH | BPF_K, 4);
	uint32_t ip4 = put(&p, BPF_JMP | BPF_JEQ | BPF_K, 4);
	put_ip4(&p, k, workers);
	jump_to_here(&p, ip4, false);
	uint32_t ip6 = put(&p, BPF_JMP | BPF_JEQ | BPF_K, 6);
	put_ip6(&p, k, workers);
	jump_to_here(&p, ip6, false);
	put(&p, BPF_RET | BPF_K, 0);
	return p.n;
}
