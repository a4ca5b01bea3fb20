/*
 * The certificates of a configuration: read from the directory at a commit, and kept beside the text that they were committed with, so that
 * a start, a text of the history and one that is restored bring back what ran, and not what has been put into the directory since.
 *
 * As they are stored: "# SHA-256 of the text", then for each file "file NAME" and its certificates in PEM. There may be several such sets.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "certify/match.h"
#include "ipc/certificate_file.h"
#include "proc/control/control.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* What was stored, as files that certificates_add() reads. */
struct stored {
	const char *text;
	size_t n;
};

/* From "file NAME" to the next such line. */
static enum rc stored_read(void *context, const char *file, char *ret_text, size_t *ret_n, struct err *e)
{
	const struct stored *s = context;
	char head[NAME_MAX_BYTES + 16];
	const char *at, *end;

	snprintf(head, sizeof head, "\nfile %s\n", file);
	at = memmem(s->text, s->n, head, strlen(head));
	if (!at)
		return err_add(e, RC_NOT_FOUND, "it was not stored with the configuration");
	at += strlen(head);
	end = memmem(at - 1, (size_t)(s->text + s->n - at) + 1, "\nfile ", 6);
	*ret_n = (size_t)((end ? end + 1 : s->text + s->n) - at);
	if (*ret_n > CERTIFICATE_TEXT_MAX)
		return err_add(e, RC_LIMIT, "more of it was stored than a file may have");
	memcpy(ret_text, at, *ret_n);
	return RC_OK;
}

static void fault_log(void *context, const char *text)
{
	log_error("%s; nobody can authenticate by it", text);
}

/* The first set that was committed with this very text: from its first line to the next set. */
static bool set_find(struct stored *ret_set, const char *text, size_t n, const struct running *r)
{
	char head[80], digits[65];
	const char *at, *end;

	snprintf(head, sizeof head, "# %s\n", hex_from_bytes(digits, r->sha256, sizeof r->sha256));
	at = memmem(text, n, head, strlen(head));
	if (!at)
		return false;
	end = memmem(at, (size_t)(text + n - at), "\n# ", 3);
	*ret_set = (struct stored){ at, (size_t)((end ? end + 1 : text + n) - at) };
	return true;
}

static enum rc stored_add(struct control *k, struct running *r, const char *of, struct err *e)
{
	struct stored set;
	char *text = NULL;
	size_t n = 0;
	enum rc rc = config_store_certificates_read(k->config_dir, of, &text, &n, e);

	if (rc == RC_OK && !set_find(&set, text, n, r))
		rc = err_add(e, RC_NOT_FOUND, "those that are stored are of another configuration");
	if (rc == RC_OK)
		rc = certificates_add(&r->block, &r->bytes, stored_read, &set, NULL, e);
	free(text);
	return rc;
}

/* A subject that no certificate can have would be found out when the peer comes. */
static enum rc subjects_check(const struct snapshot *s, struct err *e)
{
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];
		struct dn pattern;
		enum rc rc = p->remote_id.type == ID_DN
				     ? dn_pattern_read(
					       &pattern, (const char *)p->remote_id.data, p->remote_id.len, e)
				     : RC_OK;
		if (rc != RC_OK)
			return err_add(e, rc, "remote-id of peer '%s'", p->name);
	}
	return RC_OK;
}

static void certificate_write(FILE *f, const struct snapshot *s, const struct snap_certificate *c)
{
	char *digits = malloc((size_t)c->n / 3 * 4 + 8);

	if (digits) {
		base64_from_bytes(digits, snap_certificate_der(s, c), c->n);
		fprintf(f, "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", digits);
	}
	free(digits);
}

static enum rc stored_make(struct running *r, struct err *e)
{
	const struct snapshot *s = r->block;
	char digits[65];
	FILE *f = open_memstream(&r->certificates, &r->certificates_n);

	if (!f)
		return err_add(e, RC_INTERNAL, "out of memory");
	fprintf(f, "# %s\n", hex_from_bytes(digits, r->sha256, sizeof r->sha256));
	for (uint32_t i = 0; i < s->certificate_files.count; i++) {
		const struct snap_certificate_file *file = &snap_certificate_files(s)[i];
		fprintf(f, "file %s\n", file->name);
		for (uint32_t k = file->certificates.first;
			k < file->certificates.first + file->certificates.count; k++)
			certificate_write(f, s, &snap_certificates(s)[k]);
	}
	if (fclose(f) != 0)
		return err_add(e, RC_INTERNAL, "out of memory");
	const char *set = strchr(r->certificates, '\n') + 1;
	crypto_hash_sha256(r->certificates_sha256, (const unsigned char *)set,
		(size_t)(r->certificates + r->certificates_n - set));
	return RC_OK;
}

static enum rc certificates_take(
	struct control *k, struct running *r, const char *name, enum certificates_from from, struct err *e)
{
	const bool lenient = from == CERTIFICATES_STORED || from == CERTIFICATES_UNCONFIRMED;
	struct err why = { 0 };

	if (from != CERTIFICATES_FILES &&
		stored_add(k, r, from == CERTIFICATES_STORED ? "" : name, &why) == RC_OK) {
		r->certificates_kept = from == CERTIFICATES_HISTORY;
		return RC_OK;
	}
	if (from != CERTIFICATES_FILES)
		log_warn(
			"the certificates that were committed with the configuration cannot be used (%s): reading those of the "
			"directory instead",
			why.text);
	return certificates_add(&r->block, &r->bytes, certificate_file_read, &k->certificate_dir,
		lenient ? fault_log : NULL, e);
}

enum rc control_certificates(
	struct control *k, struct running *r, const char *name, enum certificates_from from, struct err *e)
{
	const bool commits = from == CERTIFICATES_FILES || from == CERTIFICATES_HISTORY;
	enum rc rc = commits ? subjects_check(r->block, e) : RC_OK;

	if (rc != RC_OK || ((const struct snapshot *)r->block)->certificate_files.count == 0)
		return rc;
	rc = certificates_take(k, r, name, from, e);
	return rc == RC_OK ? stored_make(r, e) : rc;
}
