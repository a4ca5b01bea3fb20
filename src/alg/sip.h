/*
 * SIP over UDP (RFC 3261) with session descriptions (RFC 8866), as far as a translation of addresses needs them.
 * A message is one datagram: it begins with its start line at the first octet, so text within other traffic is
 * never taken for one ("NAT slipstreaming"), and a Content-Length must be that of the datagram's rest. What is
 * not understood as a whole is left alone as a whole: nothing is expected and nothing rewritten.
 *
 * Expectations lead to the sender's own address only. A registration counts when its topmost Via and its Contact
 * are the datagram's own source; it opens the way for its registrar alone.
 */
#ifndef ALG_SIP_H
#define ALG_SIP_H

#include "alg/alg.h"
#include "alg/limits.h"

enum sip_method { SIP_RESPONSE, SIP_INVITE, SIP_REGISTER, SIP_OTHER };

enum sip_place_kind {
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
	enum sip_method method;
	uint16_t body_at, size;
	uint16_t length_at, length_n; /* the digits of Content-Length; n 0: there is none */
	bool has_sdp, has_expires;
	uint32_t expires_s;
	uint32_t places_n;
	struct sip_place place[SIP_PLACES_MAX];
};

/* All of these are for tests: no process calls them. */
/* False: not a SIP message as above; *ret_message is as it was. */
bool sip_parse(struct sip_message *ret_message, const uint8_t *bytes, size_t n);
/* What the message's sender, on side `from` of the parent session, lets expect. At most SIP_EXPECT_MAX. */
size_t sip_expectations(const struct sip_message *m, const struct endpoint *sender,
	const struct ip_addr *peer, uint8_t from, struct expectation ret[SIP_EXPECT_MAX]);
/*
 * The message with to[i] in the place of place i, where to[i].addr has a family, and the Content-Length of its
 * new body. Octets written to ret_bytes, 0: no room.
 */
size_t sip_rewrite(const struct sip_message *m, const uint8_t *bytes,
	const struct endpoint to[SIP_PLACES_MAX], uint8_t *ret_bytes, size_t room);

#endif
