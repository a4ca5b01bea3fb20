/*
 * A small writer of databases of MaxMind's format (MaxMind DB File Format Specification 2.0), by the specification and not by
 * the library that reads them: right ones, and ones that no honest writer makes. Callers: test_country.c, make_mmdb.c.
 */
#ifndef TESTS_RESOLVE_MMDB_H
#define TESTS_RESOLVE_MMDB_H

#include "base/addr.h"

#define MMDB_NODES_MAX 65536
#define MMDB_DATA_MAX  65536

enum mmdb_kind { MMDB_EMPTY, MMDB_NODE, MMDB_DATA, MMDB_RAW };

struct mmdb {
	uint32_t ip_version, record_bits;
	uint32_t nodes, data_n;
	struct {
		enum mmdb_kind kind[2];
		uint32_t to[2];
	} node[MMDB_NODES_MAX];
	uint8_t data[MMDB_DATA_MAX];
	uint64_t built;
	uint32_t says_nodes; /* 0: as many as there are */
};

struct mmdb *mmdb_new(uint32_t ip_version, uint32_t record_bits);
/* "country.iso_code=DE": a map in a map; "country=DE"; "": an empty map. Returns where it stands. */
uint32_t mmdb_data(struct mmdb *m, const char *path);
uint32_t mmdb_data_raw(struct mmdb *m, const void *bytes, size_t n);
/* What was more specific there is forgotten. An IPv4 prefix in a tree of IPv6 is below ::/96. */
void mmdb_put(struct mmdb *m, const char *prefix, enum mmdb_kind kind, uint32_t to);
void mmdb_put_prefix(struct mmdb *m, const struct ip_prefix *p, enum mmdb_kind kind, uint32_t to);
/* The node at this prefix, which is made where there is none. */
uint32_t mmdb_node(struct mmdb *m, const char *prefix);
/* Octets of a file, which the caller frees. */
uint8_t *mmdb_write(const struct mmdb *m, size_t *ret_n);

#endif
