/*
 * AES-CBC with HMAC-SHA-2 by libIPSec_MB's job interface (RFC 3602, RFC 4868), for old peers: encrypt, then MAC over all of the packet.
 * CBC encrypts block after block, and SHA-2 is no faster on one message: the library does several packets at a time, in lanes. So packets are
 * handed in one by one, and are complete after esp_cbc_finish().
 *
 * The IV has to be unpredictable (RFC 3602 section 3). It is the sequence number, which never comes again under a key, encrypted under the
 * same key (NIST SP 800-38A appendix C, the first method): to encrypt from a zero IV on, with the number as the first block, gives just that.
 */
#ifndef ESP_CBC_H
#define ESP_CBC_H

#include "base/bytes.h"
#include "model/algorithms.h"

#include <intel-ipsec-mb.h>

#define ESP_CBC_HEAD (8 + CBC_BLOCK_SIZE) /* SPI, sequence number, IV */

struct esp_cbc_key {
	_Alignas(16) uint32_t encrypt[4 * 15];
	_Alignas(16) uint32_t decrypt[4 * 15];
	_Alignas(16) uint8_t inner[INTEG_KEY_MAX]; /* HMAC after its first block, of both hashes */
	_Alignas(16) uint8_t outer[INTEG_KEY_MAX];
	IMB_HASH_ALG hash;
	uint32_t key_n, icv_n;
};

/* keymat: the encryption key, then the integrity key; esp_key_check() has seen the sizes. */
void esp_cbc_key_set(
	IMB_MGR *mgr, struct esp_cbc_key *key, uint16_t encr, uint16_t encr_bits, const uint8_t *keymat);

/*
 * packet: SPI, sequence number, room for the IV, n octets that are to be encrypted (whole blocks), and room for the ICV. The packet and the key
 * stay where they are until esp_cbc_finish(). sequence: all 64 bits; its upper half is authenticated and not sent with ESN (RFC 4303 section
 * 2.2.1).
 */
void esp_cbc_seal(IMB_MGR *mgr, const struct esp_cbc_key *key, uint8_t *packet, uint32_t n, uint64_t sequence,
	bool esn);
void esp_cbc_finish(IMB_MGR *mgr);

/*
 * packet: from the SPI to the ICV, with n octets of ciphertext (whole blocks). They are decrypted to dst, once the ICV was found to be right;
 * dst has room for the packet, and may be its own place. False: it is not authentic, and dst is undefined.
 */
bool esp_cbc_open(IMB_MGR *mgr, const struct esp_cbc_key *key, const uint8_t *packet, uint32_t n,
	uint64_t sequence, bool esn, uint8_t *dst);

#endif
