/*
 * The rules of policy in snapshot_check(): what each of them may hold, and that a pair of zones is one run of them.
 */
#include "model/snapshot_check.h"

#include "base/url.h"

bool snapshot_wildcard_ok(const struct snapshot *s, const struct ip_range *r)
{
	static const uint8_t none[16];

	if (range_is_dynamic(r)) {
		const struct ip_range alike = range_of_dynamic(range_dynamic(r));
		return range_dynamic(r) < s->dynamics.count && memcmp(r, &alike, sizeof alike) == 0 &&
		       dynamic_has_ranges(snap_dynamics(s)[range_dynamic(r)].kind);
	}

	if (r->first.family != ADDR_V4 || r->last.family != ADDR_V4 || memcmp(r->first.zero, none, 3) != 0 ||
		r->last.zero[1] || r->last.zero[2] || memcmp(r->first.b + 4, none, 12) != 0 ||
		memcmp(r->last.b + 4, none, 12) != 0)
		return false;
	return (load_be32(r->first.b) & ~load_be32(r->last.b)) == 0; /* the least, and the greatest */
}

bool snapshot_plain_ranges(const struct snapshot *s, const struct span *span)
{
	if (!span_in(span, s->ranges.count))
		return false;
	for (uint32_t i = 0; i < span->count; i++)
		if (range_is_wildcard(&snap_ranges(s)[span->first + i]))
			return false;
	return true;
}

/* Labels of 1 to 63 letters, digits, hyphens and underscores, with dots between them; or the root. */
bool snapshot_dns_name_ok(const char *name)
{
	size_t label = 0;

	if (strcmp(name, ".") == 0)
		return true;
	for (const char *c = name; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
		if (!plain && (*c != '.' || label == 0))
			return false;
		label = plain ? label + 1 : 0;
		if (label > 63)
			return false;
	}
	return label > 0;
}

/* Its file is opened by that name. */
static const char *feed_fault(const struct snap_dynamic *d)
{
	struct url url;

	if (!memchr(d->file, '\0', sizeof d->file) || !memchr(d->url, '\0', sizeof d->url) ||
		!memchr(d->authorities, '\0', sizeof d->authorities) ||
		(d->file[0] == '\0') == (d->url[0] == '\0'))
		return "not one of a file and a URL";
	if (d->file[0] == '.' || strchr(d->file, '/') || strchr(d->name, '/') || strchr(d->authorities, '/'))
		return "its file, its authorities or its name is not one in a directory";
	if (d->url[0] && (url_parse(&url, d->url, NULL) != RC_OK || (!url.tls && d->kind != DYNAMIC_CRL)))
		return "its URL is not one of https";
	if (d->interval_s == 0 || d->format > DYNAMIC_JSON)
		return "its interval or its format is out of range";
	for (size_t i = 0; i < DYNAMIC_MEMBERS_MAX; i++)
		if (!memchr(d->member[i], '\0', sizeof d->member[i]))
			return "the name of a member is not terminated";
	return NULL;
}

/* Its authority's name is that of files. */
static const char *crl_fault(const struct snap_dynamic *d)
{
	const char *fault = feed_fault(d);

	if (fault)
		return fault;
	if (!d->url[0] || d->format != DYNAMIC_LIST || d->member[0][0])
		return "a CRL without a URL, or with what feeds have";
	return d->name[0] == '.' || strcmp(d->name, d->object) != 0 ? "its name is not that of its authority"
								    : NULL;
}

static const char *responder_fault(const struct snap_dynamic *d)
{
	struct url url;

	if (!memchr(d->url, '\0', sizeof d->url) || url_parse(&url, d->url, NULL) != RC_OK || url.tls)
		return "the URL of its responder is not one of http";
	if (d->file[0] || d->authorities[0] || d->interval_s || d->format || d->member[0][0])
		return "an OCSP responder with what feeds have";
	return strcmp(d->name, d->object) != 0 ? "its name is not that of its authority" : NULL;
}

static const char *country_fault(const struct snap_dynamic *d)
{
	bool letters = d->name[0] >= 'A' && d->name[0] <= 'Z' && d->name[1] >= 'A' && d->name[1] <= 'Z';

	if (!letters || d->name[2])
		return "its name is not a country's code of two letters";
	if (!name_ok(d->file, sizeof d->file) || d->file[0] == '.' || strchr(d->file, '/'))
		return "its database is not a file in a directory";
	return d->interval_s == 0 ? "its interval is out of range" : NULL;
}

bool snapshot_peer_name_ok(const struct snapshot *s, const struct snap_peer *p)
{
	const struct snap_dynamic *d;

	if (!(p->flags & PEER_REMOTE_NAME))
		return p->dynamic == 0;
	if (p->flags & PEER_REMOTE_ANY || p->dynamic == 0 || p->dynamic > s->dynamics.count)
		return false;
	d = &snap_dynamics(s)[p->dynamic - 1];
	return d->kind == DYNAMIC_PEER && strncmp(d->object, p->name, sizeof d->object) == 0;
}

enum rc snapshot_check_dynamics(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->dynamics.count; i++) {
		const struct snap_dynamic *d = &snap_dynamics(s)[i];
		if (!name_ok(d->object, sizeof d->object) || !name_ok(d->name, sizeof d->name))
			return bad(e, "dynamics", i, "its name is empty or not terminated");
		if (d->kind >= DYNAMIC_KIND_COUNT || d->flags & ~(uint32_t)DYNAMIC_REFUSE_PRIVATE || d->zero)
			return bad(e, "dynamics", i, "an unknown kind or flag");
		if ((d->kind == DYNAMIC_FQDN || d->kind == DYNAMIC_PEER) &&
			(!snapshot_dns_name_ok(d->name) || d->ttl_min_s == 0 || d->ttl_min_s > d->ttl_max_s))
			return bad(e, "dynamics", i,
				"its name is not one of DNS, or its times are not in order");
		const char *fault = d->kind == DYNAMIC_FEED	 ? feed_fault(d)
				    : d->kind == DYNAMIC_COUNTRY ? country_fault(d)
				    : d->kind == DYNAMIC_CRL	 ? crl_fault(d)
				    : d->kind == DYNAMIC_OCSP	 ? responder_fault(d)
								 : NULL;
		if (fault)
			return bad(e, "dynamics", i, fault);
	}
	return RC_OK;
}

enum rc snapshot_check_schedules(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->schedules.count; i++) {
		const struct snap_schedule *v = &snap_schedules(s)[i];
		if (!name_ok(v->name, sizeof v->name))
			return bad(e, "schedules", i, "its name is empty or not terminated");
		for (size_t k = 0; k < COUNT_OF(v->day); k++)
			if (v->day[k].first >= DAY_S || v->day[k].end > v->day[k].first + DAY_S ||
				(v->day[k].end <= v->day[k].first && (v->day[k].end || v->day[k].first)))
				return bad(e, "schedules", i, "the times of a day are not within it");
	}
	return RC_OK;
}

static bool text_ok(const struct snapshot *s, const struct span *text)
{
	if (!span_in(text, s->texts.count))
		return false;
	return text->count == 0 ||
	       snap_texts(s)[text->first + text->count - 1].at[sizeof(struct snap_text) - 1] == '\0';
}

/* Rules of a pair stand together and rules for all pairs last, so that a pair is one run of the array. */
static enum rc check_rule_order(struct snapshot_checking *c, uint32_t i, struct err *e)
{
	const struct snap_rule *r = &snap_rules(c->snapshot)[i], *before = i > 0 ? r - 1 : NULL;

	if ((r->from_zone == ZONE_ANY) != (r->to_zone == ZONE_ANY))
		return bad(e, "rules", i, "it has a zone on one side only");
	if (before && r->from_zone == before->from_zone && r->to_zone == before->to_zone)
		return RC_OK;
	if (before && before->from_zone == ZONE_ANY)
		return bad(e, "rules", i, "it comes after the global rules");
	if (r->from_zone == ZONE_ANY)
		return RC_OK;
	uint64_t *row =
		r->to_zone == ZONE_SELF ? &c->seen_self : &c->seen[MIN_OF(r->from_zone, (uint32_t)ZONES_MAX)];
	uint64_t bit = 1ull << (r->to_zone == ZONE_SELF ? r->from_zone : r->to_zone);
	if (*row & bit)
		return bad(e, "rules", i, "the rules of its pair of zones are not together");
	*row |= bit;
	return RC_OK;
}

static bool end_ok(const struct snapshot *s, uint32_t zone)
{
	return zone == ZONE_SELF || zone_ok(s, zone);
}

/* Counts the rules to and from the gateway itself, and their services. Its spans are in the arrays. */
static bool self_ok(
	const struct snapshot *s, const struct snap_rule *r, uint32_t *ret_rules, uint32_t *ret_services)
{
	if (r->from_zone != ZONE_SELF && r->to_zone != ZONE_SELF)
		return true;
	++*ret_rules;
	*ret_services += MAX_OF(r->services.count, 1u);
	return *ret_rules <= SELF_RULES_MAX && *ret_services <= SELF_SERVICES_MAX &&
	       snapshot_plain_ranges(s, &r->src) && snapshot_plain_ranges(s, &r->dst);
}

enum rc snapshot_check_rule(struct snapshot_checking *c, uint32_t i, struct err *e)
{
	const struct snapshot *s = c->snapshot;
	const struct snap_rule *r = &snap_rules(s)[i];

	if (!name_ok(r->name, sizeof r->name))
		return bad(e, "rules", i, "its name is empty or not terminated");
	if (r->id == 0)
		return bad(e, "rules", i, "it has no identifier");
	if (!end_ok(s, r->from_zone) || !end_ok(s, r->to_zone) ||
		(r->from_zone == ZONE_SELF && r->to_zone == ZONE_SELF))
		return bad(e, "rules", i, "its zone does not exist");
	if (r->action > RULE_REJECT)
		return bad(e, "rules", i, "an unknown action");
	if (r->flags & ~(uint32_t)(RULE_LOG_INIT | RULE_LOG_CLOSE | RULE_COUNT | RULE_DSCP |
				   RULE_DSCP_MASK) ||
		(r->flags & RULE_DSCP_MASK && !(r->flags & RULE_DSCP)))
		return bad(e, "rules", i, "an unknown flag");
	if (!span_in(&r->src, s->ranges.count) || !span_in(&r->dst, s->ranges.count) ||
		!span_in(&r->services, s->services.count))
		return bad(e, "rules", i, "what it matches is not in the arrays");
	if (!self_ok(s, r, &c->self_rules, &c->self_services))
		return bad(e, "rules", i,
			"of rules to and from the gateway itself it is one too many, or names an address under a wildcard mask");
	if (r->schedule != INDEX_NONE && r->schedule >= s->schedules.count)
		return bad(e, "rules", i, "its schedule does not exist");
	if (r->sessions_rate > SESSIONS_RATE_MAX)
		return bad(e, "rules", i, "its session-rate is out of range");
	if (!text_ok(s, &r->description))
		return bad(e, "rules", i, "its description is not in the array, or not terminated");
	return check_rule_order(c, i, e);
}

bool snapshot_peer_redirect_ok(const struct snap_peer *p)
{
	const struct snap_id *to = &p->redirect_to;

	return to->type == ID_NONE   ? to->len == 0
	       : to->type == ID_FQDN ? to->len > 0 && to->len <= sizeof to->data
				     : to->len == (to->type == ID_IPV4		? 4
							  : to->type == ID_IPV6 ? 16
										: 255);
}
