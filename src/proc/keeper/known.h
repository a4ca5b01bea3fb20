/*
 * Known answers: the keeper computes what stands in a file outside of its executable and refuses to start
 * when anything differs. The supervisor measured that file and entered its SHA-256 (known_answers), and hands
 * over a sealed copy.
 *
 *   {"answers":[
 *   {"function":"…","input":"<hex> <hex> …","output":"<hex>"},
 *   …
 *   ]}
 *
 * An empty input is a "-". Functions and their inputs stand in known.c; each of them has to be in the file at
 * least once, so that an emptied file does not pass. Callers: shell.c, tests. One thread.
 */
#ifndef PROC_KEEPER_KNOWN_H
#define PROC_KEEPER_KNOWN_H

#include "base/err.h"

#include <stddef.h>

/* RC_OK; RC_MALFORMED: not such a text; RC_AUTH: a function gives another answer; RC_NOT_FOUND: one is left
 * out. */
enum rc known_check(const char *text, size_t n, struct err *e);
/* The same of a file, which must be sealed. RC_DENIED: it is not. RC_IO. */
enum rc known_check_file(int fd, struct err *e);

#endif
