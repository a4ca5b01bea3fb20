/*
 * Peers by name (remote-address vpn.example.com): what the resolver tells ike about the addresses of one, and how ike asks. The resolver
 * parses what strangers say, so ike checks this (peer_name_ok()) and uses it for nothing but addresses: to which it sends the first
 * message, and at which it expects this peer. Who the peer is its identity proves.
 */
#ifndef MODEL_PEER_NAME_H
#define MODEL_PEER_NAME_H

#include <string.h>

#include "model/snapshot.h"

#define PEER_ADDRESSES_MAX  16 /* of one name, in both families */
#define PEER_NAME_WHY_BYTES 160

/* Tell it (again), and ask DNS if it was not asked a short time ago. */
struct peer_name_ask {
	char peer[NAME_MAX_BYTES];
};

struct peer_name_told {
	char peer[NAME_MAX_BYTES];
	char name[DYNAMIC_NAME_BYTES]; /* that was asked for: the configuration may have another one by now */
	uint32_t known;		       /* 0: there was no good answer yet, and `at` is empty */
	uint32_t age_s;		       /* of the last good answer */
	uint32_t n,
		current; /* the first `current` are in the last good answer, the others were within the time to live */
	struct ip_addr at[PEER_ADDRESSES_MAX];
	char why[PEER_NAME_WHY_BYTES]; /* why the last question had no good answer; empty: it had */
};

/* Of the peer's name; NULL: it is not one by name. */
static inline const char *snap_peer_dns_name(const struct snapshot *s, const struct snap_peer *p)
{
	return p->flags & PEER_REMOTE_NAME ? snap_dynamics(s)[p->dynamic - 1].name : NULL;
}

static inline bool peer_name_ok(const struct peer_name_told *t)
{
	if (!memchr(t->peer, 0, sizeof t->peer) || !memchr(t->name, 0, sizeof t->name) ||
		!memchr(t->why, 0, sizeof t->why) || t->known > 1 || t->n > PEER_ADDRESSES_MAX ||
		t->current > t->n || (t->known != 0) != (t->current != 0))
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		if ((t->at[i].family != ADDR_V4 && t->at[i].family != ADDR_V6) || t->at[i].zero[0] ||
			t->at[i].zero[1] || t->at[i].zero[2])
			return false;
	return true;
}

#endif
