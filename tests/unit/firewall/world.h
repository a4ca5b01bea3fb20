/*
 * A small firewall for the tests and the fuzzers: a snapshot built record by record (and passed through
 * snapshot_check()), session memory, and the stages in their order for one packet, with a fixed idea of
 * routing: the destination's zone.
 */
#ifndef TESTS_FIREWALL_WORLD_H
#define TESTS_FIREWALL_WORLD_H

#include "firewall/firewall.h"
#include "packets.h"

enum { TRUST, UNTRUST, DMZ, ZONES };

/* Arrays that grow into a snapshot. Texts: "any" or "10.0.0.0/8" or "10.0.0.1-10.0.0.9" or "10.0.0.1/255.0.0.255", several with spaces
 * between. */
struct policy {
	struct snap_zone zones[ZONES_MAX];
	struct snap_interface interfaces[8];
	struct ip_range *ranges;
	struct snap_service *services;
	struct snap_rule *rules;
	struct snap_nat_rule nat_rules[64];
	struct snap_dnat_rule dnat_rules[64];
	struct snap_host_service host_services[32];
	struct snap_schedule schedules[4];
	uint32_t schedules_n, host_services_n, zones_n, interfaces_n, ranges_n, services_n, rules_n,
		nat_rules_n, dnat_rules_n;
	uint16_t nat_port_first, nat_port_last;
	uint32_t half_open_max, sessions_max, tcp_mss;
	struct snap_aging aging;
};

void policy_init(struct policy *p); /* zones trust, untrust and dmz; no rules */
void policy_done(struct policy *p);
struct span policy_ranges(struct policy *p, const char *text);
/* What the zone opens on the gateway, in place of what it opened before; services as below, from as above. */
void policy_opens(struct policy *p, uint32_t zone, const char *services, const char *from);
/* "any", "tcp/80", "udp/1-99", "icmp/8", "icmp6/128", "proto/47", with "<src ports" behind:
 * "tcp/80<1000-2000" */
struct span policy_services(struct policy *p, const char *text);
/* zones -1: any. Returns the rule, to set flags in. */
struct snap_rule *policy_rule(struct policy *p, const char *name, int from, int to, const char *src,
	const char *dst, const char *services, enum rule_action action);
struct snap_nat_rule *policy_nat(struct policy *p, const char *name, int from, int to, const char *src,
	const char *dst, enum nat_action action, const char *pool);
/* to NULL: off. services and ports as above; ports 0: kept. static ones must be added first. */
struct snap_dnat_rule *policy_dnat(struct policy *p, const char *name, int from, const char *src,
	const char *dst, const char *services, const char *to, uint16_t port_first, uint16_t port_last);
struct snap_dnat_rule *policy_static(
	struct policy *p, const char *name, int from, const char *dst, const char *to);
/* A checked snapshot; the caller frees it. */
struct snapshot *policy_snapshot(const struct policy *p);

struct world {
	void *memory;
	size_t bytes;
	struct fw_limits limits;
	struct firewall *fw;
	mono_ns now;
	struct packet packet;
	struct train t;
	struct ip_addr nat4, nat6; /* the outgoing interface's addresses */
};

#define WORLD_SESSIONS 64

void world_init(struct world *w, uint32_t sessions);
void world_commit(struct world *w, const struct policy *p); /* prepared in pieces of any size; no sweep */
void world_load(struct world *w, const struct policy *p);   /* and fw_sweep() to its end */
/* Attaches anew to the same memory, as a new process does; and fw_sweep() to its end. */
void world_dies(struct world *w);
void world_restart(struct world *w);
void world_done(struct world *w);

/* trust: 10.0.0.0/8, 2001:db8:1::/48; dmz: 192.168.0.0/16, 2001:db8:2::/48; the gateway: .1 of 203.0.113.0/24
 * and 2001:db8:3::1; untrust: the rest. */
uint32_t world_zone(const struct ip_addr *a);
bool world_is_host(const struct ip_addr *a);

/* Runs w->t through all stages; it is parsed here. Where it came from is its source's zone. Returns t->drop.
 */
enum drop_reason world_run(struct world *w);
/* Builds the packet and runs it. */
enum drop_reason world_send(struct world *w, const struct packet_spec *s);

#endif
