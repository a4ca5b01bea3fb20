/*
 * A ledger's files below an open directory, for src/verify. Nothing above it is reached, links are not
 * followed, and only regular files are read: it may have been prepared by an attacker.
 */
#ifndef CLI_DIRECTORY_H
#define CLI_DIRECTORY_H

#include "verify/verify.h"

/* Opens a path below the directory, by no link on the whole way: -1 and errno, ELOOP where one is. With
 * O_CREAT for its owner alone. */
int directory_open(int dir, const char *path, int flags);

/* dirfd stays the caller's and must outlive the source. */
struct verify_source directory_source(const int *dirfd);

#endif
