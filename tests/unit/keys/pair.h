/*
 * Two keepers' cores that talk through complete exchanges, each with a ledger and a data plane in its place:
 * hq (side 0) and branch (side 1). What a core sent out is kept for the tests to look at; receipts and
 * results come at once unless a test holds them back.
 */
#ifndef TESTS_KEYS_PAIR_H
#define TESTS_KEYS_PAIR_H

#include "crypto/aead.h"
#include "keys/keys.h"

#define PAIR_ACTIONS_MAX   64
#define PAIR_IKE_PROPOSALS 72 /* every cipher, group and function */
#define PAIR_ESP_PROPOSALS 45 /* every cipher and group, and no group */

/* A snapshot as control would give it: header and arrays in one block. Peers: 0 and 1; tunnels: 0 with peer
 * 0, 1 with 1. */
struct pair_config {
	struct snapshot head;
	_Alignas(8) struct snap_zone zones[1]; /* each array is aligned to 8 octets */
	_Alignas(8) struct snap_ike_proposal ike[PAIR_IKE_PROPOSALS];
	_Alignas(8) struct snap_esp_proposal esp[PAIR_ESP_PROPOSALS];
	_Alignas(8) struct snap_peer peers[2];
	_Alignas(8) struct selector selectors[4];
	_Alignas(8) struct snap_tunnel tunnels[2];
	/* for peers with certificates: one authority, whose file is empty */
	_Alignas(8) struct snap_authority authorities[1];
	_Alignas(8) struct snap_trusted trusted[1];
	_Alignas(8) struct snap_certificate_file files[1];
	/* our own, for files[0] of a test: the keeper looks for its key in it and reads no more */
	_Alignas(8) struct snap_certificate certificates[1];
	_Alignas(8) struct snap_octets octets[20];
};

enum pair_mode { PAIR_AT_ONCE, PAIR_HOLD, PAIR_AWAY, PAIR_FULL /* takes no entry at all */ };

struct side {
	struct keys *keys;
	struct pair_config config;
	enum pair_mode ledger, dataplane;
	enum rc receipt_rc, installed_rc;	      /* what they answer */
	struct keys_action actions[PAIR_ACTIONS_MAX]; /* all that came out, in order */
	size_t actions_n, answered;
	struct keeper_reply reply; /* the last one */
	size_t replies;
	uint64_t drawn, next_tag;
	uint64_t last_gate; /* tag of the last entry that waits for its receipt */

	/* of the exchange that runs */
	uint32_t ike, child, spi_in;
	struct keeper_exchange_begun begun;
	struct keeper_exchange_finished finished;
	struct keeper_child_begun child_begun;
	uint8_t message[KEEPER_MESSAGE_MAX], id[KEEPER_ID_MAX];
	size_t message_n, id_n;
};

struct pair {
	struct side side[2];
	uint8_t spi_i[8], spi_r[8];
	uint16_t group, prf, encr, bits;
	uint16_t additional
		[ADDITIONAL_MAX]; /* additional key exchanges; where they work, the program links toy_mlkem.c */
	uint16_t child_additional[ADDITIONAL_MAX]; /* the same of child SAs */
	int initiator;				   /* which side */
};

/* The parameters of the usual exchange: X25519, HMAC-SHA-256, AES-GCM-256, PSK, hq is the initiator. */
void pair_init(struct pair *p);
void pair_done(struct pair *p);

/* One request; returns the reply's rc and leaves the reply in side->reply. RC_AGAIN with replies unchanged:
 * it waits. */
enum rc side_ask(struct side *s, struct keeper_request *q);
/* What the generators gave, or will give, to the n-th request of this side, from 1. */
struct keys_entropy side_drawn(const struct side *s, uint64_t n);
/* Lets the ledger and the data plane answer what they were sent. */
void side_pump(struct side *s);
/* Of the actions since `from`, how many have this kind; the last of them through *ret_last (may be NULL). */
size_t side_count(
	const struct side *s, size_t from, enum keys_action_kind kind, const struct keys_action **ret_last);
/* The last entry of this kind, or NULL. */
const struct keys_entry *side_entry(const struct side *s, enum keys_entry_kind kind);
void side_configure(struct side *s); /* after a change of s->config */

/* Steps of a full exchange; each returns the first rc that is not RC_OK. */
enum rc pair_exchange(struct pair *p, uint32_t parent_0, uint32_t parent_1); /* begin, answer, finish */
struct keeper_request pair_answer_request(
	const struct pair *p, uint32_t parent); /* to what the initiator began */
/* The two halves of both sides one by one. */
enum rc pair_begin(struct pair *p, uint32_t parent_0, uint32_t parent_1);
enum rc pair_finish(struct pair *p);
/* The additional key exchange of that number, from 0; the messages by which it goes are in pair_intermediate. */
enum rc pair_additional(struct pair *p, size_t n);
struct pair_message {
	size_t n;
	uint8_t bytes[KEEPER_INTERMEDIATE_MAX];
};
extern struct pair_message pair_intermediate[2]; /* request, response */
enum { PAIR_KE_AT = 40 };			 /* where the value is in each */
enum rc pair_sign(struct pair *p, int from, struct keeper_auth_signed *ret_auth);
enum rc pair_verify(struct pair *p, int at, const struct keeper_auth_signed *auth);
enum rc pair_authenticate(struct pair *p); /* initiator proves, responder checks, and the other way round */
enum rc pair_ike(struct pair *p);	   /* pair_exchange(), pair_authenticate() */
enum rc pair_rekey(struct pair *p);	   /* a new IKE SA from the present one, which is dropped */

/* A child of tunnel 0 on both sides. group DH_NONE and of_ike: the one of IKE_AUTH. */
struct keeper_child_install side_install_request(struct pair *p, int at, uint32_t flags);
enum rc pair_child_begin(struct pair *p, uint16_t group);
enum rc pair_child_install(struct pair *p, uint32_t flags);
enum rc pair_child(struct pair *p, uint16_t group, uint32_t flags);

/* Keys that go with one of the kinds, for peers that prove themselves by signature. */
enum pair_key { PAIR_ED25519, PAIR_P256, PAIR_P384, PAIR_KEYS };
extern const char *const pair_pem[2][PAIR_KEYS];
void pair_use_signatures(struct pair *p, enum pair_key key_0, enum pair_key key_1);

extern bool pair_stale; /* requests are of the configuration before */
extern uint8_t
	pair_at_other_address; /* 0: the configured one; peers come from where nobody has configured them */
extern uint32_t pair_as_peer;  /* whom AUTH is verified as */
extern size_t pair_lockable;   /* octets that can still be locked; SIZE_MAX: any */
extern uint32_t pair_hashes;   /* what peers announce (RFC 7427) */
extern bool pair_ppk;	       /* requests are for keys with the PPK (RFC 8784) */
extern bool pair_ppk_fallback; /* what is verified is the AUTH without it */
extern bool pair_transcript;   /* AUTH is over both messages of IKE_SA_INIT */
extern bool pair_followup; /* additional key exchanges are those of a rekey: messages are the values alone */
void pair_use_ppk(struct pair *p, uint32_t flags); /* both have it; enum peer_flags */

#endif
