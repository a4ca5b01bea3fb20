/*
 * Redirect (RFC 5685): a gateway that sends its peers to another one, in its answer to IKE_SA_INIT, in that to IKE_AUTH, or by an INFORMATIONAL
 * request. Here is what is known of it, for both roles; what follows from it is done by the exchanges (init.c, auth.c, info.c).
 *
 * As initiator we go where we are sent if that is configured, and the other gateway has to prove the same identity as the first one. So
 * whoever forges an answer to IKE_SA_INIT, for which he has to see our request (its nonce comes back), can keep us from the right gateway for a
 * while, as he can by any other refusal, and learns what our first messages say. Section 9: so many redirects in a time, or the gateways that send
 * us to each other would have us begin without end. A redirect holds until no IKE SA stands there, or none could be made: then it is the configured
 * address again.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- identities of gateways ---- */

static const struct {
	uint8_t gateway, id;
} types[] = { { GATEWAY_IPV4, ID_IPV4 }, { GATEWAY_IPV6, ID_IPV6 }, { GATEWAY_FQDN, ID_FQDN } };

static char *view_text(char *ret_text, size_t size, const struct ike_gateway *g)
{
	struct ip_addr a = g->type == GATEWAY_IPV4   ? addr_v4(g->id.at)
			   : g->type == GATEWAY_IPV6 ? addr_v6(g->id.at)
						     : (struct ip_addr){ 0 };
	char text[ADDR_TEXT_MAX];

	if (a.family != ADDR_NONE)
		snprintf(ret_text, size, "%s", addr_text(text, &a));
	else
		snprintf(ret_text, size, "%.*s", (int)g->id.n, (const char *)g->id.at);
	return ret_text;
}

static struct ike_gateway gateway_of(const struct snap_id *id)
{
	struct ike_gateway g = { .id = { id->data, id->len } };

	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (types[i].id == id->type)
			g.type = types[i].gateway;
	assert(g.type != 0);
	return g;
}

static bool is_no_host(const struct ip_addr *a)
{
	static const uint8_t zero[16], mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == ADDR_V4)
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
	return a->b[0] == 0xff || memcmp(a->b, mapped, sizeof mapped) == 0 ||
	       (memcmp(a->b, zero, 15) == 0 && a->b[15] <= 1);
}

static char *redirect_text(char ret_text[IKE_GATEWAY_TEXT_MAX], const struct snap_id *to)
{
	struct ike_gateway g = gateway_of(to);

	return view_text(ret_text, IKE_GATEWAY_TEXT_MAX, &g);
}

bool ike_gateway_parse(struct snap_id *ret, const char *text)
{
	struct ip_addr a;
	size_t n = strlen(text);
	uint8_t data[IKE_GATEWAY_MAX];
	struct ike_gateway g;

	*ret = (struct snap_id){ 0 };
	if (addr_parse(&a, text) == RC_OK) {
		ret->type = a.family == ADDR_V4 ? ID_IPV4 : ID_IPV6;
		ret->len = (uint8_t)addr_size(&a);
		memcpy(ret->data, a.b, ret->len);
		return !is_no_host(&a) && !addr_is_link_local(&a);
	}
	if (n == 0 || n > sizeof ret->data)
		return false;
	ret->type = ID_FQDN;
	ret->len = (uint8_t)n;
	memcpy(ret->data, text, n);
	n = redirect_data(data, ret, NULL);
	return ike_gateway_read(&g, &(struct ike_view){ data, n }, NULL) == RC_OK;
}

/* ---- the gateway that sends others away ---- */

bool redirect_supported(const struct ike_payloads *p, char **ret_from)
{
	const struct ike_notify *from = ike_notify_find(p, NTF_REDIRECTED_FROM);
	char text[IKE_GATEWAY_TEXT_MAX];
	struct ike_gateway g;

	text_clear(ret_from);
	if (from && ike_gateway_read(&g, &from->data, NULL) == RC_OK)
		text_set(ret_from, "%s", view_text(text, sizeof text, &g));
	return from || ike_notify_find(p, NTF_REDIRECT_SUPPORTED);
}

bool redirect_applies(const struct snap_id *to, const char *from, const struct ip_addr *here)
{
	char text[IKE_GATEWAY_TEXT_MAX], address[ADDR_TEXT_MAX];

	redirect_text(text, to);
	return !(from && strcasecmp(text, from) == 0) && strcmp(text, addr_text(address, here)) != 0;
}

size_t redirect_data(
	uint8_t ret_data[IKE_GATEWAY_MAX], const struct snap_id *to, const struct ike_view *nonce)
{
	struct ike_gateway g = gateway_of(to);

	if (nonce)
		g.nonce = *nonce;
	return ike_gateway_write(ret_data, &g);
}

/* ---- the one that is sent ---- */

static struct ike_redirect *redirect_of(const struct ike *c, uint32_t peer)
{
	return peer < c->peers_n ? c->peers[peer].redirect : NULL;
}

void redirect_move(struct ike_peer *to, struct ike_peer *from)
{
	to->redirect = from->redirect;
	from->redirect = NULL;
}

bool redirect_begin_with(const struct ike *c, uint32_t peer, struct ip_addr *ret_remote)
{
	const struct ike_redirect *r = redirect_of(c, peer);

	if (!r || r->to.family == ADDR_NONE)
		return false;
	*ret_remote = r->to;
	return true;
}

void redirect_begun(const struct ike *c, struct ike_sa *sa)
{
	text_set(&sa->redirected_from, "%s", redirect_of(c, sa->peer)->from);
}

/* RFC 5685 section 3: one or the other; REDIRECTED_FROM names the gateway as it was called: by its address. */
void redirect_offer(const struct ike *c, struct ike_sa *sa, struct ike_out *o)
{
	const struct snap_peer *p = sa_peer(c, sa);
	const struct ike_redirect *r = redirect_of(c, sa->peer);
	uint8_t data[IKE_GATEWAY_MAX];

	sa->follows = p->flags & PEER_REDIRECT_ACCEPT;
	if (!sa->follows)
		return;
	if (!sa->redirected_from || !r) {
		ike_out_notify(o, NTF_REDIRECT_SUPPORTED, NULL, 0);
		return;
	}
	struct ike_gateway from = { .type = r->from_at.family == ADDR_V4 ? GATEWAY_IPV4 : GATEWAY_IPV6,
		.id = { r->from_at.b, addr_size(&r->from_at) } };
	ike_out_notify(o, NTF_REDIRECTED_FROM, data, ike_gateway_write(data, &from));
}

/* One of ours: of a peer's configuration, or of an IKE SA. */
static bool is_ours(const struct ike *c, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < c->snap->peers.count; i++)
		if (addr_equal(&snap_peers(c->snap)[i].local, a))
			return true;
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all)
		if (addr_equal(&sa->local.addr, a))
			return true;
	return false;
}

/* Why we do not go there; NULL: we do. */
static const char *address_fault(
	const struct ike *c, const struct ike_sa *sa, const struct ip_addr *a, const struct ip_addr *here)
{
	if (is_no_host(a))
		return "which no gateway has as its address";
	if (addr_is_link_local(a))
		return "which is link-local";
	if (a->family != sa->remote.addr.family && sa_peer(c, sa)->local.family != ADDR_NONE)
		return "which is not of the family of local-address";
	if (addr_equal(a, &sa->remote.addr))
		return "where we are already";
	return addr_equal(a, here) || is_ours(c, a) ? "which is ours" : NULL;
}

/* The configuration's names alone are followed by the resolver: what a stranger names is not asked of DNS. */
static const char *name_fault(const struct ike *c, const char *name, struct ip_addr *ret_at)
{
	for (uint32_t i = 0; i < c->peers_n; i++) {
		const char *known =
			c->peers[i].named ? snap_peer_dns_name(c->snap, &snap_peers(c->snap)[i]) : NULL;

		if (known && strcasecmp(known, name) == 0)
			return named_begin_with(c, i, ret_at) ? NULL : "of which no address is known";
	}
	return "a name that is no peer's remote-address, and no other is looked up: have it send an address, or configure a peer there";
}

enum redirected redirect_read(struct ike *c, struct ike_sa *sa, const struct message *in,
	const struct blob *nonce, char ret_why[IKE_REASON_MAX])
{
	const struct ike_payloads *p = &in->p;
	const struct ike_notify *v = sa->follows && sa_peer(c, sa) ? ike_notify_find(p, NTF_REDIRECT) : NULL;
	struct ip_addr to = { 0 };
	char name[IKE_GATEWAY_TEXT_MAX];
	struct ike_gateway g;
	struct err e = { 0 };
	const char *fault;

	if (!v)
		return REDIRECTED_NOT;
	if (ike_gateway_read(&g, &v->data, &e) != RC_OK) {
		snprintf(ret_why, IKE_REASON_MAX, "%.200s", e.text);
		return nonce ? REDIRECTED_NOT : REDIRECTED_NOWHERE;
	}
	/* Section 3: an answer without the nonce of our request is somebody else's, and the true one may still come. */
	if (nonce && (g.nonce.n != nonce->n || memcmp(g.nonce.at, nonce->at, nonce->n) != 0))
		return REDIRECTED_NOT;
	view_text(name, sizeof name, &g);
	if (g.type != GATEWAY_FQDN)
		to = g.type == GATEWAY_IPV4 ? addr_v4(g.id.at) : addr_v6(g.id.at);
	fault = g.type == GATEWAY_FQDN ? name_fault(c, name, &to) : NULL;
	if (!fault)
		fault = address_fault(c, sa, &to, &in->local.addr);
	if (fault) {
		snprintf(ret_why, IKE_REASON_MAX, "the peer redirects us to %.100s, %s", name, fault);
		ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "%s", ret_why);
		return REDIRECTED_NOWHERE;
	}
	snprintf(ret_why, IKE_REASON_MAX, "the peer redirects us to %.200s", name);
	sa->redirect_to = to;
	text_set(&sa->redirect_name, "%s", name);
	return REDIRECTED;
}

/* For the log and the ledger. */
static void redirect_enter(struct ike *c, const struct ike_sa *sa, bool authenticated)
{
	struct ike_action *a = ike_action_add(c, IKE_REDIRECTED);

	a->local = sa->local;
	a->remote = sa->remote;
	snprintf(a->redirected.peer, sizeof a->redirected.peer, "%s", sa_peer_name(c, sa));
	snprintf(a->redirected.to, sizeof a->redirected.to, "%s", text_of(sa->redirect_name));
	a->redirected.authenticated = authenticated;
}

bool redirect_follow(struct ike *c, struct ike_sa *sa, bool authenticated, char ret_why[IKE_REASON_MAX])
{
	struct ike_redirect *r = redirect_of(c, sa->peer);
	char text[ADDR_TEXT_MAX];
	mono_ns *oldest;

	if (sa->redirect_to.family == ADDR_NONE || sa->peer == INDEX_NONE)
		return false;
	if (!r)
		r = c->peers[sa->peer].redirect = ike_alloc(sizeof *r);
	oldest = &r->at[r->next];
	if (*oldest != 0 && c->now - *oldest < IKE_REDIRECTS_S * NS_PER_S) {
		snprintf(ret_why, IKE_REASON_MAX,
			"redirected %d times within %d s, at last by %s to %.100s: the gateways send us to each other, or somebody forges it; the configured address is tried again later",
			IKE_REDIRECTS_MAX, IKE_REDIRECTS_S, addr_text(text, &sa->remote.addr),
			text_of(sa->redirect_name));
		ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "%s", ret_why);
		r->to = sa->redirect_to = (struct ip_addr){ 0 };
		return false;
	}
	*oldest = c->now;
	r->next = (r->next + 1) % IKE_REDIRECTS_MAX;
	r->to = sa->redirect_to;
	r->from_at = sa->remote.addr;
	addr_text(r->from, &sa->remote.addr);
	sa->redirect_to = (struct ip_addr){ 0 };
	c->counts[IKE_COUNT_REDIRECTS_FOLLOWED]++;
	redirect_enter(c, sa, authenticated);
	return true;
}

bool redirect_over(struct ike *c, const struct ike_sa *sa)
{
	struct ike_redirect *r = redirect_of(c, sa->peer);

	if (!r || r->to.family == ADDR_NONE || !addr_equal(&r->to, &sa->remote.addr))
		return false;
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other != sa && other->state != ST_DEAD && other->state != ST_FAILED &&
			addr_equal(&other->remote.addr, &r->to))
			return false;
	r->to = (struct ip_addr){ 0 };
	return true;
}

void redirect_inherit(struct ike_sa *from, struct ike_sa *to)
{
	to->follows = from->follows;
	to->redirectable = from->redirectable;
	to->redirected = from->redirected;
	to->leaves_at = from->leaves_at;
	text_set(&to->redirected_from, "%s", text_of(from->redirected_from));
	if (from->send_to.n > 0)
		blob_set(&to->send_to, from->send_to.at, from->send_to.n);
	blob_free(&from->send_to);
}
