/*
 * How connections end that the kernel carries, by FINs in every order and by resets: against a gateway that carries nothing
 * (carried_teams.h), also with a commit and with the death of the data plane in the middle.
 */
#include "carried_teams.h"

#include <setjmp.h>
#include <stdarg.h>
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
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		closing(rows[i].letters, rows[i].becomes, rows[i].here, NOTHING, 0);
		for (size_t when = 0; rows[i].letters[when]; when++)
			for (enum meanwhile what = COMMIT; what <= DEATH; what++)
				closing(rows[i].letters, rows[i].becomes, 0, what, when);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
