#include "ledger/journal.h"

#include <assert.h>

size_t journal_write(struct wr *w, uint64_t first, uint32_t count, const void *bundle, size_t bundle_n,
	const char *note, size_t note_n)
{
	uint8_t hash[SHA256_SIZE];

	wr_u32(w, JOURNAL_MAGIC);
	wr_u32(w, (uint32_t)(JOURNAL_HEAD - 8 + bundle_n + note_n + SHA256_SIZE));
	wr_u64(w, first);
	wr_u32(w, count);
	wr_u32(w, (uint32_t)note_n);
	if (bundle == w->at) /* it stands at its place already */
		wr_room(w, bundle_n);
	else
		wr_bytes(w, bundle, bundle_n);
	wr_bytes(w, note, note_n);
	if (w->bad)
		return 0;
	sha256(hash, w->base, wr_len(w));
	wr_bytes(w, hash, sizeof hash);
	return w->bad ? 0 : wr_len(w);
}

enum rc journal_next(struct rd *r, struct journal_record *ret_record)
{
	uint8_t hash[SHA256_SIZE];
	const uint8_t *begin = r->at;
	struct journal_record j = { 0 };

	if (rd_left(r) == 0)
		return RC_NOT_FOUND;
	uint32_t magic = rd_u32(r), n = rd_u32(r);
	if (!r->bad && magic != JOURNAL_MAGIC)
		return RC_MALFORMED;
	struct rd body = rd_sub(r, n);
	j.first = rd_u64(&body);
	j.count = rd_u32(&body);
	j.note_n = rd_u32(&body);
	if (body.bad || rd_left(&body) < SHA256_SIZE || j.note_n > rd_left(&body) - SHA256_SIZE)
		return r->bad || body.bad ? RC_TRUNCATED : RC_MALFORMED;
	size_t bundle_n = rd_left(&body) - SHA256_SIZE - j.note_n;
	j.entries = rd_sub(&body, bundle_n);
	j.note = (const char *)rd_take(&body, j.note_n);
	assert(!body.bad && rd_left(&body) == SHA256_SIZE);
	const uint8_t *sum = rd_take(&body, SHA256_SIZE);
	sha256(hash, begin, (size_t)(sum - begin));
	if (memcmp(hash, sum, sizeof hash) != 0)
		return RC_MALFORMED;
	*ret_record = j;
	return RC_OK;
}

bool journal_goes_on(const uint8_t *bytes, size_t n)
{
	/* Octets that are hashed: what looks like more records than these was made to take time. */
	size_t left = 8 * (size_t)JOURNAL_RECORD_MAX;
	struct journal_record j;

	if (n > JOURNAL_RECORD_MAX)
		return true;
	for (size_t at = 1; at + JOURNAL_HEAD <= n; at++) {
		if (load_be32(bytes + at) != JOURNAL_MAGIC || load_be32(bytes + at + 4) > n - at - 8)
			continue;
		if (load_be32(bytes + at + 4) > left)
			return true;
		left -= load_be32(bytes + at + 4);
		struct rd r = rd_over(bytes + at, n - at);
		if (journal_next(&r, &j) == RC_OK)
			return true;
	}
	return false;
}
