/*
 * Where `plaingate pki` takes private keys from, and PINs: from the terminal, or from a file that is its owner's alone. Never from the command
 * line or the environment, which other users' programs can read.
 */
#include "cli/pki_key.h"

#include "cli/part.h"
#include "cli/pki_files.h"

#include <fcntl.h>
#include <openssl/ui.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- PINs ---- */

/* In one line. What an editor has left there (CR) would cost a try of the token's. */
static bool is_pin(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
			return false;
	return n > 0 && n < PKI_PIN_MAX;
}

static enum rc pin_of_file(char ret_pin[PKI_PIN_MAX], const char *path, struct err *e)
{
	char text[PKI_PIN_MAX + 1];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err_errno(e, RC_IO, "open '%s'", path);
	} else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IRWXG | S_IRWXO)) {
		err_add(e, RC_DENIED,
			"'%s' is not a file that is yours alone, and its PIN is not read: chmod 600, and it belongs to who runs this",
			path);
	} else {
		n = read(fd, text, sizeof text);
		size_t len = n > 0 ? (size_t)n - (text[n - 1] == '\n') : 0;
		if (n < 0)
			err_errno(e, RC_IO, "read '%s'", path);
		else if (!is_pin(text, len))
			err_add(e, RC_MALFORMED,
				"'%s': a PIN is expected, alone on one line, of at most %d characters, none of them a control character (such as the CR of a file with CRLF)",
				path, PKI_PIN_MAX - 1);
		else
			snprintf(ret_pin, PKI_PIN_MAX, "%.*s", (int)len, text);
	}
	if (fd >= 0)
		close(fd);
	bytes_wipe(text, sizeof text);
	return e->rc;
}

/* libcrypto switches the terminal's echo off, and on again when it is interrupted; without a terminal it would read standard input. */
static enum rc pin_of_terminal(char ret_pin[PKI_PIN_MAX], const char *uri, struct err *e)
{
	char prompt[PKI_URI_MAX + 16];
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_add(e, RC_NOT_FOUND,
			"the key has a PIN, and there is no terminal to ask for it: use --pin-file FILE");
	close(fd);
	snprintf(prompt, sizeof prompt, "PIN of %s: ", uri);
	UI *ui = UI_new_method(UI_OpenSSL());
	bool good = ui && UI_add_input_string(ui, prompt, 0, ret_pin, 1, PKI_PIN_MAX - 1) >= 0 &&
		    UI_process(ui) == 0;
	UI_free(ui);
	return good ? RC_OK : err_add(e, RC_DENIED, "no PIN was entered");
}

struct asked {
	const char *pin_file;
	bool new; /* of a key that is made and wrapped: without --pin-file it gets none */
};

/*
 * The provider and the module have copies of the PIN that nobody else knows of, so all memory stays out of swap, what they take later too.
 * Not under a limit: what they take later would be refused. Without one are root (CAP_IPC_LOCK), who alone may lock under a limit of
 * nothing, and whom limits.conf gives memlock unlimited.
 */
static void stay_in_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return;
	const bool none = limit.rlim_max == RLIM_INFINITY;
	const struct rlimit tried = { .rlim_cur = none ? RLIM_INFINITY : 0, .rlim_max = limit.rlim_max };
	if (setrlimit(RLIMIT_MEMLOCK, &tried) == 0)
		mlockall(MCL_CURRENT | MCL_FUTURE);
	if (!none)
		setrlimit(RLIMIT_MEMLOCK, &limit);
}

static enum rc ask(void *context, const char *uri, char ret_pin[PKI_PIN_MAX], struct err *e)
{
	const struct asked *a = context;

	prctl(PR_SET_DUMPABLE, 0); /* a crash writes it nowhere */
	stay_in_memory();
	if (a->pin_file)
		return pin_of_file(ret_pin, a->pin_file, e);
	ret_pin[0] = '\0';
	return a->new ? RC_OK : pin_of_terminal(ret_pin, uri, e);
}

/* ---- keys ---- */

/* type: PKI_KEY_TYPE_COUNT: none is made. */
static enum rc elsewhere(struct pki_key **ret, bool *ret_made, const char *uri, const char *pin_file,
	uint32_t type, struct err *e)
{
	const char *file = pki_place_of(uri) == PKI_IN_TPM_FILE ? pki_place_rest(uri) : NULL;
	struct pki_text wrapped = { 0 };
	struct asked asked = { .pin_file = pin_file };
	const struct pki_pin pin = { .ask = ask, .context = &asked };
	bool is_new = file && type != PKI_KEY_TYPE_COUNT && !pki_exists(file);

	asked.new = is_new;
	if (pki_uri_check(uri, e) || (file && !is_new && pki_file_read(&wrapped, file, PKI_FILE_MAX, e)))
		return e->rc;
	if (file && !is_new && !wrapped.n)
		err_add(e, RC_MALFORMED, "'%s' is empty", file);
	else if (pki_token_key(ret, ret_made, &wrapped, uri, type, &pin, e))
		err_add(e, e->rc, "with '%.100s'", uri);
	else if (is_new && pki_file_write(file, &wrapped, PKI_MODE_SECRET, false, e))
		*ret_made = false;
	pki_text_free(&wrapped);
	return e->rc;
}

static enum rc no_pin_file(const char *pin_file, struct err *e)
{
	return pin_file ? err_add(e, RC_MALFORMED,
				  "--pin-file is for a key in a token or TPM; this one is in a file")
			: RC_OK;
}

/* Where a key stands already, --key-type is a mistake: it would not become one of that type. */
static enum rc elsewhere_or_new(
	struct pki_new_key *ret, const char *uri, const struct cli_line *line, uint32_t type, struct err *e)
{
	if (elsewhere(&ret->key, &ret->made, uri, line->pin_file,
		    line->given & OPT(KEY_TYPE) ? line->key_type : type, e))
		return e->rc;
	if (!ret->made && line->given & OPT(KEY_TYPE))
		return err_add(e, RC_EXISTS, "'%s' exists already, and --key-type is for a new key", uri);
	return RC_OK;
}

/* The name of a file in it does not depend on the directory that one is in. */
static enum rc name_keep(struct pki_text *ret, const char *uri, struct err *e)
{
	const char *file = pki_place_of(uri) == PKI_IN_TPM_FILE ? pki_place_rest(uri) : NULL;
	char *whole = file ? realpath(file, NULL) : NULL, line[PKI_URI_MAX + 1];

	if (file && !whole)
		return err_errno(e, RC_IO, "open '%s'", file);
	int n = whole ? snprintf(line, sizeof line, "%.*s%s\n", (int)(file - uri), uri, whole)
		      : snprintf(line, sizeof line, "%s\n", uri);
	free(whole);
	ret->at = n < (int)sizeof line ? strdup(line) : NULL;
	ret->n = ret->at ? (size_t)n : 0;
	return ret->at ? RC_OK
		       : err_add(e, RC_LIMIT, "the name of the key is longer than %d characters",
				 PKI_URI_MAX - 1);
}

enum rc pki_key_for_authority(
	struct pki_new_key *ret, const struct cli_line *line, uint32_t type, struct err *e)
{
	if (line->key && pki_place_of(line->key) == PKI_IN_FILE)
		return err_add(e, RC_MALFORMED,
			"--key: '%.60s' found, expected a key in a token or TPM: pkcs11:..., handle:0x81... or tpm2tss:FILE; without --key one is made in a file",
			line->key);
	if (line->key)
		return elsewhere_or_new(ret, line->key, line, type, e) ? e->rc
								       : name_keep(&ret->uri, line->key, e);
	ret->made = true;
	if (no_pin_file(line->pin_file, e) ||
		pki_key_make(&ret->pem, line->given & OPT(KEY_TYPE) ? line->key_type : type, e))
		return e->rc;
	return pki_key_read(&ret->key, &ret->pem, e);
}

enum rc pki_key_for_request(
	struct pki_new_key *ret, const struct cli_line *line, uint32_t type, struct err *e)
{
	const char *name = line->argument;
	bool there;

	if (pki_place_of(name) != PKI_IN_FILE)
		return elsewhere_or_new(ret, name, line, type, e);
	if (no_pin_file(line->pin_file, e))
		return e->rc;
	there = pki_exists(name);
	if (there && line->given & OPT(KEY_TYPE))
		return err_add(e, RC_EXISTS, "'%s' exists already, and --key-type is for a new key", name);
	if (there ? pki_file_read(&ret->pem, name, PKI_FILE_MAX, e)
		  : pki_key_make(&ret->pem, line->given & OPT(KEY_TYPE) ? line->key_type : type, e))
		return e->rc;
	if (!there && pki_file_write(name, &ret->pem, PKI_MODE_SECRET, false, e))
		return e->rc;
	ret->made = !there;
	return pki_key_read(&ret->key, &ret->pem, e);
}

void pki_new_key_done(struct pki_new_key *key)
{
	pki_key_free(key->key);
	pki_text_free(&key->pem);
	pki_text_free(&key->uri);
}

enum rc pki_key_of_authority(
	struct pki_key **ret, const char *pem, const char *uri, const char *pin_file, struct err *e)
{
	struct pki_text text = { 0 };
	bool made;

	if (!pki_exists(uri)) {
		if (!no_pin_file(pin_file, e) && !pki_file_read(&text, pem, PKI_FILE_MAX, e))
			pki_key_read(ret, &text, e);
	} else if (pki_exists(pem)) {
		err_add(e, RC_EXISTS,
			"'%s' and '%s' both say what the authority's key is: remove the one that is not", pem,
			uri);
	} else if (!pki_file_read(&text, uri, PKI_URI_MAX, e)) {
		text.at[strcspn(text.at, "\n")] = '\0';
		if (pki_place_of(text.at) == PKI_IN_FILE)
			err_add(e, RC_MALFORMED,
				"'%s' has no name of a key in a token or TPM in its first line", uri);
		else
			elsewhere(ret, &made, text.at, pin_file, PKI_KEY_TYPE_COUNT, e);
	}
	pki_text_free(&text);
	return e->rc;
}
