/*
 * Reads everything in a checked snapshot that a receiver could read, through the indices it holds. Shared by
 * test_snapshot.c and fuzz/model/fuzz_snapshot.c; the sanitizers say whether a read was outside.
 */
#ifndef TESTS_MODEL_WALK_H
#define TESTS_MODEL_WALK_H

#include <string.h>

#include "model/snapshot.h"

static inline uint64_t walk_bytes(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t sum = 1;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + b[i];
	return sum;
}

static inline uint64_t walk_zone(const struct snapshot *s, uint32_t zone)
{
	return zone == ZONE_ANY ? 0 : strlen(snap_zones(s)[zone].name);
}

/* First and last record of a span: the ends are where a hole would show. */
static inline uint64_t walk_span(const void *array, size_t record, const struct span *span)
{
	const uint8_t *at = (const uint8_t *)array + (size_t)span->first * record;

	return span->count
		       ? walk_bytes(at, record) + walk_bytes(at + (size_t)(span->count - 1) * record, record)
		       : 0;
}

/* Every octet of what a peer of certificates has. */
static inline uint64_t walk_certificates(const struct snapshot *s, const struct snap_peer *p)
{
	const struct snap_certificate *anchors[CERTIFICATE_ANCHORS];
	uint32_t n = snap_anchors(s, p, anchors);
	uint64_t sum = n;

	for (uint32_t i = 0; i < n; i++)
		sum += walk_bytes(snap_certificate_der(s, anchors[i]), anchors[i]->n);
	for (uint32_t i = p->trusted.first; i < p->trusted.first + p->trusted.count; i++)
		sum += strlen(snap_authorities(s)[snap_trusted(s)[i].authority].name);
	if (p->certificate) {
		const struct snap_certificate_file *f = &snap_certificate_files(s)[p->certificate - 1];
		sum += strlen(f->name);
		for (uint32_t i = f->certificates.first; i < f->certificates.first + f->certificates.count;
			i++)
			sum += walk_bytes(
				snap_certificate_der(s, &snap_certificates(s)[i]), snap_certificates(s)[i].n);
	}
	return sum;
}

static inline uint64_t snapshot_walk(const struct snapshot *s)
{
	uint64_t sum = strlen(s->host_name);

	for (uint32_t i = 0; i < s->evidence.count; i++)
		sum += strlen(s->evidence.witness[i].name) + strlen(s->evidence.witness[i].key) +
		       strlen(s->evidence.witness[i].peer) + strlen(s->evidence.witness[i].url);
	for (uint32_t i = 0; i < s->evidence.cosign_count; i++)
		sum += strlen(s->evidence.cosign[i].name) + strlen(s->evidence.cosign[i].key) +
		       strlen(s->evidence.cosign[i].peer);
	for (uint32_t i = 0; i < s->interfaces.count; i++)
		sum += strlen(snap_interfaces(s)[i].name) + walk_zone(s, snap_interfaces(s)[i].zone);
	for (uint32_t i = 0; i < s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(s)[i];
		sum += strlen(r->name) + walk_zone(s, r->from_zone) + walk_zone(s, r->to_zone);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->src);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->dst);
		sum += walk_span(snap_services(s), sizeof(struct snap_service), &r->services);
	}
	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[i];
		sum += strlen(r->name) + walk_zone(s, r->from_zone) + walk_zone(s, r->to_zone);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->src);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->dst);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->pool_more);
	}
	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		sum += strlen(r->name) + walk_zone(s, r->from_zone) + r->to.first.family;
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->src);
		sum += walk_span(snap_ranges(s), sizeof(struct ip_range), &r->dst);
		sum += walk_span(snap_services(s), sizeof(struct snap_service), &r->services);
	}
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];
		sum += strlen(p->name) + strlen(p->key_name) + walk_bytes(p->public_key, p->public_key_n);
		sum += walk_bytes(p->local_id.data, p->local_id.len) +
		       walk_bytes(p->remote_id.data, p->remote_id.len);
		sum += walk_span(snap_ike_proposals(s), sizeof(struct snap_ike_proposal), &p->proposals);
		sum += walk_certificates(s, p);
	}
	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s)[i];
		sum += strlen(t->name) + strlen(snap_peers(s)[t->peer].name) + walk_zone(s, t->zone);
		sum += walk_span(snap_selectors(s), sizeof(struct selector), &t->local);
		sum += walk_span(snap_selectors(s), sizeof(struct selector), &t->remote);
		sum += walk_span(snap_esp_proposals(s), sizeof(struct snap_esp_proposal), &t->proposals);
	}
	return sum;
}

#endif
