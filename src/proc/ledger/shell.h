/*
 * The ledger's process: appends what the others send, signs, and answers when it is durable.
 *
 * All appends that are waiting when a round of the loop ends go to the disk together: one write, one sync,
 * then the receipts. Tiles and the checkpoint follow within a second (or when many entries wait). A full or
 * failing disk is answered with a refusal, and the next append tries again; how many were refused is entered
 * first.
 */
#ifndef PROC_LEDGER_SHELL_H
#define PROC_LEDGER_SHELL_H

#include "ipc/child.h"
#include "ledger/entry.h"
#include "proc/ledger/store.h"

#define PUBLISH_EVERY_NS NS_PER_S
#define PUBLISH_ENTRIES	 256u

struct waiting {
	enum proc source;
	uint64_t tag, index;
};

struct ledger_shell {
	struct child *child;
	struct store store;
	struct ledger_log *log;
	struct note_key key;
	uint8_t seed[ED25519_SEED_SIZE];
	int dir;
	bool have_key;
	char directory[sizeof((struct msg_start *)0)->state_path];
	struct ledger_counter counter[PROC_COUNT];
	bool known[PROC_COUNT];	      /* the counter was seen since the link stands */
	uint64_t refused[PROC_COUNT]; /* not durable, not yet accounted for */
	char why[128];		      /* what the disk said */
	uint64_t own_n;
	uint64_t last_mono_us;
	struct timer commit, publish;
	struct waiting waiting[LEDGER_BATCH_MAX];
	size_t waiting_n;
	uint64_t commits, failures;
	utc_us last_checkpoint;
};

void ledger_shell_init(struct ledger_shell *s, struct child *c);
extern const struct child_ops ledger_shell_ops;

#endif
