/* Somebody between the two gateways; see middle.h. The messages are the gateways' own: what they hold is only asserted. */
#include "middle.h"

#include "base/bytes.h"
#include "wire/ike_codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NEXT_AT = 16, EXCHANGE_AT = 18, FLAGS_AT = 19, LENGTH_AT = 24, FLAG_RESPONSE = 0x20 };
/* Of an SA payload: its first proposal, and behind the head of that with no SPI the first transform. */
enum {
	PROPOSAL_AT = 4,
	TRANSFORM_AT = PROPOSAL_AT + 8,
	TRANSFORM_ID_AT = TRANSFORM_AT + 6,
	NO_SUCH_ID = 0xfff0
};

static bool spoil_proposal(uint8_t *payload)
{
	if (payload[PROPOSAL_AT] == 0) /* the last one */
		return false;
	store_be16(payload + TRANSFORM_ID_AT, NO_SUCH_ID);
	return true;
}

static bool is_notify(uint8_t type, const uint8_t *payload, uint16_t notify)
{
	return type == PL_NOTIFY && load_be16(payload + 6) == notify;
}

/* The length; each payload is in place of those that were removed before it. */
static size_t without_notify(uint8_t *m, size_t n, uint16_t notify)
{
	uint8_t *next = &m[NEXT_AT], type = *next;
	size_t at = IKE_HEADER_SIZE;

	while (type != 0) {
		size_t size = load_be16(m + at + 2);
		uint8_t *payload = m + at, following = *payload;

		assert(size >= IKE_PAYLOAD_HEADER_SIZE && at + size <= n);
		if (is_notify(type, payload, notify)) {
			*next = following;
			memmove(payload, payload + size, n - at - size);
			n -= size;
		} else {
			next = payload;
			at += size;
		}
		type = following;
	}
	store_be32(m + LENGTH_AT, (uint32_t)n);
	return n;
}

uint8_t *middle_change(enum middle how, const uint8_t *bytes, size_t n, size_t *ret_n)
{
	bool response = n > IKE_HEADER_SIZE && bytes[FLAGS_AT] & FLAG_RESPONSE;
	uint16_t notify = NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH;
	uint8_t *m;

	if (how == MIDDLE_NONE || n <= IKE_HEADER_SIZE || bytes[EXCHANGE_AT] != EX_IKE_SA_INIT ||
		(how != MIDDLE_BOTH && response != (how == MIDDLE_RESPONSE)))
		return NULL;
	m = malloc(n);
	assert(m);
	memcpy(m, bytes, n);
	if (how == MIDDLE_PROPOSAL) {
		size_t at = IKE_HEADER_SIZE;
		uint8_t type = m[NEXT_AT];

		for (; type != PL_SA; at += load_be16(m + at + 2)) /* behind a cookie */
			type = m[at];
		*ret_n = n;
		if (spoil_proposal(m + at))
			return m;
		notify = NTF_SIGNATURE_HASH_ALGORITHMS;
	}
	*ret_n = without_notify(m, n, notify);
	return m;
}
