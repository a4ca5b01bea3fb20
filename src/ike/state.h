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
 * Memory: what stands while nothing happens has its own length, and what only an exchange needs is freed with its step, for
 * there may be ten thousand IKE SAs. An IKE SA is freed only when an event is over (settle.c), if it is dead and has no request to the
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
	S(ADDITIONAL_SENT, "IKE_INTERMEDIATE sent")	/* an additional key exchange is under way */	\
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
	TASK_ADDITIONAL,
	TASK_AUTH,
	TASK_CHILD_NEW,
	TASK_CHILD_REKEY,
	TASK_IKE_REKEY,
	TASK_CHILD_DELETE,
	TASK_IKE_DELETE,
	TASK_DPD,
	TASK_PEER_MESSAGE,
	TASK_TOKEN,
	TASK_LIFETIME,
	TASK_REDIRECT,
};

enum child_state {
	CH_LARVAL, /* its exchange is under way */
	CH_UP,
	CH_REPLACED, /* rekeyed; one side deletes it */
	CH_CLOSING,  /* our delete is wanted or under way */
	CH_LINGER,   /* deleted; its inbound half stays for packets in flight */
};

/* Octets of their own length; n 0: none. */
struct blob {
	uint8_t *at;
	size_t n;
};

/* When something has to be looked at again; schedule.c. */
enum due_kind { DUE_IKE_SA, DUE_CHILD, DUE_TUNNEL, DUE_PUZZLES };

struct due {
	mono_ns at;
	uint32_t place; /* in the heap; 0: nothing is due */
	enum due_kind kind;
};

/* Of a template, what one identity has; share.c. */
struct ike_instance {
	struct link of_peer;
	struct blob user; /* as of struct ike_sa */
	struct link shares;
	uint32_t sas_n;
	mono_ns peer_messages_taken[IKE_PEER_MESSAGE_COUNT]; /* base/rate.h */
};

/* The same in one tunnel: so many of its child SAs are this identity's. Counts as of struct tunnel. */
struct tunnel_share {
	struct link of_instance;
	struct ike_instance *of;
	uint32_t tunnel, live_n, linger_n, all_n;
};

struct child_sa {
	struct ike_sa *sa;
	struct tunnel_share *share; /* of a template's tunnel, while it is in the tunnel's list; else NULL */
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
	uint16_t additional[ADDITIONAL_MAX]; /* that its proposal names; 0: none */
	uint8_t additional_done;
	bool esn, encap;
	bool redirected; /* the data plane was told of another endpoint since it was installed */
	/* per_worker.c (RFC 9611). For worker resource - 1; 0: for all. Of the latter: */
	uint16_t resource;
	bool shares;		/* both sides have said that others may stand beside it */
	bool wants_beside;	/* we want one more */
	mono_ns beside_at;	/* not before; 0: at once */
	struct endpoint remote; /* where the data plane sends to */
	uint32_t local_n, remote_n;
	struct selector *local_ts,
		*remote_ts; /* one piece of memory, that of local_ts; both NULL: none yet */
	struct blob lowest; /* the lower of the two nonces of its exchange, for collisions */
	/* `lowest` of the first child SA from which this one comes by rekeys: so a rekey does not change
	 * which of two redundant ones is deleted */
	struct blob lineage;
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
	uint64_t activation; /* number of the last SA_ACTIVATE about it; 0: none */
	char *reason;	     /* why it is removed; text_of() */
	/* from the data plane */
	bool used;
	mono_ns last_in; /* packet, by what was reported last */
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
	uint32_t beside_spi_in;	  /* SIDE_OWN: the child beside which one for a worker is made; 0: none */
	struct blob lineage;	  /* of that child; n 0: none */
	/* SIDE_OWN: the peer deleted them before its response told us of them */
	uint32_t dead_spis[IKE_DEAD_SPIS_MAX];
	uint32_t dead_spis_n;
	uint32_t tunnel;
	uint16_t dh;
	uint16_t refuse_child; /* notify that refuses the child of IKE_AUTH */
	uint16_t auth_method;
	struct ike_offer *answer; /* the proposal chosen, with its number */
	struct blob nonce, ke;	  /* ours in this exchange */
	/* SIDE_OWN: of the peer's response, if IKE_FOLLOWUP_KE is to follow; and what follows on the last one */
	struct blob link;
	ike_then *followed;
	/* And of a child SA the peer's values in the first one; SIDE_PEER: after the last one, in the first one. */
	struct blob peer_nonce, peer_ke;
	struct blob auth, no_ppk;
};

struct ask {
	struct ask *next;
	enum side side;
	uint32_t epoch;
	ike_then *then;
	struct keeper_request request;
};

/* The peer's exchange that its next IKE_FOLLOWUP_KE continues (followup.c). */
struct followup {
	/* Larval: one of the two is made. */
	struct ike_sa *successor;
	struct child_sa *child;
	ike_then *done; /* after the last one */
	uint8_t link[8];
	mono_ns from, until; /* from: since when one has waited, this one or others that it replaced */
	/* Of a child SA, as of its step. */
	uint32_t old_spi_in;
	struct blob lineage, peer_nonce;
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

/* Of a puzzle (RFC 8019) the keys that have been found, the smallest first, and which one is tried next. */
struct puzzle_search {
	uint16_t prf;
	uint8_t difficulty, found;
	uint32_t next;
	uint8_t keys[PUZZLE_KEYS][4];
};

/* Ours, as initiator: while it is being solved in c->solving, and then until the peer answers. */
struct ike_puzzle {
	struct link of_solving;
	struct ike_sa *sa;
	bool begun; /* else it waits, behind those that have */
	mono_ns until;
	struct puzzle_search search;
};

/* A message that waits for the data plane; hold.c. */
struct hold {
	struct link of_held;
	struct ike_sa *sa;
	bool is_response; /* sa->response, to be sent from here to there; else our Delete, which is not written yet */
	struct endpoint local, remote;
	uint64_t from,
		number; /* activations before it, and that which it waits for; 0: the event is not over */
	bool activated; /* the data plane has answered: until what is on its way has arrived */
	mono_ns until;
};

/* By IKE_AUTH, of the IKE SA or the one that it comes from by rekeys; reauth.c. */
struct ike_authenticated {
	bool by_us;	       /* we began the IKE_AUTH */
	bool anew;	       /* a new IKE SA is being made, because its time is nearly over */
	uint32_t configured_s; /* as `begin` and `end` were made; 0: for ever */
	mono_ns since;
	mono_ns begin, end; /* when we begin to make a new one, and when this one ends here; 0: never */
	mono_ns peer_end;   /* when the peer ends it, as it has said (AUTH_LIFETIME); 0: never */
	mono_ns peer_begin; /* because of that we begin then, whatever is configured later; 0: never */
};

/* Where a peer has sent us (RFC 5685); redirect.c. */
struct ike_redirect {
	struct ip_addr to; /* instead of its own address; ADDR_NONE: not now */
	struct ip_addr from_at;
	char from[ADDR_TEXT_MAX];      /* the same, as text */
	mono_ns at[IKE_REDIRECTS_MAX]; /* of the last ones; the oldest is `next` */
	uint32_t next;
};

struct ike_sa {
	struct link of_all, of_dirty, of_spi, of_peer_spi;
	struct link of_peer;	       /* from its authentication, or our beginning it, to its end */
	struct ike_instance *instance; /* of a template, as long as it is in that list; else NULL */
	struct link of_state;	       /* AUTH_WAIT, FAILED: in the order in which they came there */
	struct due due;
	uint64_t serial;
	uint16_t slot;
	bool was_up;
	bool begun;	/* by us, and not established yet */
	bool beginning; /* the same, and not known to be unanswered */
	enum ike_state state;
	bool initiator; /* we are the original initiator */
	uint8_t spi_i[8], spi_r[8];
	uint32_t peer;	       /* index; INDEX_NONE while unknown (responder before IKE_AUTH) */
	uint32_t first_tunnel; /* what it was made for, as initiator */
	uint64_t
		group; /* of its children (struct sa_install): of itself and its successors; 0: it has had none */
	/* Of a template, who it is: body of the ID payload that was proved; empty: of no template. */
	struct blob user;
	struct endpoint local, remote;
	uint32_t handle;
	uint16_t encr, encr_bits, prf, dh;
	uint16_t additional[ADDITIONAL_MAX]; /* that the chosen proposal names; 0: none */
	uint8_t additional_done;
	/* our last message of IKE_INTERMEDIATE, as both sides authenticate it (RFC 9242 section 3.3.2) */
	struct blob intermediate;
	struct aead_key key_out, key_in;
	uint64_t iv;
	struct blob nonce_i, nonce_r;	    /* until it is established */
	struct blob init_ours, init_theirs; /* IKE_SA_INIT messages, as signed */
	uint32_t hashes;		    /* bit n: the peer announced signature hash n */
	bool nat_known, peer_natted, we_natted, pretended, encap;
	bool fragments; /* both sides can do RFC 7383 */
	/* Both said USE_PPK (RFC 8784); the PPK is in its keys, for an initiator before the answer: is offered. */
	bool ppk_agreed, ppk;
	/* Both said IKE_SA_INIT_FULL_TRANSCRIPT_AUTH: AUTH of each side is over both messages of IKE_SA_INIT. Of a rekeyed one: of its first. */
	bool transcript;
	uint8_t cookie[IKE_COOKIE_MAX];
	uint16_t cookie_n;
	struct ike_puzzle *puzzle; /* NULL: none */
	uint16_t source;	   /* while it is half-open: its place in c->half_open_at */
	uint8_t restarts;
	bool initial_contact;
	bool moving;	    /* its child SAs are being replaced on another IKE SA; move.c */
	uint32_t refused;   /* how often the peer refused to rekey it */
	bool put_off;	    /* as responder: IKE_AUTH waits until the keeper can decide; auth.c */
	struct blob lowest; /* the lower of its two nonces, for collisions */

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
	struct followup *followup; /* NULL: none */
	uint64_t peer_successor;   /* serial of the one that the peer's rekey of this one made; 0: none */

	/* peer_message.c */
	bool supports_witnessing;			   /* the peer offered the vendor id */
	struct blob peer_messages[IKE_PEER_MESSAGE_COUNT]; /* ours, that wait */
	size_t peer_messages_sent[IKE_PEER_MESSAGE_COUNT]; /* octets of it, in parts */
	/* the peer's, whose last part has not come */
	struct blob peer_messages_begun[IKE_PEER_MESSAGE_COUNT];

	bool want_delete, want_rekey, want_dpd;
	struct ike_authenticated authenticated;
	struct hold *hold; /* NULL: none */
	bool handed_over;  /* before its Delete: others send what its child SAs did */
	bool want_lifetime; /* the configured lifetime of its authentication is another one: the peer is told */
	bool want_token;    /* made by our rekey: the peer does not have its token yet; crash.c */
	struct blob crash_token; /* the peer's, of this IKE SA; n 0: none */
	bool terminated;	 /* by an administrator: what it is rekeyed to meanwhile ends as well */
	bool doubted;		 /* the peer has made another one: fewer retransmissions; liveness.c */
	uint16_t delete_notify;	 /* error notify to send with the delete; 0: none */
	mono_ns since, heard_at, timer_at, rekey_at, expire_at, retry_at, keepalive_at, childless_at;
	mono_ns local_gone_at; /* when our address was first missing; 0: it is present */
	mono_ns seen_at;       /* when something last showed the peer's endpoint; follow.c */
	/* another endpoint that it was seen at while we are behind a NAT ourselves: requests go there as
	 * well */
	struct endpoint elsewhere;
	mono_ns hints_from; /* messages without protection may make us ask again; liveness.c */
	char *reason;	    /* text_of() */
	/* redirect.c */
	bool follows;		    /* we began it, and have said that we go where we are sent */
	bool redirectable;	    /* the peer began it, and has said so */
	bool redirected;	    /* the peer has sent us away: it is moving */
	struct ip_addr redirect_to; /* where; ADDR_NONE: nowhere, or we are on our way */
	struct blob send_to;	    /* the peer has to be sent away: data of the notify */
	mono_ns leaves_at;	    /* it was, and has to be gone then; 0: it was not */
	char *redirect_name,
		*redirected_from; /* of redirect_to; the gateway that sent whoever began it; text_of() */
	char former_peer[NAME_MAX_BYTES]; /* its peer's name, once the configuration has that peer no more */

	struct ask *asks, **asks_end;
	uint32_t asks_n;
	uint64_t flight; /* tag of the request that the keeper works on; 0: none */
	/* not before: the keeper's queue was full, or it had another configuration; 0: at once */
	mono_ns ask_at;
};

/* A pair of networks that the peer did not grant; pairs.c. */
struct pair_put_off {
	uint32_t pair, backoff_ms; /* pair 0: none */
	mono_ns retry_at;
};

struct tunnel {
	struct link children;
	struct pair_put_off *put_off; /* IKE_PAIRS_PUT_OFF_MAX; NULL: none was ever */
	struct link of_dirty;	      /* to be looked at when the event is over */
	struct link of_ready; /* wanted, and the time has come: an IKE SA of its peer is to begin it */
	struct link of_turn;  /* the same, and its peer has none: waits until fewer are being made */
	struct due due;
	uint32_t next_of_peer;
	bool has_turn;		   /* taken out of the list of those that wait to begin */
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
	char *reason; /* text_of() */
};

/* The addresses of a peer by name; named.c. */
struct ike_named {
	struct ip_addr at[PEER_ADDRESSES_MAX];
	uint32_t n,
		current; /* the first `current` are in the newest answer, the others were a short time ago */
	uint32_t next;	 /* whom to begin with; below current, or 0 */
	bool known;	 /* there was an answer */
	mono_ns answered_at;
	mono_ns acted_at; /* an attempt was begun, or another one ended, because the addresses are others */
	char *why;	  /* why there was none to the last question; text_of() */
};

struct ike_peer {
	struct ike_named *named;       /* NULL: it has an address, or any */
	struct ike_redirect *redirect; /* NULL: there was none */
	struct link sas;       /* those that we begin, and the peer's once authenticated; the oldest first */
	struct link instances; /* of a template */
	/* A template each of whose identities has places of its own: there are as many as connections-limit allows. */
	bool each;
	struct link ready;	 /* tunnels */
	uint32_t sas_n, tunnels; /* the first of its tunnels; INDEX_NONE: none */
	/* Of a template: identities that found it full, and child SAs for addresses that were another one's. */
	uint64_t instances_refused, claims_refused;
	mono_ns peer_messages_taken[IKE_PEER_MESSAGE_COUNT]; /* base/rate.h; of a template: its identities' */
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

/* A peer at one of its addresses; those with the same hash follow each other. */
struct ike_place {
	uint32_t peer, next; /* INDEX_NONE: the last one */
};

struct ike {
	struct ike_setup setup;
	mono_ns now;	 /* of the event being worked on */
	uint64_t random; /* state of jitter */
	struct snapshot *snap;
	uint8_t (*anchor_hashes)[20]; /* of each certificate of the snapshot; NULL: it has none */
	uint8_t all_authorities[1 + IKE_CERTREQ_MAX * 20]; /* a CERTREQ with those of all peers */
	size_t all_authorities_n;
	struct tunnel *tunnels;
	struct ike_peer *peers; /* one more than configured; index.c */
	uint32_t tunnels_n, peers_n;
	/* By remote address, of those at any: the first place, in the order of the configuration; INDEX_NONE. */
	struct ike_place *places;
	uint32_t peers_at[IKE_PEER_BUCKETS], peers_anywhere;
	struct link sas, dirty, dirty_tunnels;
	struct link turns; /* tunnels that wait to begin an IKE SA */
	uint32_t begun_n, beginning_n;
	struct link waiting, failed; /* in AUTH_WAIT and FAILED, the oldest first */
	struct ike_sa *slots[IKE_SAS_MAX];
	uint16_t free_slots[IKE_SAS_MAX];
	uint32_t free_n, half_open, failed_n;
	/* Beyond the places that each peer and tunnel has of its own, or each identity of a template; and so many have them. */
	uint32_t sas_extra, children_extra, sas_sure, children_sure;
	uint8_t hash_key[16];
	struct link by_spi[IKE_SA_BUCKETS], by_peer_spi[IKE_SA_BUCKETS];
	struct link by_in[IKE_CHILD_BUCKETS], by_out[IKE_CHILD_BUCKETS];
	struct due **dues;
	uint32_t dues_n, dues_room;
	uint64_t serials, tags;
	uint8_t cookie_secrets[2][32];
	uint8_t cookie_version;
	struct link held;		 /* messages; hold.c */
	uint64_t activations, activated; /* SA_ACTIVATE: sent, answered */
	struct link solving;		 /* puzzles, in turn; when the next piece of the first one is due */
	struct due solving_due;
	uint64_t cookies_spent[2][IKE_COOKIES_SPENT / 64]; /* admit.c; of each secret */
	uint16_t half_open_at[IKE_SOURCE_SLOTS];	   /* by a hash of the address, of IPv6 its /64 */
	/* Those that failed, of all and of the same slots: until when they count; admit.c. */
	mono_ns burnt_until, burnt_until_at[IKE_SOURCE_SLOTS];
	mono_ns alarm_at
		[3]; /* not before: the next line of the log about cookies, puzzles, puzzles of one address */
	uint64_t counts[IKE_COUNTERS_N];
	struct action_node *actions, **actions_end, *taken;
	uint32_t actions_n;
	struct ike_expected expected[IKE_EXPECTED_MAX];
	uint32_t expected_next;
	uint32_t refusal_tokens;
	mono_ns tokens_taken; /* crash.c; base/rate.h */
	mono_ns refusal_at;
	uint64_t refusals_left_out;
	struct ike_refusal *refusals_kept[IKE_REFUSALS_KEPT]; /* the newest of each peer; NULL: none */
	uint8_t scratch[IKE_MESSAGE_MAX];
	struct ike_payloads scratch_payloads;
};

#endif
