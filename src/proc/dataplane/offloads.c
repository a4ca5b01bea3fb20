/*
 * What a kernel has left to a NIC on a packet that it delivers (struct virtio_net_hdr), and what it has
 * joined, turned into the fields of a train. Partial checksums of TCP and UDP in the outer header stay
 * partial; all others are completed here, or by whoever cuts the train.
 */
#include "proc/dataplane/pipeline.h"
#include "wire/crc32c.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/segment.h"

/* The protocol after the outer IP header, if there are no extension headers. */
static uint8_t outer_proto(const struct train *t, uint32_t *ret_l4)
{
	bool v4 = t->len >= IP4_HEADER_SIZE && t->ip[0] >> 4 == 4;

	*ret_l4 = v4 ? 4u * (t->ip[0] & 15) : IP6_HEADER_SIZE;
	return t->len <= *ret_l4 ? IP6_NO_NEXT : t->ip[v4 ? 9 : 6];
}

/* Completes the checksum at `start` + `offset`, over everything from `start` on. */
static void csum_finish(struct train *t, uint32_t start, uint32_t offset)
{
	uint8_t *field = t->ip + start + offset;

	if (offset == SCTP_CSUM) { /* the only checksum at that place, and no Internet checksum */
		memset(field, 0, 4);
		uint32_t crc = crc32c(t->ip + start, t->len - start);
		const uint8_t le[4] = { (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16),
			(uint8_t)(crc >> 24) };
		memcpy(field, le, 4);
		return;
	}
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, t->ip + start, t->len - start));
	memcpy(field, &sum, 2);
}

/*
 * A train whose headers must be searched; l4: where its innermost TCP or UDP header begins, 0: not stated.
 * Inside a foreign tunnel (the kernel reports TCP or UDP there too, for what it joined itself and for what a
 * tunnel device left to the NIC) each packet's checksums are computed when it is cut. Otherwise a NIC (LRO)
 * or the kernel (its fragment lists) has joined verified packets without a checksum over the whole: it
 * becomes an ordinary train.
 */
static bool train_find(struct train *t, uint8_t kind, uint32_t l4)
{
	struct segment_layers l;

	if (!segment_layers_read(&l, t->ip, t->len, l4) ||
		(l.proto == IP_UDP) != (kind == VIRTIO_NET_HDR_GSO_UDP_L4))
		return false;
	bool v4 = t->ip[0] >> 4 == 4;
	if (l.n > 1) {
		bool udp = l.layer[1].kind == SEGMENT_UDP;
		t->inner_l4 = l.l4_offset;
		t->csum = udp && load_be16(t->ip + l.layer[1].at + UDP_CSUM) ? TRAIN_CSUM_PARTIAL
									     : TRAIN_CSUM_VALID;
		return true;
	}
	uint16_t sum = csum_fold(csum_pseudo(t->ip + (v4 ? IP4_SRC : IP6_SRC),
		t->ip + (v4 ? IP4_DST : IP6_DST), v4 ? 4 : 16, l.proto, t->len - l.l4_offset));
	memcpy(t->ip + l.l4_offset + (l.proto == IP_TCP ? TCP_CSUM : UDP_CSUM), &sum, 2);
	t->csum = TRAIN_CSUM_PARTIAL;
	return true;
}

bool pipeline_train_offloads(struct train *t, const struct virtio_net_hdr *h, uint32_t head_n)
{
	uint8_t kind = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	uint32_t l4;

	if (kind != VIRTIO_NET_HDR_GSO_NONE && kind != VIRTIO_NET_HDR_GSO_TCPV4 &&
		kind != VIRTIO_NET_HDR_GSO_TCPV6 && kind != VIRTIO_NET_HDR_GSO_UDP_L4)
		return false;
	if (kind != VIRTIO_NET_HDR_GSO_NONE && h->gso_size == 0)
		return false;
	t->segment_size = kind == VIRTIO_NET_HDR_GSO_NONE ? 0 : h->gso_size;
	t->csum = h->flags & VIRTIO_NET_HDR_F_DATA_VALID ? TRAIN_CSUM_VALID : TRAIN_CSUM_UNKNOWN;
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		t->flags |= TRAIN_TCP_CWR;
	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return t->segment_size == 0 || train_find(t, kind, 0);
	uint32_t start = h->csum_start - head_n, at = start + h->csum_offset;
	if (h->csum_start < head_n || at + (h->csum_offset == SCTP_CSUM ? 4 : 2) > t->len)
		return false;
	uint8_t proto = outer_proto(t, &l4);
	if (start == l4 && ((proto == IP_TCP && h->csum_offset == TCP_CSUM) ||
				   (proto == IP_UDP && h->csum_offset == UDP_CSUM))) {
		t->csum = TRAIN_CSUM_PARTIAL;
		return true;
	}
	if (t->segment_size)
		return train_find(t, kind, start);
	csum_finish(t, start, h->csum_offset);
	t->csum = TRAIN_CSUM_UNKNOWN;
	return true;
}
