/* See sides.h. */
#include "sides.h"

struct side sides[2];
static uint32_t numbers;

void sides_begin(uint32_t seed, uint32_t workers, const char *text, const char *more, uint32_t sessions)
{
	numbers = seed;
	gate_flow_key[0] = (uint8_t)seed;
	for (int k = 0; k < 2; k++) {
		struct side *s = &sides[k];
		s->n = k ? workers : 1;
		gate_init_team(s->team, s->n, text, more, sessions);
		gate_link_team(s->team, s->n, s->queues, &s->on_the_way);
	}
}

void sides_end(void)
{
	for (int k = 0; k < 2; k++)
		for (uint32_t i = sides[k].n; i-- > 0;)
			gate_done(&sides[k].team[i]);
}

uint32_t sides_pick(uint32_t n)
{
	numbers = numbers * 1664525 + 1013904223;
	return (numbers >> 8) % n;
}

void side_run(struct side *s)
{
	gate_run_team(s->team, s->n);
}

static uint64_t drops_of(const struct side *s, int reason)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += s->team[i].p.drops[reason];
	return n;
}

/* What came out, parsed; of the ICMP errors and resets that answer a drop nothing. */
static void outputs_read(struct side *s)
{
	s->is_out = false;
	for (uint32_t i = 0; i < s->n && s->drop == DROP_NONE; i++)
		for (uint32_t o = 0; o < s->team[i].out_n; o++) {
			assert_false(s->is_out);
			s->is_out = true;
			s->out = (struct train){ .ip = s->team[i].out[o].bytes,
				.len = s->team[i].out[o].n,
				.csum = TRAIN_CSUM_UNKNOWN };
			assert_int_equal(train_parse(&s->out), DROP_NONE);
			assert_true(packet_sound(s->out.ip, s->out.len));
		}
}

enum drop_reason side_arrives(struct side *s, uint32_t link, const struct packet_spec *spec)
{
	static struct packet packet;
	uint64_t before[DROP_COUNT];

	for (uint32_t i = 0; i < s->n; i++)
		gate_clear(&s->team[i]);
	for (int r = 0; r < DROP_COUNT; r++)
		before[r] = drops_of(s, r);
	gate_from_link(&s->team[sides_pick(s->n)], link, packet_make(&packet, spec));
	side_run(s);
	s->drop = DROP_NONE;
	for (int r = 1; r < DROP_COUNT; r++)
		if (before[r] != drops_of(s, r))
			s->drop = (enum drop_reason)r;
	outputs_read(s);
	return s->drop;
}

uint64_t side_sessions(const struct side *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += fw_counters(s->team[i].fw)->sessions_now;
	return n;
}
