/* Numbers of two joined handshakes. Checksums follow by the difference, so a wrong one stays wrong for the receiver to see. */
#include "wire/tcp_join.h"
#include "wire/ip.h"
#include "wire/payload.h"
#include "wire/tcp_options.h"

#include <assert.h>

enum { TCP_SEQ = 4, TCP_ACK_NUMBER = 8, TCP_WINDOW = 14, TCP_HEADER_MAX = 60 };
enum { OPTION_NOP = 1, OPTION_SACK = 5, OPTION_STAMPS = 8, STAMPS_SIZE = 10, SACK_BLOCK_SIZE = 8 };

static uint16_t scaled(uint32_t window, uint32_t from, uint32_t to)
{
	uint64_t octets = ((uint64_t)window << from) >> to;

	return (uint16_t)MIN_OF(octets, (uint64_t)UINT16_MAX);
}

static uint16_t window_to_server(uint16_t window, const struct tcp_join *j)
{
	bool plain = j->flags & TCP_JOIN_SCALES && !(j->server & TCP_SERVER_SCALES);

	return plain ? scaled(window, j->scale, 0) : window;
}

/* To the next lower multiple: the server has not allowed more. */
static uint16_t window_to_client(uint16_t window, const struct tcp_join *j)
{
	if (!(j->flags & TCP_JOIN_SCALES))
		return window;
	return scaled(window, j->server & TCP_SERVER_SCALES ? j->server_scale : 0, TCP_JOIN_SCALE);
}

static void add(uint8_t *at, uint32_t n)
{
	store_be32(at, load_be32(at) + n);
}

/* Blocks of a receiver that counts more; a sender that has not permitted them does not see them. */
static void sack(uint8_t *option, size_t n, const struct tcp_join *j)
{
	if ((n - 2) % SACK_BLOCK_SIZE != 0)
		return;
	if (!(j->server & TCP_SERVER_SACK)) {
		memset(option, OPTION_NOP, n);
		return;
	}
	for (size_t i = 2; i + 4 <= n; i += 4)
		add(option + i, 0 - j->seq);
}

static uint8_t *header_of(const struct train *t, uint8_t ret_was[TCP_HEADER_MAX], size_t *ret_n)
{
	*ret_n = (size_t)t->payload_offset - t->l4_offset;
	assert(*ret_n >= TCP_HEADER_SIZE && *ret_n <= TCP_HEADER_MAX);
	memcpy(ret_was, t->ip + t->l4_offset, *ret_n);
	return t->ip + t->l4_offset;
}

void tcp_join_from_client(struct train *t, const struct tcp_join *j)
{
	uint8_t was[TCP_HEADER_MAX], *option;
	size_t n, at = 0, size;
	uint8_t *l4 = header_of(t, was, &n);

	if (t->tcp_flags & TCP_ACK)
		add(l4 + TCP_ACK_NUMBER, 0 - j->seq);
	store_be16(l4 + TCP_WINDOW, window_to_server(load_be16(l4 + TCP_WINDOW), j));
	while ((option = tcp_option_next(l4 + TCP_HEADER_SIZE, n - TCP_HEADER_SIZE, &at, &size))) {
		if (option[0] == OPTION_SACK)
			sack(option, size, j);
		else if (option[0] == OPTION_STAMPS && size == STAMPS_SIZE && j->flags & TCP_JOIN_STAMPS &&
			 t->tcp_flags & TCP_ACK)
			add(option + 6, 0 - j->ts);
	}
	train_tcp_header_changed(t, was);
}

void tcp_join_from_server(struct train *t, const struct tcp_join *j)
{
	uint8_t was[TCP_HEADER_MAX], *option;
	size_t n, at = 0, size;
	uint8_t *l4 = header_of(t, was, &n);

	add(l4 + TCP_SEQ, j->seq);
	store_be16(l4 + TCP_WINDOW, window_to_client(load_be16(l4 + TCP_WINDOW), j));
	while ((option = tcp_option_next(l4 + TCP_HEADER_SIZE, n - TCP_HEADER_SIZE, &at, &size)))
		if (option[0] == OPTION_STAMPS && size == STAMPS_SIZE && j->flags & TCP_JOIN_STAMPS)
			add(option + 2, j->ts);
	train_tcp_header_changed(t, was);
}
