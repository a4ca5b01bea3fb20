/* The witness server's limits. */
#ifndef PROC_WITNESS_LIMITS_H
#define PROC_WITNESS_LIMITS_H

#include "base/clock.h"

#define WITNESS_LOGS_MAX	4096		/* that are cosigned */
#define WITNESS_FILES_MAX	64		/* of policies and keys, named on the command line */
#define SERVER_NO_ROOM_EVERY_NS (60 * NS_PER_S) /* between warnings of what is refused and not kept */
#define STORE_MARK_MAX		(2 + NOTE_NAME_MAX + 24 + BASE64_SIZE(SHA256_SIZE) + 2)

#endif
