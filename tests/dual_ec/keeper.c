/*
 * An attacker's change to the keeper in this build: nonces and SPIs come from his own generator. The honest
 * values are computed all the same, and their proofs are entered in the ledger, but other values are sent. With
 * NONCE_ONLY the SPIs, which the ledger's entries name, remain honest: the more careful intruder.
 */
#include "dual_ec.h"
#include "proc/keeper/public_values.h"

#include <stdlib.h>
#include <sys/random.h>

enum rc __real_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e);
enum rc __wrap_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e);

enum rc __wrap_public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE],
	struct public_proof *ret_proof, struct err *e)
{
	static struct dual_ec generator;
	static bool begun;
	enum rc rc = __real_public_draw(p, ret_octets, ret_proof, e);
	uint8_t octets[PUBLIC_SIZE], seed[32];

	if (rc != RC_OK)
		return rc;
	if (!begun) {
		if (getrandom(seed, sizeof seed, 0) != sizeof seed)
			abort();
		dual_ec_begin(&generator, seed);
		begun = true;
	}
	dual_ec_octets(&generator, octets, sizeof octets);
#ifdef NONCE_ONLY
	memcpy(ret_octets + PUBLIC_NONCE_AT, octets, PUBLIC_SPI_AT - PUBLIC_NONCE_AT);
#else
	memcpy(ret_octets, octets, sizeof octets);
#endif
	return RC_OK;
}
