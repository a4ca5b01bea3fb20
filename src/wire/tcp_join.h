/*
 * Two handshakes of TCP that the gateway has made one connection of: it answered the client's SYN in the server's place and
 * opened towards the server in the client's. The client's own numbers are its own on both sides; those that the gateway gave it
 * in the server's place are not the server's, and differ from them by the same amount as long as the connection lasts.
 */
#ifndef WIRE_TCP_JOIN_H
#define WIRE_TCP_JOIN_H

#include "wire/train.h"

/* The scale of windows that the gateway announces in a server's place before it knows the server's: windows of up to 8 MB, to
 * 128 octets. */
#define TCP_JOIN_SCALE 7

enum tcp_join_flags { /* apart from those of struct fw_tcp_side, whose place it has in a session */
	TCP_JOIN_ON = 1 << 4,
	TCP_JOIN_OPENING =
		1
		<< 5, /* the server has not answered: seq and ts are the numbers that the client was given */
	TCP_JOIN_SCALES = 1 << 6, /* the client scales windows, and was told TCP_JOIN_SCALE */
	TCP_JOIN_STAMPS = 1 << 7,
};

enum tcp_join_server { TCP_SERVER_SCALES = 1 << 0, TCP_SERVER_SACK = 1 << 1 };

struct tcp_join {
	uint32_t seq; /* what the client counts more than the server has sent, modulo 2^32 */
	uint32_t ts;  /* the same of the server's timestamps */
	uint32_t zero[2];
	uint8_t scale;		      /* the client's */
	uint8_t flags;		      /* enum tcp_join_flags */
	uint8_t server_scale, server; /* enum tcp_join_server */
};

/* A segment of the client: acknowledgements, SACK, echoes of timestamps and the window become the server's. */
void tcp_join_from_client(struct train *t, const struct tcp_join *j);
/* One of the server: its number, timestamp and window become the client's. */
void tcp_join_from_server(struct train *t, const struct tcp_join *j);
#endif
