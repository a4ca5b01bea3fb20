/*
 * Address books. There they are one for all zones and one or more for some, here there is one: of two objects with one name the second
 * gets another one. A set that lacks a member is not made, and nor is a rule that uses it: with less in it a rule that denies would let more pass.
 */
#include "import/translate.h"

#include <stdio.h>
#include <string.h>

enum { FRESH, UNDER_WAY, MADE, FAILED }; /* node.state of an address or a set */

static const struct node *global_book(const struct import *m)
{
	return node_at(&m->tree.root, "security", "address-book", "global", NULL);
}

/* ---- addresses ---- */

static void failed(struct import *m, struct node *n, const char *why)
{
	n->state = FAILED;
	say(m, n, IMPORT_WRONG, "%s; rules that use it are not translated either", why);
}

/* The statement that gives its value, as it is written here; NULL: there is none. */
static const char *address_value(struct import *m, struct node *a)
{
	struct node *v;

	for (v = a->child; v; v = v->next) {
		const char *text = prefix_of(m, v->word);
		if (text && left_out(m, v)) {
			a->inactive = true;
			return NULL;
		}
		if (text) {
			done(v);
			return pool_printf(&m->tree.pool, "prefix %s", text);
		}
	}
	v = node_child(a, "ip-prefix");
	if (v && v->last && prefix_of(m, v->last->word))
		return pool_printf(&m->tree.pool, "prefix %s", prefix_of(m, value(m, a, "ip-prefix")));
	v = node_child(a, "dns-name");
	if (v && v->last && is_domain(v->last->word)) {
		done_all(v);
		return pool_printf(&m->tree.pool, "fqdn %s", v->last->word);
	}
	v = node_child(a, "range-address");
	if (v && v->last && node_child(v->last, "to") && node_child(v->last, "to")->last) {
		const char *first = address_of(m, v->last->word),
			   *last = address_of(m, node_child(v->last, "to")->last->word);
		if (first && last && in_order(first, last)) {
			done_all(v);
			return pool_printf(&m->tree.pool, "range %s-%s", first, last);
		}
	}
	v = node_child(a, "wildcard-address");
	if (v && v->last) {
		struct ip_range range;
		if (!wildcard_parse(&range, v->last->word)) {
			done_all(v);
			return pool_printf(&m->tree.pool, "wildcard-address %s", v->last->word);
		}
		failed(m, a, "bits of the address outside of its mask are set");
	}
	return NULL;
}

static void make_address(struct import *m, struct node *a)
{
	struct out *o = &m->sections[SECTION_ADDRESSES];
	const char *text = a->inactive ? NULL : address_value(m, a);

	if (a->state != FRESH)
		return;
	if (left_out(m, a)) {
		a->state = FAILED;
	} else if (!text) {
		failed(m, a, "it is none of: a prefix, dns-name, range-address, wildcard-address");
	} else {
		a->state = MADE;
		a->as = object_name(m, "address", a->word);
		if (strcmp(a->as, a->word) != 0)
			say(m, a, IMPORT_CHANGED, "called '%s' here", a->as);
		done(a);
		out_open(o, "address %s", a->as);
		out_description(m, o, a);
		out_line(o, "%s", text);
		out_close(o);
	}
}

/* ---- sets ---- */

static struct node *in_book(const struct node *book, const char *word)
{
	struct node *a = node_at(book, "address", word, NULL);

	return a ? a : node_at(book, "address-set", word, NULL);
}

static void make_set(struct import *m, const struct node *book, struct node *set);

/* The object of this name, made if it was not yet; NULL: there is none. */
static struct node *object_of(struct import *m, const struct node *book, const char *word)
{
	struct node *n = in_book(book, word);

	if (!n)
		n = in_book(book = global_book(m), word);
	if (!n)
		return NULL;
	if (strcmp(n->parent->word, "address") == 0)
		make_address(m, n);
	else
		make_set(m, book, n);
	return n;
}

static void make_set(struct import *m, const struct node *book, struct node *set)
{
	struct out *o = &m->sections[SECTION_ADDRESSES], lines = { .depth = 2 };

	if (set->state == UNDER_WAY)
		failed(m, set, "the set contains itself");
	if (m->nested == NESTED_MAX)
		failed(m, set, "sets within sets, too many");
	if (set->state != FRESH)
		return;
	if (left_out(m, set)) {
		set->state = FAILED;
		return;
	}
	set->state = UNDER_WAY;
	m->nested++;
	for (struct node *list = set->child; list; list = list->next) {
		if (strcmp(list->word, "address") != 0 && strcmp(list->word, "address-set") != 0)
			continue;
		for (struct node *member = list->child; member; member = member->next) {
			const struct node *object =
				member->inactive ? NULL : object_of(m, book, member->word);
			if (left_out(m, member))
				continue;
			done(member);
			if (!object)
				failed(m, set,
					pool_printf(&m->tree.pool, "its member '%s' is not defined",
						member->word));
			else if (object->state != MADE)
				failed(m, set,
					pool_printf(&m->tree.pool, "its member '%s' could not be translated",
						member->word));
			else
				out_line(&lines, "%s %s",
					strcmp(object->parent->word, "address") == 0 ? "address"
										     : "address-set",
					object->as);
		}
	}
	m->nested--;
	if (set->state == UNDER_WAY && !lines.n)
		failed(m, set, "the set is empty");
	if (set->state == UNDER_WAY) {
		set->state = MADE;
		set->as = object_name(m, "address", set->word);
		done(set);
		out_open(o, "address-set %s", set->as);
		out_description(m, o, set);
		out_lines(o, &lines);
		out_close(o);
	}
	out_free(&lines);
}

/* ---- books ---- */

static void make_book(struct import *m, struct node *book)
{
	struct node *addresses = node_child(book, "address"), *sets = node_child(book, "address-set");

	for (struct node *a = addresses ? addresses->child : NULL; a; a = a->next)
		make_address(m, a);
	for (struct node *s = sets ? sets->child : NULL; s; s = s->next)
		make_set(m, book, s);
	struct node *zones = node_at(book, "attach", "zone", NULL);
	for (struct node *z = zones ? zones->child : NULL; z; z = z->next) {
		if (zone_named(m, z->word))
			done(z);
		else
			say(m, z, IMPORT_WRONG, "there is no zone '%s'", z->word);
	}
}

void translate_addresses(struct import *m)
{
	struct node *books = node_at(&m->tree.root, "security", "address-book", NULL);
	struct node *zones = node_at(&m->tree.root, "security", "zones", "security-zone", NULL);

	for (struct node *b = books ? books->child : NULL; b; b = b->next)
		make_book(m, b);
	for (struct node *z = zones ? zones->child : NULL; z; z = z->next) {
		if (node_child(z, "address-book"))
			make_book(m, node_child(z, "address-book"));
	}
}

static const char *one_for_all(struct import *m, bool *used, const char *name, const char *prefix)
{
	struct out *o = &m->sections[SECTION_ADDRESSES];

	if (!*used) {
		*used = true;
		out_open(o, "address %s", name);
		out_line(o, "prefix %s", prefix);
		out_close(o);
		tree_enter(&m->tree, tree_enter(&m->tree, m->names, "address", 0), name, 0);
	}
	return name;
}

const char *address_as(struct import *m, const struct node *zone, const char *word, const char **ret_why)
{
	struct node *books = node_at(&m->tree.root, "security", "address-book", NULL), *found = NULL;

	if (strcmp(word, "any") == 0)
		return "any";
	if (strcmp(word, "any-ipv4") == 0)
		return one_for_all(m, &m->any_ipv4, "any-ipv4", "0.0.0.0/0");
	if (strcmp(word, "any-ipv6") == 0)
		return one_for_all(m, &m->any_ipv6, "any-ipv6", "::/0");
	if (zone)
		found = in_book(node_child(zone, "address-book"), word);
	for (struct node *b = books ? books->child : NULL; zone && b && !found; b = b->next) {
		if (node_at(b, "attach", "zone", zone->word, NULL))
			found = in_book(b, word);
	}
	if (!found)
		found = in_book(global_book(m), word);
	if (found && found->state == MADE)
		return found->as;
	*ret_why = pool_printf(&m->tree.pool,
		found ? "the address '%s' could not be translated" : "the address '%s' is not defined", word);
	return NULL;
}

const char *address_for(struct import *m, const char *prefix)
{
	struct out *o = &m->sections[SECTION_ADDRESSES];
	const char *text = prefix_of(m, prefix);
	struct node *made;

	if (!text)
		return NULL;
	made = tree_enter(&m->tree, tree_enter(&m->tree, m->names, "a prefix", 0), text, 0);
	if (!made->as) {
		made->as = object_name(m, "address", text);
		out_open(o, "address %s", made->as);
		out_line(o, "prefix %s", text);
		out_close(o);
	}
	return made->as;
}
