/*
 * Answers of name servers: whatever comes, no more addresses than there is room for come of it, each of the
 * family that was asked for, and none unless it is an answer.
 */
#include "witness/names.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ip_addr found[NAMES_EACH_MAX];
	struct names_question q = { .host = "witness.example.org", .v6 = n > 0 && data[0] & 1 };
	struct err e = { 0 };
	size_t count;

	if (n < 3)
		return 0;
	q.id = (uint16_t)(data[1] << 8 | data[2]); /* so that it is the answer's */
	enum rc rc = names_answer(found, &count, &q, data + 1, n - 1, &e);
	assert(count <= NAMES_EACH_MAX && (rc == RC_OK || count == 0) && (rc == RC_OK) == (e.text[0] == 0));
	for (size_t i = 0; i < count; i++)
		assert(found[i].family == (q.v6 ? ADDR_V6 : ADDR_V4));
	return 0;
}
