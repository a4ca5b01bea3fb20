/* `plaingate verify`: checks of evidence in a directory, on any machine; no running gateway is needed. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "cli/commands.h"

/* Exit status: 0 good, 1 something is wrong, 2 it could not be read, or wrong use. */
int run_verify_ledger(const struct cli_line *line);
int run_verify_randomness(const struct cli_line *line);

#endif
