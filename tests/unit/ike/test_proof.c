/*
 * How long an authentication is valid, and what comes between a request to the keeper and its answer: a key
 * that is replaced ends the IKE SA, its lifetime does even when no rekey succeeds, and a question that a
 * commit overtakes is asked again.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct puppet p;

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

static void up(bool initiator)
{
	puppet_init(&p);
	puppet_start(&p);
	assert_true(puppet_up(&p, initiator));
	puppet_forget(&p);
}

static unsigned shown(const char *what)
{
	char text[2048];
	uint32_t at = 0;
	unsigned n = 0;

	while (ike_show(p.core, p.now, &at, text, sizeof text) > 0)
		n += strstr(text, what) != NULL;
	return n;
}

/* A delete of the IKE SA is the last message that the peer gets on it. */
static void told_by_the_keeper(void **state)
{
	struct keeper_ended ended = { .text = "the key 'shared' of peer 'b' was replaced" };

	for (int initiator = 0; initiator < 2; initiator++) {
		up(initiator);
		ended.handle = p.handles + 100;
		ike_input_keeper_ended(p.core, p.now, &ended);
		puppet_settle(&p);
		assert_int_equal(p.sent_n, 0); /* none of ours */
		for (ended.handle = p.handles; ended.handle > 0 && p.sent_n == 0; ended.handle--) {
			ike_input_keeper_ended(p.core, p.now, &ended);
			puppet_settle(&p);
		}
		assert_true(puppet_read_last(&p));
		assert_int_equal(p.header.exchange, EX_INFORMATIONAL);
		assert_int_equal(puppet_delete(&p).protocol, IKE_PROTO_IKE);
		if (!initiator)
			puppet_done(&p);
	}
}

/* A peer that refuses each rekey has to authenticate again. */
static void no_rekey_succeeds(void **state)
{
	uint32_t lifetime_s = 4000;
	bool deleted = false;

	puppet_init(&p);
	p.config.peers[0].rekey_s = lifetime_s;
	p.config.peers[0].dpd_s = 3600;
	p.config.tunnels[0].rekey_s = 86400;
	puppet_start(&p);
	assert_true(puppet_up(&p, true));
	mono_ns end = p.now + lifetime_s * NS_PER_S / 1000 * IKE_SA_EXPIRE;
	p.fail[KEEPER_EXCHANGE_BEGIN] = RC_LIMIT; /* we begin none */
	while (p.now < end + 5 * NS_PER_S && !deleted) {
		puppet_usage(&p, p.child_in, 100); /* the peer lives */
		puppet_forget(&p);
		puppet_run(&p, 1000);
		for (uint32_t i = 0; i < p.sent_n; i++)
			deleted |= puppet_read(&p, i) && p.header.exchange == EX_INFORMATIONAL &&
				   puppet_delete(&p).protocol == IKE_PROTO_IKE;
		assert_true(!deleted || p.now >= end);
	}
	assert_true(deleted);
}

/* The keeper has the new configuration before us, or after us: the question is the same, and asked again. */
static void overtaken_by_a_commit(void **state)
{
	puppet_init(&p);
	p.config.head.generation = 7;
	puppet_start(&p);
	p.fail[KEEPER_AUTH_VERIFY] = RC_STALE;
	assert_false(puppet_up(&p, true));
	assert_int_equal(shown("established"), 0);
	uint32_t asked = p.count[KEEPER_AUTH_VERIFY];
	assert_true(asked > 0);
	puppet_run(&p, 5 * IKE_STALE_MS);
	assert_in_range(p.count[KEEPER_AUTH_VERIFY], asked + 4, asked + 6); /* at a limited rate */
	p.fail[KEEPER_AUTH_VERIFY] = RC_OK;
	puppet_run(&p, 2 * IKE_STALE_MS);
	assert_int_equal(shown("established"), 1);
	assert_int_equal(p.refusals, 0);
}

/* What the commit changes is abandoned, and not asked again. */
static void changed_by_a_commit(void **state)
{
	puppet_init(&p);
	puppet_start(&p);
	p.fail[KEEPER_AUTH_VERIFY] = RC_STALE;
	assert_false(puppet_up(&p, true));
	p.config.head.generation++;
	p.config.peers[0].remote_id.data[0] ^= 1;
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
	p.fail[KEEPER_AUTH_VERIFY] = RC_OK;
	uint32_t asked = p.count[KEEPER_AUTH_VERIFY];
	puppet_run(&p, 2000);
	assert_int_equal(p.count[KEEPER_AUTH_VERIFY], asked);
	assert_int_equal(shown("established"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(told_by_the_keeper),
		T(no_rekey_succeeds),
		T(overtaken_by_a_commit),
		T(changed_by_a_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
