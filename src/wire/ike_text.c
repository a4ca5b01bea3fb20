/*
 * IKEv2 as text: names of numbers, and an SA payload in a form that can be compared with the configuration.
 * What comes from the network is escaped; no length or terminator of the peer is trusted.
 */
#include "wire/ike_codec.h"

#include <stdarg.h>
#include <stdio.h>

const char *ike_exchange_name(unsigned number)
{
	switch (number) {
#define E(id, value)                                                                                         \
	case value:                                                                                          \
		return #id;
		IKE_EXCHANGES(E)
#undef E
	}
	return NULL;
}

const char *ike_payload_name(unsigned number)
{
	switch (number) {
#define E(id, value, name, many)                                                                             \
	case value:                                                                                          \
		return name;
		IKE_PAYLOADS(E)
#undef E
	}
	return NULL;
}

const char *ike_notify_name(unsigned number)
{
	switch (number) {
#define E(id, value)                                                                                         \
	case value:                                                                                          \
		return #id;
		IKE_NOTIFIES(E)
#undef E
	}
	return NULL;
}

const char *ike_transform_name(unsigned type, unsigned number)
{
	static const struct {
		uint16_t type, number;
		const char *name;
	} names[] = {
#define E(type, number, name) { TT_##type, number, name },
		IKE_TRANSFORM_NAMES(E)
#undef E
	};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].type == type && names[i].number == number)
			return names[i].name;
	return NULL;
}

/* Appends at *at, which moves; what does not fit is cut, and the text stays terminated. */
static void __attribute__((format(printf, 4, 5))) append(
	char *text, size_t size, size_t *at, const char *fmt, ...)
{
	va_list args;
	int n;

	if (*at + 1 >= size)
		return;
	va_start(args, fmt);
	n = vsnprintf(text + *at, size - *at, fmt, args);
	va_end(args);
	if (n > 0)
		*at = MIN_OF(*at + (size_t)n, size - 1);
}

static char *ike_transform_text(char *ret_text, size_t size, const struct ike_transform *t)
{
	bool addke = t->type >= TT_ADDKE_FIRST && t->type <= TT_ADDKE_LAST;
	const char *name = ike_transform_name(addke ? TT_DH : t->type, t->id);
	size_t at = 0;

	ret_text[0] = '\0';
	if (addke)
		append(ret_text, size, &at, "ADDKE%u:", t->type - TT_ADDKE_FIRST + 1);
	if (name)
		append(ret_text, size, &at, "%s", name);
	else
		append(ret_text, size, &at, "type %u number %u", t->type, t->id);
	if (t->key_bits)
		append(ret_text, size, &at, "-%u", t->key_bits);
	return ret_text;
}

char *ike_offer_text(char *ret_text, size_t size, const struct ike_offer *o)
{
	char one[64];
	size_t at = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < o->proposals_n; i++) {
		const struct ike_proposal *p = &o->proposals[i];
		unsigned before = 0;

		append(ret_text, size, &at, "%s", i ? ", " : "");
		if (p->protocol != IKE_PROTO_IKE && p->protocol != IKE_PROTO_ESP)
			append(ret_text, size, &at, "protocol %u: ", p->protocol);
		for (unsigned k = 0; k < p->count; k++) {
			const struct ike_transform *t = &o->transforms[p->first + k];

			append(ret_text, size, &at, "%s%s",
				k == 0		    ? ""
				: t->type == before ? "|"
						    : "/",
				ike_transform_text(one, sizeof one, t));
			before = t->type;
		}
	}
	if (o->proposals_n == 0)
		append(ret_text, size, &at, "nothing");
	return ret_text;
}

char *ike_id_text(char *ret_text, size_t size, const void *body, size_t n)
{
	struct rd r = rd_over(body, n);
	uint8_t type = rd_u8(&r);
	const uint8_t *data;
	char address[ADDR_TEXT_MAX];
	struct ip_addr a;
	size_t at = 0, data_n;

	ret_text[0] = '\0';
	rd_take(&r, 3);
	data_n = rd_left(&r);
	data = rd_take(&r, data_n);
	if (!data)
		return ret_text;
	if ((type == 1 && data_n == 4) || (type == 5 && data_n == 16)) {
		a = type == 1 ? addr_v4(data) : addr_v6(data);
		append(ret_text, size, &at, "%s", addr_text(address, &a));
		return ret_text;
	}
	if (type != 2 && type != 3)
		append(ret_text, size, &at, type == 11 ? "keyid:" : "type%u:", type);
	for (size_t i = 0; i < data_n; i++) {
		if ((type == 2 || type == 3) && data[i] > ' ' && data[i] < 0x7f && data[i] != '\\')
			append(ret_text, size, &at, "%c", data[i]);
		else
			append(ret_text, size, &at, type == 2 || type == 3 ? "\\x%02x" : "%02x", data[i]);
	}
	return ret_text;
}

char *ike_notify_text(char *ret_text, size_t size, uint16_t type)
{
	const char *name = ike_notify_name(type);

	if (name)
		snprintf(ret_text, size, "%s", name);
	else
		snprintf(ret_text, size, "notify %u", type);
	return ret_text;
}
