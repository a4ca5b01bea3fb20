/*
 * snapshot_check(): certificates, the authorities that have them, and what a peer with a certificate must have. What the octets say is
 * the certifiers' to read; here only their places count.
 */
#include "model/snapshot_check.h"

#include <string.h>

/* A file's name, not a path. */
static bool file_name_ok(const char *name, size_t size)
{
	return name_ok(name, size) && name[0] != '.' && !strchr(name, '/');
}

static const char *file_fault(const struct snapshot *s, const struct snap_certificate_file *f)
{
	uint64_t bytes = 0;

	if (!file_name_ok(f->name, sizeof f->name))
		return "its name is empty, a path, or not terminated";
	if (!span_in(&f->certificates, s->certificates.count) || f->certificates.count > CERTIFICATE_ANCHORS)
		return "its certificates are not in the array, or too many";
	for (uint32_t i = f->certificates.first; i < f->certificates.first + f->certificates.count; i++)
		bytes += snap_certificates(s)[i].n;
	return bytes > CERTIFICATE_BYTES_MAX ? "its certificates have too many octets" : NULL;
}

static bool dynamic_ok(
	const struct snapshot *s, const struct snap_authority *a, uint32_t dynamic, enum dynamic_kind kind)
{
	const struct snap_dynamic *d;

	if (dynamic == 0)
		return true;
	if (dynamic > s->dynamics.count)
		return false;
	d = &snap_dynamics(s)[dynamic - 1];
	return d->kind == kind && strncmp(d->object, a->name, sizeof d->object) == 0;
}

enum rc snapshot_check_certificates(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->certificates.count; i++) {
		const struct snap_certificate *c = &snap_certificates(s)[i];
		const struct span pieces = { c->first, (uint32_t)(((uint64_t)c->n + 7) / 8) };
		if (c->n == 0 || c->n > CERTIFICATE_BYTES_MAX ||
			!span_in(&pieces, s->certificate_octets.count))
			return bad(e, "certificates", i, "its octets are not in the array");
	}
	for (uint32_t i = 0; i < s->certificate_files.count; i++) {
		const char *what = file_fault(s, &snap_certificate_files(s)[i]);
		if (what)
			return bad(e, "certificate_files", i, what);
	}
	for (uint32_t i = 0; i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];
		if (!name_ok(a->name, sizeof a->name))
			return bad(e, "authorities", i, "its name is empty or not terminated");
		if (a->file >= s->certificate_files.count)
			return bad(e, "authorities", i, "its file does not exist");
		if (a->revocation > REVOCATION_HARD)
			return bad(e, "authorities", i, "an unknown way to look at CRLs");
		if (!dynamic_ok(s, a, a->dynamic, DYNAMIC_CRL))
			return bad(e, "authorities", i, "its CRL is not fetched for it");
		if (!dynamic_ok(s, a, a->responder, DYNAMIC_OCSP))
			return bad(e, "authorities", i, "its OCSP responder is not its own");
	}
	for (uint32_t i = 0; i < s->trusted.count; i++)
		if (snap_trusted(s)[i].authority >= s->authorities.count)
			return bad(e, "trusted", i, "its authority does not exist");
	return RC_OK;
}

static uint32_t anchors_of(const struct snapshot *s, const struct snap_peer *p)
{
	uint32_t n = 0;

	for (uint32_t i = p->trusted.first; i < p->trusted.first + p->trusted.count; i++)
		n += snap_certificate_files(s)[snap_authorities(s)[snap_trusted(s)[i].authority].file]
			     .certificates.count;
	return n;
}

const char *snapshot_peer_certificate_fault(const struct snapshot *s, const struct snap_peer *p)
{
	if (p->auth != PEER_AUTH_CERTIFICATE) {
		if (p->certificate || p->trusted.count)
			return "it has a certificate, and authenticates without";
		return p->local_id.type == ID_DN || p->remote_id.type == ID_DN
			       ? "an identity that only certificates have"
			       : NULL;
	}
	if (p->certificate == 0 || p->certificate > s->certificate_files.count ||
		snap_certificate_files(s)[p->certificate - 1].certificates.count > CERTIFICATE_CHAIN_MAX)
		return "its certificate is not in the array, or has too many with it";
	if (!span_in(&p->trusted, s->trusted.count) || p->trusted.count == 0 ||
		p->trusted.count > CA_PROFILES_MAX)
		return "its authorities are not in the array";
	if (p->remote_id.type == ID_KEY_ID || p->local_id.type == ID_KEY_ID || p->local_id.type == ID_DN)
		return "an identity that certificates do not have, or that is not sent";
	return anchors_of(s, p) > CERTIFICATE_ANCHORS ? "its authorities have too many certificates" : NULL;
}
