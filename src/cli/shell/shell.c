/* The session: lines and modes. */
#include "cli/shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/shell/operational.h"
#include "cli/shell/who.h"
#include "model/model.h"

static void shell_line(struct shell *s, char *line)
{
	struct pipe_chain chain = { 0 };
	struct err e = { 0 };
	char *pipes = pipe_split(line);

	line += strspn(line, " \t");
	for (size_t n = strlen(line);
		n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r'); n--)
		line[n - 1] = '\0';
	if (pipes && pipe_parse(&chain, pipes, &e))
		shell_error(&e);
	else if (*line && *line != '#' && s->candidate)
		configure_line(s, line, &chain);
	else if (*line && *line != '#')
		operational_line(s, line, &chain);
	pipe_done(&chain);
	fflush(stdout);
}

static void pipes_complete(const char *line, offer_fn *offer, void *context)
{
	const char *word = line + strspn(line, " ");

	if (strchr(word, ' '))
		return;
	for (unsigned i = 0; i < PIPE_KIND_COUNT; i++) {
		if (strncmp(pipe_rows[i].word, word, strlen(word)) == 0)
			offer(context, pipe_rows[i].word, pipe_rows[i].text, false);
	}
}

static void shell_complete(void *session, const char *line, offer_fn *offer, void *context)
{
	struct shell *s = session;
	char *copy = strdup(line), *last = NULL;

	for (char *at = copy; at && (at = pipe_split(at));)
		last = at;
	line += strspn(line, " ");
	if (last)
		pipes_complete(last, offer, context);
	else if (s->candidate)
		configure_complete(s, line, offer, context);
	else
		operation_complete(line, who_may, offer, context);
	free(copy);
}

static void prompt_set(struct shell *s)
{
	char host[64] = "plaingate";
	const char *user = *who_name() ? who_name() : getenv("LOGNAME");

	gethostname(host, sizeof host - 1);
	snprintf(s->prompt, sizeof s->prompt, "%.30s@%.60s%s ",
		user && *user	 ? user
		: geteuid() == 0 ? "root"
				 : "user",
		host, s->candidate ? "#" : ">");
}

static struct shell shell_begin(void)
{
	const char *socket = getenv(CLI_SOCKET_ENV);

	return (struct shell){ .socket = socket && *socket ? socket : CLI_SOCKET_DEFAULT };
}

/* What an administrator has put behind the gateway's name: one line, and no control character that would make a second one of it, or a key. */
int shell_command(const char *line)
{
	struct shell s = shell_begin();
	struct err e = { 0 };
	char *copy = NULL;

	for (const char *c = line; *c && !e.text[0]; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			err_add(&e, RC_MALFORMED, "a command is one line without control characters");
	if (!e.text[0] && strlen(line) > SHELL_LINE_MAX)
		err_add(&e, RC_LIMIT, "the line is too long");
	if (!e.text[0] && !(copy = strdup(line)))
		err_add(&e, RC_LIMIT, "out of memory");
	if (copy)
		shell_line(&s, copy);
	if (s.wants_to_configure)
		err_add(&e, RC_UNSUPPORTED,
			"configure is a mode of the session, and takes no command with it");
	free(copy);
	if (e.text[0])
		shell_error(&e);
	model_done();
	return shell_has_failed() ? STATUS_FAILED : STATUS_OK;
}

int shell_run(void)
{
	struct shell s = shell_begin();
	char *line;

	if (!(s.lines = line_editor_new(s.prompt, shell_complete, &s))) {
		fputs("plaingate: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	operational_signals();
	bool terminal = line_is_terminal(s.lines);
	who_ask(s.socket);
	if (terminal && *who_role())
		printf("%s%s%s\n", who_name(), *who_name() ? ": " : "", who_role());
	while (!s.ends) {
		prompt_set(&s);
		if (s.candidate && line_is_terminal(s.lines))
			printf("\n[edit%s%s]\n", *edit_level(s.candidate) ? " " : "",
				edit_level(s.candidate));
		if (!(line = line_read(s.lines))) {
			if (!s.candidate || !line_is_terminal(s.lines))
				break;
			configure_leave(&s); /* Ctrl-D ends a mode, as it ends the session in the other one */
			continue;
		}
		if (strlen(line) > SHELL_LINE_MAX)
			fputs("error: the line is too long\n", stdout);
		else
			shell_line(&s, line);
		if (s.wants_to_configure)
			configure_begin(&s);
		s.wants_to_configure = false;
	}
	configure_done(&s);
	line_editor_free(s.lines);
	model_done();
	return !terminal && shell_has_failed() ? STATUS_FAILED : STATUS_OK;
}
