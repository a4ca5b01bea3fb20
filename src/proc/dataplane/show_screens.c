/* `show screens`: what each zone has recognised, with its threshold and what is done about it. Each worker counts its own. */
#include "base/json.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

static uint64_t packets_of(const struct dataplane *d, uint32_t zone, uint32_t which)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		sum += d->workers[i]->pipeline.screens->met[zone][which].packets;
	return sum;
}

static void screen_row_say(struct rows_piece *piece, const struct dataplane *d, const struct snap_screen *x,
	uint32_t zone, uint32_t which)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;
	bool alarm = x->flags & SCREEN_ALARM_ONLY || which == SCREEN_SYN_FLOOD_ALARM;
	struct jw *w = rows_row(piece);

	jw_str(w, "zone", snap_zones(s)[zone].name);
	jw_str(w, "screen", x->name);
	jw_str(w, "recognises", screen_row((enum screen)which)->name);
	jw_str(w, "action", alarm ? "alarm" : which == SCREEN_SYN_FLOOD_ATTACK ? "cookie" : "drop");
	if (x->limit[which])
		jw_u64(w, "threshold", x->limit[which]);
	jw_u64(w, "packets", packets_of(d, zone, which));
	jw_str(w, "text", screen_row((enum screen)which)->text);
	rows_add(piece);
}

void show_screens(struct dataplane *d, struct rows_piece *piece)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;

	for (uint32_t i = rows_first(piece, 0); i < s->zones.count * SCREEN_COUNT && rows_look(piece, 0, i);
		i++) {
		uint32_t zone = i / SCREEN_COUNT, which = i % SCREEN_COUNT;
		const struct snap_screen *x = snap_screen_of(s, zone);
		bool on = x && screen_in(&x->on, (enum screen)which);
		if (on)
			screen_row_say(piece, d, x, zone, which);
	}
}
