/*
 * Who is found by what, and how many there may be: IKE SAs by SPI and by peer, child SAs by SPI and by
 * tunnel. Whatever a message or a timer needs is found here without a walk over the objects of others.
 *
 * Limits. Each peer has IKE_SAS_SURE places of its own, each tunnel IKE_CHILDREN_SURE; what one takes beyond
 * them comes from what is left of the whole, up to its own limit. So no peer, and no number of peers, can
 * take the last place of another one. An IKE SA too many evicts its own peer's oldest (end.c), a child SA too
 * many is refused.
 *
 * Of a template each identity has places like a peer, as many identities as its connections-limit allows; where all of these together
 * would be more than there are, the identities of templates share what one peer has.
 */
#include "ike/internal.h"

#include "base/siphash.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(IKE_SAS_SURE *PEERS_MAX <= IKE_LIVE_MAX, "each peer has its places");
_Static_assert(IKE_CHILDREN_SURE *TUNNELS_MAX <= IKE_CHILDREN_MAX, "each tunnel has its places");
_Static_assert(
	IKE_LIVE_MAX + IKE_HALF_OPEN_MAX + IKE_FAILED_MAX < IKE_SAS_MAX, "with room for those that end");

void index_init(struct ike *c)
{
	for (size_t i = 0; i < COUNT_OF(c->by_spi); i++) {
		list_init(&c->by_spi[i]);
		list_init(&c->by_peer_spi[i]);
	}
	for (size_t i = 0; i < COUNT_OF(c->by_in); i++) {
		list_init(&c->by_in[i]);
		list_init(&c->by_out[i]);
	}
}

void peers_new(struct ike *c, uint32_t n)
{
	c->peers = ike_alloc((n + 1) * sizeof *c->peers);
	c->peers_n = n;
	for (uint32_t i = 0; i <= n; i++) {
		list_init(&c->peers[i].sas);
		list_init(&c->peers[i].instances);
		list_init(&c->peers[i].ready);
		c->peers[i].tunnels = INDEX_NONE;
	}
}

/* So many times the places of one peer. */
static uint32_t places_of(const struct snap_peer *p)
{
	return p->flags & PEER_ID_PATTERN ? MAX_OF((uint32_t)p->connections_max, 1u) : 1;
}

void places_share(struct ike *c)
{
	uint64_t sas = 0, children = 0;
	bool each;

	for (uint32_t i = 0; i < c->snap->peers.count; i++)
		sas += IKE_SAS_SURE * places_of(&snap_peers(c->snap)[i]);
	for (uint32_t i = 0; i < c->snap->tunnels.count; i++)
		children +=
			IKE_CHILDREN_SURE * places_of(&snap_peers(c->snap)[snap_tunnels(c->snap)[i].peer]);
	each = sas <= c->setup.live_max && children <= c->setup.children_max;
	c->sas_sure = each ? (uint32_t)sas : IKE_SAS_SURE * c->snap->peers.count;
	c->children_sure = each ? (uint32_t)children : IKE_CHILDREN_SURE * c->snap->tunnels.count;
	for (uint32_t i = 0; i < c->snap->peers.count; i++)
		c->peers[i].each = each && snap_peers(c->snap)[i].flags & PEER_ID_PATTERN;
}

static uint32_t *peers_bucket(struct ike *c, const struct ip_addr *remote)
{
	uint8_t whole[24] = { 0 };

	memcpy(whole, remote, sizeof *remote);
	return &c->peers_at[siphash13(c->hash_key, whole, sizeof whole) % COUNT_OF(c->peers_at)];
}

/* Of IPv6 the /64: a host has as many addresses as it likes. */
uint16_t source_slot(const struct ike *c, const struct ip_addr *remote)
{
	uint8_t whole[24] = { 0 };

	memcpy(whole, remote, sizeof *remote);
	if (remote->family == ADDR_V6)
		memset(whole + offsetof(struct ip_addr, b) + 8, 0, 8);
	return (uint16_t)(siphash13(c->hash_key, whole, sizeof whole) % COUNT_OF(c->half_open_at));
}

bool peer_is_anywhere(const struct snap_peer *p)
{
	return !(p->flags & PEER_REMOTE_NAME) &&
	       ((p->flags & PEER_REMOTE_ANY) || p->remote.family == ADDR_NONE);
}

/* Once, where two of its addresses have the same hash. */
static void place_add(struct ike *c, uint32_t *first, uint32_t peer, uint32_t *used)
{
	if (*first != INDEX_NONE && c->places[*first].peer == peer)
		return;
	c->places[*used] = (struct ike_place){ peer, *first };
	*first = (*used)++;
}

void peers_by_address(struct ike *c)
{
	uint32_t n = c->peers_n, used = 0;

	for (uint32_t i = 0; i < c->peers_n; i++)
		n += c->peers[i].named ? c->peers[i].named->n : 0;
	free(c->places);
	c->places = ike_alloc((n + 1) * sizeof *c->places);
	memset(c->peers_at, 0xff, sizeof c->peers_at);
	c->peers_anywhere = INDEX_NONE;
	for (uint32_t i = c->peers_n; i-- > 0;) {
		const struct snap_peer *p = &snap_peers(c->snap)[i];
		const struct ike_named *named = c->peers[i].named;

		for (uint32_t k = 0; named && k < named->n; k++)
			place_add(c, peers_bucket(c, &named->at[k]), i, &used);
		if (!named)
			place_add(c, peer_is_anywhere(p) ? &c->peers_anywhere : peers_bucket(c, &p->remote),
				i, &used);
	}
}

uint32_t peers_first_at(struct ike *c, const struct ip_addr *remote, bool anywhere)
{
	return anywhere ? c->peers_anywhere : *peers_bucket(c, remote);
}

/* ---- what is configured ---- */

const struct snap_tunnel *tunnel_config(const struct ike *c, uint32_t tunnel)
{
	return c->snap && tunnel < c->tunnels_n ? &snap_tunnels(c->snap)[tunnel] : NULL;
}

const struct snap_peer *sa_peer(const struct ike *c, const struct ike_sa *sa)
{
	return c->snap && sa->peer < c->snap->peers.count ? &snap_peers(c->snap)[sa->peer] : NULL;
}

const char *sa_peer_name(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p ? p->name : sa->former_peer[0] ? sa->former_peer : "(not known yet)";
}

/* ---- IKE SAs by SPI ---- */

/* Our own SPIs are chosen by the keeper; peers could choose theirs to collide, so those are hashed with a
 * key. */
static struct link *spi_head(const struct ike *c, const uint8_t spi[8])
{
	return (struct link *)(uintptr_t)&c->by_spi[load_be64(spi) % COUNT_OF(c->by_spi)];
}

static struct link *peer_spi_head(const struct ike *c, const uint8_t spi[8])
{
	return (struct link *)(uintptr_t)&c
		->by_peer_spi[siphash13(c->hash_key, spi, 8) % COUNT_OF(c->by_peer_spi)];
}

void sa_set_spi(struct ike *c, struct ike_sa *sa, const uint8_t spi[8])
{
	memcpy(sa->initiator ? sa->spi_i : sa->spi_r, spi, 8);
	link_out(&sa->of_spi);
	link_last(spi_head(c, spi), &sa->of_spi);
}

bool spi_stands(struct ike *c, const uint8_t spi[8])
{
	LIST_FOR (struct ike_sa, sa, spi_head(c, spi), of_spi)
		if (memcmp(sa->initiator ? sa->spi_i : sa->spi_r, spi, 8) == 0)
			return true;
	return false;
}

struct ike_sa *sa_by_spi(const struct ike *c, bool we_are_initiator, const uint8_t spi[8])
{
	struct link *head = spi_head(c, spi);

	LIST_FOR (struct ike_sa, sa, head, of_spi)
		if (sa->initiator == we_are_initiator && sa->state != ST_DEAD && sa->state != ST_LARVAL &&
			memcmp(we_are_initiator ? sa->spi_i : sa->spi_r, spi, 8) == 0)
			return sa;
	return NULL;
}

/* As responder it is found by the peer's SPI until IKE_AUTH comes. */
void sa_expect_init(struct ike *c, struct ike_sa *sa)
{
	assert(!sa->initiator && !link_used(&sa->of_peer_spi));
	link_last(peer_spi_head(c, sa->spi_i), &sa->of_peer_spi);
}

struct ike_sa *sa_by_init(const struct ike *c, const struct message *in)
{
	struct link *head = peer_spi_head(c, in->h.spi_i);

	LIST_FOR (struct ike_sa, sa, head, of_peer_spi)
		if ((sa->state == ST_KEYS_PEER || sa->state == ST_AUTH_WAIT) &&
			memcmp(sa->spi_i, in->h.spi_i, 8) == 0 && sa->peer_request.n == in->n &&
			memcmp(sa->peer_request.at, in->bytes, in->n) == 0)
			return sa;
	return NULL;
}

bool init_has_begun(const struct ike *c, const struct message *in)
{
	struct link *head = peer_spi_head(c, in->h.spi_i);

	LIST_FOR (struct ike_sa, sa, head, of_peer_spi)
		if (memcmp(sa->spi_i, in->h.spi_i, 8) == 0 &&
			addr_equal(&sa->remote.addr, &in->remote.addr) &&
			sa->remote.port == in->remote.port && sa->nonce_i.n == in->p.nonce.n &&
			memcmp(sa->nonce_i.at, in->p.nonce.at, in->p.nonce.n) == 0)
			return true;
	return false;
}

/* ---- IKE SAs by peer ---- */

/* The one after the last: of IKE SAs whose peer is no longer configured. */
struct ike_peer *peer_entry(const struct ike *c, uint32_t peer)
{
	return &c->peers[MIN_OF(peer, c->peers_n)];
}

static bool is_instances(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p && p->flags & PEER_ID_PATTERN && sa->user.n > 0;
}

/* Adds to a count of which so many have places of their own; what is beyond them is counted in *extra. */
static void count(uint32_t *n, int by, uint32_t sure, uint32_t *extra)
{
	assert(by > 0 || *n > 0);
	if (extra)
		*extra -= *n > sure ? *n - sure : 0;
	*n += (uint32_t)by;
	if (extra)
		*extra += *n > sure ? *n - sure : 0;
}

static void live_count(struct ike *c, const struct ike_sa *sa, int by)
{
	struct ike_peer *p = peer_entry(c, sa->peer);
	bool each = p->each && sa->instance;

	count(&p->sas_n, by, IKE_SAS_SURE, each ? NULL : &c->sas_extra);
	if (sa->instance)
		count(&sa->instance->sas_n, by, IKE_SAS_SURE, each ? &c->sas_extra : NULL);
}

void sa_join_peer(struct ike *c, struct ike_sa *sa)
{
	if (link_used(&sa->of_peer))
		return;
	link_last(&peer_entry(c, sa->peer)->sas, &sa->of_peer);
	if (is_instances(c, sa))
		sa->instance = instance_get(peer_entry(c, sa->peer), &sa->user);
	live_count(c, sa, 1);
}

void sa_leave_peer(struct ike *c, struct ike_sa *sa)
{
	if (!link_used(&sa->of_peer))
		return;
	link_out(&sa->of_peer);
	live_count(c, sa, -1);
	if (sa->instance)
		instance_put(sa->instance);
	sa->instance = NULL;
}

struct ike_sa *sa_by_serial(const struct ike *c, uint32_t peer, uint64_t serial)
{
	if (serial == 0)
		return NULL;
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, peer)->sas, of_peer)
		if (sa->serial == serial && sa->state != ST_DEAD)
			return sa;
	return NULL;
}

/* ---- child SAs by SPI ---- */

static struct link *in_head(const struct ike *c, uint32_t spi)
{
	return (struct link *)(uintptr_t)&c->by_in[spi % COUNT_OF(c->by_in)];
}

static struct link *out_head(const struct ike *c, uint32_t spi)
{
	uint64_t wide = spi;

	return (struct link *)(uintptr_t)&c
		->by_out[siphash13(c->hash_key, &wide, sizeof wide) % COUNT_OF(c->by_out)];
}

void child_set_in(struct ike *c, struct child_sa *ch, uint32_t spi)
{
	ch->spi_in = spi;
	link_out(&ch->of_in);
	link_last(in_head(c, spi), &ch->of_in);
}

void child_set_out(struct ike *c, struct child_sa *ch, uint32_t spi)
{
	ch->spi_out = spi;
	link_out(&ch->of_out);
	link_last(out_head(c, spi), &ch->of_out);
}

struct child_sa *child_any_by_in(const struct ike *c, uint32_t spi_in)
{
	struct link *head = in_head(c, spi_in);

	LIST_FOR (struct child_sa, ch, head, of_in)
		if (ch->spi_in == spi_in && spi_in != 0)
			return ch;
	return NULL;
}

struct child_sa *child_any_by_out(const struct ike *c, const struct ip_addr *remote, uint32_t spi_out)
{
	struct link *head = out_head(c, spi_out);

	LIST_FOR (struct child_sa, ch, head, of_out)
		if (ch->spi_out == spi_out && spi_out != 0 && addr_equal(&ch->sa->remote.addr, remote))
			return ch;
	return NULL;
}

struct child_sa *child_by_in(const struct ike *c, const struct ike_sa *sa, uint32_t spi_in)
{
	struct child_sa *ch = child_any_by_in(c, spi_in);

	return ch && ch->sa == sa && ch->state != CH_LARVAL && ch->state != CH_LINGER ? ch : NULL;
}

/* At most one child SA of this IKE SA has it, beside those that linger, which are not in this table. */
static struct child_sa *by_out(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out)
{
	struct link *head = out_head(c, spi_out);

	LIST_FOR (struct child_sa, ch, head, of_out)
		if (ch->spi_out == spi_out && spi_out != 0 && ch->sa == sa)
			return ch;
	return NULL;
}

struct child_sa *child_by_out(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out)
{
	struct child_sa *ch = by_out(c, sa, spi_out);

	return ch && ch->state != CH_LARVAL ? ch : NULL;
}

struct child_sa *child_being_installed(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out)
{
	struct child_sa *ch = by_out(c, sa, spi_out);

	return ch && ch->ours && ch->state == CH_LARVAL && ch->installing ? ch : NULL;
}

/*
 * A pair is named by the SPI on which its sender receives (1.4.1), so one that another child SA of this IKE
 * SA has already would be ambiguous in a delete or a rekey. Not those that linger: the peer has deleted them.
 */
bool child_spi_taken(const struct ike *c, const struct ike_sa *sa, uint32_t spi_out)
{
	return by_out(c, sa, spi_out);
}

/* ---- child SAs by tunnel ---- */

/* NULL: its tunnel was changed or removed. */
struct tunnel *child_tunnel(const struct ike *c, const struct child_sa *ch)
{
	return link_used(&ch->of_tunnel) ? &c->tunnels[ch->tunnel] : NULL;
}

static void child_count(struct ike *c, struct tunnel *t, const struct child_sa *ch, int by)
{
	bool each = ch->share && peer_entry(c, tunnel_config(c, ch->tunnel)->peer)->each;

	count(&t->all_n, by, IKE_CHILDREN_SURE, each ? NULL : &c->children_extra);
	if (ch->share)
		count(&ch->share->all_n, by, IKE_CHILDREN_SURE, each ? &c->children_extra : NULL);
}

static void state_count(struct tunnel *t, const struct child_sa *ch, enum child_state state, int by)
{
	uint32_t n = (uint32_t)by;

	t->up += state == CH_UP ? n : 0;
	t->live_n += state == CH_UP || state == CH_LARVAL ? n : 0;
	t->linger_n += state == CH_LINGER ? n : 0;
	if (!ch->share)
		return;
	ch->share->live_n += state == CH_UP || state == CH_LARVAL ? n : 0;
	ch->share->linger_n += state == CH_LINGER ? n : 0;
}

/* Each child SA of a tunnel counts once in all_n, and at most once in the other counts. */
static bool counts_agree(const struct tunnel *t)
{
	return t->up <= t->live_n && t->live_n <= t->all_n && t->linger_n <= t->all_n - t->live_n;
}

void child_join_tunnel(struct ike *c, struct child_sa *ch)
{
	struct tunnel *t = ch->tunnel < c->tunnels_n ? &c->tunnels[ch->tunnel] : NULL;

	if (!t)
		return;
	assert(!ch->share);
	link_last(&t->children, &ch->of_tunnel);
	if (is_instances(c, ch->sa))
		ch->share = share_get(instance_get(peer_entry(c, ch->sa->peer), &ch->sa->user), ch->tunnel);
	child_count(c, t, ch, 1);
	state_count(t, ch, ch->state, 1);
	assert(counts_agree(t));
}

void child_leave_tunnel(struct ike *c, struct child_sa *ch)
{
	struct tunnel *t = child_tunnel(c, ch);

	if (!t)
		return;
	link_out(&ch->of_tunnel);
	child_count(c, t, ch, -1);
	state_count(t, ch, ch->state, -1);
	assert(counts_agree(t));
	if (ch->share)
		share_put(ch->share);
	ch->share = NULL;
}

void child_set_state(struct ike *c, struct child_sa *ch, enum child_state state)
{
	struct tunnel *t = child_tunnel(c, ch);

	if (t) {
		state_count(t, ch, ch->state, -1);
		state_count(t, ch, state, 1);
		assert(counts_agree(t));
	}
	ch->state = state;
}

/* A few more than one child SA for each pair of its networks, which policy-based peers make. */
static uint32_t tunnel_limit(const struct ike *c, uint32_t tunnel)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	return MIN_OF(t->local.count * t->remote.count, (uint32_t)IKE_PAIRS_PER_TUNNEL_MAX) +
	       IKE_CHILDREN_PER_TUNNEL_MAX - 1 + (t->flags & TUNNEL_PER_WORKER ? IKE_RESOURCES_MAX : 0);
}

bool child_room(struct ike *c, const struct ike_sa *sa, uint32_t tunnel, enum child_kind kind)
{
	const struct tunnel *t = &c->tunnels[tunnel];
	uint32_t limit = tunnel_limit(c, tunnel), n = t->all_n - t->linger_n, live = t->live_n, has = n;

	assert(tunnel < c->tunnels_n);
	if (is_instances(c, sa)) { /* each identity has its own */
		struct tunnel_share *s = share_get(instance_get(peer_entry(c, sa->peer), &sa->user), tunnel);

		n = s->all_n - s->linger_n;
		live = s->live_n;
		if (peer_entry(c, sa->peer)->each)
			has = n;
		share_put(s); /* if it has none */
	}
	if (has >= IKE_CHILDREN_SURE && c->children_extra >= c->setup.children_max - c->children_sure)
		return false;
	/* Those that are replaced or closing do not count against the limit: a rekey is possible at the
	 * limit. */
	return kind == CHILD_ANOTHER ? live < limit : n < 2 * limit;
}
