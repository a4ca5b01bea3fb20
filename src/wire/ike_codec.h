/*
 * IKEv2 messages as bytes (RFC 7296 section 3): a strict decoder into bounded values, and a writer.
 *
 * The decoder never reads outside the given range and never writes outside its result; a message that breaks
 * a rule of the RFC's syntax is refused as a whole. Views in the results borrow the input and must not
 * outlive it. Encryption is not done here: the SK payload's body goes through crypto/aead.h in src/ike, and
 * its plaintext is read with ike_payloads_read() again. Callers: src/ike, tests, fuzzers. Any thread.
 */
#ifndef WIRE_IKE_CODEC_H
#define WIRE_IKE_CODEC_H

#include "base/rd.h"
#include "base/selector.h"
#include "base/wr.h"
#include "model/algorithms.h"
#include "wire/ike_limits.h"
#include "wire/ike_numbers.h"

#define IKE_HEADER_SIZE		28
#define IKE_SPI_SIZE		8
#define IKE_PAYLOAD_HEADER_SIZE 4

/* Borrowed bytes. */
struct ike_view {
	const uint8_t *at;
	size_t n;
};

struct ike_header {
	uint8_t spi_i[IKE_SPI_SIZE], spi_r[IKE_SPI_SIZE];
	uint8_t next_payload, version, exchange, flags;
	uint32_t message_id, length;
};

/* key_bits 0: no key length attribute. */
struct ike_transform {
	uint8_t type;
	uint8_t zero;
	uint16_t id, key_bits;
};

struct ike_proposal {
	uint8_t number, protocol, spi_n;
	bool unknown; /* cannot be chosen: an attribute of a transform is not known (3.3.6), or it has more
		       * than there is room for */
	uint8_t spi[IKE_SPI_SIZE];
	uint16_t first, count; /* in the offer's transforms */
};

/* A whole SA payload. */
struct ike_offer {
	uint16_t proposals_n, transforms_n;
	struct ike_proposal proposals[IKE_PROPOSALS_MAX];
	struct ike_transform transforms[IKE_TRANSFORMS_MAX];
};

struct ike_notify {
	uint16_t type;
	uint8_t protocol;
	struct ike_view spi, data;
};

struct ike_delete {
	uint8_t protocol, spi_size;
	uint16_t spis_n;
	const uint8_t *spis; /* spis_n * spi_size octets; NULL when there is none */
};

struct ike_selectors {
	uint16_t n;
	struct selector list[IKE_SELECTORS_MAX];
};

/*
 * The payloads of one message or of one decrypted SK payload. `present`: a bit per type (IKE_HAS); fields of
 * absent payloads are zero.
 */
struct ike_payloads {
	uint32_t present;
	uint8_t critical_unknown; /* with RC_UNSUPPORTED: the type that was marked critical */
	uint8_t sk_first;	  /* type of the first payload inside SK */
	uint16_t vendors_n;	  /* those beyond the array are ignored */
	struct ike_view vendors[IKE_VENDORS_MAX];
	struct ike_view sk; /* body of SK: IV, ciphertext, ICV */
	size_t sk_header_n; /* octets from the start of the given range up to sk.at */
	struct ike_offer sa;
	uint16_t ke_group;
	struct ike_view ke, nonce;
	struct ike_view idi, idr; /* whole bodies: type, 3 reserved octets, data */
	uint8_t auth_method;
	struct ike_view auth;
	uint16_t notifies_n; /* errors, and status types that have a name here: others "MUST be ignored"
				(3.10.1) */
	struct ike_notify notifies[IKE_NOTIFIES_MAX];
	uint8_t chain_first; /* the chain as it was read, for ike_delete_next() */
	struct ike_view chain;
	struct ike_selectors tsi, tsr;
	struct ike_view solution; /* of a puzzle: four keys of one size (RFC 8019 section 8.2) */
};

/*
 * The header of a datagram. RC_TRUNCATED; RC_MALFORMED: length field other than n, initiator's SPI zero
 * (except in INFORMATIONAL); RC_UNSUPPORTED: major version other than 2 (the header is filled in for the
 * response).
 */
enum rc ike_header_read(struct ike_header *ret_header, const void *bytes, size_t n, struct err *e);

/*
 * A chain of payloads, all n bytes, beginning with type `first`; encrypted: the plaintext of SK, which must
 * not contain another SK. RC_UNSUPPORTED with ret->critical_unknown: RFC 7296 2.5. RC_TRUNCATED, RC_TRAILING,
 * RC_MALFORMED, RC_RANGE otherwise; the result is zeroed then. What exceeds a limit of ike_limits.h is
 * ignored, not refused; an identification may be longer than any that can be configured, and then matches no
 * peer.
 */
enum rc ike_payloads_read(
	struct ike_payloads *ret, uint8_t first, const void *bytes, size_t n, bool encrypted, struct err *e);

/* A message that holds one part of another one: its Encrypted Fragment payload (RFC 7383 section 2.5). */
struct ike_fragment {
	uint8_t first;		/* type of the first payload of the whole, in part 1; else zero */
	uint16_t number, total; /* 1 to total */
	struct ike_view sk;	/* IV, ciphertext, ICV */
};

/*
 * All n octets of a message whose header names PL_SKF. The payload must be the only one of its message.
 * RC_TRUNCATED, RC_TRAILING, RC_MALFORMED: number 0 or above the total, a first payload elsewhere than in part 1.
 */
enum rc ike_fragment_read(struct ike_fragment *ret, const void *bytes, size_t n, struct err *e);

/* The data of REDIRECT and REDIRECTED_FROM (RFC 5685 section 7): which gateway, and the nonce of an answer that has no protection. */
enum ike_gateway_type { GATEWAY_IPV4 = 1, GATEWAY_IPV6 = 2, GATEWAY_FQDN = 3 };
struct ike_gateway {
	uint8_t type; /* enum ike_gateway_type */
	struct ike_view id, nonce;
};
/* RC_TRUNCATED; RC_MALFORMED: an address of another length, a name with other characters than those of host names; RC_UNSUPPORTED:
 * another type. */
enum rc ike_gateway_read(struct ike_gateway *ret, const struct ike_view *data, struct err *e);
/* Octets; 0: it does not fit. */
size_t ike_gateway_write(uint8_t ret_data[IKE_GATEWAY_MAX], const struct ike_gateway *g);

/* Bodies of single payloads; what ike_payloads_read() uses. */
enum rc ike_offer_read(struct ike_offer *ret, const void *bytes, size_t n, struct err *e);
enum rc ike_notify_read(struct ike_notify *ret, const void *bytes, size_t n, struct err *e);
enum rc ike_delete_read(struct ike_delete *ret, const void *bytes, size_t n, struct err *e);
enum rc ike_selectors_read(struct ike_selectors *ret, const void *bytes, size_t n, struct err *e);
enum rc ike_id_check(const void *bytes, size_t n, struct err *e);

/* The next Delete payload of the message, of which there may be any number; false: there is none. */
struct ike_walk {
	struct rd rest;
	uint8_t type; /* of the payload at its front */
};
struct ike_walk ike_walk_over(const struct ike_payloads *p);
bool ike_delete_next(struct ike_walk *at, struct ike_delete *ret);
/* The next CERT payload: its encoding (RFC 7296 section 3.6), and the certificate. */
bool ike_cert_next(struct ike_walk *at, uint8_t *ret_encoding, struct ike_view *ret_certificate);
/* The first notify of that type, or NULL. */
const struct ike_notify *ike_notify_find(const struct ike_payloads *p, uint16_t type);
/* The first error notify (type below 16384), or NULL. */
const struct ike_notify *ike_notify_error(const struct ike_payloads *p);

/* ---- writing ---- */

struct ike_out {
	struct wr w;
	uint8_t *next;	  /* where the type of the next payload goes */
	uint8_t *payload; /* the open payload's header */
	uint8_t *sk;	  /* SK's header while it is open */
	uint8_t *iv;	  /* and what follows the header, or that of a part */
	uint16_t block_n; /* the content of SK is padded to a multiple of it; 0 or 1: not at all */
};

/* h.next_payload and h.length are filled in by the rest. */
struct ike_out ike_out_begin(void *buffer, size_t size, const struct ike_header *h);
/* Bytes of the whole message, or 0 when it did not fit. */
size_t ike_out_end(struct ike_out *o);

/* A payload with given body. */
void ike_out_payload(struct ike_out *o, uint8_t type, const void *body, size_t n);
void ike_out_offer(struct ike_out *o, const struct ike_offer *offer);
void ike_out_ke(struct ike_out *o, uint16_t group, const void *value, size_t n);
void ike_out_auth(struct ike_out *o, uint8_t method, const void *value, size_t n);
void ike_out_notify(struct ike_out *o, uint16_t type, const void *data, size_t n);
void ike_out_notify_spi(struct ike_out *o, uint16_t type, uint8_t protocol, const void *spi, size_t spi_n,
	const void *data, size_t n);
void ike_out_delete_ike(struct ike_out *o);
void ike_out_delete_esp(struct ike_out *o, const uint32_t *spis, size_t n);
/* The same, SPI by SPI: the first one opens the payload, and the end without one writes nothing. */
void ike_out_delete_esp_add(struct ike_out *o, uint32_t spi);
void ike_out_delete_esp_end(struct ike_out *o);
void ike_out_selectors(struct ike_out *o, uint8_t type, const struct selector *list, size_t n);

/*
 * SK: begin, then payloads as above, then end with the octets of IV and ICV that the cipher needs. The caller
 * then seals ret_plain in place: associated data is everything before ret_iv, room for the ICV follows the
 * plaintext, which ends with its padding and the octet that says how much that is (o->block_n, set after begin).
 */
void ike_out_sk_begin(struct ike_out *o, size_t iv_n);
/* SKF in its place; the content, which is not a payload, then goes to o->w. first: zero but in part 1. */
void ike_out_skf_begin(struct ike_out *o, uint8_t first, uint16_t number, uint16_t total, size_t iv_n);
size_t ike_out_sk_end(struct ike_out *o, size_t iv_n, size_t icv_n, uint8_t **ret_iv, uint8_t **ret_plain,
	size_t *ret_plain_n);

/* ---- building offers ---- */

/* A proposal without transforms; RC_LIMIT when the offer is full. */
enum rc ike_offer_add(struct ike_offer *o, uint8_t protocol, const void *spi, size_t spi_n);
/* A transform of the last proposal. */
enum rc ike_offer_add_transform(struct ike_offer *o, uint8_t type, uint16_t id, uint16_t key_bits);

/* ---- texts ---- */

/* "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE25519"; several of one type are joined by '|', proposals by ", ". */
char *ike_offer_text(char *ret_text, size_t size, const struct ike_offer *o);
/* An identification payload's body: "hq.example", "10.0.0.1", "keyid:0a0b"; unprintable octets escaped. */
char *ike_id_text(char *ret_text, size_t size, const void *body, size_t n);
/* "NO_PROPOSAL_CHOSEN" or "notify 12345". */
char *ike_notify_text(char *ret_text, size_t size, uint16_t type);

#endif
