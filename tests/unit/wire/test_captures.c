/*
 * Real traffic: every packet of the captures goes through train_parse() at its exact size; each file's
 * verdicts are known. Skipped when the captures are not there.
 */
#include "capture.h"
#include "packets.h"
#include "wire/quoted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* How many of each file's packets meet which end. */
static const char *const expected[] = {
#include "captures_expected.h"
};

static void verdicts(const char *folder, const char *file, char *ret_text, size_t size)
{
	char path[8192];
	struct capture c;
	const uint8_t *ip;
	size_t n, ip_packets = 0, used, drops[DROP_COUNT] = { 0 };

	snprintf(path, sizeof path, "%s/%s", folder, file);
	if (!capture_open(&c, path))
		fail_msg("%s: no capture", path);
	while (capture_next(&c, &ip, &n)) {
		if (!ip)
			continue;
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, ip, n);
		struct train t = { .ip = copy, .len = (uint32_t)n };
		enum drop_reason d = train_parse(&t);
		if (d == DROP_NONE) {
			struct quoted q;
			d = train_verify_l4(&t);
			if (t.flags & TRAIN_ICMP_ERROR)
				quoted_parse(&q, t.ip + t.payload_offset, t.len - t.payload_offset);
		}
		ip_packets++;
		drops[d]++;
		free(copy);
	}
	capture_close(&c);
	used = (size_t)snprintf(ret_text, size, "%s: %zu;", file, ip_packets);
	for (size_t i = 0; i < DROP_COUNT; i++)
		if (drops[i])
			used += (size_t)snprintf(ret_text + used, size - used, " %s %zu",
				drop_name((enum drop_reason)i), drops[i]);
}

static void test_files(void **state)
{
	const char *folder = captures_folder();
	char file[256], text[1024];
	size_t wrong = 0;

	(void)state;
	if (!folder)
		skip();
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		snprintf(file, sizeof file, "%.*s", (int)strcspn(expected[i], ":"), expected[i]);
		verdicts(folder, file, text, sizeof text);
		if (strcmp(text, expected[i]) != 0) {
			print_error("got      \"%s\",\nexpected \"%s\",\n", text, expected[i]);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* The same packets, each cut at every length: no octet beyond is read (the sanitizers watch), and a shorter
 * one never passes. */
static void test_cut(void **state)
{
	const char *folder = captures_folder();
	char path[8192];
	struct capture c;
	const uint8_t *ip;
	size_t n;

	(void)state;
	if (!folder)
		skip();
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		snprintf(path, sizeof path, "%s/%.*s", folder, (int)strcspn(expected[i], ":"), expected[i]);
		assert_true(capture_open(&c, path));
		for (int k = 0; k < 20 && capture_next(&c, &ip, &n); k++) {
			for (size_t cut = 0; ip && cut < MIN_OF(n, (size_t)200); cut++) {
				uint8_t *copy = malloc(cut ? cut : 1);
				memcpy(copy, ip, cut);
				struct train t = { .ip = copy, .len = (uint32_t)cut };
				if (train_parse(&t) == DROP_NONE)
					assert_true(t.len <= cut);
				free(copy);
			}
		}
		capture_close(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests_name("wire/captures", tests, NULL, NULL);
}
