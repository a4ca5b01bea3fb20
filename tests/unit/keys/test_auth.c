/*
 * AUTH between two cores: pre-shared keys and every kind of signature, right and wrong; identities; messages
 * that are not of the exchange; what is entered before anything counts.
 */
#include "pair.h"

#include "crypto/dh.h"
#include "keys/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;

static int setup(void **state)
{
	pair_init(&p);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

static void assert_both_up(void)
{
	for (int i = 0; i < 2; i++) {
		const struct keys_entry *e = side_entry(&p.side[i], KEYS_ENTRY_IKE_SA_UP);

		assert_non_null(e);
		assert_string_equal(e->peer, i == 0 ? "branch" : "hq");
		assert_memory_equal(e->ike_spi_i, p.spi_i, 8);
		assert_memory_equal(e->ike_spi_r, p.spi_r, 8);
		assert_int_equal(e->id_type, ID_FQDN);
		assert_int_equal(e->id_n, p.side[!i].id_n - 4);
		assert_memory_equal(e->id, p.side[!i].id + 4, e->id_n);
		assert_false(e->deferred);
		assert_int_equal(keys_count(p.side[i].keys).ike_sas, 1);
	}
}

/* Up to keys: the next step is AUTH. */
static void start(void)
{
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
}

static void psk(void **state)
{
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_both_up();
	assert_int_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->method, AUTH_SHARED_KEY);
	/* The initiator used its key before it knew the peer: entered first. The responder knew it. */
	assert_non_null(side_entry(&p.side[0], KEYS_ENTRY_KEY_USED));
	assert_null(side_entry(&p.side[1], KEYS_ENTRY_KEY_USED));
}

static void psk_wrong(void **state)
{
	assert_int_equal(keys_identity_psk(p.side[1].keys, "shared", "another secret", 14, NULL), RC_OK);
	assert_int_equal(pair_ike(&p), RC_AUTH);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "shared"));
	assert_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP));
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 0);
}

static void psk_missing(void **state)
{
	keys_identities_clear(p.side[0].keys);
	assert_int_equal(pair_ike(&p), RC_NOT_FOUND);
	assert_non_null(strstr(p.side[0].reply.u.AUTH_SIGN.text, "shared.psk"));
}

/*
 * AUTH against the formulas of 2.14 and 2.15, computed here from what the two generators gave: the same
 * secret octets make the same DH secret, and all that follows from it.
 */
static void psk_octets(void **state)
{
	struct keys_entropy drawn = side_drawn(&p.side[0], 1);
	static uint8_t octets[KEEPER_MESSAGE_MAX + 128];
	uint8_t ke[32], shared[32], seed[32], padded[32], want[32];
	const struct prf_part pad = { "Key Pad for IKEv2", 17 };
	struct side *i = &p.side[0], *r = &p.side[1];
	struct octets ni, nr;
	struct keeper_auth_signed a, b;
	struct dh_secret dh;
	struct ike_keys_all sk;
	size_t n = 0;

	start();
	ni = (struct octets){ i->begun.nonce, 32 };
	nr = (struct octets){ r->begun.nonce, 32 };
	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, drawn.secret), RC_OK);
	assert_memory_equal(ke, i->begun.ke, 32);
	assert_int_equal(dh_shared(&dh, r->begun.ke, 32, shared, NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ shared, 32 }, seed), RC_OK);
	assert_int_equal(
		derive_ike_keys(5, (struct octets){ seed, 32 }, ni, nr, p.spi_i, p.spi_r, 36, 0, &sk), RC_OK);
	assert_memory_equal(sk.sk_ei, i->finished.sk_e.ei, 36);
	/* <SignedOctets> of the initiator: RealMessage1 | NonceRData | prf(SK_pi, RestOfInitIDPayload). */
	memcpy(octets, i->message, i->message_n);
	n = i->message_n;
	memcpy(octets + n, r->begun.nonce, 32);
	n += 32;
	assert_int_equal(
		prf_run(5, sk.sk.sk_pi, 32, &(struct prf_part){ i->id, i->id_n }, 1, octets + n), RC_OK);
	n += 32;
	assert_int_equal(prf_run(5, "a secret of the two", 19, &pad, 1, padded), RC_OK);
	assert_int_equal(prf_run(5, padded, 32, &(struct prf_part){ octets, n }, 1, want), RC_OK);
	assert_int_equal(pair_sign(&p, 0, &a), RC_OK);
	assert_int_equal(a.auth_n, 32);
	assert_memory_equal(a.auth, want, 32);
	/* The responder's, with the other nonce and SK_pr. */
	assert_int_equal(pair_verify(&p, 1, &a), RC_OK);
	assert_int_equal(pair_sign(&p, 1, &b), RC_OK);
	memcpy(octets, r->message, r->message_n);
	n = r->message_n;
	memcpy(octets + n, i->begun.nonce, 32);
	n += 32;
	assert_int_equal(
		prf_run(5, sk.sk.sk_pr, 32, &(struct prf_part){ r->id, r->id_n }, 1, octets + n), RC_OK);
	n += 32;
	assert_int_equal(prf_run(5, padded, 32, &(struct prf_part){ octets, n }, 1, want), RC_OK);
	assert_memory_equal(b.auth, want, 32);
}

static const enum pair_key keys[] = { PAIR_ED25519, PAIR_P256, PAIR_P384 };

static void signatures(void **state)
{
	for (size_t a = 0; a < 3; a++) {
		for (size_t b = 0; b < 3; b++) {
			pair_done(&p);
			pair_init(&p);
			p.initiator = (int)(a + b) % 2;
			pair_use_signatures(&p, keys[a], keys[b]);
			assert_int_equal(pair_ike(&p), RC_OK);
			assert_both_up();
			assert_int_equal(
				side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->method, AUTH_DIGITAL_SIGNATURE);
			assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
		}
	}
}

/* No hashes announced: the methods of RFC 4754; Ed25519 has none. */
static void signatures_classic(void **state)
{
	uint32_t all = pair_hashes;

	pair_hashes = 0;
	pair_use_signatures(&p, PAIR_P256, PAIR_P384);
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP)->method, AUTH_ECDSA_SHA256_P256);
	assert_int_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->method, AUTH_ECDSA_SHA384_P384);
	pair_done(&p);
	pair_init(&p);
	pair_use_signatures(&p, PAIR_ED25519, PAIR_P384);
	assert_int_equal(pair_ike(&p), RC_UNSUPPORTED);
	pair_hashes = all;
}

/* The hash is one of the announced: the curve's own before the others. */
static void signature_hashes(void **state)
{
	static const struct {
		enum pair_key key;
		uint32_t announced;
		uint8_t last_octet; /* of the AlgorithmIdentifier */
		enum rc want;
	} rows[] = {
		{ PAIR_P256, 1u << 2 | 1u << 3 | 1u << 4, 2, RC_OK },
		{ PAIR_P256, 1u << 3 | 1u << 4, 3, RC_OK },
		{ PAIR_P256, 1u << 4, 4, RC_OK },
		{ PAIR_P384, 1u << 2 | 1u << 3 | 1u << 4, 3, RC_OK },
		{ PAIR_P384, 1u << 2, 2, RC_OK },
		{ PAIR_P256, 1u << 5 | 1u << 1, 0, RC_UNSUPPORTED },
		{ PAIR_ED25519, 1u << 5, 0x70, RC_OK },
		{ PAIR_ED25519, 1u << 2 | 1u << 3, 0, RC_UNSUPPORTED },
	};
	uint32_t all = pair_hashes;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct keeper_auth_signed a = { 0 };

		pair_done(&p);
		pair_init(&p);
		pair_use_signatures(&p, rows[i].key, PAIR_P256);
		pair_hashes = rows[i].announced;
		start();
		assert_int_equal(pair_sign(&p, 0, &a), rows[i].want);
		if (rows[i].want == RC_OK) {
			assert_int_equal(a.auth[a.auth[0]], rows[i].last_octet);
			assert_int_equal(pair_verify(&p, 1, &a), RC_OK);
		}
	}
	pair_hashes = all;
}

static void signature_of_another_key(void **state)
{
	for (size_t k = 0; k < 3; k++) {
		pair_done(&p);
		pair_init(&p);
		pair_use_signatures(&p, keys[k], keys[k]);
		/* hq's private key becomes branch's own: another key of the same kind. */
		assert_int_equal(keys_identity_pem(p.side[0].keys, "shared", pair_pem[1][keys[k]],
					 strlen(pair_pem[1][keys[k]]), NULL),
			RC_OK);
		assert_int_equal(pair_ike(&p), RC_AUTH);
		assert_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP));
	}
}

/* One proof is for one exchange: a new one, up to side 0's proof of itself. */
static void afresh(struct keeper_auth_signed *ret_auth)
{
	struct keeper_request q = { .op = KEEPER_DROP, .u.DROP = { .handle = p.side[0].ike } };

	side_ask(&p.side[0], &q);
	start();
	assert_int_equal(pair_sign(&p, 0, ret_auth), RC_OK);
}

/* A failed AUTH ends the exchange, and is entered: the right one comes too late. */
static void one_proof_for_one_exchange(void **state)
{
	struct keeper_auth_signed auth;
	const struct keys_entry *entry;

	afresh(&auth);
	auth.auth[3] ^= 1;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
	entry = side_entry(&p.side[1], KEYS_ENTRY_AUTH_FAILED);
	assert_non_null(entry);
	assert_string_equal(entry->peer, "hq");
	assert_memory_equal(
		&entry->remote.addr, &p.side[1].config.peers[0].remote, sizeof entry->remote.addr);
	assert_memory_equal(entry->id, "hq.example", entry->id_n);
	assert_int_equal(entry->id_n, 10);
	assert_non_null(strstr(entry->reason, "does not match the pre-shared key"));
	assert_int_equal(keys_count(p.side[1].keys).exchanges, 0);
	auth.auth[3] ^= 1;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_NOT_FOUND);
	assert_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_UP));
}

/* Where the peer comes from is in the entry: a fixed address is held against the configuration. */
static void from_where_it_is_configured(void **state)
{
	struct snap_peer *hq = &p.side[1].config.peers[0];
	struct keeper_auth_signed auth;
	struct ip_addr right = hq->remote;

	pair_at_other_address = 1;
	afresh(&auth);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "the peer's address is"));
	afresh(&auth);
	memset(&hq->remote, 0, sizeof hq->remote); /* any */
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
	hq->remote = right;
	pair_at_other_address = 0;
}

/* With any changed bit of AUTH, message, nonce or identity authentication fails. */
static void tampering(void **state)
{
	for (size_t k = 0; k < 4; k++) {
		struct keeper_auth_signed auth;
		size_t step;

		pair_done(&p);
		pair_init(&p);
		if (k < 3)
			pair_use_signatures(&p, keys[k], keys[k]);
		afresh(&auth);
		step = k == 3 ? 3 : 17;
		for (size_t bit = 0; bit < 8u * auth.auth_n; bit += step) {
			afresh(&auth);
			auth.auth[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
		}
		for (uint16_t n = 0; n <= 4; n++) {
			afresh(&auth);
			auth.auth_n = (const uint16_t[]){ 0, 1, (uint16_t)(auth.auth_n - 1),
				(uint16_t)(auth.auth_n + 1), KEEPER_AUTH_MAX + 1 }[n];
			assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
		}
		pair_done(&p);
		pair_init(&p);
		if (k < 3)
			pair_use_signatures(&p, keys[k], keys[k]);
		start();
		assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
		p.side[0].message[p.side[0].message_n - 1] ^= 1; /* after what the keeper looks for */
		assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
		p.side[0].message[p.side[0].message_n - 1] ^= 1;
		afresh(&auth);
		assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
	}
}

static void methods_do_not_mix(void **state)
{
	static const uint16_t of_psk[] = { AUTH_DIGITAL_SIGNATURE, 0, 1 /* RSA */ };
	struct keeper_auth_signed auth;

	/* A pre-shared key where a signature is configured, and the reverse. */
	for (size_t i = 0; i < COUNT_OF(of_psk); i++) {
		afresh(&auth);
		auth.method = of_psk[i];
		assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
	}
	pair_done(&p);
	pair_init(&p);
	pair_use_signatures(&p, PAIR_P256, PAIR_P256);
	for (uint16_t method = 0; method < 20; method++) {
		afresh(&auth);
		assert_int_equal(auth.method, AUTH_DIGITAL_SIGNATURE);
		auth.method = method;
		assert_int_equal(
			pair_verify(&p, 1, &auth), method == AUTH_DIGITAL_SIGNATURE ? RC_OK : RC_AUTH);
	}
}

static void wrong_identity(void **state)
{
	struct keeper_auth_signed auth;

	start();
	p.side[0].id[4] = 'x';
	/* Our own keeper does not sign for an identity that is not configured. */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	assert_non_null(strstr(p.side[0].reply.u.AUTH_SIGN.text, "configured is fqdn 'hq.example'"));
	assert_non_null(side_entry(&p.side[0], KEYS_ENTRY_REFUSED));
	memset(&p.side[0].config.peers[0].local_id, 0, sizeof p.side[0].config.peers[0].local_id);
	p.side[0].config.peers[0].local_id.type = ID_FQDN;
	p.side[0].config.peers[0].local_id.len = 10;
	memcpy(p.side[0].config.peers[0].local_id.data, "xq.example", 10);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "xq.example"));
	assert_non_null(strstr(p.side[1].reply.u.AUTH_VERIFY.text, "configured is fqdn 'hq.example'"));
	/* Prefixes and types count. */
	start();
	p.side[0].id[4] = 'x';
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	p.side[0].id_n--;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH);
	start();
	p.side[0].id_n = 4;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_MALFORMED);
	p.side[0].id_n = 0;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_MALFORMED);
}

/* Without a configured identity it is the configured address, and of nobody else. */
static void identity_of_address(void **state)
{
	struct snap_peer *hq = &p.side[0].config.peers[0], *branch = &p.side[1].config.peers[0];
	struct keeper_auth_signed auth;

	memset(&hq->local_id, 0, sizeof hq->local_id);
	memset(&branch->remote_id, 0, sizeof branch->remote_id);
	start();
	memset(p.side[0].id, 0, sizeof p.side[0].id);
	p.side[0].id[0] = ID_IPV4;
	p.side[0].id_n = 8;
	memcpy(p.side[0].id + 4, (const uint8_t[]){ 192, 0, 2, 9 }, 4);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	p.side[0].id[7] = 1;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	memset(&branch->remote, 0, sizeof branch->remote);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AUTH); /* any address, no identity: nobody */
	start();
	memset(p.side[0].id, 0, sizeof p.side[0].id);
	p.side[0].id[0] = ID_IPV4;
	p.side[0].id_n = 8;
	memcpy(p.side[0].id + 4, (const uint8_t[]){ 192, 0, 2, 1 }, 4);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	assert_int_equal(addr_parse(&branch->remote, "192.0.2.1"), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
}

/* ike cannot have octets signed that are not our IKE_SA_INIT message, nor checked against foreign ones. */
static void foreign_messages(void **state)
{
	struct keeper_auth_signed auth;
	struct side *s = &p.side[0];
	uint8_t kept[KEEPER_MESSAGE_MAX];
	size_t n;

	start();
	memcpy(kept, s->message, sizeof kept);
	n = s->message_n;
	for (size_t at = 40; at < 40u + s->begun.ke_n; at++) { /* the public value */
		s->message[at] ^= 1;
		assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
		s->message[at] ^= 1;
	}
	s->message[48 + s->begun.ke_n] ^= 1; /* the nonce */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	s->message[48 + s->begun.ke_n] ^= 1;
	s->message[0] ^= 1; /* the SPI */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	s->message[0] ^= 1;
	s->message_n = 27;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_RANGE);
	s->message_n = n - 13; /* the nonce is cut */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	s->message_n = n;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	s->message[45] ^= 1;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED);
	memcpy(s->message, kept, sizeof kept);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
	/* The responder's message has both SPIs. */
	p.side[1].message[8] ^= 1;
	assert_int_equal(pair_sign(&p, 1, &auth), RC_DENIED);
}

static void order_of_proofs(void **state)
{
	struct keeper_auth_signed auth = { .method = AUTH_SHARED_KEY, .auth_n = 32 };

	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED); /* no keys yet */
	assert_int_equal(pair_verify(&p, 0, &auth), RC_DENIED);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(pair_sign(&p, 1, &auth), RC_DENIED);	/* the initiator first */
	assert_int_equal(pair_verify(&p, 0, &auth), RC_DENIED); /* the initiator has not sent its AUTH */
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED); /* once */
}

/* The algorithms of the IKE SA must be among those of the peer that is now known. */
static void downgrade(void **state)
{
	struct keeper_auth_signed auth;

	p.side[1].config.peers[0].proposals = (struct span){ 0, 1 }; /* 20/128, prf 5, P-256 */
	start();
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED);
	assert_non_null(side_entry(&p.side[1], KEYS_ENTRY_REFUSED));
}

static void unknown_peer(void **state)
{
	struct keeper_auth_signed auth;

	start();
	p.side[0].config.head.peers.count = 0;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_NOT_FOUND);
	keys_configure(p.side[0].keys, NULL);
	assert_int_equal(pair_sign(&p, 0, &auth), RC_NOT_FOUND);
}

/* The peer that our AUTH was made for cannot answer as another one. */
static void another_peer(void **state)
{
	struct keeper_auth_signed auth;
	struct keeper_request q = { .op = KEEPER_AUTH_VERIFY };

	start();
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
	assert_int_equal(pair_sign(&p, 1, &auth), RC_OK);
	q.u.AUTH_VERIFY.handle = p.side[0].ike;
	q.u.AUTH_VERIFY.peer = 1; /* "third", with the same key */
	q.u.AUTH_VERIFY.method = auth.method;
	q.u.AUTH_VERIFY.auth_n = auth.auth_n;
	memcpy(q.u.AUTH_VERIFY.auth, auth.auth, sizeof auth.auth);
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
	assert_non_null(strstr(p.side[0].reply.u.AUTH_VERIFY.text, "branch"));
}

/* The reply waits for the receipt; without one the peer is refused. */
static void receipt_before_up(void **state)
{
	struct keeper_auth_signed auth;

	start();
	p.side[0].ledger = PAIR_HOLD;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_AGAIN); /* waits: key_used */
	p.side[0].ledger = PAIR_AT_ONCE;
	side_pump(&p.side[0]);
	auth = p.side[0].reply.u.AUTH_SIGN;
	assert_int_equal(auth.rc, RC_OK);
	p.side[1].ledger = PAIR_HOLD;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AGAIN);
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 0);
	assert_int_equal(keys_count(p.side[1].keys).pending, 1);
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED); /* one at a time */
	p.side[1].ledger = PAIR_AT_ONCE;
	side_pump(&p.side[1]);
	assert_int_equal(p.side[1].reply.op, KEEPER_AUTH_VERIFY);
	assert_int_equal(p.side[1].reply.u.AUTH_VERIFY.rc, RC_OK);
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 1);
	assert_int_equal(keys_count(p.side[1].keys).pending, 0);
}

static void no_receipt(void **state)
{
	struct keeper_auth_signed auth;

	start();
	p.side[0].ledger = PAIR_AWAY;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	p.side[0].ledger = PAIR_AT_ONCE;
	p.side[0].receipt_rc = RC_LIMIT;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_DENIED);
	assert_int_equal(p.side[0].reply.u.AUTH_SIGN.auth_n, 0); /* no signature leaves */
	p.side[0].receipt_rc = RC_OK;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	p.side[1].ledger = PAIR_AWAY;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED);
	p.side[1].ledger = PAIR_AT_ONCE;
	p.side[1].receipt_rc = RC_IO;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_DENIED);
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 0);
	assert_int_equal(keys_count(p.side[1].keys).pending, 0);
	p.side[1].receipt_rc = RC_OK;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_OK);
}

/* Dropped while its entry was on the way: refused, and the entry is followed by its end. */
static void dropped_meanwhile(void **state)
{
	struct keeper_request q = { .op = KEEPER_DROP };
	struct keeper_auth_signed auth;

	start();
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	p.side[1].ledger = PAIR_HOLD;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AGAIN);
	q.u.DROP.handle = p.side[1].ike;
	side_ask(&p.side[1], &q);
	p.side[1].ledger = PAIR_AT_ONCE;
	side_pump(&p.side[1]);
	assert_int_equal(p.side[1].reply.op, KEEPER_AUTH_VERIFY);
	assert_int_equal(p.side[1].reply.u.AUTH_VERIFY.rc, RC_NOT_FOUND);
	assert_non_null(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_DOWN));
	assert_int_equal(keys_count(p.side[1].keys).ike_sas, 0);
}

/*
 * The same, and by then the handle has come round: a place is used 2^18 times while the ledger does not
 * answer.
 */
static void a_receipt_is_of_its_own_ike_sa(void **state)
{
	struct keeper_request q = { .op = KEEPER_DROP };
	struct side *s = &p.side[1];
	struct keeper_auth_signed auth;
	uint32_t handle;

	start();
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
	s->ledger = PAIR_HOLD;
	assert_int_equal(pair_verify(&p, 1, &auth), RC_AGAIN);
	handle = q.u.DROP.handle = s->ike;
	side_ask(s, &q);
	s->keys->ike[0].generation--; /* as after all the others */
	q = (struct keeper_request){ .op = KEEPER_EXCHANGE_BEGIN };
	q.u.EXCHANGE_BEGIN.role = KEEPER_RESPONDER;
	q.u.EXCHANGE_BEGIN.dh_group = DH_CURVE25519;
	side_ask(s, &q);
	assert_int_equal(s->reply.op, KEEPER_EXCHANGE_BEGIN);
	assert_int_equal(s->reply.u.EXCHANGE_BEGIN.handle, handle);
	s->ledger = PAIR_AT_ONCE;
	side_pump(s);
	assert_int_equal(s->reply.op, KEEPER_AUTH_VERIFY);
	assert_int_equal(s->reply.u.AUTH_VERIFY.rc, RC_NOT_FOUND);
	assert_int_equal(keys_count(s->keys).ike_sas, 0);
	assert_int_equal(keys_count(s->keys).exchanges, 1);
}

/*
 * A compromised ike joins two exchanges of one keeper: as initiator it authenticates by the peer's own
 * address, which is our identity where none is configured; as responder it takes that for the peer.
 *
 * stretched: what comes back is not octet by octet what was sent, and makes the same keys. X25519 ignores a
 * public value's highest bit, and Ni | Nr is the same for N1 | (x | N2) and (N1 | x) | N2.
 */
static void join(bool stretched)
{
	struct side *s = &p.side[0];
	struct snap_peer *peer = &s->config.peers[0];
	struct keeper_exchange_begun b[2];
	const uint8_t x[16] = { 1, 2, 3, 4 };
	uint16_t more = stretched ? sizeof x : 0;
	enum rc rc = RC_OK;

	memset(&peer->local, 0, sizeof peer->local);
	memset(&peer->local_id, 0, sizeof peer->local_id);
	memset(&peer->remote_id, 0, sizeof peer->remote_id);
	side_configure(s);
	for (int i = 0; i < 2; i++) {
		struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };

		q.u.EXCHANGE_BEGIN.role = i == 0 ? KEEPER_INITIATOR : KEEPER_RESPONDER;
		q.u.EXCHANGE_BEGIN.dh_group = p.group;
		assert_int_equal(side_ask(s, &q), RC_OK);
		b[i] = s->reply.u.EXCHANGE_BEGIN;
	}
	for (int i = 0; i < 2 && rc == RC_OK; i++) {
		struct keeper_request q = { .op = KEEPER_EXCHANGE_FINISH };
		struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;

		f->handle = b[i].handle;
		f->prf = p.prf;
		f->encr = p.encr;
		f->encr_bits = p.bits;
		memcpy(f->spi_i, b[0].ike_spi, 8);
		memcpy(f->spi_r, b[1].ike_spi, 8);
		f->peer_nonce_n = (uint16_t)(b[!i].nonce_n + more);
		memcpy(f->peer_nonce + (i == 0 ? more : 0), b[!i].nonce, b[!i].nonce_n);
		memcpy(f->peer_nonce + (i == 0 ? 0 : b[!i].nonce_n), x, more);
		f->peer_ke_n = b[!i].ke_n;
		memcpy(f->peer_ke, b[!i].ke, b[!i].ke_n);
		f->peer_ke[31] |= stretched ? 0x80 : 0;
		rc = side_ask(s, &q);
	}
	if (rc == RC_OK) { /* how it went on while that was taken */
		struct keeper_request sign = { .op = KEEPER_AUTH_SIGN },
				      verify = { .op = KEEPER_AUTH_VERIFY };
		struct keeper_auth_sign *q = &sign.u.AUTH_SIGN;
		struct keeper_auth_verify *v = &verify.u.AUTH_VERIFY;
		uint8_t *at = q->message + 28;

		q->handle = b[0].handle;
		memcpy(q->message, b[0].ike_spi, 8);
		memcpy(at, b[0].ke, 32);
		memcpy(at + 32, b[0].ke, 32);
		at[63] |= 0x80;
		memcpy(at + 64, b[0].nonce, b[0].nonce_n);
		q->message_n = (uint16_t)(28 + 64 + b[0].nonce_n);
		q->id[0] = ID_IPV4;
		memcpy(q->id + 4, peer->remote.b, 4);
		q->id_n = 8;
		assert_int_equal(side_ask(s, &sign), RC_OK);
		v->handle = b[1].handle;
		v->method = s->reply.u.AUTH_SIGN.method;
		v->auth_n = s->reply.u.AUTH_SIGN.auth_n;
		memcpy(v->auth, s->reply.u.AUTH_SIGN.auth, v->auth_n);
		v->message_n = (uint16_t)(q->message_n + more);
		memcpy(v->message, q->message, q->message_n);
		memcpy(v->message + q->message_n, x, more);
		v->id_n = q->id_n;
		memcpy(v->id, q->id, q->id_n);
		rc = side_ask(s, &verify);
	}
	assert_int_equal(rc, RC_DENIED);
	assert_null(side_entry(s, KEYS_ENTRY_IKE_SA_UP));
	assert_int_equal(keys_count(s->keys).ike_sas, 0);
}

static void joined_to_itself(void **state)
{
	join(false);
}

static void joined_to_itself_stretched(void **state)
{
	join(true);
}

/* ---- authentication with a key that was replaced ---- */

/* The IKE SA that side `at` was told to end; 0: none. */
static uint32_t told_to_end(int at, size_t from, const char **ret_text)
{
	const struct keys_action *a = NULL;

	if (side_count(&p.side[at], from, KEYS_ENDED, &a) != 1)
		return 0;
	*ret_text = a->u.ended.text;
	return a->u.ended.handle;
}

static void ends_with_its_key(int at, const char *why)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN,
		.u.EXCHANGE_BEGIN = {
			.role = KEEPER_INITIATOR, .parent = p.side[at].ike, .dh_group = DH_CURVE25519 } };
	size_t from = p.side[at].actions_n;
	const char *text = "";

	keys_recheck(p.side[at].keys);
	assert_int_equal(told_to_end(at, from, &text), p.side[at].ike);
	if (!strstr(text, why))
		fail_msg("%s", text);
	keys_recheck(p.side[at].keys);
	assert_int_equal(told_to_end(at, from, &text), p.side[at].ike); /* once */
	/* Whatever ike makes of it: no child, no rekey. */
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
	assert_int_equal(side_ask(&p.side[at], &q), RC_OK);
}

/* On either side, in either role: what was authenticated with a replaced key ends. */
static void a_replaced_psk_ends_what_it_made(void **state)
{
	for (int initiator = 0; initiator < 2; initiator++) {
		pair_done(&p);
		pair_init(&p);
		p.initiator = initiator;
		assert_int_equal(pair_ike(&p), RC_OK);
		keys_recheck(p.side[0].keys);
		assert_int_equal(side_count(&p.side[0], 0, KEYS_ENDED, NULL), 0);
		/* The same again is the same key. */
		keys_identities_clear(p.side[0].keys);
		assert_int_equal(
			keys_identity_psk(p.side[0].keys, "shared", "a secret of the two", 19, NULL), RC_OK);
		keys_recheck(p.side[0].keys);
		assert_int_equal(side_count(&p.side[0], 0, KEYS_ENDED, NULL), 0);
		keys_identities_clear(p.side[0].keys);
		assert_int_equal(
			keys_identity_psk(p.side[0].keys, "shared", "another one, by chance", 22, NULL),
			RC_OK);
		ends_with_its_key(0, "was replaced or removed");
	}
}

static void a_replaced_private_key_ends_what_it_made(void **state)
{
	pair_use_signatures(&p, PAIR_P256, PAIR_P256);
	assert_int_equal(pair_ike(&p), RC_OK);
	keys_recheck(p.side[0].keys);
	assert_int_equal(side_count(&p.side[0], 0, KEYS_ENDED, NULL), 0);
	keys_identities_clear(p.side[0].keys);
	assert_int_equal(keys_identity_pem(p.side[0].keys, "shared", pair_pem[1][PAIR_P256],
				 strlen(pair_pem[1][PAIR_P256]), NULL),
		RC_OK);
	ends_with_its_key(0, "was replaced or removed");
}

/* A rekey hands the proof on: it is still that of the old key. */
static void a_rekey_does_not_renew_the_proof(void **state)
{
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(pair_rekey(&p), RC_OK);
	keys_identities_clear(p.side[0].keys);
	ends_with_its_key(0, "was replaced or removed");
}

/* Numbers of another configuration: nothing is done, and it is no misdeed. */
static void another_generation(void **state)
{
	struct keeper_auth_signed auth;

	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	p.side[0].config.head.generation++; /* unknown to the one who asks */
	pair_stale = true;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_STALE);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_STALE);
	assert_null(side_entry(&p.side[0], KEYS_ENTRY_REFUSED));
	assert_null(side_entry(&p.side[0], KEYS_ENTRY_KEY_USED));
	pair_stale = false;
	assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(psk),
		T(one_proof_for_one_exchange),
		T(from_where_it_is_configured),
		T(a_replaced_psk_ends_what_it_made),
		T(a_replaced_private_key_ends_what_it_made),
		T(a_rekey_does_not_renew_the_proof),
		T(another_generation),
		T(joined_to_itself),
		T(joined_to_itself_stretched),
		T(psk_wrong),
		T(psk_missing),
		T(psk_octets),
		T(signatures),
		T(signatures_classic),
		T(signature_hashes),
		T(signature_of_another_key),
		T(tampering),
		T(methods_do_not_mix),
		T(wrong_identity),
		T(identity_of_address),
		T(foreign_messages),
		T(order_of_proofs),
		T(downgrade),
		T(unknown_peer),
		T(another_peer),
		T(receipt_before_up),
		T(no_receipt),
		T(dropped_meanwhile),
		T(a_receipt_is_of_its_own_ike_sa),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
