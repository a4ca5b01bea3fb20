/*
 * Bodies of the core's entries by the ledger's types (ledger/types.h): names and numbers, never a key.
 */
#ifndef PROC_KEEPER_ENTRY_H
#define PROC_KEEPER_ENTRY_H

#include "keys/keys.h"
#include "ledger/types.h"
#include "proc/keeper/leaves.h"

#define ENTRY_LIST_TEXT_MAX 700 /* of selectors; those that do not fit are in a digest */

#define ENTRY_GAP_TYPE LEDGER_LEDGER_OUTAGE

/* False: it does not fit, which the limits of its fields rule out. ret_body->text holds *ret_n octets. */
bool entry_body_make(struct ledger_body *ret_body, size_t *ret_n, const struct keys_entry *entry,
	const struct leaf_proof *leaf);

#endif
