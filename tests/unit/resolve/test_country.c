/*
 * Networks of countries: databases that a writer of our own makes by the specification, against the library's own lookup of single
 * addresses; and databases that no honest writer makes.
 */
#include "mmdb.h"
#include "resolve/country.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct countries c;
static struct err e;

static enum rc parse_bytes(const uint8_t *bytes, size_t n)
{
	char path[64];
	MMDB_s db;
	int fd = memfd_create("countries", MFD_CLOEXEC);

	e = (struct err){ 0 };
	assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int status = MMDB_open(path, MMDB_MODE_MMAP, &db);
	close(fd);
	if (status != MMDB_SUCCESS)
		return err_add(&e, RC_MALFORMED, "%s", MMDB_strerror(status));
	enum rc rc = countries_parse(&c, &db, &e);
	MMDB_close(&db);
	return rc;
}

static void want(const char *codes)
{
	countries_done(&c);
	c = (struct countries){ 0 };
	for (; *codes; codes += 2)
		c.wanted[country_index(codes)] = true;
}

/* What the database says for these countries, as text; it is freed. */
static enum rc parse(struct mmdb *m, const char *codes)
{
	size_t n;
	uint8_t *bytes = mmdb_write(m, &n);

	want(codes);
	enum rc rc = parse_bytes(bytes, n);
	free(bytes);
	free(m);
	return rc;
}

static void is(const char *code, const char *expected)
{
	const struct feed *f = &c.of[country_index(code)];
	char all[1024] = "", one[RANGE_TEXT_MAX];

	for (uint32_t i = 0; i < f->n; i++) {
		strcat(all, i ? " " : "");
		strcat(all, range_text(one, &f->range[i]));
	}
	assert_string_equal(all, expected);
}

static void codes(void **state)
{
	assert_int_equal(country_index("AA"), 0);
	assert_int_equal(country_index("ZZ"), COUNTRIES - 1);
	assert_int_equal(country_index("de"), country_index("DE"));
	assert_int_equal(country_index("D1"), COUNTRIES);
	assert_int_equal(country_index(""), COUNTRIES);
}

static struct mmdb *both(uint32_t version, uint32_t bits)
{
	struct mmdb *m = mmdb_new(version, bits);
	uint32_t de = mmdb_data(m, "country.iso_code=DE");

	mmdb_put(m, "192.0.2.0/25", MMDB_DATA, de);
	mmdb_put(m, "192.0.2.128/25", MMDB_DATA, de); /* joined */
	mmdb_put(m, "198.51.100.0/24", MMDB_DATA, mmdb_data(m, "country.iso_code=FR"));
	mmdb_put(m, "198.51.100.7/32", MMDB_DATA, de);
	return m;
}

static void trees(void **state)
{
	static const uint32_t bits[] = { 24, 28, 32 };

	for (size_t i = 0; i < COUNT_OF(bits); i++) {
		assert_int_equal(parse(both(4, bits[i]), "DEFR"), RC_OK);
		is("DE", "192.0.2.0/24 198.51.100.7/32");
		is("FR", "198.51.100.0-198.51.100.6 198.51.100.8-198.51.100.255");
		assert_int_equal(c.built, 1764460800);
		struct mmdb *m = both(6, bits[i]);
		uint32_t ipv4 = mmdb_node(m, "::/96");
		mmdb_put(m, "2001:db8::/32", MMDB_DATA, mmdb_data(m, "country.iso_code=DE"));
		mmdb_put(m, "::ffff:0:0/96", MMDB_NODE, ipv4);
		mmdb_put(m, "2001::/32", MMDB_NODE, ipv4);
		mmdb_put(m, "2002::/16", MMDB_NODE, ipv4);
		assert_int_equal(parse(m, "DE"), RC_OK);
		is("DE", "192.0.2.0/24 198.51.100.7/32 2001:db8::/32");
		is("FR", ""); /* nobody asked for it */
	}
}

static void paths(void **state)
{
	struct mmdb *m = mmdb_new(4, 24);

	mmdb_put(m, "10.0.0.0/8", MMDB_DATA, mmdb_data(m, "registered_country.iso_code=DE"));
	mmdb_put(m, "11.0.0.0/8", MMDB_DATA, mmdb_data(m, "country_code=DE"));
	mmdb_put(m, "13.0.0.0/8", MMDB_DATA, mmdb_data(m, "country=DE"));
	mmdb_put(m, "15.0.0.0/8", MMDB_DATA, mmdb_data(m, "continent.code=EU"));
	mmdb_put(m, "17.0.0.0/8", MMDB_DATA, mmdb_data(m, ""));
	mmdb_put(m, "19.0.0.0/8", MMDB_DATA, mmdb_data(m, "country.iso_code=DEU"));
	/* country FR before registered_country DE */
	static const uint8_t two[] = "\xe2\x47"
				     "country\xe1\x48iso_code\x42"
				     "FR\x52registered_country\xe1\x48iso_code\x42"
				     "DE";
	mmdb_put(m, "21.0.0.0/8", MMDB_DATA, mmdb_data_raw(m, two, sizeof two - 1));
	assert_int_equal(parse(m, "DEFR"), RC_OK);
	is("DE", "10.0.0.0/7 13.0.0.0/8");
	is("FR", "21.0.0.0/8");
	m = mmdb_new(4, 24);
	mmdb_put(m, "15.0.0.0/8", MMDB_DATA, mmdb_data(m, "continent.code=EU"));
	assert_int_equal(parse(m, "DE"), RC_NOT_FOUND);
	/* One record around ::/96 is that of all IPv4 addresses. */
	m = mmdb_new(6, 24);
	mmdb_put(m, "::/64", MMDB_DATA, mmdb_data(m, "country.iso_code=DE"));
	assert_int_equal(parse(m, "DE"), RC_OK);
	is("DE", "0.0.0.0/0 ::/64");
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static struct ip_addr random_address(uint64_t *seed, bool v4)
{
	struct ip_addr a = { .family = v4 ? ADDR_V4 : ADDR_V6 };

	for (size_t i = 0; i < (v4 ? 4u : 16u); i++)
		a.b[i] = (uint8_t)(next_random(seed) % (i < 2 ? 4 : 256));
	if (!v4)
		a.b[0] = 0x20;
	return a;
}

static uint32_t looked_up(const MMDB_s *db, const struct ip_addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	bool v4 = a->family == ADDR_V4;
	MMDB_entry_data_s d = { 0 };
	int status;

	memcpy(&in.sin_addr, a->b, 4);
	memcpy(&in6.sin6_addr, a->b, 16);
	MMDB_lookup_result_s r = MMDB_lookup_sockaddr(
		db, v4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6, &status);
	assert_int_equal(status, MMDB_SUCCESS);
	if (!r.found_entry || MMDB_get_value(&r.entry, &d, "country", "iso_code", NULL) != MMDB_SUCCESS)
		return COUNTRIES;
	return country_index(d.utf8_string);
}

static bool held(const struct feed *f, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (range_holds(&f->range[i], a))
			return true;
	return false;
}

/* Networks at random, one in another: each address is of the country that the library's lookup gives. */
static void as_the_library_looks_up(void **state)
{
	static const char *const names[] = { "country.iso_code=DE", "country.iso_code=FR",
		"country.iso_code=AT" };
	uint64_t seed = 7;

	for (int round = 0; round < 6; round++) {
		struct mmdb *m = mmdb_new(6, 24 + 4 * (uint32_t)(round % 3));
		for (int i = 0; i < 150; i++) {
			bool v4 = next_random(&seed) % 2;
			struct ip_prefix p = { random_address(&seed, v4),
				(uint32_t)(1 + next_random(&seed) % (v4 ? 32 : 64)) };
			for (uint32_t b = p.bits; b < (v4 ? 32 : 128); b++)
				p.addr.b[b / 8] &= (uint8_t)~(0x80 >> b % 8);
			mmdb_put_prefix(m, &p, MMDB_DATA, mmdb_data(m, names[next_random(&seed) % 3]));
		}
		size_t n;
		uint8_t *bytes = mmdb_write(m, &n);
		want("DEFR");
		assert_int_equal(parse_bytes(bytes, n), RC_OK);
		char path[64];
		MMDB_s db;
		int fd = memfd_create("countries", MFD_CLOEXEC);
		assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		assert_int_equal(MMDB_open(path, MMDB_MODE_MMAP, &db), MMDB_SUCCESS);
		close(fd);
		for (int i = 0; i < 2000; i++) {
			struct ip_addr a = random_address(&seed, next_random(&seed) % 2);
			uint32_t country = looked_up(&db, &a);
			for (const char *code = "DEFRAT"; *code; code += 2)
				assert_int_equal(held(&c.of[country_index(code)], &a),
					country == country_index(code) && *code != 'A');
		}
		MMDB_close(&db);
		free(bytes);
		free(m);
	}
}

static void fails(struct mmdb *m, const char *words)
{
	if (parse(m, "DE") == RC_OK || !strstr(e.text, words))
		fail_msg("expected '%s', got '%s'", words, e.text);
	is("DE", "");
}

static struct mmdb *with_record(const void *bytes, size_t n)
{
	struct mmdb *m = both(4, 24);

	mmdb_put(m, "10.0.0.0/8", MMDB_DATA, mmdb_data_raw(m, bytes, n));
	return m;
}

static void hostile(void **state)
{
	static const uint8_t beyond[] = { 0x27, 0xff }, deep[200] = { [0 ... 199] = 0xe1 },
			     long_text[] = { 0xe1, 0x5c, 'c' };
	struct mmdb *m = both(6, 24);

	mmdb_put(m, "2001::/16", MMDB_NODE, 1);
	fails(m, "twice"); /* it begins anew */
	m = both(4, 24);
	uint32_t self = mmdb_node(m, "10.0.0.0/8");
	m->node[self].kind[0] = m->node[self].kind[1] = MMDB_NODE;
	m->node[self].to[0] = m->node[self].to[1] = self;
	fails(m, "deeper than the 32 bits");
	/* Each node leads twice to the next: 2^31 ways. */
	m = mmdb_new(4, 24);
	for (uint32_t i = 0; i < 31; i++) {
		m->node[i].kind[0] = m->node[i].kind[1] = MMDB_NODE;
		m->node[i].to[0] = m->node[i].to[1] = i + 1;
	}
	m->nodes = 32;
	fails(m, "twice");
	m = both(4, 24);
	mmdb_put(m, "10.0.0.0/8", MMDB_RAW, 0xffffff);
	fails(m, "leads to nothing");
	fails(with_record(beyond, sizeof beyond), "cannot be read");
	fails(with_record(long_text, sizeof long_text), "cannot be read");
	fails(with_record(deep, sizeof deep), "cannot be read");
	m = both(4, 24);
	const uint8_t loop[] = { 0x20, (uint8_t)m->data_n }; /* a pointer to itself */
	mmdb_put(m, "10.0.0.0/8", MMDB_DATA, mmdb_data_raw(m, loop, sizeof loop));
	fails(m, "cannot be read");
	m = both(4, 24);
	m->says_nodes = 0xffffff;
	fails(m, "");
	m = both(4, 24);
	m->ip_version = 5;
	fails(m, "");
	fails(mmdb_new(4, 23), "");
}

/* Each truncation, and each octet of the tree's and the data's end turned over: nothing but an error, or a set of networks. */
static void truncations(void **state)
{
	struct mmdb *m = both(4, 24);
	size_t n;
	uint8_t *bytes = mmdb_write(m, &n);

	for (size_t cut = 0; cut < n; cut++) {
		want("DE");
		if (parse_bytes(bytes, cut) == RC_OK)
			fail_msg("cut at %zu of %zu", cut, n);
	}
	for (size_t i = 0; i < n; i++)
		for (uint32_t turn = 1; turn < 256; turn *= 4) {
			bytes[i] ^= (uint8_t)turn;
			want("DE");
			parse_bytes(bytes, n);
			bytes[i] ^= (uint8_t)turn;
		}
	free(bytes);
	free(m);
	want("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes),
		cmocka_unit_test(trees),
		cmocka_unit_test(paths),
		cmocka_unit_test(as_the_library_looks_up),
		cmocka_unit_test(hostile),
		cmocka_unit_test(truncations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
