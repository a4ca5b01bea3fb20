/*
 * Public keys of SSH, as authorized_keys and ssh-keygen have them, and signatures by them. Keys are plain values without pointers.
 *
 *   text:        "ssh-ed25519 AAAA... comment" (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options)
 *   blob:        RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4; those of tokens: PROTOCOL.u2f of OpenSSH
 *   signature:   RFC 5656 section 3.1.2, RFC 8332 section 3, RFC 8709 section 6; those of tokens: PROTOCOL.u2f
 *
 * Strict: one text has one key, one key has one blob (numbers in their shortest form, points uncompressed and on their curve), and nothing may be
 * left over. Keys of certificates, DSA, and RSA below 3072 bits are no keys here. Pure; callers: src/model, src/verify, proc/control. Any thread.
 */
#ifndef ADMIN_SSH_KEY_H
#define ADMIN_SSH_KEY_H

#include "base/bytes.h"
#include "base/err.h"

/* clang-format off */
#define SSH_KEY_TYPES(T) /* id, name, what a person calls it */					\
	T(ED25519,    "ssh-ed25519",                        "Ed25519")				\
	T(ECDSA_P256, "ecdsa-sha2-nistp256",                "ECDSA P-256")			\
	T(ECDSA_P384, "ecdsa-sha2-nistp384",                "ECDSA P-384")			\
	T(ECDSA_P521, "ecdsa-sha2-nistp521",                "ECDSA P-521")			\
	T(RSA,        "ssh-rsa",                            "RSA")				\
	T(SK_ED25519, "sk-ssh-ed25519@openssh.com",         "Ed25519 in a security key")	\
	T(SK_ECDSA,   "sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA P-256 in a security key")
/* clang-format on */

enum ssh_key_type {
	SSH_KEY_NONE,
#define E(id, name, text) SSH_KEY_##id,
	SSH_KEY_TYPES(E) SSH_KEY_TYPE_COUNT
#undef E
};

#define SSH_KEY_RSA_BITS_MIN 3072
#define SSH_KEY_BLOB_MAX                                                                                     \
	1056 /* RSA of 8192 bits (crypto/rsa.h) with an exponent of 8 octets: 4 + 7, 4 + 9, 4 + 1025 */
#define SSH_KEY_TEXT_MAX     1460 /* name, space, and the blob in base64, with the terminator */
#define SSH_KEY_COMMENT_MAX  255  /* octets of a comment that are accepted */
#define SSH_APPLICATION_MAX  128  /* octets of the application that a security key's key is for ("ssh:") */
#define SSH_FINGERPRINT_SIZE 51	  /* "SHA256:", 43 digits of base64, the terminator */
#define SSH_SIGNATURE_MAX    1060 /* RSA of 8192 bits: 4 + 12, 4 + 1024; ECDSA P-521 with its name takes 168 */

struct ssh_key {
	uint32_t type; /* enum ssh_key_type */
	uint32_t n;
	uint8_t blob[SSH_KEY_BLOB_MAX];
};

/* "ssh-ed25519"; "none" for a value that is no type. */
const char *ssh_key_type_name(uint32_t type);

/*
 * One line without its line feed. RC_MALFORMED; RC_UNSUPPORTED: a type that is none of these, or RSA with too few bits. *ret_comment, when asked for,
 * is a view of what follows the key, of *ret_comment_n octets.
 */
enum rc ssh_key_parse(struct ssh_key *ret_key, const char *text, size_t n, const char **ret_comment,
	size_t *ret_comment_n, struct err *e);
enum rc ssh_key_from_blob(struct ssh_key *ret_key, const void *blob, size_t n, struct err *e);
bool ssh_key_equal(const struct ssh_key *a, const struct ssh_key *b);

/* Name, space and base64, without a comment. ret_text holds SSH_KEY_TEXT_MAX. Returns ret_text. */
/* for tests: nothing prints it yet */
char *ssh_key_text(char *ret_text, const struct ssh_key *key);
/* "SHA256:..." as `ssh-keygen -l` prints it. Returns ret_text. */
char *ssh_key_fingerprint(char ret_text[SSH_FINGERPRINT_SIZE], const struct ssh_key *key);

/*
 * A signature in the form of RFC 4253 section 6.6 over message. RSA: by rsa-sha2-256 and rsa-sha2-512 alone. Security keys: the person must have
 * been present (the flag UP); what else the flags and the counter say is signed, and not judged.
 * RC_OK; RC_AUTH: not by this key over this message, or without a touch; RC_MALFORMED; RC_UNSUPPORTED: an algorithm that is none of the key's.
 */
enum rc ssh_key_verify(const struct ssh_key *key, const void *message, size_t n, const void *signature,
	size_t signature_n, struct err *e);

#endif
