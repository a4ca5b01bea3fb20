/*
 * Memory that one thread writes. It begins and ends with a pair of cache lines, so nothing else is on the lines
 * that a processor takes away from the others to write it: processors fetch lines in pairs. Given back by free().
 */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE_PAIR 128

/* What n elements of so many octets take; 0: too much. */
static inline size_t lines_bytes(size_t n, size_t octets)
{
	size_t all;

	if (__builtin_mul_overflow(n, octets, &all) || all > SIZE_MAX - LINE_PAIR)
		return 0;
	return (all + LINE_PAIR - 1) / LINE_PAIR * LINE_PAIR;
}

/* The caller writes them before anything reads them. NULL: out of memory, or n is 0. */
static inline void *lines_room(size_t n, size_t octets)
{
	size_t all = lines_bytes(n, octets);

	return all ? aligned_alloc(LINE_PAIR, all) : NULL;
}

/* n elements of so many octets, all zero. NULL: out of memory. */
static inline void *lines_new(size_t n, size_t octets)
{
	void *p = lines_room(n, octets);

	return p ? memset(p, 0, lines_bytes(n, octets)) : NULL;
}

#endif
