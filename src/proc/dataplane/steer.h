/*
 * Classic BPF by which the kernel delivers an ESP packet to a socket of the worker that owns its SA: a search among the
 * SPIs of the pairs that others than the first worker own. Everything else, and more SPIs than fit, is the first worker's,
 * which hands it over: no packet depends on the program, only how far it goes.
 */
#ifndef DATAPLANE_STEER_H
#define DATAPLANE_STEER_H

#include "esp/esp.h"

#include <linux/filter.h>

/* Instructions: the kernel limits the octets of all programs of a socket (net.core.optmem_max), while one replaces
 * another too. */
#define STEER_PROGRAM_MAX 512

enum steer_at {
	STEER_AT_SPI, /* the program sees the octets from the SPI on */
	STEER_AT_IP4  /* from the IPv4 header on */
};

/*
 * value[i]: what the program returns for a packet of worker i, and value[0] for all others. A packet without an SPI has
 * the value 0, as the kernel has it. Returns its length.
 */
uint32_t steer_program(const struct esp *esp, enum steer_at at, const uint32_t value[WORKERS_MAX],
	struct sock_filter ret_program[STEER_PROGRAM_MAX]);

#endif
