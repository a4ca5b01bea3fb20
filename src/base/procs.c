#include "base/procs.h"

#include <assert.h>

static const struct proc_row {
	const char *name, *executable, *user;
	unsigned place[PROC_ORDER_COUNT];
} rows[PROC_COUNT] = {
#define E(id, name, executable, user, start, end, show)                                                      \
	[PROC_##id] = { name, executable, user, { start, end, show } },
	PROCS(E)
#undef E
};

const char *proc_name(enum proc p)
{
	return (unsigned)p < PROC_COUNT ? rows[p].name : "unknown process";
}

const char *proc_executable(enum proc p)
{
	return (unsigned)p < PROC_COUNT ? rows[p].executable : "";
}

const char *proc_user(enum proc p)
{
	return (unsigned)p < PROC_COUNT ? rows[p].user : NULL;
}

enum proc proc_at(enum proc_order order, unsigned place)
{
	assert(place > 0 && (unsigned)order < PROC_ORDER_COUNT);
	for (unsigned p = 0; p < PROC_COUNT; p++)
		if (rows[p].place[order] == place)
			return (enum proc)p;
	return PROC_COUNT;
}
