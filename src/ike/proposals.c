/*
 * Negotiation: which of the peer's proposals fits the configuration (RFC 7296 sections 2.7, 3.3), and why
 * none does: what was offered, what is configured, and what is missing. Traffic selectors: selectors.c.
 */
#include "ike/internal.h"

#include <stdio.h>

/* The key length attribute as sent: ChaCha20 has none (RFC 7634 section 4). */
static uint16_t wire_bits(uint16_t encr, uint16_t bits)
{
	return encr == ENCR_CHACHA20_POLY1305 ? 0 : bits;
}

/* ---- additional key exchanges: RFC 9370 ---- */

bool proposal_is_usable(
	const struct ike *c, const struct snap_peer *peer, const struct snap_ike_proposal *ours)
{
	if (ours->additional[0] != 0)
		return c->setup.mlkem;
	/* Without a PPK only an additional key exchange is what require-post-quantum asks for. */
	return !(peer->flags & PEER_REQUIRE_PQ) || peer->ppk_name[0];
}

const struct snap_ike_proposal *proposals_first(const struct ike *c, const struct snap_peer *peer)
{
	for (uint32_t i = 0; i < peer->proposals.count; i++) {
		const struct snap_ike_proposal *p = &snap_ike_proposals(c->snap)[peer->proposals.first + i];

		if (proposal_is_usable(c, peer, p))
			return p;
	}
	return NULL;
}

bool proposals_have_group(const struct ike *c, const struct snap_peer *peer, uint16_t group)
{
	for (uint32_t i = 0; i < peer->proposals.count; i++)
		if (snap_ike_proposals(c->snap)[peer->proposals.first + i].dh == group &&
			proposal_is_usable(c, peer, &snap_ike_proposals(c->snap)[peer->proposals.first + i]))
			return true;
	return false;
}

uint16_t rekey_group(const struct ike *c, const struct snap_peer *peer, uint16_t now)
{
	const struct snap_ike_proposal *first = proposals_first(c, peer);

	return !first || proposals_have_group(c, peer, now) ? now : first->dh;
}

static bool esp_is_usable(const struct ike *c, const struct snap_esp_proposal *p)
{
	return p->additional[0] == 0 || c->setup.mlkem;
}

const struct snap_esp_proposal *esp_proposal_next(
	const struct ike *c, const struct snap_tunnel *t, const struct snap_esp_proposal *after)
{
	const struct snap_esp_proposal *p = &snap_esp_proposals(c->snap)[t->proposals.first],
				       *end = p + t->proposals.count;

	for (p = after ? after + 1 : p; p < end; p++)
		if (esp_is_usable(c, p))
			return p;
	return NULL;
}

/* The child SA of IKE_AUTH has no group of its own, but a cipher that the peer took. */
uint16_t child_group(const struct ike *c, const struct snap_tunnel *t, const struct child_sa *old)
{
	const struct snap_esp_proposal *first = esp_proposal_next(c, t, NULL);

	for (const struct snap_esp_proposal *p = first; old && p; p = esp_proposal_next(c, t, p))
		if (p->encr == old->encr && p->encr_bits == old->encr_bits &&
			(p->esn == 2 || p->esn == old->esn) && (old->dh == DH_NONE || old->dh == p->dh))
			return p->dh;
	return first ? first->dh : DH_NONE;
}

bool child_may_be_followed(const struct ike *c, const struct snap_tunnel *t)
{
	for (const struct snap_esp_proposal *p = NULL; (p = esp_proposal_next(c, t, p)) != NULL;)
		if (p->additional[0] != 0)
			return true;
	return false;
}

enum additional_mode additional_mode_of(const struct ike_payloads *p)
{
	return ike_notify_find(p, NTF_INTERMEDIATE_EXCHANGE_SUPPORTED) ? ADDITIONAL_ANY : ADDITIONAL_NONE;
}

char *additional_text(char *ret_text, size_t size, const uint16_t additional[ADDITIONAL_MAX])
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < ADDITIONAL_MAX && additional[i] != 0 && n < size; i++)
		n += (size_t)snprintf(ret_text + n, size - n, "-%s", kem_word(additional[i]));
	return ret_text;
}

/* ---- our offers ---- */

static bool offer_ike_add(struct ike_offer *o, const struct snap_ike_proposal *p, const uint8_t *spi,
	const uint16_t additional[ADDITIONAL_MAX])
{
	if (ike_offer_add(o, IKE_PROTO_IKE, spi, spi ? 8 : 0) != RC_OK)
		return false;
	ike_offer_add_transform(o, TT_ENCR, encr_transform(p->encr), wire_bits(p->encr, p->encr_bits));
	ike_offer_add_transform(o, TT_PRF, p->prf, 0);
	if (integ_transform(p->encr))
		ike_offer_add_transform(o, TT_INTEG, integ_transform(p->encr), 0);
	ike_offer_add_transform(o, TT_DH, p->dh, 0);
	for (unsigned k = 0; k < ADDITIONAL_MAX && additional[k] != 0; k++)
		ike_offer_add_transform(o, (uint8_t)(TT_ADDKE_FIRST + k), additional[k], 0);
	return true;
}

void offer_make_ike(const struct ike *c, const struct snap_peer *peer, struct ike_offer *ret)
{
	memset(ret, 0, sizeof *ret);
	for (uint32_t i = 0; i < peer->proposals.count; i++) {
		const struct snap_ike_proposal *p = &snap_ike_proposals(c->snap)[peer->proposals.first + i];

		if (proposal_is_usable(c, peer, p) && !offer_ike_add(ret, p, NULL, p->additional))
			return;
	}
}

/* Its additional key exchanges are in rekeys too; not with MODP, whose shared secret the keeper cannot keep until the last one. */
static bool is_followed(const struct snap_ike_proposal *p)
{
	return p->additional[0] != 0 && !dh_is_legacy(p->dh);
}

void offer_make_rekey(
	const struct ike *c, const struct ike_sa *sa, const uint8_t spi[8], struct ike_offer *ret)
{
	static const uint16_t none[ADDITIONAL_MAX];
	const struct snap_peer *peer = sa_peer(c, sa);
	bool was_hybrid = sa->additional[0] != 0;

	memset(ret, 0, sizeof *ret);
	for (int without = !was_hybrid; without <= 1; without++)
		for (uint32_t i = 0; i < peer->proposals.count; i++) {
			const struct snap_ike_proposal *p =
				&snap_ike_proposals(c->snap)[peer->proposals.first + i];

			if (!proposal_is_usable(c, peer, p) || (!without && !is_followed(p)))
				continue;
			if (!offer_ike_add(ret, p, spi, without ? none : p->additional))
				return;
		}
}

static void offer_esp_add(struct ike_offer *o, const struct snap_esp_proposal *p, uint32_t spi, bool with_dh)
{
	uint8_t bytes[4];

	store_be32(bytes, spi);
	if (ike_offer_add(o, IKE_PROTO_ESP, bytes, 4) != RC_OK)
		return;
	ike_offer_add_transform(o, TT_ENCR, encr_transform(p->encr), wire_bits(p->encr, p->encr_bits));
	if (integ_transform(p->encr))
		ike_offer_add_transform(o, TT_INTEG, integ_transform(p->encr), 0);
	if (with_dh && p->dh != DH_NONE)
		ike_offer_add_transform(o, TT_DH, p->dh, 0);
	for (unsigned k = 0; with_dh && k < ADDITIONAL_MAX && p->additional[k] != 0; k++)
		ike_offer_add_transform(o, (uint8_t)(TT_ADDKE_FIRST + k), p->additional[k], 0);
	if (p->esn != 0)
		ike_offer_add_transform(o, TT_ESN, 1, 0);
	if (p->esn != 1)
		ike_offer_add_transform(o, TT_ESN, 0, 0);
}

void offer_make_esp(
	const struct ike *c, const struct snap_tunnel *t, uint32_t spi, bool with_dh, struct ike_offer *ret)
{
	memset(ret, 0, sizeof *ret);
	for (const struct snap_esp_proposal *p = NULL; (p = esp_proposal_next(c, t, p)) != NULL;)
		offer_esp_add(ret, p, spi, with_dh);
}

/* ---- choosing ---- */

static bool has(
	const struct ike_offer *o, const struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t bits)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct ike_transform *t = &o->transforms[p->first + i];

		if (t->type == type && t->id == id && t->key_bits == bits)
			return true;
	}
	return false;
}

static bool has_type(const struct ike_offer *o, const struct ike_proposal *p, uint8_t type)
{
	for (unsigned i = 0; i < p->count; i++)
		if (o->transforms[p->first + i].type == type)
			return true;
	return false;
}

/* A transform type we do not use: absent, or "none" among its choices. */
static bool can_be_none(const struct ike_offer *o, const struct ike_proposal *p, uint8_t type)
{
	return !has_type(o, p, type) || has(o, p, type, 0, 0);
}

/*
 * RFC 5282 section 8: with combined-mode ciphers no integrity algorithm, or NONE; else ours.
 */
static bool encr_fits(uint16_t encr, uint16_t bits, const struct ike_offer *o, const struct ike_proposal *p)
{
	uint16_t integ = integ_transform(encr);

	return has(o, p, TT_ENCR, encr_transform(encr), wire_bits(encr, bits)) &&
	       (integ ? has(o, p, TT_INTEG, integ, 0) : can_be_none(o, p, TT_INTEG));
}

static bool only_known_types(const struct ike_offer *o, const struct ike_proposal *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (o->transforms[p->first + i].type < TT_ENCR ||
			o->transforms[p->first + i].type > TT_ADDKE_LAST)
			return false;
	return true;
}

/* The additional key exchanges that we have in this place, and none in the others. */
static bool additional_fits(
	const uint16_t additional[ADDITIONAL_MAX], const struct ike_offer *o, const struct ike_proposal *p)
{
	for (uint8_t type = TT_ADDKE_FIRST; type <= TT_ADDKE_LAST; type++) {
		unsigned k = (unsigned)(type - TT_ADDKE_FIRST);
		uint16_t ours = k < ADDITIONAL_MAX ? additional[k] : 0;

		if (ours != 0 ? !has(o, p, type, ours, 0) : !can_be_none(o, p, type))
			return false;
	}
	return true;
}

/* RFC 7296 3.3: the answer has exactly one transform of each type that the proposal had. */
static void answer_begin(struct choice *ret, const struct ike_proposal *p, uint8_t protocol)
{
	memset(&ret->answer, 0, sizeof ret->answer);
	ike_offer_add(&ret->answer, protocol, NULL, 0);
	ret->answer.proposals[0].number = p->number;
	ret->spi = (struct ike_view){ p->spi, p->spi_n };
}

static void answer_none(
	struct choice *ret, const struct ike_offer *o, const struct ike_proposal *p, uint8_t type)
{
	if (has_type(o, p, type))
		ike_offer_add_transform(&ret->answer, type, 0, 0);
}

static void answer_additional(struct choice *ret, const struct ike_offer *o, const struct ike_proposal *p)
{
	for (uint8_t type = TT_ADDKE_FIRST; type <= TT_ADDKE_LAST; type++) {
		unsigned k = (unsigned)(type - TT_ADDKE_FIRST);

		if (k < ADDITIONAL_MAX && ret->additional[k] != 0)
			ike_offer_add_transform(&ret->answer, type, ret->additional[k], 0);
		else
			answer_none(ret, o, p, type);
	}
}

static void answer_integ(struct choice *ret, const struct ike_offer *o, const struct ike_proposal *p)
{
	if (integ_transform(ret->encr))
		ike_offer_add_transform(&ret->answer, TT_INTEG, integ_transform(ret->encr), 0);
	else
		answer_none(ret, o, p, TT_INTEG);
}

static bool fit_ike(const struct snap_ike_proposal *ours, const uint16_t additional[ADDITIONAL_MAX],
	const struct ike_offer *o, const struct ike_proposal *p, struct choice *ret)
{
	uint16_t bits = wire_bits(ours->encr, ours->encr_bits);

	if (p->protocol != IKE_PROTO_IKE || p->unknown || !only_known_types(o, p) ||
		!encr_fits(ours->encr, ours->encr_bits, o, p) || !has(o, p, TT_PRF, ours->prf, 0) ||
		!has(o, p, TT_DH, ours->dh, 0) || has_type(o, p, TT_ESN) ||
		!additional_fits(additional, o, p))
		return false;
	*ret = (struct choice){
		.encr = ours->encr, .encr_bits = ours->encr_bits, .prf = ours->prf, .dh = ours->dh
	};
	memcpy(ret->additional, additional, sizeof ret->additional);
	answer_begin(ret, p, IKE_PROTO_IKE);
	ike_offer_add_transform(&ret->answer, TT_ENCR, encr_transform(ours->encr), bits);
	ike_offer_add_transform(&ret->answer, TT_PRF, ours->prf, 0);
	answer_integ(ret, o, p);
	ike_offer_add_transform(&ret->answer, TT_DH, ours->dh, 0);
	answer_additional(ret, o, p);
	return true;
}

bool proposal_match_ike(const struct ike *c, const struct snap_peer *peer,
	const struct snap_ike_proposal *ours, const struct ike_offer *offer, enum additional_mode mode,
	struct choice *ret)
{
	static const uint16_t none[ADDITIONAL_MAX];
	const uint16_t *additional = mode == ADDITIONAL_IGNORE ? none : ours->additional;

	if (!proposal_is_usable(c, peer, ours) || (mode == ADDITIONAL_NONE && additional[0] != 0))
		return false;
	for (unsigned k = 0; k < offer->proposals_n; k++)
		if (fit_ike(ours, additional, offer, &offer->proposals[k], ret))
			return true;
	return false;
}

bool proposals_choose_ike(const struct ike *c, const struct snap_peer *peer, const struct ike_offer *offer,
	enum additional_mode mode, struct choice *ret)
{
	enum additional_mode first = mode == ADDITIONAL_REKEY ? ADDITIONAL_ANY : mode;

	for (uint32_t i = 0; i < peer->proposals.count; i++) {
		const struct snap_ike_proposal *p = &snap_ike_proposals(c->snap)[peer->proposals.first + i];

		if (mode == ADDITIONAL_REKEY && p->additional[0] != 0 && !is_followed(p))
			continue;
		if (proposal_match_ike(c, peer, p, offer, first, ret))
			return true;
	}
	return mode == ADDITIONAL_REKEY && proposals_choose_ike(c, peer, offer, ADDITIONAL_IGNORE, ret);
}

static bool fit_esp(const struct snap_esp_proposal *ours, const struct ike_offer *o,
	const struct ike_proposal *p, bool with_dh, struct choice *ret)
{
	uint16_t bits = wire_bits(ours->encr, ours->encr_bits), dh = with_dh ? ours->dh : DH_NONE;
	bool esn = has(o, p, TT_ESN, 1, 0), no_esn = has(o, p, TT_ESN, 0, 0) || !has_type(o, p, TT_ESN);

	if (p->protocol != IKE_PROTO_ESP || p->unknown || !only_known_types(o, p) ||
		load_be32(p->spi) < 256 || !encr_fits(ours->encr, ours->encr_bits, o, p) ||
		has_type(o, p, TT_PRF))
		return false;
	/* In IKE_AUTH there is no KE, and DH transforms mean nothing (RFC 7296 1.2), nor do those beside them. */
	if (with_dh && !additional_fits(ours->additional, o, p))
		return false;
	if (with_dh && (dh != DH_NONE ? !has(o, p, TT_DH, dh, 0) : !can_be_none(o, p, TT_DH)))
		return false;
	if ((ours->esn == 0 && !no_esn) || (ours->esn == 1 && !esn) || (!esn && !no_esn))
		return false;
	*ret = (struct choice){
		.encr = ours->encr, .encr_bits = ours->encr_bits, .dh = dh, .esn = esn && ours->esn != 0
	};
	if (with_dh)
		memcpy(ret->additional, ours->additional, sizeof ret->additional);
	answer_begin(ret, p, IKE_PROTO_ESP);
	ike_offer_add_transform(&ret->answer, TT_ENCR, encr_transform(ours->encr), bits);
	answer_integ(ret, o, p);
	if (dh != DH_NONE)
		ike_offer_add_transform(&ret->answer, TT_DH, dh, 0);
	else if (with_dh)
		answer_none(ret, o, p, TT_DH);
	if (has_type(o, p, TT_ESN))
		ike_offer_add_transform(&ret->answer, TT_ESN, ret->esn, 0);
	answer_additional(ret, o, p);
	return true;
}

bool proposals_choose_esp(const struct ike *c, const struct snap_tunnel *t, const struct ike_offer *offer,
	bool with_dh, struct choice *ret)
{
	for (const struct snap_esp_proposal *p = NULL; (p = esp_proposal_next(c, t, p)) != NULL;)
		for (unsigned k = 0; k < offer->proposals_n; k++)
			if (fit_esp(p, offer, &offer->proposals[k], with_dh, ret))
				return true;
	return false;
}

bool offer_is_single(const struct ike_offer *o)
{
	uint32_t seen = 0;

	if (o->proposals_n != 1)
		return false;
	for (unsigned i = 0; i < o->transforms_n; i++) {
		if (o->transforms[i].type > TT_ADDKE_LAST || (seen >> o->transforms[i].type & 1))
			return false;
		seen |= 1u << o->transforms[i].type;
	}
	return true;
}

/* ---- as text ---- */

static bool common(const struct ike_offer *a, const struct ike_offer *b, uint8_t type)
{
	for (unsigned i = 0; i < a->transforms_n; i++)
		for (unsigned k = 0; k < b->transforms_n; k++)
			if (a->transforms[i].type == type && b->transforms[k].type == type &&
				a->transforms[i].id == b->transforms[k].id &&
				a->transforms[i].key_bits == b->transforms[k].key_bits)
				return true;
	return false;
}

/* Every proposal that uses this type demands one of it: "none" is not among its choices. */
static bool demands(const struct ike_offer *o, uint8_t type)
{
	for (unsigned i = 0; i < o->proposals_n; i++)
		if (can_be_none(o, &o->proposals[i], type))
			return false;
	return true;
}

static bool uses(const struct ike_offer *o, uint8_t type)
{
	for (unsigned i = 0; i < o->transforms_n; i++)
		if (o->transforms[i].type == type)
			return true;
	return false;
}

static bool is_addke(unsigned type)
{
	return type >= TT_ADDKE_FIRST && type <= TT_ADDKE_LAST;
}

static char *type_text(char *ret_text, size_t size, unsigned type)
{
	if (is_addke(type))
		snprintf(ret_text, size, "an additional key exchange (ADDKE%u, RFC 9370)",
			type - TT_ADDKE_FIRST + 1);
	else
		snprintf(ret_text, size, "a transform of type %u", type);
	return ret_text;
}

/* Each type that we use has a common algorithm; the proposals may require types that we do not support. */
static char *explain_unsupported(char *ret_text, size_t size, const struct ike_offer *peer)
{
	char what[64];
	unsigned type = 0;

	for (unsigned i = 0; i < peer->transforms_n && type == 0; i++)
		if (peer->transforms[i].type > TT_ESN)
			type = peer->transforms[i].type;
	if (type == 0)
		snprintf(ret_text, size,
			"each algorithm is supported by both sides, but no proposal combines them");
	else if (demands(peer, (uint8_t)type))
		snprintf(ret_text, size, "the peer requires %s, which is not %s",
			type_text(what, sizeof what, type), is_addke(type) ? "configured" : "supported");
	else
		snprintf(ret_text, size, "no proposal matches as a whole; some require %s, which is not %s",
			type_text(what, sizeof what, type), is_addke(type) ? "configured" : "supported");
	return ret_text;
}

char *offer_explain(char *ret_text, size_t size, const struct ike_offer *peer, const struct ike_offer *ours)
{
	static const struct {
		uint8_t type;
		const char *name;
	} types[] = {
#define E(id, number, name) { number, name },
		IKE_TRANSFORM_TYPES(E)
#undef E
	};

	if (ours->proposals_n == 0) {
		snprintf(ret_text, size,
			"we have no proposal that can be used here: those with additional-key-exchange need libcrypto 3.5");
		return ret_text;
	}
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		bool they = uses(peer, types[i].type), we = uses(ours, types[i].type);

		if (they && we && !common(peer, ours, types[i].type))
			snprintf(ret_text, size, "no common %s", types[i].name);
		else if (we && !they && types[i].type != TT_ESN &&
			 (types[i].type != TT_INTEG || demands(ours, TT_INTEG)))
			snprintf(ret_text, size, "the peer offered no %s", types[i].name);
		else if (they && !we && types[i].type != TT_ESN && demands(peer, types[i].type))
			snprintf(ret_text, size, "the peer requires %s, none is configured", types[i].name);
		else
			continue;
		return ret_text;
	}
	if (demands(ours, TT_ADDKE_FIRST) && !uses(peer, TT_ADDKE_FIRST)) {
		snprintf(ret_text, size, "the peer offered no additional key exchange (RFC 9370)");
		return ret_text;
	}
	return explain_unsupported(ret_text, size, peer);
}
