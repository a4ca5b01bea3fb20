/*
 * Writer of IKEv2 messages, the mirror of ike_codec.c and ike_payload.c. Errors are sticky in the writer:
 * whatever does not fit makes ike_out_end() return 0.
 */
#include "wire/ike_codec.h"

#include <assert.h>

struct ike_out ike_out_begin(void *buffer, size_t size, const struct ike_header *h)
{
	struct ike_out o = { .w = wr_over(buffer, size) };

	wr_bytes(&o.w, h->spi_i, IKE_SPI_SIZE);
	wr_bytes(&o.w, h->spi_r, IKE_SPI_SIZE);
	o.next = wr_room(&o.w, 1);
	if (o.next)
		*o.next = PL_NO_NEXT;
	wr_u8(&o.w, h->version);
	wr_u8(&o.w, h->exchange);
	wr_u8(&o.w, h->flags);
	wr_u32(&o.w, h->message_id);
	wr_u32(&o.w, 0); /* length, at the end */
	return o;
}

size_t ike_out_end(struct ike_out *o)
{
	if (o->w.bad || o->sk || o->payload)
		return 0;
	store_be32(o->w.base + 24, (uint32_t)wr_len(&o->w));
	return wr_len(&o->w);
}

static void payload_begin(struct ike_out *o, uint8_t type)
{
	uint8_t *h = wr_room(&o->w, IKE_PAYLOAD_HEADER_SIZE);

	assert(!o->payload); /* one at a time */
	if (!h)
		return;
	*o->next = type;
	memset(h, 0, IKE_PAYLOAD_HEADER_SIZE);
	o->next = h;
	o->payload = h;
}

static void payload_end(struct ike_out *o)
{
	if (o->payload)
		wr_patch16(&o->w, o->payload + 2, o->payload);
	o->payload = NULL;
}

void ike_out_payload(struct ike_out *o, uint8_t type, const void *body, size_t n)
{
	payload_begin(o, type);
	wr_bytes(&o->w, body, n);
	payload_end(o);
}

static void write_transform(struct wr *w, const struct ike_transform *t, bool last)
{
	wr_u8(w, last ? 0 : 3);
	wr_u8(w, 0);
	wr_u16(w, t->key_bits ? 12 : 8);
	wr_u8(w, t->type);
	wr_u8(w, 0);
	wr_u16(w, t->id);
	if (t->key_bits) {
		wr_u16(w, 0x800e);
		wr_u16(w, t->key_bits);
	}
}

void ike_out_offer(struct ike_out *o, const struct ike_offer *offer)
{
	struct wr *w = &o->w;

	payload_begin(o, PL_SA);
	for (unsigned i = 0; i < offer->proposals_n; i++) {
		const struct ike_proposal *p = &offer->proposals[i];
		const uint8_t *start = w->at;
		uint8_t *length;

		wr_u8(w, i + 1 < offer->proposals_n ? 2 : 0);
		wr_u8(w, 0);
		length = wr_room(w, 2);
		wr_u8(w, p->number);
		wr_u8(w, p->protocol);
		wr_u8(w, p->spi_n);
		wr_u8(w, (uint8_t)p->count);
		wr_bytes(w, p->spi, p->spi_n);
		for (unsigned k = 0; k < p->count; k++)
			write_transform(w, &offer->transforms[p->first + k], k + 1 == p->count);
		wr_patch16(w, length, start);
	}
	payload_end(o);
}

void ike_out_ke(struct ike_out *o, uint16_t group, const void *value, size_t n)
{
	payload_begin(o, PL_KE);
	wr_u16(&o->w, group);
	wr_u16(&o->w, 0);
	wr_bytes(&o->w, value, n);
	payload_end(o);
}

void ike_out_auth(struct ike_out *o, uint8_t method, const void *value, size_t n)
{
	payload_begin(o, PL_AUTH);
	wr_u32(&o->w, (uint32_t)method << 24);
	wr_bytes(&o->w, value, n);
	payload_end(o);
}

void ike_out_notify_spi(struct ike_out *o, uint16_t type, uint8_t protocol, const void *spi, size_t spi_n,
	const void *data, size_t n)
{
	payload_begin(o, PL_NOTIFY);
	wr_u8(&o->w, protocol);
	wr_u8(&o->w, (uint8_t)spi_n);
	wr_u16(&o->w, type);
	wr_bytes(&o->w, spi, spi_n);
	wr_bytes(&o->w, data, n);
	payload_end(o);
}

void ike_out_notify(struct ike_out *o, uint16_t type, const void *data, size_t n)
{
	ike_out_notify_spi(o, type, IKE_PROTO_NONE, NULL, 0, data, n);
}

void ike_out_delete_ike(struct ike_out *o)
{
	payload_begin(o, PL_DELETE);
	wr_u32(&o->w, (uint32_t)IKE_PROTO_IKE << 24);
	payload_end(o);
}

void ike_out_delete_esp(struct ike_out *o, const uint32_t *spis, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ike_out_delete_esp_add(o, spis[i]);
	ike_out_delete_esp_end(o);
}

void ike_out_delete_esp_add(struct ike_out *o, uint32_t spi)
{
	if (!o->payload) {
		payload_begin(o, PL_DELETE);
		wr_u8(&o->w, IKE_PROTO_ESP);
		wr_u8(&o->w, 4);
		wr_u16(&o->w, 0); /* their number, at the end */
	}
	wr_u32(&o->w, spi);
}

void ike_out_delete_esp_end(struct ike_out *o)
{
	enum { HEAD = IKE_PAYLOAD_HEADER_SIZE + 4 };

	if (!o->payload || o->w.bad)
		return;
	store_be16(o->payload + HEAD - 2, (uint16_t)((size_t)(o->w.at - o->payload - HEAD) / 4));
	payload_end(o);
}

void ike_out_selectors(struct ike_out *o, uint8_t type, const struct selector *list, size_t n)
{
	struct wr *w = &o->w;

	payload_begin(o, type);
	wr_u8(w, (uint8_t)n);
	wr_u8(w, 0);
	wr_u16(w, 0);
	for (size_t i = 0; i < n; i++) {
		size_t address = addr_size(&list[i].addrs.first);

		wr_u8(w, address == 4 ? 7 : 8);
		wr_u8(w, list[i].proto);
		wr_u16(w, (uint16_t)(8 + 2 * address));
		wr_u16(w, list[i].port_first);
		wr_u16(w, list[i].port_last);
		wr_bytes(w, list[i].addrs.first.b, address);
		wr_bytes(w, list[i].addrs.last.b, address);
	}
	payload_end(o);
}

void ike_out_sk_begin(struct ike_out *o, size_t iv_n)
{
	assert(!o->sk);
	payload_begin(o, PL_SK);
	o->sk = o->payload;
	o->payload = NULL;
	o->iv = wr_room(&o->w, iv_n);
}

void ike_out_skf_begin(struct ike_out *o, uint8_t first, uint16_t number, uint16_t total, size_t iv_n)
{
	assert(!o->sk && number >= 1 && number <= total && (number == 1 || first == PL_NO_NEXT));
	payload_begin(o, PL_SKF);
	o->sk = o->payload;
	o->payload = NULL;
	if (o->sk)
		*o->sk = first;
	wr_u16(&o->w, number);
	wr_u16(&o->w, total);
	o->iv = wr_room(&o->w, iv_n);
}

size_t ike_out_sk_end(struct ike_out *o, size_t iv_n, size_t icv_n, uint8_t **ret_iv, uint8_t **ret_plain,
	size_t *ret_plain_n)
{
	uint8_t *sk = o->sk;

	uint8_t pad = 0;

	if (o->w.bad || !sk)
		return 0;
	/* RFC 7296 3.14; AEADs need no padding (RFC 5282 section 3). */
	while (o->block_n > 0 && ((size_t)(o->w.at - o->iv) - iv_n + pad + 1) % o->block_n != 0)
		pad++;
	for (uint8_t i = 0; i < pad; i++)
		wr_u8(&o->w, 0);
	wr_u8(&o->w, pad);
	if (o->w.bad)
		return 0;
	*ret_iv = o->iv;
	*ret_plain = *ret_iv + iv_n;
	*ret_plain_n = (size_t)(o->w.at - *ret_plain);
	wr_room(&o->w, icv_n);
	wr_patch16(&o->w, sk + 2, sk);
	o->sk = NULL;
	return ike_out_end(o);
}

enum rc ike_offer_add(struct ike_offer *o, uint8_t protocol, const void *spi, size_t spi_n)
{
	struct ike_proposal *p = &o->proposals[o->proposals_n];

	if (o->proposals_n == IKE_PROPOSALS_MAX || spi_n > IKE_SPI_SIZE)
		return RC_LIMIT;
	memset(p, 0, sizeof *p);
	p->number = (uint8_t)++o->proposals_n;
	p->protocol = protocol;
	p->spi_n = (uint8_t)spi_n;
	if (spi_n > 0)
		memcpy(p->spi, spi, spi_n);
	p->first = o->transforms_n;
	return RC_OK;
}

enum rc ike_offer_add_transform(struct ike_offer *o, uint8_t type, uint16_t id, uint16_t key_bits)
{
	if (o->proposals_n == 0 || o->transforms_n == IKE_TRANSFORMS_MAX)
		return RC_LIMIT;
	o->transforms[o->transforms_n++] =
		(struct ike_transform){ .type = type, .id = id, .key_bits = key_bits };
	o->proposals[o->proposals_n - 1].count++;
	return RC_OK;
}
