/*
 * Certificates of authorities, their CRLs, and our own certificates: what they are and until when. One of the certifiers tells it, which has a
 * library that reads them; control has none.
 */
#include "base/log.h"
#include "ipc/certificate_file.h"
#include "ipc/rows.h"
#include "proc/certifier/shell.h"

#include <stdio.h>

struct item {
	const char *kind, *name, *file;
	enum certify_input what;
	struct certify_der der;	  /* n 0: there is none */
	uint32_t reason;	  /* of a CRL that cannot be used */
	bool required;		  /* of a CRL */
	const char *source, *why; /* of a CRL that is fetched; why none was since, or "" */
};

typedef void item_fn(struct certifier *x, const struct item *i, void *context);

static void fetched_walk(struct certifier *x, const struct snap_authority *a, item_fn *fn, void *context)
{
	const struct snapshot *s = x->snapshot.snapshot;
	char name[NAME_MAX_BYTES + 8];
	struct certify_der list[CERTIFY_CRLS_MAX];
	size_t n = 0;

	if (!a->dynamic)
		return;
	snprintf(name, sizeof name, "%s.crl", a->name);
	struct item i = { .kind = "crl",
		.name = a->name,
		.file = name,
		.what = CERTIFY_INPUT_CRL,
		.required = a->revocation == REVOCATION_HARD,
		.source = snap_dynamics(s)[a->dynamic - 1].url,
		.why = fetched_why(&x->crls, a->name) };
	i.reason = fetched_of(&x->crls, s, a, list, &n);
	if (i.reason == CERTIFY_OK && n > 0)
		i.der = list[0];
	fn(x, &i, context);
}

static void lists_walk(
	struct certifier *x, const struct snap_authority *a, const char *file, item_fn *fn, void *context)
{
	char name[NAME_MAX_BYTES + 8];
	struct item i = { .kind = "crl",
		.name = a->name,
		.file = name,
		.what = CERTIFY_INPUT_CRL,
		.required = a->revocation == REVOCATION_HARD };
	struct certify_der list[CERTIFY_CRLS_MAX];
	size_t n = 0;

	certificate_file_crl(name, sizeof name, file);
	i.reason = crls_of(&x->crls, x->directory, file, list, &n);
	if (i.reason != CERTIFY_OK || (n == 0 && !a->dynamic))
		fn(x, &i, context);
	for (size_t k = 0; i.reason == CERTIFY_OK && k < n; k++) {
		i.der = list[k];
		fn(x, &i, context);
	}
}

static void file_walk(struct certifier *x, struct item i, const struct snap_certificate_file *file,
	item_fn *fn, void *context)
{
	const struct snapshot *s = x->snapshot.snapshot;

	i.file = file->name;
	i.what = CERTIFY_INPUT_ANCHOR;
	for (uint32_t k = 0; k < file->certificates.count; k++) {
		const struct snap_certificate *c = &snap_certificates(s)[file->certificates.first + k];
		i.der = (struct certify_der){ snap_certificate_der(s, c), c->n };
		fn(x, &i, context);
	}
	if (file->certificates.count == 0)
		fn(x, &i, context);
}

static void walk(struct certifier *x, item_fn *fn, void *context)
{
	const struct snapshot *s = x->snapshot.snapshot;

	for (uint32_t i = 0; s && i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];
		const struct snap_certificate_file *file = &snap_certificate_files(s)[a->file];
		file_walk(x, (struct item){ .kind = "authority", .name = a->name }, file, fn, context);
		lists_walk(x, a, file->name, fn, context);
		fetched_walk(x, a, fn, context);
	}
	for (uint32_t f = 0; s && f < s->certificate_files.count; f++) {
		uint32_t i = 0;
		while (i < s->peers.count && snap_peers(s)[i].certificate != f + 1)
			i++;
		if (i < s->peers.count)
			file_walk(x,
				(struct item){ .kind = "certificate", .name = snap_peers(s)[i].key_name },
				&snap_certificate_files(s)[f], fn, context);
	}
}

/* Of an item that could be read. */
static const char *state_of(const struct item *i, const struct certify_about *about, int64_t now_s)
{
	bool crl = i->what == CERTIFY_INPUT_CRL;

	if (about->from_s > now_s)
		return "not valid yet";
	if (about->to_s == 0)
		return "without an end";
	if (about->to_s <= now_s)
		return crl ? "out of date" : "expired";
	return !crl && about->to_s - now_s < INVENTORY_WARN_S ? "expires soon" : "valid";
}

static const char *absent_state(const struct item *i)
{
	if (i->reason != CERTIFY_OK)
		return "cannot be used";
	return i->what == CERTIFY_INPUT_CRL && !i->required ? "none" : "missing";
}

static void utc_str(struct jw *w, const char *key, int64_t s)
{
	char text[UTC_TEXT_MAX];

	if (s > 0)
		jw_strf(w, key, "%.19sZ", utc_text(text, (utc_us)s * 1000000));
}

struct rows {
	struct rows_piece *piece;
	uint32_t index;
};

static void row_add(struct certifier *x, const struct item *i, void *context)
{
	struct rows *r = context;
	int64_t now_s = (int64_t)(clock_utc() / 1000000);
	struct certify_about about;
	bool read = i->der.n > 0 && x->engine->about(&about, i->what, i->der);
	struct jw *w;

	if (r->index++ < rows_first(r->piece, 0) || !rows_look(r->piece, 0, r->index - 1))
		return;
	w = rows_row(r->piece);
	jw_str(w, "kind", i->kind);
	jw_str(w, "name", i->name);
	jw_str(w, "file", i->file);
	jw_str(w, "state",
		read	       ? state_of(i, &about, now_s)
		: i->der.n > 0 ? "cannot be used"
			       : absent_state(i));
	if (read && i->what == CERTIFY_INPUT_CRL) {
		utc_str(w, "updated", about.from_s);
		utc_str(w, "next_update", about.to_s);
		jw_u64(w, "age_s", (uint64_t)MAX_OF(now_s - about.from_s, (int64_t)0));
	} else if (read) {
		utc_str(w, "valid_from", about.from_s);
		utc_str(w, "valid_until", about.to_s);
	}
	if (read)
		jw_str(w, "subject", about.subject);
	if (i->source)
		jw_str(w, "source", i->source);
	if (i->source && i->why[0])
		jw_str(w, "reason", i->why);
	rows_add(r->piece);
}

/* What OCSP has said of certificates; the URL is that of the authority's responder. */
static void answers_add(struct certifier *x, struct rows *r)
{
	const struct snapshot *s = x->snapshot.snapshot;
	const struct ocsp_table *t = &x->ocsp->table;
	int64_t now_s = (int64_t)(clock_utc() / 1000000);
	char serial[2 * CERTIFY_SERIAL_MAX + 1];

	for (uint32_t i = 0; s && i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];
		for (uint32_t k = 0; a->responder && k < t->n; k++) {
			const struct ocsp_entry *e = &t->at[k];
			if (strcmp(e->authority, a->name) != 0 || r->index++ < rows_first(r->piece, 0) ||
				!rows_look(r->piece, 0, r->index - 1))
				continue;
			struct jw *w = rows_row(r->piece);
			jw_str(w, "kind", "ocsp");
			jw_str(w, "name", a->name);
			jw_str(w, "serial", hex_from_bytes(serial, e->serial, e->serial_n));
			jw_str(w, "state", ocsp_state_text(e, now_s));
			utc_str(w, "updated", e->said.this_s);
			utc_str(w, "next_update", e->said.next_s);
			if (e->said.state != OCSP_NONE)
				jw_u64(w, "age_s", (uint64_t)MAX_OF(now_s - e->said.this_s, (int64_t)0));
			jw_str(w, "source", snap_dynamics(s)[a->responder - 1].url);
			if (e->why[0])
				jw_str(w, "reason", e->why);
			rows_add(r->piece);
		}
	}
}

void inventory_show(struct certifier *x, uint64_t tag, const struct msg_show *q)
{
	static struct rows_piece piece;
	struct rows r = { .piece = &piece };

	rows_begin(&piece, child_link(x->child, PROC_CONTROL), tag, q);
	if (x->engine->about) {
		walk(x, row_add, &r);
		answers_add(x, &r);
	}
	rows_end(&piece);
}

struct warnings {
	int64_t now_s;
	uint32_t n;
};

static void item_warn(struct certifier *x, const struct item *i, void *context)
{
	struct warnings *w = context;
	struct certify_about about;
	char until[UTC_TEXT_MAX];
	bool crl = i->what == CERTIFY_INPUT_CRL;

	if (i->der.n == 0 || !x->engine->about(&about, i->what, i->der) || about.to_s <= 0 ||
		about.to_s - w->now_s >= (crl ? 0 : INVENTORY_WARN_S))
		return;
	w->n++;
	utc_text(until, (utc_us)about.to_s * 1000000);
	if (crl && i->source)
		log_warn(
			"the CRL of ca-profile '%s' (of %s) was to be replaced on %.10s, and %s has none that is newer%s%s",
			i->name, about.subject, until, i->source, i->why[0] ? ": " : "", i->why);
	else if (crl)
		log_warn(
			"the CRL of ca-profile '%s' (file '%s', of %s) was to be replaced on %.10s: put a new one into the "
			"directory of certificates",
			i->name, i->file, about.subject, until);
	else
		log_warn(
			"the certificate of '%s' (%s '%s', file '%s') is valid until %.10s: put a new one into the directory of "
			"certificates, and commit",
			about.subject, i->kind, i->name, i->file, until);
}

uint32_t inventory_warn(struct certifier *x, int64_t now_s)
{
	struct warnings w = { .now_s = now_s };

	if (x->engine->about)
		walk(x, item_warn, &w);
	return w.n;
}
