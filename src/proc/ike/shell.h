/*
 * The IKEv2 process: sockets, clock and links around the core in src/ike. It has handles of keys, not keys,
 * except those of IKE messages.
 */
#ifndef PROC_IKE_SHELL_H
#define PROC_IKE_SHELL_H

#include "ike/ike.h"
#include "ipc/child.h"
#include "proc/ike/sockets.h"

struct ike_shell {
	struct child *child;
	struct ike *core;
	struct ike_sockets sockets;
	struct watch watch[2];
	struct timer tick, cookie;
	uint64_t send_failures;
	uint8_t crash_secret[32]; /* until the core has it */
	bool has_crash_secret;
};

void ike_shell_init(struct ike_shell *s, struct child *c);
extern const struct child_ops ike_shell_ops;

#endif
