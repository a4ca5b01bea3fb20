/*
 * Servers of destination NAT whose health is checked: those that do not answer get no new sessions. The shell tells
 * which they are, by address and port, so that it does not matter whether a new policy or a new state comes first.
 *
 * A client keeps its server while that one answers, and while it does not has another, the same for all its
 * connections; other clients keep theirs.
 */
#include "firewall/internal.h"

#include <assert.h>

_Static_assert(HEALTH_RANGE_MAX <= 64, "the servers of a rule that are down are bits of one uint64_t");

static uint32_t low(const struct ip_addr *a)
{
	return load_be32(a->b + addr_size(a) - 4);
}

static uint64_t down_of(const struct firewall *fw, const struct snap_dnat_rule *r)
{
	uint64_t down = 0;

	for (uint32_t i = 0; r->check_port && i < fw->servers.n; i++) {
		const struct endpoint *e = &fw->servers.down[i];
		if (e->port == r->check_port && range_holds(&r->to, &e->addr))
			down |= 1ull << (low(&e->addr) - low(&r->to.first));
	}
	return down;
}

void fw_servers_apply(struct firewall *fw, struct fw_policy *p)
{
	for (uint32_t i = p->statics_n; i < p->snapshot->dnat_rules.count; i++)
		p->servers_down[i] = down_of(fw, &snap_dnat_rules(p->snapshot)[i]);
}

void fw_server_set(struct firewall *fw, const struct endpoint *server, bool up)
{
	struct fw_servers *s = &fw->servers;
	uint32_t i = 0;

	while (i < s->n && !endpoint_same(&s->down[i], server))
		i++;
	bool known = up == (i == s->n); /* to each worker it is told with each commit */
	if (known)
		return;
	if (up)
		s->down[i] = s->down[--s->n];
	else if (s->n < HEALTH_SERVERS_MAX)
		s->down[s->n++] = *server;
	if (fw->policy)
		fw_servers_apply(fw, fw->policy);
	if (!up)
		s->sweep = 0;
}

uint32_t fw_dnat_rule_down(const struct firewall *fw, uint32_t rule)
{
	return (uint32_t)__builtin_popcountll(fw->policy->servers_down[rule]);
}

bool fw_server_choose(
	const struct firewall *fw, uint32_t rule, const struct ip_addr *client, struct ip_addr *ret_server)
{
	const struct snap_dnat_rule *r = &snap_dnat_rules(fw->policy->snapshot)[rule];
	uint64_t down = fw->policy->servers_down[rule];
	uint32_t first = low(&r->to.first);

	*ret_server = fw_range_addr(fw, &r->to, client);
	if (down == 0 || !(down >> (low(ret_server) - first) & 1))
		return true;
	uint32_t n = low(&r->to.last) - first + 1, up = n - (uint32_t)__builtin_popcountll(down);
	if (up == 0)
		return false;
	/* Another hash than the one that has led here: else all clients of this server had the same other one. */
	struct fw_key k = { .family = client->family, .src_port = 1 };
	memcpy(k.src, client->b, sizeof k.src);
	uint32_t place = (uint32_t)(fw_key_hash(fw, &k) % up), i = 0;
	for (;; i++) {
		assert(i < n);
		if (!(down >> i & 1) && place-- == 0)
			break;
	}
	store_be32(ret_server->b + addr_size(ret_server) - 4, first + i);
	return true;
}

bool fw_server_ends_session(const struct firewall *fw, const struct fw_session *s)
{
	if (s->dnat_rule == FW_DNAT_NONE || s->dnat_rule < fw->policy->statics_n)
		return false;
	const struct snap_dnat_rule *r = &snap_dnat_rules(fw->policy->snapshot)[s->dnat_rule];
	struct ip_addr server = fw_key_src(&s->key[1]);
	return r->check_flags & HEALTH_END_SESSIONS && range_holds(&r->to, &server) &&
	       fw->policy->servers_down[s->dnat_rule] >> (low(&server) - low(&r->to.first)) & 1;
}
