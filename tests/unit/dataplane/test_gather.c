/* UDP packets that wait for a link become trains, and trains become those packets again, octet by octet. */
#include "packets.h"
#include "proc/dataplane/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FRONT (VIRTIO_SIZE + ETHERNET_SIZE)
#define MOST  70

static struct worker w;
static struct packet packets[MOST];
static uint8_t before[MOST][2048];
static struct iovec frames[MOST];

static int setup(void **state)
{
	(void)state;
	w.gather = calloc(1, GATHER_BYTES);
	return w.gather ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(w.gather);
	return 0;
}

/* Frame i, as it would be on the cable in before[i]; `partial`: as a host's kernel leaves it to the link. */
static void frame_make(
	uint32_t i, const char *src, const char *dst, uint16_t port, size_t payload_n, bool partial)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = 1000,
		.dst_port = port,
		.payload_n = payload_n };
	struct train t = packet_make(&packets[i], &s);
	uint8_t *frame = t.ip - FRONT;
	bool v4 = t.ip[0] >> 4 == 4;

	if (v4) { /* may not be fragmented, so that its identification says nothing */
		store_be16(t.ip + 4, 0);
		store_be16(t.ip + 6, IP4_DF);
		store_be16(t.ip + 10, 0);
		store_be16(t.ip + 10, plain_checksum(0, t.ip, 20));
	}
	memset(frame, 0, VIRTIO_SIZE);
	memcpy(frame + VIRTIO_SIZE,
		v4 ? "\2\0\0\0\0\1\2\0\0\0\0\2\x08\x00" : "\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd", 14);
	memcpy(before[i], frame, FRONT + t.len);
	frames[i] = (struct iovec){ frame, FRONT + t.len };
	if (!partial)
		return;
	s.partial = true;
	struct train p = packet_make(&packets[i], &s);
	memcpy(p.ip, before[i] + FRONT, v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE);
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)(ETHERNET_SIZE + (v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE)),
		.csum_offset = UDP_CSUM };
	memcpy(frame, &h, sizeof h);
	memcpy(frame + VIRTIO_SIZE, before[i] + VIRTIO_SIZE, ETHERNET_SIZE);
}

static struct virtio_net_hdr head_of(uint32_t i)
{
	struct virtio_net_hdr h;

	memcpy(&h, frames[i].iov_base, sizeof h);
	return h;
}

/* Sends frame i packet by packet; those must be before[first..]. Returns how many. */
static uint32_t sent_again(uint32_t i, uint32_t first)
{
	uint8_t got[4096];
	uint32_t n = 0;
	ssize_t size;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
	int room = 1 << 20;
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	assert_true(head_of(i).gso_size > 0);
	/* The queue of such a socket is short: what does not fit counts as not sent, so trains here are
	 * small. */
	static struct link_io link;
	link.fd = fd[0];
	assert_true(link_send_segmented(&link, frames[i].iov_base, (uint32_t)frames[i].iov_len));
	while ((size = recv(fd[1], got, sizeof got, 0)) > 0) {
		const uint8_t *ip = before[first + n] + FRONT;
		size_t ip_n = ip[0] >> 4 == 4 ? load_be16(ip + 2) : 40u + load_be16(ip + 4);
		assert_int_equal(size, FRONT + ip_n);
		if (ip[0] >> 4 == 4) { /* segmentation numbers them; nothing else differs */
			memcpy(got + FRONT + 4, ip + 4, 2);
			memcpy(got + FRONT + 10, ip + 10, 2);
		}
		assert_memory_equal(got + VIRTIO_SIZE, before[first + n] + VIRTIO_SIZE, ETHERNET_SIZE + ip_n);
		n++;
	}
	close(fd[0]);
	close(fd[1]);
	return n;
}

static void round_trip(const char *src, const char *dst, bool partial)
{
	for (uint32_t i = 0; i < 8; i++)
		frame_make(i, src, dst, 9, i < 7 ? 100 : 40, partial); /* the last may be shorter */
	assert_int_equal(frames_gather(&w, frames, 8), 1);
	struct virtio_net_hdr h = head_of(0);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
	assert_int_equal(h.gso_size, 100);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(sent_again(0, 0), 8);
}

static void test_round_trip(void **state)
{
	(void)state;
	round_trip("10.1.0.2", "192.0.2.80", false);
	round_trip("10.1.0.2", "192.0.2.80", true);
	round_trip("2001:db8:1::2", "2001:db8:2::2", false);
	round_trip("2001:db8:1::2", "2001:db8:2::2", true);
}

/* Flows keep apart and in order; too few of one are left as they are. */
static void test_order(void **state)
{
	static const uint16_t ports[] = { 9, 9, 9, 9, 9, 53, 53, 9, 9, 9, 9 };

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(ports); i++)
		frame_make(i, "10.1.0.2", "192.0.2.80", ports[i], 100, false);
	uint8_t *fifth = frames[5].iov_base, *sixth = frames[6].iov_base;
	assert_int_equal(frames_gather(&w, frames, COUNT_OF(ports)), 4);
	assert_ptr_equal(frames[1].iov_base, fifth);
	assert_ptr_equal(frames[2].iov_base, sixth);
	assert_int_equal(sent_again(0, 0), 5);
	assert_int_equal(sent_again(3, 7), 4);
}

/* A wrong checksum, none, a fragment, a longer packet behind shorter ones: nothing is laundered or merged. */
static void test_not_joined(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		frame_make(i, "10.1.0.2", "192.0.2.80", 9, 100, false);
	uint8_t *wrong = (uint8_t *)frames[2].iov_base + FRONT + IP4_HEADER_SIZE;
	wrong[UDP_HEADER_SIZE] ^= 1;
	assert_int_equal(frames_gather(&w, frames, 5), 3); /* two, the wrong one, two */
	assert_int_equal(head_of(0).gso_size, 100);
	assert_int_equal(head_of(1).gso_size, 0);
	assert_false(packet_sound((uint8_t *)frames[1].iov_base + FRONT, frames[1].iov_len - FRONT));
	for (uint32_t i = 0; i < 5; i++) {
		frame_make(i, "10.1.0.2", "192.0.2.80", 9, 100, false);
		memset((uint8_t *)frames[i].iov_base + FRONT + IP4_HEADER_SIZE + UDP_CSUM, 0, 2);
	}
	assert_int_equal(frames_gather(&w, frames, 5), 5);
	for (uint32_t i = 0; i < 5; i++) {
		frame_make(i, "10.1.0.2", "192.0.2.80", 9, 100, false);
		store_be16((uint8_t *)frames[i].iov_base + FRONT + 6, IP4_MF);
	}
	assert_int_equal(frames_gather(&w, frames, 5), 5);
	for (uint32_t i = 0; i < 5; i++)
		frame_make(i, "10.1.0.2", "192.0.2.80", 9, 100 + 10 * i, false);
	assert_int_equal(frames_gather(&w, frames, 5), 5);
}

/* More than one train may have. */
static void test_many(void **state)
{
	uint32_t packets_n = 0;

	(void)state;
	for (uint32_t i = 0; i < MOST; i++)
		frame_make(i, "10.1.0.2", "192.0.2.80", 9, 1400, true);
	uint32_t n = frames_gather(&w, frames, MOST);
	assert_in_range(n, 2, 3);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(frames[i].iov_len <= FRONT + 65535);
		packets_n += (uint32_t)(frames[i].iov_len - FRONT - 28 + 1399) / 1400;
	}
	assert_int_equal(packets_n, MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_not_joined),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
