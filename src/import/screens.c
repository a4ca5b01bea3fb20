/* Screens: Junos's words, most of which are the same here (base/screens.h). */
#include "import/translate.h"

#include "base/screens.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_OCTETS 200

/* clang-format off */
/* Where words differ: theirs, from `ids-option NAME` on and joined by '/', in lower case; ours. */
static const struct {
	const char *theirs, *ours;
} renamed[] = {
	{ "ip/tunnel/gre/gre-4in4",        "ip/tunnel/gre-4in4" },
	{ "ip/tunnel/gre/gre-4in6",        "ip/tunnel/gre-4in6" },
	{ "ip/tunnel/gre/gre-6in4",        "ip/tunnel/gre-6in4" },
	{ "ip/tunnel/gre/gre-6in6",        "ip/tunnel/gre-6in6" },
	{ "ip/tunnel/ip-in-udp/teredo",    "ip/tunnel/teredo" },
	{ "ip/tunnel/ipip/ipip-4in4",      "ip/tunnel/ipip-4in4" },
	{ "ip/tunnel/ipip/ipip-4in6",      "ip/tunnel/ipip-4in6" },
	{ "ip/tunnel/ipip/ipip-6in4",      "ip/tunnel/ipip-6in4" },
	{ "ip/tunnel/ipip/ipip-6in6",      "ip/tunnel/ipip-6in6" },
	{ "ip/tunnel/ipip/ipip-6over4",    "ip/tunnel/ipip-6in4" },
	{ "ip/tunnel/ipip/ipip-6to4relay", "ip/tunnel/ipip-6to4" },
	{ "ip/tunnel/ipip/isatap",         "ip/tunnel/isatap" },
	{ "ip/tunnel/ipip/dslite",         "ip/tunnel/ds-lite" },
	{ "ip/ipv6-extension-header/hop-by-hop-header/calipso-option",       "ip/ipv6-option/calipso" },
	{ "ip/ipv6-extension-header/hop-by-hop-header/sfm-dpd-option",       "ip/ipv6-option/smf-dpd" },
	{ "ip/ipv6-extension-header/hop-by-hop-header/jumbo-payload-option", "ip/ipv6-option/jumbo-payload" },
	{ "ip/ipv6-extension-header/hop-by-hop-header/quick-start-option",   "ip/ipv6-option/quick-start" },
	{ "ip/ipv6-extension-header/hop-by-hop-header/router-alert-option",  "ip/ipv6-option/router-alert" },
	{ "ip/ipv6-extension-header/destination-header/ilnp-nonce-option",   "ip/ipv6-option/ilnp-nonce" },
	{ "ip/ipv6-extension-header/destination-header/home-address-option", "ip/ipv6-option/home-address" },
	{ "ip/ipv6-extension-header/destination-header/line-identification-option", "ip/ipv6-option/line-identification" },
	{ "ip/ipv6-extension-header/destination-header/tunnel-encapsulation-limit-option", "ip/ipv6-option/tunnel-encapsulation-limit" },
};
/* The words of base/screens.h. */
static const struct {
	const char *path;
	bool limit;
} known[] = {
#define KIND_ON	   false
#define KIND_LIMIT true
#define KNOWN(x, id, name, path, kind, preset, text) { path, KIND_##kind },
	SCREENS(KNOWN, )
#undef KNOWN
};
/* clang-format on */

static const char *path_here(const char *theirs, bool *ret_limit)
{
	for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
		if (strcmp(theirs, renamed[i].theirs) == 0)
			theirs = renamed[i].ours;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(theirs, known[i].path) == 0) {
			*ret_limit = known[i].limit;
			return known[i].path;
		}
	}
	return NULL;
}

/* Scans and sweeps are measured in microseconds, and not below a thousand; all else is a number. */
static const char *threshold(struct import *m, struct node *v, const char *path)
{
	bool time = strstr(path, "scan") || strstr(path, "sweep");

	if (is_number(v->word, time ? 1000 : 1, 1000000) ||
		(strstr(path, "header-limit") && is_number(v->word, 0, 32)))
		return v->word;
	if (!is_number(v->word, 0, UINT32_MAX))
		return NULL;
	say(m, v, IMPORT_CHANGED, "%s, the nearest that there is",
		is_number(v->word, 1000, UINT32_MAX) ? "1000000"
		: time				     ? "1000"
						     : "1");
	return is_number(v->word, 1000, UINT32_MAX) ? "1000000" : time ? "1000" : "1";
}

/* A statement at the place of its path in the text made here, a tree of its own below m->names: statements that belong together stand together. */
static void put(struct import *m, struct node *at, const char *path, const char *text)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		at = tree_enter(&m->tree, at, pool_text(&m->tree.pool, path, n), 0);
		path += n + (path[n] == '/');
	}
	at->as = text;
}

static void write_tree(struct out *o, const struct node *n)
{
	if (!n->child) {
		out_line(o, "%s%s%s", n->word, n->as && *n->as ? " " : "", n->as ? n->as : "");
		return;
	}
	out_open(o, "%s", n->word);
	for (const struct node *c = n->child; c; c = c->next)
		write_tree(o, c);
	out_close(o);
}

/* n, whose words from the screen on are `path`. */
static void walk(struct import *m, struct node *made, struct node *n, char *path, size_t used)
{
	for (struct node *c = n->child; c; c = c->next) {
		size_t more = strlen(c->word);
		bool limit;
		if (left_out(m, c) || used + more + 2 > PATH_MAX_OCTETS)
			continue;
		size_t at = used;
		if (at)
			path[at++] = '/';
		for (size_t i = 0; i <= more; i++)
			path[at + i] = (char)tolower((unsigned char)c->word[i]);
		const char *here = path_here(path, &limit);
		if (here && limit && c->last) {
			const char *text = threshold(m, c->last, here);
			done(c->last);
			if (text)
				put(m, made, here, text);
			else
				say(m, c->last, IMPORT_WRONG, "not a number");
		} else if (here && !limit && c->stated) {
			done(c);
			put(m, made, here, strcmp(here, "ip/spoofing") == 0 ? "zone" : "");
			if (c->child)
				walk(m, made, c, path, at + more);
		} else {
			walk(m, made, c, path, at + more);
		}
		path[used] = '\0';
	}
}

void translate_screens(struct import *m)
{
	struct node *screens = node_at(&m->tree.root, "security", "screen", "ids-option", NULL);
	struct out *o = &m->sections[SECTION_SCREENS];

	for (struct node *s = screens ? screens->child : NULL; s; s = s->next) {
		char path[PATH_MAX_OCTETS] = "";
		struct node *made =
			tree_enter(&m->tree, tree_enter(&m->tree, m->names, "a screen", 0), s->as, 0);
		if (left_out(m, s))
			continue;
		done(s);
		out_open(o, "screen %s", s->as);
		if (is_set(s, "alarm-without-drop"))
			out_line(o, "alarm-without-drop");
		say(m, node_child(s, "description"), IMPORT_NONE, "a screen has no description");
		walk(m, made, s, path, 0);
		for (const struct node *c = made->child; c; c = c->next)
			write_tree(o, c);
		out_close(o);
	}
}
