/*
 * The words of a command, and what they lead to: "policy from trust to vpn rule web match source [ a b ]". Private to the room.
 */
#ifndef EDIT_PATH_H
#define EDIT_PATH_H

#include "edit/limits.h"
#include "edit/tree.h"
#include "model/model.h"

struct words {
	char *bytes; /* all of them, each terminated */
	char **at;
	bool *quoted;
	unsigned n;
	unsigned single; /* words before brackets; n without them. Within the brackets are the last ones */
};

/* RC_MALFORMED: a quote without its end, a brace, a bracket at the wrong place; RC_LIMIT. */
enum rc words_read(struct words *ret_words, const char *line, struct err *e);
void words_free(struct words *w);

struct step {
	const struct lysc_node *schema;
	char *keys[SCHEMA_KEYS_MAX]; /* borrowed from the words */
};

/* From the level that the command is given at. */
struct path {
	struct step steps[CONFIG_DEPTH_MAX]; /* blocks */
	unsigned n;
	const struct lysc_node
		*leaf;	 /* a leaf or leaf-list at the end, or a list without keys: all its entries */
	unsigned values; /* words from this one on are its values */
};

/*
 * Where words [from, to) lead. Words of the schema may be cut where only one is left that begins so. RC_NOT_FOUND, RC_MALFORMED: with what
 * was expected at the
 * first word that does not fit.
 */
enum rc path_read(struct path *ret_path, const struct lysc_node *level, const struct words *w, unsigned from,
	unsigned to, struct err *e);

/* The block that the steps lead to, or NULL: it is not there. Only to change something it is taken out of entries that are written
 * together: `alone`. */
struct stmt *path_find(struct stmt *level, const struct path *p, bool alone, bool *ret_bad);
/* Makes what is not there; of a choice, what was there of its other cases goes. NULL: out of memory. */
struct stmt *path_make(struct stmt *level, const struct path *p);
/* Takes out of the block what cannot stand beside a statement of the schema: the other cases of its choice. */
void path_choose(struct stmt *block, const struct lysc_node *schema);

/* "policy from trust to vpn": the block's own place, from the top. text holds PATH_TEXT_MAX, and is cut there. */
#define PATH_TEXT_MAX 512
char *path_text(char *ret_text, const struct stmt *block);

/* The statement of the schema that the word is, or is the only beginning of; NULL: none or several. */
const struct lysc_node *path_word(const struct lysc_node *parent, const char *word);

#endif
