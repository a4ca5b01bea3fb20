#include "certify/accepted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct accepted_chain *c)
{
	return sizeof *c + c->id_n + c->bag_n;
}

void accepted_remove(struct accepted *t, uint32_t place)
{
	assert(place < t->n);
	t->octets_n -= size_of(t->at[place]);
	free(t->at[place]);
	t->at[place] = t->at[--t->n];
	t->at[t->n] = NULL;
}

static void remove_same(struct accepted *t, const struct accepted_chain *c)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (memcmp(t->at[i]->key, c->key, sizeof c->key) == 0 &&
			strcmp(t->at[i]->peer, c->peer) == 0) {
			accepted_remove(t, i);
			return;
		}
}

static void remove_oldest(struct accepted *t)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < t->n; i++)
		if (t->at[i]->number < t->at[oldest]->number)
			oldest = i;
	accepted_remove(t, oldest);
}

bool accepted_add(struct accepted *t, const char *peer, const uint8_t key[CERTIFY_DIGEST_SIZE],
	const struct certify_ask *a)
{
	struct accepted_chain *c;

	if (a->id_n > sizeof a->id || a->bag_n > sizeof a->bag || strlen(peer) >= sizeof c->peer)
		return false;
	c = calloc(1, sizeof *c + a->id_n + a->bag_n);
	if (!c)
		return false;
	memcpy(c->key, key, sizeof c->key);
	memcpy(c->peer, peer, strlen(peer));
	c->number = ++t->last;
	c->id_n = a->id_n;
	c->bag_n = a->bag_n;
	memcpy(c->octets, a->id, a->id_n);
	memcpy(c->octets + a->id_n, a->bag, a->bag_n);
	remove_same(t, c);
	while (t->n == ACCEPTED_MAX || (t->n > 0 && t->octets_n + size_of(c) > ACCEPTED_BYTES_MAX)) {
		remove_oldest(t);
		t->evicted++;
	}
	t->octets_n += size_of(c);
	t->at[t->n++] = c;
	return true;
}

void accepted_ask(struct certify_ask *ret_ask, const struct accepted_chain *c)
{
	*ret_ask = (struct certify_ask){ .id_n = c->id_n, .bag_n = c->bag_n };
	memcpy(ret_ask->id, c->octets, c->id_n);
	memcpy(ret_ask->bag, c->octets + c->id_n, c->bag_n);
}

void accepted_done(struct accepted *t)
{
	while (t->n > 0)
		accepted_remove(t, t->n - 1);
}
