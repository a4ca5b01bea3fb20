/*
 * `plaingate shell`: what sshd runs for an administrator, whatever he asked for. It opens a session with control, which enters the
 * login and then answers;
 * before that there is no prompt. When control ends the session, or is gone, this says so and ends. Without ssh it is the shell of
 * `plaingate` without a command.
 */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include <stdbool.h>

/* As sshd calls an administrator's login shell: `plaingate -c COMMAND`, with the one of our own configuration. */
bool login_is_asked_for(int argc, char **argv);
/* The exit status. */
int login_run(void);

#endif
