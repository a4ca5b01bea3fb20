/*
 * plaingate-ssh DIRECTORY SOCKET: remote administration. Both are the supervisor's to say: the directory of the host key, and control's socket.
 * Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/ssh/shell.h"

int main(int argc, char **argv)
{
	static struct ssh ssh;
	static struct child child;
	struct err e = { 0 };

	log_init(proc_name(PROC_SSH), LOG_INFO);
	if (argc != 3) {
		log_error("plaingate-ssh is started by plaingated");
		return 2;
	}
	const struct login_places places = { argv[1], argv[2] };
	if (sandbox_login(&places, &ssh.first, &ssh.go, &ssh.log_fd, &ssh.privsep, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	ssh_init(&ssh, &child, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
