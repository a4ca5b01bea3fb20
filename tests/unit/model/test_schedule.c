/*
 * Schedules and groups of objects, from the text to what they mean, against references that know nothing of the compiler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "compiled.h"

static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- schedules ---- */

static const char *const day_names[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday",
	"saturday" };

/* Of one day, by day of the week as struct tm counts it; 7: daily. */
struct times {
	bool given, all, none;
	int start, stop; /* -1: not given */
};

static bool naive_day(const struct times *t, const struct tm *tm, int second)
{
	const struct times *d = t[tm->tm_wday].given ? &t[tm->tm_wday] : &t[7];
	bool any = false;

	for (int i = 0; i < 8; i++)
		any |= t[i].given;
	if (!any)
		return second < 86400;
	if (!d->given || d->none)
		return false;
	int start = d->start < 0 ? 0 : d->start, stop = d->stop < 0 ? 86400 : d->stop;
	return second >= start && second < (stop <= start ? stop + 86400 : stop);
}

static bool naive_on(const struct times *t, time_t from, time_t until, time_t now)
{
	time_t before = now - 86400;
	struct tm today, yesterday;

	if ((from && now < from) || (until && now >= until))
		return false;
	gmtime_r(&now, &today);
	gmtime_r(&before, &yesterday);
	int second = (int)(now % 86400);
	return naive_day(t, &today, second) || naive_day(t, &yesterday, second + 86400);
}

static void date_text(char ret_text[32], time_t t)
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret_text, 32, "%Y-%m-%d.%H:%M", &tm);
}

static size_t day_text(char *at, uint64_t *seed, struct times *d, const char *name)
{
	size_t n;

	*d = (struct times){ .start = -1, .stop = -1 };
	if (draw(seed) % 3 == 0)
		return 0;
	d->given = true;
	n = (size_t)sprintf(at, "%s { ", name);
	if ((d->all = draw(seed) % 6 == 0))
		return n + (size_t)sprintf(at + n, "all-day; } ");
	if ((d->none = draw(seed) % 6 == 0))
		return n + (size_t)sprintf(at + n, "exclude; } ");
	d->start = (int)(draw(seed) % 24) * 3600 + (int)(draw(seed) % 60) * 60;
	n += (size_t)sprintf(at + n, "start-time %02d:%02d; ", d->start / 3600, d->start / 60 % 60);
	if (draw(seed) % 4) {
		d->stop = (d->start + 1 + (int)(draw(seed) % 86399)) % 86400;
		n += (size_t)sprintf(at + n, "stop-time %02d:%02d:%02d; ", d->stop / 3600, d->stop / 60 % 60,
			d->stop % 60);
	}
	return n + (size_t)sprintf(at + n, "} ");
}

#define RULE "match { source any; destination any; application any; } then { permit; }"

static void schedules_are_as_the_calendar_says(void **state)
{
	uint32_t on = 0, all = 0;

	for (uint64_t seed = 1; seed <= 400; seed++) {
		uint64_t s = seed;
		char text[2000], date[32];
		struct times t[8];
		time_t from = 0, until = 0, about = 1000000000 + (time_t)(draw(&s) % 3000000000u);
		size_t n = (size_t)sprintf(text, "schedulers { scheduler x { ");
		for (int i = 0; i < 7; i++)
			n += day_text(text + n, &s, &t[i], day_names[i]);
		n += day_text(text + n, &s, &t[7], "daily");
		if (draw(&s) % 3 == 0) {
			from = (about - (time_t)(draw(&s) % 864000)) / 60 * 60;
			date_text(date, from);
			n += (size_t)sprintf(text + n, "start-date %s; ", date);
		}
		if (draw(&s) % 3 == 0) {
			until = (about + 60 + (time_t)(draw(&s) % 864000)) / 60 * 60;
			date_text(date, until);
			n += (size_t)sprintf(text + n, "stop-date %s; ", date);
		}
		sprintf(text + n,
			"} } zones { zone a { interfaces e0; } } policy { from a to a { rule r { scheduler-name x; " RULE
			" } } }");
		struct snapshot *snap = compiled(text);
		assert_int_equal(snap_rules(snap)[0].schedule, 0);
		for (int k = 0; k < 300; k++, all++) {
			time_t now = about + (time_t)(draw(&s) % 1728000) - 864000;
			struct local_time at = { (uint32_t)(now / 86400), (uint32_t)(now % 86400) };
			bool is = snap_schedules_off(snap, at) == 0;
			if (is != naive_on(t, from, until, now))
				fail_msg("seed %u, time %lld: %d; %s", (unsigned)seed, (long long)now, is,
					text);
			on += is;
		}
		free(snap);
	}
	assert_true(on > all / 10 && on < all - all / 10);
}

/* ---- groups ---- */

#define ADDRESSES 12
#define SETS	  12

struct member {
	uint32_t addr, mask, last; /* last: of a range, with mask 0 */
};

static struct member members[ADDRESSES];
static uint32_t set_has[SETS][2]; /* bits: addresses, sets with a smaller number */

static bool naive_set(uint32_t set, uint32_t a)
{
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		const struct member *m = &members[i];
		bool in = m->last ? a >= m->addr && a <= m->last : (a & m->mask) == m->addr;
		if (set_has[set][0] >> i & 1 && in)
			return true;
	}
	for (uint32_t i = 0; i < set; i++)
		if (set_has[set][1] >> i & 1 && naive_set(i, a))
			return true;
	return false;
}

static size_t quad(char *at, uint32_t a)
{
	return (size_t)sprintf(at, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static size_t members_text(char *at, uint64_t *seed)
{
	size_t n = 0;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct member *m = &members[i];
		uint32_t low = draw(seed) & 0xfff;
		*m = (struct member){ .addr = 10u << 24 | low };
		n += (size_t)sprintf(at + n, "address a%u { ", i);
		if (draw(seed) % 3 == 0) {
			m->last = m->addr + (uint32_t)(draw(seed) % 300);
			n += (size_t)sprintf(at + n, "range ");
			n += quad(at + n, m->addr);
			n += (size_t)sprintf(at + n, "-");
			n += quad(at + n, m->last);
		} else { /* any mask, of prefixes too */
			m->mask = draw(seed) % 2 ? 0xfffff000u | (uint32_t)(draw(seed) & draw(seed) & 0xfff)
						 : ~0u << draw(seed) % 10;
			m->addr &= m->mask;
			n += (size_t)sprintf(at + n, "wildcard-address ");
			n += quad(at + n, m->addr);
			n += (size_t)sprintf(at + n, "/");
			n += quad(at + n, m->mask);
		}
		n += (size_t)sprintf(at + n, "; } ");
	}
	return n;
}

static size_t sets_text(char *at, uint64_t *seed)
{
	size_t n = 0;

	for (uint32_t i = 0; i < SETS; i++) {
		set_has[i][0] = (uint32_t)(draw(seed) & draw(seed)) & ((1u << ADDRESSES) - 1);
		set_has[i][1] = i ? (uint32_t)(draw(seed) & draw(seed)) & ((1u << i) - 1) : 0;
		set_has[i][0] |= set_has[i][1] ? 0 : 1;
		n += (size_t)sprintf(at + n, "address-set s%u { ", i);
		for (uint32_t k = 0; k < ADDRESSES; k++)
			if (set_has[i][0] >> k & 1)
				n += (size_t)sprintf(at + n, "address a%u; ", k);
		for (uint32_t k = 0; k < i; k++)
			if (set_has[i][1] >> k & 1)
				n += (size_t)sprintf(at + n, "address-set s%u; ", k);
		n += (size_t)sprintf(at + n, "} ");
	}
	return n;
}

static bool span_holds(const struct snapshot *s, struct span span, uint32_t a)
{
	const uint8_t b[4] = { (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a };
	struct ip_addr addr = addr_v4(b);

	for (uint32_t i = 0; i < span.count; i++)
		if (range_holds(&snap_ranges(s)[span.first + i], &addr))
			return true;
	return false;
}

static void groups_are_what_is_in_them(void **state)
{
	uint32_t in = 0, all = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		uint64_t s = seed;
		char text[8000];
		size_t n = (size_t)sprintf(text, "address-book { ");
		n += members_text(text + n, &s);
		n += sets_text(text + n, &s);
		n += (size_t)sprintf(
			text + n, "} zones { zone a { interfaces e0; } } policy { from a to a { ");
		for (uint32_t i = 0; i < SETS; i++)
			n += (size_t)sprintf(text + n,
				"rule r%u { match { source s%u; destination [ s%u a1 ]; application any; } then { deny; } } ",
				i, i, (i + 1) % SETS);
		sprintf(text + n, "} }");
		struct snapshot *snap = compiled(text);
		for (int k = 0; k < 200; k++) {
			uint32_t a = 10u << 24 | (uint32_t)(draw(&s) & 0x13ff), set = draw(&s) % SETS;
			const struct snap_rule *r = &snap_rules(snap)[set];
			const struct member *one = &members[1];
			bool is = span_holds(snap, r->src, a), want = naive_set(set, a);
			assert_int_equal(is, want);
			want = naive_set((set + 1) % SETS, a) ||
			       (one->last ? a >= one->addr && a <= one->last : (a & one->mask) == one->addr);
			assert_int_equal(span_holds(snap, r->dst, a), want);
			in += is;
			all++;
		}
		free(snap);
	}
	assert_true(in > all / 20 && in < all - all / 20);
}

static void mistakes(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "schedulers { scheduler x { stop-date 2026-02-29.00:00; } }", "a date that exists" },
		{ "schedulers { scheduler x { start-date 2026-03-01.00:00; stop-date 2026-03-01.00:00; } }",
			"is not behind start-date" },
		{ "schedulers { scheduler x { daily { start-time 24:00; } } }", "a time such as 08:00" },
		{ "schedulers { scheduler x { daily { all-day; exclude; } } }", "daily needs one of" },
		{ "schedulers { scheduler x { monday { } } }", "monday needs one of" },
		{ "schedulers { scheduler x { monday { start-time 08:00; stop-time 08:00; } } }",
			"use all-day for the whole day" },
		{ "schedulers { scheduler night { daily { all-day; } } } zones { zone a { interfaces e0; } } policy { "
		  "from a to a { rule r { scheduler-name nihgt; " RULE " } } }",
			"did you mean 'night'?" },
		{ "address-book { address a { wildcard-address 10.0.0.5/255.0.0.254; } }",
			"no bits outside of its mask" },
		{ "address-book { address a { wildcard-address fd00::1/255.0.0.254; } }",
			"an address and a mask" },
		{ "address-book { address w { wildcard-address 10.0.0.5/255.0.0.255; } } zones { zone a { interfaces "
		  "e0; host-inbound ssh { from w; } } }",
			"only rules of policy between zones and of source NAT can use it" },
	};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct err e = { 0 };
		void *block;
		size_t n;
		if (compile(wrong[i].text, 1, &block, &n, &e) == RC_OK || !strstr(e.text, wrong[i].says))
			fail_msg("%s: not '%s' but '%s'", wrong[i].text, wrong[i].says, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedules_are_as_the_calendar_says),
		cmocka_unit_test(groups_are_what_is_in_them),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
