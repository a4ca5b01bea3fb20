#include "proc/keeper/keydir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* "NAME.psk": the name without its ending. False: another ending, or too long. */
static bool name_from_file(char ret_name[NAME_MAX_BYTES], const char *file, const char *ending)
{
	size_t n = strlen(file), ending_n = strlen(ending);

	if (file[0] == '.' || n <= ending_n || strcmp(file + n - ending_n, ending) != 0 ||
		n - ending_n >= NAME_MAX_BYTES)
		return false;
	memcpy(ret_name, file, n - ending_n);
	ret_name[n - ending_n] = '\0';
	return true;
}

typedef enum rc take_fn(struct keys *keys, const char *name, const void *secret, size_t n, struct err *e);

/* The first line: text, or octets in hexadecimal digits or base64. */
static enum rc secret_take(
	struct keys *keys, take_fn *take, const char *name, const char *text, size_t n, struct err *e)
{
	const char *line_end = memchr(text, '\n', n);
	char digits[2 * KEYS_PSK_MAX + 1];
	uint8_t octets[KEYS_PSK_MAX];
	size_t octets_n;
	enum rc rc;

	n = line_end ? (size_t)(line_end - text) : n;
	if (n > 0 && text[n - 1] == '\r')
		n--;
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_add(e, RC_MALFORMED,
			"the file begins with a byte-order mark, which would be part of the key: save it "
			"without");
	if (n >= 2 && memcmp(text, "0s", 2) == 0) {
		rc = base64_to_bytes(octets, sizeof octets, &octets_n, text + 2, n - 2)
			     ? take(keys, name, octets, octets_n, e)
			     : err_add(e, RC_MALFORMED,
				       "malformed key: expected base64 of at most %d octets after '0s'",
				       KEYS_PSK_MAX);
		bytes_wipe(octets, sizeof octets);
		return rc;
	}
	if (n < 2 || memcmp(text, "0x", 2) != 0)
		return take(keys, name, text, n, e);
	n -= 2;
	if (n % 2 != 0 || n >= sizeof digits)
		return err_add(e, RC_MALFORMED,
			"malformed key: expected an even number of hexadecimal digits after '0x', at "
			"most %d",
			2 * KEYS_PSK_MAX);
	memcpy(digits, text + 2, n);
	digits[n] = '\0';
	if (hex_to_bytes(octets, n / 2, digits))
		rc = take(keys, name, octets, n / 2, e);
	else
		rc = err_add(e, RC_MALFORMED, "malformed key: expected only hexadecimal digits after '0x'");
	bytes_wipe(digits, sizeof digits);
	bytes_wipe(octets, sizeof octets);
	return rc;
}

enum rc keydir_take(struct keys *keys, const char *file, const char *text, size_t n, struct err *e)
{
	char name[NAME_MAX_BYTES];

	if (name_from_file(name, file, ".psk"))
		return secret_take(keys, keys_identity_psk, name, text, n, e);
	if (name_from_file(name, file, ".ppk"))
		return secret_take(keys, keys_identity_ppk, name, text, n, e);
	if (name_from_file(name, file, ".pem"))
		return keys_identity_pem(keys, name, text, n, e);
	return err_add(e, RC_UNSUPPORTED,
		"malformed file name: expected NAME.psk, NAME.ppk or NAME.pem, with a name of 1 to %d "
		"characters",
		NAME_MAX_BYTES - 1);
}

static enum rc file_check(int fd, size_t *ret_size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, RC_IO, "stat");
	if (!S_ISREG(st.st_mode))
		return err_add(e, RC_DENIED, "not a regular file");
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_add(e, RC_DENIED,
			"mode %04o gives access to group or others; 0600 or 0400 is allowed (chmod 600)",
			(unsigned)st.st_mode & 07777);
	if (st.st_size > KEYDIR_FILE_MAX)
		return err_add(e, RC_LIMIT, "the file has %lld octets; at most %d are allowed",
			(long long)st.st_size, KEYDIR_FILE_MAX);
	*ret_size = (size_t)st.st_size;
	return RC_OK;
}

static enum rc file_load(int directory_fd, const char *file, struct keys *keys, struct err *e)
{
	/* Not through a symbolic link, and without waiting for the other end of a pipe. */
	int fd = openat(directory_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char text[KEYDIR_FILE_MAX];
	size_t n = 0, size = 0;
	enum rc rc;

	if (fd < 0)
		return err_errno(e, RC_IO,
			errno == EACCES ? "open (its owner must be the user plaingate-keeper)" : "open");
	rc = file_check(fd, &size, e);
	while (rc == RC_OK && n < size) {
		ssize_t got = read(fd, text + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = err_errno(e, RC_IO, "read");
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (rc == RC_OK)
		rc = keydir_take(keys, file, text, n, e);
	bytes_wipe(text, sizeof text);
	return rc;
}

static void note_error(struct keydir *d, const char *file, const char *text)
{
	struct keydir_error *at = d->errors_n < KEYDIR_ERRORS_MAX ? &d->errors[d->errors_n] : NULL;

	d->errors_n++;
	if (!at)
		return;
	snprintf(at->file, sizeof at->file, "%.*s", (int)sizeof at->file - 1, file);
	snprintf(at->text, sizeof at->text, "%s", text);
}

static bool is_key_name(const char *file)
{
	const char *dot = strrchr(file, '.');

	return file[0] != '.' && dot &&
	       (strcmp(dot, ".psk") == 0 || strcmp(dot, ".ppk") == 0 || strcmp(dot, ".pem") == 0);
}

/* Ordered by name, so that `show keys` has the same order each time. */
static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t names_read(struct keydir *d, DIR *dir, char names[][KEYDIR_NAME_MAX], size_t max)
{
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(dir))) {
		if (!is_key_name(entry->d_name))
			continue;
		if (strlen(entry->d_name) >= KEYDIR_NAME_MAX)
			note_error(d, entry->d_name, "the file name is too long");
		else if (n == max)
			note_error(d, entry->d_name, "there are too many keys in the directory");
		else
			memcpy(names[n++], entry->d_name, strlen(entry->d_name) + 1);
	}
	qsort(names, n, KEYDIR_NAME_MAX, by_name);
	return n;
}

enum rc keydir_load(struct keydir *d, int directory_fd, struct keys *keys, struct err *e)
{
	/* Opened again: the position of directory_fd is shared with the supervisor. */
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static char names[KEYS_IDENTITIES_MAX][KEYDIR_NAME_MAX];
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t n;

	if (!dir) {
		enum rc rc = err_errno(e, RC_IO, "open the key directory");

		if (fd >= 0)
			close(fd);
		return rc;
	}
	memset(d, 0, sizeof *d);
	n = names_read(d, dir, names, COUNT_OF(names));
	closedir(dir);
	keys_identities_clear(keys);
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };

		if (file_load(directory_fd, names[i], keys, &why) == RC_OK)
			d->loaded++;
		else
			note_error(d, names[i], why.text);
	}
	return RC_OK;
}
