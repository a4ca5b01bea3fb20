/*
 * The programs of src/carry/carry.bpf.c as ordinary functions: over tables of the test's, one frame at a time, as the kernel runs
 * them one after the other. What they ask of the kernel is in programs.c, by what the kernel's sources say.
 */
#ifndef TESTS_CARRY_PROGRAMS_H
#define TESTS_CARRY_PROGRAMS_H

#include "carry/carry.h"

struct programs_frame {
	uint8_t *bytes; /* from the link header on; changed where it is sent */
	uint32_t n;
	uint32_t interface; /* by which it comes; of what is sent, by which it leaves */
	uint32_t gso_size;
	bool partial; /* its L4 checksum is left to the NIC */
};

enum programs_verdict {
	PROGRAMS_PASSED,   /* the data plane's socket gets it, and the kernel's stack */
	PROGRAMS_LEFT_OUT, /* the socket does not, the stack does */
	PROGRAMS_SENT,
	PROGRAMS_LOST
};

/* The interfaces 1 to `links` carry. */
void programs_begin(const struct carry_tables *t, uint32_t links);
enum programs_verdict programs_run(struct programs_frame *f, uint64_t now);
/* Between both programs, once: as another processor would. */
void programs_between(void (*f)(void *context), void *context);

#endif
