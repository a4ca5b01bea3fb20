#include "base/names.h"
#include "base/bytes.h"

#include <assert.h>

static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < NAMES_BYTES_MAX && name[i]; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ^ h >> 15;
}

uint32_t names_slots(uint32_t n)
{
	uint32_t slots = 16;

	while (slots < 2 * n)
		slots *= 2;
	return slots;
}

void names_make(struct names *t, uint32_t *slot, uint32_t slots_n, const void *array, size_t each, uint32_t n)
{
	assert(slots_n >= names_slots(n) && (slots_n & (slots_n - 1)) == 0);
	*t = (struct names){ slot, slots_n, array, each };
	memset(slot, 0, slots_n * sizeof *slot);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = hash(t->first + k * each) & (slots_n - 1);
		while (slot[i] != 0)
			i = (i + 1) & (slots_n - 1);
		slot[i] = k + 1;
	}
}

uint32_t names_find(const struct names *t, const char *name)
{
	if (t->slots_n == 0)
		return NAMES_NONE;
	for (uint32_t i = hash(name) & (t->slots_n - 1); t->slot[i] != 0; i = (i + 1) & (t->slots_n - 1))
		if (strncmp(t->first + (t->slot[i] - 1) * t->each, name, NAMES_BYTES_MAX) == 0)
			return t->slot[i] - 1;
	return NAMES_NONE;
}
