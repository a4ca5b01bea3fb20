/*
 * The shell of the second source of secrets (noise.h): it gives shares to the keeper, who asks for them in
 * advance, one in a round of the loop so that it stays answerable. It has links to the keeper, the ledger and
 * the supervisor, and nothing else: no file, no network, not even the kernel's generator (sandbox/table.c).
 *
 * A failed health test ends it: the ledger is told, the keeper is told, and no share is made until the process
 * is started again and passes its start-up tests. It does not end itself, so that it does not fail in a
 * circle. Single thread. Callers: main.c, and the tests over sockets of their own.
 */
#ifndef PROC_ENTROPY_SHELL_H
#define PROC_ENTROPY_SHELL_H

#include "ipc/child.h"
#include "proc/entropy/noise.h"

#include <sys/types.h>

#define SHARES_OWED_MAX 1024

struct entropy {
	struct child *child;
	struct noise noise;
	bool failed;
	char why[ERR_TEXT_MAX];
	uint32_t owed; /* shares that the keeper waits for */
	struct timer timer;
	uint8_t memory[NOISE_MEMORY];
};

/*
 * Whether the first source of secrets is out of this process's reach, as its sandbox promises: RC_OK when all
 * ways to the kernel's generator refuse; RC_DENIED: one of them gives octets, and this is no second source.
 * To be asked once the filter of system calls is in force. That alone does not show it: where getrandom(3) is
 * code of the vDSO (Linux 6.11, glibc 2.41) it goes on without any system call when it was used before.
 * ways: NULL, or for tests what stands in the place of getrandom(3) and of the system call.
 */
struct entropy_ways {
	ssize_t (*library)(void *ret_bytes, size_t n, unsigned flags);
	ssize_t (*call)(void *ret_bytes, size_t n, unsigned flags);
};
enum rc entropy_is_apart(const struct entropy_ways *ways, struct err *e);

/* Neither may move afterwards. */
void entropy_init(struct entropy *s, struct child *child, int supervisor_fd);

#endif
