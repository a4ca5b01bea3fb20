/*
 * Who the session is, as control says: for the prompt, and for what is offered. Nothing is permitted by it: control judges each request by
 * what it knows itself.
 */
#ifndef CLI_SHELL_WHO_H
#define CLI_SHELL_WHO_H

#include <stdbool.h>

/* Asks the gateway; without an answer nobody is known, and everything is offered. */
void who_ask(const char *socket);
/* The administrator's name; "" where there is none. */
const char *who_name(void);
/* The role's word; "" where it is unknown. */
const char *who_role(void);
/* Whether the role, if it is a predefined one, permits what control is asked with these words ("show ike", "vpn up"). */
bool who_may(const char *words);

#endif
