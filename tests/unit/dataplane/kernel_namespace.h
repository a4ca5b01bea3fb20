/* What the tests beside a kernel of their own (a network namespace) share. */
#ifndef TESTS_KERNEL_NAMESPACE_H
#define TESTS_KERNEL_NAMESPACE_H

#include <stdio.h>

#define SKIPPED 77 /* meson's */

/* What this kernel does not have stays as it is. */
static inline void sysctl_write(const char *path, const char *value)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return;
	fputs(value, f);
	fclose(f);
}

#endif
