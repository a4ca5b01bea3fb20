/*
 * What a certifier reads before an engine does: the question of ike, and files of CRLs. What is accepted lies within the input, in order and
 * without gaps; written again from what was read it is the same.
 */
#include "certify/ask.h"
#include "certify/crl_text.h"

#include "must.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask_check(const uint8_t *data, size_t n)
{
	static struct certify_ask a;
	struct certify_der bag[CERTIFY_BAG_MAX];
	struct certify_question q;
	size_t at = 0;

	memset(&a, 0, sizeof a);
	memcpy(&a, data, MIN_OF(n, sizeof a));
	if (certify_ask_read(&q, bag, &a) != CERTIFY_OK)
		return;
	MUST(q.bag == bag && q.bag_n > 0 && q.bag_n <= CERTIFY_BAG_MAX);
	for (size_t i = 0; i < q.bag_n; i++) {
		MUST(bag[i].n > 0 && load_be32(a.bag + at) == bag[i].n && bag[i].b == a.bag + at + 4);
		at += 4 + bag[i].n;
	}
	MUST(at == a.bag_n && at <= CERTIFY_ASK_MAX);
	MUST(q.id.b == a.id + 4 && q.id.n + 4 == a.id_n && a.id_n <= KEEPER_ID_MAX);
}

static void text_check(const uint8_t *data, size_t n)
{
	uint8_t *octets = malloc(n + 1), *at = octets;
	struct certify_der crl[3];
	size_t count = 0;

	MUST(octets);
	if (crls_read(data, n, octets, crl, COUNT_OF(crl), &count, NULL) == RC_OK) {
		MUST(count > 0 && count <= COUNT_OF(crl));
		for (size_t i = 0; i < count; i++) {
			MUST(crl[i].b == at && crl[i].n > 0 && crl[i].n <= CERTIFY_CRL_BYTES_MAX);
			at += crl[i].n;
		}
		MUST((size_t)(at - octets) <= n);
	}
	free(octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	ask_check(data, n);
	text_check(data, n);
	return 0;
}
