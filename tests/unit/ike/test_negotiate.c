/*
 * What is chosen out of an offer, and what a refusal says: which side offered what, and what is missing. One
 * row per case, each sent to a live core.
 *
 * An offer in these tables: proposals by ',', transforms by ' '; E encryption, P PRF, I integrity, D group, S
 * sequence numbers, X type 6; a key length after '-'.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct puppet p;

static uint8_t type_of(char c)
{
	static const char letters[] = " EPIDSX";
	const char *at = strchr(letters + 1, c);

	assert_non_null(at);
	return (uint8_t)(at - letters);
}

static void parse_offer(
	struct ike_offer *o, const char *text, uint8_t protocol, const void *spi, size_t spi_n)
{
	memset(o, 0, sizeof *o);
	assert_int_equal(ike_offer_add(o, protocol, spi, spi_n), RC_OK);
	while (*text) {
		char *end;
		unsigned long id, bits = 0;
		uint8_t type;

		if (*text == ',') {
			assert_int_equal(ike_offer_add(o, protocol, spi, spi_n), RC_OK);
			text++;
			continue;
		}
		if (*text == ' ') {
			text++;
			continue;
		}
		type = type_of(*text++);
		id = strtoul(text, &end, 10);
		if (*end == '-')
			bits = strtoul(end + 1, &end, 10);
		text = end;
		assert_int_equal(ike_offer_add_transform(o, type, (uint16_t)id, (uint16_t)bits), RC_OK);
	}
}

/* The answer as such a text, with the proposal's number before it. */
static const char *answer_text(const struct ike_offer *o)
{
	static char text[256];
	size_t at;

	assert_int_equal(o->proposals_n, 1);
	at = (size_t)snprintf(text, sizeof text, "%u:", o->proposals[0].number);
	for (unsigned i = 0; i < o->transforms_n; i++) {
		const struct ike_transform *t = &o->transforms[i];

		at += (size_t)snprintf(text + at, sizeof text - at, " %c%u", " EPIDSX"[t->type], t -> id);
		if (t->key_bits)
			at += (size_t)snprintf(text + at, sizeof text - at, "-%u", t->key_bits);
	}
	return text;
}

static void start(void)
{
	puppet_init(&p);
	puppet_start(&p);
}

/* ---- IKE ---- */

#define CONFIGURED_IKE "AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE25519, AES_GCM_16-256/PRF_HMAC_SHA2_256/ECP_256"

static const struct {
	const char *offer;
	uint16_t ke;
	const char *answer;	/* NULL: refused */
	const char *why, *text; /* the refusal's reason, and the offer as text */
} ike_cases[] = {
	{ "E20-256 P5 D31", 31, "1: E20-256 P5 D31" },
	{ "E20-256 P5 D19", 19, "1: E20-256 P5 D19" },
	{ "E20-256 P5 D19 D31", 31, "1: E20-256 P5 D31" },
	{ "E20-256 P5 I0 D31", 31, "1: E20-256 P5 I0 D31" },
	{ "E20-128 E20-256 P6 P5 D14 D31", 31, "1: E20-256 P5 D31" },
	{ "E12-256 P5 I12 D14,E20-256 P5 D31", 31, "2: E20-256 P5 D31" },
	/* The responder's preference decides: the first of ours that is among theirs. */
	{ "E20-256 P5 D19,E20-256 P5 D31", 31, "2: E20-256 P5 D31" },
	{ "E20-128 P5 D31", 31, NULL, "no common encryption", "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE25519" },
	{ "E20 P5 D31", 31, NULL, "no common encryption", "AES_GCM_16/PRF_HMAC_SHA2_256/CURVE25519" },
	{ "E12-256 P5 I12 D14", 14, NULL, "no common encryption",
		"AES_CBC-256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/MODP_2048" },
	{ "E28 P5 D31", 31, NULL, "no common encryption", "CHACHA20_POLY1305/PRF_HMAC_SHA2_256/CURVE25519" },
	{ "E20-256 P6 D31", 31, NULL, "no common PRF", "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE25519" },
	{ "E20-256 P5 D14 D2", 14, NULL, "no common DH group",
		"AES_GCM_16-256/PRF_HMAC_SHA2_256/MODP_2048|MODP_1024" },
	{ "E20-256 P5", 31, NULL, "the peer offered no DH group", "AES_GCM_16-256/PRF_HMAC_SHA2_256" },
	{ "E20-256 P5 I12 D31", 31, NULL, "the peer requires integrity, none is configured",
		"AES_GCM_16-256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/CURVE25519" },
	{ "E20-256 P6 D31,E20-128 P5 D31", 31, NULL,
		"each algorithm is supported by both sides, but no proposal combines them",
		"AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE25519, AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE25519" },
	{ "E20-256 P5 D31 X36", 31, NULL,
		"the peer requires an additional key exchange (ADDKE1, RFC 9370), which is not configured",
		"AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE25519/ADDKE1:ML_KEM_768" },
	{ "E20-256 P5 D31 X36,E20-128 P5 D31", 31, NULL,
		"no proposal matches as a whole; some require an additional key exchange (ADDKE1, RFC 9370), which is not "
		"configured",
		"AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE25519/ADDKE1:ML_KEM_768, AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE25519" },
};

static void ike_offers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ike_cases); i++) {
		struct ike_offer o;
		char reason[IKE_REASON_MAX];

		start();
		p.initiator = true;
		store_be64(p.spi_i, 1);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		parse_offer(&o, ike_cases[i].offer, IKE_PROTO_IKE, NULL, 0);
		ike_out_offer(&p.out, &o);
		puppet_ke(&p, ike_cases[i].ke == 14 ? DH_CURVE25519 : ike_cases[i].ke);
		puppet_nonce(&p, 1);
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		if (ike_cases[i].answer) {
			assert_true(p.payloads.present & IKE_HAS(SA));
			assert_string_equal(answer_text(&p.payloads.sa), ike_cases[i].answer);
			assert_int_equal(p.refusals, 0);
		} else {
			assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
			snprintf(reason, sizeof reason, "IKE proposal: %s", ike_cases[i].why);
			assert_string_equal(p.refusal.reason, reason);
			assert_string_equal(p.refusal.offered, ike_cases[i].text);
			assert_string_equal(p.refusal.configured, CONFIGURED_IKE);
			assert_string_equal(p.refusal.peer, "puppet");
			assert_int_equal(p.refusal.remote.port, 500);
			assert_int_equal(puppet_ike_sas(&p), 0);
		}
		puppet_done(&p);
	}
}

/* An answer must be what was offered, one of each: else it is not taken, and no key comes of it. */
static void ike_answers(void **state)
{
	static const struct {
		const char *answer;
		uint16_t ke;
		bool good;
	} cases[] = {
		{ "E20-256 P5 D31", 31, true },
		{ "E20-256 P5 D19", 31, false },
		{ "E20-256 P5 D31", 19, false },
		{ "E20-128 P5 D31", 31, false },
		{ "E20-256 E20-256 P5 D31", 31, false },
		{ "E20-256 P5 D31,E20-256 P5 D19", 31, false },
		{ "E12-256 P5 I12 D31", 31, false },
		{ "E20-256 D31", 31, false },
		{ "E20-256 P5", 31, false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ike_offer o;

		start();
		ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(&p);
		assert_true(puppet_read_last(&p));
		memcpy(p.spi_i, p.header.spi_i, 8);
		store_be64(p.spi_r, 3);
		puppet_forget(&p);
		puppet_response(&p);
		parse_offer(&o, cases[i].answer, IKE_PROTO_IKE, NULL, 0);
		ike_out_offer(&p.out, &o);
		puppet_ke(&p, cases[i].ke);
		puppet_nonce(&p, 1);
		puppet_send(&p);
		assert_int_equal(p.count[KEEPER_EXCHANGE_FINISH], cases[i].good);
		assert_int_equal(p.sent_n, cases[i].good);
		puppet_done(&p);
	}
}

/* For an old peer: AES-CBC and the integrity algorithm beside it are both ours, or it is not chosen. */
static const struct {
	const char *offer, *answer, *why;
} old_cases[] = {
	{ "E12-128 P5 I12 D31", "1: E12-128 P5 I12 D31", NULL },
	{ "E12-256 E12-128 P5 I2 I13 I12 D31", "1: E12-128 P5 I12 D31", NULL },
	{ "E20-128 E12-128 P5 I12 D31", "1: E12-128 P5 I12 D31", NULL },
	{ "E12-256 P5 I12 D31", NULL, "no common encryption" },
	{ "E12 P5 I12 D31", NULL, "no common encryption" },
	{ "E12-128 P5 I2 D31", NULL, "no common integrity" },
	{ "E12-128 P5 I13 D31", NULL, "no common integrity" },
	{ "E12-128 P5 I0 D31", NULL, "no common integrity" },
	{ "E12-128 P5 D31", NULL, "the peer offered no integrity" },
	{ "E20-128 P5 I12 D31", NULL, "no common encryption" },
};

static void ike_offers_of_old_peers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(old_cases); i++) {
		struct ike_offer o;

		puppet_init(&p);
		p.config.ike[0].encr = p.config.ike[1].encr = ENCR_AES_CBC_SHA256;
		p.config.ike[0].encr_bits = p.config.ike[1].encr_bits = 128;
		puppet_start(&p);
		p.initiator = true;
		store_be64(p.spi_i, 1);
		puppet_begin(&p, EX_IKE_SA_INIT, false, 0);
		parse_offer(&o, old_cases[i].offer, IKE_PROTO_IKE, NULL, 0);
		ike_out_offer(&p.out, &o);
		puppet_ke(&p, DH_CURVE25519);
		puppet_nonce(&p, 1);
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		if (old_cases[i].answer) {
			assert_string_equal(answer_text(&p.payloads.sa), old_cases[i].answer);
		} else {
			assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
			if (!strstr(p.refusal.reason, old_cases[i].why))
				fail_msg("'%s': %s", old_cases[i].offer, p.refusal.reason);
		}
		puppet_done(&p);
	}
}

/* Both in the answer, with the transforms of an offer that has several. */
static void esp_offers_of_old_peers(void **state)
{
	static const struct {
		const char *offer, *answer;
	} cases[] = { { "E12-256 I14 S0", "1: E12-256 I14 S0" },
		{ "E12-128 E12-256 I2 I12 I14 S0", "1: E12-256 I14 S0" },
		{ "E20-256 S0,E12-256 I14 S0", "2: E12-256 I14 S0" }, { "E12-256 I12 S0", NULL },
		{ "E12-256 S0", NULL }, { "E12-256 I0 S0", NULL } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ike_offer o;
		uint8_t spi[4] = { 0, 0, 0x40, 0 };

		puppet_init(&p);
		p.config.esp[1] = p.config.esp[0];
		p.config.esp[0].encr = ENCR_AES_CBC_SHA512;
		p.config.tunnels[0].proposals =
			(struct span){ 0, 2 }; /* the puppet's first child has AES-GCM */
		puppet_start(&p);
		assert_true(puppet_up(&p, true));
		puppet_request(&p, EX_CREATE_CHILD_SA);
		parse_offer(&o, cases[i].offer, IKE_PROTO_ESP, spi, 4);
		ike_out_offer(&p.out, &o);
		puppet_nonce(&p, 2);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		if (cases[i].answer)
			assert_string_equal(answer_text(&p.payloads.sa), cases[i].answer);
		else
			assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
		puppet_done(&p);
	}
}

/* ---- ESP ---- */

/* Tunnel 0: AES-GCM-256, no group, no ESN. Tunnel 1: the same with ECP-256. */
static const struct {
	uint32_t tunnel;
	const char *offer;
	uint16_t ke; /* 0: no KE payload */
	uint32_t spi;
	const char *answer, *why;
	uint16_t notify;
} esp_cases[] = {
	{ 0, "E20-256 S0", 0, 0x4000, "1: E20-256 S0" },
	{ 0, "E20-256", 0, 0x4000, "1: E20-256" },
	{ 0, "E20-256 S1 S0", 0, 0x4000, "1: E20-256 S0" },
	{ 0, "E20-256 I0 S0", 0, 0x4000, "1: E20-256 I0 S0" },
	{ 0, "E20-256 D31 D0 S0", 31, 0x4000, "1: E20-256 D0 S0" },
	{ 0, "E12-256 I12 S0,E20-256 S0", 0, 0x4000, "2: E20-256 S0" },
	{ 1, "E20-256 D19 S0", 19, 0x4000, "1: E20-256 D19 S0" },
	{ 1, "E20-256 D31 D19 S0", 31, 0x4000, NULL, NULL, NTF_INVALID_KE_PAYLOAD },
	{ 1, "E20-256 D19 S0", 0, 0x4000, NULL, NULL, NTF_INVALID_KE_PAYLOAD },
	{ 0, "E20-128 S0", 0, 0x4000, NULL, "no common encryption", NTF_NO_PROPOSAL_CHOSEN },
	{ 0, "E12-256 I12 S0", 0, 0x4000, NULL, "no common encryption", NTF_NO_PROPOSAL_CHOSEN },
	{ 0, "E20-256 S1", 0, 0x4000, NULL, "no common sequence numbers", NTF_NO_PROPOSAL_CHOSEN },
	{ 0, "E20-256 D31 S0", 31, 0x4000, NULL, "the peer requires DH group, none is configured",
		NTF_NO_PROPOSAL_CHOSEN },
	{ 1, "E20-256 S0", 0, 0x4000, NULL, "the peer offered no DH group", NTF_NO_PROPOSAL_CHOSEN },
	{ 1, "E20-256 D31 S0", 31, 0x4000, NULL, "no common DH group", NTF_NO_PROPOSAL_CHOSEN },
	/* RFC 4303 2.1: 1 to 255 are reserved, 0 is never on the wire */
	{ 0, "E20-256 S0", 0, 0, NULL, "each algorithm is supported", NTF_NO_PROPOSAL_CHOSEN },
	{ 0, "E20-256 S0", 0, 255, NULL, "each algorithm is supported", NTF_NO_PROPOSAL_CHOSEN },
	{ 0, "E20-256 P5 S0", 0, 0x4000, NULL, "the peer requires PRF", NTF_NO_PROPOSAL_CHOSEN },
};

static void esp_offers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(esp_cases); i++) {
		struct ike_offer o;
		uint8_t spi[4];

		start();
		assert_true(puppet_up(&p, true));
		puppet_request(&p, EX_CREATE_CHILD_SA);
		store_be32(spi, esp_cases[i].spi);
		parse_offer(&o, esp_cases[i].offer, IKE_PROTO_ESP, spi, 4);
		ike_out_offer(&p.out, &o);
		puppet_nonce(&p, 2);
		if (esp_cases[i].ke)
			puppet_ke(&p, esp_cases[i].ke);
		puppet_selectors(&p, esp_cases[i].tunnel);
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		if (esp_cases[i].answer) {
			assert_string_equal(answer_text(&p.payloads.sa), esp_cases[i].answer);
			assert_int_equal(p.last_install.spi_out, esp_cases[i].spi);
			assert_int_equal(p.last_install.tunnel, esp_cases[i].tunnel);
			assert_int_equal(load_be32(p.payloads.sa.proposals[0].spi), p.spis);
			/* 1.3.1: KE in the answer exactly when a group was chosen. */
			assert_int_equal(!!(p.payloads.present & IKE_HAS(KE)), p.last_install.dh_group != 0);
		} else {
			if (!puppet_says(&p, esp_cases[i].notify))
				fail_msg("'%s' for tunnel %u: not notify %u", esp_cases[i].offer,
					esp_cases[i].tunnel, esp_cases[i].notify);
			assert_int_equal(puppet_children(&p), 1);
			if (esp_cases[i].why && !strstr(p.refusal.reason, esp_cases[i].why))
				fail_msg("'%s': the reason is '%s'", esp_cases[i].offer, p.refusal.reason);
			if (esp_cases[i].why) {
				assert_non_null(strstr(p.refusal.configured, "AES_GCM_16-256"));
				assert_int_not_equal(p.refusal.offered[0], '\0');
			}
		}
		assert_string_equal(puppet_state(&p, 0), "established");
		puppet_done(&p);
	}
}

/* In IKE_AUTH a refused child leaves the IKE SA (1.2); groups mean nothing there. */
static void esp_in_auth(void **state)
{
	static const struct {
		const char *offer;
		bool good;
	} cases[] = {
		{ "E20-256 S0", true },
		{ "E20-256 D14 S0", true },
		{ "E20-128 S0", false },
		{ "E12-256 I12 S0", false },
	};
	static const uint8_t auth[32], spi[4] = { 0, 0, 0x40, 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ike_offer o;

		start();
		assert_true(puppet_init_as_initiator(&p, false));
		puppet_request(&p, EX_IKE_AUTH);
		puppet_id(&p, PL_IDI, PUPPET_ID);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
		parse_offer(&o, cases[i].offer, IKE_PROTO_ESP, spi, 4);
		ike_out_offer(&p.out, &o);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		assert_true(p.payloads.present & IKE_HAS(AUTH));
		assert_int_equal(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN), !cases[i].good);
		assert_int_equal(puppet_children(&p), cases[i].good);
		assert_string_equal(puppet_state(&p, 0), "established");
		puppet_done(&p);
	}
}

/* ---- traffic selectors: theirs 10.2.0.0/24, ours 10.1.0.0/24 (tunnel 0); 10.2.1.0/24, 10.1.1.0/24 (1) ----
 */

struct ts_text {
	const char *first, *last;
	uint8_t proto;
	uint16_t port_first, port_last;
};

static const struct ts_case {
	const char *name;
	struct ts_text theirs[3], ours[2];
	uint32_t tunnel;	    /* INDEX_NONE: TS_UNACCEPTABLE */
	const char *remote, *local; /* the first selector that results */
	uint32_t remote_n, local_n;
} ts_cases[] = {
	{ "as configured", { { "10.2.0.0", "10.2.0.255" } }, { { "10.1.0.0", "10.1.0.255" } }, 0,
		"10.2.0.0-10.2.0.255", "10.1.0.0-10.1.0.255", 1, 1 },
	{ "the other tunnel", { { "10.2.1.0", "10.2.1.255" } }, { { "10.1.1.0", "10.1.1.255" } }, 1,
		"10.2.1.0-10.2.1.255", "10.1.1.0-10.1.1.255", 1, 1 },
	{ "all is narrowed", { { "0.0.0.0", "255.255.255.255" } }, { { "0.0.0.0", "255.255.255.255" } }, 0,
		"10.2.0.0-10.2.0.255", "10.1.0.0-10.1.0.255", 1, 1 },
	{ "one host stays one host", { { "10.2.0.7", "10.2.0.7" } }, { { "10.1.0.9", "10.1.0.9" } }, 0,
		"10.2.0.7-10.2.0.7", "10.1.0.9-10.1.0.9", 1, 1 },
	/* 2.9: the first is the packet that asked for it: the tunnel that holds it is chosen */
	{ "packet of tunnel 1, then all",
		{ { "10.2.1.7", "10.2.1.7", 17, 53, 53 }, { "0.0.0.0", "255.255.255.255" } },
		{ { "10.1.1.9", "10.1.1.9", 17, 1024, 1024 }, { "0.0.0.0", "255.255.255.255" } }, 1,
		"10.2.1.0-10.2.1.255", "10.1.1.0-10.1.1.255", 1, 1 },
	{ "two ranges", { { "10.2.0.0", "10.2.0.3" }, { "10.2.0.8", "10.2.0.11" } },
		{ { "10.1.0.0", "10.1.0.255" } }, 0, "10.2.0.0-10.2.0.3", "10.1.0.0-10.1.0.255", 2, 1 },
	{ "only half of it is ours", { { "10.2.0.128", "10.2.1.127" } }, { { "10.1.0.0", "10.1.0.255" } }, 0,
		"10.2.0.128-10.2.0.255", "10.1.0.0-10.1.0.255", 1, 1 },
	{ "TCP only", { { "10.2.0.0", "10.2.0.255", 6, 0, 65535 } },
		{ { "10.1.0.0", "10.1.0.255", 6, 80, 80 } }, 0, "10.2.0.0-10.2.0.255", "10.1.0.0-10.1.0.255",
		1, 1 },
	{ "another network", { { "10.9.0.0", "10.9.0.255" } }, { { "10.1.0.0", "10.1.0.255" } }, INDEX_NONE },
	{ "crosswise", { { "10.1.0.0", "10.1.0.255" } }, { { "10.2.0.0", "10.2.0.255" } }, INDEX_NONE },
	{ "mixed tunnels", { { "10.2.0.0", "10.2.0.255" } }, { { "10.1.1.0", "10.1.1.255" } }, INDEX_NONE },
	{ "IPv6", { { "fd00::", "fd00::ffff" } }, { { "fd00:1::", "fd00:1::ffff" } }, INDEX_NONE },
	{ "OPAQUE ports", { { "10.2.0.0", "10.2.0.255", 6, 65535, 0 } }, { { "10.1.0.0", "10.1.0.255" } },
		INDEX_NONE },
};

static size_t write_selectors(uint8_t type, const struct ts_text *list, size_t most)
{
	struct selector s[4];
	size_t n = 0;

	for (; n < most && list[n].first; n++) {
		memset(&s[n], 0, sizeof s[n]);
		assert_int_equal(addr_parse(&s[n].addrs.first, list[n].first), RC_OK);
		assert_int_equal(addr_parse(&s[n].addrs.last, list[n].last), RC_OK);
		s[n].proto = list[n].proto;
		s[n].port_first = list[n].port_first;
		s[n].port_last = list[n].proto ? list[n].port_last : 65535;
	}
	ike_out_selectors(&p.out, type, s, n);
	return n;
}

static void expect_range(const char *want, const struct selector *s)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX], text[2 * ADDR_TEXT_MAX + 2];

	snprintf(text, sizeof text, "%s-%s", addr_text(a, &s->addrs.first), addr_text(b, &s->addrs.last));
	assert_string_equal(text, want);
}

static void selectors(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ts_cases); i++) {
		const struct ts_case *k = &ts_cases[i];

		start();
		p.config.tunnels[1].proposals.first = 0; /* both without a group */
		ike_config(p.core, p.now, &p.config.head);
		assert_true(puppet_up(&p, true));
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_esp(&p, 0x4000, DH_NONE);
		puppet_nonce(&p, 2);
		write_selectors(PL_TSI, k->theirs, COUNT_OF(k->theirs));
		write_selectors(PL_TSR, k->ours, COUNT_OF(k->ours));
		puppet_send(&p);
		assert_true(puppet_read_last(&p));
		if (k->tunnel == INDEX_NONE) {
			if (!puppet_says(&p, NTF_TS_UNACCEPTABLE))
				fail_msg("%s: taken", k->name);
			assert_non_null(strstr(p.refusal.reason, "no tunnel of this peer has these"));
			assert_non_null(strstr(p.refusal.offered, "theirs "));
		} else {
			assert_int_equal(p.payloads.tsi.n, k->remote_n);
			assert_int_equal(p.payloads.tsr.n, k->local_n);
			expect_range(k->remote, &p.payloads.tsi.list[0]);
			expect_range(k->local, &p.payloads.tsr.list[0]);
			/* What the keeper is told is what the peer is told. */
			assert_int_equal(p.last_install.tunnel, k->tunnel);
			assert_int_equal(p.last_install.remote_n, k->remote_n);
			assert_memory_equal(p.last_install.remote_ts, p.payloads.tsi.list,
				k->remote_n * sizeof(struct selector));
			assert_memory_equal(p.last_install.local_ts, p.payloads.tsr.list,
				k->local_n * sizeof(struct selector));
		}
		puppet_done(&p);
	}
}

/* As initiator: what the peer narrowed is taken, what it widened is not, and it is told so by a delete. */
static void selectors_answered(void **state)
{
	static const struct {
		struct ts_text ours, theirs;
		bool good;
	} cases[] = {
		{ { "10.1.0.0", "10.1.0.255" }, { "10.2.0.0", "10.2.0.255" }, true },
		{ { "10.1.0.4", "10.1.0.7" }, { "10.2.0.1", "10.2.0.1" }, true },
		{ { "10.1.0.0", "10.1.1.255" }, { "10.2.0.0", "10.2.0.255" }, false },
		{ { "10.1.0.0", "10.1.0.255" }, { "0.0.0.0", "255.255.255.255" }, false },
		{ { "10.2.0.0", "10.2.0.255" }, { "10.1.0.0", "10.1.0.255" }, false },
	};
	static const uint8_t auth[32];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start();
		ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(&p);
		assert_true(puppet_init_as_responder(&p));
		puppet_response(&p);
		puppet_id(&p, PL_IDR, PUPPET_ID);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
		puppet_offer_esp(&p, 0x2000, DH_NONE);
		write_selectors(PL_TSI, &cases[i].ours, 1);
		write_selectors(PL_TSR, &cases[i].theirs, 1);
		puppet_forget(&p);
		puppet_send(&p);
		assert_int_equal(puppet_children(&p), cases[i].good);
		assert_int_equal(p.count[KEEPER_CHILD_INSTALL], cases[i].good);
		assert_string_equal(puppet_state(&p, 0), "established");
		if (!cases[i].good) {
			assert_true(puppet_read_last(&p));
			assert_int_equal(p.header.exchange, EX_INFORMATIONAL);
			assert_int_equal(puppet_deletes(&p), 1);
			assert_int_equal(puppet_delete(&p).protocol, IKE_PROTO_ESP);
		}
		puppet_done(&p);
	}
}

/* RFC 6023: an IKE SA alone; child SAs come later. */
static void childless(void **state)
{
	static const uint8_t auth[32];

	start();
	assert_true(puppet_init_as_initiator(&p, true));
	assert_true(puppet_says(&p, NTF_CHILDLESS_IKEV2_SUPPORTED));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p));
	assert_true(p.payloads.present & IKE_HAS(IDR) && p.payloads.present & IKE_HAS(AUTH));
	assert_false(p.payloads.present & (IKE_HAS(SA) | IKE_HAS(TSI) | IKE_HAS(TSR)));
	assert_false(puppet_says(&p, NTF_NO_ADDITIONAL_SAS));
	assert_string_equal(puppet_state(&p, 0), "established");
	assert_int_equal(puppet_children(&p), 0);
	puppet_run(&p, 5000);
	assert_string_equal(puppet_state(&p, 0), "established");
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_nonce(&p, 7);
	puppet_selectors(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* All three payloads of a child SA, or none. */
static void half_a_child(void **state)
{
	static const uint8_t auth[32];

	start();
	assert_true(puppet_init_as_initiator(&p, true));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p));
	assert_true(puppet_says(&p, NTF_INVALID_SYNTAX));
	assert_int_equal(p.count[KEEPER_AUTH_VERIFY], 0);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ike_offers),
		cmocka_unit_test(ike_offers_of_old_peers),
		cmocka_unit_test(esp_offers_of_old_peers),
		cmocka_unit_test(ike_answers),
		cmocka_unit_test(esp_offers),
		cmocka_unit_test(esp_in_auth),
		cmocka_unit_test(selectors),
		cmocka_unit_test(selectors_answered),
		cmocka_unit_test(childless),
		cmocka_unit_test(half_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
