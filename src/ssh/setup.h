/*
 * What control gives the process `ssh`: who may log in, by which keys and authorities, and where sshd listens. A value without pointers, in
 * sealed memory. The receiver relies on nothing in it before ssh_setup_check(): what it writes for sshd is made of these texts.
 */
#ifndef SSH_SETUP_H
#define SSH_SETUP_H

#include "admin/ssh_uids.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSH_ACCOUNTS_MAX    64
#define SSH_KEYS_MAX	    8 /* of one administrator */
#define SSH_AUTHORITIES_MAX 8
#define SSH_NAME_MAX	    32	 /* of an administrator, with its terminator */
#define SSH_LINE_MAX	    1460 /* of a public key: SSH_KEY_TEXT_MAX of admin/ssh_key.h */

struct ssh_account {
	char name[SSH_NAME_MAX];
	uint32_t uid;
	uint32_t keys_n;
	char key[SSH_KEYS_MAX][SSH_LINE_MAX]; /* "ssh-ed25519 AAAA…", without options and comment */
};

struct ssh_setup {
	uint32_t is_on; /* 0: no sshd of ours runs, whoever is listed */
	uint32_t port;
	uint32_t idle_s;
	uint32_t accounts_n, authorities_n;
	struct ssh_account account[SSH_ACCOUNTS_MAX];
	char authority[SSH_AUTHORITIES_MAX][SSH_LINE_MAX];
};

/* RC_MALFORMED: what it says first. */
enum rc ssh_setup_check(const struct ssh_setup *setup, struct err *e);

/* The account of that name; NULL: there is none. */
const struct ssh_account *ssh_account_find(const struct ssh_setup *setup, const char *name);

#endif
