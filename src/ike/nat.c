/*
 * What IKE_SA_INIT carries beside the key exchange: NAT detection (RFC 7296 section 2.23), signature hashes
 * (RFC 7427 section 4), fragmentation (RFC 7383 section 2.3), PPKs (RFC 8784 section 3).
 */
#include "ike/internal.h"

#include "crypto/sha1.h"

static void nat_hash(
	uint8_t ret[20], const uint8_t spi_i[8], const uint8_t spi_r[8], const struct endpoint *e)
{
	uint8_t port[2];
	struct prf_part parts[] = { { spi_i, 8 }, { spi_r, 8 }, { e->addr.b, addr_size(&e->addr) },
		{ port, 2 } };

	store_be16(port, e->port);
	sha1_run(parts, COUNT_OF(parts), ret);
}

/*
 * pretend: encapsulation is configured, so the hash is that of an address that will not match. The same when
 * our address is not known before the first response.
 */
void nat_detection_write(struct ike_out *o, const uint8_t spi_i[8], const uint8_t spi_r[8],
	const struct endpoint *local, const struct endpoint *remote, bool pretend)
{
	struct endpoint nowhere = { .addr = { .family = ADDR_V4 } };
	uint8_t hash[20];

	nat_hash(hash, spi_i, spi_r, pretend || local->addr.family == ADDR_NONE ? &nowhere : local);
	ike_out_notify(o, NTF_NAT_DETECTION_SOURCE_IP, hash, sizeof hash);
	nat_hash(hash, spi_i, spi_r, remote);
	ike_out_notify(o, NTF_NAT_DETECTION_DESTINATION_IP, hash, sizeof hash);
}

/*
 * 2.23: a message may have several source notifies, one per address that may be used; the peer is behind a
 * NAT if none of them matches. A notify that does not have 20 octets is ignored.
 */
void nat_detection_read(struct ike_sa *sa, const struct message *in)
{
	uint8_t source[20], destination[20];
	bool sources = false, destinations = false, source_fits = false, destination_fits = false;

	nat_hash(source, in->h.spi_i, in->h.spi_r, &in->remote);
	nat_hash(destination, in->h.spi_i, in->h.spi_r, &in->local);
	for (unsigned i = 0; i < in->p.notifies_n; i++) {
		const struct ike_notify *v = &in->p.notifies[i];

		if (v->data.n != 20)
			continue;
		if (v->type == NTF_NAT_DETECTION_SOURCE_IP) {
			sources = true;
			source_fits |= memcmp(v->data.at, source, 20) == 0;
		} else if (v->type == NTF_NAT_DETECTION_DESTINATION_IP) {
			destinations = true;
			destination_fits |= memcmp(v->data.at, destination, 20) == 0;
		}
	}
	sa->nat_known = sources && destinations;
	sa->peer_natted = sa->nat_known && !source_fits;
	sa->we_natted = sa->nat_known && !destination_fits;
}

void signature_hashes_write(struct ike_out *o)
{
	static const uint16_t known[] = {
#define E(id, number, text) number,
		SIGNATURE_HASHES(E)
#undef E
	};
	uint8_t data[2 * COUNT_OF(known)];

	for (size_t i = 0; i < COUNT_OF(known); i++)
		store_be16(data + 2 * i, known[i]);
	ike_out_notify(o, NTF_SIGNATURE_HASH_ALGORITHMS, data, sizeof data);
}

uint32_t signature_hashes_read(const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_SIGNATURE_HASH_ALGORITHMS);
	struct rd r;
	uint32_t bits = 0;

	if (!v)
		return 0;
	r = rd_over(v->data.at, v->data.n);
	while (rd_left(&r) >= 2) {
		uint16_t hash = rd_u16(&r);

		if (hash < 32)
			bits |= 1u << hash;
	}
	return bits;
}

void fragmentation_write(struct ike_out *o, const struct snap_peer *p)
{
	if (p->fragment_size > 0)
		ike_out_notify(o, NTF_IKEV2_FRAGMENTATION_SUPPORTED, NULL, 0);
}

bool fragmentation_agreed(const struct snap_peer *p, const struct ike_payloads *in)
{
	return p->fragment_size > 0 && ike_notify_find(in, NTF_IKEV2_FRAGMENTATION_SUPPORTED);
}

void ppk_offer(struct ike_out *o, const struct snap_peer *p)
{
	if (p->ppk_name[0])
		ike_out_notify(o, NTF_USE_PPK, NULL, 0);
}

bool ppk_agreed(const struct snap_peer *p, const struct ike_payloads *in)
{
	return p->ppk_name[0] && ike_notify_find(in, NTF_USE_PPK);
}
