/*
 * Runs every attack of attacks.h against verification: each tampering must be found by the checks that the
 * table names with what it names at hand, and by nothing less.
 *
 *	tamper                          the test
 *	tamper --every N                the same with one in N of each attack's tamperings, for slow builds
 *	tamper --check|--update FILE    compares or writes the page's part that is made from the table
 */
#include "page.h"
#include "world.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define TAMPERINGS_MIN 10000u
#define BEGIN	       "<!-- tamperings: made by tests/tamper, do not edit -->\n"

static const struct attack {
	const char *id;
	attack_fn *make;
	uint32_t at_least;
	enum material from;
	uint32_t by;
	const char *text;
} attacks[] = {
#define E(id, at_least, from, by, text) { #id, attack_##id, at_least, from##_AT_HAND, by, text },
	ATTACKS(E)
#undef E
};

static const char *const materials[] = {
#define E(id, text) [id##_AT_HAND] = text,
	MATERIALS(E)
#undef E
};

static uint32_t every = 1;

/* ---- verification's only costly step that never changes: the root over 4096 public keys, kept by content
 * ---- */

struct merkle_hash __real_seal_keys_root(const uint8_t *keys);
struct merkle_hash __wrap_seal_keys_root(const uint8_t *keys);

struct merkle_hash __wrap_seal_keys_root(const uint8_t *keys)
{
	static struct {
		uint8_t keys[SEAL_KEYS * ED25519_PUBLIC_SIZE];
		struct merkle_hash root;
	} known[3];
	static size_t n;

	for (size_t i = 0; i < n; i++)
		if (memcmp(known[i].keys, keys, sizeof known[i].keys) == 0)
			return known[i].root;
	struct merkle_hash root = __real_seal_keys_root(keys);
	if (n < COUNT_OF(known)) {
		memcpy(known[n].keys, keys, sizeof known[n].keys);
		known[n++].root = root;
	}
	return root;
}

/* ---- the test ---- */

struct tally {
	uint32_t tamperings, by[32];
};

static void judge(const struct attack *t, struct attempt *a, uint32_t i, struct tally *tally)
{
	static struct verify_report r;
	const char *finding;
	enum material with = t->from == NOBODY_AT_HAND ? WITNESS_AT_HAND : t->from;

	/* With less at hand nothing is found. Each has what those before it have; the first few are tried
	 * with all. */
	for (enum material m = i < 3 || with == 0 ? DISK_AT_HAND : with - 1; m < with; m++)
		if (audit(a, m, &r, &finding) != 0)
			fail_msg("%s %u: found with %s: %s", t->id, i, materials[m], finding);
	uint32_t found = audit(a, with, &r, &finding);
	if (t->from == NOBODY_AT_HAND && found)
		fail_msg("%s %u: found, though the table says that nobody can: %s", t->id, i, finding);
	if (t->from != NOBODY_AT_HAND && !(found & t->by))
		fail_msg("%s %u: %s%s", t->id, i, found ? "found by another check: " : "not found", finding);
	if (a->entry != ANY_ENTRY && (!r.at_entry || r.entry != a->entry))
		fail_msg("%s %u: expected entry %llu: %s", t->id, i, (unsigned long long)a->entry, finding);
	if (found)
		tally->by[__builtin_ctz(found)]++;
	tally->tamperings++;
}

static void every_attack(void **state)
{
	static struct attempt a;
	uint32_t all = 0, found = 0;

	for (size_t k = 0; k < COUNT_OF(attacks); k++) {
		const struct attack *t = &attacks[k];
		struct tally tally = { 0 };
		for (uint32_t i = 0;; i += every) {
			attempt_begin(&a);
			bool more = t->make(&a, i);
			if (more)
				judge(t, &a, i, &tally);
			memory_done(&a.files);
			if (!more)
				break;
		}
		printf("%-18s %5u", t->id, tally.tamperings);
		for (unsigned bit = 0; bit < 32; bit++)
			if (tally.by[bit])
				printf("  %s %u", verify_class_name((enum verify_class)bit), tally.by[bit]);
		puts(t->from == NOBODY_AT_HAND ? "  not found, as the table says" : "");
		if (tally.tamperings * every < t->at_least)
			fail_msg("%s: %u tamperings, at least %u are promised", t->id, tally.tamperings,
				t->at_least);
		all += tally.tamperings;
		found += t->from == NOBODY_AT_HAND ? 0 : tally.tamperings;
	}
	printf("%u tamperings, %u of them found, %.1f s\n", all, found, (double)clock() / CLOCKS_PER_SEC);
	assert_true(all * every >= TAMPERINGS_MIN);
}

/* Nothing is found in a ledger that nobody touched, whatever is at hand. */
static void untouched(void **state)
{
	static struct attempt a;
	static struct verify_report r;
	const char *finding;

	attempt_begin(&a);
	for (enum material m = DISK_AT_HAND; m <= WITNESS_AT_HAND; m++)
		assert_int_equal(audit(&a, m, &r, &finding), 0);
	assert_int_equal(r.size, ENTRIES);
	assert_int_equal(r.sealed, PUBLISHED);
	memory_done(&a.files);
}

static int setup(void **state)
{
	world_make();
	return 0;
}

static int teardown(void **state)
{
	world_done();
	return 0;
}

/* ---- the page ---- */

static void put_checks(FILE *out, uint32_t by)
{
	bool first = true;

	if (by == BY(ANYTHING)) {
		fputs("that of its kind", out);
		return;
	}
	for (unsigned bit = 0; bit < 32; bit++)
		if (by >> bit & 1) {
			fprintf(out, "%s%s", first ? "" : ", ", verify_class_name((enum verify_class)bit));
			first = false;
		}
}

static int page(int argc, char **argv)
{
	char *made = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&made, &n);

	if (!out)
		return 1;
	fputs("| tampering | found with | by the check of |\n| --- | --- | --- |\n", out);
	for (size_t k = 0; k < COUNT_OF(attacks); k++) {
		const struct attack *t = &attacks[k];
		bool nobody = t->from == NOBODY_AT_HAND;
		fprintf(out, "| %s | %s | ", t->text, nobody ? "**not found**" : materials[t->from]);
		put_checks(out, t->by);
		fputs(" |\n", out);
	}
	if (fclose(out) != 0)
		return 1;
	return page_main(argc, argv, BEGIN, made);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched),
		cmocka_unit_test(every_attack),
	};

	if (argc == 3 && strcmp(argv[1], "--every") == 0)
		every = (uint32_t)strtoul(argv[2], NULL, 10);
	else if (argc > 1)
		return page(argc, argv);
	return every > 0 ? cmocka_run_group_tests(tests, setup, teardown) : 2;
}
