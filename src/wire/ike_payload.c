/*
 * Bodies of IKEv2 payloads: SA (RFC 7296 section 3.3), N (3.10), D (3.11), TS (3.13), ID (3.5). Each is
 * decoded into a bounded value, through sub-cursors, and must end where its length says.
 */
#include "wire/ike_codec.h"

enum { MORE_PROPOSALS = 2, MORE_TRANSFORMS = 3, ATTRIBUTE_KEY_LENGTH = 14, TS_IPV4 = 7, TS_IPV6 = 8 };

/* Attributes of a transform; only Key Length is defined (3.3.5). */
static enum rc read_attributes(struct ike_transform *t, bool *ret_unknown, struct rd r, struct err *e)
{
	while (!r.bad && rd_left(&r) > 0) {
		uint16_t head = rd_u16(&r);
		bool short_form = head & 0x8000;
		uint16_t value = rd_u16(&r);

		if (short_form && (head & 0x7fff) == ATTRIBUTE_KEY_LENGTH && t->key_bits == 0) {
			t->key_bits = value;
			continue;
		}
		*ret_unknown = true;
		if (!short_form)
			rd_take(&r, value);
	}
	return r.bad ? err_add(e, RC_TRUNCATED, "truncated transform attribute") : RC_OK;
}

static enum rc read_transform(
	struct ike_offer *o, struct ike_proposal *p, struct rd *r, bool last, struct err *e)
{
	struct ike_transform t = { 0 };
	uint8_t more = rd_u8(r);
	struct rd body;

	rd_u8(r); /* reserved */
	body = rd_block16(r, 4);
	t.type = rd_u8(&body);
	rd_u8(&body); /* reserved */
	t.id = rd_u16(&body);
	if (r->bad || body.bad)
		return err_add(e, RC_TRUNCATED, "truncated transform");
	if (more != (last ? 0 : MORE_TRANSFORMS))
		return err_add(
			e, RC_MALFORMED, "malformed transform: unexpected last-substructure field %u", more);
	if (read_attributes(&t, &p->unknown, body, e) != RC_OK)
		return RC_TRUNCATED;
	if (o->transforms_n == IKE_TRANSFORMS_MAX) {
		p->unknown = true;
		return RC_OK;
	}
	o->transforms[o->transforms_n++] = t;
	p->count++;
	return RC_OK;
}

static bool spi_size_fits(uint8_t protocol, uint8_t n)
{
	return protocol == IKE_PROTO_IKE			       ? n == 0 || n == 8
	       : protocol == IKE_PROTO_ESP || protocol == IKE_PROTO_AH ? n == 4
								       : n <= IKE_SPI_SIZE;
}

/* *number: of the proposal before this one, -1: none; becomes this one's. */
static enum rc read_proposal(struct ike_offer *o, int *number, struct rd *r, struct err *e)
{
	struct ike_proposal p = { .first = o->transforms_n };
	uint8_t more = rd_u8(r), count;
	struct rd body;
	enum rc rc = RC_OK;

	rd_u8(r); /* reserved */
	body = rd_block16(r, 4);
	p.number = rd_u8(&body);
	p.protocol = rd_u8(&body);
	p.spi_n = rd_u8(&body);
	count = rd_u8(&body);
	if (r->bad || body.bad)
		return err_add(e, RC_TRUNCATED, "truncated proposal");
	if (!spi_size_fits(p.protocol, p.spi_n))
		return err_add(e, RC_MALFORMED,
			"malformed proposal: an SPI of %u octets is not allowed for protocol %u", p.spi_n,
			p.protocol);
	if (!rd_copy(&body, p.spi, p.spi_n))
		return err_add(e, RC_TRUNCATED, "truncated SPI of a proposal");
	if (more != 0 && more != MORE_PROPOSALS)
		return err_add(
			e, RC_MALFORMED, "malformed proposal: unexpected last-substructure field %u", more);
	if ((more == 0) != (rd_left(r) == 0))
		return err_add(e, RC_MALFORMED, "malformed proposal: it is marked as %s, which it is not",
			more ? "not the last" : "the last");
	/* 3.3.1: "the first proposal in an SA payload MUST be #1, and subsequent proposals MUST be one more
	 * than the previous"; the one that an answer repeats keeps the number it had. */
	if (*number >= 0 && p.number != *number + 1)
		return err_add(e, RC_MALFORMED, "proposal number %u is out of order", p.number);
	*number = p.number;
	for (unsigned i = 1; rc == RC_OK && i <= count; i++)
		rc = read_transform(o, &p, &body, i == count, e);
	if (rc != RC_OK)
		return rc;
	if (count == 0 || rd_left(&body) > 0)
		return err_add(e, RC_MALFORMED,
			"malformed proposal: the number of transforms does not match its length");
	if (o->proposals_n < IKE_PROPOSALS_MAX)
		o->proposals[o->proposals_n++] = p;
	return RC_OK;
}

enum rc ike_offer_read(struct ike_offer *ret, const void *bytes, size_t n, struct err *e)
{
	struct rd r = rd_over(bytes, n);
	enum rc rc = RC_OK;
	int number = -1;

	memset(ret, 0, sizeof *ret);
	if (n == 0)
		return err_add(e, RC_TRUNCATED, "malformed SA payload: it has no proposal");
	while (rc == RC_OK && rd_left(&r) > 0)
		rc = read_proposal(ret, &number, &r, e);
	if (rc != RC_OK)
		memset(ret, 0, sizeof *ret);
	return rc;
}

enum rc ike_notify_read(struct ike_notify *ret, const void *bytes, size_t n, struct err *e)
{
	struct ike_notify v = { 0 };
	struct rd r = rd_over(bytes, n);

	memset(ret, 0, sizeof *ret);
	v.protocol = rd_u8(&r);
	v.spi.n = rd_u8(&r);
	v.type = rd_u16(&r);
	v.spi.at = rd_take(&r, v.spi.n);
	v.data.n = rd_left(&r);
	v.data.at = rd_take(&r, v.data.n);
	if (r.bad)
		return err_add(e, RC_TRUNCATED, "truncated notify");
	*ret = v;
	return RC_OK;
}

enum rc ike_delete_read(struct ike_delete *ret, const void *bytes, size_t n, struct err *e)
{
	struct ike_delete d = { 0 };
	struct rd r = rd_over(bytes, n);
	enum rc rc;

	memset(ret, 0, sizeof *ret);
	d.protocol = rd_u8(&r);
	d.spi_size = rd_u8(&r);
	d.spis_n = rd_u16(&r);
	if (r.bad)
		return err_add(e, RC_TRUNCATED, "truncated delete");
	/* 3.11: the SPI size "MUST be zero for IKE (SPI is in message header) or four for AH and ESP". */
	if (d.protocol == IKE_PROTO_IKE
			? d.spi_size != 0 || d.spis_n != 0
			: (d.protocol != IKE_PROTO_AH && d.protocol != IKE_PROTO_ESP) || d.spi_size != 4)
		return err_add(e, RC_MALFORMED,
			"malformed delete: SPIs of %u octets are not allowed for protocol %u", d.spi_size,
			d.protocol);
	d.spis = rd_take(&r, (size_t)d.spis_n * d.spi_size);
	rc = rd_end(&r);
	if (rc != RC_OK)
		return err_add(e, rc, "malformed delete: the number of SPIs does not match its length");
	if (d.spis_n == 0)
		d.spis = NULL;
	*ret = d;
	return RC_OK;
}

/* *ret_known is false for an unknown selector type, which matches nothing. */
static enum rc read_selector(struct selector *ret, bool *ret_known, struct rd *r, struct err *e)
{
	struct selector s = { 0 };
	uint8_t type = rd_u8(r);
	size_t address;
	const uint8_t *first, *last;
	struct rd body;

	s.proto = rd_u8(r);
	body = rd_block16(r, 4);
	if (r->bad)
		return err_add(e, RC_TRUNCATED, "truncated traffic selector");
	*ret_known = type == TS_IPV4 || type == TS_IPV6;
	if (!*ret_known)
		return RC_OK;
	address = type == TS_IPV4 ? 4 : 16;
	s.port_first = rd_u16(&body);
	s.port_last = rd_u16(&body);
	first = rd_take(&body, address);
	last = rd_take(&body, address);
	if (rd_end(&body) != RC_OK)
		return err_add(
			e, rd_end(&body), "malformed traffic selector: its length does not match its type");
	s.addrs.first = type == TS_IPV4 ? addr_v4(first) : addr_v6(first);
	s.addrs.last = type == TS_IPV4 ? addr_v4(last) : addr_v6(last);
	if (memcmp(first, last, address) > 0)
		return err_add(
			e, RC_MALFORMED, "malformed traffic selector: the first address is above the last");
	/* 3.13.1: OPAQUE is written as start 65535 and end 0. */
	if (s.port_first > s.port_last && !(s.port_first == 65535 && s.port_last == 0))
		return err_add(
			e, RC_MALFORMED, "malformed traffic selector: the first port is above the last");
	*ret = s;
	return RC_OK;
}

enum rc ike_selectors_read(struct ike_selectors *ret, const void *bytes, size_t n, struct err *e)
{
	struct rd r = rd_over(bytes, n);
	struct selector s;
	uint8_t count = rd_u8(&r);
	bool known = false;
	enum rc rc = RC_OK;

	memset(ret, 0, sizeof *ret);
	rd_take(&r, 3); /* reserved */
	if (r.bad)
		rc = err_add(e, RC_TRUNCATED, "truncated traffic selectors");
	else if (count == 0)
		rc = err_add(e, RC_MALFORMED, "malformed TS payload: it has no traffic selector");
	for (unsigned i = 0; rc == RC_OK && i < count; i++) {
		rc = read_selector(&s, &known, &r, e);
		if (rc == RC_OK && known && ret->n < IKE_SELECTORS_MAX)
			ret->list[ret->n++] = s;
	}
	if (rc == RC_OK && rd_end(&r) != RC_OK)
		rc = err_add(e, rd_end(&r),
			"malformed TS payload: the number of selectors does not match its length");
	if (rc != RC_OK)
		memset(ret, 0, sizeof *ret);
	return rc;
}

enum rc ike_id_check(const void *bytes, size_t n, struct err *e)
{
	struct rd r = rd_over(bytes, n);
	uint8_t type = rd_u8(&r);
	size_t data_n;

	rd_take(&r, 3); /* reserved */
	data_n = rd_left(&r);
	if (r.bad || data_n == 0)
		return err_add(e, RC_TRUNCATED, "malformed ID payload: it has no data");
	if ((type == 1 && data_n != 4) || (type == 5 && data_n != 16))
		return err_add(e, RC_MALFORMED, "malformed ID payload: an address of %zu octets", data_n);
	return RC_OK;
}

static bool is_host_name(const struct ike_view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		uint8_t c = v->at[i], lower = c | 0x20;

		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
			return false;
	}
	return v->n > 0;
}

enum rc ike_gateway_read(struct ike_gateway *ret, const struct ike_view *data, struct err *e)
{
	struct rd r = rd_over(data->at, data->n);
	struct ike_gateway g = { .type = rd_u8(&r) };

	*ret = (struct ike_gateway){ 0 };
	g.id.n = rd_u8(&r);
	g.id.at = rd_take(&r, g.id.n);
	g.nonce.n = rd_left(&r);
	g.nonce.at = rd_take(&r, g.nonce.n);
	if (r.bad)
		return err_add(e, RC_TRUNCATED,
			"malformed REDIRECT: the gateway's identity is longer than the notify");
	if (g.type < GATEWAY_IPV4 || g.type > GATEWAY_FQDN)
		return err_add(e, RC_UNSUPPORTED,
			"REDIRECT to a gateway identity of type %u: 1, 2 and 3 are supported", g.type);
	if (g.type != GATEWAY_FQDN ? g.id.n != (g.type == GATEWAY_IPV4 ? 4 : 16) : !is_host_name(&g.id))
		return err_add(e, RC_MALFORMED,
			"malformed REDIRECT: a gateway identity of type %u with %zu octets", g.type, g.id.n);
	*ret = g;
	return RC_OK;
}

size_t ike_gateway_write(uint8_t ret_data[IKE_GATEWAY_MAX], const struct ike_gateway *g)
{
	struct wr w = wr_over(ret_data, IKE_GATEWAY_MAX);

	wr_u8(&w, g->type);
	wr_u8(&w, (uint8_t)g->id.n);
	wr_bytes(&w, g->id.at, g->id.n);
	wr_bytes(&w, g->nonce.at, g->nonce.n);
	return g->id.n > UINT8_MAX || w.bad ? 0 : 2 + g->id.n + g->nonce.n;
}
