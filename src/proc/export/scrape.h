/*
 * Collects a page of measurements: asks control for table after table of `show` (metrics_table.h), piece by piece, and makes samples
 * of the rows. One page at a time, within SCRAPE_WAIT_NS: what was not answered by then is missing, and the page says which table.
 * Callers: shell.c, http.c. One thread.
 */
#ifndef PROC_EXPORT_SCRAPE_H
#define PROC_EXPORT_SCRAPE_H

#include "export/metrics.h"
#include "ipc/child.h"

#define SCRAPE_WAIT_NS (5 * NS_PER_S) /* Prometheus waits for ten by default */

struct scrape {
	struct child *child;
	struct metrics *metrics; /* NULL: none was collected yet */
	bool under_way;
	uint32_t rules;	    /* of the policy, at the most */
	unsigned table;	    /* whose turn it is */
	uint32_t rows_left; /* of it; 0: any number */
	uint64_t tag, from;
	uint64_t malformed; /* rows */
	struct timer late;
	/* The text is the callee's; NULL: out of memory. */
	void (*done)(void *context, char *page, size_t n);
	void *context;
	utc_us (*clock)(void);
};

void scrape_init(struct scrape *s, struct child *child, void (*done)(void *context, char *page, size_t n),
	void *context);
/* Begins unless one is under way; done() is called later, or at once. */
void scrape_begin(struct scrape *s);
/* True: the message was an answer of control. */
bool scrape_told(struct scrape *s, const struct ipc_frame *f);
void scrape_end(struct scrape *s);

#endif
