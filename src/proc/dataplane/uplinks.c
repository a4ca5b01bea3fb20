/*
 * Health of uplinks in the main thread: rounds of probes (route/health.h, uplink_probe.c), and what follows from them. The next
 * hop of an uplink that is down is dead for all lookups of routes, so new sessions take other routes, and those that are there
 * move or end as when a link is down. ike hears at once which SAs have their address on an uplink that packets to the peer do
 * not leave by any more. The supervisor hears of each change, for the ledger and for a data plane after this one, and where the host's
 * own default route has to go meanwhile.
 */
#include "base/log.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

bool uplinks_init(struct dataplane *d)
{
	for (uint32_t i = 0; i < COUNT_OF(d->detours); i++)
		d->detours[i].family = i == 0 ? ADDR_V4 : ADDR_V6;
	return getrandom(d->health.key, sizeof d->health.key, 0) == sizeof d->health.key;
}

static uint32_t link_of(const struct dataplane *d, const struct health_uplink *u)
{
	return d->workers[0]->pipeline.interfaces[u->of.interface].link;
}

/* One that has gone keeps its last: the routes may come back with it. */
static void next_hop_look(struct dataplane *d, uint32_t i)
{
	const struct health_uplink *u = &d->health.list[i];
	uint8_t family = u->target[0].of.target.family;
	struct ip_addr gateway;

	if (u->of.next_hop.family != ADDR_NONE)
		d->next_hops[i] = u->of.next_hop;
	else if (route_default_gateway(d->routes, link_of(d, u), family, &gateway))
		d->next_hops[i] = gateway;
}

static void dead_set(const struct dataplane *d, struct route_table *t)
{
	struct route_dead list[UPLINKS_MAX];
	uint32_t n = 0;

	_Static_assert(UPLINKS_MAX <= ROUTE_DEAD_MAX, "one next hop of each");
	for (uint32_t i = 0; i < d->health.n; i++) {
		const struct health_uplink *u = &d->health.list[i];
		struct route_dead one = { link_of(d, u), d->next_hops[i] };
		bool bare = d->workers[0]->pipeline.interfaces[u->of.interface].bare;
		if (u->down && one.link != ROUTE_NONE && (bare || one.gateway.family != ADDR_NONE))
			list[n++] = one;
	}
	route_dead_set(t, list, n);
}

void uplinks_mirror(struct dataplane *d, struct route_table *t)
{
	if (d->workers_n > 0)
		dead_set(d, t);
}

static void detour_tell(struct dataplane *d, struct msg_detour *told)
{
	struct msg_detour m = { .family = told->family };

	if (!route_default_detour(d->routes, (uint8_t)m.family, &m.link, &m.gateway))
		m.link = 0;
	if (m.link == told->link && addr_equal(&m.gateway, &told->gateway))
		return;
	if (ipc_send_DETOUR(child_link(&d->child, PROC_SUPERVISOR), 0, &m) == RC_OK)
		*told = m;
}

/* The routes as they are with what is dead now; in a pause. */
static void follow(struct dataplane *d)
{
	uint64_t generation = route_generation(d->routes);

	for (uint32_t i = 0; i < d->health.n; i++)
		next_hop_look(d, i);
	dead_set(d, d->routes);
	if (d->routes_next)
		dead_set(d, d->routes_next);
	if (route_generation(d->routes) != generation)
		workers_changed(d);
	for (uint32_t i = 0; i < COUNT_OF(d->detours); i++)
		detour_tell(d, &d->detours[i]);
}

void uplinks_second(struct dataplane *d)
{
	if (d->health.n > 0 || d->detours[0].link != 0 || d->detours[1].link != 0)
		follow(d);
}

void uplinks_load(struct dataplane *d)
{
	const struct health_uplink *was = d->health.list;
	struct ip_addr next_hops[UPLINKS_MAX] = { 0 };
	const struct snapshot *s = d->snapshot.snapshot;
	mono_ns now = clock_mono();

	for (uint32_t i = 0; i < s->uplinks.count; i++)
		for (uint32_t k = 0; k < d->health.n; k++)
			if (strcmp(was[k].of.name, snap_uplinks(s)[i].name) == 0)
				next_hops[i] = d->next_hops[k];
	memcpy(d->next_hops, next_hops, sizeof d->next_hops);
	health_load(&d->health, s, now);
	for (uint32_t i = 0; i < d->down_before_n; i++)
		health_follow(&d->health, d->down_before[i], now);
	d->down_before_n = 0;
	follow(d);
}

void uplinks_told(struct dataplane *d, const struct msg_uplink *m)
{
	if (m->up || !memchr(m->name, '\0', sizeof m->name))
		return;
	if (d->snapshot.snapshot) {
		if (health_follow(&d->health, m->name, clock_mono()))
			follow(d);
	} else if (d->down_before_n < UPLINKS_MAX) {
		memcpy(d->down_before[d->down_before_n++], m->name, sizeof m->name);
	}
}

/* --- rounds --- */

static void changed(struct dataplane *d, const struct health_uplink *u)
{
	struct msg_uplink m = { .up = !u->down };

	_Static_assert(UPLINK_WHY_BYTES >= HEALTH_WHY_BYTES, "it fits");
	memcpy(m.name, u->of.name, sizeof m.name);
	health_why(u, m.why);
	pause_begin(&d->pause);
	follow(d);
	pause_end(&d->pause);
	if (u->down)
		log_warn("uplink %s is down: %s", u->of.name, m.why);
	else
		log_info("uplink %s is up again", u->of.name);
	if (ipc_send_UPLINK(child_link(&d->child, PROC_SUPERVISOR), 0, &m) != RC_OK)
		log_warn("the state of uplink %s was not handed over to the supervisor", u->of.name);
	d->report_at = clock_mono();
	d->report_again = d->report_at + UPLINK_REPORT_AGAIN;
}

mono_ns uplinks_run(struct dataplane *d)
{
	mono_ns now = clock_mono();
	bool has_changed = false;
	uint32_t i;

	while (d->snapshot.snapshot && (i = health_round(&d->health, now, &has_changed)) != ROUTE_NONE) {
		struct health_uplink *u = &d->health.list[i];
		u->obstacle = pipeline_probe_send(&d->workers[0]->pipeline, u, &d->next_hops[i], now);
		if (has_changed)
			changed(d, u);
	}
	return health_next(&d->health);
}

/* --- SAs --- */

static bool is_uplink(const struct dataplane *d, uint32_t link, uint8_t family)
{
	for (uint32_t i = 0; i < d->health.n; i++)
		if (link_of(d, &d->health.list[i]) == link &&
			d->health.list[i].target[0].of.target.family == family)
			return true;
	return false;
}

bool uplinks_moved(const struct dataplane *d, const struct ip_addr *local, const struct ip_addr *remote)
{
	struct route_flow flow = { .src = *local, .dst = *remote, .in_link = ROUTE_NONE };
	struct route_answer by[UPLINKS_MAX];
	const struct route_local *l = NULL;

	if (d->health.n == 0)
		return false;
	for (uint32_t i = 0; (l = route_local_at(d->routes, i)); i++)
		if (addr_equal(&l->addr, local) && route_vrf_of(d->routes, l->link) == 0)
			break;
	if (!l || !is_uplink(d, l->link, local->family))
		return false;
	uint32_t n = route_next_hops(d->routes, &flow, by, COUNT_OF(by));
	for (uint32_t i = 0; i < n; i++)
		if (by[i].link == l->link)
			return false;
	return n > 0 && by[0].kind == ROUTE_UNICAST && is_uplink(d, by[0].link, local->family);
}

/* --- show --- */

static void target_put(struct jw *w, const struct health_target *t)
{
	static const char *const by[] = { "ping", "tcp", "dns" };
	char text[ADDR_TEXT_MAX];

	jw_str(w, "target", addr_text(text, &t->of.target));
	jw_str(w, "by", by[t->of.kind]);
	jw_str(w, "target_state", t->probes == 0 ? "not checked yet" : t->down ? "fails" : "answers");
	jw_u64(w, "probes", t->probes);
	jw_u64(w, "lost", t->lost);
	jw_u64(w, "rtt_us", __atomic_load_n(&t->rtt_us, __ATOMIC_RELAXED));
}

/* A row for each target. */
void show_uplinks(struct dataplane *d, struct rows_piece *piece)
{
	mono_ns now = clock_mono();

	for (uint32_t n = rows_first(piece, 0); n < d->health.n * UPLINK_PROBES_MAX && rows_look(piece, 0, n);
		n++) {
		const struct health_uplink *u = &d->health.list[n / UPLINK_PROBES_MAX];
		const struct ip_addr *hop = &d->next_hops[n / UPLINK_PROBES_MAX];
		char text[ADDR_TEXT_MAX], why[HEALTH_WHY_BYTES];
		if (n % UPLINK_PROBES_MAX >= u->targets_n)
			continue;
		struct jw *w = rows_row(piece);
		health_why(u, why);
		jw_str(w, "uplink", u->of.name);
		jw_str(w, "state", u->down ? "down" : "up");
		jw_u64(w, "since_s", (now - u->since) / NS_PER_S);
		jw_str(w, "interface", snap_interfaces(d->snapshot.snapshot)[u->of.interface].name);
		jw_str(w, "next_hop", hop->family == ADDR_NONE ? "" : addr_text(text, hop));
		target_put(w, &u->target[n % UPLINK_PROBES_MAX]);
		jw_u64(w, "changes", u->changes);
		jw_str(w, "reason", why);
		rows_add(piece);
	}
}
