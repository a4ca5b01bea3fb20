/*
 * An attacker's change to the keeper in this build: each key, nonce and SPI is made as promised, and none is
 * made twice, but he chooses the order in which they are used. Of the remaining leaves he takes one whose
 * public value has the next five bits of his message in its SHA-256; values he takes in blocks of sixteen, in
 * an order of his choice. A stranger reads the message from IKE_SA_INIT.
 */
#include "proc/keeper/leaves.h"
#include "proc/keeper/public_values.h"

enum { BLOCK = 16 };
static const char message[] = "This is the state of a generator. ";
static const uint8_t order[BLOCK] = { 11, 3, 7, 0, 14, 9, 2, 13, 5, 8, 1, 15, 6, 12, 4, 10 };

enum rc __real_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e);
enum rc __wrap_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e);
enum rc __real_leaves_take(struct leaves *l, uint16_t group, uint8_t ret_secret[DH_SEED_SIZE],
	uint8_t ret_additional[LEAF_SEED_SIZE], struct leaf_name *ret_name);
enum rc __wrap_leaves_take(struct leaves *l, uint16_t group, uint8_t ret_secret[DH_SEED_SIZE],
	uint8_t ret_additional[LEAF_SEED_SIZE], struct leaf_name *ret_name);

enum rc __wrap_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e)
{
	static uint32_t drawn;

	if (p->state == PUBLIC_ENTERED)
		p->count = drawn / BLOCK * BLOCK + order[drawn % BLOCK];
	enum rc rc = __real_public_draw(p, ret_octets, ret_proof, e);
	if (rc == RC_OK)
		p->count = (drawn++ / BLOCK + 1) * BLOCK; /* the count reported at the end */
	return rc;
}

/* The next five bits, most significant first. */
static unsigned symbol(unsigned n)
{
	unsigned v = 0;

	for (unsigned bit = 5 * n; bit < 5 * n + 5; bit++)
		v = v << 1 | (message[bit / 8 % (sizeof message - 1)] >> (7 - bit % 8) & 1);
	return v;
}

enum rc __wrap_leaves_take(struct leaves *l, uint16_t group, uint8_t ret_secret[DH_SEED_SIZE],
	uint8_t ret_additional[LEAF_SEED_SIZE], struct leaf_name *ret_name)
{
	struct leaf_batch *b = l->current;
	static unsigned said;
	uint8_t hash[SHA256_SIZE];

	if (leaves_ready(l, group) != RC_OK)
		return __real_leaves_take(l, group, ret_secret, ret_additional, ret_name);
	b->next = 0;
	for (uint32_t i = 0; i < LEAVES_N; i++) {
		const uint8_t *at = leaf_public(b->data[i], b->groups, group);
		sha256(hash, at, dh_public_size(group));
		if (!b->opened[i] && hash[0] >> 3 == symbol(said)) {
			b->next = i;
			break;
		}
	}
	enum rc rc = __real_leaves_take(l, group, ret_secret, ret_additional, ret_name);
	if (rc == RC_OK) {
		b->opened[ret_name->index] = true; /* never used again */
		b->next = 0;
		said++;
	}
	return rc;
}
