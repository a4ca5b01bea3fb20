/*
 * Child SAs: what may be installed, what the ledger and the data plane say to it, and that no keying material
 * comes out twice or stays behind.
 */
#include "pair.h"

#include "crypto/dh.h"
#include "keys/derive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;

/* An authenticated IKE SA. */
static int setup(void **state)
{
	pair_init(&p);
	return pair_ike(&p) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

static const struct sa_install *installed(int at)
{
	const struct keys_action *a = NULL;

	side_count(&p.side[at], 0, KEYS_SA_INSTALL, &a);
	assert_non_null(a);
	return &a->u.install;
}

static enum rc install(int at, const struct keeper_child_install *c)
{
	struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };

	q.u.CHILD_INSTALL = *c;
	return side_ask(&p.side[at], &q);
}

static enum rc remove_child(int at, uint32_t child, uint32_t spi_in)
{
	struct keeper_request q = { .op = KEEPER_CHILD_REMOVE };

	q.u.CHILD_REMOVE.child = child;
	q.u.CHILD_REMOVE.spi_in = spi_in;
	snprintf(q.u.CHILD_REMOVE.reason, sizeof q.u.CHILD_REMOVE.reason, "replaced");
	return side_ask(&p.side[at], &q);
}

static void entry_and_hand_over(void **state)
{
	const struct keys_entry *e;
	const struct sa_install *s;

	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE | CHILD_ESN | CHILD_ENCAP), RC_OK);
	s = installed(0);
	assert_int_equal(s->tunnel, 0);
	assert_int_equal(s->spi_in, p.side[0].spi_in);
	assert_int_equal(s->spi_out, p.side[1].spi_in);
	assert_int_equal(s->flags, CHILD_NONCES_OF_IKE | CHILD_ESN | CHILD_ENCAP);
	assert_int_equal(s->key_n, 36);
	assert_int_equal(s->local.port, 4500);
	assert_int_equal(s->local_n, 1);
	assert_memory_equal(&s->remote_ts[0], &p.side[0].config.selectors[1], sizeof s->remote_ts[0]);
	e = side_entry(&p.side[0], KEYS_ENTRY_SA_INSTALL);
	assert_string_equal(e->tunnel, "sites");
	assert_string_equal(e->peer, "branch");
	assert_int_equal(e->spi_in, s->spi_in);
	assert_int_equal(e->spi_out, s->spi_out);
	assert_int_equal(e->encr, 20);
	assert_false(e->deferred);
	assert_int_equal(keys_count(p.side[0].keys).children_installed, 1);
	/* First the entry, then the data plane, then the reply. */
	size_t entry_at = 0, install_at = 0, reply_at = 0;
	for (size_t i = 0; i < p.side[0].actions_n; i++) {
		const struct keys_action *a = &p.side[0].actions[i];
		if (a->kind == KEYS_APPEND && a->u.entry.kind == KEYS_ENTRY_SA_INSTALL)
			entry_at = i;
		if (a->kind == KEYS_SA_INSTALL)
			install_at = i;
		if (a->kind == KEYS_REPLY && a->u.reply.op == KEEPER_CHILD_INSTALL)
			reply_at = i;
	}
	assert_true(entry_at < install_at && install_at < reply_at);
}

/* An SPI that waits for its removal is not given out: the data plane's answer names only the SPI. */
static void spi_of_a_pending_removal(void **state)
{
	struct side *s = &p.side[0];
	struct keys_entropy next = side_drawn(s, s->drawn + 2);
	struct keeper_request remove = { .op = KEEPER_CHILD_REMOVE };
	struct keeper_request begin = { .op = KEEPER_CHILD_BEGIN };

	remove.u.CHILD_REMOVE.spi_in = load_be32(next.public_bytes + PUBLIC_SPI_AT);
	assert_true(remove.u.CHILD_REMOVE.spi_in >= 256);
	s->dataplane = PAIR_HOLD;
	assert_int_equal(side_ask(s, &remove), RC_AGAIN); /* waits for the data plane */
	begin.u.CHILD_BEGIN.handle = s->ike;
	begin.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	assert_int_equal(side_ask(s, &begin), RC_OK);
	assert_int_equal(s->reply.u.CHILD_BEGIN.spi_in,
		load_be32(next.public_bytes + PUBLIC_SPI_AT + 4)); /* the second */
}

/* The child's keys by the formulas of 2.14 and 2.17, computed here from what the generators gave. */
static void keymat_by_formula(void **state)
{
	struct keys_entropy ike_seed = side_drawn(&p.side[0], 1), child_seed;
	uint8_t ke[32], shared[32], seed[32], first[36], second[36];
	struct side *i = &p.side[0], *r = &p.side[1];
	struct octets ni = { i->begun.nonce, 32 }, nr = { r->begun.nonce, 32 };
	struct dh_secret dh;
	struct ike_keys_all sk;

	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, ike_seed.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared, NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ shared, 32 }, seed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ seed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &sk), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	assert_int_equal(derive_keymat(5, (struct octets){ sk.sk.sk_d, 32 }, ni, nr,
				 (struct octets){ shared, 0 }, (struct octets){ 0 }, first, second, 36),
		RC_OK);
	assert_memory_equal(installed(0)->key_out, first, 36);
	assert_memory_equal(installed(0)->key_in, second, 36);
	assert_memory_equal(installed(1)->key_in, first, 36);
	/* CREATE_CHILD_SA by branch, with its own exchange: now branch is the initiator. */
	p.initiator = 1;
	child_seed = side_drawn(i, i->drawn + 1);
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, child_seed.secret), RC_OK);
	assert_memory_equal(ke, i->child_begun.ke, 32);
	assert_int_equal(dh_shared(&dh, r->child_begun.ke, 32, shared, NULL), RC_OK);
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
	ni = (struct octets){ r->child_begun.nonce, 32 };
	nr = (struct octets){ i->child_begun.nonce, 32 };
	assert_int_equal(derive_keymat(5, (struct octets){ sk.sk.sk_d, 32 }, ni, nr,
				 (struct octets){ shared, 32 }, (struct octets){ 0 }, first, second, 36),
		RC_OK);
	assert_memory_equal(installed(1)->key_out, first, 36);
	assert_memory_equal(installed(0)->key_out, second, 36);
}

/* A responder with MODP keeps the peer's value, not the result, which is long; a value that is none is refused at once. */
static void modp_of_a_responder(void **state)
{
	struct keys_entropy drawn = side_drawn(&p.side[0], p.side[0].drawn + 1);
	uint8_t ke[DH_PUBLIC_MAX], shared[DH_SHARED_MAX], first[36], second[36];
	struct keys_entropy ike_seed = side_drawn(&p.side[0], 1);
	struct ike_keys_all sk;
	struct side *i = &p.side[0], *r = &p.side[1];
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };
	struct dh_secret dh;

	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, ike_seed.secret), RC_OK);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared, NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, (struct octets){ i->begun.nonce, 32 },
				 (struct octets){ r->begun.nonce, 32 }, (struct octets){ shared, 32 }, first),
		RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ first, 32 }, (struct octets){ i->begun.nonce, 32 },
			(struct octets){ r->begun.nonce, 32 }, p.spi_i, p.spi_r, 36, 0, &sk),
		RC_OK);
	p.group = DH_MODP_2048;
	assert_int_equal(pair_child_begin(&p, DH_MODP_2048), RC_OK);
	assert_int_equal(i->child_begun.ke_n, 256);
	assert_int_equal(dh_generate(&dh, ke, DH_MODP_2048, drawn.secret), RC_OK);
	assert_memory_equal(ke, i->child_begun.ke, 256);
	assert_int_equal(dh_shared(&dh, r->child_begun.ke, 256, shared, NULL), RC_OK);
	assert_int_equal(derive_keymat(5, (struct octets){ sk.sk.sk_d, 32 },
				 (struct octets){ i->child_begun.nonce, 32 },
				 (struct octets){ r->child_begun.nonce, 32 }, (struct octets){ shared, 256 },
				 (struct octets){ 0 }, first, second, 36),
		RC_OK);
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
	assert_memory_equal(installed(0)->key_out, first, 36);
	assert_memory_equal(installed(1)->key_out, second, 36);
	q.u.CHILD_BEGIN.handle = r->ike;
	q.u.CHILD_BEGIN.role = KEEPER_RESPONDER;
	q.u.CHILD_BEGIN.dh_group = DH_MODP_2048;
	q.u.CHILD_BEGIN.peer_ke_n = 256;
	assert_int_equal(side_ask(r, &q), RC_MALFORMED); /* zero */
	assert_true(r->reply.u.CHILD_BEGIN.text[0] != 0);
	q.u.CHILD_BEGIN.peer_ke_n = 255;
	assert_int_equal(side_ask(r, &q), RC_RANGE);
	q.u.CHILD_BEGIN.peer_ke_n = 0;
	assert_int_equal(side_ask(r, &q), RC_RANGE);
}

static struct selector selector_of(const char *prefix, uint8_t proto, uint16_t first, uint16_t last)
{
	struct selector s = { .proto = proto, .port_first = first, .port_last = last };
	struct ip_prefix x;

	assert_int_equal(prefix_parse(&x, prefix), RC_OK);
	s.addrs = range_from_prefix(&x);
	return s;
}

/* A refused one stays begun: each row starts from the same child, and the right request still goes through.
 */
#define REFUSED(change, want)                                                                                \
	do {                                                                                                 \
		struct keeper_child_install c = side_install_request(&p, 0, 0);                              \
		change;                                                                                      \
		assert_int_equal(install(0, &c), want);                                                      \
		assert_true(p.side[0].reply.u.CHILD_INSTALL.text[0] != 0);                                   \
		assert_int_equal(side_count(&p.side[0], 0, KEYS_SA_INSTALL, NULL), 0);                       \
	} while (0)

static void outside_of_the_tunnel(void **state)
{
	struct side *s = &p.side[0];

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	REFUSED(c.handle = 0, RC_NOT_FOUND);
	REFUSED(c.local_ts[0] = selector_of("10.0.0.0/15", 0, 0, 65535), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("10.0.0.0/8", 0, 0, 65535), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("0.0.0.0/0", 0, 0, 65535), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("::/0", 0, 0, 65535), RC_DENIED);
	REFUSED(c.remote_ts[0] = selector_of("10.3.0.0/16", 0, 0, 65535), RC_DENIED);
	REFUSED((c.remote_n = 2, c.remote_ts[1] = selector_of("10.3.0.0/16", 0, 0, 65535)), RC_DENIED);
	REFUSED((c.remote_ts[0].addrs.last.b[1]++), RC_DENIED); /* one network too far */
	REFUSED(c.local_n = 0, RC_RANGE);
	REFUSED(c.remote_n = 0, RC_RANGE);
	REFUSED(c.local_n = SELECTORS_MAX + 1, RC_RANGE);
	REFUSED(c.remote_n = 0xffff, RC_RANGE);
	REFUSED((c.local_ts[0].addrs.first.b[3] = 9, c.local_ts[0].addrs.last = c.local_ts[0].addrs.first,
			c.local_ts[0].addrs.last.b[3] = 8),
		RC_MALFORMED);
	REFUSED((c.local_ts[0].port_first = 80, c.local_ts[0].port_last = 79), RC_MALFORMED);
	REFUSED(c.local_ts[0].addrs.last = selector_of("2001:db8::/32", 0, 0, 1).addrs.last, RC_MALFORMED);
	REFUSED(memset(&c.local_ts[0].addrs, 0, sizeof c.local_ts[0].addrs), RC_MALFORMED);
	REFUSED(c.encr_bits = 192, RC_DENIED);
	REFUSED(c.encr = 12, RC_DENIED);
	REFUSED((c.encr = 28, c.encr_bits = 128), RC_DENIED);
	REFUSED(c.tunnel = 1, RC_DENIED); /* of another peer */
	REFUSED(c.tunnel = 2, RC_NOT_FOUND);
	REFUSED(c.tunnel = INDEX_NONE, RC_NOT_FOUND);
	REFUSED(c.spi_out = 255, RC_RANGE);
	REFUSED(c.spi_out = 0, RC_RANGE);
	REFUSED(c.role = KEEPER_RESPONDER, RC_MALFORMED);
	REFUSED(c.dh_group = DH_ECP_256, RC_MALFORMED);
	REFUSED(c.peer_nonce_n = 15, RC_RANGE);
	REFUSED(c.peer_nonce_n = 257, RC_RANGE);
	REFUSED(c.peer_ke_n = 31, RC_RANGE);
	REFUSED(c.peer_ke_n = 0xffff, RC_RANGE);
	REFUSED(memset(c.peer_ke, 0, sizeof c.peer_ke), RC_MALFORMED);
	REFUSED(memcpy(c.peer_nonce, s->child_begun.nonce, 32), RC_DENIED);
	REFUSED(c.child = 0, RC_NOT_FOUND);
	REFUSED(c.child += 1u << 14, RC_NOT_FOUND);
	assert_non_null(side_entry(s, KEYS_ENTRY_REFUSED));
	assert_string_equal(side_entry(s, KEYS_ENTRY_REFUSED)->peer, "branch");
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
}

/* Narrower than configured is inside: hosts, one protocol, a range of ports, IPv6 beside IPv4. */
static void narrowed(void **state)
{
	struct keeper_child_install c;

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	c = side_install_request(&p, 0, 0);
	c.local_ts[0] = selector_of("10.1.7.7/32", 6, 443, 443);
	c.remote_n = 2;
	c.remote_ts[0] = selector_of("10.2.9.0/24", 17, 0, 65535);
	c.remote_ts[1] = selector_of("2001:db8:5::/48", 0, 0, 65535);
	assert_int_equal(install(0, &c), RC_OK);
	assert_int_equal(installed(0)->remote_n, 2);
	assert_memory_equal(&installed(0)->remote_ts[1], &c.remote_ts[1], sizeof c.remote_ts[1]);
}

/* A configured protocol or port range is a limit as well. */
static void configured_protocol(void **state)
{
	p.side[0].config.selectors[0].proto = 6;
	p.side[0].config.selectors[0].port_first = 80;
	p.side[0].config.selectors[0].port_last = 90;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	REFUSED(c.local_ts[0] = selector_of("10.1.0.0/16", 0, 80, 90), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("10.1.0.0/16", 17, 80, 90), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("10.1.0.0/16", 6, 79, 90), RC_DENIED);
	REFUSED(c.local_ts[0] = selector_of("10.1.0.0/16", 6, 80, 91), RC_DENIED);
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
}

/* Sequence numbers and the group of PFS are of a proposal, or refused. */
static void proposal_details(void **state)
{
	struct pair_config *config = &p.side[0].config;

	for (size_t i = 0; i < PAIR_ESP_PROPOSALS; i++) {
		config->esp[i].esn = 0;
		config->esp[i].dh = DH_CURVE25519;
	}
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	REFUSED(c.flags |= CHILD_ESN, RC_DENIED);
	REFUSED(c.dh_group = DH_NONE, RC_DENIED); /* PFS is configured: no way round it */
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
	for (size_t i = 0; i < PAIR_ESP_PROPOSALS; i++)
		config->esp[i].esn = 1;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	struct keeper_child_install c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_DENIED);
	c.flags = CHILD_ESN;
	assert_int_equal(install(0, &c), RC_OK);
}

static void begin_refusals(void **state)
{
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };

	q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	assert_int_equal(side_ask(&p.side[0], &q), RC_NOT_FOUND); /* no handle */
	q.u.CHILD_BEGIN.handle = p.side[0].ike;
	q.u.CHILD_BEGIN.role = 0;
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
	q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	q.u.CHILD_BEGIN.dh_group = 2;
	assert_int_equal(side_ask(&p.side[0], &q), RC_UNSUPPORTED);
	/* The peer's value: a responder's with a group, and of the group's size, on its curve. */
	q.u.CHILD_BEGIN.dh_group = DH_CURVE25519;
	q.u.CHILD_BEGIN.peer_ke_n = 32;
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
	q.u.CHILD_BEGIN.role = KEEPER_RESPONDER;
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED); /* zero is of low order */
	q.u.CHILD_BEGIN.peer_ke[0] = 9;
	for (int n = 31; n <= 33; n += 2) {
		q.u.CHILD_BEGIN.peer_ke_n = (uint16_t)n;
		assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	}
	q.u.CHILD_BEGIN.peer_ke_n = 0;
	assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	q.u.CHILD_BEGIN.peer_ke_n = 0xffff;
	assert_int_equal(side_ask(&p.side[0], &q), RC_RANGE);
	q.u.CHILD_BEGIN.peer_ke_n = 32;
	q.u.CHILD_BEGIN.dh_group = DH_NONE;
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
	assert_int_equal(keys_count(p.side[0].keys).children_begun, 0);
	q.u.CHILD_BEGIN.peer_ke_n = 0;
	q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	q.u.CHILD_BEGIN.tunnel = 2;
	assert_int_equal(side_ask(&p.side[0], &q), RC_NOT_FOUND);
	q.u.CHILD_BEGIN.tunnel = 1; /* of "third", while the SA is with "branch" */
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
	q.u.CHILD_BEGIN.tunnel = 0;
	for (size_t i = 0; i < KEYS_BEGUN_PER_IKE_MAX; i++)
		assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	assert_true(p.side[0].reply.u.CHILD_BEGIN.spi_in >= 256);
	assert_int_equal(side_ask(&p.side[0], &q), RC_LIMIT);
	/* Dropped ones make room. */
	struct keeper_request drop = { .op = KEEPER_DROP };
	drop.u.DROP.handle = p.side[0].ike;
	drop.u.DROP.child = 1u << 15 | 1;
	assert_int_equal(side_ask(&p.side[0], &drop), RC_OK);
	assert_int_equal(side_ask(&p.side[0], &drop), RC_NOT_FOUND);
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
}

/* Reserved SPIs and those in use are passed over. */
static void spis(void **state)
{
	struct keys_entropy fresh = { 0 };
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };

	q.u.CHILD_BEGIN.handle = p.side[0].ike;
	q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	for (uint8_t i = 0; i < 8; i++)
		store_be32(fresh.public_bytes + 32 + 4 * i, i == 7 ? 0x100 : i == 6 ? 0xff : i);
	keys_request(p.side[0].keys, &q, &fresh);
	assert_int_equal(p.side[0].reply.u.CHILD_BEGIN.rc, RC_OK);
	assert_int_equal(p.side[0].reply.u.CHILD_BEGIN.spi_in, 0x100);
	for (uint8_t i = 0; i < 8; i++)
		store_be32(fresh.public_bytes + 32 + 4 * i, 0x100);
	keys_request(p.side[0].keys, &q, &fresh);
	assert_int_equal(p.side[0].reply.u.CHILD_BEGIN.rc, RC_AGAIN);
}

/* Nonces serve once: neither those of IKE_SA_INIT nor those of a child come to a second use. */
static void nonces_serve_once(void **state)
{
	struct keeper_child_install c;

	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	c.dh_group = DH_CURVE25519;
	assert_int_equal(install(0, &c), RC_MALFORMED);
	assert_int_equal(pair_child_install(&p, CHILD_NONCES_OF_IKE), RC_OK);
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(install(0, &c), RC_DENIED); /* the child is installed */
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(install(0, &c), RC_DENIED);
	assert_int_equal(pair_rekey(&p), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(install(0, &c), RC_DENIED);
	c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_OK);
}

static void not_authenticated(void **state)
{
	struct keeper_child_install c;

	pair_done(&p);
	pair_init(&p);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK); /* the initiator's SPI goes with its AUTH */
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(install(0, &c), RC_DENIED);
	assert_int_equal(pair_authenticate(&p), RC_OK);
	assert_int_equal(pair_child_install(&p, CHILD_NONCES_OF_IKE), RC_OK);
}

/* A child of one IKE SA is none of another's. */
static void handles_do_not_mix(void **state)
{
	struct keeper_child_install c;
	uint32_t first = p.side[0].ike;

	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_not_equal(p.side[0].ike, first);
	c.handle = p.side[0].ike;
	assert_int_equal(install(0, &c), RC_NOT_FOUND);
	c.handle = first;
	assert_int_equal(install(0, &c), RC_OK);
}

static void new_child_without_ledger(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	s->ledger = PAIR_AWAY;
	c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_DENIED);
	assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), 0);
	assert_int_equal(keys_count(s->keys).pending, 0);
	assert_int_equal(install(0, &c), RC_NOT_FOUND); /* its nonces are spent: begin again */
	s->ledger = PAIR_AT_ONCE;
	s->receipt_rc = RC_LIMIT;
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_DENIED);
	assert_non_null(strstr(s->reply.u.CHILD_INSTALL.text, "ledger"));
	assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), 0);
}

/* A tunnel that is entered may rekey without the ledger; the entry follows and says so. */
static void rekey_without_ledger(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;
	uint32_t old;

	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	old = s->spi_in;
	for (int i = 0; i < 2; i++) {
		size_t before = side_count(s, 0, KEYS_SA_INSTALL, NULL);

		s->ledger = i == 0 ? PAIR_AWAY : PAIR_AT_ONCE;
		s->receipt_rc = i == 0 ? RC_OK : RC_LIMIT; /* full is like away */
		assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
		c = side_install_request(&p, 0, 0);
		c.rekeys_spi_in = old;
		assert_int_equal(install(0, &c), RC_OK);
		assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), before + 1);
		assert_int_equal(installed(0)->rekeys_spi_in, old);
		assert_true(side_entry(s, KEYS_ENTRY_SA_INSTALL)->deferred);
		assert_int_equal(side_entry(s, KEYS_ENTRY_SA_INSTALL)->rekeys_spi_in, old);
		assert_int_equal(side_entry(s, KEYS_ENTRY_SA_INSTALL)->spi_in, s->spi_in);
	}
	/* With the name of a child that nobody knows it is no rekey. */
	s->ledger = PAIR_AWAY;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	c = side_install_request(&p, 0, 0);
	c.rekeys_spi_in = 0x7777;
	assert_int_equal(install(0, &c), RC_DENIED);
	/* With the ledger there, a rekey waits for its receipt like all others. */
	s->ledger = PAIR_HOLD;
	s->receipt_rc = RC_OK;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	c = side_install_request(&p, 0, 0);
	c.rekeys_spi_in = old;
	size_t before = side_count(s, 0, KEYS_SA_INSTALL, NULL);
	assert_int_equal(install(0, &c), RC_AGAIN);
	assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), before);
	s->ledger = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(s->reply.u.CHILD_INSTALL.rc, RC_OK);
}

/*
 * A child SA of a keeper before, whose name ike gives so that the data plane takes the new one in its place.
 * It is installed, but no entry says in the keeper's name what only ike says.
 */
static void rekey_of_an_unknown_child(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;
	uint32_t old;

	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	old = s->spi_in;
	for (int i = 0; i < 4; i++) {
		bool known = i & 1, held = i & 2;

		s->ledger = held ? PAIR_HOLD : PAIR_AT_ONCE;
		assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
		c = side_install_request(&p, 0, 0);
		c.rekeys_spi_in = known ? old : 0x7777;
		assert_int_equal(install(0, &c), held ? RC_AGAIN : RC_OK);
		s->ledger = PAIR_AT_ONCE;
		side_pump(s);
		assert_int_equal(s->reply.u.CHILD_INSTALL.rc, RC_OK);
		assert_int_equal(installed(0)->rekeys_spi_in, c.rekeys_spi_in);
		assert_int_equal(side_entry(s, KEYS_ENTRY_SA_INSTALL)->spi_in, s->spi_in);
		assert_int_equal(side_entry(s, KEYS_ENTRY_SA_INSTALL)->rekeys_spi_in, known ? old : 0);
	}
}

static void rekey_of_another_tunnel(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;
	uint32_t old;

	/* A second tunnel with the same peer. */
	s->config.tunnels[1].peer = 0;
	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	old = s->spi_in;
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };
	q.u.CHILD_BEGIN.handle = s->ike;
	q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
	q.u.CHILD_BEGIN.tunnel = 1;
	assert_int_equal(side_ask(s, &q), RC_OK);
	s->child = s->reply.u.CHILD_BEGIN.child;
	s->child_begun = s->reply.u.CHILD_BEGIN;
	c = side_install_request(&p, 0, 0);
	memset(c.peer_nonce, 5, 32);
	c.peer_nonce_n = 32;
	c.tunnel = 1;
	c.remote_ts[0] = s->config.selectors[3];
	c.rekeys_spi_in = old;
	assert_int_equal(install(0, &c), RC_DENIED);
	c.rekeys_spi_in = 0;
	assert_int_equal(install(0, &c), RC_OK);
}

static void dataplane_refuses(void **state)
{
	struct side *s = &p.side[0];

	s->installed_rc = RC_EXISTS;
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_EXISTS);
	assert_string_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->tunnel, "sites");
	assert_int_equal(keys_count(s->keys).children_installed, 0);
	assert_int_equal(keys_count(s->keys).pending, 0);
}

static void dataplane_away(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;
	uint32_t spi;

	keys_dataplane_down(s->keys);
	s->dataplane = PAIR_AWAY;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_AGAIN); /* before anything is entered */
	assert_null(side_entry(s, KEYS_ENTRY_SA_INSTALL));
	keys_dataplane_up(s->keys);
	s->dataplane = PAIR_HOLD;
	assert_int_equal(install(0, &c), RC_AGAIN); /* waits */
	assert_int_equal(keys_count(s->keys).pending, 1);
	spi = s->spi_in;
	/* It dies with the SA in its hands: refused, entered, and taken out when it is back. */
	keys_dataplane_down(s->keys);
	assert_int_equal(s->reply.u.CHILD_INSTALL.rc, RC_AGAIN);
	assert_int_equal(keys_count(s->keys).pending, 0);
	assert_int_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->spi_in, spi);
	const struct keys_action *a = NULL;
	assert_int_equal(side_count(s, 0, KEYS_SA_REMOVE, NULL), 0);
	keys_dataplane_up(s->keys);
	assert_int_equal(side_count(s, 0, KEYS_SA_REMOVE, &a), 1);
	assert_int_equal(a->u.remove.spi_in, spi);
	s->dataplane = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(remove_child(0, 0, spi), RC_OK); /* unknown now; the data plane says so */
}

static void removal(void **state)
{
	struct side *s = &p.side[0];

	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	assert_int_equal(remove_child(0, s->child, s->spi_in + 1), RC_NOT_FOUND);
	assert_int_equal(remove_child(0, s->child + 1, s->spi_in), RC_NOT_FOUND);
	assert_int_equal(remove_child(0, 0, 0), RC_NOT_FOUND);
	s->dataplane = PAIR_HOLD;
	assert_int_equal(remove_child(0, s->child, s->spi_in), RC_AGAIN);
	assert_int_equal(keys_count(s->keys).children_installed, 0);
	s->dataplane = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(s->reply.u.CHILD_REMOVE.rc, RC_OK);
	assert_string_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->reason, "replaced");
	assert_string_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->tunnel, "sites");
	/* By SPI alone; the ledger's absence does not hold a removal back. */
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_OK);
	s->ledger = PAIR_AWAY;
	assert_int_equal(remove_child(0, 0, s->spi_in), RC_OK);
	/* A begun one: nothing to take out. */
	s->ledger = PAIR_AT_ONCE;
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	size_t before = side_count(s, 0, KEYS_SA_REMOVE, NULL);
	assert_int_equal(remove_child(0, s->child, s->spi_in), RC_OK);
	assert_int_equal(side_count(s, 0, KEYS_SA_REMOVE, NULL), before);
}

/* The children stay when their IKE SA ends, and when ike does; its secrets do not. */
static void ike_dies(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_auth_signed auth;
	uint32_t spi;

	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	spi = s->spi_in;
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK); /* another one, share way */
	keys_ike_lost(s->keys);
	assert_int_equal(side_count(s, 0, KEYS_SA_REMOVE, NULL), 0);
	assert_int_equal(keys_count(s->keys).children_installed, 1);
	assert_int_equal(keys_count(s->keys).ike_sas, 0);
	assert_int_equal(keys_count(s->keys).exchanges, 0);
	assert_int_equal(side_entry(s, KEYS_ENTRY_IKE_LOST)->count, 1);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_NOT_FOUND);
	/* The new ike takes over: new IKE SA, a child that replaces the old one. */
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	struct keeper_child_install c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	c.rekeys_spi_in = spi;
	assert_int_equal(install(0, &c), RC_OK);
	assert_int_equal(remove_child(0, 0, spi), RC_OK);
	/* Whose it was is known without its IKE SA. */
	assert_int_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->spi_in, spi);
	assert_string_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->peer, s->config.peers[0].name);
}

/* ike dies while its requests wait: no reply, no act, and the ledger is told how it ended. */
static void ike_dies_waiting(void **state)
{
	struct side *s = &p.side[0];
	size_t replies;

	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	s->ledger = PAIR_HOLD;
	struct keeper_child_install c = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(install(0, &c), RC_AGAIN);
	keys_ike_lost(s->keys);
	replies = s->replies;
	s->ledger = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(s->replies, replies);
	assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), 0);
	assert_string_equal(side_entry(s, KEYS_ENTRY_SA_REMOVE)->tunnel, "sites");
	assert_int_equal(keys_count(s->keys).pending, 0);
	assert_int_equal(keys_count(s->keys).children_begun, 0);
}

/* A new configuration: tunnels and peers are found by name, a peer that authenticates otherwise is not the
 * same. */
static void configuration_changes(void **state)
{
	struct side *s = &p.side[0];
	struct snap_tunnel sites = s->config.tunnels[0];
	struct snap_peer branch = s->config.peers[0];
	struct keeper_child_install c;

	/* Places change: tunnel 1 is 'sites' now, and peer 1 is 'branch'. */
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	s->config.tunnels[0] = s->config.tunnels[1];
	s->config.tunnels[1] = sites;
	s->config.peers[0] = s->config.peers[1];
	s->config.peers[1] = branch;
	s->config.tunnels[0].peer = 0;
	s->config.tunnels[1].peer = 1;
	side_configure(s);
	c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_DENIED); /* tunnel 0 is of 'third' */
	c.tunnel = 1;
	c.local = (struct endpoint){ 0 };
	assert_int_equal(install(0, &c), RC_OK);
	assert_int_equal(installed(0)->tunnel, 1);
	/* Removal names the tunnel by its present place. */
	s->config.tunnels[1] = s->config.tunnels[0];
	s->config.tunnels[0] = sites;
	s->config.tunnels[0].peer = 1;
	side_configure(s);
	assert_int_equal(remove_child(0, 0, s->spi_in), RC_OK);
	const struct keys_action *a = NULL;
	side_count(s, 0, KEYS_SA_REMOVE, &a);
	assert_int_equal(a->u.remove.tunnel, 0);
}

static void peer_changes(void **state)
{
	struct side *s = &p.side[0];

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	s->config.peers[0].remote_id.data[0] = 'x';
	side_configure(s);
	REFUSED((void)c, RC_DENIED);
	assert_non_null(strstr(s->reply.u.CHILD_INSTALL.text, "authenticate again"));
	s->config.peers[0].remote_id.data[0] = 'b';
	snprintf(s->config.peers[0].key_name, sizeof s->config.peers[0].key_name, "another");
	REFUSED((void)c, RC_DENIED);
	snprintf(s->config.peers[0].key_name, sizeof s->config.peers[0].key_name, "shared");
	s->config.peers[0].auth = PEER_AUTH_PUBLIC_KEY;
	REFUSED((void)c, RC_DENIED);
	s->config.peers[0].auth = PEER_AUTH_PSK;
	s->config.peers[0].rekey_s = 7; /* nothing to do with who it is */
	assert_int_equal(pair_child_install(&p, 0), RC_OK);
}

/* While the entry is on its way the tunnel leaves the configuration: nothing is installed. */
static void tunnel_gone_meanwhile(void **state)
{
	struct side *s = &p.side[0];

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	s->ledger = PAIR_HOLD;
	struct keeper_child_install c = side_install_request(&p, 0, 0);
	assert_int_equal(install(0, &c), RC_AGAIN);
	s->config.tunnels[0].name[0] = 'x';
	side_configure(s);
	s->ledger = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(s->reply.u.CHILD_INSTALL.rc, RC_AGAIN);
	assert_int_equal(side_count(s, 0, KEYS_SA_INSTALL, NULL), 0);
	assert_non_null(side_entry(s, KEYS_ENTRY_SA_REMOVE));
	assert_int_equal(keys_count(s->keys).pending, 0);
}

/* A flood of requests that ike should not make costs a bounded number of entries, and never the place of
 * others. */
static void refused_flood(void **state)
{
	struct side *s = &p.side[0];
	size_t appended = 0;

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	s->ledger = PAIR_HOLD;
	for (int i = 0; i < 1000; i++) {
		struct keeper_child_install c = side_install_request(&p, 0, 0);
		struct keys_entropy fresh = { 0 };
		struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };

		c.local_ts[0] = selector_of("0.0.0.0/0", 0, 0, 65535);
		q.u.CHILD_INSTALL = c;
		s->actions_n = s->answered = 0; /* looked at one by one, never answered */
		keys_request(s->keys, &q, &fresh);
		appended += side_count(s, 0, KEYS_APPEND, NULL);
	}
	assert_int_equal(appended, KEYS_REFUSED_MAX);
	assert_int_equal(keys_count(s->keys).refused, 1000);
}

/* Entries that nobody took do not keep the later ones from being entered. */
static void refused_while_full(void **state)
{
	struct side *s = &p.side[0];
	struct keeper_child_install c;

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	c = side_install_request(&p, 0, 0);
	c.local_ts[0] = selector_of("0.0.0.0/0", 0, 0, 65535);
	s->ledger = PAIR_FULL;
	for (int i = 0; i < 2 * KEYS_REFUSED_MAX; i++)
		assert_int_equal(install(0, &c), RC_DENIED);
	s->ledger = PAIR_AT_ONCE;
	assert_null(side_entry(s, KEYS_ENTRY_REFUSED));
	assert_int_equal(install(0, &c), RC_DENIED);
	assert_non_null(side_entry(s, KEYS_ENTRY_REFUSED));
}

static void pending_limit(void **state)
{
	struct side *s = &p.side[0];
	enum rc rc = RC_AGAIN;
	size_t n;

	s->ledger = PAIR_HOLD;
	for (n = 0; n <= KEYS_PENDING_PER_PEER_MAX; n++) {
		struct keys_entropy fresh = side_drawn(s, 1000 + n);
		struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };
		struct keeper_child_install c;

		s->actions_n = s->answered = 0;
		q.u.CHILD_BEGIN.handle = s->ike;
		q.u.CHILD_BEGIN.role = KEEPER_INITIATOR;
		keys_request(s->keys, &q, &fresh);
		assert_int_equal(s->reply.u.CHILD_BEGIN.rc, RC_OK);
		s->child_begun = s->reply.u.CHILD_BEGIN;
		s->child = s->child_begun.child;
		c = side_install_request(&p, 0, 0);
		memset(c.peer_nonce, 7, 32);
		c.peer_nonce_n = 32;
		c.spi_out = 4000;
		rc = install(0, &c);
	}
	assert_int_equal(rc, RC_AGAIN);
	assert_int_equal(s->reply.op, KEEPER_CHILD_INSTALL);
	assert_non_null(strstr(s->reply.u.CHILD_INSTALL.text, "are waiting"));
	assert_int_equal(keys_count(s->keys).pending, KEYS_PENDING_PER_PEER_MAX);
}

/* A compromised ike gives two begun children each other's nonces, in opposite roles: what goes out
 * on the one would come in on the other. */
static void twins_of_ones_own(void **state)
{
	struct keeper_child_begun begun[2];
	uint8_t out[KEYMAT_MAX];

	for (int i = 0; i < 2; i++) {
		struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };

		q.u.CHILD_BEGIN.handle = p.side[0].ike;
		q.u.CHILD_BEGIN.role = i == 0 ? KEEPER_INITIATOR : KEEPER_RESPONDER;
		assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
		begun[i] = p.side[0].reply.u.CHILD_BEGIN;
	}
	for (int i = 0; i < 2; i++) {
		struct keeper_child_install c = side_install_request(&p, 0, 0);

		c.child = begun[i].child;
		c.role = i == 0 ? KEEPER_INITIATOR : KEEPER_RESPONDER;
		c.spi_out = begun[!i].spi_in;
		c.dh_group = DH_NONE;
		c.peer_nonce_n = begun[!i].nonce_n;
		memcpy(c.peer_nonce, begun[!i].nonce, begun[!i].nonce_n);
		if (install(0, &c) != RC_OK)
			return; /* refused */
		if (i == 0)
			memcpy(out, installed(0)->key_out, sizeof out);
	}
	assert_memory_not_equal(out, installed(0)->key_in, sizeof out);
	fail_msg("a peer's nonce that is our own was taken");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(entry_and_hand_over),
		T(spi_of_a_pending_removal),
		T(keymat_by_formula),
		T(modp_of_a_responder),
		T(outside_of_the_tunnel),
		T(narrowed),
		T(configured_protocol),
		T(proposal_details),
		T(begin_refusals),
		T(spis),
		T(nonces_serve_once),
		T(not_authenticated),
		T(handles_do_not_mix),
		T(new_child_without_ledger),
		T(rekey_without_ledger),
		T(rekey_of_an_unknown_child),
		T(rekey_of_another_tunnel),
		T(dataplane_refuses),
		T(dataplane_away),
		T(removal),
		T(ike_dies),
		T(ike_dies_waiting),
		T(configuration_changes),
		T(peer_changes),
		T(tunnel_gone_meanwhile),
		T(refused_flood),
		T(refused_while_full),
		T(pending_limit),
		T(twins_of_ones_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
