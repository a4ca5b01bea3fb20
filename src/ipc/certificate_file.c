#include "ipc/certificate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum rc open_error(struct err *e)
{
	if (errno == ENOENT)
		return err_add(e, RC_NOT_FOUND, "it does not exist: put it into /etc/plaingate/certificates");
	if (errno == ELOOP)
		return err_add(e, RC_DENIED,
			"it is a link, which leads out of the directory: put the file itself there");
	if (errno == EACCES)
		return err_add(e, RC_DENIED,
			"it may not be read: certificates are public, so make it readable for all (chmod 644)");
	return err_errno(e, RC_IO, "open it");
}

enum rc certificate_file_read(void *directory, const char *file, char *ret_text, size_t *ret_n, struct err *e)
{
	int dir = *(const int *)directory;
	int fd = dir < 0 ? -1 : openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum rc rc = RC_OK;
	struct stat st;
	ssize_t part = 1;

	*ret_n = 0;
	if (dir < 0)
		return err_add(e, RC_NOT_FOUND, "there is no directory of certificates");
	if (fd < 0)
		return open_error(e);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = err_add(e, RC_MALFORMED, "it is not a regular file");
	else if (st.st_size > (off_t)CERTIFICATE_TEXT_MAX)
		rc = err_add(e, RC_LIMIT, "it has %lld octets; at most %u are allowed", (long long)st.st_size,
			CERTIFICATE_TEXT_MAX);
	while (rc == RC_OK && part != 0 && *ret_n < CERTIFICATE_TEXT_MAX) {
		part = read(fd, ret_text + *ret_n, CERTIFICATE_TEXT_MAX - *ret_n);
		if (part < 0 && errno != EINTR)
			rc = err_errno(e, RC_IO, "read it");
		else if (part > 0)
			*ret_n += (size_t)part;
	}
	close(fd);
	return rc;
}
