/* The ledger's witnesses as a commit changes them. */
#include "ledger/types.h"
#include "proc/control/control.h"

#include <stdio.h>

static const struct snap_evidence *evidence_of(const struct running *r)
{
	return &((const struct snapshot *)r->block)->evidence;
}

bool evidence_changes(const struct control *k, const struct running *next)
{
	return memcmp(evidence_of(&k->running), evidence_of(next), sizeof(struct snap_evidence)) != 0;
}

/* "quorum 2, required commit; one 192.0.2.1:7380 10a1c019, two …" */
static void evidence_text(char *ret_text, size_t size, const struct snap_evidence *v)
{
	size_t n = (size_t)snprintf(ret_text, size, "quorum %u, heartbeat %u, required%s%s%s%s;", v->quorum,
		v->heartbeat_s, v->required ? "" : " nothing", v->required & REQUIRED_COMMIT ? " commit" : "",
		v->required & REQUIRED_WITNESSES ? " witnesses" : "",
		v->required & REQUIRED_ACT ? " act" : "");

	for (uint32_t i = 0; i < v->count && n < size; i++) {
		const struct snap_witness *w = &v->witness[i];
		const char *id = strchr(w->key, '+');
		char at[ENDPOINT_TEXT_MAX];
		n += (size_t)snprintf(ret_text + n, size - n, "%s %s %.80s %.8s", i > 0 ? "," : "", w->name,
			w->peer[0]  ? w->peer
			: w->url[0] ? w->url
				    : endpoint_text(at, &w->at),
			id ? id + 1 : "");
	}
	for (uint32_t i = 0; i < v->cosign_count && n < size; i++) {
		const struct snap_cosign *w = &v->cosign[i];
		const char *id = strchr(w->key, '+');
		n += (size_t)snprintf(ret_text + n, size - n, "%s %s of %s %.8s", i > 0 ? "," : "; cosigns",
			w->name, w->peer, id ? id + 1 : "");
	}
}

enum rc entry_witnesses_change(struct control *k, const struct commit *m, ledger_receipt_fn *fn)
{
	char before[LEDGER_BODY_TEXT_MAX / 4], after[LEDGER_BODY_TEXT_MAX / 4];
	struct ledger_body b;

	evidence_text(before, sizeof before, evidence_of(&k->running));
	evidence_text(after, sizeof after, evidence_of(&m->next));
	ledger_body_begin(&b, LEDGER_WITNESSES_CHANGE);
	ledger_body_str(&b, "admin", m->who);
	ledger_body_str(&b, "after", after);
	ledger_body_str(&b, "before", before);
	ledger_body_u64(&b, "generation", m->next.generation);
	return entry_send(k, LEDGER_GATE, &b, fn, m->cookie);
}
