#include "proc/export/digest.h"

#include "base/log.h"
#include "ledger/types.h"

#define HOUR_US 3600000000ull

static bool is_due(const struct digest *d, const struct local_log *l, utc_us now, bool always)
{
	bool more = l->chain.n != d->lines || l->lost != d->lost;

	return !d->begun || (more && (always || l->file_begun || now / HOUR_US != d->hour));
}

void digest_enter(struct digest *d, struct child *child, struct local_log *l, utc_us now, bool always)
{
	static struct ledger_body b;
	char hex[2 * SHA256_SIZE + 1];

	if (l->chain.n == 0 || !is_due(d, l, now, always)) {
		d->hour = l->chain.n == d->lines ? now / HOUR_US : d->hour;
		return;
	}
	if (!local_sync(l))
		log_warn("the session log could not be written to the disk: %m");
	ledger_body_begin(&b, LEDGER_SESSION_LOG);
	ledger_body_u64(&b, "count", d->begun ? l->chain.n - d->lines : 0);
	ledger_body_u64(&b, "last", l->chain.n);
	ledger_body_str(&b, "log", l->id);
	ledger_body_u64(&b, "lost", l->lost - d->lost);
	ledger_body_u64(&b, "oldest", l->oldest);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, l->chain.last, sizeof l->chain.last));
	size_t n = ledger_body_done(&b);
	if (n == 0 || child_append(child, LEDGER_ASYNC, LEDGER_SESSION_LOG, b.text, n, NULL, 0) != RC_OK) {
		log_error("the state of the session log could not be entered");
		return;
	}
	*d = (struct digest){ .begun = true, .hour = now / HOUR_US, .lines = l->chain.n, .lost = l->lost };
	l->file_begun = false;
}
