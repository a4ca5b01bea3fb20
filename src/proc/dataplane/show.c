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
	return f->up ? "up" : "down";
}

static void interfaces_rows(struct out *o)
{
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	const struct snap_interface *in = snap_interfaces(p->snapshot);
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->interfaces.count && rows_look(&o->piece, 0, i); i++) {
		const struct pipeline_interface *f = &p->interfaces[i];
		const struct route_local *l;
		char text[PREFIX_TEXT_MAX];
		w = rows_row(&o->piece);
		jw_str(w, "interface", in[i].name);
		jw_str(w, "zone", zone_name(o->d, in[i].zone));
		jw_str(w, "state", link_state(p, f));
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
		jw_u64(w, "rx_packets", f->packets_in);
		jw_u64(w, "rx_bytes", f->bytes_in);
		jw_u64(w, "tx_packets", f->packets_out);
		jw_u64(w, "tx_bytes", f->bytes_out);
		rows_add(&o->piece);
	}
}

static const char *link_name(const struct route_table *t, uint32_t link)
{
	const struct route_link *l = link == ROUTE_NONE ? NULL : route_link_find(t, link);

	return l ? l->name : "";
}

static void routes_rows(struct out *o)
{
	static const char *const kinds[] = { "route", "local", "broadcast", "multicast", "unreachable" };
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
		jw_str(w, "state", "not followed");
		jw_u64(w, "metric", o->d->rules[i].priority);
		rows_add(&o->piece);
	}
	for (uint32_t i = rows_first(&o->piece, 1); (r = route_at(t, i)) && rows_look(&o->piece, 1, i); i++) {
		if (r->kind == ROUTE_BROADCAST || r->kind == ROUTE_MULTICAST)
			continue;
		w = rows_row(&o->piece);
		jw_str(w, "kind", kinds[r->kind]);
		jw_str(w, "prefix", prefix_text(text, &r->dst));
		jw_str(w, "gateway", r->gateway.family == ADDR_NONE ? "" : addr_text(text, &r->gateway));
		jw_str(w, "interface", link_name(t, r->link));
		jw_u64(w, "metric", r->metric);
		if (r->weight > 0)
			jw_u64(w, "weight", r->weight);
		rows_add(&o->piece);
	}
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
}

static uint64_t seconds_since(mono_ns then)
{
	mono_ns now = clock_mono();

	return now > then ? (now - then) / NS_PER_S : 0;
}

static void policy_rows(struct out *o)
{
	static const char *const actions[] = { "deny", "permit", "reject" };
	const struct pipeline *p = &o->d->workers[0]->pipeline;
	struct jw *w;

	for (uint32_t i = rows_first(&o->piece, 0);
		i < p->snapshot->rules.count && rows_look(&o->piece, 0, i); i++) {
		const struct snap_rule *r = &snap_rules(p->snapshot)[i];
		const struct fw_rule_hits *h = fw_rule_hits(p->fw, i);
		w = rows_row(&o->piece);
		jw_str(w, "from", zone_name(o->d, r->from_zone));
		jw_str(w, "to", zone_name(o->d, r->to_zone));
		jw_str(w, "rule", r->name);
		jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
		jw_u64(w, "hits", h->hits);
		jw_u64(w, "packets", h->packets);
		jw_u64(w, "bytes", h->bytes);
		if (h->last)
			jw_u64(w, "last_hit_s", seconds_since(h->last));
		rows_add(&o->piece);
	}
}

/* Static and destination NAT: they come first. */
static void dnat_row(struct out *o, uint32_t i)
{
	static const char *const actions[] = { "off", "servers", "static" };
	const struct snapshot *s = o->d->workers[0]->pipeline.snapshot;
	const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
	char text[RANGE_TEXT_MAX];
	struct jw *w = rows_row(&o->piece);

	jw_str(w, "type", r->action == DNAT_STATIC ? "static" : "destination");
	jw_str(w, "rule", r->name);
	jw_str(w, "from", zone_name(o->d, r->from_zone));
	jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
	jw_str(w, "pool", r->action == DNAT_OFF ? "" : range_text(text, &r->to));
	if (r->port_first)
		jw_strf(w, "port", r->port_first == r->port_last ? "%u" : "%u-%u", r->port_first,
			r->port_last);
	jw_u64(w, "hits", fw_dnat_rule_hits(o->d->workers[0]->fw, i)->hits);
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
	if (r->flags & NAT_KEEP_PORT)
		jw_str(w, "ports", "kept");
	else
		jw_strf(w, "ports", "%u-%u%s", r->port_first, r->port_last,
			r->flags & NAT_KEEP_PARITY ? ", parity" : "");
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
		char text[RANGE_TEXT_MAX];
		w = rows_row(&o->piece);
		jw_str(w, "type", "source");
		jw_str(w, "rule", r->name);
		jw_str(w, "from", zone_name(o->d, r->from_zone));
		jw_str(w, "to", zone_name(o->d, r->to_zone));
		jw_str(w, "action", r->action < COUNT_OF(actions) ? actions[r->action] : "unknown");
		jw_str(w, "pool", r->action == NAT_POOL ? range_text(text, &r->pool) : "");
		if (r->action != NAT_OFF)
			ports_say(w, r);
		jw_str(w, "persistent",
			r->filtering < COUNT_OF(filterings) ? filterings[r->filtering] : "unknown");
		jw_u64(w, "hits", fw_nat_rule_hits(p->fw, i)->hits);
		jw_u64(w, "sessions", fw_nat_rule_sessions(p->fw, i));
		jw_u64(w, "bindings", fw_nat_rule_bindings(p->fw, i));
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
	jw_u64(w, "age_s", seconds_since(v.installed));
	rows_add(&o->piece);
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
		jw_u64(w, "dropped", d->workers[0]->pipeline.tunnels[t].drops_down);
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

static void counters_rows(struct out *o)
{
	const struct dataplane *d = o->d;
	const struct pipeline *p = &d->workers[0]->pipeline;
	const struct fw_counters *c = fw_counters(p->fw);
	/* clang-format off */
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
		{ "packets-in",               "packets received from links, tunnels and the host", p->packets_in },
		{ "bytes-in",                 "their octets, from the IP header on", p->bytes_in },
		{ "trains-in",                "the trains that they came in", p->trains_in },
		{ "packets-out",              "packets sent", p->packets_out },
		{ "bytes-out",                "their octets, from the IP header on", p->bytes_out },
		{ "sessions-now",             "sessions in the table", c->sessions_now - c->bindings_now },
		{ "nat-bindings-now",         "bindings of persistent NAT in the same table", c->bindings_now },
		{ "sessions-created",         "sessions begun", c->sessions_created },
		{ "sessions-ended",           "sessions ended", c->sessions_ended },
		{ "half-open-now",            "TCP sessions whose handshake is not complete", c->half_open_now },
		{ "session-limit",            "sessions that the table may hold", fw_sessions_limit(p->fw) },
		{ "half-open-evicted",        "half-open sessions evicted to make room", c->half_open_evicted },
		{ "unanswered-evicted",       "other unanswered sessions evicted to make room", c->unanswered_evicted },
		{ "over-share-evicted",       "sessions beyond the share of their source or zone, evicted to make room", c->over_share_evicted },
		{ "limit-evicted",            "sessions evicted by a commit that lowered session-limit", c->limit_evicted },
		{ "session-lookups",          "trains looked up in the session table", c->lookups },
		{ "session-hits",             "of these, found", c->hits },
		{ "datagrams-reassembled",    "datagrams reassembled from fragments", c->reassembled },
		{ "log-records-suppressed",   "log records of rules and zones beyond their rate", c->log_records_suppressed },
		{ "error-replies-sent",       "ICMP errors and TCP resets sent", p->error_replies_sent },
		{ "error-replies-suppressed", "ICMP errors and TCP resets not sent, beyond their rate", p->error_replies_suppressed },
		{ "neighbour-queue-now",      "packets that wait for a link address", p->neighbour_queue_n },
		{ "proxy-answers",            "answers to neighbours that ask for addresses of proxy-arp and proxy-ndp", p->proxies.answers },
		{ "proxy-suppressed",         "of these, not sent, beyond their rate", p->proxies.suppressed },
		{ "proxy-conflicts",          "frames by which another host says that it has such an address", p->proxies.conflicts },
		{ "nat-t-datagrams",          "datagrams received on UDP port 4500", d->workers[0]->datagrams_in },
		{ "nat-keepalives",           "of these, NAT keepalives", d->workers[0]->keepalives },
		{ "tunnel-too-big",           "sends of sealed packets refused as larger than the path's MTU", d->workers[0]->tunnel_too_big },
	};
	/* clang-format on */

	for (uint32_t i = rows_first(&o->piece, 0); i < COUNT_OF(rows) && rows_look(&o->piece, 0, i); i++)
		counter_row(o, rows[i].name, rows[i].value, rows[i].text);
	for (uint32_t i = MAX_OF(rows_first(&o->piece, 1), DROP_NONE + 1u);
		i < DROP_COUNT && rows_look(&o->piece, 1, i); i++) {
		char name[64];
		uint64_t value = p->drops[i];
		value += i == DROP_FRAGMENT_TIMEOUT ? c->fragments_timeout : 0;
		value += i == DROP_FRAGMENT_LIMIT ? c->fragments_limit : 0;
		value += i == DROP_FRAGMENT_OVERLAP ? c->fragments_overlap : 0;
		snprintf(name, sizeof name, "drop-%s", drop_name((enum drop_reason)i));
		counter_row(o, name, value, drop_text((enum drop_reason)i));
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
