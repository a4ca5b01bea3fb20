#include "witness/witness.h"
#include "merkle/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum rc witness_request_parse(struct witness_request *ret_request, const void *body, size_t n, struct err *e)
{
	static const char old[] = "old ";
	const char *at = body, *end = at + n, *line;
	struct witness_request r = { 0 };
	size_t line_n, number = 2;

	if (n > WITNESS_BODY_MAX)
		return err_add(e, RC_LIMIT, "the body is too long: %zu octets, at most %d are read", n,
			WITNESS_BODY_MAX);
	if (!line_take(&at, end, &line, &line_n) || line_n < strlen(old) ||
		memcmp(line, old, strlen(old)) != 0 ||
		!line_decimal(line + strlen(old), line_n - strlen(old), &r.old))
		return err_add(e, RC_MALFORMED, "line 1: expected 'old' and a size in decimal");
	for (; line_take(&at, end, &line, &line_n); number++) {
		if (line_n == 0) {
			r.note = at;
			r.note_n = (size_t)(end - at);
			*ret_request = r;
			return RC_OK;
		}
		if (r.proof.n == WITNESS_PROOF_MAX)
			return err_add(e, RC_LIMIT, "line %zu: too many hashes, at most %d", number,
				WITNESS_PROOF_MAX);
		if (!line_hash(line, line_n, &r.proof.hash[r.proof.n++]))
			return err_add(
				e, RC_MALFORMED, "line %zu: expected a hash, 32 octets in base64", number);
	}
	return err_add(
		e, RC_MALFORMED, "line %zu: expected an empty line, followed by the checkpoint", number);
}

char *witness_monitor_path(char *ret_path, const char *origin)
{
	uint8_t hash[SHA256_SIZE];
	char hex[2 * sizeof hash + 1];

	sha256(hash, origin, strlen(origin));
	snprintf(ret_path, WITNESS_PATH_MAX, "/%s/checkpoint", hex_from_bytes(hex, hash, sizeof hash));
	return ret_path;
}

/* One decision: the request, what was read from it, and the answer that it ends with. */
struct decision {
	const struct witness *w;
	struct witness_request request;
	struct note note;
	struct checkpoint checkpoint;
	bool known; /* something was cosigned for the origin before: */
	struct witness_head last;
	struct witness_answer *answer;
	struct err e;
};

static void answer_text(
	struct decision *d, enum witness_status status, const char *content_type, const char *text)
{
	int n = snprintf(d->answer->body, sizeof d->answer->body, "%s\n", text);

	d->answer->status = status;
	d->answer->content_type = content_type;
	d->answer->body_n = MIN_OF((size_t)n, sizeof d->answer->body - 1);
}

/* Ends the decision with the text of the error. Always false. */
static bool refuse(struct decision *d, enum witness_status status)
{
	answer_text(d, status, "text/plain; charset=utf-8", d->e.text);
	return false;
}

static bool refuse_why(struct decision *d, enum witness_status status, const char *why)
{
	err_clear(&d->e);
	err_add(&d->e, RC_DENIED, "%s", why);
	return refuse(d, status);
}

static bool conflict(struct decision *d)
{
	char size[24];

	snprintf(size, sizeof size, "%llu", (unsigned long long)d->last.size);
	answer_text(d, WITNESS_CONFLICT, WITNESS_SIZE_TYPE, size);
	return false;
}

static bool read_request(struct decision *d, const void *body, size_t n)
{
	if (witness_request_parse(&d->request, body, n, &d->e) != RC_OK ||
		note_parse(&d->note, d->request.note, d->request.note_n, &d->e) != RC_OK ||
		checkpoint_parse_foreign(&d->checkpoint, d->note.text, d->note.text_n, &d->e) != RC_OK)
		return refuse(d, WITNESS_MALFORMED);
	if (d->checkpoint.size > WITNESS_SIZE_MAX)
		return refuse_why(d, WITNESS_MALFORMED, "the checkpoint's size is above 2^63 - 1");
	return true;
}

static bool trusted_for(const struct decision *d, size_t log)
{
	return strcmp(witness_log_origin(d->w, log), d->checkpoint.origin) == 0;
}

static bool check_signature(struct decision *d)
{
	bool known = false, good = false;

	for (size_t i = 0; i < d->w->logs_n; i++) {
		const struct note_key *key = &d->w->log[i];
		if (!trusted_for(d, i))
			continue;
		known = true;
		enum rc rc = note_verify(&d->note, key, NULL);
		if (rc == RC_AUTH)
			return refuse_why(d, WITNESS_WRONG_KEY, "the log's signature does not verify");
		good |= rc == RC_OK;
	}
	if (!known)
		return refuse_why(
			d, WITNESS_UNKNOWN_LOG, "this witness does not know the log of this origin");
	if (!good)
		return refuse_why(
			d, WITNESS_WRONG_KEY, "no signature by a key that is trusted for this origin");
	memcpy(d->answer->origin, d->checkpoint.origin, sizeof d->answer->origin);
	d->answer->size = d->checkpoint.size;
	d->answer->root = d->checkpoint.root;
	return true;
}

static bool read_last(struct decision *d)
{
	enum rc rc = d->w->store.get(d->w->store.context, d->checkpoint.origin, &d->last, &d->e);

	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return refuse(d, WITNESS_STORE_FAILED);
	d->known = rc == RC_OK;
	if (!d->known) {
		d->last = (struct witness_head){ .root = merkle_empty() };
		err_clear(&d->e);
	}
	return true;
}

/* The checks on sizes and hashes, in the order of the specification. */
static bool check_growth(struct decision *d)
{
	const struct checkpoint *c = &d->checkpoint;
	const struct witness_request *r = &d->request;
	struct merkle_hash empty = merkle_empty();

	if (r->old > c->size)
		return refuse_why(d, WITNESS_MALFORMED, "the old size is larger than the checkpoint's");
	if (!read_last(d))
		return false;
	d->answer->forked = d->known && c->size == d->last.size && !merkle_equal(&c->root, &d->last.root);
	if (r->old != d->last.size)
		return conflict(d);
	if (c->size == 0 && !merkle_equal(&c->root, &empty))
		return refuse_why(d, WITNESS_INCONSISTENT, "the root is not that of the empty tree");
	if (r->old == 0) {
		if (r->proof.n > 0)
			return refuse_why(
				d, WITNESS_INCONSISTENT, "the old size is 0, so no proof is expected");
		return true;
	}
	if (r->old == c->size && !merkle_equal(&c->root, &d->last.root))
		return refuse_why(d, WITNESS_INCONSISTENT, "another root was cosigned for this size");
	if (merkle_check_consistency(&r->proof, r->old, c->size, &d->last.root, &c->root) != RC_OK)
		return refuse_why(d, WITNESS_INCONSISTENT,
			"the proof does not show that this tree continues the one that was cosigned last");
	return true;
}

/* The first line of this key. */
static const struct note_signature *signature_of(const struct note *note, const struct note_key *key)
{
	for (size_t i = 0; i < note->signatures_n; i++) {
		const struct note_signature *s = &note->signature[i];
		if (s->name_n == strlen(key->name) && memcmp(s->name, key->name, s->name_n) == 0 &&
			memcmp(s->id, key->id, 4) == 0)
			return s;
	}
	return NULL;
}

/*
 * The note to keep: the checkpoint's text, one verified signature of each of the log's keys, and our line.
 * Other lines stay behind: anybody may have added them. Returns the length, 0: does not fit.
 */
static size_t note_to_keep(const struct decision *d, char *ret, size_t max, const char *line)
{
	uint8_t blob[4 + sizeof d->note.signature[0].bytes];
	char b64[BASE64_SIZE(sizeof blob)];
	size_t at = d->note.text_n + 1, lines = 1;

	if (at >= max)
		return 0;
	memcpy(ret, d->note.text, d->note.text_n);
	ret[d->note.text_n] = '\n';
	for (size_t i = 0; i < d->w->logs_n && lines < NOTE_SIGNATURES_MAX; i++) {
		const struct note_key *key = &d->w->log[i];
		const struct note_signature *s = trusted_for(d, i) ? signature_of(&d->note, key) : NULL;
		if (!s)
			continue;
		memcpy(blob, s->id, 4);
		memcpy(blob + 4, s->bytes, s->bytes_n);
		base64_from_bytes(b64, blob, 4 + s->bytes_n);
		int n = snprintf(ret + at, max - at, NOTE_DASH "%s %s\n", key->name, b64);
		if (n < 0 || (size_t)n >= max - at)
			return 0;
		at += (size_t)n;
		lines++;
	}
	int n = snprintf(ret + at, max - at, "%s", line);
	return n > 0 && (size_t)n < max - at ? at + (size_t)n : 0;
}

/* A witness's times never go back: "as of this time the largest" would contradict what it said before. */
static bool choose_time(struct decision *d, uint64_t now_s, uint64_t *ret_time_s)
{
	*ret_time_s = now_s;
	if (!d->known || now_s >= d->last.time_s)
		return true;
	if (d->last.time_s - now_s > WITNESS_CLOCK_BACK_S_MAX)
		return refuse_why(d, WITNESS_CLOCK_BEHIND,
			"the clock of this witness is far behind its last cosignature");
	*ret_time_s = d->last.time_s;
	return true;
}

/* False: another request came between; decide again from what is cosigned now. */
static bool cosign_and_keep(struct decision *d, uint64_t now_s)
{
	char line[COSIGN_LINE_MAX], keep[NOTE_BYTES_MAX];
	struct witness_head now = { .size = d->checkpoint.size, .root = d->checkpoint.root };

	if (!choose_time(d, now_s, &now.time_s))
		return true;
	assert(!d->known || (now.time_s >= d->last.time_s && now.size >= d->last.size));
	size_t line_n = cosign_line(
		line, sizeof line, d->note.text, d->note.text_n, &d->w->key, d->w->seed, now.time_s);
	size_t keep_n = line_n ? note_to_keep(d, keep, sizeof keep, line) : 0;
	if (keep_n == 0) {
		refuse_why(d, WITNESS_MALFORMED, "the checkpoint leaves no room for a cosignature");
		return true;
	}
	enum rc rc = d->w->store.put(d->w->store.context, d->checkpoint.origin, d->known ? &d->last : NULL,
		&now, keep, keep_n, &d->e);
	if (rc == RC_AGAIN)
		return false;
	if (rc != RC_OK) {
		refuse(d, WITNESS_STORE_FAILED);
		return true;
	}
	d->answer->status = WITNESS_COSIGNED;
	d->answer->content_type = "text/plain; charset=utf-8";
	d->answer->body_n = line_n;
	memcpy(d->answer->body, line, line_n + 1);
	return true;
}

_Static_assert(sizeof((struct witness_answer *)0)->body >= COSIGN_LINE_MAX, "the line fits");
_Static_assert(sizeof((struct witness_answer *)0)->body > ERR_TEXT_MAX, "and so does a sentence");

void witness_add_checkpoint(const struct witness *w, const void *body, size_t n, uint64_t now_s,
	struct witness_answer *ret_answer)
{
	struct decision d = { .w = w, .answer = ret_answer };

	memset(ret_answer, 0, sizeof *ret_answer);
	if (!read_request(&d, body, n) || !check_signature(&d))
		return;
	for (int tries = 0; tries < WITNESS_TRIES_MAX; tries++) {
		err_clear(&d.e);
		if (!check_growth(&d) || cosign_and_keep(&d, now_s))
			return;
	}
	refuse_why(&d, WITNESS_STORE_FAILED, "too many requests for this log at once");
}
