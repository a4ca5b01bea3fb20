#include "proc/ledger/recovery.h"
#include "base/bytes.h"
#include "ledger/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEFORE LEDGER_PATH_BEFORE

char *recovery_origin(char *ret_origin, const uint8_t public_key[ED25519_PUBLIC_SIZE])
{
	uint8_t hash[SHA256_SIZE];
	char id[17];

	sha256(hash, public_key, ED25519_PUBLIC_SIZE);
	/* A name that is this log's alone and says nothing about its place. */
	snprintf(ret_origin, NOTE_NAME_MAX, "plaingate/ledger/%s", hex_from_bytes(id, hash, 8));
	return ret_origin;
}

void recovery_name(int dir, struct note_key *key)
{
	char text[NOTE_VKEY_MAX + 2], origin[NOTE_NAME_MAX];
	struct note_key found;
	int fd = openat(dir, LEDGER_PATH_VKEY, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 1 || text[n - 1] != '\n' || note_key_parse(&found, text, (size_t)n - 1, NULL) != RC_OK)
		return; /* ledger_open() says what is wrong with it */
	recovery_origin(origin, key->public_key);
	size_t origin_n = strlen(origin);
	if (found.type == key->type &&
		memcmp(found.public_key, key->public_key, sizeof key->public_key) == 0 &&
		strncmp(found.name, origin, origin_n) == 0 &&
		(found.name[origin_n] == '\0' || found.name[origin_n] == '/'))
		*key = found;
}

/* Digits only, as they stand in "2015-12-17T18:00:00.000000Z". */
static void time_digits(char ret_text[UTC_TEXT_MAX], utc_us now)
{
	char text[UTC_TEXT_MAX], *to = ret_text;

	utc_text(text, now);
	for (const char *c = text; *c && *c != '.'; c++)
		if (*c != '-' && *c != ':')
			*to++ = *c;
	*to++ = 'Z';
	*to = '\0';
}

static bool file_write(int dir, const char *name, const void *bytes, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write(fd, bytes, n) == (ssize_t)n && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/*
 * The journal first: without it the log is what its checkpoint says, without the checkpoint it is an empty
 * one of the same name, and the name goes last.
 */
static enum rc files_move(int dir, int to, struct err *e)
{
	static const char *const names[] = { LEDGER_PATH_JOURNAL, LEDGER_PATH_COSIGNED,
		LEDGER_PATH_CHECKPOINT, "tile", "seal", LEDGER_PATH_ARCHIVED, LEDGER_PATH_VKEY };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (renameat(dir, names[i], to, names[i]) != 0 && errno != ENOENT)
			return err_errno(e, RC_IO, "move '%s' to the archive", names[i]);
		if (fsync(to) != 0 || fsync(dir) != 0)
			return err_errno(e, RC_IO, "sync the ledger's directory");
	}
	return RC_OK;
}

enum rc recovery_archive(int dir, struct recovery *r, utc_us now, struct note_key *key, struct err *e)
{
	char time[UTC_TEXT_MAX], origin[NOTE_NAME_MAX], name[NOTE_NAME_MAX + UTC_TEXT_MAX];
	const struct note_key ended = *key;
	enum rc rc = RC_IO;

	time_digits(time, now);
	snprintf(r->archive, sizeof r->archive, BEFORE "/%s", time);
	if (mkdirat(dir, BEFORE, 0755) != 0 && errno != EEXIST)
		return err_errno(e, RC_IO, "make '%s'", BEFORE);
	if (mkdirat(dir, r->archive, 0755) != 0)
		return err_errno(e, RC_IO, "make '%s'", r->archive);
	int to = openat(dir, r->archive, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (to < 0 || !file_write(to, "seen", r->seen.note, r->seen.note_n) ||
		!file_write(to, "epoch", r, sizeof *r))
		err_errno(e, RC_IO, "write in '%s'", r->archive);
	else
		rc = files_move(dir, to, e);
	if (to >= 0)
		close(to);
	if (rc != RC_OK)
		return rc;
	snprintf(name, sizeof name, "%s/%s", recovery_origin(origin, ended.public_key), time);
	return note_key_make(key, name, NOTE_ED25519, ended.public_key);
}

bool recovery_recall(int dir, const struct note_key *key, struct recovery *ret)
{
	char origin[NOTE_NAME_MAX], path[NOTE_NAME_MAX + sizeof BEFORE "//epoch"];
	size_t n = strlen(recovery_origin(origin, key->public_key));

	if (strncmp(key->name, origin, n) != 0 || key->name[n] != '/')
		return false;
	snprintf(path, sizeof path, BEFORE "/%s/epoch", key->name + n + 1);
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool whole = fd >= 0 && read(fd, ret, sizeof *ret) == sizeof *ret;
	if (fd >= 0)
		close(fd);
	ret->origin[sizeof ret->origin - 1] = ret->archive[sizeof ret->archive - 1] = '\0';
	ret->seen.witness[sizeof ret->seen.witness - 1] = '\0';
	ret->pending = whole;
	return whole;
}
