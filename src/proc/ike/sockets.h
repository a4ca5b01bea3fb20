/*
 * The UDP sockets of ike: port 500 to receive and send, port 4500 to send only (what arrives there is passed
 * on by the data plane). Passed by the supervisor with IP_PKTINFO set; this process can only use them.
 */
#ifndef PROC_IKE_SOCKETS_H
#define PROC_IKE_SOCKETS_H

#include "base/addr.h"
#include "base/err.h"

#define IKE_PORT     500
#define IKE_NAT_PORT 4500 /* RFC 3948 */

struct ike_sockets {
	int plain[2], nat[2]; /* IPv4, IPv6; -1: none */
};

/*
 * The next datagram of a port-500 socket, with the scope of a link-local sender. RC_AGAIN: none now.
 * RC_RANGE: one that is longer than room, or without a local address; it has been dropped, continue.
 */
enum rc ike_socket_receive(int fd, struct endpoint *ret_local, struct endpoint *ret_remote, void *ret_bytes,
	size_t room, size_t *ret_n, struct err *e);

/* From local (its port selects the socket; ADDR_NONE: the kernel selects the address). marker: four zero
 * bytes in front on port 4500 (RFC 3948). */
enum rc ike_socket_send(const struct ike_sockets *s, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n, bool marker, struct err *e);

#endif
