/*
 * What a signature is over is computed here, of the texts that control gives, and compared with what control says: so who signs need not believe the
 * gateway which text it is. The signature itself is made by ssh-keygen with the agent of the person, or elsewhere.
 */
#include "cli/sign.h"

#include "admin/signed.h"
#include "cli/configuration.h"
#include "cli/limits.h"
#include "cli/source.h"
#include "crypto/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int complain(const struct err *e)
{
	fprintf(stderr, "plaingate: %s\n", e->text[0] ? e->text : rc_text(e->rc));
	return STATUS_FAILED;
}

static enum rc id_of(const struct cli_line *line, uint32_t *ret_id, struct err *e)
{
	char *end;
	unsigned long id = strtoul(line->argument, &end, 10);

	if (*end || id == 0 || id > UINT32_MAX)
		return err_add(e, RC_MALFORMED,
			"found '%.40s', expected the number of a proposal (show system commit proposals)",
			line->argument);
	*ret_id = (uint32_t)id;
	return RC_OK;
}

/* RC_AUTH: control's statement is not about these texts. */
static enum rc statement_check(const char *statement, const char *base, size_t base_n, const char *text,
	size_t text_n, struct err *e)
{
	struct signed_statement s = { 0 };
	char own[SIGNED_STATEMENT_MAX];
	const char *generation = strstr(statement, "base-generation "),
		   *certificates = strstr(statement, "certificates "),
		   *confirm = strstr(statement, "confirm-within "), *options = strstr(statement, "options ");
	char set[65] = "";

	if (generation && confirm) {
		s.base_generation = strtoull(generation + strlen("base-generation "), NULL, 10);
		s.confirm_minutes = (uint32_t)strtoul(confirm + strlen("confirm-within "), NULL, 10);
	}
	if (certificates && sscanf(certificates, "certificates %64[0-9a-f]", set) == 1 &&
		!hex_to_bytes(s.certificates, sizeof s.certificates, set))
		return err_add(e, RC_MALFORMED,
			"malformed statement of the gateway: expected a SHA-256 of certificates, found '%s'",
			set);
	if (options) {
		s.options |= strstr(options, "close-all") ? SIGNED_CLOSE_ALL : 0;
		s.options |= strstr(options, "cut-off") ? SIGNED_CUT_OFF : 0;
	}
	sha256(s.base, base, base_n);
	sha256(s.text, text, text_n);
	signed_statement_text(own, &s);
	if (strcmp(own, statement) != 0)
		return err_add(e, RC_AUTH,
			"the gateway's statement is not about the text of the proposal over the one that runs");
	return RC_OK;
}

/* The proposal's text and its statement, checked. The caller frees *ret_text. */
static enum rc proposal_read(const char *socket, uint32_t id, char **ret_text, size_t *ret_n,
	char ret_statement[SIGNED_STATEMENT_MAX], struct err *e)
{
	char *base = NULL;
	size_t base_n = 0;
	enum rc rc =
		configuration_proposal(socket, id, ret_text, ret_n, ret_statement, SIGNED_STATEMENT_MAX, e);

	if (!rc)
		rc = configuration_read(socket, 0, &base, &base_n, e);
	if (!rc)
		rc = statement_check(ret_statement, base, base_n, *ret_text, *ret_n, e);
	free(base);
	return rc;
}

/* ---- a signature by the agent ---- */

static enum rc read_all(int fd, char *ret_text, size_t max, size_t *ret_n)
{
	size_t n = 0;

	for (;;) {
		ssize_t part = read(fd, ret_text + n, max - 1 - n);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0 || n + (size_t)part == max - 1) {
			ret_text[n] = '\0';
			*ret_n = n;
			return part == 0 ? RC_OK : RC_IO;
		}
		n += (size_t)part;
	}
}

static int memory_with(const char *text)
{
	int fd = memfd_create("sign", 0); /* the child has it */

	if (fd >= 0 &&
		(write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A program's standard output; input: its standard input, or -1. Its other messages go to the person. */
static enum rc program_run(
	char *const argv[], int input, char *ret_text, size_t max, size_t *ret_n, struct err *e)
{
	int out[2], status = 0;
	pid_t child;
	enum rc rc;

	*ret_n = 0;
	if (pipe(out) != 0)
		return err_errno(e, RC_IO, "make a pipe");
	fflush(stdout);
	if ((child = fork()) == 0) {
		if ((input >= 0 && dup2(input, STDIN_FILENO) < 0) || dup2(out[1], STDOUT_FILENO) < 0)
			_exit(127);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	rc = child < 0 ? RC_IO : read_all(out[0], ret_text, max, ret_n);
	close(out[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (rc || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_add(e, RC_IO,
			"'%s' gave no signature and no keys: expected it to be installed (openssh-client), and a key that it can use",
			argv[0]);
	return RC_OK;
}

/* By the key whose public part is in the file. */
static enum rc sign_by(const char *key_file, const char *statement, char ret_armor[SSHSIG_ARMOR_MAX],
	size_t *ret_n, struct err *e)
{
	char program[] = "ssh-keygen", sign[] = "sign", y[] = "-Y", n[] = "-n", ns[] = SIGNED_NAMESPACE,
	     f[] = "-f", q[] = "-q", file[4096];
	char *const argv[] = { program, q, y, sign, n, ns, f, file, NULL };
	int input = memory_with(statement);
	enum rc rc;

	snprintf(file, sizeof file, "%s", key_file);
	if (input < 0)
		return err_errno(e, RC_IO, "allocate memory");
	rc = program_run(argv, input, ret_armor, SSHSIG_ARMOR_MAX, ret_n, e);
	close(input);
	return rc;
}

static enum rc give(const char *socket, uint32_t id, const char *armor, size_t n, char *ret_says, size_t size,
	struct err *e)
{
	struct findings f = { .name = "proposal" };

	return configuration_sign(socket, id, armor, n, &f, ret_says, size, e);
}

/* With each key of the agent, until one is an administrator's. */
static enum rc sign_with_agent(
	const char *socket, uint32_t id, const char *statement, char *ret_says, size_t size, struct err *e)
{
	char program[] = "ssh-add", list[] = "-L", armor[SSHSIG_ARMOR_MAX], file[64];
	char *const argv[] = { program, list, NULL };
	static char keys[AGENT_KEYS_MAX];
	size_t keys_n, n;
	enum rc rc = program_run(argv, -1, keys, sizeof keys, &keys_n, e);

	if (rc)
		return err_add(e, rc,
			"while asking the ssh-agent for its keys: forward one (ssh -A), or give --key or --signature");
	rc = err_add(e, RC_NOT_FOUND, "the ssh-agent has no key");
	for (char *at = keys, *end; rc && (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		int key = memory_with(at);
		if (key < 0)
			return err_errno(e, RC_IO, "allocate memory");
		snprintf(file, sizeof file, "/proc/self/fd/%d", key);
		err_clear(e);
		rc = sign_by(file, statement, armor, &n, e);
		if (!rc)
			rc = give(socket, id, armor, n, ret_says, size, e);
		close(key);
		if (rc && rc != RC_DENIED && rc != RC_IO && rc != RC_UNSUPPORTED)
			return rc;
	}
	return rc;
}

static enum rc sign(const struct cli_line *line, uint32_t id, const char *statement, char *ret_says,
	size_t size, struct err *e)
{
	uint8_t *file = NULL;
	char armor[SSHSIG_ARMOR_MAX];
	size_t n = 0;
	enum rc rc = RC_OK;

	if (line->signature && strcmp(line->signature, "-") == 0)
		rc = read_all(STDIN_FILENO, armor, sizeof armor, &n)
			     ? err_add(e, RC_LIMIT, "read the signature from standard input")
			     : RC_OK;
	else if (line->signature)
		rc = source_file(line->signature, sizeof armor - 1, &file, &n, e);
	else if (line->key)
		rc = sign_by(line->key, statement, armor, &n, e);
	else
		return sign_with_agent(line->socket, id, statement, ret_says, size, e);
	if (!rc)
		rc = give(line->socket, id, file ? (const char *)file : armor, n, ret_says, size, e);
	free(file);
	return rc;
}

int run_proposal(const struct cli_line *line)
{
	char statement[SIGNED_STATEMENT_MAX] = "", says[ERR_TEXT_MAX] = "", *text = NULL;
	struct err e = { 0 };
	uint32_t id = 0;
	size_t n = 0;
	enum rc rc = id_of(line, &id, &e);

	if (rc)
		return complain(&e), STATUS_USAGE;
	if (line->command == COMMAND_COMMIT_WITHDRAW) {
		struct findings f = { .name = "proposal" };
		rc = configuration_sign(line->socket, id, NULL, 0, &f, says, sizeof says, &e);
	} else {
		rc = proposal_read(line->socket, id, &text, &n, statement, &e);
	}
	if (!rc && line->command == COMMAND_COMMIT_SIGN)
		rc = sign(line, id, statement, says, sizeof says, &e);
	else if (!rc && line->command == COMMAND_COMMIT_STATEMENT)
		fputs(statement, stdout);
	else if (!rc && line->command == COMMAND_COMMIT_TEXT)
		fwrite(text, 1, n, stdout);
	free(text);
	if (rc)
		return complain(&e);
	if (says[0])
		printf("%s\n", says);
	return STATUS_OK;
}
