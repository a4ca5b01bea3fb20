/*
 * Names that a text with mistakes may have meant to define: words of statements that were not understood, and names in parts that
 * are taken out of the tree because something is missing there. What names one of them may be right, so that is no fault
 * of its own. And names that are switched off by `inactive:`, so that a fault can say so. Private to the room.
 */
#ifndef MODEL_LOST_H
#define MODEL_LOST_H

#include <libyang/libyang.h>

#include "model/faults.h"
#include "model/lexer.h"
#include "model/vec.h"

#define LOST_NAMES_MAX 100000u /* of which a fault can tell that they are lost, or inactive */

struct lost_name {
	char *value;
	const char *list; /* of which it is the name: the schema's word; NULL: any value */
	struct place place;
};

struct lost {
	struct {
		const char *at, *end; /* of the text, which outlives this */
	} skipped[FAULTS_COUNTED];
	unsigned skipped_n;
	struct vec gone, off; /* struct lost_name */
	bool whole;	      /* there was no room: anything may be lost */
};

void lost_done(struct lost *l);
/* A part of the text was not understood. */
void lost_skip(struct lost *l, const char *at, const char *end);
/* All values of a part of the tree that will be freed. */
void lost_gone(struct lost *l, const struct lyd_node *part);
/* Names of lists in a part of the tree that is inactive. */
void lost_off(struct lost *l, const struct lyd_node *part);

bool lost_holds(const struct lost *l, const char *value);
/* "; zone 'dmz', in line 7, is inactive" where a list whose word begins with `kind` has such an entry; else "". */
#define LOST_HINT_MAX 160
char *lost_hint(char ret_hint[LOST_HINT_MAX], const struct lost *l, const char *kind, const char *value);

#endif
