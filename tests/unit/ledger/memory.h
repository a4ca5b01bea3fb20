/*
 * A ledger's directory in memory: files that can be copied at no cost, a struct ledger_store over them that
 * asks before each change, and a struct verify_source that reads them. For tests that cut the power or alter
 * a byte.
 */
#ifndef TEST_LEDGER_MEMORY_H
#define TEST_LEDGER_MEMORY_H

#include "ledger/log.h"
#include "verify/verify.h"

struct blob; /* bytes that never change, shared by copies */

struct memory_file {
	char path[TILE_PATH_MAX];
	struct blob *blob;
};

struct memory {
	size_t n, room;
	struct memory_file *file;
};

/* NULL: no such file. */
const uint8_t *memory_get(const struct memory *m, const char *path, size_t *ret_n);
void memory_put(struct memory *m, const char *path, const void *bytes, size_t n);
void memory_remove(struct memory *m, const char *path);
void memory_copy(struct memory *ret_to, const struct memory *from);
void memory_done(struct memory *m);

/* All files in one input of a fuzzer, each as length of path (8 bits), path, length (16 bits), octets.
 * Returns the length. */
size_t memory_pack(const struct memory *m, uint8_t *ret_bytes, size_t max);
/* Up to the first file that is not whole, and MEMORY_UNPACK_MAX files. */
#define MEMORY_UNPACK_MAX 64
struct memory memory_unpack(const uint8_t *bytes, size_t n);

struct disk_change {
	enum { DISK_REPLACE, DISK_APPEND, DISK_TRUNCATE, DISK_REMOVE } what;
	const char *path;
	const void *bytes; /* of replace and append */
	size_t n;
};

struct disk {
	struct memory files;
	/* Called before a change; may be NULL. RC_OK: it happens. Else it fails, and what is left in files is
	 * the hook's affair. */
	enum rc (*before)(void *context, struct disk *d, const struct disk_change *c);
	void *context;
	unsigned long reads, read_fails; /* the read of that number fails as a bad sector does; 0: none */
};

struct ledger_store disk_store(struct disk *d);
/* As if the change had been made whole. */
void disk_apply(struct memory *files, const struct disk_change *c);

struct verify_source memory_source(struct memory *m);

#endif
