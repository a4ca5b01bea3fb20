/*
 * The functions between the files of src/ike, from the bottom up: a file uses files that are listed above it,
 * never those below (tests/unit/test_symbols.py). With the types: state.h.
 *
 *   values       memory.c
 *   effects      schedule.c action.c certificate.c ask.c
 *   look-up      share.c index.c named.c redirect.c instance.c
 *   negotiation  proposals.c selectors.c choose.c nat.c puzzle.c solve.c
 *   states       peer_message.c sa.c pairs.c tunnel.c child.c redundant.c per_worker.c successor.c end.c
 *   messages     seal.c message.c hold.c crash.c liveness.c follow.c move.c reauth.c
 *   exchanges    negotiate.c info.c followup.c rekey.c create.c auth.c intermediate.c admit.c init.c
 *   machine      table.c initiate.c settle.c
 *   events       input.c keeper.c config.c events.c
 *   the whole    core.c show.c check.c
 */
#ifndef IKE_INTERNAL_H
#define IKE_INTERNAL_H

#include "ike/state.h"

/* ---- memory.c: octets, messages, nonces ---- */
void *ike_alloc(size_t n); /* zeroed; aborts when out of memory */
void blob_set(struct blob *b, const void *bytes, size_t n);
void blob_free(struct blob *b);
struct message *message_new(const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n);
/* A copy of an unprotected message, with views into its own bytes. */
struct message *message_copy_plain(const struct message *in);
void gathered_free(struct gathered **g);
int nonce_compare(const struct blob *a, const struct blob *b);
void nonce_set_lower(struct blob *ret, const struct blob *a, const void *b, size_t b_n);
/* Texts that most have not, and so are not part of what has them: NULL is the empty one. */
void text_set(char **text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_clear(char **text);
static inline const char *text_of(const char *text)
{
	return text ? text : "";
}
/* The child SA's selectors, copied. */
void selectors_keep(struct child_sa *ch, const struct selector *local, uint32_t local_n,
	const struct selector *remote, uint32_t remote_n);
/* What an exchange needs while it lasts. */
void step_answer_set(struct step *st, const struct ike_offer *answer);
void step_values_free(struct step *st);
void followup_free(struct ike_sa *sa); /* and not what it makes */
void tunnels_free(struct tunnel *tunnels, uint32_t n);

/* ---- action.c: what is emitted ---- */
struct ike_action *ike_action_add(struct ike *c, enum ike_action_kind kind);
void ike_actions_free(struct ike *c);
void ike_log(struct ike *c, bool warning, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ike_send(struct ike *c, const struct endpoint *local, const struct endpoint *remote, const void *bytes,
	size_t n);
/* Records a refusal, unless there are too many; returns the struct to fill in, or NULL. */
struct ike_refusal *ike_refuse(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const struct snap_peer *peer, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The last one of a peer by its name; NULL: none is kept. */
const struct ike_refusal *ike_refusal_of(const struct ike *c, const char *peer);

/* ---- schedule.c: what has to be looked at, at once and when ---- */
void due_set(struct ike *c, struct due *d, mono_ns at); /* 0: not at all */
struct due *due_first(const struct ike *c);
/* The sooner of two times; b counts when it is to come. */
mono_ns due_sooner(const struct ike *c, mono_ns a, mono_ns b);
/* To be settled when the event is over. */
void sa_touch(struct ike *c, struct ike_sa *sa);
void tunnel_touch(struct ike *c, uint32_t tunnel);
/* A number from lo to hi, at random by the seed: for jitter only. */
uint64_t ike_jitter(struct ike *c, uint64_t lo, uint64_t hi);

/* ---- certificate.c: CERT and CERTREQ (RFC 7296 sections 3.6, 3.7) ---- */
/* SHA-1 of the keys of the configuration's certificates, for CERTREQ. */
void anchor_hashes_make(struct ike *c);
/* Our certificate and those on its way, if the peer is one of certificates. */
void certs_write(const struct ike *c, struct ike_out *o, const struct snap_peer *p);
/* Which authorities we take: those of a peer, or of all that may be at its address when who it is is not known yet. */
void certreq_write(const struct ike *c, struct ike_out *o, const struct snap_peer *p);
void certreq_write_all(const struct ike *c, struct ike_out *o);
/* Why the certificates of its IKE_AUTH cannot be judged, or ours is not there; NULL: the certifiers and the keeper decide. */
const char *certs_obstacle(const struct ike *c, const struct snap_peer *p, const struct ike_payloads *in);
/* The question to both certifiers, ahead of an AUTH_VERIFY about this message. */
void certify_ask_emit(struct ike *c, const struct keeper_auth_verify *q, const struct message *m);

/* ---- share.c: what one identity of a template has ---- */
struct ike_instance *instance_get(struct ike_peer *p, const struct blob *user); /* makes it, if need be */
struct tunnel_share *share_get(struct ike_instance *i, uint32_t tunnel);	/* the same */
/* Frees it, if it is empty. */
void instance_put(struct ike_instance *i);
void share_put(struct tunnel_share *s);

/* ---- index.c: who is found by what, and how many there may be ---- */
void index_init(struct ike *c);
/* sa.c: IKE SAs that we begin take turns. */
bool sa_may_begin(const struct ike *c);
void sa_next_turn(struct ike *c); /* the tunnel that has waited longest is looked at again */
void sa_begin(struct ike *c, struct ike_sa *sa);
void sa_unanswered(struct ike *c, struct ike_sa *sa); /* its request has been repeated without an answer */
/* Those that may be at an address, by their configuration or their name, with others: the first of c->places, then its next. */
void peers_by_address(struct ike *c);
uint32_t peers_first_at(struct ike *c, const struct ip_addr *remote, bool anywhere);
bool peer_is_anywhere(const struct snap_peer *p); /* has no configured address */
/* How many places each peer and tunnel of c->snap has of its own. */
void places_share(struct ike *c);
void peers_new(struct ike *c, uint32_t n); /* c->peers, all without IKE SAs and tunnels */
const struct snap_tunnel *tunnel_config(const struct ike *c, uint32_t tunnel);
const struct snap_peer *sa_peer(const struct ike *c, const struct ike_sa *sa);
const char *sa_peer_name(const struct ike *c, const struct ike_sa *sa);
void sa_set_spi(struct ike *c, struct ike_sa *sa, const uint8_t spi[8]); /* ours */
bool spi_stands(struct ike *c, const uint8_t spi[8]); /* it is one of ours, of an IKE SA in whatever state */
struct ike_sa *sa_by_spi(const struct ike *c, bool we_are_initiator, const uint8_t spi[8]);
uint16_t source_slot(const struct ike *c, const struct ip_addr *remote); /* in half_open_at */
void sa_expect_init(struct ike *c, struct ike_sa *sa);
/* The half-open one that this very IKE_SA_INIT made. */
struct ike_sa *sa_by_init(const struct ike *c, const struct message *in);
/* Another request of the one that has begun a half-open IKE SA: its address, SPI and nonce. */
bool init_has_begun(const struct ike *c, const struct message *in);
struct ike_peer *peer_entry(const struct ike *c, uint32_t peer);
void sa_join_peer(struct ike *c, struct ike_sa *sa); /* of a template: after its user is set */
void sa_leave_peer(struct ike *c, struct ike_sa *sa);
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
struct tunnel *child_tunnel(const struct ike *c, const struct child_sa *ch);
void child_join_tunnel(struct ike *c, struct child_sa *ch);
void child_leave_tunnel(struct ike *c, struct child_sa *ch);
/* Only the state and the counts of its tunnel; child.c does what else has to be done. */
void child_set_state(struct ike *c, struct child_sa *ch, enum child_state state);
/* Whether the tunnel may have one more child; in both roles. */
enum child_kind {
	CHILD_ANOTHER, /* by CREATE_CHILD_SA */
	CHILD_OF_AUTH, /* with its IKE SA, whose number is limited */
	CHILD_REKEYED, /* replaces an existing one */
};
bool child_room(struct ike *c, const struct ike_sa *sa, uint32_t tunnel, enum child_kind kind);

/* ---- named.c: peers by name ---- */
void named_new(struct ike *c); /* for the peers of c->snap, nothing is known */
void named_move(struct ike_peer *to, struct ike_peer *from);
void peers_free(struct ike_peer *peers, uint32_t n);
/* Has the resolver tell of it, and ask DNS again. Of a peer that has no name: nothing. */
void named_ask(struct ike *c, uint32_t peer);
void named_ask_unknown(struct ike *c); /* all of which nothing is known */
/* The newest answer has it, or the one before had it within the time to live. */
bool named_has_address(const struct ike *c, uint32_t peer, const struct ip_addr *remote);
bool named_is_current(
	const struct ike *c, uint32_t peer, const struct ip_addr *remote); /* the newest has it */
/* Of a peer by name: the address to begin with. False: there is none, and named_obstacle() says why. */
bool named_begin_with(const struct ike *c, uint32_t peer, struct ip_addr *ret_remote);
const char *named_obstacle(const struct ike *c, uint32_t peer, char *text, size_t size);
bool named_is_silent(const struct ike *c, uint32_t peer); /* the resolver has told nothing of it yet */
bool named_is_stale(const struct ike *c, uint32_t peer);  /* the last question had no good answer */
bool named_has_others(const struct ike *c, uint32_t peer, const struct ip_addr *remote); /* to begin with */
/* An attempt at that address has failed. True: there is another one to be tried in this round. */
bool named_next(struct ike *c, uint32_t peer, const struct ip_addr *failed);
bool named_told(struct ike *c, uint32_t peer, const struct peer_name_told *t); /* true: other addresses */
bool named_may_act(struct ike *c, uint32_t peer); /* on other addresses, now; it counts as done */

/* ---- redirect.c: gateways that send their peers to another one (RFC 5685) ---- */
/* The gateway: whether who has begun goes where it is sent, and which one it comes from; whether it is to be sent there: not where it comes
 * from, nor to where it has come; the data of REDIRECT, nonce NULL: in a protected message. */
bool redirect_supported(const struct ike_payloads *p, char **ret_from);
bool redirect_applies(const struct snap_id *to, const char *from, const struct ip_addr *here);
size_t redirect_data(
	uint8_t ret_data[IKE_GATEWAY_MAX], const struct snap_id *to, const struct ike_view *nonce);
/* The one that is sent. Where the peer is now, if it has sent us elsewhere; the IKE SA is begun there. */
bool redirect_begin_with(const struct ike *c, uint32_t peer, struct ip_addr *ret_remote);
void redirect_begun(const struct ike *c, struct ike_sa *sa);
void redirect_offer(const struct ike *c, struct ike_sa *sa, struct ike_out *o); /* in our IKE_SA_INIT */
/* Whether the message sends us somewhere: not; nowhere that we go to, and why; to sa->redirect_to, in words. nonce NULL: it is protected. */
enum redirected { REDIRECTED_NOT, REDIRECTED_NOWHERE, REDIRECTED };
enum redirected redirect_read(struct ike *c, struct ike_sa *sa, const struct message *in,
	const struct blob *nonce, char ret_why[IKE_REASON_MAX]);
/* From now on the peer is at sa->redirect_to. False: it has none, or there were too many (then ret_why is set). */
bool redirect_follow(struct ike *c, struct ike_sa *sa, bool authenticated, char ret_why[IKE_REASON_MAX]);
/* It has ended; true: the peer is at its own address again. */
bool redirect_over(struct ike *c, const struct ike_sa *sa);
void redirect_inherit(struct ike_sa *from, struct ike_sa *to); /* the successor */
void redirect_move(struct ike_peer *to, struct ike_peer *from);

/* ---- ask.c: requests to the keeper ---- */
/* A request to fill in; its answer goes to `then` (NULL: nobody waits) with the step, unless that was
 * abandoned. */
struct keeper_request *sa_ask(
	struct ike *c, struct ike_sa *sa, enum side side, enum keeper_op op, ike_then *then);
/* Removes the first of the queue, when its answer has come; the caller frees it. */
struct ask *sa_ask_take(struct ike_sa *sa);
void sa_ask_next(struct ike *c, struct ike_sa *sa);
void sa_asks_free(struct ike_sa *sa);
/* Of an exchange or a child that is abandoned (child 0: of the handle itself). */
void sa_ask_drop(struct ike *c, struct ike_sa *sa, uint32_t handle, uint32_t child);
void sa_drop_handle(struct ike *c, struct ike_sa *sa);
/* The keeper refused because of a value from the peer: a bad key exchange, a nonce that is too short. All
 * other faults are ours, and no reason for INVALID_SYNTAX. */
bool keeper_rc_blames_peer(uint32_t rc);
uint16_t keeper_rc_notify(uint32_t rc); /* the notify for a CREATE_CHILD_SA */

/* ---- instance.c: who uses a template ---- */
bool peer_is_template(const struct ike *c, uint32_t peer);
/* Of a peer that is no template all IKE SAs are one user's. */
bool sa_same_user(const struct ike *c, const struct ike_sa *a, const struct ike_sa *b);
bool child_same_user(const struct ike *c, const struct child_sa *a, const struct child_sa *b);
void sa_user_proved(const struct ike *c, struct ike_sa *sa, const struct ike_view *id);
/* Another identity's child SA of the tunnel that has one of these addresses, and which; NULL: there is none. */
const struct child_sa *instance_with_address(const struct ike *c, const struct ike_sa *sa, uint32_t tunnel,
	const struct selector *remote, uint32_t n, struct ip_range *ret_range);
uint32_t instances_count(const struct ike *c, uint32_t peer); /* identities that have an IKE SA */

/* ---- proposals.c: proposals ---- */
struct choice {
	uint16_t encr, encr_bits, prf, dh;
	uint16_t additional[ADDITIONAL_MAX];
	bool esn;
	struct ike_offer answer; /* one proposal with the peer's number, without SPI */
	struct ike_view spi;	 /* the peer's, borrowed from the offer */
};
/* Which additional key exchanges of our proposals count (RFC 9370). */
enum additional_mode {
	ADDITIONAL_ANY,	   /* IKE_SA_INIT, and the peer can do IKE_INTERMEDIATE */
	ADDITIONAL_NONE,   /* it cannot: only proposals that name none */
	ADDITIONAL_IGNORE, /* as if ours named none */
	/* of an IKE SA: the same, if none fits with them: its keys are made of those that they are in already */
	ADDITIONAL_REKEY,
};
/* Ours for this peer: whether it can be used on this machine, and is what the peer's configuration requires. */
bool proposal_is_usable(
	const struct ike *c, const struct snap_peer *peer, const struct snap_ike_proposal *ours);
/* The first one that is; NULL: none, and ike_log() was told why at the commit. */
const struct snap_ike_proposal *proposals_first(const struct ike *c, const struct snap_peer *peer);
bool proposals_have_group(
	const struct ike *c, const struct snap_peer *peer, uint16_t group); /* one that is */
/* Of which group the KE payload of our request for a rekey is: that of the one before, if it may still be. old NULL: a new child SA. */
uint16_t rekey_group(const struct ike *c, const struct snap_peer *peer, uint16_t now);
uint16_t child_group(const struct ike *c, const struct snap_tunnel *t, const struct child_sa *old);
/* The first one (after NULL) or the next one that can be used on this machine; NULL: no more. */
const struct snap_esp_proposal *esp_proposal_next(
	const struct ike *c, const struct snap_tunnel *t, const struct snap_esp_proposal *after);
bool child_may_be_followed(
	const struct ike *c, const struct snap_tunnel *t); /* one of them has additional key exchanges */
enum additional_mode additional_mode_of(const struct ike_payloads *p); /* of IKE_SA_INIT */
/* "-ml-kem-768-ml-kem-1024", for the end of a text of algorithms */
char *additional_text(char *ret_text, size_t size, const uint16_t additional[ADDITIONAL_MAX]);
bool proposals_choose_ike(const struct ike *c, const struct snap_peer *peer, const struct ike_offer *offer,
	enum additional_mode mode, struct choice *ret);
bool proposal_match_ike(const struct ike *c, const struct snap_peer *peer,
	const struct snap_ike_proposal *ours, const struct ike_offer *offer, enum additional_mode mode,
	struct choice *ret);
bool proposals_choose_esp(const struct ike *c, const struct snap_tunnel *t, const struct ike_offer *offer,
	bool with_dh, struct choice *ret);
void offer_make_ike(const struct ike *c, const struct snap_peer *peer, struct ike_offer *ret);
/* The rekey of this IKE SA; if it has additional key exchanges those with them first, then all without. */
void offer_make_rekey(
	const struct ike *c, const struct ike_sa *sa, const uint8_t spi[8], struct ike_offer *ret);
void offer_make_esp(
	const struct ike *c, const struct snap_tunnel *t, uint32_t spi, bool with_dh, struct ike_offer *ret);
/* As a response must be: one proposal, one transform per type. */
bool offer_is_single(const struct ike_offer *o);
/* "no common DH group": why no proposal of the peer's offer matches ours. */
char *offer_explain(char *ret_text, size_t size, const struct ike_offer *peer, const struct ike_offer *ours);

/* ---- selectors.c: traffic selectors ---- */
bool selectors_within(
	const struct selector *inner, uint32_t inner_n, const struct selector *outer, uint32_t outer_n);
char *selectors_text(char *ret_text, size_t size, const struct selector *list, uint32_t n);
/* What the configuration has, tunnel_config()->local.count and ->remote.count of them. */
const struct selector *tunnel_locals(const struct ike *c, const struct snap_tunnel *t);
const struct selector *tunnel_remotes(const struct ike *c, const struct snap_tunnel *t);
/* What of these selectors of the peer's side is the tunnel's. */
uint32_t tunnel_remote_part(const struct ike *c, uint32_t tunnel, const struct ike_selectors *asked,
	struct selector ret[SELECTORS_MAX]);
/* Is a packet of these inside the tunnel's configured selectors? Does a child SA that is up hold the tunnel's
 * `packet`? */
bool child_packet_fits(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote);
bool child_holds_packet(const struct ike *c, uint32_t tunnel);
bool child_within(const struct child_sa *inner, const struct child_sa *outer); /* by their selectors */
bool child_meets(const struct child_sa *a, const struct child_sa *b); /* could both carry some packet? */
/* Does another child SA that is up carry all that this one will? Then that one sends until this one is
 * confirmed. */
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
/* 2.9: the peer asked also for traffic of another tunnel of its own, which needs a child SA of its own. */
bool child_more_possible(const struct ike *c, const struct ike_sa *sa, const struct child_sa *ch,
	const struct ike_selectors *remote_ts, const struct ike_selectors *local_ts);
bool child_narrow(const struct ike *c, struct child_sa *ch, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts);

/* ---- choose.c: which configured peer a message is from ---- */
/* Chooses a proposal for an IKE_SA_INIT among all peers that may be at its address; ret_first: the peer
 * that a refusal is explained with. */
const struct snap_peer *peer_choose(
	struct ike *c, const struct message *in, struct choice *ret, const struct snap_peer **ret_first);
/*
 * The one that has the identities of this IKE_AUTH, may be at this address and has the proposal that was
 * chosen, or INDEX_NONE; then ret_other is the one that matches except for the proposal.
 */
uint32_t peer_identify(
	struct ike *c, const struct ike_sa *sa, const struct ike_payloads *p, uint32_t *ret_other);
/* The body of an identification payload; without a configured identity the address is it. */
size_t peer_id_body(const struct snap_id *id, const struct ip_addr *address, uint8_t ret[KEEPER_ID_MAX]);
/* Where all peers that may be at the sender's address are sent; NULL: nowhere, or not all to one place. */
const struct snap_id *peers_redirect(struct ike *c, const struct message *in);
bool peer_id_matches(const struct snap_id *id, const struct ip_addr *address, const struct ike_view *body);
/* Why only the peer can initiate; NULL: we can as well. */
const char *peer_initiate_obstacle(const struct snap_peer *p);

/* ---- nat.c: what IKE_SA_INIT carries beside the key exchange ---- */
void nat_detection_write(struct ike_out *o, const uint8_t spi_i[8], const uint8_t spi_r[8],
	const struct endpoint *local, const struct endpoint *remote, bool pretend);
void nat_detection_read(struct ike_sa *sa, const struct message *in);
void signature_hashes_write(struct ike_out *o);
uint32_t signature_hashes_read(const struct ike_payloads *p);
void fragmentation_write(struct ike_out *o, const struct snap_peer *p);
/* This side is configured for it, and the other side's message offers it. */
bool fragmentation_agreed(const struct snap_peer *p, const struct ike_payloads *in);
void ppk_offer(struct ike_out *o, const struct snap_peer *p);
bool ppk_agreed(const struct snap_peer *p, const struct ike_payloads *in);

/* ---- puzzle.c: client puzzles (RFC 8019) ---- */
/* for tests: with how many zero bits the PRF of the text ends under that key; 0 as well if there is no such PRF. */
unsigned puzzle_zero_bits(uint16_t prf, const void *key, size_t key_n, const struct ike_view *text);
bool puzzle_is_solved(
	uint16_t prf, unsigned difficulty, const struct ike_view *text, const struct ike_view *solution);
/* Tries so many more keys; true: all are found. */
bool puzzle_search_on(struct puzzle_search *s, const struct ike_view *text, uint32_t tries);

/* ---- solve.c: a peer's, as initiator ---- */
/* The peer's demand for sa->cookie: true, its puzzle is being solved; false: it has none, or none that we solve. */
bool solve_begin(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p);
/* One piece of one search. The IKE SA whose search ended, or NULL: its request is to be sent again, with the solution if it still
 * has a puzzle. */
struct ike_sa *solve_piece(struct ike *c);
void solve_drop(struct ike_sa *sa);

/* ---- peer_message.c: between the ledgers of the two gateways ---- */
void peer_messages_offer(struct ike_out *o);
void peer_messages_offered(struct ike_sa *sa, const struct ike_payloads *p);
bool peer_messages_wait(const struct ike_sa *sa);
void peer_messages_out(struct ike_sa *sa, struct ike_out *o); /* one of those that wait */
void peer_messages_in(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p);
void peer_messages_move(struct ike_sa *from, struct ike_sa *to); /* to the successor */
void peer_messages_free(struct ike_sa *sa);

/* ---- sa.c: an IKE SA as a value ---- */
void sa_take_choice(struct ike_sa *sa, const struct choice *choice);
static inline bool additional_is_due(const struct ike_sa *sa)
{
	return sa->additional_done < ADDITIONAL_MAX && sa->additional[sa->additional_done] != 0;
}
static inline bool child_additional_is_due(const struct child_sa *ch)
{
	return ch->additional_done < ADDITIONAL_MAX && ch->additional[ch->additional_done] != 0;
}
struct ike_sa *sa_new(struct ike *c, bool initiator);
void sa_enter(struct ike *c, struct ike_sa *sa, enum ike_state state);
void sa_established(struct ike *c, struct ike_sa *sa);
/* The responder's request for a new IKE SA; parent: handle of the one that is rekeyed, or 0. */
void sa_fill_answer(struct keeper_exchange_answer *q, const struct ike_sa *sa, uint32_t parent,
	const struct ike_payloads *theirs);
bool sa_take_keys(struct ike_sa *sa, const struct keeper_sk_e *sk_e);
static inline bool sa_is_ending(const struct ike_sa *sa)
{
	return sa->want_delete || (sa->state != ST_UP && sa->state != ST_REPLACED);
}
void hold_drop(struct ike_sa *sa);	/* what waits (hold.c) is not sent */
void sa_memory_free(struct ike_sa *sa); /* its messages and itself, wiped; not children, steps, asks */
void sa_free_dead(struct ike *c, struct ike_sa *sa);
const char *ike_state_text(enum ike_state s);
/* A step has done what its row says: enter the row's next state, arm its timer. */
void step_done(struct ike *c, struct ike_sa *sa, struct step *st);

/* ---- pairs.c: a pair of networks that the peer does not grant ---- */
/* The one that the tunnel's packet asks for waits; false: there is no place for it alone, or there is one pair only. */
bool pair_put_off(struct ike *c, uint32_t tunnel);
bool pair_is_put_off(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote);
void pair_granted(struct ike *c, uint32_t tunnel); /* the one of the tunnel's packet */

/* ---- tunnel.c: configured tunnels ---- */
bool tunnel_is_wanted(const struct ike *c, uint32_t tunnel); /* a child SA has to be begun, now or later */
bool tunnel_in_work(const struct ike *c, uint32_t tunnel);
void tunnel_failed(struct ike *c, uint32_t tunnel, const char *reason); /* an attempt failed: back off */
/* It is wanted still: a little later, or at once (reason NULL: as it was). */
void tunnel_put_off(struct ike *c, uint32_t tunnel, const char *reason);
void tunnel_at_once(struct ike *c, uint32_t tunnel, const char *reason);
/* When it is wanted, in a moment, without the back-off of failures; INDEX_NONE: nothing happens. */
void tunnel_soon(struct ike *c, uint32_t tunnel);
void tunnels_lost(struct ike *c, uint32_t peer, const char *reason); /* an IKE SA with children ended */
/* A child SA of the tunnel is up; it is one that we requested, and not by a rekey. */
/* What is moved to another IKE SA (move.c), and offered as it is: the peer may have narrowed it, and each part moves by itself; or that of a
 * worker that needs a new first one. NULL: the tunnel's, or what a packet asks for. */
const struct child_sa *tunnel_offers(const struct ike *c, uint32_t tunnel);
void tunnel_child_added(struct ike *c, const struct child_sa *fresh);
void tunnel_child_granted(struct ike *c, uint32_t tunnel);
/* The peer refused one, of_auth: that of an IKE_AUTH. What follows from the kind of error for the next
 * attempt. */
void tunnel_refused(struct ike *c, uint32_t tunnel, uint16_t notify, bool of_auth);
/* Its last child SA ended after that time; or was deleted by the peer, which does not want it now. */
void tunnel_down(struct ike *c, uint32_t tunnel, mono_ns lived);
void tunnel_unwanted(struct ike *c, uint32_t tunnel, const char *reason);
void tunnels_retry(struct ike *c, uint32_t peer); /* those that waited for an IKE SA need another one */
uint32_t tunnel_ready(
	struct ike *c, uint32_t peer); /* the next one to be begun, removed from the list; INDEX_NONE: none */
/* Another IKE SA, which is not being replaced itself, has a child SA that carries all of this one, and the peer is known to have it. */
bool child_is_replaced(const struct ike *c, const struct child_sa *ch);

/* ---- child.c: the life of a child SA ---- */
struct child_sa *child_new(struct ike *c, struct ike_sa *sa, uint32_t tunnel, bool ours);
void child_set_id(struct ike *c, struct child_sa *ch, const struct keeper_child_begun *b);
void child_take_choice(struct ike *c, struct child_sa *ch, const struct choice *choice);
/* Something about it has changed: when it is due, and what its IKE SA has to do about it. */
void child_changed(struct ike *c, struct child_sa *ch);
void child_enter_state(struct ike *c, struct ike_sa *sa, struct child_sa *ch, enum child_state state);
/* The time when so much of its lifetime is over: at random from lo to hi, in thousandths. */
mono_ns child_lifetime(struct ike *c, const struct child_sa *ch, uint64_t lo, uint64_t hi);
/* Asks the keeper to install it; `then` continues. nonce, ke: the peer's; NULL for the child of IKE_AUTH, ke also of one that the peer
 * requested. */
void child_ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_view *nonce,
	const struct ike_view *ke, uint32_t flags, uint32_t rekeys_spi_in, ike_then *then);
void child_up(struct ike *c, struct ike_sa *sa, struct child_sa *ch);
/* Tells the data plane where its peer is. */
void child_tell_endpoint(struct ike *c, struct child_sa *ch);
/* It has been installed: its IKE SA may have moved meanwhile. */
void child_follow(struct ike *c, struct child_sa *ch);
/* Has the data plane send on it. */
void child_activate(struct ike *c, struct child_sa *ch);
/* To another data plane, once more: what was said of the tunnel's child SAs up to that number, and what the one before may not have read. */
void child_tell_again(struct ike *c, uint32_t tunnel, uint64_t last);
/* Another child sends all that this one does from now on; false: there is none. */
bool child_hand_over(struct ike *c, const struct child_sa *ch);
/* At the end of an event: has the data plane send on the child that another one handed over to. */
void child_take_over(struct ike *c, uint32_t tunnel);
/* It was deleted by an exchange, or never existed for the peer: removed from the data plane, after a
 * moment if another one carries its traffic. */
void child_gone(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason);
void child_want_delete(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason);
void child_supersede(
	struct ike *c, struct ike_sa *sa, struct child_sa *ch, const struct child_sa *to, const char *reason);
/* Has the keeper drop its keys, if it has any. */
void child_drop_handle(struct ike *c, struct ike_sa *sa, struct child_sa *ch);
void child_unlink(struct ike *c, struct ike_sa *sa, struct child_sa *ch); /* out of the list, freed */
void child_lingered(struct ike *c, struct child_sa *ch); /* out of the data plane, and freed */
void child_linger_limit(struct ike *c, uint32_t tunnel); /* at the end of an event */
/* The peer is known to have it. */
void child_confirm(struct ike *c, struct child_sa *ch);
/* Whether requests may refer to it; whether it may be deleted. */
bool child_confirmed(struct ike *c, struct child_sa *ch);
bool child_may_be_deleted(struct ike *c, struct child_sa *ch);
void child_redundancy_mark(struct ike *c, struct child_sa *ch);
/* Beside which ch, for one worker, stands or would stand: up on the same IKE SA, with its selectors, for all workers; NULL: there is none. */
struct child_sa *child_first_of(const struct ike *c, const struct child_sa *ch);
/* No other one is requested beside it for a while, at random. */
void child_put_off_beside(struct ike *c, struct child_sa *first, uint64_t ms_min, uint64_t ms_max);

/* ---- per_worker.c: child SAs for one worker each (RFC 9611) ---- */
/* What the tunnel's child SAs that are for all workers want beside them, at the end of an event. */
void tunnel_share_workers(struct ike *c, uint32_t tunnel);
/* Into a request or response: of a child SA of the tunnel for this worker (as resource of struct child_sa), or the first one. */
void resource_write(struct ike_out *o, uint16_t resource);
bool resource_is_asked(const struct ike_payloads *p);
bool tunnel_has_resources(const struct ike *c, uint32_t tunnel); /* as configured */
uint16_t resource_missing(const struct ike *c,
	const struct child_sa *first); /* a worker that has none beside it; 0: all have */
/* Of the response to our request for ch, beside first (NULL: it is a first one, or replaces old): false, why: it is of no use. */
bool resource_answered(struct ike *c, const struct ike_payloads *p, struct child_sa *ch,
	struct child_sa *first, const struct child_sa *old, struct err *ret_why);
/* The peer requests ch, whose selectors are known; old: that it replaces, or NULL. 0, or the notify that refuses it. */
uint16_t resource_refusal(
	struct ike *c, const struct ike_payloads *p, struct child_sa *ch, const struct child_sa *old);
/* One beside `first` could not be made; notify: the peer's refusal, or 0. */
void resource_failed(struct ike *c, struct child_sa *first, uint16_t notify);

/* ---- redundant.c: redundant child SAs ---- */
/* Of those of the tunnel's child SAs that came up or changed. */
void tunnel_redundancy_check(struct ike *c, uint32_t tunnel);
void child_verify(struct ike *c, struct child_sa *ch); /* its doubt_at has come */
/* The peer does not have this one: its predecessor is used again, if the peer has not deleted it. */
void child_predecessor_restore(struct ike *c, const struct child_sa *unknown);

/* ---- successor.c: from an IKE SA to the one that takes its place ---- */
/* The old IKE SA gives its children to the successor and waits for its delete. */
void sa_replace(struct ike *c, struct ike_sa *sa, struct ike_sa *successor);
/* The peer uses the successor that its rekey made, so the children of the old IKE SA move there. */
void rekey_settle_to(struct ike *c, struct ike_sa *successor);

/* ---- end.c: how IKE SAs end ---- */
/* Ends it at once: children and keys are removed, nothing is sent. */
void sa_kill(struct ike *c, struct ike_sa *sa, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, but for a while it repeats its last response to a peer that did not get it. */
void sa_fail(struct ike *c, struct ike_sa *sa, const char *reason);
void sa_close(struct ike *c, struct ike_sa *sa, const char *reason); /* with a delete to the peer */
#define IKE_TERMINATED "terminated by an administrator"
void sa_terminate(struct ike *c, struct ike_sa *sa, const char *reason); /* also while it is being made */
void step_reset(struct ike *c, struct ike_sa *sa, struct step *st);
/* The peer's exchange that IKE_FOLLOWUP_KE would continue, if there is one, ends. */
void followup_drop(struct ike *c, struct ike_sa *sa);
/* Room for one more half-open IKE SA, at the oldest one's expense; false: there is none. */
bool sa_half_open_room(struct ike *c);
/* Room for one more IKE SA with this peer, at the expense of its others but keep; false: there is none. */
bool sa_peer_room(struct ike *c, uint32_t peer, const struct ike_sa *keep);
/* If its peer has too many established ones the oldest is closed. */
void sa_peer_limit(struct ike *c, const struct ike_sa *fresh);

/* ---- negotiate.c: the negotiation of a child SA ---- */
/* Whether the response matches our request; else why not, in ret_why. */
bool child_answer_fits(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	bool with_dh, struct err *ret_why);
/* Which notify refuses the child that the peer wants, or 0. Fills in st->tunnel (if INDEX_NONE) and
 * ret_choice. */
uint16_t child_refusal(
	struct ike *c, struct ike_sa *sa, struct step *st, bool with_dh, struct choice *ret_choice);

/* ---- seal.c: SK and SKF payloads ---- */
/* Seals what was written, but IKE_SA_INIT: one message, or back to back those of its parts. False: it does not fit. */
/* Of IKE_INTERMEDIATE what is authenticated of it is kept in sa->intermediate. */
bool message_seal(struct ike *c, struct ike_sa *sa, struct ike_out *o, struct blob *ret);
/*
 * A message of IKE_INTERMEDIATE as RFC 9242 section 3.3.2 authenticates it: as if it had been sent in one part and in clear.
 * The content begins at INTERMEDIATE_HEADS.
 */
enum { INTERMEDIATE_HEADS = IKE_HEADER_SIZE + IKE_PAYLOAD_HEADER_SIZE };
void intermediate_form(
	struct blob *ret, const struct ike_header *h, uint8_t first, const void *content, size_t n);
void message_send(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const struct blob *sealed);
/*
 * The message, decrypted, or NULL: it is not the peer's, or more parts of it have to come. SK or SKF must be the only
 * payload. ret_begun: the octets by which a repetition is known, those of the message or of its first part, until
 * gathered_free() of that side.
 */
struct message *message_open(struct ike *c, struct ike_sa *sa, enum side side, const struct ike_header *h,
	const struct endpoint *local, const struct endpoint *remote, const uint8_t *bytes, size_t n,
	uint8_t *ret_first, struct ike_view *ret_begun);
/* Whether it is the first part of a message of the peer. */
bool message_is_cut_anew(struct ike_sa *sa, const struct ike_header *h, const uint8_t *bytes, size_t n);

/* ---- message.c: requests and responses ---- */
struct ike_out message_begin_request(struct ike *c, struct ike_sa *sa, uint8_t exchange);
struct ike_out message_begin_response(struct ike *c, struct ike_sa *sa);
/* Encrypts it (except IKE_SA_INIT), keeps it for retransmission, sends it. */
void message_send_request(struct ike *c, struct ike_sa *sa, struct ike_out *o);
void message_send_response(struct ike *c, struct ike_sa *sa, struct ike_out *o);
/* Answers the peer's request by one notify. */
void message_answer_notify(struct ike *c, struct ike_sa *sa, uint16_t type, const void *data, size_t n);
/* An unprotected response with one notify, for a request that makes no IKE SA. */
void message_refuse_init(struct ike *c, const struct message *in, uint16_t type, const void *data, size_t n);
void own_exchange_done(struct ike *c, struct ike_sa *sa); /* our exchange is over, the next may begin */
void own_retransmit(struct ike *c, struct ike_sa *sa);
void own_tries_restart(struct ike *c,
	struct ike_sa *sa); /* the request that waits is retransmitted as if it had been sent now */
static inline bool own_makes_child(const struct step *own)
{
	return own->task == TASK_CHILD_NEW || own->task == TASK_CHILD_REKEY;
}
bool own_awaits_answer(const struct ike_sa *sa, enum ike_task task); /* sent, and not answered yet */

/* ---- hold.c: messages that wait until the data plane sends by other child SAs ---- */
/* What this event hands over has to be done first: of the response that is written next, or of our Delete. */
void hold_begin(struct ike *c, struct ike_sa *sa);
void hold_release(struct ike *c, struct ike_sa *sa); /* it is not waited for any longer */
void holds_answered(struct ike *c, uint64_t number); /* the data plane has done that activation */
bool holds_settle(struct ike *c); /* at the end of an event; true: an IKE SA has to be looked at again */

/* ---- crash.c: quick crash detection (RFC 6290) ---- */
/* Our token of this IKE SA, whose SPIs are both known, into a protected message; the peer's out of one. */
void crash_token_write(const struct ike *c, const struct ike_sa *sa, struct ike_out *o);
void crash_token_read(struct ike_sa *sa, const struct ike_payloads *p);
/* An unprotected message has the token that the peer gave within this IKE SA: it has lost it. */
bool crash_is_proved(const struct ike_sa *sa, const struct ike_payloads *p);
/* A message of n octets of an IKE SA that is not here. */
void crash_answer(struct ike *c, const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, size_t n);

/* ---- liveness.c: whether the peer still has an IKE SA ---- */
/* There is another one, `fresh`, whose IKE_SA_INIT was sent at asked_at. */
void liveness_second(struct ike *c, struct ike_sa *fresh, bool initial_contact, mono_ns asked_at);
/* Begins a liveness check, at a limited rate; false: there was one a short time ago, or a request is under
 * way. */
bool liveness_ask(struct ike *c, struct ike_sa *sa);
/* Our address of this IKE SA is on none of our interfaces. */
void liveness_local_gone(struct ike *c, struct ike_sa *sa);
/* An unprotected message whose sender does not know an SPI. */
void liveness_hint(struct ike *c, const struct ike_header *h, const struct endpoint *remote,
	const struct ike_payloads *p);

/* ---- follow.c: where a peer behind a NAT is ---- */
/* A new, authentic message has come. */
void sa_heard_from(struct ike *c, struct ike_sa *sa, const struct message *in);
/* And ESP, not from where the data plane sends to. */
void child_seen_at(struct ike *c, struct child_sa *ch, const struct endpoint *at, mono_ns when);

/* ---- move.c: a new IKE SA replaces one that cannot be rekeyed ---- */
/* False: we cannot begin another one. */
bool sa_move(struct ike *c, struct ike_sa *sa, const char *reason);
/* Its children are replaced one by one; closes it when all are. */
void sa_move_on(struct ike *c, struct ike_sa *sa);
/* The peer refused to rekey it: perhaps a new IKE SA has to replace it. */
void child_rekey_refused(struct ike *c, struct child_sa *old, uint16_t notify);
void sa_rekey_refused(struct ike *c, struct ike_sa *sa, uint16_t notify);

/* ---- reauth.c: reauthentication (RFC 7296 section 2.8.3, RFC 4478) ---- */
void reauth_authenticated(struct ike *c, struct ike_sa *sa, bool by_us); /* by IKE_AUTH, just now */
void reauth_configured(struct ike *c, struct ike_sa *sa);		 /* perhaps another lifetime */
void lifetime_write(const struct ike *c, const struct ike_sa *sa,
	struct ike_out *o); /* if there is one to be announced */
void lifetime_read(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p);
bool reauth_begin(struct ike *c, struct ike_sa *sa); /* false: this side cannot */
void reauth_tick(struct ike *c, struct ike_sa *sa);
/* Another IKE SA with the same one was authenticated later. */
bool reauth_has_newer(const struct ike *c, const struct ike_sa *sa);

/* ---- info.c, rekey.c, create.c, auth.c, init.c: a file per exchange, both roles ---- */
typedef void ike_handler(struct ike *c, struct ike_sa *sa, struct step *st);
ike_handler on_info_request, on_info_response;
void info_start(struct ike *c, struct ike_sa *sa, enum ike_task task, struct child_sa *ch);

ike_handler on_followup_request, on_followup_response;
/* The notify of a response that names what the next request continues; false: it has none. */
bool followup_link_read(const struct ike_payloads *p, struct blob *ret_link);
/* Our CREATE_CHILD_SA was answered, st->link and st->followed are set: the first additional key exchange of what st makes. */
void followup_start(struct ike *c, struct ike_sa *sa, struct step *st);
/*
 * Of the peer's: `successor`, or the child SA of its step (successor NULL), waits for them, and `done` continues after the last, with
 * the step of the last request, which has the child SA again. Writes the notify.
 */
void followup_await(
	struct ike *c, struct ike_sa *sa, struct ike_sa *successor, ike_then *done, struct ike_out *o);
void followup_take(struct ike_sa *sa,
	struct step *st); /* of a child SA, in `done`: it and its values are the step's again */

ike_handler on_rekey_request, on_rekey_response;
void rekey_start(struct ike *c, struct ike_sa *sa, uint16_t dh);
void rekey_refused(struct ike *c, struct ike_sa *sa);

ike_handler on_child_request, on_child_response, on_create_refused, on_temporary_failure;
/* false: there is no room for it now. */
bool child_start(struct ike *c, struct ike_sa *sa, uint32_t tunnel, struct child_sa *old, uint16_t dh);
bool child_start_beside(struct ike *c, struct ike_sa *sa, struct child_sa *first, uint16_t dh);

ike_handler on_auth_request, on_auth_eap, on_auth_response, on_auth_refused;
void auth_start(struct ike *c, struct ike_sa *sa, struct step *st);
/* The peer has retransmitted its IKE_AUTH request, which has no response yet. */
void auth_repeated(struct ike *c, struct ike_sa *sa);

ike_handler on_intermediate_request, on_intermediate_response, on_intermediate_refused;
/* The keys of IKE_SA_INIT are made: the additional key exchanges of the chosen proposal, then IKE_AUTH. */
void intermediate_start(struct ike *c, struct ike_sa *sa, struct step *st);

/* admit.c: whether the sender of an IKE_SA_INIT is served now; else it was told what it has to do. */
/* Number of the secret, PRF and difficulty of the puzzle, demands before this one; a MAC. */
enum { COOKIE_HEAD = 4, COOKIE_SIZE = COOKIE_HEAD + 32 };
#define COOKIE_NONE UINT32_MAX
/* Its cookie, COOKIE_NONE if it needed none; init_spend() when it costs a key exchange: once. */
bool init_admit(struct ike *c, const struct message *in, uint32_t *ret_cookie);
void init_spend(struct ike *c, uint32_t cookie);
/* A half-open IKE SA of that slot has failed. */
void init_burn(struct ike *c, uint16_t source);

ike_handler on_init_response, on_init_refused;
void init_again(struct ike *c, struct ike_sa *sa); /* its puzzle is solved, or left */
void init_start(struct ike *c, uint32_t peer, uint32_t tunnel);
struct ike_row;
void init_request_received(struct ike *c, const struct message *in, const struct ike_row *row);

/* ---- table.c: the transitions ---- */
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
extern const struct ike_row ike_rows[]; /* for tests */
extern const size_t ike_rows_n;		/* for tests */
const struct ike_row *ike_row_find(enum ike_state state, uint8_t exchange, bool response, uint32_t present);

/* ---- initiate.c: what we begin next ---- */
void own_initiate(struct ike *c, struct ike_sa *sa); /* begins what is wanted, if no request is under way */
void tunnel_settle(struct ike *c, uint32_t tunnel);

/* ---- settle.c: timers, and the end of an event ---- */
void sa_settle_all(struct ike *c);

#endif
