/* Output of commands: pipes, pager, and the processes that run them. */
#include "cli/shell/output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/render.h"
#include "cli/run.h"

#define MORE "---(more)---"

struct output {
	struct pipe_chain *chain; /* its `out` and `context` are set here */
	bool paged;
	unsigned rows;	/* of the terminal */
	unsigned shown; /* lines since the last stop */
	bool quit;	/* the operator wants no more */
	char *part;	/* of a line that has not ended */
	size_t part_n, part_room;
};

void terminal_size(unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize size;
	bool is = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

	*ret_columns = is ? size.ws_col : 0;
	*ret_rows = is ? size.ws_row : 0;
}

/* ---- the pager ---- */

static int key_read(void)
{
	struct termios before, raw;
	unsigned char key = 'q';
	ssize_t n;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return 'q';
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	while ((n = read(STDIN_FILENO, &key, 1)) < 0 && errno == EINTR)
		;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	return n == 1 ? key : 'q';
}

static void more(struct output *o)
{
	fputs(MORE, stdout);
	fflush(stdout);
	int key = key_read();
	fputs("\r            \r", stdout);
	switch (key) {
	case '\r':
	case '\n':
	case 'j':
		o->shown--; /* one line */
		break;
	case 'q':
	case 'Q':
	case 3: /* Ctrl-C */
	case 4:
		o->quit = true;
		break;
	case 'G':
		o->paged = false;
		break;
	default:
		o->shown = 0;
	}
}

static void line_out(void *context, const char *line, size_t n)
{
	struct output *o = context;

	if (o->quit)
		return;
	if (o->paged && o->shown + 1 >= o->rows)
		more(o);
	if (o->quit)
		return;
	render_safe(stdout, line, n, true);
	fputc('\n', stdout);
	o->shown++;
}

static void output_begin(struct output *o, struct pipe_chain *chain)
{
	unsigned columns;

	*o = (struct output){ .chain = chain };
	terminal_size(&columns, &o->rows);
	o->paged = o->rows > 2 && isatty(STDIN_FILENO) && !pipe_has(chain, PIPE_NO_MORE, NULL);
	chain->out = line_out;
	chain->context = o;
}

static bool part_add(struct output *o, const char *text, size_t n)
{
	if (o->part_room - o->part_n < n) {
		size_t room = (o->part_n + n) * 2;
		char *part = realloc(o->part, room);
		if (!part)
			return false;
		o->part = part;
		o->part_room = room;
	}
	if (n)
		memcpy(o->part + o->part_n, text, n);
	o->part_n += n;
	return true;
}

/* Octets as they come. False: no more are wanted. */
static bool output_put(struct output *o, const char *text, size_t n)
{
	while (n > 0 && !o->quit) {
		const char *end = memchr(text, '\n', n);
		size_t part_n = end ? (size_t)(end - text) : n;
		if (!part_add(o, text, part_n))
			return false;
		if (!end)
			break;
		pipe_put(o->chain, o->part ? o->part : "", o->part_n);
		o->part_n = 0;
		text += part_n + 1;
		n -= part_n + 1;
	}
	return !o->quit;
}

static void output_end(struct output *o)
{
	if (o->part_n > 0)
		pipe_put(o->chain, o->part, o->part_n);
	pipe_end(o->chain);
	free(o->part);
	o->part = NULL;
	o->part_n = o->part_room = 0;
	fflush(stdout);
}

static bool any_failed;

void shell_failed(void)
{
	any_failed = true;
}

bool shell_has_failed(void)
{
	return any_failed;
}

void shell_error(const struct err *e)
{
	shell_failed();
	fputs("error: ", stdout);
	render_safe(stdout, e->text, strlen(e->text), true);
	fputc('\n', stdout);
}

void shell_print(struct pipe_chain *chain, const char *text)
{
	struct output o;

	output_begin(&o, chain);
	output_put(&o, text, strlen(text));
	output_end(&o);
}

/* ---- processes ---- */

/* In the new process: signals as any program has them. */
static void child_signals(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
}

static int command_run(int argc, char **argv)
{
	struct cli_line line;
	struct err e = { 0 };

	if (cli_line_parse(&line, argc, argv, &e) != RC_OK) {
		render_safe(stdout, e.text, strlen(e.text), false);
		fputc('\n', stdout);
		return STATUS_USAGE;
	}
	return cli_run(&line);
}

static int child_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILED;
}

static void read_all(int fd, struct pipe_chain *chain)
{
	struct output o;
	char buffer[16384];
	ssize_t n;

	output_begin(&o, chain);
	while ((n = read(fd, buffer, sizeof buffer)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && !output_put(&o, buffer, (size_t)n))
			break;
	}
	output_end(&o);
}

int run_child(int argc, char **argv, struct pipe_chain *chain, bool direct)
{
	unsigned columns, rows;
	char width[16];
	int ends[2];
	pid_t pid;

	terminal_size(&columns, &rows);
	if (!direct && pipe(ends) != 0) {
		perror("plaingate: pipe");
		return STATUS_FAILED;
	}
	fflush(stdout);
	if ((pid = fork()) == 0) {
		child_signals();
		if (!direct) {
			dup2(ends[1], STDOUT_FILENO);
			dup2(ends[1], STDERR_FILENO);
			close(ends[0]);
			close(ends[1]);
			snprintf(width, sizeof width, "%u", columns);
			if (columns)
				setenv(CLI_COLUMNS_ENV, width, 1);
		}
		int status = command_run(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	if (!direct)
		close(ends[1]);
	if (pid < 0)
		perror("plaingate: fork");
	else if (!direct)
		read_all(ends[0], chain);
	if (!direct)
		close(ends[0]);
	return pid < 0 ? STATUS_FAILED : child_wait(pid);
}

int run_program(char *const *argv)
{
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		child_signals();
		execv(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	return pid < 0 ? STATUS_FAILED : child_wait(pid);
}
