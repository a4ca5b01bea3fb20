/*
 * A peer that says anything to a live core, before and after it is established, in either role, with and
 * without valid seals. The input is a list of steps: what, how many octets belong to it, the octets.
 *
 * Beside the sanitizers, after each input: time passes, an administrator ends everything, and the core must
 * be quiet and empty, with as many children removed as were installed; then a fresh, honest handshake must
 * come about. A core that a peer can talk into a corner fails.
 */
#include "must.h"
#include "puppet.h"

#define STEPS_MAX 24

/* clang-format off */
enum step {
	S_DATAGRAM,	    /* the octets, as they are */
	S_DATAGRAM_KNOWN,   /* with the SPIs of the IKE SA in front of them */
	S_SEALED_REQUEST,   /* exchange, first payload, then the content of SK; the next id */
	S_SEALED_RESPONSE,  /* the same, as an answer to our last request */
	S_SEALED_ANY_ID,    /* id, flags, exchange, first payload, inside */
	S_LAST_CHANGED,	    /* the last good message again with octets changed: place, value, … */
	S_HONEST,	    /* a good message: which */
	S_ORDER,	    /* an administrator's: which */
	S_TIME,		    /* 100 ms times the octet */
	S_USAGE,	    /* of a child, whatever the data plane says */
	S_KEEPER,	    /* the keeper refuses: which, how; or is lost */
	S_CONFIG,	    /* a commit */
	S_ENDPOINT,	    /* the puppet's port changes */
	S_PART,		    /* response, id after the next one, exchange, first payload, number, total, content */
	S_COUNT
};
/* clang-format on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct puppet p;

static uint8_t octet(struct rd *r)
{
	return rd_left(r) > 0 ? rd_u8(r) : 0;
}

static void sealed(struct rd *r, bool response, uint32_t id)
{
	uint8_t exchange = octet(r), first = octet(r);
	size_t n = rd_left(r);
	const uint8_t *plain = rd_take(r, n);

	/* Exchanges 34 to 37 are worth more than the others. */
	if (exchange < 128)
		exchange = (uint8_t)(34 + exchange % 4);
	puppet_send_plain(&p, exchange, response, id, first, plain, n);
}

static void part(struct rd *r)
{
	static uint8_t bytes[IKE_MESSAGE_MAX];
	uint8_t response = octet(r) & 1, ahead = octet(r), exchange = octet(r), first = octet(r),
		number = octet(r), total = octet(r);
	uint32_t id = response && puppet_read_last(&p) ? p.header.message_id : p.own_id;
	size_t n = rd_left(r);

	n = puppet_seal_part(&p, bytes, sizeof bytes, (uint8_t)(34 + exchange % 4), response, id + ahead,
		first, number, total, rd_take(r, n), n);
	if (n > 0)
		puppet_send_bytes(&p, bytes, n);
	p.own_id += !response && number == total;
}

static void known_spis(struct rd *r)
{
	uint8_t bytes[IKE_MESSAGE_MAX] = { 0 };
	size_t n = rd_left(r);
	const uint8_t *at = rd_take(r, n);

	if (n + 16 > sizeof bytes)
		return;
	memcpy(bytes, p.spi_i, 8);
	memcpy(bytes + 8, p.spi_r, 8);
	if (n > 0)
		memcpy(bytes + 16, at, n);
	puppet_send_bytes(&p, bytes, n + 16);
}

static void last_changed(struct rd *r)
{
	size_t n = load_be32(p.buffer + 24);

	if (n < IKE_HEADER_SIZE || n > sizeof p.buffer)
		return;
	while (rd_left(r) >= 3) {
		size_t place = rd_u16(r);

		p.buffer[place % n] = rd_u8(r);
	}
	puppet_send_bytes(&p, p.buffer, n);
}

static void send_good(uint8_t which)
{
	static const uint8_t spi[8] = { 0xee, 1 };
	uint8_t old[4];

	store_be32(old, p.child_out);
	switch (which % 8) {
	case 0: /* rekey of the child */
		puppet_request(&p, EX_CREATE_CHILD_SA);
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
		puppet_offer_esp(&p, 0x4000u + which, DH_NONE);
		puppet_nonce(&p, which);
		puppet_selectors(&p, 0);
		break;
	case 1: /* a second child */
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_esp(&p, 0x5000u + which, DH_ECP_256);
		puppet_nonce(&p, which);
		puppet_ke(&p, DH_ECP_256);
		puppet_selectors(&p, 1);
		break;
	case 2: /* rekey of the IKE SA */
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, which);
		puppet_ke(&p, DH_CURVE25519);
		break;
	case 3:
		puppet_request(&p, EX_INFORMATIONAL);
		break;
	case 4:
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_delete_esp(&p.out, &p.child_out, 1);
		break;
	case 5: /* the answer to our last request, if it was one about a child */
		if (!puppet_read_last(&p) || p.header.exchange != EX_CREATE_CHILD_SA)
			return;
		puppet_response(&p);
		puppet_offer_esp(&p, 0x6000u + which, DH_NONE);
		puppet_nonce(&p, which);
		puppet_selectors_back(&p, 0);
		break;
	case 6: /* or about the IKE SA */
		if (!puppet_read_last(&p) || p.header.exchange != EX_CREATE_CHILD_SA)
			return;
		puppet_response(&p);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, which);
		puppet_ke(&p, DH_CURVE25519);
		break;
	case 7: /* or an empty one */
		if (!puppet_read_last(&p) || p.header.exchange == EX_IKE_SA_INIT)
			return;
		puppet_response(&p);
		break;
	}
	puppet_send(&p);
}

static void keeper(struct rd *r)
{
	uint8_t which = octet(r);

	if (which == 255) {
		ike_input_keeper_lost(p.core, p.now);
		p.asked_n = 0;
		puppet_settle(&p);
	} else if (which >= 128) {
		p.hold = which & 1;
		while (!p.hold && p.asked_n > 0)
			puppet_answer_keeper(&p);
	} else {
		p.fail[which % KEEPER_OP_COUNT] = which & 64 ? RC_OK : RC_DENIED;
	}
}

static void usage(struct rd *r)
{
	struct sa_usage u = { .tunnel = octet(r), .spi_in = 0x1000u + octet(r) };

	u.idle_in_ms = octet(r) * 1000u;
	u.flags = octet(r);
	u.bytes_in = rd_u64(r);
	ike_input_usage(p.core, p.now, &u);
	puppet_settle(&p);
}

static void one_step(uint8_t what, struct rd *r)
{
	size_t n = rd_left(r);

	switch ((enum step)(what % S_COUNT)) {
	case S_DATAGRAM:
		puppet_send_bytes(&p, rd_take(r, n), n);
		break;
	case S_DATAGRAM_KNOWN:
		known_spis(r);
		break;
	case S_SEALED_REQUEST:
		sealed(r, false, p.own_id++);
		break;
	case S_SEALED_RESPONSE:
		sealed(r, true, puppet_read_last(&p) ? p.header.message_id : 0);
		break;
	case S_SEALED_ANY_ID:
		sealed(r, octet(r) & 1, octet(r));
		break;
	case S_LAST_CHANGED:
		last_changed(r);
		break;
	case S_HONEST:
		send_good(octet(r));
		break;
	case S_ORDER:
		ike_input_order(
			p.core, p.now, (enum ike_order)(octet(r) % 4), octet(r) & 1 ? "t0" : "puppet", NULL);
		puppet_settle(&p);
		break;
	case S_TIME:
		puppet_run(&p, 100u * octet(r));
		break;
	case S_USAGE:
		usage(r);
		break;
	case S_KEEPER:
		keeper(r);
		break;
	case S_CONFIG:
		p.config.tunnels[octet(r) & 1].rekey_s = octet(r) + 60u;
		p.config.tunnels[1].proposals.first = octet(r) & 1;
		ike_config(p.core, p.now, &p.config.head);
		puppet_settle(&p);
		break;
	case S_ENDPOINT:
		p.at.port = (uint16_t)(400 + octet(r));
		break;
	case S_PART:
		part(r);
		break;
	case S_COUNT:
		break;
	}
}

static void begin(uint8_t how)
{
	puppet_init(&p);
	p.fragments = true;
	/* With small ones the core cuts its messages; the puppet, which puts no parts together, has to read its IKE_AUTH request. */
	bool reads = how % 4 == 2 || (how % 4 == 3 && !(how & 4));
	p.config.peers[0].fragment_size = how & 16 && !reads ? 200 : 1280;
	if (how & 32) {
		p.config.head.workers = 3;
		p.config.tunnels[0].flags |= TUNNEL_PER_WORKER;
	}
	if (how & 64) {
		p.config.peers[0].flags |= PEER_REDIRECT_ACCEPT;
		p.redirect = true;
	}
	if (how & 8)
		p.setup.cookie_above = 0;
	p.setup.puzzle_hardest = 8;
	p.setup.puzzles = how & 32; /* half-open: none, so whoever solves none is served as well */
	puppet_start(&p);
	switch (how % 4) {
	case 0:
		p.initiator = true;
		store_be64(p.spi_i, 1);
		break;
	case 1:
		MUST(how & 8 || puppet_init_as_initiator(&p, false));
		break;
	case 2:
		ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(&p);
		if (how & 4)
			MUST(puppet_init_as_responder(&p));
		break;
	case 3:
		MUST(how & 8 || puppet_up(&p, how & 4));
		break;
	}
}

static void end(void)
{
	memset(p.fail, 0, sizeof p.fail);
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "puppet", NULL);
	puppet_settle(&p);
	puppet_run(&p, 300000);
	MUST(puppet_ike_sas(&p) == 0);
	MUST(ike_view_busy(p.core) == 0);
	MUST(!ike_view_wrong(p.core));
	puppet_forget(&p);
	p.setup.cookie_above = 64;
	p.at.port = 500;
	if (p.config.tunnels[0].proposals.first == 0)
		MUST(puppet_init_as_initiator(&p, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_over(data, size);

	if (size < 3)
		return 0;
	begin(rd_u8(&r));
	for (unsigned i = 0; i < STEPS_MAX && rd_left(&r) >= 2; i++) {
		uint8_t what = rd_u8(&r);
		size_t n = rd_u8(&r);
		struct rd step = rd_sub(&r, MIN_OF(n, rd_left(&r)));

		one_step(what, &step);
		MUST(!ike_view_wrong(p.core));
		if (p.sent_n > PUPPET_SENT_MAX / 2)
			puppet_forget(&p);
	}
	end();
	puppet_done(&p);
	return 0;
}
