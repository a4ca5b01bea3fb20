/* What the tests of src/merkle share: the folder of foreign vectors, whole files, small trees by definition.
 */
#ifndef MERKLE_FIXTURE_H
#define MERKLE_FIXTURE_H

#include "merkle/tree.h"

/* Absent vectors: prints which folder is missing; the test then calls skip(). */
bool vectors_present(const char *folder);
/* "../shared/vectors/<folder>/<path>"; $PLAINGATE_SHARED overrides ../shared. A static buffer. */
const char *vectors_path(const char *folder, const char *path);

/* The whole file, with a terminator behind; fails the test when it cannot be read. The caller frees it. */
char *file_read(const char *path, size_t *ret_n);

/* MTH(D[first : first + n]) by the definition of RFC 9162 section 2.1.1, where leaf i holds the four bytes of
 * i, big-endian. */
struct merkle_hash naive_root(uint64_t first, uint64_t n);
struct merkle_hash naive_leaf(uint64_t i);
/* naive_root() as a merkle_subtree_fn; context points to the size of the tree: nothing behind it is there. */
bool naive_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash);

#endif
