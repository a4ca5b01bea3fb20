/*
 * CRLs that the resolver fetches: NAME.crl of the ca-profile NAME, in a directory that it writes and the certifiers read. It cannot read what it
 * has fetched, so it offers it to both certifiers before it replaces the last good one. Each of them looks at the file by itself all the
 * same: one that is older than what it holds, or that the authority has not signed, replaces nothing.
 */
#ifndef PROC_CERTIFIER_FETCHED_H
#define PROC_CERTIFIER_FETCHED_H

#include "proc/certifier/crls.h"

/*
 * Appends the one of the authority to list, as crls_of() does. One by another certificate counts as none, as it does in questions; one that
 * cannot be read, with none before it in use, is CERTIFY_CRL_FILE.
 */
uint32_t fetched_of(struct crls *c, const struct snapshot *s, const struct snap_authority *a,
	struct certify_der *list, size_t *n);

/*
 * Whether NAME.crl.new may replace NAME.crl of the authority: RC_OK, and it is in use here from now on; or why not. RC_AGAIN: the
 * configuration has no such authority. RC_EXISTS: NAME.crl is the same one (of the same cRLNumber and time), and good.
 */
enum rc fetched_judge(
	struct crls *c, const struct snapshot *s, const char *name, int64_t now_s, struct err *e);

/* What the resolver says of the last reading; and what it has said, or "". */
void fetched_state(struct crls *c, const char *name, const char *why);
const char *fetched_why(const struct crls *c, const char *name);

/* Forgets what no authority of the configuration names, or has signed any more. */
void fetched_keep(struct crls *c, const struct snapshot *s);
void fetched_done(struct crls *c);

#endif
