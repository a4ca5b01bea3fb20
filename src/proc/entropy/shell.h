/*
 * The shell of the second source of entropy (noise.h): it gives shares to the keeper, which asks for them in
 * advance, one in a round of the loop so that messages are answered in between. It has links to the keeper,
 * the ledger and the supervisor, and nothing else: no file, no network, not even the kernel's generator
 * (sandbox/table.c).
 *
 * A failed health test stops its output: it is entered, the keeper is told, and no share is made until the
 * process is restarted and passes its start-up tests. The process does not exit, so that it is not restarted
 * in a loop. Single thread. Callers: main.c, and tests over sockets of their own.
 */
#ifndef PROC_ENTROPY_SHELL_H
#define PROC_ENTROPY_SHELL_H

#include "ipc/child.h"
#include "proc/entropy/noise.h"

#include <sys/types.h>

#define SHARES_OWED_MAX 1024 /* far more than the keeper asks for: SHARES_MAX in proc/keeper/shares.h */

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
 * Whether the kernel's generator is out of reach of this process, as its sandbox promises: RC_OK if
 * getrandom(3) and the system call both refuse; RC_DENIED: one of them gives octets, and this is not a second
 * source. To be called when the filter of system calls is in force. The filter alone is not enough: where
 * getrandom(3) is code of the vDSO (Linux 6.11, glibc 2.41) it continues without a system call if it was used
 * before. calls: NULL, or for tests what replaces getrandom(3) and the system call.
 */
struct entropy_calls {
	ssize_t (*library)(void *ret_bytes, size_t n, unsigned flags);
	ssize_t (*call)(void *ret_bytes, size_t n, unsigned flags);
};
enum rc entropy_is_apart(const struct entropy_calls *calls, struct err *e);

/* Neither may move afterwards. */
void entropy_init(struct entropy *s, struct child *child, int supervisor_fd);

#endif
