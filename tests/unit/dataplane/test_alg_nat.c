/*
 * FTP whose announcements are rewritten: an active client behind source NAT, and a published server. A model of both ends'
 * TCP holds what comes out against what was said, octet by octet: text cut anywhere, segments that are lost, that are
 * sent again in other pieces and in trains, acknowledgements and SACK. Half of the connections begin by a SYN cookie.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST	 "10.1.0.2"
#define INTERNET "192.0.2.80"
#define GATE	 "198.51.100.2"
#define SEEDS	 60
#define LINES	 30
#define STREAM	 4096

static const char text[] =
	"system { host-name gate; alg { ftp; } }\n"
	"screens { screen s { tcp { syn-flood { attack-threshold 3; } } } }\n"
	"zones { zone trust { interfaces lan0; screen s; } zone untrust { interfaces wan0; screen s; } }\n"
	"applications { application ftp-control { protocol tcp; destination-port 21; } }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any;\n"
	"  application ftp-control; } then { permit; } } }\n"
	"  from untrust to trust { rule in { match { source any; destination any;\n"
	"  application ftp-control; } then { permit; } } } }\n%s";
static const char source[] =
	"nat { source { rule out { from trust; to untrust; then { source-nat interface; } } } }\n";
static const char published[] =
	"nat { destination { rule ftp { match { destination-interface wan0; application ftp-control; }\n"
	"  then { destination-nat 10.1.0.2; } } } }\n";

/* One end: what it has sent, and what has come to it. */
struct end {
	uint32_t link;
	char own[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX];
	uint16_t port, peer_port;
	uint32_t isn, peer_isn; /* the first octet, as this end counts */
	uint32_t sent, acked;	/* octets */
	uint32_t received;	/* without a gap */
	uint32_t told;		/* of them the other end knows so many: it sends them again at its own risk */
	uint8_t out[STREAM], in[STREAM];
	bool have[STREAM];
};

static struct gate g;
static struct packet packet;
static struct end ends[2]; /* the client, the server */
static uint64_t chance;

static uint32_t pick(uint32_t n)
{
	return next_random(&chance) % n;
}

/* What comes out to end d, or nothing. */
static bool arrives(uint32_t d)
{
	struct end *e = &ends[d];
	bool any = false;

	for (uint32_t i = 0; i < g.out_n; i++) {
		struct train t = { .ip = g.out[i].bytes, .len = g.out[i].n, .csum = TRAIN_CSUM_UNKNOWN };
		if (g.out[i].interface != gate_interface(&g, e->link))
			continue;
		assert_int_equal(train_parse(&t), DROP_NONE);
		if (g.out[i].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			assert_true(packet_sound_partial(t.ip, t.len));
		else
			assert_true(packet_sound(t.ip, t.len));
		const uint8_t *tcp = t.ip + t.l4_offset;
		uint32_t at = load_be32(tcp + 4) - e->peer_isn, ack = load_be32(tcp + 8) - e->isn;
		any = true;
		if (t.tcp_flags & TCP_SYN) {
			e->peer_isn = load_be32(tcp + 4) + 1;
			e->peer_port = t.src_port;
			addr_text(e->peer, &t.src);
			continue;
		}
		assert_true(ack <= e->sent);
		e->acked = ack > e->acked ? ack : e->acked;
		for (const uint8_t *o = tcp + TCP_HEADER_SIZE; o + 2 < t.ip + t.payload_offset && *o == 5;
			o += o[1])
			for (uint32_t k = 2; k < o[1]; k += 4)
				assert_true(load_be32(o + k) - e->isn <= e->sent);
		for (uint32_t k = 0; k < t.len - t.payload_offset; k++) {
			assert_true(at + k < STREAM);
			uint8_t c = t.ip[t.payload_offset + k];
			if (at + k < e->told)
				continue;
			assert_true(!e->have[at + k] || e->in[at + k] == c); /* the same again */
			e->in[at + k] = c;
			e->have[at + k] = true;
		}
		while (e->have[e->received])
			e->received++;
	}
	return any;
}

/* What comes out is left to the caller. */
static enum drop_reason post(uint32_t d, uint8_t flags, uint32_t from, uint32_t to, uint16_t segment)
{
	struct end *e = &ends[d];
	uint8_t sack[12] = { 1, 1, 5, 10 };
	struct packet_spec s = { .src = e->own,
		.dst = e->peer,
		.proto = IP_TCP,
		.src_port = e->port,
		.dst_port = e->peer_port,
		.flags = flags,
		.seq = e->isn + from - !!(flags & TCP_SYN),
		.ack = flags & TCP_ACK ? e->peer_isn + e->received : 0,
		.payload = e->out + from,
		.payload_n = to - from,
		.partial = segment || pick(3) == 0 };

	for (uint32_t k = e->received; k < STREAM - 1 && flags == TCP_ACK && !s.options; k++)
		if (e->have[k]) { /* something behind a gap */
			uint32_t last = k;
			while (e->have[last])
				last++;
			store_be32(sack + 4, e->peer_isn + k);
			store_be32(sack + 8, e->peer_isn + last);
			s.options = sack;
			s.options_n = sizeof sack;
		}
	struct train t = packet_make(&packet, &s);
	t.segment_size = to - from > segment ? segment : 0;
	gate_clear(&g);
	return gate_from_link(&g, e->link, t);
}

static enum drop_reason send(uint32_t d, uint8_t flags, uint32_t from, uint32_t to, uint16_t segment)
{
	enum drop_reason drop = post(d, flags, from, to, segment);

	if (drop == DROP_NONE) {
		assert_true(arrives(1 - d));
		ends[d].told = ends[d].received;
	}
	return drop;
}

/* The other end says what it has; sometimes that is lost. */
static void acknowledge(uint32_t d)
{
	if (pick(4))
		assert_int_equal(send(d, TCP_ACK, ends[d].sent, ends[d].sent, 0), DROP_NONE);
}

/* Says a line, in pieces, until all of it has arrived. */
static void say(uint32_t d, const char *line)
{
	struct end *e = &ends[d];
	uint32_t begin = e->sent, n = (uint32_t)strlen(line);

	assert_true(begin + n + 100 < STREAM);
	memcpy(e->out + begin, line, n);
	for (int rounds = 0; e->acked < begin + n; rounds++) {
		assert_true(rounds < 200);
		/* Something new, or again from what is not acknowledged, or all that is not acknowledged. */
		uint32_t from = pick(2) ? e->sent : e->acked;
		uint32_t to = pick(2) ? begin + n : from + 1 + pick(begin + n - from ? begin + n - from : 1);
		if (pick(4) == 0 && from > 20)
			from -= pick(20); /* an earlier piece again, although it has arrived */
		to = to > begin + n ? begin + n : to;
		if (to <= from)
			continue;
		uint32_t sent = e->sent;
		e->sent = to > sent ? to : sent;
		enum drop_reason drop = send(d, TCP_ACK | TCP_PSH, from, to, pick(3) ? 0 : 8);
		assert_true(drop == DROP_NONE || drop == DROP_ALG_ORDER);
		acknowledge(1 - d);
	}
}

static enum drop_reason syn(uint32_t link, const char *src, const char *dst, uint16_t port)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_TCP,
		.src_port = (uint16_t)(3000 + pick(60000)), /* not that of an earlier one to the same port */
		.dst_port = port,
		.flags = TCP_SYN };

	gate_clear(&g);
	return gate_from_link(&g, link, packet_make(&packet, &s));
}

/* The gateway answers the client, and begins with the server when the client has returned the cookie. */
static void handshake_by_cookie(void)
{
	for (uint32_t i = 0; i < 4; i++)
		syn(ends[0].link, ends[0].own, ends[0].peer, 21);
	assert_int_equal(post(0, TCP_SYN, 0, 0, 0), DROP_NONE);
	assert_true(arrives(0));
	assert_int_equal(post(0, TCP_ACK, 0, 0, 0), DROP_NONE);
	assert_true(arrives(1));
	assert_int_equal(post(1, TCP_SYN | TCP_ACK, 0, 0, 0), DROP_NONE);
	assert_true(arrives(0));
	assert_true(arrives(1));
	assert_int_equal(g.p.syn_counts[SYN_COUNT_OPENED], 1);
	g.now += 3 * NS_PER_S; /* the flood is over */
}

static void begin(bool dnat)
{
	gate_init(&g, text, dnat ? published : source, 64);
	memset(ends, 0, sizeof ends);
	ends[0].link = dnat ? GATE_WAN : GATE_LAN;
	ends[1].link = dnat ? GATE_LAN : GATE_WAN;
	snprintf(ends[0].own, ADDR_TEXT_MAX, "%s", dnat ? INTERNET : HOST);
	snprintf(ends[1].own, ADDR_TEXT_MAX, "%s", dnat ? HOST : INTERNET);
	snprintf(ends[0].peer, ADDR_TEXT_MAX, "%s", dnat ? GATE : INTERNET);
	ends[0].port = 2000;
	ends[0].peer_port = ends[1].port = 21;
	ends[0].isn = 0xffffff80u; /* it wraps */
	ends[1].isn = 77;
	uint8_t parts[][2] = { { 0, TCP_SYN }, { 1, TCP_SYN | TCP_ACK }, { 0, TCP_ACK } };
	bool by_cookie = pick(2);
	if (by_cookie)
		handshake_by_cookie();
	for (size_t i = 0; i < COUNT_OF(parts) && !by_cookie; i++)
		assert_int_equal(send(parts[i][0], parts[i][1], 0, 0, 0), DROP_NONE);
	say(1, "220 ready\r\n");
}

/* What has come to end d of the last line; the port that its numbers tell, and how many octets follow them. */
static uint16_t told(uint32_t d, uint32_t from, const char *front)
{
	const struct end *e = &ends[d];
	unsigned high = 0, low = 0, port = 0;
	char line[200];

	snprintf(line, sizeof line, "%.*s", (int)(e->received - from), e->in + from);
	size_t n = strlen(front);
	assert_memory_equal(line, front, n);
	if (strchr(front, ','))
		assert_int_equal(sscanf(line + n, "%u,%u", &high, &low), 2);
	else
		assert_int_equal(sscanf(line + n, "%u", &port), 1);
	assert_true(strstr(line, "\r\n") == line + strlen(line) - 2);
	return (uint16_t)(port ? port : high << 8 | low);
}

static void data_opens(const char *from, const char *to, uint16_t port, uint16_t own, bool dnat)
{
	uint32_t out = dnat ? GATE_LAN : GATE_LAN;

	assert_true(port >= 40960);
	g.now += 2 * NS_PER_S; /* no flood of SYNs to a port that is used again */
	assert_int_not_equal(syn(GATE_WAN, "192.0.2.81", to, port), DROP_NONE);
	assert_int_equal(syn(GATE_WAN, from, to, port), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].interface, gate_interface(&g, out));
	struct train t = { .ip = g.out[0].bytes, .len = g.out[0].n, .csum = TRAIN_CSUM_UNKNOWN };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &t.dst), HOST);
	assert_int_equal(t.dst_port, own);
	assert_true(packet_sound(t.ip, t.len));
}

static void active(void **state)
{
	char line[100];

	(void)state;
	for (chance = 1; chance <= SEEDS; chance++) {
		uint64_t seed = chance;
		begin(false);
		for (int i = 0; i < LINES; i++) {
			uint16_t own = (uint16_t)(1024 + pick(64000));
			uint32_t from = ends[1].received;
			bool extended = pick(2);
			snprintf(line, sizeof line,
				extended ? "EPRT |1|10.1.0.2|%u|\r\n" : "PORT 10,1,0,2,%u,%u\r\n",
				extended ? own : own >> 8, own & 255);
			say(0, line);
			data_opens(INTERNET, GATE,
				told(1, from, extended ? "EPRT |1|198.51.100.2|" : "PORT 198,51,100,2,"), own,
				false);
			say(1, "200 ok\r\n");
			if (pick(2)) {
				from = ends[1].received;
				say(0, "NOOP\r\n");
				assert_memory_equal(ends[1].in + from, "NOOP\r\n", 6);
				say(1, "200 ok\r\n");
			}
		}
		assert_memory_equal(ends[0].in, ends[1].out, ends[1].sent);
		gate_done(&g);
		chance = seed;
	}
}

static void passive(void **state)
{
	char line[100];

	(void)state;
	for (chance = 1; chance <= SEEDS; chance++) {
		uint64_t seed = chance;
		begin(true);
		for (int i = 0; i < LINES; i++) {
			uint16_t own = (uint16_t)(1024 + pick(64000));
			bool extended = pick(2);
			say(0, extended ? "EPSV\r\n" : "PASV\r\n");
			uint32_t from = ends[0].received;
			/* a server may tell the address that it is published at */
			snprintf(line, sizeof line,
				extended  ? "229 E (|||%u|)\r\n"
				: pick(2) ? "227 P (10,1,0,2,%u,%u)\r\n"
					  : "227 P (198,51,100,2,%u,%u)\r\n",
				extended ? own : own >> 8, own & 255);
			say(1, line);
			data_opens(INTERNET, GATE,
				told(0, from, extended ? "229 E (|||" : "227 P (198,51,100,2,"), own, true);
		}
		assert_memory_equal(ends[1].in, ends[0].out, ends[0].sent);
		gate_done(&g);
		chance = seed;
	}
}

/* A server whose segments end within the line that is to be replaced, and do so each time they are sent again. */
static void segments_that_stay(void **state)
{
	static const char lines[] = "200 ok\r\n227 P (10,1,0,2,156,64)\r\n";
	const uint32_t n = sizeof lines - 1;
	struct end *e = &ends[1];

	(void)state;
	for (uint32_t size = 9; size < n; size++) {
		chance = size;
		begin(true);
		say(0, "NOOP\r\nPASV\r\n");
		uint32_t first = e->sent, from = ends[0].received;
		memcpy(e->out + first, lines, n);
		e->sent += n;
		for (int rounds = 0; e->acked < first + n; rounds++) {
			assert_true(rounds < 10);
			send(1, TCP_ACK | TCP_PSH, e->acked, MIN_OF(e->acked + size, first + n), 0);
			if (rounds > 0) /* the first one is lost behind the gateway */
				assert_int_equal(send(0, TCP_ACK, ends[0].sent, ends[0].sent, 0), DROP_NONE);
			if (e->acked > first && size < n - 8)
				break; /* what is left is a line that is larger than a segment */
		}
		assert_memory_equal(ends[0].in + from, "200 ok\r\n", 8);
		if (size >= n - 8)
			assert_int_equal(told(0, from + 8, "227 P (198,51,100,2,") >= 40960, true);
		gate_done(&g);
	}
}

/* A new process knows by how much the numbers differ: the connection goes on. */
static void process_restarts(void **state)
{
	(void)state;
	chance = 7;
	begin(false);
	say(0, "PORT 10,1,0,2,156,64\r\n");
	say(1, "200 ok\r\n");
	int32_t shift = (int32_t)(ends[1].received - ends[0].sent);
	assert_int_not_equal(shift, 0);
	free(g.p.alg); /* what it knows is gone */
	g.p.alg = alg_new();
	say(0, "NOOP\r\n");
	say(1, "200 ok\r\n");
	assert_int_equal(ends[1].received - ends[0].sent, shift);
	/* and with the gateway off */
	gate_load(&g,
		"system { host-name gate; }\n"
		"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
		"policy { from trust to untrust { rule out { match { source any; destination any;\n"
		"  application any; } then { permit; } } } }\n%s",
		source);
	say(0, "NOOP\r\n");
	say(1, "200 ok\r\n");
	assert_int_equal(ends[1].received - ends[0].sent, shift);
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(active), cmocka_unit_test(passive),
		cmocka_unit_test(segments_that_stay), cmocka_unit_test(process_restarts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
