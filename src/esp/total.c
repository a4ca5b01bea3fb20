/*
 * What tunnels have counted over all their pairs: for each one an account in the state, to which a pair adds its own when it goes.
 * All but esp_counts() is called while no worker uses the SAs.
 */
#include "esp/state.h"

#include <assert.h>

/* The account of the pair's tunnel, which gets one where it has none; NULL: all are in use. */
static struct esp_state_total *total_of(struct esp *esp, const struct esp_pair *p)
{
	struct esp_state_total *all = esp->state->total;
	const char *name = p->state->tunnel_name;
	uint32_t at = p->tunnel < TUNNELS_MAX ? esp->total_at[p->tunnel] : INDEX_NONE;

	/* Of a pair from before a restart that is bound to no tunnel yet. */
	for (uint32_t i = 0; p->tunnel >= TUNNELS_MAX && i < esp->totals_n && at == INDEX_NONE; i++)
		if (strncmp(all[i].tunnel_name, name, NAME_MAX_BYTES) == 0)
			at = i;
	if (at == INDEX_NONE && esp->totals_n < TUNNELS_MAX) {
		at = esp->totals_n++;
		memcpy(all[at].tunnel_name, name, strnlen(name, NAME_MAX_BYTES - 1));
	}
	if (p->tunnel < TUNNELS_MAX)
		esp->total_at[p->tunnel] = at;
	return at == INDEX_NONE ? NULL : &all[at];
}

static void counts_add(struct esp_counts *sum, const struct esp_state_pair *s)
{
	sum->packets_in += s->packets_in;
	sum->bytes_in += s->bytes_in;
	sum->packets_out += s->packets_out;
	sum->bytes_out += s->bytes_out;
	sum->replayed += s->replayed;
	sum->unauthentic += s->unauthentic;
	sum->refused += s->refused;
}

void esp_total_keep(struct esp *esp, uint32_t pair)
{
	const struct esp_state_pair *s = esp->pair[pair].state;
	struct esp_state_total *t = total_of(esp, &esp->pair[pair]);

	if (t)
		counts_add(&t->counts, s);
}

void esp_total_rekeyed(struct esp *esp, uint32_t pair)
{
	struct esp_state_total *t = total_of(esp, &esp->pair[pair]);

	if (t)
		t->counts.rekeys++;
}

void esp_totals_resume(struct esp *esp)
{
	struct esp_state_total *all = esp->state->total;

	uint32_t n = 0;

	while (n < TUNNELS_MAX && all[n].tunnel_name[0] && memchr(all[n].tunnel_name, '\0', NAME_MAX_BYTES))
		n++;
	if (n < TUNNELS_MAX && all[n].tunnel_name[0])
		memset(&all[n], 0, sizeof all[n] * (TUNNELS_MAX - n));
	esp->totals_n = n;
}

/* Accounts of tunnels that are gone end; the last one takes the place. */
void esp_totals_bind(struct esp *esp)
{
	struct esp_state_total *all = esp->state->total;

	memset(esp->total_at, 0xff, TUNNELS_MAX * sizeof *esp->total_at);
	for (uint32_t i = esp->totals_n; i-- > 0;) {
		if (names_find(&esp->names, all[i].tunnel_name) != NAMES_NONE)
			continue;
		all[i] = all[--esp->totals_n];
		memset(&all[esp->totals_n], 0, sizeof all[0]);
	}
	for (uint32_t i = 0; i < esp->totals_n; i++)
		esp->total_at[names_find(&esp->names, all[i].tunnel_name)] = i;
}

static void counts_live(struct esp_counts *sum, const struct esp_state_pair *s)
{
	counts_add(sum, s);
	sum->pairs++;
}

void esp_counts(const struct esp *esp, const struct snap_tunnel *tunnels, uint32_t first, uint32_t n,
	struct esp_counts *ret_counts)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = first + i < TUNNELS_MAX ? esp->total_at[first + i] : INDEX_NONE;
		ret_counts[i] = at == INDEX_NONE ? (struct esp_counts){ 0 } : esp->state->total[at].counts;
	}
	for (uint32_t k = 0; k < esp->live_n; k++) {
		const struct esp_pair *p = &esp->pair[esp->live[k]];
		if (p->tunnel >= first && p->tunnel - first < n)
			counts_live(&ret_counts[p->tunnel - first], p->state);
	}
}
