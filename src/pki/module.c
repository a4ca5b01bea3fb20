/*
 * The module of a token is code that runs in this process, with the PIN in its memory, and its name may come with an authority's directory
 * that is somebody else's. So it is one that root alone can have put there, and nobody else can exchange, now or while the PIN is typed.
 */
#include "pki/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_of_root(const struct stat *st)
{
	return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

enum rc pki_module_of_root(char ret_path[PATH_MAX], const char *module, struct err *e)
{
	char at[PATH_MAX];
	struct stat st;

	if (module[0] != '/')
		return err_add(e, RC_DENIED,
			"the module '%.200s' is not loaded: expected a whole path, such as /usr/lib/.../module.so",
			module);
	if (!realpath(module, ret_path))
		return err_errno(e, RC_DENIED, "the module '%.200s' is not loaded", module);
	/* The path has no links any more. Whoever may write in a directory of it may put another file into its place. */
	snprintf(at, sizeof at, "%s", ret_path);
	for (bool file = true;; file = false) {
		if (lstat(at, &st) != 0)
			return err_errno(e, RC_DENIED, "the module '%.200s' is not loaded", module);
		if (!is_of_root(&st) || (file && !S_ISREG(st.st_mode)))
			return err_add(e, RC_DENIED,
				"the module '%.200s' is not loaded: expected a file, and directories above it, that belong to root and that no others may write; '%.100s' is not so",
				module, at);
		char *slash = strrchr(at, '/');
		if (slash == at && !at[1])
			return RC_OK;
		slash[slash == at] = '\0';
	}
}
