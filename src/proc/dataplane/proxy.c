/*
 * Translated addresses that no interface has (proxy-arp, proxy-ndp): the data plane tells neighbours on the link that
 * they are at the interface's link address. The kernel would not: its proxy entries answer only where it forwards.
 * Addresses of the gateway itself are left to the kernel, which answers for them.
 *
 * When this begins (a commit, a start, the link comes up or has another link address) each address is probed once, so that
 * another host that has it is heard of, then announced, so that neighbours with an older link address for it
 * learn this one (RFC 5227; RFC 4861 section 7.2.6).
 */
#include "base/log.h"
#include "base/rate.h"
#include "base/siphash.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_IPV6 0x86dd

/* Sorted and disjoint (snapshot_check()). */
static bool is_proxied(const struct pipeline *p, const struct proxy_interface *i, const struct ip_addr *a)
{
	uint32_t vrf = pipeline_vrf_of(p, (uint32_t)(i - p->proxies.interfaces));
	const struct snap_proxy *at = snap_proxies(p->snapshot) + i->first;
	uint32_t n = i->count;

	while (n > 0 && a->family != ADDR_NONE) {
		uint32_t half = n / 2;
		if (range_holds(&at[half].addrs, a))
			return !route_is_local(p->routes, vrf, a);
		bool above = addr_compare(a, &at[half].addrs.first) > 0;
		at += above ? half + 1 : 0;
		n = above ? n - half - 1 : half;
	}
	return false;
}

static uint8_t *frame_room(struct pipeline *p)
{
	assert(p->proxies.frames_n < TRAIN_BURST_MAX);
	uint8_t *frame = p->proxies.frames[p->proxies.frames_n++];
	memset(frame, 0, VIRTIO_SIZE);
	return frame;
}

static void frame_send(struct pipeline *p, uint32_t interface, uint8_t *frame, size_t n)
{
	p->io.link_send(p->io.context, interface, frame, (uint32_t)(VIRTIO_SIZE + n));
}

static void answer(struct pipeline *p, uint32_t interface, const struct resolution *r, mono_ns now)
{
	mono_ns *all = &p->rates->proxy[interface].all;
	uint8_t mac[8] = { 0 };

	memcpy(mac, r->mac, sizeof r->mac);
	uint64_t hash = siphash13(p->hash_key, mac, sizeof mac);
	mono_ns *source = &p->rates->proxy[interface].source[hash % PROXY_SOURCES];

	p->proxies.answers++;
	if (!rate_shared_left(all, PROXY_LINK_PER_SECOND, PROXY_LINK_BURST, now) ||
		!rate_shared_take(source, PROXY_SOURCE_PER_SECOND, PROXY_SOURCE_BURST, now) ||
		!rate_shared_take(all, PROXY_LINK_PER_SECOND, PROXY_LINK_BURST, now)) {
		p->proxies.suppressed++;
		return;
	}
	uint8_t *frame = frame_room(p);
	frame_send(
		p, interface, frame, resolution_answer(frame + VIRTIO_SIZE, r, p->interfaces[interface].mac));
}

/* Somebody else says that it has the address; logged at a bounded rate, as every kind of line. */
static void conflict(struct pipeline *p, uint32_t interface, const struct resolution *r)
{
	char text[ADDR_TEXT_MAX];

	p->proxies.conflicts++;
	log_warn(
		"address %s of %s %s is also in use at %02x:%02x:%02x:%02x:%02x:%02x: remove it there or here",
		addr_text(text, &r->claimed), r->claimed.family == ADDR_V4 ? "proxy-arp" : "proxy-ndp",
		snap_interfaces(p->snapshot)[interface].name, r->mac[0], r->mac[1], r->mac[2], r->mac[3],
		r->mac[4], r->mac[5]);
}

/* Cheap, before all is read: a busy link has few such frames. */
static bool may_resolve(const struct pipeline_interface *f, const uint8_t *frame, uint32_t n)
{
	if (n < ETHERNET_SIZE || (!(frame[0] & 1) && memcmp(frame, f->mac, 6) != 0))
		return false;
	uint16_t type = load_be16(frame + 12);
	return type == ETHERTYPE_ARP || (type == ETHERTYPE_IPV6 && n > ETHERNET_SIZE + IP6_HEADER_SIZE &&
						frame[ETHERNET_SIZE + 6] == IP_ICMPV6);
}

bool pipeline_proxies(struct pipeline *p, uint32_t interface, const uint8_t *frame, uint32_t n, mono_ns now)
{
	const struct proxy_interface *i = &p->proxies.interfaces[interface];
	const struct pipeline_interface *f = &p->interfaces[interface];
	struct resolution r;

	if (i->count == 0 || f->bare || !f->up || !may_resolve(f, frame, n) ||
		!resolution_read(&r, frame, n) || memcmp(r.mac, f->mac, 6) == 0)
		return false;
	bool claims = is_proxied(p, i, &r.claimed), asks = is_proxied(p, i, &r.target);
	if (claims)
		conflict(p, interface, &r);
	if (asks)
		answer(p, interface, &r, now);
	return claims || asks;
}

void pipeline_proxies_flush(struct pipeline *p)
{
	if (p->proxies.frames_n == 0)
		return;
	p->io.flush(p->io.context);
	p->proxies.frames_n = 0;
}

/* ---- announcements ---- */

static struct ip_addr addr_plus(struct ip_addr a, uint64_t offset)
{
	if (a.family == ADDR_V4) {
		store_be32(a.b, load_be32(a.b) + (uint32_t)offset);
		return a;
	}
	uint64_t low = load_be64(a.b + 8) + offset;
	if (low < offset)
		store_be64(a.b, load_be64(a.b) + 1);
	store_be64(a.b + 8, low);
	return a;
}

/* The next address of the round; false: that was the last one. */
static bool next_address(const struct pipeline *p, struct proxy_interface *i, struct ip_addr *ret_addr)
{
	if (i->range == i->count || i->done == PROXY_ANNOUNCE_MAX)
		return false;
	const struct ip_range *r = &snap_proxies(p->snapshot)[i->first + i->range].addrs;
	*ret_addr = addr_plus(r->first, i->offset++);
	i->done++;
	if (addr_equal(ret_addr, &r->last)) {
		i->range++;
		i->offset = 0;
	}
	return true;
}

static void round_begin(struct proxy_interface *i, uint32_t round, mono_ns now)
{
	i->round = round;
	i->range = i->done = 0;
	i->offset = 0;
	i->round_begun = now;
}

/* Of all that an announcement tells; what is told already is not told again. */
static uint64_t tag_of(const struct pipeline *p, uint32_t interface)
{
	const struct proxy_interface *i = &p->proxies.interfaces[interface];
	const struct pipeline_interface *f = &p->interfaces[interface];
	struct {
		uint64_t ranges;
		uint32_t link;
		uint8_t mac[6], zero[6];
	} key = { .link = f->link };

	if (i->count == 0 || !f->up || f->bare)
		return 0;
	for (uint32_t k = 0; k < i->count; k++) {
		const struct ip_range *r = &snap_proxies(p->snapshot)[i->first + k].addrs;
		key.ranges = key.ranges * 31 + siphash13(p->hash_key, r, sizeof *r);
	}
	memcpy(key.mac, f->mac, sizeof key.mac);
	return siphash13(p->hash_key, &key, sizeof key) | 1;
}

static void changes_find(struct pipeline *p, mono_ns now)
{
	for (uint32_t k = 0; k < INTERFACES_MAX; k++) {
		struct proxy_interface *i = &p->proxies.interfaces[k];
		uint64_t tag = tag_of(p, k);
		if (tag != 0 && tag != i->tag)
			round_begin(i, 0, now);
		i->tag = tag;
	}
	p->proxies.changes = p->changes;
}

static void announce(struct pipeline *p, uint32_t interface, mono_ns now)
{
	struct proxy_interface *i = &p->proxies.interfaces[interface];
	const uint8_t *mac = p->interfaces[interface].mac;
	struct ip_addr a;

	if (i->tag == 0 || i->round == PROXY_ANNOUNCE_ROUNDS)
		return;
	for (uint32_t n = 0; n < PROXY_ANNOUNCE_PER_SECOND; n++) {
		if (!next_address(p, i, &a)) {
			if (now - i->round_begun >= 2 * NS_PER_S || i->round == 0)
				round_begin(i, i->round + 1, now);
			break;
		}
		if (route_is_local(p->routes, pipeline_vrf_of(p, interface), &a))
			continue;
		uint8_t *frame = frame_room(p);
		frame_send(p, interface, frame,
			i->round == 0 ? resolution_probe(frame + VIRTIO_SIZE, &a, mac)
				      : resolution_announcement(frame + VIRTIO_SIZE, &a, mac));
	}
	pipeline_proxies_flush(p);
}

void pipeline_announce(struct pipeline *p, mono_ns now)
{
	if (!p->snapshot || p->worker != 0)
		return;
	if (p->proxies.changes != p->changes)
		changes_find(p, now);
	for (uint32_t k = 0; k < p->snapshot->interfaces.count; k++)
		announce(p, k, now);
}

void proxies_load(struct pipeline *p, const struct snapshot *old)
{
	static const struct proxy_interface none = { .round = PROXY_ANNOUNCE_ROUNDS };
	const struct snapshot *s = p->snapshot;
	uint64_t tags[INTERFACES_MAX];

	/* What was announced of an interface, to the end, is known by its name. */
	for (uint32_t k = 0; k < INTERFACES_MAX; k++)
		tags[k] = p->proxies.interfaces[k].round == PROXY_ANNOUNCE_ROUNDS
				  ? p->proxies.interfaces[k].tag
				  : 0;
	for (uint32_t k = 0; k < INTERFACES_MAX; k++) {
		p->proxies.interfaces[k] = none;
		for (uint32_t o = 0; old && k < s->interfaces.count && o < old->interfaces.count; o++)
			if (strcmp(snap_interfaces(old)[o].name, snap_interfaces(s)[k].name) == 0)
				p->proxies.interfaces[k].tag = tags[o];
	}
	for (uint32_t k = 0; k < s->proxies.count; k++) {
		struct proxy_interface *i = &p->proxies.interfaces[snap_proxies(s)[k].interface];
		if (i->count++ == 0)
			i->first = k;
	}
}
