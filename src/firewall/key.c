/* Addresses of the keys of sessions and fragments. */
#include "firewall/internal.h"

_Static_assert(sizeof(struct fw_key) == 40, "hashed and compared as five words");
_Static_assert(offsetof(struct fw_key, vrf) + 3 == sizeof(struct fw_key), "no padding");
_Static_assert((FW_KEY_BLOCK | 0xff) >> 13 == 0 && ADDR_V6 >> 3 == 0, "they fit their bits");

struct ip_addr fw_key_src(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->src) : addr_v6(k->src);
}

struct ip_addr fw_key_dst(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->dst) : addr_v6(k->dst);
}
