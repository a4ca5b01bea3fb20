/* Limits of verification, each with its reason. Private to src/verify; those of its interfaces are in
 * verify.h. */
#ifndef VERIFY_LIMITS_H
#define VERIFY_LIMITS_H

/* ---- the walk ---- */

/* Readings of a ledger that is written to meanwhile: a finding is one only if nothing has changed. */
#define VERIFY_PASSES_MAX	 6
/* Logs that ended in a recovery, one before the other: each is a walk within the walk of the next. */
#define VERIFY_ENDED_MAX	 16
/* The two clocks of an entry are read one after the other: the time between the two readings is less than
 * this. */
#define VERIFY_CLOCK_STEP_US_MIN 100000

/* ---- randomness ---- */

/* Values of an epoch. Far more than one should have: it continues while the ledger is away, and strangers can
 * begin thousands of exchanges a second meanwhile. */
#define VERIFY_COUNTS_MAX  (1u << 22)
/* The epoch of an entry is at most so many back: an entry may be late. */
#define VERIFY_EPOCHS_BACK 4
/* RFC 4303 section 2.1: SPIs below are reserved. */
#define VERIFY_SPI_MIN	   256
/* Entries between a commitment and the checkpoint that its challenge is derived from: so many trees are
 * kept. */
#define VERIFY_TREES_MAX   4096

/* ---- tables ---- */

/* Slots of the smallest table of digests, and how many are probed for one key: random keys need far fewer,
 * even in the fullest table. */
#define VERIFY_DIGEST_SLOTS_MIN	 64
#define VERIFY_DIGEST_PROBES_MAX 4096

#endif
