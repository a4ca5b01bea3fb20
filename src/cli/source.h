/*
 * Where evidence is read from: a ledger's directory, an evidence bundle (one file), or an address under which
 * a web server offers the directory; and an archive in addition, of the same kinds. Nothing of it is trusted.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "verify/verify.h"

struct source;

/*
 * where: DIR, FILE, or http://… or https://…; archive: the same, or NULL. RC_IO, RC_MALFORMED (no bundle),
 * RC_LIMIT: the text says what.
 */
enum rc source_open(struct source **ret_source, const char *where, const char *archive, struct err *e);
/* NULL is taken. */
void source_close(struct source *s);
struct verify_source source_of(struct source *s);
/* What kept it from being read as a whole (a server that fails), or "". Then what verification found wrong
 * says nothing about the evidence. */
const char *source_trouble(const struct source *s);

/* A whole file of at most `max` octets, to be freed. RC_IO, RC_LIMIT. */
enum rc source_file(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_n, struct err *e);

#endif
