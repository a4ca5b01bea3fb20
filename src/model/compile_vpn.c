/*
 * IKE peers, their proposals and the tunnels to records. Part of the compiler.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "model/compile.h"
#include "model/default_proposal.h"
#include "model/peer_id.h"
#include "model/host_access.h"

static const struct {
	const char *word;
	uint16_t number, bits;
} encrs[] = {
#define E(id, number, bits, word) { word, number, bits },
	ENCR_ALGORITHMS(E)
#undef E
};

static uint16_t prf_number(const char *word)
{
#define E(id, number, bytes, text)                                                                           \
	if (strcmp(word, text) == 0)                                                                         \
		return number;
	PRF_ALGORITHMS(E)
#undef E
	return 0;
}

static uint16_t dh_number(const char *word)
{
#define E(id, number, bytes, text)                                                                           \
	if (strcmp(word, text) == 0)                                                                         \
		return number;
	DH_GROUPS(E)
#undef E
	return DH_NONE;
}

static void encr_numbers(const char *word, uint16_t *ret_encr, uint16_t *ret_bits)
{
	for (size_t i = 0; i < COUNT_OF(encrs); i++) {
		if (strcmp(encrs[i].word, word) == 0) {
			*ret_encr = encrs[i].number;
			*ret_bits = encrs[i].bits;
		}
	}
}

static uint16_t kem_number(const char *word)
{
#define E(id, number, key_n, ciphertext_n, name, keyword)                                                    \
	if (strcmp(word, keyword) == 0)                                                                      \
		return number;
	MLKEM_SETS(E)
#undef E
	return 0;
}

/* The proposal of that name in the group `ike` or `ipsec`; NULL only where a reference leads nowhere, which is
 * noted already. */
static const struct lyd_node *proposal_named(struct compiler *c, const char *group, const char *name)
{
	const struct lyd_node *at = tree_child(c->m, NULL, group);
	const struct lyd_node *node = at ? tree_child(c->m, at, "proposal") : NULL;

	while (node && strcmp(tree_value(node, "name"), name) != 0)
		node = tree_next(node);
	return node;
}

static void additional_numbers(
	const struct compiler *c, const struct lyd_node *proposal, uint16_t ret[ADDITIONAL_MAX])
{
	const struct lyd_node *node = tree_child(c->m, proposal, "additional-key-exchange");

	for (size_t i = 0; node && i < ADDITIONAL_MAX; node = tree_next(node), i++)
		ret[i] = kem_number(lyd_get_value(node));
}

/* What a peer without proposals of its own has: ML-KEM first, which is neither offered nor chosen where libcrypto lacks it. */
static enum rc ike_proposals_default(struct compiler *c, struct span *span)
{
	static const struct snap_ike_proposal defaults[] = {
		{ .name = IKE_PROPOSAL_DEFAULT_HYBRID,
			.encr = ENCR_AES_GCM_16,
			.encr_bits = 256,
			.prf = PRF_HMAC_SHA2_384,
			.dh = DH_CURVE25519,
			.additional = { MLKEM_768 } },
		{ .name = "default",
			.encr = ENCR_AES_GCM_16,
			.encr_bits = 256,
			.prf = PRF_HMAC_SHA2_384,
			.dh = DH_CURVE25519 },
	};

	for (size_t i = 0; i < COUNT_OF(defaults); i++) {
		struct snap_ike_proposal *p = vec_add(&c->ike_proposals);

		if (!p)
			return compile_no_memory(c);
		*p = defaults[i];
		span->count++;
	}
	return RC_OK;
}

/* Each peer has its own run of proposals, in its own order. */
static enum rc ike_proposals(struct compiler *c, const struct lyd_node *peer, struct span *ret_span)
{
	const struct lyd_node *name = tree_child(c->m, peer, "proposals");

	ret_span->first = (uint32_t)c->ike_proposals.n;
	if (!name)
		return ike_proposals_default(c, ret_span);
	for (; name; name = tree_next(name)) {
		const struct lyd_node *node = proposal_named(c, "ike", lyd_get_value(name));
		struct snap_ike_proposal *p = node ? vec_add(&c->ike_proposals) : NULL;
		if (!node)
			continue;
		if (!p)
			return compile_no_memory(c);
		snprintf(p->name, sizeof p->name, "%s", lyd_get_value(name));
		encr_numbers(tree_value(node, "encryption"), &p->encr, &p->encr_bits);
		p->prf = prf_number(tree_value(node, "prf"));
		p->dh = dh_number(tree_value(node, "dh-group"));
		additional_numbers(c, node, p->additional);
		ret_span->count++;
	}
	return RC_OK;
}

static enum rc esp_proposals(struct compiler *c, const struct lyd_node *tunnel, struct snap_tunnel *t)
{
	const struct lyd_node *name = tree_child(c->m, tunnel, "proposals");

	t->proposals.first = (uint32_t)c->esp_proposals.n;
	for (; name; name = tree_next(name)) {
		const struct lyd_node *node = proposal_named(c, "ipsec", lyd_get_value(name));
		struct snap_esp_proposal *p = node ? vec_add(&c->esp_proposals) : NULL;
		const char *esn;
		if (!node)
			continue;
		if (!p)
			return compile_no_memory(c);
		snprintf(p->name, sizeof p->name, "%s", lyd_get_value(name));
		encr_numbers(tree_value(node, "encryption"), &p->encr, &p->encr_bits);
		p->dh = dh_number(tree_value(node, "pfs"));
		additional_numbers(c, node, p->additional);
		esn = tree_value(node, "esn");
		p->esn = strcmp(esn, "no") == 0 ? 0 : strcmp(esn, "yes") == 0 ? 1 : 2;
		if (p->dh != DH_NONE)
			t->flags |= TUNNEL_PFS;
		t->proposals.count++;
	}
	return RC_OK;
}

static void id_from_addr(struct snap_id *ret_id, const struct ip_addr *addr)
{
	*ret_id = (struct snap_id){ .type = addr->family == ADDR_V4   ? ID_IPV4
					    : addr->family == ADDR_V6 ? ID_IPV6
								      : ID_NONE };
	ret_id->len = (uint8_t)addr_size(addr);
	memcpy(ret_id->data, addr->b, ret_id->len);
}

/* Whatever its addresses are: the name itself. */
static enum rc id_from_name(struct compiler *c, const struct lyd_node *node, struct snap_peer *p)
{
	const struct snap_dynamic *d =
		(const struct snap_dynamic *)(const void *)c->dynamics.at + p->dynamic - 1;

	if (strlen(d->name) > sizeof p->remote_id.data)
		return tree_fault(c->faults, tree_child(c->m, node, "remote-address"),
			"a name of more than %zu characters is no identity: say remote-id",
			sizeof p->remote_id.data);
	p->remote_id = (struct snap_id){ .type = ID_FQDN, .len = (uint8_t)strlen(d->name) };
	memcpy(p->remote_id.data, d->name, p->remote_id.len);
	return RC_OK;
}

static enum rc peer_addresses(struct compiler *c, const struct lyd_node *node, struct snap_peer *p)
{
	const struct lyd_node *local = tree_child(c->m, node, "local-address");
	const struct lyd_node *remote = tree_child(c->m, node, "remote-address");
	enum rc rc = RC_OK;

	if (local)
		rc = value_address(c, local, &p->local);
	if (strcmp(lyd_get_value(remote), "any") == 0)
		p->flags |= PEER_REMOTE_ANY;
	else if (addr_parse(&p->remote, lyd_get_value(remote)) != RC_OK) {
		p->remote = (struct ip_addr){ 0 };
		rc = faults_join(rc, compile_peer_name(c, remote, p->name, &p->dynamic));
		p->flags |= p->dynamic ? PEER_REMOTE_NAME : 0;
	}
	if (rc)
		return rc;
	if (p->local.family && p->remote.family && p->local.family != p->remote.family)
		return tree_fault(
			c->faults, remote, "local-address and remote-address are of different families");
	return RC_OK;
}

/* Without names of their own both sides are known by their addresses. */
static enum rc peer_identities(struct compiler *c, const struct lyd_node *node, struct snap_peer *p)
{
	const struct lyd_node *local = tree_child(c->m, node, "local-id");
	const struct lyd_node *remote = tree_child(c->m, node, "remote-id");
	bool certified = tree_child(c->m, node, "local-certificate") || tree_child(c->m, node, "trusted-ca");
	bool pattern = false;
	enum rc rc;

	id_from_addr(&p->local_id, &p->local);
	id_from_addr(&p->remote_id, &p->remote);
	if ((p->flags & PEER_REMOTE_NAME) && !remote && (rc = id_from_name(c, node, p)))
		return rc;
	if (local && !(certified && compile_subject(local, &p->local_id)) &&
		(rc = value_identity(c, local, &p->local_id)))
		return rc;
	if (!remote)
		return RC_OK;
	if (certified && compile_subject(remote, &p->remote_id)) /* with one address it is one peer */
		pattern = p->flags & PEER_REMOTE_ANY && peer_subject_is_pattern(&p->remote_id);
	else if ((rc = value_identity_pattern(c, remote, &p->remote_id, &pattern)))
		return rc;
	if (pattern && !(p->flags & PEER_REMOTE_ANY))
		return tree_fault(c->faults, remote,
			"remote-id %s with a wildcard: expected remote-address any, since one address is one peer; write its whole identity, or remote-address any",
			lyd_get_value(remote));
	p->flags |= pattern ? PEER_ID_PATTERN : 0;
	p->connections_max = pattern ? (uint16_t)value_number(node, "connections-limit") : 0;
	return RC_OK;
}

static enum rc peer_authentication(struct compiler *c, const struct lyd_node *node, struct snap_peer *p)
{
	const char *psk = tree_value(node, "pre-shared-key");

	if (tree_value(node, "identity-keys")) {
		p->auth = PEER_AUTH_PSK;
		p->flags |= PEER_PSK_OF_ID;
		return RC_OK;
	}
	if (psk) {
		p->auth = PEER_AUTH_PSK;
		snprintf(p->key_name, sizeof p->key_name, "%s", psk);
		return RC_OK;
	}
	if (tree_value(node, "local-certificate"))
		return compile_peer_certificate(c, node, p);
	p->auth = PEER_AUTH_PUBLIC_KEY;
	snprintf(p->key_name, sizeof p->key_name, "%s", tree_value(node, "private-key"));
	return value_public_key(c, tree_child(c->m, node, "public-key"), p);
}

static enum rc peer_redirect(struct compiler *c, const struct lyd_node *node, struct snap_peer *p)
{
	const struct lyd_node *redirect = tree_child(c->m, node, "redirect");
	const struct lyd_node *to = redirect ? tree_child(c->m, redirect, "to") : NULL;
	const char *text = to ? lyd_get_value(to) : NULL;
	struct ip_addr a;

	if (redirect && tree_value(redirect, "accept"))
		p->flags |= PEER_REDIRECT_ACCEPT;
	if (!to)
		return RC_OK;
	if (addr_parse(&a, text) == RC_OK) {
		id_from_addr(&p->redirect_to, &a);
		if (value_is_no_host(&a) || addr_equal(&a, &p->local) || addr_equal(&a, &p->remote))
			return tree_fault(c->faults, to,
				"redirect to %s: expected the address of another gateway, neither ours nor the peer's",
				text);
		return RC_OK;
	}
	if (strlen(text) > sizeof p->redirect_to.data)
		return tree_fault(c->faults, to,
			"redirect to a name of %zu characters: at most %zu are allowed", strlen(text),
			sizeof p->redirect_to.data);
	p->redirect_to = (struct snap_id){ .type = ID_FQDN, .len = (uint8_t)strlen(text) };
	memcpy(p->redirect_to.data, text, p->redirect_to.len);
	return RC_OK;
}

static uint32_t peer_start(const struct snap_peer *p, const char *word)
{
	/* A peer at any address cannot be called; the model refuses `always` for it. */
	if ((p->flags & PEER_REMOTE_ANY) || strcmp(word, "never") == 0)
		return PEER_START_NEVER;
	return strcmp(word, "always") == 0 ? PEER_START_ALWAYS : PEER_START_ON_TRAFFIC;
}

static bool same_dns_name(const struct compiler *c, const struct snap_peer *a, const struct snap_peer *b)
{
	const struct snap_dynamic *all = (const void *)c->dynamics.at;

	return !a->dynamic || !b->dynamic || strcmp(all[a->dynamic - 1].name, all[b->dynamic - 1].name) == 0;
}

/* The responder finds the peer by address and identity: two with the same could not be told apart. */
static enum rc peer_is_unique(struct compiler *c, const struct lyd_node *node, uint32_t index)
{
	const struct snap_peer *all = (const void *)c->peers.at, *p = &all[index];

	assert(index < c->peers.n);

	for (uint32_t i = 0; i < index; i++) {
		if (addr_equal(&all[i].remote, &p->remote) && addr_equal(&all[i].local, &p->local) &&
			((all[i].flags ^ p->flags) & (PEER_ID_PATTERN | PEER_REMOTE_NAME)) == 0 &&
			same_dns_name(c, &all[i], p) &&
			memcmp(&all[i].remote_id, &p->remote_id, sizeof p->remote_id) == 0)
			return tree_fault(c->faults, node,
				"peer '%s' cannot be told apart from peer '%s': same addresses and remote-id",
				p->name, all[i].name);
	}
	return RC_OK;
}

static enum rc peer(struct compiler *c, const struct lyd_node *node)
{
	struct snap_peer *p = vec_add(&c->peers);
	enum rc rc;

	if (!p)
		return compile_no_memory(c);
	snprintf(p->name, sizeof p->name, "%s", tree_value(node, "name"));
	rc = peer_addresses(c, node, p);
	rc = faults_join(rc, peer_identities(c, node, p));
	rc = faults_join(rc, peer_authentication(c, node, p));
	rc = faults_join(rc, peer_redirect(c, node, p));
	if ((rc = faults_join(rc, ike_proposals(c, node, &p->proposals))))
		return rc;
	p->start = peer_start(p, tree_value(node, "start"));
	if (tree_value(node, "force-encapsulation"))
		p->flags |= PEER_FORCE_ENCAP;
	if (tree_value(node, "ppk"))
		snprintf(p->ppk_name, sizeof p->ppk_name, "%s", tree_value(node, "ppk"));
	if (tree_value(node, "require-post-quantum"))
		p->flags |= PEER_REQUIRE_PQ;
	p->rekey_s = (uint32_t)value_number(node, "lifetime");
	p->reauth_s = (uint32_t)value_number(node, "reauthentication");
	p->dpd_s = (uint32_t)value_number(node, "dpd");
	if (strcmp(tree_value(node, "fragmentation"), "on") == 0)
		p->fragment_size = (uint32_t)value_number(node, "fragment-size");
	return peer_is_unique(c, node, (uint32_t)c->peers.n - 1);
}

enum rc compile_peers(struct compiler *c)
{
	return compile_each(c, "ike", NULL, "peer", peer);
}

static uint32_t peer_index(const struct compiler *c, const char *name)
{
	const struct snap_peer *peers = (const void *)c->peers.at;

	for (uint32_t i = 0; i < c->peers.n; i++) {
		if (strcmp(peers[i].name, name) == 0)
			return i;
	}
	return INDEX_NONE;
}

static enum rc selectors(
	struct compiler *c, const struct lyd_node *leaf, struct span *ret_span, unsigned *ret_families)
{
	enum rc rc = RC_OK;

	ret_span->first = (uint32_t)c->selectors.n;
	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		struct selector *s = vec_add(&c->selectors);
		if (!s)
			return compile_no_memory(c);
		rc = faults_join(rc, value_range(c, leaf, &s->addrs));
		s->port_last = UINT16_MAX;
		*ret_families |= 1u << s->addrs.first.family;
		ret_span->count++;
	}
	return rc;
}

/* Names that the kernel or plaingated uses for something else. */
static bool interface_is_reserved(const char *name)
{
	static const char *const reserved[] = { "lo", "all", "default", TUN_NAME };

	for (size_t i = 0; i < COUNT_OF(reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return true;
	return false;
}

/* The device is the tunnel's alone: a link of a zone, or another tunnel, has another one. */
static enum rc tunnel_interface(struct compiler *c, const struct lyd_node *leaf, struct snap_tunnel *t)
{
	const struct snap_interface *links = (const void *)c->interfaces.at;
	const struct snap_tunnel *all = (const void *)c->tunnels.at;
	const char *name = lyd_get_value(leaf);
	uint32_t n = 0;

	if (interface_is_reserved(name))
		return tree_fault(c->faults, leaf,
			"found '%s', expected a name for a new interface, such as st0.1: the machine uses this one for something else",
			name);
	for (uint32_t i = 0; i < c->interfaces.n; i++)
		if (strcmp(links[i].name, name) == 0)
			return tree_fault(c->faults, leaf,
				"interface %s is one of a zone's interfaces: expected a name of its own for that of tunnel '%s', whose `zone` says where it belongs",
				name, t->name);
	for (const struct snap_tunnel *other = all; other < t; other++) {
		if (strcmp(other->interface, name) == 0)
			return tree_fault(c->faults, leaf,
				"interface %s is that of tunnel '%s': expected another one for tunnel '%s'",
				name, other->name, t->name);
		n += snap_tunnel_is_routed(other);
	}
	if (n == TUNNEL_INTERFACES_MAX)
		return tree_fault(
			c->faults, leaf, "more than %d tunnels have an interface", TUNNEL_INTERFACES_MAX);
	snprintf(t->interface, sizeof t->interface, "%s", name);
	return RC_OK;
}

/* Packets to what is on both sides would have to enter the tunnel and stay here. */
static enum rc sides_differ(struct compiler *c, const struct lyd_node *remote, const struct snap_tunnel *t)
{
	const struct selector *all = (const void *)c->selectors.at;
	char text[RANGE_TEXT_MAX];

	for (uint32_t r = 0; r < t->remote.count; r++, remote = tree_next(remote))
		for (uint32_t l = 0; l < t->local.count; l++) {
			const struct ip_range *here = &all[t->local.first + l].addrs,
					      *there = &all[t->remote.first + r].addrs;
			if (addr_equal(&here->first, &there->first) && addr_equal(&here->last, &there->last))
				return tree_fault(c->faults, remote,
					"%s is both local and remote of tunnel '%s': local is the networks on "
					"this side, which may lie inside remote",
					range_text(text, here), t->name);
		}
	return RC_OK;
}

static enum rc tunnel(struct compiler *c, const struct lyd_node *node)
{
	struct snap_tunnel *t = vec_add(&c->tunnels);
	unsigned local_families = 0, remote_families = 0;
	const struct lyd_node *interface = tree_child(c->m, node, "interface");
	enum rc rc;

	if (!t)
		return compile_no_memory(c);
	snprintf(t->name, sizeof t->name, "%s", tree_value(node, "name"));
	if (interface && (rc = tunnel_interface(c, interface, t)))
		return rc;
	t->peer = peer_index(c, tree_value(node, "peer"));
	t->zone = value_zone(c, tree_value(node, "zone"));
	/* References were checked; with a fault noted they may lead nowhere. */
	assert(c->faults->n > 0 || (t->peer < c->peers.n && t->zone < c->zones.n));
	rc = selectors(c, tree_child(c->m, node, "local"), &t->local, &local_families);
	rc = faults_join(rc, selectors(c, tree_child(c->m, node, "remote"), &t->remote, &remote_families));
	if ((rc = faults_join(rc, esp_proposals(c, node, t))))
		return rc;
	if (local_families != remote_families)
		return tree_fault(c->faults, node,
			"local and remote of tunnel '%s' are not of the same families: expected networks of IPv4, or of IPv6, or of both on each side",
			t->name);
	if (!interface && (rc = sides_differ(c, tree_child(c->m, node, "remote"), t)))
		return rc;
	t->rekey_s = (uint32_t)value_number(node, "lifetime");
	t->rekey_bytes = value_number(node, "lifetime-bytes");
	t->rekey_packets = value_number(node, "lifetime-packets");
	t->mtu = (uint32_t)value_number(node, "mtu");
	t->replay_window = (uint32_t)value_number(node, "replay-window");
	t->flags |= tree_child(c->m, node, "per-worker-sas") ? TUNNEL_PER_WORKER : 0;
	return RC_OK;
}

/* One network on this side and one on the other, of a tunnel. */
struct network_pair {
	struct ip_range local, remote;
	uint32_t tunnel;
};

static int by_networks(const void *a, const void *b)
{
	const struct network_pair *x = a, *y = b;
	int order = memcmp(&x->remote, &y->remote, sizeof x->remote);

	order = order ? order : memcmp(&x->local, &y->local, sizeof x->local);
	return order ? order : (x->tunnel > y->tunnel) - (x->tunnel < y->tunnel);
}

static void pairs_of(
	struct vec *pairs, const struct selector *all, const struct snap_tunnel *t, uint32_t index)
{
	for (uint32_t l = 0; l < t->local.count; l++)
		for (uint32_t r = 0; r < t->remote.count; r++) {
			struct network_pair *p = vec_add(pairs);
			if (p)
				*p = (struct network_pair){ all[t->local.first + l].addrs,
					all[t->remote.first + r].addrs, index };
		}
}

static const struct lyd_node *tunnel_node(const struct compiler *c, const char *name)
{
	const struct lyd_node *node = tree_child(c->m, tree_child(c->m, NULL, "ipsec"), "tunnel");

	while (node && strcmp(tree_value(node, "name"), name) != 0)
		node = tree_next(node);
	return node;
}

/* What is looked up, and compared below, is each of them. */
static enum rc pairs_bounded(struct compiler *c)
{
	const struct snap_tunnel *t = (const void *)c->tunnels.at;
	uint64_t pairs = 0;
	uint32_t i = 0;

	for (; i < c->tunnels.n && pairs <= SELECTOR_PAIRS_MAX; i++)
		pairs += (uint64_t)t[i].local.count * t[i].remote.count;
	if (pairs <= SELECTOR_PAIRS_MAX)
		return RC_OK;
	return tree_fault(c->faults, tunnel_node(c, t[i - 1].name),
		"tunnel '%s' and those before it have %llu pairs of a local and a remote network, and all tunnels together may have %u: "
		"write adjacent networks as one prefix or range",
		t[i - 1].name, (unsigned long long)pairs, SELECTOR_PAIRS_MAX);
}

/* Of two tunnels with the same networks one would never be used. */
static enum rc tunnels_differ(struct compiler *c)
{
	const struct snap_tunnel *tunnels = (const void *)c->tunnels.at;
	struct vec v = { .record = sizeof(struct network_pair) };
	char local[RANGE_TEXT_MAX], remote[RANGE_TEXT_MAX];
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < c->tunnels.n; i++)
		if (!snap_tunnel_is_routed(&tunnels[i]))
			pairs_of(&v, (const void *)c->selectors.at, &tunnels[i], i);
	struct network_pair *pairs = (void *)v.at;
	if (v.n)
		qsort(pairs, v.n, sizeof *pairs, by_networks);
	for (size_t i = 1; i < v.n && !rc; i++) {
		const struct network_pair *a = &pairs[i - 1], *b = &pairs[i];
		if (a->tunnel != b->tunnel && memcmp(&a->local, &b->local, sizeof a->local) == 0 &&
			memcmp(&a->remote, &b->remote, sizeof a->remote) == 0)
			rc = tree_fault(c->faults, tunnel_node(c, tunnels[b->tunnel].name),
				"tunnel '%s' and tunnel '%s' have the same local and remote networks, %s and "
				"%s",
				tunnels[a->tunnel].name, tunnels[b->tunnel].name,
				range_text(local, &a->local), range_text(remote, &a->remote));
	}
	vec_done(&v);
	return rc;
}

static bool same_networks(const struct selector *all, struct span a, struct span b)
{
	return a.count == b.count && memcmp(all + a.first, all + b.first, a.count * sizeof *all) == 0;
}

/* A peer tells a child SA's tunnel by the networks that are proposed. */
static enum rc routed_tunnels_differ(struct compiler *c)
{
	const struct snap_tunnel *all = (const void *)c->tunnels.at;
	const struct selector *selector = (const void *)c->selectors.at;

	for (uint32_t i = 0; i < c->tunnels.n; i++)
		for (uint32_t k = 0; snap_tunnel_is_routed(&all[i]) && k < i; k++) {
			if (!snap_tunnel_is_routed(&all[k]) || all[i].peer != all[k].peer ||
				!same_networks(selector, all[i].local, all[k].local) ||
				!same_networks(selector, all[i].remote, all[k].remote))
				continue;
			return tree_fault(c->faults, tunnel_node(c, all[i].name),
				"tunnel '%s' and tunnel '%s' of the same peer have interfaces and the same local and remote networks, so neither end could tell them apart: give each a peer of its own, with other addresses or identities",
				all[k].name, all[i].name);
		}
	return RC_OK;
}

enum rc compile_tunnels(struct compiler *c)
{
	enum rc rc = compile_each(c, "ipsec", NULL, "tunnel", tunnel);

	if (rc == RC_OK && c->faults->n == 0)
		rc = pairs_bounded(c);
	if (rc == RC_OK && c->faults->n == 0)
		rc = routed_tunnels_differ(c);
	return rc || c->faults->n ? rc : tunnels_differ(c);
}
