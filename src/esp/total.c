/*
 * What tunnels have counted over all their pairs: for each one an account in the state, to which a pair adds its own when it goes.
 * All but esp_counts() is called while no worker uses the SAs.
 */
#include "esp/state.h"

#include <assert.h>

/* The account of that name, or the first unused one; NULL: all are others'. hint: where it most often is. */
static struct esp_state_total *total_at(const struct esp *esp, const char *name, uint32_t hint)
{
	struct esp_state_total *all = esp->state->total;

	if (hint < TUNNELS_MAX && strncmp(all[hint].tunnel_name, name, NAME_MAX_BYTES) == 0)
		return &all[hint];
	for (uint32_t i = 0; i < TUNNELS_MAX; i++)
		if (!all[i].tunnel_name[0] || strncmp(all[i].tunnel_name, name, NAME_MAX_BYTES) == 0)
			return &all[i];
	return NULL;
}

static struct esp_state_total *total_of(const struct esp *esp, const char *name)
{
	struct esp_state_total *t = total_at(esp, name, TUNNELS_MAX);

	if (t && !t->tunnel_name[0])
		memcpy(t->tunnel_name, name, strnlen(name, NAME_MAX_BYTES - 1));
	return t;
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
	struct esp_state_total *t = total_of(esp, s->tunnel_name);

	if (t)
		counts_add(&t->counts, s);
}

void esp_total_rekeyed(struct esp *esp, const char *tunnel_name)
{
	struct esp_state_total *t = total_of(esp, tunnel_name);

	if (t)
		t->counts.rekeys++;
}

void esp_totals_resume(struct esp *esp)
{
	struct esp_state_total *all = esp->state->total;

	for (uint32_t i = 0; i < TUNNELS_MAX && all[i].tunnel_name[0]; i++)
		if (!memchr(all[i].tunnel_name, '\0', NAME_MAX_BYTES))
			memset(&all[i], 0, sizeof all[i] * (TUNNELS_MAX - i));
}

static bool tunnel_exists(
	const struct snap_tunnel *tunnels, uint32_t n, const char *name, uint32_t most_often)
{
	if (most_often < n && strncmp(tunnels[most_often].name, name, NAME_MAX_BYTES) == 0)
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (strncmp(tunnels[i].name, name, NAME_MAX_BYTES) == 0)
			return true;
	return false;
}

/* Accounts of tunnels that are gone end; the last one takes the place. */
void esp_totals_bind(struct esp *esp, const struct snap_tunnel *tunnels, uint32_t tunnels_n)
{
	struct esp_state_total *all = esp->state->total;
	uint32_t n = 0;

	while (n < TUNNELS_MAX && all[n].tunnel_name[0])
		n++;
	for (uint32_t i = n; i-- > 0;) {
		if (tunnel_exists(tunnels, tunnels_n, all[i].tunnel_name, i))
			continue;
		all[i] = all[--n];
		memset(&all[n], 0, sizeof all[n]);
	}
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
		const struct esp_state_total *t = total_at(esp, tunnels[first + i].name, first + i);
		ret_counts[i] = t && t->tunnel_name[0] ? t->counts : (struct esp_counts){ 0 };
	}
	for (uint32_t k = 0; k < esp->live_n; k++) {
		const struct esp_pair *p = &esp->pair[esp->live[k]];
		if (p->tunnel >= first && p->tunnel - first < n)
			counts_live(&ret_counts[p->tunnel - first], p->state);
	}
}
