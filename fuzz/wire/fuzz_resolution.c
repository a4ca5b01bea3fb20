/* A frame of ARP or Neighbor Discovery: what is refused leaves no trace; what is read can be answered, and the answer
 * claims what was asked for. */
#include "must.h"
#include "packets.h"
#include "wire/resolution.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* So that more than a wrong sum is tried. */
static void sum_right(uint8_t *frame, size_t n)
{
	uint8_t pseudo[40 + 65536] = { 0 };
	size_t payload_n = n >= 54 ? load_be16(frame + 18) : 0;

	if (n < 58 || load_be16(frame + 12) != 0x86dd || payload_n > n - 54 || payload_n < 4)
		return;
	memcpy(pseudo, frame + 22, 32);
	store_be16(pseudo + 34, (uint16_t)payload_n);
	pseudo[39] = 58;
	store_be16(frame + 56, 0);
	memcpy(pseudo + 40, frame + 54, payload_n);
	store_be16(frame + 56, plain_checksum(0, pseudo, 40 + payload_n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t *copy = malloc(n ? n : 1), frame[RESOLUTION_FRAME_MAX];
	struct resolution r, before, back;

	MUST(copy);
	if (n)
		memcpy(copy, data, n);
	sum_right(copy, n);
	memset(&r, 0x5a, sizeof r);
	before = r;
	if (!resolution_read(&r, copy, n)) {
		MUST(memcmp(&r, &before, sizeof r) == 0);
	} else if (r.target.family != ADDR_NONE) {
		size_t answer_n = resolution_answer(frame, &r, mac);
		MUST(resolution_read(&back, frame, answer_n));
		MUST(back.target.family == ADDR_NONE && memcmp(back.mac, mac, sizeof mac) == 0);
		static const struct ip_addr unset4 = { .family = ADDR_V4 };
		MUST(addr_equal(&back.claimed, &r.target) || addr_equal(&r.target, &unset4));
	}
	free(copy);
	return 0;
}
