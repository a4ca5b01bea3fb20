/*
 * The session table at scale: the longest single call of whatever touches it, with as many sessions as the
 * arguments say (1000000 and 4000000 without), and the octets of memory for each of them. One JSON object a
 * line: {"name", "value", "unit"}; names end with the number of sessions. No call may take longer than 5 ms. "takeover":
 * after the death of a process, its memory mapped anew.
 *
 * Two of three sessions are translated, each is of another port or host. `longest` is by the clock, so what the
 * scheduler does to the process counts too; `longest_used` is the processor's time alone, of the kernel for the process
 * too: page faults, and interrupts that come meanwhile.
 */
#include "firewall/limits.h"
#include "world.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUDGET	   512	/* as the loop of the data plane has it */
#define EDGES	   4096 /* the same, of a policy that is prepared */
#define LOOKUPS	   2000000u
#define RULES_LINE 64

static struct world w;
static struct policy p;
static uint32_t sessions;
static int memory_fd;

static mono_ns clock_read(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (mono_ns)t.tv_sec * NS_PER_S + (mono_ns)t.tv_nsec;
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\": \"%s_%u\", \"value\": %.3f, \"unit\": \"%s\"}\n", name, sessions, value, unit);
	fflush(stdout);
}

struct moment {
	mono_ns used, now; /* of the processor, by this thread; by the clock */
};

static struct moment moment_now(void)
{
	mono_ns used = clock_read(CLOCK_THREAD_CPUTIME_ID);

	return (struct moment){ used, clock_read(CLOCK_MONOTONIC) };
}

/* Of many calls: the longest by each clock, and all together. */
struct span_of_calls {
	mono_ns longest, longest_used, sum;
};

static void call_add(struct span_of_calls *c, struct moment begin)
{
	mono_ns took = clock_read(CLOCK_MONOTONIC) - begin.now;
	mono_ns used = clock_read(CLOCK_THREAD_CPUTIME_ID) - begin.used;

	c->longest = MAX_OF(c->longest, took);
	c->longest_used = MAX_OF(c->longest_used, used);
	c->sum += took;
}

static void calls_print(const char *name, const struct span_of_calls *c)
{
	char text[64];

	snprintf(text, sizeof text, "%s_longest", name);
	print(text, (double)c->longest / 1e6, "ms");
	snprintf(text, sizeof text, "%s_longest_used", name);
	print(text, (double)c->longest_used / 1e6, "ms");
	snprintf(text, sizeof text, "%s_all", name);
	print(text, (double)c->sum / 1e6, "ms");
}

static uint64_t resident_bytes(void)
{
	unsigned long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Rules that match nothing in front of the one that permits; of `hosts` the odd ones are denied. */
static void policy_make(uint32_t rules, bool denies_some)
{
	char name[NAME_MAX_BYTES], range[RULES_LINE];

	policy_done(&p);
	policy_init(&p);
	p.half_open_max = SESSIONS_MAX;
	for (uint32_t i = 0; i + 1 < rules; i++) {
		snprintf(name, sizeof name, "r%u", i);
		snprintf(range, sizeof range, "172.16.%u.%u", i >> 8 & 255, i & 255);
		policy_rule(&p, name, TRUST, UNTRUST, range, "any", "tcp/443", RULE_DENY);
	}
	if (denies_some)
		policy_rule(&p, "some", TRUST, UNTRUST, "10.0.0.0/9", "any", "any", RULE_DENY);
	policy_rule(&p, "all", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "some", TRUST, UNTRUST, "any", "198.51.100.0-198.51.100.170", NAT_POOL,
		"203.0.113.0-203.0.113.255");
}

/* The packet of session i: UDP, so that none is half-open. */
static struct train train_of(uint32_t i)
{
	struct train t = packet_make(&w.packet, &(struct packet_spec){ .src = "10.0.0.2",
							.dst = "198.51.100.9",
							.proto = IP_UDP,
							.src_port = 1000,
							.dst_port = 53 });

	t.csum = TRAIN_CSUM_VALID;
	if (train_parse(&t) != DROP_NONE)
		abort();
	store_be32(t.src.b, 0x0a000000u | (i * 2654435761u >> 8 & 0xffffff));
	t.src_port = (uint16_t)(1024 + i % 60000);
	t.dst.b[3] = (uint8_t)i;
	t.dst_port = (uint16_t)(1 + (i >> 8) % 60000);
	t.in_zone = TRUST;
	t.out_zone = UNTRUST;
	t.tunnel = TRAIN_NONE;
	return t;
}

static void fill(void)
{
	struct span_of_calls admit = { 0 }, apply = { 0 };
	struct fw_egress egress = { .nat_addr = w.nat4 };

	for (uint32_t i = 0; i < sessions; i++) {
		struct train t = train_of(i);
		struct moment begin = moment_now();
		fw_admit(w.fw, &t, &egress, w.now);
		call_add(&admit, begin);
		if (t.drop)
			continue;
		begin = moment_now();
		fw_apply(w.fw, &t, w.now);
		call_add(&apply, begin);
		w.now += 2000;
	}
	calls_print("admit", &admit);
	calls_print("apply", &apply);
	print("sessions_begun", (double)fw_counters(w.fw)->sessions_now, "sessions");
}

static void lookups(const char *name)
{
	struct span_of_calls calls = { 0 };
	uint64_t seed = 1;

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		struct train t = train_of((uint32_t)(next_random(&seed) % sessions)), *burst[1] = { &t };
		struct moment begin = moment_now();
		fw_lookup_burst(w.fw, burst, 1, w.now);
		call_add(&calls, begin);
	}
	calls_print(name, &calls);
}

static void sweep(const char *name)
{
	struct span_of_calls calls = { 0 };

	for (bool done = false; !done;) {
		struct moment begin = moment_now();
		done = fw_sweep(w.fw, w.now, BUDGET);
		call_add(&calls, begin);
	}
	calls_print(name, &calls);
}

static void commit(const char *name, uint32_t rules, bool denies_some, uint32_t limit)
{
	struct span_of_calls calls = { 0 };
	char text[64];

	policy_make(rules, denies_some);
	p.sessions_max = limit;
	struct snapshot *s = policy_snapshot(&p);
	struct moment begin = moment_now();
	struct fw_prepared *x = fw_prepare(w.fw, s, NULL);
	call_add(&calls, begin);
	for (bool ready = !x; !ready; call_add(&calls, begin)) {
		begin = moment_now();
		if (fw_prepare_go(x, EDGES, &ready, NULL) != RC_OK)
			abort();
	}
	begin = moment_now();
	fw_load_prepared(w.fw, x, w.now);
	call_add(&calls, begin);
	free(s);
	snprintf(text, sizeof text, "load_%s", name);
	calls_print(text, &calls);
	snprintf(text, sizeof text, "sweep_%s", name);
	sweep(text);
	print("sessions_after", (double)fw_counters(w.fw)->sessions_now, "sessions");
}

static void memory_map(void)
{
	w.memory = mmap(NULL, w.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory_fd, 0);
	if (w.memory == MAP_FAILED)
		abort();
}

static void pages_zero(void *at, size_t n)
{
	if (madvise(at, n, MADV_REMOVE) < 0)
		memset(at, 0, n);
}

/* As in the data plane: not from memory that was freed before, which calloc() would have to clear. */
static void *table_new(size_t n)
{
	void *table =
		mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

static void table_free(void *table, size_t n)
{
	if (table)
		munmap(table, n);
}

/* Another process takes over, which has no page of the memory yet: the first packets, and adoption in pieces. before: so
 * many have died while they adopted. */
static void takeover(const char *name, uint32_t before)
{
	struct span_of_calls attach = { 0 }, first = { 0 }, packets = { 0 };
	uint64_t seed = 3, found = 0;
	char text[64];

	for (uint32_t i = 0; i <= before; i++) {
		if (i > 0)
			fw_sweep(w.fw, w.now, (uint32_t)fw_counters(w.fw)->adoption_left / 2);
		fw_detach(w.fw);
		munmap(w.memory, w.bytes);
		memory_map();
		w.limits.hash_key[0]++;
		struct moment begin = moment_now();
		w.fw = fw_attach(w.memory, w.bytes, false, &w.limits, w.now, NULL);
		call_add(&attach, begin);
		if (!w.fw)
			abort();
	}
	for (uint32_t i = 0; i < 10000; i++) {
		struct train t = train_of((uint32_t)(next_random(&seed) % sessions)), *burst[1] = { &t };
		struct moment begin = moment_now();
		fw_lookup_burst(w.fw, burst, 1, w.now);
		call_add(i == 0 ? &first : &packets, begin);
		found += t.session != TRAIN_NONE;
	}
	snprintf(text, sizeof text, "%s_attach", name);
	calls_print(text, &attach);
	snprintf(text, sizeof text, "%s_first_packet", name);
	calls_print(text, &first);
	snprintf(text, sizeof text, "%s_10000_packets", name);
	calls_print(text, &packets);
	snprintf(text, sizeof text, "%s_found", name);
	print(text, (double)found, "packets");
	snprintf(text, sizeof text, "%s_adoption", name);
	sweep(text);
	snprintf(text, sizeof text, "%s_sessions", name);
	print(text, (double)fw_counters(w.fw)->sessions_now, "sessions");
}

static void expire(void)
{
	struct span_of_calls calls = { 0 };

	w.now += 4000 * NS_PER_S;
	while (fw_counters(w.fw)->sessions_now > 0) {
		struct moment begin = moment_now();
		fw_expire(w.fw, w.now, BUDGET);
		call_add(&calls, begin);
	}
	calls_print("expire", &calls);
}

static void measure(uint32_t n)
{
	sessions = n;
	w = (struct world){ .limits = { .sessions_max = SESSIONS_MAX,
				    .reassembly_max = 256,
				    .zero = pages_zero,
				    .table_new = table_new,
				    .table_free = table_free },
		.now = 1000 * NS_PER_S };
	w.bytes = fw_state_bytes(SESSIONS_MAX);
	memory_fd = memfd_create("sessions", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, (off_t)w.bytes) < 0)
		abort();
	memory_map();
	uint64_t before = resident_bytes();
	w.fw = fw_attach(w.memory, w.bytes, true, &w.limits, w.now, NULL);
	if (!w.fw || addr_parse(&w.nat4, "203.0.113.1") != RC_OK)
		abort();
	commit("empty", 1000, false, SESSIONS_MAX);
	fill();
	print("memory_per_session",
		(double)(resident_bytes() - before) / (double)fw_counters(w.fw)->sessions_now, "octets");
	lookups("lookup");
	commit("1000_rules", 1000, false, SESSIONS_MAX);
	commit("10000_rules", 10000, false, SESSIONS_MAX);
	commit("100000_rules", 100000, false, SESSIONS_MAX);
	takeover("takeover", 0);
	takeover("takeover_twice", 1);
	takeover("takeover_often", FW_INDEXES);
	commit("denies_half", 10000, true, SESSIONS_MAX);
	commit("after_attach", 1000, false, SESSIONS_MAX);
	commit("lower_limit", 1000, false, n / 4);
	expire();
	fw_detach(w.fw);
	munmap(w.memory, w.bytes);
	close(memory_fd);
}

int main(int argc, char **argv)
{
	/* As in the data plane: large memory comes from the kernel, and calloc() need not clear it. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	policy_init(&p);
	for (int i = 1; i < argc; i++)
		measure((uint32_t)MIN_OF(strtoul(argv[i], NULL, 10), (unsigned long)SESSIONS_MAX));
	if (argc == 1) {
		measure(1000000);
		measure(SESSIONS_MAX);
	}
	policy_done(&p);
	return 0;
}
