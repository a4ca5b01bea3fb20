/*
 * Requests of a log that lies. The first octet chooses:
 *   0: the rest is a body as it is
 *   1: the rest is a list of requests, eight octets each: the log's owner, who holds its key, asks for trees
 * of two histories, with any old size, proofs of any other pair, hashes changed, octets of the body changed
 * Whatever was asked: the trees that were cosigned for a log are each a continuation of the one before, their
 * times do not go back, and what is kept is what was cosigned last.
 */
#include "witness_fixture.h"

#include <assert.h>

static struct fixture f;
static char body[WITNESS_BODY_MAX + 64];

/* Which of the two histories have this tree; bits. */
static unsigned histories_of(const struct witness_head *h)
{
	unsigned mask = 0;

	for (unsigned history = 0; history < 2; history++) {
		struct merkle_hash root;
		if (h->size > FIXTURE_LEAVES)
			continue;
		root = fixture_root(&f, history, h->size);
		mask |= (unsigned)merkle_equal(&root, &h->root) << history;
	}
	return mask;
}

static void one(size_t n, uint64_t now_s)
{
	struct witness_answer a;
	const struct kept *k = fixture_kept(&f, FIXTURE_ORIGIN);
	struct witness_head before = k ? k->head : (struct witness_head){ .root = merkle_empty() };
	unsigned puts = f.puts;

	witness_add_checkpoint(&f.witness, body, n, now_s, &a);
	assert(a.body_n > 0 && a.body_n < sizeof a.body && a.content_type);
	assert(f.puts == puts + (a.status == WITNESS_COSIGNED));
	k = fixture_kept(&f, FIXTURE_ORIGIN);
	if (a.status != WITNESS_COSIGNED || !k)
		return;
	struct checkpoint c;
	uint64_t time_s;
	enum rc rc = witness_seen_parse(&c, &time_s, &f.log[0], &f.witness.key, k->note, k->note_n, NULL);
	assert(rc == RC_OK || rc == RC_NOT_FOUND); /* NOT_FOUND: signed by the other trusted key alone */
	assert(k->head.size >= before.size && k->head.time_s >= before.time_s);
	assert(rc != RC_OK ||
		(c.size == k->head.size && merkle_equal(&c.root, &k->head.root) && time_s == k->head.time_s));
	/* One history holds both trees. */
	assert(histories_of(&before) & histories_of(&k->head));
}

static void list(const uint8_t *data, size_t n)
{
	for (; n >= 8; data += 8, n -= 8) {
		unsigned history = data[0] & 1, key = data[0] >> 1 & 1;
		uint64_t size = data[1] % (FIXTURE_LEAVES + 1), old = data[2] % (FIXTURE_LEAVES + 2);
		uint64_t proof_old = data[0] & 4 ? data[3] % (FIXTURE_LEAVES + 1) : old;
		const struct kept *k = fixture_kept(&f, FIXTURE_ORIGIN);
		char note[1024];

		if (data[0] & 8) /* the true old size, so that the checks behind it are reached */
			proof_old = old = k ? k->head.size : 0;
		struct merkle_hash root = fixture_root(&f, data[0] & 16 ? !history : history, size);
		struct merkle_proof p = fixture_proof(&f, history, proof_old, size);
		if (data[0] & 32 && p.n > 0)
			p.hash[data[4] % p.n].b[data[5] % SHA256_SIZE] ^= data[6];
		size_t note_n = fixture_note(&f, note, sizeof note, key, NULL, size, &root);
		size_t body_n = witness_request_text(body, sizeof body, old, &p, note, note_n);
		if (data[0] & 64)
			body[(data[4] << 8 | data[5]) % body_n] ^= (char)data[6];
		one(body_n, data[7]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (f.log[0].type == 0)
		fixture_init(&f);
	f.kept_n = f.puts = 0;
	if (n < 1 || n > sizeof body)
		return 0;
	if (data[0] & 1) {
		list(data + 1, MIN_OF(n - 1, 200u));
	} else {
		memcpy(body, data + 1, n - 1);
		one(n - 1, 1000);
	}
	return 0;
}
