/*
 * Private keys of `plaingate pki`: in files, or in a token or TPM that asks for a PIN.
 */
#ifndef CLI_PKI_KEY_H
#define CLI_PKI_KEY_H

#include "cli/commands.h"
#include "pki/pki.h"

/* A key that a command was given a name for, or made. Zeroed first; emptied by pki_new_key_done(). */
struct pki_new_key {
	struct pki_key *key;
	struct pki_text pem; /* of a key in a file */
	struct pki_text uri; /* a line with its name, of one that is elsewhere: what ca.uri holds */
	bool made;
};

/* Of --key, where it is made if there is none; without --key a new one, which is in no file yet. */
enum rc pki_key_for_authority(
	struct pki_new_key *ret, const struct cli_line *line, uint32_t type, struct err *e);

/* Of the first argument, where it is made if there is none. */
enum rc pki_key_for_request(
	struct pki_new_key *ret, const struct cli_line *line, uint32_t type, struct err *e);

void pki_new_key_done(struct pki_new_key *key);

/* That of an authority: in the file pem, or named by the file uri. pin_file: NULL or that of --pin-file. */
enum rc pki_key_of_authority(
	struct pki_key **ret, const char *pem, const char *uri, const char *pin_file, struct err *e);

#endif
