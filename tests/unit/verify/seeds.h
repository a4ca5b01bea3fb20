/*
 * Signed inputs that the fuzzers of ledgers start from, made by the code as it is: a ledger whose entries
 * have an old form is refused before anything of interest is read. The key and the time are fixed, so the
 * octets are the same each time. Callers: make_seeds.c; the fuzzers take the sizes from here.
 */
#ifndef TEST_VERIFY_SEEDS_H
#define TEST_VERIFY_SEEDS_H

#include "../ledger/memory.h"

/* Of fixture_key(). */
#define SEED_VKEY "plaingate/ledger/test+c7c17317+AeKAR67K4rybcxv/MYzCB2K8HnqG8SsOg1keUZVvCjVw"

/* fuzz_verify: the sizes that are signed in `good` and `three`, and what makes its entries longer. */
#define SEED_SIZES	 { 3, 5, 7, 8 }
#define SEED_ENTRY_EXTRA 3

/* fuzz_evidence and fuzz_since: entries in tiles, and those after them in the journal. */
#define SEED_PUBLISHED 300u
#define SEED_JOURNALED 5u

/* The clock of whoever made them: `made` of a bundle, the time of files in an archive. */
#define SEED_CLOCK_US 1450400000000000ull

/* All of them; their paths begin below fuzz/. To be freed with memory_done(). */
struct memory seeds_make(void);
/* The seeds of fuzz_randomness. */
void seeds_randomness(struct memory *to);

#endif
