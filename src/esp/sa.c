/*
 * Security associations: installing, removing, finding, resuming.
 */
#include "esp/state.h"
#include "model/sa.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(sizeof(struct esp_state) % 64 == 0 && sizeof(struct esp_state_pair) % 64 == 0,
	"pairs are whole lines");

static uint32_t slots_for(uint32_t pairs_max)
{
	uint32_t n = 64;

	while (n < 4 * pairs_max)
		n *= 2;
	return n;
}

size_t esp_state_size(uint32_t pairs_max)
{
	return sizeof(struct esp_state) +
	       pairs_max * (sizeof(struct esp_state_pair) + sizeof(struct esp_state_wide));
}

size_t esp_tables_size(uint32_t pairs_max)
{
	return pairs_max * (sizeof(struct esp_pair) + sizeof(struct esp_keys) + sizeof(uint32_t)) +
	       (slots_for(pairs_max) + 3 * TUNNELS_MAX + ESP_NAMES) * sizeof(uint32_t);
}

static struct esp_state_wide *wide_of(const struct esp *esp, uint32_t pair)
{
	return (struct esp_state_wide *)(void *)(esp->state->pair + esp->pairs_max) + pair;
}

static uint32_t spi_slot(const struct esp *esp, uint32_t spi)
{
	return spi * 0x9e3779b1u >> 8 & (esp->slots_n - 1);
}

uint32_t esp_pair_find(const struct esp *esp, uint32_t spi_in)
{
	for (uint32_t i = spi_slot(esp, spi_in); esp->slot[i] != 0; i = (i + 1) & (esp->slots_n - 1))
		if (esp->pair[esp->slot[i] - 1].state->spi_in == spi_in)
			return esp->slot[i] - 1;
	return ESP_PAIR_NONE;
}

static void slot_put(struct esp *esp, uint32_t pair)
{
	uint32_t i = spi_slot(esp, esp->pair[pair].state->spi_in);

	while (esp->slot[i] != 0)
		i = (i + 1) & (esp->slots_n - 1);
	esp->slot[i] = pair + 1;
}

/* Before the pair's state is wiped. Those that stand behind it in its row move up, so that none is cut off. */
static void slot_take(struct esp *esp, uint32_t pair)
{
	uint32_t mask = esp->slots_n - 1, hole = spi_slot(esp, esp->pair[pair].state->spi_in);

	while (esp->slot[hole] != pair + 1)
		hole = (hole + 1) & mask;
	for (uint32_t i = (hole + 1) & mask; esp->slot[i] != 0; i = (i + 1) & mask) {
		uint32_t home = spi_slot(esp, esp->pair[esp->slot[i] - 1].state->spi_in);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		esp->slot[hole] = esp->slot[i];
		hole = i;
	}
	esp->slot[hole] = 0;
}

/* The list of its tunnel's active pairs: those for one worker have one of their own. NULL: it has no tunnel. */
static uint32_t *list_of(struct esp *esp, const struct esp_pair *p)
{
	if (p->tunnel >= TUNNELS_MAX)
		return NULL;
	return p->state->resource ? &esp->outbound_own[p->tunnel] : &esp->outbound[p->tunnel];
}

/* Out of that list, if it is there. */
static void active_out(struct esp *esp, uint32_t pair)
{
	struct esp_pair *p = &esp->pair[pair];
	uint32_t *at = list_of(esp, p);

	while (at && *at != ESP_PAIR_NONE && *at != pair)
		at = &esp->pair[*at].next_active;
	if (at && *at == pair)
		*at = p->next_active;
	p->next_active = ESP_PAIR_NONE;
}

/*
 * Into that list, which is in falling order of installation. Called by the pair's owner while other workers walk
 * along the list, and put pairs of theirs into it: a pair is complete when they can find it. Everything else that
 * changes lists, and all that takes a pair out, waits until nobody walks there.
 */
static void active_in(struct esp *esp, uint32_t pair)
{
	struct esp_pair *p = &esp->pair[pair];
	uint32_t *at = list_of(esp, p);

	assert(p->next_active == ESP_PAIR_NONE);
	if (!at || !p->state->outbound_active)
		return;
	uint32_t next = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	do {
		while (next != ESP_PAIR_NONE && esp->pair[next].state->order > p->state->order) {
			at = &esp->pair[next].next_active;
			next = __atomic_load_n(at, __ATOMIC_ACQUIRE);
		}
		__atomic_store_n(&p->next_active, next, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(at, &next, pair, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
}

void esp_pair_send(struct esp *esp, uint32_t pair)
{
	__atomic_store_n(&esp->pair[pair].state->outbound_active, 1, __ATOMIC_RELAXED);
	active_in(esp, pair);
}

uint32_t esp_outbound(const struct esp *esp, uint32_t tunnel)
{
	uint32_t pair = esp_outbound_first(esp->outbound, tunnel);

	return pair != ESP_PAIR_NONE ? pair : esp_outbound_first(esp->outbound_own, tunnel);
}

/* Does one of the list hold all of the selector? */
static bool selector_covered(const struct selector *ts, const struct selector *list, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		if (range_holds(&list[i].addrs, &ts->addrs.first) &&
			range_holds(&list[i].addrs, &ts->addrs.last) &&
			(list[i].proto == 0 || list[i].proto == ts->proto) &&
			ts->port_first >= list[i].port_first && ts->port_last <= list[i].port_last)
			return true;
	return false;
}

static bool selectors_covered(
	const struct selector *inner, uint16_t inner_n, const struct selector *outer, uint16_t outer_n)
{
	for (uint16_t i = 0; i < inner_n; i++)
		if (!selector_covered(&inner[i], outer, outer_n))
			return false;
	return true;
}

/* Does the other one hold all that this one does? */
static bool pair_covered(const struct esp_pair *p, const struct esp_pair *by)
{
	return selectors_covered(p->local_ts, p->state->local_n, by->local_ts, by->state->local_n) &&
	       selectors_covered(p->remote_ts, p->state->remote_n, by->remote_ts, by->state->remote_n);
}

/* This one is for one worker: does the newest for all, whose place it takes, have it in its group? */
static bool own_is_used(const struct esp *esp, const struct esp_pair *p)
{
	for (uint32_t i = esp_outbound_first(esp->outbound, p->tunnel); i != ESP_PAIR_NONE;
		i = esp->pair[i].next_active)
		if (pair_covered(p, &esp->pair[i]))
			return esp->pair[i].state->group == p->state->group;
	return true;
}

bool esp_pair_sends(const struct esp *esp, uint32_t pair)
{
	const struct esp_pair *p = &esp->pair[pair], *newer;
	bool own = p->state->resource != 0;

	if (!p->state->outbound_active)
		return false;
	for (uint32_t i = esp_outbound_first(own ? esp->outbound_own : esp->outbound, p->tunnel);
		i != pair && i != ESP_PAIR_NONE; i = newer->next_active) {
		newer = &esp->pair[i];
		if (own && (newer->owner != p->owner || newer->state->group != p->state->group))
			continue;
		if (pair_covered(p, newer))
			return false;
	}
	return !own || own_is_used(esp, p);
}

/* One range for any protocol and port, as two numbers. */
static bool plain_range(const struct selector *ts, uint16_t n, uint32_t *ret_first, uint32_t *ret_last)
{
	if (n != 1 || ts->proto != 0 || ts->port_first != 0 || ts->port_last != UINT16_MAX ||
		ts->addrs.first.family != ADDR_V4)
		return false;
	*ret_first = load_be32(ts->addrs.first.b);
	*ret_last = load_be32(ts->addrs.last.b);
	return true;
}

/* Where the selectors of the pair stand in the state when there are n of both sides. */
static struct selector *selectors_room(const struct esp *esp, uint32_t pair, uint32_t n)
{
	return n <= ESP_SELECTORS_USUAL ? esp->state->pair[pair].ts : wide_of(esp, pair)->ts;
}

struct key_room {
	uint8_t *in, *out;
	size_t size;
};

/* Where the keys of the pair stand in the state when they have so many octets. */
static struct key_room keys_room(const struct esp *esp, uint32_t pair, uint32_t key_n)
{
	struct esp_state_pair *s = &esp->state->pair[pair];
	struct esp_state_wide *wide = wide_of(esp, pair);

	return key_n <= sizeof s->key_in
		       ? (struct key_room){ s->key_in, s->key_out, sizeof s->key_in }
		       : (struct key_room){ wide->key_in, wide->key_out, sizeof wide->key_in };
}

const struct esp_keys *esp_pair_keys(struct esp *esp, struct esp_pair *p)
{
	struct esp_keys *keys = &esp->keys[p - esp->pair];
	const struct esp_state_pair *s = p->state;

	if (!p->keyed) {
		struct key_room from = keys_room(esp, (uint32_t)(p - esp->pair), s->key_n);
		enum rc in = esp_key_set(
				esp->mgr[p->owner], &keys->in, s->encr, s->encr_bits, from.in, s->key_n),
			out = esp_key_set(
				esp->mgr[p->owner], &keys->out, s->encr, s->encr_bits, from.out, s->key_n);
		assert(in == RC_OK && out == RC_OK); /* esp_key_check() */
		p->keyed = true;
	}
	return keys;
}

/* What stands apart as well. */
static void state_wipe(struct esp *esp, uint32_t i)
{
	struct esp_state_pair *s = &esp->state->pair[i];

	if (s->local_n + s->remote_n > ESP_SELECTORS_USUAL)
		memset(wide_of(esp, i)->ts, 0, sizeof wide_of(esp, i)->ts);
	if (s->replay_window > REPLAY_WINDOW_USUAL)
		memset(wide_of(esp, i)->block, 0, sizeof wide_of(esp, i)->block);
	if (s->key_n > sizeof s->key_in) {
		bytes_wipe(wide_of(esp, i)->key_in, sizeof wide_of(esp, i)->key_in);
		bytes_wipe(wide_of(esp, i)->key_out, sizeof wide_of(esp, i)->key_out);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* what says that there are any goes last */
	}
	bytes_wipe(s, sizeof *s);
}

/* Makes this process's part of a pair from its state. */
static enum rc pair_attach(struct esp *esp, uint32_t i)
{
	struct esp_pair *p = &esp->pair[i];
	struct esp_state_pair *s = &esp->state->pair[i];
	enum rc rc = esp_key_check(s->encr, s->encr_bits, s->key_n);

	if (rc != RC_OK)
		return rc;
	assert(esp->live_n < esp->pairs_max);
	p->state = s;
	p->keyed = false;
	p->iv_n = (uint8_t)encr_iv_size(s->encr);
	p->icv_n = (uint8_t)encr_icv_size(s->encr);
	p->block_n = (uint8_t)encr_block_size(s->encr);
	p->wide_block = wide_of(esp, i)->block;
	p->local_ts = selectors_room(esp, i, s->local_n + s->remote_n);
	p->remote_ts = p->local_ts + s->local_n;
	p->sequence_next = s->sequence_ceiling;
	p->tunnel = INDEX_NONE;
	p->next_active = ESP_PAIR_NONE;
	p->live_at = esp->live_n;
	p->owner = s->owner;
	esp_life_attach(p);
	p->plain_v4 = plain_range(p->local_ts, s->local_n, &p->local_first, &p->local_last) &&
		      plain_range(p->remote_ts, s->remote_n, &p->remote_first, &p->remote_last);
	esp->live[esp->live_n++] = i;
	slot_put(esp, i);
	return RC_OK;
}

/* Whether what a former process left can be believed in form. Its keys and counters have no redundancy to
 * check. */
static bool pair_sane(const struct esp_state_pair *s)
{
	return s->local_n >= 1 && s->local_n <= SELECTORS_MAX && s->remote_n >= 1 &&
	       s->remote_n <= SELECTORS_MAX && s->key_n <= KEYMAT_MAX && s->replay_window >= 1 &&
	       s->replay_window <= REPLAY_WINDOW_LIMIT && s->spi_in >= SPI_MIN && s->spi_out >= SPI_MIN &&
	       s->owner < WORKERS_MAX && s->resource <= WORKERS_MAX && s->sequence_ceiling >= 1 &&
	       memchr(s->tunnel_name, '\0', sizeof s->tunnel_name);
}

/* Is b what will replace a, or a what is replaced by b: for the same packets of the same tunnel? */
static bool same_traffic(const struct esp_pair *a, const struct esp_pair *b)
{
	const struct esp_state_pair *s = a->state, *t = b->state;

	return strncmp(s->tunnel_name, t->tunnel_name, sizeof s->tunnel_name) == 0 &&
	       s->local_n == t->local_n && s->remote_n == t->remote_n &&
	       memcmp(a->local_ts, b->local_ts, s->local_n * sizeof *a->local_ts) == 0 &&
	       memcmp(a->remote_ts, b->remote_ts, s->remote_n * sizeof *a->remote_ts) == 0;
}

/*
 * The worker that is to own a pair: the one that has fewest of those that have one (the first n live ones). What it
 * replaces, or is replaced by, will soon be gone and does not count.
 */
static uint32_t owner_choose(const struct esp *esp, uint32_t pair, uint32_t n)
{
	uint32_t owned[WORKERS_MAX] = { 0 }, least = 0, resource = esp->pair[pair].state->resource;

	if (esp->workers == 1)
		return 0;
	if (resource != 0)
		return (resource - 1) % esp->workers;
	for (uint32_t k = 0; k < n; k++) {
		const struct esp_pair *other = &esp->pair[esp->live[k]];
		if (esp->live[k] != pair && !same_traffic(&esp->pair[pair], other))
			owned[other->owner]++;
	}
	for (uint32_t w = 1; w < esp->workers; w++)
		least = owned[w] < owned[least] ? w : least;
	return least;
}

static void owner_set(struct esp *esp, uint32_t pair, uint32_t owner)
{
	assert(owner < esp->workers);
	esp->pair[pair].owner = owner;
	esp->pair[pair].state->owner = (uint16_t)owner;
}

static void owners_divide(struct esp *esp)
{
	for (uint32_t k = 0; k < esp->live_n; k++)
		owner_set(esp, esp->live[k], owner_choose(esp, esp->live[k], k));
	esp->state->workers = esp->workers;
}

/* So many managers, of which libIPSec_MB wants one in each thread. */
static enum rc managers_set(struct esp *esp, uint32_t n, struct err *e)
{
	for (uint32_t w = 0; w < n; w++) {
		if (esp->mgr[w])
			continue;
		if (!(esp->mgr[w] = alloc_mb_mgr(0)))
			return err_add(e, RC_LIMIT, "out of memory for libIPSec_MB");
		init_mb_mgr_auto(esp->mgr[w], NULL);
		if (imb_get_errno(esp->mgr[w]) != 0)
			return err_add(e, RC_INTERNAL, "libIPSec_MB does not start: %s",
				imb_get_strerror(imb_get_errno(esp->mgr[w])));
	}
	return RC_OK;
}

static void managers_free(struct esp *esp, uint32_t from)
{
	for (uint32_t w = from; w < WORKERS_MAX; w++) {
		if (esp->mgr[w])
			free_mb_mgr(esp->mgr[w]);
		esp->mgr[w] = NULL;
	}
}

enum rc esp_workers(struct esp *esp, uint32_t workers, struct err *e)
{
	assert(workers > 0 && workers <= WORKERS_MAX);
	enum rc rc = managers_set(esp, workers, e);

	if (rc != RC_OK)
		return rc;
	managers_free(esp, workers);
	esp->workers = workers;
	bool divided = esp->state->workers == workers;
	for (uint32_t k = 0; k < esp->live_n; k++)
		divided &= esp->pair[esp->live[k]].owner < workers;
	if (!divided)
		owners_divide(esp);
	return RC_OK;
}

uint32_t esp_owner(const struct esp *esp, uint32_t pair)
{
	return esp->pair[pair].owner;
}

static void state_resume(struct esp *esp)
{
	esp_totals_resume(esp);
	esp->state->used = MIN_OF(esp->state->used, esp->pairs_max);
	for (uint32_t i = 0; i < esp->state->used; i++) {
		struct esp_state_pair *s = &esp->state->pair[i];
		/* A pair that is not live may hold keys still: its process was killed while it installed or
		 * removed it. */
		if (!s->live || !pair_sane(s) || esp_pair_find(esp, s->spi_in) != ESP_PAIR_NONE ||
			pair_attach(esp, i) != RC_OK) {
			__atomic_store_n(&s->live, 0, __ATOMIC_RELEASE);
			state_wipe(esp, i);
			continue;
		}
		esp->order_next = MAX_OF(esp->order_next, s->order + 1);
	}
}

/* A new file is zero and stays without pages. */
static void state_begin(struct esp *esp, size_t state_n)
{
	struct esp_state *s = esp->state;

	if (s->magic != 0) /* of another version: its keys go */
		bytes_wipe(s, state_n);
	s->version = ESP_STATE_VERSION;
	s->pairs_max = esp->pairs_max;
	s->bytes = esp_state_size(esp->pairs_max);
	s->pair_bytes = sizeof s->pair[0];
	__atomic_store_n(&s->magic, ESP_STATE_MAGIC, __ATOMIC_RELEASE);
}

struct esp *esp_new(void *state, size_t state_n, void *tables, size_t tables_n, uint32_t pairs_max,
	uint32_t workers, bool *ret_resumed, struct err *e)
{
	struct esp *esp = NULL;

	if (state_n < esp_state_size(pairs_max) || tables_n < esp_tables_size(pairs_max) ||
		pairs_max > ESP_PAIRS_MAX || (uintptr_t)tables % 64 != 0 || (uintptr_t)state % 64 != 0) {
		err_add(e, RC_RANGE,
			"the memory for SAs is too small or not aligned: %u pairs need %zu and %zu octets",
			pairs_max, esp_state_size(pairs_max), esp_tables_size(pairs_max));
		return NULL;
	}
	esp = lines_new(1, sizeof *esp);
	if (!esp) {
		err_add(e, RC_LIMIT, "out of memory for SAs");
		return NULL;
	}
	if (managers_set(esp, 1, e) != RC_OK)
		goto fail;
	esp->state = state;
	esp->pairs_max = pairs_max;
	esp->pair = tables;
	esp->keys = (struct esp_keys *)(void *)(esp->pair + pairs_max);
	esp->live = (uint32_t *)(void *)(esp->keys + pairs_max);
	esp->slot = esp->live + pairs_max;
	esp->slots_n = slots_for(pairs_max);
	esp->outbound = esp->slot + esp->slots_n;
	esp->outbound_own = esp->outbound + TUNNELS_MAX;
	esp->total_at = esp->outbound_own + TUNNELS_MAX;
	esp->names.slot = esp->total_at + TUNNELS_MAX;
	memset(esp->outbound, 0xff, 3 * TUNNELS_MAX * sizeof *esp->outbound);

	struct esp_state *s = esp->state;
	*ret_resumed = s->magic == ESP_STATE_MAGIC && s->version == ESP_STATE_VERSION &&
		       s->pairs_max == pairs_max && s->bytes == esp_state_size(pairs_max) &&
		       s->pair_bytes == sizeof s->pair[0];
	if (*ret_resumed)
		state_resume(esp);
	else
		state_begin(esp, state_n);
	if (esp_workers(esp, workers, e) == RC_OK)
		return esp;
fail:
	managers_free(esp, 0);
	free(esp);
	return NULL;
}

/* Wipes this process's part. */
static void pair_forget(struct esp *esp, uint32_t i)
{
	if (esp->pair[i].keyed)
		bytes_wipe(&esp->keys[i], sizeof esp->keys[i]);
	bytes_wipe(&esp->pair[i], sizeof esp->pair[i]);
}

void esp_free(struct esp *esp)
{
	if (!esp)
		return;
	while (esp->live_n > 0)
		pair_forget(esp, esp->live[--esp->live_n]);
	memset(esp->live, 0,
		(esp->pairs_max + esp->slots_n + 3 * TUNNELS_MAX + ESP_NAMES) * sizeof *esp->live);
	managers_free(esp, 0);
	free(esp);
}

static enum rc install_check(
	const struct esp *esp, const struct sa_install *sa, uint32_t replay_window, struct err *e)
{
	if (sa->tunnel >= TUNNELS_MAX || sa->spi_in < SPI_MIN || sa->spi_out < SPI_MIN)
		return err_add(e, RC_RANGE,
			"SPI %08x or %08x, or tunnel %u, is out of range: SPIs from %d, tunnels below %d",
			sa->spi_in, sa->spi_out, sa->tunnel, SPI_MIN, TUNNELS_MAX);
	if (sa->local_n < 1 || sa->local_n > SELECTORS_MAX || sa->remote_n < 1 ||
		sa->remote_n > SELECTORS_MAX)
		return err_add(e, RC_RANGE,
			"%u local and %u remote traffic selectors: each side needs between 1 and %d",
			sa->local_n, sa->remote_n, SELECTORS_MAX);
	if (sa->resource > WORKERS_MAX)
		return err_add(e, RC_RANGE, "the SA is for worker %u: at most %d are allowed",
			sa->resource - 1u, WORKERS_MAX);
	if (sa->key_n > KEYMAT_MAX)
		return err_add(
			e, RC_RANGE, "the key has %u octets, at most %d are allowed", sa->key_n, KEYMAT_MAX);
	if (sa->local.addr.family != sa->remote.addr.family || sa->local.addr.family == ADDR_NONE)
		return err_add(e, RC_RANGE, "the endpoints must both be IPv4 or both be IPv6");
	if (replay_window < 32 || replay_window > REPLAY_WINDOW_LIMIT)
		return err_add(e, RC_RANGE, "the replay window of %u packets is out of range: 32 to %d",
			replay_window, REPLAY_WINDOW_LIMIT);
	if (esp_pair_find(esp, sa->spi_in) != ESP_PAIR_NONE)
		return err_add(e, RC_EXISTS, "an SA with the inbound SPI %08x exists already", sa->spi_in);
	return RC_OK;
}

static uint32_t pair_unused(struct esp *esp)
{
	while (esp->unused_from < esp->state->used && esp->state->pair[esp->unused_from].live)
		esp->unused_from++;
	return esp->unused_from < esp->pairs_max ? esp->unused_from : ESP_PAIR_NONE;
}

enum rc esp_install(struct esp *esp, const struct sa_install *sa, const char *tunnel_name,
	uint32_t replay_window, const struct esp_life *life, mono_ns now, struct err *e)
{
	uint32_t window = replay_window == 0 ? ESP_REPLAY_DEFAULT : replay_window, i;
	enum rc rc = install_check(esp, sa, window, e);

	if (rc != RC_OK)
		return rc;
	if ((i = pair_unused(esp)) == ESP_PAIR_NONE)
		return err_add(e, RC_LIMIT, "all %u pairs of SAs are in use", esp->pairs_max);
	struct esp_state_pair *s = &esp->state->pair[i];
	esp->state->used = MAX_OF(esp->state->used, i + 1u);
	state_wipe(esp, i);
	s->spi_in = sa->spi_in;
	s->spi_out = sa->spi_out;
	s->flags = sa->flags;
	s->encr = sa->encr;
	s->encr_bits = sa->encr_bits;
	s->key_n = sa->key_n;
	s->local_n = sa->local_n;
	s->remote_n = sa->remote_n;
	s->replay_window = window;
	s->outbound_active = !(sa->flags & CHILD_OUTBOUND_LATER);
	s->resource = sa->resource;
	s->group = sa->group;
	s->order = esp->order_next;
	s->sequence_ceiling = 1;
	s->installed = now;
	s->ends = life && life->lasts ? now + life->lasts : 0;
	s->octets_soft = life ? life->octets : 0;
	s->packets_soft = life ? life->packets : 0;
	s->local = sa->local;
	s->remote = sa->remote;
	strncpy(s->tunnel_name, tunnel_name, sizeof s->tunnel_name - 1);
	struct selector *ts = selectors_room(esp, i, sa->local_n + sa->remote_n);
	memcpy(ts, sa->local_ts, sa->local_n * sizeof *ts);
	memcpy(ts + sa->local_n, sa->remote_ts, sa->remote_n * sizeof *ts);
	struct key_room room = keys_room(esp, i, sa->key_n);
	__atomic_signal_fence(
		__ATOMIC_SEQ_CST); /* key_n stands there: whoever finds a half installed pair knows where to wipe */
	memcpy(room.in, sa->key_in, room.size);
	memcpy(room.out, sa->key_out, room.size);
	rc = pair_attach(esp, i);
	if (rc != RC_OK) {
		state_wipe(esp, i);
		return err_add(e, rc, "encryption algorithm %u with a key of %u bits is not supported",
			sa->encr, sa->encr_bits);
	}
	esp->order_next++;
	esp->pair[i].tunnel = sa->tunnel;
	if (sa->rekeys_spi_in)
		esp_total_rekeyed(esp, i);
	uint32_t rekeyed = sa->rekeys_spi_in ? esp_pair_find(esp, sa->rekeys_spi_in) : ESP_PAIR_NONE;
	bool same_owner = rekeyed != ESP_PAIR_NONE && sa->resource == 0;
	owner_set(esp, i, same_owner ? esp->pair[rekeyed].owner : owner_choose(esp, i, esp->live_n));
	__atomic_store_n(&s->live, 1, __ATOMIC_RELEASE);
	active_in(esp, i);
	return RC_OK;
}

static void pair_remove(struct esp *esp, uint32_t i)
{
	struct esp_pair *p = &esp->pair[i];
	uint32_t last = esp->live[esp->live_n - 1];

	assert(esp->live_n > 0 && esp->live[p->live_at] == i);
	active_out(esp, i);
	esp_total_keep(esp, i);
	slot_take(esp, i);
	__atomic_store_n(&p->state->live, 0, __ATOMIC_RELEASE);
	state_wipe(esp, i);
	esp->unused_from = MIN_OF(esp->unused_from, i);
	esp->live[p->live_at] = last;
	esp->pair[last].live_at = p->live_at;
	esp->live_n--;
	pair_forget(esp, i);
}

enum rc esp_remove(struct esp *esp, uint32_t spi_in)
{
	uint32_t i = esp_pair_find(esp, spi_in);

	if (i == ESP_PAIR_NONE)
		return RC_NOT_FOUND;
	pair_remove(esp, i);
	return RC_OK;
}

enum rc esp_activate(struct esp *esp, uint32_t spi_in)
{
	uint32_t i = esp_pair_find(esp, spi_in);

	if (i == ESP_PAIR_NONE)
		return RC_NOT_FOUND;
	active_out(esp, i);			       /* before its order changes */
	esp->pair[i].state->order = esp->order_next++; /* it sends, whatever else was installed after it */
	esp_pair_send(esp, i);
	return RC_OK;
}

enum rc esp_endpoint(struct esp *esp, uint32_t spi_in, const struct endpoint *remote)
{
	uint32_t i = esp_pair_find(esp, spi_in);

	if (i == ESP_PAIR_NONE)
		return RC_NOT_FOUND;
	if (remote->addr.family != esp->pair[i].state->local.addr.family)
		return RC_RANGE;
	esp->pair[i].state->remote = *remote;
	esp->pair[i].moved = false; /* the next packet says it again, if it is so */
	return RC_OK;
}

void esp_bind(struct esp *esp, const struct snap_tunnel *tunnels, uint32_t tunnels_n)
{
	names_make(&esp->names, esp->names.slot, ESP_NAMES, tunnels, sizeof *tunnels, tunnels_n);
	memset(esp->outbound, 0xff, 2 * TUNNELS_MAX * sizeof *esp->outbound); /* and outbound_own */
	for (uint32_t k = 0; k < esp->live_n; k++)
		esp->pair[esp->live[k]].next_active = ESP_PAIR_NONE;
	for (uint32_t k = esp->live_n; k-- > 0;) {
		struct esp_pair *p = &esp->pair[esp->live[k]];
		p->tunnel = names_find(&esp->names, p->state->tunnel_name);
		if (p->tunnel == INDEX_NONE)
			pair_remove(esp, esp->live[k]);
		else
			active_in(esp, esp->live[k]);
	}
	esp_totals_bind(esp);
}

uint32_t esp_pairs(const struct esp *esp)
{
	return esp->live_n;
}

uint32_t esp_pair_at(const struct esp *esp, uint32_t i)
{
	assert(i < esp->live_n);
	return esp->live[i];
}

void esp_view(const struct esp *esp, uint32_t pair, struct esp_view *ret_view)
{
	const struct esp_pair *p = &esp->pair[pair];
	const struct esp_state_pair *s = p->state;

	assert(pair < esp->pairs_max && s);
	*ret_view = (struct esp_view){
		.tunnel = p->tunnel,
		.spi_in = s->spi_in,
		.spi_out = s->spi_out,
		.flags = s->flags,
		.replay_window = s->replay_window,
		.encr = s->encr,
		.encr_bits = s->encr_bits,
		.local_n = s->local_n,
		.remote_n = s->remote_n,
		.resource = s->resource,
		.outbound_active = __atomic_load_n(&s->outbound_active, __ATOMIC_RELAXED),
		.local = &s->local,
		.remote = &s->remote,
		.local_ts = p->local_ts,
		.remote_ts = p->remote_ts,
		.installed = s->installed,
		.tunnel_name = s->tunnel_name,
	};
}

static uint32_t idle_ms(mono_ns now, mono_ns last)
{
	if (last == 0)
		return UINT32_MAX;
	uint64_t ms = now > last ? (now - last) / NS_PER_MS : 0;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

void esp_usage(const struct esp *esp, uint32_t pair, mono_ns now, struct sa_usage *ret_usage)
{
	const struct esp_pair *p = &esp->pair[pair];
	const struct esp_state_pair *s = p->state;
	/* Without ESN the last sixteenth of the numbers is the time to rekey in. */
	uint64_t low_from = s->flags & CHILD_ESN ? UINT64_MAX - (1ull << 60) : 0xf0000000u;
	bool over = p->sequence_next > esp_sequence_last(s) || esp_life_is_over(p, 0, 0, now),
	     low = (s->octets_soft != 0 && s->bytes_in + s->bytes_out >= s->octets_soft) ||
		   (s->packets_soft != 0 && s->packets_in + s->packets_out >= s->packets_soft);

	assert(s->live && p->sequence_next <= s->sequence_ceiling);
	*ret_usage = (struct sa_usage){
		.tunnel = p->tunnel,
		.spi_in = s->spi_in,
		.spi_out = s->spi_out,
		.idle_in_ms = idle_ms(now, s->last_in),
		.idle_out_ms = idle_ms(now, s->last_out),
		.flags = (s->outbound_active ? SA_OUTBOUND_ACTIVE : 0u) |
			 (p->sequence_next >= low_from ? SA_SEQUENCE_LOW : 0u) | (p->moved ? SA_MOVED : 0u) |
			 (low ? SA_LIFE_LOW : 0u) | (over ? SA_LIFE_OVER : 0u),
		.bytes_in = s->bytes_in,
		.bytes_out = s->bytes_out,
		.packets_in = s->packets_in,
		.packets_out = s->packets_out,
		.seq_out = p->sequence_next,
		.seen = p->seen,
	};
}
