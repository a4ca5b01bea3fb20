#include "crypto/leaf.h"

#include "crypto/hkdf.h"

#include <assert.h>
#include <stdio.h>

static const struct {
	uint16_t number;
	uint16_t size; /* of the public value, or of its digest */
	const char *word;
} groups_table[] = {
#define E(id, number, bytes, word) { number, (bytes) > LEAF_VALUE_MAX ? SHA256_SIZE : (bytes), word },
	DH_GROUPS(E)
#undef E
#define E(id, number, key_n, ciphertext_n, name, word) { number, SHA256_SIZE, word },
		MLKEM_SETS(E)
#undef E
};
#define E(id, number, bytes, word)		       +((bytes) > LEAF_VALUE_MAX ? SHA256_SIZE : (bytes))
#define F(id, number, key_n, ciphertext_n, name, word) +SHA256_SIZE
_Static_assert(LEAF_DATA_MAX == 2 * SHA256_SIZE DH_GROUPS(E) MLKEM_SETS(F), "data with all groups");
#undef E
#undef F
_Static_assert(LEAF_ALL_GROUPS == (1u << COUNT_OF(groups_table)) - 1, "a bit for each group");

uint32_t leaf_group_bit(uint16_t group)
{
	for (size_t i = 0; i < COUNT_OF(groups_table); i++)
		if (groups_table[i].number == group)
			return 1u << i;
	return 0;
}

uint32_t leaf_groups_available(void)
{
	uint32_t groups = LEAF_DH_GROUPS;

#define E(id, number, key_n, ciphertext_n, name, word)                                                       \
	if (mlkem_available(number))                                                                         \
		groups |= leaf_group_bit(number);
	MLKEM_SETS(E)
#undef E
	return groups;
}

const char *leaf_groups_text(char *ret_text, uint32_t groups)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(groups_table); i++)
		if (groups >> i & 1)
			n += (size_t)snprintf(ret_text + n, LEAF_GROUPS_TEXT - n, "%s%s", n > 0 ? " " : "",
				groups_table[i].word);
	return ret_text;
}

bool leaf_groups_parse(const char *text, size_t n, uint32_t *ret_groups)
{
	char made[LEAF_GROUPS_TEXT];

	/* Each set has exactly one text. */
	for (uint32_t groups = 1; groups <= LEAF_ALL_GROUPS; groups++) {
		leaf_groups_text(made, groups);
		if (strlen(made) == n && memcmp(made, text, n) == 0) {
			*ret_groups = groups;
			return true;
		}
	}
	return false;
}

void leaf_kernel_share(const uint8_t raw[LEAF_SHARE_SIZE], uint8_t ret_a[LEAF_SHARE_SIZE])
{
	static const char label[] = "plaingate/kernel-share/v1";
	const struct sha256_part parts[] = { { label, sizeof label - 1 }, { raw, LEAF_SHARE_SIZE } };

	_Static_assert(LEAF_SHARE_SIZE == SHA256_SIZE, "a share is a hash");
	sha256_parts(ret_a, parts, COUNT_OF(parts));
}

enum rc leaf_seed(
	const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint8_t ret_seed[LEAF_SEED_SIZE])
{
	static const char salt[] = "plaingate/leaf/v1";
	const struct prf_part shares[] = { { a, LEAF_SHARE_SIZE }, { b, LEAF_SHARE_SIZE } };

	return hkdf_extract(salt, sizeof salt - 1, shares, COUNT_OF(shares), ret_seed);
}

static enum rc expand(
	const uint8_t key[LEAF_SEED_SIZE], const char *label, uint16_t group, uint8_t *ret_secret, size_t n)
{
	uint8_t info[16];
	size_t label_n = strlen(label);

	assert(label_n + 2 <= sizeof info);
	memcpy(info, label, label_n);
	store_be16(info + label_n, group);
	return hkdf_expand(key, info, label_n + 2, ret_secret, n);
}

enum rc leaf_secret(const uint8_t seed[LEAF_SEED_SIZE], uint16_t group, uint8_t ret_secret[DH_SEED_SIZE])
{
	return expand(seed, "key exchange", group, ret_secret, DH_SEED_SIZE);
}

enum rc leaf_additional(const uint8_t seed[LEAF_SEED_SIZE], uint8_t ret_additional[LEAF_SEED_SIZE])
{
	static const char label[] = "additional key exchanges";

	return hkdf_expand(seed, label, sizeof label - 1, ret_additional, LEAF_SEED_SIZE);
}

enum rc leaf_key_pair(
	const uint8_t additional[LEAF_SEED_SIZE], uint16_t set, uint8_t ret_seed[MLKEM_SEED_SIZE])
{
	return expand(additional, "key exchange", set, ret_seed, MLKEM_SEED_SIZE);
}

enum rc leaf_encapsulation(
	const uint8_t additional[LEAF_SEED_SIZE], uint16_t set, uint8_t ret_random[MLKEM_RANDOM_SIZE])
{
	return expand(additional, "encapsulation", set, ret_random, MLKEM_RANDOM_SIZE);
}

size_t leaf_data_size(uint32_t groups)
{
	size_t n = 2 * SHA256_SIZE;

	for (size_t i = 0; i < COUNT_OF(groups_table); i++)
		n += groups >> i & 1 ? groups_table[i].size : 0u;
	return n;
}

static enum rc dh_value(const uint8_t seed[LEAF_SEED_SIZE], uint16_t group, uint8_t *ret_value)
{
	uint8_t secret[DH_SEED_SIZE], value[DH_PUBLIC_MAX];
	size_t n = dh_public_size(group);
	struct dh_secret dh;
	enum rc rc = leaf_secret(seed, group, secret);

	if (rc == RC_OK)
		rc = dh_generate(&dh, value, group, secret);
	if (rc == RC_OK) {
		dh_done(&dh);
		if (n > LEAF_VALUE_MAX)
			sha256(ret_value, value, n);
		else
			memcpy(ret_value, value, n);
	}
	bytes_wipe(secret, sizeof secret);
	return rc;
}

static enum rc mlkem_value(const uint8_t seed[LEAF_SEED_SIZE], uint16_t set, uint8_t *ret_value)
{
	uint8_t additional[LEAF_SEED_SIZE], pair[MLKEM_SEED_SIZE], key[MLKEM_KEY_MAX];
	struct mlkem_secret secret;
	enum rc rc = leaf_additional(seed, additional);

	if (rc == RC_OK)
		rc = leaf_key_pair(additional, set, pair);
	if (rc == RC_OK)
		rc = mlkem_generate(&secret, key, set, pair, NULL);
	if (rc == RC_OK) {
		mlkem_done(&secret);
		sha256(ret_value, key, mlkem_key_size(set));
	}
	bytes_wipe(additional, sizeof additional);
	bytes_wipe(pair, sizeof pair);
	return rc;
}

enum rc leaf_data(const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint32_t groups,
	uint8_t ret_data[LEAF_DATA_MAX])
{
	uint8_t seed[LEAF_SEED_SIZE], *at = ret_data + 2 * SHA256_SIZE;
	enum rc rc = leaf_seed(a, b, seed);

	assert((groups & ~LEAF_ALL_GROUPS) == 0 && leaf_data_size(groups) <= LEAF_DATA_MAX);
	sha256(ret_data, a, LEAF_SHARE_SIZE);
	sha256(ret_data + SHA256_SIZE, b, LEAF_SHARE_SIZE);
	for (size_t i = 0; i < COUNT_OF(groups_table) && rc == RC_OK; i++) {
		if (!(groups >> i & 1))
			continue;
		rc = mlkem_key_size(groups_table[i].number) > 0
			     ? mlkem_value(seed, groups_table[i].number, at)
			     : dh_value(seed, groups_table[i].number, at);
		at += groups_table[i].size;
	}
	bytes_wipe(seed, sizeof seed);
	return rc;
}

const uint8_t *leaf_public(const uint8_t *data, uint32_t groups, uint16_t group)
{
	const uint8_t *at = data + 2 * SHA256_SIZE;

	for (size_t i = 0; i < COUNT_OF(groups_table); i++) {
		if (!(groups >> i & 1))
			continue;
		if (groups_table[i].number == group)
			return at;
		at += groups_table[i].size;
	}
	return NULL;
}

bool leaf_has_public(const uint8_t *data, uint32_t groups, uint16_t group, const void *value, size_t value_n)
{
	const uint8_t *there = leaf_public(data, groups, group);
	uint8_t digest[SHA256_SIZE];

	if (!there || value_n == 0 || value_n != dh_public_size(group))
		return false;
	if (value_n <= LEAF_VALUE_MAX)
		return memcmp(there, value, value_n) == 0;
	sha256(digest, value, value_n);
	return memcmp(there, digest, sizeof digest) == 0;
}

/* The stream of numbers that the challenge is derived from. */
struct stream {
	const uint8_t *root;
	const void *later;
	size_t later_n;
	uint32_t block;
	size_t used; /* octets of `octets` */
	uint8_t octets[SHA256_SIZE];
};

static uint32_t stream_next(struct stream *s)
{
	static const char label[] = "plaingate/leaf-challenge/v1";
	uint8_t length[4], counter[4];

	if (s->used == sizeof s->octets) {
		store_be32(length, (uint32_t)s->later_n);
		store_be32(counter, s->block++);
		const struct sha256_part parts[] = { { label, sizeof label - 1 }, { s->root, SHA256_SIZE },
			{ length, sizeof length }, { s->later, s->later_n }, { counter, sizeof counter } };
		sha256_parts(s->octets, parts, COUNT_OF(parts));
		s->used = 0;
	}
	s->used += 4;
	return load_be32(s->octets + s->used - 4);
}

/* A number below `limit`, each with the same probability. */
static uint32_t stream_below(struct stream *s, uint32_t limit)
{
	uint64_t even = (1ull << 32) / limit * limit;
	uint32_t number;

	do
		number = stream_next(s);
	while (number >= even);
	return number % limit;
}

void leaf_challenge(const uint8_t root[SHA256_SIZE], const void *later, size_t later_n, uint32_t n,
	uint32_t k, uint32_t *ret_indices)
{
	struct stream s = { .root = root, .later = later, .later_n = later_n, .used = SHA256_SIZE };
	uint32_t places[LEAF_COUNT_MAX];

	assert(k > 0 && k <= n && n <= LEAF_COUNT_MAX);
	for (uint32_t i = 0; i < n; i++)
		places[i] = i;
	for (uint32_t i = 0; i < k; i++) {
		uint32_t at = i + stream_below(&s, n - i);

		ret_indices[i] = places[at];
		places[at] = places[i];
	}
}
