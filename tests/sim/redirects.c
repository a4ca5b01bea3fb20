/* Forged redirects; see redirects.h. */
#include "redirects.h"

#include "wire/ike_codec.h"

void redirects_choose(uint64_t seed, struct sim_side sides[2])
{
	if (seed % 7 != 3 || (sides[0].peer_flags | sides[1].peer_flags) & PEER_REMOTE_ANY)
		return;
	for (int i = 0; i < 2; i++)
		if (seed / 7 % 3 != (uint64_t)i)
			sides[i].peer_flags |= PEER_REDIRECT_ACCEPT;
}

static struct ike_gateway somewhere(struct world *w, int from, struct ip_addr *at)
{
	static const char *const nowhere[] = { "198.51.100.98", "198.51.100.99", "224.0.0.5", "127.0.0.1",
		"0.0.0.0", "255.255.255.255", "169.254.0.9" };
	uint64_t which = world_chance(w, 0, COUNT_OF(nowhere) + 4);

	if (which == COUNT_OF(nowhere))
		return (struct ike_gateway){ .type = GATEWAY_FQDN,
			.id = { (const uint8_t *)"elsewhere.example", 17 } };
	*at = which < COUNT_OF(nowhere)	       ? sim_address(nowhere[which])
	      : which == COUNT_OF(nowhere) + 1 ? w->nodes[from].side.address
	      : which == COUNT_OF(nowhere) + 2 ? w->nodes[!from].side.address
					       : sim_address(nowhere[which % 2]);
	return (struct ike_gateway){ .type = GATEWAY_IPV4, .id = { at->b, 4 } };
}

static void forge(struct world *w, int from, const uint8_t *bytes, size_t n)
{
	struct endpoint here = { .addr = w->nodes[from].side.address, .port = 500 },
			there = { .addr = w->nodes[!from].side.address, .port = 500 };
	static struct ike_payloads p;
	uint8_t answer[1024], data[IKE_GATEWAY_MAX], nonce[IKE_NONCE_MAX];
	struct ip_addr at;
	struct ike_header h;

	if (ike_header_read(&h, bytes, n, NULL) != RC_OK || h.exchange != EX_IKE_SA_INIT ||
		h.flags & IKE_FLAG_RESPONSE ||
		ike_payloads_read(&p, h.next_payload, bytes + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, false,
			NULL) != RC_OK ||
		p.nonce.n == 0)
		return;
	struct ike_gateway g = somewhere(w, from, &at);
	memcpy(nonce, p.nonce.at, p.nonce.n);
	nonce[0] ^= world_happens(w, 250);
	g.nonce = (struct ike_view){ nonce, p.nonce.n };
	h.flags = IKE_FLAG_RESPONSE;
	struct ike_out o = ike_out_begin(answer, sizeof answer, &h);
	ike_out_notify(&o, NTF_REDIRECT, data, ike_gateway_write(data, &g));
	world_deliver(w, from, &here, &there, answer, ike_out_end(&o));
}

void redirects_forge(struct world *w)
{
	for (int i = 0; i < 2; i++)
		if (w->nodes[i].side.peer_flags & PEER_REDIRECT_ACCEPT)
			w->on_datagram = forge;
}
