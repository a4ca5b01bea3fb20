/*
 * What somebody can do to a session log, and whether `verify log` finds it with the ledger at hand: a row for each way, exact
 * in both directions, so that the limits are tests too. The log has three files of twenty lines; the ledger has entries
 * up to line 50. docs/tamperings.md has the table.
 */
#include "base/bytes.h"
#include "export/line.h"
#include "ledger/entry.h"
#include "verify/session_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES	60
#define FILE_OF 20
#define COVERED 50
#define ID_A	"00112233445566778899aabbccddeeff"
#define ID_B	"ffeeddccbbaa99887766554433221100"

struct log {
	unsigned n;
	struct {
		char text[640];
		size_t length;
		bool begins; /* a file */
	} line[LINES + 8];
};

struct statement {
	uint64_t last;
	char hash[2 * SHA256_SIZE + 1];
};

static struct log good;
static struct statement stated[LINES];
static unsigned stated_n;
static uint64_t oldest = 1;

static struct session_record record_of(unsigned i)
{
	return (struct session_record){ .at = 1000000ull * i,
		.event = i % FILE_OF == 0 ? SESSION_EVENT_LOG_FILE : SESSION_EVENT_CLOSE,
		.session = i,
		.proto = 6,
		.rule = "out" };
}

/* The lines of these records, chained behind what stands before place `from`. */
static void chain_from(
	struct log *l, unsigned from, const struct session_record *r, unsigned n, const char *id)
{
	struct export_chain chain = { 0 };
	char line[SESSION_LINE_MAX];

	for (unsigned i = 0; i < from; i++)
		export_chain_add(&chain, l->line[i].text, l->line[i].length);
	for (unsigned i = 0; i < n; i++) {
		bool head = r[i].event == SESSION_EVENT_LOG_FILE;
		size_t length = export_line(line, &r[i], head ? id : NULL, &chain);
		assert_true(length > 0 && length < sizeof l->line[0].text);
		memcpy(l->line[from + i].text, line, length);
		l->line[from + i].length = length;
		l->line[from + i].begins = head;
		export_chain_add(&chain, line, length);
	}
	l->n = from + n;
}

static void records_fill(struct session_record *r, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		r[i] = record_of(from + i);
}

/* ---- verification ---- */

static void entry_give(struct session_log_check *c, const struct statement *s, uint64_t index)
{
	static struct ledger_body b;
	struct ledger_entry e = { .type = LEDGER_SESSION_LOG };

	ledger_body_begin(&b, LEDGER_SESSION_LOG);
	ledger_body_u64(&b, "count", 1);
	ledger_body_u64(&b, "last", s->last);
	ledger_body_str(&b, "log", ID_A);
	ledger_body_u64(&b, "lost", 0);
	ledger_body_u64(&b, "oldest", oldest);
	ledger_body_str(&b, "sha256", s->hash);
	e.body_n = ledger_body_done(&b);
	e.body = b.text;
	assert_true(e.body_n > 0);
	assert_int_equal(session_log_check_entry(c, &e, index), RC_OK);
}

static struct session_log_report verify(const struct log *l)
{
	struct session_log_check *c = session_log_check_new();
	struct session_log_report report;
	char name[64];
	unsigned file = 0;

	assert_non_null(c);
	for (unsigned i = 0; i < stated_n; i++)
		entry_give(c, &stated[i], 100 + i);
	for (unsigned i = 0; i < l->n; i++) {
		if (l->line[i].begins || i == 0) {
			snprintf(name, sizeof name, "sessions-%010u.log", ++file);
			session_log_check_file(c, name);
		}
		session_log_check_line(c, l->line[i].text, l->line[i].length, true);
	}
	session_log_check_end(c, &report);
	session_log_check_free(c);
	if (!report.good)
		assert_true(strlen(report.finding) > 20);
	return report;
}

/* ---- ways ---- */

/* The i-th tampering of `l`, a copy of the good log; false: there is none of that number. */
typedef bool way_fn(struct log *l, unsigned i);

static void line_remove(struct log *l, unsigned at)
{
	memmove(&l->line[at], &l->line[at + 1], (l->n - at - 1) * sizeof l->line[0]);
	l->n--;
}

static void line_insert(struct log *l, unsigned at, unsigned copy_of)
{
	typeof(l->line[0]) one = l->line[copy_of];

	memmove(&l->line[at + 1], &l->line[at], (l->n - at) * sizeof l->line[0]);
	l->line[at] = one;
	l->n++;
}

static bool removed(struct log *l, unsigned i)
{
	if (i >= LINES - 1)
		return false;
	line_remove(l, i);
	return true;
}

static bool last_removed(struct log *l, unsigned i)
{
	l->n -= i + 1;
	return i < LINES - COVERED;
}

static bool end_cut(struct log *l, unsigned i)
{
	l->n = i;
	return i < COVERED;
}

static bool twice(struct log *l, unsigned i)
{
	if (i >= LINES)
		return false;
	line_insert(l, i, i);
	return true;
}

static bool swapped(struct log *l, unsigned i)
{
	if (i >= LINES - 1)
		return false;
	typeof(l->line[0]) one = l->line[i];
	l->line[i] = l->line[i + 1];
	l->line[i + 1] = one;
	return true;
}

static bool moved(struct log *l, unsigned i)
{
	unsigned from = i / LINES, to = i % LINES;

	if (from >= LINES - 1)
		return false;
	if (to == from)
		to = (to + 1) % (LINES - 1);
	typeof(l->line[0]) one = l->line[from];
	line_remove(l, from);
	memmove(&l->line[to + 1], &l->line[to], (l->n - to) * sizeof l->line[0]);
	l->line[to] = one;
	l->n++;
	return true;
}

#define BITS_EACH 100

static bool bits(struct log *l, unsigned i)
{
	unsigned line = i / BITS_EACH, at = i % BITS_EACH;

	if (line >= LINES - 1)
		return false;
	size_t octet = at * l->line[line].length / BITS_EACH;
	l->line[line].text[octet] = (char)(l->line[line].text[octet] ^ (1 << i % 8));
	return true;
}

static bool file_removed(struct log *l, unsigned i)
{
	for (unsigned k = 0; k < FILE_OF; k++)
		line_remove(l, i * FILE_OF);
	return i < LINES / FILE_OF - 1;
}

static bool rewritten(struct log *l, unsigned i)
{
	struct session_record r[LINES];

	records_fill(r, i, LINES - i);
	r[0].bytes[0] = 1;
	r[0].at++;
	chain_from(l, i, r, LINES - i, ID_A);
	return i < COVERED;
}

static bool rewritten_after(struct log *l, unsigned i)
{
	struct session_record r[LINES];
	unsigned at = COVERED + i;

	if (at >= LINES)
		return false;
	records_fill(r, at, LINES - at);
	r[0].bytes[0] = 1;
	chain_from(l, at, r, LINES - at, ID_A);
	return true;
}

static bool removed_rewritten(struct log *l, unsigned i)
{
	struct session_record r[LINES];

	if (i >= COVERED || i % FILE_OF == 0)
		return i < COVERED ? removed(l, i) : false;
	records_fill(r, i + 1, LINES - i - 1);
	chain_from(l, i, r, LINES - i - 1, ID_A);
	return true;
}

static bool inserted_rewritten(struct log *l, unsigned i)
{
	struct session_record r[LINES + 1];

	if (i == 0 || i >= COVERED)
		return i == 0 ? twice(l, 0) : false;
	r[0] = record_of(1);
	records_fill(r + 1, i, LINES - i);
	chain_from(l, i, r, LINES - i + 1, ID_A);
	return true;
}

static bool other_log(struct log *l, unsigned i)
{
	struct session_record r[LINES];

	records_fill(r, 0, LINES);
	chain_from(l, 0, r, LINES, ID_B);
	return i < 1;
}

/* clang-format off */
static const struct way {
	const char *name;
	way_fn *make;
	unsigned at_least;
	bool found;
} ways[] = {
	{ "a line removed",                                                        removed,            59,   true },
	{ "a line twice",                                                          twice,              60,   true },
	{ "a line and the next one swapped",                                       swapped,            59,   true },
	{ "a line moved to another place",                                         moved,              3000, true },
	{ "a bit of a line, other than the last one",                              bits,               5900, true },
	{ "a file removed, other than the newest",                                 file_removed,       2,    true },
	{ "the end cut off, before the last entry",                                end_cut,            50,   true },
	{ "a line changed before the last entry, all hashes after it made again",  rewritten,          50,   true },
	{ "a line removed before it, numbers and hashes made again",               removed_rewritten,  50,   true },
	{ "a line added before it, numbers and hashes made again",                 inserted_rewritten, 49,   true },
	{ "another log in its place",                                              other_log,          1,    true },
	{ "lines removed from the end, after the last entry",                      last_removed,       10,   false },
	{ "a line changed after the last entry, all hashes after it made again",   rewritten_after,    10,   false },
};
/* clang-format on */

static void all_ways(void **state)
{
	static struct log l;

	for (size_t w = 0; w < COUNT_OF(ways); w++) {
		unsigned i = 0;
		for (;; i++) {
			l = good;
			if (!ways[w].make(&l, i))
				break;
			struct session_log_report r = verify(&l);
			if (r.good == ways[w].found)
				fail_msg("%s, the %u-th: %s %s", ways[w].name, i,
					r.good ? "not found" : "found:", r.finding);
		}
		if (i < ways[w].at_least)
			fail_msg("%s: only %u tamperings", ways[w].name, i);
	}
}

static void untouched(void **state)
{
	static struct log l;
	struct session_log_report r = verify(&good);

	if (!r.good)
		fail_msg("%s", r.finding);
	assert_int_equal(r.lines, LINES);
	assert_int_equal(r.files, 3);
	assert_int_equal(r.compared, stated_n);
	assert_int_equal(r.uncovered, LINES - COVERED);
	assert_int_equal(r.deleted, 0);
	/* What the gateway deleted for want of room is not missed, and what somebody else deleted beyond that is. */
	l = good;
	file_removed(&l, 0);
	assert_false(verify(&l).good);
	oldest = FILE_OF + 1;
	r = verify(&l);
	assert_true(r.good);
	assert_int_equal(r.deleted, FILE_OF);
	file_removed(&l, 0);
	assert_false(verify(&l).good);
	oldest = 1;
	l.n = 0;
	assert_false(verify(&l).good);
}

/* The page has these rows. */
static void page(void **state)
{
	static char text[1 << 16];
	char row[256];
	FILE *f = fopen(getenv("TAMPERINGS") ? getenv("TAMPERINGS") : "docs/tamperings.md", "r");

	if (!f)
		skip();
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	for (size_t w = 0; w < COUNT_OF(ways); w++) {
		snprintf(row, sizeof row, "\n| %s | %s |\n", ways[w].name,
			ways[w].found ? "the ledger" : "not detected");
		if (!strstr(text, row))
			fail_msg("docs/tamperings.md lacks the row%s", row);
	}
}

static int scene(void **state)
{
	static const unsigned at[] = { 1, 10, 20, 21, 30, 40, 41, 50 };
	struct session_record r[LINES];
	struct export_chain chain = { 0 };

	records_fill(r, 0, LINES);
	chain_from(&good, 0, r, LINES, ID_A);
	for (unsigned i = 0; i < LINES; i++) {
		export_chain_add(&chain, good.line[i].text, good.line[i].length);
		for (size_t k = 0; k < COUNT_OF(at); k++)
			if (at[k] == i + 1) {
				stated[stated_n].last = at[k];
				hex_from_bytes(stated[stated_n++].hash, chain.last, SHA256_SIZE);
			}
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(untouched), cmocka_unit_test(all_ways),
		cmocka_unit_test(page) };

	return cmocka_run_group_tests(tests, scene, NULL);
}
