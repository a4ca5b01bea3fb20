/*
 * snapshot_check(): whatever it lets pass can be walked without a read outside the block.
 */
#include <stdlib.h>
#include <string.h>

#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	void *block = malloc(n ? n : 1); /* aligned, and exact for the sanitizer */

	if (!block)
		return 0;
	memcpy(block, data, n);
	if (n >= 8)
		/* lengths would hide the rest from the fuzzer */
		((struct snapshot *)block)->bytes = (uint32_t)n;
	if (snapshot_check(block, n, NULL) == RC_OK)
		snapshot_walk(block);
	free(block);
	return 0;
}
