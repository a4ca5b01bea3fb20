/*
 * Application layer gateways: readers of the few protocols that tell addresses and ports of further sessions in
 * their text (RFC 2663 section 2.9, RFC 3022 section 4.4). Pure: octets of a session that a rule permits come
 * in, expectations (wire/expectation.h) and places to rewrite go out. Nothing here opens anything: the firewall
 * decides about an expectation, and it never exceeds what the parent session's ends could do themselves: each
 * expectation leads to an address of one of both ends, to a port from ALG_PORT_MIN on.
 *
 *	ftp.c       the control channel of FTP (RFC 959, RFC 2428)
 *	tftp.c      requests of TFTP (RFC 1350)
 *	sip.c       SIP messages in one UDP datagram (RFC 3261): the parts of a message
 *	sip_sdp.c   their session descriptions (RFC 8866)
 *	sip_nat.c   expectations of a message, and its rewriting
 *	offset.c    sequence numbers of a TCP stream whose text has changed its length
 *	text.h      reading of numbers and addresses; limits.h: limits
 */
#ifndef ALG_ALG_H
#define ALG_ALG_H

#include "wire/expectation.h"

enum alg_verdict {
	ALG_PASS,
	ALG_EXPECT, /* passes, and tells an expectation */
	ALG_AGAIN,  /* dropped: out of order, or a line that must be rewritten and is not complete. The
		       sender sends it again */
	ALG_CUT,    /* passes as far as such a line; the sender sends the rest again */
	ALG_REFUSE, /* dropped: it asks for what must not be opened */
};

#endif
