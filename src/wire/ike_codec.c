/*
 * IKEv2 messages: the header and the chain of payloads (RFC 7296 sections 3.1, 3.2, 2.5). The bodies are read
 * in ike_payload.c, the writer in ike_build.c, the texts in ike_text.c.
 *
 * Invariant: the chain is walked forward only, and each step takes at least the four octets of a payload
 * header; so it ends, whatever the lengths say.
 */
#include "wire/ike_codec.h"

enum rc ike_header_read(struct ike_header *ret_header, const void *bytes, size_t n, struct err *e)
{
	static const uint8_t none[IKE_SPI_SIZE];
	struct ike_header h = { 0 };
	struct rd r = rd_over(bytes, n);

	memset(ret_header, 0, sizeof *ret_header);
	rd_copy(&r, h.spi_i, IKE_SPI_SIZE);
	rd_copy(&r, h.spi_r, IKE_SPI_SIZE);
	h.next_payload = rd_u8(&r);
	h.version = rd_u8(&r);
	h.exchange = rd_u8(&r);
	h.flags = rd_u8(&r);
	h.message_id = rd_u32(&r);
	h.length = rd_u32(&r);
	if (r.bad)
		return err_add(e, RC_TRUNCATED, "truncated IKE header: %zu octets, at least %d are required",
			n, IKE_HEADER_SIZE);
	/* RFC 7296 1.5: only of INVALID_SPI outside an IKE SA "zero values or random values are both
	 * acceptable". */
	if (h.exchange != EX_INFORMATIONAL && memcmp(h.spi_i, none, IKE_SPI_SIZE) == 0)
		return err_add(e, RC_MALFORMED, "malformed IKE header: the initiator's SPI is zero");
	if (h.version >> 4 != 2) {
		*ret_header = h;
		return err_add(e, RC_UNSUPPORTED, "IKE version %u.%u is not supported", h.version >> 4,
			h.version & 15);
	}
	if (h.length != n)
		return err_add(e, RC_MALFORMED, "malformed IKE header: length %u in a message of %zu octets",
			h.length, n);
	*ret_header = h;
	return RC_OK;
}

_Static_assert(PL_PS - PL_SA < 32, "a bit of `present` for each type");

static bool payload_is_known(uint8_t type)
{
	return (type >= PL_SA && type <= PL_EAP) || type == PL_PS;
}

static bool payload_may_repeat(uint8_t type)
{
	switch (type) {
#define E(id, number, name, many)                                                                            \
	case PL_##id:                                                                                        \
		return many;
		IKE_PAYLOADS(E)
#undef E
	}
	return true;
}

static enum rc read_ke(struct ike_payloads *p, struct rd body, struct err *e)
{
	p->ke_group = rd_u16(&body);
	rd_u16(&body); /* reserved */
	p->ke.n = rd_left(&body);
	p->ke.at = rd_take(&body, p->ke.n);
	if (body.bad || p->ke.n == 0)
		return err_add(e, RC_TRUNCATED, "malformed KE payload: it has no key exchange data");
	return RC_OK;
}

static enum rc read_auth(struct ike_payloads *p, struct rd body, struct err *e)
{
	p->auth_method = rd_u8(&body);
	rd_take(&body, 3); /* reserved */
	p->auth.n = rd_left(&body);
	p->auth.at = rd_take(&body, p->auth.n);
	if (body.bad || p->auth.n == 0)
		return err_add(e, RC_TRUNCATED, "malformed AUTH payload: it has no data");
	return RC_OK;
}

static enum rc read_nonce(struct ike_payloads *p, const struct ike_view *body, struct err *e)
{
	if (body->n < IKE_NONCE_MIN || body->n > IKE_NONCE_MAX)
		return err_add(e, RC_RANGE, "nonce of %zu octets: %d to %d are allowed", body->n,
			IKE_NONCE_MIN, IKE_NONCE_MAX);
	p->nonce = *body;
	return RC_OK;
}

static enum rc read_id(struct ike_view *ret_id, const struct ike_view *body, struct err *e)
{
	enum rc rc = ike_id_check(body->at, body->n, e);

	if (rc == RC_OK)
		*ret_id = *body;
	return rc;
}

static enum rc read_notify(struct ike_payloads *p, const struct ike_view *body, struct err *e)
{
	struct ike_notify v;
	enum rc rc = ike_notify_read(&v, body->at, body->n, e);
	bool error = v.type < NTF_FIRST_STATUS;

	/* An error is stored however many status notifies came before it. */
	if (rc == RC_OK && (error || ike_notify_name(v.type)) &&
		p->notifies_n < IKE_NOTIFIES_MAX - (error ? 0 : 1))
		p->notifies[p->notifies_n++] = v;
	return rc;
}

/* Only its syntax: whoever acts on it walks the chain again. */
static enum rc read_delete(const struct ike_view *body, struct err *e)
{
	struct ike_delete d;

	return ike_delete_read(&d, body->at, body->n, e);
}

/* RFC 8019 section 8.2: "This field MUST NOT be empty", and it has four keys of the same size. */
static enum rc read_solution(struct ike_payloads *p, const struct ike_view *body, struct err *e)
{
	if (body->n == 0 || body->n % PUZZLE_KEYS != 0)
		return err_add(e, RC_MALFORMED,
			"malformed PS payload: %zu octets, expected %d keys of the same size", body->n,
			PUZZLE_KEYS);
	p->solution = *body;
	return RC_OK;
}

static enum rc read_body(struct ike_payloads *p, uint8_t type, const struct ike_view *body, struct err *e)
{
	switch (type) {
	case PL_SA:
		return ike_offer_read(&p->sa, body->at, body->n, e);
	case PL_KE:
		return read_ke(p, rd_over(body->at, body->n), e);
	case PL_IDI:
		return read_id(&p->idi, body, e);
	case PL_IDR:
		return read_id(&p->idr, body, e);
	case PL_AUTH:
		return read_auth(p, rd_over(body->at, body->n), e);
	case PL_NONCE:
		return read_nonce(p, body, e);
	case PL_NOTIFY:
		return read_notify(p, body, e);
	case PL_DELETE:
		return read_delete(body, e);
	case PL_TSI:
		return ike_selectors_read(&p->tsi, body->at, body->n, e);
	case PL_TSR:
		return ike_selectors_read(&p->tsr, body->at, body->n, e);
	case PL_PS:
		return read_solution(p, body, e);
	case PL_VENDOR:
		if (p->vendors_n < IKE_VENDORS_MAX)
			p->vendors[p->vendors_n++] = *body;
		return RC_OK;
	default:
		return RC_OK; /* CERT, CERTREQ, CP, EAP: known, and not used here */
	}
}

/* One payload whose header is at the reader; *type becomes the next one's. */
static enum rc read_payload(struct ike_payloads *p, struct rd *r, uint8_t *type, const uint8_t *start,
	bool encrypted, struct err *e)
{
	uint8_t this = *type, next = rd_u8(r), flags = rd_u8(r);
	struct rd block = rd_block16(r, IKE_PAYLOAD_HEADER_SIZE);
	struct ike_view body = { block.at, rd_left(&block) };
	const char *name = ike_payload_name(this);
	enum rc rc;

	if (r->bad)
		return err_add(e, RC_TRUNCATED, "payload of type %u: its length exceeds the message", this);
	*type = next;
	if (this == PL_SKF || this < PL_SA) /* a part is no payload among others; the old protocol's types
					     * (CVE-2015-3991) */
		return err_add(e, RC_MALFORMED, "payload type %u is not allowed in an IKEv2 message", this);
	if (!payload_is_known(this)) {
		/* RFC 7296 2.5: "If the critical flag is set and the payload type is unrecognized, the
		 * message MUST be rejected"; not critical: "MUST be skipped". */
		if (!(flags & 0x80))
			return RC_OK;
		p->critical_unknown = this;
		return err_add(e, RC_UNSUPPORTED, "unsupported critical payload of type %u", this);
	}
	if (this == PL_SK && encrypted)
		return err_add(e, RC_MALFORMED, "malformed SK payload: it contains another SK payload");
	if ((p->present >> (this - PL_SA) & 1) && !payload_may_repeat(this))
		return err_add(e, RC_MALFORMED, "payload %s occurs more than once", name ? name : "?");
	p->present |= 1u << (this - PL_SA);
	rc = read_body(p, this, &body, e);
	if (rc != RC_OK)
		return err_add(e, rc, "in payload %s", name ? name : "?");
	if (this == PL_SK) {
		p->sk = body;
		p->sk_first = next;
		p->sk_header_n = (size_t)(body.at - start);
		*type = PL_NO_NEXT; /* its next payload field names the first one inside */
	}
	return RC_OK;
}

enum rc ike_fragment_read(struct ike_fragment *ret, const void *bytes, size_t n, struct err *e)
{
	struct ike_fragment f = { 0 };
	struct rd r = rd_over(bytes, n), body;

	memset(ret, 0, sizeof *ret);
	rd_take(&r, IKE_HEADER_SIZE);
	f.first = rd_u8(&r);
	rd_u8(&r); /* critical bit: of a type that is known (RFC 7296 3.2) */
	body = rd_block16(&r, IKE_PAYLOAD_HEADER_SIZE);
	f.number = rd_u16(&body);
	f.total = rd_u16(&body);
	f.sk.n = rd_left(&body);
	f.sk.at = rd_take(&body, f.sk.n);
	if (r.bad || body.bad)
		return err_add(e, RC_TRUNCATED,
			"truncated SKF payload: its length exceeds the message, or it is "
			"shorter than its header (CVE-2016-1287)");
	if (rd_left(&r) > 0)
		return err_add(e, RC_TRAILING,
			"SKF payload: %zu octets follow it, and it must be the last payload", rd_left(&r));
	if (f.number == 0 || f.number > f.total)
		return err_add(e, RC_MALFORMED, "malformed SKF payload: part %u of %u", f.number, f.total);
	if (f.number > 1 && f.first != PL_NO_NEXT)
		return err_add(e, RC_MALFORMED,
			"malformed SKF payload: part %u names a first payload of type %u, which is for part 1",
			f.number, f.first);
	*ret = f;
	return RC_OK;
}

enum rc ike_payloads_read(
	struct ike_payloads *ret, uint8_t first, const void *bytes, size_t n, bool encrypted, struct err *e)
{
	struct rd r = rd_over(bytes, n);
	const uint8_t *start = r.at;
	uint8_t type = first, critical;
	enum rc rc = RC_OK;

	memset(ret, 0, sizeof *ret);
	ret->chain_first = first;
	ret->chain = (struct ike_view){ start, n };
	while (rc == RC_OK && type != PL_NO_NEXT)
		rc = read_payload(ret, &r, &type, start, encrypted, e);
	if (rc == RC_OK && rd_end(&r) != RC_OK)
		rc = err_add(e, rd_end(&r), "%zu octets are left after the last payload", rd_left(&r));
	if (rc != RC_OK) {
		critical = ret->critical_unknown;
		memset(ret, 0, sizeof *ret);
		ret->critical_unknown = critical;
	}
	return rc;
}

struct ike_walk ike_walk_over(const struct ike_payloads *p)
{
	return (struct ike_walk){ rd_over(p->chain.at, p->chain.n), p->chain_first };
}

/* The body of the next payload of that type. */
static bool walk_to(struct ike_walk *at, uint8_t type, struct rd *ret_body)
{
	while (at->type != PL_NO_NEXT) {
		uint8_t this = at->type, next = rd_u8(&at->rest);

		rd_u8(&at->rest); /* flags */
		*ret_body = rd_block16(&at->rest, IKE_PAYLOAD_HEADER_SIZE);
		/* SK is the last one: its next payload field names the first one inside. */
		at->type = at->rest.bad || this == PL_SK ? PL_NO_NEXT : next;
		if (!at->rest.bad && this == type)
			return true;
	}
	return false;
}

bool ike_delete_next(struct ike_walk *at, struct ike_delete *ret)
{
	struct rd body;

	return walk_to(at, PL_DELETE, &body) && ike_delete_read(ret, body.at, rd_left(&body), NULL) == RC_OK;
}

bool ike_cert_next(struct ike_walk *at, uint8_t *ret_encoding, struct ike_view *ret_certificate)
{
	struct rd body;

	if (!walk_to(at, PL_CERT, &body))
		return false;
	*ret_encoding = rd_u8(&body); /* of an empty one: 0, which is reserved */
	*ret_certificate = (struct ike_view){ body.at, rd_left(&body) };
	return true;
}

const struct ike_notify *ike_notify_find(const struct ike_payloads *p, uint16_t type)
{
	for (unsigned i = 0; i < p->notifies_n; i++)
		if (p->notifies[i].type == type)
			return &p->notifies[i];
	return NULL;
}

const struct ike_notify *ike_notify_error(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->notifies_n; i++)
		if (p->notifies[i].type < NTF_FIRST_STATUS)
			return &p->notifies[i];
	return NULL;
}
