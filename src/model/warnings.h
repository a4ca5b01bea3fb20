/* What a configuration says without effect: not wrong, and not what its author meant. Pure; for `check` and
 * `commit`. */
#ifndef MODEL_WARNINGS_H
#define MODEL_WARNINGS_H

#include "model/snapshot.h"

typedef void warning_fn(void *context, const char *text);

/* Rules that are never reached, because one before them matches everything. */
void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context);

#endif
