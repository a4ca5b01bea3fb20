/*
 * Which ICMP and ICMPv6 types are queries, and which their answers: those that bear an identifier in the octets 4 and 5 of their
 * header, so that a session can tell them apart and NAT can translate them (RFC 5508 section 3).
 */
#ifndef BASE_ICMP_H
#define BASE_ICMP_H

#include <stdbool.h>
#include <stdint.h>

#define ICMP_QUERIES(Q)			    /* IPv4, query, answer, name */                                  \
	Q(true, 8, 0, "echo")		    /* RFC 792 */                                                    \
	Q(true, 13, 14, "timestamp")	    /* RFC 792 */                                                    \
	Q(true, 15, 16, "information")	    /* RFC 792 */                                                    \
	Q(true, 17, 18, "address mask")	    /* RFC 950 */                                                    \
	Q(true, 42, 43, "extended echo")    /* RFC 8335 */                                                   \
	Q(false, 128, 129, "echo")	    /* RFC 4443 */                                                   \
	Q(false, 144, 145, "home agents")   /* RFC 6275 */                                                   \
	Q(false, 146, 147, "mobile prefix") /* RFC 6275 */                                                   \
	Q(false, 160, 161, "extended echo") /* RFC 8335 */

enum icmp_role {
	ICMP_ROLE_OTHER, /* an error, a message between neighbours, or nothing that is known */
	ICMP_ROLE_QUERY,
	ICMP_ROLE_ANSWER,
};

/* *ret_query: the type of the query, of an answer too. */
static inline enum icmp_role icmp_role(bool v4, uint8_t type, uint8_t *ret_query)
{
	*ret_query = type;
#define Q(is4, query, answer, name)                                                                          \
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

#endif
