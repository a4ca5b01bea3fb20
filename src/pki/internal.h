/* Of this room's files only. */
#ifndef PKI_INTERNAL_H
#define PKI_INTERNAL_H

#include "pki/pki.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define PKI_NAMES_MAX	  32
#define PKI_RSA_BITS_MIN  2048			  /* certifiers refuse less (certify/certify.h) */
#define PKI_LINE_MAX	  (PKI_SUBJECT_MAX + 256) /* of an index */
#define PKI_TIME_TEXT_MAX 64
#define PKI_SLOTS_MAX	  64   /* of tokens, in which one is looked for; a machine has a few */
#define PKI_SIGNATURE_MAX 1024 /* octets; RSA of 8192 bits */
#define PKI_MODULE_VARIABLE                                                                                  \
	"PKCS11_PROVIDER_MODULE" /* of the provider: its module, where no configuration file names one */

/*
 * A key of a token is one of a library context of its own, with the provider that reaches it; certificates, requests and lists are of the
 * default one, which never has that provider. So what a token claims of its key is judged by libcrypto's own code, on the public half.
 */
struct pki_key {
	EVP_PKEY *secret;
	EVP_PKEY *open;			   /* its public half, of the default context */
	OSSL_LIB_CTX *library;		   /* that of secret; NULL: the default one */
	void (*done)(struct pki_key *key); /* of a token: closes what reached it, after the key; or NULL */
	void *reached;
};

/* key.c */
/* Takes the key over. RC_RANGE: it is weak, or of a kind that no certifier knows. */
enum rc pki_key_adopt(struct pki_key *key, EVP_PKEY *secret, struct err *e);
enum rc pki_key_strong(const EVP_PKEY *key, struct err *e);
bool pki_key_is_of(const struct pki_key *key, const X509 *certificate);
/* For X509_sign_ctx() and those like it; NULL: the key cannot be used. Freed by EVP_MD_CTX_free(). */
EVP_MD_CTX *pki_key_signs(const struct pki_key *key);
/* With the first fault that libcrypto or a provider noted; all of them are forgotten. Returns rc. */
enum rc pki_library_failed(struct err *e, enum rc rc, const char *what);

/* uri.c */
/* An attribute ("token=") of the URI's path, or of its query ("module-path="), decoded. False: it has none, or it is too long. */
bool pki_uri_attribute(char *ret, size_t size, const char *uri, const char *attribute);

/* module.c */
/* The file that the name leads to, without links. RC_DENIED: somebody else than root may exchange it, or it is not there. */
enum rc pki_module_of_root(char ret_path[PATH_MAX], const char *module, struct err *e);

/* pkcs11.c */
enum pki_token_state {
	PKI_TOKEN_LOGGED_IN, /* or it wants no PIN */
	PKI_TOKEN_LOGGED_OUT,
	PKI_TOKEN_NONE,
	PKI_TOKEN_NO_MODULE,
};
/* The token of a URI, and what is to be said of it: its tries, or which tokens there are. Sends no PIN. */
enum pki_token_state pki_pkcs11_look(char *ret_text, size_t size, const char *uri);

/* names.c */
X509_NAME *pki_subject_read(const char *text, struct err *e);
GENERAL_NAMES *pki_names_read(const char *text, struct err *e);
/* "dns:gw.example.net,ip:192.0.2.1"; of other kinds "other". False: it does not fit. */
bool pki_names_text(char *ret_text, size_t size, const GENERAL_NAMES *names);
void pki_subject_text(char *ret_text, size_t size, const X509_NAME *name);

/* certificate.c */
X509 *pki_certificate_read(const struct pki_text *pem, const char *what, struct err *e);
void pki_serial_text(char ret_text[PKI_SERIAL_TEXT], const ASN1_INTEGER *serial);
bool pki_time_set(ASN1_TIME *t, int64_t since_1970);
bool pki_time_get(int64_t *ret_since_1970, const ASN1_TIME *t);

/* The whole of a memory BIO, which is freed. */
enum rc pki_text_take(struct pki_text *ret, BIO *bio, bool good, const char *what, struct err *e);

#endif
