/*
 * Peers by name: whom the core begins with, what it does when the name has other addresses, none, or nobody says, and from where such a
 * peer may come. The puppet is at 192.0.2.2, and its name says what the case says.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAME  "vpn.example.com"
#define HERE  "192.0.2.2"
#define THERE "192.0.2.99"
#define SIX   "2001:db8::2"

static struct puppet p;

/* Two peers with a tunnel each; both are by name. */
static struct {
	struct snapshot head;
	struct snap_ike_proposal ike[2];
	struct snap_esp_proposal esp[2];
	struct snap_peer peers[2];
	struct selector selectors[4];
	struct snap_tunnel tunnels[2];
	struct snap_dynamic dynamics[2];
} big;

static struct span at(const void *x, uint32_t n)
{
	return (struct span){ (uint32_t)((const uint8_t *)x - (const uint8_t *)&big), n };
}

static int begin(void **state)
{
	(void)state;
	memset(&big, 0, sizeof big);
	puppet_init(&p);
	big.head = p.config.head;
	big.head.bytes = sizeof big;
	memcpy(big.ike, p.config.ike, sizeof big.ike);
	memcpy(big.esp, p.config.esp, sizeof big.esp);
	memcpy(big.selectors, p.config.selectors, sizeof big.selectors);
	memcpy(big.tunnels, p.config.tunnels, sizeof big.tunnels);
	big.head.ike_proposals = at(big.ike, 2);
	big.head.esp_proposals = at(big.esp, 2);
	big.head.peers = at(big.peers, 2);
	big.head.selectors = at(big.selectors, 4);
	big.head.tunnels = at(big.tunnels, 2);
	big.head.dynamics = at(big.dynamics, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct snap_peer *peer = &big.peers[i];

		*peer = p.config.peers[0];
		peer->flags = PEER_REMOTE_NAME;
		peer->dynamic = i + 1;
		peer->local = peer->remote = (struct ip_addr){ 0 };
		snprintf(peer->name, sizeof peer->name, i ? "second" : "first");
		big.dynamics[i] = (struct snap_dynamic){ .kind = DYNAMIC_PEER };
		snprintf(big.dynamics[i].object, NAME_MAX_BYTES, i ? "second" : "first");
		snprintf(big.dynamics[i].name, DYNAMIC_NAME_BYTES, i ? "second.example.com" : NAME);
		big.tunnels[i].peer = i;
	}
	memcpy(big.peers[1].remote_id.data, "other.exampl", sizeof "other.exampl" - 1);
	return 0;
}

static void start(void)
{
	p.core = ike_core_new(&p.setup);
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
}

static int end(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

/* Addresses with blanks between them, those after "|" are former ones; NULL: no good answer, for that reason. */
static struct peer_name_told told_of(uint32_t peer, const char *addresses, const char *why)
{
	struct peer_name_told t = { .known = addresses != NULL };
	char list[200], *rest = list;

	snprintf(t.peer, sizeof t.peer, peer ? "second" : "first");
	snprintf(t.name, sizeof t.name, peer ? "second.example.com" : NAME);
	snprintf(t.why, sizeof t.why, "%s", why);
	snprintf(list, sizeof list, "%s", addresses ? addresses : "");
	bool former = false;
	for (char *one = strtok_r(rest, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
		if (strcmp(one, "|") == 0) {
			former = true;
			continue;
		}
		assert_int_equal(addr_parse(&t.at[t.n++], one), RC_OK);
		t.current += !former;
	}
	return t;
}

static void told(uint32_t peer, const char *addresses, const char *why)
{
	struct peer_name_told t = told_of(peer, addresses, why);

	ike_input_peer_resolved(p.core, p.now, &t);
	puppet_settle(&p);
}

static void order(const char *tunnel)
{
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, tunnel, NULL), RC_OK);
	puppet_settle(&p);
}

static bool sent_to(uint32_t i, const char *address)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, address), RC_OK);
	return i < p.sent_n && addr_equal(&p.sent[i].remote.addr, &a);
}

/* `show ike` has this in the row of tunnel t0. */
static bool shown(const char *text)
{
	char row[4096];
	uint32_t cursor = 0;

	while (ike_show(p.core, p.now, &cursor, row, sizeof row) > 0)
		if (strstr(row, text))
			return true;
	return false;
}

static void begins_when_it_is_resolved(void **state)
{
	(void)state;
	start();
	assert_int_equal(p.resolve_asked, 2); /* of both, as soon as they are configured */
	order("t0");
	assert_int_equal(p.sent_n, 0);
	assert_true(p.resolve_asked >= 3);
	assert_true(shown("waiting for an address of " NAME));
	told(0, HERE, ""); /* at once */
	assert_true(p.sent_n == 1 && sent_to(0, HERE));
	puppet_done(&p);
	puppet_init(&p);
	start();
	order("t0");
	told(0, NULL, "the name does not exist");
	assert_int_equal(p.sent_n, 0);
	assert_true(shown("\"name_error\":\"the name does not exist\""));
	puppet_run(&p, 3000);
	assert_true(shown("no address of " NAME " is known: the name does not exist"));
	told(0, HERE, "");
	order("t0");
	assert_true(p.sent_n == 1 && sent_to(0, HERE));
	assert_true(shown("\"name_addresses\":\"" HERE "\""));
	assert_true(puppet_init_as_responder(&p));
}

/* Each for about eight seconds, IPv6 first; then again after a while, when DNS was asked anew. */
static void addresses_in_turn(void **state)
{
	(void)state;
	start();
	told(0, HERE " " SIX " " THERE, "");
	order("t0");
	assert_true(sent_to(0, SIX));
	puppet_run(&p, 10000);
	puppet_forget(&p);
	puppet_run(&p, 1500);
	assert_true(sent_to(0, HERE));
	puppet_run(&p, 7000);
	puppet_forget(&p);
	puppet_run(&p, 3000);
	assert_true(sent_to(0, THERE));
	uint32_t asked = p.resolve_asked;
	puppet_run(&p, 9000);
	assert_true(p.resolve_asked > asked);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_true(shown("no answer from " THERE));
}

/* The one that answered is the first one next time. */
static void the_family_of_the_local_address(void **state)
{
	(void)state;
	big.peers[0].local = addr_v4((const uint8_t[]){ 192, 0, 2, 1 });
	start();
	told(0, SIX " " HERE, "");
	order("t0");
	assert_true(p.sent_n == 1 && sent_to(0, HERE));
	assert_true(puppet_init_as_responder(&p));
	puppet_done(&p);
	puppet_init(&p);
	start();
	told(0, SIX, "");
	order("t0");
	assert_int_equal(p.sent_n, 0);
	assert_true(shown(NAME " has no address of the family of local-address, IPv4"));
}

static void other_addresses(void **state)
{
	(void)state;
	start();
	told(0, THERE, "");
	order("t0");
	assert_true(sent_to(0, THERE));
	puppet_run(&p, 1000);
	puppet_forget(&p);
	told(0, HERE " | " THERE, ""); /* before anybody answered: at once */
	assert_true(p.sent_n == 1 && sent_to(0, HERE));
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_forget(&p);
	/* What stands stays, whatever DNS says. */
	told(0, THERE " | " HERE, "");
	told(0, THERE, "");
	told(0, NULL, "no answer from the name servers");
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.sent_n, 0);
	/* And the next one begins where the name is now. */
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "first", NULL);
	puppet_settle(&p);
	puppet_run(&p, 60000);
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_forget(&p);
	order("t0");
	assert_true(sent_to(0, THERE));
	assert_true(shown("\"name_error\":\"no answer from the name servers\""));
}

/* Whoever lies has an attempt in a second begin, however often he changes his mind; what the name has last counts all the same. */
static void answers_that_change_all_the_time(void **state)
{
	(void)state;
	start();
	told(0, THERE, "");
	order("t0");
	for (int i = 0; i < 20; i++) {
		puppet_run(&p, 20);
		told(0, HERE, "");
		assert_true(shown("\"name_addresses\":\"" HERE "\""));
		puppet_run(&p, 20);
		told(0, THERE, "");
	}
	for (uint32_t i = 0; i < p.sent_n; i++)
		assert_false(sent_to(i, HERE));
	puppet_run(&p, 1000);
	puppet_forget(&p);
	told(0, HERE, "");
	assert_true(p.sent_n == 1 && sent_to(0, HERE));
}

/* As responder: from the address that it has, or had a short time ago; what proves who it is, is its identity. */
static void from_where_it_may_come(void **state)
{
	static const struct {
		const char *addresses;
		bool let_in;
	} cases[] = {
		{ HERE, true },
		{ THERE " " HERE, true },
		{ THERE " | " HERE, true },
		{ THERE, false },
		{ NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		begin(NULL);
		start();
		if (cases[i].addresses)
			told(0, cases[i].addresses, "");
		if (puppet_up(&p, true) != cases[i].let_in)
			fail_msg("case %zu", i);
		if (!cases[i].let_in)
			assert_non_null(strstr(p.refusal.reason, "no peer is configured for this address"));
		if (i + 1 < COUNT_OF(cases))
			puppet_done(&p);
	}
}

/* Both names lead here: the identity says which it is, and a third one is nobody. */
static void two_at_one_address(void **state)
{
	static const struct {
		const char *id, *peer;
	} cases[] = { { PUPPET_ID, "first" }, { "other.exampl", "second" }, { "a.liar.example", NULL } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ike_sa_view v = { 0 };
		uint32_t cursor = 0;

		begin(NULL);
		big.tunnels[1].proposals = big.tunnels[0].proposals;
		memcpy(&big.selectors[2], &big.selectors[0], 2 * sizeof big.selectors[0]);
		p.id = cases[i].id;
		start();
		told(0, HERE, "");
		told(1, HERE, "");
		puppet_up(&p, true);
		ike_view_sa(p.core, &cursor, &v);
		if (cases[i].peer) {
			assert_true(v.up);
			assert_string_equal(big.peers[v.peer].name, cases[i].peer);
		} else {
			assert_int_equal(puppet_ike_sas(&p), 0);
		}
		if (i + 1 < COUNT_OF(cases))
			puppet_done(&p);
	}
}

/* The resolver's word is checked: nothing of these is used. */
static void nonsense(void **state)
{
	struct peer_name_told good = told_of(0, HERE, ""), t;

	(void)state;
	start();
	for (int i = 0; i < 8; i++) {
		t = good;
		switch (i) {
		case 0:
			t.n = t.current = PEER_ADDRESSES_MAX + 1;
			break;
		case 1:
			t.current = 2;
			break;
		case 2:
			t.at[0].family = 9;
			break;
		case 3:
			snprintf(t.name, sizeof t.name, "other.example.com");
			break;
		case 4:
			snprintf(t.peer, sizeof t.peer, "nobody");
			break;
		case 5:
			memset(t.why, 'x', sizeof t.why);
			break;
		case 6:
			t.known = 0;
			break;
		case 7:
			memset(t.peer, 'x', sizeof t.peer);
			break;
		}
		ike_input_peer_resolved(p.core, p.now, &t);
	}
	order("t0");
	assert_int_equal(p.sent_n, 0);
}

/* What is known goes on under the next configuration, and of another name nothing is. */
static void commits(void **state)
{
	(void)state;
	start();
	told(0, HERE, "");
	uint32_t asked = p.resolve_asked;
	big.peers[0].dpd_s = 77;
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	assert_int_equal(p.resolve_asked, asked + 1); /* of the second, of which nothing is known */
	order("t0");
	assert_true(sent_to(0, HERE));
	puppet_forget(&p);
	snprintf(big.dynamics[0].name, DYNAMIC_NAME_BYTES, "new.example.com");
	ike_config(p.core, p.now, &big.head);
	puppet_settle(&p);
	assert_int_equal(puppet_ike_sas(&p), 0);
	order("t0");
	assert_int_equal(p.sent_n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(begins_when_it_is_resolved, begin, end),
		cmocka_unit_test_setup_teardown(addresses_in_turn, begin, end),
		cmocka_unit_test_setup_teardown(the_family_of_the_local_address, begin, end),
		cmocka_unit_test_setup_teardown(other_addresses, begin, end),
		cmocka_unit_test_setup_teardown(answers_that_change_all_the_time, begin, end),
		cmocka_unit_test_setup_teardown(from_where_it_may_come, begin, end),
		cmocka_unit_test_setup_teardown(two_at_one_address, begin, end),
		cmocka_unit_test_setup_teardown(nonsense, begin, end),
		cmocka_unit_test_setup_teardown(commits, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
