/* Link headers: whether an IP packet follows, behind tags too; no truncation passes. */
#include "base/bytes.h"
#include "wire/link_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define MACS                                                                                                 \
	"020000000001"                                                                                       \
	"020000000002"
#define SENDER "0200000000010000"

struct frame {
	uint32_t link;
	const char *hex;
	bool ip, outbound;
	uint32_t tags;
};

/* clang-format off */
static const struct frame frames[] = {
	{ 1,   MACS "0800", true, false, 0 },
	{ 1,   MACS "0806", false, false, 0 },
	{ 1,   MACS "8100" "0007" "86dd", true, false, 1 },
	{ 1,   MACS "88a8" "0007" "8100" "0008" "0800", true, false, 2 },
	{ 1,   MACS "8100" "0007", false, false, 0 }, /* cut in a tag */
	{ 113, "0000" "0001" "0006" SENDER "0800", true, false, 0 },
	{ 113, "0004" "0001" "0006" SENDER "8100" "0007" "0800", true, true, 1 },
	{ 276, "86dd" "0000" "00000002" "0001" "04" "06" SENDER, true, true, 0 },
	{ 276, "8100" "0000" "00000002" "0001" "00" "06" SENDER "0005" "0800", true, false, 1 },
	{ 0,   "02000000", true, false, 0 },
	{ 0,   "0000001e", true, false, 0 },
	{ 108, "00000018", true, false, 0 },
	{ 108, "00000007", false, false, 0 },
	{ 101, "", true, false, 0 },
	{ 105, "", false, false, 0 },
};
/* clang-format on */

static void take(const struct frame *f, const uint8_t *bytes, size_t n, bool whole)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct link_header h;

	memcpy(copy, bytes, n);
	struct rd r = rd_over(copy, n);
	link_header_take(f->link, &r, &h);
	assert_int_equal(h.ip, whole && f->ip);
	if (h.ip) {
		assert_int_equal(rd_left(&r), 0);
		assert_int_equal(h.outbound, f->outbound);
		assert_int_equal(h.tags, f->tags);
	}
	free(copy);
}

static void headers(void **state)
{
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(frames); i++) {
		size_t n = strlen(frames[i].hex) / 2;
		assert_true(hex_to_bytes(bytes, n, frames[i].hex));
		for (size_t cut = 0; cut <= n; cut++)
			take(&frames[i], bytes, cut, cut == n);
		assert_int_equal(link_header_known(frames[i].link), frames[i].link != 105);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(headers) };

	return cmocka_run_group_tests_name("wire/link-header", tests, NULL, NULL);
}
