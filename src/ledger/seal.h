/*
 * Forward-secure checkpoints: each published checkpoint is signed a second time with a one-time key that
 * is erased at once. The public halves of an epoch's keys were committed before their first use: their
 * Merkle root stands in an entry (seal_epoch). An intruder who takes the machine later has the ledger's
 * key and the remaining one-time keys, but none of those that signed earlier checkpoints: these cannot be
 * signed again, and anyone can check that without a secret.
 *
 * An epoch lasts from a start of the ledger to its end, or for SEAL_KEYS checkpoints; its secrets are in
 * memory only. Below the ledger's directory:
 *
 * - seal/<epoch>.keys, where <epoch> is the first 16 digits of the root: SEAL_KEYS public keys, 32 octets each;
 *   a leaf of the epoch's tree is one key;
 * - seal/<epoch>.seals: records, one per checkpoint, in order: u32 index | u64 size | root (32) | signature (64).
 *
 * The signed text: "plaingate/seal/v1" LF, the epoch's root in hex LF, index LF, the text of the checkpoint.
 *
 * What it proves: from seal 0 on no seal is missing, and the log has at each sealed size the root that was
 * sealed then. Where it ends: the last seals can be cut off together with the entries after them; only a
 * witness that saw a later checkpoint knows.
 *
 * Pure. Callers: proc/ledger (makes), src/verify (checks).
 */
#ifndef LEDGER_SEAL_H
#define LEDGER_SEAL_H

#include "base/rd.h"
#include "merkle/note.h"

#define SEAL_KEYS	 4096 /* of one epoch: more than an hour at one a second */
#define SEAL_SEED_SIZE	 32
#define SEAL_RECORD_SIZE 108
#define SEAL_PATH_MAX	 40

/* An epoch at work. It must be locked in memory, and wiped with seal_epoch_end(). */
struct seal_epoch {
	uint32_t next;		 /* index of the key that signs next; SEAL_KEYS: used up */
	struct merkle_hash root; /* of the public keys */
	uint8_t seeds[SEAL_KEYS][ED25519_SEED_SIZE];
	uint8_t publics[SEAL_KEYS][ED25519_PUBLIC_SIZE];
};

/* All keys from one seed, which the caller wipes. Takes some tenths of a second. RC_INTERNAL: libcrypto. */
enum rc seal_epoch_begin(struct seal_epoch *ret_epoch, const uint8_t seed[SEAL_SEED_SIZE]);
/* Signs with the next key and erases it. RC_LIMIT: used up. */
enum rc seal_sign(struct seal_epoch *epoch, const struct checkpoint *c, uint8_t ret_record[SEAL_RECORD_SIZE]);
void seal_epoch_end(struct seal_epoch *epoch);

/* "seal/0123456789abcdef.keys" and ".seals" */
char *seal_path_keys(char ret_path[SEAL_PATH_MAX], const struct merkle_hash *epoch_root);
char *seal_path_seals(char ret_path[SEAL_PATH_MAX], const struct merkle_hash *epoch_root);

struct seal {
	uint32_t index;
	uint64_t size;
	struct merkle_hash root;
	const uint8_t *signature; /* 64 octets, in the record */
};

/* RC_OK; RC_NOT_FOUND: the end; RC_TRUNCATED. */
enum rc seal_next(struct rd *r, struct seal *ret_seal);
/* The root of an epoch from its file of keys, SEAL_KEYS * 32 octets. */
struct merkle_hash seal_keys_root(const uint8_t *keys);
/* RC_OK, or RC_AUTH: not signed by this key. public_key: the one at seal->index of the epoch's file. */
enum rc seal_check(const struct seal *seal, const char *origin, const struct merkle_hash *epoch_root,
	const uint8_t public_key[ED25519_PUBLIC_SIZE]);

#endif
