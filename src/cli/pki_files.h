/*
 * Files of `plaingate pki`: certificates, requests, lists and keys.
 */
#ifndef CLI_PKI_FILES_H
#define CLI_PKI_FILES_H

#include "pki/pki.h"

#include <sys/types.h>

#define PKI_MODE_SECRET 0600
#define PKI_MODE_PUBLIC 0644

/* The whole of a file of at most max octets; no FIFO is waited for. Freed by pki_text_free(). */
enum rc pki_file_read(struct pki_text *ret, const char *path, size_t max, struct err *e);

/* Whole, or not at all. again: in place of what is there; else RC_EXISTS. */
enum rc pki_file_write(const char *path, const struct pki_text *text, mode_t mode, bool again, struct err *e);

bool pki_exists(const char *path);

#endif
