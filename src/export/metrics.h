/*
 * The page that Prometheus reads (text format 0.0.4) from rows of `show`, by the table of metrics_table.h. Samples with the same name and
 * labels are never there twice, whatever the rows are. Bounded: what is beyond the limits is counted on the page itself. The text of
 * labels is UTF-8 as it comes, escaped. Pure but for memory: the time comes as an argument. Callers: proc/export/scrape.c.
 */
#ifndef EXPORT_METRICS_H
#define EXPORT_METRICS_H

#include "base/clock.h"
#include "export/flat.h"
#include "export/metrics_table.h"

#define METRICS_SAMPLES_MAX	65536u	   /* of a page: 10,000 rules with five each, and the rest */
#define METRICS_LABEL_BYTES_MAX (8u << 20) /* of a page */
#define METRICS_CONTENT_TYPE	"text/plain; version=0.0.4; charset=utf-8"

struct metrics;

struct metrics *metrics_new(void); /* NULL: out of memory */
void metrics_free(struct metrics *m);

/* A new page; now: the time of what it says. */
void metrics_begin(struct metrics *m, utc_us now);
/* A row of this table of `show`. False: it is no such row, and leaves no trace. */
bool metrics_row(struct metrics *m, const char *table, const char *json, size_t n);
/* One of export's own; value: of its label, NULL where it has none. */
void metrics_own(struct metrics *m, enum metric which, const char *value, uint64_t number);
/* The text, which is the caller's to free(); NULL: out of memory. */
char *metrics_page(struct metrics *m, size_t *ret_n);

/* The tables of `show` that rows are wanted of, each once; NULL: there are no more. */
const char *metrics_table(unsigned i);

/* for tests: the reference of docs/metrics.md is made of it */
struct metric_facts {
	const char *name, *type, *table, *labels, *help;
};
struct metric_facts metric_facts(enum metric which);

#endif
