/*
 * The one-time keys of the ledger at work (ledger/seal.h): memory that is locked and wiped, files, the change
 * from one epoch to the next. Called by shell.c; one thread.
 */
#ifndef PROC_LEDGER_SEALER_H
#define PROC_LEDGER_SEALER_H

#include "ledger/log.h"
#include "ledger/seal.h"

struct sealer {
	int dir; /* the ledger's, borrowed */
	const struct ledger_store *store;
	struct seal_epoch *epoch;  /* in use; NULL before the first */
	struct seal_epoch *coming; /* made, and not in the log yet */
	bool pending;		   /* the record below is not surely on the disk */
	uint8_t record[SEAL_RECORD_SIZE];
	struct checkpoint sealed; /* the last one */
};

void sealer_init(struct sealer *s, int dir, const struct ledger_store *store);
void sealer_done(struct sealer *s);
/* Is a new epoch due with the next batch? */
bool sealer_due(const struct sealer *s);
/* Makes the keys of the coming epoch, unless that is done, and its durable files. Its entry follows, by the
 * caller. */
enum rc sealer_prepare(struct sealer *s, struct merkle_hash *ret_root, struct err *e);
/* The coming epoch's entry is durable: its keys sign from now on, those of the old one are gone. */
void sealer_change(struct sealer *s);
/* Signs, erases the key, and makes the record durable. On failure the same record is tried again next time.
 */
enum rc sealer_seal(struct sealer *s, const struct checkpoint *c, struct err *e);

#endif
