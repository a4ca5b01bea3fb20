/*
 * Two processes: this one keeps the session's connection and waits for its end, the other one is the shell, whose requests go over connections of
 * their own. Control knows both by their user, so nothing that the environment says decides what is permitted.
 */
#include "cli/shell/login.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/ssh_certificate.h"
#include "admin/ssh_uids.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/limits.h"
#include "cli/render.h"
#include "cli/run.h"
#include "cli/shell/limits.h"
#include "cli/shell/shell.h"
#include "sandbox/sandbox.h"

bool login_is_asked_for(int argc, char **argv)
{
	return (argc == 3 && strcmp(argv[1], "-c") == 0) || (argc == 2 && strcmp(argv[1], "shell") == 0);
}

/*
 * By what the connection was let in: sshd's ExposeAuthInfo, "publickey TYPE BASE64", of its own file, which this session cannot change. Control
 * demands at each session that it still lets in. Nothing: control refuses.
 */
static void key_find(char ret_text[SSH_SHOWN_SIZE])
{
	const char *path = getenv("SSH_USER_AUTH");
	FILE *f = path ? fopen(path, "re") : NULL;
	char type[64], base64[LOGIN_KEY_MAX], of_key[SSH_FINGERPRINT_SIZE],
		of_authority[SSH_FINGERPRINT_SIZE];
	uint8_t blob[LOGIN_KEY_MAX];
	struct ssh_certificate certificate;
	struct ssh_key key;
	size_t n;

	ret_text[0] = '\0';
	if (f && fscanf(f, "publickey %63s %8191s", type, base64) == 2 &&
		base64_to_bytes(blob, sizeof blob, &n, base64, strlen(base64))) {
		if (ssh_key_from_blob(&key, blob, n, NULL) == RC_OK)
			snprintf(ret_text, SSH_SHOWN_SIZE, "%s", ssh_key_fingerprint(of_key, &key));
		else if (ssh_certificate_read(&certificate, blob, n, NULL) == RC_OK)
			snprintf(ret_text, SSH_SHOWN_SIZE, "%s" SSH_CERTIFICATE_OF "%s)",
				ssh_key_fingerprint(of_key, &certificate.key),
				ssh_key_fingerprint(of_authority, &certificate.authority));
	}
	if (f)
		fclose(f);
}

struct login {
	struct msg_cli_request request;
	pid_t child;
	int status;
	bool begun, over;
};

static int shell_of_session(void)
{
	const char *command = getenv("SSH_ORIGINAL_COMMAND");

	return command && *command ? shell_command(command) : shell_run();
}

/* What concerns everybody who is logged in: above the prompt, or over it. False: the row is none of these. */
static bool notice(const char *json, size_t n, struct err *e)
{
	char *copy = strndup(json, n);
	json_t *row = copy ? render_row(copy, e) : NULL;
	const char *text = json_string_value(json_object_get(row, "text"));

	if (text) {
		fputs("\r\nplaingate: ", stderr);
		render_safe(stderr, text, strlen(text), false);
		fputs("\r\n", stderr);
	}
	bool is_one = text != NULL;
	json_decref(row);
	free(copy);
	return is_one;
}

/* After control's receipt: the session begins. */
static enum rc on_row(void *context, const char *json, size_t n, struct err *e)
{
	struct login *l = context;

	if (notice(json, n, e) || l->begun)
		return RC_OK;
	fflush(stdout);
	l->child = fork();
	if (l->child < 0)
		return err_errno(e, RC_IO, "fork");
	if (l->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		signal(SIGCHLD, SIG_DFL);
		signal(SIGTSTP, SIG_IGN);
		exit(shell_of_session());
	}
	l->begun = true;
	return RC_OK;
}

static bool goes_on(void *context)
{
	struct login *l = context;
	int status;

	if (!l->begun || waitpid(l->child, &status, WNOHANG) != l->child)
		return true;
	l->over = true;
	l->status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILED;
	return false;
}

/* So that the wait for control ends when the shell does. */
static void on_child(int signal)
{
	(void)signal;
}

/* Before anything is read. Without Landlock the bounds of the file systems are all there is (docs/threat-model.md). */
static enum rc confine(struct err *e)
{
	const char *home = getenv("HOME"); /* sshd's, of the accounts that the process ssh writes */
	enum rc rc = sandbox_session(home ? home : "/", e);

	if (rc != RC_UNSUPPORTED)
		return rc;
	err_clear(e);
	return RC_OK;
}

int login_run(void)
{
	const char *socket = getenv(CLI_SOCKET_ENV);
	struct login l = { .request = { .command = CLI_LOGIN } };
	struct msg_result r = { 0 };
	struct err e = { 0 };

	if (!getenv("SSH_CONNECTION") || !ssh_uid_is_ours(getuid()))
		return shell_run();
	if (confine(&e) != RC_OK) {
		fprintf(stderr, "plaingate: no session: %s\n", e.text);
		return STATUS_FAILED;
	}
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_child }, NULL);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	_Static_assert(sizeof l.request.comment >= SSH_SHOWN_SIZE, "it fits");
	key_find(l.request.comment);
	connection_find(&l.request.from);
	enum rc rc = client_request_watched(socket && *socket ? socket : CLI_SOCKET_DEFAULT, &l.request, NULL,
		on_row, goes_on, &l, &r, &e);
	if (l.over)
		return l.status;
	if (l.begun) {
		signal(SIGTERM, SIG_IGN);
		kill(0, SIGTERM); /* what the shell has started; the shell itself may be reading a line */
		kill(l.child, SIGKILL);
	}
	fputs(l.begun ? "\r\nplaingate: the session is ended: " : "plaingate: no session: ", stderr);
	const char *why = rc == RC_OK ? r.text : e.text;
	render_safe(stderr, why, strlen(why), false);
	fputs("\r\n", stderr);
	return STATUS_FAILED;
}
