/* Requests to rtnetlink, one at a time, each with its answer. Used by routes.c. */
#ifndef PROC_SUPERVISOR_NETLINK_H
#define PROC_SUPERVISOR_NETLINK_H

#include "base/addr.h"

#include <libmnl/libmnl.h>

/* A socket for requests; -1 and errno. */
int netlink_open(void);

/* A message under construction; `room` holds it. */
struct nlmsghdr *netlink_begin(void *room, uint16_t type, uint16_t flags);
void netlink_put_addr(struct nlmsghdr *h, uint16_t type, const struct ip_addr *a);

/* Sends with NLM_F_ACK and waits for the kernel's answer, which comes at once. 0 or an errno. */
int netlink_ask(int fd, struct nlmsghdr *h);

/* A dump: each message of the answer goes to fn, which must not use fd itself. 0 or an errno. */
int netlink_dump(
	int fd, struct nlmsghdr *h, void (*fn)(void *context, const struct nlmsghdr *m), void *context);

#endif
