/*
 * What the files of snapshot_check() share: how a fault is told, and what every record is asked. Private to the room.
 */
#ifndef MODEL_SNAPSHOT_CHECK_H
#define MODEL_SNAPSHOT_CHECK_H

#include <string.h>

#include "model/snapshot.h"

static inline enum rc bad(struct err *e, const char *array, uint32_t index, const char *what)
{
	return err_add(e, RC_MALFORMED, "snapshot: %s[%u]: %s", array, index, what);
}

static inline bool span_in(const struct span *s, uint32_t count)
{
	return s->first <= count && s->count <= count - s->first;
}

static inline bool name_ok(const char *name, size_t size)
{
	return name[0] != '\0' && memchr(name, '\0', size) != NULL;
}

static inline bool bytes_zero(const uint8_t *b, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

static inline bool zone_ok(const struct snapshot *s, uint32_t zone)
{
	return zone < s->zones.count || zone == ZONE_ANY;
}

/* snapshot.c: a family, first and last in order, no stray bytes. */
bool snapshot_range_ok(const struct ip_range *r);

/* snapshot_policy.c: a name as DNS has it, "." is the root. */
bool snapshot_dns_name_ok(const char *name);

/* snapshot_policy.c: after zones and objects. */
enum rc snapshot_check_schedules(const struct snapshot *s, struct err *e);
bool snapshot_wildcard_ok(const struct snapshot *s, const struct ip_range *r);
enum rc snapshot_check_dynamics(const struct snapshot *s, struct err *e);
bool snapshot_peer_redirect_ok(const struct snap_peer *p);
bool snapshot_peer_name_ok(const struct snapshot *s, const struct snap_peer *p); /* before the dynamics are */
/* In the array, and none of them an address under a wildcard mask. */
bool snapshot_plain_ranges(const struct snapshot *s, const struct span *span);
/* One after the other, from the first. */
enum rc snapshot_check_rule(struct snapshot_checking *c, uint32_t i, struct err *e);

/* snapshot_certificates.c: before peers */
enum rc snapshot_check_certificates(const struct snapshot *s, struct err *e);
const char *snapshot_peer_certificate_fault(
	const struct snapshot *s, const struct snap_peer *p); /* NULL: none */

/* snapshot_additional.c: each is known, none is there twice, or after none. */
bool snapshot_additional_ok(const uint16_t additional[ADDITIONAL_MAX]);
bool snapshot_esp_additional_ok(const struct snap_esp_proposal *p); /* and beside a group */
/* One of the peer's proposals has one. */
bool snapshot_peer_has_additional(const struct snapshot *s, const struct snap_peer *p);

#endif
