/* A text's snapshot, for the tests of src/model. */
#ifndef TESTS_MODEL_COMPILED_H
#define TESTS_MODEL_COMPILED_H

#include "base/err.h"
#include "model/snapshot.h"

/* Its block, which the caller frees; NULL after an error. The digest of the text begins with 1, 2, 3. */
enum rc compile(const char *text, uint64_t generation, void **ret_block, size_t *ret_n, struct err *e);
/* Of generation 7, and checked; fails the test when it is refused. The caller frees it. */
struct snapshot *compiled(const char *text);

#endif
