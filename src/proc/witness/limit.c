#include "proc/witness/limit.h"
#include "base/bytes.h"
#include "base/siphash.h"

#include <netinet/in.h>
#include <sys/socket.h>

void limit_init(struct limit *l, const uint8_t key[16], unsigned per_s, unsigned burst)
{
	memset(l, 0, sizeof *l);
	memcpy(l->key, key, sizeof l->key);
	l->interval_ns = per_s ? NS_PER_S / per_s : 0;
	l->burst_ns = l->interval_ns * MAX_OF(burst, 1u);
}

bool limit_client(uint8_t ret[LIMIT_CLIENT_SIZE], const struct sockaddr *address)
{
	memset(ret, 0, LIMIT_CLIENT_SIZE);
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		memcpy(ret, &in.sin_addr, 4);
		ret[7] = 4; /* no global unicast /64 begins with zeros that end so */
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			memcpy(ret, in6.sin6_addr.s6_addr + 12, 4);
			ret[7] = 4;
		} else {
			memcpy(ret, &in6.sin6_addr, 8);
		}
		return true;
	}
	return false;
}

bool limit_allows(struct limit *l, const struct sockaddr *client, mono_ns now)
{
	uint8_t who[LIMIT_CLIENT_SIZE];

	if (l->interval_ns == 0 || !client || !limit_client(who, client))
		return true;
	struct limit_slot *set = l->slot[siphash13(l->key, who, sizeof who) % LIMIT_SETS], *slot = &set[0];
	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].at != 0 && memcmp(set[i].client, who, sizeof who) == 0) {
			slot = &set[i];
			break;
		}
		if (set[i].at < slot->at)
			slot = &set[i];
	}
	if (slot->at == 0 || memcmp(slot->client, who, sizeof who) != 0) {
		memcpy(slot->client, who, sizeof who);
		slot->credit_ns = l->burst_ns;
	} else if (now > slot->at) {
		slot->credit_ns = MIN_OF(slot->credit_ns + (now - slot->at), l->burst_ns);
	}
	slot->at = MAX_OF(now, 1u);
	if (slot->credit_ns < l->interval_ns)
		return false;
	slot->credit_ns -= l->interval_ns;
	return true;
}
