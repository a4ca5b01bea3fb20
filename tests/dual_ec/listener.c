/*
 * The listener of 2015, as a program: dual_ec_listener SEEN DRAWS. SEEN is what went over the wire, in
 * hexadecimal: a nonce, followed by the SPI if that comes from the same generator. For each possible state of
 * the generator it prints one line: the remaining octets of that draw and those of DRAWS draws of 64 octets
 * after it.
 */
#include "base/bytes.h"
#include "dual_ec.h"
#include "model/public_values.h"

#include <stdio.h>
#include <stdlib.h>

#define STATES_MAX 16

int main(int argc, char **argv)
{
	struct dual_ec states[STATES_MAX];
	uint8_t seen[2 * DUAL_EC_BLOCK], octets[PUBLIC_SIZE];
	size_t n = argc == 3 ? strlen(argv[1]) / 2 : 0;
	char hex[2 * PUBLIC_SIZE + 1];

	if (n <= DUAL_EC_BLOCK || n > sizeof seen || !hex_to_bytes(seen, n, argv[1])) {
		fputs("dual_ec_listener SEEN DRAWS\n", stderr);
		return 2;
	}
	size_t found = dual_ec_listen(seen, n, states, STATES_MAX);
	for (size_t i = 0; i < found; i++) {
		struct dual_ec *g = &states[i];
		dual_ec_octets(g, octets, PUBLIC_SIZE - DUAL_EC_BLOCK);
		fputs(hex_from_bytes(hex, octets, PUBLIC_SIZE - DUAL_EC_BLOCK), stdout);
		for (long left = strtol(argv[2], NULL, 10); left > 0; left--) {
			dual_ec_octets(g, octets, PUBLIC_SIZE);
			fputs(hex_from_bytes(hex, octets, PUBLIC_SIZE), stdout);
		}
		putchar('\n');
	}
	return found > 0 ? 0 : 1;
}
