/* The two gateways and the network between them; see world.h. */
#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum event_kind {
	EV_DATAGRAM,
	EV_REQUEST,
	EV_REPLY,
	EV_RECEIPT,
	EV_SA_RESULT,
	EV_SA_REMOVED,
	EV_PACKET,
	EV_NAME,
	EV_ACTIVATE
};

struct event {
	mono_ns at;
	uint64_t order;
	enum event_kind kind;
	int node;
	uint64_t life, tag;
	struct endpoint local, remote;
	struct keeper_request *request;
	struct keeper_reply *reply;
	enum rc rc;
	uint32_t spi;
	uint8_t key[KEYMAT_MAX];
	bool copied;
	size_t n;
	uint8_t *bytes;
};

/* ---- chance and time ---- */

uint64_t world_chance(struct world *w, uint64_t lo, uint64_t hi)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return hi <= lo ? lo : lo + z % (hi - lo + 1);
}

bool world_happens(struct world *w, uint32_t per_mille)
{
	return world_chance(w, 0, 999) < per_mille;
}

void world_say(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->trace)
		return;
	printf("%9.3f ", (double)w->now / (double)NS_PER_S);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static struct event *event_add(struct world *w, enum event_kind kind, int node, mono_ns delay)
{
	struct event *e = calloc(1, sizeof *e);
	uint32_t i = w->heap_n;

	assert(e && w->heap_n < SIM_EVENTS_MAX);
	e->kind = kind;
	e->node = node;
	e->life = w->nodes[node].life;
	e->at = w->now + delay;
	e->order = w->order++;
	w->heap_n++;
	for (; i > 0 && earlier(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
	return e;
}

static struct event *event_take(struct world *w)
{
	struct event *first = w->heap[0], *last = w->heap[--w->heap_n];
	uint32_t i = 0;

	for (;;) {
		uint32_t k = 2 * i + 1;

		if (k >= w->heap_n)
			break;
		if (k + 1 < w->heap_n && earlier(w->heap[k + 1], w->heap[k]))
			k++;
		if (!earlier(w->heap[k], last))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = last;
	return first;
}

static void event_free(struct event *e)
{
	free(e->request);
	free(e->reply);
	free(e->bytes);
	free(e);
}

/* From ike to its data plane: one after the other, without chance. */
#define ACTIVATE_DELAY (700 * NS_PER_US)

/* ---- the keeper's side ---- */

static mono_ns short_delay(struct world *w)
{
	return world_chance(w, 10, 3000) * NS_PER_US;
}

struct sim_sa *world_sa(struct node *n, uint32_t spi_in)
{
	for (int i = 0; i < SIM_SAS_MAX; i++)
		if (n->sas[i].used && n->sas[i].sa.spi_in == spi_in)
			return &n->sas[i];
	return NULL;
}

/* The latest of a tunnel's active pairs whose selectors hold the packet (to NULL: any), of a worker (as resource; 0: those for all) and a
 * group (0: any). */
static struct sim_sa *sa_latest(
	struct node *n, uint32_t tunnel, const struct ip_addr *to, uint32_t resource, uint64_t group)
{
	struct sim_sa *best = NULL;

	for (int i = 0; i < SIM_SAS_MAX; i++)
		if (n->sas[i].used && n->sas[i].active && n->sas[i].sa.tunnel == tunnel &&
			n->sas[i].sa.resource == resource && (group == 0 || n->sas[i].sa.group == group) &&
			(!to || range_holds(&n->sas[i].sa.remote_ts[0].addrs, to)) &&
			(!best || n->sas[i].order > best->order))
			best = &n->sas[i];
	return best;
}

/* As in src/esp: a worker sends by its own pair, of the group of that which is for all, or by that one; SA_ACTIVATE makes one the latest. */
static struct sim_sa *sa_active(struct node *n, uint32_t tunnel, const struct ip_addr *to, uint32_t worker)
{
	struct sim_sa *all = sa_latest(n, tunnel, to, 0, 0),
		      *own = sa_latest(n, tunnel, to, worker + 1, all ? all->sa.group : 0);

	for (uint32_t r = 1; !all && !own && r <= WORKERS_MAX; r++)
		own = sa_latest(n, tunnel, to, r, 0);
	return own ? own : all;
}

/* Whoever's flow it is; nothing is drawn where there is one. */
static uint32_t a_worker(struct node *n)
{
	return n->side.workers > 1 ? (uint32_t)world_chance(n->w, 0, n->side.workers - 1) : 0;
}

static void sa_activate(struct node *n, uint32_t spi_in)
{
	struct sim_sa *sa = world_sa(n, spi_in);

	if (!sa)
		return;
	sa->active = true;
	sa->order = ++n->orders;
	world_say(n->w, "%c dataplane: send on %08x/%08x", 'A' + n->index, sa->sa.spi_in, sa->sa.spi_out);
}

static void dataplane_install(struct node *n, const struct sa_install *sa)
{
	struct event *e = event_add(n->w, EV_SA_RESULT, n->index, short_delay(n->w));
	struct sim_sa *slot = NULL;

	e->spi = sa->spi_in;
	for (int i = 0; i < SIM_SAS_MAX && !slot; i++)
		if (!n->sas[i].used)
			slot = &n->sas[i];
	if (!slot) {
		e->rc = RC_LIMIT;
		return;
	}
	*slot = (struct sim_sa){ .used = true, .sa = *sa, .order = ++n->orders };
	slot->active = !(sa->flags & CHILD_OUTBOUND_LATER);
	world_say(n->w, "%c dataplane: install %08x/%08x%s", 'A' + n->index, sa->spi_in, sa->spi_out,
		slot->active ? " sending" : "");
}

static void dataplane_remove(struct node *n, const struct sa_ref *ref)
{
	struct event *e = event_add(n->w, EV_SA_REMOVED, n->index, short_delay(n->w));
	struct sim_sa *sa = world_sa(n, ref->spi_in);

	e->spi = ref->spi_in;
	e->rc = sa ? RC_OK : RC_NOT_FOUND;
	world_say(n->w, "%c dataplane: remove %08x", 'A' + n->index, ref->spi_in);
	if (sa)
		sa->used = false;
}

static enum rc keys_act(void *context, struct keys_action *a)
{
	struct node *n = *(struct node **)context;
	struct event *e;

	switch (a->kind) {
	case KEYS_REPLY:
		e = event_add(n->w, EV_REPLY, n->index, short_delay(n->w));
		e->reply = malloc(sizeof *e->reply);
		assert(e->reply);
		*e->reply = a->u.reply;
		break;
	case KEYS_APPEND:
		if (n->ledger_down)
			return RC_IO;
		if (a->tag == 0)
			break;
		e = event_add(n->w, EV_RECEIPT, n->index, short_delay(n->w));
		e->tag = a->tag;
		break;
	case KEYS_SA_INSTALL:
		dataplane_install(n, &a->u.install);
		break;
	case KEYS_SA_REMOVE:
		dataplane_remove(n, &a->u.remove);
		break;
	case KEYS_UNUSED:
	case KEYS_ENDED:
		break;
	}
	return RC_OK;
}

static const char *op_name(enum keeper_op op)
{
	static const char *const names[] = {
#define E(id, request, reply, ike, child) #id,
		KEEPER_OPS(E)
#undef E
	};

	return names[op];
}

static void do_request(struct node *n, const struct keeper_request *q)
{
	struct keys_entropy fresh = { 0 }; /* no public value is known: it is computed */
	uint8_t *at = (uint8_t *)&fresh;

	for (size_t i = 0; i < offsetof(struct keys_entropy, dh_public); i++)
		at[i] = (uint8_t)world_chance(n->w, 0, 255);
	fresh.proof = (struct public_proof){ .count = ++n->values, .epoch = 1 }; /* in their turn */
	keys_request(n->keys, q, &fresh);
}

/* ---- the network ---- */

/* Source NAT in front of the first gateway: 500 and 4500 become other ports of another address. */
static struct endpoint mapping(const struct world *w, uint16_t port)
{
	return (struct endpoint){ .addr = w->nat_address, .port = w->nat_port[port == 4500] };
}

/* From the second gateway to the first: false when the mapping is gone. */
static bool mapped_back(const struct world *w, struct endpoint *to)
{
	if (!addr_equal(&to->addr, &w->nat_address) ||
		(to->port != w->nat_port[0] && to->port != w->nat_port[1]))
		return false;
	to->port = to->port == w->nat_port[1] ? 4500 : 500;
	to->addr = w->nodes[0].side.address;
	return true;
}

/* The longest time until a peer is followed: the usage comes every five seconds; a side behind a NAT
 * probes first, and where rekeys follow each other the probe ends with its IKE SA, while the next one's request is lost
 * again and again. */
static mono_ns following(const struct world *w)
{
	return (w->net.nat_both ? 24 : 6) * NS_PER_S;
}

void world_nat_change(struct world *w, enum sim_nat_change how)
{
	char text[32];

	if (how != SIM_NAT_ADDRESS)
		for (int i = 0; i < 2; i++)
			w->nat_port[i]++;
	if (how != SIM_NAT_PORT) {
		snprintf(text, sizeof text, "203.0.113.%d", w->nat_address.b[3] % 100 + 1);
		w->nat_address = sim_address(text);
	}
	w->nat_followed_at = w->now + following(w);
	world_say(w, "the NAT now maps to %u.%u.%u.%u:%u", w->nat_address.b[0], w->nat_address.b[1],
		w->nat_address.b[2], w->nat_address.b[3], w->nat_port[1]);
}

void world_deliver(struct world *w, int to, const struct endpoint *local, const struct endpoint *remote,
	const void *bytes, size_t n)
{
	mono_ns delay = world_chance(w, w->net.delay_min, w->net.delay_max) * NS_PER_MS;
	struct event *e = event_add(w, EV_DATAGRAM, to, delay + 1);

	e->local = *local;
	e->remote = *remote;
	e->n = n;
	e->bytes = malloc(n);
	assert(e->bytes);
	memcpy(e->bytes, bytes, n);
	if (world_happens(w, w->net.flip))
		e->bytes[world_chance(w, 0, n - 1)] ^= (uint8_t)(1u << world_chance(w, 0, 7));
}

/* Who is meant by an address. */
static int other_side(const struct world *w, int from, const struct ip_addr *to)
{
	if (from != 1)
		return 1;
	for (int i = 2; i < w->nodes_n; i++)
		if (addr_equal(to, &w->nodes[i].side.address))
			return i;
	return 0;
}

static void network_send(struct node *n, const struct ike_action *a)
{
	struct world *w = n->w;
	struct endpoint from = a->local, to = a->remote;
	struct ip_addr second = sim_address(SIM_SECOND_PUBLIC);
	uint8_t *changed;
	size_t n_sent = a->n;

	n->sent++;
	if (from.addr.family == ADDR_NONE)
		from.addr = n->side.address;
	if (!addr_equal(&from.addr, &n->side.address))
		return; /* it has this address no more */
	world_judge(w, &from.addr, &to.addr);
	if (w->net.nat && n->index == 0)
		from = mapping(w, from.port);
	if (w->net.nat && n->index == 1 && !mapped_back(w, &to))
		return;
	if (w->net.nat_both && n->index == 1)
		from.addr = second;
	if (w->net.nat_both && n->index == 0 && addr_equal(&to.addr, &second))
		to.addr = w->nodes[1].side.address;
	if (w->on_datagram)
		w->on_datagram(w, n->index, a->bytes, a->n);
	int receiver = other_side(w, n->index, &to.addr);
	if (!addr_equal(&to.addr, &w->nodes[receiver].side.address))
		return;
	if (w->net.cut || world_happens(w, w->net.lose)) {
		world_say(w, "%c -x lost: exchange %u id %u %s", 'A' + n->index, a->bytes[18],
			load_be32(a->bytes + 20), a->bytes[19] & 0x20 ? "response" : "request");
		return;
	}
	world_say(w, "%c -> exchange %u id %u %s, %zu octets, SPI %02x%02x", 'A' + n->index, a->bytes[18],
		load_be32(a->bytes + 20), a->bytes[19] & 0x20 ? "response" : "request", a->n, a->bytes[0],
		a->bytes[1]);
	changed = w->change ? w->change(w, a->bytes, a->n, &n_sent) : NULL;
	world_deliver(w, receiver, &to, &from, changed ? changed : a->bytes, n_sent);
	if (world_happens(w, w->net.repeat))
		world_deliver(w, receiver, &to, &from, changed ? changed : a->bytes, n_sent);
	free(changed);
}

/* A question to DNS; who asks while one is on its way gets its answer. */
static void name_ask(struct node *n)
{
	if (n->side.by_name)
		event_add(n->w, EV_NAME, n->index, world_chance(n->w, 10, 400) * NS_PER_MS);
}

/* As the resolver: the last good answer stays, and for the time to live what the one before had. */
static void name_answered(struct node *n)
{
	struct peer_name_told *t = &n->told, was = *t;

	snprintf(t->peer, sizeof t->peer, "%s", snap_peers(n->snap)[0].name);
	snprintf(t->name, sizeof t->name, "%s", snap_dynamics(n->snap)[0].name);
	snprintf(t->why, sizeof t->why, "%s",
		n->dns.silent	? "no answer from the name servers"
		: n->dns.n == 0 ? "the name has no address"
				: "");
	if (!t->why[0]) {
		t->known = 1;
		t->n = t->current = n->dns.n;
		memcpy(t->at, n->dns.at, t->n * sizeof t->at[0]);
		for (uint32_t i = 0; i < was.current; i++) {
			bool there = false;
			for (uint32_t k = 0; k < t->current; k++)
				there |= addr_equal(&t->at[k], &was.at[i]);
			if (!there)
				t->at[t->n++] = was.at[i];
		}
	}
	world_say(n->w, "%c its peer's name: %u addresses, %s", 'A' + n->index, t->current, t->why);
	ike_input_peer_resolved(n->ike, n->w->now, t);
}

void world_move(struct world *w, int node, const struct ip_addr *address)
{
	world_say(w, "%c has another address", 'A' + node);
	w->nodes[node].side.address = *address;
}

void world_settle(struct world *w, struct node *n)
{
	const struct ike_action *a;
	struct sim_sa *sa;
	struct event *e;

	while ((a = ike_action_next(n->ike))) {
		switch (a->kind) {
		case IKE_SEND:
			network_send(n, a);
			break;
		case IKE_ASK:
			n->asked++;
			world_say(w, "%c asks %s", 'A' + n->index, op_name(a->keeper->op));
			if (w->now < n->keeper_back_at) {
				ike_input_keeper_untaken(n->ike, w->now, a->keeper, RC_IO);
				break;
			}
			e = event_add(w, EV_REQUEST, n->index, short_delay(w));
			e->request = malloc(sizeof *e->request);
			assert(e->request);
			*e->request = *a->keeper;
			break;
		case IKE_KEEPALIVE:
		case IKE_CERTIFY: /* no peer here has certificates */
			break;
		case IKE_REFUSED:
			n->refused++;
			snprintf(n->last_refusal, sizeof n->last_refusal, "%s", a->refusal->reason);
			world_say(w, "%c refuses: %s (offered %s; configured %s)", 'A' + n->index,
				a->refusal->reason, a->refusal->offered, a->refusal->configured);
			break;
		case IKE_REDIRECTED:
			world_redirected(n);
			break;
		case IKE_LOG:
			world_say(w, "%c log: %s", 'A' + n->index, a->log.text);
			if (w->on_log)
				w->on_log(w, n->index, a->log.warning, a->log.text);
			break;
		case IKE_ACTIVATE:
			e = event_add(w, EV_ACTIVATE, n->index, ACTIVATE_DELAY);
			e->spi = a->sa.spi_in;
			e->tag = a->number;
			break;
		case IKE_PEER_MESSAGE:
			n->peer_messages_got++;
			break;
		case IKE_RESOLVE:
			name_ask(n);
			break;
		case IKE_ENDPOINT:
			sa = world_sa(n, a->endpoint.spi_in);
			if (!sa)
				break;
			sa->sa.remote = a->endpoint.remote;
			sa->moved = false;
			break;
		}
	}
	assert(!ike_view_wrong(n->ike));
}

/* ---- events ---- */

static void packet_arrives(struct node *n, const struct event *e)
{
	struct sim_sa *sa = world_sa(n, e->spi);

	if (!sa || memcmp(sa->sa.key_in, e->key, sizeof e->key) != 0) {
		n->packets_lost += !e->copied;
		world_say(n->w, "%c packet lost: no SA %08x", 'A' + n->index, e->spi);
		return;
	}
	if (e->tag > sa->top) {
		sa->top = e->tag;
		sa->seen_at = e->remote;
		sa->moved = (sa->sa.flags & CHILD_ENCAP) && !endpoint_same(&e->remote, &sa->sa.remote);
	} else if (e->copied) {
		return; /* a replay */
	}
	n->packets_got++;
	sa->seen = true;
	sa->last_in = n->w->now;
	sa->active = true; /* CHILD_OUTBOUND_LATER: the first packet shows that the peer is ready */
}

/* FNV-1a. Handles are left out: the keepers' cores serve all worlds and count on. */
static void digest_event(struct world *w, const struct event *e)
{
	const uint64_t values[] = { e->at, e->kind, (uint64_t)e->node, e->rc, e->spi, e->n };
	const uint8_t *at = (const uint8_t *)values;

	for (size_t i = 0; i < sizeof values; i++)
		w->digest = (w->digest ^ at[i]) * 0x100000001b3ull;
	for (size_t i = 0; i < e->n; i++)
		w->digest = (w->digest ^ e->bytes[i]) * 0x100000001b3ull;
}

static void happen(struct world *w, struct event *e)
{
	struct node *n = &w->nodes[e->node];
	struct sa_result result = { .rc = e->rc, .spi_in = e->spi };

	digest_event(w, e);
	switch (e->kind) {
	case EV_DATAGRAM:
		ike_input_datagram(n->ike, w->now, &e->local, &e->remote, e->bytes, e->n);
		break;
	case EV_REQUEST:
		if (e->life == n->life)
			do_request(n, e->request);
		break;
	case EV_REPLY:
		if (e->life == n->life)
			ike_input_keeper(n->ike, w->now, e->reply);
		break;
	case EV_RECEIPT:
		keys_receipt(n->keys, e->tag, n->ledger_down ? RC_IO : RC_OK, "");
		break;
	case EV_SA_RESULT:
		keys_sa_installed(n->keys, &result);
		break;
	case EV_SA_REMOVED:
		keys_sa_removed(n->keys, &result);
		break;
	case EV_NAME:
		name_answered(n);
		break;
	case EV_ACTIVATE:
		sa_activate(n, e->spi); /* of a life that has ended too: it is in the socket */
		if (e->life == n->life)
			ike_input_activated(n->ike, w->now, e->tag);
		break;
	case EV_PACKET:
		packet_arrives(n, e);
		break;
	}
	world_settle(w, n);
}

static void packet_later(
	struct world *w, int to, struct sim_sa *sa, const struct endpoint *from, mono_ns delay, bool copied)
{
	struct event *e = event_add(w, EV_PACKET, to, delay);

	e->spi = sa->sa.spi_out;
	e->tag = sa->sent;
	e->remote = *from;
	e->copied = copied;
	memcpy(e->key, sa->sa.key_out, sizeof e->key);
}

static void send_packet(struct world *w, int from_node, struct sim_sa *sa)
{
	struct node *n = &w->nodes[from_node];
	struct endpoint from = sa->sa.local, to = sa->sa.remote,
			nobody = { .addr = sim_address("198.51.100.66"), .port = 6666 };
	mono_ns longest = w->net.delay_max * NS_PER_MS;

	n->packets_sent++;
	sa->sent++;
	if (w->net.nat && from_node == 0)
		from = mapping(w, 4500);
	if (w->net.nat_both && from_node == 1)
		from.addr = sim_address(SIM_SECOND_PUBLIC);
	if (w->net.nat && from_node == 1 && !mapped_back(w, &to)) {
		n->packets_misled += w->now > w->nat_followed_at;
		return;
	}
	packet_later(w, other_side(w, from_node, &to.addr), sa, &from,
		world_chance(w, w->net.delay_min, w->net.delay_max) * NS_PER_MS, false);
	if (w->net.nat && world_happens(w, w->net.copy))
		packet_later(w, other_side(w, from_node, &to.addr), sa, &nobody, longest + NS_PER_MS, true);
}

static void send_one(struct world *w, int from, uint32_t tunnel, const struct ip_addr *to)
{
	struct sim_sa *sa = sa_active(&w->nodes[from], tunnel, to, a_worker(&w->nodes[from]));

	if (sa)
		send_packet(w, from, sa);
	else
		w->nodes[from].packets_no_sa++;
}

/* From the one that answers to each of the others, to an address that only that one has. */
static void send_to_each(struct world *w, uint32_t tunnel)
{
	struct node *from = &w->nodes[1];

	for (int i = 0; i < w->nodes_n; i++) {
		struct ip_addr to = snap_selectors(w->nodes[i].snap)[2 * tunnel].addrs.last;
		struct sim_sa *sa = i == 1 ? NULL : sa_active(from, tunnel, &to, 0);

		if (i == 1)
			continue;
		if (sa && !addr_equal(&sa->sa.remote.addr, &w->nodes[i].side.address))
			from->packets_astray++;
		send_one(w, 1, tunnel, &to);
	}
}

static void send_packets(struct world *w)
{
	for (int i = 0; i < w->nodes_n; i++)
		for (uint32_t t = 0; t < w->nodes[i].side.tunnels; t++) {
			if (i == 1 && w->nodes_n > 2)
				send_to_each(w, t);
			else
				send_one(w, i, t, NULL);
		}
}

static void report_usage(struct world *w)
{
	for (int i = 0; i < w->nodes_n; i++) {
		struct node *n = &w->nodes[i];

		for (int k = 0; k < SIM_SAS_MAX; k++) {
			struct sa_usage u = { .tunnel = n->sas[k].sa.tunnel,
				.spi_in = n->sas[k].sa.spi_in,
				.spi_out = n->sas[k].sa.spi_out,
				.idle_in_ms = n->sas[k].seen
						      ? (uint32_t)((w->now - n->sas[k].last_in) / NS_PER_MS)
						      : UINT32_MAX,
				.idle_out_ms = UINT32_MAX,
				.flags = n->sas[k].moved ? SA_MOVED : 0,
				.seen = n->sas[k].seen_at };

			if (!n->sas[k].used)
				continue;
			ike_input_usage(n->ike, w->now, &u);
			world_settle(w, n);
		}
	}
}

static mono_ns next_time(const struct world *w, mono_ns until)
{
	mono_ns next = w->heap_n > 0 ? MIN_OF(w->heap[0]->at, until) : until;

	for (int i = 0; i < w->nodes_n; i++) {
		mono_ns at = ike_deadline(w->nodes[i].ike);

		if (at != 0 && at < next)
			next = MAX_OF(at, w->now);
	}
	next = MIN_OF(MIN_OF(next, w->usage_at), w->names_at);
	return w->packets ? MIN_OF(next, w->packets_at) : next;
}

void world_run(struct world *w, mono_ns until)
{
	while (w->now < until) {
		w->now = next_time(w, until);
		if (w->packets && w->now >= w->packets_at) {
			send_packets(w);
			w->packets_at = w->now + 100 * NS_PER_MS;
		}
		if (w->now >= w->usage_at) {
			report_usage(w);
			w->usage_at = w->now + 5 * NS_PER_S;
		}
		if (w->now >= w->names_at) {
			for (int i = 0; i < w->nodes_n; i++)
				name_ask(&w->nodes[i]);
			w->names_at = w->now + SIM_NAME_TTL_S * NS_PER_S;
		}
		for (int i = 0; i < w->nodes_n; i++) {
			mono_ns at = ike_deadline(w->nodes[i].ike);

			if (at == 0 || at > w->now)
				continue;
			ike_tick(w->nodes[i].ike, w->now);
			world_settle(w, &w->nodes[i]);
		}
		while (w->heap_n > 0 && w->heap[0]->at <= w->now) {
			struct event *e = event_take(w);

			happen(w, e);
			event_free(e);
		}
	}
}

void world_inject(
	struct world *w, int to, const struct endpoint *from, uint16_t to_port, const void *bytes, size_t n)
{
	struct endpoint local = { .addr = w->nodes[to].side.address, .port = to_port };

	ike_input_datagram(w->nodes[to].ike, w->now, &local, from, bytes, n);
	world_settle(w, &w->nodes[to]);
}

/* ---- lives ---- */

static struct ike *make_core(struct world *w, struct node *n)
{
	struct ike_setup setup = {
		.cookie_above = n->side.cookie_above, .puzzles = n->side.puzzles, .mlkem = !n->side.no_mlkem
	};
	struct ike *ike;

	for (size_t i = 0; i < sizeof setup.cookie_secret; i++)
		setup.cookie_secret[i] = (uint8_t)world_chance(w, 0, 255);
	setup.has_crash_secret = !n->side.no_tokens;
	memset(setup.crash_secret, 0x10 + n->index, sizeof setup.crash_secret); /* over its restarts */
	setup.seed = world_chance(w, 0, UINT64_MAX - 1);
	ike = ike_core_new(&setup);
	ike_config(ike, w->now, n->snap);
	return ike;
}

/* The keeper's core is large: one per node serves all worlds, emptied in between. */
static struct node *node_of[SIM_NODES_MAX];

static struct keys *keys_of(struct node *n)
{
	static struct keys *kept[SIM_NODES_MAX];

	node_of[n->index] = n;
	if (!kept[n->index])
		kept[n->index] = keys_new((struct keys_sink){ keys_act, &node_of[n->index] });
	return kept[n->index];
}

static void set_keys(struct node *n)
{
	struct err e = { 0 };

	keys_identities_clear(n->keys);
	if (n->side.ppk)
		assert(keys_identity_ppk(n->keys, n->side.ppk_name ? n->side.ppk_name : "ppk", n->side.ppk,
			       strlen(n->side.ppk), &e) == RC_OK);
	if (n->side.pem)
		assert(keys_identity_pem(n->keys, "key", n->side.pem, strlen(n->side.pem), &e) == RC_OK);
	else
		assert(keys_identity_psk(n->keys, "key", n->side.psk, strlen(n->side.psk), &e) == RC_OK);
}

void world_init(struct world *w, uint64_t seed, const struct sim_side sides[2])
{
	world_init_star(w, seed, sides, 2);
}

void world_init_star(struct world *w, uint64_t seed, const struct sim_side *sides, int nodes)
{
	bool trace = w->trace;

	memset(w, 0, sizeof *w);
	w->trace = trace;
	w->seed = w->random = seed;
	w->now = NS_PER_S;
	w->usage_at = 2 * NS_PER_S;
	w->packets_at = 2 * NS_PER_S;
	w->names_at = 2 * NS_PER_S;
	w->net = (struct sim_network){ .delay_min = 5, .delay_max = 30 };
	w->nat_address = sim_address("203.0.113.1");
	w->nat_port[0] = 20500;
	w->nat_port[1] = 24500;
	w->nodes_n = nodes;
	assert(nodes >= 2 && nodes <= SIM_NODES_MAX);
	for (int i = 0; i < nodes; i++) {
		struct node *n = &w->nodes[i];

		n->w = w;
		n->index = i;
		n->side = sides[i];
		n->dns = (struct sim_dns){ .n = 1, .at = { sides[i].other } };
		n->snap = sim_snapshot(&n->side, i == 1, 1);
		n->keys = keys_of(n);
		keys_configure(n->keys, n->snap);
		keys_dataplane_up(n->keys);
		set_keys(n);
		n->ike = make_core(w, n);
		world_settle(w, n);
	}
}

/* What the keepers still wait for gets its answer; all else is forgotten. */
static void drain(struct world *w)
{
	while (w->heap_n > 0) {
		struct event *e = event_take(w);
		struct keys *keys = w->nodes[e->node].keys;
		struct sa_result result = { .rc = e->rc, .spi_in = e->spi };

		if (e->kind == EV_RECEIPT)
			keys_receipt(keys, e->tag, RC_IO, "");
		else if (e->kind == EV_SA_RESULT)
			keys_sa_installed(keys, &result);
		else if (e->kind == EV_SA_REMOVED)
			keys_sa_removed(keys, &result);
		event_free(e);
	}
}

/* Empties a keeper's core the way a run would: what is left is removed. */
static void remove_sas(struct node *n)
{
	struct keys_entropy fresh = { 0 };
	struct keeper_request q = { .op = KEEPER_CHILD_REMOVE };

	for (int i = 0; i < SIM_SAS_MAX; i++) {
		if (!n->sas[i].used)
			continue;
		q.u.CHILD_REMOVE.spi_in = n->sas[i].sa.spi_in;
		q.u.CHILD_REMOVE.tunnel = n->sas[i].sa.tunnel;
		keys_request(n->keys, &q, &fresh);
	}
}

void world_done(struct world *w)
{
	bool trace = w->trace;

	w->trace = false;
	for (int i = 0; i < w->nodes_n; i++) {
		ike_core_free(w->nodes[i].ike);
		w->nodes[i].ledger_down = false;
		keys_ike_lost(w->nodes[i].keys);
	}
	drain(w);
	for (int i = 0; i < w->nodes_n; i++)
		remove_sas(&w->nodes[i]);
	drain(w);
	for (int i = 0; i < w->nodes_n; i++) {
		keys_configure(w->nodes[i].keys, NULL);
		free(w->nodes[i].snap);
	}
	w->trace = trace;
}

void world_order(struct world *w, int node, enum ike_order order, const char *name)
{
	world_say(w, "%c ordered: %d %s", 'A' + node, order, name);
	ike_input_order(w->nodes[node].ike, w->now, order, name, NULL);
	world_settle(w, &w->nodes[node]);
}

void world_restart_ike(struct world *w, int node)
{
	struct node *n = &w->nodes[node];

	world_say(w, "%c: ike dies", 'A' + node);
	ike_core_free(n->ike);
	n->life++;
	keys_ike_lost(n->keys);
	n->ike = make_core(w, n);
	world_settle(w, n);
}

/* As seen from ike: all handles are void. The keeper's core is emptied instead of made again. */
void world_restart_keeper(struct world *w, int node, mono_ns away)
{
	struct node *n = &w->nodes[node];

	world_say(w, "%c: the keeper dies, and is away for %llu ms", 'A' + node,
		(unsigned long long)(away / NS_PER_MS));
	n->keeper_back_at = w->now + away;
	n->life++;
	keys_ike_lost(n->keys);
	ike_input_keeper_lost(n->ike, w->now);
	world_settle(w, n);
}

void world_reconfigure(struct world *w, int node, const struct sim_side *side)
{
	struct node *n = &w->nodes[node];
	struct snapshot *old = n->snap;

	world_say(w, "%c: commit", 'A' + node);
	n->side = *side;
	n->snap = sim_snapshot(side, node == 1, old->generation + 1);
	keys_configure(n->keys, n->snap);
	set_keys(n);
	ike_config(n->ike, w->now, n->snap);
	free(old);
	world_settle(w, n);
}
