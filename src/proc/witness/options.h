/* What plaingate-witness can be told. main.c and docs/man read the table. */
#ifndef PROC_WITNESS_OPTIONS_H
#define PROC_WITNESS_OPTIONS_H

/* clang-format off */
#define WITNESS_OPTIONS(O)	/* letter, word, value, text */								\
	O('k', "key",         "FILE",      "the private key, for its owner alone to read")				\
	O('d', "db",          "FILE",      "what was cosigned; begun when it is missing. Who loses it must begin a new key")	\
	O('l', "listen",      "ADDR:PORT", "[ADDR]:PORT for IPv6; port 0: any, see the first line of the log")		\
	O('o', "log",         "VKEY",      "a log to cosign for, by its verifier key; 'VKEY ORIGIN' where the first line of its checkpoints is not the key's name; may be repeated") \
	O('p', "policy",      "FILE",      "the logs of a policy file; may be repeated")				\
	O('r', "rate",        "N",         "requests a second that one client may make in the long run (20); 0: any number")	\
	O('b', "burst",       "N",         "and at once after a silence (60)")						\
	O('c', "connections", "N",         "that one client may have open (32)")					\
	O('w', "silence",     "SECONDS",   "warns when a log that was cosigned before has not been for this long (0: never)")	\
	O('v', "verbose",     "",          "every answer is a line of the log")					\
	O('n', "new-key",     "NAME",      "makes FILE with a new key, and prints the verifier key")			\
	O('s', "show-key",    "",          "prints the verifier key")							\
	O('h', "help",        "",          "print this")
/* clang-format on */

#endif
