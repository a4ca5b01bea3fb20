/*
 * Text for a manual page, mdoc(7): what roff would interpret as a request or a dash is escaped, a `quoted` word becomes bold, and
 * paragraphs that a source has broken into lines are joined. Callers: the other files here.
 */
#ifndef DOCS_MAN_ROFF_H
#define DOCS_MAN_ROFF_H

#include <stdio.h>

/* Running text, ended with a line feed; NULL or "" writes nothing. */
void roff_text(FILE *out, const char *text);
/* The same within a line that the caller has begun. */
void roff_words(FILE *out, const char *text);

/* What replaces one line of a template: "@commands@" ... */
void page_commands(FILE *out);
void page_options(FILE *out);
void page_tables(FILE *out);
void page_statuses(FILE *out);
void page_configuration(FILE *out);
void page_applications(FILE *out);
void page_completion(FILE *out);

#endif
