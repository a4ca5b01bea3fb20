/*
 * The compiler's own state and the steps it is made of; private to the room. A step reads the tree, appends
 * records to vectors and reports faults at the place of the node. model_compile() runs them in order and lays
 * the block out.
 */
#ifndef MODEL_COMPILE_H
#define MODEL_COMPILE_H

#include "admin/administrators.h"
#include "model/snapshot.h"
#include "model/tree.h"
#include "model/vec.h"

#define SET_DEPTH_MAX 16		       /* sets within sets */
#define EXPANDED_MAX  ((size_t)RANGES_MAX * 2) /* members of all expanded objects together */

/* An object that rules name: an address, an application, or a set of them. */
struct object {
	const char *name;
	const struct lyd_node *node; /* NULL: a built-in application */
	bool is_set;
	enum { OBJECT_NEW, OBJECT_OPEN, OBJECT_DONE } state;
	bool placed; /* `span` is in the snapshot's array */
	struct span span;
	struct vec members; /* expanded: struct ip_range or struct snap_service */
};

/* Sorted by name. */
struct objects {
	struct object *at;
	size_t n;
	uint32_t *slots;  /* by hash: 1 + where it is in `at`; 0: free */
	size_t slots_n;	  /* a power of two, at least twice n */
	const char *kind; /* "address", "application" */
	size_t expanded;  /* members of all together */
};

struct compiler {
	const struct model *m;
	struct faults *faults;
	struct err *e; /* what is not about a place */
	struct snapshot head;
	struct objects addresses, applications;
	struct vec zones, host_services, interfaces, ranges, services, texts, schedules, rules, nat_rules,
		dnat_rules, proxies, uplinks, probes, ike_proposals, esp_proposals, peers, selectors, tunnels,
		screens, dynamics, certificate_files, authorities, trusted, certificates, certificate_octets;
	struct administrators *administrators; /* no process gets them but those that ask control */
	uint32_t self_rules, self_services;    /* of rules to and from the gateway itself, so far */
};

/*
 * compile.c: the whole of it. A checked tree to a block that snapshot_check() accepts, as model_compile() gives it; or
 * only the faults, of a tree whose shape is right and whose references may lead nowhere.
 */
enum rc compile_model(const struct model *m, uint64_t generation, const uint8_t *text_sha256,
	void **ret_block, size_t *ret_bytes, struct administrators **ret_administrators, struct faults *f,
	struct err *e); /* ret_administrators may be NULL */
void compile_faults(const struct model *m, struct faults *f);

/* compile_objects.c */
enum rc compile_objects(struct compiler *c);
void objects_done(struct objects *o);
/* What a leaf-list of names stands for, as a span of `ranges` or `services`; none or `any`: count 0. */
enum rc compile_addresses(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span);
/* The same where an address under a wildcard mask cannot be used. */
enum rc compile_plain_addresses(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span);
enum rc compile_applications(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span);

/* compile_dynamic.c: the members of an address whose addresses change without a commit, added to o->members */
enum rc compile_dynamic(struct compiler *c, struct object *o);
/* Likewise: the name of DNS that is an IKE peer's address. *ret_dynamic: as in struct snap_peer. */
enum rc compile_peer_name(
	struct compiler *c, const struct lyd_node *leaf, const char *peer, uint32_t *ret_dynamic);

/* Likewise: where the authority's CRL is fetched. *ret_dynamic: as in struct snap_authority. */
enum rc compile_crl(
	struct compiler *c, const struct lyd_node *profile, const char *name, uint32_t *ret_dynamic);
/* Likewise: its OCSP responder. */
enum rc compile_responder(
	struct compiler *c, const struct lyd_node *profile, const char *name, uint32_t *ret_dynamic);

/* compile_host.c */
enum rc compile_host_services(struct compiler *c); /* after zones and objects */

/* compile_schedule.c */
enum rc compile_schedulers(struct compiler *c);
/* The rule's scheduler; INDEX_NONE where it has none. */
enum rc compile_scheduler_of(struct compiler *c, const struct lyd_node *rule, uint32_t *ret_schedule);

/* compile_policy.c */
enum rc compile_policy(struct compiler *c);
enum rc compile_nat(struct compiler *c);

/* compile_dnat.c */
enum rc compile_dnat(struct compiler *c); /* static and destination NAT; after zones and objects */
/* Its index; INDEX_NONE, and a fault at the node, where the interface is in no zone. */
uint32_t compile_interface(struct compiler *c, const struct lyd_node *node, const char *name);

/* compile_proxy.c */
enum rc compile_proxies(struct compiler *c); /* proxy-arp and proxy-ndp; after zones */

/* compile_screens.c */
enum rc compile_screens(struct compiler *c);						   /* before zones */
void compile_zone_screen(const struct compiler *c, const char *name, struct snap_zone *z); /* NULL: none */

/* compile_uplink.c */
enum rc compile_uplinks(struct compiler *c); /* after zones */

/* compile_certificates.c: before peers */
enum rc compile_authorities(struct compiler *c);
/* The subject of a certificate, if the leaf has one: a text with '='. */
bool compile_subject(const struct lyd_node *leaf, struct snap_id *ret_id);
/* local-certificate, trusted-ca, and identities that certificates can have. */
enum rc compile_peer_certificate(struct compiler *c, const struct lyd_node *peer, struct snap_peer *p);

/* compile_vpn.c */
enum rc compile_peers(struct compiler *c);
enum rc compile_tunnels(struct compiler *c);

/* compile_rule_tunnel.c */
enum rc compile_rule_tunnels(struct compiler *c); /* after policy and tunnels */

/* compile_administrators.c */
enum rc compile_administrators(struct compiler *c);

/* compile_commit.c */
enum rc compile_commit(struct compiler *c); /* after the administrators */

/* compile_evidence.c */
enum rc compile_evidence(struct compiler *c);

/* compile_log.c */
enum rc compile_log(struct compiler *c);
enum rc compile_metrics(struct compiler *c);

/* values.c: texts of leaves to numbers, with faults at the leaf */
enum rc value_address(struct compiler *c, const struct lyd_node *leaf, struct ip_addr *ret_addr);
enum rc value_range(
	struct compiler *c, const struct lyd_node *leaf, struct ip_range *ret_range); /* or prefix */
enum rc value_range_at(struct compiler *c, const char *text, struct place at, struct ip_range *ret_range);
enum rc value_wildcard(struct compiler *c, const struct lyd_node *leaf, struct ip_range *ret_range);
bool value_is_no_host(const struct ip_addr *a); /* what no host has as its address */
/* "443", "8000-8010", also after a protocol: "tcp/443" */
enum rc value_ports(struct compiler *c, const struct lyd_node *leaf, uint16_t *ret_first, uint16_t *ret_last);
enum rc value_identity(struct compiler *c, const struct lyd_node *leaf, struct snap_id *ret_id);
/* Or a pattern, `*.branch.example`, `*@example.net`: then without its '*'. */
enum rc value_identity_pattern(
	struct compiler *c, const struct lyd_node *leaf, struct snap_id *ret_id, bool *ret_pattern);
enum rc value_public_key(struct compiler *c, const struct lyd_node *leaf, struct snap_peer *ret_peer);
uint64_t value_number(const struct lyd_node *parent, const char *name); /* 0 when it is not given */
uint32_t value_zone(const struct compiler *c, const char *name);	/* INDEX_NONE: no such zone */

static inline enum rc compile_no_memory(struct compiler *c)
{
	return err_add(c->e, RC_INTERNAL, "out of memory; while compiling '%s'", c->m->name);
}

/*
 * After a fault of one statement the others are checked as well. RC_MALFORMED stands for faults that are noted;
 * all else ends the compiler at once.
 */
static inline enum rc faults_join(enum rc before, enum rc now)
{
	return now && now != RC_MALFORMED ? now : before ? before : now;
}

static inline bool compile_continues(const struct compiler *c, enum rc rc)
{
	return (rc == RC_OK || rc == RC_MALFORMED) && !faults_enough(c->faults);
}

/* Every entry of a list of this name in a container at the top, or in a group (NULL: none) of that container. */
static inline enum rc compile_each(struct compiler *c, const char *container, const char *group,
	const char *list, enum rc (*one)(struct compiler *, const struct lyd_node *))
{
	const struct lyd_node *in = tree_child(c->m, NULL, container);
	enum rc rc = RC_OK;

	if (in && group)
		in = tree_child(c->m, in, group);
	const struct lyd_node *node = in ? tree_child(c->m, in, list) : NULL;
	for (; node && compile_continues(c, rc); node = tree_next(node))
		rc = faults_join(rc, one(c, node));
	return rc;
}

/* Of a fault that is noted: a limit is exceeded, so the compiler ends. */
static inline enum rc fault_is_limit(enum rc rc)
{
	return rc == RC_MALFORMED ? RC_LIMIT : rc;
}

#endif
