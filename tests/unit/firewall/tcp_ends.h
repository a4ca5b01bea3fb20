/*
 * Two ends of a TCP connection for the tests of sessions: a client in trust, a server in untrust, port 80
 * permitted. Segments are written with numbers from each end's ISN.
 */
#ifndef TESTS_FIREWALL_TCP_ENDS_H
#define TESTS_FIREWALL_TCP_ENDS_H

#include "scene.h"

#define CLIENT	   "10.0.0.2"
#define SERVER	   "198.51.100.9"
#define CLIENT_ISN 0xfffffff0u /* numbers wrap at once */
#define SERVER_ISN 5000u

extern uint16_t client_port;

int ends_setup(void **state); /* its teardown is scene_end() */

#define CLOSED 0xffff /* the window is zero; as in struct packet_spec 0 stands for the largest */

enum side { C, S };

struct segment {
	enum side from;
	uint8_t flags;
	uint32_t seq, ack; /* from the sender's ISN and the other's */
	size_t n;
	uint16_t window;
	const uint8_t *options;
	size_t options_n;
};

enum drop_reason tcp_send(struct segment g);

#define PASS(...) assert_int_equal(tcp_send((struct segment){ __VA_ARGS__ }), DROP_NONE)
#define DROPS(reason, ...)                                                                                   \
	assert_string_equal(drop_name(tcp_send((struct segment){ __VA_ARGS__ })), drop_name(reason))

/* The one that there is. */
const struct fw_session *session(void);
void state_is(enum fw_protocol_state state, uint32_t timeout_s);
void establish(void);

#endif
