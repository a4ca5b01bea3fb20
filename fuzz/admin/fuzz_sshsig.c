/*
 * A signature, armoured or as a blob, that somebody sends. An armour that is read is written and read again to the same blob, and no signature that a
 * fuzzer finds is one over this text, unless it is that of the seeds.
 */
#include "admin/sshsig.h"
#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void judge(const uint8_t *blob, size_t n)
{
	struct ssh_key key, signer;
	enum rc rc = sshsig_key(&key, blob, n, NULL);

	MUST((rc == RC_OK) == (key.type != SSH_KEY_NONE));
	MUST(sshsig_verify(&signer, blob, n, "plaingate-commit", "another text", 12, NULL) != RC_OK);
	MUST(signer.type == SSH_KEY_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t blob[SSHSIG_BLOB_MAX], again[SSHSIG_BLOB_MAX];
	char armor[SSHSIG_ARMOR_MAX];
	size_t blob_n, again_n;

	judge(data, n);
	if (sshsig_from_armor(blob, &blob_n, (const char *)data, n, NULL) == RC_OK) {
		MUST(blob_n > 0 && blob_n <= sizeof blob);
		size_t armor_n = sshsig_armor(armor, blob, blob_n);
		MUST(armor_n > 0 && armor_n < sizeof armor);
		MUST(sshsig_from_armor(again, &again_n, armor, armor_n, NULL) == RC_OK);
		MUST(again_n == blob_n && memcmp(again, blob, blob_n) == 0);
		judge(blob, blob_n);
	} else {
		MUST(blob_n == 0);
	}
	return 0;
}
