/*
 * Values of failed exchanges, to be entered: ranges in any order of coming, entries that the verifier
 * reads, few of them however many exchanges a stranger begins, all of them before the keeper ends.
 */
#include "proc/keeper/failed.h"

#include "base/log.h"
#include "ledger/types.h"
#include "verify/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct child child;
static struct ipc_link ledger;
static struct public_source values;
static struct leaves leaves;
static struct shares shares;
static struct failed failed;
static bool seen[70000], leaf_seen[LEAVES_N];
static unsigned entries;

static const struct child_ops ops = { 0 };

static void no_progress(struct leaves *l)
{
}

static void no_receipt(void *context, uint64_t tag, const struct msg_ledger_receipt *r)
{
}

static int begin(void **state)
{
	int fds[2], link[2];

	log_init("test", LOG_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	child_init(&child, PROC_KEEPER, &ops, NULL, LEDGER_LEDGER_OUTAGE, fds[0]);
	*state = (void *)(intptr_t)fds[1];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	port_open(&child.ports[PROC_LEDGER], &child.loop, link[0], PROC_KEEPER, PROC_LEDGER);
	ipc_link_open(&ledger, link[1], PROC_LEDGER, PROC_KEEPER);
	child.started = true;
	assert_int_equal(public_init(&values, &child, no_receipt), RC_OK);
	values.epoch = 2;
	memset(values.key.public_key, 0xab, sizeof values.key.public_key);
	memset(values.key_before, 0xcd, sizeof values.key_before);
	assert_int_equal(leaves_init(&leaves, &child, &shares, no_receipt, no_progress), RC_OK);
	leaves.batch[3].serial = 3;
	memset(leaves.batch[3].tree[1].b, 0xef, SHA256_SIZE);
	assert_int_equal(failed_init(&failed, &child, &values, &leaves), RC_OK);
	memset(seen, 0, sizeof seen);
	memset(leaf_seen, 0, sizeof leaf_seen);
	entries = 0;
	return 0;
}

static int end(void **state)
{
	failed_done(&failed);
	leaves_free(&leaves);
	public_free(&values);
	port_close(&child.ports[PROC_LEDGER]);
	ledger_client_done(&child.ledger);
	loop_done(&child.loop);
	ipc_link_close(&ledger);
	close((int)(intptr_t)*state);
	return 0;
}

static void note(const char *body, const char *key, bool *to, uint32_t most)
{
	struct order_ranges r = { .most = most };
	const char *at = strstr(body, key);

	assert_non_null(at);
	r.text = at + strlen(key);
	r.n = strcspn(r.text, "\"");
	while (order_range_next(&r))
		for (uint32_t i = r.first; i <= r.last; i++) {
			assert_false(to[i]);
			to[i] = true;
		}
	assert_int_equal(r.at, r.n);
}

/* Entries that have come; each gets its receipt. */
static void gather(void)
{
	static struct ipc_frame f;
	struct msg_ledger_receipt yes = { .rc = RC_OK };

	while (ipc_recv(&ledger, &f, NULL) == RC_OK) {
		assert_int_equal(f.head.id, IPC_LEDGER_APPEND);
		assert_int_equal(f.u.LEDGER_APPEND.type, LEDGER_EXCHANGE_FAILED);
		f.u.LEDGER_APPEND.body[f.u.LEDGER_APPEND.body_n] = '\0';
		assert_int_equal(ledger_body_check(LEDGER_EXCHANGE_FAILED, f.u.LEDGER_APPEND.body,
					 f.u.LEDGER_APPEND.body_n, NULL),
			RC_OK);
		note(f.u.LEDGER_APPEND.body, "\"counts\":\"", seen, COUNT_OF(seen) - 1);
		note(f.u.LEDGER_APPEND.body, "\"leaves\":\"", leaf_seen, LEAVES_N - 1);
		entries++;
		assert_int_equal(ipc_send_LEDGER_RECEIPT(&ledger, f.head.tag, &yes), RC_OK);
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
	}
}

static void add(uint32_t count, uint32_t leaf)
{
	failed_add(&failed,
		&(struct keys_unused){
			.count = count, .epoch = 2, .leaf = { .batch = leaf ? 3 : 0, .index = leaf } });
}

/* Whatever the order, what was added comes out, once, and joins to as few ranges as there can be. */
static void ranges_in_any_order(void **state)
{
	static uint32_t order[1000];

	srand(5);
	for (uint32_t i = 0; i < COUNT_OF(order); i++)
		order[i] = 1 + i;
	for (uint32_t i = COUNT_OF(order) - 1; i > 0; i--) {
		uint32_t k = (uint32_t)rand() % (i + 1), x = order[i];
		order[i] = order[k];
		order[k] = x;
	}
	for (uint32_t i = 0; i < COUNT_OF(order); i++) {
		add(order[i], 0);
		add(order[i], 0); /* again: the same */
	}
	assert_int_equal(failed.set[FAILED_SETS - 1].n, 1);
	assert_int_equal(failed.lost, 0);
	failed_done(&failed);
	gather();
	assert_int_equal(entries, 1);
	for (uint32_t i = 1; i <= COUNT_OF(order); i++)
		assert_true(seen[i]);
	assert_false(seen[0] || seen[COUNT_OF(order) + 1]);
}

/* Two epochs and a batch: each number under its own name. */
static void names(void **state)
{
	static struct ipc_frame f;

	add(7, 9);
	failed_add(&failed, &(struct keys_unused){ .count = 8, .epoch = 1 });
	failed_add(&failed, &(struct keys_unused){ .count = 9, .epoch = 3 }); /* no such epoch */
	assert_int_equal(failed.lost, 1);
	failed_done(&failed);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ipc_recv(&ledger, &f, NULL), RC_OK);
		f.u.LEDGER_APPEND.body[f.u.LEDGER_APPEND.body_n] = '\0';
		bool before = strstr(f.u.LEDGER_APPEND.body, "\"key\":\"cdcdcd") != NULL;
		assert_non_null(
			strstr(f.u.LEDGER_APPEND.body, before ? "\"counts\":\"8\"" : "\"counts\":\"7\""));
		if (strstr(f.u.LEDGER_APPEND.body, "\"batch\":\"efefef"))
			assert_non_null(strstr(f.u.LEDGER_APPEND.body, "\"leaves\":\"9\""));
	}
	assert_int_equal(ipc_recv(&ledger, &f, NULL), RC_AGAIN);
}

/* A stranger who begins exchanges as fast as he can gets one entry for all that end in a row. */
static void a_flood_is_few_entries(void **state)
{
	for (uint32_t i = 1; i < 60000; i++)
		add(i, 0);
	assert_true(failed.timer.armed);
	failed_done(&failed);
	gather();
	assert_int_equal(entries, 1);
	assert_true(seen[1] && seen[59999]);
}

/* With honest exchanges between all of them: the ranges are bounded, and what has no room is counted. */
static void the_worst_mixture(void **state)
{
	for (uint32_t i = 1; i <= 2 * FAILED_RANGES_MAX + 2; i += 2)
		add(i, 0);
	assert_int_equal(failed.lost, 1);
	/* Full sets do not wait for FAILED_DELAY_NS. */
	assert_true(failed.timer.at <= child.loop.now + FAILED_EVERY_NS);
	failed_done(&failed);
	gather();
	unsigned said = 0;
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		said += seen[i];
	assert_int_equal(said, FAILED_RANGES_MAX);
	assert_true(entries <= FAILED_RANGES_MAX / 80);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(ranges_in_any_order),
		T(names),
		T(a_flood_is_few_entries),
		T(the_worst_mixture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
