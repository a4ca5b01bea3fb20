/*
 * Additional key exchanges (RFC 9370) between two cores and two keepers in the simulator's world: both methods, both in
 * either order, in parts and whole, with cookies; what is chosen when the two sides differ; that one who requires them gets
 * nothing less, on each side. Lost, repeated and damaged messages: sim_ike. ML-KEM is that of toy_mlkem.c.
 */
#include "wire/ike_codec.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world w;

static void defaults(struct sim_side sides[2])
{
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
}

/* The algorithms of the established IKE SA of that side, as `show ike` has them. */
static const char *algorithms(int side)
{
	static char row[8192];
	uint32_t cursor = 0;
	char *at;

	while (ike_show(w.nodes[side].ike, w.now, &cursor, row, sizeof row) > 0) {
		if (!strstr(row, "established") || !(at = strstr(row, "\"algorithms\":\"")))
			continue;
		at += strlen("\"algorithms\":\"");
		at[strcspn(at, "\"")] = '\0';
		return at;
	}
	return "";
}

static void add(struct sim_side *s, uint32_t k, uint16_t first, uint16_t second)
{
	s->ike[k] = s->ike[0];
	s->ike[k].additional[0] = first;
	s->ike[k].additional[1] = second;
	s->ike_n = s->ike_n > k ? s->ike_n : k + 1;
}

static void both_have(void **state)
{
	static const struct {
		uint16_t list[2];
		const char *text;
	} cases[] = { { { 0, 0 }, "aes256gcm16-prfsha256-x25519" },
		{ { MLKEM_768, 0 }, "aes256gcm16-prfsha256-x25519-ml-kem-768" },
		{ { MLKEM_1024, 0 }, "aes256gcm16-prfsha256-x25519-ml-kem-1024" },
		{ { MLKEM_768, MLKEM_1024 }, "aes256gcm16-prfsha256-x25519-ml-kem-768-ml-kem-1024" },
		{ { MLKEM_1024, MLKEM_768 }, "aes256gcm16-prfsha256-x25519-ml-kem-1024-ml-kem-768" } };
	struct sim_side sides[2];
	uint32_t ike_sas;

	for (size_t k = 0; k < COUNT_OF(cases); k++)
		for (int kind = 0; kind < 3; kind++) {
			defaults(sides);
			for (int i = 0; i < 2; i++) {
				add(&sides[i], 0, cases[k].list[0], cases[k].list[1]);
				sides[i].fragment_size = kind == 1 ? 200 : kind == 2 ? 0 : 1280;
			}
			sides[1].cookie_above = kind == 2 ? 0 : 64;
			world_init(&w, 1, sides);
			world_run(&w, 5 * NS_PER_S);
			for (int round = 0; round < 2;
				round++) { /* and after a rekey: they stay in its keys */
				assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
				assert_string_equal(algorithms(0), cases[k].text);
				assert_string_equal(algorithms(1), cases[k].text);
				world_order(&w, 0, IKE_ORDER_REKEY_IKE, "t0");
				world_run(&w, 10 * NS_PER_S);
			}
			assert_int_equal(w.nodes[0].refused + w.nodes[1].refused, 0);
			world_done(&w);
		}
}

/* What went of one kind of exchange. */
static uint32_t followups;

static void count_followups(struct world *in, int from, const uint8_t *bytes, size_t n)
{
	followups += n > 28 && bytes[18] == EX_IKE_FOLLOWUP_KE;
}

/* A rekey has them again, in IKE_FOLLOWUP_KE; whoever begins, and also when both do at once. */
static void a_rekey_follows_up(void **state)
{
	static const uint16_t lists[][2] = { { 0, 0 }, { MLKEM_768, 0 }, { MLKEM_768, MLKEM_1024 } };
	struct sim_side sides[2];
	uint32_t ike_sas;

	for (size_t k = 0; k < COUNT_OF(lists); k++)
		for (unsigned who = 1; who <= 3; who++)
			for (uint64_t seed = 1; seed <= 4; seed++) {
				defaults(sides);
				for (int i = 0; i < 2; i++)
					add(&sides[i], 0, lists[k][0], lists[k][1]);
				world_init(&w, seed, sides);
				w.on_datagram = count_followups;
				world_run(&w, 5 * NS_PER_S);
				followups = 0;
				for (int i = 0; i < 2; i++)
					if (who >> i & 1)
						world_order(&w, i, IKE_ORDER_REKEY_IKE, "t0");
				world_run(&w, 60 * NS_PER_S);
				if (world_tunnels_up(&w, &ike_sas) != 1 || ike_sas != 1)
					fail_msg("list %zu, by %u, seed %u: %u IKE SAs", k, who,
						(unsigned)seed, ike_sas);
				assert_int_equal(w.nodes[0].refused + w.nodes[1].refused, 0);
				/* some are repeated */
				assert_true(followups >= 2u * ((lists[k][0] != 0) + (lists[k][1] != 0)));
				assert_true(lists[k][0] != 0 || followups == 0);
				world_done(&w);
			}
}

static mono_ns cut_until;

/* The network is gone from the first IKE_FOLLOWUP_KE on, for longer than its state stands. */
static void cut_at_followup(struct world *in, int from, const uint8_t *bytes, size_t n)
{
	if (cut_until == 0 && n > 28 && bytes[18] == EX_IKE_FOLLOWUP_KE)
		cut_until = in->now + (IKE_FOLLOWUP_S + 2) * NS_PER_S;
	in->net.cut = in->now < cut_until;
	followups += n > 28 && bytes[18] == EX_IKE_FOLLOWUP_KE;
}

static void state_that_is_gone(void **state)
{
	struct sim_side sides[2];
	uint32_t ike_sas;

	defaults(sides);
	for (int i = 0; i < 2; i++)
		add(&sides[i], 0, MLKEM_768, 0);
	world_init(&w, 1, sides);
	w.on_datagram = cut_at_followup;
	world_run(&w, 5 * NS_PER_S);
	followups = 0;
	cut_until = 0;
	world_order(&w, 0, IKE_ORDER_REKEY_IKE, "t0");
	world_run(&w, 90 * NS_PER_S);
	assert_true(cut_until > 0 && followups > 4); /* repeated, refused, and again from the start */
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
	assert_int_equal(ike_sas, 1);
	assert_string_equal(algorithms(0), "aes256gcm16-prfsha256-x25519-ml-kem-768");
	assert_int_equal(w.nodes[0].refused + w.nodes[1].refused, 0);
	world_done(&w);
}

/* The responses to the request with that number are lost, for as long as one takes to be sent. */
static struct {
	uint32_t id;
	mono_ns since;
} lost;

static void lose_answers(struct world *in, int from, const uint8_t *bytes, size_t n)
{
	bool is_it = n > 28 && bytes[18] == EX_IKE_INTERMEDIATE && bytes[19] & IKE_FLAG_RESPONSE &&
		     load_be32(bytes + 20) == lost.id;

	if (is_it && lost.since == 0)
		lost.since = in->now;
	in->net.cut = is_it && in->now - lost.since < 100 * NS_PER_MS;
}

/* Each of them is sent again when its request comes again, the last one as well: after it another exchange is expected. */
static void a_lost_answer(void **state)
{
	static const uint16_t fragments[] = { 0, 200, 1280 };
	struct sim_side sides[2];
	uint32_t ike_sas;

	for (uint32_t id = 1; id <= 2; id++)
		for (size_t k = 0; k < COUNT_OF(fragments); k++) {
			defaults(sides);
			for (int i = 0; i < 2; i++) {
				add(&sides[i], 0, MLKEM_768, MLKEM_1024);
				sides[i].fragment_size = fragments[k];
			}
			world_init(&w, 1, sides);
			lost.id = id;
			lost.since = 0;
			w.on_datagram = lose_answers;
			world_run(&w, 10 * NS_PER_S);
			assert_int_not_equal(lost.since, 0);
			if (world_tunnels_up(&w, &ike_sas) != 1)
				fail_msg("answer %u lost, parts of %u: not up", id, fragments[k]);
			assert_string_equal(
				algorithms(0), "aes256gcm16-prfsha256-x25519-ml-kem-768-ml-kem-1024");
			assert_int_equal(w.nodes[0].refused + w.nodes[1].refused, 0);
			world_done(&w);
		}
}

static uint32_t fell_back[2];

static void listen(struct world *in, int node, bool warning, const char *text)
{
	fell_back[node] +=
		warning && strstr(text, "has no additional key exchange (ML-KEM), which is configured");
}

/* Whoever could have had it is told that it is not there, once, and nobody else. */
static void told_of_it(const char *name, int side, const uint16_t list[2], bool lacks, const char *end)
{
	bool could = !lacks && (list[0] != 0 || list[1] > 1), without = end && strcmp(end, "x25519") == 0;

	if (fell_back[side] != (could && without))
		fail_msg("%s: side %d was told %u times", name, side, fell_back[side]);
}

/* hq begins. What both have is chosen by the responder's order; what one requires is not left out. */
static void the_sides_differ(void **state)
{
	enum { NONE, FIRST_BOTH, ONLY, WEAK };
	static const struct {
		const char *name;
		uint16_t lists
			[2]
			[2]; /* of each side: the first of a proposal, and of another one; 1: there is no other */
		bool lacks[2],
			requires[
				2];
		const char *end; /* NULL: nothing comes up, and `why` is said by `who` */
		int who;
		const char *why;
	} cases[] = {
		{ "the initiator prefers it", { { 36, 0 }, { 0, 1 } }, { 0 }, { 0 }, "x25519", 0, NULL },
		{ "the responder prefers it", { { 0, 1 }, { 36, 0 } }, { 0 }, { 0 }, "x25519", 0, NULL },
		{ "both prefer it", { { 36, 0 }, { 36, 0 } }, { 0 }, { 0 }, "ml-kem-768", 0, NULL },
		{ "the responder prefers none", { { 36, 0 }, { 0, 36 } }, { 0 }, { 0 }, "x25519", 0, NULL },
		{ "the responder prefers the larger", { { 36, 37 }, { 37, 36 } }, { 0 }, { 0 }, "ml-kem-1024",
			0, NULL },
		{ "the initiator's libcrypto lacks it", { { 36, 0 }, { 36, 0 } }, { 1, 0 }, { 0 }, "x25519",
			0, NULL },
		{ "the responder's libcrypto lacks it", { { 36, 0 }, { 36, 0 } }, { 0, 1 }, { 0 }, "x25519",
			0, NULL },
		{ "both require it", { { 36, 0 }, { 0, 36 } }, { 0 }, { 1, 1 }, "ml-kem-768", 0, NULL },
		{ "the initiator requires it", { { 0, 36 }, { 0, 36 } }, { 0 }, { 1, 0 }, "ml-kem-768", 0,
			NULL },
		{ "the initiator requires what is not there", { { 36, 1 }, { 0, 1 } }, { 0 }, { 0 }, NULL, 1,
			"additional key exchange" },
		{ "the responder requires what is not there", { { 0, 1 }, { 36, 1 } }, { 0 }, { 0 }, NULL, 1,
			"the peer offered no additional key exchange" },
		{ "required, and the responder's libcrypto lacks it", { { 36, 0 }, { 36, 0 } }, { 0, 1 },
			{ 1, 1 }, NULL, 1, "libcrypto" },
	};
	struct sim_side sides[2];
	uint32_t ike_sas;

	for (size_t k = 0; k < COUNT_OF(cases); k++) {
		defaults(sides);
		for (int i = 0; i < 2; i++) {
			add(&sides[i], 0, cases[k].lists[i][0], 0);
			if (cases[k].lists[i][1] != 1)
				add(&sides[i], 1, cases[k].lists[i][1], 0);
			sides[i].no_mlkem = cases[k].lacks[i];
			sides[i].peer_flags |= cases[k].
						       requires[
								       i]
								       ? PEER_REQUIRE_PQ
								       : 0;
		}
		world_init(&w, 1, sides);
		w.on_log = listen;
		fell_back[0] = fell_back[1] = 0;
		world_run(&w, 8 * NS_PER_S);
		for (int i = 0; i < 2; i++)
			told_of_it(cases[k].name, i, cases[k].lists[i], cases[k].lacks[i], cases[k].end);
		if (world_tunnels_up(&w, &ike_sas) != (cases[k].end ? 1u : 0u))
			fail_msg("%s: %u tunnels are up", cases[k].name, world_tunnels_up(&w, &ike_sas));
		for (int i = 0; cases[k].end && i < 2; i++) {
			const char *text = algorithms(i);
			size_t n = strlen(text), end_n = strlen(cases[k].end);

			if (n < end_n || strcmp(text + n - end_n, cases[k].end) != 0)
				fail_msg("%s: side %d has %s", cases[k].name, i, text);
		}
		if (!cases[k].end && !strstr(w.nodes[cases[k].who].last_refusal, cases[k].why))
			fail_msg("%s: '%s'", cases[k].name, w.nodes[cases[k].who].last_refusal);
		world_done(&w);
	}
}

/* Nothing that this machine could use is left: it is said, and nothing is sent. */
static void nothing_is_usable(void **state)
{
	struct sim_side sides[2];
	uint32_t ike_sas, cursor = 0;
	char row[8192];
	bool said = false;

	defaults(sides);
	for (int i = 0; i < 2; i++)
		add(&sides[i], 0, MLKEM_768, 0);
	sides[0].no_mlkem = true;
	world_init(&w, 1, sides);
	world_run(&w, 5 * NS_PER_S);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 0);
	assert_int_equal(w.nodes[0].sent, 0);
	while (ike_show(w.nodes[0].ike, w.now, &cursor, row, sizeof row) > 0)
		said |= strstr(row, "need libcrypto 3.5 or later") != NULL;
	assert_true(said);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_have),
		cmocka_unit_test(a_rekey_follows_up),
		cmocka_unit_test(state_that_is_gone),
		cmocka_unit_test(a_lost_answer),
		cmocka_unit_test(the_sides_differ),
		cmocka_unit_test(nothing_is_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
