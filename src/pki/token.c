/*
 * Keys in tokens (PKCS#11) and TPMs, which sign there and never leave. libcrypto reaches them through a provider that the operator has
 * installed. It is loaded into a library context of its own, only here, and for keys that are named by a URI: no other command and no
 * process of the gateway loads one, and libcrypto's configuration file is not read.
 *
 * A PIN is asked for when the provider first wants one, and goes nowhere else. It is given once: a token locks itself after a few wrong ones.
 * Only when the key was found, so that the PIN was right, it is given again, to tokens that want it for each signature.
 */
#include "pki/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *provider, *package, *only, *prefer;
} places[] = {
#define PREFER_pkcs11 "?provider=default"
#define PREFER_tpm2   "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes"
#define E(id, scheme, provider, package, text)                                                               \
	[PKI_IN_##id] = { provider, package, "provider=" provider,                                           \
		PKI_IN_##id == PKI_IN_PKCS11 ? PREFER_pkcs11 : PREFER_tpm2 },
	PKI_PLACES(E)
#undef E
};

static const struct {
	const char *algorithm, *group, *word;
	size_t bits;
} kinds[] = {
	[PKI_ECDSA_P256] = { "EC", "P-256", "ecdsa-p256", 0 },
	[PKI_ECDSA_P384] = { "EC", "P-384", "ecdsa-p384", 0 },
	[PKI_ED25519] = { "ED25519", NULL, "ed25519", 0 },
	[PKI_RSA_3072] = { "RSA", NULL, "rsa-3072", 3072 },
	[PKI_RSA_4096] = { "RSA", NULL, "rsa-4096", 4096 },
};

struct reached {
	OSSL_PROVIDER *base, *provider;
	UI_METHOD *asks;
	const struct pki_pin *pin;
	const char *uri;
	char text[PKI_PIN_MAX];
	bool asked, proven;
	struct err refused; /* of pin->ask */
};

/* libcrypto's default way of asking has no room for a context of the caller's: a provider that makes a key or signs finds it here. */
static struct reached *asking;

static int answer(char *ret, int size, int to_write, void *context)
{
	struct reached *r = asking;

	(void)to_write;
	(void)context;
	if (!r || (r->asked && !r->proven))
		return -1;
	if (!r->asked) {
		r->asked = true;
		if (r->pin->ask(r->pin->context, r->uri, r->text, &r->refused) != RC_OK)
			return -1;
	}
	size_t n = strlen(r->text);
	if (n >= (size_t)size)
		return -1;
	memcpy(ret, r->text, n + 1);
	return (int)n;
}

static void done(struct pki_key *key)
{
	struct reached *r = key->reached;

	/* Behind the key: the provider takes what it loaded out of the TPM, and logs out. */
	if (r->provider)
		OSSL_PROVIDER_unload(r->provider);
	if (r->base)
		OSSL_PROVIDER_unload(r->base);
	OSSL_LIB_CTX_free(key->library);
	UI_set_default_method(UI_null());
	UI_destroy_method(r->asks);
	asking = NULL;
	bytes_wipe(r, sizeof *r);
	free(r);
}

static enum rc no_provider(enum pki_place place, struct err *e)
{
	const unsigned long code = ERR_peek_error();

	if (ERR_GET_LIB(code) == ERR_LIB_DSO) {
		ERR_clear_error();
		return err_add(e, RC_UNSUPPORTED,
			"libcrypto has no provider '%s' on this machine: install the package %s",
			places[place].provider, places[place].package);
	}
	return pki_library_failed(e, RC_IO,
		place == PKI_IN_PKCS11
			? "the provider 'pkcs11' does not start"
			: "the provider 'tpm2' reaches no TPM (/dev/tpmrm0 belongs to the group tss; $TPM2OPENSSL_TCTI names another one)");
}

/* The provider and pkcs11.c load what the variable names: the file that was looked at, not the name that led to it. */
static enum rc module_choose(const char *uri, struct err *e)
{
	char module[PKI_URI_MAX], path[PATH_MAX];

	if (!pki_uri_attribute(module, sizeof module, uri, "module-path="))
		return RC_OK;
	if (pki_module_of_root(path, module, e))
		return e->rc;
	return setenv(PKI_MODULE_VARIABLE, path, 1) == 0 ? RC_OK : err_add(e, RC_INTERNAL, "out of memory");
}

/* A library context with the provider in it. */
static enum rc reach(
	struct pki_key *key, enum pki_place place, const char *uri, const struct pki_pin *pin, struct err *e)
{
	struct reached *r = calloc(1, sizeof *r);

	key->library = OSSL_LIB_CTX_new();
	key->reached = r;
	if (!r || !key->library)
		return err_add(e, RC_INTERNAL, "out of memory");
	key->done = done;
	r->pin = pin;
	r->uri = uri;
	asking = r;
	r->asks = UI_UTIL_wrap_read_pem_callback(answer, 0);
	UI_set_default_method(r->asks);
	if (place == PKI_IN_PKCS11 && module_choose(uri, e))
		return e->rc;
	if (place != PKI_IN_PKCS11)
		setenv("TSS2_LOG", "all+none",
			0); /* what its library prints of faults, beside our sentence */
	ERR_clear_error();
	r->base = OSSL_PROVIDER_load(key->library, "default");
	r->provider = OSSL_PROVIDER_load(key->library, places[place].provider);
	if (!r->base || !r->provider || EVP_set_default_properties(key->library, places[place].prefer) != 1)
		return no_provider(place, e);
	ERR_clear_error();
	return RC_OK;
}

/* ---- what is there ---- */

/* The only private key of that name; NULL: none, with libcrypto's faults. */
static EVP_PKEY *stored(struct pki_key *key, enum pki_place place, const char *uri, struct err *e)
{
	struct reached *r = key->reached;
	EVP_PKEY *found = NULL;
	OSSL_STORE_CTX *store =
		OSSL_STORE_open_ex(uri, key->library, places[place].only, r->asks, NULL, NULL, NULL, NULL);

	if (store)
		OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	while (store && !e->rc && !OSSL_STORE_eof(store) && !OSSL_STORE_error(store)) {
		OSSL_STORE_INFO *item = OSSL_STORE_load(store);
		if (item && OSSL_STORE_INFO_get_type(item) == OSSL_STORE_INFO_PKEY) {
			if (found)
				err_add(e, RC_LIMIT,
					"the name fits several private keys: add ;object=LABEL or ;id=%%XX to it");
			else
				found = OSSL_STORE_INFO_get1_PKEY(item);
		}
		OSSL_STORE_INFO_free(item);
	}
	OSSL_STORE_close(store);
	if (e->rc) {
		EVP_PKEY_free(found);
		return NULL;
	}
	return found;
}

static EVP_PKEY *unwrapped(struct pki_key *key, enum pki_place place, const struct pki_text *wrapped)
{
	BIO *bio = BIO_new_mem_buf(wrapped->at, (int)wrapped->n);
	EVP_PKEY *found =
		bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, answer, NULL, key->library, places[place].only)
		    : NULL;

	BIO_free(bio);
	return found;
}

/* Why a token of PKCS#11 gave none, or made none. RC_NOT_FOUND: it has none. */
static enum rc token_says(const struct reached *r, const char *uri, struct err *e)
{
	char text[ERR_TEXT_MAX / 2];
	enum pki_token_state state = pki_pkcs11_look(text, sizeof text, uri);

	ERR_clear_error();
	switch (state) {
	case PKI_TOKEN_NO_MODULE:
		return err_add(e, RC_UNSUPPORTED,
			"the module of the token, '%s', cannot be loaded: install p11-kit and the token's package, "
			"or name its module as \"?module-path=/usr/lib/...\" behind the key's name",
			text);
	case PKI_TOKEN_NONE:
		return err_add(e, RC_NOT_FOUND, "no such token is there; tokens that are there: %s", text);
	case PKI_TOKEN_LOGGED_OUT:
		if (r->asked)
			return err_add(e, RC_AUTH,
				"the token did not accept the PIN, and it was not tried again; %s", text);
		return RC_NOT_FOUND;
	case PKI_TOKEN_LOGGED_IN:
		break;
	}
	return RC_NOT_FOUND;
}

/* Of a TPM, whose provider says it, in words and by the number of the TPM's answer. */
static enum rc tpm_says(const struct reached *r, struct err *e)
{
	const char *data = NULL;
	int flags = 0;
	char number[16] = "";

	ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
	if (data && flags & ERR_TXT_STRING)
		snprintf(number, sizeof number, "%.*s", (int)strspn(data, "0123456789"), data);
	/* TPM 2.0 Part 2, 6.6.3: the low bits are the fault, those above it whose it is. */
	unsigned long answer_code = strtoul(number, NULL, 10);
	if (answer_code == 0x921)
		return pki_library_failed(e, RC_AUTH,
			"the TPM is locked after wrong PINs, for a time (tpm2_getcap properties-variable; tpm2_dictionarylockout)");
	if ((answer_code & 0x80) && ((answer_code & 0x3f) == 0x0e || (answer_code & 0x3f) == 0x22))
		return pki_library_failed(e, RC_AUTH,
			!r->asked
				? "the key has a PIN: write ?pass behind its handle, then it is asked for"
				: "the TPM did not accept the PIN, and it was not tried again (tpm2_getcap properties-variable says how many are left)");
	return pki_library_failed(e, RC_NOT_FOUND, "the TPM has no such key, or does not take it");
}

/* ---- what is made ---- */

static EVP_PKEY *generate(struct pki_key *key, enum pki_place place, const char *uri, uint32_t type)
{
	struct reached *r = key->reached;
	char path[PKI_URI_MAX], pin[PKI_PIN_MAX] = "";
	size_t bits = kinds[type].bits;
	OSSL_PARAM params[4], *p = params;
	EVP_PKEY *made = NULL;
	EVP_PKEY_CTX *context =
		EVP_PKEY_CTX_new_from_name(key->library, kinds[type].algorithm, places[place].only);

	snprintf(path, sizeof path, "%.*s", (int)strcspn(uri, "?"), uri);
	if (kinds[type].group)
		*p++ = OSSL_PARAM_construct_utf8_string(
			OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)kinds[type].group, 0);
	if (bits)
		*p++ = OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_RSA_BITS, &bits);
	if (place == PKI_IN_PKCS11)
		*p++ = OSSL_PARAM_construct_utf8_string("pkcs11_uri", path, 0);
	else if (answer(pin, sizeof pin, 1, NULL) > 0)
		*p++ = OSSL_PARAM_construct_utf8_string("user-auth", pin, 0);
	*p = OSSL_PARAM_construct_end();
	if (!r->refused.rc && context && EVP_PKEY_keygen_init(context) == 1 &&
		EVP_PKEY_CTX_set_params(context, params) == 1) {
		ERR_clear_error(); /* of engines that libcrypto looked for */
		EVP_PKEY_generate(context, &made);
	}
	EVP_PKEY_CTX_free(context);
	bytes_wipe(pin, sizeof pin);
	return made;
}

/* What a TPM made is in no place of it: the caller keeps it, wrapped. The key is then the one that was read back, with its PIN. */
static enum rc wrap(struct pki_text *ret, EVP_PKEY **made, struct pki_key *key, struct err *e)
{
	struct reached *r = key->reached;
	BIO *bio = BIO_new(BIO_s_mem());
	bool good = bio && PEM_write_bio_PrivateKey(bio, *made, NULL, NULL, 0, NULL, NULL) == 1;

	EVP_PKEY_free(*made);
	*made = NULL;
	if (pki_text_take(ret, bio, good, "the TPM's key could not be written", e))
		return e->rc;
	r->proven = r->asked; /* it is the PIN that the key was made with */
	*made = unwrapped(key, PKI_IN_TPM_FILE, ret);
	return *made ? RC_OK
		     : pki_library_failed(e, RC_INTERNAL, "the TPM does not take back the key that it made");
}

static enum rc make(EVP_PKEY **ret, struct pki_key *key, enum pki_place place, struct pki_text *wrapped,
	const char *uri, uint32_t type, struct err *e)
{
	struct reached *r = key->reached;
	char value[PKI_URI_MAX];

	if (place == PKI_IN_TPM_HANDLE)
		return err_add(e, RC_UNSUPPORTED,
			"no key is made under a handle of a TPM: make it with tpm2_create and tpm2_evictcontrol, or let a key be made in tpm2tss:FILE");
	if (place == PKI_IN_PKCS11 && !pki_uri_attribute(value, sizeof value, uri, "object="))
		return err_add(e, RC_NOT_FOUND,
			"the token has no such private key; to have one made, say what it is to be called: ;object=LABEL");
	if (place == PKI_IN_TPM_FILE && type == PKI_ED25519)
		return err_add(e, RC_UNSUPPORTED, "a TPM makes no keys of type ed25519");
	*ret = generate(key, place, uri, type);
	if (*ret)
		return place == PKI_IN_TPM_FILE ? wrap(wrapped, ret, key, e) : RC_OK;
	if (r->refused.rc)
		return err_add(e, r->refused.rc, "%s", r->refused.text);
	if (place == PKI_IN_PKCS11) {
		const unsigned long code = ERR_peek_error();
		const char *why = ERR_reason_error_string(code);
		char text[ERR_TEXT_MAX / 4];
		snprintf(text, sizeof text, "%s", why ? why : "no reason is given");
		if (token_says(r, uri, e) != RC_NOT_FOUND || e->rc)
			return e->rc;
		return err_add(e, RC_UNSUPPORTED,
			"the token has no such private key, and makes none of type %s (%s): make one with pkcs11-tool --login --keypairgen "
			"--key-type EC:secp384r1 --label LABEL, or with the maker's program",
			kinds[type].word, text);
	}
	return pki_library_failed(e, RC_UNSUPPORTED,
		type == PKI_ECDSA_P256 ? "the TPM made no key"
				       : "the TPM made no key (many have only --key-type ecdsa-p256)");
}

/* A TPM hears of the PIN when the key signs: so it does, before anything is made by it. */
static enum rc tpm_signs(const struct pki_key *key, struct err *e)
{
	static const uint8_t text[] = "plaingate pki: does this key sign";
	uint8_t signature[PKI_SIGNATURE_MAX];
	size_t n = sizeof signature;
	EVP_MD_CTX *signs = pki_key_signs(key);
	bool good = signs && EVP_DigestSign(signs, signature, &n, text, sizeof text) == 1;

	EVP_MD_CTX_free(signs);
	return good ? RC_OK : tpm_says(key->reached, e);
}

enum rc pki_token_key(struct pki_key **ret_key, bool *ret_made, struct pki_text *wrapped, const char *uri,
	uint32_t type, const struct pki_pin *pin, struct err *e)
{
	const enum pki_place place = pki_place_of(uri);
	struct pki_key *key = *ret_key = calloc(1, sizeof *key);
	EVP_PKEY *found = NULL;

	*ret_made = false;
	if (!key)
		return err_add(e, RC_INTERNAL, "out of memory");
	if (pki_uri_check(uri, e) || reach(key, place, uri, pin, e))
		return e->rc;
	struct reached *r = key->reached;
	bool none = place == PKI_IN_TPM_FILE && wrapped->n == 0;
	if (place != PKI_IN_TPM_FILE)
		found = stored(key, place, uri, e);
	else if (!none)
		found = unwrapped(key, place, wrapped);
	if (!found && !e->rc && r->refused.rc)
		err_add(e, r->refused.rc, "%s", r->refused.text);
	if (!found && !e->rc && !none) {
		if (place != PKI_IN_PKCS11)
			return tpm_says(r, e);
		none = token_says(r, uri, e) == RC_NOT_FOUND && !e->rc;
		if (none && type == PKI_KEY_TYPE_COUNT)
			return err_add(e, RC_NOT_FOUND, "the token has no such private key");
		r->proven = r->asked; /* the token is logged in */
	}
	if (none && make(&found, key, place, wrapped, uri, type, e) == RC_OK)
		*ret_made = true;
	if (!found || e->rc) {
		EVP_PKEY_free(found);
		return e->rc;
	}
	r->proven = true;
	if (pki_key_adopt(key, found, e) || place == PKI_IN_PKCS11)
		return e->rc;
	return tpm_signs(key, e);
}
