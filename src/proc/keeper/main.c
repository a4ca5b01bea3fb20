/*
 * plaingate-keeper: private keys, randomness, Diffie-Hellman, derivation, AUTH. Confined first, then
 * everything else.
 */
#include "base/log.h"
#include "proc/keeper/shell.h"

int main(void)
{
	static struct keeper keeper;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_KEEPER, &e) != RC_OK ||
		keeper_init(&keeper, &child, CHILD_SUPERVISOR_FD, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	return child_run(&child);
}
