/*
 * The configuration goes to standard output, or into a file that does not exist yet; what became of each statement to standard error, one line
 * each: those that are simply translated are only counted. With --json it is one array of objects on standard output, of all of them:
 *	{"line":N,"outcome":"changed","statement":"…","note":"…"}
 */
#include "cli/import.h"

#include "cli/findings.h"
#include "cli/render.h"
#include "cli/text.h"
#include "import/import.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODE_OUTPUT 0644

static enum rc write_out(const char *path, const char *text, struct err *e)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE_OUTPUT) : STDOUT_FILENO;
	size_t n = strlen(text), written = 0;

	if (fd < 0)
		return err_errno(e, RC_IO, "create '%s'", path);
	while (written < n) {
		ssize_t part = write(fd, text + written, n - written);
		if (part <= 0) {
			err_errno(e, RC_IO, "write '%s'", path ? path : "standard output");
			break;
		}
		written += (size_t)part;
	}
	if (path && close(fd) != 0 && written == n) {
		err_errno(e, RC_IO, "write '%s'", path);
		written = 0;
	}
	if (path && written < n)
		unlink(path); /* half a configuration is none */
	return written == n ? RC_OK : RC_IO;
}

static void row_json(const struct import_row *row, size_t i)
{
	json_t *o = json_pack("{s:i, s:s, s:s, s:s}", "line", (int)row->line, "outcome",
		import_outcome_word(row->outcome), "statement", row->statement, "note", row->note);

	fputs(i ? ",\n" : "[", stdout);
	if (o)
		json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
}

static void row_line(const char *file, const struct import_row *row)
{
	if (row->outcome == IMPORT_TRANSLATED && !*row->note)
		return;
	render_safe(stderr, file, strlen(file), false);
	fprintf(stderr, ":%u: %s: %s", row->line, import_outcome_word(row->outcome), row->statement);
	if (*row->note) {
		fputs(": ", stderr);
		render_safe(stderr, row->note, strlen(row->note), false);
	}
	fputc('\n', stderr);
}

static int tell(const struct cli_line *line, const struct import *m)
{
	size_t counts[IMPORT_OUTCOME_COUNT] = { 0 };
	bool json = line->given & OPT(JSON);
	struct import_row row;
	size_t n = 0;

	for (; !import_row(&row, m, n); n++) {
		counts[row.outcome]++;
		if (json)
			row_json(&row, n);
		else
			row_line(line->argument, &row);
	}
	if (json)
		puts(n ? "]" : "[]");
	for (unsigned i = IMPORT_TRANSLATED; i < IMPORT_OUTCOME_COUNT && !json; i++) {
		if (counts[i])
			fprintf(stderr, "%6zu %s (%s)\n", counts[i],
				import_outcome_text((enum import_outcome)i),
				import_outcome_word((enum import_outcome)i));
	}
	return counts[IMPORT_WRONG] || counts[IMPORT_UNKNOWN] ? STATUS_FAILED : STATUS_OK;
}

int run_import(const struct cli_line *line)
{
	enum import_kind kind = line->command == COMMAND_IMPORT_SCREENOS ? IMPORT_SCREENOS : IMPORT_JUNOS;
	struct findings f = { .name = line->argument };
	struct import *m = NULL;
	struct err e = { 0 };
	char *text = NULL;
	size_t n = 0;
	int status = STATUS_FAILED;

	if ((line->given & OPT(JSON)) && !line->output)
		err_add(&e, RC_MALFORMED,
			"--json needs -o FILE: the configuration cannot go to standard output as well");
	else if (!text_read(line->argument, &text, &n, &e) &&
		 import_text(&m, kind, text, n, line->interfaces, &e))
		err_add(&e, e.rc, "in '%s'", line->argument);
	else if (m && !write_out(line->output, import_configuration(m), &e))
		status = tell(line, m);
	if (e.rc)
		findings_error(&f, e.text);
	import_free(m);
	free(text);
	return status;
}
