#include "programs.h"

#include <assert.h>
#include <string.h>
#include <linux/bpf.h>

#undef __always_inline /* of the C library: the kernel's means the same */
int tap(struct __sk_buff *skb);
int carry(struct __sk_buff *skb);

#include "carry/carry.bpf.c"

static struct carry_tables tables;
static struct carry_host host_table;
static struct carry_link link_table[CARRY_LINKS];
static struct slot slot_table;
static struct programs_frame *frame;
static uint64_t time_now;
static uint32_t sent_to;
static void (*between)(void *context);
static void *between_context;

void programs_begin(const struct carry_tables *t, uint32_t links_n)
{
	tables = *t;
	memset(&host_table, 0, sizeof host_table);
	memset(link_table, 0, sizeof link_table);
	for (uint32_t i = 1; i <= links_n; i++)
		link_table[carry_link_of(i)].interface = i;
}

void programs_between(void (*f)(void *context), void *context)
{
	between = f;
	between_context = context;
}

static struct __sk_buff skb_of(const struct programs_frame *f)
{
	return (struct __sk_buff){ .len = f->n, .ifindex = f->interface, .gso_size = f->gso_size };
}

enum programs_verdict programs_run(struct programs_frame *f, uint64_t now)
{
	struct __sk_buff skb = skb_of(f);

	frame = f;
	time_now = now;
	sent_to = 0;
	int kept = tap(&skb);
	if (between)
		between(between_context);
	between = NULL;
	skb = skb_of(f);
	int verdict = carry(&skb);
	if (verdict == TC_ACT_SHOT)
		return PROGRAMS_LOST;
	if (verdict == TC_ACT_REDIRECT) {
		assert(kept == 0 && sent_to != 0);
		f->interface = sent_to;
		return PROGRAMS_SENT;
	}
	assert(verdict == TC_ACT_UNSPEC);
	return kept ? PROGRAMS_PASSED : PROGRAMS_LEFT_OUT;
}

/* ---- the kernel's part ---- */

void *bpf_map_lookup_elem(void *map, const void *key)
{
	const struct carry_map_of *m = map;
	uint32_t index = *(const uint32_t *)key;

	if (index >= m->entries)
		return NULL;
	if (m == &head)
		return tables.head;
	if (m == &buckets)
		return &tables.buckets[index];
	if (m == &records)
		return &tables.records[index];
	if (m == &host)
		return &host_table;
	if (m == &links)
		return &link_table[index];
	assert(m == &slots);
	return &slot_table;
}

long bpf_skb_load_bytes(const void *skb, uint32_t offset, void *to, uint32_t n)
{
	if (offset > frame->n || n > frame->n - offset)
		return -1;
	memcpy(to, frame->bytes + offset, n);
	return 0;
}

long bpf_skb_store_bytes(struct __sk_buff *skb, uint32_t offset, const void *from, uint32_t n, uint64_t flags)
{
	if (offset > frame->n || n > frame->n - offset)
		return -1;
	memcpy(frame->bytes + offset, from, n);
	return 0;
}

static uint16_t folded(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* bpf_l4_csum_replace() and inet_proto_csum_replace_by_diff() of the kernel; from: 0, to: the difference. */
long bpf_l4_csum_replace(struct __sk_buff *skb, uint32_t offset, uint64_t from, uint64_t to, uint64_t flags)
{
	uint16_t field;

	assert(from == 0 && (flags & BPF_F_HDR_FIELD_MASK) == 0);
	if (offset > frame->n - 2)
		return -1;
	memcpy(&field, frame->bytes + offset, 2);
	if (flags & BPF_F_MARK_MANGLED_0 && field == 0)
		return 0;
	if (!frame->partial)
		field = (uint16_t)~folded((uint64_t)(uint16_t)~field + to);
	else if (flags & BPF_F_PSEUDO_HDR)
		field = folded((uint64_t)field + to);
	if (flags & BPF_F_MARK_MANGLED_0 && field == 0)
		field = 0xffff;
	memcpy(frame->bytes + offset, &field, 2);
	return 0;
}

long bpf_csum_update(struct __sk_buff *skb, uint32_t sum)
{
	return sum;
}

long bpf_skb_change_tail(struct __sk_buff *skb, uint32_t n, uint64_t flags)
{
	if (n > frame->n)
		return -1;
	frame->n = n;
	skb->len = n;
	return 0;
}

long bpf_redirect(uint32_t interface, uint64_t flags)
{
	sent_to = interface;
	return TC_ACT_REDIRECT;
}

uint64_t bpf_ktime_get_coarse_ns(void)
{
	return time_now;
}
