/* ipc/ledger_client.h over a real socket pair; the test plays the ledger. */
#include "ipc/ledger_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#define GAP 99

struct desk {
	struct ipc_link ours, ledgers;
	struct ledger_client client;
	/* last answer */
	unsigned answers;
	uint64_t cookie;
	uint32_t rc;
	char text[sizeof((struct msg_ledger_receipt *)0)->text];
};

static void connect_both(struct desk *d)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_close(&d->ours);
	ipc_link_close(&d->ledgers);
	ipc_link_open(&d->ours, fds[0], PROC_KEEPER, PROC_LEDGER);
	ipc_link_open(&d->ledgers, fds[1], PROC_LEDGER, PROC_KEEPER);
}

static void begin(struct desk *d)
{
	*d = (struct desk){ .ours = IPC_LINK_NONE, .ledgers = IPC_LINK_NONE };
	ledger_client_init(&d->client, &d->ours, GAP);
}

static void end(struct desk *d)
{
	ledger_client_done(&d->client);
	ipc_link_close(&d->ours);
	ipc_link_close(&d->ledgers);
}

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct desk *d = (struct desk *)context;

	d->answers++;
	d->cookie = cookie;
	d->rc = r->rc;
	snprintf(d->text, sizeof d->text, "%s", r->text);
}

static enum rc append(struct desk *d, enum ledger_mode mode, uint64_t cookie, mono_ns now)
{
	return ledger_append(&d->client, mode, 7, "{}", 2, on_receipt, d, cookie, now);
}

/* The entry as the ledger got it; its frame's tag. */
static uint64_t next_entry(struct desk *d, struct msg_ledger_append *ret_m)
{
	static struct ipc_frame f;

	assert_int_equal(ipc_recv(&d->ledgers, &f, NULL), RC_OK);
	assert_int_equal(f.head.id, IPC_LEDGER_APPEND);
	*ret_m = f.u.LEDGER_APPEND;
	return f.head.tag;
}

static void no_entry(struct desk *d)
{
	static struct ipc_frame f;

	assert_int_equal(ipc_recv(&d->ledgers, &f, NULL), RC_AGAIN);
}

static bool receipt(struct desk *d, uint64_t tag, enum rc rc)
{
	struct msg_ledger_receipt r = { .rc = rc };

	return ledger_client_receipt(&d->client, tag, &r);
}

static void test_receipts_by_tag(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	connect_both(&d);
	ledger_client_up(&d.client, 1);
	no_entry(&d); /* nothing was missed, so no gap is stated */

	assert_int_equal(append(&d, LEDGER_GATE, 11, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_ASYNC, 12, 1), RC_OK);
	uint64_t first = next_entry(&d, &m);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.type, 7);
	assert_int_equal(m.body_n, 2);
	uint64_t second = next_entry(&d, &m);
	assert_int_equal(m.n, 2);
	assert_int_equal(d.answers, 0);
	assert_true(receipt(&d, second, RC_OK));
	assert_int_equal(d.cookie, 12);
	assert_true(receipt(&d, first, RC_LIMIT)); /* the ledger is full: the gate's act must not happen */
	assert_int_equal(d.cookie, 11);
	assert_int_equal(d.rc, RC_LIMIT);
	assert_false(receipt(&d, first, RC_OK)); /* no second answer */
	assert_false(receipt(&d, 4711, RC_OK));
	assert_int_equal(d.answers, 2);
	end(&d);
}

static void test_gate_fails_closed(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	assert_int_equal(append(&d, LEDGER_GATE, 1, 1), RC_DENIED); /* never had a link */
	connect_both(&d);
	ledger_client_up(&d.client, 1);
	next_entry(&d, &m); /* the gap */
	assert_int_equal(append(&d, LEDGER_GATE, 2, 1), RC_OK);
	ipc_link_close(&d.ledgers);
	ledger_client_down(&d.client);
	assert_int_equal(d.answers, 1);
	assert_int_equal(d.cookie, 2);
	assert_int_equal(d.rc, RC_DENIED);
	assert_int_equal(append(&d, LEDGER_GATE, 3, 1), RC_DENIED);
	assert_int_equal(d.answers, 1);
	end(&d);
}

static void test_gate_does_not_wait_for_ever(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	connect_both(&d);
	assert_int_equal(append(&d, LEDGER_GATE, 5, 10 * NS_PER_S), RC_OK);
	uint64_t tag = next_entry(&d, &m);
	ledger_client_expire(&d.client, 10 * NS_PER_S + LEDGER_GATE_WAIT_NS - 1);
	assert_int_equal(d.answers, 0);
	ledger_client_expire(&d.client, 10 * NS_PER_S + LEDGER_GATE_WAIT_NS);
	assert_int_equal(d.answers, 1);
	assert_int_equal(d.rc, RC_DENIED);
	assert_false(receipt(&d, tag, RC_OK)); /* too late: the act was refused and stays so */
	assert_int_equal(d.answers, 1);
	end(&d);
}

/* What was sent before goes first under its old number, then the stated gap, then what waited: numbers
 * ascend. */
static void test_gap_is_stated_and_late_entries_follow(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	d.client.run = 3;
	connect_both(&d);
	assert_int_equal(append(&d, LEDGER_ASYNC, 20, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_GATE, 21, 1), RC_OK);
	next_entry(&d, &m);
	next_entry(&d, &m);
	assert_int_equal(m.n, 2);
	ledger_client_down(&d.client); /* both without receipt */
	assert_int_equal(d.cookie, 21);
	assert_int_equal(append(&d, LEDGER_ASYNC, 22, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_GATE, 23, 1), RC_DENIED);

	connect_both(&d);
	ledger_client_up(&d.client, 2);
	uint64_t tag = next_entry(&d, &m);
	assert_int_equal(m.type, 7);
	assert_int_equal(m.n, 1); /* sent again under its number: the ledger may have it */
	assert_int_equal(m.run, 3);
	assert_true(receipt(&d, tag, RC_EXISTS));
	assert_int_equal(d.cookie, 20);
	assert_int_equal(d.rc, RC_OK);
	tag = next_entry(&d, &m);
	assert_int_equal(m.type, GAP);
	assert_int_equal(m.n, 3);
	m.body[m.body_n] = '\0';
	assert_string_equal(m.body, "{\"late\":2,\"lost\":0,\"refused\":1,\"unknown\":1}");
	assert_true(receipt(&d, tag, RC_OK));
	tag = next_entry(&d, &m);
	assert_int_equal(m.n, 4);
	assert_true(receipt(&d, tag, RC_OK));
	assert_int_equal(d.cookie, 22);
	no_entry(&d);
	assert_int_equal(d.client.pending_n, 0);
	end(&d);
}

static void test_waiting_is_bounded_and_loss_is_counted(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	for (unsigned i = 0; i < LEDGER_PENDING_MAX; i++)
		assert_int_equal(append(&d, LEDGER_ASYNC, i, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_ASYNC, 1, 1), RC_LIMIT);
	assert_int_equal(append(&d, LEDGER_ASYNC, 1, 1), RC_LIMIT);
	connect_both(&d);
	ledger_client_up(&d.client, 2);
	next_entry(&d, &m);
	m.body[m.body_n] = '\0';
	assert_string_equal(m.body, "{\"late\":1024,\"lost\":2,\"refused\":0,\"unknown\":0}");
	for (unsigned i = 0; i < LEDGER_PENDING_MAX; i++) {
		ipc_flush(&d.ours);
		uint64_t tag = next_entry(&d, &m);
		assert_int_equal(m.n, 2 + i);
		assert_true(receipt(&d, tag, RC_OK));
		assert_int_equal(d.cookie, i);
	}
	end(&d);
}

static void test_body_too_long(void **state)
{
	struct desk d;
	static char body[LEDGER_BODY_MAX + 1];
	begin(&d);
	connect_both(&d);
	assert_int_equal(
		ledger_append(&d.client, LEDGER_GATE, 1, body, sizeof body, on_receipt, &d, 0, 1), RC_LIMIT);
	assert_int_equal(
		ledger_append(&d.client, LEDGER_GATE, 1, body, LEDGER_BODY_MAX, on_receipt, &d, 0, 1), RC_OK);
	end(&d);
}

/* A full ledger: what need not wait for it is entered later, in order, under new numbers; what must, is
 * refused. */
static void test_a_full_ledger_gets_late_entries_later(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	connect_both(&d);
	ledger_client_up(&d.client, 1);
	assert_int_equal(append(&d, LEDGER_ASYNC, 1, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_ASYNC, 2, 1), RC_OK);
	assert_int_equal(append(&d, LEDGER_GATE, 3, 1), RC_OK);
	uint64_t tags[3];
	for (int i = 0; i < 3; i++)
		tags[i] = next_entry(&d, &m);
	assert_true(receipt(&d, tags[0], RC_IO));
	assert_true(receipt(&d, tags[1], RC_IO));
	assert_int_equal(d.answers, 0); /* not lost, and not done */
	assert_true(receipt(&d, tags[2], RC_IO));
	assert_int_equal(d.answers, 1);
	assert_int_equal(d.cookie, 3);
	assert_int_equal(d.rc, RC_IO);
	/* Those that come now wait behind; an act is tried at once. */
	assert_int_equal(append(&d, LEDGER_ASYNC, 4, 2), RC_OK);
	no_entry(&d);
	assert_int_equal(append(&d, LEDGER_GATE, 5, 2), RC_OK);
	tags[0] = next_entry(&d, &m);
	assert_int_equal(m.n, 4);
	assert_true(receipt(&d, tags[0], RC_IO));
	/* One each second is tried, not all. */
	for (uint64_t second = 0; second < 3; second++) {
		ledger_client_expire(&d.client, (3 + second) * NS_PER_S);
		tags[0] = next_entry(&d, &m);
		assert_int_equal(m.n, 5 + second);
		no_entry(&d);
		ledger_client_expire(&d.client, (3 + second) * NS_PER_S);
		no_entry(&d); /* it is on its way */
		if (second < 2)
			assert_true(receipt(&d, tags[0], RC_IO));
		ledger_client_expire(&d.client, (3 + second) * NS_PER_S + NS_PER_S / 2);
		no_entry(&d);
	}
	/* There is room: the others follow behind a gap that counts them. */
	d.answers = 0;
	assert_true(receipt(&d, tags[0], RC_OK));
	assert_int_equal(d.answers, 1);
	assert_int_equal(d.cookie, 1);
	tags[0] = next_entry(&d, &m);
	assert_int_equal(m.type, GAP);
	assert_int_equal(m.n, 8);
	assert_memory_equal(m.body, "{\"late\":2,\"lost\":0,\"refused\":0,\"unknown\":0}", m.body_n);
	assert_true(receipt(&d, tags[0], RC_OK));
	for (uint64_t i = 0; i < 2; i++) {
		tags[0] = next_entry(&d, &m);
		assert_int_equal(m.n, 9 + i);
		assert_true(receipt(&d, tags[0], RC_OK));
		assert_int_equal(d.cookie, i == 0 ? 2 : 4);
	}
	no_entry(&d);
	assert_int_equal(d.client.pending_n, 0);
	/* A refusal that no time heals is one. */
	assert_int_equal(append(&d, LEDGER_ASYNC, 6, 9), RC_OK);
	assert_true(receipt(&d, next_entry(&d, &m), RC_DENIED));
	assert_int_equal(d.cookie, 6);
	assert_int_equal(d.rc, RC_DENIED);
	end(&d);
}

/* Also when the link goes down while the one that is tried has no answer. */
static void test_what_is_late_is_counted_once(void **state)
{
	struct desk d;
	struct msg_ledger_append m;
	begin(&d);
	connect_both(&d);
	ledger_client_up(&d.client, 1);
	assert_int_equal(append(&d, LEDGER_ASYNC, 1, 1), RC_OK);
	assert_true(receipt(&d, next_entry(&d, &m), RC_IO));
	ledger_client_expire(&d.client, NS_PER_S);
	next_entry(&d, &m);
	assert_int_equal(m.n, 2);
	ledger_client_down(&d.client);
	connect_both(&d);
	ledger_client_up(&d.client, 2 * NS_PER_S);
	next_entry(&d, &m);
	assert_int_equal(m.n, 2);
	next_entry(&d, &m);
	assert_int_equal(m.type, GAP);
	m.body[m.body_n] = '\0';
	assert_string_equal(m.body, "{\"late\":1,\"lost\":0,\"refused\":0,\"unknown\":0}");
	end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receipts_by_tag),
		cmocka_unit_test(test_gate_fails_closed),
		cmocka_unit_test(test_gate_does_not_wait_for_ever),
		cmocka_unit_test(test_gap_is_stated_and_late_entries_follow),
		cmocka_unit_test(test_waiting_is_bounded_and_loss_is_counted),
		cmocka_unit_test(test_a_full_ledger_gets_late_entries_later),
		cmocka_unit_test(test_what_is_late_is_counted_once),
		cmocka_unit_test(test_body_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
