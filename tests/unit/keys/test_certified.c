/*
 * A peer with certificates: both certifiers have to agree, whatever one of them, or ike, says; and nothing waits for ever.
 */
#include "crypto/hash.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;
static struct side *s;			   /* the responder, whose peer has a certificate */
static uint8_t spki[160], other_spki[160]; /* the peer's key; somebody else's */
static size_t spki_n, other_spki_n;
static struct keeper_auth_signed auth;

static int setup(void **state)
{
	pair_init(&p);
	pair_use_signatures(&p, PAIR_P256, PAIR_P256);
	s = &p.side[!p.initiator];
	struct snap_peer *peer = &s->config.peers[0];
	spki_n = peer->public_key_n;
	memcpy(spki, peer->public_key, spki_n);
	other_spki_n = p.side[p.initiator].config.peers[0].public_key_n;
	memcpy(other_spki, p.side[p.initiator].config.peers[0].public_key, other_spki_n);
	assert_memory_not_equal(spki, other_spki, spki_n);
	peer->auth = PEER_AUTH_CERTIFICATE;
	peer->public_key_n = 0;
	memset(peer->public_key, 0, sizeof peer->public_key);
	side_configure(s);
	keys_certifier_up(s->keys, KEYS_CERTIFIER_OPENSSL);
	keys_certifier_up(s->keys, KEYS_CERTIFIER_GNUTLS);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

/* An exchange up to the peer's AUTH. */
static void peer_signs(void)
{
	assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_OK);
}

static struct certify_told verdict(void)
{
	const struct side *them = &p.side[p.initiator];
	struct certify_told t = { .generation = s->config.head.generation,
		.ike_sa = s->ike,
		.id_n = (uint16_t)them->id_n,
		.question = { 1, 2, 3 },
		.verdict = { .spki_n = (uint32_t)spki_n, .identity_n = (uint32_t)(them->id_n - 4) } };

	memcpy(t.id, them->id, them->id_n);
	memcpy(t.verdict.spki, spki, spki_n);
	memcpy(t.verdict.identity, them->id + 4, them->id_n - 4);
	return t;
}

static void tell(enum keys_certifier from, const struct certify_told *t)
{
	keys_verdict(s->keys, from, t);
	side_pump(s);
}

static enum rc answer(void)
{
	assert_int_equal(s->reply.op, KEEPER_AUTH_VERIFY);
	return (enum rc)s->reply.u.AUTH_VERIFY.rc;
}

static const char *text(void)
{
	return s->reply.u.AUTH_VERIFY.text;
}

static void says(const char *part)
{
	if (!strstr(text(), part))
		fail_msg("'%s' does not say '%s'", text(), part);
}

/* In each order of the two verdicts and the request. */
static void both_agree(void **state)
{
	for (int order = 0; order < 6; order++) {
		const enum keys_certifier first = order & 1 ? KEYS_CERTIFIER_GNUTLS : KEYS_CERTIFIER_OPENSSL;
		peer_signs();
		struct certify_told t = verdict();
		if (order / 2 > 0)
			tell(first, &t);
		if (order / 2 > 1)
			tell(!first, &t);
		size_t before = s->replies;
		enum rc rc = pair_verify(&p, !p.initiator, &auth);
		if (order / 2 == 0)
			tell(first, &t);
		if (order / 2 <= 1) {
			assert_int_equal(rc, RC_AGAIN);
			assert_int_equal(s->replies, before);
			assert_true(keys_waits_for_verdicts(s->keys));
			tell(!first, &t);
		}
		assert_int_equal(s->replies, before + 1);
		if (answer() != RC_OK)
			fail_msg("%d: %s", order, text());
		assert_false(keys_waits_for_verdicts(s->keys));
		assert_int_equal(keys_count(s->keys).ike_sas, order + 1);
		assert_non_null(side_entry(s, KEYS_ENTRY_IKE_SA_UP));
	}
	assert_int_equal(keys_count(s->keys).verdicts_dropped, 0);
}

/* ---- lies ---- */

static void lie_refuses(struct certify_told *t)
{
	t->verdict = (struct certify_verdict){ .reason = CERTIFY_REVOKED };
}

static void lie_key(struct certify_told *t)
{
	t->verdict.spki_n = (uint32_t)other_spki_n;
	memcpy(t->verdict.spki, other_spki, other_spki_n);
}

static void lie_key_bit(struct certify_told *t)
{
	t->verdict.spki[t->verdict.spki_n - 1] ^= 1;
}

static void lie_key_length(struct certify_told *t)
{
	t->verdict.spki_n = UINT32_MAX;
}

static void lie_no_key(struct certify_told *t)
{
	t->verdict.spki_n = 0;
}

static void lie_identity(struct certify_told *t)
{
	t->verdict.identity[0] ^= 3;
}

static void lie_identity_length(struct certify_told *t)
{
	t->verdict.identity_n = CERTIFY_IDENTITY_MAX + 1;
}

static void lie_stated(struct certify_told *t)
{
	t->id[5] ^= 3;
}

static void lie_stated_length(struct certify_told *t)
{
	t->id_n--;
}

static void lie_peer(struct certify_told *t)
{
	t->peer = 1;
}

static void lie_question(struct certify_told *t)
{
	t->question[31] ^= 1;
}

static void lie_reason(struct certify_told *t)
{
	t->verdict.reason = 0xffffffff;
}

static const struct {
	const char *name;
	void (*lie)(struct certify_told *t);
	enum rc rc;
	const char *says;
} lies[] = {
	{ "refuses", lie_refuses, RC_AUTH, "revoked" },
	{ "another key", lie_key, RC_AUTH, "do not agree" },
	{ "another bit", lie_key_bit, RC_AUTH, "do not agree" },
	{ "a key without end", lie_key_length, RC_AUTH, "do not agree" },
	{ "no key", lie_no_key, RC_AUTH, "do not agree" },
	{ "another identity", lie_identity, RC_AUTH, "do not agree" },
	{ "an identity without end", lie_identity_length, RC_AUTH, "do not agree" },
	{ "another identity stated", lie_stated, RC_DENIED, "another peer or identity" },
	{ "a shorter identity stated", lie_stated_length, RC_DENIED, "another peer or identity" },
	{ "another question", lie_question, RC_DENIED, "different certificates" },
	{ "no such reason", lie_reason, RC_AUTH, "certifier-" },
};

static void one_lies(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lies); i++)
		for (int who = 0; who < 2; who++) {
			peer_signs();
			struct certify_told t = verdict(), lie = verdict();
			lies[i].lie(&lie);
			assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
			tell((enum keys_certifier)who, &lie);
			tell((enum keys_certifier) !who, &t);
			if (answer() != lies[i].rc)
				fail_msg("%s: %s", lies[i].name, text());
			says(lies[i].says);
			assert_int_equal(keys_count(s->keys).ike_sas, 0);
			assert_null(side_entry(s, KEYS_ENTRY_IKE_SA_UP));
		}
}

/* What is our own fault is not told to the peer as a failed authentication: its IKE SA stands, and it may ask again. */
static void no_fault_of_the_peer(void **state)
{
	static const struct {
		uint32_t reason;
		enum rc rc;
	} faults[] = { { CERTIFY_BUSY, RC_AGAIN }, { CERTIFY_INTERNAL, RC_AGAIN },
		{ CERTIFY_NO_CRL, RC_DENIED }, { CERTIFY_CRL_FILE, RC_DENIED } };

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		peer_signs();
		struct certify_told t = verdict(), none = verdict();
		none.verdict = (struct certify_verdict){ .reason = faults[i].reason };
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &none);
		if (answer() != faults[i].rc)
			fail_msg("%u: %s", faults[i].reason, text());
		says("certifier-gnutls");
		assert_int_equal(keys_count(s->keys).ike_sas, i);
		assert_null(side_entry(s, KEYS_ENTRY_AUTH_FAILED));
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		if (answer() != RC_OK)
			fail_msg("%u: %s", faults[i].reason, text());
	}
}

static void be_a_template(void)
{
	struct snap_peer *peer = &s->config.peers[0];

	memset(&peer->remote_id, 0, sizeof peer->remote_id);
	peer->remote_id = (struct snap_id){ .type = ID_FQDN, .len = 8 };
	memcpy(peer->remote_id.data, ".example", 8);
	peer->flags |= PEER_REMOTE_ANY | PEER_ID_PATTERN;
	peer->connections_max = 8;
	peer->remote = (struct ip_addr){ 0 };
	side_configure(s);
}

/* One more exchange up to the peer's AUTH, whose certificates are being verified; false: there is no room. */
static bool park(void)
{
	size_t before;

	s->actions_n = s->answered = p.side[p.initiator].actions_n = p.side[p.initiator].answered = 0;
	peer_signs();
	before = s->replies;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	return s->replies == before;
}

/* A certificate names somebody whatever the case of the letters; an identity of a template is one by its octets. */
static void letters_of_either_case(void **state)
{
	for (int template = 0; template <2; template ++) {
		if (template)
			be_a_template();
		peer_signs();
		struct certify_told t = verdict();
		assert_in_range(t.verdict.identity[0], 'a', 'z');
		t.verdict.identity[0] -= 'a' - 'A';
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		if (answer() != (template ? RC_AUTH : RC_OK))
			fail_msg("%d: %s", template, text());
	}
}

/* Both name a key, and the peer does not have it: AUTH is checked with it all the same. */
static void both_lie(void **state)
{
	peer_signs();
	struct certify_told lie = verdict();
	lie_key(&lie);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	tell(KEYS_CERTIFIER_OPENSSL, &lie);
	tell(KEYS_CERTIFIER_GNUTLS, &lie);
	assert_int_equal(answer(), RC_AUTH);
	says("does not verify");
	assert_int_equal(keys_count(s->keys).ike_sas, 0);
	/* an identity of their choice is not the one that AUTH is over */
	peer_signs();
	lie = verdict();
	lie.verdict.identity[0] ^= 3;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	tell(KEYS_CERTIFIER_OPENSSL, &lie);
	tell(KEYS_CERTIFIER_GNUTLS, &lie);
	assert_int_equal(answer(), RC_AUTH);
	says("not of the identity");
}

/* ---- silence ---- */

static void one_is_silent(void **state)
{
	for (int who = 0; who < 2; who++) {
		peer_signs();
		struct certify_told t = verdict();
		tell((enum keys_certifier) !who, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		size_t before = s->replies;
		for (unsigned i = 0; i < KEYS_VERDICT_S; i++)
			keys_second(s->keys);
		side_pump(s);
		assert_int_equal(s->replies, before);
		keys_second(s->keys);
		side_pump(s);
		assert_int_equal(s->replies, before + 1);
		assert_int_equal(answer(), RC_DENIED);
		says(who == KEYS_CERTIFIER_GNUTLS ? "certifier-gnutls did not answer"
						  : "certifier-openssl did not answer");
		assert_non_null(side_entry(s, KEYS_ENTRY_AUTH_FAILED));
		/* what it says then is too late: nobody asks for it */
		tell((enum keys_certifier)who, &t);
		assert_int_equal(s->replies, before + 1);
		assert_int_equal(keys_count(s->keys).ike_sas, 0);
	}
}

static void one_is_not_there(void **state)
{
	for (int who = 0; who < 2; who++) {
		/* it ends while a request waits */
		peer_signs();
		struct certify_told t = verdict();
		tell((enum keys_certifier) !who, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		keys_certifier_down(s->keys, (enum keys_certifier)who);
		side_pump(s);
		assert_int_equal(answer(), RC_DENIED);
		says(who == KEYS_CERTIFIER_GNUTLS ? "certifier-gnutls ended" : "certifier-openssl ended");
		/* and is not there yet */
		peer_signs();
		t = verdict();
		tell((enum keys_certifier) !who, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_DENIED);
		says(who == KEYS_CERTIFIER_GNUTLS ? "certifier-gnutls is not running"
						  : "certifier-openssl is not running");
		keys_certifier_up(s->keys, (enum keys_certifier)who);
		peer_signs();
		t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	}
}

/* ---- what nobody asked for ---- */

static void unasked(void **state)
{
	uint64_t dropped = 0;

	peer_signs();
	struct certify_told t = verdict(), other = t;
	other.ike_sa ^= 1 << 20;
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	other = t;
	other.generation++;
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	other = t;
	other.peer = 77;
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	other = t;
	lie_peer(&other); /* of a peer without certificates */
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	other = t;
	other.id_n = UINT16_MAX;
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	/* the first one counts: a refusal is not taken back */
	other = t;
	lie_refuses(&other);
	tell(KEYS_CERTIFIER_OPENSSL, &other);
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AUTH);
	says("certifier-openssl");
	/* that IKE SA is gone */
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
	/* nor does one that is authenticated want any */
	peer_signs();
	t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(keys_count(s->keys).verdicts_dropped, ++dropped);
}

/* While it waits nothing else may be done with the IKE SA but to drop it, and then the request is answered. */
static void dropped_meanwhile(void **state)
{
	struct keys_entropy fresh = { 0 };

	peer_signs();
	struct certify_told t = verdict();
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_DENIED); /* a second time */
	struct keeper_request q = { .op = KEEPER_DROP, .u.DROP = { .handle = s->ike } };
	size_t before = s->replies;
	keys_request(s->keys, &q, &fresh);
	side_pump(s);
	assert_int_equal(s->replies, before + 2);
	assert_false(keys_waits_for_verdicts(s->keys));
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(s->replies, before + 2);
	/* ike is gone */
	peer_signs();
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	before = s->replies;
	keys_ike_lost(s->keys);
	side_pump(s);
	assert_int_equal(s->replies, before);
	assert_false(keys_waits_for_verdicts(s->keys));
}

static void another_configuration(void **state)
{
	peer_signs();
	struct certify_told t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	s->config.head.generation++;
	side_configure(s);
	side_pump(s);
	assert_int_equal(answer(), RC_STALE);
	tell(KEYS_CERTIFIER_GNUTLS, &t); /* of the former one */
	t = verdict();
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	if (answer() != RC_OK)
		fail_msg("%s", text());
}

/* Verdicts that nobody waits for make room, and those that somebody waits for do not. */
static void bounded(void **state)
{
	peer_signs();
	struct certify_told waits = verdict();
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	for (unsigned i = 0; i < KEYS_VERDICTS_MAX + 10; i++) {
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		struct certify_told t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
	}
	assert_int_equal(keys_count(s->keys).verdicts_dropped, 0);
	tell(KEYS_CERTIFIER_OPENSSL, &waits);
	tell(KEYS_CERTIFIER_GNUTLS, &waits);
	if (answer() != RC_OK)
		fail_msg("%s", text());
}

/* Comes with a subject (any octets here: DER is the certifiers' to read), which both certifiers find in its certificate. */
static enum rc come_with(const char *subject)
{
	struct side *them = &p.side[p.initiator];
	struct snap_id *id = &them->config.peers[0].local_id;

	memset(id, 0, sizeof *id);
	*id = (struct snap_id){ .type = ID_DN, .len = (uint8_t)strlen(subject) };
	memcpy(id->data, subject, id->len);
	side_configure(them);
	them->id[0] = ID_DN;
	memcpy(them->id + 4, subject, id->len);
	them->id_n = 4u + id->len;
	s->actions_n = s->answered = them->actions_n = them->answered = 0;
	peer_signs();
	struct certify_told t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	return pair_verify(&p, !p.initiator, &auth);
}

/* A subject with a wildcard is a template: each subject that proves itself is one identity of it. */
static void subjects_of_a_template(void **state)
{
	struct snap_peer *peer = &s->config.peers[0];

	memset(&peer->remote_id, 0, sizeof peer->remote_id);
	peer->remote_id = (struct snap_id){ .type = ID_DN, .len = 9, .data = "O=X, CN=*" };
	peer->flags |= PEER_REMOTE_ANY | PEER_ID_PATTERN;
	peer->connections_max = 2;
	peer->remote = (struct ip_addr){ 0 };
	side_configure(s);
	assert_int_equal(come_with("subject one"), RC_OK);
	assert_int_equal(come_with("subject two"), RC_OK);
	assert_int_equal(come_with("subject three"), RC_LIMIT);
	says("in use by 2 identities");
	assert_int_equal(come_with("subject one"), RC_OK);
	assert_int_equal(come_with("subject One"), RC_LIMIT);
	/* not of a template, all of them are one peer */
	peer->flags &= ~(uint32_t)PEER_ID_PATTERN;
	peer->connections_max = 0;
	side_configure(s);
	assert_int_equal(come_with("subject three"), RC_OK);
}

/* Strangers who say that they are somebody take so many places for each peer and address, and none of those who have proved who they are there. */
static void strangers_wait(unsigned most)
{
	unsigned waiting = 0;

	/* The one that is known: at its usual address. */
	peer_signs();
	struct certify_told t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	for (unsigned at = 1; waiting < most; at++) {
		pair_at_other_address = (uint8_t)at;
		for (unsigned i = 0; i < KEYS_PARKED_PER_ADDRESS_MAX; i++)
			waiting += park();
		assert_int_equal(waiting, at * KEYS_PARKED_PER_ADDRESS_MAX);
		assert_false(park());
		says("too many certificates");
	}
	pair_at_other_address = 0xff;
	assert_false(park());
	pair_at_other_address = 0;
	for (unsigned i = 0; i < KEYS_PARKED_PER_IDENTITY_MAX; i++)
		assert_true(park());
	assert_false(park());
}

static void strangers_wait_as_one_peer(void **state)
{
	s->config.peers[0].flags |= PEER_REMOTE_ANY;
	s->config.peers[0].remote = (struct ip_addr){ 0 };
	side_configure(s);
	strangers_wait(KEYS_PARKED_PER_PEER_MAX);
}

/* Who names another peer for each of his attempts has no more places at his address for that. */
static void strangers_name_two_peers(void **state)
{
	struct snap_peer *peer = s->config.peers;

	peer[0].flags |= PEER_REMOTE_ANY;
	peer[0].remote = (struct ip_addr){ 0 };
	peer[1] = peer[0];
	snprintf(peer[1].name, sizeof peer[1].name, "third");
	side_configure(s);
	pair_at_other_address = 1;
	for (unsigned i = 0; i < KEYS_PARKED_PER_ADDRESS_MAX; i++) {
		pair_as_peer = i % 2;
		assert_true(park());
	}
	for (pair_as_peer = 0; pair_as_peer < 2; pair_as_peer++) {
		assert_false(park());
		says("from its address");
	}
	pair_as_peer = 1;
	pair_at_other_address = 2;
	assert_true(park());
	pair_at_other_address = 0;
	pair_as_peer = 0;
}

static void strangers_wait_at_a_template(void **state)
{
	be_a_template();
	strangers_wait(KEYS_PARKED_PER_TEMPLATE_MAX);
}

/* The entry has the digest of the key that the certifiers found, whatever the length of the name. */
static void key_in_the_entry(void **state)
{
	uint8_t digest[SHA256_SIZE];

	peer_signs();
	struct certify_told t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	const struct keys_entry *x = side_entry(s, KEYS_ENTRY_IKE_SA_UP);
	assert_non_null(x);
	sha256(digest, spki, spki_n);
	assert_true(x->has_key);
	assert_memory_equal(x->key, digest, sizeof digest);
}

/* Who was let in by a rule that is another one now has to prove itself by that. */
static void other_rules(void **state)
{
	struct snap_peer *peer = &s->config.peers[0];
	const struct keys_action *a = NULL;

	peer->trusted = (struct span){ 0, 1 };
	for (int i = 0; i < 3; i++) {
		s->config.authorities[0].revocation = i == 1 ? REVOCATION_HARD : REVOCATION_SOFT;
		peer->flags &= ~(uint32_t)PEER_RSA_PKCS1;
		peer->flags |= i == 2 ? PEER_RSA_PKCS1 : 0;
		s->config.head.generation++;
		side_configure(s);
		size_t before = s->actions_n;
		keys_recheck(s->keys);
		assert_int_equal(side_count(s, before, KEYS_ENDED, &a), i > 0);
		if (i > 0)
			assert_non_null(strstr(a->u.ended.text, "must authenticate again"));
		peer_signs();
		struct certify_told t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	}
	size_t before = s->actions_n;
	side_configure(s);
	keys_recheck(s->keys);
	assert_int_equal(side_count(s, before, KEYS_ENDED, NULL), 0);
}

static struct certify_revoked revoked_of(const uint8_t *key, size_t n)
{
	struct certify_revoked m = { 0 };

	sha256(m.key, key, n);
	snprintf(m.peer, sizeof m.peer, "%s", s->config.peers[0].name);
	return m;
}

/* The certificate of a peer that is let in is revoked: its IKE SA, rekeyed meanwhile, ends and does nothing more, by the word of one certifier. */
static void revoked_later(void **state)
{
	const struct keys_action *a = NULL;
	struct certify_revoked m;

	s->config.peers[0].certificate = 1; /* ours, whose key the other side knows */
	s->config.files[0].certificates = (struct span){ 0, 1 };
	s->config.certificates[0].n = (uint32_t)other_spki_n;
	assert_true(other_spki_n <= sizeof s->config.octets);
	memcpy(s->config.octets, other_spki, other_spki_n);
	side_configure(s);
	for (int i = 0; i < 2; i++) {
		peer_signs();
		struct certify_told t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
		assert_int_equal(pair_sign(&p, !p.initiator, &auth), RC_OK);
		assert_int_equal(pair_verify(&p, p.initiator, &auth), RC_OK);
		assert_int_equal(pair_rekey(&p), RC_OK);
		size_t before = s->actions_n;
		memset(&m, 0, sizeof m);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_GNUTLS, &m), 0); /* nobody's */
		m = revoked_of(other_spki, other_spki_n);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_GNUTLS, &m), 0);
		m = revoked_of(spki, spki_n);
		assert_int_equal(keys_revoked(s->keys, (enum keys_certifier)i, &m), 1);
		assert_int_equal(side_count(s, before, KEYS_ENDED, &a), 1);
		assert_int_equal(a->u.ended.handle, s->ike);
		assert_non_null(strstr(a->u.ended.text, i ? "certifier-gnutls: a certificate of peer"
							  : "certifier-openssl: a certificate of peer"));
		assert_int_equal(pair_rekey(&p), RC_DENIED);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_GNUTLS, &m), 0); /* once */
	}
}

/*
 * Nobody answers ike's Delete: the child SAs leave the data plane all the same, one that was made before a rekey of the IKE SA too, and one
 * that is being installed as soon as it is.
 */
static void revoked_and_silent(void **state)
{
	const struct keys_action *a = NULL;
	struct certify_revoked m = revoked_of(spki, spki_n);

	s->config.peers[0].certificate = 1;
	s->config.files[0].certificates = (struct span){ 0, 1 };
	s->config.certificates[0].n = (uint32_t)other_spki_n;
	memcpy(s->config.octets, other_spki, other_spki_n);
	side_configure(s);
	peer_signs();
	struct certify_told t = verdict();
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	assert_int_equal(pair_sign(&p, !p.initiator, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, p.initiator, &auth), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	uint32_t spi_in = s->spi_in;
	assert_int_equal(pair_rekey(&p), RC_OK);
	s->actions_n = s->answered = p.side[p.initiator].actions_n = p.side[p.initiator].answered = 0;
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	s->dataplane = PAIR_HOLD;
	struct keeper_request q = { .op = KEEPER_CHILD_INSTALL,
		.u.CHILD_INSTALL = side_install_request(&p, !p.initiator, 0) };
	assert_int_equal(side_ask(s, &q), RC_AGAIN);
	size_t before = s->actions_n;
	assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_GNUTLS, &m), 1);
	assert_int_equal(side_count(s, before, KEYS_SA_REMOVE, &a), 1);
	assert_int_equal(a->u.remove.spi_in, spi_in);
	const struct keys_entry *x = side_entry(s, KEYS_ENTRY_SA_REMOVE);
	assert_non_null(x);
	assert_string_equal(x->reason, "a certificate of the peer is revoked");
	before = s->actions_n;
	s->dataplane = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(side_count(s, before, KEYS_SA_REMOVE, &a), 1);
	assert_int_equal(a->u.remove.spi_in, s->spi_in);
	assert_int_not_equal(s->spi_in, spi_in);
}

/* An authority of another peer has certified the same key, whose owner shows another chain: revoking that is nothing to him. */
static void revoked_of_another_peer(void **state)
{
	struct certify_revoked m = revoked_of(spki, spki_n);

	memset(m.peer, 0, sizeof m.peer);
	for (int named = 0; named < 2; named++) {
		if (named)
			snprintf(m.peer, sizeof m.peer, "%s", s->config.peers[1].name);
		peer_signs();
		struct certify_told t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_OPENSSL, &m), 0);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_OPENSSL, &m), 0);
	}
}

/* Between the verdicts and the request that waits for them, or comes later. */
static void revoked_meanwhile(void **state)
{
	struct certify_revoked m = revoked_of(spki, spki_n);

	for (int parked = 0; parked < 2; parked++) {
		peer_signs();
		struct certify_told t = verdict();
		tell(KEYS_CERTIFIER_OPENSSL, &t);
		if (parked)
			assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
		assert_int_equal(keys_revoked(s->keys, KEYS_CERTIFIER_OPENSSL, &m), 0);
		tell(KEYS_CERTIFIER_GNUTLS, &t);
		if (!parked)
			assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AUTH);
		assert_int_equal(answer(), RC_AUTH);
		says("certifier-openssl: a certificate of the chain is revoked");
	}
}

/* A key that the engines let pass and the keeper cannot use is the peer's fault: it is answered, and its attempt is over. */
static void unusable_key(void **state)
{
	peer_signs();
	struct certify_told t = verdict();
	t.verdict.spki[1]++; /* longer than it is */
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AGAIN);
	tell(KEYS_CERTIFIER_OPENSSL, &t);
	tell(KEYS_CERTIFIER_GNUTLS, &t);
	assert_int_equal(answer(), RC_AUTH);
	assert_non_null(side_entry(s, KEYS_ENTRY_AUTH_FAILED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(one_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(both_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(no_fault_of_the_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(letters_of_either_case, setup, teardown),
		cmocka_unit_test_setup_teardown(one_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(one_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(unasked, setup, teardown),
		cmocka_unit_test_setup_teardown(dropped_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(another_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(key_in_the_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(other_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_later, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_and_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_of_another_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(unusable_key, setup, teardown),
		cmocka_unit_test_setup_teardown(subjects_of_a_template, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_wait_as_one_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_name_two_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_wait_at_a_template, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
