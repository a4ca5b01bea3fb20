/*
 * The data plane's tables for `show`: one JSON object for each row, from the data that decisions are made
 * from.
 */
#include "base/json.h"
#include "base/log.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

#include <stdio.h>

/* One piece of an answer. */
struct out {
	struct dataplane *d;
	struct rows_piece piece;
};

static const char *zone_name(const struct dataplane *d, uint32_t zone)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;

	if (zone == FW_ZONE_HOST)
		return "host";
	return s && zone < s->zones.count ? snap_zones(s)[zone].name : "any";
}

/* Links that are neither Ethernet nor plain IP, such as InfiniBand, are handed over but not used. */
static const char *link_state(const struct pipeline *p, const struct pipeline_interface *f)
{
	const struct route_link *link = f->link == ROUTE_NONE ? NULL : route_link_find(p->routes, f->link);

	if (f->link == ROUTE_NONE)
		return "absent";
	if (link && !link->has_mac && !link->bare)
		return "unsupported link type";
	return f->vrf == PIPELINE_VRF_UNUSED ? "VRF not used" : f->up ? "up" : "down";
}

/* "": it is in none. */
static const char *vrf_name(const struct pipeline *p, const struct pipeline_interface *f)
{
	const struct route_link *link = route_link_find(p->routes, f->link);
	const struct route_link *master =
		link && route_vrf_of(p->routes, f->link) ? route_link_find(p->routes, link->master) : NULL;

	return master ? master->name : "";
}

/* Each worker counts its own. */
struct traffic {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
};

static struct traffic interface_traffic(const struct dataplane *d, uint32_t i)
{
	struct traffic t = { 0 };

	for (uint32_t k = 0; k < d->workers_n; k++) {
		const struct pipeline_interface *f = &d->workers[k]->pipeline.interfaces[i];
		t.packets_in += f->packets_in;
		t.bytes_in += f->bytes_in;
		t.packets_out += f->packets_out;
		t.bytes_out += f->bytes_out;
	}
	return t;
}

static void addresses_put(struct jw *w, const struct pipeline *p, uint32_t link)
{
	char text[PREFIX_TEXT_MAX];
	const struct route_local *l;
	uint32_t shown = 0;

	jw_array(w, "addresses");
	for (uint32_t k = 0; (l = route_local_at(p->routes, k)) && shown < 16; k++) {
		struct ip_prefix prefix = { l->addr, l->bits };
		if (l->link != link)
			continue;
		jw_str(w, NULL, prefix_text(text, &prefix));
		shown++;
	}
	jw_end(w);
}

/* Of a tunnel: what its SAs have carried is what has passed by its interface. */
static void device_row(struct out *o, uint32_t tunnel)
{
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	const struct snap_tunnel *t = &snap_tunnels(p->snapshot)[tunnel];
	uint32_t link = p->tunnels[tunnel].device;
	const struct route_link *l = link == ROUTE_NONE ? NULL : route_link_find(p->routes, link);
	struct esp_counts c;
	struct jw *w = rows_row(&o->piece);

	esp_counts(o->d->esp, snap_tunnels(p->snapshot), tunnel, 1, &c);
	jw_str(w, "interface", t->interface);
	jw_str(w, "zone", zone_name(o->d, t->zone));
	jw_str(w, "state", !l ? "absent" : l->up ? "up" : "down");
	jw_str(w, "tunnel", t->name);
	jw_u64(w, "mtu", l ? l->mtu : 0);
	addresses_put(w, p, link);
	jw_u64(w, "rx_packets", c.packets_in);
	jw_u64(w, "rx_bytes", c.bytes_in);
	jw_u64(w, "tx_packets", c.packets_out);
	jw_u64(w, "tx_bytes", c.bytes_out);
	rows_add(&o->piece);
}

static void interfaces_rows(struct out *o)
{
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	const struct snap_interface *in = snap_interfaces(p->snapshot);
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->interfaces.count && rows_look(&o->piece, 0, i); i++) {
		const struct pipeline_interface *f = &p->interfaces[i];
		const struct traffic t = interface_traffic(o->d, i);
		w = rows_row(&o->piece);
		jw_str(w, "interface", in[i].name);
		jw_str(w, "zone", zone_name(o->d, in[i].zone));
		jw_str(w, "state", link_state(p, f));
		if (f->vrf != 0)
			jw_str(w, "vrf", vrf_name(p, f));
		jw_u64(w, "mtu", f->mtu);
		jw_strf(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", f->mac[0], f->mac[1], f->mac[2], f->mac[3],
			f->mac[4], f->mac[5]);
		addresses_put(w, p, f->link);
		jw_u64(w, "rx_packets", t.packets_in);
		jw_u64(w, "rx_bytes", t.bytes_in);
		jw_u64(w, "tx_packets", t.packets_out);
		jw_u64(w, "tx_bytes", t.bytes_out);
		rows_add(&o->piece);
	}
	for (uint32_t i = rows_first(&o->piece, 1);
		i < p->snapshot->tunnels.count && rows_look(&o->piece, 1, i); i++)
		if (snap_tunnel_is_routed(&snap_tunnels(p->snapshot)[i]))
			device_row(o, i);
}

static const char *link_name(const struct route_table *t, uint32_t link)
{
	const struct route_link *l = link == ROUTE_NONE ? NULL : route_link_find(t, link);

	return l ? l->name : "";
}

static void route_row(struct out *o, const struct route_entry *r)
{
	static const char *const kinds[] = { "route", "local", "broadcast", "multicast", "unreachable",
		"throw" };
	const struct route_link *l = r->link == ROUTE_NONE ? NULL : route_link_find(o->d->routes, r->link);
	char text[PREFIX_TEXT_MAX];

	if (r->kind == ROUTE_BROADCAST || r->kind == ROUTE_MULTICAST)
		return;
	struct jw *w = rows_row(&o->piece);
	jw_str(w, "kind", kinds[r->kind]);
	jw_str(w, "prefix", prefix_text(text, &r->dst));
	jw_str(w, "gateway", r->gateway.family == ADDR_NONE ? "" : addr_text(text, &r->gateway));
	jw_str(w, "interface", l ? l->name : "");
	if (r->kind == ROUTE_UNICAST && l && !l->up)
		jw_str(w, "state", "link down"); /* the kernel has it all the same; nothing goes by it */
	else if (r->kind == ROUTE_UNICAST && route_is_dead(o->d->routes, r->link, &r->gateway))
		jw_str(w, "state", "uplink down");
	jw_u64(w, "metric", r->metric);
	if (r->weight > 0)
		jw_u64(w, "weight", r->weight);
	if (r->table != 0)
		jw_u64(w, "table", r->table);
	rows_add(&o->piece);
}

/* Those of the further tables: a place in the upper bits, an index in it in the lower ones. */
static void further_routes_rows(struct out *o)
{
	static const uint32_t place_bits = 22;
	const uint32_t last = (1u << place_bits) - 1;
	const struct route_entry *r;

	_Static_assert(ROUTE_ROUTES_MAX < 1u << 22 && ROUTE_TABLES_MAX < 1u << 10, "both fit");
	for (uint32_t i = rows_first(&o->piece, 3);
		route_at_table(o->d->routes, i >> place_bits, i & last, &r); i++) {
		if (!rows_look(&o->piece, 3, i))
			return;
		if (r)
			route_row(o, r);
		else
			i |= last; /* on to the next table */
	}
}

static void routes_rows(struct out *o)
{
	static const char *const states[] = { "none", "incomplete", "stale", "reachable", "failed" };
	const struct route_table *t = o->d->routes;
	char text[PREFIX_TEXT_MAX];
	struct jw *w;
	const struct route_entry *r;
	const struct route_neighbour *n;

	for (uint32_t i = rows_first(&o->piece, 0); i < o->d->rules_n && rows_look(&o->piece, 0, i); i++) {
		w = rows_row(&o->piece);
		jw_str(w, "kind", "rule");
		jw_str(w, "prefix", o->d->rules[i].text);
		jw_str(w, "state", o->d->rules[i].followed ? "followed" : "not followed");
		jw_u64(w, "metric", o->d->rules[i].priority);
		rows_add(&o->piece);
	}
	for (uint32_t i = rows_first(&o->piece, 1); (r = route_at(t, i)) && rows_look(&o->piece, 1, i); i++)
		route_row(o, r);
	for (uint32_t i = rows_first(&o->piece, 2);
		(n = route_neighbour_at(t, i)) && rows_look(&o->piece, 2, i); i++) {
		if (n->state == ROUTE_NEIGHBOUR_NONE || n->addr.b[0] == 0xff)
			continue;
		w = rows_row(&o->piece);
		jw_str(w, "kind", "neighbour");
		jw_str(w, "prefix", addr_text(text, &n->addr));
		jw_str(w, "interface", link_name(t, n->link));
		jw_strf(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2], n->mac[3],
			n->mac[4], n->mac[5]);
		jw_str(w, "state", states[n->state]);
		rows_add(&o->piece);
	}
	further_routes_rows(o);
}

static uint64_t seconds_since(mono_ns then)
{
	mono_ns now = clock_mono();

	return now > then ? (now - then) / NS_PER_S : 0;
}

/* Of one rule, by one of the firewall's three lists of hits; each worker counts its own. */
static struct fw_rule_hits hits_of_all(const struct dataplane *d, uint32_t rule,
	const struct fw_rule_hits *hits(const struct firewall *fw, uint32_t rule))
{
	struct fw_rule_hits sum = { 0 };

	for (uint32_t i = 0; i < d->workers_n; i++) {
		const struct fw_rule_hits *h = hits(d->workers[i]->fw, rule);
		sum.hits += h->hits;
		sum.packets += h->packets;
		sum.bytes += h->bytes;
		sum.exhausted += h->exhausted;
		sum.last = MAX_OF(sum.last, h->last);
		sum.since = i == 0 ? h->since : MIN_OF(sum.since, h->since);
	}
	return sum;
}

static uint64_t count_of_all(
	const struct dataplane *d, uint32_t rule, uint32_t count(const struct firewall *fw, uint32_t rule))
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		sum += count(d->workers[i]->fw, rule);
	return sum;
}

static void policy_rows(struct out *o)
{
	static const char *const actions[] = { "deny", "permit", "reject" };
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	char id[RULE_ID_TEXT_MAX];
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->rules.count && rows_look(&o->piece, 0, i); i++) {
		const struct snap_rule *r = &snap_rules(p->snapshot)[i];
		const struct fw_rule_hits h = hits_of_all(o->d, i, fw_rule_hits);
		w = rows_row(&o->piece);
		jw_str(w, "from", snap_rule_zone(p->snapshot, r->from_zone));
		jw_str(w, "to", snap_rule_zone(p->snapshot, r->to_zone));
		jw_str(w, "rule", r->name);
		jw_str(w, "id", snap_rule_id_text(id, r->id));
		jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
		if (r->flags & RULE_DSCP)
			jw_u64(w, "dscp", (r->flags & RULE_DSCP_MASK) >> RULE_DSCP_SHIFT);
		jw_u64(w, "hits", h.hits);
		if (r->flags & RULE_COUNT) { /* others would seem to have no traffic */
			jw_u64(w, "packets", h.packets);
			jw_u64(w, "bytes", h.bytes);
		}
		if (h.last)
			jw_u64(w, "last_hit_s", seconds_since(h.last));
		jw_u64(w, "counted_s", seconds_since(h.since));
		if (r->schedule != INDEX_NONE) {
			bool off = o->d->schedules_off >> r->schedule & 1;
			jw_str(w, "scheduler", snap_schedules(p->snapshot)[r->schedule].name);
			jw_str(w, "state", off ? "off" : "on");
		}
		if (r->description.count)
			jw_str(w, "description", snap_text(p->snapshot, r->description));
		rows_add(&o->piece);
	}
}

/* Static and destination NAT: they come first. */
static void dnat_row(struct out *o, uint32_t i)
{
	static const char *const actions[] = { "off", "servers", "static", "nptv6", "nat64" };
	const struct snapshot *s = o->d->workers[0]->pipeline.snapshot;
	const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
	char text[RANGE_TEXT_MAX];
	struct jw *w = rows_row(&o->piece);

	jw_str(w, "type",
		snap_dnat_is_static(r)	  ? "static"
		: r->action == DNAT_NAT64 ? "nat64"
					  : "destination");
	jw_str(w, "rule", r->name);
	jw_str(w, "from", zone_name(o->d, r->from_zone));
	if (snap_dnat_is_static(r)) /* one prefix, and by its address the real host is known */
		jw_str(w, "published", range_text(text, &snap_ranges(s)[r->dst.first]));
	jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
	jw_str(w, "pool", r->action == DNAT_OFF ? "" : range_text(text, &r->to));
	if (r->port_first)
		jw_strf(w, "port", r->port_first == r->port_last ? "%u" : "%u-%u", r->port_first,
			r->port_last);
	jw_u64(w, "hits", hits_of_all(o->d, i, fw_dnat_rule_hits).hits);
	if (r->check_port)
		jw_u64(w, "servers_down", fw_dnat_rule_down(o->d->workers[0]->fw, i));
	rows_add(&o->piece);
}

static void proxy_row(struct out *o, uint32_t i)
{
	const struct snapshot *s = o->d->workers[0]->pipeline.snapshot;
	const struct snap_proxy *r = &snap_proxies(s)[i];
	const struct snap_interface *in = &snap_interfaces(s)[r->interface];
	char text[RANGE_TEXT_MAX];
	struct jw *w = rows_row(&o->piece);

	jw_str(w, "type", r->addrs.first.family == ADDR_V4 ? "proxy-arp" : "proxy-ndp");
	jw_str(w, "interface", in->name);
	jw_str(w, "from", zone_name(o->d, in->zone));
	jw_str(w, "pool", range_text(text, &r->addrs));
	rows_add(&o->piece);
}

static void ports_say(struct jw *w, const struct snap_nat_rule *r)
{
	char blocks[64] = "";

	if (r->block_size)
		snprintf(blocks, sizeof blocks,
			r->blocks_max ? ", %u each, up to %u for a host" : ", %u for each host",
			r->block_size, r->blocks_max);
	if (r->flags & NAT_KEEP_PORT)
		jw_str(w, "ports", "kept");
	else
		jw_strf(w, "ports", "%u-%u%s%s", r->port_first, r->port_last,
			r->flags & NAT_KEEP_PARITY ? ", parity" : "", blocks);
}

static void pool_say(struct jw *w, const struct snapshot *s, const struct snap_nat_rule *r)
{
	char all[NAT_POOLS_MAX * RANGE_TEXT_MAX], text[RANGE_TEXT_MAX];
	size_t at = (size_t)snprintf(
		all, sizeof all, "%s", r->action == NAT_POOL ? range_text(text, &r->pool) : "");

	for (uint32_t i = 0; i < r->pool_more.count && at < sizeof all; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, ", %s",
			range_text(text, &snap_ranges(s)[r->pool_more.first + i]));
	jw_str(w, "pool", all);
}

static void nat_rows(struct out *o)
{
	static const char *const actions[] = { "off", "interface", "pool", "interface-ipv6" };
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	static const char *const filterings[] = { "", "endpoint-independent", "address-dependent",
		"address-and-port-dependent" };
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->dnat_rules.count && rows_look(&o->piece, 0, i); i++)
		dnat_row(o, i);
	for (uint32_t i = rows_first(&o->piece, 1);
		i < p->snapshot->nat_rules.count && rows_look(&o->piece, 1, i); i++) {
		const struct snap_nat_rule *r = &snap_nat_rules(p->snapshot)[i];
		w = rows_row(&o->piece);
		jw_str(w, "type", "source");
		jw_str(w, "rule", r->name);
		jw_str(w, "from", zone_name(o->d, r->from_zone));
		jw_str(w, "to", zone_name(o->d, r->to_zone));
		jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
		pool_say(w, p->snapshot, r);
		if (r->action != NAT_OFF)
			ports_say(w, r);
		if (r->action == NAT_POOL)
			jw_u64(w, "pool_addresses", fw_pool_size(p->snapshot, r));
		if (r->action != NAT_OFF && !(r->flags & NAT_KEEP_PORT))
			jw_u64(w, "ports_each", r->port_last - r->port_first + 1u);
		jw_str(w, "persistent",
			r->filtering < COUNT_OF(filterings) ? filterings[r->filtering] : "unknown");
		jw_u64(w, "hits", hits_of_all(o->d, i, fw_nat_rule_hits).hits);
		jw_u64(w, "sessions", count_of_all(o->d, i, fw_nat_rule_sessions));
		jw_u64(w, "bindings", count_of_all(o->d, i, fw_nat_rule_bindings));
		if (snap_nat_has_dynamic_blocks(r))
			jw_u64(w, "blocks", count_of_all(o->d, i, fw_nat_rule_blocks));
		jw_u64(w, "exhausted", hits_of_all(o->d, i, fw_nat_rule_hits).exhausted);
		rows_add(&o->piece);
	}
	for (uint32_t i = rows_first(&o->piece, 2);
		i < p->snapshot->proxies.count && rows_look(&o->piece, 2, i); i++)
		proxy_row(o, i);
}

static void selectors_put(struct jw *w, const char *key, const struct selector *ts, uint16_t n)
{
	char text[SHOW_SELECTORS_MAX];

	jw_str(w, key, selector_list_text(text, sizeof text, ts, n, ""));
}

static void ipsec_pair_row(struct out *o, uint32_t pair)
{
	struct dataplane *d = o->d;
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;
	char text[ENDPOINT_TEXT_MAX];
	struct esp_view v;
	struct sa_usage u;
	struct jw *w;

	esp_view(d->esp, pair, &v);
	esp_usage(d->esp, pair, clock_mono(), &u);
	bool known = v.tunnel < s->tunnels.count;
	w = rows_row(&o->piece);
	jw_str(w, "tunnel", v.tunnel_name);
	jw_str(w, "peer", known ? snap_peers(s)[snap_tunnels(s)[v.tunnel].peer].name : "");
	jw_str(w, "state",
		!v.outbound_active	       ? "inbound-only"
		: esp_pair_sends(d->esp, pair) ? "active"
					       : "replaced");
	jw_strf(w, "spi_in", "%08x", v.spi_in);
	jw_strf(w, "spi_out", "%08x", v.spi_out);
	jw_strf(w, "algorithm", "%s%s", encr_word(v.encr, v.encr_bits), legacy_mark(v.encr, DH_NONE));
	jw_bool(w, "esn", v.flags & CHILD_ESN);
	jw_str(w, "encapsulation", v.flags & CHILD_ENCAP ? "udp" : "none");
	jw_str(w, "local", endpoint_text(text, v.local));
	jw_str(w, "remote", endpoint_text(text, v.remote));
	selectors_put(w, "local_ts", v.local_ts, v.local_n);
	selectors_put(w, "remote_ts", v.remote_ts, v.remote_n);
	jw_u64(w, "packets_in", u.packets_in);
	jw_u64(w, "bytes_in", u.bytes_in);
	jw_u64(w, "packets_out", u.packets_out);
	jw_u64(w, "bytes_out", u.bytes_out);
	jw_u64(w, "seq_out", u.seq_out);
	if (known)
		jw_u64(w, "mtu", pipeline_tunnel_mtu(&d->workers[0]->pipeline, v.tunnel));
	jw_u64(w, "replay_window", v.replay_window);
	jw_u64(w, "worker", esp_owner(d->esp, pair));
	jw_str(w, "resource", v.resource ? "worker" : "none");
	jw_u64(w, "age_s", seconds_since(v.installed));
	rows_add(&o->piece);
}

static uint64_t tunnel_drops(const struct dataplane *d, uint32_t tunnel)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		sum += d->workers[i]->pipeline.tunnels[tunnel].drops_down;
	return sum;
}

static void ipsec_rows(struct out *o)
{
	struct dataplane *d = o->d;
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0); i < esp_pairs(d->esp) && rows_look(&o->piece, 0, i); i++)
		ipsec_pair_row(o, esp_pair_at(d->esp, i));
	for (uint32_t t = rows_first(&o->piece, 1); t < s->tunnels.count && rows_look(&o->piece, 1, t); t++) {
		if (esp_outbound(d->esp, t) != ESP_PAIR_NONE)
			continue;
		w = rows_row(&o->piece);
		jw_str(w, "tunnel", snap_tunnels(s)[t].name);
		jw_str(w, "peer", snap_peers(s)[snap_tunnels(s)[t].peer].name);
		jw_str(w, "state", "down");
		jw_u64(w, "dropped", tunnel_drops(d, t));
		rows_add(&o->piece);
	}
}

void show_table(struct dataplane *d, uint64_t tag, const struct msg_show *show)
{
	static struct out o;
	struct ipc_link *control = child_link(&d->child, PROC_CONTROL);

	if (!dataplane_ready(d) || !d->workers[0]->pipeline.snapshot) {
		rows_refuse(control, tag, RC_AGAIN, "the data plane has no configuration yet");
		return;
	}
	o.d = d;
	rows_begin(&o.piece, control, tag, show);
	switch (show->table) {
	case SHOW_INTERFACES:
		interfaces_rows(&o);
		break;
	case SHOW_ROUTES:
		routes_rows(&o);
		break;
	case SHOW_UPLINKS:
		show_uplinks(d, &o.piece);
		break;
	case SHOW_POLICY:
		policy_rows(&o);
		break;
	case SHOW_SESSIONS:
		show_sessions(d, &o.piece, show);
		return;
	case SHOW_SESSIONS_SUMMARY:
	case SHOW_TALKERS:
		show_survey(d, tag, show);
		return;
	case SHOW_NAT:
		nat_rows(&o);
		break;
	case SHOW_NAT_BLOCKS:
		show_blocks(d, &o.piece, show);
		break;
	case SHOW_TEST_POLICY:
		show_question(d, &o.piece, tag, show);
		return;
	case SHOW_SCREENS:
		show_screens(d, &o.piece);
		break;
	case SHOW_WORKERS:
		show_workers(d, &o.piece);
		break;
	case SHOW_TUNNELS:
		show_tunnels(d, &o.piece);
		break;
	case SHOW_IPSEC:
		ipsec_rows(&o);
		break;
	case SHOW_COUNTERS:
		show_counters(d, &o.piece);
		break;
	default:
		rows_refuse(control, tag, RC_NOT_FOUND, "the data plane has no such table");
		return;
	}
	rows_end(&o.piece);
}
