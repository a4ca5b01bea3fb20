/*
 * Expectations: sessions that an application layer gateway has read off a permitted one, their parent
 * (wire/expectation.h). The first packet of such a session is permitted by the parent's rule, once. The table is
 * private to the process: what was expected when it ends is asked for again by the application.
 *
 * An expectation ends with its parent, with its time, or with the session that it was made for. Each parent has
 * FW_EXPECT_PARENT of them, each source that began parents a half of the table; in a full one the zone whose
 * hosts began most of them gives way.
 */
#include "firewall/internal.h"

#include <assert.h>

/* What is over ends. */
static void overdue_end(struct firewall *fw, mono_ns now)
{
	mono_ns soonest = UINT64_MAX;

	if (now < fw->expect_soonest)
		return;
	for (uint32_t i = 0; i < FW_EXPECT_MAX; i++) {
		if (fw->expect_until[i] <= now)
			fw_expected_end(fw, i);
		soonest = MIN_OF(soonest, fw->expect_until[i]);
	}
	fw->expect_soonest = soonest;
}

static bool is_same(const struct fw_expected *a, const struct fw_expected *b)
{
	return a->proto == b->proto && a->to_port == b->to_port && addr_equal(&a->to, &b->to) &&
	       a->from == b->from && a->src_port == b->src_port && a->dst_port == b->dst_port &&
	       addr_equal(&a->src, &b->src) && addr_equal(&a->dst, &b->dst);
}

/* Of those of this parent: the same one, or the oldest if it has as many as it may; FW_NONE: neither. */
static uint32_t own_find(const struct firewall *fw, const struct fw_expected *wanted)
{
	uint32_t own = 0, oldest = FW_NONE;

	for (uint32_t i = fw_expected_own_first(fw, wanted->parent); i != FW_NONE;
		i = fw->expected[i].own_next) {
		const struct fw_expected *x = &fw->expected[i];
		if (x->parent != wanted->parent)
			continue;
		if (is_same(x, wanted))
			return i;
		own++;
		if (oldest == FW_NONE || x->until < fw->expected[oldest].until)
			oldest = i;
	}
	return own >= fw_expected_of_parent(wanted) ? oldest : FW_NONE;
}

/* In a full table the one that ends first of the zone that has most: a request of TFTP is one datagram, and so many
 * sources as have half of the table are soon forged. */
static uint32_t victim_find(const struct firewall *fw)
{
	uint32_t most = 0, victim = FW_NONE;

	for (uint32_t zone = 1; zone <= ZONES_MAX; zone++)
		if (fw->expect_of_zone[zone] > fw->expect_of_zone[most])
			most = zone;
	for (uint32_t i = 0; i < FW_EXPECT_MAX; i++)
		if (fw->expect_zone[i] == most &&
			(victim == FW_NONE || fw->expect_until[i] < fw->expect_until[victim]))
			victim = i;
	return victim;
}

/* A free place for this one, after others have given way. False: its source has its half. */
static bool room_make(struct firewall *fw, const struct fw_expected *wanted, mono_ns now)
{
	overdue_end(fw, now);
	uint32_t victim = own_find(fw, wanted);
	if (victim == FW_NONE && fw_expected_of_source(fw, wanted) >= FW_EXPECT_MAX / 2)
		return false;
	if (victim == FW_NONE && fw->expect_free == FW_NONE)
		victim = victim_find(fw);
	if (victim != FW_NONE)
		fw_expected_end(fw, victim);
	return true;
}

/* A datagram to the port that its parent was sent from: the session begins by the parent's own translation. */
static bool is_answer(const struct fw_session *s, const struct expectation *e)
{
	struct ip_addr client = fw_key_src(&s->key[0]);

	return e->from == 1 && e->proto == IP_UDP && s->key[0].proto == IP_UDP &&
	       addr_equal(&e->dst, &client) && e->dst_port == s->key[0].src_port;
}

static bool expect(struct firewall *fw, const struct fw_expected *x, mono_ns now)
{
	if (!room_make(fw, x, now)) {
		fw->counters.expectations_refused++;
		return false;
	}
	fw_expected_begin(fw, x);
	return true;
}

bool fw_expect(struct firewall *fw, uint32_t parent, const struct expectation *e, mono_ns now,
	struct endpoint *ret_told)
{
	const struct fw_session *s = fw_session(fw, parent);

	assert(s && e->from < 2);
	struct fw_expected x = { .used = true,
		.parent = parent,
		.source = addr_source(fw_key_src(&s->key[0])),
		.src = e->src,
		.dst = e->dst,
		.src_port = e->src_port,
		.dst_port = e->dst_port,
		.proto = e->proto,
		.from = e->from,
		.alg = e->alg,
		.call = e->call,
		.answers = is_answer(s, e),
		.until = now + (uint64_t)e->lifetime_s * NS_PER_S };
	/* The gateway's own sessions need no help. One that came in by a binding gets none: its filtering decides. */
	if (s->zones.zone[0] == FW_ZONE_HOST || s->zones.zone[1] == FW_ZONE_HOST ||
		s->flags & FW_SESSION_INWARD)
		return false;
	overdue_end(fw, now);
	if (x.answers) {
		x.dst = fw_key_dst(&s->key[1]);
		x.dst_port = s->key[1].dst_port;
	} else if (!fw_expected_translate(fw, s, &x)) {
		return false;
	}
	*ret_told = (struct endpoint){ .addr = x.dst, .port = x.dst_port };
	if (!expect(fw, &x, now))
		return false;
	x.dst_port++;
	x.to_port = x.to.family == ADDR_NONE ? 0 : (uint16_t)(x.to_port + 1);
	return !e->pair || expect(fw, &x, now);
}

void fw_expect_end(struct firewall *fw, uint32_t parent, uint32_t call)
{
	uint32_t i = fw->place[parent].expects > 0 ? fw_expected_own_first(fw, parent) : FW_NONE;

	for (uint32_t next; i != FW_NONE; i = next) {
		next = fw->expected[i].own_next;
		if (fw->expected[i].parent == parent && fw->expected[i].call == call)
			fw_expected_end(fw, i);
	}
}

uint32_t fw_expect_told(struct firewall *fw, const struct train *t, uint32_t to, mono_ns now)
{
	if (fw->counters.expectations_now == 0 || t->proto != IP_UDP)
		return FW_NONE;
	uint32_t i = fw_expected_told_first(fw, &t->src, t->src_port, t->proto);
	for (; i != FW_NONE; i = fw->expected[i].told_next) {
		const struct fw_expected *x = &fw->expected[i];
		if (!x->used || x->proto != IP_UDP || x->to_port != t->src_port ||
			!addr_equal(&x->to, &t->src) || x->until <= now)
			continue;
		const struct fw_session *s = &fw->sessions[x->parent];
		uint32_t called = 1u - x->from;
		if (fw_session_judge(fw, x->parent, now) && s->zones.zone[called] == fw_zone_in(t) &&
			s->zones.zone[x->from] == to)
			return i;
	}
	return FW_NONE;
}

uint32_t fw_expect_find(struct firewall *fw, const struct train *t, mono_ns now)
{
	if (fw->counters.expectations_now == 0 || !fw_expected_may_begin(t))
		return FW_NONE;
	uint32_t i = fw_expected_first(fw, &t->dst, t->dst_port, t->proto);
	for (; i != FW_NONE; i = fw->expected[i].next) {
		const struct fw_expected *x = &fw->expected[i];
		if (!x->used || x->proto != t->proto || x->dst_port != t->dst_port ||
			!addr_equal(&x->dst, &t->dst) ||
			(x->src.family != ADDR_NONE && !addr_equal(&x->src, &t->src)) ||
			(x->src_port && x->src_port != t->src_port) || x->until <= now)
			continue;
		/* A parent that the policy does not permit any more ends, and what it let expect with it. */
		const struct fw_session *s = &fw->sessions[x->parent];
		if (fw_session_judge(fw, x->parent, now) && s->zones.zone[x->from] == fw_zone_in(t))
			return i;
	}
	return FW_NONE;
}

struct fw_dnat fw_expected_dnat(struct firewall *fw, const struct train *t, mono_ns now)
{
	uint32_t i = fw_expect_find(fw, t, now);
	struct fw_dnat d = { .rule = TRAIN_NONE };

	if (i == FW_NONE || fw->expected[i].to.family == ADDR_NONE)
		return d;
	d.dst = fw->expected[i].to;
	d.port = fw->expected[i].to_port;
	d.expected = true;
	return d;
}
