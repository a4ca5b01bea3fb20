#include "../carry/kernel.h"
#include "carried_teams.h"

#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SESSIONS 256

const char *const nats[] = { "",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
	("nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
	 "  rule all6 { from trust; to untrust; then { source-nat interface-ipv6; } } } }") };
const char *nat;

struct team carries, plain;
struct carry_tables tables;
bool rules_differ;
uint64_t seed;
uint64_t sent, passed, lost, left;

uint32_t some(uint32_t n)
{
	return next_random(&seed) % n;
}

/* ---- two gateways ---- */

/* gate_text with a mark and counters in the rule that all packets fall under. */
const char *team_text(void)
{
	static char marked[8192];
	const char *rule = strstr(strstr(gate_text, "from trust to untrust"), "rule out"),
		   *permit = strstr(rule, "permit;") + strlen("permit;");

	snprintf(marked, sizeof marked, "%.*s dscp af11; count; %s", (int)(permit - gate_text), gate_text,
		permit);
	return marked;
}

static void team_begin(struct team *t, uint32_t n)
{
	t->n = n;
	t->on_the_way = 0;
	gate_init_team(t->gate, n, team_text(), nat, SESSIONS);
	gate_link_team(t->gate, n, t->queues, &t->on_the_way);
}

static void tables_new(void)
{
	kernel_init();
	kernel_link(GATE_LAN);
	kernel_link(GATE_WAN);
	tables = (struct carry_tables){ kernel_head, kernel_buckets, kernel_records };
	carry_tables_begin(&tables, gate_flow_key, false);
}

void begin(uint32_t workers)
{
	tables_new();
	team_begin(&carries, workers);
	team_begin(&plain, workers);
	for (uint32_t i = 0; i < workers; i++)
		assert_true(pipeline_carry(&carries.gate[i].p, &tables));
	sent = passed = lost = left = 0;
	rules_differ = false;
}

static void team_done(struct team *t)
{
	for (uint32_t i = t->n; i-- > 0;)
		gate_done(&t->gate[i]);
}

void end(void)
{
	team_done(&carries);
	team_done(&plain);
	kernel_done();
}

mono_ns now(void)
{
	return plain.gate[0].now;
}

static void team_time(struct team *t, mono_ns step)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct gate *g = &t->gate[i];
		g->now += step;
		pipeline_carry_check(&g->p);
		pipeline_carry_timers(&g->p, g->now);
		while (fw_expire(g->fw, g->now, 1000) <= g->now)
			;
		fw_sweep(g->fw, g->now, 1 + some(40));
		pipeline_notes(&g->p);
	}
	gate_run_team(t->gate, t->n);
}

void time_goes(mono_ns step)
{
	uint64_t then = seed;

	team_time(&carries, step);
	seed = then;
	team_time(&plain, step);
}

/* ---- what leaves ---- */

struct seen {
	uint32_t n;
	struct gate_out out[64];
	enum drop_reason drop;
};

static void drops_sum(const struct team *t, uint64_t ret_drops[DROP_COUNT])
{
	memset(ret_drops, 0, sizeof(uint64_t) * DROP_COUNT);
	for (uint32_t i = 0; i < t->n; i++)
		for (uint32_t k = 0; k < DROP_COUNT; k++)
			ret_drops[k] += t->gate[i].p.drops[k];
}

static void through_pipeline(
	struct team *t, uint32_t worker, uint32_t link, const struct train *train, struct seen *ret_seen)
{
	uint64_t before[DROP_COUNT], after[DROP_COUNT];
	static struct packet copies[2];
	struct packet *copy = &copies[t == &plain];
	struct train mine = *train;

	memcpy(copy->room + TRAIN_HEAD_ROOM, train->ip, train->len);
	mine.ip = copy->room + TRAIN_HEAD_ROOM;
	drops_sum(t, before);
	gate_from_link(&t->gate[worker], link, mine);
	gate_run_team(t->gate, t->n);
	drops_sum(t, after);
	for (uint32_t k = DROP_NONE + 1; k < DROP_COUNT; k++)
		if (after[k] != before[k])
			ret_seen->drop = (enum drop_reason)k;
	for (uint32_t i = 0; i < t->n; i++)
		for (uint32_t k = 0; k < t->gate[i].out_n && ret_seen->n < COUNT_OF(ret_seen->out); k++)
			ret_seen->out[ret_seen->n++] = t->gate[i].out[k];
}

uint8_t *frame_of(const struct train *t, uint32_t padding, struct kernel_packet *ret_frame, uint32_t link)
{
	uint8_t *bytes = calloc(1, ETHERNET_SIZE + t->len + padding);

	store_be16(bytes + 12, t->ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
	memcpy(bytes + ETHERNET_SIZE, t->ip, t->len);
	*ret_frame = (struct kernel_packet){ .b = { .len = ETHERNET_SIZE + t->len + padding,
						     .ifindex = link,
						     .gso_size = t->segment_size },
		.frame = bytes,
		.partial = t->csum == TRAIN_CSUM_PARTIAL };
	return bytes;
}

void (*between)(void *context); /* both programs, once: as another processor would */

/* Both, as the kernel runs them. */
enum verdict programs_run(struct kernel_packet *k)
{
	kernel_now = now();
	int kept = kernel_tap(k);
	if (between)
		between(&carries.gate[0]);
	between = NULL;
	int verdict = kernel_carry(k);
	if (verdict == TC_ACT_SHOT)
		return LOST;
	assert_true(verdict == TC_ACT_UNSPEC || verdict == TC_ACT_REDIRECT);
	assert_int_equal(kept == 0, verdict == TC_ACT_REDIRECT); /* to the socket or sent, never both */
	return verdict == TC_ACT_REDIRECT ? SENT : PASSED;
}

/* Through the programs, and what they leave through the pipeline. */
static void through_programs(uint32_t worker, uint32_t link, const struct train *train, struct seen *ret_seen)
{
	struct kernel_packet f;
	uint32_t padding = train->segment_size ? 0 : some(4) ? 0 : some(20);
	uint8_t *bytes = frame_of(train, padding, &f, link);
	struct train padded = *train;

	switch (programs_run(&f)) {
	case SENT:
		sent++;
		ret_seen->n = 1;
		ret_seen->out[0] = (struct gate_out){ .kind = GATE_OUT_LINK,
			.interface = gate_interface(&carries.gate[0], f.sent_to),
			.bytes = malloc(f.b.len - ETHERNET_SIZE),
			.n = f.b.len - ETHERNET_SIZE };
		memcpy(ret_seen->out[0].bytes, f.frame + ETHERNET_SIZE, f.b.len - ETHERNET_SIZE);
		memcpy(ret_seen->out[0].mac, f.frame, 6);
		assert_int_equal(
			ret_seen->out[0].bytes[0] >> 4 == 4 ? 0x0800 : 0x86dd, load_be16(f.frame + 12));
		break;
	case LOST:
		lost++;
		break;
	case PASSED:
		passed++;
		padded.ip = f.frame + ETHERNET_SIZE;
		padded.len = f.b.len - ETHERNET_SIZE;
		through_pipeline(&carries, worker, link, &padded, ret_seen);
	}
	free(bytes);
}

static void seen_equal(const struct seen *a, const struct seen *b)
{
	assert_int_equal(a->drop, b->drop);
	assert_int_equal(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		assert_int_equal(a->out[i].kind, b->out[i].kind);
		assert_int_equal(a->out[i].interface, b->out[i].interface);
		assert_memory_equal(a->out[i].mac, b->out[i].mac, 6);
		assert_int_equal(a->out[i].n, b->out[i].n);
		assert_memory_equal(a->out[i].bytes, b->out[i].bytes, a->out[i].n);
	}
}

/* One train through both. */
void both(uint32_t link, const struct train *t)
{
	struct seen a = { 0 }, b = { 0 };
	uint32_t worker = some(plain.n);
	uint64_t carried = sent;

	through_pipeline(&plain, worker, link, t, &b);
	through_programs(worker, link, t, &a);
	seen_equal(&a, &b);
	left += b.n > 0;
	if (sent != carried)
		free(a.out[0].bytes);
	for (uint32_t i = 0; i < plain.n; i++) {
		gate_clear(&plain.gate[i]);
		gate_clear(&carries.gate[i]);
	}
}

/* The process dies, perhaps with packets carried that it has not entered; the next one goes on with its memory. */
void team_restarts(struct team *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct gate *g = &t->gate[i];
		struct fw_limits limits = g->fw->limits;
		fw_detach(g->fw);
		g->p.fw = g->fw = fw_attach(g->memory, g->memory_n, false, &limits, g->now, NULL);
		assert_non_null(g->fw);
		if (t == &carries)
			assert_true(pipeline_carry(&g->p, &tables));
		assert_int_equal(fw_load(g->fw, g->snapshot, g->now, NULL), RC_OK);
		pipeline_changed(&g->p);
	}
	gate_join_team(t->gate, t->n);
}

/* ---- what their tables say ---- */

static const struct fw_session *find_in(struct firewall *fw, const struct fw_key *k)
{
	for (uint32_t i = 0; i < fw_sessions_used(fw); i++) {
		fw_adopt_at(fw, i);
		const struct fw_session *s = fw_session(fw, i);
		if (s && fw_key_equal(&s->key[0], k))
			return fw_session_current(fw, i, now());
	}
	return NULL;
}

const struct fw_session *find(struct team *t, const struct fw_key *k)
{
	const struct fw_session *s = NULL;

	for (uint32_t i = 0; i < t->n && !s; i++)
		s = find_in(t->gate[i].fw, k);
	return s;
}

static void sessions_equal(const struct fw_session *a, const struct fw_session *b)
{
	assert_memory_equal(a->key, b->key, sizeof a->key);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->flags, b->flags);
	for (uint32_t d = 0; d < 2; d++) {
		assert_int_equal(a->packets[d], b->packets[d]);
		assert_int_equal(a->bytes[d], b->bytes[d]);
	}
	assert_memory_equal(a->tcp, b->tcp, sizeof a->tcp);
	assert_memory_equal(&a->noted, &b->noted, sizeof a->noted);
	assert_int_equal(a->last_seen, b->last_seen);
	assert_int_equal(a->expires, b->expires);
}

void tables_equal(void)
{
	for (uint32_t i = 0; i < plain.n; i++) {
		struct firewall *a = carries.gate[i].fw, *b = plain.gate[i].fw;
		const struct pipeline *p = &carries.gate[i].p, *q = &plain.gate[i].p;
		while (!fw_sweep(a, now(), UINT32_MAX) || !fw_sweep(b, now(), UINT32_MAX)) {
		}
		assert_int_equal(fw_counters(a)->sessions_now, fw_counters(b)->sessions_now);
		for (uint32_t k = 0; k < fw_sessions_used(b); k++) {
			const struct fw_session *t = fw_session_current(b, k, now());
			const struct fw_session *s = t ? find_in(a, &t->key[0]) : NULL;
			assert_int_equal(!!s, !!t);
			if (s)
				sessions_equal(s, t);
		}
		assert_int_equal(fw_counters(a)->half_open_now, fw_counters(b)->half_open_now);
		for (uint32_t r = 0; r < p->snapshot->rules.count && !rules_differ; r++) {
			assert_int_equal(fw_rule_hits(a, r)->packets, fw_rule_hits(b, r)->packets);
			assert_int_equal(fw_rule_hits(a, r)->bytes, fw_rule_hits(b, r)->bytes);
		}
		for (uint32_t k = 0; plain.n == 1 && k < 2; k++) {
			assert_int_equal(p->interfaces[k].packets_in, q->interfaces[k].packets_in);
			assert_int_equal(p->interfaces[k].bytes_in, q->interfaces[k].bytes_in);
			assert_int_equal(p->interfaces[k].packets_out, q->interfaces[k].packets_out);
			assert_int_equal(p->interfaces[k].bytes_out, q->interfaces[k].bytes_out);
		}
		if (plain.n == 1)
			assert_int_equal(p->packets_in + p->bytes_out, q->packets_in + q->bytes_out);
	}
}

/* ---- one session ---- */

const uint8_t *options;
uint32_t back[2];

struct train of_flow(struct flow *f, uint32_t d, uint8_t flags, size_t payload)
{
	struct fw_key key = flow_key(f);
	const struct fw_session *s = find(&plain, &key);
	struct ip_addr from = fw_key_src(s ? &s->key[d] : &key), to = fw_key_dst(s ? &s->key[d] : &key);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	static struct packet packet;
	struct packet_spec spec = { .src = addr_text(src, &from),
		.dst = addr_text(dst, &to),
		.proto = key.proto,
		.src_port = s ? s->key[d].src_port : key.src_port,
		.dst_port = s ? s->key[d].dst_port : key.dst_port,
		.flags = flags,
		.seq = s ? s->tcp[d].end - back[0] : 100,
		.ack = s ? s->tcp[1 - d].end - back[1] : 0,
		.options = options,
		.options_n = options ? 4 : 0,
		.payload_n = payload };

	return packet_make(&packet, &spec);
}

void goes(struct flow *f, uint32_t d, uint8_t flags, size_t payload)
{
	struct train t = of_flow(f, d, flags, payload);

	both(d ? GATE_WAN : GATE_LAN, &t);
}

/* Is the next packet of it carried? */
bool is_carried(struct flow *f, uint32_t d)
{
	uint64_t before = sent;

	goes(f, d, TCP_ACK, 10);
	return sent > before;
}

void established(struct flow *f, uint32_t n)
{
	nat = nats[1];
	begin(1);
	flow_new(f, n);
	if (f->tcp) {
		goes(f, 0, TCP_SYN, 0);
		goes(f, 1, TCP_SYN | TCP_ACK, 0);
	}
	for (uint32_t i = 0; i < CARRIED_AFTER; i++) {
		goes(f, i & 1, TCP_ACK, 100);
		time_goes(NS_PER_MS);
	}
	assert_true(is_carried(f, 0) && is_carried(f, 1));
}
