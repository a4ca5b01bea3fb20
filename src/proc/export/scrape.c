#include "proc/export/scrape.h"

#include "base/log.h"

#include <string.h>

static void table_ask(struct scrape *s);

static void finish(struct scrape *s)
{
	size_t n = 0;
	char *page = metrics_page(s->metrics, &n);

	s->under_way = false;
	loop_disarm(&s->child->loop, &s->late);
	s->done(s->context, page, n);
}

static void table_done(struct scrape *s, bool answered)
{
	metrics_own(s->metrics, METRIC_table_up, metrics_table(s->table), answered);
	s->table++;
	s->from = 0;
	s->rows_left = 0;
	table_ask(s);
}

/* The number of the table of that name; SHOW_COUNT: the table of measurements names one that there is not, which its test excludes. */
static uint32_t show_number(const char *name)
{
	static const char *const words[SHOW_COUNT] = {
#define E(id, word, owner, text) [SHOW_##id] = word,
		SHOW_TABLES(E)
#undef E
	};
	uint32_t i = 0;

	while (i < SHOW_COUNT && strcmp(words[i], name) != 0)
		i++;
	return i;
}

static void table_ask(struct scrape *s)
{
	const char *name = metrics_table(s->table);

	if (!name) {
		finish(s);
		return;
	}
	struct msg_show q = { .table = show_number(name), .from = s->from };
	if (q.table == SHOW_POLICY) {
		if (s->from == 0)
			s->rows_left = s->rules;
		q.limit = s->rows_left;
	}
	if (q.table == SHOW_POLICY && q.limit == 0)
		table_done(s, true);
	else if (ipc_send_METRICS_ASK(child_link(s->child, PROC_CONTROL), ++s->tag, &q) != RC_OK)
		table_done(s, false);
}

/* The rest is missing, whoever has not answered. */
static void on_late(struct loop *l, struct timer *t)
{
	struct scrape *s = t->context;

	(void)l;
	s->tag++; /* what still comes is of no use */
	for (const char *name; (name = metrics_table(s->table)) != NULL; s->table++)
		metrics_own(s->metrics, METRIC_table_up, name, 0);
	finish(s);
}

void scrape_init(struct scrape *s, struct child *child, void (*done)(void *context, char *page, size_t n),
	void *context)
{
	*s = (struct scrape){ .child = child, .done = done, .context = context, .clock = clock_utc };
	s->late = (struct timer){ .fn = on_late, .context = s };
}

void scrape_begin(struct scrape *s)
{
	if (s->under_way)
		return;
	if (!s->metrics && !(s->metrics = metrics_new())) {
		s->done(s->context, NULL, 0);
		return;
	}
	s->under_way = true;
	s->table = 0;
	s->from = 0;
	metrics_begin(s->metrics, s->clock());
	metrics_own(s->metrics, METRIC_build_info, PLAINGATE_VERSION, 1);
	loop_arm(&s->child->loop, &s->late, SCRAPE_WAIT_NS, 0);
	table_ask(s);
}

/* Whole rows with a line feed between them. */
static void rows_take(struct scrape *s, const struct msg_row *m)
{
	const char *at = m->json, *end = m->json + MIN_OF(m->n, (uint32_t)sizeof m->json);

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);
		if (n > 0 && !metrics_row(s->metrics, metrics_table(s->table), at, n) && s->malformed++ == 0)
			log_error("a row of 'show %s' is malformed: its measurements are missing",
				metrics_table(s->table));
		at += n + 1;
		s->rows_left -= s->rows_left > 0;
	}
}

bool scrape_told(struct scrape *s, const struct ipc_frame *f)
{
	if (f->head.id != IPC_METRICS_ROW && f->head.id != IPC_METRICS_END)
		return false;
	if (!s->under_way || f->head.tag != s->tag)
		return true;
	if (f->head.id == IPC_METRICS_ROW) {
		rows_take(s, &f->u.METRICS_ROW);
		return true;
	}
	const struct msg_result *r = &f->u.METRICS_END;
	bool policy = show_number(metrics_table(s->table)) == SHOW_POLICY;
	if (r->rc != RC_OK || r->next == 0 || (policy && s->rows_left == 0) || r->next <= s->from) {
		table_done(s, r->rc == RC_OK && (r->next == 0 || r->next > s->from));
		return true;
	}
	s->from = r->next;
	table_ask(s);
	return true;
}

void scrape_end(struct scrape *s)
{
	loop_disarm(&s->child->loop, &s->late);
	metrics_free(s->metrics);
	s->metrics = NULL;
	s->under_way = false;
}
