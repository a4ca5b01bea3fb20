#include "model/faults.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int order(const struct fault *a, uint32_t line, uint32_t column)
{
	if (a->line != line)
		return a->line < line ? -1 : 1;
	return (a->column > column) - (a->column < column);
}

void faults_note(struct faults *f, uint32_t line, uint32_t column, const char *text)
{
	unsigned i = f->n;

	assert(f->n <= FAULTS_KEPT);

	while (i > 0 && order(&f->at[i - 1], line, column) > 0)
		i--;
	for (unsigned k = i; k > 0 && order(&f->at[k - 1], line, column) == 0; k--)
		if (strcmp(f->at[k - 1].text, text) == 0)
			return;
	if (f->n == FAULTS_KEPT) {
		f->more++;
		if (i == FAULTS_KEPT)
			return;
		f->n--;
	}
	memmove(&f->at[i + 1], &f->at[i], (f->n - i) * sizeof f->at[0]);
	f->at[i].line = line;
	f->at[i].column = column;
	snprintf(f->at[i].text, sizeof f->at[i].text, "%s", text);
	f->n++;
}

bool faults_enough(const struct faults *f)
{
	return f->n + f->more >= FAULTS_COUNTED;
}

char *faults_more_text(char *ret_text, const struct faults *f, unsigned more)
{
	snprintf(ret_text, FAULTS_MORE_MAX, "%u more%s", more, faults_enough(f) ? " at the least" : "");
	return ret_text;
}

void faults_to_err(const struct faults *f, const char *name, struct err *e)
{
	unsigned left = f->n + f->more;
	char more[FAULTS_MORE_MAX];
	size_t used = 0;

	if (!e || f->n == 0)
		return;
	*e = (struct err){ .rc = RC_MALFORMED };
	for (unsigned i = 0; i < f->n; i++, left--) {
		size_t room = sizeof e->text - used - (left > 1 ? FAULTS_MORE_MAX : 0);
		char line[2 * sizeof e->text];
		int n = snprintf(line, sizeof line, "%s%.256s:%u:%u: %s", i ? "\n" : "", name, f->at[i].line,
			f->at[i].column, f->at[i].text);
		if (i > 0 && (size_t)n >= room)
			break;
		snprintf(e->text + used, room, "%s", line);
		used += strlen(e->text + used);
	}
	if (left)
		snprintf(e->text + used, sizeof e->text - used, "\n%s", faults_more_text(more, f, left));
}
