/*
 * Codes of countries (ISO 3166-1 alpha-2), by which a mistyped one is told from a country of which a database knows nothing.
 * Pure.
 */
#ifndef MODEL_ISO_COUNTRY_H
#define MODEL_ISO_COUNTRY_H

#include <stdbool.h>

/* Of two capital letters: assigned, or one that databases use beside these (XK, and EU and AP for what is of no one country). */
bool iso_country_is_assigned(const char *code);
/* Of one that is not: the code that people mean by it, NULL if that is not known. */
const char *iso_country_meant(const char *code);

#endif
