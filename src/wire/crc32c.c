#include "wire/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, its bits turned round */

uint32_t crc32c_add(uint32_t crc, const uint8_t *bytes, size_t n)
{
	uint32_t table[16];

	for (uint32_t i = 0; i < 16; i++) {
		table[i] = i;
		for (int bit = 0; bit < 4; bit++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ POLYNOMIAL : table[i] >> 1;
	}
	for (size_t i = 0; i < n; i++) { /* four bits at a time */
		crc = crc >> 4 ^ table[(crc ^ bytes[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ bytes[i] >> 4) & 15];
	}
	return crc;
}

uint32_t crc32c(const uint8_t *bytes, size_t n)
{
	return ~crc32c_add(CRC32C_BEGIN, bytes, n);
}
