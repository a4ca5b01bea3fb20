/*
 * A small certificate authority, for people who have none: keys, requests, certificates for IKE and lists of the revoked
 * (RFC 5280 with the profile of RFC 4945). It runs where the operator wants it, and no process of the gateway links it.
 *
 * Everything that goes in and out is text: PEM, and the index of what was issued, which is that of `openssl ca`. Files, locks, the clock
 * and serial numbers are the caller's (cli/pki.c); keys are made with libcrypto's generator. Only token.c and pkcs11.c reach out of the
 * process: to a token of PKCS#11 or a TPM, through a provider of libcrypto, when a key is named by a URI.
 *
 *	names.c        subjects and alternative names
 *	key.c          private keys, and what they sign
 *	uri.c          names of keys in tokens
 *	token.c        keys in tokens and TPMs
 *	module.c       which modules of tokens are loaded
 *	pkcs11.c       why a token gave no key
 *	certificate.c  authorities, requests, certificates
 *	index.c        what was issued
 *	revocation.c   lists of the revoked
 *	describe.c     what is in a file
 */
#ifndef PKI_PKI_H
#define PKI_PKI_H

#include "base/bytes.h"
#include "base/err.h"

#define PKI_FILE_MAX                                                                                         \
	(1u << 20) /* octets of a file with a key, a request, a certificate or a list of the revoked */
#define PKI_INDEX_MAX	 (64u << 20) /* octets of an index: about 600,000 certificates */
#define PKI_DAYS_MAX	 36500
#define PKI_SERIAL_SIZE	 16 /* octets, drawn by chance: RFC 5280 4.1.2.2 allows 20 */
#define PKI_SERIAL_TEXT	 41 /* hexadecimal, of serial numbers of other authorities too */
#define PKI_SUBJECT_MAX	 1024
#define PKI_DESCRIBE_MAX 16384
#define PKI_URI_MAX	 1024
#define PKI_PIN_MAX	 128 /* octets; those of PKCS#11 tokens and TPMs are shorter */

/* clang-format off */
#define PKI_KEY_TYPES(K)	/* id, word */							\
	K(ECDSA_P256, "ecdsa-p256")								\
	K(ECDSA_P384, "ecdsa-p384")								\
	K(ED25519,    "ed25519")								\
	K(RSA_3072,   "rsa-3072")								\
	K(RSA_4096,   "rsa-4096")

#define PKI_USES(U)		/* id, word */							\
	U(GATEWAY, "gateway")	/* ipsecIKE, serverAuth, clientAuth */				\
	U(CLIENT,  "client")	/* ipsecIKE, clientAuth: cannot pass for a gateway */

#define PKI_REASONS(R)		/* RFC 5280 5.3.1: number, word as openssl writes it */		\
	R(0, "unspecified")									\
	R(1, "keyCompromise")									\
	R(3, "affiliationChanged")								\
	R(4, "superseded")									\
	R(5, "cessationOfOperation")
/* clang-format on */

enum pki_key_type {
#define E(id, word) PKI_##id,
	PKI_KEY_TYPES(E) PKI_KEY_TYPE_COUNT
#undef E
};

enum pki_use {
#define E(id, word) PKI_##id,
	PKI_USES(E) PKI_USE_COUNT
#undef E
};

/* Freed by pki_text_free(), which wipes it. */
struct pki_text {
	char *at; /* terminated */
	size_t n;
};

void pki_text_free(struct pki_text *t);

/* A certificate as an index has it. */
struct pki_entry {
	char serial[PKI_SERIAL_TEXT];
	int64_t until_s;   /* since 1970: the last second of its validity */
	int64_t revoked_s; /* 0: it is not revoked */
	uint32_t reason;   /* number, when it is revoked */
	char subject[PKI_SUBJECT_MAX];
};

/* What the authority certifies. Of a request it takes the key alone: what a request says of itself is its owner's word. */
struct pki_terms {
	const char *subject; /* as in pki_request_make() */
	const char *names;   /* subjectAltName, as there; NULL or "": none */
	uint32_t use;	     /* enum pki_use */
	uint32_t days;
	int64_t now_s;
	uint8_t serial[PKI_SERIAL_SIZE];
};

/* An unencrypted PKCS#8 in PEM. RC_INTERNAL: libcrypto failed. */
enum rc pki_key_make(struct pki_text *ret_pem, uint32_t type, struct err *e);

/* A private key, wherever it is. Freed by pki_key_free(), which takes NULL. */
struct pki_key;

enum rc pki_key_read(struct pki_key **ret_key, const struct pki_text *pem, struct err *e);
void pki_key_free(struct pki_key *key);

/* clang-format off */
#define PKI_PLACES(P)		/* id, scheme, provider, package that has it, where the key is */			\
	P(PKCS11,     "pkcs11:",  "pkcs11", "pkcs11-provider (Debian 13; Debian 12 has none)", "a token (RFC 7512)")	\
	P(TPM_HANDLE, "handle:",  "tpm2",   "tpm2-openssl", "a TPM, under a persistent handle")				\
	P(TPM_FILE,   "tpm2tss:", "tpm2",   "tpm2-openssl", "a TPM; the file has it wrapped, for that TPM alone")
/* clang-format on */

enum pki_place {
	PKI_IN_FILE,
#define E(id, scheme, provider, package, text) PKI_IN_##id,
	PKI_PLACES(E)
#undef E
};

/* Where a key of this name is: by its scheme; without one of the table's, it is the name of a file. */
enum pki_place pki_place_of(const char *name);
/* The name without its scheme. */
const char *pki_place_rest(const char *name);

/* RC_MALFORMED: not a URI that may be kept; RC_DENIED: it has a PIN in it, or says where one is. */
enum rc pki_uri_check(const char *uri, struct err *e);

/* Asks for the PIN of a key; called once at most. Its text ends with a zero. */
struct pki_pin {
	enum rc (*ask)(void *context, const char *uri, char ret_pin[PKI_PIN_MAX], struct err *e);
	void *context;
};

/*
 * A key that never leaves its token or TPM, one at a time in a process. type: of the key that is made there when there is none of that
 * name; PKI_KEY_TYPE_COUNT: none is made. *wrapped: of PKI_IN_TPM_FILE, the file's text; empty: one is made, and is there afterwards.
 * RC_NOT_FOUND: no such token or key; RC_AUTH: the PIN was refused, and was not tried again; RC_UNSUPPORTED: no provider.
 */
enum rc pki_token_key(struct pki_key **ret_key, bool *ret_made, struct pki_text *wrapped, const char *uri,
	uint32_t type, const struct pki_pin *pin, struct err *e);

/* What is made by a key is checked with its public half before it is given out: a token that signs wrongly makes nothing. */

/* A self-signed certificate that may sign end entities and lists, and no authorities below it; of *terms without names and use. */
enum rc pki_authority_make(
	struct pki_text *ret_pem, const struct pki_key *key, const struct pki_terms *terms, struct err *e);

/*
 * subject: "CN=gw.example.net, O=Example", in this order; a backslash in front of a comma, a plus sign or a backslash.
 * names: "dns:gw.example.net,ip:192.0.2.1,email:a@example.net", at most 32.
 */
enum rc pki_request_make(struct pki_text *ret_pem, const struct pki_key *key, const char *subject,
	const char *names, struct err *e);

/*
 * A certificate for the request's key. RC_AUTH: the request's signature is not its key's, or the key is not the authority's;
 * RC_RANGE: weak key, or the certificate would be valid for longer than the authority's.
 */
enum rc pki_issue(struct pki_text *ret_pem, struct pki_entry *ret_entry, const struct pki_text *authority,
	const struct pki_key *key, const struct pki_text *request, const struct pki_terms *terms,
	struct err *e);

/* What the index says of a certificate in PEM that the authority issued. RC_AUTH: it did not. */
enum rc pki_serial_of(char ret_serial[PKI_SERIAL_TEXT], const struct pki_text *authority,
	const struct pki_text *certificate, struct err *e);

/* One line of an index, with its line feed, appended; and the way back: RC_MALFORMED, with the number of the line. */
enum rc pki_index_add(struct pki_text *index, const struct pki_entry *entry, struct err *e);
enum rc pki_index_read(
	struct pki_entry **ret_entries, size_t *ret_n, const struct pki_text *index, struct err *e);

/* A complete list of the revoked, valid for so many days. number: larger than that of each earlier list (RFC 5280 5.2.3). */
enum rc pki_crl_make(struct pki_text *ret_pem, const struct pki_text *authority, const struct pki_key *key,
	const struct pki_entry *entries, size_t n, uint64_t number, uint32_t days, int64_t now_s,
	struct err *e);
/* The number of a list in PEM. */
enum rc pki_crl_number(uint64_t *ret_number, const struct pki_text *crl, struct err *e);

/* Whose name and names a request states, as text for pki_terms. RC_UNSUPPORTED: kinds of names that pki_terms cannot say. */
enum rc pki_request_says(char ret_subject[PKI_SUBJECT_MAX], char ret_names[PKI_SUBJECT_MAX],
	const struct pki_text *request, struct err *e);

/* The first certificate, request or list in PEM as one JSON object. */
enum rc pki_describe(char ret_json[PKI_DESCRIBE_MAX], const struct pki_text *pem, struct err *e);

/* A reason's number. False: the word is none. */
bool pki_reason(uint32_t *ret_reason, const char *word);

#endif
