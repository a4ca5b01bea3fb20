/*
 * Captures: handshakes are found behind each kind of link, in either byte order, and nothing else is; every
 * truncation and every altered octet is survived. What was found is compared with the derived values.
 */
#include "base/bytes.h"
#include "crypto/vrf.h"
#include "verify/randomness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t zeros[32], own[8] = "ourspi!", other[8] = "theirs!";
static uint8_t nonce_1[32] = { 1 }, nonce_2[32] = { 2 };

/* IKE_SA_INIT as it is sent: SA, KE, Nonce. */
static size_t init_message(
	uint8_t *ret, size_t max, bool response, const uint8_t spi[8], const uint8_t nonce[32])
{
	struct ike_header h = { .version = 0x20, .exchange = EX_IKE_SA_INIT };
	static struct ike_offer offer;
	uint8_t ke[32] = { 9 };
	struct ike_out o;

	memcpy(h.spi_i, response ? other : spi, 8);
	memcpy(h.spi_r, response ? spi : zeros, 8);
	h.flags = response ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR;
	memset(&offer, 0, sizeof offer);
	assert_int_equal(ike_offer_add(&offer, IKE_PROTO_IKE, NULL, 0), RC_OK);
	assert_int_equal(ike_offer_add_transform(&offer, TT_ENCR, 20, 256), RC_OK);
	assert_int_equal(ike_offer_add_transform(&offer, TT_PRF, 6, 0), RC_OK);
	assert_int_equal(ike_offer_add_transform(&offer, TT_DH, 31, 0), RC_OK);
	o = ike_out_begin(ret, max, &h);
	ike_out_offer(&o, &offer);
	ike_out_ke(&o, 31, ke, sizeof ke);
	ike_out_payload(&o, PL_NONCE, nonce, 32);
	size_t n = ike_out_end(&o);
	assert_true(n > 0);
	return n;
}

/* A capture that is being written. */
struct pcap {
	uint8_t bytes[8192];
	struct wr w;
	bool little;
	uint32_t link;
};

static void put32(struct pcap *p, uint32_t v)
{
	wr_u32(&p->w, p->little ? __builtin_bswap32(v) : v);
}

static void pcap_begin(struct pcap *p, bool little, bool nanoseconds, uint32_t link)
{
	p->w = wr_over(p->bytes, sizeof p->bytes);
	p->little = little;
	p->link = link;
	put32(p, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
	put32(p, little ? 2 << 16 | 4 : 4 << 16 | 2); /* the version, which nobody reads */
	put32(p, 0);
	put32(p, 0);
	put32(p, 65535);
	put32(p, link);
}

/* A datagram behind this link's header; version 4 or 6; vlan: Ethernet with two tags. */
static uint8_t sender = 7; /* the last octet of the sender's address */

static void pcap_udp(struct pcap *p, int version, bool vlan, uint16_t port, const uint8_t *body, size_t n)
{
	uint8_t frame[2048];
	struct wr f = wr_over(frame, sizeof frame);
	uint16_t type = version == 4 ? 0x0800 : 0x86dd;
	size_t marker = port == 4500 ? 4 : 0, udp_n = 8 + marker + n;

	if (p->link == 1) {
		wr_bytes(&f, zeros, 12);
		if (vlan) {
			wr_u32(&f, 0x88a80007);
			wr_u32(&f, 0x81000008);
		}
		wr_u16(&f, type);
	} else if (p->link == 113) {
		wr_bytes(&f, zeros, 14);
		wr_u16(&f, type);
	} else if (p->link == 0) { /* in the order of who captured, as another system has it */
		uint32_t family = version == 4 ? 2 : 30;
		wr_u32(&f, p->little ? __builtin_bswap32(family) : family);
	} else if (p->link == 108) {
		wr_u32(&f, version == 4 ? 2 : 24);
	} else if (p->link == 276) {
		wr_u16(&f, type);
		wr_bytes(&f, zeros, 18);
	}
	if (version == 4) { /* with one option of four octets, not to be fragmented */
		uint8_t h[24] = { [0] = 0x46, [6] = 0x40, [9] = 17, [12] = 192, [15] = sender };
		store_be16(h + 2, (uint16_t)(sizeof h + udp_n));
		wr_bytes(&f, h, sizeof h);
	} else {
		uint8_t h[40] = { [0] = 0x60, [6] = 17, [8] = 0xfd, [23] = sender };
		store_be16(h + 4, (uint16_t)udp_n);
		wr_bytes(&f, h, sizeof h);
	}
	wr_u16(&f, port);
	wr_u16(&f, port);
	wr_u16(&f, (uint16_t)udp_n);
	wr_u16(&f, 0);
	if (marker)
		wr_u32(&f, 0);
	wr_bytes(&f, body, n);
	assert_false(f.bad);
	put32(p, 1450375200);
	put32(p, 0);
	put32(p, (uint32_t)wr_len(&f));
	put32(p, (uint32_t)wr_len(&f));
	wr_bytes(&p->w, frame, wr_len(&f));
	assert_false(p->w.bad);
}

static void read_whole(struct pcap *p, struct capture *ret)
{
	struct err e = { 0 };

	if (capture_read(ret, p->bytes, wr_len(&p->w), &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void behind_every_link(void **state)
{
	static const uint32_t links[] = { 1, 101, 113, 276, 0, 12, 14, 108 };
	uint8_t request[512], response[512];
	size_t request_n = init_message(request, sizeof request, false, own, nonce_1);
	size_t response_n = init_message(response, sizeof response, true, own, nonce_2);

	for (unsigned i = 0; i < COUNT_OF(links) * 4; i++) {
		static struct pcap p;
		struct capture c;
		size_t from = 0;

		pcap_begin(&p, i & 1, i & 2, links[i / 4]);
		pcap_udp(&p, 4, true, 500, request, request_n);
		pcap_udp(&p, 4, false, 500, request, request_n); /* the same again */
		pcap_udp(&p, 6, false, 4500, response, response_n);
		pcap_udp(&p, 4, false, 53, request, request_n);	     /* another port */
		pcap_udp(&p, 4, false, 500, request, request_n - 1); /* cut */
		read_whole(&p, &c);
		assert_int_equal(c.frames, 5);
		assert_int_equal(c.other, 2);
		assert_int_equal(c.n, 2);
		struct capture_init *found = capture_find(&c, own, false, &from);
		assert_non_null(found);
		assert_int_equal(found->nonce_n, 32);
		assert_memory_equal(found->nonce, nonce_1, 32);
		assert_int_equal(found->frame, 1);
		assert_int_equal(found->from.family, ADDR_V4);
		assert_memory_equal(found->from.b, ((uint8_t[]){ 192, 0, 0, 7 }), 4);
		assert_null(capture_find(&c, own, false, &from));
		from = 0;
		found = capture_find(&c, own, true, &from);
		assert_non_null(found);
		assert_memory_equal(found->nonce, nonce_2, 32);
		assert_int_equal(found->from.family, ADDR_V6);
		assert_memory_equal(found->from.b, ((uint8_t[]){ 0xfd, [15] = 7 }), 16);
		from = 0;
		assert_null(capture_find(&c, other, true, &from));
		capture_done(&c);
	}
}

/* One version alone has its own type of link. */
static void links_of_one_version(void **state)
{
	uint8_t request[512];
	size_t n = init_message(request, sizeof request, false, own, nonce_1);

	for (int version = 4; version <= 6; version += 2) {
		static struct pcap p;
		struct capture c;
		pcap_begin(&p, true, false, version == 4 ? 228 : 229);
		pcap_udp(&p, version, false, 500, request, n);
		read_whole(&p, &c);
		assert_int_equal(c.n, 1);
		capture_done(&c);
	}
}

/* ---- pcapng ---- */

static void block(struct pcap *p, uint32_t type, const struct wr *body)
{
	size_t n = wr_len(body), padding = (4 - n % 4) % 4;

	put32(p, type);
	put32(p, (uint32_t)(n + padding + 12));
	wr_bytes(&p->w, body->base, n);
	wr_bytes(&p->w, zeros, padding);
	put32(p, (uint32_t)(n + padding + 12));
	assert_false(p->w.bad);
}

static void put16_in(struct wr *w, bool little, uint16_t v)
{
	wr_u16(w, little ? __builtin_bswap16(v) : v);
}

static void put32_in(struct wr *w, bool little, uint32_t v)
{
	wr_u32(w, little ? __builtin_bswap32(v) : v);
}

static void section(struct pcap *p, bool little, const uint32_t *links, size_t links_n, uint32_t snap)
{
	uint8_t bytes[64];
	struct wr b = wr_over(bytes, sizeof bytes);

	p->little = little;
	put32_in(&b, little, 0x1a2b3c4d);
	put16_in(&b, little, 1);
	put16_in(&b, little, 0);
	wr_u64(&b, UINT64_MAX);
	block(p, 0x0a0d0d0a, &b);
	for (size_t i = 0; i < links_n; i++) {
		b = wr_over(bytes, sizeof bytes);
		put16_in(&b, little, (uint16_t)links[i]);
		put16_in(&b, little, 0);
		put32_in(&b, little, snap);
		block(p, 1, &b);
	}
}

/* A datagram as the classic format has it, behind its 16 octets: in a block of this type. */
static void packet(
	struct pcap *p, uint32_t type, uint32_t interface, uint32_t link, const uint8_t *message, size_t n)
{
	static struct pcap one;
	uint8_t bytes[2048];
	struct wr b = wr_over(bytes, sizeof bytes);

	pcap_begin(&one, p->little, false, link);
	pcap_udp(&one, 4, false, 500, message, n);
	const uint8_t *frame = one.bytes + 24 + 16;
	uint32_t frame_n = (uint32_t)(wr_len(&one.w) - 24 - 16);
	if (type == 6)
		put32_in(&b, p->little, interface);
	if (type == 2) {
		put16_in(&b, p->little, (uint16_t)interface);
		put16_in(&b, p->little, 3);
	}
	if (type != 3) {
		wr_u64(&b, 0);
		put32_in(&b, p->little, frame_n);
	}
	put32_in(&b, p->little, frame_n);
	wr_bytes(&b, frame, frame_n);
	block(p, type, &b);
}

static void newer_captures(void **state)
{
	static const uint32_t links[] = { 1, 105, 0, 101 };
	static struct pcap p;
	uint8_t request[512], response[512], bytes[16] = { 0 };
	size_t request_n = init_message(request, sizeof request, false, own, nonce_1);
	size_t response_n = init_message(response, sizeof response, true, own, nonce_2);
	struct wr nothing = wr_over(bytes, sizeof bytes);
	struct capture c;

	p.w = wr_over(p.bytes, sizeof p.bytes);
	section(&p, true, links, COUNT_OF(links), 0);
	packet(&p, 6, 0, 1, request, request_n);
	packet(&p, 6, 1, 1, request, request_n); /* wireless */
	packet(&p, 2, 2, 0, response, response_n);
	block(&p, 0x0bad, &nothing); /* of somebody's own */
	section(&p, false, links + 3, 1, 65535);
	packet(&p, 3, 0, 101, request, request_n);
	packet(&p, 6, 0, 101, response, response_n);
	size_t n = wr_len(&p.w);
	assert_int_equal(capture_read(&c, p.bytes, n, NULL), RC_OK);
	assert_int_equal(c.frames, 5);
	assert_int_equal(c.other, 1);
	assert_int_equal(c.n, 2);
	capture_done(&c);
	for (size_t to = 1; to < n; to++) {
		enum rc rc = capture_read(&c, p.bytes, to, NULL);
		assert_true(rc == RC_MALFORMED || (rc == RC_OK && to % 4 == 0));
		capture_done(&c);
	}
	for (size_t at = 0; at < n; at++)
		for (int bit = 0; bit < 8; bit++) {
			p.bytes[at] ^= (uint8_t)(1 << bit);
			enum rc rc = capture_read(&c, p.bytes, n, NULL);
			assert_true(rc == RC_OK || rc == RC_MALFORMED);
			capture_done(&c);
			p.bytes[at] ^= (uint8_t)(1 << bit);
		}
	/* A packet of an interface that there is not; frames cut by the interface's own length. */
	p.w = wr_over(p.bytes, sizeof p.bytes);
	section(&p, true, links, 1, 60);
	packet(&p, 3, 0, 1, request, request_n);
	assert_int_equal(capture_read(&c, p.bytes, wr_len(&p.w), NULL), RC_OK);
	assert_int_equal(c.other, 1);
	capture_done(&c);
	packet(&p, 6, 1, 1, request, request_n);
	assert_int_equal(capture_read(&c, p.bytes, wr_len(&p.w), NULL), RC_MALFORMED);
	capture_done(&c);
}

static void what_is_no_capture(void **state)
{
	static struct pcap p;
	struct capture c;
	uint8_t request[512];
	size_t n = init_message(request, sizeof request, false, own, nonce_1);

	assert_int_equal(capture_read(&c, "", 0, NULL), RC_MALFORMED);
	assert_int_equal(capture_read(&c, "\n\r\r\n, and nothing of it", 25, NULL), RC_MALFORMED);
	pcap_begin(&p, true, false, 105); /* wireless */
	assert_int_equal(capture_read(&c, p.bytes, wr_len(&p.w), NULL), RC_UNSUPPORTED);
	pcap_begin(&p, true, false, 1);
	size_t head = wr_len(&p.w);
	pcap_udp(&p, 4, false, 500, request, n);
	size_t one = wr_len(&p.w);
	pcap_udp(&p, 4, false, 4500, request, n);
	for (size_t to = 0; to < wr_len(&p.w); to++) {
		bool whole = to == head || to == one;
		assert_int_equal(capture_read(&c, p.bytes, to, NULL), whole ? RC_OK : RC_MALFORMED);
		assert_int_equal(c.n, to >= one);
		capture_done(&c);
	}
	for (size_t at = 0; at < wr_len(&p.w); at++)
		for (int bit = 0; bit < 8; bit++) {
			p.bytes[at] ^= (uint8_t)(1 << bit);
			enum rc rc = capture_read(&c, p.bytes, wr_len(&p.w), NULL);
			assert_true(rc == RC_OK || rc == RC_MALFORMED || rc == RC_UNSUPPORTED);
			capture_done(&c);
			p.bytes[at] ^= (uint8_t)(1 << bit);
		}
}

/* ---- against the derived values ---- */

static struct vrf_key key;

static void enter(struct randomness *r, enum ledger_type type, const char *const (*fields)[2], uint64_t index)
{
	static struct ledger_body b;
	size_t n;
	const struct ledger_field *f = ledger_type_fields(type, &n);

	ledger_body_begin(&b, type);
	for (size_t i = 0; i < n; i++) {
		const char *text = "";
		for (size_t k = 0; fields[k][0]; k++)
			text = strcmp(fields[k][0], f[i].key) == 0 ? fields[k][1] : text;
		if (f[i].kind != LEDGER_NUMBER)
			ledger_body_str(&b, f[i].key, text);
		else
			ledger_body_u64(&b, f[i].key, strtoull(text, NULL, 10));
	}
	struct ledger_entry entry = { .type = type, .body = b.text, .body_n = ledger_body_done(&b) };
	assert_true(entry.body_n > 0);
	randomness_entry(r, &entry, index);
}

static void value(uint64_t count, uint8_t ret_octets[PUBLIC_SIZE], char *ret_proof_hex)
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];

	public_alpha(alpha, key.public_key, count);
	assert_int_equal(vrf_prove(&key, alpha, sizeof alpha, proof), RC_OK);
	assert_int_equal(vrf_proof_hash(proof, ret_octets), RC_OK);
	hex_from_bytes(ret_proof_hex, proof, sizeof proof);
}

/*
 * Value 1 is entered as a responder's, value 2 came to nothing, and one message is somebody else's, or ours
 * when `hidden`. wrong: whose nonce was another on the wire. swapped: value 2 was sent before value 1.
 */
static bool hidden, swapped;
static struct randomness_report compared(int wrong, bool lay_open)
{
	static const struct ip_addr ours = { .family = ADDR_V4, .b = { 192, 0, 0, 1 } };

	static const uint8_t seed[VRF_SEED_SIZE] = { 7 };
	uint8_t octets[2][PUBLIC_SIZE], nonce[32], message[512];
	char proof[2 * PUBLIC_PROOF_SIZE + 1], spi[17], public_hex[65], scalar_hex[65];
	struct randomness_report report;
	static struct pcap p;
	struct capture c;

	assert_int_equal(vrf_key_make(&key, seed), RC_OK);
	value(2, octets[1], proof);
	value(1, octets[0], proof);
	pcap_begin(&p, true, false, 1);
	sender = 1;
	for (int k = 0; k < 2; k++) {
		int i = swapped ? 1 - k : k;
		memcpy(nonce, octets[i] + PUBLIC_NONCE_AT, sizeof nonce);
		nonce[31] ^= wrong == i + 1;
		size_t n = init_message(message, sizeof message, i == 0, octets[i] + PUBLIC_SPI_AT, nonce);
		pcap_udp(&p, 4, false, 500, message, n);
	}
	sender = hidden ? 1 : 2;
	size_t n = init_message(message, sizeof message, false, other, nonce_1);
	pcap_udp(&p, 4, false, 500, message, n);
	read_whole(&p, &c);
	struct randomness *r = randomness_new(&report);
	assert_non_null(r);
	randomness_compare(r, &c, &ours, 1);
	hex_from_bytes(public_hex, key.public_key, 32);
	hex_from_bytes(scalar_hex, key.scalar, 32);
	hex_from_bytes(spi, octets[0] + PUBLIC_SPI_AT, 8);
	enter(r, LEDGER_VRF_EPOCH, (const char *const[][2]){ { "key", public_hex }, { NULL, NULL } }, 0);
	enter(r, LEDGER_IKE_SA_UP,
		(const char *const[][2]){ { "vrf_count", "1" }, { "vrf_proof", proof },
			{ "role", "responder" }, { "spi_r", spi }, { "spi_i", "7468656972732100" },
			{ NULL, NULL } },
		1);
	if (lay_open)
		enter(r, LEDGER_VRF_EPOCH_END,
			(const char *const[][2]){ { "key", public_hex }, { "scalar", scalar_hex },
				{ "count", "2" }, { NULL, NULL } },
			2);
	sender = 7;
	assert_int_equal(randomness_end(r) == RC_OK, !(lay_open && (wrong == 2 || hidden)));
	randomness_free(r);
	capture_done(&c);
	return report;
}

static void nonces_are_compared(void **state)
{
	struct randomness_report r = compared(0, false);

	assert_int_equal(r.failures, 0);
	assert_int_equal(r.messages_captured, 3);
	assert_int_equal(r.nonces_compared, 1);
	r = compared(0, true);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.nonces_compared, 2);
	/* That of the entry. */
	r = compared(1, false);
	assert_int_equal(r.failures, 1);
	assert_int_equal(r.first_failure, 1);
	assert_non_null(strstr(r.finding, "entry 1: the nonce in the capture"));
	assert_int_equal(compared(1, true).failures, 1);
	/* That of the exchange that came to nothing: known once the key is disclosed. */
	assert_int_equal(compared(2, false).failures, 0);
	r = compared(2, true);
	assert_int_equal(r.failures, 1);
	assert_non_null(strstr(r.finding, "value 2 of the key that is announced here"));
}

/* A handshake of ours that nobody entered fits a value, once all are known; else it was hidden. */
static void what_we_sent_is_known(void **state)
{
	struct randomness_report r = compared(0, true);

	assert_int_equal(r.ours_unknown, 0);
	assert_int_equal(r.wire_ordered, 2);
	assert_int_equal(r.wire_late, 0);
	hidden = true;
	r = compared(0, false); /* it may be a value of the key that is still in force */
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.ours_unknown, 2);
	r = compared(0, true);
	assert_int_equal(r.failures, 1);
	assert_int_equal(r.ours_unknown, 1);
	assert_non_null(
		strstr(r.finding, "frame 3 of the capture, with SPI 7468656972732100, was sent by this"));
	hidden = false;
	swapped = true;
	assert_int_equal(compared(0, true).wire_late, 1);
	swapped = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behind_every_link),
		cmocka_unit_test(links_of_one_version),
		cmocka_unit_test(newer_captures),
		cmocka_unit_test(what_is_no_capture),
		cmocka_unit_test(nonces_are_compared),
		cmocka_unit_test(what_we_sent_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
