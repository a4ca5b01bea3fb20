/* Ports and addresses that a source speaks to within a time: who has been seen with SCAN_COUNT of them is a scanner until the
 * time is over, and is not forgotten before. */
#include "screen/screen.h"

/* The record of this tag; or the one that a new source may have, or NULL. */
static struct scan *scan_find(struct scan *set, uint64_t tag, mono_ns now)
{
	struct scan *place = NULL;

	for (uint32_t i = 0; i < SCAN_WAYS; i++) {
		struct scan *s = &set[i];
		if (s->until > now && s->tag == tag)
			return s;
		if (s->until <= now)
			s->n = 0;
		if (s->n < SCAN_COUNT && (!place || s->n < place->n))
			place = s;
	}
	if (place)
		place->n = 0;
	return place;
}

static bool note(struct scan *set, uint64_t hash, uint16_t what, uint32_t threshold_us, mono_ns now)
{
	struct scan *s = scan_find(set, hash, now);

	if (!s)
		return false;
	if (s->n == 0) {
		s->tag = hash;
		s->until = now + (mono_ns)threshold_us * NS_PER_US;
	}
	if (s->n == SCAN_COUNT)
		return true;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->seen[i] == what)
			return false;
	s->seen[s->n++] = what;
	return s->n == SCAN_COUNT;
}

bool scan_note(struct scans *t, uint64_t hash, uint16_t what, uint32_t threshold_us, mono_ns now)
{
	bool *taken = &t->taken[hash % SCAN_SETS];
	uint32_t tries = 0;

	while (__atomic_exchange_n(taken, true, __ATOMIC_ACQUIRE))
		if (++tries == SCAN_TRIES)
			return false;
	bool is_scan = note(t->scan[hash % SCAN_SETS], hash, what, threshold_us, now);
	__atomic_store_n(taken, false, __ATOMIC_RELEASE);
	return is_scan;
}
