/* `plaingate replay`: what a configuration decides about captured packets. */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "cli/commands.h"

/* Returns the exit status: 1 also when a capture could not be read to its end. */
int run_replay(const struct cli_line *line);

#endif
