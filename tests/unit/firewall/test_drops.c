/*
 * Every drop reason that the firewall and the parser can give is given here by a packet. Which ones they can
 * give is read from their sources by the table of wire/drop.h, so a new reason without a packet fails.
 */
#include "scene.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define INSIDE	"10.0.0.2"
#define OUTSIDE "198.51.100.9"

static void begin(void)
{
	scene_begin(4);
	policy_rule(&p, "deny", TRUST, UNTRUST, "any", "any", "udp/1", RULE_DENY);
	policy_rule(&p, "reject", TRUST, UNTRUST, "any", "any", "udp/2", RULE_REJECT);
	policy_rule(&p, "rest", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_static(&p, "site", UNTRUST, "2001:db8:7::/48", "2001:db8:1::/48")->action = DNAT_NPTV6;
	policy_dnat(&p, "nat64", TRUST, "any", "64:ff9b::/96", "any", "64:ff9b::/96", 0, 0)->action =
		DNAT_NAT64;
	policy_nat(&p, "nat", TRUST, UNTRUST, "10.0.1.0/24", "any", NAT_INTERFACE, NULL);
	policy_nat(&p, "four", TRUST, UNTRUST, "2001:db8:1::/64", "any", NAT_INTERFACE, NULL);
	p.nat_port_last = p.nat_port_first;
	world_load(&w, &p);
}

static struct packet_spec base(void)
{
	return (struct packet_spec){ .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_UDP,
		.src_port = 1000,
		.dst_port = 53,
		.payload_n = 40 };
}

static enum drop_reason send(struct packet_spec s)
{
	return world_send(&w, &s);
}

/* The packet of base() with one octet changed and the header's checksum made right again. */
static enum drop_reason changed(uint32_t at, uint8_t octet, bool wrong_sum)
{
	struct packet_spec s = base();

	w.t = packet_make(&w.packet, &s);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	w.t.ip[at] = octet;
	uint32_t head = 4u * (w.t.ip[0] & 15);
	store_be16(w.t.ip + 10, 0);
	store_be16(w.t.ip + 10, (uint16_t)(plain_checksum(0, w.t.ip, head) ^ wrong_sum));
	return world_run(&w);
}

static enum drop_reason address(const char *src, const char *dst)
{
	struct packet_spec s = base();

	s.src = src;
	s.dst = dst;
	return send(s);
}

static enum drop_reason udp_without_checksum(const char *src, const char *dst)
{
	struct packet_spec s = base();

	s.src = src;
	s.dst = dst;
	w.t = packet_make(&w.packet, &s);
	store_be16(w.t.ip + IP6_HEADER_SIZE + UDP_CSUM, 0);
	return world_run(&w);
}

/* Four words of options: one of `type`. */
static enum drop_reason option(uint8_t type)
{
	struct packet_spec s = base();

	w.t = packet_make(&w.packet, &s);
	memset(w.t.ip + 20, 0, 16);
	w.t.ip[0] = 0x49;
	w.t.ip[20] = type;
	w.t.ip[21] = 7;
	store_be16(w.t.ip + 10, 0);
	store_be16(w.t.ip + 10, plain_checksum(0, w.t.ip, 36));
	return world_run(&w);
}

static enum drop_reason fragment(uint16_t id, uint16_t field, uint8_t fill)
{
	struct packet_spec s = base();

	fw_reassemble_done(w.fw);
	w.t = packet_make(&w.packet, &s);
	memset(w.t.ip + 28, fill, 40);
	store_be16(w.t.ip + 4, id);
	store_be16(w.t.ip + 6, field);
	store_be16(w.t.ip + 10, 0);
	store_be16(w.t.ip + 10, plain_checksum(0, w.t.ip, 20));
	return world_run(&w);
}

static enum drop_reason from_host(void)
{
	struct packet_spec s = base();

	s.src = "203.0.113.1";
	s.src_port = 40960;
	w.t = packet_make(&w.packet, &s);
	w.t.flags = TRAIN_FROM_HOST;
	return world_run(&w);
}

static enum drop_reason second_mapping(void)
{
	struct packet_spec s = {
		.src = "10.0.1.2", .dst = OUTSIDE, .proto = IP_UDP, .src_port = 1000, .dst_port = 53
	};
	enum drop_reason d = DROP_NONE;

	p.nat_rules[0].filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	p.nat_rules[0].binding_timeout_s = NAT_BINDING_TIMEOUT_S_MIN;
	p.nat_rules[0].bindings_max = 1;
	p.nat_port_last++;
	world_load(&w, &p);
	for (uint16_t i = 0; !d && i < 2; i++, s.src_port++)
		d = send(s);
	return d;
}

/* Of a host's only block all ports are in use; or the log takes no record of a block. */
static enum drop_reason without_a_block(bool unlogged)
{
	struct packet_spec s = {
		.src = "10.0.1.2", .dst = OUTSIDE, .proto = IP_UDP, .src_port = 1000, .dst_port = 53
	};
	struct snap_nat_rule *nat = &p.nat_rules[0];
	enum drop_reason d = DROP_NONE;

	world_done(&w);
	world_init(&w, 256);
	nat->action = NAT_POOL;
	nat->pool = (struct ip_range){ w.nat4, w.nat4 };
	nat->block_size = NAT_BLOCK_MIN;
	nat->blocks_max = nat->block_recycle_s = 1;
	p.nat_port_last = (uint16_t)(p.nat_port_first + 1000);
	p.rules[0].flags = RULE_LOG_INIT;
	world_load(&w, &p);
	for (uint32_t i = 0; unlogged && i < 1024; i++) {
		struct packet_spec denied = base();
		denied.dst_port = 1;
		send(denied);
	}
	for (uint16_t i = 0; !d && i < 65; i++, s.src_port++)
		d = send(s);
	return d;
}

static enum drop_reason stranger_to_a_mapping(void)
{
	struct packet_spec s = {
		.src = "10.0.1.2", .dst = OUTSIDE, .proto = IP_UDP, .src_port = 1000, .dst_port = 53
	};

	p.nat_rules[0].filtering = NAT_FILTER_ADDRESS_DEPENDENT;
	p.nat_rules[0].binding_timeout_s = NAT_BINDING_TIMEOUT_S_MIN;
	p.nat_rules[0].bindings_max = 1;
	world_load(&w, &p);
	if (send(s))
		return w.t.drop;
	s = (struct packet_spec){ .src = "198.51.100.250",
		.dst = "203.0.113.1",
		.proto = IP_UDP,
		.src_port = 7,
		.dst_port = w.t.src_port };
	return send(s);
}

/* A COOKIE ACK after an INIT. */
static enum drop_reason second_of_sctp(struct packet_spec s)
{
	s.proto = IP_SCTP;
	s.payload_n = 32; /* an INIT */
	send(s);
	s.payload = (const uint8_t[32]){ s.src_port >> 8, (uint8_t)s.src_port, s.dst_port >> 8,
		(uint8_t)s.dst_port, 1, 2, 3, 4, 0, 0, 0, 0, SCTP_COOKIE_ACK, 0, 0, 20 };
	return send(s);
}

static enum drop_reason last_of_several(enum drop_reason r)
{
	struct packet_spec s = base();
	enum drop_reason d = DROP_NONE;

	switch (r) {
	case DROP_FRAGMENT_OVERLAP:
		fragment(1, IP4_MF, 'a');
		return fragment(1, IP4_MF | 1, 'b');
	case DROP_FRAGMENT_TIMEOUT: /* of the kept ones: a counter */
		fragment(1, IP4_MF, 'a');
		w.now += 31 * NS_PER_S;
		fw_expire(w.fw, w.now, 10);
		return fw_counters(w.fw)->fragments_timeout == 1 ? DROP_FRAGMENT_TIMEOUT : DROP_NONE;
	case DROP_FRAGMENT_LIMIT:
		for (uint16_t i = 1; !d && i < 1000; i++)
			d = fragment(1, (uint16_t)(IP4_MF | 12 * i), 'a');
		return d;
	case DROP_SESSION_ZONE_MISMATCH:
		send(s);
		s = (struct packet_spec){
			.src = OUTSIDE, .dst = INSIDE, .proto = IP_UDP, .src_port = 53, .dst_port = 1000
		};
		w.t = packet_make(&w.packet, &s);
		w.t.flags = TRAIN_FROM_HOST;
		return world_run(&w);
	case DROP_TCP_STATE:
		s.proto = IP_TCP;
		s.flags = TCP_SYN;
		s.payload_n = 0;
		send(s);
		s.flags = TCP_ACK;
		return send(s);
	case DROP_SCTP_STATE:
		return second_of_sctp(s);
	case DROP_SESSION_LIMIT:
		for (uint16_t i = 0; !d && i < 10; i++, s.src_port++) {
			d = send(s);
			struct packet_spec answer = { .src = OUTSIDE,
				.dst = INSIDE,
				.proto = IP_UDP,
				.src_port = 53,
				.dst_port = s.src_port };
			if (!d)
				send(answer); /* what nobody answered would give way */
		}
		return d;
	case DROP_NAT_BINDING_LIMIT:
		return second_mapping();
	case DROP_NAT_BLOCK_LIMIT:
	case DROP_NAT_BLOCK_UNLOGGED:
		return without_a_block(r == DROP_NAT_BLOCK_UNLOGGED);
	case DROP_NAT_FILTERED:
		return stranger_to_a_mapping();
	case DROP_NAT_EXHAUSTED:
		s.src = "10.0.1.2";
		for (uint16_t i = 0; !d && i < 3; i++, s.src_port++)
			d = send(s);
		return d;
	case DROP_NAT_NO_ADDRESS:
		s.src = "10.0.1.2";
		w.nat4 = (struct ip_addr){ 0 };
		return send(s);
	case DROP_SESSION_COLLISION:
		s.src = "10.0.1.2";
		s.src_port = 40960;
		send(s);
		return from_host();
	default:
		return DROP_NONE;
	}
}

/* The second session under a limit of one, or of one a second. */
static enum drop_reason over_limit(enum drop_reason r)
{
	struct packet_spec s = base();

	p.rules[2].sessions_max = r == DROP_RULE_SESSION_LIMIT;
	p.rules[2].sessions_rate = r == DROP_RULE_SESSION_RATE;
	p.zones[TRUST].sessions_max = r == DROP_ZONE_SESSION_LIMIT;
	p.zones[TRUST].source_sessions_max = r == DROP_SOURCE_SESSION_LIMIT;
	p.zones[TRUST].destination_sessions_max = r == DROP_DESTINATION_SESSION_LIMIT;
	world_load(&w, &p);
	if (send(s) != DROP_NONE)
		return DROP_NONE;
	s.src_port++;
	return send(s);
}

static enum drop_reason of_prefixes(enum drop_reason r)
{
	switch (r) {
	case DROP_NAT64_ADDRESS:
		return address("2001:db8:1::7", "64:ff9b::a00:1");
	case DROP_NAT64_UNTRANSLATABLE:
		address("2001:db8:1::7", "64:ff9b::808:808");
		return udp_without_checksum("2001:db8:1::7", "64:ff9b::808:808");
	case DROP_NAT_NO_MAPPING:
		return address("2001:db8:1:ffff::1", "2001:db8:99::9");
	default:
		return last_of_several(r);
	}
}

static enum drop_reason give(enum drop_reason r)
{
	struct packet_spec s = base();

	switch (r) {
	case DROP_RULE_SESSION_LIMIT:
	case DROP_RULE_SESSION_RATE:
	case DROP_ZONE_SESSION_LIMIT:
	case DROP_SOURCE_SESSION_LIMIT:
	case DROP_DESTINATION_SESSION_LIMIT:
		return over_limit(r);
	case DROP_TRUNCATED:
		return changed(3, 200, false);
	case DROP_MALFORMED:
		return changed(25, 4, false);
	case DROP_IP_CHECKSUM:
		return changed(8, 64, true);
	case DROP_L4_CHECKSUM:
		return changed(30, 99, false);
	case DROP_MARTIAN_SOURCE:
		return address("127.0.0.1", OUTSIDE);
	case DROP_MARTIAN_DESTINATION:
		return address(INSIDE, "240.0.0.1");
	case DROP_MULTICAST:
		return address(INSIDE, "239.1.1.1");
	case DROP_LAND:
		return address(INSIDE, INSIDE);
	case DROP_TCP_FLAGS:
		s.proto = IP_TCP;
		return send(s);
	case DROP_SOURCE_ROUTE:
		return option(IP4_OPTION_LSRR);
	case DROP_IP_OPTIONS:
		return option(7);
	case DROP_FRAGMENT_INVALID:
		return fragment(1, IP4_MF | 0x1fff, 'a');
	case DROP_NO_ZONE:
		w.t = packet_make(&w.packet, &s);
		train_parse(&w.t);
		fw_admit(w.fw, &w.t, &(struct fw_egress){ 0 }, w.now);
		return w.t.drop;
	case DROP_POLICY_DENY:
		s.dst_port = 1;
		return send(s);
	case DROP_POLICY_REJECT:
		s.dst_port = 2;
		return send(s);
	case DROP_DEFAULT_DENY:
		return address(OUTSIDE, INSIDE);
	case DROP_NO_SESSION:
		s.proto = IP_TCP;
		s.flags = TCP_ACK;
		return send(s);
	case DROP_ICMP_UNRELATED:
		s.proto = IP_ICMP;
		s.icmp_type = ICMP4_UNREACHABLE;
		return send(s);
	case DROP_NAT_PROTOCOL:
		s.src = "10.0.1.2";
		s.proto = IP_AH;
		return send(s);
	case DROP_HOST_INBOUND:
		s.dst = "203.0.113.1";
		return send(s);
	case DROP_TTL:
		s.hops = 1;
		return send(s);
	default:
		return of_prefixes(r);
	}
}

static const char *const ids[DROP_COUNT] = {
#define E(id, name, text) [DROP_##id] = "DROP_" #id,
	DROP_REASONS(E)
#undef E
};

static bool names(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if (at[n] != '_' && (at[n] < 'A' || at[n] > 'Z'))
			return true;
	return false;
}

static void read_sources(const char *pattern, bool can[DROP_COUNT])
{
	static char text[1 << 17];
	glob_t files;

	assert_int_equal(glob(pattern, 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		FILE *f = fopen(files.gl_pathv[i], "r");
		assert_non_null(f);
		size_t n = fread(text, 1, sizeof text - 1, f);
		text[n] = '\0';
		assert_true(n > 0 && n < sizeof text - 1);
		fclose(f);
		for (int r = 1; r < DROP_COUNT; r++)
			can[r] |= names(text, ids[r]);
	}
	globfree(&files);
}

static void test_every_reason(void **state)
{
	bool can[DROP_COUNT] = { [DROP_FRAGMENT_TIMEOUT] = true };
	uint32_t n = 0;

	(void)state;
	read_sources("src/firewall/*.c", can);
	read_sources("src/wire/parse.c", can);
	for (int r = 1; r < DROP_COUNT; r++) {
		if (!can[r])
			continue;
		begin();
		enum drop_reason is = give((enum drop_reason)r);
		if (is != (enum drop_reason)r)
			fail_msg("%s: given %s", drop_name((enum drop_reason)r), drop_name(is));
		scene_end(NULL);
		n++;
	}
	assert_true(n >= 29);
}

/* The table itself: every reason has a name of its own, and a sentence. */
static void test_table(void **state)
{
	(void)state;
	for (int r = 0; r < DROP_COUNT; r++) {
		assert_true(strlen(drop_name((enum drop_reason)r)) > 2);
		assert_true(strlen(drop_text((enum drop_reason)r)) > 10);
		for (int k = 0; k < r; k++)
			assert_string_not_equal(
				drop_name((enum drop_reason)r), drop_name((enum drop_reason)k));
	}
	assert_string_equal(drop_name(DROP_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests_name("firewall/drops", tests, NULL, NULL);
}
