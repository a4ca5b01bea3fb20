#include "proc/certifier/crls.h"

#include "base/log.h"
#include "ipc/certificate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void crl_file_forget(struct crls *c, struct crl_file *f)
{
	c->octets_n -= f->octets_n;
	free(f->octets);
	*f = (struct crl_file){ 0 };
}

static struct crl_file *file_find(struct crls *c, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(c->file); i++)
		if (strcmp(c->file[i].name, name) == 0)
			return &c->file[i];
	return NULL;
}

bool crl_file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum rc all_read(int fd, uint8_t *text, size_t n, struct err *e)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, text + at, n - at);
		if (got < 0)
			return err_errno(e, RC_IO, "read");
		if (got == 0)
			return err_add(e, RC_MALFORMED, "it became shorter while it was read");
		at += (size_t)got;
	}
	return RC_OK;
}

static enum rc lists_judge(const struct crls *c, const struct crl_file *f, struct err *e)
{
	for (size_t i = 0; i < f->crl_n; i++)
		if (c->input(CERTIFY_INPUT_CRL, f->crl[i]) != CERTIFY_OK)
			return err_add(e, RC_MALFORMED,
				"CRL %zu of it cannot be used: expected a complete CRL (X.509, RFC 5280: not a delta CRL, none for a part "
				"of the certificates), signed with SHA-2 or Ed25519",
				i + 1);
	return RC_OK;
}

enum rc crl_file_read(struct crls *c, struct crl_file *f, int fd, struct err *e)
{
	size_t n = (size_t)f->seen.st_size;
	enum rc rc;

	if (!S_ISREG(f->seen.st_mode) || n > CRL_FILE_MAX || c->octets_n + n > CRLS_BYTES_MAX)
		return err_add(e, RC_LIMIT,
			"it has %zu octets; a regular file of at most %u is allowed, of %u octets with all others",
			n, CRL_FILE_MAX, CRLS_BYTES_MAX);
	uint8_t *text = malloc(n + 1);
	f->octets = malloc(n + 1);
	if (!text || !f->octets) {
		rc = err_add(e, RC_INTERNAL, "out of memory");
	} else {
		f->octets_n = n;
		c->octets_n += n;
		rc = all_read(fd, text, n, e);
		if (rc == RC_OK)
			rc = crls_read(text, n, f->octets, f->crl, COUNT_OF(f->crl), &f->crl_n, e);
		if (rc == RC_OK)
			rc = lists_judge(c, f, e);
	}
	free(text);
	return rc;
}

/* Opened and looked at for each question: a CRL counts from the moment when it is there. */
static uint32_t file_follow(struct crls *c, int directory, const char *name, struct crl_file **ret_file)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), why = errno;
	struct crl_file *f = file_find(c, name);
	struct err e = { 0 };
	struct stat st;

	*ret_file = NULL;
	if (fd < 0 && why == ENOENT) {
		if (f)
			crl_file_forget(c, f);
		return CERTIFY_OK;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		log_error("open '%s' in the directory of certificates: %s", name,
			strerror(fd < 0 ? why : errno));
		if (fd >= 0)
			close(fd);
		return CERTIFY_CRL_FILE;
	}
	if (!f || !crl_file_is_same(&f->seen, &st)) {
		if (f)
			crl_file_forget(c, f);
		f = file_find(c, "");
		if (!f) {
			close(fd);
			return CERTIFY_CRL_FILE;
		}
		snprintf(f->name, sizeof f->name, "%s", name);
		f->seen = st;
		f->good = crl_file_read(c, f, fd, &e) == RC_OK;
		if (!f->good)
			log_error(
				"'%s' in the directory of certificates: %s; nobody is let in whom it might revoke",
				name, e.text);
	}
	close(fd);
	*ret_file = f;
	return f->good ? CERTIFY_OK : CERTIFY_CRL_FILE;
}

uint32_t crls_of(
	struct crls *c, int directory, const char *certificate_file, struct certify_der *list, size_t *n)
{
	char name[NAME_MAX_BYTES + 8];
	struct crl_file *f;
	struct stat st;

	certificate_file_crl(name, sizeof name, certificate_file);
	if (directory < 0)
		return CERTIFY_OK;
	/* Removed, or replaced as a whole: what it said of the revoked is not known any more. */
	if (fstat(directory, &st) < 0 || st.st_nlink == 0) {
		log_error(
			"the directory of certificates was removed, and nobody is let in whom its lists might revoke; restart the service");
		return CERTIFY_CRL_FILE;
	}
	if (strlen(name) >= NAME_MAX_BYTES)
		return CERTIFY_CRL_FILE;
	uint32_t reason = file_follow(c, directory, name, &f);
	if (reason != CERTIFY_OK || !f)
		return reason;
	for (size_t i = 0; i < f->crl_n; i++) {
		if (*n == CERTIFY_CRLS_MAX)
			return CERTIFY_CRL_FILE;
		list[(*n)++] = f->crl[i];
	}
	return CERTIFY_OK;
}

enum rc crls_check(certify_input_fn *input, int directory, const char *certificate_file, struct err *e)
{
	static struct crls fresh;
	struct crl_file *f = &fresh.file[0];
	char name[NAME_MAX_BYTES + 8];
	enum rc rc;
	int fd;

	certificate_file_crl(name, sizeof name, certificate_file);
	if (strlen(name) >= NAME_MAX_BYTES)
		return err_add(e, RC_LIMIT,
			"the name of its CRL file, '%s', is longer than %d octets: call the certificate's file otherwise",
			name, NAME_MAX_BYTES - 1);
	if (directory < 0)
		return RC_OK;
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return RC_OK;
	if (fd < 0 || fstat(fd, &f->seen) < 0) {
		rc = err_errno(e, RC_IO, "open it: expected a file, not a link, that all may read");
	} else {
		fresh.input = input;
		rc = crl_file_read(&fresh, f, fd, e);
	}
	if (fd >= 0)
		close(fd);
	crl_file_forget(&fresh, f);
	return rc == RC_OK ? rc : err_add(e, rc, "CRL file '%s'", name);
}

void crls_keep(struct crls *c, const struct snapshot *s)
{
	char name[NAME_MAX_BYTES + 8];

	for (size_t i = 0; i < COUNT_OF(c->file); i++) {
		bool named = false;
		for (uint32_t k = 0; c->file[i].name[0] && k < s->authorities.count; k++) {
			certificate_file_crl(name, sizeof name,
				snap_certificate_files(s)[snap_authorities(s)[k].file].name);
			named |= strcmp(name, c->file[i].name) == 0;
		}
		if (c->file[i].name[0] && !named)
			crl_file_forget(c, &c->file[i]);
	}
}

void crls_done(struct crls *c)
{
	for (size_t i = 0; i < COUNT_OF(c->file); i++)
		if (c->file[i].name[0])
			crl_file_forget(c, &c->file[i]);
}
