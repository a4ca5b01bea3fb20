/*
 * Outbound: packets of a train into ESP packets, RFC 4303 section 3.3, in a row in one buffer.
 */
#include "esp/state.h"

#include "wire/ip.h"
#include "wire/quoted.h"

#include <assert.h>

void esp_batch_begin(struct esp_batch *b)
{
	b->n = b->packets = b->packet_size = 0;
	b->pair = ESP_PAIR_NONE;
	b->full = b->may_fragment = false;
}

/* RFC 4303 2.4: the ciphertext ends on a 4-octet boundary, and on one of the cipher's blocks. */
static uint32_t boundary(uint32_t block_n)
{
	return MAX_OF(block_n, 4u);
}

static uint32_t padding_for(const struct esp_pair *p, uint32_t n)
{
	return (0u - (n + 2)) & (boundary(p->block_n) - 1);
}

static uint32_t sealed_size(const struct esp_pair *p, uint32_t n)
{
	return 8u + p->iv_n + n + padding_for(p, n) + 2 + p->icv_n;
}

uint32_t esp_inner_max(uint16_t encr, uint32_t esp_max)
{
	uint32_t around = 8u + encr_iv_size(encr) + encr_icv_size(encr),
		 whole = boundary(encr_block_size(encr));

	return esp_max < around + whole ? 0 : ((esp_max - around) & ~(whole - 1)) - 2;
}

static bool selector_holds(
	const struct selector *ts, const struct ip_addr *addr, uint8_t proto, uint16_t port, bool has_ports)
{
	if (!range_holds(&ts->addrs, addr) || (ts->proto != 0 && ts->proto != proto))
		return false;
	if (ts->port_first == 0 && ts->port_last == UINT16_MAX)
		return true;
	return has_ports && port >= ts->port_first && port <= ts->port_last;
}

/* What selectors look at. */
struct selected {
	const struct ip_addr *src, *dst;
	uint8_t proto;
	bool ports;
	uint16_t src_port, dst_port;
};

static bool selectors_hold(const struct esp_pair *p, const struct selected *t)
{
	const struct esp_state_pair *s = p->state;
	bool local = false, remote = false;

	if (p->plain_v4 && t->src->family == ADDR_V4) {
		uint32_t src = load_be32(t->src->b), dst = load_be32(t->dst->b);
		return src >= p->local_first && src <= p->local_last && dst >= p->remote_first &&
		       dst <= p->remote_last;
	}
	for (uint16_t i = 0; i < s->local_n && !local; i++)
		local = selector_holds(&p->local_ts[i], t->src, t->proto, t->src_port, t->ports);
	for (uint16_t i = 0; i < s->remote_n && !remote; i++)
		remote = selector_holds(&p->remote_ts[i], t->dst, t->proto, t->dst_port, t->ports);
	return local && remote;
}

/*
 * RFC 4301 section 6.2: an error that no selector holds goes by "the SA that would carry the return traffic
 * associated with the packet that triggered the ICMP error message".
 */
static bool error_selected(const struct esp_pair *p, const struct train *t)
{
	struct quoted q;

	if (!(t->flags & TRAIN_ICMP_ERROR) ||
		!quoted_in_error(&q, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset))
		return false;
	bool ports = ip_has_ports(q.proto);
	struct selected answer = { &q.dst, &q.src, q.proto, ports, q.dst_port, q.src_port };
	return addr_equal(&q.src, &t->dst) && selectors_hold(p, &answer);
}

static uint32_t next_of(const struct esp *esp, uint32_t pair)
{
	return __atomic_load_n(&esp->pair[pair].next_active, __ATOMIC_ACQUIRE);
}

/* Of the list that begins with this pair. */
static uint32_t first_for(
	const struct esp *esp, uint32_t pair, const struct selected *own, const struct train *t)
{
	while (pair != ESP_PAIR_NONE && !selectors_hold(&esp->pair[pair], own) &&
		!error_selected(&esp->pair[pair], t))
		pair = next_of(esp, pair);
	return pair;
}

uint32_t esp_outbound_for(const struct esp *esp, uint32_t tunnel, uint32_t worker, const struct train *t)
{
	bool ports = ip_has_ports(t->proto);
	struct selected own = { &t->src, &t->dst, t->proto, ports, t->src_port, t->dst_port };
	uint32_t all = first_for(esp, esp_outbound_first(esp->outbound, tunnel), &own, t),
		 mine = esp_outbound_first(esp->outbound_own, tunnel);

	for (uint32_t pair = mine; pair != ESP_PAIR_NONE; pair = next_of(esp, pair)) {
		const struct esp_pair *p = &esp->pair[pair];
		if (p->owner == worker &&
			(all == ESP_PAIR_NONE || p->state->group == esp->pair[all].state->group) &&
			(selectors_hold(p, &own) || error_selected(p, t)))
			return pair;
	}
	return all != ESP_PAIR_NONE ? all : first_for(esp, mine, &own, t);
}

/*
 * The next sequence number, or 0 when none is left. RFC 4303 3.3.3: the counter must not cycle. The ceiling
 * in the state moves before a number below it is used, so that a killed process's successor cannot use it
 * again.
 */
static uint64_t sequence_take(struct esp_pair *p)
{
	struct esp_state_pair *s = p->state;

	if (p->sequence_next > esp_sequence_last(s))
		return 0;
	if (p->sequence_next >= s->sequence_ceiling) {
		__atomic_store_n(
			&s->sequence_ceiling, p->sequence_next + ESP_SEQUENCE_STEP, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	assert(p->sequence_next < s->sequence_ceiling);
	return p->sequence_next++;
}

/* SPI and sequence number as authenticated; with ESN all 64 bits of it (RFC 4106 section 5). */
static size_t aad_make(uint8_t *aad, uint32_t spi, uint64_t sequence, bool esn)
{
	store_be32(aad, spi);
	if (!esn) {
		store_be32(aad + 4, (uint32_t)sequence);
		return 8;
	}
	store_be64(aad + 4, sequence);
	return 12;
}

/* Behind a packet: padding of 1, 2, 3, ..., its length and the next header. */
static void trailer_make(uint8_t *tail, uint32_t pad, uint8_t version)
{
	for (uint32_t i = 0; i < pad; i++)
		tail[i] = (uint8_t)(i + 1);
	tail[pad] = (uint8_t)pad;
	tail[pad + 1] = version == 4 ? 4 : 41; /* IPv4 or IPv6 inside */
}

/* Several at a time: the packet is complete after esp_cbc_finish(). */
static void seal_cbc(
	struct esp *esp, struct esp_pair *p, const uint8_t *ip, uint32_t n, uint64_t sequence, uint8_t *out)
{
	uint32_t pad = padding_for(p, n);

	memcpy(out + ESP_CBC_HEAD, ip, n);
	trailer_make(out + ESP_CBC_HEAD + n, pad, ip[0] >> 4);
	esp_cbc_seal(esp->mgr[p->owner], &esp_pair_keys(esp, p)->out.cbc, out, n + pad + 2, sequence,
		p->state->flags & CHILD_ESN);
}

/* One packet; the octets that follow it are saved and restored: they are the next packet's payload. */
static void seal_one(
	struct esp *esp, struct esp_pair *p, uint8_t *ip, uint32_t n, uint64_t sequence, uint8_t *out)
{
	uint32_t pad = padding_for(p, n);
	uint8_t kept[3 + 2], aad[12], *tail = ip + n;
	size_t aad_n = aad_make(aad, p->state->spi_out, sequence, p->state->flags & CHILD_ESN);

	store_be32(out, p->state->spi_out);
	store_be32(out + 4, (uint32_t)sequence);
	if (encr_is_legacy(p->state->encr)) {
		seal_cbc(esp, p, ip, n, sequence, out);
		return;
	}
	memcpy(kept, tail, sizeof kept);
	trailer_make(tail, pad, ip[0] >> 4);
	store_be64(out + 8, sequence); /* the IV: a counter never repeats (RFC 4106 section 3.1) */
	esp_key_seal(esp->mgr[p->owner], &esp_pair_keys(esp, p)->out, out + 8, aad, aad_n, ip, n + pad + 2,
		out + ESP_HEAD_SIZE);
	memcpy(tail, kept, sizeof kept);
}

bool esp_seal(struct esp *esp, uint32_t pair, struct segment_cutter *cutter, uint8_t traffic_class,
	struct esp_batch *batch, mono_ns now, enum drop_reason *ret_drop)
{
	struct esp_pair *p = &esp->pair[pair];
	uint64_t bytes = 0, packets = 0;
	uint32_t n;
	bool through = false;

	assert(batch->n <= batch->room && batch->packets <= batch->packets_max &&
		(batch->packets == 0) == (batch->n == 0));
	*ret_drop = DROP_NONE;
	if (batch->packets > 0 && (batch->pair != pair || batch->traffic_class != traffic_class))
		return false;
	batch->pair = pair;
	batch->traffic_class = traffic_class;
	while (!(through = (n = segment_cut_peek(cutter)) == 0)) {
		uint32_t size = sealed_size(p, n);
		if (size > batch->room) { /* not even alone: to be called again would not help */
			*ret_drop = DROP_TOO_BIG;
			break;
		}
		if (batch->full || batch->packets == batch->packets_max || size > batch->room - batch->n ||
			(batch->packets > 0 && size > batch->packet_size))
			break;
		uint64_t sequence = esp_life_is_over(p, packets, bytes, now) ? 0 : sequence_take(p);
		if (sequence == 0) {
			*ret_drop = p->sequence_next > esp_sequence_last(p->state)
					    ? DROP_ESP_SEQUENCE_OVERFLOW
					    : DROP_ESP_LIFETIME;
			break;
		}
		seal_one(esp, p, segment_cut_next(cutter, &n), n, sequence, batch->bytes + batch->n);
		batch->packet_size = batch->packets == 0 ? size : batch->packet_size;
		batch->full = size < batch->packet_size;
		batch->n += size;
		batch->packets++;
		packets++;
		bytes += n;
	}
	if (encr_is_legacy(p->state->encr))
		esp_cbc_finish(esp->mgr[p->owner]);
	assert(batch->n <= batch->room && batch->n <= (uint64_t)batch->packets * batch->packet_size);
	if (packets > 0) {
		p->state->packets_out += packets;
		p->state->bytes_out += bytes;
		p->state->last_out = now;
	}
	return through;
}
