/*
 * RSA of a peer: octets as its key and its signature, and as the identifier of its algorithm. No key that a fuzzer finds has signed this, and
 * an identifier that is known is one of the few that are.
 */
#include "crypto/rsa.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum rsa_padding padding;
	uint8_t der[RSA_ALGORITHM_MAX];
	uint16_t hash = rsa_algorithm_find(data, n, &padding);
	size_t half = n / 2;

	MUST(hash == 0 || (padding == RSA_PSS ? n <= rsa_algorithm(hash, der) : n == 15));
	MUST(rsa_check(data, n, RSA_PSS, HASH_SHA2_256, "text", 4, data, n, NULL) != RC_OK);
	MUST(rsa_check(data, half, RSA_PSS, HASH_SHA2_256, "text", 4, data + half, n - half, NULL) != RC_OK);
	MUST(!rsa_is_spki(data, n) || n > 15);
	return 0;
}
