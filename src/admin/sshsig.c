#include "admin/sshsig.h"

#include "base/rd.h"
#include "base/wr.h"

#include <openssl/evp.h>
#include <stdio.h>

#define BEGIN "-----BEGIN SSH SIGNATURE-----"
#define END   "-----END SSH SIGNATURE-----"
#define MAGIC "SSHSIG"

enum { VERSION = 1, MAGIC_N = 6, HASH_MAX = 64, LINE_OWN = 70, LINE_MAX_READ = 76 };

/* What a blob says, borrowed from it. */
struct sshsig {
	struct rd key, name_space, reserved, hash, signature;
};

static struct rd string_take(struct rd *r)
{
	return rd_sub(r, rd_u32(r));
}

static bool string_is(const struct rd *s, const char *text)
{
	return rd_left(s) == strlen(text) && memcmp(s->at, text, rd_left(s)) == 0;
}

static enum rc blob_read(struct sshsig *ret, const void *blob, size_t n, struct err *e)
{
	struct rd r = rd_over(blob, n);
	const uint8_t *magic = rd_take(&r, MAGIC_N);
	uint32_t version = rd_u32(&r);

	if (n > SSHSIG_BLOB_MAX)
		return err_add(e, RC_LIMIT,
			"a signature of %zu octets: at most %d, as RSA of 4096 bits has them, are accepted",
			n, SSHSIG_BLOB_MAX);
	if (r.bad || memcmp(magic, MAGIC, MAGIC_N) != 0)
		return err_add(e, RC_MALFORMED,
			"malformed signature: expected SSHSIG, as `ssh-keygen -Y sign` makes it");
	if (version != VERSION)
		return err_add(e, RC_UNSUPPORTED, "a signature of version %u: expected version %d of SSHSIG",
			version, VERSION);
	ret->key = string_take(&r);
	ret->name_space = string_take(&r);
	ret->reserved = string_take(&r);
	ret->hash = string_take(&r);
	ret->signature = string_take(&r);
	if (rd_end(&r) != RC_OK || rd_left(&ret->reserved) > 0)
		return err_add(e, RC_MALFORMED,
			"malformed signature: expected key, namespace, nothing in the reserved string, hash algorithm and signature");
	return RC_OK;
}

enum rc sshsig_key(struct ssh_key *ret_key, const void *blob, size_t n, struct err *e)
{
	struct sshsig s;
	enum rc rc = blob_read(&s, blob, n, e);

	memset(ret_key, 0, sizeof *ret_key);
	return rc ? rc : ssh_key_from_blob(ret_key, s.key.at, rd_left(&s.key), e);
}

static void string_write(struct wr *w, const void *bytes, size_t n)
{
	wr_u32(w, (uint32_t)n);
	wr_bytes(w, bytes, n);
}

/* What is signed in place of the message. RC_UNSUPPORTED: another hash. */
static enum rc signed_make(struct wr *w, const struct sshsig *s, const void *message, size_t n, struct err *e)
{
	const char *name = string_is(&s->hash, "sha512")   ? "SHA512"
			   : string_is(&s->hash, "sha256") ? "SHA256"
							   : NULL;
	uint8_t hash[HASH_MAX];
	size_t hash_n = 0;

	if (!name)
		return err_add(e, RC_UNSUPPORTED, "a signature with another hash: expected sha256 or sha512");
	if (EVP_Q_digest(NULL, name, NULL, message, n, hash, &hash_n) != 1)
		return RC_INTERNAL;
	wr_bytes(w, MAGIC, MAGIC_N);
	string_write(w, s->name_space.at, rd_left(&s->name_space));
	string_write(w, NULL, 0);
	string_write(w, s->hash.at, rd_left(&s->hash));
	string_write(w, hash, hash_n);
	return w->bad ? RC_INTERNAL : RC_OK;
}

enum rc sshsig_verify(struct ssh_key *ret_key, const void *blob, size_t blob_n, const char *name_space,
	const void *message, size_t n, struct err *e)
{
	uint8_t bytes[MAGIC_N + 4 * 4 + SSHSIG_NAMESPACE_MAX + 6 + HASH_MAX];
	struct wr w = wr_over(bytes, sizeof bytes);
	struct ssh_key key;
	struct sshsig s;
	enum rc rc = blob_read(&s, blob, blob_n, e);

	memset(ret_key, 0, sizeof *ret_key);
	if (rc)
		return rc;
	if (!string_is(&s.name_space, name_space))
		return err_add(e, RC_AUTH,
			"the signature is for another purpose: expected `ssh-keygen -Y sign -n %s`",
			name_space);
	if ((rc = signed_make(&w, &s, message, n, e)))
		return rc;
	if ((rc = ssh_key_from_blob(&key, s.key.at, rd_left(&s.key), e)))
		return rc;
	if ((rc = ssh_key_verify(&key, bytes, wr_len(&w), s.signature.at, rd_left(&s.signature), e)))
		return rc;
	*ret_key = key;
	return RC_OK;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next line without its end; false: there is none that ends. */
static bool line_take(const char **at, const char *end, const char **ret_line, size_t *ret_n)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));

	*ret_line = *at;
	*ret_n = (size_t)((lf ? lf : end) - *at);
	*at = lf ? lf + 1 : end;
	if (*ret_n > 0 && (*ret_line)[*ret_n - 1] == '\r')
		--*ret_n;
	return *ret_n > 0;
}

enum rc sshsig_from_armor(uint8_t *ret_blob, size_t *ret_n, const char *text, size_t n, struct err *e)
{
	const char *at = text, *end = text + n, *line;
	char digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];
	size_t line_n, digits_n = 0;
	bool ended = false;

	*ret_n = 0;
	while (at < end && is_space(*at))
		at++;
	while (end > at && is_space(end[-1]))
		end--;
	if (!line_take(&at, end, &line, &line_n) || line_n != strlen(BEGIN) ||
		memcmp(line, BEGIN, line_n) != 0)
		return err_add(
			e, RC_MALFORMED, "malformed signature: expected '" BEGIN "' as its first line");
	while (!ended && line_take(&at, end, &line, &line_n)) {
		ended = line_n == strlen(END) && memcmp(line, END, line_n) == 0;
		if (ended)
			break;
		if (line_n > LINE_MAX_READ || digits_n + line_n > sizeof digits)
			return err_add(e, RC_MALFORMED,
				"malformed signature: expected lines of at most %d digits of base64, %d octets in all",
				LINE_MAX_READ, SSHSIG_BLOB_MAX);
		memcpy(digits + digits_n, line, line_n);
		digits_n += line_n;
	}
	if (!ended || at != end)
		return err_add(e, RC_MALFORMED, "malformed signature: expected '" END "' as its last line");
	if (!base64_to_bytes(ret_blob, SSHSIG_BLOB_MAX, ret_n, digits, digits_n) || *ret_n == 0)
		return err_add(e, RC_MALFORMED, "malformed signature: expected base64 of at most %d octets",
			SSHSIG_BLOB_MAX);
	return RC_OK;
}

_Static_assert(SSHSIG_ARMOR_MAX > sizeof BEGIN + sizeof END +
					  BASE64_SIZE(SSHSIG_BLOB_MAX) * (LINE_OWN + 1) / LINE_OWN + 2,
	"it fits");

size_t sshsig_armor(char *ret_text, const void *blob, size_t n)
{
	char digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];
	size_t digits_n, at;

	if (n > SSHSIG_BLOB_MAX)
		return 0;
	digits_n = base64_from_bytes(digits, blob, n);
	at = (size_t)snprintf(ret_text, SSHSIG_ARMOR_MAX, "%s\n", BEGIN);
	for (size_t i = 0; i < digits_n; i += LINE_OWN)
		at += (size_t)snprintf(ret_text + at, SSHSIG_ARMOR_MAX - at, "%.*s\n", LINE_OWN, digits + i);
	return at + (size_t)snprintf(ret_text + at, SSHSIG_ARMOR_MAX - at, "%s\n", END);
}

bool sshsig_key_can_sign(const struct ssh_key *key)
{
	/* What stands around key and signature, whose number of RSA is at most as long as the key's blob. */
	const size_t around = MAGIC_N + 4 + 4 + 4 + strlen("plaingate-commit") + 4 + 4 + strlen("sha512") +
			      4 + 4 + strlen("rsa-sha2-512") + 4;

	return strcmp(ssh_key_type_name(key->type), "ssh-rsa") != 0 ||
	       around + 2 * (size_t)key->n - strlen("ssh-rsa") - 4 <= SSHSIG_BLOB_MAX;
}
