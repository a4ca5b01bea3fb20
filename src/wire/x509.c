#include "wire/x509.h"

enum { SEQUENCE = 0x30, INTEGER = 0x02, VERSION = 0xa0, LENGTH_LONG = 0x80 };

/* The content of the next element; *ret_whole begins at its tag. Lengths of up to three octets, definite and shortest, as DER has them. */
static struct rd element(struct rd *r, uint8_t tag, const uint8_t **ret_whole)
{
	size_t n, octets;
	struct rd content;

	*ret_whole = r->at;
	if (rd_u8(r) != tag)
		r->bad = true;
	n = rd_u8(r);
	if (n & LENGTH_LONG) {
		octets = n & 0x7f;
		r->bad |= octets < 1 || octets > 3;
		n = 0;
		for (size_t i = 0; i < octets && !r->bad; i++) {
			n = n << 8 | rd_u8(r);
			r->bad |= n == 0;
		}
		r->bad |= n < LENGTH_LONG;
	}
	content = rd_sub(r, n);
	return content;
}

bool x509_public_key(const void *der, size_t n, const uint8_t **ret_spki, size_t *ret_n)
{
	struct rd r = rd_over(der, n);
	const uint8_t *at;
	struct rd certificate = element(&r, SEQUENCE, &at), tbs = element(&certificate, SEQUENCE, &at);

	if (tbs.at < tbs.end && *tbs.at == VERSION)
		element(&tbs, VERSION, &at);
	element(&tbs, INTEGER, &at); /* serialNumber */
	for (int i = 0; i < 4; i++)
		element(&tbs, SEQUENCE, &at); /* signature, issuer, validity, subject */
	element(&tbs, SEQUENCE, &at);
	if (r.bad || certificate.bad || tbs.bad || rd_left(&r) > 0)
		return false;
	*ret_spki = at;
	*ret_n = (size_t)(tbs.at - at);
	return true;
}
