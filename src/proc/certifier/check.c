/*
 * Before a configuration is committed: whether this library can use the certificates of its authorities, and the CRLs beside them. What one
 * library cannot read would refuse every peer of the authority.
 */
#include "proc/certifier/shell.h"

static const char *anchor_fault(uint32_t reason)
{
	switch (reason) {
	case CERTIFY_WEAK:
		return "its key is not accepted: expected RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519";
	case CERTIFY_CRITICAL:
		return "it has a critical extension that is not supported";
	case CERTIFY_ANCHOR:
		return "it cannot be read: expected an X.509 certificate of version 3";
	default:
		return "out of memory, or the library failed: try again";
	}
}

static enum rc anchors_check(const struct certifier *x, const struct snapshot *s,
	const struct snap_certificate_file *file, struct err *e)
{
	for (uint32_t i = 0; i < file->certificates.count; i++) {
		const struct snap_certificate *c = &snap_certificates(s)[file->certificates.first + i];
		uint32_t reason = x->engine->input(
			CERTIFY_INPUT_ANCHOR, (struct certify_der){ snap_certificate_der(s, c), c->n });
		if (reason != CERTIFY_OK)
			return err_add(e, RC_MALFORMED, "certificate %u of file '%s': %s", i + 1, file->name,
				anchor_fault(reason));
	}
	return RC_OK;
}

/* A CRL that is fetched replaces the one before it, which may be by a key that still has certificates. */
static enum rc fetched_check(
	const struct snap_authority *a, const struct snap_certificate_file *file, struct err *e)
{
	if (a->dynamic && file->certificates.count > 1)
		return err_add(e, RC_MALFORMED,
			"it has a crl-url, and %u certificates in file '%s': expected one, as its CRL is by one key; make a ca-profile of each",
			file->certificates.count, file->name);
	return RC_OK;
}

/* What has issued others is asked for in each question to the responder. */
static enum rc responder_check(const struct snapshot *s, const struct snap_authority *a,
	const struct snap_certificate_file *file, struct err *e)
{
	for (uint32_t i = 0; a->responder && i < file->certificates.count; i++) {
		uint32_t n = (uint32_t)snap_certificates(s)[file->certificates.first + i].n;
		if (n > CERTIFY_ISSUER_MAX)
			return err_add(e, RC_MALFORMED,
				"it has an ocsp-url, and certificate %u of file '%s' has %u octets: expected at most %u, as OCSP is asked about no certificate of a longer issuer",
				i + 1, file->name, n, (unsigned)CERTIFY_ISSUER_MAX);
	}
	return RC_OK;
}

enum rc certifier_check(const struct certifier *x, const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];
		const struct snap_certificate_file *file = &snap_certificate_files(s)[a->file];
		enum rc rc = anchors_check(x, s, file, e);
		if (rc == RC_OK)
			rc = crls_check(x->engine->input, x->directory, file->name, e);
		if (rc == RC_OK)
			rc = fetched_check(a, file, e);
		if (rc == RC_OK)
			rc = responder_check(s, a, file, e);
		if (rc != RC_OK)
			return err_add(e, rc, "ca-profile '%s', by %s", a->name, proc_name(x->engine->self));
	}
	return RC_OK;
}
