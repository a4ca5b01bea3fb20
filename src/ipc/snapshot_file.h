/*
 * A configuration as control gives it: a sealed memfd with one struct snapshot. Mapped read-only, trusted only
 * after snapshot_check().
 */
#ifndef IPC_SNAPSHOT_FILE_H
#define IPC_SNAPSHOT_FILE_H

#include "model/snapshot.h"

struct snapshot_file {
	const struct snapshot *snapshot; /* NULL: none */
	size_t bytes;
};

/*
 * fd is closed in any case. RC_DENIED when the file could still change, RC_RANGE when its size is not
 * `bytes`, else snapshot_check()'s answer; nothing stays mapped then.
 */
enum rc snapshot_file_take(struct snapshot_file *ret_file, int fd, uint64_t bytes, struct err *e);
/* The same without the check, which is the caller's (snapshot_check_begin()). */
enum rc snapshot_file_map(struct snapshot_file *ret_file, int fd, uint64_t bytes, struct err *e);
void snapshot_file_done(struct snapshot_file *f);

#endif
