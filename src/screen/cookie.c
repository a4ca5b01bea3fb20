#include "screen/cookie.h"
#include "base/siphash.h"

#include <assert.h>

/* Those that are common: IPv6 and IPv4 in 1,280 octets, tunnels, PPPoE, Ethernet with and without timestamps' allowance, jumbo
 * frames. */
static const uint16_t sizes[] = { 216, 536, 1220, 1360, 1400, 1440, 1460, 8940 };
#define SIZES 8
_Static_assert(sizeof sizes / sizeof *sizes == SIZES, "three bits");

#define SCALE_NONE   15 /* of four bits */
/* What a host takes that says nothing: RFC 9293 section 3.7.1. */
#define MSS4_DEFAULT 536
#define MSS6_DEFAULT 1220
#define MAC_MASK     0xffffffu

static uint32_t size_index(uint16_t mss, uint8_t family)
{
	uint32_t i = SIZES - 1;

	if (mss == 0)
		mss = family == ADDR_V4 ? MSS4_DEFAULT : MSS6_DEFAULT;
	while (i > 0 && sizes[i] > mss)
		i--;
	return i;
}

static uint32_t options_pack(const struct tcp_options *o, uint8_t family)
{
	return size_index(o->mss, family) << 5 | (uint32_t)(o->scales ? o->scale : SCALE_NONE) << 1 | o->sack;
}

static void options_unpack(struct tcp_options *o, uint32_t bits)
{
	uint32_t scale = bits >> 1 & 15;

	o->mss = sizes[bits >> 5 & (SIZES - 1)];
	o->scales = scale != SCALE_NONE;
	o->scale = (uint8_t)(o->scales ? scale : 0);
	o->sack = bits & 1;
}

/* Hashed as bytes. */
struct hashed {
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
	uint8_t family, vrf;
	uint16_t what; /* of what: 0 the flow, 1 the options, 2 these with timestamps */
	uint32_t seq, options;
};
_Static_assert(sizeof(struct hashed) == 48, "no padding");

static void secret_of(const uint8_t key[16], uint64_t epoch, uint8_t ret_secret[16])
{
	for (uint64_t half = 0; half < 2; half++) {
		const uint64_t from[3] = { 0x73796e2d636f6f6bull, epoch, half };
		uint64_t h = siphash24(key, from, sizeof from);
		memcpy(ret_secret + 8 * half, &h, sizeof h);
	}
}

static struct hashed hashed_of(const struct train *t, uint32_t seq)
{
	struct hashed h = { .src_port = t->src_port,
		.dst_port = t->dst_port,
		.family = t->src.family,
		.vrf = t->vrf,
		.seq = seq };

	memcpy(h.src, t->src.b, sizeof h.src);
	memcpy(h.dst, t->dst.b, sizeof h.dst);
	return h;
}

static uint32_t base_of(const uint8_t secret[16], struct hashed *h)
{
	h->what = 0;
	h->options = 0;
	return (uint32_t)(siphash24(secret, h, sizeof *h) >> 32);
}

static uint64_t mac_of(const uint8_t secret[16], struct hashed *h, uint32_t options, bool stamps)
{
	h->what = stamps ? 2 : 1;
	h->options = options;
	return siphash24(secret, h, sizeof *h);
}

struct syn_cookie syn_cookie_make(
	const uint8_t key[16], const struct train *t, const struct tcp_options *o, mono_ns now)
{
	uint32_t options = options_pack(o, t->src.family);
	struct hashed h = hashed_of(t, tcp_seq(t));
	uint8_t secret[16];

	secret_of(key, now / (SYN_COOKIE_S * NS_PER_S), secret);
	uint32_t base = base_of(secret, &h);
	uint64_t mac = mac_of(secret, &h, options, o->stamps);
	return (struct syn_cookie){ base + (options << 24 | ((uint32_t)mac & MAC_MASK)),
		(uint32_t)(mac >> 32) };
}

static bool is_of(const uint8_t secret[16], const struct train *t, uint32_t seq, struct tcp_options *o)
{
	struct hashed h = hashed_of(t, seq);
	uint32_t value = tcp_ack(t) - 1 - base_of(secret, &h), options = value >> 24;
	uint64_t mac = mac_of(secret, &h, options, o->stamps);

	if ((value & MAC_MASK) != ((uint32_t)mac & MAC_MASK) ||
		(o->stamps && o->ts_echo != (uint32_t)(mac >> 32)))
		return false;
	options_unpack(o, options);
	return true;
}

bool syn_cookie_check(const uint8_t key[16], const struct train *t, mono_ns now,
	struct tcp_options *ret_options, uint32_t *ret_seq)
{
	uint64_t epoch = now / (SYN_COOKIE_S * NS_PER_S);
	uint32_t seqs = t->len == t->payload_offset ? 2 : 1;
	struct tcp_options o;
	uint8_t secret[16];

	tcp_options_read(t, &o);
	for (uint64_t i = 0; i < 2 && i <= epoch; i++) {
		secret_of(key, epoch - i, secret);
		for (uint32_t k = 0; k < seqs; k++) {
			uint32_t seq = tcp_seq(t) - 1 + k;
			if (!is_of(secret, t, seq, &o))
				continue;
			*ret_options = o;
			*ret_seq = seq;
			return true;
		}
	}
	return false;
}
