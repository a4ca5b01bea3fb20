#include "verify/capture.h"

#include <stdlib.h>

enum { LINK_ETHERNET = 1, LINK_RAW = 101, LINK_COOKED = 113, LINK_COOKED_2 = 276 };
enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_VLAN = 0x8100, ETHER_VLAN_OUTER = 0x88a8 };
enum { IP_UDP = 17, PORT_IKE = 500, PORT_NAT = 4500 };

/* Numbers of the file's own headers, in its writer's byte order. */
struct order {
	bool swapped;
};

static uint32_t u32(struct rd *r, struct order o)
{
	uint32_t v = rd_u32(r);

	return o.swapped ? __builtin_bswap32(v) : v;
}

static bool same(const struct capture_init *a, const struct capture_init *b)
{
	return addr_equal(&a->from, &b->from) && a->response == b->response && a->nonce_n == b->nonce_n && a->group == b->group &&
	       a->ke_n == b->ke_n && memcmp(a->spi, b->spi, sizeof a->spi) == 0 &&
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

	memcpy(i.spi, i.response ? h->spi_r : h->spi_i, sizeof i.spi);
	memcpy(i.nonce, p->nonce.at, p->nonce.n);
	i.ke_n = p->ke.n <= sizeof i.ke ? (uint16_t)p->ke.n : 0;
	if (i.ke_n > 0)
		memcpy(i.ke, p->ke.at, i.ke_n);
	/* Repeated soon, or not at all: the last ones are looked at. */
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
	source = h + 8; /* and behind it, which lies in one piece */
	rd_take(r, 20);
	struct rd body = rd_sub(r, length);
	if (r->bad)
		return RC_NOT_FOUND;
	from = addr_v6(source);
	return udp(c, &from, &body);
}

static enum rc frame(struct capture *c, uint32_t link, struct rd *r)
{
	uint16_t type;

	switch (link) {
	case LINK_ETHERNET:
		rd_take(r, 12);
		for (type = rd_u16(r); type == ETHER_VLAN || type == ETHER_VLAN_OUTER; type = rd_u16(r))
			rd_u16(r);
		break;
	case LINK_COOKED:
		rd_take(r, 14);
		type = rd_u16(r);
		break;
	case LINK_COOKED_2:
		type = rd_u16(r);
		rd_take(r, 18);
		break;
	default:
		type = ETHER_IPV4;
	}
	return !r->bad && (type == ETHER_IPV4 || type == ETHER_IPV6) ? ip(c, r) : RC_NOT_FOUND;
}

static bool link_known(uint32_t link)
{
	return link == LINK_ETHERNET || link == LINK_RAW || link == LINK_COOKED || link == LINK_COOKED_2;
}

enum rc capture_read(struct capture *ret_capture, const void *bytes, size_t n, struct err *e)
{
	struct capture *c = ret_capture;
	struct rd r = rd_over(bytes, n);
	struct order o = { 0 };
	uint32_t magic = rd_u32(&r);

	*c = (struct capture){ 0 };
	o.swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1; /* microseconds, nanoseconds */
	if (!o.swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d)
		return err_add(e, RC_MALFORMED, "this is no capture of libpcap's classic format");
	rd_take(&r, 16); /* version, time zone, accuracy, length of frames */
	uint32_t link = u32(&r, o) & 0xffff;
	if (r.bad || !link_known(link))
		return err_add(
			e, r.bad ? RC_MALFORMED : RC_UNSUPPORTED, "a capture of a link of type %u", link);
	while (rd_left(&r) > 0) {
		rd_take(&r, 8); /* when */
		uint32_t captured = u32(&r, o);
		rd_u32(&r); /* its length on the wire: what is cut does not parse */
		struct rd f = rd_sub(&r, captured);
		if (r.bad)
			return err_add(e, RC_MALFORMED, "the capture breaks off in its frame %llu",
				(unsigned long long)c->frames + 1);
		c->frames++;
		enum rc rc = frame(c, link, &f);
		if (rc == RC_LIMIT)
			return err_add(e, rc, "no memory for the capture");
		c->other += rc != RC_OK;
	}
	if (c->n > 0)
		qsort(c->init, c->n, sizeof *c->init, by_spi);
	return RC_OK;
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
