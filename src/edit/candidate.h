/* What the commands of edit.h share. Private to the room. */
#ifndef EDIT_CANDIDATE_H
#define EDIT_CANDIDATE_H

#include "edit/edit.h"
#include "edit/path.h"

/* A block that commands begin in, by name: it need not be there (yet, or any more). */
struct level {
	unsigned n;
	const struct lysc_node *schema[CONFIG_DEPTH_MAX];
	char *keys[CONFIG_DEPTH_MAX][SCHEMA_KEYS_MAX];
};

struct edit {
	struct stmt *root;
	struct level level;
	char level_text[PATH_TEXT_MAX];
	bool changed;
	unsigned uses; /* that the last renaming followed */
	struct level
		*aside; /* the session's own level, while `top` or a text of commands has another; NULL */
	struct edit_completion *completions;
	unsigned completions_n;
	char **completion_words; /* which they have */
};

/* The level's schema; NULL: the top. */
const struct lysc_node *level_schema(const struct edit *e);
/* Its block. NULL: it is not there, or *ret_bad: out of memory. `alone`: as path_find(). */
struct stmt *level_find(const struct edit *e, bool alone, bool *ret_bad);
/* The block of the level's first n steps; NULL: it is not there. */
const struct stmt *level_block(const struct edit *e, const struct level *l, unsigned n);
/* Makes it where it is not. NULL: out of memory. */
struct stmt *level_make(struct edit *e);

void level_cut(struct level *l, unsigned n);
/* A block more. False: out of memory, or too deep. */
bool level_add(struct level *l, const struct step *s);
/* False: out of memory; then it may have less. */
bool level_copy(struct level *ret_copy, const struct level *l);
/* After it has changed: how it reads. */
void level_text(struct edit *e);

enum rc no_memory(struct err *err);
/* "there is no zone 'trust'" of what the path names. */
enum rc not_there(const struct path *p, const struct words *w, struct err *err);
/* Whether the value fits the leaf, leaf-list or key. RC_RANGE: with what was expected. */
enum rc value_check(const struct lysc_node *leaf, const char *value, struct err *err);

/* A command by its words; what it does, if it does, is a change. */
enum rc with_words(struct edit *e, const char *line,
	enum rc (*run)(struct edit *e, struct words *w, struct err *err), struct err *err);

/* The block that the path leads to. RC_NOT_FOUND. `alone`: when nothing can be wrong any more with what is changed there. */
enum rc block_find(struct edit *e, const struct path *p, const struct words *w, bool alone,
	struct stmt **ret_block, struct err *err);
/* Its first statement of a leaf or leaf-list; NULL: none. */
struct stmt *leaf_find(struct stmt *block, const struct lysc_node *leaf);
bool leaf_list_has(struct stmt *block, const struct lysc_node *leaf, const char *value, struct stmt **ret_s,
	size_t *ret_i);

#endif
