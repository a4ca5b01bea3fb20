/* The editor's limits; those of a text are in model/model.h. */
#ifndef EDIT_LIMITS_H
#define EDIT_LIMITS_H

#define LINE_BYTES_MAX	(64u << 10) /* of a command */
#define LINE_WORDS_MAX	4096	    /* in it */
#define COMPLETIONS_MAX 400	    /* offered at one place */
#define HELP_TEXT_MAX	80	    /* of what is said of each */
#define DIFFERENCES_MAX (8u << 20)  /* octets of a comparison */

#endif
