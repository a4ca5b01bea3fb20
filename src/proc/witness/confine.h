/*
 * What the witness drops before it reads the first request: every capability, every file but those beside
 * its database (Landlock), new sockets, new processes, executable memory (seccomp; anything else ends the
 * process). The key is in memory by then, the listening socket and the database are open.
 */
#ifndef PROC_WITNESS_CONFINE_H
#define PROC_WITNESS_CONFINE_H

#include "base/err.h"

#include <stdbool.h>

/* database: its path. *ret_landlock: false when this kernel has no Landlock; the rest holds all the same. */
enum rc witness_confine(const char *database, bool *ret_landlock, struct err *e);

#endif
