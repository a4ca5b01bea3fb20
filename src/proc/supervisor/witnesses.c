/*
 * The ledger's witnesses: the ledger has no network and the courier has none, so connections to them are
 * opened here, to those of the configuration and to no other host. Where a witness has a name, its address is
 * the one that the courier got from the name servers; its port is the configuration's. Their list is kept in a
 * file, because the ledger must ask them before the first configuration of a start arrives.
 */
#include "base/log.h"
#include "base/url.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_MAGIC 0x33574750u /* "PGW3" */

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

/* Opened each time: an update of the list puts another file in its place. */
static void authorities_give(struct child_process *courier)
{
	const struct msg_resource m = { .kind = RESOURCE_AUTHORITIES, .name = SYSTEM_AUTHORITIES };
	int fd = open(SYSTEM_AUTHORITIES, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		if (errno != ENOENT)
			log_error("open '%s': %m", SYSTEM_AUTHORITIES);
		return;
	}
	if (ipc_send_RESOURCE(&courier->port.link, 0, &m, fd) != RC_OK)
		log_warn("the list of authorities was not handed over to the courier");
	close(fd);
}

void witnesses_give(struct supervisor *s, struct child_process *to)
{
	if (!ipc_link_up(&to->port.link))
		return;
	if (to->id == PROC_COURIER)
		authorities_give(to);
	if (ipc_send_WITNESSES(&to->port.link, 0, &s->evidence) != RC_OK)
		log_warn("the list of witnesses was not handed over to the %s", proc_name(to->id));
}

void witnesses_take(struct supervisor *s, const struct snap_evidence *evidence)
{
	struct err e = { 0 };

	if (memcmp(&s->evidence, evidence, sizeof *evidence) == 0)
		return;
	s->evidence = *evidence;
	if (keep(s, &e) != RC_OK)
		log_error("%s; the next start asks the previous witnesses", e.text);
	witnesses_give(s, child_of(s, PROC_LEDGER));
	witnesses_give(s, child_of(s, PROC_COURIER));
}

static bool by_address(const struct supervisor *s, const struct endpoint *to)
{
	/* A witness that is reached by another way has no address; and nothing is one. */
	for (uint32_t i = 0; i < s->evidence.count && to->addr.family != ADDR_NONE; i++)
		if (memcmp(&s->evidence.witness[i].at, to, sizeof *to) == 0)
			return true;
	return false;
}

/* One of an interface of this machine; where they cannot be read, any. */
static bool is_own(const struct ip_addr *a)
{
	struct ifaddrs *all;
	bool own = false;

	if (getifaddrs(&all) < 0)
		return true;
	for (const struct ifaddrs *i = all; i && !own; i = i->ifa_next) {
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && a->family == ADDR_V4) {
			const struct sockaddr_in *four = (const void *)i->ifa_addr;
			own = memcmp(&four->sin_addr, a->b, 4) == 0;
		} else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6 && a->family == ADDR_V6) {
			const struct sockaddr_in6 *six = (const void *)i->ifa_addr;
			own = memcmp(&six->sin6_addr, a->b, 16) == 0;
		}
	}
	freeifaddrs(all);
	return own;
}

/* A name may not lead to this machine's own services, to its links alone (where a cloud has a service for its
 * machines), to groups or to mapped addresses. */
bool address_is_elsewhere(const struct ip_addr *a)
{
	static const uint8_t zeros[12], mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool may;

	if (a->family == ADDR_V4)
		may = a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224 && !(a->b[0] == 169 && a->b[1] == 254);
	else /* ::, ::1 and IPv4 addresses in IPv6's form all begin so */
		may = a->family == ADDR_V6 && memcmp(a->b, zeros, sizeof zeros) != 0 &&
		      memcmp(a->b, mapped, sizeof mapped) != 0 && a->b[0] != 0xff &&
		      !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
	return may && !is_own(a);
}

static bool by_url(const struct supervisor *s, const struct endpoint *to)
{
	struct url u;

	for (uint32_t i = 0; i < s->evidence.count; i++) {
		const struct snap_witness *w = &s->evidence.witness[i];
		if (!w->url[0] || url_parse(&u, w->url, NULL) != RC_OK || u.port != to->port ||
			to->scope != 0)
			continue;
		if (u.address.family == ADDR_NONE ? address_is_elsewhere(&to->addr)
						  : addr_equal(&u.address, &to->addr))
			return true;
	}
	return false;
}

void witness_connect(struct supervisor *s, struct child_process *from, const struct ipc_frame *f)
{
	const struct endpoint *to = &f->u.WITNESS_CONNECT;
	char at[ENDPOINT_TEXT_MAX];
	struct err e = { 0 };
	int fd = -1;

	if (connects_limit(from, &e) == RC_OK) {
		if (from->id == PROC_COURIER ? by_url(s, to) : by_address(s, to))
			fd = connect_begin(to, SOCK_STREAM, &e);
		else
			err_add(&e, RC_DENIED, "%s is not a witness of the configuration",
				endpoint_text(at, to));
	}
	if (fd >= 0) {
		ipc_send_WITNESS_SOCKET(&from->port.link, f->head.tag, to, fd);
		close(fd);
		return;
	}
	const struct msg_result refused = connect_refused(&e);
	ipc_send_WITNESS_REFUSED(&from->port.link, f->head.tag, &refused);
}
