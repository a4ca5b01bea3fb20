/*
 * Pairs of SAs of several workers, in the process as it is: with UDP sockets of the kernel, a group as the supervisor
 * makes it, and another gateway's ESP core at the other end. What is sealed by any owner is opened there, what that one
 * seals comes out whichever socket it arrives by, and over deaths and other numbers of workers no sequence number comes
 * twice and no packet is let in again. With ThreadSanitizer: -Db_sanitize=thread.
 */
#include "process_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS	    8 /* of 32 addresses each in the tunnel's network */
#define SPI	    0x1000u
#define PEER_SPI    0x9000u
#define ROUNDS	    20
#define NUMBERS_MAX (64 * 4096)
#define PACKET_MAX  2048
#define QUIET_MS    300

static int group[1 + WORKERS_MAX], peer_fd; /* ours: the first worker's, ike's, the others' */
static struct sockaddr_in ours, peer_at;
static struct esp *peer;
static void *peer_state, *peer_tables;
static bool used[PAIRS][NUMBERS_MAX];
static uint32_t next_in[PAIRS], next_out[PAIRS], came[PAIRS]; /* numbers of packets */

/* ---- sockets ---- */

static int udp_bound(bool in_group, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t n = sizeof *at;

	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	if (in_group) {
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one), 0);
	}
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &n), 0);
	return fd;
}

static void group_make(void)
{
	struct sock_filter first[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = 1, .filter = first };

	ours = peer_at = (struct sockaddr_in){ 0 };
	for (uint32_t i = 0; i <= WORKERS_MAX; i++) {
		group[i] = udp_bound(true, &ours);
		if (i == 0)
			assert_int_equal(setsockopt(group[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
						 sizeof program),
				0);
	}
	peer_fd = udp_bound(false, &peer_at);
}

/* As the supervisor does: those of a number that was once configured stay. */
static void sockets_give(void)
{
	for (uint32_t i = 0; i < MAX_OF(workers, 4u); i++)
		resource_send(RESOURCE_ESP_UDP_SOCKET, "udp-4500", 4, i, group[i == 0 ? 0 : i + 1]);
}

/* ---- SAs ---- */

static struct sa_install sa_of(uint32_t i, bool mirrored)
{
	struct sa_install sa = { .spi_in = (mirrored ? PEER_SPI : SPI) + i,
		.spi_out = (mirrored ? SPI : PEER_SPI) + i,
		.flags = CHILD_ENCAP | CHILD_ESN,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 1,
		.remote_n = 1,
		.generation = 1 };
	struct selector here = { .port_last = UINT16_MAX }, there = here;

	addr_parse(&sa.local.addr, "127.0.0.1");
	addr_parse(&sa.remote.addr, "127.0.0.1");
	sa.local.port = ntohs(ours.sin_port);
	sa.remote.port = ntohs(peer_at.sin_port);
	addr_parse(&here.addrs.first, "10.1.0.0");
	addr_parse(&here.addrs.last, "10.1.0.255");
	addr_parse(&there.addrs.first, "10.2.0.0");
	there.addrs.last = there.addrs.first;
	there.addrs.first.b[3] = (uint8_t)(32 * i);
	there.addrs.last.b[3] = (uint8_t)(32 * i + 31);
	sa.local_ts[0] = mirrored ? there : here;
	sa.remote_ts[0] = mirrored ? here : there;
	for (uint32_t k = 0; k < sizeof sa.key_in; k++) {
		sa.key_in[k] = (uint8_t)(sa.spi_in * 31 + k);
		sa.key_out[k] = (uint8_t)(sa.spi_out * 31 + k);
	}
	return sa;
}

static void *zeroes(size_t n)
{
	void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

	assert_non_null(p);
	return memset(p, 0, (n + 63) & ~(size_t)63);
}

static void peer_begin(void)
{
	size_t state_n = esp_state_size(PAIRS), tables_n = esp_tables_size(PAIRS);
	struct err e = { 0 };
	bool resumed;

	peer_state = zeroes(state_n);
	peer_tables = zeroes(tables_n);
	peer = esp_new(peer_state, state_n, peer_tables, tables_n, PAIRS, 1, &resumed, &e);
	assert_non_null(peer);
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct sa_install sa = sa_of(i, true);
		assert_int_equal(esp_install(peer, &sa, "there", 1024, NULL, 1, &e), RC_OK);
	}
}

static void sas_install(void)
{
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct sa_install sa = sa_of(i, false);
		assert_int_equal(ipc_send_SA_INSTALL(&keeper, ++tags, &sa), RC_OK);
		assert_int_equal(wait_for(&keeper, IPC_SA_INSTALLED)->u.SA_INSTALLED.rc, RC_OK);
	}
}

static int setup(void **state)
{
	more_resources = sockets_give;
	group_make();
	peer_begin();
	memset(used, 0, sizeof used);
	memset(next_in, 0, sizeof next_in);
	memset(next_out, 0, sizeof next_out);
	memset(came, 0, sizeof came);
	return memory_setup(state);
}

static int teardown(void **state)
{
	for (uint32_t i = 0; i <= WORKERS_MAX; i++)
		close(group[i]);
	close(peer_fd);
	esp_free(peer);
	free(peer_state);
	free(peer_tables);
	more_resources = NULL;
	return memory_teardown(state);
}

/* ---- out of the tunnel network, into it ---- */

static struct train packet_of(uint32_t pair, uint32_t number, bool back)
{
	static struct packet room;
	static uint8_t payload[64];
	char there[ADDR_TEXT_MAX];

	snprintf(there, sizeof there, "10.2.0.%u", 32 * pair + 5);
	struct packet_spec s = { .src = back ? there : "10.1.0.2",
		.dst = back ? "10.1.0.2" : there,
		.proto = IP_UDP,
		.src_port = back ? 9 : (uint16_t)(2000 + pair),
		.dst_port = back ? (uint16_t)(2000 + pair) : 9,
		.payload = payload,
		.payload_n = sizeof payload };
	memcpy(payload, &number, sizeof number);
	return packet_make(&room, &s);
}

/* Arrives at a worker that has mostly neither the flow nor the pair. */
static void lan_send(uint32_t pair, uint32_t number)
{
	struct train t = packet_of(pair, number, false);
	uint8_t *at = t.ip - GATE_FRAME_HEAD;
	const uint8_t ethernet[ETHERNET_SIZE] = { 2, 0, 0, 0, 0, GATE_LAN, 2, 0, 0, 0, 9, 9, 8, 0 };
	ssize_t n = (ssize_t)(GATE_FRAME_HEAD + t.len);

	memset(at, 0, VIRTIO_SIZE);
	memcpy(at + VIRTIO_SIZE, ethernet, sizeof ethernet);
	assert_int_equal(send(outer[0][(pair + number) % workers], at, (size_t)n, 0), n);
}

static bool readable(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, wait_ms) == 1;
}

/* What has come to the peer opens there, has a new number and is the pair's next packet. */
static void peer_receive(uint32_t n)
{
	uint8_t sealed[PACKET_MAX], inner[PACKET_MAX];
	struct esp_opened o;
	uint32_t number;

	for (; n > 0; n--) {
		assert_true(readable(peer_fd, WAIT_MS));
		ssize_t got = recv(peer_fd, sealed, sizeof sealed, 0);
		assert_true(got > 0);
		uint32_t pair = load_be32(sealed) - PEER_SPI, sequence = load_be32(sealed + 4);
		assert_true(pair < PAIRS && sequence < NUMBERS_MAX);
		if (used[pair][sequence])
			fail_msg("sequence number %u of pair %u twice", sequence, pair);
		used[pair][sequence] = true;
		esp_open(peer, sealed, (uint32_t)got, 0, inner, 1, &o);
		assert_int_equal(o.drop, DROP_NONE);
		memcpy(&number, inner + IP4_HEADER_SIZE + UDP_HEADER_SIZE, sizeof number);
		assert_int_equal(number, next_out[pair]);
		next_out[pair]++;
	}
}

static void out_passes(uint32_t rounds)
{
	for (uint32_t r = 0; r < rounds; r++) {
		for (uint32_t i = 0; i < PAIRS; i++)
			lan_send(i, next_out[i]);
		peer_receive(PAIRS);
	}
}

static uint32_t peer_seal(uint32_t pair, uint32_t number, uint8_t *out)
{
	struct train t = packet_of(pair, number, true);
	struct esp_batch b = { .bytes = out, .room = PACKET_MAX, .packets_max = 1 };
	struct segment_cutter c;
	enum drop_reason drop;

	assert_int_equal(train_parse(&t), DROP_NONE);
	esp_batch_begin(&b);
	assert_true(segment_cut_begin(&c, &t, 0));
	assert_true(esp_seal(peer, esp_pair_find(peer, PEER_SPI + pair), &c, 0, &b, 1, &drop));
	return b.n;
}

static void peer_send(const uint8_t *bytes, uint32_t n, uint16_t segment)
{
	_Alignas(struct cmsghdr) char control_at[CMSG_SPACE(sizeof segment)] = { 0 };
	struct iovec at = { (uint8_t *)(uintptr_t)bytes, n };
	struct msghdr m = { .msg_name = &ours, .msg_namelen = sizeof ours, .msg_iov = &at, .msg_iovlen = 1 };

	if (segment) {
		m.msg_control = control_at;
		m.msg_controllen = sizeof control_at;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof segment);
		memcpy(CMSG_DATA(c), &segment, sizeof segment);
	}
	assert_int_equal(sendmsg(peer_fd, &m, 0), n);
}

/* Frames that have left by lan0: of each pair the next packets. They are joined to trains on their way. */
static void lan_receive(uint32_t n)
{
	uint8_t bytes[PACKET_MAX * PAIRS];
	struct virtio_net_hdr h;
	uint32_t number;

	while (n > 0) {
		struct pollfd p[WORKERS_MAX];
		for (uint32_t i = 0; i < workers; i++)
			p[i] = (struct pollfd){ .fd = outer[0][i], .events = POLLIN };
		assert_true(poll(p, workers, WAIT_MS) > 0);
		for (uint32_t i = 0; i < workers; i++) {
			if (!p[i].revents)
				continue;
			ssize_t got = recv(outer[0][i], bytes, sizeof bytes, 0);
			assert_true(got > 0);
			memcpy(&h, bytes, sizeof h);
			const uint8_t *udp = bytes + GATE_FRAME_HEAD + IP4_HEADER_SIZE;
			const uint8_t *payload = udp + UDP_HEADER_SIZE, *end = bytes + got;
			uint32_t pair = load_be16(udp + 2) - 2000u;
			assert_true(pair < PAIRS);
			for (; payload < end; payload += 64, n--) {
				memcpy(&number, payload, sizeof number);
				assert_int_equal(number, came[pair]);
				came[pair]++;
			}
		}
	}
}

/* One by one, or all pairs' packets and a message of IKE as receive offload joins what one peer sends. */
static void in_passes(uint32_t rounds, bool joined)
{
	uint8_t all[PACKET_MAX * (PAIRS + 1)];

	for (uint32_t r = 0; r < rounds; r++) {
		uint32_t n = 0, one = 0;
		for (uint32_t i = 0; i < PAIRS; i++) {
			one = peer_seal((i + r) % PAIRS, next_in[(i + r) % PAIRS]++, all + n);
			if (!joined)
				peer_send(all + n, one, 0);
			n += one;
		}
		memset(all + n, 0, 4);
		memset(all + n + 4, (int)r, one - 4);
		if (joined) {
			peer_send(all, n + one, (uint16_t)one);
			const struct msg_datagram_short *m =
				&wait_for(&ike, IPC_IKE_DATAGRAM_SHORT)->u.IKE_DATAGRAM_SHORT;
			assert_int_equal(m->n, one - 4);
			assert_memory_equal(m->bytes, all + n + 4, one - 4);
			assert_int_equal(m->remote.port, ntohs(peer_at.sin_port));
		}
		lan_receive(PAIRS);
	}
}

/* What is too short for ESP stands in front of the shortest message of IKE: that one is the first worker's all the same. */
static void short_passes(void)
{
	for (uint32_t i = 0; i < PAIRS; i++) {
		uint8_t all[16] = { 0 };
		store_be32(all, SPI + i);
		all[15] = (uint8_t)i;
		peer_send(all, sizeof all, 8);
		const struct msg_datagram_short *m =
			&wait_for(&ike, IPC_IKE_DATAGRAM_SHORT)->u.IKE_DATAGRAM_SHORT;
		assert_int_equal(m->n, 4);
		assert_int_equal(m->bytes[3], i);
	}
	assert_int_equal(show(SHOW_COUNTERS, "drop-esp-truncated"), PAIRS);
}

/* ---- tests ---- */

static void both_ways(uint32_t n)
{
	process_begin(n);
	sas_install();
	out_passes(ROUNDS);
	in_passes(ROUNDS, false);
	in_passes(ROUNDS, true);
	out_passes(1);
	assert_int_equal(show(SHOW_COUNTERS, "packets-out"), PAIRS * (3 * ROUNDS + 1));
	assert_int_equal(show(SHOW_COUNTERS, "nat-t-datagrams"), PAIRS * 2 * ROUNDS + ROUNDS);
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
		char name[80];
		snprintf(name, sizeof name, "drop-%s", drop_name((enum drop_reason)i));
		if (show(SHOW_COUNTERS, name) != 0)
			fail_msg("%s", name);
	}
	process_end();
}

static void one_worker(void **state)
{
	(void)state;
	both_ways(1);
}

static void two_workers(void **state)
{
	(void)state;
	both_ways(2);
}

static void four_workers(void **state)
{
	(void)state;
	both_ways(4);
}

/* Soon after a pair is there, its packets come by its owner's socket. */
static void steered(void **state)
{
	uint64_t expected[WORKERS_MAX] = { 0 };

	(void)state;
	process_begin(4);
	sas_install();
	out_passes(1); /* answers have sessions */
	for (int tries = 0; tries < 1000 && __atomic_load_n(&d->steer_at, __ATOMIC_RELAXED) != 0; tries++)
		usleep(10000);
	usleep(1000 * QUIET_MS);
	in_passes(ROUNDS, false);
	short_passes();
	process_stop();
	for (uint32_t i = 0; i < PAIRS; i++)
		expected[esp_owner(d->esp, esp_pair_find(d->esp, SPI + i))] += ROUNDS + 2;
	for (uint32_t w = 0; w < workers; w++) {
		assert_int_equal(d->workers[w]->datagrams_in, expected[w]);
		assert_int_equal(expected[w], PAIRS / workers * (ROUNDS + 2));
	}
	process_end();
}

/* What was received before must not be received again, whichever worker it comes to. */
static void replayed(const uint8_t *bytes, uint32_t one)
{
	uint64_t before = show(SHOW_COUNTERS, "drop-esp-replay");

	for (uint32_t i = 0; i < PAIRS; i++)
		peer_send(bytes + i * one, one, 0);
	for (int tries = 0; tries < 1000 && show(SHOW_COUNTERS, "drop-esp-replay") < before + PAIRS; tries++)
		usleep(10000);
	assert_int_equal(show(SHOW_COUNTERS, "drop-esp-replay"), before + PAIRS);
}

/* The state memory is all that a process leaves: nothing is written at its end. */
static void over_processes(void **state)
{
	static const uint32_t numbers[] = { 4, 4, 2, 1, 3, 4 };
	uint8_t first[PACKET_MAX * PAIRS];
	uint32_t one = 0;

	(void)state;
	for (uint32_t k = 0; k < COUNT_OF(numbers); k++) {
		process_begin(numbers[k]);
		if (k == 0) {
			sas_install();
			out_passes(1);
			for (uint32_t i = 0; i < PAIRS; i++) {
				one = peer_seal(i, next_in[i]++, first + i * one);
				peer_send(first + i * one, one, 0);
			}
			lan_receive(PAIRS);
		}
		out_passes(3);
		in_passes(3, k % 2);
		replayed(first, one);
		process_end();
	}
}

/* While the process runs. */
static void over_commits(void **state)
{
	static const uint32_t numbers[] = { 2, 4, 1, 4, 3 };

	(void)state;
	process_begin(4);
	sas_install();
	for (uint32_t k = 0; k < COUNT_OF(numbers); k++) {
		out_passes(3);
		in_passes(3, k % 2);
		configure(numbers[k]);
		show(SHOW_COUNTERS, NULL);
		workers = numbers[k];
		out_passes(3);
		in_passes(3, k % 2);
	}
	workers = 4;
	process_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(two_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(four_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(steered, setup, teardown),
		cmocka_unit_test_setup_teardown(over_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(over_commits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
