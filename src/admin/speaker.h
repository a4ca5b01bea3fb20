/*
 * Who speaks follows from the Unix user at the other end of the socket, which the kernel tells (SO_PEERCRED), and from nothing else: root; the
 * `uid` of an administrator; the user that an administrator has who came by ssh (ssh_uids.h). Anybody else whom the socket's mode admits may
 * look, as read-only, and is called by the number. A user of the pool of ssh that is nobody's may nothing.
 *
 * Pure. Callers: control, ssh.
 */
#ifndef ADMIN_SPEAKER_H
#define ADMIN_SPEAKER_H

#include "admin/administrators.h"
#include "admin/ssh_uids.h"

enum speaker_kind { SPEAKER_ROOT, SPEAKER_LOCAL, SPEAKER_SSH, SPEAKER_STRANGER };

struct speaker {
	enum speaker_kind kind;
	uint32_t uid;
	uint32_t role;		       /* enum admin_role_id */
	char name[ADMIN_NAME_MAX + 1]; /* "root"; "" of a stranger */
};

/* a, ssh: NULL where there are none. */
struct speaker speaker_of(const struct administrators *a, const struct ssh_uids *ssh, uint32_t uid);
/* "root (console)", "alice (local)", "alice (ssh)", "uid 1000". */
char *speaker_text(char ret_text[SPEAKER_TEXT_MAX], const struct speaker *s);
/* Of two such texts: by ssh and at the machine it is the same person. */
bool speakers_are_one(const char *a, const char *b);

#endif
