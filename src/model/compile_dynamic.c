/*
 * Parts of address objects whose addresses change without a commit: each becomes a record of `dynamics`, and a range that stands
 * for it. Part of the compiler.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/url.h"
#include "model/compile.h"
#include "model/snapshot_check.h"

static enum rc record_add(
	struct compiler *c, const char *object, const struct lyd_node *node, const struct snap_dynamic *d)
{
	struct snap_dynamic *place;

	if (c->dynamics.n == DYNAMICS_MAX)
		return fault_is_limit(tree_fault(c->faults, node,
			"all addresses and IKE peers together have more than %d domain names, feeds and countries",
			DYNAMICS_MAX));
	place = vec_add(&c->dynamics);
	if (!place)
		return compile_no_memory(c);
	*place = *d;
	snprintf(place->object, sizeof place->object, "%s", object);
	return RC_OK;
}

static enum rc dynamic_add(
	struct compiler *c, struct object *o, const struct lyd_node *node, const struct snap_dynamic *d)
{
	const struct snap_dynamic *all = (const void *)c->dynamics.at;
	struct ip_range *range;

	for (size_t i = c->dynamics.n; i-- > 0 && strcmp(all[i].object, o->name) == 0;)
		if (all[i].kind == d->kind && strcmp(all[i].name, d->name) == 0)
			return RC_OK; /* the same in another case */
	enum rc rc = record_add(c, o->name, node, d);
	if (rc)
		return rc;
	range = vec_add(&o->members);
	if (!range)
		return compile_no_memory(c);
	*range = range_of_dynamic((uint32_t)c->dynamics.n - 1);
	return RC_OK;
}

/* In lower case, without the dot at its end. */
static enum rc domain_name(struct compiler *c, const struct lyd_node *leaf, char ret_name[DYNAMIC_NAME_BYTES])
{
	const char *text = lyd_get_value(leaf);
	size_t n = strlen(text);
	struct ip_addr address;

	if (addr_parse(&address, text) == RC_OK)
		return tree_fault(c->faults, leaf, "'%s' is an address and no domain name: write prefix %s",
			text, text);
	n -= n > 1 && text[n - 1] == '.';
	if (n >= DYNAMIC_NAME_BYTES - 2 || strcmp(text, ".") == 0)
		return tree_fault(c->faults, leaf,
			"'%.60s' is not a domain name with addresses: expected HOST.DOMAIN of at most 253 characters",
			text);
	for (size_t i = 0; i < n; i++)
		ret_name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	ret_name[n] = '\0';
	if (strchr(ret_name, '*'))
		return tree_fault(c->faults, leaf,
			"'%.60s' has a wildcard, which DNS cannot be asked for: name each host", text);
	return snapshot_dns_name_ok(ret_name)
		       ? RC_OK
		       : tree_fault(c->faults, leaf,
				 "'%.60s' is not a domain name: expected labels of 1 to 63 letters, digits, '-' and '_', with dots between them",
				 text);
}

static enum rc fqdn(struct compiler *c, struct object *o, const struct lyd_node *leaf)
{
	const struct lyd_node *dns = tree_child(c->m, tree_child(c->m, NULL, "dynamic-address"), "dns");
	struct snap_dynamic d = { .kind = DYNAMIC_FQDN,
		.flags = tree_value(dns, "refuse-private") ? DYNAMIC_REFUSE_PRIVATE : 0u,
		.ttl_min_s = (uint32_t)value_number(dns, "minimum-ttl"),
		.ttl_max_s = (uint32_t)value_number(dns, "maximum-ttl"),
		.hold_s = (uint32_t)value_number(dns, "hold-time") };
	enum rc rc = domain_name(c, leaf, d.name);

	return rc ? rc : dynamic_add(c, o, leaf, &d);
}

static const struct lyd_node *feed_named(struct compiler *c, const char *name, struct nearest *near)
{
	const struct lyd_node *at = tree_child(c->m, tree_child(c->m, NULL, "dynamic-address"), "feed");

	for (; at && strcmp(tree_value(at, "name"), name) != 0; at = tree_next(at))
		nearest_offer(near, tree_value(at, "name"), strlen(tree_value(at, "name")));
	return at;
}

/* Its file; or its URL, and who may have issued the server's certificate. */
static enum rc feed_source(struct compiler *c, const struct lyd_node *node, struct snap_dynamic *d)
{
	const struct lyd_node *url = tree_child(c->m, node, "url"),
			      *key = tree_child(c->m, node, "server-key");
	struct url parsed;
	struct err e = { 0 };

	if (!url) {
		snprintf(d->file, sizeof d->file, "%s", tree_value(node, "file"));
		return RC_OK;
	}
	snprintf(d->url, sizeof d->url, "%s", lyd_get_value(url));
	if (url_parse(&parsed, d->url, &e) != RC_OK)
		return tree_fault(c->faults, url, "%s", e.text);
	if (!parsed.tls)
		return tree_fault(c->faults, url,
			"'%.100s' is not fetched over TLS, so anybody on the way could change it: expected https://",
			d->url);
	if (tree_child(c->m, node, "authorities"))
		snprintf(d->authorities, sizeof d->authorities, "%s", tree_value(node, "authorities"));
	if (key)
		tree_hex(key, d->server_key, sizeof d->server_key);
	return RC_OK;
}

static enum rc feed(struct compiler *c, struct object *o, const struct lyd_node *leaf)
{
	const char *name = lyd_get_value(leaf);
	struct nearest near = nearest_to(name, strlen(name));
	char hint[NEAREST_HINT_MAX];
	const struct lyd_node *node = feed_named(c, name, &near);
	struct snap_dynamic d = { .kind = DYNAMIC_FEED };

	if (!node)
		return tree_fault(c->faults, leaf,
			"found '%.60s', expected the name of a feed of dynamic-address%s", name,
			nearest_hint(hint, &near));
	snprintf(d.name, sizeof d.name, "%s", name);
	enum rc rc = feed_source(c, node, &d);
	if (rc)
		return rc;
	d.format = strcmp(tree_value(node, "format"), "json") == 0 ? DYNAMIC_JSON : DYNAMIC_LIST;
	d.interval_s = (uint32_t)value_number(node, "update-interval");
	const struct lyd_node *member = tree_child(c->m, node, "member");
	for (size_t i = 0; member && i < DYNAMIC_MEMBERS_MAX; i++, member = tree_next(member))
		snprintf(d.member[i], sizeof d.member[i], "%s", lyd_get_value(member));
	return dynamic_add(c, o, leaf, &d);
}

static enum rc country(struct compiler *c, struct object *o, const struct lyd_node *leaf)
{
	const struct lyd_node *geoip = tree_child(c->m, tree_child(c->m, NULL, "dynamic-address"), "geoip");
	const char *code = lyd_get_value(leaf);
	struct snap_dynamic d = { .kind = DYNAMIC_COUNTRY };

	if (!geoip)
		return tree_fault(c->faults, leaf,
			"country '%s' needs a database: expected dynamic-address { geoip { file NAME; } }",
			code);
	for (int i = 0; i < 2; i++) /* the schema's pattern: two letters */
		d.name[i] = code[i] >= 'a' ? (char)(code[i] - 'a' + 'A') : code[i];
	snprintf(d.file, sizeof d.file, "%s", tree_value(geoip, "file"));
	d.interval_s = (uint32_t)value_number(geoip, "update-interval");
	return dynamic_add(c, o, leaf, &d);
}

/* A peer's address that is not one was hardly meant as a name. */
static bool is_like_address(const char *text)
{
	const char *last = strrchr(text, '.');

	return strchr(text, ':') || (last && last[1] && strspn(last + 1, "0123456789") == strlen(last + 1));
}

/* Private addresses are a peer's as well as others are: they are what the name is asked for. */
enum rc compile_peer_name(
	struct compiler *c, const struct lyd_node *leaf, const char *peer, uint32_t *ret_dynamic)
{
	const struct lyd_node *dns = tree_child(c->m, tree_child(c->m, NULL, "dynamic-address"), "dns");
	struct snap_dynamic d = { .kind = DYNAMIC_PEER,
		.ttl_min_s = (uint32_t)value_number(dns, "minimum-ttl"),
		.ttl_max_s = (uint32_t)value_number(dns, "maximum-ttl") };
	const char *text = lyd_get_value(leaf);
	enum rc rc;

	if (is_like_address(text) || !strchr(text, '.') || strchr(text, '.')[1] == '\0')
		return tree_fault(c->faults, leaf,
			"found '%.60s', expected any, an IPv4 or IPv6 address, or HOST.DOMAIN such as vpn.example.com",
			text);
	if ((rc = domain_name(c, leaf, d.name)) || (rc = record_add(c, peer, leaf, &d)))
		return rc;
	*ret_dynamic = (uint32_t)c->dynamics.n;
	return RC_OK;
}

/* It is signed, so it may come in clear. */
enum rc compile_crl(
	struct compiler *c, const struct lyd_node *profile, const char *name, uint32_t *ret_dynamic)
{
	const struct lyd_node *leaf = tree_child(c->m, profile, "crl-url");
	struct snap_dynamic d = { .kind = DYNAMIC_CRL, .interval_s = CRL_INTERVAL_S };
	struct url parsed;
	struct err e = { 0 };

	snprintf(d.name, sizeof d.name, "%s", name);
	snprintf(d.url, sizeof d.url, "%s", lyd_get_value(leaf));
	if (url_parse(&parsed, d.url, &e) != RC_OK)
		return tree_fault(c->faults, leaf, "%s", e.text);
	if (tree_child(c->m, profile, "update-interval"))
		d.interval_s = (uint32_t)value_number(profile, "update-interval");
	enum rc rc = record_add(c, name, leaf, &d);
	if (rc == RC_OK)
		*ret_dynamic = (uint32_t)c->dynamics.n;
	return rc;
}

/* As certifiers judge its answers, TLS would prove nothing more, and the resolver is not to need authorities for it. */
enum rc compile_responder(
	struct compiler *c, const struct lyd_node *profile, const char *name, uint32_t *ret_dynamic)
{
	const struct lyd_node *leaf = tree_child(c->m, profile, "ocsp-url");
	struct snap_dynamic d = { .kind = DYNAMIC_OCSP };
	struct url parsed;
	struct err e = { 0 };

	snprintf(d.name, sizeof d.name, "%s", name);
	snprintf(d.url, sizeof d.url, "%s", lyd_get_value(leaf));
	if (url_parse(&parsed, d.url, &e) != RC_OK)
		return tree_fault(c->faults, leaf, "%s", e.text);
	if (parsed.tls)
		return tree_fault(c->faults, leaf,
			"found '%.60s', expected http://: an OCSP answer is signed, and is asked for in clear",
			d.url);
	enum rc rc = record_add(c, name, leaf, &d);
	if (rc == RC_OK)
		*ret_dynamic = (uint32_t)c->dynamics.n;
	return rc;
}

enum rc compile_dynamic(struct compiler *c, struct object *o)
{
	static const struct {
		const char *word;
		enum rc (*one)(struct compiler *c, struct object *o, const struct lyd_node *leaf);
	} kinds[] = { { "fqdn", fqdn }, { "feed", feed }, { "country", country } };
	enum rc rc = RC_OK;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		const struct lyd_node *leaf = tree_child(c->m, o->node, kinds[i].word);
		for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf))
			rc = faults_join(rc, kinds[i].one(c, o, leaf));
	}
	return rc;
}
