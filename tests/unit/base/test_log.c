/* A line that a stranger can cause is bounded, and how many were left out is said. */
#include "base/clock.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void a_kind_of_lines_is_bounded(void **state)
{
	static const char *const made[] = { "a child SA of one peer", "another peer is lost" };
	char line[512];
	unsigned lines = 0, others = 0, often = 0, seldom = 0;
	unsigned long long more = 0, left_out;
	int before = dup(STDERR_FILENO);
	mono_ns begun = clock_mono();
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	log_init("test", LOG_INFO);
	for (int i = 0; i < 100000; i++) {
		log_warn("refused packet %d", i);
		if (i % 10000 == 0)
			log_info("another kind");
		log_kind(LOG_INFO, made[0], "%s", "made elsewhere, often");
		if (i % 10000 == 0)
			log_kind(LOG_WARN, made[1], "%s", "made elsewhere, seldom");
	}
	usleep(300000); /* three more come back */
	log_warn("refused packet %d", 100000);
	uint64_t came_back = (clock_mono() - begun) * LOG_KIND_PER_SECOND / NS_PER_S + 1;
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		lines += strstr(line, "refused packet") != NULL;
		others += strstr(line, "another kind") != NULL;
		often += strstr(line, "elsewhere, often") != NULL;
		seldom += strstr(line, "elsewhere, seldom") != NULL;
		const char *at = strstr(line, "elsewhere") ? NULL : strstr(line, "(and ");
		if (at && sscanf(at, "(and %llu lines", &left_out) == 1)
			more += left_out;
	}
	fclose(f);
	assert_true(lines >= LOG_KIND_BURST && lines <= LOG_KIND_BURST + came_back);
	assert_int_equal(others, 10);
	assert_true(often >= LOG_KIND_BURST && often <= LOG_KIND_BURST + came_back);
	assert_int_equal(seldom, 10);
	assert_int_equal(lines + more, 100001);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_kind_of_lines_is_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
