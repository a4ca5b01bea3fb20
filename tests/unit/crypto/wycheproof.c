#include "wycheproof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Test octets live until the file is done: the judge keeps views. */
static struct {
	void *kept[64];
	int n;
} arena;

static void arena_clear(void)
{
	while (arena.n > 0)
		free(arena.kept[--arena.n]);
}

struct wyche_bytes wyche_hex(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	struct wyche_bytes r;

	if (!text)
		fail_msg("no member '%s'", key);
	r.n = strlen(text) / 2;
	r.b = malloc(r.n + 1);
	assert_non_null(r.b);
	assert_true(arena.n < (int)COUNT_OF(arena.kept));
	arena.kept[arena.n++] = r.b;
	if (!hex_to_bytes(r.b, r.n, text))
		fail_msg("member '%s' is not hexadecimal", key);
	return r;
}

int wyche_int(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	assert_true(json_is_integer(v));
	return (int)json_integer_value(v);
}

bool wyche_flag(const struct wyche_case *c, const char *flag)
{
	json_t *flags = json_object_get(c->test, "flags"), *f;
	size_t i;

	json_array_foreach(flags, i, f) if (strcmp(json_string_value(f), flag) == 0) return true;
	return false;
}

static const char *folder(void)
{
	static char path[900];
	const char *shared = getenv("PLAINGATE_SHARED");

	snprintf(path, sizeof path, "%s/vectors/wycheproof", shared ? shared : "../shared");
	return path;
}

bool wyche_present(void)
{
	if (access(folder(), R_OK) == 0)
		return true;
	printf("%s is not there\n", folder());
	return false;
}

static json_t *load(const char *name)
{
	char path[1024];
	json_error_t error;
	json_t *root;

	snprintf(path, sizeof path, "%s/%s.json", folder(), name);
	root = json_load_file(path, 0, &error);
	if (!root)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return root;
}

static void count(struct wyche_count *n, const struct wyche_case *c, enum wyche_verdict verdict)
{
	if (verdict == WYCHE_NOT_OURS) {
		n->not_ours++;
		return;
	}
	switch (c->result) {
	case WYCHE_VALID:
		if (verdict != WYCHE_ACCEPTED)
			fail_msg("test %d is valid, but was refused", c->id);
		n->valid++;
		break;
	case WYCHE_INVALID:
		if (verdict != WYCHE_REFUSED)
			fail_msg("test %d is invalid, but was accepted", c->id);
		n->invalid++;
		break;
	case WYCHE_ACCEPTABLE:
		*(verdict == WYCHE_ACCEPTED ? &n->acceptable_accepted : &n->acceptable_refused) += 1;
		break;
	}
}

struct wyche_count wyche_run(
	const char *name, int least, enum wyche_verdict (*judge)(const struct wyche_case *c))
{
	json_t *root = load(name), *group, *test;
	struct wyche_count n = { 0 };
	int seen = 0;
	size_t g, t;

	json_array_foreach(json_object_get(root, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			const char *result = json_string_value(json_object_get(test, "result"));
			struct wyche_case c = { group, test, wyche_int(test, "tcId"),
				strcmp(result, "valid") == 0	 ? WYCHE_VALID
				: strcmp(result, "invalid") == 0 ? WYCHE_INVALID
								 : WYCHE_ACCEPTABLE };
			count(&n, &c, judge(&c));
			arena_clear();
			seen++;
		}
	}
	assert_int_equal(seen, wyche_int(root, "numberOfTests"));
	print_message("%s: %d valid, %d invalid, %d acceptable taken, %d acceptable refused, %d not ours\n",
		name, n.valid, n.invalid, n.acceptable_accepted, n.acceptable_refused, n.not_ours);
	assert_true(seen - n.not_ours >= least);
	json_decref(root);
	return n;
}
