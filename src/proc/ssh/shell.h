/*
 * plaingate-ssh: starts OpenSSH's sshd for administrators, in a mount namespace and a PID namespace of its own (sandbox/login.h), in which nobody
 * exists but root, whom sshd refuses, and the administrators of the configuration. Each of them has a uid that nobody else of the
 * machine has: by that
 * control knows, from its socket alone, who speaks. What it writes for sshd is made by src/ssh. It reads one thing that strangers
 * have had a hand in: sshd's log,
 * for attempts that failed, which it sums and enters.
 *
 *	main.c     the confinement
 *	shell.c    callbacks: links, messages, the tick
 *	server.c   host key, start and reload of sshd
 *	accounts.c files, homes and processes of administrators
 *	log.c      sshd's log
 *
 * When this process ends sshd ends, and with it each session. Single thread. Callers: main.c.
 */
#ifndef PROC_SSH_SHELL_H
#define PROC_SSH_SHELL_H

#include "crypto/hash.h"
#include "ipc/child.h"
#include "sandbox/login.h"
#include "ssh/failures.h"
#include "ssh/files.h"

#include <sys/types.h>

#define SSH_TICK_NS	   NS_PER_S
#define SSH_KEYGEN_WAIT_MS 20000 /* for ssh-keygen to make the host key */
#define SSH_LOG_ROOM	   4096	 /* octets of sshd's log that wait for the end of their line */

enum ssh_state { SSH_OFF, SSH_ENTERING, SSH_RUNS };

struct ssh {
	struct child *child;
	struct login_user privsep;
	pid_t first; /* sshd, once it runs; before that what becomes it */
	int go, log_fd;
	struct watch log;
	char log_text[SSH_LOG_ROOM];
	size_t log_n;
	enum ssh_state state;
	struct ssh_setup setup, next;	     /* next: has come, and is being checked */
	uint32_t home_uid[SSH_ACCOUNTS_MAX]; /* whose the home of that number is; 0: nobody's */
	bool accounts_due;		     /* not all files of setup could be written */
	char config[SSH_CONFIG_TEXT_MAX];
	enum ssh_since version;
	bool has_program;
	uint8_t program_sha256[SHA256_SIZE];
	char fingerprint[64]; /* of the host key; empty: not known yet */
	char last[200];	      /* of sshd's errors, for `show system ssh` */
	struct failures failures;
	struct timer tick;
};

void ssh_init(struct ssh *s, struct child *child, int supervisor_fd);

/* accounts.c */
/* A file of the namespace: all of it or as it was. */
enum rc ssh_file_write(const char *path, const char *text, size_t n, mode_t mode, struct err *e);
/* Accounts, keys and homes of s->setup, which has taken the place of `was`: who is gone is ended. An error is the first one; the rest is written. */
enum rc ssh_accounts_write(struct ssh *s, const struct ssh_setup *was, struct err *e);

/* server.c */
enum rc ssh_program_take(struct ssh *s, int fd, struct err *e);
/* sshd as s->setup has it: starts it after the ledger's receipt, or has it read its configuration again. */
enum rc ssh_server_apply(struct ssh *s, struct err *e);
void ssh_server_end(struct ssh *s);

/* log.c */
void ssh_log_follow(struct ssh *s);
void ssh_failures_enter(struct ssh *s);

#endif
