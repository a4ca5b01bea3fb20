/*
 * The ledger's process: appends what the others send, signs, and answers when it is durable.
 *
 * All appends that are waiting when a round of the loop ends go to the disk together: one write, one sync,
 * then the receipts. Tiles and the checkpoint follow within a second (or when many entries wait). With a
 * full or failing disk entries are refused, and the next append tries again; the refused numbers of each
 * source are entered first.
 *
 * Before anything is entered, the witnesses are asked what they have seen of this log (opening): the
 * answers, or OPENING_NS, are waited for, and meanwhile only the supervisor's messages are read. When one
 * proves that the log on the disk is not a continuation of what it has seen, a new log begins, with a name
 * of its own, and its ledger_recovery says why (recovery.h).
 *
 * The sender is who its socket belongs to. Per boot and source the numbers in the log have no gap that is
 * not stated: numbers that a source left out or that were refused are entered as counter_gap before
 * anything later of it (ledger/counters.h). One thread.
 */
#ifndef PROC_LEDGER_SHELL_H
#define PROC_LEDGER_SHELL_H

#include "ipc/child.h"
#include "ledger/counters.h"
#include "proc/ledger/peers.h"
#include "proc/ledger/recovery.h"
#include "proc/ledger/sealer.h"
#include "proc/ledger/files.h"
#include "proc/ledger/witnesses.h"

#define PUBLISH_EVERY_NS    NS_PER_S
#define PUBLISH_PRIORITY_NS (NS_PER_S / 4) /* for entries of LEDGER_PRIORITY, when there are witnesses */
#define PUBLISH_ENTRIES	    2048u

#define OPENING_NS	(3 * NS_PER_S) /* for the witnesses' answers at the start */
#define OPENING_ENTRIES 32	       /* of the supervisor, that wait meanwhile */

#define NUMBERS_AHEAD_MAX (1ull << 32) /* refused ones, while the disk is full */
#define NUMBER_MAX	  (1ull << 62)

struct waiting {
	enum proc source;
	uint64_t tag, index;
	uint32_t run;
	uint64_t n;
	uint8_t said[SHA256_SIZE];
	bool required; /* the receipt waits for the witnesses */
};

/* What came from the supervisor while the witnesses were asked. */
struct early {
	uint64_t tag;
	struct msg_ledger_append m;
};

/* Numbers of a source that were refused since its last entry. */
struct refused {
	uint32_t run;
	uint64_t last;
	char why[128];
};

struct ledger_shell {
	struct child *child;
	struct ledger_files store;
	struct ledger_store files; /* over store */
	struct sealer sealer;
	struct ledger_log *log;
	struct note_key key;
	uint8_t seed[ED25519_SEED_SIZE];
	int dir;
	bool have_key;
	char directory[sizeof((struct msg_start *)0)->state_path];
	struct ledger_opened opened;
	bool announced;			    /* ledger_start of this run is durable */
	struct ledger_counters counters;    /* with the open batch */
	struct ledger_counters durable;	    /* without */
	struct refused refused[PROC_COUNT]; /* last 0: none */
	struct ledger_recent recent[PROC_COUNT];
	uint64_t own_n, own_durable;
	uint64_t stated; /* index of the last LEDGER_COUNTERS of this boot, or of its begin */
	bool stating;	 /* one is in the open batch */
	mono_ns progress_at;
	uint64_t last_mono_us;
	struct timer commit, publish, opening_over;
	bool opening;  /* the witnesses' first answers are awaited */
	bool priority; /* an entry of LEDGER_PRIORITY is not published yet */
	struct early early[OPENING_ENTRIES];
	size_t early_n;
	struct witnesses witnesses;
	struct peers peers;
	struct recovery recovery;
	struct waiting waiting[LEDGER_BATCH_MAX];
	size_t waiting_n, waiting_seen; /* seen: when the commit was due last */
	uint64_t commits, failures;
	mono_ns outage_since, outage_logged; /* entries cannot be taken; 0: they can */
	utc_us last_checkpoint;
};

void ledger_shell_init(struct ledger_shell *s, struct child *c);
extern const struct child_ops ledger_shell_ops;

#endif
