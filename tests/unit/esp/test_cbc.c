/*
 * AES-CBC with HMAC-SHA-2: padding to whole blocks, every length, the upper half of the sequence number, keys in the state. And
 * trains, which it seals several packets at a time; the AEADs beside it. Its known answers are in test_esp.c.
 */
#include "esp_fixture.h"

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

static uint32_t inner_packet(uint8_t *plain, uint32_t payload_n)
{
	struct train t;

	fixture_packet(&t, plain, payload_n, true);
	return t.len;
}

/* Seals whole blocks as the far end of pair 0 would, which has AES-CBC. */
static uint32_t seal_cbc_raw(
	struct fixture *f, uint64_t sequence, const uint8_t *plain, uint32_t n, uint8_t *out)
{
	struct esp_pair *p = &f->esp->pair[0];

	store_be32(out, p->state->spi_in);
	store_be32(out + 4, (uint32_t)sequence);
	memcpy(out + ESP_CBC_HEAD, plain, n);
	esp_cbc_seal(f->esp->mgr[0], &esp_pair_keys(f->esp, p)->in.cbc, out, n, sequence,
		p->state->flags & CHILD_ESN);
	esp_cbc_finish(f->esp->mgr[0]);
	return ESP_CBC_HEAD + n + p->icv_n;
}

/* Authentic, and not as RFC 4303 section 2.4 wants it; and what cannot be a packet of whole blocks. */
static void padding_of_blocks_is_checked(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, CHILD_ESN);
	uint8_t plain[256], packet[512], out[512];
	uint32_t inner_n, n, got;
	uint64_t sequence = 1;

	sa.encr = ENCR_AES_CBC_SHA384;
	sa.encr_bits = 128;
	sa.key_n = 16 + 48;
	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	for (uint32_t wrong = 0; wrong <= 13; wrong++) { /* none of the octets, or one of them */
		inner_n = inner_packet(plain, 53);	 /* 81 octets, 13 of padding: 96 */
		for (uint32_t i = 0; i < 13; i++)
			plain[inner_n + i] = (uint8_t)(i + 1 + (i + 1 == wrong));
		memcpy(plain + inner_n + 13, "\15\4", 2);
		n = seal_cbc_raw(&f, sequence++, plain, inner_n + 15, packet);
		assert_int_equal(n, 24 + 96 + 24);
		assert_int_equal(
			open_one(f.esp, packet, n, 0, out, &got), wrong ? DROP_ESP_PADDING : DROP_NONE);
	}
	for (uint32_t pad = 95; pad <= 255; pad++) { /* longer than all */
		plain[94] = (uint8_t)pad;
		n = seal_cbc_raw(&f, sequence++, plain, 96, packet);
		assert_int_equal(open_one(f.esp, packet, n, 0, out, &got), DROP_ESP_PADDING);
	}
	/* Every length: only whole blocks go on to the integrity check, whose failure counts. */
	n = seal_cbc_raw(&f, sequence++, plain, 96, packet);
	for (uint32_t cut = 0; cut < n; cut++)
		assert_int_equal(open_one(f.esp, packet, cut, 0, out, &got),
			cut >= 24 + 16 + 24 && (cut - 48) % 16 == 0 ? DROP_ESP_AUTH : DROP_ESP_TRUNCATED);
	/* The upper half of the number is not sent, and is authenticated. */
	n = seal_cbc_raw(&f, sequence + (1ull << 32), plain, 96, packet);
	assert_int_equal(open_one(f.esp, packet, n, 0, out, &got), DROP_ESP_AUTH);
	fixture_end(&f);
}

static void train_into_equal_packets(uint16_t encr, uint16_t encr_bits, uint16_t key_n, uint32_t flags)
{
	static uint8_t buffer[70000], copy[70000], out[70000];
	struct fixture f, far;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, flags), other = fixture_sa(0x2000, 0x1000, flags);
	struct train t;
	struct segment_cutter c;
	enum drop_reason drop;
	struct esp_batch b = { .bytes = out, .room = 20000, .packets_max = 64 };
	uint32_t total = 0, packets = 0, rounds = 0;
	bool through;

	sa.encr = other.encr = encr;
	sa.encr_bits = other.encr_bits = encr_bits;
	sa.key_n = other.key_n = key_n;
	other.local_ts[0] = sa.remote_ts[0];
	other.remote_ts[0] = sa.local_ts[0];
	fixture_begin(&f);
	fixture_begin(&far);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(far.esp, &other, "t", 64, NULL, 1, NULL), RC_OK);
	fixture_packet(&t, buffer + 128, 40000, false);
	t.segment_size = 1371; /* with headers 1399, sealed with one octet of padding */
	t.csum = TRAIN_CSUM_PARTIAL;
	memcpy(copy, t.ip, t.len);
	assert_true(segment_cut_begin(&c, &t, 0));
	do {
		esp_batch_begin(&b);
		through = esp_seal(f.esp, 0, &c, 0, &b, 7, &drop);
		assert_int_equal(drop, DROP_NONE);
		assert_true(b.n <= b.room && b.packets > 0);
		for (uint32_t at = 0; at < b.n; at += b.packet_size) {
			uint8_t inner[2048];
			uint32_t n = MIN_OF(b.packet_size, b.n - at);
			assert_int_equal(open_one(far.esp, out + at, n, 0, inner, &n), DROP_NONE);
			assert_memory_equal(inner + 28, copy + 28 + total, n - 28);
			total += n - 28;
			packets++;
		}
		rounds++;
	} while (!through);
	assert_int_equal(total, 40000);
	assert_int_equal(packets, 30);
	assert_int_equal(rounds, 3); /* 13 of 1436, and of 1464, fit into 20000 */
	struct sa_usage u;
	esp_usage(f.esp, 0, 7 + 5 * NS_PER_MS, &u);
	assert_int_equal(u.packets_out, 30);
	assert_int_equal(u.idle_out_ms, 5);
	assert_int_equal(u.idle_in_ms, UINT32_MAX);
	assert_int_equal(u.seq_out, 31);
	fixture_end(&f);
	fixture_end(&far);
}

static void a_train_is_sealed_into_equal_packets(void **state)
{
	train_into_equal_packets(ENCR_AES_GCM_16, 256, 36, 0);
	/* These several packets at a time, in lanes of the library. */
	for (uint32_t flags = 0; flags <= CHILD_ESN; flags += CHILD_ESN) {
		train_into_equal_packets(ENCR_AES_CBC_SHA256, 128, 16 + 32, flags);
		train_into_equal_packets(ENCR_AES_CBC_SHA384, 256, 32 + 48, flags);
		train_into_equal_packets(ENCR_AES_CBC_SHA512, 256, 32 + 64, flags);
	}
}

static bool state_holds(const struct fixture *f, const uint8_t *key)
{
	return memmem(f->state, f->state_n, key, 16);
}

/* The keys of AES-CBC and HMAC have a place of their own in the state: they go on there, and are wiped there. */
static void long_keys_outlive_the_process_and_no_pair(void **state)
{
	struct fixture f;
	struct sa_install sa = fixture_sa(0x1000, 0x1000, CHILD_ESN);
	uint8_t ip[256], out[ROOM], inner[ROOM];
	struct train t;
	enum drop_reason drop;
	uint32_t n;

	sa.encr = ENCR_AES_CBC_SHA512;
	sa.key_n = 32 + 64;
	sa.local_ts[0].addrs.last = sa.remote_ts[0].addrs.last; /* of both, so that it opens what it sealed */
	sa.remote_ts[0] = sa.local_ts[0];
	fixture_begin(&f);
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	fixture_packet(&t, ip, 100, false);
	n = fixture_seal(f.esp, 0, &t, out, &drop);
	assert_int_equal(n, 24 + 144 + 32);
	fixture_restart(&f);
	assert_int_equal(open_one(f.esp, out, n, 0, inner, &n), DROP_NONE);
	assert_int_equal(n, 128);
	assert_memory_equal(inner + 20, ip + 20, 108);
	for (uint32_t at = 0; at + 16 <= sa.key_n; at += 16)
		assert_true(state_holds(&f, sa.key_in + at) && state_holds(&f, sa.key_out + at));
	/* The place is free for keys of another length. */
	assert_int_equal(esp_remove(f.esp, 0x1000), RC_OK);
	for (uint32_t at = 0; at + 16 <= sa.key_n; at += 16)
		assert_false(state_holds(&f, sa.key_in + at) || state_holds(&f, sa.key_out + at));
	/* One that was not finished when its process was killed. */
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	f.esp->state->pair[0].live = 0;
	esp_free(f.esp);
	free(f.tables);
	fixture_resume(&f);
	assert_int_equal(esp_pairs(f.esp), 0);
	assert_false(state_holds(&f, sa.key_in) || state_holds(&f, sa.key_in + 80) ||
		     state_holds(&f, sa.key_out + 80));
	sa.key_n = 32 + 63;
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_RANGE);
	sa.key_n = KEYMAT_MAX + 1;
	assert_int_equal(esp_install(f.esp, &sa, "t", 64, NULL, 1, NULL), RC_RANGE);
	assert_false(state_holds(&f, sa.key_in));
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_of_blocks_is_checked),
		cmocka_unit_test(a_train_is_sealed_into_equal_packets),
		cmocka_unit_test(long_keys_outlive_the_process_and_no_pair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
