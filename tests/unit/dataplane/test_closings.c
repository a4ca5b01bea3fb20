/*
 * How connections end that the kernel carries, by FINs in every order and by resets: against a gateway that carries nothing
 * (carried_teams.h), also with a commit and with the death of the data plane in the middle.
 */
#include "carried_teams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* One packet: F FIN, S the same that acknowledges not all, X it again, A acknowledgement, D data, B FIN with data, R reset. Small: of
 * the called side. */
static void letter_goes(struct flow *f, char letter)
{
	uint32_t d = letter >= 'a';
	char l = (char)(letter & ~0x20);
	struct fw_key key = flow_key(f);
	const struct fw_session *s = find(&plain, &key);
	uint8_t flags = strchr("FSXB", l) ? TCP_FIN | TCP_ACK : l == 'R' ? TCP_RST : TCP_ACK;

	assert_non_null(s);
	back[0] = l == 'X';
	back[1] = l == 'S';
	goes(f, d, flags, l == 'D' ? 100 : l == 'B' ? 10 : 0);
	memset(back, 0, sizeof back);
}

enum meanwhile { NOTHING, COMMIT, DEATH };

static void closing(const char *letters, uint8_t becomes, uint32_t here, enum meanwhile what, size_t when)
{
	struct flow f;

	established(&f, 0);
	struct carry *carry = carries.gate[0].p.carried.carry;
	const struct fw_key key = flow_key(&f);
	passed = 0;
	for (size_t i = 0; letters[i]; i++) {
		letter_goes(&f, letters[i]);
		if (what == COMMIT && i == when)
			pipeline_carry_pass(&carries.gate[0].p);
		if (what != DEATH || i != when)
			continue;
		rules_differ = true; /* what has passed since the last look counts for none */
		carry_tables_begin(&tables, gate_flow_key, true);
		team_restarts(&plain);
		team_restarts(&carries);
		carry = carries.gate[0].p.carried.carry;
		time_goes(0);
	}
	if (what == NOTHING)
		assert_int_equal(passed, here);
	time_goes(0);
	const struct fw_session *s = find(&plain, &key);
	assert_non_null(s);
	assert_int_equal(s->state, becomes);
	tables_equal();
	if (what == NOTHING)
		assert_int_equal(carry_used(carry), becomes == FW_TCP_CLOSING);
	for (uint32_t i = 0; i < 400 && fw_counters(plain.gate[0].fw)->sessions_now > 0; i++) {
		time_goes(NS_PER_S);
		assert_int_equal(fw_counters(carries.gate[0].fw)->sessions_now,
			fw_counters(plain.gate[0].fw)->sessions_now);
	}
	assert_int_equal(fw_counters(plain.gate[0].fw)->sessions_now, 0);
	end();
}

/* Closings in every order, also with a commit, and the death of the process, after each packet of them. */
static void closings(void **state)
{
	const struct {
		const char *letters;
		uint8_t becomes;
		uint32_t here; /* so many of them come here */
	} rows[] = {
		{ "FafA", FW_TCP_TIME_WAIT, 0 },
		{ "faFa", FW_TCP_TIME_WAIT, 0 },
		{ "FfA", FW_TCP_TIME_WAIT, 0 },
		{ "FsAa", FW_TCP_TIME_WAIT, 0 }, /* at once */
		{ "FsaA", FW_TCP_TIME_WAIT, 0 },
		{ "FsxXA", FW_TCP_TIME_WAIT, 1 }, /* again; the last one after the end */
		{ "FXadddAdAfA", FW_TCP_TIME_WAIT, 0 },
		{ "Fad", FW_TCP_CLOSING, 0 },
		{ "FaR", FW_TCP_CLOSED, 0 },
		{ "Far", FW_TCP_CLOSED, 0 },
		{ "FsRr", FW_TCP_CLOSED, 2 },
		{ "BafA", FW_TCP_TIME_WAIT, 1 },
		{ "FabA", FW_TCP_TIME_WAIT, 1 },
		{ "FafAx", FW_TCP_TIME_WAIT, 1 },
		{ "FaDd", FW_TCP_CLOSING, 0 }, /* beyond its FIN: nothing is taken back by that */
		{ "FafD", FW_TCP_CLOSING, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		closing(rows[i].letters, rows[i].becomes, rows[i].here, NOTHING, 0);
		for (size_t when = 0; rows[i].letters[when]; when++)
			for (enum meanwhile what = COMMIT; what <= DEATH; what++)
				closing(rows[i].letters, rows[i].becomes, 0, what, when);
	}
}

/* ---- by somebody who knows the window, and keeps to no order ---- */

/* What both have let through, by direction: what the session's own counters must say. */
struct naive {
	uint64_t packets[2], bytes[2];
};

static void naive_equal(const struct naive *n, const struct fw_session *s)
{
	for (uint32_t d = 0; s && d < 2; d++) {
		assert_int_equal(s->packets[d], n->packets[d]);
		assert_int_equal(s->bytes[d], n->bytes[d]);
	}
}

/* FINs and resets with flags that do not belong to them, at the edges of the window of either side, again, beyond a FIN. */
static struct packet_spec strange(const struct fw_session *s, uint32_t d)
{
	static const uint8_t flags[] = { TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK,
		TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK | TCP_ECE,
		TCP_FIN | TCP_ACK | TCP_URG, TCP_FIN | TCP_ACK | TCP_CWR | TCP_ECE, TCP_FIN, TCP_RST,
		TCP_RST | TCP_ACK, TCP_FIN | TCP_RST, TCP_FIN | TCP_RST | TCP_ACK, TCP_FIN | TCP_SYN,
		TCP_FIN | TCP_PSH | TCP_URG, 0 };
	const struct fw_tcp_side *from = &s->tcp[d], *to = &s->tcp[1 - d];
	struct packet_spec x = { .proto = IP_TCP,
		.flags = flags[some(COUNT_OF(flags))],
		.seq = from->end,
		.ack = to->end,
		.payload_n = some(4) ? 0 : some(30),
		.window = (uint16_t)(1 + some(65535)),
		.window_closed = some(20) == 0 };

	switch (some(10)) {
	case 0:
		x.seq = from->max_end + some(5) - 2;
		break;
	case 1:
		x.seq = from->end - to->max_window - (uint32_t)x.payload_n + some(5) - 3;
		break;
	case 2:
		x.seq = from->end - some(3);
		break;
	case 3:
		x.seq = from->end + some(3);
		break;
	case 4:
		x.ack = to->end + some(3) - 1;
		break;
	case 5:
		x.ack = to->end - MAX_OF(from->max_window, 66000u) + some(4) - 2;
		break;
	case 6:
		x.seq = to->ack + some(2);
		break;
	default:
		break;
	}
	return x;
}

static void strange_goes(const struct fw_session *s, uint32_t d, struct naive *n)
{
	static struct packet packet;
	struct packet_spec x = strange(s, d);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct ip_addr from = fw_key_src(&s->key[d]), to = fw_key_dst(&s->key[d]);

	x.src = addr_text(src, &from);
	x.dst = addr_text(dst, &to);
	x.src_port = s->key[d].src_port;
	x.dst_port = s->key[d].dst_port;
	struct train t = packet_make(&packet, &x);
	uint64_t before = left;
	both(d ? GATE_WAN : GATE_LAN, &t);
	n->packets[d] += left > before;
	n->bytes[d] += left > before ? t.len : 0;
}

static void ends_equal(void)
{
	for (uint32_t i = 0; i < plain.n; i++)
		for (uint32_t e = 0; e < FW_END_COUNT; e++)
			assert_int_equal(fw_counters(carries.gate[i].fw)->ended_by[e],
				fw_counters(plain.gate[i].fw)->ended_by[e]);
}

static void dies(void)
{
	rules_differ = true;
	carry_tables_begin(&tables, gate_flow_key, true);
	team_restarts(&plain);
	team_restarts(&carries);
}

/* One connection, from its SYN to wherever it comes. */
static void strange_end(uint64_t from)
{
	static const struct {
		uint32_t d;
		uint8_t flags;
		size_t payload;
	} rows[] = { { 0, TCP_SYN, 0 }, { 1, TCP_SYN | TCP_ACK, 0 }, { 0, TCP_ACK, 0 }, { 0, TCP_ACK, 90 },
		{ 1, TCP_ACK, 900 }, { 0, TCP_ACK, 90 }, { 1, TCP_ACK, 900 } };
	struct naive n = { 0 };
	struct flow f;

	seed = from;
	flow_new(&f, from & 1);
	const struct fw_key key = flow_key(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct train t = of_flow(&f, rows[i].d, rows[i].flags, rows[i].payload);
		n.packets[rows[i].d]++;
		n.bytes[rows[i].d] += t.len;
		both(rows[i].d ? GATE_WAN : GATE_LAN, &t);
	}
	const struct fw_session *s;
	for (uint32_t i = 5 + some(40); i > 0 && (s = find(&plain, &key)); i--) {
		strange_goes(s, some(2), &n);
		switch (some(40)) {
		case 0:
			pipeline_carry_pass(&carries.gate[0].p);
			break;
		case 1:
			dies();
			break;
		case 2:
			time_goes(some(40) * NS_PER_S);
			break;
		case 3:
			time_goes(some(300) * NS_PER_MS);
			break;
		default:
			break;
		}
		naive_equal(&n, find(&plain, &key));
		naive_equal(&n, find(&carries, &key));
	}
	time_goes(0);
	tables_equal();
	for (uint32_t i = 0; i < 5 && fw_counters(plain.gate[0].fw)->sessions_now > 0; i++)
		time_goes(2000 * NS_PER_S);
	tables_equal();
	ends_equal();
}

static void strange_ends(void **state)
{
	const char *rounds = getenv("PLAINGATE_ROUNDS"); /* more of them, by hand */
	uint64_t n = rounds ? strtoull(rounds, NULL, 10) : 400;

	for (uint64_t i = 0; i < n; i++) {
		if (i % 100 == 0) {
			if (i > 0)
				end();
			nat = nats[i / 100 % COUNT_OF(nats)];
			begin((uint32_t)(1 + i / 100 % 2));
		}
		strange_end(i + 1);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closings),
		cmocka_unit_test(strange_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
