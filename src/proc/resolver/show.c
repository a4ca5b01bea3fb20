#include "proc/resolver/shell.h"

#include "base/bytes.h"
#include "ipc/rows.h"

static const char *const kinds[DYNAMIC_KIND_COUNT] = { [DYNAMIC_FQDN] = "fqdn", [DYNAMIC_FEED] = "feed" };

/* The last good answer is older than it should be, or there is none. */
static const char *state_text(const struct resolver *x, const struct entry *e)
{
	if (!entry_known(e))
		return "unknown";
	return (e->of.kind == DYNAMIC_FEED ? e->feed.why[0] != '\0' : e->name.failures > 0) ? "stale"
	       : x->why[0]								    ? "not in use"
											    : "current";
}

static uint64_t seconds(mono_ns from, mono_ns until)
{
	return until > from ? (until - from) / NS_PER_S : 0;
}

static void head(struct jw *w, const struct entry *e)
{
	jw_str(w, "object", e->of.object);
	jw_str(w, "kind", kinds[e->of.kind]);
	jw_str(w, "value", e->of.name);
}

static void feed_row(struct jw *w, const struct resolver *x, const struct entry *e)
{
	const struct feed_of *f = &e->feed;
	char hex[2 * sizeof f->sha256 + 1];
	utc_us now = clock_utc();

	jw_u64(w, "addresses", f->list.n);
	if (f->known)
		jw_u64(w, "age_s", now > f->read_at ? (now - f->read_at) / 1000000 : 0);
	jw_u64(w, "next_s", seconds(x->child->loop.now, f->next));
	if (f->known)
		jw_str(w, "sha256", hex_from_bytes(hex, f->sha256, sizeof f->sha256));
	jw_str(w, "reason", f->why[0] ? f->why : x->why);
}

static void entry_row(struct jw *w, const struct resolver *x, const struct entry *e)
{
	mono_ns now = x->child->loop.now;

	head(w, e);
	jw_str(w, "state", state_text(x, e));
	if (e->of.kind == DYNAMIC_FEED) {
		feed_row(w, x, e);
		return;
	}
	jw_u64(w, "addresses", e->name.n);
	if (e->name.answered)
		jw_u64(w, "age_s", seconds(e->name.answered, now));
	jw_u64(w, "next_s", seconds(now, e->name.next));
	jw_str(w, "reason", e->name.why[0] ? e->name.why : x->why);
}

static uint32_t entry_rows(const struct entry *e)
{
	return e->of.kind == DYNAMIC_FEED ? e->feed.list.n : e->name.n;
}

static void address_row(struct jw *w, const struct resolver *x, const struct entry *e, uint32_t i)
{
	bool feed = e->of.kind == DYNAMIC_FEED;
	const struct name_address *a = feed ? NULL : &e->name.at[i];
	char text[RANGE_TEXT_MAX];

	head(w, e);
	jw_str(w, "address", feed ? range_text(text, &e->feed.list.range[i]) : addr_text(text, &a->addr));
	jw_str(w, "state", a && a->until ? "held" : state_text(x, e));
	if (a && a->until)
		jw_u64(w, "ends_s", seconds(x->child->loop.now, a->until));
}

/* Addresses are numbered through all entries. */
static void addresses(struct rows_piece *p, const struct resolver *x)
{
	uint32_t first = rows_first(p, 0), before = 0;

	for (uint32_t k = 0; k < x->n; before += entry_rows(x->entry[k]), k++)
		for (uint32_t i = first > before ? first - before : 0; i < entry_rows(x->entry[k]); i++) {
			if (!rows_look(p, 0, before + i))
				return;
			address_row(rows_row(p), x, x->entry[k], i);
			rows_add(p);
		}
}

void resolver_show(struct resolver *x, uint64_t tag, const struct msg_show *q)
{
	static struct rows_piece p;
	struct ipc_link *control = child_link(x->child, PROC_CONTROL);

	if (q->table != SHOW_RESOLVER && q->table != SHOW_ADDRESS) {
		rows_refuse(control, tag, RC_UNSUPPORTED, "the resolver has no such table");
		return;
	}
	rows_begin(&p, control, tag, q);
	if (q->table == SHOW_ADDRESS)
		addresses(&p, x);
	for (uint32_t i = rows_first(&p, 0); q->table == SHOW_RESOLVER && i < x->n && rows_look(&p, 0, i);
		i++) {
		entry_row(rows_row(&p), x, x->entry[i]);
		rows_add(&p);
	}
	rows_end(&p);
}
