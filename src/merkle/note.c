#include "merkle/note.h"
#include "base/bytes.h"
#include "merkle/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool name_good(const char *name, size_t n)
{
	if (n == 0 || n >= NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == '+' || name[i] == 0x7f)
			return false;
	return true;
}

enum rc note_key_make(struct note_key *ret_key, const char *name, enum note_key_type type,
	const uint8_t public_key[ED25519_PUBLIC_SIZE])
{
	uint8_t hash[SHA256_SIZE], t = (uint8_t)type;
	struct note_key k = { .type = t };

	if (!name_good(name, strlen(name)))
		return RC_MALFORMED;
	memcpy(k.name, name, strlen(name) + 1);
	memcpy(k.public_key, public_key, sizeof k.public_key);
	sha256_parts(hash,
		(const struct sha256_part[]){
			{ name, strlen(name) }, { "\n", 1 }, { &t, 1 }, { public_key, ED25519_PUBLIC_SIZE } },
		4);
	memcpy(k.id, hash, 4);
	*ret_key = k;
	return RC_OK;
}

enum rc note_key_parse(struct note_key *ret_key, const char *text, size_t n, struct err *e)
{
	const char *first = memchr(text, '+', n);
	const char *second = first ? memchr(first + 1, '+', n - (size_t)(first + 1 - text)) : NULL;
	char name[NOTE_NAME_MAX], id[9];
	uint8_t blob[1 + ED25519_PUBLIC_SIZE], id_bytes[4];
	size_t blob_n;

	if (!second || !name_good(text, (size_t)(first - text)) || second - first != 9)
		return err_add(e, RC_MALFORMED, "malformed verifier key: expected name+8 hex digits+base64");
	memcpy(name, text, (size_t)(first - text));
	name[first - text] = '\0';
	memcpy(id, first + 1, 8);
	id[8] = '\0';
	if (!hex_to_bytes(id_bytes, 4, id) ||
		!base64_to_bytes(blob, sizeof blob, &blob_n, second + 1, n - (size_t)(second + 1 - text)) ||
		blob_n != sizeof blob || (blob[0] != NOTE_ED25519 && blob[0] != NOTE_COSIGNATURE_ED25519))
		return err_add(e, RC_MALFORMED,
			"malformed verifier key of '%s': expected base64 of 33 octets, type 1 or 4", name);
	struct note_key k;
	char canonical_id[9];
	enum rc rc = note_key_make(&k, name, (enum note_key_type)blob[0], blob + 1);
	if (rc != RC_OK || memcmp(k.id, id_bytes, 4) != 0 ||
		strcmp(hex_from_bytes(canonical_id, k.id, 4), id) != 0)
		return err_add(e, RC_MALFORMED,
			"malformed verifier key of '%s': the key id does not belong to the key", name);
	*ret_key = k;
	return RC_OK;
}

_Static_assert(
	NOTE_VKEY_MAX >= NOTE_NAME_MAX + 1 + 8 + 1 + BASE64_SIZE(1 + ED25519_PUBLIC_SIZE), "a key fits");

char *note_key_text(char *ret_text, const struct note_key *k)
{
	uint8_t blob[1 + ED25519_PUBLIC_SIZE];
	char id[9], b64[BASE64_SIZE(sizeof blob)];

	blob[0] = k->type;
	memcpy(blob + 1, k->public_key, ED25519_PUBLIC_SIZE);
	base64_from_bytes(b64, blob, sizeof blob);
	snprintf(ret_text, NOTE_VKEY_MAX, "%s+%s+%s", k->name, hex_from_bytes(id, k->id, 4), b64);
	return ret_text;
}

static enum rc signature_parse(struct note_signature *s, const char *line, size_t n, struct err *e)
{
	if (n < sizeof NOTE_DASH - 1 || memcmp(line, NOTE_DASH, sizeof NOTE_DASH - 1) != 0)
		return err_add(
			e, RC_MALFORMED, "malformed signature line: expected U+2014 and a space first");
	const char *name = line + (sizeof NOTE_DASH - 1), *end = line + n;
	const char *space = memchr(name, ' ', (size_t)(end - name));
	uint8_t blob[NOTE_BYTES_MAX / 4 * 3];
	size_t blob_n;

	if (!space || !name_good(name, (size_t)(space - name)))
		return err_add(e, RC_MALFORMED, "malformed signature line: expected name, space, base64");
	if (!base64_to_bytes(blob, sizeof blob, &blob_n, space + 1, (size_t)(end - space - 1)) || blob_n < 5)
		return err_add(e, RC_MALFORMED,
			"malformed signature line: expected base64 of a key id and a signature");
	s->name = name;
	s->name_n = (size_t)(space - name);
	memcpy(s->id, blob, 4);
	_Static_assert(sizeof s->bytes == 8 + ED25519_SIGNATURE_SIZE, "a cosignature fits");
	s->bytes_n = blob_n - 4 <= sizeof s->bytes ? blob_n - 4 : 0;
	memcpy(s->bytes, blob + 4, s->bytes_n);
	return RC_OK;
}

static enum rc parse_up_to(size_t max, struct note *ret_note, const void *bytes, size_t n, struct err *e)
{
	const char *b = bytes, *split = NULL;
	struct note note = { .text = b };

	if (n > max)
		return err_add(e, RC_LIMIT, "the note is too long: %zu octets, at most %zu are read", n, max);
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_length((const unsigned char *)b + i, n - i);
		if (len == 0)
			return err_add(e, RC_MALFORMED, "malformed note: it is not UTF-8 at octet %zu", i);
		if ((unsigned char)b[i] < 0x20 && b[i] != '\n')
			return err_add(e, RC_MALFORMED,
				"malformed note: it has a control character at octet %zu", i);
		if (b[i] == '\n' && i + 1 < n && b[i + 1] == '\n')
			split = b + i + 1; /* the last empty line */
	}
	if (!split || split + 1 >= b + n || b[n - 1] != '\n')
		return err_add(e, RC_MALFORMED,
			"malformed note: expected an empty line, followed by signature lines");
	note.text_n = (size_t)(split - b);
	if (note.text_n > NOTE_BYTES_MAX)
		return err_add(e, RC_LIMIT, "the note's text is too long: %zu octets, at most %d are read",
			note.text_n, NOTE_BYTES_MAX);
	for (const char *line = split + 1; line < b + n;) {
		const char *lf = memchr(line, '\n', (size_t)(b + n - line));
		assert(lf); /* the last octet is one */
		if (note.signatures_n == NOTE_SIGNATURES_MAX)
			return err_add(e, RC_LIMIT, "the note has too many signatures, at most %d are read",
				NOTE_SIGNATURES_MAX);
		enum rc rc =
			signature_parse(&note.signature[note.signatures_n++], line, (size_t)(lf - line), e);
		if (rc != RC_OK)
			return rc;
		line = lf + 1;
	}
	*ret_note = note;
	return RC_OK;
}

enum rc note_parse(struct note *ret_note, const void *bytes, size_t n, struct err *e)
{
	return parse_up_to(NOTE_BYTES_MAX, ret_note, bytes, n, e);
}

enum rc note_parse_foreign(struct note *ret_note, const void *bytes, size_t n, struct err *e)
{
	return parse_up_to(NOTE_FOREIGN_BYTES_MAX, ret_note, bytes, n, e);
}

enum rc note_verify(const struct note *n, const struct note_key *key, struct err *e)
{
	bool found = false;

	for (size_t i = 0; i < n->signatures_n; i++) {
		const struct note_signature *s = &n->signature[i];
		if (s->name_n != strlen(key->name) || memcmp(s->name, key->name, s->name_n) != 0 ||
			memcmp(s->id, key->id, 4) != 0)
			continue;
		/* A cosignature signs a time as well as the text: its bytes are no signature of the note. */
		if (key->type != NOTE_ED25519 || s->bytes_n != ED25519_SIGNATURE_SIZE ||
			!ed25519_verify(key->public_key, n->text, n->text_n, s->bytes))
			return err_add(e, RC_AUTH, "the signature of '%s' does not verify", key->name);
		found = true;
	}
	return found ? RC_OK : err_add(e, RC_NOT_FOUND, "the note has no signature of '%s'", key->name);
}

size_t note_sign(char *ret_bytes, size_t max, const char *text, size_t text_n, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE])
{
	uint8_t secret[ED25519_SECRET_SIZE];

	ed25519_secret(secret, seed);
	size_t n = note_secret_sign(ret_bytes, max, text, text_n, key, secret);
	bytes_wipe(secret, sizeof secret);
	return n;
}

size_t note_secret_sign(char *ret_bytes, size_t max, const char *text, size_t text_n,
	const struct note_key *key, const uint8_t secret[ED25519_SECRET_SIZE])
{
	uint8_t blob[4 + ED25519_SIGNATURE_SIZE];
	char b64[BASE64_SIZE(sizeof blob)];

	memcpy(blob, key->id, 4);
	ed25519_secret_sign(blob + 4, secret, text, text_n);
	base64_from_bytes(b64, blob, sizeof blob);
	int n = snprintf(ret_bytes, max, "%.*s\n" NOTE_DASH "%s %s\n", (int)text_n, text, key->name, b64);
	return n > 0 && (size_t)n < max ? (size_t)n : 0;
}

/*
 * The first three lines; *ret_rest is what follows them. tlog-checkpoint: "The origin MUST be
 * non-empty, and it SHOULD be a schema-less URL containing neither Unicode spaces nor plus (U+002B) [...] and
 * clients MUST NOT assume that the origin is following this format".
 */
static enum rc checkpoint_head(
	struct checkpoint *ret_checkpoint, const char *text, size_t n, const char **ret_rest, struct err *e)
{
	const char *at = text, *end = text + n, *line;
	struct checkpoint c = { 0 };
	size_t line_n;

	if (!line_take(&at, end, &line, &line_n) || line_n == 0)
		return err_add(e, RC_MALFORMED, "malformed checkpoint: line 1: expected the log's origin");
	if (line_n >= NOTE_NAME_MAX || memchr(line, '\0', line_n))
		return err_add(e, RC_LIMIT,
			"malformed checkpoint: line 1: the origin has %zu octets, at most %d are read",
			line_n, NOTE_NAME_MAX - 1);
	memcpy(c.origin, line, line_n);
	if (!line_take(&at, end, &line, &line_n) || !line_decimal(line, line_n, &c.size))
		return err_add(e, RC_MALFORMED, "malformed checkpoint: line 2: expected the size in decimal");
	if (!line_take(&at, end, &line, &line_n) || !line_hash(line, line_n, &c.root))
		return err_add(e, RC_MALFORMED,
			"malformed checkpoint: line 3: expected the root, 32 octets in base64");
	*ret_checkpoint = c;
	*ret_rest = at;
	return RC_OK;
}

enum rc checkpoint_parse(struct checkpoint *ret_checkpoint, const char *text, size_t n, struct err *e)
{
	const char *rest;
	struct checkpoint c;
	enum rc rc = checkpoint_head(&c, text, n, &rest, e);

	if (rc != RC_OK)
		return rc;
	if (rest != text + n)
		return err_add(e, RC_MALFORMED,
			"malformed checkpoint: extension lines are not accepted in a ledger of Plaingate");
	*ret_checkpoint = c;
	return RC_OK;
}

enum rc checkpoint_parse_foreign(struct checkpoint *ret_checkpoint, const char *text, size_t n, struct err *e)
{
	const char *at, *line;
	struct checkpoint c;
	size_t line_n;
	enum rc rc = checkpoint_head(&c, text, n, &at, e);

	if (rc != RC_OK)
		return rc;
	while (at != text + n)
		if (!line_take(&at, text + n, &line, &line_n) || line_n == 0)
			return err_add(e, RC_MALFORMED,
				"malformed checkpoint: expected extension lines that are not empty and end in a line feed");
	*ret_checkpoint = c;
	return RC_OK;
}

size_t checkpoint_text(char *ret_text, size_t max, const struct checkpoint *c)
{
	char root[BASE64_SIZE(SHA256_SIZE)];

	base64_from_bytes(root, c->root.b, sizeof c->root.b);
	int n = snprintf(ret_text, max, "%s\n%llu\n%s\n", c->origin, (unsigned long long)c->size, root);
	return n > 0 && (size_t)n < max ? (size_t)n : 0;
}
