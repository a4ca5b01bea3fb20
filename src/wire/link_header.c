#include "wire/link_header.h"

enum link_form { FORM_ETHERNET, FORM_COOKED, FORM_COOKED_2, FORM_FAMILY, FORM_IP };

static const struct {
	uint32_t type;
	enum link_form form;
} links[] = {
	{ 0, FORM_FAMILY },   /* NULL: the address family, in the order of who captured */
	{ 1, FORM_ETHERNET }, /* with or without VLAN tags */
	{ 12, FORM_IP },      /* RAW, as some systems write it */
	{ 14, FORM_IP },      /* the same */
	{ LINKTYPE_RAW, FORM_IP },
	{ 108, FORM_FAMILY },  /* LOOP: the address family, in the network's order */
	{ 113, FORM_COOKED },  /* LINUX_SLL */
	{ 228, FORM_IP },      /* IPV4 */
	{ 229, FORM_IP },      /* IPV6 */
	{ 276, FORM_COOKED_2 } /* LINUX_SLL2 */
};

enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_VLAN = 0x8100, ETHER_VLAN_OUTER = 0x88a8 };
enum { COOKED_OUTGOING = 4 };

static bool form_find(uint32_t type, enum link_form *ret_form)
{
	for (size_t i = 0; i < COUNT_OF(links); i++)
		if (links[i].type == type) {
			*ret_form = links[i].form;
			return true;
		}
	return false;
}

bool link_header_known(uint32_t type)
{
	enum link_form form;

	return form_find(type, &form);
}

/* IPv4 is 2 everywhere, IPv6 10 with Linux, 24, 28 or 30 elsewhere. */
static bool family_known(uint32_t family)
{
	return family == 2 || family == 10 || family == 24 || family == 28 || family == 30;
}

/* Behind tags, each of which has a type behind it again. */
static bool ethertype_is_ip(uint16_t type, struct rd *r, struct link_header *ret)
{
	for (; !r->bad && (type == ETHER_VLAN || type == ETHER_VLAN_OUTER); type = rd_u16(r)) {
		rd_u16(r);
		ret->tags++;
	}
	return type == ETHER_IPV4 || type == ETHER_IPV6;
}

void link_header_take(uint32_t type, struct rd *frame, struct link_header *ret)
{
	enum link_form form = FORM_IP;
	uint32_t family;
	uint16_t ethertype;

	*ret = (struct link_header){ 0 };
	ret->ip = form_find(type, &form);
	switch (form) {
	case FORM_ETHERNET:
		rd_take(frame, 12);
		ret->ip = ethertype_is_ip(rd_u16(frame), frame, ret);
		break;
	case FORM_COOKED:
		ret->outbound = rd_u16(frame) == COOKED_OUTGOING;
		rd_take(frame, 12);
		ret->ip = ethertype_is_ip(rd_u16(frame), frame, ret);
		break;
	case FORM_COOKED_2:
		ethertype = rd_u16(frame);
		rd_take(frame, 8);
		ret->outbound = rd_u8(frame) == COOKED_OUTGOING;
		rd_take(frame, 9);
		ret->ip = ethertype_is_ip(ethertype, frame, ret);
		break;
	case FORM_FAMILY:
		family = rd_u32(frame);
		ret->ip = family_known(family) || family_known(__builtin_bswap32(family));
		break;
	case FORM_IP:
		break;
	}
	ret->ip = ret->ip && !frame->bad;
}
