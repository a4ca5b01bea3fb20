/*
 * The simulator of IKE: a seed chooses a configuration, a network and a plan of what people and traffic do;
 * the plan runs while the network loses, repeats, delays, reorders and flips; then the network heals, and
 * after a while both gateways must hold the same SAs, with the same keys, and nothing else: in the cores, in
 * the keepers, in the data planes.
 *
 *	sim_ike --seeds FIRST COUNT	the run of ./check; a failing seed is printed
 *	sim_ike --seed N [--trace]	one of them again
 *	sim_ike --replay FIRST COUNT	each seed twice, in another order: both runs must be the same
 */
#include "middle.h"
#include "redirects.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

enum flavour {
	GENTLE,	 /* rekeys only, one or both sides at once: no test packet may be lost */
	ROUGH,	 /* also deletes, cuts, restarts, ledger away */
	REFUSED, /* the configurations do not fit: both must end with nothing, and say why */
	FLAVOURS
};

struct plan {
	enum flavour flavour;
	bool reauthenticated; /* GENTLE: once, and nothing else then; what crosses it is for ROUGH, where packets may be lost */
	bool both_start, may_be_down, nat, nat_both, named;
	enum middle middle; /* at first, then he goes */
	uint32_t steps;
};

#define PEM_A                                                                                                \
	"-----BEGIN PRIVATE KEY-----\n"                                                                      \
	"MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"                                 \
	"-----END PRIVATE KEY-----\n"
#define PEM_B                                                                                                \
	"-----BEGIN PRIVATE KEY-----\n"                                                                      \
	"MC4CAQAwBQYDK2VwBCIEICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/\n"                                 \
	"-----END PRIVATE KEY-----\n"

/* Each side knows the other's public key. */
static void use_signatures(struct sim_side sides[2])
{
	static const char *const pems[2] = { PEM_A, PEM_B };

	for (int i = 0; i < 2; i++) {
		struct sign_key key;
		uint8_t der[SIGN_SPKI_MAX];
		struct err e = { 0 };

		if (sign_key_from_pem(&key, pems[i], strlen(pems[i]), &e) != RC_OK)
			abort();
		sides[!i].their_key_n = (uint16_t)verify_key_spki(&key.public_part, der);
		memcpy(sides[!i].their_key, der, sides[!i].their_key_n);
		sides[i].pem = pems[i];
		sign_key_done(&key);
	}
}

/* The configuration may not fit in one of several ways. */
static void spoil(struct world *w, struct sim_side sides[2])
{
	switch (world_chance(w, 0, 6)) {
	case 0:
		for (uint32_t k = 0; k < sides[1].ike_n; k++)
			sides[1].ike[k].encr_bits =
				384 - sides[1].ike[k].encr_bits; /* 128 for 256, 256 for 128 */
		break;
	case 1:
		sides[1].psk = "not the same pre-shared key";
		sides[0].pem = sides[1].pem = NULL;
		break;
	case 2:
		sides[1].local_id = "somebody.example";
		break;
	case 3:
		sides[0].remote_id = "nobody.example";
		break;
	case 4:
		for (uint32_t k = 0; k < sides[1].ike_n; k++)
			sides[1].ike[k].prf = PRF_HMAC_SHA2_384;
		break;
	case 5:
		sides[0].ppk = "a post-quantum pre-shared key of the simulator";
		sides[1].ppk = "another post-quantum pre-shared key of the simulator";
		break;
	case 6: /* nor ML-KEM in its place */
		for (int i = 0; i < 2; i++)
			for (uint32_t k = 0; k < sides[i].ike_n; k++)
				memset(sides[i].ike[k].additional, 0, sizeof sides[i].ike[k].additional);
		sides[0].ppk = NULL;
		sides[0].peer_flags &= ~(uint32_t)PEER_REQUIRE_PQ;
		sides[1].ppk = "a post-quantum pre-shared key of one side alone";
		sides[1].peer_flags |= PEER_REQUIRE_PQ;
		break;
	}
}

/* Additional key exchanges: on both sides, or preferred by one that goes on without. */
static void choose_additional(struct world *w, struct sim_side sides[2])
{
	static const uint16_t lists[][ADDITIONAL_MAX] = { { MLKEM_768, 0 }, { MLKEM_1024, 0 },
		{ MLKEM_768, MLKEM_1024 } };
	const uint16_t *list = lists[world_chance(w, 0, 2)];
	int one = (int)world_chance(w, 0, 1);

	if (world_happens(w, 400)) {
		for (int i = 0; i < 2; i++)
			for (uint32_t k = 0; k < sides[i].ike_n; k++)
				memcpy(sides[i].ike[k].additional, list, sizeof sides[i].ike[k].additional);
		if (world_happens(w, 300))
			sides[one].peer_flags |= PEER_REQUIRE_PQ;
	} else if (world_happens(w, 200)) {
		struct sim_side *s = &sides[one];

		memmove(s->ike + 1, s->ike, s->ike_n * sizeof s->ike[0]);
		memcpy(s->ike[0].additional, list, sizeof s->ike[0].additional);
		s->ike_n++;
	}
}

/* Of every fifth seed the two are old peers: AES-CBC with HMAC, in IKE, in ESP, or in both. */
static void choose_old(const struct world *w, struct sim_side sides[2])
{
	static const uint16_t encrs[] = { ENCR_AES_CBC_SHA256, ENCR_AES_CBC_SHA384, ENCR_AES_CBC_SHA512 };
	uint64_t kind = w->seed / 5;
	uint16_t encr = encrs[kind / 3 % COUNT_OF(encrs)], bits = kind / 9 % 2 ? 128 : 256;

	for (int i = 0; w->seed % 5 == 2 && i < 2; i++) {
		for (uint32_t k = 0; k < sides[i].ike_n && kind % 3 != 0; k++) {
			sides[i].ike[k].encr = encr;
			sides[i].ike[k].encr_bits = bits;
		}
		for (uint32_t k = 0; k < sides[i].esp_n && kind % 3 != 1; k++) {
			sides[i].esp[k].encr = encr;
			sides[i].esp[k].encr_bits = bits;
		}
	}
}

static void choose_sides(struct world *w, struct sim_side sides[2], struct plan *plan)
{
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[0].tunnels = sides[1].tunnels = (uint32_t)world_chance(w, 1, 3);
	sides[0].esp[0].dh = sides[1].esp[0].dh = world_happens(w, 300) ? DH_CURVE25519 : DH_NONE;
	sides[0].esp[0].esn = (uint16_t)world_chance(w, 0, 2);
	sides[1].esp[0].esn = sides[0].esp[0].esn == 1 ? 1 : 2 * (uint16_t)world_chance(w, 0, 1);
	sides[0].v6_inside = sides[1].v6_inside = world_happens(w, 200);
	for (int i = 0; i < 2; i++) /* smaller than any that can be configured: most messages are cut then */
		sides[i].fragment_size = world_happens(w, 500) ? (uint32_t)world_chance(w, 180, 300) : 1280;
	if (world_happens(w, 200))
		sides[world_chance(w, 0, 1)].fragment_size = 0;
	if (world_happens(w, 300)) {
		sides[0].ppk = sides[1].ppk = "a post-quantum pre-shared key of the simulator";
		if (world_happens(w, 500))
			sides[world_chance(w, 0, 1)].peer_flags |= PEER_REQUIRE_PQ;
	} else if (world_happens(w, 100)) { /* falls back */
		sides[world_chance(w, 0, 1)].ppk = "a post-quantum pre-shared key of one side alone";
	}
	sides[1].cookie_above = world_happens(w, 300) ? 0 : 64;
	sides[1].puzzles = sides[1].cookie_above == 0 && w->seed % 4 == 0;
	if (world_happens(w, 200))
		use_signatures(sides);
	if (world_happens(w, 150)) { /* the first choice differs: INVALID_KE_PAYLOAD */
		sides[0].ike[1] = sides[0].ike[0];
		sides[0].ike[0].dh = DH_ECP_256;
		sides[0].ike_n = 2;
	}
	choose_additional(w, sides);
	choose_old(w, sides);
	plan->both_start = world_happens(w, 400);
	if (plan->both_start)
		sides[1].start = PEER_START_ALWAYS;
	if (world_happens(w, 200))
		sides[world_chance(w, 0, 1)].peer_flags |= PEER_FORCE_ENCAP;
	if (plan->flavour == REFUSED)
		spoil(w, sides);
}

static void choose_network(struct world *w, struct plan *plan, struct sim_side sides[2])
{
	plan->nat = !plan->both_start && world_happens(w, 200);
	if (!plan->nat)
		return;
	sides[1].other = (struct ip_addr){ 0 };
	sides[1].peer_flags |= PEER_REMOTE_ANY;
	plan->nat_both = world_happens(w, 300);
	if (plan->nat_both)
		sides[0].other = sim_address(SIM_SECOND_PUBLIC);
}

/* Each may know the other by a name, and go where it is sent. */
static void choose_names(uint64_t seed, struct plan *plan, struct sim_side sides[2])
{
	plan->named = !plan->nat && seed % 6 == 1;
	for (int i = 0; plan->named && i < 2; i++)
		sides[i].by_name = (seed / 6 + 1 + (seed / 6) / 3) >> i & 1;
	plan->named = sides[0].by_name || sides[1].by_name;
	sides[0].by_route = sides[1].by_route = plan->named;
	redirects_choose(seed, sides);
}

/* Child SAs for each worker, on one side alone or on both, with as many workers or with others. */
static void choose_workers(uint64_t seed, struct sim_side sides[2])
{
	if (seed % 5 != 3)
		return;
	for (int i = 0; i < 2; i++) {
		sides[i].per_worker = (seed / 5) % 4 < 2 || (seed / 5) % 2 == (uint64_t)i;
		sides[i].workers = 1 + (uint32_t)(seed / 20 >> 2 * i) % 4;
	}
}

/* Additional key exchanges of child SAs: on both sides, or preferred by one that goes on without. */
static void choose_children_additional(uint64_t seed, struct sim_side sides[2])
{
	static const uint16_t lists[][ADDITIONAL_MAX] = { { MLKEM_768, 0 }, { MLKEM_1024, 0 },
		{ MLKEM_768, MLKEM_1024 }, { MLKEM_1024, MLKEM_768 } };
	const uint16_t *list = lists[seed / 4 % 4];
	int one = (int)(seed / 16 % 2);

	if (seed % 4 != 1)
		return;
	for (int i = 0; i < 2; i++) {
		struct sim_side *s = &sides[i];

		s->esp[0].dh = DH_CURVE25519;
		if (seed / 32 % 4 == 0 && i != one)
			continue;
		if (seed / 32 % 4 == 0)
			s->esp[s->esp_n++] = s->esp[0];
		memcpy(s->esp[0].additional, list, sizeof s->esp[0].additional);
	}
}

/* Authentications that end: on one side, or on both at the same time; who cannot begin waits for the other. */
static void choose_lifetimes(uint64_t seed, const struct plan *plan, struct sim_side sides[2])
{
	uint32_t s =
		plan->flavour == GENTLE ? 100 + (uint32_t)(seed / 4 % 40) : 60 + (uint32_t)(seed / 4 % 60);

	if (seed % 3 != 2)
		return;
	for (int i = 0; i < 2; i++)
		sides[i].reauth_s = seed / 4 % 3 == 2 || seed / 4 % 3 == (uint64_t)i ? s : 0;
}

/*
 * One that says again and again when it will end the IKE SA (RFC 4478), later than is configured here, by a commit each time: nobody stays
 * longer for it than is configured.
 */
static const char *says_lifetimes(struct world *w, struct plan *plan, char *text, size_t size)
{
	struct sim_side side = w->nodes[1].side;
	mono_ns most = (w->nodes[0].side.reauth_s + 10) * NS_PER_S;

	if (plan->flavour != GENTLE || !w->nodes[0].side.reauth_s || side.reauth_s || w->seed / 12 % 2 == 0)
		return NULL;
	plan->flavour = ROUGH; /* a commit may cross a handshake */
	for (uint32_t i = 0; i < 40; i++) {
		struct ike_sa_view v;
		uint32_t cursor = 0;

		side.reauth_s = i % 2 ? 3000 : 2000;
		world_reconfigure(w, 1, &side);
		world_run(w, w->now + world_chance(w, 3000, 8000) * NS_PER_MS);
		while (ike_view_sa(w->nodes[0].ike, &cursor, &v)) {
			if (!v.up || w->now - v.authenticated <= most)
				continue;
			snprintf(text, size, "authenticated %llu s ago, with reauthentication %u",
				(unsigned long long)((w->now - v.authenticated) / NS_PER_S),
				w->nodes[0].side.reauth_s);
			return text;
		}
	}
	return NULL;
}

/* What DNS says of the other one when all is well: also an address where nobody is, which comes first. */
static void names_right(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		struct sim_dns *d = &w->nodes[i].dns;

		*d = (struct sim_dns){ .n = 1, .at = { w->nodes[!i].side.address } };
		if (w->seed % 12 < 6)
			*d = (struct sim_dns){ .n = 2,
				.at = { sim_address("203.0.113.66"), w->nodes[!i].side.address } };
	}
}

/* No answer, none with an address, a lie; and gateways that are somewhere else and said so, to those who know them by name. */
static void names_change(struct world *w, const struct plan *plan)
{
	int i = (int)world_chance(w, 0, 1);
	struct sim_dns *d = &w->nodes[i].dns;
	struct ip_addr address;
	char text[32];

	names_right(w);
	switch (world_chance(w, 0, 4)) {
	case 0:
		d->silent = true;
		break;
	case 1:
		d->n = 0;
		break;
	case 2:
		*d = (struct sim_dns){ .n = 1, .at = { sim_address("203.0.113.77") } };
		break;
	case 3:
		if (plan->flavour != ROUGH || !w->nodes[i].side.by_name)
			break;
		snprintf(text, sizeof text, "192.0.2.%u", 100 + (unsigned)world_chance(w, 0, 100));
		address = sim_address(text);
		world_move(w, !i, &address);
		if (world_happens(w, 700)) /* else DNS is late */
			names_right(w);
		break;
	default:
		break;
	}
}

static enum middle middle_at_work;

static uint8_t *change(struct world *w, const uint8_t *bytes, size_t n, size_t *ret_n)
{
	return middle_change(middle_at_work, bytes, n, ret_n);
}

/* As long as each IKE_SA_INIT is changed on the way nobody gets anywhere; as soon as none is, all begins as ever. */
static const char *meet_the_middle(struct world *w, const struct plan *plan, char *text, size_t size)
{
	w->change = change;
	middle_at_work = plan->middle;
	world_say(w, "somebody is in the middle, of kind %d", (int)plan->middle);
	world_run(w, w->now + 40 * NS_PER_S);
	middle_at_work = MIDDLE_NONE;
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < SIM_SAS_MAX; k++)
			if (w->nodes[i].sas[k].used) {
				snprintf(text, size, "%c has a child SA; IKE_SA_INIT was changed on the way",
					'A' + i);
				return text;
			}
	/* A key that has no method without hashes of signatures is not used. */
	if (w->nodes[0].refused + w->nodes[1].refused == 0 && !w->nodes[0].side.pem) {
		snprintf(text, size, "IKE_SA_INIT was changed on the way, and no ledger has it");
		return text;
	}
	world_run(w, w->now + 120 * NS_PER_S);
	return NULL;
}

static void trouble(struct world *w, const struct plan *plan)
{
	redirects_forge(w);
	w->net.lose = (uint32_t)world_chance(w, 0, plan->flavour == ROUGH ? 350 : 150);
	w->net.repeat = (uint32_t)world_chance(w, 0, 150);
	w->net.flip = (uint32_t)world_chance(w, 0, 20);
	w->net.delay_min = 1;
	w->net.delay_max = (uint32_t)world_chance(w, 5, 400);
}

static void heal(struct world *w)
{
	w->net.lose = w->net.repeat = w->net.flip = 0;
	w->net.cut = false;
	w->nodes[0].ledger_down = w->nodes[1].ledger_down = false;
	w->on_datagram = NULL;
	names_right(w);
}

static void random_tunnel(struct world *w, char *ret)
{
	sprintf(ret, "t%u", (unsigned)world_chance(w, 0, w->nodes[0].side.tunnels - 1));
}

/* Rekeys that cross may be just what a burst of loss meets. */
static void loss_now(struct world *w)
{
	uint32_t lose = w->net.lose;

	w->net.lose = (uint32_t)world_chance(w, 200, 600);
	world_run(w, w->now + world_chance(w, 500, 4000) * NS_PER_MS);
	w->net.lose = lose;
}

static void rekey(struct world *w, struct plan *plan)
{
	char name[2][8];
	uint64_t sides = world_chance(w, 1, 3);
	enum ike_order order[2];
	bool burst = world_happens(w, 300);

	for (int i = 0; i < 2; i++) {
		random_tunnel(w, name[i]);
		order[i] = world_happens(w, 400) ? IKE_ORDER_REKEY_IKE : IKE_ORDER_REKEY_CHILD;
		if (order[i] == IKE_ORDER_REKEY_IKE && w->seed % 4 == 1)
			order[i] = IKE_ORDER_REAUTHENTICATE;
	}
	if (world_happens(w, 600)) { /* a true collision */
		order[1] = order[0];
		strcpy(name[1], name[0]);
	}
	for (int i = 0; i < 2; i++) {
		if (!(sides >> i & 1))
			continue;
		if (w->seed % 4 == 1 && plan->flavour == GENTLE) {
			if (plan->reauthenticated || order[i] != IKE_ORDER_REAUTHENTICATE)
				continue;
			plan->reauthenticated = true;
		}
		world_order(w, i, order[i], name[i]);
		if (world_happens(w, 500))
			world_run(w, w->now + world_chance(w, 0, 400) * NS_PER_MS);
	}
	if (burst)
		loss_now(w);
}

static void step_rough(struct world *w, struct plan *plan)
{
	char name[8];
	int side = (int)world_chance(w, 0, 1);

	random_tunnel(w, name);
	switch (world_chance(w, 0, 9)) {
	case 0: /* terminated by one side and wanted again */
		world_order(w, side, IKE_ORDER_TERMINATE,
			world_happens(w, 500) ? name
			: side		      ? "hq"
					      : "branch");
		world_run(w, w->now + world_chance(w, 0, 3000) * NS_PER_MS);
		world_order(w, side, IKE_ORDER_INITIATE, side ? "hq" : "branch");
		break;
	case 1:
		w->net.cut = true;
		world_run(w, w->now + world_chance(w, 1, 120) * NS_PER_S);
		w->net.cut = false;
		break;
	case 2:
		world_restart_ike(w, side);
		break;
	case 3:
		world_restart_keeper(
			w, side, world_happens(w, 500) ? world_chance(w, 1, 10000) * NS_PER_MS : 0);
		break;
	case 4:
		w->nodes[side].ledger_down = true;
		world_run(w, w->now + world_chance(w, 1, 20) * NS_PER_S);
		w->nodes[side].ledger_down = false;
		break;
	case 5:
		world_order(w, side, IKE_ORDER_INITIATE, side ? "hq" : "branch");
		break;
	default:
		rekey(w, plan);
		break;
	}
}

static void run_plan(struct world *w, struct plan *plan)
{
	for (uint32_t i = 0; i < plan->steps; i++) {
		world_run(w, w->now + world_chance(w, 1, 8000) * NS_PER_MS);
		if (plan->nat && world_happens(w, 500))
			world_nat_change(w, (enum sim_nat_change)world_chance(w, 0, SIM_NAT_CHANGES - 1));
		if (plan->named)
			names_change(w, plan);
		if (plan->flavour == GENTLE)
			rekey(w, plan);
		else if (plan->flavour == ROUGH)
			step_rough(w, plan);
	}
}

static const char *verdict(struct world *w, const struct plan *plan, char *text, size_t size)
{
	const char *wrong = w->wrong ? w->wrong : world_mismatch(w, text, size);
	uint32_t ike_sas, up = world_tunnels_up(w, &ike_sas);

	if (wrong)
		return wrong;
	if (plan->flavour == REFUSED) {
		if (ike_sas == 0 && w->nodes[0].refused + w->nodes[1].refused > 0)
			return NULL;
		snprintf(text, size, "should be refused: %u IKE SAs, %lu refusals", ike_sas,
			(unsigned long)(w->nodes[0].refused + w->nodes[1].refused));
		return text;
	}
	/* Both may have begun at once; then each IKE SA carries something. */
	if (up != w->nodes[0].side.tunnels || world_childless(w) > 0) {
		snprintf(text, size, "%u of %u tunnels have one child, over %u IKE SAs", up,
			w->nodes[0].side.tunnels, ike_sas);
		return text;
	}
	if (world_workers_without(w) > 0) {
		snprintf(text, size, "%u tunnels lack the child SA of a worker", world_workers_without(w));
		return text;
	}
	if (plan->flavour == GENTLE && w->packets &&
		(w->nodes[0].packets_lost + w->nodes[1].packets_lost > 0 ||
			w->nodes[0].packets_no_sa + w->nodes[1].packets_no_sa > 0)) {
		snprintf(text, size,
			"test packets lost: %lu found no SA at the other end, %lu had none to go by",
			(unsigned long)(w->nodes[0].packets_lost + w->nodes[1].packets_lost),
			(unsigned long)(w->nodes[0].packets_no_sa + w->nodes[1].packets_no_sa));
		return text;
	}
	if (plan->flavour == GENTLE && w->nodes[1].packets_misled > 0) {
		snprintf(text, size,
			"%lu test packets went to a mapping that the NAT had dropped long before",
			(unsigned long)w->nodes[1].packets_misled);
		return text;
	}
	return NULL;
}

/* Where IKE SAs are established, the ledgers can exchange messages. Both begin at once. */
static const char *ledger_messages(struct world *w, char *text, size_t size)
{
	uint64_t before[2] = { w->nodes[0].peer_messages_got, w->nodes[1].peer_messages_got };
	enum rc rc[2];

	for (int i = 0; i < 2; i++) {
		rc[i] = ike_input_peer_message(w->nodes[i].ike, w->now, i ? "hq" : "branch",
			IKE_PEER_MESSAGE_ASK, "a question", 10, NULL);
		world_settle(w, &w->nodes[i]);
	}
	world_run(w, w->now + 2 * NS_PER_S);
	for (int i = 0; i < 2; i++)
		if (rc[i] != RC_OK || w->nodes[!i].peer_messages_got != before[!i] + 1) {
			snprintf(text, size, "%c: a ledger message was not delivered (%s)", 'A' + i,
				rc_text(rc[i]));
			return text;
		}
	return NULL;
}

struct totals {
	uint64_t datagrams, packets, asked, refused;
	uint64_t digest; /* of the last seed */
};

/* Quiet may be interrupted by a check whether the peer lives: look again a moment later. */
static const char *settle(struct world *w, const struct plan *plan, char *text, size_t size)
{
	const char *wrong = NULL;

	for (int i = 0; i < 4; i++) {
		wrong = verdict(w, plan, text, size);
		if (!wrong)
			return NULL;
		world_run(w, w->now + (7 + 60 * (mono_ns)i) * NS_PER_S);
	}
	return wrong;
}

static const char *run(uint64_t seed, bool trace, struct totals *totals, char *text, size_t size)
{
	static struct world w;
	struct sim_side sides[2];
	struct plan plan = { 0 };
	const char *wrong = NULL;

	memset(&w, 0, sizeof w);
	w.random = seed ^ 0x5eed;
	plan.flavour = world_happens(&w, 80) ? REFUSED : world_happens(&w, 400) ? GENTLE : ROUGH;
	plan.steps = plan.flavour == REFUSED ? 0 : (uint32_t)world_chance(&w, 1, 6);
	choose_sides(&w, sides, &plan);
	choose_network(&w, &plan, sides);
	choose_names(seed, &plan, sides);
	choose_workers(seed, sides);
	choose_children_additional(seed, sides);
	choose_lifetimes(seed, &plan, sides);
	w.trace = trace;
	world_init(&w, seed, sides);
	w.net.nat = plan.nat;
	w.net.nat_both = plan.nat_both;
	w.net.copy = plan.nat ? 100 : 0;
	if (plan.flavour != REFUSED && seed % 16 == 5)
		plan.middle = MIDDLE_NONE + 1 + seed / 16 % (MIDDLES - 1);
	if (plan.middle != MIDDLE_NONE && (wrong = meet_the_middle(&w, &plan, text, size))) {
		world_done(&w);
		return wrong;
	}
	if (plan.flavour == GENTLE) { /* up first, then the trouble */
		world_run(&w, 30 * NS_PER_S);
		w.packets = true;
	}
	trouble(&w, &plan);
	world_run(&w, w.now + 10 * NS_PER_S);
	run_plan(&w, &plan);
	if ((wrong = says_lifetimes(&w, &plan, text, size))) {
		world_done(&w);
		return wrong;
	}
	world_say(&w, "the network heals");
	heal(&w);
	if (plan.flavour == GENTLE) {
		world_run(&w, w.now + 20 * NS_PER_S);
		w.packets = false;
		world_run(&w, w.now + 2 * NS_PER_S);
		w.packets = true; /* for the verdict */
		w.packets_at = UINT64_MAX;
	}
	if (plan.flavour == REFUSED) { /* it would be retried without end */
		world_run(&w, w.now + 60 * NS_PER_S);
		world_order(&w, 0, IKE_ORDER_TERMINATE, "branch");
		world_order(&w, 1, IKE_ORDER_TERMINATE, "hq");
	}
	for (int i = 0; i < 2; i++)
		if (w.nodes[i].side.reauth_s) { /* else it would hardly ever be quiet */
			sides[i].reauth_s = 0;
			sides[i].address = w.nodes[i].side.address;
			world_reconfigure(&w, i, &sides[i]);
		}
	world_run(&w, w.now + 120 * NS_PER_S);
	wrong = settle(&w, &plan, text, size);
	if (!wrong && plan.flavour != REFUSED)
		wrong = ledger_messages(&w, text, size);
	for (int i = 0; i < 2; i++) {
		totals->datagrams += w.nodes[i].sent;
		totals->asked += w.nodes[i].asked;
		totals->packets += w.nodes[i].packets_got;
		totals->refused += w.nodes[i].refused;
	}
	totals->digest = w.digest;
	world_done(&w);
	return wrong;
}

/* A seed's run must not depend on the runs before it, else a failure could not be replayed by its number. */
static uint64_t replays_that_differ(uint64_t first, uint64_t count)
{
	uint64_t *digests = calloc(count, sizeof *digests), differ = 0;
	struct totals totals = { 0 };
	char text[512];

	if (!digests)
		abort();
	for (uint64_t i = 0; i < count; i++) {
		run(first + i, false, &totals, text, sizeof text);
		digests[i] = totals.digest;
	}
	for (uint64_t i = count; i-- > 0;) {
		run(first + i, false, &totals, text, sizeof text);
		if (totals.digest == digests[i])
			continue;
		differ++;
		printf("seed %llu: its second run differs from the first\n", (unsigned long long)(first + i));
	}
	free(digests);
	return differ;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = 1000, failed = 0;
	struct totals totals = { 0 };
	bool trace = false, replay = false;
	char text[512];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0) {
			trace = true;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			first = strtoull(argv[++i], NULL, 10);
			count = 1;
		} else if ((strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--replay") == 0) &&
			   i + 2 < argc) {
			replay = argv[i][2] == 'r';
			first = strtoull(argv[++i], NULL, 10);
			count = strtoull(argv[++i], NULL, 10);
		} else {
			fprintf(stderr, "usage: sim_ike --seeds FIRST COUNT | --replay FIRST COUNT | --seed "
					"N [--trace]\n");
			return 2;
		}
	}
	if (replay) {
		failed = replays_that_differ(first, count);
		printf("%llu seeds run twice, %llu differ\n", (unsigned long long)count,
			(unsigned long long)failed);
		return failed ? 1 : 0;
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		const char *wrong = run(seed, trace, &totals, text, sizeof text);

		if (!wrong)
			continue;
		failed++;
		printf("seed %llu: %s (again: sim_ike --seed %llu --trace)\n", (unsigned long long)seed,
			wrong, (unsigned long long)seed);
	}
	printf("%llu seeds, %llu failed; %llu datagrams, %llu questions to the keepers, %llu test packets, "
	       "%llu refusals\n",
		(unsigned long long)count, (unsigned long long)failed, (unsigned long long)totals.datagrams,
		(unsigned long long)totals.asked, (unsigned long long)totals.packets,
		(unsigned long long)totals.refused);
	return failed ? 1 : 0;
}
