/* `plaingate verify log`: a session log against the ledger; verify/session_log.h. */
#ifndef CLI_VERIFY_LOG_H
#define CLI_VERIFY_LOG_H

#include "cli/commands.h"

/* Exit status: 0 to 2 of VERIFY_STATUSES. */
int run_verify_log(const struct cli_line *line);

#endif
