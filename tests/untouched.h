/*
 * For fw_limits.table_new and table_free in tests: the largest tables, of which a test uses a few rows, as mappings of their own. The address
 * sanitizer marks an allocation of calloc() octet by octet when it comes and when it goes, which for 18 MB costs more than the test. What is
 * written behind the end meets a page that nobody may touch; behind that of smaller ones, which are calloc()'s, the sanitizer finds it.
 */
#ifndef TESTS_UNTOUCHED_H
#define TESTS_UNTOUCHED_H

#include "must.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define UNTOUCHED_FROM (8u << 20)
#define UNTOUCHED_PAGE ((size_t)4096)

static inline size_t untouched_pages(size_t n)
{
	return (n + UNTOUCHED_PAGE - 1) & ~(UNTOUCHED_PAGE - 1);
}

static inline void *untouched_new(size_t n)
{
	size_t pages = untouched_pages(n);

	if (n < UNTOUCHED_FROM)
		return calloc(1, n);
	uint8_t *p = mmap(NULL, pages + UNTOUCHED_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(p != MAP_FAILED);
	MUST(mprotect(p + pages, UNTOUCHED_PAGE, PROT_NONE) == 0);
	return p + ((pages - n) & ~(size_t)15);
}

static inline void untouched_free(void *p, size_t n)
{
	if (n < UNTOUCHED_FROM)
		free(p);
	else if (p)
		munmap((void *)((uintptr_t)p & ~(uintptr_t)(UNTOUCHED_PAGE - 1)),
			untouched_pages(n) + UNTOUCHED_PAGE);
}

#endif
