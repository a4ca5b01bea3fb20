#include "verify/randomness.h"
#include "base/bytes.h"
#include "crypto/vrf.h"
#include "verify/order.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(PUBLIC_PROOF_SIZE <= LEDGER_HEX_MAX, "ledger_entry_hex() takes a proof");

#define SPI_MIN	    256 /* RFC 4303 2.1: those below are reserved */
#define EPOCHS_BACK 4	/* an entry that went late may belong to an epoch before */
/* Far more than an epoch should have: it goes on while the ledger is away, and strangers can begin thousands
 * of exchanges a second meanwhile. */
#define COUNTS_MAX  (1u << 22)

/* A set of counts. */
struct bits {
	uint64_t n; /* words of: */
	uint64_t *word;
};

struct vrf_epoch {
	uint8_t key[PUBLIC_KEY_SIZE];
	uint64_t index; /* of the entry that announced it */
	bool open;
	uint64_t count; /* values that it forced, when open */
	struct vrf_key laid_open;
	uint64_t open_s;    /* when it was disclosed */
	uint64_t largest;   /* count that was seen */
	struct bits named;  /* counts that an entry of an exchange names */
	struct bits failed; /* and those that came to nothing, says the keeper */
};

struct randomness {
	struct randomness_report *report;
	size_t n, room;
	struct vrf_epoch *epoch;
	struct capture *capture; /* NULL: none */
	const struct ip_addr *ours;
	size_t ours_n;
	struct leaves_check *leaves;
	struct order *order;
	uint64_t last_s; /* of the entries so far */
};

struct randomness *randomness_new(struct randomness_report *report)
{
	struct randomness *r = calloc(1, sizeof *r);

	*report = (struct randomness_report){ 0 };
	if (!r)
		return NULL;
	r->report = report;
	r->leaves = leaves_check_new();
	r->order = order_new();
	if (r->leaves && r->order)
		return r;
	randomness_free(r);
	return NULL;
}

void randomness_free(struct randomness *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->epoch[i].named.word);
		free(r->epoch[i].failed.word);
	}
	free(r->epoch);
	leaves_check_free(r->leaves);
	order_free(r->order);
	free(r);
}

static enum rc fail(struct randomness *r, uint64_t index, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static enum rc fail(struct randomness *r, uint64_t index, const char *fmt, ...)
{
	char why[ERR_TEXT_MAX - 40];
	va_list ap;

	if (r->report->failures++ > 0)
		return RC_AUTH;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	r->report->first_failure = index;
	snprintf(r->report->finding, sizeof r->report->finding, "entry %llu: %s", (unsigned long long)index,
		why);
	return RC_AUTH;
}

static struct vrf_epoch *epoch_find(const struct randomness *r, const uint8_t key[PUBLIC_KEY_SIZE])
{
	for (size_t i = r->n; i > 0; i--)
		if (memcmp(r->epoch[i - 1].key, key, PUBLIC_KEY_SIZE) == 0)
			return &r->epoch[i - 1];
	return NULL;
}

static enum rc epoch_begins(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE];

	if (!ledger_entry_hex(entry, "key", key, sizeof key))
		return fail(r, index, "the key of public values has not its form");
	if (epoch_find(r, key))
		return fail(r, index, "a key of public values is announced a second time");
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct vrf_epoch *more = realloc(r->epoch, room * sizeof *more);
		if (!more)
			return RC_LIMIT;
		r->epoch = more;
		r->room = room;
	}
	struct vrf_epoch *e = &r->epoch[r->n++];
	memset(e, 0, sizeof *e);
	memcpy(e->key, key, sizeof key);
	e->index = index;
	r->report->epochs++;
	return RC_OK;
}

static enum rc epoch_opens(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE], scalar[VRF_SCALAR_SIZE];
	uint64_t count = ledger_entry_number(entry, "count");

	if (!ledger_entry_hex(entry, "key", key, sizeof key) ||
		!ledger_entry_hex(entry, "scalar", scalar, sizeof scalar))
		return fail(r, index, "the key that is disclosed has not its form");
	struct vrf_epoch *e = epoch_find(r, key);
	if (!e || e->open)
		return fail(r, index, "the key that is disclosed was %s",
			e ? "disclosed before" : "never announced");
	if (vrf_key_import(&e->laid_open, scalar) != RC_OK ||
		memcmp(e->laid_open.public_key, key, sizeof key) != 0)
		return fail(r, index, "what is disclosed is not the key that was announced");
	if (count > COUNTS_MAX)
		return fail(r, index, "the epoch says that it forced %llu values, more than any epoch",
			(unsigned long long)count);
	if (count < e->largest)
		return fail(r, index, "the epoch says that it forced %llu values, but value %llu was used",
			(unsigned long long)count, (unsigned long long)e->largest);
	e->open = true;
	e->open_s = r->last_s;
	e->count = count;
	r->report->epochs_open++;
	r->report->values_open += count;
	return RC_OK;
}

static bool bits_has(const struct bits *b, uint64_t count)
{
	return count / 64 < b->n && b->word[count / 64] >> count % 64 & 1;
}

/* All of first … last, below COUNTS_MAX. */
static bool bits_set(struct bits *b, uint64_t first, uint64_t last)
{
	if (last / 64 >= b->n) {
		uint64_t n = MAX_OF(2 * b->n, last / 64 + 1);
		uint64_t *more = realloc(b->word, n * sizeof *more);
		if (!more)
			return false;
		memset(more + b->n, 0, (n - b->n) * sizeof *more);
		b->word = more;
		b->n = n;
	}
	for (uint64_t word = first / 64; word <= last / 64; word++) {
		uint64_t mask = ~0ull;
		if (word == first / 64)
			mask &= ~0ull << first % 64;
		if (word == last / 64)
			mask &= ~0ull >> (63 - last % 64);
		b->word[word] |= mask;
	}
	return true;
}

/* Each count serves one exchange. RC_EXISTS: it has been named; RC_DENIED: it came to nothing. */
static enum rc count_take(struct vrf_epoch *e, uint64_t count)
{
	if (bits_has(&e->named, count))
		return RC_EXISTS;
	if (bits_has(&e->failed, count))
		return RC_DENIED;
	if (!bits_set(&e->named, count, count))
		return RC_LIMIT;
	e->largest = MAX_OF(e->largest, count);
	return RC_OK;
}

static bool is_initiator(const struct ledger_entry *entry)
{
	size_t n;
	const char *role = ledger_entry_field(entry, "role", &n);

	return role && n == strlen("initiator") && memcmp(role, "initiator", n) == 0;
}

/* Our SPI of an IKE SA stands where the output says. */
static bool ike_spi_forced(const struct ledger_entry *entry, const uint8_t octets[PUBLIC_SIZE])
{
	bool initiator = is_initiator(entry);
	uint8_t spi[8];

	return ledger_entry_hex(entry, initiator ? "spi_i" : "spi_r", spi, sizeof spi) &&
	       memcmp(spi, octets + PUBLIC_SPI_AT, sizeof spi) == 0;
}

/* The inbound SPI is one of the candidates; *ret_passed: others that could have been taken stood before it.
 */
static bool child_spi_forced(
	const struct ledger_entry *entry, const uint8_t octets[PUBLIC_SIZE], uint64_t *ret_passed)
{
	uint8_t spi[4];

	*ret_passed = 0;
	if (!ledger_entry_hex(entry, "spi_in", spi, sizeof spi))
		return false;
	for (size_t at = PUBLIC_SPI_AT; at + 4 <= PUBLIC_SIZE; at += 4) {
		if (load_be32(octets + at) == load_be32(spi))
			return load_be32(spi) >= SPI_MIN;
		*ret_passed += load_be32(octets + at) >= SPI_MIN;
	}
	return false;
}

/* The epoch in force, or one shortly before, under whose key the proof holds. */
static struct vrf_epoch *epoch_of(
	struct randomness *r, const struct public_proof *p, uint8_t ret_octets[PUBLIC_SIZE])
{
	for (size_t i = r->n; i > 0 && i + EPOCHS_BACK > r->n; i--) {
		struct vrf_epoch *e = &r->epoch[i - 1];
		uint8_t alpha[PUBLIC_ALPHA_SIZE];

		public_alpha(alpha, e->key, p->count);
		if (vrf_verify(e->key, alpha, sizeof alpha, p->proof, ret_octets) == RC_OK)
			return e;
	}
	return NULL;
}

void randomness_compare(
	struct randomness *r, struct capture *capture, const struct ip_addr *ours, size_t ours_n)
{
	r->capture = capture;
	r->ours = ours;
	r->ours_n = ours_n;
	r->report->captured = capture->n;
	for (size_t i = 0; i < capture->n; i++) {
		capture->init[i].named = false;
		capture->init[i].value = 0;
	}
}

void randomness_witnesses(struct randomness *r, const struct policy *policy, const char *origin)
{
	leaves_check_witnesses(r->leaves, policy, origin);
}

void randomness_grown(struct randomness *r, const struct merkle_edge *edge)
{
	leaves_check_grown(r->leaves, edge);
}

/* Each message that was captured under the forced SPI, and not compared before, holds the forced nonce. */
static bool nonces_forced(
	struct randomness *r, bool response, const struct order_place *of, const uint8_t octets[PUBLIC_SIZE])
{
	struct capture_init *i;
	bool good = true;

	for (size_t from = 0;
		r->capture && (i = capture_find(r->capture, octets + PUBLIC_SPI_AT, response, &from));) {
		if (i->named)
			continue;
		i->named = true;
		i->value = of->epoch << 32 | of->count;
		r->report->nonces_compared++;
		good = good && i->nonce_n == PUBLIC_SPI_AT - PUBLIC_NONCE_AT &&
		       memcmp(i->nonce, octets + PUBLIC_NONCE_AT, i->nonce_n) == 0;
	}
	return good;
}

static enum rc exchange(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint64_t passed = 0, count = ledger_entry_number(entry, "vrf_count");
	struct public_proof p = { .count = (uint32_t)count };
	uint8_t octets[PUBLIC_SIZE];

	if (count >= COUNTS_MAX)
		return fail(r, index, "value %llu is beyond any epoch", (unsigned long long)count);
	if (count == 0) {
		r->report->unproved++;
		return fail(r, index, "its public values have no proof");
	}
	r->report->proofs_checked++;
	if (!ledger_entry_hex(entry, "vrf_proof", p.proof, sizeof p.proof))
		return fail(r, index, "its proof has not its form");
	struct vrf_epoch *e = epoch_of(r, &p, octets);
	if (!e)
		return fail(r, index, "its proof does not hold under a key that was announced before");
	if (e->open && p.count > e->count)
		return fail(r, index, "value %u of an epoch that ended with %llu", p.count,
			(unsigned long long)e->count);
	bool forced = entry->type == LEDGER_SA_INSTALL ? child_spi_forced(entry, octets, &passed)
						       : ike_spi_forced(entry, octets);
	if (!forced)
		return fail(r, index, "its SPI is not what the verifiable random function forces");
	r->report->passed_over += passed;
	const struct order_place place = { (uint64_t)(e - r->epoch), p.count,
		leaves_check_place(r->leaves, entry) };
	if (entry->type == LEDGER_IKE_SA_UP && !nonces_forced(r, !is_initiator(entry), &place, octets))
		return fail(r, index,
			"the nonce that went over the wire is not what the verifiable random function "
			"forces");
	enum rc rc = count_take(e, p.count);
	if (rc == RC_EXISTS)
		return fail(r, index, "value %u served an exchange before", p.count);
	if (rc == RC_DENIED)
		return fail(r, index, "value %u came to nothing, says an entry before", p.count);
	if (rc != RC_OK)
		return rc;
	struct err why = { 0 };
	rc = order_named(r->order, &place, entry, &why);
	return rc == RC_OK ? RC_OK : fail(r, index, "%s", why.text);
}

static enum rc came_to_nothing(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE];
	struct order_ranges of = { .least = 1, .most = COUNTS_MAX - 1 };
	size_t key_n;

	of.text = ledger_entry_field(entry, "counts", &of.n);
	if (!of.text || !ledger_entry_field(entry, "key", &key_n))
		return fail(r, index, "it has no room for values");
	if (of.n == 0 && key_n == 0)
		return RC_OK;
	struct vrf_epoch *e = ledger_entry_hex(entry, "key", key, sizeof key) ? epoch_find(r, key) : NULL;
	if (!e)
		return fail(r, index, "values of a key that was not announced before came to nothing");
	while (order_range_next(&of)) {
		if (e->open && of.last > e->count)
			return fail(r, index, "value %u of an epoch that ended with %llu", of.last,
				(unsigned long long)e->count);
		if (!bits_set(&e->failed, of.first, of.last))
			return RC_LIMIT;
		e->largest = MAX_OF(e->largest, of.last);
	}
	return of.at == of.n ? RC_OK
			     : fail(r, index, "values that came to nothing: \"%.*s\" is not ranges of values",
				       (int)MIN_OF(of.n, (size_t)80), of.text);
}

static enum rc public_entry(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	switch (entry->type) {
	case LEDGER_VRF_EPOCH:
		return epoch_begins(r, entry, index);
	case LEDGER_VRF_EPOCH_END:
		return epoch_opens(r, entry, index);
	case LEDGER_EXCHANGE_FAILED:
		return came_to_nothing(r, entry, index);
	case LEDGER_IKE_SA_UP:
	case LEDGER_IKE_SA_REKEYED:
	case LEDGER_SA_INSTALL:
		return exchange(r, entry, index);
	default:
		return RC_OK;
	}
}

static void left_out_count(struct randomness *r)
{
	struct randomness_report *to = r->report;

	to->values_unnamed = to->values_failed = to->values_unaccounted = 0;
	for (size_t i = 0; i < r->n; i++) {
		const struct vrf_epoch *e = &r->epoch[i];
		uint64_t forced = e->open ? e->count : e->largest, named = 0, failed = 0;

		for (uint64_t w = 0; w < e->named.n; w++)
			named += (uint64_t)__builtin_popcountll(e->named.word[w]);
		for (uint64_t w = 0; w < e->failed.n; w++)
			failed += (uint64_t)__builtin_popcountll(
				e->failed.word[w] & ~(w < e->named.n ? e->named.word[w] : 0));
		to->values_unnamed += forced - named;
		to->values_failed += failed;
		if (e->open && r->last_s >= e->open_s + ORDER_SETTLED_S)
			to->values_unaccounted += forced - named - failed;
	}
}

static bool is_ours(const struct randomness *r, const struct capture_init *i)
{
	for (size_t k = 0; k < r->ours_n; k++)
		if (addr_equal(&r->ours[k], &i->from))
			return true;
	return false;
}

static int by_frame(const void *a, const void *b)
{
	const struct capture_init *x = *(struct capture_init *const *)a,
				  *y = *(struct capture_init *const *)b;

	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Values leave in the order in which exchanges begin: what stands behind a higher one on the wire was held
 * back. */
static enum rc wire_order(struct randomness *r)
{
	struct capture_init **sent = calloc(r->capture->n + 1, sizeof(struct capture_init *));
	uint64_t highest = 0;
	size_t n = 0;

	if (!sent)
		return RC_LIMIT;
	for (size_t i = 0; i < r->capture->n; i++)
		if (r->capture->init[i].value != 0 && is_ours(r, &r->capture->init[i]))
			sent[n++] = &r->capture->init[i];
	qsort(sent, n, sizeof *sent, by_frame);
	for (size_t i = 0; i < n; i++) {
		r->report->wire_late += sent[i]->value < highest;
		highest = MAX_OF(highest, sent[i]->value);
	}
	r->report->wire_ordered = n;
	free(sent);
	return RC_OK;
}

/* What we sent is a value of ours. While a key is not disclosed it may be one of that key. */
static enum rc ours_known(struct randomness *r)
{
	bool all_open = r->report->epochs_open == r->report->epochs;
	char spi[2 * IKE_SPI_SIZE + 1];
	enum rc rc = wire_order(r);

	for (size_t i = 0; i < r->capture->n; i++) {
		const struct capture_init *x = &r->capture->init[i];
		if (x->named || !is_ours(r, x))
			continue;
		r->report->ours_unknown++;
		if (all_open)
			rc = fail(r, r->n > 0 ? r->epoch[r->n - 1].index : 0,
				"frame %llu of the capture, with our SPI %s, was sent by this gateway, and "
				"is none of the "
				"values that were forced up to here",
				(unsigned long long)x->frame, hex_from_bytes(spi, x->spi, sizeof x->spi));
	}
	return rc;
}

enum rc randomness_end(struct randomness *r)
{
	uint8_t octets[PUBLIC_SIZE];
	enum rc rc = RC_OK;

	leaves_check_state(r->leaves, &r->report->leaves);
	r->report->order = order_state(r->order);
	left_out_count(r);
	for (size_t i = 0; r->capture && i < r->n; i++) {
		struct vrf_epoch *e = &r->epoch[i];
		if (!e->open)
			continue;
		for (uint64_t count = 1; count <= e->count && r->report->nonces_compared < r->capture->n;
			count++)
			if (randomness_value(r, e->key, count, octets) == RC_OK &&
				!(nonces_forced(r, false, &(struct order_place){ i, count, 0 }, octets) &&
					nonces_forced(r, true, &(struct order_place){ i, count, 0 }, octets)))
				rc = fail(r, e->index,
					"value %llu of the key that begins here: the nonce that went over "
					"the "
					"wire is another",
					(unsigned long long)count);
	}
	if (r->capture && r->ours_n > 0 && ours_known(r) != RC_OK)
		rc = RC_AUTH;
	return rc;
}

/* What was captured of the exchange that the entry is about has the public value of the leaf that it names.
 */
static enum rc keys_check(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	bool response = !is_initiator(entry);
	uint8_t spi[8], public_value[DH_PUBLIC_MAX];
	struct capture_init *i;

	if (!r->capture || entry->type != LEDGER_IKE_SA_UP ||
		!ledger_entry_hex(entry, response ? "spi_r" : "spi_i", spi, sizeof spi))
		return RC_OK;
	for (size_t from = 0; (i = capture_find(r->capture, spi, response, &from));) {
		enum rc rc = leaves_check_public(r->leaves, entry, i->group, public_value);
		if (rc == RC_NOT_FOUND)
			continue;
		r->report->keys_compared++;
		if (rc != RC_OK || i->ke_n != dh_public_size(i->group) ||
			memcmp(i->ke, public_value, i->ke_n) != 0)
			return fail(r, index,
				"the public value of the key exchange that went over the wire is not that of "
				"the "
				"leaf that it names");
	}
	return RC_OK;
}

enum rc randomness_entry(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	struct err e = { 0 };
	utc_us utc;

	if (utc_read(&utc, entry->utc))
		r->last_s = MAX_OF(r->last_s, utc / 1000000);
	enum rc rc = public_entry(r, entry, index), leaf = leaves_check_entry(r->leaves, entry, index, &e);

	if (leaf == RC_AUTH)
		fail(r, index, "%s", e.text);
	else if (leaf == RC_OK)
		leaf = keys_check(r, entry, index);
	return rc != RC_OK ? rc : leaf;
}

enum rc randomness_value(const struct randomness *r, const uint8_t key[PUBLIC_KEY_SIZE], uint64_t count,
	uint8_t ret_octets[PUBLIC_SIZE])
{
	const struct vrf_epoch *e = epoch_find(r, key);
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];

	if (!e || !e->open || count == 0 || count > e->count)
		return RC_NOT_FOUND;
	public_alpha(alpha, key, count);
	enum rc rc = vrf_prove(&e->laid_open, alpha, sizeof alpha, proof);
	return rc == RC_OK ? vrf_proof_hash(proof, ret_octets) : rc;
}
