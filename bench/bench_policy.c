/*
 * Large policies: what it takes to read and to compile the text of 100,000 rules with a million addresses, and what a new session
 * costs at 10, 10,000 and 100,000 rules; and the longest pieces of a commit (bench_switch.c). One JSON object a line, as bench_pipeline
 * prints them. Arguments: `compile`, `sessions`, `switch`; all without. `workers`: the last with two, four and eight workers, too.
 *
 * Each rule has an object of ten addresses as its destination, one of 256 networks as its source, and one of eight ports. A flow
 * of "spread" is of any rule; one of "last" is of none, and the last rule permits it. The three policies are measured in turn, so
 * that other work beside slows all three; ".ratio" is to 10 rules. Times of compiling are the processor's.
 */
#include "bench_policy.h"
#include "model/model.h"
#include "must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADDRESSES 10 /* of an object */
#define NETWORKS  256
#define PORTS	  8
#define FLOWS	  32768
#define TURN	  2048 /* flows of one policy, then those of the next */
#define ROUNDS	  8
#define TEXT_ROOM (64u << 20)
#define SLOT	  (TRAIN_HEAD_ROOM + 256 + TRAIN_TAIL_ROOM)

static const uint32_t sizes[] = { 10, 10000, 100000 };
static char text[TEXT_ROOM];
static size_t text_n;
static struct gate gates[COUNT_OF(sizes)];
static uint8_t slots[TRAIN_BURST_MAX][SLOT];
static double samples[COUNT_OF(sizes)][ROUNDS * FLOWS / TRAIN_BURST_MAX];

mono_ns bench_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (mono_ns)t.tv_sec * NS_PER_S + (mono_ns)t.tv_nsec;
}

void bench_print(const char *name, uint32_t rules, const char *part, double value, const char *unit)
{
	printf("{\"name\": \"policy.%s.rules%u%s\", \"value\": %.3f, \"unit\": \"%s\"}\n", name, rules, part,
		value, unit);
	fflush(stdout);
}

/* ---- the text ---- */

/* 64.0.0.0 to 71.255.255.255, each number another address and hardly ever beside one that is used, too. */
static uint32_t address_of(uint32_t rule, uint32_t i)
{
	return 0x40000000u + ((rule * ADDRESSES + i) * 2654435761u & 0x07ffffffu);
}

/* " 192.0.2.1" */
static const char *address_text(uint32_t a)
{
	static char ret[20];

	snprintf(ret, sizeof ret, " %u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	return ret;
}

/* At the end of the text. */
static __attribute__((format(printf, 1, 2))) void put(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_n += (size_t)vsnprintf(text + text_n, TEXT_ROOM - text_n, format, args);
	va_end(args);
	MUST(text_n < TEXT_ROOM);
}

static size_t text_make(uint32_t rules)
{
	text_n = 0;
	put("system { host-name gate; }\n"
	    "zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
	    "applications {\n");
	for (uint32_t i = 0; i < PORTS; i++)
		put("    application port-%u { protocol udp; destination-port %u; }\n", i, 9 + i);
	put("}\naddress-book {\n");
	for (uint32_t i = 0; i < NETWORKS; i++)
		put("    address net-%u { prefix 10.1.%u.0/24; }\n", i, i);
	for (uint32_t i = 0; i < rules; i++) {
		put("    address servers-%u {\n        prefix [", i);
		for (uint32_t j = 0; j < ADDRESSES; j++)
			put("%s", address_text(address_of(i, j)));
		put(" ];\n    }\n");
	}
	put("}\npolicy {\n    from trust to untrust {\n");
	for (uint32_t i = 0; i < rules; i++)
		put("        rule rule-%u {\n            match {\n                source net-%u;\n"
		    "                destination servers-%u;\n                application port-%u;\n            }\n"
		    "            then {\n                permit;\n            }\n        }\n",
			i, i % NETWORKS, i, i % PORTS);
	put("        rule last { match { source any; destination any; application any; } then { permit; } }\n"
	    "    }\n}\n");
	return text_n;
}

static void *compile(size_t n)
{
	struct faults faults;
	struct err e = { 0 };
	void *block = NULL;
	size_t bytes;

	if (model_read(text, n, "bench", 1, NULL, &block, &bytes, &faults, &e) != RC_OK) {
		fprintf(stderr, "bench_policy: %s\n", e.text);
		exit(1);
	}
	return block;
}

static void measure_compile(void)
{
	size_t n = text_make(10);
	uint32_t rules = 100000;

	free(compile(n)); /* the context is made */
	n = text_make(rules);
	mono_ns began = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	void *block = compile(n);
	bench_print("compile", rules, "", (double)(bench_clock(CLOCK_THREAD_CPUTIME_ID) - began) / 1e9, "s");
	bench_print("compile", rules, ".text", (double)n / 1e6, "MB");
	bench_print("compile", rules, ".snapshot", ((const struct snapshot *)block)->bytes / 1e6, "MB");
	free(block);
}

/* ---- sessions ---- */

static struct train train_at(struct gate *g, uint32_t slot, uint32_t flow, uint32_t rules, bool last)
{
	static struct packet room;
	uint32_t rule = (uint32_t)((uint64_t)(flow * 2246822519u) * rules >> 32);
	uint32_t to = last ? 0x48000000u + flow * 977 : address_of(rule, flow % ADDRESSES);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = (uint16_t)(1024 + flow % 60000),
		.dst_port = (uint16_t)(9 + rule % PORTS),
		.payload_n = 36 };

	snprintf(src, sizeof src, "10.1.%u.%u", rule % NETWORKS, 2 + flow % 200);
	snprintf(dst, sizeof dst, "%s", address_text(to) + 1); /* without the space */
	struct train t = packet_make(&room, &s);
	MUST(t.len <= 256);
	t.ip = memcpy(slots[slot] + TRAIN_HEAD_ROOM, t.ip, t.len);
	pipeline_train_from_link(&g->p, &t, gate_interface(g, GATE_LAN));
	t.csum = TRAIN_CSUM_VALID;
	return t;
}

static double burst(struct gate *g, uint32_t flow, uint32_t rules, bool last)
{
	struct train trains[TRAIN_BURST_MAX];

	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++)
		trains[i] = train_at(g, i, flow + i, rules, last);
	mono_ns begin = bench_clock(CLOCK_MONOTONIC);
	pipeline_burst(&g->p, trains, TRAIN_BURST_MAX, g->now);
	mono_ns end = bench_clock(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++)
		if (trains[i].drop != DROP_NONE) {
			fprintf(stderr, "bench_policy: a packet was dropped: %s\n",
				drop_name(trains[i].drop));
			exit(1);
		}
	return (double)(end - begin) / TRAIN_BURST_MAX;
}

void *bench_snapshot(uint32_t rules)
{
	return compile(text_make(rules));
}

void bench_sessions_begin(struct gate *g, uint32_t rules, uint32_t flow)
{
	(void)burst(g, flow, rules, false);
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure_sessions(const char *name, bool last)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t flow = 0; flow < FLOWS; flow += TURN)
			for (size_t k = 0; k < COUNT_OF(sizes); k++)
				for (uint32_t i = 0; i < TURN; i += TRAIN_BURST_MAX)
					samples[k][(round * FLOWS + flow + i) / TRAIN_BURST_MAX] =
						burst(&gates[k], flow + i, sizes[k], last);
		for (size_t k = 0; k < COUNT_OF(sizes); k++) {
			MUST(fw_counters(gates[k].fw)->sessions_now == FLOWS);
			uint32_t cursor = 0;
			while (fw_session_next(gates[k].fw, &cursor))
				fw_session_end(gates[k].fw, cursor - 1, gates[k].now);
		}
	}
	double few = 0;
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		qsort(samples[k], COUNT_OF(samples[k]), sizeof *samples[k], order);
		double ns = samples[k][COUNT_OF(samples[k]) / 2];
		few = k == 0 ? ns : few;
		bench_print(name, sizes[k], "", ns, "ns/session");
		bench_print(name, sizes[k], ".ratio", ns / few, "of 10 rules");
	}
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	if (wanted(argc, argv, "compile"))
		measure_compile();
	if (wanted(argc, argv, "switch") || wanted(argc, argv, "workers"))
		measure_switch(argc > 1 && wanted(argc, argv, "workers"));
	if (wanted(argc, argv, "sessions")) {
		for (size_t k = 0; k < COUNT_OF(sizes); k++) {
			void *block = bench_snapshot(sizes[k]);
			gate_init_bare(&gates[k], 2 * FLOWS);
			gates[k].counts_only = true;
			gate_load_block(&gates[k], block);
			free(block);
		}
		measure_sessions("spread", false);
		measure_sessions("last", true);
		for (size_t k = 0; k < COUNT_OF(sizes); k++)
			gate_done(&gates[k]);
	}
	model_done();
	return 0;
}
