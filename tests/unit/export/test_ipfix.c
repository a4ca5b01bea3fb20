/*
 * Messages of IPFIX, read by a reader of the test's own by RFC 7011 alone: templates first, then each record by the template that it
 * names, element by element.
 */
#include "export/ipfix.h"

#include "base/rd.h"
#include "wire/drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PEN 29305

struct field {
	uint16_t number, octets;
	uint32_t enterprise;
};

static struct {
	uint16_t n;
	struct field field[64];
} learned[512]; /* by template id */

static struct endpoint end(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_int_equal(addr_parse(&e.addr, addr), RC_OK);
	return e;
}

/* The message's one set; its id. */
static struct rd set_of(const uint8_t *bytes, size_t n, uint16_t *ret_id, uint32_t sequence)
{
	struct rd r = { bytes, bytes + n, false };

	assert_int_equal(rd_u16(&r), 10);
	assert_int_equal(rd_u16(&r), n);
	assert_int_equal(rd_u32(&r), 1448388000);
	assert_int_equal(rd_u32(&r), sequence);
	assert_int_equal(rd_u32(&r), 1);
	*ret_id = rd_u16(&r);
	assert_int_equal(rd_u16(&r), n - 16);
	assert_false(r.bad);
	return r;
}

static void learn(void)
{
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	uint16_t id;
	size_t n = export_ipfix_templates(bytes, 7, 1448388000);

	assert_true(n > 0);
	struct rd r = set_of(bytes, n, &id, 7);
	assert_int_equal(id, 2);
	while (r.at < r.end) {
		uint16_t t = rd_u16(&r);
		assert_true(t >= 256 && t < 512);
		learned[t].n = rd_u16(&r);
		for (uint16_t i = 0; i < learned[t].n; i++) {
			struct field *f = &learned[t].field[i];
			f->number = rd_u16(&r);
			f->octets = rd_u16(&r);
			f->enterprise = f->number & 0x8000 ? rd_u32(&r) : 0;
			f->number &= 0x7fff;
		}
	}
	assert_false(r.bad);
}

/* Has the record the element? Its value, up to eight octets of it from its end. */
static bool has(const struct session_record *r, uint16_t number, uint32_t enterprise, uint64_t *ret_value)
{
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	uint16_t id;
	uint64_t found = 0;
	bool any = false;
	size_t n = export_ipfix(bytes, r, 9, 1448388000);

	assert_true(n > 0);
	struct rd s = set_of(bytes, n, &id, 9);
	assert_true(id < 512 && learned[id].n > 0);
	for (uint16_t i = 0; i < learned[id].n; i++) {
		const struct field *f = &learned[id].field[i];
		const uint8_t *at = rd_take(&s, f->octets);
		assert_non_null(at);
		if (f->number != number || f->enterprise != enterprise)
			continue;
		any = true;
		for (uint16_t k = 0; k < f->octets; k++)
			found = found << 8 | at[k];
	}
	assert_ptr_equal(s.at, s.end);
	*ret_value = found;
	return any;
}

static uint64_t value(const struct session_record *r, uint16_t number, uint32_t enterprise)
{
	uint64_t found;

	if (!has(r, number, enterprise, &found))
		fail_msg("a record of event %u has no element %u", r->event, number);
	return found;
}

static struct session_record closed(void)
{
	return (struct session_record){ .at = 1448388000000000ull,
		.duration_ms = 62045,
		.packets = { 5, 4 },
		.bytes = { 500, 4000 },
		.src = end("10.1.0.2", 40000),
		.dst = end("192.0.2.80", 80),
		.session = 7,
		.event = SESSION_EVENT_CLOSE,
		.reason = SESSION_END_TIMEOUT,
		.proto = 6 };
}

static void sessions(void **state)
{
	struct session_record r = closed();

	assert_int_equal(value(&r, 8, 0), 0x0a010002);
	assert_int_equal(value(&r, 12, 0), 0xc0000250);
	assert_int_equal(value(&r, 7, 0), 40000);
	assert_int_equal(value(&r, 11, 0), 80);
	assert_int_equal(value(&r, 4, 0), 6);
	assert_int_equal(value(&r, 233, 0), 2);
	assert_int_equal(value(&r, 136, 0), 1);
	assert_int_equal(value(&r, 89, 0), 64);
	assert_int_equal(value(&r, 148, 0), 7);
	assert_int_equal(value(&r, 1, 0), 500);
	assert_int_equal(value(&r, 2, 0), 5);
	assert_int_equal(value(&r, 1, PEN), 4000);
	assert_int_equal(value(&r, 2, PEN), 4);
	assert_int_equal(value(&r, 153, 0), 1448388000000ull);
	assert_int_equal(value(&r, 152, 0), 1448388000000ull - 62045);
	r.event = SESSION_EVENT_DENY;
	r.reason = DROP_POLICY_DENY;
	assert_int_equal(value(&r, 233, 0), 3);
	assert_int_equal(value(&r, 89, 0), 129);
	r.event = SESSION_EVENT_INIT;
	r.src = end("2001:db8::2", 40000);
	r.dst = end("2001:db8::50", 80);
	assert_int_equal(value(&r, 233, 0), 1);
	assert_int_equal(value(&r, 27, 0), 2); /* the last eight octets */
	assert_int_equal(value(&r, 28, 0), 0x50);
}

static void translations(void **state)
{
	struct session_record r = closed();

	r.nat_src = end("198.51.100.2", 41000);
	assert_int_equal(value(&r, 230, 0), 5);
	assert_int_equal(value(&r, 225, 0), 0xc6336402);
	assert_int_equal(value(&r, 227, 0), 41000);
	assert_int_equal(value(&r, 226, 0), 0xc0000250); /* as it came */
	assert_int_equal(value(&r, 228, 0), 80);
	r.event = SESSION_EVENT_INIT;
	assert_int_equal(value(&r, 230, 0), 4);
	r.src = end("2001:db8::2", 40000);
	r.dst = end("64:ff9b::c000:250", 80);
	r.nat_dst = end("192.0.2.80", 80);
	assert_int_equal(value(&r, 230, 0), 6);
	assert_int_equal(value(&r, 226, 0), 0xc0000250);
	r.nat_src = end("2001:db8:1::2", 41000);
	r.nat_dst = (struct endpoint){ 0 };
	assert_int_equal(value(&r, 281, 0), 2);
	r = (struct session_record){ .event = SESSION_EVENT_NAT_BLOCK_TAKEN,
		.at = 1448388000000000ull,
		.src = end("10.1.0.30", 0),
		.nat_src = end("198.51.100.9", 0),
		.nat_first = 40960,
		.nat_last = 41471 };
	assert_int_equal(value(&r, 230, 0), 16);
	assert_int_equal(value(&r, 361, 0), 40960);
	assert_int_equal(value(&r, 362, 0), 41471);
	assert_int_equal(value(&r, 225, 0), 0xc6336409);
	assert_int_equal(value(&r, 323, 0), 1448388000000ull);
	r.event = SESSION_EVENT_NAT_BLOCK_GIVEN;
	assert_int_equal(value(&r, 230, 0), 17);
	r.event = SESSION_EVENT_NAT_EXHAUSTED;
	assert_int_equal(value(&r, 230, 0), 12);
}

/* Reasons of an end, of what has ended alone: of them IANA reserves 0, and assigns 1 to 5. */
static void end_reasons(void **state)
{
	struct session_record r = closed();
	uint64_t found;

	for (unsigned i = 0; i < SESSION_END_COUNT; i++) {
		r.reason = (uint16_t)i;
		assert_in_range(value(&r, 136, 0), 1, 5);
	}
	for (int v6 = 0; v6 < 2; v6++)
		for (int translated = 0; translated < 3; translated++) {
			r = closed();
			if (v6)
				r.src = end("2001:db8::2", 40000);
			if (translated)
				r.nat_src = translated == v6 ? end("2001:db8:1::2", 41000)
							     : end("198.51.100.2", 41000);
			assert_true(has(&r, 136, 0, &found));
			r.event = SESSION_EVENT_INIT;
			assert_false(has(&r, 136, 0, &found));
			r.event = SESSION_EVENT_DENY;
			r.reason = DROP_POLICY_DENY;
			assert_false(has(&r, 136, 0, &found));
			r.event = SESSION_EVENT_DROP;
			assert_false(has(&r, 136, 0, &found));
		}
}

static void no_words(void **state)
{
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	struct session_record r = { .event = SESSION_EVENT_LOST, .count = 3 };

	assert_int_equal(export_ipfix(bytes, &r, 0, 0), 0);
	r = closed();
	r.src = (struct endpoint){ 0 };
	assert_int_equal(export_ipfix(bytes, &r, 0, 0), 0);
}

static int scene(void **state)
{
	learn();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sessions), cmocka_unit_test(translations),
		cmocka_unit_test(end_reasons), cmocka_unit_test(no_words) };

	return cmocka_run_group_tests(tests, scene, NULL);
}
