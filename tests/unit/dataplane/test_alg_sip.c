/*
 * SIP through the whole data plane, behind source NAT: what is rewritten, what is expected, what is kept, and what opens
 * nothing.
 */
#include "gate.h"
#include "wire/fragment.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST	 "10.1.0.2"
#define INTERNET "192.0.2.80"
#define GATE	 "198.51.100.2"

static const char text[] =
	"system { host-name gate; alg { sip; } }\n"
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
	"applications { application calls { protocol udp; destination-port 5060; } }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any;\n"
	"  application calls; } then { permit; } } } }\n"
	"nat { source { rule out { from trust; to untrust; then { source-nat interface; } } } }\n%s";

static struct gate g;
static struct packet packet;
static uint16_t mapped; /* the telephone's port outside */
static char out[4096];	/* the text of what came out last */

static int setup(void **state)
{
	(void)state;
	gate_init(&g, text, "", 2048);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_done(&g);
	return 0;
}

static enum drop_reason datagram(uint32_t link, const char *src, uint16_t src_port, const char *dst,
	uint16_t dst_port, const char *payload)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = src_port,
		.dst_port = dst_port,
		.payload = (const uint8_t *)payload,
		.payload_n = strlen(payload),
		.partial = g.now & 1 };

	gate_clear(&g);
	g.now += NS_PER_S / 1000 + 1;
	enum drop_reason drop = gate_from_link(&g, link, packet_make(&packet, &s));
	out[0] = 0;
	if (drop != DROP_NONE || g.out_n != 1)
		return drop ? drop : DROP_COUNT;
	struct train t = { .ip = g.out[0].bytes, .len = g.out[0].n, .csum = TRAIN_CSUM_UNKNOWN };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_true(g.out[0].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? packet_sound_partial(t.ip, t.len)
									 : packet_sound(t.ip, t.len));
	snprintf(out, sizeof out, "%.*s", (int)(t.len - t.payload_offset), t.ip + t.payload_offset);
	if (link == GATE_LAN && dst_port == 5060)
		mapped = t.src_port;
	return DROP_NONE;
}

static const char *message(const char *start, const char *via, const char *call, const char *cseq,
	const char *more, const char *media_addr, unsigned media_port)
{
	static char all[2000];
	char sdp[300] = "";

	if (media_addr)
		snprintf(sdp, sizeof sdp,
			"v=0\r\no=a 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP 0\r\n",
			media_addr, media_addr, media_port);
	snprintf(all, sizeof all,
		"%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nCall-ID: %s\r\nCSeq: %s\r\n%s%s"
		"Content-Length: %zu\r\n\r\n%s",
		start, via, call, cseq, more, media_addr ? "Content-Type: application/sdp\r\n" : "",
		strlen(sdp), sdp);
	return all;
}

static enum drop_reason from_phone(const char *m)
{
	return datagram(GATE_LAN, HOST, 5060, INTERNET, 5060, m);
}

static enum drop_reason from_server(const char *m)
{
	return datagram(GATE_WAN, INTERNET, 5060, GATE, mapped, m);
}

static unsigned told(void)
{
	const char *at = strstr(out, "m=audio ");

	assert_non_null(at);
	const char *body = strstr(out, "\r\n\r\n") + 4, *length = strstr(out, "Content-Length: ");
	assert_int_equal(atoi(length + 16), strlen(body));
	return (unsigned)atoi(at + 8);
}

#define CONTACT "Contact: <sip:a@10.1.0.2:5060>\r\n"

static unsigned invite(const char *call, unsigned port)
{
	assert_int_equal(from_phone(message("INVITE sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", call,
				 "1 INVITE", CONTACT, HOST, port)),
		DROP_NONE);
	char want[100];
	snprintf(want, sizeof want, "Via: SIP/2.0/UDP 198.51.100.2:%u;", mapped);
	assert_non_null(strstr(out, want));
	snprintf(want, sizeof want, "Contact: <sip:a@198.51.100.2:%u>", mapped);
	assert_non_null(strstr(out, want));
	assert_null(strstr(out, "IN IP4 10."));
	unsigned t = told();
	assert_in_range(t, 40960, 65534);
	assert_int_equal(t % 2, 0);
	return t;
}

static enum drop_reason media_in(const char *src, uint16_t src_port, unsigned port)
{
	return datagram(GATE_WAN, src, src_port, GATE, (uint16_t)port, "media");
}

static void calls(void **state)
{
	char want[100];

	(void)state;
	unsigned port = invite("1", 7000);
	assert_int_equal(invite("1", 7000), port); /* sent again */
	/* the response, with the telephone's own Via; its media are expected as well */
	snprintf(want, sizeof want, "198.51.100.2:%u", mapped);
	assert_int_equal(from_server(message("SIP/2.0 200 OK", want, "1", "1 INVITE",
				 "Contact: <sip:b@192.0.2.80>\r\n", INTERNET, 6000)),
		DROP_NONE);
	assert_non_null(strstr(out, "Via: SIP/2.0/UDP 10.1.0.2:5060;"));
	assert_non_null(strstr(out, "m=audio 6000 "));
	/* from inside, by the port that was told, and back; RTCP from whoever it is */
	assert_int_equal(datagram(GATE_LAN, HOST, 7000, INTERNET, 6000, "media"), DROP_NONE);
	struct train t = { .ip = g.out[0].bytes, .len = g.out[0].n, .csum = TRAIN_CSUM_UNKNOWN };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.src_port, port);
	assert_int_equal(media_in(INTERNET, 6000, port), DROP_NONE);
	assert_int_not_equal(media_in("192.0.2.81", 6000, port), DROP_NONE); /* once */
	assert_int_equal(media_in("192.0.2.81", 6001, port + 1), DROP_NONE);
	assert_int_equal(datagram(GATE_LAN, HOST, 7001, "192.0.2.81", 6001, "media"), DROP_NONE);
	assert_int_not_equal(datagram(GATE_LAN, HOST, 7002, INTERNET, 6002, "media"), DROP_NONE);
	/* another call, from outside first; it is cancelled before its RTCP comes */
	port = invite("2", 7004);
	assert_int_equal(media_in(INTERNET, 6004, port), DROP_NONE);
	assert_int_equal(from_phone(message("CANCEL sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", "2",
				 "1 CANCEL", "", NULL, 0)),
		DROP_NONE);
	assert_int_not_equal(media_in(INTERNET, 6005, port + 1), DROP_NONE);
	/* BYE of another call leaves this one's */
	port = invite("3", 7008);
	assert_int_equal(
		from_server(message("BYE sip:a@10.1.0.2 SIP/2.0", "192.0.2.80", "4", "1 BYE", "", NULL, 0)),
		DROP_NONE);
	assert_int_equal(media_in(INTERNET, 6008, port), DROP_NONE);
}

static void time_passes(uint32_t seconds)
{
	for (; seconds > 0; seconds--) {
		g.now += NS_PER_S;
		fw_expire(g.fw, g.now, 1000);
	}
}

static void registers(uint32_t seconds)
{
	char via[60], more[120];

	assert_int_equal(from_phone(message("REGISTER sip:192.0.2.80 SIP/2.0", "10.1.0.2:5060", "9",
				 "1 REGISTER", CONTACT, NULL, 0)),
		DROP_NONE);
	snprintf(via, sizeof via, "198.51.100.2:%u", mapped);
	snprintf(more, sizeof more, "Contact: <sip:a@198.51.100.2:%u>;expires=%u\r\n", mapped, seconds);
	assert_int_equal(
		from_server(message("SIP/2.0 200 OK", via, "9", "1 REGISTER", more, NULL, 0)), DROP_NONE);
	assert_non_null(strstr(out, "Contact: <sip:a@10.1.0.2:5060>"));
}

static void registrations(void **state)
{
	char start[100];

	(void)state;
	registers(600);
	gate_load(&g, text, ""); /* a commit changes nothing of it */
	time_passes(550);
	snprintf(start, sizeof start, "INVITE sip:a@198.51.100.2:%u SIP/2.0", mapped);
	assert_int_equal(
		from_server(message(start, "192.0.2.80", "5", "1 INVITE", "", INTERNET, 6000)), DROP_NONE);
	assert_non_null(strstr(out, "INVITE sip:a@10.1.0.2:5060 SIP/2.0"));
	time_passes(601);
	assert_int_not_equal(
		from_server(message(start, "192.0.2.80", "6", "1 INVITE", "", INTERNET, 6000)), DROP_NONE);
	registers(600);
	registers(0); /* ends it */
	time_passes(200);
	assert_int_not_equal(
		from_server(message(start, "192.0.2.80", "7", "1 INVITE", "", INTERNET, 6000)), DROP_NONE);
}

static void what_opens_nothing(void **state)
{
	const struct fw_counters *c = fw_counters(g.fw);

	(void)state;
	/* media of others: a third host inside, a well-known port; nothing is opened, and the text is theirs */
	assert_int_equal(from_phone(message("INVITE sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", "1",
				 "1 INVITE", "", "10.1.0.77", 7000)),
		DROP_NONE);
	assert_non_null(strstr(out, "c=IN IP4 10.1.0.77"));
	assert_int_equal(from_phone(message("INVITE sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", "1",
				 "1 INVITE", "", HOST, 53)),
		DROP_NONE);
	assert_int_equal(
		from_server(message("SIP/2.0 200 OK", "192.0.2.80", "1", "1 INVITE", "", "192.0.2.99", 6000)),
		DROP_NONE);
	assert_int_equal(c->expectations_made, 0);
	/* what only looks like SIP */
	assert_int_equal(from_phone("x\r\nINVITE sip:b@192.0.2.80 SIP/2.0\r\n\r\n"), DROP_NONE);
	assert_int_equal(c->expectations_made, 0);
}

/* One host lets expect no more than its share, and has no more sessions kept. */
static void floods(void **state)
{
	const struct fw_counters *c = fw_counters(g.fw);
	char call[20];

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		snprintf(call, sizeof call, "f%u", i);
		from_phone(message("INVITE sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", call, "1 INVITE", "",
			HOST, 2000 + 2 * i));
		assert_true(c->expectations_now <= 32);
	}
	for (uint16_t i = 0; i < 700; i++) {
		char via[60];
		assert_int_equal(datagram(GATE_LAN, HOST, (uint16_t)(10000 + i), INTERNET, 5060,
					 message("REGISTER sip:192.0.2.80 SIP/2.0", "10.1.0.2", "9",
						 "1 REGISTER", CONTACT, NULL, 0)),
			DROP_NONE);
		snprintf(via, sizeof via, "198.51.100.2:%u", mapped);
		assert_int_equal(from_server(message("SIP/2.0 200 OK", via, "9", "1 REGISTER",
					 "Expires: 3600\r\n", NULL, 0)),
			DROP_NONE);
	}
	assert_true(g.p.alg_full >= 700 - 512);
	time_passes(300);
	assert_in_range(c->sessions_now, 500, 513);
}

/* Answers to calls that nobody made, with forged sources, to a published telephone system: none is kept without a word from there,
 * and those that it has answered keep no place from another zone's registrations. */
static void forged_answers(void **state)
{
	char published[4096];
	const struct fw_counters *c = fw_counters(g.fw);
	char from[ADDR_TEXT_MAX];

	(void)state;
	const char *at = strstr(text, "} } } }\nnat {");
	assert_non_null(at);
	snprintf(published, sizeof published,
		"%.*s} } } from untrust to trust { rule in { match { source any; destination any;\n"
		"  application calls; } then { permit; } } } }%s",
		(int)(at - text), text, at + strlen("} } } }"));
	gate_load(&g, published, "");
	for (uint32_t answered = 0; answered < 2; answered++) {
		for (uint32_t i = 0; i < 1100; i++) {
			const char *ok = message("SIP/2.0 200 OK", "10.1.0.2", "7", "1 INVITE", "", NULL, 0);
			snprintf(from, sizeof from, "192.0.%u.%u", 3 + i / 200, 1 + i % 200);
			assert_int_equal(datagram(GATE_WAN, from, 5060, HOST, 5060, ok), DROP_NONE);
			if (!answered)
				continue;
			const char *bad = message("SIP/2.0 481 None", from, "7", "1 INVITE", "", NULL, 0);
			datagram(GATE_LAN, HOST, 5060, from, 5060, bad);
			ok = message("SIP/2.0 200 OK", "10.1.0.2", "7", "1 INVITE", "", NULL, 0);
			datagram(GATE_WAN, from, 5060, HOST, 5060, ok);
		}
		registers(600);
		time_passes(300);
		/* the telephone can be called, and of the others as many are kept as there are places, or none */
		assert_in_range(c->sessions_now, 1, answered ? 1024 : 1);
		char start[100];
		snprintf(start, sizeof start, "INVITE sip:a@198.51.100.2:%u SIP/2.0", mapped);
		assert_int_equal(
			from_server(message(start, "192.0.2.80", "5", "1 INVITE", "", INTERNET, 6000)),
			DROP_NONE);
	}
}

/* A message in fragments is read and rewritten as one, and leaves in fragments whose datagram is sound. */
static void in_fragments(void **state)
{
	static struct packet whole, joined;
	struct packet_spec s = {
		.src = HOST, .dst = INTERNET, .proto = IP_UDP, .src_port = 5060, .dst_port = 5060
	};
	uint32_t n = 0;

	(void)state;
	s.payload = (const uint8_t *)message(
		"INVITE sip:b@192.0.2.80 SIP/2.0", "10.1.0.2:5060", "1", "1 INVITE", CONTACT, HOST, 7000);
	s.payload_n = strlen((const char *)s.payload);
	struct train t = packet_make(&whole, &s);
	assert_int_equal(train_parse(&t), DROP_NONE);
	gate_clear(&g);
	for (uint32_t k = 2; k-- > 0;) { /* the last one first */
		struct train piece = { .ip = packet.room + TRAIN_HEAD_ROOM, .csum = TRAIN_CSUM_UNKNOWN };
		piece.len = (uint32_t)fragment_cut(piece.ip, &t, 300, k, 5);
		assert_true(piece.len > 0);
		assert_int_equal(gate_from_link(&g, GATE_LAN, piece), DROP_NONE);
	}
	assert_int_equal(fragment_cut(packet.room + TRAIN_HEAD_ROOM, &t, 300, 2, 5), 0);
	assert_true(g.out_n >= 2);
	memcpy(joined.room, g.out[0].bytes, 20);
	for (uint32_t i = 0; i < g.out_n; i++) {
		uint32_t at = 8u * (load_be16(g.out[i].bytes + 6) & IP4_OFFSET_MASK);
		assert_true(g.out[i].n <= 300 && 20 + at + g.out[i].n <= sizeof joined.room);
		memcpy(joined.room + 20 + at, g.out[i].bytes + 20, g.out[i].n - 20);
		n = MAX_OF(n, at + g.out[i].n);
	}
	store_be16(joined.room + 2, (uint16_t)n);
	store_be16(joined.room + 6, 0);
	store_be16(joined.room + IP4_CSUM, 0);
	store_be16(joined.room + IP4_CSUM, plain_checksum(0, joined.room, 20));
	assert_true(packet_sound(joined.room, n));
	snprintf(out, sizeof out, "%.*s", (int)(n - 28), joined.room + 28);
	assert_non_null(strstr(out, "c=IN IP4 " GATE));
	assert_true(told() >= 1024);
	assert_int_equal(media_in(INTERNET, 6000, (uint16_t)told()), DROP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(calls, setup, teardown),
		cmocka_unit_test_setup_teardown(registrations, setup, teardown),
		cmocka_unit_test_setup_teardown(what_opens_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(floods, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(in_fragments, setup, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
