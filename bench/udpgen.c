/*
 * udpgen ADDRESS PORT PAYLOAD[:SHARE][,...] SECONDS [FLOWS]: sends UDP datagrams as fast as they go, and prints how many went. IPv4 and IPv6.
 * Used by bench/run and bench/firewall; the receiver counts on its own side, so that what is lost is known.
 *
 * Of several sizes each has its share of the datagrams, in turn (18:7,548:4,1472:1 is a simple IMIX), and ports of its own: those of the next
 * size begin PORTS higher. Flows differ by their destination port; consecutive datagrams are of different flows. 1 flow without FLOWS.
 *
 * With FLOWS each flow begins with a datagram of one octet that udpgen answer PORT PAYLOAD[:SHARE][,...] SECONDS FLOWS at the receiver
 * answers, so that the gateways between them have seen both directions; "answered" says of how many. It ends when it has answered all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	    64
#define PAYLOAD_MAX 65507
#define SIZES_MAX   4
#define PORTS	    1000 /* of one size */
#define ANSWERS_MS  500	 /* without another one: no more will come */

struct size {
	size_t payload;
	unsigned share; /* of `shares` */
	unsigned port, flows, next;
	int due; /* how far it is behind its share */
};

static struct size sizes[SIZES_MAX];
static unsigned sizes_count, shares;

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool sizes_read(char *text, unsigned port, unsigned flows)
{
	for (char *one = strtok(text, ","); one; one = strtok(NULL, ",")) {
		char *share = strchr(one, ':');
		struct size *s = &sizes[sizes_count];

		if (sizes_count == SIZES_MAX)
			return false;
		s->payload = (size_t)atoi(one);
		s->share = share ? (unsigned)atoi(share + 1) : 1;
		s->port = port + sizes_count++ * PORTS;
		shares += s->share;
		if (s->payload < 1 || s->payload > PAYLOAD_MAX || s->share < 1 || s->share > BATCH)
			return false;
	}
	for (unsigned i = 0; i < sizes_count; i++) {
		sizes[i].flows = flows * sizes[i].share / shares;
		if (sizes[i].flows < 1)
			sizes[i].flows = 1;
		if (sizes[i].flows > PORTS)
			return false;
	}
	return sizes_count > 0;
}

/* Spreads the sizes evenly: the one that is furthest behind. */
static struct size *size_next(void)
{
	struct size *next = &sizes[0];

	for (unsigned i = 0; i < sizes_count; i++) {
		sizes[i].due += (int)sizes[i].share;
		if (sizes[i].due > next->due)
			next = &sizes[i];
	}
	next->due -= (int)shares;
	return next;
}

static int open_socket(const char *address, struct sockaddr_storage *ret_to, socklen_t *ret_length)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*to;
	int buffer = 4 << 20, fd;

	if (getaddrinfo(address, "9", &hints, &to) != 0)
		return -1;
	fd = socket(to->ai_family, to->ai_socktype, 0);
	memcpy(ret_to, to->ai_addr, to->ai_addrlen);
	*ret_length = to->ai_addrlen;
	freeaddrinfo(to);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) != 0)
		perror("udpgen: SO_SNDBUF");
	return fd;
}

/* Both families have the port at the same place. */
static void port_set(struct sockaddr_storage *to, unsigned port)
{
	((struct sockaddr_in *)to)->sin_port = htons((uint16_t)port);
}

static unsigned answers_take(int fd, unsigned at_most)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	unsigned n = 0;
	char octet;

	while (n < at_most && poll(&readable, 1, ANSWERS_MS) == 1)
		n += recv(fd, &octet, 1, MSG_DONTWAIT) == 1;
	return n;
}

/* One datagram to each flow, as few at once as any queue holds. Returns how many were answered. */
static unsigned flows_begin(int fd, struct sockaddr_storage *to, socklen_t length)
{
	unsigned sent = 0, answered = 0;
	char octet = 0;

	for (unsigned i = 0; i < sizes_count; i++) {
		for (unsigned k = 0; k < sizes[i].flows; k++) {
			port_set(to, sizes[i].port + k);
			if (sendto(fd, &octet, 1, 0, (struct sockaddr *)to, length) != 1)
				perror("udpgen: first datagram");
			if (++sent % BATCH == 0)
				answered += answers_take(fd, BATCH);
		}
	}
	return answered + answers_take(fd, BATCH);
}

static int answer(double seconds)
{
	static struct pollfd all[SIZES_MAX * PORTS];
	double end = seconds_now() + seconds;
	unsigned count = 0;

	for (unsigned i = 0; i < sizes_count; i++) {
		for (unsigned k = 0; k < sizes[i].flows; k++, count++) {
			struct sockaddr_in6 at = { .sin6_family = AF_INET6,
				.sin6_port = htons((uint16_t)(sizes[i].port + k)) };
			all[count] =
				(struct pollfd){ .fd = socket(AF_INET6, SOCK_DGRAM, 0), .events = POLLIN };
			if (all[count].fd < 0 ||
				bind(all[count].fd, (struct sockaddr *)&at, sizeof at) != 0) {
				perror("udpgen answer");
				return 1;
			}
		}
	}
	printf("{\"answers\": %u}\n", count);
	fflush(stdout);
	for (unsigned answered = 0; answered < count && seconds_now() < end;) {
		int n = poll(all, count, 1000);
		for (unsigned i = 0; n > 0 && i < count; i++) {
			struct sockaddr_in6 from;
			socklen_t length = sizeof from;
			char octet;

			if (!all[i].revents)
				continue;
			n--;
			if (recvfrom(all[i].fd, &octet, 1, 0, (struct sockaddr *)&from, &length) == 1 &&
				sendto(all[i].fd, &octet, 1, 0, (struct sockaddr *)&from, length) != 1)
				perror("udpgen answer");
			answered++;
		}
	}
	return 0;
}

/* The next datagrams of all flows. */
static void batch_fill(struct mmsghdr *batch, struct iovec *parts, struct sockaddr_storage *to)
{
	for (int i = 0; i < BATCH; i++) {
		struct size *s = size_next();
		parts[i].iov_len = s->payload;
		if (batch[i].msg_hdr.msg_name)
			port_set(&to[i], s->port + s->next++ % s->flows);
	}
}

int main(int argc, char **argv)
{
	static char payload[PAYLOAD_MAX];
	static struct sockaddr_storage to[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr batch[BATCH];
	unsigned long long sent = 0, refused = 0;
	unsigned flows = argc == 6 ? (unsigned)atoi(argv[5]) : 1, answered = 0;
	socklen_t length;
	double start, end;
	int fd;

	if ((argc != 5 && argc != 6) || !sizes_read(argv[3], (unsigned)atoi(argv[2]), flows)) {
		fprintf(stderr, "usage: udpgen ADDRESS PORT PAYLOAD[:SHARE][,...] SECONDS [FLOWS]\n");
		return 2;
	}
	if (strcmp(argv[1], "answer") == 0)
		return answer(atof(argv[4]));
	fd = open_socket(argv[1], &to[0], &length);
	port_set(&to[0], sizes[0].port);
	if (fd < 0 || (flows == 1 && connect(fd, (struct sockaddr *)&to[0], length) != 0)) {
		perror("udpgen");
		return 1;
	}
	memset(batch, 0, sizeof batch);
	for (int i = 0; i < BATCH; i++) {
		to[i] = to[0];
		parts[i].iov_base = payload;
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
		if (flows > 1) {
			batch[i].msg_hdr.msg_name = &to[i];
			batch[i].msg_hdr.msg_namelen = length;
		}
	}
	if (flows > 1)
		answered = flows_begin(fd, &to[0], length);
	start = seconds_now();
	end = start + atof(argv[4]);
	while (seconds_now() < end) {
		batch_fill(batch, parts, to);
		int n = sendmmsg(fd, batch, BATCH, 0);
		if (n > 0)
			sent += (unsigned long long)n;
		else
			refused++; /* the queue is full, or an ICMP error came */
	}
	printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %.3f, \"answered\": %u}\n", sent, refused,
		seconds_now() - start, answered);
	close(fd);
	return 0;
}
