/*
 * Client puzzles (RFC 8019 section 7.1.3) as values: for a text S that nobody knows in advance, four different keys of one size for
 * which the result of the PRF over S ends with at least so many zero bits. To check a solution takes four PRFs, whatever it has.
 *
 * A search tries the numbers from 0 on, as keys of four octets, and takes the first four that fit: S determines its result, so that
 * nothing is free in it (docs/evidence.md).
 */
#include "ike/internal.h"

#include "crypto/prf.h"

unsigned puzzle_zero_bits(uint16_t prf, const void *key, size_t key_n, const struct ike_view *text)
{
	struct prf_part part = { text->at, text->n };
	uint8_t out[PRF_SIZE_MAX];
	unsigned bits = 0;

	if (prf_run(prf, key, key_n, &part, 1, out) != RC_OK)
		return 0;
	for (size_t i = prf_size(prf); i-- > 0; bits += 8)
		if (out[i] != 0)
			return bits + (unsigned)__builtin_ctz(out[i]);
	return bits;
}

bool puzzle_is_solved(
	uint16_t prf, unsigned difficulty, const struct ike_view *text, const struct ike_view *solution)
{
	size_t n = solution->n / PUZZLE_KEYS;

	if (n == 0 || solution->n % PUZZLE_KEYS != 0 || n > prf_size(prf))
		return false; /* 8.2: "between 1 octet and the preferred key length of the PRF" */
	for (size_t i = 0; i < PUZZLE_KEYS; i++) {
		for (size_t k = 0; k < i; k++)
			if (memcmp(solution->at + k * n, solution->at + i * n, n) == 0)
				return false;
		if (puzzle_zero_bits(prf, solution->at + i * n, n, text) < difficulty)
			return false;
	}
	return true;
}

bool puzzle_search_on(struct puzzle_search *s, const struct ike_view *text, uint32_t tries)
{
	for (uint32_t i = 0; i < tries && s->found < PUZZLE_KEYS; i++) {
		uint8_t *key = s->keys[s->found];

		store_be32(key, s->next++);
		s->found += puzzle_zero_bits(s->prf, key, sizeof s->keys[0], text) >= s->difficulty;
	}
	return s->found == PUZZLE_KEYS;
}
