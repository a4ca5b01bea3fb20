/* Filters of packets, of which one must hold, and what is known of a packet as JSON and as a sentence. */
#include "model/packet_facts.h"
#include "model/packet_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static void add(struct packet_filters *f, enum session_filter_id id, const char *value, bool first)
{
	struct session_filter one = { 0 };
	struct packet_filter *last = &f->list[f->n ? f->n - 1 : 0];

	if (!first)
		one = (struct session_filter){ .proto = last->proto,
			.src = last->src,
			.dst = last->dst,
			.sport = last->sport,
			.dport = last->dport };
	assert_int_equal(session_filter_set(&one, id, value, NULL), RC_OK);
	if (first)
		last = &f->list[f->n++];
	*last = packet_filter_from(&one);
}

static bool holds(const struct packet_filters *f, const char *src, uint8_t proto, uint16_t dport)
{
	const struct ip_addr from = addr(src), to = addr("192.0.2.80");

	return packet_filters_hold(f, &from, &to, proto, 40000, dport);
}

static void one_of_several(void **state)
{
	struct packet_filters f = { .count = 1 };
	char text[PACKET_FILTERS_TEXT_MAX];

	(void)state;
	assert_string_equal(packet_filters_text(text, &f), "all");
	assert_true(holds(&f, "10.1.0.2", 6, 80));
	add(&f, SESSION_FILTER_SRC, "10.1.0.0/24", true);
	add(&f, SESSION_FILTER_DPORT, "80-90", false);
	add(&f, SESSION_FILTER_PROTO, "udp", true);
	assert_true(holds(&f, "10.1.0.2", 6, 80));
	assert_false(holds(&f, "10.1.0.2", 6, 443)); /* half of the first one */
	assert_false(holds(&f, "10.2.0.2", 6, 80));
	assert_true(holds(&f, "10.2.0.2", 17, 53));
	assert_string_equal(packet_filters_text(text, &f), "--src 10.1.0.0/24 --dport 80-90 --or --proto 17");
	assert_int_equal(packet_filters_check(&f, NULL), RC_OK);
}

/* At their longest they fit the entry of the ledger; what no program of ours sends is refused. */
static void bounds(void **state)
{
	static const char ends[] =
		"2001:db8:ffff:ffff:ffff:ffff:ffff:fff0-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff";
	struct packet_filters f = { .count = 1 }, bad;
	char text[PACKET_FILTERS_TEXT_MAX];

	(void)state;
	for (int i = 0; i < PACKET_FILTERS_MAX; i++) {
		add(&f, SESSION_FILTER_SRC, ends, true);
		add(&f, SESSION_FILTER_DST, ends, false);
		add(&f, SESSION_FILTER_PROTO, "255", false);
		add(&f, SESSION_FILTER_SPORT, "65534-65535", false);
		add(&f, SESSION_FILTER_DPORT, "65534-65535", false);
	}
	assert_int_equal(packet_filters_check(&f, NULL), RC_OK);
	assert_true(strlen(packet_filters_text(text, &f)) < PACKET_FILTERS_TEXT_MAX - 100);
	bad = f;
	bad.n++;
	assert_int_equal(packet_filters_check(&bad, NULL), RC_MALFORMED);
	bad = f;
	bad.list[7].proto = 256;
	assert_int_equal(packet_filters_check(&bad, NULL), RC_MALFORMED);
	bad = f;
	bad.list[3].dport = (struct port_range){ 9, 8 };
	assert_int_equal(packet_filters_check(&bad, NULL), RC_MALFORMED);
}

static const char *json(const struct packet_facts *f)
{
	static char text[4096];
	struct jw w = jw_over(text, sizeof text, false);

	jw_object(&w, NULL);
	packet_facts_json(&w, f);
	jw_end(&w);
	assert_true(jw_done(&w) > 0);
	return text;
}

static void facts(void **state)
{
	struct packet_facts f = { .src = { addr("10.1.0.2"), 40000, 0 },
		.dst = { addr("192.0.2.80"), 25, 0 },
		.proto = 6,
		.from_zone = "trust",
		.in_interface = "lan0" };
	char text[PACKET_FACTS_TEXT_MAX];

	(void)state;
	assert_string_equal(json(&f), "{\"from_zone\":\"trust\",\"in_interface\":\"lan0\",\"proto\":\"tcp\","
				      "\"src\":\"10.1.0.2:40000\",\"dst\":\"192.0.2.80:25\"}");
	assert_string_equal(packet_facts_text(text, &f), "no verdict; trust to no zone; in lan0");
	f.verdict = PACKET_DROP;
	snprintf(f.drop, sizeof f.drop, "policy-deny");
	snprintf(f.rule, sizeof f.rule, "rest");
	snprintf(f.to_zone, sizeof f.to_zone, "untrust");
	assert_string_equal(
		packet_facts_text(text, &f), "drop policy-deny; rule rest of trust to untrust; in lan0");
	assert_non_null(strstr(json(&f), "\"verdict\":\"drop\",\"drop\":\"policy-deny\",\"rule\":\"rest\""));
	f.verdict = PACKET_PASS;
	f.drop[0] = '\0';
	f.session = 7;
	f.reply = 1;
	f.nat_src = (struct endpoint){ addr("198.51.100.2"), 45000, 0 };
	snprintf(f.nat_src_rule, sizeof f.nat_src_rule, "out");
	snprintf(f.out_tunnel, sizeof f.out_tunnel, "branch");
	assert_string_equal(packet_facts_text(text, &f),
		"pass; rule rest of trust to untrust; session 7, reply; source translated to 198.51.100.2:45000 by rule "
		"out; in lan0; out tunnel branch");
	assert_non_null(strstr(json(&f), "\"session\":7,\"direction\":\"reply\"}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_several),
		cmocka_unit_test(bounds),
		cmocka_unit_test(facts),
	};
	return cmocka_run_group_tests_name("model/packet", tests, NULL, NULL);
}
