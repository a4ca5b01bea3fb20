/* sshd: its host key, its configuration, its start. */
#include "admin/ssh_key.h"
#include "base/log.h"
#include "ledger/types.h"
#include "proc/ssh/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SSHD	     "/usr/sbin/sshd"
#define SSHD_SESSION "/usr/lib/openssh/sshd-session"

/* What is copied is what is hashed. to -1: nothing is copied. */
static enum rc hash_copy(int from, int to, uint8_t ret_sha256[SHA256_SIZE], struct err *e)
{
	struct sha256_state state = sha256_begin();
	static uint8_t piece[1 << 16];
	enum rc rc = RC_OK;
	off_t at = 0;
	ssize_t n;

	while (rc == RC_OK && (n = pread(from, piece, sizeof piece, at)) != 0) {
		if (n < 0)
			rc = err_errno(e, RC_IO, "read a program");
		else if (to >= 0 && write(to, piece, (size_t)n) != n)
			rc = err_errno(e, RC_IO, "copy a program");
		else
			sha256_more(&state, piece, (size_t)n);
		at += n > 0 ? n : 0;
	}
	sha256_done(&state, ret_sha256);
	return rc;
}

enum rc ssh_program_take(struct ssh *s, int fd, struct err *e)
{
	int to = open(SSH_SHELL, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (to < 0)
		return err_errno(e, RC_IO, "make '%s'", SSH_SHELL);
	enum rc rc = hash_copy(fd, to, s->program_sha256, e);
	close(to);
	s->has_program = rc == RC_OK;
	return rc;
}

/* A program of the machine, with nothing open but the log; its exit status, -1 when it did not end in time. */
static int program_run(char *const *argv)
{
	static char path[] = "PATH=/usr/bin";
	char *env[] = { path, NULL };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
			_exit(1);
		close_range(3, ~0u, 0);
		execve(argv[0], argv, env);
		_exit(127);
	}
	for (int waited = 0; pid > 0 && waited < SSH_KEYGEN_WAIT_MS; waited += 20) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		poll(NULL, 0, 20);
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return -1;
}

/* Made once, and kept over restarts: a gateway whose host key changes is one that somebody may have put himself before. */
static enum rc host_key_make(struct err *e)
{
	static char program[] = "/usr/bin/ssh-keygen", quiet[] = "-q", type_is[] = "-t", type[] = "ed25519",
		    phrase_is[] = "-N", none[] = "", comment_is[] = "-C", file_is[] = "-f",
		    file[] = SSH_HOST_KEY;
	static char *const argv[] = { program, quiet, type_is, type, phrase_is, none, comment_is, none,
		file_is, file, NULL };

	if (access(SSH_HOST_KEY, F_OK) == 0)
		return RC_OK;
	if (program_run(argv) != 0)
		return err_add(
			e, RC_IO, "ssh-keygen did not make the host key: is openssh-client installed?");
	log_info("made the host key of ssh");
	return RC_OK;
}

static enum rc host_key_read(struct ssh *s, struct err *e)
{
	char text[SSH_KEY_TEXT_MAX + SSH_KEY_COMMENT_MAX];
	struct ssh_key key;
	const char *comment;
	size_t comment_n;
	int fd = open(SSH_HOST_KEY ".pub", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_errno(e, RC_IO, "read '%s.pub'", SSH_HOST_KEY);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	enum rc rc = ssh_key_parse(&key, text, (size_t)n, &comment, &comment_n, e);
	if (rc == RC_OK)
		ssh_key_fingerprint(s->fingerprint, &key);
	return rc;
}

static void go(struct ssh *s)
{
	if (write(s->go, "g", 1) != 1) {
		log_error("what becomes sshd is gone: %m");
		child_stop(s->child, 1);
		return;
	}
	s->state = SSH_RUNS;
	log_info("sshd is started on port %u", s->setup.port);
}

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct ssh *s = ((struct child *)context)->context;

	(void)cookie;
	if (s->state != SSH_ENTERING)
		return;
	if (r->rc == RC_OK) {
		go(s);
		return;
	}
	s->state = SSH_OFF; /* the tick tries again */
	snprintf(s->last, sizeof s->last, "the ledger did not enter its start: %.*s", 120, r->text);
}

static void hash_text(char ret_hex[2 * SHA256_SIZE + 1], const char *path)
{
	uint8_t sha256[SHA256_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ret_hex[0] = '\0';
	if (fd >= 0 && hash_copy(fd, -1, sha256, NULL) == RC_OK)
		hex_from_bytes(ret_hex, sha256, SHA256_SIZE);
	if (fd >= 0)
		close(fd);
}

static enum rc start_enter(struct ssh *s, struct err *e)
{
	static struct ledger_body b;
	char program[2 * SHA256_SIZE + 1], sshd[2 * SHA256_SIZE + 1];

	hash_text(sshd, s->version == SSH_SPLIT ? SSHD_SESSION : SSHD);
	ledger_body_begin(&b, LEDGER_SSH_START);
	ledger_body_str(&b, "fingerprint", s->fingerprint);
	ledger_body_u64(&b, "port", s->setup.port);
	ledger_body_str(&b, "program", hex_from_bytes(program, s->program_sha256, SHA256_SIZE));
	ledger_body_str(&b, "sshd", sshd);
	size_t n = ledger_body_done(&b);
	if (n == 0)
		return err_add(e, RC_INTERNAL, "the entry ssh_start does not fit");
	enum rc rc = child_append(s->child, LEDGER_GATE, LEDGER_SSH_START, b.text, n, on_receipt, 0);
	if (rc != RC_OK)
		return err_add(e, rc, "the ledger does not enter the start of sshd");
	s->state = SSH_ENTERING;
	return RC_OK;
}

static enum rc server_start(struct ssh *s, struct err *e)
{
	if (access(SSHD, X_OK) < 0)
		return err_add(e, RC_NOT_FOUND, "there is no " SSHD ": install openssh-server");
	if (!s->has_program)
		return err_add(e, RC_NOT_FOUND, "the administrator's program was not handed over");
	s->version = access(SSHD_SESSION, X_OK) == 0 ? SSH_SPLIT : SSH_ANY;
	enum rc rc = host_key_make(e);
	return rc == RC_OK ? host_key_read(s, e) : rc;
}

enum rc ssh_server_apply(struct ssh *s, struct err *e)
{
	static char text[SSH_CONFIG_TEXT_MAX];
	enum rc rc = s->state == SSH_RUNS ? RC_OK : server_start(s, e);

	if (rc != RC_OK)
		return rc;
	size_t n = ssh_config_text(text, sizeof text, &s->setup, s->version);
	bool same = n > 0 && strcmp(text, s->config) == 0;
	if (n == 0)
		return err_add(e, RC_LIMIT, "sshd's configuration is too long");
	rc = same ? RC_OK : ssh_file_write(SSH_CONFIG, text, n, 0644, e);
	if (rc != RC_OK)
		return rc;
	memcpy(s->config, text, n + 1);
	if (s->state == SSH_OFF)
		return start_enter(s, e);
	if (s->state == SSH_RUNS && !same && kill(s->first, SIGHUP) < 0) /* sessions go on */
		return err_errno(e, RC_IO, "tell sshd of its new configuration");
	return RC_OK;
}

/* The first process of its PID namespace: with it goes every session. The next one needs a new namespace, and so a new process. */
void ssh_server_end(struct ssh *s)
{
	if (s->state == SSH_OFF)
		return;
	kill(s->first, SIGKILL);
	log_info("ssh is not configured any more: sshd and its sessions are ended");
	child_stop(s->child, 0);
}
