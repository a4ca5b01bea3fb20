#include "kernel.h"

#include "carry/kernel.h"
#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

extern struct carry_map_of head, buckets, records, host, links, slots;

uint64_t kernel_now;
struct carry_head *kernel_head;
struct carry_bucket *kernel_buckets;
struct carry_record *kernel_records;
struct carry_host *kernel_host;

static struct {
	const struct carry_map_of *map;
	uint8_t *at;
} maps[] = { { &head, NULL }, { &buckets, NULL }, { &records, NULL }, { &host, NULL }, { &links, NULL },
	{ &slots, NULL } };

void kernel_init(void)
{
	for (size_t i = 0; i < COUNT_OF(maps); i++) {
		if (!maps[i].at)
			maps[i].at = aligned_alloc(
				64, ((size_t)maps[i].map->value * maps[i].map->entries + 63) & ~(size_t)63);
		assert(maps[i].at);
		memset(maps[i].at, 0, (size_t)maps[i].map->value * maps[i].map->entries);
	}
	kernel_head = (void *)maps[0].at;
	kernel_buckets = (void *)maps[1].at;
	kernel_records = (void *)maps[2].at;
	kernel_host = (void *)maps[3].at;
}

void kernel_done(void)
{
	for (size_t i = 0; i < COUNT_OF(maps); i++) {
		free(maps[i].at);
		maps[i].at = NULL;
	}
}

void kernel_link(uint32_t interface)
{
	((struct carry_link *)(void *)maps[4].at)[carry_link_of(interface)].interface = interface;
}

int kernel_tap(struct kernel_packet *p)
{
	return tap(&p->b);
}

int kernel_carry(struct kernel_packet *p)
{
	p->sent_to = 0;
	return carry(&p->b);
}

/* ---- what the programs call ---- */

static struct kernel_packet *packet_of(const void *skb)
{
	return (struct kernel_packet *)(uintptr_t)skb;
}

static struct kernel_packet *sender; /* bpf_redirect() names no packet */

void *bpf_map_lookup_elem(void *map, const void *key)
{
	uint32_t index;

	memcpy(&index, key, sizeof index);
	for (size_t i = 0; i < COUNT_OF(maps); i++)
		if (maps[i].map == map)
			return index < maps[i].map->entries ? maps[i].at + (size_t)index * maps[i].map->value
							    : NULL;
	abort();
}

static bool within(const struct kernel_packet *p, uint32_t offset, uint32_t n)
{
	return offset <= p->b.len && n <= p->b.len - offset;
}

long bpf_skb_load_bytes(const void *skb, uint32_t offset, void *to, uint32_t n)
{
	const struct kernel_packet *p = packet_of(skb);

	if (!within(p, offset, n))
		return -1;
	memcpy(to, p->frame + offset, n);
	return 0;
}

long bpf_skb_store_bytes(struct __sk_buff *skb, uint32_t offset, const void *from, uint32_t n, uint64_t flags)
{
	struct kernel_packet *p = sender = packet_of(skb);

	if (!within(p, offset, n))
		return -1;
	memcpy(p->frame + offset, from, n);
	return 0;
}

static uint16_t folded(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* inet_proto_csum_replace_by_diff() */
long bpf_l4_csum_replace(struct __sk_buff *skb, uint32_t offset, uint64_t from, uint64_t to, uint64_t flags)
{
	struct kernel_packet *p = packet_of(skb);
	bool mangled = flags & BPF_F_MARK_MANGLED_0, pseudo = flags & BPF_F_PSEUDO_HDR;
	uint16_t c;

	if (from != 0 || !within(p, offset, 2))
		return -1;
	memcpy(&c, p->frame + offset, 2);
	if (mangled && c == 0)
		return 0;
	if (!p->partial)
		c = (uint16_t)~folded((uint32_t)to + (uint64_t)(uint16_t)~c);
	else if (pseudo)
		c = folded((uint32_t)to + (uint64_t)c);
	if (mangled && c == 0)
		c = 0xffff;
	memcpy(p->frame + offset, &c, 2);
	return 0;
}

long bpf_csum_update(struct __sk_buff *skb, uint32_t sum)
{
	return -1; /* no packet here has the sum of all its octets */
}

long bpf_skb_change_tail(struct __sk_buff *skb, uint32_t n, uint64_t flags)
{
	const struct kernel_packet *p = packet_of(skb);
	bool v4 = load_be16(p->frame + 12) == 0x0800, tcp = p->frame[v4 ? 23 : 20] == 6;

	/* __bpf_skb_min_len() */
	if (p->partial && n < (v4 ? 34u : 54u) + (tcp ? 18 : 8))
		return -22;
	if (n > skb->len)
		return -1;
	skb->len = n;
	return 0;
}

long bpf_redirect(uint32_t interface, uint64_t flags)
{
	sender->sent_to = interface;
	return 7; /* TC_ACT_REDIRECT */
}

uint64_t bpf_ktime_get_coarse_ns(void)
{
	return kernel_now;
}
