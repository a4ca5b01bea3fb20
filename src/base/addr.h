/*
 * IP addresses, prefixes and ranges of both families in one shape without padding, so that they can travel
 * between processes and be compared with memcmp. An IPv4 address has the first four bytes, the rest is
 * zero.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/bytes.h"
#include "base/err.h"

enum { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct ip_addr {
	uint8_t b[16];
	uint8_t family; /* ADDR_NONE, ADDR_V4 or ADDR_V6 */
	uint8_t zero[3];
};

_Static_assert(sizeof(struct ip_addr) == 20, "compared by memcmp(): no padding");

struct ip_prefix {
	struct ip_addr addr; /* host bits are zero */
	uint32_t bits;	     /* 0..32 or 0..128 */
};

/*
 * first <= last, one family. With RANGE_WILDCARD in last.zero[0] it is not all between them, but the addresses that agree with
 * both in the bits in which both agree: of an address under a mask, whose bits need not stand together, the least and the
 * greatest. Only policy and source NAT have such ranges (model/snapshot.h).
 */
#define RANGE_WILDCARD 1
struct ip_range {
	struct ip_addr first, last;
};

struct endpoint {
	struct ip_addr addr;
	uint16_t port;	/* host order */
	uint16_t scope; /* interface of an IPv6 link-local address, where one is known; else 0 */
};

#define ADDR_TEXT_MAX	  48 /* "ffff:…:ffff" and a terminator */
#define PREFIX_TEXT_MAX	  52
#define RANGE_TEXT_MAX	  100
#define ENDPOINT_TEXT_MAX 56 /* "[ffff:…]:65535" */

static inline size_t addr_size(const struct ip_addr *a)
{
	return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

static inline struct ip_addr addr_v4(const void *four_bytes)
{
	struct ip_addr a = { .family = ADDR_V4 };
	memcpy(a.b, four_bytes, 4);
	return a;
}

static inline struct ip_addr addr_v6(const void *sixteen_bytes)
{
	struct ip_addr a = { .family = ADDR_V6 };
	memcpy(a.b, sixteen_bytes, 16);
	return a;
}

/* Means something on one link only (RFC 3927, RFC 4291 section 2.5.6). */
static inline bool addr_is_link_local(const struct ip_addr *a)
{
	if (a->family == ADDR_V4)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->family == ADDR_V6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/*
 * What counts as one where sources have shares: an IPv4 address; of IPv6 the /64, of which one host has all
 * for itself if it wants (RFC 6177).
 */
static inline struct ip_addr addr_source(struct ip_addr a)
{
	if (a.family == ADDR_V6)
		memset(a.b + 8, 0, 8);
	return a;
}

static inline bool addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* The scope says by which link, not where. */
static inline bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

/* <0, 0, >0 within one family; families order 4 before 6. */
int addr_compare(const struct ip_addr *a, const struct ip_addr *b);

/* "10.1.0.2", "2001:db8::1"; ADDR_NONE reads "any". Returns ret_text, which holds ADDR_TEXT_MAX. */
char *addr_text(char *ret_text, const struct ip_addr *a);
char *prefix_text(char *ret_text, const struct ip_prefix *p);
char *range_text(char *ret_text, const struct ip_range *r); /* a prefix where the range is one */
char *endpoint_text(char *ret_text, const struct endpoint *e);

enum rc addr_parse(struct ip_addr *ret_addr, const char *text);
/* "10.1.0.0/24"; a bare address is a host prefix. RC_RANGE when host bits are set. */
enum rc prefix_parse(struct ip_prefix *ret_prefix, const char *text);

bool prefix_holds(const struct ip_prefix *p, const struct ip_addr *a);
static inline bool range_is_wildcard(const struct ip_range *r)
{
	return r->last.zero[0] == RANGE_WILDCARD;
}

/* "10.0.0.5/255.0.0.255"; one whose mask is that of a prefix becomes a plain range. RC_RANGE when bits outside of the mask are
 * set. */
enum rc wildcard_parse(struct ip_range *ret_range, const char *text);
bool range_holds(const struct ip_range *r, const struct ip_addr *a);
/* Some address is in both; not of wildcards. */
bool ranges_meet(const struct ip_range *a, const struct ip_range *b);
/* All of `inner` is in `outer`, and more is. */
bool range_inside(const struct ip_range *inner, const struct ip_range *outer);
struct ip_range range_from_prefix(const struct ip_prefix *p);

#endif
