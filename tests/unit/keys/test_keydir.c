/*
 * The key directory: what is taken, what is refused and how the error reads; what `show keys` tells of it;
 * the snapshot's file.
 */
#include "proc/keeper/keydir.h"
#include "proc/keeper/show.h"
#include "ipc/snapshot_file.h"

#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static enum rc nothing(void *context, struct keys_action *a)
{
	return RC_OK;
}

static struct keys *keys;
static char path[] = "/tmp/plaingate-keydir-XXXXXX";
static int dir;

static int setup(void **state)
{
	strcpy(path + sizeof path - 7, "XXXXXX");
	keys = keys_new((struct keys_sink){ nothing, NULL });
	dir = keys && mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY) : -1;
	return dir >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	close(dir);
	keys_free(keys);
	snprintf(command, sizeof command, "rm -rf '%s'", path);
	return system(command);
}

static void file_put(const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static const struct keydir_error *error_of(const struct keydir *d, const char *file)
{
	for (size_t i = 0; i < d->errors_n; i++)
		if (strcmp(d->errors[i].file, file) == 0)
			return &d->errors[i];
	return NULL;
}

static void taken(void **state)
{
	static struct keydir d;
	struct keys_identity_view v;
	static const char *const names[] = { "a", "b", "c", "c", "c", "d" };
	static const char *const kinds[] = { "pre-shared", "ed25519", "ecdsa-p256", "post-quantum",
		"pre-shared", "ecdsa-p384" };
	static const char *const endings[] = { "psk", "pem", "pem", "ppk", "psk", "pem" };

	file_put("a.psk", "correct horse battery\nsecond line\n", 0600);
	file_put("b.pem", pair_pem[0][PAIR_ED25519], 0400);
	file_put("c.pem", pair_pem[0][PAIR_P256], 0600);
	file_put("c.psk", "0x00112233445566778899aabbccddeeff\n", 0600); /* one name, three kinds */
	file_put("c.ppk",
		"0s"
		"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n",
		0600);
	file_put("d.pem", pair_pem[0][PAIR_P384], 0600);
	file_put("README", "not a key", 0644);
	file_put(".hidden.psk", "0x0011", 0644);
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_int_equal(d.loaded, 6);
	assert_int_equal(d.errors_n, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(keys_identity_at(keys, i, &v));
		assert_string_equal(v.name, names[i]);
		assert_string_equal(v.kind, kinds[i]);
		assert_string_equal(v.ending, endings[i]);
		assert_int_equal(v.spki_n == 0, strcmp(v.ending, "pem") != 0);
	}
	assert_false(keys_identity_at(keys, 6, &v));
	/* Read again: removed keys are gone. */
	assert_int_equal(unlinkat(dir, "a.psk", 0), 0);
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_int_equal(d.loaded, 5);
	assert_true(keys_identity_at(keys, 0, &v));
	assert_string_equal(v.name, "b");
}

static void refused(void **state)
{
	static struct keydir d;
	static const struct {
		const char *file, *text;
		mode_t mode;
		const char *says;
	} rows[] = {
		{ "group.psk", "a good long secret", 0640, "0600 or 0400 is allowed" },
		{ "world.pem", "whatever", 0604, "0600 or 0400 is allowed" },
		{ "exec.psk", "a good long secret", 0711, "0600 or 0400 is allowed" },
		{ "short.psk", "1234567\n", 0600, "8 to 256 are allowed" },
		{ "empty.psk", "", 0600, "8 to 256 are allowed" },
		{ "line.psk", "\nbehind an empty line", 0600, "8 to 256 are allowed" },
		{ "odd.psk", "0x001122334455667", 0600, "even number of hexadecimal digits" },
		{ "base64.psk", "0sMTIzNDU2Nw==", 0600, "the pre-shared key has 7 octets" },
		{ "not-base64.psk", "0sa good long secret", 0600,
			"expected base64 of at most 256 octets after '0s'" },
		{ "mark.psk",
			"\xef\xbb\xbf"
			"a good long secret",
			0600, "byte-order mark" },
		{ "crlf.psk", "1234567\r\n", 0600, "the pre-shared key has 7 octets" },
		{ "hex.psk", "0x00112233445566zz", 0600, "only hexadecimal digits" },
		{ "short.ppk", "0x00112233445566778899aabbccddeeff\n", 0600,
			"16 octets; 32 to 256 are allowed" },
		{ "text.pem", "a good long secret", 0600, "BEGIN PRIVATE KEY" },
		{ "public.pem", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", 0600,
			"BEGIN PRIVATE KEY" },
	};
	static char large[KEYDIR_FILE_MAX + 2];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		file_put(rows[i].file, rows[i].text, rows[i].mode);
	memset(large, 'x', sizeof large - 1);
	file_put("large.psk", large, 0600);
	assert_int_equal(symlinkat("group.psk", dir, "link.psk"), 0);
	assert_int_equal(mkdirat(dir, "dir.psk", 0700), 0);
	assert_int_equal(mkfifoat(dir, "pipe.psk", 0600), 0);
	file_put("good.psk", "a good long secret", 0600);
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_int_equal(d.loaded, 1);
	assert_int_equal(d.errors_n, COUNT_OF(rows) + 4);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct keydir_error *x = error_of(&d, rows[i].file);

		assert_non_null(x);
		if (!strstr(x->text, rows[i].says))
			fail_msg("%s: %s", rows[i].file, x->text);
		assert_null(strstr(x->text, "secret")); /* no content in errors */
	}
	assert_non_null(error_of(&d, "link.psk"));
	assert_non_null(strstr(error_of(&d, "dir.psk")->text, "regular file"));
	assert_non_null(strstr(error_of(&d, "pipe.psk")->text, "regular file"));
	assert_non_null(strstr(error_of(&d, "large.psk")->text, "at most"));
}

/* Carriage returns of other systems, no line feed at all, the longest key and one more. */
static void psk_forms(void **state)
{
	static char text[600];

	assert_int_equal(keydir_take(keys, "a.psk", "eight888\r\n", 10, NULL), RC_OK);
	assert_int_equal(keydir_take(keys, "a.psk", "eight888", 8, NULL), RC_OK);
	assert_int_equal(keydir_take(keys, "a.psk", "0x0011223344556677", 18, NULL), RC_OK);
	memset(text, 'f', sizeof text);
	assert_int_equal(keydir_take(keys, "a.psk", text, KEYS_PSK_MAX, NULL), RC_OK);
	assert_int_equal(keydir_take(keys, "a.psk", text, KEYS_PSK_MAX + 1, NULL), RC_RANGE);
	memcpy(text, "0x", 2);
	assert_int_equal(keydir_take(keys, "a.psk", text, 2 + 2 * KEYS_PSK_MAX, NULL), RC_OK);
	assert_int_equal(keydir_take(keys, "a.psk", text, 4 + 2 * KEYS_PSK_MAX, NULL), RC_MALFORMED);
	assert_int_equal(keydir_take(keys, ".psk", "eight888", 8, NULL), RC_UNSUPPORTED);
	assert_int_equal(keydir_take(keys, "a.txt", "eight888", 8, NULL), RC_UNSUPPORTED);
}

static void directory_gone(void **state)
{
	static struct keydir d;
	struct keys_identity_view v;
	struct err e = { 0 };

	file_put("good.psk", "a good long secret", 0600);
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_int_equal(keydir_load(&d, -1, keys, &e), RC_IO);
	assert_true(keys_identity_at(keys, 0, &v)); /* those of before stay */
}

/* A row tells the public part's fingerprint as ssh-keygen would, and of a pre-shared key nothing but its
 * name. */
static void rows_shown(void **state)
{
	static struct keydir d;
	char text[SHOW_ROW_TEXT];
	size_t n;

	file_put("a.psk", "a good and long secret", 0600);
	file_put("b.pem", pair_pem[0][PAIR_ED25519], 0600);
	file_put("c.psk", "short", 0600);
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_true(show_keys_row(text, &n, keys, &d, 0));
	assert_string_equal(text, "{\"name\":\"a\",\"kind\":\"pre-shared\",\"state\":\"loaded\"}");
	assert_int_equal(n, strlen(text));
	assert_true(show_keys_row(text, &n, keys, &d, 1));
	assert_non_null(
		strstr(text, "\"fingerprint\":\"SHA256:x0o2pajpoAl8Oy/vwockDrD7w7a+UdnWiQwaLhBYv80\""));
	assert_true(show_keys_row(text, &n, keys, &d, 2));
	assert_non_null(strstr(text, "\"name\":\"c.psk\""));
	assert_non_null(strstr(text, "8 to 256"));
	assert_false(show_keys_row(text, &n, keys, &d, 3));

	/* However many are refused, and whatever their names are, none is passed over in silence. */
	for (int i = 0; i < KEYDIR_ERRORS_MAX + 6; i++) {
		char name[KEYDIR_NAME_MAX];
		memset(name, 1, sizeof name);
		snprintf(name + sizeof name - 8, 8, "%03d.psk", i);
		file_put(name, "short", 0600);
	}
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	for (size_t i = 0; i < KEYDIR_ERRORS_MAX; i++) {
		assert_true(show_keys_row(text, &n, keys, &d, 2 + i));
		assert_int_equal(n, strlen(text));
		assert_in_range(n, 1, SHOW_ROW_TEXT);
	}
	assert_true(show_keys_row(text, &n, keys, &d, 2 + KEYDIR_ERRORS_MAX));
	assert_non_null(strstr(text, "\"error\":\"and 7 more files\""));
	assert_false(show_keys_row(text, &n, keys, &d, 3 + KEYDIR_ERRORS_MAX));
}

/* By the octets of the key, not by those of the file. */
static void short_ones_are_named(void **state)
{
	static struct keydir d;
	static const struct {
		const char *file, *text;
		bool is_short;
	} rows[] = {
		{ "eight", "12345678", true },
		{ "hex10", "0x00112233445566778899", true },
		{ "hex20", "0x0011223344556677889900112233445566778899", false },
		{ "nineteen", "1234567890123456789\n", true },
		{ "twenty", "12345678901234567890\n", false },
	};
	int log = memfd_create("log", MFD_CLOEXEC), err = dup(STDERR_FILENO);
	char file[64], row[SHOW_ROW_TEXT], said[8192] = "", warning[64];
	size_t n;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(file, sizeof file, "%s.psk", rows[i].file);
		file_put(file, rows[i].text, 0600);
	}
	assert_int_equal(keydir_load(&d, dir, keys, NULL), RC_OK);
	assert_true(dup2(log, STDERR_FILENO) >= 0);
	show_warn_short_keys(keys);
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	assert_true(pread(log, said, sizeof said - 1, 0) > 0);
	close(log);
	close(err);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(warning, sizeof warning, "'%s.psk' has fewer than 20 octets", rows[i].file);
		if (!strstr(said, warning) != !rows[i].is_short)
			fail_msg("%s: %s", rows[i].file, said);
		assert_true(show_keys_row(row, &n, keys, &d, i)); /* by name, as the rows above */
		assert_non_null(strstr(row, rows[i].file));
		assert_int_equal(!strstr(row, "loaded; short"), !rows[i].is_short);
	}
}

static int memfd_of(const void *bytes, size_t n, int seals)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Only a file that cannot change any more, of the announced size, with a block that snapshot_check()
 * believes. */
static void snapshot_files(void **state)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	static struct pair p;
	struct snapshot_file f;
	size_t n = sizeof p.side[0].config;

	pair_init(&p);
	assert_int_equal(snapshot_file_take(&f, -1, n, NULL), RC_DENIED);
	assert_int_equal(snapshot_file_take(&f, memfd_of(&p.side[0].config, n, 0), n, NULL), RC_DENIED);
	assert_int_equal(snapshot_file_take(&f, memfd_of(&p.side[0].config, n, all & ~F_SEAL_WRITE), n, NULL),
		RC_DENIED);
	assert_int_equal(snapshot_file_take(&f, memfd_of(&p.side[0].config, n, all), n + 8, NULL), RC_RANGE);
	assert_int_equal(snapshot_file_take(&f, memfd_of(&p.side[0].config, n, all), 8, NULL), RC_RANGE);
	assert_int_equal(snapshot_file_take(&f, memfd_of("", 0, all), 0, NULL), RC_RANGE);
	p.side[0].config.head.magic++;
	assert_int_not_equal(snapshot_file_take(&f, memfd_of(&p.side[0].config, n, all), n, NULL), RC_OK);
	assert_null(f.snapshot);
	pair_done(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(taken),
		T(refused),
		T(psk_forms),
		T(directory_gone),
		T(rows_shown),
		T(short_ones_are_named),
		T(snapshot_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
