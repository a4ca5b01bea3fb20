/*
 * IKE and IPsec. What two gateways have to agree on cannot be replaced on one side alone: where an algorithm has no counterpart a modern one is
 * taken, and it is said that the peer has to be changed as well. Keys are not taken over: the file that they belong into is named.
 */
#include "import/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
/* Algorithms by their names there; with `changed`, not the same here. */
struct algorithm {
	const char *theirs, *ours;
	bool changed;
};
static const struct algorithm encryptions[] = {
	{ "aes-128-gcm", "aes128gcm16", false }, { "aes-256-gcm", "aes256gcm16", false },
	{ "aes-192-gcm", "aes256gcm16", true }, { "aes-128-cbc", "aes128gcm16", true }, { "aes-192-cbc", "aes256gcm16", true },
	{ "aes-256-cbc", "aes256gcm16", true },
	{ "3des-cbc", "aes256gcm16", true }, { "des-cbc", "aes256gcm16", true },
};
/* AES-CBC with the HMACs that are here as well: the hash of a proposal of IKE is its PRF too, of which there is none with SHA-512. */
static const struct {
	const char *encryption, *of_ike, *of_esp, *ours;
} old_ciphers[] = {
	{ "aes-128-cbc", "sha-256", "hmac-sha-256-128", "aes128cbcsha256" }, { "aes-256-cbc", "sha-256", "hmac-sha-256-128", "aes256cbcsha256" },
	{ "aes-128-cbc", "sha-384", "hmac-sha-384", "aes128cbcsha384" }, { "aes-256-cbc", "sha-384", "hmac-sha-384", "aes256cbcsha384" },
	{ "aes-128-cbc", NULL, "hmac-sha-512", "aes128cbcsha512" }, { "aes-256-cbc", NULL, "hmac-sha-512", "aes256cbcsha512" },
};
static const struct algorithm prfs[] = {
	{ "sha-256", "prfsha256", false }, { "sha-384", "prfsha384", false },
	{ "sha-512", "prfsha384", true }, { "sha1", "prfsha256", true }, { "md5", "prfsha256", true },
};
static const struct algorithm groups[] = {
	{ "group19", "ecp256", false }, { "group20", "ecp384", false },
	{ "group1", "ecp256", true }, { "group2", "ecp256", true }, { "group5", "ecp256", true }, { "group14", "modp2048", false },
	{ "group15", "modp3072", false },
	{ "group16", "modp4096", false }, { "group21", "ecp384", true }, { "group24", "ecp256", true },
};
/* Proposals that Junos and ScreenOS have ready. */
static const struct {
	const char *name, *encryption, *prf, *group;
	bool changed;
} sets[] = {
	{ "suiteb-gcm-128", "aes128gcm16", "prfsha256", "ecp256", false }, { "suiteb-gcm-256", "aes256gcm16", "prfsha384", "ecp384", false },
	{ "prime-128", "aes128gcm16", "prfsha256", "ecp256", false }, { "prime-256", "aes256gcm16", "prfsha384", "ecp384", false },
	{ "standard", "aes256gcm16", "prfsha256", "ecp256", true }, { "compatible", "aes256gcm16", "prfsha256", "ecp256", true },
	{ "basic", "aes256gcm16", "prfsha256", "ecp256", true },
};
static const char *const starts[][2] = { { "immediately", "always" }, { "on-traffic", "on-traffic" }, { "responder-only", "never" }, { "responder-only-no-rekey", "never" } };
/* clang-format on */
#define COUNT(a) (sizeof(a) / sizeof *(a))

#define CHANGE_PEER "%s here: both sides have to agree, so change the peer as well"

/* The algorithm of a statement of the proposal, or the preset where it has none. */
static const char *algorithm(struct import *m, const struct node *proposal, const char *word,
	const struct algorithm *table, size_t n, const char *preset)
{
	struct node *v = value_node(proposal, word);

	if (!v)
		return preset;
	value(m, proposal, word);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v->word, table[i].theirs) != 0)
			continue;
		if (table[i].changed)
			say(m, v, IMPORT_CHANGED, CHANGE_PEER, table[i].ours);
		return table[i].ours;
	}
	say(m, v, IMPORT_WRONG, "no algorithm that is known; %s here", preset);
	return preset;
}

/* ---- proposals ---- */

/* Ours for what the proposal says of encryption and authentication, the same; NULL: it is not AES-CBC with an HMAC that is here. */
static const char *old_cipher(const struct node *proposal, bool esp)
{
	const struct node *encryption = value_node(proposal, "encryption-algorithm"),
			  *hash = value_node(proposal, "authentication-algorithm");

	for (size_t i = 0; encryption && hash && i < COUNT(old_ciphers); i++) {
		const char *theirs = esp ? old_ciphers[i].of_esp : old_ciphers[i].of_ike;
		if (theirs && strcmp(encryption->word, old_ciphers[i].encryption) == 0 &&
			strcmp(hash->word, theirs) == 0)
			return old_ciphers[i].ours;
	}
	return NULL;
}

/* That, or else the AEAD that takes its place. */
static const char *cipher(struct import *m, const struct node *proposal, bool esp)
{
	const char *old = old_cipher(proposal, esp);

	if (!old)
		return algorithm(
			m, proposal, "encryption-algorithm", encryptions, COUNT(encryptions), "aes256gcm16");
	value(m, proposal, "encryption-algorithm");
	return old;
}

/*
 * MODP groups and AES-CBC are for old peers, and a proposal says so. v: the statement that asks for the group; NULL: none of this proposal.
 * old: that of AES-CBC; NULL: there is none.
 */
static void legacy(struct import *m, struct out *o, struct node *v, const char *group, struct node *old)
{
	bool modp = strncmp(group, "modp", 4) == 0;

	if (modp || old)
		out_line(o, "legacy-algorithms");
	if (modp)
		say(m, v, IMPORT_CHANGED, "%s, for an old peer: ecp256 or x25519 where the peer can do it",
			group);
	if (old)
		say(m, old, IMPORT_CHANGED,
			"AES-CBC with HMAC, for an old peer: AES-GCM where the peer can do it");
}

static struct node *old_statement(const struct node *proposal, bool esp)
{
	return old_cipher(proposal, esp) ? value_node(proposal, "encryption-algorithm") : NULL;
}

static void ike_proposal(struct import *m, struct node *p)
{
	struct out *o = &m->sections[SECTION_IKE];
	const char *method = value(m, p, "authentication-method"), *group;

	if (p->as || left_out(m, p))
		return;
	p->as = object_name(m, "ike proposal", p->word);
	done(p);
	(void)method; /* the peer says how it proves itself */
	out_open(o, "proposal %s", p->as);
	out_line(o, "encryption %s", cipher(m, p, false));
	out_line(o, "prf %s", algorithm(m, p, "authentication-algorithm", prfs, COUNT(prfs), "prfsha256"));
	group = algorithm(m, p, "dh-group", groups, COUNT(groups), "ecp256");
	out_line(o, "dh-group %s", group);
	legacy(m, o, value_node(p, "dh-group"), group, old_statement(p, false));
	out_close(o);
	say(m, node_child(p, "description"), IMPORT_NONE, "a proposal has no description");
}

/* One of the sets that are ready, made when it is used first. */
static const char *ready_set(struct import *m, struct node *v, bool esp, const char *pfs)
{
	struct out *o = &m->sections[esp ? SECTION_IPSEC : SECTION_IKE];
	const char *kind = esp ? "a set of ESP" : "a set of IKE";
	struct node *made = tree_enter(&m->tree, tree_enter(&m->tree, m->names, kind, 0),
		pool_printf(&m->tree.pool, "%s %s", v->word, pfs), 0);

	for (size_t i = 0; i < COUNT(sets); i++) {
		if (strcmp(v->word, sets[i].name) != 0)
			continue;
		done(v);
		if (sets[i].changed)
			say(m, v, IMPORT_CHANGED, CHANGE_PEER, sets[i].encryption);
		if (made->as)
			return made->as;
		made->as = object_name(m, esp ? "esp proposal" : "ike proposal", v->word);
		out_open(o, "proposal %s", made->as);
		out_line(o, "encryption %s", sets[i].encryption);
		if (esp && *pfs) {
			out_line(o, "pfs %s", pfs);
			legacy(m, o, NULL, pfs, NULL);
		} else if (!esp) {
			out_line(o, "prf %s", sets[i].prf);
			out_line(o, "dh-group %s", sets[i].group);
		}
		out_close(o);
		return made->as;
	}
	say(m, v, IMPORT_WRONG, "no set of proposals that is known");
	return NULL;
}

/* Of ESP: pfs belongs to the policy there, to the proposal here. */
static const char *esp_proposal(struct import *m, struct node *p, const char *pfs)
{
	struct out *o = &m->sections[SECTION_IPSEC];
	struct node *made = tree_enter(&m->tree, tree_enter(&m->tree, m->names, "a proposal of ESP", 0),
		pool_printf(&m->tree.pool, "%s %s", p->word, pfs), 0);
	struct node *v = value_node(p, "authentication-algorithm");

	if (made->as)
		return made->as;
	made->as = object_name(m, "esp proposal", p->word);
	done(p);
	if (value(m, p, "protocol") && strcmp(value(m, p, "protocol"), "esp") != 0)
		say(m, value_node(p, "protocol"), IMPORT_CHANGED, CHANGE_PEER, "ESP");
	done(v);
	if (v && !old_cipher(p, true))
		say(m, v, IMPORT_CHANGED, "AES-GCM protects what it encrypts by itself");
	out_open(o, "proposal %s", made->as);
	out_line(o, "encryption %s", cipher(m, p, true));
	if (*pfs)
		out_line(o, "pfs %s", pfs);
	legacy(m, o, NULL, pfs, old_statement(p, true));
	out_close(o);
	say(m, node_child(p, "description"), IMPORT_NONE, "a proposal has no description");
	return made->as;
}

/* ---- peers ---- */

/* Junos asks in several ways whether a peer is alive, here there is one. */
static void dead_peers(struct import *m, struct out *o, const struct node *gateway)
{
	struct node *dpd = node_child(gateway, "dead-peer-detection");
	const char *interval = dpd ? value(m, dpd, "interval") : NULL;

	if (interval && is_number(interval, 2, 3600))
		out_line(o, "dpd %s", interval);
	for (struct node *c = dpd ? dpd->child : NULL; c; c = c->next) {
		if (strcmp(c->word, "interval") != 0)
			say(m, c, IMPORT_NONE,
				"a peer is asked when nothing came from it for `dpd` seconds, up to eight times");
	}
}

static void identity(
	struct import *m, struct out *o, const struct node *gateway, const char *word, const char *here)
{
	struct node *statement = node_child(gateway, word), *kind = statement ? statement->last : NULL,
		    *v = kind ? kind->last : NULL;

	if (!kind)
		return;
	if (!v || strcmp(kind->word, "distinguished-name") == 0) {
		say(m, statement, IMPORT_WRONG, "write it as %s: a name, an address, or a whole subject",
			here);
		return;
	}
	done_all(statement);
	out_line(o, "%s \"%s\"", here, letters_of(m, v->word, "-_.@:*", 63));
	if (strcmp(letters_of(m, v->word, "-_.@:*", 63), v->word) != 0)
		say(m, v, IMPORT_WRONG,
			"an identity with letters that the importer does not take over: write it as %s",
			here);
}

/* The first address of an interface of theirs, such as ge-0/0/3.0; NULL: it has none. */
static const char *address_on(struct import *m, const char *interface)
{
	const char *dot = strrchr(interface, '.');
	const struct node *a;

	if (!dot)
		return NULL;
	a = node_at(&m->tree.root, "interfaces",
		pool_text(&m->tree.pool, interface, (size_t)(dot - interface)), "unit", dot + 1, "family",
		"inet", "address", NULL);
	if (!a || !a->child)
		return NULL;
	return address_of(m, pool_text(&m->tree.pool, a->child->word, strcspn(a->child->word, "/")));
}

static void authentication(struct import *m, struct out *o, const struct node *gateway, struct node *policy)
{
	struct node *psk = node_child(policy, "pre-shared-key"),
		    *certificate = node_child(policy, "certificate");
	const char *name = letters_of(m, gateway->word, "-_.", 50);
	struct node *profiles = node_at(&m->tree.root, "security", "pki", "ca-profile", NULL);

	if (certificate) {
		const char *ours = value(m, certificate, "local-certificate");
		const struct node *named = node_at(certificate, "trusted-ca", "ca-profile", NULL);
		done_all(certificate);
		out_line(o, "local-certificate %s", ours ? letters_of(m, ours, "-_.", 50) : name);
		for (struct node *p = profiles ? profiles->child : NULL; p; p = p->next) {
			if (!named || node_child(named, p->word))
				out_line(o, "trusted-ca %s", p->as);
		}
		say(m, certificate, IMPORT_HOST,
			"copy the certificates to /etc/plaingate/certificates and the private key to /etc/plaingate/keys");
	} else {
		out_line(o, "pre-shared-key %s", name);
		for (struct node *c = psk ? psk->child : NULL; c; c = c->next)
			say(m, c, IMPORT_HOST,
				"keys are no part of a configuration: write it into /etc/plaingate/keys/%s.psk",
				name);
	}
}

static void peer_addresses(struct import *m, struct out *o, struct node *gateway)
{
	struct node *outgoing = value_node(gateway, "external-interface"),
		    *address = value_node(gateway, "address");
	const char *local = value(m, gateway, "local-address"), *remote = NULL;

	if (outgoing) {
		done(outgoing);
		if (!local)
			local = address_on(m, outgoing->word);
		if (!local)
			say(m, outgoing, IMPORT_CHANGED,
				"its address is not known: without local-address the route chooses");
	}
	if (local && address_of(m, local))
		out_line(o, "local-address %s", address_of(m, local));
	if (address)
		remote = address_of(m, value(m, gateway, "address"));
	if (address && !remote && is_domain(address->word)) {
		remote = value(m, gateway, "address");
		say(m, address, IMPORT_CHANGED,
			"a name, which the gateway looks up: without remote-id it is the identity that the peer proves");
	}
	if (address && !remote)
		say(m, address, IMPORT_WRONG, "neither an address nor a name: it is taken as any");
	out_line(o, "remote-address %s", remote ? remote : "any");
}

static void peer(struct import *m, struct node *gateway, const char *start, struct node *policy)
{
	struct out *o = &m->sections[SECTION_IKE];
	struct node *names = node_child(policy, "proposals"), *dynamic = node_child(gateway, "dynamic");
	const char *version = value(m, gateway, "version");
	const char *lifetime = NULL;
	size_t n = 0;

	gateway->as = object_name(m, "peer", gateway->word);
	done(gateway);
	done(policy);
	done(value_node(gateway, "ike-policy"));
	out_open(o, "peer %s", gateway->as);
	peer_addresses(m, o, gateway);
	identity(m, o, gateway, "local-identity", "local-id");
	if (dynamic && !node_child(gateway, "remote-identity"))
		identity(m, o, gateway, "dynamic", "remote-id");
	identity(m, o, gateway, "remote-identity", "remote-id");
	authentication(m, o, gateway, policy);
	for (struct node *p = names ? names->child : NULL; p; p = p->next) {
		struct node *proposal = node_at(&m->tree.root, "security", "ike", "proposal", p->word, NULL);
		done(p);
		if (proposal && !lifetime)
			lifetime = value(m, proposal, "lifetime-seconds");
		if (proposal && proposal->as)
			out_line(o, "proposals %s", proposal->as);
		else
			say(m, p, IMPORT_WRONG, "there is no proposal '%s'", p->word);
		n += proposal && proposal->as;
	}
	struct node *set = value_node(policy, "proposal-set");
	const char *ready = set ? (const char *)set->as : NULL;
	if (ready)
		out_line(o, "proposals %s", ready);
	if (!n && !ready) {
		out_line(o, "proposals modern");
		say(m, gateway, IMPORT_CHANGED, "no proposal of its ike-policy is there: " CHANGE_PEER,
			"modern");
	}
	dead_peers(m, o, gateway);
	if (lifetime && is_number(lifetime, 60, 604800))
		out_line(o, "lifetime %s", lifetime);
	if (start)
		out_line(o, "start %s", start);
	out_close(o);
	done(value_node(policy, "mode"));
	if (!version || strcmp(version, "v2-only") != 0)
		say(m, gateway, IMPORT_CHANGED, "IKEv2: the peer has to speak it");
}

static bool trusts_somebody(const struct node *policy, const struct node *profiles)
{
	const struct node *named = node_at(policy, "certificate", "trusted-ca", "ca-profile", NULL);

	for (const struct node *p = profiles ? profiles->child : NULL; p; p = p->next) {
		if (!named || node_child(named, p->word))
			return true;
	}
	return false;
}

/* Its IKE policy, and whether all that it needs is there; NULL: not, which is said. */
static struct node *policy_of(struct import *m, struct node *gateway)
{
	struct node *name = value_node(gateway, "ike-policy");
	struct node *policy =
		name ? node_at(&m->tree.root, "security", "ike", "policy", name->word, NULL) : NULL;
	struct node *profiles = node_at(&m->tree.root, "security", "pki", "ca-profile", NULL);

	if (!policy)
		say(m, gateway, IMPORT_WRONG, "it has no ike-policy that is defined, and is not translated");
	else if (node_child(policy, "certificate") && !trusts_somebody(policy, profiles))
		say(m, gateway, IMPORT_WRONG,
			"its peer has a certificate, and there is no ca-profile for it: it is not translated");
	else if (!node_child(gateway, "address") && !node_child(gateway, "dynamic"))
		say(m, gateway, IMPORT_WRONG, "it has neither address nor dynamic, and is not translated");
	else
		return policy;
	return NULL;
}

/* ---- tunnels ---- */

static void esp_proposals(struct import *m, struct out *o, struct node *vpn)
{
	struct node *name = node_at(vpn, "ike", "ipsec-policy", NULL), *policy, *pfs_node, *names, *set;
	const char *pfs = "";
	size_t n = 0;

	name = name ? name->last : NULL;
	policy = name ? node_at(&m->tree.root, "security", "ipsec", "policy", name->word, NULL) : NULL;
	done(name);
	if (name && !policy)
		say(m, name, IMPORT_WRONG, "there is no ipsec policy '%s'", name->word);
	done(policy);
	pfs_node = node_child(policy, "perfect-forward-secrecy");
	if (pfs_node)
		pfs = algorithm(m, pfs_node, "keys", groups, COUNT(groups), "ecp256");
	names = node_child(policy, "proposals");
	for (struct node *p = names ? names->child : NULL; p; p = p->next) {
		struct node *proposal =
			node_at(&m->tree.root, "security", "ipsec", "proposal", p->word, NULL);
		done(p);
		if (!proposal)
			say(m, p, IMPORT_WRONG, "there is no proposal '%s'", p->word);
		else
			out_line(o, "proposals %s", esp_proposal(m, proposal, pfs));
		n += proposal != NULL;
	}
	set = value_node(policy, "proposal-set");
	if (set && ready_set(m, set, true, pfs)) {
		out_line(o, "proposals %s", ready_set(m, set, true, pfs));
		n++;
	}
	if (!n) {
		out_line(o, "proposals modern");
		say(m, vpn, IMPORT_CHANGED,
			"no proposal of its ipsec-policy is there: AES-GCM with 256 bits, and ecp384 at each rekey; " CHANGE_PEER,
			"modern");
	}
}

static void lifetimes(struct import *m, struct out *o, const struct node *vpn)
{
	struct node *name = node_at(vpn, "ike", "ipsec-policy", NULL), *policy, *names;

	policy = name && name->last
			 ? node_at(&m->tree.root, "security", "ipsec", "policy", name->last->word, NULL)
			 : NULL;
	names = node_child(policy, "proposals");
	for (struct node *p = names ? names->child : NULL; p; p = NULL) {
		const struct node *proposal =
			node_at(&m->tree.root, "security", "ipsec", "proposal", p->word, NULL);
		const char *seconds = proposal ? value(m, proposal, "lifetime-seconds") : NULL,
			   *kilobytes = proposal ? value(m, proposal, "lifetime-kilobytes") : NULL;
		if (seconds && is_number(seconds, 30, 604800))
			out_line(o, "lifetime %s", seconds);
		if (kilobytes && is_number(kilobytes, 1024, UINT32_MAX))
			out_line(o, "lifetime-bytes %llu", 1024ull * strtoull(kilobytes, NULL, 10));
	}
}

/* One tunnel; selectors NULL: everything, by an interface. */
static void tunnel(struct import *m, struct node *vpn, const char *name, const struct node *gateway,
	const struct node *zone, const char *interface, const char *local, const char *remote)
{
	struct out *o = &m->sections[SECTION_IPSEC], proposals = { .depth = 2 };

	esp_proposals(m, &proposals, vpn); /* what they are stands before the tunnel */
	out_open(o, "tunnel %s", name);
	out_line(o, "peer %s", gateway->as);
	out_line(o, "zone %s", zone->as);
	if (interface)
		out_line(o, "interface %s", interface);
	out_line(o, "local %s", local ? local : "0.0.0.0/0");
	out_line(o, "remote %s", remote ? remote : "0.0.0.0/0");
	out_lines(o, &proposals);
	lifetimes(m, o, vpn);
	out_close(o);
	out_free(&proposals);
}

static void by_selectors(struct import *m, struct node *vpn, struct node *selectors,
	const struct node *gateway, const struct node *zone)
{
	for (struct node *t = selectors->child; t; t = t->next) {
		const char *local = value(m, t, "local-ip"), *remote = value(m, t, "remote-ip");
		local = local ? prefix_of(m, local) : NULL;
		remote = remote ? prefix_of(m, remote) : NULL;
		done(t);
		if (local && remote)
			tunnel(m, vpn,
				object_name(
					m, "tunnel", pool_printf(&m->tree.pool, "%s-%s", vpn->word, t->word)),
				gateway, zone, NULL, local, remote);
		else
			say(m, t, IMPORT_WRONG, "local-ip and remote-ip are not both prefixes");
	}
}

static void one_vpn(struct import *m, struct node *vpn)
{
	struct node *name = node_at(vpn, "ike", "gateway", NULL), *bound = value_node(vpn, "bind-interface"),
		    *selectors = node_child(vpn, "traffic-selector");
	struct node *gateway, *zone, *proxy = node_at(vpn, "ike", "proxy-identity", NULL);
	const char *local = proxy ? value(m, proxy, "local") : NULL,
		   *remote = proxy ? value(m, proxy, "remote") : NULL;
	bool alone;

	name = name ? name->last : NULL;
	gateway = name ? node_at(&m->tree.root, "security", "ike", "gateway", name->word, NULL) : NULL;
	zone = bound ? zone_of_interface(m, bound->word, &alone) : NULL;
	if (left_out(m, vpn))
		return;
	done(name);
	done(bound);
	if (!gateway || !gateway->as) {
		say(m, vpn, IMPORT_WRONG, "the tunnel is not translated: %s",
			gateway ? "its gateway is not" : "it has no gateway that is defined");
		return;
	}
	if (!bound) {
		say(m, vpn, IMPORT_WRONG,
			"a tunnel without bind-interface has its selectors from its policies: write `tunnel %s { peer %s; zone ...; local ...; remote ...; }`",
			vpn->word, gateway->as);
		return;
	}
	if (!zone) {
		say(m, vpn, IMPORT_WRONG, "no zone has %s, so the tunnel is not translated", bound->word);
		return;
	}
	vpn->as = selectors ? vpn->word : object_name(m, "tunnel", vpn->word);
	done(vpn);
	if (selectors)
		by_selectors(m, vpn, selectors, gateway, zone);
	else if (local && remote && prefix_of(m, local) && prefix_of(m, remote) &&
		 strcmp(local, "0.0.0.0/0") != 0)
		tunnel(m, vpn, vpn->as, gateway, zone, NULL, prefix_of(m, local), prefix_of(m, remote));
	else
		tunnel(m, vpn, vpn->as, gateway, zone, interface_name(m, bound->word), NULL, NULL);
	done_all(proxy);
	say(m, node_child(vpn, "df-bit"), IMPORT_NONE, "the path's MTU is followed, in both directions");
	say(m, node_child(vpn, "vpn-monitor"), IMPORT_NONE,
		"dead peer detection does that; see `dpd` and `start`");
	done_all(node_child(vpn, "establish-tunnels"));
}

/* When a gateway's tunnels are begun is said of each tunnel there, of the peer here. */
static const char *start_of(struct import *m, const struct node *gateway)
{
	struct node *vpns = node_at(&m->tree.root, "security", "ipsec", "vpn", NULL);
	const char *by_interface =
		NULL; /* which has no carrier before its tunnel is up, so that no traffic would begin it */

	for (struct node *v = vpns ? vpns->child : NULL; v; v = v->next) {
		if (node_child(v, "bind-interface") && node_at(v, "ike", "gateway", gateway->word, NULL))
			by_interface = "always";
		const struct node *when = value_node(v, "establish-tunnels");
		if (!when || !node_at(v, "ike", "gateway", gateway->word, NULL))
			continue;
		for (size_t i = 0; i < COUNT(starts); i++) {
			if (strcmp(when->word, starts[i][0]) == 0 && (i != 1 || !by_interface))
				return starts[i][1];
		}
	}
	return by_interface;
}

/* What peers and tunnels take that name no proposal, or none that exists. */
static void modern(struct import *m)
{
	out_open(&m->sections[SECTION_IKE], "proposal modern");
	out_line(&m->sections[SECTION_IKE], "encryption aes256gcm16");
	out_line(&m->sections[SECTION_IKE], "prf prfsha384");
	out_line(&m->sections[SECTION_IKE], "dh-group ecp384");
	out_close(&m->sections[SECTION_IKE]);
	out_open(&m->sections[SECTION_IPSEC], "proposal modern");
	out_line(&m->sections[SECTION_IPSEC], "encryption aes256gcm16");
	out_line(&m->sections[SECTION_IPSEC], "pfs ecp384");
	out_close(&m->sections[SECTION_IPSEC]);
	object_name(m, "ike proposal", "modern");
	object_name(m, "esp proposal", "modern");
}

static void authorities(struct import *m)
{
	struct node *profiles = node_at(&m->tree.root, "security", "pki", "ca-profile", NULL);
	struct out *o = &m->sections[SECTION_PKI];

	for (struct node *p = profiles ? profiles->child : NULL; p; p = p->next) {
		p->as = object_name(m, "ca-profile", p->word);
		out_open(o, "ca-profile %s", p->as);
		out_line(o, "file %s.crt", p->as);
		out_close(o);
		say(m, node_child(p, "revocation-check"), IMPORT_CHANGED,
			"soft here: a CRL that is there counts, none is fetched; `revocation-check hard` demands one");
		say(m, p, IMPORT_HOST, "copy its certificate to /etc/plaingate/certificates/%s.crt", p->as);
	}
}

static void unused(struct import *m, struct node *list)
{
	for (struct node *c = list ? list->child : NULL; c; c = c->next) {
		if (c->outcome == IMPORT_UNSAID)
			say(m, c, IMPORT_NONE, "no tunnel that is translated uses it");
		for (struct node *s = c->child; s && c->outcome == IMPORT_TRANSLATED; s = s->next) {
			if (strcmp(s->word, "lifetime-seconds") == 0 && s->last &&
				s->last->outcome == IMPORT_UNSAID)
				say(m, s, IMPORT_NONE, "no peer that is translated uses it");
		}
	}
}

void translate_vpn(struct import *m)
{
	struct node *ike = node_at(&m->tree.root, "security", "ike", NULL),
		    *proposals = node_child(ike, "proposal"), *gateways = node_child(ike, "gateway");
	struct node *policies = node_child(ike, "policy"),
		    *vpns = node_at(&m->tree.root, "security", "ipsec", "vpn", NULL);

	authorities(m);
	if (gateways || vpns)
		modern(m);
	for (struct node *p = proposals ? proposals->child : NULL; p; p = p->next)
		ike_proposal(m, p);
	for (struct node *p = policies ? policies->child : NULL; p; p = p->next) {
		struct node *set = value_node(p, "proposal-set");
		if (set && gateways)
			set->as = ready_set(m, set, false, "");
	}
	for (struct node *g = gateways ? gateways->child : NULL; g; g = g->next) {
		struct node *policy = left_out(m, g) ? NULL : policy_of(m, g);
		if (policy)
			peer(m, g, start_of(m, g), policy);
	}
	for (struct node *v = vpns ? vpns->child : NULL; v; v = v->next)
		one_vpn(m, v);
	unused(m, proposals);
	unused(m, policies);
	unused(m, node_at(&m->tree.root, "security", "ipsec", "proposal", NULL));
	unused(m, node_at(&m->tree.root, "security", "ipsec", "policy", NULL));
}
