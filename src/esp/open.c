/*
 * Inbound: one ESP packet into the packet inside it, RFC 4303 section 3.4.
 */
#include "esp/state.h"

#include "base/rd.h"

#include <assert.h>

#define NEXT_HEADER_DUMMY 59 /* RFC 4303 section 2.6 */

static void opened_count(struct esp *esp, uint32_t pair, uint32_t n, mono_ns now)
{
	struct esp_state_pair *s = esp->pair[pair].state;

	s->packets_in++;
	s->bytes_in += n;
	s->last_in = now;
	if (s->outbound_active)
		return;
	/* The peer sends on it, so it can receive on it. */
	esp_pair_send(esp, pair);
}

/* After decryption: padding of 1, 2, 3, ..., its length and the next header end the packet (RFC 4303
 * section 2.4). */
static enum drop_reason trailer_check(const uint8_t *plain, uint32_t n, uint32_t *ret_n, uint8_t *ret_next)
{
	uint32_t pad = plain[n - 2];

	if (pad + 2 > n)
		return DROP_ESP_PADDING;
	for (uint32_t i = 0; i < pad; i++)
		if (plain[n - 2 - pad + i] != (uint8_t)(i + 1))
			return DROP_ESP_PADDING;
	*ret_n = n - 2 - pad;
	*ret_next = plain[n - 1];
	return DROP_NONE;
}

/* What lies between IV and ICV, of n octets behind the sequence number: whole blocks, and room for the trailer. */
static bool body_size(const struct esp_pair *p, uint32_t n, uint32_t *ret_n)
{
	uint32_t around = (uint32_t)p->iv_n + p->icv_n;

	*ret_n = n - around;
	return n >= around + 2 && *ret_n % p->block_n == 0;
}

/* The sequence number is all of it with ESN, and its lower half without. */
static bool unseal(struct esp *esp, struct esp_pair *p, const uint8_t *packet, uint32_t body_n,
	uint64_t sequence, uint8_t *dst)
{
	const struct esp_key *key = &esp_pair_keys(esp, p)->in;
	bool esn = p->state->flags & CHILD_ESN;
	uint8_t iv[AEAD_IV_SIZE], aad[12];

	if (encr_is_legacy(key->encr))
		return esp_cbc_open(esp->mgr[p->owner], &key->cbc, packet, body_n, sequence, esn, dst);
	memcpy(iv, packet + 8, sizeof iv); /* dst may be the packet's own place */
	store_be32(aad, p->state->spi_in);
	if (esn)
		store_be64(aad + 4, sequence);
	else
		store_be32(aad + 4, (uint32_t)sequence);
	return esp_key_open(
		esp->mgr[p->owner], key, iv, aad, esn ? 12 : 8, packet + ESP_HEAD_SIZE, body_n, dst);
}

void esp_open(struct esp *esp, const uint8_t *packet, uint32_t n, uint8_t outer_class, uint8_t *dst,
	mono_ns now, struct esp_opened *ret_opened)
{
	struct rd r = rd_over(packet, n);
	uint32_t spi = rd_u32(&r), low = rd_u32(&r), body_n = 0;
	uint8_t next = 0;

	*ret_opened = (struct esp_opened){ .pair = ESP_PAIR_NONE, .tunnel = TRAIN_NONE };
	if (r.bad || rd_left(&r) < AEAD_IV_SIZE + AEAD_ICV_SIZE + 2) { /* of any SA */
		ret_opened->drop = DROP_ESP_TRUNCATED;
		return;
	}
	uint32_t pair = esp_pair_find(esp, spi);
	if (pair == ESP_PAIR_NONE) {
		ret_opened->drop = DROP_ESP_UNKNOWN_SPI;
		return;
	}
	struct esp_pair *p = &esp->pair[pair];
	struct esp_state_pair *s = p->state;
	bool esn = s->flags & CHILD_ESN;
	uint64_t sequence = replay_extend(&s->replay, s->replay_window, esn, low);
	ret_opened->pair = pair;
	ret_opened->tunnel = p->tunnel;
	if (!body_size(p, (uint32_t)rd_left(&r), &body_n)) {
		ret_opened->drop = DROP_ESP_TRUNCATED;
		return;
	}
	if (esp_life_is_over(p, 0, 0, now)) {
		ret_opened->drop = DROP_ESP_LIFETIME;
		return;
	}
	if (!replay_allows(&s->replay, p->wide_block, s->replay_window, sequence)) {
		ret_opened->drop = DROP_ESP_REPLAY;
		s->replayed++;
		return;
	}
	if (!unseal(esp, p, packet, body_n, sequence, dst)) {
		ret_opened->drop = DROP_ESP_AUTH;
		s->unauthentic++;
		return;
	}
	assert(s->live && sequence != 0);
	ret_opened->newest = sequence > s->replay.top;
	replay_take(&s->replay, p->wide_block, s->replay_window, sequence);
	opened_count(esp, pair, body_n, now);
	ret_opened->drop = trailer_check(dst, body_n, &ret_opened->n, &next);
	if (ret_opened->drop == DROP_NONE && next == NEXT_HEADER_DUMMY)
		ret_opened->drop = DROP_ESP_DUMMY;
	if (ret_opened->drop == DROP_NONE)
		ret_opened->drop = esp_inner_check(p, dst, ret_opened->n, next, outer_class, &ret_opened->n);
	s->refused += ret_opened->drop != DROP_NONE && ret_opened->drop != DROP_ESP_DUMMY;
}

void esp_came_from(struct esp *esp, uint32_t pair, const struct endpoint *from)
{
	struct esp_pair *p = &esp->pair[pair];

	assert(pair < esp->pairs_max && p->state);
	p->moved = (p->state->flags & CHILD_ENCAP) && !endpoint_same(from, &p->state->remote);
	if (p->moved)
		p->seen = *from;
}
