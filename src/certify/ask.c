#include "certify/ask.h"

#include "base/rd.h"
#include "model/snapshot.h"

#define ID_HEADER_SIZE 4

static const struct {
	uint8_t type;
	enum certify_id_kind kind;
	size_t n; /* 0: any */
} kinds[] = {
	{ ID_FQDN, CERTIFY_ID_DNS, 0 },
	{ ID_RFC822, CERTIFY_ID_RFC822, 0 },
	{ ID_IPV4, CERTIFY_ID_IP, 4 },
	{ ID_IPV6, CERTIFY_ID_IP, 16 },
	{ ID_DN, CERTIFY_ID_DN, 0 },
};

static uint32_t identity_read(struct certify_question *q, const struct certify_ask *a)
{
	if (a->id_n <= ID_HEADER_SIZE || a->id_n > KEEPER_ID_MAX)
		return CERTIFY_IDENTITY;
	q->id = (struct certify_der){ a->id + ID_HEADER_SIZE, a->id_n - (size_t)ID_HEADER_SIZE };
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i].type == a->id[0] && (kinds[i].n == 0 || kinds[i].n == q->id.n)) {
			q->id_kind = kinds[i].kind;
			return CERTIFY_OK;
		}
	return CERTIFY_IDENTITY;
}

uint32_t certify_ask_read(
	struct certify_question *ret_q, struct certify_der *bag, const struct certify_ask *a)
{
	struct certify_question q = { .bag = bag };
	struct rd r = rd_over(a->bag, MIN_OF(a->bag_n, CERTIFY_ASK_MAX));
	uint32_t reason = a->bag_n > CERTIFY_ASK_MAX ? CERTIFY_LIMIT : identity_read(&q, a);

	if (reason != CERTIFY_OK)
		return reason;
	while (!r.bad && rd_left(&r) > 0) {
		uint32_t n = rd_u32(&r);
		const uint8_t *der = rd_take(&r, n);
		if (r.bad || n == 0)
			return CERTIFY_MALFORMED;
		if (q.bag_n == CERTIFY_BAG_MAX)
			return CERTIFY_LIMIT;
		bag[q.bag_n++] = (struct certify_der){ der, n };
	}
	if (q.bag_n == 0)
		return CERTIFY_MALFORMED;
	*ret_q = q;
	return CERTIFY_OK;
}

static uint32_t of_peer(const struct questions *q, uint32_t peer)
{
	uint32_t n = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		n += q->at[i].number != 0 && q->at[i].ask.peer == peer;
	return n;
}

static void forget(struct questions *q, struct waiting_question *w)
{
	w->number = 0;
	q->n--;
}

static struct waiting_question *place_free(struct questions *q)
{
	size_t i = 0;

	while (i < QUESTIONS_MAX - 1 && q->at[i].number != 0)
		i++;
	return &q->at[i];
}

static uint32_t of_source(const struct questions *q, const struct certify_ask *a)
{
	uint32_t n = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		n += q->at[i].number != 0 && q->at[i].ask.peer == a->peer && q->at[i].ask.source == a->source;
	return n;
}

/* Which peer has most of them; of several the one with the newest. */
static uint32_t peer_of_most(const struct questions *q)
{
	const struct waiting_question *found = &q->at[0];
	uint32_t most = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		uint32_t n = q->at[i].number == 0 ? 0 : of_peer(q, q->at[i].ask.peer);
		if (n > most || (n > 0 && n == most && q->at[i].number > found->number)) {
			most = n;
			found = &q->at[i];
		}
	}
	return found->ask.peer;
}

/* Of the peer's sources, the newest of the one that has most. NULL: it has none. */
static struct waiting_question *newest_of_peer(struct questions *q, uint32_t peer)
{
	struct waiting_question *found = NULL;
	uint32_t most = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		if (q->at[i].number == 0 || q->at[i].ask.peer != peer)
			continue;
		uint32_t n = of_source(q, &q->at[i].ask);
		if (n > most || (n == most && q->at[i].number > found->number)) {
			most = n;
			found = &q->at[i];
		}
	}
	return found;
}

bool questions_add(
	struct questions *q, const struct certify_ask *a, uint64_t now, struct certify_ask *ret_refused)
{
	struct waiting_question *place;
	uint32_t own, most;
	bool full, share;

	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (q->at[i].number != 0 && q->at[i].ask.ike_sa == a->ike_sa)
			forget(q, &q->at[i]);
	own = of_peer(q, a->peer);
	full = q->n == QUESTIONS_MAX;
	most = full ? peer_of_most(q) : a->peer;
	/* Its peer has its share, or most, or would have as many: then another one of that peer's goes. */
	share = own >= QUESTIONS_PER_PEER_MAX || (full && of_peer(q, most) <= own + 1);
	place = share ? newest_of_peer(q, a->peer) : full ? newest_of_peer(q, most) : place_free(q);
	if (share && (!place || of_source(q, &place->ask) <= of_source(q, a) + 1)) {
		*ret_refused = *a; /* or its source has */
		return false;
	}
	if (share || full) {
		*ret_refused = place->ask;
		forget(q, place);
	}
	*place = (struct waiting_question){ .number = ++q->last, .since = now, .ask = *a };
	q->n++;
	return !share && !full;
}

/* Peers take turns by their index: those after the last one come first. */
static bool comes_before(
	const struct questions *q, const struct waiting_question *a, const struct waiting_question *b)
{
	uint32_t turn_a = a->ask.peer - q->last_peer - 1, turn_b = b->ask.peer - q->last_peer - 1;

	return turn_a != turn_b ? turn_a < turn_b : a->number < b->number;
}

bool questions_take(struct questions *q, uint64_t generation, struct certify_ask *ret_ask)
{
	struct waiting_question *first = NULL;

	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (q->at[i].number != 0 && q->at[i].ask.generation <= generation &&
			(!first || comes_before(q, &q->at[i], first)))
			first = &q->at[i];
	if (!first)
		return false;
	*ret_ask = first->ask;
	q->last_peer = first->ask.peer;
	forget(q, first);
	return true;
}

uint32_t questions_expire(struct questions *q, uint64_t since)
{
	uint32_t n = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (q->at[i].number != 0 && q->at[i].since < since) {
			forget(q, &q->at[i]);
			n++;
		}
	return n;
}
