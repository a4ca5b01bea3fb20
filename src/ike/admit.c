/*
 * Who is served when many begin (RFC 7296 section 2.6, RFC 8019 sections 6 and 7.1). With few half-open IKE SAs everybody; above a
 * threshold those who return a cookie, and so have shown that they receive at their address; above the next one, and at an address that
 * has many half-open ones itself, those who have solved a puzzle as well. Of those who return the cookie alone a part is served, by
 * lot: they may know no puzzles. One that failed counts as half-open for a while more: else who makes them fail at once, which needs
 * no address of his own, would never be asked for anything.
 *
 * Nothing is stored for anybody: the cookie says what was demanded beside it. Of one that was worth a key exchange a bit is kept, as long
 * as its secret: it is worth no second one, whatever else is in the request (RFC 8019 section 7.1.1.3).
 *
 * A request costs at most two PRFs, and four more if it returns a cookie of ours with a solution.
 */
#include "ike/internal.h"

#include "base/siphash.h"
#include "crypto/prf.h"

#include <assert.h>

/*
 * What a cookie says: the puzzle that was beside it (prf 0: none), and how many came before it that were returned unsolved. So each demand
 * has another cookie: strongSwan takes one that it has had for a copy, and waits.
 */
struct demand {
	uint16_t prf;
	uint8_t difficulty, before;
};

/*
 * 2.6: Cookie = <version> | hash(Ni | IPi | SPIi | <secret>): here a MAC, so that no state is kept for an
 * initiator that has not shown that it receives at its address. RFC 8019 section 7.1.1.3: with the puzzle in it.
 */
static void cookie_make(struct ike *c, uint8_t version, const struct message *in, const struct demand *d,
	uint8_t ret[COOKIE_SIZE])
{
	uint8_t port[2];
	struct prf_part parts[] = {
		{ in->p.nonce.at, in->p.nonce.n },
		{ in->remote.addr.b, sizeof in->remote.addr.b },
		{ port, 2 },
		{ in->h.spi_i, 8 },
		{ ret, COOKIE_HEAD },
	};

	store_be16(port, in->remote.port);
	ret[0] = version;
	ret[1] = (uint8_t)d->prf;
	ret[2] = d->difficulty;
	ret[3] = d->before;
	if (prf_run(PRF_HMAC_SHA2_256, c->cookie_secrets[version & 1], 32, parts, COUNT_OF(parts),
		    ret + COOKIE_HEAD) != RC_OK)
		memset(ret + COOKIE_HEAD, 0, COOKIE_SIZE - COOKIE_HEAD);
}

/*
 * A valid cookie as a number that nobody else can compute: the place of its bit, and its lot. So who sends it again, with another value or
 * another vendor ID, has drawn already.
 */
struct cookie {
	uint32_t place, lot; /* below 1,000 */
};

static bool cookie_read(
	struct ike *c, const struct message *in, struct demand *ret, struct cookie *ret_cookie)
{
	const struct ike_notify *v = ike_notify_find(&in->p, NTF_COOKIE);
	uint8_t want[COOKIE_SIZE];
	uint64_t hash;

	*ret = (struct demand){ 0 };
	if (!v)
		return false;
	if (v->data.n == sizeof want &&
		(v->data.at[0] == c->cookie_version || v->data.at[0] == (uint8_t)(c->cookie_version - 1))) {
		*ret = (struct demand){ v->data.at[1], v->data.at[2], v->data.at[3] };
		cookie_make(c, v->data.at[0], in, ret, want);
		if (bytes_equal_secret(want, v->data.at, sizeof want)) {
			hash = siphash13(c->hash_key, want + COOKIE_HEAD, COOKIE_SIZE - COOKIE_HEAD);
			ret_cookie->place =
				(want[0] & 1u) * IKE_COOKIES_SPENT + (uint32_t)(hash % IKE_COOKIES_SPENT);
			ret_cookie->lot = (uint32_t)((hash >> 32) % 1000);
			return true;
		}
	}
	c->counts[IKE_COUNT_COOKIES_WRONG]++;
	return false;
}

static uint64_t *spent_word(struct ike *c, uint32_t place)
{
	return &c->cookies_spent[place / IKE_COOKIES_SPENT][place % IKE_COOKIES_SPENT / 64];
}

static bool is_spent(struct ike *c, uint32_t place)
{
	return *spent_word(c, place) >> place % 64 & 1;
}

void init_spend(struct ike *c, uint32_t cookie)
{
	if (cookie != COOKIE_NONE)
		*spent_word(c, cookie) |= (uint64_t)1 << cookie % 64;
}

/* ---- those that failed ---- */

/* One more in a bucket that so many leave in a second, and that has room for `most`. */
static void burn(mono_ns *until, mono_ns now, uint32_t per_second, uint32_t most)
{
	*until = MIN_OF(MAX_OF(*until, now) + NS_PER_S / per_second, now + most * NS_PER_S / per_second);
}

static uint32_t burnt(mono_ns until, mono_ns now, uint32_t per_second)
{
	return until <= now ? 0 : (uint32_t)((until - now) / (NS_PER_S / per_second));
}

void init_burn(struct ike *c, uint16_t source)
{
	burn(&c->burnt_until, c->now, IKE_BURNT_PER_S, IKE_HALF_OPEN_MAX);
	burn(&c->burnt_until_at[source], c->now, IKE_BURNT_SOURCE_PER_S, IKE_SOURCE_MOST);
}

/* What is demanded depends on whichever is more. */
static uint32_t load_of_all(const struct ike *c)
{
	return MAX_OF(c->half_open, burnt(c->burnt_until, c->now, IKE_BURNT_PER_S));
}

static uint32_t load_of_source(const struct ike *c, uint16_t source)
{
	return MAX_OF((uint32_t)c->half_open_at[source],
		burnt(c->burnt_until_at[source], c->now, IKE_BURNT_SOURCE_PER_S));
}

/* ---- how much is demanded ---- */

/* How far a number is on its way, in thousandths; -1: it has not begun. */
static int way_between(uint32_t n, uint32_t from, uint32_t to)
{
	if (n < from)
		return -1;
	return n >= to ? 1000 : (int)((n - from) * 1000 / (to - from));
}

/* Of all half-open IKE SAs, of those at that address, and whichever is more; -1: no puzzles. */
struct pressure {
	int all, source, way;
};

static struct pressure pressure(const struct ike *c, const struct ip_addr *remote)
{
	struct pressure ret = { -1, -1, -1 };

	if (!c->setup.puzzles)
		return ret;
	assert(c->setup.puzzles_above < IKE_HALF_OPEN_MAX);
	ret.all = way_between(load_of_all(c), c->setup.puzzles_above, IKE_HALF_OPEN_MAX);
	ret.source =
		way_between(load_of_source(c, source_slot(c, remote)), IKE_SOURCE_ABOVE, IKE_SOURCE_MOST);
	ret.way = MAX_OF(ret.all, ret.source);
	return ret;
}

static uint8_t difficulty_of(int way)
{
	return (uint8_t)(IKE_PUZZLE_MIN + way * (IKE_PUZZLE_MAX - IKE_PUZZLE_MIN) / 1000);
}

/*
 * Section 7.1: "The decision whether to process any particular request must be probabilistic, with the probability depending on the
 * Responder's load". Of a thousand without a solution. An address that is the load itself has a smaller part than all of them when all of
 * them are: else a single one would get its eighth of what the gateway can do, without any work.
 */
static uint32_t share_of(const struct pressure *p)
{
	uint32_t all = (uint32_t)MAX_OF(1000 - MAX_OF(p->all, 0), IKE_UNSOLVED_SHARE),
		 source = (uint32_t)MAX_OF(1000 - MAX_OF(p->source, 0), IKE_UNSOLVED_SHARE_SOURCE);

	return MIN_OF(all, source);
}

/* RFC 8019 section 7.1.1.2: of a function that the initiator offers; the first one that is known here. 0: none is. */
static uint16_t puzzle_prf(const struct ike_offer *o)
{
	for (unsigned i = 0; i < o->transforms_n; i++)
		if (o->transforms[i].type == TT_PRF && o->transforms[i].id <= UINT8_MAX &&
			prf_size(o->transforms[i].id) > 0)
			return o->transforms[i].id;
	return 0;
}

static void alarm_say(struct ike *c, const struct pressure *p, bool puzzle)
{
	enum {
		COOKIES,
		PUZZLES,
		OF_SOURCE,
		KINDS
	} kind = !puzzle       ? COOKIES
		 : p->all >= 0 ? PUZZLES
			       : OF_SOURCE;
	static const char *const says[KINDS] = {
		[COOKIES] = "who begins another one has to return a cookie",
		[PUZZLES] =
			"who begins another one has to solve a puzzle (RFC 8019); of peers that know none a part is served",
		[OF_SOURCE] =
			"who begins another one has to return a cookie, and solve a puzzle (RFC 8019) at an address that has many of them itself",
	};

	_Static_assert(KINDS == COUNT_OF(c->alarm_at), "one for each");
	if (c->now < c->alarm_at[kind])
		return;
	c->alarm_at[kind] = c->now + IKE_ALARM_EVERY_S * NS_PER_S;
	ike_log(c, true, "%u half-open IKE SAs of %d, and %u that failed lately: %s; see `show ike counters`",
		c->half_open, IKE_HALF_OPEN_MAX, burnt(c->burnt_until, c->now, IKE_BURNT_PER_S), says[kind]);
}

static void demand(struct ike *c, const struct message *in, const struct pressure *p, uint8_t before)
{
	struct demand d = { .before = before };
	uint8_t cookie[COOKIE_SIZE], puzzle[3];
	struct ike_header h = in->h;
	struct ike_out o;

	if (p->way >= 0)
		d.prf = puzzle_prf(&in->p.sa);
	if (d.prf != 0)
		d.difficulty = difficulty_of(p->way);
	cookie_make(c, c->cookie_version, in, &d, cookie);
	h.version = 0x20;
	h.flags = IKE_FLAG_RESPONSE;
	o = ike_out_begin(c->scratch, sizeof c->scratch, &h);
	ike_out_notify(&o, NTF_COOKIE, cookie, sizeof cookie);
	c->counts[IKE_COUNT_COOKIES_DEMANDED]++;
	if (d.prf != 0) {
		store_be16(puzzle, d.prf);
		puzzle[2] = d.difficulty;
		ike_out_notify(&o, NTF_PUZZLE, puzzle, sizeof puzzle);
		c->counts[IKE_COUNT_PUZZLES_GIVEN]++;
	}
	ike_send(c, &in->local, &in->remote, c->scratch, ike_out_end(&o));
	alarm_say(c, p, d.prf != 0);
}

/* ---- what was returned ---- */

/*
 * Section 7.1.4: a cookie that came without a puzzle, no solution and a wrong one are the same, the lowest priority. So is here the solution of
 * one that is too easy by now (7.1.5): else who collects easy ones below the threshold would be served with them when all places are taken.
 */
static bool is_solved(struct ike *c, const struct message *in, const struct demand *d, int way)
{
	const struct ike_notify *v = ike_notify_find(&in->p, NTF_COOKIE);

	if (d->prf == 0 || in->p.solution.n == 0 || d->difficulty + IKE_PUZZLE_SLACK < difficulty_of(way))
		return false;
	if (puzzle_is_solved(d->prf, d->difficulty, &v->data, &in->p.solution))
		return true;
	c->counts[IKE_COUNT_PUZZLES_WRONG]++;
	return false;
}

bool init_admit(struct ike *c, const struct message *in, uint32_t *ret_cookie)
{
	struct pressure p;
	struct cookie cookie;
	struct demand d;

	*ret_cookie = COOKIE_NONE;
	if (load_of_all(c) < c->setup.cookie_above)
		return true;
	if (init_has_begun(
		    c, in)) /* an initiator repeats what it has sent, and nothing else with that nonce */
		return false;
	p = pressure(c, &in->remote.addr);
	if (!cookie_read(c, in, &d, &cookie)) {
		demand(c, in, &p, 0);
		return false;
	}
	if (is_spent(c, cookie.place)) {
		demand(c, in, &p, (uint8_t)(d.before + 1));
		return false;
	}
	*ret_cookie = cookie.place;
	/* Section 7.1.1.2: who offers no function that is known here "there is no reason to return a puzzle" to; it will be refused. */
	if (p.way < 0 || puzzle_prf(&in->p.sa) == 0)
		return true;
	if (is_solved(c, in, &d, p.way)) {
		c->counts[IKE_COUNT_PUZZLES_SOLVED]++;
		return true;
	}
	if (cookie.lot < share_of(&p)) {
		c->counts[IKE_COUNT_UNSOLVED_SERVED]++;
		return true;
	}
	c->counts[IKE_COUNT_UNSOLVED_REFUSED]++;
	demand(c, in, &p, (uint8_t)(d.before + 1));
	return false;
}

void ike_input_cookie_secret(struct ike *c, const uint8_t secret[32])
{
	c->cookie_version++;
	memcpy(c->cookie_secrets[c->cookie_version & 1], secret, 32);
	memset(c->cookies_spent[c->cookie_version & 1], 0, sizeof c->cookies_spent[0]);
}
