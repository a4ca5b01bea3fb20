#include "verify/capture.h"

#include "base/bytes.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <assert.h>
#include <stdlib.h>

enum { IP_UDP = 17, PORT_IKE = 500, PORT_NAT = 4500 };

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

/* One frame. RC_LIMIT: out of memory. */
static enum rc frame(struct capture *c, const struct pcapng_packet *p)
{
	struct rd r = rd_over(p->bytes, p->n);
	struct link_header h;

	c->frames++;
	link_header_take(p->link, &r, &h);
	enum rc rc = h.ip ? ip(c, &r) : RC_NOT_FOUND;
	c->other += rc != RC_OK;
	return rc == RC_LIMIT ? rc : RC_OK;
}

static enum rc packets_read(
	struct capture *c, struct pcapng_reader *r, const void *bytes, size_t n, struct err *e)
{
	struct pcapng_packet p;
	enum rc rc = pcapng_open(r, bytes, n, e);

	if (rc == RC_OK && !r->blocks_file && !link_header_known(r->link))
		return err_add(e, RC_UNSUPPORTED,
			"the capture's link type %u is not supported: expected Ethernet, Linux cooked, "
			"loopback or raw IP",
			r->link);
	while (rc == RC_OK && (rc = pcapng_next(r, &p, e)) == RC_OK)
		if (frame(c, &p) != RC_OK)
			return err_add(e, RC_LIMIT, "out of memory");
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc capture_read(struct capture *ret_capture, const void *bytes, size_t n, struct err *e)
{
	struct pcapng_reader *r = malloc(sizeof *r);
	struct capture *c = ret_capture;

	*c = (struct capture){ 0 };
	enum rc rc = r ? packets_read(c, r, bytes, n, e) : err_add(e, RC_LIMIT, "out of memory");
	free(r);
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
