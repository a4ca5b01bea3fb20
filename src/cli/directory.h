/*
 * A ledger's files below an open directory, for src/verify. Nothing above it is reached, links are not
 * followed, and only plain files are read: it may have been prepared by somebody who means harm.
 */
#ifndef CLI_DIRECTORY_H
#define CLI_DIRECTORY_H

#include "verify/verify.h"

/* dirfd stays the caller's and must outlive the source. */
struct verify_source directory_source(const int *dirfd);

#endif
