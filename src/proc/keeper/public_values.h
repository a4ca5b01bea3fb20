/*
 * The keeper's source of public values: nonces and SPIs are derived by a verifiable random function (VRF), so
 * that none of them can carry the state of another generator or a hidden message (docs/threat-model.md).
 *
 * An epoch has one key. Its public key is in the ledger, with a receipt, before the first value leaves; until
 * then requests wait here. After PUBLIC_EPOCH_COUNT values the key of the next epoch is entered; the present
 * key stays in use until that entry has its receipt, so that a ledger that is down or full does not stop
 * rekeys. Then, or when the keeper is stopped, its secret scalar is disclosed in the ledger: everybody can
 * compute every value that it gave, those of failed exchanges included. The one choice that is left, the key
 * of the epoch, comes from a generator that shares no state with that of secrets. A keeper that is killed
 * cannot disclose its key; the proofs in its entries remain valid.
 *
 * One thread. Callers: shell.c, failed.c, tests.
 */
#ifndef PROC_KEEPER_PUBLIC_VALUES_H
#define PROC_KEEPER_PUBLIC_VALUES_H

#include "crypto/vrf.h"
#include "ipc/child.h"
#include "keys/keys.h"
#include "proc/keeper/generator.h"

#define PUBLIC_EPOCH_COUNT  65536
#define PUBLIC_CHANGE_EVERY 256 /* values between two tries to enter the key of the next epoch */
#define PUBLIC_WAITING_MAX  64	/* requests; beyond it ike is told to ask again */

enum public_state {
	PUBLIC_NONE,	/* no key, or one without an entry */
	PUBLIC_ASKED,	/* its entry waits for the receipt */
	PUBLIC_ENTERED, /* values may leave */
};

/* A request that waits for the epoch. Nothing in it is secret. */
struct public_waiting {
	enum keeper_op op; /* which of these it is */
	uint64_t tag;
	union {
		struct keeper_exchange_begin exchange;
		struct keeper_exchange_answer answer;
		struct keeper_child_begin child;
	} u;
};

struct public_source {
	struct child *child;
	ledger_receipt_fn *on_receipt;
	struct generator generator; /* of epochs' keys, and of nothing else */
	enum public_state state;
	uint64_t entry_tag; /* of the newest entry; a receipt with another tag is ignored */
	struct vrf_key key;
	uint32_t count;			     /* values derived with the key */
	uint32_t epoch;			     /* from 1; counts the keys that were in use */
	uint8_t key_before[VRF_PUBLIC_SIZE]; /* public key of the epoch before, for entries about it */
	bool changing; /* the entry that waits for its receipt is that of `next`; `key` is in use */
	struct vrf_key next;
	size_t waiting_n;
	/* PUBLIC_WAITING_MAX of them. Not locked: no secrets, and the peers' values are large. */
	struct public_waiting *waiting;
};

/*
 * child outlives it and must not move. on_receipt: gets the ledger's receipts, with the struct child as
 * context, and gives them to public_receipt(). RC_LIMIT: out of memory.
 */
enum rc public_init(struct public_source *p, struct child *child, ledger_receipt_fn *on_receipt);
/* Begins an epoch if there is none. RC_DENIED: the ledger is down; RC_IO: no random octets; RC_INTERNAL. */
enum rc public_begin(struct public_source *p, struct err *e);
/*
 * The values of one exchange. RC_OK; RC_AGAIN: the epoch has no receipt yet, the request may wait; else as
 * public_begin(). ret_octets is PUBLIC_SIZE long.
 */
enum rc public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE], struct public_proof *ret_proof,
	struct err *e);
/* Keeps the request until the receipt comes. False: too many wait. */
bool public_wait(struct public_source *p, const struct keeper_request *q);
/* The request that has waited for longest. False: none does. */
bool public_wait_next(struct public_source *p, struct keeper_request *ret_request);
/*
 * The ledger's receipt. True: requests that wait may be taken up now, with values (RC_OK) or to be refused.
 */
bool public_receipt(struct public_source *p, uint64_t tag, enum rc rc);
/* The public key of an epoch. NULL: neither the present nor the previous one. */
const uint8_t *public_epoch_key(const struct public_source *p, uint32_t epoch);
/* Discloses the key of the epoch and wipes it. */
void public_end(struct public_source *p);
void public_free(struct public_source *p);

#endif
