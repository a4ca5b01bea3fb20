/*
 * Configurations on their way to control and from it: checked, committed, read. What is found goes into findings.h, the exit status comes back.
 */
#ifndef CLI_CONFIGURATION_H
#define CLI_CONFIGURATION_H

#include "cli/findings.h"
#include "ipc/messages.h"

struct commit_text {
	const char *text;
	size_t n;
	const char *
		name; /* for errors; of a text of the history "rollback.N": its certificates come back with it */
	const char *comment; /* NULL: none */
	uint32_t confirm_minutes, flags;
	const uint8_t *base; /* SHA-256 of the text that it was made from; NULL: whatever runs */
	uint32_t
		ret_proposal; /* it waits for signatures under this number, and nothing is changed; 0: it does not */
};

/* The rows that `check` and `commit` print, as they come; f->name is set. */
int configuration_check(
	const char *socket, const char *name, const char *text, size_t n, bool close_all, struct findings *f);
int configuration_commit(const char *socket, struct commit_text *c, struct findings *f);

/* The text of a proposal, and the statement that is signed; the caller frees *ret_text. */
enum rc configuration_proposal(const char *socket, uint32_t id, char **ret_text, size_t *ret_n,
	char *ret_statement, size_t size, struct err *e);
/* A signature for a proposal (text not NULL), or its end. ret_says: what became of it. Rows go to f. */
enum rc configuration_sign(const char *socket, uint32_t id, const char *text, size_t n, struct findings *f,
	char *ret_says, size_t size, struct err *e);

/* The running configuration, or (rollback above 0) one before it; the caller frees *ret_text. */
enum rc configuration_read(
	const char *socket, uint32_t rollback, char **ret_text, size_t *ret_n, struct err *e);

/* Keeps a commit that waits for it. RC_NOT_FOUND: none does. */
enum rc configuration_confirm(const char *socket, char *ret_says, size_t size, struct err *e);

#endif
