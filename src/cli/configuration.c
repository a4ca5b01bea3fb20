/* Configurations between this program and control. */
#include "cli/configuration.h"

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/warnings.h"
#include "model/model.h"
#include "witness/configured.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static enum rc ignore_row(void *context, const char *json, size_t n, struct err *e)
{
	return RC_OK;
}

/* The text in a sealed memfd, which control can read and nobody can change. -1 and an error. */
static int text_in_memory(const char *text, size_t n, struct err *e)
{
	int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t written = 0;

	while (fd >= 0 && written < n) {
		ssize_t part = write(fd, text + written, n - written);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			break;
		written += (size_t)part;
	}
	if (fd >= 0 && written == n &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	err_errno(e, RC_IO, "copy the configuration");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Where the gateway runs, its certifiers say whether they can use the certificates, as at a commit. */
static bool gateway_refuses(const char *socket, const char *name, const struct snapshot *s, const char *text,
	size_t n, struct findings *f)
{
	struct msg_cli_request q = { .command = CLI_CHECK, .flags = COMMIT_CLOSE_ALL };
	const char *base = strrchr(name, '/');
	struct msg_result result = { 0 };
	int file = s->authorities.count > 0 ? text_in_memory(text, n, NULL) : -1;

	if (file < 0)
		return false;
	snprintf(q.name, sizeof q.name, "%.*s", NAME_MAX_BYTES - 1, base ? base + 1 : name);
	if (client_request(socket, &q, file, findings_row, f, &result, NULL) == RC_OK && result.rc != RC_OK &&
		f->errors == 0)
		findings_error(f, result.text);
	close(file);
	return f->errors > 0;
}

int configuration_check(
	const char *socket, const char *name, const char *text, size_t n, bool close_all, struct findings *f)
{
	struct faults faults = { 0 };
	struct err e = { 0 };
	void *block = NULL;
	char says[ERR_TEXT_MAX + WARNINGS_UNCHECKED_MAX], unchecked[WARNINGS_UNCHECKED_MAX];
	size_t bytes = 0;

	if (model_read(text, n, name, 0, NULL, &block, &bytes, &faults, &e) ||
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
	}
	free(block);
	return f->errors ? STATUS_FAILED : STATUS_OK;
}

/* Control sends its findings about the text as rows, before its answer. */
static uint32_t commit_request(
	const char *socket, const struct msg_cli_request *q, int file, struct findings *f)
{
	struct msg_result result = { 0 };
	struct err e = { 0 };

	if (client_request(socket, q, file, findings_row, f, &result, &e))
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
	struct err e = { 0 };
	int file = text_in_memory(c->text, c->n, &e);

	snprintf(q.name, sizeof q.name, "%.*s", NAME_MAX_BYTES - 1, c->name);
	snprintf(q.comment, sizeof q.comment, "%s", c->comment ? c->comment : "");
	if (c->base) {
		q.flags |= COMMIT_BASE;
		memcpy(q.base, c->base, sizeof q.base);
	}
	connection_find(&q.from);
	if (file < 0)
		findings_error(f, e.text);
	else
		c->ret_proposal = commit_request(socket, &q, file, f);
	if (f->errors == 0 && c->ret_proposal == 0)
		warnings_print_taken(c->text, c->n, f);
	if (file >= 0)
		close(file);
	return f->errors ? STATUS_FAILED : STATUS_OK;
}

/* What control writes into a memfd of ours; ret_says: its answer. */
static enum rc text_of_control(const char *socket, const struct msg_cli_request *q, char **ret_text,
	size_t *ret_n, struct msg_result *result, struct err *e)
{
	int file = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *text = calloc(1, CONFIG_TEXT_MAX + 1);

	if (file < 0 || !text)
		err_errno(e, RC_IO, "allocate memory for the configuration");
	else if (client_request(socket, q, file, ignore_row, NULL, result, e) == RC_OK &&
		 result->rc == RC_OK &&
		 (result->count > CONFIG_TEXT_MAX ||
			 pread(file, text, result->count, 0) != (ssize_t)result->count))
		err_errno(e, RC_IO, "read the configuration");
	if (!e->rc && result->rc)
		err_add(e, (enum rc)result->rc, "%s",
			result->text[0] ? result->text : rc_text((enum rc)result->rc));
	if (file >= 0)
		close(file);
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
	int file = text ? text_in_memory(text, n, e) : -1;
	enum rc rc = text && file < 0 ? RC_IO : RC_OK;

	connection_find(&q.from);
	if (!rc)
		rc = client_request(socket, &q, file, findings_row, f, &result, e);
	if (!rc && result.rc)
		rc = err_add(e, (enum rc)result.rc, "%s",
			result.text[0] ? result.text : rc_text((enum rc)result.rc));
	snprintf(ret_says, size, "%s", result.text);
	if (file >= 0)
		close(file);
	return rc;
}

enum rc configuration_confirm(const char *socket, char *ret_says, size_t size, struct err *e)
{
	struct msg_cli_request q = { .command = CLI_CONFIRM };
	struct msg_result result = { 0 };
	enum rc rc = client_request(socket, &q, -1, ignore_row, NULL, &result, e);

	if (!rc && result.rc)
		rc = err_add(e, (enum rc)result.rc, "%s",
			result.text[0] ? result.text : rc_text((enum rc)result.rc));
	snprintf(ret_says, size, "%s", result.text);
	return rc;
}
