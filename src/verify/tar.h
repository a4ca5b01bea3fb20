/*
 * An archive in the plain part of the tar format (POSIX.1-1988 "ustar") that any `tar` reads. Written and
 * read here: regular files with names of up to 99 octets; no links, directories, owners or extensions.
 *
 * The reader is strict, so that it sees what every other reader sees: header sums, octal digits, zero
 * padding, no name twice, no name that leads out of the directory, two blocks of zeros and nothing but zeros
 * after them.
 *
 * Pure. Callers: src/cli, tests, a fuzzer. One thread.
 */
#ifndef VERIFY_TAR_H
#define VERIFY_TAR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK     512u
#define TAR_NAME_MAX  100 /* with the terminator */
#define TAR_FILES_MAX (1u << 20)

struct tar_file {
	char name[TAR_NAME_MAX];
	const uint8_t *bytes; /* a view */
	size_t n;
};

/* Sorted by name. */
struct tar {
	struct tar_file *file;
	size_t n, room;
};

/* The bytes must stay as long as ret_tar is used. RC_MALFORMED, RC_TRUNCATED, RC_EXISTS, RC_LIMIT: the text
 * names the place. */
enum rc tar_parse(struct tar *ret_tar, const void *bytes, size_t n, struct err *e);
void tar_done(struct tar *t);
/* NULL: no such file. */
const struct tar_file *tar_find(const struct tar *t, const char *name);

/* for tests: a name that the reader accepts: parts of [A-Za-z0-9._-], neither empty nor "." nor "..". */
bool tar_name_good(const char *name);
/* The header of a file of n octets; then come these, and tar_padding(n) zeros. At the end: two blocks of
 * zeros. mtime: seconds since 1970. False: the name, or n is 8 GiB or more. */
bool tar_header(uint8_t ret_block[TAR_BLOCK], const char *name, uint64_t n, uint64_t mtime);
static inline size_t tar_padding(uint64_t n)
{
	return (size_t)((TAR_BLOCK - n % TAR_BLOCK) % TAR_BLOCK);
}

#endif
