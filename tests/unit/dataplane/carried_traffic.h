/* What test_carried.c sends: flows, and the numbers and oddities of their packets. All by the test's random numbers. */
#ifndef TESTS_CARRIED_TRAFFIC_H
#define TESTS_CARRIED_TRAFFIC_H

#include "firewall/internal.h"
#include "gate.h"

extern uint64_t seed;
uint32_t some(uint32_t n); /* below n */

struct flow {
	bool v6, tcp;
	uint16_t port;
	char server[64];
};

void flow_new(struct flow *f, uint32_t n);
struct fw_key flow_key(const struct flow *f);
/* Near those that the ends would use now, most of them right. */
void tcp_numbers(struct packet_spec *s, const struct fw_session *session, uint32_t d);
/* Perhaps, as an end that has nothing more to send, or resets, and the other's acknowledgement; without data. */
bool tcp_closes(struct packet_spec *s, const struct fw_session *session, uint32_t d);
void oddities(struct train *t, bool v6);
void syn_options(struct packet_spec *s);

#endif
