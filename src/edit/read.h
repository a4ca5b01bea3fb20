/* Text to statements, and back. Private to the room. */
#ifndef EDIT_READ_H
#define EDIT_READ_H

#include "edit/tree.h"
#include "model/model.h"

/* Text in the making. */
struct text {
	char *at; /* terminated, once something was put; free() */
	size_t n, size;
	bool bad; /* memory was short */
};
void text_put(struct text *t, const char *at, size_t n);
void text_puts(struct text *t, const char *text);

/*
 * The statements of a text that stands inside a block of `within` (NULL: the top), which belong to a statement without a place of its own.
 * `marks`: statements may begin with `replace:`. RC_MALFORMED: the first fault, as "NAME:LINE:COLUMN: ..."; RC_INTERNAL: out of memory.
 */
enum rc edit_read(struct stmt **ret_root, const struct lysc_node *within, const char *text, size_t n,
	const char *name, bool marks, struct err *e);

/* The block's content, indented by `depth`. */
void write_block(struct text *t, const struct stmt *block, unsigned depth);
/* A statement with what it contains. */
void write_stmt(struct text *t, const struct stmt *s, unsigned depth);
/* A word, in quotes where it needs them. */
void write_word(struct text *t, const char *word);
/* Its words only: "policy", "from trust to vpn", "source [ a b ]". */
void write_head(struct text *t, const struct stmt *s);
/* `set` and `deactivate` lines, each beginning with the words in `path` ("" for none). */
void write_sets(struct text *t, const struct stmt *block, const char *path);

#endif
