/*
 * SAs that arrive while a configuration is being prepared in pieces, in the process as it is: at any of the pieces, of the configuration
 * that is loaded, of the one to come, of one that nobody has heard of yet, and of one that has gone. The tunnel has another number in
 * every second configuration.
 */
#include "esp/state.h"
#include "process_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 24
#define RULES  3000 /* a dozen pieces */

static struct snapshot *texts[2]; /* of even and of odd generations */
static uint64_t generation, seed = 1;

static const char *many_rules(void)
{
	static char text[1 << 20];
	size_t n = (size_t)snprintf(text, sizeof text, "  from untrust to trust {\n");

	for (uint32_t i = 0; i < RULES; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
			"rule r%u { match { source any; destination any; application load; } then { deny; } }\n",
			i);
	snprintf(text + n, sizeof text - n, "  }\n");
	return text;
}

/* In the odd ones `branch` is the second tunnel. */
static struct snapshot *compiled(bool odd)
{
	static char text[1 << 20];
	const char *policy = strstr(gate_text, "policy {\n"), *place = strstr(gate_text, "  tunnel branch");

	assert_true(policy && place);
	policy += strlen("policy {\n");
	int n = snprintf(text, sizeof text, "%.*s%s%.*s%s%s", (int)(policy - gate_text), gate_text,
		many_rules(), (int)(place - policy), policy,
		odd ? "tunnel about { peer branch; zone vpn; local 10.1.9.0/24; remote 10.9.0.0/24; proposals p; }\n"
		    : "",
		place);
	assert_true(n > 0 && n < (int)sizeof text);
	return gate_compile(text, "");
}

static uint32_t branch_of(const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->tunnels.count; i++)
		if (strcmp(snap_tunnels(s)[i].name, "branch") == 0)
			return i;
	fail();
	return 0;
}

static struct sa_install sa_of(uint64_t of, uint32_t spi)
{
	struct sa_install sa = { .tunnel = branch_of(texts[of % 2]),
		.generation = of,
		.tunnel_name = "branch",
		.spi_in = spi,
		.spi_out = spi + 0x10000,
		.flags = CHILD_ENCAP | CHILD_ESN,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 1,
		.remote_n = 1 };

	addr_parse(&sa.local.addr, "198.51.100.2");
	addr_parse(&sa.remote.addr, "198.51.100.3");
	sa.local.port = sa.remote.port = 4500;
	sa.local_ts[0] = sa.remote_ts[0] = (struct selector){ .port_last = UINT16_MAX };
	addr_parse(&sa.local_ts[0].addrs.first, "10.1.0.0");
	addr_parse(&sa.local_ts[0].addrs.last, "10.1.0.255");
	addr_parse(&sa.remote_ts[0].addrs.first, "10.2.0.0");
	addr_parse(&sa.remote_ts[0].addrs.last, "10.2.0.255");
	return sa;
}

static void commit_begin(void)
{
	generation++;
	texts[generation % 2]->generation = generation;
	texts[generation % 2]->workers = workers;
	snapshot_send(texts[generation % 2]);
}

static void commit_ends(void)
{
	assert_int_equal(wait_for(&control, IPC_SNAPSHOT_TAKEN)->u.SNAPSHOT_TAKEN.rc, RC_OK);
}

static bool is_answered(const struct ipc_link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void install_begin(uint64_t of, uint32_t spi)
{
	struct sa_install sa = sa_of(of, spi);

	assert_int_equal(ipc_send_SA_INSTALL(&keeper, ++tags, &sa), RC_OK);
}

/* In the order in which the keeper has asked. */
static void install_ends(uint32_t spi, enum rc rc)
{
	const struct ipc_frame *f = wait_for(&keeper, IPC_SA_INSTALLED);

	assert_int_equal(f->u.SA_INSTALLED.spi_in, spi);
	if (f->u.SA_INSTALLED.rc != rc)
		fail_msg("%s", f->u.SA_INSTALLED.text);
}

/* It was installed for the tunnel of that name, whatever its number was. */
static void removed(uint32_t spi)
{
	struct sa_ref gone = { .spi_in = spi };

	assert_int_equal(ipc_send_SA_REMOVE(&keeper, ++tags, &gone), RC_OK);
	const struct ipc_frame *f = wait_for(&keeper, IPC_SA_REMOVED);
	assert_int_equal(f->u.SA_REMOVED.spi_in, spi);
	assert_int_equal(f->u.SA_REMOVED.rc, RC_OK);
}

static void somewhen(void)
{
	struct timespec t = { .tv_nsec = (long)(next_random(&seed) % 4000000) };

	if (next_random(&seed) % 3)
		nanosleep(&t, NULL);
}

static int setup(void **state)
{
	texts[0] = compiled(false);
	texts[1] = compiled(true);
	assert_int_not_equal(branch_of(texts[0]), branch_of(texts[1]));
	memory_setup(state);
	process_begin(2);
	generation = 1;
	commit_begin();
	commit_ends();
	return 0;
}

static int teardown(void **state)
{
	process_end();
	free(texts[0]);
	free(texts[1]);
	return memory_teardown(state);
}

/* What the keeper says next about it comes after it. */
static void of_the_one_to_come(void **state)
{
	(void)state;
	for (uint32_t spi = 0x1000; spi < 0x1000 + ROUNDS; spi++) {
		struct sa_ref gone = { .spi_in = spi };
		bool before = next_random(&seed) % 4 == 0; /* the keeper is faster than control */
		if (before)
			install_begin(generation + 1, spi);
		somewhen();
		commit_begin();
		somewhen();
		if (!before)
			install_begin(generation, spi);
		assert_int_equal(ipc_send_SA_REMOVE(&keeper, ++tags, &gone), RC_OK);
		install_ends(spi, RC_OK);
		assert_true(is_answered(&control)); /* it was loaded before */
		assert_int_equal(wait_for(&keeper, IPC_SA_REMOVED)->u.SA_REMOVED.rc, RC_OK);
		commit_ends();
	}
	assert_true(d->sas_held > 0);
}

/* It does not wait, and is its tunnel's after the load as well. */
static void of_the_loaded_one(void **state)
{
	(void)state;
	for (uint32_t spi = 0x2000; spi < 0x2000 + ROUNDS; spi++) {
		commit_begin();
		somewhen();
		install_begin(generation - 1, spi);
		install_ends(spi, RC_OK);
		commit_ends();
	}
	process_stop();
	assert_int_equal(esp_pairs(d->esp), ROUNDS);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct esp_view v;
		esp_view(d->esp, esp_pair_at(d->esp, i), &v);
		assert_int_equal(v.tunnel, branch_of(d->snapshot.snapshot));
	}
}

static void of_one_that_has_gone(void **state)
{
	(void)state;
	uint64_t held = d->sas_held;
	install_begin(generation - 1, 0x3000); /* another number */
	install_ends(0x3000, RC_OK);
	removed(0x3000);
	struct sa_install sa = sa_of(generation - 1, 0x3001);
	strcpy(sa.tunnel_name, "nowhere");
	assert_int_equal(ipc_send_SA_INSTALL(&keeper, ++tags, &sa), RC_OK);
	install_ends(0x3001, RC_RANGE);
	sa = sa_of(generation, 0x3002);
	sa.tunnel = 77;
	assert_int_equal(ipc_send_SA_INSTALL(&keeper, ++tags, &sa), RC_OK);
	install_ends(0x3002, RC_RANGE);
	assert_int_equal(d->sas_held, held);
}

/* Its SA goes with it; the next one is heard. */
static void the_keeper_ends_meanwhile(void **state)
{
	(void)state;
	install_begin(generation + 7, 0x4000);
	somewhen();
	keeper_link();
	install_begin(generation, 0x4001);
	install_ends(0x4001, RC_OK);
	removed(0x4001);
}

/* Of a configuration that never comes: the time passes, and it is installed by its tunnel's name. */
static void of_one_that_never_comes(void **state)
{
	(void)state;
	install_begin(generation + 7, 0x6000);
	while (!__atomic_load_n(&d->held.waits, __ATOMIC_RELAXED))
		usleep(1000);
	usleep(20000);
	assert_false(is_answered(&keeper));
	__atomic_store_n(&d->held.until, 1, __ATOMIC_RELAXED);
	install_ends(0x6000, RC_OK);
	removed(0x6000);
}

/* Its hard lifetime ends while there is no ike: the process removes it by itself, and the keeper may ask for it later. */
static void of_one_that_ends(void **state)
{
	(void)state;
	install_begin(generation, 0x7000);
	install_ends(0x7000, RC_OK);
	install_begin(generation, 0x7001);
	install_ends(0x7001, RC_OK);
	ipc_link_close(&ike);
	const struct esp *esp = d->esp;
	struct esp_state_pair *s = esp->pair[esp_pair_find(esp, 0x7000)].state;
	assert_int_equal(s->ends - s->installed,
		1200 * (uint64_t)snap_tunnels(texts[0])[branch_of(texts[0])].rekey_s * NS_PER_MS +
			SA_HARD_GRACE_S * NS_PER_S);
	__atomic_store_n(&s->ends, 1, __ATOMIC_RELAXED);
	while (esp_pairs(esp) > 1) /* in a second */
		usleep(1000);
	struct sa_ref gone = { .spi_in = 0x7000 };
	assert_int_equal(ipc_send_SA_REMOVE(&keeper, ++tags, &gone), RC_OK);
	assert_int_equal(wait_for(&keeper, IPC_SA_REMOVED)->u.SA_REMOVED.rc, RC_NOT_FOUND);
	removed(0x7001);
}

/* An older one that another has taken the place of is not waited for. */
static void two_commits(void **state)
{
	(void)state;
	for (uint32_t spi = 0x5000; spi < 0x5000 + ROUNDS / 4; spi++) {
		commit_begin();
		somewhen();
		install_begin(generation, spi);
		commit_begin();
		uint32_t last = tags;
		install_ends(spi, RC_OK);
		removed(spi);
		do /* the other one has no answer, where it was not loaded before this one came */
			commit_ends();
		while (frame.head.tag != last);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(of_the_one_to_come),
		T(of_the_loaded_one),
		T(of_one_that_has_gone),
		T(the_keeper_ends_meanwhile),
		T(two_commits),
		T(of_one_that_never_comes),
		T(of_one_that_ends),
	};
	return cmocka_run_group_tests_name("dataplane/sas", tests, NULL, NULL);
}
