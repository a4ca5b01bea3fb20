/*
 * The keeper's source of public values: nonces and SPIs are forced by a verifiable random function, so that
 * none of them can carry the state of another generator or a hidden message (docs/threat-model.md).
 *
 * An epoch has one key. Its public key stands in the ledger, with a receipt, before the first value leaves;
 * until then requests wait here. When it has forced PUBLIC_EPOCH_COUNT values the next one is entered; it
 * goes on until that has its receipt, so that a ledger that is down or full does not stop rekeys. Then, or
 * when the keeper stops in order, its secret scalar is disclosed in the ledger: then every value that it forced
 * can be recomputed by anyone, also those of exchanges that came to nothing. The one choice that remains, the
 * epoch's key, comes from a generator that shares no state with that of secrets. A keeper that is killed
 * cannot lay its key open; the proofs in its entries stand.
 *
 * One thread. Caller: shell.c.
 */
#ifndef PROC_KEEPER_PUBLIC_H
#define PROC_KEEPER_PUBLIC_H

#include "crypto/vrf.h"
#include "ipc/child.h"
#include "keys/keys.h"
#include "proc/keeper/generator.h"

#define PUBLIC_EPOCH_COUNT  65536
#define PUBLIC_CHANGE_EVERY 256 /* values between two tries to enter the next epoch's key */
#define PUBLIC_WAITING_MAX  64

enum public_state {
	PUBLIC_NONE,	/* no key, or one that the ledger does not know */
	PUBLIC_ASKED,	/* its entry is on the way */
	PUBLIC_ENTERED, /* values may leave */
};

/* A request that waits for its epoch: EXCHANGE_BEGIN or CHILD_BEGIN, without the room that others need. */
struct public_waiting {
	enum keeper_op op;
	uint64_t tag;
	struct keeper_exchange_begin exchange;
	struct keeper_child_begin child;
};

struct public_source {
	struct child *child;
	ledger_receipt_fn *on_receipt;
	struct generator generator; /* of epochs' keys, and of nothing else */
	enum public_state state;
	uint64_t entry_tag; /* of the entry that is on the way; never that of an older one */
	struct vrf_key key;
	uint32_t count;			     /* values forced by the key */
	uint32_t epoch;			     /* from 1; grows with each key that is in force */
	uint8_t key_before[VRF_PUBLIC_SIZE]; /* public key of the epoch before, for entries about it */
	bool changing; /* the entry that is on the way is that of `next`; `key` is in force */
	struct vrf_key next;
	size_t waiting_n;
	struct public_waiting waiting[PUBLIC_WAITING_MAX];
};

/*
 * child outlives it and must not move. on_receipt: gets the ledger's receipts, with the struct child as context, and
 * gives them to public_receipt().
 */
void public_init(struct public_source *p, struct child *child, ledger_receipt_fn *on_receipt);
/* Makes sure that an epoch is begun or on its way. RC_IO: the ledger is away; RC_INTERNAL: no random octets.
 */
enum rc public_begin(struct public_source *p, struct err *e);
/*
 * The values of one exchange. RC_OK; RC_AGAIN: the epoch's receipt is not here, the request may wait; else as
 * public_begin(). ret_octets is PUBLIC_SIZE long.
 */
enum rc public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE], struct public_proof *ret_proof,
	struct err *e);
/* Keeps the request until the receipt comes; false: too many wait. */
bool public_wait(struct public_source *p, const struct keeper_request *q);
/* The one that has waited longest; false: none does. */
bool public_wait_next(struct public_source *p, struct keeper_request *ret_request);
/* The ledger's answer to an entry. True: those that wait may be taken up now, with values (RC_OK) or without.
 */
bool public_receipt(struct public_source *p, uint64_t tag, enum rc rc);
/* The public key of an epoch; NULL: not this one nor the one before. */
const uint8_t *public_epoch_key(const struct public_source *p, uint32_t epoch);
/* Lays the epoch's key open and wipes it. */
void public_end(struct public_source *p);

#endif
