/* The importer's limits; that of a whole text is in import.h. */
#ifndef IMPORT_LIMITS_H
#define IMPORT_LIMITS_H

#define TREE_DEPTH_MAX	64	    /* words of a statement, and open braces */
#define TREE_WORD_MAX	4096	    /* octets of a word */
#define LINE_WORDS_MAX	512	    /* with those of a list in brackets */
#define NESTED_MAX	64	    /* sets within sets */
#define CHUNK_BYTES	(64u << 10) /* memory is taken in such pieces */
#define SIDES_MAX	16	    /* zones that a rule set of NAT comes from, or goes to */
#define SERVICES_MAX	32	    /* that a zone opens */
#define TRIES_MAX	10000	    /* to find a name that nobody has */
#define PORTS_TEXT_MAX	32	    /* "65535-65535" */
#define DOMAIN_MAX	253	    /* of a name in DNS */
#define DESCRIPTION_MAX 255	    /* of a description here */
#define OBJECT_NAME_MAX 63	    /* of an object's name here */

#endif
