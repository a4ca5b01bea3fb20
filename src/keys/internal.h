/*
 * The core's tables and what its files share. Private to src/keys. Each file uses only those above it:
 *
 * sink.c, derive.c, index.c       actions out; key derivation; who is found by what
 * identity.c                      our keys
 * journal.c, pending.c            entries; requests that are not answered yet
 * verdict.c                       verdicts of the certifiers, and what waits for them
 * tunnel.c                        what the configuration allows of child SAs
 * table.c                         IKE SAs and child SAs: places, handles, lookups
 * instance.c                      who uses a template, and with which addresses
 * peer.c                          what the configuration allows of IKE SAs
 * inherit.c                       what the rekey of an IKE SA takes over
 * admit.c, signature.c            which request is admissible when; signatures over AUTH
 * exchange.c, additional.c, auth.c, child_additional.c, child.c   the handlers of requests
 * certified.c                     verdicts arrive
 * keys.c                          requests, receipts and losses of links
 */
#ifndef KEYS_INTERNAL_H
#define KEYS_INTERNAL_H

#include "base/names.h"
#include "crypto/aead.h"
#include "crypto/dh.h"
#include "crypto/rsa.h"
#include "crypto/sign.h"
#include "keys/derive.h"
#include "keys/keys.h"

#include <stddef.h>

#define KEYS_ADMISSIBLE_TEXT_MAX 160		     /* of the states in which a request is admissible */
#define KEYS_ID_TEXT_MAX	 160		     /* of an identity in words */
#define KEYS_ID_MAX		 (KEEPER_ID_MAX - 4) /* of an identification payload without its head */
#define KEYS_EXPIRE_EVERY	 256 /* values between two searches for exchanges that are too old */

enum identity_kind { IDENTITY_NONE, IDENTITY_PSK, IDENTITY_PPK, IDENTITY_PRIVATE };

struct keys_identity {
	uint32_t kind;	/* enum identity_kind */
	uint32_t psk_n; /* of a secret; of an RSA key 1 + its place in keys.rsa, and `sign` is empty */
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
	IKE_ADDITIONAL,	   /* additional key exchanges have to follow; SK_* are derived, but of a rekey */
	IKE_KEYED,	   /* SK_* derived; the peer is not authenticated, or its entry has no receipt yet */
	IKE_AUTHENTICATED, /* and its entry has its receipt */
};

/* Octets of a shared secret of the curves. Those of MODP have up to 512, which all places in locked memory would have. */
#define CHILD_SHARED_MAX 48

/* Of a rekey: SK(0) | SK(1) | ..., of which its keys are made when the last one is there (RFC 9370 section 2.2.4). */
struct shared_chain {
	uint16_t n;
	uint8_t at[CHILD_SHARED_MAX + ADDITIONAL_MAX * MLKEM_SHARED_SIZE];
};

/* Of one IKE SA, in locked memory. */
struct ike_secrets {
	union {
		struct dh_secret dh; /* IKE_BEGUN */
		/* IKE_ADDITIONAL: a responder's, of the exchange that is begun */
		uint8_t shared[MLKEM_SHARED_SIZE];
	};
	union {
		struct ike_keys sk;	   /* without SK_e, which is ike's */
		struct shared_chain chain; /* IKE_ADDITIONAL of a rekey */
	};
	uint8_t seed[LEAF_SEED_SIZE]; /* of additional key exchanges, until the last one is done */
};

_Static_assert(sizeof(struct shared_chain) <= sizeof(struct ike_keys), "a rekey takes no more locked memory");

/* The additional key exchanges of an IKE SA: the values themselves are in messages alone. */
struct additional {
	uint16_t method[ADDITIONAL_MAX]; /* that the proposal names; 0: none */
	uint8_t done;
	bool begun;
	uint8_t our_value[SHA256_SIZE]; /* digest of what ADDITIONAL_BEGIN gave */
	/* IntAuth of both directions, initiator's first; zero before the first exchange */
	uint8_t int_auth[2][PRF_SIZE_MAX];
};

struct keeper_ike_sa {
	uint32_t state; /* enum ike_state */
	uint32_t handle;
	uint32_t generation; /* of this place in the table: a stale handle does not find the next one here */
	uint32_t role;
	uint32_t parent; /* of a begun rekey: handle of the IKE SA that it rekeys */
	uint32_t line;	 /* handle of the first one, which was authenticated, if rekeys made this one of it */
	uint16_t dh_group, prf, encr, encr_bits;
	uint16_t nonce_n, ke_n, peer_nonce_n, peer_ke_n; /* ours, theirs */
	bool rekeyed;					 /* made by a rekey: its nonces are for no child SA */
	bool nonces_spent;  /* a child SA was derived from the nonces of IKE_SA_INIT */
	uint64_t verifying; /* tag of the entry of an AUTH_VERIFY that waits for its receipt; 0: none */
	bool named;	    /* an entry holds its values */
	bool ended;	    /* ike was told to end it */
	bool certifying;    /* its AUTH_VERIFY waits for verdicts */
	bool revoked;	    /* a certifier has found its peer's certificate revoked since */
	bool ppk;	    /* its keys are made with the PPK (RFC 8784) */
	bool transcript; /* the first AUTH was over both messages of IKE_SA_INIT; the second one has to be as well */
	bool hybrid; /* an additional key exchange is in its keys, its own or one of those that it was rekeyed from */
	uint8_t spi_i[8], spi_r[8];
	/* The values of MODP are long: of them the first octets and the SHA-256 of all (ke_keep()). */
	uint8_t nonce[KEEPER_NONCE_SIZE], ke[KEYS_KE_MAX];
	uint8_t peer_nonce[KEEPER_NONCE_MAX], peer_ke[KEYS_KE_MAX];
	struct public_proof proof;  /* of nonce and SPI */
	struct leaf_name leaf;	    /* of secret->dh */
	struct ike_secrets *secret; /* of this place */
	struct additional additional;
	char signed_for[NAME_MAX_BYTES]; /* the peer that our AUTH was made for */
	struct peer_proof peer;
	uint8_t certified[SHA256_SIZE]; /* digest of the key that the certifiers found; zero: none */
	uint16_t method;
	struct endpoint local, remote;
	uint8_t id_type, id_n, id[KEYS_ID_MAX];
};

#define SPI_MIN 256 /* RFC 4303 2.1: 1 to 255 are reserved */

/*
 * Of a child SA of a template: who has proved to be its peer, and which addresses are that one's (instance.c). It is no secret, and
 * stands beside the child SAs, which fill the memory that the keeper may lock.
 */
struct instance {
	uint8_t id_type, id_n, id[KEYS_ID_MAX];
	uint16_t claims_n;
	struct ip_range claims[];
};

enum child_state { CHILD_FREE, CHILD_BEGUN, CHILD_INSTALLING, CHILD_INSTALLED, CHILD_REMOVING };

/* What is kept between CHILD_BEGIN and CHILD_INSTALL. */
struct child_secret {
	union {
		struct dh_secret dh; /* initiator */
		/* responder: made of the peer's value at once; with MODP it keeps `dh`, and child_sa.peer_ke */
		uint8_t shared[CHILD_SHARED_MAX];
	};
	uint8_t seed[LEAF_SEED_SIZE]; /* of additional key exchanges, if any may follow */
	uint8_t followed[ADDITIONAL_MAX *
			 MLKEM_SHARED_SIZE]; /* what those that are done gave, in their order */
};

struct child_sa {
	uint32_t state; /* enum child_state */
	uint32_t handle, generation;
	uint32_t ike; /* handle of the IKE SA it was made in, which may have ended */
	uint32_t spi_in, spi_out;
	uint16_t dh_group, role;
	uint32_t line;	   /* of that IKE SA */
	bool revoked;	   /* to be removed as soon as it is installed: the peer's certificate is revoked */
	bool remove_later; /* to be removed when the data plane is back */
	bool named;	   /* an entry holds its values */
	/* Additional key exchanges: whether any may follow; those that are done, and behind them an initiator's that is begun. */
	bool followed, additional_begun;
	uint8_t additional_n; /* done */
	uint16_t additional[ADDITIONAL_MAX];
	char tunnel[NAME_MAX_BYTES];
	uint8_t nonce[KEEPER_NONCE_SIZE];
	struct public_proof proof;   /* of nonce and SPI */
	struct leaf_name leaf;	     /* of our secret */
	struct child_secret *secret; /* of this place, in locked memory */
	uint8_t *peer_ke; /* of a responder with MODP until CHILD_INSTALL, it is public; else NULL */
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
	char peer[NAME_MAX_BYTES]; /* whose share of the places it takes; */
	uint64_t who;		   /* of a template that identity's, as instance_who() has it; else 0 */
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

/* Of one IKE SA: what the certifiers said, and the request that waits until both have. */
struct waiting_verdicts {
	uint32_t ike_sa;  /* handle; 0: free */
	uint32_t seconds; /* that it waits */
	uint64_t number;  /* of its beginning */
	uint64_t tag;
	uint32_t has; /* bits of enum keys_certifier */
	bool parked;
	bool known; /* parked: who asks has proved itself at this address before */
	struct certify_told told[KEYS_CERTIFIERS];
	struct keeper_auth_verify request;
};

/* index.c: places of a table that have something in common; 1 + the place, 0: no more */
struct chain {
	uint32_t *first, *next, mask;
};

struct keys {
	struct keys_sink sink;
	bool emitting; /* the sink is being called */
	const struct snapshot *snapshot;
	struct names peers, tunnels; /* of the snapshot, by name */
	bool dataplane_is_up;
	uint64_t next_entry_tag;
	uint64_t refused;
	uint64_t refused_tags[KEYS_REFUSED_MAX];
	/* Places of each table that were ever used; those after them were never written. */
	uint32_t ike_n, children_n, pending_n, identities_n;
	/* Below these all places are in use. */
	uint32_t ike_full, children_full;
	uint32_t half_open; /* of `ike` */
	/* Of `children` by SPI, name of the tunnel and handle of the IKE SA; of `ike` by name of the peer; of `identities` by name; nonces of
	 * ours. */
	struct chain by_spi, by_tunnel, by_ike, by_peer, by_name, by_nonce;
	struct keeper_ike_sa *ike;	     /* KEYS_IKE_MAX */
	struct child_sa *children;	     /* KEYS_CHILDREN_MAX */
	struct pending *pending;	     /* KEYS_PENDING_MAX */
	struct waiting_selectors *selectors; /* of each of `pending`; not locked */
	uint32_t certifiers_down;	     /* bits of enum keys_certifier */
	uint64_t verdicts_last, verdicts_dropped;
	struct waiting_verdicts *verdicts; /* KEYS_VERDICTS_MAX; not locked */
	struct instance *
		*instances; /* of each of `children` of a template, from its installation; not locked */
	struct keys_identity *identities; /* KEYS_IDENTITIES_MAX */
	uint32_t rsa_n;			  /* of the places below that are used */
	struct rsa_key *rsa;		  /* KEYS_RSA_MAX */
	struct keys_secrets *secrets;
	/* So many places of its tables are locked; those of `pending` and `rsa` from the start. */
	uint32_t ike_locked, children_locked, identities_locked;
};

/*
 * All that is secret, and nothing else: what may be locked is scarce (8 MB where the administrator does not allow more), so
 * it is locked as places are used for the first time.
 */
struct keys_secrets {
	struct pending pending[KEYS_PENDING_MAX];
	struct rsa_key rsa[KEYS_RSA_MAX];
	struct keys_identity identities[KEYS_IDENTITIES_MAX]; /* from here on as they come into use */
	struct ike_secrets ike[KEYS_IKE_MAX];
	struct child_secret children[KEYS_CHILDREN_MAX];
};

static inline void text_copy(char *ret_text, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(ret_text, text, n);
	memset(ret_text + n, 0, size - n);
}

/* The public value of a fresh secret, if its leaf has it; else of no octets. */
static inline struct octets public_of(const struct keys_entropy *fresh, uint16_t group)
{
	return (struct octets){ fresh->dh_public, fresh->dh_group == group ? dh_public_size(group) : 0 };
}

/* Whether a handler has answered a request, or its reply comes later. */
enum outcome { ANSWERED, WAITING };

/* sink.c */
enum rc sink_emit(struct keys *k, struct keys_action *action); /* the sink's answer; wipes the action */
/* A reply with a result and nothing else. */
void sink_reply(struct keys *k, enum keeper_op op, uint64_t tag, enum rc rc, const char *text);

/* index.c */
bool index_new(struct keys *k); /* false: no memory */
void index_free(struct keys *k);
/*
 * The only place where the state of an IKE SA changes; out of IKE_FREE its nonce and parent are set before. What is half-open depends on the
 * parent, which is left only in IKE_KEYED.
 */
void ike_sa_enter(struct keys *k, struct keeper_ike_sa *sa, enum ike_state state);
void ike_sa_set_peer(
	struct keys *k, struct keeper_ike_sa *sa, const struct peer_proof *proof); /* and its `peer` */
/* After SPI, tunnel, IKE SA and nonce are set; before they are not any more. */
void child_sa_index(struct keys *k, const struct child_sa *c);
void child_sa_unindex(struct keys *k, const struct child_sa *c);
struct child_sa *child_sa_find_by_spi(struct keys *k, uint32_t spi_in);
/* The first one (after NULL) or the next one; NULL: no more. While they are walked over, none may be freed. */
struct keeper_ike_sa *ike_sa_of_peer(
	const struct keys *k, const char *peer, const struct keeper_ike_sa *after);
struct child_sa *child_sa_of_tunnel(const struct keys *k, const char *tunnel, const struct child_sa *after);
struct child_sa *child_sa_of_ike(const struct keys *k, uint32_t ike, const struct child_sa *after);
/* A peer's nonce that is one of an exchange or child of ours, or begins or ends like one. */
bool nonce_is_ours(const struct keys *k, const uint8_t *nonce, size_t n);
void identity_index(struct keys *k, uint32_t place); /* after its name is set */
void identities_unindex(struct keys *k);	     /* all */
struct keys_identity *identity_by_name(const struct keys *k, const char *name, enum identity_kind kind);

/* journal.c */
/* "fqdn 'b.example'", "address 192.0.2.1", KEYS_ID_TEXT_MAX octets; what is not printable becomes dots. */
const char *id_text(char *ret_text, uint8_t type, const uint8_t *data, size_t n);
/* An entry with what is known of the IKE SA; without one: the kind and the reason alone. */
void entry_from_ike_sa(struct keys_entry *ret_entry, enum keys_entry_kind kind,
	const struct keeper_ike_sa *sa, const char *reason);
void journal_report(struct keys *k, const struct keys_entry *entry);
/* Whose it is; what does not fit of a long one is left out. */
void entry_set_id(struct keys_entry *entry, uint8_t type, const uint8_t *id, size_t n);
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
/* A place for a request of this peer; who: instance_who(). NULL, and *e: RC_AGAIN, too many wait already. */
struct pending *pending_new(
	struct keys *k, enum keeper_op op, uint64_t tag, const char *peer, uint64_t who, struct err *e);
void pending_free(struct pending *p);
/* The reply that ends a request; none when the link to ike has ended. */
void pending_reply(struct keys *k, struct pending *p, enum rc rc, const char *text);
/* The request that waits for the data plane's answer about this SPI; NULL: none does. */
struct pending *pending_at_dataplane(struct keys *k, enum keeper_op op, uint32_t spi_in);

/* table.c. NULL: no such handle or SPI; of _new: no place is free. */
struct keeper_ike_sa *ike_sa_find(struct keys *k, uint32_t handle);
struct keeper_ike_sa *ike_sa_new(struct keys *k);
void ike_sa_free(struct keys *k, struct keeper_ike_sa *sa); /* and the child SAs begun in it */
/* The place of an identity is about to be used. False: no more memory can be locked. */
bool identity_lock(struct keys *k, uint32_t place);
/* A public value in ret_kept, and whether a message has it somewhere. */
void ke_keep(uint8_t ret_kept[KEYS_KE_MAX], const uint8_t *ke, size_t n);
bool ke_is_in(const uint8_t *message, size_t message_n, const uint8_t kept[KEYS_KE_MAX], size_t ke_n);
/* The IKE SA's keys from now on; SK_e goes to ike. Wipes keys. */
void ike_keys_take(struct keeper_ike_sa *sa, struct ike_keys_all *keys, struct keeper_sk_e *ret_sk_e);
struct child_sa *child_sa_find(struct keys *k, uint32_t handle);
struct child_sa *child_sa_new(struct keys *k);
void child_sa_free(struct keys *k, struct child_sa *c);
/* An installed one of a template whose IKE SA ended without it, as when ike was lost: out of the data plane. */
void child_sa_remove_left(struct keys *k, struct child_sa *c, const char *reason);
/* Ends exchanges that began too long ago to be named (PUBLIC_ORDER_WINDOW). */
void exchanges_expire(struct keys *k, const struct public_proof *now);

/* identity.c */
const struct keys_identity *identity_find(const struct keys *k, const char *name, enum identity_kind kind);
/* Of a private key: RSA, or NULL. */
const struct rsa_key *identity_rsa(const struct keys *k, const struct keys_identity *id);
/* SubjectPublicKeyInfo of a private key; ret_spki holds KEYS_SPKI_MAX. */
size_t identity_spki(const struct keys *k, const struct keys_identity *id, uint8_t *ret_spki);

/* peer.c */
const struct snap_peer *peer_by_index(const struct keys *k, uint32_t index);
const struct snap_peer *peer_by_name(const struct keys *k, const char *name);
/* The name of our key for it: of a template with a key for each identity the one that the IKE SA has, "" if that cannot be one. */
const char *peer_key_name(
	char ret_text[NAME_MAX_BYTES], const struct snap_peer *peer, const struct keeper_ike_sa *sa);
/* The peer as it is configured now, and our key for it, and the PPK if the IKE SA's keys have it. */
void peer_proof_of(const struct keys *k, struct peer_proof *ret_proof, const struct snap_peer *peer,
	const struct keeper_ike_sa *sa, bool with_ppk);
/* The peer of the IKE SA authenticates the same way as it did; RC_DENIED. peer: NULL when it is gone. */
enum rc peer_is_unchanged(
	const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer, struct err *e);
enum rc peer_allows_proposal(
	const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa, struct err *e);
/* RC_LIMIT: the peer has as many IKE SAs as it may have; of a template: the identity that `sa` has. */
enum rc peer_has_room(const struct keys *k, const char *peer, const struct keeper_ike_sa *sa, struct err *e);

/* tunnel.c */
const struct snap_tunnel *tunnel_by_index(const struct keys *k, uint32_t index);
uint32_t tunnel_index(const struct keys *k, const char *name); /* INDEX_NONE: no such tunnel now */
/* What ike wants to install lies inside what is configured: proposals, selectors. */
enum rc tunnel_allows(const struct keys *k, const struct snap_tunnel *t, const struct keeper_child_install *q,
	struct err *e);

/* instance.c */
bool instance_is_same(const struct keeper_ike_sa *a, const struct keeper_ike_sa *b);
/* A number for the identity that uses a template, whose share of a limit something takes; 0: the peer is none. sa NULL: nobody knows whose it
 * is. */
uint64_t instance_who(const struct snap_peer *peer, const struct keeper_ike_sa *sa);
/* The same of a child SA, NULL: it is not known here. */
uint64_t instance_who_of(const struct keys *k, const struct snap_peer *peer, const struct child_sa *c);
/* The child SA is not another identity's than the IKE SA's. */
bool instance_has(const struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c);
/* What this IKE SA says of itself, identity and address, another one has proved that stands. */
bool instance_is_known(const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa);
/* The identity that the IKE SA has proved may use the peer's configuration now. RC_LIMIT: too many others do. */
enum rc instance_admit(
	const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa, struct err *e);
/* The addresses of a template's child SA are nobody else's. RC_LIMIT: they are; RC_AGAIN. */
enum rc instance_claims_check(const struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q, struct err *e);
/* From now on they are this identity's; what is left of identities that have ended is removed. */
void instance_claim(struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q);

/* verdict.c */
const char *certifier_name(enum keys_certifier c);
struct waiting_verdicts *verdicts_find(struct keys *k, uint32_t ike_sa); /* NULL: none */
/* The IKE SA ends: a request that waits is answered. */
void verdicts_forget(struct keys *k, uint32_t ike_sa);
/* Keeps it, for the IKE SA and the peer that it names (NULL: there is none). NULL, and counted: nobody asked for it, or it is of another
 * configuration. */
struct waiting_verdicts *verdict_take(struct keys *k, enum keys_certifier from,
	const struct certify_told *told, const struct keeper_ike_sa *sa, const struct snap_peer *peer);
/* The certifier that has not said anything yet; NULL: both have. */
const char *verdict_missing(const struct waiting_verdicts *v);
/* The request waits; known: instance_is_known(). RC_DENIED: a certifier is down. RC_AGAIN: there is no room. */
enum rc verdict_park(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	const struct snap_peer *peer, bool known, struct err *e);
/* Both have said something: the key and the identity, or why not. RC_AUTH; RC_DENIED: ike, or our CRLs are at fault; RC_AGAIN: a certifier
 * had no time. */
enum rc verdict_decide(const struct waiting_verdicts *v, const struct keeper_auth_verify *q,
	const struct snap_peer *peer, struct certify_verdict *ret_certified, struct err *e);

/* admit.c */
/*
 * Whether the request is admissible in the state of what it names (KEEPER_OPS); else its error, and its
 * entry.
 */
enum rc request_admit(struct keys *k, const struct keeper_request *q, struct err *e);

/* inherit.c */
/* The IKE SA that `sa` rekeys may be rekeyed so; RC_DENIED, and it is entered. */
enum rc rekey_is_allowed(
	struct keys *k, const struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent, struct err *e);
enum rc rekey_keys(const struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent,
	const struct shared_chain *chain, struct ike_keys_all *ret_keys, struct err *e);
/* The new IKE SA has the peer of the old one: deriving its keys took the old SK_d. */
void rekey_inherit(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent);

/* exchange.c */
enum rc exchange_begin(struct keys *k, const struct keeper_exchange_begin *q,
	const struct keys_entropy *fresh, struct keeper_exchange_begun *a, struct err *e);
enum rc exchange_finish(struct keys *k, const struct keeper_exchange_finish *q,
	struct keeper_exchange_finished *a, struct err *e);
enum rc exchange_answer(struct keys *k, const struct keeper_exchange_answer *q,
	const struct keys_entropy *fresh, struct keeper_exchange_answered *a, struct err *e);
enum rc exchange_drop(struct keys *k, const struct keeper_drop *q, struct err *e);

/* additional.c */
/* Our encapsulation key, of an IKE SA or of a child SA with this seed. */
enum rc additional_offer(const uint8_t parent[LEAF_SEED_SIZE], uint16_t method,
	struct keeper_additional_begun *a, struct err *e);
/* Whether each is known here, none twice, and no gap between them; RC_UNSUPPORTED. */
enum rc additional_check(const uint16_t method[ADDITIONAL_MAX], struct err *e);
enum rc additional_begin(struct keys *k, const struct keeper_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e);
enum rc additional_finish(struct keys *k, const struct keeper_additional_finish *q,
	struct keeper_additional_finished *a, struct err *e);

/* signature.c */
/* AUTH by our key; announced: signature hashes of the peer, as in keeper_auth_sign. Its length is below KEEPER_AUTH_OWN_MAX. */
enum rc signature_make(const struct keys *k, const struct keys_identity *key, uint32_t announced,
	const uint8_t *octets, size_t n, struct keeper_auth_signed *a, size_t *ret_n, struct err *e);
/* Our certificate for this peer has our key; RC_NOT_FOUND. */
enum rc certificate_is_of_key(
	const struct keys *k, const struct snap_peer *peer, const struct keys_identity *key, struct err *e);
/* RC_OK: the peer's AUTH in q is a signature over the octets by the key, a SubjectPublicKeyInfo; else RC_AUTH, or what is wrong with the key. */
enum rc signature_check(const struct snap_peer *peer, struct octets spki, const struct keeper_auth_verify *q,
	struct octets octets, struct err *e);

/* auth.c. _receipt: the receipt came (RC_OK), or will not come: do what was asked, or refuse. */
enum rc auth_sign(struct keys *k, const struct keeper_auth_sign *q, uint64_t tag,
	struct keeper_auth_signed *a, enum outcome *ret_outcome, struct err *e);
void auth_sign_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);
enum rc auth_verify(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);
/* A certifier is missing: entered as a failure, for which nobody is at fault. */
void auth_unverified(
	struct keys *k, struct keeper_ike_sa *sa, const struct keeper_auth_verify *q, const char *text);
void auth_verify_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);

/* certified.c */
/* All verdicts are void: another configuration, or (without replies) another ike. */
void certified_restart(struct keys *k, bool reply);

/* child.c, child_additional.c */
enum rc child_begin(struct keys *k, const struct keeper_child_begin *q, const struct keys_entropy *fresh,
	struct keeper_child_begun *a, struct err *e);
enum rc child_additional_begin(struct keys *k, const struct keeper_child_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e);
enum rc child_additional_finish(
	struct keys *k, const struct keeper_child_additional_finish *q, struct err *e);
enum rc child_install(struct keys *k, const struct keeper_child_install *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);
void child_install_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text);
enum rc child_remove(struct keys *k, const struct keeper_child_remove *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e);
/* All that were made in this IKE SA, or those before it that it is the rekey of, leave the data plane, whatever ike does. */
void children_revoke(struct keys *k, const struct keeper_ike_sa *sa);

#endif
