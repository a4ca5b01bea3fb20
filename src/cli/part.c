#include "cli/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum rc part_write(char ret_part[PART_PATH_MAX], const char *path, const void *bytes, size_t n, struct err *e)
{
	size_t at = 0;

	if (snprintf(ret_part, PART_PATH_MAX, "%s.part", path) >= PART_PATH_MAX)
		return err_add(e, RC_LIMIT, "the file name is too long: at most %d characters are allowed",
			PART_PATH_MAX - (int)sizeof ".part");
	int fd = open(ret_part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, RC_IO, "write '%s'", ret_part);
	while (at < n) {
		ssize_t part = write(fd, (const char *)bytes + at, n - at);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			break;
		at += (size_t)part;
	}
	enum rc rc = at == n && fsync(fd) == 0 ? RC_OK : err_errno(e, RC_IO, "write '%s'", ret_part);
	close(fd);
	if (rc != RC_OK)
		unlink(ret_part);
	return rc;
}
