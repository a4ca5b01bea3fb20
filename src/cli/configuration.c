/* Configurations between this program and control. */
#include "cli/configuration.h"

#include "admin/administrators.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/warnings.h"
#include "model/model.h"
#include "witness/configured.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum rc ignore_row(void *context, const char *json, size_t n, struct err *e)
{
	return RC_OK;
}

/* Where the gateway runs, its certifiers say whether they can use the certificates, as at a commit. */
static bool gateway_refuses(const char *socket, const char *name, const struct snapshot *s, const char *text,
	size_t n, struct findings *f)
{
	struct msg_cli_request q = { .command = CLI_CHECK, .flags = COMMIT_CLOSE_ALL };
	const char *base = strrchr(name, '/');
	struct msg_result result = { 0 };
	struct client_memory memory = { .text = text, .n = n, .fd = -1 };

	if (s->authorities.count == 0)
		return false;
	snprintf(q.name, sizeof q.name, "%.*s", NAME_MAX_BYTES - 1, base ? base + 1 : name);
	if (client_request(socket, &q, &memory, findings_row, f, &result, NULL) == RC_OK &&
		result.rc != RC_OK && f->errors == 0)
		findings_error(f, result.text);
	return f->errors > 0;
}

int configuration_check(
	const char *socket, const char *name, const char *text, size_t n, bool close_all, struct findings *f)
{
	struct faults faults = { 0 };
	struct err e = { 0 };
	void *block = NULL;
	struct administrators *a = NULL;
	char says[ERR_TEXT_MAX + WARNINGS_UNCHECKED_MAX], unchecked[WARNINGS_UNCHECKED_MAX];
	size_t bytes = 0;

	if (model_read_administrators(text, n, name, 0, NULL, &block, &bytes, &a, &faults, &e) ||
		configured_keys_check(&((const struct snapshot *)block)->evidence, name, &e) ||
		(!close_all && snapshot_check_not_closed(block, name, &e))) {
		if (faults.n)
			findings_faults(f, &faults);
		else
			findings_error(f, e.text);
	} else if (!gateway_refuses(socket, name, block, text, n, f)) {
		const struct snapshot *s = block;
		snprintf(says, sizeof says,
			"%.256s: the configuration is valid (zones: %u, policy rules: %u, NAT rules: %u, "
			"peers: %u, tunnels: %u)%s",
			name, s->zones.count, s->rules.count, s->dnat_rules.count + s->nat_rules.count,
			s->peers.count, s->tunnels.count, warnings_unchecked(unchecked, s));
		findings_result(f, says);
		warnings_print(s, f);
		warnings_roles(a, f);
	}
	administrators_free(a);
	free(block);
	return f->errors ? STATUS_FAILED : STATUS_OK;
}

/* Control sends its findings about the text as rows, before its answer. */
static uint32_t commit_request(
	const char *socket, const struct msg_cli_request *q, struct client_memory *memory, struct findings *f)
{
	struct msg_result result = { 0 };
	struct err e = { 0 };

	if (client_request(socket, q, memory, findings_row, f, &result, &e))
		findings_error(f, e.text);
	else if (result.rc == RC_OK)
		findings_result(f, result.text);
	else if (f->errors == 0)
		findings_error(f, result.text[0] ? result.text : rc_text((enum rc)result.rc));
	return f->errors == 0 ? result.count : 0;
}

int configuration_commit(const char *socket, struct commit_text *c, struct findings *f)
{
	struct msg_cli_request q = {
		.command = CLI_COMMIT, .confirm_minutes = c->confirm_minutes, .flags = c->flags
	};
	struct client_memory memory = { .text = c->text, .n = c->n, .fd = -1 };

	snprintf(q.name, sizeof q.name, "%.*s", NAME_MAX_BYTES - 1, c->name);
	snprintf(q.comment, sizeof q.comment, "%s", c->comment ? c->comment : "");
	if (c->base) {
		q.flags |= COMMIT_BASE;
		memcpy(q.base, c->base, sizeof q.base);
	}
	connection_find(&q.from);
	c->ret_proposal = commit_request(socket, &q, &memory, f);
	if (f->errors == 0 && c->ret_proposal == 0)
		warnings_print_taken(c->text, c->n, f);
	return f->errors ? STATUS_FAILED : STATUS_OK;
}

/* What control gives; ret_says: its answer. */
static enum rc text_of_control(const char *socket, const struct msg_cli_request *q, char **ret_text,
	size_t *ret_n, struct msg_result *result, struct err *e)
{
	struct client_memory memory = { .fd = -1 };
	char *text = calloc(1, CONFIG_TEXT_MAX + 1);

	if (!text)
		err_add(e, RC_INTERNAL, "out of memory");
	else if (client_request(socket, q, &memory, ignore_row, NULL, result, e) == RC_OK &&
		 result->rc == RC_OK &&
		 (result->count > CONFIG_TEXT_MAX ||
			 pread(memory.fd, text, result->count, 0) != (ssize_t)result->count))
		err_errno(e, RC_IO, "read the configuration");
	if (!e->rc && result->rc)
		err_add(e, (enum rc)result->rc, "%s",
			result->text[0] ? result->text : rc_text((enum rc)result->rc));
	if (memory.fd >= 0)
		close(memory.fd);
	*ret_n = result->count;
	*ret_text = text;
	return e->rc;
}

enum rc configuration_read(
	const char *socket, uint32_t rollback, char **ret_text, size_t *ret_n, struct err *e)
{
	struct msg_cli_request q = { .command = CLI_CONFIG, .rollback = rollback };
	struct msg_result result = { 0 };

	return text_of_control(socket, &q, ret_text, ret_n, &result, e);
}

enum rc configuration_proposal(const char *socket, uint32_t id, char **ret_text, size_t *ret_n,
	char *ret_statement, size_t size, struct err *e)
{
	struct msg_cli_request q = { .command = CLI_PROPOSAL, .rollback = id };
	struct msg_result result = { 0 };
	enum rc rc = text_of_control(socket, &q, ret_text, ret_n, &result, e);

	snprintf(ret_statement, size, "%s", result.text);
	return rc;
}

enum rc configuration_sign(const char *socket, uint32_t id, const char *text, size_t n, struct findings *f,
	char *ret_says, size_t size, struct err *e)
{
	struct msg_cli_request q = { .command = text ? CLI_SIGN : CLI_WITHDRAW, .rollback = id };
	struct msg_result result = { 0 };
	struct client_memory memory = { .text = text, .n = n, .fd = -1 };

	connection_find(&q.from);
	enum rc rc = client_request(socket, &q, text ? &memory : NULL, findings_row, f, &result, e);
	if (!rc && result.rc)
		rc = err_add(e, (enum rc)result.rc, "%s",
			result.text[0] ? result.text : rc_text((enum rc)result.rc));
	snprintf(ret_says, size, "%s", result.text);
	return rc;
}

enum rc configuration_confirm(const char *socket, char *ret_says, size_t size, struct err *e)
{
	struct msg_cli_request q = { .command = CLI_CONFIRM };
	struct msg_result result = { 0 };
	enum rc rc = client_request(socket, &q, NULL, ignore_row, NULL, &result, e);

	if (!rc && result.rc)
		rc = err_add(e, (enum rc)result.rc, "%s",
			result.text[0] ? result.text : rc_text((enum rc)result.rc));
	snprintf(ret_says, size, "%s", result.text);
	return rc;
}
