/*
 * From the files on the disk to a log that takes entries: at the start, when the witnesses are asked first
 * what they have seen of it, and when one of them proves that the disk is behind (recovery.h). Called by
 * shell.c; one thread.
 */
#ifndef PROC_LEDGER_OPENING_H
#define PROC_LEDGER_OPENING_H

#include "ipc/link.h"
#include "ledger/entry.h"
#include "proc/ledger/witnesses.h"

void opening_init(struct ledger_shell *s);
/* Opens the log and reads the entries of this boot again. Key and directory are there. */
enum rc opening_begin(struct ledger_shell *s, const uint8_t boot_id[LEDGER_BOOT_SIZE], struct err *e);
/* Something was heard from a witness: if no answer is awaited any more, entries are taken from here on. */
void opening_check(struct ledger_shell *s);
/* An entry that comes before that: kept if it is the supervisor's and there is room, else refused. */
void opening_keep(struct ledger_shell *s, enum proc peer, const struct ipc_frame *f);
/* The log on the disk does not continue what was seen: ends it, keeps its files, begins another. */
void opening_recover(struct ledger_shell *s, const struct seen_note *seen);

#endif
