/*
 * Session records as messages of IPFIX (RFC 7011): templates of IANA's information elements, one for each kind of record and family.
 * Sessions have the elements of a flow in both directions (RFC 5103), firewallEvent and, where addresses are translated, natEvent and
 * the translated ends (RFC 8158); blocks of ports are port block allocations. Zones, rules, tunnels have no element of IANA, and
 * there is no enterprise number of ours: syslog has them. Pure.
 */
#ifndef EXPORT_IPFIX_H
#define EXPORT_IPFIX_H

#include "model/session_record.h"

#include <stddef.h>

#define IPFIX_MESSAGE_MAX 1024u /* below any MTU (RFC 7011 section 10.3.3) */

/* All templates, as one message. sequence: data records that were sent before in this transport session. */
size_t export_ipfix_templates(uint8_t ret_bytes[IPFIX_MESSAGE_MAX], uint32_t sequence, uint32_t now_s);
/* One record. 0: nothing in IPFIX says this event. */
size_t export_ipfix(uint8_t ret_bytes[IPFIX_MESSAGE_MAX], const struct session_record *r, uint32_t sequence,
	uint32_t now_s);

#endif
