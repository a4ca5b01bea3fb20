/*
 * What somebody can do to a ledger, and what detects it: one table, from which the test runs every attack
 * (matrix.c) and the page is generated (docs/tamperings.md).
 *
 * An attack makes many tamperings. `from` is the least that one must have to detect each of them; with
 * anything less none of them may be detected, so that the limits are tests too. NOBODY: not detected by anyone.
 * `by`: the checks that may name it, classes of verify/verify.h.
 */
#ifndef TESTS_TAMPER_ATTACKS_H
#define TESTS_TAMPER_ATTACKS_H

#include "verify/verify.h"

/* clang-format off */
#define MATERIALS(M)	/* id, text; each includes those before */								\
	M(DISK,    "the directory alone")										\
	M(KEY,     "the verifier key, recorded elsewhere")								\
	M(POLICY,  "a policy file: the witnesses' keys")								\
	M(HEAD,    "an older checkpoint, kept elsewhere")								\
	M(WITNESS, "the checkpoint that the witnesses cosigned last")						\
	M(NOBODY,  "not detected")

/* Octets and files, by somebody without a key. */
#define ATTACKS_FILES(A) /* id, tamperings at least, from, by, text */							\
	A(KEY_BITS,         600, DISK, BY(KEY), "any bit of `log.vkey`")						\
	A(HEAD_BITS,       1000, DISK, BY(CHECKPOINT) | BY(SIGNATURE), "any bit of the checkpoint and the ledger's signature")	\
	A(ENTRY_BITS,      1800, DISK, BY(ENTRY), "a bit of an entry; the entry is named")				\
	A(LENGTH_BITS,      600, DISK, BY(ENTRY) | BY(ENTRY_BUNDLE), "a bit of an entry's length")				\
	A(TILE_BITS,        900, DISK, BY(TILE), "a bit of a tile; the place is named")					\
	A(COPY_BITS,        200, DISK, BY(TILE) | BY(ENTRY_BUNDLE), "a bit of an older partial tile or bundle")		\
	A(JOURNAL_BITS,     700, DISK, BY(JOURNAL), "a bit of the journal")						\
	A(JOURNAL_SUMMED,   300, DISK, BY(JOURNAL) | BY(ENTRY) | BY(COUNTER) | BY(TIME) | BY(CHECKPOINT) | BY(SIGNATURE), \
	  "a bit of the journal, with the checksum recomputed")									\
	A(SEAL_BITS,        600, DISK, BY(SEAL), "a bit of a seal")							\
	A(SEAL_KEY_BITS,    100, DISK, BY(SEAL), "a bit of the one-time public keys")					\
	A(FILE_CUT,         400, DISK, BY(ANYTHING), "any file cut short, in the middle of a record")			\
	A(FILE_LONGER,       50, DISK, BY(ANYTHING), "any file with an additional octet, other than seals")			\
	A(FILE_GONE,         12, DISK, BY(ANYTHING), "a missing file")						\
	A(ENTRY_SWAPPED,    190, DISK, BY(ENTRY), "an entry and the next one swapped")					\
	A(ENTRY_TWICE,      190, DISK, BY(ENTRY) | BY(COUNTER) | BY(ENTRY_BUNDLE), "a duplicated entry")		\
	A(ENTRY_REPLACED,   190, DISK, BY(ENTRY), "an entry replaced by another")					\
	A(ENTRY_REMOVED,    190, DISK, BY(ENTRY) | BY(COUNTER) | BY(ENTRY_BUNDLE), "an entry removed")			\
	A(ENTRY_HIDDEN,     190, DISK, BY(ENTRY) | BY(ENTRY_BUNDLE), "an entry swallowed by the length of the one before")	\
	A(TILE_SWAPPED,       4, DISK, BY(TILE) | BY(ENTRY) | BY(ENTRY_BUNDLE), "tiles and bundles exchanged")	\
	A(RECORD_REMOVED,     2, DISK, BY(JOURNAL), "a record removed from the middle of the journal")		\
	A(FOREIGN_HISTORY,   40, DISK, BY(ROOT), "another history in entries and tiles, under the signed checkpoint")

/* The whole earlier state: no key is needed. */
#define ATTACKS_ROLLBACK(A)												\
	A(ROLLBACK,         400, HEAD, BY(HEAD), "an earlier state of the directory, older than the checkpoint that was kept") \
	A(ROLLBACK_BEHIND,  140, WITNESS, BY(HEAD), "an earlier state, newer than the checkpoint that was kept")	\
	A(JOURNAL_CUT,        3, NOBODY, 0, "whole records removed from the end of the journal: less than a second's entries")	\
	A(OLD_SEALS_CUT,     30, NOBODY, 0, "the last seals of an epoch that has ended removed")				\
	A(COPY_GONE,          3, NOBODY, 0, "a missing older partial tile: C2SP permits their removal")		\
	A(STRAY_FILES,       10, NOBODY, 0, "files that do not belong to the ledger: counted, not read")

/* By somebody with the ledger's private key, and with the one-time keys that remained when he came. */
#define ATTACKS_STOLEN(A)												\
	A(OTHER_KEY,         20, KEY, BY(KEY), "the whole ledger signed again with a key of the forger's own")		\
	A(SEALED_REWRITTEN, 250, DISK, BY(SEAL), "stolen ledger key: a sealed entry changed, all heads signed again")	\
	A(SEALS_TAKEN,      250, DISK, BY(SEAL), "the same, and the contradicting seals removed")		\
	A(RESEALED,         200, DISK, BY(SEAL), "the same, sealed again with the one-time key in use (CVE-2023-31439)")	\
	A(RESEALED_AS_DUE,  200, DISK, BY(SEAL), "the same, with that seal under the number that is due")			\
	A(CUT_AND_RESUMED,  200, DISK, BY(SEAL), "cut back, continued, sealed with the remaining one-time keys (CVE-2023-31438)")	\
	A(SEALED_HIDDEN,    250, DISK, BY(SEAL), "an entry left out, everything signed again (CVE-2023-31437)")			\
	A(UNSEALED_HIDDEN,   20, DISK, BY(COUNTER), "an entry left out of what is not sealed yet, signed again")		\
	A(OWN_EPOCH,         60, HEAD, BY(HEAD), "cut back, continued with one-time keys of the forger's own")	\
	A(OWN_EPOCH_BEHIND,  40, WITNESS, BY(HEAD), "the same, after the checkpoint that was kept")			\
	A(ALL_IN_JOURNAL,    40, HEAD, BY(HEAD), "changed after the previous epoch, and nothing published since: no seal is due") \
	A(UNSEALED_CHANGED,  20, NOBODY, 0, "an entry of the last second changed before its seal was made")

/* On the witnesses' lines of the checkpoint in the directory; the last two on what the witnesses themselves say. */
#define ATTACKS_COSIGNATURES(A)												\
	A(COSIGNATURE_BITS, 600, POLICY, BY(COSIGNATURE), "a bit of a cosignature: its key, time, signature; if all must have cosigned") \
	A(COSIGNED_MOVED,    40, POLICY, BY(COSIGNATURE), "cosignatures of another checkpoint of the same log")	\
	A(COSIGNER_UNKNOWN,   6, POLICY, BY(COSIGNATURE), "cosignatures by keys that the policy does not name, in place of some")	\
	A(COSIGNER_MISSING,   6, POLICY, BY(COSIGNATURE), "cosignatures removed, if all must have cosigned")	\
	A(SPLIT_VIEW,         9, WITNESS, BY(HEAD), "stolen ledger key: the witnesses were shown a history other than that of the directory") \
	A(ALL_WITNESSES,     20, NOBODY, 0, "cut back to a point after what was kept, with the keys of the ledger and of every witness")

#define ATTACKS(A) ATTACKS_FILES(A) ATTACKS_ROLLBACK(A) ATTACKS_STOLEN(A) ATTACKS_COSIGNATURES(A)
/* clang-format on */

#define BY(check)	BY_##check
#define BY_COSIGNATURE	(1u << VERIFY_COSIGNATURE)
#define BY_HEAD		(1u << VERIFY_HEAD)
#define BY_KEY		(1u << VERIFY_KEY)
#define BY_CHECKPOINT	(1u << VERIFY_CHECKPOINT)
#define BY_SIGNATURE	(1u << VERIFY_SIGNATURE)
#define BY_ENTRY_BUNDLE (1u << VERIFY_ENTRY_BUNDLE)
#define BY_TILE		(1u << VERIFY_TILE)
#define BY_ENTRY	(1u << VERIFY_ENTRY)
#define BY_ROOT		(1u << VERIFY_ROOT)
#define BY_COUNTER	(1u << VERIFY_COUNTER)
#define BY_TIME		(1u << VERIFY_TIME)
#define BY_JOURNAL	(1u << VERIFY_JOURNAL)
#define BY_SEAL		(1u << VERIFY_SEAL)
#define BY_ANYTHING	(((1u << VERIFY_CLASS_COUNT) - 1) & ~1u)

enum material {
#define E(id, text) id##_AT_HAND,
	MATERIALS(E)
#undef E
};

#endif
