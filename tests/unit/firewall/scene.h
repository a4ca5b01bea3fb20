/*
 * One firewall and one policy for a test of cmocka (world.h), the packets that most of them send, and what they expect of
 * what leaves. The setup of a test calls scene_begin(), writes the policy and loads it; scene_end() is its teardown.
 */
#ifndef TESTS_FIREWALL_SCENE_H
#define TESTS_FIREWALL_SCENE_H

#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern struct world w;
extern struct policy p;

void scene_begin(uint32_t sessions); /* an empty policy, not loaded */
int scene_end(void **state);	     /* state is not used */

/* The first packet of a session, or its answer: TCP a handshake, ICMP an echo; UDP and ICMP with some payload. */
struct packet_spec scene_packet(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, bool answer);
/* Persistent NAT from trust to untrust, all permitted, ports from 50000 on; loaded. timeout_s: of bindings. */
struct snap_nat_rule *scene_persistent(
	uint32_t sessions, uint32_t filtering, uint16_t ports, uint32_t timeout_s);
/* Sends a packet without payload; flags: TCP. */
enum drop_reason scene_send(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, uint8_t flags);
/* A session of UDP begins, or goes on; the source port with which the packet leaves. */
uint16_t scene_mapped(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port);
void scene_seconds(uint32_t n); /* one after the other */
/* Sends it. What passes has right checksums. */
void scene_expect(enum drop_reason want, struct packet_spec s);
/* What has left: the train's fields say the same as its octets. */
void scene_leaves(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port);
/* How many there are, after all have been evaluated that a commit left to be. */
uint32_t scene_sessions(void);
/* The one that there is, or NULL. */
const struct fw_session *scene_session(void);

/* What an application layer gateway tells the firewall, for 30 seconds. src NULL: from anybody. */
struct expectation scene_expecting(
	const char *src, const char *dst, uint16_t port, uint8_t proto, uint8_t from);

#endif
