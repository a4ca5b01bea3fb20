/* Requests of TFTP. */
#include "alg/tftp.h"
#include "alg/limits.h"
#include "alg/text.h"

enum { TFTP_RRQ = 1, TFTP_WRQ = 2, TFTP_UDP = 17 };

/* Takes a string and its zero; its length, 0 for none. */
static size_t string_take(struct rd *r, const uint8_t **ret_at)
{
	const uint8_t *zero = rd_left(r) ? memchr(r->at, 0, rd_left(r)) : NULL;

	*ret_at = r->at;
	if (!zero) {
		r->bad = true;
		return 0;
	}
	size_t n = (size_t)(zero - r->at);
	rd_take(r, n + 1);
	return n;
}

static bool is_mode(const uint8_t *at, size_t n)
{
	static const char *const modes[] = { "netascii", "octet", "mail" };

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		struct rd r = rd_over(at, n);
		if (text_word(&r, modes[i]) && rd_left(&r) == 0)
			return true;
	}
	return false;
}

static bool is_request(const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);
	uint16_t code = rd_u16(&r);
	const uint8_t *at;

	if (n > TFTP_REQUEST_MAX || (code != TFTP_RRQ && code != TFTP_WRQ))
		return false;
	if (string_take(&r, &at) == 0)
		return false;
	size_t mode_n = string_take(&r, &at);
	if (r.bad || !is_mode(at, mode_n))
		return false;
	/* options: a name and a value each (RFC 2347) */
	while (rd_left(&r) > 0) {
		if (string_take(&r, &at) == 0)
			return false;
		string_take(&r, &at);
	}
	return rd_end(&r) == RC_OK;
}

enum alg_verdict tftp_datagram(const uint8_t *bytes, size_t n, const struct endpoint *client,
	const struct ip_addr *server, struct expectation *ret_expectation)
{
	if (!is_request(bytes, n))
		return ALG_PASS;
	if (client->port < ALG_PORT_MIN)
		return ALG_REFUSE;
	*ret_expectation = (struct expectation){ .src = *server,
		.dst = client->addr,
		.dst_port = client->port,
		.proto = TFTP_UDP,
		.alg = EXPECTATION_TFTP,
		.from = 1,
		.lifetime_s = TFTP_LIFETIME_S };
	return ALG_EXPECT;
}
