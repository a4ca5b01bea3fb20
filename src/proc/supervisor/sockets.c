/*
 * Every socket and device that a child holds. Options are set here, because the children may not:
 * setsockopt(2) is not in their sandboxes.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define IKE_PORT     500
#define NAT_PORT     4500 /* RFC 3948 */
#define ESP_PROTOCOL 50

#define BUFFER_LINK   (32 << 20) /* trains of 64 KB: some hundreds */
#define BUFFER_TUNNEL (16 << 20)
#define BUFFER_IKE    (4 << 20)
#define BUFFER_ROUTES (8 << 20)

#define FANOUT_IGNORE_OUTGOING 0x4000 /* PACKET_FANOUT_FLAG_IGNORE_OUTGOING, Linux 6.2 */

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static void buffers(int fd, int bytes)
{
	/* Without the privilege for more the machine's limit holds, and the buffer is smaller. */
	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes))
		set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
	if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes))
		set(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

static enum rc keep(struct supervisor *s, enum proc holder, enum resource kind, uint32_t index,
	const char *name, int fd, struct err *e)
{
	return resource_add(s, holder, kind, index, name, fd) >= 0
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "too many resources");
}

/* For another worker than the first; a data plane that runs gets it. */
static enum rc keep_for(struct supervisor *s, uint32_t worker, enum resource kind, uint32_t index,
	const char *name, int fd, struct err *e)
{
	int i = resource_add(s, PROC_DATAPLANE, kind, index, name, fd);

	if (i < 0)
		return err_add(e, RC_LIMIT, "too many resources");
	s->resources[i].m.worker = worker;
	resource_give(s, &s->resources[i]);
	return RC_OK;
}

/*
 * What all sockets towards other gateways have: the address a packet came to (and is sent from), a mark that
 * keeps their own packets out of tunnels. discover: IP_PMTUDISC_DO for ESP, so that too large a packet is an
 * error and not fragments; IP_PMTUDISC_DONT for IKE, whose messages may be larger than the path (RFC 7296
 * section 2).
 */
static bool outside(int fd, int family, bool esp)
{
	bool ok = set(fd, SOL_SOCKET, SO_MARK, OWN_MARK);

	/* The outer traffic class carries congestion marks (RFC 6040). */
	if (family == 4)
		return ok && set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
		       (!esp || set(fd, IPPROTO_IP, IP_RECVTOS, 1)) &&
		       set(fd, IPPROTO_IP, IP_MTU_DISCOVER, esp ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	return ok && set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       (!esp || set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1)) &&
	       set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, esp ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
}

static bool bind_port(int fd, int family, uint16_t port)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	return family == 4 ? bind(fd, (struct sockaddr *)&a4, sizeof a4) == 0
			   : bind(fd, (struct sockaddr *)&a6, sizeof a6) == 0;
}

static int udp_new(int family, bool esp, struct err *e)
{
	int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
		(!outside(fd, family, esp) || (family == 6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)))) {
		int saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
	if (fd < 0)
		err_errno(e, RC_IO, "make a UDP socket for IPv%d", family);
	return fd;
}

/*
 * A port that stays in use belongs to another IKE daemon. For a moment it may be that of children of a
 * supervisor that was just killed: they end with it, but not at once.
 */
static enum rc port_wait(int family, uint16_t port, struct err *e)
{
	for (int tries = 0;; tries++) {
		int fd = udp_new(family, false, e);
		if (fd < 0)
			return RC_IO;
		bool free = bind_port(fd, family, port);
		int saved = errno;
		close(fd);
		errno = saved;
		if (free)
			return RC_OK;
		if (errno != EADDRINUSE || tries == 30)
			return err_errno(e, RC_IO, "bind UDP port %u", port);
		usleep(100000);
	}
}

static enum rc open_ike(struct supervisor *s, int family, struct err *e)
{
	enum rc rc = port_wait(family, IKE_PORT, e);
	if (rc != RC_OK)
		return rc;
	int fd = udp_new(family, false, e);
	if (fd < 0)
		return RC_IO;
	buffers(fd, BUFFER_IKE);
	if (!bind_port(fd, family, IKE_PORT)) {
		err_errno(e, RC_IO, "bind UDP port %u", IKE_PORT);
		close(fd);
		return RC_IO;
	}
	return keep(s, PROC_IKE, RESOURCE_IKE_SOCKET, (uint32_t)family, "udp-500", fd, e);
}

/*
 * Port 4500 twice: the data plane's socket receives all, ike's only sends. Two sockets on one port are a
 * group of which the kernel picks one for each packet; the one-instruction program picks the first that was
 * bound, always. Receive offload looks the socket up without asking the program: it must find the packets
 * welcome in trains by either socket. Those of further workers join the group when there are such, in their order; the
 * data plane then replaces the program.
 */
static enum rc open_nat(struct supervisor *s, int family, struct err *e)
{
	struct sock_filter first[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = 1, .filter = first };
	enum rc rc = port_wait(family, NAT_PORT, e);

	if (rc != RC_OK)
		return rc;
	int esp = udp_new(family, true, e), ike = udp_new(family, false, e);
	if (esp < 0 || ike < 0)
		goto failed;
	buffers(esp, BUFFER_TUNNEL);
	buffers(ike, BUFFER_IKE);
	if (!set(esp, SOL_SOCKET, SO_REUSEPORT, 1) || !set(ike, SOL_SOCKET, SO_REUSEPORT, 1) ||
		!set(esp, IPPROTO_UDP, UDP_GRO, 1) || !set(ike, IPPROTO_UDP, UDP_GRO, 1) ||
		!bind_port(esp, family, NAT_PORT) ||
		setsockopt(esp, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0 ||
		!bind_port(ike, family, NAT_PORT)) {
		err_errno(e, RC_IO, "bind UDP port %u", NAT_PORT);
		goto failed;
	}
	rc = keep(s, PROC_DATAPLANE, RESOURCE_ESP_UDP_SOCKET, (uint32_t)family, "udp-4500", esp, e);
	if (rc == RC_OK)
		return keep(s, PROC_IKE, RESOURCE_NAT_SOCKET, (uint32_t)family, "udp-4500-send", ike, e);
	esp = -1; /* it is kept, or closed already */
failed:
	if (esp >= 0)
		close(esp);
	if (ike >= 0)
		close(ike);
	return RC_IO;
}

static enum rc open_nat_for(struct supervisor *s, uint32_t worker, int family, struct err *e)
{
	int fd = udp_new(family, true, e);

	if (fd < 0)
		return RC_IO;
	buffers(fd, BUFFER_TUNNEL);
	if (!set(fd, SOL_SOCKET, SO_REUSEPORT, 1) || !set(fd, IPPROTO_UDP, UDP_GRO, 1) ||
		!bind_port(fd, family, NAT_PORT)) {
		err_errno(e, RC_IO, "bind UDP port %u", NAT_PORT);
		close(fd);
		return RC_IO;
	}
	return keep_for(s, worker, RESOURCE_ESP_UDP_SOCKET, (uint32_t)family, "udp-4500", fd, e);
}

/* closed: nothing is received by it until another filter replaces this one. What comes before that comes by another
 * socket too, and is refused as a replay there. */
static int esp_new(int family, bool closed, struct err *e)
{
	struct sock_filter none[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = 1, .filter = none };
	int fd = socket(
		family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, ESP_PROTOCOL);

	if (fd >= 0 && outside(fd, family, true) &&
		(!closed || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0)) {
		buffers(fd, BUFFER_TUNNEL);
		return fd;
	}
	err_errno(e, RC_IO, "make a raw socket for ESP over IPv%d", family);
	if (fd >= 0)
		close(fd);
	return -1;
}

static enum rc open_esp(struct supervisor *s, int family, struct err *e)
{
	int fd = esp_new(family, false, e);

	return fd < 0 ? RC_IO : keep(s, PROC_DATAPLANE, RESOURCE_ESP_SOCKET, (uint32_t)family, "esp", fd, e);
}

static enum rc open_esp_for(struct supervisor *s, uint32_t worker, int family, struct err *e)
{
	int fd = esp_new(family, true, e);

	return fd < 0 ? RC_IO : keep_for(s, worker, RESOURCE_ESP_SOCKET, (uint32_t)family, "esp", fd, e);
}

/* Segments of up to 64 KB with unfinished checksums may pass in both directions. */
static enum rc tun_attach(int fd, const char *name, struct err *e)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	const unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	for (int tries = 0; ioctl(fd, TUNSETIFF, &r) < 0; tries++) {
		/* for a moment it may still be held by children of a supervisor that was killed */
		if (errno != EBUSY || tries == 30)
			return err_errno(e, RC_IO, "make the device %s", name);
		usleep(100000);
	}
	if (ioctl(fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) < 0 &&
		ioctl(fd, TUNSETOFFLOAD, base) < 0)
		return err_errno(e, RC_IO, "set the offloads of %s", name);
	return RC_OK;
}

static enum rc interface_set(
	const char *name, unsigned long what, struct ifreq *r, const char *text, struct err *e)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enum rc rc = RC_OK;

	snprintf(r->ifr_name, sizeof r->ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, what, r) < 0)
		rc = err_errno(e, RC_IO, "%s %s", text, name);
	if (fd >= 0)
		close(fd);
	return rc;
}

enum rc mtu_set(const char *name, uint32_t mtu, struct err *e)
{
	struct ifreq r = { .ifr_mtu = (int)mtu };

	return interface_set(name, SIOCSIFMTU, &r, "set the MTU of", e);
}

/* No link-local address, no router solicitations: there is no link on the other side. */
static void no_link_local(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/addr_gen_mode", name);
	int gen = open(path, O_WRONLY | O_CLOEXEC);
	if (gen < 0)
		return;
	if (write(gen, "1", 1) < 0)
		log_warn("set addr_gen_mode of %s: %m", name);
	close(gen);
}

int tun_open(const char *name, uint32_t mtu, struct err *e)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq up = { .ifr_flags = IFF_UP };

	if (fd < 0) {
		err_errno(e, RC_IO, "open '/dev/net/tun'");
		return -1;
	}
	enum rc rc = tun_attach(fd, name, e);
	if (rc == RC_OK && strcmp(name, TUN_NAME) == 0)
		no_link_local(name);
	if (rc == RC_OK)
		rc = mtu_set(name, mtu, e);
	if (rc == RC_OK)
		rc = interface_set(name, SIOCSIFFLAGS, &up, "bring up", e);
	if (rc == RC_OK)
		return fd;
	close(fd);
	return -1;
}

static enum rc open_tun(struct supervisor *s, struct err *e)
{
	int fd = tun_open(TUN_NAME, TUN_MTU, e);

	return fd < 0 ? RC_IO
		      : keep(s, PROC_DATAPLANE, RESOURCE_TUN, if_nametoindex(TUN_NAME), TUN_NAME, fd, e);
}

/* Read only in fact: a change needs CAP_NET_ADMIN of whoever sends it, and the data plane has none. */
static enum rc open_routes(struct supervisor *s, struct err *e)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
			     1u << (RTNLGRP_IPV6_RULE - 1) };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		err_errno(e, RC_IO, "make the rtnetlink socket");
		if (fd >= 0)
			close(fd);
		return RC_IO;
	}
	buffers(fd, BUFFER_ROUTES);
	set(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	return keep(s, PROC_DATAPLANE, RESOURCE_ROUTES, 0, "rtnetlink", fd, e);
}

/* A machine without IPv6 has no such sockets. */
static int last_family(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0 ? 6 : 4;
}

enum rc sockets_open(struct supervisor *s, struct err *e)
{
	int last = last_family();
	enum rc rc = RC_OK;

	for (int family = 4; family <= last && rc == RC_OK; family += 2) {
		rc = open_ike(s, family, e);
		if (rc == RC_OK)
			rc = open_nat(s, family, e);
		if (rc == RC_OK)
			rc = open_esp(s, family, e);
	}
	if (rc == RC_OK)
		rc = open_tun(s, e);
	s->tunnel_workers = 1;
	return rc == RC_OK ? open_routes(s, e) : rc;
}

void sockets_for_workers(struct supervisor *s, uint32_t n)
{
	int last = last_family();
	enum rc rc = RC_OK;
	struct err e = { 0 };

	for (; s->tunnel_workers < n && rc == RC_OK; s->tunnel_workers += rc == RC_OK)
		for (int family = 4; family <= last && rc == RC_OK; family += 2) {
			rc = open_nat_for(s, s->tunnel_workers, family, &e);
			if (rc == RC_OK)
				rc = open_esp_for(s, s->tunnel_workers, family, &e);
		}
	if (rc == RC_OK)
		return;
	log_warn("tunnels are read by the first %u workers alone: %s", s->tunnel_workers, e.text);
	s->tunnel_workers = WORKERS_MAX; /* another one would not have its place in the group */
}

static enum rc describe(int fd, const char *name, uint8_t ret_mac[6], uint16_t *ret_mtu, struct err *e)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	if (ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		return err_errno(e, RC_IO, "read the link address of %s", name);
	memcpy(ret_mac, r.ifr_hwaddr.sa_data, 6);
	if (ioctl(fd, SIOCGIFMTU, &r) < 0)
		return err_errno(e, RC_IO, "read the MTU of %s", name);
	*ret_mtu = (uint16_t)MIN_OF(r.ifr_mtu, UINT16_MAX);
	return RC_OK;
}

/*
 * Bound to ETH_P_ALL: those taps come before the ingress hook, so that this socket sees what the ingress
 * filter then takes away from the kernel. Bound last: nothing is queued before all options stand.
 * Never with PACKET_RX_RING: where a frame comes whose offload no virtio header describes, as a virtual machine may send it,
 * the kernel leaves the ring's next place taken, and the socket receives nothing any more (seen with Linux 6.18). Here such a
 * frame is one error of recvmmsg().
 * Never with PACKET_QDISC_BYPASS: what is sent would pass by the interface's queueing discipline, and with it shaping and
 * the classes that administrators make of code points.
 */
static enum rc packet_socket(const char *name, uint32_t index, bool closed, int *ret_fd, uint8_t ret_mac[6],
	uint16_t *ret_mtu, struct err *e)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)index
	};
	struct sock_filter none[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = 1, .filter = none };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, RC_IO, "make a socket for %s", name);
	enum rc rc = describe(fd, name, ret_mac, ret_mtu, e);
	buffers(fd, BUFFER_LINK);
	if (rc == RC_OK && (!set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) ||
				   !set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
				   /* the only place where a VLAN tag is seen */
				   !set(fd, SOL_PACKET, PACKET_AUXDATA, 1)))
		rc = err_errno(e, RC_IO, "set the options of the socket for %s", name);
	if (rc == RC_OK && closed &&
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
		rc = err_errno(e, RC_IO, "close the socket for %s until it is in its group", name);
	if (rc == RC_OK && bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		rc = err_errno(e, RC_IO, "bind to %s", name);
	if (rc != RC_OK) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return RC_OK;
}

/* The first one makes the group, with a number that the kernel chooses. */
static bool group_join(int fd, bool first, int *group, int flags)
{
	socklen_t n = sizeof *group;

	if (!first)
		return set(fd, SOL_PACKET, PACKET_FANOUT, *group);
	if (!set(fd, SOL_PACKET, PACKET_FANOUT,
		    (PACKET_FANOUT_CBPF | flags | PACKET_FANOUT_FLAG_UNIQUEID) << 16) ||
		getsockopt(fd, SOL_PACKET, PACKET_FANOUT, group, &n) < 0)
		return false;
	*group = (*group & 0xffff) | (PACKET_FANOUT_CBPF | flags) << 16;
	return true;
}

/*
 * They join in the order of the workers, whose numbers the program then says (wire/flow.h); the data plane loads it, until
 * then all packets are the first one's. A socket outside of the group would get a copy of each packet: until all are in it,
 * each is closed by a filter. Kernels before 6.2 cannot leave out what the gateway sends itself: the data plane's filters do.
 */
static bool group_make(const int *fds, uint32_t n)
{
	int group = 0, flags = FANOUT_IGNORE_OUTGOING;

	if (!group_join(fds[0], true, &group, flags)) {
		flags = 0;
		if (!group_join(fds[0], true, &group, flags))
			return false;
	}
	for (uint32_t i = 1; i < n; i++)
		if (!group_join(fds[i], false, &group, flags))
			return false;
	for (uint32_t i = 0; i < n; i++)
		if (!set(fds[i], SOL_SOCKET, SO_DETACH_FILTER, 0))
			return false;
	return true;
}

enum rc packet_sockets(const char *name, uint32_t index, uint32_t n, int ret_fds[WORKERS_MAX],
	uint8_t ret_mac[6], uint16_t *ret_mtu, struct err *e)
{
	enum rc rc = RC_OK;
	uint32_t made = 0;

	while (made < n && rc == RC_OK) {
		rc = packet_socket(name, index, n > 1, &ret_fds[made], ret_mac, ret_mtu, e);
		made += rc == RC_OK;
	}
	if (rc == RC_OK && n > 1 && !group_make(ret_fds, n))
		rc = err_errno(e, RC_IO, "join the sockets of %s in a group", name);
	if (rc == RC_OK)
		return RC_OK;
	while (made > 0)
		close(ret_fds[--made]);
	return rc;
}
