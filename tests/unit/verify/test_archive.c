/*
 * Old entries go to an archive: what is then seen with it and without it, whoever dies in between at whatever
 * step, and what is refused. System calls are counted by wrappers, so that a run can end at any of them.
 */
#include "verify_fixture.h"

#include "base/bytes.h"
#include "cli/archive.h"
#include "cli/source.h"
#include "ledger/counters.h"
#include "ledger/seal.h"
#include "proc/ledger/sealer.h"
#include "proc/ledger/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64], ledger[80], archive[80];
static struct verify_report report;
static struct err why;

/* ---- system calls that count ---- */

#define DIED 9

static unsigned calls, end_at; /* 0: no end */
static bool archiving, synced; /* the archive is on the disk, behind all copies */

static void counted(void)
{
	if (end_at > 0 && ++calls == end_at)
		_exit(DIED);
}

int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b)
{
	counted();
	if (strcmp(b, VERIFY_PATH_ARCHIVED) != 0)
		synced = false;
	return __real_renameat(from, a, to, b);
}

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
	/* half of it, and death before the rest */
	if (end_at > 0 && calls + 1 == end_at && n > 1)
		__real_write(fd, bytes, n / 2);
	counted();
	return __real_write(fd, bytes, n);
}

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
	counted();
	synced = true;
	return __real_syncfs(fd);
}

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
	counted();
	if (archiving && !synced)
		_exit(77); /* removed before its copy was on the disk */
	return __real_unlinkat(dir, path, flags);
}

/* ---- ledgers on the disk ---- */

static void tree_write(const char *at, const struct memory *m)
{
	char path[200], command[240];

	for (size_t f = 0; f < m->n; f++) {
		size_t n;
		const uint8_t *bytes = memory_get(m, m->file[f].path, &n);
		snprintf(path, sizeof path, "%s/%s", at, m->file[f].path);
		snprintf(command, sizeof command, "mkdir -p $(dirname %s)", path);
		assert_int_equal(system(command), 0);
		FILE *out = fopen(path, "we");
		assert_non_null(out);
		assert_int_equal(fwrite(bytes, 1, n, out), n);
		fclose(out);
	}
}

/* ---- a third boot, so that two bundles are from before the running one ---- */

#define THIRD (PUBLISHED + JOURNALED) /* index of its first entry */
#define ADDED 40u

static void add(struct ledger_log *l, const char *source, uint64_t n, struct ledger_body *b)
{
	char text[LEDGER_ENTRY_MAX];
	struct ledger_entry entry = { .type = b->type, .n = n, .boot = { 3 }, .body = b->text };
	uint64_t index;

	entry.mono_us = ledger_size(l) + ledger_batch_n(l);
	entry.body_n = ledger_body_done(b);
	assert_true(entry.body_n > 0);
	snprintf(entry.source, sizeof entry.source, "%s", source);
	utc_text(entry.utc, 1450375210000000ull + entry.mono_us);
	assert_int_equal(ledger_add(l, text, ledger_entry_text(text, &entry), &index), RC_OK);
}

static void third_boot(int dir)
{
	static struct sealer sealer;
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	char vkey[NOTE_VKEY_MAX], hex[2 * SHA256_SIZE + 1];
	struct ledger_opened opened;
	struct merkle_hash root;
	struct ledger_body b;
	struct ledger_log *l;

	sealer_init(&sealer, dir, &store);
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	assert_int_equal(ledger_size(l), THIRD);
	ledger_body_begin(&b, LEDGER_LEDGER_START);
	ledger_body_str(&b, "key", note_key_text(vkey, &key));
	ledger_body_str(&b, "origin", key.name);
	ledger_body_u64(&b, "recovered", THIRD);
	ledger_body_u64(&b, "torn_bytes", 0);
	add(l, "ledger", 1, &b);
	assert_int_equal(sealer_prepare(&sealer, &root, NULL), RC_OK);
	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, root.b, sizeof root.b));
	add(l, "ledger", 2, &b);
	for (unsigned i = 2; i < ADDED; i++) {
		ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
		ledger_body_u64(&b, "pid", i);
		ledger_body_str(&b, "process", "ike");
		ledger_body_str(&b, "reason", "exit status 0");
		add(l, "supervisor", i - 1, &b);
	}
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	sealer_change(&sealer);
	struct checkpoint c = { .size = ledger_size(l), .root = ledger_root(l) };
	memcpy(c.origin, key.name, sizeof c.origin);
	assert_int_equal(sealer_seal(&sealer, &c, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	sealer_done(&sealer);
	ledger_files_done(&files);
}

/* What the ledger reads when it is started again within its boot. */
static void none(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	++*(uint64_t *)context;
}

static void opens_again(void)
{
	static const uint8_t boots[][LEDGER_BOOT_SIZE] = { { 3 }, { 4 } };
	struct ledger_files files;
	int dir = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ledger_store store = ledger_files_over(&files, dir);
	struct ledger_opened opened;
	struct ledger_log *l;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (size_t i = 0; i < COUNT_OF(boots); i++) {
		uint64_t count = 0;
		struct err e = { 0 };
		if (ledger_replay(l, boots[i], none, &count, &e) != RC_OK)
			fail_msg("boot %u: %s", boots[i][0], e.text);
		assert_int_equal(count, i == 0 ? ADDED : 0);
	}
	ledger_close(l);
	ledger_files_done(&files);
	close(dir);
}

static int begin(void **state)
{
	snprintf(base, sizeof base, "/tmp/plaingate-archive-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(ledger, sizeof ledger, "%s/ledger", base);
	snprintf(archive, sizeof archive, "%s/archive", base);
	if (mkdir(ledger, 0700) < 0)
		return -1;
	tree_write(ledger, &good);
	int dir = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	third_boot(dir);
	close(dir);
	return 0;
}

static int finish(void **state)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", base);
	return system(command);
}

/* Its exit status, in a process of its own. */
static int run(const char *time, unsigned end)
{
	struct cli_line line = { .argument = ledger, .before = time, .to = archive };
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, 1);
		dup2(null, 2);
		end_at = end;
		archiving = true;
		int done = run_archive(&line);
		fflush(NULL);
		_exit(done);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static enum rc verify(bool with_archive)
{
	struct source *from;
	struct verify_options o = { 0 };

	why = (struct err){ 0 };
	if (source_open(&from, ledger, with_archive ? archive : NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	struct verify_source source = source_of(from);
	enum rc rc = verify_ledger(&source, &o, &report, &why);
	source_close(from);
	return rc;
}

static bool there(const char *folder, const char *path)
{
	char name[200];

	snprintf(name, sizeof name, "%s/%s", folder, path);
	return access(name, F_OK) == 0;
}

#define LATE "2031-01-01"

static void moved(void)
{
	assert_false(there(ledger, "tile/entries/000"));
	assert_true(there(archive, "tile/entries/000"));
	assert_true(there(ledger, "tile/entries/001"));
	assert_false(there(archive, "tile/entries/001"));
	assert_true(there(ledger, "tile/0/000"));
	/* With the archive: all. */
	assert_int_equal(verify(true), RC_OK);
	assert_int_equal(report.entries_unseen, 0);
	assert_int_equal(report.entries, THIRD + ADDED);
	assert_int_equal(report.seal_epochs, 3);
	assert_true(verify_complete(&report));
	/* Without it: the rest, and exactly what is not seen. */
	assert_int_equal(verify(false), RC_OK);
	assert_false(verify_complete(&report));
	assert_int_equal(report.archived, TILE_WIDTH);
	assert_int_equal(report.entries_unseen, TILE_WIDTH);
	assert_int_equal(report.holes_n, 1);
	assert_int_equal(report.hole[0].first, 0);
	assert_int_equal(report.hole[0].end, TILE_WIDTH);
	assert_int_equal(report.entries, THIRD + ADDED - TILE_WIDTH);
	assert_int_equal(report.seal_epochs, 2);
	assert_int_equal(report.sealed, THIRD + ADDED);
	assert_int_equal(report.stray_files, 0);
	opens_again();
}

static void what_is_moved_stays_verifiable(void **state)
{
	assert_int_equal(run(LATE, 0), 0);
	moved();
	assert_int_equal(run(LATE, 0), 0); /* nothing more */
	assert_int_equal(run("2001-01-01", 0), 0);
	moved();
}

static void time_and_boot_are_minded(void **state)
{
	/* Before the first entry, and before the 257th. */
	assert_int_equal(run("2015-12-17", 0), 0);
	assert_true(there(ledger, "tile/entries/000") && !there(archive, "tile/entries/000"));
	assert_int_equal(verify(false), RC_OK);
	assert_int_equal(report.entries_unseen, 0);
	assert_int_equal(run("2015-12-17T18:00:01.000200", 0), 0);
	assert_true(there(ledger, "tile/entries/000"));
	/* Two whole bundles are old enough; the ledger still looks into the second for the beginning of its
	 * boot. */
	assert_int_equal(run(LATE, 0), 0);
	moved();
}

/* ---- a boot that goes on and on ---- */

#define LONG_ENTRIES 30000u
#define RESEALED     11000u /* of them before the second epoch of the boot */

static void epoch_announce(struct sealer *sealer, struct ledger_log *l, uint64_t n)
{
	char hex[2 * SHA256_SIZE + 1];
	struct merkle_hash root;
	struct ledger_body b;

	assert_int_equal(sealer_prepare(sealer, &root, NULL), RC_OK);
	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, root.b, sizeof root.b));
	add(l, "ledger", n, &b);
}

static void seal_and_publish(struct sealer *sealer, struct ledger_log *l)
{
	struct checkpoint c = { .size = ledger_size(l), .root = ledger_root(l) };

	memcpy(c.origin, key.name, sizeof c.origin);
	assert_int_equal(sealer_seal(sealer, &c, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
}

/* The third boot goes on: statements of the counters as the ledger makes them, and a new epoch on the way. */
static uint64_t long_boot(void)
{
	static struct sealer sealer;
	struct ledger_files files;
	int dir = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ledger_store store = ledger_files_over(&files, dir);
	struct ledger_opened opened;
	struct ledger_log *l;
	struct ledger_body b;
	uint64_t own = 2, supervisor = ADDED - 2, stated = THIRD, first = 0;
	char text[80];

	sealer_init(&sealer, dir, &store);
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	epoch_announce(&sealer, l, ++own);
	for (unsigned i = 1; i <= LONG_ENTRIES; i++) {
		uint64_t at = ledger_size(l) + ledger_batch_n(l);
		if (at - stated >= LEDGER_COUNTERS_EVERY) {
			snprintf(text, sizeof text, "ledger 0 %llu, supervisor 0 %llu",
				(unsigned long long)own, (unsigned long long)supervisor);
			ledger_body_begin(&b, LEDGER_COUNTERS);
			ledger_body_str(&b, "last", text);
			add(l, "ledger", ++own, &b);
			stated = at;
			first = first ? first : at;
		}
		ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
		ledger_body_u64(&b, "pid", i);
		ledger_body_str(&b, "process", "ike");
		ledger_body_str(&b, "reason", "exit status 0");
		add(l, "supervisor", ++supervisor, &b);
		if (i == RESEALED)
			epoch_announce(&sealer, l, ++own);
		if (i % 1000 == 0) {
			assert_int_equal(ledger_commit(l, NULL), RC_OK);
			sealer_change(&sealer);
			seal_and_publish(&sealer, l);
		}
	}
	ledger_close(l);
	sealer_done(&sealer);
	ledger_files_done(&files);
	close(dir);
	return first;
}

static uint64_t first_read;

static void read_again(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	uint64_t *count = context;

	if (*count == 0)
		first_read = index;
	++*count;
}

/* Entries that a start in this boot is given. */
static uint64_t start_reads(void)
{
	static const uint8_t boot[LEDGER_BOOT_SIZE] = { 3 };
	struct ledger_files files;
	int dir = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ledger_store store = ledger_files_over(&files, dir);
	struct ledger_opened opened;
	struct ledger_log *l;
	uint64_t count = 0;
	struct err e = { 0 };

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	if (ledger_replay(l, boot, read_again, &count, &e) != RC_OK)
		fail_msg("%s", e.text);
	ledger_close(l);
	ledger_files_done(&files);
	close(dir);
	return count;
}

/* A gateway that is never restarted can archive as well, and its ledger starts, all the same. */
static void a_long_boot_can_be_archived(void **state)
{
	uint64_t statement = long_boot(), size = THIRD + ADDED + LONG_ENTRIES + 3;
	char path[TILE_PATH_MAX];

	assert_int_equal(verify(false), RC_OK);
	assert_int_equal(report.entries, size);
	uint64_t reads = start_reads();
	assert_int_equal(first_read, statement);
	assert_int_equal(reads, size - statement);
	assert_int_equal(run(LATE, 0), 0);
	/* up to the epoch that seals now, which begins before the statement */
	uint64_t end = (THIRD + ADDED + 1 + RESEALED) / TILE_WIDTH * TILE_WIDTH;
	assert_true(end < statement);
	assert_false(there(ledger, tile_path(path, TILE_LEVEL_ENTRIES, end / TILE_WIDTH - 1, TILE_WIDTH)));
	assert_true(there(ledger, tile_path(path, TILE_LEVEL_ENTRIES, end / TILE_WIDTH, TILE_WIDTH)));
	assert_int_equal(verify(true), RC_OK);
	assert_int_equal(report.entries, size);
	assert_int_equal(report.entries_unseen, 0);
	assert_true(verify_complete(&report));
	assert_int_equal(verify(false), RC_OK);
	assert_int_equal(report.entries_unseen, end);
	assert_int_equal(report.entries, size - end);
	assert_int_equal(report.sealed, size);
	assert_int_equal(report.stray_files, 0);
	assert_int_equal(start_reads(), size - statement);
	assert_int_equal(first_read, statement);
	assert_int_equal(run(LATE, 0), 0); /* nothing more */
}

static void whoever_dies_leaves_a_whole_ledger(void **state)
{
	unsigned end = 1;

	for (;; end++) {
		finish(NULL);
		assert_int_equal(begin(NULL), 0);
		int status = run(LATE, end);
		if (status == 0)
			break;
		assert_int_equal(status, DIED);
		if (verify(false) != RC_OK)
			fail_msg("died at call %u: without the archive: %s", end, why.text);
		if (access(archive, F_OK) == 0 && (verify(true) != RC_OK || !verify_complete(&report)))
			fail_msg("died at call %u: with the archive: %s", end, why.text);
		assert_int_equal(run(LATE, 0), 0);
		moved();
	}
	print_message("died at each of %u calls\n", end - 1);
	assert_true(end > 12);
}

static void put(const char *folder, const char *path, const char *text)
{
	char name[200], command[240];

	snprintf(name, sizeof name, "%s/%s", folder, path);
	snprintf(command, sizeof command, "mkdir -p $(dirname %s)", name);
	assert_int_equal(system(command), 0);
	FILE *f = fopen(name, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void flip(const char *folder, const char *path, long at)
{
	char name[200];

	snprintf(name, sizeof name, "%s/%s", folder, path);
	FILE *f = fopen(name, "r+e");
	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int byte = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(byte ^ 1, f);
	fclose(f);
}

static void what_is_refused(void **state)
{
	/* The archive of another ledger. */
	put(archive, "log.vkey", "another\n");
	assert_int_equal(run(LATE, 0), 1);
	assert_true(there(ledger, "tile/entries/000") && !there(ledger, VERIFY_PATH_ARCHIVED));
	assert_int_equal(finish(NULL), 0);
	assert_int_equal(begin(NULL), 0);
	/* Another file of that name. */
	put(archive, "tile/entries/000", "another");
	assert_int_equal(run(LATE, 0), 1);
	assert_true(there(ledger, "tile/entries/000") && !there(ledger, VERIFY_PATH_ARCHIVED));
	assert_int_equal(finish(NULL), 0);
	assert_int_equal(begin(NULL), 0);
	/* A ledger that is not good, in what would be moved and elsewhere. */
	flip(ledger, "tile/entries/000", 1000);
	assert_int_equal(run(LATE, 0), 1);
	assert_true(there(ledger, "tile/entries/000") && !there(archive, "tile/entries/000"));
	flip(ledger, "tile/entries/000", 1000);
	flip(ledger, "tile/0/001", 1000);
	assert_int_equal(run(LATE, 0), 1);
	assert_true(there(ledger, "tile/entries/000"));
	flip(ledger, "tile/0/001", 1000);
	/* Within the ledger; no such ledger; no such time. */
	struct cli_line line = { .argument = ledger, .before = LATE, .to = ledger };
	assert_int_equal(run_archive(&line), STATUS_USAGE);
	line.to = NULL;
	assert_int_equal(run_archive(&line), STATUS_USAGE);
	line = (struct cli_line){ .argument = "/nowhere", .before = LATE, .to = archive };
	assert_int_equal(run_archive(&line), STATUS_USAGE);
	assert_int_equal(run("yesterday", 0), STATUS_USAGE);
	/* Not to two archives. */
	assert_int_equal(run(LATE, 0), 0);
	snprintf(archive, sizeof archive, "%s/second", base);
	assert_int_equal(run(LATE, 0), 1);
}

/* What is wrong in an archive is found with it; without it nothing is said of it. What is missing in both is
 * missing. */
static void the_archive_is_checked(void **state)
{
	assert_int_equal(run(LATE, 0), 0);
	flip(archive, "tile/entries/000", 4321);
	assert_int_equal(verify(true), RC_AUTH);
	assert_int_equal(report.found, VERIFY_ENTRY);
	assert_int_equal(verify(false), RC_OK);
	assert_int_equal(report.entries_unseen, TILE_WIDTH);
	flip(archive, "tile/entries/000", 4321);
	assert_int_equal(verify(true), RC_OK);
	/* What the directory keeps of it is checked all the same. */
	flip(ledger, "tile/0/000", 99);
	assert_int_equal(verify(false), RC_AUTH);
	flip(ledger, "tile/0/000", 99);
	/* A bundle that nobody archived. */
	char name[200];
	snprintf(name, sizeof name, "%s/tile/entries/001", ledger);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(verify(false), RC_AUTH);
	assert_int_equal(report.found, VERIFY_ENTRY_BUNDLE);
	assert_int_equal(verify(true), RC_AUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_moved_stays_verifiable, begin, finish),
		cmocka_unit_test_setup_teardown(time_and_boot_are_minded, begin, finish),
		cmocka_unit_test_setup_teardown(a_long_boot_can_be_archived, begin, finish),
		cmocka_unit_test_setup_teardown(whoever_dies_leaves_a_whole_ledger, begin, finish),
		cmocka_unit_test_setup_teardown(what_is_refused, begin, finish),
		cmocka_unit_test_setup_teardown(the_archive_is_checked, begin, finish),
	};

	return cmocka_run_group_tests(tests, ledger_make, ledger_unmake);
}
