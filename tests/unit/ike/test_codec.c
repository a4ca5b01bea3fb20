/*
 * IKE messages as bytes: printed vectors, what broke others, every truncation, every flipped bit, round
 * trips, each limit.
 */
#include "crypto/aead.h"
#include "wire/ike_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES_MAX 4096

static size_t from_hex(uint8_t *ret, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= BYTES_MAX && hex_to_bytes(ret, n, hex));
	return n;
}

/* A copy that ends where the allocation ends, so that the sanitizer sees a read beyond it. */
static uint8_t *exact(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n + !n);

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, bytes, n);
	return copy;
}

static enum rc read_exact(
	struct ike_payloads *p, uint8_t first, const uint8_t *bytes, size_t n, bool encrypted)
{
	uint8_t *copy = exact(bytes, n);
	struct err e = { 0 };
	enum rc rc = ike_payloads_read(p, first, copy, n, encrypted, &e);

	if ((rc != RC_OK) != (e.text[0] != '\0'))
		fail_msg("rc %d with the text '%s'", rc, e.text);
	free(copy);
	return rc;
}

/* ---- printed vectors ---- */

#define RFC5903_X "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
#define RFC5903_Y "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"

static void rfc5903_key_exchange_payload(void **state)
{
	uint8_t bytes[BYTES_MAX], point[64], out[256];
	size_t n = from_hex(bytes, "0000004800130000" RFC5903_X RFC5903_Y);
	struct ike_header h = { .spi_i = { 1 }, .version = 0x20, .exchange = EX_IKE_SA_INIT };
	struct ike_payloads p;
	struct ike_out o;

	from_hex(point, RFC5903_X RFC5903_Y);
	assert_int_equal(read_exact(&p, PL_KE, bytes, n, false), RC_OK);
	assert_int_equal(ike_payloads_read(&p, PL_KE, bytes, n, false, NULL), RC_OK);
	assert_int_equal(p.ke_group, DH_ECP_256);
	assert_int_equal(p.ke.n, 64);
	assert_memory_equal(p.ke.at, point, 64);
	o = ike_out_begin(out, sizeof out, &h);
	ike_out_ke(&o, p.ke_group, p.ke.at, p.ke.n);
	assert_int_equal(ike_out_end(&o), IKE_HEADER_SIZE + n);
	assert_memory_equal(out + IKE_HEADER_SIZE, bytes, n);
}

/* An INFORMATIONAL request with SET_WINDOW_SIZE, sealed by ChaCha20-Poly1305. */
static void rfc7634_message(void **state)
{
	uint8_t message[BYTES_MAX], key[36], plain[64], out[128], *iv, *inside;
	size_t n = from_hex(message, "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029"
				     "1011121314151617610394701f8d017f7c12924889"
				     "6b71bfe25236efd7cdc67066906315b2"),
	       inside_n;
	struct ike_payloads p;
	struct ike_header h;
	struct aead_key k;
	struct ike_out o;

	for (size_t i = 0; i < 32; i++)
		key[i] = (uint8_t)(0x80 + i);
	from_hex(key + 32, "a0a1a2a3");
	assert_int_equal(aead_key_init(&k, ENCR_CHACHA20_POLY1305, 256, key, 36), RC_OK);
	assert_int_equal(ike_header_read(&h, message, n, NULL), RC_OK);
	assert_int_equal(h.exchange, EX_INFORMATIONAL);
	assert_int_equal(h.message_id, 9);
	assert_int_equal(ike_payloads_read(&p, h.next_payload, message + 28, n - 28, false, NULL), RC_OK);
	assert_int_equal(p.present, IKE_HAS(SK));
	assert_int_equal(p.sk_first, PL_NOTIFY);
	assert_int_equal(aead_open(&k, p.sk.at, message, 32, p.sk.at + 8, p.sk.n - 8, plain), RC_OK);
	assert_int_equal(ike_payloads_read(&p, PL_NOTIFY, plain, 13 - 1 /* pad length */, true, NULL), RC_OK);
	assert_int_equal(p.notifies[0].type, NTF_SET_WINDOW_SIZE);
	assert_int_equal(p.notifies[0].data.n, 4);
	assert_int_equal(load_be32(p.notifies[0].data.at), 10);
	/* The same, written. */
	o = ike_out_begin(out, sizeof out, &h);
	ike_out_sk_begin(&o, AEAD_IV_SIZE);
	ike_out_notify(&o, NTF_SET_WINDOW_SIZE, plain + 8, 4);
	assert_int_equal(ike_out_sk_end(&o, AEAD_IV_SIZE, AEAD_ICV_SIZE, &iv, &inside, &inside_n), n);
	memcpy(iv, message + 32, 8);
	assert_int_equal(aead_seal(&k, iv, out, (size_t)(iv - out), inside, inside_n, inside), RC_OK);
	assert_memory_equal(out, message, n);
}

/* ---- headers ---- */

#define SPIS "01020304050607080000000000000000"

static void headers(void **state)
{
	static const struct {
		const char *name, *hex;
		enum rc want;
	} cases[] = {
		{ "IKE_SA_INIT request",
			SPIS "2120220800000000000000"
			     "1c",
			RC_OK },
		{ "minor version 1 (2.5: to be ignored)",
			SPIS "2121220800000000000000"
			     "1c",
			RC_OK },
		{ "length field above the datagram",
			SPIS "2120220800000000000000"
			     "1d",
			RC_MALFORMED },
		{ "length field below the header",
			SPIS "2120220800000000000000"
			     "1b",
			RC_MALFORMED },
		{ "length field of 2^32 - 1",
			SPIS "212022080000000"
			     "0ffffffff",
			RC_MALFORMED },
		{ "initiator's SPI zero",
			"00000000000000000000000000000001"
			"2120220800000000000000"
			"1c",
			RC_MALFORMED },
		{ "initiator's SPI zero, of INVALID_SPI outside an IKE SA",
			"00000000000000000000000000000001"
			"2920250800000000000000"
			"1c",
			RC_OK },
		{ "version 1.0",
			SPIS "2110220800000000000000"
			     "1c",
			RC_UNSUPPORTED },
		{ "version 3.0",
			SPIS "2130220800000000000000"
			     "1c",
			RC_UNSUPPORTED },
		{ "nothing", "", RC_TRUNCATED },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t bytes[64];
		size_t n = from_hex(bytes, cases[i].hex);
		struct ike_header h;
		enum rc rc = ike_header_read(&h, bytes, n, NULL);

		if (rc != cases[i].want)
			fail_msg("%s: %s", cases[i].name, rc_text(rc));
		for (size_t k = 0; k < n; k++) {
			uint8_t *copy = exact(bytes, k);

			assert_int_equal(ike_header_read(&h, copy, k, NULL), RC_TRUNCATED);
			free(copy);
		}
	}
}

/* ---- payload chains: what broke others, and limits of syntax ---- */

#define N16 "00112233445566778899aabbccddeeff"

/* clang-format off */
static const struct chain {
	const char *name;
	uint8_t first;
	bool encrypted;
	const char *hex;
	enum rc want;
} chains[] = {
	{ "nothing", 0, false, "", RC_OK },
	{ "octets without a type", 0, false, "00", RC_TRAILING },
	{ "type without octets", PL_NONCE, false, "", RC_TRUNCATED },
	{ "nonce of 16", PL_NONCE, false, "00000014" N16, RC_OK },
	{ "nonce of 15", PL_NONCE, false, "00000013112233445566778899aabbccddeeff", RC_RANGE },
	{ "two payloads", PL_VENDOR, false, "2800000501" "00000014" N16, RC_OK },
	{ "octets after the last", PL_NONCE, false, "00000014" N16 "00", RC_TRAILING },
	{ "length 0", PL_VENDOR, false, "00000000", RC_TRUNCATED },
	{ "length 3", PL_VENDOR, false, "00000003", RC_TRUNCATED },
	{ "length 4", PL_VENDOR, false, "00000004", RC_OK },
	{ "length beyond the end", PL_VENDOR, false, "0000000601", RC_TRUNCATED },
	{ "length 65535", PL_VENDOR, false, "0000ffff01", RC_TRUNCATED },
	{ "loop to itself ends with the octets", PL_VENDOR, false, "2b0000042b0000042b000004", RC_TRUNCATED },
	{ "unknown type is skipped", 200, false, "0000000501", RC_OK },
	{ "unknown type, critical", 200, false, "0080000501", RC_UNSUPPORTED },
	{ "known type, critical (2.5: to be ignored)", PL_VENDOR, false, "00800004", RC_OK },
	{ "IKEv1's type 1", 1, false, "00000004", RC_MALFORMED },
	{ "IKEv1's type 13", 13, false, "00000004", RC_MALFORMED },
	{ "type 32", 32, false, "00000004", RC_MALFORMED },
	{ "a part among payloads", PL_SKF, false, "2100000800010001", RC_MALFORMED },
	{ "SA twice", PL_SA, false, "2100000c0000000801010000" "0000000c0000000801010000", RC_MALFORMED },
	{ "nonce twice", PL_NONCE, false, "28000014" N16 "00000014" N16, RC_MALFORMED },
	{ "SK", PL_SK, false, "2900000801020304", RC_OK },
	{ "SK is not the last", PL_SK, false, "2800000801020304" "00000014" N16, RC_TRAILING },
	{ "SK inside SK", PL_SK, true, "2900000801020304", RC_MALFORMED },
	{ "KE without a value", PL_KE, false, "00000008001f0000", RC_TRUNCATED },
	{ "KE cut off", PL_KE, false, "00000006001f", RC_TRUNCATED },
	{ "AUTH without data", PL_AUTH, true, "0000000802000000", RC_TRUNCATED },
	/* identification */
	{ "ID without data", PL_IDI, true, "0000000802000000", RC_TRUNCATED },
	{ "ID of 2 octets", PL_IDR, true, "000000060200", RC_TRUNCATED },
	{ "ID IPv4", PL_IDI, true, "0000000c010000000a000001", RC_OK },
	{ "ID IPv4 of 5 octets", PL_IDI, true, "0000000d010000000a00000101", RC_MALFORMED },
	{ "ID IPv6 of 4 octets", PL_IDI, true, "0000000c050000000a000001", RC_MALFORMED },
	/* notify */
	{ "notify without data", PL_NOTIFY, false, "000000080000000e", RC_OK },
	{ "notify of 3 octets", PL_NOTIFY, false, "00000007000000", RC_TRUNCATED },
	{ "notify's SPI beyond the end", PL_NOTIFY, false, "0000000a0304400901ff", RC_TRUNCATED },
	/* delete */
	{ "delete IKE", PL_DELETE, true, "0000000801000000", RC_OK },
	{ "delete IKE with an SPI", PL_DELETE, true, "00000010010800010102030405060708", RC_MALFORMED },
	{ "delete ESP, two SPIs", PL_DELETE, true, "00000010030400020000000100000002", RC_OK },
	{ "delete ESP without SPIs", PL_DELETE, true, "0000000803040000", RC_OK },
	{ "delete ESP, SPIs of 8", PL_DELETE, true, "00000010030800010102030405060708", RC_MALFORMED },
	{ "delete ESP, more SPIs than octets", PL_DELETE, true, "0000000c0304000200000001", RC_TRUNCATED },
	{ "delete ESP, fewer SPIs than octets", PL_DELETE, true, "00000010030400010000000100000002", RC_TRAILING },
	{ "delete ESP, 65535 SPIs", PL_DELETE, true, "0000000c0304ffff00000001", RC_TRUNCATED },
	{ "delete for protocol 0", PL_DELETE, true, "0000000800000000", RC_MALFORMED },
	/* solution of a puzzle */
	{ "PS, four keys of an octet", PL_PS, false, "0000000801020304", RC_OK },
	{ "PS, empty", PL_PS, false, "00000004", RC_MALFORMED },
	{ "PS, five octets", PL_PS, false, "000000090102030405", RC_MALFORMED },
	{ "PS twice", PL_PS, false, "3600000801020304" "0000000801020304", RC_MALFORMED },
	/* traffic selectors */
	{ "TS IPv4", PL_TSI, true, "0000001801000000" "070000100000ffff" "0a0000000a0000ff", RC_OK },
	{ "TS IPv6", PL_TSR, true, "0000003001000000" "080000280000ffff" N16 N16, RC_OK },
	{ "TS, none", PL_TSI, true, "0000000800000000", RC_MALFORMED },
	{ "TS, start above end", PL_TSI, true, "0000001801000000" "070000100000ffff" "0a0000ff0a000000", RC_MALFORMED },
	{ "TS, first port above last", PL_TSI, true, "0000001801000000" "0706001000020001" "0a0000000a0000ff", RC_MALFORMED },
	{ "TS, OPAQUE ports", PL_TSI, true, "0000001801000000" "07060010ffff0000" "0a0000000a0000ff", RC_OK },
	{ "TS, length 0", PL_TSI, true, "0000001801000000" "070000000000ffff" "0a0000000a0000ff", RC_TRUNCATED },
	{ "TS, length 7", PL_TSI, true, "0000001801000000" "070000070000ffff" "0a0000000a0000ff", RC_TRUNCATED },
	{ "TS IPv4 as long as IPv6", PL_TSI, true, "0000003001000000" "070000280000ffff" N16 N16, RC_TRAILING },
	{ "TS IPv6 as short as IPv4", PL_TSI, true, "0000001801000000" "080000100000ffff" "0a0000000a0000ff", RC_TRUNCATED },
	{ "TS, two announced, one there", PL_TSI, true, "0000001802000000" "070000100000ffff" "0a0000000a0000ff", RC_TRUNCATED },
	{ "TS, one announced, two there", PL_TSI, true,
	  "0000002801000000" "070000100000ffff" "0a0000000a0000ff" "070000100000ffff" "0a0000000a0000ff", RC_TRAILING },
	{ "TS of an unknown type is skipped", PL_TSI, true, "0000001001000000" "0900000800000000", RC_OK },
	/* SA */
	{ "SA, ESP, one proposal", PL_SA, true,
	  "00000024" "00000020010304" "02" "deadbeef" "0300000c01000014800e0100" "0000000805000000", RC_OK },
	{ "SA without a proposal", PL_SA, true, "00000004", RC_TRUNCATED },
	{ "SA, proposal without transforms", PL_SA, true, "00000010" "0000000c01030400" "deadbeef", RC_MALFORMED },
	{ "SA, ESP with an SPI of 3", PL_SA, true, "00000017" "0000001301030301" "deadbe" "0000000801000014", RC_MALFORMED },
	{ "SA, IKE with an SPI of 4", PL_SA, true, "00000018" "0000001401010401" "deadbeef" "0000000801000014", RC_MALFORMED },
	{ "SA, SPI beyond the proposal", PL_SA, true, "0000000e" "0000000a01030401" "dead", RC_TRUNCATED },
	{ "SA, last proposal says more follow", PL_SA, true,
	  "00000018" "0200001401030401" "deadbeef" "0000000801000014", RC_MALFORMED },
	{ "SA, first of two says it is the last", PL_SA, true,
	  "0000002c" "0000001401030401" "deadbeef" "0000000801000014" "0000001402030401" "deadbeef" "0000000801000014", RC_MALFORMED },
	{ "SA, proposals 1 and 3", PL_SA, true,
	  "0000002c" "0200001401030401" "deadbeef" "0000000801000014" "0000001403030401" "deadbeef" "0000000801000014", RC_MALFORMED },
	{ "SA, proposals 1 and 2", PL_SA, true,
	  "0000002c" "0200001401030401" "deadbeef" "0000000801000014" "0000001402030401" "deadbeef" "0000000801000014", RC_OK },
	{ "SA, fewer transforms than announced", PL_SA, true,
	  "00000018" "0000001401030402" "deadbeef" "0300000801000014", RC_TRUNCATED },
	{ "SA, more transforms than announced", PL_SA, true,
	  "00000020" "0000001c01030401" "deadbeef" "0000000801000014" "0000000805000000", RC_MALFORMED },
	{ "SA, last transform says more follow", PL_SA, true,
	  "00000018" "0000001401030401" "deadbeef" "0300000801000014", RC_MALFORMED },
	{ "SA, transform of 7 octets", PL_SA, true, "00000018" "0000001401030401" "deadbeef" "0000000701000014", RC_TRUNCATED },
	{ "SA, attribute cut off", PL_SA, true, "0000001a" "0000001601030401" "deadbeef" "0000000a01000014" "800e", RC_TRUNCATED },
	{ "SA, long attribute beyond the end", PL_SA, true,
	  "0000001c" "0000001801030401" "deadbeef" "0000000c01000014" "000e0004", RC_TRUNCATED },
};
/* clang-format on */

static void chains_as_listed(void **state)
{
	static struct ike_payloads p, zero;

	for (size_t i = 0; i < COUNT_OF(chains); i++) {
		uint8_t bytes[BYTES_MAX];
		size_t n = from_hex(bytes, chains[i].hex);
		enum rc rc = read_exact(&p, chains[i].first, bytes, n, chains[i].encrypted);

		if (rc != chains[i].want)
			fail_msg("%s: %s, not %s", chains[i].name, rc_text(rc), rc_text(chains[i].want));
		if (rc == RC_UNSUPPORTED) {
			assert_int_equal(p.critical_unknown, chains[i].first);
			p.critical_unknown = 0;
		}
		/* A failed parse leaves no trace. */
		if (rc != RC_OK)
			assert_memory_equal(&p, &zero, sizeof p);
		for (size_t k = 0; chains[i].want == RC_OK && k < n; k++)
			if (read_exact(&p, chains[i].first, bytes, k, chains[i].encrypted) == RC_OK)
				fail_msg("%s: %zu of %zu octets are taken", chains[i].name, k, n);
	}
}

/* A key length twice, an attribute in long form, one that is not known: the proposal cannot be chosen. */
static void odd_attributes(void **state)
{
	static const struct {
		const char *hex;
		bool unknown;
		uint16_t bits;
	} cases[] = {
		{ "000000180103040"
		  "1deadbeef"
		  "0000000c01000014"
		  "800e0100",
			false, 256 },
		{ "0000001c0103040"
		  "1deadbeef"
		  "0000001001000014"
		  "800e0100800e0080",
			true, 256 },
		{ "0000001a0103040"
		  "1deadbeef"
		  "0000000e01000014"
		  "000e00020100",
			true, 0 },
		{ "000000180103040"
		  "1deadbeef"
		  "0000000c01000014"
		  "80110100",
			true, 0 },
		{ "000000140103040"
		  "1deadbeef"
		  "0000000801000014",
			false, 0 }, /* CVE-2024-3652: no length */
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t bytes[64];
		size_t n = from_hex(bytes, cases[i].hex);
		struct ike_offer o;

		assert_int_equal(ike_offer_read(&o, bytes, n, NULL), RC_OK);
		assert_int_equal(o.proposals[0].unknown, cases[i].unknown);
		assert_int_equal(o.transforms[0].key_bits, cases[i].bits);
	}
}

/* ---- limits: what exceeds them is ignored, and the message is valid ---- */

static size_t repeat(uint8_t *ret, const char *hex, unsigned times, bool chain)
{
	uint8_t one[512];
	size_t n = from_hex(one, hex);

	for (unsigned i = 0; i < times; i++) {
		memcpy(ret + i * n, one, n);
		if (chain && i + 1 == times)
			ret[i * n] = 0;
	}
	return n * times;
}

static unsigned deletes_of(const struct ike_payloads *p)
{
	struct ike_walk at = ike_walk_over(p);
	struct ike_delete d;
	unsigned n = 0;

	while (ike_delete_next(&at, &d))
		n++;
	return n;
}

static void limits(void **state)
{
	static const struct {
		const char *name;
		uint8_t first;
		const char *hex;
		unsigned times, vendors, notifies, deletes;
	} cases[] = {
		{ "vendor ids", PL_VENDOR, "2b000004", 500, IKE_VENDORS_MAX, 0, 0 },
		{ "unknown payloads (CVE-2026-12413)", 200, "c8000004", 2000, 0, 0, 0 },
		{ "status notifies", PL_NOTIFY, "2900000800004000", 900, 0, IKE_NOTIFIES_MAX - 1, 0 },
		{ "unknown status notifies", PL_NOTIFY, "290000080000bfff", 900, 0, 0, 0 },
		{ "error notifies", PL_NOTIFY, "290000080000000e", 900, 0, IKE_NOTIFIES_MAX, 0 },
		{ "deletes", PL_DELETE, "2a00000803040000", 900, 0, 0, 900 },
	};
	static struct ike_payloads p;
	static uint8_t bytes[IKE_MESSAGE_MAX];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t n = repeat(bytes, cases[i].hex, cases[i].times, true);

		if (read_exact(&p, cases[i].first, bytes, n, false) != RC_OK)
			fail_msg("%u %s are refused", cases[i].times, cases[i].name);
		/* views into the copy are gone; read in place */
		ike_payloads_read(&p, cases[i].first, bytes, n, false, NULL);
		assert_int_equal(p.vendors_n, cases[i].vendors);
		assert_int_equal(p.notifies_n, cases[i].notifies);
		assert_int_equal(deletes_of(&p), cases[i].deletes);
	}
}

/* Behind any number of status notifies an error is heard. */
static void error_behind_many(void **state)
{
	static struct ike_payloads p;
	static uint8_t bytes[IKE_MESSAGE_MAX];
	size_t n = repeat(bytes, "2900000800004000", 100, false);

	n += from_hex(bytes + n, "000000080000000e");
	assert_int_equal(read_exact(&p, PL_NOTIFY, bytes, n, false), RC_OK);
	assert_int_equal(ike_notify_error(&p)->type, NTF_NO_PROPOSAL_CHOSEN);
}

static void limits_inside_payloads(void **state)
{
	static uint8_t bytes[IKE_MESSAGE_MAX];
	struct ike_selectors ts;
	struct ike_delete d;
	struct ike_offer o;

	for (unsigned more = 0; more <= 100; more += 50) {
		unsigned n = IKE_SELECTORS_MAX + more;
		size_t at;

		store_be32(bytes, n << 24);
		at = 4 + repeat(bytes + 4, "070000100000ffff0a0000000a0000ff", n, false);
		assert_int_equal(ike_selectors_read(&ts, bytes, at, NULL), RC_OK);
		assert_int_equal(ts.n, IKE_SELECTORS_MAX);

		n = 64 + 18 * more;
		store_be32(bytes, 0x03040000u + n);
		at = 4 + repeat(bytes + 4, "00000001", n, false);
		assert_int_equal(ike_delete_read(&d, bytes, at, NULL), RC_OK);
		assert_int_equal(d.spis_n, n);

		n = IKE_PROPOSALS_MAX + more;
		at = repeat(bytes, "0200001401030401deadbeef0000000801000014", n, false);
		for (unsigned i = 0; i < n; i++)
			bytes[20 * i + 4] = (uint8_t)(i + 1);
		bytes[20 * (n - 1)] = 0;
		assert_int_equal(ike_offer_read(&o, bytes, at, NULL), RC_OK);
		assert_int_equal(o.proposals_n, IKE_PROPOSALS_MAX);
		/* Their order is checked beyond the limit as well. */
		bytes[20 * (n - 1) + 4]++;
		assert_int_equal(ike_offer_read(&o, bytes, at, NULL), RC_MALFORMED);
	}
	/* Transforms over all proposals: one more than fits, in two proposals. */
	for (unsigned more = 0; more <= 1; more++) {
		size_t at = 0;

		for (unsigned i = 0; i < 2; i++) {
			unsigned n = IKE_TRANSFORMS_MAX / 2 + (i ? more : 0);

			from_hex(bytes + at, "0200000001030400deadbeef");
			bytes[at] = i ? 0 : 2;
			store_be16(bytes + at + 2, (uint16_t)(12 + 8 * n));
			bytes[at + 4] = (uint8_t)(i + 1);
			bytes[at + 7] = (uint8_t)n;
			repeat(bytes + at + 12, "0300000801000014", n, false);
			bytes[at + 12 + 8 * (n - 1)] = 0;
			at += 12 + 8 * n;
		}
		assert_int_equal(ike_offer_read(&o, bytes, at, NULL), RC_OK);
		assert_int_equal(o.transforms_n, IKE_TRANSFORMS_MAX);
		assert_int_equal(o.proposals_n, 2);
		assert_false(o.proposals[0].unknown);
		assert_int_equal(o.proposals[1].unknown, more);
	}
}

/* ---- round trip ---- */

static struct ike_offer sample_offer(uint8_t protocol, const void *spi, size_t spi_n)
{
	struct ike_offer o = { 0 };

	for (int i = 0; i < 2; i++) {
		ike_offer_add(&o, protocol, spi, spi_n);
		ike_offer_add_transform(
			&o, TT_ENCR, i ? ENCR_CHACHA20_POLY1305 : ENCR_AES_GCM_16, i ? 0 : 256);
		ike_offer_add_transform(&o, protocol == IKE_PROTO_IKE ? TT_PRF : TT_ESN, 5, 0);
		ike_offer_add_transform(&o, TT_DH, DH_CURVE25519, 0);
	}
	return o;
}

static const uint32_t sample_spis[] = { 0x01020304, 0x05060708 };

static size_t write_message(uint8_t *bytes, size_t size, const struct ike_payloads *p)
{
	struct ike_header h = { .spi_i = { 1 }, .spi_r = { 2 }, .version = 0x20, .exchange = EX_IKE_AUTH };
	struct ike_out o = ike_out_begin(bytes, size, &h);

	ike_out_payload(&o, PL_IDI, p->idi.at, p->idi.n);
	ike_out_payload(&o, PL_IDR, p->idr.at, p->idr.n);
	ike_out_auth(&o, p->auth_method, p->auth.at, p->auth.n);
	ike_out_offer(&o, &p->sa);
	ike_out_ke(&o, p->ke_group, p->ke.at, p->ke.n);
	ike_out_payload(&o, PL_NONCE, p->nonce.at, p->nonce.n);
	ike_out_selectors(&o, PL_TSI, p->tsi.list, p->tsi.n);
	ike_out_selectors(&o, PL_TSR, p->tsr.list, p->tsr.n);
	for (unsigned i = 0; i < p->notifies_n; i++)
		ike_out_notify_spi(&o, p->notifies[i].type, p->notifies[i].protocol, p->notifies[i].spi.at,
			p->notifies[i].spi.n, p->notifies[i].data.at, p->notifies[i].data.n);
	ike_out_delete_ike(&o);
	ike_out_delete_esp(&o, sample_spis, COUNT_OF(sample_spis));
	ike_out_delete_esp_end(&o); /* of none: nothing is written */
	return ike_out_end(&o);
}

static struct ike_payloads sample(void)
{
	static const uint8_t id[] = "\x02\0\0\0hq.example", value[] = N16 N16,
			     spis[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct ike_payloads p = { .auth_method = AUTH_SHARED_KEY, .ke_group = DH_CURVE25519 };
	struct ip_addr v6 = { .family = ADDR_V6, .b = { 0xfd, 0 } };

	p.idi = p.idr = (struct ike_view){ id, sizeof id - 1 };
	p.auth = p.ke = p.nonce = (struct ike_view){ value, 32 };
	p.sa = sample_offer(IKE_PROTO_ESP, spis, 4);
	p.tsi.n = p.tsr.n = 2;
	for (int i = 0; i < 2; i++) {
		struct selector *s = i ? p.tsr.list : p.tsi.list;

		s[0] = (struct selector){ .port_last = 65535, .proto = 6 };
		s[0].addrs.first = addr_v4(spis);
		s[0].addrs.last = addr_v4(spis + 4);
		s[1] = (struct selector){ .port_first = 80, .port_last = 80 };
		s[1].addrs.first = s[1].addrs.last = v6;
	}
	p.notifies_n = 2;
	p.notifies[0] = (struct ike_notify){ .type = NTF_INITIAL_CONTACT };
	p.notifies[1] = (struct ike_notify){ NTF_REKEY_SA, IKE_PROTO_ESP, { spis, 4 }, { value, 3 } };
	return p;
}

static void round_trip(void **state)
{
	static struct ike_payloads in, out;
	uint8_t first[BYTES_MAX], second[BYTES_MAX];
	struct ike_header h;
	size_t n;

	in = sample();
	n = write_message(first, sizeof first, &in);
	assert_true(n > 0);
	assert_int_equal(ike_header_read(&h, first, n, NULL), RC_OK);
	assert_int_equal(ike_payloads_read(&out, h.next_payload, first + 28, n - 28, true, NULL), RC_OK);
	assert_int_equal(write_message(second, sizeof second, &out), n);
	assert_memory_equal(first, second, n);
	assert_memory_equal(&in.sa, &out.sa, sizeof in.sa);
	assert_memory_equal(&in.tsi, &out.tsi, sizeof in.tsi);
	assert_memory_equal(&in.tsr, &out.tsr, sizeof in.tsr);
	assert_int_equal(out.notifies[1].type, NTF_REKEY_SA);
	assert_memory_equal(out.notifies[1].spi.at, in.notifies[1].spi.at, 4);
	assert_int_equal(deletes_of(&out), 2);
	/* A buffer that is too small by any number of octets gives no message. */
	for (size_t k = 0; k < n; k++) {
		uint8_t *small = exact(first, k);

		assert_int_equal(write_message(small, k, &in), 0);
		free(small);
	}
	/* Every shorter message fails, as it is and with a length field that fits. */
	for (size_t k = 28; k < n; k++) {
		memcpy(second, first, k);
		assert_int_equal(ike_header_read(&h, second, k, NULL), RC_MALFORMED);
		store_be32(second + 24, (uint32_t)k);
		assert_int_equal(ike_header_read(&h, second, k, NULL), RC_OK);
		assert_int_not_equal(read_exact(&out, h.next_payload, second + 28, k - 28, true), RC_OK);
	}
}

/* No flipped bit makes the decoder read outside; what it still takes, it writes again with the same meaning.
 */
static void every_flipped_bit(void **state)
{
	static struct ike_payloads in, p, again;
	uint8_t bytes[BYTES_MAX], second[BYTES_MAX];
	uint32_t taken = 0;
	struct ike_header h;
	size_t n, m;

	in = sample();
	n = write_message(bytes, sizeof bytes, &in);
	for (size_t bit = 28 * 8; bit < n * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (read_exact(&p, PL_IDI, bytes + 28, n - 28, true) == RC_OK) {
			taken++;
			/* views into the copy are gone; read in place */
			ike_payloads_read(&p, PL_IDI, bytes + 28, n - 28, true, NULL);
			if (p.present == 0 || p.idi.n == 0 || p.idr.n == 0 || p.auth.n == 0 || p.ke.n == 0 ||
				p.nonce.n == 0 || p.tsi.n == 0 || p.tsr.n == 0 || p.sa.proposals_n == 0 ||
				p.sa.proposals[0].unknown)
				goto next;
			for (unsigned i = 0; i < p.sa.proposals_n; i++)
				if (p.sa.proposals[i].number != i + 1 || p.sa.proposals[i].unknown)
					goto next;
			m = write_message(second, sizeof second, &p);
			assert_true(m > 0);
			assert_int_equal(ike_header_read(&h, second, m, NULL), RC_OK);
			assert_int_equal(
				ike_payloads_read(&again, h.next_payload, second + 28, m - 28, true, NULL),
				RC_OK);
			assert_memory_equal(&p.sa, &again.sa, sizeof p.sa);
			assert_memory_equal(&p.tsi, &again.tsi, sizeof p.tsi);
			assert_memory_equal(&p.tsr, &again.tsr, sizeof p.tsr);
		}
	next:
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(taken > 100);
}

/* ---- texts ---- */

static void texts(void **state)
{
	struct ike_offer o = sample_offer(IKE_PROTO_IKE, NULL, 0), none = { 0 };
	char text[256], small[16];
	static const struct {
		const char *hex, *want;
	} ids[] = {
		{ "0200000068712e6578616d706c65", "hq.example" },
		{ "0200000061200a5c62", "a\\x20\\x0a\\x5cb" },
		{ "010000000a000001", "10.0.0.1" },
		{ "0b0000000a0b", "keyid:0a0b" },
		{ "090000003000", "type9:3000" },
	};

	assert_string_equal(ike_offer_text(text, sizeof text, &o),
		"AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE25519, "
		"CHACHA20_POLY1305/PRF_HMAC_SHA2_256/CURVE25519");
	assert_string_equal(ike_offer_text(text, sizeof text, &none), "nothing");
	assert_string_equal(ike_offer_text(small, sizeof small, &o), "AES_GCM_16-256/");
	ike_offer_add_transform(&none, TT_DH, 1, 0); /* without a proposal: refused */
	assert_int_equal(none.transforms_n, 0);
	ike_offer_add(&none, IKE_PROTO_ESP, "\1\2\3\4", 4);
	ike_offer_add_transform(&none, TT_ENCR, 3, 0);
	ike_offer_add_transform(&none, TT_ENCR, 12, 128);
	ike_offer_add_transform(&none, TT_DH, 999, 0);
	assert_string_equal(ike_offer_text(text, sizeof text, &none), "3DES|AES_CBC-128/type 4 number 999");
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		uint8_t body[64];
		size_t n = from_hex(body, ids[i].hex);

		assert_string_equal(ike_id_text(text, sizeof text, body, n), ids[i].want);
	}
	assert_string_equal(ike_notify_text(text, sizeof text, 14), "NO_PROPOSAL_CHOSEN");
	assert_string_equal(ike_notify_text(text, sizeof text, 12345), "notify 12345");
	assert_string_equal(ike_exchange_name(37), "INFORMATIONAL");
	assert_null(ike_exchange_name(38));
	assert_string_equal(ike_payload_name(44), "TSi");
	assert_null(ike_payload_name(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc5903_key_exchange_payload),
		cmocka_unit_test(rfc7634_message),
		cmocka_unit_test(headers),
		cmocka_unit_test(chains_as_listed),
		cmocka_unit_test(odd_attributes),
		cmocka_unit_test(limits),
		cmocka_unit_test(error_behind_many),
		cmocka_unit_test(limits_inside_payloads),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_flipped_bit),
		cmocka_unit_test(texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
