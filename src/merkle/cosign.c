#include "merkle/cosign.h"
#include "base/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX "PRIVATE+KEY+"
#define TIME_SIZE     8u

/* The signed message; ret_message holds MESSAGE_MAX. Returns its length, 0: does not fit. */
#define MESSAGE_MAX (NOTE_BYTES_MAX + 64)
_Static_assert(sizeof "cosignature/v1\ntime 9223372036854775807\n" <= 64, "the head of the message fits");

static size_t message_make(char *ret_message, const char *text, size_t text_n, uint64_t time_s)
{
	if (text_n > NOTE_BYTES_MAX || time_s > COSIGN_TIME_MAX)
		return 0;
	int n = snprintf(ret_message, MESSAGE_MAX, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
	assert(n > 0 && (size_t)n + text_n <= MESSAGE_MAX);
	memcpy(ret_message + n, text, text_n);
	return (size_t)n + text_n;
}

size_t cosign_line(char *ret_line, size_t max, const char *text, size_t text_n, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE], uint64_t time_s)
{
	char message[MESSAGE_MAX];
	uint8_t blob[4 + TIME_SIZE + ED25519_SIGNATURE_SIZE];
	char b64[BASE64_SIZE(sizeof blob)];
	size_t message_n = message_make(message, text, text_n, time_s);

	if (message_n == 0 || key->type != NOTE_COSIGNATURE_ED25519)
		return 0;
	memcpy(blob, key->id, 4);
	store_be64(blob + 4, time_s);
	ed25519_sign(blob + 4 + TIME_SIZE, seed, message, message_n);
	base64_from_bytes(b64, blob, sizeof blob);
	int n = snprintf(ret_line, max, NOTE_DASH "%s %s\n", key->name, b64);
	return n > 0 && (size_t)n < max ? (size_t)n : 0;
}

enum rc cosign_verify(const struct note *n, const struct note_key *key, uint64_t *ret_time_s, struct err *e)
{
	char message[MESSAGE_MAX];
	uint64_t latest = 0;
	bool found = false;

	if (ret_time_s)
		*ret_time_s = 0;
	for (size_t i = 0; i < n->signatures_n; i++) {
		const struct note_signature *s = &n->signature[i];
		if (s->name_n != strlen(key->name) || memcmp(s->name, key->name, s->name_n) != 0 ||
			memcmp(s->id, key->id, 4) != 0)
			continue;
		if (key->type != NOTE_COSIGNATURE_ED25519 || s->bytes_n != TIME_SIZE + ED25519_SIGNATURE_SIZE)
			return err_add(e, RC_AUTH,
				"malformed cosignature of '%s': expected a time and an Ed25519 signature",
				key->name);
		uint64_t time_s = load_be64(s->bytes);
		size_t message_n = message_make(message, n->text, n->text_n, time_s);
		if (message_n == 0 ||
			!ed25519_verify(key->public_key, message, message_n, s->bytes + TIME_SIZE))
			return err_add(e, RC_AUTH, "the cosignature of '%s' does not verify", key->name);
		latest = MAX_OF(latest, time_s);
		found = true;
	}
	if (!found)
		return err_add(e, RC_NOT_FOUND, "the note has no cosignature of '%s'", key->name);
	if (ret_time_s)
		*ret_time_s = latest;
	return RC_OK;
}

_Static_assert(
	sizeof SECRET_PREFIX - 1 + NOTE_NAME_MAX - 1 + 1 + 8 + 1 + BASE64_SIZE(1 + ED25519_SEED_SIZE) <=
		COSIGN_SECRET_SIZE,
	"a private key fits");

static enum rc key_of_seed(struct note_key *ret_key, const char *name, const uint8_t seed[ED25519_SEED_SIZE])
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];

	ed25519_public(public_key, seed);
	return note_key_make(ret_key, name, NOTE_COSIGNATURE_ED25519, public_key);
}

enum rc cosign_secret_parse(struct note_key *ret_key, uint8_t ret_seed[ED25519_SEED_SIZE], const char *text,
	size_t n, struct err *e)
{
	static const char form[] = "expected " SECRET_PREFIX "name+8 hex digits+base64 of type 04 and a seed";
	char name[NOTE_NAME_MAX], id[9], canonical_id[9];
	uint8_t blob[1 + ED25519_SEED_SIZE];
	size_t prefix_n = strlen(SECRET_PREFIX), blob_n = 0;
	struct note_key k;
	enum rc rc;

	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n < prefix_n || memcmp(text, SECRET_PREFIX, prefix_n) != 0)
		return err_add(e, RC_MALFORMED, "malformed witness key: %s", form);
	const char *at = text + prefix_n, *end = text + n;
	const char *first = memchr(at, '+', (size_t)(end - at));
	const char *second = first ? memchr(first + 1, '+', (size_t)(end - first - 1)) : NULL;
	if (!second || second - first != 9 || (size_t)(first - at) >= sizeof name)
		return err_add(e, RC_MALFORMED, "malformed witness key: %s", form);
	memcpy(name, at, (size_t)(first - at));
	name[first - at] = '\0';
	memcpy(id, first + 1, 8);
	id[8] = '\0';
	if (strlen(name) != (size_t)(first - at) ||
		!base64_to_bytes(blob, sizeof blob, &blob_n, second + 1, (size_t)(end - second - 1)) ||
		blob_n != sizeof blob || blob[0] != NOTE_COSIGNATURE_ED25519)
		rc = err_add(e, RC_MALFORMED, "malformed witness key: %s", form);
	else if ((rc = key_of_seed(&k, name, blob + 1)) != RC_OK)
		err_add(e, rc, "malformed witness key: expected a name without white space and '+'");
	else if (strcmp(hex_from_bytes(canonical_id, k.id, 4), id) != 0)
		rc = err_add(e, RC_MALFORMED,
			"malformed witness key of '%s': the key id does not belong to the key", name);
	if (rc == RC_OK) {
		*ret_key = k;
		memcpy(ret_seed, blob + 1, ED25519_SEED_SIZE);
	}
	bytes_wipe(blob, sizeof blob);
	return rc;
}

enum rc cosign_secret_text(char *ret_text, const char *name, const uint8_t seed[ED25519_SEED_SIZE])
{
	uint8_t blob[1 + ED25519_SEED_SIZE];
	char id[9], b64[BASE64_SIZE(sizeof blob)];
	struct note_key k;
	enum rc rc = key_of_seed(&k, name, seed);

	ret_text[0] = '\0';
	if (rc != RC_OK)
		return rc;
	blob[0] = NOTE_COSIGNATURE_ED25519;
	memcpy(blob + 1, seed, ED25519_SEED_SIZE);
	base64_from_bytes(b64, blob, sizeof blob);
	snprintf(ret_text, COSIGN_SECRET_SIZE, SECRET_PREFIX "%s+%s+%s", k.name, hex_from_bytes(id, k.id, 4),
		b64);
	bytes_wipe(blob, sizeof blob);
	bytes_wipe(b64, sizeof b64);
	return RC_OK;
}
