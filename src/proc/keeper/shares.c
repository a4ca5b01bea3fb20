#include "proc/keeper/shares.h"

#include "base/log.h"
#include "ledger/types.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

_Static_assert(SHARE_BYTES == LEAF_SHARE_SIZE, "a message holds a share");

static bool kernel_random(void *ret_bytes, size_t n)
{
	ssize_t got;

	do
		got = getrandom(ret_bytes, n, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n;
}

void shares_init(struct shares *h, struct child *child)
{
	*h = (struct shares){ .child = child, .random = kernel_random };
	health_begin(&h->kernel, HEALTH_FOUR_BITS);
}

static void shares_wipe(struct shares *h)
{
	bytes_wipe(h->share, sizeof h->share);
	h->n = 0;
}

static void kernel_failed(struct shares *h)
{
	struct ledger_body b;
	size_t n;

	h->failed = true;
	snprintf(h->why, sizeof h->why, "getrandom failed the %s test after %llu samples",
		health_text(h->kernel.verdict), (unsigned long long)h->kernel.samples);
	log_error("%s; no more secrets are made", h->why);
	shares_wipe(h);
	ledger_body_begin(&b, LEDGER_ENTROPY_FAILED);
	ledger_body_u64(&b, "samples", h->kernel.samples);
	ledger_body_str(&b, "source", "getrandom");
	ledger_body_str(&b, "test", health_text(h->kernel.verdict));
	n = ledger_body_done(&b);
	if (n == 0 ||
		child_append(h->child, LEDGER_ASYNC, LEDGER_ENTROPY_FAILED, b.text, n, NULL, 0) != RC_OK)
		log_error("could not enter the failure of a source of entropy");
}

/* n octets that have passed the tests. */
static enum rc kernel_draw(struct shares *h, uint8_t *ret_bytes, size_t n, struct err *e)
{
	if (!h->random(ret_bytes, n))
		return err_errno(e, RC_IO, "getrandom");
	if (health_take(&h->kernel, ret_bytes, n))
		return RC_OK;
	kernel_failed(h);
	return err_add(e, RC_DENIED, "%s", h->why);
}

enum rc shares_start(struct shares *h, struct err *e)
{
	uint8_t samples[256];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < HEALTH_STARTUP / sizeof samples && rc == RC_OK; i++)
		rc = kernel_draw(h, samples, sizeof samples, e);
	bytes_wipe(samples, sizeof samples);
	return rc;
}

static void shares_ask(struct shares *h)
{
	struct msg_entropy_ask m = { .count = (uint32_t)(SHARES_MAX - h->n - h->asked) };

	assert(h->n + h->asked <= SHARES_MAX);
	/* Not for each single share. */
	if (h->failed || m.count < SHARES_MAX / 8)
		return;
	if (ipc_send_ENTROPY_ASK(child_link(h->child, PROC_ENTROPY), 0, &m) == RC_OK)
		h->asked += m.count;
}

void shares_link(struct shares *h)
{
	h->asked = 0;
	if (h->kernel.verdict == HEALTH_GOOD)
		h->failed = false; /* if its start-up tests fail too, it sends another ENTROPY_END */
	shares_ask(h);
}

void shares_link_lost(struct shares *h)
{
	h->asked = 0;
}

void shares_take(struct shares *h, const struct msg_entropy_share *m)
{
	h->asked -= h->asked > 0;
	if (!h->failed && h->n < SHARES_MAX)
		memcpy(h->share[h->n++], m->share, LEAF_SHARE_SIZE);
	shares_ask(h);
}

void shares_end(struct shares *h, const char *why)
{
	shares_wipe(h);
	h->asked = 0;
	if (h->failed)
		return;
	h->failed = true;
	snprintf(h->why, sizeof h->why, "the entropy process has stopped its output: %s", why);
	log_error("%s; no more secrets are made", h->why);
}

enum rc shares_ready(const struct shares *h, size_t n, struct err *e)
{
	if (h->failed)
		return err_add(e, RC_DENIED, "%s", h->why);
	return h->n >= n ? RC_OK : RC_AGAIN;
}

enum rc shares_draw(
	struct shares *h, uint8_t ret_a[LEAF_SHARE_SIZE], uint8_t ret_b[LEAF_SHARE_SIZE], struct err *e)
{
	enum rc rc = shares_ready(h, 1, e);
	uint8_t raw[LEAF_SHARE_SIZE];

	memset(ret_b, 0, LEAF_SHARE_SIZE);
	if (rc == RC_OK)
		rc = kernel_draw(h, raw, sizeof raw, e);
	if (rc == RC_OK)
		leaf_kernel_share(raw, ret_a);
	bytes_wipe(raw, sizeof raw);
	if (rc != RC_OK) {
		memset(ret_a, 0, LEAF_SHARE_SIZE);
		return rc;
	}
	memcpy(ret_b, h->share[--h->n], LEAF_SHARE_SIZE);
	bytes_wipe(h->share[h->n], LEAF_SHARE_SIZE);
	shares_ask(h);
	return RC_OK;
}

void shares_done(struct shares *h)
{
	shares_wipe(h);
}
