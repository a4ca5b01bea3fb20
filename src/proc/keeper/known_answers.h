/*
 * Known answers: the keeper computes those of a file outside of its executable, and refuses to start if one
 * differs. The supervisor has measured the file, entered its SHA-256 (known_answers), and hands over a sealed
 * copy.
 *
 *   {"answers":[
 *   {"function":"…","input":"<hex> <hex> …","output":"<hex>"},
 *   …
 *   ]}
 *
 * An empty input is "-". The functions and their inputs are listed in known_answers.c; each of them must be
 * in the file at least once, so that an emptied file does not pass. Callers: shell.c, tests. One thread.
 */
#ifndef PROC_KEEPER_KNOWN_ANSWERS_H
#define PROC_KEEPER_KNOWN_ANSWERS_H

#include "base/err.h"

#include <stddef.h>

#define KNOWN_OUTPUT_MAX       512	   /* octets of an output */
#define KNOWN_INPUT_MAX	       128	   /* octets of an input */
#define KNOWN_INPUTS_MAX       4	   /* of a function */
#define KNOWN_ANSWERS_FILE_MAX (64 * 1024) /* octets; the file has 5 KB */

/*
 * for tests: of a text. RC_MALFORMED: not such a text; RC_AUTH: a function gives another answer;
 * RC_NOT_FOUND: one is missing.
 */
enum rc known_answers_check(const char *text, size_t n, struct err *e);
/* Of a file, which must be sealed. As above; RC_DENIED: it is not sealed; RC_IO. */
enum rc known_answers_check_file(int fd, struct err *e);

#endif
