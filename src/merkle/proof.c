#include "merkle/proof.h"
#include "merkle/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEADER "c2sp.org/tlog-proof@v1"

static bool begins(const char *line, size_t n, const char *word)
{
	return n >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

static enum rc wrong(struct err *e, size_t number, const char *line, size_t n, const char *expected)
{
	return err_add(e, RC_MALFORMED, "line %zu: found '%.*s', expected %s", number, (int)MIN_OF(n, 80u),
		line, expected);
}

enum rc tlog_proof_parse(struct tlog_proof *ret_proof, const void *bytes, size_t n, struct err *e)
{
	static const char extra[] = "extra ", index[] = "index ";
	const char *at = bytes, *end = at + n, *line = at;
	size_t line_n = 0, number = 1;

	memset(ret_proof, 0, sizeof *ret_proof);
	if (n > TLOG_PROOF_BYTES_MAX)
		return err_add(e, RC_LIMIT, "the proof is too long: %zu octets, at most %zu are read", n,
			(size_t)TLOG_PROOF_BYTES_MAX);
	if (!line_take(&at, end, &line, &line_n) || line_n != strlen(HEADER) || !begins(line, line_n, HEADER))
		return wrong(e, number, line, line_n, "'" HEADER "'");
	number++;
	if (!line_take(&at, end, &line, &line_n))
		return wrong(e, number, at, 0, "an index line");
	if (begins(line, line_n, extra)) {
		if (!base64_to_bytes(ret_proof->extra, sizeof ret_proof->extra, &ret_proof->extra_n,
			    line + strlen(extra), line_n - strlen(extra)) ||
			ret_proof->extra_n == 0)
			return wrong(e, number, line, line_n, "'extra' and 1 to 4096 octets in base64");
		number++;
		if (!line_take(&at, end, &line, &line_n))
			return wrong(e, number, at, 0, "an index line");
	}
	if (!begins(line, line_n, index) ||
		!line_decimal(line + strlen(index), line_n - strlen(index), &ret_proof->index))
		return wrong(e, number, line, line_n, "'index' and a decimal");
	for (number++; line_take(&at, end, &line, &line_n); number++) {
		if (line_n == 0) {
			ret_proof->note = at;
			ret_proof->note_n = (size_t)(end - at);
			return RC_OK;
		}
		if (ret_proof->path.n == MERKLE_PROOF_MAX)
			return err_add(e, RC_LIMIT, "line %zu: too many hashes, at most %d", number,
				MERKLE_PROOF_MAX);
		if (!line_hash(line, line_n, &ret_proof->path.hash[ret_proof->path.n++]))
			return wrong(
				e, number, line, line_n, "a hash, 32 octets in base64, or an empty line");
	}
	return wrong(e, number, at, (size_t)(end - at), "an empty line, followed by the checkpoint");
}

size_t tlog_proof_text(const struct tlog_proof *p, char *ret_text, size_t max)
{
	char b64[BASE64_SIZE(TLOG_PROOF_EXTRA_MAX)];
	size_t n = 0;
	int added;

	if (p->extra_n > sizeof p->extra || p->path.n > MERKLE_PROOF_MAX || max == 0)
		return 0;
	base64_from_bytes(b64, p->extra, p->extra_n);
	added = snprintf(ret_text, max, HEADER "\n%s%s%sindex %llu\n", p->extra_n ? "extra " : "", b64,
		p->extra_n ? "\n" : "", (unsigned long long)p->index);
	if (added < 0 || (size_t)added >= max)
		return 0;
	n = (size_t)added;
	for (size_t i = 0; i < p->path.n; i++) {
		base64_from_bytes(b64, p->path.hash[i].b, sizeof p->path.hash[i].b);
		added = snprintf(ret_text + n, max - n, "%s\n", b64);
		if (added < 0 || (size_t)added >= max - n)
			return 0;
		n += (size_t)added;
	}
	added = snprintf(
		ret_text + n, max - n, "\n%.*s", (int)MIN_OF(p->note_n, NOTE_BYTES_MAX + 1u), p->note);
	return added > 0 && (size_t)added < max - n && (size_t)added == p->note_n + 1 ? n + (size_t)added : 0;
}

enum rc tlog_proof_check(const struct tlog_proof *p, const struct merkle_hash *leaf,
	const struct policy *policy, struct tlog_proof_verdict *ret_verdict, struct err *e)
{
	struct note note;

	memset(ret_verdict, 0, sizeof *ret_verdict);
	enum rc rc = note_parse(&note, p->note, p->note_n, e);
	if (rc == RC_OK)
		rc = checkpoint_parse_foreign(&ret_verdict->checkpoint, note.text, note.text_n, e);
	if (rc == RC_OK)
		rc = policy_evaluate(policy, &note, &ret_verdict->policy, e);
	if (rc != RC_OK)
		return rc;
	if (!ret_verdict->policy.log_signed)
		return err_add(e, RC_AUTH,
			"the policy has no log, so the checkpoint's signature cannot be verified");
	rc = merkle_check_inclusion(
		&p->path, p->index, ret_verdict->checkpoint.size, leaf, &ret_verdict->checkpoint.root);
	if (rc == RC_RANGE)
		return err_add(e, rc, "index %llu is out of range: the checkpoint has %llu entries",
			(unsigned long long)p->index, (unsigned long long)ret_verdict->checkpoint.size);
	if (rc != RC_OK)
		return err_add(e, rc,
			"the inclusion proof of index %llu does not lead to the checkpoint's root",
			(unsigned long long)p->index);
	return RC_OK;
}

/* The root of 2^level hashes. */
static struct merkle_hash root_of(const struct merkle_hash *hash, unsigned level)
{
	if (level == 0)
		return *hash;
	struct merkle_hash left = root_of(hash, level - 1),
			   right = root_of(hash + (1ull << (level - 1)), level - 1);
	return merkle_node(&left, &right);
}

bool merkle_leaves_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	const struct merkle_leaves *l = context;

	if (level > 63 || index >= l->n >> level)
		return false;
	*ret_hash = root_of(l->leaf + (index << level), level);
	return true;
}

bool tile_source_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	struct tile_source *s = context;

	if (level > 63 || index >= s->size >> level)
		return false;
	/* A tile holds levels 8L to 8L + 7 of the tree: its hashes, and what they make together. */
	uint32_t tile_level = level / 8;
	unsigned above = level % 8;
	uint64_t first = index << above, n = first / TILE_WIDTH;
	uint32_t offset = (uint32_t)(first % TILE_WIDTH), count = 1u << above;
	uint32_t width = n < tile_full(tile_level, s->size) ? TILE_WIDTH : tile_partial(tile_level, s->size);

	assert(tile_level < TILE_LEVELS && offset + count <= TILE_WIDTH);

	if (s->width != width || s->level != tile_level || s->n != n) {
		s->width = 0;
		if (offset + count > width || !s->read(s->context, tile_level, n, width, s->hash))
			return false;
		s->level = tile_level;
		s->n = n;
		s->width = width;
	}
	*ret_hash = root_of(&s->hash[offset], above);
	return true;
}
