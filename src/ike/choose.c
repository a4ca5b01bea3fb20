/*
 * Which configured peer a message is from. A proposal has to be chosen at IKE_SA_INIT, when only the address
 * is known; the identity comes with IKE_AUTH (RFC 7296 section 1.2), and then each peer must have been
 * answered with one of its own proposals. So where several peers can be at an address, the choice should be
 * in the list of the one that it turns out to be.
 */
#include "ike/internal.h"

#include "model/peer_id.h"

/* ---- by its identity ---- */

size_t peer_id_body(const struct snap_id *id, const struct ip_addr *address, uint8_t ret[KEEPER_ID_MAX])
{
	size_t n = MIN_OF(id->len, sizeof id->data);

	memset(ret, 0, KEEPER_ID_MAX);
	if (id->type != ID_NONE) {
		ret[0] = id->type;
		memcpy(ret + 4, id->data, n);
		return 4 + n;
	}
	ret[0] = address->family == ADDR_V4 ? ID_IPV4 : ID_IPV6;
	memcpy(ret + 4, address->b, addr_size(address));
	return 4 + addr_size(address);
}

bool peer_id_matches(const struct snap_id *id, const struct ip_addr *address, const struct ike_view *body)
{
	uint8_t want[KEEPER_ID_MAX];
	size_t n = peer_id_body(id, address, want);

	if (id->type == ID_DN) /* a pattern: the certifiers compare it, who read certificates */
		return body->n > 4 && body->at[0] == ID_DN;
	return body->n == n && body->at[0] == want[0] && memcmp(body->at + 4, want + 4, n - 4) == 0;
}

/* any: of the peers without a configured address or name; else of those that have the remote address. */
static bool may_be_at(const struct ike *c, uint32_t peer, const struct endpoint *local,
	const struct endpoint *remote, bool any)
{
	const struct snap_peer *p = &snap_peers(c->snap)[peer];
	bool anywhere = peer_is_anywhere(p);

	if (p->local.family != ADDR_NONE && !addr_equal(&p->local, &local->addr))
		return false;
	if (p->flags & PEER_REMOTE_NAME)
		return !any && named_has_address(c, peer, &remote->addr);
	return any ? anywhere : !anywhere && addr_equal(&p->remote, &remote->addr);
}

static const struct snap_ike_proposal *proposals_of(const struct ike *c, const struct snap_peer *p)
{
	return &snap_ike_proposals(c->snap)[p->proposals.first];
}

static bool has_suite(const struct ike *c, const struct snap_peer *p, const struct choice *s)
{
	const struct snap_ike_proposal *own = proposals_of(c, p);

	for (uint32_t i = 0; i < p->proposals.count; i++)
		if (own[i].encr == s->encr && own[i].encr_bits == s->encr_bits && own[i].prf == s->prf &&
			own[i].dh == s->dh &&
			memcmp(own[i].additional, s->additional, sizeof s->additional) == 0)
			return true;
	return false;
}

static void expect(struct ike *c, const struct ip_addr *remote, uint32_t peer)
{
	c->expected[c->expected_next++ % IKE_EXPECTED_MAX] = (struct ike_expected){ *remote, peer };
}

/*
 * How much of the identity the configuration says: a whole one goes before every pattern, a longer pattern before a
 * shorter one; 0: it is another identity. Only peers at any address have patterns.
 */
static uint32_t id_fit(const struct snap_peer *s, const struct ip_addr *remote, const struct ike_view *id)
{
	if (s->remote_id.type ==
		ID_DN) /* whose subjects are compared later: the first one that is configured */
		return peer_id_matches(&s->remote_id, remote, id);
	if (!(s->flags & PEER_ID_PATTERN))
		return peer_id_matches(&s->remote_id, remote, id) ? UINT32_MAX : 0;
	return id->n > 4 && peer_id_fits_pattern(&s->remote_id, id->at[0], id->at + 4, id->n - 4)
		       ? s->remote_id.len
		       : 0;
}

uint32_t peer_identify(
	struct ike *c, const struct ike_sa *sa, const struct ike_payloads *p, uint32_t *ret_other)
{
	struct choice chosen = { .encr = sa->encr, .encr_bits = sa->encr_bits, .prf = sa->prf, .dh = sa->dh };
	memcpy(chosen.additional, sa->additional, sizeof chosen.additional);
	uint32_t found = INDEX_NONE, best = 1;

	*ret_other = INDEX_NONE;
	for (int any = 0; any <= 1 && found == INDEX_NONE; any++) {
		for (uint32_t at = peers_first_at(c, &sa->remote.addr, any); at != INDEX_NONE;
			at = c->places[at].next) {
			uint32_t i = c->places[at].peer;
			const struct snap_peer *s = &snap_peers(c->snap)[i];
			uint32_t fit = may_be_at(c, i, &sa->local, &sa->remote, any)
					       ? id_fit(s, &sa->remote.addr, &p->idi)
					       : 0;

			if (fit < best || ((p->present & IKE_HAS(IDR)) &&
						  !peer_id_matches(&s->local_id, &sa->local.addr, &p->idr)))
				continue;
			if (fit > best)
				found = *ret_other = INDEX_NONE;
			best = fit;
			if (!has_suite(c, s, &chosen))
				*ret_other = *ret_other == INDEX_NONE ? i : *ret_other;
			else if (found == INDEX_NONE)
				found = i;
		}
	}
	if (found == INDEX_NONE && *ret_other != INDEX_NONE)
		expect(c, &sa->remote.addr, *ret_other);
	return found;
}

/* ---- by its address ---- */

/* It is not authenticated: it only decides whose proposals are tried first. */
static const struct snap_peer *expected_at(struct ike *c, const struct message *in, struct choice *ret)
{
	for (uint32_t i = 0; i < IKE_EXPECTED_MAX; i++) {
		const struct ike_expected *e = &c->expected[(c->expected_next - 1 - i) % IKE_EXPECTED_MAX];
		const struct snap_peer *p;

		if (e->remote.family == ADDR_NONE || !addr_equal(&e->remote, &in->remote.addr))
			continue;
		p = &snap_peers(c->snap)[e->peer];
		return (may_be_at(c, e->peer, &in->local, &in->remote, false) ||
			       may_be_at(c, e->peer, &in->local, &in->remote, true)) &&
				       proposals_choose_ike(c, p, &in->p.sa, additional_mode_of(&in->p), ret)
			       ? p
			       : NULL;
	}
	return NULL;
}

/* How late it comes in the offer: an initiator usually puts first what it prefers. */
static unsigned place_of(const struct ike_offer *o, const struct choice *s)
{
	const struct ike_offer *chosen = &s->answer;
	unsigned place = 0;

	for (unsigned k = 0; k < o->proposals_n; k++) {
		const struct ike_proposal *p = &o->proposals[k];

		for (unsigned i = p->first;
			p->number == chosen->proposals[0].number && i < p->first + p->count; i++)
			for (unsigned c = 0; c < chosen->transforms_n; c++)
				if (memcmp(&o->transforms[i], &chosen->transforms[c],
					    sizeof *o->transforms) == 0)
					place += i;
	}
	return place;
}

/* Of two that are not in all lists: the one whose group the KE payload has, then the one that was offered
 * first. */
static bool likelier(const struct message *in, const struct choice *a, const struct choice *b)
{
	bool ke_a = a->dh == in->p.ke_group, ke_b = b->dh == in->p.ke_group;

	return ke_a != ke_b ? ke_a : place_of(&in->p.sa, a) < place_of(&in->p.sa, b);
}

/* Unauthenticated peers cause this work: each suite is tried once, and only IKE_SUITES_TRIED_MAX different
 * ones. */
struct search {
	struct ike *c;
	const struct message *in;
	bool any; /* may_be_at() */
	struct choice *best;
	const struct snap_peer *peer; /* of best */
	uint32_t seen_n;
	struct {
		uint16_t encr, encr_bits, prf, dh, additional[ADDITIONAL_MAX];
	} seen[IKE_SUITES_TRIED_MAX];
};

static bool seen_before(struct search *s, const struct choice *suite)
{
	for (uint32_t i = 0; i < s->seen_n; i++)
		if (s->seen[i].encr == suite->encr && s->seen[i].encr_bits == suite->encr_bits &&
			s->seen[i].prf == suite->prf && s->seen[i].dh == suite->dh &&
			memcmp(s->seen[i].additional, suite->additional, sizeof suite->additional) == 0)
			return true;
	if (s->seen_n == COUNT_OF(s->seen))
		return true;
	s->seen[s->seen_n].encr = suite->encr;
	s->seen[s->seen_n].encr_bits = suite->encr_bits;
	s->seen[s->seen_n].prf = suite->prf;
	memcpy(s->seen[s->seen_n].additional, suite->additional, sizeof suite->additional);
	s->seen[s->seen_n++].dh = suite->dh;
	return false;
}

/* Every peer that can be at this address and has any proposal in common with the offer has this one. */
static bool in_all_lists(const struct search *s, const struct choice *suite)
{
	struct ike *c = s->c;
	struct choice fits;

	for (uint32_t at = peers_first_at(c, &s->in->remote.addr, s->any); at != INDEX_NONE;
		at = c->places[at].next) {
		uint32_t i = c->places[at].peer;
		const struct snap_peer *p = &snap_peers(c->snap)[i];

		if (may_be_at(c, i, &s->in->local, &s->in->remote, s->any) && !has_suite(c, p, suite) &&
			proposals_choose_ike(c, p, &s->in->p.sa, additional_mode_of(&s->in->p), &fits))
			return false;
	}
	return true;
}

/* Takes the best of this peer's proposals if it is better than the best so far; true: it is in all lists. */
static bool look_at(struct search *s, const struct snap_peer *p)
{
	struct choice fits;

	for (uint32_t i = 0; i < p->proposals.count; i++) {
		if (!proposal_match_ike(s->c, p, &proposals_of(s->c, p)[i], &s->in->p.sa,
			    additional_mode_of(&s->in->p), &fits) ||
			seen_before(s, &fits))
			continue;
		bool shared = in_all_lists(s, &fits);

		if (shared || !s->peer || likelier(s->in, &fits, s->best)) {
			*s->best = fits;
			s->peer = p;
		}
		if (shared)
			return true;
	}
	return false;
}

const struct snap_peer *peer_choose(
	struct ike *c, const struct message *in, struct choice *ret, const struct snap_peer **ret_first)
{
	struct search s = { .c = c, .in = in, .best = ret, .peer = expected_at(c, in, ret) };

	*ret_first = s.peer;
	for (int any = 0; any <= 1 && !s.peer; any++) {
		s.any = any;
		s.seen_n = 0;
		for (uint32_t at = peers_first_at(c, &in->remote.addr, any); at != INDEX_NONE;
			at = c->places[at].next) {
			const struct snap_peer *p = &snap_peers(c->snap)[c->places[at].peer];

			if (!may_be_at(c, c->places[at].peer, &in->local, &in->remote, any))
				continue;
			if (!*ret_first)
				*ret_first = p;
			if (look_at(&s, p))
				break;
		}
	}
	return s.peer;
}

/* ---- whether we serve it ---- */

const struct snap_id *peers_redirect(struct ike *c, const struct message *in)
{
	const struct snap_id *to = NULL;

	for (int any = 0; any <= 1 && !to; any++)
		for (uint32_t at = peers_first_at(c, &in->remote.addr, any); at != INDEX_NONE;
			at = c->places[at].next) {
			const struct snap_peer *p = &snap_peers(c->snap)[c->places[at].peer];

			if (!may_be_at(c, c->places[at].peer, &in->local, &in->remote, any))
				continue;
			if (p->redirect_to.type == ID_NONE ||
				(to && memcmp(to, &p->redirect_to, sizeof *to) != 0))
				return NULL;
			to = &p->redirect_to;
		}
	return to;
}

/* ---- whether we can begin ---- */

const char *peer_initiate_obstacle(const struct snap_peer *p)
{
	if (p->flags & PEER_REMOTE_NAME)
		return NULL; /* named_begin_with() */
	if ((p->flags & PEER_REMOTE_ANY) || p->remote.family == ADDR_NONE)
		return "the peer has no configured address: only the peer can initiate";
	if (p->remote.family == ADDR_V6 && p->remote.b[0] == 0xfe && (p->remote.b[1] & 0xc0) == 0x80)
		return "the peer's address is link-local, which needs an interface: only the peer can initiate";
	return NULL;
}
