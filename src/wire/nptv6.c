#include "wire/nptv6.h"

#include <assert.h>

#include "wire/csum.h"

enum { WORDS = 8, SUBNET = 3, IDENTIFIER = 4 };

/* The word that takes the difference; WORDS: none can. */
static size_t word_adjusted(const struct ip_range *prefix, const struct ip_addr *a)
{
	bool short_prefix = (prefix->first.b[6] ^ prefix->last.b[6]) == 0xff &&
			    (prefix->first.b[7] ^ prefix->last.b[7]) == 0xff;
	size_t i = short_prefix ? SUBNET : IDENTIFIER, end = short_prefix ? IDENTIFIER : WORDS;

	while (i < end && load_be16(a->b + 2 * i) == 0xffff)
		i++;
	return i < end ? i : WORDS;
}

bool nptv6_map(const struct ip_range *from, const struct ip_range *to, const struct ip_addr *a,
	struct ip_addr *ret_addr)
{
	struct ip_addr b = to->first;
	size_t at = word_adjusted(from, a);

	assert(a->family == ADDR_V6 && to->first.family == ADDR_V6 && range_holds(from, a));
	if (at == WORDS)
		return false;
	for (size_t i = 0; i < sizeof b.b; i++)
		b.b[i] = (uint8_t)(b.b[i] | (a->b[i] ^ from->first.b[i]));
	/* Section 3.1: the word plus the sum of the prefix that goes, minus that of the one that comes. */
	uint16_t word, goes = csum_fold(csum_add(0, from->first.b, sizeof from->first.b)),
		       comes = csum_fold(csum_add(0, to->first.b, sizeof to->first.b));
	memcpy(&word, a->b + 2 * at, sizeof word);
	word = csum_fold((uint64_t)word + goes + (uint16_t)~comes);
	if (word == 0xffff)
		word = 0;
	memcpy(b.b + 2 * at, &word, sizeof word);
	assert(range_holds(to, &b));
	*ret_addr = b;
	return true;
}
