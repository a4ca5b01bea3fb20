/*
 * SK payloads, and SKF payloads in their place: a message that is too long for one datagram is cut before it is
 * sealed, and each part is sealed by itself (RFC 7383). So nothing is gathered here that is not the peer's, and what
 * is gathered of one message, on each side of an IKE SA, is bounded by IKE_MESSAGE_MAX and IKE_FRAGMENTS_MAX.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- what is sent ---- */

/* RFC 5282 section 3.1: the IV may be a counter, it must only never repeat under one key, and each direction has
 * its own key. Of CBC see aead_iv_make(). */
static bool seal_in_place(struct ike_sa *sa, const uint8_t *start, uint8_t *iv, uint8_t *plain, size_t n)
{
	return aead_iv_make(&sa->key_out, ++sa->iv, iv) &&
	       aead_seal(&sa->key_out, iv, start, (size_t)(iv - start), plain, n, plain) == RC_OK;
}

/* Octets of one IKE message, so that its datagram has at most those that are configured. */
static size_t message_room(struct ike *c, const struct ike_sa *sa)
{
	enum { IPV4 = 20, IPV6 = 40, UDP = 8, NON_ESP_MARKER = 4 };
	const struct snap_peer *p = sa_peer(c, sa);
	size_t size = p && p->fragment_size ? p->fragment_size : IKE_FRAGMENT_SIZE,
	       heads = (sa->remote.addr.family == ADDR_V6 ? IPV6 : IPV4) + UDP + NON_ESP_MARKER;

	_Static_assert(
		FRAGMENT_SIZE_MIN > IPV6 + UDP + NON_ESP_MARKER + IKE_HEADER_SIZE + 100, "room for content");
	return size - heads;
}

/* content: what an SK payload of the message in scratch would hold, without its padding. */
static bool seal_parts(struct ike *c, struct ike_sa *sa, uint8_t first, const uint8_t *content,
	size_t content_n, size_t room, struct blob *ret)
{
	size_t iv_n = encr_iv_size(sa->key_out.encr), icv_n = encr_icv_size(sa->key_out.encr),
	       block_n = encr_block_size(sa->key_out.encr),
	       heads = IKE_HEADER_SIZE + IKE_PAYLOAD_HEADER_SIZE + 4 + iv_n + icv_n;
	size_t each = (room - heads) / block_n * block_n - 1, parts = (content_n + each - 1) / each, plain_n,
	       n;
	struct blob b = { ike_alloc(parts * (heads + block_n) + content_n), 0 };
	struct ike_header h;
	uint8_t *iv, *plain;

	if (parts > IKE_FRAGMENTS_MAX ||
		ike_header_read(&h, c->scratch, load_be32(c->scratch + 24), NULL) != RC_OK) {
		blob_free(&b);
		return false;
	}
	for (size_t i = 0; i < parts; i++) {
		uint8_t *start = b.at + b.n;
		struct ike_out o = ike_out_begin(start, room, &h);

		o.block_n = (uint16_t)block_n;
		ike_out_skf_begin(&o, i == 0 ? first : PL_NO_NEXT, (uint16_t)(i + 1), (uint16_t)parts, iv_n);
		wr_bytes(&o.w, content + i * each, MIN_OF(each, content_n - i * each));
		n = ike_out_sk_end(&o, iv_n, icv_n, &iv, &plain, &plain_n);
		if (n == 0 || !seal_in_place(sa, start, iv, plain, plain_n)) {
			blob_free(&b);
			return false;
		}
		b.n += n;
	}
	blob_free(ret);
	*ret = b;
	return true;
}

void intermediate_form(
	struct blob *ret, const struct ike_header *h, uint8_t first, const void *content, size_t n)
{
	uint8_t heads[INTERMEDIATE_HEADS];
	struct wr w = wr_over(heads, sizeof heads);

	wr_bytes(&w, h->spi_i, IKE_SPI_SIZE);
	wr_bytes(&w, h->spi_r, IKE_SPI_SIZE);
	wr_u8(&w, PL_SK);
	wr_u8(&w, h->version);
	wr_u8(&w, h->exchange);
	wr_u8(&w, h->flags);
	wr_u32(&w, h->message_id);
	wr_u32(&w, (uint32_t)(INTERMEDIATE_HEADS + n));
	wr_u8(&w, first);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(IKE_PAYLOAD_HEADER_SIZE + n));
	blob_free(ret);
	*ret = (struct blob){ ike_alloc(sizeof heads + n), sizeof heads + n };
	memcpy(ret->at, heads, sizeof heads);
	memcpy(ret->at + sizeof heads, content, n);
}

bool message_seal(struct ike *c, struct ike_sa *sa, struct ike_out *o, struct blob *ret)
{
	uint8_t *iv, *plain, first = o->sk ? *o->sk : 0;
	size_t plain_n, content_n, n, room;
	struct ike_header h;

	if (!o->sk) { /* IKE_SA_INIT */
		n = ike_out_end(o);
		if (n > 0)
			blob_set(ret, c->scratch, n);
		return n > 0;
	}
	n = ike_out_sk_end(
		o, encr_iv_size(sa->key_out.encr), encr_icv_size(sa->key_out.encr), &iv, &plain, &plain_n);
	room = message_room(c, sa);
	content_n = n > 0 ? plain_n - 1 - plain[plain_n - 1] : 0;
	if (n > 0 && ike_header_read(&h, c->scratch, n, NULL) == RC_OK && h.exchange == EX_IKE_INTERMEDIATE)
		intermediate_form(&sa->intermediate, &h, first, plain, content_n);
	if (n > room && sa->fragments)
		return seal_parts(c, sa, first, plain, content_n, room, ret);
	if (n == 0 || !seal_in_place(sa, c->scratch, iv, plain, plain_n))
		return false;
	blob_set(ret, c->scratch, n);
	return true;
}

void message_send(
	struct ike *c, const struct endpoint *local, const struct endpoint *remote, const struct blob *sealed)
{
	for (size_t at = 0, n; at < sealed->n; at += n) {
		n = load_be32(sealed->at + at + 24); /* the length in its header */
		assert(n >= IKE_HEADER_SIZE && n <= sealed->n - at);
		ike_send(c, local, remote, sealed->at + at, n);
	}
}

/* ---- what comes ---- */

/*
 * sk: IV, ciphertext and ICV, in the message at `bytes`. The message with the decrypted octets; NULL: not the peer's.
 * n is SIZE_MAX when the padding is longer than the message.
 */
static struct message *unseal(struct ike_sa *sa, const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, const uint8_t *bytes, const struct ike_view *view)
{
	struct rd sk = rd_over(view->at, view->n), plain;
	const uint8_t *iv = rd_take(&sk, encr_iv_size(sa->key_in.encr)), *sealed;
	size_t icv_n = encr_icv_size(sa->key_in.encr), sealed_n = rd_left(&sk), plain_n;
	struct message *m;

	sealed = rd_take(&sk, sealed_n);
	if (!iv || !sealed || sealed_n < icv_n + 1)
		return NULL;
	m = message_new(h, local, remote, sealed, sealed_n);
	if (aead_open(&sa->key_in, iv, bytes, (size_t)(iv - bytes), sealed, sealed_n, m->bytes) != RC_OK) {
		free(m);
		return NULL;
	}
	plain_n = sealed_n - icv_n;
	/* The last octet is the number of octets of padding before it. */
	plain = rd_over(m->bytes, plain_n - 1);
	rd_take(&plain, rd_left(&plain) - MIN_OF(rd_left(&plain), (size_t)m->bytes[plain_n - 1]));
	m->n = m->bytes[plain_n - 1] <= plain_n - 1 ? (size_t)(plain.at - m->bytes) : SIZE_MAX;
	return m;
}

/* Of the message with that id, cut into so many; a message that is cut anew, into more parts, begins again. */
static struct gathered *gathered_of(struct gathered **g, uint32_t message_id, uint16_t total)
{
	if (*g && ((*g)->message_id != message_id || (*g)->total != total))
		gathered_free(g);
	if (!*g) {
		*g = ike_alloc(sizeof **g);
		(*g)->message_id = message_id;
		(*g)->total = total;
	}
	return *g;
}

static struct message *gathered_whole(const struct gathered *g, const struct message *last)
{
	struct message *m = ike_alloc(sizeof *m + g->octets);

	m->h = last->h;
	m->local = last->local;
	m->remote = last->remote;
	for (uint32_t i = 0; i < g->total; i++) {
		memcpy(m->bytes + m->n, g->parts[i].at, g->parts[i].n);
		m->n += g->parts[i].n;
	}
	assert(m->n == g->octets);
	return m;
}

/* RFC 7383 2.6: whether the part is still wanted, asked before anything is decrypted. */
static bool part_is_wanted(struct ike *c, struct ike_sa *sa, const struct gathered *g,
	const struct ike_header *h, const struct endpoint *local, const struct endpoint *remote,
	const struct ike_fragment *f)
{
	if (f->total > IKE_FRAGMENTS_MAX) {
		ike_refuse(c, local, remote, sa_peer(c, sa), "%s in %u parts: at most %d are allowed",
			ike_exchange_name(h->exchange) ? ike_exchange_name(h->exchange) : "a message",
			f->total, IKE_FRAGMENTS_MAX);
		return false;
	}
	return !g || g->message_id != h->message_id || f->total > g->total ||
	       (f->total == g->total && !g->parts[f->number - 1].at);
}

/* Takes one part; the whole message when it was the last. */
static struct message *part_add(struct ike *c, struct ike_sa *sa, struct gathered **all,
	const struct ike_fragment *f, struct message *part, const uint8_t *bytes, size_t n)
{
	struct gathered *g = gathered_of(all, part->h.message_id, f->total);

	if (part->n == 0 || part->n == SIZE_MAX || part->n > IKE_MESSAGE_MAX - g->octets) {
		ike_refuse(c, &part->local, &part->remote, sa_peer(c, sa), "part %u of %u of a message: %s",
			f->number, f->total,
			part->n == 0	      ? "it is empty"
			: part->n == SIZE_MAX ? "the padding is longer than the part"
					      : "the message is longer than is allowed");
		gathered_free(all);
		return NULL;
	}
	blob_set(&g->parts[f->number - 1], part->bytes, part->n);
	g->octets += part->n;
	g->n++;
	if (f->number == 1) {
		g->first = f->first;
		blob_set(&g->begun, bytes, n);
	}
	return g->n == g->total ? gathered_whole(g, part) : NULL;
}

static struct message *open_part(struct ike *c, struct ike_sa *sa, enum side side, const struct ike_header *h,
	const struct endpoint *local, const struct endpoint *remote, const uint8_t *bytes, size_t n)
{
	struct gathered **g = &sa->gathered[side];
	struct ike_fragment f;
	struct message *part, *whole;

	if (ike_fragment_read(&f, bytes, n, NULL) != RC_OK ||
		!part_is_wanted(c, sa, *g, h, local, remote, &f))
		return NULL;
	part = unseal(sa, h, local, remote, bytes, &f.sk);
	if (!part)
		return NULL;
	whole = part_add(c, sa, g, &f, part, bytes, n);
	free(part);
	return whole;
}

struct message *message_open(struct ike *c, struct ike_sa *sa, enum side side, const struct ike_header *h,
	const struct endpoint *local, const struct endpoint *remote, const uint8_t *bytes, size_t n,
	uint8_t *ret_first, struct ike_view *ret_begun)
{
	struct ike_payloads *outer = &c->scratch_payloads;
	struct message *m;

	if (sa->key_in.encr == 0)
		return NULL;
	if (h->next_payload == PL_SKF) {
		m = open_part(c, sa, side, h, local, remote, bytes, n);
		if (!m)
			return NULL;
		*ret_first = sa->gathered[side]->first;
		*ret_begun = (struct ike_view){ sa->gathered[side]->begun.at, sa->gathered[side]->begun.n };
		return m;
	}
	if (ike_payloads_read(outer, h->next_payload, bytes + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, false,
		    NULL) != RC_OK ||
		outer->present != IKE_HAS(SK) || outer->sk_header_n != IKE_PAYLOAD_HEADER_SIZE)
		return NULL;
	*ret_first = outer->sk_first;
	*ret_begun = (struct ike_view){ bytes, n };
	return unseal(sa, h, local, remote, bytes, &outer->sk);
}

bool message_is_cut_anew(struct ike_sa *sa, const struct ike_header *h, const uint8_t *bytes, size_t n)
{
	static const struct endpoint nowhere;
	struct ike_fragment f;
	struct message *part;

	if (h->next_payload != PL_SKF || sa->key_in.encr == 0 ||
		ike_fragment_read(&f, bytes, n, NULL) != RC_OK || f.number != 1)
		return false;
	part = unseal(sa, h, &nowhere, &nowhere, bytes, &f.sk);
	free(part);
	return part;
}
