/* For fuzzers, and builders of tests that fuzzers use too: what is not as it must be ends the program at once. */
#ifndef TESTS_MUST_H
#define TESTS_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "ERROR: %s:%d: %s\n", __FILE__, __LINE__, #x);                       \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
