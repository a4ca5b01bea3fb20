/* Hit counts of the rules of a list, through commits (hits.c); a part of internal.h. */
#ifndef FIREWALL_HITS_H
#define FIREWALL_HITS_H

#include "firewall/firewall.h"

struct fw_hits {
	struct fw_rule_hits *of; /* of each rule; another `turn` than ours: not in use yet */
	uint32_t *was;		 /* of each: 1 + the rule of `before` whose counts it goes on with, 0: none */
	uint32_t n;
	struct fw_hits *before; /* NULL: none, or nothing is left there */
	uint64_t turn;
	mono_ns since; /* rules that go on with none count since then */
};

bool fw_hits_new(struct fw_hits *h, uint32_t n); /* false: out of memory; fw_hits_done() all the same */
void fw_hits_done(struct fw_hits *h);
void fw_hits_prepare(struct fw_hits *h, uint32_t i, uint32_t was); /* each, before fw_hits_begin() */
/* Its policy is loaded in place of the one that has `before`, which stands until fw_hits_settle() is through. */
void fw_hits_begin(struct fw_hits *h, struct fw_hits *before, mono_ns now);
void fw_hits_take_over(struct fw_hits *h, uint32_t i);
bool fw_hits_settle(
	struct fw_hits *h, uint32_t *next, uint32_t *budget); /* true: nothing is left in `before` */
void fw_hits_clear(struct fw_hits *h, mono_ns now);	      /* all begin again */

/* To count, or to read. */
static inline struct fw_rule_hits *fw_hits_of(struct fw_hits *h, uint32_t i)
{
	struct fw_rule_hits *x = &h->of[i];

	if (x->turn != h->turn)
		fw_hits_take_over(h, i);
	return x;
}

static inline void fw_hits_hit(struct fw_hits *h, uint32_t i, mono_ns now)
{
	struct fw_rule_hits *x = fw_hits_of(h, i);

	x->hits++;
	x->last = now;
}

#endif
