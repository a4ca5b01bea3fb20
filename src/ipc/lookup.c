#include "ipc/lookup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void lookup_stop(struct lookup *l)
{
	for (size_t i = 0; i < l->servers_n; i++) {
		loop_remove(l->loop, &l->servers[i]);
		close(l->servers[i].fd);
		l->servers[i].fd = -1;
	}
	l->servers_n = 0;
	loop_disarm(l->loop, &l->timer);
	l->active = false;
}

/* One of each family in turn: what does not work of one of them costs one try. */
static void end(struct lookup *l)
{
	struct ip_addr all[LOOKUP_ADDRESSES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < NAMES_EACH_MAX; i++)
		for (size_t k = 0; k < 2; k++)
			if (i < l->found[k].n)
				all[n++] = l->found[k].addr[i];
	lookup_stop(l);
	if (n == 0 && !l->why[0])
		snprintf(l->why, sizeof l->why,
			l->answered[0] && l->answered[1] ? "the name '%.100s' has no address"
							 : "no answer from the name servers for '%.100s'",
			l->question[0].host);
	l->done(l, all, n, l->why);
}

static void question_send(struct lookup *l, const struct names_question *q)
{
	uint8_t bytes[NAMES_QUERY_MAX];
	size_t n = names_query(bytes, q);

	for (size_t i = 0; i < l->servers_n; i++)
		if (n > 0 && send(l->servers[i].fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			snprintf(l->why, sizeof l->why, "ask a name server: %m");
}

static void round_begin(struct lookup *l)
{
	l->rounds++;
	for (size_t k = 0; k < 2; k++)
		if (!l->answered[k])
			question_send(l, &l->question[k]);
	loop_arm(l->loop, &l->timer, LOOKUP_ROUND_NS, 0);
}

static void on_timer(struct loop *loop, struct timer *t)
{
	struct lookup *l = t->context;

	(void)loop;
	if (l->rounds >= LOOKUP_ROUNDS || l->found[0].n + l->found[1].n > 0)
		end(l);
	else
		round_begin(l);
}

static void answer_take(struct lookup *l, size_t k, const void *bytes, size_t n)
{
	struct names_found found;
	struct err e = { 0 };
	enum rc rc = names_answer(&found, &l->question[k], bytes, n, &e);

	if (l->answered[k] || rc == RC_DENIED || rc == RC_MALFORMED) /* another question's, or anybody's */
		return;
	snprintf(l->why, sizeof l->why, "%.*s", (int)sizeof l->why - 1, e.text);
	if (rc == RC_AGAIN) /* another server may know, or this one later */
		return;
	l->answered[k] = true;
	l->missing[k] = rc == RC_NOT_FOUND;
	l->found[k] = found;
}

static void on_ready(struct loop *loop, struct watch *w, short revents)
{
	struct lookup *l = w->context;
	uint8_t bytes[NAMES_ANSWER_MAX];
	struct iovec part = { bytes, sizeof bytes };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT);

	(void)loop;
	(void)revents;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			snprintf(l->why, sizeof l->why, "ask a name server: %m");
		return;
	}
	for (size_t k = 0; k < 2; k++)
		answer_take(l, k, bytes, (size_t)n);
	if (l->answered[0] && l->answered[1])
		end(l);
	else if (l->found[0].n + l->found[1].n > 0)
		loop_arm(l->loop, &l->timer, LOOKUP_GRACE_NS, 0);
}

void lookup_init(struct lookup *l, struct loop *loop, lookup_fn *done, void *context)
{
	*l = (struct lookup){ .loop = loop, .done = done, .context = context };
	l->timer = (struct timer){ .fn = on_timer, .context = l };
}

void lookup_begin(struct lookup *l, const char *host, const uint16_t ids[2], bool large)
{
	lookup_stop(l);
	l->active = true;
	l->rounds = 0;
	l->why[0] = '\0';
	for (size_t k = 0; k < 2; k++) {
		l->question[k] =
			(struct names_question){ .host = host, .id = ids[k], .v6 = k == 0, .large = large };
		l->answered[k] = l->missing[k] = false;
		l->found[k] = (struct names_found){ .ttl_s = NAMES_TTL_MAX_S };
	}
}

void lookup_server(struct lookup *l, int fd)
{
	if (!l->active || l->rounds > 0 || l->servers_n == LOOKUP_SERVERS_MAX) {
		close(fd);
		return;
	}
	struct watch *w = &l->servers[l->servers_n++];
	*w = (struct watch){ .fd = fd, .events = POLLIN, .fn = on_ready, .context = l };
	loop_add(l->loop, w);
}

void lookup_ask(struct lookup *l)
{
	if (l->active && l->rounds == 0)
		round_begin(l);
}
