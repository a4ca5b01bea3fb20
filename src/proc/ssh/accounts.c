/*
 * What exists for administrators in sshd's namespace. An administrator's own files and processes are touched as his user only, never as root. What is
 * written here lies on file systems that no session can write to; what could not be written does not hold up the rest, and is
 * written at the next tick.
 */
#include "base/log.h"
#include "proc/ssh/shell.h"
#include "sandbox/table.h"

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

/* Every process of that user in this PID namespace, in one call, from inside; then what is in his home. False: no process for it. */
static bool user_end(uint32_t uid, const char *home)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		become(uid);
		kill(-1, SIGKILL);
		int fd = open(home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			empty_directory(fd);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0;
}

/* Root's again, and empty: the next one finds nothing of the one before. */
static bool home_take_back(const char *home)
{
	if (chown(home, 0, 0) < 0 || chmod(home, 0700) < 0)
		return false;
	DIR *d = opendir(home);
	unsigned n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n == 2; /* itself and the one above */
}

static void account_end(struct ssh *s, const struct ssh_account *a)
{
	char path[96], home[32] = "/";
	unsigned i = 0;

	while (i < LOGIN_HOMES && s->home_uid[i] != a->uid)
		i++;
	if (i < LOGIN_HOMES)
		snprintf(home, sizeof home, LOGIN_HOME_FORMAT, i);
	snprintf(path, sizeof path, SSH_KEYS_DIR "/%s", a->name);
	unlink(path);
	snprintf(path, sizeof path, SSH_HOMES "/%s", a->name);
	unlink(path);
	bool ended = user_end(a->uid, home);
	if (i < LOGIN_HOMES && home_take_back(home))
		s->home_uid[i] = 0; /* else it stays his, and is given to nobody */
	if (!ended || (i < LOGIN_HOMES && s->home_uid[i] != 0))
		log_warn(
			"the processes and files of '%s', who is no administrator any more, were not all removed",
			a->name);
}

static void gone_end(struct ssh *s, const struct ssh_setup *was)
{
	for (uint32_t i = 0; i < was->accounts_n; i++) {
		const struct ssh_account *a = ssh_account_find(&s->setup, was->account[i].name);
		if (!a || a->uid != was->account[i].uid)
			account_end(s, &was->account[i]);
	}
}

/* A file system of his own, which he keeps; /home/NAME leads to it. */
static enum rc home_give(struct ssh *s, const struct ssh_account *a, struct err *e)
{
	char path[96], home[32];
	unsigned i = 0, empty = LOGIN_HOMES;

	while (i < LOGIN_HOMES && s->home_uid[i] != a->uid) {
		if (s->home_uid[i] == 0 && empty == LOGIN_HOMES)
			empty = i;
		i++;
	}
	if (i == LOGIN_HOMES)
		i = empty;
	if (i == LOGIN_HOMES)
		return err_add(e, RC_LIMIT, "no home is left for '%s'", a->name);
	snprintf(home, sizeof home, LOGIN_HOME_FORMAT, i);
	snprintf(path, sizeof path, SSH_HOMES "/%s", a->name);
	if (s->home_uid[i] == 0 && chown(home, a->uid, a->uid) < 0)
		return err_errno(e, RC_IO, "give '%s' away", home);
	s->home_uid[i] = a->uid;
	if (symlink(home, path) < 0 && errno != EEXIST)
		return err_errno(e, RC_IO, "link '%s'", path);
	return RC_OK;
}

static enum rc account_write(struct ssh *s, const struct ssh_account *a, struct err *e)
{
	static char text[SSH_FILE_TEXT_MAX];
	char path[96];
	enum rc rc = home_give(s, a, e);

	if (rc != RC_OK)
		return rc;
	snprintf(path, sizeof path, SSH_KEYS_DIR "/%s", a->name);
	return ssh_file_write(path, text, ssh_keys_text(text, sizeof text, a), 0644, e);
}

static const char services[] = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n";

/* One of the files that are about all of them. */
static enum rc common_write(const struct ssh *s, unsigned which, struct err *e)
{
	static char text[SSH_FILE_TEXT_MAX];
	const struct ssh_setup *setup = &s->setup;

	switch (which) {
	case 0:
		return ssh_file_write("/etc/passwd", text,
			ssh_passwd_text(text, sizeof text, setup, s->privsep.uid, s->privsep.gid), 0644, e);
	case 1:
		return ssh_file_write("/etc/group", text,
			ssh_group_text(text, sizeof text, setup, s->privsep.gid), 0644, e);
	case 2:
		return ssh_file_write(
			"/etc/shadow", text, ssh_shadow_text(text, sizeof text, setup), 0600, e);
	case 3:
		return ssh_file_write("/etc/nsswitch.conf", services, sizeof services - 1, 0644, e);
	default:
		return ssh_file_write(
			SSH_AUTHORITIES, text, ssh_authorities_text(text, sizeof text, setup), 0644, e);
	}
}

#define COMMON_FILES 5u

enum rc ssh_accounts_write(struct ssh *s, const struct ssh_setup *was, struct err *e)
{
	const struct ssh_setup *setup = &s->setup;
	enum rc first = RC_OK;

	gone_end(s, was); /* whatever becomes of the files */
	for (uint32_t i = 0; i < COMMON_FILES + setup->accounts_n; i++) {
		struct err one = { 0 };
		enum rc rc = i < COMMON_FILES ? common_write(s, i, &one)
					      : account_write(s, &setup->account[i - COMMON_FILES], &one);
		if (rc != RC_OK && first == RC_OK)
			first = err_add(e, rc, "%s", one.text);
	}
	s->accounts_due = first != RC_OK;
	return first;
}
