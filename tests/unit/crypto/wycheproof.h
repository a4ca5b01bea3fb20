/*
 * Reads a Wycheproof file from the shared vectors and walks its tests. The folder is
 * ../shared/vectors/wycheproof of the project's root, or under PLAINGATE_SHARED; a missing folder skips the
 * test.
 */
#ifndef TESTS_WYCHEPROOF_H
#define TESTS_WYCHEPROOF_H

#include "base/bytes.h"

#include <jansson.h>

struct wyche_bytes {
	uint8_t *b;
	size_t n;
};

enum wyche_result { WYCHE_VALID, WYCHE_INVALID, WYCHE_ACCEPTABLE };

struct wyche_case {
	json_t *group, *test;
	int id;
	enum wyche_result result;
};

enum wyche_verdict { WYCHE_ACCEPTED, WYCHE_REFUSED, WYCHE_NOT_OURS };

/* How many tests of a file were judged; `acceptable` are those that the file leaves open. */
struct wyche_count {
	int valid, invalid, acceptable_accepted, acceptable_refused, not_ours;
};

/* The folder exists. */
bool wyche_present(void);

/*
 * Asks `judge` about every test of NAME.json. Fails the cmocka test when a valid one is refused or an invalid
 * one is accepted. At least `least` tests must be judged, and all must
 * be seen.
 */
struct wyche_count wyche_run(
	const char *name, int least, enum wyche_verdict (*judge)(const struct wyche_case *c));

/* Octets of a hexadecimal member; b is never NULL. The storage lasts until the next file. */
struct wyche_bytes wyche_hex(json_t *object, const char *key);
int wyche_int(json_t *object, const char *key);
bool wyche_flag(const struct wyche_case *c, const char *flag);

#endif
