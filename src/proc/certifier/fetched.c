#include "proc/certifier/fetched.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fetched_crl *slot_find(struct crls *c, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(c->fetched); i++)
		if (strcmp(c->fetched[i].name, name) == 0)
			return &c->fetched[i];
	return NULL;
}

/* NULL: there are too many, which fetched_keep() prevents. */
static struct fetched_crl *slot_for(struct crls *c, const char *name)
{
	struct fetched_crl *f = slot_find(c, name);

	if (!f && (f = slot_find(c, "")))
		snprintf(f->name, sizeof f->name, "%s", name);
	return f;
}

static void held_forget(struct crls *c, struct fetched_crl *f)
{
	if (f->held)
		crl_file_forget(c, &f->file);
	f->held = false;
	f->placed = false;
	f->unusable = false;
	f->tried = (struct stat){ 0 };
}

/* Its CRLs replace the one before them, so the anchor is one alone: that of a former key would be lost. */
static size_t anchors_of(const struct snapshot *s, const struct snap_authority *a, struct certify_der *ret)
{
	const struct span *in = &snap_certificate_files(s)[a->file].certificates;
	size_t n = 0;

	for (; n < in->count && n < CERTIFICATE_ANCHORS; n++) {
		const struct snap_certificate *c = &snap_certificates(s)[in->first + n];
		ret[n] = (struct certify_der){ snap_certificate_der(s, c), c->n };
	}
	return n;
}

static uint32_t issuer_judge(const struct crls *c, const struct snapshot *s, const struct snap_authority *a,
	struct certify_der crl, struct certify_crl_age *ret_age)
{
	struct certify_der anchors[CERTIFICATE_ANCHORS];
	size_t n = anchors_of(s, a, anchors);

	return c->crl(ret_age, crl, anchors, n);
}

/* One CRL, which then is the caller's to free; room is there for it in the place of f's. */
static enum rc list_load(
	struct crls *c, const struct fetched_crl *f, int fd, struct crl_file *ret_file, struct err *e)
{
	static struct crls fresh;

	*ret_file = (struct crl_file){ 0 };
	fresh.input = c->input;
	fresh.octets_n = c->octets_n - (f->held ? f->file.octets_n : 0);
	enum rc rc = fstat(fd, &ret_file->seen) < 0 ? err_errno(e, RC_IO, "look at it")
						    : crl_file_read(&fresh, ret_file, fd, e);
	if (rc == RC_OK && ret_file->crl_n != 1)
		rc = err_add(e, RC_MALFORMED, "it holds %zu CRLs, expected one", ret_file->crl_n);
	if (rc != RC_OK)
		crl_file_forget(&fresh, ret_file);
	return rc;
}

static void held_replace(
	struct crls *c, struct fetched_crl *f, const struct crl_file *file, const struct certify_crl_age *age)
{
	if (f->held)
		crl_file_forget(c, &f->file);
	f->file = *file;
	f->age = *age;
	f->held = true;
	c->octets_n += file->octets_n;
}

/* The file is another one than before. */
static void file_take(struct crls *c, const struct snapshot *s, const struct snap_authority *a,
	struct fetched_crl *f, int fd)
{
	struct certify_crl_age age;
	struct crl_file file;
	struct err e = { 0 };
	uint32_t reason;

	f->placed = false;
	f->unusable = list_load(c, f, fd, &file, &e) != RC_OK;
	if (f->unusable) {
		log_error("the CRL that was fetched for ca-profile '%s': %s; %s", f->name, e.text,
			f->held ? "the one before it stays in use" : "nobody is let in whom it might revoke");
		return;
	}
	reason = issuer_judge(c, s, a, file.crl[0], &age);
	f->unusable = reason != CERTIFY_OK && reason != CERTIFY_SIGNATURE && reason != CERTIFY_AUTHORITY;
	if (reason == CERTIFY_OK && !(f->held && certify_crl_is_older(&age, &f->age))) {
		held_replace(c, f, &file, &age);
		f->placed = true;
		return;
	}
	log_warn("the CRL that was fetched for ca-profile '%s' is not used: %s", f->name,
		reason == CERTIFY_OK ? "it is older than the one in use"
		: f->unusable	     ? certify_reason_text(reason)
				     : "the authority's certificate has not issued it");
	free(file.octets);
}

static uint32_t file_follow(
	struct crls *c, const struct snapshot *s, const struct snap_authority *a, struct fetched_crl *f)
{
	char name[NAME_MAX_BYTES + 8];
	struct stat st;

	snprintf(name, sizeof name, "%s.crl", a->name);
	int fd = openat(c->fetched_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), why = errno;
	if (fd < 0 && why == ENOENT) {
		f->placed = false;
		return CERTIFY_OK; /* not fetched yet; one that was in use stays */
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		log_error("open the CRL that was fetched for ca-profile '%s': %s", a->name,
			strerror(fd < 0 ? why : errno));
		if (fd >= 0)
			close(fd);
		return f->held ? CERTIFY_OK : CERTIFY_CRL_FILE;
	}
	if (!crl_file_is_same(&f->tried, &st)) {
		f->tried = st;
		file_take(c, s, a, f, fd);
	}
	close(fd);
	return f->held || !f->unusable ? CERTIFY_OK : CERTIFY_CRL_FILE;
}

uint32_t fetched_of(struct crls *c, const struct snapshot *s, const struct snap_authority *a,
	struct certify_der *list, size_t *n)
{
	struct fetched_crl *f;

	if (!a->dynamic || c->fetched_dir < 0)
		return CERTIFY_OK;
	f = slot_for(c, a->name);
	if (!f)
		return CERTIFY_CRL_FILE;
	uint32_t reason = file_follow(c, s, a, f);
	if (reason != CERTIFY_OK || !f->held)
		return reason;
	if (*n == CERTIFY_CRLS_MAX)
		return CERTIFY_CRL_FILE;
	list[(*n)++] = f->file.crl[0];
	return CERTIFY_OK;
}

/* ---- what the resolver offers ---- */

static const struct snap_authority *authority_named(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 0; s && i < s->authorities.count; i++)
		if (snap_authorities(s)[i].dynamic && strcmp(snap_authorities(s)[i].name, name) == 0)
			return &snap_authorities(s)[i];
	return NULL;
}

/* By its number: whoever is on the way can write the same list in many ways, and none of them is news. */
static bool age_is_same(const struct certify_crl_age *a, const struct certify_crl_age *b)
{
	return a->numbered && b->numbered && a->this_s == b->this_s &&
	       memcmp(a->number, b->number, sizeof a->number) == 0;
}

static enum rc age_judge(
	const struct fetched_crl *f, const struct certify_crl_age *age, int64_t now_s, struct err *e)
{
	if (age->this_s > now_s)
		return err_add(
			e, RC_DENIED, "it is not valid yet (thisUpdate): is the time of this gateway right?");
	if (f->held && certify_crl_is_older(age, &f->age))
		return err_add(e, RC_DENIED,
			"it is older than the one in use (cRLNumber or thisUpdate), which stays");
	return RC_OK;
}

/* What was offered, as a whole; the octets are the caller's to free. */
static enum rc offered_load(
	struct crls *c, const struct fetched_crl *f, struct crl_file *ret_file, struct err *e)
{
	char name[NAME_MAX_BYTES + 16];

	snprintf(name, sizeof name, "%s.crl.new", f->name);
	int fd = openat(c->fetched_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", name);
	enum rc rc = list_load(c, f, fd, ret_file, e);
	close(fd);
	return rc;
}

enum rc fetched_judge(
	struct crls *c, const struct snapshot *s, const char *name, int64_t now_s, struct err *e)
{
	const struct snap_authority *a = authority_named(s, name);
	struct fetched_crl *f = a ? slot_for(c, name) : NULL;
	struct certify_crl_age age;
	struct crl_file file;

	if (!f || c->fetched_dir < 0)
		return err_add(e, RC_AGAIN,
			"the configuration in use has no ca-profile '%.63s' with a crl-url", name);
	file_follow(c, s, a, f);
	enum rc rc = offered_load(c, f, &file, e);
	if (rc != RC_OK)
		return rc;
	uint32_t reason = issuer_judge(c, s, a, file.crl[0], &age);
	if (reason == CERTIFY_SIGNATURE || reason == CERTIFY_AUTHORITY)
		rc = err_add(e, RC_DENIED,
			"the certificate of the ca-profile has not signed it, or may not (keyUsage cRLSign)");
	else if (reason != CERTIFY_OK)
		rc = err_add(e, RC_MALFORMED, "%s", certify_reason_text(reason));
	else
		rc = age_judge(f, &age, now_s, e);
	if (rc == RC_OK && f->placed && age_is_same(&age, &f->age)) {
		rc = err_add(e, RC_EXISTS, "it is the one in use");
		free(file.octets);
	} else if (rc == RC_OK) {
		/* It counts here, whatever the other certifier says and the resolver does with it. */
		held_replace(c, f, &file, &age);
		f->placed = false;
		c->taken++;
	} else {
		free(file.octets);
	}
	return rc;
}

/* It comes from a process that strangers speak to: a text for people, of printable characters. */
void fetched_state(struct crls *c, const char *name, const char *why)
{
	struct fetched_crl *f = slot_find(c, name);

	if (!f || !name[0])
		return;
	snprintf(f->why, sizeof f->why, "%s", why);
	for (char *at = f->why; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

const char *fetched_why(const struct crls *c, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(c->fetched); i++)
		if (strcmp(c->fetched[i].name, name) == 0)
			return c->fetched[i].why;
	return "";
}

/* ---- the configuration ---- */

void fetched_keep(struct crls *c, const struct snapshot *s)
{
	struct certify_crl_age age;

	for (size_t i = 0; i < COUNT_OF(c->fetched); i++) {
		struct fetched_crl *f = &c->fetched[i];
		const struct snap_authority *a = f->name[0] ? authority_named(s, f->name) : NULL;
		if (!f->name[0])
			continue;
		if (!a) {
			held_forget(c, f);
			*f = (struct fetched_crl){ 0 };
		} else if (!f->held || issuer_judge(c, s, a, f->file.crl[0], &age) != CERTIFY_OK) {
			held_forget(c, f); /* the file may be one of the certificate that is there now */
		}
	}
	for (uint32_t i = 0; i < s->authorities.count; i++)
		if (snap_authorities(s)[i].dynamic)
			slot_for(c, snap_authorities(s)[i].name);
}

void fetched_done(struct crls *c)
{
	for (size_t i = 0; i < COUNT_OF(c->fetched); i++)
		held_forget(c, &c->fetched[i]);
}
