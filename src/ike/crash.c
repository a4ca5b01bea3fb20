/*
 * Quick crash detection (RFC 6290), in both of its roles.
 *
 * Token maker: within the IKE SA each side gives the other one a token, made of both SPIs with a secret that outlives this process and
 * the machine's boot. Who gets a protected message of an IKE SA that it does not have answers with INVALID_IKE_SPI and that IKE SA's
 * token: nobody else can make it, so the peer ends its IKE SA at once, where it would repeat its request for 40 seconds.
 *
 * A token ends an IKE SA, so none may be had while it stands. Section 9.2: "a token maker MUST NOT send a valid QCD token in an
 * unprotected message for an existing IKE SA". Whoever asks chooses the header, its flags too: it is our SPI that is looked for, in either
 * place and in every state; of one that we have chosen no token leaves, whatever the other SPI is. So nobody gets the token of an IKE SA
 * that is being made, whose second SPI he saw on its way to us.
 *
 * Who holds the secret: this process. It could ask the keeper, but each forged packet would then be a request there; and a
 * compromised ike ends its IKE SAs in any case. What the secret gives beyond that is in docs/threat-model.md.
 */
#include "ike/internal.h"

#include "base/rate.h"

static const char label[] = "plaingate/ike/crash-token/v1";

static bool token_make(
	const struct ike *c, const uint8_t spi_i[8], const uint8_t spi_r[8], uint8_t ret[IKE_TOKEN_SIZE])
{
	struct prf_part parts[] = { { (const uint8_t *)label, sizeof label - 1 }, { spi_i, 8 },
		{ spi_r, 8 } };
	uint8_t mac[32];

	if (!c->setup.has_crash_secret ||
		prf_run(PRF_HMAC_SHA2_256, c->setup.crash_secret, sizeof c->setup.crash_secret, parts,
			COUNT_OF(parts), mac) != RC_OK)
		return false;
	memcpy(ret, mac, IKE_TOKEN_SIZE);
	return true;
}

void crash_token_write(const struct ike *c, const struct ike_sa *sa, struct ike_out *o)
{
	uint8_t token[IKE_TOKEN_SIZE];

	if (token_make(c, sa->spi_i, sa->spi_r, token))
		ike_out_notify(o, NTF_QCD_TOKEN, token, sizeof token);
}

void crash_token_read(struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_QCD_TOKEN);

	/* Section 4.1: 16 to 128 octets. Any other one is no token: a short one could be guessed. */
	if (v && v->data.n >= IKE_TOKEN_MIN && v->data.n <= IKE_TOKEN_MAX)
		blob_set(&sa->crash_token, v->data.at, v->data.n);
}

bool crash_is_proved(const struct ike_sa *sa, const struct ike_payloads *p)
{
	bool proved = false;

	for (unsigned i = 0; sa->crash_token.n > 0 && i < p->notifies_n; i++) {
		const struct ike_notify *v = &p->notifies[i];

		proved |= v->type == NTF_QCD_TOKEN && v->data.n == sa->crash_token.n &&
			  bytes_equal_secret(v->data.at, sa->crash_token.at, v->data.n);
	}
	return proved;
}

/* Somebody at this address may be a peer. */
static bool is_anyones(struct ike *c, const struct ip_addr *remote)
{
	if (!c->snap)
		return false;
	for (uint32_t at = peers_first_at(c, remote, false); at != INDEX_NONE; at = c->places[at].next) {
		uint32_t i = c->places[at].peer;

		if (addr_equal(&snap_peers(c->snap)[i].remote, remote) || named_has_address(c, i, remote))
			return true;
	}
	return peers_first_at(c, remote, true) != INDEX_NONE;
}

/* The answer has no more octets than a message with an empty SK payload, give or take three: it makes no flood larger. */
void crash_answer(struct ike *c, const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, size_t n)
{
	struct ike_header head = *h;
	uint8_t token[IKE_TOKEN_SIZE];
	struct ike_out o;

	if ((h->flags & IKE_FLAG_RESPONSE) ||
		(h->exchange != EX_CREATE_CHILD_SA && h->exchange != EX_INFORMATIONAL) ||
		(h->next_payload != PL_SK && h->next_payload != PL_SKF) || n < IKE_SEALED_MIN)
		return;
	if (spi_stands(c, h->spi_i) || spi_stands(c, h->spi_r) || !is_anyones(c, &remote->addr) ||
		!c->setup.has_crash_secret ||
		!rate_take(&c->tokens_taken, IKE_TOKENS_PER_S, IKE_TOKENS_BURST, c->now) ||
		!token_make(c, h->spi_i, h->spi_r, token))
		return;
	/* RFC 7296 2.21.4: SPIs, exchange and message id are copied from the request. */
	head.version = 0x20;
	head.flags = IKE_FLAG_RESPONSE | (h->flags & IKE_FLAG_INITIATOR ? 0 : IKE_FLAG_INITIATOR);
	o = ike_out_begin(c->scratch, sizeof c->scratch, &head);
	ike_out_notify(&o, NTF_INVALID_IKE_SPI, NULL, 0);
	ike_out_notify(&o, NTF_QCD_TOKEN, token, sizeof token);
	ike_send(c, local, remote, c->scratch, ike_out_end(&o));
}
