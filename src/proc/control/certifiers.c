/*
 * Whether both certifiers can use the authorities' certificates and CRLs of a configuration, before it is committed: control reads no DER. One that
 * does not run or says nothing does not prevent the commit, which is warned of it.
 */
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <stdio.h>

static const enum proc certifiers[] = { PROC_CERTIFIER_OPENSSL, PROC_CERTIFIER_GNUTLS };

static void unasked_tell(struct client *c, enum proc certifier)
{
	char text[200];

	snprintf(text, sizeof text,
		"%s does not run, or did not answer: whether it can use the authorities' certificates and CRLs is not known",
		proc_name(certifier));
	if (c)
		client_warning(c, text);
}

bool certifiers_ask(struct control *k, struct judgement *j, const struct running *r, struct client *c,
	void (*judged)(struct control *k, struct client *c))
{
	const struct snapshot *s = r->block;
	const struct msg_snapshot m = { .generation = r->generation, .bytes = r->bytes };

	k->child->loop.now = clock_mono(); /* a large text has taken its time: they have all of theirs */
	*j = (struct judgement){
		.tag = k->next_tag++, .judged = judged, .deadline = k->child->loop.now + CERTIFIERS_WAIT_NS
	};
	for (size_t i = 0; s->authorities.count > 0 && i < COUNT_OF(certifiers); i++) {
		struct ipc_link *l = child_link(k->child, certifiers[i]);
		if (ipc_link_up(l) && ipc_send_CERTIFY_CHECK(l, j->tag, &m, r->memory) == RC_OK)
			j->waits |= 1u << certifiers[i];
		else
			unasked_tell(c, certifiers[i]);
	}
	if (j->waits == 0)
		j->tag = 0;
	return j->waits != 0;
}

/* The certifier has answered (r), or will not (NULL). */
static void judgement_take(
	struct control *k, struct judgement *j, struct client *c, enum proc peer, const struct msg_result *r)
{
	if (j->tag == 0 || !(j->waits & 1u << peer))
		return;
	j->waits &= ~(1u << peer);
	if (!r)
		unasked_tell(c, peer);
	else if (r->rc != RC_OK && j->fault.rc == RC_OK)
		err_add(&j->fault, (enum rc)r->rc, "%.*s", (int)sizeof r->text, r->text);
	if (j->waits == 0) {
		j->tag = 0;
		j->judged(k, c);
	}
}

void certifiers_answer(struct control *k, enum proc peer, const struct ipc_frame *f)
{
	struct client *c = NULL;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (k->clients[i].work == CLIENT_CHECK && k->clients[i].judgement.tag == f->head.tag)
			c = &k->clients[i];
	if (k->commit.under_way && k->commit.judgement.tag == f->head.tag)
		judgement_take(k, &k->commit.judgement, k->commit.client, peer, &f->u.CERTIFY_CHECKED);
	else if (c)
		judgement_take(k, &c->judgement, c, peer, &f->u.CERTIFY_CHECKED);
}

void certifiers_lost(struct control *k, enum proc peer)
{
	if (k->commit.under_way)
		judgement_take(k, &k->commit.judgement, k->commit.client, peer, NULL);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (k->clients[i].work == CLIENT_CHECK)
			judgement_take(k, &k->clients[i].judgement, &k->clients[i], peer, NULL);
}

void certifiers_tick(struct control *k)
{
	mono_ns now = k->child->loop.now;

	for (size_t i = 0; i < COUNT_OF(certifiers); i++) {
		if (k->commit.under_way && now >= k->commit.judgement.deadline)
			judgement_take(k, &k->commit.judgement, k->commit.client, certifiers[i], NULL);
		for (size_t n = 0; n < CLIENTS_MAX; n++)
			if (k->clients[n].work == CLIENT_CHECK && now >= k->clients[n].judgement.deadline)
				judgement_take(
					k, &k->clients[n].judgement, &k->clients[n], certifiers[i], NULL);
	}
}
