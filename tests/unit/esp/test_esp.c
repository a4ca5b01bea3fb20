/*
 * ESP packets: known answers of another implementation, every truncation, every flipped octet, replays,
 * padding, selectors, ECN; SAs: which one sends, rekeying without loss, restarts without a repeated number.
 */
#include "esp_fixture.h"

#include "wire/csum.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOM 4096

static enum drop_reason open_one(
	struct esp *esp, const uint8_t *packet, uint32_t n, uint8_t class, uint8_t *dst, uint32_t *ret_n)
{
	struct esp_opened o;

	esp_open(esp, packet, n, class, dst, 5, &o);
	*ret_n = o.n;
	return o.drop;
}

/* --- known answers --- */

struct known {
	char name[64], keymat[2 * KEYMAT_MAX + 1], inner[512], sealed[1024];
	unsigned encr, bits, esn;
	uint32_t spi;
	uint64_t sequence;
};

/* Any addresses; both directions have the same key, so that one pair can open what it sealed. */
static struct sa_install known_sa(const struct known *k)
{
	struct sa_install sa = fixture_sa(k->spi, k->spi, k->esn ? CHILD_ESN : 0);

	sa.encr = (uint16_t)k->encr;
	sa.encr_bits = (uint16_t)k->bits;
	sa.key_n = (uint16_t)(strlen(k->keymat) / 2);
	assert_true(hex_to_bytes(sa.key_in, sa.key_n, k->keymat));
	assert_true(hex_to_bytes(sa.key_out, sa.key_n, k->keymat));
	sa.local_n = sa.remote_n = 2;
	for (int i = 0; i < 2; i++) {
		struct selector any = { .port_last = UINT16_MAX };
		any.addrs.first.family = any.addrs.last.family = i ? ADDR_V6 : ADDR_V4;
		memset(any.addrs.last.b, 0xff, addr_size(&any.addrs.last));
		sa.local_ts[i] = sa.remote_ts[i] = any;
	}
	return sa;
}

static void known_one(const struct known *k)
{
	struct fixture f;
	struct sa_install sa = known_sa(k);
	uint8_t sealed[512], inner[512 + TRAIN_TAIL_ROOM], out[ROOM];
	size_t sealed_n = strlen(k->sealed) / 2, inner_n = strlen(k->inner) / 2;
	struct err e = { 0 };
	enum drop_reason drop;
	uint32_t n;

	fixture_begin(&f);
	assert_true(hex_to_bytes(sealed, sealed_n, k->sealed) && hex_to_bytes(inner, inner_n, k->inner));
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, &e), RC_OK);
	uint32_t pair = esp_pair_find(f.esp, k->spi);

	/* Sealing: at this very sequence number, octet for octet. */
	f.esp->pair[pair].state->sequence_ceiling = k->sequence;
	f.esp->pair[pair].sequence_next = k->sequence;
	struct train t = { .ip = inner, .len = (uint32_t)inner_n, .csum = TRAIN_CSUM_VALID };
	assert_int_equal(train_parse(&t), DROP_NONE);
	n = fixture_seal(f.esp, pair, &t, out, &drop);
	assert_int_equal(drop, DROP_NONE);
	assert_int_equal(n, sealed_n);
	assert_memory_equal(out, sealed, n);

	/* Opening: every shorter prefix and every flipped bit is refused, then the packet itself is taken,
	 * once. */
	f.esp->pair[pair].state->replay.top = k->sequence - 1;
	for (uint32_t cut = 0; cut < sealed_n; cut++)
		assert_int_not_equal(open_one(f.esp, sealed, cut, 0, out, &n), DROP_NONE);
	for (uint32_t bit = 0; bit < 8 * sealed_n; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(open_one(f.esp, sealed, (uint32_t)sealed_n, 0, out, &n), DROP_NONE);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_one(f.esp, sealed, (uint32_t)sealed_n, 0, out, &n), DROP_NONE);
	assert_int_equal(n, inner_n);
	assert_memory_equal(out, inner, n);
	assert_int_equal(open_one(f.esp, sealed, (uint32_t)sealed_n, 0, out, &n), DROP_ESP_REPLAY);

	/* In its own place. */
	f.esp->pair[pair].state->replay = (struct replay){ .top = k->sequence - 1 };
	assert_int_equal(open_one(f.esp, sealed, (uint32_t)sealed_n, 0, sealed, &n), DROP_NONE);
	assert_memory_equal(sealed, inner, inner_n);
	fixture_end(&f);
}

static void known_answers(void **state)
{
	FILE *file = fopen("tests/vectors/esp/known.txt", "r");
	char line[4096];
	int n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		struct known k;
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s %u %u %192s %x %lx %u %511s %1023s", k.name, &k.encr,
					 &k.bits, k.keymat, &k.spi, &k.sequence, &k.esn, k.inner, k.sealed),
			9);
		known_one(&k);
		n++;
	}
	fclose(file);
	assert_int_equal(n, 90);
}

/* The packet that RFC 7634 appendix A prints, whole. */
static void rfc_7634_appendix_a(void **state)
{
	struct known k = { .encr = 28, .bits = 256, .spi = 0x01020304 };
	const char *sealed_text =
		"0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466"
		"ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac46"
		"9b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43";
	const char *inner_text =
		"45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f"
		"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
	uint8_t sealed[256], inner[256], out[ROOM];
	struct fixture f;
	uint32_t n;

	snprintf(k.keymat, sizeof k.keymat, "%s",
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3");
	struct sa_install sa = known_sa(&k);
	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	assert_true(hex_to_bytes(sealed, strlen(sealed_text) / 2, sealed_text));
	assert_true(hex_to_bytes(inner, strlen(inner_text) / 2, inner_text));
	assert_int_equal(open_one(f.esp, sealed, (uint32_t)strlen(sealed_text) / 2, 0, out, &n), DROP_NONE);
	assert_int_equal(n, strlen(inner_text) / 2);
	assert_memory_equal(out, inner, n);
	fixture_end(&f);
}

/* --- what may be inside --- */

/* Seals arbitrary octets as the far end of pair 0 would. */
static uint32_t seal_raw(struct fixture *f, uint64_t sequence, const uint8_t *plain, uint32_t n, uint8_t *out)
{
	struct esp_pair *p = &f->esp->pair[0];
	uint8_t aad[8];

	store_be32(out, p->state->spi_in);
	store_be32(out + 4, (uint32_t)sequence);
	store_be64(out + 8, sequence);
	memcpy(aad, out, 8);
	esp_key_seal(
		f->esp->mgr[0], &esp_pair_keys(f->esp, p)->in, out + 8, aad, sizeof aad, plain, n, out + 16);
	return 16 + n + 16;
}

static uint32_t inner_packet(uint8_t *plain, uint32_t payload_n)
{
	struct train t;

	fixture_packet(&t, plain, payload_n, true);
	return t.len;
}

static void padding_and_next_header_are_checked(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t plain[1024], packet[2048], out[2048];
	uint64_t sequence = 1;
	uint32_t n, got;
	static const struct {
		const char *name;
		uint8_t trailer[8];
		uint32_t trailer_n;
		enum drop_reason want;
	} rows[] = {
		{ "none", { 0, 4 }, 2, DROP_NONE },
		{ "three", { 1, 2, 3, 3, 4 }, 5, DROP_NONE },
		{ "wrong octets", { 1, 2, 4, 3, 4 }, 5, DROP_ESP_PADDING },
		{ "zeros", { 0, 0, 2, 4 }, 4, DROP_ESP_PADDING },
		{ "longer than all", { 255, 4 }, 2, DROP_ESP_PADDING },
		{ "a dummy", { 0, 59 }, 2, DROP_ESP_DUMMY },
		{ "TCP bare, transport mode", { 0, 6 }, 2, DROP_ESP_NEXT_HEADER },
		{ "said to be IPv6", { 0, 41 }, 2, DROP_ESP_LENGTH },
	};

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		n = inner_packet(plain, 50);
		memcpy(plain + n, rows[i].trailer, rows[i].trailer_n);
		got = seal_raw(&f, sequence++, plain, n + rows[i].trailer_n, packet);
		assert_int_equal(open_one(f.esp, packet, got, 0, out, &got), rows[i].want);
		if (rows[i].want == DROP_NONE)
			assert_int_equal(got, n);
	}
	/* Traffic flow confidentiality padding behind the packet is not the packet's. */
	n = inner_packet(plain, 50);
	memset(plain + n, 0, 300);
	memcpy(plain + n + 300, "\0\4", 2);
	got = seal_raw(&f, sequence++, plain, n + 302, packet);
	assert_int_equal(open_one(f.esp, packet, got, 0, out, &got), DROP_NONE);
	assert_int_equal(got, n);
	/* A packet that says it is longer than what came; one shorter than its own header. */
	n = inner_packet(plain, 50);
	memcpy(plain + n - 1, "\0\4", 2);
	got = seal_raw(&f, sequence++, plain, n + 1, packet);
	assert_int_equal(open_one(f.esp, packet, got, 0, out, &got), DROP_ESP_LENGTH);
	inner_packet(plain, 50);
	memcpy(plain + 12, "\0\4", 2);
	got = seal_raw(&f, sequence++, plain, 14, packet);
	assert_int_equal(open_one(f.esp, packet, got, 0, out, &got), DROP_ESP_LENGTH);
	got = seal_raw(&f, sequence++, (const uint8_t *)"\0\4", 2, packet);
	assert_int_equal(open_one(f.esp, packet, got, 0, out, &got), DROP_ESP_LENGTH);
	fixture_end(&f);
}

/* selected: the protocol whose ports the selectors name. */
static void selectors_hold(uint8_t selected)
{
	const struct {
		const char *src, *dst;
		uint8_t proto;
		uint16_t src_port, dst_port, fragment;
		enum drop_reason want;
	} rows[] = {
		{ "10.2.0.2", "10.1.0.2", selected, 9, 53, 0, DROP_NONE },
		{ "10.3.0.2", "10.1.0.2", selected, 9, 53, 0, DROP_ESP_SELECTOR },
		{ "10.2.0.2", "10.3.0.2", selected, 9, 53, 0, DROP_ESP_SELECTOR },
		{ "10.1.0.2", "10.2.0.2", selected, 9, 53, 0, DROP_ESP_SELECTOR },
		{ "10.2.0.2", "10.1.0.2", 6, 9, 53, 0, DROP_ESP_SELECTOR },
		{ "10.2.0.2", "10.1.0.2", selected, 9, 54, 0, DROP_ESP_SELECTOR },
		{ "10.2.0.2", "10.1.0.2", selected, 9, 53, 100,
			DROP_ESP_SELECTOR }, /* ports that cannot be seen */
	};
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t plain[1024], packet[2048], out[2048];
	uint32_t n;

	/* The first five rows also with the plain selectors, which have a way of their own. */
	for (int plain_selectors = 0; plain_selectors < 2; plain_selectors++) {
		fixture_begin(&f);
		if (!plain_selectors) {
			sa.local_ts[0].proto = sa.remote_ts[0].proto = selected;
			sa.local_ts[0].port_first = sa.local_ts[0].port_last = 53;
		} else {
			sa = fixture_sa(0x1000, 0x2000, 0);
		}
		assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
		for (size_t i = 0; i < (plain_selectors ? 4 : COUNT_OF(rows)); i++) {
			struct ip_addr src, dst;
			n = inner_packet(plain, 50);
			addr_parse(&src, rows[i].src);
			addr_parse(&dst, rows[i].dst);
			memcpy(plain + 12, src.b, 4);
			memcpy(plain + 16, dst.b, 4);
			plain[9] = rows[i].proto;
			store_be16(plain + 6, rows[i].fragment);
			store_be16(plain + 20, rows[i].src_port);
			store_be16(plain + 22, rows[i].dst_port);
			memcpy(plain + n, "\0\4", 2);
			n = seal_raw(&f, i + 1, plain, n + 2, packet);
			assert_int_equal(open_one(f.esp, packet, n, 0, out, &n), rows[i].want);
			/* The same packet the other way round: may it be sent? */
			struct train t = { .src = dst,
				.dst = src,
				.proto = rows[i].proto,
				.src_port = rows[i].fragment ? 0 : rows[i].dst_port,
				.dst_port = rows[i].src_port };
			assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t),
				rows[i].want == DROP_NONE ? 0 : ESP_PAIR_NONE);
		}
		fixture_end(&f);
	}
}

static void selectors_are_held_inside_and_outside(void **state)
{
	selectors_hold(IP_UDP);
	selectors_hold(IP_SCTP);
}

static void congestion_marks_follow_rfc_6040(void **state)
{
	/* Rows: inner; columns: outer Not-ECT, ECT(1), ECT(0), CE; -1: dropped. */
	static const int want[4][4] = { { 0, 0, 0, -1 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 }, { 3, 3, 3, 3 } };
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t plain[1024], packet[2048], out[2048];
	uint64_t sequence = 1;
	uint32_t n;

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	for (uint8_t inner = 0; inner < 4; inner++) {
		for (uint8_t outer = 0; outer < 4; outer++) {
			n = inner_packet(plain, 50);
			plain[1] = (uint8_t)(0xb8 | inner);
			memset(plain + 10, 0, 2);
			uint16_t sum = (uint16_t)~csum_fold(csum_add(0, plain, 20));
			memcpy(plain + 10, &sum, 2);
			memcpy(plain + n, "\0\4", 2);
			n = seal_raw(&f, sequence++, plain, n + 2, packet);
			enum drop_reason drop = open_one(f.esp, packet, n, (uint8_t)(0x40 | outer), out, &n);
			if (want[inner][outer] < 0) {
				assert_int_equal(drop, DROP_ESP_ECN);
				continue;
			}
			assert_int_equal(drop, DROP_NONE);
			assert_int_equal(out[1], 0xb8 | want[inner][outer]); /* DSCP stays the inner one */
			assert_int_equal(csum_fold(csum_add(0, out, 20)), 0xffff);
		}
	}
	fixture_end(&f);
}

/* --- trains --- */

/* To send the batch and call again would go on for ever. */
static void what_fits_no_batch_is_dropped(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t ip[2048], out[ROOM];
	struct train t;
	struct segment_cutter c;
	enum drop_reason drop;
	struct esp_batch b = { .bytes = out, .packets_max = 64 };

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	for (int less = 1; less >= 0; less--) {
		fixture_packet(&t, ip, 106, false); /* 134 octets: sealed 168 */
		b.room = 168 - (uint32_t)less;
		esp_batch_begin(&b);
		segment_cut_begin(&c, &t, 0);
		assert_int_equal(esp_seal(f.esp, 0, &c, 0, &b, 1, &drop), !less);
		assert_int_equal(drop, less ? DROP_TOO_BIG : DROP_NONE);
		assert_int_equal(b.packets, !less);
	}
	fixture_end(&f);
}

static void packets_of_one_size_share_a_batch(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t ip[2048], out[ROOM];
	struct train t;
	struct segment_cutter c;
	enum drop_reason drop;
	struct esp_batch b = { .bytes = out, .room = sizeof out, .packets_max = 64 };

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	esp_batch_begin(&b);
	for (int i = 0; i < 3; i++) {
		fixture_packet(&t, ip, 100, false);
		segment_cut_begin(&c, &t, 0);
		assert_true(esp_seal(f.esp, 0, &c, 0, &b, 1, &drop));
	}
	assert_int_equal(b.packets, 3);
	/* Another class, a larger packet: not in this batch. A smaller one ends it. */
	segment_cut_begin(&c, &t, 0);
	assert_false(esp_seal(f.esp, 0, &c, 8, &b, 1, &drop));
	fixture_packet(&t, ip, 104, false);
	segment_cut_begin(&c, &t, 0);
	assert_false(esp_seal(f.esp, 0, &c, 0, &b, 1, &drop));
	fixture_packet(&t, ip, 20, false);
	segment_cut_begin(&c, &t, 0);
	assert_true(esp_seal(f.esp, 0, &c, 0, &b, 1, &drop));
	assert_int_equal(b.packets, 4);
	fixture_packet(&t, ip, 20, false);
	segment_cut_begin(&c, &t, 0);
	assert_false(esp_seal(f.esp, 0, &c, 0, &b, 1, &drop));
	assert_int_equal(drop, DROP_NONE);
	fixture_end(&f);
}

static void the_inner_size_fits_the_outer(void **state)
{
	static const struct {
		uint16_t encr;
		uint32_t iv, block, icv;
	} rows[] = { { ENCR_AES_GCM_16, 8, 4, 16 }, { ENCR_AES_CBC_SHA256, 16, 16, 16 },
		{ ENCR_AES_CBC_SHA384, 16, 16, 24 }, { ENCR_AES_CBC_SHA512, 16, 16, 32 } };

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (uint32_t outer = 0; outer < 3000; outer++) {
			uint32_t inner = esp_inner_max(rows[i].encr, outer), block = rows[i].block;
			if (inner == 0) {
				assert_true(outer < 8 + rows[i].iv + block + rows[i].icv);
				continue;
			}
			for (uint32_t n = inner; n <= inner + 1; n++) {
				uint32_t sealed =
					8 + rows[i].iv + (n + 2 + block - 1) / block * block + rows[i].icv;
				assert_int_equal(sealed <= outer, n == inner);
			}
		}
}

/* --- SAs --- */

static void bad_sas_are_refused(void **state)
{
	struct fixture f;
	struct sa_install good = fixture_sa(0x1000, 0x2000, 0), sa;
	struct err e;

	fixture_begin(&f);
#define REFUSED(change, window, want)                                                                        \
	do {                                                                                                 \
		sa = good;                                                                                   \
		change;                                                                                      \
		e = (struct err){ 0 };                                                                       \
		assert_int_equal(esp_install(f.esp, &sa, "t", window, NULL, 1, &e), want);                   \
		assert_true(e.text[0] != '\0');                                                              \
		assert_int_equal(esp_pairs(f.esp), 0);                                                       \
	} while (0)
	REFUSED(sa.encr = 12, 0, RC_UNSUPPORTED);
	REFUSED(sa.encr_bits = 192, 0, RC_UNSUPPORTED);
	REFUSED(sa.key_n = 32, 0, RC_RANGE);
	REFUSED(sa.key_n = 37, 0, RC_RANGE);
	REFUSED(sa.spi_in = 255, 0, RC_RANGE);
	REFUSED(sa.spi_out = 0, 0, RC_RANGE);
	REFUSED(sa.local_n = 0, 0, RC_RANGE);
	REFUSED(sa.remote_n = SELECTORS_MAX + 1, 0, RC_RANGE);
	REFUSED(sa.tunnel = TUNNELS_MAX, 0, RC_RANGE);
	REFUSED(sa.remote.addr.family = ADDR_V6, 0, RC_RANGE);
	REFUSED((void)0, 5000, RC_RANGE);
#undef REFUSED
	assert_int_equal(esp_install(f.esp, &good, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(f.esp, &good, "t", 0, NULL, 1, NULL), RC_EXISTS);
	for (uint32_t i = 1; i < FIXTURE_PAIRS; i++) {
		sa = fixture_sa(0x1000 + i, 0x2000 + i, 0);
		assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	}
	sa = fixture_sa(0x9000, 0x9001, 0);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_LIMIT);
	assert_int_equal(esp_remove(f.esp, 0x1005), RC_OK);
	assert_int_equal(esp_remove(f.esp, 0x1005), RC_NOT_FOUND);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	fixture_end(&f);
}

static bool memory_holds(const uint8_t *memory, size_t n, const uint8_t *what, size_t what_n)
{
	return memmem(memory, n, what, what_n) != NULL;
}

static void removal_wipes_the_keys(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t ip[2048], out[ROOM];
	struct train t;
	enum drop_reason drop;

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	assert_true(memory_holds(f.state, f.state_n, sa.key_in, 36));
	/* Expanded by the first packet; the first round keys are the key. */
	assert_false(memory_holds(f.tables, f.tables_n, sa.key_out, 16));
	fixture_packet(&t, ip, 100, false);
	fixture_seal(f.esp, esp_outbound(f.esp, 0), &t, out, &drop);
	assert_true(memory_holds(f.tables, f.tables_n, sa.key_out, 16));
	assert_int_equal(esp_remove(f.esp, 0x1000), RC_OK);
	assert_false(memory_holds(f.state, f.state_n, sa.key_in, 16));
	assert_false(memory_holds(f.state, f.state_n, sa.key_out, 16));
	assert_false(memory_holds(f.tables, f.tables_n, sa.key_in, 16));
	assert_false(memory_holds(f.tables, f.tables_n, sa.key_out, 16));
	assert_int_equal(esp_outbound(f.esp, 0), ESP_PAIR_NONE);
	fixture_end(&f);
}

/* Two ends rekey; at no moment does one send what the other cannot read. */
static void rekeying_loses_nothing(void **state)
{
	struct fixture a, b;
	struct sa_install old_a = fixture_sa(0x1000, 0x2000, 0), old_b = fixture_sa(0x2000, 0x1000, 0);
	struct sa_install new_a = fixture_sa(0x1001, 0x2001, 0),
			  new_b = fixture_sa(0x2001, 0x1001, CHILD_OUTBOUND_LATER);
	uint8_t ip[2048], out[ROOM];
	struct train t;
	enum drop_reason drop;
	uint32_t n, got;

	old_b.local_ts[0] = new_b.local_ts[0] = old_a.remote_ts[0];
	old_b.remote_ts[0] = new_b.remote_ts[0] = old_a.local_ts[0];
	fixture_begin(&a);
	fixture_begin(&b);
	assert_int_equal(esp_install(a.esp, &old_a, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(b.esp, &old_b, "t", 0, NULL, 1, NULL), RC_OK);
	/* The responder b installs first, and goes on sending by the old one. */
	assert_int_equal(esp_install(b.esp, &new_b, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_outbound(b.esp, 0), esp_pair_find(b.esp, 0x2000));
	fixture_packet(&t, ip, 100, true);
	n = fixture_seal(b.esp, esp_outbound(b.esp, 0), &t, out, &drop);
	assert_int_equal(open_one(a.esp, out, n, 0, ip, &got), DROP_NONE);
	/* The initiator a installs and sends by the new one at once: b reads it and follows. */
	assert_int_equal(esp_install(a.esp, &new_a, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_outbound(a.esp, 0), esp_pair_find(a.esp, 0x1001));
	fixture_packet(&t, ip, 100, false);
	n = fixture_seal(a.esp, esp_outbound(a.esp, 0), &t, out, &drop);
	assert_int_equal(open_one(b.esp, out, n, 0, ip, &got), DROP_NONE);
	assert_int_equal(esp_outbound(b.esp, 0), esp_pair_find(b.esp, 0x2001));
	/* What was under way on the old one still arrives until it is removed. */
	fixture_packet(&t, ip, 100, false);
	n = fixture_seal(a.esp, esp_pair_find(a.esp, 0x1000), &t, out, &drop);
	assert_int_equal(open_one(b.esp, out, n, 0, ip, &got), DROP_NONE);
	assert_int_equal(esp_remove(b.esp, 0x2000), RC_OK);
	fixture_packet(&t, ip, 100, false);
	n = fixture_seal(a.esp, esp_pair_find(a.esp, 0x1000), &t, out, &drop);
	assert_int_equal(open_one(b.esp, out, n, 0, ip, &got), DROP_ESP_UNKNOWN_SPI);
	/* And the other way to become active. */
	struct sa_install third = fixture_sa(0x2003, 0x1003, CHILD_OUTBOUND_LATER);
	assert_int_equal(esp_install(b.esp, &third, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_outbound(b.esp, 0), esp_pair_find(b.esp, 0x2001));
	assert_int_equal(esp_activate(b.esp, 0x2003), RC_OK);
	assert_int_equal(esp_outbound(b.esp, 0), esp_pair_find(b.esp, 0x2003));
	fixture_end(&a);
	fixture_end(&b);
}

static struct selector network(uint8_t a, uint8_t b, uint8_t c)
{
	return (struct selector){ .addrs = { addr_v4((const uint8_t[]){ a, b, c, 0 }),
					  addr_v4((const uint8_t[]){ a, b, c, 255 }) },
		.port_last = UINT16_MAX };
}

/* A pair for each two networks, as policy-based peers make them: the packet picks it, the newest first. */
static void the_packet_picks_the_pair(void **state)
{
	struct fixture f;
	uint32_t first, second, wide;

	fixture_begin(&f);
	for (uint8_t i = 0; i < 2; i++) {
		struct sa_install sa = fixture_sa(0x1000u + i, 0x2000u + i, 0);
		sa.local_ts[0] = network(10, 1, i);
		sa.remote_ts[0] = network(10, 2, 0);
		sa.local_n = sa.remote_n = 1;
		assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	}
	first = esp_pair_find(f.esp, 0x1000);
	second = esp_pair_find(f.esp, 0x1001);
	struct train t = { .src = addr_v4((const uint8_t[]){ 10, 1, 0, 5 }),
		.dst = addr_v4((const uint8_t[]){ 10, 2, 0, 9 }),
		.proto = 1 };
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), first);
	t.src.b[2] = 1;
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), second);
	t.src.b[2] = 2;
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), ESP_PAIR_NONE);
	assert_int_equal(esp_outbound(f.esp, 0), second);
	assert_true(esp_pair_sends(f.esp, first) && esp_pair_sends(f.esp, second));
	/* A newer one for all takes over, but not before it is active; an older one goes on when it is gone.
	 */
	struct sa_install all = fixture_sa(0x1002, 0x2002, CHILD_OUTBOUND_LATER);
	all.local_ts[0] = network(10, 1, 0);
	all.local_ts[0].addrs.last.b[2] = 255;
	all.remote_ts[0] = network(10, 2, 0);
	all.local_n = all.remote_n = 1;
	assert_int_equal(esp_install(f.esp, &all, "t", 0, NULL, 1, NULL), RC_OK);
	wide = esp_pair_find(f.esp, 0x1002);
	t.src.b[2] = 1;
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), second);
	assert_int_equal(esp_activate(f.esp, 0x1002), RC_OK);
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), wide);
	assert_false(esp_pair_sends(f.esp, first) || esp_pair_sends(f.esp, second));
	assert_int_equal(esp_activate(f.esp, 0x1000), RC_OK); /* the newest now */
	t.src.b[2] = 0;
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), first);
	assert_int_equal(esp_remove(f.esp, 0x1002), RC_OK);
	t.src.b[2] = 1;
	assert_int_equal(esp_outbound_for(f.esp, 0, 0, &t), second);
	/* A configuration with other tunnels in front of it. */
	struct snap_tunnel tunnels[3] = { { .name = "a" }, { .name = "b" }, { .name = "t" } };
	esp_bind(f.esp, tunnels, 3);
	assert_int_equal(esp_outbound(f.esp, 0), ESP_PAIR_NONE);
	assert_int_equal(esp_outbound_for(f.esp, 2, 0, &t), second);
	t.src.b[2] = 0;
	assert_int_equal(esp_outbound_for(f.esp, 2, 0, &t), first);
	assert_int_equal(esp_remove(f.esp, 0x1000), RC_OK);
	assert_int_equal(esp_remove(f.esp, 0x1001), RC_OK);
	assert_int_equal(esp_outbound(f.esp, 2), ESP_PAIR_NONE);
	fixture_end(&f);
}

static void sequence_numbers_end_without_a_wrap(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t ip[2048], out[ROOM];
	struct train t;
	enum drop_reason drop;
	struct sa_usage u;

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	f.esp->pair[0].sequence_next = f.esp->pair[0].state->sequence_ceiling = 0xffffffffu;
	esp_usage(f.esp, 0, 1, &u);
	assert_true(u.flags & SA_SEQUENCE_LOW);
	fixture_packet(&t, ip, 100, false);
	assert_int_not_equal(fixture_seal(f.esp, 0, &t, out, &drop), 0);
	assert_int_equal(load_be32(out + 4), 0xffffffffu);
	fixture_packet(&t, ip, 100, false);
	assert_int_equal(fixture_seal(f.esp, 0, &t, out, &drop), 0);
	assert_int_equal(drop, DROP_ESP_SEQUENCE_OVERFLOW);
	/* A restart does not bring them back. */
	fixture_restart(&f);
	esp_bind(f.esp, (struct snap_tunnel[]){ { .name = "t" } }, 1);
	assert_int_equal(fixture_seal(f.esp, 0, &t, out, &drop), 0);
	assert_int_equal(drop, DROP_ESP_SEQUENCE_OVERFLOW);
	fixture_end(&f);
}

/* Kill at any point: the state as it is at each packet is all that the next process gets. */
static void restarts_repeat_no_number_and_admit_no_replay(void **state)
{
	enum { ROUNDS = 40 };
	struct fixture a, b;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, CHILD_ESN),
			  far = fixture_sa(0x2000, 0x1000, CHILD_ESN);
	struct snap_tunnel tunnels[] = { { .name = "other" }, { .name = "t" } };
	static uint8_t sent[ROUNDS * 8][256];
	uint8_t ip[2048];
	uint32_t sizes[ROUNDS * 8], n = 0, got;
	struct train t;
	enum drop_reason drop;
	uint64_t last = 0;

	far.local_ts[0] = sa.remote_ts[0];
	far.remote_ts[0] = sa.local_ts[0];
	fixture_begin(&a);
	fixture_begin(&b);
	assert_int_equal(esp_install(a.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(b.esp, &far, "t", 0, NULL, 1, NULL), RC_OK);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t k = 0; k <= round % 8; k++) {
			fixture_packet(&t, ip, 100, false);
			uint32_t pair = esp_pair_find(a.esp, 0x1000);
			sizes[n] = fixture_seal(a.esp, pair, &t, sent[n], &drop);
			assert_int_equal(drop, DROP_NONE);
			assert_true(load_be64(sent[n] + 8) > last); /* the IV is the whole number */
			last = load_be64(sent[n] + 8);
			assert_int_equal(open_one(b.esp, sent[n], sizes[n], 0, ip, &got), DROP_NONE);
			n++;
		}
		fixture_restart(&a);
		fixture_restart(&b);
		assert_int_equal(
			esp_outbound(a.esp, 1), ESP_PAIR_NONE); /* until the configuration is there */
		esp_bind(a.esp, tunnels, 2);
		esp_bind(b.esp, tunnels, 2);
		assert_int_equal(esp_outbound(a.esp, 1), esp_pair_find(a.esp, 0x1000));
		for (uint32_t k = n > 200 ? n - 200 : 0; k < n; k++)
			/* Seen, or so old that its number is taken for one of the next 2^32 and does not fit.
			 */
			assert_int_not_equal(open_one(b.esp, sent[k], sizes[k], 0, ip, &got), DROP_NONE);
	}
	/* A tunnel that is no longer configured takes its SAs with it. */
	esp_bind(a.esp, tunnels, 1);
	assert_int_equal(esp_pairs(a.esp), 0);
	fixture_end(&a);
	fixture_end(&b);
}

static void broken_state_is_not_believed(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0), other = fixture_sa(0x1001, 0x2001, 0);
	struct esp_state *s;

	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(f.esp, &other, "t", 0, NULL, 1, NULL), RC_OK);
	s = f.state;
	s->pair[0].local_n = 77;
	s->pair[1].encr = 1;
	s->used = 1ull << 40;
	fixture_restart(&f);
	assert_int_equal(esp_pairs(f.esp), 0);
	assert_false(memory_holds(f.state, f.state_n, sa.key_in, 36)); /* wiped, not left behind */
	/* Killed while installing: all is there but the word that makes it count. */
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	s->pair[0].live = 0;
	fixture_restart(&f);
	assert_int_equal(esp_pairs(f.esp), 0);
	assert_false(memory_holds(f.state, f.state_n, sa.key_in, 36));
	fixture_end(&f);
}

static void endpoints_move(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	struct endpoint to = { .port = 61234 };
	struct esp_view v;

	addr_parse(&to.addr, "198.51.100.77");
	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_endpoint(f.esp, 0x1000, &to), RC_OK);
	assert_int_equal(esp_endpoint(f.esp, 0x1001, &to), RC_NOT_FOUND);
	esp_view(f.esp, 0, &v);
	assert_memory_equal(v.remote, &to, sizeof to);
	addr_parse(&to.addr, "2001:db8::1");
	assert_int_equal(esp_endpoint(f.esp, 0x1000, &to), RC_RANGE);
	fixture_end(&f);
}

/* As the shell of the data plane does it with what came in UDP; gives whether it was the newest. */
static bool came_from(
	struct fixture *f, const uint8_t *packet, uint32_t n, uint16_t port, enum drop_reason want)
{
	struct endpoint from = { .port = port };
	struct esp_opened o;
	uint8_t ip[ROOM];

	addr_parse(&from.addr, "198.51.100.77");
	esp_open(f->esp, packet, n, 0, ip, 5, &o);
	assert_int_equal(o.drop, want);
	if (o.newest)
		esp_came_from(f->esp, o.pair, &from);
	return o.newest;
}

/* 0: where it sends to. */
static void expect_seen(struct fixture *f, uint16_t port)
{
	struct sa_usage u;

	esp_usage(f->esp, esp_pair_find(f->esp, 0x2000), 6, &u);
	assert_int_equal(u.flags & SA_MOVED, port ? SA_MOVED : 0);
	if (port)
		assert_int_equal(u.seen.port, port);
}

/* RFC 7296 2.23: authentic, "only ... in response to a new packet". */
static void the_newest_packet_tells_where_the_peer_is(void **state)
{
	for (int esn = 0; esn < 2; esn++) {
		uint32_t flags = CHILD_ENCAP | (esn ? CHILD_ESN : 0), n = 0;
		struct sa_install sa_a = fixture_sa(0x1000, 0x2000, flags),
				  sa_b = fixture_sa(0x2000, 0x1000, flags);
		struct endpoint to = { .port = 4500 };
		uint8_t ip[2048], sealed[6][ROOM];
		struct fixture a, b;
		struct train t;
		enum drop_reason drop;

		addr_parse(&to.addr, "198.51.100.77");
		sa_b.remote = to;
		sa_b.local_ts[0] = sa_a.remote_ts[0];
		sa_b.remote_ts[0] = sa_a.local_ts[0];
		fixture_begin(&a);
		fixture_begin(&b);
		assert_int_equal(esp_install(a.esp, &sa_a, "t", 64, NULL, 1, NULL), RC_OK);
		assert_int_equal(esp_install(b.esp, &sa_b, "t", 64, NULL, 1, NULL), RC_OK);
		for (int i = 0; i < 6; i++) {
			fixture_packet(&t, ip, 100, false);
			n = fixture_seal(a.esp, 0, &t, sealed[i], &drop);
			assert_int_equal(drop, DROP_NONE);
		}
		assert_true(came_from(&b, sealed[0], n, 4500, DROP_NONE));
		expect_seen(&b, 0);
		assert_true(came_from(&b, sealed[2], n, 31000, DROP_NONE));
		expect_seen(&b, 31000);
		assert_false(came_from(&b, sealed[1], n, 31001, DROP_NONE)); /* older, and not seen before */
		assert_false(came_from(&b, sealed[2], n, 31001, DROP_ESP_REPLAY));
		sealed[3][n - 1] ^= 1;
		assert_false(came_from(&b, sealed[3], n, 31001, DROP_ESP_AUTH));
		sealed[3][0] ^= 1;
		assert_false(came_from(&b, sealed[3], n, 31001, DROP_ESP_UNKNOWN_SPI));
		assert_false(came_from(&b, sealed[3], 20, 31001, DROP_ESP_TRUNCATED));
		expect_seen(&b, 31000);
		/* Followed, and the next one shows whether that was right. */
		to.port = 31000;
		assert_int_equal(esp_endpoint(b.esp, 0x2000, &to), RC_OK);
		expect_seen(&b, 0);
		assert_true(came_from(&b, sealed[4], n, 31000, DROP_NONE));
		expect_seen(&b, 0);
		assert_true(came_from(&b, sealed[5], n, 4500, DROP_NONE));
		expect_seen(&b, 4500);
		fixture_end(&a);
		fixture_end(&b);
	}
}

/* Raw ESP knows no port, and a pair that does not send in UDP cannot be behind a NAT. */
static void only_what_goes_in_udp_moves(void **state)
{
	static const uint8_t bad_padding[] = { 7, 7, 7, 4 };

	for (int encap = 0; encap < 2; encap++) {
		struct sa_install sa = fixture_sa(0x2000, 0x1000, encap ? CHILD_ENCAP : 0);
		uint8_t packet[256];
		struct fixture f;
		uint32_t n;

		fixture_begin(&f);
		assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
		/* Authentic is enough, whatever is in it. */
		n = seal_raw(&f, 1, bad_padding, sizeof bad_padding, packet);
		assert_true(came_from(&f, packet, n, 31000, DROP_ESP_PADDING));
		expect_seen(&f, encap ? 31000 : 0);
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(rfc_7634_appendix_a),
		cmocka_unit_test(padding_and_next_header_are_checked),
		cmocka_unit_test(selectors_are_held_inside_and_outside),
		cmocka_unit_test(congestion_marks_follow_rfc_6040),
		cmocka_unit_test(what_fits_no_batch_is_dropped),
		cmocka_unit_test(packets_of_one_size_share_a_batch),
		cmocka_unit_test(the_inner_size_fits_the_outer),
		cmocka_unit_test(bad_sas_are_refused),
		cmocka_unit_test(removal_wipes_the_keys),
		cmocka_unit_test(rekeying_loses_nothing),
		cmocka_unit_test(the_packet_picks_the_pair),
		cmocka_unit_test(sequence_numbers_end_without_a_wrap),
		cmocka_unit_test(restarts_repeat_no_number_and_admit_no_replay),
		cmocka_unit_test(broken_state_is_not_believed),
		cmocka_unit_test(endpoints_move),
		cmocka_unit_test(the_newest_packet_tells_where_the_peer_is),
		cmocka_unit_test(only_what_goes_in_udp_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
