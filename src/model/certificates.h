/*
 * What the certificate files of a configuration hold, added to its snapshot. The compiler has no directory: who has one (control;
 * `check` on the command line) gives a function that reads a file by its name. PEM alone is read here, and no DER: that is for the
 * certifiers. Pure but for that function.
 */
#ifndef MODEL_CERTIFICATES_H
#define MODEL_CERTIFICATES_H

#include "model/snapshot.h"

#define CERTIFICATE_TEXT_MAX (256u << 10) /* octets of a file: PEM, and what openssl prints around it */

/* All of the file into ret_text, of CERTIFICATE_TEXT_MAX octets. An error says what is wrong with it. */
typedef enum rc certificate_read_fn(
	void *context, const char *file, char *ret_text, size_t *ret_n, struct err *e);

/*
 * *block is an allocated snapshot without certificates; on RC_OK it is one with those of all its files. On an error it is as it was, and *e
 * says whose file is at fault. lenient: instead each file that cannot be used is told to it and left empty, so that nobody authenticates by it.
 */
typedef void certificate_fault_fn(void *context, const char *text);
enum rc certificates_add(void **block, size_t *bytes, certificate_read_fn *read, void *context,
	certificate_fault_fn *lenient, struct err *e);

#endif
