/*
 * The one way out of the core: actions through the sink, and the short replies of requests that end in
 * nothing else.
 */
#include "keys/internal.h"

#include <assert.h>

enum rc sink_emit(struct keys *k, struct keys_action *action)
{
	enum rc rc;

	assert(!k->emitting); /* a sink does not call back */
	k->emitting = true;
	rc = k->sink.act(k->sink.context, action);
	k->emitting = false;
	bytes_wipe(action, sizeof *action);
	return rc;
}

/* A reply with a result and nothing else; every reply begins with rc and ends with text. */
void sink_reply(struct keys *k, enum keeper_op op, uint64_t tag, enum rc rc, const char *text)
{
	struct keys_action a = { .kind = KEYS_REPLY };

	a.u.reply.op = op;
	a.u.reply.tag = tag;
	switch (op) {
#define E(id, request, reply_, ike, child)                                                                   \
	case KEEPER_##id:                                                                                    \
		a.u.reply.u.id.rc = (uint32_t)rc;                                                            \
		text_copy(a.u.reply.u.id.text, sizeof a.u.reply.u.id.text, text ? text : "");                \
		break;
		KEEPER_OPS(E)
#undef E
	case KEEPER_OP_COUNT:
		return;
	}
	sink_emit(k, &a);
}
