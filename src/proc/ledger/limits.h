/* The ledger's process: its limits. */
#ifndef PROC_LEDGER_LIMITS_H
#define PROC_LEDGER_LIMITS_H

#include "base/clock.h"

#define OUTAGE_LOG_EVERY_NS   (60 * NS_PER_S) /* a failure may repeat each second */
#define SEALER_KEYS_LEFT_MIN  8		   /* a new epoch begins before the last one-time keys are needed */
#define LEDGER_FILE_BYTES_MAX (256u << 20) /* of one file of the ledger */

#endif
