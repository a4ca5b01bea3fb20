#include "ledger/seal.h"
#include "base/bytes.h"
#include "crypto/prf.h"
#include "ledger/internal.h"

#include <assert.h>
#include <stdio.h>

_Static_assert(
	SEAL_RECORD_SIZE == 4 + 8 + SHA256_SIZE + ED25519_SIGNATURE_SIZE, "index, size, root, signature");

_Static_assert(sizeof "plaingate/seal/v1\n\n4294967295\n" + 2 * SHA256_SIZE + NOTE_NAME_MAX +
			       sizeof "18446744073709551615\n\n" + BASE64_SIZE(SHA256_SIZE) <=
		       LEDGER_SEALED_TEXT_MAX,
	"every text that is sealed fits");
_Static_assert(sizeof "seal/0123456789abcdef.seals" <= SEAL_PATH_MAX, "the longer of the two paths fits");

/* Length of the text, or 0: the origin is too long. */
static size_t sealed_text(char ret_text[LEDGER_SEALED_TEXT_MAX], const struct merkle_hash *epoch_root,
	uint32_t index, const struct checkpoint *c)
{
	char hex[2 * SHA256_SIZE + 1];
	int head = snprintf(ret_text, LEDGER_SEALED_TEXT_MAX, "plaingate/seal/v1\n%s\n%u\n",
		hex_from_bytes(hex, epoch_root->b, sizeof epoch_root->b), index);
	size_t n = head > 0 ? checkpoint_text(ret_text + head, LEDGER_SEALED_TEXT_MAX - (size_t)head, c) : 0;

	return n == 0 ? 0 : (size_t)head + n;
}

struct merkle_hash seal_keys_root(const uint8_t *keys)
{
	struct merkle_edge edge = { 0 };

	for (size_t i = 0; i < SEAL_KEYS; i++) {
		struct merkle_hash leaf = merkle_leaf(keys + i * ED25519_PUBLIC_SIZE, ED25519_PUBLIC_SIZE);
		merkle_edge_add(&edge, &leaf);
	}
	return merkle_edge_root(&edge);
}

enum rc seal_epoch_begin(struct seal_epoch *ret_epoch, const uint8_t seed[SEAL_SEED_SIZE])
{
	ret_epoch->next = 0;
	for (uint32_t i = 0; i < SEAL_KEYS; i++) {
		uint8_t index[4];
		const struct prf_part parts[] = { { "plaingate/seal/key", 18 }, { index, sizeof index } };

		store_be32(index, i);
		/* Each by itself: to have one says nothing of the others. */
		if (prf_run(PRF_HMAC_SHA2_256, seed, SEAL_SEED_SIZE, parts, COUNT_OF(parts),
			    ret_epoch->seeds[i]) != RC_OK) {
			seal_epoch_end(ret_epoch);
			return RC_INTERNAL;
		}
		ed25519_public(ret_epoch->publics[i], ret_epoch->seeds[i]);
	}
	ret_epoch->root = seal_keys_root(ret_epoch->publics[0]);
	return RC_OK;
}

enum rc seal_sign(struct seal_epoch *epoch, const struct checkpoint *c, uint8_t ret_record[SEAL_RECORD_SIZE])
{
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	char text[LEDGER_SEALED_TEXT_MAX];
	uint32_t index = epoch->next;

	assert(index <= SEAL_KEYS);
	if (index >= SEAL_KEYS)
		return RC_LIMIT;
	size_t n = sealed_text(text, &epoch->root, index, c);
	if (n == 0)
		return RC_RANGE;
	ed25519_sign(signature, epoch->seeds[index], text, n);
	bytes_wipe(epoch->seeds[index], sizeof epoch->seeds[index]);
	epoch->next++;
	store_be32(ret_record, index);
	store_be64(ret_record + 4, c->size);
	memcpy(ret_record + 12, c->root.b, SHA256_SIZE);
	memcpy(ret_record + 12 + SHA256_SIZE, signature, sizeof signature);
	return RC_OK;
}

void seal_epoch_end(struct seal_epoch *epoch)
{
	bytes_wipe(epoch->seeds, sizeof epoch->seeds);
	epoch->next = SEAL_KEYS;
}

static char *path(char ret_path[SEAL_PATH_MAX], const struct merkle_hash *epoch_root, const char *ending)
{
	char hex[17];

	snprintf(ret_path, SEAL_PATH_MAX, "seal/%s.%s", hex_from_bytes(hex, epoch_root->b, 8), ending);
	return ret_path;
}

char *seal_path_keys(char ret_path[SEAL_PATH_MAX], const struct merkle_hash *epoch_root)
{
	return path(ret_path, epoch_root, "keys");
}

char *seal_path_seals(char ret_path[SEAL_PATH_MAX], const struct merkle_hash *epoch_root)
{
	return path(ret_path, epoch_root, "seals");
}

enum rc seal_next(struct rd *r, struct seal *ret_seal)
{
	if (rd_left(r) == 0)
		return RC_NOT_FOUND;
	ret_seal->index = rd_u32(r);
	ret_seal->size = rd_u64(r);
	rd_copy(r, ret_seal->root.b, sizeof ret_seal->root.b);
	ret_seal->signature = rd_take(r, ED25519_SIGNATURE_SIZE);
	return r->bad ? RC_TRUNCATED : RC_OK;
}

enum rc seal_check(const struct seal *seal, const char *origin, const struct merkle_hash *epoch_root,
	const uint8_t public_key[ED25519_PUBLIC_SIZE])
{
	struct checkpoint c = { .size = seal->size, .root = seal->root };
	char text[LEDGER_SEALED_TEXT_MAX];

	snprintf(c.origin, sizeof c.origin, "%s", origin);
	size_t n = sealed_text(text, epoch_root, seal->index, &c);
	return n > 0 && ed25519_verify(public_key, text, n, seal->signature) ? RC_OK : RC_AUTH;
}
