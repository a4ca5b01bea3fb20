/* The configuration mode's commands beside those of edit/edit.h: the shell and the reference page read it. */
#ifndef CLI_SHELL_TABLES_H
#define CLI_SHELL_TABLES_H

/* clang-format off */
#define CONFIGURE(C)	/* id, word, what follows, text */									\
	C(SHOW,     "show",     "[PATH]",		"Shows the candidate, or a part; | compare says how it differs from what runs")	\
	C(COMMIT,   "commit",   "[check] [confirmed [MINUTES]] [comment \"TEXT\"] [and-quit]", "Makes the candidate the running configuration, or changes nothing") \
	C(ROLLBACK, "rollback", "[N]",			"The candidate becomes what runs, or (N from 1 to 50) what ran N commits before")	\
	C(LOAD,     "load",     "merge|replace|override|set FILE|terminal", "Takes statements from a file, or from lines that follow") \
	C(SAVE,     "save",     "FILE",			"Writes the candidate into a file, which must not exist yet")	\
	C(RUN,      "run",      "COMMAND",		"A command of the operational mode")				\
	C(HELP,     "help",     "",			"Says what there is; so does ? at any place")			\
	C(EXIT,     "exit",     "[configuration-mode]",	"Goes to the block around this one, from the top back to the operational mode")	\
	C(QUIT,     "quit",     "",			"Back to the operational mode")
/* clang-format on */

enum configure {
#define E(id, word, follows, text) CONFIGURE_##id,
	CONFIGURE(E) CONFIGURE_COUNT
#undef E
};

#endif
