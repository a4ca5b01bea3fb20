/* The text of a file that a command is given. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>

#include "base/err.h"

/* All of a file, or of standard input for "-"; the caller frees *ret_text. One that is longer than any configuration is cut one octet behind that. */
enum rc text_read(const char *path, char **ret_text, size_t *ret_n, struct err *e);

#endif
