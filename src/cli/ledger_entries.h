/* All entries of a ledger, verified, for what is compared with them: session logs, configurations. */
#ifndef CLI_LEDGER_ENTRIES_H
#define CLI_LEDGER_ENTRIES_H

#include "cli/commands.h"
#include "verify/verify.h"

/*
 * hooks: its begin, entry and context are called. ret_report: what the ledger is by itself, and by the cosignatures of the policy's quorum.
 * RC_RANGE: not all entries are there; RC_AUTH: the ledger is not good.
 */
enum rc ledger_entries_read(const struct cli_line *line, const char *where,
	const struct verify_options *hooks, struct verify_report *ret_report, struct err *e);

#endif
