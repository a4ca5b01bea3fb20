#include "admin/administrators.h"

#include <stdlib.h>
#include <string.h>

struct administrators *administrators_new(void)
{
	return calloc(1, sizeof(struct administrators));
}

void admin_words_done(struct admin_words *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		free(w->at[i]);
	free(w->at);
	*w = (struct admin_words){ 0 };
}

void administrators_free(struct administrators *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->n; i++)
		admin_words_done(&a->at[i].keys);
	for (uint32_t i = 0; i < a->roles_n; i++) {
		admin_words_done(&a->role[i].permit);
		admin_words_done(&a->role[i].deny);
		admin_words_done(&a->role[i].permit_path);
		admin_words_done(&a->role[i].deny_path);
	}
	admin_words_done(&a->authorities);
	free(a);
}

bool admin_words_add(struct admin_words *w, const char *text)
{
	char **more = realloc(w->at, (w->n + 1) * sizeof *more);

	if (!more)
		return false;
	w->at = more;
	w->at[w->n] = strdup(text);
	w->n += w->at[w->n] != NULL;
	return w->n > 0 && w->at[w->n - 1] != NULL;
}

bool admin_words_add_new(struct admin_words *w, const char *text)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(w->at[i], text) == 0)
			return true;
	return admin_words_add(w, text);
}

const struct administrator *administrator_named(const struct administrators *a, const char *name)
{
	for (uint32_t i = 0; a && i < a->n; i++)
		if (strcmp(a->at[i].name, name) == 0)
			return &a->at[i];
	return NULL;
}

bool administrators_can_enter(const struct administrators *a)
{
	for (uint32_t i = 0; a && i < a->n; i++) {
		const struct administrator *one = &a->at[i];
		if ((one->keys.n || one->uid || a->authorities.n) &&
			role_may_command(a, one->role, "commit") &&
			role_may_change(a, one->role, "system administrators"))
			return true;
	}
	return false;
}
