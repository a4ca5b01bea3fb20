/* `plaingate capture`: packets of a running gateway into files, with their verdicts. */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "cli/commands.h"

/* Until the count is reached, or SIGINT or SIGTERM comes. Returns the exit status. */
int run_capture(const struct cli_line *line);

#endif
