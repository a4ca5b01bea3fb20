/*
 * A line of a public key: what is accepted is written and read again to the same key, and no key that a fuzzer finds has signed this. What is refused
 * leaves no key.
 */
#include "admin/ssh_key.h"
#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[SSH_KEY_TEXT_MAX], fingerprint[SSH_FINGERPRINT_SIZE];
	const char *line = (const char *)data, *comment = NULL;
	struct ssh_key key, again;
	size_t comment_n = 0;

	if (ssh_key_parse(&key, line, n, &comment, &comment_n, NULL) == RC_OK) {
		ssh_key_text(text, &key);
		size_t text_n = strlen(text);
		MUST(text_n + (comment_n > 0) + comment_n <= n && memcmp(text, data, text_n) == 0);
		MUST(comment + comment_n == line + n);
		MUST(ssh_key_parse(&again, text, text_n, NULL, NULL, NULL) == RC_OK &&
			ssh_key_equal(&key, &again));
		MUST(ssh_key_from_blob(&again, key.blob, key.n, NULL) == RC_OK &&
			ssh_key_equal(&key, &again));
		MUST(strlen(ssh_key_fingerprint(fingerprint, &key)) == SSH_FINGERPRINT_SIZE - 1);
		MUST(ssh_key_verify(&key, "text", 4, comment, comment_n, NULL) != RC_OK);
	} else {
		MUST(key.type == SSH_KEY_NONE && key.n == 0);
	}
	if (ssh_key_from_blob(&key, data, n, NULL) == RC_OK)
		MUST(key.n == n && memcmp(key.blob, data, n) == 0);
	return 0;
}
