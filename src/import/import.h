/*
 * Configurations of other vendors' firewalls, translated into the text of this one's: `plaingate import`. What exists here is
 * translated; of every statement that is not, it is said what became of it. A rule is translated whole or not at all: where
 * it stood there is a comment.
 *
 * Pure: text goes in, text comes out. Nobody's secret is taken over.
 */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* clang-format off */
#define IMPORT_KINDS(K)		/* id, word, text */									\
	K(JUNOS,    "junos-set", "Junos of an SRX: set lines (`show configuration | display set`), or the text with braces")	\
	K(SCREENOS, "screenos",  "ScreenOS: what `get config` prints")

/* From good to bad: of several the last counts. */
#define IMPORT_OUTCOMES(O)	/* id, word, text */									\
	O(UNSAID,     "",             "")										\
	O(TRANSLATED, "translated",   "means the same here")								\
	O(HOST,       "host",         "belongs to the host, not to the gateway's configuration")				\
	O(CHANGED,    "changed",      "is translated to something near it: look whether that is meant")			\
	O(NONE,       "none",         "has no counterpart")								\
	O(WRONG,      "wrong",        "could not be translated, since the configuration contradicts itself or lacks something")	\
	O(UNKNOWN,    "unknown",      "was not understood")
/* clang-format on */

enum import_kind {
#define IMPORT_ID(id, word, text) IMPORT_##id,
	IMPORT_KINDS(IMPORT_ID) IMPORT_KIND_COUNT
};
enum import_outcome {
	IMPORT_OUTCOMES(IMPORT_ID) IMPORT_OUTCOME_COUNT
#undef IMPORT_ID
};

#define IMPORT_TEXT_MAX	     (16u << 20) /* of a configuration */
#define IMPORT_STATEMENT_MAX 200	 /* of a statement as it is told, with its end */
#define IMPORT_INTERFACE_MAX 15

/* A statement of the source, and what became of it. */
struct import_row {
	uint32_t line;
	enum import_outcome outcome;
	char statement[IMPORT_STATEMENT_MAX]; /* without secrets */
	const char *note;		      /* "" where there is nothing to say */
};

struct import;

/*
 * Translates n octets of text, which need no end. `interfaces`: how the source's interfaces are called here, "ge-0/0/0.0=lan0,ge-0/0/1.0=wan0", or
 * NULL; of others the name is made of letters that are possible here. RC_MALFORMED: it is not such a text (an open brace, a quote, a control
 * octet), with the line; RC_LIMIT: larger or deeper than any that was ever seen.
 */
enum rc import_text(struct import **ret_import, enum import_kind kind, const char *text, size_t n,
	const char *interfaces, struct err *e);
void import_free(struct import *m);

/* The configuration, ending in a newline. It is the importer's. */
const char *import_configuration(const struct import *m);
/* Row i in the order of the source's lines. RC_NOT_FOUND: there are no more. Its note is the importer's. */
enum rc import_row(struct import_row *ret_row, const struct import *m, size_t i);

const char *import_outcome_word(enum import_outcome o);
const char *import_outcome_text(enum import_outcome o);

#endif
