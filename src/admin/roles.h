/*
 * What each role may: two tables, of commands and of paths in the configuration. A command is the words that one would type ("show ike",
 * "vpn up"), a path the keywords of the schema without the names of entries ("policy from rule then"). In both the longest row whose words the
 * command or the path begins with decides; no row: it is not permitted.
 *
 * Pure. Callers: the compiler (model), control, the shell.
 */
#ifndef ADMIN_ROLES_H
#define ADMIN_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* What each is for stands in the schema. */
#define ADMIN_ROLES(R)	/* id, word */			\
	R(READ_ONLY,        "read-only")		\
	R(OPERATOR,         "operator")			\
	R(ENGINEER,         "engineer")			\
	R(SECURITY_OFFICER, "security-officer")		\
	R(AUDITOR,          "auditor")

/* What is changed by whom: administrators and evidence; policy; vpn; the rest. */
#define ADMIN_PATHS(P)	/* path, roles that may change it */		\
	P("system administrators", MAY(SECURITY_OFFICER))	\
	P("system ssh",            MAY(SECURITY_OFFICER))	\
	P("system commit",         MAY(SECURITY_OFFICER))	\
	P("evidence",              MAY(SECURITY_OFFICER))	\
	P("log",                   MAY(SECURITY_OFFICER))	\
	P("policy",                MAY(ENGINEER))		\
	P("nat",                   MAY(ENGINEER))		\
	P("zones",                 MAY(ENGINEER))		\
	P("screens",               MAY(ENGINEER))		\
	P("address-book",          MAY(ENGINEER))		\
	P("dynamic-address",       MAY(ENGINEER))		\
	P("applications",          MAY(ENGINEER))		\
	P("schedulers",            MAY(ENGINEER))		\
	P("ike",                   MAY(ENGINEER))		\
	P("ipsec",                 MAY(ENGINEER))		\
	P("pki",                   MAY(ENGINEER))		\
	P("system",                MAY(ENGINEER))		\
	P("uplinks",               MAY(ENGINEER))

#define ADMIN_COMMANDS(C)	/* words, roles */								\
	C("show",        MAY(READ_ONLY) | MAY(OPERATOR) | MAY(ENGINEER) | MAY(SECURITY_OFFICER) | MAY(AUDITOR))	\
	C("test policy", MAY(READ_ONLY) | MAY(OPERATOR) | MAY(ENGINEER) | MAY(SECURITY_OFFICER) | MAY(AUDITOR))	\
	C("check",       MAY(READ_ONLY) | MAY(OPERATOR) | MAY(ENGINEER) | MAY(SECURITY_OFFICER) | MAY(AUDITOR))	\
	C("trace",       MAY(OPERATOR) | MAY(ENGINEER) | MAY(SECURITY_OFFICER) | MAY(AUDITOR))			\
	C("capture",     MAY(OPERATOR) | MAY(ENGINEER) | MAY(AUDITOR))						\
	C("clear",       MAY(OPERATOR) | MAY(ENGINEER))								\
	C("vpn",         MAY(OPERATOR) | MAY(ENGINEER))								\
	C("commit",      MAY(ENGINEER) | MAY(SECURITY_OFFICER))							\
	C("confirm",     MAY(ENGINEER) | MAY(SECURITY_OFFICER))

/* What control is asked for beside `show`, as a role names it; several words of the command line may be one of them. */
#define ADMIN_ACTS(A)	/* id, words */			\
	A(CHECK,           "check")			\
	A(TEST_POLICY,     "test policy")		\
	A(CONFIGURATION,   "show configuration")	\
	A(COMMIT,          "commit")			\
	A(CONFIRM,         "confirm")			\
	A(CLEAR_SESSIONS,  "clear sessions")		\
	A(CLEAR_HIT_COUNT, "clear hit-count")		\
	A(TRACE,           "trace")			\
	A(CAPTURE,         "capture")			\
	A(VPN_UP,          "vpn up")			\
	A(VPN_REKEY,       "vpn rekey")			\
	A(VPN_REKEY_CHILD, "vpn rekey-child")		\
	A(VPN_REDIRECT,    "vpn redirect")		\
	A(VPN_DOWN,        "vpn down")
/* clang-format on */

enum admin_act {
#define E(id, words) ADMIN_##id,
	ADMIN_ACTS(E) ADMIN_ACTS_N
#undef E
};

extern const char *const admin_acts[ADMIN_ACTS_N]; /* their words */

/* Predefined ones; ROLE_OWN and above: role number N - ROLE_OWN of the configuration. */
enum admin_role_id {
#define E(id, word) ROLE_##id,
	ADMIN_ROLES(E) ROLES_PREDEFINED,
#undef E
	ROLE_ROOT = ROLES_PREDEFINED, /* everything */
	ROLE_NONE,		      /* nothing */
	ROLE_OWN
};

struct administrators;

/* For the configuration's word; ROLE_NONE: there is none. a NULL: only the predefined ones. */
uint32_t role_named(const struct administrators *a, const char *word);
/* Its word, also "root" and "none"; borrowed of a. */
const char *role_word(const struct administrators *a, uint32_t role);

bool role_may_command(const struct administrators *a, uint32_t role, const char *words);
bool role_may_change(const struct administrators *a, uint32_t role, const char *path);

/* Whether the words, with spaces between them, begin with these. */
bool words_begin(const char *words, const char *with);

/* "engineer, security-officer or root": who could. */
char *roles_that_may(
	char *ret_text, size_t size, const struct administrators *a, const char *words, bool is_path);
/* What of the roles of a configuration gives more than it seems to. */
void roles_warn(const struct administrators *a, void (*fn)(void *context, const char *text), void *context);

#endif
