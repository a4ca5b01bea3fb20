/*
 * Random conversations between the hosts inside and outside of a gate (gate.h), the same for the same seed: TCP as
 * an honest end would send it and otherwise, UDP, pings, and errors of routers about them.
 */
#ifndef TESTS_DATAPLANE_TALKS_H
#define TESTS_DATAPLANE_TALKS_H

#include "gate.h"

#define TALKS	    10
#define TALK_TUNNEL 0 /* beside GATE_LAN and GATE_WAN */

struct talk_input {
	struct packet_spec spec;
	uint32_t from;
	bool wrong_sum;
};

/* Below n; of the same seed as the conversations. */
uint32_t pick(uint32_t n);

void talks_begin(uint64_t seed);
/* fw: whose translations the outside answers to; NULL: there are none. Good until the next call. */
struct talk_input talk_next(const struct firewall *fw);
/* The last input as it is for another gateway, of n workers: where that has translated to other ports. Both inputs are good
 * until the next of their call. */
struct talk_input talk_again(const struct gate *team, uint32_t n);
struct train talk_train(struct packet *room, const struct talk_input *i);
/* As one that has arrived at this gate from there. */
void talk_arrives(const struct gate *g, uint32_t from, struct train *t);

#endif
