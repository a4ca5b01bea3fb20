/*
 * Answers of name servers: whatever comes, no more addresses than there is room for come of it, each of the
 * family that was asked for, and none unless it is an answer.
 */
#include "witness/names.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct names_found found;
	struct names_question q = { .host = "witness.example.org", .v6 = n > 0 && data[0] & 1 };
	struct err e = { 0 };

	if (n < 3)
		return 0;
	q.id = (uint16_t)(data[1] << 8 | data[2]); /* so that it is the answer's */
	enum rc rc = names_answer(&found, &q, data + 1, n - 1, &e);
	assert(found.n <= NAMES_ALL_MAX && (rc == RC_OK || found.n == 0) &&
		(rc == RC_OK) == (e.text[0] == 0));
	assert(found.ttl_s <= NAMES_TTL_MAX_S && (found.n > 0 || found.ttl_s == NAMES_TTL_MAX_S));
	for (size_t i = 0; i < found.n; i++)
		assert(found.addr[i].family == (q.v6 ? ADDR_V6 : ADDR_V4));
	return 0;
}
