/*
 * Hit counts of a list of rules. They follow a rule through commits (prepare.c says which former rule it is), and no commit
 * touches each of them: a switch of policies is a pause of all workers. What a rule has counted until then stays where it
 * is, and is taken over when the rule counts for the first time, when somebody looks, or by fw_sweep(), before the former policy
 * ends. Until the sweep has ended, the counts of a rule may stand two or three policies back.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

bool fw_hits_new(struct fw_hits *h, uint32_t n)
{
	*h = (struct fw_hits){ .n = n, .turn = 1 };
	h->of = lines_room(n + 1u, sizeof *h->of);
	h->was = malloc((n + 1u) * sizeof *h->was);
	return h->of && h->was;
}

void fw_hits_done(struct fw_hits *h)
{
	free(h->of);
	free(h->was);
	*h = (struct fw_hits){ 0 };
}

void fw_hits_prepare(struct fw_hits *h, uint32_t i, uint32_t was)
{
	assert(i < h->n);
	h->of[i] = (struct fw_rule_hits){ 0 };
	h->was[i] = was;
}

void fw_hits_begin(struct fw_hits *h, struct fw_hits *before, mono_ns now)
{
	h->before = before;
	h->since = now;
}

/* As many policies back as there are epochs. */
void fw_hits_take_over(struct fw_hits *h, uint32_t i)
{
	uint32_t was = h->before ? h->was[i] : 0;

	h->of[i] = was ? *fw_hits_of(h->before, was - 1) : (struct fw_rule_hits){ .since = h->since };
	h->of[i].turn = h->turn;
}

bool fw_hits_settle(struct fw_hits *h, uint32_t *next, uint32_t *budget)
{
	for (; h->before && *next < h->n; ++*next) {
		if (*budget == 0)
			return false;
		*budget -= *next % FW_SETTLE_RULES == 0;
		fw_hits_of(h, *next);
	}
	h->before = NULL;
	return true;
}

void fw_hits_clear(struct fw_hits *h, mono_ns now)
{
	h->turn++;
	h->before = NULL;
	h->since = now;
}
