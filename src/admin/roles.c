/*
 * The tables of roles.h, and the roles that a configuration adds.
 */
#include "admin/roles.h"

#include <stdio.h>
#include <string.h>

#include "admin/administrators.h"
#include "base/bytes.h"

#define MAY(role) (1u << ROLE_##role)

struct row {
	const char *words;
	uint32_t roles;
};

static const struct row commands[] = {
#define E(words, roles) { words, roles },
	ADMIN_COMMANDS(E)
#undef E
};

static const struct row paths[] = {
#define E(path, roles) { path, roles },
	ADMIN_PATHS(E)
#undef E
};

const char *const admin_acts[ADMIN_ACTS_N] = {
#define E(id, words) [ADMIN_##id] = words,
	ADMIN_ACTS(E)
#undef E
};

static const char *const names[] = {
#define E(id, word) word,
	ADMIN_ROLES(E)
#undef E
};

uint32_t role_named(const struct administrators *a, const char *word)
{
	for (uint32_t i = 0; i < ROLES_PREDEFINED; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	for (uint32_t i = 0; a && i < a->roles_n; i++)
		if (strcmp(a->role[i].name, word) == 0)
			return ROLE_OWN + i;
	return ROLE_NONE;
}

const char *role_word(const struct administrators *a, uint32_t role)
{
	if (role < ROLES_PREDEFINED)
		return names[role];
	if (role >= ROLE_OWN && a && role - ROLE_OWN < a->roles_n)
		return a->role[role - ROLE_OWN].name;
	return role == ROLE_ROOT ? "root" : "none";
}

bool words_begin(const char *words, const char *with)
{
	size_t n = strlen(with);

	return strncmp(words, with, n) == 0 && (n == 0 || words[n] == '\0' || words[n] == ' ');
}

static const struct row *longest_row(const struct row *rows, size_t n, const char *words)
{
	const struct row *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (words_begin(words, rows[i].words) &&
			(!best || strlen(rows[i].words) > strlen(best->words)))
			best = &rows[i];
	return best;
}

/* Octets of the longest of the list that the words begin with, and one; 0: none. */
static size_t longest_word(const struct admin_words *list, const char *words)
{
	size_t best = 0;

	for (uint32_t i = 0; i < list->n; i++)
		if (words_begin(words, list->at[i]) && strlen(list->at[i]) + 1 > best)
			best = strlen(list->at[i]) + 1;
	return best;
}

/* Of two that are equally long the denial counts. */
static bool own_may(const struct admin_words *permit, const struct admin_words *deny, const char *words)
{
	return longest_word(permit, words) > longest_word(deny, words);
}

static bool rows_may(const struct row *rows, size_t n, uint32_t role, const char *words)
{
	const struct row *row = longest_row(rows, n, words);

	return role == ROLE_ROOT || (role < ROLES_PREDEFINED && row && row->roles & 1u << role);
}

bool role_may_command(const struct administrators *a, uint32_t role, const char *words)
{
	if (role >= ROLE_OWN && a && role - ROLE_OWN < a->roles_n)
		return own_may(&a->role[role - ROLE_OWN].permit, &a->role[role - ROLE_OWN].deny, words);
	return rows_may(commands, COUNT_OF(commands), role, words);
}

bool role_may_change(const struct administrators *a, uint32_t role, const char *path)
{
	if (role >= ROLE_OWN && a && role - ROLE_OWN < a->roles_n)
		return own_may(
			&a->role[role - ROLE_OWN].permit_path, &a->role[role - ROLE_OWN].deny_path, path);
	return rows_may(paths, COUNT_OF(paths), role, path);
}

char *roles_that_may(
	char *ret_text, size_t size, const struct administrators *a, const char *words, bool is_path)
{
	uint32_t end = ROLE_OWN + (a ? a->roles_n : 0);
	size_t n = 0;

	ret_text[0] = '\0';
	for (uint32_t role = 0; role < end; role++) {
		if (role == ROLE_ROOT ||
			!(is_path ? role_may_change(a, role, words) : role_may_command(a, role, words)))
			continue;
		if (n < size)
			n += (size_t)snprintf(
				ret_text + n, size - n, "%s%s", n ? ", " : "", role_word(a, role));
	}
	if (n < size)
		snprintf(ret_text + n, size - n, "%sroot", n ? " or " : "");
	return ret_text;
}

void roles_warn(const struct administrators *a, void (*fn)(void *context, const char *text), void *context)
{
	char text[300];

	for (uint32_t i = 0; a && i < a->roles_n; i++) {
		if (!role_may_change(a, ROLE_OWN + i, "system administrators") ||
			!role_may_command(a, ROLE_OWN + i, "commit"))
			continue;
		snprintf(text, sizeof text,
			"role '%s' may change 'system administrators': whoever has it can give himself any other role (deny-path \"system "
			"administrators\" prevents it)",
			a->role[i].name);
		fn(context, text);
	}
}
