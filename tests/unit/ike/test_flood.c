/*
 * Strangers who really receive at their address, so that cookies do not stop them: half-open IKE SAs and
 * refused ones, as many as they like. Somebody honest still gets his answer, and there is room for the rekeys
 * of established peers. The keeper is simulated: it answers every request, and finds every AUTH wrong.
 */
#include "crypto/aead.h"
#include "ike/ike.h"
#include "wire/ike_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "peer.example"

static struct {
	struct snapshot head;
	struct snap_ike_proposal ike[1];
	struct snap_peer peers[1];
} config;

static struct ike *core;
static mono_ns now;
static uint32_t handles, verified, sas_most;
static struct {
	size_t n;
	uint8_t bytes[8192];
} answer; /* the last datagram that was sent */

static int setup(void **state)
{
	struct ike_setup s = { .seed = 1, .cookie_above = 64 };
	struct snap_peer *p = &config.peers[0];

	memset(&config, 0, sizeof config);
	config.head = (struct snapshot){ .magic = SNAPSHOT_MAGIC, .bytes = sizeof config };
	config.head.ike_proposals = (struct span){ (uint32_t)((char *)config.ike - (char *)&config), 1 };
	config.head.peers = (struct span){ (uint32_t)((char *)config.peers - (char *)&config), 1 };
	config.ike[0] =
		(struct snap_ike_proposal){ "i0", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256, DH_CURVE25519 };
	snprintf(p->name, sizeof p->name, "roaming");
	snprintf(p->key_name, sizeof p->key_name, "key");
	p->flags = PEER_REMOTE_ANY;
	p->remote_id.type = ID_FQDN;
	p->remote_id.len = sizeof ID - 1;
	memcpy(p->remote_id.data, ID, sizeof ID - 1);
	p->proposals.count = 1;
	now = NS_PER_S;
	core = ike_core_new(&s);
	ike_config(core, now, &config.head);
	handles = verified = sas_most = 0;
	return 0;
}

static int teardown(void **state)
{
	ike_core_free(core);
	return 0;
}

static void keeper_answers(const struct keeper_request *q)
{
	struct keeper_reply r = { .op = q->op, .tag = q->tag };

	switch (q->op) {
	case KEEPER_EXCHANGE_BEGIN:
		r.u.EXCHANGE_BEGIN.handle = ++handles;
		store_be64(r.u.EXCHANGE_BEGIN.ike_spi, handles);
		r.u.EXCHANGE_BEGIN.nonce_n = r.u.EXCHANGE_BEGIN.ke_n = 32;
		break;
	case KEEPER_EXCHANGE_FINISH:
		r.u.EXCHANGE_FINISH.sk_e.n = 36;
		break;
	case KEEPER_EXCHANGE_ANSWER:
		r.u.EXCHANGE_ANSWER.handle = ++handles;
		store_be64(r.u.EXCHANGE_ANSWER.ike_spi, handles);
		r.u.EXCHANGE_ANSWER.nonce_n = r.u.EXCHANGE_ANSWER.ke_n = 32;
		r.u.EXCHANGE_ANSWER.sk_e.n = 36;
		break;
	case KEEPER_AUTH_VERIFY:
		verified++;
		r.u.AUTH_VERIFY.rc = RC_AUTH;
		break;
	default:
		break;
	}
	ike_input_keeper(core, now, &r);
}

static void settle(void)
{
	const struct ike_action *a;

	while ((a = ike_action_next(core)) != NULL) {
		if (a->kind == IKE_SEND) {
			answer.n = a->n;
			memcpy(answer.bytes, a->bytes, a->n);
		} else if (a->kind == IKE_ASK) {
			struct keeper_request q = *a->keeper;
			keeper_answers(&q);
		}
	}
}

static void send_bytes(const struct endpoint *from, const void *bytes, size_t n)
{
	struct endpoint to = { .addr = addr_v4((const uint8_t[]){ 192, 0, 2, 1 }), .port = 500 };

	answer.n = 0;
	ike_input_datagram(core, now, &to, from, bytes, n);
	settle();
}

static void send_init(const struct endpoint *from, uint64_t spi, const struct ike_view *cookie)
{
	struct ike_header h = { .version = 0x20, .exchange = EX_IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR };
	struct ike_offer offer = { 0 };
	uint8_t bytes[1024], zero[32] = { 9 };
	struct ike_out o;

	store_be64(h.spi_i, spi);
	o = ike_out_begin(bytes, sizeof bytes, &h);
	if (cookie)
		ike_out_notify(&o, NTF_COOKIE, cookie->at, cookie->n);
	ike_offer_add(&offer, IKE_PROTO_IKE, NULL, 0);
	ike_offer_add_transform(&offer, TT_ENCR, ENCR_AES_GCM_16, 256);
	ike_offer_add_transform(&offer, TT_PRF, PRF_HMAC_SHA2_256, 0);
	ike_offer_add_transform(&offer, TT_DH, DH_CURVE25519, 0);
	ike_out_offer(&o, &offer);
	ike_out_ke(&o, DH_CURVE25519, zero, 32);
	ike_out_payload(&o, PL_NONCE, zero, 32);
	send_bytes(from, bytes, ike_out_end(&o));
}

/* IKE_SA_INIT, with a cookie if it is asked for. Whether it was answered; then the responder's SPI. */
static bool begin(const struct endpoint *from, uint64_t spi, uint8_t ret_spi_r[8])
{
	static struct ike_payloads p;
	struct ike_header h;

	send_init(from, spi, NULL);
	for (int again = 0; again < 2; again++) {
		if (answer.n == 0)
			return false;
		assert_int_equal(ike_header_read(&h, answer.bytes, answer.n, NULL), RC_OK);
		assert_int_equal(ike_payloads_read(&p, h.next_payload, answer.bytes + IKE_HEADER_SIZE,
					 answer.n - IKE_HEADER_SIZE, false, NULL),
			RC_OK);
		const struct ike_notify *v = ike_notify_find(&p, NTF_COOKIE);
		if (!v) {
			memcpy(ret_spi_r, h.spi_r, 8);
			return p.present & IKE_HAS(KE);
		}
		uint8_t copy[64];
		struct ike_view cookie = { copy, v->data.n };
		memcpy(copy, v->data.at, v->data.n);
		send_init(from, spi, &cookie);
	}
	return false;
}

static void fail_auth(const struct endpoint *from, uint64_t spi, const uint8_t spi_r[8])
{
	struct ike_header h = {
		.version = 0x20, .exchange = EX_IKE_AUTH, .flags = IKE_FLAG_INITIATOR, .message_id = 1
	};
	uint8_t bytes[1024], *iv, *plain, id[4 + sizeof ID - 1] = { ID_FQDN }, key[36] = { 0 },
							     esp_spi[4] = { 1, 2, 3, 4 };
	struct selector ts = { .port_last = 65535 };
	struct ike_offer offer = { 0 };
	struct aead_key k;
	struct ike_out o;
	size_t plain_n, n;

	store_be64(h.spi_i, spi);
	memcpy(h.spi_r, spi_r, 8);
	memcpy(id + 4, ID, sizeof ID - 1);
	ts.addrs.first = ts.addrs.last = addr_v4(key);
	o = ike_out_begin(bytes, sizeof bytes, &h);
	ike_out_sk_begin(&o, AEAD_IV_SIZE);
	ike_out_payload(&o, PL_IDI, id, sizeof id);
	ike_out_auth(&o, AUTH_SHARED_KEY, key, 32);
	ike_offer_add(&offer, IKE_PROTO_ESP, esp_spi, 4);
	ike_offer_add_transform(&offer, TT_ENCR, ENCR_AES_GCM_16, 256);
	ike_offer_add_transform(&offer, TT_ESN, 0, 0);
	ike_out_offer(&o, &offer);
	ike_out_selectors(&o, PL_TSI, &ts, 1);
	ike_out_selectors(&o, PL_TSR, &ts, 1);
	n = ike_out_sk_end(&o, AEAD_IV_SIZE, AEAD_ICV_SIZE, &iv, &plain, &plain_n);
	assert_true(n > 0);
	memset(iv, 0, AEAD_IV_SIZE);
	assert_int_equal(aead_key_init(&k, ENCR_AES_GCM_16, 256, key, sizeof key), RC_OK);
	assert_int_equal(aead_seal(&k, iv, bytes, (size_t)(iv - bytes), plain, plain_n, plain), RC_OK);
	send_bytes(from, bytes, n);
}

static uint32_t sas_now(void)
{
	struct ike_sa_view v;
	uint32_t cursor = 0, n = 0;

	while (ike_view_sa(core, &cursor, &v))
		n++;
	return n;
}

/* 2 ms between two tries; timers run. */
static void flood(uint32_t times, bool to_auth)
{
	struct endpoint stranger = { .addr = addr_v4((const uint8_t[]){ 198, 51, 100, 66 }) };
	uint8_t spi_r[8];

	for (uint32_t i = 0; i < times; i++) {
		now += 2 * NS_PER_MS;
		ike_tick(core, now);
		settle();
		stranger.port = (uint16_t)(1024 + i % 60000);
		if (begin(&stranger, 1000 + i, spi_r) && to_auth)
			fail_auth(&stranger, 1000 + i, spi_r);
		if (i % 256 == 0)
			sas_most = MAX_OF(sas_most, sas_now());
	}
}

static void honest_is_answered(void)
{
	struct endpoint honest = { .addr = addr_v4((const uint8_t[]){ 203, 0, 113, 7 }), .port = 500 };
	uint32_t before = verified;
	uint8_t spi_r[8];

	assert_true(begin(&honest, 77, spi_r));
	/* The flood continues while the IKE_AUTH is in flight, 100 ms. */
	flood(50, false);
	fail_auth(&honest, 77, spi_r);
	assert_int_equal(verified, before + 1);
}

static void half_open(void **state)
{
	flood(3000, false);
	honest_is_answered();
	assert_true(sas_most < 2048);
}

static void refused(void **state)
{
	flood(8000, true);
	assert_true(verified >= 7000); /* else it was no flood */
	honest_is_answered();
	assert_true(sas_most < 2048); /* of 4096: half of the table is for established ones */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(half_open, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
