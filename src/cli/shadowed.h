/* `show policy shadowed`: rules of the running configuration that never match. */
#ifndef CLI_SHADOWED_H
#define CLI_SHADOWED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Compiles the text and prints the rows, as a table or as JSON. */
enum rc shadowed_print(const char *text, size_t n, bool json, struct err *e);

#endif
