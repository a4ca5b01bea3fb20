/* `plaingate import`: configurations of other vendors, translated (import/import.h). */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/commands.h"

/* Returns the exit status: 1, too, if a statement was not understood or could not be translated. */
int run_import(const struct cli_line *line);

#endif
