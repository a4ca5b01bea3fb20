/*
 * One packet against all screens of headers. The first octet says whether the IPv4 header's sum is made right, and whether it
 * is a train. The packet lies on the heap at its exact size. What is met is met by that screen alone as well, a packet that
 * is said to be ordinary meets none, and nothing is changed.
 */
#include "must.h"
#include "packets.h"
#include "screen/screen.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct snap_screen all = { 0 }, one = { 0 };

	if (n < 2 || n > TRAIN_BYTES_MAX)
		return 0;
	for (uint32_t i = 0; i < SCREEN_COUNT; i++)
		screen_add(&all.on, (enum screen)i);
	all.limit[SCREEN_IP6_HEADER_LIMIT] = one.limit[SCREEN_IP6_HEADER_LIMIT] = 2;
	uint8_t *ip = malloc(n - 1), *copy = malloc(n - 1);
	MUST(ip && copy);
	memcpy(ip, data + 1, n - 1);
	size_t head = 4u * (ip[0] & 15);
	if (data[0] & 1 && ip[0] >> 4 == 4 && head >= IP4_HEADER_SIZE && head < n) {
		store_be16(ip + IP4_CSUM, 0);
		store_be16(ip + IP4_CSUM, plain_checksum(0, ip, head));
	}
	memcpy(copy, ip, n - 1);
	struct train t = { .ip = ip, .len = (uint32_t)n - 1, .segment_size = data[0] & 2 ? 100 : 0 };
	train_parse(&t);
	enum screen met = screen_headers(&all, &t);
	MUST(memcmp(ip, copy, n - 1) == 0);
	MUST(met <= SCREEN_NONE && screen_headers(&one, &t) == SCREEN_NONE);
	if (met != SCREEN_NONE) {
		MUST(!screen_is_ordinary(&t));
		screen_add(&one.on, met);
		MUST(screen_headers(&one, &t) == met);
	}
	free(ip);
	free(copy);
	return 0;
}
