#include "admin/ssh_key.h"

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "crypto/sign.h"

#include <assert.h>
#include <stdio.h>

/* clang-format off */
/* What the table of types says in SSH's words, in those of src/crypto. */
static const struct type_row {
	const char *name, *curve;	/* curve: its name in the blob */
	uint32_t kind;			/* enum sign_kind; SIGN_NONE: RSA */
	uint16_t hash;
	bool token;
} types[SSH_KEY_TYPE_COUNT] = {
#define E(id, word, text) [SSH_KEY_##id] = { .name = word, TYPE_##id },
#define TYPE_ED25519	.kind = SIGN_ED25519, .hash = HASH_IDENTITY
#define TYPE_ECDSA_P256	.kind = SIGN_ECDSA_P256, .hash = HASH_SHA2_256, .curve = "nistp256"
#define TYPE_ECDSA_P384	.kind = SIGN_ECDSA_P384, .hash = HASH_SHA2_384, .curve = "nistp384"
#define TYPE_ECDSA_P521	.kind = SIGN_ECDSA_P521, .hash = HASH_SHA2_512, .curve = "nistp521"
#define TYPE_RSA	.kind = SIGN_NONE
#define TYPE_SK_ED25519	.kind = SIGN_ED25519, .hash = HASH_IDENTITY, .token = true
#define TYPE_SK_ECDSA	.kind = SIGN_ECDSA_P256, .hash = HASH_SHA2_256, .curve = "nistp256", .token = true
	SSH_KEY_TYPES(E)
#undef E
};
#define E(id, name, text) name ", "
static const char type_names[] = SSH_KEY_TYPES(E) "";
#undef E
/* clang-format on */

enum {
	USER_PRESENT = 0x01
}; /* PROTOCOL.u2f: "the least significant bit [...] indicates whether a user was present" */

/* What a blob says, borrowed from it. */
struct parts {
	const struct type_row *row;
	uint32_t type;
	struct verify_key key;	     /* unless RSA */
	struct rd modulus, exponent; /* RSA, without an octet of zero in front */
	struct rd application;	     /* security keys */
};

/* A string of RFC 4251 section 5. */
static struct rd string_take(struct rd *r)
{
	return rd_sub(r, rd_u32(r));
}

static bool string_is(const struct rd *s, const char *text)
{
	return !s->bad && rd_left(s) == strlen(text) && memcmp(s->at, text, rd_left(s)) == 0;
}

/* An mpint of RFC 4251 section 5 above zero, in its shortest form, without the octet that keeps it positive. */
static struct rd number_take(struct rd *r)
{
	struct rd s = string_take(r);

	if (rd_left(&s) == 0 || s.at[0] & 0x80)
		r->bad = true;
	else if (s.at[0] == 0) {
		rd_u8(&s);
		r->bad |= rd_left(&s) == 0 || !(s.at[0] & 0x80);
	}
	return r->bad ? (struct rd){ .bad = true } : s;
}

const char *ssh_key_type_name(uint32_t type)
{
	return type > SSH_KEY_NONE && type < SSH_KEY_TYPE_COUNT ? types[type].name : "none";
}

static uint32_t type_find(const struct rd *name)
{
	for (uint32_t t = SSH_KEY_NONE + 1; t < SSH_KEY_TYPE_COUNT; t++)
		if (string_is(name, types[t].name))
			return t;
	return SSH_KEY_NONE;
}

static enum rc type_unknown(const struct rd *name, struct err *e)
{
	int n = (int)MIN_OF(rd_left(name), 64u);

	for (int i = 0; i < n; i++)
		if (name->at[i] <= ' ' || name->at[i] > '~')
			n = 0;
	return err_add(e, RC_UNSUPPORTED, "an SSH key of type '%.*s': expected one of %.*s", n,
		n ? (const char *)name->at : "", (int)sizeof type_names - 3, type_names);
}

static enum rc rsa_read(struct rd *r, struct parts *ret, struct err *e)
{
	ret->exponent = number_take(r);
	ret->modulus = number_take(r);
	if (rd_end(r) != RC_OK)
		return err_add(e, RC_MALFORMED,
			"malformed SSH key of type ssh-rsa: expected an exponent and a modulus");
	return rsa_public_check(ret->modulus.at, rd_left(&ret->modulus), ret->exponent.at,
		rd_left(&ret->exponent), SSH_KEY_RSA_BITS_MIN, e);
}

static enum rc point_read(struct rd *r, struct parts *ret)
{
	struct rd bytes = string_take(r);
	uint8_t der[SIGN_SPKI_MAX];

	if (ret->row->curve && rd_u8(&bytes) != 4) /* SEC 1 section 2.3.3: uncompressed */
		return RC_MALFORMED;
	ret->key.kind = ret->row->kind;
	ret->key.n = (uint32_t)rd_left(&bytes);
	if (bytes.bad || ret->key.n != sign_public_size(ret->row->kind))
		return RC_MALFORMED;
	rd_copy(&bytes, ret->key.bytes, ret->key.n);
	return verify_key_from_spki(&ret->key, der, verify_key_spki(&ret->key, der), NULL);
}

static enum rc blob_read(struct parts *ret, const void *blob, size_t n, struct err *e)
{
	struct rd r = rd_over(blob, n), name = string_take(&r);

	memset(ret, 0, sizeof *ret);
	if (r.bad || n > SSH_KEY_BLOB_MAX)
		return err_add(e, RC_MALFORMED,
			"malformed SSH key: expected the name of its type first, and at most %d octets",
			SSH_KEY_BLOB_MAX);
	ret->type = type_find(&name);
	ret->row = &types[ret->type];
	if (ret->type == SSH_KEY_NONE)
		return type_unknown(&name, e);
	if (ret->row->kind == SIGN_NONE)
		return rsa_read(&r, ret, e);
	if (ret->row->curve) {
		struct rd curve = string_take(&r);
		r.bad |= !string_is(&curve, ret->row->curve);
	}
	enum rc rc = point_read(&r, ret);
	if (ret->row->token) {
		ret->application = string_take(&r);
		r.bad |= rd_left(&ret->application) == 0 || rd_left(&ret->application) > SSH_APPLICATION_MAX;
	}
	if (rd_end(&r) != RC_OK || rc != RC_OK)
		return err_add(e, RC_MALFORMED, "malformed SSH key of type %s: expected %s%s", ret->row->name,
			ret->row->curve ? "its curve and a point of it, uncompressed"
					: "32 octets of public key",
			ret->row->token ? ", and an application" : "");
	return RC_OK;
}

enum rc ssh_key_from_blob(struct ssh_key *ret_key, const void *blob, size_t n, struct err *e)
{
	struct parts parts;
	enum rc rc = blob_read(&parts, blob, n, e);

	memset(ret_key, 0, sizeof *ret_key);
	if (rc != RC_OK)
		return rc;
	ret_key->type = parts.type;
	ret_key->n = (uint32_t)n;
	memcpy(ret_key->blob, blob, n);
	return RC_OK;
}

bool ssh_key_equal(const struct ssh_key *a, const struct ssh_key *b)
{
	return a->type == b->type && a->n == b->n && memcmp(a->blob, b->blob, a->n) == 0;
}

/* Text that goes to terminals and files: no control character, and UTF-8. */
static bool comment_ok(const char *text, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_length((const unsigned char *)text + i, n - i);
		if (len == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f ||
			(len == 2 && (unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
			return false;
	}
	return n <= SSH_KEY_COMMENT_MAX;
}

enum rc ssh_key_parse(struct ssh_key *ret_key, const char *text, size_t n, const char **ret_comment,
	size_t *ret_comment_n, struct err *e)
{
	const char *end = text + n, *space = memchr(text, ' ', n), *digits = space ? space + 1 : end;
	const char *behind = memchr(digits, ' ', (size_t)(end - digits)),
		   *comment = behind ? behind + 1 : end;
	size_t digits_n = (size_t)((behind ? behind : end) - digits), blob_n;
	struct rd name = rd_over(text, space ? (size_t)(space - text) : n);
	uint8_t blob[SSH_KEY_BLOB_MAX];
	struct ssh_key key;

	memset(ret_key, 0, sizeof *ret_key);
	if (type_find(&name) == SSH_KEY_NONE)
		return type_unknown(&name, e);
	if (!base64_to_bytes(blob, sizeof blob, &blob_n, digits, digits_n))
		return err_add(e, RC_MALFORMED,
			"malformed SSH key: expected '%.*s', a space, and at most %d octets in base64",
			(int)rd_left(&name), (const char *)name.at, SSH_KEY_BLOB_MAX);
	if (!comment_ok(comment, (size_t)(end - comment)))
		return err_add(e, RC_MALFORMED,
			"malformed comment of an SSH key: expected at most %d octets of UTF-8 without control characters",
			SSH_KEY_COMMENT_MAX);
	enum rc rc = ssh_key_from_blob(&key, blob, blob_n, e);
	if (rc != RC_OK)
		return rc;
	if (!string_is(&name, types[key.type].name))
		return err_add(e, RC_MALFORMED,
			"malformed SSH key: the text says '%.*s', and the key itself '%s'",
			(int)rd_left(&name), (const char *)name.at, types[key.type].name);
	if (ret_comment) {
		*ret_comment = comment;
		*ret_comment_n = (size_t)(end - comment);
	}
	*ret_key = key;
	return RC_OK;
}

_Static_assert(SSH_KEY_TEXT_MAX >= 34 + 1 + BASE64_SIZE(SSH_KEY_BLOB_MAX), "a key fits");

char *ssh_key_text(char *ret_text, const struct ssh_key *key)
{
	int n = snprintf(ret_text, SSH_KEY_TEXT_MAX, "%s ", ssh_key_type_name(key->type));

	base64_from_bytes(ret_text + n, key->blob, key->n);
	return ret_text;
}

char *ssh_key_fingerprint(char ret_text[SSH_FINGERPRINT_SIZE], const struct ssh_key *key)
{
	char digits[BASE64_SIZE(SHA256_SIZE)];
	uint8_t hash[SHA256_SIZE];

	sha256(hash, key->blob, key->n);
	base64_from_bytes(digits, hash, sizeof hash);
	snprintf(ret_text, SSH_FINGERPRINT_SIZE, "SHA256:%.43s", digits);
	return ret_text;
}

/* r and s of RFC 5656 section 3.1.2, at the curve's size each. */
static bool ecdsa_plain(struct rd *blob, uint32_t kind, uint8_t *ret_signature)
{
	size_t half = sign_public_size(kind) / 2;

	memset(ret_signature, 0, 2 * half);
	for (size_t i = 0; i < 2; i++) {
		struct rd number = number_take(blob);
		size_t n = rd_left(&number);
		if (n == 0 || n > half)
			return false;
		rd_copy(&number, ret_signature + (i + 1) * half - n, n);
	}
	return rd_end(blob) == RC_OK;
}

static enum rc not_signed(enum rc rc, const char *why, struct err *e)
{
	return err_add(e, rc, "%s", why);
}

static enum rc rsa_verify(const struct parts *p, const struct rd *name, const struct rd *signature,
	const void *message, size_t n, struct err *e)
{
	uint16_t hash = string_is(name, "rsa-sha2-256")	  ? HASH_SHA2_256
			: string_is(name, "rsa-sha2-512") ? HASH_SHA2_512
							  : 0;
	uint8_t spki[RSA_SPKI_MAX];
	size_t spki_n;

	if (hash == 0)
		return not_signed(RC_UNSUPPORTED,
			"a signature of an RSA key: expected rsa-sha2-256 or rsa-sha2-512", e);
	spki_n = rsa_spki(p->modulus.at, rd_left(&p->modulus), p->exponent.at, rd_left(&p->exponent), spki);
	if (spki_n == 0)
		return RC_INTERNAL;
	if (rsa_check(spki, spki_n, RSA_PKCS1, hash, message, n, signature->at, rd_left(signature), NULL) !=
		RC_OK)
		return not_signed(RC_AUTH, "the signature is not this key's over this message", e);
	return RC_OK;
}

/* PROTOCOL.u2f, "SSH U2F signatures": what the token signs in place of the message. */
static size_t token_message(const struct parts *p, uint8_t flags, uint32_t counter, const void *message,
	size_t n, uint8_t *ret_bytes, size_t max)
{
	struct wr w = wr_over(ret_bytes, max);
	uint8_t hash[SHA256_SIZE];

	sha256(hash, p->application.at, rd_left(&p->application));
	wr_bytes(&w, hash, sizeof hash);
	wr_u8(&w, flags);
	wr_u32(&w, counter);
	sha256(hash, message, n);
	wr_bytes(&w, hash, sizeof hash);
	assert(!w.bad);
	return wr_len(&w);
}

enum rc ssh_key_verify(const struct ssh_key *key, const void *message, size_t n, const void *signature,
	size_t signature_n, struct err *e)
{
	struct rd all = rd_over(signature, signature_n), name = string_take(&all), blob = string_take(&all);
	uint8_t plain[SIGN_SIGNATURE_MAX], token[2 * SHA256_SIZE + 5], flags = 0;
	uint32_t counter = 0;
	struct parts p;
	enum rc rc = blob_read(&p, key->blob, key->n, e);

	if (rc != RC_OK)
		return rc;
	if (p.row->token) {
		flags = rd_u8(&all);
		counter = rd_u32(&all);
	}
	if (rd_end(&all) != RC_OK || signature_n > SSH_SIGNATURE_MAX)
		return not_signed(
			RC_MALFORMED, "malformed SSH signature: expected its algorithm and its octets", e);
	if (p.row->kind == SIGN_NONE)
		return rsa_verify(&p, &name, &blob, message, n, e);
	if (!string_is(&name, p.row->name))
		return not_signed(RC_UNSUPPORTED, "the signature's algorithm is not the key's", e);
	if (p.row->token) {
		if (!(flags & USER_PRESENT))
			return not_signed(
				RC_AUTH, "the security key signed without a touch (user presence)", e);
		n = token_message(&p, flags, counter, message, n, token, sizeof token);
		message = token;
	}
	if (p.row->curve ? !ecdsa_plain(&blob, p.row->kind, plain)
			 : !rd_copy(&blob, plain, 64) || rd_left(&blob) > 0)
		return not_signed(
			RC_MALFORMED, "malformed SSH signature: expected its octets in their one form", e);
	rc = sign_check(&p.key, p.row->hash, SIGN_PLAIN, message, n, plain, p.row->curve ? p.key.n : 64);
	return rc == RC_OK ? RC_OK
			   : not_signed(RC_AUTH, "the signature is not this key's over this message", e);
}
