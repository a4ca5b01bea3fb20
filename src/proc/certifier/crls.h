/*
 * CRLs of the authorities of the configuration: NAME.crl beside NAME.crt in the directory of certificates, read again when they have changed.
 * Whoever writes them replaces the file (rename), so that none is read half written.
 */
#ifndef PROC_CERTIFIER_CRLS_H
#define PROC_CERTIFIER_CRLS_H

#include "certify/crl_text.h"
#include "ipc/messages.h"
#include "model/snapshot.h"

#include <sys/stat.h>

#define CRLS_EACH_MAX  8	   /* of one file: an authority's, and those of authorities below it */
#define CRLS_BYTES_MAX (32u << 20) /* of all files; GnuTLS takes some ten times that while it reads them */

struct crl_file {
	char name[NAME_MAX_BYTES]; /* empty: free */
	struct stat seen;
	bool good;
	uint8_t *octets;
	size_t octets_n;
	struct certify_der crl[CRLS_EACH_MAX];
	size_t crl_n;
};

/* Of the engine (certify.h). */
typedef uint32_t certify_input_fn(enum certify_input what, struct certify_der der);
typedef uint32_t certify_crl_fn(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n);

/* One that the resolver has fetched (fetched.c). */
struct fetched_crl {
	char name[NAME_MAX_BYTES]; /* of the authority; empty: free */
	struct stat tried;	   /* the file that was looked at last */
	bool unusable;		   /* and that cannot be read */
	bool held;		   /* file and age are of the one in use */
	bool placed;		   /* and the file that was looked at last is that one */
	struct crl_file file;
	struct certify_crl_age age;
	char why[MSG_CRL_WHY_BYTES]; /* why none was fetched since, as the resolver says */
};

struct crls {
	certify_input_fn *input;
	struct crl_file file[CA_PROFILES_MAX];
	size_t octets_n; /* of all */
	certify_crl_fn *crl;
	int fetched_dir; /* -1: none */
	uint64_t taken;	 /* that were taken from an offer: those are no files yet */
	struct fetched_crl fetched[CA_PROFILES_MAX];
};

/*
 * Appends those of the authority's file to list, which has *n of CERTIFY_CRLS_MAX. CERTIFY_OK, also where there is no such file; else there is
 * one and it cannot be used (logged once), or the list is full: nobody is let in by a chain that it might revoke.
 */
uint32_t crls_of(
	struct crls *c, int directory, const char *certificate_file, struct certify_der *list, size_t *n);

/* RC_OK, also where there is no such file; else why questions about its authority will have no good answer. Nothing of it is kept. */
enum rc crls_check(certify_input_fn *input, int directory, const char *certificate_file, struct err *e);

/* A file that f->seen is of, beside c->octets_n others. What was read of it, file_forget() takes back. */
enum rc crl_file_read(struct crls *c, struct crl_file *f, int fd, struct err *e);
void crl_file_forget(struct crls *c, struct crl_file *f);
bool crl_file_is_same(const struct stat *a, const struct stat *b);

/* Forgets what no authority of the configuration names. */
void crls_keep(struct crls *c, const struct snapshot *s);
void crls_done(struct crls *c);

#endif
