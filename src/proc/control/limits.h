/* Limits of plaingate-control that one of its files uses; the others are in control.h. */
#ifndef PROC_CONTROL_LIMITS_H
#define PROC_CONTROL_LIMITS_H

#include "base/clock.h"

/* octets of the first line of the file of an unconfirmed commit */
#define UNCONFIRMED_HEAD_MAX 64
#define RELAY_HELD_MAX_NS    (5 * NS_PER_S) /* that an owner is held back for a client that does not read */
#define CONFIRM_RETRY_US     (10 * 1000000ull) /* the ledger or the witnesses may refuse a restoring commit */
#define MINUTE_US	     (60 * 1000000ull)
#define COMMIT_BYTES_MAX     512 /* of what is said of a commit */
#define REFUSALS_PER_SECOND  1	 /* entered of what roles did not permit, of all who ask */
#define REFUSALS_AT_ONCE_MAX 32
#define FINGERPRINTS_MAX     (8 * 52) /* octets of those of an administrator */

#define PROPOSAL_LIFE_US (7 * 24 * 3600 * 1000000ull) /* of what waits for signatures */
#define PROPOSAL_LINE_MAX                                                                                    \
	2048 /* octets of a line of its head: a signature of 1152 octets in base64, a name and a fingerprint */
#define PROPOSAL_HEAD_MAX 16384 /* eight signatures and what is said of it */
#define SIGNATURE_FIELD                                                                                      \
	760 /* digits of a signature in one field of an entry, which has a quarter of 3072 octets */

#define CERTIFIERS_WAIT_NS                                                                                   \
	(20 * NS_PER_S) /* that a check or a commit waits for them; who has died is not waited for */

#define CERTIFICATE_FILES_TEXT 1024 /* octets of the names of certificate files in an entry */
#define STORED_CERTIFICATES_BYTES                                                                            \
	(32u << 20) /* of two configurations: four thirds of the snapshot's 4 MB each, and their names */

#define LOGINS_MAX	     32 /* of administrators who come by ssh */
#define LOGINS_EACH_MAX	     8	/* of one of them */
#define COMMANDS_EACH_MINUTE 30 /* of one session that only look and are entered one by one */

#endif
