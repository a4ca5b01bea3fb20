/*
 * Addresses of a domain name: random answers, losses and times against a reference that remembers, for each address of a small
 * world, when an answer had it last and whether the last good answer of its family has it.
 */
#include "resolve/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S NS_PER_S

static struct ip_addr four(unsigned i)
{
	const uint8_t b[4] = { 192, 0, (uint8_t)(2 + i / 256), (uint8_t)i };

	return addr_v4(b);
}

static struct ip_addr six(unsigned i)
{
	const uint8_t b[16] = { 0x20, 1, 0xd, 0xb8, [15] = (uint8_t)i };

	return addr_v6(b);
}

static struct snap_dynamic dynamic(uint32_t min, uint32_t max, uint32_t hold)
{
	return (struct snap_dynamic){
		.name = "a.example", .ttl_min_s = min, .ttl_max_s = max, .hold_s = hold
	};
}

#define WORLD 6

/* [family: 0 is IPv6][address]: until when it is in the set; UINT64_MAX: the last good answer has it; 0: it is not */
static mono_ns model[2][WORLD];

static void compare(const struct name *x, mono_ns now)
{
	struct ip_range ranges[NAME_ADDRESSES_MAX];
	uint32_t n = name_ranges(x, ranges), count = 0;

	for (unsigned f = 0; f < 2; f++)
		for (unsigned i = 0; i < WORLD; i++) {
			struct ip_addr a = f ? four(i) : six(i);
			bool in = false;
			for (uint32_t k = 0; k < n; k++)
				in |= range_holds(&ranges[k], &a);
			if (in != (model[f][i] > now))
				fail_msg("address %u of family %u: %d", i, f, in);
			count += in;
		}
	assert_int_equal(count, x->n);
}

static void random_answers(void **state)
{
	srand(7);
	for (int run = 0; run < 300; run++) {
		struct snap_dynamic d = dynamic(2, 30, (uint32_t)rand() % 20);
		struct name x = { 0 };
		mono_ns now = 100 * S;
		memset(model, 0, sizeof model);
		for (int step = 0; step < 40; step++) {
			struct ip_addr addr[2][WORLD];
			struct name_answer a = { .ttl_s = (uint32_t)rand() % 40 };
			now += (mono_ns)(rand() % 8) * S;
			name_expire(&x, now);
			compare(&x, now);
			unsigned has[2] = { (unsigned)rand() % (1 << WORLD),
				(unsigned)rand() % (1 << WORLD) };
			for (unsigned f = 0; f < 2; f++) {
				a.answered[f] = rand() % 4 > 0;
				a.addr[f] = addr[f];
				for (unsigned i = 0; i < WORLD; i++)
					if (has[f] >> i & 1)
						addr[f][a.n[f]++] = f ? four(i) : six(i);
			}
			bool good = (a.answered[0] && a.n[0]) || (a.answered[1] && a.n[1]);
			mono_ns answered = x.answered;
			name_answer_take(&x, &d, &a, now);
			for (unsigned f = 0; good && f < 2; f++)
				for (unsigned i = 0; a.answered[f] && i < WORLD; i++)
					if (has[f] >> i & 1)
						model[f][i] = UINT64_MAX;
					else if (model[f][i] == UINT64_MAX)
						model[f][i] = now + d.hold_s * S;
			compare(&x, now);
			assert_int_equal(x.answered, good ? now : answered);
			assert_true(good ? x.next >= now + 2 * S && x.next <= now + 30 * S && x.failures == 0
					 : x.failures > 0 && x.why[0] && x.next > now);
		}
	}
}

/* Without answers what was good stays, and it is asked for ever more rarely. */
static void dead_servers(void **state)
{
	struct snap_dynamic d = dynamic(10, 3600, 300);
	struct ip_addr one = four(1);
	struct name_answer a = {
		.answered = { false, true }, .addr = { NULL, &one }, .n = { 0, 1 }, .ttl_s = 5
	};
	struct name x = { 0 };
	mono_ns now = S, pause = 0;

	assert_true(name_answer_take(&x, &d, &a, now));
	assert_int_equal(x.next, now + 10 * S);
	assert_false(name_answer_take(&x, &d, &a, now)); /* the same again */
	for (int i = 0; i < 12; i++) {
		name_failed(&x, "no answer", now = x.next);
		assert_true(x.next - now >= pause && x.next - now <= NAME_RETRY_MAX_S * S);
		pause = x.next - now;
		assert_false(name_expire(&x, now));
		assert_int_equal(x.n, 1);
	}
	assert_int_equal(pause, NAME_RETRY_MAX_S * S);
	assert_string_equal(x.why, "no answer");
	a.n[1] = 0; /* the name has no address any more */
	assert_false(name_answer_take(&x, &d, &a, now));
	assert_int_equal(x.n, 1);
}

static void hostile_addresses(void **state)
{
	static const struct {
		const char *text;
		bool nobodys, private;
	} rows[] = {
		{ "0.0.0.0", true, false },
		{ "0.1.2.3", true, false },
		{ "127.0.0.1", true, false },
		{ "169.254.169.254", true, false },
		{ "224.0.0.1", true, false },
		{ "255.255.255.255", true, false },
		{ "::", true, false },
		{ "::1", true, false },
		{ "::ffff:10.0.0.1", true, false },
		{ "::10.0.0.1", true, false },
		{ "ff02::1", true, false },
		{ "fe80::1", true, false },
		{ "10.0.0.1", false, true },
		{ "172.16.0.1", false, true },
		{ "172.31.255.255", false, true },
		{ "172.32.0.1", false, false },
		{ "192.168.1.1", false, true },
		{ "100.64.0.1", false, true },
		{ "100.128.0.1", false, false },
		{ "fd00::1", false, true },
		{ "192.0.2.1", false, false },
		{ "2001:db8::1", false, false },
	};
	struct snap_dynamic all = dynamic(1, 1, 1), strict = all;

	strict.flags = DYNAMIC_REFUSE_PRIVATE;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct ip_addr a;
		assert_int_equal(addr_parse(&a, rows[i].text), RC_OK);
		if ((name_address_fault(&all, &a) != NULL) != rows[i].nobodys ||
			(name_address_fault(&strict, &a) != NULL) != (rows[i].nobodys || rows[i].private))
			fail_msg("%s", rows[i].text);
	}
	/* An answer of which nothing is used is none. */
	struct ip_addr in[2] = { four(1), four(2) }, loop;
	struct name x = { 0 };
	struct name_answer a = {
		.answered = { true, true }, .addr = { NULL, in }, .n = { 0, 2 }, .ttl_s = 5
	};
	assert_true(name_answer_take(&x, &all, &a, S));
	assert_int_equal(addr_parse(&loop, "127.0.0.1"), RC_OK);
	in[0] = in[1] = loop;
	assert_false(name_answer_take(&x, &all, &a, 2 * S));
	assert_int_equal(x.n, 2);
	assert_non_null(strstr(x.why, "loopback"));
	in[1] = four(2);
	assert_true(name_answer_take(&x, &all, &a, 3 * S) || x.n == 2);
	assert_int_equal(x.refused, 1);
}

/* Each answer has other addresses, as those of a large service: those that went first make room. */
static void many(void **state)
{
	struct snap_dynamic d = dynamic(1, 1, 3600);
	struct name x = { 0 };
	struct ip_range ranges[NAME_ADDRESSES_MAX];

	for (unsigned k = 0; k < 20; k++) {
		struct ip_addr in[64];
		struct name_answer a = {
			.answered = { true, true }, .addr = { NULL, in }, .n = { 0, 64 }, .ttl_s = 1
		};
		for (unsigned i = 0; i < 64; i++)
			in[i] = four(64 * k + i);
		assert_true(name_answer_take(&x, &d, &a, (k + 1) * S));
		uint32_t n = name_ranges(&x, ranges);
		for (unsigned i = 0; i < 64; i++) {
			bool held = false;
			for (uint32_t r = 0; r < n; r++)
				held |= range_holds(&ranges[r], &in[i]);
			assert_true(held);
		}
	}
	assert_int_equal(x.n, NAME_ADDRESSES_MAX);
}

/* Of an IKE peer's name: what an answer has no more is expected for that answer's time to live, whatever hold_s is. */
static void of_a_peer(void **state)
{
	struct snap_dynamic d = dynamic(2, 30, 600);
	struct ip_addr one = four(1), other = four(2);
	struct name_answer a = {
		.answered = { false, true }, .addr = { NULL, &one }, .n = { 0, 1 }, .ttl_s = 20
	};
	struct name x = { 0 };

	(void)state;
	d.kind = DYNAMIC_PEER;
	name_answer_take(&x, &d, &a, 100 * S);
	a.addr[1] = &other;
	a.ttl_s = 5;
	name_answer_take(&x, &d, &a, 120 * S);
	assert_int_equal(x.n, 2);
	assert_false(name_expire(&x, 124 * S));
	assert_true(name_expire(&x, 125 * S));
	assert_true(x.n == 1 && addr_equal(&x.at[0].addr, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_answers),
		cmocka_unit_test(dead_servers),
		cmocka_unit_test(hostile_addresses),
		cmocka_unit_test(many),
		cmocka_unit_test(of_a_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
