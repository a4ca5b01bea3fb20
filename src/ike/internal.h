/*
 * What the files of src/ike share: the IKE SA, its children, its two exchanges, and the functions between the
 * files.
 *
 * An IKE SA has two sides: exchanges that we begin (SIDE_OWN) and those the peer begins (SIDE_PEER); each has
 * a window of one (RFC 7296 2.3), so at most one step is under way on each. A step may have to ask the
 * keeper; what follows is a continuation (ike_then). A step that is given up gets a new epoch, and answers to
 * the old one are cleaned up in keeper.c. Requests to the keeper of one IKE SA go one after the other, so a
 * CHILD_REMOVE never overtakes its install.
 *
 * Memory: an IKE SA is freed only in sa_settle(), at the end of an event, when it is dead and nothing is
 * asked.
 */
#ifndef IKE_INTERNAL_H
#define IKE_INTERNAL_H

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
	S(LARVAL,     "being made by a rekey")							\
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
	TASK_WORD,
};

enum child_state {
	CH_LARVAL, /* its exchange is under way */
	CH_UP,
	CH_REPLACED, /* rekeyed; one side deletes it */
	CH_CLOSING,  /* our delete is wanted or under way */
	CH_LINGER,   /* deleted; stays inbound for a moment */
};

struct nonce {
	uint16_t n;
	uint8_t bytes[KEEPER_NONCE_MAX];
};

/* When something has to be looked at again; due.c. */
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
	struct link unsure;  /* not confirmed yet */
	struct due due;
	enum child_state state;
	uint32_t tunnel, handle, spi_in, spi_out;
	bool ours;	 /* we began the exchange that made it */
	bool installing; /* the keeper has been asked to install it */
	bool want_rekey;
	bool confirmed; /* the peer surely has it: it answered us, or went on after our answer */
	bool delete_sent;
	bool takes_over;    /* another one of its tunnel goes: to be activated when the event is over */
	bool compare;	    /* came up or changed: look for its twins when the event is over */
	bool deleted_early; /* by the peer, before it was installed here */
	uint16_t encr, encr_bits, dh;
	bool esn, encap;
	struct endpoint remote; /* where the data plane sends to */
	uint32_t local_n, remote_n;
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	struct nonce lowest; /* the lower of the two nonces of its exchange, for collisions */
	struct nonce
		line;	  /* that of the first of its line: a rekey does not change the verdict about twins */
	uint32_t refused; /* rekeys of it, by the peer */
	uint32_t yields_to; /* CLOSING: inbound SPI of the twin that stays; not deleted before that is
				  confirmed */
	uint32_t
		successor_of_peer; /* inbound SPI of the child that the peer's rekey of this one made; 0: none */
	/* A redundant child of the same line that the peer was to delete and did not: whether it has this one
	 */
	mono_ns doubt_at; /* is asked then, by a rekey; 0: nothing of that */
	bool verifying, verified;
	mono_ns since, rekey_at, expire_at, retry_at, remove_at;
	mono_ns activate_at; /* send on it from then on, if no packet came in on it before; 0: it sends as it
				was installed */
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
	bool busy;	    /* a message is being worked on, or a request prepared */
	enum ike_task task; /* SIDE_OWN */
	bool deferred;	    /* SIDE_PEER: the request waits for our own exchange */
	const struct ike_row *row;
	struct message *in;
	struct child_sa *child;		       /* the larval child; in the IKE SA's list */
	struct ike_sa *successor;	       /* the larval IKE SA of a rekey */
	uint32_t old_spi_in;		       /* the child that is rekeyed or deleted */
	struct nonce line;		       /* of that child; n 0: none */
	uint32_t dead_spis[IKE_DEAD_SPIS_MAX]; /* SIDE_OWN: deleted by the peer before its answer told us of
						  them */
	uint32_t dead_spis_n;
	uint32_t tunnel;
	uint16_t dh;
	uint16_t refuse_child; /* notify that refuses the child of IKE_AUTH */
	struct nonce nonce;    /* ours in this exchange */
	uint16_t ke_n;
	uint8_t ke[KEEPER_KE_MAX];
	struct ike_offer answer; /* the proposal chosen, with its number */
	uint16_t auth_method, auth_n;
	uint8_t auth[KEEPER_AUTH_MAX];
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

struct ike_sa {
	struct link of_all, of_dirty, of_spi, of_peer_spi;
	struct link of_peer;  /* from its authentication, or our beginning it, to its end */
	struct link of_state; /* AUTH_WAIT, FAILED: by the time that it came there */
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
	uint8_t cookie[IKE_COOKIE_MAX];
	uint16_t cookie_n;
	uint8_t restarts;
	bool initial_contact;
	bool moving;	  /* its child SAs are being made anew on another IKE SA; move.c */
	uint32_t refused; /* rekeys of it, by the peer */
	bool put_off;	  /* as responder: IKE_AUTH waits for the keeper to be able to decide; auth.c */
	struct nonce lowest;

	struct step steps[2];
	/* our request on its way */
	struct blob request;
	uint32_t own_id;
	unsigned tries;
	mono_ns asked_at; /* when it was sent first */
	mono_ns again_at, give_up_at;
	/* the peer's */
	uint32_t peer_id; /* the next expected */
	struct blob peer_request, response;

	struct link children, wanting, unsure;
	uint32_t children_n;
	/* IKE rekey */
	uint64_t parent; /* serial of the IKE SA that this one replaces and whose children it will get; 0:
			       settled */
	uint64_t peer_successor; /* serial of the one that the peer's rekey of this one made; 0: none */

	/* peer_message.c */
	bool supports_witnessing; /* the peer offered the vendor id */
	struct blob words[IKE_PEER_MESSAGE_COUNT];
	size_t peer_messages_sent[IKE_PEER_MESSAGE_COUNT]; /* octets of it, in parts */
	struct blob
		peer_messages_begun[IKE_PEER_MESSAGE_COUNT]; /* the peer's, whose last part has not come */

	bool want_delete, want_rekey, want_dpd;
	bool doubted; /* the peer has made another one: our request has short patience; liveness.c */
	uint16_t delete_notify; /* error notify to send with the delete; 0: none */
	mono_ns since, heard_at, timer_at, rekey_at, expire_at, retry_at, keepalive_at, childless_at;
	mono_ns local_gone_at; /* our address was first missed; 0: it is there */
	mono_ns seen_at;       /* when something last told where the peer is; follow.c */
	/* from where it came while we are behind a NAT: it is asked there as well */
	struct endpoint elsewhere;
	mono_ns hints_from; /* messages without protection may make us ask again; liveness.c */
	char reason[IKE_REASON_MAX];
	char former_peer[NAME_MAX_BYTES]; /* its peer's name, once the configuration has that peer no more */

	struct ask *asks, **asks_end;
	uint32_t asks_n;
	uint64_t flight; /* tag of the request that the keeper works on; 0: none */
	mono_ns ask_at;	 /* not before: the keeper's queue was full, or it had another configuration; 0: at
			    once */
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
	uint32_t orphan;		  /* inbound SPI of a child left by an earlier life of this process */
	mono_ns orphan_until, orphan_remove_at; /* remove_at: another child carries the traffic, this one only
						   what is on its way */
	mono_ns retry_at;
	uint32_t backoff_ms;
	char reason[IKE_REASON_MAX];
};

struct ike_peer {
	struct link sas;	 /* of ours to it, and of its once it is authenticated; the oldest first */
	struct link ready;	 /* tunnels */
	uint32_t sas_n, tunnels; /* the first of its tunnels; INDEX_NONE: none */
	mono_ns peer_messages_taken[IKE_PEER_MESSAGE_COUNT]; /* base/rate.h */
};

struct action_node {
	struct action_node *next;
	struct ike_action a;
};

/* A peer that came with another one's proposal, and is tried first when it comes again; choose.c. */
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
	struct link by_spi[4096], by_peer_spi[4096], by_in[8192], by_out[8192];
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
	uint8_t scratch[IKE_MESSAGE_MAX];
	struct ike_payloads scratch_payloads;
};

/* ---- core.c: memory, actions, chance ---- */
void *ike_alloc(size_t n); /* zeroed; ends the process when there is no memory */
void blob_set(struct blob *b, const void *bytes, size_t n);
void blob_free(struct blob *b);
struct ike_action *ike_act(struct ike *c, enum ike_action_kind kind);
void ike_log(struct ike *c, bool warning, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ike_send(struct ike *c, const struct endpoint *local, const struct endpoint *remote, const void *bytes,
	size_t n);
/* A number from lo to hi, from the seed. */
uint64_t ike_chance(struct ike *c, uint64_t lo, uint64_t hi);
/* Enters a refusal, unless there are too many; gives the struct to fill in, or NULL. */
struct ike_refusal *ike_refuse(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const struct snap_peer *peer, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void nonce_set(struct nonce *v, const void *bytes, size_t n);
const struct nonce *nonce_lower(const struct nonce *a, const struct nonce *b);
int nonce_compare(const struct nonce *a, const struct nonce *b);

/* ---- due.c ---- */
void due_set(struct ike *c, struct due *d, mono_ns at); /* 0: not at all */
struct due *due_first(const struct ike *c);
/* The sooner of two times; b counts when it is to come. */
mono_ns due_sooner(const struct ike *c, mono_ns a, mono_ns b);

/* ---- index.c: who is found by what, and how many there may be ---- */
void index_init(struct ike *c);
void peers_new(struct ike *c, uint32_t n); /* c->peers, all without IKE SAs and tunnels */
void sa_set_spi(struct ike *c, struct ike_sa *sa, const uint8_t spi[8]); /* ours */
struct ike_sa *sa_by_spi(const struct ike *c, bool we_are_initiator, const uint8_t spi[8]);
void sa_expect_init(struct ike *c, struct ike_sa *sa);
/* The half-open one that this very IKE_SA_INIT made. */
struct ike_sa *sa_by_init(const struct ike *c, const struct message *in);
struct ike_peer *peer_entry(const struct ike *c, uint32_t peer);
void sa_join_peer(struct ike *c, struct ike_sa *sa);
void sa_leave_peer(struct ike *c, struct ike_sa *sa);
/* Room for one more IKE SA with this peer, at the expense of its others but keep; false: there is none. */
bool sa_peer_room(struct ike *c, uint32_t peer, const struct ike_sa *keep);
/* Of too many that stand with its peer the oldest is closed. */
void sa_peer_limit(struct ike *c, const struct ike_sa *fresh);
struct ike_sa *sa_by_serial(const struct ike *c, uint32_t peer, uint64_t serial);
void child_set_in(struct ike *c, struct child_sa *ch, uint32_t spi);
void child_set_out(struct ike *c, struct child_sa *ch, uint32_t spi);
struct child_sa *child_any_by_in(const struct ike *c, uint32_t spi_in);
struct child_sa *child_by_in(const struct ike *c, const struct ike_sa *sa, uint32_t spi_in);
/* With a peer at that address. */
struct child_sa *child_any_by_out(const struct ike *c, const struct ip_addr *remote, uint32_t spi_out);
struct child_sa *child_by_out(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out);
/* Ours, answered by the peer and not installed yet: the peer may speak of it already. */
struct child_sa *child_being_installed(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out);
bool child_spi_taken(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out);
void child_join_tunnel(struct ike *c, struct child_sa *ch);
void child_leave_tunnel(struct ike *c, struct child_sa *ch);
void child_set_state(struct ike *c, struct child_sa *ch, enum child_state state);
/* Whether the tunnel may have one more child; in both roles. */
enum child_kind {
	CHILD_ANOTHER, /* by CREATE_CHILD_SA */
	CHILD_OF_AUTH, /* with its IKE SA, whose number is limited */
	CHILD_REKEYED, /* in the place of one that stands */
};
bool child_room(const struct ike *c, uint32_t tunnel, enum child_kind kind);
void child_linger_limit(struct ike *c, uint32_t tunnel); /* at the end of an event */
void child_lingered(struct ike *c, struct child_sa *ch); /* out of the data plane, and freed */
struct tunnel *child_tunnel(const struct ike *c, const struct child_sa *ch);

/* ---- sa.c: the life of an IKE SA ---- */
struct ike_sa *sa_new(struct ike *c, bool initiator);
const struct snap_peer *sa_peer(const struct ike *c, const struct ike_sa *sa);
const char *sa_peer_name(const struct ike *c, const struct ike_sa *sa);
void sa_enter(struct ike *c, struct ike_sa *sa, enum ike_state state);
void sa_touch(struct ike *c, struct ike_sa *sa);
void sa_established(struct ike *c, struct ike_sa *sa);
/* Ends it here at once: children and secrets go, nothing is sent. */
void sa_kill(struct ike *c, struct ike_sa *sa, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, but for a while it repeats its last answer to a peer that did not get it. */
void sa_fail(struct ike *c, struct ike_sa *sa, const char *reason);
/* Room for one more half-open IKE SA, at the oldest one's expense; false: there is none. */
bool sa_half_open_room(struct ike *c);
void sa_close(struct ike *c, struct ike_sa *sa, const char *reason); /* with a delete to the peer */
void sa_settle_all(struct ike *c);
void sa_memory_free(struct ike_sa *sa); /* its messages and itself, wiped; not children, steps, asks */
void step_reset(struct ike *c, struct ike_sa *sa, struct step *st);
void sa_take_children(struct ike *c, struct ike_sa *from, struct ike_sa *to);

/* ---- keeper.c ---- */
/* A request to fill in; its answer goes to `then` (NULL: nobody waits) with the step, if that still goes on.
 */
struct keeper_request *sa_ask(
	struct ike *c, struct ike_sa *sa, enum side side, enum keeper_op op, ike_then *then);
void sa_ask_next(struct ike *c, struct ike_sa *sa);
/* The keeper refused because of a value of the peer's: a bad key exchange, a nonce that is too short. All else is
 * our own trouble, and no reason to call what the peer sent malformed. */
bool peers_fault(uint32_t rc);
uint16_t refused_with(uint32_t rc); /* the notify for a CREATE_CHILD_SA */
void sa_drop_handle(struct ike *c, struct ike_sa *sa);
void sa_asks_free(struct ike_sa *sa);

/* ---- table.c: the transitions ---- */
typedef void ike_handler(struct ike *c, struct ike_sa *sa, struct step *st);
struct ike_row {
	uint32_t states; /* bit per enum ike_state */
	uint8_t exchange;
	bool response;
	uint32_t required, optional; /* IKE_HAS bits */
	ike_handler *handler;
	enum ike_state next;
	uint32_t timer_s; /* armed when `next` is entered; 0: none */
	const char *text;
};
extern const struct ike_row ike_rows[];
extern const size_t ike_rows_n;
const struct ike_row *ike_row_find(enum ike_state state, uint8_t exchange, bool response, uint32_t present);
const char *ike_state_text(enum ike_state s);
/* A step has done what its row says: enter the row's next state, arm its timer. */
void step_done(struct ike *c, struct ike_sa *sa, struct step *st);

/* ---- input.c ---- */
void ike_input(struct ike *c, const struct endpoint *local, const struct endpoint *remote, const void *bytes,
	size_t n);

/* An unprotected message with its views into its own bytes. */
struct message *message_plain_copy(const struct message *in);
/* An unprotected answer with one notify, for a request that makes no IKE SA. */
void refuse_init(struct ike *c, const struct message *in, uint16_t type, const void *data, size_t n);

/* ---- exchange.c: our requests, our answers ---- */
struct ike_out out_request(struct ike *c, struct ike_sa *sa, uint8_t exchange);
struct ike_out out_response(struct ike *c, struct ike_sa *sa);
/* Seals (all but IKE_SA_INIT), keeps it for repetition, sends it. */
void out_send_request(struct ike *c, struct ike_sa *sa, struct ike_out *o);
void out_send_response(struct ike *c, struct ike_sa *sa, struct ike_out *o);
/* The answer to the peer's request is one notify. */
void answer_notify(struct ike *c, struct ike_sa *sa, uint16_t type, const void *data, size_t n);
void own_done(struct ike *c, struct ike_sa *sa); /* our exchange is over, the next may begin */
void own_retransmit(struct ike *c, struct ike_sa *sa);
void own_patience_anew(struct ike *c, struct ike_sa *sa); /* what is under way counts its tries from now */
void own_next(struct ike *c, struct ike_sa *sa);	  /* begins what is wanted, if nothing is under way */
static inline bool child_is_made(const struct step *own)
{
	return own->task == TASK_CHILD_NEW || own->task == TASK_CHILD_REKEY;
}
bool own_waits(const struct ike_sa *sa, enum ike_task task); /* sent, and not answered yet */

/* ---- select.c: proposals and selectors ---- */
struct choice {
	uint16_t encr, encr_bits, prf, dh;
	bool esn;
	struct ike_offer answer; /* one proposal with the peer's number, without SPI */
	struct ike_view spi;	 /* the peer's, borrowed from the offer */
};
bool select_ike(
	const struct ike *c, const struct snap_peer *peer, const struct ike_offer *offer, struct choice *ret);
bool select_ike_one(const struct snap_ike_proposal *ours, const struct ike_offer *offer, struct choice *ret);
bool select_esp(const struct ike *c, const struct snap_tunnel *t, const struct ike_offer *offer, bool with_dh,
	struct choice *ret);
void offer_ike(const struct ike *c, const struct snap_peer *peer, const uint8_t *spi, struct ike_offer *ret);
void offer_esp(
	const struct ike *c, const struct snap_tunnel *t, uint32_t spi, bool with_dh, struct ike_offer *ret);
bool offer_is_single(
	const struct ike_offer *o); /* as an answer must be: one proposal, one transform per type */
/* "peer offered …; configured …; no common DH group" */
char *explain_offer(char *ret_text, size_t size, const struct ike_offer *peer, const struct ike_offer *ours);
uint32_t selectors_intersect(struct selector *ret, const struct selector *a, uint32_t a_n,
	const struct selector *b, uint32_t b_n); /* at most SELECTORS_MAX */
bool selectors_within(
	const struct selector *inner, uint32_t inner_n, const struct selector *outer, uint32_t outer_n);
char *selectors_text(char *ret_text, size_t size, const struct selector *list, uint32_t n);

/* ---- choose.c: which configured peer a message is from ---- */
/* Chooses a proposal for an IKE_SA_INIT among all that may be at its address; ret_first: the one to explain a refusal with. */
const struct snap_peer *peer_choose(
	struct ike *c, const struct message *in, struct choice *ret, const struct snap_peer **ret_first);
/*
 * The one that has the identities of this IKE_AUTH, may be at this address and has the proposal that was
 * chosen, or INDEX_NONE; then ret_other is the one that fits but for the proposal.
 */
uint32_t peer_identify(
	struct ike *c, const struct ike_sa *sa, const struct ike_payloads *p, uint32_t *ret_other);
/* The body of an identification payload; without a configured identity the address is it. */
size_t peer_id_body(const struct snap_id *id, const struct ip_addr *address, uint8_t ret[KEEPER_ID_MAX]);
bool peer_id_matches(const struct snap_id *id, const struct ip_addr *address, const struct ike_view *body);

/* ---- nat.c ---- */
void nat_write(struct ike_out *o, const uint8_t spi_i[8], const uint8_t spi_r[8],
	const struct endpoint *local, const struct endpoint *remote, bool pretend);
void nat_read(struct ike_sa *sa, const struct message *in);
void cookie_make(struct ike *c, uint8_t version, const struct message *in, uint8_t ret[33]);
bool cookie_good(struct ike *c, const struct message *in);
void hashes_write(struct ike_out *o);
uint32_t hashes_read(const struct ike_payloads *p);

/* ---- follow.c: where a peer behind a NAT is ---- */
/* An authentic, new message of it has come. */
void sa_heard_from(struct ike *c, struct ike_sa *sa, const struct message *in);
/* And ESP, which the data plane sends elsewhere. */
void child_seen_at(struct ike *c, struct child_sa *ch, const struct endpoint *at, mono_ns when);
/* It has been installed: its IKE SA may have moved meanwhile. */
void child_follow(struct ike *c, struct child_sa *ch);

/* ---- liveness.c: whether the peer still has an IKE SA ---- */
/* There is another one, `fresh`, whose IKE_SA_INIT was sent at asked_at. */
void liveness_second(struct ike *c, struct ike_sa *fresh, bool initial_contact, mono_ns asked_at);
/* Has the peer asked whether it lives, but not again and again; false: it was lately, or something is asked. */
bool liveness_ask(struct ike *c, struct ike_sa *sa);
/* Our address of this IKE SA is on none of our interfaces. */
void liveness_local_gone(struct ike *c, struct ike_sa *sa);
/* An unprotected message that says that its sender does not know an SPI. */
void liveness_hint(struct ike *c, const struct ike_header *h, const struct endpoint *remote,
	const struct ike_payloads *p);

/* ---- peer_message.c: between the ledgers of the two gateways ---- */
void peer_messages_offer(struct ike_out *o);
void peer_messages_offered(struct ike_sa *sa, const struct ike_payloads *p);
bool peer_messages_wait(const struct ike_sa *sa);
void peer_messages_out(struct ike_sa *sa, struct ike_out *o); /* one of those that wait */
void peer_messages_in(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p);
void peer_messages_move(struct ike_sa *from, struct ike_sa *to); /* to the successor */
void peer_messages_free(struct ike_sa *sa);

/* ---- init.c, auth.c, child.c, rekey.c, info.c: a file per exchange, both roles ---- */
void init_start(struct ike *c, uint32_t peer, uint32_t tunnel);
/* why only the peer can begin; NULL: we can as well */
const char *init_impossible(const struct snap_peer *p);
void init_request_received(struct ike *c, const struct message *in, const struct ike_row *row);
ike_handler on_init_response, on_init_refused;
bool sa_take_keys(struct ike_sa *sa, const struct keeper_exchange_finished *f);
void auth_start(struct ike *c, struct ike_sa *sa, struct step *st);
ike_handler on_auth_request, on_auth_eap, on_auth_response, on_auth_refused;
/* The peer's IKE_AUTH request came again, and has no answer yet. */
void auth_repeated(struct ike *c, struct ike_sa *sa);

/* Which notify refuses the child that the peer wants, or 0. Fills in st->tunnel (if INDEX_NONE) and
 * ret_choice. */
uint16_t child_refusal(
	struct ike *c, struct ike_sa *sa, struct step *st, bool with_dh, struct choice *ret_choice);
/* false: there is no room for it now. */
bool child_start(struct ike *c, struct ike_sa *sa, uint32_t tunnel, struct child_sa *old, uint16_t dh);
ike_handler on_child_request, on_child_response, on_create_refused, on_temporary_failure;
struct child_sa *child_new(struct ike *c, struct ike_sa *sa, uint32_t tunnel, bool ours);
void child_set_id(struct ike *c, struct child_sa *ch, const struct keeper_child_begun *b);
void child_take_choice(struct ike *c, struct child_sa *ch, const struct choice *choice);
/* Asks the keeper to install it; `then` goes on. p: with the peer's nonce and KE, or NULL for the child of
 * IKE_AUTH. */
void child_ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	uint32_t flags, uint32_t rekeys_spi_in, ike_then *then);
void child_up(struct ike *c, struct ike_sa *sa, struct child_sa *ch);
void ike_child_enter(struct ike *c, struct ike_sa *sa, struct child_sa *ch, enum child_state state);
/* Deleted on the wire, or never there: out of the data plane, after a moment when something else carries its
 * traffic. */
void child_gone(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason);
void child_want_delete(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason);
void child_unlink(struct ike *c, struct ike_sa *sa, struct child_sa *ch); /* out of the list, freed */
/* What the answer says about the child fits what was asked; else why not, in ret_why. */
bool child_answer_fits(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	bool with_dh, struct err *ret_why);
/* Another child sends for the tunnel from now on; false: there is none. */
bool child_hand_over(struct ike *c, const struct child_sa *ch);
/* The peer surely has it. */
void child_confirm(struct ike *c, struct child_sa *ch);
/* Whether it may be named to the peer, and deleted. */
bool child_confirmed(struct ike *c, struct child_sa *ch);
bool child_may_go(struct ike *c, struct child_sa *ch);
void child_yield(
	struct ike *c, struct ike_sa *sa, struct child_sa *ch, const struct child_sa *to, const char *reason);
void child_tick(struct ike *c, struct ike_sa *sa, struct child_sa *ch);
/* Something about it has changed: when it is due, and what its IKE SA has to do about it. */
void child_changed(struct ike *c, struct child_sa *ch);
/* At the end of an event: has the data plane send on the child that another one handed over to. */
void child_take_over(struct ike *c, uint32_t tunnel);
/* Looks for twins of those of the tunnel's children that came up or changed. */
void child_compare(struct ike *c, uint32_t tunnel);
/* The peer does not know this one: that of before stands again, if the peer has not deleted it. */
void child_back(struct ike *c, const struct child_sa *unknown);
void child_compare_later(struct ike *c, struct child_sa *ch);
/* Is a packet of these inside the tunnel's configured selectors? Does a child SA that is up hold the tunnel's
 * `packet`? */
bool child_packet_fits(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote);
bool child_holds_packet(const struct ike *c, uint32_t tunnel);
bool child_within(const struct child_sa *inner, const struct child_sa *outer); /* by their selectors */
/* Does another child SA that is up carry all that this one will? Then that one sends until the peer surely has the new one. */
bool child_has_stand_in(const struct ike *c, const struct child_sa *ch);
/*
 * TSi and TSr of our request. The rekey of `old` asks for what that one has; a new child for all that is
 * configured, and in front of it for the packet's own selectors, where one asked for it (RFC 7296
 * section 2.9): a peer that narrows keeps that one.
 */
void child_offer_selectors(
	const struct ike *c, struct ike_out *o, uint32_t tunnel, const struct child_sa *old);
/* The tunnel of this peer that fits best, or INDEX_NONE. remote_ts: the peer's side. */
uint32_t child_tunnel_for(const struct ike *c, uint32_t peer, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts);
bool child_narrow(const struct ike *c, struct child_sa *ch, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts);

void rekey_start(struct ike *c, struct ike_sa *sa, uint16_t dh);
ike_handler on_rekey_request, on_rekey_response;
/* The peer uses the IKE SA that its rekey made: the children of the old one move there. */
void rekey_settle_to(struct ike *c, struct ike_sa *successor);
void rekey_refused(struct ike *c, struct ike_sa *sa);

ike_handler on_info_request, on_info_response;
void info_start(struct ike *c, struct ike_sa *sa, enum ike_task task, struct child_sa *ch);

/* ---- tunnel.c ---- */
/* move.c: a new IKE SA takes the place of this one, and its children come over one by one; sa_move_on() looks how far that is. */
void sa_move(struct ike *c, struct ike_sa *sa, const char *reason);
void sa_move_on(struct ike *c, struct ike_sa *sa);
bool tunnel_moves(const struct ike *c, uint32_t tunnel); /* it still has a child that is to come over */
bool child_moves_none(const struct ike *c, const struct child_sa *fresh); /* none has come over by it */
/* The peer refused to rekey it: perhaps it has to be moved. */
void child_rekey_refused(struct ike *c, struct child_sa *old, uint16_t notify);
void sa_rekey_refused(struct ike *c, struct ike_sa *sa, uint16_t notify);
/* Its tunnel has this child SA more; the peer gave one that we asked for, and not in the place of another one. */
void tunnel_has(struct ike *c, const struct child_sa *fresh);
void tunnel_given(struct ike *c, uint32_t tunnel);
/* The peer refused one, which is that of an IKE SA's IKE_AUTH or not: what follows from the kind of error for the next
 * try. */
void tunnel_refused(struct ike *c, uint32_t tunnel, uint16_t notify, bool of_auth);
void tunnel_failed(struct ike *c, uint32_t tunnel, const char *reason); /* a try failed: back off */
void tunnels_lost(struct ike *c, uint32_t peer, const char *reason);	/* an IKE SA with children ended */
/* Its last child went after that time; or was deleted by the peer, who does not want it now. */
void tunnel_down(struct ike *c, uint32_t tunnel, mono_ns lived);
void tunnel_unwanted(struct ike *c, uint32_t tunnel, const char *reason);
void tunnel_touch(struct ike *c, uint32_t tunnel); /* to be looked at when the event is over */
void tunnel_look(struct ike *c, uint32_t tunnel);
void tunnels_retry(struct ike *c, uint32_t peer);    /* those that waited for an IKE SA need another one */
uint32_t tunnel_ready(struct ike *c, uint32_t peer); /* takes the next one to be begun; INDEX_NONE: none */
const struct snap_tunnel *tunnel_config(const struct ike *c, uint32_t tunnel);
bool tunnel_wants(const struct ike *c, uint32_t tunnel);
bool tunnel_in_work(const struct ike *c, uint32_t tunnel);

#endif
