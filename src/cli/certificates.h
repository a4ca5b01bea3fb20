/* What `check` and `commit` say of this machine's certificates and lists of the revoked, which a commit takes and no peer will. */
#ifndef CLI_CERTIFICATES_H
#define CLI_CERTIFICATES_H

#include "cli/findings.h"
#include "model/snapshot.h"

#define CERTIFICATES_DIR "/etc/plaingate/certificates"

/* On a machine that has no such directory nothing is said. */
void certificates_warn(const struct snapshot *s, struct findings *f);

#endif
