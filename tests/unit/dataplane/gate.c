#include "gate.h"

#include "model/model.h"
#include "must.h"
#include "untouched.h"

#include <stdio.h>
#include <stdlib.h>

#define RULE(name, what, then)                                                                               \
	"rule " name " { match { source any; destination any; application " what "; } then { " then "; } "   \
	"}\n"

const char gate_text[] =
	"system { host-name gate; }\n"
	"zones {\n"
	"  zone trust { interfaces lan0; host-inbound ping; }\n"
	"  zone untrust { interfaces wan0; host-inbound [ ike ping ]; }\n"
	"  zone vpn { host-inbound ping; }\n"
	"}\n"
	"applications {\n"
	"  application load { protocol udp; destination-port 9; }\n"
	"  application web { protocol tcp; destination-port 80; }\n"
	"  application inner4 { protocol 4; }\n"
	"  application inner6 { protocol 41; }\n"
	"  application closed { protocol tcp; destination-port 81; }\n"
	"}\n"
	"policy {\n"
	"  from trust to untrust {\n" RULE("no", "closed", "reject") RULE("out",
		"[ load web ping gre inner4 inner6 ]",
		"permit") "  }\n"
			  "  from trust to vpn {\n" RULE("there", "[ load web ping gre inner4 inner6 ]",
				  "permit") "  }\n"
					    "  from vpn to trust {\n" RULE("back",
						    "[ load web ping gre inner4 inner6 ]",
						    "permit") "  }\n"
							      "}\n"
							      "ike {\n"
							      "  proposal p { encryption aes256gcm16; "
							      "dh-group x25519; }\n"
							      "  peer branch { local-address 198.51.100.2; "
							      "remote-address 198.51.100.3; local-id "
							      "gate.example.net;\n"
							      "    remote-id branch.example.net; "
							      "pre-shared-key branch; proposals p; start "
							      "never; }\n"
							      "}\n"
							      "ipsec {\n"
							      "  proposal p { encryption aes256gcm16; }\n"
							      "  tunnel branch { peer branch; zone vpn; "
							      "local [ 10.1.0.0/24 2001:db8:1::/64 ];\n"
							      "    remote [ 10.2.0.0/24 2001:db8:2::/64 ]; "
							      "proposals p; }\n"
							      "}\n"
							      "%s\n";

/* ---- outputs ---- */

static struct gate_out *keep(struct gate *g, enum gate_out_kind kind, const uint8_t *bytes, uint32_t n)
{
	if (g->out_n == g->out_room) {
		g->out_room = 2 * g->out_room + 16;
		MUST(g->out = realloc(g->out, g->out_room * sizeof *g->out));
	}
	struct gate_out *o = &g->out[g->out_n++];
	*o = (struct gate_out){ .kind = kind, .bytes = malloc(n), .n = n };
	MUST(o->bytes);
	memcpy(o->bytes, bytes, n);
	return o;
}

static void on_link(void *context, uint32_t interface, uint8_t *frame, uint32_t n)
{
	struct gate *g = context;

	g->sent_link++;
	if (g->counts_only)
		return;
	struct gate_out *o = keep(g, GATE_OUT_LINK, frame + GATE_FRAME_HEAD, n - (uint32_t)GATE_FRAME_HEAD);
	o->interface = interface;
	memcpy(&o->offload, frame, VIRTIO_SIZE);
	memcpy(o->mac, frame + VIRTIO_SIZE, 6);
}

static enum drop_reason on_tunnel(void *context, const struct esp_view *pair, const struct esp_batch *batch)
{
	struct gate *g = context;

	(void)pair;
	g->sent_tunnel += batch->packets;
	g->may_fragment += batch->may_fragment;
	if (g->counts_only || g->refuse_tunnel)
		return g->refuse_tunnel;
	for (uint32_t at = 0; at < batch->n; at += batch->packet_size)
		keep(g, GATE_OUT_TUNNEL, batch->bytes + at, MIN_OF(batch->packet_size, batch->n - at));
	return DROP_NONE;
}

static enum drop_reason on_host(void *context, uint32_t tunnel, uint8_t *packet, uint32_t n)
{
	struct gate *g = context;

	g->sent_host++;
	if (g->counts_only || g->refuse_host)
		return g->refuse_host;
	struct gate_out *o = keep(g, GATE_OUT_HOST, packet + VIRTIO_SIZE, n - (uint32_t)VIRTIO_SIZE);
	memcpy(&o->offload, packet, VIRTIO_SIZE);
	o->tunnel = tunnel;
	return DROP_NONE;
}

static void on_flush(void *context)
{
	(void)context;
}

static void on_ask(void *context, uint32_t link, const struct ip_addr *addr)
{
	(void)link;
	(void)addr;
	((struct gate *)context)->asked++;
}

static void on_acquire(void *context, const struct sa_acquire *asked)
{
	struct gate *g = context;

	g->acquired++;
	g->acquired_for = *asked;
}

static void on_trace(
	void *context, uint32_t packet, const char *stage, const char *text, const struct packet_facts *facts)
{
	struct gate *g = context;
	size_t n = strlen(g->traced);

	(void)packet;
	if (stage)
		snprintf(g->traced + n, sizeof g->traced - n, "%s %s\n", stage, text);
	if (facts)
		g->facts = *facts;
}

static uint32_t on_home(void *context, const struct train *t)
{
	return fw_home(((struct gate *)context)->fw, t);
}

static bool queue_put(struct gate *g, uint32_t worker, const struct gate_handed *h)
{
	struct gate_queue *q = &g->queues[worker];

	MUST(worker != g->p.worker && worker < g->p.workers);
	pthread_mutex_lock(&q->lock);
	bool room = q->n < GATE_QUEUE_MAX;
	if (room) {
		q->list[q->n++] = *h;
		__atomic_fetch_add(g->on_the_way, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&q->lock);
	return room;
}

static bool on_hand_over(void *context, uint32_t worker, enum handover_kind kind, const struct train *t)
{
	struct gate_handed h = {
		.kind = kind, .train = *t, .bytes = malloc(TRAIN_HEAD_ROOM + t->len + TRAIN_TAIL_ROOM)
	};

	MUST(h.bytes);
	h.train.ip = memcpy(h.bytes + TRAIN_HEAD_ROOM, t->ip, t->len);
	bool room = queue_put(context, worker, &h);
	if (!room)
		free(h.bytes);
	return room;
}

static bool on_note(void *context, uint32_t worker, const struct fw_note *note)
{
	struct gate_handed h = { .kind = HANDOVER_KINDS, .note = *note };

	return queue_put(context, worker, &h);
}

/* Takes the first of a queue, as many as are of one kind. */
static uint32_t handed_take(struct gate_queue *q, struct gate_handed ret_handed[TRAIN_BURST_MAX])
{
	uint32_t n = 0;

	pthread_mutex_lock(&q->lock);
	while (n < q->n && n < TRAIN_BURST_MAX && q->list[n].kind == q->list[0].kind) {
		ret_handed[n] = q->list[n];
		n++;
	}
	memmove(q->list, q->list + n, (q->n - n) * sizeof *q->list);
	q->n -= n;
	pthread_mutex_unlock(&q->lock);
	return n;
}

uint32_t gate_queue_run(struct gate *g, bool run)
{
	struct gate_handed handed[TRAIN_BURST_MAX];
	struct train trains[TRAIN_BURST_MAX];
	uint32_t n, all = 0;

	for (; (n = handed_take(&g->queues[g->p.worker], handed)) > 0; all += n) {
		for (uint32_t i = 0; i < n; i++) {
			trains[i] = handed[i].train;
			if (run && handed[i].kind == HANDOVER_KINDS)
				fw_note(g->fw, &handed[i].note, g->now);
		}
		if (run && handed[0].kind == HANDOVER_KINDS)
			pipeline_notes(&g->p);
		else if (run && handed[0].kind == HANDOVER_TUNNEL)
			pipeline_burst_tunnel(&g->p, trains, n, g->now);
		else if (run)
			pipeline_burst(&g->p, trains, n, g->now);
		for (uint32_t i = 0; i < n; i++)
			free(handed[i].bytes);
	}
	__atomic_fetch_sub(g->on_the_way, all, __ATOMIC_RELEASE);
	return all;
}

static const struct pipeline_io outputs = { NULL, on_link, on_tunnel, on_host, on_flush, on_ask, on_acquire,
	on_trace, on_home, on_hand_over, on_note };

/* ---- building ---- */

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	MUST(addr_parse(&a, text) == RC_OK);
	return a;
}

static void route(struct gate *g, const char *prefix, uint32_t link, const char *via)
{
	struct route_entry e = { .link = link, .kind = ROUTE_UNICAST };

	MUST(prefix_parse(&e.dst, prefix) == RC_OK);
	if (via)
		e.gateway = addr(via);
	MUST(route_set(g->routes, &e, ROUTE_REPLACE) == RC_OK);
}

static void local(struct gate *g, uint32_t link, const char *text, uint32_t bits)
{
	struct route_local l = { .link = link, .addr = addr(text), .bits = bits };

	MUST(route_local_set(g->routes, &l) == RC_OK);
}

static void neighbour(struct gate *g, uint32_t link, const char *text, uint8_t last)
{
	struct route_neighbour n = { .addr = addr(text),
		.link = link,
		.mac = { 2, 0, 0, 0, 1, last },
		.state = ROUTE_NEIGHBOUR_VALID };

	MUST(route_neighbour_set(g->routes, &n) == RC_OK);
}

static void kernel_tables(struct gate *g)
{
	for (uint32_t i = GATE_LAN; i <= GATE_WAN; i++) {
		struct route_link l = { .index = i,
			.mac = { 2, 0, 0, 0, 0, (uint8_t)i },
			.up = true,
			.has_mac = true,
			.mtu = 1500 };
		snprintf(l.name, sizeof l.name, i == GATE_LAN ? "lan0" : "wan0");
		MUST(route_link_set(g->routes, &l) == RC_OK);
	}
	local(g, GATE_LAN, "10.1.0.1", 24);
	local(g, GATE_LAN, "2001:db8:1::1", 64);
	local(g, GATE_WAN, "198.51.100.2", 24);
	local(g, GATE_WAN, "2001:db8:ff::2", 64);
	route(g, "10.1.0.0/16", GATE_LAN, NULL);
	route(g, "2001:db8:1::/64", GATE_LAN, NULL);
	route(g, "198.51.100.0/24", GATE_WAN, NULL);
	route(g, "2001:db8:ff::/64", GATE_WAN, NULL);
	route(g, "0.0.0.0/0", GATE_WAN, "198.51.100.1");
	route(g, "::/0", GATE_WAN, "2001:db8:ff::1");
	neighbour(g, GATE_LAN, "10.1.0.2", 2);
	neighbour(g, GATE_LAN, "2001:db8:1::2", 2);
	neighbour(g, GATE_WAN, "198.51.100.1", 1);
	neighbour(g, GATE_WAN, "2001:db8:ff::1", 1);
}

void *gate_compile(const char *text, const char *more)
{
	static char whole[1 << 22];
	struct model *m;
	struct err e = { 0 };
	void *block = NULL;
	size_t bytes;
	const char *place = strstr(text, "%s");

	MUST(place);
	size_t n =
		(size_t)snprintf(whole, sizeof whole, "%.*s%s%s", (int)(place - text), text, more, place + 2);
	MUST(n < sizeof whole);
	if (model_load_text(whole, n, "gate.conf", &m, &e) != RC_OK ||
		model_compile(m, 1, NULL, &block, &bytes, &e) != RC_OK) {
		fprintf(stderr, "ERROR: %s\n", e.text);
		abort();
	}
	model_free(m);
	return block;
}

static void take(struct gate *g, void *block)
{
	void *old = g->snapshot;
	struct err e = { 0 };

	g->snapshot = block;
	MUST(pipeline_load(&g->p, g->snapshot, g->now, &e) == RC_OK);
	pipeline_bind(&g->p, "lan0", GATE_LAN);
	pipeline_bind(&g->p, "wan0", GATE_WAN);
	free(old);
}

void gate_load(struct gate *g, const char *text, const char *more)
{
	take(g, gate_compile(text, more));
}

void gate_load_block(struct gate *g, const void *block)
{
	uint32_t n = ((const struct snapshot *)block)->bytes;
	void *copy = malloc(n);

	MUST(copy);
	memcpy(copy, block, n);
	take(g, copy);
}

static void *zeroes(size_t n)
{
	void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

	MUST(p);
	memset(p, 0, (n + 63) & ~(size_t)63);
	return p;
}

void gate_init(struct gate *g, const char *text, const char *more, uint32_t sessions)
{
	gate_init_bare(g, sessions);
	gate_load(g, text, more);
}

static const uint8_t hash_key[16] = "sixteen octets.";
uint8_t gate_flow_key[16] = "other octets...";

static void firewall_begin(struct gate *g, uint32_t sessions, uint32_t worker, uint32_t workers)
{
	struct fw_limits limits = { .sessions_max = sessions,
		.reassembly_max = 80,
		.worker = worker,
		.workers = workers,
		.table_new = untouched_new,
		.table_free = untouched_free };
	struct err e = { 0 };

	memset(g, 0, sizeof *g);
	g->now = 1000 * NS_PER_S;
	memcpy(limits.hash_key, hash_key, sizeof limits.hash_key);
	memcpy(limits.flow_key, gate_flow_key, sizeof limits.flow_key);
	g->memory_n = fw_state_bytes(sessions);
	g->memory = zeroes(g->memory_n);
	MUST(g->fw = fw_attach(g->memory, g->memory_n, true, &limits, g->now, &e));
}

static void pipeline_begin(struct gate *g)
{
	struct pipeline_io io = outputs;

	io.context = g;
	MUST(pipeline_init(&g->p, &io, g->fw, g->esp, g->routes, hash_key));
}

static void init_first(struct gate *g, uint32_t sessions, uint32_t workers)
{
	size_t state_n = esp_state_size(GATE_PAIRS);
	struct err e = { 0 };
	bool resumed;

	firewall_begin(g, sessions, 0, workers);
	g->tables_n = esp_tables_size(GATE_PAIRS);
	g->state = zeroes(state_n);
	g->tables = zeroes(g->tables_n);
	MUST(g->esp = esp_new(g->state, state_n, g->tables, g->tables_n, GATE_PAIRS, workers, &resumed, &e));
	MUST(g->routes = route_new());
	kernel_tables(g);
	pipeline_begin(g);
}

void gate_init_bare(struct gate *g, uint32_t sessions)
{
	init_first(g, sessions, 1);
}

static void init_beside(
	struct gate *g, const struct gate *first, uint32_t sessions, uint32_t worker, uint32_t workers)
{
	firewall_begin(g, sessions, worker, workers);
	g->beside = true;
	g->esp = first->esp;
	g->routes = first->routes;
	pipeline_begin(g);
	take(g, first->snapshot);
}

void gate_init_beside(struct gate *g, const struct gate *first, uint32_t sessions)
{
	init_beside(g, first, sessions, 0, 1);
}

void gate_join_team(struct gate *team, uint32_t n)
{
	struct firewall *all[WORKERS_MAX];

	for (uint32_t i = 0; i < n; i++)
		all[i] = team[i].fw;
	fw_join(all, n);
}

void gate_init_team(struct gate *team, uint32_t n, const char *text, const char *more, uint32_t sessions)
{
	struct pipeline *all[WORKERS_MAX];

	init_first(&team[0], sessions, n);
	gate_load(&team[0], text, more);
	for (uint32_t i = 1; i < n; i++)
		init_beside(&team[i], &team[0], sessions, i, n);
	for (uint32_t i = 0; i < n; i++)
		all[i] = &team[i].p;
	pipeline_join(all, n);
	gate_join_team(team, n);
}

void gate_load_team(struct gate *team, uint32_t n, const char *text, const char *more)
{
	void *old = team[0].snapshot, *block = gate_compile(text, more);

	for (uint32_t i = 0; i < n; i++) {
		team[i].snapshot = NULL;
		take(&team[i], block);
	}
	free(old);
	gate_join_team(team, n);
}

void gate_link_team(struct gate *team, uint32_t n, struct gate_queue *queues, uint32_t *on_the_way)
{
	for (uint32_t i = 0; i < n; i++) {
		pthread_mutex_init(&queues[i].lock, NULL);
		team[i].queues = queues;
		team[i].on_the_way = on_the_way;
	}
}

void gate_run_team(struct gate *team, uint32_t n)
{
	while (*team->on_the_way > 0)
		for (uint32_t i = 0; i < n; i++)
			gate_queue_run(&team[i], true);
}

void gate_done(struct gate *g)
{
	gate_clear(g);
	free(g->out);
	pipeline_done(&g->p);
	fw_detach(g->fw);
	free(g->memory);
	if (g->beside)
		return;
	esp_free(g->esp);
	route_free(g->routes);
	free(g->state);
	free(g->tables);
	free(g->snapshot);
}

static void selector(struct selector *s, const char *first, const char *last)
{
	*s = (struct selector){ .port_last = UINT16_MAX };
	s->addrs.first = addr(first);
	s->addrs.last = addr(last);
}

/* Of n pairs that divide the other end's IPv4 network. */
static void sa_install(struct gate *g, bool mirrored, uint32_t i, uint32_t n)
{
	struct sa_install sa = { .tunnel = 0,
		.spi_in = (mirrored ? GATE_SPI_OUT : GATE_SPI_IN) + i,
		.spi_out = (mirrored ? GATE_SPI_IN : GATE_SPI_OUT) + i,
		.flags = CHILD_ENCAP | CHILD_ESN,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 2,
		.remote_n = 2 };
	struct err e = { 0 };

	sa.local = (struct endpoint){ .addr = addr("198.51.100.2"), .port = 4500 };
	sa.remote = (struct endpoint){ .addr = addr("198.51.100.3"), .port = 4500 };
	for (uint32_t k = 0; k < sizeof sa.key_in; k++) {
		sa.key_in[k] = (uint8_t)(k + (mirrored ? 100 : 1));
		sa.key_out[k] = (uint8_t)(k + (mirrored ? 1 : 100));
	}
	struct selector *mine = mirrored ? sa.remote_ts : sa.local_ts,
			*theirs = mirrored ? sa.local_ts : sa.remote_ts;
	selector(&mine[0], "10.1.0.0", "10.1.0.255");
	selector(&mine[1], "2001:db8:1::", "2001:db8:1::ffff:ffff:ffff:ffff");
	selector(&theirs[0], "10.2.0.0", "10.2.0.0");
	theirs[0].addrs.first.b[3] = (uint8_t)(256 * i / n);
	theirs[0].addrs.last.b[3] = (uint8_t)(256 * (i + 1) / n - 1);
	selector(&theirs[1], "2001:db8:2::", "2001:db8:2::ffff:ffff:ffff:ffff");
	if (esp_install(g->esp, &sa, "branch", 1024, NULL, g->now, &e) != RC_OK) {
		fprintf(stderr, "ERROR: %s\n", e.text);
		abort();
	}
	pipeline_changed(&g->p);
}

void gate_sa(struct gate *g, bool mirrored)
{
	sa_install(g, mirrored, 0, 1);
}

void gate_sas(struct gate *g, bool mirrored, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sa_install(g, mirrored, i, n);
}

void gate_clear(struct gate *g)
{
	for (uint32_t i = 0; i < g->out_n; i++)
		free(g->out[i].bytes);
	g->out_n = 0;
}

/* ---- inputs ---- */

uint32_t gate_interface(const struct gate *g, uint32_t link)
{
	for (uint32_t i = 0; i < g->p.snapshot->interfaces.count; i++)
		if (g->p.interfaces[i].link == link)
			return i;
	return TRAIN_NONE;
}

static enum drop_reason run(struct gate *g, struct train *t)
{
	uint64_t before[DROP_COUNT];

	memcpy(before, g->p.drops, sizeof before);
	pipeline_burst(&g->p, t, 1, g->now);
	for (int r = 1; r < DROP_COUNT; r++)
		if (g->p.drops[r] != before[r])
			return (enum drop_reason)r;
	return DROP_NONE;
}

enum drop_reason gate_from_link(struct gate *g, uint32_t link, struct train t)
{
	uint16_t size = t.segment_size;
	uint8_t csum = t.csum;

	pipeline_train_from_link(&g->p, &t, gate_interface(g, link));
	t.segment_size = size;
	t.csum = csum;
	return run(g, &t);
}

enum drop_reason gate_from_tunnel(struct gate *g, struct train t)
{
	uint16_t size = t.segment_size;
	uint8_t csum = t.csum;

	pipeline_train_from_tunnel(&g->p, &t, 0);
	t.segment_size = size;
	t.csum = csum;
	return run(g, &t);
}

enum drop_reason gate_from_host(struct gate *g, struct train t)
{
	pipeline_train_from_host(&t);
	t.csum = TRAIN_CSUM_VALID;
	return run(g, &t);
}
