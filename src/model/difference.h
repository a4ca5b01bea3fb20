/*
 * Which statements of two configurations differ: what a commit changes, for who may change it. Everything that the text says counts, also
 * behind `inactive:`, the order where it matters, and a default that is written out; comments do not.
 *
 * Both texts are read as the parser reads them; names and values that lead nowhere are not asked about. Callers: control; one thread.
 */
#ifndef MODEL_DIFFERENCE_H
#define MODEL_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DIFFERENCE_PATH_MAX 256

/*
 * path: the statement's words without names ("policy from rule then"); where: with them, cut where it is longer ("policy from 'a' to 'b' rule 'web'
 * then"). Each statement that was added, removed or changed, with all that is in it, once for each kind of it. False ends the comparison.
 */
typedef bool difference_fn(void *context, const char *path, const char *where);

/* RC_OK, also where `fn` ended it; RC_MALFORMED: one of them is not a configuration. */
enum rc model_difference(const char *before, size_t before_n, const char *after, size_t after_n,
	difference_fn *fn, void *context, struct err *e);

#endif
