/*
 * Verifier keys, signed notes, checkpoints. The input is a note; its text is tried as a checkpoint, the
 * input's first line as a key. What is read is written to the same bytes, and the one key that is known has
 * signed one text only.
 */
#include "merkle/note.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KNOWN_VKEY "plaingate/ledger/test+c7c17317+AeKAR67K4rybcxv/MYzCB2K8HnqG8SsOg1keUZVvCjVw"
/* The text of seeds/fuzz_note/signed. */
static const char known_text[] = "plaingate/ledger/test\n5\nIyeh7Dm94PDMoVrIprrMXEDRoCnRnwbSPFusYm9JXGc=\n";

static void key(const char *text, size_t n)
{
	char again[NOTE_VKEY_MAX];
	struct note_key k;
	struct err e = { 0 };

	if (note_key_parse(&k, text, n, &e) != RC_OK) {
		assert(e.text[0]);
		return;
	}
	note_key_text(again, &k);
	assert(strlen(again) == n && memcmp(again, text, n) == 0);
}

static void checkpoint(const char *text, size_t n)
{
	char again[NOTE_NAME_MAX + 96];
	struct checkpoint c, foreign;
	enum rc rc = checkpoint_parse(&c, text, n, NULL);

	if (rc == RC_OK) {
		assert(checkpoint_text(again, sizeof again, &c) == n && memcmp(again, text, n) == 0);
		rc = checkpoint_parse_foreign(&foreign, text, n, NULL);
		assert(rc == RC_OK && foreign.size == c.size && merkle_equal(&foreign.root, &c.root));
	} else {
		checkpoint_parse_foreign(&foreign, text, n, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct note_key known;
	const uint8_t *lf = n ? memchr(data, '\n', n) : NULL;
	struct note note;
	struct err e = { 0 };

	if (!known.name[0] && note_key_parse(&known, KNOWN_VKEY, strlen(KNOWN_VKEY), NULL) != RC_OK)
		assert(!"the known key");
	key((const char *)data, lf ? (size_t)(lf - data) : n);
	checkpoint((const char *)data, n);
	if (note_parse(&note, data, n, &e) != RC_OK) {
		assert(e.text[0]);
		return 0;
	}
	assert(note.text == (const char *)data && note.text_n < n && note.text[note.text_n - 1] == '\n');
	assert(note.signatures_n > 0 && note.signatures_n <= NOTE_SIGNATURES_MAX);
	for (size_t i = 0; i < note.signatures_n; i++) {
		const struct note_signature *s = &note.signature[i];
		assert(s->name_n > 0 && s->name >= note.text + note.text_n &&
			s->name + s->name_n < (const char *)data + n);
		assert(s->bytes_n <= sizeof s->bytes);
	}
	checkpoint(note.text, note.text_n);
	if (note_verify(&note, &known, NULL) == RC_OK)
		assert(note.text_n == sizeof known_text - 1 &&
			memcmp(note.text, known_text, note.text_n) == 0);
	return 0;
}
