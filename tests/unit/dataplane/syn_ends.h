/* One end of a TCP connection as a test of SYN cookies has it: what it counts, and the options that it sends. */
#ifndef TESTS_DATAPLANE_SYN_ENDS_H
#define TESTS_DATAPLANE_SYN_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct end {
	uint32_t next;	/* number of the next octet */
	uint32_t ts;	/* its clock */
	uint32_t given; /* the other side's next octet, as it is counted here */
	uint32_t echo;	/* the other's last timestamp, as seen here */
	uint16_t mss;
	uint8_t scale;
	bool scales, sack, stamps;
};

/* Random options, and first numbers next to their wrap. */
struct end end_new(uint64_t *seed);
/* Their octets, into room for all (40); returns how many. */
size_t end_stamps(uint8_t *at, uint32_t ts, uint32_t echo);
size_t end_syn_options(uint8_t *at, const struct end *e, uint32_t echo);

#endif
