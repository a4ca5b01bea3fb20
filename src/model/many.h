/*
 * The values of leaf-lists that may be very long: prefixes and ranges of addresses, of which a policy has a million. A node of
 * libyang's tree for each costs more than all else that is done with the text, so the tree has the first one only (and those that
 * are inactive): it stands for all of them in what the schema says of the list, which is `must`, and nothing depends on how many there are.
 * Each value is checked against its type as in the tree. Private to the room; parse.c fills it.
 */
#ifndef MODEL_MANY_H
#define MODEL_MANY_H

#include <libyang/libyang.h>

#include "model/lexer.h"
#include "model/vec.h"

/* Which leaf-lists these are: prefix and range of an address in address-book. */
enum many_kind { MANY_NONE, MANY_PREFIX, MANY_RANGE, MANY_KINDS };

struct many_value {
	struct place in, at; /* of the entry whose value it is, and its own */
	uint32_t text;	     /* where it begins in `texts` */
	uint8_t kind;	     /* enum many_kind */
	bool inactive;
};

struct many {
	struct vec values; /* in the order of the text, so those of an entry stand together */
	char *texts;	   /* terminated ones */
	size_t texts_n, texts_room;
	/* of the entry that was added to last: */
	size_t first;		 /* of its values */
	bool active[MANY_KINDS]; /* it has an active one */
	uint32_t *slots; /* its values by their hash, counted from 1; those of other entries count as none */
	size_t slots_n;	 /* a power of two, or 0 */
};

enum many_kind many_kind(const struct lysc_node *leaf);

/* What the type says, for values that are accepted without asking libyang; false: it is to be asked. */
bool many_fits(enum many_kind kind, const char *text, size_t n);

/* Begins with an entry, unless it is the one that is being added to. */
void many_begin(struct many *m, struct place in);
/* The same value of this entry, or NULL; valid until the next one is added. */
const struct many_value *many_find(const struct many *m, enum many_kind kind, const char *text);
/* v->text is set here. False: out of memory. */
bool many_add(struct many *m, struct many_value v, const char *text);
/* Nothing is added any more. */
void many_added(struct many *m);
void many_done(struct many *m);

/* The next active value of the entry of that kind after `last` (NULL: the first); NULL at the end. */
const struct many_value *many_next(
	const struct many *m, struct place in, enum many_kind kind, const struct many_value *last);

static inline const char *many_text(const struct many *m, const struct many_value *v)
{
	return m->texts + v->text;
}

#endif
