#include "export/ipfix.h"

#include "base/wr.h"
#include "wire/ip.h"

#include <assert.h>

#define VERSION	       10
#define SET_TEMPLATES  2
#define TEMPLATES_FROM 256
#define DOMAIN	       1
#define REVERSE	       29305u /* RFC 5103 section 6.1 */

/* clang-format off */
#define ELEMENTS(E)	/* id, number (IANA, IPFIX Information Elements), octets, enterprise */	\
	E(TIME,            323, 8, 0)	/* observationTimeMilliseconds */	\
	E(START,           152, 8, 0)	/* flowStartMilliseconds */		\
	E(END,             153, 8, 0)	/* flowEndMilliseconds */		\
	E(SRC4,              8, 4, 0) E(DST4,             12, 4, 0)		\
	E(SRC6,             27, 16, 0) E(DST6,            28, 16, 0)		\
	E(SRC_PORT,          7, 2, 0) E(DST_PORT,         11, 2, 0)		\
	E(PROTO,             4, 1, 0)						\
	E(FIREWALL_EVENT,  233, 1, 0)						\
	E(END_REASON,      136, 1, 0)						\
	E(STATUS,           89, 1, 0)	/* forwardingStatus, RFC 7270 */	\
	E(FLOW_ID,         148, 8, 0)						\
	E(OCTETS,            1, 8, 0) E(PACKETS,           2, 8, 0)		\
	E(REVERSE_OCTETS,    1, 8, REVERSE) E(REVERSE_PACKETS, 2, 8, REVERSE)	\
	E(NAT_EVENT,       230, 1, 0)						\
	E(POST_SRC4,       225, 4, 0) E(POST_DST4,       226, 4, 0)		\
	E(POST_SRC6,       281, 16, 0) E(POST_DST6,      282, 16, 0)		\
	E(POST_SRC_PORT,   227, 2, 0) E(POST_DST_PORT,   228, 2, 0)		\
	E(PORT_FIRST,      361, 2, 0) E(PORT_LAST,       362, 2, 0)

#define FLOW(src, dst)	B(START) B(END) B(src) B(dst) B(SRC_PORT) B(DST_PORT) B(PROTO) B(FIREWALL_EVENT) B(STATUS)	\
	B(FLOW_ID) B(OCTETS) B(PACKETS) B(REVERSE_OCTETS) B(REVERSE_PACKETS)
/* What has not ended has no reason of an end: IANA's registry of them reserves 0. */
#define SESSION(src, dst)	FLOW(src, dst) B(END_REASON)
#define TRANSLATED(src, dst)	B(NAT_EVENT) B(src) B(dst) B(POST_SRC_PORT) B(POST_DST_PORT)
#define EXHAUSTED(src, dst)	B(TIME) B(NAT_EVENT) B(src) B(dst) B(SRC_PORT) B(DST_PORT) B(PROTO)
#define BLOCK(src, post)	B(TIME) B(NAT_EVENT) B(src) B(post) B(PORT_FIRST) B(PORT_LAST)

#define TEMPLATES(T)	/* id, elements */							\
	T(SESSION4,   SESSION(SRC4, DST4))							\
	T(SESSION6,   SESSION(SRC6, DST6))							\
	T(NAT44,      SESSION(SRC4, DST4) TRANSLATED(POST_SRC4, POST_DST4))			\
	T(NAT66,      SESSION(SRC6, DST6) TRANSLATED(POST_SRC6, POST_DST6))			\
	T(NAT64,      SESSION(SRC6, DST6) TRANSLATED(POST_SRC4, POST_DST4))			\
	T(EXHAUSTED4, EXHAUSTED(SRC4, DST4))							\
	T(EXHAUSTED6, EXHAUSTED(SRC6, DST6))							\
	T(BLOCK4,     BLOCK(SRC4, POST_SRC4))							\
	T(BLOCK6,     BLOCK(SRC6, POST_SRC4))							\
	T(FLOW4,      FLOW(SRC4, DST4))								\
	T(FLOW6,      FLOW(SRC6, DST6))								\
	T(FLOW44,     FLOW(SRC4, DST4) TRANSLATED(POST_SRC4, POST_DST4))			\
	T(FLOW66,     FLOW(SRC6, DST6) TRANSLATED(POST_SRC6, POST_DST6))			\
	T(FLOW64,     FLOW(SRC6, DST6) TRANSLATED(POST_SRC4, POST_DST4))
/* clang-format on */

enum element {
#define E(id, number, octets, enterprise) EL_##id,
	ELEMENTS(E) EL_COUNT
#undef E
};

enum template {
#define T(id, elements) TEMPLATE_##id,
	TEMPLATES(T) TEMPLATE_COUNT
#undef T
};

static const struct {
	uint16_t number, octets;
	uint32_t enterprise;
} elements[] = {
#define E(id, number, octets, enterprise) [EL_##id] = { number, octets, enterprise },
	ELEMENTS(E)
#undef E
};

#define B(id)		EL_##id,
#define T(id, elements) static const uint8_t template_##id[] = { elements };
TEMPLATES(T)
#undef T
#undef B

static const struct {
	const uint8_t *element;
	uint16_t n;
} templates[] = {
#define T(id, elements) [TEMPLATE_##id] = { template_##id, sizeof template_##id },
	TEMPLATES(T)
#undef T
};

/* RFC 8158 section 4.3, IANA "NAT Event Type". */
enum { NAT_PORTS_EXHAUSTED = 12, NAT_QUOTA = 13, NAT_BLOCK_TAKEN = 16, NAT_BLOCK_GIVEN = 17 };
enum { NAT44_CREATE = 4, NAT44_DELETE = 5, NAT64_CREATE = 6, NAT64_DELETE = 7 };
enum { FIREWALL_CREATED = 1, FIREWALL_DELETED = 2, FIREWALL_DENIED = 3 };
enum { STATUS_FORWARDED = 64, STATUS_DROPPED = 128, STATUS_ACL_DENY = 129 };

static bool is_nat64(const struct session_record *r)
{
	return r->src.addr.family == ADDR_V6 && r->nat_src.addr.family == ADDR_V4;
}

static bool is_translated(const struct session_record *r)
{
	return r->nat_src.addr.family != ADDR_NONE || r->nat_dst.addr.family != ADDR_NONE;
}

static enum template template_of(const struct session_record *r)
{
	bool v6 = r->src.addr.family == ADDR_V6;

	if (r->src.addr.family == ADDR_NONE)
		return TEMPLATE_COUNT;
	switch (r->event) {
	case SESSION_EVENT_CLOSE:
		if (is_translated(r))
			return is_nat64(r) ? TEMPLATE_NAT64 : v6 ? TEMPLATE_NAT66 : TEMPLATE_NAT44;
		return v6 ? TEMPLATE_SESSION6 : TEMPLATE_SESSION4;
	case SESSION_EVENT_INIT:
		if (is_translated(r))
			return is_nat64(r) ? TEMPLATE_FLOW64 : v6 ? TEMPLATE_FLOW66 : TEMPLATE_FLOW44;
		return v6 ? TEMPLATE_FLOW6 : TEMPLATE_FLOW4;
	case SESSION_EVENT_DENY:
	case SESSION_EVENT_DROP:
		return v6 ? TEMPLATE_FLOW6 : TEMPLATE_FLOW4;
	case SESSION_EVENT_NAT_EXHAUSTED:
	case SESSION_EVENT_NAT_BLOCK_LIMIT:
		return v6 ? TEMPLATE_EXHAUSTED6 : TEMPLATE_EXHAUSTED4;
	case SESSION_EVENT_NAT_BLOCK_TAKEN:
	case SESSION_EVENT_NAT_BLOCK_GIVEN:
		return v6 ? TEMPLATE_BLOCK6 : TEMPLATE_BLOCK4;
	default:
		return TEMPLATE_COUNT;
	}
}

static uint8_t nat_event(const struct session_record *r)
{
	switch (r->event) {
	case SESSION_EVENT_INIT:
		return is_nat64(r) ? NAT64_CREATE : NAT44_CREATE;
	case SESSION_EVENT_CLOSE:
		return is_nat64(r) ? NAT64_DELETE : NAT44_DELETE;
	case SESSION_EVENT_NAT_EXHAUSTED:
		return NAT_PORTS_EXHAUSTED;
	case SESSION_EVENT_NAT_BLOCK_LIMIT:
		return NAT_QUOTA;
	default:
		return r->event == SESSION_EVENT_NAT_BLOCK_TAKEN ? NAT_BLOCK_TAKEN : NAT_BLOCK_GIVEN;
	}
}

static uint8_t firewall_event(const struct session_record *r)
{
	return r->event == SESSION_EVENT_INIT	 ? FIREWALL_CREATED
	       : r->event == SESSION_EVENT_CLOSE ? FIREWALL_DELETED
						 : FIREWALL_DENIED;
}

static uint8_t status(const struct session_record *r)
{
	return r->event == SESSION_EVENT_DENY	? STATUS_ACL_DENY
	       : r->event == SESSION_EVENT_DROP ? STATUS_DROPPED
						: STATUS_FORWARDED;
}

/* As its packets leave: what is not translated is as it came. */
static const struct endpoint *post(const struct endpoint *nat, const struct endpoint *as_it_came)
{
	return nat->addr.family != ADDR_NONE ? nat : as_it_came;
}

static void number_put(struct wr *w, enum element e, uint64_t value)
{
	uint8_t bytes[8];

	store_be64(bytes, value);
	assert(elements[e].octets <= sizeof bytes);
	wr_bytes(w, bytes + sizeof bytes - elements[e].octets, elements[e].octets);
}

/* What stands there for ICMP is an identifier, which readers take for type and code. */
static uint16_t port_of(const struct session_record *r, const struct endpoint *e)
{
	return r->proto == IP_ICMP || r->proto == IP_ICMPV6 ? 0 : e->port;
}

static uint64_t number_of(const struct session_record *r, enum element e)
{
	const struct endpoint *src = post(&r->nat_src, &r->src), *dst = post(&r->nat_dst, &r->dst);
	uint64_t end_ms = r->at / 1000, length = r->duration_ms < end_ms ? r->duration_ms : end_ms;

	switch (e) {
	case EL_TIME:
	case EL_END:
		return end_ms;
	case EL_START:
		return end_ms - length;
	case EL_SRC_PORT:
		return port_of(r, &r->src);
	case EL_DST_PORT:
		return port_of(r, &r->dst);
	case EL_PROTO:
		return r->proto;
	case EL_FIREWALL_EVENT:
		return firewall_event(r);
	case EL_END_REASON:
		return session_end_flow_end((enum session_end)r->reason);
	case EL_STATUS:
		return status(r);
	case EL_FLOW_ID:
		return r->session;
	case EL_OCTETS:
		return r->bytes[0];
	case EL_PACKETS:
		return r->packets[0];
	case EL_REVERSE_OCTETS:
		return r->bytes[1];
	case EL_REVERSE_PACKETS:
		return r->packets[1];
	case EL_NAT_EVENT:
		return nat_event(r);
	case EL_POST_SRC_PORT:
		return port_of(r, src);
	case EL_POST_DST_PORT:
		return port_of(r, dst);
	case EL_PORT_FIRST:
		return r->nat_first;
	default:
		assert(e == EL_PORT_LAST);
		return r->nat_last;
	}
}

static const struct ip_addr *address_of(const struct session_record *r, enum element e)
{
	switch (e) {
	case EL_SRC4:
	case EL_SRC6:
		return &r->src.addr;
	case EL_DST4:
	case EL_DST6:
		return &r->dst.addr;
	case EL_POST_SRC4:
	case EL_POST_SRC6:
		return &post(&r->nat_src, &r->src)->addr;
	case EL_POST_DST4:
	case EL_POST_DST6:
		return &post(&r->nat_dst, &r->dst)->addr;
	default:
		return NULL;
	}
}

/* ---- messages ---- */

static uint8_t *head_put(struct wr *w, uint32_t sequence, uint32_t now_s)
{
	wr_u16(w, VERSION);
	uint8_t *length = wr_room(w, 2);
	wr_u32(w, now_s);
	wr_u32(w, sequence);
	wr_u32(w, DOMAIN);
	return length;
}

size_t export_ipfix_templates(uint8_t ret_bytes[IPFIX_MESSAGE_MAX], uint32_t sequence, uint32_t now_s)
{
	struct wr w = wr_over(ret_bytes, IPFIX_MESSAGE_MAX);
	uint8_t *length = head_put(&w, sequence, now_s), *set = w.at;

	wr_u16(&w, SET_TEMPLATES);
	uint8_t *set_length = wr_room(&w, 2);
	for (unsigned t = 0; t < TEMPLATE_COUNT; t++) {
		wr_u16(&w, (uint16_t)(TEMPLATES_FROM + t));
		wr_u16(&w, templates[t].n);
		for (uint16_t i = 0; i < templates[t].n; i++) {
			uint8_t e = templates[t].element[i];
			wr_u16(&w, (uint16_t)(elements[e].number | (elements[e].enterprise ? 0x8000 : 0)));
			wr_u16(&w, elements[e].octets);
			if (elements[e].enterprise)
				wr_u32(&w, elements[e].enterprise);
		}
	}
	wr_patch16(&w, set_length, set);
	wr_patch16(&w, length, w.base);
	return w.bad ? 0 : wr_len(&w);
}

size_t export_ipfix(uint8_t ret_bytes[IPFIX_MESSAGE_MAX], const struct session_record *r, uint32_t sequence,
	uint32_t now_s)
{
	struct wr w = wr_over(ret_bytes, IPFIX_MESSAGE_MAX);
	enum template t = template_of(r);

	if (t == TEMPLATE_COUNT)
		return 0;
	uint8_t *length = head_put(&w, sequence, now_s), *set = w.at;
	wr_u16(&w, (uint16_t)(TEMPLATES_FROM + t));
	uint8_t *set_length = wr_room(&w, 2);
	for (uint16_t i = 0; i < templates[t].n; i++) {
		enum element e = (enum element)templates[t].element[i];
		const struct ip_addr *a = address_of(r, e);
		if (a)
			wr_bytes(&w, a->b, elements[e].octets);
		else
			number_put(&w, e, number_of(r, e));
	}
	wr_patch16(&w, set_length, set);
	wr_patch16(&w, length, w.base);
	return w.bad ? 0 : wr_len(&w);
}
