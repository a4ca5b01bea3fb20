/* What the files of SIP share: sip.c uses sip_sdp.c. Nobody outside src/alg includes this. */
#ifndef ALG_INTERNAL_H
#define ALG_INTERNAL_H

#include "alg/sip.h"
#include "alg/text.h"

/* One more place, or false: too many. */
static inline bool sip_place_add(struct sip_message *m, struct sip_place p)
{
	if (m->places_n >= SIP_PLACES_MAX)
		return false;
	m->place[m->places_n++] = p;
	return true;
}

/* The next line without its CR LF; false: there is none. A lone LF, a lone CR or a zero makes r bad. */
static inline bool sip_line(struct rd *r, struct rd *ret_line)
{
	const uint8_t *lf = rd_left(r) ? memchr(r->at, '\n', rd_left(r)) : NULL;

	if (!lf || lf == r->at || lf[-1] != '\r') {
		r->bad |= rd_left(r) > 0;
		return false;
	}
	size_t n = (size_t)(lf - r->at) - 1;
	*ret_line = rd_sub(r, n);
	r->at += 2;
	if (memchr(ret_line->at, '\r', n) || memchr(ret_line->at, 0, n))
		r->bad = true;
	return !r->bad;
}

/* sip_sdp.c: the places of a session description, which is bytes[m->body_at..m->size). */
bool sip_sdp_parse(struct sip_message *m, const uint8_t *bytes);

#endif
