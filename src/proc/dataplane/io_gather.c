/*
 * Single UDP packets of one flow are sent to a link as a train: each send takes the kernel through its whole
 * transmit path, which costs far more than copying a packet. TCP does not need this: the kernel has joined it
 * before it was received. What is sent on the wire is the same, as the kernel or the NIC cuts trains again.
 *
 * Called by io_link.c with the frames that wait for one link. Kernels before 6.2 accept no UDP trains on
 * these sockets: link_send_segmented() is for them.
 */
#include "proc/dataplane/dataplane.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "proc/dataplane/limits.h"

#define FRONT	     (VIRTIO_SIZE + ETHERNET_SIZE)
#define ROOM_FOR_ONE (TRAIN_HEAD_ROOM + TRAIN_TAIL_ROOM + 64)

/* The offset of the UDP header, if no options, extension headers or fragmentation are in the way; else 0. */
static uint32_t udp_at(const uint8_t *ip, uint32_t n)
{
	if (n >= IP4_HEADER_SIZE + UDP_HEADER_SIZE && ip[0] == 0x45 && ip[9] == IP_UDP &&
		(load_be16(ip + 6) & (IP4_MF | IP4_OFFSET_MASK)) == 0)
		return IP4_HEADER_SIZE;
	if (n >= IP6_HEADER_SIZE + UDP_HEADER_SIZE && ip[0] >> 4 == 6 && ip[6] == IP_UDP)
		return IP6_HEADER_SIZE;
	return 0;
}

static bool is_train(const uint8_t *frame)
{
	struct virtio_net_hdr h;

	memcpy(&h, frame, sizeof h);
	return h.gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

/* How many frames from the first on may become one train, by a quick check; at least 1. */
static uint32_t run_length(const struct iovec *frame, uint32_t n)
{
	const uint8_t *first = frame[0].iov_base, *ip = first + FRONT;
	uint32_t l4 = udp_at(ip, (uint32_t)(frame[0].iov_len - FRONT)), run = 1;

	if (l4 == 0 || is_train(first))
		return 1;
	uint32_t from = l4 == IP4_HEADER_SIZE ? IP4_SRC : IP6_SRC; /* addresses and ports lie in a row */
	while (run < n && run < SEGMENT_PACKETS_MAX) {
		const uint8_t *next = frame[run].iov_base;
		if (frame[run].iov_len > frame[0].iov_len || is_train(next) ||
			udp_at(next + FRONT, (uint32_t)(frame[run].iov_len - FRONT)) != l4 ||
			memcmp(next + VIRTIO_SIZE, first + VIRTIO_SIZE, ETHERNET_SIZE) != 0 ||
			memcmp(next + FRONT + from, ip + from, l4 + 4 - from) != 0)
			break;
		if (frame[run++].iov_len < frame[0].iov_len)
			break;
	}
	return run;
}

/* Completes a checksum that was left to the link: the joiner verifies it. */
static void checksum_make(uint8_t *frame, uint32_t n)
{
	struct virtio_net_hdr h;

	memcpy(&h, frame, sizeof h);
	if (!(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	uint8_t *data = frame + VIRTIO_SIZE + h.csum_start;
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, data, n - VIRTIO_SIZE - h.csum_start));
	sum = sum ? sum : 0xffff;
	memcpy(data + h.csum_offset, &sum, 2);
	memset(frame, 0, VIRTIO_SIZE);
}

static struct iovec joined_frame(const struct segment_joined *t, const uint8_t *ethernet)
{
	struct virtio_net_hdr h = { 0 };
	uint8_t *frame = t->ip - FRONT;
	uint16_t l4 = (uint16_t)(ETHERNET_SIZE + (t->ip[0] >> 4 == 4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE));

	if (t->segment_size)
		h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
			.hdr_len = (uint16_t)(l4 + UDP_HEADER_SIZE),
			.gso_size = t->segment_size,
			.csum_start = l4,
			.csum_offset = UDP_CSUM };
	memcpy(frame, &h, sizeof h);
	memcpy(frame + VIRTIO_SIZE, ethernet, ETHERNET_SIZE);
	return (struct iovec){ frame, FRONT + t->len };
}

/* Joins a run; writes the resulting frames to out and returns their number. `at` advances through the
 * buffer. */
static uint32_t run_join(struct segment_joiner *j, const struct iovec *frame, uint32_t n, uint8_t **at,
	uint8_t *end, struct iovec *out)
{
	uint8_t ethernet[ETHERNET_SIZE];

	memcpy(ethernet, (uint8_t *)frame[0].iov_base + VIRTIO_SIZE, sizeof ethernet);
	segment_join_begin(j, *at, (size_t)(end - *at));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ip_n = (uint32_t)(frame[i].iov_len - FRONT);
		uint8_t *spot = segment_join_spot(j, ip_n);
		checksum_make(frame[i].iov_base, (uint32_t)frame[i].iov_len);
		memcpy(spot, (uint8_t *)frame[i].iov_base + FRONT, ip_n);
		segment_join_take(j, spot, ip_n, 0);
	}
	segment_join_end(j);
	for (uint32_t i = 0; i < j->n; i++)
		out[i] = joined_frame(&j->list[i], ethernet);
	*at = j->at;
	return j->n;
}

uint32_t frames_gather(struct worker *w, struct iovec *frame, uint32_t n)
{
	uint8_t *at = w->gather, *end = at + GATHER_BYTES;
	uint32_t out = 0;

	for (uint32_t i = 0, run; i < n; i += run) {
		run = run_length(frame + i, n - i);
		if (run >= GATHER_RUN_MIN && (size_t)(end - at) >= run * (frame[i].iov_len + ROOM_FOR_ONE)) {
			out += run_join(&w->gatherer, frame + i, run, &at, end, frame + out);
			continue;
		}
		memmove(frame + out, frame + i, run * sizeof *frame);
		out += run;
	}
	return out;
}

const struct sockaddr_ll *link_destination(const struct link_io *l, const uint8_t *ip)
{
	return l->bare ? &l->to[ip[0] >> 4 == 6] : NULL;
}

bool link_send_segmented(const struct link_io *l, uint8_t *frame, uint32_t n)
{
	size_t head = VIRTIO_SIZE + (l->bare ? 0 : ETHERNET_SIZE);
	uint8_t front[FRONT] = { 0 };
	struct virtio_net_hdr h;
	struct segment_cutter cutter;
	struct train t = { .ip = frame + head, .len = n - (uint32_t)head, .csum = TRAIN_CSUM_PARTIAL };
	const struct sockaddr_ll *to = link_destination(l, t.ip);
	uint32_t one;
	uint8_t *ip;
	bool sent = true;

	memcpy(&h, frame, sizeof h);
	memcpy(front + VIRTIO_SIZE, frame + VIRTIO_SIZE, head - VIRTIO_SIZE);
	t.segment_size = h.gso_size;
	if (h.gso_type != VIRTIO_NET_HDR_GSO_UDP_L4 || train_parse(&t) != DROP_NONE ||
		!segment_cut_begin(&cutter, &t, 0))
		return false;
	while ((ip = segment_cut_next(&cutter, &one))) {
		/* Over the packet before it, which has been sent. */
		memcpy(ip - head, front, head);
		sent &= sendto(l->fd, ip - head, head + one, MSG_DONTWAIT, (const struct sockaddr *)to,
				to ? sizeof *to : 0) > 0;
	}
	return sent;
}
