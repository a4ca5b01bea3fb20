/*
 * Tables for measurements: export gets those of METRICS_TABLES, piece by piece as it asks for them, and no other; an owner that is
 * slow, dies or was not asked changes nothing for the next question. Over the fixture of test_control.c.
 */
#include "control_fixture.h"

static void ask_for(uint32_t table, uint64_t tag)
{
	struct msg_show q = { .table = table, .limit = 7, .from = 3, .by = 1, .filter = { .zero = 1 } };

	assert_int_equal(ipc_send_METRICS_ASK(&peers[PROC_EXPORT], tag, &q), RC_OK);
}

static void refused(uint64_t tag, enum rc rc)
{
	struct ipc_frame *f = expect(&peers[PROC_EXPORT], IPC_METRICS_END);

	assert_int_equal(f->head.tag, tag);
	assert_int_equal(f->u.METRICS_END.rc, rc);
}

static uint64_t asked(enum proc owner)
{
	struct ipc_frame *f = expect(&peers[owner], IPC_SHOW);

	assert_int_equal(f->u.SHOW.limit, 7);
	assert_int_equal(f->u.SHOW.from, 3);
	assert_int_equal(f->u.SHOW.by, 0); /* what a table of measurements has no use for */
	assert_int_equal(f->u.SHOW.filter.zero, 0);
	return f->head.tag;
}

static void tables(void **state)
{
	const struct msg_row row = { .n = 2, .json = "{}" };
	const struct msg_result end = { .rc = RC_OK, .next = 9 };

	started(0);
	give_link(PROC_EXPORT);
	pump();
	for (uint32_t i = 0; i <= SHOW_COUNT; i++)
		if (i == SHOW_COUNT || !(METRICS_TABLES >> i & 1)) {
			ask_for(i, 100 + i);
			refused(100 + i, RC_DENIED);
		}
	ask_for(SHOW_POLICY, 1);
	uint64_t tag = asked(PROC_DATAPLANE);
	/* Not by who was not asked. */
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_IKE], tag, &row), RC_OK);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], tag, &end), RC_OK);
	expect_nothing(&peers[PROC_EXPORT]);
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &row), RC_OK);
	assert_int_equal(expect(&peers[PROC_EXPORT], IPC_METRICS_ROW)->head.tag, 1);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &end), RC_OK);
	struct ipc_frame *f = expect(&peers[PROC_EXPORT], IPC_METRICS_END);
	assert_int_equal(f->u.METRICS_END.next, 9);
	/* After the end nothing is forwarded; nor of a question that another one has replaced. */
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &row), RC_OK);
	ask_for(SHOW_COUNTERS, 2);
	tag = asked(PROC_DATAPLANE);
	ask_for(SHOW_IKE, 3);
	uint64_t ike = asked(PROC_IKE);
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &row), RC_OK);
	expect_nothing(&peers[PROC_EXPORT]);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], ike, &end), RC_OK);
	assert_int_equal(expect(&peers[PROC_EXPORT], IPC_METRICS_END)->head.tag, 3);
	/* An owner that dies, and one that is not there. */
	ask_for(SHOW_IKE, 4);
	asked(PROC_IKE);
	ipc_link_close(&peers[PROC_IKE]);
	refused(4, RC_AGAIN);
	ask_for(SHOW_IKE, 5);
	refused(5, RC_AGAIN);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(tables, fresh, cleared) };

	return executable_from(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
