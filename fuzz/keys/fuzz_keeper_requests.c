/*
 * A compromised ike: any sequence of requests with any octets, with a ledger and a data plane
 * that say yes, no, later or nothing. Beside the sanitizers these hold after each step:
 * - a child goes to the data plane only inside the configured tunnel, and only after its entry;
 * - no two hand-overs ever share a key;
 * - a request gets one reply at the most.
 *
 * The input is a list of steps: what, how many octets of the plausible request are changed, then place and
 * value of each.
 */
#include "must.h"
#include "pair.h"

#include "base/rd.h"

#define INSTALLS_MAX 64
#define STEPS_MAX    48

static struct pair p;
static struct keys_entropy fresh;
static struct {
	uint8_t keys[2 * INSTALLS_MAX][KEYMAT_MAX];
	size_t keys_n;
	uint32_t entered[INSTALLS_MAX];
	size_t entered_n;
	uint64_t tags[256]; /* of requests without a reply */
	size_t tags_n;
} seen;

static bool is_inside(const struct selector *s, const struct selector *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->addrs.first.family == list[i].addrs.first.family &&
			range_holds(&list[i].addrs, &s->addrs.first) &&
			range_holds(&list[i].addrs, &s->addrs.last))
			return true;
	return false;
}

static void check_key(const uint8_t *key, size_t n)
{
	MUST(n == 20 || n == 36);
	for (size_t i = 0; i < seen.keys_n; i++)
		MUST(memcmp(seen.keys[i], key, 16) != 0);
	if (seen.keys_n < COUNT_OF(seen.keys))
		memcpy(seen.keys[seen.keys_n++], key, n);
}

static void check_install(const struct pair_config *c, const struct sa_install *s)
{
	bool entered = false;

	for (size_t i = 0; i < seen.entered_n; i++)
		entered |= seen.entered[i] == s->spi_in;
	MUST(entered || seen.entered_n == INSTALLS_MAX);
	MUST(s->tunnel == 0); /* tunnel 1 is of a peer that was never authenticated */
	MUST(s->local_n >= 1 && s->local_n <= SELECTORS_MAX && s->remote_n >= 1 &&
		s->remote_n <= SELECTORS_MAX);
	for (size_t i = 0; i < s->local_n; i++)
		MUST(is_inside(&s->local_ts[i], &c->selectors[0], 1));
	for (size_t i = 0; i < s->remote_n; i++)
		MUST(is_inside(&s->remote_ts[i], &c->selectors[1], 2));
	MUST(s->spi_in >= 256 && s->spi_out >= 256);
	check_key(s->key_in, s->key_n);
	check_key(s->key_out, s->key_n);
}

/* What came out since the last look; what was seen is forgotten by the pair when it needs the room. */
static void check_actions(struct side *s)
{
	for (size_t i = 0; i < s->actions_n; i++) {
		const struct keys_action *a = &s->actions[i];

		if (a->kind == KEYS_APPEND && a->u.entry.kind == KEYS_ENTRY_SA_INSTALL &&
			seen.entered_n < INSTALLS_MAX)
			seen.entered[seen.entered_n++] = a->u.entry.spi_in;
		if (a->kind == KEYS_SA_INSTALL)
			check_install(&s->config, &a->u.install);
		if (a->kind == KEYS_REPLY) {
			size_t at = 0;
			while (at < seen.tags_n && seen.tags[at] != a->u.reply.tag)
				at++;
			MUST(at < seen.tags_n);
			seen.tags[at] = seen.tags[--seen.tags_n];
		}
	}
}

static void plausible_exchange(struct keeper_request *q, uint8_t what)
{
	const struct side *s = &p.side[0], *them = &p.side[1];

	if (q->op == KEEPER_CHILD_ADDITIONAL_BEGIN || q->op == KEEPER_CHILD_ADDITIONAL_FINISH) {
		q->u.CHILD_ADDITIONAL_BEGIN.handle = s->ike; /* it stands first in both */
		return;
	}
	if (q->op == KEEPER_EXCHANGE_ANSWER) {
		*q = pair_answer_request(&p, what & 0x40 ? s->ike : 0);
		memcpy(q->u.EXCHANGE_ANSWER.peer_nonce, them->begun.nonce, 32);
		memcpy(q->u.EXCHANGE_ANSWER.peer_ke, them->begun.ke, 32);
		return;
	}
	if (q->op == KEEPER_ADDITIONAL_BEGIN) {
		q->u.ADDITIONAL_BEGIN.handle = s->ike;
		q->u.ADDITIONAL_BEGIN.method = what & 0x80 ? MLKEM_1024 : MLKEM_768;
		q->u.ADDITIONAL_BEGIN.message_n = what & 0x40 ? 1300 : 0;
		q->u.ADDITIONAL_BEGIN.ke_at = 40;
		memcpy(q->u.ADDITIONAL_BEGIN.message, p.spi_i, 8);
		memcpy(q->u.ADDITIONAL_BEGIN.message + 8, p.spi_r, 8);
		q->u.ADDITIONAL_BEGIN.message[40] = 1;
		return;
	}
	q->u.ADDITIONAL_FINISH.handle = s->ike;
	q->u.ADDITIONAL_FINISH.request_n = what & 0x40 ? 1300 : 0;
	q->u.ADDITIONAL_FINISH.response_n = 1300;
	q->u.ADDITIONAL_FINISH.request_ke_at = q->u.ADDITIONAL_FINISH.response_ke_at = 40;
	for (int i = 0; i < 2; i++) {
		uint8_t *m = i ? q->u.ADDITIONAL_FINISH.response : q->u.ADDITIONAL_FINISH.request;

		memcpy(m, p.spi_i, 8);
		memcpy(m + 8, p.spi_r, 8);
		memcpy(m + 40, s->reply.u.ADDITIONAL_BEGIN.ke, 1184);
	}
}

static void plausible_sign(struct keeper_request *q)
{
	const struct side *s = &p.side[0];

	q->u.AUTH_SIGN.handle = s->ike;
	q->u.AUTH_SIGN.hashes = pair_hashes;
	q->u.AUTH_SIGN.message_n = (uint16_t)s->message_n;
	q->u.AUTH_SIGN.id_n = (uint16_t)s->id_n;
	memcpy(q->u.AUTH_SIGN.message, s->message, s->message_n);
	memcpy(q->u.AUTH_SIGN.id, s->id, s->id_n);
}

/* A request that would go through as it is. */
static void plausible(struct keeper_request *q, uint8_t what)
{
	const struct side *s = &p.side[0], *them = &p.side[1];

	memset(q, 0, sizeof *q);
	q->op = (enum keeper_op)(what % KEEPER_OP_COUNT);
	switch (q->op) {
	case KEEPER_EXCHANGE_BEGIN:
		q->u.EXCHANGE_BEGIN.role = what & 0x80 ? KEEPER_RESPONDER : KEEPER_INITIATOR;
		q->u.EXCHANGE_BEGIN.dh_group = DH_CURVE25519;
		q->u.EXCHANGE_BEGIN.parent = what & 0x40 ? s->ike : 0;
		break;
	case KEEPER_EXCHANGE_FINISH:
		q->u.EXCHANGE_FINISH =
			(struct keeper_exchange_finish){ .handle = s->reply.u.EXCHANGE_BEGIN.handle,
				.prf = 5,
				.encr = 20,
				.encr_bits = 256,
				.peer_nonce_n = 32,
				.peer_ke_n = 32 };
		memcpy(q->u.EXCHANGE_FINISH.spi_i, p.spi_i, 8);
		memcpy(q->u.EXCHANGE_FINISH.spi_r, p.spi_r, 8);
		memcpy(q->u.EXCHANGE_FINISH.peer_nonce, them->begun.nonce, 32);
		memcpy(q->u.EXCHANGE_FINISH.peer_ke, them->begun.ke, 32);
		break;
	case KEEPER_EXCHANGE_ANSWER:
	case KEEPER_ADDITIONAL_BEGIN:
	case KEEPER_ADDITIONAL_FINISH:
	case KEEPER_CHILD_ADDITIONAL_BEGIN:
	case KEEPER_CHILD_ADDITIONAL_FINISH:
		plausible_exchange(q, what);
		break;
	case KEEPER_AUTH_SIGN:
		plausible_sign(q);
		break;
	case KEEPER_AUTH_VERIFY:
		q->u.AUTH_VERIFY = (struct keeper_auth_verify){ .handle = s->ike,
			.method = AUTH_DIGITAL_SIGNATURE,
			.auth_n = 80,
			.message_n = (uint16_t)them->message_n,
			.id_n = (uint16_t)them->id_n,
			.local.addr = s->config.peers[0].local,
			.remote.addr = s->config.peers[0].remote };
		memcpy(q->u.AUTH_VERIFY.message, them->message, them->message_n);
		memcpy(q->u.AUTH_VERIFY.id, them->id, them->id_n);
		q->u.AUTH_VERIFY.auth[0] = 12;
		break;
	case KEEPER_CHILD_BEGIN:
		q->u.CHILD_BEGIN = (struct keeper_child_begin){ .handle = s->ike, .role = KEEPER_INITIATOR };
		q->u.CHILD_BEGIN.dh_group = what & 0x80 ? DH_CURVE25519 : DH_NONE;
		break;
	case KEEPER_CHILD_INSTALL:
		q->u.CHILD_INSTALL = side_install_request(&p, 0, what & 0x80 ? CHILD_NONCES_OF_IKE : 0);
		q->u.CHILD_INSTALL.child = s->child;
		q->u.CHILD_INSTALL.peer_ke_n = s->child_begun.ke_n; /* any point of the curve */
		memcpy(q->u.CHILD_INSTALL.peer_ke, them->begun.ke, 32);
		q->u.CHILD_INSTALL.rekeys_spi_in = what & 0x40 ? s->spi_in : 0;
		break;
	case KEEPER_CHILD_REMOVE:
		q->u.CHILD_REMOVE.spi_in = s->spi_in;
		q->u.CHILD_REMOVE.child = what & 0x80 ? s->child : 0;
		break;
	case KEEPER_DROP:
		q->u.DROP.handle = s->ike;
		q->u.DROP.child = what & 0x80 ? s->child : 0;
		break;
	case KEEPER_OP_COUNT:
		break;
	}
}

static void ask(struct rd *r)
{
	struct side *s = &p.side[0];
	struct keeper_request q;
	uint8_t changes;

	plausible(&q, rd_u8(r));
	changes = rd_u8(r) % 16;
	for (uint8_t i = 0; i < changes; i++) {
		size_t at = rd_u16(r) % sizeof q.u;
		((uint8_t *)&q.u)[at] = rd_u8(r);
	}
	q.tag = ++s->next_tag;
	if (seen.tags_n == COUNT_OF(seen.tags))
		return;
	seen.tags[seen.tags_n++] = q.tag;
	/* Fresh octets differ each time, as the generators promise. */
	fresh = side_drawn(s, ++s->drawn);
	keys_request(s->keys, &q, &fresh);
	if (s->reply.op == KEEPER_CHILD_BEGIN && s->reply.tag == q.tag &&
		s->reply.u.CHILD_BEGIN.rc == RC_OK) {
		s->child_begun = s->reply.u.CHILD_BEGIN;
		s->child = s->child_begun.child;
		s->spi_in = s->child_begun.spi_in;
	}
}

static void world_event(struct rd *r)
{
	struct side *s = &p.side[0];
	uint8_t what = rd_u8(r);

	switch (what % 8) {
	case 0:
		s->ledger = (enum pair_mode)(what / 8 % 3);
		break;
	case 1:
		s->receipt_rc = (enum rc)(what / 8 % RC_COUNT);
		break;
	case 2:
		s->dataplane = (enum pair_mode)(what / 8 % 3);
		break;
	case 3:
		s->installed_rc = (enum rc)(what / 8 % RC_COUNT);
		break;
	case 4:
		keys_dataplane_down(s->keys);
		break;
	case 5:
		keys_dataplane_up(s->keys);
		break;
	case 6:
		if (what & 0x80)
			keys_ike_lost(s->keys);
		break;
	case 7:
		keys_receipt(s->keys, rd_u8(r), (enum rc)(what / 8 % RC_COUNT), "out of order");
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	struct side *s = &p.side[0];

	memset(&seen, 0, sizeof seen);
	pair_init(&p);
	/* An authenticated IKE SA and a begun child, so that later states are within reach. */
	MUST(pair_ike(&p) == RC_OK && pair_child_begin(&p, DH_NONE) == RC_OK);
	for (int i = 0; i < STEPS_MAX && rd_left(&r) > 0; i++) {
		s->actions_n = s->answered = 0;
		if (rd_u8(&r) % 4 == 0)
			world_event(&r);
		else
			ask(&r);
		side_pump(s);
		check_actions(s);
	}
	pair_done(&p);
	return 0;
}
