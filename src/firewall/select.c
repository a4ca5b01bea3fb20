/*
 * Which sessions a filter selects, and what sessions add up to: for `show` and `clear`. Sessions are those of
 * fw_session_current(), whose zones and rules have the loaded policy's numbers. Nothing here is on a packet's way.
 */
#include "firewall/internal.h"

#include "base/nearest.h"

#include <assert.h>
#include <stdio.h>

/* ---- what a session is called ---- */

uint32_t fw_session_state(const struct fw_session *s)
{
	if (s->state != FW_STATELESS) /* an association is established as a connection is */
		return FW_STATE_OF_PROTOCOL +
		       (s->state == FW_SCTP_ESTABLISHED ? FW_TCP_ESTABLISHED : s->state);
	return s->flags & FW_SESSION_CONFIRMED ? FW_STATE_ANSWERED : FW_STATE_UNANSWERED;
}

const char *fw_session_state_name(uint32_t state)
{
	return state == FW_STATE_UNANSWERED ? "unanswered"
	       : state == FW_STATE_ANSWERED ? "answered"
					    : fw_protocol_state_name((uint8_t)(state - FW_STATE_OF_PROTOCOL));
}

const char *fw_zone_name(const struct firewall *fw, uint32_t zone)
{
	if (zone == FW_ZONE_HOST)
		return FW_HOST_NAME;
	return fw->policy && zone < fw->policy->snapshot->zones.count
		       ? snap_zones(fw->policy->snapshot)[zone].name
		       : "";
}

static const char *rule_name(const struct snapshot *p, uint32_t rule)
{
	return rule < p->rules.count ? snap_rules(p)[rule].name : "";
}

const char *fw_interface_name(const struct firewall *fw, uint32_t interface)
{
	return fw->policy && interface < fw->policy->snapshot->interfaces.count
		       ? snap_interfaces(fw->policy->snapshot)[interface].name
		       : "";
}

uint64_t fw_session_rule_id(const struct firewall *fw, const struct fw_session *s)
{
	const struct snapshot *p = fw_policy(fw);

	return p && s->rule < p->rules.count ? snap_rules(p)[s->rule].id : 0;
}

const char *fw_session_rule_name(const struct firewall *fw, const struct fw_session *s)
{
	return fw->policy ? rule_name(fw->policy->snapshot, s->rule) : "";
}

/* A session has one tunnel at most that the shell has decided on, in either direction. */
const char *fw_session_tunnel_name(const struct firewall *fw, const struct fw_session *s)
{
	for (uint32_t d = 0; fw->policy && d < 2; d++)
		if (s->forwarding[d].generation &&
			s->forwarding[d].tunnel < fw->policy->snapshot->tunnels.count)
			return snap_tunnels(fw->policy->snapshot)[s->forwarding[d].tunnel].name;
	return "";
}

bool fw_session_nat_src(const struct fw_session *s, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	*ret_addr = fw_key_dst(&s->key[1]);
	*ret_port = s->key[1].dst_port;
	return fw_source_translated(s);
}

bool fw_session_nat_dst(const struct fw_session *s, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	*ret_addr = fw_key_src(&s->key[1]);
	*ret_port = s->key[1].src_port;
	return fw_destination_translated(s);
}

uint64_t fw_session_idle_s(const struct fw_session *s, mono_ns now)
{
	return now > s->last_seen ? (now - s->last_seen) / NS_PER_S : 0;
}

uint64_t fw_session_age_s(const struct fw_session *s, mono_ns now)
{
	return now > s->created ? (now - s->created) / NS_PER_S : 0;
}

/* ---- the filter ---- */

static bool within(uint64_t value, uint64_t min, uint64_t max)
{
	return value >= min && (max == 0 || value <= max);
}

static bool addresses_match(const struct fw_session *s, const struct session_filter *f)
{
	struct ip_addr src = fw_key_src(&s->key[0]), dst = fw_key_dst(&s->key[0]);

	return (f->proto == 0 || f->proto == s->key[0].proto) &&
	       port_range_holds(&f->sport, s->key[0].src_port) &&
	       port_range_holds(&f->dport, s->key[0].dst_port) && filter_range_holds(&f->src, &src) &&
	       filter_range_holds(&f->dst, &dst);
}

static bool translation_matches(const struct fw_session *s, const struct session_filter *f)
{
	struct ip_addr src, dst;
	uint16_t port, to_port;
	bool has_src = fw_session_nat_src(s, &src, &port), has_dst = fw_session_nat_dst(s, &dst, &to_port);

	return (f->nat_src.first.family == ADDR_NONE || (has_src && range_holds(&f->nat_src, &src))) &&
	       (f->nat_port.first == 0 || (has_src && port_range_holds(&f->nat_port, port))) &&
	       (f->nat_dst.first.family == ADDR_NONE || (has_dst && range_holds(&f->nat_dst, &dst)));
}

static bool is_called(const char *wanted, const char *name)
{
	return wanted[0] == '\0' || strcmp(wanted, name) == 0;
}

static bool names_match(const struct firewall *fw, const struct fw_session *s, const struct session_filter *f)
{
	if (!is_called(f->from_zone, fw_zone_name(fw, s->zones.zone[0])) ||
		!is_called(f->to_zone, fw_zone_name(fw, s->zones.zone[1])) ||
		!is_called(f->rule, fw_session_rule_name(fw, s)) ||
		!is_called(f->tunnel, fw_session_tunnel_name(fw, s)) ||
		!is_called(f->state, fw_session_state_name(fw_session_state(s))))
		return false;
	return is_called(f->interface, fw_interface_name(fw, s->interface[0])) ||
	       is_called(f->interface, fw_interface_name(fw, s->interface[1]));
}

bool fw_session_selected(
	const struct firewall *fw, const struct fw_session *s, const struct session_filter *f, mono_ns now)
{
	assert(s->live == FW_SESSION_LIVE && s->zones.epoch == fw->state->epoch);
	return addresses_match(s, f) && (f->id == 0 || f->id == s->id) && translation_matches(s, f) &&
	       within(s->bytes[0] + s->bytes[1], f->bytes_min, 0) &&
	       within(fw_session_idle_s(s, now), f->idle_min_s, f->idle_max_s) &&
	       within(fw_session_age_s(s, now), f->age_min_s, f->age_max_s) && names_match(fw, s, f);
}

/* ---- names that nothing has ---- */

/* The words of one kind: name(fw, i) until NULL. */
typedef const char *name_fn(const struct firewall *fw, uint32_t i);

static const char *zone_at(const struct firewall *fw, uint32_t i)
{
	const struct snapshot *p = fw->policy->snapshot;

	return i < p->zones.count ? snap_zones(p)[i].name : i == p->zones.count ? FW_HOST_NAME : NULL;
}

static const char *rule_at(const struct firewall *fw, uint32_t i)
{
	const struct snapshot *p = fw->policy->snapshot;

	return i < p->rules.count ? snap_rules(p)[i].name : NULL;
}

static const char *interface_at(const struct firewall *fw, uint32_t i)
{
	const struct snapshot *p = fw->policy->snapshot;

	return i < p->interfaces.count ? snap_interfaces(p)[i].name : NULL;
}

static const char *tunnel_at(const struct firewall *fw, uint32_t i)
{
	const struct snapshot *p = fw->policy->snapshot;

	return i < p->tunnels.count ? snap_tunnels(p)[i].name : NULL;
}

static const char *state_at(const struct firewall *fw, uint32_t i)
{
	for (uint32_t k = 0; k < FW_STATE_COUNT; k++) {
		bool is_one = k != FW_STATE_OF_PROTOCOL + FW_STATELESS &&
			      k != FW_STATE_OF_PROTOCOL + FW_SCTP_ESTABLISHED;
		if (is_one && i-- == 0)
			return fw_session_state_name(k);
	}
	return NULL;
}

#define NAMES_SHOWN    12  /* that an error lists */
#define NAMES_COMPARED 256 /* with a misspelt one: nothing is forwarded meanwhile */

static enum rc name_check(const struct firewall *fw, const char *option, const char *what, const char *wanted,
	name_fn *name, struct err *e)
{
	char known[ERR_TEXT_MAX / 2] = "", hint[NEAREST_HINT_MAX];
	struct nearest near = nearest_to(wanted, strlen(wanted));
	const char *shown[NAMES_SHOWN] = { NULL };
	size_t n = 0, shown_n = 0, k;
	bool more = false;
	uint32_t i = 0;

	for (const char *one; wanted[0] && (one = name(fw, i)); i++) {
		if (strcmp(one, wanted) == 0)
			return RC_OK;
		if (i < NAMES_COMPARED)
			nearest_offer(&near, one, strlen(one));
		for (k = 0; k < shown_n && strcmp(shown[k], one) != 0; k++)
			;
		if (k < shown_n) /* rules of several pairs of zones have it */
			continue;
		more |= shown_n == NAMES_SHOWN || n >= sizeof known;
		if (more)
			continue;
		n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", shown_n ? ", " : "", one);
		shown[shown_n++] = one;
	}
	if (wanted[0] == '\0')
		return RC_OK;
	if (i == 0)
		return err_add(e, RC_NOT_FOUND, "%s: there is no %s '%.63s': the configuration has none",
			option, what, wanted);
	return err_add(e, RC_NOT_FOUND, "%s: there is no %s '%.63s', expected one of: %s%s%s", option, what,
		wanted, known, more || n >= sizeof known ? ", ..." : "", nearest_hint(hint, &near));
}

enum rc fw_filter_check(const struct firewall *fw, const struct session_filter *f, struct err *e)
{
	enum rc rc = session_filter_check(f, e);

	assert(fw->policy);
	if (!rc)
		rc = name_check(fw, "--from-zone", "zone", f->from_zone, zone_at, e);
	if (!rc)
		rc = name_check(fw, "--to-zone", "zone", f->to_zone, zone_at, e);
	if (!rc)
		rc = name_check(fw, "--rule", "rule", f->rule, rule_at, e);
	if (!rc)
		rc = name_check(fw, "--interface", "interface", f->interface, interface_at, e);
	if (!rc)
		rc = name_check(fw, "--tunnel", "tunnel", f->tunnel, tunnel_at, e);
	if (!rc)
		rc = name_check(fw, "--state", "state", f->state, state_at, e);
	return rc;
}

/* ---- sums ---- */

static void tally_one(struct fw_tally_count *c, const struct fw_session *s)
{
	c->sessions++;
	c->packets += s->packets[0] + s->packets[1];
	c->bytes += s->bytes[0] + s->bytes[1];
}

static struct fw_tally_count *zone_tally(struct fw_tally_count *of, uint32_t zone)
{
	return &of[zone < ZONES_MAX ? zone : ZONES_MAX];
}

void fw_tally_add(struct fw_tally *t, const struct fw_session *s)
{
	assert(fw_session_state(s) < FW_STATE_COUNT);
	tally_one(&t->all, s);
	tally_one(&t->proto[s->key[0].proto], s);
	tally_one(&t->state[fw_session_state(s)], s);
	tally_one(zone_tally(t->from_zone, s->zones.zone[0]), s);
	tally_one(zone_tally(t->to_zone, s->zones.zone[1]), s);
}
