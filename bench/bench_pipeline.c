/*
 * What the data plane costs without input and output: bursts of trains through the whole pipeline, the clock
 * around pipeline_burst() alone. One JSON object a line: {"name", "value", "unit"}; the value is the median
 * of the rounds. Arguments: names of measurements to run (all without).
 *
 * --workers N [names]: N workers in threads instead, on as many idle cores (bench_workers.c).
 *
 * Headers are made new in front of each burst, outside of the clock; payloads stay as they are. So the octets
 * of a packet are in the cache, as they are when the kernel has just copied them.
 */
#include "bench_workers.h"
#include "gate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLES	   200000
#define MEASURE_NS (400 * NS_PER_MS)
#define FLOWS_MAX  100000
#define HEADERS	   128
#define SLOT	   (TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM)
#define TEXT_MAX   (1u << 22)

static struct gate g;
static uint8_t *slots;			    /* TRAIN_BURST_MAX of SLOT octets */
static uint8_t headers[FLOWS_MAX][HEADERS]; /* of each flow's packet, as it comes in */
static uint32_t packet_n, flows;
static uint16_t segment_size;
static bool from_tunnel;
static double samples[SAMPLES];

static mono_ns clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (mono_ns)t.tv_sec * NS_PER_S + (mono_ns)t.tv_nsec;
}

static void flow_address(char *ret_text, size_t n, uint32_t flow)
{
	if (flow == 0)
		snprintf(ret_text, n, "10.1.0.2");
	else
		snprintf(ret_text, n, "10.1.%u.%u", 1 + (flow >> 8) % 254, flow & 255);
}

/* The packet of each flow; packets of a tunnel stay in its selectors, so their flows differ by port. */
static void flows_make(const char *dst, uint8_t proto, size_t payload_n, uint32_t n, uint16_t size)
{
	static struct packet room;
	char src[ADDR_TEXT_MAX] = "10.1.0.2";
	bool tunnel = strncmp(dst, "10.2.", 5) == 0;

	flows = n;
	segment_size = size;
	for (uint32_t i = 0; i < n; i++) {
		if (!tunnel)
			flow_address(src, sizeof src, i % 60000);
		struct packet_spec s = { .src = from_tunnel ? dst : src,
			.dst = from_tunnel ? src : dst,
			.proto = proto,
			.src_port = (uint16_t)(1024 + i / 60000 + (tunnel ? i : 0)),
			.dst_port = proto == IP_UDP ? 9 : 80,
			.flags = TCP_SYN,
			.seq = 100,
			.payload_n = payload_n,
			.partial = size > 0 };
		struct train t = packet_make(&room, &s);
		packet_n = t.len;
		memcpy(headers[i], t.ip, MIN_OF(t.len, (uint32_t)HEADERS));
	}
}

static struct train train_at(uint32_t slot, uint32_t flow)
{
	struct train t = { .ip = slots + (size_t)slot * SLOT + TRAIN_HEAD_ROOM, .len = packet_n };

	memcpy(t.ip, headers[flow], MIN_OF(packet_n, (uint32_t)HEADERS));
	if (from_tunnel)
		pipeline_train_from_tunnel(&g.p, &t, 0);
	else
		pipeline_train_from_link(&g.p, &t, gate_interface(&g, GATE_LAN));
	t.segment_size = segment_size;
	t.csum = segment_size ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_VALID;
	return t;
}

/* One burst; returns its time. */
static mono_ns burst(uint32_t *flow, uint32_t n)
{
	struct train trains[TRAIN_BURST_MAX];

	for (uint32_t i = 0; i < n; i++) {
		trains[i] = train_at(i, *flow);
		*flow = *flow + 1 == flows ? 0 : *flow + 1;
	}
	mono_ns begin = clock_now();
	pipeline_burst(&g.p, trains, n, g.now);
	mono_ns end = clock_now();
	for (uint32_t i = 0; i < n; i++)
		if (trains[i].drop != DROP_NONE) {
			fprintf(stderr, "bench_pipeline: a packet was dropped: %s\n",
				drop_name(trains[i].drop));
			exit(1);
		}
	return end - begin;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"%s\"}\n", name, value, unit);
	fflush(stdout);
}

/*
 * The median of single bursts, less what reading the clock costs: bursts that the scheduler interrupted do
 * not count, so the figure holds on a machine that is busy.
 */
static double median(size_t n, uint32_t trains)
{
	double clock[101];

	for (size_t i = 0; i < COUNT_OF(clock); i++) {
		mono_ns begin = clock_now();
		clock[i] = (double)(clock_now() - begin);
	}
	qsort(clock, COUNT_OF(clock), sizeof *clock, order);
	qsort(samples, n, sizeof *samples, order);
	return (samples[n / 2] - clock[COUNT_OF(clock) / 2]) / trains;
}

/* Nanoseconds a train, in bursts of n. */
static double measure(uint32_t n)
{
	uint32_t flow = 0, count = 0;
	mono_ns spent = 0;

	for (uint32_t i = 0; i < flows; i += n) /* sessions begin, caches fill */
		burst(&flow, n);
	flow = 0;
	while (count < SAMPLES && (spent < MEASURE_NS || count < 1001)) {
		mono_ns one = burst(&flow, n);
		spent += one;
		samples[count++] = (double)one;
	}
	return median(count, n);
}

/* Sessions that begin: each packet is of a new flow; the table is emptied outside of the clock. */
static double measure_new(void)
{
	uint32_t count = 0;

	for (int r = 0; r < 10; r++) {
		uint32_t flow = 0, cursor = 0;
		for (uint32_t n = 0; n + TRAIN_BURST_MAX <= flows; n += TRAIN_BURST_MAX)
			samples[count++] = (double)burst(&flow, TRAIN_BURST_MAX);
		while (fw_session_next(g.fw, &cursor))
			fw_session_end(g.fw, cursor - 1, g.now);
	}
	return median(count, TRAIN_BURST_MAX);
}

/* ---- what the tunnel brings ---- */

static struct gate peer;

/* Takes what the other end sealed, as the tunnel's sockets do: opened, joined into trains, through the
 * pipeline. */
static double measure_open(void)
{
	static uint8_t room[1 << 18];
	static struct segment_joiner joiner;
	struct train trains[SEGMENT_TRAINS_MAX];
	uint32_t flow = 0, count = 0;

	while (count < 4000) {
		gate_clear(&peer);
		struct train t = train_at(0, flow);
		pipeline_train_from_link(&peer.p, &t, gate_interface(&peer, GATE_LAN));
		t.segment_size = segment_size;
		t.csum = segment_size ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_VALID;
		pipeline_burst(&peer.p, &t, 1, peer.now);
		uint32_t sealed = peer.out_n, opened_n = 0;
		mono_ns begin = clock_now();
		segment_join_begin(&joiner, room, sizeof room);
		for (uint32_t i = 0; i < sealed; i++) {
			struct esp_opened o;
			uint8_t *spot = segment_join_spot(&joiner, peer.out[i].n);
			esp_open(g.esp, peer.out[i].bytes, peer.out[i].n, 0, spot, g.now, &o);
			if (o.drop == DROP_NONE)
				segment_join_take(&joiner, spot, o.n, o.tunnel);
			else
				segment_join_leave(&joiner, spot);
			opened_n += o.drop == DROP_NONE;
		}
		segment_join_end(&joiner);
		for (uint32_t i = 0; i < joiner.n; i++) {
			trains[i] = (struct train){ .ip = joiner.list[i].ip, .len = joiner.list[i].len };
			pipeline_train_from_tunnel(&g.p, &trains[i], 0);
			trains[i].segment_size = joiner.list[i].segment_size;
			trains[i].csum = joiner.list[i].csum;
		}
		pipeline_burst(&g.p, trains, joiner.n, g.now);
		samples[count++] = (double)(clock_now() - begin);
		if (opened_n != sealed || trains[0].drop != DROP_NONE) {
			fprintf(stderr, "bench_pipeline: %u of %u packets opened\n", opened_n, sealed);
			exit(1);
		}
	}
	return median(count, 1);
}

/* peer has the far LAN: its packets go from 10.2.0.9 to 10.1.0.2, by a configuration that mirrors ours. */
static void peer_init(void)
{
	static char text[1 << 14];
	const char *at = gate_text;
	size_t n = 0;

	for (; *at; at++) { /* local and remote change places */
		if (strncmp(at, "10.1.0.0/24", 11) == 0 || strncmp(at, "10.2.0.0/24", 11) == 0) {
			n += (size_t)snprintf(
				text + n, sizeof text - n, "10.%c.0.0/24", at[3] == '1' ? '2' : '1');
			at += 10;
		} else if (strncmp(at, "2001:db8:1::/64", 15) == 0 ||
			   strncmp(at, "2001:db8:2::/64", 15) == 0) {
			n += (size_t)snprintf(
				text + n, sizeof text - n, "2001:db8:%c::/64", at[9] == '1' ? '2' : '1');
			at += 14;
		} else {
			text[n++] = *at;
		}
	}
	text[n] = '\0';
	gate_init(&peer, text, "", 1000);
	struct route_entry e = { .link = GATE_LAN, .kind = ROUTE_UNICAST };
	prefix_parse(&e.dst, "10.2.0.0/24");
	route_set(peer.routes, &e, ROUTE_REPLACE);
	gate_sa(&peer, true);
}

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }\n";

/* The usual text with so many rules in front of the one that matches, each of a source network and a port of
 * its own. */
static const char *rules_make(uint32_t n)
{
	static char text[TEXT_MAX];
	static const char mark[] = "  from trust to untrust {\n";
	const char *at = strstr(gate_text, mark) + strlen(mark);
	size_t used = (size_t)snprintf(text, TEXT_MAX, "address-book {\n");

	for (uint32_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, TEXT_MAX - used,
			"address a%u { prefix 10.%u.%u.0/24; }\n", i, 100 + i / 250, i % 250);
	used += (size_t)snprintf(text + used, TEXT_MAX - used, "}\n%.*s", (int)(at - gate_text), gate_text);
	for (uint32_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, TEXT_MAX - used,
			"rule r%u { match { source a%u; destination any; application load; } then { deny; } "
			"}\n",
			i, i);
	snprintf(text + used, TEXT_MAX - used, "%s", at);
	return text;
}

/* Every screen of the zone that packets come from. */
static const char *screens_make(bool on)
{
	static char text[16384];
	static const char zone[] = "zone trust { ";
	static const char all[] =
		"screens { screen all { icmp { fragment; large; ping-death; icmpv6-malformed; flood { } ip-sweep { } }\n"
		"ip { bad-option; record-route-option; timestamp-option; security-option; stream-option; loose-source-route-option;\n"
		"strict-source-route-option; source-route-option; block-frag; tear-drop; spoofing strict; unknown-protocol;\n"
		"ipv6-malformed-header; ipv6-extension-header-limit 2; ipv6-extension-header { routing-header; }\n"
		"tunnel { teredo; nested; bad-inner-header; ipip-6in4; gre-4in4; } }\n"
		"tcp { land; winnuke; syn-frag; tcp-no-flag; syn-fin; fin-no-ack; port-scan { } tcp-sweep { } syn-flood { } }\n"
		"udp { flood { threshold 1000000; } port-scan { } udp-sweep { } }\n"
		"limit-session { source-ip-based 1000; destination-ip-based 100000; source-session-rate 1000000; } } }\n";
	const char *at = strstr(gate_text, zone) + strlen(zone);

	snprintf(text, sizeof text, "%s%.*s%s%s", on ? all : "", (int)(at - gate_text), gate_text,
		on ? " screen all; " : "", at);
	return text;
}

/* Sessions of datagrams that both sides take part in, with all screens and with none: packets of both in turn, so that other
 * work beside it slows both. */
static void measure_screens(void)
{
	double ns[2] = { 0 };

	for (int round = 0; round < 4; round++) {
		bool on = round % 2;
		gate_init(&g, screens_make(on), "", 2 * FLOWS_MAX);
		g.counts_only = true;
		g.now = NS_PER_S;
		flows_make("192.0.2.80", IP_UDP, 36, 64, 0);
		for (uint32_t i = 0; i < flows; i++) {
			static struct packet room;
			char host[ADDR_TEXT_MAX];
			flow_address(host, sizeof host, i);
			struct packet_spec back = { .src = "192.0.2.80",
				.dst = host,
				.proto = IP_UDP,
				.src_port = 9,
				.dst_port = 1024 };
			pipeline_burst(&g.p, &(struct train[]){ train_at(0, i) }[0], 1, clock_now());
			gate_from_link(&g, GATE_WAN, packet_make(&room, &back));
		}
		double once = measure(64);
		/* All pass but the answers, whose receivers have no link address. */
		assert(g.p.packets_out + flows >= g.p.packets_in);
		ns[on] = round < 2 || once < ns[on] ? once : ns[on];
		gate_done(&g);
	}
	print("pipeline.udp64.answered", ns[0], "ns/packet");
	print("pipeline.udp64.screens", ns[1], "ns/packet");
	print("pipeline.udp64.screens.cost", 100 * (ns[1] / ns[0] - 1), "percent");
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

static const struct {
	const char *name, *unit, *more, *dst;
	uint8_t proto;
	uint16_t size;
	size_t payload_n;
	uint32_t flows, burst;
	bool from_tunnel;
} cases[] = {
	{ "pipeline.udp64", "ns/packet", "", "192.0.2.80", IP_UDP, 0, 36, 64, 64, false },
	{ "pipeline.udp64.alone", "ns/packet", "", "192.0.2.80", IP_UDP, 0, 36, 64, 1, false },
	{ "pipeline.udp64.flows", "ns/packet", "", "192.0.2.80", IP_UDP, 0, 36, FLOWS_MAX, 64, false },
	{ "pipeline.udp64.nat", "ns/packet", nat, "192.0.2.80", IP_UDP, 0, 36, 64, 64, false },
	{ "pipeline.udp1400.nat", "ns/packet", nat, "192.0.2.80", IP_UDP, 0, 1372, 64, 64, false },
	{ "pipeline.train.nat", "ns/train", nat, "192.0.2.80", IP_UDP, 1400, 64400, 16, 16, false },
	{ "pipeline.udp64.tunnel", "ns/packet", "", "10.2.0.9", IP_UDP, 0, 36, 64, 64, false },
	{ "pipeline.udp1400.tunnel", "ns/packet", "", "10.2.0.9", IP_UDP, 0, 1372, 64, 64, false },
	{ "pipeline.train.tunnel", "ns/train", "", "10.2.0.9", IP_UDP, 1400, 64400, 16, 16, false },
	{ "pipeline.udp64.opened", "ns/packet", "", "10.2.0.9", IP_UDP, 0, 36, 64, 64, true },
};

static const struct {
	const char *name, *more;
	uint32_t rules;
} beginnings[] = {
	{ "pipeline.new.rules0", "", 0 },
	{ "pipeline.new.rules1000", "", 1000 },
	{ "pipeline.new.rules10000", "", 10000 },
	{ "pipeline.new.nat", nat, 0 },
};

/* --workers N: returns N; 0: it is something else. */
static uint32_t workers_asked(int argc, char **argv)
{
	char *end;

	if (argc < 2 || strcmp(argv[1], "--workers") != 0)
		return 0;
	unsigned long n = argc > 2 ? strtoul(argv[2], &end, 10) : 0;
	if (n < 1 || n > WORKERS_MAX || *end != '\0') {
		fprintf(stderr, "bench_pipeline: --workers must be followed by a number from 1 to %d\n",
			WORKERS_MAX);
		exit(2);
	}
	return (uint32_t)n;
}

int main(int argc, char **argv)
{
	uint32_t workers = workers_asked(argc, argv);

	if (workers > 0)
		return bench_workers(workers, argv + 3, argc - 3);
	slots = calloc(TRAIN_BURST_MAX, SLOT);
	if (!slots)
		return 1;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (!wanted(argc, argv, cases[i].name))
			continue;
		gate_init(&g, gate_text, cases[i].more, 2 * FLOWS_MAX);
		g.counts_only = true;
		gate_sa(&g, false);
		from_tunnel = cases[i].from_tunnel;
		flows_make(cases[i].dst, cases[i].proto, cases[i].payload_n, cases[i].flows, cases[i].size);
		print(cases[i].name, measure(cases[i].burst), cases[i].unit);
		gate_done(&g);
	}
	from_tunnel = false;
	for (size_t i = 0; i < COUNT_OF(beginnings); i++) {
		if (!wanted(argc, argv, beginnings[i].name))
			continue;
		gate_init(&g, rules_make(beginnings[i].rules), beginnings[i].more, 2 * FLOWS_MAX);
		g.counts_only = true;
		flows_make("192.0.2.80", IP_UDP, 36, 20000, 0);
		print(beginnings[i].name, measure_new(), "ns/session");
		gate_done(&g);
	}
	if (wanted(argc, argv, "pipeline.udp64.screens"))
		measure_screens();
	if (wanted(argc, argv, "pipeline.train.from-tunnel")) {
		gate_init(&g, gate_text, "", 1000);
		g.counts_only = true;
		gate_sa(&g, false);
		peer_init();
		from_tunnel = true;
		flows_make("10.2.0.9", IP_UDP, 64400, 1, 1400);
		print("pipeline.train.from-tunnel", measure_open(), "ns/train");
		gate_done(&peer);
		gate_done(&g);
	}
	free(slots);
	return 0;
}
