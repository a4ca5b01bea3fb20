#include "proc/export/files.h"

#include "base/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0: the file is not one of the log. */
static uint32_t number_of(const char *name)
{
	char same[SESSION_FILE_NAME_MAX];
	size_t prefix = sizeof SESSION_FILE_PREFIX - 1;

	if (strncmp(name, SESSION_FILE_PREFIX, prefix) != 0)
		return 0;
	unsigned long number = strtoul(name + prefix, NULL, 10);
	return number > 0 && number < UINT32_MAX && strcmp(name, log_file_name(same, (uint32_t)number)) == 0
		       ? (uint32_t)number
		       : 0;
}

const char *log_file_name(char ret_name[SESSION_FILE_NAME_MAX], uint32_t number)
{
	snprintf(ret_name, SESSION_FILE_NAME_MAX, SESSION_FILE_PREFIX "%0*u" SESSION_FILE_ENDING,
		SESSION_FILE_DIGITS, number);
	return ret_name;
}

enum rc log_files_list(int dir, uint32_t *ret_first, uint32_t *ret_last, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	*ret_first = *ret_last = 0;
	if (!d) {
		err_errno(e, RC_IO, "list the directory of the session log");
		if (fd >= 0)
			close(fd);
		return RC_IO;
	}
	for (struct dirent *f; (f = readdir(d));) {
		uint32_t number = number_of(f->d_name);
		if (number == 0)
			continue;
		*ret_last = MAX_OF(*ret_last, number);
		*ret_first = *ret_first == 0 ? number : MIN_OF(*ret_first, number);
	}
	closedir(d);
	return RC_OK;
}

int log_file_open(int dir, uint32_t number, bool make)
{
	char name[SESSION_FILE_NAME_MAX];

	return openat(dir, log_file_name(name, number),
		O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT | O_EXCL : 0), 0600);
}

enum rc log_file_end(int fd, struct export_chain *ret_chain, uint64_t *ret_bytes, struct err *e)
{
	char text[2 * SESSION_LINE_MAX], log[2 * SESSION_LOG_ID_BYTES + 1];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_errno(e, RC_IO, "look at the session log's file");
	uint64_t from = (uint64_t)st.st_size > sizeof text ? (uint64_t)st.st_size - sizeof text : 0;
	ssize_t n = pread(fd, text, sizeof text, (off_t)from);
	if (n < 0)
		return err_errno(e, RC_IO, "read the session log's file");
	char *end = memrchr(text, '\n', (size_t)n);
	if (!end)
		return from == 0 ? RC_NOT_FOUND
				 : err_add(e, RC_MALFORMED, "the session log's last line is too long");
	char *before = memrchr(text, '\n', (size_t)(end - text));
	char *line = before ? before + 1 : text;
	*ret_bytes = from + (uint64_t)(end - text) + 1;
	if ((!before && from > 0) || !export_line_read(line, (size_t)(end - line), ret_chain, log))
		return err_add(e, RC_MALFORMED, "the session log's last line is not one of a session log");
	return RC_OK;
}

enum rc log_file_begin(int dir, uint32_t number, uint64_t *ret_line,
	char ret_log[2 * SESSION_LOG_ID_BYTES + 1], struct err *e)
{
	char text[SESSION_LINE_MAX], name[SESSION_FILE_NAME_MAX];
	struct export_chain chain;
	int fd = openat(dir, log_file_name(name, number), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, 0) : -1;

	if (n < 0)
		err_errno(e, RC_IO, "read '%s'", name);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return RC_IO;
	char *end = memchr(text, '\n', (size_t)n);
	ret_log[0] = '\0';
	if (!end || !export_line_read(text, (size_t)(end - text), &chain, ret_log) || !ret_log[0])
		return err_add(e, RC_MALFORMED, "'%s' does not begin as a file of the session log", name);
	*ret_line = chain.n;
	return RC_OK;
}
