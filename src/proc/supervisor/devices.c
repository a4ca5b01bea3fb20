/*
 * Interfaces of tunnels: a TUN device for each tunnel of the configuration that names one. It is the kernel's link like any other,
 * with what addresses and routes the administrator and his daemons give it; the data plane has what is sent by it. It lives as
 * long as a supervisor has a configuration with it, whatever happens to the data plane. Its carrier is what the data plane says.
 *
 * One that a configuration has no longer stays until the data plane decides by that configuration, too. Its routes go with it: what
 * they lead into the tunnel would take the default route while the former policy, which may permit that, still decides.
 *
 * Its MTU is the tunnel's in the configuration, else one that fits every usual path, and does not follow the path: OSPF compares the
 * MTU of both ends (RFC 2328 section 10.6).
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define START_TRIES 30 /* of 100 ms: devices of a supervisor that was killed end with its children */
#define GONE_TRIES  5  /* the same: the data plane closes what went with the configuration before */

static struct open_resource *device_named(struct supervisor *s, const char *name)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		if (s->resources[i].fd >= 0 && s->resources[i].m.kind == RESOURCE_TUNNEL_DEVICE &&
			strcmp(s->resources[i].m.name, name) == 0)
			return &s->resources[i];
	return NULL;
}

/* It may have been removed, and another one have its name. */
static bool still_there(const struct open_resource *r)
{
	return if_nametoindex(r->m.name) == r->m.index;
}

static bool is_ours(const struct supervisor *s, const char *name)
{
	const struct open_resource *r = device_named((struct supervisor *)(uintptr_t)s, name);

	return r && still_there(r);
}

/* How many there will be at once, with those that the configuration before still has. */
static enum rc devices_count(const struct supervisor *s, const struct snapshot *next, struct err *e)
{
	uint32_t n = 0;

	for (size_t i = 0; i < RESOURCES_MAX; i++)
		n += s->resources[i].fd >= 0 && s->resources[i].m.kind == RESOURCE_TUNNEL_DEVICE;
	for (uint32_t i = 0; i < next->tunnels.count; i++)
		n += snap_tunnel_is_routed(&snap_tunnels(next)[i]) &&
		     !is_ours(s, snap_tunnels(next)[i].interface);
	return n <= TUNNEL_DEVICES_MAX
		       ? RC_OK
		       : err_add(e, RC_AGAIN,
				 "%u interfaces of tunnels would be there at once, more than %d, while the data plane still has those of the configuration before: commit again in some seconds",
				 n, TUNNEL_DEVICES_MAX);
}

enum rc devices_check(const struct supervisor *s, const struct snapshot *next, struct err *e)
{
	for (uint32_t i = 0; i < next->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(next)[i];
		if (!snap_tunnel_is_routed(t))
			continue;
		if (!interface_name_ok(t->interface))
			return err_add(e, RC_MALFORMED, "'%s' is not the name of an interface", t->interface);
		for (int tries = s->snapshot ? GONE_TRIES : START_TRIES;
			tries > 0 && !is_ours(s, t->interface) && if_nametoindex(t->interface) != 0; tries--)
			usleep(100000);
		if (!is_ours(s, t->interface) && if_nametoindex(t->interface) != 0)
			return err_add(e, RC_EXISTS,
				"interface %s of tunnel '%s' exists on this machine already: name one that does not, plaingated makes it",
				t->interface, t->name);
	}
	return devices_count(s, next, e);
}

static bool device_wanted(const struct snapshot *snap, const char *name)
{
	for (uint32_t i = 0; i < snap->tunnels.count; i++)
		if (strcmp(snap_tunnels(snap)[i].interface, name) == 0)
			return true;
	return false;
}

static void carrier_set(const struct open_resource *r, unsigned up)
{
	if (ioctl(r->fd, TUNSETCARRIER, &up) < 0)
		log_warn("set the carrier of %s: %m", r->m.name);
}

/* As interfaces of zones have it (kernel.c). */
static void device_settings(const char *name)
{
	static const struct {
		const char *family, *leaf;
	} off[] = { { "ipv4", "rp_filter" }, { "ipv4", "accept_redirects" }, { "ipv6", "accept_redirects" },
		{ "ipv6", "accept_ra" } };
	char path[128];

	for (size_t i = 0; i < COUNT_OF(off); i++) {
		snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", off[i].family, name, off[i].leaf);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* no IPv6 */
		if (write(fd, "0", 1) < 0)
			log_warn("set %s to 0: %m", path);
		close(fd);
	}
}

static enum rc device_open(struct supervisor *s, const struct snap_tunnel *t, uint32_t mtu, struct err *e)
{
	int fd = tun_open(t->interface, mtu, e);
	uint32_t index = fd >= 0 ? if_nametoindex(t->interface) : 0;

	if (fd < 0)
		return RC_IO;
	int i = resource_add(s, PROC_DATAPLANE, RESOURCE_TUNNEL_DEVICE, index, t->interface, fd);
	if (i < 0)
		return err_add(e, RC_LIMIT, "too many resources");
	device_settings(t->interface);
	carrier_set(&s->resources[i], 0);
	resource_give(s, &s->resources[i]);
	log_info("interface %s of tunnel '%s' is made: index %u, MTU %u", t->interface, t->name, index, mtu);
	return RC_OK;
}

/* Those that are gone, and those that neither this configuration nor the data plane has. */
static void devices_remove(struct supervisor *s)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++) {
		struct open_resource *r = &s->resources[i];
		if (r->fd < 0 || r->m.kind != RESOURCE_TUNNEL_DEVICE)
			continue;
		bool there = still_there(r);
		if (there &&
			(device_wanted(s->snapshot, r->m.name) || r->unused_in < s->snapshot->generation))
			continue;
		log_info("interface %s is removed: %s", r->m.name,
			there ? "no tunnel has it any more" : "somebody has removed it");
		resource_remove(s, r);
	}
}

enum rc devices_apply(struct supervisor *s, struct err *e)
{
	enum rc rc = RC_OK;

	devices_remove(s);
	for (uint32_t i = 0; i < s->snapshot->tunnels.count && rc == RC_OK; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s->snapshot)[i];
		uint32_t mtu = t->mtu ? t->mtu : TUN_MTU;
		if (snap_tunnel_is_routed(t))
			rc = is_ours(s, t->interface) ? mtu_set(t->interface, mtu, e)
						      : device_open(s, t, mtu, e);
	}
	return rc;
}

void carrier_take(struct supervisor *s, const struct msg_carrier *m)
{
	struct open_resource *r = resource_find(s, RESOURCE_TUNNEL_DEVICE, m->link);

	if (!r || m->carrier >= CARRIER_COUNT) /* it is gone meanwhile */
		return;
	if (m->carrier != CARRIER_UNUSED) {
		carrier_set(r, m->carrier == CARRIER_UP);
		return;
	}
	r->unused_in = m->generation;
	if (s->snapshot)
		devices_remove(s);
}
