#include "proc/keeper/entry.h"

#include "crypto/hash.h"

#include <stdio.h>

static const char *spi_text(char ret_text[17], const uint8_t spi[8])
{
	return hex_from_bytes(ret_text, spi, 8);
}

static const char *method_text(uint16_t method)
{
	switch (method) {
#define E(id, number, text)                                                                                  \
	case number:                                                                                         \
		return text;
		AUTH_METHODS(E)
#undef E
	}
	return "none";
}

/* Addresses as text, all else unchanged; the writer escapes what is not text. */
static void id_str(struct ledger_body *b, const struct keys_entry *x)
{
	char text[MAX_OF(ADDR_TEXT_MAX, sizeof x->id + 1)];
	struct ip_addr a;

	if ((x->id_type == ID_IPV4 && x->id_n == 4) || (x->id_type == ID_IPV6 && x->id_n == 16)) {
		a = x->id_type == ID_IPV4 ? addr_v4(x->id) : addr_v6(x->id);
		addr_text(text, &a);
	} else if (x->id_type == ID_KEY_ID && x->id_n <= sizeof x->id / 2) {
		hex_from_bytes(text, x->id, x->id_n);
	} else {
		size_t n = MIN_OF((size_t)x->id_n, sizeof x->id);
		memcpy(text, x->id, n);
		text[n] = '\0';
	}
	ledger_body_str(b, "id", text);
}

static void endpoint_str(struct ledger_body *b, const char *key, const struct endpoint *at)
{
	struct endpoint copy = *at;
	char text[ENDPOINT_TEXT_MAX];

	ledger_body_str(b, key, at->addr.family == ADDR_NONE ? "" : endpoint_text(text, &copy));
}

/*
 * "10.1.0.0/16, 10.1.7.7/32 protocol 6 ports 443-443". An entry has no room for the longest lists: it names the first ones,
 * their number, and the digest of all of them in this form.
 */
static void selectors_str(struct ledger_body *b, const char *key, const struct selector *list, size_t n)
{
	char all[SELECTORS_MAX * SELECTOR_TEXT_MAX], text[ENTRY_LIST_TEXT_MAX], rest[SELECTOR_REST_MAX + 1];
	char hex[2 * SHA256_SIZE + 1];
	uint8_t hash[SHA256_SIZE];

	selector_list_text(all, sizeof all, list, MIN_OF(n, (size_t)SELECTORS_MAX), "");
	sha256(hash, all, strlen(all));
	snprintf(rest, sizeof rest, " (SHA-256 of all: %s)", hex_from_bytes(hex, hash, sizeof hash));
	ledger_body_str(
		b, key, selector_list_text(text, sizeof text, list, MIN_OF(n, (size_t)SELECTORS_MAX), rest));
}

/* "-ml-kem-768-ml-kem-1024" */
static const char *additional_text(char ret_text[64], const struct keys_entry *x)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < ADDITIONAL_MAX && x->additional[i] != 0; i++)
		n += (size_t)snprintf(ret_text + n, 64 - n, "-%s", kem_word(x->additional[i]));
	return ret_text;
}

static void ike_proposal_str(struct ledger_body *b, const struct keys_entry *x)
{
	char additional[64];

	ledger_body_strf(b, "proposal", "%s-%s-%s%s%s%s", encr_word(x->encr, x->encr_bits), prf_word(x->prf),
		dh_word(x->dh_group), additional_text(additional, x), x->ppk ? "-ppk" : "",
		legacy_mark(x->encr, x->dh_group));
}

static void proof_str(struct ledger_body *b, const struct public_proof *p)
{
	char hex[2 * PUBLIC_PROOF_SIZE + 1];

	ledger_body_u64(b, "vrf_count", p->count);
	ledger_body_str(b, "vrf_proof", p->count ? hex_from_bytes(hex, p->proof, sizeof p->proof) : "");
}

/* An exchange without a leaf names none; a child without an exchange has none either. */
static void leaf_str(struct ledger_body *b, const struct leaf_proof *p)
{
	char text[BASE64_SIZE(MAX_OF(sizeof p->data, sizeof p->path))] = "";
	char root[2 * SHA256_SIZE + 1] = "";
	bool any = p->groups != 0;

	_Static_assert(sizeof text <= LEDGER_BODY_TEXT_MAX / 4, "no text is cut");
	if (any)
		base64_from_bytes(text, p->data, leaf_data_size(p->groups));
	ledger_body_str(b, "leaf", text);
	ledger_body_str(b, "leaf_batch", any ? hex_from_bytes(root, p->root, sizeof p->root) : "");
	ledger_body_u64(b, "leaf_index", any ? p->index : 0);
	if (any)
		base64_from_bytes(text, p->path, sizeof p->path);
	ledger_body_str(b, "leaf_path", text);
}

static const char *role_text(uint16_t role)
{
	return role == KEEPER_INITIATOR ? "initiator" : "responder";
}

static void ike_sa_up(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	char spi[17], key[2 * SHA256_SIZE + 1];

	ledger_body_str(b, "auth", method_text(x->method));
	id_str(b, x);
	ledger_body_str(b, "key", x->has_key ? hex_from_bytes(key, x->key, sizeof x->key) : "");
	leaf_str(b, leaf);
	endpoint_str(b, "local", &x->local);
	ledger_body_str(b, "peer", x->peer);
	ike_proposal_str(b, x);
	endpoint_str(b, "remote", &x->remote);
	ledger_body_str(b, "role", role_text(x->role));
	ledger_body_str(b, "spi_i", spi_text(spi, x->ike_spi_i));
	ledger_body_str(b, "spi_r", spi_text(spi, x->ike_spi_r));
	ledger_body_str(b, "transcript", x->transcript ? "full" : "own");
	proof_str(b, &x->proof);
}

static void ike_sa_rekeyed(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	char spi[17];

	leaf_str(b, leaf);
	ledger_body_str(b, "peer", x->peer);
	ike_proposal_str(b, x);
	ledger_body_str(b, "rekeys_spi_i", spi_text(spi, x->rekeys_ike_spi_i));
	ledger_body_str(b, "rekeys_spi_r", spi_text(spi, x->rekeys_ike_spi_r));
	ledger_body_str(b, "role", role_text(x->role));
	ledger_body_str(b, "spi_i", spi_text(spi, x->ike_spi_i));
	ledger_body_str(b, "spi_r", spi_text(spi, x->ike_spi_r));
	proof_str(b, &x->proof);
}

static void ike_sa_down(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	char spi[17];

	ledger_body_str(b, "peer", x->peer);
	ledger_body_str(b, "reason", x->reason);
	ledger_body_str(b, "spi_i", spi_text(spi, x->ike_spi_i));
	ledger_body_str(b, "spi_r", spi_text(spi, x->ike_spi_r));
}

static void key_used(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	char spi[17];

	ledger_body_str(b, "auth", method_text(x->method));
	ledger_body_str(b, "peer", x->peer);
	ledger_body_str(b, "spi_i", spi_text(spi, x->ike_spi_i));
	ledger_body_str(b, "spi_r", spi_text(spi, x->ike_spi_r));
}

static void sa_install(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	char additional[64];

	ledger_body_u64(b, "deferred", x->deferred);
	leaf_str(b, leaf);
	endpoint_str(b, "local", &x->local);
	selectors_str(b, "local_ts", x->local_ts, x->local_n);
	ledger_body_str(b, "peer", x->peer);
	ledger_body_strf(b, "proposal", "%s-%s%s%s%s%s", encr_word(x->encr, x->encr_bits),
		dh_word(x->dh_group), additional_text(additional, x), x->flags & CHILD_ESN ? "-esn" : "",
		x->flags & CHILD_ENCAP ? " in UDP" : "", legacy_mark(x->encr, x->dh_group));
	if (x->rekeys_spi_in != 0)
		ledger_body_strf(b, "rekeys", "%08x", x->rekeys_spi_in);
	else
		ledger_body_str(b, "rekeys", "");
	endpoint_str(b, "remote", &x->remote);
	selectors_str(b, "remote_ts", x->remote_ts, x->remote_n);
	ledger_body_strf(b, "spi_in", "%08x", x->spi_in);
	ledger_body_strf(b, "spi_out", "%08x", x->spi_out);
	ledger_body_str(b, "tunnel", x->tunnel);
	proof_str(b, &x->proof);
}

static void sa_remove(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	ledger_body_str(b, "peer", x->peer);
	ledger_body_str(b, "reason", x->reason);
	ledger_body_strf(b, "spi_in", "%08x", x->spi_in);
	ledger_body_str(b, "tunnel", x->tunnel);
}

/* A request that ike should not have made (a defect, or a compromised ike), or failed authentication. */
static void refused(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	ledger_body_strf(b, "configured", "%s", x->tunnel[0] ? "proposals and selectors of the tunnel" : "");
	id_str(b, x);
	ledger_body_u64(b, "left_out", x->count);
	endpoint_str(b, "local", &x->local);
	ledger_body_strf(b, "offered", "%s%s", x->tunnel[0] ? "tunnel " : "", x->tunnel);
	ledger_body_str(b, "peer", x->peer);
	ledger_body_strf(b, "reason", "%s: %s",
		x->kind == KEYS_ENTRY_REFUSED ? "the keeper refused a request of ike"
					      : "authentication failed",
		x->reason);
	endpoint_str(b, "remote", &x->remote);
}

static void keys_wiped(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf)
{
	ledger_body_u64(b, "count", x->count);
	ledger_body_str(b, "reason", "the link to ike ended");
}

/* One row for each kind of entry. */
static const struct {
	enum ledger_type type;
	void (*fill)(struct ledger_body *b, const struct keys_entry *x, const struct leaf_proof *leaf);
} makers[KEYS_ENTRY_COUNT] = {
	[KEYS_ENTRY_KEY_USED] = { LEDGER_KEY_USED, key_used },
	[KEYS_ENTRY_IKE_SA_UP] = { LEDGER_IKE_SA_UP, ike_sa_up },
	[KEYS_ENTRY_IKE_SA_REKEYED] = { LEDGER_IKE_SA_REKEYED, ike_sa_rekeyed },
	[KEYS_ENTRY_IKE_SA_DOWN] = { LEDGER_IKE_SA_DOWN, ike_sa_down },
	[KEYS_ENTRY_SA_INSTALL] = { LEDGER_SA_INSTALL, sa_install },
	[KEYS_ENTRY_SA_REMOVE] = { LEDGER_SA_REMOVE, sa_remove },
	[KEYS_ENTRY_REFUSED] = { LEDGER_HANDSHAKE_REFUSED, refused },
	[KEYS_ENTRY_AUTH_FAILED] = { LEDGER_HANDSHAKE_REFUSED, refused },
	[KEYS_ENTRY_IKE_LOST] = { LEDGER_KEYS_WIPED, keys_wiped },
};

bool entry_body_make(struct ledger_body *ret_body, size_t *ret_n, const struct keys_entry *entry,
	const struct leaf_proof *leaf)
{
	*ret_n = 0;
	if (entry->kind >= KEYS_ENTRY_COUNT || !makers[entry->kind].fill)
		return false;
	ledger_body_begin(ret_body, makers[entry->kind].type);
	makers[entry->kind].fill(ret_body, entry, leaf);
	*ret_n = ledger_body_done(ret_body);
	return *ret_n > 0;
}
