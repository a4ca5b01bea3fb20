/*
 * The ring of log records, of rules with `log` and zones with `host-inbound-log`. The shell drains it;
 * records that do not fit are counted as suppressed.
 *
 * Strangers' packets cause records where a rule asks for them: each rule and each zone has a token bucket,
 * and there is one for all together. Records without a token are counted, and reported every
 * FW_LOG_SUPPRESSED_EVERY. The buckets are one set for all workers, joined by fw_join(); each counts what it suppresses.
 */
#include "base/rate.h"
#include "firewall/internal.h"

#include <assert.h>
#include <stdio.h>

const char *fw_end_name(enum fw_end e)
{
	return session_end_name((enum session_end)e);
}

static void name_put(char ret_name[NAME_MAX_BYTES], const struct snapshot *s, uint32_t zone)
{
	if (zone == FW_ZONE_HOST)
		memcpy(ret_name, "host", sizeof "host");
	else if (zone < s->zones.count)
		memcpy(ret_name, snap_zones(s)[zone].name, NAME_MAX_BYTES);
}

/* Names from the policy that decided: the record outlives it. */
static void names_put(struct fw_log *l, const struct fw_policy *p)
{
	if (!p)
		return;
	if (l->rule < p->snapshot->rules.count) {
		memcpy(l->rule_name, snap_rules(p->snapshot)[l->rule].name, NAME_MAX_BYTES);
		l->rule_id = snap_rules(p->snapshot)[l->rule].id;
	}
	for (int d = 0; d < 2; d++)
		name_put(l->zone_name[d], p->snapshot, l->zone[d]);
}

static struct fw_log *log_place(struct firewall *fw)
{
	assert(fw->log_head - fw->log_tail <= FW_LOG_RING);
	return fw->log_head - fw->log_tail == FW_LOG_RING ? NULL : &fw->log[fw->log_head++ % FW_LOG_RING];
}

/* Rules and zones with suppressed records. */
static uint64_t *suppressed_n(const struct fw_policy *p)
{
	return &p->log_suppressed[p->snapshot->rules.count + p->snapshot->zones.count];
}

/* A place for a record of a rule, or of a zone when rule is TRAIN_NONE. NULL: suppressed. */
static struct fw_log *log_room(
	struct firewall *fw, const struct fw_policy *p, uint32_t rule, uint32_t zone, mono_ns now)
{
	const struct snapshot *s = p->snapshot;
	struct fw_log_rates *rates = fw->all[0]->log_rates;
	struct fw_log *l = NULL;

	assert(rule < s->rules.count || zone < s->zones.count);
	mono_ns *each = rule < s->rules.count ? &rates->rule[rule] : &rates->zone[zone];
	if (rate_shared_left(&rates->all, FW_LOG_ALL_PER_SECOND, FW_LOG_ALL_BURST, now) &&
		rate_shared_take(each, FW_LOG_PER_SECOND, FW_LOG_BURST, now) &&
		rate_shared_take(&rates->all, FW_LOG_ALL_PER_SECOND, FW_LOG_ALL_BURST, now))
		l = log_place(fw);
	if (l)
		return l;
	uint64_t *suppressed = &p->log_suppressed[rule < s->rules.count ? rule : s->rules.count + zone];
	*suppressed_n(p) += *suppressed == 0;
	++*suppressed;
	fw->counters.log_records_suppressed++;
	if (fw->log_report_at == 0)
		fw->log_report_at = now + FW_LOG_SUPPRESSED_EVERY;
	return NULL;
}

static void session_put(struct firewall *fw, const struct fw_policy *p, const struct fw_session *s,
	const struct fw_log *about)
{
	struct fw_log *l = log_room(fw, p, s->rule, s->zones.zone[0], about->at);

	assert(s->live == FW_SESSION_LIVE);
	if (!l)
		return;
	*l = *about;
	l->rule = s->rule;
	l->session_id = s->id;
	l->zone[0] = s->zones.zone[0];
	l->zone[1] = s->zones.zone[1];
	memcpy(l->key, s->key, sizeof l->key);
	l->source_translated = fw_source_translated(s);
	l->destination_translated = fw_destination_translated(s);
	l->begun = s->created;
	memcpy(l->packets, s->packets, sizeof l->packets);
	memcpy(l->bytes, s->bytes, sizeof l->bytes);
	snprintf(l->tunnel_name, sizeof l->tunnel_name, "%s", fw_session_tunnel_name(fw, s));
	names_put(l, p);
}

void fw_log_begin(struct firewall *fw, const struct fw_session *s, mono_ns now)
{
	if (fw_rule_flags(fw->policy, s->rule) & RULE_LOG_INIT)
		session_put(fw, fw->policy, s, &(struct fw_log){ .kind = FW_LOG_INIT, .at = now });
}

void fw_log_close(struct firewall *fw, const struct fw_policy *p, const struct fw_session *s, enum fw_end why,
	mono_ns now)
{
	if (fw_rule_flags(p, s->rule) & RULE_LOG_CLOSE)
		session_put(fw, p, s, &(struct fw_log){ .kind = FW_LOG_CLOSE, .end = why, .at = now });
}

static void deny_put(struct firewall *fw, const struct train *t, uint32_t rule, uint32_t to, mono_ns now)
{
	struct fw_log *l = log_room(fw, fw->policy, rule, fw_zone_in(t), now);

	if (!l)
		return;
	*l = (struct fw_log){ .kind = FW_LOG_DENY,
		.drop = t->drop,
		.rule = rule,
		.zone = { (uint16_t)fw_zone_in(t), (uint16_t)to },
		.key = { fw_key_of(t) },
		.at = now,
		.packets = { train_packets(t) },
		.bytes = { train_bytes(t) } };
	l->permits = rule != TRAIN_NONE && snap_rules(fw->policy->snapshot)[rule].action == RULE_PERMIT;
	names_put(l, fw->policy);
}

void fw_log_deny(struct firewall *fw, const struct train *t, mono_ns now)
{
	if (fw_rule_flags(fw->policy, t->rule) & (RULE_LOG_INIT | RULE_LOG_CLOSE))
		deny_put(fw, t, t->rule, t->out_zone, now);
}

void fw_log_host_begin(struct firewall *fw, const struct train *t, mono_ns now)
{
	if (t->proto != IP_TCP || !(fw_rule_flags(fw->policy, t->rule) & RULE_LOG_INIT))
		return;
	struct fw_log *l = log_room(fw, fw->policy, t->rule, t->in_zone, now);
	if (!l)
		return;
	*l = (struct fw_log){ .kind = FW_LOG_INIT,
		.rule = t->rule,
		.zone = { (uint16_t)t->in_zone, FW_ZONE_HOST },
		.key = { fw_key_of(t) },
		.at = now,
		.begun = now };
	l->key[1] = fw_key_reverse(&l->key[0]);
	names_put(l, fw->policy);
}

void fw_host_refused(struct firewall *fw, const struct train *t, mono_ns now)
{
	const struct snapshot *s = fw_policy(fw);

	if (s && t->in_zone < s->zones.count && snap_zones(s)[t->in_zone].flags & ZONE_LOG_HOST_INBOUND)
		deny_put(fw, t, TRAIN_NONE, FW_ZONE_HOST, now);
}

/* Not a matter of the policy's rule, which permits the packet, nor of its `log`: the pool is too small, or somebody uses it
 * up. Packets since the last record are in the next one. */
void fw_log_exhausted(struct firewall *fw, uint32_t nat_rule, const struct train *t,
	const struct ip_addr *nat_addr, enum drop_reason why, mono_ns now)
{
	bool limited = why == DROP_NAT_BLOCK_LIMIT;

	fw->nat_exhausted = nat_rule;
	if (nat_rule == TRAIN_NONE)
		return;
	const struct snap_nat_rule *rule = &snap_nat_rules(fw->policy->snapshot)[nat_rule];
	struct fw_log_exhausted *e = &fw->policy->nat_exhausted[2 * nat_rule + limited];
	fw_hits_of(&fw->policy->hits[FW_LIST_NAT], nat_rule)->exhausted += !limited;
	e->packets++;
	struct fw_log *l = now >= e->next ? log_place(fw) : NULL;
	if (!l)
		return;
	*l = (struct fw_log){ .kind = FW_LOG_EXHAUSTED,
		.drop = why,
		.rule = TRAIN_NONE,
		.zone = { (uint16_t)fw_zone_in(t), (uint16_t)t->out_zone },
		.key = { fw_key_of(t) },
		.nat_pool = rule->action == NAT_POOL ? rule->pool : (struct ip_range){ *nat_addr, *nat_addr },
		.nat_pools_more = rule->pool_more.count,
		.at = now,
		.suppressed = e->packets };
	memcpy(l->nat_rule_name, rule->name, NAME_MAX_BYTES);
	names_put(l, fw->policy);
	*e = (struct fw_log_exhausted){ .next = now + FW_LOG_EXHAUSTED_EVERY };
}

bool fw_log_screen(struct firewall *fw, const struct train *t, enum drop_reason which, const char *screen,
	bool passed, uint64_t packets, mono_ns now)
{
	struct fw_log *l = log_place(fw);

	if (!l)
		return false;
	*l = (struct fw_log){ .kind = FW_LOG_SCREEN,
		.drop = which,
		.permits = passed,
		.rule = TRAIN_NONE,
		.zone = { (uint16_t)t->in_zone, FW_ZONE_GONE },
		.at = now,
		.suppressed = packets };
	if (t->src.family != ADDR_NONE && t->dst.family == t->src.family)
		l->key[0] = fw_key_of(t);
	snprintf(l->rule_name, sizeof l->rule_name, "%s", screen);
	names_put(l, fw->policy);
	return true;
}

/* One record for each rule and zone with suppressed records. False: not all of them fit the ring. */
static bool suppressed_put(struct firewall *fw, struct fw_policy *p, mono_ns now)
{
	const struct snapshot *s = p ? p->snapshot : NULL;
	bool all = true;

	for (uint32_t i = 0; s && *suppressed_n(p) > 0 && i < s->rules.count + s->zones.count; i++) {
		uint64_t *suppressed = &p->log_suppressed[i];
		struct fw_log *l = *suppressed ? log_place(fw) : NULL;
		all &= l || !*suppressed;
		if (!l)
			continue;
		const struct snap_rule *rule = i < s->rules.count ? &snap_rules(s)[i] : NULL;
		*l = (struct fw_log){ .kind = FW_LOG_SUPPRESSED,
			.rule = rule ? i : TRAIN_NONE,
			.at = now,
			.suppressed = *suppressed };
		if (rule) {
			memcpy(l->rule_name, rule->name, NAME_MAX_BYTES);
			l->rule_id = rule->id;
		}
		name_put(l->zone_name[0], s, rule ? rule->from_zone : i - s->rules.count);
		name_put(l->zone_name[1], s, rule ? rule->to_zone : FW_ZONE_HOST);
		*suppressed = 0;
		--*suppressed_n(p);
	}
	return all;
}

void fw_log_report_suppressed(struct firewall *fw, mono_ns now)
{
	bool all = suppressed_put(fw, fw->retired, now);

	if (all) {
		fw_policy_discard(fw, fw->retired);
		fw->retired = NULL;
	}
	all &= suppressed_put(fw, fw->policy, now);
	fw->log_report_at = all ? 0 : now + FW_LOG_SUPPRESSED_EVERY;
}

void fw_log_policy_retire(struct firewall *fw, struct fw_policy *p, mono_ns now)
{
	assert(!p || (p != fw->policy && p != fw->retired));
	fw_policy_discard(fw, fw->retired);
	fw->retired = p;
	if (fw->log_report_at == 0)
		fw_log_report_suppressed(fw, now); /* nothing was suppressed */
	else
		fw->log_report_at =
			now; /* once the ring, full of the sessions that just ended, has been drained */
}

void fw_log_report_due(struct firewall *fw, mono_ns now)
{
	if (fw->log_report_at != 0 && now >= fw->log_report_at)
		fw_log_report_suppressed(fw, now);
}

/* ---- blocks of ports ---- */

/* For a record, and for the one that says how many before it were lost. */
bool fw_log_has_room(const struct firewall *fw)
{
	return fw->log_head - fw->log_tail + 2 <= FW_LOG_RING;
}

static struct fw_log *block_place(struct firewall *fw, mono_ns now)
{
	uint64_t *lost = &fw->blocks_unlogged;

	if (!fw_log_has_room(fw)) {
		++*lost;
		fw->counters.block_records_lost++;
		return NULL;
	}
	struct fw_log *l = *lost ? log_place(fw) : NULL;
	if (l)
		*l = (struct fw_log){
			.kind = FW_LOG_BLOCKS_LOST, .rule = TRAIN_NONE, .at = now, .suppressed = *lost
		};
	*lost = 0;
	return log_place(fw);
}

void fw_log_block(struct firewall *fw, const struct fw_policy *p, uint32_t index, enum fw_log_kind kind,
	enum fw_end why, mono_ns now)
{
	struct fw_session *b = &fw->sessions[index];
	struct fw_log *l = block_place(fw, now);

	assert(fw_is_block(b));
	if (!l)
		return;
	if (kind == FW_LOG_BLOCK_TAKEN)
		b->block.logged = FW_BLOCK_IN_RING;
	*l = (struct fw_log){ .kind = kind,
		.end = why,
		.rule = TRAIN_NONE,
		.session_id = b->id,
		.record = index,
		.zone = { b->zones.zone[0], FW_ZONE_GONE },
		.key = { b->key[0], b->key[1] },
		.nat_first = b->key[1].dst_port,
		.nat_last = (uint16_t)(b->key[1].dst_port + fw_block_size(b) - 1),
		.begun = b->created,
		.at = now };
	if (p && b->nat_rule < p->snapshot->nat_rules.count)
		memcpy(l->nat_rule_name, snap_nat_rules(p->snapshot)[b->nat_rule].name, NAME_MAX_BYTES);
	names_put(l, p);
}

/* The shell has taken it: a process that comes after this one need not write it again. */
static void block_logged(struct firewall *fw, const struct fw_log *l)
{
	struct fw_session *b = &fw->sessions[l->record];

	if (l->record < fw->state->used && b->live && fw_is_block(b) && b->id == l->session_id)
		b->block.logged = FW_BLOCK_LOGGED;
}

bool fw_log_next(struct firewall *fw, struct fw_log *ret_log)
{
	assert(fw->log_head - fw->log_tail <= FW_LOG_RING);
	if (fw->log_tail == fw->log_head)
		return false;
	*ret_log = fw->log[fw->log_tail++ % FW_LOG_RING];
	if (ret_log->kind == FW_LOG_BLOCK_TAKEN)
		block_logged(fw, ret_log);
	return true;
}
