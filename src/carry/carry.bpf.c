/*
 * The programs that carry sessions in the kernel: what runs for each packet that a link of a zone receives, before the
 * kernel's own filter. layout.h has the memory that they share with the data plane, and who writes what in it.
 *
 *   tap    a socket filter of the links' packet sockets, in the place of the classic one: takes what is carried, and leaves
 *          the rest to the data plane
 *   carry  at the ingress of the links (clsact): rewrites and sends what the tap has just taken
 *
 * The kernel runs both for one packet after the other, on one processor, without another packet in between: the tap leaves a
 * note in the processor's slot, and the second program obeys it. So a packet goes to the data plane or is carried, never both,
 * and the kernel's own stack gets none of the second kind.
 *
 * Everything that is not certain is the data plane's: other packets than of TCP and answered UDP, with options,
 * extension headers, fragments, outside of TCP's windows, too large for the way, with a hop limit that ends here. Of those that
 * begin and end a connection the plain answer to its SYN, FINs without data and an exact reset are taken; what they change is written
 * by the second program, and the data plane finds a note of it. What is forwarded here is forwarded as the pipeline would forward it:
 * tests/unit/carry compares them.
 *
 * What the data plane's process writes into the maps cannot lead outside of them (the verifier proves it), carries nothing
 * two seconds after its last beat, and sends to no interface that the supervisor has not entered in `links`.
 */
#include "carry/connection.h"

#define KEEP_ALL       (-1) /* as many octets as there are */
#define IPSEC_PORT     4500
#define PACKET_IS_OUR  0 /* PACKET_HOST: sent to the interface's own link address */
#define PACKET_IS_SENT 4 /* PACKET_OUTGOING */

/* ---- finding ---- */

static __always_inline int is_link(uint32_t interface)
{
	const uint32_t index = carry_link_of(interface);
	const struct carry_link *l = bpf_map_lookup_elem(&links, &index);

	return l && l->interface == interface;
}

static __always_inline void key_of(const struct __sk_buff *skb, const struct packet *p, struct carry_key *key)
{
	__builtin_memset(key, 0, sizeof *key);
	if (p->family == 4) {
		__builtin_memcpy(key->src, &p->f.v4.src, 4);
		__builtin_memcpy(key->dst, &p->f.v4.dst, 4);
	} else {
		__builtin_memcpy(key->src, p->f.v6.src, 16);
		__builtin_memcpy(key->dst, p->f.v6.dst, 16);
	}
	key->src_port = p->l4.src_port;
	key->dst_port = p->l4.dst_port;
	key->interface = skb->ifindex;
}

/* The record of this place, if it is in force for these packets. The slot gets its generation. */
static __always_inline struct carry_record *record_match(const struct carry_head *h, uint32_t at,
	const struct packet *p, const struct carry_key *key, uint64_t now, struct slot *slot)
{
	struct carry_record *r = record_at(at);

	if (!r)
		return 0;
	uint32_t generation = *(volatile uint32_t *)&r->generation;
	read_barrier(&slot->zero);
	if (generation & 1 || r->state != CARRY_PLACED || r->epoch != *(const volatile uint32_t *)&h->epoch ||
		r->family != p->family || r->proto != p->proto)
		return 0;
	if (!carry_key_equal(&r->key[(at - 1) & 1], key) ||
		!carry_is_good(*(const volatile uint64_t *)&h->beat[r->worker & (CARRY_WORKERS - 1)], now))
		return 0;
	slot->generation = generation;
	return r;
}

/*
 * What stands in the place with this tag, 0: none. Without a branch: the verifier of Linux 6.1 follows each way through all that
 * comes after it. Two places with one tag (one bucket in 10^8) give a number that fits no key.
 */
static __always_inline uint32_t place_find(const struct carry_bucket *b, uint32_t tag)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < CARRY_PLACES; i++) {
		uint32_t differs = *(const volatile uint32_t *)&b->place[i].tag ^ tag;
		uint32_t equal = ((differs | -differs) >> 31) - 1;
		found |= *(const volatile uint32_t *)&b->place[i].at & equal;
	}
	return found;
}

static __always_inline struct carry_record *record_find(const struct __sk_buff *skb, const struct packet *p,
	uint64_t now, struct slot *slot, uint32_t *ret_at)
{
	const struct carry_head *h = only(&head);
	struct carry_key key;

	if (!h)
		return 0;
	key_of(skb, p, &key);
	const uint64_t hash = carry_hash(h->hash_key, &key, p->family, p->proto);
	const uint32_t index = carry_bucket_of(hash);
	const struct carry_bucket *b = bpf_map_lookup_elem(&buckets, &index);
	if (!b)
		return 0;
	*ret_at = place_find(b, carry_tag(hash));
	return *ret_at == 0 ? 0 : record_match(h, *ret_at, p, &key, now, slot);
}

/* ---- the tap ---- */

/* Each packet of a train must fit. */
static __always_inline int fits(
	const struct __sk_buff *skb, const struct packet *p, const struct carry_way *way)
{
	return (skb->gso_size ? p->head_n + skb->gso_size : p->total) <= way->mtu;
}

static __always_inline void count(
	const struct __sk_buff *skb, const struct packet *p, struct carry_count *c, uint64_t now)
{
	uint32_t payload = p->total - p->head_n, size = skb->gso_size;
	uint32_t packets = size == 0 || payload == 0 ? 1 : (payload + size - 1) / size;

	__sync_fetch_and_add(&c->packets, packets);
	__sync_fetch_and_add(&c->octets, p->total + (uint64_t)(packets - 1) * p->head_n);
	*(volatile uint64_t *)&c->last = now;
}

static __always_inline int carried(const struct __sk_buff *skb, const struct packet *p, struct slot *slot)
{
	const uint64_t now = bpf_ktime_get_coarse_ns();
	uint32_t at;
	struct carry_record *r = record_find(skb, p, now, slot, &at);

	if (!r)
		return 0;
	const uint32_t d = (at - 1) & 1;
	const struct carry_way *way = &r->way[d];
	const uint32_t out = *(const volatile uint32_t *)&way->interface;
	if (!fits(skb, p, way) || !is_link(skb->ifindex) || !is_link(out))
		return 0;
	if (p->proto == IP_TCP && !tcp_takes(skb, r, at, p, slot))
		return 0;
	slot->now = now;
	if (slot->step == STEP_NONE || slot->step == STEP_LAST)
		count(skb, p, &r->count[d], now);
	slot->interface = skb->ifindex;
	slot->length = skb->len;
	slot->out = out;
	__builtin_memcpy(&slot->l4, &p->l4, sizeof slot->l4);
	slot->at = at;
	return 1;
}

static __always_inline int is_local4(const struct carry_host *h, const struct frame *f)
{
	for (uint32_t i = 0; i < CARRY_LOCALS_MAX && i < h->v4_n; i++)
		if (word(h->v4[i]) == f->v4.dst)
			return 1;
	return 0;
}

static __always_inline int is_local6(const struct carry_host *h, const struct frame *f)
{
	for (uint32_t i = 0; i < CARRY_LOCALS_MAX && i < h->v6_n; i++)
		if (carry_word(h->v6[i]) == carry_word(f->v6.dst) &&
			carry_word(h->v6[i] + 8) == carry_word(f->v6.dst + 8))
			return 1;
	return 0;
}

/* Sealed packets for the gateway itself reach the tunnels' sockets: the data plane does not want them twice. The classic
 * filter of io_filter.c says the same. */
static __always_inline int is_sealed(const struct __sk_buff *skb, const struct frame *f)
{
	const int v4 = f->type == NET16(0x0800);
	uint16_t port;

	if (!v4 && f->type != NET16(0x86dd))
		return 0;
	if (v4 && f->v4.fragment & NET16(IP4_MF | IP4_OFFSET_MASK))
		return 0;
	const uint8_t proto = v4 ? f->v4.proto : f->v6.next;
	if (proto == IP_ESP)
		return 1;
	const uint32_t ip_n = v4 ? (f->v4.first & 15u) * 4 : IP6_HEADER_SIZE;
	return proto == IP_UDP && load(skb, FRAME_IP + ip_n + 2, &port, sizeof port) &&
	       port == NET16(IPSEC_PORT);
}

VERIFIED_ALONE int sealed_for_host(const struct __sk_buff *skb, const struct frame *f)
{
	const struct carry_host *h = only(&host);

	if (!h || !f || !is_sealed(skb, f))
		return 0;
	for (uint32_t i = 0; i < CARRY_LINKS_MAX && i < h->links_n; i++)
		if (h->link[i] == skb->ifindex)
			return f->type == NET16(0x0800) ? is_local4(h, f) : is_local6(h, f);
	return 0;
}

SEC("socket")
int tap(struct __sk_buff *skb)
{
	struct slot *slot = only(&slots);
	struct packet p;

	/* What the gateway sends itself: older kernels give it to a group of sockets, whatever each of them asks for. */
	if (skb->pkt_type == PACKET_IS_SENT)
		return 0;
	if (!slot)
		return KEEP_ALL;
	slot->at = 0;
	slot->step = STEP_NONE;
	__builtin_memset(&p, 0, sizeof p);
	if (packet_read(skb, &p) && skb->pkt_type == PACKET_IS_OUR && carried(skb, &p, slot))
		return 0;
	return sealed_for_host(skb, &p.f) ? 0 : KEEP_ALL;
}

/* ---- sending ---- */

/* What the rewriting changes in sums: of the addresses, which the pseudo-header has, and of the ports. */
struct change {
	uint32_t addresses, ports, head;
};

/* The sum of what stands now less that of what stood, as 16 bits of it. */
static __always_inline uint32_t difference(uint64_t old, uint64_t new)
{
	return fold(new + (uint16_t)~fold(old));
}

static __always_inline void rewrite_ip4(struct ip4 *h, const struct carry_way *way, struct change *c)
{
	if (way->flags & CARRY_TRANSLATES) {
		const uint64_t old = (uint64_t)h->src + h->dst;
		__builtin_memcpy(&h->src, way->src, 4);
		__builtin_memcpy(&h->dst, way->dst, 4);
		c->addresses = difference(old, (uint64_t)h->src + h->dst);
	}
	if (way->flags & CARRY_MARKS)
		h->class = (uint8_t)(way->dscp << 2 | (h->class & 3));
	h->ttl--;
	h->csum = 0;
	h->csum = (uint16_t)~fold(ip4_sum(h));
}

/* Where the whole packet's sum is known, it follows what has no checksum of its own. */
static __always_inline void rewrite_ip6(struct ip6 *h, const struct carry_way *way, struct change *c)
{
	const uint64_t head_was = (uint64_t)h->first + word(&h->payload);

	if (way->flags & CARRY_TRANSLATES) {
		const uint64_t old = sum16(h->src) + sum16(h->dst);
		__builtin_memcpy(h->src, way->src, 16);
		__builtin_memcpy(h->dst, way->dst, 16);
		c->addresses = difference(old, sum16(h->src) + sum16(h->dst));
	}
	if (way->flags & CARRY_MARKS)
		h->first = (h->first & ~NET32(0x0fc00000)) | NET32((uint32_t)(way->dscp & 63) << 22);
	h->hops--;
	c->head = difference(head_was, (uint64_t)h->first + word(&h->payload));
}

/*
 * The checksum behind the IP header follows by the difference (RFC 1624). The kernel knows which form the field has: one
 * that the NIC completes counts addresses only.
 */
static __always_inline int checksum_follow(
	struct __sk_buff *skb, uint32_t at, uint8_t proto, const struct change *c)
{
	const uint64_t udp = proto == IP_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	const uint32_t field = at + (proto == IP_UDP ? UDP_CSUM : TCP_CSUM);

	if (c->addresses && bpf_l4_csum_replace(skb, field, 0, c->addresses, udp | BPF_F_PSEUDO_HDR) < 0)
		return 0;
	return !c->ports || bpf_l4_csum_replace(skb, field, 0, c->ports, udp) == 0;
}

static __always_inline int send_ip4(
	struct __sk_buff *skb, struct frame *f, const struct carry_way *way, uint64_t l4)
{
	struct change c = { 0 };
	const uint32_t ports_were = (uint32_t)l4;
	const uint8_t proto = f->v4.proto;
	uint32_t ports;

	if (skb->len > FRAME_IP + (uint32_t)NET16(f->v4.total) &&
		bpf_skb_change_tail(skb, FRAME_IP + (uint32_t)NET16(f->v4.total), 0) < 0)
		return 0;
	rewrite_ip4(&f->v4, way, &c);
	__builtin_memcpy(f->mac, way->mac, 12);
	if (bpf_skb_store_bytes(skb, 0, f->mac, FRAME_V4, 0) < 0)
		return 0;
	if (!(way->flags & CARRY_TRANSLATES))
		return 1;
	ports = word(&way->src_port);
	if (ports != ports_were) {
		c.ports = difference(ports_were, ports);
		if (bpf_skb_store_bytes(skb, FRAME_V4, &ports, 4, 0) < 0)
			return 0;
	}
	return checksum_follow(skb, FRAME_V4, proto, &c);
}

static __always_inline int send_ip6(
	struct __sk_buff *skb, struct frame *f, const struct carry_way *way, uint64_t l4)
{
	struct change c = { 0 };
	const uint32_t ports_were = (uint32_t)l4;
	const uint8_t proto = f->v6.next;
	uint32_t ports;

	if (skb->len > FRAME_V6 + (uint32_t)NET16(f->v6.payload) &&
		bpf_skb_change_tail(skb, FRAME_V6 + (uint32_t)NET16(f->v6.payload), 0) < 0)
		return 0;
	rewrite_ip6(&f->v6, way, &c);
	__builtin_memcpy(f->mac, way->mac, 12);
	if (bpf_skb_store_bytes(skb, 0, f->mac, FRAME_V6, 0) < 0)
		return 0;
	/* The next call takes the addresses' difference off the whole packet's sum, in which they cancel out. */
	bpf_csum_update(skb, c.head + c.addresses);
	if (!(way->flags & CARRY_TRANSLATES))
		return 1;
	ports = word(&way->src_port);
	if (ports != ports_were) {
		c.ports = difference(ports_were, ports);
		if (bpf_skb_store_bytes(skb, FRAME_V6, &ports, 4, 0) < 0)
			return 0;
	}
	return checksum_follow(skb, FRAME_V6, proto, &c);
}

static __always_inline int lose(void)
{
	struct carry_head *h = only(&head);

	if (h)
		__sync_fetch_and_add(&h->lost, 1);
	return TC_ACT_SHOT;
}

/* The way of the record as it was when the tap took the packet. */
static __always_inline int way_read(struct slot *slot, uint32_t at, struct carry_way *ret_way)
{
	const struct carry_record *r = record_at(at);

	if (!r || *(const volatile uint32_t *)&r->generation != slot->generation)
		return 0;
	read_barrier(&slot->zero);
	__builtin_memcpy(ret_way, &r->way[(at - 1) & 1], sizeof *ret_way);
	read_barrier(&slot->zero);
	return *(const volatile uint32_t *)&r->generation == slot->generation;
}

SEC("tc")
int carry(struct __sk_buff *skb)
{
	struct slot *slot = only(&slots);
	struct carry_way way;
	struct frame f;
	uint64_t l4;

	if (!slot || slot->at == 0)
		return TC_ACT_UNSPEC;
	const uint32_t at = slot->at, out = slot->out;
	slot->at = 0;
	if (slot->interface != skb->ifindex || slot->length != skb->len)
		return TC_ACT_UNSPEC;
	if (!load(skb, 0, f.mac, FRAME_V4))
		return TC_ACT_UNSPEC;
	const int v4 = f.type == NET16(0x0800);
	if (!v4 && !load(skb, FRAME_V4, (uint8_t *)&f.v6 + IP4_HEADER_SIZE, FRAME_V6 - FRAME_V4))
		return TC_ACT_UNSPEC;
	if (!load(skb, v4 ? FRAME_V4 : FRAME_V6, &l4, sizeof l4) || l4 != slot->l4)
		return TC_ACT_UNSPEC;
	if (!way_read(slot, at, &way))
		return lose();
	if (slot->step != STEP_NONE && !step_take(skb, slot, at, v4))
		return lose();
	if (!(v4 ? send_ip4(skb, &f, &way, l4) : send_ip6(skb, &f, &way, l4)))
		return lose();
	return (int)bpf_redirect(out, 0);
}

#ifdef __bpf__
#include "layout_digest.h"
/* The supervisor loads no programs of another layout. */
const char carry_layout[] SEC(".rodata.layout") = CARRY_LAYOUT_DIGEST;
#endif

char carry_license[] SEC("license") = "Apache-2.0";
