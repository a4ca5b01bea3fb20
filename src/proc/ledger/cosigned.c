#include "proc/ledger/cosigned.h"
#include "merkle/attest.h"
#include "proc/ledger/shell.h"

static unsigned lines_of(const struct witnesses *w, uint64_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < w->n; i++)
		count += w->peer[i].line_size == size;
	return count;
}

/* Size of the checkpoint, of those that cover the entry, that most witnesses have cosigned last; of several the
 * largest. 0: none has. */
static uint64_t size_best(const struct witnesses *w, uint64_t index)
{
	uint64_t best = 0;

	for (size_t i = 0; i < w->n; i++) {
		uint64_t size = w->peer[i].line_size;
		unsigned more = size > index ? lines_of(w, size) : 0, most = best ? lines_of(w, best) : 0;
		if (more > most || (more > 0 && more == most && size > best))
			best = size;
	}
	return best;
}

/* May it still cosign in time? Not if it has failed since and waits before the next try. */
static bool may_cosign(const struct witness_peer *p, const struct cosigned *c, mono_ns now)
{
	const struct witness_poll *a = &p->poll;

	return p->line_size <= c->index && (a->under_way != WITNESS_POLL_NONE || a->failures == 0 ||
						   a->failed < c->since || a->next <= now);
}

static void cosigned_answer(struct witnesses *w, uint64_t size)
{
	struct msg_cosigned m = { 0 };
	char text[ATTEST_TEXT_MAX + 1] = "";

	for (size_t i = 0; i < w->n && size > 0; i++)
		if (w->peer[i].line_size == size)
			attest_add(text, size, w->peer[i].line);
	m.n = (uint32_t)strlen(text);
	memcpy(m.text, text, m.n);
	w->cosigned.asked = false;
	ipc_send_COSIGNED(child_link(w->shell->child, PROC_KEEPER), w->cosigned.tag, &m);
}

void cosigned_check(struct witnesses *w)
{
	const struct cosigned *c = &w->cosigned;
	unsigned need = w->config.quorum > 0 ? w->config.quorum : (unsigned)w->n, coming = 0;
	uint64_t size;

	if (!c->asked)
		return;
	for (size_t i = 0; i < w->n; i++)
		coming += may_cosign(&w->peer[i], c, witnesses_now(w));
	size = size_best(w, c->index);
	if ((size > 0 && lines_of(w, size) >= need) || coming == 0 || witnesses_now(w) >= cosigned_at(w))
		cosigned_answer(w, size);
}

void cosigned_ask(struct witnesses *w, uint64_t tag, uint64_t index)
{
	w->cosigned =
		(struct cosigned){ .asked = true, .tag = tag, .index = index, .since = witnesses_now(w) };
	if (w->n == 0) {
		cosigned_answer(w, 0);
		return;
	}
	for (size_t i = 0; i < w->n; i++)
		witness_poll_urge(&w->peer[i].poll);
	witnesses_wake(w);
}

mono_ns cosigned_at(const struct witnesses *w)
{
	return w->cosigned.asked ? w->cosigned.since + COSIGNED_WAIT_NS : WITNESS_POLL_NEVER;
}

void cosigned_drop(struct witnesses *w)
{
	if (w->cosigned.asked)
		cosigned_answer(w, 0);
}
