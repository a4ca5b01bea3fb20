/*
 * snapshot_check(): what makes a trusted struct snapshot of a block of bytes from another process. Every process
 * calls it on the memory that control handed over. Two passes: first that each array lies in the block, then
 * record by record. It reads only what the first pass has found inside.
 */
#include "model/peer_id.h"
#include "model/snapshot_check.h"

#include "base/url.h"

#include <string.h>

/* clang-format off */
#define ARRAYS(A)	/* field, record, maximum */				\
	A(zones,         struct snap_zone,         ZONES_MAX)			\
	A(host_services, struct snap_host_service, HOST_SERVICES_MAX)		\
	A(interfaces,    struct snap_interface,    INTERFACES_MAX)		\
	A(ranges,        struct ip_range,          RANGES_MAX)			\
	A(services,      struct snap_service,      SERVICES_MAX)		\
	A(texts,         struct snap_text,         TEXTS_MAX)			\
	A(schedules,     struct snap_schedule,     SCHEDULES_MAX)		\
	A(rules,         struct snap_rule,         RULES_MAX)			\
	A(nat_rules,     struct snap_nat_rule,     NAT_RULES_MAX)		\
	A(dnat_rules,    struct snap_dnat_rule,    DNAT_RULES_MAX)		\
	A(proxies,       struct snap_proxy,        PROXIES_MAX)			\
	A(uplinks,       struct snap_uplink,       UPLINKS_MAX)			\
	A(probes,        struct snap_probe,        UPLINKS_MAX * UPLINK_PROBES_MAX)	\
	A(ike_proposals, struct snap_ike_proposal, PROPOSALS_MAX)		\
	A(esp_proposals, struct snap_esp_proposal, PROPOSALS_MAX)		\
	A(peers,         struct snap_peer,         PEERS_MAX)			\
	A(selectors,     struct selector,          SELECTOR_PAIRS_MAX + TUNNELS_MAX)	\
	A(tunnels,       struct snap_tunnel,       TUNNELS_MAX)			\
	A(screens,       struct snap_screen,       SCREENS_MAX)			\
	A(dynamics,      struct snap_dynamic,      DYNAMICS_MAX)		\
	A(certificate_files, struct snap_certificate_file, CERTIFICATE_FILES_MAX)	\
	A(authorities,   struct snap_authority,    CA_PROFILES_MAX)		\
	A(trusted,       struct snap_trusted,      TRUSTED_MAX)			\
	A(certificates,  struct snap_certificate,  CERTIFICATES_MAX)		\
	A(certificate_octets, struct snap_octets,  CERTIFICATE_PIECES_MAX)
/* clang-format on */

/* Arrays begin on 8 bytes, and their records have no padding at their end. */
#define E(field, record, max) _Static_assert(sizeof(record) % 4 == 0, #field);
ARRAYS(E)
#undef E
_Static_assert(sizeof(struct snapshot) % 8 == 0, "the first array follows the header");

/* A count of 0 needs no place; else the array starts after the header, on 8 bytes, and ends inside the block. */
static bool array_fits(const struct snapshot *s, const struct span *a, size_t record, uint32_t max)
{
	if (a->count > max)
		return false;
	if (a->count == 0)
		return a->first <= s->bytes;
	return a->first % 8 == 0 && a->first >= sizeof *s && a->first <= s->bytes &&
	       a->count <= (s->bytes - a->first) / record;
}

static enum rc check_arrays(const struct snapshot *s, struct err *e)
{
#define E(field, record, max)                                                                                \
	if (!array_fits(s, &s->field, sizeof(record), max))                                                  \
		return err_add(e, RC_MALFORMED, "snapshot: the array %s lies outside of the block", #field);
	ARRAYS(E)
#undef E
	return RC_OK;
}

/* A known family, and no stray bytes: addresses are compared with memcmp(). */
static bool addr_ok(const struct ip_addr *a)
{
	size_t size = addr_size(a);

	return (size > 0 || a->family == ADDR_NONE) && bytes_zero(a->b + size, sizeof a->b - size) &&
	       bytes_zero(a->zero, sizeof a->zero);
}

bool snapshot_range_ok(const struct ip_range *r)
{
	return addr_ok(&r->first) && addr_ok(&r->last) && r->first.family == r->last.family &&
	       r->first.family != ADDR_NONE && addr_compare(&r->first, &r->last) <= 0;
}

static bool range_none(const struct ip_range *r)
{
	return bytes_zero((const uint8_t *)r, sizeof *r);
}

static enum rc check_header(const struct snapshot *s, struct err *e)
{
	const char *what = NULL;

	if (!name_ok(s->host_name, sizeof s->host_name))
		what = "the host name is empty or not terminated";
	else if (s->nat_port_first == 0 || s->nat_port_first > s->nat_port_last)
		what = "source NAT's ports are not a range";
	else if (s->host_port_first == 0 || s->host_port_first > s->host_port_last)
		what = "the host's ports are not a range";
	else if (s->nat_port_first <= s->host_port_last && s->host_port_first <= s->nat_port_last)
		what = "source NAT's ports overlap the host's";
	else if (s->sessions_max == 0 || s->half_open_max == 0)
		what = "a limit of sessions is 0";
	else if (s->sessions_max > SESSIONS_MAX)
		what = "session-limit is out of range";
	else if (s->workers == 0 || s->workers > WORKERS_MAX)
		what = "the number of the data plane's workers is out of range";
	else if (s->aging.high_percent > 100 ||
		 (s->aging.high_percent > 0 && s->aging.low_percent >= s->aging.high_percent) ||
		 (s->aging.high_percent == 0) != (s->aging.early_s == 0) ||
		 (s->aging.high_percent > 0) != (s->aging.low_percent > 0) || s->aging.early_s > UINT16_MAX)
		what = "the watermarks of aging are not in order";
	else if (s->tcp_mss > UINT16_MAX)
		what = "the TCP segment size is out of range";
	else if (s->schedules_off)
		what = "a schedule is off, which the data plane alone decides";
	else if (s->algs & ~(uint32_t)(ALG_FTP | ALG_TFTP | ALG_SIP))
		what = "an unknown application layer gateway";
	else if (s->offload > 1)
		what = "whether the kernel carries sessions is neither 0 nor 1";
	for (int i = 0; i < TIMEOUT_COUNT; i++)
		if (!s->timeout_s[i])
			what = "a timeout is 0";
	return what ? err_add(e, RC_MALFORMED, "snapshot: %s", what) : RC_OK;
}

static enum rc check_zones(const struct snapshot *s, struct err *e)
{
	const struct snap_zone *z = snap_zones(s);
	const struct snap_interface *f = snap_interfaces(s);

	for (uint32_t i = 0; i < s->zones.count; i++) {
		if (!name_ok(z[i].name, sizeof z[i].name))
			return bad(e, "zones", i, "its name is empty or not terminated");
		if (!span_in(&z[i].host_services, s->host_services.count))
			return bad(e, "zones", i, "its services are not in the array");
		if (z[i].flags & ~(uint32_t)ZONE_FLAGS)
			return bad(e, "zones", i, "an unknown flag");
		if (z[i].screen > s->screens.count)
			return bad(e, "zones", i, "its screen does not exist");
	}
	for (uint32_t i = 0; i < s->screens.count; i++) {
		const char *fault = snap_screen_fault(&snap_screens(s)[i]);
		if (fault)
			return bad(e, "screens", i, fault);
	}
	for (uint32_t i = 0; i < s->interfaces.count; i++) {
		if (!name_ok(f[i].name, sizeof f[i].name))
			return bad(e, "interfaces", i, "its name is empty or not terminated");
		if (f[i].zone >= s->zones.count)
			return bad(e, "interfaces", i, "its zone does not exist");
		if (f[i].flags & ~(uint32_t)INTERFACE_ANTI_SPOOF)
			return bad(e, "interfaces", i, "an unknown flag");
	}
	return RC_OK;
}

static enum rc check_host_services(const struct snapshot *s, struct err *e)
{
	const struct snap_host_service *v = snap_host_services(s);

	for (uint32_t i = 0; i < s->host_services.count; i++) {
		if (v[i].proto == 0 || v[i].zero || v[i].zero2)
			return bad(e, "host_services", i, "no protocol, or stray bytes");
		if (v[i].first > v[i].last || ((v[i].proto == 6 || v[i].proto == 17) && v[i].first == 0))
			return bad(e, "host_services", i, "its ports are not a range");
		if (!snapshot_plain_ranges(s, &v[i].from))
			return bad(e, "host_services", i, "its addresses are not in the array");
	}
	return RC_OK;
}

static enum rc check_range(const struct snapshot *s, uint32_t i, struct err *e)
{
	const struct ip_range *r = &snap_ranges(s)[i];

	if (range_is_wildcard(r) ? snapshot_wildcard_ok(s, r) : snapshot_range_ok(r))
		return RC_OK;
	return bad(e, "ranges", i, "not a range of one family");
}

static enum rc check_service(const struct snapshot *s, uint32_t i, struct err *e)
{
	const struct snap_service *v = &snap_services(s)[i];

	if (v->src_first > v->src_last || v->dst_first > v->dst_last)
		return bad(e, "services", i, "its ports are not a range");
	if (!bytes_zero(v->zero, sizeof v->zero))
		return bad(e, "services", i, "stray bytes");
	return RC_OK;
}

/* The limits of persistent-nat, and nothing where there is none. */
static bool nat_binding_ok(const struct snap_nat_rule *r)
{
	if (r->filtering == NAT_NOT_PERSISTENT)
		return r->binding_timeout_s == 0 && r->bindings_max == 0;
	return r->action != NAT_OFF && r->filtering <= NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT &&
	       r->binding_timeout_s >= NAT_BINDING_TIMEOUT_S_MIN &&
	       r->binding_timeout_s <= NAT_BINDING_TIMEOUT_S_MAX && r->bindings_max > 0;
}

static bool nat_ports_ok(const struct snapshot *s, const struct snap_nat_rule *r)
{
	if (r->action == NAT_OFF)
		return r->port_first == 0 && r->port_last == 0;
	return r->port_first >= s->nat_port_first && r->port_first <= r->port_last &&
	       r->port_last <= s->nat_port_last;
}

static bool is_prefix(const struct ip_range *r, uint8_t ret_host_bits[16])
{
	bool host = false;

	for (size_t i = 0; i < sizeof r->first.b; i++)
		ret_host_bits[i] = r->first.b[i] ^ r->last.b[i];
	for (size_t bit = 0; bit < 128; bit++) {
		bool is = ret_host_bits[bit / 8] >> (7 - bit % 8) & 1;
		if ((host && !is && bit < 8 * addr_size(&r->first)) ||
			(is && r->first.b[bit / 8] >> (7 - bit % 8) & 1))
			return false;
		host |= is;
	}
	return true;
}

bool snap_prefixes_fit(const struct ip_range *a, const struct ip_range *b)
{
	uint8_t host[2][16];

	return a->first.family == b->first.family && is_prefix(a, host[0]) && is_prefix(b, host[1]) &&
	       memcmp(host[0], host[1], sizeof host[0]) == 0;
}

static uint64_t addresses_of(const struct ip_range *r)
{
	return (uint64_t)load_be32(r->last.b) - load_be32(r->first.b) + 1;
}

static uint64_t pool_addresses(const struct ip_range *more, const struct snap_nat_rule *r)
{
	uint64_t n = addresses_of(&r->pool);

	for (uint32_t i = 0; i < r->pool_more.count; i++)
		n += addresses_of(&more[i]);
	return n;
}

uint32_t snap_nat_blocks_each(const struct snap_nat_rule *r)
{
	uint32_t first = r->blocks_max ? snap_nat_block_first(r) : r->port_first;

	return first > r->port_last ? 0 : (r->port_last - first + 1u) / r->block_size;
}

uint64_t snap_nat_blocks(const struct ip_range *more, const struct snap_nat_rule *r)
{
	return pool_addresses(more, r) * snap_nat_blocks_each(r);
}

uint64_t snap_nat_hosts(const struct snap_nat_rule *r)
{
	return addresses_of(&r->base);
}

uint64_t snap_nat_block_addresses(const struct ip_range *ranges, const struct snap_nat_rule *r, uint32_t n)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += snap_nat_has_dynamic_blocks(&r[i])
			       ? pool_addresses(ranges + r[i].pool_more.first, &r[i])
			       : 0;
	return all;
}

static bool dynamic_blocks_ok(const struct snap_nat_rule *r)
{
	return range_none(&r->base) && r->block_size % NAT_BLOCK_MIN == 0 && snap_nat_blocks_each(r) > 0 &&
	       r->blocks_max <= NAT_BLOCKS_OF_HOST && r->block_active_s <= NAT_BLOCK_TIMEOUT_S_MAX &&
	       r->block_recycle_s > 0 && r->block_recycle_s <= NAT_BLOCK_TIMEOUT_S_MAX;
}

/* After the pool and the ports: each host has a block of its own, or gets some. */
static bool nat_blocks_ok(const struct snapshot *s, const struct snap_nat_rule *r)
{
	if (r->block_size == 0)
		return r->blocks_max == 0 && r->block_active_s == 0 && r->block_recycle_s == 0;
	if (r->action != NAT_POOL || r->pool.first.family != ADDR_V4 ||
		r->flags & (NAT_KEEP_PORT | NAT_MAP_PREFIX) || r->block_size < NAT_BLOCK_MIN)
		return false;
	if (r->blocks_max)
		return dynamic_blocks_ok(r);
	return snapshot_range_ok(&r->base) && r->base.first.family == ADDR_V4 && r->block_active_s == 0 &&
	       r->block_recycle_s == 0 &&
	       snap_nat_hosts(r) <= snap_nat_blocks(snap_ranges(s) + r->pool_more.first, r);
}

static bool nat_flags_ok(const struct snap_nat_rule *r)
{
	if (r->flags & ~(uint32_t)(NAT_KEEP_PORT | NAT_MAP_PREFIX | NAT_KEEP_PARITY))
		return false;
	if (r->flags & NAT_KEEP_PORT && r->action != NAT_POOL)
		return false;
	if (r->flags & NAT_KEEP_PARITY && (r->action == NAT_OFF || r->port_first >= r->port_last))
		return false;
	if (!(r->flags & NAT_MAP_PREFIX))
		return r->block_size || range_none(&r->base);
	return r->flags & NAT_KEEP_PORT && snapshot_range_ok(&r->base) &&
	       snap_prefixes_fit(&r->base, &r->pool);
}

static bool nat_pool_ok(const struct snapshot *s, const struct snap_nat_rule *r)
{
	if (r->action != NAT_POOL)
		return range_none(&r->pool) && r->pool_more.count == 0;
	if (!snapshot_range_ok(&r->pool) || !snapshot_plain_ranges(s, &r->pool_more) ||
		r->pool_more.count >= NAT_POOLS_MAX || (r->flags & NAT_MAP_PREFIX && r->pool_more.count))
		return false;
	for (uint32_t i = 0; i < r->pool_more.count; i++)
		if (snap_ranges(s)[r->pool_more.first + i].first.family != r->pool.first.family)
			return false;
	return true;
}

static enum rc check_nat_rules(const struct snapshot *s, struct err *e)
{
	const struct snap_nat_rule *r = snap_nat_rules(s);

	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		if (!name_ok(r[i].name, sizeof r[i].name))
			return bad(e, "nat_rules", i, "its name is empty or not terminated");
		if (!zone_ok(s, r[i].from_zone) || !zone_ok(s, r[i].to_zone))
			return bad(e, "nat_rules", i, "its zone does not exist");
		if (r[i].action > NAT_INTERFACE6)
			return bad(e, "nat_rules", i, "an unknown action");
		if (!nat_pool_ok(s, &r[i]))
			return bad(e, "nat_rules", i, "its pool does not fit its action");
		if (!span_in(&r[i].src, s->ranges.count) || !span_in(&r[i].dst, s->ranges.count))
			return bad(e, "nat_rules", i, "what it matches is not in the arrays");
		if (!nat_binding_ok(&r[i]))
			return bad(e, "nat_rules", i, "its bindings are not within the limits");
		if (!nat_flags_ok(&r[i]))
			return bad(e, "nat_rules", i, "its flags do not fit its action, pool and ports");
		if (!nat_ports_ok(s, &r[i]))
			return bad(e, "nat_rules", i, "its ports are not within source NAT's");
		if (!nat_blocks_ok(s, &r[i]))
			return bad(e, "nat_rules", i, "its blocks of ports do not fit its pool");
	}
	if (snap_nat_block_addresses(snap_ranges(s), r, s->nat_rules.count) > NAT_BLOCK_ADDRESSES)
		return bad(e, "nat_rules", 0, "too many addresses with dynamic blocks of ports");
	return RC_OK;
}

static bool ports_forwarded_ok(const struct snapshot *s, const struct snap_dnat_rule *r)
{
	const struct snap_service *v = snap_services(s) + r->services.first;

	if (r->port_first == 0)
		return r->port_last == 0;
	if (r->action != DNAT_SERVERS || r->port_first > r->port_last || r->services.count == 0)
		return false;
	for (uint32_t i = 0; i < r->services.count; i++)
		if ((v[i].proto != 6 && v[i].proto != 17) ||
			(r->port_first != r->port_last &&
				v[i].dst_last - v[i].dst_first != r->port_last - r->port_first))
			return false;
	return true;
}

/* Prefixes of one length: each address of one is an address of the other by exchanging the common bits. */
static bool prefixes_alike(const struct ip_range *a, const struct ip_range *b)
{
	bool alike = a->first.family == b->first.family;

	for (size_t i = 0; i < sizeof a->first.b && alike; i++) {
		uint8_t host = a->first.b[i] ^ a->last.b[i];
		alike = host == (b->first.b[i] ^ b->last.b[i]) && !(a->first.b[i] & host) &&
			!(b->first.b[i] & host);
	}
	return alike;
}

uint32_t snap_checked_servers(const struct snap_dnat_rule *r)
{
	size_t at = addr_size(&r->to.first) - 4;

	if (r->check_port == 0)
		return 0;
	if (memcmp(r->to.first.b, r->to.last.b, at) != 0)
		return UINT32_MAX;
	uint32_t more = load_be32(r->to.last.b + at) - load_be32(r->to.first.b + at);
	return more == UINT32_MAX ? more : more + 1;
}

static bool within(uint16_t value, uint16_t max)
{
	return value >= 1 && value <= max;
}

static bool health_ok(const struct snap_dnat_rule *r)
{
	if (r->check_port == 0)
		return !r->check_interval_s && !r->check_timeout_s && !r->check_rise && !r->check_fall &&
		       !r->check_flags;
	return r->action == DNAT_SERVERS && snap_checked_servers(r) <= HEALTH_RANGE_MAX &&
	       within(r->check_interval_s, HEALTH_INTERVAL_S_MAX) &&
	       within(r->check_timeout_s, HEALTH_TIMEOUT_S_MAX) && within(r->check_rise, HEALTH_COUNT_MAX) &&
	       within(r->check_fall, HEALTH_COUNT_MAX) && (r->check_flags & ~HEALTH_END_SESSIONS) == 0;
}

static bool nptv6_ok(const struct ip_range *published, const struct ip_range *inside)
{
	uint8_t identifier = 0xff;

	for (size_t i = NPTV6_BITS_MAX / 8; i < sizeof inside->first.b; i++)
		identifier &= inside->first.b[i] ^ inside->last.b[i];
	return inside->first.family == ADDR_V6 && snap_prefixes_fit(published, inside) && identifier == 0xff;
}

/* RFC 6052 section 2.2. `to` is the prefix as well. */
static bool nat64_ok(const struct snapshot *s, const struct snap_dnat_rule *r)
{
	const struct ip_range *prefix = &snap_ranges(s)[r->dst.first];

	return r->dst.count == 1 && !r->interfaces && !r->src.count && !r->services.count &&
	       prefix->first.family == ADDR_V6 && snap_prefixes_fit(prefix, &r->to) &&
	       memcmp(prefix, &r->to, sizeof *prefix) == 0 && snap_nat64_bits_ok(snap_prefix_bits(prefix)) &&
	       (snap_prefix_bits(prefix) != 96 || prefix->first.b[8] == 0);
}

static const char *dnat_rule_fault(const struct snapshot *s, const struct snap_dnat_rule *r)
{
	uint64_t all = s->interfaces.count < 64 ? (1ull << s->interfaces.count) - 1 : UINT64_MAX;

	if (!name_ok(r->name, sizeof r->name))
		return "its name is empty or not terminated";
	if (!zone_ok(s, r->from_zone))
		return "its zone does not exist";
	if (r->action > DNAT_NAT64)
		return "an unknown action";
	if (r->action == DNAT_OFF ? !range_none(&r->to) : !snapshot_range_ok(&r->to))
		return "its servers do not fit its action";
	if (!snapshot_plain_ranges(s, &r->src) || !snapshot_plain_ranges(s, &r->dst) ||
		!span_in(&r->services, s->services.count) || r->interfaces & ~all)
		return "what it matches is not in the arrays";
	if (r->dst.count == 0 && r->interfaces == 0)
		return "it has no destination";
	if (!ports_forwarded_ok(s, r))
		return "its ports do not fit its services";
	if (!health_ok(r))
		return "its health check is not within the limits";
	if (snap_dnat_is_static(r) &&
		(r->dst.count != 1 || r->interfaces || r->src.count || r->services.count ||
			!prefixes_alike(&snap_ranges(s)[r->dst.first], &r->to)))
		return "its published addresses are not as many as the real ones";
	if (r->action == DNAT_NPTV6 && !nptv6_ok(&snap_ranges(s)[r->dst.first], &r->to))
		return "its prefixes are not such as NPTv6 has";
	if (r->action == DNAT_NAT64 && !nat64_ok(s, r))
		return "its prefix is not such as NAT64 has";
	return NULL;
}

static enum rc check_dnat_rules(const struct snapshot *s, struct err *e)
{
	const struct snap_dnat_rule *r = snap_dnat_rules(s);
	uint32_t checked = 0;

	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const char *what = dnat_rule_fault(s, &r[i]);
		if (what)
			return bad(e, "dnat_rules", i, what);
		if (i > 0 && snap_dnat_is_static(&r[i]) && !snap_dnat_is_static(&r[i - 1]))
			return bad(e, "dnat_rules", i, "a static rule comes after the others");
		checked += snap_checked_servers(&r[i]);
		if (checked > HEALTH_SERVERS_MAX)
			return bad(e, "dnat_rules", i, "too many servers whose health is checked");
	}
	return RC_OK;
}

/* Unicast addresses. */
static bool proxied_ok(const struct ip_range *r)
{
	static const uint8_t none[16];

	return snapshot_range_ok(r) && memcmp(r->first.b, none, sizeof none) != 0 &&
	       (r->first.family == ADDR_V4 ? r->last.b[0] < 224 : r->last.b[0] != 0xff);
}

static enum rc check_proxies(const struct snapshot *s, struct err *e)
{
	const struct snap_proxy *p = snap_proxies(s);

	for (uint32_t i = 0; i < s->proxies.count; i++) {
		if (p[i].interface >= s->interfaces.count || p[i].zero)
			return bad(e, "proxies", i, "its interface does not exist, or stray bytes");
		if (!proxied_ok(&p[i].addrs))
			return bad(e, "proxies", i, "they are not addresses of hosts");
		if (i > 0 && (p[i - 1].interface > p[i].interface ||
				     (p[i - 1].interface == p[i].interface &&
					     addr_compare(&p[i - 1].addrs.last, &p[i].addrs.first) >= 0)))
			return bad(e, "proxies", i, "it is out of order, or overlaps the one before");
	}
	return RC_OK;
}

static const char *probe_fault(const struct snap_probe *p, uint8_t family)
{
	if (!addr_ok(&p->target) || p->target.family != family ||
		!proxied_ok(&(struct ip_range){ p->target, p->target }))
		return "a target is not the address of a host, or not of the uplink's family";
	if (p->kind > PROBE_DNS || (p->kind == PROBE_TCP) != (p->port != 0))
		return "a probe is of no known kind, or its port does not fit that";
	if (!memchr(p->name, '\0', sizeof p->name) || (p->kind == PROBE_DNS) != (p->name[0] != '\0') ||
		(p->kind == PROBE_DNS && !snapshot_dns_name_ok(p->name)))
		return "the name of a probe is not one of DNS";
	return NULL;
}

static const char *uplink_fault(const struct snapshot *s, const struct snap_uplink *u)
{
	const char *fault = NULL;

	if (!name_ok(u->name, sizeof u->name))
		return "its name is empty or not terminated";
	if (u->interface >= s->interfaces.count || u->flags & ~(uint32_t)UPLINK_DOWN_WHEN_ANY || u->zero)
		return "its interface does not exist, or stray bits";
	if (!span_in(&u->probes, s->probes.count) || u->probes.count == 0 ||
		u->probes.count > UPLINK_PROBES_MAX)
		return "its probes are outside of their array, none, or too many";
	if (u->interval_ms < UPLINK_MS_MIN || u->interval_ms > UPLINK_MS_MAX ||
		!within(u->fall, UPLINK_COUNT_MAX) || !within(u->rise, UPLINK_COUNT_MAX))
		return "its probes are not within the limits";
	const struct snap_probe *p = snap_probes(s) + u->probes.first;
	if (!addr_ok(&u->next_hop) ||
		(u->next_hop.family != ADDR_NONE && u->next_hop.family != p->target.family))
		return "its next hop is not of the family of its targets";
	for (uint32_t i = 0; i < u->probes.count && !fault; i++)
		fault = p[i].target.family == ADDR_NONE ? "a target has no address"
							: probe_fault(&p[i], p->target.family);
	return fault;
}

static enum rc check_uplinks(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->uplinks.count; i++) {
		const struct snap_uplink *u = &snap_uplinks(s)[i];
		const char *fault = uplink_fault(s, u);
		for (uint32_t k = 0; k < i && !fault; k++)
			if (strcmp(u->name, snap_uplinks(s)[k].name) == 0)
				fault = "another uplink has its name";
		if (fault)
			return bad(e, "uplinks", i, fault);
	}
	return RC_OK;
}

static bool encr_ok(uint16_t encr, uint16_t bits)
{
	return strcmp(encr_word(encr, bits), "none") != 0;
}

static bool prf_ok(uint16_t prf)
{
	switch (prf) {
#define E(id, number, bytes, word) case number:
		PRF_ALGORITHMS(E)
#undef E
		return true;
	}
	return false;
}

static bool dh_ok(uint16_t dh)
{
	switch (dh) {
#define E(id, number, bytes, word) case number:
		DH_GROUPS(E)
#undef E
		return true;
	}
	return false;
}

static enum rc check_proposals(const struct snapshot *s, struct err *e)
{
	const struct snap_ike_proposal *k = snap_ike_proposals(s);
	const struct snap_esp_proposal *p = snap_esp_proposals(s);

	for (uint32_t i = 0; i < s->ike_proposals.count; i++) {
		if (!name_ok(k[i].name, sizeof k[i].name) || !snapshot_additional_ok(k[i].additional))
			return bad(e, "ike_proposals", i, "a malformed name or additional key exchange");
		if (!encr_ok(k[i].encr, k[i].encr_bits) || !prf_ok(k[i].prf) || !dh_ok(k[i].dh))
			return bad(e, "ike_proposals", i, "an unknown algorithm");
	}
	for (uint32_t i = 0; i < s->esp_proposals.count; i++) {
		if (!name_ok(p[i].name, sizeof p[i].name))
			return bad(e, "esp_proposals", i, "its name is empty or not terminated");
		if (!encr_ok(p[i].encr, p[i].encr_bits) || !(p[i].dh == DH_NONE || dh_ok(p[i].dh)) ||
			p[i].esn > 2 || !snapshot_esp_additional_ok(&p[i]))
			return bad(e, "esp_proposals", i, "an unknown algorithm");
	}
	return RC_OK;
}

/* Addresses have their length; a peer's own identity may be left to the address (ID_NONE). */
static bool id_ok(const struct snap_id *id)
{
	size_t n = id->len;

	if (n > sizeof id->data || !bytes_zero(id->zero, sizeof id->zero) ||
		!bytes_zero(id->data + n, sizeof id->data - n))
		return false;
	switch (id->type) {
	case ID_NONE:
		return n == 0;
	case ID_IPV4:
		return n == 4;
	case ID_IPV6:
		return n == 16;
	case ID_FQDN:
	case ID_RFC822:
	case ID_DN:
	case ID_KEY_ID:
		return n > 0;
	}
	return false;
}

static const char *peer_fault(const struct snapshot *s, const struct snap_peer *p)
{
	if (!name_ok(p->name, sizeof p->name) ||
		(p->flags & PEER_PSK_OF_ID ? p->key_name[0] != 0 : !name_ok(p->key_name, sizeof p->key_name)))
		return "its name or its key's is empty or not terminated";
	if (p->ppk_name[0] && !name_ok(p->ppk_name, sizeof p->ppk_name))
		return "the name of its PPK is not terminated";
	if ((p->flags & PEER_REQUIRE_PQ) && !p->ppk_name[0] && !snapshot_peer_has_additional(s, p))
		return "it requires a PPK or an additional key exchange, and has neither";
	if (!addr_ok(&p->local) || !addr_ok(&p->remote))
		return "a malformed address";
	if (p->local.family && p->remote.family && p->local.family != p->remote.family)
		return "addresses of two families";
	if (!id_ok(&p->local_id) || !id_ok(&p->remote_id) || !snapshot_peer_redirect_ok(p))
		return "a malformed identity, of its own, ours or the gateway's that it is sent to";
	if (p->auth > PEER_AUTH_CERTIFICATE || p->start > PEER_START_ON_TRAFFIC)
		return "an unknown way to authenticate or to start";
	if (p->flags & ~(uint32_t)(PEER_FORCE_ENCAP | PEER_REMOTE_ANY | PEER_REQUIRE_PQ | PEER_ID_PATTERN |
				   PEER_RSA_PKCS1 | PEER_PSK_OF_ID | PEER_REMOTE_NAME | PEER_REDIRECT_ACCEPT))
		return "an unknown flag";
	if (((p->flags & (PEER_REMOTE_ANY | PEER_REMOTE_NAME)) != 0) != (p->remote.family == ADDR_NONE))
		return "its address does not fit its flags";
	if (p->remote.family == ADDR_NONE && p->remote_id.type == ID_NONE)
		return "any address, and no identity to know it by";
	if (peer_template_fault(p) || !snapshot_peer_name_ok(s, p))
		return peer_template_fault(p) ? peer_template_fault(p) : "its name of DNS does not fit";
	if (p->fragment_size != 0 &&
		(p->fragment_size < FRAGMENT_SIZE_MIN || p->fragment_size > FRAGMENT_SIZE_MAX))
		return "parts of messages that are too small or too large";
	if (p->public_key_n > sizeof p->public_key)
		return "its public key is too long";
	if ((p->auth == PEER_AUTH_PUBLIC_KEY) != (p->public_key_n > 0))
		return "its public key does not fit its way to authenticate";
	if (!span_in(&p->proposals, s->ike_proposals.count) || p->proposals.count == 0 ||
		p->proposals.count > PROPOSALS_EACH_MAX)
		return "its proposals are not in the array";
	return snapshot_peer_certificate_fault(s, p);
}

static enum rc check_peers(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const char *what = peer_fault(s, &snap_peers(s)[i]);
		if (what)
			return bad(e, "peers", i, what);
	}
	return RC_OK;
}

static bool selectors_ok(const struct snapshot *s, const struct span *span)
{
	return span_in(span, s->selectors.count) && span->count > 0 && span->count <= SELECTORS_MAX;
}

static const char *tunnel_fault(const struct snapshot *s, const struct snap_tunnel *t)
{
	if (!name_ok(t->name, sizeof t->name))
		return "its name is empty or not terminated";
	if (t->peer >= s->peers.count || t->zone >= s->zones.count)
		return "its peer or zone does not exist";
	if (!span_in(&t->proposals, s->esp_proposals.count) || t->proposals.count == 0 ||
		t->proposals.count > PROPOSALS_EACH_MAX)
		return "its proposals are not in the array";
	if (!selectors_ok(s, &t->local) || !selectors_ok(s, &t->remote))
		return "its selectors are not in the array";
	if (t->flags & ~(uint32_t)(TUNNEL_PFS | TUNNEL_PER_WORKER))
		return "an unknown flag";
	if (t->mtu > UINT16_MAX || t->replay_window > REPLAY_WINDOW_MAX)
		return "its MTU or replay window is out of range";
	return t->interface[0] && !name_ok(t->interface, sizeof t->interface) ? "its interface has no name"
									      : NULL;
}

static enum rc check_tunnels(const struct snapshot *s, struct err *e)
{
	const struct selector *x = snap_selectors(s);
	uint32_t pairs = 0;

	for (uint32_t i = 0; i < s->selectors.count; i++) {
		if (!snapshot_range_ok(&x[i].addrs) || x[i].port_first > x[i].port_last ||
			!bytes_zero(x[i].zero, sizeof x[i].zero))
			return bad(e, "selectors", i, "not a range of one family, or not a range of ports");
	}
	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s)[i];
		const char *what = tunnel_fault(s, t);
		if (what)
			return bad(e, "tunnels", i, what);
		if ((pairs += t->local.count * t->remote.count) > SELECTOR_PAIRS_MAX)
			return bad(e, "tunnels", i, "it and those before it have too many pairs of networks");
	}
	return RC_OK;
}

/* By address, by peer or by URL. */
static bool reached_ok(const struct snap_witness *w)
{
	static const struct snap_witness none;
	bool at = memcmp(&w->at, &none.at, sizeof none.at) != 0,
	     peer = memcmp(w->peer, none.peer, sizeof none.peer) != 0,
	     url = memcmp(w->url, none.url, sizeof none.url) != 0,
	     key = memcmp(w->server_key, none.server_key, sizeof none.server_key) != 0;
	struct url u;

	if (at + peer + url != 1)
		return false;
	if (url)
		return name_ok(w->url, sizeof w->url) && url_parse(&u, w->url, NULL) == RC_OK &&
		       (u.tls || !key);
	if (key)
		return false;
	return peer ? name_ok(w->peer, sizeof w->peer)
		    : addr_ok(&w->at.addr) && w->at.port != 0 && w->at.scope == 0;
}

static enum rc check_cosigns(const struct snap_evidence *v, struct err *e)
{
	static const struct snap_cosign none;

	if (v->cosign_count > WITNESSES_MAX || v->zero)
		return err_add(e, RC_MALFORMED, "snapshot: the number of cosigned ledgers is out of range");
	for (uint32_t i = 0; i < WITNESSES_MAX; i++) {
		const struct snap_cosign *w = &v->cosign[i];
		if (i >= v->cosign_count && memcmp(w, &none, sizeof none) != 0)
			return bad(e, "cosigned ledger", i, "stray bytes");
		if (i < v->cosign_count &&
			(!name_ok(w->name, sizeof w->name) || !name_ok(w->peer, sizeof w->peer) ||
				!name_ok(w->key, sizeof w->key)))
			return bad(e, "cosigned ledger", i, "a name or the key is empty or not terminated");
	}
	return RC_OK;
}

enum rc snapshot_evidence_check(const struct snap_evidence *v, struct err *e)
{
	static const struct snap_witness none;

	if (v->count > WITNESSES_MAX || v->quorum > v->count || (v->quorum == 0) != (v->count == 0) ||
		(v->count > 0 && v->heartbeat_s == 0))
		return err_add(e, RC_MALFORMED,
			"snapshot: the number of witnesses, the quorum or the heartbeat is out of range");
	if (v->required & ~(uint32_t)(REQUIRED_COMMIT | REQUIRED_WITNESSES | REQUIRED_ACT))
		return err_add(e, RC_MALFORMED, "snapshot: an unknown act is required to be witnessed");
	for (uint32_t i = 0; i < WITNESSES_MAX; i++) {
		const struct snap_witness *w = &v->witness[i];
		if (i >= v->count) {
			if (memcmp(w, &none, sizeof none) != 0)
				return bad(e, "witness", i, "stray bytes");
			continue;
		}
		if (!name_ok(w->name, sizeof w->name) || !name_ok(w->key, sizeof w->key))
			return bad(e, "witness", i, "its name or its key is empty or not terminated");
		if (!reached_ok(w))
			return bad(e, "witness", i, "not one of an address, a peer and a URL");
	}
	return check_cosigns(v, e);
}

/* The arrays that may be long, row by row; what is between them and behind them is short. */
enum { CHECK_RANGES, CHECK_SERVICES, CHECK_RULES, CHECK_REST };

static uint32_t rows_of(const struct snapshot_checking *c)
{
	const struct snapshot *s = c->snapshot;

	return c->step == CHECK_RANGES	   ? s->ranges.count
	       : c->step == CHECK_SERVICES ? s->services.count
					   : s->rules.count;
}

static enum rc check_row(struct snapshot_checking *c, struct err *e)
{
	return c->step == CHECK_RANGES	   ? check_range(c->snapshot, c->next, e)
	       : c->step == CHECK_SERVICES ? check_service(c->snapshot, c->next, e)
					   : snapshot_check_rule(c, c->next, e);
}

static enum rc check_rest(const struct snapshot *s, struct err *e)
{
	enum rc rc;

	if ((rc = check_nat_rules(s, e)) || (rc = check_dnat_rules(s, e)) || (rc = check_proxies(s, e)) ||
		(rc = check_uplinks(s, e)) || (rc = check_proposals(s, e)) ||
		(rc = snapshot_check_certificates(s, e)) || (rc = check_peers(s, e)) ||
		(rc = check_tunnels(s, e)) || (rc = snapshot_evidence_check(&s->evidence, e)) ||
		(rc = snapshot_log_check(&s->log, e)) || (rc = snapshot_metrics_check(&s->metrics, e)))
		return rc;
	return RC_OK;
}

enum rc snapshot_check_begin(struct snapshot_checking *ret_c, const void *block, size_t n, struct err *e)
{
	const struct snapshot *s = block;
	enum rc rc;

	*ret_c = (struct snapshot_checking){ .snapshot = s };
	if (n < sizeof *s || n > SNAPSHOT_BYTES_MAX || (uintptr_t)block % 8 != 0)
		return err_add(e, RC_MALFORMED,
			"snapshot: its size is %zu bytes, expected %zu to %u, aligned to 8", n, sizeof *s,
			SNAPSHOT_BYTES_MAX);
	if (s->magic != SNAPSHOT_MAGIC)
		return err_add(e, RC_MALFORMED, "snapshot: wrong magic number");
	if (s->bytes != n)
		return err_add(e, RC_MALFORMED, "snapshot: its header states %u bytes, its size is %zu",
			s->bytes, n);
	if ((rc = check_arrays(s, e)) || (rc = check_header(s, e)) || (rc = check_zones(s, e)))
		return rc;
	return check_host_services(s, e);
}

enum rc snapshot_check_some(struct snapshot_checking *c, uint32_t rows, bool *ret_ready, struct err *e)
{
	enum rc rc;

	*ret_ready = false;
	for (; c->step < CHECK_REST; c->step++, c->next = 0) {
		for (; c->next < rows_of(c); c->next++) {
			if (rows-- == 0)
				return RC_OK;
			if ((rc = check_row(c, e)))
				return rc;
		}
		if (c->step == CHECK_SERVICES && ((rc = snapshot_check_dynamics(c->snapshot, e)) ||
							 (rc = snapshot_check_schedules(c->snapshot, e))))
			return rc;
	}
	*ret_ready = true;
	return check_rest(c->snapshot, e);
}

enum rc snapshot_check(const void *block, size_t n, struct err *e)
{
	struct snapshot_checking c;
	enum rc rc = snapshot_check_begin(&c, block, n, e);
	bool ready = false;

	while (rc == RC_OK && !ready)
		rc = snapshot_check_some(&c, UINT32_MAX, &ready, e);
	return rc;
}

/* Ranges of one span are sorted and disjoint. */
static bool ranges_hold(const struct ip_range *r, uint32_t n, const struct ip_addr *a)
{
	while (n > 0) {
		uint32_t half = n / 2;
		if (range_holds(&r[half], a))
			return true;
		bool above = addr_compare(a, &r[half].first) > 0;
		r += above ? half + 1 : 0;
		n = above ? n - half - 1 : half;
	}
	return false;
}

bool snap_zone_opens(
	const struct snapshot *s, uint32_t zone, uint8_t proto, uint16_t port, const struct ip_addr *from)
{
	const struct span *services = &snap_zones(s)[zone].host_services;

	for (uint32_t i = services->first; i < services->first + services->count; i++) {
		const struct snap_host_service *v = &snap_host_services(s)[i];
		bool ports = v->first || v->last;
		if (v->proto == proto && (!ports || (port >= v->first && port <= v->last)) &&
			(v->from.count == 0 ||
				ranges_hold(&snap_ranges(s)[v->from.first], v->from.count, from)))
			return true;
	}
	return false;
}
