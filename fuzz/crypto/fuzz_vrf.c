/*
 * vrf_verify() against whatever a stranger sends. The first octet chooses what the rest is:
 *   0: public key, proof, alpha, all foreign
 *   1: proof and alpha for a key of ours: it may verify only when it is the proof that we would make
 *   2: a proof of ours for this alpha, with octets changed by the input
 * Whatever verifies has one output, and it is that of the proof.
 */
#include "crypto/vrf.h"

#include <assert.h>

static struct vrf_key ours;

static void judge(const uint8_t *public_key, const uint8_t *alpha, size_t n, const uint8_t *proof)
{
	uint8_t hash[VRF_HASH_SIZE], of_proof[VRF_HASH_SIZE], made[VRF_PROOF_SIZE], of_made[VRF_HASH_SIZE];
	enum rc rc = vrf_verify(public_key, alpha, n, proof, hash);

	assert(rc == RC_OK || rc == RC_AUTH || rc == RC_MALFORMED);
	if (rc != RC_OK)
		return;
	rc = vrf_proof_hash(proof, of_proof);
	assert(rc == RC_OK && memcmp(hash, of_proof, sizeof hash) == 0);
	if (memcmp(public_key, ours.public_key, VRF_PUBLIC_SIZE) != 0)
		return;
	rc = vrf_prove(&ours, alpha, n, made);
	assert(rc == RC_OK && vrf_proof_hash(made, of_made) == RC_OK);
	assert(memcmp(of_made, hash, sizeof hash) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t seed[VRF_SEED_SIZE] = { 1, 2, 3 };
	uint8_t proof[VRF_PROOF_SIZE];

	if (seed[0] != 0) {
		enum rc rc = vrf_key_make(&ours, seed);
		assert(rc == RC_OK);
		seed[0] = 0;
	}
	if (n < 1 || n > 1024)
		return 0;
	uint8_t way = data[0] % 3;
	data++;
	n--;
	if (way == 0 && n >= VRF_PUBLIC_SIZE + VRF_PROOF_SIZE)
		judge(data, data + VRF_PUBLIC_SIZE + VRF_PROOF_SIZE, n - VRF_PUBLIC_SIZE - VRF_PROOF_SIZE,
			data + VRF_PUBLIC_SIZE);
	if (way == 1 && n >= VRF_PROOF_SIZE)
		judge(ours.public_key, data + VRF_PROOF_SIZE, n - VRF_PROOF_SIZE, data);
	if (way == 2) {
		enum rc rc = vrf_prove(&ours, data, n, proof);
		assert(rc == RC_OK);
		for (size_t i = 0; i + 1 < n; i += 2)
			proof[data[i] % VRF_PROOF_SIZE] ^= data[i + 1];
		judge(ours.public_key, data, n, proof);
	}
	return 0;
}
