/*
 * udpgen ADDRESS PORT PAYLOAD SECONDS: sends UDP datagrams of one flow as fast as they go, and prints how many went.
 * IPv4 and IPv6. Used by bench/run; the receiver counts on its own side, so that what is lost is known.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	    64
#define PAYLOAD_MAX 65507

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int connected_socket(const char *address, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*to;
	int buffer = 4 << 20, fd;

	if (getaddrinfo(address, port, &hints, &to) != 0)
		return -1;
	fd = socket(to->ai_family, to->ai_socktype, 0);
	if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(to);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) != 0)
		perror("udpgen: SO_SNDBUF");
	return fd;
}

int main(int argc, char **argv)
{
	static char payload[PAYLOAD_MAX];
	struct iovec part = { .iov_base = payload };
	struct mmsghdr batch[BATCH];
	unsigned long long sent = 0, refused = 0;
	double start, end;
	int fd;

	if (argc != 5 || atoi(argv[3]) < 1 || atoi(argv[3]) > PAYLOAD_MAX) {
		fprintf(stderr, "usage: udpgen ADDRESS PORT PAYLOAD SECONDS\n");
		return 2;
	}
	part.iov_len = (size_t)atoi(argv[3]);
	fd = connected_socket(argv[1], argv[2]);
	if (fd < 0) {
		perror("udpgen");
		return 1;
	}
	memset(batch, 0, sizeof batch);
	for (int i = 0; i < BATCH; i++)
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
	start = seconds_now();
	end = start + atof(argv[4]);
	while (seconds_now() < end) {
		int n = sendmmsg(fd, batch, BATCH, 0);
		if (n > 0)
			sent += (unsigned long long)n;
		else
			refused++; /* the queue is full, or an ICMP error came */
	}
	printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %.3f}\n", sent, refused,
		seconds_now() - start);
	close(fd);
	return 0;
}
