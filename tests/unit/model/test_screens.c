/*
 * The table of screens and the configuration say the same: each statement turns its screen on and no other, with the
 * table's default; and what snapshot_check() refuses.
 */
#include "compiled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a { b { c; } }" of "a/b/c"; a threshold by its container alone, or with a number. */
static void statement(char *ret_text, size_t size, enum screen i, const char *value)
{
	const char *path = screen_row(i)->path, *last = strrchr(path, '/');
	bool by_default = !value && strstr(path, "threshold");
	size_t n = 0, depth = 0;

	for (const char *at = path; at && *at;) {
		size_t word = strcspn(at, "/");
		bool leaf = at[word] == '\0' || (by_default && at + word == last);
		n += (size_t)snprintf(ret_text + n, size - n, "%.*s %s", (int)word, at,
			leaf ? value	     ? value
				: by_default ? "{ }"
					     : ";"
			     : "{ ");
		if (leaf && value)
			n += (size_t)snprintf(ret_text + n, size - n, ";");
		depth += !leaf;
		at = leaf ? NULL : at + word + 1;
	}
	while (depth-- > 0)
		n += (size_t)snprintf(ret_text + n, size - n, " }");
}

static struct snapshot *with(const char *text)
{
	char all[2048];

	snprintf(all, sizeof all, "screens { screen s { %s } } zones { zone a { screen s; } zone b; }", text);
	return compiled(all);
}

static void each(void **state)
{
	char text[512];

	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		const struct screen_row *row = screen_row((enum screen)i);
		bool limit = row->kind == SCREEN_KIND_LIMIT, spoofing = i == SCREEN_IP_SPOOFING;
		statement(text, sizeof text, (enum screen)i,
			spoofing		    ? "zone"
			: limit && row->preset == 0 ? "5"
						    : NULL);
		struct snapshot *s = with(text);
		assert_int_equal(s->screens.count, 1);
		assert_ptr_equal(snap_screen_of(s, 0), &snap_screens(s)[0]);
		assert_null(snap_screen_of(s, 1));
		assert_null(snap_screen_of(s, 77));
		const struct snap_screen *x = &snap_screens(s)[0];
		bool syn = strstr(row->path, "syn-flood");
		for (uint32_t k = 0; k < SCREEN_COUNT; k++)
			if (screen_in(&x->on, (enum screen)k) !=
				(k == i || (syn && strstr(screen_row((enum screen)k)->path, "syn-flood"))))
				fail_msg("%s turns on %s", text, screen_row((enum screen)k)->name);
		assert_int_equal(x->limit[i], !limit ? 0 : row->preset ? row->preset : 5);
		free(s);
	}
}

static void numbers(void **state)
{
	struct snapshot *s = with(
		"alarm-without-drop; ip { spoofing strict; } tcp { syn-flood { alarm-threshold 8; "
		"source-threshold 9; destination-threshold 10; timeout 11; } port-scan { threshold 1000; } }");
	const struct snap_screen *x = &snap_screens(s)[0];

	assert_int_equal(x->flags, SCREEN_ALARM_ONLY);
	assert_int_equal(x->spoofing, SPOOFING_STRICT);
	assert_int_equal(x->limit[SCREEN_SYN_FLOOD_ALARM], 8);
	assert_int_equal(x->syn_timeout_s, 11);
	assert_int_equal(x->limit[SCREEN_SYN_FLOOD_SOURCE], 9);
	assert_int_equal(x->limit[SCREEN_SYN_FLOOD_DESTINATION], 10);
	assert_int_equal(x->limit[SCREEN_TCP_PORT_SCAN], 1000);
	assert_int_equal(snap_zones(s)[0].half_open_s, 11);
	assert_int_equal(snap_zones(s)[1].half_open_s, 0);
	free(s);
	s = with("tcp { syn-flood { } } limit-session { source-ip-based 3; }");
	x = &snap_screens(s)[0];
	assert_int_equal(x->limit[SCREEN_SYN_FLOOD_ALARM], 512);
	assert_int_equal(x->syn_timeout_s, 20);
	assert_int_equal(snap_zones(s)[0].flags, ZONE_COUNTS_SOURCES);
	free(s);
}

static void broken(void **state)
{
	struct snapshot *s = with("tcp { syn-flood { } } icmp { flood { } }");
	struct snap_screen *x = (struct snap_screen *)(void *)((uint8_t *)s + s->screens.first), good = *x;
	struct snap_zone *z = (struct snap_zone *)(void *)((uint8_t *)s + s->zones.first);
	struct err e = { 0 };

#define BREAKS(statement)                                                                                    \
	do {                                                                                                 \
		statement;                                                                                   \
		assert_int_not_equal(snapshot_check(s, s->bytes, &e), RC_OK);                                \
		*x = good;                                                                                   \
		assert_int_equal(snapshot_check(s, s->bytes, &e), RC_OK);                                    \
	} while (0)
	BREAKS(memset(x->name, 'x', sizeof x->name));
	BREAKS(x->flags |= 2);
	BREAKS(x->zero = 1);
	BREAKS(x->spoofing = 3);
	BREAKS(x->syn_timeout_s = 0);
	BREAKS(x->limit[SCREEN_ICMP_FLOOD] = 0);
	BREAKS(x->limit[SCREEN_UDP_FLOOD] = 1);
	BREAKS(x->on.w[1] |= 1ull << 63);
	z->screen = 2;
	assert_int_not_equal(snapshot_check(s, s->bytes, &e), RC_OK);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each), cmocka_unit_test(numbers),
		cmocka_unit_test(broken) };
	return cmocka_run_group_tests_name("screens", tests, NULL, NULL);
}
