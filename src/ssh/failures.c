#include "ssh/failures.h"
#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

const char *failure_text(enum failure_kind kind)
{
	static const char *const texts[] = {
#define E(id, text) [FAILURE_##id] = text,
		FAILURE_KINDS(E)
#undef E
	};

	return texts[kind];
}

/* The line, cut into a text. */
struct line {
	char text[FAILURE_LINE_MAX];
};

static char *last_of(char *text, const char *words)
{
	char *found = NULL;

	for (char *at = text; (at = strstr(at, words)); at++)
		found = at;
	return found;
}

/* Of an address, and of the link that one of a link has behind it. */
static const char source_octets[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%_-";

static bool source_take(char ret_source[FAILURE_SOURCE_MAX], const char *from, size_t n)
{
	if (n == 0 || n >= FAILURE_SOURCE_MAX || strspn(from, source_octets) < n)
		return false;
	snprintf(ret_source, FAILURE_SOURCE_MAX, "%.*s", (int)n, from);
	return true;
}

static void name_take(char ret_name[FAILURE_NAME_MAX], const char *from, size_t n)
{
	size_t put = 0;

	for (size_t i = 0; i < n && put < FAILURE_NAME_MAX - 1; i++)
		ret_name[put++] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	ret_name[put] = '\0';
}

/* "NAME from ADDRESS port N": the name is the stranger's, so the last "from" counts. */
static bool unknown_user(struct failure *ret, char *rest)
{
	char *from = last_of(rest, " from ");

	if (!from)
		return false;
	char *address = from + strlen(" from "), *end = strstr(address, " port ");
	if (!end || !source_take(ret->source, address, (size_t)(end - address)))
		return false;
	ret->kind = FAILURE_UNKNOWN_USER;
	name_take(ret->name, rest, (size_t)(from - rest));
	return true;
}

/* "NAME from ADDRESS port N ssh2: TYPE SHA256:…": an administrator's name has no space, and what follows the address may be the stranger's. */
static bool key_refused(struct failure *ret, char *rest)
{
	char *from = strchr(rest, ' ');

	if (!from || strncmp(from, " from ", 6) != 0)
		return false;
	char *address = from + 6, *end = strstr(address, " port ");
	if (!end || !source_take(ret->source, address, (size_t)(end - address)))
		return false;
	ret->kind = FAILURE_KEY;
	name_take(ret->name, rest, (size_t)(from - rest));
	char *key = strstr(end, " SHA256:");
	if (key)
		snprintf(ret->key, sizeof ret->key, "%.*s", (int)strcspn(key + 1, " "), key + 1);
	return true;
}

/* "NAME from ADDRESS not allowed because …": of an account that exists. */
static bool not_allowed(struct failure *ret, char *rest)
{
	char *from = strchr(rest, ' ');

	if (!from || strncmp(from, " from ", 6) != 0)
		return false;
	char *address = from + 6, *end = strstr(address, " not allowed because ");
	if (!end || !source_take(ret->source, address, (size_t)(end - address)))
		return false;
	ret->kind = FAILURE_NOT_ALLOWED;
	name_take(ret->name, rest, (size_t)(from - rest));
	return true;
}

bool failure_read(struct failure *ret, const char *line, size_t n)
{
	static const struct {
		const char *head;
		bool (*read)(struct failure *, char *);
	} forms[] = {
		{ "Invalid user ", unknown_user },
		{ "Failed publickey for ", key_refused },
		{ "User ", not_allowed },
	};
	struct line l;

	*ret = (struct failure){ .count = 1 };
	if (n >= sizeof l.text)
		n = sizeof l.text - 1;
	memcpy(l.text, line, n);
	l.text[n] = '\0';
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (strncmp(l.text, forms[i].head, strlen(forms[i].head)) == 0)
			return forms[i].read(ret, l.text + strlen(forms[i].head));
	return false;
}

static uint32_t place_of(struct failures *f, const char *source)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		if (strcmp(f->of[i].source, source) == 0)
			return i;
		if (f->seen[i] < f->seen[oldest])
			oldest = i;
	}
	if (f->n < FAILURES_SOURCES)
		return f->n++;
	f->left_out += f->of[oldest].count;
	memset(&f->of[oldest], 0, sizeof f->of[oldest]);
	f->entered[oldest] = 0;
	return oldest;
}

void failures_add(struct failures *f, const struct failure *new, mono_ns now)
{
	uint32_t i = place_of(f, new->source), count = f->of[i].count;

	f->of[i] = *new;
	f->of[i].count = count < UINT32_MAX ? count + 1 : count;
	f->seen[i] = now;
	f->total++;
}

bool failures_next(struct failures *f, struct failure *ret, mono_ns now)
{
	if (now - f->minute >= FAILURES_ROUND_NS || f->minute == 0) {
		f->minute = now;
		f->in_minute = 0;
	}
	for (uint32_t i = 0; i < f->n; i++) {
		bool due = f->of[i].count > 0 &&
			   (f->entered[i] == 0 || now - f->entered[i] >= FAILURES_ROUND_NS);
		if (!due || f->in_minute >= FAILURES_EACH_MINUTE)
			continue;
		*ret = f->of[i];
		f->of[i].count = 0;
		f->entered[i] = now;
		f->in_minute++;
		return true;
	}
	return false;
}
