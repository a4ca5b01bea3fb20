/*
 * Errors are values with context: an enum for the program, a text for the person.
 *
 * The first call states the fault, each later one adds what was being done:
 *   open '/etc/plaingate/keys/b.psk': Permission denied; while loading peer 'b'
 * A struct err belongs to the caller; NULL is allowed where the text is not needed.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* clang-format off */
#define RCS(R)	/* id, text */							\
	R(OK,          "ok")							\
	R(TRUNCATED,   "the input ends too early")				\
	R(TRAILING,    "bytes are left over")					\
	R(MALFORMED,   "the input is malformed")				\
	R(UNSUPPORTED, "not supported")						\
	R(RANGE,       "a value is out of range")				\
	R(LIMIT,       "a limit is reached")					\
	R(NOT_FOUND,   "not found")						\
	R(EXISTS,      "exists already")					\
	R(DENIED,      "not allowed")						\
	R(AUTH,        "authentication failed")					\
	R(IO,          "input or output failed")				\
	R(AGAIN,       "not now, try again")					\
	R(INTERNAL,    "internal error")					\
	R(STALE,       "of another configuration than the one in force")
/* clang-format on */

enum rc {
#define RC_ENUM(id, text) RC_##id,
	RCS(RC_ENUM) RC_COUNT
#undef RC_ENUM
};

#define ERR_TEXT_MAX 512

struct err {
	enum rc rc;
	char text[ERR_TEXT_MAX]; /* always terminated; long chains are cut at the end */
};

/* "the input ends too early", for any value. */
const char *rc_text(enum rc rc);

/*
 * First call on a clean err: sets the code and the text. Later calls: append "; " and the text, the first code
 * stays. Returns rc, so that `return err_add(e, RC_MALFORMED, …)` reads well. e may be NULL.
 */
enum rc err_add(struct err *e, enum rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": strerror(errno)" after the text. */
enum rc err_errno(struct err *e, enum rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void err_clear(struct err *e);

#endif
