/*
 * Texts of leaves to typed values, as far as YANG's types cannot check them: addresses, ranges, ports,
 * identities, public keys. Part of the compiler.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rd.h"
#include "base/wr.h"
#include "model/compile.h"
#include "model/peer_id.h"

static enum rc fault_at(struct compiler *c, const char *text, struct place at, const char *expected)
{
	return tree_fault_at(c->faults, at, "found '%.60s', expected %s", text, expected);
}

static enum rc fault(struct compiler *c, const struct lyd_node *leaf, const char *expected)
{
	return fault_at(c, lyd_get_value(leaf), tree_place(leaf), expected);
}

enum rc value_address(struct compiler *c, const struct lyd_node *leaf, struct ip_addr *ret_addr)
{
	if (addr_parse(ret_addr, lyd_get_value(leaf)) == RC_OK)
		return RC_OK;
	return fault(c, leaf, "an IPv4 or IPv6 address");
}

/* "10.1.0.1/24": its network is offered. */
static enum rc host_bits(struct compiler *c, const char *text, struct place at)
{
	const char *slash = strchr(text, '/');
	char addr[ADDR_TEXT_MAX], network[PREFIX_TEXT_MAX];
	unsigned long bits = slash ? strtoul(slash + 1, NULL, 10) : 0;
	struct ip_prefix p = { 0 };

	snprintf(addr, sizeof addr, "%.*s", (int)MIN_OF(strcspn(text, "/"), sizeof addr - 1), text);
	if (addr_parse(&p.addr, addr) || bits > 8 * addr_size(&p.addr))
		return fault_at(
			c, text, at, "a prefix of at most 32 bits (IPv6: 128) whose host bits are zero");
	p.bits = (uint32_t)bits;
	for (size_t i = 0; i < addr_size(&p.addr); i++)
		p.addr.b[i] &= (uint8_t)(0xff00u >> MIN_OF(MAX_OF((long)p.bits - (long)(8 * i), 0L), 8L));
	return tree_fault_at(c->faults, at,
		"found '%.60s', expected a prefix whose host bits are zero: %s for the network, %s for the "
		"host",
		text, prefix_text(network, &p), addr);
}

bool value_is_no_host(const struct ip_addr *a)
{
	static const struct ip_addr none;
	bool loopback =
		a->family == ADDR_V4 ? a->b[0] == 127 : memcmp(a->b, none.b, 15) == 0 && a->b[15] == 1;

	return loopback || memcmp(a->b, none.b, sizeof a->b) == 0 || addr_is_link_local(a) ||
	       (a->family == ADDR_V4 ? a->b[0] >= 224 : a->b[0] == 0xff);
}

enum rc value_wildcard(struct compiler *c, const struct lyd_node *leaf, struct ip_range *ret_range)
{
	enum rc rc = wildcard_parse(ret_range, lyd_get_value(leaf));

	if (rc == RC_RANGE)
		return fault(c, leaf, "an address that has no bits outside of its mask");
	return rc ? fault(c, leaf, "an IPv4 address and a mask such as 10.0.0.5/255.0.0.255") : RC_OK;
}

enum rc value_range(struct compiler *c, const struct lyd_node *leaf, struct ip_range *ret_range)
{
	return value_range_at(c, lyd_get_value(leaf), tree_place(leaf), ret_range);
}

enum rc value_range_at(struct compiler *c, const char *text, struct place at, struct ip_range *ret_range)
{
	const char *hyphen = strchr(text, '-');
	char first[ADDR_TEXT_MAX];
	struct ip_prefix prefix;

	if (!hyphen) {
		enum rc rc = prefix_parse(&prefix, text);
		if (rc == RC_RANGE)
			return host_bits(c, text, at);
		if (rc)
			return fault_at(c, text, at, "a prefix such as 10.1.0.0/24 or 2001:db8::/64");
		*ret_range = range_from_prefix(&prefix);
		return RC_OK;
	}
	snprintf(first, sizeof first, "%.*s", (int)MIN_OF(hyphen - text, ADDR_TEXT_MAX - 1), text);
	if (addr_parse(&ret_range->first, first) || addr_parse(&ret_range->last, hyphen + 1) ||
		ret_range->first.family != ret_range->last.family)
		return fault_at(c, text, at, "two addresses of one family joined by a hyphen");
	if (addr_compare(&ret_range->first, &ret_range->last) > 0)
		return fault_at(c, text, at, "the lower address first");
	return RC_OK;
}

enum rc value_ports(struct compiler *c, const struct lyd_node *leaf, uint16_t *ret_first, uint16_t *ret_last)
{
	const char *value = lyd_get_value(leaf), *slash = strchr(value, '/');
	const char *text = slash ? slash + 1 : value, *hyphen = strchr(text, '-');
	unsigned long first = strtoul(text, NULL, 10), last = hyphen ? strtoul(hyphen + 1, NULL, 10) : first;

	if (first > UINT16_MAX || last > UINT16_MAX)
		return fault(c, leaf, "ports 0..65535");
	if (first > last)
		return fault(c, leaf, "the lower port first");
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return RC_OK;
}

/* "keyid:c0ffee" */
static bool key_id(struct snap_id *ret_id, const char *digits)
{
	size_t n = strlen(digits) / 2;

	ret_id->type = ID_KEY_ID;
	ret_id->len = (uint8_t)n;
	return n > 0 && n <= sizeof ret_id->data && hex_to_bytes(ret_id->data, n, digits);
}

static enum rc identity(
	struct compiler *c, const struct lyd_node *leaf, const char *text, struct snap_id *ret_id)
{
	size_t n = strlen(text);
	struct ip_addr addr;

	*ret_id = (struct snap_id){ 0 };
	if (strncmp(text, "keyid:", 6) == 0)
		return key_id(ret_id, text + 6)
			       ? RC_OK
			       : fault(c, leaf, "keyid: and an even number of hexadecimal digits");
	if (addr_parse(&addr, text) == RC_OK) {
		ret_id->type = addr.family == ADDR_V4 ? ID_IPV4 : ID_IPV6;
		ret_id->len = (uint8_t)addr_size(&addr);
		memcpy(ret_id->data, addr.b, ret_id->len);
		return RC_OK;
	}
	if (n > sizeof ret_id->data)
		return fault(c, leaf, "at most 128 characters");
	if (strchr(text, ' '))
		return fault(c, leaf,
			"an identity without spaces, or, of a peer with a certificate, a subject such as \"C=CH, O=Example, "
			"CN=gw.example\"");
	if (strchr(text, '*')) /* not part of a host name, and not allowed in a mail address here */
		return fault(c, leaf,
			"an identity without '*': identities are compared character by character; a wildcard is "
			"the beginning of a remote-id only, before '.' or '@', as in *.branch.example and "
			"*@example.net");
	ret_id->type = strchr(text, '@') ? ID_RFC822 : ID_FQDN;
	ret_id->len = (uint8_t)n;
	memcpy(ret_id->data, text, n);
	return RC_OK;
}

enum rc value_identity(struct compiler *c, const struct lyd_node *leaf, struct snap_id *ret_id)
{
	return identity(c, leaf, lyd_get_value(leaf), ret_id);
}

enum rc value_identity_pattern(
	struct compiler *c, const struct lyd_node *leaf, struct snap_id *ret_id, bool *ret_pattern)
{
	const char *text = lyd_get_value(leaf);
	enum rc rc;

	*ret_pattern = strncmp(text, "*.", 2) == 0 || strncmp(text, "*@", 2) == 0;
	rc = identity(c, leaf, text + *ret_pattern, ret_id);
	if (rc == RC_OK && *ret_pattern && !peer_id_pattern_ok(ret_id))
		return fault(c, leaf, "a domain name or the domain of a mail address after the '*'");
	return rc;
}

/* The heads of SubjectPublicKeyInfo that stand before the raw key: RFC 8410 section 4, RFC 5480 section 2. */
static const struct key_kind {
	const char *ssh, *curve; /* RFC 8709 section 4, RFC 5656 section 3.1 */
	uint8_t head[27];
	uint8_t head_n, raw_n;
	int point; /* first octet of the raw key, uncompressed; -1: none */
} key_kinds[] = {
	{ "ssh-ed25519", NULL, { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 }, 12,
		32, -1 },
	{ "ecdsa-sha2-nistp256", "nistp256",
		{ 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
			0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 },
		26, 65, 4 },
	{ "ecdsa-sha2-nistp384", "nistp384",
		{ 0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
			0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00 },
		23, 97, 4 },
};

static bool is_spki(const uint8_t *der, size_t n)
{
	for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
		const struct key_kind *k = &key_kinds[i];
		if (n == (size_t)k->head_n + k->raw_n && memcmp(der, k->head, k->head_n) == 0 &&
			(k->point < 0 || der[k->head_n] == k->point))
			return true;
	}
	return false;
}

static bool rd_string_is(struct rd *r, const char *want)
{
	size_t n = rd_u32(r);
	const uint8_t *b = rd_take(r, n);

	return b && n == strlen(want) && memcmp(b, want, n) == 0;
}

/* RFC 4253 section 6.6: string type, then for ECDSA string curve, then string key. */
static bool spki_from_ssh(struct snap_peer *ret_peer, const struct key_kind *k, const uint8_t *blob, size_t n)
{
	struct rd r = rd_over(blob, n);
	struct wr w = wr_over(ret_peer->public_key, sizeof ret_peer->public_key);
	const uint8_t *raw;

	if (!rd_string_is(&r, k->ssh) || (k->curve && !rd_string_is(&r, k->curve)) || rd_u32(&r) != k->raw_n)
		return false;
	raw = rd_take(&r, k->raw_n);
	if (!raw || rd_end(&r) || (k->point >= 0 && raw[0] != k->point))
		return false;
	wr_bytes(&w, k->head, k->head_n);
	wr_bytes(&w, raw, k->raw_n);
	ret_peer->public_key_n = (uint16_t)wr_len(&w);
	return !w.bad;
}

/* "TYPE BASE64 [comment]" */
static bool spki_from_ssh_line(struct snap_peer *ret_peer, const char *text)
{
	uint8_t blob[256];
	size_t type_n = strcspn(text, " "), n = 0;
	const char *base64 = text + type_n + strspn(text + type_n, " ");

	for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
		const struct key_kind *k = &key_kinds[i];
		if (strlen(k->ssh) == type_n && memcmp(k->ssh, text, type_n) == 0)
			return base64_to_bytes(blob, sizeof blob, &n, base64, strcspn(base64, " ")) &&
			       spki_from_ssh(ret_peer, k, blob, n);
	}
	return false;
}

enum rc value_public_key(struct compiler *c, const struct lyd_node *leaf, struct snap_peer *ret_peer)
{
	const char *text = lyd_get_value(leaf);
	size_t n = 0;

	if (strchr(text, ' ')) {
		if (spki_from_ssh_line(ret_peer, text))
			return RC_OK;
	} else if (base64_to_bytes(
			   ret_peer->public_key, sizeof ret_peer->public_key, &n, text, strlen(text)) &&
		   is_spki(ret_peer->public_key, n)) {
		ret_peer->public_key_n = (uint16_t)n;
		return RC_OK;
	}
	return fault(c, leaf,
		"an Ed25519, ECDSA P-256 or ECDSA P-384 key as base64 SubjectPublicKeyInfo or as an "
		"OpenSSH public key line");
}

uint64_t value_number(const struct lyd_node *parent, const char *name)
{
	const char *text = tree_value(parent, name);

	return text ? strtoull(text, NULL, 10) : 0;
}

uint32_t value_zone(const struct compiler *c, const char *name)
{
	const struct snap_zone *zones = (const void *)c->zones.at;

	for (uint32_t i = 0; name && i < c->zones.n; i++) {
		if (strcmp(zones[i].name, name) == 0)
			return i;
	}
	return INDEX_NONE;
}
