/* What a configuration says without effect: not wrong, and not what its author meant. Pure; for `check` and
 * `commit`. Addresses, applications and proposals that nobody names are no mistake: they are kept in store. */
#ifndef MODEL_WARNINGS_H
#define MODEL_WARNINGS_H

#include "model/snapshot.h"

typedef void warning_fn(void *context, const char *text);

/*
 * Rules of policy and of source NAT that are never reached, because one before them takes all that they
 * could; zones without an interface or a tunnel, which no rule ever meets; peers that nothing uses.
 */
void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context);

#endif
