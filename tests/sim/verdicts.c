/* Whether the gateways hold the same SAs when all is quiet; see world.h. */
#include "world.h"

#include <stdio.h>

static bool mirrored(const struct ike_child_view *a, const struct ike_child_view *b)
{
	return a->spi_in == b->spi_out && a->spi_out == b->spi_in && memcmp(a->spi_i, b->spi_i, 8) == 0 &&
	       memcmp(a->spi_r, b->spi_r, 8) == 0 && a->tunnel == b->tunnel && a->encr == b->encr &&
	       a->encr_bits == b->encr_bits && a->dh == b->dh &&
	       memcmp(a->additional, b->additional, sizeof a->additional) == 0 && a->esn == b->esn &&
	       a->encap == b->encap && a->local_n == b->remote_n && a->remote_n == b->local_n &&
	       memcmp(a->local_ts, b->remote_ts, sizeof a->local_ts) == 0 &&
	       memcmp(a->remote_ts, b->local_ts, sizeof a->remote_ts) == 0;
}

static bool child_has_mirror(struct world *w, int side, const struct ike_child_view *a)
{
	struct ike_child_view b;

	for (int i = 0; i < w->nodes_n; i++) {
		uint32_t cursor = 0;

		while ((i == 1) != (side == 1) && ike_view_child(w->nodes[i].ike, &cursor, &b))
			if (mirrored(a, &b))
				return true;
	}
	return false;
}

static bool sa_has_mirror(struct world *w, int side, const struct ike_sa_view *a)
{
	struct ike_sa_view b;

	for (int i = 0; i < w->nodes_n; i++) {
		uint32_t cursor = 0;

		while ((i == 1) != (side == 1) && ike_view_sa(w->nodes[i].ike, &cursor, &b))
			if (memcmp(a->spi_i, b.spi_i, 8) == 0 && memcmp(a->spi_r, b.spi_r, 8) == 0 &&
				a->initiator != b.initiator && a->encr == b.encr &&
				a->encr_bits == b.encr_bits && a->prf == b.prf && a->dh == b.dh &&
				a->children == b.children && a->up && b.up)
				return true;
	}
	return false;
}

/* Its other half in the data planes of the other side. */
static struct sim_sa *sa_opposite(struct world *w, int side, uint32_t spi)
{
	struct sim_sa *found = NULL;

	for (int i = 0; i < w->nodes_n && !found; i++)
		found = (i == 1) != (side == 1) ? world_sa(&w->nodes[i], spi) : NULL;
	return found;
}

static const char *check_children(struct world *w, int side, uint32_t *ret_n, char *text, size_t size)
{
	struct node *n = &w->nodes[side];
	struct ike_child_view a;
	uint32_t cursor = 0;

	while (ike_view_child(n->ike, &cursor, &a)) {
		struct sim_sa *ours = world_sa(n, a.spi_in), *theirs = sa_opposite(w, side, a.spi_out);

		(*ret_n)++;
		if (!child_has_mirror(w, side, &a))
			snprintf(text, size, "%c has child %08x/%08x, the other side not", 'A' + side,
				a.spi_in, a.spi_out);
		else if (!ours || !theirs)
			snprintf(text, size, "child %08x is not in a data plane", a.spi_in);
		else if (memcmp(ours->sa.key_in, theirs->sa.key_out, sizeof ours->sa.key_in) != 0 ||
			 memcmp(ours->sa.key_out, theirs->sa.key_in, sizeof ours->sa.key_in) != 0)
			snprintf(text, size, "child %08x has different keys", a.spi_in);
		else
			continue;
		return text;
	}
	return NULL;
}

const char *world_mismatch(struct world *w, char *ret_text, size_t size)
{
	for (int side = 0; side < w->nodes_n; side++) {
		struct node *n = &w->nodes[side];
		struct keys_counts kept = keys_count(n->keys);
		struct ike_sa_view a;
		uint32_t cursor = 0, children = 0, installed = 0, sas = 0;
		const char *wrong;

		if (ike_view_busy(n->ike) > 0 || kept.pending > 0) {
			snprintf(ret_text, size, "%c is not quiet: %u busy", 'A' + side,
				ike_view_busy(n->ike));
			return ret_text;
		}
		while (ike_view_sa(n->ike, &cursor, &a)) {
			sas++;
			if (sa_has_mirror(w, side, &a))
				continue;
			snprintf(ret_text, size,
				"%c has IKE SA %02x%02x%02x%02x with %u children, the other side not",
				'A' + side, a.spi_i[0], a.spi_i[1], a.spi_i[2], a.spi_i[3], a.children);
			return ret_text;
		}
		wrong = check_children(w, side, &children, ret_text, size);
		if (wrong)
			return wrong;
		for (int i = 0; i < SIM_SAS_MAX; i++)
			installed += n->sas[i].used;
		if (installed != children || kept.children_installed != children ||
			kept.children_begun != 0 || kept.ike_sas != sas || kept.exchanges != 0) {
			snprintf(ret_text, size,
				"%c: %u children and %u IKE SAs, but the data plane has %u and the keeper %u "
				"installed, %u "
				"begun, %u IKE SAs, %u exchanges",
				'A' + side, children, sas, installed, kept.children_installed,
				kept.children_begun, kept.ike_sas, kept.exchanges);
			return ret_text;
		}
	}
	return NULL;
}

uint32_t world_tunnels_up(struct world *w, uint32_t *ret_ike_sas)
{
	uint32_t count[SIM_TUNNELS_MAX] = { 0 }, cursor = 0, up = 0;
	struct ike_child_view a;
	struct ike_sa_view sa;

	while (ike_view_child(w->nodes[0].ike, &cursor, &a))
		if (a.tunnel < SIM_TUNNELS_MAX && !a.replaced && a.resource == 0)
			count[a.tunnel]++;
	for (int i = 0; i < SIM_TUNNELS_MAX; i++)
		up += count[i] == 1;
	*ret_ike_sas = 0;
	cursor = 0;
	while (ike_view_sa(w->nodes[0].ike, &cursor, &sa))
		(*ret_ike_sas)++;
	return up;
}

uint32_t world_workers_without(struct world *w)
{
	uint32_t without = 0;

	for (int side = 0; side < 2; side++) {
		uint32_t has[SIM_TUNNELS_MAX] = { 0 }, cursor = 0,
			 all = (1u << w->nodes[side].side.workers) - 1;
		struct ike_child_view a;

		if (!w->nodes[0].side.per_worker || !w->nodes[1].side.per_worker ||
			w->nodes[side].side.workers < 2)
			continue;
		while (ike_view_child(w->nodes[side].ike, &cursor, &a))
			if (a.tunnel < SIM_TUNNELS_MAX && !a.replaced && a.resource)
				has[a.tunnel] |= 1u << (a.resource - 1);
		for (uint32_t t = 0; t < w->nodes[side].side.tunnels; t++)
			without += (has[t] & all) != all;
	}
	return without;
}

uint32_t world_childless(struct world *w)
{
	struct ike_sa_view sa;
	uint32_t cursor = 0, n = 0;

	while (ike_view_sa(w->nodes[0].ike, &cursor, &sa))
		n += sa.children == 0;
	return n;
}

void world_redirected(struct node *n)
{
	mono_ns *oldest = &n->redirected_at[n->redirected++ % IKE_REDIRECTS_MAX];

	if (n->redirected_life != n->life) /* one that was restarted begins anew */
		memset(n->redirected_at, 0, sizeof n->redirected_at);
	n->redirected_life = n->life;
	if (*oldest != 0 && n->w->now - *oldest < IKE_REDIRECTS_S * NS_PER_S)
		n->w->wrong = "more redirects were followed than are allowed";
	*oldest = n->w->now;
}

void world_judge(struct world *w, const struct ip_addr *from, const struct ip_addr *to)
{
	if (to->b[0] == 0 || to->b[0] == 127 || to->b[0] >= 224 || addr_equal(to, from))
		w->wrong = "a message to an address that no peer can have";
}
