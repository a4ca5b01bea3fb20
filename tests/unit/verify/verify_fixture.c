#include "verify_fixture.h"

#include "base/bytes.h"
#include "cli/directory.h"
#include "ledger/counters.h"
#include "proc/ledger/sealer.h"
#include "proc/ledger/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct memory good, before;
struct note_key key;
struct seal_epoch left_epoch;
size_t entry_at[PUBLISHED];

static struct {
	int dir;
	struct ledger_files store;
	struct ledger_store files;
	struct ledger_log *log;
	struct sealer sealer;
	struct ledger_counters counters;
	uint8_t boot;
	uint64_t own_n, n[2], mono;
} maker;

static void entry_write(const char *source, uint64_t n, struct ledger_body *b)
{
	char text[LEDGER_ENTRY_MAX];
	struct ledger_entry entry = {
		.type = b->type, .n = n, .mono_us = ++maker.mono, .boot = { maker.boot }
	};
	uint64_t index, due;

	entry.body = b->text;
	entry.body_n = ledger_body_done(b);
	assert_true(entry.body_n > 0);
	snprintf(entry.source, sizeof entry.source, "%s", source);
	utc_text(entry.utc, 1450375200000000ull + 1000000ull * maker.boot + maker.mono);
	assert_true(ledger_counters_follow(&maker.counters, &entry, &due));
	size_t text_n = ledger_entry_text(text, &entry);
	assert_int_equal(ledger_add(maker.log, text, text_n, &index), RC_OK);
	if (index < PUBLISHED && index % TILE_WIDTH != TILE_WIDTH - 1 && index + 1 < PUBLISHED)
		entry_at[index + 1] = entry_at[index] + 2 + text_n;
}

static void commit(void)
{
	struct err e = { 0 };

	if (ledger_commit(maker.log, &e) != RC_OK)
		fail_msg("%s", e.text);
	sealer_change(&maker.sealer);
}

static void publish(void)
{
	struct checkpoint c = { .size = ledger_size(maker.log), .root = ledger_root(maker.log) };
	struct err e = { 0 };

	memcpy(c.origin, key.name, sizeof c.origin);
	if (sealer_seal(&maker.sealer, &c, &e) != RC_OK || ledger_publish(maker.log, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void boot_begins(uint8_t boot)
{
	char vkey[NOTE_VKEY_MAX], hex[2 * SHA256_SIZE + 1];
	struct ledger_opened opened;
	struct merkle_hash root;
	struct ledger_body b;
	struct err e = { 0 };

	maker.boot = boot;
	maker.mono = maker.own_n = maker.n[0] = maker.n[1] = 0;
	memset(&maker.counters, 0, sizeof maker.counters);
	maker.files = ledger_files_over(&maker.store, maker.dir);
	sealer_init(&maker.sealer, maker.dir, &maker.files);
	if (ledger_open(&maker.log, &maker.files, &key, fixture_seed, &opened, &e) != RC_OK)
		fail_msg("%s", e.text);
	ledger_body_begin(&b, LEDGER_LEDGER_START);
	ledger_body_str(&b, "key", note_key_text(vkey, &key));
	ledger_body_str(&b, "origin", key.name);
	ledger_body_u64(&b, "recovered", opened.published + opened.journaled);
	ledger_body_u64(&b, "torn_bytes", opened.torn_bytes);
	entry_write("ledger", ++maker.own_n, &b);
	assert_int_equal(sealer_prepare(&maker.sealer, &root, &e), RC_OK);
	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, root.b, sizeof root.b));
	entry_write("ledger", ++maker.own_n, &b);
	commit();
}

static void boot_ends(void)
{
	ledger_close(maker.log);
	sealer_done(&maker.sealer);
	ledger_files_done(&maker.store);
}

static void entries_write(uint64_t up_to)
{
	struct ledger_body b;

	while (ledger_size(maker.log) + ledger_batch_n(maker.log) < up_to) {
		uint64_t i = ledger_size(maker.log) + ledger_batch_n(maker.log);
		int who = i % 3 == 0;
		if (i % 97 == 50 && i + 1 < up_to) { /* a number that was refused: stated, and left out */
			uint64_t missing = ++maker.n[who];
			ledger_body_begin(&b, LEDGER_COUNTER_GAP);
			ledger_body_u64(&b, "first", missing);
			ledger_body_u64(&b, "last", missing);
			ledger_body_str(&b, "reason", "refused: test");
			ledger_body_u64(&b, "run", 0);
			ledger_body_str(&b, "source", who ? "keeper" : "supervisor");
			entry_write("ledger", ++maker.own_n, &b);
		} else if (who) {
			ledger_body_begin(&b, LEDGER_SA_REMOVE);
			ledger_body_str(&b, "peer", "branch");
			ledger_body_str(&b, "reason", "rekeyed");
			ledger_body_strf(&b, "spi_in", "%08llx", (unsigned long long)i);
			ledger_body_str(&b, "tunnel", "branch");
			entry_write("keeper", ++maker.n[1], &b);
		} else {
			ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
			ledger_body_u64(&b, "pid", i);
			ledger_body_str(&b, "process", "ike");
			ledger_body_str(&b, "reason", "exit status 0");
			entry_write("supervisor", ++maker.n[0], &b);
		}
	}
	commit();
}

static void take(void *to, const char *path)
{
	struct verify_source source = directory_source(&maker.dir);
	uint8_t *bytes;
	size_t n;

	assert_int_equal(source.read(source.context, path, &bytes, &n), RC_OK);
	memory_put(to, path, bytes, n);
	free(bytes);
}

static void directory_take(struct memory *to)
{
	struct verify_source source = directory_source(&maker.dir);

	assert_int_equal(source.list(source.context, take, to), RC_OK);
}

int ledger_make(void **state)
{
	char path[] = "/tmp/plaingate-verify-XXXXXX", command[64];

	key = fixture_key();
	if (!mkdtemp(path) || (maker.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	boot_begins(1);
	for (uint64_t size = 30; size < EPOCH_2; size += 61) {
		entries_write(size);
		publish();
	}
	entries_write(EPOCH_2);
	boot_ends(); /* with entries in the journal: as after a loss of power */
	boot_begins(2);
	for (uint64_t size = 350; size < PUBLISHED; size += 50) {
		entries_write(size);
		publish();
		if (size == 500)
			directory_take(&before);
	}
	entries_write(PUBLISHED);
	publish();
	for (unsigned i = 8; i <= JOURNALED; i += 8)
		entries_write(PUBLISHED + i);
	left_epoch = *maker.sealer.epoch;
	boot_ends();
	directory_take(&good);
	close(maker.dir);
	snprintf(command, sizeof command, "rm -r %s", path);
	return system(command);
}

int ledger_unmake(void **state)
{
	memory_done(&good);
	memory_done(&before);
	return 0;
}
