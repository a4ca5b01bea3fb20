#include "base/screens.h"

#include <assert.h>

static const struct screen_row rows[SCREEN_COUNT] = {
#define E(x, id, name, path, kind, preset, text)                                                             \
	[SCREEN_##id] = { name, path, text, SCREEN_KIND_##kind, preset },
	SCREENS(E, )
#undef E
};

const struct screen_row *screen_row(enum screen i)
{
	assert((unsigned)i < SCREEN_COUNT);
	return &rows[i];
}
