#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

char *sample_from_docs(unsigned index)
{
	static char page[1 << 20];
	FILE *f = fopen(SOURCE_ROOT "/docs/configuration.md", "r");
	const char *at = page, *end;
	size_t n;

	assert_non_null(f);
	n = fread(page, 1, sizeof page - 1, f);
	fclose(f);
	page[n] = '\0';
	for (;; index--) {
		at = strstr(at, "```\nsystem {");
		assert_non_null(at);
		at += 4;
		end = strstr(at, "```\n");
		assert_non_null(end);
		if (index == 0)
			return strndup(at, (size_t)(end - at));
		at = end + 4;
	}
}

char *sample_replace(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	char *out = malloc(strlen(text) + strlen(new) + 1);

	assert_non_null(at);
	assert_non_null(out);
	sprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return out;
}

struct maker {
	uint64_t state;
	char *text;
	size_t n, room;
};

/* splitmix64 */
static uint64_t draw(struct maker *m)
{
	uint64_t z = m->state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned below(struct maker *m, unsigned n)
{
	return (unsigned)(draw(m) % n);
}

static void raw(struct maker *m, const char *text)
{
	size_t n = strlen(text);

	if (m->room - m->n <= n) {
		m->room = (m->room + n) * 2 + 64;
		m->text = realloc(m->text, m->room);
		assert_non_null(m->text);
	}
	memcpy(m->text + m->n, text, n + 1);
	m->n += n;
}

static void space(struct maker *m)
{
	static const char *const spaces[] = { " ", "\n", "\t", "  ", " # a ; comment }\n", "/* a\n{ */ ",
		"\r\n" };
	raw(m, spaces[below(m, sizeof spaces / sizeof spaces[0])]);
}

/* A keyword or mark. */
static void word(struct maker *m, const char *text)
{
	raw(m, text);
	space(m);
}

/* A value, sometimes in quotes. */
static void __attribute__((format(printf, 2, 3))) val(struct maker *m, const char *fmt, ...)
{
	char text[300];
	bool quoted = below(m, 4) == 0;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	raw(m, quoted ? "\"" : "");
	raw(m, text);
	raw(m, quoted ? "\"" : "");
	space(m);
}

/* name [ PREFIXi … ]; with different numbers below n */
static void names(struct maker *m, const char *keyword, const char *prefix, unsigned n)
{
	unsigned first = below(m, n), count = 1 + below(m, n - first);

	word(m, keyword);
	if (count > 1)
		word(m, "[");
	for (unsigned i = 0; i < count; i++)
		val(m, "%s%u", prefix, first + i);
	if (count > 1)
		word(m, "]");
	word(m, ";");
}

#define ZONES	     4
#define ADDRESSES    6
#define APPLICATIONS 4
#define PROPOSALS    3

static void zones(struct maker *m)
{
	word(m, "zones");
	word(m, "{");
	for (unsigned i = 0; i < ZONES; i++) {
		word(m, "zone");
		val(m, "z%u", i);
		word(m, "{");
		word(m, "interfaces");
		val(m, "eth%u.%u", i, below(m, 4094));
		word(m, ";");
		if (below(m, 2))
			word(m, "host-inbound [ ike ssh ping ] ;");
		if (below(m, 2))
			word(m, "tcp-rst ;");
		word(m, "}");
	}
	word(m, "}");
}

static void address_book(struct maker *m)
{
	word(m, "address-book {");
	for (unsigned i = 0; i < ADDRESSES; i++) {
		word(m, "address");
		val(m, "a%u", i);
		word(m, "{ prefix");
		if (below(m, 2))
			val(m, "10.%u.%u.0/24", i, below(m, 256));
		else
			val(m, "2001:db8:%x::/48", below(m, 65536));
		word(m, "; range");
		val(m, "192.0.2.%u-192.0.2.%u", below(m, 100), 100 + below(m, 100));
		word(m, "; }");
	}
	word(m, "address-set");
	val(m, "a%u", ADDRESSES);
	word(m, "{");
	names(m, "address", "a", ADDRESSES);
	word(m, "} }");
}

static void applications(struct maker *m)
{
	word(m, "applications {");
	for (unsigned i = 0; i < APPLICATIONS; i++) {
		word(m, "application");
		val(m, "p%u", i);
		word(m, "{ protocol");
		word(m, below(m, 2) ? "tcp" : "udp");
		word(m, "; destination-port");
		val(m, "%u-%u", below(m, 1000), 1000 + below(m, 60000));
		word(m, "; }");
	}
	word(m, "}");
}

static void rules(struct maker *m)
{
	unsigned n = below(m, 5);

	for (unsigned i = 0; i < n; i++) {
		if (below(m, 8) == 0)
			word(m, "inactive:");
		word(m, "rule");
		val(m, "r%u", i);
		word(m, "{ match {");
		names(m, "source", "a", ADDRESSES + 1);
		word(m, below(m, 2) ? "destination any ;" : "destination a0 ;");
		names(m, "application", "p", APPLICATIONS);
		word(m, "} then {");
		word(m, below(m, 3) == 0 ? "permit ;" : below(m, 2) ? "deny ;" : "reject ;");
		if (below(m, 2))
			word(m, "log { session-init ; }");
		if (below(m, 2))
			word(m, "count ;");
		word(m, "} }");
	}
}

static void policy(struct maker *m)
{
	word(m, "policy {");
	for (unsigned i = 0; i < ZONES * ZONES; i++) {
		if (below(m, 3))
			continue;
		word(m, "from");
		val(m, "z%u", i / ZONES);
		word(m, "to");
		val(m, "z%u", i % ZONES);
		word(m, "{");
		rules(m);
		word(m, "}");
	}
	word(m, "global {");
	rules(m);
	word(m, "} }");
}

static void nat(struct maker *m)
{
	word(m, "nat { source { rule one { from z0 ; then { source-nat");
	word(m, below(m, 2) ? "interface" : "198.51.100.1-198.51.100.9");
	word(m, "; } } }");
	if (below(m, 2))
		word(m, "static { rule s { from z0 ; match { destination 203.0.113.16/30 ; } "
			"then { static-nat 10.9.0.0/30 ; } } }");
	if (below(m, 2))
		word(m, "destination { rule d { match { destination a0 ; application ssh ; } "
			"then { destination-nat 10.0.0.1-10.0.0.2 ; port 2222 ; } } }");
	word(m, "}");
}

static void ike(struct maker *m)
{
	static const char *const encrs[] = { "aes128gcm16", "aes256gcm16", "chacha20poly1305" };

	word(m, "ike {");
	for (unsigned i = 0; i < PROPOSALS; i++) {
		word(m, "proposal");
		val(m, "k%u", i);
		word(m, "{ dh-group x25519 ; encryption");
		val(m, "%s", encrs[below(m, 3)]);
		word(m, "; }");
	}
	word(m, "peer gw { remote-address");
	val(m, "203.0.113.%u", below(m, 256));
	word(m, "; pre-shared-key");
	val(m, "key-%u", below(m, 100));
	word(m, "; local-id");
	val(m, "user@z%u.example", below(m, 100));
	word(m, ";");
	names(m, "proposals", "k", PROPOSALS);
	word(m, "}");
	word(m, "}");
}

static void ipsec(struct maker *m)
{
	word(m, "ipsec { proposal e { encryption aes128gcm16 ; esn");
	word(m, below(m, 2) ? "yes" : "either");
	word(m, "; } tunnel t { peer gw ; zone z1 ; local 10.1.0.0/24 ; remote");
	val(m, "10.%u.0.0/16", 2 + below(m, 200));
	word(m, "; proposals e ; } }");
}

char *sample_random(uint64_t seed)
{
	void (*groups[])(struct maker *) = { zones, address_book, applications, policy, nat, ike, ipsec };
	size_t n = sizeof groups / sizeof groups[0];
	struct maker m = { .state = seed };

	space(&m);
	for (; n > 0; n--) {
		unsigned i = below(&m, (unsigned)n);
		groups[i](&m);
		groups[i] = groups[n - 1];
	}
	return m.text;
}
