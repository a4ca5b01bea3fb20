/*
 * `plaingate verify ledger` on real directories: its exit status and what it prints; and a ledger that is
 * verified while another process writes to it as fast as it can.
 */
#include "../ledger/ledger_fixture.h"

#include "base/bytes.h"
#include "cli/directory.h"
#include "cli/times.h"
#include "ledger/journal.h"
#include "proc/ledger/sealer.h"
#include "proc/ledger/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;
static char path[64];
static int dir = -1;
static char printed[16384];

static int make(void **state)
{
	snprintf(path, sizeof path, "/tmp/plaingate-directory-XXXXXX");
	return mkdtemp(path) && (dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 ? 0 : -1;
}

/* The ledger's one-time keys, from its first entries on. */
static struct sealer sealer;

static int unmake(void **state)
{
	char command[100];

	close(dir);
	sealer_done(&sealer);
	snprintf(command, sizeof command, "rm -r %s", path);
	return system(command);
}

static void published(struct ledger_log *l)
{
	struct checkpoint c = { .size = ledger_size(l), .root = ledger_root(l) };

	snprintf(c.origin, sizeof c.origin, "%s", fixture_key().name);
	assert_int_equal(sealer_seal(&sealer, &c, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
}

static size_t line_of(char text[LEDGER_ENTRY_MAX], uint64_t i, const struct merkle_hash *epoch)
{
	char hex[2 * SHA256_SIZE + 1];
	struct ledger_entry entry = {
		.type = LEDGER_SEAL_EPOCH, .boot = { 0xb0, 0x07 }, .source = "ledger", .n = 2, .mono_us = 1001
	};
	struct ledger_body b;

	if (i != 1) /* behind it what the fixture has as its second entry, and so on */
		return fixture_entry(text, i > 1 ? i - 1 : 0, 5);
	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, epoch->b, sizeof epoch->b));
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	utc_text(entry.utc, 1450375200000000ull);
	return ledger_entry_text(text, &entry);
}

/* Entries from `from` on, committed by sevens; published where asked for. */
static void write_entries(uint64_t from, uint64_t to, bool publish)
{
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct merkle_hash epoch;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	if (from == 0)
		sealer_init(&sealer, dir, &store);
	sealer.store = &store;
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	assert_int_equal(ledger_size(l), from);
	for (uint64_t i = from; i < to; i++) {
		if (i == 1)
			assert_int_equal(sealer_prepare(&sealer, &epoch, NULL), RC_OK);
		assert_int_equal(ledger_add(l, text, line_of(text, i, &epoch), &index), RC_OK);
		if (i % 7 == 1)
			assert_int_equal(ledger_commit(l, NULL), RC_OK);
	}
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	if (from == 0)
		sealer_change(&sealer);
	if (publish)
		published(l);
	ledger_close(l);
	ledger_files_done(&files);
}

/* The program's exit status; what it printed is in `printed`. */
static int run(const char *arguments)
{
	char command[512];
	FILE *f;

	snprintf(command, sizeof command, "'%s' verify ledger %s 2>&1", program, arguments);
	f = popen(command, "r");
	assert_non_null(f);
	printed[fread(printed, 1, sizeof printed - 1, f)] = '\0';
	int status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int run_on_path(const char *options)
{
	char arguments[400];

	snprintf(arguments, sizeof arguments, "%s %s", path, options);
	return run(arguments);
}

static void flip(const char *file, off_t at)
{
	int fd = openat(dir, file, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void file_write(const char *name, const void *bytes, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

/* A policy, a head that was kept, an address: what they ask for, and what is wrong with themselves. */
static void options_of_others(void)
{
	static const char witness[] =
		"witness w example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q\n";
	char options[300], policy[400];

	file_write("none.policy", "quorum none\n", 12);
	snprintf(options, sizeof options, "--policy %s/none.policy", path);
	assert_int_equal(run_on_path(options), 0);
	snprintf(policy, sizeof policy, "%squorum w\n", witness);
	file_write("w.policy", policy, strlen(policy));
	snprintf(options, sizeof options, "--policy %s/w.policy", path);
	assert_int_equal(run_on_path(options), 1);
	assert_non_null(strstr(printed, "NOT good"));
	file_write("bad.policy", "quorum nobody\n", 14);
	snprintf(options, sizeof options, "--policy %s/bad.policy", path);
	assert_int_equal(run_on_path(options), 2);
	assert_int_equal(run_on_path("--policy /nowhere/at/all"), 2);
	snprintf(options, sizeof options, "--checkpoint %s/checkpoint --explain", path);
	assert_int_equal(run_on_path(options), 0);
	assert_non_null(strstr(printed, "the head which you kept"));
	snprintf(options, sizeof options, "--checkpoint %s/none.policy", path);
	assert_int_equal(run_on_path(options), 2);
	assert_int_equal(run_on_path("--archive /nowhere/at/all"), 2);
	/* Nobody listens there, and port 0 cannot be. */
	assert_int_equal(run("http://127.0.0.1:1/"), 2);
	assert_int_equal(run("https://127.0.0.1:0/"), 2);
	/* No bundle. */
	snprintf(options, sizeof options, "%s/checkpoint", path);
	assert_int_equal(run(options), 2);
	unlinkat(dir, "none.policy", 0);
	unlinkat(dir, "w.policy", 0);
	unlinkat(dir, "bad.policy", 0);
}

static void exit_status_and_text(void **state)
{
	char vkey[NOTE_VKEY_MAX], option[NOTE_VKEY_MAX + 20];
	struct note_key key = fixture_key();

	write_entries(0, 300, true);
	write_entries(300, 310, false);
	assert_int_equal(run_on_path(""), 0);
	assert_non_null(strstr(printed, "310 entries"));
	snprintf(option, sizeof option, "--json --key '%s'", note_key_text(vkey, &key));
	assert_int_equal(run_on_path(option), 0);
	assert_non_null(strstr(printed, "\"good\":true"));
	assert_non_null(strstr(printed, "\"vkey_given\":true"));
	/* Another key, right in form. */
	assert_int_equal(
		run_on_path("--key "
			    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"),
		1);
	/* Altered: found, named, and repaired again. */
	flip("tile/entries/000", 5000);
	assert_int_equal(run_on_path(""), 1);
	assert_non_null(strstr(printed, "NOT good: entry "));
	assert_int_equal(run_on_path("--json"), 1);
	assert_non_null(strstr(printed, "\"good\":false"));
	flip("tile/entries/000", 5000);
	assert_int_equal(run_on_path(""), 0);
	/* Wrong use, or nothing to read. */
	assert_int_equal(run_on_path("--key nonsense"), 2);
	assert_int_equal(run("/nowhere/at/all"), 2);
	assert_int_equal(run(""), 2);
	assert_int_equal(run_on_path("again"), 2);
	assert_int_equal(run_on_path("--limit 3"), 2);
	options_of_others();
	/* A file where a file should be, but it is a way out. */
	assert_int_equal(unlinkat(dir, "checkpoint", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", dir, "checkpoint"), 0);
	assert_int_equal(run_on_path(""), 1);
	assert_null(strstr(printed, "root:"));
}

static void times(void **state)
{
	static const struct {
		const char *text, *from, *to; /* NULL: refused */
	} rows[] = {
		{ "2026-11-23", "2026-11-23T00:00:00.000000Z", "2026-11-23T23:59:59.999999Z" },
		{ "2026-11-23Z", "2026-11-23T00:00:00.000000Z", "2026-11-23T23:59:59.999999Z" },
		{ "2026-11-23T08:05", "2026-11-23T08:05:00.000000Z", "2026-11-23T08:05:59.999999Z" },
		{ "2026-11-23T08:05:07", "2026-11-23T08:05:07.000000Z", "2026-11-23T08:05:07.999999Z" },
		{ "2026-11-23T08:05:07Z", "2026-11-23T08:05:07.000000Z", "2026-11-23T08:05:07.999999Z" },
		{ "2026-11-23T08:05:07.25", "2026-11-23T08:05:07.250000Z", "2026-11-23T08:05:07.259999Z" },
		{ "2026-11-23T08:05:07.123456Z", "2026-11-23T08:05:07.123456Z",
			"2026-11-23T08:05:07.123456Z" },
		{ "2024-02-29", "2024-02-29T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z" },
		{ .text = "2026-02-29" },
		{ .text = "2100-02-29" },
		{ .text = "2026-13-01" },
		{ .text = "2026-00-01" },
		{ .text = "2026-11-31" },
		{ .text = "2026-11-23T24:00" },
		{ .text = "2026-11-23T08:60" },
		{ .text = "2026-11-23T08:05:60" },
		{ .text = "2026-11-23 08:05" },
		{ .text = "2026-11-23T08" },
		{ .text = "2026-11-23T08:05:" },
		{ .text = "2026-11-23T08:05:07." },
		{ .text = "2026-11-23T08:05:07.1234567" },
		{ .text = "2026-11-23T08:05:07+01:00" },
		{ .text = "2026-11-2" },
		{ .text = "Z" },
		{ .text = "" },
	};
	char made[UTC_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(
			time_parse(made, rows[i].text, false, NULL), rows[i].from ? RC_OK : RC_MALFORMED);
		if (!rows[i].from)
			continue;
		assert_string_equal(made, rows[i].from);
		assert_int_equal(time_parse(made, rows[i].text, true, NULL), RC_OK);
		assert_string_equal(made, rows[i].to);
	}
}

/* Another command of the program; what it printed is in `printed`. */
static int run_words(const char *words)
{
	char command[512];

	snprintf(command, sizeof command, "'%s' %s 2>&1", program, words);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	printed[fread(printed, 1, sizeof printed - 1, f)] = '\0';
	int status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_bundle_by_the_program(void **state)
{
	char words[400], bundle[100];

	/* Nothing is published yet, and the time is before it all. */
	write_entries(0, 5, false);
	snprintf(bundle, sizeof bundle, "%s.first", path);
	snprintf(words, sizeof words, "investigate %s --from 2001-01-01 --to 2002-01-01 -o %s", path, bundle);
	assert_int_equal(run_words(words), 0);
	assert_int_equal(run(bundle), 0);
	assert_non_null(strstr(printed, "The bundle is good: 0 entries"));
	assert_int_equal(unlink(bundle), 0);
	write_entries(5, 700, true);
	write_entries(700, 710, false);
	snprintf(bundle, sizeof bundle, "%s.bundle", path);
	snprintf(words, sizeof words, "investigate %s --from 2015-12-17 --to 2015-12-17 -o %s", path, bundle);
	assert_int_equal(run_words(words), 0);
	assert_int_equal(run(bundle), 0);
	assert_non_null(strstr(printed, "The bundle is good: 710 entries"));
	/* What is there stays; a time that nobody can have meant; no ledger; one that is not good. */
	assert_int_equal(run_words(words), 1);
	assert_int_equal(run(bundle), 0);
	assert_int_equal(unlink(bundle), 0);
	snprintf(words, sizeof words, "investigate %s --from 2016-01-01 --to 2015-12-17 -o %s", path, bundle);
	assert_int_equal(run_words(words), 2);
	snprintf(words, sizeof words, "investigate %s --from 2015-12-17 -o %s", path, bundle);
	assert_int_equal(run_words(words), 2);
	snprintf(words, sizeof words, "investigate /nowhere --from 2015-12-17 --to 2015-12-17 -o %s", bundle);
	assert_int_equal(run_words(words), 2);
	flip("tile/entries/001", 5000);
	snprintf(words, sizeof words, "investigate %s --from 2015-12-17 --to 2015-12-17 -o %s", path, bundle);
	assert_int_equal(run_words(words), 1);
	assert_non_null(strstr(printed, "not good"));
	assert_int_equal(access(bundle, F_OK), -1);
	flip("tile/entries/001", 5000);
	/* A byte of it is another. */
	assert_int_equal(run_words(words), 0);
	snprintf(words, sizeof words, "printf X | dd of=%s bs=1 seek=9000 conv=notrunc 2>/dev/null", bundle);
	assert_int_equal(system(words), 0);
	assert_true(run(bundle) == 1 || run(bundle) == 2);
	assert_int_equal(unlink(bundle), 0);
}

/* The same configuration, loaded as often as the entries say. */
static void write_loads(uint64_t from, uint64_t to, const char *sha256_hex)
{
	struct ledger_entry entry = {
		.type = LEDGER_CONFIG_LOAD, .boot = { 0xb0, 0x07 }, .source = "control"
	};
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_body b;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	ledger_body_begin(&b, LEDGER_CONFIG_LOAD);
	ledger_body_u64(&b, "generation", 1);
	ledger_body_str(&b, "sha256", sha256_hex);
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	for (uint64_t i = from; i < to; i++) {
		entry.n = i - from + 1;
		entry.mono_us = 1000 + i;
		utc_text(entry.utc, 1450375200000000ull + i);
		size_t n = ledger_entry_text(text, &entry);
		assert_int_equal(ledger_add(l, text, n, &index), RC_OK);
	}
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	sealer.store = &store;
	published(l);
	ledger_close(l);
	ledger_files_done(&files);
}

/* Files that are made to take time: a pipe, a configuration that is named again and again, records of a
 * journal that are none. */
static void files_that_take_time(void **state)
{
	static uint8_t journal[4000000];
	char words[400], option[200], bundle[100], configs[100], name[80], hex[65];
	uint8_t hash[32];
	time_t begun = time(NULL);

	write_entries(0, 20, true);
	sha256(hash, "text", 4);
	write_loads(20, 320, hex_from_bytes(hex, hash, 32));
	snprintf(name, sizeof name, "%s/pipe", path);
	assert_int_equal(mkfifo(name, 0600), 0);
	snprintf(option, sizeof option, "--policy %s", name);
	assert_int_equal(run_on_path(option), 2);
	assert_non_null(strstr(printed, "is not a regular file"));
	assert_int_equal(unlink(name), 0);

	snprintf(configs, sizeof configs, "%s.configs", path);
	assert_int_equal(mkdir(configs, 0700), 0);
	snprintf(words, sizeof words, "cd %s && printf text > one && mkfifo two", configs);
	assert_int_equal(system(words), 0);
	snprintf(bundle, sizeof bundle, "%s.bundle", path);
	snprintf(words, sizeof words, "investigate %s --from 2015-12-17 --to 2015-12-17 --config %s -o %s",
		path, configs, bundle);
	assert_int_equal(run_words(words), 0);
	assert_non_null(strstr(printed, "with 1 configurations"));
	snprintf(option, sizeof option, "%s --explain", bundle);
	assert_int_equal(run(option), 0);
	assert_non_null(strstr(printed, "(texts: 1)"));
	snprintf(words, sizeof words, "rm -r %s %s", configs, bundle);
	assert_int_equal(system(words), 0);

	for (size_t i = 0; i + 8 <= sizeof journal; i += 8) {
		memcpy(journal + i, "PGJ1", 4);
		journal[i + 5] = (uint8_t)((sizeof journal - i) / 2 >> 16);
	}
	file_write("journal", journal, sizeof journal);
	assert_int_equal(run_on_path(""), 1);
	assert_non_null(strstr(printed, "journal"));
	assert_true(time(NULL) - begun < 60);
}

/* What somebody writes into a file does not reach the terminal as it is. */
/* A record of an entry so far away that the number of the next one is 0 again, under a head that was signed.
 */
static void a_record_beyond_all_numbers(void **state)
{
	uint8_t record[NOTE_BYTES_MAX + 200];
	char note[NOTE_BYTES_MAX];

	write_entries(0, 20, true);
	int fd = openat(dir, "checkpoint", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, note, sizeof note);
	close(fd);
	assert_true(n > 0);
	struct wr w = wr_over(record, sizeof record);
	size_t record_n = journal_write(&w, UINT64_MAX, 1, "\0\1x", 3, note, (size_t)n);
	assert_true(record_n > 0);
	file_write("journal", record, record_n);
	assert_int_equal(run_on_path(""), 1);
	assert_non_null(strstr(printed, "begins at entry 18446744073709551615"));
}

static void assert_printable(void)
{
	for (const char *c = printed; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
}

static void nothing_steers_the_terminal(void **state)
{
	static const char note[] = "\x1b]0;owned\x07\n\n\xe2\x80\x94 x AAAAAAAA\n";
	int fd;

	write_entries(0, 5, true);
	fd = openat(dir, "checkpoint", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, note, sizeof note - 1), sizeof note - 1);
	close(fd);
	fd = openat(dir, "log.vkey", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, note, sizeof note - 1), sizeof note - 1);
	close(fd);
	assert_int_equal(run_on_path(""), 1);
	assert_printable();
	/* A key of the forger's own, with a name that holds U+009B: what ESC [ says, in one character. */
	uint8_t public_key[ED25519_PUBLIC_SIZE] = { 1 };
	struct note_key forged;
	char vkey[NOTE_VKEY_MAX + 1];
	assert_int_equal(note_key_make(&forged,
				 "log\xc2\x9b"
				 "31mred",
				 NOTE_ED25519, public_key),
		RC_OK);
	strcat(note_key_text(vkey, &forged), "\n");
	file_write("log.vkey", vkey, strlen(vkey));
	static const char *const options[] = { "", "--json", "--explain" };
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		assert_int_equal(run_on_path(options[i]), 1);
		assert_non_null(strstr(printed, "31mred"));
		assert_printable();
	}
}

/* Writes until it is killed: batches, and a publication after every few. */
static void writer(void)
{
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	if (ledger_open(&l, &store, &key, fixture_seed, &opened, NULL) != RC_OK)
		_exit(1);
	for (unsigned round = 0;; round++) {
		for (unsigned i = 0; i < 1 + round % 60; i++)
			if (ledger_add(l, text, fixture_entry(text, ledger_size(l) + i, 5), &index) != RC_OK)
				_exit(2);
		if (ledger_commit(l, NULL) != RC_OK || (round % 3 == 2 && ledger_publish(l, NULL) != RC_OK))
			_exit(3);
	}
}

/* Without one-time keys: the library does not ask for them, the program does. */
static void write_plain(uint64_t n)
{
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(ledger_add(l, text, fixture_entry(text, i, 5), &index), RC_OK);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	ledger_files_done(&files);
}

static void verified_while_it_is_written(void **state)
{
	struct verify_source source = directory_source(&dir);
	struct timespec begin, now;
	uint64_t last = 0, grew = 0, passes = 0;

	write_plain(10);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		writer();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		struct verify_report r;
		struct err e = { 0 };
		if (verify_ledger(&source, NULL, &r, &e) != RC_OK) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			fail_msg("after %llu entries: %s", (unsigned long long)last, e.text);
		}
		assert_true(r.size >= last);
		grew += r.size > last;
		last = r.size;
		passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
		/* A loaded machine needs longer until there was something to see. */
	} while (now.tv_sec - begin.tv_sec < (grew >= 3 && last > 100 ? 6 : 100));
	/* And at an arbitrary point of its work the writer dies; what is left opens, and is good. */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	struct verify_report r;
	struct err e = { 0 };
	struct ledger_files files;
	struct ledger_store store = ledger_files_over(&files, dir);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;
	if (ledger_open(&l, &store, &key, fixture_seed, &opened, &e) != RC_OK)
		fail_msg("%s", e.text);
	ledger_close(l);
	ledger_files_done(&files);
	assert_int_equal(verify_ledger(&source, NULL, &r, &e), RC_OK);
	printf("%llu passes over a ledger that grew to %llu entries\n", (unsigned long long)passes,
		(unsigned long long)r.size);
	assert_true(grew >= 3 && r.size > 100);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exit_status_and_text, make, unmake),
		cmocka_unit_test(times),
		cmocka_unit_test_setup_teardown(a_bundle_by_the_program, make, unmake),
		cmocka_unit_test_setup_teardown(files_that_take_time, make, unmake),
		cmocka_unit_test_setup_teardown(a_record_beyond_all_numbers, make, unmake),
		cmocka_unit_test_setup_teardown(nothing_steers_the_terminal, make, unmake),
		cmocka_unit_test_setup_teardown(verified_while_it_is_written, make, unmake),
	};

	program = argc > 1 ? argv[1] : "plaingate";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
