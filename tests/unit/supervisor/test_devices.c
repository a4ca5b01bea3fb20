/*
 * Interfaces of tunnels in the supervisor: one that the configuration has no longer stays until the data plane decides by that
 * configuration, whichever of the two hears of it first. `lo` stands for the interface: nothing here changes it.
 */
#include "model/model.h"
#include "proc/supervisor/supervisor.h"

#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct supervisor s;
static struct ipc_link theirs; /* the data plane's end */
static struct snapshot *with, *without;

/* With a tunnel that has this interface, or with none. */
static struct snapshot *configured(const char *interface, uint64_t generation)
{
	char text[900] = "zones { zone z { interfaces v0; } zone vpn; }";
	struct snapshot *block = NULL;
	size_t bytes;
	struct err e = { 0 };
	struct faults f = { 0 };

	if (interface)
		strcat(text,
			" ike { proposal p { encryption aes256gcm16; dh-group x25519; } peer a { local-address 192.0.2.1; "
			"remote-address 192.0.2.2; local-id a.example.net; remote-id b.example.net; pre-shared-key k; proposals p; } }"
			" ipsec { proposal p { encryption aes256gcm16; } tunnel a { peer a; zone vpn; interface st0.9; "
			"local 0.0.0.0/0; remote 0.0.0.0/0; proposals p; } }");
	if (model_read(text, strlen(text), "t", generation, NULL, (void **)&block, &bytes, &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(block->generation == generation);
	if (interface) /* no configuration may name one that the machine has */
		strcpy(((struct snap_tunnel *)(uintptr_t)snap_tunnels(block))->interface, interface);
	return block;
}

static int start(void **state)
{
	int fds[2];

	memset(&s, 0, sizeof s);
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		s.resources[i].fd = -1;
	loop_init(&s.loop);
	children_init(&s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	port_open(&child_of(&s, PROC_DATAPLANE)->port, &s.loop, fds[0], PROC_SUPERVISOR, PROC_DATAPLANE);
	child_of(&s, PROC_DATAPLANE)->life = LIFE_READY;
	ipc_link_open(&theirs, fds[1], PROC_DATAPLANE, PROC_SUPERVISOR);
	with = configured("lo", 7);
	without = configured(NULL, 8);
	s.snapshot = with;
	assert_true(resource_add(&s, PROC_DATAPLANE, RESOURCE_TUNNEL_DEVICE, if_nametoindex("lo"), "lo",
			    open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	return 0;
}

static int stop(void **state)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		if (s.resources[i].fd >= 0)
			close(s.resources[i].fd);
	port_close(&child_of(&s, PROC_DATAPLANE)->port);
	ipc_link_close(&theirs);
	ledger_client_done(&s.ledger);
	loop_done(&s.loop);
	free(with);
	free(without);
	return 0;
}

static bool is_there(void)
{
	return resource_find(&s, RESOURCE_TUNNEL_DEVICE, if_nametoindex("lo")) != NULL;
}

static bool data_plane_lost_it(void)
{
	static struct ipc_frame f;

	assert_int_equal(loop_once(&s.loop, 0, NULL), RC_OK);
	return ipc_recv(&theirs, &f, NULL) == RC_OK && f.head.id == IPC_RESOURCE_GONE;
}

static void commit(const struct snapshot *next)
{
	struct err e = { 0 };

	assert_int_equal(devices_check(&s, next, &e), RC_OK);
	s.snapshot = next;
	assert_int_equal(devices_apply(&s, &e), RC_OK);
}

static void says(uint32_t carrier, uint64_t generation)
{
	const struct msg_carrier m = { if_nametoindex("lo"), carrier, generation };

	carrier_take(&s, &m);
}

static void stays_until_the_data_plane_has_switched(void **state)
{
	commit(without);
	assert_true(is_there());
	says(CARRIER_UP, 7);
	says(CARRIER_DOWN, 7);
	says(CARRIER_UNUSED, 7); /* of a configuration before */
	says(CARRIER_COUNT, 8);
	assert_true(is_there());
	assert_false(data_plane_lost_it());
	says(CARRIER_UNUSED, 8);
	assert_false(is_there());
	assert_true(data_plane_lost_it());
	says(CARRIER_UNUSED, 8); /* nothing any more */
}

static void the_data_plane_may_be_first(void **state)
{
	says(CARRIER_UNUSED, 8);
	assert_true(is_there());
	commit(without);
	assert_false(is_there());
	assert_true(data_plane_lost_it());
}

/* A data plane that has not got the configuration yet which begins to use it. */
static void what_is_wanted_stays(void **state)
{
	says(CARRIER_UNUSED, 6);
	assert_true(is_there());
	commit(without);
	assert_true(is_there());
}

static void there_is_room_for_both(void **state)
{
	struct snapshot *next = configured("st0.9", 8);
	struct err e = { 0 };

	/* as many as one configuration may have, and one below the limit of both */
	for (int i = 1; i < TUNNEL_DEVICES_MAX - 1; i++)
		assert_true(resource_add(&s, PROC_DATAPLANE, RESOURCE_TUNNEL_DEVICE, 1000 + (uint32_t)i,
				    "gone", open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(devices_check(&s, next, &e), RC_OK);
	assert_true(resource_add(&s, PROC_DATAPLANE, RESOURCE_TUNNEL_DEVICE, 2000, "gone",
			    open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(devices_check(&s, next, &e), RC_AGAIN);
	assert_non_null(strstr(e.text, "commit again"));
	free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stays_until_the_data_plane_has_switched, start, stop),
		cmocka_unit_test_setup_teardown(the_data_plane_may_be_first, start, stop),
		cmocka_unit_test_setup_teardown(what_is_wanted_stays, start, stop),
		cmocka_unit_test_setup_teardown(there_is_room_for_both, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
