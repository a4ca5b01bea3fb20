/*
 * The IKE core as a whole: made and freed. Events enter in input.c, keeper.c, config.c and events.c, and in
 * ike_tick().
 */
#include "ike/internal.h"

#include <stdlib.h>

/* For tables whose keys are chosen by peers: from the first cookie secret, which only we have. */
static void hash_key_make(struct ike *c, const struct ike_setup *setup)
{
	static const char label[] = "plaingate/ike/tables/v1";
	struct prf_part part = { (const uint8_t *)label, sizeof label - 1 };
	uint8_t mac[32] = { 0 };

	if (prf_run(PRF_HMAC_SHA2_256, setup->cookie_secret, sizeof setup->cookie_secret, &part, 1, mac) ==
		RC_OK)
		memcpy(c->hash_key, mac, sizeof c->hash_key);
	bytes_wipe(mac, sizeof mac);
}

struct ike *ike_core_new(const struct ike_setup *setup)
{
	struct ike *c = ike_alloc(sizeof *c);

	c->setup = *setup;
	c->setup.live_max = setup->live_max ? setup->live_max : IKE_LIVE_MAX;
	c->setup.children_max = setup->children_max ? setup->children_max : IKE_CHILDREN_MAX;
	c->setup.puzzle_hardest = setup->puzzle_hardest ? setup->puzzle_hardest : IKE_PUZZLE_HARDEST;
	c->random = setup->seed;
	c->actions_end = &c->actions;
	list_init(&c->sas);
	list_init(&c->dirty);
	list_init(&c->dirty_tunnels);
	list_init(&c->turns);
	list_init(&c->held);
	list_init(&c->solving);
	c->solving_due.kind = DUE_PUZZLES;
	list_init(&c->waiting);
	list_init(&c->failed);
	index_init(c);
	peers_new(c, 0);
	while (c->free_n < IKE_SAS_MAX) {
		c->free_slots[c->free_n] = (uint16_t)(IKE_SAS_MAX - 1 - c->free_n);
		c->free_n++;
	}
	hash_key_make(c, setup);
	c->refusal_tokens = IKE_REFUSALS_BURST;
	ike_input_cookie_secret(c, setup->cookie_secret);
	ike_input_cookie_secret(c, setup->cookie_secret);
	bytes_wipe(c->setup.cookie_secret, sizeof c->setup.cookie_secret);
	return c;
}

static void sa_free_whole(struct ike *c, struct ike_sa *sa)
{
	LIST_FOR_SAFE (struct child_sa, ch, after, &sa->children, of_sa)
		child_unlink(c, sa, ch);
	step_reset(c, sa, &sa->steps[SIDE_OWN]);
	step_reset(c, sa, &sa->steps[SIDE_PEER]);
	sa_asks_free(sa);
	sa_leave_peer(c, sa);
	due_set(c, &sa->due, 0);
	sa_memory_free(sa);
}

void ike_core_free(struct ike *c)
{
	if (!c)
		return;
	LIST_FOR_SAFE (struct ike_sa, sa, after, &c->sas, of_all) {
		/* A larval successor is in the list itself; its step must not end it a second time. */
		sa->steps[SIDE_OWN].successor = sa->steps[SIDE_PEER].successor = NULL;
		sa->steps[SIDE_OWN].child = sa->steps[SIDE_PEER].child = NULL;
		sa_free_whole(c, sa);
	}
	ike_actions_free(c);
	tunnels_free(c->tunnels, c->tunnels_n);
	peers_free(c->peers, c->peers_n);
	due_set(c, &c->solving_due, 0);
	free(c->places);
	free(c->dues);
	free(c->snap);
	free(c->anchor_hashes);
	bytes_wipe(c, sizeof *c);
	free(c);
}
