#include "esp_fixture.h"

#include "wire/csum.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void attach(struct fixture *f, bool want_resumed)
{
	struct err e = { 0 };
	bool resumed;

	f->tables = aligned_alloc(64, (f->tables_n + 63) & ~63ul);
	assert_non_null(f->tables);
	memset(f->tables, 0, f->tables_n);
	f->esp = esp_new(
		f->state, f->state_n, f->tables, f->tables_n, FIXTURE_PAIRS, f->workers, &resumed, &e);
	assert_non_null(f->esp);
	assert_int_equal(resumed, want_resumed);
}

void fixture_begin(struct fixture *f)
{
	fixture_begin_for(f, 1);
}

void fixture_begin_for(struct fixture *f, uint32_t workers)
{
	f->workers = workers;
	f->state_n = esp_state_size(FIXTURE_PAIRS);
	f->tables_n = esp_tables_size(FIXTURE_PAIRS);
	f->state = aligned_alloc(64, f->state_n);
	assert_non_null(f->state);
	memset(f->state, 0, f->state_n);
	attach(f, false);
}

void fixture_restart(struct fixture *f)
{
	esp_free(f->esp);
	free(f->tables);
	fixture_resume(f);
}

void fixture_resume(struct fixture *f)
{
	attach(f, true);
}

void fixture_end(struct fixture *f)
{
	esp_free(f->esp);
	free(f->tables);
	free(f->state);
}

struct sa_install fixture_sa(uint32_t spi_in, uint32_t spi_out, uint32_t flags)
{
	struct sa_install sa = { .tunnel = 0,
		.spi_in = spi_in,
		.spi_out = spi_out,
		.flags = flags,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 1,
		.remote_n = 1 };

	addr_parse(&sa.local.addr, "192.0.2.1");
	addr_parse(&sa.remote.addr, "192.0.2.2");
	sa.local.port = sa.remote.port = 4500;
	for (uint32_t i = 0; i < sizeof sa.key_in; i++) {
		sa.key_in[i] = (uint8_t)(spi_in * 31 + i);
		sa.key_out[i] = (uint8_t)(spi_out * 31 + i);
	}
	sa.local_ts[0].port_last = sa.remote_ts[0].port_last = UINT16_MAX;
	addr_parse(&sa.local_ts[0].addrs.first, "10.1.0.0");
	addr_parse(&sa.local_ts[0].addrs.last, "10.1.255.255");
	addr_parse(&sa.remote_ts[0].addrs.first, "10.2.0.0");
	addr_parse(&sa.remote_ts[0].addrs.last, "10.2.255.255");
	return sa;
}

void fixture_packet(struct train *t, uint8_t *ip, uint32_t n, bool back)
{
	memset(ip, 0, 28);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(28 + n));
	ip[8] = 61;
	ip[9] = IP_UDP;
	memcpy(ip + (back ? 16 : 12), "\x0a\x01\x00\x02", 4);
	memcpy(ip + (back ? 12 : 16), "\x0a\x02\x00\x02", 4);
	store_be16(ip + 20, 9);
	store_be16(ip + 22, 9);
	store_be16(ip + 24, (uint16_t)(8 + n));
	for (uint32_t i = 0; i < n; i++)
		ip[28 + i] = (uint8_t)i;
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	*t = (struct train){ .ip = ip, .len = 28 + n, .csum = TRAIN_CSUM_VALID };
	assert_int_equal(train_parse(t), DROP_NONE);
}

uint32_t fixture_seal(
	struct esp *esp, uint32_t pair, struct train *t, uint8_t *out, enum drop_reason *ret_drop)
{
	struct segment_cutter c;
	struct esp_batch b = { .bytes = out, .room = 4096, .packets_max = 64 };

	esp_batch_begin(&b);
	assert_true(segment_cut_begin(&c, t, 0));
	bool through = esp_seal(esp, pair, &c, t->traffic_class, &b, 1, ret_drop);
	assert_int_equal(through, *ret_drop == DROP_NONE);
	return b.n;
}
