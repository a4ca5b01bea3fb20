/*
 * IKEv2 (RFC 7296) as a pure core: events and the time come in, actions go out. No I/O, no clock, no
 * randomness: the secrets, SPIs and nonces come from the keeper's core, the cookie secret and the seed of
 * jitter from the caller.
 *
 * Every call may queue actions; after each, take them with ike_action_next() until it returns NULL, in order.
 * Times are monotonic nanoseconds and never go back. Callers: proc/ike (one thread), tests/sim, fuzz/ike.
 *
 * Not supported: EAP, configuration payloads (ignored), MOBIKE,
 * transport mode.
 */
#ifndef IKE_IKE_H
#define IKE_IKE_H

#include "base/clock.h"
#include "base/err.h"
#include "ike/limits.h"
#include "model/certify_api.h"
#include "model/keeper_api.h"
#include "model/peer_name.h"
#include "model/sa.h"
#include "model/snapshot.h"
#include "wire/ike_limits.h"

struct ike;

struct ike_setup {
	uint8_t cookie_secret[32];
	uint64_t seed; /* of jitter; nothing secret */
	uint8_t crash_secret
		[32]; /* of tokens (RFC 6290): the same after a restart of the process and of the machine */
	bool has_crash_secret;		 /* else no tokens are given */
	uint32_t live_max, children_max; /* 0: IKE_LIVE_MAX, IKE_CHILDREN_MAX; fewer for tests */
	uint32_t cookie_above;		 /* half-open IKE SAs above which cookies are demanded */
	bool puzzles;			 /* beside them (RFC 8019), from that number on */
	uint32_t puzzles_above;
	uint8_t puzzle_hardest; /* of peers, zero bits that are tried; 0: IKE_PUZZLE_HARDEST; fewer for fuzzers */
	bool mlkem;		/* libcrypto has ML-KEM: proposals with additional key exchanges are usable */
};

struct ike *ike_core_new(const struct ike_setup *setup);
void ike_core_free(struct ike *c);

/* ---- events ---- */

/*
 * A new configuration (snapshot_check() has passed); copied. IKE SAs and children whose peer or tunnel stayed
 * the same live on under their new indices, others are closed.
 */
void ike_config(struct ike *c, mono_ns now, const struct snapshot *s);

/* A datagram without the non-ESP marker; local.port says on which port it came. */
void ike_input_datagram(struct ike *c, mono_ns now, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n);
void ike_input_keeper(struct ike *c, mono_ns now, const struct keeper_reply *reply);
/*
 * The link to the keeper did not take this request. RC_LIMIT, its queue is full, and RC_IO, it is not running (the next one may come
 * much later): the core asks again in a moment. Anything else: no answer will come, so the core takes it as failed.
 */
void ike_input_keeper_untaken(struct ike *c, mono_ns now, const struct keeper_request *q, enum rc rc);
/* The keeper ends the IKE SA of this handle, because its peer's key was replaced. */
void ike_input_keeper_ended(struct ike *c, mono_ns now, const struct keeper_ended *ended);
/* The keeper died: answers to open requests will not come, all handles are void. */
void ike_input_keeper_lost(struct ike *c, mono_ns now);
/* Traffic that no child SA of the tunnel carries; src and dst: of the packet, NULL if not known. */
void ike_input_acquire(
	struct ike *c, mono_ns now, uint32_t tunnel, const struct selector *src, const struct selector *dst);
void ike_input_usage(struct ike *c, mono_ns now, const struct sa_usage *usage);
/* The data plane has done what the IKE_ACTIVATE with that number asked for, and those before it. */
void ike_input_activated(struct ike *c, mono_ns now, uint64_t number);
/* Another data plane is there. It has the SAs of the one before, and maybe not what that one was told last. */
void ike_input_dataplane_up(struct ike *c, mono_ns now);
/* What the resolver knows of a peer by name; of another name or peer than the configuration's it is ignored. */
void ike_input_peer_resolved(struct ike *c, mono_ns now, const struct peer_name_told *told);
/* Replaces the cookie secret; the previous one is valid until the next call. */
void ike_input_cookie_secret(struct ike *c, const uint8_t secret[32]);

enum ike_order {
	IKE_ORDER_INITIATE,
	IKE_ORDER_REKEY_IKE,
	IKE_ORDER_REKEY_CHILD,
	IKE_ORDER_TERMINATE,
	IKE_ORDER_REAUTHENTICATE
};
/* An administrator's order for a tunnel, or for all tunnels of a peer. RC_NOT_FOUND, RC_AGAIN (nothing to do
 * it to). */
enum rc ike_input_order(struct ike *c, mono_ns now, enum ike_order order, const char *name, struct err *e);

/*
 * Sends an established peer to another gateway (RFC 5685 section 5), in whatever IKE SA it has begun. RC_NOT_FOUND; RC_AGAIN: it has none;
 * RC_UNSUPPORTED: it has not said that it goes where it is sent.
 */
bool ike_gateway_parse(struct snap_id *ret, const char *text); /* an address of a host, or a name */
enum rc ike_input_redirect(
	struct ike *c, mono_ns now, const char *peer, const struct snap_id *to, struct err *e);

/*
 * A message from our ledger to a peer's, carried by an INFORMATIONAL exchange of the IKE SA between them. At
 * most one of each kind waits: a newer one replaces it. It is lost when the IKE SA ends; whoever waits for an
 * answer has a timer. RC_NOT_FOUND: no such peer; RC_AGAIN: no IKE SA now; RC_UNSUPPORTED: the peer does not
 * support it; RC_RANGE: longer than IKE_PEER_MESSAGE_MAX.
 */
enum ike_peer_message { IKE_PEER_MESSAGE_ASK, IKE_PEER_MESSAGE_ANSWER, IKE_PEER_MESSAGE_COUNT };
enum rc ike_input_peer_message(struct ike *c, mono_ns now, const char *peer, enum ike_peer_message kind,
	const void *bytes, size_t n, struct err *e);

/* Timers. To be called at ike_deadline() (0: none), or any time before. */
void ike_tick(struct ike *c, mono_ns now);
mono_ns ike_deadline(const struct ike *c);

/* ---- actions ---- */

enum ike_action_kind {
	IKE_SEND,      /* datagram */
	IKE_KEEPALIVE, /* one octet 0xff from local to remote, without marker (RFC 3948 section 2.3) */
	IKE_ASK,       /* keeper */
	IKE_CERTIFY, /* certify: to both certifiers, ahead of an AUTH_VERIFY; the keeper gets their answers */
	IKE_REFUSED, /* refusal, for the ledger */
	IKE_LOG,     /* text */
	IKE_ACTIVATE, /* sa: the data plane may send on this child now; it answers with `number` */
	IKE_ENDPOINT, /* endpoint: the peer of this child moved */
	IKE_RESOLVE,  /* resolve: the resolver is to tell of that peer by name, and to ask DNS again */
	IKE_REDIRECTED, /* redirected, for the ledger: by the gateway at `remote`, which is not there any more for us */
	IKE_PEER_MESSAGE, /* message and bytes: from that peer's ledger to ours */
};

/* A handshake that was refused, as values; empty texts: does not apply. */
struct ike_refusal {
	struct endpoint local, remote;
	char peer[NAME_MAX_BYTES];
	char id[128];
	char reason[IKE_REASON_MAX];
	char offered[IKE_OFFER_TEXT_MAX], configured[IKE_OFFER_TEXT_MAX];
	uint64_t left_out; /* refusals since the last entry that were not recorded: there were too many */
	mono_ns at;
};

struct ike_action {
	enum ike_action_kind kind;
	struct endpoint local, remote; /* SEND, KEEPALIVE; local.addr ADDR_NONE: any */
	union {
		struct keeper_request *keeper;
		struct certify_ask *certify;
		struct ike_refusal *refusal;
		struct {
			struct sa_ref sa;
			uint64_t number; /* ike_input_activated() */
		};
		struct sa_endpoint endpoint;
		struct {
			enum ike_peer_message kind;
			char peer[NAME_MAX_BYTES];
		} message;
		struct peer_name_ask resolve;
		struct {
			char peer[NAME_MAX_BYTES];
			char to[IKE_GATEWAY_TEXT_MAX]; /* an address or a name */
			bool authenticated;	       /* the gateway was, when it said so */
		} redirected;
		struct {
			bool warning;
			const char *kind; /* a constant: its format */
			char text[2 * IKE_REASON_MAX];
		} log;
	};
	size_t n;
	uint8_t *bytes;
};

/* The next action, valid until the next call of any function here; NULL: no more. */
const struct ike_action *ike_action_next(struct ike *c);

/* ---- views ---- */

/* clang-format off */
#define IKE_COUNTERS(C)	/* id, name, text */										\
	C(COOKIES_DEMANDED,   "cookies-demanded",   "IKE_SA_INIT requests answered with the demand for a cookie (RFC 7296 section 2.6)")	\
	C(COOKIES_WRONG,      "cookies-wrong",      "cookies returned that are not ours, or too old: the sender has to return another one")	\
	C(PUZZLES_GIVEN,      "puzzles-given",      "demands for a cookie that had a puzzle beside it (RFC 8019)")	\
	C(PUZZLES_SOLVED,     "puzzles-solved",     "requests served because the puzzle is solved")	\
	C(PUZZLES_WRONG,      "puzzles-wrong",      "solutions that are wrong; such a request counts as one without a solution")	\
	C(UNSOLVED_SERVED,    "puzzles-unsolved-served", "requests without a solution that were served: some of them are, for peers that know no puzzles")	\
	C(UNSOLVED_REFUSED,   "puzzles-unsolved-refused", "requests without a solution that were answered with another puzzle")	\
	C(HALF_OPEN_EVICTED,  "half-open-evicted",  "half-open IKE SAs that ended for a newer one, because there were too many")	\
	C(PEER_PUZZLES_SOLVED, "peer-puzzles-solved", "puzzles of peers that were solved here")	\
	C(PEER_PUZZLES_LEFT,  "peer-puzzles-left",  "puzzles of peers that were not: too hard, or with a function that is not known here")	\
	C(REDIRECTS_SENT,     "redirects-sent",     "peers that were sent to another gateway (RFC 5685), in whatever exchange")	\
	C(REDIRECTS_FOLLOWED, "redirects-followed", "redirects of peers that were followed here")
/* clang-format on */

enum ike_counter {
#define E(id, name, text) IKE_COUNT_##id,
	IKE_COUNTERS(E) IKE_COUNTERS_N
#undef E
};

/* Row *cursor of `show ike counters`, as ike_show() has it: those above, and how many IKE SAs are half-open now. */
size_t ike_show_counters(const struct ike *c, uint32_t *cursor, char *text, size_t size);
uint64_t ike_view_count(const struct ike *c, enum ike_counter which); /* for tests */

/*
 * Row *cursor of `show ike` as a JSON object into text; *cursor moves on. Returns its length, 0 after the
 * last. First the IKE SAs, then the configured tunnels that have no child SA, with the last reason.
 */
size_t ike_show(const struct ike *c, mono_ns now, uint32_t *cursor, char *text, size_t size);

/* For tests: what a child SA and an IKE SA are. */
struct ike_child_view {
	uint8_t spi_i[8], spi_r[8]; /* of its IKE SA */
	uint32_t tunnel, spi_in, spi_out;
	uint16_t encr, encr_bits, dh, additional[ADDITIONAL_MAX];
	uint16_t resource;	   /* for worker resource - 1; 0: for all */
	bool esn, encap, replaced; /* replaced or being closed */
	uint32_t local_n, remote_n;
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
};

struct ike_sa_view {
	uint8_t spi_i[8], spi_r[8];
	bool initiator, up; /* up: established and not replaced or closing */
	uint32_t peer;
	uint16_t encr, encr_bits, prf, dh, additional[ADDITIONAL_MAX];
	uint32_t children;
	mono_ns authenticated; /* when; 0: not yet */
};

/* For tests: each of them, in turn. */
bool ike_view_sa(const struct ike *c, uint32_t *cursor, struct ike_sa_view *ret);
bool ike_view_child(const struct ike *c, uint32_t *cursor, struct ike_child_view *ret);
/* for tests: requests and exchanges that are still open, over all IKE SAs; 0 when quiet */
uint32_t ike_view_busy(const struct ike *c);
/* for tests: which condition of the state does not hold (check.c); after each event NULL */
const char *ike_view_wrong(const struct ike *c);

#endif
