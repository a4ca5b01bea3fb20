/* Session descriptions (RFC 8866): the lines o=, c= and m=, and a=rtcp (RFC 3605). */
#include "alg/internal.h"

struct description {
	struct sip_message *m;
	const uint8_t *bytes;
	struct ip_addr session;	 /* of c= before the first m= */
	bool in_media, followed; /* followed: the present m= is one of UDP, and its port is its first place */
	uint32_t media_first;	 /* places of the present m= begin here */
};

/* Everything up to the next space, and the space. */
static struct rd word(struct rd *r)
{
	const uint8_t *at = r->at;

	while (rd_left(r) && text_peek(r) != ' ')
		rd_take(r, 1);
	struct rd w = rd_over(at, (size_t)(r->at - at));
	text_skip(r, ' ');
	return w;
}

/* "IN IP4 192.0.2.1" at the end of a line. False: it is not so; a name is no fault and no place. */
static bool address(struct description *d, struct rd *r, enum sip_place_kind kind, struct ip_addr *ret_addr)
{
	struct sip_place p = { .kind = kind, .has_addr = true };

	if (!text_word(r, "in ip") || (text_peek(r) != '4' && text_peek(r) != '6'))
		return false;
	uint8_t family = rd_u8(r) - '0';
	if (!text_skip(r, ' '))
		return false;
	p.at = (uint16_t)(r->at - d->bytes);
	p.n = (uint16_t)rd_left(r);
	*ret_addr = (struct ip_addr){ 0 };
	if (!text_addr(&p.e.addr, r->at, rd_left(r)))
		return memchr(r->at, ' ', rd_left(r)) == NULL;
	*ret_addr = p.e.addr;
	return p.e.addr.family == family && sip_place_add(d->m, p);
}

/* The media's address, for its ports that were read before it. */
static void media_addr(struct description *d, const struct ip_addr *a)
{
	for (uint32_t i = d->media_first; i < d->m->places_n; i++) {
		struct sip_place *p = &d->m->place[i];
		if (p->kind == SIP_MEDIA || p->kind == SIP_RTCP_PORT)
			p->e.addr = *a;
	}
}

/* m=audio 49170 RTP/AVP 0 */
static bool media(struct description *d, struct rd *r)
{
	struct sip_place p = { .kind = SIP_MEDIA, .has_port = true, .e.addr = d->session };

	d->in_media = true;
	d->media_first = d->m->places_n;
	word(r);
	p.at = (uint16_t)(r->at - d->bytes);
	p.e.port = (uint16_t)text_number(r, UINT16_MAX);
	p.n = (uint16_t)(r->at - d->bytes - p.at);
	if (r->bad || !text_skip(r, ' '))
		return false; /* several ports ("/2") have no meaning for unicast */
	d->followed = p.e.port != 0 && (text_word(r, "rtp/") || text_word(r, "udp"));
	return !d->followed || sip_place_add(d->m, p);
}

/* a=rtcp:53020 IN IP4 126.16.64.4 */
static bool rtcp(struct description *d, struct rd *r)
{
	struct sip_place p = { .kind = SIP_RTCP_PORT, .has_port = true };
	struct ip_addr own = { 0 };
	uint32_t at = d->m->places_n;

	if (!d->followed)
		return true;
	p.e.addr = d->m->place[d->media_first].e.addr;
	p.at = (uint16_t)(r->at - d->bytes);
	p.e.port = (uint16_t)text_number(r, UINT16_MAX);
	p.n = (uint16_t)(r->at - d->bytes - p.at);
	if (r->bad || !sip_place_add(d->m, p))
		return false;
	if (rd_left(r) == 0)
		return true;
	if (!text_skip(r, ' ') || !address(d, r, SIP_RTCP_ADDR, &own))
		return false;
	d->m->place[at].e.addr = own;
	return true;
}

static bool connection(struct description *d, struct rd *r)
{
	struct ip_addr a;

	if (!address(d, r, SIP_CONNECTION, &a))
		return false;
	if (d->in_media)
		media_addr(d, &a);
	else
		d->session = a;
	return true;
}

bool sip_sdp_parse(struct sip_message *m, const uint8_t *bytes)
{
	struct rd r = rd_over(bytes + m->body_at, (size_t)m->size - m->body_at), line;
	struct description d = { .m = m, .bytes = bytes };
	uint32_t lines = 0;

	while (sip_line(&r, &line)) {
		struct ip_addr origin;
		bool ok = ++lines <= SIP_LINES_MAX;
		if (text_word(&line, "o=")) {
			for (int i = 0; i < 3; i++) /* user, session, version */
				word(&line);
			ok &= address(&d, &line, SIP_ORIGIN, &origin);
		} else if (text_word(&line, "c=")) {
			ok &= connection(&d, &line);
		} else if (text_word(&line, "m=")) {
			ok &= media(&d, &line);
		} else if (text_word(&line, "a=rtcp:")) {
			ok &= rtcp(&d, &line);
		}
		if (!ok)
			return false;
	}
	return !r.bad;
}
