/*
 * Schedulers to records, and which of them a rule has. Part of the compiler.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "model/compile.h"

/* "08:00", "17:30:05": its form is the type's. */
static uint32_t second_of(const char *text)
{
	unsigned h = 0, m = 0, s = 0;

	sscanf(text, "%2u:%2u:%2u", &h, &m, &s);
	return h * 3600 + m * 60 + s;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static uint32_t days_until(unsigned year, unsigned month, unsigned day)
{
	/* The year begins in March here, so that the leap day is its last. */
	unsigned y = month > 2 ? year : year - 1, m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static enum rc date_of(struct compiler *c, const struct lyd_node *leaf, uint32_t *ret_minute)
{
	static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year = 0, month = 1, day = 0, h = 0, m = 0;

	sscanf(lyd_get_value(leaf), "%4u-%2u-%2u.%2u:%2u", &year, &month, &day, &h, &m);
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (day > days[month - 1] || (month == 2 && day == 29 && !leap))
		return tree_fault(
			c->faults, leaf, "found '%s', expected a date that exists", lyd_get_value(leaf));
	*ret_minute = days_until(year, month, day) * (DAY_S / 60) + h * 60 + m;
	return RC_OK;
}

static enum rc day_times(
	struct compiler *c, const struct lyd_node *day, uint32_t *ret_first, uint32_t *ret_end)
{
	const char *start = tree_value(day, "start-time"), *stop = tree_value(day, "stop-time");
	bool all = tree_value(day, "all-day"), none = tree_value(day, "exclude");

	*ret_first = start ? second_of(start) : 0;
	*ret_end = stop ? second_of(stop) : DAY_S;
	if (all + none + (start || stop) != 1)
		return tree_fault(c->faults, day,
			"%s needs one of: all-day, exclude, times (start-time, stop-time)",
			day->schema->name);
	if (start && stop && *ret_first == *ret_end)
		return tree_fault(c->faults, day, "%s begins and ends at %s: use all-day for the whole day",
			day->schema->name, start);
	if (!start && stop && *ret_end == 0)
		return tree_fault(c->faults, day,
			"%s ends when it begins, at 00:00: expected a later stop-time", day->schema->name);
	if (*ret_end <= *ret_first)
		*ret_end += DAY_S;
	if (none)
		*ret_first = *ret_end = 0;
	return RC_OK;
}

static enum rc days_of(struct compiler *c, const struct lyd_node *node, struct snap_schedule *v)
{
	static const char *const names[] = { "monday", "tuesday", "wednesday", "thursday", "friday",
		"saturday", "sunday" };
	const struct lyd_node *daily = tree_child(c->m, node, "daily");
	bool any = daily != NULL;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		any |= tree_child(c->m, node, names[i]) != NULL;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const struct lyd_node *day = tree_child(c->m, node, names[i]);
		day = day ? day : daily;
		if (day)
			rc = faults_join(rc, day_times(c, day, &v->day[i].first, &v->day[i].end));
		else if (!any)
			v->day[i].end = DAY_S;
	}
	return rc;
}

static enum rc scheduler(struct compiler *c, const struct lyd_node *node)
{
	const struct lyd_node *start = tree_child(c->m, node, "start-date"),
			      *stop = tree_child(c->m, node, "stop-date");
	struct snap_schedule *v = vec_add(&c->schedules);

	if (!v)
		return compile_no_memory(c);
	snprintf(v->name, sizeof v->name, "%s", tree_value(node, "name"));
	enum rc rc = days_of(c, node, v);
	if (start)
		rc = faults_join(rc, date_of(c, start, &v->from_minute));
	if (stop)
		rc = faults_join(rc, date_of(c, stop, &v->until_minute));
	if (rc == RC_OK && stop && v->until_minute <= v->from_minute)
		rc = tree_fault(c->faults, stop,
			"stop-date %s is not behind start-date: expected a later one", lyd_get_value(stop));
	return rc;
}

enum rc compile_schedulers(struct compiler *c)
{
	return compile_each(c, "schedulers", NULL, "scheduler", scheduler);
}

enum rc compile_scheduler_of(struct compiler *c, const struct lyd_node *rule, uint32_t *ret_schedule)
{
	const struct lyd_node *leaf = tree_child(c->m, rule, "scheduler-name");
	const struct snap_schedule *v = (const void *)c->schedules.at;

	*ret_schedule = INDEX_NONE;
	if (!leaf)
		return RC_OK;
	struct nearest near = nearest_to(lyd_get_value(leaf), strlen(lyd_get_value(leaf)));
	char hint[NEAREST_HINT_MAX];
	for (size_t i = 0; i < c->schedules.n; i++) {
		if (strcmp(v[i].name, lyd_get_value(leaf)) == 0)
			*ret_schedule = (uint32_t)i;
		nearest_offer(&near, v[i].name, strlen(v[i].name));
	}
	if (*ret_schedule != INDEX_NONE)
		return RC_OK;
	char off[LOST_HINT_MAX];
	lost_hint(off, &c->m->lost, "scheduler", lyd_get_value(leaf));
	return tree_fault(c->faults, leaf, "found '%.60s', expected the name of a scheduler that exists%s",
		lyd_get_value(leaf), off[0] ? off : nearest_hint(hint, &near));
}
