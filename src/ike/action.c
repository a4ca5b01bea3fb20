/*
 * What the core emits: actions, in the order in which they have to be done. The shell takes them after each
 * event (ike.h).
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In place of the peer's last one, or of the oldest. Of whom no peer is known `show ike` has no row. */
static void refusal_keep(struct ike *c, struct ike_refusal *r)
{
	struct ike_refusal **place = NULL;

	if (!r->peer[0]) {
		free(r);
		return;
	}
	for (size_t i = 0; i < IKE_REFUSALS_KEPT && (!place || *place); i++) {
		struct ike_refusal **here = &c->refusals_kept[i];
		if (*here && strcmp((*here)->peer, r->peer) == 0) {
			place = here;
			break;
		}
		if (!place || !*here || (*here)->at < (*place)->at)
			place = here;
	}
	free(*place);
	*place = r;
}

const struct ike_refusal *ike_refusal_of(const struct ike *c, const char *peer)
{
	for (size_t i = 0; i < IKE_REFUSALS_KEPT && c->refusals_kept[i]; i++)
		if (strcmp(c->refusals_kept[i]->peer, peer) == 0)
			return c->refusals_kept[i];
	return NULL;
}

static void action_free(struct ike *c, struct action_node *node)
{
	if (!node)
		return;
	free(node->a.bytes);
	if (node->a.kind == IKE_ASK)
		free(node->a.keeper);
	if (node->a.kind == IKE_CERTIFY)
		free(node->a.certify);
	if (node->a.kind == IKE_REFUSED)
		refusal_keep(c, node->a.refusal);
	free(node);
}

struct ike_action *ike_action_add(struct ike *c, enum ike_action_kind kind)
{
	struct action_node *node = ike_alloc(sizeof *node);

	assert(!*c->actions_end);
	node->a.kind = kind;
	*c->actions_end = node;
	c->actions_end = &node->next;
	c->actions_n++;
	return &node->a;
}

const struct ike_action *ike_action_next(struct ike *c)
{
	action_free(c, c->taken);
	c->taken = c->actions;
	if (!c->taken)
		return NULL;
	c->actions = c->taken->next;
	c->actions_n--;
	if (!c->actions)
		c->actions_end = &c->actions;
	assert((c->actions_n == 0) == !c->actions);
	return &c->taken->a;
}

void ike_actions_free(struct ike *c)
{
	for (struct action_node *node = c->actions, *next; node; node = next) {
		next = node->next;
		action_free(c, node);
	}
	action_free(c, c->taken);
	for (size_t i = 0; i < IKE_REFUSALS_KEPT; i++)
		free(c->refusals_kept[i]);
}

void ike_log(struct ike *c, bool warning, const char *fmt, ...)
{
	struct ike_action *a;
	va_list args;

	if (c->actions_n >= IKE_ACTIONS_MAX)
		return;
	a = ike_action_add(c, IKE_LOG);
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

	assert(n <= IKE_MESSAGE_MAX);
	if (c->actions_n >= IKE_ACTIONS_MAX || n == 0)
		return; /* as if the network had lost it */
	a = ike_action_add(c, IKE_SEND);
	a->local = *local;
	a->remote = *remote;
	a->bytes = ike_alloc(n);
	memcpy(a->bytes, bytes, n);
	a->n = n;
}

struct ike_refusal *ike_refuse(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const struct snap_peer *peer, const char *fmt, ...)
{
	uint64_t earned = (c->now - c->refusal_at) / (IKE_REFUSAL_EVERY_S * NS_PER_S);
	struct ike_refusal *r;
	va_list args;

	assert(c->refusal_tokens <= IKE_REFUSALS_BURST);
	if (earned > 0) {
		c->refusal_tokens = (uint32_t)MIN_OF(c->refusal_tokens + earned, IKE_REFUSALS_BURST);
		c->refusal_at = c->now;
	}
	if (c->refusal_tokens == 0 || c->actions_n >= IKE_ACTIONS_MAX) {
		c->refusals_left_out++;
		return NULL;
	}
	c->refusal_tokens--;
	r = ike_action_add(c, IKE_REFUSED)->refusal = ike_alloc(sizeof *r);
	r->at = c->now;
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
