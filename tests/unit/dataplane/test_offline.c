/*
 * The pipeline offline: verdicts with their reasons, the same for one, two and four workers; routes as iproute2 prints them. Public captures,
 * each with its verdicts: a table that a reviewer reads (skipped when they are not there).
 */
#include "model/model.h"
#include "packets.h"
#include "proc/dataplane/offline.h"
#include "proc/dataplane/offline_routes.h"
#include "proc/dataplane/pipeline.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char text[] =
	"system { host-name gate; }\n"
	"zones { zone trust { interfaces lan0; host-inbound ping; } zone untrust { interfaces wan0; host-inbound [ ike ping ]; } "
	"zone vpn { host-inbound ping; } }\n"
	"address-book { address far { prefix 203.0.113.66/32; } }\n"
	"policy { from trust to untrust { rule no { match { source any; destination far; application any; } then { reject; } } "
	"rule out { match { source any; destination any; application any; } then { permit; } } } "
	"from trust to vpn { rule there { match { source any; destination any; application any; } then { permit; } } } }\n"
	"ike { proposal p { encryption aes256gcm16; dh-group x25519; } peer branch { local-address 203.0.113.2; "
	"remote-address 203.0.113.9; local-id gate.example.net; remote-id branch.example.net; pre-shared-key branch; proposals p; start never; } }\n"
	"ipsec { proposal p { encryption aes256gcm16; } tunnel branch { peer branch; zone vpn; local 10.1.0.0/24; remote 10.99.0.0/24; "
	"proposals p; } }\n";

static const char routes[] =
	"default via 203.0.113.1 dev wan0 proto static\n"
	"10.0.0.0/8 dev lan0 proto kernel scope link src 10.255.255.254\n"
	"172.16.0.0/12 dev lan0 proto kernel scope link src 172.31.255.254\n"
	"192.168.0.0/16 dev lan0 proto kernel scope link src 192.168.255.254\n"
	"203.0.113.0/24 dev wan0 proto kernel scope link src 203.0.113.2\n"
	"198.51.100.0/25 proto static metric 20\n"
	"\tnexthop via 203.0.113.7 dev wan0 weight 1\n"
	"\tnexthop via 203.0.113.8 dev wan0 weight 2\n"
	"unreachable 198.51.100.128/25 dev lo metric 4294967295 error -101\n"
	"10.77.0.0/16 dev docker0 proto kernel scope link src 10.77.0.1\n"
	"192.0.2.0/24 via 203.0.113.1 dev wan0 table 100\n"
	"local 10.255.255.254 dev lan0 table local proto kernel scope host src 10.255.255.254\n"
	"local 203.0.113.2 dev wan0 table local proto kernel scope host src 203.0.113.2\n"
	"broadcast 203.0.113.255 dev wan0 table local proto kernel scope link src 203.0.113.2\n"
	"\n"
	"2001:db8:ff::/64 dev wan0 proto kernel metric 256 pref medium\n"
	"fd00::/8 dev lan0 proto kernel metric 256 pref medium\n"
	"local 2001:db8:ff::2 dev wan0 table local proto kernel metric 0 pref medium\n"
	"anycast fd00:: dev lan0 table local proto kernel metric 0 pref medium\n"
	"default via 2001:db8:ff::1 dev wan0 metric 1024 pref medium\n";

static void *block;

static int compile(void **state)
{
	struct model *m;
	struct err e = { 0 };
	size_t bytes;

	(void)state;
	if (model_load_text(text, sizeof text - 1, "offline.conf", &m, &e) != RC_OK ||
		model_compile(m, 1, NULL, &block, &bytes, &e) != RC_OK) {
		print_error("%s\n", e.text);
		return 1;
	}
	model_free(m);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	free(block);
	model_done();
	return 0;
}

static struct offline *begin(uint32_t workers, struct offline_routes *ret_read)
{
	struct err e = { 0 };
	struct offline *o = offline_new(block, routes, sizeof routes - 1, workers, 1024, ret_read, &e);

	if (!o)
		fail_msg("%s", e.text);
	return o;
}

/* ---- some packets ---- */

static struct packet_facts one(struct offline *o, const struct packet_spec *spec, uint64_t when_ns)
{
	static struct packet room;
	struct packet_facts f;
	struct train t = packet_make(&room, spec);

	offline_packet(o, TRAIN_NONE, t.ip, t.len, when_ns, &f);
	return f;
}

static void verdicts(void **state)
{
	static const struct {
		const char *src, *dst;
		uint8_t flags;
		uint32_t verdict;
		const char *drop, *rule, *in, *out;
	} cases[] = {
		{ "10.1.0.2", "192.0.2.80", TCP_SYN, PACKET_PASS, "", "out", "lan0", "wan0" },
		{ "192.0.2.80", "10.1.0.2", TCP_SYN | TCP_ACK, PACKET_PASS, "", "out", "wan0", "lan0" },
		{ "192.0.2.81", "10.1.0.2", TCP_SYN, PACKET_DROP, "default-deny", "", "wan0", "lan0" },
		{ "10.1.0.2", "203.0.113.66", TCP_SYN, PACKET_DROP, "policy-reject", "no", "lan0", "wan0" },
		{ "10.1.0.2", "10.99.0.9", TCP_SYN, PACKET_PASS, "", "there", "lan0", "" }, /* sealed */
		{ "10.1.0.2", "198.51.100.9", TCP_SYN, PACKET_PASS, "", "out", "lan0", "wan0" },
		{ "10.1.0.2", "198.51.100.200", TCP_SYN, PACKET_DROP, "no-route", "", "lan0", "" },
		{ "10.77.0.9", "192.0.2.80", TCP_SYN, PACKET_DROP, "no-zone", "", "", "" },
		{ "192.0.2.80", "203.0.113.2", TCP_SYN, PACKET_DROP, "host-inbound", "", "wan0", "" },
		{ "10.1.0.2", "10.1.0.2", TCP_SYN, PACKET_DROP, "land", "", "lan0", "" },
		{ "fd00::2", "2001:db8:1::9", TCP_SYN, PACKET_PASS, "", "out", "lan0", "wan0" },
	};

	(void)state;
	for (uint32_t workers = 1; workers <= 4; workers *= 2) {
		struct offline_routes read;
		struct offline *o = begin(workers, &read);
		assert_int_equal(read.skipped, 2);
		assert_int_equal(read.addresses, 6);
		for (size_t i = 0; i < COUNT_OF(cases); i++) {
			bool answer = cases[i].flags & TCP_ACK;
			const struct packet_spec spec = { .src = cases[i].src,
				.dst = cases[i].dst,
				.proto = IP_TCP,
				.src_port = answer ? 80 : 40000,
				.dst_port = answer ? 40000 : 80,
				.flags = cases[i].flags,
				.ack = answer ? 1 : 0,
				.hops = 64 };
			struct packet_facts f = one(o, &spec, i + 1);
			if (f.verdict != cases[i].verdict || strcmp(f.drop, cases[i].drop) != 0 ||
				strcmp(f.rule, cases[i].rule) != 0 ||
				strcmp(f.in_interface, cases[i].in) != 0 ||
				strcmp(f.out_interface, cases[i].out) != 0) {
				char said[PACKET_FACTS_TEXT_MAX];
				fail_msg("%u workers, case %zu: %s", workers, i, packet_facts_text(said, &f));
			}
			assert_true(!f.drop[0] || offline_drop_text(f.drop)[0]);
		}
		offline_free(o);
	}
}

/* Sessions end by the capture's own clock; one that goes back, or jumps, harms nothing. */
static void time_is_the_captures(void **state)
{
	const struct packet_spec ask = { .src = "10.1.0.2",
		.dst = "192.0.2.53",
		.proto = IP_UDP,
		.src_port = 4000,
		.dst_port = 53,
		.hops = 64,
		.payload_n = 20 };
	const struct packet_spec answer = { .src = "192.0.2.53",
		.dst = "10.1.0.2",
		.proto = IP_UDP,
		.src_port = 53,
		.dst_port = 4000,
		.hops = 64,
		.payload_n = 20 };
	struct offline_routes read;
	struct offline *o = begin(1, &read);

	(void)state;
	assert_int_equal(one(o, &ask, 5 * NS_PER_S).verdict, PACKET_PASS);
	assert_int_equal(one(o, &answer, 6 * NS_PER_S).verdict, PACKET_PASS);
	assert_int_equal(one(o, &answer, NS_PER_S).verdict, PACKET_PASS);
	assert_string_equal(one(o, &answer, 7200 * NS_PER_S).drop, "default-deny");
	assert_int_equal(one(o, &ask, UINT64_MAX).verdict, PACKET_PASS);
	assert_int_equal(one(o, &answer, 0).verdict, PACKET_PASS);
	offline_free(o);
}

static void wrong_routes(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "default via 203.0.113.1 dev wan0\n10.0.0.0/33 dev lan0\n",
			"line 2 of the routes: destination '10.0.0.0/33' found" },
		{ "default via x dev wan0\n", "line 1 of the routes: next hop 'x' found" },
		{ "10.0.0.0/8 dev lan0 src nowhere\n", "line 1 of the routes: address 'nowhere' found" },
		{ "Kernel IP routing table\n", "line 1 of the routes: destination 'Kernel' found" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct offline_routes read;
		struct err e = { 0 };
		assert_null(offline_new(block, cases[i].text, strlen(cases[i].text), 1, 64, &read, &e));
		if (!strstr(e.text, cases[i].says))
			fail_msg("%s", e.text);
	}
	/* Each truncation and each octet changed: read or refused. */
	for (size_t n = 0; n < sizeof routes; n += 7) {
		char *copy = malloc(n ? n : 1);
		struct offline_routes read;
		memcpy(copy, routes, n);
		if (n)
			copy[n * 13 % n] = (char)(n * 31);
		struct route_table *t = route_new();
		offline_routes_read(t, block, copy, n, &read, NULL);
		route_free(t);
		free(copy);
	}
}

/* ---- public captures ---- */

static const char *const expected[] = {
#include "offline_expected.h"
};

static struct pcapng_reader reader;
static uint8_t file[1 << 20];

struct tally {
	uint64_t packets, other;
	uint64_t verdicts[PACKET_VERDICTS_N], drops[DROP_COUNT];
};

static enum drop_reason drop_of(const char *name)
{
	int r = 0;

	while (strcmp(drop_name((enum drop_reason)r), name) != 0)
		assert_true(++r < DROP_COUNT);
	return (enum drop_reason)r;
}

/* One packet through all of them: the verdicts are the same. */
static void replay(struct offline *const *o, const struct pcapng_packet *p, struct tally *t)
{
	struct rd frame = rd_over(p->bytes, p->n);
	struct packet_facts f[3];
	struct link_header h;

	link_header_take(p->link, &frame, &h);
	t->packets++;
	t->other += !h.ip;
	for (int i = 0; h.ip && i < 3; i++) {
		uint8_t *exact = malloc(rd_left(&frame) + 1);
		memcpy(exact, frame.at, rd_left(&frame));
		exact = realloc(exact, MAX_OF(rd_left(&frame), (size_t)1));
		offline_packet(o[i], TRAIN_NONE, exact, (uint32_t)rd_left(&frame), p->when_ns, &f[i]);
		free(exact);
		if (f[i].verdict != f[0].verdict || strcmp(f[i].drop, f[0].drop) != 0 ||
			strcmp(f[i].rule, f[0].rule) != 0)
			fail_msg("packet %llu: %s %s with one worker, %s %s with others",
				(unsigned long long)p->number, f[0].drop, f[0].rule, f[i].drop, f[i].rule);
	}
	if (h.ip && f[0].verdict == PACKET_DROP)
		t->drops[drop_of(f[0].drop)]++;
	else if (h.ip)
		t->verdicts[f[0].verdict]++;
}

static void tally_text(const struct tally *t, const char *name, char *ret_text, size_t size)
{
	static const char *const words[PACKET_VERDICTS_N] = {
#define E(id, word) [PACKET_##id] = word,
		PACKET_VERDICTS(E)
#undef E
	};
	size_t used = (size_t)snprintf(ret_text, size, "%s: %llu;", name, (unsigned long long)t->packets);

	if (t->other)
		used += (size_t)snprintf(
			ret_text + used, size - used, " no-ip %llu", (unsigned long long)t->other);
	for (int i = 0; i < PACKET_VERDICTS_N; i++)
		if (t->verdicts[i])
			used += (size_t)snprintf(ret_text + used, size - used, " %s %llu", words[i],
				(unsigned long long)t->verdicts[i]);
	for (int i = 0; i < DROP_COUNT; i++)
		if (t->drops[i])
			used += (size_t)snprintf(ret_text + used, size - used, " drop:%s %llu",
				drop_name((enum drop_reason)i), (unsigned long long)t->drops[i]);
}

static void captures(void **state)
{
	static const uint32_t workers[] = { 1, 2, 4 };
	const char *shared = getenv("PLAINGATE_SHARED");
	char path[4096], said[1024];
	struct stat st;
	size_t wrong = 0;

	(void)state;
	shared = shared ? shared : "../shared";
	snprintf(path, sizeof path, "%s/captures", shared);
	if (stat(path, &st) != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		struct tally t = { 0 };
		struct offline *o[3];
		struct offline_routes read;
		struct pcapng_packet p;
		char name[256];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(expected[i], ":"), expected[i]);
		snprintf(path, sizeof path, "%s/captures/%s", shared, name);
		FILE *f = fopen(path, "rb");
		if (!f)
			fail_msg("%s is not there", path);
		size_t n = fread(file, 1, sizeof file, f);
		fclose(f);
		for (int k = 0; k < 3; k++)
			o[k] = begin(workers[k], &read);
		assert_int_equal(pcapng_open(&reader, file, n, NULL), RC_OK);
		while (pcapng_next(&reader, &p, NULL) == RC_OK)
			replay(o, &p, &t);
		for (int k = 0; k < 3; k++)
			offline_free(o[k]);
		tally_text(&t, name, said, sizeof said);
		if (strcmp(said, expected[i]) != 0) {
			print_error("got      \"%s\",\nexpected \"%s\",\n", said, expected[i]);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(time_is_the_captures),
		cmocka_unit_test(wrong_routes),
		cmocka_unit_test(captures),
	};
	return cmocka_run_group_tests_name("dataplane/offline", tests, compile, forget);
}
