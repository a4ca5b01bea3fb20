/*
 * CERT and CERTREQ: what of the peer's certificates goes to the certifiers and when, what of ours goes to the peer, and what is
 * refused before anybody reads a certificate.
 */
#include "puppet.h"

#include "crypto/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

#define PEER_CERTIFICATE "\x04peer's certificate"
#define PEER_ISSUER	 "\x04its issuer"
#define BAG                                                                                                  \
	"\0\0\0\x12"                                                                                         \
	"peer's certificate"                                                                                 \
	"\0\0\0\x0a"                                                                                         \
	"its issuer"

static void begin(bool request)
{
	puppet_init(&p);
	puppet_certify(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = request ? PEER_START_NEVER : PEER_START_ALWAYS;
	puppet_start(&p);
	puppet_settle(&p);
	assert_true(request ? puppet_init_as_initiator(&p, false) : puppet_init_as_responder(&p));
}

/* IKE_AUTH of the peer with these CERT payloads, whose bodies are texts. */
static void auth_with(bool request, const char *const *certs)
{
	if (request)
		puppet_request(&p, EX_IKE_AUTH);
	else
		puppet_response(&p);
	puppet_id(&p, request ? PL_IDI : PL_IDR, PUPPET_ID);
	for (; *certs; certs++)
		ike_out_payload(&p.out, PL_CERT, *certs, strlen(*certs));
	ike_out_auth(&p.out, AUTH_DIGITAL_SIGNATURE, "\0signature", 10);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	if (request)
		puppet_selectors(&p, 0);
	else
		puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

/* The body of the n-th payload of this type in the message read last. */
static struct ike_view body_of(uint8_t type, unsigned n)
{
	struct rd r = rd_over(p.payloads.chain.at, p.payloads.chain.n);
	uint8_t at = p.payloads.chain_first;

	while (at != PL_NO_NEXT && !r.bad) {
		uint8_t next = rd_u8(&r);
		rd_u8(&r);
		struct rd body = rd_block16(&r, IKE_PAYLOAD_HEADER_SIZE);
		if (at == type && n-- == 0)
			return (struct ike_view){ body.at, rd_left(&body) };
		at = next;
	}
	return (struct ike_view){ NULL, 0 };
}

static void names_the_authority(void)
{
	struct ike_view v = body_of(PL_CERTREQ, 0);
	uint8_t hash[SHA1_SIZE];

	sha1_run(&(struct prf_part){ PUPPET_CA_KEY, sizeof PUPPET_CA_KEY - 1 }, 1, hash);
	assert_int_equal(v.n, 1 + SHA1_SIZE);
	assert_int_equal(v.at[0], 4);
	assert_memory_equal(v.at + 1, hash, SHA1_SIZE);
}

static void holds_our_certificate(void)
{
	struct ike_view v = body_of(PL_CERT, 0);

	assert_int_equal(v.n, 1 + sizeof PUPPET_OUR_CERTIFICATE - 1);
	assert_int_equal(v.at[0], 4);
	assert_memory_equal(v.at + 1, PUPPET_OUR_CERTIFICATE, v.n - 1);
	assert_int_equal(body_of(PL_CERT, 1).n, 0);
}

static void both_sides(void **state)
{
	static const char *const certs[] = { PEER_CERTIFICATE, "\x01pkcs7", PEER_ISSUER, NULL };

	for (int request = 0; request < 2; request++) {
		begin(request);
		if (request) { /* our IKE_SA_INIT response */
			assert_true(puppet_read_last(&p));
			names_the_authority();
		} else { /* our IKE_AUTH request */
			names_the_authority();
			holds_our_certificate();
		}
		p.hold = true;
		auth_with(request, certs);
		/* One question, of the encoding that is read, ahead of the keeper's and with the same names. */
		assert_int_equal(p.certify_n, 1);
		assert_int_equal(p.asked_n, 1);
		const struct keeper_auth_verify *q = &p.asked[0].u.AUTH_VERIFY;
		assert_int_equal(p.asked[0].op, KEEPER_AUTH_VERIFY);
		assert_true(p.certify.generation == 1 && p.certify.generation == q->generation);
		assert_true(p.certify.ike_sa == q->handle && p.certify.peer == q->peer);
		assert_int_equal(p.certify.id_n, q->id_n);
		assert_memory_equal(p.certify.id, q->id, sizeof q->id);
		assert_int_equal(p.certify.bag_n, sizeof BAG - 1);
		assert_memory_equal(p.certify.bag, BAG, sizeof BAG - 1);
		p.hold = false;
		puppet_answer_keeper(&p);
		assert_int_equal(puppet_children(&p), 1);
		if (request) {
			assert_true(puppet_read_last(&p));
			holds_our_certificate();
		}
		puppet_done(&p);
	}
}

static void refused(bool request, const char *const *certs, const char *says)
{
	begin(request);
	auth_with(request, certs);
	assert_int_equal(p.certify_n, 0);
	assert_int_equal(p.count[KEEPER_AUTH_VERIFY], 0);
	if (p.refusals != 1 || !strstr(p.refusal.reason, says))
		fail_msg("'%s' expected, not '%s'", says, p.refusal.reason);
	assert_int_equal(puppet_children(&p), 0);
	puppet_done(&p);
}

static void refusals(void **state)
{
	static const char *const none[] = { NULL }, *const url[] = { "\x0chttp://192.0.2.9/x", NULL },
				 *const bundle[] = { "\x0dhttp://192.0.2.9/x", NULL },
				 *const empty[] = { "", NULL };

	for (int request = 0; request < 2; request++) {
		refused(request, none, "sent no X.509 certificate");
		refused(request, empty, "sent no X.509 certificate");
		refused(request, url, "hash and URL");
		refused(request, bundle, "hash and URL");
	}
}

/* The keeper has another configuration: the question is asked anew, of the same message. */
static void asked_again(void **state)
{
	static const char *const certs[] = { PEER_CERTIFICATE, NULL };

	begin(true);
	p.fail[KEEPER_AUTH_VERIFY] = RC_STALE;
	auth_with(true, certs);
	assert_int_equal(p.certify_n, 1);
	p.fail[KEEPER_AUTH_VERIFY] = RC_OK;
	puppet_run(&p, 1000);
	assert_int_equal(p.certify_n, 2);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* The same certificates under other numbers change nothing; another authority ends the IKE SA. */
static void another_authority(void **state)
{
	static const char *const certs[] = { PEER_CERTIFICATE, NULL };

	begin(true);
	auth_with(true, certs);
	assert_int_equal(puppet_children(&p), 1);
	p.config.head.generation++;
	p.config.peers[0].trusted = (struct span){ 1, 1 };
	p.config.head.trusted.count = 2;
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
	assert_string_equal(puppet_state(&p, 0), "established");
	p.config.head.generation++;
	p.config.octets[4 + 3].at[0] ^= 1; /* in the last octets of its certificate */
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
	assert_string_equal(puppet_state(&p, 0), "closing");
	puppet_done(&p);
}

/* A subject is a pattern: any DN may be it, a name may not; and we ask for nobody in particular. */
static void subjects(void **state)
{
	static const char *const certs[] = { PEER_CERTIFICATE, NULL };

	puppet_init(&p);
	puppet_certify(&p);
	p.config.peers[0].remote_id = (struct snap_id){ .type = ID_DN, .len = 4, .data = "CN=*" };
	puppet_start(&p);
	assert_true(puppet_init_as_initiator(&p, false));
	auth_with(true, certs);
	assert_int_equal(p.certify_n, 0);
	assert_non_null(strstr(p.refusal.reason, "no peer is configured for identity"));
	puppet_done(&p);
	/* The DER goes to certifiers and keeper as it is; whether the pattern means it is theirs to say. */
	static const char der[] = "\x09\0\0\0\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x";

	puppet_init(&p);
	puppet_certify(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].remote_id = (struct snap_id){ .type = ID_DN, .len = 4, .data = "CN=*" };
	p.config.peers[0].flags |= PEER_REMOTE_ANY | PEER_ID_PATTERN;
	p.config.peers[0].remote = (struct ip_addr){ 0 };
	p.config.peers[0].connections_max = 2;
	puppet_start(&p);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	ike_out_payload(&p.out, PL_IDI, der, sizeof der - 1);
	ike_out_payload(&p.out, PL_CERT, PEER_CERTIFICATE, strlen(PEER_CERTIFICATE));
	ike_out_auth(&p.out, AUTH_DIGITAL_SIGNATURE, "\0signature", 10);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_selectors(&p, 0);
	puppet_send(&p);
	assert_int_equal(p.certify_n, 1);
	assert_int_equal(p.certify.id_n, sizeof der - 1);
	assert_memory_equal(p.certify.id, der, sizeof der - 1);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides),
		cmocka_unit_test(refusals),
		cmocka_unit_test(asked_again),
		cmocka_unit_test(another_authority),
		cmocka_unit_test(subjects),
	};

	return cmocka_run_group_tests_name("ike certificates", tests, NULL, NULL);
}
