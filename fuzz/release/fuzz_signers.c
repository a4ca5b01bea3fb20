/* A file that says who may sign: of one that is read, enough can sign, each once. */
#include "must.h"
#include "release/release.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct release_signers s;
	uint32_t there[RELEASE_ROLE_COUNT] = { 0 };
	struct err e = { 0 };

	if (release_signers_parse(&s, (const char *)data, n, &e) != RC_OK) {
		MUST(e.text[0]);
		return 0;
	}
	MUST(s.needed[RELEASE_MAINTAINER] > 0 && s.n <= RELEASE_SIGNERS_MAX);
	for (size_t i = 0; i < s.n; i++) {
		MUST(s.signer[i].name[0] && s.signer[i].key.type != SSH_KEY_NONE &&
			s.signer[i].role < RELEASE_ROLE_COUNT);
		there[s.signer[i].role]++;
		for (size_t k = 0; k < i; k++)
			MUST(!ssh_key_equal(&s.signer[i].key, &s.signer[k].key) &&
				strcmp(s.signer[i].name, s.signer[k].name) != 0);
	}
	for (unsigned role = 0; role < RELEASE_ROLE_COUNT; role++)
		MUST(s.needed[role] <= there[role]);
	return 0;
}
