#include "must.h"
#include "untouched.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

void policy_init(struct policy *p)
{
	static const char *const names[ZONES] = { "trust", "untrust", "dmz" };

	*p = (struct policy){ .nat_port_first = 40960,
		.nat_port_last = 65535,
		.half_open_max = 1000,
		.sessions_max = SESSIONS_MAX };
	for (uint32_t i = 0; i < ZONES; i++) {
		snprintf(p->zones[i].name, NAME_MAX_BYTES, "%s", names[i]);
		snprintf(p->interfaces[i].name, INTERFACE_NAME_BYTES, "if-%s", names[i]);
		p->interfaces[i].zone = i;
	}
	p->zones_n = p->interfaces_n = ZONES;
}

void policy_done(struct policy *p)
{
	free(p->ranges);
	free(p->services);
	free(p->rules);
}

static void *grow(void *array, uint32_t n, size_t size)
{
	if (n % 64 == 0)
		MUST(array = realloc(array, (n + 64) * size));
	return array;
}

static struct ip_range range_read(const char *text)
{
	struct ip_prefix p;
	struct ip_range r;
	char copy[RANGE_TEXT_MAX];

	snprintf(copy, sizeof copy, "%s", text);
	char *dash = strchr(copy, '-'), *slash = strchr(copy, '/');
	if (slash && strchr(slash, '.')) {
		MUST(wildcard_parse(&r, copy) == RC_OK);
		return r;
	}
	if (!dash) {
		MUST(prefix_parse(&p, copy) == RC_OK);
		return range_from_prefix(&p);
	}
	*dash = '\0';
	MUST(addr_parse(&r.first, copy) == RC_OK && addr_parse(&r.last, dash + 1) == RC_OK);
	return r;
}

struct span policy_ranges(struct policy *p, const char *text)
{
	struct span s = { p->ranges_n, 0 };
	char *copy, *rest, *word;

	if (strcmp(text, "any") == 0)
		return s;
	MUST(copy = strdup(text));
	for (rest = copy; (word = strsep(&rest, " "));) {
		p->ranges = grow(p->ranges, p->ranges_n, sizeof *p->ranges);
		p->ranges[p->ranges_n++] = range_read(word);
		s.count++;
	}
	free(copy);
	return s;
}

struct span policy_services(struct policy *p, const char *text)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} protos[] = { { "tcp", 6 }, { "udp", 17 }, { "sctp", 132 }, { "icmp", 1 }, { "icmp6", 58 } };
	struct span s = { p->services_n, 0 };
	char *copy, *rest, *word;

	if (strcmp(text, "any") == 0)
		return s;
	MUST(copy = strdup(text));
	for (rest = copy; (word = strsep(&rest, " "));) {
		struct snap_service v = { .src_last = 65535, .dst_last = 65535 };
		char *slash = strchr(word, '/');
		unsigned first, last, src_first, src_last;
		MUST(slash);
		*slash++ = '\0';
		for (size_t i = 0; i < COUNT_OF(protos); i++)
			if (strcmp(protos[i].word, word) == 0)
				v.proto = protos[i].proto;
		int n = sscanf(slash, "%u-%u", &first, &last);
		MUST(n >= 1);
		if (strcmp(word, "proto") == 0) {
			v.proto = (uint8_t)first;
		} else {
			v.dst_first = (uint16_t)first;
			v.dst_last = (uint16_t)(n == 2 ? last : first);
		}
		char *sources = strchr(slash, '<');
		if (sources && sscanf(sources, "<%u-%u", &src_first, &src_last) == 2) {
			v.src_first = (uint16_t)src_first;
			v.src_last = (uint16_t)src_last;
		}
		p->services = grow(p->services, p->services_n, sizeof v);
		p->services[p->services_n++] = v;
		s.count++;
	}
	free(copy);
	return s;
}

struct snap_rule *policy_rule(struct policy *p, const char *name, int from, int to, const char *src,
	const char *dst, const char *services, enum rule_action action)
{
	p->rules = grow(p->rules, p->rules_n, sizeof *p->rules);
	struct snap_rule *r = &p->rules[p->rules_n++];
	*r = (struct snap_rule){ .schedule = INDEX_NONE,
		.from_zone = from < 0 ? ZONE_ANY : (uint32_t)from,
		.to_zone = to < 0 ? ZONE_ANY : (uint32_t)to,
		.action = action,
		.src = policy_ranges(p, src),
		.dst = policy_ranges(p, dst),
		.services = policy_services(p, services) };
	snprintf(r->name, NAME_MAX_BYTES, "%s", name);
	return r;
}

struct snap_nat_rule *policy_nat(struct policy *p, const char *name, int from, int to, const char *src,
	const char *dst, enum nat_action action, const char *pool)
{
	struct snap_nat_rule *r = &p->nat_rules[p->nat_rules_n++];

	*r = (struct snap_nat_rule){ .from_zone = from < 0 ? ZONE_ANY : (uint32_t)from,
		.to_zone = to < 0 ? ZONE_ANY : (uint32_t)to,
		.action = action,
		.src = policy_ranges(p, src),
		.dst = policy_ranges(p, dst) };
	if (pool)
		r->pool = range_read(pool);
	snprintf(r->name, NAME_MAX_BYTES, "%s", name);
	return r;
}

struct snap_dnat_rule *policy_dnat(struct policy *p, const char *name, int from, const char *src,
	const char *dst, const char *services, const char *to, uint16_t port_first, uint16_t port_last)
{
	struct snap_dnat_rule *r = &p->dnat_rules[p->dnat_rules_n++];

	*r = (struct snap_dnat_rule){ .from_zone = from < 0 ? ZONE_ANY : (uint32_t)from,
		.action = to ? DNAT_SERVERS : DNAT_OFF,
		.src = policy_ranges(p, src),
		.dst = policy_ranges(p, dst),
		.services = policy_services(p, services),
		.port_first = port_first,
		.port_last = port_last };
	if (to)
		r->to = range_read(to);
	snprintf(r->name, NAME_MAX_BYTES, "%s", name);
	return r;
}

struct snap_dnat_rule *policy_static(
	struct policy *p, const char *name, int from, const char *dst, const char *to)
{
	struct snap_dnat_rule *r = policy_dnat(p, name, from, "any", dst, "any", to, 0, 0);

	r->action = DNAT_STATIC;
	return r;
}

static size_t place(struct span *span, size_t at, uint32_t n, size_t size)
{
	*span = (struct span){ (uint32_t)at, n };
	return (at + n * size + 7) & ~(size_t)7;
}

static void fill(uint8_t *block, struct span span, const void *records, size_t size)
{
	if (span.count)
		memcpy(block + span.first, records, span.count * size);
}

void policy_opens(struct policy *p, uint32_t zone, const char *services, const char *from)
{
	struct span made = policy_services(p, services), ranges = policy_ranges(p, from);

	p->zones[zone].host_services = (struct span){ p->host_services_n, made.count };
	for (uint32_t i = made.first; i < made.first + made.count; i++) {
		const struct snap_service *v = &p->services[i];
		MUST(p->host_services_n < COUNT_OF(p->host_services));
		p->host_services[p->host_services_n++] = (struct snap_host_service){
			.proto = v->proto, .first = v->dst_first, .last = v->dst_last, .from = ranges
		};
	}
}

struct snapshot *policy_snapshot(const struct policy *p)
{
	struct snapshot head = { .magic = SNAPSHOT_MAGIC,
		.generation = 1,
		.host_name = "gate",
		.nat_port_first = p->nat_port_first,
		.nat_port_last = p->nat_port_last,
		.host_port_first = 32768,
		.host_port_last = 40959,
		.sessions_max = p->sessions_max,
		.tcp_mss = p->tcp_mss,
		.timeout_s = {
			[TIMEOUT_TCP_SYN_SENT] = 20, [TIMEOUT_TCP_SYN_RECEIVED] = 20, [TIMEOUT_TCP] = 3600,
			[TIMEOUT_TCP_HALF_CLOSED] = 300, [TIMEOUT_TCP_TIME_WAIT] = 20, [TIMEOUT_TCP_CLOSED] = 5,
			[TIMEOUT_UDP_UNANSWERED] = 60, [TIMEOUT_UDP] = 60, [TIMEOUT_ICMP] = 20,
			[TIMEOUT_GRE] = 60, [TIMEOUT_ESP] = 60, [TIMEOUT_SCTP] = 60,
			[TIMEOUT_SCTP_COOKIE_WAIT] = 20, [TIMEOUT_SCTP_COOKIE_ECHOED] = 20,
			[TIMEOUT_SCTP_SHUTDOWN] = 30, [TIMEOUT_SCTP_CLOSED] = 5, [TIMEOUT_OTHER] = 60,
		},
		.half_open_max = p->half_open_max,
		.workers = 1,
		.aging = p->aging };
	size_t at = (sizeof head + 7) & ~(size_t)7;
	struct err e = { 0 };

	at = place(&head.zones, at, p->zones_n, sizeof *p->zones);
	at = place(&head.host_services, at, p->host_services_n, sizeof *p->host_services);
	at = place(&head.interfaces, at, p->interfaces_n, sizeof *p->interfaces);
	at = place(&head.ranges, at, p->ranges_n, sizeof *p->ranges);
	at = place(&head.services, at, p->services_n, sizeof *p->services);
	at = place(&head.schedules, at, p->schedules_n, sizeof *p->schedules);
	at = place(&head.rules, at, p->rules_n, sizeof *p->rules);
	at = place(&head.nat_rules, at, p->nat_rules_n, sizeof *p->nat_rules);
	at = place(&head.dnat_rules, at, p->dnat_rules_n, sizeof *p->dnat_rules);
	head.bytes = (uint32_t)at;
	uint8_t *block = calloc(1, at);
	MUST(block);
	memcpy(block, &head, sizeof head);
	fill(block, head.zones, p->zones, sizeof *p->zones);
	fill(block, head.host_services, p->host_services, sizeof *p->host_services);
	fill(block, head.interfaces, p->interfaces, sizeof *p->interfaces);
	fill(block, head.ranges, p->ranges, sizeof *p->ranges);
	fill(block, head.services, p->services, sizeof *p->services);
	fill(block, head.schedules, p->schedules, sizeof *p->schedules);
	fill(block, head.rules, p->rules, sizeof *p->rules);
	for (uint32_t i = 0; i < p->rules_n; i++) { /* without an identifier: that of its names */
		struct snap_rule *r = (struct snap_rule *)(void *)(block + head.rules.first) + i;
		const struct snapshot *s = (const struct snapshot *)(void *)block;
		if (r->id == 0)
			r->id = snap_rule_id_of(
				snap_rule_zone(s, r->from_zone), snap_rule_zone(s, r->to_zone), r->name);
	}
	fill(block, head.nat_rules, p->nat_rules, sizeof *p->nat_rules);
	for (uint32_t i = 0; i < p->nat_rules_n; i++) { /* without ports of its own: all */
		struct snap_nat_rule *r = (struct snap_nat_rule *)(void *)(block + head.nat_rules.first) + i;
		if (r->action == NAT_OFF || r->port_first)
			continue;
		r->port_first = p->nat_port_first;
		r->port_last = p->nat_port_last;
	}
	fill(block, head.dnat_rules, p->dnat_rules, sizeof *p->dnat_rules);
	if (snapshot_check(block, at, &e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	return (struct snapshot *)(void *)block;
}

/* ---- the world ---- */

void world_init(struct world *w, uint32_t sessions)
{
	struct err e = { 0 };

	memset(w, 0, sizeof *w);
	w->limits = (struct fw_limits){ .sessions_max = sessions,
		.reassembly_max = 8,
		.table_new = untouched_new,
		.table_free = untouched_free };
	memcpy(w->limits.hash_key, "sixteen octets..", 16);
	w->bytes = (fw_state_bytes(sessions) + 63) & ~(size_t)63;
	MUST(w->memory = aligned_alloc(64, w->bytes));
	memset(w->memory, 0, w->bytes);
	w->now = 1000 * NS_PER_S;
	MUST(addr_parse(&w->nat4, "203.0.113.1") == RC_OK && addr_parse(&w->nat6, "2001:db8:3::1") == RC_OK);
	w->fw = fw_attach(w->memory, w->bytes, true, &w->limits, w->now, &e);
	MUST(w->fw);
}

void world_commit(struct world *w, const struct policy *p)
{
	static uint64_t seed = 1;
	struct snapshot *s = policy_snapshot(p);
	struct fw_prepared *x = fw_prepare(w->fw, s, NULL);
	const struct snapshot *before = fw_policy(w->fw);

	MUST(x);
	for (bool ready = false; !ready;) {
		uint32_t budget = next_random(&seed) % 4 ? 1 + (uint32_t)(next_random(&seed) % 5000) : 1;
		MUST(fw_prepare_go(x, budget, &ready, NULL) == RC_OK);
		MUST(fw_policy(w->fw) == before);
	}
	fw_load_prepared(w->fw, x, w->now);
	free(s);
}

void world_load(struct world *w, const struct policy *p)
{
	world_commit(w, p);
	while (!fw_sweep(w->fw, w->now, 100))
		;
}

void world_dies(struct world *w)
{
	fw_detach(w->fw);
	w->limits.hash_key[0]++;
	w->fw = fw_attach(w->memory, w->bytes, false, &w->limits, w->now, NULL);
	MUST(w->fw);
}

void world_restart(struct world *w)
{
	world_dies(w);
	while (!fw_sweep(w->fw, w->now, 100))
		;
}

void world_done(struct world *w)
{
	fw_detach(w->fw);
	free(w->memory);
}

static bool holds(const char *prefix, const struct ip_addr *a)
{
	struct ip_prefix p;

	MUST(prefix_parse(&p, prefix) == RC_OK);
	return prefix_holds(&p, a);
}

uint32_t world_zone(const struct ip_addr *a)
{
	if (holds("10.0.0.0/8", a) || holds("2001:db8:1::/48", a))
		return TRUST;
	if (holds("192.168.0.0/16", a) || holds("2001:db8:2::/48", a))
		return DMZ;
	return UNTRUST;
}

bool world_is_host(const struct ip_addr *a)
{
	return holds("203.0.113.1/32", a) || holds("2001:db8:3::1/128", a);
}

enum drop_reason world_run(struct world *w)
{
	struct train *t = &w->t, *burst[1] = { t };

	if (train_parse(t) != DROP_NONE)
		return t->drop;
	if (!(t->flags & TRAIN_FROM_HOST)) {
		t->in_zone = world_zone(&t->src);
		t->in_interface = t->in_zone;
	}
	if (t->flags & TRAIN_FRAGMENT && !fw_reassemble(w->fw, t, TRAIN_NONE, w->now))
		return t->drop;
	fw_lookup_burst(w->fw, burst, 1, w->now);
	if (!t->drop && t->session == TRAIN_NONE)
		fw_expected_answer(w->fw, t, w->now);
	t->out_zone = t->out_interface = world_zone(&t->dst);
	if (!t->drop && t->session == TRAIN_NONE) {
		bool host = t->flags & TRAIN_FROM_HOST;
		struct fw_egress egress = { 0 };
		if (!host)
			egress.dnat = fw_expected_dnat(w->fw, t, w->now);
		if (!host && !egress.dnat.expected)
			egress.dnat = fw_dnat(w->fw, t, world_is_host(&t->dst) ? 1ull << UNTRUST : 0);
		if (egress.dnat.refused)
			return t->drop = egress.dnat.refused;
		if (!host && !fw_dnat_translates(&egress.dnat) &&
			(t->drop = fw_inward(w->fw, t, world_is_host(&t->dst), w->now, &egress.dnat)))
			return t->drop;
		const struct ip_addr *dst = fw_dnat_translates(&egress.dnat) ? &egress.dnat.dst : &t->dst;
		egress.nat_addr = dst->family == ADDR_V4 ? w->nat4 : w->nat6;
		t->out_zone = t->out_interface = world_zone(dst);
		egress.to_host = world_is_host(dst);
		egress.same_interface = !host && t->out_interface == t->in_interface;
		fw_admit(w->fw, t, &egress, w->now);
	}
	fw_apply(w->fw, t, w->now);
	return t->drop;
}

enum drop_reason world_send(struct world *w, const struct packet_spec *s)
{
	fw_reassemble_done(w->fw);
	w->t = packet_make(&w->packet, s);
	return world_run(w);
}
