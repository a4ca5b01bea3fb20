#include "cli/certificates.h"

#include "ipc/certificate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list may come later, so a commit takes `hard` without one, and nobody is let in. */
static void lists_of_the_revoked(const struct snapshot *s, int dir, struct findings *f)
{
	char name[NAME_MAX_BYTES + 8], text[500];
	struct stat st;

	for (uint32_t i = 0; i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];

		if (a->revocation != REVOCATION_HARD || a->dynamic || a->responder)
			continue;
		certificate_file_crl(name, sizeof name, snap_certificate_files(s)[a->file].name);
		if (fstatat(dir, name, &st, 0) == 0 || errno != ENOENT)
			continue;
		snprintf(text, sizeof text,
			"ca-profile '%s' has revocation-check hard and no list of the revoked: until " CERTIFICATES_DIR
			"/%s is there, a crl-url or an ocsp-url, no peer with a certificate of it is let in",
			a->name, name);
		findings_warning(f, text);
	}
}

/* The first of the file, which is ours. NULL: it cannot be read, which is said elsewhere. */
static X509 *certificate_read(int dir, const char *name)
{
	char *text = malloc(CERTIFICATE_TEXT_MAX);
	X509 *ours = NULL;
	BIO *bio = NULL;
	size_t n;

	if (text && certificate_file_read(&dir, name, text, &n, NULL) == RC_OK)
		bio = BIO_new_mem_buf(text, (int)n);
	if (bio)
		ours = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	free(text);
	ERR_clear_error();
	return ours;
}

/* As certifiers compare them: no wildcards, and of subjectAltName alone. */
static bool has_name(X509 *c, const struct snap_id *id)
{
	const unsigned flags = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	const char *text = (const char *)id->data;

	switch (id->type) {
	case ID_FQDN:
		return X509_check_host(c, text, id->len, flags, NULL) != 0;
	case ID_RFC822:
		return X509_check_email(c, text, id->len, flags) != 0;
	case ID_IPV4:
	case ID_IPV6:
		return X509_check_ip(c, id->data, id->len, flags) != 0;
	default:
		return true; /* it is the address that the route chooses */
	}
}

static void own_names(const struct snapshot *s, int dir, struct findings *f)
{
	char text[500];
	uint32_t read = 0; /* most peers have the same one */
	X509 *ours = NULL;

	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];
		const char *name = p->certificate ? snap_certificate_files(s)[p->certificate - 1].name : NULL;

		if (name && p->certificate != read) {
			X509_free(ours);
			ours = certificate_read(dir, name);
			read = p->certificate;
		}
		if (name && ours && !has_name(ours, &p->local_id)) {
			snprintf(text, sizeof text,
				"the identity that peer '%s' is shown (local-id, or else local-address) is not in subjectAltName of " CERTIFICATES_DIR
				"/%s ('plaingate pki show' prints its names): the peer will refuse it",
				p->name, name);
			findings_warning(f, text);
		}
	}
	X509_free(ours);
}

void certificates_warn(const struct snapshot *s, struct findings *f)
{
	int dir = open(CERTIFICATES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return;
	lists_of_the_revoked(s, dir, f);
	own_names(s, dir, f);
	close(dir);
}
