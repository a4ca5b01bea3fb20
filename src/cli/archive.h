/* `plaingate archive`: moves old entries of a ledger to an archive, with which the ledger stays verifiable.
 */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include "cli/commands.h"

/* Exit status: 0 moved, or nothing to move; 1 the ledger is not good, or a copy failed: nothing was removed;
 * 2 wrong use, or it could not be read. */
int run_archive(const struct cli_line *line);

#endif
