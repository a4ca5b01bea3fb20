/*
 * `plaingate` without a command: operational mode, and the configuration mode with a candidate of this session's own. It is a user's
 * program without rights: what it asks
 * for control grants or refuses as of any other program, and the candidate is nobody's until it is committed.
 */
#ifndef CLI_SHELL_SHELL_H
#define CLI_SHELL_SHELL_H

#include <stdbool.h>

#include "edit/edit.h"
#include "cli/shell/line.h"
#include "cli/shell/output.h"

struct shell {
	const char *socket;
	struct line_editor *lines;
	char prompt[128];
	bool ends, wants_to_configure;

	/* ---- configuration mode ---- */
	struct edit *candidate; /* NULL: operational mode */
	char *base;		/* the text that it was made from */
	size_t base_n;
	uint8_t base_sha256[32];
	char *laid_out;	   /* the candidate as it was then, or when it was committed */
	unsigned rollback; /* the candidate was made this text of the history, as `laid_out`; 0: it is not */
	char *rollback_text; /* as it is there */
	size_t rollback_n;
};

/* Reads commands until the session ends; the exit status. */
int shell_run(void);
/* One line in operational mode; its exit status. */
int shell_command(const char *line);

/* ---- operational mode, also of `run`: operate.c ---- */
/* Ctrl-C ends what is repeated, and nothing else. */
void operational_signals(void);
void operational_line(struct shell *s, const char *line, struct pipe_chain *chain);

/* ---- configuration mode: configure.c ---- */
void configure_begin(struct shell *s);
void configure_line(struct shell *s, const char *line, struct pipe_chain *chain);
void configure_complete(struct shell *s, const char *line, offer_fn *offer, void *context);
/* Asks first, where something would be lost. */
void configure_leave(struct shell *s);
void configure_done(struct shell *s);

/* ---- the candidate, and its commit: commit.c ---- */

/* It becomes what runs now, which is its base. */
enum rc candidate_begin(struct shell *s, struct err *e);
/* It becomes a text of the history, over the same base. */
enum rc candidate_rollback(struct shell *s, unsigned which, struct err *e);
void candidate_forget_rollback(struct shell *s);
/* Since these, or the last commit. */
bool candidate_is_changed(const struct shell *s);
/* `commit` with its words. True: it is done, and the operator wants to leave the mode. */
bool commit_line(struct shell *s, const char *words);

#endif
