/*
 * The program that divides ESP packets among the workers' sockets, run by the kernel: what it returns is how many octets
 * of a datagram a socket keeps that has it as its filter.
 */
#include "proc/dataplane/steer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS	 400 /* more than a program has room for */
#define SURELY	 140
#define DATAGRAM 64

static struct esp *esp;
static void *state, *tables;

static uint32_t spi_of(uint32_t i)
{
	return 0x100u + i * 0x9e3779b1u % 0xfffffe00u;
}

static void *zeroes(size_t n)
{
	void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

	assert_non_null(p);
	return memset(p, 0, (n + 63) & ~(size_t)63);
}

static void begin(uint32_t pairs, uint32_t workers)
{
	size_t state_n = esp_state_size(PAIRS), tables_n = esp_tables_size(PAIRS);
	struct err e = { 0 };
	char name[16];
	bool resumed;

	state = zeroes(state_n);
	tables = zeroes(tables_n);
	assert_non_null(esp = esp_new(state, state_n, tables, tables_n, PAIRS, workers, &resumed, &e));
	for (uint32_t i = 0; i < pairs; i++) {
		struct sa_install sa = { .tunnel = i,
			.spi_in = spi_of(i),
			.spi_out = SPI_MIN,
			.encr = ENCR_AES_GCM_16,
			.encr_bits = 128,
			.key_n = 20,
			.local_n = 1,
			.remote_n = 1 };
		sa.local.addr.family = sa.remote.addr.family = ADDR_V4;
		snprintf(name, sizeof name, "t%u", i);
		assert_int_equal(esp_install(esp, &sa, name, 64, NULL, 1, &e), RC_OK);
	}
}

static void end(void)
{
	esp_free(esp);
	free(state);
	free(tables);
}

/* What the kernel makes of a datagram with these octets in front. */
static uint32_t value_of(const int fds[2], const void *front, uint32_t n, uint32_t size)
{
	uint8_t bytes[DATAGRAM] = { 0 };

	memcpy(bytes, front, n);
	/* One that the filter drops is an error of nobody, and nothing is received. */
	(void)send(fds[0], bytes, size, MSG_DONTWAIT);
	ssize_t got = recv(fds[1], bytes, sizeof bytes, MSG_DONTWAIT);
	return got < 0 ? 0 : (uint32_t)got;
}

static void divide(uint32_t pairs, uint32_t workers, enum steer_at at)
{
	struct sock_filter code[STEER_PROGRAM_MAX];
	uint32_t value[WORKERS_MAX], head = at == STEER_AT_IP4 ? 24 : 0;
	uint8_t front[32] = { 0x46 }, marker[4] = { 0 };
	int fds[2];

	begin(pairs, workers);
	for (uint32_t w = 0; w < WORKERS_MAX; w++)
		value[w] = w == 0 ? 50 : w;
	struct sock_fprog program = { (unsigned short)steer_program(esp, at, value, code), code };
	assert_in_range(program.len, 2, STEER_PROGRAM_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
	for (uint32_t i = 0; i < pairs; i++) {
		uint32_t spi = spi_of(i), owner = esp_owner(esp, esp_pair_find(esp, spi));
		store_be32(front + head, spi);
		uint32_t got = value_of(fds, front, head + 4, DATAGRAM);
		if (got != value[owner] && (pairs <= SURELY || got != value[0]))
			fail_msg("pair %u of worker %u: %u", i, owner, got);
		store_be32(front + head, spi + 1);
		if (esp_pair_find(esp, spi + 1) == ESP_PAIR_NONE)
			assert_int_equal(value_of(fds, front, head + 4, DATAGRAM), value[0]);
	}
	if (at == STEER_AT_SPI) {
		assert_int_equal(value_of(fds, marker, 4, DATAGRAM), value[0]); /* IKE */
		assert_int_equal(value_of(fds, marker, 1, 1), 0); /* a keepalive: the first socket */
	}
	close(fds[0]);
	close(fds[1]);
	end();
}

static void each_to_its_owner(void **unused)
{
	static const uint32_t pairs[] = { 0, 1, 2, 3, 4, 5, 8, 9, 17, 64, SURELY, PAIRS };

	(void)unused;
	for (uint32_t i = 0; i < COUNT_OF(pairs); i++)
		for (uint32_t n = 1; n <= WORKERS_MAX; n = n < 4 ? n + 1 : 2 * n) {
			divide(pairs[i], n, STEER_AT_SPI);
			divide(pairs[i], n, STEER_AT_IP4);
		}
}

/* ---- raw sockets: where the kernel has the program begin ---- */

#define RAW_PAIRS   12
#define IP4_OCTETS  20
#define ESP_PROTO   50
#define RAW_WORKERS 4

static bool loopback_begin(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = unshare(CLONE_NEWNET) == 0 ? socket(AF_INET, SOCK_DGRAM, 0) : -1;
	bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;

	if (fd >= 0)
		close(fd);
	return up;
}

static void raw_divides(int family, enum steer_at at)
{
	const struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *to =
		family == AF_INET ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6;
	struct sock_filter code[STEER_PROGRAM_MAX];
	uint32_t value[WORKERS_MAX];
	uint8_t bytes[DATAGRAM + IP4_OCTETS] = { 0 };

	begin(RAW_PAIRS, RAW_WORKERS);
	for (uint32_t w = 0; w < WORKERS_MAX; w++)
		value[w] = 30 + w;
	struct sock_fprog program = { (unsigned short)steer_program(esp, at, value, code), code };
	int in = socket(family, SOCK_RAW, ESP_PROTO), out = socket(family, SOCK_RAW, ESP_PROTO);
	assert_true(in >= 0 && out >= 0);
	assert_int_equal(setsockopt(in, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
	for (uint32_t i = 0; i < RAW_PAIRS; i++) {
		uint32_t owner = esp_owner(esp, esp_pair_find(esp, spi_of(i)));
		store_be32(bytes, spi_of(i));
		assert_int_equal(
			sendto(out, bytes, DATAGRAM, 0, to, family == AF_INET ? sizeof to4 : sizeof to6),
			DATAGRAM);
		assert_int_equal(recv(in, bytes, sizeof bytes, MSG_DONTWAIT), value[owner]);
	}
	close(in);
	close(out);
	end();
}

/* As root, in a network namespace of its own. */
static void raw_sockets(void **unused)
{
	(void)unused;
	if (geteuid() != 0 || !loopback_begin())
		skip();
	raw_divides(AF_INET, STEER_AT_IP4);
	raw_divides(AF_INET6, STEER_AT_SPI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_to_its_owner),
		cmocka_unit_test(raw_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
