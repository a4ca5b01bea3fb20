/* The lines of rules with `log` and zones with `host-inbound-log`; docs/operating.md, "The rule log". */
#ifndef DATAPLANE_RULE_LOG_H
#define DATAPLANE_RULE_LOG_H

#include "firewall/firewall.h"

#define RULE_LOG_TEXT_MAX 768

/* One record as a line: its kind, then KEY=VALUE pairs, separated by single spaces. Returns ret_text. */
char *rule_log_text(char ret_text[RULE_LOG_TEXT_MAX], const struct fw_log *l);

enum session_event rule_log_event(const struct fw_log *l);

/* A record without which somebody could not be told who had an address and port. */
bool rule_log_must_arrive(const struct fw_log *l);

#endif
