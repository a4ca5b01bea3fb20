/*
 * The same gateway twice, with one worker and with several, whose packets arrive at any of them: what comes out must be the
 * same. For tests of cmocka.
 */
#ifndef TESTS_DATAPLANE_SIDES_H
#define TESTS_DATAPLANE_SIDES_H

#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct side {
	struct gate team[WORKERS_MAX];
	struct gate_queue queues[WORKERS_MAX];
	uint32_t n, on_the_way;
	enum drop_reason drop; /* of the last packet */
	struct train out;      /* that came out last */
	bool is_out;
};

extern struct side sides[2]; /* with one worker, and with several */

/* The seed chooses homes of flows, and where packets arrive. */
void sides_begin(uint32_t seed, uint32_t workers, const char *text, const char *more, uint32_t sessions);
void sides_end(void);
uint32_t sides_pick(uint32_t n); /* any number below n */
/* What is on its way between the workers, until nothing is. */
void side_run(struct side *s);
/* A packet arrives at any worker: why it was dropped, and what came out, whose checksums are right. */
enum drop_reason side_arrives(struct side *s, uint32_t link, const struct packet_spec *spec);
/* Sessions of all workers. */
uint64_t side_sessions(const struct side *s);

#endif
