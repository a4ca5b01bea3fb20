/*
 * A real ledger, made by src/ledger and its sealer in a directory that is removed again, and taken into
 * memory: two boots, two epochs of seals, stated gaps, PUBLISHED entries in tiles and JOURNALED behind them.
 */
#ifndef TEST_VERIFY_FIXTURE_H
#define TEST_VERIFY_FIXTURE_H

#include "../ledger/ledger_fixture.h"
#include "../ledger/memory.h"

#include "ledger/seal.h"

#define PUBLISHED 600u
#define EPOCH_2	  330u /* index of the second boot's first entry */
#define JOURNALED 24u

extern struct memory good;   /* as it was written */
extern struct memory before; /* the same ledger when it had 500 entries */
extern struct note_key key;
/* The one-time keys that were left in the ledger's memory in the end. */
extern struct seal_epoch left_epoch;
extern size_t entry_at[PUBLISHED]; /* where the entry begins in its bundle */

/* For cmocka: set up and torn down once. */
int ledger_make(void **state);
int ledger_unmake(void **state);

#endif
