/*
 * Answers over HTTP: read at once and in pieces whose sizes the input chooses, they come to the same. What
 * follows a whole answer is not touched, and what is taken fits its place.
 */
#include "witness/http.h"

#include <assert.h>

static struct http_answer whole, pieces;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t used, total = 0, at = 0;
	struct err e = { 0 };

	if (n < 8)
		return 0;
	const uint8_t *sizes = data, *bytes = data + 8;
	n -= 8;
	http_answer_begin(&whole);
	enum rc rc = http_answer_feed(&whole, bytes, n, &used, &e);
	assert(used <= n && whole.body_n <= sizeof whole.body && whole.line_n < sizeof whole.line);
	assert(whole.retry_after_s <= HTTP_RETRY_MAX);
	assert((rc == RC_OK || rc == RC_AGAIN) == (e.text[0] == 0));
	assert(rc != RC_OK || (whole.status >= 200 && whole.status <= 999));

	enum rc again = RC_AGAIN;
	http_answer_begin(&pieces);
	while (again == RC_AGAIN && total < n) {
		size_t part = 1 + sizes[at++ % 8] % 64, taken;
		again = http_answer_feed(&pieces, bytes + total, MIN_OF(part, n - total), &taken, NULL);
		total += taken;
	}
	assert(again == rc && total == used && pieces.body_n == whole.body_n &&
		pieces.status == whole.status && pieces.retry_after_s == whole.retry_after_s);
	assert(memcmp(pieces.body, whole.body, whole.body_n) == 0);
	if (rc == RC_AGAIN)
		assert((http_answer_end(&whole, NULL) == RC_OK) == (http_answer_end(&pieces, NULL) == RC_OK));
	return 0;
}
