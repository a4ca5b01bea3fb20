#include "proc/ledger/outage.h"
#include "base/log.h"
#include "proc/ledger/shell.h"
#include "proc/ledger/limits.h"

void outage_report(struct ledger_shell *s, const char *text)
{
	mono_ns now = s->child->loop.now;

	s->failures++;
	if (s->outage_since == 0 || now - s->outage_logged >= OUTAGE_LOG_EVERY_NS) {
		log_error("the ledger cannot take entries: %s", text);
		s->outage_logged = now;
	}
	if (s->outage_since == 0)
		s->outage_since = now;
}

void outage_end(struct ledger_shell *s)
{
	if (s->outage_since > 0)
		log_info("the ledger takes entries again, after %llu s",
			(unsigned long long)((s->child->loop.now - s->outage_since) / NS_PER_S));
	s->outage_since = 0;
}
