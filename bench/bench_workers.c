/*
 * The data plane of several workers without input and output: a thread for each, with a pipeline and a firewall of
 * its own, over the routes, SAs and configuration of the first, as in the process. A step of a worker is what it has
 * in its rings and a burst of packets that arrive; the clock is around these two.
 *
 * The same packets a worker once with one worker and once with all, in turns; the figure is the median of the turns:
 * packets that have left all workers a second, and its ratio to one worker. A worker's rate is the median of its
 * steps. N workers need N idle cores. Whether they had them is measured too: how much of the time they ran.
 */
#include "bench_workers.h"

#include "base/lines.h"
#include "gate.h"
#include "proc/dataplane/rings.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS	7
#define TURN_NS (150 * NS_PER_MS)
#define STEPS	100000
#define HEADERS 128

#define BUSY	    0.95
#define SOURCES_MAX 60000
#define SLOT	    (TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM)

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }\n";

static const struct load {
	const char *name, *more, *dst;
	uint32_t flows;	  /* of each worker */
	uint32_t foreign; /* one packet in so many arrives at a worker where it is not at home; 0: none */
	bool begins;	  /* each packet begins a session */
	bool refuses;	  /* a ring may be full: one worker seals for all, or another did not get its core */
	bool divided;	  /* as many pairs of SAs as workers */
} loads[] = {
	{ "udp64", "", "192.0.2.80", 64, 0, false, false },
	{ "udp64.handed", "", "192.0.2.80", 64, 4, false, true },
	{ "udp64.flows", "", "192.0.2.80", 99968, 0, false, false },
	{ "udp64.nat", nat, "192.0.2.80", 64, 0, false, false },
	{ "udp64.tunnel", "", "10.2.0.9", 64, 0, false, true },
	{ "udp64.tunnels", "", "10.2.0.9", 64, 0, false, true, true },
	{ "new", "", "192.0.2.80", 4096, 0, true, false },
	{ "new.nat", nat, "192.0.2.80", 1024, 0, true, false },
};

struct runner {
	_Alignas(LINE_PAIR) struct gate *gate;
	struct team *team;
	uint8_t *slots, (*headers)[HEADERS];
	uint32_t packet_n, next, here, foreign; /* here, foreign: the next flow to be given */
	uint32_t steps;
	double *rate, ran; /* packets a second of each step; the part of the last turn that it ran */
	pthread_t thread;
};

struct team {
	const struct load *load;
	uint32_t n;
	struct gate *gates;
	struct runner *runners;
	struct rings rings;
	pthread_barrier_t start;
};

static void *zeroes(size_t n)
{
	void *p = lines_new(1, n);

	if (!p) {
		fprintf(stderr, "bench_pipeline: out of memory for %zu octets\n", n);
		exit(1);
	}
	return p;
}

static uint64_t clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *list, size_t n)
{
	qsort(list, n, sizeof *list, order);
	return list[n / 2];
}

/* ---- what a worker gives to another ---- */

static bool on_hand_over(void *context, uint32_t to, enum handover_kind kind, const struct train *t)
{
	const struct gate *g = context;

	return rings_put((struct rings *)g->queues, g->p.worker, to, kind, t);
}

static bool on_note(void *context, uint32_t to, const struct fw_note *note)
{
	const struct gate *g = context;

	return rings_put_note(
		(struct rings *)g->queues, g->p.worker, to, RING_NOTE_FIREWALL, note, sizeof *note);
}

static void note_read(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n)
{
	struct gate *g = context;
	struct fw_note note;

	(void)from;
	(void)kind;
	if (n != sizeof note)
		abort();
	memcpy(&note, bytes, n);
	fw_note(g->fw, &note, g->now);
	pipeline_notes(&g->p);
}

/* ---- packets ---- */

static struct train train_at(const struct runner *r, uint32_t slot, uint32_t flow)
{
	struct train t = { .ip = r->slots + (size_t)slot * SLOT + TRAIN_HEAD_ROOM, .len = r->packet_n };

	memcpy(t.ip, r->headers[flow], MIN_OF(r->packet_n, (uint32_t)HEADERS));
	pipeline_train_from_link(&r->gate->p, &t, gate_interface(r->gate, GATE_LAN));
	t.csum = TRAIN_CSUM_VALID;
	return t;
}

/* Where this runner's next flow stands that is at home with it, or elsewhere. */
static bool is_foreign(const struct load *load, uint32_t workers, uint32_t at)
{
	return workers > 1 && load->foreign > 0 && at % load->foreign == 0;
}

static bool flow_give(struct runner *r, bool foreign, const struct train *t)
{
	uint32_t *at = foreign ? &r->foreign : &r->here;

	while (*at < r->team->load->flows && is_foreign(r->team->load, r->team->n, *at) != foreign)
		++*at;
	if (*at == r->team->load->flows)
		return false;
	r->packet_n = t->len;
	memcpy(r->headers[(*at)++], t->ip, MIN_OF(t->len, (uint32_t)HEADERS));
	return true;
}

/* Each flow to the worker where it is at home, or to the one after that. Packets of a tunnel stay in its selectors,
 * so their flows differ by port. */
static void flows_share_out(struct team *team)
{
	static struct packet room;
	bool tunnel = strncmp(team->load->dst, "10.2.", 5) == 0;
	uint32_t given = 0;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	for (uint32_t i = 0; given < team->n * team->load->flows; i++) {
		uint32_t host = tunnel ? 0 : i % SOURCES_MAX;
		snprintf(src, sizeof src, "10.1.%u.%u", host / 250, 2 + host % 250);
		snprintf(dst, sizeof dst, "%s", team->load->dst);
		if (team->load->divided)
			snprintf(dst, sizeof dst, "10.2.0.%u", 256 * (i % team->n) / team->n + 9);
		struct packet_spec s = { .src = src,
			.dst = dst,
			.proto = IP_UDP,
			.src_port = (uint16_t)(1024 + (tunnel ? i : i / SOURCES_MAX)),
			.dst_port = 9,
			.payload_n = 36 };
		struct train t = packet_make(&room, &s);
		pipeline_train_from_link(&team->gates[0].p, &t, gate_interface(&team->gates[0], GATE_LAN));
		if (train_parse(&t) != DROP_NONE)
			abort();
		uint32_t home = fw_home(team->gates[0].fw, &t);
		given += flow_give(&team->runners[home], false, &t) ||
			 flow_give(&team->runners[(home + 1) % team->n], true, &t);
	}
}

/* ---- a worker ---- */

static void drops_check(const struct runner *r)
{
	for (int d = 1; d < DROP_COUNT; d++)
		if (r->gate->p.drops[d] > 0 && !(r->team->load->refuses && d == DROP_WORKER_QUEUE_FULL)) {
			fprintf(stderr, "bench_pipeline: %s: packets were dropped: %s\n", r->team->load->name,
				drop_name((enum drop_reason)d));
			exit(1);
		}
}

/* The part of all packets that found a ring full. */
static double refused(const struct team *team)
{
	uint64_t full = 0, out = 0;

	for (uint32_t i = 0; i < team->n; i++) {
		full += team->gates[i].p.drops[DROP_WORKER_QUEUE_FULL];
		out += team->gates[i].p.packets_out;
	}
	return (double)full / (double)MAX_OF(full + out, 1ull);
}

static void sessions_end(struct gate *g)
{
	uint32_t cursor = 0;

	while (fw_session_next(g->fw, &cursor))
		fw_session_end(g->fw, cursor - 1, g->now);
}

static void step(struct runner *r)
{
	struct gate *g = r->gate;
	const struct rings_reader reader = { &g->p, note_read, NULL, g };
	struct train trains[TRAIN_BURST_MAX];

	if (r->next == 0 && r->team->load->begins)
		sessions_end(g);
	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++)
		trains[i] = train_at(r, i, r->next + i);
	r->next = (r->next + TRAIN_BURST_MAX) % r->team->load->flows;
	uint64_t out = g->p.packets_out, begin = clock_of(CLOCK_MONOTONIC);
	rings_run(&r->team->rings, g->p.worker, &reader, g->now);
	pipeline_burst(&g->p, trains, TRAIN_BURST_MAX, g->now);
	uint64_t spent = clock_of(CLOCK_MONOTONIC) - begin;
	if (r->steps < STEPS)
		r->rate[r->steps++] =
			(double)(g->p.packets_out - out) * NS_PER_S / (double)MAX_OF(spent, 1ull);
}

static void *runner_run(void *context)
{
	struct runner *r = context;

	pthread_barrier_wait(&r->team->start);
	/* Sessions begin, caches fill. */
	for (uint32_t i = 0; i < r->team->load->flows; i += TRAIN_BURST_MAX)
		step(r);
	r->steps = 0;
	pthread_barrier_wait(&r->team->start);
	uint64_t begin = clock_of(CLOCK_MONOTONIC), cpu = clock_of(CLOCK_THREAD_CPUTIME_ID), now;
	do
		step(r);
	while ((now = clock_of(CLOCK_MONOTONIC)) - begin < TURN_NS);
	r->ran = (double)(clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu) / (double)(now - begin);
	return NULL;
}

/* ---- all of them ---- */

static void team_begin(struct team *team, const struct load *load, uint32_t n)
{
	*team = (struct team){ .load = load, .n = n };
	team->gates = zeroes(n * sizeof *team->gates);
	team->runners = zeroes(n * sizeof *team->runners);
	gate_init_team(team->gates, n, gate_text, load->more, 2 * load->flows + 1024);
	gate_sas(&team->gates[0], false, load->divided ? n : 1);
	if (!rings_init(&team->rings, n))
		abort();
	for (uint32_t i = 0; i < n; i++) {
		struct gate *g = &team->gates[i];
		struct runner *r = &team->runners[i];
		g->counts_only = true;
		g->queues = (void *)&team->rings; /* in the place of the tests' queues */
		g->p.io.hand_over = on_hand_over;
		g->p.io.note = on_note;
		pipeline_changed(&g->p);
		*r = (struct runner){ .gate = g, .team = team };
		r->slots = zeroes(TRAIN_BURST_MAX * SLOT);
		r->headers = zeroes(load->flows * sizeof *r->headers);
		r->rate = zeroes(STEPS * sizeof *r->rate);
	}
	flows_share_out(team);
}

static void team_end(struct team *team)
{
	rings_done(&team->rings);
	for (uint32_t i = team->n; i-- > 0;) {
		gate_done(&team->gates[i]);
		free(team->runners[i].slots);
		free(team->runners[i].headers);
		free(team->runners[i].rate);
	}
	free(team->runners);
	free(team->gates);
}

/* Packets a second of all of them; *ret_ran: of the one that ran least. */
static double turn(struct team *team, double *ret_ran)
{
	double all = 0;

	*ret_ran = 1;
	pthread_barrier_init(&team->start, NULL, team->n);
	for (uint32_t i = 0; i < team->n; i++)
		if (pthread_create(&team->runners[i].thread, NULL, runner_run, &team->runners[i]) != 0) {
			fprintf(stderr, "bench_pipeline: cannot start %u threads\n", team->n);
			exit(1);
		}
	for (uint32_t i = 0; i < team->n; i++)
		pthread_join(team->runners[i].thread, NULL);
	pthread_barrier_destroy(&team->start);
	for (uint32_t i = 0; i < team->n; i++) {
		struct runner *r = &team->runners[i];
		drops_check(r);
		all += median(r->rate, r->steps);
		*ret_ran = MIN_OF(*ret_ran, r->ran);
	}
	return all;
}

static void print(const char *load, const char *what, double value, const char *unit, uint32_t workers)
{
	printf("{\"name\": \"pipeline.workers.%s%s\", \"value\": %.2f, \"unit\": \"%s\", \"workers\": %u}\n",
		load, what, value, unit, workers);
	fflush(stdout);
}

/* True: each worker had a core of its own. */
static bool load_run(const struct load *load, uint32_t workers)
{
	static struct team one, all;
	double rate[TURNS], ratio[TURNS], ran[TURNS], alone;

	team_begin(&one, load, 1);
	team_begin(&all, load, workers);
	for (uint32_t i = 0; i < TURNS; i++) {
		double single = turn(&one, &alone);
		rate[i] = turn(&all, &ran[i]);
		ratio[i] = rate[i] / single;
		ran[i] = MIN_OF(ran[i], alone);
	}
	double full = refused(&all);
	team_end(&all);
	team_end(&one);
	double share = median(ran, TURNS);
	print(load->name, "", median(rate, TURNS), "packets/s", workers);
	print(load->name, ".ratio", median(ratio, TURNS), "of one worker", workers);
	print(load->name, ".ran", share, "of the time", workers);
	if (load->refuses)
		print(load->name, ".full", full, "of the packets", workers);
	return share >= BUSY;
}

int bench_workers(uint32_t workers, char **names, int names_n)
{
	bool idle = true;

	fprintf(stderr,
		"bench_pipeline: %u workers need %u idle cores; \".ran\" says how much of the time the "
		"slowest one had its own\n",
		workers, workers);
	for (size_t i = 0; i < COUNT_OF(loads); i++) {
		bool wanted = names_n == 0;
		for (int k = 0; k < names_n; k++)
			wanted |= strcmp(names[k], loads[i].name) == 0;
		if (wanted)
			idle &= load_run(&loads[i], workers);
	}
	if (!idle)
		fprintf(stderr,
			"bench_pipeline: the cores were not idle: these figures compare with no other run\n");
	return 0;
}
