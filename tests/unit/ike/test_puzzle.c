/*
 * Puzzles (RFC 8019), and the cookies that they come with (RFC 7296 2.6): what is asked of whom, what counts as solved, what an
 * initiator makes of a responder's demand. Two cores that solve each other's: tests/sim.
 */
#include "ike/internal.h"
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;

static int setup(void **state)
{
	puppet_init(&p);
	return 0;
}

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

/* ---- as values ---- */

/* By another implementation of HMAC, with the numbers from 0 on as keys of four octets, of S = 01 02 … 23. */
static void known_answers(void **state)
{
	static const struct {
		uint16_t prf;
		uint32_t keys[PUZZLE_KEYS];
		unsigned bits[PUZZLE_KEYS];
	} known[] = {
		{ PRF_HMAC_SHA2_256, { 0x6, 0x470, 0xb9e, 0x105f }, { 10, 11, 11, 10 } },
		{ PRF_HMAC_SHA2_384, { 0x29f, 0x4b4, 0xaaf, 0x13a3 }, { 11, 10, 11, 15 } },
	};
	uint8_t text[35];
	struct ike_view s = { text, sizeof text };

	for (uint8_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		struct puzzle_search search = { .prf = known[i].prf, .difficulty = 10 };
		struct ike_view solution = { search.keys[0], sizeof search.keys };

		assert_false(puzzle_search_on(&search, &s, known[i].keys[3])); /* in pieces of any size */
		assert_true(puzzle_search_on(&search, &s, 1));
		for (int k = 0; k < PUZZLE_KEYS; k++) {
			assert_int_equal(load_be32(search.keys[k]), known[i].keys[k]);
			assert_int_equal(
				puzzle_zero_bits(known[i].prf, search.keys[k], 4, &s), known[i].bits[k]);
		}
		/* "The Responder MUST check all of the four returned keys", and takes the worst of them. */
		assert_true(puzzle_is_solved(known[i].prf, 10, &s, &solution));
		assert_false(puzzle_is_solved(known[i].prf, 11, &s, &solution));
		for (size_t bit = 0; bit < 8 * sizeof search.keys; bit += 7) {
			solution.at = search.keys[0];
			search.keys[bit / 32][bit / 8 % 4] ^= (uint8_t)(1 << bit % 8);
			assert_false(puzzle_is_solved(known[i].prf, 10, &s, &solution));
			search.keys[bit / 32][bit / 8 % 4] ^= (uint8_t)(1 << bit % 8);
		}
		memcpy(search.keys[1], search.keys[0], 4); /* four different ones */
		assert_false(puzzle_is_solved(known[i].prf, 10, &s, &solution));
	}
}

static void sizes_of_keys(void **state)
{
	static uint8_t keys[PUZZLE_KEYS * 64], text[35];
	struct ike_view s = { text, sizeof text };

	for (size_t i = 0; i < sizeof keys; i++)
		keys[i] = (uint8_t)(i / 2 + i);
	for (size_t n = 0; n <= sizeof keys; n++) {
		struct ike_view solution = { keys, n };
		size_t each = n / PUZZLE_KEYS;

		assert_int_equal(puzzle_is_solved(PRF_HMAC_SHA2_256, 0, &s, &solution),
			n % PUZZLE_KEYS == 0 && each >= 1 && each <= 32);
		assert_int_equal(puzzle_is_solved(PRF_HMAC_SHA2_384, 0, &s, &solution),
			n % PUZZLE_KEYS == 0 && each >= 1 && each <= 48);
		assert_false(puzzle_is_solved(2, 0, &s, &solution)); /* a function that is not known here */
	}
}

/* ---- as responder ---- */

struct demanded {
	uint8_t cookie[IKE_COOKIE_MAX], difficulty;
	size_t cookie_n;
	uint16_t prf; /* 0: the cookie alone */
};

enum sent { NOTHING, KEY, DEMAND, REFUSAL };

static uint8_t nonce = 0x50; /* of the next request */
static uint16_t vendor_n;    /* octets of its vendor id; 0: it has none */
static bool sha1_only;	     /* it offers no other PRF */

static void offer_sha1(void)
{
	struct ike_offer offer = { 0 };

	ike_offer_add(&offer, IKE_PROTO_IKE, NULL, 0);
	ike_offer_add_transform(&offer, TT_ENCR, ENCR_AES_GCM_16, 256);
	ike_offer_add_transform(&offer, TT_PRF, 2, 0);
	ike_offer_add_transform(&offer, TT_DH, DH_CURVE25519, 0);
	ike_out_offer(&p.out, &offer);
}

/* The puppet's IKE_SA_INIT from that host with that SPI; what came back. */
static enum sent init(
	uint32_t host, const struct demanded *with, const void *solution, size_t n, struct demanded *ret)
{
	const struct ike_notify *v;

	p.initiator = true;
	p.at.addr.b[2] = (uint8_t)(host >> 8);
	p.at.addr.b[3] = (uint8_t)host;
	store_be64(p.spi_i, 0x7700 + host);
	memset(p.spi_r, 0, 8);
	puppet_forget(&p);
	puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
	if (with)
		ike_out_notify(&p.out, NTF_COOKIE, with->cookie, with->cookie_n);
	if (n > 0)
		ike_out_payload(&p.out, PL_PS, solution, n);
	if (sha1_only)
		offer_sha1();
	else
		puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, nonce);
	if (vendor_n > 0)
		ike_out_payload(&p.out, PL_VENDOR, (const uint8_t[256]){ 0 }, vendor_n);
	puppet_send(&p);
	if (p.sent_n == 0 || !puppet_read_last(&p))
		return NOTHING;
	if (p.payloads.present & IKE_HAS(KE))
		return KEY;
	v = ike_notify_find(&p.payloads, NTF_COOKIE);
	if (!v)
		return REFUSAL;
	*ret = (struct demanded){ .cookie_n = v->data.n };
	memcpy(ret->cookie, v->data.at, v->data.n);
	v = ike_notify_find(&p.payloads, NTF_PUZZLE);
	assert_int_equal(p.payloads.notifies_n, v ? 2 : 1);
	if (v) {
		assert_int_equal(v->data.n, 3);
		ret->prf = load_be16(v->data.at);
		ret->difficulty = v->data.at[2];
	}
	return DEMAND;
}

static void solve(const struct demanded *d, uint8_t ret_keys[PUZZLE_KEYS * 4])
{
	struct puzzle_search s = { .prf = d->prf, .difficulty = d->difficulty };

	assert_true(puzzle_search_on(&s, &(struct ike_view){ d->cookie, d->cookie_n }, UINT32_MAX));
	memcpy(ret_keys, s.keys, sizeof s.keys);
}

static uint64_t counted(enum ike_counter which)
{
	return ike_view_count(p.core, which);
}

static void start(uint32_t cookie_above, uint32_t puzzles_above)
{
	p.setup.cookie_above = cookie_above;
	p.setup.puzzles = true;
	p.setup.puzzles_above = puzzles_above;
	p.config.peers[0].flags |= PEER_REMOTE_ANY;
	puppet_start(&p);
}

static void solved_before_anything(void **state)
{
	struct demanded d, other;
	uint8_t keys[PUZZLE_KEYS * 4];

	start(0, 0);
	assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
	assert_int_equal(d.prf, PRF_HMAC_SHA2_256); /* the first one of the offer */
	assert_int_equal(d.difficulty, IKE_PUZZLE_MIN);
	assert_int_equal(puppet_ike_sas(&p), 0); /* nothing is stored */
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
	solve(&d, keys);
	/* What the cookie says of the puzzle cannot be made another one. */
	other = d;
	for (size_t i = 0; i < d.cookie_n; i++) {
		struct demanded ignored;

		other.cookie[i] ^= 1;
		assert_int_equal(init(2, &other, keys, sizeof keys, &ignored), DEMAND);
		other.cookie[i] ^= 1;
	}
	assert_int_equal(counted(IKE_COUNT_COOKIES_WRONG), d.cookie_n);
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
	assert_int_equal(init(2, &d, keys, sizeof keys, &other), KEY);
	assert_int_equal(counted(IKE_COUNT_PUZZLES_SOLVED), 1);
	/* The same request again gets the same answer, and is no second IKE SA. */
	assert_int_equal(init(2, &d, keys, sizeof keys, &other), KEY);
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_int_equal(counted(IKE_COUNT_PUZZLES_SOLVED), 1);
	/* Another address has another cookie, and so another puzzle. */
	assert_int_equal(init(3, &d, keys, sizeof keys, &other), DEMAND);
}

static void malformed_solutions(void **state)
{
	static const size_t wrong[] = { 1, 2, 3, 5, 15, 17 };
	uint8_t keys[PUZZLE_KEYS * 64] = { 0 };
	struct demanded d, ignored;

	start(0, 0);
	assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(init(2, &d, keys, wrong[i], &ignored), REFUSAL);
	assert_true(puppet_says(&p, NTF_INVALID_SYNTAX));
	assert_non_null(strstr(
		p.refusal.reason, "malformed PS payload: 17 octets, expected 4 keys of the same size"));
	assert_int_equal(puppet_ike_sas(&p), 0);
}

/* With so many half-open IKE SAs of so many hosts; then who returns the cookie alone is served by lot, and who solves always. */
static void others_begin(uint32_t from, uint32_t n)
{
	struct demanded ignored;

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(init(from + i, NULL, NULL, 0, &ignored), KEY);
}

static void share_of_the_unsolved(void **state)
{
	uint32_t served = 0, tries = 200, n;
	uint8_t keys[PUZZLE_KEYS * 4], wrong[PUZZLE_KEYS * 4] = { 1, 2, 3, 4, 5 };
	struct demanded d, again;

	start(600, 1);
	others_begin(0x1000, 600);
	for (uint32_t i = 0; i < tries; i++) {
		assert_int_equal(init(0x2000 + i, NULL, NULL, 0, &d), DEMAND);
		assert_in_range(d.difficulty, IKE_PUZZLE_MIN + 4, IKE_PUZZLE_MAX - 1);
		n = init(0x2000 + i, &d, i & 1 ? wrong : NULL, i & 1 ? sizeof wrong : 0, &again) == KEY;
		served += n;
		/* Another cookie each time: some take the one that they have had for a copy of the answer. */
		assert_true(n == 1 || memcmp(d.cookie, again.cookie, d.cookie_n) != 0);
	}
	/* On the way from 600 to 700 of 1,024: about a third. */
	assert_in_range(served, 20, 140);
	assert_int_equal(counted(IKE_COUNT_UNSOLVED_SERVED), served);
	assert_int_equal(counted(IKE_COUNT_UNSOLVED_REFUSED), tries - served);
	assert_int_equal(counted(IKE_COUNT_PUZZLES_WRONG), tries / 2);
	assert_int_equal(init(0x3000, NULL, NULL, 0, &d), DEMAND);
	solve(&d, keys);
	assert_int_equal(init(0x3000, &d, keys, sizeof keys, &again), KEY);
	assert_null(ike_view_wrong(p.core));
}

/* From the threshold to the last place: harder and harder, and never beyond the limit. */
static void difficulty_by_load(void **state)
{
	uint8_t before = IKE_PUZZLE_MIN;
	struct demanded d;

	start(IKE_HALF_OPEN_MAX - 1, IKE_PUZZLES_ABOVE);
	others_begin(0x1000, IKE_HALF_OPEN_MAX - 1);
	assert_int_equal(init(0x2000, NULL, NULL, 0, &d), DEMAND);
	assert_int_equal(d.difficulty, IKE_PUZZLE_MAX - 1);
	/* They end, and the next one is easier. */
	for (int i = 0; i < 2; i++) {
		puppet_done(&p);
		puppet_init(&p);
		start(IKE_PUZZLES_ABOVE + 1 + 300u * (uint32_t)i, IKE_PUZZLES_ABOVE);
		others_begin(0x1000, IKE_PUZZLES_ABOVE + 1 + 300u * (uint32_t)i);
		assert_int_equal(init(0x2000, NULL, NULL, 0, &d), DEMAND);
		assert_in_range(d.difficulty, before, IKE_PUZZLE_MAX - 2);
		before = d.difficulty + 1;
	}
	assert_int_equal(counted(IKE_COUNT_PUZZLES_GIVEN), 1);
}

/* An address with many half-open IKE SAs has to solve where others return a cookie; below the threshold of cookies nobody has to. */
static void one_source(void **state)
{
	struct demanded d;

	start(IKE_SOURCE_ABOVE + 1, IKE_PUZZLES_ABOVE);
	for (uint32_t i = 0; i < IKE_SOURCE_ABOVE; i++) {
		nonce++;
		assert_int_equal(init(2, NULL, NULL, 0, &d), KEY);
	}
	nonce++;
	assert_int_equal(init(2, NULL, NULL, 0, &d), KEY); /* the last one below the threshold */
	nonce++;
	assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
	assert_int_equal(d.prf, PRF_HMAC_SHA2_256);
	assert_int_equal(d.difficulty, IKE_PUZZLE_MIN);
	assert_non_null(strstr(p.last_log, "at an address that has many of them itself"));
	assert_int_equal(init(3, NULL, NULL, 0, &d), DEMAND);
	assert_int_equal(d.prf, 0);
	assert_int_equal(init(3, &d, NULL, 0, &d), KEY);
	/* When they have ended nobody has to. */
	puppet_run(&p, 40000);
	assert_int_equal(init(2, NULL, NULL, 0, &d), KEY);
}

/* 7.1.1.3: "an attacker gains no or insignificant benefit from reusing puzzle solutions", whatever else is in the request. */
static void worth_one_handshake(void **state)
{
	static const uint8_t fresh[32] = { 1 }, later[32] = { 2 };
	uint8_t keys[PUZZLE_KEYS * 4];
	struct demanded d, other;

	start(0, 0);
	assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
	solve(&d, keys);
	assert_int_equal(init(2, &d, keys, sizeof keys, &other), KEY);
	/* With another vendor ID it is another request with that nonce: nobody's who is honest. */
	for (vendor_n = 1; vendor_n < 20; vendor_n++)
		assert_int_equal(init(2, &d, keys, sizeof keys, &other), NOTHING);
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_run(&p, 40000);
	assert_int_equal(puppet_ike_sas(&p), 0);
	for (vendor_n = 0; vendor_n < 20; vendor_n++)
		assert_int_equal(init(2, &d, keys, sizeof keys, &other), DEMAND);
	vendor_n = 0;
	assert_int_equal(counted(IKE_COUNT_PUZZLES_SOLVED), 1);
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 1);
	/* The new one is as good as any, once; and nothing is remembered longer than its secret. */
	for (int i = 0; i < 3; i++) {
		solve(&other, keys);
		assert_int_equal(init(2, &other, keys, sizeof keys, &d), KEY);
		puppet_run(&p, 40000);
		assert_int_equal(init(2, &other, keys, sizeof keys, &d), DEMAND);
		ike_input_cookie_secret(p.core, i & 1 ? later : fresh);
		assert_int_equal(init(2, NULL, NULL, 0, &other), DEMAND);
	}
}

/* So does a cookie draw its lot once. */
static void one_lot_for_a_cookie(void **state)
{
	struct demanded d, other;
	uint32_t lost = 0;

	start(600, 1);
	others_begin(0x1000, 600);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(init(0x2000 + i, NULL, NULL, 0, &d), DEMAND);
		if (init(0x2000 + i, &d, NULL, 0, &other) == KEY)
			continue;
		lost++;
		for (vendor_n = 1; vendor_n < 20; vendor_n++)
			assert_int_equal(init(0x2000 + i, &d, NULL, 0, &other), DEMAND);
		vendor_n = 0;
	}
	assert_in_range(lost, 5, 35);
}

/* An address that is the load itself: the floor of an eighth is not for it. */
static void share_of_one_source(void **state)
{
	struct demanded d, other;
	uint32_t served = 0;

	start(IKE_SOURCE_MOST, IKE_HALF_OPEN_MAX - 1);
	for (uint32_t i = 0; i < IKE_SOURCE_MOST; i++) {
		nonce++;
		assert_int_equal(init(2, NULL, NULL, 0, &d), KEY);
	}
	for (uint32_t i = 0; i < 100; i++) {
		nonce++;
		assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
		assert_int_equal(d.difficulty, IKE_PUZZLE_MAX);
		served += init(2, &d, NULL, 0, &other) == KEY;
	}
	assert_in_range(served, 0, 5);
	assert_int_equal(init(3, NULL, NULL, 0, &d), DEMAND);
	assert_int_equal(d.prf, 0);
	assert_int_equal(init(3, &d, NULL, 0, &other), KEY);
}

/* 7.1.5: easy ones that were collected below the threshold are worth no more than the cookie when much is demanded. */
static void too_easy_by_now(void **state)
{
	uint8_t keys[5][PUZZLE_KEYS * 4], nonces[5];
	struct demanded d[5], more, other;

	start(100, IKE_HALF_OPEN_MAX - 1);
	others_begin(0x1000, 100 - IKE_SOURCE_ABOVE);
	for (uint32_t i = 0; i < IKE_SOURCE_ABOVE; i++) {
		nonce++;
		assert_int_equal(init(2, NULL, NULL, 0, &more), KEY);
	}
	for (int i = 0; i < 5; i++) {
		nonces[i] = ++nonce;
		assert_int_equal(init(2, NULL, NULL, 0, &d[i]), DEMAND);
		assert_int_equal(d[i].difficulty, IKE_PUZZLE_MIN);
		solve(&d[i], keys[i]);
	}
	/* The first at once; then others of that address that the lot serves. */
	nonce = nonces[0];
	assert_int_equal(init(2, &d[0], keys[0], sizeof keys[0], &other), KEY);
	assert_int_equal(counted(IKE_COUNT_PUZZLES_SOLVED), 1);
	nonce = nonces[4];
	do {
		nonce++;
		assert_int_equal(init(2, NULL, NULL, 0, &more), DEMAND);
		init(2, &more, NULL, 0, &other);
	} while (more.difficulty < IKE_PUZZLE_MIN + IKE_PUZZLE_SLACK + 1);
	for (int i = 1; i < 5; i++) {
		nonce = nonces[i];
		init(2, &d[i], keys[i], sizeof keys[i], &other);
	}
	assert_int_equal(counted(IKE_COUNT_PUZZLES_SOLVED), 1);
	assert_int_equal(counted(IKE_COUNT_PUZZLES_WRONG), 0);
}

/* Whoever makes his handshakes fail at once has none that are half-open, and needs no address: they count all the same for a while. */
static void failed_ones_count(void **state)
{
	uint32_t n = 0;
	struct demanded d;

	start(IKE_COOKIES_ABOVE, IKE_PUZZLES_ABOVE);
	p.fail[KEEPER_EXCHANGE_ANSWER] = RC_RANGE;
	while (n < 1000 && init(0x1000 + n, NULL, NULL, 0, &d) != DEMAND)
		n++;
	assert_int_equal(n, IKE_COOKIES_ABOVE);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(d.prf, 0);
	/* They are forgotten as fast as full places run out. */
	puppet_run(&p, 1000 * IKE_COOKIES_ABOVE / IKE_BURNT_PER_S / 2);
	for (n = 0; n < 1000 && init(0x2000 + n, NULL, NULL, 0, &d) != DEMAND;)
		n++;
	assert_in_range(n, IKE_COOKIES_ABOVE / 2 - 2, IKE_COOKIES_ABOVE / 2 + 2);
	/* One that failed because nobody came back has counted already. */
	p.fail[KEEPER_EXCHANGE_ANSWER] = RC_OK;
	puppet_run(&p, 60000);
	others_begin(0x3000, IKE_COOKIES_ABOVE);
	puppet_run(&p, IKE_HALF_OPEN_S * 1000 + 100);
	assert_int_equal(init(0x4000, NULL, NULL, 0, &d), KEY);
}

/* 7.1.1.2: who offers no function that is known here is told so; there is no puzzle for him, and no lot. */
static void no_known_function(void **state)
{
	struct demanded d, other;

	start(600, 1);
	others_begin(0x1000, 600);
	sha1_only = true;
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(init(0x2000 + i, NULL, NULL, 0, &d), DEMAND);
		assert_int_equal(d.prf, 0);
		assert_int_equal(init(0x2000 + i, &d, NULL, 0, &other), REFUSAL);
		assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
	}
	sha1_only = false;
}

/* ---- as initiator ---- */

static void begin_own(void)
{
	puppet_start(&p);
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	memcpy(p.spi_i, p.header.spi_i, 8);
	puppet_forget(&p);
}

static const uint8_t crumb[5] = "crumb";

static void demand_of(const uint8_t *cookie, size_t n, const void *puzzle, size_t puzzle_n)
{
	puppet_response(&p);
	if (n > 0)
		ike_out_notify(&p.out, NTF_COOKIE, cookie, n);
	ike_out_notify(&p.out, NTF_PUZZLE, puzzle, puzzle_n);
	puppet_send(&p);
}

/* Until the core has sent something. */
static void wait_sent(void)
{
	for (int i = 0; i < 2000 && p.sent_n == 0; i++)
		puppet_run(&p, 1);
	assert_int_equal(p.sent_n, 1);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.payloads.notifies[0].type, NTF_COOKIE);
	assert_memory_equal(p.payloads.notifies[0].data.at, crumb, sizeof crumb);
}

static const char *row(void)
{
	static char text[2048];
	uint32_t cursor = 0;

	assert_true(ike_show(p.core, p.now, &cursor, text, sizeof text) > 0);
	return text;
}

static void solved_as_initiator(void **state)
{
	static const struct {
		uint8_t puzzle[3];
		unsigned bits;
	} good[] = { { { 0, PRF_HMAC_SHA2_256, 12 }, 12 }, { { 0, PRF_HMAC_SHA2_384, 1 }, 1 },
		/* the peer leaves it to us */
		{ { 0, PRF_HMAC_SHA2_256, 0 }, IKE_PUZZLE_FREE } };

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct ike_view s = { crumb, sizeof crumb };

		if (i > 0) {
			puppet_done(&p);
			puppet_init(&p);
		}
		begin_own();
		demand_of(crumb, sizeof crumb, good[i].puzzle, 3);
		assert_int_equal(p.sent_n, 0);
		assert_non_null(strstr(row(), "solving a puzzle of the peer (RFC 8019)"));
		assert_null(ike_view_wrong(p.core));
		wait_sent();
		/* 7.1.2: HDR, N(COOKIE), PS, SA, … */
		assert_int_equal(p.sent[0].bytes[IKE_HEADER_SIZE], PL_PS);
		assert_true(puzzle_is_solved(good[i].puzzle[1], good[i].bits, &s, &p.payloads.solution));
		assert_int_equal(counted(IKE_COUNT_PEER_PUZZLES_SOLVED), 1);
		assert_true(puppet_init_as_responder(&p));
		assert_null(ike_view_wrong(p.core));
	}
}

/* What is too hard, unknown or malformed is answered with the cookie alone; a puzzle without a cookie "MUST [be] ignored". */
static void left_as_initiator(void **state)
{
	static const struct {
		uint8_t puzzle[4];
		size_t n;
		const char *why;
	} bad[] = {
		{ { 0, PRF_HMAC_SHA2_256, IKE_PUZZLE_HARDEST + 1 }, 3,
			"of 21 zero bits, at most 20 are tried" },
		{ { 0, PRF_HMAC_SHA2_256, 255 }, 3, "of 255 zero bits" },
		{ { 0, 2, 10 }, 3, "with a function that is not known here" },
		{ { 0xff, 0xff, 10 }, 3, "with a function that is not known here" },
		{ { 0, PRF_HMAC_SHA2_256 }, 2, "with a function that is not known here" },
		{ { 0, PRF_HMAC_SHA2_256, 10, 0 }, 4, "with a function that is not known here" },
		{ { 0 }, 0, "with a function that is not known here" },
	};

	begin_own();
	demand_of(NULL, 0, bad[0].puzzle, 3);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(counted(IKE_COUNT_PEER_PUZZLES_LEFT), 0);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		puppet_done(&p);
		puppet_init(&p);
		begin_own();
		demand_of(crumb, sizeof crumb, bad[i].puzzle, bad[i].n);
		wait_sent();
		assert_int_equal(p.payloads.solution.n, 0);
		assert_non_null(strstr(p.last_log, bad[i].why));
		assert_non_null(strstr(p.last_log, "the request is repeated with the cookie alone"));
		assert_int_equal(counted(IKE_COUNT_PEER_PUZZLES_LEFT), 1);
		assert_true(puppet_init_as_responder(&p));
	}
}

/* A search has an end, and leaves time to others between its pieces; who answers meanwhile is believed. */
static void bounded_as_initiator(void **state)
{
	static const uint8_t hardest[3] = { 0, PRF_HMAC_SHA2_256, IKE_PUZZLE_HARDEST };

	begin_own();
	demand_of(crumb, sizeof crumb, hardest, 3);
	for (int i = 0; i < 5; i++) {
		mono_ns next = ike_deadline(p.core);

		assert_true(next >= p.now + IKE_PUZZLE_PAUSE_MS * NS_PER_MS);
		p.now = next;
		ike_tick(p.core, p.now);
		puppet_settle(&p);
	}
	assert_int_equal(p.sent_n, 0); /* and nothing is repeated that the peer has answered */
	p.now += IKE_PUZZLE_S * NS_PER_S;
	ike_tick(p.core, p.now);
	puppet_settle(&p);
	wait_sent();
	assert_int_equal(p.payloads.solution.n, 0);
	assert_non_null(strstr(p.last_log, "takes too long to solve"));
	/* Another one; and the key exchange comes all the same. */
	puppet_forget(&p);
	demand_of(crumb, sizeof crumb, hardest, 3);
	assert_int_equal(p.sent_n, 0);
	store_be64(p.spi_r, 99);
	puppet_response(&p);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	p.hold = true; /* the keeper takes its time */
	puppet_send(&p);
	puppet_run(&p, 100);
	assert_null(ike_view_wrong(p.core));
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	puppet_settle(&p);
	assert_string_equal(puppet_state(&p, 0), "IKE_AUTH sent");
	assert_null(ike_view_wrong(p.core));
	puppet_run(&p, 1000);
}

/* An administrator ends what is being solved; and one that asks again and again is not obeyed without end. */
static void ends_of_a_search(void **state)
{
	static const uint8_t hardest[3] = { 0, PRF_HMAC_SHA2_256, IKE_PUZZLE_HARDEST };

	begin_own();
	for (int i = 0; i < 20; i++)
		demand_of(crumb, sizeof crumb, hardest, 3);
	assert_int_equal(p.sent_n, 0);
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "t0", NULL);
	puppet_settle(&p);
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_run(&p, 1000);
	assert_null(ike_view_wrong(p.core));
}

/* Whoever demands for ever: no number of demands makes another attempt of it. */
static void demanded_for_ever(void **state)
{
	uint32_t sent = 0;

	begin_own();
	for (uint32_t i = 0; i < 600; i++) {
		puppet_forget(&p);
		puppet_response(&p);
		ike_out_notify(&p.out, NTF_COOKIE, &i, sizeof i);
		puppet_send(&p);
		sent += p.sent_n;
	}
	assert_int_equal(sent, IKE_RESTARTS_MAX);
}

/* Of several a few are worked on in turn, the others wait, and not for ever: the functions of solve.c alone. */
static void several_as_initiator(void **state)
{
	enum { SEARCHES = 5 };
	static const uint8_t hardest[3] = { 0, PRF_HMAC_SHA2_256, IKE_PUZZLE_HARDEST };
	struct ike *c;
	struct ike_sa *sas[SEARCHES];
	struct ike_payloads in = { .notifies_n = 1 };
	mono_ns begun;

	puppet_start(&p);
	c = p.core;
	begun = c->now;
	in.notifies[0] = (struct ike_notify){ .type = NTF_PUZZLE, .data = { hardest, 3 } };
	for (int i = 0; i < SEARCHES; i++) {
		sas[i] = sa_new(c, true);
		sa_enter(c, sas[i], ST_KEYS_OWN);
		sa_enter(c, sas[i], ST_INIT_SENT);
		assert_true(solve_begin(c, sas[i], &in));
	}
	for (int i = 0; i < 60; i++)
		assert_null(solve_piece(c));
	for (int i = 0; i < SEARCHES; i++)
		assert_int_equal(sas[i]->puzzle->search.next, i < 2 ? 30 * IKE_PUZZLE_PIECE : 0);
	/* One ends, and the next one that waits takes its place. */
	solve_drop(sas[0]);
	for (int i = 0; i < 20; i++)
		assert_null(solve_piece(c));
	assert_int_equal(sas[1]->puzzle->search.next, 40 * IKE_PUZZLE_PIECE);
	assert_int_equal(sas[2]->puzzle->search.next, 10 * IKE_PUZZLE_PIECE);
	/* Those that have waited too long are not begun; then those that were begun. */
	c->now = begun + IKE_PUZZLE_S * NS_PER_S;
	assert_ptr_equal(solve_piece(c), sas[3]);
	assert_ptr_equal(solve_piece(c), sas[4]);
	assert_int_equal(counted(IKE_COUNT_PEER_PUZZLES_LEFT), 2);
	assert_non_null(solve_piece(c));
	assert_non_null(solve_piece(c));
	assert_null(solve_piece(c));
	assert_int_equal(counted(IKE_COUNT_PEER_PUZZLES_LEFT), 4);
}

/* 7.2, a puzzle for IKE_AUTH, is not supported, and it is said so. */
static void puzzle_of_auth(void **state)
{
	static const uint8_t puzzle[3] = { 0, PRF_HMAC_SHA2_256, 8 };

	begin_own();
	store_be64(p.spi_r, 99);
	puppet_response(&p);
	puppet_offer_ike(&p, NULL);
	puppet_ke(&p, DH_CURVE25519);
	puppet_nonce(&p, 0x50);
	ike_out_notify(&p.out, NTF_PUZZLE, puzzle, sizeof puzzle);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 0);
	assert_non_null(strstr(row(), "the peer demands a puzzle in IKE_AUTH"));
}

static void counters_are_rows(void **state)
{
	char text[1024];
	uint32_t cursor = 0, n = 0;
	struct demanded d;

	start(0, 0);
	assert_int_equal(init(2, NULL, NULL, 0, &d), DEMAND);
	while (ike_show_counters(p.core, &cursor, text, sizeof text) > 0) {
		if (n++ == IKE_COUNT_PUZZLES_GIVEN)
			assert_non_null(
				strstr(text, "{\"counter\":\"puzzles-given\",\"value\":1,\"text\":\""));
	}
	assert_int_equal(n, IKE_COUNTERS_N + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes_of_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(solved_before_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_solutions, setup, teardown),
		cmocka_unit_test_setup_teardown(share_of_the_unsolved, setup, teardown),
		cmocka_unit_test_setup_teardown(difficulty_by_load, setup, teardown),
		cmocka_unit_test_setup_teardown(one_source, setup, teardown),
		cmocka_unit_test_setup_teardown(worth_one_handshake, setup, teardown),
		cmocka_unit_test_setup_teardown(one_lot_for_a_cookie, setup, teardown),
		cmocka_unit_test_setup_teardown(share_of_one_source, setup, teardown),
		cmocka_unit_test_setup_teardown(too_easy_by_now, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_ones_count, setup, teardown),
		cmocka_unit_test_setup_teardown(no_known_function, setup, teardown),
		cmocka_unit_test_setup_teardown(solved_as_initiator, setup, teardown),
		cmocka_unit_test_setup_teardown(left_as_initiator, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded_as_initiator, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_of_a_search, setup, teardown),
		cmocka_unit_test_setup_teardown(several_as_initiator, setup, teardown),
		cmocka_unit_test_setup_teardown(demanded_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(puzzle_of_auth, setup, teardown),
		cmocka_unit_test_setup_teardown(counters_are_rows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
