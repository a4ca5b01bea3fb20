/*
 * Certificates of OpenSSH (PROTOCOL.certkeys): whose key it is, and which authority made it. sshd has judged the certificate (signature,
 * times, principals, options); this only names both. Pure; caller: src/cli (a session by ssh says by what it was let in).
 */
#ifndef ADMIN_SSH_CERTIFICATE_H
#define ADMIN_SSH_CERTIFICATE_H

#include "admin/ssh_key.h"

/* How a session names what let it in: a key's fingerprint, or that of a certificate's key, this, the authority's fingerprint, and ")". */
#define SSH_CERTIFICATE_OF " (certificate of "
#define SSH_SHOWN_SIZE	   (2 * SSH_FINGERPRINT_SIZE + sizeof SSH_CERTIFICATE_OF + 1)

struct ssh_certificate {
	struct ssh_key key, authority;
};

/*
 * RC_MALFORMED: no certificate, or something is left over; RC_UNSUPPORTED: a certificate of, or by, a key of a type that the
 * configuration cannot have (ssh_key.h).
 */
enum rc ssh_certificate_read(struct ssh_certificate *ret, const void *blob, size_t n, struct err *e);

#endif
