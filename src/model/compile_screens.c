/*
 * Screens: the statements of `screen NAME` to bits and thresholds, by the paths of base/screens.h; and the check of what they
 * become. Part of the compiler and of snapshot_check().
 */
#include "model/compile.h"

#include <stdio.h>
#include <string.h>

/* The node at a path of words with '/' between them, or NULL. */
static const struct lyd_node *node_at(
	const struct compiler *c, const struct lyd_node *parent, const char *path)
{
	char word[SCREEN_WORD_MAX];

	while (parent && *path) {
		size_t n = strcspn(path, "/");
		snprintf(word, sizeof word, "%.*s", (int)n, path);
		parent = tree_child(c->m, parent, word);
		path += n + (path[n] == '/');
	}
	return parent;
}

static uint32_t number_at(const struct compiler *c, const struct lyd_node *parent, const char *path)
{
	const struct lyd_node *leaf = node_at(c, parent, path);

	return leaf ? ((const struct lyd_node_term *)leaf)->value.uint32 : 0;
}

static uint32_t spoofing_of(const struct lyd_node *leaf)
{
	const char *text = leaf ? lyd_get_value(leaf) : "zone";

	return strcmp(text, "strict") == 0  ? SPOOFING_STRICT
	       : strcmp(text, "loose") == 0 ? SPOOFING_LOOSE
					    : SPOOFING_ZONE;
}

static enum rc screen(struct compiler *c, const struct lyd_node *node)
{
	struct snap_screen *x = vec_add(&c->screens);

	if (!x)
		return compile_no_memory(c);
	snprintf(x->name, sizeof x->name, "%s", tree_value(node, "name"));
	if (tree_value(node, "alarm-without-drop"))
		x->flags |= SCREEN_ALARM_ONLY;
	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		const struct screen_row *row = screen_row((enum screen)i);
		if (!node_at(c, node, row->path))
			continue;
		screen_add(&x->on, (enum screen)i);
		if (row->kind == SCREEN_KIND_LIMIT)
			x->limit[i] = number_at(c, node, row->path);
	}
	x->spoofing = spoofing_of(node_at(c, node, "ip/spoofing"));
	x->syn_timeout_s = number_at(c, node, "tcp/syn-flood/timeout");
	return RC_OK;
}

enum rc compile_screens(struct compiler *c)
{
	return compile_each(c, "screens", NULL, "screen", screen);
}

void compile_zone_screen(const struct compiler *c, const char *name, struct snap_zone *z)
{
	const struct snap_screen *x = (const void *)c->screens.at;

	for (uint32_t i = 0; name && i < c->screens.n; i++) {
		if (strcmp(x[i].name, name) != 0)
			continue;
		z->screen = i + 1;
		z->half_open_s = x[i].syn_timeout_s;
		z->flags |=
			(screen_in(&x[i].on, SCREEN_SOURCE_SESSIONS) ||
						screen_in(&x[i].on, SCREEN_SYN_ACK_ACK)
					? ZONE_COUNTS_SOURCES
					: 0u) |
			(screen_in(&x[i].on, SCREEN_DESTINATION_SESSIONS) ? ZONE_COUNTS_DESTINATIONS : 0u);
	}
}

const char *snap_screen_fault(const struct snap_screen *x)
{
	bool syns = screen_in(&x->on, SCREEN_SYN_FLOOD_SOURCE);

	if (x->name[0] == '\0' || !memchr(x->name, '\0', sizeof x->name))
		return "its name is empty or not terminated";
	if (x->flags & ~(uint32_t)SCREEN_ALARM_ONLY || x->spoofing > SPOOFING_LOOSE)
		return "an unknown flag";
	if ((x->syn_timeout_s > 0) != syns || x->zero)
		return "its numbers of SYN floods are not complete, or stray bytes";
	for (uint32_t i = 0; i < 128; i++) {
		bool on = screen_in(&x->on, (enum screen)i);
		if (i >= SCREEN_COUNT && on)
			return "an unknown screen";
		if (i >= SCREEN_COUNT)
			continue;
		bool may = i == SCREEN_IP6_HEADER_LIMIT; /* 0: none */
		bool limits = on && screen_row((enum screen)i)->kind == SCREEN_KIND_LIMIT;
		if (limits ? x->limit[i] == 0 && !may : x->limit[i] != 0)
			return "a threshold without its screen, or a screen without its threshold";
	}
	return NULL;
}
