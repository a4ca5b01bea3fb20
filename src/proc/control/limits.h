/* Control's limits. */
#ifndef PROC_CONTROL_LIMITS_H
#define PROC_CONTROL_LIMITS_H

#include "base/clock.h"

/* octets of the first line of the file of an unconfirmed commit */
#define UNCONFIRMED_HEAD_MAX 64
#define RELAY_HELD_MAX_NS    (5 * NS_PER_S) /* that an owner is held back for a client that does not read */

#endif
