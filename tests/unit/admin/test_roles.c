/*
 * What each role may, against a grid that was written by itself: every command that control is asked, every table of `show`, every statement of the
 * schema.
 */
#include "admin/administrators.h"
#include "model/schema.h"
#include "model/show_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"

/* In the order of the columns below. */
static const char *const columns[] = { "read-only", "operator", "engineer", "security-officer", "auditor" };

/* y: may. A role that is added, and a command, have to be given a place here. */
static const struct {
	const char *words, *may;
} acts[] = {
	{ "check", "yyyyy" },
	{ "test policy", "yyyyy" },
	{ "show configuration", "yyyyy" },
	{ "commit", "--yy-" },
	{ "confirm", "--yy-" },
	{ "clear sessions", "-yy--" },
	{ "clear hit-count", "-yy--" },
	{ "trace", "-yyyy" },
	{ "capture", "-yy-y" },
	{ "vpn up", "-yy--" },
	{ "vpn rekey", "-yy--" },
	{ "vpn rekey-child", "-yy--" },
	{ "vpn redirect", "-yy--" },
	{ "vpn down", "-yy--" },
};

static const char *const tables[] = {
#define E(id, word, owner, text) "show " word,
	SHOW_TABLES(E)
#undef E
};

static void judge(const char *words, const char *may)
{
	assert_int_equal(strlen(may), ROLES_PREDEFINED);
	for (uint32_t i = 0; i < ROLES_PREDEFINED; i++) {
		uint32_t role = role_named(NULL, columns[i]);
		assert_true(role < ROLES_PREDEFINED);
		if (role_may_command(NULL, role, words) != (may[i] == 'y'))
			fail_msg("%s: %s", columns[i], words);
	}
	assert_true(role_may_command(NULL, ROLE_ROOT, words));
	assert_false(role_may_command(NULL, ROLE_NONE, words));
	assert_false(role_may_command(NULL, ROLE_OWN, words)); /* of a configuration that has none */
}

static void test_commands(void **state)
{
	assert_int_equal(COUNT_OF(columns), ROLES_PREDEFINED);
	assert_int_equal(COUNT_OF(acts), ADMIN_ACTS_N);
	for (size_t i = 0; i < COUNT_OF(acts); i++) {
		bool found = false;
		for (size_t k = 0; k < ADMIN_ACTS_N; k++)
			found |= strcmp(admin_acts[k], acts[i].words) == 0;
		assert_true(found);
		judge(acts[i].words, acts[i].may);
	}
	for (size_t i = 0; i < COUNT_OF(tables); i++)
		judge(tables[i], "yyyyy");
	/* what nobody has heard of, and parts of words, are not permitted */
	judge("reboot", "-----");
	judge("showing", "-----");
	judge("", "-----");
	judge("commits", "-----");
	judge("test", "-----");
}

/* Who may change a statement follows from the first words of its path; this is said again here, and in another way. */
static char who_changes(const char *path)
{
	static const char *const officers[] = { "system administrators", "system ssh", "system commit",
		"evidence", "log" };

	for (size_t i = 0; i < COUNT_OF(officers); i++) {
		size_t n = strlen(officers[i]);
		if (memcmp(path, officers[i], MIN_OF(n, strlen(path) + 1)) == 0 &&
			(path[n] == ' ' || path[n] == '\0'))
			return 's';
	}
	return 'e';
}

static unsigned walked, officers_n;

static void walk(const struct lysc_node *parent, const char *before)
{
	const struct lysc_node *node = NULL;
	char path[400];

	while ((node = schema_next(parent, node))) {
		snprintf(path, sizeof path, "%s%s%s", before, *before ? " " : "", schema_keyword(node));
		char who = who_changes(path);
		for (uint32_t i = 0; i < COUNT_OF(columns); i++) {
			bool may = (who == 'e' && strcmp(columns[i], "engineer") == 0) ||
				   (who == 's' && strcmp(columns[i], "security-officer") == 0);
			if (role_may_change(NULL, role_named(NULL, columns[i]), path) != may)
				fail_msg("%s: %s", columns[i], path);
		}
		assert_true(role_may_change(NULL, ROLE_ROOT, path));
		assert_false(role_may_change(NULL, ROLE_NONE, path));
		assert_false(role_may_change(NULL, ROLE_OWN, path));
		walked++;
		officers_n += who == 's';
		if (node->nodetype & (LYS_CONTAINER | LYS_LIST))
			walk(node, path);
	}
}

static void test_paths(void **state)
{
	struct err e = { 0 };

	assert_int_equal(schema_init(&e), RC_OK);
	walk(NULL, "");
	assert_in_range(walked, 400, 100000); /* all of it was seen */
	assert_in_range(officers_n, 30, walked / 2);
	schema_done();
	for (uint32_t i = 0; i < ROLES_PREDEFINED; i++) {
		assert_false(role_may_change(NULL, i, "")); /* a place that no class has is nobody's */
		assert_false(role_may_change(NULL, i, "passwords"));
	}
}

/* Of two that fit the longer one decides, of two that are equal the denial. */
static void test_own(void **state)
{
	struct administrators *a = administrators_new();
	struct admin_role *r = &a->role[0];
	char text[100];

	a->roles_n = 1;
	strcpy(r->name, "helpdesk");
	assert_true(admin_words_add(&r->permit, "show") && admin_words_add(&r->permit, "vpn") &&
		    admin_words_add(&r->deny, "show configuration") &&
		    admin_words_add(&r->deny, "vpn down") && admin_words_add(&r->permit, "vpn down") &&
		    admin_words_add(&r->deny, "show sessions") &&
		    admin_words_add(&r->permit, "show sessions summary"));
	assert_true(admin_words_add(&r->permit_path, "zones") &&
		    admin_words_add(&r->deny_path, "zones zone host-inbound"));
	uint32_t role = role_named(a, "helpdesk");
	assert_int_equal(role, ROLE_OWN);
	assert_string_equal(role_word(a, role), "helpdesk");
	assert_true(role_may_command(a, role, "show ike"));
	assert_false(role_may_command(a, role, "show configuration"));
	assert_false(role_may_command(a, role, "show sessions"));
	assert_true(role_may_command(a, role, "show sessions summary"));
	assert_true(role_may_command(a, role, "vpn up"));
	assert_false(role_may_command(a, role, "vpn down"));
	assert_false(role_may_command(a, role, "commit"));
	assert_true(role_may_change(a, role, "zones zone interfaces"));
	assert_false(role_may_change(a, role, "zones zone host-inbound from"));
	assert_false(role_may_change(a, role, "policy"));
	assert_string_equal(roles_that_may(text, sizeof text, a, "vpn up", false),
		"operator, engineer, helpdesk or root");
	assert_string_equal(
		roles_that_may(text, sizeof text, a, "evidence", true), "security-officer or root");
	assert_string_equal(roles_that_may(text, sizeof text, NULL, "reboot", false), "root");
	roles_that_may(text, 12, a, "vpn up", false);
	assert_true(strlen(text) < 12);
	administrators_free(a);
}

static void test_can_enter(void **state)
{
	struct administrators *a = administrators_new();

	assert_false(administrators_can_enter(NULL));
	assert_false(administrators_can_enter(a));
	a->n = 2;
	a->at[0].role = ROLE_ENGINEER;
	a->at[0].uid = 1000;
	a->at[1].role = ROLE_SECURITY_OFFICER;
	assert_false(administrators_can_enter(a)); /* the one who may has no way in */
	a->at[1].uid = 1001;
	assert_true(administrators_can_enter(a));
	a->at[1].uid = 0;
	assert_true(admin_words_add(&a->at[1].keys, "ssh-ed25519 AAAA"));
	assert_true(administrators_can_enter(a));
	a->at[1].role = ROLE_AUDITOR;
	assert_false(administrators_can_enter(a));
	administrators_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_can_enter),
	};

	return cmocka_run_group_tests_name("admin roles", tests, NULL, NULL);
}
