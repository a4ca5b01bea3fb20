/*
 * Attempts to log in that failed, read from sshd's log, and what of them is entered: the first of a source at once, then its sum each minute, and
 * never more than so many entries in a minute. What strangers chose (names, identities in certificates) is in these lines: each form is read from
 * the end that they cannot write to. Pure; time comes in.
 */
#ifndef SSH_FAILURES_H
#define SSH_FAILURES_H

#include "base/clock.h"
#include "ssh/setup.h"

#define FAILURES_SOURCES     64 /* that are told apart; the one that has been quiet for longest makes room */
#define FAILURES_EACH_MINUTE 20 /* entries */
#define FAILURE_NAME_MAX     64 /* with its terminator; longer ones are cut */
#define FAILURE_SOURCE_MAX   48 /* an address */
#define FAILURE_KEY_MAX	     64 /* "SHA256:…", or nothing */
#define FAILURE_LINE_MAX     1024 /* octets of a line that are looked at */
#define FAILURES_ROUND_NS    (60 * NS_PER_S)

/* clang-format off */
#define FAILURE_KINDS(K)	/* id, text */						\
	K(UNKNOWN_USER, "no administrator has this name")				\
	K(KEY,          "the key is not one of the administrator's")			\
	K(NOT_ALLOWED,  "the account may not log in")
/* clang-format on */

enum failure_kind {
#define E(id, text) FAILURE_##id,
	FAILURE_KINDS(E) FAILURE_KIND_COUNT
#undef E
};

struct failure {
	enum failure_kind kind;
	uint32_t count; /* since the last entry of its source */
	char name[FAILURE_NAME_MAX], source[FAILURE_SOURCE_MAX], key[FAILURE_KEY_MAX]; /* the last one's */
};

const char *failure_text(enum failure_kind kind);

/* True: the line, without its end, tells of one. ret->count is 1. */
bool failure_read(struct failure *ret, const char *line, size_t n);

struct failures {
	struct failure of[FAILURES_SOURCES];
	mono_ns seen[FAILURES_SOURCES], entered[FAILURES_SOURCES]; /* entered 0: not in the last minute */
	uint32_t n;
	mono_ns minute;
	uint32_t in_minute;
	uint64_t total;
	uint64_t left_out; /* that made room, or came beyond the limit, and were not entered */
};

/* Counts it. */
void failures_add(struct failures *f, const struct failure *new, mono_ns now);
/* The next one to be entered; false: none now. */
bool failures_next(struct failures *f, struct failure *ret, mono_ns now);

#endif
