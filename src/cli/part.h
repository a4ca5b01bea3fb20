/*
 * Files that get their name only when they are complete and on the disk: written as NAME.part first.
 */
#ifndef CLI_PART_H
#define CLI_PART_H

#include "base/err.h"

#include <stddef.h>

#define PART_PATH_MAX 4096

/* Writes them as `path`.part, for its owner alone; the caller gives it the name. RC_IO, and nothing is left;
 * RC_LIMIT: the name is too long. */
enum rc part_write(
	char ret_part[PART_PATH_MAX], const char *path, const void *bytes, size_t n, struct err *e);

#endif
