/*
 * Sessions carried by the kernel: joins the session table to the records of src/carry, by which the kernel's programs forward
 * what needs nothing but its addresses, ports, hop limit and link addresses rewritten. The table stays the truth; a
 * session is placed when both ways of it are decided, of TCP with its SYN, and what has passed is entered into it once a second,
 * whenever somebody asks, and when the programs have noted that a connection was opened or closed.
 *
 * One epoch stands for all that decisions are made of. Whatever changes of it (a policy, routes, links, addresses, a used
 * neighbour, a trace) begins another one: each session then passes the pipeline once and is placed again.
 *
 * After the burst has been sent, so that what the kernel forwards does not overtake it; but for a SYN, which nothing follows.
 */
#include "base/siphash.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#include <assert.h>

_Static_assert(CARRY_WORKERS == WORKERS_MAX, "a beat for each worker");

/* ---- a carried session, for the firewall ---- */

static bool is_linked(const struct pipeline *p, uint32_t index, const struct fw_session *s)
{
	return p->carried.carry && fw_is_carried(s) &&
	       carry_is_of(p->carried.carry, s->carried, index, s->id);
}

bool pipeline_carries(const struct pipeline *p, uint32_t index, const struct fw_session *s)
{
	return is_linked(p, index, s) && carry_is_fresh(p->carried.carry, s->carried);
}

static struct carry_side side_of(const struct fw_session *s, uint32_t d)
{
	const struct fw_tcp_side *t = &s->tcp[d];

	return (struct carry_side){ t->end, t->max_end, t->max_window, t->ack, t->scale,
		fw_session_scales(s, d), 0 };
}

static enum carry_tcp tcp_of(const struct fw_session *s)
{
	if (s->key[0].proto != IP_TCP)
		return CARRY_TCP_NONE;
	if (s->state <= FW_TCP_SYN_RECEIVED)
		return s->state == FW_TCP_SYN_SENT ? CARRY_TCP_SYN_SENT : CARRY_TCP_SYN_RECEIVED;
	uint32_t fins = (fw_session_fin(s, 0) ? carry_fin(0) : 0) | (fw_session_fin(s, 1) ? carry_fin(1) : 0);
	uint32_t tcp = s->state == FW_TCP_TIME_WAIT ? CARRY_TCP_TIME_WAIT
		       : s->state == FW_TCP_CLOSED  ? CARRY_TCP_CLOSED
						    : CARRY_TCP_ESTABLISHED;
	return (enum carry_tcp)(tcp | fins);
}

/* The programs carry it no more. */
static bool is_over(const struct fw_session *s)
{
	return s->state == FW_TCP_TIME_WAIT || s->state == FW_TCP_CLOSED;
}

static uint8_t state_of(enum carry_tcp tcp)
{
	return tcp == CARRY_TCP_SYN_RECEIVED  ? FW_TCP_SYN_RECEIVED
	       : tcp == CARRY_TCP_ESTABLISHED ? FW_TCP_ESTABLISHED
	       : carry_is_open(tcp)	      ? FW_TCP_CLOSING
	       : tcp == CARRY_TCP_TIME_WAIT   ? FW_TCP_TIME_WAIT
	       : tcp >= CARRY_TCP_CLOSED      ? FW_TCP_CLOSED
					      : FW_TCP_SYN_SENT;
}

/* What has passed counts as if it had come here. */
static void interfaces_count(struct pipeline *p, uint32_t link, const struct carry_passed *x)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint32_t in, out;
		carry_interfaces(p->carried.carry, link, d, &in, &out);
		in = pipeline_interface_of_link(p, in);
		out = pipeline_interface_of_link(p, out);
		p->carried.packets += x->packets[d];
		p->packets_in += x->packets[d];
		p->bytes_in += x->octets[d];
		p->packets_out += x->packets[d];
		p->bytes_out += x->octets[d];
		if (in != TRAIN_NONE) {
			p->interfaces[in].packets_in += x->packets[d];
			p->interfaces[in].bytes_in += x->octets[d];
		}
		if (out != TRAIN_NONE) {
			p->interfaces[out].packets_out += x->packets[d];
			p->interfaces[out].bytes_out += x->octets[d];
		}
	}
}

static void passed_enter(struct pipeline *p, uint32_t index, uint32_t link)
{
	struct fw_passed passed = { 0 };
	struct carry_passed x;

	carry_take(p->carried.carry, link, &x);
	for (uint32_t d = 0; d < 2; d++) {
		passed.packets[d] = x.packets[d];
		passed.bytes[d] = x.octets[d];
		passed.tcp[d] = (struct fw_tcp_side){ .end = x.side[d].end,
			.max_end = x.side[d].max_end,
			.max_window = x.side[d].max_window,
			.ack = x.side[d].ack,
			.scale = MIN_OF(x.side[d].scale, (uint8_t)CARRY_SCALE_MAX) };
		passed.scales[d] = x.side[d].scales;
		passed.fin[d] = carry_fins(x.tcp) & carry_fin(d);
	}
	/* What a process before this one has left may be any time. Nothing is carried later than this. */
	passed.last = MIN_OF(x.last, MAX_OF(p->now, p->carried.now) + CARRY_GOOD_NS);
	passed.state = state_of(x.tcp);
	const struct fw_session *s = fw_session(p->fw, index);
	if (s->key[0].proto == IP_TCP) {
		const struct carry_side side[2] = { side_of(s, 0), side_of(s, 1) };
		passed.follows = carry_is_put(p->carried.carry, link, side);
	}
	interfaces_count(p, link, &x);
	fw_session_passed(p->fw, index, &passed);
}

static void carried_sync(void *context, uint32_t index)
{
	struct pipeline *p = context;
	const struct fw_session *s = fw_session(p->fw, index);

	if (!s || !is_linked(p, index, s)) {
		fw_session_link(p->fw, index, 0); /* of maps that are gone */
		return;
	}
	passed_enter(p, index, s->carried);
	if (s->key[0].proto != IP_TCP)
		return;
	const struct carry_side side[2] = { side_of(s, 0), side_of(s, 1) };
	carry_put(p->carried.carry, s->carried, side, tcp_of(s));
}

static void carried_end(void *context, uint32_t index)
{
	struct pipeline *p = context;
	const struct fw_session *s = fw_session(p->fw, index);

	if (!s || !is_linked(p, index, s))
		return;
	uint32_t link = s->carried;
	carry_stop(p->carried.carry, link);
	passed_enter(p, index, link);
	carry_give(p->carried.carry, link, MAX_OF(p->now, p->carried.now));
	fw_session_link(p->fw, index, 0);
	p->carried.taken_back++;
}

/* ---- neighbours ---- */

static bool is_at(const struct carried_neighbour *n, uint32_t link, const struct ip_addr *addr)
{
	return n->link == link && addr_equal(&n->addr, addr);
}

static uint32_t epoch_now(const struct pipeline *p)
{
	return __atomic_load_n(&p->carried.tables.head->epoch, __ATOMIC_RELAXED);
}

/* Its place in this epoch, or a free one of its set; NULL: all are taken by others. Hosts choose their addresses. */
static struct carried_neighbour *neighbour_place(
	struct pipeline *p, uint32_t link, const struct ip_addr *addr, uint32_t epoch)
{
	uint64_t key[3] = { 0, 0, link };

	_Static_assert(sizeof addr->b == 2 * sizeof key[0], "in front of the link");
	memcpy(key, addr->b, sizeof addr->b);
	struct carried_neighbour *set =
		p->carried.neighbours[siphash13(p->hash_key, key, sizeof key) % CARRIED_NEIGHBOUR_SETS];
	for (uint32_t i = 0; i < CARRIED_NEIGHBOUR_WAYS; i++)
		if (set[i].epoch != epoch || is_at(&set[i], link, addr))
			return &set[i]; /* they are taken in order: none behind a free one is of this epoch */
	return NULL;
}

static void neighbour_use(struct pipeline *p, uint32_t link, const struct ip_addr *addr, const uint8_t mac[6])
{
	uint32_t epoch = epoch_now(p);
	struct carried_neighbour *n = neighbour_place(p, link, addr, epoch);

	if (!n) {
		p->carried.neighbours_lost = epoch;
		return;
	}
	*n = (struct carried_neighbour){ .epoch = epoch, .link = link, .addr = *addr };
	memcpy(n->mac, mac, sizeof n->mac);
}

void carried_neighbour(struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	if (!p->carried.carry)
		return;
	uint32_t epoch = epoch_now(p);
	const struct carried_neighbour *used = neighbour_place(p, link, addr, epoch);
	bool known = used && used->epoch == epoch;
	if (!known && p->carried.neighbours_lost != epoch)
		return;
	const struct route_neighbour *n = route_neighbour_find(p->routes, link, addr);
	bool usable = n && (n->state == ROUTE_NEIGHBOUR_VALID || n->state == ROUTE_NEIGHBOUR_STALE);
	if (!usable || !known || memcmp(n->mac, used->mac, sizeof used->mac) != 0)
		carry_epoch_next(&p->carried.tables);
}

/* No packet comes by that would ask for it. */
static void neighbours_confirm(struct pipeline *p, mono_ns now)
{
	uint32_t epoch = epoch_now(p);

	p->now = now;
	for (uint32_t i = 0;
		i < CARRIED_NEIGHBOUR_SETS * CARRIED_NEIGHBOUR_WAYS && carry_used(p->carried.carry) > 0;
		i++) {
		const struct carried_neighbour *used =
			&p->carried.neighbours[i / CARRIED_NEIGHBOUR_WAYS][i % CARRIED_NEIGHBOUR_WAYS];
		const struct route_neighbour *n =
			used->epoch == epoch ? route_neighbour_find(p->routes, used->link, &used->addr)
					     : NULL;
		if (n && n->state == ROUTE_NEIGHBOUR_STALE)
			neighbour_confirm(p, used->link, &used->addr);
	}
}

/* The neighbour's link address, then ours; false: it is not known now. */
static bool link_addresses(struct pipeline *p, const struct fw_forwarding *f, uint8_t ret_mac[12])
{
	const struct pipeline_interface *out = &p->interfaces[f->out_interface];
	const struct route_neighbour *n = route_neighbour_find(p->routes, out->link, &f->next_hop);

	if (!n || (n->state != ROUTE_NEIGHBOUR_VALID && n->state != ROUTE_NEIGHBOUR_STALE))
		return false;
	if (n->state == ROUTE_NEIGHBOUR_STALE)
		neighbour_confirm(p, out->link, &f->next_hop);
	neighbour_use(p, out->link, &f->next_hop, n->mac);
	memcpy(ret_mac, n->mac, 6);
	memcpy(ret_mac + 6, out->mac, 6);
	return true;
}

/* ---- placing ---- */

/* The interface that packets of a direction come by; before the first one, the one by which the other direction leaves. */
static uint32_t comes_by(const struct fw_session *s, uint32_t d)
{
	return s->interface[d] == (uint16_t)TRAIN_NONE ? s->forwarding[1 - d].out_interface : s->interface[d];
}

static struct carry_key key_of(const struct pipeline *p, const struct fw_session *s, uint32_t d)
{
	struct carry_key k = { .interface = p->interfaces[comes_by(s, d)].link };

	memcpy(k.src, s->key[d].src, sizeof k.src);
	memcpy(k.dst, s->key[d].dst, sizeof k.dst);
	store_be16(&k.src_port, s->key[d].src_port);
	store_be16(&k.dst_port, s->key[d].dst_port);
	return k;
}

/* As the packets of direction d leave: the reverse of what comes in the other one. */
static struct carry_way way_of(const struct pipeline *p, const struct fw_session *s, uint32_t d)
{
	const struct fw_forwarding *f = &s->forwarding[d];
	const struct fw_key *back = &s->key[1 - d];
	int dscp = fw_session_dscp(p->fw, s);
	struct carry_way w = { .interface = p->interfaces[f->out_interface].link,
		.mtu = (uint16_t)MIN_OF(forward_link_mtu(p, f, back->family), (uint32_t)UINT16_MAX),
		.flags = (s->flags & FW_SESSION_TRANSLATED ? CARRY_TRANSLATES : 0) |
			 (dscp >= 0 ? CARRY_MARKS : 0),
		.dscp = dscp >= 0 ? (uint8_t)dscp : 0 };

	memcpy(w.src, back->dst, sizeof w.src);
	memcpy(w.dst, back->src, sizeof w.dst);
	store_be16(&w.src_port, back->dst_port);
	store_be16(&w.dst_port, back->src_port);
	return w;
}

/* Is direction d decided, from an Ethernet link to one, by what is true now? */
static bool way_is_known(const struct pipeline *p, const struct fw_session *s, uint32_t d)
{
	const struct fw_forwarding *f = &s->forwarding[d];

	if (f->generation != pipeline_generation(p) || f->tunnel != TRAIN_NONE ||
		f->out_interface >= p->snapshot->interfaces.count ||
		comes_by(s, d) >= p->snapshot->interfaces.count || p->zone_has_tunnels[s->zones.zone[d]])
		return false;
	const struct pipeline_interface *in = &p->interfaces[comes_by(s, d)],
					*out = &p->interfaces[f->out_interface];
	return in->link != ROUTE_NONE && !in->bare && in->zone == s->zones.zone[d] && out->up && !out->bare &&
	       out->link != ROUTE_NONE;
}

/*
 * A tunnel over UDP that is translated. Where a virtual machine or a container leaves the checksum of the packet inside to the NIC,
 * the one outside is complete, and the kernel's programs would change it as one that is not.
 */
static bool is_translated_tunnel(const struct fw_session *s)
{
	static const uint16_t ports[] = { 4789, 6081,
		8472 }; /* RFC 7348, RFC 8926, Linux's first for VXLAN */

	if (s->key[0].proto != IP_UDP || !(s->flags & FW_SESSION_TRANSLATED))
		return false;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		for (int d = 0; d < 2; d++)
			if (s->key[d].dst_port == ports[i] || s->key[d].src_port == ports[i])
				return true;
	return false;
}

/* One that is not established, or UDP, is not always worth it, and not at any price. */
static bool is_worth_it(const struct pipeline *p, const struct fw_session *s)
{
	struct carry *c = p->carried.carry;

	if (s->key[0].proto != IP_TCP)
		return s->packets[0] + s->packets[1] >= CARRIED_AFTER;
	return s->state >= FW_TCP_ESTABLISHED ||
	       carry_opening(c, p->now) < carry_records(c) / CARRIED_OPENING;
}

static void place(struct pipeline *p, uint32_t index)
{
	struct carried *c = &p->carried;
	const struct fw_session *s = fw_session(p->fw, index);
	struct carry_entry e;

	if (!s || pipeline_carries(p, index, s) || !is_worth_it(p, s) ||
		!fw_session_may_be_carried(p->fw, index, p->now) || screen_watches(p, s) ||
		is_translated_tunnel(s) || !way_is_known(p, s, 0) || alg_may_read(p, s) ||
		(s->state == FW_TCP_SYN_SENT && !forward_answers(p, index)) || !way_is_known(p, s, 1))
		return;
	if (fw_is_carried(s))
		carried_sync(p, index); /* removes what is no link */
	e = (struct carry_entry){ .key = { key_of(p, s, 0), key_of(p, s, 1) },
		.way = { way_of(p, s, 0), way_of(p, s, 1) },
		.family = s->key[0].family,
		.proto = s->key[0].proto,
		.session = index,
		.id = s->id };
	if (!link_addresses(p, &s->forwarding[0], e.way[0].mac) ||
		!link_addresses(p, &s->forwarding[1], e.way[1].mac))
		return;
	if (s->key[0].proto == IP_TCP) {
		e.side[0] = side_of(s, 0);
		e.side[1] = side_of(s, 1);
		e.tcp = tcp_of(s);
		e.mss = (uint16_t)MIN_OF(fw_session_mss(p->fw, s), (uint32_t)UINT16_MAX);
	}
	uint32_t link = carry_place(c->carry, fw_is_carried(s) ? s->carried : 0, &e, p->now);
	fw_session_link(p->fw, index, link);
	c->placed += link != 0;
	c->no_room += link == 0;
	if (link != 0 && p->now >= c->beat_at) {
		carry_beat(c->carry, p->now);
		c->beat_at = p->now + CARRY_BEAT_NS;
	}
}

void carried_offer(struct pipeline *p, const struct train *t)
{
	struct carried *c = &p->carried;

	if (!c->carry || t->session == TRAIN_NONE || (t->proto != IP_TCP && t->proto != IP_UDP) ||
		t->flags & (TRAIN_ICMP_ERROR | TRAIN_FROM_TUNNEL | TRAIN_FROM_HOST) ||
		c->offers_n == TRAIN_BURST_MAX ||
		(c->offers_n > 0 && c->offers[c->offers_n - 1] == t->session))
		return;
	c->offers[c->offers_n++] = t->session;
}

/* Those of TCP before the burst is sent, if they are not established: their answers may come while it is. */
void carried_burst(struct pipeline *p, bool is_sent)
{
	struct carried *c = &p->carried;
	bool places = p->snapshot && p->snapshot->offload && !p->trace.on && !p->capture.ring;

	for (uint32_t i = 0; places && i < c->offers_n; i++) {
		const struct fw_session *s = fw_session(p->fw, c->offers[i]);
		bool opens = s && s->key[0].proto == IP_TCP && s->state < FW_TCP_ESTABLISHED;
		if (opens != is_sent)
			place(p, c->offers[i]);
	}
	if (is_sent)
		c->offers_n = 0;
}

/* ---- between bursts ---- */

struct noted {
	uint32_t link, session, id;
};

static void note_read(struct pipeline *p, const struct noted *n, mono_ns now)
{
	const struct fw_session *s = fw_session(p->fw, n->session);

	if (!s || s->carried != n->link || s->id != n->id)
		return;
	/* Its packets count for the rule that it is under now. */
	s = fw_session_current(p->fw, n->session, now);
	if (s && is_over(s))
		carried_end(p, n->session);
}

/* Connections that the programs have opened or closed, before anything is decided: half-open ones are counted and closed ones
 * give their ports to the next. Records and sessions are in no cache: those of many notes are fetched at once. */
void carried_notes(struct pipeline *p, mono_ns now)
{
	struct carried *c = &p->carried;
	struct noted notes[CARRIED_FETCH];
	uint32_t n = CARRIED_FETCH;
	bool lost = false;

	if (!c->carry)
		return;
	c->now = now;
	while (n == CARRIED_FETCH) {
		carry_notes_fetch(c->carry, CARRIED_FETCH);
		for (n = 0; n < CARRIED_FETCH; n++) {
			notes[n].link = carry_noted(c->carry, &notes[n].session, &notes[n].id, &lost);
			if (notes[n].link == 0)
				break;
			fw_session_fetch(p->fw, notes[n].session);
		}
		for (uint32_t i = 0; i < n; i++)
			note_read(p, &notes[i], now);
	}
	if (lost)
		c->pass_at = now;
}

void pipeline_carry_check(struct pipeline *p)
{
	if (!p->carried.carry || p->carried.generation == pipeline_generation(p))
		return;
	p->carried.generation = pipeline_generation(p);
	carry_epoch_next(&p->carried.tables);
}

void pipeline_carry_pass(struct pipeline *p)
{
	if (p->carried.carry)
		carry_epoch_next(&p->carried.tables);
}

/* One record: what has passed; or it is taken back, since its session is gone, nothing is to be carried, or room is short. */
static void record_visit(struct pipeline *p, uint32_t link, uint32_t index, uint32_t id)
{
	struct carried *c = &p->carried;
	const struct fw_session *s = fw_session(p->fw, index);

	if (s && s->carried == link && s->id == id) {
		s = fw_session_current(p->fw, index, c->now);
		if (!s)
			return; /* a new policy has ended it */
		if (is_over(s)) {
			carried_end(p, index);
			return;
		}
		bool is_short = carry_used(c->carry) > carry_records(c->carry) / 8 * 7;
		if (!p->snapshot->offload || (is_short && c->now > s->last_seen + CARRIED_IDLE))
			carried_end(p, index);
	} else if (fw_counters(p->fw)->adoption_left == 0) {
		carry_stop(c->carry, link);
		carry_give(c->carry, link, c->now);
	}
}

mono_ns pipeline_carry_timers(struct pipeline *p, mono_ns now)
{
	struct carried *c = &p->carried;
	uint32_t budget = CARRIED_BUDGET, link, index, id;

	if (!c->carry || !p->snapshot)
		return UINT64_MAX;
	carried_notes(p, now);
	if (now >= c->beat_at) {
		carry_beat(c->carry, now);
		c->beat_at = now + CARRY_BEAT_NS;
	}
	if (now >= c->pass_at) {
		neighbours_confirm(p, now);
		c->pass_at = now + NS_PER_S;
		c->walking = true;
		c->cursor = 0;
	}
	while (c->walking && (link = carry_next(c->carry, &c->cursor, &budget, &index, &id)) != 0)
		record_visit(p, link, index, id);
	c->walking = c->cursor < carry_records(c->carry);
	if (c->walking)
		return now;
	return carry_used(c->carry) > 0 ? MIN_OF(c->beat_at, c->pass_at) : c->pass_at;
}

bool pipeline_carry(struct pipeline *p, const struct carry_tables *tables)
{
	struct carried *c = &p->carried;
	struct carry *carry = tables ? carry_new(tables, p->worker, p->workers) : NULL;

	if (tables && !carry)
		return false;
	carry_free(c->carry);
	*c = (struct carried){ .carry = carry,
		.carrier = { p, carried_sync, carried_end },
		.packets = c->packets,
		.placed = c->placed,
		.taken_back = c->taken_back,
		.no_room = c->no_room };
	if (tables)
		c->tables = *tables;
	fw_set_carrier(p->fw, &c->carrier);
	return true;
}
