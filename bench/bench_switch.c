/*
 * A commit of 100,000 rules with a million addresses while a million sessions stand: what the data plane does for it (control.c,
 * worker_timers()) is done in pieces between bursts, and the longest of each kind is what packets wait for. All of it runs in this
 * process as the loop runs it. Times are the processor's, so that other work beside does not count. Of several workers each has its
 * part of the sessions and a policy of its own, all of one snapshot; what is done for all of them in one pause is measured as one.
 */
#include "base/lines.h"
#include "bench_policy.h"
#include "ipc/snapshot_file.h"
#include "must.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RULES	     100000
#define SESSIONS     1000000
#define COMMITS	     3
#define WORKERS	     8
#define LOAD_BUDGET  4096 /* of the loop (loop.c) and of a worker (worker.c) */
#define CHECK_ROWS   8	  /* control.c */
#define SWEEP_BUDGET 512

enum piece { MAP, CHECK, BEGIN, GO, SWITCH, SWEEP, CLEAR, PIECES };
static const char *const piece_name[PIECES] = { "map", "check", "begin", "prepare", "switch", "sweep",
	"clear-hit-count" };

static struct {
	mono_ns longest, all;
	uint64_t n;
} done[PIECES];

static mono_ns began;

static void piece_begin(void)
{
	began = bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void piece_end(enum piece what)
{
	mono_ns took = bench_clock(CLOCK_THREAD_CPUTIME_ID) - began;

	done[what].longest = MAX_OF(done[what].longest, took);
	done[what].all += took;
	done[what].n++;
}

/* Of this process; the most that it has had: since memory_most_reset(). */
static double memory_mb(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	double kb = 0;

	MUST(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, what, strlen(what)) == 0)
			kb = strtod(line + strlen(what), NULL);
	fclose(f);
	return kb * 1024 / 1e6;
}

static void memory_most_reset(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	MUST(fd >= 0 && write(fd, "5", 1) == 1);
	close(fd);
}

/* As control hands it over. */
static int file_of(const struct snapshot *s)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0);
	for (size_t at = 0; at < s->bytes;) {
		ssize_t n = write(fd, (const uint8_t *)s + at, s->bytes - at);
		MUST(n > 0);
		at += (size_t)n;
	}
	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
	return fd;
}

static struct gate gates[WORKERS];

static void worker_prepare(struct gate *g, const struct snapshot *s)
{
	struct err e = { 0 };

	piece_begin();
	MUST(pipeline_prepare(&g->p, s, &e) == RC_OK);
	piece_end(BEGIN);
	for (bool ready = false; !ready;) {
		piece_begin();
		MUST(pipeline_prepare_go(&g->p, LOAD_BUDGET, &ready, &e) == RC_OK);
		piece_end(GO);
	}
}

static void worker_sweep(struct gate *g)
{
	for (bool swept = false; !swept;) {
		piece_begin();
		swept = fw_sweep(g->fw, g->now, SWEEP_BUDGET);
		piece_end(SWEEP);
	}
}

static void commit(uint32_t n, const struct snapshot *s, struct snapshot_file *loaded)
{
	struct snapshot_file next;
	struct err e = { 0 };
	struct snapshot_checking checking;
	bool ready = false;
	int fd = file_of(s);

	piece_begin();
	MUST(snapshot_file_map(&next, fd, s->bytes, &e) == RC_OK);
	MUST(snapshot_check_begin(&checking, next.snapshot, next.bytes, &e) == RC_OK);
	piece_end(MAP);
	while (!ready) {
		piece_begin();
		MUST(snapshot_check_some(&checking, LOAD_BUDGET * CHECK_ROWS, &ready, &e) == RC_OK);
		piece_end(CHECK);
	}
	for (uint32_t i = 0; i < n; i++)
		worker_prepare(&gates[i], next.snapshot);
	piece_begin();
	for (uint32_t i = 0; i < n; i++) {
		pipeline_load_prepared(&gates[i].p, gates[i].now);
		pipeline_bind(&gates[i].p, "lan0", GATE_LAN);
		pipeline_bind(&gates[i].p, "wan0", GATE_WAN);
	}
	piece_end(SWITCH);
	snapshot_file_done(loaded); /* in a thread of its own */
	*loaded = next;
	for (uint32_t i = 0; i < n; i++)
		worker_sweep(&gates[i]);
}

static void result_print(uint32_t n, uint32_t commits)
{
	char part[64], team[32] = "";

	if (n > 1)
		snprintf(team, sizeof team, ".workers%u", n);
	for (int k = 0; k < PIECES; k++) {
		snprintf(part, sizeof part, "%s.%s", team, piece_name[k]);
		bench_print("switch", RULES, part, (double)done[k].longest / 1e6, "ms at the longest");
		snprintf(part, sizeof part, "%s.%s.all", team, piece_name[k]);
		bench_print("switch", RULES, part, (double)done[k].all / commits / 1e6, "ms of a commit");
	}
	snprintf(part, sizeof part, "%s.memory.most", team);
	bench_print("switch", RULES, part, memory_mb("VmHWM:"), "MB");
}

static void measure(uint32_t n, struct snapshot *s, uint32_t commits)
{
	struct snapshot_file loaded = { 0 };
	uint64_t sessions = 0;

	for (uint32_t i = 0; i < n; i++) {
		gate_init_bare(&gates[i], s->sessions_max / n);
		gates[i].counts_only = true;
	}
	commit(n, s, &loaded);
	for (uint32_t flow = 0; flow < SESSIONS; flow += TRAIN_BURST_MAX)
		bench_sessions_begin(&gates[flow / TRAIN_BURST_MAX % n], RULES, flow);
	for (uint32_t i = 0; i < n; i++)
		sessions += fw_counters(gates[i].fw)->sessions_now;
	MUST(sessions > SESSIONS / 10 * 9);
	bench_print("switch", RULES, ".memory.before", memory_mb("VmRSS:"), "MB");
	memory_most_reset();
	memset(done, 0, sizeof done);
	for (uint32_t i = 0; i < commits; i++)
		commit(n, s, &loaded);
	piece_begin();
	for (uint32_t i = 0; i < n; i++)
		fw_rule_hits_clear(gates[i].fw, gates[i].now);
	piece_end(CLEAR);
	result_print(n, commits);
	for (uint32_t i = 0; i < n; i++)
		gate_done(&gates[i]);
	snapshot_file_done(&loaded);
}

void measure_switch(bool teams)
{
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* as the data plane's main() */
	struct snapshot *s = bench_snapshot(RULES);

	s->sessions_max = SESSIONS + SESSIONS / 8;
	measure(1, s, COMMITS);
	for (uint32_t n = 2; teams && n <= WORKERS; n *= 2)
		measure(n, s, 1);
	free(s);
}
