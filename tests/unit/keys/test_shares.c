/*
 * The pairs of shares: asked for in advance, used once, wiped, and refused as soon as a source has failed.
 */
#include "proc/keeper/shares.h"

#include "ledger/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct child child;
static struct shares shares;
static struct ipc_link entropy;

static void no_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
}

static const struct child_ops ops = { .on_message = no_message };

static int begin(void **state)
{
	int fds[2], link[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	child_init(&child, PROC_KEEPER, &ops, NULL, LEDGER_LEDGER_OUTAGE, fds[0]);
	port_open(&child.ports[PROC_ENTROPY], &child.loop, link[0], PROC_KEEPER, PROC_ENTROPY);
	ipc_link_open(&entropy, link[1], PROC_ENTROPY, PROC_KEEPER);
	*state = (void *)(intptr_t)fds[1];
	shares_init(&shares, &child);
	return 0;
}

static int end(void **state)
{
	shares_done(&shares);
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&child.ports[i]);
	ledger_client_done(&child.ledger);
	loop_done(&child.loop);
	ipc_link_close(&entropy);
	close((int)(intptr_t)*state);
	return 0;
}

/* 0: nothing was asked for. */
static uint32_t asked(void)
{
	static struct ipc_frame f;

	if (ipc_recv(&entropy, &f, NULL) != RC_OK)
		return 0;
	assert_int_equal(f.head.id, IPC_ENTROPY_ASK);
	return f.u.ENTROPY_ASK.count;
}

static void give(uint8_t first)
{
	struct msg_entropy_share m = { .share = { first, 1, 2, 3 } };

	shares_take(&shares, &m);
}

static void asked_in_advance(void **state)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE], none[LEAF_SHARE_SIZE] = { 0 };
	struct err e = { 0 };

	assert_int_equal(shares_start(&shares, &e), RC_OK);
	shares_link(&shares);
	assert_int_equal(asked(), SHARES_MAX);
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_AGAIN);
	assert_memory_equal(a, none, sizeof none);
	for (int i = 0; i < SHARES_MAX; i++)
		give((uint8_t)i);
	give(77); /* more than that are not kept */
	assert_int_equal(shares.n, SHARES_MAX);
	assert_int_equal(asked(), 0);
	for (int i = SHARES_MAX - 1; i >= 0; i--) {
		assert_int_equal(shares_draw(&shares, a, b, &e), RC_OK);
		assert_int_equal(b[0], i);
		assert_memory_not_equal(a, none, sizeof none);
		assert_memory_equal(shares.share[i], none, sizeof none);
		/* By eighths, not one by one. */
		assert_int_equal(asked(), i % (SHARES_MAX / 8) == 0 ? SHARES_MAX / 8 : 0);
	}
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_AGAIN);
}

/* What is on its way when the link ends does not come: it is asked for again. */
static void a_new_link(void **state)
{
	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	shares_link(&shares);
	assert_int_equal(asked(), SHARES_MAX);
	give(1);
	shares_link_lost(&shares);
	shares_link(&shares);
	assert_int_equal(asked(), SHARES_MAX - 1);
	assert_int_equal(shares_ready(&shares, 1, NULL), RC_OK);
	assert_int_equal(shares_ready(&shares, 2, NULL), RC_AGAIN);
}

static void the_second_source_fails(void **state)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE], none[sizeof shares.share] = { 0 };
	struct err e = { 0 };

	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	shares_link(&shares);
	for (int i = 0; i < 9; i++)
		give((uint8_t)i);
	shares_end(&shares, "its words");
	assert_memory_equal(shares.share, none, sizeof none);
	assert_int_equal(shares_draw(&shares, a, b, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "its words"));
	assert_memory_equal(b, none, sizeof b);
	give(1); /* one that was on its way */
	assert_int_equal(shares_ready(&shares, 1, NULL), RC_DENIED);
	shares_link(&shares);
	give(2);
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_OK);
}

static size_t good_octets; /* then the source is stuck */

static bool breaks_later(void *ret_bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)ret_bytes)[i] = good_octets > 0 ? (uint8_t)(good_octets-- * 37) : 0;
	return true;
}

static bool gives_nothing(void *ret_bytes, size_t n)
{
	return false;
}

/* A share may be published: what the kernel gave does not stand in it. */
static void a_half_is_no_output_of_the_generator(void **state)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE], raw[LEAF_SHARE_SIZE], want[LEAF_SHARE_SIZE];

	shares.random = breaks_later;
	good_octets = HEALTH_STARTUP + 2 * LEAF_SHARE_SIZE;
	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	give(1);
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_OK);
	good_octets += LEAF_SHARE_SIZE;
	breaks_later(raw, sizeof raw);
	assert_memory_not_equal(a, raw, sizeof raw);
	const struct sha256_part parts[] = { { "plaingate/kernel-share/v1", 25 }, { raw, sizeof raw } };
	sha256_parts(want, parts, COUNT_OF(parts));
	assert_memory_equal(a, want, sizeof want);
}

static void the_kernels_source_fails(void **state)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE], none[LEAF_SHARE_SIZE] = { 0 };
	struct err e = { 0 };

	good_octets = HEALTH_STARTUP + 2 * LEAF_SHARE_SIZE + 3;
	shares.random = breaks_later;
	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	shares_link(&shares);
	for (int i = 0; i < 9; i++)
		give((uint8_t)i);
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_OK);
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_OK);
	assert_int_equal(shares_draw(&shares, a, b, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "getrandom"));
	assert_memory_equal(a, none, sizeof none);
	assert_memory_equal(b, none, sizeof none);
	/* Neither time nor a new entropy process repairs it. */
	shares_link(&shares);
	good_octets = 10000;
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_DENIED);
}

static void the_kernels_source_is_broken_at_the_start(void **state)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE];

	good_octets = 100;
	shares.random = breaks_later;
	assert_int_equal(shares_start(&shares, NULL), RC_DENIED);
	shares_init(&shares, &child);
	shares.random = gives_nothing;
	assert_int_equal(shares_start(&shares, NULL), RC_IO);
	shares.random = breaks_later;
	good_octets = 1 << 20;
	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	give(1);
	shares.random = gives_nothing;
	assert_int_equal(shares_draw(&shares, a, b, NULL), RC_IO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(asked_in_advance),
		T(a_new_link),
		T(the_second_source_fails),
		T(a_half_is_no_output_of_the_generator),
		T(the_kernels_source_fails),
		T(the_kernels_source_is_broken_at_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
