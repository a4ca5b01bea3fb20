#include "pair.h"

#include "crypto/prf.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

uint32_t pair_hashes = 1u << HASH_SHA2_256 | 1u << HASH_SHA2_384 | 1u << HASH_SHA2_512 | 1u << HASH_IDENTITY;
bool pair_ppk, pair_ppk_fallback;

bool pair_stale;
uint8_t pair_at_other_address;
uint32_t pair_as_peer;
size_t pair_lockable = SIZE_MAX;

static bool lock(void *context, void *memory, size_t n)
{
	if (n > pair_lockable)
		return false;
	pair_lockable -= pair_lockable == SIZE_MAX ? 0 : n;
	return true;
}

static enum rc act(void *context, struct keys_action *action)
{
	struct side *s = context;

	if (action->kind == KEYS_APPEND && s->ledger == PAIR_FULL)
		return RC_LIMIT;
	if (action->kind == KEYS_APPEND && action->gate && s->ledger == PAIR_AWAY)
		return RC_IO;
	if ((action->kind == KEYS_SA_INSTALL || action->kind == KEYS_SA_REMOVE) && s->dataplane == PAIR_AWAY)
		return RC_IO;
	if (s->actions_n == PAIR_ACTIONS_MAX) { /* forget the answered ones */
		s->actions_n -= s->answered;
		memmove(s->actions, s->actions + s->answered, s->actions_n * sizeof s->actions[0]);
		s->answered = 0;
		assert_true(s->actions_n < PAIR_ACTIONS_MAX);
	}
	s->actions[s->actions_n++] = *action;
	if (action->kind == KEYS_APPEND && action->gate)
		s->last_gate = action->tag;
	if (action->kind == KEYS_REPLY) {
		s->reply = action->u.reply;
		s->replies++;
	}
	return RC_OK;
}

void side_pump(struct side *s)
{
	while (s->answered < s->actions_n) {
		struct keys_action a = s->actions[s->answered];
		struct sa_result result = { .rc = (uint32_t)s->installed_rc };

		if ((a.kind == KEYS_APPEND && s->ledger == PAIR_HOLD) ||
			((a.kind == KEYS_SA_INSTALL || a.kind == KEYS_SA_REMOVE) &&
				s->dataplane == PAIR_HOLD))
			return;
		s->answered++;
		switch (a.kind) {
		case KEYS_REPLY:
		case KEYS_UNUSED:
		case KEYS_ENDED:
			break;
		case KEYS_APPEND:
			if (a.tag != 0)
				keys_receipt(s->keys, a.tag, s->receipt_rc, "told so by the test");
			break;
		case KEYS_SA_INSTALL:
			result.spi_in = a.u.install.spi_in;
			keys_sa_installed(s->keys, &result);
			break;
		case KEYS_SA_REMOVE:
			result.rc = RC_OK;
			result.spi_in = a.u.remove.spi_in;
			keys_sa_removed(s->keys, &result);
			break;
		}
	}
}

/* Two streams that have nothing in common, each other octet by counter. */
struct keys_entropy side_drawn(const struct side *s, uint64_t n)
{
	struct keys_entropy e = { 0 };
	uint8_t counter[8];
	const struct prf_part part = { counter, sizeof counter };

	store_be64(counter, n << 8 | (uint8_t)s->config.head.host_name[0]);
	prf_plus(PRF_HMAC_SHA2_256, "secret", 6, &part, 1, e.secret, sizeof e.secret);
	prf_plus(PRF_HMAC_SHA2_256, "additional", 10, &part, 1, e.additional, sizeof e.additional);
	prf_plus(PRF_HMAC_SHA2_256, "public", 6, &part, 1, e.public_bytes, sizeof e.public_bytes);
	e.proof = (struct public_proof){ .count = (uint32_t)n, .epoch = 1 };
	e.leaf = (struct leaf_name){ .batch = 1, .index = (uint32_t)n };
	return e;
}

/* rc stands first in every reply. */
static enum rc reply_rc(const struct keeper_reply *r)
{
	uint32_t rc;

	memcpy(&rc, &r->u, sizeof rc);
	return (enum rc)rc;
}

enum rc side_ask(struct side *s, struct keeper_request *q)
{
	struct keys_entropy fresh = side_drawn(s, ++s->drawn);
	static const struct keys_entropy wiped;
	size_t before = s->replies;

	q->tag = ++s->next_tag;
	if (keeper_generation(q))
		*keeper_generation(q) = s->config.head.generation - pair_stale;
	keys_request(s->keys, q, &fresh);
	assert_memory_equal(&fresh, &wiped, sizeof fresh);
	side_pump(s);
	if (s->replies == before)
		return RC_AGAIN;
	assert_int_equal(s->replies, before + 1);
	assert_int_equal(s->reply.tag, q->tag);
	assert_int_equal(s->reply.op, q->op);
	return reply_rc(&s->reply);
}

size_t side_count(
	const struct side *s, size_t from, enum keys_action_kind kind, const struct keys_action **ret_last)
{
	size_t n = 0;

	for (size_t i = from; i < s->actions_n; i++) {
		if (s->actions[i].kind != kind)
			continue;
		n++;
		if (ret_last)
			*ret_last = &s->actions[i];
	}
	return n;
}

const struct keys_entry *side_entry(const struct side *s, enum keys_entry_kind kind)
{
	for (size_t i = s->actions_n; i-- > 0;)
		if (s->actions[i].kind == KEYS_APPEND && s->actions[i].u.entry.kind == (uint32_t)kind)
			return &s->actions[i].u.entry;
	return NULL;
}

#define SPAN(member, n) { (uint32_t)offsetof(struct pair_config, member), n }

static struct selector selector_of(const char *prefix)
{
	struct selector s = { .port_last = 65535 };
	struct ip_prefix p;

	assert_int_equal(prefix_parse(&p, prefix), RC_OK);
	s.addrs = range_from_prefix(&p);
	return s;
}

static void peer_fill(struct snap_peer *peer, const char *name, const char *local, const char *remote,
	const char *local_id, const char *remote_id)
{
	memset(peer, 0, sizeof *peer);
	snprintf(peer->name, sizeof peer->name, "%s", name);
	snprintf(peer->key_name, sizeof peer->key_name, "%s", "shared");
	assert_int_equal(addr_parse(&peer->local, local), RC_OK);
	assert_int_equal(addr_parse(&peer->remote, remote), RC_OK);
	peer->local_id = (struct snap_id){ .type = ID_FQDN, .len = (uint8_t)strlen(local_id) };
	memcpy(peer->local_id.data, local_id, strlen(local_id));
	peer->remote_id = (struct snap_id){ .type = ID_FQDN, .len = (uint8_t)strlen(remote_id) };
	memcpy(peer->remote_id.data, remote_id, strlen(remote_id));
	peer->auth = PEER_AUTH_PSK;
	peer->proposals = (struct span){ 0, PAIR_IKE_PROPOSALS };
}

/* All proposals that can be built of the tables. */
static void proposals_fill(struct pair_config *c)
{
	static const uint16_t groups[] = { DH_ECP_256, DH_ECP_384, DH_CURVE25519, DH_MODP_2048 };
	size_t n = 0, m = 0;

#define E(id, number, key_bits, word)                                                                        \
	for (size_t g = 0; g < COUNT_OF(groups); g++)                                                        \
		for (uint16_t prf = 5; prf <= 6; prf++)                                                      \
			c->ike[n++] = (struct snap_ike_proposal){                                            \
				.encr = number, .encr_bits = key_bits, .prf = prf, .dh = groups[g]           \
			};                                                                                   \
	for (size_t g = 0; g <= COUNT_OF(groups); g++)                                                       \
		c->esp[m++] = (struct snap_esp_proposal){ .encr = number,                                    \
			.encr_bits = key_bits,                                                               \
			.dh = g < COUNT_OF(groups) ? groups[g] : DH_NONE,                                    \
			.esn = 2 };
	ENCR_ALGORITHMS(E)
#undef E
	assert_int_equal(n, PAIR_IKE_PROPOSALS);
	assert_int_equal(m, PAIR_ESP_PROPOSALS);
	for (size_t i = 0; i < n; i++)
		snprintf(c->ike[i].name, sizeof c->ike[i].name, "ike-%zu", i);
	for (size_t i = 0; i < m; i++)
		snprintf(c->esp[i].name, sizeof c->esp[i].name, "esp-%zu", i);
}

static void config_fill(struct pair_config *c, int at)
{
	static const char *const names[2] = { "hq", "branch" }, *const ids[2] = { "hq.example",
		"branch.example" };
	static const char *const addrs[2] = { "192.0.2.1", "192.0.2.2" }, *const nets[2] = { "10.1.0.0/16",
		"10.2.0.0/16" };
	int other = !at;

	memset(c, 0, sizeof *c);
	c->head = (struct snapshot){ .magic = SNAPSHOT_MAGIC,
		.bytes = sizeof *c,
		.nat_port_first = 40960,
		.nat_port_last = 65535,
		.host_port_first = 32768,
		.host_port_last = 40959,
		.sessions_max = 1,
		.half_open_max = 1,
		.workers = 1,
		.zones = SPAN(zones, 1),
		.ike_proposals = SPAN(ike, PAIR_IKE_PROPOSALS),
		.esp_proposals = SPAN(esp, PAIR_ESP_PROPOSALS),
		.peers = SPAN(peers, 2),
		.selectors = SPAN(selectors, 4),
		.tunnels = SPAN(tunnels, 2),
		.authorities = SPAN(authorities, 1),
		.trusted = SPAN(trusted, 1),
		.certificate_files = SPAN(files, 1),
		.certificates = SPAN(certificates, 1),
		.certificate_octets = SPAN(octets, 20) };
	snprintf(c->authorities[0].name, sizeof c->authorities[0].name, "ca");
	snprintf(c->files[0].name, sizeof c->files[0].name, "ca.crt");
	c->certificates[0].n = sizeof c->octets; /* something, until a test has one */
	for (int i = 0; i < TIMEOUT_COUNT; i++)
		c->head.timeout_s[i] = 1;
	snprintf(c->head.host_name, sizeof c->head.host_name, "%s", names[at]);
	snprintf(c->zones[0].name, sizeof c->zones[0].name, "vpn");
	proposals_fill(c);
	peer_fill(&c->peers[0], names[other], addrs[at], addrs[other], ids[at], ids[other]);
	peer_fill(&c->peers[1], "third", addrs[at], "192.0.2.3", ids[at], "third.example");
	c->selectors[0] = selector_of(nets[at]);
	c->selectors[1] = selector_of(nets[other]);
	c->selectors[2] = selector_of("2001:db8::/32");
	c->selectors[3] = selector_of("10.3.0.0/16");
	for (uint32_t i = 0; i < 2; i++) {
		c->tunnels[i] = (struct snap_tunnel){ .peer = i, .proposals = { 0, PAIR_ESP_PROPOSALS } };
		snprintf(c->tunnels[i].name, sizeof c->tunnels[i].name, i == 0 ? "sites" : "third");
	}
	c->tunnels[0].local = (struct span){ 0, 1 };
	c->tunnels[0].remote = (struct span){ 1, 2 };
	c->tunnels[1].local = (struct span){ 0, 1 };
	c->tunnels[1].remote = (struct span){ 3, 1 };
}

void side_configure(struct side *s)
{
	keys_configure(s->keys, &s->config.head);
}

void pair_init(struct pair *p)
{
	memset(p, 0, sizeof *p);
	p->group = DH_CURVE25519;
	p->prf = PRF_HMAC_SHA2_256;
	p->encr = ENCR_AES_GCM_16;
	p->bits = 256;
	for (int i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		const struct snap_id *id = &s->config.peers[0].local_id;

		s->keys = keys_new((struct keys_sink){ act, s, lock });
		assert_non_null(s->keys);
		config_fill(&s->config, i);
		side_configure(s);
		keys_dataplane_up(s->keys);
		assert_int_equal(
			keys_identity_psk(s->keys, "shared", "a secret of the two", 19, NULL), RC_OK);
		s->id[0] = id->type;
		memcpy(s->id + 4, id->data, id->len);
		s->id_n = 4u + id->len;
	}
}

void pair_use_ppk(struct pair *p, uint32_t flags)
{
	static const char secret[] = "a post-quantum pre-shared key of the two";

	for (int i = 0; i < 2; i++) {
		snprintf(p->side[i].config.peers[0].ppk_name, NAME_MAX_BYTES, "quantum");
		p->side[i].config.peers[0].flags |= flags;
		assert_int_equal(
			keys_identity_ppk(p->side[i].keys, "quantum", secret, sizeof secret - 1, NULL),
			RC_OK);
		side_configure(&p->side[i]);
	}
}

void pair_done(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		assert_true(keys_index_agrees(p->side[i].keys));
		keys_free(p->side[i].keys);
	}
}

static uint32_t role_of(const struct pair *p, int at)
{
	return at == p->initiator ? KEEPER_INITIATOR : KEEPER_RESPONDER;
}

/* A message with what the keeper looks for: header with SPIs, then public value and nonce. */
static void message_make(struct pair *p, int at)
{
	struct side *s = &p->side[at];

	memset(s->message, 0x33, sizeof s->message);
	memcpy(s->message, p->spi_i, 8);
	memset(s->message + 8, 0, 8);
	if (at != p->initiator)
		memcpy(s->message + 8, p->spi_r, 8);
	memcpy(s->message + 40, s->begun.ke, s->begun.ke_n);
	memcpy(s->message + 48 + s->begun.ke_n, s->begun.nonce, s->begun.nonce_n);
	s->message_n = 60u + s->begun.ke_n + s->begun.nonce_n;
}

struct keeper_request pair_answer_request(const struct pair *p, uint32_t parent)
{
	const struct keeper_exchange_begun *theirs = &p->side[p->initiator].begun;
	struct keeper_request q = { .op = KEEPER_EXCHANGE_ANSWER };
	struct keeper_exchange_answer *a = &q.u.EXCHANGE_ANSWER;

	a->parent = parent;
	a->dh_group = p->group;
	a->prf = p->prf;
	a->encr = p->encr;
	a->encr_bits = p->bits;
	a->peer_nonce_n = theirs->nonce_n;
	a->peer_ke_n = theirs->ke_n;
	memcpy(a->additional, p->additional, sizeof a->additional);
	memcpy(a->spi_i, theirs->ike_spi, 8);
	memcpy(a->peer_nonce, theirs->nonce, theirs->nonce_n);
	memcpy(a->peer_ke, theirs->ke, theirs->ke_n);
	return q;
}

static enum rc initiator_begin(struct pair *p, uint32_t parent)
{
	struct side *s = &p->side[p->initiator];
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };
	enum rc rc;

	q.u.EXCHANGE_BEGIN.role = KEEPER_INITIATOR;
	q.u.EXCHANGE_BEGIN.parent = parent;
	q.u.EXCHANGE_BEGIN.dh_group = p->group;
	rc = side_ask(s, &q);
	if (rc != RC_OK)
		return rc;
	s->begun = s->reply.u.EXCHANGE_BEGIN;
	s->ike = s->begun.handle;
	memcpy(p->spi_i, s->begun.ike_spi, 8);
	return RC_OK;
}

/* What the answer shares with BEGUN and FINISHED is kept as those. */
static void answered_keep(struct pair *p, struct side *s)
{
	const struct keeper_exchange_answered *a = &s->reply.u.EXCHANGE_ANSWER;

	s->begun =
		(struct keeper_exchange_begun){ .handle = a->handle, .nonce_n = a->nonce_n, .ke_n = a->ke_n };
	memcpy(s->begun.ike_spi, a->ike_spi, 8);
	memcpy(s->begun.nonce, a->nonce, sizeof a->nonce);
	memcpy(s->begun.ke, a->ke, sizeof a->ke);
	s->finished = (struct keeper_exchange_finished){ .sk_e = a->sk_e };
	s->ike = a->handle;
	memcpy(p->spi_r, a->ike_spi, 8);
}

static enum rc side_finish(struct pair *p, int at)
{
	struct side *s = &p->side[at];
	const struct keeper_exchange_begun *theirs = &p->side[!at].begun;
	struct keeper_request q = { .op = KEEPER_EXCHANGE_FINISH };
	struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;
	enum rc rc;

	f->handle = s->ike;
	f->prf = p->prf;
	f->encr = p->encr;
	f->encr_bits = p->bits;
	f->peer_nonce_n = theirs->nonce_n;
	f->peer_ke_n = theirs->ke_n;
	memcpy(f->additional, p->additional, sizeof f->additional);
	memcpy(f->spi_i, p->spi_i, 8);
	memcpy(f->spi_r, p->spi_r, 8);
	memcpy(f->peer_nonce, theirs->nonce, theirs->nonce_n);
	memcpy(f->peer_ke, theirs->ke, theirs->ke_n);
	rc = side_ask(s, &q);
	if (rc == RC_OK)
		s->finished = s->reply.u.EXCHANGE_FINISH;
	return rc;
}

enum rc pair_exchange(struct pair *p, uint32_t parent_0, uint32_t parent_1)
{
	int r = !p->initiator;
	struct keeper_request q;
	enum rc rc = initiator_begin(p, r ? parent_0 : parent_1);

	if (rc != RC_OK)
		return rc;
	q = pair_answer_request(p, r ? parent_1 : parent_0);
	rc = side_ask(&p->side[r], &q);
	if (rc != RC_OK)
		return rc;
	answered_keep(p, &p->side[r]);
	message_make(p, 0);
	message_make(p, 1);
	return side_finish(p, p->initiator);
}

enum rc pair_begin(struct pair *p, uint32_t parent_0, uint32_t parent_1)
{
	for (int i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };
		enum rc rc;

		q.u.EXCHANGE_BEGIN.role = role_of(p, i);
		q.u.EXCHANGE_BEGIN.parent = i == 0 ? parent_0 : parent_1;
		q.u.EXCHANGE_BEGIN.dh_group = p->group;
		rc = side_ask(s, &q);
		if (rc != RC_OK)
			return rc;
		s->begun = s->reply.u.EXCHANGE_BEGIN;
		s->ike = s->begun.handle;
	}
	memcpy(p->spi_i, p->side[p->initiator].begun.ike_spi, 8);
	memcpy(p->spi_r, p->side[!p->initiator].begun.ike_spi, 8);
	message_make(p, 0);
	message_make(p, 1);
	return RC_OK;
}

enum rc pair_finish(struct pair *p)
{
	enum rc rc = side_finish(p, 0);

	return rc == RC_OK ? side_finish(p, 1) : rc;
}

struct pair_message pair_intermediate[2];

bool pair_followup;

static void intermediate_make(
	const struct pair *p, struct pair_message *m, const struct keeper_additional_begun *value)
{
	memset(m->bytes, 0x44, sizeof m->bytes);
	if (pair_followup) {
		memcpy(m->bytes, value->ke, value->ke_n);
		m->n = value->ke_n;
		return;
	}
	memcpy(m->bytes, p->spi_i, 8);
	memcpy(m->bytes + 8, p->spi_r, 8);
	memcpy(m->bytes + PAIR_KE_AT, value->ke, value->ke_n);
	m->n = PAIR_KE_AT + value->ke_n;
}

enum rc pair_additional(struct pair *p, size_t n)
{
	struct pair_message *m = pair_intermediate;
	struct side *i = &p->side[p->initiator], *r = &p->side[!p->initiator];
	struct keeper_request q = { .op = KEEPER_ADDITIONAL_BEGIN };
	enum rc rc;

	q.u.ADDITIONAL_BEGIN.handle = i->ike;
	q.u.ADDITIONAL_BEGIN.method = p->additional[n];
	if ((rc = side_ask(i, &q)) != RC_OK)
		return rc;
	intermediate_make(p, &m[0], &i->reply.u.ADDITIONAL_BEGIN);
	q.u.ADDITIONAL_BEGIN.handle = r->ike;
	q.u.ADDITIONAL_BEGIN.message_n = (uint16_t)m[0].n;
	q.u.ADDITIONAL_BEGIN.ke_at = pair_followup ? 0 : PAIR_KE_AT;
	memcpy(q.u.ADDITIONAL_BEGIN.message, m[0].bytes, m[0].n);
	if ((rc = side_ask(r, &q)) != RC_OK)
		return rc;
	intermediate_make(p, &m[1], &r->reply.u.ADDITIONAL_BEGIN);
	q = (struct keeper_request){ .op = KEEPER_ADDITIONAL_FINISH };
	q.u.ADDITIONAL_FINISH.handle = r->ike;
	q.u.ADDITIONAL_FINISH.response_n = (uint16_t)m[1].n;
	q.u.ADDITIONAL_FINISH.response_ke_at = pair_followup ? 0 : PAIR_KE_AT;
	memcpy(q.u.ADDITIONAL_FINISH.response, m[1].bytes, m[1].n);
	if ((rc = side_ask(r, &q)) != RC_OK)
		return rc;
	r->finished.sk_e = r->reply.u.ADDITIONAL_FINISH.sk_e;
	q.u.ADDITIONAL_FINISH.handle = i->ike;
	q.u.ADDITIONAL_FINISH.request_n = (uint16_t)m[0].n;
	q.u.ADDITIONAL_FINISH.request_ke_at = pair_followup ? 0 : PAIR_KE_AT;
	memcpy(q.u.ADDITIONAL_FINISH.request, m[0].bytes, m[0].n);
	if ((rc = side_ask(i, &q)) != RC_OK)
		return rc;
	i->finished.sk_e = i->reply.u.ADDITIONAL_FINISH.sk_e;
	return RC_OK;
}

bool pair_transcript;

/* Behind the message of the side whose AUTH it is. */
static uint16_t other_message(const struct side *of, const struct side *other, uint8_t *ret_message)
{
	if (!pair_transcript)
		return 0;
	memcpy(ret_message + of->message_n, other->message, other->message_n);
	return (uint16_t)other->message_n;
}

enum rc pair_sign(struct pair *p, int from, struct keeper_auth_signed *ret_auth)
{
	struct side *s = &p->side[from];
	struct keeper_request q = { .op = KEEPER_AUTH_SIGN };
	enum rc rc;

	q.u.AUTH_SIGN.handle = s->ike;
	q.u.AUTH_SIGN.hashes = pair_hashes;
	q.u.AUTH_SIGN.ppk = pair_ppk && from == p->initiator;
	q.u.AUTH_SIGN.message_n = (uint16_t)s->message_n;
	q.u.AUTH_SIGN.id_n = (uint16_t)s->id_n;
	memcpy(q.u.AUTH_SIGN.message, s->message, s->message_n);
	q.u.AUTH_SIGN.other_n = other_message(s, &p->side[!from], q.u.AUTH_SIGN.message);
	memcpy(q.u.AUTH_SIGN.id, s->id, s->id_n);
	rc = side_ask(s, &q);
	if (rc == RC_OK)
		*ret_auth = s->reply.u.AUTH_SIGN;
	return rc;
}

enum rc pair_verify(struct pair *p, int at, const struct keeper_auth_signed *auth)
{
	struct side *s = &p->side[at], *them = &p->side[!at];
	struct keeper_request q = { .op = KEEPER_AUTH_VERIFY };
	struct keeper_auth_verify *v = &q.u.AUTH_VERIFY;

	v->handle = s->ike;
	v->peer = pair_as_peer;
	v->method = auth->method;
	v->auth_n = pair_ppk_fallback ? auth->no_ppk_n : auth->auth_n;
	memcpy(v->auth, pair_ppk_fallback ? auth->no_ppk : auth->auth, sizeof auth->auth);
	v->ppk = pair_ppk && !pair_ppk_fallback;
	v->message_n = (uint16_t)them->message_n;
	memcpy(v->message, them->message, them->message_n);
	v->other_n = other_message(them, s, v->message);
	v->id_n = (uint16_t)them->id_n;
	memcpy(v->id, them->id, them->id_n);
	v->local = (struct endpoint){ .addr = s->config.peers[0].local, .port = 500 };
	v->remote = (struct endpoint){ .addr = s->config.peers[0].remote, .port = 500 };
	v->remote.addr.b[3] ^= pair_at_other_address;
	return side_ask(s, &q);
}

enum rc pair_authenticate(struct pair *p)
{
	struct keeper_auth_signed auth;
	int i = p->initiator, r = !i;
	enum rc rc;

	if ((rc = pair_sign(p, i, &auth)) != RC_OK || (rc = pair_verify(p, r, &auth)) != RC_OK)
		return rc;
	if ((rc = pair_sign(p, r, &auth)) != RC_OK)
		return rc;
	return pair_verify(p, i, &auth);
}

enum rc pair_ike(struct pair *p)
{
	enum rc rc = pair_exchange(p, 0, 0);

	for (size_t i = 0; rc == RC_OK && i < ADDITIONAL_MAX && p->additional[i] != 0; i++)
		rc = pair_additional(p, i);
	return rc == RC_OK ? pair_authenticate(p) : rc;
}

enum rc pair_rekey(struct pair *p)
{
	uint32_t old[2] = { p->side[0].ike, p->side[1].ike };
	enum rc rc = pair_exchange(p, old[0], old[1]);

	pair_followup = true;
	for (size_t i = 0; rc == RC_OK && i < ADDITIONAL_MAX && p->additional[i] != 0; i++)
		rc = pair_additional(p, i);
	pair_followup = false;
	for (int i = 0; i < 2 && rc == RC_OK; i++) {
		struct keeper_request q = { .op = KEEPER_DROP };

		q.u.DROP.handle = old[i];
		q.u.DROP.was_up = 1;
		snprintf(q.u.DROP.reason, sizeof q.u.DROP.reason, "rekeyed");
		rc = side_ask(&p->side[i], &q);
	}
	return rc;
}

enum rc pair_child_begin(struct pair *p, uint16_t group)
{
	for (int step = 0; step < 2; step++) {
		int i = step == 0 ? p->initiator : !p->initiator;
		struct side *s = &p->side[i];
		struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };
		enum rc rc;

		q.u.CHILD_BEGIN.handle = s->ike;
		q.u.CHILD_BEGIN.dh_group = group;
		q.u.CHILD_BEGIN.followed = group != DH_NONE && p->child_additional[0] != 0;
		q.u.CHILD_BEGIN.role = (uint16_t)role_of(p, i);
		if (i != p->initiator) {
			const struct keeper_child_begun *theirs = &p->side[p->initiator].child_begun;

			q.u.CHILD_BEGIN.peer_ke_n = theirs->ke_n;
			memcpy(q.u.CHILD_BEGIN.peer_ke, theirs->ke, theirs->ke_n);
		}
		rc = side_ask(s, &q);
		if (rc != RC_OK)
			return rc;
		s->child_begun = s->reply.u.CHILD_BEGIN;
		s->child = s->child_begun.child;
		s->spi_in = s->child_begun.spi_in;
	}
	return RC_OK;
}

struct keeper_child_install side_install_request(struct pair *p, int at, uint32_t flags)
{
	const struct side *s = &p->side[at], *them = &p->side[!at];
	struct keeper_child_install c = { .handle = s->ike, .child = s->child, .flags = flags };

	c.spi_out = them->spi_in;
	c.role = (uint16_t)role_of(p, at);
	c.encr = p->encr;
	c.encr_bits = p->bits;
	c.dh_group = s->child_begun.ke_n ? p->group : DH_NONE;
	c.local = (struct endpoint){ .addr = s->config.peers[0].local, .port = 4500 };
	c.remote = (struct endpoint){ .addr = s->config.peers[0].remote, .port = 4500 };
	c.local_n = c.remote_n = 1;
	c.local_ts[0] = s->config.selectors[0];
	c.remote_ts[0] = s->config.selectors[1];
	if (flags & CHILD_NONCES_OF_IKE)
		return c;
	if (c.dh_group != DH_NONE)
		memcpy(c.additional, p->child_additional, sizeof c.additional);
	c.peer_nonce_n = them->child_begun.nonce_n;
	memcpy(c.peer_nonce, them->child_begun.nonce, them->child_begun.nonce_n);
	if (at != p->initiator)
		return c;
	c.peer_ke_n = them->child_begun.ke_n;
	memcpy(c.peer_ke, them->child_begun.ke, them->child_begun.ke_n);
	return c;
}

enum rc pair_child_install(struct pair *p, uint32_t flags)
{
	for (int i = 0; i < 2; i++) {
		struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };
		enum rc rc;

		q.u.CHILD_INSTALL = side_install_request(p, i, flags);
		rc = side_ask(&p->side[i], &q);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc pair_child(struct pair *p, uint16_t group, uint32_t flags)
{
	enum rc rc = pair_child_begin(p, group);

	return rc == RC_OK ? pair_child_install(p, flags) : rc;
}

void pair_use_signatures(struct pair *p, enum pair_key key_0, enum pair_key key_1)
{
	const enum pair_key mine[2] = { key_0, key_1 };

	for (int i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		struct snap_peer *peer = &s->config.peers[0];
		const char *pem = pair_pem[i][mine[i]], *theirs = pair_pem[!i][mine[!i]];
		struct sign_key key;

		assert_int_equal(keys_identity_pem(s->keys, "shared", pem, strlen(pem), NULL), RC_OK);
		assert_int_equal(sign_key_from_pem(&key, theirs, strlen(theirs), NULL), RC_OK);
		peer->auth = PEER_AUTH_PUBLIC_KEY;
		memset(peer->public_key, 0, sizeof peer->public_key);
		peer->public_key_n = (uint16_t)verify_key_spki(&key.public_part, peer->public_key);
		side_configure(s);
	}
}

/* Made by openssl genpkey for these tests alone. */
const char *const pair_pem[2][PAIR_KEYS] = {
	{
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIGbSQKsmTyBplP094nlqNkECpg2J+22c3IAi7ByymFVv\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg57N0tNbBexq9dpa5\n"
		"DeQCuuN+rEBE8MRUGtFpR1tUvUehRANCAASYxEDizqDdgWQOvbgSxe6WASc4XsIn\n"
		"pPDAB+O5vrnXANIlxz1cU0O/L5jfuEDNOxavuFVv69yp0GJuiHMSiFz5\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAAwOuaUktBF4mnmeCy\n"
		"pKNjcxoFrwVN+iBDCBIyVKj8MKnzPTdc+3OP4MaBBDOo59ihZANiAASROFzSjaq2\n"
		"lUGbLK/P8yMSeyptxesT1eqHs8/e/gxi/qrwQwE1KC0PkC6oixaR0e65PR7s3qtv\n"
		"QXMC+vQeOr+CtrmE0M2ygG7rjPIWQbn5KU9N2xCVcPixKTN71fJijK4=\n"
		"-----END PRIVATE KEY-----\n",
	},
	{
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEII6w29dLMfGwhPrvIVihMbrhXSkq1+c8f5H0QuPY2KaZ\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1edPjsu9lLGR8e5Z\n"
		"9PJGoBSclLGtDEaIdvjDm+z7IHShRANCAAStPHII7w+dhtUd9dtzzpANOFulbceX\n"
		"3BiM8Q0un4G8zlapTVANNtVvtjK0nDL8hJuMuzJ/isjO/oRwroT5yD2z\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAp2pMh9ZxQipvBU0vc\n"
		"Chhd+1r//7fNa0vOwNnZCQPhAiWOOjGj4UKRYVvPh8PaUv+hZANiAARaGlfMDLsw\n"
		"dNXIG6qlixToNOOz1dGjJt8SRrJNO93TDivcTx8bxymWiZplUMk8X2w4vKjG8KmQ\n"
		"vlgYuzMNX3d5CnS5BwsI8fbiRDmObtHwjwkWnUhBg4MxGHlCaP7qNCY=\n"
		"-----END PRIVATE KEY-----\n",
	},
};
