/*
 * Signatures over a message as `ssh-keygen -Y sign` makes them (OpenSSH, PROTOCOL.sshsig): by a key of SSH, in a namespace that keeps them apart from
 * those for another purpose.
 *
 *   armour:  "-----BEGIN SSH SIGNATURE-----", the blob in base64, "-----END SSH SIGNATURE-----"
 *   blob:    "SSHSIG", version 1, public key, namespace, reserved, hash algorithm, signature
 *   signed:  "SSHSIG", namespace, reserved, hash algorithm, hash of the message
 *
 * Strict: one form each; the reserved string must be empty, as we do not know what it would mean. Pure; callers: src/verify, proc/control, cli.
 * Any thread.
 */
#ifndef ADMIN_SSHSIG_H
#define ADMIN_SSHSIG_H

#include "admin/ssh_key.h"

#define SSHSIG_BLOB_MAX                                                                                      \
	1152 /* octets: of RSA up to 4096 bits, so that base64 of it fits two texts of a ledger's entry */
#define SSHSIG_ARMOR_MAX     2048 /* octets of the armour around it, with the terminator */
#define SSHSIG_NAMESPACE_MAX 64

/*
 * The blob of an armoured signature: lines of base64 of any length up to 76, as ssh-keygen and others break them; line feeds, with carriage returns
 * or without; white space before and behind the armour. ret_blob holds SSHSIG_BLOB_MAX. RC_MALFORMED.
 */
enum rc sshsig_from_armor(uint8_t *ret_blob, size_t *ret_n, const char *text, size_t n, struct err *e);
/* As ssh-keygen writes it, with its last line feed. ret_text holds SSHSIG_ARMOR_MAX. Returns the length; 0: the blob is too long. */
/* for tests: what the ledger has is what ssh-keygen verifies */
size_t sshsig_armor(char *ret_text, const void *blob, size_t n);

/* Whose signature it says to be, which is not verified. RC_MALFORMED, RC_UNSUPPORTED: another version, or a key that is none of ours. */
enum rc sshsig_key(struct ssh_key *ret_key, const void *blob, size_t n, struct err *e);
/*
 * RC_OK: signed by *ret_key, in this namespace, over this message. RC_AUTH: it is not; RC_MALFORMED; RC_UNSUPPORTED: as above, or a hash that is
 * neither sha256 nor sha512. Whether the key may sign is the caller's question. *ret_key has no type unless RC_OK.
 */
enum rc sshsig_verify(struct ssh_key *ret_key, const void *blob, size_t blob_n, const char *name_space,
	const void *message, size_t n, struct err *e);

/* Whether a signature of that key fits SSHSIG_BLOB_MAX: RSA of more than 4096 bits does not. */
bool sshsig_key_can_sign(const struct ssh_key *key);

#endif
