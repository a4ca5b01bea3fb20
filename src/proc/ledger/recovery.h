/*
 * What a log is called, and how one ends that witnesses have seen further than the disk has it.
 *
 * A log has the name plaingate/ledger/<first 16 digits of SHA-256 of its key>. A log that begins after a
 * recovery has the same key and the name with "/<time>" after it, so that no tree of the one can be taken
 * for a tree of the other. Which of them a directory holds says its log.vkey.
 *
 * The files of the log that ended are moved, not changed, to before/<time>/, beside the witness's note that
 * the disk does not continue ("seen") and what ledger_recovery will say ("epoch", this program's own form),
 * which a start that finds the new log empty reads again. Their order is such that a crash at any point
 * leaves a directory in which the next start finds the same as this one did.
 */
#ifndef PROC_LEDGER_RECOVERY_H
#define PROC_LEDGER_RECOVERY_H

#include "base/clock.h"
#include "merkle/note.h"
#include "proc/ledger/witnesses.h"

/* The log that ended: what ledger_recovery says. */
struct recovery {
	bool pending; /* the entry is not durable yet */
	char origin[NOTE_NAME_MAX], archive[64];
	uint64_t size;
	struct merkle_hash root;
	struct seen_note seen;
};

/* The name of this key's first log. ret_origin holds NOTE_NAME_MAX. */
char *recovery_origin(char *ret_origin, const uint8_t public_key[ED25519_PUBLIC_SIZE]);

/* The name that the directory's log.vkey has, if it is one of this key's; else the key stays as it is. */
void recovery_name(int dir, struct note_key *key);

/*
 * Moves the log's files away and gives the key the new log's name. No file of the log is open. Sets
 * r->archive: "before/<time>". On RC_IO some files may be moved already; then nothing may be written before
 * the next start.
 */
enum rc recovery_archive(int dir, struct recovery *r, utc_us now, struct note_key *key, struct err *e);

/* What was to be entered when the log of this name was begun. False: it was not begun by a recovery, or that
 * is lost. */
bool recovery_recall(int dir, const struct note_key *key, struct recovery *ret);

#endif
