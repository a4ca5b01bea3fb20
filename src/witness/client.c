#include "witness/client.h"
#include "merkle/lines.h"

#include <stdio.h>
#include <string.h>

size_t witness_request_text(char *ret_body, size_t max, uint64_t old, const struct merkle_proof *proof,
	const char *note, size_t note_n)
{
	size_t proof_n = proof ? proof->n : 0;
	char b64[BASE64_SIZE(SHA256_SIZE)];
	int added = snprintf(ret_body, max, "old %llu\n", (unsigned long long)old);

	if (proof_n > WITNESS_PROOF_MAX || added < 0 || (size_t)added >= max)
		return 0;
	size_t n = (size_t)added;
	for (size_t i = 0; i < proof_n; i++) {
		base64_from_bytes(b64, proof->hash[i].b, sizeof proof->hash[i].b);
		added = snprintf(ret_body + n, max - n, "%s\n", b64);
		if (added < 0 || (size_t)added >= max - n)
			return 0;
		n += (size_t)added;
	}
	if (note_n >= max - n) /* the empty line as well */
		return 0;
	ret_body[n++] = '\n';
	memcpy(ret_body + n, note, note_n);
	return n + note_n;
}

/* The witness's lines among those of the answer, judged as if they stood in the note. */
static enum rc cosignature_read(struct witness_reply *r, const struct note_key *witness,
	const struct note *sent, const char *body, size_t body_n, struct err *e)
{
	char bytes[NOTE_BYTES_MAX];
	uint8_t blob[4 + 72];
	char b64[BASE64_SIZE(sizeof blob)];
	struct note note;

	if (sent->text_n + 1 + body_n > sizeof bytes)
		return err_add(e, RC_LIMIT, "the witness's answer is too long");
	memcpy(bytes, sent->text, sent->text_n);
	bytes[sent->text_n] = '\n';
	memcpy(bytes + sent->text_n + 1, body, body_n);
	enum rc rc = note_parse(&note, bytes, sent->text_n + 1 + body_n, e);
	/* An empty line in the answer would move the end of the text: then it is another note. */
	if (rc == RC_OK && note.text_n != sent->text_n)
		rc = err_add(e, RC_MALFORMED, "malformed answer of the witness: expected signature lines");
	if (rc == RC_OK)
		rc = cosign_verify(&note, witness, &r->time_s, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < note.signatures_n; i++) {
		const struct note_signature *s = &note.signature[i];
		/* cosign_verify() found each line of this name and id right, so its size is that of a
		 * cosignature. */
		if (s->name_n != strlen(witness->name) || memcmp(s->name, witness->name, s->name_n) != 0 ||
			memcmp(s->id, witness->id, 4) != 0 || load_be64(s->bytes) != r->time_s)
			continue;
		memcpy(blob, s->id, 4);
		memcpy(blob + 4, s->bytes, sizeof blob - 4);
		base64_from_bytes(b64, blob, sizeof blob);
		snprintf(r->line, sizeof r->line, NOTE_DASH "%s %s\n", witness->name, b64);
	}
	return RC_OK;
}

static enum witness_outcome conflict_read(struct witness_reply *r, const struct checkpoint *sent,
	uint64_t old, const char *body, size_t body_n, struct err *e)
{
	bool same_size = old == sent->size;

	if (body_n < 2 || body[body_n - 1] != '\n' || !line_decimal(body, body_n - 1, &r->size)) {
		r->size = 0;
		if (same_size) { /* older witnesses answer a different root so, without a size */
			err_add(e, RC_DENIED, "the witness has cosigned another root for this size");
			return WITNESS_OUTCOME_DISAGREES;
		}
		err_add(e, RC_MALFORMED, "malformed answer of the witness: 409 without the size that it has");
		return WITNESS_OUTCOME_BROKEN;
	}
	if (r->size > sent->size) {
		err_add(e, RC_DENIED,
			"the witness claims to have cosigned %llu entries of this log, which has %llu",
			(unsigned long long)r->size, (unsigned long long)sent->size);
		return WITNESS_OUTCOME_AHEAD;
	}
	if (r->size != old) {
		err_add(e, RC_AGAIN, "the witness has %llu entries of this log, the request assumed %llu",
			(unsigned long long)r->size, (unsigned long long)old);
		return WITNESS_OUTCOME_RETRY;
	}
	if (same_size) {
		err_add(e, RC_DENIED, "the witness has cosigned another root for this size");
		return WITNESS_OUTCOME_DISAGREES;
	}
	err_add(e, RC_MALFORMED, "malformed answer of the witness: 409 with the old size of the request");
	return WITNESS_OUTCOME_BROKEN;
}

static enum witness_outcome refusal_read(int status, struct err *e)
{
	switch (status) {
	case WITNESS_UNKNOWN_LOG:
		err_add(e, RC_NOT_FOUND, "the witness does not know this log");
		return WITNESS_OUTCOME_UNKNOWN;
	case WITNESS_WRONG_KEY:
		err_add(e, RC_AUTH, "the witness does not accept the log's signature");
		return WITNESS_OUTCOME_REFUSED;
	case WITNESS_INCONSISTENT:
		err_add(e, RC_DENIED, "the witness has cosigned a tree that this log does not continue");
		return WITNESS_OUTCOME_DISAGREES;
	default:
		break;
	}
	if (status == 429 || (status >= 500 && status <= 599)) {
		err_add(e, RC_AGAIN, "the witness is busy (status %d)", status);
		return WITNESS_OUTCOME_BUSY;
	}
	err_add(e, RC_MALFORMED, "the witness refused the request (status %d)%s", status,
		status >= 300 && status <= 399 ? ": redirects are not followed; correct its URL" : "");
	return WITNESS_OUTCOME_BROKEN;
}

void witness_reply_read(struct witness_reply *ret_reply, const struct note_key *witness, const char *note,
	size_t note_n, uint64_t old, int status, const void *body, size_t body_n, struct err *e)
{
	struct checkpoint checkpoint;
	struct note sent;

	memset(ret_reply, 0, sizeof *ret_reply);
	enum rc rc = note_parse(&sent, note, note_n, NULL);
	if (rc == RC_OK)
		rc = checkpoint_parse_foreign(&checkpoint, sent.text, sent.text_n, NULL);
	ret_reply->outcome = WITNESS_OUTCOME_BROKEN;
	if (rc != RC_OK) {
		err_add(e, rc, "the request to the witness had no valid checkpoint");
		return;
	}
	if (status == WITNESS_CONFLICT) {
		ret_reply->outcome = conflict_read(ret_reply, &checkpoint, old, body, body_n, e);
		return;
	}
	if (status != WITNESS_COSIGNED) {
		ret_reply->outcome = refusal_read(status, e);
		return;
	}
	if (cosignature_read(ret_reply, witness, &sent, body, body_n, e) == RC_OK) {
		ret_reply->outcome = WITNESS_OUTCOME_GOOD;
		ret_reply->size = checkpoint.size;
	} else {
		*ret_reply = (struct witness_reply){ .outcome = WITNESS_OUTCOME_BROKEN };
	}
}

enum rc witness_seen_parse(struct checkpoint *ret_checkpoint, uint64_t *ret_time_s,
	const struct note_key *log, const struct note_key *witness, const void *note, size_t note_n,
	struct err *e)
{
	struct checkpoint c;
	struct note n;
	enum rc rc = note_parse(&n, note, note_n, e);

	if (rc == RC_OK)
		rc = checkpoint_parse_foreign(&c, n.text, n.text_n, e);
	if (rc == RC_OK && strcmp(c.origin, log->name) != 0)
		rc = err_add(e, RC_AUTH, "the note has the origin '%s', expected '%s'", c.origin, log->name);
	if (rc == RC_OK)
		rc = note_verify(&n, log, e);
	if (rc == RC_OK)
		rc = cosign_verify(&n, witness, ret_time_s, e);
	if (rc == RC_OK)
		*ret_checkpoint = c;
	return rc;
}
