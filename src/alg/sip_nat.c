/* What a SIP message lets expect, and the message with other addresses. */
#include "alg/internal.h"
#include "base/wr.h"

#include <assert.h>
#include <stdio.h>

enum { SIP_UDP = 17, SIP_PORT = 5060 };

/* Does the medium whose places go on from i name a port for RTCP? */
static bool rtcp_is_told(const struct sip_message *m, uint32_t i)
{
	for (; i < m->places_n && m->place[i].kind != SIP_MEDIA; i++)
		if (m->place[i].kind == SIP_RTCP_PORT)
			return true;
	return false;
}

/* RTP and RTCP (RFC 3550 section 11) of each medium whose address is the sender's own. From anybody: who will send is not
 * known yet. */
size_t sip_expectations(const struct sip_message *m, const struct ip_addr *sender, uint8_t from,
	struct expectation ret[SIP_EXPECT_MAX], uint8_t ret_place[SIP_EXPECT_MAX])
{
	size_t n = 0;

	assert(from < 2);
	for (uint32_t i = 0; m->has_sdp && i < m->places_n && n < SIP_EXPECT_MAX; i++) {
		const struct sip_place *p = &m->place[i];
		if ((p->kind != SIP_MEDIA && p->kind != SIP_RTCP_PORT) || p->e.port < ALG_PORT_MIN ||
			!addr_equal(&p->e.addr, sender))
			continue;
		ret_place[n] = (uint8_t)i;
		ret[n++] = (struct expectation){ .dst = *sender,
			.dst_port = p->e.port,
			.proto = SIP_UDP,
			.from = (uint8_t)(1 - from),
			.alg = EXPECTATION_SIP,
			.pair = p->kind == SIP_MEDIA && p->e.port % 2 == 0 && !rtcp_is_told(m, i + 1),
			.lifetime_s = SIP_MEDIA_S };
	}
	return n;
}

bool sip_keeps(const struct sip_message *m, uint32_t *ret_s)
{
	if (m->method != SIP_RESPONSE || m->status < 200 || m->status > 299)
		return false;
	*ret_s = m->answers == SIP_INVITE ? SIP_REGISTER_S
		 : m->has_expires	  ? MIN_OF(m->expires_s, (uint32_t)SIP_REGISTER_S)
					  : 0;
	return m->answers == SIP_INVITE || m->answers == SIP_REGISTER;
}

struct endpoint sip_place_endpoint(const struct sip_place *p)
{
	struct endpoint e = p->e;

	e.port = p->has_port ? e.port : SIP_PORT;
	return e;
}

/* ---- rewriting ---- */

#define PLACE_TEXT_MAX (ADDR_TEXT_MAX + 10)

static size_t place_text(char *text, const struct sip_place *p, const struct endpoint *to)
{
	char addr[ADDR_TEXT_MAX];
	bool uri = sip_place_in_header(p);
	bool port = uri ? p->has_port || to->port != SIP_PORT : p->has_port;
	bool v6 = to->addr.family == ADDR_V6;

	if (!p->has_addr)
		return (size_t)snprintf(text, PLACE_TEXT_MAX, "%u", to->port);
	int n = snprintf(text, PLACE_TEXT_MAX, uri && v6 ? "[%s]" : "%s", addr_text(addr, &to->addr));
	if (port)
		n += snprintf(text + n, PLACE_TEXT_MAX - (size_t)n, ":%u", to->port);
	assert(n > 0 && n < PLACE_TEXT_MAX);
	return (size_t)n;
}

/* The text up to a place, without that of Content-Length, in whose place stands the new one. */
static void copy_until(
	struct wr *w, const struct sip_message *m, const uint8_t *bytes, size_t *at, size_t to, size_t body_n)
{
	char digits[12];

	if (m->length_n > 0 && *at <= m->length_at && m->length_at < to) {
		wr_bytes(w, bytes + *at, m->length_at - *at);
		wr_bytes(w, digits, (size_t)snprintf(digits, sizeof digits, "%zu", body_n));
		*at = (size_t)m->length_at + m->length_n;
	}
	assert(*at <= to && to <= m->size);
	wr_bytes(w, bytes + *at, to - *at);
	*at = to;
}

size_t sip_rewrite(const struct sip_message *m, const uint8_t *bytes,
	const struct endpoint to[SIP_PLACES_MAX], uint8_t *ret_bytes, size_t room)
{
	struct wr w = wr_over(ret_bytes, room);
	size_t body_n = (size_t)m->size - m->body_at, at = 0;
	char text[PLACE_TEXT_MAX];

	for (uint32_t i = 0; i < m->places_n; i++)
		if (to[i].addr.family != ADDR_NONE && m->place[i].at >= m->body_at)
			body_n += place_text(text, &m->place[i], &to[i]) - m->place[i].n;
	for (uint32_t i = 0; i < m->places_n; i++) {
		if (to[i].addr.family == ADDR_NONE)
			continue;
		copy_until(&w, m, bytes, &at, m->place[i].at, body_n);
		wr_bytes(&w, text, place_text(text, &m->place[i], &to[i]));
		at += m->place[i].n;
	}
	copy_until(&w, m, bytes, &at, m->size, body_n);
	return w.bad ? 0 : wr_len(&w);
}
