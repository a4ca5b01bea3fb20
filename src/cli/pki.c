/*
 * An authority is a directory:
 *	ca.crt     its certificate: what peers trust
 *	ca.pem     its key, not encrypted; or in its place
 *	ca.uri     the name of its key in a token or TPM, without a PIN
 *	index.txt  what it issued, as `openssl ca` writes it
 *	ca.crl     the last list of the revoked, once one was made
 * Each file is written whole under another name first, and the index before a certificate or a list leaves: killed at any point, the
 * authority knows of every certificate that somebody may have. One command at a time works on a directory (flock(2)).
 */
#include "cli/pki.h"

#include "base/clock.h"
#include "cli/findings.h"
#include "cli/part.h"
#include "cli/pki_files.h"
#include "cli/pki_key.h"
#include "cli/render.h"
#include "pki/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define US_PER_S	     1000000
#define AUTHORITY_DAYS	     3650
#define CERTIFICATE_DAYS     365
#define CRL_DAYS	     30
#define AUTHORITY_KEY_TYPE   PKI_ECDSA_P384
#define CERTIFICATE_KEY_TYPE PKI_ECDSA_P256

static int ended(const struct err *e)
{
	struct findings f = { 0 };

	if (e->rc == RC_OK)
		return STATUS_OK;
	findings_error(&f, e->text);
	return STATUS_FAILED;
}

static int64_t now_s(void)
{
	return (int64_t)(clock_utc() / US_PER_S);
}

/* Nothing of the system's configuration of libcrypto counts here. */
static enum rc begin(struct err *e)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1
		       ? RC_OK
		       : err_add(e, RC_INTERNAL, "libcrypto does not start");
}

/* ---- an authority ---- */

struct authority {
	char crt[PART_PATH_MAX], pem[PART_PATH_MAX], uri[PART_PATH_MAX], index[PART_PATH_MAX],
		crl[PART_PATH_MAX];
	int lock; /* the directory; -1 */
	struct pki_text crt_text, index_text;
	struct pki_key *key;
	struct pki_entry *entries;
	size_t n;
};

static enum rc paths_make(struct authority *a, const char *dir, struct err *e)
{
	a->lock = -1;
	if (snprintf(a->crt, sizeof a->crt, "%s/ca.crt", dir) >= (int)sizeof a->crt - 16)
		return err_add(e, RC_LIMIT, "the name of the directory is too long");
	snprintf(a->pem, sizeof a->pem, "%s/ca.pem", dir);
	snprintf(a->uri, sizeof a->uri, "%s/ca.uri", dir);
	snprintf(a->index, sizeof a->index, "%s/index.txt", dir);
	snprintf(a->crl, sizeof a->crl, "%s/ca.crl", dir);
	return RC_OK;
}

/* Waits for another command on it. */
static enum rc lock(struct authority *a, const char *dir, struct err *e)
{
	a->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->lock < 0 || flock(a->lock, LOCK_EX) != 0)
		return err_errno(e, RC_IO, "open the authority '%s'", dir);
	return RC_OK;
}

static void authority_done(struct authority *a)
{
	pki_text_free(&a->crt_text);
	pki_key_free(a->key);
	pki_text_free(&a->index_text);
	free(a->entries);
	if (a->lock >= 0)
		close(a->lock);
}

/* Its key is reached last: a PIN is asked for when all else is in order. */
static enum rc authority_open(struct authority *a, const struct cli_line *line, struct err *e)
{
	const char *dir = line->argument;

	*a = (struct authority){ 0 };
	if (paths_make(a, dir, e) || lock(a, dir, e) ||
		pki_file_read(&a->crt_text, a->crt, PKI_FILE_MAX, e) ||
		pki_file_read(&a->index_text, a->index, PKI_INDEX_MAX, e))
		return e->rc;
	if (pki_index_read(&a->entries, &a->n, &a->index_text, e))
		return err_add(e, e->rc, "in '%s'", a->index);
	return pki_key_of_authority(&a->key, a->pem, a->uri, line->pin_file, e);
}

static enum rc terms_make(struct pki_terms *ret, const struct cli_line *line, uint32_t days, struct err *e)
{
	*ret = (struct pki_terms){ .subject = line->subject,
		.names = line->names,
		.use = line->use,
		.days = line->days ? line->days : days,
		.now_s = now_s() };
	if (getrandom(ret->serial, sizeof ret->serial, 0) != sizeof ret->serial)
		return err_errno(e, RC_INTERNAL, "draw a serial number");
	return RC_OK;
}

static enum rc authority_write(struct authority *a, const struct pki_new_key *key, struct err *e)
{
	const struct pki_text none = { 0 };

	if (pki_file_write(key->uri.n ? a->uri : a->pem, key->uri.n ? &key->uri : &key->pem, PKI_MODE_SECRET,
		    false, e) == RC_OK &&
		pki_file_write(a->index, &none, PKI_MODE_SECRET, false, e) == RC_OK)
		pki_file_write(a->crt, &a->crt_text, PKI_MODE_PUBLIC, false, e);
	return e->rc;
}

static enum rc authority_is_new(const struct authority *a, const char *dir, struct err *e)
{
	if (!pki_exists(a->crt) && !pki_exists(a->pem) && !pki_exists(a->uri) && !pki_exists(a->index))
		return RC_OK;
	return err_add(e, RC_EXISTS,
		"'%s' has an authority already, or what was left of one: ca.crt, ca.pem, ca.uri or index.txt is there",
		dir);
}

static int run_pki_authority(const struct cli_line *line)
{
	struct authority a = { .lock = -1 };
	struct pki_new_key key = { 0 };
	struct pki_terms terms;
	struct err e = { 0 };
	bool folder_made = false;

	if (!line->subject)
		err_add(&e, RC_MALFORMED,
			"--subject is missing: whose authority it is, such as \"CN=VPN CA, O=Example\"");
	else if (!begin(&e) && !paths_make(&a, line->argument, &e) &&
		 !(folder_made = mkdir(line->argument, 0700) == 0) && errno != EEXIST)
		err_errno(&e, RC_IO, "create the directory '%s'", line->argument);
	if (!e.rc && !lock(&a, line->argument, &e) && !authority_is_new(&a, line->argument, &e) &&
		!terms_make(&terms, line, AUTHORITY_DAYS, &e) &&
		!pki_key_for_authority(&key, line, AUTHORITY_KEY_TYPE, &e) &&
		!pki_authority_make(&a.crt_text, key.key, &terms, &e) && !authority_write(&a, &key, &e))
		printf(key.uri.n
				? "%sthe authority is '%s'; give %s to those who trust it; its key is %s\n"
				: "%sthe authority is '%s'; give %s to those who trust it, and keep %s to yourself\n",
			key.uri.n && key.made ? "a key was made; " : "", line->argument, a.crt,
			key.uri.n ? line->key : a.pem);
	if (e.rc && key.uri.n && key.made)
		err_add(&e, e.rc, "the key '%s' was made and stays", line->key);
	if (e.rc && folder_made)
		rmdir(line->argument); /* when nothing is in it yet */
	pki_new_key_done(&key);
	authority_done(&a);
	return ended(&e);
}

/* ---- requests ---- */

static int run_pki_request(const struct cli_line *line)
{
	struct pki_text request = { 0 };
	struct pki_new_key key = { 0 };
	struct err e = { 0 };

	if (!line->subject || !line->output)
		err_add(&e, RC_MALFORMED, "%s is missing",
			line->subject ? "-o: the file of the request"
				      : "--subject: such as \"CN=gw.example.net\"");
	else if (pki_exists(line->output))
		err_add(&e, RC_EXISTS, "'%s' exists already and is kept; remove it, or name another file",
			line->output);
	if (!e.rc && !begin(&e) && !pki_key_for_request(&key, line, CERTIFICATE_KEY_TYPE, &e) &&
		!pki_request_make(&request, key.key, line->subject, line->names, &e) &&
		!pki_file_write(line->output, &request, PKI_MODE_PUBLIC, false, &e))
		printf("%s'%s' is the request; the authority issues a certificate for it\n",
			key.made ? "a key was made; " : "", line->output);
	if (e.rc && key.made)
		err_add(&e, e.rc, "the key '%s' was made and stays", line->argument);
	pki_new_key_done(&key);
	pki_text_free(&request);
	return ended(&e);
}

/* ---- certificates ---- */

/* What a request says of itself is certified only when the authority says it as well. */
static enum rc terms_are_said(const struct cli_line *line, const struct pki_text *request, struct err *e)
{
	char subject[PKI_SUBJECT_MAX], names[PKI_SUBJECT_MAX];

	if (line->subject && line->output)
		return RC_OK;
	if (line->subject)
		return err_add(e, RC_MALFORMED, "-o is missing: the file of the certificate");
	if (pki_request_says(subject, names, request, e))
		return e->rc;
	return err_add(e, RC_DENIED,
		"the request asks for --subject \"%s\"%s%s%s; say --subject and --san yourself if that is whom you certify",
		subject, names[0] ? " --san " : "", names, names[0] ? "" : " and no other names");
}

static enum rc index_write(struct authority *a, struct err *e)
{
	struct pki_text text = { 0 };

	for (size_t i = 0; i < a->n && !e->rc; i++)
		pki_index_add(&text, &a->entries[i], e);
	if (!e->rc)
		pki_file_write(a->index, &text, PKI_MODE_SECRET, true, e);
	pki_text_free(&text);
	return e->rc;
}

static int run_pki_issue(const struct cli_line *line)
{
	struct pki_text request = { 0 }, certificate = { 0 };
	struct authority a = { .lock = -1 };
	struct pki_entry entry;
	struct pki_terms terms;
	struct err e = { 0 };

	if (!begin(&e) && !pki_file_read(&request, line->name, PKI_FILE_MAX, &e) &&
		!terms_are_said(line, &request, &e) && pki_exists(line->output))
		err_add(&e, RC_EXISTS, "'%s' exists already and is kept; remove it, or name another file",
			line->output);
	if (!e.rc && !authority_open(&a, line, &e) && !terms_make(&terms, line, CERTIFICATE_DAYS, &e) &&
		!pki_issue(&certificate, &entry, &a.crt_text, a.key, &request, &terms, &e) &&
		!pki_index_add(&a.index_text, &entry, &e) &&
		!pki_file_write(a.index, &a.index_text, PKI_MODE_SECRET, true, &e) &&
		!pki_file_write(line->output, &certificate, PKI_MODE_PUBLIC, false, &e))
		printf("'%s' is the certificate of %s, serial number %s\n", line->output, entry.subject,
			entry.serial);
	authority_done(&a);
	pki_text_free(&request);
	pki_text_free(&certificate);
	return ended(&e);
}

/* ---- what is revoked ---- */

/*
 * Gateways take no list with a lower number than the one they have, and would not hear of who is revoked. So numbers follow the clock, and a
 * directory without its last list, or with an old copy of it, goes on above all that it ever gave out.
 */
static enum rc crl_make(
	struct pki_text *ret_crl, uint64_t *ret_number, struct authority *a, uint32_t days, struct err *e)
{
	struct pki_text before = { 0 };

	*ret_number = 0;
	if (pki_exists(a->crl) &&
		(pki_file_read(&before, a->crl, PKI_INDEX_MAX, e) || pki_crl_number(ret_number, &before, e)))
		err_add(e, e->rc, "in '%s', whose number the next list must exceed", a->crl);
	*ret_number = MAX_OF(*ret_number + 1, (uint64_t)now_s());
	if (!e->rc)
		pki_crl_make(ret_crl, &a->crt_text, a->key, a->entries, a->n, *ret_number,
			days ? days : CRL_DAYS, now_s(), e);
	pki_text_free(&before);
	return e->rc;
}

static enum rc crl_write(
	const struct authority *a, const struct pki_text *crl, uint64_t number, uint32_t days, struct err *e)
{
	if (!pki_file_write(a->crl, crl, PKI_MODE_PUBLIC, true, e))
		printf("'%s' is list %llu, valid for %u days\n", a->crl, (unsigned long long)number,
			days ? days : CRL_DAYS);
	return e->rc;
}

/* By the file of the certificate; where there is none of that name, by its serial number. NULL: an error. */
static struct pki_entry *entry_find(struct authority *a, const char *which, struct err *e)
{
	char serial[PKI_SERIAL_TEXT];
	struct pki_text certificate = { 0 };

	snprintf(serial, sizeof serial, "%s", which);
	for (char *at = serial; *at; at++)
		*at = (char)(*at >= 'a' && *at <= 'f' ? *at - 'a' + 'A' : *at);
	if (pki_exists(which) && !pki_file_read(&certificate, which, PKI_FILE_MAX, e))
		pki_serial_of(serial, &a->crt_text, &certificate, e);
	pki_text_free(&certificate);
	for (size_t i = 0; i < a->n && !e->rc; i++)
		if (strcmp(a->entries[i].serial, serial) == 0)
			return &a->entries[i];
	if (!e->rc)
		err_add(e, RC_NOT_FOUND, "'%.60s' is not a file, and not a serial number in '%s'", which,
			a->index);
	return NULL;
}

/* The list is signed before the index is written: a token that is gone by then leaves all as it was. */
static void entry_revoke(
	struct authority *a, struct pki_entry *entry, const struct cli_line *line, struct err *e)
{
	char text[UTC_TEXT_MAX];
	struct pki_text crl = { 0 };
	uint64_t number;

	if (entry->revoked_s) {
		err_add(e, RC_EXISTS, "%s (%s) is revoked already, since %s", entry->serial, entry->subject,
			utc_text(text, (utc_us)entry->revoked_s * US_PER_S));
		return;
	}
	entry->revoked_s = now_s();
	entry->reason = line->reason;
	if (!crl_make(&crl, &number, a, line->days, e) && !index_write(a, e)) {
		printf("revoked: %s, serial number %s\n", entry->subject, entry->serial);
		if (crl_write(a, &crl, number, line->days, e))
			err_add(e, e->rc,
				"the index has it as revoked: make the list by 'plaingate pki crl %s'",
				line->argument);
	}
	pki_text_free(&crl);
}

static int run_pki_revoke(const struct cli_line *line)
{
	struct authority a = { .lock = -1 };
	struct err e = { 0 };
	struct pki_entry *entry =
		begin(&e) || authority_open(&a, line, &e) ? NULL : entry_find(&a, line->name, &e);

	if (entry)
		entry_revoke(&a, entry, line, &e);
	authority_done(&a);
	return ended(&e);
}

static int run_pki_crl(const struct cli_line *line)
{
	struct authority a = { .lock = -1 };
	struct pki_text crl = { 0 };
	struct err e = { 0 };
	uint64_t number;

	if (!begin(&e) && !authority_open(&a, line, &e) && !crl_make(&crl, &number, &a, line->days, &e))
		crl_write(&a, &crl, number, line->days, &e);
	pki_text_free(&crl);
	authority_done(&a);
	return ended(&e);
}

static int run_pki_show(const struct cli_line *line)
{
	struct pki_text text = { 0 };
	char *json = malloc(PKI_DESCRIBE_MAX), cell[RENDER_CELL_MAX];
	struct err e = { 0 };
	json_t *row = NULL, *value;
	const char *key;

	if (json && !begin(&e) && !pki_file_read(&text, line->argument, PKI_FILE_MAX, &e) &&
		pki_describe(json, &text, &e))
		err_add(&e, e.rc, "in '%s'", line->argument);
	if (!e.rc && line->given & OPT(JSON)) {
		if (!render_object_json(stdout, json, &e))
			putchar('\n');
	} else if (!e.rc && (row = render_row(json, &e))) {
		json_object_foreach(row, key, value)
		{
			cell[0] = '\0';
			render_cell(cell, value);
			printf("%-16s", key);
			render_safe(stdout, cell, strlen(cell), false);
			putchar('\n');
		}
	}
	json_decref(row);
	free(json);
	pki_text_free(&text);
	return ended(&e);
}

int run_pki(const struct cli_line *line)
{
	switch (line->command) {
	case COMMAND_PKI_AUTHORITY:
		return run_pki_authority(line);
	case COMMAND_PKI_REQUEST:
		return run_pki_request(line);
	case COMMAND_PKI_ISSUE:
		return run_pki_issue(line);
	case COMMAND_PKI_REVOKE:
		return run_pki_revoke(line);
	case COMMAND_PKI_CRL:
		return run_pki_crl(line);
	default:
		return run_pki_show(line);
	}
}
