#include "verify/randomness.h"
#include "base/bytes.h"
#include "crypto/vrf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(PUBLIC_PROOF_SIZE <= LEDGER_HEX_MAX, "ledger_entry_hex() takes a proof");

#define SPI_MIN	    256 /* RFC 4303 2.1: those below are reserved */
#define EPOCHS_BACK 4	/* an entry that went late may belong to an epoch before */
/* Far more than an epoch should have: it goes on while the ledger is away, and strangers can begin thousands
 * of exchanges a second meanwhile. */
#define COUNTS_MAX  (1u << 22)

struct epoch {
	uint8_t key[PUBLIC_KEY_SIZE];
	uint64_t index; /* of the entry that announced it */
	bool open;
	uint64_t count; /* values that it forced, when open */
	struct vrf_key laid_open;
	uint64_t largest; /* count that was seen */
	uint64_t used_n;  /* words of: */
	uint64_t *used;	  /* a bit for each count that an entry named */
};

struct randomness {
	struct randomness_report *report;
	size_t n, room;
	struct epoch *epoch;
	struct capture *capture; /* NULL: none */
	struct leaves_check *leaves;
};

struct randomness *randomness_new(struct randomness_report *report)
{
	struct randomness *r = calloc(1, sizeof *r);

	*report = (struct randomness_report){ 0 };
	if (!r)
		return NULL;
	r->report = report;
	r->leaves = leaves_check_new();
	if (r->leaves)
		return r;
	free(r);
	return NULL;
}

void randomness_free(struct randomness *r)
{
	for (size_t i = 0; r && i < r->n; i++)
		free(r->epoch[i].used);
	if (r)
		free(r->epoch);
	if (r)
		leaves_check_free(r->leaves);
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

static struct epoch *epoch_find(const struct randomness *r, const uint8_t key[PUBLIC_KEY_SIZE])
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
		struct epoch *more = realloc(r->epoch, room * sizeof *more);
		if (!more)
			return RC_LIMIT;
		r->epoch = more;
		r->room = room;
	}
	struct epoch *e = &r->epoch[r->n++];
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
		return fail(r, index, "the key that is laid open has not its form");
	struct epoch *e = epoch_find(r, key);
	if (!e || e->open)
		return fail(r, index, "the key that is laid open was %s",
			e ? "laid open before" : "never announced");
	if (vrf_key_import(&e->laid_open, scalar) != RC_OK ||
		memcmp(e->laid_open.public_key, key, sizeof key) != 0)
		return fail(r, index, "what is laid open is not the key that was announced");
	if (count > COUNTS_MAX)
		return fail(r, index, "the epoch says that it forced %llu values, more than any epoch",
			(unsigned long long)count);
	if (count < e->largest)
		return fail(r, index, "the epoch says that it forced %llu values, but value %llu was used",
			(unsigned long long)count, (unsigned long long)e->largest);
	e->open = true;
	e->count = count;
	r->report->epochs_open++;
	r->report->values_open += count;
	return RC_OK;
}

/* Each count serves one exchange. RC_EXISTS: it has been named. */
static enum rc count_take(struct epoch *e, uint64_t count)
{
	uint64_t word = count / 64, bit = 1ull << count % 64;

	if (count >= COUNTS_MAX)
		return RC_RANGE;
	if (word >= e->used_n) {
		uint64_t n = MAX_OF(2 * e->used_n, word + 1);
		uint64_t *more = realloc(e->used, n * sizeof *more);
		if (!more)
			return RC_LIMIT;
		memset(more + e->used_n, 0, (n - e->used_n) * sizeof *more);
		e->used = more;
		e->used_n = n;
	}
	if (e->used[word] & bit)
		return RC_EXISTS;
	e->used[word] |= bit;
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
static struct epoch *epoch_of(
	struct randomness *r, const struct public_proof *p, uint8_t ret_octets[PUBLIC_SIZE])
{
	for (size_t i = r->n; i > 0 && i + EPOCHS_BACK > r->n; i--) {
		struct epoch *e = &r->epoch[i - 1];
		uint8_t alpha[PUBLIC_ALPHA_SIZE];

		public_alpha(alpha, e->key, p->count);
		if (vrf_verify(e->key, alpha, sizeof alpha, p->proof, ret_octets) == RC_OK)
			return e;
	}
	return NULL;
}

void randomness_compare(struct randomness *r, struct capture *capture)
{
	r->capture = capture;
	r->report->captured = capture->n;
	for (size_t i = 0; i < capture->n; i++)
		capture->init[i].named = false;
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
static bool nonces_forced(struct randomness *r, bool response, const uint8_t octets[PUBLIC_SIZE])
{
	struct capture_init *i;
	bool good = true;

	for (size_t from = 0;
		r->capture && (i = capture_find(r->capture, octets + PUBLIC_SPI_AT, response, &from));) {
		if (i->named)
			continue;
		i->named = true;
		r->report->nonces_compared++;
		good = good && i->nonce_n == PUBLIC_SPI_AT - PUBLIC_NONCE_AT &&
		       memcmp(i->nonce, octets + PUBLIC_NONCE_AT, i->nonce_n) == 0;
	}
	return good;
}

static enum rc exchange(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	struct public_proof p = { .count = ledger_entry_number(entry, "public_count") };
	uint8_t octets[PUBLIC_SIZE];
	uint64_t passed = 0;

	if (p.count == 0) {
		r->report->unproved++;
		return fail(r, index, "its public values have no proof");
	}
	r->report->proofs_checked++;
	if (!ledger_entry_hex(entry, "public_proof", p.proof, sizeof p.proof))
		return fail(r, index, "its proof has not its form");
	struct epoch *e = epoch_of(r, &p, octets);
	if (!e)
		return fail(r, index, "its proof does not hold under a key that was announced before");
	if (e->open && p.count > e->count)
		return fail(r, index, "value %llu of an epoch that ended with %llu",
			(unsigned long long)p.count, (unsigned long long)e->count);
	bool forced = entry->type == LEDGER_SA_INSTALL ? child_spi_forced(entry, octets, &passed)
						       : ike_spi_forced(entry, octets);
	if (!forced)
		return fail(r, index, "its SPI is not what the verifiable random function forces");
	r->report->passed_over += passed;
	if (entry->type == LEDGER_IKE_SA_UP && !nonces_forced(r, !is_initiator(entry), octets))
		return fail(r, index,
			"the nonce that went over the wire is not what the verifiable random function "
			"forces");
	enum rc rc = count_take(e, p.count);
	if (rc == RC_EXISTS)
		return fail(r, index, "value %llu served an exchange before", (unsigned long long)p.count);
	return rc == RC_RANGE ? fail(r, index, "value %llu is beyond any epoch", (unsigned long long)p.count)
			      : rc;
}

static enum rc public_entry(struct randomness *r, const struct ledger_entry *entry, uint64_t index)
{
	switch (entry->type) {
	case LEDGER_PUBLIC_EPOCH:
		return epoch_begins(r, entry, index);
	case LEDGER_PUBLIC_EPOCH_END:
		return epoch_opens(r, entry, index);
	case LEDGER_IKE_SA_UP:
	case LEDGER_IKE_SA_REKEYED:
	case LEDGER_SA_INSTALL:
		return exchange(r, entry, index);
	default:
		return RC_OK;
	}
}

/* Who leaves out values chooses among them. */
static uint64_t unnamed_of(const struct epoch *e)
{
	uint64_t forced = e->open ? e->count : e->largest;

	for (uint64_t i = 0; i < e->used_n; i++)
		forced -= (uint64_t)__builtin_popcountll(e->used[i]);
	return forced;
}

enum rc randomness_end(struct randomness *r)
{
	uint8_t octets[PUBLIC_SIZE];
	enum rc rc = RC_OK;

	leaves_check_state(r->leaves, &r->report->leaves);
	r->report->values_unnamed = 0;
	for (size_t i = 0; i < r->n; i++)
		r->report->values_unnamed += unnamed_of(&r->epoch[i]);
	for (size_t i = 0; r->capture && i < r->n; i++) {
		struct epoch *e = &r->epoch[i];
		if (!e->open)
			continue;
		for (uint64_t count = 1; count <= e->count && r->report->nonces_compared < r->capture->n;
			count++)
			if (randomness_value(r, e->key, count, octets) == RC_OK &&
				!(nonces_forced(r, false, octets) && nonces_forced(r, true, octets)))
				rc = fail(r, e->index,
					"value %llu of the key that begins here: the nonce that went over "
					"the "
					"wire is another",
					(unsigned long long)count);
	}
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
	const struct epoch *e = epoch_find(r, key);
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];

	if (!e || !e->open || count == 0 || count > e->count)
		return RC_NOT_FOUND;
	public_alpha(alpha, key, count);
	enum rc rc = vrf_prove(&e->laid_open, alpha, sizeof alpha, proof);
	return rc == RC_OK ? vrf_proof_hash(proof, ret_octets) : rc;
}
