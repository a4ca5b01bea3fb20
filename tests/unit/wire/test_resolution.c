/*
 * ARP and Neighbor Discovery: frames as real neighbours send them, each truncation and each changed octet of them;
 * our own frames are read as what they are.
 */
#include "wire/resolution.h"
#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t own[6] = { 2, 0, 0, 0, 0, 1 }, theirs[6] = { 2, 0, 0, 0, 0, 9 };

static size_t octets(uint8_t *ret, const char *hex)
{
	size_t n = 0;
	unsigned v;

	for (; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (sscanf(hex, "%2x", &v) != 1)
			break;
		ret[n++] = (uint8_t)v;
	}
	return n;
}

/* target, asker, claimed; "-" where there is none; NULL: refused */
static const struct {
	const char *what, *hex, *target, *asker, *claimed;
} cases[] = {
	{ "request, padded as Ethernet wants it",
		"ffffffffffff 020000000009 0806 0001 0800 06 04 0001 020000000009 c6336401 000000000000 c633644d "
		"000000000000000000000000000000000000",
		"198.51.100.77", "198.51.100.1", "198.51.100.1" },
	{ "probe of RFC 5227",
		"ffffffffffff 020000000009 0806 0001 0800 06 04 0001 020000000009 00000000 000000000000 c633644d",
		"198.51.100.77", "-", "-" },
	{ "gratuitous",
		"ffffffffffff 020000000009 0806 0001 0800 06 04 0001 020000000009 c633644d 000000000000 c633644d",
		"-", "198.51.100.77", "198.51.100.77" },
	{ "reply",
		"020000000001 020000000009 0806 0001 0800 06 04 0002 020000000009 c633644d 020000000001 c6336402",
		"-", "198.51.100.77", "198.51.100.77" },
	{ "of another hardware",
		"ffffffffffff 020000000009 0806 0006 0800 06 04 0001 020000000009 c6336401 000000000000 c633644d",
		NULL, NULL, NULL },
	{ "of a multicast link address",
		"ffffffffffff 020000000009 0806 0001 0800 06 04 0001 010000000009 c6336401 000000000000 c633644d",
		NULL, NULL, NULL },
	{ "RARP's operation",
		"ffffffffffff 020000000009 0806 0001 0800 06 04 0003 020000000009 c6336401 000000000000 c633644d",
		NULL, NULL, NULL },
	{ "IPv4", "020000000001 020000000009 0800 4500001c00000000400100000a0000010a000002", NULL, NULL,
		NULL },
};

static void same(const struct ip_addr *a, const char *text)
{
	char got[ADDR_TEXT_MAX];

	assert_string_equal(a->family == ADDR_NONE ? "-" : addr_text(got, a), text);
}

static void vectors(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t frame[128];
		size_t n = octets(frame, cases[i].hex);
		struct resolution r;
		if (resolution_read(&r, frame, n) != (cases[i].target != NULL))
			fail_msg("%s", cases[i].what);
		if (!cases[i].target)
			continue;
		same(&r.target, cases[i].target);
		same(&r.asker, cases[i].asker);
		same(&r.claimed, cases[i].claimed);
		assert_memory_equal(r.mac, theirs, 6);
		for (size_t k = 0; k < 42; k++)
			assert_false(resolution_read(&r, frame, k));
	}
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static void checksum_right(uint8_t *frame, size_t n)
{
	uint8_t pseudo[40 + 128] = { 0 };

	memcpy(pseudo, frame + 22, 32);
	store_be16(pseudo + 34, (uint16_t)(n - 54));
	pseudo[39] = 58;
	store_be16(frame + 56, 0);
	memcpy(pseudo + 40, frame + 54, n - 54);
	store_be16(frame + 56, plain_checksum(0, pseudo, 40 + n - 54));
}

/* What we send is what a neighbour would make of it. */
static void own_frames(void **state)
{
	static const char *const texts[] = { "198.51.100.77", "2001:db8:1::4d" };

	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[RESOLUTION_FRAME_MAX];
		struct ip_addr a = addr(texts[i]), asker = addr(i ? "2001:db8:1::1" : "198.51.100.1");
		struct resolution asked = { .target = a, .asker = asker }, r;
		memcpy(asked.mac, theirs, 6);

		size_t n = resolution_probe(frame, &a, own);
		assert_true(resolution_read(&r, frame, n));
		same(&r.target, texts[i]);
		same(&r.asker, "-");
		same(&r.claimed, "-");
		assert_memory_equal(r.mac, own, 6);
		assert_int_equal(frame[0], i ? 0x33 : 0xff);

		n = resolution_announcement(frame, &a, own);
		assert_true(resolution_read(&r, frame, n));
		same(&r.target, "-");
		same(&r.claimed, texts[i]);
		assert_int_equal(frame[0], i ? 0x33 : 0xff);

		n = resolution_answer(frame, &asked, own);
		assert_memory_equal(frame, theirs, 6);
		assert_true(resolution_read(&r, frame, n));
		same(&r.target, "-");
		same(&r.claimed, texts[i]);
		assert_memory_equal(r.mac, own, 6);
		if (i)
			assert_int_equal(frame[58], 0x60); /* solicited, override */

		/* Who has no address yet: RFC 4861 section 7.2.4 */
		asked.asker = (struct ip_addr){ 0 };
		n = resolution_answer(frame, &asked, own);
		assert_true(resolution_read(&r, frame, n));
		same(&r.claimed, texts[i]);
		if (i) {
			assert_int_equal(frame[0], 0x33);
			assert_int_equal(frame[58], 0x20);
		}
	}
}

/* A solicitation as Linux sends it, with its option; each octet of it changed. */
static size_t solicitation(uint8_t *frame)
{
	size_t n = octets(frame,
		"3333ff00004d 020000000009 86dd 60000000 0020 3a ff 20010db8000100000000000000000001"
		"ff0200000000000000000001ff00004d 87 00 0000 00000000 20010db800010000000000000000004d "
		"01 01 020000000009");

	checksum_right(frame, n);
	return n;
}

static void solicitations(void **state)
{
	uint8_t frame[128], copy[128];
	size_t n = solicitation(frame);
	struct resolution r;

	assert_true(resolution_read(&r, frame, n));
	same(&r.target, "2001:db8:1::4d");
	same(&r.asker, "2001:db8:1::1");
	same(&r.claimed, "2001:db8:1::1");
	for (size_t k = 0; k < n; k++)
		assert_false(resolution_read(&r, frame, k));
	/* The checksum covers all but the link header, the flow label, the payload's length and the hop limit. */
	for (size_t i = 14; i < n; i++) {
		memcpy(copy, frame, n);
		copy[i] ^= 0x10;
		bool uncovered = i < 18;
		assert_true(resolution_read(&r, copy, n) == (uncovered && i != 14));
	}
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} wrong[] = { { "a router has passed it on", 21, 254 }, { "code", 55, 1 },
		{ "multicast target", 62, 0xff }, { "option without length", 79, 0 },
		{ "option that is too long", 79, 2 }, { "multicast source", 22, 0xff },
		{ "multicast link address", 80, 3 }, { "another type", 54, 133 } };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		memcpy(copy, frame, n);
		copy[wrong[i].at] = wrong[i].value;
		checksum_right(copy, n);
		if (resolution_read(&r, copy, n))
			fail_msg("%s", wrong[i].what);
	}
	/* Duplicate address detection: from nobody, to the group, without the option. */
	memcpy(copy, frame, n);
	memset(copy + 22, 0, 16);
	checksum_right(copy, n);
	assert_false(resolution_read(&r, copy, n));
	copy[19] = 24;
	checksum_right(copy, n - 8);
	assert_true(resolution_read(&r, copy, n - 8));
	same(&r.asker, "-");
	same(&r.claimed, "-");
	copy[53] ^= 1; /* to another group */
	checksum_right(copy, n - 8);
	assert_false(resolution_read(&r, copy, n - 8));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(own_frames),
		cmocka_unit_test(solicitations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
