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

static void interfaces_rows(struct out *o)
{
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	const struct snap_interface *in = snap_interfaces(p->snapshot);
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->interfaces.count && rows_look(&o->piece, 0, i); i++) {
		const struct pipeline_interface *f = &p->interfaces[i];
		const struct traffic t = interface_traffic(o->d, i);
		const struct route_local *l;
		char text[PREFIX_TEXT_MAX];
		w = rows_row(&o->piece);
		jw_str(w, "interface", in[i].name);
		jw_str(w, "zone", zone_name(o->d, in[i].zone));
		jw_str(w, "state", link_state(p, f));
		if (f->vrf != 0)
			jw_str(w, "vrf", vrf_name(p, f));
		jw_u64(w, "mtu", f->mtu);
		jw_strf(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", f->mac[0], f->mac[1], f->mac[2], f->mac[3],
			f->mac[4], f->mac[5]);
		jw_array(w, "addresses");
		uint32_t shown = 0;
		for (uint32_t k = 0; (l = route_local_at(p->routes, k)) && shown < 16; k++) {
			struct ip_prefix prefix = { l->addr, l->bits };
			if (l->link != f->link)
				continue;
			jw_str(w, NULL, prefix_text(text, &prefix));
			shown++;
		}
		jw_end(w);
		jw_u64(w, "rx_packets", t.packets_in);
		jw_u64(w, "rx_bytes", t.bytes_in);
		jw_u64(w, "tx_packets", t.packets_out);
		jw_u64(w, "tx_bytes", t.bytes_out);
		rows_add(&o->piece);
	}
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
	char all[SELECTORS_MAX * RANGE_TEXT_MAX] = "", text[RANGE_TEXT_MAX];
	size_t at = 0;

	for (uint16_t i = 0; i < n && at < sizeof all; i++)
		at += (size_t)snprintf(
			all + at, sizeof all - at, "%s%s", i ? ", " : "", range_text(text, &ts[i].addrs));
	jw_str(w, key, all);
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
	jw_str(w, "algorithm", encr_word(v.encr, v.encr_bits));
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

static void counter_row(struct out *o, const char *name, uint64_t value, const char *text)
{
	struct jw *w = rows_row(&o->piece);

	jw_str(w, "counter", name);
	jw_u64(w, "value", value);
	jw_str(w, "text", text);
	rows_add(&o->piece);
}

/* Sums over all workers. */
struct counts {
	struct fw_counters fw;
	uint64_t packets_in, packets_out, bytes_in, bytes_out, trains_in, errors_sent, errors_suppressed,
		queued, handed_over, notes_lost, alg_full, sessions_limit, datagrams_in, keepalives,
		tunnel_too_big, drops[DROP_COUNT];
	struct {
		uint64_t answers, suppressed, conflicts;
	} proxies;
	uint64_t syn[SYN_COUNT_N];
	uint64_t carried, carried_packets, carried_placed, carried_taken_back, carried_no_room;
};

static void fw_counts_add(struct fw_counters *sum, const struct fw_counters *c)
{
	/* All its fields are counters of one size. */
	uint64_t to[sizeof *sum / sizeof(uint64_t)], from[sizeof *sum / sizeof(uint64_t)];

	_Static_assert(sizeof *sum % sizeof(uint64_t) == 0, "counters only");
	memcpy(to, sum, sizeof to);
	memcpy(from, c, sizeof from);
	for (size_t i = 0; i < COUNT_OF(to); i++)
		to[i] += from[i];
	memcpy(sum, to, sizeof to);
}

static void counts_add(struct counts *sum, const struct worker *w)
{
	const struct pipeline *p = &w->pipeline;

	fw_counts_add(&sum->fw, fw_counters(w->fw));
	sum->packets_in += p->packets_in;
	sum->packets_out += p->packets_out;
	sum->bytes_in += p->bytes_in;
	sum->bytes_out += p->bytes_out;
	sum->trains_in += p->trains_in;
	sum->errors_sent += p->error_replies_sent;
	sum->errors_suppressed += p->error_replies_suppressed;
	sum->queued += p->neighbour_queue_n;
	sum->handed_over += p->trains_handed_over;
	sum->notes_lost += p->notes_lost;
	sum->alg_full += p->alg_full;
	for (int i = 0; i < SYN_COUNT_N; i++)
		sum->syn[i] += p->syn_counts[i];
	sum->datagrams_in += w->datagrams_in;
	sum->keepalives += w->keepalives;
	sum->tunnel_too_big += w->tunnel_too_big;
	sum->proxies.answers += p->proxies.answers;
	sum->proxies.suppressed += p->proxies.suppressed;
	sum->proxies.conflicts += p->proxies.conflicts;
	sum->sessions_limit += fw_sessions_limit(w->fw);
	sum->carried += p->carried.carry ? carry_used(p->carried.carry) : 0;
	sum->carried_packets += p->carried.packets;
	sum->carried_placed += p->carried.placed;
	sum->carried_taken_back += p->carried.taken_back;
	sum->carried_no_room += p->carried.no_room;
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		sum->drops[i] += p->drops[i];
	sum->drops[DROP_FRAGMENT_TIMEOUT] += fw_counters(w->fw)->fragments_timeout;
	sum->drops[DROP_FRAGMENT_LIMIT] += fw_counters(w->fw)->fragments_limit;
	sum->drops[DROP_FRAGMENT_OVERLAP] += fw_counters(w->fw)->fragments_overlap;
}

static void counters_of_carried(struct out *o, const struct counts *s)
{
	const struct carry_head *head = o->d->carry.head;
	/* clang-format off */
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
		{ "carried-sessions",         "records of sessions that the kernel carries, or did since they were last decided", s->carried },
		{ "carried-packets",          "packets that it has forwarded; they are among packets-in and packets-out, a second later at most", s->carried_packets },
		{ "carried-placed",           "times that a session was handed to the kernel, or again after something had changed", s->carried_placed },
		{ "carried-taken-back",       "sessions that it carries no longer: they ended, or a packet opened or ended a connection", s->carried_taken_back },
		{ "carried-no-room",          "sessions that found no record or no place in the kernel's table", s->carried_no_room },
		{ "carried-lost",             "packets that were lost since their session was taken back meanwhile", head ? __atomic_load_n(&head->lost, __ATOMIC_RELAXED) : 0 },
	};
	/* clang-format on */

	for (uint32_t i = rows_first(&o->piece, 1); i < COUNT_OF(rows) && rows_look(&o->piece, 1, i); i++)
		counter_row(o, rows[i].name, rows[i].value, rows[i].text);
}

static void counters_of_drops(struct out *o, const struct counts *s)
{
	for (uint32_t i = MAX_OF(rows_first(&o->piece, 2), DROP_NONE + 1u);
		i < DROP_COUNT && rows_look(&o->piece, 2, i); i++) {
		char name[64];
		snprintf(name, sizeof name, "drop-%s", drop_name((enum drop_reason)i));
		counter_row(o, name, s->drops[i], drop_text((enum drop_reason)i));
	}
}

static void counters_of_ends(struct out *o, const struct counts *s)
{
	static const char *const texts[] = {
#define E(id, name, flow_end, text) "of the sessions that ended: " text,
		SESSION_ENDS(E)
#undef E
	};

	for (uint32_t i = rows_first(&o->piece, 3); i < FW_END_COUNT && rows_look(&o->piece, 3, i); i++) {
		char name[64];
		snprintf(name, sizeof name, "sessions-ended-%s", fw_end_name((enum fw_end)i));
		counter_row(o, name, s->fw.ended_by[i], texts[i]);
	}
}

static void counters_rows(struct out *o)
{
	const struct dataplane *d = o->d;
	struct counts s = { 0 };
	const struct fw_counters *c = &s.fw;

	for (uint32_t i = 0; i < d->workers_n; i++)
		counts_add(&s, d->workers[i]);
	/* clang-format off */
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
		{ "packets-in",               "packets received from links, tunnels and the host", s.packets_in },
		{ "bytes-in",                 "their octets, from the IP header on", s.bytes_in },
		{ "trains-in",                "the trains that they came in", s.trains_in },
		{ "packets-out",              "packets sent", s.packets_out },
		{ "bytes-out",                "their octets, from the IP header on", s.bytes_out },
		{ "sessions-now",             "sessions in the table", c->sessions_now - c->bindings_now - c->blocks_now },
		{ "policy-rules-now",         "policy rules", d->workers[0]->pipeline.snapshot->rules.count },
		{ "routes-now",               "routes of the main table", route_count(d->routes) },
		{ "nat-bindings-now",         "bindings of persistent NAT in the same table", c->bindings_now },
		{ "nat-blocks-now",           "dynamic blocks of ports that inside hosts have, in the same table", c->blocks_now },
		{ "nat-blocks-allocated",     "dynamic blocks allocated", c->blocks_taken },
		{ "nat-block-records-lost",   "records of dynamic blocks that the log did not take; the line nat-block-records-lost says when", c->block_records_lost + d->block_lines_lost },
		{ "session-records-lost",     "session records that the export process did not take: it was not running, or too slow; the next line of its log says so", d->records_lost },
		{ "sessions-to-adopt",        "records of a data plane that died which this one has yet to go through; their sessions go on, and are not counted above", c->adoption_left },
		{ "sessions-created",         "sessions begun", c->sessions_created },
		{ "sessions-ended",           "sessions ended", c->sessions_ended },
		{ "half-open-now",            "TCP sessions whose handshake is not complete", c->half_open_now },
		{ "session-limit",            "sessions that the table may hold", s.sessions_limit },
		{ "half-open-evicted",        "half-open sessions evicted to make room", c->half_open_evicted },
		{ "unanswered-evicted",       "other unanswered sessions evicted to make room", c->unanswered_evicted },
		{ "over-share-evicted",       "sessions beyond the share of their source or zone, evicted to make room", c->over_share_evicted },
		{ "limit-evicted",            "sessions evicted by a commit that lowered session-limit", c->limit_evicted },
		{ "early-ageing-now",         "workers whose idle sessions end early: their table reached the high watermark of aging, and is not yet down to the low one", c->aging_now },
		{ "early-ageing-begun",       "times that the high watermark of aging was reached", c->aging_begun },
		{ "sessions-aged-early",      "sessions ended by early ageing", c->aged_early },
		{ "session-lookups",          "trains looked up in the session table", c->lookups },
		{ "session-hits",             "of these, found", c->hits },
		{ "datagrams-reassembled",    "datagrams reassembled from fragments", c->reassembled },
		{ "log-records-suppressed",   "log records of rules and zones beyond their rate", c->log_records_suppressed },
		{ "expectations-now",         "sessions that application layer gateways expect", c->expectations_now },
		{ "expectations-made",        "of these, since the start", c->expectations_made },
		{ "expectations-refused",     "sessions that were not expected for want of room", c->expectations_refused },
		{ "expectations-elsewhere",   "notes that workers keep about sessions which another one expects", c->expectations_elsewhere },
		{ "alg-unread",               "FTP control connections that were not read, and sessions of SIP that were not kept, for want of room", s.alg_full },
#define SYN_ROW(id, name, text) { name, text, s.syn[SYN_COUNT_##id] },
		SYN_COUNTS(SYN_ROW)
#undef SYN_ROW
		{ "error-replies-sent",       "ICMP errors and TCP resets sent", s.errors_sent },
		{ "error-replies-suppressed", "ICMP errors and TCP resets not sent, beyond their rate", s.errors_suppressed },
		{ "neighbour-queue-now",      "packets that wait for a link address", s.queued },
		{ "proxy-answers",            "answers to neighbours that ask for addresses of proxy-arp and proxy-ndp", s.proxies.answers },
		{ "proxy-suppressed",         "of these, not sent, beyond their rate", s.proxies.suppressed },
		{ "proxy-conflicts",          "frames by which another host says that it has such an address", s.proxies.conflicts },
		{ "trains-handed-over",       "trains that went on with another worker than the one where they arrived", s.handed_over },
		{ "redirects-now",            "keys of sessions whose packets go on from one worker to another", c->redirects_now },
		{ "worker-notes-lost",        "notes between workers that found no room; they are written again", s.notes_lost },
		{ "traces-now",               "traces in progress", d->trace.wanted > 0 },
		{ "captures-now",             "captures in progress", d->capture != NULL },
		{ "nat-t-datagrams",          "datagrams received on UDP port 4500", s.datagrams_in },
		{ "nat-keepalives",           "of these, NAT keepalives", s.keepalives },
		{ "tunnel-too-big",           "sends of sealed packets refused as larger than the path's MTU", s.tunnel_too_big },
	};
	/* clang-format on */

	for (uint32_t i = rows_first(&o->piece, 0); i < COUNT_OF(rows) && rows_look(&o->piece, 0, i); i++)
		counter_row(o, rows[i].name, rows[i].value, rows[i].text);
	counters_of_carried(o, &s);
	counters_of_drops(o, &s);
	counters_of_ends(o, &s);
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
		counters_rows(&o);
		break;
	default:
		rows_refuse(control, tag, RC_NOT_FOUND, "the data plane has no such table");
		return;
	}
	rows_end(&o.piece);
}
