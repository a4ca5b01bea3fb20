#include "carried_teams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct fw_session *find_in(struct firewall *fw, const struct fw_key *k)
{
	for (uint32_t i = 0; i < fw_sessions_used(fw); i++) {
		fw_adopt_at(fw, i);
		const struct fw_session *s = fw_session(fw, i);
		if (s && fw_key_equal(&s->key[0], k))
			return fw_session_current(fw, i, now());
	}
	return NULL;
}

const struct fw_session *find(struct team *t, const struct fw_key *k)
{
	const struct fw_session *s = NULL;

	for (uint32_t i = 0; i < t->n && !s; i++)
		s = find_in(t->gate[i].fw, k);
	return s;
}

static void sessions_equal(const struct fw_session *a, const struct fw_session *b)
{
	assert_memory_equal(a->key, b->key, sizeof a->key);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->flags, b->flags);
	for (uint32_t d = 0; d < 2; d++) {
		assert_int_equal(a->packets[d], b->packets[d]);
		assert_int_equal(a->bytes[d], b->bytes[d]);
	}
	assert_memory_equal(a->tcp, b->tcp, sizeof a->tcp);
	assert_memory_equal(&a->noted, &b->noted, sizeof a->noted);
	assert_int_equal(a->last_seen, b->last_seen);
	assert_int_equal(a->expires, b->expires);
}

void tables_equal(void)
{
	for (uint32_t i = 0; i < plain.n; i++) {
		struct firewall *a = carries.gate[i].fw, *b = plain.gate[i].fw;
		const struct pipeline *p = &carries.gate[i].p, *q = &plain.gate[i].p;
		while (!fw_sweep(a, now(), UINT32_MAX) || !fw_sweep(b, now(), UINT32_MAX)) {
		}
		assert_int_equal(fw_counters(a)->sessions_now, fw_counters(b)->sessions_now);
		for (uint32_t k = 0; k < fw_sessions_used(b); k++) {
			const struct fw_session *t = fw_session_current(b, k, now());
			const struct fw_session *s = t ? find_in(a, &t->key[0]) : NULL;
			assert_int_equal(!!s, !!t);
			if (s)
				sessions_equal(s, t);
		}
		assert_int_equal(fw_counters(a)->half_open_now, fw_counters(b)->half_open_now);
		for (uint32_t r = 0; r < p->snapshot->rules.count && !rules_differ; r++) {
			assert_int_equal(fw_rule_hits(a, r)->packets, fw_rule_hits(b, r)->packets);
			assert_int_equal(fw_rule_hits(a, r)->bytes, fw_rule_hits(b, r)->bytes);
		}
		for (uint32_t k = 0; plain.n == 1 && k < 2; k++) {
			assert_int_equal(p->interfaces[k].packets_in, q->interfaces[k].packets_in);
			assert_int_equal(p->interfaces[k].bytes_in, q->interfaces[k].bytes_in);
			assert_int_equal(p->interfaces[k].packets_out, q->interfaces[k].packets_out);
			assert_int_equal(p->interfaces[k].bytes_out, q->interfaces[k].bytes_out);
		}
		if (plain.n == 1)
			assert_int_equal(p->packets_in + p->bytes_out, q->packets_in + q->bytes_out);
	}
}
