/*
 * The hard end of a pair (RFC 4301 section 4.4.2.1): by time, octets and packets, of both directions together, to the packet; over a
 * restart, and whatever was configured meanwhile.
 */
#include "esp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ROOM 4096

static uint32_t seal_at(
	struct fixture *f, uint32_t spi, uint8_t *out, mono_ns now, enum drop_reason *ret_drop)
{
	struct segment_cutter c;
	struct esp_batch b = { .bytes = out, .room = ROOM, .packets_max = 64 };
	uint8_t ip[256];
	struct train t;

	fixture_packet(&t, ip, 100, false);
	esp_batch_begin(&b);
	assert_true(segment_cut_begin(&c, &t, 0));
	esp_seal(f->esp, esp_pair_find(f->esp, spi), &c, 0, &b, now, ret_drop);
	return b.n;
}

static enum drop_reason open_at(struct fixture *f, const uint8_t *packet, uint32_t n, mono_ns now)
{
	struct esp_opened o;
	uint8_t dst[ROOM];

	esp_open(f->esp, packet, n, 0, dst, now, &o);
	return o.drop;
}

static uint32_t flags_at(struct fixture *f, uint32_t spi, mono_ns now)
{
	struct sa_usage u;

	esp_usage(f->esp, esp_pair_find(f->esp, spi), now, &u);
	return u.flags & (SA_LIFE_LOW | SA_LIFE_OVER);
}

/* Two ends with the same keys; `here` has the lifetime. */
static struct fixture here, there;

static void begin(const struct esp_life *life, mono_ns now)
{
	struct sa_install sa = fixture_sa(0x1000, 0x2000, CHILD_ESN),
			  far = fixture_sa(0x2000, 0x1000, CHILD_ESN);

	fixture_begin(&here);
	fixture_begin(&there);
	assert_int_equal(esp_install(here.esp, &sa, "t", 64, life, now, NULL), RC_OK);
	far.local_ts[0] =
		sa.local_ts[0]; /* it sends what `here` sends: only whether `here` takes it matters */
	far.remote_ts[0] = sa.remote_ts[0];
	assert_int_equal(esp_install(there.esp, &far, "t", 64, NULL, now, NULL), RC_OK);
}

static void end(void)
{
	fixture_end(&here);
	fixture_end(&there);
}

/* Sends one, and takes one of the other end. */
static void both_ways_at(mono_ns now, enum drop_reason want)
{
	uint8_t out[ROOM];
	enum drop_reason drop;
	uint32_t n = seal_at(&here, 0x1000, out, now, &drop);

	assert_int_equal(drop, want);
	assert_int_equal(n == 0, want != DROP_NONE);
	n = seal_at(&there, 0x2000, out, now, &drop);
	assert_int_equal(drop, DROP_NONE);
	drop = open_at(&here, out, n, now);
	assert_int_equal(
		drop, want == DROP_NONE ? DROP_ESP_SELECTOR : want); /* authentic, and from the wrong side */
}

static void by_time(void **state)
{
	(void)state;
	begin(&(struct esp_life){ .lasts = 1000 }, 500);
	both_ways_at(1499, DROP_NONE);
	assert_int_equal(flags_at(&here, 0x1000, 1499), 0);
	assert_int_equal(flags_at(&here, 0x1000, 1500), SA_LIFE_OVER);
	both_ways_at(1500, DROP_ESP_LIFETIME);
	fixture_restart(&here);
	esp_bind(here.esp, (struct snap_tunnel[]){ { .name = "t", .rekey_s = 604800 } }, 1);
	both_ways_at(1500, DROP_ESP_LIFETIME);
	both_ways_at(1499, DROP_NONE);
	end();
}

/* What it has counted already is set; then to the packet: sent and received ones count alike. */
static void by_packets(void **state)
{
	(void)state;
	for (uint64_t left = 0; left < 6; left++) {
		begin(&(struct esp_life){ .packets = 100000 }, 1);
		struct esp_state_pair *s = here.esp->pair[0].state;
		s->packets_in = 99998;
		assert_int_equal(flags_at(&here, 0x1000, 1), 0);
		both_ways_at(2, DROP_NONE);
		assert_int_equal(flags_at(&here, 0x1000, 2), SA_LIFE_LOW);
		s->packets_in = 50000;
		s->packets_out = 50000 + SA_HARD_PACKETS - left;
		for (uint64_t k = 0; k < left; k++) {
			uint8_t out[ROOM];
			enum drop_reason drop;
			uint32_t n = seal_at(k % 2 ? &here : &there, k % 2 ? 0x1000 : 0x2000, out, 2, &drop);
			assert_int_equal(drop, DROP_NONE);
			if (k % 2 == 0)
				assert_int_equal(open_at(&here, out, n, 2), DROP_ESP_SELECTOR);
			assert_int_equal(flags_at(&here, 0x1000, 2),
				k + 1 < left ? SA_LIFE_LOW : SA_LIFE_LOW | SA_LIFE_OVER);
		}
		both_ways_at(2, DROP_ESP_LIFETIME);
		end();
	}
}

/* A fifth more, where that is the larger part. The packet that reaches the number is the last one. */
static void by_octets(void **state)
{
	(void)state;
	const uint64_t soft = 100ull << 30, end_at = soft / 1000 * SA_HARD_THOUSANDTHS;
	uint8_t out[ROOM];
	enum drop_reason drop;

	begin(&(struct esp_life){ .octets = soft }, 1);
	struct esp_state_pair *s = here.esp->pair[0].state;
	assert_true(here.esp->pair[0].octets_end >= end_at - 1000 &&
		    here.esp->pair[0].octets_end <= end_at + 1000);
	assert_int_equal(here.esp->pair[0].packets_end, UINT64_MAX);
	s->bytes_in = soft - 1;
	assert_int_equal(flags_at(&here, 0x1000, 1), 0);
	s->bytes_in = here.esp->pair[0].octets_end - 129;
	assert_int_equal(flags_at(&here, 0x1000, 1), SA_LIFE_LOW);
	seal_at(&here, 0x1000, out, 2, &drop); /* 128 octets */
	assert_int_equal(drop, DROP_NONE);
	seal_at(&here, 0x1000, out, 2, &drop);
	assert_int_equal(drop, DROP_NONE);
	seal_at(&here, 0x1000, out, 2, &drop);
	assert_int_equal(drop, DROP_ESP_LIFETIME);
	end();
}

/* Of one train the packets that are left are sent, and not one more. */
static void within_a_train(void **state)
{
	(void)state;
	for (uint64_t left = 0; left <= 8; left++) {
		uint8_t ip[8 * 128], out[ROOM];
		struct esp_batch b = { .bytes = out, .room = ROOM, .packets_max = 64 };
		struct segment_cutter c;
		enum drop_reason drop;
		struct train t;

		begin(&(struct esp_life){ .packets = 100000 }, 1);
		here.esp->pair[0].state->packets_out = 100000 + SA_HARD_PACKETS - left;
		fixture_packet(&t, ip, 8 * 100, false);
		t.segment_size = 100;
		esp_batch_begin(&b);
		assert_true(segment_cut_begin(&c, &t, 0));
		bool through = esp_seal(here.esp, 0, &c, 0, &b, 1, &drop);
		assert_int_equal(b.packets, left);
		assert_int_equal(drop, left < 8 ? DROP_ESP_LIFETIME : DROP_NONE);
		assert_int_equal(through, left == 8);
		end();
	}
}

/* Sequence numbers that are used up end a pair as well. */
static void by_sequence_numbers(void **state)
{
	(void)state;
	struct sa_install sa = fixture_sa(0x1000, 0x2000, 0);
	uint8_t out[ROOM];
	enum drop_reason drop;

	fixture_begin(&here);
	assert_int_equal(esp_install(here.esp, &sa, "t", 64, NULL, 1, NULL), RC_OK);
	here.esp->pair[0].sequence_next = here.esp->pair[0].state->sequence_ceiling = 0xffffffffu;
	assert_int_equal(flags_at(&here, 0x1000, 2), 0);
	seal_at(&here, 0x1000, out, 2, &drop);
	assert_int_equal(drop, DROP_NONE);
	assert_int_equal(flags_at(&here, 0x1000, 2), SA_LIFE_OVER);
	seal_at(&here, 0x1000, out, 2, &drop);
	assert_int_equal(drop, DROP_ESP_SEQUENCE_OVERFLOW);
	fixture_end(&here);
}

static void as_configured(void **state)
{
	(void)state;
	struct snap_tunnel t = { .rekey_s = 30, .rekey_bytes = UINT64_MAX, .rekey_packets = 77 };
	struct esp_life life = esp_life_of(&t);

	assert_int_equal(life.lasts, 46 * NS_PER_S);
	assert_int_equal(life.packets, 77);
	begin(&life, 1);
	assert_int_equal(here.esp->pair[0].octets_end, UINT64_MAX); /* no wrap */
	assert_int_equal(here.esp->pair[0].packets_end, 77 + SA_HARD_PACKETS);
	end();
	t.rekey_s = 0;
	assert_int_equal(esp_life_of(&t).lasts, 4330 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_time),
		cmocka_unit_test(by_packets),
		cmocka_unit_test(by_octets),
		cmocka_unit_test(within_a_train),
		cmocka_unit_test(by_sequence_numbers),
		cmocka_unit_test(as_configured),
	};
	return cmocka_run_group_tests_name("esp/life", tests, NULL, NULL);
}
