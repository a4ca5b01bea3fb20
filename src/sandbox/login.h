/*
 * The confinement of the process `ssh`, and through it of sshd and of every administrator's session: the one that stays root, because sshd
 * becomes each administrator's user. What it is root of is a mount namespace and a PID namespace of its own:
 *
 *   /usr            the machine's libraries and eight of its programs, read only: no shell, interpreter, editor or pager; programs that change the
 *                   user have no effect (nosuid, no_new_privs)
 *   /etc, /shell    memory; root's; what the process `ssh` writes: accounts, keys, sshd's configuration, the administrator's program
 *   /keys           the directory of the host key, root's alone
 *   /homes/N        memory, bounded, one file system for each administrator, to which /home/NAME leads; nothing in it is executed
 *   /tmp            memory, bounded; sshd's: sessions cannot write there (sandbox_session())
 *   /run/plaingate/control.sock   control's socket
 *   /dev, /proc     a handful of devices, own terminals, own processes
 *
 * The machine's /etc, /var, /home and /root are not there, nor the ledger, the keys and the configuration of the gateway. Of root's
 * capabilities it keeps
 * LOGIN_CAPABILITIES, of the kernel's entrances none of LOGIN_NEVER. The network is the machine's.
 */
#ifndef SANDBOX_LOGIN_H
#define SANDBOX_LOGIN_H

#include "base/err.h"

#include <sys/types.h>

#define LOGIN_HOME_FORMAT "/homes/%02u" /* 0 to LOGIN_HOMES - 1 (sandbox/table.h) */

struct login_places {
	const char *keys;   /* directory of the host key, of the machine */
	const char *socket; /* control's */
};

struct login_user {
	uid_t uid;
	gid_t gid;
};

/*
 * Not reversible; on an error the process must end. ret_first: a process that waits, the first of the PID namespace: it becomes sshd when
 * ret_go is written to; when it ends, the kernel ends every session. ret_log: what it writes to its standard error. ret_privsep: whom sshd
 * becomes to read what strangers send.
 */
enum rc sandbox_login(const struct login_places *places, pid_t *ret_first, int *ret_go, int *ret_log,
	struct login_user *ret_privsep, struct err *e);

#endif
