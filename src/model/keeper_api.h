/*
 * What ike may ask the keeper, and what it gets back: the whole interface between the process that parses
 * messages of strangers and the process that holds secrets. Names of keys go in; public values,
 * authentication data and the keys of IKE messages come out. There is no field for DH secrets, SK_d, SK_p,
 * private keys, pre-shared keys or child keys.
 *
 * A request that names a peer or tunnel by its index states the configuration of that index. If the keeper
 * has another configuration it answers RC_STALE, without any other effect: ike asks again (src/ike/keeper.c).
 *
 * Requests are asynchronous; a reply has the tag of its request. Bodies have no pointers and no padding, so
 * that they can be sent between processes as they are. Used by src/ike (asks), src/keys (answers) and
 * ipc/messages.h.
 */
#ifndef MODEL_KEEPER_API_H
#define MODEL_KEEPER_API_H

#include "base/selector.h"
#include "model/algorithms.h"

#define KEEPER_KE_MAX		1600 /* ML-KEM-1024's 1568 fit */
#define KEEPER_NONCE_MAX	256  /* RFC 7296 section 2.10: 16 to 256 */
#define KEEPER_NONCE_SIZE	32   /* ours */
#define KEEPER_MESSAGE_MAX	4096 /* an IKE_SA_INIT message as signed, or both where both are */
#define KEEPER_INTERMEDIATE_MAX 2048 /* an IKE_INTERMEDIATE message with one key exchange, as authenticated */
#define KEEPER_ID_MAX		256  /* identification payload body: type, 3 reserved octets, data */
#define KEEPER_AUTH_MAX                                                                                      \
	1152 /* authentication data after the method octet and its 3 reserved: RSA of 8192 bits */
#define KEEPER_AUTH_OWN_MAX 592 /* ours: RSA of 4096 bits, and what stands before the signature */
#define KEEPER_TEXT_MAX	    200

enum keeper_role { KEEPER_INITIATOR = 1, KEEPER_RESPONDER = 2 };

/* Begin a key exchange for an IKE SA: new, or the rekey of `parent` (0: none). */
struct keeper_exchange_begin {
	uint32_t role;	 /* enum keeper_role in this exchange */
	uint32_t parent; /* handle of the IKE SA that is rekeyed, or 0 */
	uint16_t dh_group;
	uint16_t zero[3];
};

struct keeper_exchange_begun {
	uint32_t rc; /* enum rc; on failure `text` says why and the rest is zero */
	uint32_t handle;
	uint8_t ike_spi[8];
	uint16_t nonce_n, ke_n;
	uint8_t nonce[KEEPER_NONCE_SIZE];
	uint8_t ke[KEEPER_KE_MAX];
	char text[KEEPER_TEXT_MAX];
};

/* The peer's values have arrived: derive SKEYSEED and all SK_* (RFC 7296 sections 2.14, 2.18). */
struct keeper_exchange_finish {
	uint32_t handle;
	uint16_t prf;
	uint16_t encr, encr_bits; /* IANA number and key bits */
	uint16_t peer_nonce_n, peer_ke_n, zero;
	/* additional key exchanges that the chosen proposal names (RFC 9370), in their order; 0: none */
	uint16_t additional[ADDITIONAL_MAX];
	uint8_t spi_i[8], spi_r[8]; /* of the new IKE SA */
	uint8_t peer_nonce[KEEPER_NONCE_MAX];
	uint8_t peer_ke[KEEPER_KE_MAX];
};

/* The keys of IKE messages: key and salt, or SK_e and behind it SK_a, initiator's and responder's direction. */
struct keeper_sk_e {
	uint16_t n, zero;
	uint8_t ei[KEYMAT_MAX], er[KEYMAT_MAX];
};

struct keeper_exchange_finished {
	uint32_t rc;
	struct keeper_sk_e sk_e;
	char text[KEEPER_TEXT_MAX];
};

/*
 * The responder's exchange in one request, in the shape of a KEM: its public value may depend on the
 * initiator's, and both are known now. What EXCHANGE_BEGIN and EXCHANGE_FINISH do; refused, it leaves
 * nothing to drop.
 */
struct keeper_exchange_answer {
	uint32_t parent; /* handle of the IKE SA that is rekeyed, or 0 */
	uint16_t dh_group, prf;
	uint16_t encr, encr_bits;
	uint16_t peer_nonce_n, peer_ke_n;
	uint16_t additional[ADDITIONAL_MAX]; /* as in EXCHANGE_FINISH */
	uint8_t spi_i[8];		     /* of the new IKE SA: the peer's; ours comes back */
	uint8_t peer_nonce[KEEPER_NONCE_MAX];
	uint8_t peer_ke[KEEPER_KE_MAX];
};

struct keeper_exchange_answered {
	uint32_t rc;
	uint32_t handle;
	uint8_t ike_spi[8];
	uint16_t nonce_n, ke_n;
	uint8_t nonce[KEEPER_NONCE_SIZE];
	uint8_t ke[KEEPER_KE_MAX];
	struct keeper_sk_e sk_e;
	char text[KEEPER_TEXT_MAX];
};

/*
 * The next of the additional key exchanges that the chosen proposal names, in IKE_INTERMEDIATE (RFC 9370 section 2.2.2):
 * ADDITIONAL_BEGIN makes our value, ADDITIONAL_FINISH replaces SK_d, SK_p and SK_e. A message is stated as RFC 9242
 * section 3.3.2 authenticates it, with the place of the value in it; from there the keeper takes the peer's value, and there
 * it has to find its own, so that what the two sides authenticate is what their keys were made with.
 *
 * In the rekey of an IKE SA the same, in IKE_FOLLOWUP_KE (section 2.2.4): its handle is that of the new one, a message is the value
 * alone, and SK_e comes with the last one.
 */
struct keeper_additional_begin {
	uint32_t handle;
	uint16_t method;	   /* enum mlkem_number */
	uint16_t message_n, ke_at; /* responder: the peer's request; initiator: 0 */
	uint16_t zero;
	uint8_t message[KEEPER_INTERMEDIATE_MAX];
};

struct keeper_additional_begun {
	uint32_t rc;
	uint16_t ke_n, zero;
	uint8_t ke[KEEPER_KE_MAX];
	char text[KEEPER_TEXT_MAX];
};

struct keeper_additional_finish {
	uint32_t handle;
	uint16_t request_n, request_ke_at; /* responder: 0, ADDITIONAL_BEGIN had it */
	uint16_t response_n, response_ke_at;
	uint8_t request[KEEPER_INTERMEDIATE_MAX], response[KEEPER_INTERMEDIATE_MAX];
};

struct keeper_additional_finished {
	uint32_t rc;
	struct keeper_sk_e sk_e;
	char text[KEEPER_TEXT_MAX];
};

/* AUTH of our own side over message || peer's nonce || prf(SK_p, id), RFC 7296 section 2.15. */
struct keeper_auth_sign {
	uint64_t generation; /* of the snapshot that the indices are of */
	uint32_t handle;
	uint32_t peer; /* index in the snapshot's peers */
	/* bit n: the peer announced signature hash n (RFC 7427 section 4); 0: none announced */
	uint32_t hashes;
	uint32_t ppk; /* 1: as initiator we offer the PPK (RFC 8784); a responder's AUTH_VERIFY has decided */
	/* of the peer's IKE_SA_INIT message behind ours: both sides authenticate both; 0: each its own */
	uint16_t other_n;
	uint16_t zero, message_n, id_n;
	uint8_t message[KEEPER_MESSAGE_MAX]; /* our first message, from the IKE header on */
	uint8_t id[KEEPER_ID_MAX];
};

struct keeper_auth_signed {
	uint32_t rc;
	uint16_t method, auth_n;
	uint16_t no_ppk_n, zero; /* no_ppk: AUTH by the keys without the PPK, where it is not required */
	uint8_t auth[KEEPER_AUTH_OWN_MAX], no_ppk[KEEPER_AUTH_OWN_MAX];
	char text[KEEPER_TEXT_MAX];
};

/* Check the peer's AUTH. On success the keeper has the ledger's receipt for ike_sa_up before it answers. */
struct keeper_auth_verify {
	uint64_t generation; /* of the snapshot that the indices are of */
	uint32_t handle;
	uint32_t peer;
	uint16_t method, auth_n, message_n, id_n;
	uint32_t ppk;		       /* 1: by the keys with the PPK, which are those of the IKE SA then */
	uint16_t other_n, zero;	       /* as in AUTH_SIGN: of ours behind the peer's */
	struct endpoint local, remote; /* for the entry */
	uint8_t auth[KEEPER_AUTH_MAX];
	uint8_t message[KEEPER_MESSAGE_MAX]; /* the peer's first message as received */
	uint8_t id[KEEPER_ID_MAX];	     /* the peer's identification payload body */
};

struct keeper_auth_verified {
	uint32_t rc; /* RC_OK, RC_AUTH, RC_DENIED (ledger down: fail closed), … */
	char text[KEEPER_TEXT_MAX];
};

/*
 * Values of our side for a child SA: inbound SPI always; nonce and KE for CREATE_CHILD_SA. A responder's
 * public value may depend on the initiator's, which it states here; an initiator gets the responder's later
 * and states it in CHILD_INSTALL.
 */
struct keeper_child_begin {
	uint64_t generation; /* of the snapshot that the indices are of */
	uint32_t handle;     /* IKE SA */
	uint32_t tunnel;     /* index in the snapshot's tunnels */
	uint16_t dh_group;   /* DH_NONE without PFS and for the child of IKE_AUTH */
	uint16_t role;	     /* enum keeper_role in this exchange */
	uint16_t peer_ke_n;  /* responder with a group: the peer's value; else 0 */
	uint16_t followed;   /* 1: additional key exchanges may follow, which need a group; else 0 */
	uint8_t peer_ke[KEEPER_KE_MAX];
};

struct keeper_child_begun {
	uint32_t rc;
	uint32_t child; /* handle */
	uint32_t spi_in;
	uint16_t nonce_n, ke_n;
	uint8_t nonce[KEEPER_NONCE_SIZE];
	uint8_t ke[KEEPER_KE_MAX];
	char text[KEEPER_TEXT_MAX];
};

/*
 * The next additional key exchange of a child SA that is begun, in IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4). Of a responder
 * CHILD_ADDITIONAL_BEGIN has the peer's value, and is all; an initiator states it in CHILD_ADDITIONAL_FINISH. Which ones the chosen
 * proposal names, in which order, CHILD_INSTALL states: it has to have all of them.
 */
struct keeper_child_additional_begin {
	uint32_t handle, child;
	uint16_t method;    /* enum mlkem_number */
	uint16_t peer_ke_n; /* responder: the peer's encapsulation key; initiator: 0 */
	uint8_t peer_ke[KEEPER_KE_MAX];
};

struct keeper_child_additional_finish {
	uint32_t handle, child;
	uint16_t peer_ke_n, zero;
	uint8_t peer_ke[KEEPER_KE_MAX]; /* the peer's ciphertext */
};

struct keeper_child_additional_finished {
	uint32_t rc;
	char text[KEEPER_TEXT_MAX];
};

enum child_flags {
	CHILD_NONCES_OF_IKE = 1 << 0, /* child of IKE_AUTH: Ni, Nr of IKE_SA_INIT */
	CHILD_ESN = 1 << 1,	      /* extended sequence numbers negotiated */
	CHILD_ENCAP = 1 << 2,	      /* ESP in UDP, RFC 3948 */
	/* send on it only after the first packet arrived on it, or SA_ACTIVATE */
	CHILD_OUTBOUND_LATER = 1 << 3,
};

/*
 * Both SPIs and the peer's values are known: check against the tunnel, derive KEYMAT, enter, hand to the data
 * plane.
 */
struct keeper_child_install {
	uint64_t generation; /* of the snapshot that the indices are of */
	uint64_t group;	     /* as in struct sa_install */
	uint32_t handle, child, tunnel;
	uint32_t spi_out;
	uint32_t rekeys_spi_in; /* inbound SPI of the child that is replaced, or 0 */
	uint32_t flags;		/* enum child_flags */
	uint16_t role, dh_group;
	uint16_t encr, encr_bits;
	uint16_t peer_nonce_n, peer_ke_n; /* of a responder peer_ke_n is 0: CHILD_BEGIN had it */
	uint16_t local_n, remote_n;
	uint16_t resource, zero;	     /* as in struct sa_install */
	uint16_t additional[ADDITIONAL_MAX]; /* additional key exchanges, all done, in their order; 0: none */
	struct endpoint local, remote;
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	uint8_t peer_nonce[KEEPER_NONCE_MAX];
	uint8_t peer_ke[KEEPER_KE_MAX];
};

struct keeper_child_installed {
	uint32_t rc;
	char text[KEEPER_TEXT_MAX];
};

/*
 * Remove a child SA from the data plane: the pair is named by its inbound SPI. child: forget the handle as
 * well.
 */
struct keeper_child_remove {
	uint32_t child, tunnel;
	uint32_t spi_in;
	uint32_t zero;
	char reason[KEEPER_TEXT_MAX];
};

struct keeper_child_removed {
	uint32_t rc;
	char text[KEEPER_TEXT_MAX];
};

/*
 * Wipe the secrets of an IKE SA (or a begun exchange, or a begun child SA if child is not 0). Its child SAs
 * stay.
 */
struct keeper_drop {
	uint32_t handle, child;
	uint32_t was_up; /* 1: it was established, as ike sees it; the keeper enters by its own state */
	uint32_t peer;
	char reason[KEEPER_TEXT_MAX];
};

struct keeper_dropped {
	uint32_t rc;
	char text[KEEPER_TEXT_MAX];
};

/*
 * Requests come in an order (RFC 7296 sections 1.2, 1.3, 2.18): a row says in which states of the IKE SA and
 * of the child SA that it names a request is admissible. The keeper checks that in one place before anything
 * else happens (src/keys/admit.c). What is refused as RC_DENIED is no race of two processes: ike is at fault,
 * or compromised, and the ledger is told.
 */
/* clang-format off */
#define KEEPER_IKE_STATES(S)	/* id, code of the refusal, "IKE SA 0x4001 is ..." */						\
	S(NONE,            RC_NOT_FOUND, "not named")										\
	S(UNKNOWN,         RC_NOT_FOUND, "unknown")			/* no such handle, or no longer */			\
	S(BEGUN,           RC_DENIED,    "begun")			/* our public value is out */				\
	S(PARENT_GONE,     RC_NOT_FOUND, "the rekey of one that is gone") /* as BEGUN, and nothing can come of it */		\
	S(ADDITIONAL_DUE,   RC_DENIED,   "waiting for an additional key exchange")						\
	S(ADDITIONAL_BEGUN, RC_DENIED,   "in an additional key exchange")							\
	S(KEYED_INITIATOR, RC_DENIED,    "keyed as initiator")		/* SK_* are derived; our AUTH is not asked for */	\
	S(SIGNED,          RC_DENIED,    "waiting for the responder's AUTH")							\
	S(KEYED_RESPONDER, RC_DENIED,    "waiting for the initiator's AUTH")							\
	S(VERIFYING,       RC_DENIED,    "waiting for its receipt")	/* the peer's AUTH is good, its entry on the way */	\
	S(AUTHENTICATED,   RC_DENIED,    "authenticated")

#define KEEPER_CHILD_STATES(S)	/* id, code of the refusal, "child SA 0x4001 is ..." */						\
	S(NONE,       RC_NOT_FOUND, "not named")	/* or by an SPI that the keeper does not know */			\
	S(UNKNOWN,    RC_NOT_FOUND, "unknown")		/* no such handle, or of another IKE SA */				\
	S(BEGUN,      RC_DENIED,    "begun")									\
	S(ADDITIONAL, RC_DENIED,    "in an additional key exchange")						\
	S(INSTALLING, RC_AGAIN,     "being installed")	/* waits for its receipt or for the data plane */			\
	S(INSTALLED,  RC_DENIED,    "installed")								\
	S(REMOVING,   RC_AGAIN,     "being removed")

#define KEEPER_OPS(K)	/* id, request, reply; when: states of the IKE SA, states of the child SA */		\
	K(EXCHANGE_BEGIN,  keeper_exchange_begin,  keeper_exchange_begun,				\
		WHEN_IKE(NONE) | WHEN_IKE(AUTHENTICATED), WHEN_CHILD(NONE)) /* the one that is rekeyed */	\
	K(EXCHANGE_FINISH, keeper_exchange_finish, keeper_exchange_finished,				\
		WHEN_IKE(BEGUN), WHEN_CHILD(NONE))							\
	K(EXCHANGE_ANSWER, keeper_exchange_answer, keeper_exchange_answered,				\
		WHEN_IKE(NONE) | WHEN_IKE(AUTHENTICATED), WHEN_CHILD(NONE)) /* the one that is rekeyed */	\
	K(ADDITIONAL_BEGIN,  keeper_additional_begin,  keeper_additional_begun,				\
		WHEN_IKE(ADDITIONAL_DUE), WHEN_CHILD(NONE))						\
	K(ADDITIONAL_FINISH, keeper_additional_finish, keeper_additional_finished,			\
		WHEN_IKE(ADDITIONAL_BEGUN), WHEN_CHILD(NONE))						\
	K(AUTH_SIGN,       keeper_auth_sign,       keeper_auth_signed,					\
		WHEN_IKE(KEYED_INITIATOR) | WHEN_IKE(SIGNED) | WHEN_IKE(AUTHENTICATED), WHEN_CHILD(NONE)) \
	K(AUTH_VERIFY,     keeper_auth_verify,     keeper_auth_verified,				\
		WHEN_IKE(SIGNED) | WHEN_IKE(KEYED_RESPONDER), WHEN_CHILD(NONE))				\
	K(CHILD_BEGIN,     keeper_child_begin,     keeper_child_begun,					\
		WHEN_IKE(KEYED_INITIATOR) | WHEN_IKE(SIGNED) | WHEN_IKE(KEYED_RESPONDER) |		\
			WHEN_IKE(AUTHENTICATED), WHEN_CHILD(NONE))					\
	K(CHILD_ADDITIONAL_BEGIN,  keeper_child_additional_begin,  keeper_additional_begun,		\
		WHEN_IKE(AUTHENTICATED), WHEN_CHILD(BEGUN))						\
	K(CHILD_ADDITIONAL_FINISH, keeper_child_additional_finish, keeper_child_additional_finished,	\
		WHEN_IKE(AUTHENTICATED), WHEN_CHILD(ADDITIONAL))					\
	K(CHILD_INSTALL,   keeper_child_install,   keeper_child_installed,				\
		WHEN_IKE(AUTHENTICATED), WHEN_CHILD(BEGUN))						\
	K(CHILD_REMOVE,    keeper_child_remove,    keeper_child_removed,				\
		WHEN_IKE(NONE), WHEN_CHILD(NONE) | WHEN_CHILD(BEGUN) | WHEN_CHILD(ADDITIONAL) |	\
			WHEN_CHILD(INSTALLED))									\
	K(DROP,            keeper_drop,            keeper_dropped, /* of a child SA, or of an IKE SA */	\
		WHEN_IKE_ANY & ~WHEN_IKE(UNKNOWN), WHEN_CHILD(NONE) | WHEN_CHILD(BEGUN) | WHEN_CHILD(ADDITIONAL))
/* clang-format on */

enum keeper_ike_state {
#define E(id, rc, text) KEEPER_IKE_##id,
	KEEPER_IKE_STATES(E) KEEPER_IKE_STATE_COUNT
#undef E
};

enum keeper_child_state {
#define E(id, rc, text) KEEPER_CHILD_IS_##id,
	KEEPER_CHILD_STATES(E) KEEPER_CHILD_STATE_COUNT
#undef E
};

/* In the columns of KEEPER_OPS: a bit for each state. */
#define WHEN_IKE(id)   (1u << KEEPER_IKE_##id)
#define WHEN_IKE_ANY   ((1u << KEEPER_IKE_STATE_COUNT) - 1)
#define WHEN_CHILD(id) (1u << KEEPER_CHILD_IS_##id)

enum keeper_op {
#define E(id, request, reply, ike, child) KEEPER_##id,
	KEEPER_OPS(E) KEEPER_OP_COUNT
#undef E
};

/*
 * In a core's action and event queues; these two never travel, so they may be padded (src/ipc/padding.c
 * checks the bodies).
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpadded"
struct keeper_request {
	enum keeper_op op;
	uint64_t tag;
	union {
#define E(id, request, reply, ike, child) struct request id;
		KEEPER_OPS(E)
#undef E
	} u;
};

struct keeper_reply {
	enum keeper_op op;
	uint64_t tag;
	union {
#define E(id, request, reply, ike, child) struct reply id;
		KEEPER_OPS(E)
#undef E
	} u;
};
#pragma GCC diagnostic pop

/* The generation of the snapshot that the indices of a request are of; NULL: it has none. */
static inline uint64_t *keeper_generation(struct keeper_request *q)
{
	switch (q->op) {
	case KEEPER_AUTH_SIGN:
		return &q->u.AUTH_SIGN.generation;
	case KEEPER_AUTH_VERIFY:
		return &q->u.AUTH_VERIFY.generation;
	case KEEPER_CHILD_BEGIN:
		return &q->u.CHILD_BEGIN.generation;
	case KEEPER_CHILD_INSTALL:
		return &q->u.CHILD_INSTALL.generation;
	default:
		return NULL;
	}
}

/* Sent by the keeper without a request: the IKE SA may not be used any more, and has to be ended. */
struct keeper_ended {
	uint32_t handle, zero;
	char text[KEEPER_TEXT_MAX];
};

#endif
