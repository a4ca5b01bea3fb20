/*
 * numbered send ADDRESS PORT PER_SECOND FLOWS: numbered UDP datagrams of 64 octets at a rate, until standard input ends; then how many went.
 * numbered receive PORT FLOWS: says that it listens, and when standard input ends, how many different ones came, how many twice or out of
 * order, and the numbers of the first that are missing. Used by bench/losses. Flows differ by their destination port, one after the other.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OCTETS	    64
#define FLOWS_MAX   1000
#define NUMBERS_MAX (1u << 28)
#define SAID	    16
#define BUFFER	    (64 << 20)

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool input_ended(int wait_ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char octet;

	return poll(&p, 1, wait_ms) == 1 && read(STDIN_FILENO, &octet, 1) <= 0;
}

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = BUFFER;

	if (fd < 0) {
		perror("numbered");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
	return fd;
}

/* What is behind goes at once, but no more than a tenth of a second's: who gets no processor sends no flood afterwards. */
static int numbers_send(const char *address, uint16_t port, double per_second, uint32_t flows)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint8_t payload[OCTETS] = { 0 };
	uint32_t number = 0, refused = 0;
	int fd = udp_socket();
	double last = seconds_now(), due = 0;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || flows < 1 || flows > FLOWS_MAX)
		return 2;
	while (!input_ended(1)) {
		double now = seconds_now();
		due += (now - last) * per_second;
		last = now;
		if (due > per_second / 10)
			due = per_second / 10;
		for (; due >= 1 && number < NUMBERS_MAX; due--) {
			memcpy(payload, &number, sizeof number);
			to.sin_port = htons((uint16_t)(port + number % flows));
			if (sendto(fd, payload, sizeof payload, 0, (struct sockaddr *)&to, sizeof to) ==
				sizeof payload)
				number++;
			else
				refused++;
		}
	}
	printf("{\"sent\": %u, \"refused\": %u}\n", number, refused);
	return 0;
}

static void result_print(const uint8_t *came, uint32_t end, uint32_t n, uint32_t again, uint32_t disorder)
{
	printf("{\"received\": %u, \"again\": %u, \"disorder\": %u, \"missing\": [", n, again, disorder);
	for (uint32_t i = 0, said = 0; i < end && said < SAID; i++)
		if (!(came[i / 8] >> i % 8 & 1))
			printf("%s%u", said++ ? ", " : "", i);
	printf("]}\n");
}

static int numbers_receive(uint16_t port, uint32_t flows)
{
	static struct pollfd all[FLOWS_MAX + 1];
	static uint32_t next[FLOWS_MAX];
	static uint8_t came[NUMBERS_MAX / 8];
	uint32_t end = 0, n = 0, again = 0, disorder = 0, number;

	if (flows < 1 || flows > FLOWS_MAX)
		return 2;
	for (uint32_t i = 0; i < flows; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + i)) };
		all[i] = (struct pollfd){ .fd = udp_socket(), .events = POLLIN };
		if (bind(all[i].fd, (struct sockaddr *)&at, sizeof at) != 0) {
			perror("numbered receive");
			return 1;
		}
	}
	all[flows] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	printf("{\"listens\": %u}\n", flows);
	fflush(stdout);
	while (poll(all, flows + 1, -1) >= 0 && !all[flows].revents)
		for (uint32_t i = 0; i < flows; i++)
			while (all[i].revents &&
				recv(all[i].fd, &number, sizeof number, MSG_DONTWAIT) == sizeof number) {
				if (number >= NUMBERS_MAX)
					continue;
				uint8_t bit = (uint8_t)(1u << number % 8);
				again += (came[number / 8] & bit) != 0;
				n += !(came[number / 8] & bit);
				came[number / 8] |= bit;
				disorder += number < next[i];
				next[i] = number;
				end = number + 1 > end ? number + 1 : end;
			}
	result_print(came, end, n, again, disorder);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return numbers_send(argv[2], (uint16_t)atoi(argv[3]), atof(argv[4]), (uint32_t)atoi(argv[5]));
	if (argc == 4 && strcmp(argv[1], "receive") == 0)
		return numbers_receive((uint16_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
	fprintf(stderr, "usage: numbered send ADDRESS PORT PER_SECOND FLOWS | receive PORT FLOWS\n");
	return 2;
}
