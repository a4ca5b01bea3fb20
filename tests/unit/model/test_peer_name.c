/* IKE peers by name: what the compiler makes of them, what it refuses, and that a snapshot with a broken one is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/addr.h"
#include "compiled.h"
#include "model/dynamic.h"
#include "model/model.h"
#include "model/peer_name.h"

#define PEERS(all)	 "ike { proposal k { encryption aes128gcm16; dh-group ecp384; } " all " }"
#define PEER(name, rest) "peer " name " { proposals k; pre-shared-key k; " rest " } "
#define MANY_CHARS	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."

static void by_name(void **state)
{
	struct snapshot *s = compiled("dynamic-address { dns { minimum-ttl 7; } } " PEERS(PEER(
		"p", "remote-address VPN.Example.com.;") PEER("q",
		"remote-address 192.0.2.1; start always;") PEER("r",
		"remote-address vpn.example.com; local-address 2001:db8::1; remote-id r.example; start always;")));
	const struct snap_peer *p = snap_peers(s);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) { /* libyang may have sorted them */
		const char *name = snap_peer_dns_name(s, &p[i]);
		if (p[i].name[0] == 'q') {
			assert_true(!name && p[i].flags == 0 && p[i].dynamic == 0);
			continue;
		}
		const struct snap_dynamic *d = &snap_dynamics(s)[p[i].dynamic - 1];
		assert_string_equal(name, "vpn.example.com");
		assert_int_equal(p[i].flags, PEER_REMOTE_NAME);
		assert_int_equal(p[i].remote.family, ADDR_NONE);
		assert_string_equal(d->object, p[i].name);
		assert_int_equal(d->kind, DYNAMIC_PEER);
		assert_true(d->ttl_min_s == 7 && d->ttl_max_s == 3600 && d->flags == 0);
		/* Without remote-id the peer is who its name says. */
		assert_int_equal(p[i].remote_id.type, ID_FQDN);
		assert_memory_equal(p[i].remote_id.data,
			p[i].name[0] == 'p' ? "vpn.example.com" : "r.example", p[i].remote_id.len);
		assert_int_equal(p[i].start, p[i].name[0] == 'p' ? PEER_START_ON_TRAFFIC : PEER_START_ALWAYS);
	}
	assert_int_equal(s->dynamics.count, 2);
	assert_false(dynamic_any(s)); /* the data plane has nothing to wait for */
	free(s);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *says;
	} texts[] = {
		{ PEERS(PEER("p", "remote-address vpn;")), "found 'vpn', expected any" },
		{ PEERS(PEER("p", "remote-address ayn;")),
			"expected any, an IPv4 or IPv6 address, or HOST.DOMAIN" },
		{ PEERS(PEER("p", "remote-address vpn.;")), "found 'vpn.', expected any" },
		{ PEERS(PEER("p", "remote-address 192.0.2.256;")), "found '192.0.2.256', expected any" },
		{ PEERS(PEER("p", "remote-address 2001:db8::g;")),
			"found '2001:db8::g', expected one of: any" },
		{ PEERS(PEER("p", "remote-address vpn..example;")), "'vpn..example' is not a domain name" },
		{ PEERS(PEER("p", "remote-address *.example.com;")),
			"a domain name such as vpn.example.com" },
		{ PEERS(PEER("p", "remote-address vpn_example.com/24;")), "a domain name such as" },
		{ PEERS(PEER("p", "remote-address a." MANY_CHARS "b" MANY_CHARS "c" MANY_CHARS "com;")),
			"is no identity: say remote-id" },
		{ PEERS(PEER("p", "remote-address vpn.example.com; remote-id *.example.com;")),
			"expected remote-address any" },
		{ PEERS(PEER("p", "remote-address vpn.example.com;")
				  PEER("q", "remote-address VPN.example.com;")),
			"cannot be told apart" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct err e = { 0 };
		void *block = NULL;
		size_t n = 0;

		if (compile(texts[i].text, 1, &block, &n, &e) == RC_OK)
			fail_msg("accepted: %s", texts[i].text);
		if (strncmp(e.text, "t:", 2) != 0 || !strstr(e.text, texts[i].says))
			fail_msg("it does not say '%s': %s", texts[i].says, e.text);
	}
	/* Two that differ in the name, in who they are, or from one at any address. */
	free(compiled(PEERS(PEER("p", "remote-address a.example.com; remote-id x.example;")
			PEER("q", "remote-address b.example.com; remote-id x.example;"))));
	free(compiled(PEERS(PEER("p", "remote-address a.example.com; remote-id x.example;")
			PEER("q", "remote-address any; remote-id x.example;"))));
}

static void broken(void **state)
{
	struct snapshot *s = compiled(PEERS(PEER("p", "remote-address vpn.example.com;")));
	uint8_t *copy = malloc(s->bytes);

	(void)state;
	assert_non_null(copy);
#define BREAKS(change)                                                                                       \
	do {                                                                                                 \
		memcpy(copy, s, s->bytes);                                                                   \
		struct snap_peer *p = (void *)(copy + s->peers.first);                                       \
		struct snap_dynamic *d = (void *)(copy + s->dynamics.first);                                 \
		assert_int_equal(snapshot_check(copy, s->bytes, NULL), RC_OK);                               \
		change;                                                                                      \
		(void)p;                                                                                     \
		(void)d;                                                                                     \
		if (snapshot_check(copy, s->bytes, NULL) == RC_OK)                                           \
			fail_msg("accepted: %s", #change);                                                   \
	} while (0)
	BREAKS(p->dynamic = 0);
	BREAKS(p->dynamic = 2);
	BREAKS(p->flags = 0);
	BREAKS(p->flags |= PEER_REMOTE_ANY);
	BREAKS(p->flags = PEER_REMOTE_ANY);
	BREAKS(p->remote = addr_v4("\1\2\3\4"));
	BREAKS(memset(&p->remote_id, 0, sizeof p->remote_id));
	BREAKS(d->kind = DYNAMIC_FQDN);
	BREAKS(d->object[0] = 'x');
	BREAKS(d->name[0] = '/');
	BREAKS(d->ttl_min_s = 0);
	BREAKS(d->kind = DYNAMIC_KIND_COUNT);
	free(copy);
	free(s);
}

/* A rule cannot have the addresses of a peer: nobody puts them there. */
static void no_object(void **state)
{
	struct snapshot *s = compiled(
		"zones { zone a { interfaces e0; } } address-book { address x { fqdn www.example.com; } } "
		"policy { from a to a { rule r { match { source x; destination any; application any; } then { permit; } } } } " PEERS(
			PEER("p", "remote-address vpn.example.com;")));
	struct ip_range *r = (void *)((uint8_t *)s + s->ranges.first);
	uint32_t found = 0;

	(void)state;
	assert_true(dynamic_any(s));
	for (uint32_t i = 0; i < s->ranges.count; i++)
		if (range_is_dynamic(&r[i])) {
			r[i] = range_of_dynamic(snap_peers(s)->dynamic - 1);
			found++;
		}
	assert_true(found > 0);
	assert_int_not_equal(snapshot_check(s, s->bytes, NULL), RC_OK);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_name),
		cmocka_unit_test(refused),
		cmocka_unit_test(broken),
		cmocka_unit_test(no_object),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	model_done();
	return failed;
}
