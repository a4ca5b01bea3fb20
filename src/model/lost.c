#include "model/lost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tree.h"

static void names_free(struct vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(((struct lost_name *)(void *)v->at)[i].value);
	vec_done(v);
}

void lost_done(struct lost *l)
{
	names_free(&l->gone);
	names_free(&l->off);
}

void lost_skip(struct lost *l, const char *at, const char *end)
{
	if (l->skipped_n == FAULTS_COUNTED) {
		l->whole = true;
		return;
	}
	l->skipped[l->skipped_n].at = at;
	l->skipped[l->skipped_n++].end = end;
}

static bool name_add(struct vec *v, const char *value, const char *list, struct place place)
{
	struct lost_name *name;
	char *copy = v->n < LOST_NAMES_MAX ? strdup(value) : NULL;

	v->record = sizeof *name;
	name = copy ? vec_add(v) : NULL;
	if (!name) {
		free(copy);
		return false;
	}
	*name = (struct lost_name){ copy, list, place };
	return true;
}

void lost_gone(struct lost *l, const struct lyd_node *part)
{
	const char *value = lyd_get_value(part);

	if (value && value[0])
		l->whole |= !name_add(&l->gone, value, NULL, tree_own_place(part));
	for (const struct lyd_node *child = lyd_child(part); child; child = child->next)
		lost_gone(l, child);
}

void lost_off(struct lost *l, const struct lyd_node *part)
{
	const struct lyd_node *key = lyd_child(part);

	if (part->schema->nodetype == LYS_LIST && key && strcmp(key->schema->name, "name") == 0)
		name_add(&l->off, lyd_get_value(key), part->schema->name, tree_own_place(part));
	for (const struct lyd_node *child = lyd_child(part); child; child = child->next)
		lost_off(l, child);
}

static bool is_in(const char *at, const char *end, const char *value, size_t n)
{
	while (n > 0 && (size_t)(end - at) >= n && (at = memmem(at, (size_t)(end - at), value, n))) {
		if (at + n == end || strchr(" \t\r\n;{}[]\"#", at[n]))
			return true;
		at++;
	}
	return false;
}

bool lost_holds(const struct lost *l, const char *value)
{
	const struct lost_name *gone = (const void *)l->gone.at;

	for (unsigned i = 0; i < l->skipped_n; i++)
		if (is_in(l->skipped[i].at, l->skipped[i].end, value, strlen(value)))
			return true;
	for (size_t i = 0; i < l->gone.n; i++)
		if (strcmp(gone[i].value, value) == 0)
			return true;
	return l->whole;
}

char *lost_hint(char ret_hint[LOST_HINT_MAX], const struct lost *l, const char *kind, const char *value)
{
	const struct lost_name *off = (const void *)l->off.at;

	ret_hint[0] = '\0';
	for (size_t i = 0; i < l->off.n; i++)
		if (strcmp(off[i].value, value) == 0 && strncmp(off[i].list, kind, strlen(kind)) == 0) {
			snprintf(ret_hint, LOST_HINT_MAX, "; %s '%.60s', in line %u, is inactive",
				off[i].list, value, off[i].place.line);
			break;
		}
	return ret_hint;
}
