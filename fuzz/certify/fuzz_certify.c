/*
 * Both engines over one question: each refuses with nothing in its verdict, or accepts with a key and an identity, says the same when it is
 * asked again, and both together accept only what each accepts, with the same key. Where they differ is no fault: it is refused.
 *
 * Input: number of anchors, kind of identity, role, revocation (an octet each), then records of a 16-bit length and octets: the
 * identity, the anchors, the bag; records of CRLs have the highest bit of their length set. The time is MADE_NOW of the seeds' maker.
 */
#include "base/rd.h"
#include "certify/certify.h"

#include "must.h"

#define NOW 1796000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* GnuTLS 3.7 loses some octets in a malformed nameConstraints. Leaks of our own have our frames alone and are found. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libgnutls.so\n";
}

static void verdict_check(const struct certify_verdict *v, uint32_t reason)
{
	static const uint8_t zero[sizeof v->spki];

	MUST(v->reason == reason && reason < CERTIFY_REASON_COUNT && reason != CERTIFY_INTERNAL);
	if (reason == CERTIFY_OK)
		MUST(v->spki_n > 0 && v->spki_n <= sizeof v->spki && v->identity_n > 0 &&
			v->identity_n <= sizeof v->identity);
	else
		MUST(v->spki_n == 0 && v->identity_n == 0 && memcmp(v->spki, zero, sizeof v->spki) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct certify_der anchors[4], crls[4], bag[CERTIFY_BAG_MAX];
	struct certify_question q = { .anchors = anchors, .crls = crls, .bag = bag, .now_s = NOW };
	struct certify_verdict l, g, again, both;
	struct rd r = rd_over(data, n);
	size_t anchors_n = rd_u8(&r) % 5;

	q.id_kind = rd_u8(&r) % (CERTIFY_ID_DN_TEXT + 1);
	q.role = rd_u8(&r) % (CERTIFY_ROLE_CLIENT + 1);
	q.revocation = rd_u8(&r) % (CERTIFY_CRL_HARD + 1);
	q.id.n = rd_u16(&r) & 0x1ff;
	q.id.b = rd_take(&r, q.id.n);
	while (!r.bad && rd_left(&r) > 0) {
		size_t length = rd_u16(&r);
		struct certify_der d = { .n = length & 0x7fff };
		d.b = rd_take(&r, d.n);
		if (!d.b)
			break;
		if ((length & 0x8000) && q.crls_n < COUNT_OF(crls))
			crls[q.crls_n++] = d;
		else if (!(length & 0x8000) && q.anchors_n < anchors_n)
			anchors[q.anchors_n++] = d;
		else if (!(length & 0x8000) && q.bag_n < COUNT_OF(bag))
			bag[q.bag_n++] = d;
	}
	verdict_check(&l, certify_libcrypto(&l, &q));
	verdict_check(&g, certify_gnutls(&g, &q));
	MUST(certify_libcrypto(&again, &q) == l.reason && memcmp(&again, &l, sizeof l) == 0);
	MUST(certify_gnutls(&again, &q) == g.reason && memcmp(&again, &g, sizeof g) == 0);
	uint32_t reason = certify_agree(&both, &l, &g);
	MUST((reason == CERTIFY_OK) ==
		(l.reason == CERTIFY_OK && g.reason == CERTIFY_OK && reason != CERTIFY_DISAGREE));
	return 0;
}
