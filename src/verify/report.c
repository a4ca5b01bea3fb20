/* The report as text for people and as one JSON object. */
#include "base/bytes.h"
#include "base/json.h"
#include "verify/verify.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[VERIFY_CLASS_COUNT] = {
#define E(id, name) [VERIFY_##id] = name,
	VERIFY_CLASSES(E)
#undef E
};

const char *verify_class_name(enum verify_class c)
{
	return (unsigned)c < VERIFY_CLASS_COUNT ? names[c] : "none";
}

struct text {
	char *at, *end;
	bool bad;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->bad)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(t->at, (size_t)(t->end - t->at), fmt, ap);
	va_end(ap);
	t->bad = n < 0 || n >= t->end - t->at;
	t->at += t->bad ? 0 : n;
}

size_t verify_ledger_text(const struct verify_report *r, char *ret_text, size_t size)
{
	struct text t = { ret_text, ret_text + size, size == 0 };
	char hex[65];
	typedef unsigned long long ull;

	if (r->good)
		say(&t, "The ledger is good: %llu entries, each of them as it was signed.\n", (ull)r->size);
	else
		say(&t, "The ledger is NOT good: %s.\n", r->finding);
	say(&t, "  log          %s\n", r->origin[0] ? r->origin : "unknown");
	say(&t, "  key          %s (%s)\n", r->vkey[0] ? r->vkey : "unknown",
		r->vkey_given ? "given by you"
			      : "from the directory itself: compare it with the one you noted");
	if (r->good) {
		say(&t, "  root         %s\n", hex_from_bytes(hex, r->root, sizeof r->root));
		say(&t, "  published    %llu of them by the checkpoint, the rest stands in the journal\n",
			(ull)r->published);
		say(&t, "  sealed       %llu of them under %llu one-time keys of %llu epochs\n",
			(ull)r->sealed, (ull)r->seals, (ull)r->seal_epochs);
		say(&t, "  time         %s to %s, %llu boots%s\n", r->first_utc, r->last_utc, (ull)r->boots,
			r->clock_steps ? ", the clock was set back meanwhile" : "");
		say(&t, "  checked      %llu bundles, %llu tiles, %llu older partial ones\n", (ull)r->bundles,
			(ull)r->tiles, (ull)r->old_partials);
	}
	if (r->gaps)
		say(&t, "  gaps         %llu entries state that others were left out\n", (ull)r->gaps);
	if (r->strays)
		say(&t, "  not read     %llu files that are no part of what the checkpoint covers\n",
			(ull)r->strays);
	return t.bad ? 0 : (size_t)(t.at - ret_text);
}

size_t verify_ledger_json(const struct verify_report *r, char *ret_text, size_t size)
{
	struct jw w = jw_over(ret_text, size, true);

	jw_object(&w, NULL);
	jw_u64(&w, "boots", r->boots);
	jw_u64(&w, "bundles", r->bundles);
	jw_str(&w, "class", verify_class_name(r->found));
	jw_u64(&w, "clock_steps", r->clock_steps);
	jw_u64(&w, "entries", r->entries);
	if (r->at_entry)
		jw_u64(&w, "entry", r->entry);
	jw_str(&w, "finding", r->finding);
	jw_str(&w, "first_utc", r->first_utc);
	jw_u64(&w, "gaps", r->gaps);
	jw_bool(&w, "good", r->good);
	jw_str(&w, "last_utc", r->last_utc);
	jw_u64(&w, "old_partials", r->old_partials);
	jw_str(&w, "origin", r->origin);
	jw_u64(&w, "published", r->published);
	jw_hex(&w, "root", r->root, sizeof r->root);
	jw_u64(&w, "seal_epochs", r->seal_epochs);
	jw_u64(&w, "sealed", r->sealed);
	jw_u64(&w, "seals", r->seals);
	jw_u64(&w, "size", r->size);
	jw_u64(&w, "strays", r->strays);
	jw_u64(&w, "tiles", r->tiles);
	jw_str(&w, "vkey", r->vkey);
	jw_bool(&w, "vkey_given", r->vkey_given);
	jw_end(&w);
	return jw_done(&w);
}
