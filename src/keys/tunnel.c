/*
 * What ike may install for a tunnel: only what the configuration allows. This is the boundary that holds when
 * ike is compromised.
 */
#include "keys/internal.h"

#include <stdio.h>

const struct snap_tunnel *tunnel_by_index(const struct keys *k, uint32_t index)
{
	return k->snapshot && index < k->snapshot->tunnels.count ? &snap_tunnels(k->snapshot)[index] : NULL;
}

_Static_assert(NAMES_NONE == INDEX_NONE, "what is not found is none");

uint32_t tunnel_index(const struct keys *k, const char *name)
{
	return names_find(&k->tunnels, name);
}

static enum rc proposal_allows(const struct keys *k, const struct snap_tunnel *t,
	const struct keeper_child_install *q, struct err *e)
{
	bool esn = q->flags & CHILD_ESN;

	for (uint32_t i = 0; i < t->proposals.count; i++) {
		const struct snap_esp_proposal *p = &snap_esp_proposals(k->snapshot)[t->proposals.first + i];

		/*
		 * The child SA of IKE_AUTH has no key exchange: its secrecy is the IKE SA's (RFC 7296 1.2).
		 */
		if (p->encr == q->encr && p->encr_bits == q->encr_bits && (p->esn == 2 || p->esn == esn) &&
			(q->flags & CHILD_NONCES_OF_IKE ||
				(p->dh == q->dh_group &&
					memcmp(p->additional, q->additional, sizeof p->additional) == 0)))
			return RC_OK;
	}
	return err_add(e, RC_DENIED,
		"no ESP proposal of tunnel '%s' allows encryption %u with %u bits, group %u%s%s and "
		"%s sequence numbers",
		t->name, q->encr, q->encr_bits, q->dh_group, q->additional[0] ? " with " : "",
		q->additional[0] ? kem_word(q->additional[0]) : "", esn ? "extended" : "32-bit");
}

static bool is_ordered(const struct selector *s)
{
	return s->addrs.first.family == s->addrs.last.family &&
	       (s->addrs.first.family == ADDR_V4 || s->addrs.first.family == ADDR_V6) &&
	       addr_compare(&s->addrs.first, &s->addrs.last) <= 0 && s->port_first <= s->port_last;
}

static bool is_inside(const struct selector *s, const struct selector *of)
{
	return s->addrs.first.family == of->addrs.first.family &&
	       addr_compare(&of->addrs.first, &s->addrs.first) <= 0 &&
	       addr_compare(&s->addrs.last, &of->addrs.last) <= 0 &&
	       (of->proto == 0 || of->proto == s->proto) && of->port_first <= s->port_first &&
	       s->port_last <= of->port_last;
}

static enum rc selectors_allow(const struct keys *k, const struct snap_tunnel *t, const char *side,
	struct span configured, const struct selector *list, size_t n, struct err *e)
{
	char text[RANGE_TEXT_MAX];

	if (n == 0 || n > SELECTORS_MAX)
		return err_add(e, RC_RANGE, "there are %zu %s traffic selectors; 1 to %d are allowed", n,
			side, SELECTORS_MAX);
	for (size_t i = 0; i < n; i++) {
		bool inside = false;

		if (!is_ordered(&list[i]))
			return err_add(e, RC_MALFORMED,
				"a %s traffic selector is malformed: the first address or port is greater than "
				"the last, or the families differ",
				side);
		for (uint32_t c = 0; c < configured.count && !inside; c++)
			inside = is_inside(&list[i], &snap_selectors(k->snapshot)[configured.first + c]);
		if (!inside)
			return err_add(e, RC_DENIED,
				"the %s traffic selector %s, protocol %u, ports %u to %u is outside of "
				"tunnel '%s'",
				side, range_text(text, &list[i].addrs), list[i].proto, list[i].port_first,
				list[i].port_last, t->name);
	}
	return RC_OK;
}

enum rc tunnel_allows(const struct keys *k, const struct snap_tunnel *t, const struct keeper_child_install *q,
	struct err *e)
{
	enum rc rc = proposal_allows(k, t, q, e);

	if (rc == RC_OK)
		rc = selectors_allow(k, t, "local", t->local, q->local_ts, q->local_n, e);
	if (rc == RC_OK)
		rc = selectors_allow(k, t, "remote", t->remote, q->remote_ts, q->remote_n, e);
	return rc;
}
