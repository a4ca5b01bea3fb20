/*
 * Entropy shares: a from the kernel's generator, b from the second source (plaingate-entropy), which is asked
 * in advance so that no handshake waits for noise. A secret needs both: when either source has failed its
 * health tests, no more secrets are made, and the error says which source failed.
 *
 * The kernel's generator is asked by getrandom(3). With glibc 2.41 and a kernel of 6.11 or later that is not
 * a system call but code of the vDSO in this process, which the kernel seeds and reseeds. Its output is
 * tested too (SP 800-90B 4.4, with a claim of four bits for each octet), at the start and always, before it
 * is hashed (crypto/leaf.h): shares of opened leaves are published. One thread. Callers: shell.c, leaves.c,
 * tests.
 */
#ifndef PROC_KEEPER_SHARES_H
#define PROC_KEEPER_SHARES_H

#include "crypto/health.h"
#include "crypto/leaf.h"
#include "ipc/child.h"

#define SHARES_MAX     128 /* kept here, and asked for */
#define SHARES_RESERVE 64  /* of these, kept for exchanges that find no leaf */

struct shares {
	struct child *child;
	struct health kernel;
	bool failed; /* of the kernel's source, or as the entropy process stated it */
	char why[ERR_TEXT_MAX];
	size_t n, asked; /* kept here, asked for */
	uint8_t share[SHARES_MAX][LEAF_SHARE_SIZE];
	/* getrandom(3), or what a test puts in its place: true when n octets came. */
	bool (*random)(void *ret_bytes, size_t n);
};

/* child outlives it and must not move. */
void shares_init(struct shares *h, struct child *child);
/* The start-up tests of the kernel's source. RC_DENIED, RC_IO. */
enum rc shares_start(struct shares *h, struct err *e);
/* The link to the entropy process is up: asks for what is missing. A new process is a new source. */
void shares_link(struct shares *h);
void shares_link_lost(struct shares *h);
void shares_take(struct shares *h, const struct msg_entropy_share *m);
/* The entropy process has failed its health tests: the shares that came from it are not used. */
void shares_end(struct shares *h, const char *why);

/* Whether n pairs can be drawn now. RC_OK; RC_AGAIN: not yet; RC_DENIED: a source has failed. */
enum rc shares_ready(const struct shares *h, size_t n, struct err *e);
/* A pair. As shares_ready(), and RC_IO. Both are zero unless RC_OK. */
enum rc shares_draw(
	struct shares *h, uint8_t ret_a[LEAF_SHARE_SIZE], uint8_t ret_b[LEAF_SHARE_SIZE], struct err *e);
void shares_done(struct shares *h);

#endif
