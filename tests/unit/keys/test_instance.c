/*
 * A peer with a pattern for its identity: any identity that ends so can prove itself, so many at a time as its connections-limit
 * says; an address belongs to one of them; and what the data plane has of one that is gone gives way.
 */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pair p;

static void id_set(struct snap_id *id, const char *text)
{
	*id = (struct snap_id){ .type = ID_FQDN, .len = (uint8_t)strlen(text) };
	memcpy(id->data, text, id->len);
}

static int before(void **state)
{
	struct snap_peer *hq = &p.side[1].config.peers[0];

	pair_init(&p);
	id_set(&hq->remote_id, ".example");
	hq->flags |= PEER_REMOTE_ANY | PEER_ID_PATTERN;
	hq->connections_max = 2;
	hq->remote = (struct ip_addr){ 0 };
	side_configure(&p.side[1]);
	return 0;
}

static int after(void **state)
{
	pair_done(&p);
	return 0;
}

/* The first side comes as this one, up to where the second side has judged it. */
static enum rc come_as(const char *name)
{
	struct keeper_auth_signed auth;

	id_set(&p.side[0].config.peers[0].local_id, name);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	p.side[0].id_n = 4 + strlen(name);
	memcpy(p.side[0].id + 4, name, strlen(name));
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	return pair_verify(&p, 1, &auth);
}

static void drop(uint32_t handle)
{
	struct keeper_request q = { .op = KEEPER_DROP };

	q.u.DROP.handle = handle;
	assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
}

static void which_fit(void **state)
{
	assert_int_equal(come_as("a.example"), RC_OK);
	assert_memory_equal(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP)->id, "a.example", 9);
	assert_int_equal(come_as("a.example.net"), RC_AUTH);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "configured is fqdn '*.example'"));
	assert_int_equal(come_as("a..example"), RC_AUTH);
	assert_int_equal(come_as("../../a.example"), RC_AUTH);
	assert_int_equal(come_as(".example"), RC_AUTH);
}

static void so_many_at_a_time(void **state)
{
	uint32_t first, second;

	assert_int_equal(come_as("a.example"), RC_OK);
	first = p.side[1].ike;
	assert_int_equal(come_as("b.example"), RC_OK);
	second = p.side[1].ike;
	assert_int_equal(come_as("c.example"), RC_LIMIT);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "in use by 2 identities"));
	drop(p.side[1].ike);
	assert_int_equal(come_as("a.example"), RC_OK); /* the same one again, as after its restart */
	drop(first);
	first = p.side[1].ike;
	assert_int_equal(come_as("c.example"), RC_LIMIT);
	drop(p.side[1].ike);
	drop(second);
	assert_int_equal(come_as("c.example"), RC_OK);
	assert_int_equal(come_as("b.example"), RC_LIMIT);
	p.side[1].config.peers[0].connections_max = 3;
	side_configure(&p.side[1]);
	drop(p.side[1].ike);
	assert_int_equal(come_as("b.example"), RC_OK);
	p.side[1].config.peers[0].connections_max = 1; /* nobody has to go */
	side_configure(&p.side[1]);
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 4);
}

/* The limit of IKE SAs of a peer is that of one identity of a template. */
static void each_has_its_own_ike_sas(void **state)
{
	for (int i = 0; i < KEYS_IKE_PER_PEER_MAX; i++)
		assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(come_as("a.example"), RC_LIMIT);
	assert_int_equal(come_as("b.example"), RC_OK);
}

/* A rekey that is begun says no identity of its own: it does not keep the same one out. */
static void while_a_rekey_is_begun(void **state)
{
	struct keeper_auth_signed auth;

	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(pair_sign(&p, 1, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 0, &auth), RC_OK);
	assert_int_equal(pair_begin(&p, p.side[0].ike, p.side[1].ike), RC_OK);
	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(come_as("c.example"), RC_LIMIT);
}

static uint32_t removed(size_t from)
{
	const struct keys_action *a = NULL;

	return side_count(&p.side[1], from, KEYS_SA_REMOVE, &a) ? a->u.remove.spi_in : 0;
}

static uint32_t rekeyed; /* claim(): what it comes after; 0: none */

/* A child SA of the IKE SA that came last, for 10.x.FIRST.0 to 10.x.LAST.255 of the tunnel's remote network. */
static enum rc claim(uint8_t first, uint8_t last)
{
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };
	struct side *s = &p.side[1];
	struct ip_range *r;

	q.u.CHILD_BEGIN.handle = s->ike;
	q.u.CHILD_BEGIN.role = KEEPER_RESPONDER;
	assert_int_equal(side_ask(s, &q), RC_OK);
	s->child = s->reply.u.CHILD_BEGIN.child;
	s->spi_in = s->reply.u.CHILD_BEGIN.spi_in;
	s->child_begun = s->reply.u.CHILD_BEGIN;
	q = (struct keeper_request){ .op = KEEPER_CHILD_INSTALL };
	q.u.CHILD_INSTALL = side_install_request(&p, 1, CHILD_NONCES_OF_IKE);
	q.u.CHILD_INSTALL.spi_out = 0x5000 + s->ike;
	q.u.CHILD_INSTALL.rekeys_spi_in = rekeyed;
	r = &q.u.CHILD_INSTALL.remote_ts[0].addrs;
	r->first.b[2] = first;
	r->last.b[2] = last;
	r->first.b[3] = 0;
	r->last.b[3] = 255;
	return side_ask(s, &q);
}

/* The same, as what comes after the child SA with that SPI. */
static enum rc claim_after(uint8_t net, uint32_t rekeys_spi_in)
{
	rekeyed = rekeys_spi_in;
	enum rc rc = claim(net, net);
	rekeyed = 0;
	return rc;
}

static const char *install_text(void)
{
	return p.side[1].reply.u.CHILD_INSTALL.text;
}

static void an_address_is_one_identitys(void **state)
{
	uint32_t first;

	assert_int_equal(come_as("a.example"), RC_OK);
	first = p.side[1].ike;
	assert_int_equal(claim(8, 15), RC_OK);
	assert_memory_equal(side_entry(&p.side[1], KEYS_ENTRY_SA_INSTALL)->id, "a.example", 9);
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(claim(15, 20), RC_LIMIT);
	assert_non_null(strstr(install_text(), "in use by fqdn 'a.example'"));
	assert_int_equal(claim(0, 8), RC_LIMIT);
	assert_int_equal(claim(10, 10), RC_LIMIT);
	assert_int_equal(claim(0, 255), RC_LIMIT);
	assert_int_equal(claim(16, 20), RC_OK);
	assert_int_equal(removed(0), 0);
	assert_int_equal(come_as("a.example"), RC_OK); /* the same one, on another IKE SA */
	assert_int_equal(claim(8, 15), RC_OK);
	drop(first);
	drop(p.side[1].ike); /* without its child SAs, as ike would not do */
	assert_int_equal(removed(0), 0);
	assert_int_equal(come_as("b.example"), RC_OK);
	p.side[1].actions_n = p.side[1].answered = 0;
	assert_int_equal(claim(8, 8), RC_OK);
	assert_int_equal(side_count(&p.side[1], 0, KEYS_SA_REMOVE, NULL), 2);
}

/* ike ended and left its child SAs to the data plane: they stay, until another identity has an address of theirs. */
static void what_is_left_of_another(void **state)
{
	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(claim(8, 15), RC_OK);
	keys_ike_lost(p.side[1].keys);
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(claim(16, 16), RC_OK);
	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(claim(8, 15), RC_OK);
	assert_int_equal(removed(0), 0);
	keys_ike_lost(p.side[1].keys);
	assert_int_equal(come_as("b.example"), RC_OK);
	p.side[1].actions_n = p.side[1].answered = 0;
	assert_int_equal(claim(9, 9), RC_OK);
	assert_int_equal(side_count(&p.side[1], 0, KEYS_SA_REMOVE, NULL), 2);
	assert_memory_equal(side_entry(&p.side[1], KEYS_ENTRY_SA_REMOVE)->id, "a.example", 9);
	/* Its IKE SA is gone, and whose it was is known all the same. */
	struct keeper_request q = { .op = KEEPER_CHILD_REMOVE,
		.u.CHILD_REMOVE = { .spi_in = p.side[1].spi_in } };
	drop(p.side[1].ike);
	assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
	assert_memory_equal(side_entry(&p.side[1], KEYS_ENTRY_SA_REMOVE)->id, "b.example", 9);
}

/* What one identity's child SA is rekeyed to is no other one's, and neither precedes its entry for the sake of another one's. */
static void a_rekey_is_within_one_identity(void **state)
{
	uint32_t a_first, b_first;

	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(claim(8, 8), RC_OK);
	a_first = p.side[1].spi_in;
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(claim(9, 9), RC_OK);
	b_first = p.side[1].spi_in;
	assert_int_equal(come_as("b.example"), RC_OK);
	assert_int_equal(claim_after(9, a_first), RC_DENIED);
	assert_non_null(strstr(install_text(), "belongs to another identity"));
	p.side[1].ledger = PAIR_AWAY;
	assert_int_equal(claim_after(9, a_first), RC_DENIED);
	assert_int_equal(claim_after(9, b_first), RC_OK); /* of its own it may be entered later */
	p.side[1].ledger = PAIR_AT_ONCE;
	assert_int_equal(come_as("b.example"), RC_OK);
	const struct keys_action *a = NULL;
	p.side[1].actions_n = p.side[1].answered = 0;
	assert_int_equal(claim_after(9, 0x12345678), RC_OK); /* of before this keeper: nobody's */
	assert_int_equal(side_count(&p.side[1], 0, KEYS_SA_INSTALL, &a), 1);
	assert_int_equal(a->u.install.rekeys_spi_in, 0);
}

/* Where there is no more place, what is left over of an identity that is gone gives way, and takes its addresses out of the data plane. */
static void a_place_that_is_used_again(void **state)
{
	struct side *s = &p.side[1];
	char name[32];

	s->config.peers[0].connections_max = CONNECTIONS_MAX;
	side_configure(s);
	assert_int_equal(come_as("a.example"), RC_OK);
	assert_int_equal(claim(8, 8), RC_OK);
	uint32_t first = s->spi_in;
	keys_ike_lost(s->keys);
	for (unsigned n = 0; removed(0) == 0; n++) {
		struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };

		if (n % KEYS_BEGUN_PER_IKE_MAX == 0) {
			snprintf(name, sizeof name, "n%u.example", n);
			pair_lockable = SIZE_MAX;
			assert_int_equal(come_as(name), RC_OK);
			pair_lockable = 0; /* for child SAs */
		}
		q.u.CHILD_BEGIN.handle = s->ike;
		q.u.CHILD_BEGIN.role = KEEPER_RESPONDER;
		s->actions_n = s->answered = 0;
		if (side_ask(s, &q) != RC_OK)
			fail_msg("%s", s->reply.u.CHILD_BEGIN.text);
	}
	pair_lockable = SIZE_MAX;
	assert_int_equal(removed(0), first);
	assert_memory_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->id, "a.example", 9);
}

/* The requests of one identity that wait leave room for those of the others, and those of all for other peers. */
static void requests_of_one_identity_that_wait(void **state)
{
	struct side *s = &p.side[1];
	char name[32];

	s->config.peers[0].connections_max = CONNECTIONS_MAX;
	side_configure(s);
	s->ledger = PAIR_HOLD;
	for (unsigned of = 0; of <= KEYS_PENDING_PER_TEMPLATE_MAX / KEYS_PENDING_PER_IDENTITY_MAX; of++) {
		bool none = of == KEYS_PENDING_PER_TEMPLATE_MAX / KEYS_PENDING_PER_IDENTITY_MAX;
		snprintf(name, sizeof name, "n%u.example", of);
		for (unsigned i = 0; i <= KEYS_PENDING_PER_IDENTITY_MAX; i++) {
			p.side[0].actions_n = p.side[0].answered = s->actions_n = s->answered = 0;
			s->reply = (struct keeper_reply){ 0 };
			assert_int_equal(come_as(name), RC_AGAIN);
			bool refused = s->reply.op == KEEPER_AUTH_VERIFY;
			assert_int_equal(refused, none || i == KEYS_PENDING_PER_IDENTITY_MAX);
			if (refused && !none)
				assert_non_null(strstr(s->reply.u.AUTH_VERIFY.text,
					"8 requests of one identity of peer 'hq' are waiting"));
			if (refused)
				drop(s->ike);
		}
	}
	assert_int_equal(keys_count(s->keys).pending, KEYS_PENDING_PER_TEMPLATE_MAX);
}

/* Each identity by its own key, and by no other one. */
static void a_key_of_each(void **state)
{
	static const char one[] = "the key of a alone", other[] = "the key of b alone";
	struct snap_peer *hq = &p.side[1].config.peers[0];
	struct keys *theirs = p.side[0].keys, *ours = p.side[1].keys;
	uint32_t first;

	hq->flags |= PEER_PSK_OF_ID;
	memset(hq->key_name, 0, sizeof hq->key_name);
	side_configure(&p.side[1]);
	assert_int_equal(come_as("a.example"), RC_AUTH);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "has no usable a.example.psk"));
	assert_int_equal(keys_identity_psk(ours, "a.example", one, sizeof one - 1, NULL), RC_OK);
	assert_int_equal(keys_identity_psk(ours, "b.example", other, sizeof other - 1, NULL), RC_OK);
	assert_int_equal(come_as("a.example"), RC_AUTH); /* by the key that all had */
	assert_int_equal(
		keys_identity_psk(theirs, p.side[0].config.peers[0].key_name, one, sizeof one - 1, NULL),
		RC_OK);
	assert_int_equal(come_as("a.example"), RC_OK);
	first = p.side[1].ike;
	assert_int_equal(claim(8, 15), RC_OK);
	assert_int_equal(come_as("b.example"), RC_AUTH); /* by the key of a */
	assert_int_equal(come_as("c.example"), RC_AUTH);
	/* Its key is replaced: it has to prove itself again, with the new one. */
	keys_identities_clear(ours);
	assert_int_equal(keys_identity_psk(ours, "a.example", other, sizeof other - 1, NULL), RC_OK);
	p.side[1].actions_n = p.side[1].answered = 0;
	keys_recheck(ours);
	assert_int_equal(side_count(&p.side[1], 0, KEYS_ENDED, NULL), 1);
	assert_int_equal(come_as("a.example"), RC_AUTH);
	drop(first);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, before, after)
	const struct CMUnitTest tests[] = { T(which_fit), T(so_many_at_a_time), T(each_has_its_own_ike_sas),
		T(while_a_rekey_is_begun), T(an_address_is_one_identitys), T(what_is_left_of_another),
		T(a_rekey_is_within_one_identity), T(a_place_that_is_used_again),
		T(requests_of_one_identity_that_wait), T(a_key_of_each) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
