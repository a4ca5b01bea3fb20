/*
 * A peer of the IKE core whose strings the test holds: it says what it likes, when it likes, well sealed or
 * not, in either role. The keeper is played too: all keys are zero, SPIs and nonces count up, each answer can
 * be held back or made a failure. So every order of events can be brought about, which two honest cores
 * (tests/sim) only meet by chance. Used by tests/unit/ike and fuzz/ike; one puppet at a time in a thread.
 */
#ifndef TEST_IKE_PUPPET_H
#define TEST_IKE_PUPPET_H

#include "crypto/aead.h"
#include "ike/ike.h"
#include "wire/ike_codec.h"

#define PUPPET_SENT_MAX	 64
#define PUPPET_ASKED_MAX 32
#define PUPPET_ID	 "peer.example"
#define PUPPET_OUR_ID	 "hq.example"

struct puppet_datagram {
	struct endpoint local, remote;
	size_t n;
	uint8_t bytes[IKE_MESSAGE_MAX];
};

struct puppet {
	struct ike *core;
	mono_ns now;
	/* the configuration: one peer at 192.0.2.2 and two tunnels, 10.1.I.0/24 to 10.2.I.0/24 */
	struct {
		struct snapshot head;
		struct snap_ike_proposal ike[2];
		struct snap_esp_proposal esp[2];
		struct snap_peer peers[2]; /* the second one is in no configuration of puppet_init() */
		struct selector selectors[2 * SELECTORS_MAX];
		struct snap_tunnel tunnels[2];
		/* puppet_certify() */
		struct snap_certificate_file files[2];
		struct snap_authority authorities[1];
		struct snap_trusted trusted[2];
		struct snap_certificate certificates[2];
		struct snap_octets octets[8];
	} config;
	struct ike_setup setup;
	/* the keeper */
	bool hold; /* questions wait in `asked` until puppet_answer_keeper() */
	enum rc fail[KEEPER_OP_COUNT];
	uint32_t untaken_n; /* the next so many questions are not taken by the link, for this reason */
	enum rc untaken;
	uint8_t nonce; /* the next nonce that the keeper gives is 32 times this */
	uint32_t handles, spis;
	uint32_t count[KEEPER_OP_COUNT];
	struct keeper_child_install last_install;
	uint16_t both_n
		[2]; /* octets of both messages of IKE_SA_INIT in the last AUTH_SIGN and AUTH_VERIFY; 0: of one alone */
	bool transcript; /* the puppet says IKE_SA_INIT_FULL_TRANSCRIPT_AUTH */
	uint16_t
		padding; /* octets of a vendor id in its IKE_SA_INIT; then that notify has contents, which are ignored */
	uint32_t asked_n;
	/* the certifiers, whom the core asks before the keeper */
	uint32_t certify_n;
	struct certify_ask certify;
	/* what came out */
	bool silent; /* the data plane does not answer SA_ACTIVATE */
	uint32_t sent_n, keepalives, activated, moved;
	struct sa_ref last_activated;
	struct sa_endpoint last_moved;
	char last_log[512];
	uint32_t resolve_asked, redirected;
	char last_redirected[IKE_GATEWAY_TEXT_MAX + 32];
	uint32_t messages;
	enum ike_peer_message last_message;
	size_t last_word_n;
	uint8_t last_message_bytes[IKE_PEER_MESSAGE_MAX];
	char last_word_peer[NAME_MAX_BYTES];
	struct ike_refusal refusal; /* the last */
	uint32_t refusals;
	/* the puppet's side of the IKE SA that it speaks on */
	struct endpoint at, core_at;
	bool initiator; /* the puppet is the original initiator */
	/* as its NAT detection says; with one of them port 4500 is used from IKE_AUTH on */
	bool natted, core_natted;
	const char *id;			/* who it says it is; NULL: PUPPET_ID */
	const struct selector *behind;	/* the network that it asks for; NULL: all of the tunnel's */
	const char *vendor;		/* offered in IKE_AUTH; NULL: none */
	bool fragments;			/* offers RFC 7383 in IKE_SA_INIT */
	bool redirect;			/* says REDIRECT_SUPPORTED there, */
	const uint8_t *redirected_from; /* or the four octets of an address in REDIRECTED_FROM; NULL: not */
	bool ppk;			/* and RFC 8784 */
	uint16_t additional;		/* what the puppet offers as ADDKE1, 0: nothing */
	uint16_t child_additional;	/* the same of child SAs with a group */
	uint8_t spi_i[8], spi_r[8];
	uint32_t own_id; /* of its next request */
	uint64_t iv;
	uint32_t child_in, child_out; /* SPIs of the first child, as the core calls them */
	/* the message being written */
	struct ike_out out;
	uint8_t buffer[IKE_MESSAGE_MAX];
	/* the message read last */
	struct ike_header header;
	struct ike_payloads payloads;
	uint8_t read_bytes[IKE_MESSAGE_MAX];
	/* Large, and good as far as their counts say; from here on puppet_init() clears nothing. */
	struct keeper_request asked[PUPPET_ASKED_MAX];
	struct puppet_datagram sent[PUPPET_SENT_MAX]; /* the first ones since puppet_forget() */
};

/* A configuration to change, then a core with it. */
void puppet_init(struct puppet *p);
/* The peer is one of certificates: ours is PUPPET_OUR_CERTIFICATE, the authority's has PUPPET_CA_KEY for its key. */
#define PUPPET_OUR_CERTIFICATE "\x30\x03ours!"
#define PUPPET_CA_KEY	       "\x30\x03\x04\x01\x07"
void puppet_certify(struct puppet *p);
void puppet_start(struct puppet *p);
void puppet_done(struct puppet *p);
/* Carries out what the core wants. */
void puppet_settle(struct puppet *p);
void puppet_run(struct puppet *p, uint32_t ms); /* timers run when they are due */
void puppet_forget(struct puppet *p);		/* what was sent so far */
void puppet_answer_keeper(struct puppet *p);	/* the oldest question held */
void puppet_answer_keeper_at(
	struct puppet *p, uint32_t i); /* another one: the core asks for several IKE SAs at once */
void puppet_usage(struct puppet *p, uint32_t spi_in, uint32_t idle_in_ms);
/* The same; the newest packet came from there, and the data plane sends elsewhere. */
void puppet_usage_from(struct puppet *p, uint32_t spi_in, uint32_t idle_in_ms, const struct endpoint *seen);

/* ---- speaking ---- */

/* Begins a message; SK is opened for all but IKE_SA_INIT. The payloads go into p->out. */
struct ike_out *puppet_begin(struct puppet *p, uint8_t exchange, bool response, uint32_t id);
struct ike_out *puppet_request(struct puppet *p, uint8_t exchange); /* with the next id */
struct ike_out *puppet_response(struct puppet *p);		    /* to the message read last */
size_t puppet_end(struct puppet *p);				    /* seals; octets in p->buffer */
void puppet_send(struct puppet *p);
void puppet_send_bytes(struct puppet *p, const void *bytes, size_t n);
/* Seals any octets as the inside of an SK payload, `first` being the type of the first payload; sends it. */
void puppet_send_plain(struct puppet *p, uint8_t exchange, bool response, uint32_t id, uint8_t first,
	const void *plain, size_t n);

/* Seals a part of a message (RFC 7383), whatever its numbers say; octets in ret_bytes, 0: it does not fit. */
size_t puppet_seal_part(struct puppet *p, uint8_t *ret_bytes, size_t size, uint8_t exchange, bool response,
	uint32_t id, uint8_t first, uint16_t number, uint16_t total, const void *content, size_t n);
struct aead_key puppet_key(void); /* of both directions of each IKE SA */

/* Payloads that fit the configuration. */
void puppet_offer_ike(struct puppet *p, const uint8_t *spi);
void puppet_offer_esp(struct puppet *p, uint32_t spi, uint16_t dh);
void puppet_ke(struct puppet *p, uint16_t group);
void puppet_nonce(struct puppet *p, uint8_t value);
void puppet_nat(struct puppet *p); /* the two notifies of NAT detection, if there is a NAT */
void puppet_id(struct puppet *p, uint8_t type, const char *text);
void puppet_selectors(struct puppet *p, uint32_t tunnel);      /* from the puppet to the core */
void puppet_selectors_back(struct puppet *p, uint32_t tunnel); /* in an answer */
void puppet_auth_payloads(struct puppet *p, uint32_t spi);     /* a whole IKE_AUTH request or answer */

/* ---- listening ---- */

/* Reads datagram i that was sent, opens SK; false when it does not open or parse. */
bool puppet_read(struct puppet *p, uint32_t i);
bool puppet_read_last(struct puppet *p);
bool puppet_says(struct puppet *p, uint16_t notify); /* the message read last has that notify */
/* Delete payloads in the message read last, and the first of them (zero: none). */
uint32_t puppet_deletes(const struct puppet *p);
struct ike_delete puppet_delete(const struct puppet *p);

/* ---- whole stretches; false: did not come about ---- */

bool puppet_init_as_initiator(struct puppet *p, bool with_cookie);
bool puppet_init_as_responder(struct puppet *p);  /* after an order to initiate */
bool puppet_up(struct puppet *p, bool initiator); /* with the child of tunnel 0 */

uint32_t puppet_ike_sas(const struct puppet *p);
uint32_t puppet_children(const struct puppet *p); /* not replaced, not being closed */
/* The state of IKE SA i as `show ike` has it, "" when there is none. */
const char *puppet_state(const struct puppet *p, uint32_t i);

#endif
