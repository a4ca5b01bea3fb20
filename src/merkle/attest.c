#include "merkle/attest.h"
#include "base/rd.h"
#include "merkle/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

_Static_assert(ATTEST_TEXT_MAX <= 768, "it fits a field of an entry (LEDGER_BODY_TEXT_MAX / 4)");

#define KEY_ID_SIZE 4
#define BLOB_SIZE   (KEY_ID_SIZE + 8 + ED25519_SIGNATURE_SIZE) /* key id, time, signature */
#define DIGITS_N    ((int)BASE64_SIZE(BLOB_SIZE) - 1)
#define BLOBS_MAX   (ATTEST_TEXT_MAX / (1 + DIGITS_N))
_Static_assert(
	sizeof NOTE_DASH + NOTE_NAME_MAX + 1 + DIGITS_N + 1 <= COSIGN_LINE_MAX, "a line with a blob fits");

struct attest {
	uint64_t size;
	size_t n;
	const char *text[BLOBS_MAX]; /* DIGITS_N each */
	uint8_t blob[BLOBS_MAX][BLOB_SIZE];
};

static bool blob_read(const char *digits, size_t n, uint8_t ret_blob[BLOB_SIZE])
{
	size_t blob_n;

	return n == DIGITS_N && base64_to_bytes(ret_blob, BLOB_SIZE, &blob_n, digits, n) &&
	       blob_n == BLOB_SIZE;
}

static bool parse(struct attest *a, const char *text, size_t n)
{
	const char *end = n ? memchr(text, ' ', n) : NULL;
	struct rd r = rd_over(end, end ? n - (size_t)(end - text) : 0);

	a->n = 0;
	if (!end || !line_decimal(text, (size_t)(end - text), &a->size) || a->size == 0)
		return false;
	while (rd_left(&r) > 0) {
		const uint8_t *item = rd_take(&r, 1 + DIGITS_N);
		if (!item || item[0] != ' ' || a->n == BLOBS_MAX)
			return false;
		a->text[a->n] = (const char *)item + 1;
		if (!blob_read(a->text[a->n], DIGITS_N, a->blob[a->n]))
			return false;
		if (a->n > 0 && memcmp(a->blob[a->n - 1], a->blob[a->n], KEY_ID_SIZE) >= 0)
			return false;
		a->n++;
	}
	return a->n > 0;
}

bool attest_add(char text[ATTEST_TEXT_MAX + 1], uint64_t size, const char *line)
{
	size_t line_n = strcspn(line, "\n"), at = 0, n;
	const char *digits = memrchr(line, ' ', line_n);
	char whole[ATTEST_TEXT_MAX + 1];
	struct attest a = { .size = size };
	uint8_t blob[BLOB_SIZE];

	if (size == 0 || !digits || !blob_read(digits + 1, (size_t)(line + line_n - digits - 1), blob) ||
		(text[0] && !(parse(&a, text, strlen(text)) && a.size == size)))
		return false;
	while (at < a.n && memcmp(a.blob[at], blob, KEY_ID_SIZE) < 0)
		at++;
	if (at < a.n && memcmp(a.blob[at], blob, KEY_ID_SIZE) == 0)
		return false;
	assert(at <= a.n && a.n <= BLOBS_MAX);
	n = (size_t)snprintf(whole, sizeof whole, "%llu", (unsigned long long)size);
	for (size_t i = 0; i <= a.n && n < sizeof whole; i++) {
		const char *next = i < at ? a.text[i] : i == at ? digits + 1 : a.text[i - 1];
		n += (size_t)snprintf(whole + n, sizeof whole - n, " %.*s", DIGITS_N, next);
	}
	if (n >= sizeof whole)
		return false;
	memcpy(text, whole, n + 1);
	return true;
}

bool attest_read(const char *text, size_t n, uint64_t *ret_size, size_t *ret_n)
{
	struct attest a;
	bool good = parse(&a, text, n);

	*ret_size = good ? a.size : 0;
	*ret_n = good ? a.n : 0;
	return good;
}

static const struct policy_witness *witness_of(const struct policy *p, const uint8_t blob[BLOB_SIZE])
{
	for (size_t i = 0; i < p->witnesses_n; i++)
		if (memcmp(p->witness[i].key.id, blob, KEY_ID_SIZE) == 0)
			return &p->witness[i];
	return NULL;
}

/* The note that they have cosigned, with their lines alone. Its length; 0: one of them is not of the policy.
 */
static size_t note_write(char *ret, size_t max, const struct attest *a, const struct checkpoint *of,
	const struct policy *policy)
{
	size_t n = checkpoint_text(ret, max, of);

	for (size_t i = 0; i < a->n && n > 0; i++) {
		const struct policy_witness *w = witness_of(policy, a->blob[i]);
		int line_n = w ? snprintf(ret + n, max - n, "%s" NOTE_DASH "%s %.*s\n", i > 0 ? "" : "\n",
					 w->key.name, DIGITS_N, a->text[i])
			       : 0;
		n = line_n > 0 && (size_t)line_n < max - n ? n + (size_t)line_n : 0;
	}
	return n;
}

enum rc attest_judge(const char *text, size_t n, const struct checkpoint *of, const struct policy *policy,
	struct policy_verdict *ret_verdict, struct err *e)
{
	char bytes[NOTE_NAME_MAX + 128 + BLOBS_MAX * COSIGN_LINE_MAX];
	struct attest a;
	struct note note;

	*ret_verdict = (struct policy_verdict){ 0 };
	if (!parse(&a, text, n) || a.size != of->size)
		return err_add(e, RC_MALFORMED,
			"malformed attestation: expected the checkpoint's size and cosignatures by rising key id");
	size_t note_n = note_write(bytes, sizeof bytes, &a, of, policy);
	if (note_n == 0)
		return err_add(e, RC_NOT_FOUND,
			"the attestation has a cosignature that is not of a witness of the policy");
	enum rc rc = note_parse(&note, bytes, note_n, e);
	rc = rc ? rc : policy_witnesses(policy, &note, ret_verdict, e);
	if (rc != RC_OK)
		return rc;
	return ret_verdict->quorum && policy->quorum.kind != POLICY_NONE ? RC_OK : RC_NOT_FOUND;
}
