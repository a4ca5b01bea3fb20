#include "ssh/setup.h"

#include <string.h>

/* [a-z][a-z0-9-]{0,30}, terminated. */
static bool ssh_name_ok(const char name[SSH_NAME_MAX])
{
	size_t n = strnlen(name, SSH_NAME_MAX);

	if (n == 0 || n == SSH_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < n; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			    name[i] == '-'))
			return false;
	return true;
}

/* Type, space, base64: nothing that sshd could read as an option or as another line. */
static bool line_ok(const char line[SSH_LINE_MAX])
{
	size_t n = strnlen(line, SSH_LINE_MAX), spaces = 0;

	for (size_t i = 0; i < n; i++) {
		char c = line[i];
		spaces += c == ' ';
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    strchr("-@.+/= ", c)))
			return false;
	}
	return n > 0 && n < SSH_LINE_MAX && spaces == 1 &&
	       (strncmp(line, "ssh-", 4) == 0 || strncmp(line, "ecdsa-", 6) == 0 ||
		       strncmp(line, "sk-", 3) == 0);
}

static enum rc account_check(const struct ssh_setup *setup, uint32_t i, struct err *e)
{
	const struct ssh_account *a = &setup->account[i];

	if (!ssh_name_ok(a->name) || strcmp(a->name, "root") == 0 || strcmp(a->name, "sshd") == 0)
		return err_add(e, RC_MALFORMED, "administrator %u has no name that one can have", i);
	if (!ssh_uid_is_ours(a->uid))
		return err_add(e, RC_RANGE, "uid %u of '%s' is not one of the pool", a->uid, a->name);
	if (a->keys_n > SSH_KEYS_MAX)
		return err_add(e, RC_RANGE, "'%s' has %u keys, at most 8 are allowed", a->name, a->keys_n);
	for (uint32_t k = 0; k < a->keys_n; k++)
		if (!line_ok(a->key[k]))
			return err_add(
				e, RC_MALFORMED, "key %u of '%s' is not a line of one key", k, a->name);
	for (uint32_t k = 0; k < i; k++)
		if (setup->account[k].uid == a->uid || strcmp(setup->account[k].name, a->name) == 0)
			return err_add(e, RC_EXISTS, "'%s' and '%s' are the same account",
				setup->account[k].name, a->name);
	return RC_OK;
}

enum rc ssh_setup_check(const struct ssh_setup *setup, struct err *e)
{
	enum rc rc = RC_OK;

	if (setup->is_on && (setup->port == 0 || setup->port > UINT16_MAX))
		return err_add(e, RC_RANGE, "port %u of ssh is not one: expected 1 to 65535", setup->port);
	if (setup->accounts_n > SSH_ACCOUNTS_MAX || setup->authorities_n > SSH_AUTHORITIES_MAX)
		return err_add(e, RC_RANGE,
			"%u administrators and %u authorities are too many: at most 64 and 8 are allowed",
			setup->accounts_n, setup->authorities_n);
	for (uint32_t i = 0; rc == RC_OK && i < setup->accounts_n; i++)
		rc = account_check(setup, i, e);
	for (uint32_t i = 0; rc == RC_OK && i < setup->authorities_n; i++)
		if (!line_ok(setup->authority[i]))
			rc = err_add(e, RC_MALFORMED, "authority %u is not a line of one key", i);
	return rc;
}

const struct ssh_account *ssh_account_find(const struct ssh_setup *setup, const char *name)
{
	for (uint32_t i = 0; i < setup->accounts_n; i++)
		if (strcmp(setup->account[i].name, name) == 0)
			return &setup->account[i];
	return NULL;
}
