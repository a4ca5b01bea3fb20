/*
 * SIP over UDP (RFC 3261) with session descriptions (RFC 8866), as far as a translation of addresses needs them.
 * A message is one datagram: it begins with its start line at the first octet, so text within other traffic is
 * never taken for one ("NAT slipstreaming"), and a Content-Length must be that of the datagram's rest. What is
 * not understood as a whole is left alone as a whole: nothing is expected and nothing rewritten.
 *
 * Expectations lead to the sender's own address only, from anybody, for who sends is not known: the owner bounds it.
 * What has registered or called is reached by the session itself, which the owner keeps for as long as the answer
 * says.
 */
#ifndef ALG_SIP_H
#define ALG_SIP_H

#include "alg/alg.h"
#include "alg/limits.h"

enum sip_method { SIP_RESPONSE, SIP_INVITE, SIP_REGISTER, SIP_BYE, SIP_CANCEL, SIP_OTHER };

enum sip_place_kind {
	SIP_URI, /* of the request line */
	SIP_VIA,
	SIP_CONTACT,
	SIP_ROUTE,
	SIP_ORIGIN,
	SIP_CONNECTION,
	SIP_MEDIA,
	SIP_RTCP_PORT,
	SIP_RTCP_ADDR
};

/* An address, a port, or both with a colon between, in the text. */
struct sip_place {
	enum sip_place_kind kind;
	uint16_t at, n;
	bool has_addr, has_port;
	struct endpoint
		e; /* SIP_MEDIA and SIP_RTCP_PORT: with the address of their connection line, if any */
};

struct sip_message {
	enum sip_method method, answers; /* answers: by CSeq, of a response; else the request's own */
	uint32_t status;		 /* of a response */
	uint16_t call_at, call_n;	 /* the value of Call-ID; n 0: there is none */
	uint16_t body_at, size;
	uint16_t length_at, length_n;		    /* the digits of Content-Length; n 0: there is none */
	bool has_sdp, has_expires, contact_expires; /* contact_expires: a contact says it */
	uint32_t expires_s;
	uint32_t places_n;
	struct sip_place place[SIP_PLACES_MAX];
};

/* False: not a SIP message as above; *ret_message is as it was. */
bool sip_parse(struct sip_message *ret_message, const uint8_t *bytes, size_t n);
/* Media that the message's sender, on side `from` of the parent session, lets expect, and the place of each one's port.
 * At most SIP_EXPECT_MAX. */
size_t sip_expectations(const struct sip_message *m, const struct ip_addr *sender, uint8_t from,
	struct expectation ret[SIP_EXPECT_MAX], uint8_t ret_place[SIP_EXPECT_MAX]);
/* A response by which its session is to be kept for so many seconds, at most SIP_REGISTER_S; 0 ends that. */
bool sip_keeps(const struct sip_message *m, uint32_t *ret_s);
/* An address in a header field, with the port that it has or means (RFC 3261 section 19.1.2). */
struct endpoint sip_place_endpoint(const struct sip_place *p);
static inline bool sip_place_in_header(const struct sip_place *p)
{
	return p->kind == SIP_URI || p->kind == SIP_VIA || p->kind == SIP_CONTACT || p->kind == SIP_ROUTE;
}
/*
 * The message with to[i] in the place of place i, where to[i].addr has a family, and the Content-Length of its
 * new body. Octets written to ret_bytes, 0: no room.
 */
size_t sip_rewrite(const struct sip_message *m, const uint8_t *bytes,
	const struct endpoint to[SIP_PLACES_MAX], uint8_t *ret_bytes, size_t room);

#endif
