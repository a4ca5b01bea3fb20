/*
 * The table's system calls as a seccomp filter. Called by enter.c, once, with no_new_privs set. The
 * supervisor's filter is inherited by its children, who add their own to it: the stricter verdict wins.
 */
#include "sandbox/table.h"
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int allow_each(scmp_filter_ctx f, int call, unsigned argument, const uint64_t *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(
			f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP64(argument, SCMP_CMP_EQ, values[i]));
		if (r < 0)
			return r;
	}
	return 0;
}

static int allow_fcntl(scmp_filter_ctx f, int call)
{
	static const uint64_t values[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC,
		F_ADD_SEALS, F_GET_SEALS };

	return allow_each(f, call, 1, values, COUNT_OF(values));
}

static int allow_setsockopt(scmp_filter_ctx f, int call)
{
	static const int options[][2] = { { SOL_SOCKET, SO_ATTACH_FILTER }, { SOL_SOCKET, SO_ATTACH_BPF },
		{ SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF }, { IPPROTO_IP, IP_MTU_DISCOVER },
		{ IPPROTO_IPV6, IPV6_MTU_DISCOVER }, { SOL_PACKET, PACKET_FANOUT_DATA } };
	int r = 0;

	for (size_t i = 0; i < COUNT_OF(options) && r == 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 2,
			SCMP_CMP64(1, SCMP_CMP_EQ, (scmp_datum_t)options[i][0]),
			SCMP_CMP64(2, SCMP_CMP_EQ, (scmp_datum_t)options[i][1]));
	return r;
}

static int allow_prctl(scmp_filter_ctx f, int call)
{
	/* PR_SET_VMA: the C library and the sanitizers name their memory. */
	static const uint64_t values[] = { PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA */,
		PR_GET_DUMPABLE };

	return allow_each(f, call, 0, values, COUNT_OF(values));
}

static int allow_thread(scmp_filter_ctx f, int call)
{
	static const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
				      CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |
				      CLONE_CHILD_CLEARTID;

	return allow_each(f, call, 0, &flags, 1);
}

static int add(scmp_filter_ctx f, const struct call *c)
{
	const uint64_t self[] = { (uint64_t)getpid(), 0 };
	int r;

	switch (c->check) {
	case CALL_ANY:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, c->number, 0);
	case CALL_NO_EXEC:
		return seccomp_rule_add(
			f, SCMP_ACT_ALLOW, c->number, 1, SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case CALL_SELF:
		return allow_each(f, c->number, 0, self, 1);
	case CALL_SELF_OR_ZERO:
		return allow_each(f, c->number, 0, self, 2);
	case CALL_FCNTL:
		return allow_fcntl(f, c->number);
	case CALL_PRCTL:
		return allow_prctl(f, c->number);
	case CALL_SOCKET_OPTIONS:
		return allow_setsockopt(f, c->number);
	case CALL_CONNECTED:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, c->number, 1, SCMP_CMP64(4, SCMP_CMP_EQ, 0));
	case CALL_NO_LIMIT:
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, c->number, 2, SCMP_CMP64(0, SCMP_CMP_EQ, 0),
			SCMP_CMP64(2, SCMP_CMP_EQ, 0));
	case CALL_THREAD:
		return allow_thread(f, c->number);
	case CALL_ABSENT:
		return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), c->number, 0);
	case CALL_REFUSED:
		return seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), c->number, 0);
	case CALL_OPEN_FILE:
		r = seccomp_rule_add(
			f, SCMP_ACT_ALLOW, c->number, 1, SCMP_CMP64(3, SCMP_CMP_EQ, AT_EMPTY_PATH));
		return r < 0 ? r
			     : seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), c->number, 1,
				       SCMP_CMP64(3, SCMP_CMP_NE, AT_EMPTY_PATH));
	}
	return -EINVAL;
}

static int fill(scmp_filter_ctx f, enum proc self, const char **ret_call)
{
	for (size_t i = 0; i < calls_n; i++) {
		if (!(calls[i].who & 1u << self))
			continue;
		*ret_call = calls[i].name;
		int r = add(f, &calls[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* All but what the supervisor may ask for; 64: there are fewer. Refused, since libbpf tries what it can do without. */
static int never_bpf(scmp_filter_ctx f)
{
	int call = SCMP_SYS(bpf), r = 0;

	for (uint32_t command = 0; command < 64 && r == 0; command++) {
		bool may = false;
		for (size_t i = 0; i < supervisor_bpf_n; i++)
			may |= supervisor_bpf[i] == command;
		if (!may)
			r = seccomp_rule_add(
				f, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_CMP32(0, SCMP_CMP_EQ, command));
	}
	return r < 0 ? r
		     : seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_CMP32(0, SCMP_CMP_GE, 64));
}

static int fill_supervisor(scmp_filter_ctx f, const char **ret_call)
{
	for (size_t i = 0; i < supervisor_never_n; i++) {
		*ret_call = supervisor_never[i].name;
		int r = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, supervisor_never[i].number, 0);
		if (r < 0)
			return r;
	}
	*ret_call = "bpf";
	return never_bpf(f);
}

static int fill_offline(scmp_filter_ctx f, const char **ret_call)
{
	int r = 0;

	for (size_t i = 0; i < offline_calls_n && r >= 0; i++) {
		*ret_call = offline_calls[i].name;
		r = add(f, &offline_calls[i]);
	}
	return r;
}

/*
 * Families that sshd and the administrator's program use; netlink of the routes alone: without one for audit, sshd takes it that the
 * machine has none.
 */
static int fill_login(scmp_filter_ctx f, const char **ret_call)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	int r = 0;

	for (size_t i = 0; i < login_never_n && r == 0; i++) {
		*ret_call = login_never[i].name;
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), login_never[i].number, 0);
	}
	*ret_call = "socket";
	for (unsigned family = 0, k = 0; family < AF_MAX && r == 0; family++) {
		for (k = 0; k < COUNT_OF(families) && families[k] != (int)family; k++)
			;
		if (k == COUNT_OF(families))
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				SCMP_CMP32(0, SCMP_CMP_EQ, family));
	}
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
			SCMP_CMP32(0, SCMP_CMP_GE, AF_MAX));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), 2,
			SCMP_CMP32(0, SCMP_CMP_EQ, AF_NETLINK), SCMP_CMP32(2, SCMP_CMP_NE, NETLINK_ROUTE));
	*ret_call = "clone";
	if (r ==
		0) /* a user namespace would make its owner root again, of the kernel's less looked-at side */
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	return r == 0 ? seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) : r;
}

enum rc filter_load_login(struct err *e)
{
	const char *call = "";
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	enum rc rc = RC_OK;

	if (!f)
		return err_add(e, RC_INTERNAL, "seccomp: out of memory");
	int r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = fill_login(f, &call);
	if (r == 0)
		r = seccomp_load(f);
	if (r < 0) {
		errno = -r;
		rc = err_errno(e, RC_INTERNAL, "seccomp filter of ssh %s", call);
	}
	seccomp_release(f);
	return rc;
}

enum rc filter_load_offline(struct err *e)
{
	const char *call = "";
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	enum rc rc = RC_OK;
	int r;

	if (!f)
		return err_add(e, RC_INTERNAL, "seccomp: out of memory");
	r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = fill_offline(f, &call);
	if (r == 0)
		r = seccomp_load(f);
	if (r < 0) {
		errno = -r;
		rc = err_errno(e, RC_INTERNAL, "seccomp filter of a program on a file %s", call);
	}
	seccomp_release(f);
	return rc;
}

enum rc filter_load(enum proc self, struct err *e)
{
	bool supervisor = self == PROC_SUPERVISOR;
	const char *call = "";
	scmp_filter_ctx f = seccomp_init(supervisor ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	enum rc rc = RC_OK;
	int r;

	if (!f)
		return err_add(e, RC_INTERNAL, "seccomp: out of memory");
	/* No process here has use for system calls of another architecture. */
	r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: some sixty calls */
	if (r == 0)
		r = supervisor ? fill_supervisor(f, &call) : fill(f, self, &call);
	if (r == 0)
		r = seccomp_load(f);
	if (r < 0) {
		errno = -r;
		rc = err_errno(e, RC_INTERNAL, "seccomp filter of %s %s", proc_name(self), call);
	}
	seccomp_release(f);
	return rc;
}
