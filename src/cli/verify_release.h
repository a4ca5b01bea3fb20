/* `plaingate verify release`: a release's directory against the log and the signers that one trusts; release/release.h. */
#ifndef CLI_VERIFY_RELEASE_H
#define CLI_VERIFY_RELEASE_H

#include "cli/commands.h"

/* Exit status: 0 to 2 of VERIFY_STATUSES. */
int run_verify_release(const struct cli_line *line);

#endif
