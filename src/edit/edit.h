/*
 * A configuration's text while somebody edits it: the commands of `configure`. The text keeps its comments, its order and what is
 * inactive; uses follow a name.
 *
 * Pure: it holds no file and no connection. A candidate belongs to one session's program and dies with it; what control knows of it is the
 * text that is
 * committed, and which text that was made from. Callers: cli; one thread.
 *
 * Commands take the words that follow their own, relative to the level: edit_set(e, "policy from trust to vpn rule web then permit"). All
 * return RC_OK or what
 * was wrong with the words: RC_NOT_FOUND (there is no such thing), RC_EXISTS, RC_MALFORMED, RC_RANGE (a value that its type does not have), RC_LIMIT,
 * RC_INTERNAL (out of memory); then nothing has changed.
 */
#ifndef EDIT_EDIT_H
#define EDIT_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct edit;

/* `name` is what errors call the text: "NAME:LINE:COLUMN: ...". */
enum rc edit_new(struct edit **ret_edit, const char *text, size_t n, const char *name, struct err *err);
void edit_free(struct edit *e); /* NULL is fine */

/* Texts that these return are terminated and the caller's, for free(). NULL: out of memory. */
char *edit_text(const struct edit *e);
bool edit_changed(const struct edit *e); /* for tests: whether a command that is refused leaves a trace */

/* ---- where commands begin ---- */
enum rc edit_up(struct edit *e, unsigned levels, struct err *err);
/* "policy from trust to vpn", "" at the top. It is the editor's, until the next command. */
const char *edit_level(const struct edit *e);

/* ---- what is there ---- */

/* The statement that the words name (the level without words), as the text has it, or as `set` lines. */
enum rc edit_show(const struct edit *e, const char *words, bool as_set, char **ret_text, struct err *err);

/*
 * How the text at the level differs from another configuration: "[edit PATH]" and lines that begin with - or +, or ! where only the order
 * differs. "" where
 * nothing does; comments are not compared. RC_MALFORMED: the other text is no configuration.
 */
enum rc edit_compare(
	const struct edit *e, const char *text, size_t n, const char *name, char **ret_text, struct err *err);

/* ---- what changes it ---- */
enum rc edit_set(struct edit *e, const char *words, struct err *err);
enum rc edit_delete(
	struct edit *e, const char *words, struct err *err); /* without words: all that is at the level */
/* "zone trust to zone lan". *ret_uses: statements elsewhere that named it, and name it as it is called now. */
enum rc edit_rename(struct edit *e, const char *words, unsigned *ret_uses, struct err *err);
enum rc edit_copy(
	struct edit *e, const char *words, struct err *err); /* "rule web to rule web-2": behind it */
enum rc edit_insert(struct edit *e, const char *words,
	struct err *err); /* "rule web before rule rest", "... after ..." */
enum rc edit_activate(struct edit *e, const char *words, bool active, struct err *err);
/* "rule web \"for the shop\"": the comment before it, in place of one that is there; an empty text takes it away. */
enum rc edit_annotate(struct edit *e, const char *words, struct err *err);

/* clang-format off */
#define EDIT_LOADS(L)	/* id, word, text */									\
	L(MERGE,    "merge",    "adds the statements of a text at this level; of single values the new ones stay")		\
	L(REPLACE,  "replace",  "the same, but statements marked `replace:` take the place of those that are there")		\
	L(OVERRIDE, "override", "the whole candidate becomes that text")							\
	L(SET,      "set",      "carries out a text of commands, one in each line: set, delete, rename, copy, insert, activate, deactivate, annotate, edit, up, top")
/* clang-format on */

enum edit_load {
#define EDIT_LOAD_ID(id, word, text) EDIT_LOAD_##id,
	EDIT_LOADS(EDIT_LOAD_ID) EDIT_LOAD_COUNT
#undef EDIT_LOAD_ID
};

/* All of a text or nothing of it. Errors have "NAME:LINE:...". */
enum rc edit_load(
	struct edit *e, enum edit_load how, const char *text, size_t n, const char *name, struct err *err);

/* ---- what may come next ---- */
struct edit_completion {
	const char *
		word; /* borrowed until the next call; what the operator would type, quoted where it needs it */
	const char *text; /* what it is, in a few words; "" */
	bool is_value;	  /* a place for a value, described by `text`, where no word is known: "<address>" */
};

/* clang-format off */
#define EDIT_COMMANDS(C)	/* id, word, what follows, text */									\
	C(SET,        "set",        "PATH [VALUE]",		"Adds a statement, or gives it another value")			\
	C(DELETE,     "delete",     "[PATH]",			"Removes a statement, or all at this level")			\
	C(EDIT,       "edit",       "PATH",			"Goes to a block: commands begin there")			\
	C(UP,         "up",         "[LEVELS]",			"Goes to the block around this one")				\
	C(TOP,        "top",        "[COMMAND]",		"Goes to the top; before a command: for that command alone")	\
	C(RENAME,     "rename",     "PATH to [KEYWORD] NAME",	"Gives an entry another name, where it is used as well")	\
	C(COPY,       "copy",       "PATH to [KEYWORD] NAME",	"Makes another entry like one that is there")			\
	C(INSERT,     "insert",     "PATH before|after [KEYWORD] NAME", "Moves an entry, where the order counts")		\
	C(ACTIVATE,   "activate",   "PATH",			"Takes the mark inactive: away")				\
	C(DEACTIVATE, "deactivate", "PATH",			"Marks a statement inactive: it stays, and has no effect")	\
	C(ANNOTATE,   "annotate",   "PATH \"TEXT\"",		"Writes a comment before a statement; \"\" removes it")
/* clang-format on */

enum edit_command {
#define EDIT_COMMAND_ID(id, word, follows, text) EDIT_COMMAND_##id,
	EDIT_COMMANDS(EDIT_COMMAND_ID) EDIT_COMMAND_COUNT
#undef EDIT_COMMAND_ID
};

/* One of the commands above, with its word: what `load set` has in each line. */
enum rc edit_command(struct edit *e, const char *line, struct err *err);

/*
 * What may follow `words`, of which the last one is unfinished unless a space follows it; `command` says how they are read. Words of the
 * schema, names that exist where a name is
 * wanted, values that are possible. Returns their number.
 */
unsigned edit_complete(struct edit *e, enum edit_command command, const char *words,
	const struct edit_completion **ret_completions);

#endif
