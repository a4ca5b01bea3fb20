/* The kernel's settings in this network namespace: it acts as a host, never as a router. */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

static enum rc sysctl(const char *name, const char *value, struct err *e)
{
	char path[256];

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return RC_OK; /* this kernel does not have it (IPv6 is switched off) */
	bool done = fd >= 0 && write(fd, value, strlen(value)) >= 0;
	if (fd >= 0)
		close(fd);
	return done ? RC_OK : err_errno(e, RC_IO, "set %s to %s", path, value);
}

enum rc kernel_no_forwarding(struct err *e)
{
	enum rc rc = sysctl("ipv4/ip_forward", "0", e);

	return rc == RC_OK ? sysctl("ipv6/conf/all/forwarding", "0", e) : rc;
}

/*
 * A connection of the host begins with its SYN. What the host sends in the midst of one may be a service's
 * answer to a client for which the service is closed now, or which came before the filter: it makes no entry
 * in the table of connections, so that nothing comes back. The kernel has this setting once a rule set uses
 * connection tracking.
 */
enum rc kernel_tracking(struct err *e)
{
	return sysctl("netfilter/nf_conntrack_tcp_loose", "0", e);
}

static void sysctl_try(const char *name, const char *value)
{
	struct err e = { 0 };

	if (sysctl(name, value, &e) != RC_OK)
		log_warn("%s", e.text);
}

/*
 * rp_filter off: what comes for the host through a tunnel arrives on pg0, where the kernel's routes do not
 * point; the data plane checks sources itself. Redirects neither sent nor taken: routes come from the
 * administrator and his daemons.
 *
 * An ICMP error that says "too big" may come from anyone and cannot be told from a true one. Down to the
 * kernel's own floor of 552 octets it would stop every tunnel whose inner packets have 576, so the floor is
 * what every path carries that carries IPv6.
 */
#define PATH_MTU_FLOOR "1280"

static bool takes_advertisements(const struct snapshot *snap, const char *interface)
{
	for (uint32_t i = 0; i < snap->interfaces.count; i++) {
		const struct snap_interface *in = &snap_interfaces(snap)[i];
		if (strcmp(in->name, interface) == 0 &&
			snap_self_access(snap, in->zone, 58, 134, NULL) != SELF_CLOSED)
			return true;
	}
	return false;
}

/*
 * Router advertisements are taken by default where forwarding is off, so a host on a link, of a zone
 * or of none, could give the gateway a default route, and all zones' traffic with it. Zones that name the
 * service keep what the administrator has set; for links to come there is the filter.
 */
static void router_advertisements(const struct snapshot *snap)
{
	struct if_nameindex *links = if_nameindex();
	char name[128];

	for (const struct if_nameindex *l = links; l && l->if_name; l++) {
		if (takes_advertisements(snap, l->if_name))
			continue;
		snprintf(name, sizeof name, "ipv6/conf/%s/accept_ra", l->if_name);
		sysctl_try(name, "0");
	}
	if (links)
		if_freenameindex(links);
}

void kernel_settings(struct supervisor *s)
{
	const struct snapshot *snap = s->snapshot;
	char name[128], range[32];
	struct err e = { 0 };

	snprintf(range, sizeof range, "%u %u", snap->host_port_first, snap->host_port_last);
	sysctl_try("ipv4/ip_local_port_range", range);
	sysctl_try("ipv4/conf/all/rp_filter", "0");
	sysctl_try("ipv4/conf/" TUN_NAME "/rp_filter", "0");
	sysctl_try("ipv4/conf/all/accept_redirects", "0");
	sysctl_try("ipv4/conf/all/send_redirects", "0");
	sysctl_try("ipv4/route/min_pmtu", PATH_MTU_FLOOR);
	/* As route/ does: of two uplinks the kernel would send IKE and ESP into the one whose cable is pulled. */
	sysctl_try("ipv4/conf/all/ignore_routes_with_linkdown", "1");
	sysctl_try("ipv6/conf/all/ignore_routes_with_linkdown", "1");
	if (kernel_tracking(&e) != RC_OK)
		log_warn("%s", e.text);
	router_advertisements(snap);
	for (size_t i = 0; i < s->interfaces_n; i++) {
		if (!s->interfaces[i].index)
			continue;
		snprintf(name, sizeof name, "ipv4/conf/%s/rp_filter", s->interfaces[i].name);
		sysctl_try(name, "0");
		snprintf(name, sizeof name, "ipv4/conf/%s/accept_redirects", s->interfaces[i].name);
		sysctl_try(name, "0");
		snprintf(name, sizeof name, "ipv6/conf/%s/accept_redirects", s->interfaces[i].name);
		sysctl_try(name, "0");
	}
}
