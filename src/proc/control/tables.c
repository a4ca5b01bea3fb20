/* Whose the tables of `show` are. */
#include "proc/control/control.h"

enum proc table_owner(uint32_t table)
{
	switch (table) {
#define E(id, word, owner, text)                                                                             \
	case SHOW_##id:                                                                                      \
		return PROC_##owner;
		SHOW_TABLES(E)
#undef E
	case SHOW_TEST_POLICY:
		return PROC_DATAPLANE;
	}
	return PROC_COUNT;
}
