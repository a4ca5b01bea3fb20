/*
 * Configurations for the tests of src/model: the two examples of docs/configuration.md, and random ones from
 * a seed.
 */
#ifndef TESTS_MODEL_SAMPLE_H
#define TESTS_MODEL_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* The index'th example of docs/configuration.md (0: head office, 1: branch), terminated; the caller frees it.
 */
char *sample_from_docs(unsigned index);

/* A valid configuration with random objects, order of groups, white space, comments and quotes; the caller
 * frees it. */
char *sample_random(uint64_t seed);

/* `text` with the first `old` replaced by `new`; fails the test when it is not there. The caller frees it. */
char *sample_replace(const char *text, const char *old, const char *new);

#endif
