/* The supervisor's limits: waiting, starting again, what it reads. */
#ifndef PROC_SUPERVISOR_LIMITS_H
#define PROC_SUPERVISOR_LIMITS_H

#include "base/clock.h"

#define ANSWERS_BYTES_MAX	 (64 * 1024)	   /* octets of the file of known answers */
#define BACKOFF_MIN_NS		 (100 * NS_PER_MS) /* before a process that ended is started again, at first */
#define BACKOFF_MAX_NS		 (5 * NS_PER_S)	   /* and at most */
#define BACKOFF_FORGET_NS	 (10 * NS_PER_S)   /* of running, after which earlier ends no longer count */
#define BACKOFF_DATAPLANE_MAX_NS (500 * NS_PER_MS) /* traffic waits for it */
#define BACKOFF_DATAPLANE_FREE	 3		   /* times in a row it is restarted at once */
#define NFT_WAIT_MS		 10000		   /* for nft to load a ruleset */
/* no process waits yet, and a booting machine may be slow: modules are loaded */
#define NFT_FIRST_MS		 60000
#define FILTER_TEXT_MAX		 (4 << 20) /* octets of a ruleset */
/* a burst of entries waits in the link while the ledger's disk works, and then shares one fsync */
#define LEDGER_LINK_BYTES	 (1 << 20)
/* sets of a rule set that names a link which is gone by then, each time of the links that exist */
#define FILTER_TRIES_MAX	 5
/* each of ledger and courier needs a few; a compromised one may ask for more */
#define CONNECTS_EACH_SECOND	 64
/* between the first health checks after a commit, so that they do not come all at once */
#define HEALTH_SPREAD_NS	 (20 * NS_PER_MS)
#define NAME_SERVERS_MAX	 3 /* as the C library's resolver: MAXNS */

#define ENVIRONMENT_MAX 10 /* variables of a process, with the end of their list */

#endif
