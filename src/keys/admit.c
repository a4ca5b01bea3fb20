/*
 * Which request is admissible when: the one place that holds a request of ike against the columns of
 * KEEPER_OPS (model/keeper_api.h), before its handler runs. ike is not trusted: a request out of order is
 * refused with an error, whatever it asks, and the handlers may rely on the states that their rows name.
 */
#include "keys/internal.h"

#include <stdio.h>

/* What a request is about. */
struct subject {
	bool ike_named, child_named;
	uint32_t ike, child; /* handles */
	uint32_t tunnel;     /* index, INDEX_NONE */
	enum keeper_ike_state ike_state;
	enum keeper_child_state child_state;
};

static const struct {
	const char *name;
	uint32_t ike, child; /* bits of states */
} ops[KEEPER_OP_COUNT] = {
#define E(id, request, reply, ike, child) { #id, ike, child },
	KEEPER_OPS(E)
#undef E
};

static const struct state_row {
	enum rc rc;
	const char *text;
} ike_states[KEEPER_IKE_STATE_COUNT] = {
#define E(id, rc, text) { rc, text },
	KEEPER_IKE_STATES(E)
#undef E
}, child_states[KEEPER_CHILD_STATE_COUNT] = {
#define E(id, rc, text) { rc, text },
	KEEPER_CHILD_STATES(E)
#undef E
};

static bool is_authenticated(const struct keeper_ike_sa *sa)
{
	return sa && sa->state == IKE_AUTHENTICATED;
}

static bool parent_is_gone(struct keys *k, const struct keeper_ike_sa *sa)
{
	return sa->parent != 0 && !is_authenticated(ike_sa_find(k, sa->parent));
}

static enum keeper_ike_state ike_state(struct keys *k, const struct keeper_ike_sa *sa)
{
	if (!sa)
		return KEEPER_IKE_UNKNOWN;
	switch ((enum ike_state)sa->state) {
	case IKE_BEGUN:
		return parent_is_gone(k, sa) ? KEEPER_IKE_PARENT_GONE : KEEPER_IKE_BEGUN;
	case IKE_ADDITIONAL:
		if (parent_is_gone(k, sa))
			return KEEPER_IKE_PARENT_GONE;
		return sa->additional.begun ? KEEPER_IKE_ADDITIONAL_BEGUN : KEEPER_IKE_ADDITIONAL_DUE;
	case IKE_KEYED:
		if (sa->verifying || sa->certifying)
			return KEEPER_IKE_VERIFYING;
		if (sa->role == KEEPER_RESPONDER)
			return KEEPER_IKE_KEYED_RESPONDER;
		return sa->signed_for[0] ? KEEPER_IKE_SIGNED : KEEPER_IKE_KEYED_INITIATOR;
	case IKE_AUTHENTICATED:
		return KEEPER_IKE_AUTHENTICATED;
	case IKE_FREE:
		break;
	}
	return KEEPER_IKE_UNKNOWN;
}

static enum keeper_child_state child_state(const struct child_sa *c)
{
	static const uint8_t states[] = {
		[CHILD_FREE] = KEEPER_CHILD_IS_UNKNOWN,
		[CHILD_BEGUN] = KEEPER_CHILD_IS_BEGUN,
		[CHILD_INSTALLING] = KEEPER_CHILD_IS_INSTALLING,
		[CHILD_INSTALLED] = KEEPER_CHILD_IS_INSTALLED,
		[CHILD_REMOVING] = KEEPER_CHILD_IS_REMOVING,
	};

	if (c && c->state == CHILD_BEGUN && c->additional_begun)
		return KEEPER_CHILD_IS_ADDITIONAL;
	return c ? (enum keeper_child_state)states[c->state] : KEEPER_CHILD_IS_UNKNOWN;
}

/* A child SA that is named with its IKE SA; NULL: it is of another one. */
static const struct child_sa *of_child(struct keys *k, struct subject *s, uint32_t ike, uint32_t child)
{
	const struct child_sa *c = child_sa_find(k, child);

	s->ike = ike;
	s->child = child;
	s->child_named = true;
	return c && c->ike == ike ? c : NULL;
}

static struct subject subject_of(struct keys *k, const struct keeper_request *q)
{
	struct subject s = { .ike_named = true, .tunnel = INDEX_NONE };
	const struct child_sa *c = NULL;

	switch (q->op) {
	case KEEPER_EXCHANGE_BEGIN:
		s.ike = q->u.EXCHANGE_BEGIN.parent;
		s.ike_named = s.ike != 0;
		break;
	case KEEPER_EXCHANGE_FINISH:
		s.ike = q->u.EXCHANGE_FINISH.handle;
		break;
	case KEEPER_EXCHANGE_ANSWER:
		s.ike = q->u.EXCHANGE_ANSWER.parent;
		s.ike_named = s.ike != 0;
		break;
	case KEEPER_ADDITIONAL_BEGIN:
		s.ike = q->u.ADDITIONAL_BEGIN.handle;
		break;
	case KEEPER_ADDITIONAL_FINISH:
		s.ike = q->u.ADDITIONAL_FINISH.handle;
		break;
	case KEEPER_AUTH_SIGN:
		s.ike = q->u.AUTH_SIGN.handle;
		break;
	case KEEPER_AUTH_VERIFY:
		s.ike = q->u.AUTH_VERIFY.handle;
		break;
	case KEEPER_CHILD_BEGIN:
		s.ike = q->u.CHILD_BEGIN.handle;
		s.tunnel = q->u.CHILD_BEGIN.tunnel;
		break;
	case KEEPER_CHILD_ADDITIONAL_BEGIN:
		c = of_child(k, &s, q->u.CHILD_ADDITIONAL_BEGIN.handle, q->u.CHILD_ADDITIONAL_BEGIN.child);
		break;
	case KEEPER_CHILD_ADDITIONAL_FINISH:
		c = of_child(k, &s, q->u.CHILD_ADDITIONAL_FINISH.handle, q->u.CHILD_ADDITIONAL_FINISH.child);
		break;
	case KEEPER_CHILD_INSTALL:
		s.tunnel = q->u.CHILD_INSTALL.tunnel;
		c = of_child(k, &s, q->u.CHILD_INSTALL.handle, q->u.CHILD_INSTALL.child);
		break;
	case KEEPER_CHILD_REMOVE:
		s.ike_named = false;
		s.child = q->u.CHILD_REMOVE.child;
		c = s.child != 0 ? child_sa_find(k, s.child)
				 : child_sa_find_by_spi(k, q->u.CHILD_REMOVE.spi_in);
		s.child = c ? c->handle : s.child;
		s.child_named = s.child != 0;
		break;
	case KEEPER_DROP:
		s.ike = q->u.DROP.handle;
		s.child = q->u.DROP.child;
		s.child_named = s.child != 0;
		s.ike_named = !s.child_named;
		c = child_sa_find(k, s.child);
		break;
	case KEEPER_OP_COUNT:
		break;
	}
	s.ike_state = s.ike_named ? ike_state(k, ike_sa_find(k, s.ike)) : KEEPER_IKE_NONE;
	s.child_state = s.child_named ? child_state(c) : KEEPER_CHILD_IS_NONE;
	return s;
}

/* "begun or installed": what the states are in which a request is admissible. */
static const char *admissible_text(char ret_text[KEYS_ADMISSIBLE_TEXT_MAX], const struct state_row *states,
	size_t states_n, uint32_t bits)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < states_n && used < KEYS_ADMISSIBLE_TEXT_MAX; i++)
		if (bits >> i & 1)
			used += (size_t)snprintf(ret_text + used, KEYS_ADMISSIBLE_TEXT_MAX - used, "%s%s",
				used > 0 ? " or " : "", states[i].text);
	return ret_text;
}

static enum rc refuse(struct err *e, enum keeper_op op, const char *what, uint32_t handle,
	const struct state_row *states, size_t states_n, uint32_t state, uint32_t bits)
{
	char text[KEYS_ADMISSIBLE_TEXT_MAX];
	const struct state_row *is = &states[state];

	if (is->rc == RC_NOT_FOUND)
		return err_add(e, is->rc, "%s is not allowed: %s SA %#x is %s", ops[op].name, what, handle,
			is->text);
	return err_add(e, is->rc, "%s is not allowed: %s SA %#x is %s; it has to be %s", ops[op].name, what,
		handle, is->text, admissible_text(text, states, states_n, bits));
}

/* Numbers of another configuration name other peers and tunnels: nothing is done, and nothing is held against
 * ike. */
static enum rc generation_check(const struct keys *k, const struct keeper_request *q, struct err *e)
{
	const uint64_t *generation = keeper_generation((struct keeper_request *)(uintptr_t)q);

	if (!generation || !k->snapshot || *generation == k->snapshot->generation)
		return RC_OK;
	return err_add(e, RC_STALE, "the request is of configuration %llu, configuration %llu is in force",
		(unsigned long long)*generation, (unsigned long long)k->snapshot->generation);
}

enum rc request_admit(struct keys *k, const struct keeper_request *q, struct err *e)
{
	struct subject s;
	const struct snap_tunnel *t;
	enum rc rc = RC_OK;

	if (q->op >= KEEPER_OP_COUNT)
		return err_add(e, RC_UNSUPPORTED, "request %u is unknown", (unsigned)q->op);
	rc = generation_check(k, q, e);
	if (rc != RC_OK)
		return rc;
	s = subject_of(k, q);
	if (!(ops[q->op].ike >> s.ike_state & 1))
		rc = refuse(e, q->op, "IKE", s.ike, ike_states, COUNT_OF(ike_states), s.ike_state,
			ops[q->op].ike);
	else if (!(ops[q->op].child >> s.child_state & 1))
		rc = refuse(e, q->op, "child", s.child, child_states, COUNT_OF(child_states), s.child_state,
			ops[q->op].child);
	if (rc == RC_DENIED) {
		t = tunnel_by_index(k, s.tunnel);
		journal_refused(k, ike_sa_find(k, s.ike), t ? t->name : NULL, e->text);
	}
	return rc;
}
