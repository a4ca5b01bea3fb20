/*
 * CRLs (crl-url of a ca-profile). This process cannot read them: what was fetched is offered to both certifiers, and replaces the last good one
 * when both have said that it may. They read that as a file, so it is theirs from their first question on, whatever becomes of this process.
 * Each goes by what it has called good itself, whatever the other one says, so what is offered stands until both have answered.
 */
#include "proc/resolver/shell.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "ledger/types.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CRL_NAME_MAX (NAME_MAX_BYTES + 16)

static const enum proc certifiers[] = { PROC_CERTIFIER_OPENSSL, PROC_CERTIFIER_GNUTLS };

static const char *file_name(char ret_name[CRL_NAME_MAX], const struct entry *e, const char *ending)
{
	snprintf(ret_name, CRL_NAME_MAX, "%.63s.crl%s", e->of.name, ending);
	return ret_name;
}

/* Of what the certifiers have. False: there is none, or *e says why it cannot be read. */
static bool used_digest(const struct resolver *x, const struct entry *e, uint8_t ret_sha256[SHA256_SIZE],
	utc_us *ret_written, struct err *err)
{
	char name[CRL_NAME_MAX];
	size_t n = 0;
	int fd = x->crl_dir < 0 ? -1
				: openat(x->crl_dir, file_name(name, e, ""),
					  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	char *text = feed_file_read(fd, &n, ret_written, err);
	close(fd);
	if (text)
		sha256(ret_sha256, text, n);
	free(text);
	return text != NULL;
}

static void enter(struct resolver *x, const struct entry *e, const char *from)
{
	static struct ledger_body b;
	char hex[2 * SHA256_SIZE + 1];

	ledger_body_begin(&b, LEDGER_CRL_IN_FORCE);
	ledger_body_str(&b, "authority", e->of.name);
	ledger_body_str(&b, "from", from);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, e->feed.sha256, SHA256_SIZE));
	size_t n = ledger_body_done(&b);
	if (n == 0 || child_append(x->child, LEDGER_ASYNC, LEDGER_CRL_IN_FORCE, b.text, n, NULL, 0) != RC_OK)
		log_error("the digest of the CRL of ca-profile '%s' could not be entered", e->of.name);
}

void crl_disk_read(struct resolver *x, struct entry *e)
{
	struct err err = { 0 };

	e->feed.disk_read = true;
	if (used_digest(x, e, e->feed.sha256, &e->feed.read_at, &err)) {
		e->feed.known = true;
		snprintf(e->feed.why, sizeof e->feed.why, "not read yet since the start");
		e->untold_state = true;
		enter(x, e, "the last good copy");
	} else if (err.rc != RC_OK) {
		log_warn("the last good CRL of ca-profile '%s' cannot be read: %s", e->of.name, err.text);
	}
}

static void next_forget(struct resolver *x, const struct entry *e)
{
	char name[CRL_NAME_MAX];

	if (x->crl_dir >= 0)
		unlinkat(x->crl_dir, file_name(name, e, ".new"), 0);
}

/* The certifiers, which read it, are other users. */
static bool next_write(struct resolver *x, const struct entry *e, const char *text, size_t n)
{
	char name[CRL_NAME_MAX];
	int fd = x->crl_dir < 0 ? -1
				: openat(x->crl_dir, file_name(name, e, ".new"),
					  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = fd >= 0 && feed_write_all(fd, text, n) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	if (!good)
		next_forget(x, e);
	return good;
}

static void next_use(struct resolver *x, struct entry *e)
{
	char from[CRL_NAME_MAX], to[CRL_NAME_MAX];

	if (renameat(x->crl_dir, file_name(from, e, ".new"), x->crl_dir, file_name(to, e, "")) < 0) {
		feed_failed(x, e, "it could not be put into its place on the disk");
		return;
	}
	fsync(x->crl_dir); /* else the one before it may be back after a loss of power */
	memcpy(e->feed.sha256, e->offered, sizeof e->offered);
	e->feed.known = true;
	feed_succeeded(x, e);
	enter(x, e, e->of.url);
	log_info("a CRL of ca-profile '%s' from %s is in use", e->of.name, e->of.url);
}

/* A refusal counts when nobody is awaited any more: the other certifier is to read the file all the same, and to go by it. */
static void refused(struct entry *e, enum rc rc, const char *why)
{
	if (e->refusal == RC_OK || e->refusal == RC_AGAIN) {
		e->refusal = rc;
		snprintf(e->refused, sizeof e->refused, "%.*s", (int)sizeof e->refused - 1, why);
	}
}

static void judged(struct resolver *x, struct entry *e)
{
	if (e->judges != 0)
		return;
	if (e->refusal == RC_OK && e->news) {
		next_use(x, e);
		return;
	}
	next_forget(x, e);
	if (e->refusal == RC_OK) { /* both have it, in other words */
		feed_succeeded(x, e);
		return;
	}
	/* A certifier that has not got the configuration yet. One that says so for ever is no better than one that refuses. */
	if (e->refusal == RC_AGAIN && e->feed.failures < CRL_AGAIN_MAX)
		feed_put_off(x, &e->feed, e->of.interval_s, e->refused);
	else
		feed_failed(x, e, e->refused);
}

static void next_offer(struct resolver *x, struct entry *e)
{
	struct msg_crl m = { 0 };
	char why[NAME_WHY_BYTES];

	snprintf(m.name, sizeof m.name, "%.*s", (int)sizeof m.name - 1, e->of.name);
	e->feed.awaited = ++x->last_tag;
	e->feed.deadline = x->child->loop.now + RESOLVER_JUDGE_NS;
	for (size_t i = 0; i < COUNT_OF(certifiers); i++) {
		struct ipc_link *l = child_link(x->child, certifiers[i]);
		if (ipc_link_up(l) && ipc_send_CRL_OFFER(l, e->feed.awaited, &m) == RC_OK) {
			e->judges |= 1u << certifiers[i];
			continue;
		}
		snprintf(
			why, sizeof why, "%s, which has to judge it, does not run", proc_name(certifiers[i]));
		refused(e, RC_DENIED, why);
	}
	judged(x, e);
}

void crl_fetched(struct resolver *x, struct entry *e, const char *text, size_t n)
{
	uint8_t used[SHA256_SIZE];
	utc_us written;

	sha256(e->offered, text, n);
	e->judges = 0;
	e->refusal = RC_OK;
	e->news = false;
	/* On the disk, where it may have been removed or damaged: then it is put there again. */
	if (used_digest(x, e, used, &written, NULL) && memcmp(e->offered, used, sizeof used) == 0)
		feed_succeeded(x, e);
	else if (!next_write(x, e, text, n))
		feed_failed(x, e, "it could not be written to the disk: is that full?");
	else
		next_offer(x, e);
}

void crl_judged(struct resolver *x, enum proc certifier, struct ipc_frame *f)
{
	struct msg_result *r = &f->u.CRL_JUDGED;
	struct entry *e = NULL;

	for (uint32_t i = 0; i < x->n && !e; i++)
		if (x->entry[i]->of.kind == DYNAMIC_CRL && x->entry[i]->judges & 1u << certifier &&
			x->entry[i]->feed.awaited == f->head.tag)
			e = x->entry[i];
	if (!e)
		return;
	r->text[sizeof r->text - 1] = '\0';
	e->judges &= ~(1u << certifier);
	e->news |= r->rc == RC_OK;
	if (r->rc != RC_OK && r->rc != RC_EXISTS)
		refused(e, r->rc == RC_AGAIN ? RC_AGAIN : RC_DENIED, r->text);
	judged(x, e);
}

void crl_overdue(struct resolver *x, struct entry *e)
{
	refused(e, RC_DENIED, "the certifiers have not judged it in time");
	e->judges = 0;
	judged(x, e);
}

void crls_again(struct resolver *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		x->entry[i]->untold_state = true;
}

void crls_tell(struct resolver *x)
{
	struct ipc_link *l = child_link(x->child, PROC_CERTIFIER_OPENSSL);

	for (uint32_t i = 0; i < x->n && ipc_link_up(l); i++) {
		struct entry *e = x->entry[i];
		struct msg_crl m = { 0 };
		if (e->of.kind != DYNAMIC_CRL || !e->untold_state)
			continue;
		snprintf(m.name, sizeof m.name, "%.*s", (int)sizeof m.name - 1, e->of.name);
		snprintf(m.why, sizeof m.why, "%.*s", (int)sizeof m.why - 1, e->feed.why);
		if (ipc_send_CRL_STATE(l, 0, &m) == RC_OK)
			e->untold_state = false;
	}
}
