/*
 * Messages of SIP: media are expected, what registers is kept, and where an end is translated its addresses are
 * rewritten for the other side, and back. What an end says of third parties is left as it is, and opens nothing.
 */
#include "alg/sip.h"
#include "base/siphash.h"
#include "proc/dataplane/alg.h"
#include "wire/payload.h"

#include <assert.h>

enum { CALL_OCTETS = 128 };

/* A datagram while it is read. */
struct reading {
	struct pipeline *p;
	struct train *t;
	const struct fw_session *s;
	uint32_t d;
	struct endpoint own[2], seen[2]; /* the ends, and what the other side knows them as */
	const struct sip_message *m;
	struct endpoint to[SIP_PLACES_MAX];
	bool changes;
};

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return addr_equal(&a->addr, &b->addr) && a->port == b->port;
}

static void place_put(struct reading *g, uint32_t place, const struct endpoint *to)
{
	g->to[place] = *to;
	g->changes = true;
}

/* The call, of several of one session; never 0. Its first octets tell it: whoever makes two alike has them ended together. */
static uint32_t call_of(const struct reading *g, const uint8_t *bytes)
{
	uint8_t first[CALL_OCTETS] = { 0 };

	memcpy(first, bytes + g->m->call_at, MIN_OF((size_t)g->m->call_n, sizeof first));
	return (uint32_t)siphash13(g->p->hash_key, first, sizeof first) | 1;
}

/* False: media of a translated end cannot be expected. */
static bool media_expect(struct reading *g, uint32_t call)
{
	struct expectation e[SIP_EXPECT_MAX];
	uint8_t place[SIP_EXPECT_MAX];
	bool translated = fw_session_end_translated(g->s, g->d);
	size_t n = sip_expectations(g->m, &g->own[g->d].addr, (uint8_t)g->d, e, place);

	for (size_t i = 0; i < n; i++) {
		struct endpoint told;
		e[i].call = call;
		if (e[i].from == 0) /* who began the session sends its media itself */
			e[i].src = g->own[0].addr;
		bool made = alg_expect(g->p, g->t, &e[i], &told);
		if (!made && translated)
			return false;
		if (made && translated)
			place_put(g, place[i], &told);
	}
	return true;
}

/* Addresses of the sender become those that the receiver knows; what the sender knows the receiver as becomes its own. */
static void addresses_translate(struct reading *g)
{
	uint32_t d = g->d, r = 1 - d;

	for (uint32_t i = 0; i < g->m->places_n; i++) {
		const struct sip_place *place = &g->m->place[i];
		const struct endpoint e = sip_place_endpoint(place);
		if (!sip_place_in_header(place)) {
			if (place->has_addr && addr_equal(&place->e.addr, &g->own[d].addr) &&
				fw_session_end_translated(g->s, d))
				place_put(g, i, &g->seen[d]);
		} else if (same(&e, &g->own[d]) && fw_session_end_translated(g->s, d)) {
			place_put(g, i, &g->seen[d]);
		} else if (same(&e, &g->seen[r]) && fw_session_end_translated(g->s, r)) {
			place_put(g, i, &g->own[r]);
		}
	}
}

static uint32_t zone_of(const struct fw_session *s)
{
	return MIN_OF(s->zones.zone[0], (uint16_t)ZONES_MAX);
}

/* All places are taken: of the zone whose hosts began most of these sessions the one that was idle longest ends by its timeout. */
static uint32_t keep_give_way(struct pipeline *p, const uint32_t of_zone[ZONES_MAX + 1])
{
	struct alg_state *a = p->alg;
	uint32_t most = 0, victim = ALG_SIP_MAX;
	mono_ns seen = UINT64_MAX;

	for (uint32_t zone = 1; zone <= ZONES_MAX; zone++)
		if (of_zone[zone] > of_zone[most])
			most = zone;
	for (uint32_t i = 0; i < ALG_SIP_MAX; i++) {
		const struct fw_session *s = fw_session(p->fw, a->kept[i].session);
		if (zone_of(s) == most && s->last_seen < seen) {
			victim = i;
			seen = s->last_seen;
		}
	}
	assert(victim < ALG_SIP_MAX);
	fw_session_keep(p->fw, a->kept[victim].session, 0, p->now);
	p->alg_full++;
	return victim;
}

/* A place for one more session that is kept; false: its source has its half. */
static bool keep_place(struct pipeline *p, uint32_t session, const struct fw_session *s)
{
	struct alg_state *a = p->alg;
	struct ip_addr source = addr_source(fw_key_src(&s->key[0]));
	uint32_t free = ALG_SIP_MAX, of_source = 0, of_zone[ZONES_MAX + 1] = { 0 };

	for (uint32_t i = 0; i < ALG_SIP_MAX; i++) {
		const struct fw_session *owner = a->kept[i].id ? fw_session(p->fw, a->kept[i].session) : NULL;
		if (!owner || owner->id != a->kept[i].id || a->kept[i].session == session) {
			a->kept[i].id = 0;
			free = i;
		} else {
			of_source += addr_equal(&a->kept[i].source, &source);
			of_zone[zone_of(owner)]++;
		}
	}
	if (of_source >= ALG_SIP_MAX / 2) {
		p->alg_full++;
		return false;
	}
	if (free == ALG_SIP_MAX)
		free = keep_give_way(p, of_zone);
	a->kept[free].session = session;
	a->kept[free].id = s->id;
	a->kept[free].source = source;
	return true;
}

/* An answer that ends a registration or begins a call, when both sides have sent something: the source of one that nobody has
 * answered may be forged. */
static void keep(struct reading *g)
{
	uint32_t seconds;

	if (!sip_keeps(g->m, &seconds) || g->s->parent || !(g->s->flags & FW_SESSION_CONFIRMED))
		return;
	if (g->m->answers == SIP_INVITE && g->s->timeout_s > 0)
		return; /* it is kept already */
	if (g->m->answers == SIP_REGISTER && g->d == 0)
		return;
	if (seconds == 0 || keep_place(g->p, g->t->session, g->s))
		fw_session_keep(g->p->fw, g->t->session, seconds, g->p->now);
}

static enum drop_reason rewrite(struct reading *g)
{
	struct train *t = g->t;
	const uint8_t *bytes = t->ip + t->payload_offset;

	if (!g->changes)
		return DROP_NONE;
	if (!alg_text_room(g->p, t))
		return t->drop ? t->drop : DROP_ALG_REFUSED;
	size_t n = sip_rewrite(g->m, bytes, g->to, t->ip + t->payload_offset, alg_text_room_n(t));
	if (n == 0)
		return DROP_ALG_REFUSED;
	train_payload_replaced(t, (uint32_t)n);
	return DROP_NONE;
}

static void ends_of(struct reading *g)
{
	for (uint32_t side = 0; side < 2; side++) {
		g->own[side] = (struct endpoint){ .addr = fw_key_src(&g->s->key[side]),
			.port = g->s->key[side].src_port };
		g->seen[side] = (struct endpoint){ .addr = fw_session_end_seen(g->s, side),
			.port = g->s->key[1 - side].dst_port };
	}
}

enum drop_reason alg_sip_read(struct pipeline *p, struct train *t, const struct fw_session *s)
{
	struct reading g = { .p = p, .t = t, .s = s, .d = t->flags & TRAIN_REPLY ? 1 : 0 };
	const uint8_t *bytes = t->ip + t->payload_offset;
	struct sip_message m;

	if (t->segment_size)
		return DROP_ALG_ORDER; /* several in one train: each is sent again */
	if (!sip_parse(&m, bytes, t->len - t->payload_offset))
		return DROP_NONE;
	g.m = &m;
	ends_of(&g);
	uint32_t call = call_of(&g, bytes);
	if (m.method == SIP_BYE || m.method == SIP_CANCEL)
		fw_expect_end(p->fw, t->session, call);
	keep(&g);
	addresses_translate(&g);
	return media_expect(&g, call) ? rewrite(&g) : DROP_ALG_REFUSED;
}
