/*
 * Attestations: what is read has one form only: its cosignatures, added one by one in another order, make the
 * same text again. Judged by a policy of two witnesses, whose seed inputs are in the tree: no verdict but
 * those that the header names, and never a quorum without both.
 */
#include "merkle/attest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WITNESSES 2

static struct policy policy;

static void policy_make(void)
{
	char text[WITNESSES * (NOTE_VKEY_MAX + 32) + 64], vkey[NOTE_VKEY_MAX];
	int at = 0;

	for (uint8_t i = 0; i < WITNESSES; i++) {
		uint8_t seed[32] = { i }, public_key[32];
		struct note_key key;

		ed25519_public(public_key, seed);
		enum rc rc = note_key_make(&key, "example.com/w", NOTE_COSIGNATURE_ED25519, public_key);
		assert(rc == RC_OK);
		at += snprintf(text + at, sizeof text - (size_t)at, "witness w%u %s\n", i,
			note_key_text(vkey, &key));
	}
	at += snprintf(text + at, sizeof text - (size_t)at, "group both all w0 w1\nquorum both\n");
	enum rc rc = policy_parse(&policy, text, (size_t)at, NULL);
	assert(rc == RC_OK);
}

/* The cosignatures of the text, from the `first` on and then those before it. */
static void add_again(const char *text, size_t n, uint64_t size, size_t blobs, size_t first)
{
	char again[ATTEST_TEXT_MAX + 1] = "", line[256];
	size_t head = (size_t)((const char *)memchr(text, ' ', n) - text), blob_n = (n - head) / blobs;

	for (size_t i = 0; i < blobs; i++) {
		const char *blob = text + head + (first + i) % blobs * blob_n;
		int line_n = snprintf(line, sizeof line, "\xe2\x80\x94 name%.*s\n", (int)blob_n, blob);
		assert(line_n > 0 && (size_t)line_n < sizeof line);
		bool added = attest_add(again, size, line);
		assert(added);
		assert(!attest_add(again, size, line)); /* each witness once */
		assert(!attest_add(again, size + 1, line));
	}
	assert(strlen(again) == n && memcmp(again, text, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct checkpoint of = { .origin = "example.com/log" };
	const char *text = (const char *)data;
	char grown[ATTEST_TEXT_MAX + 1] = "", line[ATTEST_TEXT_MAX];
	struct policy_verdict verdict;
	size_t blobs;

	if (policy.witnesses_n == 0)
		policy_make();
	if (n > 0 && n < sizeof line) { /* as a line that a witness answered */
		memcpy(line, data, n);
		line[n] = '\0';
		if (attest_add(grown, 7, line)) {
			bool good = attest_read(grown, strlen(grown), &of.size, &blobs);
			assert(good && of.size == 7 && blobs == 1);
		}
	}
	if (!attest_read(text, n, &of.size, &blobs)) {
		assert(attest_judge(text, n, &of, &policy, &verdict, NULL) == RC_MALFORMED);
		return 0;
	}
	assert(of.size > 0 && blobs > 0 && n <= ATTEST_TEXT_MAX);
	for (size_t first = 0; first < blobs; first++)
		add_again(text, n, of.size, blobs, first);
	enum rc rc = attest_judge(text, n, &of, &policy, &verdict, NULL);
	assert(rc == RC_OK || rc == RC_NOT_FOUND || rc == RC_AUTH);
	assert(rc != RC_OK || verdict.signed_mask == (1u << WITNESSES) - 1);
	return 0;
}
