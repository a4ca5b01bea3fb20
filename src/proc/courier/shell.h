/*
 * plaingate-courier: takes the ledger's questions to witnesses that have a URL, and brings the answers
 * back. It has no key, no ledger, no file and no network: what it asks goes over sockets that the
 * supervisor opened, to the machine's name servers and to the ports of configured witnesses. It is apart
 * from the ledger because names, TLS and certificates are much code that reads what strangers say. The
 * ledger verifies a witness's signature itself, so an intruder in this process can do no more than the
 * network in between: suppress answers.
 *
 * One errand for each witness, all at once. Where there is no witness with a URL it is idle. Single thread.
 * Callers: main.c, and the tests over sockets of their own.
 */
#ifndef PROC_COURIER_SHELL_H
#define PROC_COURIER_SHELL_H

#include "ipc/child.h"
#include "ipc/errand.h"

struct courier {
	struct child *child;
	struct snap_evidence config;
	struct errand errands[WITNESSES_MAX]; /* by the witness's place in config */
	uint64_t last_tag;
	SSL_CTX *trust;
	unsigned authorities;
};

/* Neither may move afterwards. */
void courier_init(struct courier *s, struct child *child, int supervisor_fd);

#endif
