/*
 * Options of a session filter: text to values and back. What a kind of value looks like stands once here, for both ways
 * and for the check of what a client sent.
 */
#include "model/session_filter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const options[SESSION_FILTER_COUNT] = {
#define E(id, option, value, text) [SESSION_FILTER_##id] = option,
	SESSION_FILTERS(E)
#undef E
};

enum kind {
	KIND_NONE,
	KIND_ADDRESSES,
	KIND_PROTOCOL,
	KIND_PORTS,
	KIND_NAME,
	KIND_NUMBER,
	KIND_SECONDS,
	KIND_OCTETS
};

#define AT(field) offsetof(struct session_filter, field)

static const struct {
	enum kind kind;
	size_t at;
} rows[SESSION_FILTER_COUNT] = {
	[SESSION_FILTER_SRC] = { KIND_ADDRESSES, AT(src) },
	[SESSION_FILTER_DST] = { KIND_ADDRESSES, AT(dst) },
	[SESSION_FILTER_PROTO] = { KIND_PROTOCOL, AT(proto) },
	[SESSION_FILTER_SPORT] = { KIND_PORTS, AT(sport) },
	[SESSION_FILTER_DPORT] = { KIND_PORTS, AT(dport) },
	[SESSION_FILTER_NAT_SRC] = { KIND_ADDRESSES, AT(nat_src) },
	[SESSION_FILTER_NAT_PORT] = { KIND_PORTS, AT(nat_port) },
	[SESSION_FILTER_NAT_DST] = { KIND_ADDRESSES, AT(nat_dst) },
	[SESSION_FILTER_FROM_ZONE] = { KIND_NAME, AT(from_zone) },
	[SESSION_FILTER_TO_ZONE] = { KIND_NAME, AT(to_zone) },
	[SESSION_FILTER_RULE] = { KIND_NAME, AT(rule) },
	[SESSION_FILTER_INTERFACE] = { KIND_NAME, AT(interface) },
	[SESSION_FILTER_TUNNEL] = { KIND_NAME, AT(tunnel) },
	[SESSION_FILTER_STATE] = { KIND_NAME, AT(state) },
	[SESSION_FILTER_ID] = { KIND_NUMBER, AT(id) },
	[SESSION_FILTER_IDLE_MIN] = { KIND_SECONDS, AT(idle_min_s) },
	[SESSION_FILTER_IDLE_MAX] = { KIND_SECONDS, AT(idle_max_s) },
	[SESSION_FILTER_AGE_MIN] = { KIND_SECONDS, AT(age_min_s) },
	[SESSION_FILTER_AGE_MAX] = { KIND_SECONDS, AT(age_max_s) },
	[SESSION_FILTER_BYTES_MIN] = { KIND_OCTETS, AT(bytes_min) },
};

static const struct {
	const char *name;
	uint32_t number;
} protocols[] = { { "tcp", 6 }, { "udp", 17 }, { "sctp", 132 }, { "icmp", 1 }, { "icmp6", 58 } };

/* Digits and nothing else. Below 2^63. */
static bool number_read(uint64_t *ret_value, const char *text, size_t n, uint64_t min, uint64_t max)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' || i == 18)
			return false;
		value = 10 * value + (uint64_t)(text[i] - '0');
	}
	*ret_value = value;
	return n > 0 && value >= min && value <= max;
}

static bool addresses_read(struct ip_range *ret_range, const char *text)
{
	const char *hyphen = strchr(text, '-');
	char first[ADDR_TEXT_MAX] = "";
	struct ip_prefix prefix;
	struct ip_range range;

	if (!hyphen && prefix_parse(&prefix, text) == RC_OK) {
		*ret_range = range_from_prefix(&prefix);
		return true;
	}
	if (!hyphen || (size_t)(hyphen - text) >= sizeof first)
		return false;
	memcpy(first, text, (size_t)(hyphen - text));
	if (addr_parse(&range.first, first) != RC_OK || addr_parse(&range.last, hyphen + 1) != RC_OK ||
		range.first.family != range.last.family || addr_compare(&range.first, &range.last) > 0)
		return false;
	*ret_range = range;
	return true;
}

/* 0 means any protocol in a filter, as it does for ports: it is refused, so that it does not match all. */
static bool protocol_read(uint32_t *ret_proto, const char *text)
{
	uint64_t number;

	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		if (strcmp(protocols[i].name, text) == 0) {
			*ret_proto = protocols[i].number;
			return true;
		}
	}
	if (!number_read(&number, text, strlen(text), 1, 255))
		return false;
	*ret_proto = (uint32_t)number;
	return true;
}

static bool ports_read(struct port_range *ret_ports, const char *text)
{
	size_t n = strcspn(text, "-");
	uint64_t first, last;

	if (!number_read(&first, text, n, 1, UINT16_MAX))
		return false;
	last = first;
	if (text[n] == '-' && !number_read(&last, text + n + 1, strlen(text + n + 1), first, UINT16_MAX))
		return false;
	*ret_ports = (struct port_range){ (uint16_t)first, (uint16_t)last };
	return true;
}

static bool seconds_read(uint64_t *ret_s, const char *text)
{
	static const struct {
		char unit;
		uint32_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t n = strspn(text, "0123456789");
	uint64_t factor = text[n] == '\0', value;

	for (size_t i = 0; i < COUNT_OF(units); i++)
		if (text[n] == units[i].unit && text[n + 1] == '\0')
			factor = units[i].s;
	if (factor == 0 || !number_read(&value, text, n, 1, FILTER_SECONDS_MAX / factor))
		return false;
	*ret_s = value * factor;
	return true;
}

/* What the configuration may call something, and no more: it is printed and entered in the ledger. */
static bool name_is_sound(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
			    (name[i] >= '0' && name[i] <= '9') || (name[i] && strchr("_.-@", name[i]))))
			return false;
	return n > 0 && n < NAME_MAX_BYTES && name[0] != '-';
}

static const char *expected(enum kind kind)
{
	switch (kind) {
	case KIND_ADDRESSES:
		return "an address, a prefix (host bits zero) or a range first-last of one family";
	case KIND_PROTOCOL:
		return "tcp, udp, sctp, icmp, icmp6 or a number from 1 to 255";
	case KIND_PORTS:
		return "a port from 1 to 65535, or a range first-last of them";
	case KIND_NAME:
		return "a name of 1 to 63 letters, digits, '-', '_', '.' and '@'";
	case KIND_NUMBER:
		return "a number from 1 to 4294967295";
	case KIND_SECONDS:
		return "a time of at least a second: seconds, or a number followed by s, m, h or d";
	case KIND_OCTETS:
	case KIND_NONE:
		break;
	}
	return "a number of octets, at least 1";
}

static bool value_read(void *ret_field, enum kind kind, const char *text)
{
	uint64_t number;

	switch (kind) {
	case KIND_ADDRESSES:
		return addresses_read(ret_field, text);
	case KIND_PROTOCOL:
		return protocol_read(ret_field, text);
	case KIND_PORTS:
		return ports_read(ret_field, text);
	case KIND_NAME:
		if (!name_is_sound(text, strlen(text)))
			return false;
		memset(ret_field, 0, NAME_MAX_BYTES);
		memcpy(ret_field, text, strlen(text));
		return true;
	case KIND_NUMBER:
		if (!number_read(&number, text, strlen(text), 1, UINT32_MAX))
			return false;
		*(uint32_t *)ret_field = (uint32_t)number;
		return true;
	case KIND_SECONDS:
		return seconds_read(ret_field, text);
	case KIND_OCTETS:
		return number_read(ret_field, text, strlen(text), 1, UINT64_MAX);
	case KIND_NONE:
		break;
	}
	return false;
}

enum rc session_filter_set(
	struct session_filter *f, enum session_filter_id id, const char *text, struct err *e)
{
	struct session_filter set = *f;

	assert(id < SESSION_FILTER_COUNT && rows[id].kind != KIND_NONE);
	if (!value_read((uint8_t *)&set + rows[id].at, rows[id].kind, text))
		return err_add(e, RC_MALFORMED, "%s: '%.60s' found, expected %s", options[id], text,
			expected(rows[id].kind));
	*f = set;
	return RC_OK;
}

static bool range_is_sound(const struct ip_range *r)
{
	return r->first.family == r->last.family && !range_is_wildcard(r) &&
	       (r->first.family == ADDR_NONE || ((r->first.family == ADDR_V4 || r->first.family == ADDR_V6) &&
							addr_compare(&r->first, &r->last) <= 0));
}

static bool name_field_is_sound(const char name[NAME_MAX_BYTES])
{
	size_t n = strnlen(name, NAME_MAX_BYTES);

	return n == 0 || name_is_sound(name, n);
}

static bool value_is_sound(const void *field, enum kind kind)
{
	const struct port_range *ports = field;

	switch (kind) {
	case KIND_ADDRESSES:
		return range_is_sound(field);
	case KIND_PROTOCOL:
		return *(const uint32_t *)field <= 255;
	case KIND_PORTS:
		return ports->first <= ports->last && (ports->first > 0 || ports->last == 0);
	case KIND_NAME:
		return name_field_is_sound(field);
	case KIND_SECONDS:
		return *(const uint64_t *)field <= FILTER_SECONDS_MAX;
	case KIND_NUMBER:
	case KIND_OCTETS:
	case KIND_NONE:
		break;
	}
	return true;
}

enum rc session_filter_check(const struct session_filter *f, struct err *e)
{
	for (unsigned i = 0; i < SESSION_FILTER_COUNT; i++)
		if (!value_is_sound((const uint8_t *)f + rows[i].at, rows[i].kind))
			return err_add(e, RC_MALFORMED, "malformed filter of sessions: %s is not %s",
				options[i], expected(rows[i].kind));
	return RC_OK;
}

/* Empty: the field is not set. */
static void value_write(char *ret_text, size_t size, const void *field, enum kind kind)
{
	const struct ip_range *range = field;
	const struct port_range *ports = field;
	char text[RANGE_TEXT_MAX];

	ret_text[0] = '\0';
	switch (kind) {
	case KIND_ADDRESSES:
		if (range->first.family != ADDR_NONE)
			snprintf(ret_text, size, "%s", range_text(text, range));
		break;
	case KIND_PORTS:
		if (ports->first)
			snprintf(ret_text, size, ports->first == ports->last ? "%u" : "%u-%u", ports->first,
				ports->last);
		break;
	case KIND_NAME:
		snprintf(ret_text, size, "%.*s", NAME_MAX_BYTES - 1, (const char *)field);
		break;
	case KIND_PROTOCOL:
	case KIND_NUMBER:
		if (*(const uint32_t *)field)
			snprintf(ret_text, size, "%u", *(const uint32_t *)field);
		break;
	case KIND_SECONDS:
	case KIND_OCTETS:
		if (*(const uint64_t *)field)
			snprintf(ret_text, size, "%" PRIu64, *(const uint64_t *)field);
		break;
	case KIND_NONE:
		break;
	}
}

const char *session_filter_text(char ret_text[SESSION_FILTER_TEXT_MAX], const struct session_filter *f)
{
	char value[RANGE_TEXT_MAX];
	size_t n = 0;

	_Static_assert(SESSION_FILTER_TEXT_MAX >= SESSION_FILTER_COUNT * 14 + 4 * RANGE_TEXT_MAX +
							  6 * NAME_MAX_BYTES + 9 * 20 + 1,
		"options and values at their longest");
	snprintf(ret_text, SESSION_FILTER_TEXT_MAX, "all");
	for (unsigned i = 0; i < SESSION_FILTER_COUNT; i++) {
		value_write(value, sizeof value, (const uint8_t *)f + rows[i].at, rows[i].kind);
		if (value[0] == '\0')
			continue;
		n += (size_t)snprintf(ret_text + n, SESSION_FILTER_TEXT_MAX - n, "%s%s %s", n ? " " : "",
			options[i], value);
		assert(n < SESSION_FILTER_TEXT_MAX);
	}
	return ret_text;
}
