/*
 * A packet as the answer to a SYN cookie, and as a segment of either side of a joined connection. The first octets say how it is
 * joined. Options that are read are written and read again to the same; what is translated
 * there and back is what it was, and its checksum as right or wrong as before.
 */
#include "must.h"
#include "packets.h"
#include "screen/cookie.h"
#include "wire/tcp_join.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void written_again(const struct tcp_options *o)
{
	uint8_t packet[TCP_MADE_MAX];
	struct tcp_made m = { .flags = TCP_SYN, .hop_limit = 64, .options = *o };
	struct tcp_options again;

	MUST(addr_parse(&m.src, "192.0.2.1") == RC_OK && addr_parse(&m.dst, "192.0.2.2") == RC_OK);
	struct train t = { .ip = packet, .len = (uint32_t)tcp_make(packet, &m), .csum = TRAIN_CSUM_UNKNOWN };
	MUST(train_parse(&t) == DROP_NONE && train_verify_l4(&t) == DROP_NONE);
	tcp_options_read(&t, &again);
	MUST(again.mss == o->mss && again.scales == o->scales && again.scale == o->scale &&
		again.sack == o->sack && again.stamps == o->stamps && again.ts == o->ts &&
		again.ts_echo == o->ts_echo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t key[16] = "sixteen octets.";
	struct tcp_options o;
	uint32_t seq;

	if (n < 13 || n > 2000)
		return 0;
	struct tcp_join j = { .seq = load_be32(data),
		.ts = load_be32(data + 4),
		.scale = data[8] % 15,
		.flags = (uint8_t)(TCP_JOIN_ON | (data[9] & (TCP_JOIN_SCALES | TCP_JOIN_STAMPS))),
		.server_scale = data[10] % 15,
		.server = data[11] & (TCP_SERVER_SCALES | TCP_SERVER_SACK) };
	uint8_t *ip = malloc(n - 12);
	MUST(ip);
	memcpy(ip, data + 12, n - 12);
	size_t head = 4u * (ip[0] & 15);
	if (ip[0] >> 4 == 4 && head >= IP4_HEADER_SIZE && head < n - 12) {
		store_be16(ip + IP4_CSUM, 0);
		store_be16(ip + IP4_CSUM, plain_checksum(0, ip, head));
	}
	struct train t = { .ip = ip, .len = (uint32_t)n - 12, .csum = TRAIN_CSUM_UNKNOWN };
	if (train_parse(&t) == DROP_NONE && t.proto == IP_TCP && !(t.flags & TRAIN_FRAGMENT)) {
		tcp_options_read(&t, &o);
		written_again(&o);
		/* One guess in some millions is taken. */
		if (syn_cookie_check(key, &t, 100 * NS_PER_S, &o, &seq))
			MUST(o.mss >= 216 && o.scale <= TCP_SCALE_MAX && (tcp_seq(&t) - seq) <= 1);
		struct train before = t;
		bool right = train_verify_l4(&before) == DROP_NONE;
		uint32_t ack = tcp_ack(&t), own = tcp_seq(&t);
		tcp_join_from_client(&t, &j);
		MUST(tcp_seq(&t) == own && tcp_ack(&t) == (t.tcp_flags & TCP_ACK ? ack - j.seq : ack));
		tcp_join_from_server(&t, &j);
		MUST(tcp_seq(&t) == own + j.seq);
		struct train after = t;
		MUST((train_verify_l4(&after) == DROP_NONE) == right);
	}
	free(ip);
	return 0;
}
