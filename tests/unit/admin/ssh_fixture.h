/* OpenSSH's own programs for tests: in a directory of their own, that goes with the test. */
#ifndef TESTS_SSH_FIXTURE_H
#define TESTS_SSH_FIXTURE_H

#include <stddef.h>

/* The directory, made at the first call. */
const char *ssh_directory(void);
/* Runs the command there by the shell, its output in ret_text (may be NULL) of max octets with a terminator. Returns its exit status. */
int ssh_run(char *ret_text, size_t max, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A file of the directory; ret_bytes holds max octets and gets a terminator behind them. Returns its octets. */
size_t ssh_file_read(const char *name, char *ret_bytes, size_t max);
void ssh_file_write(const char *name, const void *bytes, size_t n);
/* A key without passphrase in the file `name` and its public part, as one line without line feed, in ret_public. */
size_t ssh_key_make(const char *name, const char *type_and_options, char *ret_public, size_t max);
/* Removes the directory. */
void ssh_done(void);

#endif
