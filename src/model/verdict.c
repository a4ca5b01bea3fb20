/* Two verdicts about certificates become one (certify_api.h). */
#include "model/certify_api.h"

#include <string.h>

const char *certify_reason_text(uint32_t reason)
{
	static const char *const texts[] = {
#define E(id, text) [CERTIFY_##id] = text,
		CERTIFY_REASONS(E)
#undef E
	};
	return texts[reason < CERTIFY_REASON_COUNT ? reason : CERTIFY_INTERNAL];
}

uint32_t certify_agree(
	struct certify_verdict *ret_verdict, const struct certify_verdict *a, const struct certify_verdict *b)
{
	uint32_t reason = a->reason != CERTIFY_OK ? a->reason : b->reason;

	if (reason == CERTIFY_OK &&
		(a->spki_n == 0 || a->spki_n > CERTIFY_SPKI_MAX || a->spki_n != b->spki_n ||
			memcmp(a->spki, b->spki, a->spki_n) != 0 || a->identity_n == 0 ||
			a->identity_n > CERTIFY_IDENTITY_MAX || a->identity_n != b->identity_n ||
			memcmp(a->identity, b->identity, a->identity_n) != 0))
		reason = CERTIFY_DISAGREE;
	if (reason == CERTIFY_OK)
		*ret_verdict = *a;
	else
		*ret_verdict = (struct certify_verdict){ .reason = reason };
	return reason;
}
