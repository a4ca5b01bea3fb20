/*
 * Networks of countries out of a database of MaxMind's format (MaxMind DB File Format Specification 2.0), which libmaxminddb has
 * opened. The library looks addresses up; here its tree is walked once, for all countries that are asked for.
 *
 * A network is of the country at the first of these paths that has a code of two letters: country.iso_code, registered_country.iso_code,
 * country_code, country. Networks that are a second way to the IPv4 addresses (::ffff:0:0/96, 2002::/16, 2001::/32 lead to the
 * same part of the tree) are left out.
 *
 * Pure. The database is a stranger's: depth, nodes and networks are bounded, and a database is good as a whole or not at all.
 * Callers: proc/resolver/countries.c, tests, fuzz/resolve.
 */
#ifndef RESOLVE_COUNTRY_H
#define RESOLVE_COUNTRY_H

#include "resolve/feed.h"

#include <maxminddb.h>

#define COUNTRY_LETTERS	       26
#define COUNTRIES	       (COUNTRY_LETTERS * COUNTRY_LETTERS) /* codes that two letters make (ISO 3166-1 alpha-2) */
#define COUNTRY_TREE_END_BYTES 16				   /* zeros between the tree and the data */
#define COUNTRY_BUILT_MAX      253402300799ull			   /* the last second of the year 9999 */

struct countries {
	bool wanted[COUNTRIES];	   /* by country_index() */
	struct feed of[COUNTRIES]; /* n 0: it has no network of that country, or the country is not wanted */
	uint64_t built;		   /* seconds since 1970, as the database says */
};

/* Of two letters, in capitals or not; COUNTRIES: they are none. */
uint32_t country_index(const char *code);

/* Fills `of` and `built` for what is wanted. RC_MALFORMED: the database is broken. RC_NOT_FOUND: no network in it has a country.
 * RC_LIMIT: more than DYNAMIC_RANGES_MAX, or no memory. */
enum rc countries_parse(struct countries *c, const MMDB_s *database, struct err *e);
void countries_done(struct countries *c);

#endif
