/*
 * The core's tables and what its files share. Private to src/keys. Each file uses only those above it:
 *
 * sink.c, derive.c, identity.c    actions out; key derivation; our keys
 * journal.c, pending.c            entries; requests that are not answered yet
 * table.c                         IKE SAs and child SAs: places, handles, lookups
 * peer.c, tunnel.c                what the configuration allows
 * admit.c                         which request is admissible when
 * exchange.c, auth.c, child.c     the handlers of requests
 * keys.c                          requests, receipts and losses of links
 */
#ifndef KEYS_INTERNAL_H
#define KEYS_INTERNAL_H

#include "crypto/aead.h"
#include "crypto/dh.h"
#include "crypto/sign.h"
#include "keys/derive.h"
#include "keys/keys.h"

#include <stddef.h>

#define KEYS_ADMISSIBLE_TEXT_MAX 160 /* of the states in which a request is admissible */
#define KEYS_ID_TEXT_MAX	 160 /* of an identity in words */
#define KEYS_EXPIRE_EVERY	 256 /* values between two searches for exchanges that are too old */

enum identity_kind { IDENTITY_NONE, IDENTITY_PSK, IDENTITY_PPK, IDENTITY_PRIVATE };

struct keys_identity {
	uint32_t kind; /* enum identity_kind */
	uint32_t psk_n;
	uint8_t digest[SHA256_SIZE]; /* of the secret or our public key, to recognize another; never leaves */
	char name[NAME_MAX_BYTES];
	union {
		uint8_t psk[KEYS_PSK_MAX];
		struct sign_key sign;
	} u;
};

/* How a peer was configured when it authenticated. Compared with each later configuration. */
struct peer_proof {
	char name[NAME_MAX_BYTES], key_name[NAME_MAX_BYTES];
	/* Halves of digests: they tell another key, and locked memory is scarce. */
	uint8_t own_key[SHA256_SIZE / 2]; /* of our key; a pre-shared key is both sides' */
	uint8_t ppk[SHA256_SIZE / 2];	  /* of the PPK, if its keys have one */
	uint8_t configured[SHA256_SIZE];  /* digest of the rest of its configuration */
};

enum ike_state {
	IKE_FREE,
	IKE_BEGUN,	   /* our public value is out */
	IKE_KEYED,	   /* SK_* derived; the peer is not authenticated, or its entry has no receipt yet */
	IKE_AUTHENTICATED, /* and its entry has its receipt */
};

struct keeper_ike_sa {
	uint32_t state; /* enum ike_state */
	uint32_t handle;
	uint32_t generation; /* of this place in the table: a stale handle does not find the next one here */
	uint32_t role;
	uint32_t parent; /* of a begun rekey: handle of the IKE SA that it rekeys */
	uint16_t dh_group, prf, encr, encr_bits;
	uint16_t nonce_n, ke_n, peer_nonce_n, peer_ke_n; /* ours, theirs */
	bool rekeyed;					 /* made by a rekey: its nonces are for no child SA */
	bool nonces_spent;  /* a child SA was derived from the nonces of IKE_SA_INIT */
	uint64_t verifying; /* tag of the entry of an AUTH_VERIFY that waits for its receipt; 0: none */
	bool named;	    /* an entry holds its values */
	bool ended;	    /* ike was told to end it */
	bool ppk;	    /* `sk` is made with the PPK (RFC 8784) */
	uint8_t spi_i[8], spi_r[8];
	uint8_t nonce[KEEPER_NONCE_SIZE], ke[KEYS_KE_MAX];
	uint8_t peer_nonce[KEEPER_NONCE_MAX], peer_ke[KEYS_KE_MAX];
	struct public_proof proof; /* of nonce and SPI */
	struct leaf_name leaf;	   /* of dh */
	struct dh_secret dh;
	struct ike_keys sk;		 /* without SK_e, which is ike's */
	char signed_for[NAME_MAX_BYTES]; /* the peer that our AUTH was made for */
	struct peer_proof peer;
	uint16_t method;
	struct endpoint local, remote;
	uint8_t id_type, id_n, id[128];
};

#define SPI_MIN 256 /* RFC 4303 2.1: 1 to 255 are reserved */

enum child_state { CHILD_FREE, CHILD_BEGUN, CHILD_INSTALLING, CHILD_INSTALLED, CHILD_REMOVING };

struct child_sa {
	uint32_t state; /* enum child_state */
	uint32_t handle, generation;
	uint32_t ike; /* handle of the IKE SA it was made in, which may have ended */
	uint32_t spi_in, spi_out;
	uint16_t dh_group, role;
	bool remove_later; /* to be removed when the data plane is back */
	bool named;	   /* an entry holds its values */
	char tunnel[NAME_MAX_BYTES];
	uint8_t nonce[KEEPER_NONCE_SIZE];
	struct public_proof proof; /* of nonce and SPI */
	struct leaf_name leaf;	   /* of dh */
	struct dh_secret dh;
};

enum pending_stage { PENDING_FREE, PENDING_RECEIPT, PENDING_DATAPLANE };

/*
 * A request of ike that is not answered yet. install holds keys between derivation and hand-over; signature
 * holds our AUTH until its entry is durable.
 */
/* Of an installation that waits: the selectors are no secret, and would fill the memory that the keeper may lock. */
struct waiting_selectors {
	struct selector local[SELECTORS_MAX], remote[SELECTORS_MAX];
};

struct pending {
	uint32_t stage; /* enum pending_stage */
	enum keeper_op op;
	uint64_t tag;
	char peer[NAME_MAX_BYTES]; /* whose share of the places it takes */
	uint32_t handle, child;
	bool orphan;	  /* the link to ike ended: no reply, no act */
	bool may_precede; /* may precede its entry: a rekey of a tunnel whose installation was entered */
	uint64_t entry_tag;
	uint32_t spi_in;
	struct keys_unused values; /* AUTH_VERIFY: what its entry names */
	_Alignas(
		8) uint8_t install[offsetof(struct sa_install, local_ts)]; /* its selectors: keys.selectors */
	struct keeper_auth_signed signature;
};

struct keys {
	struct keys_sink sink;
	bool emitting; /* the sink is being called */
	const struct snapshot *snapshot;
	bool dataplane_is_up;
	uint64_t next_entry_tag;
	uint64_t refused;
	uint64_t refused_tags[KEYS_REFUSED_MAX];
	/* Places of each table that were ever used; those after them were never written. */
	uint32_t ike_n, children_n, pending_n, identities_n;
	struct keeper_ike_sa ike[KEYS_IKE_MAX];
	struct child_sa children[KEYS_CHILDREN_MAX];
	struct pending pending[KEYS_PENDING_MAX];
	struct waiting_selectors *selectors; /* of each of `pending`; not locked */
	struct keys_identity identities[KEYS_IDENTITIES_MAX];
};

static inline void text_copy(char *ret_text, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(ret_text, text, n);
	memset(ret_text + n, 0, size - n);
}

/* Whether a handler has answered a request, or its reply comes later. */
enum outcome { ANSWERED, WAITING };

/* sink.c */
enum rc sink_emit(struct keys *k, struct keys_action *action); /* the sink's answer; wipes the action */
/* A reply with a result and nothing else. */
void sink_reply(struct keys *k, enum keeper_op op, uint64_t tag, enum rc rc, const char *text);

/* journal.c */
/* An entry with what is known of the IKE SA; without one: the kind and the reason alone. */
void entry_from_ike_sa(struct keys_entry *ret_entry, enum keys_entry_kind kind,
	const struct keeper_ike_sa *sa, const char *reason);
void journal_report(struct keys *k, const struct keys_entry *entry);
/* waiter gets the receipt later; RC_DENIED: it does not, the ledger is down. */
enum rc journal_gate(struct keys *k, const struct keys_entry *entry, struct pending *waiter, struct err *e);
/* The public values and the leaf of an exchange that ended are in no entry. */
void journal_unused(struct keys *k, const struct public_proof *proof, const struct leaf_name *leaf);
/* A peer's authentication failed. */
void journal_auth_failed(
	struct keys *k, const struct keeper_ike_sa *sa, const char *peer, const char *reason);
/* A request that ike should not have made. */
void journal_refused(struct keys *k, const struct keeper_ike_sa *sa, const char *tunnel, const char *reason);
/* The ledger answered the entry of a refused request, if it was one. */
void journal_refused_receipt(struct keys *k, uint64_t tag);

/* pending.c */
/* A place for a request of this peer. NULL, and *e: RC_AGAIN, too many wait already. */
struct pending *pending_new(struct keys *k, enum keeper_op op, uint64_t tag, const char *peer, struct err *e);
void pending_free(struct pending *p);
/* The reply that ends a request; none when the link to ike has ended. */
void pending_reply(struct keys *k, struct pending *p, enum rc rc, const char *text);
/* The request that waits for the data plane's answer about this SPI; NULL: none does. */
struct pending *pending_at_dataplane(struct keys *k, enum keeper_op op, uint32_t spi_in);

/* table.c. NULL: no such handle or SPI; of _new: no place is free. */
struct keeper_ike_sa *ike_sa_find(struct keys *k, uint32_t handle);
struct keeper_ike_sa *ike_sa_new(struct keys *k);
void ike_sa_free(struct keys *k, struct keeper_ike_sa *sa); /* and the child SAs begun in it */
struct child_sa *child_sa_find(struct keys *k, uint32_t handle);
struct child_sa *child_sa_find_by_spi(struct keys *k, uint32_t spi_in);
struct child_sa *child_sa_new(struct keys *k);
void child_sa_free(struct keys *k, struct child_sa *c);
/* Ends exchanges that began too long ago to be named (PUBLIC_ORDER_WINDOW). */
void exchanges_expire(struct keys *k, const struct public_proof *now);
/* A peer's nonce that is one of an exchange or child of ours, or begins or ends like one. */
bool nonce_is_ours(const struct keys *k, const uint8_t *nonce, size_t n);

/* identity.c */
const struct keys_identity *identity_find(const struct keys *k, const char *name, enum identity_kind kind);

/* peer.c */
const struct snap_peer *peer_by_index(const struct keys *k, uint32_t index);
const struct snap_peer *peer_by_name(const struct keys *k, const char *name);
/* The peer as it is configured now, and our key for it, and the PPK if the IKE SA's keys have it. */
void peer_proof_of(
	const struct keys *k, struct peer_proof *ret_proof, const struct snap_peer *peer, bool with_ppk);
/* The peer of the IKE SA authenticates the same way as it did; RC_DENIED. peer: NULL when it is gone. */
enum rc peer_is_unchanged(
	const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer, struct err *e);
enum rc peer_allows_proposal(
	const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa, struct err *e);
/* RC_LIMIT: the peer has as many IKE SAs as it may have. */
enum rc peer_has_room(const struct keys *k, const char *peer, struct err *e);

/* tunnel.c */
const struct snap_tunnel *tunnel_by_index(const struct keys *k, uint32_t index);
uint32_t tunnel_index(const struct keys *k, const char *name); /* INDEX_NONE: no such tunnel now */
/* What ike wants to install lies inside what is configured: proposals, selectors. */
enum rc tunnel_allows(const struct keys *k, const struct snap_tunnel *t, const struct keeper_child_install *q,
	struct err *e);

/* admit.c */
/*
 * Whether the request is admissible in the state of what it names (KEEPER_OPS); else its error, and its
 * entry.
 */
enum rc request_admit(struct keys *k, const struct keeper_request *q, struct err *e);

/* exchange.c */
enum rc exchange_begin(struct keys *k, const struct keeper_exchange_begin *q,
	const struct keys_entropy *fresh, struct keeper_exchange_begun *a, struct err *e);
enum rc exchange_finish(struct keys *k, const struct keeper_exchange_finish *q,
	struct keeper_exchange_finished *a, struct err *e);
enum rc exchange_drop(struct keys *k, const struct keeper_drop *q, struct err *e);

/* auth.c. _receipt: the receipt came (RC_OK), or will not come: do what was asked, or refuse. */
enum rc auth_sign(struct keys *k, const struct keeper_auth_sign *q, uint64_t tag,
	struct keeper_auth_signed *a, enum outcome *ret_outcome, struct err *e);
void auth_sign_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);
enum rc auth_verify(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);
void auth_verify_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);

/* child.c */
enum rc child_begin(struct keys *k, const struct keeper_child_begin *q, const struct keys_entropy *fresh,
	struct keeper_child_begun *a, struct err *e);
enum rc child_install(struct keys *k, const struct keeper_child_install *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);
void child_install_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);
enum rc child_remove(struct keys *k, const struct keeper_child_remove *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);

#endif
