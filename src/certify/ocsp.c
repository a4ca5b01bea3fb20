#include "certify/ocsp.h"

#include <assert.h>
#include <stdio.h>

/* FNV-1a: an issuer that makes serial numbers collide finds its own certificates slower. */
static uint64_t key_of(const char *authority, const uint8_t *request, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *authority; authority++)
		h = (h ^ (uint8_t)*authority) * 0x100000001b3u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ request[i]) * 0x100000001b3u;
	return h;
}

static uint32_t place_of(const struct ocsp_table *t, const struct certify_want *w)
{
	uint64_t key = key_of(w->authority, w->request, w->request_n);

	for (uint32_t i = 0; i < t->n; i++) {
		const struct ocsp_entry *e = &t->at[i];
		if (t->key[i] == key && e->request_n == w->request_n &&
			memcmp(e->request, w->request, w->request_n) == 0 &&
			strcmp(e->authority, w->authority) == 0)
			return i;
	}
	return OCSP_ENTRIES_MAX;
}

const struct ocsp_entry *ocsp_find(const struct ocsp_table *t, const struct certify_want *w)
{
	uint32_t i = place_of(t, w);

	return i < OCSP_ENTRIES_MAX ? &t->at[i] : NULL;
}

/* What the entries of an issuer are. */
struct issued {
	uint64_t used; /* number of the last use of one; 0: there is none */
	bool asked, revoked, kept;
};

/* Whether the entries of a are rather to go than those of b. */
static bool goes_before(const struct issued *a, const struct issued *b)
{
	return a->revoked != b->revoked ? b->revoked : a->kept != b->kept ? b->kept : a->used < b->used;
}

/* Its entries become the first ones that are replaced, and nothing finds them. */
static void issuer_forget(struct ocsp_table *t, uint32_t issuer)
{
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->at[i].request_n == 0 || t->at[i].issuer != issuer)
			continue;
		t->evicted++;
		t->unkept += t->at[i].kept;
		t->at[i] = (struct ocsp_entry){ 0 };
		t->key[i] = 0;
	}
}

/* OCSP_ISSUERS_MAX: all of them are being asked about. */
static uint32_t issuer_free(struct ocsp_table *t)
{
	struct issued of[OCSP_ISSUERS_MAX] = { 0 };
	uint32_t best = OCSP_ISSUERS_MAX;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct ocsp_entry *e = &t->at[i];
		if (e->request_n == 0)
			continue;
		struct issued *s = &of[e->issuer];
		s->used = MAX_OF(s->used, e->used);
		s->asked |= e->asked;
		s->revoked |= e->said.state == OCSP_REVOKED;
		s->kept |= e->kept;
	}
	for (uint32_t i = 0; i < OCSP_ISSUERS_MAX; i++)
		if (!of[i].asked && (best == OCSP_ISSUERS_MAX || goes_before(&of[i], &of[best])))
			best = i;
	if (best < OCSP_ISSUERS_MAX)
		issuer_forget(t, best);
	return best;
}

/* OCSP_ISSUERS_MAX: there is no room. */
static uint32_t issuer_place(struct ocsp_table *t, const struct certify_want *w)
{
	uint32_t i = 0;

	while (i < OCSP_ISSUERS_MAX &&
		(t->issuers[i].n != w->issuer_n || memcmp(t->issuers[i].der, w->issuer, w->issuer_n) != 0))
		i++;
	if (i < OCSP_ISSUERS_MAX || (i = issuer_free(t)) == OCSP_ISSUERS_MAX)
		return i;
	t->issuers[i].n = w->issuer_n;
	memcpy(t->issuers[i].der, w->issuer, w->issuer_n);
	return i;
}

/* A new place, or that of whoever was used longest ago and is not asked about. What revokes goes last. */
static uint32_t place_free(struct ocsp_table *t)
{
	uint32_t best = OCSP_ENTRIES_MAX;

	if (t->n < OCSP_ENTRIES_MAX)
		return t->n++;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct ocsp_entry *e = &t->at[i];
		bool revoked = e->said.state == OCSP_REVOKED;
		if (e->asked)
			continue;
		if (best == OCSP_ENTRIES_MAX) {
			best = i;
			continue;
		}
		const struct ocsp_entry *b = &t->at[best];
		bool best_revoked = b->said.state == OCSP_REVOKED;
		if (revoked != best_revoked ? best_revoked : e->used < b->used)
			best = i;
	}
	if (best < OCSP_ENTRIES_MAX) {
		t->evicted++;
		t->unkept += t->at[best].kept;
	}
	return best;
}

struct ocsp_entry *ocsp_enter(struct ocsp_table *t, const struct certify_want *w)
{
	uint32_t i = place_of(t, w), issuer;

	if (i == OCSP_ENTRIES_MAX) {
		if (!ocsp_is_askable(w) || strlen(w->authority) >= NAME_MAX_BYTES ||
			(issuer = issuer_place(t, w)) == OCSP_ISSUERS_MAX ||
			(i = place_free(t)) == OCSP_ENTRIES_MAX)
			return NULL;
		struct ocsp_entry *e = &t->at[i];
		*e = (struct ocsp_entry){
			.request_n = w->request_n, .issuer = issuer, .serial_n = w->serial_n
		};
		snprintf(e->authority, sizeof e->authority, "%s", w->authority);
		memcpy(e->request, w->request, w->request_n);
		memcpy(e->serial, w->serial, w->serial_n);
		t->key[i] = key_of(w->authority, w->request, w->request_n);
	}
	t->at[i].used = ++t->last;
	return &t->at[i];
}

static int64_t end_of(const struct certify_ocsp_said *said, int64_t now_s)
{
	int64_t end = (said->next_s ? said->next_s : said->this_s + OCSP_NO_NEXT_S) + OCSP_SKEW_S;

	return said->state == OCSP_UNKNOWN ? MIN_OF(end, now_s + OCSP_UNKNOWN_S) : end;
}

uint32_t ocsp_take(struct ocsp_entry *e, const struct certify_ocsp_said *said, int64_t now_s)
{
	if (said->this_s > now_s + OCSP_SKEW_S)
		return CERTIFY_OCSP_EARLY;
	if (end_of(said, now_s) <= now_s || (said->next_s && said->next_s < said->this_s))
		return CERTIFY_OCSP_LATE;
	if (e->said.state != OCSP_NONE && said->this_s < e->said.this_s)
		return CERTIFY_OCSP_OLDER;
	e->said = *said;
	e->until_s = end_of(said, now_s);
	e->again_s = 0;
	e->failures = 0;
	snprintf(e->why, sizeof e->why, "%s",
		said->state == OCSP_UNKNOWN ? certify_ocsp_fault_text(CERTIFY_OCSP_UNKNOWN) : "");
	return CERTIFY_OCSP_OK;
}

void ocsp_fail(struct ocsp_entry *e, const char *why, int64_t now_s)
{
	int64_t wait_s = 1;

	for (uint32_t i = 0; i < e->failures && wait_s < OCSP_AGAIN_MAX_S; i++)
		wait_s *= 2;
	e->failures++;
	e->again_s = now_s + wait_s;
	snprintf(e->why, sizeof e->why, "%.*s", (int)sizeof e->why - 1, why);
}

bool ocsp_is_due(const struct ocsp_entry *e, int64_t now_s)
{
	/* A clock that was set back must not put it off for long. */
	bool waits = now_s < e->again_s && e->again_s - now_s <= OCSP_AGAIN_MAX_S;

	return !e->asked && !ocsp_is_current(e, now_s) && !waits;
}

const char *certify_ocsp_fault_text(uint32_t fault)
{
	static const char *const texts[] = {
#define E(id, text) [CERTIFY_OCSP_##id] = (text),
		CERTIFY_OCSP_FAULTS(E)
#undef E
	};

	return texts[fault < CERTIFY_OCSP_FAULT_COUNT ? fault : CERTIFY_OCSP_INTERNAL];
}

uint32_t ocsp_path_begin(const struct certify_question *q, size_t n)
{
	struct certify_ocsp *o = q->ocsp;

	if (!o)
		return CERTIFY_OK;
	o->n = o->kept_n;
	return n < CERTIFY_DEPTH_MAX ? CERTIFY_OK : CERTIFY_LIMIT;
}

/* An engine may try other paths after one that lacks answers: they are still asked for, if none of the others is good. */
void ocsp_path_end(const struct certify_question *q, uint32_t reason)
{
	struct certify_ocsp *o = q->ocsp;

	if (!o)
		return;
	if (reason == CERTIFY_OK && o->kept_n > 0) {
		o->n -= o->kept_n;
		memmove(o->want, &o->want[o->kept_n], o->n * sizeof o->want[0]);
		o->kept_n = 0;
	} else if (reason == CERTIFY_NO_OCSP && o->kept_n == 0) {
		o->kept_n = o->n;
	}
}

struct certify_want *ocsp_want_next(const struct certify_question *q, size_t anchor)
{
	struct certify_ocsp *o = q->ocsp;

	if (!o || anchor >= q->anchors_n || !o->authority[anchor])
		return NULL;
	assert(o->n < COUNT_OF(o->want)); /* ocsp_path_begin() has seen to it */
	struct certify_want *w = &o->want[o->n++];
	w->authority = o->authority[anchor];
	w->known = false;
	w->request_n = w->issuer_n = w->serial_n = 0;
	return w;
}

uint32_t ocsp_judge(const struct certify_question *q, struct certify_want *w, uint32_t by_lists)
{
	const struct ocsp_entry *e = w && w->request_n ? ocsp_find(q->ocsp->table, w) : NULL;

	if (w)
		w->known = e && ocsp_is_current(e, q->now_s);
	/* However old that is, as of a CRL. */
	if (by_lists == CERTIFY_REVOKED || (e && e->said.state == OCSP_REVOKED))
		return CERTIFY_REVOKED;
	if (by_lists != CERTIFY_NO_CRL || !w)
		return by_lists;
	return w->known && e->said.state == OCSP_GOOD ? CERTIFY_OK : CERTIFY_NO_OCSP;
}
