/*
 * Lines of sshd's log: whatever comes, what is read is a text of printable characters and an address, and the sums are as many as were added.
 */
#include "ssh/failures.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct failures all;
	struct failure f, out;
	uint64_t entered = 0;

	if (!failure_read(&f, (const char *)data, n))
		return 0;
	assert(f.count == 1 && f.kind < FAILURE_KIND_COUNT && f.source[0] && !strchr(f.source, ' '));
	for (const char *c = f.name; *c; c++)
		assert(*c >= ' ' && *c <= '~');
	memset(&all, 0, sizeof all);
	failures_add(&all, &f, NS_PER_S);
	failures_add(&all, &f, NS_PER_S);
	while (failures_next(&all, &out, NS_PER_S))
		entered += out.count;
	assert(entered == 2 && all.total == 2);
	return 0;
}
