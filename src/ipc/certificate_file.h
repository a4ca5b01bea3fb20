/* A file of the directory of certificates, as model/certificates.h wants it: for control, and for `check` on the command line. */
#ifndef IPC_CERTIFICATE_FILE_H
#define IPC_CERTIFICATE_FILE_H

#include "model/certificates.h"

#include <stdio.h>
#include <string.h>

/* directory: a pointer to the open directory's descriptor, or to a struct that begins with it; -1: there is none. */
enum rc certificate_file_read(
	void *directory, const char *file, char *ret_text, size_t *ret_n, struct err *e);

/* The list of the revoked that stands beside it: "ca.crl" of "ca.crt"; another ending stays. */
static inline void certificate_file_crl(char *ret_name, size_t size, const char *file)
{
	size_t n = strlen(file);
	bool crt = n > 4 && strcmp(file + n - 4, ".crt") == 0;

	snprintf(ret_name, size, "%.*s.crl", (int)(crt ? n - 4 : n), file);
}

#endif
