#include "admin/ssh_uids.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ssh_uid_name(const struct ssh_uids *u, uint32_t uid)
{
	for (uint32_t i = 0; i < u->n; i++)
		if (u->at[i].uid == uid)
			return u->at[i].name;
	return NULL;
}

uint32_t ssh_uid_of(const struct ssh_uids *u, const char *name)
{
	for (uint32_t i = 0; i < u->n; i++)
		if (strcmp(u->at[i].name, name) == 0)
			return u->at[i].uid;
	return 0;
}

/* There are more users than administrators, so there is one. */
static uint32_t next_free(struct ssh_uids *u)
{
	uint32_t uid;

	_Static_assert(SSH_UIDS > ADMINISTRATORS_MAX, "one is free");
	do {
		uid = SSH_UID_FIRST + u->next;
		u->next = (u->next + 1) % SSH_UIDS;
	} while (ssh_uid_name(u, uid));
	return uid;
}

void ssh_uids_assign(struct ssh_uids *u, const struct administrators *a)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < u->n; i++)
		if (administrator_named(a, u->at[i].name))
			u->at[kept++] = u->at[i];
	u->n = kept;
	for (uint32_t i = 0; a && i < a->n; i++) {
		if (ssh_uid_of(u, a->at[i].name))
			continue;
		uint32_t uid = next_free(u);
		assert(u->n < ADMINISTRATORS_MAX); /* each name is in a, once */
		memcpy(u->at[u->n].name, a->at[i].name, sizeof a->at[i].name);
		u->at[u->n++].uid = uid;
	}
}

size_t ssh_uids_write(char ret_text[SSH_UIDS_TEXT_MAX], const struct ssh_uids *u)
{
	size_t n = (size_t)snprintf(ret_text, SSH_UIDS_TEXT_MAX, "next %u\n", u->next);

	for (uint32_t i = 0; i < u->n; i++)
		n += (size_t)snprintf(
			ret_text + n, SSH_UIDS_TEXT_MAX - n, "%s %u\n", u->at[i].name, u->at[i].uid);
	return n;
}

/* Digits and a line feed; false: something else, or above max. */
static bool number_line(const char **text, uint32_t max, uint32_t *ret)
{
	size_t n = strspn(*text, "0123456789");
	unsigned long value = n > 0 && n <= 6 ? strtoul(*text, NULL, 10) : ULONG_MAX;

	if (value > max || (*text)[n] != '\n')
		return false;
	*ret = (uint32_t)value;
	*text += n + 1;
	return true;
}

static bool name_line(struct ssh_uids *u, const char **text)
{
	size_t n = strcspn(*text, " \n");
	char name[ADMIN_NAME_MAX + 1];
	uint32_t uid;

	if (n == 0 || n > ADMIN_NAME_MAX || (*text)[n] != ' ' || u->n == ADMINISTRATORS_MAX)
		return false;
	memcpy(name, *text, n);
	name[n] = '\0';
	*text += n + 1;
	if (!number_line(text, SSH_UID_FIRST + SSH_UIDS - 1, &uid) || !ssh_uid_is_ours(uid) ||
		ssh_uid_name(u, uid) || ssh_uid_of(u, name))
		return false;
	memcpy(u->at[u->n].name, name, n + 1);
	u->at[u->n++].uid = uid;
	return true;
}

enum rc ssh_uids_read(struct ssh_uids *ret_u, const char *text, struct err *e)
{
	static const char head[] = "next ";
	struct ssh_uids u = { 0 };
	bool good = strncmp(text, head, sizeof head - 1) == 0;

	*ret_u = u;
	text += good ? sizeof head - 1 : 0;
	good = good && number_line(&text, SSH_UIDS - 1, &u.next);
	while (good && *text)
		good = name_line(&u, &text);
	if (!good)
		return err_add(e, RC_MALFORMED,
			"malformed list of the users of administrators: expected 'next N' and lines of a name and a user from %d to %d",
			SSH_UID_FIRST, SSH_UID_FIRST + SSH_UIDS - 1);
	*ret_u = u;
	return RC_OK;
}
