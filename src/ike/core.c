/*
 * The IKE core as a whole: making and freeing it, its action queue, chance. Events enter in events.c.
 */
#include "ike/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *ike_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort(); /* limits bound what is asked for; a machine without that is beyond help here */
	return p;
}

void blob_set(struct blob *b, const void *bytes, size_t n)
{
	uint8_t *copy = ike_alloc(n ? n : 1);

	if (n)
		memcpy(copy, bytes, n);
	free(b->at);
	*b = (struct blob){ copy, n };
}

void blob_free(struct blob *b)
{
	free(b->at);
	*b = (struct blob){ 0 };
}

void nonce_set(struct nonce *v, const void *bytes, size_t n)
{
	memset(v, 0, sizeof *v);
	if (n > sizeof v->bytes)
		n = sizeof v->bytes;
	memcpy(v->bytes, bytes, n);
	v->n = (uint16_t)n;
}

/* RFC 7296 2.8.1: "lowest" as octet strings, a shorter one before a longer one that it begins. */
int nonce_compare(const struct nonce *a, const struct nonce *b)
{
	int order = memcmp(a->bytes, b->bytes, MIN_OF(a->n, b->n));

	return order ? order : (int)a->n - (int)b->n;
}

const struct nonce *nonce_lower(const struct nonce *a, const struct nonce *b)
{
	return nonce_compare(a, b) <= 0 ? a : b;
}

/* For tables whose keys strangers choose: from the secret of the first cookies, which nobody else knows. */
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
	c->random = setup->seed;
	c->actions_end = &c->actions;
	list_init(&c->sas);
	list_init(&c->dirty);
	list_init(&c->dirty_tunnels);
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

static void action_free(struct action_node *node)
{
	if (!node)
		return;
	free(node->a.bytes);
	if (node->a.kind == IKE_ASK)
		free(node->a.keeper);
	if (node->a.kind == IKE_REFUSED)
		free(node->a.refusal);
	free(node);
}

static void sa_free_whole(struct ike *c, struct ike_sa *sa)
{
	LIST_FOR_SAFE (struct child_sa, ch, after, &sa->children, of_sa)
		child_unlink(c, sa, ch);
	step_reset(c, sa, &sa->steps[SIDE_OWN]);
	step_reset(c, sa, &sa->steps[SIDE_PEER]);
	sa_asks_free(sa);
	due_set(c, &sa->due, 0);
	sa_memory_free(sa);
}

void ike_core_free(struct ike *c)
{
	if (!c)
		return;
	LIST_FOR_SAFE (struct ike_sa, sa, after, &c->sas, of_all) {
		/* A larval successor stands in the list itself; its maker must not end it a second time. */
		sa->steps[SIDE_OWN].successor = sa->steps[SIDE_PEER].successor = NULL;
		sa->steps[SIDE_OWN].child = sa->steps[SIDE_PEER].child = NULL;
		sa_free_whole(c, sa);
	}
	for (struct action_node *node = c->actions, *next; node; node = next) {
		next = node->next;
		action_free(node);
	}
	action_free(c->taken);
	free(c->tunnels);
	free(c->peers);
	free(c->dues);
	free(c->snap);
	bytes_wipe(c, sizeof *c);
	free(c);
}

struct ike_action *ike_act(struct ike *c, enum ike_action_kind kind)
{
	struct action_node *node = ike_alloc(sizeof *node);

	node->a.kind = kind;
	*c->actions_end = node;
	c->actions_end = &node->next;
	c->actions_n++;
	return &node->a;
}

const struct ike_action *ike_action_next(struct ike *c)
{
	action_free(c->taken);
	c->taken = c->actions;
	if (!c->taken)
		return NULL;
	c->actions = c->taken->next;
	c->actions_n--;
	if (!c->actions)
		c->actions_end = &c->actions;
	return &c->taken->a;
}

void ike_log(struct ike *c, bool warning, const char *fmt, ...)
{
	struct ike_action *a;
	va_list args;

	if (c->actions_n >= IKE_ACTIONS_MAX)
		return;
	a = ike_act(c, IKE_LOG);
	a->log.warning = warning;
	a->log.kind = fmt;
	va_start(args, fmt);
	vsnprintf(a->log.text, sizeof a->log.text, fmt, args);
	va_end(args);
}

void ike_send(struct ike *c, const struct endpoint *local, const struct endpoint *remote, const void *bytes,
	size_t n)
{
	struct ike_action *a;

	if (c->actions_n >= IKE_ACTIONS_MAX || n == 0)
		return; /* as if the network had lost it */
	a = ike_act(c, IKE_SEND);
	a->local = *local;
	a->remote = *remote;
	a->bytes = ike_alloc(n);
	memcpy(a->bytes, bytes, n);
	a->n = n;
}

/* splitmix64: jitter only; nothing that has to be unpredictable comes from here. */
uint64_t ike_chance(struct ike *c, uint64_t lo, uint64_t hi)
{
	uint64_t z = c->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return hi <= lo ? lo : lo + z % (hi - lo + 1);
}

struct ike_refusal *ike_refuse(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const struct snap_peer *peer, const char *fmt, ...)
{
	uint64_t earned = (c->now - c->refusal_at) / (IKE_REFUSAL_EVERY_S * NS_PER_S);
	struct ike_refusal *r;
	va_list args;

	if (earned > 0) {
		c->refusal_tokens = (uint32_t)MIN_OF(c->refusal_tokens + earned, IKE_REFUSALS_BURST);
		c->refusal_at = c->now;
	}
	if (c->refusal_tokens == 0 || c->actions_n >= IKE_ACTIONS_MAX) {
		c->refusals_left_out++;
		return NULL;
	}
	c->refusal_tokens--;
	r = ike_act(c, IKE_REFUSED)->refusal = ike_alloc(sizeof *r);
	r->local = *local;
	r->remote = *remote;
	if (peer)
		memcpy(r->peer, peer->name, sizeof r->peer);
	va_start(args, fmt);
	vsnprintf(r->reason, sizeof r->reason, fmt, args);
	va_end(args);
	r->left_out = c->refusals_left_out;
	c->refusals_left_out = 0;
	return r;
}
