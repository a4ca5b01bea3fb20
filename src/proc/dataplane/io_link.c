/*
 * The links: AF_PACKET sockets with virtio-net headers, bound to ETH_P_ALL by the supervisor. One recvmmsg()
 * receives a burst of trains, one sendmmsg() for each link sends its frames. The receive buffers are shared
 * by all links: a burst has been sent before the next one is read.
 */
#include "base/lines.h"
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "wire/ip.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define FRONT (VIRTIO_SIZE + ETHERNET_SIZE)

enum rc link_add(struct worker *w, const char *name, uint32_t link, int fd, bool reads, struct err *e)
{
	struct link_io *l = w->links_n < LINKS_MAX ? lines_new(1, sizeof *l) : NULL;
	if (!l)
		return err_add(e, RC_LIMIT, "interface %s: out of memory, or more than %d interfaces", name,
			LINKS_MAX);
	l->fd = fd;
	l->reads = reads;
	l->link = link;
	snprintf(l->name, sizeof l->name, "%.*s", (int)sizeof l->name - 1, name);
	for (int v6 = 0; v6 < 2; v6++)
		l->to[v6] = (struct sockaddr_ll){ .sll_family = AF_PACKET,
			.sll_protocol = v6 ? htobe16(0x86dd) : htobe16(0x0800),
			.sll_ifindex = (int)link };
	for (uint32_t i = 0; i < TX_QUEUE; i++) {
		l->tx[i].msg_hdr.msg_iov = &l->tx_at[i];
		l->tx[i].msg_hdr.msg_iovlen = 1;
	}
	l->interface = pipeline_bind(&w->pipeline, l->name, link);
	w->links[w->links_n++] = l;
	w->links_changed = true;
	return RC_OK;
}

void link_remove(struct worker *w, uint32_t link)
{
	for (uint32_t i = 0; i < w->links_n; i++) {
		struct link_io *l = w->links[i];
		if (l->link != link)
			continue;
		pipeline_unbind(&w->pipeline, link);
		free(l);
		w->links[i] = w->links[--w->links_n];
		w->links_changed = true;
		return;
	}
}

void links_bind(struct worker *w)
{
	for (uint32_t i = 0; i < w->links_n; i++)
		w->links[i]->interface = pipeline_bind(&w->pipeline, w->links[i]->name, w->links[i]->link);
}

/* On a link without link addresses everything is addressed to us. */
static enum drop_reason bare_check(const uint8_t *ip, uint32_t n)
{
	if (n == 0)
		return DROP_TRUNCATED;
	if (ip[0] >> 4 == 4 && n > IP4_DST && ip[IP4_DST] >= 224)
		return DROP_MULTICAST;
	return ip[0] >> 4 == 6 && n > IP6_DST && ip[IP6_DST] == 0xff ? DROP_MULTICAST : DROP_NONE;
}

static enum drop_reason ethernet_check(
	const struct pipeline_interface *f, const uint8_t *ethernet, bool tagged)
{
	uint16_t type = load_be16(ethernet + 12);

	if (memcmp(ethernet, f->mac, 6) != 0)
		return ethernet[0] & 1 ? DROP_MULTICAST : DROP_OTHER_HOST;
	/* The kernel has removed a VLAN tag from the frame: it belongs to another link than this one. */
	return tagged || (type != 0x0800 && type != 0x86dd) ? DROP_ETHERTYPE : DROP_NONE;
}

/* A frame for us that contains IP: the train begins after the link header. */
static enum drop_reason frame_read(const struct worker *w, const struct link_io *l, uint8_t *at, uint32_t n,
	bool tagged, struct train *t)
{
	const struct pipeline_interface *f = &w->pipeline.interfaces[l->interface];
	uint32_t head = f->bare ? 0 : ETHERNET_SIZE;
	struct virtio_net_hdr h;

	if (n < VIRTIO_SIZE + head)
		return DROP_TRUNCATED;
	uint8_t *frame = at + VIRTIO_SIZE;
	enum drop_reason drop =
		f->bare ? bare_check(frame, n - VIRTIO_SIZE) : ethernet_check(f, frame, tagged);
	if (drop != DROP_NONE)
		return drop;
	memcpy(&h, at, sizeof h);
	t->ip = frame + head;
	t->len = n - (uint32_t)VIRTIO_SIZE - head;
	pipeline_train_from_link(&w->pipeline, t, l->interface);
	if (t->len == 0)
		return DROP_TRUNCATED;
	return pipeline_train_offloads(t, &h, head) ? DROP_NONE : DROP_MALFORMED;
}

/* VLAN 0 is not a VLAN: such a tag only carries a priority (IEEE 802.1Q section 6.9). */
static bool vlan_tagged(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof aux);
		return aux.tp_status & TP_STATUS_VLAN_VALID && (aux.tp_vlan_tci & 0xfff) != 0;
	}
	return false;
}

/* Do neighbours talk about translated addresses in it? */
static bool resolves(
	struct worker *w, const struct link_io *l, const uint8_t *at, struct mmsghdr *m, mono_ns now)
{
	if (l->interface == TRAIN_NONE || w->pipeline.proxies.interfaces[l->interface].count == 0 ||
		m->msg_len < FRONT || m->msg_hdr.msg_flags & MSG_TRUNC || vlan_tagged(&m->msg_hdr))
		return false;
	return pipeline_proxies(
		&w->pipeline, l->interface, at + VIRTIO_SIZE, m->msg_len - (uint32_t)VIRTIO_SIZE, now);
}

uint32_t link_receive(struct worker *w, struct link_io *l)
{
	struct mmsghdr m[RX_BURST];
	struct iovec at[RX_BURST];
	char control[RX_BURST][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	uint32_t trains = 0;

	for (uint32_t i = 0; i < RX_BURST; i++) {
		at[i] = (struct iovec){ w->rx + i * RX_BYTES + TRAIN_HEAD_ROOM - FRONT,
			FRONT + TRAIN_BYTES_MAX };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &at[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof control[i] };
	}
	int n = recvmmsg(l->fd, m, RX_BURST, MSG_DONTWAIT, NULL);
	if (n < 0) {
		/* A packet that no virtio header can describe is dropped by the kernel, with EINVAL. */
		if (errno == EINVAL)
			pipeline_count_drop(&w->pipeline, DROP_UNSUPPORTED_OFFLOAD, 1);
		return errno == EINVAL;
	}
	mono_ns now = clock_mono();
	for (int i = 0; i < n; i++) {
		enum drop_reason drop = DROP_NO_ZONE;
		if (resolves(w, l, at[i].iov_base, &m[i], now))
			continue;
		if (l->interface != TRAIN_NONE)
			drop = m[i].msg_hdr.msg_flags & MSG_TRUNC
				       ? DROP_TRUNCATED
				       : frame_read(w, l, at[i].iov_base, m[i].msg_len,
						 vlan_tagged(&m[i].msg_hdr), &w->trains[trains]);
		if (drop == DROP_NONE && pipeline_probe_answer(&w->pipeline, &w->trains[trains], now))
			continue;
		if (drop == DROP_NONE)
			trains++;
		else
			pipeline_count_drop(&w->pipeline, drop, 1);
	}
	worker_notes_run(w);
	if (trains > 0)
		pipeline_burst(&w->pipeline, w->trains, trains, now);
	pipeline_proxies_flush(&w->pipeline);
	return (uint32_t)n;
}

static void link_flush(struct worker *w, struct link_io *l)
{
	uint32_t sent = 0;
	bool waited = false;

	if (!l->no_udp_gso && !l->bare)
		l->queued = frames_gather(w, l->tx_at, l->queued);
	while (sent < l->queued) {
		int n = sendmmsg(l->fd, l->tx + sent, l->queued - sent, MSG_DONTWAIT);
		if (n > 0) {
			sent += (uint32_t)n;
			continue;
		}
		/* A full queue empties at once or not soon: wait once, briefly. */
		if ((errno == EAGAIN || errno == ENOBUFS) && !waited) {
			struct pollfd p = { .fd = l->fd, .events = POLLOUT };
			waited = true;
			poll(&p, 1, SEND_WAIT_MS);
			continue;
		}
		if (errno == EINVAL &&
			link_send_segmented(l, l->tx_at[sent].iov_base, (uint32_t)l->tx_at[sent].iov_len)) {
			l->no_udp_gso = true;
			sent++;
			continue;
		}
		pipeline_count_drop(&w->pipeline, DROP_LINK_SEND_FAILED, 1);
		sent++;
	}
	l->queued = 0;
}

void link_send(void *context, uint32_t interface, uint8_t *frame, uint32_t n)
{
	struct worker *w = context;

	for (uint32_t i = 0; i < w->links_n; i++) {
		struct link_io *l = w->links[i];
		if (l->interface != interface)
			continue;
		assert(l->queued < TX_QUEUE);
		l->bare = w->pipeline.interfaces[interface].bare;
		const struct sockaddr_ll *to = link_destination(l, frame + VIRTIO_SIZE);
		l->tx[l->queued].msg_hdr.msg_name = (void *)(uintptr_t)to;
		l->tx[l->queued].msg_hdr.msg_namelen = to ? sizeof *to : 0;
		l->tx_at[l->queued++] = (struct iovec){ frame, n };
		if (l->queued == TX_QUEUE)
			link_flush(w, l);
		return;
	}
	pipeline_count_drop(&w->pipeline, DROP_LINK_SEND_FAILED, 1);
}

void links_flush(void *context)
{
	struct worker *w = context;

	for (uint32_t i = 0; i < w->links_n; i++)
		if (w->links[i]->queued > 0)
			link_flush(w, w->links[i]);
}
