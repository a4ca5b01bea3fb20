/* What exists for administrators in sshd's namespace. An administrator's own files and processes are touched as his user only, never as root. */
#include "base/log.h"
#include "proc/ssh/shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum rc ssh_file_write(const char *path, const char *text, size_t n, mode_t mode, struct err *e)
{
	char made[128];

	snprintf(made, sizeof made, "%s.new", path);
	int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, RC_IO, "make '%s'", made);
	bool written = write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0;
	close(fd);
	return written && rename(made, path) == 0 ? RC_OK : err_errno(e, RC_IO, "write '%s'", path);
}

/* In a process of that user: no capability, and only what is his within reach. */
static void become(uint32_t uid)
{
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(1);
}

static void empty_directory(int fd)
{
	DIR *d = fdopendir(fd);

	if (!d)
		return;
	for (struct dirent *f; (f = readdir(d));) {
		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), f->d_name, 0) == 0)
			continue;
		int inner = openat(dirfd(d), f->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inner >= 0)
			empty_directory(inner);
		unlinkat(dirfd(d), f->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

/* Every process of that user in this PID namespace, in one call, from inside; then what he left. */
static void account_end(const struct ssh_account *a)
{
	char path[96];
	int status;

	snprintf(path, sizeof path, SSH_KEYS_DIR "/%s", a->name);
	unlink(path);
	snprintf(path, sizeof path, SSH_HOMES "/%s", a->name);
	pid_t pid = fork();
	if (pid == 0) {
		become(a->uid);
		kill(-1, SIGKILL);
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			empty_directory(fd);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || (rmdir(path) < 0 && errno != ENOENT))
		log_warn(
			"the processes and files of '%s', who is no administrator any more, were not all removed: %m",
			a->name);
}

static void gone_end(const struct ssh_setup *was, const struct ssh_setup *now)
{
	for (uint32_t i = 0; i < was->accounts_n; i++) {
		const struct ssh_account *a = ssh_account_find(now, was->account[i].name);
		if (!a || a->uid != was->account[i].uid)
			account_end(&was->account[i]);
	}
}

static enum rc account_write(const struct ssh_account *a, struct err *e)
{
	static char text[SSH_FILE_TEXT_MAX];
	char path[96];

	snprintf(path, sizeof path, SSH_HOMES "/%s", a->name);
	if (mkdir(path, 0700) == 0) {
		if (chown(path, a->uid, a->uid) < 0)
			return err_errno(e, RC_IO, "give '%s' away", path);
	} else if (errno != EEXIST) {
		return err_errno(e, RC_IO, "make '%s'", path);
	}
	snprintf(path, sizeof path, SSH_KEYS_DIR "/%s", a->name);
	return ssh_file_write(path, text, ssh_keys_text(text, sizeof text, a), 0644, e);
}

enum rc ssh_accounts_write(struct ssh *s, const struct ssh_setup *was, struct err *e)
{
	static const char services[] = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n";
	static char text[SSH_FILE_TEXT_MAX];
	const struct ssh_setup *setup = &s->setup;
	enum rc rc = ssh_file_write("/etc/passwd", text,
		ssh_passwd_text(text, sizeof text, setup, s->privsep.uid, s->privsep.gid), 0644, e);

	if (rc == RC_OK)
		rc = ssh_file_write("/etc/group", text,
			ssh_group_text(text, sizeof text, setup, s->privsep.gid), 0644, e);
	if (rc == RC_OK)
		rc = ssh_file_write("/etc/shadow", text, ssh_shadow_text(text, sizeof text, setup), 0600, e);
	if (rc == RC_OK)
		rc = ssh_file_write("/etc/nsswitch.conf", services, sizeof services - 1, 0644, e);
	if (rc == RC_OK)
		rc = ssh_file_write(
			SSH_AUTHORITIES, text, ssh_authorities_text(text, sizeof text, setup), 0644, e);
	gone_end(was, setup); /* whatever became of the files */
	for (uint32_t i = 0; rc == RC_OK && i < setup->accounts_n; i++)
		rc = account_write(&setup->account[i], e);
	return rc;
}
