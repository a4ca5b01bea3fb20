#include "proc/entropy/shell.h"

#include "base/log.h"
#include "ledger/types.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(SHARE_BYTES == NOISE_SHARE_SIZE, "a message holds a share");

static void entry_append(struct entropy *s, struct ledger_body *b)
{
	size_t n = ledger_body_done(b);

	if (n == 0 || child_append(s->child, LEDGER_ASYNC, (uint16_t)b->type, b->text, n, NULL, 0) != RC_OK)
		log_error("could not enter the state of the entropy process");
}

static void enter_start(struct entropy *s)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_ENTROPY_START);
	ledger_body_u64(&b, "samples", HEALTH_STARTUP);
	ledger_body_str(&b, "sources", noise_sources(&s->noise));
	entry_append(s, &b);
}

static void enter_failure(struct entropy *s)
{
	enum health_verdict verdict;
	struct ledger_body b;
	uint64_t samples;
	const char *source = noise_failed(&s->noise, &verdict, &samples);

	ledger_body_begin(&b, LEDGER_ENTROPY_FAILED);
	ledger_body_u64(&b, "samples", samples);
	ledger_body_str(&b, "source", source ? source : "");
	ledger_body_str(&b, "test", health_text(verdict));
	entry_append(s, &b);
}

static void send_failure(struct entropy *s)
{
	struct msg_result m = { .rc = RC_DENIED };

	snprintf(m.text, sizeof m.text, "%s", s->why);
	ipc_send_ENTROPY_END(child_link(s->child, PROC_KEEPER), 0, &m);
}

static void output_stop(struct entropy *s, const struct err *e)
{
	s->failed = true;
	s->owed = 0;
	snprintf(s->why, sizeof s->why, "%s", e->text);
	log_error("%s; entropy output stopped", e->text);
	enter_failure(s);
	send_failure(s);
}

static void output_continue(struct entropy *s)
{
	if (s->owed > 0 && !s->timer.armed)
		loop_arm(&s->child->loop, &s->timer, 0, 0);
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct entropy *s = t->context;
	struct msg_entropy_share m;
	struct err e = { 0 };

	if (s->failed || s->owed == 0)
		return;
	if (noise_share(&s->noise, m.share, &e) != RC_OK) {
		output_stop(s, &e);
		return;
	}
	/* A keeper that was restarted asks again. */
	s->owed = ipc_send_ENTROPY_SHARE(child_link(s->child, PROC_KEEPER), 0, &m) == RC_OK ? s->owed - 1 : 0;
	bytes_wipe(&m, sizeof m);
	output_continue(s);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct entropy *s = c->context;

	if (f->head.id != IPC_ENTROPY_ASK) {
		log_warn("message %s from %s is not for the entropy process",
			ipc_name((enum ipc_id)f->head.id), proc_name(peer));
	} else if (s->failed) {
		send_failure(s);
	} else {
		uint32_t more = MIN_OF(f->u.ENTROPY_ASK.count, (uint32_t)SHARES_OWED_MAX);
		s->owed = MIN_OF(s->owed + more, (uint32_t)SHARES_OWED_MAX);
		output_continue(s);
	}
}

static void on_link_lost(struct child *c, enum proc peer)
{
	struct entropy *s = c->context;

	if (peer == PROC_KEEPER)
		s->owed = 0;
}

static ssize_t getrandom_call(void *ret_bytes, size_t n, unsigned flags)
{
	return syscall(SYS_getrandom, ret_bytes, n, flags);
}

enum rc entropy_is_apart(const struct entropy_calls *calls, struct err *e)
{
	const struct entropy_calls real = { getrandom, getrandom_call };
	uint8_t octets[NOISE_SHARE_SIZE];
	ssize_t by_library, by_call;

	calls = calls ? calls : &real;
	by_library = calls->library(octets, sizeof octets, GRND_NONBLOCK);
	by_call = calls->call(octets, sizeof octets, GRND_NONBLOCK);
	bytes_wipe(octets, sizeof octets);
	if (by_library < 0 && by_call < 0)
		return RC_OK;
	return err_add(e, RC_DENIED,
		"%s gives this process random octets of the kernel: it must be refused, or both "
		"shares of a secret could come from one source",
		by_call >= 0 ? "the system call getrandom"
			     : "getrandom() of the C library, without a system call,");
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct entropy *s = c->context;
	struct err why = { 0 };

	if (mlock(s, sizeof *s) < 0)
		return err_errno(e, RC_IO, "lock %zu octets of memory", sizeof *s);
	if (noise_start(&s->noise, &why) == RC_OK)
		enter_start(s);
	else
		output_stop(s, &why);
	return RC_OK;
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	close(fd);
	return err_add(e, RC_DENIED, "the entropy process accepts no resource (got %s)",
		resource_name((enum resource)r->kind));
}

static void on_stop(struct child *c)
{
	struct entropy *s = c->context;

	noise_done(&s->noise);
}

static const struct child_ops entropy_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

void entropy_init(struct entropy *s, struct child *child, int supervisor_fd)
{
	/* No file may change what libcrypto does in here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		abort();
	*s = (struct entropy){ .child = child };
	s->timer.fn = on_timer;
	s->timer.context = s;
	noise_init(&s->noise, s->memory);
	child_init(child, PROC_ENTROPY, &entropy_ops, s, LEDGER_LEDGER_OUTAGE, supervisor_fd);
}
