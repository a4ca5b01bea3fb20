/*
 * Several workers do what one does: the same packets, arriving at any of them, get the same verdicts, come out
 * the same and leave the same sessions. Once worker after worker in one thread, packet by packet, and once in
 * threads of their own, with pauses, which ThreadSanitizer can watch (-Db_sanitize=thread).
 */
#include "proc/dataplane/pause.h"
#include "talks.h"
#include "wire/flow.h"
#include "wire/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS	     40
#define ROUNDS	     300
#define SESSIONS     512
#define INPUTS	     6000 /* of one run in threads */
#define THREAD_SEEDS 6
#define WAITING_MAX  100 /* trains on the way, so that no queue is full */

static struct gate single, team[WORKERS_MAX];
static struct gate_queue queues[WORKERS_MAX];
static uint32_t workers, on_the_way;
static struct packet rooms[2];

/* The queue for those that are not known is each worker's own. */
static void is_there(struct gate *g, const char *text)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 3 }, .state = ROUTE_NEIGHBOUR_VALID
	};

	assert_int_equal(addr_parse(&n.addr, text), RC_OK);
	assert_int_equal(route_neighbour_set(g->routes, &n), RC_OK);
}

static void team_begin(uint64_t seed, uint32_t n)
{
	talks_begin(seed);
	workers = n;
	on_the_way = 0;
	gate_init(&single, gate_text, "", SESSIONS);
	gate_sa(&single, false);
	gate_init_team(team, n, gate_text, "", SESSIONS);
	for (uint32_t i = 0; i < n; i++) {
		pthread_mutex_init(&queues[i].lock, NULL);
		team[i].queues = queues;
		team[i].on_the_way = &on_the_way;
	}
	gate_sa(&team[0], false);
	is_there(&single, "10.1.0.3");
	is_there(&single, "2001:db8:1::3");
	is_there(&team[0], "10.1.0.3");
	is_there(&team[0], "2001:db8:1::3");
	for (uint32_t i = 0; i < n; i++)
		pipeline_changed(&team[i].p);
}

static void team_end(void)
{
	for (uint32_t i = workers; i-- > 0;) {
		gate_queue_run(&team[i], false);
		gate_done(&team[i]);
		pthread_mutex_destroy(&queues[i].lock);
	}
	gate_done(&single);
}

static void team_clear(void)
{
	gate_clear(&single);
	for (uint32_t i = 0; i < workers; i++)
		gate_clear(&team[i]);
}

static void everything_runs(void)
{
	while (on_the_way > 0)
		for (uint32_t i = 0; i < workers; i++)
			gate_queue_run(&team[i], true);
}

/* ---- what came of it ---- */

static void same_drops(const char *what)
{
	for (int r = 1; r < DROP_COUNT; r++) {
		uint64_t n = 0;
		for (uint32_t i = 0; i < workers; i++)
			n += team[i].p.drops[r];
		if (n != single.p.drops[r])
			fail_msg("%s: %lu dropped for %s, not %lu", what, (unsigned long)n,
				drop_name((enum drop_reason)r), (unsigned long)single.p.drops[r]);
	}
}

struct traffic {
	uint64_t in, out, sent, errors, errors_sent;
};

static struct traffic traffic_add(struct traffic t, const struct gate *g)
{
	t.in += g->p.packets_in;
	t.out += g->p.packets_out;
	t.sent += g->sent_link + g->sent_tunnel + g->sent_host;
	t.errors_sent += g->p.error_replies_sent;
	t.errors += g->p.error_replies_sent + g->p.error_replies_suppressed;
	return t;
}

/* Each worker has rates of its own for errors: all of them together may send more than one alone. */
static void same_traffic(const char *what)
{
	struct traffic one = traffic_add((struct traffic){ 0 }, &single), all = { 0 };

	for (uint32_t i = 0; i < workers; i++)
		all = traffic_add(all, &team[i]);
	if (all.in != one.in || all.out - all.errors_sent != one.out - one.errors_sent ||
		all.sent - all.errors_sent != one.sent - one.errors_sent || all.errors != one.errors ||
		all.errors_sent < one.errors_sent)
		fail_msg("%s: not as many packets: %lu and %lu in, %lu and %lu out, %lu and %lu errors", what,
			(unsigned long)all.in, (unsigned long)one.in, (unsigned long)all.out,
			(unsigned long)one.out, (unsigned long)all.errors, (unsigned long)one.errors);
}

/* The session of that key; its home is where its packets are. */
static const struct fw_session *team_session(const struct fw_key *key, uint32_t *ret_found)
{
	const struct fw_session *s, *found = NULL;

	*ret_found = 0;
	for (uint32_t i = 0; i < workers; i++)
		for (uint32_t cursor = 0; (s = fw_session_next(team[i].fw, &cursor));)
			if (memcmp(&s->key[0], key, sizeof *key) == 0) {
				found = s;
				++*ret_found;
			}
	return found;
}

static void same_sessions(const char *what)
{
	const struct fw_session *s;
	uint64_t n = 0, expected = 0;
	uint32_t cursor = 0, found;

	while ((s = fw_session_next(single.fw, &cursor))) {
		const struct fw_session *m = team_session(&s->key[0], &found);
		expected++;
		if (found != 1 || m->tcp_state != s->tcp_state || m->flags != s->flags ||
			m->rule != s->rule || m->expires != s->expires ||
			memcmp(m->packets, s->packets, sizeof s->packets) != 0 ||
			memcmp(m->bytes, s->bytes, sizeof s->bytes) != 0 ||
			memcmp(m->tcp, s->tcp, sizeof s->tcp) != 0)
			fail_msg("%s: session %u of state %s is there %u times, or another", what, s->id,
				fw_tcp_state_name(s->tcp_state), found);
	}
	for (uint32_t i = 0; i < workers; i++)
		n += fw_counters(team[i].fw)->sessions_now;
	assert_int_equal(n, expected);
}

static bool same_output(const struct gate_out *a, const struct gate_out *b)
{
	return a->kind == b->kind && a->interface == b->interface && a->n == b->n &&
	       memcmp(a->mac, b->mac, sizeof a->mac) == 0 &&
	       memcmp(&a->offload, &b->offload, sizeof a->offload) == 0 &&
	       memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* Each packet that left the one left one of the others, octet by octet. */
static void same_outputs(const char *what)
{
	for (uint32_t k = 0; k < single.out_n; k++) {
		bool found = false;
		for (uint32_t i = 0; i < workers && !found; i++)
			for (uint32_t j = 0; j < team[i].out_n && !found; j++)
				found = same_output(&single.out[k], &team[i].out[j]);
		if (!found)
			fail_msg("%s: a packet is missing", what);
	}
}

/* ---- one thread ---- */

static void time_passes(void)
{
	mono_ns pause = pick(20) ? pick(1000) * NS_PER_MS : pick(300) * NS_PER_S;

	single.now += pause;
	fw_expire(single.fw, single.now, 1000);
	for (uint32_t i = 0; i < workers; i++) {
		team[i].now += pause;
		fw_expire(team[i].fw, team[i].now, 1000);
	}
}

static void in_turn(uint32_t n)
{
	uint64_t handed_over = 0;
	char what[64];

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		team_begin(seed, n);
		for (int round = 0; round < ROUNDS; round++) {
			struct talk_input in = talk_next(NULL);
			uint32_t at = pick(n);
			struct train a = talk_train(&rooms[0], &in), b = talk_train(&rooms[1], &in);
			talk_arrives(&single, in.from, &a);
			talk_arrives(&team[at], in.from, &b);
			pipeline_burst(&single.p, &a, 1, single.now);
			pipeline_burst(&team[at].p, &b, 1, team[at].now);
			everything_runs();
			snprintf(what, sizeof what, "%u workers, seed %lu, round %d", n, (unsigned long)seed,
				round);
			same_drops(what);
			same_traffic(what);
			same_outputs(what);
			same_sessions(what);
			team_clear();
			time_passes();
		}
		for (uint32_t i = 0; i < n; i++)
			handed_over += team[i].p.trains_handed_over;
		team_end();
	}
	assert_true(n == 1 ? handed_over == 0 : handed_over > SEEDS * ROUNDS / 3);
}

static void test_in_turn(void **state)
{
	(void)state;
	in_turn(1);
	in_turn(2);
	in_turn(4);
}

/* ---- fragments ---- */

/* One datagram, each of its fragments at another worker. */
static void fragments_arrive(const struct packet_spec *s, uint32_t mtu)
{
	struct packet datagram;
	struct train whole = packet_make(&datagram, s);
	uint32_t n;

	assert_int_equal(train_parse(&whole), DROP_NONE);
	for (uint32_t i = 0;; i++) {
		struct train t[2];
		uint32_t at = pick(workers);
		for (int k = 0; k < 2; k++) {
			t[k] = (struct train){ .ip = rooms[k].room + TRAIN_HEAD_ROOM };
			t[k].len = n = (uint32_t)fragment_cut(t[k].ip, &whole, mtu, i, s->number);
			talk_arrives(k ? &team[at] : &single, GATE_LAN, &t[k]);
		}
		if (n == 0)
			return;
		pipeline_burst(&single.p, &t[0], 1, single.now);
		pipeline_burst(&team[at].p, &t[1], 1, team[at].now);
		everything_runs();
	}
}

static bool fragment_ids_differ(void)
{
	for (uint32_t i = 0; i < workers; i++)
		for (uint32_t k = 0; k < i; k++)
			if (team[i].p.fragment_id % WORKERS_MAX == team[k].p.fragment_id % WORKERS_MAX)
				return false;
	return true;
}

/* Put together by the worker where their addresses are at home, then to the flow's own. */
static void test_fragments(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 4; n++) {
		team_begin(n, n);
		for (uint16_t i = 1; i <= 200; i++) {
			bool v6 = i % 2;
			struct packet_spec s = { .src = v6 ? "2001:db8:1::2" : "10.1.0.2",
				.dst = v6 ? "2001:db8:99::9" : "192.0.2.80",
				.proto = IP_UDP,
				.src_port = (uint16_t)(1000 + i % 50),
				.dst_port = i % 7 ? 9 : 4, /* denied */
				.number = i,
				.payload_n = 100 + pick(4000) };
			fragments_arrive(&s, 600);
			same_drops("fragments");
			same_traffic("fragments");
			same_sessions("fragments");
			if (!v6) /* IPv6 gives them identifications of the gateway's */
				same_outputs("fragments");
			team_clear();
		}
		assert_true(fragment_ids_differ());
		assert_true(single.sent_link > 400);
		team_end();
	}
}

/* ---- a full queue ---- */

static void test_full(void **state)
{
	struct packet_spec s = {
		.src = "10.1.0.2", .dst = "192.0.2.80", .proto = IP_UDP, .dst_port = 9, .payload_n = 1000
	};
	uint64_t dropped;

	(void)state;
	team_begin(1, 2);
	for (uint16_t port = 1; port <= 4000; port++) {
		s.src_port = port;
		assert_int_not_equal(
			gate_from_link(&team[0], GATE_LAN, packet_make(&rooms[0], &s)), DROP_NO_ZONE);
	}
	dropped = team[0].p.drops[DROP_WORKER_QUEUE_FULL];
	assert_in_range(dropped, 1000, 3000);
	assert_int_equal(on_the_way + dropped + team[0].sent_link, 4000);
	assert_int_equal(gate_queue_run(&team[1], false), GATE_QUEUE_MAX);
	for (uint16_t port = 1; port <= 4000; port++) {
		s.src_port = port;
		gate_from_link(&team[0], GATE_LAN, packet_make(&rooms[0], &s));
		gate_queue_run(&team[1], true);
	}
	assert_int_equal(team[0].p.drops[DROP_WORKER_QUEUE_FULL], dropped);
	assert_true(team[1].sent_link > 1000);
	team_end();
}

/* ---- in threads ---- */

struct arrival {
	struct packet packet;
	struct train train;
	uint32_t worker;
};

static struct arrival *arrivals;
static struct pause together;
static uint32_t arrived; /* atomic */

/* Where the packets of a flow arrive: at one worker, so that they keep their order, which need not be its home. */
static uint32_t arrives_at(struct train t)
{
	static const uint8_t secret[16] = "not the workers'";
	const struct flow_key k = flow_key_make(secret);

	return train_parse(&t) == DROP_NONE ? flow_home(flow_hash_train(&k, &t), workers) : 0;
}

static void arrivals_make(void)
{
	for (uint32_t i = 0; i < INPUTS; i++) {
		struct talk_input in = talk_next(NULL);
		struct arrival *a = &arrivals[i];
		struct train t = talk_train(&rooms[0], &in);
		a->train = talk_train(&a->packet, &in);
		talk_arrives(&team[0], in.from, &a->train);
		a->worker = arrives_at(a->train);
		talk_arrives(&single, in.from, &t);
		pipeline_burst(&single.p, &t, 1, single.now);
	}
}

/* Its next packets, at most a burst of them; from: how far it is. */
static bool arrivals_take(uint32_t worker, uint32_t *from)
{
	struct train burst[16];
	uint32_t n = 0, looked = 0;

	for (; *from < INPUTS && n < COUNT_OF(burst); ++*from, looked++)
		if (arrivals[*from].worker == worker)
			burst[n++] = arrivals[*from].train;
	if (n > 0)
		pipeline_burst(&team[worker].p, burst, n, team[worker].now);
	if (looked > 0 && *from == INPUTS)
		__atomic_fetch_add(&arrived, 1, __ATOMIC_RELEASE);
	return looked > 0;
}

static bool all_done(void)
{
	return __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) == workers &&
	       __atomic_load_n(&on_the_way, __ATOMIC_ACQUIRE) == 0;
}

static void *worker_run(void *context)
{
	uint32_t self = (uint32_t)((struct gate *)context - team), from = 0;

	if (self > 0)
		pause_join(&together);
	for (uint32_t round = 0; !all_done(); round++) {
		if (self > 0 && pause_wanted(&together))
			pause_park(&together);
		if (self == 0 && round % 16 == 0) { /* what the others read changes */
			pause_begin(&together);
			for (uint32_t i = 0; i < workers; i++)
				pipeline_changed(&team[i].p);
			pause_end(&together);
		}
		if (__atomic_load_n(&on_the_way, __ATOMIC_RELAXED) < WAITING_MAX)
			arrivals_take(self, &from);
		gate_queue_run(&team[self], true);
	}
	if (self > 0)
		pause_leave(&together);
	return NULL;
}

static void in_threads(uint64_t seed, uint32_t n)
{
	pthread_t threads[WORKERS_MAX];
	char what[64];

	team_begin(seed, n);
	arrivals_make();
	arrived = 0;
	pause_init(&together, NULL, NULL);
	for (uint32_t i = 1; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &team[i]), 0);
	worker_run(&team[0]);
	for (uint32_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	pause_done(&together);
	snprintf(what, sizeof what, "%u threads, seed %lu", n, (unsigned long)seed);
	same_drops(what);
	same_traffic(what);
	same_sessions(what);
	team_end();
}

static void test_in_threads(void **state)
{
	(void)state;
	arrivals = calloc(INPUTS, sizeof *arrivals);
	assert_non_null(arrivals);
	for (uint64_t seed = 1; seed <= THREAD_SEEDS; seed++) {
		in_threads(seed, 1);
		in_threads(seed, 2);
		in_threads(seed, 4);
	}
	free(arrivals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
