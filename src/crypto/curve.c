#include "crypto/curve.h"

#include "base/bytes.h"

#include <openssl/obj_mac.h>

const EC_GROUP *curve_group(int nid)
{
	static struct {
		int nid;
		EC_GROUP *group;
	} known[] = { { NID_X9_62_prime256v1, NULL }, { NID_secp384r1, NULL }, { NID_secp521r1, NULL } };
	size_t i = 0;

	while (i < COUNT_OF(known) && known[i].nid != nid)
		i++;
	if (i == COUNT_OF(known))
		return NULL;
	if (!known[i].group)
		known[i].group = EC_GROUP_new_by_curve_name(nid);
	return known[i].group;
}
