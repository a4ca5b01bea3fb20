/*
 * The editor: commands by tables of text, command, text; and what holds of any configuration: its text comes out again with its comments,
 * its `set` lines
 * make it, it does not differ from itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "edit/edit.h"
#include "model/model.h"
#include "unit/model/sample.h"

static struct edit *edit_of(const char *text)
{
	struct edit *e = NULL;
	struct err err = { 0 };

	if (edit_new(&e, text, strlen(text), "t", &err) != RC_OK)
		fail_msg("%s\n%s", err.text, text);
	return e;
}

/* As the model prints it: what it means, without comments, layout and order of groups. */
static char *meaning(const char *text)
{
	struct model *m = NULL;
	struct err err = { 0 };
	size_t n;

	if (model_load_text(text, strlen(text), "t", &m, &err) != RC_OK)
		fail_msg("%s\n%s", err.text, text);
	char *printed = model_print(m, &n);
	model_free(m);
	assert_non_null(printed);
	return printed;
}

#define BASE                                                                                                 \
	"# the office\n"                                                                                     \
	"zones {\n"                                                                                          \
	"    zone trust {\n"                                                                                 \
	"        interfaces [ lan0 lan1 ];\n"                                                                \
	"    }\n"                                                                                            \
	"    zone vpn;\n"                                                                                    \
	"}\n"                                                                                                \
	"\n"                                                                                                 \
	"policy {\n"                                                                                         \
	"    from trust to vpn {\n"                                                                          \
	"        # the shop\n"                                                                               \
	"        rule web { # since spring\n"                                                                \
	"            match {\n"                                                                              \
	"                source any;\n"                                                                      \
	"                destination any;\n"                                                                 \
	"                application [ http https ];\n"                                                      \
	"            }\n"                                                                                    \
	"            then {\n"                                                                               \
	"                permit;\n"                                                                          \
	"            }\n"                                                                                    \
	"        }\n"                                                                                        \
	"        rule rest {\n"                                                                              \
	"            match {\n"                                                                              \
	"                source any;\n"                                                                      \
	"                destination any;\n"                                                                 \
	"                application any;\n"                                                                 \
	"            }\n"                                                                                    \
	"            then {\n"                                                                               \
	"                deny;\n"                                                                            \
	"            }\n"                                                                                    \
	"        }\n"                                                                                        \
	"    }\n"                                                                                            \
	"}\n"
#define WEB	    "policy from trust to vpn rule web "
#define WEB_TEXT(t) "policy { from trust to vpn { rule web { " t " } } }"

/* clang-format off */
/* Commands, one in each line, on BASE: how it differs then, and what is in its text. */
static const struct {
	const char *name, *commands, *differs, *has;
} cases[] = {
	{ "nothing", "", "", "# the office\nzones {" },
	{ "a value of a leaf-list", "set " WEB "match application dns", "[edit policy from trust to vpn rule web match]\n+  application dns;\n", "application [ http https dns ];" },
	{ "values in brackets", "set " WEB "match application [ dns ntp http ]", "[edit policy from trust to vpn rule web match]\n+  application [ dns ntp ];\n", "[ http https dns ntp ];" },
	{ "a leaf", "set system host-name gw", "[edit]\n+  system {\n+      host-name gw;\n+  }\n", "" },
	{ "a leaf again", "set system host-name gw\nset system host-name gw2", "[edit]\n+  system {\n+      host-name gw2;\n+  }\n", "" },
	{ "words cut short", "set sys host-n gw", "[edit]\n+  system {\n+      host-name gw;\n+  }\n", "" },
	{ "another case of a choice", "set " WEB "then reject", "[edit policy from trust to vpn rule web then]\n-  permit;\n+  reject;\n", "" },
	{ "a value with spaces", "set zones zone vpn description \"to the branches\"", "[edit zones zone vpn]\n+  description \"to the branches\";\n", "zone vpn {\n        description \"to the branches\";\n    }" },
	{ "entries in brackets", "set zones zone [ a b ]", "[edit zones]\n+  zone a;\n+  zone b;\n", "" },
	{ "an entry goes", "delete zones zone vpn", "[edit zones]\n-  zone vpn;\n", "" },
	{ "a value goes", "delete " WEB "match application http", "[edit policy from trust to vpn rule web match]\n-  application http;\n", "application https;" },
	{ "a leaf-list goes", "delete zones zone trust interfaces", "[edit zones zone trust]\n-  interfaces [ lan0 lan1 ];\n", "zone trust;" },
	{ "all of a list goes, and what is empty then", "delete zones zone", "[edit]\n-  zones {\n-      zone trust {\n-          interfaces [ lan0 lan1 ];\n-      }\n-      zone vpn;\n-  }\n", "" },
	{ "a zone is renamed where it is used", "rename zones zone trust to zone lan",
	  "[edit zones]\n-  zone trust {\n", "zone lan {" },
	{ "the pair of zones too", "rename zones zone trust to lan", "[edit policy]\n-  from trust to vpn {\n", "from lan to vpn {\n        # the shop\n        rule web { # since spring" },
	{ "an entry with keys of its own", "rename policy from trust to vpn to from vpn to trust", "[edit policy]\n", "from vpn to trust {" },
	{ "a copy, with what is said of it", "copy " WEB "to rule shop", "[edit policy from trust to vpn]\n+  rule shop {\n", "# the shop\n        rule shop { # since spring" },
	{ "the order of rules", "insert " WEB "after rule rest", "[edit policy from trust to vpn]\n!  rule web;\n", "" },
	{ "before", "insert policy from trust to vpn rule rest before web", "[edit policy from trust to vpn]\n!  rule web;\n", "" },
	{ "inactive", "deactivate " WEB, "[edit policy from trust to vpn]\n-  rule web;\n+  inactive: rule web;\n", "inactive: rule web { # since spring" },
	{ "and active again", "deactivate " WEB "\nactivate " WEB, "", "" },
	{ "an inactive value", "deactivate " WEB "match application http", "[edit policy from trust to vpn rule web match]\n+  inactive: application http;\n-  application http;\n",
	  "inactive: application http;\n                application https;\n" },
	{ "a comment", "annotate zones \"all of them\"", "", "/* all of them */\nzones {" },
	{ "no comment", "annotate " WEB "\"\"", "", "from trust to vpn {\n        rule web {" },
	{ "a level", "edit policy from trust to vpn\nset rule last match source any\ntop\nset zones zone dmz", "[edit zones]\n+  zone dmz;\n", "rule last {" },
	{ "up", "edit " WEB "match\nup 2\nset rule web then count", "[edit policy from trust to vpn rule web then]\n+  count;\n", "" },
	{ "top for one command", "edit " WEB "\ntop set zones zone dmz\nset then count", "[edit zones]\n+  zone dmz;\n[edit policy from trust to vpn rule web then]\n+  count;\n", "" },
	{ "what is there already", "set zones zone trust interfaces lan0", "", "interfaces [ lan0 lan1 ];" },
	{ "the order of values", "set zones zone vpn interfaces [ a b c ]\ndeactivate zones zone vpn interfaces b\nactivate zones zone vpn interfaces b",
	  "[edit zones zone vpn]\n+  interfaces [ a b c ];\n", "" },
	{ "another order of values", "delete " WEB "match application http\nset " WEB "match application http", "!  application [ https http ];\n", "" },
	{ "the level goes by the new name", "edit policy from trust to vpn\ntop rename zones zone trust to office\nset rule new match source any", "+      rule new {\n",
	  "from office to vpn {" },
	{ "the level in what is renamed", "edit zones zone vpn\ntop rename zones zone vpn to tunnels\nset description x", "+  zone tunnels {\n", "zone tunnels {\n        description x;" },
	{ "a level alone changes nothing", "edit zones zone dmz", "", "" },
};

/* Commands that are refused, on BASE, and with what words. */
static const struct {
	const char *command;
	enum rc rc;
	const char *says;
} refused[] = {
	{ "set zoness zone trust", RC_NOT_FOUND, "did you mean 'zones'?" },
	{ "set zone trust", RC_NOT_FOUND, "found 'trust', expected one of: zone" },
	{ "set zones zone", RC_MALFORMED, "expected which zone" },
	{ "set", RC_MALFORMED, "expected what is to be set" },
	{ "set s", RC_MALFORMED, "is the beginning of several: system, screens" },
	{ "set policy from trust", RC_MALFORMED, "expected 'to'" },
	{ "set policy from trust into vpn", RC_MALFORMED, "found 'into', expected 'to'" },
	{ "set system host-name", RC_MALFORMED, "expected the value of host-name" },
	{ "set system host-name a b", RC_MALFORMED, "double quotes" },
	{ "set system host-name -a", RC_RANGE, "a host name is made of" },
	{ "set system session-limit 5", RC_RANGE, "1024..4194304" },
	{ "set system session-limit [ 5000 6000 ]", RC_MALFORMED, "one value" },
	{ "set zones zone any", RC_RANGE, "expected" },
	{ "set zones zone trust interfaces a b", RC_MALFORMED, "[ a b ]" },
	{ "set " WEB "then permit yes", RC_MALFORMED, "has no value" },
	{ "set zones [ zone ]", RC_MALFORMED, "which zone" },
	{ "set zones { zone a; }", RC_MALFORMED, "found '{'" },
	{ "set system host-name \"gw", RC_MALFORMED, "not closed" },
	{ "set " WEB "match application [ http", RC_MALFORMED, "expected ]" },
	{ "set " WEB "match application [ ]", RC_MALFORMED, "found ']'" },
	{ "delete zones zone dmz", RC_NOT_FOUND, "there is no 'zones zone dmz'" },
	{ "delete " WEB "match application dns", RC_NOT_FOUND, "there is no 'application dns'" },
	{ "delete nat", RC_NOT_FOUND, "there is no 'nat'" },
	{ "rename zones zone trust to vpn", RC_EXISTS, "already" },
	{ "rename zones zone dmz to lan", RC_NOT_FOUND, "there is no" },
	{ "rename zones zone trust to any", RC_RANGE, "any" },
	{ "rename zones to nets", RC_MALFORMED, "only what has a name" },
	{ "rename zones zone trust", RC_MALFORMED, "expected 'to'" },
	{ "rename zones zone trust to lan lan", RC_MALFORMED, "found 'lan', expected the end" },
	{ "copy " WEB "to rule rest", RC_EXISTS, "already" },
	{ "insert " WEB "before rule none", RC_NOT_FOUND, "no such rule" },
	{ "insert " WEB "before rule web", RC_NOT_FOUND, "the same" },
	{ "deactivate " WEB "match application [ http nope ]", RC_NOT_FOUND, "nope" },
	{ "top top set zones zone a", RC_MALFORMED, "once" },
	{ "set zones zone [ x y ] interfaces e", RC_MALFORMED, "nothing follows the brackets" },
	{ "rename policy from trust to vpn rule none to rule x", RC_NOT_FOUND, "there is no" },
	{ "insert zones zone trust before zone vpn", RC_MALFORMED, "only entries of a list" },
	{ "insert " WEB, RC_MALFORMED, "'before' or 'after'" },
	{ "activate", RC_MALFORMED, "expected a statement" },
	{ "deactivate nat", RC_NOT_FOUND, "there is no" },
	{ "annotate zones plain", RC_MALFORMED, "double quotes" },
	{ "annotate zones \"a */ b\"", RC_MALFORMED, "'*/'" },
	{ "annotate zones zone \"x\"", RC_MALFORMED, "which zone" },
	{ "edit system host-name", RC_MALFORMED, "no block" },
	{ "edit", RC_MALFORMED, "path is missing" },
	{ "edit zones zone any", RC_RANGE, "any" },
	{ "up", RC_RANGE, "the top" },
	{ "up x", RC_MALFORMED, "how many levels" },
	{ "sett zones zone a", RC_MALFORMED, "did you mean 'set'?" },
};
/* clang-format on */

static char *differs(const struct edit *e, const char *text)
{
	struct err err = { 0 };
	char *d = NULL;

	if (edit_compare(e, text, strlen(text), "base", &d, &err) != RC_OK)
		fail_msg("%s", err.text);
	return d;
}

static void commands(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct edit *e = edit_of(BASE);
		struct err err = { 0 };
		if (edit_load(e, EDIT_LOAD_SET, cases[i].commands, strlen(cases[i].commands), "c", &err) !=
			RC_OK)
			fail_msg("%s: %s", cases[i].name, err.text);
		char *d = differs(e, BASE), *text = edit_text(e);
		if (!strstr(d, cases[i].differs) || (!*cases[i].differs && *d) || !strstr(text, cases[i].has))
			fail_msg("%s: it differs by\n%s\nand is\n%s", cases[i].name, d, text);
		struct edit *again = edit_of(text); /* what comes out is a text */
		char *same = edit_text(again);
		assert_string_equal(same, text);
		free(same);
		edit_free(again);
		free(d);
		free(text);
		edit_free(e);
	}
}

static void refusals_change_nothing(void **state)
{
	struct edit *e = edit_of(BASE);
	char *before = edit_text(e);

	assert_string_equal(before, BASE);
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct err err = { 0 };
		enum rc rc = edit_command(e, refused[i].command, &err);
		if (rc != refused[i].rc || !strstr(err.text, refused[i].says))
			fail_msg("%s: %s: %s", refused[i].command, rc_text(rc), err.text);
		char *text = edit_text(e);
		assert_string_equal(text, before);
		free(text);
	}
	assert_false(edit_changed(e));
	assert_string_equal(edit_level(e), "");
	free(before);
	edit_free(e);
}

static void a_part_of_a_load_is_none(void **state)
{
	static const char *const texts[] = { "set zones zone a\nset zone b\n",
		"edit zones zone trust\ndelete interfaces\nset nothing\n",
		"zones { zone a; } nat { nothing; }", "zones { zone a;", "zones { zone a; } }",
		"\"zones\" { }" };
	struct edit *e = edit_of(BASE);

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct err err = { 0 };
		assert_int_not_equal(edit_load(e, i < 2 ? EDIT_LOAD_SET : EDIT_LOAD_MERGE, texts[i],
					     strlen(texts[i]), "file", &err),
			RC_OK);
		assert_non_null(strstr(err.text, "file:"));
		char *text = edit_text(e);
		assert_string_equal(text, BASE);
		assert_string_equal(edit_level(e), "");
		free(text);
	}
	edit_free(e);
}

/* What is deactivated stays so when more of it comes; a text that is refused leaves a candidate that counts as unchanged. */
static void loads_activate_nothing(void **state)
{
	static const char more[] = "policy { from trust to vpn { rule web { description x; } } }",
			  bad[] = "set zones zone a\nset nothing\n";
	struct edit *e = edit_of(BASE);
	struct err err = { 0 };

	assert_int_not_equal(edit_load(e, EDIT_LOAD_SET, bad, strlen(bad), "f", &err), RC_OK);
	assert_false(edit_changed(e));
	assert_int_equal(edit_activate(e, "policy", false, &err), RC_OK);
	assert_int_equal(edit_load(e, EDIT_LOAD_MERGE, more, strlen(more), "f", &err), RC_OK);
	char *text = edit_text(e), *shown = NULL;
	assert_non_null(strstr(text, "inactive: policy {"));
	assert_non_null(strstr(text, "description x;"));
	assert_int_equal(edit_show(e, "policy from trust to vpn", false, &shown, &err), RC_OK);
	assert_non_null(strstr(shown, "## in an inactive block\n"));
	free(shown);
	assert_int_equal(edit_show(e, "zones zone vpn", true, &shown, &err), RC_OK);
	assert_string_equal(shown, "set zones zone vpn\n");
	free(shown);
	free(text);
	edit_free(e);
}

/* An octet 0 would end the text for all who read it as one. */
static void no_octet_0(void **state)
{
	static const char *const texts[] = { "/* a\0b */ zones { zone a; } /* c */\n",
		"# a\0b\nzones { zone a; }\n" };
	static const size_t sizes[] = { 36, 25 };
	struct edit *e = NULL;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct err err = { 0 };
		assert_int_not_equal(edit_new(&e, texts[i], sizes[i], "t", &err), RC_OK);
		assert_non_null(strstr(err.text, "0x00"));
	}
}

/* A set and an address of one name could not be told apart where rules name them. */
static void a_name_of_another_kind(void **state)
{
	static const char text[] =
		"address-book { address a { prefix 10.0.0.0/8; } address-set s { address a; } }\n"
		"applications { application mine { protocol tcp; destination-port 5; } }\n"
		"policy { from trust to vpn { rule r { match { source [ a s ]; destination any; application mine; } then { permit; } } } }\n";
	struct edit *e = edit_of(text);
	unsigned uses;
	struct err err = { 0 };

	assert_int_equal(edit_rename(e, "address-book address a to s", &uses, &err), RC_EXISTS);
	assert_int_equal(edit_rename(e, "address-book address a to b", &uses, &err), RC_OK);
	assert_int_equal(uses, 2);
	edit_free(e);
}

/* Every reference of the model leads to lists: what is asserted when a renaming asks. */
static void every_reference(void **state)
{
	const struct edit_completion *all;
	struct edit *e = edit_of(BASE);

	assert_true(edit_complete(e, EDIT_COMMAND_SET, "zones zone trust host-inbound ping from ", &all) > 0);
	assert_true(edit_complete(e, EDIT_COMMAND_SET, "ipsec tunnel t peer ", &all) > 0);
	edit_free(e);
}

/* A name that exists twice as a word: only what names a zone follows. */
static void a_renaming_leaves_its_namesakes(void **state)
{
	static const char text[] =
		"zones {\n    zone web {\n        interfaces web;\n    }\n}\n\naddress-book {\n    address web {\n        prefix 10.0.0.0/8;\n    }\n"
		"    address-set all {\n        address web;\n    }\n}\n\npolicy {\n    from web to self {\n        rule web {\n            match {\n"
		"                source [ web all ];\n                destination any;\n                application any;\n            }\n            then {\n"
		"                permit;\n            }\n        }\n    }\n}\n";
	struct edit *e = edit_of(text);
	struct err err = { 0 };
	unsigned uses;

	assert_int_equal(edit_rename(e, "zones zone web to lan", &uses, &err), RC_OK);
	assert_int_equal(uses, 1);
	assert_int_equal(edit_rename(e, "address-book address web to servers", &uses, &err), RC_OK);
	assert_int_equal(uses, 2);
	char *now = edit_text(e);
	assert_non_null(strstr(now, "zone lan {\n        interfaces web;"));
	assert_non_null(strstr(now, "from lan to self {\n        rule web {"));
	assert_non_null(strstr(now, "source [ servers all ];"));
	assert_non_null(strstr(now, "address servers;"));
	free(meaning(now));
	free(now);
	edit_free(e);
}

static void loads(void **state)
{
	/* clang-format off */
	static const struct { enum edit_load how; const char *level, *text, *has, *has_not; } rows[] = {
		{ EDIT_LOAD_MERGE, "", "zones { zone vpn { interfaces st0.1; } zone dmz; }", "zone vpn {\n        interfaces st0.1;\n    }\n    zone dmz;", "" },
		{ EDIT_LOAD_MERGE, "", WEB_TEXT("then { reject; }"), "reject;", "permit;" },
		{ EDIT_LOAD_MERGE, "", WEB_TEXT("match { application [ dns http ]; }"), "application [ http https dns ];", "" },
		{ EDIT_LOAD_MERGE, "", "zones { zone [ trust dmz ]; }", "interfaces [ lan0 lan1 ];", "zone [" },
		{ EDIT_LOAD_MERGE, "zones zone vpn", "interfaces st0.1; # tunnels", "interfaces st0.1; # tunnels", "" },
		{ EDIT_LOAD_REPLACE, "", WEB_TEXT("replace: match { source any; destination any; application dns; }"), "application dns;", "https" },
		{ EDIT_LOAD_REPLACE, "", WEB_TEXT("match { replace: application dns; }"), "application dns;", "https" },
		{ EDIT_LOAD_OVERRIDE, "zones", "system { host-name gw; } # all", "system {\n    host-name gw;\n}\n# all\n", "zones" },
		{ EDIT_LOAD_SET, "zones", "set zone dmz\n\n# a comment\n  top\nset system host-name gw\r\n", "zone dmz;", "" },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct edit *e = edit_of(BASE);
		struct err err = { 0 };
		char enter[200];
		snprintf(enter, sizeof enter, "edit %s", rows[i].level);
		if (*rows[i].level)
			assert_int_equal(edit_command(e, enter, &err), RC_OK);
		if (edit_load(e, rows[i].how, rows[i].text, strlen(rows[i].text), "file", &err) != RC_OK)
			fail_msg("%s: %s", rows[i].text, err.text);
		char *text = edit_text(e);
		if (!strstr(text, rows[i].has) || (*rows[i].has_not && strstr(text, rows[i].has_not)))
			fail_msg("%s makes\n%s", rows[i].text, text);
		assert_string_equal(edit_level(e), rows[i].level);
		assert_true(edit_changed(e));
		free(text);
		edit_free(e);
	}
}

static bool offered(struct edit *e, enum edit_command c, const char *words, const char *word)
{
	const struct edit_completion *all;
	unsigned n = edit_complete(e, c, words, &all);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(all[i].word, word) == 0)
			return true;
	}
	return false;
}

static void completions(void **state)
{
	/* clang-format off */
	static const struct { enum edit_command command; const char *words, *word; bool is; } rows[] = {
		{ EDIT_COMMAND_SET, "", "zones", true }, { EDIT_COMMAND_SET, "z", "zones", true }, { EDIT_COMMAND_SET, "z", "policy", false },
		{ EDIT_COMMAND_SET, "zones ", "zone", true }, { EDIT_COMMAND_SET, "zones zone ", "trust", true }, { EDIT_COMMAND_SET, "zones zone ", "<name>", true },
		{ EDIT_COMMAND_SET, "policy from ", "trust", true }, { EDIT_COMMAND_SET, "policy from ", "self", true }, { EDIT_COMMAND_SET, "policy from trust ", "to", true },
		{ EDIT_COMMAND_SET, "policy from trust to v", "vpn", true }, { EDIT_COMMAND_SET, WEB "match application ", "https", true },
		{ EDIT_COMMAND_SET, WEB "match application [ http ", "ssh", true }, { EDIT_COMMAND_SET, WEB "then ", "permit", true },
		{ EDIT_COMMAND_SET, "system host-name ", "<host-name>", true }, { EDIT_COMMAND_SET, WEB "then permit ", "deny", false },
		{ EDIT_COMMAND_DELETE, "", "zones", true }, { EDIT_COMMAND_DELETE, "", "nat", false }, { EDIT_COMMAND_DELETE, "zones zone trust interfaces ", "lan1", true },
		{ EDIT_COMMAND_DELETE, "zones zone ", "<name>", false }, { EDIT_COMMAND_EDIT, "zones zone trust ", "interfaces", false },
		{ EDIT_COMMAND_EDIT, WEB, "match", true }, { EDIT_COMMAND_RENAME, "zones zone trust ", "to", true }, { EDIT_COMMAND_INSERT, WEB, "before", true },
		{ EDIT_COMMAND_SET, "nonsense ", "zones", false }, { EDIT_COMMAND_SET, "zones zone \"tr", "trust", false },
	};
	/* clang-format on */
	struct edit *e = edit_of(BASE);
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (offered(e, rows[i].command, rows[i].words, rows[i].word) != rows[i].is)
			fail_msg("'%s': '%s' is %soffered", rows[i].words, rows[i].word,
				rows[i].is ? "not " : "");
	}
	assert_int_equal(edit_command(e, "edit policy from trust to vpn", &err), RC_OK);
	assert_true(offered(e, EDIT_COMMAND_SET, "rule ", "rest"));
	assert_false(offered(e, EDIT_COMMAND_SET, "", "zones"));
	edit_free(e);
}

/* ---- any configuration ---- */

/* Each line of a comment of the one is in the other. */
static void comments_survive(const char *before, const char *after)
{
	for (const char *at = before; (at = strchr(at, '#')); at += strcspn(at, "\n")) {
		size_t n = strcspn(at, "\n");
		while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t' || at[n - 1] == '\r'))
			n--;
		char *line = strndup(at, n);
		if (!strstr(after, line))
			fail_msg("'%s' is lost in\n%s", line, after);
		free(line);
	}
}

static void holds(const char *text)
{
	struct edit *e = edit_of(text), *again, *from_sets = edit_of("");
	char *out = edit_text(e), *before = meaning(text), *after = meaning(out), *sets = NULL,
	     *d = differs(e, text);
	struct err err = { 0 };

	assert_string_equal(before, after);
	comments_survive(text, out);
	again = edit_of(out);
	char *twice = edit_text(again);
	assert_string_equal(out, twice);
	assert_string_equal(d, "");
	assert_int_equal(edit_show(e, "", true, &sets, &err), RC_OK);
	if (edit_load(from_sets, EDIT_LOAD_SET, sets, strlen(sets), "sets", &err) != RC_OK)
		fail_msg("%s\n%s", err.text, sets);
	char *made = edit_text(from_sets), *made_meaning = meaning(made);
	assert_string_equal(made_meaning, before);
	free(made_meaning);
	free(made);
	free(sets);
	free(twice);
	edit_free(again);
	edit_free(from_sets);
	free(d);
	free(after);
	free(before);
	free(out);
	edit_free(e);
}

static char *file_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_int_not_equal(fread(text, 1, (1 << 20) - 1, f), 0);
	fclose(f);
	return text;
}

static void any_configuration(void **state)
{
	static const char *const files[] = { "hub", "objects", "public-keys" };
	char path[512];

	holds("");
	holds("# nothing\n");
	holds(BASE);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof path, SOURCE_ROOT "/docs/examples/%s.conf", files[i]);
		char *text = file_text(path);
		holds(text);
		free(text);
	}
	for (unsigned i = 0; i < 2; i++) {
		char *text = sample_from_docs(i);
		holds(text);
		free(text);
	}
	for (uint64_t seed = 1; seed <= 60; seed++) {
		char *text = sample_random(seed);
		holds(text);
		free(text);
	}
}

/* Text that nobody writes, and commands out of its own words: each is refused or leaves a text that can be read. */
static void any_command(void **state)
{
	static const char *const verbs[] = { "set", "delete", "rename", "copy", "insert", "activate",
		"deactivate", "annotate", "edit", "up", "top" };
	static const char *const words[] = { "zones", "zone", "trust", "vpn", "policy", "from", "to", "rule",
		"web", "rest", "match", "source", "any", "application", "[", "]", "then", "permit", "deny",
		"before", "after", "\"x y\"", "system", "host-name", "address-book", "address", "prefix",
		"10.0.0.0/8", "interfaces", "lan0" };
	uint64_t x = 1;
	unsigned done = 0;

	for (unsigned round = 0; round < 40; round++) {
		struct edit *e = edit_of(BASE);
		for (unsigned i = 0; i < 300; i++) {
			char line[300];
			size_t n = 0;
			struct err err = { 0 };
			x = x * 6364136223846793005u + 1442695040888963407u;
			n += (size_t)snprintf(line, sizeof line, "%s", verbs[(x >> 33) % COUNT_OF(verbs)]);
			for (unsigned k = (unsigned)(x >> 40) % 9; k > 0; k--) {
				x = x * 6364136223846793005u + 1442695040888963407u;
				n += (size_t)snprintf(
					line + n, sizeof line - n, " %s", words[(x >> 33) % COUNT_OF(words)]);
			}
			done += edit_command(e, line, &err) == RC_OK;
			if (i % 20)
				continue;
			char *text = edit_text(e);
			struct edit *again = edit_of(text);
			char *same = edit_text(again);
			assert_string_equal(text, same);
			char *d = differs(again, text);
			assert_string_equal(d, "");
			free(d);
			free(same);
			edit_free(again);
			free(text);
		}
		edit_free(e);
	}
	assert_true(done > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(refusals_change_nothing),
		cmocka_unit_test(a_part_of_a_load_is_none),
		cmocka_unit_test(a_renaming_leaves_its_namesakes),
		cmocka_unit_test(loads),
		cmocka_unit_test(loads_activate_nothing),
		cmocka_unit_test(no_octet_0),
		cmocka_unit_test(a_name_of_another_kind),
		cmocka_unit_test(every_reference),
		cmocka_unit_test(completions),
		cmocka_unit_test(any_configuration),
		cmocka_unit_test(any_command),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
