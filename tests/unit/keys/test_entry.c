/*
 * Each kind of entry becomes a body that the ledger's own check takes, also with everything at its largest
 * and with octets that are no text.
 */
#include "proc/keeper/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void full(struct keys_entry *x, uint32_t kind)
{
	memset(x, 0, sizeof *x);
	x->kind = kind;
	memset(x->peer, 'p', sizeof x->peer - 1);
	memset(x->tunnel, 't', sizeof x->tunnel - 1);
	memset(x->reason, '\"', sizeof x->reason - 1);
	memset(x->ike_spi_i, 0xab, 8);
	memset(x->id, 0x01, sizeof x->id);
	x->id_n = sizeof x->id;
	x->id_type = ID_FQDN;
	x->method = AUTH_DIGITAL_SIGNATURE;
	x->encr = 20;
	x->encr_bits = 256;
	x->prf = 6;
	x->dh_group = 20;
	x->local.addr.family = x->remote.addr.family = ADDR_V6;
	memset(x->local.addr.b, 0xfe, 16);
	memset(x->remote.addr.b, 0xfd, 16);
	x->local.port = x->remote.port = 65535;
	x->spi_in = x->spi_out = x->rekeys_spi_in = 0xffffffff;
	x->flags = CHILD_ESN | CHILD_ENCAP;
	x->deferred = true;
	x->count = x->proof.count = UINT32_MAX;
	x->local_n = x->remote_n = SELECTORS_MAX;
	for (size_t i = 0; i < SELECTORS_MAX; i++) {
		struct selector s = { .proto = 255, .port_first = 10000, .port_last = 65534 };

		s.addrs.first = x->local.addr;
		s.addrs.last = x->local.addr;
		s.addrs.last.b[15] = 0xff;
		x->local_ts[i] = x->remote_ts[i] = s;
	}
}

static void every_kind(void **state)
{
	struct leaf_proof leaf = { .groups = 0 };
	static struct keys_entry x;
	static struct ledger_body b;

	for (uint32_t kind = 0; kind < KEYS_ENTRY_COUNT; kind++) {
		struct err e = { 0 };
		size_t n;

		memset(&x, 0, sizeof x);
		x.kind = kind;
		assert_true(entry_body_make(&b, &n, &x, &leaf));
		if (ledger_body_check(b.type, b.text, n, &e) != RC_OK)
			fail_msg("%s: %s", b.text, e.text);
		assert_true(ledger_type_allowed(b.type, "keeper"));
		full(&x, kind);
		leaf.groups = LEAF_ALL_GROUPS;
		leaf.index = LEAVES_N - 1;
		assert_true(entry_body_make(&b, &n, &x, &leaf));
		if (ledger_body_check(b.type, b.text, n, &e) != RC_OK)
			fail_msg("%s: %s", b.text, e.text);
		assert_true(n <= LEDGER_BODY_TEXT_MAX);
		if (strstr(b.text, "leaf_path")) { /* what a checker needs is never cut */
			assert_int_equal(strcspn(strstr(b.text, "leaf\":\"") + 7, "\""),
				BASE64_SIZE(LEAF_DATA_MAX) - 1);
			assert_int_equal(strcspn(strstr(b.text, "leaf_path\":\"") + 12, "\""),
				BASE64_SIZE(LEAVES_DEPTH * SHA256_SIZE) - 1);
			assert_int_equal(
				strcspn(strstr(b.text, "vrf_proof\":\"") + 12, "\""), 2 * PUBLIC_PROOF_SIZE);
		}
	}
	x.kind = KEYS_ENTRY_COUNT;
	size_t n;
	assert_false(entry_body_make(&b, &n, &x, &leaf));
}

static void as_read_by_people(void **state)
{
	const struct leaf_proof leaf = { .groups = 0 };
	struct keys_entry x = { .kind = KEYS_ENTRY_SA_INSTALL,
		.peer = "branch",
		.tunnel = "sites",
		.encr = 20,
		.encr_bits = 256,
		.dh_group = 31,
		.flags = CHILD_ENCAP,
		.spi_in = 0x0a0b0c0d,
		.spi_out = 0x100,
		.local_n = 1,
		.remote_n = 2 };
	static struct ledger_body b;
	struct ip_prefix p;
	size_t n;

	assert_int_equal(prefix_parse(&p, "10.1.0.0/16"), RC_OK);
	x.local_ts[0] = (struct selector){ .addrs = range_from_prefix(&p), .port_last = 65535 };
	x.remote_ts[0] = (struct selector){
		.addrs = range_from_prefix(&p), .port_first = 443, .port_last = 443, .proto = 6
	};
	x.remote_ts[1] = x.local_ts[0];
	assert_int_equal(addr_parse(&x.local.addr, "192.0.2.1"), RC_OK);
	x.local.port = 4500;
	assert_true(entry_body_make(&b, &n, &x, &leaf));
	assert_string_equal(b.text,
		"{\"deferred\":0,\"leaf\":\"\",\"leaf_batch\":\"\",\"leaf_index\":0,\"leaf_path\":\"\","
		"\"local\":\"192.0.2.1:4500\",\"local_ts\":\"10.1.0.0/"
		"16\",\"peer\":\"branch\","
		"\"proposal\":\"aes256gcm16-x25519 in "
		"UDP\",\"rekeys\":\"\",\"remote\":\"\","
		"\"remote_ts\":\"10.1.0.0/16 protocol 6 ports 443-443, 10.1.0.0/16\","
		"\"spi_in\":\"0a0b0c0d\",\"spi_out\":\"00000100\",\"tunnel\":\"sites\",\"vrf_count\":0,\"vrf_proof\":\"\"}");
}

static void identities(void **state)
{
	const struct leaf_proof leaf = { .groups = 0 };
	static const struct {
		uint8_t type;
		const char *octets;
		uint8_t n;
		const char *want;
	} rows[] = {
		{ ID_IPV4, "\xc0\x00\x02\x01", 4, "\"id\":\"192.0.2.1\"" },
		{ ID_IPV4, "abc", 3, "\"id\":\"abc\"" },
		{ ID_FQDN, "hq.example", 10, "\"id\":\"hq.example\"" },
		{ ID_FQDN, "a\"}\nb", 5, "\"id\":\"a\\\"}" },
		{ ID_KEY_ID, "\x01\xff", 2, "\"id\":\"01ff\"" },
	};
	static struct ledger_body b;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct keys_entry x = {
			.kind = KEYS_ENTRY_IKE_SA_UP, .id_type = rows[i].type, .id_n = rows[i].n
		};
		size_t n;

		memcpy(x.id, rows[i].octets, rows[i].n);
		assert_true(entry_body_make(&b, &n, &x, &leaf));
		assert_int_equal(ledger_body_check(b.type, b.text, n, NULL), RC_OK);
		if (!strstr(b.text, rows[i].want) || !strstr(b.text, "\"key\":\"\""))
			fail_msg("%s", b.text);
		x.has_key = true;
		x.key[31] = 0xab;
		assert_true(entry_body_make(&b, &n, &x, &leaf));
		assert_non_null(strstr(b.text, "00ab\",\"leaf\""));
		assert_null(strchr(b.text, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(as_read_by_people),
		cmocka_unit_test(identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
