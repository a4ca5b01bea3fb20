/* `show tunnels`: what each tunnel has carried and refused over all its SAs, those that are gone among them. */
#include "base/json.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

static uint64_t dropped_while_down(const struct dataplane *d, uint32_t tunnel)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		sum += d->workers[i]->pipeline.tunnels[tunnel].drops_down;
	return sum;
}

static void tunnel_row(
	struct rows_piece *piece, const struct dataplane *d, uint32_t tunnel, const struct esp_counts *c)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;
	struct jw *w = rows_row(piece);

	jw_str(w, "tunnel", snap_tunnels(s)[tunnel].name);
	jw_str(w, "peer", snap_peers(s)[snap_tunnels(s)[tunnel].peer].name);
	jw_str(w, "interface", snap_tunnels(s)[tunnel].interface);
	jw_str(w, "state", esp_outbound(d->esp, tunnel) != ESP_PAIR_NONE ? "up" : "down");
	jw_u64(w, "sas", c->pairs);
	jw_u64(w, "packets_in", c->packets_in);
	jw_u64(w, "bytes_in", c->bytes_in);
	jw_u64(w, "packets_out", c->packets_out);
	jw_u64(w, "bytes_out", c->bytes_out);
	jw_u64(w, "rekeys", c->rekeys);
	jw_u64(w, "replayed", c->replayed);
	jw_u64(w, "unauthentic", c->unauthentic);
	jw_u64(w, "refused", c->refused);
	jw_u64(w, "dropped", dropped_while_down(d, tunnel));
	rows_add(piece);
}

/* One walk over all pairs for the rows of a piece. */
void show_tunnels(struct dataplane *d, struct rows_piece *piece)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;
	struct esp_counts counts[ROWS_PIECE_MAX];
	uint32_t first = rows_first(piece, 0);
	uint32_t n = first < s->tunnels.count ? MIN_OF(s->tunnels.count - first, ROWS_PIECE_MAX) : 0;

	esp_counts(d->esp, snap_tunnels(s), first, n, counts);
	for (uint32_t i = 0; first + i < s->tunnels.count && rows_look(piece, 0, first + i) && i < n; i++)
		tunnel_row(piece, d, first + i, &counts[i]);
}
