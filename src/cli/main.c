/*
 * `plaingate`: the administrator's program. It holds no privilege and no state: what it shows comes from
 * control, what it checks offline it does with the same rooms (src/model, src/verify) that the gateway uses. Without a command it is a shell.
 */
#include "cli/render.h"
#include "cli/run.h"
#include "cli/shell/login.h"
#include "cli/shell/shell.h"

#include <string.h>

int main(int argc, char **argv)
{
	struct cli_line line;
	struct err e = { 0 };

	if (argc == 1)
		return shell_run();
	if (login_is_asked_for(argc, argv))
		return login_run();
	if (cli_line_parse(&line, argc, argv, &e) != RC_OK) {
		fputs("plaingate: ", stderr);
		render_safe(stderr, e.text, strlen(e.text), false);
		fputs("\nTry 'plaingate help'.\n", stderr);
		return STATUS_USAGE;
	}
	return cli_run(&line);
}
