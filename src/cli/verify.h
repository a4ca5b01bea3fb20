/* `plaingate verify`: checks of evidence, on any machine; no running gateway is needed. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "cli/commands.h"

/* Exit status: 0 good, 1 something is wrong, 2 it could not be read, or wrong use; 3 (ledger) what is there
 * is good, and entries are in an archive that was not given. */
int run_verify_ledger(const struct cli_line *line);
int run_verify_randomness(const struct cli_line *line);

#endif
