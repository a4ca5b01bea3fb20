/* What a log shows its witnesses: proofs from any size that it had, out of tiles and memory; and where their
 * cosignatures stand. */
#include "ledger_fixture.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "merkle/cosign.h"

#define ENTRIES 70000u /* three levels of tiles */

static struct disk disk;
static struct ledger_store store;
static struct merkle_hash roots[ENTRIES + 1]; /* by size, made by an edge of the test's own */

static struct ledger_log *log_open(void)
{
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l = NULL;

	store = disk_store(&disk);
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	return l;
}

static void grow(struct ledger_log *l, uint64_t to)
{
	static struct merkle_edge edge;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	if (ledger_size(l) == 0)
		edge = (struct merkle_edge){ 0 };
	assert_int_equal(edge.size, ledger_size(l));
	while (edge.size < to) {
		size_t n = fixture_entry(text, edge.size, 0);
		struct merkle_hash leaf = merkle_leaf(text, n);
		assert_int_equal(ledger_add(l, text, n, &index), RC_OK);
		merkle_edge_add(&edge, &leaf);
		roots[edge.size] = merkle_edge_root(&edge);
		if (ledger_batch_n(l) == LEDGER_BATCH_MAX || edge.size == to)
			assert_int_equal(ledger_commit(l, NULL), RC_OK);
	}
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
}

static void prove(const struct ledger_log *l, uint64_t old)
{
	uint64_t size = ledger_published(l);
	struct merkle_hash root;
	struct merkle_proof proof;

	assert_int_equal(ledger_prove(l, old, &root, &proof), RC_OK);
	assert_true(merkle_equal(&root, &roots[old]));
	if (merkle_check_consistency(&proof, old, size, &roots[old], &roots[size]) != RC_OK)
		fail_msg("from %llu to %llu", (unsigned long long)old, (unsigned long long)size);
}

static int begin(void **state)
{
	memory_done(&disk.files);
	disk = (struct disk){ 0 };
	return 0;
}

static int end(void **state)
{
	memory_done(&disk.files);
	return 0;
}

static void every_size_of_a_small_log(void **state)
{
	struct ledger_log *l = log_open();

	for (uint64_t size = 1; size <= 600; size += size < 300 ? 37 : 53) {
		grow(l, size);
		for (uint64_t old = 1; old <= size; old++)
			prove(l, old);
		assert_int_equal(ledger_prove(l, 0, &roots[0], NULL), RC_RANGE);
		assert_int_equal(ledger_prove(l, size + 1, &roots[0], NULL), RC_RANGE);
	}
	ledger_close(l);
}

static void sizes_of_a_large_log(void **state)
{
	static const uint64_t olds[] = { 1, 2, 255, 256, 257, 511, 65535, 65536, 65537, 65792, 69887, 69888,
		69999, ENTRIES };
	struct ledger_log *l = log_open();

	grow(l, ENTRIES);
	for (int opened = 0; opened < 2; opened++) {
		for (size_t i = 0; i < COUNT_OF(olds); i++)
			prove(l, olds[i]);
		for (uint64_t old = 7; old < ENTRIES; old += 631)
			prove(l, old);
		ledger_close(l);
		l = log_open();
	}
	/* Entries behind the published ones have a root, and nothing is proved from them. */
	struct merkle_proof proof;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;
	size_t n = fixture_entry(text, ENTRIES, 0);
	assert_int_equal(ledger_add(l, text, n, &index), RC_OK);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	prove(l, 65537);
	struct merkle_hash root = ledger_root(l), found;
	assert_int_equal(ledger_prove(l, ENTRIES + 1, &found, &proof), RC_RANGE);
	assert_int_equal(ledger_prove(l, ENTRIES + 1, &found, NULL), RC_OK);
	assert_memory_equal(&found, &root, sizeof root);
	assert_int_equal(ledger_prove(l, ENTRIES + 2, &found, NULL), RC_RANGE);
	/* A tile that is gone: no proof, and no crash. */
	memory_remove(&disk.files, "tile/0/000");
	assert_int_equal(ledger_prove(l, 100, &roots[0], NULL), RC_NOT_FOUND);
	prove(l, 65536);
	ledger_close(l);
}

static void head_parse(const char *note, size_t n, struct note *ret_note, uint64_t size)
{
	struct note_key key = fixture_key();
	struct checkpoint c;

	assert_int_equal(note_parse(ret_note, note, n, NULL), RC_OK);
	assert_int_equal(note_verify(ret_note, &key, NULL), RC_OK);
	assert_int_equal(checkpoint_parse(&c, ret_note->text, ret_note->text_n, NULL), RC_OK);
	assert_int_equal(c.size, size);
}

static void cosignatures_stand_in_the_checkpoint(void **state)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = { 7 };
	struct ledger_log *l = log_open();
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	char line[COSIGN_LINE_MAX];
	struct note_key witness;
	struct note note;
	const uint8_t *file;
	size_t n;

	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&witness, "w.example", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	/* An empty log has a head, and no file for a cosignature of it. */
	const char *head = ledger_head(l, &n);
	head_parse(head, n, &note, 0);
	assert_int_equal(ledger_cosigned(l, "x", 1, true, NULL), RC_RANGE);
	grow(l, 300);
	for (int opened = 0; opened < 2; opened++) {
		head = ledger_head(l, &n);
		head_parse(head, n, &note, 300);
		assert_int_equal(note.signatures_n, 1);
		size_t line_n = cosign_line(line, sizeof line, note.text, note.text_n, &witness, seed, 1000);
		assert_int_equal(ledger_cosigned(l, line, line_n, opened == 1, NULL), RC_OK);
		file = memory_get(&disk.files, LEDGER_PATH_CHECKPOINT, &n);
		head_parse((const char *)file, n, &note, 300);
		assert_int_equal(note.signatures_n, 2);
		assert_int_equal(cosign_verify(&note, &witness, NULL, NULL), RC_OK);
		assert_true((memory_get(&disk.files, LEDGER_PATH_COSIGNED, &n) != NULL) == (opened == 1));
		/* With it the log opens as without, and what is shown to others is without. */
		ledger_close(l);
		l = log_open();
	}
	char *large = test_malloc(NOTE_BYTES_MAX);
	memset(large, 'x', NOTE_BYTES_MAX);
	assert_int_equal(ledger_cosigned(l, large, NOTE_BYTES_MAX, true, NULL), RC_LIMIT);
	test_free(large);
	grow(l, 301);
	file = memory_get(&disk.files, LEDGER_PATH_CHECKPOINT, &n);
	head_parse((const char *)file, n, &note, 301);
	assert_int_equal(note.signatures_n, 1); /* they were of another tree */
	file = memory_get(&disk.files, LEDGER_PATH_COSIGNED, &n);
	head_parse((const char *)file, n, &note, 300);
	assert_int_equal(note.signatures_n, 2);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_size_of_a_small_log, begin, end),
		cmocka_unit_test_setup_teardown(sizes_of_a_large_log, begin, end),
		cmocka_unit_test_setup_teardown(cosignatures_stand_in_the_checkpoint, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
