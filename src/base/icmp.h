/*
 * Which ICMP and ICMPv6 types are queries, and which their answers, of those in IANA's tables: those that bear an identifier, so that a
 * session can tell them apart. It stands in the octets 4 and 5 of their header, where NAT can translate it (RFC 5508
 * section 3). Node information queries have a nonce in the octets 8 to 15, of which the first two are taken; NAT leaves it
 * as it is, for the querier compares all of it (RFC 4620 section 4).
 *
 * The others are errors, messages between neighbours, or types that RFC 6918 has deprecated and nothing sends: those of the domain
 * name messages (37 and 38, RFC 1788) among them. They have no sessions.
 */
#ifndef BASE_ICMP_H
#define BASE_ICMP_H

#include <stdbool.h>
#include <stdint.h>

#define ICMP_AT_IDENTIFIER 4 /* in all but one */
#define ICMP_AT_NONCE	   8

/* clang-format off */
#define ICMP_QUERIES(Q)	/* IPv4, query, answer, octet of the identifier, name */ \
	Q(true,    8,   0, ICMP_AT_IDENTIFIER, "echo")             /* RFC 792 */ \
	Q(true,   13,  14, ICMP_AT_IDENTIFIER, "timestamp")        /* RFC 792 */ \
	Q(true,   15,  16, ICMP_AT_IDENTIFIER, "information")      /* RFC 792 */ \
	Q(true,   17,  18, ICMP_AT_IDENTIFIER, "address mask")     /* RFC 950 */ \
	Q(true,   42,  43, ICMP_AT_IDENTIFIER, "extended echo")    /* RFC 8335 */ \
	Q(false, 128, 129, ICMP_AT_IDENTIFIER, "echo")             /* RFC 4443 */ \
	Q(false, 139, 140, ICMP_AT_NONCE,      "node information") /* RFC 4620 */ \
	Q(false, 144, 145, ICMP_AT_IDENTIFIER, "home agents")      /* RFC 6275 */ \
	Q(false, 146, 147, ICMP_AT_IDENTIFIER, "mobile prefix")    /* RFC 6275 */ \
	Q(false, 160, 161, ICMP_AT_IDENTIFIER, "extended echo")    /* RFC 8335 */
/* clang-format on */

enum icmp_role {
	ICMP_ROLE_OTHER, /* an error, a message between neighbours, or nothing that is known */
	ICMP_ROLE_QUERY,
	ICMP_ROLE_ANSWER,
};

/* *ret_query: the type of the query, of an answer too. */
static inline enum icmp_role icmp_role(bool v4, uint8_t type, uint8_t *ret_query)
{
	*ret_query = type;
#define Q(is4, query, answer, at, name)                                                                      \
	if (v4 == (is4) && type == (query))                                                                  \
		return ICMP_ROLE_QUERY;                                                                      \
	if (v4 == (is4) && type == (answer)) {                                                               \
		*ret_query = (query);                                                                        \
		return ICMP_ROLE_ANSWER;                                                                     \
	}
	ICMP_QUERIES(Q)
#undef Q
	return ICMP_ROLE_OTHER;
}

/* The octet at which the identifier of a query or an answer begins; 0 for other types. */
static inline uint32_t icmp_identifier_at(bool v4, uint8_t type)
{
#define Q(is4, query, answer, at, name)                                                                      \
	if (v4 == (is4) && (type == (query) || type == (answer)))                                            \
		return (at);
	ICMP_QUERIES(Q)
#undef Q
	return 0;
}

#endif
