#include "wire/tcp_options.h"
#include "base/wr.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK_PERMITTED = 4, OPTION_STAMPS = 8 };
enum { MSS_SIZE = 4, SCALE_SIZE = 3, SACK_PERMITTED_SIZE = 2, STAMPS_SIZE = 10 };

uint8_t *tcp_option_next(uint8_t *options, size_t n, size_t *at, size_t *ret_n)
{
	while (*at < n && options[*at] == OPTION_NOP)
		++*at;
	if (*at + 2 > n || options[*at] == OPTION_END || options[*at + 1] < 2 || options[*at + 1] > n - *at)
		return NULL;
	uint8_t *option = options + *at;
	*ret_n = option[1];
	*at += option[1];
	return option;
}

void tcp_options_read(const struct train *t, struct tcp_options *ret_options)
{
	size_t n = (size_t)t->payload_offset - t->l4_offset, at = 0, size;
	struct tcp_options *o = ret_options;
	uint8_t *option;

	assert(n >= TCP_HEADER_SIZE);
	*o = (struct tcp_options){ 0 };
	while ((option = tcp_option_next(
			t->ip + t->l4_offset + TCP_HEADER_SIZE, n - TCP_HEADER_SIZE, &at, &size))) {
		if (option[0] == TCP_OPTION_MSS && size == MSS_SIZE) {
			o->mss = load_be16(option + 2);
		} else if (option[0] == TCP_OPTION_WINDOW_SCALE && size == SCALE_SIZE) {
			o->scales = true;
			o->scale = MIN_OF(option[2], (uint8_t)TCP_SCALE_MAX);
		} else if (option[0] == OPTION_SACK_PERMITTED && size == SACK_PERMITTED_SIZE) {
			o->sack = true;
		} else if (option[0] == OPTION_STAMPS && size == STAMPS_SIZE) {
			o->stamps = true;
			o->ts = load_be32(option + 2);
			o->ts_echo = load_be32(option + 6);
		}
	}
}

/* In the order in which most senders have them, so that the fields are aligned without more fillers than needed. */
static void options_put(struct wr *w, const struct tcp_options *o)
{
	if (o->mss) {
		wr_u8(w, TCP_OPTION_MSS);
		wr_u8(w, MSS_SIZE);
		wr_u16(w, o->mss);
	}
	if (o->sack) {
		wr_u8(w, OPTION_SACK_PERMITTED);
		wr_u8(w, SACK_PERMITTED_SIZE);
	} else if (o->stamps) {
		wr_u16(w, OPTION_NOP << 8 | OPTION_NOP);
	}
	if (o->stamps) {
		wr_u8(w, OPTION_STAMPS);
		wr_u8(w, STAMPS_SIZE);
		wr_u32(w, o->ts);
		wr_u32(w, o->ts_echo);
	}
	if (o->scales) {
		wr_u8(w, TCP_OPTION_WINDOW_SCALE);
		wr_u8(w, SCALE_SIZE);
		wr_u8(w, o->scale);
	}
	while (wr_len(w) % 4 != 0)
		wr_u8(w, OPTION_NOP);
}

/* Returns where the header of TCP begins. */
static uint8_t *ip_put(uint8_t *ip, const struct tcp_made *m, size_t tcp_n)
{
	if (m->src.family == ADDR_V4) {
		memset(ip, 0, IP4_HEADER_SIZE);
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(IP4_HEADER_SIZE + tcp_n));
		store_be16(ip + 6, IP4_DF);
		ip[IP4_TTL] = m->hop_limit;
		ip[IP4_TTL + 1] = IP_TCP;
		memcpy(ip + IP4_SRC, m->src.b, 4);
		memcpy(ip + IP4_DST, m->dst.b, 4);
		uint16_t c = (uint16_t)~csum_fold(csum_add(0, ip, IP4_HEADER_SIZE));
		memcpy(ip + IP4_CSUM, &c, 2);
		return ip + IP4_HEADER_SIZE;
	}
	store_be32(ip, 0x60000000);
	store_be16(ip + 4, (uint16_t)tcp_n);
	ip[IP6_HOPS - 1] = IP_TCP;
	ip[IP6_HOPS] = m->hop_limit;
	memcpy(ip + IP6_SRC, m->src.b, 16);
	memcpy(ip + IP6_DST, m->dst.b, 16);
	return ip + IP6_HEADER_SIZE;
}

size_t tcp_make(uint8_t packet[TCP_MADE_MAX], const struct tcp_made *m)
{
	uint8_t options[TCP_MADE_MAX - IP6_HEADER_SIZE - TCP_HEADER_SIZE];
	struct wr o = wr_over(options, sizeof options);

	assert(m->src.family == m->dst.family && m->src.family != ADDR_NONE);
	options_put(&o, &m->options);
	assert(!o.bad);
	size_t tcp_n = TCP_HEADER_SIZE + wr_len(&o);
	uint8_t *tcp = ip_put(packet, m, tcp_n);
	memset(tcp, 0, TCP_HEADER_SIZE);
	store_be16(tcp, m->src_port);
	store_be16(tcp + 2, m->dst_port);
	store_be32(tcp + 4, m->seq);
	store_be32(tcp + 8, m->ack);
	tcp[12] = (uint8_t)(tcp_n / 4 << 4);
	tcp[13] = m->flags;
	store_be16(tcp + 14, m->window);
	memcpy(tcp + TCP_HEADER_SIZE, options, wr_len(&o));
	uint64_t sum = csum_pseudo(m->src.b, m->dst.b, addr_size(&m->src), IP_TCP, (uint32_t)tcp_n);
	uint16_t c = (uint16_t)~csum_fold(csum_add(sum, tcp, tcp_n));
	memcpy(tcp + TCP_CSUM, &c, 2);
	return (size_t)(tcp - packet) + tcp_n;
}
