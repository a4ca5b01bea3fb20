/*
 * IKE_AUTH with both real cores and both real keepers, in the simulator's world without its troubles: each
 * way to authenticate, each group and cipher, and what happens when the sides do not fit: both end with
 * nothing, and say why.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The keeper has a place for whatever the core may hold. */
_Static_assert(IKE_LIVE_MAX + IKE_HALF_OPEN_MAX <= (int)KEYS_IKE_MAX, "for each IKE SA with keys");
_Static_assert((int)IKE_CHILDREN_MAX <= (int)KEYS_CHILDREN_MAX, "for each child SA");

/* Keys that count up from 0: for tests, and of no other use. */
static const struct key_pair {
	const char *name;
	const char *pem[2];
} key_pairs[] = {
	{ "Ed25519", { "-----BEGIN PRIVATE KEY-----\n"
		       "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
		       "-----END PRIVATE KEY-----\n",
			     "-----BEGIN PRIVATE KEY-----\n"
			     "MC4CAQAwBQYDK2VwBCIEICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/\n"
			     "-----END PRIVATE KEY-----\n" } },
	{ "ECDSA P-256", { "-----BEGIN PRIVATE KEY-----\n"
			   "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAECAwQFBgcICQoL\n"
			   "DA0ODxAREhMUFRYXGBkaGxwdHh+hRANCAAR6WTGAhgxAN8g8EnSYRcjuFCTdKX+t\n"
			   "y4leNYJV0sfSsqjKJVgPJib+V5Bi/xuZ/5HCSg2gb7MrW+IBSMkkn1ZQ\n"
			   "-----END PRIVATE KEY-----\n",
				 "-----BEGIN PRIVATE KEY-----\n"
				 "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgICEiIyQlJicoKSor\n"
				 "LC0uLzAxMjM0NTY3ODk6Ozw9Pj+hRANCAATGVZ1BbftWr3FPFG2RfCSr+Biy+xIW\n"
				 "BBKWSYSCMKLSWLKm2C3GxnNM8JL/qp/AEvEPcAjTlSoI1Xl+hf6rpdl3\n"
				 "-----END PRIVATE KEY-----\n" } },
	{ "ECDSA P-384", { "-----BEGIN PRIVATE KEY-----\n"
			   "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAAAQIDBAUGBwgJCgsM\n"
			   "DQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi+hZANiAATmKjqU5Aex\n"
			   "a/+ClHtWowOAJp2mShMDcctkFQHZuQsiapPS6MBZsmUw8CW9jYPVVhPMlumU1wBY\n"
			   "Hi2XhcspdOXgoJN+cfCce1EXi0DK2yjhRE44e5wrlnrdBAsIcVfDmDY=\n"
			   "-----END PRIVATE KEY-----\n",
				 "-----BEGIN PRIVATE KEY-----\n"
				 "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAwMTIzNDU2Nzg5Ojs8\n"
				 "PT4/QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl+hZANiAASet7zppjHC\n"
				 "7BnQ7Jrn6zosgSbAYANoGiGTh8x+34S24ibjTDxt5j7kdZNYnaJXm6r/NSDoutDn\n"
				 "EoIuTcRelT5d8UBGt2xQ9oBYytnLNI0TdLz3bUNTQz/EdIS83GU4wt0=\n"
				 "-----END PRIVATE KEY-----\n" } },
};

static struct world w;

static void use_keys(struct sim_side sides[2], const struct key_pair *first, const struct key_pair *second)
{
	const struct key_pair *pairs[2] = { first, second };

	for (int i = 0; i < 2; i++) {
		struct sign_key key;
		uint8_t der[SIGN_SPKI_MAX];
		struct err e = { 0 };

		sides[i].pem = pairs[i]->pem[i];
		assert_int_equal(sign_key_from_pem(&key, sides[i].pem, strlen(sides[i].pem), &e), RC_OK);
		sides[!i].their_key_n = (uint16_t)verify_key_spki(&key.public_part, der);
		memcpy(sides[!i].their_key, der, sides[!i].their_key_n);
		sign_key_done(&key);
	}
}

static void defaults(struct sim_side sides[2])
{
	memset(&w, 0, sizeof w);
	for (int i = 0; i < 2; i++)
		sim_side_default(&sides[i], i);
}

/* Both sides hold the same; test packets flow both ways. */
static void expect_up(const char *name, const struct sim_side sides[2], bool nat)
{
	char text[256];
	const char *wrong;
	uint32_t ike_sas;

	world_init(&w, 1, sides);
	w.net.nat = nat;
	world_run(&w, 5 * NS_PER_S);
	w.packets = true;
	world_run(&w, 8 * NS_PER_S);
	world_order(&w, 0, IKE_ORDER_REKEY_CHILD, "t0");
	world_run(&w, 12 * NS_PER_S);
	world_order(&w, 1, IKE_ORDER_REKEY_IKE, "t0");
	world_run(&w, 30 * NS_PER_S);
	wrong = world_mismatch(&w, text, sizeof text);
	if (wrong)
		fail_msg("%s: %s", name, wrong);
	if (world_tunnels_up(&w, &ike_sas) != sides[0].tunnels || ike_sas != 1)
		fail_msg("%s: not up; the last refusals: '%s', '%s'", name, w.nodes[0].last_refusal,
			w.nodes[1].last_refusal);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.nodes[i].refused, 0);
		assert_int_equal(w.nodes[i].packets_lost + w.nodes[i].packets_no_sa, 0);
		assert_in_range(w.nodes[i].packets_got, 200 * sides[0].tunnels, 300 * sides[0].tunnels);
	}
	world_done(&w);
}

/* Neither side ends with anything; who finds out says why. */
static void expect_refused(const char *name, const struct sim_side sides[2], int who, const char *why)
{
	char text[256];
	const char *wrong;
	uint32_t ike_sas;

	world_init(&w, 1, sides);
	world_run(&w, 10 * NS_PER_S);
	if (!w.nodes[who].refused || !strstr(w.nodes[who].last_refusal, why))
		fail_msg("%s: '%s' and '%s' refused, not '%s'", name, w.nodes[0].last_refusal,
			w.nodes[1].last_refusal, why);
	world_order(&w, 0, IKE_ORDER_TERMINATE, "branch");
	world_run(&w, 80 * NS_PER_S);
	wrong = world_mismatch(&w, text, sizeof text);
	if (wrong)
		fail_msg("%s: %s", name, wrong);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 0);
	assert_int_equal(ike_sas, 0);
	world_done(&w);
}

static void pre_shared_key(void **state)
{
	struct sim_side sides[2];

	defaults(sides);
	expect_up("PSK", sides, false);
	sides[0].psk = sides[1].psk = "12345678";
	expect_up("short PSK", sides, false);
	sides[1].psk = "12345679";
	expect_refused("another PSK", sides, 1, "authentication failed");
}

/* Each side demands a puzzle of the other one (RFC 8019), and is served by a solution. */
static void puzzles(void **state)
{
	struct sim_side sides[2];
	uint64_t given = 0, solved = 0;

	defaults(sides);
	sides[0].cookie_above = sides[1].cookie_above = 0;
	sides[0].puzzles = sides[1].puzzles = true;
	world_init(&w, 1, sides);
	world_run(&w, 5 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		given += ike_view_count(w.nodes[i].ike, IKE_COUNT_PUZZLES_SOLVED);
		solved += ike_view_count(w.nodes[i].ike, IKE_COUNT_PEER_PUZZLES_SOLVED);
		assert_int_equal(ike_view_count(w.nodes[i].ike, IKE_COUNT_UNSOLVED_SERVED), 0);
	}
	assert_true(given > 0 && solved >= given);
	world_done(&w);
	expect_up("puzzles", sides, false);
}

/* Of the IKE SA that side has: whether `show ike` says that the PPK is in its keys. */
static bool says_ppk(int side)
{
	char row[4096];
	uint32_t cursor = 0;

	while (ike_show(w.nodes[side].ike, w.now, &cursor, row, sizeof row) > 0)
		if (strstr(row, "established"))
			return strstr(row, "-ppk\"");
	fail_msg("side %d has no IKE SA", side);
	return false;
}

/* RFC 8784: with it where both have it, without it where both may, and refused else, with a reason. */
static void post_quantum(void **state)
{
	static const char here[] = "a post-quantum pre-shared key of the two",
			  there[] = "another post-quantum pre-shared key, of one";
	static const struct {
		const char *name, *ppk[2], *names[2];
		uint32_t flags[2];
		int with; /* 1: in the keys, 0: not, -1: refused */
		int who;  /* finds out, with the reason */
		const char *why;
	} cases[] = {
		{ "both", { here, here }, { 0 }, { 0 }, 1, 0, NULL },
		{ "both require it", { here, here }, { 0 }, { PEER_REQUIRE_PQ, PEER_REQUIRE_PQ }, 1, 0,
			NULL },
		{ "only the initiator", { here, NULL }, { 0 }, { 0 }, 0, 0, NULL },
		{ "only the responder", { NULL, here }, { 0 }, { 0 }, 0, 0, NULL },
		{ "another name", { here, there }, { "a", "b" }, { 0 }, 0, 0, NULL },
		{ "another name, required there", { here, there }, { "a", "b" }, { 0, PEER_REQUIRE_PQ }, -1,
			1, "require-post-quantum" },
		{ "another name, required here", { here, there }, { "a", "b" }, { PEER_REQUIRE_PQ, 0 }, -1, 1,
			"with a PPK, and only so" },
		{ "another key of that name", { here, there }, { 0 }, { 0 }, -1, 1, "authentication failed" },
		{ "the responder requires it", { NULL, here }, { 0 }, { 0, PEER_REQUIRE_PQ }, -1, 1,
			"require-post-quantum" },
	};

	(void)state;
	for (int signing = 0; signing < 2; signing++)
		for (size_t k = 0; k < COUNT_OF(cases); k++) {
			struct sim_side sides[2];

			defaults(sides);
			if (signing)
				use_keys(sides, &key_pairs[1], &key_pairs[2]);
			for (int i = 0; i < 2; i++) {
				sides[i].ppk = cases[k].ppk[i];
				sides[i].ppk_name = cases[k].names[i];
				sides[i].peer_flags |= cases[k].flags[i];
			}
			if (cases[k].with < 0) {
				expect_refused(cases[k].name, sides, cases[k].who, cases[k].why);
				continue;
			}
			expect_up(cases[k].name, sides, false);
			world_init(&w, 1, sides);
			world_run(&w, 5 * NS_PER_S);
			for (int round = 0; round < 2; round++) { /* and after a rekey of the IKE SA */
				assert_int_equal(says_ppk(0), cases[k].with);
				assert_int_equal(says_ppk(1), cases[k].with);
				world_order(&w, 0, IKE_ORDER_REKEY_IKE, "t0");
				world_run(&w, 10 * NS_PER_S);
			}
			world_done(&w);
		}
}

/* An initiator that requires it authenticates itself to nobody who does not offer it. */
static void post_quantum_or_nothing(void **state)
{
	struct sim_side sides[2];
	uint32_t ike_sas;

	(void)state;
	defaults(sides);
	sides[0].ppk = "a post-quantum pre-shared key of the two";
	sides[0].peer_flags |= PEER_REQUIRE_PQ;
	world_init(&w, 1, sides);
	world_run(&w, 20 * NS_PER_S);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 0);
	assert_int_equal(w.nodes[1].refused, 0); /* it never got an IKE_AUTH */
	world_done(&w);
}

static void signatures(void **state)
{
	struct sim_side sides[2];

	for (size_t i = 0; i < COUNT_OF(key_pairs); i++)
		for (size_t k = 0; k < COUNT_OF(key_pairs); k++) {
			char name[64];

			defaults(sides);
			use_keys(sides, &key_pairs[i], &key_pairs[k]);
			snprintf(name, sizeof name, "%s and %s", key_pairs[i].name, key_pairs[k].name);
			expect_up(name, sides, false);
		}
}

static void wrong_keys(void **state)
{
	struct sim_side sides[2];

	for (size_t i = 0; i < COUNT_OF(key_pairs); i++) {
		/* The initiator signs with a key that is not the pinned one. */
		defaults(sides);
		use_keys(sides, &key_pairs[i], &key_pairs[i]);
		sides[0].pem = key_pairs[i].pem[1];
		expect_refused(key_pairs[i].name, sides, 1, "authentication failed");
		/* The responder does: the initiator finds out, and tells. */
		defaults(sides);
		use_keys(sides, &key_pairs[i], &key_pairs[i]);
		sides[1].pem = key_pairs[i].pem[0];
		expect_refused(key_pairs[i].name, sides, 0, "authentication failed");
		/* Of another kind than the pinned one. */
		defaults(sides);
		use_keys(sides, &key_pairs[i], &key_pairs[i]);
		sides[0].pem = key_pairs[(i + 1) % COUNT_OF(key_pairs)].pem[0];
		expect_refused(key_pairs[i].name, sides, 1, "authentication failed");
		/* A pre-shared key where a signature is pinned. */
		defaults(sides);
		use_keys(sides, &key_pairs[i], &key_pairs[i]);
		sides[0].pem = NULL;
		expect_refused(key_pairs[i].name, sides, 1, "authentication failed");
	}
}

static void identities(void **state)
{
	static const struct {
		const char *name;
		int side;
		bool local;
		const char *text;
		int who;
		const char *why;
	} cases[] = {
		{ "initiator says another name", 0, true, "evil.example", 1, "identity 'evil.example'" },
		{ "initiator asks for another name", 0, false, "other.example", 1,
			"that requests identity other.example" },
		{ "responder expects another name", 1, false, "other.example", 1, "identity 'hq.example'" },
		{ "responder says another name", 1, true, "evil.example", 1,
			"that requests identity branch.example" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sim_side sides[2];

		defaults(sides);
		if (cases[i].local)
			sides[cases[i].side].local_id = cases[i].text;
		else
			sides[cases[i].side].remote_id = cases[i].text;
		expect_refused(cases[i].name, sides, cases[i].who, cases[i].why);
	}
}

/* A pattern of identities: who ends so is taken, whoever does not is refused. */
static void patterns(void **state)
{
	static const struct {
		const char *id, *pattern;
		bool fits;
	} cases[] = {
		{ "branch.example", ".example", true },
		{ "a.b-2.example", ".example", true },
		{ "example", ".example", false },
		{ ".example", ".example", false },
		{ "..example", ".example", false },
		{ "a..b.example", ".example", false },
		{ "a/b.example", ".example", false },
		{ "branch.example.net", ".example", false },
		{ "branchexample", ".example", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sim_side sides[2];

		defaults(sides);
		sides[0].local_id = cases[i].id;
		sides[1].remote_id = cases[i].pattern;
		sides[1].other = (struct ip_addr){ 0 };
		sides[1].peer_flags = PEER_REMOTE_ANY | PEER_ID_PATTERN;
		sides[1].start = PEER_START_NEVER;
		if (cases[i].fits)
			expect_up(cases[i].id, sides, false);
		else
			expect_refused(cases[i].id, sides, 1, "no peer is configured for identity");
	}
}

/* Every suite that can be configured. */
static void suites(void **state)
{
	static const struct {
		uint16_t encr, bits;
	} ciphers[] = {
#define E(id, number, bits, word) { number, bits },
		ENCR_ALGORITHMS(E)
#undef E
	};
	static const uint16_t prfs[] = {
#define E(id, number, bytes, word) number,
		PRF_ALGORITHMS(E)
#undef E
	}, groups[] = {
#define E(id, number, bytes, word) number,
		DH_GROUPS(E)
#undef E
	};

	for (size_t c = 0; c < COUNT_OF(ciphers); c++)
		for (size_t f = 0; f < COUNT_OF(prfs); f++)
			for (size_t g = 0; g < COUNT_OF(groups); g++) {
				struct sim_side sides[2];
				char name[64];

				defaults(sides);
				for (int i = 0; i < 2; i++) {
					sides[i].ike[0].encr = sides[i].esp[0].encr = ciphers[c].encr;
					sides[i].ike[0].encr_bits = sides[i].esp[0].encr_bits =
						ciphers[c].bits;
					sides[i].ike[0].prf = prfs[f];
					sides[i].ike[0].dh = sides[i].esp[0].dh = groups[g];
					sides[i].esp[0].esn = (uint16_t)((c + f + g) % 2);
				}
				snprintf(name, sizeof name, "cipher %u-%u PRF %u group %u", ciphers[c].encr,
					ciphers[c].bits, prfs[f], groups[g]);
				expect_up(name, sides, false);
			}
}

static void inside_and_outside(void **state)
{
	struct sim_side sides[2];

	defaults(sides);
	sides[0].v6_inside = sides[1].v6_inside = true;
	sides[0].tunnels = sides[1].tunnels = 3;
	expect_up("IPv6 inside, three tunnels", sides, false);

	defaults(sides);
	for (int i = 0; i < 2; i++) {
		sides[i].address = sim_address(i ? "2001:db8::2" : "2001:db8::1");
		sides[i].other = sim_address(i ? "2001:db8::1" : "2001:db8::2");
	}
	expect_up("IPv6 outside", sides, false);

	defaults(sides);
	sides[0].peer_flags = PEER_FORCE_ENCAP;
	expect_up("encapsulation forced by one side", sides, false);

	defaults(sides);
	sides[1].other = (struct ip_addr){ 0 };
	sides[1].peer_flags = PEER_REMOTE_ANY;
	expect_up("behind a NAT", sides, true);
	sides[1].cookie_above = 0;
	expect_up("behind a NAT, with cookies", sides, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pre_shared_key),
		cmocka_unit_test(puzzles),
		cmocka_unit_test(post_quantum),
		cmocka_unit_test(post_quantum_or_nothing),
		cmocka_unit_test(signatures),
		cmocka_unit_test(wrong_keys),
		cmocka_unit_test(identities),
		cmocka_unit_test(patterns),
		cmocka_unit_test(suites),
		cmocka_unit_test(inside_and_outside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
