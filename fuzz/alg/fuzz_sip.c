/*
 * A SIP message: places lie in order within it; what is expected leads to the sender; rewritten with other addresses
 * it is a message again that tells those; rewritten with none it is the same.
 */
#include "alg/sip.h"
#include "must.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void rewrite_check(const struct sip_message *m, const uint8_t *bytes)
{
	struct endpoint to[SIP_PLACES_MAX] = { 0 };
	size_t room = m->size + 64 * SIP_PLACES_MAX;
	uint8_t *out = malloc(room);
	struct sip_message again;

	MUST(out);
	for (uint32_t i = 0; i < m->places_n; i++) {
		addr_parse(&to[i].addr,
			m->place[i].e.addr.family == ADDR_V6 ? "2001:db8::7777" : "203.0.113.111");
		to[i].port = (uint16_t)(30000 + i);
	}
	size_t n = sip_rewrite(m, bytes, to, out, room);
	MUST(n > 0);
	/* It may be too long now, or tell more places: the port of a medium that had none of the sender's. */
	if (n <= SIP_MESSAGE_MAX) {
		MUST(sip_parse(&again, out, n));
		MUST(again.places_n == m->places_n);
		for (uint32_t i = 0; i < m->places_n; i++) {
			MUST(again.place[i].kind == m->place[i].kind);
			if (m->place[i].has_addr)
				MUST(addr_equal(&again.place[i].e.addr, &to[i].addr));
			if (m->place[i].has_port)
				MUST(again.place[i].e.port == to[i].port);
		}
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct endpoint sender = { .port = 5060 }, none[SIP_PLACES_MAX] = { 0 };
	struct expectation e[SIP_EXPECT_MAX];
	uint8_t place[SIP_EXPECT_MAX];
	struct sip_message m;
	uint8_t *copy = malloc(n ? n : 1), *out = malloc(n + 32);

	MUST(copy && out);
	memcpy(copy, data, n);
	addr_parse(&sender.addr, "10.0.0.2");
	if (sip_parse(&m, copy, n)) {
		size_t at = 0;
		MUST(m.size == n && m.body_at <= n && m.places_n <= SIP_PLACES_MAX);
		for (uint32_t i = 0; i < m.places_n; i++) {
			MUST(m.place[i].at >= at && m.place[i].n > 0);
			at = (size_t)m.place[i].at + m.place[i].n;
			MUST(at <= n);
		}
		size_t k = sip_expectations(&m, &sender.addr, 0, e, place);
		MUST(k <= SIP_EXPECT_MAX);
		for (size_t i = 0; i < k; i++)
			MUST(addr_equal(&e[i].dst, &sender.addr) && e[i].dst_port >= ALG_PORT_MIN &&
				e[i].from == 1 && place[i] < m.places_n);
		size_t same = sip_rewrite(&m, copy, none, out, n + 32);
		MUST(same > 0 && (m.length_n > 0 || (same == n && memcmp(out, copy, n) == 0)));
		rewrite_check(&m, copy);
	}
	free(copy);
	free(out);
	return 0;
}
