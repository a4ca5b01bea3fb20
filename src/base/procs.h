/*
 * The processes of a gateway: one table. It makes the enum, the names, and the orders in which the supervisor
 * starts, ends and shows them. Below messages (src/ipc) and confinement (src/sandbox), which both name processes.
 */
#ifndef BASE_PROCS_H
#define BASE_PROCS_H

#include <stddef.h>

/*
 * user: of a process that enters a sandbox of src/sandbox/table.c; tools/make-users reads them from here.
 * start, end, show: the place in that order, from 1 without gaps; 0: not in it. A process that asks others ends
 * before them, so that no orderly end is taken for a loss; the ledger starts first and ends last, because it
 * takes the others' entries.
 */
/* clang-format off */
#define PROCS(P)	/* id, name, executable, user and group, start, end, show */				\
	P(SUPERVISOR, "supervisor", "plaingated",          NULL,                  0, 0, 1)	\
	P(KEEPER,     "keeper",     "plaingate-keeper",    "plaingate-keeper",    3, 8, 4)	\
	P(IKE,        "ike",        "plaingate-ike",       "plaingate-ike",       7, 3, 5)	\
	P(DATAPLANE,  "dataplane",  "plaingate-dataplane", "plaingate-dataplane", 4, 4, 6)	\
	P(LEDGER,     "ledger",     "plaingate-ledger",    "plaingate-ledger",    1, 12, 2)	\
	P(CONTROL,    "control",    "plaingate-control",   "plaingate-control",   8, 1, 7)	\
	P(ENTROPY,    "entropy",    "plaingate-entropy",   "plaingate-entropy",   2, 10, 3)	\
	P(COURIER,    "courier",    "plaingate-courier",   "plaingate-courier",   9, 11, 8)	\
	P(EXPORT,     "export",     "plaingate-export",    "plaingate-export",    10, 5, 9)	\
	P(RESOLVER,   "resolver",   "plaingate-resolver",  "plaingate-resolver",  11, 9, 10)	\
	/* two opinions about certificates, by libraries that no process holds both of */			\
	P(CERTIFIER_OPENSSL, "certifier-openssl", "plaingate-certifier-openssl", "plaingate-certifier-openssl", 5, 6, 11)	\
	P(CERTIFIER_GNUTLS,  "certifier-gnutls",  "plaingate-certifier-gnutls",  "plaingate-certifier-gnutls",  6, 7, 12)	\
	/* it starts sshd, which is root until it is an administrator (sandbox/login.h); the user is that of sshd's part that reads strangers */	\
	P(SSH,        "ssh",        "plaingate-ssh",       "plaingate-ssh",       12, 2, 13)	\
	P(CLI,        "cli",        "plaingate",           NULL,                  0, 0, 0)
/* clang-format on */

enum proc {
#define E(id, name, executable, user, start, end, show) PROC_##id,
	PROCS(E) PROC_COUNT
#undef E
};

_Static_assert(PROC_COUNT <= 32, "a set of processes is one uint32_t");

enum proc_order { PROC_ORDER_START, PROC_ORDER_END, PROC_ORDER_SHOW, PROC_ORDER_COUNT };

const char *proc_name(enum proc p); /* "keeper", or "unknown process" */
const char *proc_executable(enum proc p);
/* The user that it becomes in its sandbox, and the name of that user's group; NULL: it stays as it was started. */
const char *proc_user(enum proc p);

/* The process at that place, from 1; PROC_COUNT: the order has fewer. */
enum proc proc_at(enum proc_order order, unsigned place);

#endif
