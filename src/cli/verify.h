/* `plaingate verify`: checks of evidence, on any machine; no running gateway is needed. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "cli/commands.h"

/* Exit status of `verify ledger`: VERIFY_STATUSES of verify/verify.h; of `verify randomness`: 0, 1, 2 of
 * them. */
int run_verify_ledger(const struct cli_line *line);
int run_verify_randomness(const struct cli_line *line);

#endif
