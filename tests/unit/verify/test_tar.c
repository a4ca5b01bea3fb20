/* The tar format of evidence bundles: what is written is read, by others' tar too; all else is refused. */
#include "verify/tar.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct made {
	uint8_t bytes[65536];
	size_t n;
};

static void add(struct made *m, const char *name, const void *bytes, size_t n)
{
	assert_true(tar_header(m->bytes + m->n, name, n, 1450375200));
	m->n += TAR_BLOCK;
	if (n > 0)
		memcpy(m->bytes + m->n, bytes, n);
	memset(m->bytes + m->n + n, 0, tar_padding(n));
	m->n += n + tar_padding(n);
}

static void end(struct made *m)
{
	memset(m->bytes + m->n, 0, 2 * TAR_BLOCK);
	m->n += 2 * TAR_BLOCK;
}

/* Sums are made again, so that the reader looks at what stands there. */
static void sum_again(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	block[155] = ' ';
}

static struct made three(void)
{
	static uint8_t long_one[1300];
	struct made m = { .n = 0 };

	memset(long_one, 0x5a, sizeof long_one);
	add(&m, "tile/entries/x001/234", long_one, sizeof long_one);
	add(&m, "checkpoint", "signed\n", 7);
	add(&m, "empty", "", 0);
	add(&m, "block", long_one, TAR_BLOCK);
	end(&m);
	return m;
}

static enum rc parse(const struct made *m, size_t n)
{
	struct tar t;
	struct err e = { 0 };
	/* of its exact size, for the sanitizers */
	uint8_t *copy = malloc(n + 1);

	assert_non_null(copy);
	memcpy(copy, m->bytes, n);
	enum rc rc = tar_parse(&t, copy, n, &e);
	assert_true((rc == RC_OK) == (e.text[0] == '\0'));
	tar_done(&t);
	free(copy);
	return rc;
}

static void what_is_written_is_read(void **state)
{
	struct made m = three();
	struct tar t;

	assert_int_equal(tar_parse(&t, m.bytes, m.n, NULL), RC_OK);
	assert_int_equal(t.n, 4);
	const struct tar_file *f = tar_find(&t, "checkpoint");
	assert_non_null(f);
	assert_int_equal(f->n, 7);
	assert_memory_equal(f->bytes, "signed\n", 7);
	assert_int_equal(tar_find(&t, "empty")->n, 0);
	assert_int_equal(tar_find(&t, "block")->n, TAR_BLOCK);
	assert_int_equal(tar_find(&t, "tile/entries/x001/234")->n, 1300);
	assert_null(tar_find(&t, "tile"));
	assert_null(tar_find(&t, ""));
	tar_done(&t);
	/* Zeros may follow, as tar pads to its records. */
	memset(m.bytes + m.n, 0, 4 * TAR_BLOCK);
	assert_int_equal(parse(&m, m.n + 4 * TAR_BLOCK), RC_OK);
	m = (struct made){ .n = 0 };
	end(&m);
	assert_int_equal(parse(&m, m.n), RC_OK);
}

static void every_truncation_is_found(void **state)
{
	struct made m = three();

	for (size_t n = 0; n < m.n; n++)
		assert_int_not_equal(parse(&m, n), RC_OK);
}

/* No octet of headers, padding and end can be another; those of the files are their own affair. */
static void every_octet_counts(void **state)
{
	struct made m = three();

	for (size_t at = 0; at < m.n; at++) {
		bool content = (at >= TAR_BLOCK && at < TAR_BLOCK + 1300) ||
			       (at >= 5 * TAR_BLOCK && at < 5 * TAR_BLOCK + 7) ||
			       (at >= 8 * TAR_BLOCK && at < 9 * TAR_BLOCK);
		m.bytes[at] ^= 1;
		assert_int_equal(parse(&m, m.n) == RC_OK, content);
		m.bytes[at] ^= 1;
	}
}

/* With right sums: what other readers would follow, and this one does not. */
static void every_field_of_a_header(void **state)
{
	for (size_t at = 0; at < TAR_BLOCK; at++) {
		struct made m = { .n = 0 };
		bool mtime = at >= 136 && at < 147, name = at < 5;
		uint8_t full[TAR_BLOCK];
		memset(full, 'x', sizeof full); /* a whole block: another size leads elsewhere */
		add(&m, "nodes", full, sizeof full);
		end(&m);
		if (at >= 148 && at < 156)
			continue;
		m.bytes[at] ^= 1;
		sum_again(m.bytes);
		/* another name, or another time, is a right header */
		assert_int_equal(parse(&m, m.n) == RC_OK, mtime || name);
	}
}

static void names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = { { "a", true }, { "a/b", true }, { "a.b-c_9", true }, { "..a", true }, { "", false },
		{ "/a", false }, { "a/", false }, { "a//b", false }, { ".", false }, { "..", false },
		{ "a/../b", false }, { "a/.", false }, { "./a", false }, { "a b", false }, { "a\nb", false },
		{ "a\\b", false }, { "\xc3\xa4", false }, { "a:b", false } };
	char longest[TAR_NAME_MAX + 1];
	uint8_t block[TAR_BLOCK];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(tar_name_good(rows[i].name), rows[i].good);
		assert_int_equal(tar_header(block, rows[i].name, 0, 0), rows[i].good);
	}
	memset(longest, 'x', sizeof longest);
	longest[TAR_NAME_MAX] = '\0';
	assert_false(tar_name_good(longest));
	longest[TAR_NAME_MAX - 1] = '\0';
	assert_true(tar_name_good(longest));
	assert_false(tar_header(block, "a", 1ull << 33, 0));
	assert_true(tar_header(block, "a", (1ull << 33) - 1, 0));
}

static void no_name_twice(void **state)
{
	struct made m = { .n = 0 };

	add(&m, "b", "1", 1);
	add(&m, "a", "2", 1);
	add(&m, "b", "3", 1);
	end(&m);
	assert_int_equal(parse(&m, m.n), RC_EXISTS);
}

/* Somebody else's reader. */
static void tar_reads_it(void **state)
{
	struct made m = three();
	char path[] = "/tmp/plaingate-tar-XXXXXX", command[200], listed[400];
	int fd = mkstemp(path);

	if (system("tar --version >/dev/null 2>&1") != 0)
		skip();
	assert_true(fd >= 0);
	assert_int_equal(write(fd, m.bytes, m.n), m.n);
	close(fd);
	snprintf(command, sizeof command, "tar tf %s && tar xOf %s checkpoint", path, path);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	listed[fread(listed, 1, sizeof listed - 1, f)] = '\0';
	assert_int_equal(pclose(f), 0);
	unlink(path);
	assert_string_equal(listed, "tile/entries/x001/234\ncheckpoint\nempty\nblock\nsigned\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_truncation_is_found),
		cmocka_unit_test(every_octet_counts),
		cmocka_unit_test(every_field_of_a_header),
		cmocka_unit_test(names),
		cmocka_unit_test(no_name_twice),
		cmocka_unit_test(tar_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
