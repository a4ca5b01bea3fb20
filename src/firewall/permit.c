/*
 * Which remote addresses each binding of persistent NAT talks to, for address-dependent filtering (RFC 4787 section 5): a
 * count of its sessions with each. Derived from sessions, so it is private to the process and made again when they are
 * adopted. There are no more of them than sessions, and a lookup by a stranger's packet is one hash.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

bool fw_permits_attach(struct firewall *fw)
{
	struct fw_permits *p = &fw->permits;
	uint32_t buckets = 1024;

	while (buckets < fw->limits.sessions_max)
		buckets *= 2;
	/* What is not used is not touched and costs nothing. */
	p->permit = fw_table_new(fw, fw->limits.sessions_max * sizeof *p->permit);
	p->bucket = fw_table_new(fw, buckets * sizeof *p->bucket);
	p->bucket_mask = buckets - 1;
	p->free_first = FW_NONE;
	return p->permit && p->bucket;
}

void fw_permits_detach(struct firewall *fw)
{
	struct fw_permits *p = &fw->permits;

	fw_table_free(fw, p->permit, fw->limits.sessions_max * sizeof *p->permit);
	fw_table_free(fw, p->bucket, (p->bucket_mask + 1ull) * sizeof *p->bucket);
}

/* The place of its number in the chain; numbers begin at 1. */
static uint32_t *permit_at(const struct firewall *fw, uint32_t binding, const uint8_t remote[16])
{
	const struct fw_permits *p = &fw->permits;
	struct {
		uint8_t remote[16];
		uint64_t binding;
	} hashed = { .binding = binding };

	memcpy(hashed.remote, remote, sizeof hashed.remote);
	uint32_t *at = &p->bucket[siphash13(fw->limits.hash_key, &hashed, sizeof hashed) & p->bucket_mask];
	while (*at != 0 && (p->permit[*at - 1].binding != binding ||
				   memcmp(p->permit[*at - 1].remote, remote, sizeof hashed.remote) != 0))
		at = &p->permit[*at - 1].next;
	return at;
}

bool fw_permit_holds(const struct firewall *fw, uint32_t binding, const struct ip_addr *remote)
{
	return *permit_at(fw, binding, remote->b) != 0;
}

static void permit_new(struct firewall *fw, uint32_t *at, uint32_t binding, const uint8_t remote[16])
{
	struct fw_permits *p = &fw->permits;
	uint32_t index = p->free_first;

	if (index != FW_NONE)
		p->free_first = p->permit[index].next;
	else
		index = p->used++;
	assert(index < fw->limits.sessions_max && *at == 0);
	p->permit[index] = (struct fw_permit){ .binding = binding, .sessions = 1 };
	memcpy(p->permit[index].remote, remote, sizeof p->permit[index].remote);
	*at = index + 1;
}

static void permit_end(struct firewall *fw, uint32_t *at)
{
	struct fw_permits *p = &fw->permits;
	uint32_t index = *at - 1;

	*at = p->permit[index].next;
	p->permit[index] = (struct fw_permit){ .next = p->free_first };
	p->free_first = index;
}

void fw_permit_count(struct firewall *fw, uint32_t binding, const struct fw_session *s, int by)
{
	if (fw_is_block(&fw->sessions[binding]))
		return;
	const uint8_t *remote = s->flags & FW_SESSION_INWARD ? s->key[0].src : s->key[1].src;
	uint32_t *at = permit_at(fw, binding, remote);

	assert(by > 0 || *at != 0);
	if (*at == 0) {
		permit_new(fw, at, binding, remote);
		return;
	}
	struct fw_permit *permit = &fw->permits.permit[*at - 1];
	permit->sessions += (uint32_t)by;
	if (permit->sessions == 0)
		permit_end(fw, at);
}
