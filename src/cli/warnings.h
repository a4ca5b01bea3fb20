/* What `check` and `commit` say of a configuration that is valid and will not do what it says, as
 * findings. */
#ifndef CLI_WARNINGS_H
#define CLI_WARNINGS_H

#include "cli/findings.h"
#include "model/snapshot.h"

void warnings_print(const struct snapshot *s, struct findings *f);
struct administrators;
/* Of roles that give more than they seem to. */
void warnings_roles(const struct administrators *a, struct findings *f);
#define WARNINGS_UNCHECKED_MAX 320 /* octets of a text: all of its parts */

/* What of it only the gateway's machine can tell, and this one cannot: "; not checked on this machine: …", or "". */
const char *warnings_unchecked(char ret_text[WARNINGS_UNCHECKED_MAX], const struct snapshot *s);
/* Of a text that the gateway on this machine has taken. */
void warnings_print_taken(const char *text, size_t n, struct findings *f);

#endif
