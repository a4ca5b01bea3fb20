#include "verify/randomness.h"
#include "base/bytes.h"
#include "crypto/vrf.h"
#include "verify/limits.h"
#include "verify/order.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(PUBLIC_PROOF_SIZE <= LEDGER_HEX_MAX, "ledger_entry_hex() takes a proof");
_Static_assert(
	PUBLIC_SPI_AT - PUBLIC_NONCE_AT <= IKE_NONCE_MAX, "a captured nonce has room for a derived one");

/* A set of counts. */
struct bits {
	uint64_t n; /* words of: */
	uint64_t *word;
};

struct vrf_epoch {
	uint8_t key[PUBLIC_KEY_SIZE];
	uint64_t index; /* of the entry that announced it */
	bool disclosed;
	uint64_t count; /* values derived with it, when disclosed */
	struct vrf_key disclosed_key;
	uint64_t disclosed_s;
	uint64_t largest;   /* count that was seen */
	struct bits named;  /* counts that an entry of an exchange names */
	struct bits failed; /* and those of failed exchanges, according to the keeper */
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

static enum rc report_failure(struct randomness *r, uint64_t index, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static enum rc report_failure(struct randomness *r, uint64_t index, const char *fmt, ...)
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

static enum rc epoch_announced(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE];

	if (!ledger_entry_hex(entry, "key", key, sizeof key))
		return report_failure(r, index, "malformed key of public values: expected 32 octets in hex");
	if (epoch_find(r, key))
		return report_failure(r, index, "a key of public values is announced a second time");
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

static enum rc epoch_disclosed(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE], scalar[VRF_SCALAR_SIZE];
	uint64_t count = ledger_entry_number(entry, "count");

	if (!ledger_entry_hex(entry, "key", key, sizeof key) ||
		!ledger_entry_hex(entry, "scalar", scalar, sizeof scalar))
		return report_failure(
			r, index, "malformed disclosed key: expected key and scalar, 32 octets each in hex");
	struct vrf_epoch *e = epoch_find(r, key);
	if (!e || e->disclosed)
		return report_failure(
			r, index, "the disclosed key was %s", e ? "disclosed before" : "never announced");
	if (vrf_key_import(&e->disclosed_key, scalar) != RC_OK ||
		memcmp(e->disclosed_key.public_key, key, sizeof key) != 0)
		return report_failure(r, index, "the disclosed scalar does not match the announced key");
	if (count > VERIFY_COUNTS_MAX)
		return report_failure(r, index,
			"the epoch claims to have derived %llu values, more than is possible",
			(unsigned long long)count);
	if (count < e->largest)
		return report_failure(r, index,
			"the epoch claims to have derived %llu values, but value %llu was used",
			(unsigned long long)count, (unsigned long long)e->largest);
	e->disclosed = true;
	e->disclosed_s = r->last_s;
	e->count = count;
	r->report->epochs_disclosed++;
	r->report->values_disclosed += count;
	return RC_OK;
}

static bool bits_has(const struct bits *b, uint64_t count)
{
	return count / 64 < b->n && b->word[count / 64] >> count % 64 & 1;
}

/* All of first … last, below VERIFY_COUNTS_MAX. */
static bool bits_set(struct bits *b, uint64_t first, uint64_t last)
{
	assert(first <= last && last < VERIFY_COUNTS_MAX);
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

/* Each count is used by one exchange. RC_EXISTS: it was named; RC_DENIED: its exchange failed. */
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

/* Is our SPI of an IKE SA the one in the output? */
static bool ike_spi_derived(const struct ledger_entry *entry, const uint8_t octets[PUBLIC_SIZE])
{
	bool initiator = is_initiator(entry);
	uint8_t spi[8];

	return ledger_entry_hex(entry, initiator ? "spi_i" : "spi_r", spi, sizeof spi) &&
	       memcmp(spi, octets + PUBLIC_SPI_AT, sizeof spi) == 0;
}

/* Is the inbound SPI one of the candidates? *ret_skipped: candidates before it that could have been taken. */
static bool child_spi_derived(
	const struct ledger_entry *entry, const uint8_t octets[PUBLIC_SIZE], uint64_t *ret_skipped)
{
	uint8_t spi[4];

	*ret_skipped = 0;
	if (!ledger_entry_hex(entry, "spi_in", spi, sizeof spi))
		return false;
	for (size_t at = PUBLIC_SPI_AT; at + 4 <= PUBLIC_SIZE; at += 4) {
		if (load_be32(octets + at) == load_be32(spi))
			return load_be32(spi) >= VERIFY_SPI_MIN;
		*ret_skipped += load_be32(octets + at) >= VERIFY_SPI_MIN;
	}
	return false;
}

/* The current epoch, or one shortly before, with whose key the proof verifies. */
static struct vrf_epoch *epoch_of(
	struct randomness *r, const struct public_proof *p, uint8_t ret_octets[PUBLIC_SIZE])
{
	for (size_t i = r->n; i > 0 && i + VERIFY_EPOCHS_BACK > r->n; i--) {
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
	r->report->messages_captured = capture->n;
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

/* Does each message that was captured with the derived SPI, and not compared before, have the derived
 * nonce? */
static bool nonces_derived(
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
	uint64_t skipped = 0, count = ledger_entry_number(entry, "vrf_count");
	struct public_proof p = { .count = (uint32_t)count };
	uint8_t octets[PUBLIC_SIZE];

	if (count >= VERIFY_COUNTS_MAX)
		return report_failure(r, index, "value %llu is out of range: no epoch has as many",
			(unsigned long long)count);
	if (count == 0) {
		r->report->entries_unproved++;
		return report_failure(r, index, "its public values have no proof");
	}
	r->report->proofs_checked++;
	if (!ledger_entry_hex(entry, "vrf_proof", p.proof, sizeof p.proof))
		return report_failure(r, index, "malformed proof: expected 80 octets in hex");
	struct vrf_epoch *e = epoch_of(r, &p, octets);
	if (!e)
		return report_failure(r, index, "its proof does not verify with a recently announced key");
	if (e->disclosed && p.count > e->count)
		return report_failure(r, index, "value %u is out of range: its epoch ended with value %llu",
			p.count, (unsigned long long)e->count);
	bool derived = entry->type == LEDGER_SA_INSTALL ? child_spi_derived(entry, octets, &skipped)
							: ike_spi_derived(entry, octets);
	if (!derived)
		return report_failure(
			r, index, "its SPI is not derived from the output of the verifiable random function");
	r->report->spi_candidates_skipped += skipped;
	const struct order_place place = { (uint64_t)(e - r->epoch), p.count,
		leaves_check_place(r->leaves, entry) };
	if (entry->type == LEDGER_IKE_SA_UP && !nonces_derived(r, !is_initiator(entry), &place, octets))
		return report_failure(r, index,
			"the nonce in the capture is not derived from the output of the verifiable random "
			"function");
	enum rc rc = count_take(e, p.count);
	if (rc == RC_EXISTS)
		return report_failure(r, index, "value %u was used by an earlier exchange", p.count);
	if (rc == RC_DENIED)
		return report_failure(r, index,
			"value %u was used by an exchange that failed, by an earlier entry", p.count);
	if (rc != RC_OK)
		return rc;
	struct err why = { 0 };
	rc = order_named(r->order, &place, entry, &why);
	return rc == RC_OK ? RC_OK : report_failure(r, index, "%s", why.text);
}

static enum rc exchange_failed(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	uint8_t key[PUBLIC_KEY_SIZE];
	struct order_ranges of = { .least = 1, .most = VERIFY_COUNTS_MAX - 1 };
	size_t key_n;

	of.text = ledger_entry_field(entry, "counts", &of.n);
	if (!of.text || !ledger_entry_field(entry, "key", &key_n))
		return report_failure(r, index, "the fields key and counts are missing");
	if (of.n == 0 && key_n == 0)
		return RC_OK;
	struct vrf_epoch *e = ledger_entry_hex(entry, "key", key, sizeof key) ? epoch_find(r, key) : NULL;
	if (!e)
		return report_failure(
			r, index, "values are reported as failed of a key that was not announced before");
	while (order_range_next(&of)) {
		if (e->disclosed && of.last > e->count)
			return report_failure(r, index,
				"value %u is out of range: its epoch ended with value %llu", of.last,
				(unsigned long long)e->count);
		if (!bits_set(&e->failed, of.first, of.last))
			return RC_LIMIT;
		e->largest = MAX_OF(e->largest, of.last);
	}
	return of.at == of.n
		       ? RC_OK
		       : report_failure(r, index,
				 "malformed counts \"%.*s\": expected numbers and ranges in rising order",
				 (int)MIN_OF(of.n, (size_t)80), of.text);
}

static enum rc public_entry(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	switch (entry->type) {
	case LEDGER_VRF_EPOCH:
		return epoch_announced(r, entry, index);
	case LEDGER_VRF_EPOCH_END:
		return epoch_disclosed(r, entry, index);
	case LEDGER_EXCHANGE_FAILED:
		return exchange_failed(r, entry, index);
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
		uint64_t derived = e->disclosed ? e->count : e->largest, named = 0, failed = 0;

		for (uint64_t w = 0; w < e->named.n; w++)
			named += (uint64_t)__builtin_popcountll(e->named.word[w]);
		for (uint64_t w = 0; w < e->failed.n; w++)
			failed += (uint64_t)__builtin_popcountll(
				e->failed.word[w] & ~(w < e->named.n ? e->named.word[w] : 0));
		to->values_unnamed += derived - named;
		to->values_failed += failed;
		if (e->disclosed && r->last_s >= e->disclosed_s + ORDER_SETTLED_S)
			to->values_unaccounted += derived - named - failed;
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

/* Values are sent in the order in which exchanges begin: one that follows a higher one was held back. */
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

/* What we sent must be a value of ours. While a key is not disclosed it may be one of that key. */
static enum rc ours_known(struct randomness *r)
{
	bool all_disclosed = r->report->epochs_disclosed == r->report->epochs;
	char spi[2 * IKE_SPI_SIZE + 1];
	enum rc rc = wire_order(r);

	for (size_t i = 0; i < r->capture->n; i++) {
		const struct capture_init *x = &r->capture->init[i];
		if (x->named || !is_ours(r, x))
			continue;
		r->report->ours_unknown++;
		if (all_disclosed)
			rc = report_failure(r, r->n > 0 ? r->epoch[r->n - 1].index : 0,
				"frame %llu of the capture, with SPI %s, was sent by this gateway, but is "
				"not derived with any key up to here",
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
		if (!e->disclosed)
			continue;
		for (uint64_t count = 1; count <= e->count && r->report->nonces_compared < r->capture->n;
			count++)
			if (randomness_value(r, e->key, count, octets) == RC_OK &&
				!(nonces_derived(r, false, &(struct order_place){ i, count, 0 }, octets) &&
					nonces_derived(
						r, true, &(struct order_place){ i, count, 0 }, octets)))
				rc = report_failure(r, e->index,
					"value %llu of the key that is announced here: the nonce in the "
					"capture differs",
					(unsigned long long)count);
	}
	if (r->capture && r->ours_n > 0 && ours_known(r) != RC_OK)
		rc = RC_AUTH;
	return rc;
}

/* Does what was captured of the entry's exchange have the public value of the leaf that it names? */
static enum rc keys_check(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	bool response = !is_initiator(entry);
	uint8_t spi[8];
	struct capture_init *i;

	if (!r->capture || entry->type != LEDGER_IKE_SA_UP ||
		!ledger_entry_hex(entry, response ? "spi_r" : "spi_i", spi, sizeof spi))
		return RC_OK;
	for (size_t from = 0; (i = capture_find(r->capture, spi, response, &from));) {
		enum rc rc = leaves_check_public(r->leaves, entry, i->group, i->ke, i->ke_n);
		if (rc == RC_NOT_FOUND)
			continue;
		r->report->keys_compared++;
		if (rc != RC_OK)
			return report_failure(r, index,
				"the public value of the key exchange in the capture is not that of the leaf "
				"that it names");
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
		report_failure(r, index, "%s", e.text);
	else if (leaf == RC_OK)
		leaf = keys_check(r, entry, index);
	return rc != RC_OK ? rc : leaf;
}

enum rc randomness_value(const struct randomness *r, const uint8_t key[PUBLIC_KEY_SIZE], uint64_t count,
	uint8_t ret_octets[PUBLIC_SIZE])
{
	const struct vrf_epoch *e = epoch_find(r, key);
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];

	if (!e || !e->disclosed || count == 0 || count > e->count)
		return RC_NOT_FOUND;
	public_alpha(alpha, key, count);
	enum rc rc = vrf_prove(&e->disclosed_key, alpha, sizeof alpha, proof);
	return rc == RC_OK ? vrf_proof_hash(proof, ret_octets) : rc;
}
