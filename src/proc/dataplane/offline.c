#include "proc/dataplane/offline.h"

#include "proc/dataplane/offline_routes.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What one worker hands over to another, until the queue is run. */
struct handed {
	uint32_t worker;
	enum handover_kind kind; /* HANDOVER_KINDS: a note */
	struct fw_note note;
	struct train train;
	uint8_t *bytes;
};

struct offline_worker {
	_Alignas(128) struct pipeline p;
	struct offline *offline;
	struct firewall *fw;
	void *memory;
};

struct offline {
	struct offline_worker *workers;
	uint32_t workers_n, sessions;
	struct esp *esp;
	struct route_table *routes;
	void *state, *tables;
	const struct snapshot *snapshot;
	uint64_t last_ns;		    /* of the capture */
	mono_ns now, tick;		    /* tick: when sessions were expired last */
	struct packet_facts arrived, facts; /* of the packet under way: as it came, and its last verdict */
	struct handed queue[OFFLINE_QUEUE_MAX];
	uint32_t queue_n;
	uint8_t *room;
};

/* Not random: the same capture has the same verdicts, and nobody chooses what the hashes are over to harm a gateway. */
static const uint8_t keys[2][16] = { "replay: hashes.", "replay: workers" };

/* ---- outputs ---- */

static void out_link(void *context, uint32_t interface, uint8_t *frame, uint32_t n)
{
}

static enum drop_reason out_tunnel(void *context, const struct esp_view *pair, const struct esp_batch *batch)
{
	return DROP_NONE;
}

static enum drop_reason out_host(void *context, uint32_t tunnel, uint8_t *packet, uint32_t n)
{
	return DROP_NONE;
}

static void out_flush(void *context)
{
}

static void out_solicit(void *context, uint32_t link, const struct ip_addr *addr)
{
}

static void out_acquire(void *context, const struct sa_acquire *asked)
{
}

static void on_trace(
	void *context, uint32_t packet, const char *stage, const char *text, const struct packet_facts *facts)
{
	struct offline_worker *w = context;

	if (facts && w->offline->arrived.src.addr.family == ADDR_NONE)
		w->offline->arrived = *facts;
	if (facts && facts->verdict != PACKET_NONE)
		w->offline->facts = *facts;
}

static uint32_t home(void *context, const struct train *t)
{
	return fw_home(((struct offline_worker *)context)->fw, t);
}

static bool queue_put(struct offline *o, const struct handed *h)
{
	if (o->queue_n == OFFLINE_QUEUE_MAX)
		return false;
	o->queue[o->queue_n++] = *h;
	return true;
}

static bool hand_over(void *context, uint32_t worker, enum handover_kind kind, const struct train *t)
{
	struct offline_worker *w = context;
	struct handed h = { .worker = worker,
		.kind = kind,
		.train = *t,
		.bytes = malloc(TRAIN_HEAD_ROOM + t->len + TRAIN_TAIL_ROOM) };

	if (!h.bytes)
		return false;
	h.train.ip = memcpy(h.bytes + TRAIN_HEAD_ROOM, t->ip, t->len);
	if (queue_put(w->offline, &h))
		return true;
	free(h.bytes);
	return false;
}

static bool note(void *context, uint32_t worker, const struct fw_note *n)
{
	struct offline_worker *w = context;
	struct handed h = { .worker = worker, .kind = HANDOVER_KINDS, .note = *n };

	return queue_put(w->offline, &h);
}

static void handed_run(struct offline *o, struct handed *h)
{
	struct offline_worker *w = &o->workers[h->worker];

	if (h->kind == HANDOVER_KINDS) {
		fw_note(w->fw, &h->note, o->now);
		pipeline_notes(&w->p);
	} else if (h->kind == HANDOVER_TUNNEL) {
		pipeline_burst_tunnel(&w->p, &h->train, 1, o->now);
	} else {
		pipeline_burst(&w->p, &h->train, 1, o->now);
	}
	free(h->bytes);
}

/* In the order in which they were put: a note before the trains behind it. */
static void queue_run(struct offline *o)
{
	for (uint32_t at = 0; at < o->queue_n; at++) {
		struct handed h = o->queue[at];
		handed_run(o, &h);
	}
	o->queue_n = 0;
}

/* ---- building ---- */

static enum rc worker_begin(struct offline *o, uint32_t i, struct err *e)
{
	struct offline_worker *w = &o->workers[i];
	struct pipeline_io io = { w, out_link, out_tunnel, out_host, out_flush, out_solicit, out_acquire,
		on_trace, home, hand_over, note };
	struct fw_limits limits = { .sessions_max = o->sessions,
		.reassembly_max = REASSEMBLY_MAX,
		.worker = i,
		.workers = o->workers_n };
	size_t n = (fw_state_bytes(o->sessions) + 63) & ~(size_t)63;

	memcpy(limits.hash_key, keys[0], sizeof limits.hash_key);
	memcpy(limits.flow_key, keys[1], sizeof limits.flow_key);
	w->offline = o;
	w->memory = aligned_alloc(64, n);
	if (!w->memory)
		return err_add(e, RC_LIMIT, "out of memory for sessions");
	memset(w->memory, 0, n);
	w->fw = fw_attach(w->memory, fw_state_bytes(o->sessions), true, &limits, o->now, e);
	if (!w->fw)
		return RC_LIMIT;
	if (!pipeline_init(&w->p, &io, w->fw, o->esp, o->routes, keys[0]))
		return err_add(e, RC_LIMIT, "out of memory for the pipeline");
	return pipeline_load(&w->p, o->snapshot, o->now, e);
}

static struct ip_addr some_address(uint8_t family, uint8_t last)
{
	struct ip_addr a = { .family = family == ADDR_V6 ? ADDR_V6 : ADDR_V4 };

	memcpy(a.b, family == ADDR_V6 ? "\x20\x01\x0d\xb8" : "\xc0\x00\x02\x00", 4); /* for documentation */
	a.b[family == ADDR_V6 ? 15 : 3] = last;
	return a;
}

static uint16_t selectors_copy(struct selector *to, const struct snapshot *s, const struct span *from)
{
	uint32_t n = MIN_OF(from->count, (uint32_t)SELECTORS_MAX);

	memcpy(to, snap_selectors(s) + from->first, n * sizeof *to);
	return (uint16_t)n;
}

/* A pair of SAs with keys of no meaning: what it seals goes nowhere. */
static enum rc tunnel_up(struct offline *o, uint32_t i, struct err *e)
{
	const struct snap_tunnel *t = &snap_tunnels(o->snapshot)[i];
	const struct snap_peer *peer = &snap_peers(o->snapshot)[t->peer];
	uint8_t family = peer->remote.family ? peer->remote.family : peer->local.family;
	struct sa_install sa = { .tunnel = i,
		.spi_in = 0x1000 + i,
		.spi_out = 0x100000 + i,
		.flags = CHILD_ENCAP | CHILD_ESN,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36 };

	sa.local = (struct endpoint){ peer->local.family == family ? peer->local : some_address(family, 1),
		4500, 0 };
	sa.remote =
		(struct endpoint){ peer->remote.family ? peer->remote : some_address(family, 2), 4500, 0 };
	sa.local_n = selectors_copy(sa.local_ts, o->snapshot, &t->local);
	sa.remote_n = selectors_copy(sa.remote_ts, o->snapshot, &t->remote);
	memset(sa.key_in, 1, sa.key_n);
	memset(sa.key_out, 2, sa.key_n);
	enum rc rc = esp_install(o->esp, &sa, t->name, t->replay_window, NULL, o->now, e);
	return rc == RC_OK ? esp_activate(o->esp, sa.spi_in) : err_add(e, rc, "in tunnel '%s'", t->name);
}

static enum rc esp_begin(struct offline *o, struct err *e)
{
	uint32_t pairs = MAX_OF(o->snapshot->tunnels.count + 1, 64u);
	size_t state_n = (esp_state_size(pairs) + 63) & ~(size_t)63,
	       tables_n = (esp_tables_size(pairs) + 63) & ~(size_t)63;
	bool resumed;

	o->state = aligned_alloc(64, state_n);
	o->tables = aligned_alloc(64, tables_n);
	if (!o->state || !o->tables)
		return err_add(e, RC_LIMIT, "out of memory for tunnels");
	memset(o->state, 0, state_n);
	memset(o->tables, 0, tables_n);
	o->esp = esp_new(o->state, esp_state_size(pairs), o->tables, esp_tables_size(pairs), pairs,
		o->workers_n, &resumed, e);
	return o->esp ? RC_OK : RC_LIMIT;
}

static enum rc build(struct offline *o, struct err *e)
{
	struct pipeline *all[WORKERS_MAX];
	struct firewall *fws[WORKERS_MAX];
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < o->workers_n; i++) {
		rc = worker_begin(o, i, e);
		all[i] = &o->workers[i].p;
		fws[i] = o->workers[i].fw;
	}
	if (rc != RC_OK)
		return rc;
	pipeline_join(all, o->workers_n);
	fw_join(fws, o->workers_n);
	for (uint32_t i = 0; rc == RC_OK && i < o->snapshot->tunnels.count; i++)
		rc = tunnel_up(o, i, e);
	for (uint32_t i = 0; rc == RC_OK && i < o->workers_n; i++) {
		const struct packet_filters every = { .count = UINT32_MAX };
		for (uint32_t k = 0; k < o->snapshot->interfaces.count; k++)
			pipeline_bind(&o->workers[i].p, snap_interfaces(o->snapshot)[k].name,
				OFFLINE_LINK_FIRST + k);
		pipeline_changed(&o->workers[i].p);
		pipeline_trace(&o->workers[i].p, &every);
	}
	return rc;
}

struct offline *offline_new(const struct snapshot *s, const char *routes, size_t routes_n, uint32_t workers,
	uint32_t sessions, struct offline_routes *ret_read, struct err *e)
{
	struct offline *o = calloc(1, sizeof *o);
	enum rc rc = o ? RC_OK : err_add(e, RC_LIMIT, "out of memory");

	assert(workers > 0 && workers <= WORKERS_MAX);
	if (!o)
		return NULL;
	o->snapshot = s;
	o->workers_n = workers;
	o->sessions = sessions;
	o->now = 1000 * NS_PER_S;
	o->workers = aligned_alloc(128, workers * sizeof *o->workers);
	o->room = malloc(TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM);
	o->routes = route_new();
	if (!o->workers || !o->room || !o->routes)
		rc = err_add(e, RC_LIMIT, "out of memory");
	if (o->workers)
		memset(o->workers, 0, workers * sizeof *o->workers);
	if (rc == RC_OK)
		rc = offline_routes_read(o->routes, s, routes, routes_n, ret_read, e);
	if (rc == RC_OK)
		rc = esp_begin(o, e);
	if (rc == RC_OK)
		rc = build(o, e);
	if (rc == RC_OK)
		return o;
	offline_free(o);
	return NULL;
}

void offline_free(struct offline *o)
{
	if (!o)
		return;
	for (uint32_t i = 0; o->workers && i < o->workers_n; i++) {
		struct offline_worker *w = &o->workers[i];
		if (w->p.scratch)
			pipeline_done(&w->p);
		if (w->fw)
			fw_detach(w->fw);
		free(w->memory);
	}
	if (o->esp)
		esp_free(o->esp);
	route_free(o->routes);
	free(o->workers);
	free(o->state);
	free(o->tables);
	free(o->room);
	free(o);
}

/* ---- packets ---- */

uint32_t offline_interface_named(const struct offline *o, const char *name, size_t n)
{
	for (uint32_t i = 0; i < o->snapshot->interfaces.count; i++) {
		const char *one = snap_interfaces(o->snapshot)[i].name;
		if (strlen(one) == n && memcmp(one, name, n) == 0)
			return i;
	}
	return TRAIN_NONE;
}

/* The interface towards which an address is routed. */
static uint32_t interface_of(const struct offline *o, const struct ip_addr *addr)
{
	struct route_answer a;

	route_lookup(o->routes, 0, addr, &a);
	return a.kind == ROUTE_UNICAST && a.link >= OFFLINE_LINK_FIRST &&
			       a.link - OFFLINE_LINK_FIRST < o->snapshot->interfaces.count
		       ? a.link - OFFLINE_LINK_FIRST
		       : TRAIN_NONE;
}

/* Time goes on as in the capture; a gap of any length is one step. */
static void time_pass(struct offline *o, uint64_t when_ns)
{
	if (o->last_ns != 0 && when_ns > o->last_ns)
		o->now += MIN_OF(when_ns - o->last_ns, OFFLINE_GAP_NS_MAX);
	if (when_ns > o->last_ns)
		o->last_ns = when_ns;
	if (o->now - o->tick < NS_PER_S)
		return;
	o->tick = o->now;
	for (uint32_t i = 0; i < o->workers_n; i++) {
		struct pipeline *p = &o->workers[i].p;
		fw_expire(o->workers[i].fw, o->now, UINT32_MAX);
		pipeline_tick(p, o->now);
		pipeline_joins_tick(p, o->now);
		pipeline_notes(p);
	}
	queue_run(o);
}

static void source_of(const uint8_t *bytes, uint32_t n, struct ip_addr *ret_addr)
{
	*ret_addr = (struct ip_addr){ 0 };
	if (n >= IP4_HEADER_SIZE && bytes[0] >> 4 == 4)
		*ret_addr = addr_v4(bytes + IP4_SRC);
	else if (n >= IP6_HEADER_SIZE && bytes[0] >> 4 == 6)
		*ret_addr = addr_v6(bytes + IP6_SRC);
}

/* What was captured on its way to a link that fills the checksum has none yet. The gateway is told so by its kernel. */
static enum train_csum checksum_of(struct train look)
{
	bool parsed = train_parse(&look) == DROP_NONE;

	return parsed && train_l4_is_partial(&look) ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_UNKNOWN;
}

void offline_packet(struct offline *o, uint32_t interface, const uint8_t *bytes, uint32_t n, uint64_t when_ns,
	struct packet_facts *ret_facts)
{
	struct train t = { .ip = o->room + TRAIN_HEAD_ROOM, .len = n };
	struct pipeline *p = &o->workers[0].p;
	struct ip_addr source;

	time_pass(o, when_ns);
	memset(&o->facts, 0, sizeof o->facts);
	memset(&o->arrived, 0, sizeof o->arrived);
	if (n > TRAIN_BYTES_MAX) {
		o->facts.verdict = PACKET_DROP;
		snprintf(o->facts.drop, sizeof o->facts.drop, "%s", drop_name(DROP_MALFORMED));
		*ret_facts = o->facts;
		return;
	}
	memcpy(t.ip, bytes, n);
	source_of(bytes, n, &source);
	if (interface == TRAIN_NONE && source.family != ADDR_NONE)
		interface = interface_of(o, &source);
	pipeline_train_from_link(p, &t, interface);
	t.csum = checksum_of(t);
	pipeline_burst(p, &t, 1, o->now);
	/* What never came to be traced: no packet that can be read. */
	if (o->facts.verdict == PACKET_NONE && t.drop != DROP_NONE) {
		o->facts.verdict = PACKET_DROP;
		snprintf(o->facts.drop, sizeof o->facts.drop, "%s", drop_name(t.drop));
		o->facts.src.addr = source;
	} else if (o->facts.verdict == PACKET_NONE && t.flags & TRAIN_FRAGMENT) {
		o->facts.verdict = PACKET_FRAGMENT;
		o->facts.src.addr = t.src;
		o->facts.dst.addr = t.dst;
		o->facts.proto = t.proto;
	}
	queue_run(o);
	/* The worker that puts it together keeps it. */
	if (o->facts.verdict == PACKET_HANDED && t.flags & TRAIN_FRAGMENT)
		o->facts.verdict = PACKET_FRAGMENT;
	if (o->arrived.src.addr.family != ADDR_NONE) {
		o->facts.src = o->arrived.src;
		o->facts.dst = o->arrived.dst;
		o->facts.proto = o->arrived.proto;
	}
	if (!o->facts.in_interface[0] && interface != TRAIN_NONE)
		snprintf(o->facts.in_interface, sizeof o->facts.in_interface, "%s",
			snap_interfaces(o->snapshot)[interface].name);
	*ret_facts = o->facts;
}

const char *offline_drop_text(const char *name)
{
	for (int i = 1; i < DROP_COUNT; i++)
		if (strcmp(drop_name((enum drop_reason)i), name) == 0)
			return drop_text((enum drop_reason)i);
	return "";
}
