/* Proposals: `commit statement`, `commit text`, `commit sign`, `commit withdraw`. */
#ifndef CLI_SIGN_H
#define CLI_SIGN_H

#include "cli/commands.h"

int run_proposal(const struct cli_line *line);

#endif
