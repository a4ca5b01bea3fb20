#include "carried_traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

void flow_new(struct flow *f, uint32_t n)
{
	static uint16_t port = 1000;

	*f = (struct flow){ .v6 = n & 1, .tcp = n % 4 < 2, .port = ++port };
	snprintf(f->server, sizeof f->server, f->v6 ? "2001:db8:77::%x" : "203.0.113.%u", n + 1);
}

struct fw_key flow_key(const struct flow *f)
{
	struct fw_key k = { .family = f->v6 ? ADDR_V6 : ADDR_V4,
		.proto = f->tcp ? IP_TCP : IP_UDP,
		.src_port = f->port,
		.dst_port = f->tcp ? 80 : 9 };
	struct ip_addr src, dst;

	assert_int_equal(addr_parse(&src, f->v6 ? "2001:db8:1::2" : "10.1.0.2"), RC_OK);
	assert_int_equal(addr_parse(&dst, f->server), RC_OK);
	memcpy(k.src, src.b, 16);
	memcpy(k.dst, dst.b, 16);
	return k;
}

/* Numbers near those that the ends would use now, most of them right. */
void tcp_numbers(struct packet_spec *s, const struct fw_session *session, uint32_t d)
{
	const struct fw_tcp_side *from = &session->tcp[d], *to = &session->tcp[1 - d];
	static const uint8_t flags[] = { TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_PSH,
		TCP_ACK | TCP_ECE, TCP_ACK | TCP_CWR, 0 };

	s->flags = flags[some(COUNT_OF(flags))];
	s->seq = from->end;
	s->ack = to->end;
	s->window = (uint16_t)(1 + some(65535));
	s->window_closed = some(50) == 0;
	switch (some(16)) {
	case 0: /* again */
		s->seq -= some(3000);
		break;
	case 1: /* one was lost, or reordered */
		s->seq += some(3000);
		s->ack -= some(3000);
		break;
	case 2: /* at the edges */
		s->seq = from->max_end + some(4) - 2;
		break;
	case 3:
		s->seq = from->end - to->max_window - (uint32_t)s->payload_n + some(4) - 2;
		break;
	case 4:
		s->ack = to->end + some(3);
		break;
	case 5:
		s->ack = to->end - MAX_OF(from->max_window, 66000u) + some(4) - 2;
		break;
	case 6: /* a stranger's guess */
		s->seq = next_random(&seed);
		s->ack = next_random(&seed);
		break;
	default:
		break;
	}
	if (some(200) == 0)
		s->flags = (uint8_t)(TCP_ACK | (some(2) ? TCP_FIN : TCP_RST));
	if (some(400) == 0)
		s->flags = TCP_SYN;
}

bool tcp_closes(struct packet_spec *s, const struct fw_session *session, uint32_t d)
{
	bool closing = session->state == FW_TCP_CLOSING;

	if (some(60) == 0) { /* the end that most connections of a short life have */
		s->flags = (uint8_t)(TCP_RST | (some(2) ? TCP_ACK : 0));
		s->seq = session->tcp[d].end;
		return true;
	}
	if (some(closing ? 3 : 60) > 0)
		return false;
	s->flags = (uint8_t)(TCP_ACK | (closing && some(2) ? 0 : TCP_FIN) | (some(10) ? 0 : TCP_PSH));
	s->seq = session->tcp[d].end - (fw_session_fin(session, d) && s->flags & TCP_FIN && some(4));
	s->ack = session->tcp[1 - d].end - (some(4) == 0);
	return true;
}

void oddities(struct train *t, bool v6)
{
	switch (some(60)) {
	case 0: /* a fragment, or what is no header */
		if (!v6)
			t->ip[6] |= 0x20;
		break;
	case 1:
		t->ip[v6 ? 7 : 8] = (uint8_t)some(3);
		break;
	case 2:
		t->ip[10] ^= 0x55; /* IPv4: the header's checksum */
		break;
	case 3:
		t->ip[1] ^= (uint8_t)(some(2) ? 3 : 0x20); /* the class */
		if (!v6)
			store_be16(t->ip + 10, 0), store_be16(t->ip + 10, plain_checksum(0, t->ip, 20));
		break;
	case 4: /* its own length is another one */
		store_be16(t->ip + (v6 ? 4 : 2), (uint16_t)(load_be16(t->ip + (v6 ? 4 : 2)) - some(30)));
		if (!v6)
			store_be16(t->ip + 10, 0), store_be16(t->ip + 10, plain_checksum(0, t->ip, 20));
		break;
	default:
		break;
	}
}

/* Of a SYN and of its answer. Once larger than what may be announced. */
void syn_options(struct packet_spec *s)
{
	static const uint8_t rows[][12] = { { 2, 4, 5, 160, 1, 3, 3, 7, 4, 2, 1, 1 },
		{ 2, 4, 5, 160, 4, 2, 1, 1, 1, 1, 1, 0 }, { 2, 4, 5, 180, 1, 3, 3, 20, 4, 2, 1, 1 },
		{ 2, 4, 35, 40, 1, 3, 3, 2, 1, 1, 4, 2 } };

	if (some(4) == 0)
		return;
	s->options = rows[some(COUNT_OF(rows))];
	s->options_n = sizeof *rows;
}
