/*
 * Authorities, requests and certificates (RFC 5280, RFC 2986, RFC 4945).
 */
#include "pki/internal.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLOCK_SKEW_S 300 /* a certificate is valid for peers whose clock is so much slower */
#define DAY_S	     86400

bool pki_time_set(ASN1_TIME *t, int64_t since_1970)
{
	return ASN1_TIME_set(t, (time_t)since_1970) != NULL;
}

bool pki_time_get(int64_t *ret_since_1970, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret_since_1970 = (int64_t)timegm(&tm);
	return true;
}

void pki_serial_text(char ret_text[PKI_SERIAL_TEXT], const ASN1_INTEGER *serial)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *bytes = ASN1_STRING_get0_data(serial);
	size_t n = MIN_OF((size_t)ASN1_STRING_length(serial), (size_t)(PKI_SERIAL_TEXT - 1) / 2);

	for (size_t i = 0; i < n; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * n] = '\0';
}

X509 *pki_certificate_read(const struct pki_text *pem, const char *what, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	X509 *c = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (!c)
		err_add(e, RC_MALFORMED, "%s: no certificate in PEM was found", what);
	ERR_clear_error();
	return c;
}

static X509_REQ *request_read(const struct pki_text *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	X509_REQ *r = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (!r)
		err_add(e, RC_MALFORMED, "no certificate request in PEM was found");
	ERR_clear_error();
	return r;
}

/* With "critical," in front where it is. issuer: whose key identifier an authorityKeyIdentifier names. */
static bool extension_add(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
	X509_EXTENSION *x = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
	bool good = x && X509_add_ext(c, x, -1) == 1;
	X509_EXTENSION_free(x);
	return good;
}

static bool extensions_of_authority(X509 *c)
{
	return extension_add(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       extension_add(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       extension_add(c, c, NID_subject_key_identifier, "hash");
}

/* RFC 4945 5.1.3. serverAuth and clientAuth are there for peers that know nothing of ipsecIKE. */
static bool extensions_of_end_entity(X509 *c, X509 *authority, uint32_t use, const GENERAL_NAMES *names)
{
	/* RFC 4945 5.1.3.12: 1.3.6.1.5.5.7.3.17 is ipsecIKE */
	const char *usage = use == PKI_CLIENT ? "1.3.6.1.5.5.7.3.17,clientAuth"
					      : "1.3.6.1.5.5.7.3.17,serverAuth,clientAuth";

	return extension_add(c, authority, NID_basic_constraints, "critical,CA:FALSE") &&
	       extension_add(c, authority, NID_key_usage, "critical,digitalSignature") &&
	       extension_add(c, authority, NID_ext_key_usage, usage) &&
	       extension_add(c, authority, NID_subject_key_identifier, "hash") &&
	       extension_add(c, authority, NID_authority_key_identifier, "keyid:always") &&
	       (!names || X509_add1_ext_i2d(c, NID_subject_alt_name, (void *)(uintptr_t)names, 0,
				  X509V3_ADD_DEFAULT) == 1);
}

/* Version, serial number and times; positive, as RFC 5280 4.1.2.2 demands, and of full length. */
static bool frame_set(X509 *c, const struct pki_terms *terms)
{
	uint8_t serial[PKI_SERIAL_SIZE];
	BIGNUM *number;
	bool good;

	memcpy(serial, terms->serial, sizeof serial);
	serial[0] = (serial[0] & 0x7f) | 0x40;
	number = BN_bin2bn(serial, sizeof serial, NULL);
	good = number && X509_set_version(c, X509_VERSION_3) == 1 &&
	       BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c)) &&
	       pki_time_set(X509_getm_notBefore(c), terms->now_s - CLOCK_SKEW_S) &&
	       pki_time_set(X509_getm_notAfter(c), terms->now_s + (int64_t)terms->days * DAY_S - 1);
	BN_free(number);
	return good;
}

static enum rc certificate_take(struct pki_text *ret_pem, X509 *c, bool good, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());

	good = good && bio && PEM_write_bio_X509(bio, c) == 1;
	return pki_text_take(ret_pem, bio, good, "a certificate could not be made", e);
}

/* Signed, and what was signed is what the key's public half says. */
static bool certificate_sign(X509 *c, const struct pki_key *key)
{
	EVP_MD_CTX *signs = pki_key_signs(key);
	bool good = signs && X509_sign_ctx(c, signs) > 0 && X509_verify(c, key->open) == 1;

	EVP_MD_CTX_free(signs);
	return good;
}

enum rc pki_authority_make(
	struct pki_text *ret_pem, const struct pki_key *key, const struct pki_terms *terms, struct err *e)
{
	X509_NAME *subject = pki_subject_read(terms->subject, e);
	X509 *c = subject ? X509_new() : NULL;
	enum rc rc = e->rc;

	if (c) {
		bool good = frame_set(c, terms) && X509_set_subject_name(c, subject) == 1 &&
			    X509_set_issuer_name(c, subject) == 1 && X509_set_pubkey(c, key->open) == 1 &&
			    extensions_of_authority(c) && certificate_sign(c, key);
		rc = certificate_take(ret_pem, c, good, e);
	}
	X509_free(c);
	X509_NAME_free(subject);
	return rc;
}

static bool request_sign(X509_REQ *r, const struct pki_key *key)
{
	EVP_MD_CTX *signs = pki_key_signs(key);
	bool good = signs && X509_REQ_sign_ctx(r, signs) > 0 && X509_REQ_verify(r, key->open) == 1;

	EVP_MD_CTX_free(signs);
	return good;
}

static bool request_names_add(X509_REQ *r, const GENERAL_NAMES *names)
{
	STACK_OF(X509_EXTENSION) *list = NULL;
	bool good = X509V3_add1_i2d(&list, NID_subject_alt_name, (void *)(uintptr_t)names, 0,
			    X509V3_ADD_DEFAULT) == 1 &&
		    X509_REQ_add_extensions(r, list) == 1;

	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return good;
}

enum rc pki_request_make(struct pki_text *ret_pem, const struct pki_key *key, const char *subject,
	const char *names, struct err *e)
{
	X509_NAME *name = pki_subject_read(subject, e);
	GENERAL_NAMES *others = name && names && names[0] ? pki_names_read(names, e) : NULL;
	X509_REQ *r = e->rc == RC_OK ? X509_REQ_new() : NULL;
	enum rc rc = e->rc;

	if (r) {
		bool good = X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 &&
			    X509_REQ_set_subject_name(r, name) == 1 &&
			    X509_REQ_set_pubkey(r, key->open) == 1 &&
			    (!others || request_names_add(r, others)) && request_sign(r, key);
		BIO *bio = BIO_new(BIO_s_mem());
		good = good && bio && PEM_write_bio_X509_REQ(bio, r) == 1;
		rc = pki_text_take(ret_pem, bio, good, "a request could not be made", e);
	}
	X509_REQ_free(r);
	GENERAL_NAMES_free(others);
	X509_NAME_free(name);
	return rc;
}

static GENERAL_NAMES *request_names(X509_REQ *r)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(r);
	GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);

	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return names;
}

enum rc pki_request_says(char ret_subject[PKI_SUBJECT_MAX], char ret_names[PKI_SUBJECT_MAX],
	const struct pki_text *request, struct err *e)
{
	X509_REQ *r = request_read(request, e);
	GENERAL_NAMES *names;
	enum rc rc = RC_OK;

	if (!r)
		return e->rc;
	names = request_names(r);
	pki_subject_text(ret_subject, PKI_SUBJECT_MAX, X509_REQ_get_subject_name(r));
	if (!pki_names_text(ret_names, PKI_SUBJECT_MAX, names))
		rc = err_add(e, RC_LIMIT, "the names of the request are longer than %d characters",
			PKI_SUBJECT_MAX - 1);
	GENERAL_NAMES_free(names);
	X509_REQ_free(r);
	return rc;
}

static enum rc request_key(EVP_PKEY **ret_key, const struct pki_text *request, struct err *e)
{
	X509_REQ *r = request_read(request, e);
	EVP_PKEY *key = r ? X509_REQ_get_pubkey(r) : NULL;

	if (r && !key)
		err_add(e, RC_UNSUPPORTED, "the request's key is of a kind that is not known");
	else if (r && pki_key_strong(key, e) == RC_OK && X509_REQ_verify(r, key) != 1)
		err_add(e, RC_AUTH, "the request is not signed by its own key");
	ERR_clear_error();
	X509_REQ_free(r);
	*ret_key = key;
	return e->rc;
}

/* The authority's certificate and key belong together, and it is still valid at the end of the certificate. */
static enum rc authority_fits(
	X509 *authority, const struct pki_key *key, const struct pki_terms *terms, struct err *e)
{
	int64_t until, end = terms->now_s + (int64_t)terms->days * DAY_S - 1;

	if (!pki_key_is_of(key, authority) || X509_check_ca(authority) != 1)
		return err_add(e, RC_AUTH, "the authority's certificate and key do not belong together");
	if (!pki_time_get(&until, X509_get0_notAfter(authority)) || until < end)
		return err_add(e, RC_RANGE,
			"the certificate would be valid for longer than that of the authority, which ends in %lld days; ask for fewer",
			(long long)((until - terms->now_s) / DAY_S));
	return RC_OK;
}

static void entry_fill(struct pki_entry *ret, X509 *c, const struct pki_terms *terms)
{
	*ret = (struct pki_entry){ .until_s = terms->now_s + (int64_t)terms->days * DAY_S - 1 };
	pki_serial_text(ret->serial, X509_get0_serialNumber(c));
	pki_subject_text(ret->subject, sizeof ret->subject, X509_get_subject_name(c));
}

enum rc pki_issue(struct pki_text *ret_pem, struct pki_entry *ret_entry, const struct pki_text *authority,
	const struct pki_key *key, const struct pki_text *request, const struct pki_terms *terms,
	struct err *e)
{
	X509_NAME *subject = pki_subject_read(terms->subject, e);
	GENERAL_NAMES *names =
		subject && terms->names && terms->names[0] ? pki_names_read(terms->names, e) : NULL;
	X509 *ca = e->rc == RC_OK ? pki_certificate_read(authority, "the authority", e) : NULL, *c = NULL;
	EVP_PKEY *subject_key = NULL;
	enum rc rc = e->rc;

	if (ca && authority_fits(ca, key, terms, e) == RC_OK &&
		request_key(&subject_key, request, e) == RC_OK)
		c = X509_new();
	rc = e->rc;
	if (c) {
		bool good = frame_set(c, terms) && X509_set_subject_name(c, subject) == 1 &&
			    X509_set_issuer_name(c, X509_get_subject_name(ca)) == 1 &&
			    X509_set_pubkey(c, subject_key) == 1 &&
			    extensions_of_end_entity(c, ca, terms->use, names) && certificate_sign(c, key);
		rc = certificate_take(ret_pem, c, good, e);
	}
	if (c && rc == RC_OK)
		entry_fill(ret_entry, c, terms);
	X509_free(c);
	EVP_PKEY_free(subject_key);
	X509_free(ca);
	GENERAL_NAMES_free(names);
	X509_NAME_free(subject);
	return rc;
}

enum rc pki_serial_of(char ret_serial[PKI_SERIAL_TEXT], const struct pki_text *authority,
	const struct pki_text *certificate, struct err *e)
{
	X509 *ca = pki_certificate_read(authority, "the authority", e),
	     *c = ca ? pki_certificate_read(certificate, "the certificate", e) : NULL;

	if (c && X509_verify(c, X509_get0_pubkey(ca)) != 1)
		err_add(e, RC_AUTH, "the certificate was not issued by this authority");
	else if (c)
		pki_serial_text(ret_serial, X509_get0_serialNumber(c));
	ERR_clear_error();
	X509_free(c);
	X509_free(ca);
	return e->rc;
}
