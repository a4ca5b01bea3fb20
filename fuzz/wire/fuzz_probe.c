/* A packet that may be the answer to a probe: nothing that it says is read beyond its end, and only the target's own address
 * can answer. The first octet says which probe, the rest is the packet. */
#include "wire/ip.h"
#include "wire/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t family = n > 0 && data[0] & 4 ? ADDR_V6 : ADDR_V4;
	struct probe p = { .src = { .b = { 198, 51, 100, 2 }, .family = family },
		.dst = { .b = { 192, 0, 2, 80 }, .family = family },
		.by = (enum probe_by)(n > 0 ? data[0] % 3 : 0),
		.dst_port = 443,
		.src_port = 0x3132,
		.sequence = 0x3334,
		.number = 0x3132333435363738ull,
		.name = "example.net" };
	uint8_t *copy = malloc(n), at = family == ADDR_V4 ? IP4_SRC : IP6_SRC;

	if (n == 0 || !copy) {
		free(copy);
		return 0;
	}
	memcpy(copy, data + 1, n - 1);
	if (probe_is_answer(&p, copy, n - 1) && memcmp(copy + at, p.dst.b, addr_size(&p.dst)) != 0) {
		fprintf(stderr, "ERROR: another host has answered\n");
		abort();
	}
	free(copy);
	return 0;
}
