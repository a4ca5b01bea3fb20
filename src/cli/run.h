/* The commands of the administrator's program, as main() calls them. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/commands.h"

/* Carries the command out; returns the exit status. */
int cli_run(const struct cli_line *line);

#endif
