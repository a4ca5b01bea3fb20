/* Limits of administrators and their roles. */
#ifndef ADMIN_LIMITS_H
#define ADMIN_LIMITS_H

#define ADMINISTRATORS_MAX    64
#define ADMIN_KEYS_MAX	      8	  /* of one administrator */
#define ADMIN_AUTHORITIES_MAX 8	  /* of all */
#define ADMIN_ROLES_MAX	      16  /* that the configuration adds */
#define ADMIN_RULES_MAX	      64  /* words of one list of such a role */
#define ADMIN_NAME_MAX	      31  /* octets of a name of an administrator */
#define ADMIN_ROLE_MAX	      63  /* of a role */
#define ADMIN_WORDS_MAX	      128 /* of a command, or of a path in the schema, as a role names it */
#define SPEAKER_TEXT_MAX      64

/* Unix users of those who come by ssh: no account of the host has one of them. */
#define SSH_UID_FIRST 58000
#define SSH_UIDS      1024

#endif
