/* A key and entries for tests of the ledger: the same at every run. */
#ifndef TEST_LEDGER_FIXTURE_H
#define TEST_LEDGER_FIXTURE_H

#include "ledger/entry.h"
#include "merkle/note.h"

extern const uint8_t fixture_seed[ED25519_SEED_SIZE];
struct note_key fixture_key(void);

/*
 * An entry of supervisor in its run 0 whose number is its index, a microsecond after the one before it; index
 * 0 is the ledger_start that a boot begins with. `extra` characters make it longer. Returns its length.
 */
size_t fixture_entry(char ret_text[LEDGER_ENTRY_MAX], uint64_t index, size_t extra);

#endif
