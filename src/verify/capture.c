#include "verify/capture.h"

#include "base/bytes.h"
#include "verify/limits.h"

#include <assert.h>
#include <stdlib.h>

/* Where the packet is in a frame, by the link's type (tcpdump.org, LINKTYPE_…). */
enum link_form { FORM_ETHERNET, FORM_COOKED, FORM_COOKED_2, FORM_FAMILY, FORM_IP };
static const struct {
	uint32_t type;
	enum link_form form;
} links[] = {
	{ 0, FORM_FAMILY },    /* NULL: the address family, in the order of who captured */
	{ 1, FORM_ETHERNET },  /* with or without VLAN tags */
	{ 12, FORM_IP },       /* RAW, as some systems write it */
	{ 14, FORM_IP },       /* the same */
	{ 101, FORM_IP },      /* RAW */
	{ 108, FORM_FAMILY },  /* LOOP: the address family, in the network's order */
	{ 113, FORM_COOKED },  /* LINUX_SLL */
	{ 228, FORM_IP },      /* IPV4 */
	{ 229, FORM_IP },      /* IPV6 */
	{ 276, FORM_COOKED_2 } /* LINUX_SLL2 */
};
enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_VLAN = 0x8100, ETHER_VLAN_OUTER = 0x88a8 };
enum { IP_UDP = 17, PORT_IKE = 500, PORT_NAT = 4500 };

/* Numbers of the file's own headers, in its writer's byte order. */
struct byte_order {
	bool swapped;
};

static uint32_t u32(struct rd *r, struct byte_order o)
{
	uint32_t v = rd_u32(r);

	return o.swapped ? __builtin_bswap32(v) : v;
}

static uint16_t u16(struct rd *r, struct byte_order o)
{
	uint16_t v = rd_u16(r);

	return o.swapped ? __builtin_bswap16(v) : v;
}

static bool same(const struct capture_init *a, const struct capture_init *b)
{
	return addr_equal(&a->from, &b->from) && a->response == b->response && a->nonce_n == b->nonce_n &&
	       a->group == b->group && a->ke_n == b->ke_n && memcmp(a->spi, b->spi, sizeof a->spi) == 0 &&
	       memcmp(a->nonce, b->nonce, a->nonce_n) == 0 && memcmp(a->ke, b->ke, a->ke_n) == 0;
}

static int by_spi(const void *a, const void *b)
{
	const struct capture_init *x = a, *y = b;
	int order = memcmp(x->spi, y->spi, sizeof x->spi);

	return order ? order : (int)x->response - (int)y->response;
}

static enum rc init_add(struct capture *c, const struct ip_addr *from, const struct ike_header *h,
	const struct ike_payloads *p)
{
	struct capture_init i = { .response = h->flags & IKE_FLAG_RESPONSE,
		.from = *from,
		.frame = c->frames,
		.nonce_n = (uint16_t)p->nonce.n,
		.group = p->ke_group };

	assert(p->nonce.n > 0 && p->nonce.n <= sizeof i.nonce);
	memcpy(i.spi, i.response ? h->spi_r : h->spi_i, sizeof i.spi);
	memcpy(i.nonce, p->nonce.at, p->nonce.n);
	i.ke_n = p->ke.n <= sizeof i.ke ? (uint16_t)p->ke.n : 0;
	if (i.ke_n > 0)
		memcpy(i.ke, p->ke.at, i.ke_n);
	/* A retransmission comes soon or not at all: only the last ones are compared. */
	for (size_t k = c->n; k > 0 && c->n - k < 64; k--)
		if (same(&c->init[k - 1], &i))
			return RC_OK;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct capture_init *more = realloc(c->init, room * sizeof *more);
		if (!more)
			return RC_LIMIT;
		c->init = more;
		c->room = room;
	}
	c->init[c->n++] = i;
	return RC_OK;
}

/* A message of IKE; only those of IKE_SA_INIT with a nonce are kept. RC_NOT_FOUND: another one. */
static enum rc message(struct capture *c, const struct ip_addr *source, struct rd *r)
{
	size_t n = rd_left(r);
	const uint8_t *bytes = rd_take(r, n);
	struct ike_payloads p;
	struct ike_header h;

	if (!bytes || ike_header_read(&h, bytes, n, NULL) != RC_OK || h.exchange != EX_IKE_SA_INIT ||
		ike_payloads_read(&p, h.next_payload, bytes + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, false,
			NULL) != RC_OK ||
		p.nonce.n == 0 || p.nonce.n > IKE_NONCE_MAX)
		return RC_NOT_FOUND;
	return init_add(c, source, &h, &p);
}

static enum rc udp(struct capture *c, const struct ip_addr *source, struct rd *r)
{
	uint16_t from = rd_u16(r), to = rd_u16(r), length = rd_u16(r);

	rd_u16(r); /* the sum: often left to the card, and not made yet when it was captured */
	if (r->bad || length < 8 || (size_t)length - 8 > rd_left(r))
		return RC_NOT_FOUND;
	struct rd body = rd_sub(r, (size_t)length - 8);
	if (from == PORT_NAT || to == PORT_NAT)
		return rd_u32(&body) == 0 ? message(c, source, &body) : RC_NOT_FOUND;
	return from == PORT_IKE || to == PORT_IKE ? message(c, source, &body) : RC_NOT_FOUND;
}

static enum rc ip(struct capture *c, struct rd *r)
{
	const uint8_t *h = rd_take(r, 20), *source;
	struct ip_addr from;

	if (!h)
		return RC_NOT_FOUND;
	if (h[0] >> 4 == 4) {
		size_t head = (size_t)(h[0] & 15) * 4, total = load_be16(h + 2);
		bool fragment = (load_be16(h + 6) & 0x3fff) != 0;
		if (head < 20 || total < head || fragment || h[9] != IP_UDP)
			return RC_NOT_FOUND;
		rd_take(r, head - 20);
		struct rd body = rd_sub(r, total - head);
		from = addr_v4(h + 12);
		return udp(c, &from, &body);
	}
	size_t length = load_be16(h + 4);
	if (h[0] >> 4 != 6 || h[6] != IP_UDP)
		return RC_NOT_FOUND;
	source = h + 8; /* and what follows: the header is contiguous */
	rd_take(r, 20);
	struct rd body = rd_sub(r, length);
	if (r->bad)
		return RC_NOT_FOUND;
	from = addr_v6(source);
	return udp(c, &from, &body);
}

static bool link_known(uint32_t type, enum link_form *ret_form)
{
	for (size_t i = 0; i < COUNT_OF(links); i++)
		if (links[i].type == type) {
			*ret_form = links[i].form;
			return true;
		}
	return false;
}

/* IPv4 is 2 everywhere, IPv6 10 with Linux, 24, 28 or 30 elsewhere. */
static bool family_known(uint32_t family)
{
	return family == 2 || family == 10 || family == 24 || family == 28 || family == 30;
}

/* Takes the link's header. False: no IP packet follows it. */
static bool link_take(enum link_form form, struct rd *r)
{
	uint32_t family;
	uint16_t type = ETHER_IPV4;

	switch (form) {
	case FORM_ETHERNET:
		rd_take(r, 12);
		for (type = rd_u16(r); type == ETHER_VLAN || type == ETHER_VLAN_OUTER; type = rd_u16(r))
			rd_u16(r);
		break;
	case FORM_COOKED:
		rd_take(r, 14);
		type = rd_u16(r);
		break;
	case FORM_COOKED_2:
		type = rd_u16(r);
		rd_take(r, 18);
		break;
	case FORM_FAMILY:
		family = rd_u32(r);
		return !r->bad && (family_known(family) || family_known(__builtin_bswap32(family)));
	case FORM_IP:
		break;
	}
	return !r->bad && (type == ETHER_IPV4 || type == ETHER_IPV6);
}

/* One frame of a link of this type. RC_LIMIT: out of memory. */
static enum rc frame(struct capture *c, uint32_t link, struct rd *r)
{
	enum link_form form;

	c->frames++;
	enum rc rc = link_known(link, &form) && link_take(form, r) ? ip(c, r) : RC_NOT_FOUND;
	c->other += rc != RC_OK;
	return rc == RC_LIMIT ? rc : RC_OK;
}

/* ---- libpcap's classic format ---- */

static enum rc classic_read(struct capture *c, struct rd r, struct byte_order o, struct err *e)
{
	enum link_form form;

	rd_take(&r, 20); /* magic, version, time zone, accuracy, length of frames */
	uint32_t link = u32(&r, o) & 0xffff;
	if (r.bad)
		return err_add(e, RC_MALFORMED, "the capture is truncated in its file header");
	if (!link_known(link, &form))
		return err_add(e, RC_UNSUPPORTED,
			"the capture's link type %u is not supported: expected Ethernet, Linux cooked, "
			"loopback or raw IP",
			link);
	while (rd_left(&r) > 0) {
		rd_take(&r, 8); /* when */
		uint32_t captured = u32(&r, o);
		rd_u32(&r); /* its length on the wire: what is cut does not parse */
		struct rd f = rd_sub(&r, captured);
		if (r.bad)
			return err_add(e, RC_MALFORMED, "the capture is truncated in frame %llu",
				(unsigned long long)c->frames + 1);
		if (frame(c, link, &f) != RC_OK)
			return err_add(e, RC_LIMIT, "out of memory");
	}
	return RC_OK;
}

/* ---- pcapng (draft-ietf-opsawg-pcapng) ---- */

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE = 3,
	BLOCK_ENHANCED = 6,
};

/* One section: its byte order, and the link's type and frame length of each of its interfaces. */
struct section {
	struct byte_order order;
	bool any;
	size_t interfaces_n;
	struct interface {
		uint32_t link, snap;
	} interface[VERIFY_INTERFACES_MAX];
};

/* The section's own octets tell their order: taken before the block's length is read by it. */
static bool section_begin(struct section *s, struct rd body)
{
	uint32_t magic = rd_u32(&body);

	*s = (struct section){ .order.swapped = magic == 0x4d3c2b1a, .any = true };
	uint16_t major = u16(&body, s->order);
	rd_take(&body, 10); /* minor, and the section's length, which may be unknown */
	return !body.bad && (magic == 0x1a2b3c4d || magic == 0x4d3c2b1a) && major == 1;
}

static bool interface_take(struct section *s, struct rd *body)
{
	uint32_t link = u16(body, s->order);
	rd_u16(body); /* of no meaning */
	uint32_t snap = u32(body, s->order);

	if (body->bad || s->interfaces_n == VERIFY_INTERFACES_MAX)
		return false;
	s->interface[s->interfaces_n++] = (struct interface){ link, snap };
	return true;
}

/* RC_OK, RC_MALFORMED; RC_LIMIT: out of memory. */
static enum rc packet_take(struct capture *c, const struct section *s, uint32_t type, struct rd *body)
{
	uint32_t interface = 0, captured = 0, wire;

	if (type == BLOCK_PACKET) {
		interface = u16(body, s->order);
		rd_u16(body); /* how many were lost */
	} else if (type == BLOCK_ENHANCED) {
		interface = u32(body, s->order);
	}
	if (type != BLOCK_SIMPLE) {
		rd_take(body, 8); /* when */
		captured = u32(body, s->order);
		rd_u32(body);
	}
	if (body->bad || interface >= s->interfaces_n)
		return RC_MALFORMED;
	if (type == BLOCK_SIMPLE) {
		uint32_t snap = s->interface[0].snap;
		wire = u32(body, s->order);
		captured = snap > 0 && wire > snap ? snap : wire;
	}
	struct rd f = rd_sub(body, captured);
	return body->bad ? RC_MALFORMED : frame(c, s->interface[interface].link, &f);
}

static enum rc block_take(struct capture *c, struct section *s, uint32_t type, struct rd *body)
{
	switch (type) {
	case BLOCK_INTERFACE:
		return interface_take(s, body) ? RC_OK : RC_MALFORMED;
	case BLOCK_PACKET:
	case BLOCK_SIMPLE:
	case BLOCK_ENHANCED:
		return packet_take(c, s, type, body);
	default:
		return RC_OK; /* names, statistics, what others have added */
	}
}

static enum rc blocks_read(struct capture *c, struct section *s, struct rd r, struct err *e)
{
	for (size_t count = 1; rd_left(&r) > 0; count++) {
		struct rd ahead = r;
		uint32_t raw = rd_u32(&r);
		if (raw == BLOCK_SECTION) { /* the same in either order */
			rd_take(&ahead, 8);
			s->any = section_begin(s, ahead);
		}
		uint32_t type = s->order.swapped ? __builtin_bswap32(raw) : raw, n = u32(&r, s->order);
		/* Length, body, length again, in words of four octets. */
		struct rd body = rd_sub(&r, n >= 12 && n % 4 == 0 ? n - 12 : SIZE_MAX);
		if (!s->any || r.bad || u32(&r, s->order) != n || r.bad)
			return err_add(
				e, RC_MALFORMED, "the capture is truncated or malformed in block %zu", count);
		enum rc rc = raw == BLOCK_SECTION ? RC_OK : block_take(c, s, type, &body);
		if (rc != RC_OK)
			return err_add(e, rc,
				rc == RC_LIMIT ? "out of memory" : "the capture's block %zu is malformed",
				count);
	}
	return RC_OK;
}

static enum rc pcapng_read(struct capture *c, struct rd r, struct err *e)
{
	struct section *s = calloc(1, sizeof *s);

	if (!s)
		return err_add(e, RC_LIMIT, "out of memory");
	enum rc rc = blocks_read(c, s, r, e);
	free(s);
	return rc;
}

enum rc capture_read(struct capture *ret_capture, const void *bytes, size_t n, struct err *e)
{
	struct rd r = rd_over(bytes, n), ahead = r;
	struct capture *c = ret_capture;
	struct byte_order o = { 0 };
	uint32_t magic = rd_u32(&ahead);

	*c = (struct capture){ 0 };
	o.swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1; /* microseconds, nanoseconds */
	enum rc rc =
		magic == BLOCK_SECTION ? pcapng_read(c, r, e)
		: o.swapped || magic == 0xa1b2c3d4 || magic == 0xa1b23c4d
			? classic_read(c, r, o, e)
			: err_add(e, RC_MALFORMED,
				  "the file is not a capture: expected pcapng or libpcap's classic format");
	if (c->n > 0)
		qsort(c->init, c->n, sizeof *c->init, by_spi);
	return rc;
}

void capture_done(struct capture *c)
{
	free(c->init);
	*c = (struct capture){ 0 };
}

struct capture_init *capture_find(
	struct capture *c, const uint8_t spi[IKE_SPI_SIZE], bool response, size_t *from)
{
	struct capture_init wanted = { .response = response };
	size_t low = *from, high = c->n;

	memcpy(wanted.spi, spi, sizeof wanted.spi);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (by_spi(&c->init[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == c->n || by_spi(&c->init[low], &wanted) != 0)
		return NULL;
	*from = low + 1;
	return &c->init[low];
}
