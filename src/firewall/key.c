/* Addresses of the keys of sessions and fragments. */
#include "firewall/internal.h"

_Static_assert(sizeof(struct fw_key) == 40, "hashed and compared as five words");
_Static_assert(offsetof(struct fw_key, kind) + sizeof(uint16_t) == sizeof(struct fw_key), "no padding");

struct ip_addr fw_key_src(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->src) : addr_v6(k->src);
}

struct ip_addr fw_key_dst(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->dst) : addr_v6(k->dst);
}
