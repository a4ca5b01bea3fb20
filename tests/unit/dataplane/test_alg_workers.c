/*
 * The application layer gateways with several workers: the same dialogues, their packets arriving at any worker, get the
 * same verdicts as with one, come out the same up to ports that the gateway chooses, and leave nothing behind.
 */
#include "sides.h"
#include "wire/ip.h"

#include <stdio.h>
#include <stdlib.h>

#define HOST	 "10.1.0.2"
#define INTERNET "192.0.2.80"
#define SEEDS	 20
#define SESSIONS 128

static const char text[] =
	"system { host-name gate; alg { ftp; tftp; } }\n"
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
	"applications { application ftp-control { protocol tcp; destination-port 21; }\n"
	"  application requests { protocol udp; destination-port 69; } }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any;\n"
	"  application [ ftp-control requests ]; } then { permit; } } } }\n%s\n";
enum { PLAIN, NAT, PERSISTENT_NAT };
static const char *const nat[] = { "",
	"nat { source { rule out { from trust; to untrust; then { source-nat interface; } } } }\n",
	("nat { source { rule out { from trust; to untrust; then { source-nat interface;\n"
	 "  persistent-nat address-and-port-dependent; } } } }\n") };

/* What each one's own outside knows of the control connection. */
static struct talk {
	struct packet_spec control[2];
	uint32_t shift; /* octets that the server counts more of what the client says */
	char seen[ADDR_TEXT_MAX];
} talks[2];

static uint32_t seq[2];
static bool rewritten;

static uint16_t any_port(void)
{
	return (uint16_t)(1024 + sides_pick(60000));
}

/* Both have done the same; the verdict. */
static enum drop_reason same(void)
{
	const struct side *a = &sides[0], *b = &sides[1];

	assert_string_equal(drop_name(b->drop), drop_name(a->drop));
	assert_int_equal(b->is_out, a->is_out);
	if (a->is_out) {
		if (!rewritten) /* by ports of other lengths */
			assert_int_equal(b->out.len, a->out.len);
		assert_true(addr_equal(&b->out.src, &a->out.src) && addr_equal(&b->out.dst, &a->out.dst));
	}
	assert_int_equal(side_sessions(b), side_sessions(a));
	return a->drop;
}

/* The same packet for both. */
static enum drop_reason both(uint32_t link, const struct packet_spec *spec)
{
	for (int k = 0; k < 2; k++)
		side_arrives(&sides[k], link, spec);
	return same();
}

/* An answer to what came out last, with other flags or from another port. */
static enum drop_reason answered(uint32_t link, uint16_t from_port, uint8_t flags, uint32_t sequence)
{
	for (int k = 0; k < 2; k++) {
		struct side *s = &sides[k];
		char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
		struct packet_spec answer = { .src = addr_text(src, &s->out.dst),
			.dst = addr_text(dst, &s->out.src),
			.proto = s->out.proto,
			.src_port = from_port ? from_port : s->out.dst_port,
			.dst_port = s->out.src_port,
			.flags = flags,
			.seq = sequence,
			.ack = load_be32(s->out.ip + s->out.l4_offset + 4) +
			       !!(s->out.tcp_flags & (TCP_SYN | TCP_FIN)),
			.payload_n = s->out.proto == IP_UDP ? 100 : 0 };
		assert_true(s->is_out);
		side_arrives(s, link, &answer);
	}
	return same();
}

static enum drop_reason say(uint32_t d, uint8_t flags, const char *line)
{
	for (int k = 0; k < 2; k++) {
		struct packet_spec s = talks[k].control[d];
		s.flags = flags;
		s.seq = seq[d];
		s.ack = seq[1 - d] + (d ? talks[k].shift : 0);
		s.payload = (const uint8_t *)line;
		s.payload_n = strlen(line);
		side_arrives(&sides[k], d ? GATE_WAN : GATE_LAN, &s);
	}
	enum drop_reason drop = same();
	if (drop == DROP_NONE)
		seq[d] += (uint32_t)strlen(line) + !!(flags & TCP_SYN);
	return drop;
}

static void dial(uint16_t port)
{
	seq[0] = 1000;
	seq[1] = 5000;
	rewritten = false;
	talks[0].shift = talks[1].shift = 0;
	for (int k = 0; k < 2; k++)
		talks[k].control[0] = (struct packet_spec){
			.src = HOST, .dst = INTERNET, .proto = IP_TCP, .src_port = port, .dst_port = 21
		};
	assert_int_equal(say(0, TCP_SYN, ""), DROP_NONE);
	for (int k = 0; k < 2; k++) {
		struct side *s = &sides[k];
		assert_true(s->is_out);
		talks[k].control[1] = (struct packet_spec){ .src = INTERNET,
			.dst = addr_text(talks[k].seen, &s->out.src),
			.proto = IP_TCP,
			.src_port = 21,
			.dst_port = s->out.src_port };
	}
	assert_int_equal(say(1, TCP_SYN | TCP_ACK, ""), DROP_NONE);
	assert_int_equal(say(0, TCP_ACK, ""), DROP_NONE);
	assert_int_equal(say(1, TCP_ACK, "220 ready\r\n"), DROP_NONE);
}

static enum drop_reason syn(uint32_t link, uint16_t src_port, uint16_t port)
{
	bool out = link == GATE_LAN;
	const struct packet_spec s = { .src = out ? HOST : INTERNET,
		.dst = out ? INTERNET : HOST,
		.proto = IP_TCP,
		.src_port = src_port,
		.dst_port = port,
		.seq = 100,
		.flags = TCP_SYN };

	return both(link, &s);
}

static uint64_t expected(bool elsewhere)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < sides[1].n; i++)
		n += elsewhere ? fw_counters(sides[1].team[i].fw)->expectations_elsewhere
			       : fw_counters(sides[1].team[i].fw)->expectations_now;
	return n;
}

/* So many are expected, and all others know. */
static void expects(uint32_t n)
{
	assert_int_equal(expected(false), n);
	assert_int_equal(expected(true), n * (sides[1].n - 1));
	assert_int_equal(fw_counters(sides[0].team[0].fw)->expectations_now, n);
}

static void time_passes(mono_ns by)
{
	for (int k = 0; k < 2; k++) {
		struct side *s = &sides[k];
		for (mono_ns left = by; left > 0; left -= NS_PER_S) {
			for (uint32_t i = 0; i < s->n; i++) {
				s->team[i].now += NS_PER_S;
				fw_expire(s->team[i].fw, s->team[i].now, 100);
				pipeline_notes(&s->team[i].p);
			}
			side_run(s);
		}
	}
}

/* No session, no redirect and no announcement is left. */
static void all_ends(void)
{
	time_passes(8000 * NS_PER_S);
	expects(0);
	for (uint32_t i = 0; i < sides[1].n; i++) {
		const struct fw_counters *c = fw_counters(sides[1].team[i].fw);
		assert_int_equal(c->sessions_now + c->redirects_now + c->expectations_elsewhere, 0);
	}
}

static void each(void (*dialogue)(bool translated))
{
	static const uint32_t numbers_of_workers[] = { 1, 2, 4 };

	for (uint32_t seed = 1; seed <= SEEDS; seed++)
		for (size_t i = 0; i < COUNT_OF(numbers_of_workers); i++)
			for (int translated = PLAIN; translated <= PERSISTENT_NAT; translated++) {
				sides_begin(seed, numbers_of_workers[i], text, nat[translated], SESSIONS);
				dialogue(translated);
				all_ends();
				sides_end();
			}
}

/* ---- FTP ---- */

static void ask(bool extended, uint16_t port)
{
	char line[80];

	assert_int_equal(say(0, TCP_ACK, extended ? "EPSV\r\n" : "PASV\r\n"), DROP_NONE);
	if (extended)
		snprintf(line, sizeof line, "229 Extended (|||%u|)\r\n", port);
	else
		snprintf(line, sizeof line, "227 Passive (192,0,2,80,%u,%u)\r\n", port >> 8, port & 255);
	assert_int_equal(say(1, TCP_ACK, line), DROP_NONE);
}

/* The data connection that is open: both directions, and its end. */
static void transfer(uint32_t link)
{
	uint32_t other = link == GATE_LAN ? GATE_WAN : GATE_LAN;

	assert_int_equal(answered(other, 0, TCP_SYN | TCP_ACK, 700), DROP_NONE);
	assert_int_equal(answered(link, 0, TCP_ACK, 101), DROP_NONE);
	assert_int_equal(answered(other, 0, TCP_FIN | TCP_ACK, 701), DROP_NONE);
	assert_int_equal(answered(link, 0, TCP_FIN | TCP_ACK, 101), DROP_NONE);
	assert_int_equal(answered(other, 0, TCP_ACK, 702), DROP_NONE);
}

static void passive_dialogue(bool translated)
{
	uint16_t own = any_port(), port = any_port();

	(void)translated;
	dial(any_port());
	for (int extended = 0; extended < 2; extended++) {
		assert_int_equal(syn(GATE_LAN, own, port), DROP_DEFAULT_DENY);
		ask(extended, port);
		expects(1);
		assert_int_equal(syn(GATE_LAN, own, (uint16_t)(port + 1)), DROP_DEFAULT_DENY);
		assert_int_equal(syn(GATE_WAN, own, port), DROP_DEFAULT_DENY);
		assert_int_equal(syn(GATE_LAN, own, port), DROP_NONE);
		expects(0);
		transfer(GATE_LAN);
		/* once */
		assert_int_equal(syn(GATE_LAN, (uint16_t)(own + 1), port), DROP_DEFAULT_DENY);
		own = (uint16_t)(own + 2);
		port = any_port();
	}
	/* the ports of a closed connection */
	uint16_t again = (uint16_t)(own + 9);
	for (int i = 0; i < 2; i++) {
		ask(false, 50000);
		assert_int_equal(syn(GATE_LAN, again, 50000), DROP_NONE);
		transfer(GATE_LAN);
	}
}

static void test_passive(void **state)
{
	(void)state;
	each(passive_dialogue);
}

/* The server calls what it was told. */
static enum drop_reason syn_to_told(uint16_t src_port, const char *src, const uint16_t port[2])
{
	for (int k = 0; k < 2; k++) {
		const struct packet_spec s = { .src = src,
			.dst = "198.51.100.2",
			.proto = IP_TCP,
			.src_port = src_port,
			.dst_port = port[k],
			.seq = 100,
			.flags = TCP_SYN };
		side_arrives(&sides[k], GATE_WAN, &s);
	}
	return same();
}

/* The client is translated: its command tells an address and port of the gateway, by which the server calls it. */
static void active_translated(uint16_t own)
{
	char line[80];
	uint16_t port[2];

	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof line, "EPRT |1|10.1.0.2|%u|\r\n", own);
		rewritten = true;
		assert_int_equal(say(0, TCP_ACK, line), DROP_NONE);
		for (int k = 0; k < 2; k++) {
			const struct train *t = &sides[k].out;
			static const char front[] = "EPRT |1|198.51.100.2|";
			assert_memory_equal(t->ip + t->payload_offset, front, sizeof front - 1);
			port[k] = (uint16_t)atoi((const char *)t->ip + t->payload_offset + sizeof front - 1);
			assert_int_equal(load_be32(t->ip + t->l4_offset + 4) + t->len - t->payload_offset,
				seq[0] + talks[k].shift + t->len - t->payload_offset - strlen(line));
			talks[k].shift += t->len - t->payload_offset - (uint32_t)strlen(line);
			assert_in_range(port[k], 40960, 65535);
		}
		expects(1);
		assert_int_equal(say(1, TCP_ACK, "200 ok\r\n"), DROP_NONE);
		for (int k = 0; k < 2; k++)
			assert_int_equal(load_be32(sides[k].out.ip + sides[k].out.l4_offset + 8), seq[0]);
		rewritten = false;
		assert_int_not_equal(syn_to_told(20, "192.0.2.81", port), DROP_NONE);
		assert_int_equal(syn_to_told(sides_pick(2) ? 20 : any_port(), INTERNET, port), DROP_NONE);
		for (int k = 0; k < 2; k++) {
			assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &sides[k].out.dst), HOST);
			assert_int_equal(sides[k].out.dst_port, own);
		}
		expects(0);
		transfer(GATE_WAN);
		own = any_port();
	}
}

static void active_dialogue(bool translated)
{
	uint16_t port = any_port();
	char line[80];

	dial(any_port());
	if (translated) {
		active_translated(port);
		return;
	}
	snprintf(line, sizeof line, "EPRT |1|10.1.0.2|%u|\r\n", port);
	assert_int_equal(say(0, TCP_ACK, line), DROP_NONE);
	expects(1);
	assert_int_equal(syn(GATE_WAN, 20, (uint16_t)(port + 1)), DROP_DEFAULT_DENY);
	assert_int_equal(syn(GATE_WAN, 20, port), DROP_NONE);
	expects(0);
	transfer(GATE_WAN);
}

static void test_active(void **state)
{
	(void)state;
	each(active_dialogue);
}

/* With its parent, with its time, and the oldest of five. */
static void ended_dialogue(bool translated)
{
	uint16_t own = any_port();
	struct side *s = &sides[1];

	(void)translated;
	dial(any_port());
	ask(true, 50000);
	expects(1);
	time_passes(61 * NS_PER_S);
	assert_int_equal(syn(GATE_LAN, own, 50000), DROP_DEFAULT_DENY);
	for (uint16_t i = 1; i <= 5; i++) {
		ask(i % 2, (uint16_t)(50000 + i));
		time_passes(NS_PER_S);
	}
	expects(4);
	assert_int_equal(syn(GATE_LAN, own, 50001), DROP_DEFAULT_DENY);
	assert_int_equal(syn(GATE_LAN, own, 50002), DROP_NONE);
	expects(3);
	for (int k = 0; k < 2; k++)
		for (uint32_t i = 0; i < sides[k].n; i++) {
			const struct fw_session *c;
			for (uint32_t cursor = 0; (c = fw_session_next(sides[k].team[i].fw, &cursor));)
				if (c->key[0].dst_port == 21)
					fw_session_end(sides[k].team[i].fw, cursor - 1, s->team[i].now);
			pipeline_notes(&sides[k].team[i].p);
			side_run(&sides[k]);
		}
	expects(0);
	assert_int_equal(syn(GATE_LAN, own, 50003), DROP_DEFAULT_DENY);
}

static void test_ends(void **state)
{
	(void)state;
	each(ended_dialogue);
}

/* ---- TFTP ---- */

static void tftp_dialogue(bool translated)
{
	const struct packet_spec request = { .src = HOST,
		.dst = INTERNET,
		.proto = IP_UDP,
		.src_port = any_port(),
		.dst_port = 69,
		.payload = (const uint8_t *)"\0\1a\0octet",
		.payload_n = 10 };
	uint16_t port = any_port();

	(void)translated;
	assert_int_equal(both(GATE_LAN, &request), DROP_NONE);
	struct train out[2] = { sides[0].out, sides[1].out };
	uint16_t chosen[2] = { out[0].src_port, out[1].src_port };
	expects(1);
	assert_int_equal(answered(GATE_WAN, port, 0, 0), DROP_NONE);
	expects(0);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 2; k++) {
			assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &sides[k].out.dst), HOST);
			assert_int_equal(sides[k].out.dst_port, request.src_port);
		}
		assert_int_equal(answered(GATE_LAN, 0, 0, 0), DROP_NONE);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(sides[k].out.src_port, chosen[k]);
			assert_int_equal(sides[k].out.dst_port, port);
		}
		assert_int_equal(answered(GATE_WAN, 0, 0, 0), DROP_NONE);
	}
	assert_int_equal(answered(GATE_LAN, 0, 0, 0), DROP_NONE);
	/* another port of the server is nobody's */
	uint64_t sessions = side_sessions(&sides[1]);
	answered(GATE_WAN, (uint16_t)(port + 1), 0, 0);
	assert_false(sides[1].is_out);
	assert_int_equal(side_sessions(&sides[1]), sessions);
}

static void test_tftp(void **state)
{
	(void)state;
	each(tftp_dialogue);
}

/* ---- notes ---- */

static bool lose_note(void *context, uint32_t worker, const struct fw_note *note)
{
	(void)context;
	(void)worker;
	(void)note;
	return false;
}

/* A note that got lost is written again within a second, before the client tries again. */
static void test_lost(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		sides_begin(seed, 4, text, nat[seed % 2 ? NAT : PERSISTENT_NAT], SESSIONS);
		dial(any_port());
		bool (*keep)(void *, uint32_t, const struct fw_note *) = sides[1].team[0].p.io.note;
		for (uint32_t i = 0; i < 4; i++)
			sides[1].team[i].p.io.note = lose_note;
		ask(true, 50000);
		assert_int_equal(expected(true), 0);
		for (uint32_t i = 0; i < 4; i++)
			sides[1].team[i].p.io.note = keep;
		time_passes(NS_PER_S);
		expects(1);
		assert_int_equal(syn(GATE_LAN, any_port(), 50000), DROP_NONE);
		all_ends();
		sides_end();
	}
}

/* What others announce has room of its own, beside that of redirects, and ends by itself where nobody takes it back. */
static void test_bounds(void **state)
{
	struct fw_note note = { .owner = 1 };
	uint64_t announced = 0;

	(void)state;
	sides_begin(1, 2, text, nat[PLAIN], SESSIONS);
	struct gate *g = &sides[1].team[0];
	const struct fw_counters *c = fw_counters(g->fw);
	note.until_s = (uint32_t)(g->now / NS_PER_S) + 60;
	for (uint32_t i = 1; i <= 2000; i++) {
		note.kind = FW_NOTE_EXPECT;
		note.key = (struct fw_key){
			.dst_port = (uint16_t)i, .family = ADDR_V4, .proto = IP_TCP, .kind = FW_KEY_EXPECTED
		};
		fw_note(g->fw, &note, g->now);
	}
	announced = c->expectations_elsewhere;
	assert_in_range(announced, 500, 1000);
	assert_int_equal(c->expectations_refused, 2000 - announced);
	for (uint32_t i = 1; i <= 2 * SESSIONS; i++) {
		struct fw_note answer;
		uint32_t to;
		note.kind = FW_NOTE_REDIRECT;
		note.key.src_port = (uint16_t)i;
		note.key.kind = FW_KEY_PLAIN;
		fw_note(g->fw, &note, g->now);
		assert_int_equal(fw_take_note(g->fw, &to, &answer), i > SESSIONS);
	}
	assert_int_equal(c->redirects_now, SESSIONS);
	assert_int_equal(c->expectations_elsewhere, announced);
	time_passes(100 * NS_PER_S);
	assert_int_equal(c->redirects_now + c->expectations_elsewhere, 0);
	sides_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_passive), cmocka_unit_test(test_active),
		cmocka_unit_test(test_ends), cmocka_unit_test(test_tftp), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
