/*
 * Signed commits: what is signed, how many signatures a change needs, and whose count. All three are judged by the configuration that runs before the
 * commit: control does so when it is asked for one, and src/verify again, for each commit that a ledger has, with the same functions.
 *
 * The statement is text, each line ended by a line feed, and what `ssh-keygen -Y sign -n plaingate-commit` is given:
 *
 *	plaingate-commit v2
 *	base-generation 11
 *	base <SHA-256 of the text that runs, in hexadecimal digits>
 *	text <SHA-256 of the text that is to run>
 *	certificates <SHA-256 of the files that the text names, as they are stored with it>, or none
 *	confirm-within 10		minutes, after which the base comes back unless somebody confirms; 0: it does not
 *	options none			or close-all, cut-off: guards that are overridden
 *
 * The difference follows from the two texts, and is not signed beside them. v1 had neither certificates nor options: ledgers of that time have it.
 *
 * Pure. Callers: proc/control, src/verify, cli. Any thread.
 */
#ifndef ADMIN_SIGNED_H
#define ADMIN_SIGNED_H

#include "admin/administrators.h"
#include "admin/sshsig.h"

#define SIGNED_NAMESPACE     "plaingate-commit"
#define SIGNED_STATEMENT_MAX 384 /* octets of its text, with the terminator */

enum signed_option {
	SIGNED_CLOSE_ALL = 1 << 0,
	SIGNED_CUT_OFF = 1 << 1,
	SIGNED_OPTIONS = SIGNED_CLOSE_ALL | SIGNED_CUT_OFF,
};

struct signed_statement {
	uint64_t base_generation;
	uint8_t base[32], text[32],
		certificates[32];	   /* SHA-256; certificates: all zero where there are none */
	uint32_t confirm_minutes, options; /* enum signed_option */
	bool is_first_form;		   /* v1 */
};

/* Returns the length of the text. */
size_t signed_statement_text(char ret_text[SIGNED_STATEMENT_MAX], const struct signed_statement *s);

/* "close-all cut-off", "none". */
const char *signed_options_text(uint32_t options);

/* Whether anything needs a signature. */
bool signed_demands(const struct administrators *a);
/*
 * Signatures that a change of these paths (model/difference.h) needs. Of the paths with a number of their own the longest one that a path begins with
 * decides, and of all paths the largest number; without any path the general one. Who may change what, and how many must sign, takes as many as
 * anything does, so that no lower number can be put in the way of a higher one. 0: none.
 */
uint32_t signed_required(const struct administrators *a, const struct admin_words *paths);

/* Administrators who can sign a change of that path: with a key that can sign and is nobody else's, and a role that may commit it. */
uint32_t signed_signers(const struct administrators *a, const char *path);

/* Whose signatures there are, each administrator once. */
struct signed_count {
	uint32_t n;
	bool by[ADMINISTRATORS_MAX];
};

/*
 * Counts a signature over the statement. ret_fingerprint: of its key, "" where there is none. RC_OK: one more, *ret_who is the administrator.
 * RC_EXISTS: this administrator has signed already. RC_DENIED: the key is of no administrator, or of one who may not commit that; RC_AUTH,
 * RC_MALFORMED, RC_UNSUPPORTED, RC_LIMIT: of sshsig_verify().
 */
enum rc signed_count_add(struct signed_count *c, const struct administrators *a,
	const struct signed_statement *s, const struct admin_words *paths, const void *blob, size_t n,
	char ret_fingerprint[SSH_FINGERPRINT_SIZE], const struct administrator **ret_who, struct err *e);

#endif
