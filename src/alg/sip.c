/* The parts of a SIP message: start line, header fields, and the places that tell addresses. */
#include "alg/internal.h"

enum sip_field {
	FIELD_OTHER,
	FIELD_VIA,
	FIELD_CONTACT,
	FIELD_ROUTE,
	FIELD_LENGTH,
	FIELD_TYPE,
	FIELD_EXPIRES,
	FIELD_CSEQ,
	FIELD_CALL
};

static const struct {
	const char *name;
	enum sip_field field;
} fields[] = {
	{ "via", FIELD_VIA },
	{ "v", FIELD_VIA },
	{ "contact", FIELD_CONTACT },
	{ "m", FIELD_CONTACT },
	{ "record-route", FIELD_ROUTE },
	{ "route", FIELD_ROUTE },
	{ "content-length", FIELD_LENGTH },
	{ "l", FIELD_LENGTH },
	{ "content-type", FIELD_TYPE },
	{ "c", FIELD_TYPE },
	{ "expires", FIELD_EXPIRES },
	{ "cseq", FIELD_CSEQ },
	{ "call-id", FIELD_CALL },
	{ "i", FIELD_CALL },
};

/* The name, with its colon and the blanks around; false: it is no header field. */
static bool field_name(struct rd *r, enum sip_field *ret_field)
{
	const uint8_t *at = r->at;

	while (rd_left(r) && text_peek(r) > ' ' && text_peek(r) < 127 && text_peek(r) != ':')
		rd_take(r, 1);
	size_t n = (size_t)(r->at - at);
	text_blanks(r);
	if (n == 0 || !text_skip(r, ':'))
		return false;
	text_blanks(r);
	*ret_field = FIELD_OTHER;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		struct rd name = rd_over(at, n);
		if (text_word(&name, fields[i].name) && rd_left(&name) == 0)
			*ret_field = fields[i].field;
	}
	return true;
}

/* "192.0.2.1:5060", "[2001:db8::1]". True with a place only if it is an address. */
static bool host_port(
	struct rd *r, const uint8_t *bytes, enum sip_place_kind kind, struct sip_place *ret_place)
{
	struct sip_place p = { .kind = kind, .has_addr = true, .at = (uint16_t)(r->at - bytes) };
	bool v6 = text_skip(r, '[');
	const uint8_t *host = r->at;

	while (rd_left(r)) {
		uint8_t c = text_lower(text_peek(r));
		if (!(text_is_digit(c) || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || (v6 && c == ':')))
			break;
		rd_take(r, 1);
	}
	bool is_addr =
		text_addr(&p.e.addr, host, (size_t)(r->at - host)) && (p.e.addr.family == ADDR_V6) == v6;
	if (v6 && !text_skip(r, ']'))
		return false;
	if (text_skip(r, ':')) {
		p.has_port = true;
		p.e.port = (uint16_t)text_number(r, UINT16_MAX);
	}
	p.n = (uint16_t)(r->at - bytes - p.at);
	*ret_place = p;
	/* Glued to something else it is no address. */
	bool ends = rd_left(r) == 0 || memchr(";,>? \t", text_peek(r), 6);
	return is_addr && ends && !r->bad;
}

/* SIP/2.0/UDP 192.0.2.1:5060;branch=…, several with commas between */
static bool via(struct sip_message *m, struct rd r, const uint8_t *bytes)
{
	struct sip_place p;

	do {
		text_blanks(&r);
		if (!text_word(&r, "sip/2.0/"))
			return false;
		while (text_lower(text_peek(&r)) >= 'a' && text_lower(text_peek(&r)) <= 'z')
			rd_take(&r, 1);
		text_blanks(&r);
		if (host_port(&r, bytes, SIP_VIA, &p) && !sip_place_add(m, p))
			return false;
		while (rd_left(&r) && text_peek(&r) != ',')
			rd_take(&r, 1);
	} while (text_skip(&r, ','));
	return !r.bad;
}

/* Past a quoted string, whose first quotation mark is taken. */
static void quoted_skip(struct rd *r)
{
	while (rd_left(r)) {
		uint8_t c = rd_u8(r);
		if (c == '"')
			return;
		if (c == '\\')
			rd_take(r, 1);
	}
}

/* ";expires=60" of a contact. Of several, which are one user's phones, the longest counts. */
static bool contact_expires(struct sip_message *m, struct rd *r)
{
	struct rd at = *r;

	if (!text_skip(&at, ';'))
		return false;
	text_blanks(&at);
	if (!text_word(&at, "expires"))
		return false;
	text_blanks(&at);
	if (!text_skip(&at, '='))
		return false;
	text_blanks(&at);
	uint32_t seconds = text_number(&at, UINT32_MAX);
	m->expires_s = m->contact_expires ? MAX_OF(m->expires_s, seconds) : seconds;
	m->has_expires = m->contact_expires = true;
	*r = at;
	return true;
}

/* Every <sip:user@192.0.2.1:5060;…> of the value. */
static bool uris(struct sip_message *m, struct rd r, const uint8_t *bytes, enum sip_place_kind kind)
{
	while (rd_left(&r)) {
		struct sip_place p;
		if (text_skip(&r, '"')) {
			quoted_skip(&r);
			continue;
		}
		if (kind == SIP_CONTACT && contact_expires(m, &r))
			continue;
		if (!text_word(&r, "sip:") && !text_word(&r, "sips:")) {
			rd_take(&r, 1);
			continue;
		}
		const uint8_t *end = r.at;
		for (const uint8_t *c = r.at; c < r.end && !memchr(">, \t\"", *c, 5); c++)
			if (*c == '@')
				end = c + 1;
		r.at = end;
		if (host_port(&r, bytes, kind, &p) && !sip_place_add(m, p))
			return false;
	}
	return !r.bad;
}

/* "INVITE ", and what it means */
static enum sip_method method_read(struct rd *r)
{
	static const struct {
		const char *word;
		enum sip_method method;
	} methods[] = { { "invite", SIP_INVITE }, { "register", SIP_REGISTER }, { "bye", SIP_BYE },
		{ "cancel", SIP_CANCEL } };
	const uint8_t *at = r->at;

	while (text_lower(text_peek(r)) >= 'a' && text_lower(text_peek(r)) <= 'z')
		rd_take(r, 1);
	size_t n = (size_t)(r->at - at);
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		struct rd word = rd_over(at, n);
		if (text_word(&word, methods[i].word) && rd_left(&word) == 0)
			return methods[i].method;
	}
	r->bad |= n == 0;
	return SIP_OTHER;
}

static bool number_field(struct rd *r, uint32_t max, uint32_t *ret)
{
	*ret = text_number(r, max);
	const uint8_t *end = r->at;
	text_blanks(r);
	bool ok = rd_end(r) == RC_OK;
	r->at = end;
	return ok;
}

static bool header_field(
	struct sip_message *m, enum sip_field f, struct rd r, const uint8_t *bytes, uint32_t *ret_length)
{
	uint32_t expires;

	switch (f) {
	case FIELD_VIA:
		return via(m, r, bytes);
	case FIELD_CONTACT:
		return uris(m, r, bytes, SIP_CONTACT);
	case FIELD_ROUTE:
		return uris(m, r, bytes, SIP_ROUTE);
	case FIELD_TYPE:
		m->has_sdp = text_word(&r, "application/sdp") &&
			     (rd_left(&r) == 0 || memchr("; \t", text_peek(&r), 3));
		return true;
	case FIELD_EXPIRES:
		if (!number_field(&r, UINT32_MAX, &expires))
			return false;
		m->expires_s = m->contact_expires ? m->expires_s : expires;
		m->has_expires = true;
		return true;
	case FIELD_LENGTH:
		if (m->length_n > 0)
			return false; /* twice: which one counts? */
		m->length_at = (uint16_t)(r.at - bytes);
		if (!number_field(&r, SIP_MESSAGE_MAX, ret_length))
			return false;
		m->length_n = (uint16_t)(r.at - bytes - m->length_at);
		return true;
	case FIELD_CSEQ:
		text_number(&r, UINT32_MAX);
		text_blanks(&r);
		m->answers = method_read(&r);
		return !r.bad;
	case FIELD_CALL:
		m->call_at = (uint16_t)(r.at - bytes);
		m->call_n = (uint16_t)rd_left(&r);
		return true;
	case FIELD_OTHER:
		break;
	}
	return true;
}

/* "INVITE sip:bob@example.com SIP/2.0" or "SIP/2.0 200 OK" */
static bool start_line(struct sip_message *m, struct rd r, const uint8_t *bytes)
{
	if (text_word(&r, "sip/2.0 ")) {
		m->method = SIP_RESPONSE;
		m->status = text_number(&r, 699);
		return !r.bad && m->status >= 100 && (rd_left(&r) == 0 || text_peek(&r) == ' ');
	}
	if (rd_left(&r) < 16 || memcmp(r.end - 8, " SIP/2.0", 8) != 0)
		return false;
	m->method = m->answers = method_read(&r);
	if (r.bad || !text_skip(&r, ' '))
		return false;
	r.end -= 8;
	struct rd scheme = r;
	return (text_word(&scheme, "sip:") || text_word(&scheme, "sips:") || text_word(&scheme, "tel:")) &&
	       uris(m, r, bytes, SIP_URI);
}

bool sip_parse(struct sip_message *ret_message, const uint8_t *bytes, size_t n)
{
	struct sip_message m = { .answers = SIP_OTHER, .size = (uint16_t)n };
	struct rd r = rd_over(bytes, n), line;
	uint32_t lines = 0, length = 0;
	bool header_ends = false;
	enum sip_field f;

	if (n > SIP_MESSAGE_MAX || !sip_line(&r, &line) || !start_line(&m, line, bytes))
		return false;
	while (sip_line(&r, &line) && !(header_ends = rd_left(&line) == 0)) {
		/* A field that goes on in the next line (RFC 3261 section 7.3.1) nobody sends. */
		if (++lines > SIP_LINES_MAX || !field_name(&line, &f) ||
			!header_field(&m, f, line, bytes, &length))
			return false;
	}
	if (!header_ends || lines == 0)
		return false;
	m.body_at = (uint16_t)(r.at - bytes);
	if (m.length_n > 0 && length != n - m.body_at)
		return false;
	m.has_sdp &= m.body_at < n;
	if (m.has_sdp && !sip_sdp_parse(&m, bytes))
		return false;
	*ret_message = m;
	return true;
}
