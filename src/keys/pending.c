/*
 * Requests that are not answered yet: they wait for a receipt of the ledger, or for the data plane.
 */
#include "keys/internal.h"

#include <assert.h>

struct pending *pending_new(
	struct keys *k, enum keeper_op op, uint64_t tag, const char *peer, uint64_t who, struct err *e)
{
	struct pending *p;
	uint32_t place = 0, of_peer = 0, of_who = 0;
	uint32_t of_peer_max = who ? KEYS_PENDING_PER_TEMPLATE_MAX : KEYS_PENDING_PER_PEER_MAX;

	while (place < k->pending_n && k->pending[place].stage != PENDING_FREE)
		place++;
	for (uint32_t i = 0; i < k->pending_n; i++) {
		bool same = k->pending[i].stage != PENDING_FREE && strcmp(k->pending[i].peer, peer) == 0;

		of_peer += same;
		of_who += same && who != 0 && k->pending[i].who == who;
	}
	if (of_who >= KEYS_PENDING_PER_IDENTITY_MAX) {
		err_add(e, RC_AGAIN, "%u requests of one identity of peer '%s' are waiting; ask again",
			of_who, peer);
		return NULL;
	}
	if (of_peer >= of_peer_max) {
		err_add(e, RC_AGAIN, "%u requests of peer '%s' are waiting; ask again", of_peer, peer);
		return NULL;
	}
	if (place == KEYS_PENDING_MAX) {
		err_add(e, RC_AGAIN, "%u requests are waiting; ask again", place);
		return NULL;
	}
	k->pending_n = MAX_OF(k->pending_n, place + 1);
	p = &k->pending[place];
	assert(p->stage == PENDING_FREE && p->entry_tag == 0);
	p->stage = PENDING_RECEIPT;
	p->op = op;
	p->tag = tag;
	p->who = who;
	text_copy(p->peer, sizeof p->peer, peer);
	return p;
}

void pending_free(struct pending *p)
{
	assert(p->stage != PENDING_FREE);
	bytes_wipe(p, sizeof *p);
}

void pending_reply(struct keys *k, struct pending *p, enum rc rc, const char *text)
{
	if (!p->orphan)
		sink_reply(k, p->op, p->tag, rc, text);
}

struct pending *pending_at_dataplane(struct keys *k, enum keeper_op op, uint32_t spi_in)
{
	for (size_t i = 0; i < k->pending_n; i++)
		if (k->pending[i].stage == PENDING_DATAPLANE && k->pending[i].op == op &&
			k->pending[i].spi_in == spi_in)
			return &k->pending[i];
	return NULL;
}
