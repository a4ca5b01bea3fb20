/* The options of plaingated. main.c and docs/man read the table. */
#ifndef PROC_SUPERVISOR_OPTIONS_H
#define PROC_SUPERVISOR_OPTIONS_H

/* clang-format off */
#define SUPERVISOR_OPTIONS(O)	/* letter, word, value, text */								\
	O('c', "config",     "DIR",  "the directory of keys/ (/etc/plaingate)")							\
	O('s', "state",      "DIR",  "the ledger and the running configuration (/var/lib/plaingate)")			\
	O('r', "run",        "DIR",  "the command line's socket and the PID file (/run/plaingate)")			\
	O('x', "libexec",    "DIR",  "the executables of the processes (/usr/libexec/plaingate)")			\
	O('d', "share",      "DIR",  "the known answers by which the keeper checks itself (/usr/share/plaingate)")	\
	O('l', "log",        "FILE", "operational log, appended to (standard error)")					\
	O('f', "foreground", "",     "stay in the foreground (the default)")							\
	O('b', "background", "",     "return when all processes are ready")						\
	O('F', "flush",      "",     "remove the ingress filter and the rules for tunnels, and end")		\
	O('h', "help",       "",     "print this")
/* clang-format on */

#endif
