#include "proc/ike/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control {
	struct cmsghdr align;
	uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void local_from(struct msghdr *m, struct endpoint *ret_local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo p;
			memcpy(&p, CMSG_DATA(c), sizeof p);
			ret_local->addr = addr_v4(&p.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo p;
			memcpy(&p, CMSG_DATA(c), sizeof p);
			ret_local->addr = addr_v6(&p.ipi6_addr);
		}
	}
}

enum rc ike_socket_receive(int fd, struct endpoint *ret_local, struct endpoint *ret_remote, void *ret_bytes,
	size_t room, size_t *ret_n, struct err *e)
{
	struct sockaddr_storage from;
	union control control;
	struct iovec v = { ret_bytes, room };
	struct msghdr m = { .msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	bool far = false; /* an interface with an index that does not fit into an endpoint */

	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? RC_AGAIN
			       : err_errno(e, RC_IO, "receive on port %d", IKE_PORT);
	*ret_local = (struct endpoint){ .port = IKE_PORT };
	*ret_remote = (struct endpoint){ 0 };
	local_from(&m, ret_local);
	if (from.ss_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)&from;
		ret_remote->addr = addr_v4(&a->sin_addr);
		ret_remote->port = ntohs(a->sin_port);
	} else {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)&from;
		ret_remote->addr = addr_v6(&a->sin6_addr);
		ret_remote->port = ntohs(a->sin6_port);
		/* A link-local address needs its interface: the response has to be sent there. */
		ret_remote->scope = (uint16_t)a->sin6_scope_id;
		far = a->sin6_scope_id > UINT16_MAX;
	}
	*ret_n = (size_t)n;
	return far || m.msg_flags & MSG_TRUNC || ret_local->addr.family != ret_remote->addr.family ? RC_RANGE
												   : RC_OK;
}

/* The source address, as ancillary data: the kernel would choose one by its routes, but the peer expects
 * the one that it sends to. */
static size_t local_put(union control *control, const struct ip_addr *local)
{
	bool v4 = local->family == ADDR_V4;
	struct cmsghdr *c = &control->align;
	struct in_pktinfo p4 = { 0 };
	struct in6_pktinfo p6 = { 0 };

	if (local->family == ADDR_NONE)
		return 0;
	memcpy(&p4.ipi_spec_dst, local->b, 4);
	memcpy(&p6.ipi6_addr, local->b, 16);
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = v4 ? CMSG_LEN(sizeof p4) : CMSG_LEN(sizeof p6);
	memcpy(CMSG_DATA(c), v4 ? (void *)&p4 : (void *)&p6, v4 ? sizeof p4 : sizeof p6);
	return v4 ? CMSG_SPACE(sizeof p4) : CMSG_SPACE(sizeof p6);
}

enum rc ike_socket_send(const struct ike_sockets *s, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n, bool marker, struct err *e)
{
	static const uint8_t non_esp_marker[4]; /* RFC 3948 section 2.2 */
	int family = remote->addr.family == ADDR_V6;
	bool nat = local->port == IKE_NAT_PORT;
	int fd = nat ? s->nat[family] : s->plain[family];
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(remote->port) };
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(remote->port), .sin6_scope_id = remote->scope
	};
	struct iovec v[2] = { { (void *)(uintptr_t)non_esp_marker,
				      nat && marker ? sizeof non_esp_marker : 0 },
		{ (void *)(uintptr_t)bytes, n } };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	char text[ENDPOINT_TEXT_MAX];

	memcpy(&a4.sin_addr, remote->addr.b, 4);
	memcpy(&a6.sin6_addr, remote->addr.b, 16);
	m.msg_name = family ? (void *)&a6 : (void *)&a4;
	m.msg_namelen = family ? sizeof a6 : sizeof a4;
	m.msg_controllen = local_put(&control, &local->addr);
	m.msg_control = m.msg_controllen ? &control : NULL;
	if (fd < 0)
		return err_add(e, RC_NOT_FOUND, "there is no socket for %s", endpoint_text(text, remote));
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return err_errno(e, RC_IO, "send to %s", endpoint_text(text, remote));
	return RC_OK;
}
