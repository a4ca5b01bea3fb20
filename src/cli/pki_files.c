/* Files of `plaingate pki`: read whole, written whole. */
#include "cli/pki_files.h"

#include "cli/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum rc pki_file_read(struct pki_text *ret, const char *path, size_t max, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) /* a FIFO is refused, not waited for */;
	struct stat st;

	*ret = (struct pki_text){ 0 };
	if (fd < 0 || fstat(fd, &st) != 0) {
		err_errno(e, RC_IO, "open '%s'", path);
	} else if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max) {
		err_add(e, RC_LIMIT, "'%s' is not a file of at most %zu octets", path, max);
	} else if (!(ret->at = malloc((size_t)st.st_size + 1))) {
		err_add(e, RC_INTERNAL, "out of memory");
	} else {
		ssize_t n;
		while (ret->n < (size_t)st.st_size &&
			(n = read(fd, ret->at + ret->n, (size_t)st.st_size - ret->n)) > 0)
			ret->n += (size_t)n;
		ret->at[ret->n] = '\0';
		if (ret->n != (size_t)st.st_size)
			err_errno(e, RC_IO, "read '%s'", path);
	}
	if (fd >= 0)
		close(fd);
	return e->rc;
}

static enum rc folder_sync(const char *path, struct err *e)
{
	char folder[PART_PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof folder, "%.*s", slash ? (int)MAX_OF(slash - path, 1) : 1, slash ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err_errno(e, RC_IO, "write '%s' to the disk", folder);
	if (fd >= 0)
		close(fd);
	return e->rc;
}

/* Whole, or not at all. again: in place of what is there. */
enum rc pki_file_write(const char *path, const struct pki_text *text, mode_t mode, bool again, struct err *e)
{
	char part[PART_PATH_MAX];
	enum rc rc = part_write(part, path, text->at, text->n, e);

	if (rc)
		return rc;
	if (chmod(part, mode) != 0 ||
		renameat2(AT_FDCWD, part, AT_FDCWD, path, again ? 0 : RENAME_NOREPLACE) != 0) {
		if (errno == EEXIST)
			rc = err_add(e, RC_EXISTS,
				"'%s' exists already and is kept; remove it, or name another file", path);
		else
			rc = err_errno(e, RC_IO, "write '%s'", path);
		unlink(part);
		return rc;
	}
	return folder_sync(path, e);
}

bool pki_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}
