/*
 * Messages in parts (RFC 7383): both ways and both roles, in every order, repeated, cut anew, forged, malformed, and
 * more than there is room for. The puppet cuts by its own code, and puts together what the core cut.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL = 200, PARTS = 40 };

static struct puppet p;
static struct {
	size_t n;
	uint8_t bytes[IKE_MESSAGE_MAX];
} parts[PARTS];

/* ---- the puppet cuts ---- */

/* A part of the message that is being written, or of anything that is said to belong to it. */
static void cut_part(
	uint32_t at, uint8_t first, uint16_t number, uint16_t total, const void *content, size_t n)
{
	const uint8_t *h = p.buffer;

	parts[at].n = puppet_seal_part(&p, parts[at].bytes, sizeof parts[at].bytes, h[18],
		h[19] & IKE_FLAG_RESPONSE, load_be32(h + 20), first, number, total, content, n);
	assert_true(parts[at].n > 0);
}

/* The message that is being written, in `total` parts. */
static void cut(uint16_t total)
{
	const uint8_t *content = p.out.iv + AEAD_IV_SIZE;
	size_t n = (size_t)(p.out.w.at - content), each = (n + total - 1) / total;
	uint8_t first = *p.out.sk;

	for (uint16_t i = 0; i < total; i++)
		cut_part(i, i == 0 ? first : 0, i + 1, total, content + i * each,
			i + 1 < total ? each : n - i * each);
}

static void send_part(uint32_t i)
{
	puppet_send_bytes(&p, parts[i].bytes, parts[i].n);
}

/* ---- and puts together ---- */

static uint8_t whole[IKE_MESSAGE_MAX];

/* Reads datagrams from..from+total-1 of what was sent as the parts of one message, into p.payloads. */
static void gather(uint32_t from, uint16_t total)
{
	struct aead_key k = puppet_key();
	uint8_t first = 0;
	size_t n = 0;

	for (uint32_t i = 0; i < total; i++) {
		const struct puppet_datagram *d = &p.sent[from + i];

		assert_int_equal(ike_header_read(&p.header, d->bytes, d->n, NULL), RC_OK);
		assert_int_equal(p.header.next_payload, PL_SKF);
		assert_int_equal(load_be16(d->bytes + 30), d->n - 28);
		assert_int_equal(load_be16(d->bytes + 32), i + 1);
		assert_int_equal(load_be16(d->bytes + 34), total);
		if (i == 0)
			first = d->bytes[28];
		else
			assert_int_equal(d->bytes[28], 0);
		if (i > 0)
			assert_true(load_be64(d->bytes + 36) > load_be64(d[-1].bytes + 36)); /* no IV twice */
		size_t sealed = d->n - 36 - AEAD_IV_SIZE;
		assert_int_equal(aead_open(&k, d->bytes + 36, d->bytes, 36, d->bytes + 36 + AEAD_IV_SIZE,
					 sealed, whole + n),
			RC_OK);
		n += sealed - AEAD_ICV_SIZE - 1;
		assert_int_equal(whole[n], 0); /* no padding */
	}
	assert_int_equal(ike_payloads_read(&p.payloads, first, whole, n, true, NULL), RC_OK);
}

static void begin(uint32_t size)
{
	puppet_init(&p);
	p.fragments = true;
	p.config.peers[0].fragment_size = size;
	puppet_start(&p);
}

/* An IKE SA with a child. */
static void up(uint32_t size)
{
	begin(size);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
}

static void write_auth(void)
{
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_forget(&p);
}

/* ---- the tests ---- */

static void offered_and_agreed(void **state)
{
	(void)state;
	for (int ours = 0; ours < 2; ours++)
		for (int theirs = 0; theirs < 2; theirs++)
			for (int role = 0; role < 2; role++) {
				puppet_init(&p);
				p.fragments = theirs;
				p.config.peers[0].fragment_size = ours ? SMALL : 0;
				puppet_start(&p);
				if (role == 0) {
					assert_true(puppet_init_as_initiator(&p, false));
					assert_int_equal(puppet_says(&p, NTF_IKEV2_FRAGMENTATION_SUPPORTED),
						ours && theirs);
				} else {
					assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE,
								 "t0", NULL),
						RC_OK);
					puppet_settle(&p);
					assert_true(puppet_read_last(&p));
					assert_int_equal(
						puppet_says(&p, NTF_IKEV2_FRAGMENTATION_SUPPORTED), ours);
					/* what follows is the core's IKE_AUTH, longer than SMALL: cut or not */
					puppet_init_as_responder(&p);
					assert_int_equal(p.sent[0].bytes[18], EX_IKE_AUTH);
					assert_int_equal(
						p.sent[0].bytes[16], ours && theirs ? PL_SKF : PL_SK);
				}
				puppet_done(&p);
			}
}

static void a_request_in_parts_in_every_order(void **state)
{
	static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 },
		{ 2, 1, 0 } };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(orders); k++) {
		begin(1280);
		assert_true(puppet_init_as_initiator(&p, false));
		write_auth();
		cut(3);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(puppet_children(&p), 0);
			send_part(orders[k][i]);
			send_part(
				orders[k][i]); /* again: no other effect, but for the last one's first part */
		}
		assert_int_equal(puppet_children(&p), 1);
		assert_true(puppet_read(&p, 0));
		assert_true(p.header.flags & IKE_FLAG_RESPONSE);
		/* 2.6.1: the response comes again for the first part, for no other */
		assert_int_equal(p.sent_n, orders[k][2] == 0 ? 2 : 1);
		puppet_done(&p);
	}
}

static void a_response_in_parts(void **state)
{
	(void)state;
	begin(1280);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x2000);
	cut(4);
	for (int i = 3; i >= 0; i--) {
		assert_int_equal(puppet_children(&p), 0);
		send_part((uint32_t)i);
	}
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* What the core sends: parts that fit, all but the last of one size, repeated as they were. */
static void the_core_cuts(void **state)
{
	static uint8_t first[IKE_MESSAGE_MAX];
	uint32_t total;
	size_t n;

	(void)state;
	up(SMALL);
	total = p.sent_n;
	assert_true(total > 1);
	for (uint32_t i = 0; i < total; i++)
		assert_true(p.sent[i].n + 20 + 8 + 4 <= SMALL);
	for (uint32_t i = 0; i + 1 < total; i++)
		assert_int_equal(p.sent[i].n + 20 + 8 + 4, SMALL);
	gather(0, (uint16_t)total);
	assert_true(p.payloads.present & IKE_HAS(AUTH) && p.payloads.present & IKE_HAS(TSI));
	n = p.sent[0].n;
	memcpy(first, p.sent[0].bytes, n);
	/* the request again */
	puppet_forget(&p);
	p.own_id--;
	puppet_send_bytes(&p, p.buffer, load_be32(p.buffer + 24));
	assert_int_equal(p.sent_n, total);
	assert_int_equal(p.sent[0].n, n);
	assert_memory_equal(p.sent[0].bytes, first, n);
	puppet_done(&p);

	/* as initiator: its IKE_AUTH request, and the same parts when it retransmits */
	begin(SMALL);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
	puppet_init_as_responder(&p);
	total = p.sent_n;
	assert_true(total > 1);
	gather(0, (uint16_t)total);
	assert_true(p.payloads.present & IKE_HAS(IDI));
	puppet_run(&p, 600);
	assert_int_equal(p.sent_n, 2 * total);
	for (uint32_t i = 0; i < total; i++) {
		assert_int_equal(p.sent[total + i].n, p.sent[i].n);
		assert_memory_equal(p.sent[total + i].bytes, p.sent[i].bytes, p.sent[i].n);
	}
	puppet_done(&p);
}

/* 2.5.2: the sender takes smaller parts, because the larger ones do not come through. */
static void cut_anew(void **state)
{
	(void)state;
	begin(1280);
	assert_true(puppet_init_as_initiator(&p, false));
	write_auth();
	cut(3);
	send_part(0);
	send_part(1);
	cut(4);
	for (uint32_t i = 0; i < 3; i++)
		send_part(i);
	cut(3); /* late ones of before are dropped */
	send_part(2);
	assert_int_equal(puppet_children(&p), 0);
	cut(4);
	send_part(3);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.sent_n, 1);
	/* the response was lost: the first part of yet another cut asks for it, once; a forged one does not */
	cut(5);
	send_part(1);
	send_part(4);
	assert_int_equal(p.sent_n, 1);
	send_part(0);
	assert_int_equal(p.sent_n, 2);
	parts[0].bytes[parts[0].n - 1] ^= 1;
	send_part(0);
	assert_int_equal(p.sent_n, 2);
	/* and the next request is taken as usual */
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 1);
	puppet_done(&p);
}

/* The first attempt was whole and too long for the path, or the parts are given up for the whole. */
static void whole_and_in_parts(void **state)
{
	(void)state;
	begin(1280);
	assert_true(puppet_init_as_initiator(&p, false));
	write_auth();
	cut(2);
	send_part(1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.sent_n, 1);
	send_part(0);
	assert_int_equal(p.sent_n, 2); /* it repeats that request */
	send_part(1);
	assert_int_equal(p.sent_n, 2);
	puppet_done(&p);
}

static void forged_parts(void **state)
{
	(void)state;
	begin(1280);
	assert_true(puppet_init_as_initiator(&p, false));
	write_auth();
	cut(3);
	for (uint32_t i = 0; i < 3; i++)
		for (size_t octet = 0; octet < parts[i].n; octet += 3) {
			parts[i].bytes[octet] ^= 0x11;
			send_part(i);
			parts[i].bytes[octet] ^= 0x11;
		}
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_children(&p), 0);
	for (uint32_t i = 0; i < 3; i++)
		send_part(i);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* Parts of the peer that break a rule: nothing is sent, the IKE SA stays, and the right message is taken afterwards. */
static void malformed_parts(void **state)
{
	static const struct {
		const char *says; /* in the refusal; NULL: none */
		uint16_t number, total;
		uint8_t first;
		size_t n;
	} cases[] = {
		{ "in 33 parts", 1, 33, PL_NOTIFY, 10 },
		{ "in 65535 parts", 65535, 65535, 0, 10 },
		{ NULL, 0, 2, PL_NOTIFY, 10 },
		{ NULL, 3, 2, 0, 10 },
		{ NULL, 0, 0, PL_NOTIFY, 10 },
		{ NULL, 2, 2, PL_NOTIFY, 10 },
		{ "empty", 1, 2, PL_NOTIFY, 0 },
	};
	static uint8_t content[8000];

	(void)state;
	for (size_t k = 0; k < COUNT_OF(cases); k++) {
		up(1280);
		puppet_forget(&p);
		puppet_begin(&p, EX_INFORMATIONAL, false, p.own_id);
		cut_part(0, cases[k].first, cases[k].number, cases[k].total, content, cases[k].n);
		send_part(0);
		assert_int_equal(p.sent_n, 0);
		assert_int_equal(p.refusals, cases[k].says ? 1 : 0);
		if (cases[k].says)
			assert_non_null(strstr(p.refusal.reason, cases[k].says));
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_send(&p);
		assert_int_equal(p.sent_n, 1);
		puppet_done(&p);
	}
	/* too much in all; the padding longer than the part; shorter than the header (CVE-2016-1287) */
	up(1280);
	puppet_forget(&p);
	puppet_begin(&p, EX_INFORMATIONAL, false, p.own_id);
	for (uint16_t i = 0; i < 2; i++) {
		cut_part(i, i == 0 ? PL_NOTIFY : 0, i + 1, 3, content, 5000);
		send_part(i);
	}
	assert_non_null(strstr(p.refusal.reason, "longer than is allowed"));
	for (size_t n = 28; n < parts[0].n; n += n < 40 ? 1 : 97) {
		store_be32(parts[0].bytes + 24, (uint32_t)n);
		puppet_send_bytes(&p, parts[0].bytes, n);
		if (n > 31)
			store_be16(parts[0].bytes + 30, (uint16_t)(n - 28));
		puppet_send_bytes(&p, parts[0].bytes, n);
	}
	assert_int_equal(p.sent_n, 0);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 1);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* A message in parts is a message: what is wrong inside is answered as it is for a whole one. */
static void malformed_inside(void **state)
{
	static const uint8_t nothing[60];

	(void)state;
	up(1280);
	puppet_forget(&p);
	puppet_begin(&p, EX_INFORMATIONAL, false, p.own_id++);
	cut_part(0, PL_NOTIFY, 1, 2, nothing, 30);
	cut_part(1, 0, 2, 2, nothing, 30);
	send_part(1);
	send_part(0);
	assert_true(puppet_read(&p, 0));
	assert_true(puppet_says(&p, NTF_INVALID_SYNTAX));
	puppet_done(&p);
}

/* Before IKE_AUTH anybody may have the keys: parts of other exchanges are not even opened, and one message is kept. */
static void before_authentication(void **state)
{
	static const uint8_t content[2000];

	(void)state;
	begin(1280);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_forget(&p);
	puppet_begin(&p, EX_INFORMATIONAL, false, 1);
	cut_part(0, PL_NOTIFY, 1, 1, content, 8);
	send_part(0);
	assert_int_equal(p.sent_n, 0);
	puppet_begin(&p, EX_IKE_AUTH, false, 1);
	for (uint16_t i = 0; i < 31; i++) {
		cut_part(0, i == 0 ? PL_IDI : 0, i + 1, 32, content, 300);
		send_part(0);
	}
	assert_int_equal(p.refusals, 1); /* at 8,192 octets; then it begins anew */
	p.own_id = 1;
	write_auth();
	cut(2);
	send_part(0);
	send_part(1);
	assert_int_equal(puppet_children(&p),
		0); /* fewer parts than those that are here: late, for all that is known */
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offered_and_agreed),
		cmocka_unit_test(a_request_in_parts_in_every_order),
		cmocka_unit_test(a_response_in_parts),
		cmocka_unit_test(the_core_cuts),
		cmocka_unit_test(cut_anew),
		cmocka_unit_test(whole_and_in_parts),
		cmocka_unit_test(forged_parts),
		cmocka_unit_test(malformed_parts),
		cmocka_unit_test(malformed_inside),
		cmocka_unit_test(before_authentication),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
