/*
 * What control enters in the ledger: before a commit and before an administrator's action (which waits for the
 * receipt), and after a refusal, an aborted action and a load at start (nothing waits). Bodies come from the
 * ledger's own table of fields.
 */
#include "base/log.h"
#include "base/rate.h"
#include "ledger/types.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <sodium.h>
#include <stdio.h>

enum rc entry_send(struct control *k, enum ledger_mode mode, struct ledger_body *b, ledger_receipt_fn *fn,
	uint64_t cookie)
{
	size_t n = ledger_body_done(b);

	if (n == 0)
		return RC_INTERNAL;
	return child_append(k->child, mode, (uint16_t)b->type, b->text, n, fn, cookie);
}

static const char *sha256_text(char ret_text[65], const uint8_t *sha256)
{
	return sha256 ? hex_from_bytes(ret_text, sha256, 32) : "";
}

enum rc entry_config_commit(struct control *k, const struct commit *m, ledger_receipt_fn *fn)
{
	struct ledger_body b;
	char text[65];

	ledger_body_begin(&b, LEDGER_CONFIG_COMMIT);
	if (m->restores)
		ledger_body_str(&b, "admin", "");
	else
		ledger_body_str(&b, "admin", m->who);
	ledger_body_str(&b, "comment", m->comment);
	ledger_body_strf(&b, "confirm_within", "%u", m->confirm_minutes);
	ledger_body_u64(&b, "generation", m->next.generation);
	ledger_body_str(&b, "previous", sha256_text(text, k->running.sha256));
	ledger_body_str(&b, "sha256", sha256_text(text, m->next.sha256));
	return entry_send(k, LEDGER_GATE, &b, fn, m->cookie);
}

/* The text was entered when it was committed; this says that it is running again. Nothing waits for it. */
void entry_config_load(struct control *k)
{
	struct ledger_body b;
	char text[65];

	ledger_body_begin(&b, LEDGER_CONFIG_LOAD);
	ledger_body_u64(&b, "generation", k->running.generation);
	ledger_body_str(&b, "sha256", sha256_text(text, k->running.sha256));
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the load of the configuration cannot be entered in the ledger");
}

void entry_config_certificates(struct control *k, const struct running *r)
{
	const struct snapshot *s = r->block;
	uint32_t n = s->certificate_files.count, named = 0;
	char files[CERTIFICATE_FILES_TEXT] = "", text[65];
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	struct ledger_body b;
	size_t at = 0;

	if (n == 0)
		return;
	crypto_hash_sha256_init(&state);
	for (uint32_t i = 0; i < n; i++) {
		const struct snap_certificate_file *f = &snap_certificate_files(s)[i];
		const struct span *in = &f->certificates;
		for (uint32_t c = in->first; c < in->first + in->count; c++)
			crypto_hash_sha256_update(&state, snap_certificate_der(s, &snap_certificates(s)[c]),
				snap_certificates(s)[c].n);
		/* Room for what is left out as well. */
		if (named == i && at + sizeof f->name + 32 < sizeof files) {
			at += (size_t)snprintf(files + at, sizeof files - at, "%s%s", i ? " " : "", f->name);
			named++;
		}
	}
	if (named < n)
		snprintf(files + at, sizeof files - at, " and %u more", n - named);
	crypto_hash_sha256_final(&state, hash);
	ledger_body_begin(&b, LEDGER_CONFIG_CERTIFICATES);
	ledger_body_u64(&b, "certificates", s->certificates.count);
	ledger_body_str(&b, "files", files);
	ledger_body_u64(&b, "generation", r->generation);
	ledger_body_str(&b, "set", sha256_text(text, r->certificates_sha256));
	ledger_body_str(&b, "sha256", sha256_text(text, hash));
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the certificates of the configuration cannot be entered in the ledger");
}

void entry_config_refused(struct control *k, const struct client *c, const uint8_t *sha256,
	uint64_t generation, const char *why)
{
	struct ledger_body b;
	char text[65];

	ledger_body_begin(&b, LEDGER_CONFIG_REFUSED);
	ledger_body_str(&b, "admin", c ? c->who : "");
	ledger_body_str(&b, "error", why);
	ledger_body_strf(&b, "generation", "%llu", (unsigned long long)generation);
	ledger_body_str(&b, "sha256", sha256_text(text, sha256));
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the refused configuration cannot be entered in the ledger: %s", why);
}

enum rc entry_admin_act(
	struct control *k, struct client *c, const char *act, const char *detail, ledger_receipt_fn *fn)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_ADMIN_ACT);
	ledger_body_str(&b, "act", act);
	ledger_body_str(&b, "admin", c->who);
	ledger_body_str(&b, "detail", detail);
	enum rc rc = entry_send(k, LEDGER_GATE, &b, fn, c->tag);
	c->entry_n = k->child->ledger.next_n - 1; /* a gate goes out at once, or is refused */
	return rc;
}

void entry_admin_act_aborted(struct control *k, const struct client *c, const char *why)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_ADMIN_ACT_ABORTED);
	ledger_body_str(&b, "admin", c->who);
	ledger_body_u64(&b, "entry", c->entry_n);
	ledger_body_str(&b, "reason", why);
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the aborted action cannot be entered in the ledger: %s", why);
}

void entry_admin_refused(struct control *k, const struct client *c, const char *words)
{
	struct ledger_body b;

	if (!rate_take(&k->refusals, REFUSALS_PER_SECOND, REFUSALS_AT_ONCE_MAX, k->child->loop.now)) {
		k->refusals_unentered++;
		return;
	}
	ledger_body_begin(&b, LEDGER_ADMIN_REFUSED);
	ledger_body_str(&b, "admin", c->who);
	ledger_body_str(&b, "command", words);
	ledger_body_str(&b, "role", role_word(k->running.administrators, c->speaker.role));
	ledger_body_u64(&b, "unentered", k->refusals_unentered);
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the refusal of '%s' to %s cannot be entered in the ledger", words, c->who);
	else
		k->refusals_unentered = 0;
}
