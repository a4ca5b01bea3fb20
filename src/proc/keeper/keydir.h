/*
 * The key directory: NAME.psk, NAME.ppk and NAME.pem into the core.
 *
 *   NAME.psk   a pre-shared key: the first line as text, or "0x" and hexadecimal digits, or "0s" and base64
 *   NAME.ppk   a post-quantum pre-shared key (RFC 8784), written as a pre-shared key
 *   NAME.pem   a private key: PKCS#8 or SEC 1 in PEM, Ed25519 or ECDSA on P-256 or P-384, not encrypted
 *
 * A file that group or others may access, that is not a regular file or that holds no valid key is refused,
 * with an error that names it and says what is expected; the others are loaded. Files with other endings are
 * ignored.
 */
#ifndef PROC_KEEPER_KEYDIR_H
#define PROC_KEEPER_KEYDIR_H

#include "keys/keys.h"

#define KEYDIR_FILE_MAX	  16384 /* octets of one file */
#define KEYDIR_ERRORS_MAX 32
#define KEYDIR_NAME_MAX	  (NAME_MAX_BYTES + 8) /* of a file, ending included */

/* What is wrong with a file, for `show keys`. */
struct keydir_error {
	char file[KEYDIR_NAME_MAX];
	char text[ERR_TEXT_MAX];
};

struct keydir {
	struct keydir_error errors[KEYDIR_ERRORS_MAX];
	size_t errors_n; /* of all refused files; those beyond the maximum have no text */
	size_t loaded;
};

/*
 * Wipes the loaded keys and loads those of the directory. RC_IO: the directory cannot be read; the keys stay.
 */
enum rc keydir_load(struct keydir *d, int directory_fd, struct keys *keys, struct err *e);

/* for tests: one file's octets; the kind by the name's ending. */
enum rc keydir_take(struct keys *keys, const char *file, const char *text, size_t n, struct err *e);

#endif
