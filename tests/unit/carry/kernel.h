/*
 * The programs of src/carry, compiled for this machine, over a kernel that consists of what they ask of it: packets, maps,
 * checksums that a NIC would complete. For tests under sanitizers and for the fuzzer; what a real kernel does is run by
 * test_carry.c.
 */
#ifndef TESTS_CARRY_KERNEL_H
#define TESTS_CARRY_KERNEL_H

#include "carry/layout.h"

#include <linux/bpf.h>
#include <stdbool.h>

struct kernel_packet {
	struct __sk_buff b; /* first: what the programs see */
	uint8_t *frame;	    /* b.len octets from the link header on */
	bool partial;	    /* the checksum behind the IP header is left to the NIC */
	uint32_t sent_to;   /* the interface; 0: not sent */
};

extern uint64_t kernel_now;
extern struct carry_head *kernel_head;
extern struct carry_bucket *kernel_buckets;
extern struct carry_record *kernel_records;
extern struct carry_host *kernel_host;

void kernel_init(void); /* all maps are zero */
void kernel_done(void);
void kernel_link(uint32_t interface);
/* What the packet socket gets, 0: nothing; and what tc does then. */
int kernel_tap(struct kernel_packet *p);
int kernel_carry(struct kernel_packet *p);

#endif
