#include "proc/resolver/shell.h"

#include "base/bytes.h"
#include "ipc/rows.h"

static const char *const kinds[DYNAMIC_KIND_COUNT] = { [DYNAMIC_FQDN] = "fqdn",
	[DYNAMIC_FEED] = "feed",
	[DYNAMIC_COUNTRY] = "country",
	[DYNAMIC_PEER] = "peer",
	[DYNAMIC_CRL] = "crl",
	[DYNAMIC_OCSP] = "ocsp" };

/* What its addresses are read from; NULL: DNS. */
static const struct feed_of *file_of(const struct resolver *x, const struct entry *e)
{
	return entry_is_name(e) || e->of.kind == DYNAMIC_OCSP ? NULL
	       : entry_is_fetched(e)			      ? &e->feed
							      : &x->database.file;
}

/* The last good answer is older than it should be, or there is none. */
static const char *state_text(const struct resolver *x, const struct entry *e)
{
	const struct feed_of *f = file_of(x, e);

	if (!entry_known(x, e))
		return "unknown";
	if (f ? f->why[0] != '\0' : e->name.failures > 0)
		return "stale";
	return dynamic_has_ranges(e->of.kind) && (x->why[0] || e->left_out) ? "not in use" : "current";
}

/* Why what is known is not in use; or empty. */
static const char *unused_text(const struct resolver *x, const struct entry *e)
{
	return !dynamic_has_ranges(e->of.kind) ? "" : e->left_out ? ENTRY_LEFT_OUT : x->why;
}

static uint64_t seconds(mono_ns from, mono_ns until)
{
	return until > from ? (until - from) / NS_PER_S : 0;
}

static void head(struct jw *w, const struct entry *e)
{
	jw_str(w, "object", e->of.object);
	jw_str(w, "kind", kinds[e->of.kind]);
	jw_str(w, "value", e->of.kind == DYNAMIC_CRL || e->of.kind == DYNAMIC_OCSP ? e->of.url : e->of.name);
}

static void file_row(struct jw *w, const struct resolver *x, const struct entry *e, const struct feed_of *f)
{
	bool known = entry_known(x, e), country = e->of.kind == DYNAMIC_COUNTRY;
	char hex[2 * sizeof f->sha256 + 1], built[UTC_TEXT_MAX];
	const char *reason = f->why[0] ? f->why : unused_text(x, e);
	utc_us now = clock_utc();

	if (e->of.kind != DYNAMIC_CRL)
		jw_u64(w, "addresses", entry_list(x, e)->n);
	if (known)
		jw_u64(w, "age_s", now > f->read_at ? (now - f->read_at) / 1000000 : 0);
	jw_u64(w, "next_s", seconds(x->child->loop.now, f->next));
	if (known)
		jw_str(w, "sha256", hex_from_bytes(hex, f->sha256, sizeof f->sha256));
	if (known && country)
		jw_str(w, "built", utc_text(built, x->database.found.built * 1000000));
	if (known && country && !reason[0] && entry_list(x, e)->n == 0)
		reason = "the database has no network of this country: is the code right?";
	jw_str(w, "reason", reason);
}

static void responder_row(struct jw *w, const struct entry *e, mono_ns now)
{
	jw_str(w, "state", e->unanswered[0] ? "no answer" : e->questions > 0 ? "answers" : "not asked");
	jw_u64(w, "questions", e->questions);
	jw_u64(w, "answers", e->answers);
	if (e->answers > 0)
		jw_u64(w, "age_s", seconds(e->answered, now));
	jw_str(w, "reason", e->unanswered);
}

static void entry_row(struct jw *w, const struct resolver *x, const struct entry *e)
{
	const struct feed_of *f = file_of(x, e);
	mono_ns now = x->child->loop.now;

	head(w, e);
	if (e->of.kind == DYNAMIC_OCSP) {
		responder_row(w, e, now);
		return;
	}
	jw_str(w, "state", state_text(x, e));
	if (f) {
		file_row(w, x, e, f);
		return;
	}
	jw_u64(w, "addresses", e->name.n);
	if (e->name.answered)
		jw_u64(w, "age_s", seconds(e->name.answered, now));
	jw_u64(w, "next_s", seconds(now, e->name.next));
	jw_str(w, "reason", e->name.why[0] ? e->name.why : unused_text(x, e));
}

static uint32_t entry_rows(const struct resolver *x, const struct entry *e)
{
	const struct feed *list = file_of(x, e) ? entry_list(x, e) : NULL;

	return !list	     ? e->name.n
	       : list->range ? list->n
			     : 0; /* one that there is no room for has no memory */
}

static void address_row(struct jw *w, const struct resolver *x, const struct entry *e, uint32_t i)
{
	const struct feed *list = file_of(x, e) ? entry_list(x, e) : NULL;
	const struct name_address *a = list ? NULL : &e->name.at[i];
	char text[RANGE_TEXT_MAX];

	head(w, e);
	jw_str(w, "address", list ? range_text(text, &list->range[i]) : addr_text(text, &a->addr));
	jw_str(w, "state", a && a->until ? "held" : state_text(x, e));
	if (a && a->until)
		jw_u64(w, "ends_s", seconds(x->child->loop.now, a->until));
}

/* Addresses are numbered through all entries. */
static void addresses(struct rows_piece *p, const struct resolver *x)
{
	uint32_t first = rows_first(p, 0), before = 0;

	for (uint32_t k = 0; k < x->n; before += entry_rows(x, x->entry[k]), k++)
		for (uint32_t i = first > before ? first - before : 0; i < entry_rows(x, x->entry[k]); i++) {
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
