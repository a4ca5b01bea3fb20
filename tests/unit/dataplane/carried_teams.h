/*
 * Two gateways that get the same traffic, of test_carried.c and test_closings.c: one whose packets meet the kernel's programs first, as
 * ordinary functions (../carry/kernel.h), and one without them. What leaves, what is dropped and why, and what their tables say must
 * be the same.
 */
#ifndef TESTS_CARRIED_TEAMS_H
#define TESTS_CARRIED_TEAMS_H

#include "../carry/kernel.h"
#include "carried_traffic.h"
#include "firewall/internal.h"
#include "gate.h"

#define WORKERS 4

/* carries: the one with programs; plain: without. */
struct team {
	struct gate gate[WORKERS];
	struct gate_queue queues[WORKERS];
	uint32_t on_the_way, n;
};
extern struct team carries, plain;
/* What counters of rules count: not what had not been entered when a process died, or a policy ended the session. */
extern bool rules_differ;

mono_ns now(void);
/* By its first key; NULL: there is none. */
const struct fw_session *find(struct team *t, const struct fw_key *k);
void tables_equal(void);

extern struct carry_tables tables;
extern const char *const nats[3];
extern const char *nat; /* one of them, for begin() */
/* Frames that the programs have sent, passed and lost since begin(); and trains of which something has left. */
extern uint64_t sent, passed, lost, left;

const char *team_text(void); /* the configuration without `nat` */
void begin(uint32_t workers);
void end(void);
void time_goes(mono_ns step);
void team_restarts(struct team *t);
void both(uint32_t link, const struct train *t); /* one train through both */

enum verdict { PASSED, SENT, LOST };
extern void (*between)(void *context); /* both programs, once: as another processor would */
enum verdict programs_run(struct kernel_packet *k);
uint8_t *frame_of(const struct train *t, uint32_t padding, struct kernel_packet *ret_frame, uint32_t link);

/* ---- one session ---- */

extern const uint8_t *options; /* four octets of them, of the packets below */
extern uint32_t back[2];       /* their number, and their acknowledgement, is so much less */

/* The next one of direction d; and it goes through both. */
struct train of_flow(struct flow *f, uint32_t d, uint8_t flags, size_t payload);
void goes(struct flow *f, uint32_t d, uint8_t flags, size_t payload);
bool is_carried(struct flow *f, uint32_t d);  /* the next packet of it */
void established(struct flow *f, uint32_t n); /* begins, and n's flow is carried; TCP: n % 4 < 2 */

#endif
