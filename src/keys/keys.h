/*
 * The keeper's core: it holds private keys, pre-shared keys, Diffie-Hellman secrets and SK_d, answers ike's
 * requests (model/keeper_api.h) by handle, and hands child keys straight to the data plane.
 *
 * Pure: no I/O, no clock, no randomness. Events come in as calls; actions go out through one sink, during the
 * call: replies to ike, entries for the ledger, SA pairs for the data plane. A sink must not call back into
 * the core. One thread. Callers: proc/keeper; tests and the simulator.
 *
 * Invariants
 * - Requests come in an order: each is held against the state of what it names before its handler runs, in
 *   one place (admit.c, by KEEPER_OPS); ike may be compromised, so one out of order is refused and entered.
 * - Receipt before act: an IKE SA counts as authenticated, and a child goes to the data plane, only after the
 *   ledger's receipt. With the ledger down new peers and new tunnels are refused; a rekey inside an
 *   authenticated IKE SA of a tunnel that has been entered is done and entered later, marked `deferred`.
 * - A child is derived once from a pair of nonces: a begun child is spent by its installation, and the nonces
 *   of IKE_SA_INIT serve one child. No keying material comes out twice.
 * - DH secrets are wiped when the exchange is finished, SK_* when the handle is dropped or ike's link is
 *   gone, child keys when they are handed over.
 * - No reply holds a secret, except SK_ei and SK_er in keeper_exchange_finished.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/err.h"
#include "crypto/leaf.h"
#include "model/certify_api.h"
#include "model/public_values.h"
#include "model/sa.h"
#include "model/snapshot.h"

/*
 * What grows in the keeper, who fills it, and what happens beyond the limit. tests/unit/keys/test_limits.c
 * fills each and checks that the others are still served. What is secret of it is in locked memory, which is locked as it
 * comes into use: 338 octets for each tunnel that stands, 360 for each key file. The keeper may have 16 MB (sandbox/table.c),
 * which is enough for all of these together, or what the machine allows. ike has smaller limits for peers and tunnels (ike/limits.h); these hold also
 * when ike is compromised.
 */
/* clang-format off */
#define KEYS_LIMITS(L)	/* name, number, who fills it, what one more costs, why so many */						\
	L(IKE_MAX,            22528, "everybody",    "a refusal",           "two for each of PEERS_MAX, and those below; fewer than 2^15, which a handle holds")	\
	L(HALF_OPEN_MAX,       2048, "strangers",    "a refusal",           "rekeys and established peers have the rest")		\
	L(IKE_PER_PEER_MAX,    32,   "one peer",     "a refusal",           "twice what ike allows a peer, begun rekeys included")	\
	L(CHILDREN_MAX,       20480, "all tunnels",  "one whose IKE SA is gone, else a refusal", "two for each tunnel; fewer than 2^15")	\
	L(CHILDREN_PER_TUNNEL_MAX, 608, "one tunnel", "a refusal",          "twice what ike allows a tunnel with every pair of networks, and some")	\
	L(BEGUN_PER_IKE_MAX,   16,   "one IKE SA",   "a refusal",           "children that are begun and not installed; ike has two at a time")	\
	L(PENDING_MAX,         512,  "all peers",    "RC_AGAIN",            "requests that wait for a receipt or for the data plane")	\
	L(PENDING_PER_PEER_MAX, 32,  "one peer",     "RC_AGAIN",            "ike asks one at a time for each IKE SA")			\
	L(PENDING_PER_TEMPLATE_MAX, 384, "all identities of a template", "RC_AGAIN", "other peers have the rest")			\
	L(PENDING_PER_IDENTITY_MAX, 8, "one identity of a template", "RC_AGAIN", "as of a peer; an identity has one or two IKE SAs")	\
	L(VERDICTS_MAX,        256,  "strangers",    "the oldest that nobody waits for, else RC_AGAIN", "IKE SAs whose certificates are being verified; not locked")	\
	L(PARKED_MAX,          192,  "strangers",    "RC_AGAIN",            "of those the ones that a request waits for; peers that have proved themselves at their address before have the rest")	\
	L(PARKED_PER_PEER_MAX, 32,   "strangers",    "RC_AGAIN",            "the same, in the name of one peer")			\
	L(PARKED_PER_TEMPLATE_MAX, 128, "strangers", "RC_AGAIN",            "the same, in the name of identities of one template")	\
	L(PARKED_PER_ADDRESS_MAX, 16, "strangers at one address", "RC_AGAIN", "the same, from one address, of IPv6 one /64")	\
	L(PARKED_PER_IDENTITY_MAX, 8, "one identity", "RC_AGAIN",           "that has proved itself at its address before")		\
	L(REFUSED_MAX,         64,   "ike",          "is not entered",      "entries of refused requests without a receipt; their rate: proc/keeper/shell.h")	\
	L(IDENTITIES_MAX,     10240, "the administrator", "the file is refused", "files in the key directory: one for each peer")	\
	L(RSA_MAX,             32,   "the administrator", "the file is refused", "RSA keys of ours, which are long: one for each certificate")

enum keys_limit_number {
#define E(name, number, who, costs, why) KEYS_##name = number,
	KEYS_LIMITS(E)
#undef E
};
/* clang-format on */

#define KEYS_VERDICT_S	 5  /* for which a verdict is waited for */
#define KEYS_PSK_MIN	 8  /* octets of a pre-shared key */
#define KEYS_PSK_ADVISED 20 /* fewer give a warning: a compromised ike could guess the key off-line */
#define KEYS_PSK_MAX	 256
#define KEYS_PPK_MIN	 32  /* octets of a PPK: RFC 8784 section 6 asks for 256 bits of entropy */
#define KEYS_SPKI_MAX	 552 /* of our keys: RSA of 4096 bits */
#define KEYS_KE_MAX	 96  /* of a public value that is kept: all of a curve's (keys/internal.h) */

/* Fresh random octets for one request: secret and public ones share no source (docs/threat-model.md). */
struct keys_entropy {
	uint8_t secret[DH_SEED_SIZE]; /* for a Diffie-Hellman secret of the group asked for; never leaves */
	uint8_t additional
		[LEAF_SEED_SIZE]; /* for additional key exchanges after it (crypto/leaf.h); never leaves */
	uint8_t public_bytes[PUBLIC_SIZE]; /* for nonces and SPIs, which everybody sees */
	struct public_proof proof;	   /* that these were derived (VRF); for the exchange's entry */
	struct leaf_name leaf;		   /* that both were made of; for the same entry */
	uint8_t dh_public[DH_PUBLIC_MAX];  /* the secret's public value, if the leaf has it */
	uint16_t dh_group;		   /* whose it is; DH_NONE: it is not known */
};

/* clang-format off */
#define KEYS_ENTRIES(E)	/* id, text */									\
	E(KEY_USED,        "our key is used towards a peer that is not authenticated yet")		\
	E(IKE_SA_UP,       "a peer is authenticated")						\
	E(IKE_SA_REKEYED,  "an IKE SA was replaced by a new one, under the same authentication")	\
	E(IKE_SA_DOWN,     "an IKE SA ended")							\
	E(SA_INSTALL,      "a child SA goes to the data plane")					\
	E(SA_REMOVE,       "a child SA is removed from the data plane, or was not installed")	\
	E(REFUSED,         "a request of ike that the keeper refused")				\
	E(AUTH_FAILED,     "authentication of a peer failed; its exchange has ended")			\
	E(IKE_LOST,        "the link to ike ended; the secrets of its IKE SAs are wiped")
/* clang-format on */

enum keys_entry_kind {
#define E(id, text) KEYS_ENTRY_##id,
	KEYS_ENTRIES(E) KEYS_ENTRY_COUNT
#undef E
};

/*
 * An entry for the ledger. Fields that a kind does not use are zero. The shell makes its body
 * (proc/keeper/entry.c).
 */
struct keys_entry {
	uint32_t kind; /* enum keys_entry_kind */
	bool deferred; /* the act preceded its entry, because the ledger was down */
	char peer[NAME_MAX_BYTES], tunnel[NAME_MAX_BYTES];
	uint8_t ike_spi_i[8], ike_spi_r[8];
	uint8_t rekeys_ike_spi_i[8], rekeys_ike_spi_r[8]; /* IKE_SA_REKEYED: of the old one */
	uint16_t method;				  /* enum auth_method, IKE_SA_UP */
	uint16_t encr, encr_bits, prf, dh_group;
	uint16_t additional
		[ADDITIONAL_MAX]; /* IKE_SA_UP, IKE_SA_REKEYED, SA_INSTALL: additional key exchanges; 0: none */
	bool ppk;		  /* IKE_SA_UP, IKE_SA_REKEYED: the PPK is in its keys */
	bool transcript;	  /* IKE_SA_UP: both sides have authenticated both messages of IKE_SA_INIT */
	uint16_t role;		  /* enum keeper_role */
	struct public_proof proof; /* of our nonce and SPI */
	struct leaf_name leaf;	   /* of our key exchange */
	uint8_t id_type;
	uint8_t id_n;
	uint8_t id[128]; /* the authenticated identity of the peer; of a longer one the first octets */
	bool has_key;	 /* IKE_SA_UP: it has a public key, with this digest (SubjectPublicKeyInfo) */
	uint8_t key[SHA256_SIZE];
	struct endpoint local, remote;
	uint32_t spi_in, spi_out, rekeys_spi_in;
	uint32_t flags;		    /* enum child_flags */
	uint16_t local_n, remote_n; /* selectors */
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	uint64_t count; /* IKE_LOST: IKE SAs wiped; REFUSED, AUTH_FAILED: such entries before it that were
			   left out */
	char reason[KEEPER_TEXT_MAX];
};

/*
 * KEYS_UNUSED: an exchange ended, and no entry names the public values and the leaf that it took. Each value
 * that a request brought is named by one entry or by one of these.
 */
enum keys_action_kind { KEYS_REPLY, KEYS_APPEND, KEYS_SA_INSTALL, KEYS_SA_REMOVE, KEYS_UNUSED, KEYS_ENDED };

struct keys_unused {
	uint32_t count, epoch; /* of struct public_proof */
	struct leaf_name leaf;
};

struct keys_action {
	enum keys_action_kind kind;
	bool gate;    /* APPEND: an act waits for the receipt; otherwise it is a report */
	uint64_t tag; /* APPEND: returned with keys_receipt(), 0: nothing waits; SA_*: see the inbound SPI */
	union {
		struct keeper_reply reply;
		struct keys_entry entry;
		struct sa_install install;
		struct sa_ref remove;
		struct keys_unused unused;
		struct keeper_ended ended;
	} u;
};

/*
 * Performs an action, which is wiped when it returns. RC_OK; RC_IO: the other end is down. For a gate an
 * error means that no receipt will come, for an SA that no result will.
 */
struct keys_sink {
	enum rc (*act)(void *context, struct keys_action *action);
	void *context;
	bool (*lock)(void *context, void *memory, size_t n); /* keeps secrets out of swap; NULL: no need */
};

struct keys;

/* NULL: out of memory. */
struct keys *keys_new(struct keys_sink sink);
void keys_free(struct keys *k);
/* All memory that holds secrets between calls. The shell locks the first keys_memory_fixed() octets, the rest is by sink.lock. */
void *keys_memory(struct keys *k, size_t *ret_n);
size_t keys_memory_fixed(void);

/*
 * The configuration. The snapshot is borrowed until the next call. IKE SAs and child SAs are kept and matched
 * by the names of their peers and tunnels; an IKE SA whose peer was removed or now authenticates in another
 * way gets no more child SAs.
 */
void keys_configure(struct keys *k, const struct snapshot *snapshot);

/*
 * To be called after keys_configure() and after the keys were loaded: IKE SAs whose peer was removed, or
 * whose key or ours was replaced, do nothing more, and ike is told to end them (KEYS_ENDED).
 */
void keys_recheck(struct keys *k);

/*
 * Private keys, pre-shared keys and PPKs. _clear wipes all; one name may have a key of each kind. RC_LIMIT, RC_RANGE,
 * RC_MALFORMED.
 */
void keys_identities_clear(struct keys *k);
enum rc keys_identity_psk(struct keys *k, const char *name, const void *psk, size_t n, struct err *e);
enum rc keys_identity_ppk(struct keys *k, const char *name, const void *ppk, size_t n, struct err *e);
enum rc keys_identity_pem(struct keys *k, const char *name, const void *pem, size_t n, struct err *e);

/*
 * For `show keys`: the i-th key; false after the last. spki: SubjectPublicKeyInfo; empty for a pre-shared
 * key.
 */
struct keys_identity_view {
	char name[NAME_MAX_BYTES];
	bool is_short;	    /* a pre-shared key below KEYS_PSK_ADVISED */
	const char *kind;   /* "pre-shared", "post-quantum", "rsa", or of SIGN_KINDS */
	const char *ending; /* of its file: "psk", "ppk", "pem" */
	size_t spki_n;
	uint8_t spki[KEYS_SPKI_MAX];
};
bool keys_identity_at(const struct keys *k, size_t i, struct keys_identity_view *ret_view);

/*
 * A request of ike; each gets one reply with its tag, now or after other events. fresh is wiped in any case.
 */
void keys_request(struct keys *k, const struct keeper_request *request, struct keys_entropy *fresh);
/* The link to ike ended: exchanges and IKE SAs are wiped, child SAs stay. */
void keys_ike_lost(struct keys *k);
/* Before the process ends: exchanges that are under way end; their values are reported as unused. */
void keys_stop(struct keys *k);

/* Those that verify certificates; both are down until they are up. */
enum keys_certifier { KEYS_CERTIFIER_OPENSSL, KEYS_CERTIFIER_GNUTLS, KEYS_CERTIFIERS };
void keys_certifier_up(struct keys *k, enum keys_certifier c);
void keys_certifier_down(struct keys *k, enum keys_certifier c);
/* What one of them says. AUTH_VERIFY of a peer with certificates waits until both have said it. False: nobody asked for that. */
bool keys_verdict(struct keys *k, enum keys_certifier from, const struct certify_told *told);
/*
 * One of them has found a certificate revoked that it had accepted: IKE SAs of that peer that were authenticated by that key do nothing more, and
 * their child SAs leave the data plane, and ike is told to end them (KEYS_ENDED). One is enough: both have to accept who comes in. Returns
 * how many there were.
 */
size_t keys_revoked(struct keys *k, enum keys_certifier from, const struct certify_revoked *revoked);
/* While a request waits: keys_second() each second, so that it does not wait for ever. */
bool keys_waits_for_verdicts(const struct keys *k);
void keys_second(struct keys *k);

/* The ledger's answer to an entry with a tag. Not RC_OK: it is not durable, or unknown. */
void keys_receipt(struct keys *k, uint64_t tag, enum rc rc, const char *text);

/* The link to the data plane came up or went down; the data plane's results. */
void keys_dataplane_up(struct keys *k);
void keys_dataplane_down(struct keys *k);
void keys_sa_installed(struct keys *k, const struct sa_result *result);
void keys_sa_removed(struct keys *k, const struct sa_result *result);

/* for tests: how full the tables are. refused: requests that ike should not have made. */
struct keys_counts {
	uint32_t exchanges, ike_sas, children_begun, children_installed, pending;
	uint64_t refused;
	uint64_t verdicts_dropped; /* that nobody had asked for, or of another configuration */
};
struct keys_counts keys_count(const struct keys *k);
bool keys_index_agrees(const struct keys *k); /* for tests: with the tables */

#endif
