/*
 * Capture files: what is written is read again, in every truncation up to the last whole block; times in all resolutions; what is wrong
 * is told with its place; every kind of block of public files in either byte order (skipped when they are not there).
 */
#include "base/bytes.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct pcapng_reader reader;
static uint8_t file[1 << 16];

/* ---- writer and reader ---- */

#define PACKETS 5
static const char *const comments[PACKETS] = { "drop policy-deny", "", "rule out (trust to untrust)", "x",
	"12345" };

static struct pcapng_packet packet_of(uint32_t i, const uint8_t *bytes)
{
	return (struct pcapng_packet){ .bytes = bytes,
		.n = i * 7 + 1,
		.wire_n = i * 7 + (i & 1 ? 900 : 1),
		.interface = i % 2,
		.comment = comments[i],
		.comment_n = (uint16_t)strlen(comments[i]),
		.when_ns = 1764440000123456789ull + i };
}

static size_t write_file(const uint8_t *bytes)
{
	struct wr w = wr_over(file, sizeof file);

	pcapng_write_section(&w, "plaingate", "--src 10.1.0.0/24");
	pcapng_write_interface(&w, "lan0", LINKTYPE_RAW, "zone trust");
	pcapng_write_interface(&w, "wan0", LINKTYPE_RAW, "");
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct pcapng_packet p = packet_of(i, bytes);
		size_t before = wr_len(&w);
		pcapng_write_packet(&w, &p, i & 1 ? PCAPNG_OUTBOUND : PCAPNG_INBOUND);
		assert_true(wr_len(&w) - before <= pcapng_packet_size(p.n));
	}
	pcapng_write_statistics(&w, 0, 1764440000123456789ull, 3, 2);
	assert_false(w.bad);
	return wr_len(&w);
}

static void same(const struct pcapng_packet *got, uint32_t i, const uint8_t *bytes)
{
	struct pcapng_packet want = packet_of(i, bytes);

	assert_int_equal(got->number, i + 1);
	assert_int_equal(got->n, want.n);
	assert_int_equal(got->wire_n, want.wire_n);
	assert_memory_equal(got->bytes, bytes, want.n);
	assert_int_equal(got->interface, want.interface);
	assert_int_equal(got->link, LINKTYPE_RAW);
	assert_int_equal(got->name_n, 4);
	assert_memory_equal(got->name, i % 2 ? "wan0" : "lan0", 4);
	assert_int_equal(got->comment_n, want.comment_n);
	assert_memory_equal(got->comment, want.comment, want.comment_n);
	assert_true(got->timed && got->when_ns == want.when_ns);
	assert_int_equal(got->outbound, i & 1);
}

static void what_is_written_is_read(void **state)
{
	uint8_t bytes[64];
	struct pcapng_packet p;
	uint32_t whole = 0;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 5 + 1);
	size_t n = write_file(bytes);
	/* Each truncation: in a copy of that size, so that the sanitizers see what is read beyond. */
	for (size_t cut = 0; cut <= n; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		struct err e = { 0 };
		uint32_t read = 0;
		memcpy(copy, file, cut);
		enum rc rc = pcapng_open(&reader, copy, cut, &e);
		while (rc == RC_OK && (rc = pcapng_next(&reader, &p, &e)) == RC_OK)
			same(&p, read++, bytes);
		assert_true(rc == RC_NOT_FOUND || (rc == RC_MALFORMED && e.text[0]));
		assert_true(read == whole || read == whole + 1); /* what was readable is kept */
		whole = read;
		assert_int_equal(pcapng_next(&reader, &p, &e), RC_NOT_FOUND);
		free(copy);
	}
	assert_int_equal(whole, PACKETS);
	assert_int_equal(reader.kinds[PCAPNG_STATISTICS], 1);
}

static void what_does_not_fit_is_not_written(void **state)
{
	uint8_t bytes[64] = { 0 };
	size_t n = write_file(bytes);

	(void)state;
	for (size_t room = 0; room < n; room += 3) {
		uint8_t *small = malloc(room ? room : 1);
		struct wr w = wr_over(small, room);
		pcapng_write_section(&w, "plaingate", "--src 10.1.0.0/24");
		pcapng_write_interface(&w, "lan0", LINKTYPE_RAW, "zone trust");
		struct pcapng_packet p = packet_of(4, bytes);
		pcapng_write_packet(&w, &p, PCAPNG_UNKNOWN);
		assert_true(w.bad || wr_len(&w) <= room);
		free(small);
	}
}

/* A comment that is too long is cut between two characters. */
static void long_comments(void **state)
{
	static char text[PCAPNG_COMMENT_MAX + 64];
	struct pcapng_packet p = { .bytes = (const uint8_t *)"x", .n = 1, .wire_n = 1, .comment = text }, got;
	struct wr w = wr_over(file, sizeof file);

	(void)state;
	memset(text, 'a', PCAPNG_COMMENT_MAX - 1);
	memcpy(text + PCAPNG_COMMENT_MAX - 1, "\xc3\xa4", 2);
	p.comment_n = PCAPNG_COMMENT_MAX + 10;
	pcapng_write_section(&w, "", "");
	pcapng_write_interface(&w, "", LINKTYPE_RAW, "");
	pcapng_write_packet(&w, &p, PCAPNG_UNKNOWN);
	assert_int_equal(pcapng_open(&reader, file, wr_len(&w), NULL), RC_OK);
	assert_int_equal(pcapng_next(&reader, &got, NULL), RC_OK);
	assert_int_equal(got.comment_n, PCAPNG_COMMENT_MAX - 1);
}

/* ---- what others write ---- */

static struct wr by_hand(bool little)
{
	struct wr w = wr_over(file, sizeof file);

	wr_bytes(&w, "\x0a\x0d\x0d\x0a", 4);
	wr_u32(&w, little ? 0x1c000000 : 0x1c);
	wr_u32(&w, little ? 0x4d3c2b1a : 0x1a2b3c4d);
	wr_u32(&w, little ? 0x01000000 : 0x00010000);
	wr_u64(&w, UINT64_MAX);
	wr_u32(&w, little ? 0x1c000000 : 0x1c);
	return w;
}

static void block(struct wr *w, uint32_t type, const char *hex)
{
	uint8_t bytes[256];
	size_t n = strlen(hex) / 2;

	assert_true(hex_to_bytes(bytes, n, hex));
	wr_u32(w, type);
	wr_u32(w, (uint32_t)n + 12);
	wr_bytes(w, bytes, n);
	wr_u32(w, (uint32_t)n + 12);
}

#define INTERFACE_ETHERNET "0001000000000000"
/* interface 0, 2 units, one octet of one */
#define PACKET_2_UNITS                                                                                       \
	"00000000"                                                                                           \
	"0000000000000002"                                                                                   \
	"00000001"                                                                                           \
	"00000001"                                                                                           \
	"aa000000"

static void times(void **state)
{
	static const struct {
		const char *options; /* of the interface */
		uint64_t ns;
	} cases[] = {
		{ "", 2000 }, /* microseconds */
		{ "00090001"
		  "09000000"
		  "00000000",
			2 }, /* nanoseconds */
		{ "00090001"
		  "00000000",
			2000000000 }, /* seconds, without an end of options */
		{ "00090001"
		  "0c000000",
			0 }, /* picoseconds */
		{ "00090001"
		  "81000000",
			1000000000 }, /* halves of a second */
		{ "00090001"
		  "ff000000",
			0 }, /* 2^-127 */
		{ "00090001"
		  "7f000000",
			0 }, /* 10^-127 */
		{ "000e0008"
		  "0000000000000003",
			3000002000 }, /* from three seconds on */
		{ "000e0008"
		  "ffffffffffffffff",
			0 }, /* before 1970 */
		{ "000e0008"
		  "7fffffffffffffff",
			UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct wr w = by_hand(false);
		struct pcapng_packet p;
		char hex[128];
		snprintf(hex, sizeof hex, "%s%s", INTERFACE_ETHERNET, cases[i].options);
		block(&w, 1, hex);
		block(&w, 6, PACKET_2_UNITS);
		assert_int_equal(pcapng_open(&reader, file, wr_len(&w), NULL), RC_OK);
		assert_int_equal(pcapng_next(&reader, &p, NULL), RC_OK);
		if (p.when_ns != cases[i].ns)
			fail_msg("case %zu: %llu", i, (unsigned long long)p.when_ns);
	}
}

static void what_is_wrong_is_told(void **state)
{
	static const struct {
		uint32_t type;
		const char *hex, *text;
	} cases[] = {
		{ 1, "00010000", "block 3 (interface, at octet 48) is malformed: expected a link type" },
		{ 1,
			INTERFACE_ETHERNET "00020005"
					   "61000000",
			"an option exceeds the block" },
		{ 1, INTERFACE_ETHERNET "00090000", "an option exceeds the block, or is too short" },
		{ 6,
			"00000001"
			"0000000000000002"
			"00000001"
			"00000001"
			"aa000000",
			"its interface was not described before it" },
		{ 6,
			"00000000"
			"0000000000000002"
			"00000005"
			"00000005"
			"aa000000",
			"the packet exceeds it" },
		{ 6,
			"00000000"
			"0000000000000002",
			"it is shorter than its own header" },
		{ 3,
			"00000009"
			"aabbccdd",
			"block 3 (simple-packet, at octet 48) is malformed: the packet exceeds it" },
		{ 2,
			PACKET_2_UNITS "00020003"
				       "00000000",
			"an option exceeds the block, or is too short" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct wr w = by_hand(false);
		struct pcapng_packet p;
		struct err e = { 0 };
		block(&w, 1, INTERFACE_ETHERNET);
		block(&w, cases[i].type, cases[i].hex);
		block(&w, 6, PACKET_2_UNITS);
		assert_int_equal(pcapng_open(&reader, file, wr_len(&w), &e), RC_OK);
		assert_int_equal(pcapng_next(&reader, &p, &e), RC_MALFORMED);
		if (!strstr(e.text, cases[i].text))
			fail_msg("case %zu: %s", i, e.text);
		assert_int_equal(pcapng_next(&reader, &p, &e), RC_NOT_FOUND);
	}
	struct wr w = by_hand(true);
	struct err e = { 0 };
	struct pcapng_packet p;
	wr_u32(&w, 0x06000000);
	wr_u32(&w, 0x0d000000); /* 13 octets: no whole words */
	assert_int_equal(pcapng_open(&reader, file, wr_len(&w), &e), RC_OK);
	assert_int_equal(pcapng_next(&reader, &p, &e), RC_MALFORMED);
	assert_string_equal(e.text, "the capture is truncated or malformed in block 2, at octet 28");
}

/* ---- public files ---- */

/* "file: blocks of each kind; packets, their octets, comments", for either byte order. */
static const char *const expected[] = {
#include "pcapng_expected.h"
};

static bool described(const char *path, const char *name, char *ret_text, size_t size)
{
	FILE *f = fopen(path, "rb");
	struct pcapng_packet p;
	struct err e = { 0 };
	unsigned long long octets = 0, said = 0;

	if (!f)
		return false;
	uint8_t *copy = malloc(sizeof file);
	size_t n = fread(copy, 1, sizeof file, f), used = (size_t)snprintf(ret_text, size, "%s:", name);
	fclose(f);
	copy = realloc(copy, n);
	enum rc rc = pcapng_open(&reader, copy, n, &e);
	while (rc == RC_OK && (rc = pcapng_next(&reader, &p, &e)) == RC_OK) {
		octets += p.n;
		said += p.comment_n > 0;
	}
	for (unsigned k = 0; k < PCAPNG_BLOCKS_N; k++)
		if (reader.kinds[k])
			used += (size_t)snprintf(ret_text + used, size - used, " %s %llu",
				pcapng_block_name((enum pcapng_block)k), (unsigned long long)reader.kinds[k]);
	snprintf(ret_text + used, size - used, "; packets %llu, octets %llu, comments %llu%s%s",
		(unsigned long long)reader.packets, octets, said, rc == RC_NOT_FOUND ? "" : "; ", e.text);
	free(copy);
	return true;
}

static void public_files(void **state)
{
	const char *shared = getenv("PLAINGATE_SHARED");
	char path[4096], text[1024], name[64];
	struct stat st;
	size_t wrong = 0;

	(void)state;
	shared = shared ? shared : "../shared";
	snprintf(path, sizeof path, "%s/captures/pcapng", shared);
	if (stat(path, &st) != 0)
		skip();
	for (size_t i = 0; i < 2 * COUNT_OF(expected); i++) {
		const char *line = expected[i / 2];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(line, ":"), line);
		snprintf(path, sizeof path, "%s/captures/pcapng/output_%s/%s", shared, i % 2 ? "le" : "be",
			name);
		if (!described(path, name, text, sizeof text))
			fail_msg("%s: no such file", path);
		if (strcmp(text, line) != 0) {
			print_error("got      \"%s\",\nexpected \"%s\",\n", text, line);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_does_not_fit_is_not_written),
		cmocka_unit_test(long_comments),
		cmocka_unit_test(times),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(public_files),
	};
	return cmocka_run_group_tests_name("wire/pcapng", tests, NULL, NULL);
}
