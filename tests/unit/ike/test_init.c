/*
 * IKE_SA_INIT with a peer that says what it likes: cookies (RFC 7296 2.6), INVALID_KE_PAYLOAD (1.2, 2.7), NAT
 * detection (2.23), repetition (2.1), what strangers try (2.4, 2.5, 2.21.1).
 */
#include "crypto/sha1.h"
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;

static int setup(void **state)
{
	puppet_init(&p);
	puppet_start(&p);
	return 0;
}

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

static void restart(void)
{
	puppet_done(&p);
	puppet_init(&p);
}

/* ---- cookies ---- */

static void send_init(const uint8_t *cookie, size_t cookie_n)
{
	p.initiator = true;
	store_be64(p.spi_i, 0x77);
	memset(p.spi_r, 0, 8);
	puppet_forget(&p);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	if (cookie_n > 0)
		ike_out_notify(&p.out, NTF_COOKIE, cookie, cookie_n);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	puppet_send(&p);
}

static bool take_cookie(uint8_t *cookie, size_t *n)
{
	const struct ike_notify *v;

	if (!puppet_read_last(&p) || !(v = ike_notify_find(&p.payloads, NTF_COOKIE)))
		return false;
	*n = v->data.n;
	memcpy(cookie, v->data.at, v->data.n);
	return true;
}

static bool answered_with_key(void)
{
	return puppet_read_last(&p) && (p.payloads.present & IKE_HAS(KE));
}

static void cookie_before_anything(void **state)
{
	static const uint8_t zero[8], fresh[32] = { 1 }, later[32] = { 2 };
	uint8_t cookie[IKE_COOKIE_MAX], wrong[IKE_COOKIE_MAX];
	struct endpoint was;
	size_t n = 0;

	restart();
	p.setup.cookie_above = 0;
	puppet_start(&p);
	send_init(NULL, 0);
	assert_true(take_cookie(cookie, &n));
	assert_in_range(n, 1, 64);
	assert_memory_equal(p.header.spi_r, zero, 8); /* 2.6: no state, so no SPI */
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
	/* Each octet counts, and its length. */
	for (size_t i = 0; i < n; i++) {
		memcpy(wrong, cookie, n);
		wrong[i] ^= 1;
		send_init(wrong, n);
		assert_false(answered_with_key());
	}
	send_init(cookie, n - 1);
	assert_false(answered_with_key());
	/* From another address or port it is worth nothing. */
	was = p.at;
	p.at.port = 501;
	send_init(cookie, n);
	assert_false(answered_with_key());
	p.at = was;
	p.at.addr.b[3] ^= 4;
	send_init(cookie, n);
	assert_false(answered_with_key());
	p.at = was;
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
	/* The secret is replaced once: still good; twice: no more. */
	ike_input_cookie_secret(p.core, fresh);
	send_init(cookie, n);
	assert_true(answered_with_key());
	puppet_run(&p, 40000);
	ike_input_cookie_secret(p.core, later);
	send_init(cookie, n);
	assert_false(answered_with_key());
}

static void cookie_as_initiator(void **state)
{
	uint8_t first[IKE_MESSAGE_MAX];
	static const uint8_t cookie[5] = "crumb";
	size_t first_n;

	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	first_n = p.sent[0].n;
	memcpy(first, p.sent[0].bytes, first_n);
	memcpy(p.spi_i, p.header.spi_i, 8);
	puppet_forget(&p);
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_COOKIE, cookie, sizeof cookie);
	puppet_send(&p);
	/* 2.6: the cookie is first, "all other payloads unchanged". */
	assert_int_equal(p.sent_n, 1);
	assert_int_equal(p.sent[0].n, first_n + 8 + sizeof cookie);
	assert_memory_equal(p.sent[0].bytes + 28 + 8 + sizeof cookie, first + 28, first_n - 28);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.payloads.notifies[0].type, NTF_COOKIE);
	assert_memory_equal(p.payloads.notifies[0].data.at, cookie, sizeof cookie);
	/* A responder that asks again and again gets tired answers. */
	for (int i = 0; i < 20; i++) {
		puppet_response(&p);
		ike_out_notify(&p.out, NTF_COOKIE, cookie, sizeof cookie);
		puppet_send(&p);
	}
	assert_in_range(p.sent_n, 1, 6);
	/* And the handshake continues. */
	assert_true(puppet_read_last(&p));
	assert_true(puppet_init_as_responder(&p));
}

/* ---- another group ---- */

static void other_group_as_responder(void **state)
{
	puppet_forget(&p);
	p.initiator = true;
	store_be64(p.spi_i, 1);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_ECP_384);
	puppet_nonce(&p, 0x50);
	puppet_send(&p);
	assert_true(puppet_read_last(&p));
	assert_true(puppet_says(&p, NTF_INVALID_KE_PAYLOAD));
	assert_int_equal(p.payloads.notifies[0].data.n, 2);
	assert_int_equal(load_be16(p.payloads.notifies[0].data.at), DH_CURVE25519);
	assert_int_equal(puppet_ike_sas(&p), 0);
}

/* A value that is not as long as the group's (CVE-2023-41913). */
static void wrong_size_of_value(void **state)
{
	static const size_t sizes[] = { 1, 31, 33, 64, 1600 };
	static const uint8_t value[1600] = { 2 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		puppet_forget(&p);
		p.initiator = true;
		store_be64(p.spi_i, 1 + i);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		puppet_offer_ike(&p, NULL);
		ike_out_ke(&p.out, DH_CURVE25519, value, sizes[i]);
		puppet_nonce(&p, 0x50);
		puppet_send(&p);
		assert_true(puppet_read_last(&p) && puppet_says(&p, NTF_INVALID_SYNTAX));
		assert_int_equal(puppet_ike_sas(&p), 0);
	}
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
}

static void send_invalid_ke(uint16_t group, size_t n)
{
	uint8_t data[4] = { 0 };

	store_be16(data, group);
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_INVALID_KE_PAYLOAD, data, n);
	puppet_send(&p);
}

static void other_group_as_initiator(void **state)
{
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.payloads.ke_group, DH_CURVE25519);
	memcpy(p.spi_i, p.header.spi_i, 8);
	/* Only a group that is configured, and in two octets (CVE-2014-9221). */
	send_invalid_ke(DH_ECP_384, 2);
	send_invalid_ke(1, 2);
	send_invalid_ke(0xffff, 2);
	send_invalid_ke(DH_ECP_256, 3);
	send_invalid_ke(DH_ECP_256, 0);
	send_invalid_ke(DH_CURVE25519, 2);
	assert_int_equal(p.sent_n, 1);
	send_invalid_ke(DH_ECP_256, 2);
	assert_int_equal(p.sent_n, 2);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.payloads.ke_group, DH_ECP_256);
	assert_int_equal(p.payloads.ke.n, 64);
	assert_int_equal(p.payloads.sa.proposals_n, 2); /* 2.7: all proposals again, against a downgrade */
	assert_int_equal(p.count[KEEPER_DROP], 1);	/* the first secret is forgotten */
}

/* ---- NAT detection ---- */

static void hash_of(uint8_t ret[20], const uint8_t spi_i[8], const uint8_t spi_r[8], const struct endpoint *e)
{
	uint8_t port[2];
	struct prf_part parts[] = { { spi_i, 8 }, { spi_r, 8 }, { e->addr.b, addr_size(&e->addr) },
		{ port, 2 } };

	store_be16(port, e->port);
	sha1_run(parts, COUNT_OF(parts), ret);
}

struct nat_case {
	const char *name;
	bool source, destination; /* notifies are there */
	int source_fits, destination_fits;
	size_t n;	   /* octets of each */
	bool extra_source; /* and another source that fits nothing, before it */
	bool encap;
};

static const struct nat_case nat_cases[] = {
	{ "no NAT", true, true, 1, 1, 20, false, false },
	{ "we sit behind a NAT", true, true, 1, 0, 20, false, true },
	{ "the peer sits behind a NAT", true, true, 0, 1, 20, false, true },
	{ "both do", true, true, 0, 0, 20, false, true },
	{ "the peer does not know of NAT", false, false, 0, 0, 20, false, false },
	{ "several sources, one fits", true, true, 1, 1, 20, true, false },
	{ "hash of 19 octets proves nothing", true, true, 1, 0, 19, false, false },
	{ "hash of no octets proves nothing", true, true, 0, 0, 0, false, false },
	{ "source only", true, false, 0, 0, 20, false, false },
};

static void write_nat(const struct nat_case *k)
{
	uint8_t hash[20], other[20] = { 9 };
	static const uint8_t zero[8];
	const uint8_t *spi_r = p.initiator ? zero : p.spi_r;

	hash_of(hash, p.spi_i, spi_r, &p.at);
	hash[0] ^= (uint8_t)!k->source_fits;
	if (k->extra_source)
		ike_out_notify(&p.out, NTF_NAT_DETECTION_SOURCE_IP, other, 20);
	if (k->source)
		ike_out_notify(&p.out, NTF_NAT_DETECTION_SOURCE_IP, hash, k->n);
	hash_of(hash, p.spi_i, spi_r, &p.core_at);
	hash[0] ^= (uint8_t)!k->destination_fits;
	if (k->destination)
		ike_out_notify(&p.out, NTF_NAT_DETECTION_DESTINATION_IP, hash, k->n);
}

static void expect_our_nat(const struct nat_case *k)
{
	const struct ike_notify *source = ike_notify_find(&p.payloads, NTF_NAT_DETECTION_SOURCE_IP),
				*destination = ike_notify_find(&p.payloads, NTF_NAT_DETECTION_DESTINATION_IP);
	uint8_t hash[20];

	if (!source && !destination && p.initiator && !(k->source && k->destination && k->n == 20))
		return; /* not asked */
	assert_non_null(source);
	assert_non_null(destination);
	hash_of(hash, p.header.spi_i, p.header.spi_r, &p.core_at);
	assert_memory_equal(source->data.at, hash, 20);
	hash_of(hash, p.header.spi_i, p.header.spi_r, &p.at);
	assert_memory_equal(destination->data.at, hash, 20);
}

static void nat_as_responder(void **state)
{
	for (size_t i = 0; i < COUNT_OF(nat_cases); i++) {
		const struct nat_case *k = &nat_cases[i];

		restart();
		puppet_start(&p);
		p.initiator = true;
		store_be64(p.spi_i, 1);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		puppet_offer_ike(&p, NULL);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 0x50);
		write_nat(k);
		puppet_send(&p);
		assert_true(answered_with_key());
		expect_our_nat(k);
		memcpy(p.spi_r, p.header.spi_r, 8);
		p.own_id = 1;
		if (k->encap)
			p.at.port = p.core_at.port = 4500;
		puppet_request(&p, EX_IKE_AUTH);
		puppet_auth_payloads(&p, 0x2000);
		puppet_send(&p);
		assert_int_equal(puppet_children(&p), 1);
		if (!(p.last_install.flags & CHILD_ENCAP) != !k->encap)
			fail_msg("%s: encapsulated or not", k->name);
		assert_int_equal(p.last_install.remote.port, p.at.port);
	}
}

static void nat_as_initiator(void **state)
{
	for (size_t i = 0; i < COUNT_OF(nat_cases); i++) {
		const struct nat_case *k = &nat_cases[i];

		restart();
		puppet_start(&p);
		ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(&p);
		assert_true(puppet_read_last(&p));
		expect_our_nat(k);
		memcpy(p.spi_i, p.header.spi_i, 8);
		store_be64(p.spi_r, 99);
		puppet_forget(&p);
		puppet_response(&p);
		puppet_offer_ike(&p, NULL);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 0x50);
		write_nat(k);
		puppet_send(&p);
		/* 2.23: with a NAT on the path all continues on port 4500, both ports. */
		assert_int_equal(p.sent_n, 1);
		assert_int_equal(p.sent[0].local.port, k->encap ? 4500 : 500);
		assert_int_equal(p.sent[0].remote.port, k->encap ? 4500 : 500);
	}
}

/*
 * Behind a NAT the core keeps the mapping alive. One that is behind a NAT itself does not follow a peer
 * because of a message from elsewhere ("SHOULD NOT", 2.23), but answers it there (2.11) and asks there;
 * test_follow.c has the rest.
 */
static void nat_keepalive_and_move(void **state)
{
	struct endpoint was;

	p.initiator = true;
	store_be64(p.spi_i, 1);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	write_nat(&nat_cases[3]);
	puppet_send(&p);
	assert_true(answered_with_key());
	memcpy(p.spi_r, p.header.spi_r, 8);
	p.own_id = 1;
	p.at.port = p.core_at.port = 4500;
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_run(&p, 21000);
	assert_int_equal(p.keepalives, 1);
	was = p.at;
	p.at.port = 31000;
	/* Not authentic: nothing moves. */
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_end(&p);
	p.buffer[50] ^= 1;
	puppet_send_bytes(&p, p.buffer, IKE_HEADER_SIZE + 4 + 8 + 1 + 16);
	assert_int_equal(p.moved, 0);
	p.own_id--;
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_equal(p.moved, 0);
	assert_int_equal(p.sent_n, 3);
	assert_int_equal(p.sent[0].remote.port, 31000);
	assert_true(endpoint_same(&p.sent[1].remote, &was));
	assert_true(endpoint_same(&p.sent[2].remote, &p.at));
	assert_true(puppet_read_last(&p));
	puppet_response(&p);
	puppet_send(&p);
	assert_int_equal(p.moved, 1);
	assert_int_equal(p.last_moved.remote.port, 31000);
	/* An old message from the old place moves nothing back. */
	p.at = was;
	p.own_id--;
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_equal(p.moved, 1);
}

/* ---- repetition ---- */

static void request_repeated(void **state)
{
	uint8_t bytes[IKE_MESSAGE_MAX], answer[IKE_MESSAGE_MAX];
	size_t n, answer_n;

	assert_true(puppet_init_as_initiator(&p, false));
	n = load_be32(p.buffer + 24);
	memcpy(bytes, p.buffer, n);
	answer_n = p.sent[0].n;
	memcpy(answer, p.sent[0].bytes, answer_n);
	for (int i = 0; i < 3; i++) { /* 2.1: the same answer, bit for bit, and no second IKE SA */
		puppet_forget(&p);
		puppet_send_bytes(&p, bytes, n);
		assert_int_equal(p.sent_n, 1);
		assert_int_equal(p.sent[0].n, answer_n);
		assert_memory_equal(p.sent[0].bytes, answer, answer_n);
	}
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 1);
	/* The same SPI with other content is another peer's try. */
	bytes[n - 1] ^= 1;
	puppet_send_bytes(&p, bytes, n);
	assert_int_equal(puppet_ike_sas(&p), 2);
}

/* Our request: 0.5 s, doubled up to 8 s, seven repetitions, all the same octets; then the reason is shown. */
static void retransmission(void **state)
{
	static const unsigned at_ms[] = { 0, 500, 1500, 3500, 7500, 15500, 23500, 31500 };
	unsigned seen = 0, ms = 0;
	char row[2048], waits[100];
	uint32_t cursor = 0;

	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	for (; ms < 60000 && puppet_ike_sas(&p) > 0; ms += 10) {
		if (p.sent_n > seen) {
			assert_in_range(ms, at_ms[seen] * 9 / 10, at_ms[seen] * 11 / 10 + 20);
			assert_int_equal(p.sent[seen].n, p.sent[0].n);
			assert_memory_equal(p.sent[seen].bytes, p.sent[0].bytes, p.sent[0].n);
			seen++;
			/* Whoever waits is told for what; the peer, which never spoke, was not heard. */
			cursor = 0;
			assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row) > 0);
			snprintf(waits, sizeof waits,
				"\"reason\":\"no answer yet from 192.0.2.2:500 to IKE_SA_INIT, sent %u "
				"times\"",
				seen);
			assert_non_null(strstr(row, seen == 1 ? "\"reason\":\"\"" : waits));
			assert_null(strstr(row, "\"last_received_s\""));
			assert_null(strstr(row, "\"rekey_in_s\""));
		}
		puppet_run(&p, 10);
	}
	cursor = 0;
	assert_int_equal(seen, COUNT_OF(at_ms));
	assert_in_range(ms, 35000, 45000);
	assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row) > 0);
	assert_non_null(strstr(row, "no answer from 192.0.2.2:500 to IKE_SA_INIT"));
	/* Started by order, not by configuration: it is not retried without end. */
	puppet_forget(&p);
	puppet_run(&p, 120000);
	assert_int_equal(p.sent_n, 0);
}

/* Each message is sent after time ran out again when the configuration wants the peer always. */
static void tried_for_ever(void **state)
{
	uint32_t tries = 0;

	restart();
	p.config.peers[0].start = PEER_START_ALWAYS;
	puppet_start(&p);
	for (int i = 0; i < 10; i++) {
		puppet_run(&p, 60000);
		tries += p.count[KEEPER_EXCHANGE_BEGIN] > tries;
	}
	assert_true(p.count[KEEPER_EXCHANGE_BEGIN] >= 5);
	assert_true(p.count[KEEPER_DROP] >= 4);
	assert_true(puppet_ike_sas(&p) <= 1);
}

/* ---- strangers ---- */

/* An unprotected refusal may be anybody's: the true answer is waited for, and taken if it comes. */
static void forged_refusal(void **state)
{
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	memcpy(p.spi_i, p.header.spi_i, 8);
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
	puppet_send(&p);
	puppet_run(&p, 300);
	assert_true(puppet_read(&p, 0));
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
}

static void refusal_that_stands(void **state)
{
	char row[2048];
	uint32_t cursor = 0;

	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	memcpy(p.spi_i, p.header.spi_i, 8);
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
	puppet_send(&p);
	puppet_run(&p, 3000);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row) > 0);
	assert_non_null(strstr(row, "NO_PROPOSAL_CHOSEN"));
	assert_non_null(strstr(row, "we offered AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE25519, "
				    "AES_GCM_16-256/PRF_HMAC_SHA2_256/ECP_256"));
}

/* What does not belong to an exchange of ours: silence, and nothing changes. */
static void nothing_for_strangers(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
	} changes[] = {
		{ "exchange IKE_AUTH without an IKE SA", 18, EX_IKE_AUTH },
		{ "exchange INFORMATIONAL without an IKE SA", 18, EX_INFORMATIONAL },
		{ "exchange 0", 18, 0 },
		{ "exchange 255", 18, 255 },
		{ "an answer to nothing", 19, IKE_FLAG_RESPONSE },
		{ "an answer by an initiator", 19, IKE_FLAG_RESPONSE | IKE_FLAG_INITIATOR },
		{ "a request without the initiator flag", 19, 0 },
		{ "message id 1", 23, 1 },
		{ "responder's SPI set", 15, 1 },
		{ "length", 27, 1 },
	};

	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		size_t n;

		p.initiator = true;
		store_be64(p.spi_i, 5);
		memset(p.spi_r, 0, 8);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		puppet_offer_ike(&p, NULL);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 0x50);
		n = puppet_end(&p);
		p.buffer[changes[i].at] = changes[i].value;
		puppet_send_bytes(&p, p.buffer, n);
		if (p.sent_n > 0 || puppet_ike_sas(&p) > 0)
			fail_msg("%s was answered", changes[i].name);
	}
	/* Reflected: our own request comes back (2.1: it has the wrong flags for an answer, and no half-open
	 * SA). */
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_int_equal(p.sent_n, 1);
	puppet_send_bytes(&p, p.sent[0].bytes, p.sent[0].n);
	assert_true(puppet_read(&p, 0));
}

static void versions(void **state)
{
	size_t n;

	for (unsigned version = 0; version < 256; version++) {
		puppet_forget(&p);
		p.initiator = true;
		store_be64(p.spi_i, 0x100 + version);
		memset(p.spi_r, 0, 8);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		puppet_offer_ike(&p, NULL);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 0x50);
		n = puppet_end(&p);
		p.buffer[17] = (uint8_t)version;
		puppet_send_bytes(&p, p.buffer, n);
		/* 2.5: minor versions are ignored, higher major ones are answered with 2.0, IKEv1 is not
		 * answered. */
		assert_int_equal(p.sent_n, version >> 4 >= 2);
		if (version >> 4 < 2)
			continue;
		assert_true(puppet_read_last(&p));
		assert_int_equal(p.header.version, 0x20);
		assert_int_equal(puppet_says(&p, NTF_INVALID_MAJOR_VERSION), version >> 4 > 2);
	}
}

/* 2.5: a critical payload that is not understood; then syntax. One line in the ledger says it. */
static void malformed_init(void **state)
{
	size_t n;

	p.initiator = true;
	store_be64(p.spi_i, 5);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	ike_out_payload(&p.out, 200, "?", 1);
	n = puppet_end(&p);
	p.buffer[n - 5 + 1] = 0x80; /* critical */
	puppet_send_bytes(&p, p.buffer, n);
	assert_true(puppet_read_last(&p));
	assert_true(puppet_says(&p, NTF_UNSUPPORTED_CRITICAL_PAYLOAD));
	assert_int_equal(p.payloads.notifies[0].data.n, 1);
	assert_int_equal(p.payloads.notifies[0].data.at[0], 200);
	assert_non_null(strstr(p.refusal.reason, "unsupported critical payload of type 200"));
	assert_int_equal(puppet_ike_sas(&p), 0);
	/* Every shorter message with a length that fits: refused, nothing kept, nothing read outside. */
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	n = puppet_end(&p);
	for (size_t k = 0; k < n; k++) {
		puppet_forget(&p);
		store_be32(p.buffer + 24, (uint32_t)k);
		puppet_send_bytes(&p, p.buffer, k);
		assert_int_equal(puppet_ike_sas(&p), 0);
		assert_int_equal(p.sent_n, k >= IKE_HEADER_SIZE);
		if (p.sent_n > 0)
			assert_true(puppet_read_last(&p) && puppet_says(&p, NTF_INVALID_SYNTAX));
	}
}

/* What `show ike` has under a name, of the first row that has it. */
static bool shows(const char *what)
{
	static char row[4096];
	uint32_t cursor = 0;

	while (ike_show(p.core, p.now, &cursor, row, sizeof row) > 0)
		if (strstr(row, what))
			return true;
	return false;
}

/* Said in either role, whatever the peer says; both messages are authenticated where the peer says it as well. */
static void both_messages_are_authenticated(void **state)
{
	for (int k = 0; k < 4; k++) {
		bool we_begin = k & 1;

		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.transcript = k & 2;
		if (we_begin) {
			ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
			puppet_settle(&p);
			assert_true(puppet_read_last(&p));
			assert_true(puppet_says(&p, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH));
			assert_true(puppet_init_as_responder(&p));
			puppet_response(&p);
			puppet_auth_payloads(&p, 0x2000);
			puppet_send(&p);
		} else {
			assert_true(puppet_init_as_initiator(&p, false));
			assert_true(puppet_says(&p, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH));
			puppet_request(&p, EX_IKE_AUTH);
			puppet_auth_payloads(&p, 0x2000);
			puppet_send(&p);
		}
		assert_int_equal(puppet_children(&p), 1);
		assert_int_equal(p.both_n[0], p.both_n[1]);
		assert_int_equal(p.both_n[0] > 0, p.transcript);
		assert_int_equal(shows("\"full_transcript\":true"), p.transcript);
	}
}

/* Messages that together are too long for that are refused, and not authenticated otherwise. */
static void too_long_to_be_authenticated(void **state)
{
	for (int k = 0; k < 8; k++) {
		bool we_begin = k & 1, fits = !(k & 2 && k & 4);

		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.transcript = k & 2;
		p.padding = k & 4 ? KEEPER_MESSAGE_MAX - 300 : 1000;
		if (we_begin) {
			ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
			puppet_settle(&p);
			puppet_init_as_responder(&p);
		} else {
			puppet_init_as_initiator(&p, false);
		}
		assert_int_equal(shows("too long to be authenticated together"), !fits);
		/* As responder before a key exchange is made: anybody can send such a request. */
		if (!we_begin)
			assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], fits);
		if (!we_begin)
			puppet_request(&p, EX_IKE_AUTH);
		else if (fits)
			puppet_response(&p);
		if (fits || !we_begin) {
			puppet_auth_payloads(&p, 0x2000);
			puppet_send(&p);
		}
		assert_int_equal(puppet_children(&p), fits);
		assert_int_equal(p.count[KEEPER_AUTH_VERIFY] > 0, fits);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cookie_before_anything),
		T(cookie_as_initiator),
		T(other_group_as_responder),
		T(wrong_size_of_value),
		T(other_group_as_initiator),
		T(nat_as_responder),
		T(nat_as_initiator),
		T(nat_keepalive_and_move),
		T(request_repeated),
		T(retransmission),
		T(tried_for_ever),
		T(forged_refusal),
		T(refusal_that_stands),
		T(nothing_for_strangers),
		T(versions),
		T(malformed_init),
		T(both_messages_are_authenticated),
		T(too_long_to_be_authenticated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
