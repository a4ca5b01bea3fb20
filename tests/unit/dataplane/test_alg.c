/*
 * The application layer gateways at work: an FTP or TFTP dialogue through the whole data plane, with source NAT,
 * opens what it announces where the gateway is on, and nothing where it is off or somebody plays a trick.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define HOST	 "10.1.0.2"
#define INTERNET "192.0.2.80"
#define GATE	 "198.51.100.2"

static const char text[] =
	"system { host-name gate; %s }\n"
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
	"applications { application ftp-control { protocol tcp; destination-port 21; }\n"
	"  application requests { protocol udp; destination-port 69; } }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any;\n"
	"  application [ ftp-control requests ]; } then { permit; } } } }\n";
static const char nat[] =
	"nat { source { rule out { from trust; to untrust; then { source-nat interface; } } } }\n";

static struct gate g;
static struct packet packet;
static uint32_t seq[2];
static struct packet_spec control[2]; /* of the client, and of the server as it sees the client */

static void begin(const char *alg, bool translated)
{
	char all[1200];

	snprintf(all, sizeof all, "%s%s", text, translated ? nat : "");
	gate_init(&g, all, alg, 64);
}

static enum drop_reason pass(uint32_t link, const struct packet_spec *s)
{
	gate_clear(&g);
	return gate_from_link(&g, link, packet_make(&packet, s));
}

/* What came out last, parsed. */
static struct train out(void)
{
	assert_int_equal(g.out_n, 1);
	struct train t = { .ip = g.out[0].bytes, .len = g.out[0].n, .csum = TRAIN_CSUM_UNKNOWN };
	assert_int_equal(train_parse(&t), DROP_NONE);
	return t;
}

static enum drop_reason say(uint32_t d, uint8_t flags, const char *line)
{
	struct packet_spec s = control[d];

	s.flags = flags;
	s.seq = seq[d];
	s.ack = seq[1 - d];
	s.payload = (const uint8_t *)line;
	s.payload_n = strlen(line);
	enum drop_reason drop = pass(d ? GATE_WAN : GATE_LAN, &s);
	if (drop == DROP_NONE)
		seq[d] += (uint32_t)strlen(line) + !!(flags & TCP_SYN);
	return drop;
}

/* The handshake, and the greeting. */
static void dial_from(const char *host, uint16_t port)
{
	seq[0] = 1000;
	seq[1] = 5000;
	control[0] = (struct packet_spec){
		.src = host, .dst = INTERNET, .proto = IP_TCP, .src_port = port, .dst_port = 21
	};
	assert_int_equal(say(0, TCP_SYN, ""), DROP_NONE);
	struct train t = out();
	static char seen[ADDR_TEXT_MAX];
	control[1] = (struct packet_spec){ .src = INTERNET,
		.dst = addr_text(seen, &t.src),
		.proto = IP_TCP,
		.src_port = 21,
		.dst_port = t.src_port };
	assert_int_equal(say(1, TCP_SYN | TCP_ACK, ""), DROP_NONE);
	assert_int_equal(say(0, TCP_ACK, ""), DROP_NONE);
	assert_int_equal(say(1, TCP_ACK, "220 ready\r\n"), DROP_NONE);
}

static void dial(uint16_t port)
{
	dial_from(HOST, port);
}

static enum drop_reason syn(uint32_t link, const char *src, uint16_t src_port, const char *dst, uint16_t port)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_TCP,
		.src_port = src_port,
		.dst_port = port,
		.flags = TCP_SYN };

	return pass(link, &s);
}

static void passive(void **state)
{
	(void)state;
	for (int translated = 0; translated < 2; translated++) {
		begin("alg { ftp; }", translated);
		dial(1000);
		assert_int_equal(say(0, TCP_ACK, "PASV\r\n"), DROP_NONE);
		assert_int_equal(say(1, TCP_ACK, "227 Passive (192,0,2,80,"), DROP_NONE);
		assert_int_equal(syn(GATE_LAN, HOST, 1001, INTERNET, 51210), DROP_DEFAULT_DENY);
		assert_int_equal(say(1, TCP_ACK, "200,10)\r\n"), DROP_NONE);
		assert_int_equal(syn(GATE_LAN, HOST, 1001, INTERNET, 51210), DROP_NONE);
		struct train t = out();
		assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &t.src), translated ? GATE : HOST);
		assert_int_equal(syn(GATE_LAN, HOST, 1002, INTERNET, 51210), DROP_DEFAULT_DENY);
		gate_done(&g);
	}
}

static void active(void **state)
{
	(void)state;
	begin("alg { ftp; }", false);
	dial(1000);
	assert_int_equal(say(0, TCP_ACK, "EPRT |1|10.1.0.2|40000|\r\n"), DROP_NONE);
	assert_int_equal(syn(GATE_WAN, INTERNET, 20, HOST, 40001), DROP_DEFAULT_DENY);
	assert_int_equal(syn(GATE_WAN, INTERNET, 20, HOST, 40000), DROP_NONE);
	gate_done(&g);
}

static void what_is_refused(void **state)
{
	(void)state;
	begin("alg { ftp; tftp; }", false);
	dial(1000);
	assert_int_equal(say(0, TCP_ACK, "PORT 10,1,0,3,156,64\r\n"), DROP_ALG_REFUSED);
	assert_int_equal(say(0, TCP_ACK, "PORT 10,1,0,2,0,22\r\n"), DROP_ALG_REFUSED);
	seq[0] += 6; /* the line in front is late */
	assert_int_equal(say(0, TCP_ACK, "NOOP\r\n"), DROP_ALG_ORDER);
	seq[0] -= 6;
	assert_int_equal(say(0, TCP_ACK, "PASV\r\nNOOP\r\n"), DROP_NONE);
	assert_int_equal(say(1, TCP_ACK, "227 (192,0,2,81,200,10)\r\n"), DROP_NONE);
	assert_int_equal(syn(GATE_LAN, HOST, 1001, "192.0.2.81", 51210), DROP_DEFAULT_DENY);
	struct packet_spec s = { .src = HOST,
		.dst = INTERNET,
		.proto = IP_UDP,
		.src_port = 53,
		.dst_port = 69,
		.payload = (const uint8_t *)"\0\1a\0octet",
		.payload_n = 10 };
	assert_int_equal(pass(GATE_LAN, &s), DROP_ALG_REFUSED);
	gate_done(&g);
	begin("", false); /* off: nothing is read and nothing opened */
	dial(1000);
	assert_int_equal(say(0, TCP_ACK, "PASV\r\n"), DROP_NONE);
	assert_int_equal(say(1, TCP_ACK, "227 (192,0,2,80,200,10)\r\n"), DROP_NONE);
	assert_int_equal(syn(GATE_LAN, HOST, 1001, INTERNET, 51210), DROP_DEFAULT_DENY);
	gate_done(&g);
}

static void answers_of_tftp(void **state)
{
	struct packet_spec s = { .src = HOST,
		.dst = INTERNET,
		.proto = IP_UDP,
		.src_port = 2000,
		.dst_port = 69,
		.payload = (const uint8_t *)"\0\1a\0octet",
		.payload_n = 10 };

	(void)state;
	for (int on = 0; on < 2; on++)
		for (int translated = 0; translated < 2; translated++) {
			begin(on ? "alg { tftp; }" : "alg { ftp; }", translated);
			assert_int_equal(pass(GATE_LAN, &s), DROP_NONE);
			struct train t = out();
			char to[ADDR_TEXT_MAX];
			struct packet_spec answer = { .src = INTERNET,
				.dst = addr_text(to, &t.src),
				.proto = IP_UDP,
				.src_port = 3000,
				.dst_port = t.src_port,
				.payload_n = 516 };
			enum drop_reason d = pass(GATE_WAN, &answer);
			if (!on) {
				assert_true(d != DROP_NONE || g.out_n == 0);
			} else {
				assert_int_equal(d, DROP_NONE);
				t = out();
				assert_string_equal(addr_text(to, &t.dst), HOST);
				assert_int_equal(t.dst_port, 2000);
				assert_true(packet_sound(t.ip, t.len));
			}
			gate_done(&g);
		}
}

/* Does the connection that was dialled last open what its server announces? */
static bool is_read(const char *host, uint16_t port)
{
	char line[64];

	snprintf(line, sizeof line, "227 (192,0,2,80,%u,%u)\r\n", port >> 8, port & 0xff);
	assert_int_equal(say(0, TCP_ACK, "PASV\r\n"), DROP_NONE);
	assert_int_equal(say(1, TCP_ACK, line), DROP_NONE);
	return syn(GATE_LAN, host, 1, INTERNET, port) == DROP_NONE;
}

/* More control connections than are read: those that are keep working, and a source has half. */
static void they_are_bounded(void **state)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 3 }, .state = ROUTE_NEIGHBOUR_VALID
	};

	(void)state;
	gate_init(&g, text, "alg { ftp; }", 2048);
	assert_int_equal(addr_parse(&n.addr, "10.1.0.3"), RC_OK);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	n.addr.b[3] = 4;
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	pipeline_changed(&g.p);
	for (uint16_t i = 0; i < 300; i++)
		dial((uint16_t)(2000 + i));
	assert_int_equal(g.p.alg_full, 300 - 128);
	assert_false(is_read(HOST, 40000));
	for (uint16_t i = 0; i < 300; i++)
		dial_from("10.1.0.3", (uint16_t)(2000 + i));
	assert_int_equal(g.p.alg_full, 2 * (300 - 128));
	/* of one zone the oldest gives way */
	dial_from("10.1.0.4", 2000);
	assert_true(is_read("10.1.0.4", 40001));
	assert_int_equal(g.p.alg_full, 2 * (300 - 128) + 1);
	gate_done(&g);
}

/* Who has not completed a handshake has no room. */
static void forged_sources(void **state)
{
	char from[ADDR_TEXT_MAX];

	(void)state;
	gate_init(&g, text, "alg { ftp; }", 2048);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(from, sizeof from, "10.1.%u.%u", 1 + i / 200, 1 + i % 200);
		assert_int_equal(syn(GATE_LAN, from, 2000, INTERNET, 21), DROP_NONE);
	}
	dial(1000);
	assert_true(is_read(HOST, 40000));
	assert_int_equal(g.p.alg_full, 0);
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(passive), cmocka_unit_test(active),
		cmocka_unit_test(what_is_refused), cmocka_unit_test(answers_of_tftp),
		cmocka_unit_test(they_are_bounded), cmocka_unit_test(forged_sources) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
