/* What the witness remembers in SQLite: heads by compare-and-swap, refused requests, and files that it must
 * not take.
 */
#include "witness_fixture.h"
#include "proc/witness/database.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1000000u

static struct fixture f;
static char directory[] = "/tmp/plaingate-witness-XXXXXX", path[64];

static int begin(void **state)
{
	fixture_init(&f);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/db", directory);
	return 0;
}

static int end(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	return system(command);
}

static struct database *open_store(bool want_new)
{
	struct database *s;
	struct err e = { 0 };
	bool begun;

	if (database_open(&s, path, &f.witness.key, &begun, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(begun, want_new);
	return s;
}

static enum rc open_fails(const struct note_key *key)
{
	struct database *s;
	struct err e = { 0 };
	bool begun;
	enum rc rc = database_open(&s, path, key, &begun, &e);

	assert_int_not_equal(rc, RC_OK);
	assert_int_equal(rc, e.rc);
	assert_non_null(strstr(e.text, path));
	return rc;
}

static void heads(void **state)
{
	struct witness_head a = { 5, merkle_leaf("a", 1), NOW }, b = { 9, merkle_leaf("b", 1), NOW + 1 }, got;
	struct database *s = open_store(true);
	struct witness_store w = database_interface(s);
	uint8_t hash[SHA256_SIZE];
	char note[NOTE_BYTES_MAX];
	size_t n;

	sha256(hash, "log", 3);
	assert_int_equal(w.get(s, "log", &got, NULL), RC_NOT_FOUND);
	assert_int_equal(database_note(s, hash, note, &n, NULL), RC_NOT_FOUND);
	assert_int_equal(database_begin(s, NULL), RC_OK);
	assert_int_equal(w.put(s, "log", &a, &b, "note b", 6, NULL), RC_AGAIN); /* there is nothing yet */
	assert_int_equal(w.put(s, "log", NULL, &a, "note a", 6, NULL), RC_OK);
	assert_int_equal(w.put(s, "log", NULL, &b, "note b", 6, NULL), RC_AGAIN); /* there is something */
	assert_int_equal(database_end(s, true, NULL), RC_OK);
	/* Each of the three must be as it was. */
	for (int i = 0; i < 3; i++) {
		struct witness_head was = a;
		was.size += i == 0;
		was.time_s += i == 1;
		was.root.b[0] ^= i == 2;
		assert_int_equal(w.put(s, "log", &was, &b, "note b", 6, NULL), RC_AGAIN);
	}
	assert_int_equal(w.get(s, "log", &got, NULL), RC_OK);
	assert_memory_equal(&got, &a, sizeof a);
	/* What is not kept is gone, what is kept stays when the file is opened again. */
	assert_int_equal(database_begin(s, NULL), RC_OK);
	assert_int_equal(w.put(s, "log", &a, &b, "note b", 6, NULL), RC_OK);
	assert_int_equal(database_end(s, false, NULL), RC_OK);
	assert_int_equal(database_note(s, hash, note, &n, NULL), RC_OK);
	assert_memory_equal(note, "note a", n);
	assert_int_equal(database_begin(s, NULL), RC_OK);
	assert_int_equal(w.put(s, "log", &a, &b, "note b", 6, NULL), RC_OK);
	assert_int_equal(database_end(s, true, NULL), RC_OK);
	database_close(s);
	s = open_store(false);
	w = database_interface(s);
	assert_int_equal(w.get(s, "log", &got, NULL), RC_OK);
	assert_memory_equal(&got, &b, sizeof b);
	/* The largest tree, another origin. */
	struct witness_head large = { WITNESS_SIZE_MAX, merkle_leaf("c", 1), INT64_MAX };
	assert_int_equal(w.put(s, "log2", NULL, &large, "note c", 6, NULL), RC_OK);
	assert_int_equal(w.get(s, "log2", &got, NULL), RC_OK);
	assert_memory_equal(&got, &large, sizeof large);
	database_close(s);
}

/* The whole way: requests decided over SQLite, the file closed and opened between them. */
static void decisions(void **state)
{
	static const struct {
		unsigned history;
		uint64_t old, size;
		enum witness_status want;
	} rows[] = {
		{ 0, 0, 3, WITNESS_COSIGNED },
		{ 0, 3, 12, WITNESS_COSIGNED },
		{ 1, 12, 20, WITNESS_INCONSISTENT },
		{ 1, 12, 12, WITNESS_INCONSISTENT },
		{ 0, 3, 20, WITNESS_CONFLICT },
		{ 0, 12, 20, WITNESS_COSIGNED },
		{ 0, 20, 20, WITNESS_COSIGNED },
	};
	static char body[WITNESS_BODY_MAX];
	uint64_t logs = 0, refused = 0;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct database *s = open_store(i == 0);
		struct witness_answer a;
		f.witness.store = database_interface(s);
		size_t n = fixture_request(&f, body, sizeof body, rows[i].history, rows[i].old, rows[i].size);
		assert_int_equal(database_begin(s, NULL), RC_OK);
		witness_add_checkpoint(&f.witness, body, n, NOW + i, &a);
		assert_int_equal(database_end(s, a.status == WITNESS_COSIGNED, NULL), RC_OK);
		assert_int_equal(a.status, rows[i].want);
		struct checkpoint of = { .origin = FIXTURE_ORIGIN, .size = a.size, .root = a.root };
		if (a.status == WITNESS_INCONSISTENT)
			assert_int_equal(database_refused_add(s, &of, a.forked, NOW, body, n, NULL), RC_OK);
		assert_int_equal(database_counts(s, &logs, &refused, NULL), RC_OK);
		database_close(s);
	}
	assert_int_equal(logs, 1);
	assert_int_equal(refused, 2);
	/* The fork before the other one, for whoever asks by the hash of the origin. */
	static char kept[WITNESS_BODY_MAX];
	uint8_t hash[SHA256_SIZE];
	size_t n = fixture_request(&f, body, sizeof body, 1, 12, 12), kept_n;
	struct database *s = open_store(false);
	sha256(hash, FIXTURE_ORIGIN, strlen(FIXTURE_ORIGIN));
	assert_int_equal(database_refused(s, hash, kept, &kept_n, NULL), RC_OK);
	assert_int_equal(kept_n, n);
	assert_memory_equal(kept, body, n);
	hash[0] ^= 1;
	assert_int_equal(database_refused(s, hash, kept, &kept_n, NULL), RC_NOT_FOUND);
	database_close(s);
}

/* The first ones stay, forks apart from the others. */
static void refused_is_bounded(void **state)
{
	struct database *s = open_store(true);
	struct witness_head head = { 5, merkle_leaf("a", 1), NOW };
	struct witness_store w = database_interface(s);
	uint8_t hash[SHA256_SIZE];
	char body[WITNESS_BODY_MAX];
	uint64_t logs, refused;
	unsigned first;
	size_t n;

	sha256(hash, "log", 3);
	assert_int_equal(w.put(s, "log", NULL, &head, "note", 4, NULL), RC_OK);
	for (unsigned forked = 0; forked < 2; forked++) {
		for (unsigned i = 0; i < DATABASE_REFUSED_MAX + 30; i++) {
			unsigned number = i + 1000 * forked;
			struct checkpoint of = { .origin = "log", .size = number };
			assert_int_equal(
				database_refused_add(s, &of, forked, i, &number, sizeof number, NULL),
				i < DATABASE_REFUSED_MAX ? RC_OK : RC_LIMIT);
		}
		assert_int_equal(database_refused(s, hash, body, &n, NULL), RC_OK);
		memcpy(&first, body, sizeof first);
		assert_int_equal(first, 1000 * forked);
	}
	struct checkpoint other = { .origin = "other" };
	assert_int_equal(database_refused_add(s, &other, false, 1, "x", 1, NULL), RC_OK);
	assert_int_equal(database_counts(s, &logs, &refused, NULL), RC_OK);
	assert_int_equal(refused, 2 * DATABASE_REFUSED_MAX + 1);
	assert_int_equal(logs, 1);
	database_close(s);
}

/* A checkpoint that everybody can have, with proofs that are none: it takes one place at the most, so that
 * there is room for what does not continue the log. Once it is cosigned it takes none. */
static void refused_again(void **state)
{
	static char body[WITNESS_BODY_MAX], longer[WITNESS_BODY_MAX];
	struct database *s = open_store(true);
	struct witness_answer a;
	uint64_t logs, refused;

	f.witness.store = database_interface(s);
	for (unsigned i = 0; i < 3 * DATABASE_REFUSED_MAX; i++) {
		/* 12 are cosigned; then 12 again, 20 and, at last, 20 of another history */
		bool last = i == 3 * DATABASE_REFUSED_MAX - 1;
		size_t n =
			fixture_request(&f, body, sizeof body, last, i > 0 ? 12 : 0, i % 2 || last ? 20 : 12);
		if (i > 0 && !last) { /* a hash more behind "old 12" */
			n = (size_t)snprintf(longer, sizeof longer,
				"old 12\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n%.*s", (int)n - 7,
				body + 7);
			memcpy(body, longer, n + 1);
		}
		assert_int_equal(database_begin(s, NULL), RC_OK);
		witness_add_checkpoint(&f.witness, body, n, NOW + i, &a);
		assert_int_equal(database_end(s, a.status == WITNESS_COSIGNED, NULL), RC_OK);
		assert_int_equal(a.status, i == 0 ? WITNESS_COSIGNED : WITNESS_INCONSISTENT);
		struct checkpoint of = { .origin = FIXTURE_ORIGIN, .size = a.size, .root = a.root };
		if (i > 0)
			assert_int_equal(database_refused_add(s, &of, a.forked, NOW, body, n, NULL),
				i == 1 || last ? RC_OK : RC_EXISTS);
	}
	assert_int_equal(database_counts(s, &logs, &refused, NULL), RC_OK);
	assert_int_equal(refused, 2);
	size_t n = fixture_request(&f, body, sizeof body, 0, 12, 20);
	assert_int_equal(database_begin(s, NULL), RC_OK);
	witness_add_checkpoint(&f.witness, body, n, NOW + 1000, &a);
	assert_int_equal(a.status, WITNESS_COSIGNED);
	struct checkpoint of = { .origin = FIXTURE_ORIGIN, .size = a.size, .root = a.root };
	assert_int_equal(database_refused_clear(s, &of, NULL), RC_OK);
	assert_int_equal(database_end(s, true, NULL), RC_OK);
	assert_int_equal(database_counts(s, &logs, &refused, NULL), RC_OK);
	assert_int_equal(refused, 1);
	database_close(s);
}

static void files_refused(void **state)
{
	struct note_key other;
	struct stat st;
	struct database *s = open_store(true);
	int status;

	/* for its owner alone */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Another process has it: not both may sign. */
	pid_t child = fork();
	if (child == 0) {
		struct database *second;
		bool begun;
		_exit(database_open(&second, path, &f.witness.key, &begun, NULL) == RC_EXISTS ? 7 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	database_close(s);
	/* of another key */
	assert_int_equal(
		note_key_make(&other, "other.example", NOTE_COSIGNATURE_ED25519, f.witness.key.public_key),
		RC_OK);
	assert_int_equal(open_fails(&other), RC_DENIED);
	database_close(open_store(false));
	/* damaged, and no database at all */
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 4096);
	/* the last page alone, which nothing reads but the check of the whole file */
	char page[8];
	assert_int_equal(pread(fd, page, sizeof page, st.st_size - 4096), sizeof page);
	assert_int_equal(pwrite(fd, "damage!!", 8, st.st_size - 4096), 8);
	assert_int_equal(open_fails(&f.witness.key), RC_IO);
	assert_int_equal(pwrite(fd, page, sizeof page, st.st_size - 4096), sizeof page);
	database_close(open_store(false));
	for (off_t at = 4096; at < st.st_size; at += 512)
		assert_int_equal(pwrite(fd, "damage!!", 8, at), 8);
	open_fails(&f.witness.key);
	assert_int_equal(pwrite(fd, "no database here", 16, 0), 16);
	open_fails(&f.witness.key);
	close(fd);
	/* no file can be made there */
	snprintf(path, sizeof path, "%s/none/db", directory);
	assert_int_equal(open_fails(&f.witness.key), RC_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(heads, begin, end),
		cmocka_unit_test_setup_teardown(decisions, begin, end),
		cmocka_unit_test_setup_teardown(refused_is_bounded, begin, end),
		cmocka_unit_test_setup_teardown(refused_again, begin, end),
		cmocka_unit_test_setup_teardown(files_refused, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
