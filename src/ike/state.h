/*
 * The state of the IKE core: IKE SAs, their child SAs and their two exchanges, tunnels, peers. The functions
 * over it: internal.h.
 *
 * An IKE SA has two sides: exchanges that we begin (SIDE_OWN) and those the peer begins (SIDE_PEER); each has
 * a window of one (RFC 7296 2.3), so at most one step is under way on each. A step may have to ask the
 * keeper; what follows is a continuation (ike_then). A step that is abandoned gets a new epoch, and answers
 * to the old one are cleaned up in keeper.c. Requests to the keeper of one IKE SA go one after the other, so
 * a CHILD_REMOVE never overtakes its install.
 *
 * Memory: an IKE SA is freed only when an event is over (settle.c), if it is dead and has no request to the
 * keeper left. A child SA is freed by child_unlink().
 */
#ifndef IKE_STATE_H
#define IKE_STATE_H

#include "crypto/aead.h"
#include "crypto/prf.h"
#include "ike/ike.h"
#include "ike/list.h"
#include "wire/ike_codec.h"

/* clang-format off */
#define IKE_STATES(S)	/* id, text */									\
	S(NONE,       "none")			/* no IKE SA yet */				\
	S(KEYS_OWN,   "preparing")		/* we start; the keeper makes our values */	\
	S(INIT_SENT,  "IKE_SA_INIT sent")							\
	S(AUTH_SENT,  "IKE_AUTH sent")								\
	S(KEYS_PEER,  "answering")		/* the peer starts; the keeper makes our values */ \
	S(AUTH_WAIT,  "waiting for IKE_AUTH")							\
	S(LARVAL,     "rekeying")							\
	S(UP,         "established")								\
	S(REPLACED,   "replaced")		/* rekeyed; one side deletes it */		\
	S(CLOSING,    "closing")		/* our delete is under way */			\
	S(FAILED,     "ended")		/* only repeats its last answer */		\
	S(DEAD,       "gone")
/* clang-format on */

enum ike_state {
#define E(id, text) ST_##id,
	IKE_STATES(E) ST_COUNT
#undef E
};

enum ike_task {
	TASK_NONE,
	TASK_INIT,
	TASK_AUTH,
	TASK_CHILD_NEW,
	TASK_CHILD_REKEY,
	TASK_IKE_REKEY,
	TASK_CHILD_DELETE,
	TASK_IKE_DELETE,
	TASK_DPD,
	TASK_PEER_MESSAGE,
};

enum child_state {
	CH_LARVAL, /* its exchange is under way */
	CH_UP,
	CH_REPLACED, /* rekeyed; one side deletes it */
	CH_CLOSING,  /* our delete is wanted or under way */
	CH_LINGER,   /* deleted; its inbound half stays for packets in flight */
};

struct nonce {
	uint16_t n;
	uint8_t bytes[KEEPER_NONCE_MAX];
};

/* When something has to be looked at again; schedule.c. */
enum due_kind { DUE_IKE_SA, DUE_CHILD, DUE_TUNNEL };

struct due {
	mono_ns at;
	uint32_t place; /* in the heap; 0: nothing is due */
	enum due_kind kind;
};

struct child_sa {
	struct ike_sa *sa;
	struct link of_sa, of_tunnel, of_in, of_out;
	struct link wanting; /* its IKE SA has to begin an exchange about it */
	struct link unsure;  /* not confirmed yet (below) */
	struct due due;
	enum child_state state;
	uint32_t tunnel, handle, spi_in, spi_out;
	bool ours;	 /* we began the exchange that made it */
	bool installing; /* the keeper has been asked to install it */
	bool want_rekey;
	bool confirmed; /* the peer is known to have it: it answered us, or continued after our response */
	bool delete_sent;
	bool takes_over;    /* another one of its tunnel ends: to be activated when the event is over */
	bool compare;	    /* came up or changed: look for redundant ones when the event is over */
	bool deleted_early; /* by the peer, before it was installed here */
	bool terminated;    /* by an administrator, before it was installed here: deleted when it is up */
	uint16_t encr, encr_bits, dh;
	bool esn, encap;
	struct endpoint remote; /* where the data plane sends to */
	uint32_t local_n, remote_n;
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	struct nonce lowest; /* the lower of the two nonces of its exchange, for collisions */
	/* `lowest` of the first child SA from which this one comes by rekeys: so a rekey does not change
	 * which of two redundant ones is deleted */
	struct nonce lineage;
	uint32_t refused; /* how often the peer refused to rekey it */
	/* CLOSING: inbound SPI of the redundant child SA that is kept, 0: none; this one is not deleted
	 * before that one is confirmed */
	uint32_t superseded_by;
	/* inbound SPI of the child SA that the peer's rekey of this one made; 0: none */
	uint32_t successor_of_peer;
	/* The peer should have deleted one of two redundant child SAs of one lineage and did not: at
	 * doubt_at a rekey asks whether it has this one; 0: no doubt */
	mono_ns doubt_at;
	bool verifying, verified;
	mono_ns since, rekey_at, expire_at, retry_at, remove_at;
	/* the data plane sends on it from then on, if no packet has come in on it before; 0: as it was
	 * installed */
	mono_ns activate_at;
	char reason[IKE_REASON_MAX]; /* why it is removed */
	/* from the data plane */
	bool used;
	uint32_t idle_in_ms, idle_out_ms;
	uint64_t bytes, seq_out;
};

/* A received message with its own copy of the bytes its views point to. */
struct message {
	struct ike_header h;
	struct endpoint local, remote;
	struct ike_payloads p;
	size_t n;
	uint8_t bytes[];
};

struct ike_sa;
struct step;
struct ike_row;
typedef void ike_then(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r);

enum side { SIDE_OWN, SIDE_PEER };

struct step {
	enum side side;
	uint32_t epoch;
	bool busy;	    /* a message is being processed, or a request prepared */
	enum ike_task task; /* SIDE_OWN */
	bool deferred;	    /* SIDE_PEER: the request waits for our own exchange */
	const struct ike_row *row;
	struct message *in;
	struct child_sa *child;	  /* the larval child; in the IKE SA's list */
	struct ike_sa *successor; /* the larval IKE SA of a rekey */
	uint32_t old_spi_in;	  /* the child that is rekeyed or deleted */
	struct nonce lineage;	  /* of that child; n 0: none */
	/* SIDE_OWN: the peer deleted them before its response told us of them */
	uint32_t dead_spis[IKE_DEAD_SPIS_MAX];
	uint32_t dead_spis_n;
	uint32_t tunnel;
	uint16_t dh;
	uint16_t refuse_child; /* notify that refuses the child of IKE_AUTH */
	struct nonce nonce;    /* ours in this exchange */
	uint16_t ke_n;
	uint8_t ke[KEEPER_KE_MAX];
	struct ike_offer answer; /* the proposal chosen, with its number */
	uint16_t auth_method, auth_n, no_ppk_n;
	uint8_t auth[KEEPER_AUTH_MAX], no_ppk[KEEPER_AUTH_MAX];
};

struct ask {
	struct ask *next;
	enum side side;
	uint32_t epoch;
	ike_then *then;
	struct keeper_request request;
};

struct blob {
	uint8_t *at;
	size_t n;
};

/* The parts of one message that have come (RFC 7383). */
struct gathered {
	uint32_t message_id;
	uint16_t total, n; /* parts of the message, and those that are here */
	uint8_t first;	   /* type of the first payload, as part 1 says */
	size_t octets;
	struct blob begun; /* part 1 as it came */
	struct blob parts[IKE_FRAGMENTS_MAX];
};

struct ike_sa {
	struct link of_all, of_dirty, of_spi, of_peer_spi;
	struct link of_peer;  /* from its authentication, or our beginning it, to its end */
	struct link of_state; /* AUTH_WAIT, FAILED: in the order in which they came there */
	struct due due;
	uint64_t serial;
	uint16_t slot;
	bool was_up;
	enum ike_state state;
	bool initiator; /* we are the original initiator */
	uint8_t spi_i[8], spi_r[8];
	uint32_t peer;	       /* index; INDEX_NONE while unknown (responder before IKE_AUTH) */
	uint32_t first_tunnel; /* what it was made for, as initiator */
	struct endpoint local, remote;
	uint32_t handle;
	uint16_t encr, encr_bits, prf, dh;
	struct aead_key key_out, key_in;
	uint64_t iv;
	struct nonce nonce_i, nonce_r;
	struct blob init_ours, init_theirs; /* IKE_SA_INIT messages, as signed */
	uint32_t hashes;		    /* bit n: the peer announced signature hash n */
	bool nat_known, peer_natted, we_natted, pretended, encap;
	bool fragments; /* both sides can do RFC 7383 */
	/* Both said USE_PPK (RFC 8784); the PPK is in its keys, for an initiator before the answer: is offered. */
	bool ppk_agreed, ppk;
	uint8_t cookie[IKE_COOKIE_MAX];
	uint16_t cookie_n;
	uint8_t restarts;
	bool initial_contact;
	bool moving;	  /* its child SAs are being replaced on another IKE SA; move.c */
	uint32_t refused; /* how often the peer refused to rekey it */
	bool put_off;	  /* as responder: IKE_AUTH waits until the keeper can decide; auth.c */
	struct nonce lowest;

	struct step steps[2];
	/* our request that is not answered yet: a message, or its parts back to back */
	struct blob request;
	uint32_t own_id;
	unsigned tries;
	mono_ns asked_at; /* when it was sent first */
	mono_ns again_at, give_up_at;
	/* the peer's */
	uint32_t peer_id;		    /* the next expected */
	struct blob peer_request, response; /* the first part of a request in parts; the response as above */
	struct gathered *gathered[2];	    /* by side */

	struct link children, wanting, unsure;
	uint32_t children_n;
	/* IKE rekey */
	/* serial of the IKE SA that this one replaces and whose children it will get; 0: settled */
	uint64_t parent;
	uint64_t peer_successor; /* serial of the one that the peer's rekey of this one made; 0: none */

	/* peer_message.c */
	bool supports_witnessing;			   /* the peer offered the vendor id */
	struct blob peer_messages[IKE_PEER_MESSAGE_COUNT]; /* ours, that wait */
	size_t peer_messages_sent[IKE_PEER_MESSAGE_COUNT]; /* octets of it, in parts */
	/* the peer's, whose last part has not come */
	struct blob peer_messages_begun[IKE_PEER_MESSAGE_COUNT];

	bool want_delete, want_rekey, want_dpd;
	bool terminated;	/* by an administrator: what it is rekeyed to meanwhile ends as well */
	bool doubted;		/* the peer has made another one: fewer retransmissions; liveness.c */
	uint16_t delete_notify; /* error notify to send with the delete; 0: none */
	mono_ns since, heard_at, timer_at, rekey_at, expire_at, retry_at, keepalive_at, childless_at;
	mono_ns local_gone_at; /* when our address was first missing; 0: it is present */
	mono_ns seen_at;       /* when something last showed the peer's endpoint; follow.c */
	/* another endpoint that it was seen at while we are behind a NAT ourselves: requests go there as
	 * well */
	struct endpoint elsewhere;
	mono_ns hints_from; /* messages without protection may make us ask again; liveness.c */
	char reason[IKE_REASON_MAX];
	char former_peer[NAME_MAX_BYTES]; /* its peer's name, once the configuration has that peer no more */

	struct ask *asks, **asks_end;
	uint32_t asks_n;
	uint64_t flight; /* tag of the request that the keeper works on; 0: none */
	/* not before: the keeper's queue was full, or it had another configuration; 0: at once */
	mono_ns ask_at;
};

struct tunnel {
	struct link children;
	struct link of_dirty; /* to be looked at when the event is over */
	struct link of_ready; /* wanted, and the time has come: an IKE SA of its peer is to begin it */
	struct due due;
	uint32_t next_of_peer;
	bool want, held;	   /* held: terminated by an administrator */
	bool has_packet;	   /* traffic asks for a child SA with `packet` in it */
	bool alone;		   /* the peer takes it on an IKE SA of its own only: NO_ADDITIONAL_SAS */
	bool one_pair;		   /* the peer takes only the packet's own selectors: SINGLE_PAIR_REQUIRED */
	struct selector packet[2]; /* our side, the peer's */
	uint32_t up;		   /* children in state CH_UP */
	uint32_t live_n, linger_n, all_n; /* UP and LARVAL; LINGER; in all states */
	uint32_t orphan; /* inbound SPI of a child SA from before a restart of this process */
	/* remove_at: another child SA carries the traffic, the orphan only packets in flight */
	mono_ns orphan_until, orphan_remove_at;
	mono_ns retry_at;
	uint32_t backoff_ms;
	char reason[IKE_REASON_MAX];
};

struct ike_peer {
	struct link sas;   /* those that we begin, and the peer's once authenticated; the oldest first */
	struct link ready; /* tunnels */
	uint32_t sas_n, tunnels;			     /* the first of its tunnels; INDEX_NONE: none */
	mono_ns peer_messages_taken[IKE_PEER_MESSAGE_COUNT]; /* base/rate.h */
};

struct action_node {
	struct action_node *next;
	struct ike_action a;
};

/* A peer that was answered with the proposal of another one, and is preferred at its next attempt;
 * choose.c. */
struct ike_expected {
	struct ip_addr remote;
	uint32_t peer; /* index; the address says whether there is one */
};

struct ike {
	struct ike_setup setup;
	mono_ns now;	 /* of the event being worked on */
	uint64_t random; /* state of jitter */
	struct snapshot *snap;
	struct tunnel *tunnels;
	struct ike_peer *peers; /* one more than configured; index.c */
	uint32_t tunnels_n, peers_n;
	struct link sas, dirty, dirty_tunnels;
	struct link waiting, failed; /* in AUTH_WAIT and FAILED, the oldest first */
	struct ike_sa *slots[IKE_SAS_MAX];
	uint16_t free_slots[IKE_SAS_MAX];
	uint32_t free_n, half_open, failed_n;
	uint32_t sas_extra, children_extra; /* beyond the places that each peer and tunnel has of its own */
	uint8_t hash_key[16];
	struct link by_spi[IKE_SA_BUCKETS], by_peer_spi[IKE_SA_BUCKETS];
	struct link by_in[IKE_CHILD_BUCKETS], by_out[IKE_CHILD_BUCKETS];
	struct due **dues;
	uint32_t dues_n, dues_room;
	uint64_t serials, tags;
	uint8_t cookie_secrets[2][32];
	uint8_t cookie_version;
	uint64_t cookie_uses;
	struct action_node *actions, **actions_end, *taken;
	uint32_t actions_n;
	struct ike_expected expected[IKE_EXPECTED_MAX];
	uint32_t expected_next;
	uint32_t refusal_tokens;
	mono_ns refusal_at;
	uint64_t refusals_left_out;
	struct ike_refusal *refusals_kept[IKE_REFUSALS_KEPT]; /* the newest of each peer; NULL: none */
	uint8_t scratch[IKE_MESSAGE_MAX];
	struct ike_payloads scratch_payloads;
};

#endif
