/* `plaingate investigate`: evidence about some time, in one file that a third person can check. */
#ifndef CLI_INVESTIGATE_H
#define CLI_INVESTIGATE_H

#include "cli/commands.h"

/* Exit status: 0 written and verified, 1 the ledger is not good or the file cannot be written, 2 wrong use,
 * or it could not be read. */
int run_investigate(const struct cli_line *line);

#endif
