/*
 * What a configuration says without effect: valid, and probably not what was meant. Pure; for `check` and
 * `commit`. Addresses, applications and proposals that no rule names are not warned about.
 */
#ifndef MODEL_WARNINGS_H
#define MODEL_WARNINGS_H

#include "model/snapshot.h"

typedef void warning_fn(void *context, const char *text);

/*
 * Rules of policy that are never reached (shadow.h), and of NAT, where one before them matches all that they
 * could; blocks of ports that another rule uses as well; zones without an interface or a tunnel; peers that are
 * not used; peers whose IKE messages are dropped, and those that may use algorithms for old peers; schedulers that switch
 * nothing; screens of no zone; tunnels whose networks overlap.
 */
void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context);

/* What a commit of `next` over `old` does that was hardly meant: an id that goes to quite another rule. */
#define CHANGES_SAID 16 /* at most */
void snapshot_change_warnings(
	const struct snapshot *old, const struct snapshot *next, warning_fn *fn, void *context);

#endif
