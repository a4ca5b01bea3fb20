/* The importer as a whole: reading, the order in which parts are translated, the text, and what became of each statement. */
#include "import/import.h"

#include "import/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct {
	const char *word, *text;
} outcomes[IMPORT_OUTCOME_COUNT] = {
#define OUTCOME(id, word, text) [IMPORT_##id] = { word, text },
	IMPORT_OUTCOMES(OUTCOME)
#undef OUTCOME
};
static const char *const kinds[IMPORT_KIND_COUNT] = {
#define KIND(id, word, text) [IMPORT_##id] = word,
	IMPORT_KINDS(KIND)
#undef KIND
};
static const char *const sections[SECTION_COUNT] = {
#define SECTION(id, word) [SECTION_##id] = word,
	SECTIONS(SECTION)
#undef SECTION
};
/* clang-format on */

const char *import_outcome_word(enum import_outcome o)
{
	return outcomes[o].word;
}

const char *import_outcome_text(enum import_outcome o)
{
	return outcomes[o].text;
}

/* Rules that are deactivated are written as such. */
static bool is_rule(const struct node *n)
{
	if (strcmp(n->parent->word, "policy") != 0 && strcmp(n->parent->word, "rule") != 0)
		return false;
	while (n && strcmp(n->word, "policies") != 0 &&
		strcmp(n->word, "nat") != 0) /* and not a policy of IKE */
		n = n->parent;
	return n;
}

static void unlink_node(struct node *n)
{
	struct node *parent = n->parent, *before = NULL;

	for (struct node *c = parent->child; c != n; c = c->next)
		before = c;
	*(before ? &before->next : &parent->child) = n->next;
	if (parent->last == n)
		parent->last = before;
}

/* What is deactivated is as if it were not there, with all that it alone has made. Its statements still say what became of them. */
static void leave_out(struct import *m, struct node *n)
{
	for (struct node *c = n->child, *next; c; c = next) {
		next = c->next;
		if (c->inactive && !is_rule(c)) {
			say(m, c, IMPORT_CHANGED, "deactivated there, and left out here");
			unlink_node(c);
		} else {
			bool had = c->child;
			leave_out(m, c);
			if (had && !c->child && !c->stated)
				unlink_node(c);
		}
	}
}

/* Which line has an octet that no text has; 0: none. */
static uint32_t line_of_control(const char *text, size_t n)
{
	uint32_t line = 1;

	for (size_t i = 0; i < n; i++) {
		if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t' && text[i] != '\r') ||
			text[i] == 0x7f)
			return line;
		line += text[i] == '\n';
	}
	return 0;
}

static void assemble(struct import *m)
{
	size_t counts[IMPORT_OUTCOME_COUNT] = { 0 };
	struct import_row row;
	struct out *o = &m->whole;

	for (size_t i = 0; !import_row(&row, m, i); i++)
		counts[row.outcome]++;
	out_remark(o, "Imported from %s. Statements of the source:", kinds[m->kind]);
	for (unsigned i = IMPORT_TRANSLATED; i < IMPORT_OUTCOME_COUNT; i++) {
		if (counts[i])
			out_remark(o, "%6zu %s", counts[i], outcomes[i].text);
	}
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		if (!m->sections[i].n)
			continue;
		out_open(o, "%s", sections[i]);
		out_lines(o, &m->sections[i]);
		out_close(o);
	}
}

static int by_line(const void *a, const void *b)
{
	const struct end *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->at > y->at) - (x->at < y->at);
}

/*
 * What became of each statement, by its end and by what it is in. What could not be translated is so with all that is in it. What has
 * changed is told once, by its first statement. The rest is told of those that nothing else is known of.
 */
static void settle(struct tree *t)
{
	for (size_t i = 0; i < t->ends_n; i++) {
		struct end *end = &t->ends[i];
		end->at = i;
		end->outcome = end->node->outcome;
		end->note = end->node->note;
		for (struct node *up = end->node->parent; up; up = up->parent) {
			bool counts = up->outcome == IMPORT_WRONG ? end->outcome <= IMPORT_WRONG
				      : up->outcome == IMPORT_CHANGED
					      ? end->outcome < IMPORT_CHANGED && *up->note
				      : up->outcome > IMPORT_TRANSLATED ? end->outcome == IMPORT_UNSAID
									: false;
			if (!counts)
				continue;
			end->outcome = up->outcome;
			end->note = up->note;
			if (up->outcome == IMPORT_CHANGED && !up->inactive)
				up->note = "";
		}
		if (end->outcome == IMPORT_UNSAID) {
			end->outcome = IMPORT_UNKNOWN;
			end->note = "";
		}
	}
	if (t->ends_n)
		qsort(t->ends, t->ends_n, sizeof *t->ends, by_line);
}

/* A line that was said in several statements of other words is one again, with the worst that became of them. */
static void join_lines(struct tree *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->ends_n; i++) {
		struct end *last = kept ? &t->ends[kept - 1] : NULL, *next = &t->ends[i];
		if (!last || !last->said || !next->said || last->line != next->line)
			t->ends[kept++] = *next;
		else if (next->outcome > last->outcome)
			*last = *next;
	}
	t->ends_n = kept;
}

enum rc import_text(struct import **ret_import, enum import_kind kind, const char *text, size_t n,
	const char *interfaces, struct err *e)
{
	struct import *m = calloc(1, sizeof *m);
	struct node names = { .word = "" };
	enum rc rc;

	*ret_import = NULL;
	if (!m)
		return err_add(e, RC_INTERNAL, "out of memory");
	m->kind = kind;
	m->interfaces = interfaces;
	m->names = &names;
	m->tree.root.word = "";
	uint32_t control = line_of_control(text, n);
	rc = control		    ? err_add(e, RC_MALFORMED, "line %u: an octet that no text has", control)
	     : n > IMPORT_TEXT_MAX  ? err_add(e, RC_LIMIT, "more than %u octets", IMPORT_TEXT_MAX)
	     : kind == IMPORT_JUNOS ? junos_read(&m->tree, text, n, e)
				    : screenos_read(&m->tree, text, n, e);
	if (rc) {
		import_free(m);
		return rc;
	}
	leave_out(m, &m->tree.root);
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		m->sections[i].depth = 1;
	/* Of two objects with one name the first keeps it; rules come when all that they name has one. */
	translate_system(m);
	translate_administrators(m);
	translate_screens(m);
	translate_zones(m);
	translate_addresses(m);
	translate_applications(m);
	translate_vpn(m);
	translate_policy(m);
	translate_nat(m);
	translate_rest(m);
	settle(&m->tree);
	join_lines(&m->tree);
	assemble(m);
	m->names = NULL;
	*ret_import = m;
	return RC_OK;
}

void import_free(struct import *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		out_free(&m->sections[i]);
	out_free(&m->policy_nat);
	out_free(&m->whole);
	tree_done(&m->tree);
	free(m);
}

const char *import_configuration(const struct import *m)
{
	return m->whole.at ? m->whole.at : "";
}

/* ---- rows ---- */

/* The statement's words from its end on, as many as fit, in the order in which they stand; with `...` where some do not. */
static void statement_text(char *ret_text, const struct node *end, const char *said)
{
	const struct node *words[TREE_DEPTH_MAX];
	size_t n = 0, used = 0, hidden = 0;

	for (const struct node *w = end; w->parent && n < TREE_DEPTH_MAX; w = w->parent)
		words[n++] = w;
	snprintf(ret_text, IMPORT_STATEMENT_MAX, "%s", said ? said : "");
	for (size_t i = said ? 0 : n; i-- > 0 && used < IMPORT_STATEMENT_MAX - 1;) {
		const char *word = hidden ? "***" : words[i]->word;
		/* Behind a secret's word there is the secret, or a word that says of what kind it is. */
		hidden = hidden || word_is_secret(words[i]->word);
		int wrote =
			snprintf(ret_text + used, IMPORT_STATEMENT_MAX - used, "%s%s", used ? " " : "", word);
		used += wrote > 0 ? (size_t)wrote : 0;
	}
	for (char *c = ret_text; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	}
}

enum rc import_row(struct import_row *ret_row, const struct import *m, size_t i)
{
	if (i >= m->tree.ends_n)
		return RC_NOT_FOUND;
	*ret_row = (struct import_row){
		.line = m->tree.ends[i].line, .outcome = m->tree.ends[i].outcome, .note = m->tree.ends[i].note
	};
	statement_text(ret_row->statement, m->tree.ends[i].node, m->tree.ends[i].said);
	return RC_OK;
}
