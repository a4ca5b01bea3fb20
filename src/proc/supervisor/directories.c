/*
 * Directories, keys and the memory that outlives the data plane.
 *
 * A directory is handed over as a mount of its own (open_tree(2)), so that a process that holds it cannot
 * reach what stands above: `..` ends at it, without a check in its code.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

#define VIEW_GROUP "plaingate-view"

struct owner {
	uid_t uid;
	gid_t gid;
};

static enum rc owner_of(enum proc p, struct owner *ret_owner, struct err *e)
{
	FILE *f = fopen("/etc/passwd", "re");

	if (!f)
		return err_errno(e, RC_IO, "open '/etc/passwd'");
	for (struct passwd *pw; (pw = fgetpwent(f));)
		if (strcmp(pw->pw_name, proc_user(p)) == 0) {
			*ret_owner = (struct owner){ pw->pw_uid, pw->pw_gid };
			fclose(f);
			return RC_OK;
		}
	fclose(f);
	return err_add(
		e, RC_NOT_FOUND, "user '%s' does not exist (tools/make-users creates it)", proc_user(p));
}

static enum rc make_all(const char *path, struct err *e)
{
	char part[PATH_MAX];

	snprintf(part, sizeof part, "%s", path);
	for (char *c = part + 1;; c++) {
		if (*c != '/' && *c != '\0')
			continue;
		char end = *c;
		*c = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_errno(e, RC_IO, "make directory '%s'", part);
		if (end == '\0')
			return RC_OK;
		*c = end;
	}
}

/* The directory as a mount of its own: nothing above it, no set-user-id files, no devices, nothing to
 * execute. */
static int detach(struct supervisor *s, const char *path, bool read_only, struct err *e)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0) {
		err_errno(e, RC_IO, "open_tree '%s'", path);
		return -1;
	}
	a.attr_set |= read_only ? MOUNT_ATTR_RDONLY : 0;
	int fd = -1;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &a, sizeof a) < 0)
		err_errno(e, RC_IO, "mount_setattr '%s'", path);
	else if ((fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		err_errno(e, RC_IO, "open '%s'", path);
	assert(s->trees_n <
		COUNT_OF(
			s->trees)); /* keys, certificates, ledger, session log, feeds, configuration, CRLs twice */
	if (fd < 0)
		close(tree);
	else
		s->trees[s->trees_n++] = tree; /* the mount lives as long as this file is open */
	return fd;
}

static enum rc directory(struct supervisor *s, const char *path, enum proc holder, enum resource kind,
	bool read_only, struct err *e)
{
	struct owner o;
	enum rc rc = owner_of(holder, &o, e);

	if (rc == RC_OK)
		rc = make_all(path, e);
	if (rc != RC_OK)
		return rc;
	if (chown(path, o.uid, o.gid) < 0 || chmod(path, 0700) < 0)
		return err_errno(e, RC_IO, "give '%s' to %s", path, proc_name(holder));
	int fd = detach(s, path, read_only, e);
	if (fd < 0)
		return RC_IO;
	return resource_add(s, holder, kind, 0, path, fd) >= 0 ? RC_OK
							       : err_add(e, RC_LIMIT, "too many resources");
}

/* endings: with NULL behind the last. */
static bool is_one_of(const char *ending, const char *const *endings)
{
	for (; *endings; endings++)
		if (strcmp(ending, *endings) == 0)
			return true;
	return false;
}

/* Files that were written before, by this process's user or by root while it was installed. */
static void own_files(int directory_fd, const struct owner *o, const char *const *endings, mode_t mode)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *f; (f = readdir(d));) {
		const char *dot = strrchr(f->d_name, '.');
		struct stat st;
		if (!dot || !is_one_of(dot, endings))
			continue;
		/* Opened first, looked at then: a link that is put in its place gets nothing. */
		int file = openat(directory_fd, f->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (file < 0)
			continue;
		if (fstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
			(fchmod(file, mode) < 0 || fchown(file, o->uid, o->gid) < 0))
			log_warn("give key file '%s' to its process: %m", f->d_name);
		close(file);
	}
	closedir(d);
}

/* Key files belong to the keeper. */
static void keys_own(struct supervisor *s)
{
	static const char *const endings[] = { ".psk", ".pem", ".ppk", NULL };
	struct owner o;

	if (s->key_dir >= 0 && owner_of(PROC_KEEPER, &o, NULL) == RC_OK)
		own_files(s->key_dir, &o, endings, 0400);
}

static void keys_changed(struct loop *l, struct watch *w, short revents)
{
	char events[4096];

	while (read(w->fd, events, sizeof events) > 0)
		;
	keys_own((struct supervisor *)w->context);
}

/* root writes a key file, and the keeper, which is not root, reads it: it is given to the keeper as soon as it
 * exists. */
static enum rc keys_open(struct supervisor *s, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/keys", s->options.config);
	enum rc rc = directory(s, path, PROC_KEEPER, RESOURCE_KEY_DIR, true, e);
	if (rc != RC_OK)
		return rc;
	s->key_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->key_dir < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	keys_own(s);
	s->keys = (struct watch){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.events = POLLIN,
		.fn = keys_changed,
		.context = s };
	if (s->keys.fd < 0 ||
		inotify_add_watch(s->keys.fd, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB | IN_CREATE) < 0)
		return err_errno(e, RC_IO, "watch '%s'", path);
	loop_add(&s->loop, &s->keys);
	return RC_OK;
}

struct reader {
	enum proc holder;
	enum resource kind;
};

/* One mount, which all of them read. */
static enum rc readers_give(
	struct supervisor *s, const char *path, const struct reader *readers, size_t n, struct err *e)
{
	enum rc rc = RC_OK;
	int fd = detach(s, path, true, e);

	if (fd < 0)
		return RC_IO;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		int own = fcntl(fd, F_DUPFD_CLOEXEC, 4);
		if (own < 0)
			rc = err_errno(e, RC_IO, "open '%s' again", path);
		else if (resource_add(s, readers[i].holder, readers[i].kind, 0, path, own) < 0)
			rc = err_add(e, RC_LIMIT, "too many resources");
	}
	close(fd);
	return rc;
}

/* What is in it is public: root keeps it, and whoever is given it reads. */
static enum rc certificates_open(struct supervisor *s, struct err *e)
{
	static const struct reader readers[] = {
		{ PROC_CONTROL, RESOURCE_CERTIFICATE_DIR },
		{ PROC_CERTIFIER_OPENSSL, RESOURCE_CRL_DIR_OPENSSL },
		{ PROC_CERTIFIER_GNUTLS, RESOURCE_CRL_DIR_GNUTLS },
	};
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/certificates", s->options.config);
	enum rc rc = make_all(path, e);
	return rc == RC_OK ? readers_give(s, path, readers, COUNT_OF(readers), e) : rc;
}

/* The resolver writes them, and the certifiers, which are other users, read. */
static enum rc fetched_crls_open(struct supervisor *s, struct err *e)
{
	static const struct reader readers[] = {
		{ PROC_CERTIFIER_OPENSSL, RESOURCE_FETCHED_CRL_DIR_OPENSSL },
		{ PROC_CERTIFIER_GNUTLS, RESOURCE_FETCHED_CRL_DIR_GNUTLS },
	};
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/crls", s->options.state);
	enum rc rc = directory(s, path, PROC_RESOLVER, RESOURCE_FETCHED_CRL_DIR, false, e);
	if (rc == RC_OK && chmod(path, 0755) < 0)
		rc = err_errno(e, RC_IO, "let the certifiers read '%s'", path);
	return rc == RC_OK ? readers_give(s, path, readers, COUNT_OF(readers), e) : rc;
}

/* A configuration that root put there before the first start is read by control, which is not root. */
static enum rc config_open(struct supervisor *s, struct err *e)
{
	static const char *const endings[] = { ".conf", NULL };
	char path[PATH_MAX];
	struct owner o;

	snprintf(path, sizeof path, "%s/config", s->options.state);
	enum rc rc = directory(s, path, PROC_CONTROL, RESOURCE_CONFIG_DIR, false, e);
	int fd = rc == RC_OK ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0 && owner_of(PROC_CONTROL, &o, NULL) == RC_OK)
		own_files(fd, &o, endings, 0640);
	if (fd >= 0)
		close(fd);
	return rc;
}

static enum rc seed_make(const char *path, const char *what, struct err *e)
{
	uint8_t seed[32];
	char made[PATH_MAX + 8];

	snprintf(made, sizeof made, "%s.new", path);
	if (getrandom(seed, sizeof seed, 0) != sizeof seed)
		return err_errno(e, RC_IO, "draw %s", what);
	int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0400);
	bool written = fd >= 0 && write(fd, seed, sizeof seed) == sizeof seed && fsync(fd) == 0;
	bytes_wipe(seed, sizeof seed);
	if (fd >= 0)
		close(fd);
	if (!written || rename(made, path) < 0)
		return err_errno(e, RC_IO, "write '%s'", path);
	log_info("made %s, '%s'", what, path);
	return RC_OK;
}

/* A file of 32 octets in the state directory, drawn at the first start, for the process that holds it. */
static enum rc seed_file(struct supervisor *s, const char *name, const char *what, enum proc holder,
	enum resource kind, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", s->options.state, name);
	if (access(path, F_OK) < 0 && errno == ENOENT && seed_make(path, what, e) != RC_OK)
		return RC_IO;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != 32) {
		close(fd);
		return err_add(e, RC_MALFORMED, "'%s' is not a file of 32 bytes", path);
	}
	return resource_add(s, holder, kind, 0, name, fd) >= 0 ? RC_OK
							       : err_add(e, RC_LIMIT, "too many resources");
}

/* The ledger's key: an Ed25519 seed. Beside the log, not in it. */
static enum rc ledger_key(struct supervisor *s, struct err *e)
{
	return seed_file(s, "ledger.key", "the ledger's key", PROC_LEDGER, RESOURCE_LEDGER_KEY, e);
}

/*
 * By its tokens peers know after a boot that their IKE SAs are gone (src/ike/crash.c). With another secret they find out by their
 * liveness checks: a file that was cut short is no reason not to start.
 */
static enum rc crash_key(struct supervisor *s, struct err *e)
{
	static const char what[] = "the secret of crash tokens";
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s/crash.key", s->options.state);
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size != 32) {
		log_warn(
			"'%s' has %lld bytes, 32 were expected: it is made anew, and peers do not believe tokens of the old one",
			path, (long long)st.st_size);
		if (seed_make(path, what, e) != RC_OK)
			return RC_IO;
	}
	return seed_file(s, "crash.key", what, PROC_IKE, RESOURCE_CRASH_KEY, e);
}

static enum rc state_memory(struct supervisor *s, struct err *e)
{
	int fd = memfd_create("plaingate-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(e, RC_IO, "make the data plane's memory");
	/* Of a fixed size, so that no process that maps it can be made to fault. */
	if (ftruncate(fd, (off_t)STATE_BYTES) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err_errno(e, RC_IO, "size the data plane's memory");
		close(fd);
		return RC_IO;
	}
	return resource_add(s, PROC_DATAPLANE, RESOURCE_STATE, 0, "state", fd) >= 0
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "too many resources");
}

/* Members of the group may connect, if it exists; control lets users other than root only read. */
static void viewers_admit(const char *path)
{
	FILE *f = fopen("/etc/group", "re");

	for (struct group *g; f && (g = fgetgrent(f));)
		if (strcmp(g->gr_name, VIEW_GROUP) == 0 &&
			(chown(path, 0, g->gr_gid) < 0 || chmod(path, 0660) < 0))
			log_warn("give '%s' to the group " VIEW_GROUP ": %m", path);
	if (f)
		fclose(f);
}

/*
 * index 0: for users of the machine. 1: for those who come by ssh; in a directory that is root's, so that it exists in their mount
 * namespace alone.
 */
static enum rc cli_socket(struct supervisor *s, uint32_t index, const char *path, mode_t mode, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path, sizeof a.sun_path, "%s", path);

	if (n < 0 || (size_t)n >= sizeof a.sun_path)
		return err_add(e, RC_LIMIT, "'%s' is too long for the directory of a socket", s->options.run);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, RC_IO, "make the command line's socket");
	/* A file that a client sends is closed by who receives, which the client can make wait (SO_LINGER): none is let in, where the kernel can. */
	setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int));
	unlink(a.sun_path); /* of one before: the lock says that it is gone */
	mode_t old = umask(0777 & ~mode);
	bool bound = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0;
	umask(old);
	if (!bound) {
		err_errno(e, RC_IO, "bind '%s'", a.sun_path);
		close(fd);
		return RC_IO;
	}
	return resource_add(s, PROC_CONTROL, RESOURCE_CLI_SOCKET, index, "control.sock", fd) >= 0
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "too many resources");
}

static enum rc cli_sockets(struct supervisor *s, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/control.sock", s->options.run);
	enum rc rc = cli_socket(s, 0, path, 0600, e);
	if (rc == RC_OK)
		viewers_admit(path);
	snprintf(path, sizeof path, "%s/ssh", s->options.run);
	if (rc == RC_OK)
		rc = make_all(path, e);
	if (rc == RC_OK && (chown(path, 0, 0) < 0 || chmod(path, 0700) < 0))
		rc = err_errno(e, RC_IO, "keep '%s' for root", path);
	return rc == RC_OK ? cli_socket(s, 1, s->ssh_socket, 0666, e) : rc;
}

/* Of the host key: root's, as sshd is. */
static enum rc ssh_keys_open(struct supervisor *s, struct err *e)
{
	snprintf(s->ssh_keys, sizeof s->ssh_keys, "%s/ssh", s->options.state);
	snprintf(s->ssh_socket, sizeof s->ssh_socket, "%s/ssh/control.sock", s->options.run);
	enum rc rc = make_all(s->ssh_keys, e);
	if (rc == RC_OK && (chown(s->ssh_keys, 0, 0) < 0 || chmod(s->ssh_keys, 0700) < 0))
		rc = err_errno(e, RC_IO, "keep '%s' for root", s->ssh_keys);
	return rc;
}

/*
 * The administrator's program, which a login runs: beside the processes' executables, or in the bin of the same prefix. Where it is missing nobody
 * logs in, and nothing else is concerned.
 */
static enum rc shell_program(struct supervisor *s, struct err *e)
{
	static const char *const places[] = { "", "/../../bin" };
	struct measured m = { .fd = -1 };
	char path[PATH_MAX];

	for (size_t i = 0; i < COUNT_OF(places) && m.fd < 0; i++) {
		snprintf(path, sizeof path, "%s%s/plaingate", s->options.libexec, places[i]);
		if (access(path, R_OK) == 0 && measured_read(path, &m, e) != RC_OK)
			return RC_IO;
	}
	if (m.fd < 0) {
		log_warn(
			"the administrator's program is neither in '%s' nor in the bin beside it: nobody can log in by ssh",
			s->options.libexec);
		return RC_OK;
	}
	return resource_add(s, PROC_SSH, RESOURCE_SHELL_PROGRAM, 0, "plaingate", m.fd) >= 0
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "too many resources");
}

enum rc directories_open(struct supervisor *s, struct err *e)
{
	char path[PATH_MAX];
	enum rc rc = keys_open(s, e);

	if (rc == RC_OK)
		rc = certificates_open(s, e);
	snprintf(path, sizeof path, "%s/ledger", s->options.state);
	if (rc == RC_OK)
		rc = directory(s, path, PROC_LEDGER, RESOURCE_LEDGER_DIR, false, e);
	if (rc == RC_OK)
		rc = config_open(s, e);
	snprintf(path, sizeof path, "%s/log", s->options.state);
	if (rc == RC_OK)
		rc = directory(s, path, PROC_EXPORT, RESOURCE_LOG_DIR, false, e);
	snprintf(path, sizeof path, "%s/feeds", s->options.state);
	if (rc == RC_OK)
		rc = directory(s, path, PROC_RESOLVER, RESOURCE_FEED_DIR, false, e);
	if (rc == RC_OK)
		rc = fetched_crls_open(s, e);
	if (rc == RC_OK)
		rc = ledger_key(s, e);
	if (rc == RC_OK)
		rc = crash_key(s, e);
	if (rc == RC_OK)
		rc = ssh_keys_open(s, e);
	if (rc == RC_OK)
		rc = shell_program(s, e);
	if (rc == RC_OK)
		rc = state_memory(s, e);
	return rc == RC_OK ? cli_sockets(s, e) : rc;
}
