/* `plaingate pki`: a small certificate authority in a directory (pki/pki.h). */
#ifndef CLI_PKI_H
#define CLI_PKI_H

#include "cli/commands.h"

int run_pki(const struct cli_line *line);

#endif
