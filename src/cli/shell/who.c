#include "cli/shell/who.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/administrators.h"
#include "cli/client.h"

static struct {
	bool answered, found;
	char name[ADMIN_NAME_MAX + 1], role[ADMIN_ROLE_MAX + 1];
} who;

static enum rc row(void *context, const char *json, size_t n, struct err *e)
{
	json_t *object = json_loadb(json, n, 0, NULL);
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *role = json_string_value(json_object_get(object, "role"));

	if (name && role && json_is_true(json_object_get(object, "self"))) {
		who.found = true;
		snprintf(who.name, sizeof who.name, "%s", name);
		snprintf(who.role, sizeof who.role, "%s", role);
	}
	json_decref(object);
	return RC_OK;
}

void who_ask(const char *socket)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_ADMINISTRATORS };
	struct msg_result r = { .rc = RC_INTERNAL };

	memset(&who, 0, sizeof who);
	who.answered = client_request(socket, &q, NULL, row, NULL, &r, NULL) == RC_OK && r.rc == RC_OK;
	if (who.answered && !who.found && geteuid() != 0)
		snprintf(who.role, sizeof who.role, "%s", role_word(NULL, ROLE_READ_ONLY));
}

const char *who_name(void)
{
	return who.name;
}

const char *who_role(void)
{
	return who.role;
}

bool who_may(const char *words)
{
	uint32_t role = role_named(NULL, who.role);

	return role == ROLE_NONE || role_may_command(NULL, role, words);
}
