/*
 * The sockets of ike in a network namespace of the test's own: a datagram from a link-local address is
 * answered to where it came from. Needs root, for the namespace and the address.
 */
#include "proc/ike/sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

static int bound(uint16_t port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

static void receive(int fd, struct endpoint *ret_local, struct endpoint *ret_remote)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct err e = { 0 };
	uint8_t bytes[64];
	size_t n = 0;

	assert_int_equal(poll(&ready, 1, 20000), 1);
	assert_int_equal(ike_socket_receive(fd, ret_local, ret_remote, bytes, sizeof bytes, &n, &e), RC_OK);
	assert_int_equal(n, 5);
}

static void answers_a_link_local_peer(void **state)
{
	struct ike_sockets ours = { .plain = { -1, -1 }, .nat = { -1, -1 } };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(IKE_PORT) };
	struct endpoint local, remote, from, at;
	struct err e = { 0 };
	int peer;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 ||
		system("ip link set lo up && ip address add fe80::1/64 dev lo nodad") != 0)
		skip();
	to.sin6_addr.s6_addr[0] = 0xfe;
	to.sin6_addr.s6_addr[1] = 0x80;
	to.sin6_addr.s6_addr[15] = 1;
	to.sin6_scope_id = if_nametoindex("lo");
	ours.plain[1] = bound(IKE_PORT);
	peer = bound(40500);
	assert_int_equal(sendto(peer, "hello", 5, 0, (const struct sockaddr *)&to, sizeof to), 5);
	receive(ours.plain[1], &local, &remote);
	assert_int_equal(remote.port, 40500);
	assert_int_equal(remote.scope, to.sin6_scope_id);
	assert_int_equal(ike_socket_send(&ours, &local, &remote, "hello", 5, true, &e), RC_OK);
	receive(peer, &at, &from);
	assert_true(addr_equal(&from.addr, &local.addr));
	remote.scope = 0; /* without it the kernel does not know where */
	assert_int_equal(ike_socket_send(&ours, &local, &remote, "hello", 5, true, &e), RC_IO);
	close(peer);
	close(ours.plain[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_a_link_local_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
