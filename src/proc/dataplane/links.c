/*
 * The links' sockets as the supervisor hands them over: several for a link, each for one worker, so that the kernel
 * divides what arrives among them. A worker without a socket of its own for a link sends by the first one and reads
 * nothing.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "wire/flow.h"

#include <stdio.h>
#include <unistd.h>

static struct link_files *link_files_find(struct dataplane *d, uint32_t link)
{
	for (uint32_t i = 0; i < d->links_n; i++)
		if (d->links[i].link == link)
			return &d->links[i];
	return NULL;
}

static int first_fd(const struct link_files *f)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		if (f->fd[i] >= 0)
			return f->fd[i];
	return -1;
}

/* To the kernel: which of the sockets gets a packet. With another program, or none, packets only take a step more. */
static void group_program(const struct dataplane *d, const struct link_files *f)
{
	const struct flow_key key = flow_key_make(d->flow_key);
	struct sock_filter code[FLOW_PROGRAM_MAX];
	uint32_t sockets = 0;

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		sockets += f->fd[i] >= 0;
	if (sockets < 2 || f->fd[0] < 0)
		return;
	/* What the kernel chooses is a number modulo that of the sockets. */
	struct sock_fprog program = { (unsigned short)flow_program(&key, MIN_OF(sockets, d->workers_n), code),
		code };
	if (setsockopt(f->fd[0], SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) < 0)
		log_warn("load the program that divides the packets of %s among workers: %m", f->name);
}

static void link_take_from_all(struct dataplane *d, uint32_t link)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		link_remove(d->workers[i], link);
}

static void link_give_to_all(struct dataplane *d, const struct link_files *f)
{
	struct err e = { 0 };
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < d->workers_n && rc == RC_OK; i++) {
		bool reads = f->fd[i] >= 0;
		rc = link_add(d->workers[i], f->name, f->link, reads ? f->fd[i] : first_fd(f), reads, &e);
	}
	group_program(d, f);
	if (rc == RC_OK)
		return;
	log_error("%s", e.text); /* the others stay usable */
	link_take_from_all(d, f->link);
}

void links_take(struct dataplane *d, const char *name, uint32_t link, uint32_t worker, int fd)
{
	struct link_files *f = link_files_find(d, link);

	if (worker >= WORKERS_MAX || (!f && d->links_n == LINKS_MAX)) {
		log_error("interface %s is not used: more than %d interfaces, or %d sockets of one", name,
			LINKS_MAX, WORKERS_MAX);
		close(fd);
		return;
	}
	if (!f) {
		f = &d->links[d->links_n++];
		*f = (struct link_files){ .link = link };
		for (uint32_t i = 0; i < WORKERS_MAX; i++)
			f->fd[i] = -1;
	}
	snprintf(f->name, sizeof f->name, "%.*s", (int)sizeof f->name - 1, name);
	link_take_from_all(d, link);
	if (f->fd[worker] >= 0)
		close(f->fd[worker]); /* a new socket for a link replaces the old one */
	f->fd[worker] = fd;
	link_give_to_all(d, f);
}

static void link_files_close(struct link_files *f)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		if (f->fd[i] >= 0)
			close(f->fd[i]);
}

void links_take_back(struct dataplane *d, uint32_t link)
{
	struct link_files *f = link_files_find(d, link);

	link_take_from_all(d, link);
	if (!f)
		return;
	link_files_close(f);
	*f = d->links[--d->links_n];
}

void links_share_out(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->links_n; i++) {
		link_take_from_all(d, d->links[i].link);
		link_give_to_all(d, &d->links[i]);
	}
}

void links_close(struct dataplane *d)
{
	while (d->links_n > 0)
		links_take_back(d, d->links[0].link);
}
