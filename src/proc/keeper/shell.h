/*
 * The shell of src/keys: files, the sources of secrets and of public values, locked memory, receipts,
 * messages. Single thread, poll loop of ipc/child.h. The keeper has links to ike, dataplane, ledger, control,
 * entropy and the supervisor; it has the key directory, the known answers and getrandom(3), and no network
 * socket. Callers: main.c, and tests over sockets of their own.
 */
#ifndef PROC_KEEPER_SHELL_H
#define PROC_KEEPER_SHELL_H

#include "ipc/child.h"
#include "proc/keeper/failed.h"
#include "proc/keeper/keydir.h"
#include "proc/keeper/leaves.h"
#include "proc/keeper/public_values.h"
#include "ipc/snapshot_file.h"

/* Entries of refused requests and of failed authentication: a burst, then one in this time. */
#define REFUSALS_BURST	  20
#define REFUSALS_EVERY_NS (5 * NS_PER_S)

struct refusals {
	uint32_t left; /* that may be entered now */
	mono_ns at;    /* when `left` was last computed; 0: never */
	uint64_t left_out;
};

/* More than any call with secrets on the stack uses; locked, as are the keys and struct keeper. */
#define STACK_LOCKED (256 * 1024)

struct keeper {
	struct child *child;
	struct keys *keys;
	struct shares shares;
	struct leaves leaves;
	struct public_source public_values;
	struct failed failed;
	struct refusals refusals;
	bool started;
	int key_dir, answers; /* -1: not handed over yet */
	struct keydir keydir;
	struct snapshot_file snapshot;
	uint64_t verdicts_dropped;
	struct timer second; /* while requests wait for verdicts */
};

/* RC_INTERNAL: a library failed to start, or out of memory. k and child must not move afterwards. */
enum rc keeper_init(struct keeper *k, struct child *child, int supervisor_fd, struct err *e);

#endif
