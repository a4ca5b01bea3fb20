/*
 * The administrators of a configuration: `system { administrators }`, compiled (model/compile_administrators.c).
 *
 * Pure. Callers: model, control, ssh; one thread.
 */
#ifndef ADMIN_ADMINISTRATORS_H
#define ADMIN_ADMINISTRATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/limits.h"
#include "admin/roles.h"
#include "admin/signed_rules.h"

/* Texts of the configuration, each allocated. */
struct admin_words {
	char **at;
	uint32_t n;
};

struct administrator {
	char name[ADMIN_NAME_MAX + 1];
	uint32_t role;		 /* enum admin_role_id */
	uint32_t uid;		 /* Unix account of this machine; 0: none */
	struct admin_words keys; /* as authorized_keys has them: "ssh-ed25519 AAAA... comment" */
};

/* What is not permitted is denied; of both the longest one that fits decides. */
struct admin_role {
	char name[ADMIN_ROLE_MAX + 1];
	struct admin_words permit, deny, permit_path, deny_path;
};

/* `system ssh` (model/compile_administrators.c). */
struct ssh_settings {
	bool on;
	uint16_t port;
	uint32_t idle_s;
};

struct administrators {
	uint32_t n, roles_n;
	struct ssh_settings ssh;
	struct administrator at[ADMINISTRATORS_MAX];
	struct admin_role role[ADMIN_ROLES_MAX];
	struct admin_words
		authorities; /* keys that sign certificates of OpenSSH whose principal is an administrator's name */
	struct signed_rules signatures; /* that commits need */
};

/* Empty ones: NULL when out of memory. The caller frees them with administrators_free(); NULL is fine there. */
struct administrators *administrators_new(void);
void administrators_free(struct administrators *a);
bool admin_words_add(struct admin_words *w, const char *text);	   /* false: out of memory */
bool admin_words_add_new(struct admin_words *w, const char *text); /* unless it is there */
void admin_words_done(struct admin_words *w);

/* NULL: there is none, or a is NULL. */
const struct administrator *administrator_named(const struct administrators *a, const char *name);

/* Whether somebody of them has a way in (a key, a certificate, or an account) and may change administrators. */
bool administrators_can_enter(const struct administrators *a);

#endif
