#include "dual_ec.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

/* P is the curve's base point. The maker of Q computed it as 1/d * P, for this d. */
static const char q_x[] = "c2a08cbb9c71556025991c19129f38013b5934e81af53c2e916b6dad5263e0aa";
static const char q_y[] = "f04ba26f72c235655d6fb716e28149c9e644b48a2249ff2c38971b0387ce64b3";
static const char listeners_d[] = "0cef06b512ab1c67213aa504f20da17dff09b4dc12cae7725ce2988779cfebf1";

static struct curve {
	EC_GROUP *group;
	EC_POINT *q, *point;
	BN_CTX *ctx;
	BIGNUM *x, *y, *d;
} c;

static void must(bool good)
{
	if (!good)
		abort();
}

static void curve_begin(void)
{
	if (c.group)
		return;
	c.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	c.ctx = BN_CTX_new();
	must(c.group && c.ctx);
	c.q = EC_POINT_new(c.group);
	c.point = EC_POINT_new(c.group);
	must(c.q && c.point && BN_hex2bn(&c.x, q_x) && BN_hex2bn(&c.y, q_y) && BN_hex2bn(&c.d, listeners_d));
	must(EC_POINT_set_affine_coordinates(c.group, c.q, c.x, c.y, c.ctx) == 1);
}

/* The x coordinate of k times the point; NULL: P. */
static void x_of(uint8_t ret[32], const uint8_t k[32], const EC_POINT *point)
{
	BIGNUM *number = BN_bin2bn(k, 32, NULL);

	must(number && EC_POINT_mul(c.group, c.point, point ? NULL : number, point, point ? number : NULL,
			       c.ctx) == 1);
	must(EC_POINT_get_affine_coordinates(c.group, c.point, c.x, NULL, c.ctx) == 1);
	must(BN_bn2binpad(c.x, ret, 32) == 32);
	BN_clear_free(number);
}

void dual_ec_begin(struct dual_ec *g, const uint8_t seed[32])
{
	curve_begin();
	x_of(g->state, seed, NULL);
}

void dual_ec_octets(struct dual_ec *g, void *ret, size_t n)
{
	uint8_t *to = ret, r[32];

	curve_begin();
	while (n > 0) {
		size_t part = n < DUAL_EC_BLOCK ? n : DUAL_EC_BLOCK;
		x_of(r, g->state, c.q);
		x_of(g->state, g->state, NULL);
		memcpy(to, r + 2, part);
		to += part;
		n -= part;
	}
}

size_t dual_ec_listen(const uint8_t *seen, size_t n, struct dual_ec *ret, size_t max)
{
	uint8_t x[32], again[DUAL_EC_BLOCK];
	struct dual_ec g, next;
	size_t found = 0, more = n - DUAL_EC_BLOCK;

	curve_begin();
	EC_POINT *r = EC_POINT_new(c.group);
	BIGNUM *number = BN_new();
	must(r && number && more <= DUAL_EC_BLOCK);
	memcpy(x + 2, seen, DUAL_EC_BLOCK);
	for (uint32_t guess = 0; guess < 1u << 16 && found < max; guess++) {
		x[0] = (uint8_t)(guess >> 8);
		x[1] = (uint8_t)guess;
		/* Either of the two points with this x will do: they differ only in sign. */
		if (!BN_bin2bn(x, 32, number) ||
			EC_POINT_set_compressed_coordinates(c.group, r, number, 0, c.ctx) != 1)
			continue;
		must(EC_POINT_mul(c.group, c.point, NULL, r, c.d, c.ctx) == 1);
		must(EC_POINT_get_affine_coordinates(c.group, c.point, number, NULL, c.ctx) == 1);
		must(BN_bn2binpad(number, g.state, 32) == 32);
		next = g;
		dual_ec_octets(&next, again, more);
		if (memcmp(again, seen + DUAL_EC_BLOCK, more) == 0)
			ret[found++] = g;
	}
	EC_POINT_free(r);
	BN_free(number);
	return found;
}
