#include "verify/digests.h"

#include "base/bytes.h"
#include "verify/limits.h"

#include <assert.h>
#include <stdlib.h>

struct digest_slot {
	uint8_t key[DIGEST_KEY_SIZE];
	uint64_t number;
	bool taken;
};

/* The slot of the key, or the free one for it. NULL: too many collide with it. */
static struct digest_slot *place_of(struct digest_slot *slot, size_t room, const uint8_t *key)
{
	size_t at = load_be64(key) & (room - 1);

	assert(room > 0 && (room & (room - 1)) == 0);
	for (unsigned probes = 0; probes < VERIFY_DIGEST_PROBES_MAX; probes++, at = (at + 1) & (room - 1))
		if (!slot[at].taken || memcmp(slot[at].key, key, DIGEST_KEY_SIZE) == 0)
			return &slot[at];
	return NULL;
}

static bool grow(struct digests *d)
{
	size_t room = d->room ? 2 * d->room : VERIFY_DIGEST_SLOTS_MIN;
	struct digest_slot *more = calloc(room, sizeof *more);

	if (!more)
		return false;
	for (size_t i = 0; i < d->room; i++) {
		struct digest_slot *s = d->slot[i].taken ? place_of(more, room, d->slot[i].key) : NULL;
		if (s)
			*s = d->slot[i];
		else if (d->slot[i].taken) {
			free(more);
			return false;
		}
	}
	assert(room > d->n);
	free(d->slot);
	d->slot = more;
	d->room = room;
	return true;
}

bool digests_put(struct digests *d, const uint8_t key[DIGEST_KEY_SIZE], uint64_t number)
{
	if (4 * (d->n + 1) > 3 * d->room && !grow(d))
		return false;
	struct digest_slot *s = place_of(d->slot, d->room, key);
	if (!s)
		return false;
	d->n += !s->taken;
	memcpy(s->key, key, DIGEST_KEY_SIZE);
	s->number = number;
	s->taken = true;
	return true;
}

bool digests_get(const struct digests *d, const uint8_t key[DIGEST_KEY_SIZE], uint64_t *ret_number)
{
	if (d->room == 0)
		return false;
	const struct digest_slot *s = place_of(d->slot, d->room, key);
	if (!s || !s->taken)
		return false;
	if (ret_number)
		*ret_number = s->number;
	return true;
}

void digests_free(struct digests *d)
{
	free(d->slot);
	*d = (struct digests){ 0 };
}
