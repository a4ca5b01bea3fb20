#include "wire/drop.h"

static const char *const names[DROP_COUNT] = {
#define E(id, name, text) [DROP_##id] = name,
	DROP_REASONS(E)
#undef E
};

static const char *const texts[DROP_COUNT] = {
#define E(id, name, text) [DROP_##id] = text,
	DROP_REASONS(E)
#undef E
};

const char *drop_name(enum drop_reason r)
{
	return (unsigned)r < DROP_COUNT ? names[r] : "unknown";
}

const char *drop_text(enum drop_reason r)
{
	return (unsigned)r < DROP_COUNT ? texts[r] : "unknown drop reason";
}
