/*
 * The ledger's witnesses: the ledger has no network, so connections to them are opened here, to those of the
 * configuration and to nobody else. Their list is kept in a file, because the ledger must ask them before the
 * first configuration of a start is there.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_MAGIC	     0x32574750u /* "PGW2" */
#define CONNECTS_EACH_SECOND 64

struct file {
	uint32_t magic, zero;
	struct snap_evidence evidence;
};

static char *path_of(const struct supervisor *s, char ret_path[PATH_MAX], const char *ending)
{
	snprintf(ret_path, PATH_MAX, "%s/witnesses%s", s->options.state, ending);
	return ret_path;
}

void witnesses_load(struct supervisor *s)
{
	char path[PATH_MAX];
	struct file f;
	int fd = open(path_of(s, path, ""), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool whole = fd >= 0 && read(fd, &f, sizeof f) == sizeof f;

	if (fd >= 0)
		close(fd);
	if (whole && f.magic == FILE_MAGIC && snapshot_evidence_check(&f.evidence, NULL) == RC_OK)
		s->evidence = f.evidence;
	else if (fd >= 0 || errno != ENOENT)
		log_error("'%s' cannot be used: the ledger starts without asking its witnesses", path);
}

static enum rc keep(const struct supervisor *s, struct err *e)
{
	const struct file f = { .magic = FILE_MAGIC, .evidence = s->evidence };
	char path[PATH_MAX], made[PATH_MAX];
	int fd = open(path_of(s, made, ".new"), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, &f, sizeof f) == sizeof f && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	if (!good || rename(made, path_of(s, path, "")) < 0)
		return err_errno(e, RC_IO, "write '%s'", made);
	int dir = open(s->options.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		log_warn("sync '%s': %m", s->options.state);
	if (dir >= 0)
		close(dir);
	return RC_OK;
}

void witnesses_give(struct supervisor *s)
{
	struct ipc_link *ledger = &child_of(s, PROC_LEDGER)->port.link;

	if (ipc_link_up(ledger) && ipc_send_WITNESSES(ledger, 0, &s->evidence) != RC_OK)
		log_warn("the list of witnesses was not handed to the ledger");
}

void witnesses_take(struct supervisor *s, const struct snap_evidence *evidence)
{
	struct err e = { 0 };

	if (memcmp(&s->evidence, evidence, sizeof *evidence) == 0)
		return;
	s->evidence = *evidence;
	if (keep(s, &e) != RC_OK)
		log_error("%s: the next start asks the witnesses of before", e.text);
	witnesses_give(s);
}

static bool configured(const struct supervisor *s, const struct endpoint *to)
{
	/* A witness that is reached through IKE has no address; and nothing is one. */
	for (uint32_t i = 0; i < s->evidence.count && to->addr.family != ADDR_NONE; i++)
		if (memcmp(&s->evidence.witness[i].at, to, sizeof *to) == 0)
			return true;
	return false;
}

/* Somebody else in the ledger must not keep the supervisor busy. */
static bool too_many(struct supervisor *s)
{
	if (s->loop.now - s->connects_since >= NS_PER_S) {
		s->connects_since = s->loop.now;
		s->connects = 0;
	}
	return ++s->connects > CONNECTS_EACH_SECOND;
}

/* The connection is begun here and finds out there whether it comes to be. */
static int connect_begin(const struct endpoint *to, struct err *e)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(to->port) };
	bool v4 = to->addr.family == ADDR_V4;
	int one = 1, fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		err_errno(e, RC_IO, "make a socket");
		return -1;
	}
	memcpy(&a4.sin_addr, to->addr.b, sizeof a4.sin_addr);
	memcpy(&a6.sin6_addr, to->addr.b, sizeof a6.sin6_addr);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	int rc = v4 ? connect(fd, (struct sockaddr *)&a4, sizeof a4)
		    : connect(fd, (struct sockaddr *)&a6, sizeof a6);
	if (rc == 0 || errno == EINPROGRESS)
		return fd;
	err_errno(e, RC_IO, "connect");
	close(fd);
	return -1;
}

void witness_connect(struct supervisor *s, struct child_process *from, const struct ipc_frame *f)
{
	const struct endpoint *to = &f->u.WITNESS_CONNECT;
	struct msg_result refused = { 0 };
	struct err e = { 0 };
	int fd = -1;

	if (!configured(s, to))
		err_add(&e, RC_DENIED, "it is no witness of the configuration");
	else if (too_many(s))
		err_add(&e, RC_LIMIT, "too many connections in a second");
	else
		fd = connect_begin(to, &e);
	if (fd >= 0) {
		ipc_send_WITNESS_SOCKET(&from->port.link, f->head.tag, to, fd);
		close(fd);
		return;
	}
	refused.rc = e.rc;
	snprintf(refused.text, sizeof refused.text, "%s", e.text);
	ipc_send_WITNESS_REFUSED(&from->port.link, f->head.tag, &refused);
}
