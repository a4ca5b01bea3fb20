/*
 * The maps of the programs, and what one leaves to the other and to the data plane. For carry.bpf.c alone.
 */
#ifndef CARRY_MAPS_H
#define CARRY_MAPS_H

#include "carry/kernel.h"
#include "carry/options.h"

/* What a packet changes of its connection. */
enum step {
	STEP_NONE,
	STEP_ANSWER,
	STEP_RESET,
	STEP_FIN,
	STEP_LAST /* it may be the last acknowledgement */
};

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

static __always_inline struct carry_record *record_at(uint32_t at)
{
	const uint32_t index = (at - 1) / 2;

	return bpf_map_lookup_elem(&records, &index);
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

#endif
