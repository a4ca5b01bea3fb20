/*
 * Unix users of administrators who come by ssh. Each has one of a pool, which no account of the host has: in sshd's own view of the machine it is
 * the administrator's, and control knows by it who speaks. A name that stays keeps its user; a new one gets the one that was given back
 * longest ago (round robin), so that nothing which still runs under a user passes for somebody else. Stored as text beside the configuration.
 *
 * Pure. Callers: control, ssh.
 */
#ifndef ADMIN_SSH_UIDS_H
#define ADMIN_SSH_UIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/administrators.h"
#include "base/err.h"

struct ssh_uids {
	uint32_t next; /* of the pool: where the search for the next one begins, 0..SSH_UIDS - 1 */
	uint32_t n;
	struct {
		char name[ADMIN_NAME_MAX + 1];
		uint32_t uid;
	} at[ADMINISTRATORS_MAX];
};

#define SSH_UIDS_TEXT_MAX (ADMINISTRATORS_MAX * (ADMIN_NAME_MAX + 16) + 16)

static inline bool ssh_uid_is_ours(uint32_t uid)
{
	return uid >= SSH_UID_FIRST && uid < SSH_UID_FIRST + SSH_UIDS;
}

/* Those of other names are given back; a NULL: all. for tests: ssh is to come. */
void ssh_uids_assign(struct ssh_uids *u, const struct administrators *a);
/* Whose it is; NULL: nobody's. Borrowed of u. */
const char *ssh_uid_name(const struct ssh_uids *u, uint32_t uid);
/* 0: the name has none. for tests: the same. */
uint32_t ssh_uid_of(const struct ssh_uids *u, const char *name);

/* "next N", and "NAME UID" for each, a line feed after each line. Returns the octets, without the 0 at the end. for tests: the same. */
size_t ssh_uids_write(char ret_text[SSH_UIDS_TEXT_MAX], const struct ssh_uids *u);
/* RC_MALFORMED: it is none of ours; then *ret_u is empty. for tests: the same. */
enum rc ssh_uids_read(struct ssh_uids *ret_u, const char *text, struct err *e);

#endif
