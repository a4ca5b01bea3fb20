/*
 * One confinement table for all processes: what each may still do once sandbox_enter() has returned.
 * The supervisor starts every child as root with nothing but file 0..3 open; the child's first act is to
 * enter.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/err.h"
#include "base/procs.h"

/*
 * Gives up everything that the table does not grant to `self`: namespaces, root directory, user,
 * capabilities, limits, system calls. Not reversible. On an error the process must end: it may be half
 * confined. Source: table.c.
 */
enum rc sandbox_enter(enum proc self, struct err *e);

/*
 * The same for a program that an administrator runs on a file of strangers: it becomes `nobody` if it is root, has no capabilities, and from
 * then on reads and writes what is open already. Nothing can be opened, connected, executed or started. Not reversible. Source: table.c.
 */
enum rc sandbox_offline(struct err *e);

/*
 * For an administrator's session by ssh, and what it starts: from now on it makes, changes and removes files below `home` alone; devices that exist
 * may be written to. Not reversible. Source: landlock(7). RC_UNSUPPORTED: the kernel has no Landlock, and nothing has changed.
 */
enum rc sandbox_session(const char *home, struct err *e);

#endif
