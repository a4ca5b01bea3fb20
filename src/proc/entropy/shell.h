/*
 * The shell of the second source of secrets (noise.h): it gives halves to the keeper, who asks for them in
 * advance, one in a round of the loop so that it stays answerable. It has links to the keeper, the ledger and
 * the supervisor, and nothing else: no file, no network, not even the kernel's generator (sandbox/table.c).
 *
 * A failed health test ends it: the ledger is told, the keeper is told, and no half is made until the process
 * is started again and passes its start-up tests. It does not end itself, so that it does not fail in a
 * circle. Single thread. Callers: main.c, and the tests over sockets of their own.
 */
#ifndef PROC_ENTROPY_SHELL_H
#define PROC_ENTROPY_SHELL_H

#include "ipc/child.h"
#include "proc/entropy/noise.h"

#define HALVES_OWED_MAX 1024

struct entropy {
	struct child *child;
	struct noise noise;
	bool failed;
	char why[ERR_TEXT_MAX];
	uint32_t owed; /* halves that the keeper waits for */
	struct timer timer;
	uint8_t memory[NOISE_MEMORY];
};

extern const struct child_ops entropy_ops;

/* Neither may move afterwards. */
void entropy_init(struct entropy *s, struct child *child, int supervisor_fd);

#endif
