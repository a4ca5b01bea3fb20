#include "proc/ledger/publish.h"
#include "proc/ledger/outage.h"
#include "proc/ledger/shell.h"

/* Before it is published: no published checkpoint is without its seal. */
static enum rc checkpoint_seal(struct ledger_shell *s, struct err *e)
{
	struct checkpoint c = { .size = ledger_size(s->log), .root = ledger_root(s->log) };

	if (c.size == ledger_published(s->log) || !s->sealer.epoch)
		return RC_OK;
	memcpy(c.origin, s->key.name, sizeof c.origin);
	return sealer_seal(&s->sealer, &c, e);
}

void publish_checkpoint(struct ledger_shell *s)
{
	struct err e = { 0 };
	bool waits = ledger_size(s->log) != ledger_published(s->log);

	loop_disarm(&s->child->loop, &s->publish);
	if (checkpoint_seal(s, &e) == RC_OK && ledger_publish(s->log, &e) == RC_OK) {
		s->last_checkpoint = clock_utc();
		if (waits)
			outage_end(s);
		s->priority = false;
		if (s->witnesses.n > 0)
			witnesses_wake(&s->witnesses);
		return;
	}
	err_add(&e, e.rc, "the entries are durable in the journal");
	outage_report(s, e.text);
	loop_arm(&s->child->loop, &s->publish, PUBLISH_EVERY_NS, 0);
}

static void on_publish(struct loop *l, struct timer *t)
{
	publish_checkpoint(t->context);
	(void)l;
}

void publish_schedule(struct ledger_shell *s)
{
	uint64_t size = ledger_size(s->log), published = ledger_published(s->log);
	bool urgent = s->priority && s->witnesses.n > 0;
	mono_ns wait = urgent ? PUBLISH_PRIORITY_NS : PUBLISH_EVERY_NS;

	if (size == published)
		return;
	if (size - published >= PUBLISH_ENTRIES || s->witnesses.pending_n > 0)
		publish_checkpoint(s);
	else if (!s->publish.armed || s->publish.at > s->child->loop.now + wait)
		loop_arm(&s->child->loop, &s->publish, wait, 0);
}

void publish_init(struct ledger_shell *s)
{
	s->publish = (struct timer){ .fn = on_publish, .context = s };
}
