#include "cli/directory.h"
#include "base/bytes.h"
#include "cli/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int directory_open(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static enum rc file_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	int fd = directory_open(*(const int *)context, path, O_RDONLY | O_NONBLOCK);
	enum rc rc = RC_IO;
	struct stat st;
	size_t at = 0;

	*ret_bytes = NULL;
	*ret_n = 0;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR		    ? RC_NOT_FOUND
		       : errno == ELOOP || errno == EXDEV || errno == ENXIO ? RC_MALFORMED
									    : RC_IO;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		rc = RC_MALFORMED;
	else if (S_ISREG(st.st_mode) && st.st_size <= (off_t)CLI_FILE_BYTES_MAX &&
		 (*ret_bytes = malloc((size_t)st.st_size + 1))) {
		ssize_t n = 1;
		while (at < (size_t)st.st_size && n > 0) {
			n = read(fd, *ret_bytes + at, (size_t)st.st_size - at);
			at += n > 0 ? (size_t)n : 0;
		}
		rc = n < 0 ? RC_IO : RC_OK; /* shorter than it was: truncated meanwhile */
	}
	if (rc != RC_OK) {
		free(*ret_bytes);
		*ret_bytes = NULL;
	}
	*ret_n = rc == RC_OK ? at : 0;
	close(fd);
	return rc;
}

/* fd is closed here. */
static enum rc folder_list(
	int fd, const char *path, int depth, void (*each)(void *to, const char *path), void *to)
{
	DIR *d = fdopendir(fd);
	enum rc rc = RC_OK;

	if (!d) {
		close(fd);
		return RC_IO;
	}
	for (struct dirent *f; rc == RC_OK && (f = readdir(d)) != NULL;) {
		char name[CLI_PATH_BYTES_MAX];
		int n = snprintf(name, sizeof name, "%s%s%s", path, path[0] ? "/" : "", f->d_name);
		int below;

		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
			continue;
		if (n < 0 || (size_t)n >= sizeof name) {
			each(to, f->d_name); /* none of a ledger's, whatever it is */
			continue;
		}
		below = openat(dirfd(d), f->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			each(to, name);
		else if (depth == CLI_DEPTH_MAX)
			close(below);
		else
			rc = folder_list(below, name, depth + 1, each, to);
	}
	closedir(d);
	return rc;
}

static enum rc files_list(void *context, void (*each)(void *to, const char *path), void *to)
{
	int fd = openat(*(const int *)context, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? RC_IO : folder_list(fd, "", 0, each, to);
}

static void short_pause(void *context)
{
	const struct timespec t = { .tv_nsec = CLI_PAUSE_MS * 1000000L };

	nanosleep(&t, NULL);
}

struct verify_source directory_source(const int *dirfd)
{
	/* Only read through the pointer. */
	return (struct verify_source){ .context = (void *)(uintptr_t)dirfd,
		.read = file_read,
		.list = files_list,
		.pause = short_pause };
}
