#include "resolve/country.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 128
#define SEEN_RECORDS 1024 /* that are remembered: many networks share one */
#define NO_NODE	     UINT32_MAX

/* A node that is still to be read, and the bits that lead to it. */
struct step {
	uint32_t node, depth;
	uint8_t at[16];
};

struct seen {
	bool known;
	uint32_t offset, country;
};

struct walk {
	const MMDB_s *db;
	struct countries *c;
	uint32_t bits;	/* of an address */
	uint32_t ipv4;	/* node of ::/96; NO_NODE: there is none */
	uint32_t nodes; /* that were read */
	uint32_t networks;
	bool any; /* a network has a country */
	uint32_t room[COUNTRIES];
	struct seen seen[SEEN_RECORDS];
	struct step stack[ADDRESS_BITS + 1];
	uint32_t stack_n;
	struct err *e;
};

uint32_t country_index(const char *code)
{
	uint32_t index = 0;

	for (int i = 0; i < 2; i++) {
		char c = code[i] >= 'a' && code[i] <= 'z' ? (char)(code[i] - 'a' + 'A') : code[i];
		if (c < 'A' || c > 'Z')
			return COUNTRIES;
		index = index * COUNTRY_LETTERS + (uint32_t)(c - 'A');
	}
	return index;
}

static enum rc broken(struct walk *w, int status, const char *what)
{
	return err_add(w->e, RC_MALFORMED, "%s: %s", what, MMDB_strerror(status));
}

/* ---- records ---- */

/* The country of a record; COUNTRIES: none. */
static enum rc country_read(struct walk *w, const MMDB_entry_s *entry, uint32_t *ret_country)
{
	static const char *const paths[][3] = { { "country", "iso_code" },
		{ "registered_country", "iso_code" }, { "country_code" }, { "country" } };
	MMDB_entry_s from = *entry;

	*ret_country = COUNTRIES;
	for (size_t i = 0; i < COUNT_OF(paths) && *ret_country == COUNTRIES; i++) {
		MMDB_entry_data_s d = { 0 };
		int status = MMDB_aget_value(&from, &d, paths[i]);
		if (status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR)
			continue;
		if (status != MMDB_SUCCESS)
			return broken(w, status, "a record of a network cannot be read");
		if (d.has_data && d.type == MMDB_DATA_TYPE_UTF8_STRING && d.data_size == 2)
			*ret_country = country_index(d.utf8_string);
	}
	return RC_OK;
}

static enum rc country_of(struct walk *w, const MMDB_entry_s *entry, uint32_t *ret_country)
{
	struct seen *s = &w->seen[entry->offset % SEEN_RECORDS];
	enum rc rc = RC_OK;

	if (!s->known || s->offset != entry->offset) {
		*s = (struct seen){ .offset = entry->offset };
		rc = country_read(w, entry, &s->country);
		s->known = rc == RC_OK;
	}
	*ret_country = s->country;
	return rc;
}

static enum rc network_add(struct walk *w, uint32_t country, const struct ip_prefix *p)
{
	struct feed *f = &w->c->of[country];

	if (w->networks++ == DYNAMIC_RANGES_MAX)
		return err_add(
			w->e, RC_LIMIT, "these countries have more than %u networks", DYNAMIC_RANGES_MAX);
	if (f->n == w->room[country]) {
		uint32_t room = f->n ? 2 * f->n : 256;
		struct ip_range *more = reallocarray(f->range, room, sizeof *more);
		if (!more)
			return err_add(w->e, RC_LIMIT, "out of memory for %u networks", room);
		f->range = more;
		w->room[country] = room;
	}
	f->range[f->n++] = range_from_prefix(p);
	return RC_OK;
}

/* Within ::/96, or around it: behind its depth a prefix has zeros. */
static bool is_ipv4(const uint8_t at[16])
{
	static const uint8_t zeros[12];

	return memcmp(at, zeros, sizeof zeros) == 0;
}

static enum rc data_add(struct walk *w, const MMDB_entry_s *entry, const uint8_t at[16], uint32_t depth)
{
	struct ip_prefix p = { .addr.family = w->bits == 32 ? ADDR_V4 : ADDR_V6, .bits = depth };
	const struct ip_prefix all4 = { .addr.family = ADDR_V4 };
	uint32_t country;
	enum rc rc = country_of(w, entry, &country);

	if (rc != RC_OK || country == COUNTRIES)
		return rc;
	w->any = true;
	if (!w->c->wanted[country])
		return RC_OK;
	bool ipv4 = w->bits == ADDRESS_BITS && is_ipv4(at);
	if (ipv4 && depth >= 96) {
		p = (struct ip_prefix){ .addr.family = ADDR_V4, .bits = depth - 96 };
		memcpy(p.addr.b, at + 12, 4);
		return network_add(w, country, &p);
	}
	memcpy(p.addr.b, at, w->bits / 8);
	rc = network_add(w, country, &p);
	/* One record for ::/96 and more: who looks an IPv4 address up finds it. */
	return rc == RC_OK && ipv4 ? network_add(w, country, &all4) : rc;
}

/* ---- the tree ---- */

static enum rc record_take(struct walk *w, const struct step *from, bool right, uint8_t type, uint64_t record,
	const MMDB_entry_s *entry)
{
	struct step next = *from;

	next.depth++;
	if (right)
		next.at[from->depth / 8] |= (uint8_t)(0x80 >> from->depth % 8);
	switch (type) {
	case MMDB_RECORD_TYPE_EMPTY:
		return RC_OK;
	case MMDB_RECORD_TYPE_DATA:
		if (record < (uint64_t)w->db->metadata.node_count + COUNTRY_TREE_END_BYTES)
			return err_add(w->e, RC_MALFORMED, "node %u of its tree leads to what is not data",
				from->node); /* the library would take it for far behind */
		return data_add(w, entry, next.at, next.depth);
	case MMDB_RECORD_TYPE_SEARCH_NODE:
		if (record == w->ipv4 && !(next.depth == 96 && is_ipv4(next.at)))
			return RC_OK; /* the IPv4 addresses once more */
		if (next.depth == w->bits)
			return err_add(w->e, RC_MALFORMED,
				"its tree is deeper than the %u bits of an address", w->bits);
		next.node = (uint32_t)record;
		w->stack[w->stack_n++] = next; /* one more than it had at this depth, so it has room */
		return RC_OK;
	default:
		return err_add(w->e, RC_MALFORMED, "node %u of its tree leads to nothing", from->node);
	}
}

static enum rc node_take(struct walk *w)
{
	const struct step s = w->stack[--w->stack_n];
	MMDB_search_node_s node;

	/* Each node once: nothing else ends a walk of a tree whose nodes lead to nodes above or beside them. */
	if (w->nodes++ == w->db->metadata.node_count)
		return err_add(w->e, RC_MALFORMED, "its tree leads to a node twice");
	int status = MMDB_read_node(w->db, s.node, &node);
	if (status != MMDB_SUCCESS)
		return broken(w, status, "a node of its tree cannot be read");
	enum rc rc =
		record_take(w, &s, true, node.right_record_type, node.right_record, &node.right_record_entry);
	return rc ? rc
		  : record_take(
			    w, &s, false, node.left_record_type, node.left_record, &node.left_record_entry);
}

/* Where the IPv4 addresses begin in a tree of IPv6: 96 times to the left. */
static uint32_t ipv4_node(const struct walk *w)
{
	MMDB_search_node_s node;
	uint32_t at = 0;

	for (int i = 0; w->bits == ADDRESS_BITS && i < 96; i++) {
		if (MMDB_read_node(w->db, at, &node) != MMDB_SUCCESS ||
			node.left_record_type != MMDB_RECORD_TYPE_SEARCH_NODE)
			return NO_NODE;
		at = (uint32_t)node.left_record;
	}
	return w->bits == ADDRESS_BITS ? at : NO_NODE;
}

/* The tree, 16 zeros and the data are within the file: the library computes their sizes with 32 bits. */
static bool sections_ok(const MMDB_s *db)
{
	uint64_t tree = (uint64_t)db->metadata.node_count * db->full_record_byte_size;
	uint64_t file = (uint64_t)db->file_size;

	return db->file_size > 0 && tree + COUNTRY_TREE_END_BYTES <= file &&
	       db->data_section == db->file_content + tree + COUNTRY_TREE_END_BYTES &&
	       db->data_section_size <= file - tree - COUNTRY_TREE_END_BYTES;
}

enum rc countries_parse(struct countries *c, const MMDB_s *database, struct err *e)
{
	const MMDB_metadata_s *m = &database->metadata;
	enum rc rc = RC_OK;

	if (!sections_ok(database))
		return err_add(e, RC_MALFORMED, "it is shorter than its %u nodes", m->node_count);
	if ((m->ip_version != 4 && m->ip_version != 6) || m->node_count == 0)
		return err_add(e, RC_MALFORMED,
			"it has %u nodes for IPv%u: expected at least one, for IPv4 or IPv6", m->node_count,
			m->ip_version);
	struct walk *w = calloc(1, sizeof *w);
	if (!w)
		return err_add(e, RC_LIMIT, "out of memory");
	w->db = database;
	w->c = c;
	w->e = e;
	w->bits = m->ip_version == 4 ? 32 : ADDRESS_BITS;
	w->ipv4 = ipv4_node(w);
	w->stack_n = 1; /* the root, node 0 */
	while (rc == RC_OK && w->stack_n > 0)
		rc = node_take(w);
	if (rc == RC_OK && !w->any)
		rc = err_add(e, RC_NOT_FOUND,
			"no network in it has a country: expected a database with country.iso_code");
	for (uint32_t i = 0; rc == RC_OK && i < COUNTRIES; i++)
		if (c->of[i].n)
			c->of[i].n = ranges_join(c->of[i].range, c->of[i].n);
	free(w);
	c->built = m->build_epoch <= COUNTRY_BUILT_MAX ? m->build_epoch : 0;
	if (rc != RC_OK)
		countries_done(c);
	return rc;
}

void countries_done(struct countries *c)
{
	for (uint32_t i = 0; i < COUNTRIES; i++)
		feed_done(&c->of[i]);
}
