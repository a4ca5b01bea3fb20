/*
 * A peer with valid keys, several IKE SAs and a handful of SPIs that it uses for whatever it likes, against a
 * core whose keeper takes its time: each question waits until the input has it answered, in any order, well
 * or badly. What takes a ledger's receipt or a Diffie-Hellman computation in reality is a moment here in
 * on which the peer continues.
 *
 * The input is a list of steps, each an octet and then its own octets. Beside the sanitizers: the core's
 * tables must be consistent after each step; and in the end, when all is answered and terminated, it
 * is quiet and empty, and takes a fresh handshake.
 */
#include "must.h"
#include "puppet.h"

enum { STEPS_MAX = 64, LINES_MAX = 8, SPIS = 4, SPI_FIRST = 0x2000, NAMED_MAX = 1500 };

/* clang-format off */
enum step {
	S_LINE,		/* continue with another IKE SA: which */
	S_COME_UP,	/* one more, by the peer; the SPI of its child */
	S_CHILD,	/* the peer asks for a child: tunnel, SPI */
	S_REKEY,	/* or for a rekey: of which, SPI */
	S_REKEY_IKE,
	S_DELETE,	/* which, how many payloads, how often in each */
	S_DELETE_IKE,
	S_EMPTY,
	S_ANSWER_CHILD,	/* to the core's request: tunnel, SPI */
	S_ANSWER_IKE,
	S_ANSWER_NOTIFY, /* which error */
	S_ANSWER_EMPTY,
	S_HOLD,		/* questions to the keeper wait from now on, or no longer */
	S_KEEPER,	/* one of those that wait is answered: which, how */
	S_KEEPER_LOST,
	S_TIME,		/* 100 ms times the octet */
	S_ORDER,	/* an administrator's: which, for what */
	S_USAGE,	/* of a child: which of the last, whether it is used */
	S_COMMIT,	/* the second tunnel is there, or not */
	S_COUNT
};
/* clang-format on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One IKE SA as the peer sees it. */
struct line {
	bool initiator;
	uint8_t spi_i[8], spi_r[8];
	uint32_t own_id; /* of its next request: the window is one */
	bool asked;	 /* by the core, and not answered yet */
	uint8_t exchange;
	uint32_t id;
};

static struct puppet p;
static struct line lines[LINES_MAX];
static unsigned lines_n, now_on;
static uint8_t chosen;

static uint8_t octet(struct rd *r)
{
	return rd_left(r) > 0 ? rd_u8(r) : 0;
}

static uint32_t spi(struct rd *r)
{
	return SPI_FIRST + octet(r) % SPIS;
}

static struct line *line_of(const struct ike_header *h)
{
	for (unsigned i = 0; i < lines_n; i++)
		if (memcmp(lines[i].spi_i, h->spi_i, 8) == 0 && memcmp(lines[i].spi_r, h->spi_r, 8) == 0)
			return &lines[i];
	return NULL;
}

static void line_add(const uint8_t spi_i[8], const uint8_t spi_r[8], bool initiator, uint32_t own_id)
{
	struct line *l = &lines[lines_n < LINES_MAX ? lines_n++ : chosen % LINES_MAX];

	*l = (struct line){ .initiator = initiator, .own_id = own_id };
	memcpy(l->spi_i, spi_i, 8);
	memcpy(l->spi_r, spi_r, 8);
	now_on = (unsigned)(l - lines);
}

/* What the core said since the last step. */
static void listen(void)
{
	for (uint32_t i = 0; i < p.sent_n; i++) {
		struct line *l = puppet_read(&p, i) ? line_of(&p.header) : NULL;

		if (!l)
			continue;
		if (!(p.header.flags & IKE_FLAG_RESPONSE)) {
			l->asked = true;
			l->exchange = p.header.exchange;
			l->id = p.header.message_id;
			continue;
		}
		if (p.header.message_id != l->own_id)
			continue;
		l->own_id++;
		if (p.header.exchange == EX_CREATE_CHILD_SA && p.payloads.sa.proposals_n == 1 &&
			p.payloads.sa.proposals[0].protocol == IKE_PROTO_IKE)
			line_add((const uint8_t[8]){ 0xee, chosen }, p.payloads.sa.proposals[0].spi, true, 0);
	}
	puppet_forget(&p);
}

static bool speak(bool response, uint8_t exchange)
{
	struct line *l = &lines[now_on];

	if (lines_n == 0 || (response && !l->asked))
		return false;
	p.initiator = l->initiator;
	memcpy(p.spi_i, l->spi_i, 8);
	memcpy(p.spi_r, l->spi_r, 8);
	puppet_begin(&p, response ? l->exchange : exchange, response, response ? l->id : l->own_id);
	l->asked &= !response;
	return true;
}

static void ask_child(uint32_t tunnel, uint32_t spi_in, uint32_t rekeys)
{
	uint8_t old[4];

	store_be32(old, rekeys);
	if (!speak(false, EX_CREATE_CHILD_SA))
		return;
	if (rekeys)
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	puppet_offer_esp(&p, spi_in, tunnel ? DH_ECP_256 : DH_NONE);
	puppet_nonce(&p, chosen);
	if (tunnel)
		puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, tunnel);
	puppet_send(&p);
}

static void ike_values(bool response)
{
	uint8_t ours[8] = { 0xee, chosen };

	if (!speak(response, EX_CREATE_CHILD_SA))
		return;
	puppet_offer_ike(&p, ours);
	puppet_nonce(&p, chosen);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
}

static void come_up(uint32_t child)
{
	bool held = p.hold;

	p.hold = false; /* the handshake itself is fuzz_ike_core's */
	p.iv = 0;
	if (puppet_init_as_initiator(&p, true)) {
		line_add(p.spi_i, p.spi_r, true, 1);
		p.hold = held;
		speak(false, EX_IKE_AUTH);
		puppet_auth_payloads(&p, child);
		puppet_send(&p);
	}
	p.hold = held;
}

static void delete(uint32_t which, unsigned payloads, unsigned each)
{
	static uint32_t spis[NAMED_MAX];

	if (!speak(false, EX_INFORMATIONAL))
		return;
	each = 1 + each * each / 44; /* 1 to 1478 */
	for (unsigned i = 0; i < each; i++)
		spis[i] = SPI_FIRST + (which & 4 ? (which + i) % SPIS : which % SPIS);
	for (unsigned i = 0; i <= payloads && (i + 1) * (each + 4) < NAMED_MAX; i++)
		ike_out_delete_esp(&p.out, spis, each);
	puppet_send(&p);
}

static void answer_child(uint32_t tunnel, uint32_t spi_in)
{
	if (!speak(true, 0))
		return;
	puppet_offer_esp(&p, spi_in, tunnel ? DH_ECP_256 : DH_NONE);
	puppet_nonce(&p, chosen);
	if (tunnel)
		puppet_ke(&p, DH_ECP_256);
	puppet_selectors_back(&p, tunnel);
	puppet_send(&p);
}

static void message_answer_notify(uint8_t which)
{
	static const uint16_t errors[] = { NTF_NO_PROPOSAL_CHOSEN, NTF_TEMPORARY_FAILURE,
		NTF_CHILD_SA_NOT_FOUND, NTF_NO_ADDITIONAL_SAS, NTF_TS_UNACCEPTABLE, NTF_INVALID_SYNTAX };

	if (!speak(true, 0))
		return;
	ike_out_notify(&p.out, errors[which % COUNT_OF(errors)], NULL, 0);
	puppet_send(&p);
}

static void keeper_answers(uint8_t which, uint8_t how)
{
	if (p.asked_n == 0)
		return;
	for (unsigned op = 0; op < KEEPER_OP_COUNT; op++)
		p.fail[op] = how >= 192 ? RC_DENIED : RC_OK;
	puppet_answer_keeper_at(&p, which % p.asked_n);
	memset(p.fail, 0, sizeof p.fail);
}

static void order(uint8_t which, uint8_t what)
{
	static const char *const names[] = { "t0", "t1", "puppet" };

	ike_input_order(p.core, p.now, (enum ike_order)(which % 4), names[what % COUNT_OF(names)], NULL);
	puppet_settle(&p);
}

static void commit(bool second)
{
	p.config.head.tunnels.count = second ? 2 : 1;
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
}

static void hold(bool held)
{
	p.hold = held;
	while (!p.hold && p.asked_n > 0)
		puppet_answer_keeper(&p);
}

static void lost(void)
{
	p.asked_n = 0;
	ike_input_keeper_lost(p.core, p.now);
	puppet_settle(&p);
}

static void step_peer(enum step what, struct rd *r)
{
	uint8_t a;

	switch (what) {
	case S_LINE:
		now_on = lines_n > 0 ? octet(r) % lines_n : 0;
		break;
	case S_COME_UP:
		come_up(spi(r));
		break;
	case S_CHILD:
		a = octet(r) & 1;
		ask_child(a, spi(r), 0);
		break;
	case S_REKEY:
		a = octet(r);
		ask_child(a >> 7, spi(r), SPI_FIRST + a % SPIS);
		break;
	case S_REKEY_IKE:
		ike_values(false);
		break;
	case S_DELETE:
		a = octet(r);
		delete (a, a >> 4, octet(r));
		break;
	case S_DELETE_IKE:
		if (!speak(false, EX_INFORMATIONAL))
			break;
		ike_out_delete_ike(&p.out);
		puppet_send(&p);
		break;
	case S_ANSWER_CHILD:
		a = octet(r) & 1;
		answer_child(a, spi(r));
		break;
	case S_ANSWER_IKE:
		ike_values(true);
		break;
	case S_ANSWER_NOTIFY:
		message_answer_notify(octet(r));
		break;
	default:
		if (speak(what == S_ANSWER_EMPTY, EX_INFORMATIONAL))
			puppet_send(&p);
		break;
	}
}

static void step(struct rd *r)
{
	enum step what = (enum step)(octet(r) % S_COUNT);
	uint8_t a;

	switch (what) {
	case S_HOLD:
		hold(octet(r) & 1);
		break;
	case S_KEEPER:
		a = octet(r);
		keeper_answers(a, octet(r));
		break;
	case S_KEEPER_LOST:
		lost();
		break;
	case S_TIME:
		puppet_run(&p, 100u * octet(r));
		break;
	case S_ORDER:
		a = octet(r);
		order(a, octet(r));
		break;
	case S_USAGE:
		a = octet(r);
		puppet_usage(&p, p.spis - a % 8, octet(r) & 1 ? 0 : UINT32_MAX);
		break;
	case S_COMMIT:
		commit(octet(r) & 1);
		break;
	default:
		step_peer(what, r);
		break;
	}
}

static void end(void)
{
	hold(false);
	order(IKE_ORDER_TERMINATE, 2);
	puppet_run(&p, 300000);
	MUST(puppet_ike_sas(&p) == 0);
	MUST(ike_view_busy(p.core) == 0);
	MUST(!ike_view_wrong(p.core));
	puppet_forget(&p);
	MUST(puppet_init_as_initiator(&p, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_over(data, size);

	puppet_init(&p);
	puppet_start(&p);
	lines_n = now_on = 0;
	chosen = 0;
	come_up(SPI_FIRST);
	listen();
	for (unsigned i = 0; i < STEPS_MAX && rd_left(&r) > 0; i++) {
		chosen = (uint8_t)(0x60 + i); /* nonces and SPIs of IKE SAs that differ from step to step */
		step(&r);
		MUST(!ike_view_wrong(p.core));
		listen();
	}
	end();
	puppet_done(&p);
	return 0;
}
