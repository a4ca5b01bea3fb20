/*
 * Ephemeral keys by cut and choose (crypto/leaf.h): batches of leaves, made in advance while the keeper is
 * otherwise idle, one leaf in a round of the loop.
 *
 *   making      leaves are made of pairs of shares as these come
 *   committing  the root is being entered
 *   listing     the hashes of all leaves are being entered
 *   asking      the ledger is asked which witnesses have cosigned a checkpoint that covers these entries
 *   challenging what the challenge is derived from is being entered; then everybody can verify the batch
 *   opening     the shares of the leaves that the challenge picks are being entered
 *   ready       the other leaves may be used, each once; its shares are wiped with its use
 *
 * One batch is in use while the next one is made. An entry that the ledger refuses is tried again every
 * LEAVES_RETRY_NS, with the same root. The challenge is derived from the root and the cosignatures; from the
 * root alone if there are no witnesses, or none answers within LEAVES_COSIGNED_NS.
 *
 * An exchange that finds no leaf waits while a batch is under way. If the ledger refuses entries, or if
 * leaves are asked for faster than LEAVES_BURST and LEAVES_EVERY_NS allow, it gets a secret of a fresh pair
 * of shares, without a leaf: its entry says so, and the verifier counts it. Otherwise anybody who begins many
 * exchanges, or a full disk, could stop the rekeys of established tunnels, or fill the disk with batches: one
 * is some 16 KB of entries.
 *
 * A batch ends with the process: the first one of a keeper states that it follows none ("previous"). One
 * thread. Callers: shell.c, failed.c, entry.c, tests.
 */
#ifndef PROC_KEEPER_LEAVES_H
#define PROC_KEEPER_LEAVES_H

#include "keys/keys.h"
#include "merkle/tree.h"
#include "proc/keeper/shares.h"

#define LEAVES_N	   256
#define LEAVES_OPENED	   64
#define LEAVES_DEPTH	   8 /* of the tree: 2^8 leaves */
#define LEAVES_BATCHES	   4 /* the one in use, the next, and two whose last exchanges may still be entered */
#define LEAVES_RETRY_NS	   (5 * NS_PER_S)
#define LEAVES_COSIGNED_NS (3 * NS_PER_S) /* longer than proc/ledger/cosigned.h takes */
#define LEAVES_BURST	   8		  /* batches that may be begun at once */
#define LEAVES_EVERY_NS	   (2 * NS_PER_S) /* then one in this time */

_Static_assert(LEAVES_N == 1 << LEAVES_DEPTH && LEAVES_N <= LEAF_COUNT_MAX, "a full tree");

enum batch_state {
	BATCH_NONE,
	BATCH_MAKING,
	BATCH_COMMITTING, /* from here to BATCH_OPENING: waits for receipts, or for the next try */
	BATCH_LISTING,
	BATCH_ASKING, /* waits for the ledger's answer */
	BATCH_CHALLENGING,
	BATCH_OPENING,
	BATCH_READY,
	BATCH_OVER, /* no leaf may be used any more; what is public is kept for entries */
};

/* All of it public; the shares are in struct leaves, in locked memory. */
struct leaf_batch {
	enum batch_state state;
	uint32_t serial; /* from 1 in this process */
	uint32_t groups; /* bits of crypto/leaf.h */
	uint32_t made;
	uint32_t next, used; /* where to look for the next leaf; how many were used */
	uint32_t awaited;    /* receipts that entries wait for */
	uint64_t entered;    /* the highest index of a receipt */
	bool refused;	     /* one of the entries was refused */
	bool stuck;	     /* the ledger refused it at the last try */
	bool opened[LEAVES_N];
	uint32_t picked[LEAVES_OPENED];
	char later[COSIGNED_TEXT_MAX + 1]; /* what the challenge is derived from, with the root */
	uint8_t data[LEAVES_N][LEAF_DATA_MAX];
	/* [1]: root; [i]: above [2i] and [2i + 1]; leaves from [LEAVES_N] */
	struct merkle_hash tree[2 * LEAVES_N];
};

struct leaf_shares {
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE];
};

struct leaves {
	struct child *child;
	struct shares *source;
	uint32_t groups; /* that the configuration uses. An exchange of another group waits: ike may have the
			    next configuration a moment earlier */
	uint32_t last_serial;
	uint32_t allowance;			/* batches that may be begun now */
	mono_ns allowance_at;			/* when the allowance was last computed; 0: never */
	struct leaf_batch *current, *following; /* NULL: none */
	struct timer make, retry, cosigned;
	ledger_receipt_fn *on_receipt;
	void (*progress)(
		struct leaves *l); /* a batch became ready, or is stuck: exchanges that wait may ask again */
	uint8_t last_root[SHA256_SIZE]; /* of the batch that was entered last */
	bool any_entered;
	struct leaf_batch *batch; /* LEAVES_BATCHES of them */
	/* By batch; zero when used, opened or not made yet. */
	struct leaf_shares shares[LEAVES_BATCHES][LEAVES_N];
};

/* What an entry states about its leaf; all of it public. */
struct leaf_proof {
	uint32_t groups; /* 0: no leaf */
	uint32_t index;
	uint8_t root[SHA256_SIZE];
	uint8_t data[LEAF_DATA_MAX];
	uint8_t path[LEAVES_DEPTH][SHA256_SIZE]; /* from the sibling up */
};

/*
 * child and source outlive it; it must not move. on_receipt: gets the ledger's receipts, with the struct
 * child as context, and gives them to leaves_receipt(). RC_LIMIT: out of memory.
 */
enum rc leaves_init(struct leaves *l, struct child *child, struct shares *source,
	ledger_receipt_fn *on_receipt, void (*progress)(struct leaves *l));
/* Groups of the configuration. A batch that lacks one of them is discarded, and another one is made. */
void leaves_configure(struct leaves *l, uint32_t groups);
/* There may be shares now: continues making. */
void leaves_resume(struct leaves *l);
/* The ledger's link is up again: tries at once. */
void leaves_retry(struct leaves *l);
/* A source of entropy has failed: what was made of it is not used. */
void leaves_discard(struct leaves *l);

/*
 * The secret of a leaf for an exchange of the group, and what additional key exchanges are made of (crypto/leaf.h).
 * RC_OK; RC_AGAIN: a batch is under way, the exchange may
 * wait; RC_NOT_FOUND: there is none to wait for; RC_INTERNAL.
 */
enum rc leaves_ready(const struct leaves *l, uint16_t group);
enum rc leaves_take(struct leaves *l, uint16_t group, uint8_t ret_secret[DH_SEED_SIZE],
	uint8_t ret_additional[LEAF_SEED_SIZE], struct leaf_name *ret_name);
/* The public value of a secret that was taken; NULL: its leaf is not known, or has only its digest. */
const uint8_t *leaves_public(const struct leaves *l, const struct leaf_name *name, uint16_t group);
/* ret_proof->groups is 0 when the batch is no longer known. */
void leaves_prove(const struct leaves *l, const struct leaf_name *name, struct leaf_proof *ret_proof);

/* The ledger's receipt for an entry. */
void leaves_receipt(struct leaves *l, uint64_t tag, const struct msg_ledger_receipt *r);
/* Its answer to COSIGNED_ASK. */
void leaves_cosigned(struct leaves *l, uint64_t tag, const struct msg_cosigned *m);

/* The root of a batch; NULL: it is no longer known. */
const uint8_t *leaves_root(const struct leaves *l, uint32_t serial);

/* The keeper ends: enters what was left unused, and wipes it. */
void leaves_done(struct leaves *l);
/* Frees what leaves_init() allocated; after leaves_done(). */
void leaves_free(struct leaves *l);

#endif
