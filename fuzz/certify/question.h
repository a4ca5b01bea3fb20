/*
 * A question for the engines from an input: number of anchors, kind of identity, role, revocation (an octet each), the time (four
 * octets, since 1970), then records of a 16-bit length and octets: the identity, the anchors, the bag; records of CRLs have the
 * highest bit of their length set. tests/unit/certify/test_limbo.c writes it.
 */
#ifndef FUZZ_CERTIFY_QUESTION_H
#define FUZZ_CERTIFY_QUESTION_H

#include "base/rd.h"
#include "certify/certify.h"

#include "must.h"

struct question {
	struct certify_der anchors[4], crls[4], bag[CERTIFY_BAG_MAX];
	struct certify_question q;
};

static inline void question_read(struct question *ret, const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	size_t anchors_n = rd_u8(&r) % 5;
	struct certify_question *q = &ret->q;

	*q = (struct certify_question){ .anchors = ret->anchors, .crls = ret->crls, .bag = ret->bag };
	q->id_kind = rd_u8(&r) % (CERTIFY_ID_DN_TEXT + 1);
	q->role = rd_u8(&r) % (CERTIFY_ROLE_CLIENT + 1);
	q->revocation = rd_u8(&r) % (CERTIFY_CRL_HARD + 1);
	q->now_s = rd_u32(&r);
	q->id.n = rd_u16(&r) & 0x1ff;
	q->id.b = rd_take(&r, q->id.n);
	while (!r.bad && rd_left(&r) > 0) {
		size_t length = rd_u16(&r);
		struct certify_der d = { .n = length & 0x7fff };
		d.b = rd_take(&r, d.n);
		if (!d.b)
			break;
		if ((length & 0x8000) && q->crls_n < COUNT_OF(ret->crls))
			ret->crls[q->crls_n++] = d;
		else if (!(length & 0x8000) && q->anchors_n < anchors_n)
			ret->anchors[q->anchors_n++] = d;
		else if (!(length & 0x8000) && q->bag_n < COUNT_OF(ret->bag))
			ret->bag[q->bag_n++] = d;
	}
}

typedef uint32_t engine_fn(struct certify_verdict *ret_verdict, const struct certify_question *q);

/* Refuses with nothing in its verdict, or accepts with a key and an identity, and says the same when it is asked again. */
static inline void engine_check(
	struct certify_verdict *ret_verdict, engine_fn *engine, const struct certify_question *q)
{
	static const uint8_t zero[CERTIFY_SPKI_MAX];
	struct certify_verdict *v = ret_verdict, again;
	uint32_t reason = engine(v, q);

	MUST(v->reason == reason && reason < CERTIFY_REASON_COUNT && reason != CERTIFY_INTERNAL &&
		reason != CERTIFY_DISAGREE);
	if (reason == CERTIFY_OK)
		MUST(v->spki_n > 0 && v->spki_n <= sizeof v->spki && v->identity_n > 0 &&
			v->identity_n <= sizeof v->identity);
	else
		MUST(v->spki_n == 0 && v->identity_n == 0 && memcmp(v->spki, zero, sizeof v->spki) == 0);
	MUST(engine(&again, q) == reason && memcmp(&again, v, sizeof again) == 0);
}

#endif
