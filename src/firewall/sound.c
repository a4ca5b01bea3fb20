/*
 * Is a record that a former process left what that process can have written? It may have been killed at any
 * instruction, and what made it die may have written anywhere, so nothing in a record is used before these checks.
 */
#include "firewall/internal.h"

/* An epoch of the former process, whose names are stored. */
static bool zones_sound(const struct firewall *fw, const struct fw_session *s)
{
	const struct fw_state *st = fw->state;
	uint32_t epoch = s->zones.epoch;

	if (fw->adopt.epoch - epoch > fw->adopt.epoch - st->oldest)
		return false;
	for (int d = 0; d < 2; d++)
		if (s->zones.zone[d] != FW_ZONE_HOST && s->zones.zone[d] >= st->zones_n[epoch % FW_EPOCHS])
			return false;
	return true;
}

static bool key_sound(const struct fw_key *k)
{
	uint16_t asks = k->kind & (FW_KEY_QUERY | FW_KEY_ANSWER);
	bool query = asks == FW_KEY_QUERY || asks == FW_KEY_ANSWER;

	if ((k->family != ADDR_V4 && k->family != ADDR_V6) || query != fw_is_icmp(k->proto) ||
		(query ? fw_icmp_kind(k->proto, (uint8_t)k->kind) != (FW_KEY_QUERY | (k->kind & 0xff))
		       : k->kind != 0))
		return false;
	/* Stray octets after an IPv4 address would make a key that no packet has. */
	for (size_t i = 4; k->family == ADDR_V4 && i < 16; i++)
		if (k->src[i] || k->dst[i])
			return false;
	return true;
}

/* The key of replies is the reverse of the first one but for what NAT changes: addresses, and ports of protocols that
 * have them; then the flag says so. */
static bool keys_sound(const struct fw_session *s)
{
	struct fw_key plain = fw_key_reverse(&s->key[0]), reply = s->key[1];
	plain.vrf = reply.vrf; /* a route leads from one into another */
	bool translated = !fw_key_equal(&plain, &reply);

	if (fw_is_nat64(s) && s->key[0].family == ADDR_V6) { /* as fw_dnat_reply_key() makes it */
		plain.family = ADDR_V4;
		if (plain.proto == IP_ICMPV6 && plain.kind == (FW_KEY_ANSWER | ICMP6_ECHO)) {
			plain.proto = IP_ICMP;
			plain.kind = FW_KEY_ANSWER | ICMP4_ECHO;
		}
	}
	if (!key_sound(&s->key[0]) || !key_sound(&s->key[1]) ||
		translated != !!(s->flags & FW_SESSION_TRANSLATED))
		return false;
	/* the identifier stands in both */
	if (fw_is_icmp(reply.proto) &&
		(s->key[1].src_port != s->key[1].dst_port || s->key[0].src_port != s->key[0].dst_port))
		return false;
	memcpy(reply.src, plain.src, sizeof reply.src);
	memcpy(reply.dst, plain.dst, sizeof reply.dst);
	if (fw_key_has_port(&reply)) {
		reply.src_port = plain.src_port;
		reply.dst_port = plain.dst_port;
	}
	return fw_key_equal(&reply, &plain);
}

static bool binding_sound(const struct fw_session *s)
{
	static const uint8_t none[16];

	for (int d = 0; d < 2; d++) {
		const struct fw_key *k = &s->key[d];
		if (k->kind != FW_KEY_BINDING || k->vrf || (k->family != ADDR_V4 && k->family != ADDR_V6) ||
			(k->proto != IP_TCP && k->proto != IP_UDP))
			return false;
		for (size_t i = 4; k->family == ADDR_V4 && i < 16; i++)
			if (k->src[i] || k->dst[i])
				return false;
	}
	return s->flags == FW_SESSION_BINDING && s->state == FW_STATELESS && s->timeout_s > 0 &&
	       (s->key[0].family == s->key[1].family || s->key[1].family == ADDR_V4) &&
	       s->key[0].proto == s->key[1].proto && s->key[0].dst_port == 0 && s->key[1].src_port == 0 &&
	       memcmp(s->key[1].src, none, sizeof none) == 0 && memcmp(s->key[0].src, none, sizeof none) != 0;
}

/* A block of ports: blocks.c. */
static bool block_sound(const struct fw_session *s)
{
	const struct fw_key *host = &s->key[0], *as = &s->key[1];
	uint32_t size = fw_block_size(s);
	static const uint8_t none[16];

	if (host->kind != FW_KEY_BLOCK || as->kind != FW_KEY_BLOCK || host->proto || as->proto || host->vrf ||
		as->vrf || (host->family != ADDR_V4 && host->family != ADDR_V6) || as->family != ADDR_V4 ||
		as->src_port || memcmp(as->src, none, sizeof none) != 0)
		return false;
	if (host->src_port >= 32 || size == 0 || as->dst_port % NAT_BLOCK_MIN != 0 ||
		as->dst_port + size > 65536 || load_be32(as->dst) == 0)
		return false;
	for (size_t i = 4; i < 16; i++)
		if (as->dst[i] || host->dst[i] || (host->family == ADDR_V4 && host->src[i]))
			return false;
	return s->flags == (FW_SESSION_BINDING | FW_SESSION_BLOCK) && s->state == FW_STATELESS &&
	       s->timeout_s > 0;
}

bool fw_record_sound(const struct firewall *fw, const struct fw_session *s)
{
	if (s->live != FW_SESSION_LIVE || s->state >= FW_PROTOCOL_STATE_COUNT || !zones_sound(fw, s))
		return false;
	if (fw_is_block(s))
		return block_sound(s);
	if (fw_is_binding(s))
		return binding_sound(s);
	uint8_t proto = s->key[0].proto;
	bool has_states = proto == IP_TCP || proto == IP_SCTP;
	if (fw_state_protocol(s->state) != (has_states ? proto : 0) ||
		(s->flags & FW_SESSION_LOOSE && proto != IP_TCP))
		return false;
	if (proto == IP_SCTP)
		return fw_sctp_sound(s) && keys_sound(s);
	if (s->tcp[0].scale > FW_TCP_SCALE_MAX || s->tcp[1].scale > FW_TCP_SCALE_MAX ||
		s->noted.scale > FW_TCP_SCALE_MAX ||
		(fw_is_joined(s) && s->join.server_scale > FW_TCP_SCALE_MAX))
		return false;
	if (s->flags & FW_SESSION_INWARD &&
		(!fw_destination_translated(s) || !fw_has_bindings(s->key[0].proto)))
		return false;
	return keys_sound(s);
}
