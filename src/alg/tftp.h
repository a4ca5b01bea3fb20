/*
 * TFTP (RFC 1350): a server answers a request from a port of its own choice, so the answer belongs to no session.
 * A request tells the one expectation that the answer needs. Nothing is rewritten: the answer goes to the
 * port that the request came from.
 */
#ifndef ALG_TFTP_H
#define ALG_TFTP_H

#include "alg/alg.h"

/* The payload of a datagram from client to server's port 69. ALG_PASS: not a request as RFC 1350 and RFC
 * 2347 have it. */
enum alg_verdict tftp_datagram(const uint8_t *bytes, size_t n, const struct endpoint *client,
	const struct ip_addr *server, struct expectation *ret_expectation);

#endif
