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
 * begin and end a connection the plain answer to its SYN and an exact reset are taken; what they change is written by the
 * second program, and the data plane finds a note of it. What is forwarded here is forwarded as the pipeline would forward it:
 * tests/unit/carry compares them.
 *
 * What the data plane's process writes into the maps cannot lead outside of them (the verifier proves it), carries nothing
 * two seconds after its last beat, and sends to no interface that the supervisor has not entered in `links`.
 */
#include "carry/kernel.h"
#include "carry/options.h"
#include "wire/ip.h"

#define KEEP_ALL       (-1) /* as many octets as there are */
#define IPSEC_PORT     4500
#define PACKET_IS_OUR  0 /* PACKET_HOST: sent to the interface's own link address */
#define PACKET_IS_SENT 4 /* PACKET_OUTGOING */
#define RETRIES	       2 /* of a compare-and-exchange; then another processor has advanced the number */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NET16(v) __builtin_bswap16(v)
#define NET32(v) __builtin_bswap32(v)
#else
#define NET16(v) (v)
#define NET32(v) (v)
#endif

struct ip4 {
	uint8_t first, class;
	uint16_t total, id, fragment;
	uint8_t ttl, proto;
	uint16_t csum;
	uint32_t src, dst;
};

struct ip6 {
	uint32_t first;
	uint16_t payload;
	uint8_t next, hops;
	_Alignas(8) uint8_t src[16];
	uint8_t dst[16];
};

/* The beginning of a frame, copied. The IP header is aligned. */
struct frame {
	_Alignas(8) uint16_t zero;
	uint8_t mac[12];
	uint16_t type;
	union {
		struct ip4 v4;
		struct ip6 v6;
	};
};

struct l4 {
	_Alignas(8) uint16_t src_port;
	uint16_t dst_port;
	union {
		uint32_t seq;
		struct {
			uint16_t length, csum;
		};
	};
	uint32_t ack;
	uint8_t offset, flags;
	uint16_t window, tcp_csum, urgent;
};

#define FRAME_IP 14 /* octets in front of the IP header */
#define FRAME_V4 (FRAME_IP + IP4_HEADER_SIZE)
#define FRAME_V6 (FRAME_IP + IP6_HEADER_SIZE)

#define NOT_POSSIBLE (-22) /* EINVAL */

struct packet {
	struct frame f;
	struct l4 l4;
	uint32_t ip_n;	 /* octets of the IP header */
	uint32_t total;	 /* octets of IP header and payload */
	uint32_t head_n; /* of all headers */
	uint8_t family, proto;
};

_Static_assert(sizeof(struct ip4) == IP4_HEADER_SIZE, "as in the packet");
_Static_assert(sizeof(struct ip6) == IP6_HEADER_SIZE, "as in the packet");
_Static_assert(sizeof(struct l4) == 24 && __builtin_offsetof(struct l4, urgent) == 18, "as in the packet");

/* What a packet changes of its connection. */
enum step { STEP_NONE, STEP_ANSWER, STEP_RESET };

/* What the tap has taken, for the other program on this processor. */
struct slot {
	uint32_t at; /* carry_place.at; 0: nothing */
	uint32_t generation, interface, length, out, zero;
	uint64_t l4; /* the first octets behind the IP header */
	/* with a step */
	uint64_t now;
	uint32_t seq, ack, total;
	uint16_t window;
	uint8_t step, scale, scales;
	uint8_t left; /* the checksum is left to the NIC, or a stranger wants it to look so */
	/* Not on the stack, which has 512 octets, and where the verifier follows each value. */
	struct options options;
};

MAP(head, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 1, uint32_t, struct carry_head);
MAP(buckets, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, CARRY_BUCKETS, uint32_t, struct carry_bucket);
MAP(records, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, CARRY_RECORDS_MAX, uint32_t, struct carry_record);
MAP(host, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, 1, uint32_t, struct carry_host);
MAP(links, BPF_MAP_TYPE_ARRAY, 0, CARRY_LINKS, uint32_t, struct carry_link);
MAP(slots, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 1, uint32_t, struct slot);

static __always_inline void *only(void *map)
{
	const uint32_t zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* ---- reading ---- */

static __always_inline int load(const void *skb, uint32_t at, void *to, uint32_t n)
{
	return bpf_skb_load_bytes(skb, at, to, n) == 0;
}

/* The Internet checksum over 32-bit words, folded; RFC 1071. */
static __always_inline uint32_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

static __always_inline uint32_t word(const void *octets)
{
	uint32_t w;

	__builtin_memcpy(&w, octets, sizeof w);
	return w;
}

static __always_inline uint64_t ip4_sum(const struct ip4 *h)
{
	const uint8_t *b = (const uint8_t *)h;

	return (uint64_t)word(b) + word(b + 4) + word(b + 8) + word(b + 12) + word(b + 16);
}

static __always_inline uint64_t sum16(const uint8_t *b)
{
	return (uint64_t)word(b) + word(b + 4) + word(b + 8) + word(b + 12);
}

/* A whole datagram of TCP or UDP, with nothing between the headers that would need a decision. */
static __always_inline int read_ip4(const struct __sk_buff *skb, struct packet *p)
{
	const struct ip4 *h = &p->f.v4;

	p->family = 4;
	p->proto = h->proto;
	p->ip_n = IP4_HEADER_SIZE;
	p->total = NET16(h->total);
	return h->first == 0x45 && !(h->fragment & NET16(IP4_MF | IP4_OFFSET_MASK)) && h->ttl > 1 &&
	       fold(ip4_sum(h)) == 0xffff;
}

static __always_inline int read_ip6(const struct __sk_buff *skb, struct packet *p)
{
	const struct ip6 *h = &p->f.v6;

	p->family = 6;
	p->proto = h->next;
	p->ip_n = IP6_HEADER_SIZE;
	p->total = IP6_HEADER_SIZE + (uint32_t)NET16(h->payload);
	return (h->first & NET32(0xf0000000)) == NET32(0x60000000) && h->hops > 1;
}

static __always_inline int read_tcp(const struct __sk_buff *skb, struct packet *p)
{
	if (!load(skb, FRAME_IP + p->ip_n, &p->l4, TCP_HEADER_SIZE))
		return 0;
	uint32_t n = (uint32_t)(p->l4.offset >> 4) * 4;
	p->head_n = p->ip_n + n;
	/* What begins a connection, FIN and URG are never taken: nothing is looked up for them. */
	return n >= TCP_HEADER_SIZE && !(p->l4.flags & (TCP_FIN | TCP_URG)) &&
	       p->l4.flags & (TCP_ACK | TCP_RST);
}

static __always_inline int read_udp(const struct __sk_buff *skb, struct packet *p)
{
	if (!load(skb, FRAME_IP + p->ip_n, &p->l4, UDP_HEADER_SIZE))
		return 0;
	p->head_n = p->ip_n + UDP_HEADER_SIZE;
	uint32_t length = NET16(p->l4.length);
	/* That of a train is its first segment's or the whole. */
	return skb->gso_size ? length >= UDP_HEADER_SIZE : length == p->total - p->ip_n;
}

static __always_inline int packet_read(const struct __sk_buff *skb, struct packet *p)
{
	int whole;

	if (!load(skb, 0, p->f.mac, FRAME_V4))
		return 0;
	if (p->f.type == NET16(0x0800)) {
		whole = read_ip4(skb, p);
	} else if (p->f.type == NET16(0x86dd)) {
		if (!load(skb, FRAME_V4, (uint8_t *)&p->f.v6 + IP4_HEADER_SIZE, FRAME_V6 - FRAME_V4))
			return 0;
		whole = read_ip6(skb, p);
	} else {
		return 0;
	}
	if (!whole || skb->vlan_present)
		return 0;
	if (p->proto == IP_TCP)
		whole = read_tcp(skb, p);
	else
		whole = p->proto == IP_UDP && read_udp(skb, p);
	if (!whole || p->total < p->head_n)
		return 0;
	/* Short frames are padded; trains are not. */
	uint32_t there = skb->len - FRAME_IP;
	return skb->gso_size ? p->total == there : p->total <= there;
}

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

static __always_inline struct carry_record *record_at(uint32_t at)
{
	const uint32_t index = (at - 1) / 2;

	return bpf_map_lookup_elem(&records, &index);
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

/* ---- TCP: in_window() and windows_advance() of firewall/tcp.c ---- */

static __always_inline int after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static __always_inline uint32_t number(const uint32_t *at)
{
	return *(const volatile uint32_t *)at;
}

/* Other processors may advance it at the same time. */
static __always_inline void advance(uint32_t *at, uint32_t to)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(at);
		if (!after(to, was) || __sync_val_compare_and_swap(at, was, to) == was)
			return;
	}
}

static __always_inline void widen(uint32_t *at, uint32_t to)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(at);
		if (to <= was || __sync_val_compare_and_swap(at, was, to) == was)
			return;
	}
}

static __always_inline int tcp_track(struct carry_side *from, struct carry_side *to, const struct packet *p)
{
	const uint32_t seq = NET32(p->l4.seq), ack = NET32(p->l4.ack), payload = p->total - p->head_n;
	const uint32_t end = seq + payload, window = (uint32_t)NET16(p->l4.window) << (from->scale & 15);
	const uint32_t from_end = number(&from->end), to_end = number(&to->end),
		       widest = number(&from->max_window);

	if (after(seq, number(&from->max_end) + (payload == 0)) ||
		after(from_end - number(&to->max_window), end))
		return 0;
	if (after(ack, to_end) ||
		after(to_end - (widest > CARRY_BACKLOG_MIN ? widest : CARRY_BACKLOG_MIN), ack))
		return 0;
	advance(&from->end, end);
	widen(&from->max_window, window);
	advance(&from->ack, ack);
	advance(&to->max_end, ack + window);
	return 1;
}

/* ---- TCP: what begins and ends a connection; fw_tcp_track() of firewall/tcp.c ---- */

/* By fours: Linux 6.1 follows a length that is not constant through all that it was computed of. */
static __always_inline int options_load(
	const struct __sk_buff *skb, const struct packet *p, struct options *o)
{
	const uint32_t n = p->head_n - p->ip_n - TCP_HEADER_SIZE;

	__builtin_memset(o, 0, sizeof *o);
	o->n = n;
	for (uint32_t i = 0; i < TCP_OPTIONS_ROOM && i < n; i += 4)
		if (!load(skb, FRAME_IP + p->ip_n + TCP_HEADER_SIZE + i, o->b + i, 4))
			return 0;
	return n <= TCP_OPTIONS_ROOM;
}

/*
 * Of a segment without payload: is its checksum right, or does it stand there as where it is left to the NIC? The second
 * program knows which of them the kernel means. What is wrong is the data plane's to count.
 */
static __always_inline int checksum_is_plausible(
	const struct packet *p, const struct options *o, struct slot *slot)
{
	const uint8_t *b = (const uint8_t *)&p->l4;
	uint64_t sum = p->family == 4 ? (uint64_t)p->f.v4.src + p->f.v4.dst
				      : sum16(p->f.v6.src) + sum16(p->f.v6.dst);

	sum += (uint64_t)NET32((uint32_t)IP_TCP) + NET32(p->total - p->ip_n);
	slot->left = p->l4.tcp_csum == fold(sum);
	sum += sum16(b) + word(b + 16);
	NOT_UNROLLED
	for (uint32_t i = 0; i < TCP_OPTIONS_ROOM; i += 4)
		sum += word(o->b + i);
	return slot->left || fold(sum) == 0xffff;
}

/* on_answer(): the called side's SYN+ACK, with a segment size that need not be changed. */
static __always_inline int tcp_answers(
	const struct carry_record *r, const struct packet *p, const struct options *o, struct slot *slot)
{
	const uint32_t ack = NET32(p->l4.ack);
	struct announced a;

	if (after(number(&r->side[0].max_end), ack) || after(ack, number(&r->side[0].end)))
		return 0;
	if (!options_read(o, &a) || a.mss > r->mss)
		return 0;
	slot->step = STEP_ANSWER;
	slot->scale = (uint8_t)a.scale;
	slot->scales = (uint8_t)a.scales;
	return 1;
}

/* on_reset(): one whose number is exact for both, since nothing is on its way. */
static __always_inline int tcp_resets(
	const struct carry_side *from, const struct carry_side *to, const struct packet *p, struct slot *slot)
{
	const uint32_t seq = NET32(p->l4.seq), end = number(&from->end);

	if (seq != end || seq != number(&to->ack) || after(seq, number(&from->max_end) + 1) ||
		after(end - number(&to->max_window), seq))
		return 0;
	slot->step = STEP_RESET;
	return 1;
}

/* What changes the connection, by the second program. */
VERIFIED_ALONE int tcp_steps(const struct __sk_buff *skb, struct carry_record *r, uint32_t d,
	const struct packet *p, struct slot *slot)
{
	if (!r || !p || !slot)
		return 0;
	const uint8_t flags = p->l4.flags & (uint8_t)~(TCP_ECE | TCP_CWR);
	const uint32_t tcp = number(&r->tcp);
	struct options *o = &slot->options;
	d &= 1;

	if (p->total != p->head_n || skb->gso_size || !options_load(skb, p, o))
		return 0;
	if (flags == (TCP_SYN | TCP_ACK)) {
		if (tcp != CARRY_TCP_SYN_SENT || d != 1 || !tcp_answers(r, p, o, slot))
			return 0;
	} else {
		if ((flags & ~TCP_ACK) != TCP_RST ||
			(tcp != CARRY_TCP_SYN_RECEIVED && tcp != CARRY_TCP_ESTABLISHED) ||
			!tcp_resets(&r->side[d], &r->side[1 - d], p, slot))
			return 0;
	}
	slot->seq = NET32(p->l4.seq);
	slot->ack = NET32(p->l4.ack);
	slot->window = NET16(p->l4.window);
	slot->total = p->total;
	return checksum_is_plausible(p, o, slot);
}

static __always_inline void note(uint32_t at, const struct carry_record *r)
{
	struct carry_head *h = only(&head);

	if (!h)
		return;
	struct carry_notes *n = &h->notes[r->worker & (CARRY_WORKERS - 1)];
	const uint32_t i = __sync_fetch_and_add(&n->written, 1);
	*(volatile uint32_t *)&n->at[i & (CARRY_NOTES - 1)] = at;
}

/* Returns whether it is taken. */
static __always_inline int tcp_takes(const struct __sk_buff *skb, struct carry_record *r, uint32_t at,
	const struct packet *p, struct slot *slot)
{
	const uint32_t d = (at - 1) & 1, tcp = number(&r->tcp);
	const int completes = tcp == CARRY_TCP_SYN_RECEIVED && d == 0;

	if ((p->l4.flags & ~(TCP_PSH | TCP_ECE | TCP_CWR)) != TCP_ACK)
		return tcp_steps(skb, r, d, p, slot);
	if (tcp != CARRY_TCP_SYN_RECEIVED && tcp != CARRY_TCP_ESTABLISHED)
		return 0;
	/* Whoever has not seen the answer has not called. */
	if (completes && after(number(&r->side[0].ack), NET32(p->l4.ack)))
		return 0;
	if (!tcp_track(&r->side[d], &r->side[1 - d], p))
		return 0;
	if (completes && __sync_val_compare_and_swap(&r->tcp, CARRY_TCP_SYN_RECEIVED,
				 CARRY_TCP_ESTABLISHED) == CARRY_TCP_SYN_RECEIVED)
		note(at, r);
	return 1;
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
	if (slot->step == STEP_NONE)
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

/* The program has the sides for itself meanwhile: nobody advances them in this state. */
static __always_inline int step_answer(const struct slot *slot, struct carry_record *r)
{
	struct carry_side *caller = &r->side[0], *called = &r->side[1];
	const uint32_t end = slot->seq + 1, window = slot->window ? slot->window : 1;

	if (__sync_val_compare_and_swap(&r->tcp, CARRY_TCP_SYN_SENT, CARRY_TCP_ANSWERING) !=
		CARRY_TCP_SYN_SENT)
		return 0;
	called->end = end;
	called->max_end = end + caller->max_window;
	called->max_window = window;
	called->ack = slot->ack;
	called->scales = slot->scales;
	called->scale = slot->scales & caller->scales ? slot->scale : 0;
	if (!slot->scales)
		caller->scale = 0;
	caller->ack = end;
	caller->end = slot->ack;
	caller->max_end = slot->ack + window;
	return __sync_val_compare_and_swap(&r->tcp, CARRY_TCP_ANSWERING, CARRY_TCP_SYN_RECEIVED) ==
	       CARRY_TCP_ANSWERING;
}

static __always_inline int step_reset(struct carry_record *r)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(&r->tcp);
		if (was != CARRY_TCP_SYN_RECEIVED && was != CARRY_TCP_ESTABLISHED)
			return 0;
		if (__sync_val_compare_and_swap(&r->tcp, was, CARRY_TCP_CLOSED) == was)
			return 1;
	}
	return 0;
}

/*
 * A packet whose checksum stands as if it was left to the NIC: the kernel does not cut one of which that is true in front of
 * the end of the field. Any other is cut, and lost: its sum is wrong.
 */
static __always_inline int checksum_is_left(struct __sk_buff *skb, int v4)
{
	return bpf_skb_change_tail(skb, (v4 ? FRAME_V4 : FRAME_V6) + TCP_CSUM + 1, 0) == NOT_POSSIBLE;
}

static __always_inline int step_take(struct __sk_buff *skb, struct slot *slot, uint32_t at, int v4)
{
	struct carry_record *r = record_at(at);

	if (!r || (slot->left && !checksum_is_left(skb, v4)))
		return 0;
	if (!(slot->step == STEP_ANSWER ? step_answer(slot, r) : step_reset(r)))
		return 0;
	struct carry_count *c = &r->count[(at - 1) & 1];
	__sync_fetch_and_add(&c->packets, 1);
	__sync_fetch_and_add(&c->octets, slot->total);
	*(volatile uint64_t *)&c->last = slot->now;
	if (slot->step == STEP_RESET)
		note(at, r);
	return 1;
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

char carry_license[] SEC("license") = "Apache-2.0";
