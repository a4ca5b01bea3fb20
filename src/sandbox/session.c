/* Where a session may write. All of sshd's sessions share /tmp, which sshd needs in order to begin one: nobody may fill it. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of later kernels than the headers are. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

#define WRITES                                                                                               \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |    \
		LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |   \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                                \
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* A directory cannot be left out: then nothing below it would be permitted, and the caller would not know why. */
static enum rc permit(int rules, const char *directory, uint64_t what, struct err *e)
{
	struct landlock_path_beneath_attr below = { .allowed_access = what,
		.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) };

	if (below.parent_fd < 0)
		return err_errno(e, RC_IO, "open '%s'", directory);
	long bad = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
	enum rc rc = bad ? err_errno(e, RC_IO, "permit writing below '%s'", directory) : RC_OK;
	close(below.parent_fd);
	return rc;
}

enum rc sandbox_session(const char *home, struct err *e)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr handled = { .handled_access_fs = WRITES };

	if (version < 1)
		return err_errno(e, RC_UNSUPPORTED, "the kernel has no Landlock");
	if (version >= 2) /* before it, files are never linked or renamed into other directories */
		handled.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3) /* before it, truncate() of a file that exists is not refused: it makes room */
		handled.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
	if (rules < 0)
		return err_errno(e, RC_IO, "make a rule set of Landlock");
	enum rc rc = permit(rules, home, handled.handled_access_fs, e);
	if (rc == RC_OK)
		rc = permit(rules, "/dev", LANDLOCK_ACCESS_FS_WRITE_FILE, e);
	if (rc == RC_OK && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
				   syscall(SYS_landlock_restrict_self, rules, 0) < 0))
		rc = err_errno(e, RC_IO, "restrict writing");
	close(rules);
	return rc;
}
