#include "export/line.h"

#include "base/bytes.h"
#include "base/json.h"
#include "wire/drop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *reason_of(const struct session_record *r)
{
	switch (r->event) {
	case SESSION_EVENT_DENY:
	case SESSION_EVENT_DROP:
	case SESSION_EVENT_SCREEN_DROP:
	case SESSION_EVENT_SCREEN_ALARM:
		return drop_name((enum drop_reason)r->reason);
	case SESSION_EVENT_CLOSE:
	case SESSION_EVENT_NAT_BLOCK_GIVEN:
		return session_end_name((enum session_end)r->reason);
	default:
		return "";
	}
}

/* What an event has beside its name and time. */
enum part {
	PART_NAMES = 1 << 0,   /* rule, zones, user */
	PART_PACKET = 1 << 1,  /* addresses and protocol */
	PART_SESSION = 1 << 2, /* number, translation, tunnel */
	PART_COUNTS = 1 << 3,
	PART_REPLY = 1 << 4, /* counts of both directions, duration */
	PART_COUNT = 1 << 5,
	PART_NAT_RULE = 1 << 6,
	PART_BLOCK = 1 << 7,
	PART_DURATION = 1 << 8,
};

static uint32_t parts(enum session_event e)
{
	switch (e) {
	case SESSION_EVENT_INIT:
		return PART_NAMES | PART_PACKET | PART_SESSION;
	case SESSION_EVENT_CLOSE:
		return PART_NAMES | PART_PACKET | PART_SESSION | PART_COUNTS | PART_REPLY | PART_DURATION;
	case SESSION_EVENT_DENY:
	case SESSION_EVENT_DROP:
		return PART_NAMES | PART_PACKET | PART_COUNTS;
	case SESSION_EVENT_SUPPRESSED:
		return PART_NAMES | PART_COUNT;
	case SESSION_EVENT_NAT_EXHAUSTED:
	case SESSION_EVENT_NAT_BLOCK_LIMIT:
		return PART_NAMES | PART_PACKET | PART_NAT_RULE | PART_COUNT;
	case SESSION_EVENT_SCREEN_DROP:
	case SESSION_EVENT_SCREEN_ALARM:
		return PART_NAMES | PART_PACKET | PART_COUNT;
	case SESSION_EVENT_NAT_BLOCK_TAKEN:
		return PART_NAT_RULE | PART_BLOCK;
	case SESSION_EVENT_NAT_BLOCK_GIVEN:
		return PART_NAT_RULE | PART_BLOCK | PART_DURATION;
	case SESSION_EVENT_NAT_BLOCKS_LOST:
	case SESSION_EVENT_LOST:
		return PART_COUNT;
	default:
		return 0;
	}
}

static void address(struct jw *w, const char *key, const struct ip_addr *a)
{
	char text[ADDR_TEXT_MAX];

	jw_str(w, key, a->family == ADDR_NONE ? "" : addr_text(text, a));
}

/* Keys are in byte order across the three that follow. */
static void up_to_log(struct jw *w, const struct session_record *r, uint32_t p)
{
	if (p & PART_COUNTS)
		jw_u64(w, "bytes_forward", r->bytes[0]);
	if (p & PART_REPLY)
		jw_u64(w, "bytes_reply", r->bytes[1]);
	if (p & PART_COUNT)
		jw_u64(w, "count", r->count);
	if (p & PART_PACKET) {
		address(w, "dst", &r->dst.addr);
		jw_u64(w, "dst_port", r->dst.port);
	}
	if (p & PART_DURATION)
		jw_u64(w, "duration_ms", r->duration_ms);
	jw_str(w, "event", session_event_name((enum session_event)r->event));
	if (p & (PART_NAMES | PART_BLOCK))
		jw_str(w, "from", r->from);
}

static void translation(struct jw *w, const struct session_record *r, uint32_t p)
{
	if (p & PART_SESSION && r->nat_dst.addr.family != ADDR_NONE) {
		address(w, "nat_dst", &r->nat_dst.addr);
		jw_u64(w, "nat_dst_port", r->nat_dst.port);
	}
	if (p & PART_BLOCK) {
		jw_u64(w, "nat_port_first", r->nat_first);
		jw_u64(w, "nat_port_last", r->nat_last);
	}
	if (p & PART_NAT_RULE)
		jw_str(w, "nat_rule", r->nat_rule);
	if (p & (PART_SESSION | PART_BLOCK) && r->nat_src.addr.family != ADDR_NONE) {
		address(w, "nat_src", &r->nat_src.addr);
		if (p & PART_SESSION)
			jw_u64(w, "nat_src_port", r->nat_src.port);
	}
	if (p & PART_COUNTS)
		jw_u64(w, "packets_forward", r->packets[0]);
	if (p & PART_REPLY)
		jw_u64(w, "packets_reply", r->packets[1]);
}

static void from_proto(struct jw *w, const struct session_record *r, uint32_t p)
{
	const struct ip_prefix host = { r->src.addr, r->src_bits };
	const char *reason = reason_of(r);
	char text[PREFIX_TEXT_MAX];

	if (p & PART_PACKET)
		jw_u64(w, "proto", r->proto);
	if (reason[0])
		jw_str(w, "reason", reason);
	if (p & PART_NAMES) {
		jw_str(w, "rule", r->rule);
		jw_str(w, "rule_id", r->rule_id);
	}
	if (p & (PART_SESSION | PART_BLOCK))
		jw_u64(w, "session", r->session);
	if (p & PART_BLOCK && r->src_bits)
		jw_str(w, "src", prefix_text(text, &host));
	else if (p & (PART_PACKET | PART_BLOCK))
		address(w, "src", &r->src.addr);
	if (p & PART_PACKET)
		jw_u64(w, "src_port", r->src.port);
	if (p & PART_NAMES)
		jw_str(w, "to", r->to);
	if (p & PART_SESSION)
		jw_str(w, "tunnel", r->tunnel);
	if (p & PART_NAMES)
		jw_str(w, "user", r->user);
}

size_t export_line(char ret_text[SESSION_LINE_MAX], const struct session_record *r, const char *log,
	const struct export_chain *chain)
{
	struct jw w = jw_over(ret_text, SESSION_LINE_MAX - 1, true);
	uint32_t p = parts((enum session_event)r->event);
	char utc[UTC_TEXT_MAX];

	jw_object(&w, NULL);
	up_to_log(&w, r, p);
	if (log)
		jw_str(&w, "log", log);
	if (chain)
		jw_u64(&w, "n", chain->n + 1);
	translation(&w, r, p);
	if (chain)
		jw_hex(&w, "prev", chain->last, sizeof chain->last);
	from_proto(&w, r, p);
	jw_str(&w, "utc", utc_text(utc, r->at));
	jw_end(&w);
	return jw_done(&w);
}

void export_chain_add(struct export_chain *chain, const char *line, size_t n)
{
	chain->n++;
	sha256(chain->last, line, n);
}

/* The text behind `"key":`, at which the value begins; NULL: it is not there. A key is found only outside of strings, as
 * quotes within them are escaped. */
static const char *value_of(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? at + strlen(key) : NULL;
}

bool export_line_read(const char *line, size_t n, struct export_chain *ret_chain,
	char ret_log[2 * SESSION_LOG_ID_BYTES + 1])
{
	char text[SESSION_LINE_MAX];
	char *end;

	if (n < 2 || n >= sizeof text || line[0] != '{' || line[n - 1] != '}' || memchr(line, '\0', n))
		return false;
	memcpy(text, line, n);
	text[n] = '\0';
	const char *number = value_of(text, ",\"n\":"), *prev = value_of(text, ",\"prev\":\"");
	const char *log = value_of(text, ",\"log\":\"");
	if (!number || !prev || *number < '1' || *number > '9' || strcspn(prev, "\"") != 2 * SHA256_SIZE)
		return false;
	uint64_t value = strtoull(number, &end, 10);
	if (*end != ',' || value > UINT64_MAX / 2)
		return false;
	if (log && strcspn(log, "\"") == 2 * SESSION_LOG_ID_BYTES) {
		memcpy(ret_log, log, 2 * SESSION_LOG_ID_BYTES);
		ret_log[2 * SESSION_LOG_ID_BYTES] = '\0';
	}
	ret_chain->n = value;
	sha256(ret_chain->last, line, n);
	return true;
}
