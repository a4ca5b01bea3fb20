/*
 * Uplinks as the data plane reports them: entered in the ledger, and told to a data plane that starts, which then does not
 * begin with an uplink that it must first find dead again. Also where the host's own default route goes while an uplink is
 * down: forwarded packets go by the data plane's lookups, but those of IKE, ESP and the host itself by the kernel's.
 *
 * The kernel's main table is other programs' and is not touched. Before it two rules of one priority are asked: main without
 * its default route, then a table with the one route that takes its place. Both go when the uplink is up again.
 */
#include "base/log.h"
#include "ledger/entry.h"
#include "proc/supervisor/netlink.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- what is known --- */

static struct uplink_state *find(struct supervisor *s, const char *name)
{
	for (uint32_t i = 0; i < s->uplinks_n; i++)
		if (strcmp(s->uplinks[i].name, name) == 0)
			return &s->uplinks[i];
	return NULL;
}

static bool is_configured(const struct supervisor *s, const char *name)
{
	for (uint32_t i = 0; s->snapshot && i < s->snapshot->uplinks.count; i++)
		if (strcmp(snap_uplinks(s->snapshot)[i].name, name) == 0)
			return true;
	return false;
}

static void enter(struct supervisor *s, const struct msg_uplink *m)
{
	static struct ledger_body b;

	ledger_body_begin(&b, LEDGER_UPLINK_STATE);
	ledger_body_str(&b, "reason", m->why);
	ledger_body_str(&b, "state", m->up ? "up" : "down");
	ledger_body_str(&b, "uplink", m->name);
	ledger_append(&s->ledger, LEDGER_ASYNC, LEDGER_UPLINK_STATE, b.text, ledger_body_done(&b), NULL, NULL,
		0, s->loop.now);
}

void uplink_take(struct supervisor *s, const struct msg_uplink *m)
{
	if (!memchr(m->name, '\0', sizeof m->name) || !memchr(m->why, '\0', sizeof m->why) ||
		!is_configured(s, m->name))
		return;
	struct uplink_state *u = find(s, m->name);
	if (!u && !m->up && s->uplinks_n < UPLINKS_MAX) {
		u = &s->uplinks[s->uplinks_n++];
		snprintf(u->name, sizeof u->name, "%s", m->name);
	} else if (u && m->up) {
		*u = s->uplinks[--s->uplinks_n];
	}
	enter(s, m);
}

void uplinks_apply(struct supervisor *s)
{
	for (uint32_t i = s->uplinks_n; i-- > 0;)
		if (!is_configured(s, s->uplinks[i].name))
			s->uplinks[i] = s->uplinks[--s->uplinks_n];
}

void uplinks_give(struct supervisor *s)
{
	struct child_process *dataplane = child_of(s, PROC_DATAPLANE);

	for (uint32_t i = 0; i < s->uplinks_n; i++) {
		struct msg_uplink m = { .up = 0 };
		snprintf(m.name, sizeof m.name, "%s", s->uplinks[i].name);
		if (ipc_send_UPLINK(&dataplane->port.link, 0, &m) != RC_OK)
			log_warn("the state of uplink %s was not handed over to the data plane", m.name);
	}
}

/* --- the host's default route --- */

static int rule_change(int fd, int family, uint32_t table, bool add)
{
	char room[512];
	struct nlmsghdr *h =
		netlink_begin(room, add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->family = (uint8_t)family;
	m->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(h, FRA_PRIORITY, DETOUR_RULE);
	mnl_attr_put_u32(h, FRA_TABLE, table);
	if (table == RT_TABLE_MAIN)
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, 0); /* but its default route */
	return netlink_ask(fd, h);
}

static int route_change(int fd, int family, const struct msg_detour *to, bool add)
{
	char room[512];
	struct nlmsghdr *h = netlink_begin(
		room, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = (unsigned char)family;
	m->rtm_protocol = TUNNEL_PROTOCOL;
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = !add ? RT_SCOPE_NOWHERE : to->gateway.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	mnl_attr_put_u32(h, RTA_TABLE, DETOUR_TABLE);
	if (!add)
		return netlink_ask(fd, h);
	mnl_attr_put_u32(h, RTA_OIF, to->link);
	/* IPv4 by an IPv6 gateway (RFC 8950) */
	bool other = to->gateway.family == ADDR_V6 && family == AF_INET;
	if (other) {
		uint8_t via[2 + 16];
		uint16_t v6 = AF_INET6;
		memcpy(via, &v6, sizeof v6);
		memcpy(via + 2, to->gateway.b, 16);
		mnl_attr_put(h, RTA_VIA, sizeof via, via);
	} else if (to->gateway.family != ADDR_NONE) {
		netlink_put_addr(h, RTA_GATEWAY, &to->gateway);
	}
	return netlink_ask(fd, h);
}

static void rules_remove(int fd, int family)
{
	static const uint32_t tables[] = { RT_TABLE_MAIN, DETOUR_TABLE };

	for (size_t i = 0; i < COUNT_OF(tables); i++)
		for (int n = 0; n < 4 && rule_change(fd, family, tables[i], false) == 0; n++)
			;
}

static int detour_set(int fd, int family, const struct msg_detour *to)
{
	int error = route_change(fd, family, to, true);

	if (error)
		return error;
	error = rule_change(fd, family, RT_TABLE_MAIN, true);
	if (error == 0 || error == EEXIST)
		error = rule_change(fd, family, DETOUR_TABLE, true);
	return error == EEXIST ? 0 : error;
}

void detour_take(struct supervisor *s, const struct msg_detour *m)
{
	int family = m->family == ADDR_V4 ? AF_INET : AF_INET6, fd;
	int error = 0;

	/* Only by a zone's interface: the data plane could send there by itself. */
	if ((m->family != ADDR_V4 && m->family != ADDR_V6) || m->gateway.family > ADDR_V6 ||
		(m->link != 0 && !resource_find(s, RESOURCE_INTERFACE, m->link)))
		return;
	if ((fd = netlink_open()) < 0) {
		log_warn("open an rtnetlink socket: %m; while moving the host's own default route");
		return;
	}
	if (m->link == 0) {
		rules_remove(fd, family);
		route_change(fd, family, m, false);
	} else {
		error = detour_set(fd, family, m);
	}
	close(fd);
	errno = error;
	if (error)
		log_warn("move the host's own default route to another uplink: %m");
}

void detours_flush(void)
{
	int fd = netlink_open();

	for (uint32_t family = ADDR_V4; fd >= 0 && family <= ADDR_V6; family++) {
		struct msg_detour none = { .family = family };
		rules_remove(fd, family == ADDR_V4 ? AF_INET : AF_INET6);
		route_change(fd, family == ADDR_V4 ? AF_INET : AF_INET6, &none, false);
	}
	if (fd >= 0)
		close(fd);
}
