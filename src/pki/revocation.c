/*
 * Lists of the revoked (RFC 5280 section 5).
 */
#include "pki/internal.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define DAY_S 86400

static X509_CRL *crl_read(const struct pki_text *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	X509_CRL *c = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (!c)
		err_add(e, RC_MALFORMED, "no list of revoked certificates (CRL) in PEM was found");
	ERR_clear_error();
	return c;
}

static bool reason_add(X509_REVOKED *r, uint32_t reason)
{
	ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
	/* RFC 5280 5.3.1: the reason 0 is left out */
	bool good = reason == 0 || (value && ASN1_ENUMERATED_set(value, (long)reason) == 1 &&
					   X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, value, 0, 0) == 1);

	ASN1_ENUMERATED_free(value);
	return good;
}

static bool entry_add(X509_CRL *c, const struct pki_entry *entry)
{
	X509_REVOKED *r = X509_REVOKED_new();
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial =
		BN_hex2bn(&number, entry->serial) > 0 ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
	ASN1_TIME *when = ASN1_TIME_new();
	bool good = r && serial && when && pki_time_set(when, entry->revoked_s) &&
		    X509_REVOKED_set_serialNumber(r, serial) == 1 &&
		    X509_REVOKED_set_revocationDate(r, when) == 1 && reason_add(r, entry->reason) &&
		    X509_CRL_add0_revoked(c, r) == 1;

	if (!good)
		X509_REVOKED_free(r);
	ASN1_TIME_free(when);
	ASN1_INTEGER_free(serial);
	BN_free(number);
	return good;
}

static bool frame_set(X509_CRL *c, X509 *ca, uint64_t number, uint32_t days, int64_t now_s)
{
	ASN1_TIME *from = ASN1_TIME_new(), *until = ASN1_TIME_new();
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	X509V3_CTX context;

	X509V3_set_ctx(&context, ca, NULL, NULL, c, 0);
	X509_EXTENSION *issuer =
		X509V3_EXT_nconf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
	bool good = from && until && n && issuer && X509_CRL_set_version(c, X509_CRL_VERSION_2) == 1 &&
		    X509_CRL_set_issuer_name(c, X509_get_subject_name(ca)) == 1 &&
		    pki_time_set(from, now_s) && pki_time_set(until, now_s + (int64_t)days * DAY_S) &&
		    X509_CRL_set1_lastUpdate(c, from) == 1 && X509_CRL_set1_nextUpdate(c, until) == 1 &&
		    ASN1_INTEGER_set_uint64(n, number) == 1 &&
		    X509_CRL_add1_ext_i2d(c, NID_crl_number, n, 0, 0) == 1 &&
		    X509_CRL_add_ext(c, issuer, -1) == 1;
	X509_EXTENSION_free(issuer);
	ASN1_INTEGER_free(n);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return good;
}

static bool list_sign(X509_CRL *c, const struct pki_key *key)
{
	EVP_MD_CTX *signs = pki_key_signs(key);
	bool good = signs && X509_CRL_sign_ctx(c, signs) > 0 && X509_CRL_verify(c, key->open) == 1;

	EVP_MD_CTX_free(signs);
	return good;
}

enum rc pki_crl_make(struct pki_text *ret_pem, const struct pki_text *authority, const struct pki_key *key,
	const struct pki_entry *entries, size_t n, uint64_t number, uint32_t days, int64_t now_s,
	struct err *e)
{
	X509 *ca = pki_certificate_read(authority, "the authority", e);
	X509_CRL *c = NULL;
	enum rc rc;

	if (ca && !pki_key_is_of(key, ca))
		err_add(e, RC_AUTH, "the authority's certificate and key do not belong together");
	else if (ca)
		c = X509_CRL_new();
	rc = e->rc;
	if (c) {
		bool good = frame_set(c, ca, number, days, now_s);
		for (size_t i = 0; i < n && good; i++)
			good = entries[i].revoked_s == 0 || entry_add(c, &entries[i]);
		BIO *bio = BIO_new(BIO_s_mem());
		good = good && X509_CRL_sort(c) == 1 && list_sign(c, key) && bio &&
		       PEM_write_bio_X509_CRL(bio, c) == 1;
		rc = pki_text_take(ret_pem, bio, good, "a list of revoked certificates could not be made", e);
	}
	X509_CRL_free(c);
	X509_free(ca);
	return rc;
}

enum rc pki_crl_number(uint64_t *ret_number, const struct pki_text *crl, struct err *e)
{
	X509_CRL *c = crl_read(crl, e);
	ASN1_INTEGER *n = c ? X509_CRL_get_ext_d2i(c, NID_crl_number, NULL, NULL) : NULL;

	if (c && (!n || ASN1_INTEGER_get_uint64(ret_number, n) != 1))
		err_add(e, RC_MALFORMED, "the list has no number (cRLNumber)");
	ERR_clear_error();
	ASN1_INTEGER_free(n);
	X509_CRL_free(c);
	return e->rc;
}
