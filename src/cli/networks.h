/* What of a configuration does not fit the networks of this machine's interfaces, as findings: part of cli/warnings.c. */
#ifndef CLI_NETWORKS_H
#define CLI_NETWORKS_H

#include "cli/findings.h"
#include "model/snapshot.h"

void networks_warn(const struct snapshot *s, struct findings *f);

#endif
