/* More memory than a process may have that reads what peers send (CERTIFIER_DATA in sandbox/table.c). */
#ifndef TESTS_SANDBOX_MEMORY_H
#define TESTS_SANDBOX_MEMORY_H

#include <errno.h>
#include <sys/mman.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as GCC does */
#endif
#endif

/* Under sanitizers everybody may have as much as there is (sandbox/enter.c). */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define MEMORY_IS_BOUNDED 0
#else
#define MEMORY_IS_BOUNDED 1
#endif

/* Nothing of it is touched. */
static int take_much_memory(void)
{
	void *at = mmap(
		NULL, 1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? errno : munmap(at, 1ul << 30);
}

#endif
