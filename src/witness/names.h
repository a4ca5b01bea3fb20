/*
 * Names to addresses (RFC 1035, RFC 3596): one question of one kind, and what an answer to it says. Read
 * by the C library's parser of DNS messages. The answer has to belong to this question, and addresses count that the name leads to,
 * over aliases (CNAME) in the same answer. It proves nothing else: of a witness the server at the address has to prove that it is the
 * intended one; addresses of an object of the configuration are believed (docs/threat-model.md).
 *
 * Pure: the sockets belong to the caller. Callers: src/proc/courier, src/proc/resolver, tests. Any thread.
 */
#ifndef WITNESS_NAMES_H
#define WITNESS_NAMES_H

#include "base/addr.h"

#define NAMES_QUERY_MAX	  (12 + 255 + 4 + 11)
#define NAMES_ANSWER_MAX  1232 /* octets, also what EDNS says; without it no server sends more than 512 */
#define NAMES_EACH_MAX	  8    /* addresses of one family that are tried */
#define NAMES_ALL_MAX	  64   /* that are read of an answer */
#define NAMES_ALIASES_MAX 16   /* from the name to its addresses */
#define NAMES_TTL_MAX_S	  0x7fffffff /* RFC 2181 section 8 */

struct names_question {
	const char *host;
	uint16_t id;
	bool v6;
	bool large; /* by EDNS (RFC 6891): the answer may have NAMES_ANSWER_MAX octets */
};

struct names_found {
	size_t n;
	struct ip_addr addr[NAMES_ALL_MAX];
	uint32_t ttl_s; /* the least on the way from the name to its addresses; n 0: NAMES_TTL_MAX_S */
	bool cut;	/* there are more: the answer was too long, or has more than NAMES_ALL_MAX */
};

/* Returns the length, 0: the host is too long or not a name. */
size_t names_query(uint8_t ret_bytes[NAMES_QUERY_MAX], const struct names_question *q);

/*
 * RC_OK: the server has answered; ret->n addresses, perhaps none of this family. RC_NOT_FOUND: there is no
 * such name. RC_AGAIN: the server cannot say, *e says why. RC_DENIED, RC_MALFORMED: this is no answer to the
 * question.
 */
enum rc names_answer(
	struct names_found *ret, const struct names_question *q, const void *bytes, size_t n, struct err *e);

#endif
