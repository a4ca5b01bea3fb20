#include "proc/dataplane/rule_log.h"

#include "base/tw.h"
#include "wire/ip.h"

enum session_event rule_log_event(const struct fw_log *l)
{
	switch (l->kind) {
	case FW_LOG_INIT:
		return SESSION_EVENT_INIT;
	case FW_LOG_CLOSE:
		return SESSION_EVENT_CLOSE;
	case FW_LOG_SUPPRESSED:
		return SESSION_EVENT_SUPPRESSED;
	case FW_LOG_EXHAUSTED:
		return l->drop == DROP_NAT_BLOCK_LIMIT ? SESSION_EVENT_NAT_BLOCK_LIMIT
						       : SESSION_EVENT_NAT_EXHAUSTED;
	case FW_LOG_BLOCK_TAKEN:
		return SESSION_EVENT_NAT_BLOCK_TAKEN;
	case FW_LOG_BLOCK_GIVEN:
		return SESSION_EVENT_NAT_BLOCK_GIVEN;
	case FW_LOG_BLOCKS_LOST:
		return SESSION_EVENT_NAT_BLOCKS_LOST;
	case FW_LOG_SCREEN:
		return l->permits ? SESSION_EVENT_SCREEN_ALARM : SESSION_EVENT_SCREEN_DROP;
	case FW_LOG_DENY:
		break;
	}
	return l->permits ? SESSION_EVENT_DROP : SESSION_EVENT_DENY;
}

static const char *kind(const struct fw_log *l)
{
	return session_event_name(rule_log_event(l));
}

static void proto_say(struct tw *w, uint8_t proto)
{
	const char *name = proto == IP_TCP	? "tcp"
			   : proto == IP_UDP	? "udp"
			   : proto == IP_ICMP	? "icmp"
			   : proto == IP_ICMPV6 ? "icmp6"
			   : proto == IP_SCTP	? "sctp"
						: NULL;

	if (name)
		tw_say(w, " proto=%s", name);
	else
		tw_say(w, " proto=%u", proto);
}

static void endpoint_say(struct tw *w, const char *name, struct ip_addr addr, uint16_t port)
{
	struct endpoint e = { .addr = addr, .port = port };
	char text[ENDPOINT_TEXT_MAX];

	tw_say(w, " %s=%s", name, endpoint_text(text, &e));
}

static void session_say(struct tw *w, const struct fw_log *l)
{
	uint64_t ms = (l->at - l->begun) / NS_PER_MS;

	if (l->destination_translated)
		endpoint_say(w, "nat-dst", fw_key_src(&l->key[1]), l->key[1].src_port);
	if (l->source_translated)
		endpoint_say(w, "nat-src", fw_key_dst(&l->key[1]), l->key[1].dst_port);
	tw_say(w, " session=%u", l->session_id);
	if (l->kind == FW_LOG_CLOSE)
		tw_say(w,
			" duration=%llu.%03llu packets-forward=%llu bytes-forward=%llu packets-reply=%llu "
			"bytes-reply=%llu",
			(unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
			(unsigned long long)l->packets[0], (unsigned long long)l->bytes[0],
			(unsigned long long)l->packets[1], (unsigned long long)l->bytes[1]);
}

static void exhausted_say(struct tw *w, const struct fw_log *l)
{
	char text[RANGE_TEXT_MAX];

	tw_say(w, "%s nat-rule=%s pool=%s", kind(l), l->nat_rule_name, range_text(text, &l->nat_pool));
	if (l->nat_pools_more)
		tw_say(w, "+%u", l->nat_pools_more);
	tw_say(w, " from=%s to=%s count=%llu", l->zone_name[0], l->zone_name[1],
		(unsigned long long)l->suppressed);
	proto_say(w, l->key[0].proto);
	endpoint_say(w, "src", fw_key_src(&l->key[0]), l->key[0].src_port);
	endpoint_say(w, "dst", fw_key_dst(&l->key[0]), l->key[0].dst_port);
}

static void screen_say(struct tw *w, const struct fw_log *l)
{
	tw_say(w, "%s screen=%s zone=%s reason=%s count=%llu", kind(l), l->rule_name, l->zone_name[0],
		drop_name(l->drop), (unsigned long long)l->suppressed);
	if (l->key[0].family == ADDR_NONE)
		return;
	proto_say(w, l->key[0].proto);
	endpoint_say(w, "src", fw_key_src(&l->key[0]), l->key[0].src_port);
	endpoint_say(w, "dst", fw_key_dst(&l->key[0]), l->key[0].dst_port);
}

static void block_say(struct tw *w, const struct fw_log *l)
{
	struct ip_prefix host = { fw_key_src(&l->key[0]), l->key[0].family == ADDR_V4 ? 32 : 64 };
	struct ip_addr as = fw_key_dst(&l->key[1]);
	char text[PREFIX_TEXT_MAX];
	uint64_t ms = (l->at - l->begun) / NS_PER_MS;

	tw_say(w, "%s nat-rule=%s from=%s", kind(l), l->nat_rule_name[0] ? l->nat_rule_name : "-",
		l->zone_name[0][0] ? l->zone_name[0] : "-");
	tw_say(w, " src=%s", host.bits == 32 ? addr_text(text, &host.addr) : prefix_text(text, &host));
	tw_say(w, " nat-src=%s nat-ports=%u-%u block=%u", addr_text(text, &as), l->nat_first, l->nat_last,
		l->session_id);
	if (l->kind == FW_LOG_BLOCK_GIVEN)
		tw_say(w, " reason=%s duration=%llu.%03llu", fw_end_name(l->end),
			(unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

bool rule_log_must_arrive(const struct fw_log *l)
{
	return l->kind == FW_LOG_BLOCK_TAKEN || l->kind == FW_LOG_BLOCK_GIVEN ||
	       l->kind == FW_LOG_BLOCKS_LOST;
}

/* Of a rule's own records: what happened to a session or a packet. */
static void record_say(struct tw *w, const struct fw_log *l)
{
	if (l->kind == FW_LOG_SUPPRESSED) {
		tw_say(w, " count=%llu", (unsigned long long)l->suppressed);
		return;
	}
	if (l->kind == FW_LOG_DENY)
		tw_say(w, " reason=%s", drop_name(l->drop));
	if (l->kind == FW_LOG_CLOSE)
		tw_say(w, " reason=%s", fw_end_name(l->end));
	proto_say(w, l->key[0].proto);
	endpoint_say(w, "src", fw_key_src(&l->key[0]), l->key[0].src_port);
	endpoint_say(w, "dst", fw_key_dst(&l->key[0]), l->key[0].dst_port);
	if (l->kind == FW_LOG_DENY)
		tw_say(w, " packets=%llu bytes=%llu", (unsigned long long)l->packets[0],
			(unsigned long long)l->bytes[0]);
	else
		session_say(w, l);
}

static void rule_say(struct tw *w, const struct fw_log *l)
{
	char id[RULE_ID_TEXT_MAX];

	tw_say(w, "%s rule=%s from=%s to=%s", kind(l), l->rule_name[0] ? l->rule_name : "-",
		l->zone_name[0][0] ? l->zone_name[0] : "any", l->zone_name[1][0] ? l->zone_name[1] : "any");
	record_say(w, l);
	if (l->rule_id)
		tw_say(w, " rule-id=%s", snap_rule_id_text(id, l->rule_id));
}

char *rule_log_text(char ret_text[RULE_LOG_TEXT_MAX], const struct fw_log *l)
{
	struct tw w = tw_over(ret_text, RULE_LOG_TEXT_MAX);

	if (l->kind == FW_LOG_EXHAUSTED) {
		exhausted_say(&w, l);
		return ret_text;
	}
	if (l->kind == FW_LOG_SCREEN) {
		screen_say(&w, l);
		return ret_text;
	}
	if (l->kind == FW_LOG_BLOCKS_LOST) {
		tw_say(&w, "%s count=%llu", kind(l), (unsigned long long)l->suppressed);
		return ret_text;
	}
	if (rule_log_must_arrive(l)) {
		block_say(&w, l);
		return ret_text;
	}
	rule_say(&w, l);
	return ret_text;
}
