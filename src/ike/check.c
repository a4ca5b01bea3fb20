/*
 * Whether the core's state is consistent: for tests, the simulator and fuzzers, which check it after each
 * event.
 */
#include "ike/internal.h"

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			return #condition;                                                                   \
	} while (0)

/*
 * What has a time to come is looked at by then. A later place in the heap would be worse than late: an event
 * between the two times gives the next place, and a time that has passed is left out of it (due_sooner()).
 */
static bool scheduled(const struct ike *c, const struct due *d, mono_ns at)
{
	return at <= c->now || (d->place != 0 && d->at <= at);
}

static const char *child_wrong(const struct ike *c, const struct ike_sa *sa, const struct child_sa *ch)
{
	const struct tunnel *t = child_tunnel(c, ch);
	bool here = ch->state != CH_LARVAL && ch->state != CH_LINGER;

	MUST(ch->sa == sa);
	MUST(!t || t == &c->tunnels[ch->tunnel]);
	MUST(ch->tunnel != INDEX_NONE || !t);
	MUST(ch->spi_in == 0 || link_used(&ch->of_in));
	MUST(ch->state != CH_LINGER || ch->due.place != 0);
	MUST(link_used(&ch->unsure) == (here && !ch->confirmed));
	MUST(ch->state != CH_LINGER || scheduled(c, &ch->due, ch->remove_at));
	MUST(ch->state == CH_LARVAL || scheduled(c, &ch->due, ch->activate_at));
	MUST(ch->state != CH_UP || scheduled(c, &ch->due, ch->rekey_at));
	MUST(ch->state != CH_UP || scheduled(c, &ch->due, ch->doubt_at));
	MUST((ch->state != CH_UP && ch->state != CH_REPLACED) || scheduled(c, &ch->due, ch->expire_at));
	MUST(ch->state != CH_UP || !ch->want_rekey || scheduled(c, &ch->due, ch->retry_at));
	MUST(ch->state != CH_CLOSING || link_used(&ch->wanting) == !ch->delete_sent);
	LIST_FOR (struct child_sa, other, &sa->children, of_sa)
		MUST(other == ch || !here || ch->spi_out == 0 || other->state == CH_LINGER ||
			other->spi_out != ch->spi_out);
	return NULL;
}

static const char *sa_wrong(const struct ike *c, const struct ike_sa *sa)
{
	const char *wrong = NULL;
	uint32_t n = 0;

	MUST(c->slots[sa->slot] == sa);
	MUST(!link_used(&sa->of_dirty));
	MUST(sa->state != ST_UP || link_used(&sa->of_peer));
	MUST((sa->state == ST_AUTH_WAIT || sa->state == ST_FAILED) == link_used(&sa->of_state));
	MUST(!sa->puzzle || (sa->state == ST_INIT_SENT && sa->puzzle->sa == sa && sa->asks_n == 0));
	MUST(!sa->puzzle || sa->again_at != 0 || link_used(&sa->puzzle->of_solving) ||
		sa->steps[SIDE_OWN].busy || sa->give_up_at != 0);
	MUST(scheduled(c, &sa->due, sa->again_at) && scheduled(c, &sa->due, sa->give_up_at));
	MUST(scheduled(c, &sa->due, sa->timer_at) && scheduled(c, &sa->due, sa->ask_at));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->rekey_at));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->expire_at));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->keepalive_at));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->authenticated.begin));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->authenticated.end));
	MUST(sa->state != ST_UP || scheduled(c, &sa->due, sa->leaves_at));
	MUST(!sa->hold || (sa->hold->sa == sa && scheduled(c, &sa->due, sa->hold->until)));
	MUST(sa->state == ST_DEAD || sa->state == ST_LARVAL || sa->due.place != 0 || sa->asks_n > 0 ||
		(sa->puzzle && link_used(&sa->puzzle->of_solving)));
	LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
		n++;
		if (!wrong)
			wrong = child_wrong(c, sa, ch);
	}
	MUST(n == sa->children_n);
	return wrong;
}

static bool same_user(const struct ike_instance *i, const struct ike_sa *sa)
{
	return i->user.n == sa->user.n && memcmp(i->user.at, sa->user.at, i->user.n) == 0;
}

/* What each identity of a template has, counted again; adds to what is beyond its places. */
static const char *instances_wrong(
	const struct ike *c, const struct ike_peer *p, uint32_t *sas_extra, uint32_t *children_extra)
{
	LIST_FOR (struct ike_instance, i, &p->instances, of_peer) {
		uint32_t n = 0;

		LIST_FOR (struct ike_sa, sa, &p->sas, of_peer) {
			n += sa->instance == i;
			MUST(sa->instance != i || same_user(i, sa));
		}
		MUST(n == i->sas_n && (n > 0 || !list_empty(&i->shares)));
		*sas_extra += p->each && n > IKE_SAS_SURE ? n - IKE_SAS_SURE : 0;
		LIST_FOR (struct tunnel_share, s, &i->shares, of_instance) {
			uint32_t live = 0, linger = 0, all = 0;

			LIST_FOR (struct child_sa, ch, &c->tunnels[s->tunnel].children, of_tunnel) {
				if (ch->share != s)
					continue;
				live += ch->state == CH_UP || ch->state == CH_LARVAL;
				linger += ch->state == CH_LINGER;
				all++;
			}
			MUST(all > 0 && live == s->live_n && linger == s->linger_n && all == s->all_n);
			*children_extra += p->each && all > IKE_CHILDREN_SURE ? all - IKE_CHILDREN_SURE : 0;
		}
	}
	if (!p->each)
		*sas_extra += p->sas_n > IKE_SAS_SURE ? p->sas_n - IKE_SAS_SURE : 0;
	return NULL;
}

static const char *tunnel_wrong(const struct ike *c, const struct tunnel *t)
{
	uint32_t up = 0, live = 0, linger = 0, all = 0;

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		MUST(!ch->share == !peer_is_template(c, ch->sa->peer));
		MUST(!ch->share || (ch->share->tunnel == ch->tunnel && same_user(ch->share->of, ch->sa)));
		up += ch->state == CH_UP;
		live += ch->state == CH_UP || ch->state == CH_LARVAL;
		linger += ch->state == CH_LINGER;
		all++;
	}
	MUST(up == t->up && live == t->live_n && linger == t->linger_n && all == t->all_n);
	MUST(!link_used(&t->of_dirty));
	MUST(t->up > 0 || !t->want || t->held || scheduled(c, &t->due, t->retry_at));
	return NULL;
}

const char *ike_view_wrong(const struct ike *c)
{
	uint32_t extra = 0, sas_extra = 0, sas = 0;
	const char *wrong = NULL;

	for (uint32_t i = 1; i <= c->dues_n; i++)
		MUST(c->dues[i]->place == i && (i == 1 || c->dues[i / 2]->at <= c->dues[i]->at));
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all) {
		sas++;
		if (!wrong)
			wrong = sa_wrong(c, sa);
	}
	for (uint32_t i = 0; i < c->tunnels_n && !wrong; i++) {
		wrong = tunnel_wrong(c, &c->tunnels[i]);
		if (!peer_entry(c, tunnel_config(c, i)->peer)->each &&
			c->tunnels[i].all_n > IKE_CHILDREN_SURE)
			extra += c->tunnels[i].all_n - IKE_CHILDREN_SURE;
	}
	for (uint32_t i = 0; i <= c->peers_n && !wrong; i++)
		wrong = instances_wrong(c, &c->peers[i], &sas_extra, &extra);
	MUST(wrong ||
		(extra == c->children_extra && sas_extra == c->sas_extra && sas + c->free_n == IKE_SAS_MAX));
	return wrong;
}
