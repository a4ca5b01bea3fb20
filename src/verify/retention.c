#include "verify/retention.h"

#include "base/bytes.h"
#include "ledger/counters.h"
#include "ledger/seal.h"
#include "merkle/tile.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct announced {
	uint64_t index;
	struct merkle_hash root;
};

struct retention {
	char before[VERIFY_TIME_MAX];
	bool any, late; /* an entry was seen; one that is not before the time */
	uint64_t first_late;
	uint8_t boot[LEDGER_BOOT_SIZE];
	uint64_t size, boot_begins;
	uint64_t statement[2]; /* the last LEDGER_COUNTERS of the boot, and the one before; 0: none */
	struct announced *epoch;
	size_t epochs_n, epochs_room;
	bool out_of_memory;
	uint64_t end; /* chosen */
};

struct retention *retention_new(const char *before)
{
	struct retention *p = calloc(1, sizeof *p);

	if (p)
		snprintf(p->before, sizeof p->before, "%s", before);
	return p;
}

void retention_free(struct retention *p)
{
	if (!p)
		return;
	free(p->epoch);
	free(p);
}

void retention_begin(void *context)
{
	struct retention *p = context, fresh = { .epoch = p->epoch, .epochs_room = p->epochs_room };

	memcpy(fresh.before, p->before, sizeof fresh.before);
	*p = fresh;
}

void retention_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct retention *p = context;

	if (!p->any || memcmp(entry->boot, p->boot, sizeof p->boot) != 0) {
		memcpy(p->boot, entry->boot, sizeof p->boot);
		p->boot_begins = index;
		p->statement[0] = p->statement[1] = 0;
	}
	p->any = true;
	p->size = index + 1;
	if (entry->type == LEDGER_COUNTERS) {
		p->statement[1] = p->statement[0];
		p->statement[0] = index;
	}
	if (!p->late && strcmp(entry->utc, p->before) >= 0) {
		p->late = true;
		p->first_late = index;
	}
	if (entry->type != LEDGER_SEAL_EPOCH)
		return;
	if (p->epochs_n == p->epochs_room) {
		size_t room = MAX_OF(2 * p->epochs_room, (size_t)16);
		struct announced *grown = realloc(p->epoch, room * sizeof *grown);
		if (!grown) {
			p->out_of_memory = true;
			return;
		}
		p->epoch = grown;
		p->epochs_room = room;
	}
	p->epoch[p->epochs_n].index = index;
	p->epochs_n += seal_epoch_root(entry, &p->epoch[p->epochs_n].root);
}

/* From here on the ledger may read again when it is restarted within its boot (ledger_replay()). */
static uint64_t still_read(const struct retention *p)
{
	for (size_t i = 0; i < COUNT_OF(p->statement); i++)
		if (p->statement[i] > 0 && p->statement[i] + LEDGER_COUNTERS_BEHIND <= p->size)
			return p->statement[i];
	return p->boot_begins > TILE_WIDTH ? p->boot_begins - TILE_WIDTH : 0;
}

bool retention_choose(struct retention *p, uint64_t archived)
{
	uint64_t stays = still_read(p);

	if (p->epochs_n > 0) /* its seals are still being written */
		stays = MIN_OF(stays, p->epoch[p->epochs_n - 1].index);
	uint64_t limit = p->late ? MIN_OF(stays, p->first_late) : stays;
	/* Never less than before: an archive run may have been killed between the mark and the removal. */
	limit = MAX_OF(limit, MIN_OF(archived, stays));
	p->end = p->out_of_memory ? 0 : limit / TILE_WIDTH * TILE_WIDTH;
	assert(p->end <= p->size && p->end % TILE_WIDTH == 0);
	return p->end > 0;
}

uint64_t retention_end(const struct retention *p)
{
	return p->end;
}

void retention_files(const struct retention *p, void (*each)(void *to, const char *path), void *to)
{
	char path[TILE_PATH_MAX];

	for (uint64_t bundle = 0; bundle < p->end / TILE_WIDTH; bundle++)
		each(to, tile_path(path, TILE_LEVEL_ENTRIES, bundle, TILE_WIDTH));
	for (size_t i = 0; i < p->epochs_n && p->epoch[i].index < p->end; i++) {
		each(to, seal_path_keys(path, &p->epoch[i].root));
		each(to, seal_path_seals(path, &p->epoch[i].root));
	}
}

bool retention_moves(const struct retention *p, const char *path)
{
	char seals[SEAL_PATH_MAX];
	uint32_t level, width;
	uint64_t n;

	if (tile_path_parse(path, &level, &n, &width))
		return level == TILE_LEVEL_ENTRIES && width == TILE_WIDTH && n < p->end / TILE_WIDTH;
	for (size_t i = 0; i < p->epochs_n && p->epoch[i].index < p->end; i++)
		if (strcmp(path, seal_path_keys(seals, &p->epoch[i].root)) == 0 ||
			strcmp(path, seal_path_seals(seals, &p->epoch[i].root)) == 0)
			return true;
	return false;
}
