/* Records of the rules' log to the export process. The main thread sends them; it never waits: what finds no room in the link
 * is counted, and the next record says how many. */
#ifndef DATAPLANE_RECORD_H
#define DATAPLANE_RECORD_H

#include "firewall/firewall.h"

struct dataplane;

/* for tests: the record as it is sent. mono, utc: now. */
void session_record_make(struct session_record *ret, const struct fw_log *l, mono_ns mono, utc_us utc);
void record_send(struct dataplane *d, const struct fw_log *l);

#endif
