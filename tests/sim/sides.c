/* What the two gateways are configured with; see world.h. */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct ip_addr sim_address(const char *text)
{
	struct ip_addr a = { 0 };

	assert(addr_parse(&a, text) == RC_OK);
	return a;
}

void sim_side_default(struct sim_side *s, int index)
{
	memset(s, 0, sizeof *s);
	s->address = sim_address(index ? "192.0.2.2" : "192.0.2.1");
	s->other = sim_address(index ? "192.0.2.1" : "192.0.2.2");
	s->local_id = index ? "branch.example" : "hq.example";
	s->remote_id = index ? "hq.example" : "branch.example";
	s->start = index ? PEER_START_NEVER : PEER_START_ALWAYS;
	s->ike_n = 1;
	s->ike[0] =
		(struct snap_ike_proposal){ "i0", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256, DH_CURVE25519 };
	s->esp_n = 1;
	s->esp[0] = (struct snap_esp_proposal){ "e0", ENCR_AES_GCM_16, 256, DH_NONE, 2 };
	s->rekey_s = 14400;
	s->dpd_s = 30;
	s->fragment_size = 1280;
	s->child_rekey_s = 3600;
	s->tunnels = 1;
	s->psk = "a pre-shared key of the simulator";
	s->cookie_above = 64;
}

static void set_id(struct snap_id *id, const char *text)
{
	id->type = ID_FQDN;
	id->len = (uint8_t)strlen(text);
	memcpy(id->data, text, id->len);
}

/* Tunnel i joins 10.1.i.0/24 behind the first gateway with 10.2.i.0/24 behind the second. */
static void set_selector(struct selector *s, int site, uint32_t i, bool v6)
{
	char text[64];
	struct ip_prefix p;

	snprintf(text, sizeof text, v6 ? "2001:db8:%d:%u::/64" : "10.%d.%u.0/24", site + 1, i);
	assert(prefix_parse(&p, text) == RC_OK);
	s->addrs = range_from_prefix(&p);
	s->port_last = 65535;
}

static uint32_t place(uint32_t *at, size_t count, size_t size)
{
	uint32_t here = *at;

	*at += (uint32_t)((count * size + 7) / 8 * 8);
	return here;
}

static void set_name(struct snapshot *snap, struct snap_peer *p, const char *peer)
{
	struct snap_dynamic *d = (struct snap_dynamic *)(void *)((uint8_t *)snap + snap->dynamics.first);

	*d = (struct snap_dynamic){ .kind = DYNAMIC_PEER, .ttl_min_s = 1, .ttl_max_s = 60 };
	snprintf(d->object, sizeof d->object, "%s", peer);
	snprintf(d->name, sizeof d->name, "vpn.%s.example", peer);
	p->remote = (struct ip_addr){ 0 };
	p->flags |= PEER_REMOTE_NAME;
	p->dynamic = 1;
}

struct snapshot *sim_snapshot(const struct sim_side *s, int index, uint64_t generation)
{
	uint32_t at = (sizeof(struct snapshot) + 7) / 8 * 8;
	struct snapshot head = { .magic = SNAPSHOT_MAGIC, .generation = generation }, *snap;

	head.workers = MAX_OF(s->workers, 1u);
	head.ike_proposals = (struct span){ place(&at, s->ike_n, sizeof s->ike[0]), s->ike_n };
	head.esp_proposals = (struct span){ place(&at, s->esp_n, sizeof s->esp[0]), s->esp_n };
	head.peers = (struct span){ place(&at, 1, sizeof(struct snap_peer)), 1 };
	head.selectors = (struct span){ place(&at, 2 * s->tunnels, sizeof(struct selector)), 2 * s->tunnels };
	head.tunnels = (struct span){ place(&at, s->tunnels, sizeof(struct snap_tunnel)), s->tunnels };
	if (s->by_name)
		head.dynamics = (struct span){ place(&at, 1, sizeof(struct snap_dynamic)), 1 };
	head.bytes = at;
	snap = calloc(1, at);
	assert(snap);
	*snap = head;
	memcpy((uint8_t *)snap + head.ike_proposals.first, s->ike, s->ike_n * sizeof s->ike[0]);
	memcpy((uint8_t *)snap + head.esp_proposals.first, s->esp, s->esp_n * sizeof s->esp[0]);
	struct snap_peer *p = (struct snap_peer *)(void *)((uint8_t *)snap + head.peers.first);

	snprintf(p->name, sizeof p->name, "%s", index ? "hq" : "branch");
	p->local = s->address;
	p->remote = s->other;
	if (s->by_route)
		p->local = (struct ip_addr){ 0 };
	if (s->by_name)
		set_name(snap, p, index ? "hq" : "branch");
	set_id(&p->local_id, s->local_id);
	set_id(&p->remote_id, s->remote_id);
	p->auth = s->pem ? PEER_AUTH_PUBLIC_KEY : PEER_AUTH_PSK;
	p->start = s->start;
	p->flags |= s->peer_flags;
	snprintf(p->key_name, sizeof p->key_name, "key");
	if (s->ppk)
		snprintf(p->ppk_name, sizeof p->ppk_name, "%s", s->ppk_name ? s->ppk_name : "ppk");
	p->public_key_n = s->their_key_n;
	memcpy(p->public_key, s->their_key, s->their_key_n);
	p->proposals = (struct span){ 0, s->ike_n };
	p->rekey_s = s->rekey_s;
	p->reauth_s = s->reauth_s;
	p->dpd_s = s->dpd_s;
	p->fragment_size = s->fragment_size;
	p->connections_max = !(p->flags & PEER_ID_PATTERN) ? 0 : s->connections ? s->connections : 64;
	for (uint32_t i = 0; i < s->tunnels; i++) {
		struct selector *sel =
			(struct selector *)(void *)((uint8_t *)snap + head.selectors.first) + 2 * i;
		struct snap_tunnel *t =
			(struct snap_tunnel *)(void *)((uint8_t *)snap + head.tunnels.first) + i;

		set_selector(&sel[0], index, i, s->v6_inside);
		set_selector(&sel[1], !index, i, s->v6_inside);
		if (s->behind_last != 0) {
			sel[0].addrs.first.b[3] = s->behind_first;
			sel[0].addrs.last.b[3] = s->behind_last;
		}
		snprintf(t->name, sizeof t->name, "t%u", i);
		t->proposals = (struct span){ 0, s->esp_n };
		t->local = (struct span){ 2 * i, 1 };
		t->remote = (struct span){ 2 * i + 1, 1 };
		t->rekey_s = s->child_rekey_s;
		t->replay_window = 1024;
		t->flags = s->per_worker ? TUNNEL_PER_WORKER : 0;
	}
	return snap;
}
