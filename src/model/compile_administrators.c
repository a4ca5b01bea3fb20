/*
 * Administrators and roles (admin/administrators.h). Part of the compiler.
 */
#include <stdio.h>
#include <string.h>

#include "admin/ssh_key.h"
#include "model/compile.h"
#include "model/schema.h"
#include "model/show_tables.h"

/* What `show` is asked for beside its tables. */
static const char *const tables[] = {
#define E(id, word, owner, text) "show " word,
	SHOW_TABLES(E)
#undef E
};

static bool is_command(const char *words)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++)
		if (words_begin(tables[i], words))
			return true;
	for (size_t i = 0; i < ADMIN_ACTS_N; i++)
		if (words_begin(admin_acts[i], words))
			return true;
	return false;
}

static enum rc commands(
	struct compiler *c, const struct lyd_node *role, const char *name, struct admin_words *to)
{
	const struct lyd_node *leaf = tree_child(c->m, role, name);
	enum rc rc = RC_OK;

	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		if (!is_command(lyd_get_value(leaf)))
			rc = faults_join(rc,
				tree_fault(c->faults, leaf,
					"'%s' is not a command that a role can name: expected the first words of one, such as "
					"\"show ike\", \"clear sessions\", commit",
					lyd_get_value(leaf)));
		else if (!admin_words_add(to, lyd_get_value(leaf)))
			return compile_no_memory(c);
	}
	return rc;
}

static enum rc paths(
	struct compiler *c, const struct lyd_node *role, const char *name, struct admin_words *to)
{
	const struct lyd_node *leaf = tree_child(c->m, role, name);
	enum rc rc = RC_OK;

	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		if (!schema_has_path(lyd_get_value(leaf)))
			rc = faults_join(rc,
				tree_fault(c->faults, leaf,
					"'%s' is not a place of the configuration: expected words of statements without names, "
					"such as policy or \"zones zone host-inbound\"",
					lyd_get_value(leaf)));
		else if (!admin_words_add(to, lyd_get_value(leaf)))
			return compile_no_memory(c);
	}
	return rc;
}

static enum rc role(struct compiler *c, const struct lyd_node *node)
{
	struct administrators *a = c->administrators;
	const char *name = tree_value(node, "name");
	struct admin_role *r = &a->role[a->roles_n];
	enum rc rc;

	if (role_named(NULL, name) != ROLE_NONE || strcmp(name, role_word(NULL, ROLE_ROOT)) == 0 ||
		strcmp(name, role_word(NULL, ROLE_NONE)) == 0)
		return tree_fault(c->faults, node,
			"role '%s' is predefined: expected another name for a role of one's own", name);
	if (a->roles_n == ADMIN_ROLES_MAX)
		return fault_is_limit(
			tree_fault(c->faults, node, "more than %d roles of one's own", ADMIN_ROLES_MAX));
	a->roles_n++;
	snprintf(r->name, sizeof r->name, "%s", name);
	rc = commands(c, node, "permit", &r->permit);
	if (compile_continues(c, rc))
		rc = faults_join(rc, commands(c, node, "deny", &r->deny));
	if (compile_continues(c, rc))
		rc = faults_join(rc, paths(c, node, "permit-path", &r->permit_path));
	if (compile_continues(c, rc))
		rc = faults_join(rc, paths(c, node, "deny-path", &r->deny_path));
	return rc;
}

/* Without its comment: a key has one text (ssh_key.h). */
static size_t key_text_n(const char *text)
{
	size_t n = strcspn(text, " ");

	return text[n] ? n + 1 + strcspn(text + n + 1, " ") : n;
}

static bool is_among(const char *key, const struct admin_words *keys)
{
	size_t n = key_text_n(key);

	for (uint32_t i = 0; i < keys->n; i++)
		if (key_text_n(keys->at[i]) == n && memcmp(keys->at[i], key, n) == 0)
			return true;
	return false;
}

/* A key that two have would say of either that it is the other. */
static enum rc key_is_new(struct compiler *c, const struct lyd_node *leaf)
{
	const struct administrators *a = c->administrators;
	const char *key = lyd_get_value(leaf);

	for (uint32_t i = 0; i < a->n; i++)
		if (is_among(key, &a->at[i].keys))
			return tree_fault(
				c->faults, leaf, "administrator '%s' has this key already", a->at[i].name);
	return is_among(key, &a->authorities) ? tree_fault(c->faults, leaf, "this key is given twice")
					      : RC_OK;
}

static enum rc key(struct compiler *c, const struct lyd_node *leaf)
{
	const char *text = lyd_get_value(leaf);
	struct ssh_key parsed;
	struct err e = { 0 };

	if (ssh_key_parse(&parsed, text, strlen(text), NULL, NULL, &e) != RC_OK)
		return tree_fault(c->faults, leaf, "%s", e.text);
	return key_is_new(c, leaf);
}

static enum rc keys(struct compiler *c, const struct lyd_node *leaf, struct admin_words *to, uint32_t max)
{
	enum rc rc = RC_OK;

	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		enum rc now = to->n < max
				      ? key(c, leaf)
				      : tree_fault(c->faults, leaf,
						"more than %u keys here: at most that many are allowed", max);
		rc = faults_join(rc, now);
		if (!now && !admin_words_add(to, lyd_get_value(leaf)))
			return compile_no_memory(c);
	}
	return rc;
}

static enum rc account(struct compiler *c, const struct lyd_node *node, struct administrator *one)
{
	const struct lyd_node *leaf = tree_child(c->m, node, "uid");
	const struct administrators *a = c->administrators;
	uint32_t uid = (uint32_t)value_number(node, "uid");

	if (!leaf)
		return RC_OK;
	if (uid >= SSH_UID_FIRST && uid < SSH_UID_FIRST + SSH_UIDS)
		return tree_fault(c->faults, leaf,
			"uid %u is among those of administrators who come by ssh (%d to %d): expected the number of an account",
			uid, SSH_UID_FIRST, SSH_UID_FIRST + SSH_UIDS - 1);
	for (uint32_t i = 0; i < a->n; i++)
		if (&a->at[i] != one && a->at[i].uid == uid)
			return tree_fault(c->faults, leaf, "uid %u is that of administrator '%s' already",
				uid, a->at[i].name);
	one->uid = uid;
	return RC_OK;
}

static enum rc administrator(struct compiler *c, const struct lyd_node *node)
{
	struct administrators *a = c->administrators;
	struct administrator *one = &a->at[a->n];
	enum rc rc = RC_OK;

	if (a->n == ADMINISTRATORS_MAX)
		return fault_is_limit(
			tree_fault(c->faults, node, "more than %d administrators", ADMINISTRATORS_MAX));
	a->n++;
	snprintf(one->name, sizeof one->name, "%s", tree_value(node, "name"));
	one->role = role_named(a, tree_value(node, "role"));
	if (one->role == ROLE_NONE)
		rc = tree_fault(c->faults, tree_child(c->m, node, "role"),
			"there is no role '%s': expected read-only, operator, engineer, security-officer, auditor, or one of 'role'",
			tree_value(node, "role"));
	rc = faults_join(rc, account(c, node, one));
	if (compile_continues(c, rc))
		rc = faults_join(rc, keys(c, tree_child(c->m, node, "key"), &one->keys, ADMIN_KEYS_MAX));
	return rc;
}

static void ssh(struct compiler *c, const struct lyd_node *node)
{
	if (node)
		c->administrators->ssh = (struct ssh_settings){ .on = true,
			.port = (uint16_t)value_number(node, "port"),
			.idle_s = (uint32_t)value_number(node, "idle-timeout") };
}

enum rc compile_administrators(struct compiler *c)
{
	const struct lyd_node *in = tree_child(c->m, tree_child(c->m, NULL, "system"), "administrators");
	enum rc rc;

	if (!(c->administrators = administrators_new()))
		return compile_no_memory(c);
	ssh(c, tree_child(c->m, tree_child(c->m, NULL, "system"), "ssh"));
	if (!in)
		return RC_OK;
	rc = compile_each(c, "system", "administrators", "role", role);
	if (compile_continues(c, rc))
		rc = faults_join(
			rc, compile_each(c, "system", "administrators", "administrator", administrator));
	if (compile_continues(c, rc))
		rc = faults_join(rc, keys(c, tree_child(c->m, in, "authority"),
					     &c->administrators->authorities, ADMIN_AUTHORITIES_MAX));
	return rc;
}
