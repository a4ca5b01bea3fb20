/*
 * Bytes into the decoders of IKE messages. The first octet chooses: 0 a whole datagram; 1 what came out of an
 * SK payload, its first type in the second octet; from 2 on the bodies of single payloads; 255 the data of REDIRECT.
 *
 * Beside the sanitizers: a failed parse leaves an empty result, what is accepted is within its limits and its
 * views within the input, and an offer or selectors that were taken mean the same when written and read
 * again.
 */
#include "must.h"
#include "wire/ike_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct ike_view *v, const uint8_t *data, size_t n)
{
	MUST(v->n == 0 || (v->at >= data && v->at <= data + n && v->n <= (size_t)(data + n - v->at)));
}

static void written_again(const struct ike_payloads *p)
{
	static struct ike_payloads again;
	static uint8_t bytes[65536];
	struct ike_header h = { .spi_i = { 1 }, .version = 0x20 };
	struct ike_out o = ike_out_begin(bytes, sizeof bytes, &h);
	bool offer = p->sa.proposals_n > 0;
	size_t n;

	for (unsigned i = 0; i < p->sa.proposals_n; i++) /* unknown attributes are not kept */
		offer &= !p->sa.proposals[i].unknown;
	if (offer)
		ike_out_offer(&o, &p->sa);
	if (p->tsi.n > 0)
		ike_out_selectors(&o, PL_TSI, p->tsi.list, p->tsi.n);
	if (p->tsr.n > 0)
		ike_out_selectors(&o, PL_TSR, p->tsr.list, p->tsr.n);
	n = ike_out_end(&o);
	MUST(n > 0);
	MUST(ike_header_read(&h, bytes, n, NULL) == RC_OK);
	MUST(ike_payloads_read(&again, h.next_payload, bytes + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, true,
		     NULL) == RC_OK);
	MUST(!offer || memcmp(&again.sa, &p->sa, sizeof p->sa) == 0);
	MUST(memcmp(&again.tsi, &p->tsi, sizeof p->tsi) == 0);
	MUST(memcmp(&again.tsr, &p->tsr, sizeof p->tsr) == 0);
}

static void payloads(uint8_t first, const uint8_t *data, size_t n, bool encrypted)
{
	static struct ike_payloads p, zero;
	struct ike_delete d;
	char text[IKE_OFFER_TEXT_MAX];
	struct err e = { 0 };

	if (ike_payloads_read(&p, first, data, n, encrypted, &e) != RC_OK) {
		p.critical_unknown = 0;
		MUST(memcmp(&p, &zero, sizeof p) == 0);
		MUST(e.text[0] != '\0' && strlen(e.text) < sizeof e.text);
		return;
	}
	MUST(p.notifies_n <= IKE_NOTIFIES_MAX && p.vendors_n <= IKE_VENDORS_MAX);
	MUST(p.tsi.n <= IKE_SELECTORS_MAX && p.tsr.n <= IKE_SELECTORS_MAX);
	inside(&p.sk, data, n);
	inside(&p.ke, data, n);
	inside(&p.nonce, data, n);
	inside(&p.idi, data, n);
	inside(&p.idr, data, n);
	inside(&p.auth, data, n);
	for (unsigned i = 0; i < p.notifies_n; i++) {
		inside(&p.notifies[i].spi, data, n);
		inside(&p.notifies[i].data, data, n);
		ike_notify_text(text, sizeof text, p.notifies[i].type);
	}
	for (struct ike_walk at = ike_walk_over(&p); ike_delete_next(&at, &d);)
		inside(&(struct ike_view){ d.spis, d.spis_n * (size_t)d.spi_size }, data, n);
	struct ike_view certificate;
	uint8_t encoding;
	for (struct ike_walk at = ike_walk_over(&p); ike_cert_next(&at, &encoding, &certificate);)
		inside(&certificate, data, n);
	MUST(strlen(ike_offer_text(text, sizeof text, &p.sa)) < sizeof text);
	MUST(strlen(ike_offer_text(text, 20, &p.sa)) < 20);
	if (p.idi.n > 0)
		for (const char *at = ike_id_text(text, sizeof text, p.idi.at, p.idi.n); *at; at++)
			MUST(*at > ' ' && *at < 0x7f);
	written_again(&p);
}

/* What is taken is written as it was. */
static void gateway(const uint8_t *data, size_t n)
{
	static const struct ike_gateway zero;
	uint8_t again[IKE_GATEWAY_MAX];
	struct ike_gateway g;
	struct err e = { 0 };
	size_t again_n;

	if (ike_gateway_read(&g, &(struct ike_view){ data, n }, &e) != RC_OK) {
		MUST(memcmp(&g, &zero, sizeof g) == 0 && e.text[0] != '\0');
		return;
	}
	inside(&g.id, data, n);
	inside(&g.nonce, data, n);
	again_n = ike_gateway_write(again, &g);
	MUST(n > sizeof again ? again_n == 0 : again_n == n && memcmp(again, data, n) == 0);
}

static void one_body(uint8_t which, const uint8_t *data, size_t n)
{
	static struct ike_offer offer;
	struct ike_selectors ts;
	struct ike_notify v;
	struct ike_delete d;
	char text[64];

	switch (which % 5) {
	case 0:
		ike_offer_read(&offer, data, n, NULL);
		break;
	case 1:
		ike_notify_read(&v, data, n, NULL);
		break;
	case 2:
		ike_delete_read(&d, data, n, NULL);
		break;
	case 3:
		ike_selectors_read(&ts, data, n, NULL);
		break;
	case 4:
		ike_id_check(data, n, NULL);
		ike_id_text(text, sizeof text, data, n);
		break;
	}
}

static void part(const uint8_t *data, size_t n)
{
	static const struct ike_fragment zero;
	struct ike_fragment f;
	struct err e = { 0 };

	if (ike_fragment_read(&f, data, n, &e) != RC_OK) {
		MUST(memcmp(&f, &zero, sizeof f) == 0 && e.text[0] != '\0');
		return;
	}
	MUST(f.number >= 1 && f.number <= f.total && (f.number == 1 || f.first == PL_NO_NEXT));
	inside(&f.sk, data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ike_header h;

	if (size < 2)
		return 0;
	if (data[0] == 0 && ike_header_read(&h, data + 1, size - 1, NULL) == RC_OK &&
		h.next_payload == PL_SKF)
		part(data + 1, size - 1);
	else if (data[0] == 0 && ike_header_read(&h, data + 1, size - 1, NULL) == RC_OK)
		payloads(h.next_payload, data + 1 + IKE_HEADER_SIZE, size - 1 - IKE_HEADER_SIZE, false);
	else if (data[0] == 1)
		payloads(data[1], data + 2, size - 2, true);
	else if (data[0] == 0xff)
		gateway(data + 1, size - 1);
	else if (data[0] > 1)
		one_body(data[0], data + 1, size - 1);
	return 0;
}
