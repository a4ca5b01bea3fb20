#include "cli/explain.h"

#include "base/nearest.h"
#include "model/peer_id.h"
#include "model/peer_name.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define IKE_PORT       500
#define IKE_NAT_PORT   4500
#define PROTO_UDP      17
#define TUNNELS_LISTED 8 /* by name in one line */

struct explain {
	const struct snapshot *s;
	const struct snap_peer *peer;
	uint32_t peer_index;
	const char *identity; /* that is asked about, of a template; NULL: all of them */
	const struct explain_tables *tables;
	explain_step_fn *fn;
	void *context;
	uint32_t faults;
};

/* `mend` NULL: none. */
static void say(struct explain *x, const char *step, enum explain_state state, const char *mend,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void say(
	struct explain *x, const char *step, enum explain_state state, const char *mend, const char *fmt, ...)
{
	struct explain_step row = { .step = step, .state = state };
	va_list args;

	va_start(args, fmt);
	vsnprintf(row.text, sizeof row.text, fmt, args);
	va_end(args);
	snprintf(row.mend, sizeof row.mend, "%s", mend ? mend : "");
	x->faults += state == EXPLAIN_FAULT;
	x->fn(x->context, &row);
}

/* "" when it has none. */
static const char *text_of(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	return json_is_string(value) ? json_string_value(value) : "";
}

static json_int_t number_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static bool is(const json_t *row, const char *key, const char *value)
{
	return strcmp(text_of(row, key), value) == 0;
}

/* ---- the configuration ---- */

static bool is_of_peer(const struct explain *x, uint32_t tunnel)
{
	return snap_tunnels(x->s)[tunnel].peer == x->peer_index;
}

/* The template whose pattern holds the identity: the longest, as ike takes it. Count of peers: none does. */
static uint32_t template_of(const struct explain *x, const char *identity)
{
	uint8_t type = strchr(identity, '@') ? ID_RFC822 : ID_FQDN;
	uint32_t found = x->s->peers.count, best = 0;

	for (uint32_t i = 0; i < x->s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(x->s)[i];

		if (!(p->flags & PEER_ID_PATTERN) || p->remote_id.len <= best ||
			!peer_id_fits_pattern(
				&p->remote_id, type, (const uint8_t *)identity, strlen(identity)))
			continue;
		best = p->remote_id.len;
		found = i;
	}
	return found;
}

static enum rc find_peer(struct explain *x, const char *name, struct err *e)
{
	struct nearest near = nearest_to(name, strlen(name));
	char hint[NEAREST_HINT_MAX];
	uint32_t found = x->s->peers.count;

	for (uint32_t i = 0; i < x->s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(x->s)[i];
		nearest_offer(&near, t->name, strlen(t->name));
		if (strcmp(t->name, name) == 0)
			found = t->peer;
	}
	for (uint32_t i = 0; i < x->s->peers.count; i++) {
		const char *peer = snap_peers(x->s)[i].name;
		nearest_offer(&near, peer, strlen(peer));
		if (strcmp(peer, name) == 0)
			found = i;
	}
	if (found == x->s->peers.count) {
		found = template_of(x, name);
		x->identity = found < x->s->peers.count ? name : NULL;
	}
	if (found == x->s->peers.count)
		return err_add(e, RC_NOT_FOUND,
			"the running configuration has no peer or tunnel '%.60s'%s; show ike has those that there are",
			name, nearest_hint(hint, &near));
	x->peer = &snap_peers(x->s)[found];
	x->peer_index = found;
	return RC_OK;
}

static void configuration(struct explain *x)
{
	static const char *const starts[] = { [PEER_START_NEVER] = "the peer starts it",
		[PEER_START_ALWAYS] = "started at once",
		[PEER_START_ON_TRAFFIC] = "started by traffic" };
	char names[700] = "", local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX];
	const char *name = snap_peer_dns_name(x->s, x->peer);
	size_t used = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->s->tunnels.count; i++) {
		if (!is_of_peer(x, i) || n++ >= TUNNELS_LISTED)
			continue;
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
			snap_tunnels(x->s)[i].name);
	}
	if (n == 0)
		say(x, "configuration", EXPLAIN_FAULT, "add: ipsec { tunnel NAME { peer ...; } }",
			"no tunnel has the peer '%s'", x->peer->name);
	else
		say(x, "configuration", EXPLAIN_GOOD, NULL, "peer %s: from %s to %s, %u tunnel%s (%s%s), %s",
			x->peer->name,
			x->peer->local.family == ADDR_NONE ? "the address of the route"
							   : addr_text(local, &x->peer->local),
			name ? name : addr_text(remote, &x->peer->remote), n, n == 1 ? "" : "s", names,
			n > TUNNELS_LISTED ? ", ..." : "", starts[x->peer->start]);
}

/* ---- the machine ---- */

static const json_t *interface_with(const struct explain *x, const struct ip_addr *address)
{
	json_t *row, *one;
	size_t i, k;

	json_array_foreach(x->tables->interfaces, i, row)
	{
		json_array_foreach(json_object_get(row, "addresses"), k, one)
		{
			char text[PREFIX_TEXT_MAX];
			struct ip_addr here;
			snprintf(text, sizeof text, "%s", json_is_string(one) ? json_string_value(one) : "");
			text[strcspn(text, "/")] = '\0';
			if (addr_parse(&here, text) == RC_OK && addr_equal(&here, address))
				return row;
		}
	}
	return NULL;
}

static uint32_t zone_of(const struct explain *x, const char *interface)
{
	for (uint32_t i = 0; i < x->s->interfaces.count; i++)
		if (strcmp(snap_interfaces(x->s)[i].name, interface) == 0)
			return snap_interfaces(x->s)[i].zone;
	return INDEX_NONE;
}

/* Whether the peer's own messages come in; answers to ours always do. */
static void admitted(struct explain *x, const char *interface)
{
	uint32_t zone = zone_of(x, interface);
	const struct ip_addr *from = x->peer->remote.family == ADDR_NONE ? NULL : &x->peer->remote;
	char mend[280];

	if (zone == INDEX_NONE) {
		snprintf(mend, sizeof mend, "add %s to the interfaces of a zone", interface);
		say(x, "host-inbound", EXPLAIN_FAULT, mend, "interface %s is in no zone", interface);
		return;
	}
	snprintf(mend, sizeof mend,
		"zones { zone %s { host-inbound ike; } }, or a rule of policy from %s to self",
		snap_zones(x->s)[zone].name, snap_zones(x->s)[zone].name);
	if (snap_self_access(x->s, zone, PROTO_UDP, IKE_PORT, from) == SELF_CLOSED ||
		snap_self_access(x->s, zone, PROTO_UDP, IKE_NAT_PORT, from) == SELF_CLOSED)
		say(x, "host-inbound", x->peer->start == PEER_START_NEVER ? EXPLAIN_FAULT : EXPLAIN_NOTE,
			mend, "zone %s does not let IKE in: only this side can start",
			snap_zones(x->s)[zone].name);
	else
		say(x, "host-inbound", EXPLAIN_GOOD, NULL, "zone %s lets IKE in",
			snap_zones(x->s)[zone].name);
}

/* Of the routes in use the one with the longest prefix that holds it, and of these that with the lowest metric. */
static const json_t *route_to(const struct explain *x, const struct ip_addr *address)
{
	const json_t *best = NULL;
	json_int_t best_metric = 0;
	unsigned best_bits = 0;
	json_t *row;
	size_t i;

	json_array_foreach(x->tables->routes, i, row)
	{
		json_int_t metric = number_of(row, "metric");
		struct ip_prefix p;
		if (json_object_get(row, "table") || prefix_parse(&p, text_of(row, "prefix")) != RC_OK ||
			!prefix_holds(&p, address) || strstr(text_of(row, "state"), "down") ||
			(best && (p.bits < best_bits || (p.bits == best_bits && metric >= best_metric))))
			continue;
		best = row;
		best_bits = p.bits;
		best_metric = metric;
	}
	return best;
}

/* What ike knows of the peer's name, which stands in each row of the peer. False: no address of it is known. */
static bool dns_name(struct explain *x, struct ip_addr *ret_remote)
{
	const char *name = snap_peer_dns_name(x->s, x->peer), *all, *why;
	char first[ADDR_TEXT_MAX];
	const json_t *at = NULL;
	json_t *row;
	size_t i;

	json_array_foreach(x->tables->ike, i, row)
	{
		if (!is(row, "peer", x->peer->name) || !is(row, "name", name))
			continue;
		at = at && !is(row, "state", "established") ? at : row;
	}
	if (!at) {
		say(x, "name", EXPLAIN_NOTE, NULL, "%s: no tunnel of the peer asks for it", name);
		return false;
	}
	all = text_of(at, "name_addresses");
	why = text_of(at, "name_error");
	if (!all[0])
		say(x, "name", EXPLAIN_FAULT,
			"mend remote-address, or /etc/resolv.conf of the gateway; plaingate show resolver says when it is asked again",
			"no address of %s is known: %s", name, why[0] ? why : "there is no answer yet");
	else if (why[0])
		say(x, "name", EXPLAIN_NOTE, "/etc/resolv.conf of the gateway, and the name's DNS servers",
			"%s had %s %lld s ago; the last question failed: %.200s", name, all,
			(long long)number_of(at, "name_answered_s"), why);
	else
		say(x, "name", EXPLAIN_GOOD, NULL, "%s is %s, as DNS said %lld s ago", name, all,
			(long long)number_of(at, "name_answered_s"));
	/* A row of an SA has a port; the first that is known will do where none is up. */
	snprintf(first, sizeof first, "%.*s", (int)strcspn(all, " "), all);
	return (is(at, "state", "down") && addr_parse(ret_remote, text_of(at, "remote")) == RC_OK) ||
	       addr_parse(ret_remote, first) == RC_OK;
}

static void machine(struct explain *x)
{
	const struct snap_peer *p = x->peer;
	const json_t *out = NULL, *in = NULL;
	struct ip_addr remote = p->remote;
	char a[ADDR_TEXT_MAX];

	if (p->flags & PEER_REMOTE_NAME ? dns_name(x, &remote) : !(p->flags & PEER_REMOTE_ANY)) {
		out = route_to(x, &remote);
		if (!out && json_array_size(x->tables->routes) >= EXPLAIN_ROWS_MAX)
			say(x, "route", EXPLAIN_NOTE, NULL, "not looked up: there are more than %d routes",
				EXPLAIN_ROWS_MAX);
		else if (!out)
			say(x, "route", EXPLAIN_FAULT, "add a route on the gateway, or mend remote-address",
				"there is no route to %s", addr_text(a, &remote));
		else
			say(x, "route", EXPLAIN_GOOD, NULL, "%s is reached by %s through %s",
				addr_text(a, &remote), text_of(out, "prefix"), text_of(out, "interface"));
	}
	if (p->local.family != ADDR_NONE) {
		in = interface_with(x, &p->local);
		if (!in)
			say(x, "local-address", EXPLAIN_FAULT,
				"give it to an interface of a zone, or mend local-address of the peer",
				"no interface of a zone has the address %s", addr_text(a, &p->local));
		else
			say(x, "local-address", is(in, "state", "up") ? EXPLAIN_GOOD : EXPLAIN_FAULT,
				is(in, "state", "up") ? NULL : "bring the link up",
				"%s is on %s, which is %s", addr_text(a, &p->local), text_of(in, "interface"),
				text_of(in, "state"));
	}
	if (in || out)
		admitted(x, text_of(in ? in : out, "interface"));
}

/* ---- keys ---- */

static void key(struct explain *x, const char *name, const char *ending)
{
	const json_t *found = NULL;
	json_t *row;
	char mend[280];
	size_t i;

	/* Of a file that is refused the kind is not known. */
	json_array_foreach(x->tables->keys, i, row)
	{
		const char *kind = text_of(row, "kind");
		const char *has = strcmp(kind, "pre-shared") == 0     ? "psk"
				  : strcmp(kind, "post-quantum") == 0 ? "ppk"
								      : "pem";
		if (is(row, "name", name) &&
			(!kind[0] || is(row, "state", "refused") || strcmp(has, ending) == 0))
			found = row;
	}
	snprintf(mend, sizeof mend, "put the key into the key directory as %s.%s; a commit reads it", name,
		ending);
	if (!found)
		say(x, "keys", EXPLAIN_FAULT, mend, "there is no key %s.%s", name, ending);
	else if (is(found, "state", "refused"))
		say(x, "keys", EXPLAIN_FAULT, mend, "key %s.%s is refused: %s", name, ending,
			text_of(found, "error"));
	else
		say(x, "keys", EXPLAIN_GOOD, NULL, "%s.%s is loaded", name, ending);
}

static void keys(struct explain *x)
{
	if (x->peer->flags & PEER_PSK_OF_ID)
		say(x, "keys", EXPLAIN_NOTE, NULL,
			"each identity has a key of its own, IDENTITY.psk in the key directory; show keys has those that are loaded");
	else
		key(x, x->peer->key_name, x->peer->auth == PEER_AUTH_PSK ? "psk" : "pem");
	if (x->peer->ppk_name[0])
		key(x, x->peer->ppk_name, "ppk");
}

/* ---- IKE ---- */

/* What to change, by words of the failure. The first row that is in it. */
static const struct {
	const char *word, *mend;
} mends[] = {
	{ "no peer is configured",
		"remote-address of the peer; of one by name: which address its DNS has, show resolver" },
	{ "no address of", "remote-address of the peer, and the name's DNS servers; show resolver" },
	{ "IKE proposal",
		"ike { peer } proposals, and the ike { proposal }s they name: have one that the peer offers too" },
	{ "ESP proposal",
		"ipsec { tunnel } proposals, and the ipsec { proposal }s they name: have one that the peer offers too" },
	{ "NO_PROPOSAL_CHOSEN",
		"the proposals of peer and tunnel: the peer accepts none of what we offer; its log says what it wants" },
	{ "INVALID_KE_PAYLOAD", "dh-group or pfs of the proposals: the peer wants another group" },
	{ "TS_UNACCEPTABLE", "local and remote of the tunnel: the peer has other networks" },
	{ "selector", "local and remote of the tunnel: the peer has other networks" },
	{ "PPK", "ppk of the peer: both sides need the same NAME.ppk, under the same name" },
	{ "is revoked",
		"the peer needs another certificate: its authority has revoked this one, in the CRL that is here or by OCSP (show pki)" },
	{ "OCSP",
		"show pki says what the authority's OCSP responder has answered, and why an answer does not count; show resolver whether it is reached: "
		"ocsp-url of the ca-profile" },
	{ "CRL",
		"show pki says what is wrong with the authority's CRL: put its next one into /etc/plaingate/certificates; "
		"plaingate pki crl makes it, where the authority is one of plaingate pki" },
	{ "no chain leads to",
		"trusted-ca of the peer: its ca-profile has not the authority that issued the peer's certificate; show pki" },
	{ "not valid at this time",
		"the clocks of both sides, and from when until when the peer's certificate is valid: plaingate pki show FILE" },
	{ "does not have the identity",
		"remote-id of the peer, which must be a name in its certificate: plaingate pki show FILE prints them" },
	{ "is not that of our key",
		"install the certificate that was issued for this key as certificates/NAME.crt, and commit again" },
	{ "certifier",
		"show pki and show status; plaingate pki show FILE says what the peer's certificate is good for" },
	{ "identif", "local-id and remote-id of the peer: the other side's are the same, exchanged" },
	{ "AUTHENTICATION_FAILED",
		"the key of the peer, and local-id and remote-id: what the other side has configured differs, or of certificates its authority or CRL; "
		"vpn explain there, or its log, says what" },
	{ "signature", "public-key of the peer: it is that of the key the other side signs with" },
	{ "authentic",
		"the key of the peer, and local-id and remote-id: what the other side has configured differs" },
	{ "to IKE_AUTH",
		"vpn explain at the peer, which has answered before: it may be unable to judge our certificate (its CRL, its "
		"certifiers); or UDP 4500 and long messages do not get there and back" },
	{ "no answer",
		"remote-address; is the peer running, and do UDP 500 and 4500 get there and back? plaingate capture --dst ADDRESS "
		"shows what leaves" },
	{ "keeper", "show status and show keys: the process that has the keys does not work as it should" },
	{ "administrator", "plaingate vpn up" },
};

static const char *mend_of(const char *reason)
{
	for (size_t i = 0; i < COUNT_OF(mends); i++)
		if (strstr(reason, mends[i].word))
			return mends[i].mend;
	return NULL;
}

/* The peer's attempts that were refused here. They outlive what came of them, so that the age is said. */
static void refused(struct explain *x)
{
	json_t *row;
	size_t i;

	json_array_foreach(x->tables->ike, i, row)
	{
		const char *reason = text_of(row, "refused");
		if (!is(row, "peer", x->peer->name) || !reason[0])
			continue;
		bool offer = text_of(row, "offered")[0] != '\0';
		say(x, "refused", EXPLAIN_NOTE, mend_of(reason),
			"%lld s ago the peer was refused: %.300s%s%.400s%s%.400s",
			(long long)number_of(row, "refused_s"), reason, offer ? "; it offered " : "",
			text_of(row, "offered"), offer ? "; configured is " : "", text_of(row, "configured"));
		return;
	}
}

static void idle(struct explain *x)
{
	static const char *const why[] = {
		[PEER_START_NEVER] =
			"no IKE SA: the peer has not begun, and start never leaves it to the peer",
		[PEER_START_ALWAYS] = "no IKE SA",
		[PEER_START_ON_TRAFFIC] = "no IKE SA: nothing was sent through its tunnels",
	};

	say(x, "IKE SA", EXPLAIN_FAULT, "plaingate vpn up begins now", "%s", why[x->peer->start]);
}

#define IDENTITIES_LISTED 20

/* Of a template: who uses it, or whether the identity that is asked about does. */
static void identities(struct explain *x)
{
	char names[IDENTITIES_LISTED * 40] = "";
	uint32_t n = 0, listed = 0;
	size_t used = 0, i;
	json_t *row;

	json_array_foreach(x->tables->ike, i, row)
	{
		const char *identity = text_of(row, "identity");

		if (!is(row, "peer", x->peer->name) || !is(row, "state", "established") || !identity[0])
			continue;
		if (x->identity && strcmp(identity, x->identity) == 0) {
			say(x, "IKE SA", EXPLAIN_GOOD, NULL, "%s established one %lld s ago from %s, %s",
				identity, (long long)number_of(row, "age_s"), text_of(row, "remote"),
				text_of(row, "algorithms"));
			return;
		}
		n++;
		if (listed >= IDENTITIES_LISTED || used + strlen(identity) + 3 > sizeof names)
			continue;
		used += (size_t)snprintf(
			names + used, sizeof names - used, "%s%s", listed++ ? ", " : ": ", identity);
	}
	if (x->identity)
		say(x, "IKE SA", EXPLAIN_FAULT, "that gateway begins it: look there",
			"%s has none; %u other identities use peer %s, whose connections-limit is %u",
			x->identity, n, x->peer->name, x->peer->connections_max);
	else
		say(x, "IKE SA", n > 0 ? EXPLAIN_GOOD : EXPLAIN_FAULT,
			n > 0 ? NULL : "its gateways begin it: look there",
			"of at most %u identities %u have an IKE SA%s%s", x->peer->connections_max, n, names,
			n > listed ? ", ..." : "");
}

static void ike_sa(struct explain *x)
{
	const json_t *up = NULL, *trying = NULL, *down = NULL;
	json_t *row;
	size_t i;

	if (x->peer->flags & PEER_ID_PATTERN) {
		identities(x);
		refused(x);
		return;
	}
	json_array_foreach(x->tables->ike, i, row)
	{
		if (!is(row, "peer", x->peer->name))
			continue;
		if (is(row, "state", "established"))
			up = row;
		else if (is(row, "state", "down"))
			down = down && !is(down, "reason", "not initiated yet") ? down : row;
		else
			trying = row;
	}
	if (up) {
		say(x, "IKE SA", EXPLAIN_GOOD, NULL, "established %lld s ago with %s, %s",
			(long long)number_of(up, "age_s"), text_of(up, "remote"), text_of(up, "algorithms"));
		if (json_object_get(up, "reauthentication_in_s"))
			say(x, "reauthentication", EXPLAIN_GOOD, NULL,
				"authenticated %lld s ago, and again in %lld s",
				(long long)number_of(up, "authenticated_s"),
				(long long)number_of(up, "reauthentication_in_s"));
		else if (json_object_get(up, "authentication_ends_in_s"))
			say(x, "reauthentication", EXPLAIN_GOOD, NULL,
				"authenticated %lld s ago; the peer has to do it again within %lld s, or the IKE SA ends",
				(long long)number_of(up, "authenticated_s"),
				(long long)number_of(up, "authentication_ends_in_s"));
		return;
	}
	const json_t *row_of = trying && text_of(trying, "reason")[0] ? trying : down ? down : trying;
	const char *reason = row_of ? text_of(row_of, "reason") : "";
	if (!row_of || strcmp(reason, "not initiated yet") == 0)
		idle(x);
	else
		say(x, "IKE SA", EXPLAIN_FAULT, mend_of(reason), "%s%s%.500s",
			trying ? text_of(trying, "state") : "down", reason[0] ? ": " : "", reason);
	refused(x);
}

/* ---- tunnels ---- */

static const json_t *row_with(const json_t *table, const char *key_name, const char *value)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)table, i, row)
	{
		if (is(row, key_name, value))
			return row;
	}
	return NULL;
}

static void traffic(struct explain *x, const struct snap_tunnel *t, const json_t *row)
{
	long long in = number_of(row, "packets_in"), out = number_of(row, "packets_out");
	long long unauthentic = number_of(row, "unauthentic"), refused_n = number_of(row, "refused");

	if (unauthentic > 0)
		say(x, "traffic", EXPLAIN_NOTE,
			"show counters; a middlebox that changes packets, or somebody who tries",
			"tunnel %s: %lld packets were not authentic", t->name, unauthentic);
	if (refused_n > 0)
		say(x, "traffic", EXPLAIN_NOTE, "local and remote of the tunnel on both sides",
			"tunnel %s: %lld packets came whose addresses are not its networks'", t->name,
			refused_n);
	if (out > 0 && in == 0)
		say(x, "traffic", EXPLAIN_NOTE,
			"policy and routes at the peer; a firewall that stops ESP or UDP 4500",
			"tunnel %s: %lld packets were sent and none came back", t->name, out);
	else
		say(x, "traffic", EXPLAIN_GOOD, NULL, "tunnel %s: %lld packets in, %lld out", t->name, in,
			out);
}

static void rules(struct explain *x, const struct snap_tunnel *t)
{
	uint32_t from = 0, to = 0;
	char mend[280];

	for (uint32_t i = 0; i < x->s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(x->s)[i];
		if (r->action != RULE_PERMIT)
			continue;
		from += r->from_zone == t->zone || r->from_zone == ZONE_ANY;
		to += r->to_zone == t->zone || r->to_zone == ZONE_ANY;
	}
	snprintf(mend, sizeof mend,
		"policy { from ... to %s { ... } }; plaingate test policy --tunnel %s asks about a packet",
		snap_zones(x->s)[t->zone].name, t->name);
	if (from == 0 || to == 0)
		say(x, "policy", EXPLAIN_NOTE, mend, "no rule permits anything %s zone %s of tunnel %s",
			from + to == 0 ? "from or to"
			: from == 0    ? "from"
				       : "to",
			snap_zones(x->s)[t->zone].name, t->name);
}

static void tunnel(struct explain *x, const struct snap_tunnel *t)
{
	const json_t *row = row_with(x->tables->tunnels, "tunnel", t->name);
	const json_t *down = row_with(x->tables->ike, "tunnels", t->name);
	const char *reason = down && is(down, "state", "down") ? text_of(down, "reason") : "";

	if (!row || !is(row, "state", "up")) {
		say(x, "child SA", EXPLAIN_FAULT, mend_of(reason), "tunnel %s is down%s%.500s", t->name,
			reason[0] ? ": " : "", reason);
		return;
	}
	say(x, "child SA", EXPLAIN_GOOD, NULL, "tunnel %s is up with %lld pair%s of SAs", t->name,
		(long long)number_of(row, "sas"), number_of(row, "sas") == 1 ? "" : "s");
	traffic(x, t, row);
}

enum rc explain_peer(const struct snapshot *s, const char *name, const struct explain_tables *t,
	explain_step_fn *fn, void *context, uint32_t *ret_faults, struct err *e)
{
	struct explain x = { .s = s, .tables = t, .fn = fn, .context = context };
	enum rc rc = find_peer(&x, name, e);

	if (rc != RC_OK)
		return rc;
	configuration(&x);
	machine(&x);
	keys(&x);
	ike_sa(&x);
	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		if (!is_of_peer(&x, i))
			continue;
		tunnel(&x, &snap_tunnels(s)[i]);
		rules(&x, &snap_tunnels(s)[i]);
	}
	*ret_faults = x.faults;
	return RC_OK;
}
