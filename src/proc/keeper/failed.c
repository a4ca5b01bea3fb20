#include "proc/keeper/failed.h"

#include "base/log.h"
#include "ledger/types.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(
	FAILED_TEXT_MAX < LEDGER_BODY_TEXT_MAX / 4 && VRF_PUBLIC_SIZE == SHA256_SIZE, "no text is cut");

#define RANGE_TEXT 24 /* of one range, with its space */

static void on_timer(struct loop *loop, struct timer *t);

enum rc failed_init(struct failed *f, struct child *child, const struct public_source *values,
	const struct leaves *leaves)
{
	*f = (struct failed){ .child = child, .values = values, .leaves = leaves };
	f->timer = (struct timer){ .fn = on_timer, .context = f };
	f->set = calloc(FAILED_SETS, sizeof *f->set);
	return f->set ? RC_OK : RC_LIMIT;
}

static struct failed_set *set_of(struct failed *f, bool leaves, uint32_t of)
{
	struct failed_set *free_one = NULL;

	for (size_t i = 0; i < FAILED_SETS; i++) {
		struct failed_set *s = &f->set[i];
		if (s->n > 0 && s->of == of && s->leaves == leaves)
			return s;
		if (s->n == 0)
			free_one = s;
	}
	const uint8_t *name = leaves ? leaves_root(f->leaves, of) : public_epoch_key(f->values, of);
	if (!free_one || !name)
		return NULL;
	*free_one = (struct failed_set){ .of = of, .leaves = leaves };
	memcpy(free_one->name, name, sizeof free_one->name);
	return free_one;
}

/* False: there is no room for another range. */
static bool set_add(struct failed_set *s, uint32_t number)
{
	size_t at = s->n;

	while (at > 0 && s->range[at - 1].first > number)
		at--;
	struct failed_range *before = at > 0 ? &s->range[at - 1] : NULL;
	struct failed_range *after = at < s->n ? &s->range[at] : NULL;
	if (before && number <= before->last)
		return true;
	bool joins = before && before->last + 1 == number, leads = after && number + 1 == after->first;
	if (joins && leads) {
		before->last = after->last;
		memmove(after, after + 1, (--s->n - at) * sizeof *after);
	} else if (joins) {
		before->last = number;
	} else if (leads) {
		after->first = number;
	} else {
		if (s->n == FAILED_RANGES_MAX)
			return false;
		memmove(&s->range[at + 1], &s->range[at], (s->n++ - at) * sizeof s->range[0]);
		s->range[at] = (struct failed_range){ number, number };
	}
	return true;
}

static void number_add(struct failed *f, bool leaves, uint32_t of, uint32_t number)
{
	struct failed_set *s = set_of(f, leaves, of);

	if (!s || !set_add(s, number)) {
		if (f->lost++ == 0)
			log_warn(
				"not all values of failed exchanges are entered: %d ranges of them wait for the "
				"ledger already",
				FAILED_RANGES_MAX);
		return;
	}
	mono_ns wait = s->n >= FAILED_RANGES_FULL ? FAILED_EVERY_NS : FAILED_DELAY_NS;
	if (!f->timer.armed || (wait == FAILED_EVERY_NS && s->n == FAILED_RANGES_FULL))
		loop_arm(&f->child->loop, &f->timer, wait, 0);
}

void failed_add(struct failed *f, const struct keys_unused *unused)
{
	number_add(f, false, unused->epoch, unused->count);
	if (unused->leaf.batch != 0)
		number_add(f, true, unused->leaf.batch, unused->leaf.index);
}

/* As many of the first ranges as fit into an entry; returns how many. */
static size_t ranges_text(char ret_text[FAILED_TEXT_MAX], const struct failed_set *s)
{
	size_t used = 0, n = 0;

	ret_text[0] = '\0';
	for (; s && n < s->n && used + RANGE_TEXT < FAILED_TEXT_MAX; n++) {
		const struct failed_range *r = &s->range[n];
		used += (size_t)snprintf(ret_text + used, RANGE_TEXT, "%s%u", n > 0 ? " " : "", r->first);
		if (r->last > r->first)
			used += (size_t)snprintf(ret_text + used, RANGE_TEXT, "-%u", r->last);
	}
	return n;
}

static void set_cut(struct failed_set *s, size_t n)
{
	if (!s)
		return;
	assert(n <= s->n && s->n <= FAILED_RANGES_MAX);
	memmove(&s->range[0], &s->range[n], (s->n - n) * sizeof s->range[0]);
	s->n -= n;
}

static struct failed_set *set_next(struct failed *f, bool leaves, char ret_name[2 * SHA256_SIZE + 1])
{
	ret_name[0] = '\0';
	for (size_t i = 0; i < FAILED_SETS; i++) {
		struct failed_set *s = &f->set[i];
		if (s->n == 0 || s->leaves != leaves)
			continue;
		hex_from_bytes(ret_name, s->name, sizeof s->name);
		return s;
	}
	return NULL;
}

/* One entry. False: no range waits, or the ledger client is full. */
static bool ranges_enter(struct failed *f)
{
	char key[2 * SHA256_SIZE + 1], root[2 * SHA256_SIZE + 1];
	char counts[FAILED_TEXT_MAX], places[FAILED_TEXT_MAX];
	struct failed_set *values = set_next(f, false, key), *leaves = set_next(f, true, root);
	size_t values_n = ranges_text(counts, values), leaves_n = ranges_text(places, leaves), n;
	struct ledger_body body;

	if (!values && !leaves)
		return false;
	ledger_body_begin(&body, LEDGER_EXCHANGE_FAILED);
	ledger_body_str(&body, "batch", root);
	ledger_body_str(&body, "counts", counts);
	ledger_body_str(&body, "key", key);
	ledger_body_str(&body, "leaves", places);
	n = ledger_body_done(&body);
	if (n == 0 ||
		child_append(f->child, LEDGER_ASYNC, LEDGER_EXCHANGE_FAILED, body.text, n, NULL, 0) != RC_OK)
		return false;
	set_cut(values, values_n);
	set_cut(leaves, leaves_n);
	return true;
}

static bool is_pending(const struct failed *f)
{
	for (size_t i = 0; i < FAILED_SETS; i++)
		if (f->set[i].n > 0)
			return true;
	return false;
}

static void on_timer(struct loop *loop, struct timer *t)
{
	struct failed *f = t->context;
	bool good = ranges_enter(f);

	if (is_pending(f))
		loop_arm(loop, t, good ? FAILED_EVERY_NS : FAILED_DELAY_NS, 0);
}

void failed_done(struct failed *f)
{
	loop_disarm(&f->child->loop, &f->timer);
	while (f->set && ranges_enter(f))
		;
	free(f->set);
	f->set = NULL;
}
