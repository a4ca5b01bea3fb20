/*
 * The keys in the configuration's part `evidence`. YANG has seen to their form; that an id belongs to its key
 * takes a hash, and the types tell a witness from a ledger. Pure. Callers: src/proc/control at a commit and
 * at a start, src/cli for `check`. Any thread.
 */
#ifndef WITNESS_CONFIGURED_H
#define WITNESS_CONFIGURED_H

#include "base/err.h"
#include "model/snapshot.h"

/* name: of the text, for the error. RC_MALFORMED; RC_UNSUPPORTED: a key of another type. */
enum rc configured_keys_check(const struct snap_evidence *v, const char *name, struct err *e);

#endif
