/* `plaingate verify config`: signed commits against the ledger; verify/signed_commits.h. */
#ifndef CLI_VERIFY_CONFIG_H
#define CLI_VERIFY_CONFIG_H

#include "cli/commands.h"

/* Exit status: 0 to 4 of VERIFY_STATUSES. */
int run_verify_config(const struct cli_line *line);

#endif
