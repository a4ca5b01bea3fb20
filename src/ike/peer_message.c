/*
 * Messages between the ledgers of two gateways, in INFORMATIONAL exchanges of their IKE SA: private notifies
 * (RFC 7296 section 3.10.1) that both announced by a vendor id (3.12) in IKE_AUTH. Their content, a request
 * for a cosignature or its answer (witness/witness.h), is not examined here. Each is a request with an empty
 * response, so no exchange stays open while a ledger works.
 *
 * An authenticated peer may still be compromised: messages that come too fast or are too long are dropped.
 */
#include "base/rate.h"
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static const char vendor[] = "plaingate ledger messages 1"; /* without its terminator */

static const uint16_t notify_of[IKE_PEER_MESSAGE_COUNT] = {
	[IKE_PEER_MESSAGE_ASK] = NTF_PLAINGATE_WITNESS_ASK,
	[IKE_PEER_MESSAGE_ANSWER] = NTF_PLAINGATE_WITNESS_ANSWER,
};

void peer_messages_offer(struct ike_out *o)
{
	ike_out_payload(o, PL_VENDOR, vendor, sizeof vendor - 1);
}

void peer_messages_offered(struct ike_sa *sa, const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->vendors_n; i++)
		if (p->vendors[i].n == sizeof vendor - 1 &&
			memcmp(p->vendors[i].at, vendor, sizeof vendor - 1) == 0)
			sa->supports_witnessing = true;
}

bool peer_messages_wait(const struct ike_sa *sa)
{
	for (unsigned k = 0; k < IKE_PEER_MESSAGE_COUNT; k++)
		if (sa->peer_messages[k].n > 0)
			return true;
	return false;
}

/*
 * A request is retransmitted until it is answered, and one that is too large for the path would end the IKE
 * SA. So what is longer than IKE_PEER_MESSAGE_PART_MAX is sent in parts, one in each IKE message:
 *
 *   octet 0      kind
 *   octet 1      1: the last part
 *   octets 2..3  how many octets of the message came before
 *   octets 4..   octets of the message
 *
 * A newer message may replace one that is half sent: its parts begin at 0.
 */
enum { PART_HEADER = 4 };

static void part_write(struct ike_sa *sa, struct ike_out *o, unsigned kind)
{
	uint8_t data[PART_HEADER + IKE_PEER_MESSAGE_PART_MAX];
	const struct blob *message = &sa->peer_messages[kind];
	size_t sent = sa->peer_messages_sent[kind],
	       n = MIN_OF(message->n - sent, (size_t)IKE_PEER_MESSAGE_PART_MAX);

	assert(sent < message->n);
	data[0] = (uint8_t)kind;
	data[1] = sent + n == message->n;
	store_be16(data + 2, (uint16_t)sent);
	memcpy(data + PART_HEADER, message->at + sent, n);
	ike_out_notify(o, NTF_PLAINGATE_WITNESS_PART, data, PART_HEADER + n);
	sa->peer_messages_sent[kind] = sent + n;
	if (data[1])
		blob_free(&sa->peer_messages[kind]);
}

void peer_messages_out(struct ike_sa *sa, struct ike_out *o)
{
	for (unsigned k = 0; k < IKE_PEER_MESSAGE_COUNT; k++) {
		if (sa->peer_messages[k].n == 0)
			continue;
		if (sa->peer_messages[k].n > IKE_PEER_MESSAGE_PART_MAX) {
			part_write(sa, o, k);
			return;
		}
		ike_out_notify(o, notify_of[k], sa->peer_messages[k].at, sa->peer_messages[k].n);
		blob_free(&sa->peer_messages[k]);
		return;
	}
}

static void message_deliver(struct ike *c, struct ike_sa *sa, unsigned kind, const uint8_t *bytes, size_t n)
{
	/* The rate is that of the peer, or of one identity of a template, over all of its IKE SAs. */
	mono_ns *taken = sa->instance ? &sa->instance->peer_messages_taken[kind]
				      : &peer_entry(c, sa->peer)->peer_messages_taken[kind];
	struct ike_action *a;

	if (n == 0 || n > IKE_PEER_MESSAGE_MAX ||
		!rate_take(taken, IKE_PEER_MESSAGE_PER_S, IKE_PEER_MESSAGE_PER_S, c->now))
		return;
	a = ike_action_add(c, IKE_PEER_MESSAGE);
	a->message.kind = (enum ike_peer_message)kind;
	snprintf(a->message.peer, sizeof a->message.peer, "%s", sa_peer_name(c, sa));
	a->n = n;
	a->bytes = ike_alloc(n);
	memcpy(a->bytes, bytes, n);
}

/* Windows of one keep the parts in order; one that does not follow belongs to a message whose first part
 * is lost. */
static void part_receive(struct ike *c, struct ike_sa *sa, const struct ike_notify *v)
{
	struct rd r = rd_over(v->data.at, v->data.n);
	unsigned kind = rd_u8(&r), last = rd_u8(&r), before = rd_u16(&r);
	size_t n = rd_left(&r);
	const uint8_t *octets = rd_take(&r, n);
	struct blob *message, longer = { 0 };

	if (r.bad || n == 0 || kind >= IKE_PEER_MESSAGE_COUNT)
		return;
	message = &sa->peer_messages_begun[kind];
	if (before == 0)
		blob_free(message);
	if (before != message->n || before + n > IKE_PEER_MESSAGE_MAX) {
		blob_free(message);
		return;
	}
	longer = (struct blob){ ike_alloc(before + n), before + n };
	if (before > 0)
		memcpy(longer.at, message->at, before);
	memcpy(longer.at + before, octets, n);
	blob_free(message);
	*message = longer;
	if (!last)
		return;
	message_deliver(c, sa, kind, message->at, message->n);
	blob_free(message);
}

void peer_messages_in(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify *v;

	if (!sa->supports_witnessing || !sa_peer(c, sa))
		return;
	for (unsigned k = 0; k < IKE_PEER_MESSAGE_COUNT; k++)
		if ((v = ike_notify_find(p, notify_of[k])) != NULL)
			message_deliver(c, sa, k, v->data.at, v->data.n);
	if ((v = ike_notify_find(p, NTF_PLAINGATE_WITNESS_PART)) != NULL)
		part_receive(c, sa, v);
}

void peer_messages_move(struct ike_sa *from, struct ike_sa *to)
{
	for (unsigned k = 0; k < IKE_PEER_MESSAGE_COUNT; k++) {
		if (to->peer_messages[k].n > 0)
			continue;
		to->peer_messages[k] = from->peer_messages[k];
		from->peer_messages[k] = (struct blob){ 0 };
	}
}

void peer_messages_free(struct ike_sa *sa)
{
	for (unsigned k = 0; k < IKE_PEER_MESSAGE_COUNT; k++) {
		blob_free(&sa->peer_messages[k]);
		blob_free(&sa->peer_messages_begun[k]);
	}
}
