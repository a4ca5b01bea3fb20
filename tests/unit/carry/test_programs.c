/*
 * The programs for the kernel against the firewall: random packets of random sessions. Either a program passes a packet to the data
 * plane and remembers nothing of it, or what leaves, TCP's numbers and the counters are what the firewall's own stages
 * make of it. Once as ordinary code under sanitizers, and once in the kernel by BPF_PROG_TEST_RUN, as root; without that the
 * second half is skipped and says so.
 */
#include "kernel.h"
#include "packets.h"

#include "firewall/internal.h"
#include "screen/screen.h"
#include "wire/csum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef WITH_CARRY
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#define SIDE_FIN 4 /* of tcp.c */
enum { IN = 1, OUT = 7, EPOCH = 5, FRAME = 14, ROUNDS = 60000, KERNEL_ROUNDS = 6000 };
#define NOW 5000000000ull

/* ---- who runs the programs ---- */

struct runner {
	struct carry_head *head;
	struct carry_bucket *buckets;
	struct carry_record *records;
	bool partial; /* it knows packets whose checksum is left to the NIC */
	/* ret_sent: the interface, 0: the packet was not sent. */
	bool (*tap)(struct kernel_packet *p);
	int (*carry)(struct kernel_packet *p, uint32_t *ret_sent);
};

static bool native_tap(struct kernel_packet *p)
{
	return kernel_tap(p) == 0;
}

static int native_carry(struct kernel_packet *p, uint32_t *ret_sent)
{
	int r = kernel_carry(p);

	*ret_sent = p->sent_to;
	return r;
}

/* ---- one session ---- */

struct scene {
	struct fw_session s;
	struct fw_key key[2];
	uint8_t mac[12];
	bool marks, placed;
	uint8_t dscp;
	uint16_t mtu, mss_max;
	uint64_t random;
};

static uint32_t below(struct scene *c, uint32_t n)
{
	return next_random(&c->random) % n;
}

static struct carry_key key_of(const struct fw_key *k)
{
	struct carry_key to = { .src_port = __builtin_bswap16(k->src_port),
		.dst_port = __builtin_bswap16(k->dst_port),
		.interface = IN };

	memcpy(to.src, k->src, 16);
	memcpy(to.dst, k->dst, 16);
	return to;
}

static struct carry_bucket *bucket_of(struct runner *r, uint32_t d, uint64_t *ret_hash)
{
	struct carry_record *to = &r->records[0];

	*ret_hash = carry_hash(r->head->hash_key, &to->key[d], to->family, to->proto);
	return &r->buckets[carry_bucket_of(*ret_hash)];
}

/* Both keys may have the same bucket. */
static void place(struct scene *c, struct runner *r)
{
	uint32_t first = below(c, CARRY_PLACES / 2);
	uint64_t hash;

	for (uint32_t d = 0; d < 2; d++) {
		struct carry_bucket *b = bucket_of(r, d, &hash);
		memset(b, 0, sizeof *b);
	}
	for (uint32_t d = 0; d < 2; d++) {
		struct carry_bucket *b = bucket_of(r, d, &hash);
		b->place[first + d * CARRY_PLACES / 2] = (struct carry_place){ 1 + d, carry_tag(hash) };
	}
}

static void address_random(struct scene *c, uint8_t at[16], bool v4)
{
	memset(at, 0, 16);
	for (int i = 0; i < (v4 ? 4 : 16); i++)
		at[i] = (uint8_t)below(c, 256);
	at[0] = v4 ? (uint8_t)(1 + below(c, 100)) : 0x20;
}

/* Sides that fw_tcp_begin() and what comes after it may have left. */
static void sides_make(struct scene *c)
{
	struct fw_tcp_side *t = c->s.tcp;

	c->s.state = (uint8_t)(FW_TCP_SYN_SENT + below(c, 8) % 4); /* to CLOSING */
	for (int d = 0; d < 2; d++)
		t[d] = (struct fw_tcp_side){ .end = next_random(&c->random),
			.max_window = 1 + below(c, 1u << 20),
			.scale = (uint8_t)below(c, 15),
			.flags = 1 };
	for (int d = 0; d < 2; d++) {
		t[d].max_end = t[d].end + below(c, t[1 - d].max_window);
		t[d].ack = t[1 - d].end - (below(c, 2) ? below(c, 2000) : 0);
	}
	if (c->s.state == FW_TCP_CLOSING) { /* one FIN or both, not all acknowledged */
		uint32_t fins = 1 + below(c, 3);
		t[0].flags |= fins & 1 ? SIDE_FIN : 0;
		t[1].flags |= fins & 2 ? SIDE_FIN : 0;
		if (t[0].ack == t[1].end && t[1].ack == t[0].end)
			t[below(c, 2)].ack--;
	}
	if (c->s.state != FW_TCP_SYN_SENT)
		return;
	bool scales = below(c, 3);
	t[0].flags = scales ? 3 : 1;
	t[0].scale = scales ? t[0].scale : 0;
	t[0].ack = 0;
	t[0].max_end = t[0].end - (below(c, 4) ? 0 : below(c, 30)); /* data in the SYN */
	t[1] = (struct fw_tcp_side){ 0 };
}

static enum carry_tcp tcp_of(const struct fw_session *s)
{
	const uint32_t fins =
		(fw_session_fin(s, 0) ? carry_fin(0) : 0) | (fw_session_fin(s, 1) ? carry_fin(1) : 0);

	return s->state == FW_TCP_SYN_SENT	 ? CARRY_TCP_SYN_SENT
	       : s->state == FW_TCP_SYN_RECEIVED ? CARRY_TCP_SYN_RECEIVED
	       : s->state == FW_TCP_TIME_WAIT	 ? CARRY_TCP_TIME_WAIT
	       : s->state == FW_TCP_CLOSED	 ? CARRY_TCP_CLOSED | fins
	       : s->state != FW_STATELESS	 ? CARRY_TCP_ESTABLISHED | fins
						 : CARRY_TCP_NONE;
}

static void scene_make(struct scene *c, struct runner *r)
{
	bool v4 = below(c, 2), tcp = below(c, 4), translates = below(c, 4);
	struct fw_key *k = c->s.key;

	c->s = (struct fw_session){ .state = tcp ? FW_TCP_ESTABLISHED : FW_STATELESS,
		.flags = translates ? FW_SESSION_TRANSLATED : 0 };
	for (int i = 0; i < 2; i++) {
		address_random(c, k[i].src, v4);
		address_random(c, k[i].dst, v4);
		k[i].src_port = (uint16_t)(1 + below(c, 65535));
		k[i].dst_port = (uint16_t)(1 + below(c, 65535));
		k[i].family = v4 ? ADDR_V4 : ADDR_V6;
		k[i].proto = tcp ? IP_TCP : IP_UDP;
	}
	if (!translates)
		k[1] = fw_key_reverse(&k[0]);
	if (below(c, 3) == 0)
		k[1].src_port = k[0].dst_port;
	c->marks = below(c, 3) == 0;
	c->dscp = (uint8_t)below(c, 64);
	c->mtu = (uint16_t)(below(c, 4) ? 1500 : 400);
	c->mss_max = (uint16_t)(below(c, 4) ? 1460 : 536);
	if (tcp)
		sides_make(c);
	for (int i = 0; i < 12; i++)
		c->mac[i] = (uint8_t)below(c, 256);
	c->placed = below(c, 20) > 0;
	struct carry_record *to = &r->records[0];
	*to = (struct carry_record){ .state = c->placed ? CARRY_PLACED : CARRY_FREE,
		.epoch = EPOCH,
		.family = v4 ? 4 : 6,
		.proto = k[0].proto,
		.tcp = tcp_of(&c->s),
		.mss = c->mss_max };
	for (uint32_t d = 0; d < 2; d++) {
		struct carry_key back = key_of(&k[1 - d]);
		to->key[d] = key_of(&k[d]);
		to->way[d] = (struct carry_way){ .src_port = back.dst_port,
			.dst_port = back.src_port,
			.interface = OUT,
			.mtu = c->mtu,
			.flags =
				(uint8_t)((translates ? CARRY_TRANSLATES : 0) | (c->marks ? CARRY_MARKS : 0)),
			.dscp = c->dscp };
		memcpy(to->way[d].src, back.dst, 16);
		memcpy(to->way[d].dst, back.src, 16);
		memcpy(to->way[d].mac, c->mac, 12);
		const struct fw_tcp_side *t = &c->s.tcp[d];
		to->side[d] = (struct carry_side){ t->end, t->max_end, t->max_window, t->ack, t->scale,
			t->flags >> 1 & 1, 0 };
	}
	place(c, r);
}

/* ---- one packet ---- */

struct given {
	struct packet packet;
	struct train t;
	struct kernel_packet k;
	uint8_t frame[FRAME + TRAIN_BYTES_MAX];
	uint32_t d;
	bool strange; /* changed somewhere: the program may pass it, or not */
};

static const char *text_of(const uint8_t *a, uint8_t family, char *to)
{
	struct ip_addr addr = { .family = family };

	memcpy(addr.b, a, 16);
	return addr_text(to, &addr);
}

static void numbers_random(struct scene *c, const struct given *g, struct packet_spec *spec)
{
	const struct fw_tcp_side *from = &c->s.tcp[g->d], *to = &c->s.tcp[1 - g->d];
	static const uint8_t flags[] = { TCP_ACK | TCP_FIN, TCP_ACK | TCP_RST, TCP_SYN, TCP_SYN | TCP_ACK,
		TCP_ACK | TCP_URG };

	spec->flags = (uint8_t)(TCP_ACK | (below(c, 2) ? TCP_PSH : 0) | (below(c, 8) ? 0 : TCP_ECE));
	if (below(c, 12) == 0)
		spec->flags = flags[below(c, COUNT_OF(flags))];
	spec->seq = from->end + below(c, 4000) - 2000;
	spec->ack = to->end - below(c, 3000);
	if (below(c, 8) == 0)
		spec->seq = from->max_end + below(c, 5) - 2;
	if (below(c, 8) == 0)
		spec->ack = to->end + below(c, 5) - 2;
	if (below(c, 12) == 0)
		spec->seq = next_random(&c->random);
	if (below(c, 12) == 0)
		spec->ack = next_random(&c->random);
	spec->window = (uint16_t)below(c, 65536);
}

/* A handshake's, FINs that are sent first and again, and the acknowledgements of them, and exact resets. */
static void numbers_step(struct scene *c, const struct given *g, struct packet_spec *spec)
{
	const struct fw_tcp_side *from = &c->s.tcp[g->d], *to = &c->s.tcp[1 - g->d];

	spec->payload_n = below(c, 20) == 0;
	spec->window = (uint16_t)below(c, 65536);
	spec->window_closed = below(c, 20) == 0;
	spec->ack = to->end;
	spec->seq = from->end;
	if (c->s.state == FW_TCP_SYN_SENT && g->d == 1 && below(c, 8)) {
		spec->flags = (uint8_t)(TCP_SYN | (below(c, 30) ? TCP_ACK : 0) | (below(c, 8) ? 0 : TCP_ECE));
		spec->seq = next_random(&c->random);
		if (below(c, 4) == 0)
			spec->ack = to->max_end + below(c, 5) - 2;
	} else if (below(c, 3)) {
		spec->flags = (uint8_t)(TCP_ACK | (below(c, 3) ? TCP_FIN : 0) | (below(c, 8) ? 0 : TCP_PSH));
		if (fw_session_fin(&c->s, g->d) && (spec->flags & TCP_FIN || below(c, 8) == 0))
			spec->seq--; /* again */
		if (below(c, 6) == 0)
			spec->seq += below(c, 5) - 2;
		if (below(c, 6) == 0)
			spec->ack += below(c, 5) - 2;
	} else {
		spec->flags = (uint8_t)(TCP_RST | (below(c, 3) ? TCP_ACK : 0) | (below(c, 20) ? 0 : TCP_PSH));
		if (below(c, 6) == 0)
			spec->seq += below(c, 5) - 2;
	}
}

static size_t options_random(struct scene *c, uint8_t to[40])
{
	static const struct {
		uint8_t n, b[10];
	} rows[] = { { 4, { 2, 4, 5, 180 } }, { 3, { 3, 3, 7 } }, { 1, { 1 } }, { 1, { 1 } }, { 2, { 4, 2 } },
		{ 10, { 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 } }, { 4, { 2, 4, 2, 24 } }, { 3, { 3, 3, 200 } },
		{ 3, { 2, 3, 9 } }, { 4, { 3, 4, 9, 9 } }, { 1, { 0 } }, { 3, { 77, 1, 5 } },
		{ 2, { 78, 60 } } };
	size_t n = 0;

	memset(to, 0, 40);
	for (uint32_t left = below(c, 9); left > 0; left--) {
		uint32_t i = below(c, below(c, 4) ? 6 : (uint32_t)COUNT_OF(rows));
		if (n + rows[i].n > 40)
			break;
		memcpy(to + n, rows[i].b, rows[i].n);
		n += rows[i].n;
	}
	return (n + 3) & ~(size_t)3;
}

static void packet_random(struct scene *c, struct given *g, bool partial)
{
	uint8_t options[40];
	char src[64], dst[64];
	const struct fw_key *k = &c->s.key[g->d = below(c, 2)];
	struct packet_spec spec = { .src = text_of(k->src, k->family, src),
		.dst = text_of(k->dst, k->family, dst),
		.proto = k->proto,
		.src_port = k->src_port,
		.dst_port = k->dst_port,
		.payload_n = below(c, 4) ? below(c, 1400) : 0,
		.hops = (uint8_t)(below(c, 8) ? 64 : 1 + below(c, 3)),
		.partial = partial && below(c, 2) };

	g->strange = false;
	if (k->proto == IP_TCP &&
		(c->s.state == FW_TCP_SYN_SENT || below(c, c->s.state == FW_TCP_CLOSING ? 2 : 8) == 0))
		numbers_step(c, g, &spec);
	else if (k->proto == IP_TCP)
		numbers_random(c, g, &spec);
	if (k->proto == IP_TCP && (spec.flags & (TCP_SYN | TCP_RST | TCP_FIN))) {
		spec.options_n = options_random(c, options);
		spec.options = options;
	}
	g->t = packet_make(&g->packet, &spec);
	if (!spec.partial)
		g->t.csum = TRAIN_CSUM_UNKNOWN;
	if (below(c, 10) == 0) { /* somewhere in its headers */
		g->t.ip[below(c, MIN_OF(g->t.len, 60u))] ^= (uint8_t)(1u << below(c, 8));
		g->strange = true;
	}
	uint32_t padding = g->t.len < 46       ? below(c, 2) * (46 - g->t.len)
			   : below(c, 10) == 0 ? below(c, 4)
					       : 0;
	g->t.segment_size =
		padding == 0 && spec.payload_n > 600 && below(c, 2) ? (uint16_t)(200 + below(c, 400)) : 0;
	memset(g->frame, 0, 12);
	store_be16(g->frame + 12, k->family == ADDR_V4 ? 0x0800 : 0x86dd);
	memset(g->t.ip + g->t.len, 0x5a, padding);
	g->t.len += padding;
	memcpy(g->frame + FRAME, g->t.ip, g->t.len);
	g->k = (struct kernel_packet){ .frame = g->frame, .partial = spec.partial };
	g->k.b.len = FRAME + g->t.len;
	g->k.b.ifindex = IN;
	g->k.b.gso_size = g->t.segment_size;
}

/* Of the options as on_answer() and fw_tcp_clamp() read them: all in order, none of these two twice, and nothing to clamp. */
static bool options_are_plain(const struct scene *c, const struct train *t)
{
	const uint8_t *b = t->ip + t->l4_offset + TCP_HEADER_SIZE, *end = t->ip + t->payload_offset;
	uint32_t sizes = 0, scales = 0, all = 0;

	for (; b < end; all++) {
		if (*b == 0)
			return sizes <= 1 && scales <= 1 && all < 8;
		uint32_t n = *b == 1 ? 1 : end - b < 2 ? 0 : b[1];
		if (n == 0 || (n == 1 && *b != 1) || n > (uint32_t)(end - b))
			return false;
		sizes += *b == 2;
		scales += *b == 3;
		if ((*b == 2 && (n != 4 || load_be16(b + 2) > c->mss_max)) || (*b == 3 && n != 3))
			return false;
		b += n;
	}
	return sizes <= 1 && scales <= 1 && all <= 8;
}

/* What opens or closes a connection and is so plain that a program takes it. */
static bool is_plain_step(const struct scene *c, const struct train *t, uint32_t d)
{
	uint8_t flags = (uint8_t)(t->tcp_flags & ~(TCP_ECE | TCP_CWR));
	uint32_t seq = load_be32(t->ip + t->l4_offset + 4);

	if (t->payload_offset != t->len || t->segment_size)
		return false;
	if (flags == (TCP_SYN | TCP_ACK))
		return c->s.state == FW_TCP_SYN_SENT && d == 1 && options_are_plain(c, t);
	if ((flags & ~TCP_PSH) == (TCP_FIN | TCP_ACK))
		return c->s.state == FW_TCP_ESTABLISHED || c->s.state == FW_TCP_CLOSING;
	return (flags & ~TCP_ACK) == TCP_RST && c->s.state != FW_TCP_SYN_SENT && seq == c->s.tcp[d].end &&
	       seq == c->s.tcp[1 - d].ack;
}

static bool tcp_reference(struct scene *c, struct train *t, uint32_t d)
{
	enum fw_step step = FW_STEP_RENEWS;
	bool steps = t->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_URG);

	if (c->s.state > FW_TCP_CLOSING)
		return false;
	if (steps ? !is_plain_step(c, t, d) || train_verify_l4(t) != DROP_NONE
		  : c->s.state == FW_TCP_SYN_SENT)
		return false;
	return fw_tcp_track(&c->s, t, d, &step) == DROP_NONE && step == FW_STEP_RENEWS;
}

/* What the firewall's stages make of it. False: nothing leaves, or not without a decision. */
static bool reference(struct scene *c, struct given *g)
{
	struct train *t = &g->t;
	const struct fw_key *k = &c->s.key[g->d];

	if (train_parse(t) != DROP_NONE || t->hop_limit <= 1 || t->proto != k->proto ||
		t->flags & TRAIN_FRAGMENT || memcmp(t->src.b, k->src, 16) != 0 ||
		memcmp(t->dst.b, k->dst, 16) != 0 || t->src_port != k->src_port || t->dst_port != k->dst_port)
		return false;
	if ((t->segment_size ? t->payload_offset + t->segment_size : t->len) > c->mtu)
		return false;
	if (t->proto == IP_TCP && !tcp_reference(c, t, g->d))
		return false;
	bool v4 = t->src.family == ADDR_V4;
	uint8_t class = (uint8_t)(c->dscp << 2 | (t->traffic_class & 3)), was[20];
	memcpy(was, t->ip, 20);
	if (c->marks && v4)
		t->ip[1] = class;
	if (c->marks && !v4) {
		t->ip[0] = (uint8_t)(0x60 | class >> 4);
		t->ip[1] = (uint8_t)(class << 4 | (t->ip[1] & 15));
	}
	t->ip[v4 ? IP4_TTL : IP6_HOPS]--;
	if (v4)
		csum_update(t->ip + IP4_CSUM, was, t->ip, 10);
	if (c->s.flags & FW_SESSION_TRANSLATED)
		fw_translate(&c->s, t, g->d);
	return true;
}

static void equal_numbers(const struct scene *c, const struct carry_record *r)
{
	for (int d = 0; d < 2; d++) {
		const struct fw_tcp_side *t = &c->s.tcp[d];
		const struct carry_side *k = &r->side[d];
		assert_true(t->end == k->end && t->max_end == k->max_end && t->max_window == k->max_window &&
			    t->ack == k->ack && t->scale == k->scale);
	}
	assert_int_equal(r->tcp, tcp_of(&c->s));
}

/* Returns whether it was carried. */
static bool one(struct scene *c, struct runner *r, struct given *g)
{
	struct carry_record *record = &r->records[0], before;
	uint32_t sent = 0, d;

	memset(record->count, 0, sizeof record->count);
	packet_random(c, g, r->partial);
	before = *record;
	d = g->d;
	if (!r->tap(&g->k)) {
		assert_memory_equal(&before, record, sizeof before);
		assert_int_equal(r->carry(&g->k, &sent), -1); /* TC_ACT_UNSPEC */
		struct scene copy = *c;
		/* What is ordinary must be carried: else this test would show nothing. */
		assert_true(g->strange || !c->placed || !reference(&copy, g));
		return false;
	}
	assert_true(c->placed);
	assert_int_equal(r->carry(&g->k, &sent), 7); /* TC_ACT_REDIRECT */
	assert_int_equal(sent, OUT);
	assert_true(reference(c, g));
	/* No screen of headers misses it; sessions of Teredo's port are not placed where a screen looks into them. */
	assert_true(screen_is_ordinary(&g->t) ||
		    (g->t.proto == IP_UDP && (g->t.src_port == TEREDO_PORT || g->t.dst_port == TEREDO_PORT)));
	assert_int_equal(g->k.b.len, FRAME + g->t.len);
	assert_memory_equal(g->frame, c->mac, 12);
	assert_memory_equal(g->frame + FRAME, g->t.ip, g->t.len);
	if (g->t.proto == IP_TCP)
		equal_numbers(c, record);
	assert_int_equal(record->count[d].packets, train_packets(&g->t));
	assert_int_equal(record->count[d].octets, train_bytes(&g->t));
	assert_int_equal(record->count[1 - d].packets, 0);
	/* Obeyed once. */
	assert_int_equal(r->carry(&g->k, &sent), -1);
	return true;
}

static void against(struct runner *r, int rounds, uint64_t seed)
{
	static struct given g;
	struct scene c = { .random = seed };
	int carried = 0, ended = 0;

	r->head->epoch = EPOCH;
	r->head->hash_key[0] = 11;
	r->head->hash_key[1] = 12;
	for (int i = 0; i < rounds; i++) {
		if (i % 8 == 0)
			scene_make(&c, r);
		carried += one(&c, r, &g);
		ended += r->records[0].tcp == CARRY_TCP_TIME_WAIT;
	}
	assert_true(carried > rounds / 4 && carried < rounds && (ended > 0 || rounds < ROUNDS));
}

static struct runner native(void)
{
	kernel_init();
	kernel_link(IN);
	kernel_link(OUT);
	kernel_now = NOW;
	kernel_head->beat[0] = NOW - CARRY_BEAT_NS;
	return (struct runner){ kernel_head, kernel_buckets, kernel_records, true, native_tap, native_carry };
}

static void test_native(void **state)
{
	struct runner r = native();

	against(&r, ROUNDS, 1);
	kernel_done();
}

/* A packet that is carried, for what follows. */
static void ordinary(struct scene *c, struct runner *r, struct given *g)
{
	do {
		scene_make(c, r);
		packet_random(c, g, false);
	} while (!native_tap(&g->k));
	uint32_t sent;
	assert_int_equal(r->carry(&g->k, &sent), 7);
	packet_random(c, g, false);
}

/* An entry is good for two seconds after its worker's beat, in its epoch, for the link it came by, between links. */
static void test_good(void **state)
{
	static struct given g;
	struct runner r = native();
	struct scene c = { .random = 3 };
	const uint64_t beats[] = { NOW, NOW - CARRY_GOOD_NS + CARRY_AHEAD_NS + 1, NOW + CARRY_AHEAD_NS, 0,
		NOW - CARRY_GOOD_NS, NOW + CARRY_AHEAD_NS + 1, UINT64_MAX };

	r.head->epoch = EPOCH;
	ordinary(&c, &r, &g);
	struct carry_record good = r.records[0];
	uint8_t frame[2048];
	struct kernel_packet k;
	do {
		r.records[0] = good;
		packet_random(&c, &g, false);
		memcpy(frame, g.frame, sizeof frame);
		k = g.k;
	} while (!native_tap(&g.k));
	for (size_t i = 0; i < COUNT_OF(beats); i++) {
		r.records[0] = good;
		r.head->beat[0] = beats[i];
		assert_int_equal(native_tap(&k), i < 3);
	}
	r.head->beat[0] = NOW;
	for (int i = 0; i < 8; i++) {
		struct carry_record *x = &r.records[0];
		*x = good;
		k.b.ifindex = IN;
		k.b.pkt_type = k.b.vlan_present = 0;
		x->generation = i == 1;
		x->epoch = i == 2 ? EPOCH - 1 : EPOCH;
		x->state = i == 3 ? CARRY_FREE : CARRY_PLACED;
		x->way[0].interface = x->way[1].interface = i == 4 ? OUT + CARRY_LINKS : OUT;
		k.b.ifindex = i == 5 ? OUT : IN;
		k.b.pkt_type = i == 6 ? 3 : 0; /* to another link address */
		k.b.vlan_present = i == 7;
		assert_int_equal(native_tap(&k), i == 0);
	}
	kernel_done();
}

/* A record that changes between the two programs loses the packet, and that is counted; another packet's note is not obeyed. */
static void test_changed(void **state)
{
	static struct given g;
	struct runner r = native();
	struct scene c = { .random = 4 };
	uint32_t sent = 0;

	r.head->epoch = EPOCH;
	do {
		scene_make(&c, &r);
		packet_random(&c, &g, false);
	} while (!native_tap(&g.k));
	assert_int_equal(train_parse(&g.t), DROP_NONE);
	r.records[0].generation += 2;
	assert_int_equal(native_carry(&g.k, &sent), 2); /* TC_ACT_SHOT */
	assert_int_equal(r.head->lost, 1);
	r.records[0].generation -= 2;
	for (int i = 0; i < 3; i++) {
		struct kernel_packet k = g.k;
		assert_true(native_tap(&g.k) || i > 0);
		k.b.ifindex += i == 0;
		k.b.len -= i == 1;
		k.frame[FRAME + g.t.l4_offset + 4] ^= i == 2;
		assert_int_equal(native_carry(&k, &sent), -1);
	}
	assert_int_equal(r.head->lost, 1);
	kernel_done();
}

/* The next packet that opens or closes a connection and that the tap takes. */
static void step_taken(struct scene *c, struct runner *r, struct given *g, bool partial)
{
	do {
		scene_make(c, r);
		packet_random(c, g, partial);
	} while (g->strange || c->s.key[0].proto != IP_TCP || train_parse(&g->t) != DROP_NONE ||
		 !(g->t.tcp_flags & (TCP_SYN | TCP_RST | TCP_FIN)) || g->k.partial != partial ||
		 !native_tap(&g->k));
}

/* A checksum that is wrong, but stands there as one that the NIC completes: the packet is lost, and changes nothing. One that is
 * just wrong is the data plane's. What another processor has done meanwhile loses it too. */
static void test_steps(void **state)
{
	static struct given g;
	struct runner r = native();
	struct scene c = { .random = 9 };
	uint32_t sent = 0, lost = 0;

	r.head->epoch = EPOCH;
	for (int i = 0; i < 400; i++) {
		bool partial = i % 4 == 0, forged = i % 4 == 1, raced = i % 4 == 2;
		step_taken(&c, &r, &g, partial || forged);
		struct carry_record *x = &r.records[0], before = *x;
		g.k.partial = partial;
		if (raced)
			before.tcp = x->tcp =
				x->tcp == CARRY_TCP_SYN_SENT ? CARRY_TCP_ANSWERING : CARRY_TCP_CLOSED;
		assert_int_equal(native_carry(&g.k, &sent), forged || raced ? 2 : 7);
		assert_int_equal(r.head->lost, lost += forged || raced);
		if (forged || raced)
			assert_memory_equal(&before, x, sizeof before);
		else
			assert_true(before.tcp != x->tcp || g.t.tcp_flags & TCP_FIN);
		step_taken(&c, &r, &g, false);
		g.frame[FRAME + g.t.l4_offset + TCP_CSUM] ^= 0x10;
		assert_false(native_tap(&g.k));
	}
	kernel_done();
}

/* Gives the segment another window, so that its checksum is what it would be if it was left to the NIC: right, all the same. */
static void checksum_by_chance(struct given *g)
{
	uint8_t *tcp = g->frame + FRAME + g->t.l4_offset;
	const uint32_t n = g->t.len - g->t.l4_offset;
	const uint8_t *addrs = g->frame + FRAME + (g->t.src.family == ADDR_V4 ? 12 : 8);
	uint32_t pseudo = IP_TCP + n;

	for (uint32_t i = 0; i < (g->t.src.family == ADDR_V4 ? 8u : 32u); i += 2)
		pseudo += load_be16(addrs + i);
	while (pseudo > 0xffff)
		pseudo = (pseudo & 0xffff) + (pseudo >> 16);
	uint32_t window = load_be16(tcp + 14) + load_be16(tcp + TCP_CSUM) + (0xffff - pseudo);
	while (window > 0xffff)
		window = (window & 0xffff) + (window >> 16);
	store_be16(tcp + 14, (uint16_t)window);
	store_be16(tcp + TCP_CSUM, (uint16_t)pseudo);
}

/* One in 65,536 is both right and as one that the NIC completes: it comes to the data plane, which knows; it is not lost, nor
 * would it be each time that it is sent again. */
static void test_both_sums(void **state)
{
	static struct given g;
	struct runner r = native();
	struct scene c = { .random = 10 };

	r.head->epoch = EPOCH;
	for (int i = 0; i < 200; i++) {
		do
			step_taken(&c, &r, &g, false);
		while (g.t.len != load_be16(g.t.ip + (g.t.src.family == ADDR_V4 ? 2 : 4)) +
					  (g.t.src.family == ADDR_V4 ? 0u : 40u));
		checksum_by_chance(&g);
		memcpy(g.t.ip, g.frame + FRAME, g.t.len);
		assert_int_equal(train_verify_l4(&g.t), DROP_NONE);
		assert_false(native_tap(&g.k));
	}
	kernel_done();
}

/* Sealed packets for the gateway itself, as the classic filter leaves them out. */
static void test_sealed(void **state)
{
	static struct given g;
	struct runner r = native();
	const struct {
		const char *dst;
		uint8_t proto;
		uint16_t port;
		bool out;
	} rows[] = { { "192.0.2.1", IP_ESP, 0, true }, { "192.0.2.2", IP_ESP, 0, false },
		{ "192.0.2.1", IP_UDP, 4500, true }, { "192.0.2.1", IP_UDP, 4501, false },
		{ "192.0.2.1", IP_TCP, 4500, false }, { "2001:db8::1", IP_ESP, 0, true },
		{ "2001:db8::1", IP_UDP, 4500, true }, { "2001:db8::2", IP_UDP, 4500, false } };

	kernel_host->v4_n = kernel_host->v6_n = 1;
	memcpy(kernel_host->v4[0], (uint8_t[]){ 192, 0, 2, 1 }, 4);
	memcpy(kernel_host->v6[0], (uint8_t[]){ 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16);
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		bool v6 = strchr(rows[i / 2].dst, ':');
		struct packet_spec spec = { .src = v6 ? "2001:db8::9" : "192.0.2.9",
			.dst = rows[i / 2].dst,
			.proto = rows[i / 2].proto,
			.src_port = 4500,
			.dst_port = rows[i / 2].port,
			.flags = TCP_ACK,
			.payload_n = 100 };
		kernel_host->links_n = 1;
		kernel_host->link[0] = i % 2 ? IN : OUT;
		g.t = packet_make(&g.packet, &spec);
		store_be16(g.frame + 12, v6 ? 0x86dd : 0x0800);
		memcpy(g.frame + FRAME, g.t.ip, g.t.len);
		g.k = (struct kernel_packet){ .frame = g.frame };
		g.k.b.len = FRAME + g.t.len;
		g.k.b.ifindex = IN;
		assert_int_equal(r.tap(&g.k), rows[i / 2].out && i % 2);
	}
	g.k.b.pkt_type = 4; /* what the gateway sends itself */
	assert_true(r.tap(&g.k));
	kernel_done();
}

/* ---- in the kernel ---- */

#ifdef WITH_CARRY

static int tap_fd, carry_fd;

static int kernel_runs(int fd, struct kernel_packet *p, bool out)
{
	static uint8_t to[FRAME + 4096];
	struct __sk_buff context = { .gso_size = p->b.gso_size };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->frame, .data_size_in = p->b.len, .data_out = to,
		.data_size_out = sizeof to, .ctx_in = &context, .ctx_size_in = sizeof context);

	assert_int_equal(bpf_prog_test_run_opts(fd, &o), 0);
	if (out) {
		memcpy(p->frame, to, o.data_size_out);
		p->b.len = o.data_size_out;
	}
	return (int)o.retval;
}

static bool kernel_taps(struct kernel_packet *p)
{
	return kernel_runs(tap_fd, p, false) == 0;
}

static int kernel_carries(struct kernel_packet *p, uint32_t *ret_sent)
{
	int r = kernel_runs(carry_fd, p, true);

	*ret_sent = r == 7 ? OUT : 0;
	return r;
}

static void *mapped(struct bpf_object *o, const char *name, size_t n)
{
	void *at = mmap(
		NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(o, name), 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

static void test_kernel(void **state)
{
	struct bpf_object *o = bpf_object__open_file(getenv("CARRY_OBJECT"), NULL);
	cpu_set_t cpu;

	assert_non_null(o);
	libbpf_set_print(quiet);
	/* A socket's filter is run behind the link header by this test call: as a program of tc it sees what a packet socket's does. */
	bpf_program__set_type(bpf_object__find_program_by_name(o, "tap"), BPF_PROG_TYPE_SCHED_CLS);
	int rc = bpf_object__load(o);
	if (rc == -EPERM) {
		print_message("skipped: this process may not load programs into the kernel\n");
		bpf_object__close(o);
		skip();
	}
	assert_int_equal(rc, 0);
	/* The two find each other's note on one processor. */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof cpu, &cpu);
	tap_fd = bpf_program__fd(bpf_object__find_program_by_name(o, "tap"));
	carry_fd = bpf_program__fd(bpf_object__find_program_by_name(o, "carry"));
	struct runner r = { .head = mapped(o, "head", sizeof *r.head),
		.buckets = mapped(o, "buckets", CARRY_BUCKETS * sizeof *r.buckets),
		.records = mapped(o, "records", CARRY_RECORDS_MAX * sizeof *r.records),
		.tap = kernel_taps,
		.carry = kernel_carries };
	for (uint32_t i = 0, both[] = { IN, OUT }; i < 2; i++)
		assert_int_equal(bpf_map_update_elem(bpf_object__find_map_fd_by_name(o, "links"), &both[i],
					 &both[i], BPF_ANY),
			0);
	r.head->beat[0] = clock_mono() + 5 * NS_PER_S; /* this machine may be slow */
	for (int i = 0; i < KERNEL_ROUNDS; i += 200) {
		r.head->beat[0] = clock_mono();
		against(&r, 200, 1000u + (uint64_t)i);
	}
	bpf_object__close(o);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_both_sums),
		cmocka_unit_test(test_sealed),
#ifdef WITH_CARRY
		cmocka_unit_test(test_kernel),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
