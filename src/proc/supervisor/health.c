/*
 * Health of servers behind destination NAT: a TCP connection to each, by the kernel, closed by a reset as soon as it
 * stands. Nothing is sent and nothing is read, so nothing is parsed here. The data plane hears which servers are down;
 * a new one hears it again.
 *
 * A server is up until it has failed so many times in a row as its rule says. A commit that keeps a server keeps
 * what is known about it.
 */
#include "proc/supervisor/health.h"

#include "base/log.h"
#include "ipc/rows.h"
#include "ledger/entry.h"
#include "proc/supervisor/limits.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void tell(const struct health_server *h)
{
	struct child_process *dataplane = child_of(h->supervisor, PROC_DATAPLANE);
	struct msg_server m = { .at = h->at, .up = !h->down };

	if (ipc_link_up(&dataplane->port.link) && ipc_send_SERVER(&dataplane->port.link, 0, &m) != RC_OK)
		log_warn("the state of a server was not handed over to the data plane");
}

static void enter(struct health_server *h, const char *at)
{
	static struct ledger_body b;
	struct supervisor *s = h->supervisor;

	ledger_body_begin(&b, LEDGER_SERVER_STATE);
	ledger_body_str(&b, "reason", h->down ? h->why : "");
	ledger_body_str(&b, "server", at);
	ledger_body_str(&b, "state", h->down ? "down" : "up");
	ledger_append(&s->ledger, LEDGER_ASYNC, LEDGER_SERVER_STATE, b.text, ledger_body_done(&b), NULL, NULL,
		0, s->loop.now);
}

static void state_change(struct health_server *h, bool down)
{
	char at[ENDPOINT_TEXT_MAX];

	h->down = down;
	h->since = h->supervisor->loop.now;
	if (down)
		log_warn("server %s is down: %s", endpoint_text(at, &h->at), h->why);
	else
		log_info("server %s is up again", endpoint_text(at, &h->at));
	enter(h, at);
	tell(h);
}

static void probe_close(struct health_server *h)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	loop_disarm(&h->supervisor->loop, &h->timer);
	if (!h->probing)
		return;
	h->probing = false;
	loop_remove(&h->supervisor->loop, &h->watch);
	setsockopt(h->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(h->watch.fd);
}

/* why NULL: it has answered. */
static void finish(struct health_server *h, const char *why)
{
	bool same = (why != NULL) == h->down; /* as the state says */

	probe_close(h);
	h->checks++;
	h->failures += why != NULL;
	snprintf(h->why, sizeof h->why, "%s", why ? why : "");
	h->streak = same ? 0 : h->streak + 1;
	if (h->streak >= (h->down ? h->rise : h->fall)) {
		h->streak = 0;
		state_change(h, !h->down);
	}
	loop_arm(&h->supervisor->loop, &h->timer, h->interval_s * NS_PER_S, 0);
}

static void on_connected(struct loop *l, struct watch *w, short revents)
{
	struct health_server *h = w->context;
	int error = 0;
	socklen_t n = sizeof error;

	(void)l;
	(void)revents;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	finish(h, error ? strerror(error) : NULL);
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct health_server *h = t->context;
	char why[sizeof h->why];
	struct err e = { 0 };

	if (h->probing) {
		snprintf(why, sizeof why, "no answer within %u seconds", h->timeout_s);
		finish(h, why);
		return;
	}
	int fd = connect_begin(&h->at, SOCK_STREAM, &e);
	if (fd < 0) {
		snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, e.text);
		finish(h, why);
		return;
	}
	h->probing = true;
	h->watch = (struct watch){ .fd = fd, .events = POLLOUT, .fn = on_connected, .context = h };
	loop_add(l, &h->watch);
	loop_arm(l, &h->timer, h->timeout_s * NS_PER_S, 0);
}

static struct health_server *find(struct servers_health *all, const struct endpoint *at)
{
	for (size_t i = 0; i < HEALTH_SERVERS_MAX; i++)
		if (all->list[i].used && endpoint_same(&all->list[i].at, at))
			return &all->list[i];
	return NULL;
}

static struct health_server *add(struct supervisor *s, const struct endpoint *at, mono_ns after)
{
	for (size_t i = 0; i < HEALTH_SERVERS_MAX; i++) {
		struct health_server *h = &s->health.list[i];
		if (h->used)
			continue;
		*h = (struct health_server){ .supervisor = s, .used = true, .at = *at, .since = s->loop.now };
		h->timer = (struct timer){ .fn = on_timer, .context = h };
		loop_arm(&s->loop, &h->timer, after, 0);
		return h;
	}
	return NULL;
}

static void remove_server(struct health_server *h)
{
	probe_close(h);
	if (h->down) {
		h->down = false;
		tell(h);
	}
	h->used = false;
}

/* The servers of a rule: at most HEALTH_RANGE_MAX, in the last 32 bits of their addresses (snapshot_check()). */
static void rule_take(struct supervisor *s, const struct snap_dnat_rule *r, mono_ns *after)
{
	size_t low = addr_size(&r->to.first) - 4;

	for (uint32_t i = 0; i < snap_checked_servers(r); i++) {
		struct endpoint at = { .addr = r->to.first, .port = r->check_port };
		store_be32(at.addr.b + low, load_be32(r->to.first.b + low) + i);
		struct health_server *h = find(&s->health, &at);
		if (!h) {
			h = add(s, &at, *after);
			*after += HEALTH_SPREAD_NS;
		}
		if (!h) /* two rules name the same servers, and more than are left in the table */
			continue;
		h->wanted = true;
		h->interval_s = r->check_interval_s;
		h->timeout_s = r->check_timeout_s;
		h->rise = r->check_rise;
		h->fall = r->check_fall;
	}
}

void health_apply(struct supervisor *s)
{
	mono_ns after = 0;

	for (size_t i = 0; i < HEALTH_SERVERS_MAX; i++)
		s->health.list[i].wanted = false;
	/* Those that stay are found before the others take their places. */
	for (uint32_t i = 0; i < s->snapshot->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s->snapshot)[i];
		for (size_t k = 0; r->check_port && k < HEALTH_SERVERS_MAX; k++)
			s->health.list[k].wanted |= s->health.list[k].used &&
						    s->health.list[k].at.port == r->check_port &&
						    range_holds(&r->to, &s->health.list[k].at.addr);
	}
	for (size_t i = 0; i < HEALTH_SERVERS_MAX; i++)
		if (s->health.list[i].used && !s->health.list[i].wanted)
			remove_server(&s->health.list[i]);
	for (uint32_t i = 0; i < s->snapshot->dnat_rules.count; i++)
		rule_take(s, &snap_dnat_rules(s->snapshot)[i], &after);
}

void health_give(struct supervisor *s)
{
	for (size_t i = 0; i < HEALTH_SERVERS_MAX; i++)
		if (s->health.list[i].used && s->health.list[i].down)
			tell(&s->health.list[i]);
}

void health_show(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m)
{
	static struct rows_piece piece;
	char text[ENDPOINT_TEXT_MAX];

	rows_begin(&piece, &to->port.link, tag, m);
	for (uint32_t i = rows_first(&piece, 0); i < HEALTH_SERVERS_MAX && rows_look(&piece, 0, i); i++) {
		const struct health_server *h = &s->health.list[i];
		if (!h->used)
			continue;
		struct jw *w = rows_row(&piece);
		jw_str(w, "server", endpoint_text(text, &h->at));
		jw_str(w, "state", h->down ? "down" : h->checks == 0 ? "not checked yet" : "up");
		jw_u64(w, "since_s", (s->loop.now - h->since) / NS_PER_S);
		jw_u64(w, "checks", h->checks);
		jw_u64(w, "failures", h->failures);
		jw_u64(w, "interval_s", h->interval_s);
		jw_str(w, "reason", h->why);
		rows_add(&piece);
	}
	rows_end(&piece);
}
