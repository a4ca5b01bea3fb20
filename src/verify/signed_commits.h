/*
 * Whether each configuration that was ever in force is signed as the one before it demanded (admin/signed.h). First come the ledger's entries, which
 * verify_ledger() has found good; the texts are found by their digests.
 *
 * What it proves: nobody has changed the configuration without the signatures that the configuration before demanded; not whoever has the gateway,
 * its ledger's key and its history. What it does not prove: that the gateway ran what its ledger says. Who can write entries can leave a commit
 * out, or have it come back later, where nobody cosigns (witnesses).
 *
 * A commit that had to be confirmed (`confirm-within` is signed) may be followed by the return of its base, which nobody signs.
 *
 * Pure. Callers: cli/verify_config.c, tests. One thread.
 */
#ifndef VERIFY_SIGNED_COMMITS_H
#define VERIFY_SIGNED_COMMITS_H

#include "base/err.h"
#include "crypto/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_entry;
struct signed_commits_check;

struct signed_commits_report {
	bool good, unknown; /* unknown: nothing is wrong, and the first configurations are not there */
	char finding[ERR_TEXT_MAX]; /* the first; a sentence, "" when good */
	uint64_t entry;		    /* of the ledger, that it is about */
	uint64_t findings;
	uint64_t commits;		 /* configurations that were committed */
	uint64_t was_signed, signatures; /* of them, by how many in all */
	uint64_t free;			 /* for which the one before demanded no signature */
	uint64_t restored;		 /* bases that came back, since nobody confirmed */
	uint64_t unseen;     /* the first ones, whose base is not there: what it demanded is not known */
	uint64_t first_seen; /* generation of the first one whose base is there; 0: none */
	uint64_t in_force;   /* generation of the last one */
	char sha256[2 * SHA256_SIZE + 1];
	uint32_t required;	      /* what it demands where no path says otherwise */
	char staleness[ERR_TEXT_MAX]; /* of the ledger, by who verified it; "": nothing, or not asked */
};

/* The text with that digest. The check frees it; RC_NOT_FOUND. */
typedef enum rc signed_text_fn(
	void *context, const uint8_t sha256[SHA256_SIZE], char **ret_text, size_t *ret_n);

struct signed_commits_check *signed_commits_check_new(
	signed_text_fn *text, void *context); /* NULL: out of memory */
void signed_commits_check_free(struct signed_commits_check *c);
/* Forgets the ledger's entries: it is read again from its beginning. */
void signed_commits_check_restart(struct signed_commits_check *c);
/* Any entry of the ledger, in its order. RC_INTERNAL: out of memory. */
enum rc signed_commits_check_entry(
	struct signed_commits_check *c, const struct ledger_entry *entry, uint64_t index);
void signed_commits_check_end(struct signed_commits_check *c, struct signed_commits_report *ret);

#define SIGNED_COMMITS_TEXT_MAX 2048
size_t signed_commits_report_text(const struct signed_commits_report *r, char *ret_text, size_t size);
size_t signed_commits_report_json(const struct signed_commits_report *r, char *ret_text, size_t size);

#endif
