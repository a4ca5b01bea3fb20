/*
 * Answers of a witness that lies: status (two octets), old size (one octet), body. It is taken for a
 * cosignature only when the line that comes out of it verifies in the note that was sent. The last octet of
 * the body says whether a true cosignature is put in front, with octets behind it that the input chose.
 */
#include "witness_fixture.h"

#include <assert.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct fixture f;
	static char note[1024], body[32768], whole[2048];
	static size_t note_n;
	static struct note sent;
	struct witness_reply r;
	struct checkpoint c;
	struct err e = { 0 };

	if (note_n == 0) {
		fixture_init(&f);
		struct merkle_hash root = fixture_root(&f, 0, 20);
		note_n = fixture_note(&f, note, sizeof note, 0, NULL, 20, &root);
		enum rc rc = note_parse(&sent, note, note_n, NULL);
		assert(rc == RC_OK);
	}
	if (n < 4 || n > 20000)
		return 0;
	int status = data[0] & 1 ? 200 : data[0] & 2 ? 409 : data[0] << 8 | data[1];
	size_t body_n = 0;
	if (data[n - 1] & 1)
		body_n = cosign_line(
			body, sizeof body, sent.text, sent.text_n, &f.witness.key, f.witness.seed, data[1]);
	memcpy(body + body_n, data + 3, n - 4);
	body_n += n - 4;
	witness_reply_read(&r, &f.witness.key, note, note_n, data[2] % 22, status, body, body_n, &e);
	assert(r.outcome <= WITNESS_OUTCOME_BROKEN);
	assert((r.outcome == WITNESS_OUTCOME_GOOD) == (e.text[0] == 0));
	if (r.outcome == WITNESS_OUTCOME_GOOD) {
		struct note merged;
		uint64_t time_s;
		int whole_n = snprintf(whole, sizeof whole, "%.*s%s", (int)note_n, note, r.line);
		assert(status == 200);
		enum rc rc = note_parse(&merged, whole, (size_t)whole_n, NULL);
		assert(rc == RC_OK && cosign_verify(&merged, &f.witness.key, &time_s, NULL) == RC_OK);
		assert(time_s == r.time_s && r.size == 20);
	}
	enum rc rc = witness_seen_parse(&c, NULL, &f.log[0], &f.witness.key, body, body_n, NULL);
	assert(rc != RC_OK);
	return 0;
}
