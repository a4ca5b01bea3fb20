/*
 * Administrators: names, roles and public keys. Passwords are nowhere here, so who has only one there has no way in until the configuration names
 * a key or an account.
 */
#include "import/translate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "admin/administrators.h"
#include "admin/ssh_key.h"

#define NO_PASSWORD "no password is taken over: administrators have keys, or an account of the machine"

/* Junos has classes; those of ScreenOS come by the same names. */
static const struct {
	const char *class, *role, *note;
} classes[] = {
	{ "read-only", "read-only", NULL },
	{ "operator", "operator", NULL },
	{ "super-user", "engineer",
		"an engineer here, who changes neither administrators nor evidence: name a security-officer for these" },
	{ "superuser", "engineer",
		"an engineer here, who changes neither administrators nor evidence: name a security-officer for these" },
};

/* As an administrator may be called; NULL: by none of its letters. */
static const char *name_here(struct import *m, const char *word)
{
	char text[ADMIN_NAME_MAX + 1];
	size_t n = 0;

	for (; *word && n < ADMIN_NAME_MAX; word++) {
		char c = (char)tolower((unsigned char)*word);
		if ((c >= 'a' && c <= 'z') || (n > 0 && ((c >= '0' && c <= '9') || c == '-')))
			text[n++] = c;
		else if (n > 0)
			text[n++] = '-';
	}
	text[n] = '\0';
	if (n == 0 || strcmp(text, "root") == 0 || strcmp(text, "sshd") == 0 || strcmp(text, "nobody") == 0 ||
		strncmp(text, "plaingate", 9) == 0)
		return NULL;
	return pool_text(&m->tree.pool, text, n);
}

/* A name that no other one has. */
static bool is_taken(struct import *m, const char *name)
{
	struct node *all = tree_enter(&m->tree, m->names, "an administrator", 0);
	bool taken = node_child(all, name) != NULL;

	tree_enter(&m->tree, all, name, 0);
	return taken;
}

static void key(struct import *m, struct out *o, struct node *n, unsigned *made)
{
	struct ssh_key parsed;
	struct err e = { 0 };
	char text[SSH_KEY_TEXT_MAX];

	if (left_out(m, n))
		return;
	if (ssh_key_parse(&parsed, n->word, strlen(n->word), NULL, NULL, &e)) {
		say(m, n, IMPORT_WRONG, "%s", e.text);
	} else if (*made == ADMIN_KEYS_MAX) {
		say(m, n, IMPORT_WRONG, "more than %d keys of one administrator", ADMIN_KEYS_MAX);
	} else if (is_taken(m, ssh_key_text(text, &parsed))) {
		say(m, n, IMPORT_WRONG, "somebody has this key already");
	} else {
		++*made;
		done_all(n);
		out_line(o, "key \"%s\"", text);
	}
}

static unsigned authentication(struct import *m, struct out *o, struct node *user)
{
	struct node *in = node_child(user, "authentication");
	unsigned made = 0;

	for (struct node *kind = in ? in->child : NULL; kind; kind = kind->next) {
		if (strncmp(kind->word, "ssh-", 4) != 0 || strcmp(kind->word, "ssh-dsa") == 0) {
			say(m, kind, IMPORT_NONE, NO_PASSWORD);
			continue;
		}
		for (struct node *k = kind->child; k; k = k->next)
			key(m, o, k, &made);
	}
	return made;
}

static const char *role_here(struct import *m, struct node *user)
{
	const char *class = value(m, user, "class");

	for (size_t i = 0; class && i < sizeof classes / sizeof *classes; i++) {
		if (strcmp(classes[i].class, class) != 0)
			continue;
		if (classes[i].note)
			say(m, value_node(user, "class"), IMPORT_CHANGED, "%s", classes[i].note);
		return classes[i].role;
	}
	say(m, class ? value_node(user, "class") : user, IMPORT_WRONG,
		"the administrator is not here: a class of one's own is written as `role`, and there is none that may nothing");
	return NULL;
}

static void administrator(struct import *m, struct out *o, struct node *user)
{
	const char *name = name_here(m, user->word), *role;

	if (left_out(m, user))
		return;
	if (!name || is_taken(m, name)) {
		say(m, user, IMPORT_WRONG, "the administrator is not here: '%s' %s", user->word,
			name ? "has the name of another one" : "is not a name that one may have");
		return;
	}
	done(user);
	if (!(role = role_here(m, user)))
		return;
	out_open(o, "administrator %s", name);
	out_line(o, "role %s", role);
	if (authentication(m, o, user) == 0)
		out_remark(o, "has no way in yet: give him a key, or the uid of an account");
	out_close(o);
	say(m, node_child(user, "uid"), IMPORT_NONE, "a number of that machine");
	say(m, node_child(user, "full-name"), IMPORT_NONE, "a description may have it");
}

void translate_administrators(struct import *m)
{
	struct node *login = node_at(&m->tree.root, "system", "login", "user", NULL);
	struct out list = { .depth = 2 };

	for (struct node *user = login ? login->child : NULL; user; user = user->next)
		administrator(m, &list, user);
	if (list.n) {
		out_open(&m->sections[SECTION_SYSTEM], "administrators");
		out_lines(&m->sections[SECTION_SYSTEM], &list);
		out_close(&m->sections[SECTION_SYSTEM]);
	}
	out_free(&list);
}
