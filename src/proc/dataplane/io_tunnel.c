/*
 * Tunnels: ESP in UDP (RFC 3948) on port 4500 with receive and segmentation offload, and plain ESP on raw
 * sockets. What one call received is opened packet by packet, directly into the place where it continues a
 * train (wire/segment.h); a sealed batch is sent with one call.
 *
 * Which worker a packet arrives at the kernel decides (tunnels.c). What is another one's goes to it as it came, over the
 * ring: ESP to the owner of its SA, IKE to the first worker. One datagram may have packets of several SAs, as receive
 * offload joins what one peer sends.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/limits.h"
#include "wire/ip.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>

#define MARKER_SIZE 4 /* RFC 3948 section 2.2: four zero octets in front of IKE */

union sender {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The ancillary data of a datagram. */
struct ancillary {
	uint32_t segment; /* size of each but the last, 0: one packet */
	uint8_t traffic_class;
	struct ip_addr local;
};

static struct ancillary ancillary_read(struct msghdr *m)
{
	struct ancillary b = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const void *data = CMSG_DATA(c);
		int number = 0;
		if (c->cmsg_len >= CMSG_LEN(sizeof number))
			memcpy(&number, data, sizeof number);
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			b.segment = (uint32_t)number;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			memcpy(&b.traffic_class, data, 1);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			b.traffic_class = (uint8_t)number;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, data, sizeof info);
			b.local = addr_v4(&info.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, data, sizeof info);
			b.local = addr_v6(&info.ipi6_addr);
		}
	}
	return b;
}

static struct endpoint endpoint_of(const union sender *s)
{
	if (s->sa.sa_family == AF_INET)
		return (struct endpoint){ addr_v4(&s->v4.sin_addr), ntohs(s->v4.sin_port), 0 };
	return (struct endpoint){ addr_v6(&s->v6.sin6_addr), ntohs(s->v6.sin6_port), 0 };
}

static void join_run(struct worker *w)
{
	uint32_t n = 0;

	segment_join_end(&w->joiner);
	for (uint32_t i = 0; i < w->joiner.n; i++) {
		const struct segment_joined *j = &w->joiner.list[i];
		struct train *t = &w->trains[n];
		t->ip = j->ip;
		t->len = j->len;
		pipeline_train_from_tunnel(&w->pipeline, t, j->key);
		t->segment_size = j->segment_size;
		t->csum = j->csum;
		t->flags |= j->flags;
		n++;
	}
	worker_notes_run(w);
	if (n > 0)
		pipeline_burst(&w->pipeline, w->trains, n, clock_mono());
	segment_join_begin(&w->joiner, w->join, JOIN_BYTES);
}

/* from: of one that came in UDP, else NULL. */
static void packet_open(struct worker *w, const uint8_t *packet, uint32_t n, uint8_t traffic_class,
	const struct endpoint *from, mono_ns now)
{
	uint8_t *spot = segment_join_spot(&w->joiner, n);
	struct esp_opened o;

	if (!spot) {
		join_run(w);
		spot = segment_join_spot(&w->joiner, n);
	}
	esp_open(w->pipeline.esp, packet, n, traffic_class, spot, now, &o);
	if (o.newest && from)
		esp_came_from(w->pipeline.esp, o.pair, from);
	if (o.drop == DROP_NONE && o.tunnel == TRAIN_NONE)
		o.drop = DROP_NO_ZONE; /* an SA whose tunnel is not known yet: no configuration is loaded */
	if (o.drop == DROP_NONE) {
		segment_join_take(&w->joiner, spot, o.n, o.tunnel);
		return;
	}
	segment_join_leave(&w->joiner, spot);
	pipeline_count_drop(&w->pipeline, o.drop, 1);
}

/* IKE after its non-ESP marker, in UDP? */
static bool is_ike(const uint8_t *bytes, uint32_t n, const struct endpoint *from)
{
	static const uint8_t marker[MARKER_SIZE];

	return from && n > MARKER_SIZE && memcmp(bytes, marker, MARKER_SIZE) == 0;
}

/* Payloads of UDP (RFC 3948 section 2: a keepalive, IKE, or ESP) or of IP that came together: packets of `b->segment`
 * octets, the last may be shorter. from: in UDP, else NULL. */
static void packets_take(struct worker *w, const uint8_t *bytes, uint32_t n, const struct ancillary *b,
	const struct endpoint *from, mono_ns now)
{
	struct endpoint local = { .addr = b->local, .port = 4500 };

	for (uint32_t one; n > 0; bytes += one, n -= one) {
		one = b->segment ? MIN_OF(b->segment, n) : n;
		if (from && one == 1 && bytes[0] == 0xff)
			w->keepalives++;
		else if (is_ike(bytes, one, from))
			control_ike_datagram(w, &local, from, bytes + MARKER_SIZE, one - MARKER_SIZE);
		else
			packet_open(w, bytes, one, b->traffic_class, from, now);
	}
}

/* The worker that a packet belongs to; this one where it does not matter. */
static uint32_t packet_worker(
	const struct worker *w, const uint8_t *bytes, uint32_t n, const struct endpoint *from)
{
	if (is_ike(bytes, n, from))
		return 0;
	if (w->pipeline.workers == 1 || n < ESP_HEAD_SIZE)
		return w->index;
	uint32_t pair = esp_pair_find(w->pipeline.esp, load_be32(bytes));
	return pair == ESP_PAIR_NONE ? w->index : esp_owner(w->pipeline.esp, pair);
}

/* As packets_take(), by the worker `to`. */
static void packets_hand_over(struct worker *w, uint32_t to, const uint8_t *bytes, uint32_t n,
	const struct ancillary *b, const struct endpoint *from)
{
	struct train t = { .ip = (uint8_t *)(uintptr_t)bytes,
		.len = n,
		.segment_size = (uint16_t)(b->segment < n ? b->segment : 0),
		.traffic_class = b->traffic_class,
		.proto = from ? IP_UDP : 0,
		.flags = TRAIN_HANDED_OVER,
		.dst = b->local };

	if (from) {
		t.src = from->addr;
		t.src_port = from->port;
	}
	w->pipeline.trains_handed_over++;
	if (!worker_hand_over(w, to, HANDOVER_SEALED, &t))
		pipeline_count_drop(&w->pipeline, DROP_WORKER_QUEUE_FULL, train_packets(&t));
}

/* As they came from a socket: those in a row that are one worker's go there together. */
static void packets_arrived(struct worker *w, const uint8_t *bytes, uint32_t n, const struct ancillary *b,
	const struct endpoint *from, mono_ns now)
{
	uint32_t size = b->segment ? MIN_OF(b->segment, n) : n, run;

	for (; n > 0; bytes += run, n -= run) {
		uint32_t to = packet_worker(w, bytes, MIN_OF(size, n), from);
		run = MIN_OF(size, n);
		while (run < n && packet_worker(w, bytes + run, MIN_OF(size, n - run), from) == to)
			run += MIN_OF(size, n - run);
		if (to == w->index)
			packets_take(w, bytes, run, b, from, now);
		else
			packets_hand_over(w, to, bytes, run, b, from);
	}
}

void tunnel_handed(void *context, const struct train *trains, uint32_t n, mono_ns now)
{
	struct worker *w = context;

	segment_join_begin(&w->joiner, w->join, JOIN_BYTES);
	for (uint32_t i = 0; i < n; i++) {
		const struct train *t = &trains[i];
		const struct ancillary b = { t->segment_size, t->traffic_class, t->dst };
		const struct endpoint from = { t->src, t->src_port, 0 };
		packets_take(w, t->ip, t->len, &b, t->proto == IP_UDP ? &from : NULL, now);
	}
	join_run(w);
}

static uint32_t receive_udp(struct worker *w, int fd)
{
	struct mmsghdr m[TUNNEL_RX_BURST];
	struct iovec at[TUNNEL_RX_BURST];
	union sender from[TUNNEL_RX_BURST];
	_Alignas(struct cmsghdr) char control[TUNNEL_RX_BURST][TUNNEL_CONTROL_BYTES];

	for (uint32_t i = 0; i < TUNNEL_RX_BURST; i++) {
		at[i] = (struct iovec){ w->rx + i * RX_BYTES, RX_BYTES };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &at[i],
			.msg_iovlen = 1,
			.msg_name = &from[i],
			.msg_namelen = sizeof from[i],
			.msg_control = control[i],
			.msg_controllen = sizeof control[i] };
	}
	int n = recvmmsg(fd, m, TUNNEL_RX_BURST, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return 0;
	mono_ns now = clock_mono();
	segment_join_begin(&w->joiner, w->join, JOIN_BYTES);
	for (int i = 0; i < n; i++) {
		struct ancillary b = ancillary_read(&m[i].msg_hdr);
		struct endpoint remote = endpoint_of(&from[i]);
		if (m[i].msg_hdr.msg_flags & MSG_TRUNC) {
			pipeline_count_drop(&w->pipeline, DROP_ESP_TRUNCATED, 1);
			continue;
		}
		w->datagrams_in += b.segment ? (m[i].msg_len + b.segment - 1) / b.segment : 1;
		packets_arrived(w, at[i].iov_base, m[i].msg_len, &b, &remote, now);
	}
	join_run(w);
	return (uint32_t)n;
}

/* IPv4 raw sockets deliver the IP header as well, IPv6 ones do not. */
static uint32_t receive_esp(struct worker *w, int fd, uint8_t family)
{
	struct mmsghdr m[RX_BURST];
	struct iovec at[RX_BURST];
	_Alignas(struct cmsghdr) char control[RX_BURST][TUNNEL_CONTROL_BYTES];

	for (uint32_t i = 0; i < RX_BURST; i++) {
		at[i] = (struct iovec){ w->rx + i * RX_BYTES, RX_BYTES };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &at[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof control[i] };
	}
	int n = recvmmsg(fd, m, RX_BURST, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return 0;
	mono_ns now = clock_mono();
	segment_join_begin(&w->joiner, w->join, JOIN_BYTES);
	for (int i = 0; i < n; i++) {
		struct ancillary b = ancillary_read(&m[i].msg_hdr);
		const uint8_t *bytes = at[i].iov_base;
		uint32_t packet_n = m[i].msg_len, header_n = 0;
		if (family == ADDR_V4 && packet_n >= 20) {
			header_n = 4u * (bytes[0] & 15);
			b.traffic_class = bytes[1];
		}
		if (packet_n < header_n + 8 || (family == ADDR_V4 && header_n < 20)) {
			pipeline_count_drop(&w->pipeline, DROP_ESP_TRUNCATED, 1);
			continue;
		}
		packets_arrived(w, bytes + header_n, packet_n - header_n, &b, NULL, now);
	}
	join_run(w);
	return (uint32_t)n;
}

uint32_t tunnel_receive(struct worker *w, enum tunnel_input i)
{
	int fd = tunnel_fd(w, i);

	if (fd < 0)
		return 0;
	if (i == TUNNEL_UDP4 || i == TUNNEL_UDP6)
		return receive_udp(w, fd);
	return receive_esp(w, fd, i == TUNNEL_ESP4 ? ADDR_V4 : ADDR_V6);
}

/* --- sending --- */

static socklen_t remote_put(union sender *to, const struct endpoint *remote, bool udp)
{
	uint16_t port = udp ? htons(remote->port) : 0;

	*to = (union sender){ 0 };
	if (remote->addr.family == ADDR_V4) {
		to->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		memcpy(&to->v4.sin_addr, remote->addr.b, 4);
		return sizeof to->v4;
	}
	to->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
	memcpy(&to->v6.sin6_addr, remote->addr.b, 16);
	return sizeof to->v6;
}

static void ancillary_add(struct msghdr *m, int level, int type, const void *data, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);

	assert(m->msg_controllen + CMSG_SPACE(n) <= TUNNEL_CONTROL_BYTES);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	m->msg_controllen += CMSG_SPACE(n);
}

/* The address to send from, the outer traffic class, and the segment size. */
static void ancillary_put(
	struct msghdr *m, const struct esp_view *pair, const struct esp_batch *batch, bool udp)
{
	int class = batch->traffic_class;
	uint16_t size = (uint16_t)batch->packet_size;

	if (pair->local->addr.family == ADDR_V4) {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, pair->local->addr.b, 4);
		ancillary_add(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
		ancillary_add(m, IPPROTO_IP, IP_TOS, &class, sizeof class);
	} else {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, pair->local->addr.b, 16);
		ancillary_add(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
		ancillary_add(m, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class);
	}
	if (udp && batch->packets > 1)
		ancillary_add(m, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
}

/* Waits once, briefly, when the socket is full. */
static bool send_again(int fd, bool *waited)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if ((errno != EAGAIN && errno != ENOBUFS) || *waited)
		return false;
	*waited = true;
	poll(&p, 1, SEND_WAIT_MS);
	return true;
}

static enum drop_reason send_failed(struct worker *w, const struct esp_view *pair)
{
	if (errno == EMSGSIZE) {
		/* The kernel knows a smaller path MTU towards this peer. */
		w->tunnel_too_big++;
		if (w->index == 0)
			routes_ask_path(w->dataplane, &pair->remote->addr);
		else
			worker_note(w, RING_NOTE_PATH, &pair->remote->addr, sizeof pair->remote->addr);
	}
	return DROP_TUNNEL_SEND_FAILED;
}

static enum drop_reason send_udp(
	struct worker *w, int fd, const struct esp_view *pair, const struct esp_batch *batch)
{
	_Alignas(struct cmsghdr) char control[TUNNEL_CONTROL_BYTES] = { 0 };
	union sender to;
	struct iovec at = { batch->bytes, batch->n };
	struct msghdr m = { .msg_iov = &at, .msg_iovlen = 1, .msg_name = &to, .msg_control = control };
	bool waited = false;

	m.msg_namelen = remote_put(&to, pair->remote, true);
	ancillary_put(&m, pair, batch, true);
	while (sendmsg(fd, &m, MSG_DONTWAIT) < 0)
		if (!send_again(fd, &waited))
			return send_failed(w, pair);
	return DROP_NONE;
}

static enum drop_reason send_esp(
	struct worker *w, int fd, const struct esp_view *pair, const struct esp_batch *batch)
{
	_Alignas(struct cmsghdr) char control[TUNNEL_CONTROL_BYTES] = { 0 };
	struct mmsghdr m[BATCH_PACKETS];
	struct iovec at[BATCH_PACKETS];
	union sender to;
	struct msghdr each = { .msg_iovlen = 1, .msg_name = &to, .msg_control = control };
	uint32_t n = batch->packets, sent = 0;
	bool waited = false;

	assert(n <= BATCH_PACKETS);
	each.msg_namelen = remote_put(&to, pair->remote, false);
	ancillary_put(&each, pair, batch, false);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = i * batch->packet_size;
		at[i] = (struct iovec){ batch->bytes + from, MIN_OF(batch->packet_size, batch->n - from) };
		m[i].msg_hdr = each;
		m[i].msg_hdr.msg_iov = &at[i];
	}
	while (sent < n) {
		int done = sendmmsg(fd, m + sent, n - sent, MSG_DONTWAIT);
		if (done > 0) {
			sent += (uint32_t)done;
		} else if (!send_again(fd, &waited)) {
			enum drop_reason drop = send_failed(w, pair);
			pipeline_count_drop(&w->pipeline, drop, 1);
			sent++;
		}
	}
	return DROP_NONE;
}

/* The sockets send with don't-fragment, so that the kernel learns the path MTU; except for this one
 * packet. */
static void fragments_allow(int fd, bool v4, bool allowed)
{
	int discover = v4 ? (allowed ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO)
			  : (allowed ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_DO);

	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &discover,
		sizeof discover);
}

enum drop_reason tunnel_send(void *context, const struct esp_view *pair, const struct esp_batch *batch)
{
	struct worker *w = context;
	bool v4 = pair->local->addr.family == ADDR_V4, udp = pair->flags & CHILD_ENCAP;
	int fd = w->tunnel[udp ? (v4 ? TUNNEL_UDP4 : TUNNEL_UDP6) : (v4 ? TUNNEL_ESP4 : TUNNEL_ESP6)].fd;

	if (fd < 0)
		return DROP_TUNNEL_SEND_FAILED;
	if (batch->may_fragment)
		fragments_allow(fd, v4, true);
	enum drop_reason drop = udp ? send_udp(w, fd, pair, batch) : send_esp(w, fd, pair, batch);
	if (batch->may_fragment)
		fragments_allow(fd, v4, false);
	return drop;
}
