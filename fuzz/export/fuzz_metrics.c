/*
 * A row of `show` as measurements: the first octet chooses the table, the rest is the row. What is refused leaves no trace; what is taken
 * makes a page in which every label ends on its line, and the same page again.
 */
#include "export/metrics.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static char *page_of(struct metrics *m, const char *table, const char *row, size_t n, bool *ret_taken)
{
	size_t page_n;

	metrics_begin(m, 1000000);
	*ret_taken = metrics_row(m, table, row, n);
	char *page = metrics_page(m, &page_n);
	must(page && strlen(page) == page_n);
	return page;
}

/* Quotes that are not escaped come in pairs on each line of a sample. */
static void lines_hold(const char *page)
{
	for (const char *at = page; *at; at++) {
		bool sample = *at != '#', inside = false;
		for (; *at != '\n'; at++) {
			must(*at);
			if (sample && inside && *at == '\\')
				at++;
			else if (*at == '"')
				inside = !inside;
		}
		must(!sample || !inside);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct metrics *m;
	unsigned tables = 0;
	bool taken, again;

	if (!m)
		must((m = metrics_new()));
	while (metrics_table(tables))
		tables++;
	if (n == 0)
		return 0;
	const char *table = metrics_table(data[0] % tables), *row = (const char *)data + 1;
	char *page = page_of(m, table, row, n - 1, &taken), *other = page_of(m, table, row, n - 1, &again);
	must(taken == again && strcmp(page, other) == 0);
	must(taken || !strstr(page, "} "));
	lines_hold(page);
	free(page);
	free(other);
	return 0;
}
