/* .tlog-proof files: what is read is written again to the same bytes, and no foreign note satisfies a policy.
 */
#include "merkle/proof.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tlog_proof p;
	static struct policy policy;
	static char text[TLOG_PROOF_BYTES_MAX + 1];
	struct merkle_hash leaf = merkle_leaf("leaf", 4);
	struct tlog_proof_verdict v;
	struct err e = { 0 };

	if (policy.logs_n == 0) {
		const char *vkey = "log example.com/log/testdata+33d7b496+"
				   "AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\nquorum none\n";
		enum rc rc = policy_parse(&policy, vkey, strlen(vkey), NULL);
		assert(rc == RC_OK);
	}
	if (tlog_proof_parse(&p, data, n, &e) != RC_OK) {
		assert(e.text[0]);
		return 0;
	}
	if (p.note_n <= NOTE_BYTES_MAX && !memchr(p.note, 0, p.note_n)) {
		size_t text_n = tlog_proof_text(&p, text, sizeof text);
		assert(text_n == n && memcmp(text, data, n) == 0);
	}
	enum rc rc = tlog_proof_check(&p, &leaf, &policy, &v, NULL);
	assert(rc != RC_OK);
	return 0;
}
