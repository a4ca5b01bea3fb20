/*
 * The simulator of instances: several gateways behind one template. A seed chooses how many there are, how many the template takes
 * and whose networks overlap; while the network loses, repeats and delays, they come, rekey, die and are terminated, and ike and the
 * keeper of the one that answers restart. No test packet may ever be sent by the SA of another gateway than the one that its address
 * belongs to; never are there more identities than allowed; and when the network has healed, all that fit have their child SA, the
 * same on both sides.
 *
 *	sim_instances --seeds FIRST COUNT	a failing seed is printed
 *	sim_instances --seed N [--trace]	one of them again
 *	sim_instances --replay FIRST COUNT	each seed twice, in another order: both runs must be the same
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define TEMPLATE 1 /* the node that answers */

static const char *const ids[SIM_NODES_MAX] = { "a.example", NULL, "b.example", "c.example" };

struct plan {
	int nodes;
	uint32_t limit, steps;
	bool overlap; /* the first one's network has a part of the last one's */
};

static void choose_sides(struct world *w, struct sim_side sides[SIM_NODES_MAX], struct plan *plan)
{
	char text[32];

	plan->nodes = (int)world_chance(w, 3, SIM_NODES_MAX);
	plan->limit = world_happens(w, 300) ? (uint32_t)world_chance(w, 1, (uint64_t)plan->nodes - 2) : 64;
	plan->overlap = world_happens(w, 300);
	plan->steps = (uint32_t)world_chance(w, 1, 6);
	for (int i = 0; i < plan->nodes; i++) {
		struct sim_side *s = &sides[i];

		sim_side_default(s, i == TEMPLATE);
		if (i == TEMPLATE)
			continue;
		snprintf(text, sizeof text, "192.0.2.%d", 10 + i);
		s->address = sim_address(text);
		s->local_id = ids[i];
		s->remote_id = "hq.example";
		s->behind_first = (uint8_t)(i * 32);
		s->behind_last = (uint8_t)(i * 32 + 31);
		s->dpd_s = (uint32_t)world_chance(w, 5, 30);
		s->rekey_s = world_happens(w, 300) ? 120 : 14400;
		s->child_rekey_s = world_happens(w, 300) ? 90 : 3600;
	}
	if (plan->overlap) {
		sides[0].behind_first = (uint8_t)(sides[plan->nodes - 1].behind_last - 8);
		sides[0].behind_last = sides[plan->nodes - 1].behind_last;
	}
	sides[TEMPLATE].local_id = "hq.example";
	sides[TEMPLATE].remote_id = ".example";
	sides[TEMPLATE].other = (struct ip_addr){ 0 };
	sides[TEMPLATE].peer_flags = PEER_REMOTE_ANY | PEER_ID_PATTERN;
	sides[TEMPLATE].connections = (uint16_t)plan->limit;
	sides[TEMPLATE].dpd_s = (uint32_t)world_chance(w, 5, 30);
}

static void one_step(struct world *w, const struct plan *plan)
{
	int node = (int)world_chance(w, 0, (uint64_t)plan->nodes - 1), spoke = node == TEMPLATE ? 0 : node;

	switch (world_chance(w, 0, 7)) {
	case 0:
		world_order(w, TEMPLATE, IKE_ORDER_TERMINATE, ids[spoke]);
		break;
	case 1:
		world_order(w, spoke, world_happens(w, 500) ? IKE_ORDER_REKEY_IKE : IKE_ORDER_REKEY_CHILD,
			"branch");
		break;
	case 2:
		world_order(w, TEMPLATE, world_happens(w, 500) ? IKE_ORDER_REKEY_IKE : IKE_ORDER_REKEY_CHILD,
			"t0");
		break;
	case 3:
		world_restart_ike(w, node);
		break;
	case 4:
		world_restart_keeper(
			w, node, world_happens(w, 500) ? world_chance(w, 1, 10000) * NS_PER_MS : 0);
		break;
	case 5:
		w->net.cut = true;
		world_run(w, w->now + world_chance(w, 1, 90) * NS_PER_S);
		w->net.cut = false;
		break;
	default: /* away for a while, so that others get its place */
		world_order(w, spoke, IKE_ORDER_TERMINATE, "branch");
		world_run(w, w->now + world_chance(w, 0, 5000) * NS_PER_MS);
		world_order(w, spoke, IKE_ORDER_INITIATE, "branch");
		break;
	}
}

/* Gateways that have a child SA with the template: the second's data plane knows them by their addresses. */
static uint32_t served(struct world *w, bool ret_who[SIM_NODES_MAX])
{
	struct ike_child_view ch;
	uint32_t cursor = 0, n = 0;

	while (ike_view_child(w->nodes[TEMPLATE].ike, &cursor, &ch))
		for (int i = 0; i < w->nodes_n; i++)
			if (i != TEMPLATE &&
				ranges_meet(&ch.remote_ts[0].addrs,
					&(struct ip_range){ snap_selectors(w->nodes[i].snap)[0].addrs.last,
						snap_selectors(w->nodes[i].snap)[0].addrs.last }) &&
				world_sa(&w->nodes[i], ch.spi_out))
				ret_who[i] = true;
	for (int i = 0; i < w->nodes_n; i++)
		n += ret_who[i];
	return n;
}

static const char *verdict(struct world *w, const struct plan *plan, char *text, size_t size)
{
	bool who[SIM_NODES_MAX] = { 0 }, limited = plan->limit < (uint32_t)plan->nodes - 1;
	uint32_t n = served(w, who), want = limited ? plan->limit : (uint32_t)plan->nodes - 1;

	if (w->nodes[TEMPLATE].packets_astray > 0) {
		snprintf(text, size, "%lu test packets took another one's SA",
			(unsigned long)w->nodes[TEMPLATE].packets_astray);
		return text;
	}
	if (plan->overlap && who[0] && who[plan->nodes - 1])
		return "two identities have the same address";
	/* Of the two that overlap one has no child SA, and may be one of those that have a place. */
	if (n > want || n + plan->overlap < want) {
		snprintf(text, size, "%u of %d gateways have a child SA, with room for %u%s", n,
			plan->nodes - 1, plan->limit, plan->overlap ? ", two overlap" : "");
		return text;
	}
	/* Those that do not get in try without end. */
	return limited || plan->overlap ? NULL : world_mismatch(w, text, size);
}

struct totals {
	uint64_t datagrams, packets, refused, digest;
};

static const char *run(uint64_t seed, bool trace, struct totals *totals, char *text, size_t size)
{
	static struct world w;
	struct sim_side sides[SIM_NODES_MAX];
	struct plan plan = { 0 };
	const char *wrong = NULL;

	memset(&w, 0, sizeof w);
	w.random = seed ^ 0x1257;
	choose_sides(&w, sides, &plan);
	w.trace = trace;
	world_init_star(&w, seed, sides, plan.nodes);
	w.packets = !plan.overlap;
	w.net.lose = (uint32_t)world_chance(&w, 0, 250);
	w.net.repeat = (uint32_t)world_chance(&w, 0, 150);
	w.net.delay_min = 1;
	w.net.delay_max = (uint32_t)world_chance(&w, 5, 400);
	world_run(&w, w.now + 10 * NS_PER_S);
	for (uint32_t i = 0; i < plan.steps; i++) {
		one_step(&w, &plan);
		world_run(&w, w.now + world_chance(&w, 1, 40000) * NS_PER_MS);
	}
	w.net.lose = w.net.repeat = 0;
	world_say(&w, "the network heals");
	world_run(&w, w.now + 120 * NS_PER_S);
	w.packets_at = UINT64_MAX;
	/* Until what nobody knows any more has been idle for long enough. */
	for (int i = 0; i < 6; i++) {
		world_run(&w, w.now + (317 + 60 * (mono_ns)i) * NS_PER_S);
		wrong = verdict(&w, &plan, text, size);
		if (!wrong)
			break;
	}
	for (int i = 0; i < plan.nodes; i++) {
		totals->datagrams += w.nodes[i].sent;
		totals->packets += w.nodes[i].packets_got;
		totals->refused += w.nodes[i].refused;
	}
	totals->digest = w.digest;
	world_done(&w);
	return wrong;
}

static uint64_t replays_that_differ(uint64_t first, uint64_t count)
{
	uint64_t *digests = calloc(count, sizeof *digests), differ = 0;
	struct totals totals = { 0 };
	char text[512];

	if (!digests)
		abort();
	for (uint64_t i = 0; i < 2 * count; i++) {
		uint64_t k = i < count ? i : 2 * count - 1 - i;

		run(first + k, false, &totals, text, sizeof text);
		if (i >= count && totals.digest != digests[k]) {
			differ++;
			printf("seed %llu: its second run differs from the first\n",
				(unsigned long long)(first + k));
		}
		digests[k] = totals.digest;
	}
	free(digests);
	return differ;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = 100, failed = 0;
	bool trace = false, replay = false;
	struct totals totals = { 0 };
	char text[512];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0) {
			trace = true;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			first = strtoull(argv[++i], NULL, 10);
			count = 1;
		} else if ((strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--replay") == 0) &&
			   i + 2 < argc) {
			replay = argv[i][2] == 'r';
			first = strtoull(argv[++i], NULL, 10);
			count = strtoull(argv[++i], NULL, 10);
		} else {
			fprintf(stderr,
				"usage: sim_instances --seeds FIRST COUNT | --replay FIRST COUNT | --seed N [--trace]\n");
			return 2;
		}
	}
	if (replay) {
		failed = replays_that_differ(first, count);
		printf("%llu seeds run twice, %llu differ\n", (unsigned long long)count,
			(unsigned long long)failed);
		return failed ? 1 : 0;
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		const char *wrong = run(seed, trace, &totals, text, sizeof text);

		if (!wrong)
			continue;
		failed++;
		printf("seed %llu: %s (again: sim_instances --seed %llu --trace)\n", (unsigned long long)seed,
			wrong, (unsigned long long)seed);
	}
	printf("%llu seeds, %llu failed; %llu datagrams, %llu test packets, %llu refusals\n",
		(unsigned long long)count, (unsigned long long)failed, (unsigned long long)totals.datagrams,
		(unsigned long long)totals.packets, (unsigned long long)totals.refused);
	return failed ? 1 : 0;
}
